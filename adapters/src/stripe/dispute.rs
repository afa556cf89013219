//! Disputes and early warnings of fraud at Stripe (<https://docs.stripe.com/api/disputes>).
//!
//! # Invariants
//! - What moved is read from the dispute's balance transactions, whatever its status: money moves before, with or after it.
//! - Evidence is submitted once, and at once: what is staged only would be forgotten.
//! - An answer that comes too late is no failure: how the dispute stands is reported. So it is with conceding.
//! - Where Stripe settles in another currency than the dispute's, each booking is of the whole dispute: that is how Stripe
//!   books (none, one that takes, one that gives back: <https://docs.stripe.com/api/disputes/object>), and it does not tell
//!   the part.
//!
//! # What is deliberately absent
//! Uploading files: staff does that at Stripe, and names them.

use ::stripe::StripeRequest;
use domain::chargeback::{EvidenceBundle, Statement};
use domain::ports::provider::{
    DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, FraudWarningReport, ProviderError, ProviderReport,
};
use ledger::{Currency, Minor};
use miniserde::json;
use serde::Serialize;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_core::dispute::{CloseDispute, RetrieveDispute, UpdateDispute};
use stripe_shared::{BalanceTransaction, Dispute};
use stripe_types::Expandable;

use super::provider::{from_stripe, instant, minor, once, reference};
use super::transport::Client;
use super::{evidence, failure};

/// The charge's metadata say which funding it is.
const EXPAND: &str = "charge";

/// What to expand, in a request that this client has no type for.
#[derive(Serialize)]
struct Expanded {
    expand: [&'static str; 1],
}

/// The present state of a dispute.
pub(super) async fn look_up(client: &Client, dispute_ref: &str) -> Result<ProviderReport, ProviderError> {
    let request = RetrieveDispute::new(reference(dispute_ref)?).expand(vec![EXPAND.to_owned()]);
    report(&request.send(client).await.map_err(|error| failure::of(&error))?)
}

/// Answers a dispute.
pub(super) async fn submit(
    client: &Client,
    dispute_ref: &str,
    evidence: &EvidenceBundle,
    words: Option<&Statement>,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let sent = UpdateDispute::new(reference(dispute_ref)?)
        .evidence(evidence::fields(evidence, words)?)
        .submit(true)
        .expand(vec![EXPAND.to_owned()])
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await;
    told(client, dispute_ref, sent.map_err(|error| failure::of(&error))).await
}

/// Concedes a dispute.
pub(super) async fn close(
    client: &Client,
    dispute_ref: &str,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let sent = CloseDispute::new(reference(dispute_ref)?)
        .expand(vec![EXPAND.to_owned()])
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await;
    told(client, dispute_ref, sent.map_err(|error| failure::of(&error))).await
}

/// What Stripe says; and how the dispute stands, where it is past what was asked for.
async fn told(
    client: &Client,
    dispute_ref: &str,
    sent: Result<Dispute, ProviderError>,
) -> Result<ProviderReport, ProviderError> {
    match sent {
        Ok(dispute) => report(&dispute),
        Err(ProviderError::Refused { code }) => match look_up(client, dispute_ref).await? {
            ProviderReport::Dispute(DisputeReport {
                status: DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse,
                ..
            }) => Err(ProviderError::Refused { code }),
            past => Ok(past),
        },
        Err(error) => Err(error),
    }
}

/// An early warning of fraud. This client has no type for it.
pub(super) async fn look_up_warning(client: &Client, warning_ref: &str) -> Result<ProviderReport, ProviderError> {
    let path = format!("/radar/early_fraud_warnings/{}", reference(warning_ref)?);
    let request = RequestBuilder::new(StripeMethod::Get, path).query(&Expanded { expand: [EXPAND] });
    let answer = request.customize::<json::Value>().send(client).await.map_err(|error| failure::of(&error))?;
    let unreadable = || ProviderError::Unusable("a warning of fraud that cannot be read".to_owned());
    let json::Value::Object(warning) = answer else { return Err(unreadable()) };
    let Some(json::Value::Object(charge)) = warning.get("charge") else { return Err(unreadable()) };
    let Some(json::Value::String(charge_ref)) = charge.get("id") else { return Err(unreadable()) };
    let funding_id = match charge.get("metadata") {
        Some(json::Value::Object(metadata)) => match metadata.get("funding_id") {
            Some(json::Value::String(id)) => id.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    let (warning_ref, charge_ref) = (warning_ref.to_owned(), charge_ref.clone());
    Ok(ProviderReport::FraudWarning(FraudWarningReport { warning_ref, funding_id, charge_ref }))
}

fn report(dispute: &Dispute) -> Result<ProviderReport, ProviderError> {
    use stripe_shared::DisputeStatus as S;
    let status = match &dispute.status {
        S::WarningNeedsResponse => DisputeStatus::WarningNeedsResponse,
        S::WarningUnderReview => DisputeStatus::WarningUnderReview,
        S::WarningClosed => DisputeStatus::WarningClosed,
        S::NeedsResponse => DisputeStatus::NeedsResponse,
        S::UnderReview => DisputeStatus::UnderReview,
        S::Won => DisputeStatus::Won,
        S::Lost => DisputeStatus::Lost,
        other => return Err(ProviderError::Unusable(format!("unknown status {other}"))),
    };
    let Expandable::Object(charge) = &dispute.charge else {
        return Err(ProviderError::Unusable("a dispute without its charge".to_owned()));
    };
    let waits = matches!(status, DisputeStatus::NeedsResponse | DisputeStatus::WarningNeedsResponse);
    let due_by = dispute.evidence_details.due_by.filter(|_| waits);
    let currency = from_stripe(&dispute.currency)?;
    let amount = minor(dispute.amount, currency)?;
    // Stripe does not say in which order it lists them.
    let mut booked: Vec<_> = dispute.balance_transactions.iter().collect();
    booked.sort_by_key(|booked| booked.created);
    Ok(ProviderReport::Dispute(DisputeReport {
        dispute_ref: dispute.id.to_string(),
        funding_id: charge.metadata.get("funding_id").and_then(|id| id.parse().ok()),
        charge_ref: charge.id.to_string(),
        status,
        reason: dispute.reason.clone(),
        amount,
        currency,
        evidence_due_by: due_by.map(instant).transpose()?,
        movements: booked.into_iter().map(|booked| movement(booked, (amount, currency))).collect::<Result<_, _>>()?,
    }))
}

/// A fee below zero is one that comes back.
fn movement(booked: &BalanceTransaction, disputed: (Minor, Currency)) -> Result<DisputeMovement, ProviderError> {
    let currency = from_stripe(&booked.currency)?;
    let direction = match booked.reporting_category.as_str() {
        "dispute" => DisputeDirection::Withdrawn,
        "dispute_reversal" => DisputeDirection::Reinstated,
        other => return Err(ProviderError::Unusable(format!("a dispute's booking of the category {other}"))),
    };
    let agrees = match direction {
        DisputeDirection::Withdrawn => booked.amount <= 0,
        DisputeDirection::Reinstated => booked.amount >= 0,
    };
    if !agrees {
        return Err(ProviderError::Unusable("a dispute's booking that goes the wrong way".to_owned()));
    }
    let fee = minor(booked.fee.saturating_abs(), currency)?;
    let (fee, fee_returned) = if booked.fee < 0 { (Minor::ZERO, fee) } else { (fee, Minor::ZERO) };
    Ok(DisputeMovement {
        balance_transaction_ref: booked.id.to_string(),
        direction,
        amount: minor(booked.amount.saturating_abs(), currency)?,
        fee,
        fee_returned,
        currency,
        paid: (currency != disputed.1).then_some(disputed.0),
        booked_on: instant(booked.created)?.date_naive(),
    })
}
