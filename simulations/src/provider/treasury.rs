//! The platform's own money at the provider: top-ups, sweeps, and payouts that nobody has ordered.

use chrono::TimeDelta;
use domain::id::{SweepId, TopUpId};
use domain::ports::provider::{BankPayoutStatus, PlatformPayoutReport, ProviderReport, TopUpReport, TopUpStatus};
use domain::time::Timestamp;
use ledger::Currency;

use super::minor;
use crate::chance::Chance;

/// Own money on its way to the balance.
#[derive(Debug, Clone)]
pub(super) struct TopUp {
    pub(super) top_up_id: Option<TopUpId>,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    status: TopUpStatus,
    next: Vec<(Timestamp, TopUpStatus)>,
}

impl TopUp {
    pub(super) fn new(
        top_up_id: Option<TopUpId>,
        (amount, currency): (i64, Currency),
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        let later = |chance: &mut Chance, from: Timestamp| from + TimeDelta::hours(chance.between(1, 72));
        let at = later(chance, now);
        let next = match chance.between(0, 9) {
            0 | 1 => vec![(at, TopUpStatus::Failed { code: "insufficient_funds".to_owned() })],
            2 | 3 => vec![(at, TopUpStatus::Succeeded), (later(chance, at), TopUpStatus::Reversed)],
            _ => vec![(at, TopUpStatus::Succeeded)],
        };
        Self { top_up_id, amount, currency, status: TopUpStatus::Pending, next }
    }

    /// Whether its money is in the balance.
    pub(super) fn is_there(&self) -> bool {
        self.status == TopUpStatus::Succeeded
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> bool {
        if self.next.first().is_none_or(|(at, _)| *at > now) {
            return false;
        }
        self.status = self.next.remove(0).1;
        true
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn report(&self, name: &str) -> ProviderReport {
        ProviderReport::TopUp(TopUpReport {
            psp: "stripe".to_owned(),
            top_up_ref: name.to_owned(),
            top_up_id: self.top_up_id,
            amount: minor(self.amount),
            currency: self.currency,
            status: self.status.clone(),
        })
    }
}

/// A payout of the platform's balance.
#[derive(Debug, Clone)]
pub(super) struct PlatformPayout {
    sweep_id: Option<SweepId>,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    status: BankPayoutStatus,
    next: Vec<(Timestamp, BankPayoutStatus)>,
}

impl PlatformPayout {
    pub(super) fn new(
        sweep_id: Option<SweepId>,
        (amount, currency): (i64, Currency),
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        let arrival_at = now + TimeDelta::hours(chance.between(1, 72));
        let failed = || BankPayoutStatus::Failed { code: "account_closed".to_owned() };
        let next = match chance.between(0, 9) {
            0 | 1 => vec![(arrival_at, failed())],
            2..=5 => {
                let back_at = arrival_at + TimeDelta::hours(chance.between(1, 96));
                vec![(arrival_at, BankPayoutStatus::Paid), (back_at, failed())]
            }
            _ => vec![(arrival_at, BankPayoutStatus::Paid)],
        };
        Self { sweep_id, amount, currency, status: BankPayoutStatus::Pending { arrival_at }, next }
    }

    /// Whether its money has left the balance. The provider takes it when the payout is made; the books take what was
    /// ordered when it arrives, and what nobody ordered at once.
    pub(super) fn has_left(&self) -> bool {
        match self.status {
            BankPayoutStatus::Pending { .. } | BankPayoutStatus::InTransit { .. } => self.sweep_id.is_none(),
            BankPayoutStatus::Paid => true,
            BankPayoutStatus::Failed { .. } | BankPayoutStatus::Cancelled => false,
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> bool {
        if self.next.first().is_none_or(|(at, _)| *at > now) {
            return false;
        }
        self.status = self.next.remove(0).1;
        true
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.next.is_empty()
    }

    pub(super) fn report(&self, name: &str) -> ProviderReport {
        ProviderReport::PlatformPayout(PlatformPayoutReport {
            psp: "stripe".to_owned(),
            bank_payout_ref: name.to_owned(),
            sweep_id: self.sweep_id,
            amount: minor(self.amount),
            currency: self.currency,
            automatic: self.sweep_id.is_none(),
            status: self.status.clone(),
        })
    }
}
