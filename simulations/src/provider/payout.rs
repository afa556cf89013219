//! A payout from a payee's account at the provider to a bank.

use chrono::TimeDelta;
use domain::id::PayoutId;
use domain::ports::provider::{BankPayoutReport, BankPayoutStatus, ProviderObject, ProviderReport, TransferReport};
use domain::time::Timestamp;
use ledger::{Currency, Minor};

use super::{Provider, add};

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

impl Provider {
    /// Moves money to a payee's account. Whoever asks has looked whether there is enough.
    pub(super) fn transfer(
        &mut self,
        payout_id: PayoutId,
        (amount, currency): (Minor, Currency),
        account: &str,
        may_be_lost: bool,
    ) -> TransferReport {
        let name = self.name("tr");
        let report = TransferReport {
            transfer_ref: name.clone(),
            payout_id: Some(payout_id),
            amount,
            currency,
            reversed_by_hand: Minor::ZERO,
        };
        add(&mut self.moved_out, currency, amount.get());
        add(&mut self.accounts, (account.to_owned(), currency), amount.get());
        self.transfers.insert(name.clone(), report.clone());
        self.tell(ProviderObject::Transfer { transfer_ref: name }, may_be_lost);
        report
    }
}
