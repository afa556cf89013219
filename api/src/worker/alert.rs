//! What a person has to look at because of what the provider says.
//!
//! # Invariants
//! - The task is opened before the fact is recorded: whoever dies in between opens it again.
//! - What staff has decided about is not opened again.

use adapters::postgres::document::{self, Visible};
use adapters::postgres::task;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::log::StoreError;
use domain::ports::provider::{BankPayoutStatus, PlatformPayoutReport, ProviderReport};
use domain::process::Fact;
use domain::refund::RefundCommand;
use domain::treasury::{self, TreasuryId};
use domain::view::Document;

use crate::app::App;

/// Opens a task where a report needs somebody (D-129).
pub(super) async fn about(app: &App, report: &ProviderReport) -> Result<(), StoreError> {
    let ProviderReport::PlatformPayout(payout) = report else { return super::foreign::about(app, report).await };
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

/// A refund that waits for money is finance's task until it has gone, or will not go (D-85).
pub(super) async fn about_fact(app: &App, fact: &Fact) -> Result<(), StoreError> {
    let Command::Refund(refund_id, told) = &fact.command else { return Ok(()) };
    let subject = refund_id.to_string();
    match told {
        RefundCommand::RecordLackOfFunds => {
            let detail = format!(
                "{subject}: the provider's balance does not cover it; add own money by `POST /v1/treasury/top-ups`"
            );
            task::open(app.pool(), task::REFUND_FUNDING, &subject, &detail).await
        }
        RefundCommand::RecordSucceeded { .. }
        | RefundCommand::RecordFailed { .. }
        | RefundCommand::RecordCancelled
        | RefundCommand::RecordRefused { .. } => {
            task::close(app.pool(), task::REFUND_FUNDING, &subject).await.map(|_| ())
        }
        RefundCommand::Request { .. }
        | RefundCommand::RecordSubmitted { .. }
        | RefundCommand::RedirectToWallet
        | RefundCommand::AskAgain
        | RefundCommand::RecordPaymentTaken
        | RefundCommand::Under { .. } => Ok(()),
    }
}

/// What the one task about our key is about.
const KEY: &str = "stripe";

/// Opens a task: the provider does not take our key, or does not let it do something. What was asked is asked again.
pub(super) async fn key_is_not_taken(app: &App, why: &str) -> Result<(), StoreError> {
    task::open(app.pool(), task::PSP_KEY, KEY, &format!("{why}: look at STRIPE_SECRET_KEY")).await
}

/// Closes that task, if it is open: something that had failed has succeeded.
pub(super) async fn key_is_taken(app: &App) -> Result<(), StoreError> {
    task::close(app.pool(), task::PSP_KEY, KEY).await.map(|_| ())
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
