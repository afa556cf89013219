//! The platform's own money at Stripe: top-ups (<https://docs.stripe.com/api/topups>) and payouts of the platform's
//! balance (<https://docs.stripe.com/api/payouts>).
//!
//! # Invariants
//! - What was ordered here carries our id as metadata; what carries none was made by somebody else, or by Stripe.
//!
//! # What is deliberately absent
//! Choosing a bank account: both use the platform's default one of the currency.

use std::collections::{BTreeMap, HashMap};

use ::stripe::StripeRequest;
use domain::id::{SweepId, TopUpId};
use domain::ports::history::Found;
use domain::ports::provider::{PlatformPayoutReport, ProviderError, ProviderReport, TopUpReport, TopUpStatus};
use domain::reaction::PSP;
use domain::time::Timestamp;
use ledger::{Currency, Minor};
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_core::payout::{CreatePayout, RetrievePayout};
use stripe_shared::{Payout, Topup};

use super::failure;
use super::provider::{from_stripe, minor, once, payout_status, reference, to_stripe, units};
use super::transport::Client;

/// Name of the metadata value that is a top-up's id of ours.
const TOP_UP_ID: &str = "top_up_id";
/// Name of the metadata value that is a sweep's id of ours.
const SWEEP_ID: &str = "sweep_id";

/// Objects on a page: Stripe's most.
const PAGE: &str = "100";
/// Pages read at most for one search. There are a few objects of each kind in a month.
const PAGES: usize = 100;

/// Takes own money from the platform's bank.
pub(super) async fn top_up(
    client: &Client,
    top_up_id: TopUpId,
    amount: Minor,
    currency: Currency,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let fields = BTreeMap::from([
        ("amount", units(amount, currency)?.to_string()),
        ("currency", to_stripe(currency)?.to_string()),
        ("description", format!("Earnest {top_up_id}")),
        ("metadata[top_up_id]", top_up_id.to_string()),
    ]);
    let request = RequestBuilder::new(StripeMethod::Post, "/topups").form(&fields).customize::<Topup>();
    let made = request.request_strategy(once(idempotency_key)?).send(client).await;
    top_up_report(&made.map_err(|error| failure::of(&error))?)
}

/// The present state of a top-up.
pub(super) async fn look_up_top_up(client: &Client, top_up_ref: &str) -> Result<ProviderReport, ProviderError> {
    let path = format!("/topups/{}", reference(top_up_ref)?);
    let read = RequestBuilder::new(StripeMethod::Get, path).customize::<Topup>().send(client).await;
    top_up_report(&read.map_err(|error| failure::of(&error))?)
}

/// Pays own money to the platform's bank.
pub(super) async fn pay_platform(
    client: &Client,
    sweep_id: SweepId,
    amount: Minor,
    currency: Currency,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let payout = CreatePayout::new(units(amount, currency)?, to_stripe(currency)?)
        .metadata(HashMap::from([(SWEEP_ID.to_owned(), sweep_id.to_string())]))
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await;
    platform_report(&payout.map_err(|error| failure::of(&error))?)
}

/// The present state of a payout of the platform's balance.
pub(super) async fn look_up_payout(client: &Client, payout_ref: &str) -> Result<ProviderReport, ProviderError> {
    let payout = RetrievePayout::new(reference(payout_ref)?).send(client).await;
    platform_report(&payout.map_err(|error| failure::of(&error))?)
}

/// Looks for a top-up of ours since then.
pub(super) async fn find_top_up(client: &Client, id: TopUpId, since: Timestamp) -> Result<Found, ProviderError> {
    let id = id.to_string();
    let report = |top_up: &Topup| (top_up.metadata.get(TOP_UP_ID) == Some(&id)).then(|| top_up_report(top_up));
    let (id_of, created) = (|top_up: &Topup| top_up.id.to_string(), |top_up: &Topup| top_up.created);
    find::<Topup>(client, "/topups", since, (id_of, created), report).await
}

/// Looks for a payout of the platform of ours, however old.
pub(super) async fn find_payout(client: &Client, id: SweepId) -> Result<Found, ProviderError> {
    let id = id.to_string();
    let ours = |payout: &Payout| payout.metadata.as_ref().and_then(|metadata| metadata.get(SWEEP_ID)) == Some(&id);
    let report = |payout: &Payout| ours(payout).then(|| platform_report(payout));
    let (id_of, created) = (|payout: &Payout| payout.id.to_string(), |payout: &Payout| payout.created);
    find::<Payout>(client, "/payouts", Timestamp::MIN_UTC, (id_of, created), report).await
}

/// Reads a list, newest first: it shows all since then, or proves nothing.
async fn find<T>(
    client: &Client,
    path: &str,
    since: Timestamp,
    (id_of, created): (impl Fn(&T) -> String, impl Fn(&T) -> i64),
    report: impl Fn(&T) -> Option<Result<ProviderReport, ProviderError>>,
) -> Result<Found, ProviderError>
where
    stripe_types::List<T>: miniserde::Deserialize,
{
    let mut fields = BTreeMap::from([("limit", PAGE.to_owned())]);
    for _ in 0..PAGES {
        let request = RequestBuilder::new(StripeMethod::Get, path).query(&fields);
        let listed =
            request.customize::<stripe_types::List<T>>().send(client).await.map_err(|error| failure::of(&error))?;
        let reports = listed.data.iter().filter_map(&report).collect::<Result<Vec<_>, _>>()?;
        if !reports.is_empty() {
            return Ok(Found::Reports(reports));
        }
        match listed.data.last() {
            Some(last) if listed.has_more && created(last) >= since.timestamp() => {
                fields.insert("starting_after", id_of(last));
            }
            _ => return Ok(Found::Absent),
        }
    }
    Ok(Found::Uncertain("the provider's list is too long to be searched".to_owned()))
}

fn top_up_report(top_up: &Topup) -> Result<ProviderReport, ProviderError> {
    let currency = from_stripe(&top_up.currency)?;
    let code = || top_up.failure_code.clone().unwrap_or_else(|| "unknown".to_owned());
    let status = match top_up.status.as_str() {
        "pending" => TopUpStatus::Pending,
        "succeeded" => TopUpStatus::Succeeded,
        "failed" => TopUpStatus::Failed { code: code() },
        "canceled" => TopUpStatus::Failed { code: "canceled".to_owned() },
        "reversed" => TopUpStatus::Reversed,
        other => return Err(ProviderError::Unusable(format!("unknown status {other}"))),
    };
    Ok(ProviderReport::TopUp(TopUpReport {
        psp: PSP.to_owned(),
        top_up_ref: top_up.id.to_string(),
        top_up_id: top_up.metadata.get(TOP_UP_ID).and_then(|id| id.parse().ok()),
        amount: minor(top_up.amount, currency)?,
        currency,
        status,
    }))
}

fn platform_report(payout: &Payout) -> Result<ProviderReport, ProviderError> {
    let currency = from_stripe(&payout.currency)?;
    Ok(ProviderReport::PlatformPayout(PlatformPayoutReport {
        psp: PSP.to_owned(),
        bank_payout_ref: payout.id.to_string(),
        sweep_id: payout.metadata.as_ref().and_then(|metadata| metadata.get(SWEEP_ID)?.parse().ok()),
        amount: minor(payout.amount, currency)?,
        currency,
        automatic: payout.automatic,
        status: payout_status(payout)?,
    }))
}
