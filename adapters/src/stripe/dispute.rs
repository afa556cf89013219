//! Disputes and early warnings of fraud at Stripe (<https://docs.stripe.com/api/disputes>).
//!
//! # Invariants
//! - What moved is read from the dispute's balance transactions, whatever its status: money moves before, with or after it.
//! - Evidence is submitted once, and at once: what is staged only would be forgotten.
//! - An answer that comes too late is no failure: how the dispute stands is reported.
//!
//! # What is deliberately absent
//! Files. Evidence that Stripe has a field of its own for, but that says who somebody is: the log has none of it.

use std::fmt::Write as _;

use ::stripe::StripeRequest;
use domain::chargeback::EvidenceBundle;
use domain::ports::provider::{
    DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, FraudWarningReport, ProviderError, ProviderReport,
};
use ledger::{Currency, Minor, Money};
use miniserde::json;
use serde::Serialize;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_core::dispute::{RetrieveDispute, UpdateDispute, UpdateDisputeEvidence};
use stripe_shared::{BalanceTransaction, Dispute};
use stripe_types::Expandable;

use super::failure;
use super::provider::{from_stripe, instant, minor, once, reference};
use super::transport::Client;

/// Characters that Stripe takes in one field of evidence.
const FIELD_MAX: usize = 20_000;

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
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let sent = UpdateDispute::new(reference(dispute_ref)?)
        .evidence(texts(evidence)?)
        .submit(true)
        .expand(vec![EXPAND.to_owned()])
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await;
    match sent.map_err(|error| failure::of(&error)) {
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
    // Stripe does not say in which order it lists them.
    let mut booked: Vec<_> = dispute.balance_transactions.iter().collect();
    booked.sort_by_key(|booked| booked.created);
    Ok(ProviderReport::Dispute(DisputeReport {
        dispute_ref: dispute.id.to_string(),
        funding_id: charge.metadata.get("funding_id").and_then(|id| id.parse().ok()),
        charge_ref: charge.id.to_string(),
        status,
        reason: dispute.reason.clone(),
        amount: minor(dispute.amount, currency)?,
        currency,
        evidence_due_by: due_by.map(instant).transpose()?,
        movements: booked.into_iter().map(movement).collect::<Result<_, _>>()?,
    }))
}

/// A fee below zero is one that comes back.
fn movement(booked: &BalanceTransaction) -> Result<DisputeMovement, ProviderError> {
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
        booked_on: instant(booked.created)?.date_naive(),
    })
}

/// The document as texts that a person at a bank reads.
fn texts(evidence: &EvidenceBundle) -> Result<UpdateDisputeEvidence, ProviderError> {
    let currency = evidence.currency;
    let money = |amount: Minor| written(amount, currency);
    let digest = evidence.digest().map_err(|refusal| ProviderError::Unusable(refusal.to_string()))?;
    let mut agreed = format!(
        "Contract {} between client {} and payee {}, accepted by both at {}.\n",
        evidence.contract_id, evidence.client_id, evidence.payee_id, evidence.accepted_at
    );
    let mut done = String::new();
    // Writing to a string does not fail.
    if let Some(terms) = &evidence.terms_digest {
        let _ = writeln!(agreed, "SHA-256 of the terms: {terms}.");
    }
    for milestone in &evidence.milestones {
        let _ = writeln!(agreed, "Milestone {}: {}.", milestone.milestone_id, money(milestone.amount));
        for step in &milestone.steps {
            let what = serde_json::to_value(step.what).ok();
            let word = what.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ");
            let _ = write!(done, "{} milestone {}: {word}", step.at, milestone.milestone_id);
            if let Some(number) = step.submission_no {
                let _ = write!(done, ", delivery {number}");
            }
            if let Some(amount) = step.amount {
                let _ = write!(done, ", {}", money(amount));
            }
            done.push_str(".\n");
        }
    }
    let mut paid = String::new();
    for payment in &evidence.payments {
        let _ = writeln!(
            paid,
            "{} payment {} by charge {}: {}.",
            payment.collected_at,
            payment.funding_id,
            payment.charge_ref,
            written(payment.captured, payment.currency)
        );
    }
    let _ = writeln!(paid, "SHA-256 of the whole document: {digest}.");
    let mut texts = UpdateDisputeEvidence::new();
    texts.product_description = Some(cut(agreed));
    texts.access_activity_log = Some(cut(done)).filter(|text| !text.is_empty());
    texts.uncategorized_text = Some(cut(paid));
    Ok(texts)
}

fn written(amount: Minor, currency: Currency) -> String {
    Money::new(i128::from(amount.get()), currency).to_string()
}

/// As much as fits, from the beginning.
fn cut(text: String) -> String {
    match text.char_indices().nth(FIELD_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}
