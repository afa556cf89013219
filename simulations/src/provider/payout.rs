//! A payout from a payee's account at the provider to a bank.

use chrono::TimeDelta;
use domain::id::PayoutId;
use domain::ports::provider::{BankPayoutReport, BankPayoutStatus, ProviderReport};
use domain::time::Timestamp;
use ledger::Currency;

#[derive(Debug, Clone)]
pub(super) struct BankPayout {
    pub(super) payout_id: PayoutId,
    pub(super) account: String,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) created_at: Timestamp,
    pub(super) arrival_at: Timestamp,
    pub(super) status: BankStep,
    pub(super) fails: bool,
    pub(super) returned_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BankStep {
    OnItsWay,
    Paid,
    Failed,
}

impl BankPayout {
    pub(super) fn report(&self, name: &str, now: Timestamp) -> ProviderReport {
        let arrival_at = self.arrival_at;
        let status = match self.status {
            BankStep::OnItsWay if now < self.created_at + TimeDelta::hours(2) => {
                BankPayoutStatus::Pending { arrival_at }
            }
            BankStep::OnItsWay => BankPayoutStatus::InTransit { arrival_at },
            BankStep::Paid => BankPayoutStatus::Paid,
            BankStep::Failed => BankPayoutStatus::Failed { code: "account_closed".to_owned() },
        };
        ProviderReport::BankPayout(BankPayoutReport {
            bank_payout_ref: name.to_owned(),
            payout_id: Some(self.payout_id),
            account: self.account.clone(),
            status,
        })
    }
}
