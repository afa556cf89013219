//! Money between the platform, accounts of payees, and banks, at Stripe.
//!
//! # Invariants
//! - A movement carries our ids as metadata, and its payout's id as group: it is found again when an answer is lost.
//! - Statuses are mapped by what they are, never by the order in which they are told; one that is not known is no report.

use std::collections::HashMap;

use ::stripe::StripeRequest;
use domain::id::{PartyId, PayoutId, TransferReversalId};
use domain::ports::history::Found;
use domain::ports::provider::{ProviderError, ProviderReport, TransferReversalReport};
use ledger::{Currency, Minor};
use stripe_connect::transfer::CreateTransfer;
use stripe_connect::transfer_reversal::{CreateIdTransferReversal, ListIdTransferReversal, RetrieveTransferReversal};
use stripe_core::payout::CreatePayout;
use stripe_shared::TransferReversal;

use super::failure;
use super::provider::{
    account_id, from_stripe, minor, once, payout_report, reference, to_stripe, transfer_report, units,
};
use super::transport::Client;

/// Reversals of one transfer that are looked through: the most that Stripe lists at once, and more than we make.
const LISTED: i64 = 100;

/// Moves `amount` from the platform to a payee's account: only what is not there yet.
pub(super) async fn transfer(
    client: &Client,
    (payout_id, payee_id): (PayoutId, PartyId),
    (amount, currency): (Minor, Currency),
    account: &str,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let metadata =
        HashMap::from([("payout_id".to_owned(), payout_id.to_string()), ("payee_id".to_owned(), payee_id.to_string())]);
    let transfer = CreateTransfer::new(to_stripe(currency)?, account)
        .amount(units(amount, currency)?)
        .metadata(metadata)
        .transfer_group(payout_id.to_string())
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    transfer_report(&transfer)
}

/// Pays `amount` from a payee's account to the bank.
pub(super) async fn pay(
    client: &Client,
    payout_id: PayoutId,
    (amount, currency): (Minor, Currency),
    account: &str,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let payout = CreatePayout::new(units(amount, currency)?, to_stripe(currency)?)
        .metadata(HashMap::from([("payout_id".to_owned(), payout_id.to_string())]))
        .customize()
        .account_id(account_id(account)?)
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    payout_report(&payout, account)
}

/// Takes `amount` of a transfer back to the platform.
pub(super) async fn reverse(
    client: &Client,
    (reversal_id, payout_id): (TransferReversalId, PayoutId),
    transfer_ref: &str,
    (amount, currency): (Minor, Currency),
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let metadata = HashMap::from([
        ("reversal_id".to_owned(), reversal_id.to_string()),
        ("payout_id".to_owned(), payout_id.to_string()),
    ]);
    let reversal = CreateIdTransferReversal::new(reference(transfer_ref)?)
        .amount(units(amount, currency)?)
        .metadata(metadata)
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    reversal_report(&reversal)
}

/// The present state of a reversal.
pub(super) async fn look_up_reversal(
    client: &Client,
    transfer_ref: &str,
    reversal_ref: &str,
) -> Result<ProviderReport, ProviderError> {
    let reversal = RetrieveTransferReversal::new(reference(reversal_ref)?, reference(transfer_ref)?).send(client).await;
    reversal_report(&reversal.map_err(|error| failure::of(&error))?)
}

/// Looks for a reversal among those of its transfer.
pub(super) async fn find_reversal(
    client: &Client,
    reversal_id: TransferReversalId,
    transfer_ref: &str,
) -> Result<Found, ProviderError> {
    let listed = ListIdTransferReversal::new(reference(transfer_ref)?).limit(LISTED).send(client).await;
    let listed = listed.map_err(|error| failure::of(&error))?;
    let id = reversal_id.to_string();
    let ours = listed.data.iter().find(|reversal| ours(reversal, "reversal_id") == Some(&id));
    match ours {
        Some(reversal) => Ok(Found::Reports(vec![reversal_report(reversal)?])),
        None if listed.has_more => Ok(Found::Uncertain("a transfer with more reversals than are read".to_owned())),
        None => Ok(Found::Absent),
    }
}

fn ours<'a>(reversal: &'a TransferReversal, key: &str) -> Option<&'a String> {
    reversal.metadata.as_ref()?.get(key)
}

fn reversal_report(reversal: &TransferReversal) -> Result<ProviderReport, ProviderError> {
    let currency = from_stripe(&reversal.currency)?;
    Ok(ProviderReport::TransferReversal(TransferReversalReport {
        reversal_ref: reversal.id.to_string(),
        reversal_id: ours(reversal, "reversal_id").and_then(|id| id.parse().ok()),
        payout_id: ours(reversal, "payout_id").and_then(|id| id.parse().ok()),
        amount: minor(reversal.amount, currency)?,
        currency,
    }))
}
