//! Refunds at Stripe (<https://docs.stripe.com/api/refunds>).
//!
//! # Invariants
//! - A refund names its charge, never the payment alone: of a payment tried twice only one charge was paid.
//! - What a refund took, or brought back, is read from its balance transactions: their currency is that of the balance,
//!   which is not the charge's where Stripe had exchanged it.
//! - A charge that is refunded already may be so by this very refund, whose key Stripe has forgotten: it is looked for
//!   among the charge's refunds before the order counts as refused.
//!
//! # What is deliberately absent
//! Reversal of transfers and application fees: nothing is charged on behalf of a connected account. Cancelling a refund:
//! Stripe allows it only while the client has to act, which no card asks for.

use std::collections::HashMap;

use ::stripe::StripeRequest;
use domain::exchange::Settled;
use domain::id::RefundId;
use domain::ports::provider::{ProviderError, ProviderReport, RefundReport, RefundStatus};
use stripe_core::refund::{CreateRefund, ListRefund, RetrieveRefund};
use stripe_shared::{BalanceTransaction, Refund, RefundPendingReason};
use stripe_types::Expandable;

use super::failure;
use super::provider::{from_stripe, minor, once, reference};
use super::transport::Client;

/// Refunds of one charge that are looked through: the most that Stripe lists at once. A charge is refunded in as many
/// parts as milestones are paid with it, and ours have fewer.
const LISTED: i64 = 100;

/// What a report of a refund needs beside the refund.
const EXPAND: [&str; 2] = ["balance_transaction", "failure_balance_transaction"];

/// Stripe's word for a charge of which nothing is left.
const ALREADY_REFUNDED: &str = "charge_already_refunded";

/// Sends `amount`, in Stripe's units, back to where the charge came from.
pub(super) async fn create(
    client: &Client,
    refund_id: RefundId,
    charge_ref: &str,
    amount: i64,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let sent = CreateRefund::new()
        .charge(reference(charge_ref)?)
        .amount(amount)
        .metadata(HashMap::from([("refund_id".to_owned(), refund_id.to_string())]))
        .expand(EXPAND.map(str::to_owned))
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await;
    match sent.map_err(|error| failure::of(&error)) {
        Ok(refund) => report(&refund),
        Err(ProviderError::Refused { code }) if code == ALREADY_REFUNDED => {
            match find(client, refund_id, charge_ref).await? {
                Some(refund) => report(&refund),
                None => Err(ProviderError::Refused { code }),
            }
        }
        // Of a refund it is our balance that is meant, not the client's.
        Err(ProviderError::Refused { code }) if code == "insufficient_funds" => {
            Err(ProviderError::Refused { code: "balance_insufficient".to_owned() })
        }
        Err(error) => Err(error),
    }
}

/// The present state of a refund.
pub(super) async fn look_up(client: &Client, refund_ref: &str) -> Result<ProviderReport, ProviderError> {
    let refund = RetrieveRefund::new(reference(refund_ref)?).expand(EXPAND.map(str::to_owned)).send(client).await;
    report(&refund.map_err(|error| failure::of(&error))?)
}

/// The refund of this id among those of a charge, by the metadata that we sent along.
async fn find(client: &Client, refund_id: RefundId, charge_ref: &str) -> Result<Option<Refund>, ProviderError> {
    let expand = EXPAND.map(|field| format!("data.{field}"));
    let listed = ListRefund::new().charge(reference(charge_ref)?).limit(LISTED).expand(expand).send(client).await;
    let listed = listed.map_err(|error| match failure::of(&error) {
        // Of the list, and so no answer to the order.
        ProviderError::Refused { code } => ProviderError::Unknown(format!("refunds cannot be listed: {code}")),
        error => error,
    })?;
    let found = listed.data.into_iter().find(|refund| ours(refund) == Some(refund_id));
    if found.is_none() && listed.has_more {
        return Err(ProviderError::Unusable("a charge with more refunds than are looked through".to_owned()));
    }
    Ok(found)
}

fn ours(refund: &Refund) -> Option<RefundId> {
    refund.metadata.as_ref()?.get("refund_id")?.parse().ok()
}

fn report(refund: &Refund) -> Result<ProviderReport, ProviderError> {
    let status = match refund.status.as_deref() {
        Some("pending") if refund.pending_reason == Some(RefundPendingReason::InsufficientFunds) => {
            RefundStatus::WaitsForFunds
        }
        // What the client has to do (tell a bank account) is between Stripe and the client.
        Some("pending" | "requires_action") => RefundStatus::Pending,
        Some("succeeded") => {
            let booked = booked(refund.balance_transaction.as_ref())?;
            RefundStatus::Succeeded {
                balance_transaction_ref: booked.map(|booked| booked.id.to_string()),
                taken: exchanged(refund, booked)?,
            }
        }
        Some("failed") => RefundStatus::Failed {
            code: refund.failure_reason.clone().unwrap_or_else(|| "unknown".to_owned()),
            came_back: exchanged(refund, booked(refund.failure_balance_transaction.as_ref())?)?,
        },
        Some("canceled") => RefundStatus::Cancelled,
        other => return Err(ProviderError::Unusable(format!("unknown status {}", other.unwrap_or("null")))),
    };
    Ok(ProviderReport::Refund(RefundReport { refund_ref: refund.id.to_string(), refund_id: ours(refund), status }))
}

fn booked(entry: Option<&Expandable<BalanceTransaction>>) -> Result<Option<&BalanceTransaction>, ProviderError> {
    match entry {
        None => Ok(None),
        Some(Expandable::Object(booked)) => Ok(Some(booked)),
        Some(Expandable::Id(_)) => {
            Err(ProviderError::Unusable("a balance transaction that was not expanded".to_owned()))
        }
    }
}

/// What moved in the balance, where that is of another currency than the refund.
fn exchanged(refund: &Refund, booked: Option<&BalanceTransaction>) -> Result<Option<Settled>, ProviderError> {
    let Some(booked) = booked.filter(|booked| booked.currency != refund.currency) else {
        return Ok(None);
    };
    let out_of_range = || ProviderError::Unusable("an amount out of range".to_owned());
    // Signed: what goes out is below zero.
    let moved = booked.amount.checked_abs().ok_or_else(out_of_range)?;
    let currency = from_stripe(&booked.currency)?;
    Ok(Some(Settled { amount: minor(moved, currency)?, currency }))
}
