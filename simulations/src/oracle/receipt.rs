//! Payments by clients: asked for, given up, arrived, and what became of the money.
//!
//! # Invariants
//! - Money that arrived is held, or the payee's, or in the client's wallet, or suspended, or goes back: one of them, in the same append.
//! - What was given up is never held.

mod exchange;

use std::collections::BTreeMap;

use domain::time::Timestamp;
use serde_json::Value;

use super::books::Books;
use super::{Raw, text_of};
use crate::failure::Violation;
pub(super) use exchange::{Settled, Shift, settled_in};

#[derive(Debug, Default)]
pub(super) struct Receipt {
    pub(super) charge: i128,
    pub(super) currency: String,
    expires_at: Option<Timestamp>,
    /// `gratuity` or `top_up`; empty when it is to be held.
    purpose: String,
    processing: bool,
    given_up: bool,
    pub(super) captured: Option<(i128, String)>,
    /// What became of it.
    pub(super) became: Vec<&'static str>,
    net: Option<i128>,
    available: bool,
    /// What a bank took back, and who answers for that in the same append.
    /// What the provider has for it in another currency, and how often that was booked.
    settled: Option<Settled>,
    exchanged: u32,
    /// What stands on 1300 for it, by currency.
    position: BTreeMap<String, i128>,
    returned: Option<i128>,
    answer: Option<Answer>,
}

/// What has to follow in the same append when a bank has taken a payment back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The escrow says what it had of it.
    Escrow,
    /// This client's wallet says so.
    Wallet(String),
    /// So much is the client's debt.
    Owed(i128),
}

/// Every payment.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    pub(super) all: BTreeMap<String, Receipt>,
    /// What moved in another currency than it was paid in, and the payment has to be told of in the same append.
    shifts: Vec<Shift>,
    touched: Vec<String>,
}

impl Receipts {
    /// Something became of a payment.
    pub(super) fn became(&mut self, id: &str, what: &'static str) {
        self.all.entry(id.to_owned()).or_default().became.push(what);
        self.touched.push(id.to_owned());
    }

    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("funding_id")?.to_owned();
        let receipt = self.all.entry(id.clone()).or_default();
        match raw.event_type.as_str() {
            "funding.created" => {
                receipt.charge = raw.amount("charge")?;
                receipt.expires_at = raw.instant("expires_at").ok();
                receipt.purpose =
                    raw.data.get("purpose").map(|purpose| text_of(purpose, "kind").to_owned()).unwrap_or_default();
                raw.text("currency")?.clone_into(&mut receipt.currency);
            }
            "funding.processing" => receipt.processing = true,
            "funding.failed" => receipt.expires_at = None,
            "funding.cancelled" | "funding.expired" => {
                if receipt.given_up || receipt.captured.is_some() {
                    return Err(raw.breaks("I5", "given up twice, or after it had arrived"));
                }
                receipt.given_up = true;
                let by_time = raw.event_type == "funding.expired";
                if by_time && (receipt.expires_at != Some(raw.at) || !raw.is_by_timer() || receipt.processing) {
                    return Err(raw.breaks("I5", &format!("its attempt ends at {:?}", receipt.expires_at)));
                }
            }
            "funding.timer_blocked" if receipt.expires_at.take() != Some(raw.at) => {
                return Err(raw.breaks("I5", "blocked at another instant than its deadline"));
            }
            "funding.succeeded" => {
                let (captured, currency) = (raw.amount("captured")?, raw.text("currency")?);
                if receipt.captured.is_some() {
                    return Err(raw.breaks("I5", "collected twice"));
                }
                let right = captured == receipt.charge && currency == receipt.currency && !receipt.given_up;
                if raw.data.get("as_requested").and_then(Value::as_bool) != Some(right) {
                    return Err(raw.breaks("I4", &format!("as it was asked for: {right}")));
                }
                receipt.captured = Some((captured, currency.to_owned()));
                receipt.settled = settled_in(&raw.data);
                if let Some((amount, other)) = receipt.settled.clone() {
                    receipt.shift((captured, currency), (amount, &other));
                }
                books.expect("1110", currency, captured);
                self.touched.push(id);
            }
            "funding.succeeded_after_cancel" | "funding.receipt_suspended" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if receipt.captured != Some((amount, currency.to_owned())) {
                    return Err(raw.breaks("I4", "it is not what was collected"));
                }
                let suspended = raw.event_type == "funding.receipt_suspended";
                books.expect(if suspended { "2900" } else { "2260" }, currency, -amount);
                receipt.became.push(if suspended { "suspended" } else { "sent back" });
                self.touched.push(id);
            }
            "funding.psp_fee_recorded" => {
                let (fee, net, currency) = (raw.amount("fee")?, raw.amount("net")?, raw.text("currency")?);
                let there = receipt.settled.as_ref().or(receipt.captured.as_ref());
                if receipt.net.is_some() || there != Some(&(fee + net, currency.to_owned())) {
                    return Err(raw.breaks("I4", "fee and rest are not what was collected"));
                }
                receipt.net = Some(net);
                books.expect("1110", currency, -fee);
                books.expect("5100", currency, fee);
            }
            "funding.psp_funds_became_available" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if receipt.available || receipt.net != Some(amount) {
                    return Err(raw.breaks("I4", "what became available is not what was left"));
                }
                receipt.available = true;
                books.expect("1110", currency, -amount);
                books.expect("1120", currency, amount);
            }
            "funding.returned" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if let Some((taken, other)) = settled_in(&raw.data) {
                    receipt.shift((-amount, currency), (-taken, &other));
                    // What escrow, wallet and debt take of the balance comes out of the position.
                    books.expect("1120", currency, amount);
                    books.expect("1300", currency, -amount);
                    books.expect("1300", &other, taken);
                    books.expect("1120", &other, -taken);
                }
                if receipt.captured.is_none() || receipt.returned.replace(amount).is_some() {
                    return Err(raw.breaks("I5", "returned twice, or never collected"));
                }
                let escrowed = raw.data.get("escrowed").and_then(Value::as_bool).unwrap_or(false);
                if escrowed != (receipt.became.as_slice() == ["held"]) {
                    return Err(raw.breaks("I4", &format!("it became {:?}", receipt.became)));
                }
                let wallet = raw.text("wallet_of").ok();
                if wallet.is_some() != (receipt.became.as_slice() == ["in the wallet"]) {
                    return Err(raw.breaks("I4", &format!("{wallet:?} has it, and it became {:?}", receipt.became)));
                }
                receipt.answer = Some(match wallet {
                    Some(client) => Answer::Wallet(client.to_owned()),
                    None if escrowed => Answer::Escrow,
                    None => Answer::Owed(amount),
                });
                self.touched.push(id);
            }
            "funding.exchanged"
            | "funding.refund_exchanged"
            | "funding.chargeback_exchanged"
            | "funding.fx_result_realised" => return self.follow_exchange(raw, books),
            "funding.late_return_recorded" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if receipt.answer.take() != Some(Answer::Owed(amount)) {
                    return Err(raw.breaks("I4", "owed is not what was taken back beyond what was held"));
                }
                books.expect("1220", currency, amount);
                books.expect("1120", currency, -amount);
            }
            _ => {}
        }
        Ok(())
    }

    /// What a bank took back of what the escrow has, or had; or of what the client's wallet has, or had.
    pub(super) fn returned(&self, raw: &Raw) -> Result<i128, Violation> {
        let by_wallet = raw.event_type.starts_with("wallet.");
        let answer = if by_wallet { Answer::Wallet(raw.text("client_id")?.to_owned()) } else { Answer::Escrow };
        let receipt = self.all.get(raw.text("funding_id")?).filter(|receipt| receipt.answer == Some(answer));
        receipt.and_then(|receipt| receipt.returned).ok_or_else(|| raw.breaks("I5", "no bank returned it"))
    }

    /// What of that the client owes now.
    pub(super) fn owe(&mut self, raw: &Raw, amount: i128) -> Result<(), Violation> {
        let receipt = self.all.entry(raw.text("funding_id")?.to_owned()).or_default();
        receipt.answer = (amount != 0).then_some(Answer::Owed(amount));
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn are_left_with(&mut self, books: &Books) -> Option<String> {
        if let Some(shift) = self.shifts.pop() {
            return Some(format!("exchanged, and the payment was not told: {shift:?}"));
        }
        for id in std::mem::take(&mut self.touched) {
            let Some(receipt) = self.all.get(&id) else { continue };
            if let Some(found) = receipt.exchange_is_left_with(&id, books) {
                return Some(format!("{id}: {found}"));
            }
            let Some(captured) = &receipt.captured else {
                if receipt.became.as_slice() == ["paid by wallet"] || receipt.became.is_empty() {
                    continue;
                }
                return Some(format!("{id}: never collected, and {:?}", receipt.became));
            };
            let [became] = receipt.became.as_slice() else {
                return Some(format!("{id}: collected, and not one thing became of it: {receipt:?}"));
            };
            let as_asked = *captured == (receipt.charge, receipt.currency.clone());
            if let Some(answer) = &receipt.answer {
                return Some(format!("{id}: returned, and nobody was told: {answer:?}"));
            }
            let right = match *became {
                "held" => as_asked && !receipt.given_up && receipt.purpose.is_empty(),
                "given" => as_asked && !receipt.given_up && receipt.purpose == "gratuity",
                "in the wallet" => as_asked && !receipt.given_up && receipt.purpose == "top_up",
                // Of a contract that is over, too.
                "sent back" => receipt.given_up || as_asked,
                "suspended" => !receipt.given_up,
                _ => false,
            };
            if !right {
                return Some(format!("{id}: {became} is not what should become of it: {receipt:?}"));
            }
        }
        None
    }
}
