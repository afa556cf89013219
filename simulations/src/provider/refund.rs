//! Money that the provider sends back to a client.
//!
//! # Invariants
//! - It is taken from the platform's available balance when it is ordered, and comes back there when it fails.

use chrono::TimeDelta;
use domain::id::RefundId;
use domain::ports::provider::{ProviderReport, RefundReport, RefundStatus};
use domain::time::Timestamp;
use ledger::Currency;

use crate::chance::Chance;

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
    /// What becomes of it, in turn.
    next: Vec<(Timestamp, RefundStep)>,
}

impl Refund {
    pub(super) fn new(
        (refund_id, payment): (RefundId, String),
        (amount, currency): (i64, Currency),
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
        Self { refund_id, payment, amount, currency, status, next }
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
        let status = match self.status {
            RefundStep::Pending => RefundStatus::Pending,
            RefundStep::Succeeded => {
                RefundStatus::Succeeded { balance_transaction_ref: Some(format!("txn_{name}")), taken: None }
            }
            RefundStep::Failed => RefundStatus::Failed { code: "expired_or_canceled_card".to_owned(), came_back: None },
            RefundStep::Cancelled => RefundStatus::Cancelled,
        };
        ProviderReport::Refund(RefundReport { refund_ref: name.to_owned(), refund_id: Some(self.refund_id), status })
    }
}
