//! Payouts: reserved, approved, moved, ended; and what comes back from payees' accounts.
//!
//! # Invariants
//! - Nothing is reserved of somebody who is not paid, or who owes; nothing moves that waits for staff.
//! - Each is transferred once and ends once. What it leaves at an account is paid from there, or comes back, once.

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::{Credit, Payees};
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::party::Parties;
use crate::oracle::{Raw, amount_of, text_of};

#[derive(Debug, Default)]
pub(super) struct Payout {
    pub(super) currency: String,
    payee: String,
    pub(super) amount: i128,
    pub(super) transfer_amount: i128,
    account: String,
    reserved: bool,
    requested: bool,
    /// Staff has to approve it.
    waits: bool,
    transfers: u32,
    /// Transfers after it had failed of which the payee account was not told yet.
    pub(super) late_transfers: u32,
    pub(super) ends: Vec<&'static str>,
    /// What the payee account was told of its ends.
    pub(super) noted: Vec<&'static str>,
}

impl Payout {
    /// Reserved, and the payout itself was not told in the same append.
    pub(super) fn waits_for_reaction(&self) -> bool {
        self.reserved != self.requested
    }
}

/// Money that is to come back from a payee's account.
#[derive(Debug, Default)]
pub(super) struct Reversal {
    payout: String,
    pub(super) amount: i128,
    /// What became of it, by its payout, and by what the payee account was told.
    became: Vec<&'static str>,
    noted: usize,
}

/// What the platform demands of payouts.
#[derive(Debug, Default)]
pub(super) struct Policy {
    approval_above: Option<i128>,
    minimum: i128,
    pays_debtors: bool,
}

/// Midnight, with which a day begins.
fn is_midnight(at: Timestamp) -> bool {
    at.timestamp_millis() % TimeDelta::days(1).num_milliseconds() == 0
}

impl Payees {
    pub(super) fn follow_reservation(
        &mut self,
        raw: &Raw,
        key: &(String, String),
        parties: &Parties,
        books: &mut Books,
    ) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "payee.payout_schedule_changed" | "payee.payout_schedule_reached" | "payee.payout_policy_set" => {
                return self.follow_terms(raw, key);
            }
            "payee.call_back_requested" => return self.call_back(raw, key),
            "payee.transfer_reversed_noted" | "payee.transfer_reversal_failed_noted" => {
                return self.is_told_of_reversal(raw, key);
            }
            "payee.payout_reserved" => return self.reserve(raw, key, parties, books),
            _ => {}
        }
        let (amount, currency) = (raw.amount("amount")?, key.1.as_str());
        let account = self.accounts.entry(key.clone()).or_default();
        let id = raw.text("payout_id")?.to_owned();
        let payout = self.payouts.entry(id.clone()).or_default();
        let left = self.left.entry((payout.account.clone(), currency.to_owned())).or_default();
        match raw.event_type.as_str() {
            "payee.payout_paid_noted" => {
                payout.noted.push("paid");
                account.in_transit -= amount;
                books.expect("2250", currency, amount);
            }
            "payee.payout_failed_noted" | "payee.payout_reservation_released" => {
                let returned = raw.data.get("returned").and_then(Value::as_bool).unwrap_or(false);
                let cancelled = raw.event_type == "payee.payout_reservation_released";
                payout.noted.push(match (cancelled, returned) {
                    (true, _) => "cancelled",
                    (false, true) => "returned",
                    (false, false) => "failed",
                });
                // What had not moved is not there; what lay there before is there again.
                let there = if payout.transfers == 0 { payout.amount - payout.transfer_amount } else { payout.amount };
                if !cancelled && amount_of(&raw.data, "left_at_provider") != there {
                    return Err(raw.breaks("I4", &format!("{there} lies at the payee's account")));
                }
                *left += there;
                account.available += amount;
                account.unseen.push(Credit::Available { amount });
                books.expect("2210", currency, -amount);
                if !returned {
                    account.in_transit -= amount;
                    books.expect("2250", currency, amount);
                }
            }
            "payee.late_transfer_noted" => {
                if payout.late_transfers != 1 || amount != payout.transfer_amount {
                    return Err(raw.breaks("I4", "told of another transfer than came late"));
                }
                payout.late_transfers = 0;
                *left += amount;
            }
            other => return Err(raw.breaks("W", &format!("{other} is not known here"))),
        }
        self.touched_payouts.push(id);
        Ok(())
    }

    fn reserve(
        &mut self,
        raw: &Raw,
        key: &(String, String),
        parties: &Parties,
        books: &mut Books,
    ) -> Result<(), Violation> {
        let (amount, currency) = (raw.amount("amount")?, key.1.as_str());
        let psp_account = raw.text("psp_account")?.to_owned();
        if let Some(why) = parties.stops(&key.0, currency, &psp_account, raw.at) {
            return Err(raw.breaks("I5", &format!("paid out, and {why}")));
        }
        let account = self.accounts.entry(key.clone()).or_default();
        let id = raw.text("payout_id")?.to_owned();
        let payout = self.payouts.entry(id.clone()).or_default();
        if payout.reserved {
            return Err(raw.breaks("I5", "reserved twice"));
        }
        if account.debts.values().any(|debt| *debt != 0) && !account.policy.pays_debtors {
            return Err(raw.breaks("I5", "paid out to somebody who owes"));
        }
        let waits = account.policy.approval_above.is_some_and(|most| amount > most);
        if amount < account.policy.minimum || raw.data.get("approval").is_some() != waits {
            return Err(raw.breaks("I5", &format!("demanded is {:?}", account.policy)));
        }
        let by_schedule = raw.data.get("by_schedule").is_some();
        if by_schedule != raw.is_by_timer() || (!by_schedule && raw.actor != format!("payee:{}", key.0)) {
            return Err(raw.breaks("I5", &format!("by {}", raw.actor)));
        }
        (payout.reserved, payout.waits) = (true, waits);
        account.unseen.clear();
        payout.amount = amount;
        payout.transfer_amount = raw.amount("transfer_amount")?;
        payout.account.clone_from(&psp_account);
        currency.clone_into(&mut payout.currency);
        key.0.clone_into(&mut payout.payee);
        account.available -= amount;
        account.in_transit += amount;
        // What lies there may be more than the decision has seen.
        let left = self.left.entry((psp_account, currency.to_owned())).or_default();
        *left -= amount - payout.transfer_amount;
        if *left < 0 || payout.transfer_amount > amount || (by_schedule && payout.transfer_amount < 0) {
            return Err(raw.breaks("I4", &format!("less than nothing is left at the payee's account: {left}")));
        }
        books.expect("2210", currency, amount);
        books.expect("2250", currency, -amount);
        self.touched_payouts.push(id);
        Ok(())
    }

    /// When payouts come by themselves, and what the platform demands of them.
    fn follow_terms(&mut self, raw: &Raw, key: &(String, String)) -> Result<(), Violation> {
        let account = self.accounts.entry(key.clone()).or_default();
        if raw.event_type == "payee.payout_policy_set" {
            let part = |key: &str| raw.data.get(key);
            account.policy = Policy {
                approval_above: part("approval_above").and_then(Value::as_i64).map(i128::from),
                minimum: amount_of(&raw.data, "minimum"),
                pays_debtors: part("pays_debtors").and_then(Value::as_bool).unwrap_or(false),
            };
            return Ok(());
        }
        let reached = raw.event_type == "payee.payout_schedule_reached";
        if reached && (account.next_at != Some(raw.at) || !raw.is_by_timer()) {
            return Err(raw.breaks("I5", &format!("it was to come at {:?}", account.next_at)));
        }
        account.next_at = raw.instant("next_at").ok();
        if account.next_at.is_some_and(|next_at| next_at <= raw.at || !is_midnight(next_at)) {
            return Err(raw.breaks("I5", "the next one is not at a midnight to come"));
        }
        Ok(())
    }

    /// What lies at an account is to come back.
    fn call_back(&mut self, raw: &Raw, key: &(String, String)) -> Result<(), Violation> {
        let left = self.left.entry((raw.text("psp_account")?.to_owned(), key.1.clone())).or_default();
        for part in raw.list("parts")? {
            let (payout, amount) = (text_of(part, "payout_id").to_owned(), amount_of(part, "amount"));
            *left -= amount;
            let reversal = Reversal { payout, amount, ..Reversal::default() };
            if self.reversals.insert(text_of(part, "reversal_id").to_owned(), reversal).is_some() {
                return Err(raw.breaks("I6", "called back twice"));
            }
        }
        if *left < 0 { Err(raw.breaks("I4", "more is called back than lies there")) } else { Ok(()) }
    }

    fn is_told_of_reversal(&mut self, raw: &Raw, key: &(String, String)) -> Result<(), Violation> {
        let Some(reversal) = self.reversals.get_mut(raw.text("reversal_id")?) else {
            return Err(raw.breaks("I5", "never called back"));
        };
        reversal.noted += 1;
        if reversal.noted != reversal.became.len() {
            return Err(raw.breaks("I5", &format!("{reversal:?}")));
        }
        let account = self.payouts.get(&reversal.payout).map(|payout| payout.account.clone()).unwrap_or_default();
        let left = self.left.entry((account, key.1.clone())).or_default();
        match reversal.became.as_slice() {
            ["failed"] => *left += reversal.amount,
            // It was thought to stay there.
            ["failed", "came back"] => *left -= reversal.amount,
            _ => {}
        }
        Ok(())
    }

    pub(in crate::oracle) fn follow_payout(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("payout_id")?.to_owned();
        let payout = self.payouts.entry(id.clone()).or_default();
        let currency = payout.currency.as_str();
        match raw.event_type.as_str() {
            "payout.requested" | "payout.approval_required" => {
                let waits = raw.event_type == "payout.approval_required";
                if !payout.reserved
                    || payout.requested
                    || waits != payout.waits
                    || raw.amount("amount")? != payout.amount
                {
                    return Err(raw.breaks("I5", "requested without being reserved, or not as it was"));
                }
                payout.requested = true;
            }
            "payout.approved" => {
                let decides = ["staff.moderator:", "staff.finance:", "staff.admin:"];
                let by_staff = decides.iter().any(|staff| raw.actor.starts_with(staff));
                if !std::mem::take(&mut payout.waits) || !by_staff {
                    return Err(raw.breaks("I5", &format!("by {}, or nobody waited for it", raw.actor)));
                }
            }
            "payout.transfer_completed" => {
                payout.transfers += 1;
                let amount = raw.amount("amount")?;
                if payout.transfers > 1 || amount > payout.amount || amount != payout.transfer_amount || payout.waits {
                    return Err(
                        raw.breaks("I8", "transferred twice, or more than was reserved, or before it was approved")
                    );
                }
                books.expect("1120", currency, -amount);
                books.expect("1130", currency, amount);
            }
            // It had failed before it had moved, and has moved all the same.
            "payout.late_transfer_recorded" => {
                payout.transfers += 1;
                payout.late_transfers += 1;
                let amount = raw.amount("amount")?;
                if payout.transfers > 1 || amount != payout.transfer_amount || payout.ends.as_slice() != ["failed"] {
                    return Err(raw.breaks("I8", "transferred twice, or before it had failed"));
                }
                books.expect("1120", currency, -amount);
                books.expect("1130", currency, amount);
                self.touched_payouts.push(id);
                return Ok(());
            }
            "payout.transfer_reversal_requested" | "payout.transfer_reversal_failed" | "payout.transfer_reversed" => {
                return self.follow_reversal(raw, books);
            }
            "payout.paid" => {
                payout.ends.push("paid");
                books.expect("1130", currency, -raw.amount("amount")?);
            }
            "payout.failed" => payout.ends.push("failed"),
            "payout.cancelled" => payout.ends.push("cancelled"),
            "payout.returned" => {
                payout.ends.push("returned");
                books.expect("1130", currency, raw.amount("amount")?);
            }
            _ => return Ok(()),
        }
        if !matches!(payout.ends.as_slice(), [] | ["paid" | "failed" | "cancelled"] | ["paid", "returned"]) {
            return Err(raw.breaks("I5", &format!("a payout that ended {:?}", payout.ends)));
        }
        let amount = raw.amount("amount").unwrap_or(payout.amount);
        if !payout.ends.is_empty() && amount != payout.amount {
            return Err(raw.breaks("I4", &format!("{amount} of {} was paid or came back", payout.amount)));
        }
        self.touched_payouts.push(id);
        Ok(())
    }

    fn follow_reversal(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let Some(reversal) = self.reversals.get_mut(raw.text("reversal_id")?) else {
            return Err(raw.breaks("I5", "never called back"));
        };
        if reversal.amount != raw.amount("amount")? || reversal.payout != raw.text("payout_id")? {
            return Err(raw.breaks("I4", &format!("called back was {reversal:?}")));
        }
        let (amount, currency) = (reversal.amount, raw.text("currency")?);
        match raw.event_type.as_str() {
            "payout.transfer_reversed" => {
                reversal.became.push("came back");
                books.expect("1120", currency, amount);
                books.expect("1130", currency, -amount);
            }
            "payout.transfer_reversal_failed" => reversal.became.push("failed"),
            _ => {}
        }
        match reversal.became.as_slice() {
            [] | ["came back" | "failed"] | ["failed", "came back"] => Ok(()),
            became => Err(raw.breaks("I5", &format!("money that {became:?}"))),
        }
    }
}
