//! Payments that lie in another currency than they were paid in.
//!
//! # Invariants
//! - What the provider has for a payment is booked once, and from then on each movement of it shifts the position (1300).
//! - The result is realised when nothing of what was paid is left in the position, and never before.

use serde_json::Value;

use super::{Receipt, Receipts};
use crate::failure::Violation;
use crate::oracle::books::Books;
use crate::oracle::{Raw, amount_of, text_of};

/// An amount in the balance, and its currency.
pub(in crate::oracle) type Settled = (i128, String);

/// Something that went back, or came again: the payment, for what, how much of it, and what that was in the balance.
/// Below zero when it went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::oracle) struct Shift {
    pub(in crate::oracle) funding: String,
    pub(in crate::oracle) cause: String,
    pub(in crate::oracle) amount: i128,
    pub(in crate::oracle) settled: Settled,
}

/// What moved in the balance, where that was in another currency.
pub(in crate::oracle) fn settled_in(part: &Value) -> Option<Settled> {
    let settled = part.get("settled")?;
    Some((amount_of(settled, "amount"), text_of(settled, "currency").to_owned()))
}

impl Receipt {
    pub(super) fn shift(&mut self, (paid, currency): (i128, &str), (settled, other): (i128, &str)) {
        *self.position.entry(currency.to_owned()).or_default() += paid;
        *self.position.entry(other.to_owned()).or_default() -= settled;
    }

    /// What it was paid in.
    fn paid_in(&self) -> &str {
        self.captured.as_ref().map_or("", |(_, currency)| currency)
    }

    pub(super) fn exchange_is_left_with(&self, id: &str, books: &Books) -> Option<String> {
        if self.exchanged != u32::from(self.settled.is_some()) {
            return Some(format!("{:?} was booked {} times", self.settled, self.exchanged));
        }
        for (currency, ours) in &self.position {
            let booked = books.of("1300", currency, "funding", id);
            if booked != *ours {
                return Some(format!("1300 has {booked} {currency} by the journal, {ours} by the events"));
            }
        }
        let open = self.position.get(self.paid_in()).is_some_and(|left| *left != 0);
        let left = self.position.iter().find(|(_, left)| **left != 0);
        left.filter(|_| !open).map(|(currency, left)| format!("{left} {currency} is the result, and was not realised"))
    }
}

impl Receipts {
    /// The payment has to be told of this.
    pub(in crate::oracle) fn expect_shift(&mut self, shift: Shift) {
        self.touched.push(shift.funding.clone());
        self.shifts.push(shift);
    }

    /// What the provider has for a payment is booked, by the payment or by the escrow.
    pub(in crate::oracle) fn exchange(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let Some((amount, other)) = settled_in(&raw.data) else { return Ok(()) };
        let receipt = self.all.entry(raw.text("funding_id")?.to_owned()).or_default();
        let Some((captured, currency)) = receipt.captured.clone() else {
            return Err(raw.breaks("I5", "exchanged, and never collected"));
        };
        receipt.exchanged += 1;
        match &receipt.settled {
            Some(known) if *known != (amount, other.clone()) => {
                return Err(raw.breaks("I4", &format!("it was settled as {known:?}")));
            }
            Some(_) => {}
            None => {
                receipt.settled = Some((amount, other.clone()));
                receipt.shift((captured, &currency), (amount, &other));
            }
        }
        books.expect("1110", &currency, -captured);
        books.expect("1300", &currency, captured);
        books.expect("1300", &other, -amount);
        books.expect("1110", &other, amount);
        Ok(())
    }

    pub(super) fn follow_exchange(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("funding_id")?.to_owned();
        self.touched.push(id.clone());
        if raw.event_type == "funding.exchanged" {
            let told = (raw.amount("amount")?, raw.text("currency")?.to_owned());
            if self.all.get(&id).and_then(|receipt| receipt.captured.clone()) != Some(told) {
                return Err(raw.breaks("I4", "another amount than was collected"));
            }
            return self.exchange(raw, books);
        }
        let receipt = self.all.entry(id.clone()).or_default();
        if raw.event_type == "funding.fx_result_realised" {
            let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
            let gain = raw.text("result")? == "gain";
            let left = if gain { -amount } else { amount };
            let paid_in = receipt.paid_in().to_owned();
            let open = receipt.position.get(&paid_in).is_some_and(|left| *left != 0);
            if open || raw.text("paid_currency")? != paid_in || receipt.position.remove(currency) != Some(left) {
                return Err(raw.breaks("I4", &format!("realised of {:?}", receipt.position)));
            }
            books.expect("1300", currency, -left);
            books.expect(if gain { "4200" } else { "5300" }, currency, left);
            return Ok(());
        }
        let cause = if raw.event_type == "funding.refund_exchanged" { "refund_id" } else { "chargeback_id" };
        let (taken, other) = settled_in(&raw.data).unwrap_or_default();
        let sign = if raw.data.get("came_back").and_then(Value::as_bool).unwrap_or(false) { 1 } else { -1 };
        let (amount, taken) = (raw.amount("amount")? * sign, taken * sign);
        let cause = raw.text(cause)?.to_owned();
        let told = Shift { funding: id, cause, amount, settled: (taken, other.clone()) };
        match self.shifts.iter().position(|shift| *shift == told) {
            Some(index) => drop(self.shifts.remove(index)),
            None => return Err(raw.breaks("I4", &format!("that was not exchanged: {:?}", self.shifts))),
        }
        receipt.shift((amount, raw.text("currency")?), (taken, &other));
        Ok(())
    }
}
