//! A milestone whose payment a bank disagrees with, or took back.
//!
//! # Invariants
//! - While it rests nobody does anything about it, and its clock stands still; it goes on with what was left.

use chrono::TimeDelta;

use super::{Milestone, judge_the_end};
use crate::failure::Violation;
use crate::oracle::Raw;
use crate::oracle::contract::Contract;
use crate::oracle::vault::{Account, Vault};

/// What does not happen to a milestone that rests.
const STANDS_STILL: [&str; 12] = [
    "milestone.work_submitted",
    "milestone.submission_withdrawn",
    "milestone.changes_requested",
    "milestone.approved",
    "milestone.partially_approved",
    "milestone.auto_approved",
    "milestone.refund_requested",
    "milestone.refund_rejected",
    "milestone.released",
    "milestone.moved_out",
    "milestone.disputed",
    "milestone.cancelled",
];

impl Milestone {
    /// Whether a bank lets this happen.
    pub(super) fn may_go_on(&self, raw: &Raw) -> Result<(), Violation> {
        if !self.banks.is_empty() && STANDS_STILL.contains(&raw.event_type.as_str()) {
            return Err(raw.breaks("I5", &format!("it rests for {:?}", self.banks)));
        }
        Ok(())
    }

    /// A bank disagrees, or does not any more.
    pub(super) fn rest(&mut self, raw: &Raw, contract: &Contract, vault: Option<&Vault>) -> Result<(), Violation> {
        let bank = raw.text("chargeback_id")?.to_owned();
        let asks = self.wish.is_some();
        // In a freeze every clock stands where it stood when that began; the thaw moves it on.
        let clock = contract.frozen_since.map_or(raw.at, |since| since.min(raw.at));
        let deadline = match &mut self.wish {
            Some(wish) => &mut wish.respond_by,
            None => &mut self.review_due_at,
        };
        if raw.event_type == "milestone.suspended" {
            let named = vault.is_some_and(|vault| vault.rests(raw.text("milestone_id").unwrap_or_default(), &bank));
            if !named || self.banks.contains(&bank) {
                return Err(raw.breaks("I5", "it rests for that already, or that is not about it"));
            }
            let first = self.banks.is_empty();
            self.banks.insert(bank);
            let review = TimeDelta::days(self.review_days);
            let days = if asks { contract.days("refund_request_days") } else { review };
            let left = deadline.take().map(|due_at| (due_at - clock).min(days));
            let told = raw.amount("remaining_ms").ok();
            if told != left.map(|left| i128::from(left.num_milliseconds())) {
                return Err(raw.breaks("I5", &format!("{left:?} was left of its clock")));
            }
            if first {
                self.left = left;
            }
            return Ok(());
        }
        if !self.banks.remove(&bank) {
            return Err(raw.breaks("I5", "it did not rest for that"));
        }
        let rests_on = raw.data.get("rests_on").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let due_at = if rests_on { None } else { self.left.take().map(|left| clock + left) };
        if rests_on == self.banks.is_empty() || raw.instant("new_due_at").ok() != due_at {
            return Err(raw.breaks("I5", &format!("{:?} disagree, it goes on until {due_at:?}", self.banks)));
        }
        if due_at.is_some() {
            *deadline = due_at;
        }
        Ok(())
    }

    /// The contract ends while it rests.
    pub(super) fn defer_the_end(&mut self, raw: &Raw, contract: &Contract) -> Result<(), Violation> {
        let to = raw.text("to")?.to_owned();
        let (consent, ends) = match (raw.text("cause")?, to.as_str()) {
            ("agreed", "client") => ("end", contract.is_ended_now(raw)),
            ("dormant", "client") => ("dormancy", contract.goes_to_client(raw)),
            ("dormant", "payee") => ("dormancy", contract.goes_to_payee(raw)),
            _ => ("", false),
        };
        if !ends || self.banks.is_empty() || self.ended.replace((to, consent)).is_some() {
            return Err(raw.breaks("I5", "its contract does not end now, or it does not rest, or that is known"));
        }
        Ok(())
    }

    /// Its contract ended like this while it rested, and it does not any more. That counts once.
    pub(super) fn goes_by_its_end(&mut self, to: &str, consent: &str) -> bool {
        self.banks.is_empty() && self.ended.take_if(|ended| ended.0 == to && ended.1 == consent).is_some()
    }

    /// A bank took money of it. Whether it had is judged by the escrow.
    pub(super) fn lose(&mut self, raw: &Raw, account: &Account) -> Result<(), Violation> {
        let here = account.purse.here();
        if raw.amount("amount")? <= 0 || raw.amount("remaining")? != here {
            return Err(raw.breaks("I4", &format!("{here} is left")));
        }
        self.over |= raw.data.get("closes").is_some();
        judge_the_end(raw, account)?;
        if here == 0 {
            (self.wish, self.dispute, self.roll_forward, self.left) = (None, None, None, None);
            (self.review_due_at, self.under_review, self.dispute_lost) = (None, false, false);
            self.banks.clear();
            // What came too late is gone before it went back.
            self.waiting = None;
        } else {
            if let Some(wish) = &mut self.wish {
                wish.amount = wish.amount.min(here);
            }
            self.dispute_lost |= self.dispute.is_some();
        }
        Ok(())
    }
}
