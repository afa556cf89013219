//! What a person has to look at because of what the provider says.
//!
//! # Invariants
//! - The task is opened before the fact is recorded: whoever dies in between opens it again.
//! - What staff has decided about is not opened again.

use std::collections::BTreeSet;

use adapters::postgres::document::{self, Visible};
use adapters::postgres::{log_reader, task};
use domain::aggregate::AggregateState;
use domain::log::StoreError;
use domain::ports::provider::{BankPayoutStatus, PlatformPayoutReport, ProviderReport};
use domain::treasury::{self, Coverage, TreasuryId};
use domain::view::Document;
use ledger::Currency;

use crate::app::App;

/// Opens a task where a report needs somebody (D-129).
pub(super) async fn about(app: &App, report: &ProviderReport) -> Result<(), StoreError> {
    let ProviderReport::PlatformPayout(payout) = report else { return Ok(()) };
    let gone = !matches!(payout.status, BankPayoutStatus::Failed { .. } | BankPayoutStatus::Cancelled);
    if !gone || payout.sweep_id.is_some() || is_decided(app, payout).await? {
        return Ok(());
    }
    let PlatformPayoutReport { bank_payout_ref, amount, currency, automatic, .. } = payout;
    let why = if *automatic { "by itself: switch automatic payouts off" } else { "for somebody else than us" };
    let detail = format!(
        "{bank_payout_ref}: the provider pays {} {currency} of the platform's balance out {why}; it is booked as \
         unexplained (J84) until `POST /v1/treasury/payouts/{bank_payout_ref}/adopt` takes it as taken by the platform",
        amount.get()
    );
    tracing::error!(detail, "a payout of the platform that nobody here has ordered");
    task::open(app.pool(), task::PLATFORM_PAYOUT, bank_payout_ref, &detail).await
}

/// Publishes the coverage (B.11) of every currency.
pub(super) async fn measure_coverage(app: &App) -> Result<(), StoreError> {
    let (_, books) = log_reader::trial_balance(app.pool()).await?;
    let currencies: BTreeSet<Currency> = books.iter().map(|(_, currency, _)| currency).collect();
    for currency in currencies {
        let surplus = Coverage::of(&books, currency).surplus();
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("ledger_coverage_minor", "currency" => currency.code()).set(surplus as f64);
    }
    Ok(())
}

async fn is_decided(app: &App, payout: &PlatformPayoutReport) -> Result<bool, StoreError> {
    let id = TreasuryId { psp: payout.psp.clone(), currency: payout.currency };
    let stored = document::one(app.pool(), &treasury::stream(&id), Visible::ToStaff).await?;
    let Some(Document::Aggregate(AggregateState::Treasury(state))) = stored.map(|stored| stored.document) else {
        return Ok(false);
    };
    let known = state.foreign_payouts.get(&payout.bank_payout_ref);
    Ok(known.is_some_and(|known| known.adopted || known.returned))
}
