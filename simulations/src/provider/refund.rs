//! Money that the provider sends back to a client.
//!
//! # Invariants
//! - It is taken from the platform's available balance when it is ordered, and comes back there when it fails.

use chrono::TimeDelta;
use domain::exchange::Settled;
use domain::id::RefundId;
use domain::ports::provider::{ProviderObject, ProviderOrder, ProviderReport, RefundReport, RefundStatus};
use domain::time::Timestamp;
use ledger::Currency;

use super::payment::PaymentStep;
use super::{Provider, minor};
use crate::chance::Chance;
use crate::failure::Violation;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundStep {
    Pending,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Refund {
    refund_id: RefundId,
    pub(super) payment: String,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) status: RefundStep,
    /// What it takes from a balance in another currency.
    settled: Option<(i64, Currency)>,
    /// What becomes of it, in turn.
    next: Vec<(Timestamp, RefundStep)>,
}

impl Refund {
    /// One that has arrived, and stays where it is.
    pub(super) fn arrived(refund_id: RefundId, payment: String, (amount, currency): (i64, Currency)) -> Self {
        Self { refund_id, payment, amount, currency, status: RefundStep::Succeeded, settled: None, next: Vec::new() }
    }

    pub(super) fn new(
        (refund_id, payment): (RefundId, String),
        (amount, currency): (i64, Currency),
        settled: Option<(i64, Currency)>,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        let mut at = now;
        let mut later = |chance: &mut Chance| {
            at += TimeDelta::hours(chance.between(1, 96));
            at
        };
        let (status, next) = match chance.between(0, 99) {
            0..=54 => (RefundStep::Succeeded, Vec::new()),
            55..=74 => (RefundStep::Pending, vec![(later(chance), RefundStep::Succeeded)]),
            75..=81 => (RefundStep::Pending, vec![(later(chance), RefundStep::Failed)]),
            82..=84 => (RefundStep::Failed, Vec::new()),
            85..=89 => (RefundStep::Pending, vec![(later(chance), RefundStep::Cancelled)]),
            90..=95 => (RefundStep::Succeeded, vec![(later(chance), RefundStep::Failed)]),
            _ => {
                let steps = vec![(later(chance), RefundStep::Succeeded), (later(chance), RefundStep::Failed)];
                (RefundStep::Pending, steps)
            }
        };
        Self { refund_id, payment, amount, currency, status, settled, next }
    }

    /// What it takes from the balance, and in which currency.
    pub(super) fn taken(&self) -> (i64, Currency) {
        self.settled.unwrap_or((self.amount, self.currency))
    }

    /// Whether its money is not the platform's any more.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.status, RefundStep::Pending | RefundStep::Succeeded)
    }

    /// Goes on, if it is time. Returns what it was before.
    pub(super) fn tick(&mut self, now: Timestamp) -> Option<RefundStep> {
        let (at, step) = self.next.first().copied()?;
        if at > now {
            return None;
        }
        self.next.remove(0);
        Some(std::mem::replace(&mut self.status, step))
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn report(&self, name: &str) -> ProviderReport {
        let settled = self.settled.map(|(amount, currency)| Settled { amount: minor(amount), currency });
        let status = match self.status {
            RefundStep::Pending => RefundStatus::Pending,
            RefundStep::Succeeded => {
                RefundStatus::Succeeded { balance_transaction_ref: Some(format!("txn_{name}")), taken: settled }
            }
            RefundStep::Failed => {
                RefundStatus::Failed { code: "expired_or_canceled_card".to_owned(), came_back: settled }
            }
            RefundStep::Cancelled => RefundStatus::Cancelled,
        };
        ProviderReport::Refund(RefundReport { refund_ref: name.to_owned(), refund_id: Some(self.refund_id), status })
    }
}

impl Provider {
    /// Sends a part of a payment back, if there is enough of it and enough in the balance.
    pub(super) fn send_back(
        &mut self,
        order: &ProviderOrder,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Result<ProviderReport, String> {
        let ProviderOrder::Refund { refund_id, payment_ref, charge_ref, amount, currency, .. } = order else {
            return Err("internal".to_owned());
        };
        let platform = self.platform(now);
        let known = self.payments.get_mut(payment_ref).filter(|payment| payment.charge_ref == *charge_ref);
        let Some(payment) = known.filter(|payment| matches!(payment.status, PaymentStep::Succeeded { .. })) else {
            return Err("charge_not_found".to_owned());
        };
        if payment.returned.is_some()
            || self.disputes.values().any(|it| it.charge_ref == *charge_ref && it.blocks_refunds())
        {
            self.happened.push("provider refused a refund of what a bank has");
            return Err("charge_disputed".to_owned());
        }
        let gone = payment.sent_back.saturating_add(amount.get());
        if gone > payment.captured || payment.currency != *currency {
            let found = format!("{refund_id}: {gone} of the {} of {payment_ref} would go back", payment.captured);
            self.violations.push(Violation::new("I5", found));
            return Err("charge_already_refunded".to_owned());
        }
        let (lies_in, taken) = (payment.lies_in(), payment.in_balance(amount.get(), chance));
        if platform.get(&lies_in).is_none_or(|(_, available)| *available < taken) {
            self.happened.push("provider lacks money for a refund");
            return Err("balance_insufficient".to_owned());
        }
        if chance.per_mille(80) {
            self.happened.push("provider refused a refund");
            return Err("charge_disputed".to_owned());
        }
        let settled = payment.settled.map(|(_, currency)| (taken, currency));
        payment.sent_back = gone;
        let name = self.name("re");
        let refund = Refund::new((*refund_id, payment_ref.clone()), (amount.get(), *currency), settled, now, chance);
        if !refund.has_left()
            && let Some(payment) = self.payments.get_mut(payment_ref)
        {
            payment.sent_back = payment.sent_back.saturating_sub(amount.get());
        }
        let report = refund.report(&name);
        self.refunds.insert(name.clone(), refund);
        self.tell(ProviderObject::Refund { refund_ref: name }, true);
        Ok(report)
    }
}
