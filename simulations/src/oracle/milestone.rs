//! One milestone, followed through the events: what was asked, approved, given back, moved and disputed.
//!
//! # Invariants
//! - What is agreed here is done by the escrow in the same append, once, and nothing is done that was not agreed.

mod suspended;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::time::Timestamp;

use super::contract::Contract;
use super::vault::{Account, Vault};
use super::{Raw, amount_of, text_of};
use crate::failure::Violation;

/// An approval whose release is to come in the same append.
#[derive(Debug)]
struct Approval {
    release_id: String,
    gross: i128,
}

/// A wish for a refund that waits for an answer.
#[derive(Debug)]
struct Wish {
    refund_id: String,
    amount: i128,
    respond_by: Option<Timestamp>,
}

/// A milestone, as far as its events were read.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub(super) struct Milestone {
    pub(super) contract: String,
    pub(super) currency: String,
    /// What it is worth by what was agreed last.
    agreed: i128,
    /// The payment that was begun last, and how much of it is for this milestone.
    asked: Option<(String, i128)>,
    /// While work is under review: until when.
    review_due_at: Option<Timestamp>,
    under_review: bool,
    submissions: i128,
    revisions: i128,
    review_days: i64,
    approved: Option<Approval>,
    wish: Option<Wish>,
    /// A refund that was agreed and is to come in the same append.
    returning: Option<(String, i128)>,
    /// A movement that was agreed and is to come in the same append.
    moving: Option<(String, i128)>,
    /// Where the rest is to go, if the payee agrees.
    roll_forward: Option<String>,
    /// What of it the client had proposed to move.
    rolling: i128,
    dispute: Option<String>,
    /// Banks that disagree with a payment that it has money of; and what was left of its clock when it came to rest.
    banks: BTreeSet<String>,
    left: Option<TimeDelta>,
    /// The contract ended meanwhile: who gets what is left, and by which consent.
    ended: Option<(String, &'static str)>,
    /// A bank took what a dispute had locked, and something else is left.
    dispute_lost: bool,
    /// A dispute that has to follow a rejection.
    to_be_disputed: bool,
    /// Money that came when it was over, and has to go back at once.
    too_late: Option<i128>,
    /// Of that, what was agreed to go back and cannot, since the escrow is frozen.
    waiting: Option<(String, i128)>,
    /// The escrow was unfrozen in this append: what stood still has to go on.
    stopped: bool,
    pub(super) last_due_at: Option<Timestamp>,
    cancelled: bool,
    over: bool,
}

impl Milestone {
    /// Whether a question about it is open, so that silence about the contract means nothing.
    pub(super) fn is_asked_about(&self) -> bool {
        self.under_review || self.wish.is_some() || self.dispute.is_some() || !self.banks.is_empty()
    }

    /// What of it would go back if the contract ended.
    pub(super) fn refundable(&self, account: Option<&Account>) -> i128 {
        let rests = self.under_review || self.dispute.is_some() || !self.banks.is_empty();
        if rests { 0 } else { account.map_or(0, |account| account.purse.free()) }
    }

    /// Its escrow is not frozen any more.
    pub(super) fn thaw(&mut self) {
        let asked = self.wish.as_ref().is_some_and(|wish| wish.respond_by.is_some());
        self.stopped = asked || self.review_due_at.is_some() || self.waiting.is_some();
    }

    /// A clock that stood still goes on.
    fn go_on(&mut self, raw: &Raw, contract: &Contract) -> Result<(), Violation> {
        let due_at = raw.instant("due_at")?;
        let days = contract.days("refund_request_days").num_days();
        let (key, deadline, days) = match &mut self.wish {
            Some(wish) => ("refund_request", &mut wish.respond_by, days),
            None => ("review_window", &mut self.review_due_at, self.review_days),
        };
        let expected = deadline.and_then(|before| contract.after_freeze(before, days));
        if raw.text("key")? != key || expected != Some(due_at) || !std::mem::take(&mut self.stopped) {
            return Err(raw.breaks("I5", &format!("{key} is to go on until {expected:?}, once")));
        }
        *deadline = Some(due_at);
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn is_left_with(&self, account: Option<&Account>) -> Option<String> {
        if let Some(approval) = &self.approved {
            return Some(format!("approved and not released: {approval:?}"));
        }
        if self.returning.is_some() || self.moving.is_some() || self.to_be_disputed || self.too_late.is_some() {
            return Some(format!("agreed, and not done: {self:?}"));
        }
        if self.stopped {
            return Some(format!("unfrozen, and something stands still: {self:?}"));
        }
        let here = account.map_or(0, |account| account.purse.here());
        let here = here - self.waiting.as_ref().map_or(0, |(_, amount)| *amount);
        let locked = account.map_or(0, |account| account.disputed);
        // Money that was on its way when the dispute began is not locked, and stays where it is all the same.
        if self.dispute.is_some() != (locked != 0) && !self.dispute_lost {
            return Some(format!("{locked} of {here} is locked, the dispute is {:?}", self.dispute));
        }
        ((self.over || self.cancelled) && here != 0).then(|| format!("over, and {here} is held"))
    }

    /// An event of the milestone; `contract` is the one it belongs to, `account` its money.
    pub(super) fn follow(&mut self, raw: &Raw, contract: &Contract, vault: Option<&Vault>) -> Result<(), Violation> {
        self.may_go_on(raw)?;
        let none = Account::default();
        let id = raw.text("milestone_id")?;
        let account = vault.and_then(|vault| vault.accounts.get(id)).unwrap_or(&none);
        // What a bank took has to be paid in again.
        let came = account.purse.came - account.lost;
        match raw.event_type.as_str() {
            "milestone.planned" => {
                raw.text("contract_id")?.clone_into(&mut self.contract);
                raw.text("currency")?.clone_into(&mut self.currency);
                self.agreed = raw.amount("amount")?;
                self.review_days = i64::try_from(raw.amount("review_days")?).unwrap_or(-1);
                self.last_due_at = raw.instant("due_at").ok();
            }
            "milestone.amended" => {
                let amount = raw.amount("amount")?;
                if self.over || self.cancelled || raw.amount("missing")? != (amount - came).max(0) {
                    return Err(raw.breaks("I5", "amended when it was over, or another amount is missing"));
                }
                if amount != self.agreed && amount < came {
                    return Err(raw.breaks("I5", &format!("worth less than the {came} that were paid in")));
                }
                self.agreed = amount;
                self.review_days = i64::try_from(raw.amount("review_days")?).unwrap_or(-1);
                self.last_due_at = raw.instant("due_at").ok();
            }
            "milestone.funding_requested" => {
                contract.is_by(raw, "client")?;
                contract.lets_begin(raw)?;
                let amount = raw.amount("amount")?;
                if self.cancelled || self.over || amount <= 0 || amount != self.agreed - came {
                    return Err(
                        raw.breaks("I5", &format!("{amount} is to be paid, {came} of {} is there", self.agreed))
                    );
                }
                if self.dispute.is_some() {
                    return Err(raw.breaks("I5", "paid for while it is in dispute"));
                }
                self.asked = Some((raw.text("funding_id")?.to_owned(), amount));
            }
            "milestone.cancelled" => {
                // Or its contract had ended while it rested, and a bank has taken the money.
                if raw.actor != "system:timer" && self.ended.take().is_none() {
                    contract.is_of_a_party(raw)?;
                }
                // Of one that a bank has taken all of that was left nothing keeps anybody.
                if (came != 0 && account.lost == 0) || account.purse.here() != 0 || self.cancelled {
                    return Err(raw.breaks("I5", "cancelled twice, or after money had come"));
                }
                self.cancelled = true;
            }
            "milestone.released" | "milestone.moved_out" | "milestone.refunded" => {
                self.over |= raw.data.get("closes").is_some();
                judge_the_end(raw, account)?;
                let left = account.purse.free();
                if raw.amount("remaining")? != left {
                    return Err(raw.breaks("I4", &format!("{left} is held")));
                }
                if raw.event_type == "milestone.refunded" {
                    self.refunded(raw, left)?;
                }
            }
            "milestone.funding_failed" => {
                self.over |= raw.data.get("closes").is_some();
                judge_the_end(raw, account)?;
            }
            "milestone.moved_in" => {
                if self.over || self.cancelled || self.dispute.is_some() {
                    return Err(raw.breaks("I5", "money is moved to a milestone that is over or in dispute"));
                }
                // It has money now: a payment that it waited for comes too late.
                self.asked = None;
            }
            "milestone.hold_limit_passed" if raw.actor != "system:timer" => {
                return Err(raw.breaks("I5", "not by time"));
            }
            "milestone.timer_blocked" => {
                return Err(raw.breaks("W", &format!("no timer of a milestone can be refused: {}", raw.data)));
            }
            "milestone.deadline_moved" => self.go_on(raw, contract)?,
            "milestone.suspended" | "milestone.resumed" => self.rest(raw, contract, vault)?,
            "milestone.end_deferred" => self.defer_the_end(raw, contract)?,
            "milestone.funding_lost" => self.lose(raw, account)?,
            _ => self.follow_the_review(raw, contract, account)?,
        }
        Ok(())
    }

    fn follow_the_review(&mut self, raw: &Raw, contract: &Contract, account: &Account) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "milestone.work_submitted" => {
                contract.is_by(raw, "payee")?;
                contract.lets_begin(raw)?;
                self.is_at_rest(raw)?;
                self.submissions += 1;
                if account.purse.free() <= 0 || raw.amount("submission_no")? != self.submissions {
                    return Err(raw.breaks("I5", "submitted out of turn, or without money"));
                }
                let due_at = raw.instant("review_due_at")?;
                if due_at != raw.at + TimeDelta::days(self.review_days) {
                    return Err(raw.breaks("I5", "the review ends at another instant than was agreed"));
                }
                (self.review_due_at, self.under_review, self.roll_forward) = (Some(due_at), true, None);
            }
            "milestone.submission_withdrawn" => {
                contract.is_by(raw, "payee")?;
                self.ends_the_review(raw, contract)?;
            }
            "milestone.changes_requested" => {
                contract.is_by(raw, "client")?;
                self.ends_the_review(raw, contract)?;
                self.revisions += 1;
                if raw.amount("revision_no")? != self.revisions {
                    return Err(raw.breaks("I5", &format!("this is revision {}", self.revisions)));
                }
            }
            "milestone.approved" => {
                match raw.text("reason")? {
                    "client" => contract.is_by(raw, "client")?,
                    "dormancy" if contract.goes_to_payee(raw) => {}
                    "dormancy" if self.goes_by_its_end("payee", "dormancy") => {}
                    "hold_limit" if raw.actor == "system:timer" && self.under_review => {}
                    other => return Err(raw.breaks("I5", &format!("nobody approved: {other}"))),
                }
                if self.under_review {
                    self.ends_the_review(raw, contract)?;
                }
                // A wish for a refund that nobody answered ends with a dormant contract.
                self.wish = None;
                self.approve(raw, account, true)?;
            }
            "milestone.partially_approved" => {
                contract.is_by(raw, "client")?;
                if self.under_review {
                    self.ends_the_review(raw, contract)?;
                }
                self.approve(raw, account, false)?;
                let remainder = raw.data.get("remainder");
                let target = remainder.map_or("", |remainder| text_of(remainder, "milestone_id"));
                self.roll_forward = (!target.is_empty()).then(|| target.to_owned());
                self.rolling = account.purse.free() - raw.amount("gross")?;
            }
            "milestone.auto_approved" => {
                contract.stands_not_still(raw)?;
                if self.review_due_at.take() != Some(raw.at) || raw.actor != "system:timer" {
                    return Err(raw.breaks("I5", "approved by time at another instant than the review's end"));
                }
                self.under_review = false;
                self.approve(raw, account, true)?;
            }
            _ => self.follow_what_goes_back(raw, contract, account)?,
        }
        Ok(())
    }

    fn follow_what_goes_back(&mut self, raw: &Raw, contract: &Contract, account: &Account) -> Result<(), Violation> {
        let free = account.purse.free();
        match raw.event_type.as_str() {
            "milestone.refund_requested" => {
                contract.is_by(raw, "client")?;
                self.is_at_rest(raw)?;
                let (amount, respond_by) = (raw.amount("amount")?, raw.instant("respond_by")?);
                if amount <= 0 || amount > free || respond_by != raw.at + contract.days("refund_request_days") {
                    return Err(raw.breaks("I5", &format!("{free} is held, the payee answers by {respond_by}")));
                }
                let refund_id = raw.text("refund_id")?.to_owned();
                self.wish = Some(Wish { refund_id, amount, respond_by: Some(respond_by) });
                self.roll_forward = None;
            }
            "milestone.refund_agreed" => {
                let (id, amount) = (raw.text("refund_id")?.to_owned(), raw.amount("amount")?);
                let wish = self.wish.take();
                let asked = wish.as_ref().map(|wish| (wish.refund_id.clone(), wish.amount));
                let due_at = wish.as_ref().and_then(|wish| wish.respond_by);
                let right = match raw.text("consent")? {
                    "accepted" => {
                        contract.is_by(raw, "payee")?;
                        asked == Some((id.clone(), amount)) && contract.is_in_time(raw, due_at).is_ok()
                    }
                    "granted" => {
                        contract.is_by(raw, "payee")?;
                        asked.is_none() && !self.under_review
                    }
                    "time" => {
                        contract.stands_not_still(raw)?;
                        asked == Some((id.clone(), amount)) && due_at == Some(raw.at) && raw.is_by_timer()
                    }
                    word @ ("end" | "dormancy") => {
                        let now = if word == "end" { contract.is_ended_now(raw) } else { contract.goes_to_client(raw) };
                        (now || self.goes_by_its_end("client", word)) && amount == free && !self.under_review
                    }
                    "too_late" if self.waiting.is_some() => {
                        let again = Some((id.clone(), amount));
                        self.waiting.take() == again && std::mem::take(&mut self.stopped)
                    }
                    "too_late" => self.too_late.take() == Some(amount),
                    _ => false,
                };
                if !right || amount > free || self.dispute.is_some() {
                    return Err(raw.breaks("I5", &format!("nobody agreed to that: asked was {asked:?} by {due_at:?}")));
                }
                // What came too late is taken while the escrow is frozen, and goes when it is not any more.
                let way = if contract.frozen_since.is_some() && raw.text("consent")? == "too_late" {
                    &mut self.waiting
                } else {
                    &mut self.returning
                };
                (*way, self.roll_forward) = (Some((id, amount)), None);
            }
            "milestone.refund_rejected" => {
                contract.is_by(raw, "payee")?;
                let wish = self.wish.take();
                let asked = wish.filter(|wish| contract.is_in_time(raw, wish.respond_by).is_ok());
                if asked.is_none_or(|wish| Some(wish.refund_id.as_str()) != raw.text("refund_id").ok()) {
                    return Err(raw.breaks("I5", "rejected is not what was asked for, or too late"));
                }
                self.to_be_disputed = true;
            }
            "milestone.roll_forward_accepted" => {
                contract.is_by(raw, "payee")?;
                let (to, amount) = (raw.text("to")?.to_owned(), raw.amount("amount")?);
                if self.roll_forward.take().as_ref() != Some(&to)
                    || amount != free.min(self.rolling)
                    || self.is_asked_about()
                {
                    return Err(raw.breaks("I5", "agreed is not what was proposed"));
                }
                self.moving = Some((to, amount));
            }
            "milestone.roll_forward_rejected" => {
                contract.is_by(raw, "payee")?;
                if self.roll_forward.take().is_none() {
                    return Err(raw.breaks("I5", "nothing was proposed"));
                }
            }
            "milestone.disputed" => self.is_disputed(raw, contract, free)?,
            "milestone.dispute_withdrawn" => {
                let resumed = raw.instant("new_review_due_at").ok();
                (self.dispute, self.review_due_at, self.under_review) = (None, resumed, resumed.is_some());
            }
            _ => {}
        }
        Ok(())
    }

    fn is_disputed(&mut self, raw: &Raw, contract: &Contract, free: i128) -> Result<(), Violation> {
        let by = raw.text("by")?;
        contract.is_by(raw, by)?;
        if self.dispute.is_some() || self.wish.is_some() || raw.amount("amount")? != free || free <= 0 {
            return Err(raw.breaks("I5", "disputed twice, or other money than is held"));
        }
        // The clock of the review stands still; what was left of it is kept.
        let clock = contract.frozen_since.map_or(raw.at, |since| since.min(raw.at));
        let left = self.review_due_at.take().map(|due_at| (due_at - clock).min(TimeDelta::days(self.review_days)));
        let left = left.map(|left| i128::from(left.num_milliseconds()));
        if left != raw.amount("review_remaining_ms").ok() || left.is_some_and(|left| left <= 0) {
            return Err(raw.breaks("I5", &format!("{left:?} ms of the review were left")));
        }
        (self.under_review, self.to_be_disputed, self.roll_forward) = (false, false, None);
        self.dispute = Some(raw.text("dispute_id")?.to_owned());
        Ok(())
    }

    /// No question about it is open.
    fn is_at_rest(&self, raw: &Raw) -> Result<(), Violation> {
        if self.is_asked_about() || self.over || self.cancelled {
            return Err(raw.breaks("I5", &format!("another question is open, or it is over: {self:?}")));
        }
        Ok(())
    }

    /// Somebody ends a review that has not ended by itself.
    fn ends_the_review(&mut self, raw: &Raw, contract: &Contract) -> Result<(), Violation> {
        self.under_review = false;
        contract.is_in_time(raw, self.review_due_at.take())
    }

    fn approve(&mut self, raw: &Raw, account: &Account, whole: bool) -> Result<(), Violation> {
        let (gross, held) = (raw.amount("gross")?, account.purse.free());
        let fits = if whole { gross == held } else { gross < held };
        if gross <= 0 || !fits || self.over || self.is_asked_about() {
            return Err(raw.breaks("I5", &format!("{gross} is approved, {held} is held")));
        }
        self.roll_forward = None;
        let release_id = raw.text("release_id")?.to_owned();
        match self.approved.replace(Approval { release_id, gross }) {
            Some(before) => Err(raw.breaks("I5", &format!("approved twice: {before:?}"))),
            None => Ok(()),
        }
    }

    /// Money of this payment arrives.
    pub(super) fn fund(&mut self, raw: &Raw, funding_id: &str, amount: i128) -> Result<(), Violation> {
        // Money that was asked for is held once, and only while nothing else was asked for since.
        if self.asked.take() != Some((funding_id.to_owned(), amount)) {
            return Err(raw.breaks("I5", "held twice, or not as it was asked for last"));
        }
        if self.over || self.cancelled {
            self.too_late = Some(amount);
        }
        Ok(())
    }

    /// Money of it leaves the escrow for the payee.
    pub(super) fn release(&mut self, raw: &Raw) -> Result<(), Violation> {
        let (gross, release_id) = (raw.amount("gross")?, raw.text("release_id")?);
        match self.approved.take() {
            Some(approval) if approval.release_id == release_id && approval.gross == gross => Ok(()),
            other => Err(raw.breaks("I5", &format!("released is not what was approved: {other:?}"))),
        }
    }

    /// Money of it leaves the escrow for the client.
    pub(super) fn refund(&mut self, raw: &Raw) -> Result<(), Violation> {
        let told = (raw.text("refund_id")?.to_owned(), raw.amount("amount")?);
        // The provider's limit asks nobody.
        if raw.text("reason")? == "hold_limit" {
            return if raw.is_by_timer() { Ok(()) } else { Err(raw.breaks("I5", "not by time")) };
        }
        match self.returning.take() {
            Some(agreed) if agreed == told => Ok(()),
            other => Err(raw.breaks("I5", &format!("goes back is not what was agreed: {other:?}"))),
        }
    }

    /// The milestone takes note: a wish about more than is left is about what is left.
    fn refunded(&mut self, raw: &Raw, left: i128) -> Result<(), Violation> {
        if raw.amount("amount")? <= 0 {
            return Err(raw.breaks("I5", "nothing went back"));
        }
        if left == 0 {
            (self.wish, self.under_review, self.review_due_at) = (None, false, None);
        } else if let Some(wish) = &mut self.wish {
            wish.amount = wish.amount.min(left);
        }
        Ok(())
    }

    /// Money of it goes to another milestone.
    pub(super) fn leave(&mut self, raw: &Raw) -> Result<(), Violation> {
        let told = (raw.text("to")?.to_owned(), raw.amount("amount")?);
        match self.moving.take() {
            Some(agreed) if agreed == told => Ok(()),
            other => Err(raw.breaks("I5", &format!("moved is not what was agreed: {other:?}"))),
        }
    }
}

/// What the contract is told of its end.
fn judge_the_end(raw: &Raw, account: &Account) -> Result<(), Violation> {
    let Some(closes) = raw.data.get("closes") else { return Ok(()) };
    let told = (amount_of(closes, "released"), amount_of(closes, "refunded"));
    if told != (account.released, account.refunded) || account.purse.here() != 0 {
        return Err(raw.breaks("I4", &format!("ended with {account:?}")));
    }
    Ok(())
}
