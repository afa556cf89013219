//! Refunds at Stripe (<https://docs.stripe.com/api/refunds>).
//!
//! # Invariants
//! - A refund names its charge, never the payment alone: of a payment tried twice only one charge was paid.
//! - A charge that is refunded already may be so by this very refund, whose key Stripe has forgotten: it is looked for
//!   among the charge's refunds before the order counts as refused.
//!
//! # What is deliberately absent
//! Reversal of transfers and application fees: nothing is charged on behalf of a connected account. Cancelling a refund:
//! Stripe allows it only while the client has to act, which no card asks for.

use std::collections::HashMap;

use ::stripe::{Client, StripeRequest};
use domain::id::RefundId;
use domain::ports::provider::{ProviderError, ProviderReport, RefundReport, RefundStatus};
use stripe_core::refund::{CreateRefund, ListRefund, RetrieveRefund};
use stripe_shared::{Refund, RefundPendingReason};
use stripe_types::Expandable;

use super::failure;
use super::provider::{once, reference};

/// Refunds of one charge that are looked through: the most that Stripe lists at once. A charge is refunded in as many
/// parts as milestones are paid with it, and ours have fewer.
const LISTED: i64 = 100;

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
    let refund = RetrieveRefund::new(reference(refund_ref)?).send(client).await;
    report(&refund.map_err(|error| failure::of(&error))?)
}

/// The refund of this id among those of a charge, by the metadata that we sent along.
async fn find(client: &Client, refund_id: RefundId, charge_ref: &str) -> Result<Option<Refund>, ProviderError> {
    let listed = ListRefund::new().charge(reference(charge_ref)?).limit(LISTED).send(client).await;
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
        Some("succeeded") => RefundStatus::Succeeded {
            balance_transaction_ref: refund.balance_transaction.as_ref().map(|booked| match booked {
                Expandable::Id(id) => id.to_string(),
                Expandable::Object(booked) => booked.id.to_string(),
            }),
        },
        Some("failed") => {
            RefundStatus::Failed { code: refund.failure_reason.clone().unwrap_or_else(|| "unknown".to_owned()) }
        }
        Some("canceled") => RefundStatus::Cancelled,
        other => return Err(ProviderError::Unusable(format!("unknown status {}", other.unwrap_or("null")))),
    };
    Ok(ProviderReport::Refund(RefundReport { refund_ref: refund.id.to_string(), refund_id: ours(refund), status }))
}
