//! What Stripe did, whether or not it told us: lists, which Stripe keeps up to date with its writes. Its search API lags
//! (<https://docs.stripe.com/search#data-freshness>), so what it does not show would prove nothing.
//!
//! # Invariants
//! - Lists are read newest first until they are older than asked for. A list that is longer than [`PAGES`] proves nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::ports::history::{Found, NoticePage, ProviderHistory, Recent};
use domain::ports::provider::{ProviderError, ProviderObject, ProviderOrder, ProviderReport};
use domain::time::Timestamp;
use miniserde::json;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_connect::transfer::ListTransfer;
use stripe_core::payment_intent::ListPaymentIntent;
use stripe_core::payout::ListPayout;
use stripe_core::refund::ListRefund;
use stripe_shared::{Payout, Transfer};

use super::{StripeProvider, account_id, failure, payout, payout_report, reference, transfer_report};
use crate::stripe::{treasury, webhook};

/// Objects on a page: Stripe's most.
const PAGE: i64 = 100;

/// Pages read at most for one search: 10,000 objects, about a minute at a careful rate.
const PAGES: usize = 100;

/// Whether a list has come to its end.
enum Walked {
    /// To what is older than asked for, or to its end.
    Whole,
    /// It goes on, and nobody looked.
    InPart,
}

fn carries(metadata: Option<&HashMap<String, String>>, key: &str, id: &str) -> bool {
    metadata.and_then(|metadata| metadata.get(key)).is_some_and(|value| value == id)
}

fn older(created: i64, since: Timestamp) -> bool {
    DateTime::<Utc>::from_timestamp(created, 0).is_some_and(|created| created < since)
}

impl StripeProvider {
    /// Payments since then that carry an id of ours under `key`, of which `wanted` says yes.
    async fn payments(
        &self,
        since: Timestamp,
        wanted: impl Fn(&HashMap<String, String>) -> bool,
    ) -> Result<(Vec<String>, Walked), ProviderError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut request = ListPaymentIntent::new().limit(PAGE);
            if let Some(after) = &after {
                request = request.starting_after(after.as_str());
            }
            let page = request.send(&self.client).await.map_err(|error| failure::of(&error))?;
            for payment in &page.data {
                if older(payment.created, since) {
                    return Ok((found, Walked::Whole));
                }
                if wanted(&payment.metadata) {
                    found.push(payment.id.to_string());
                }
            }
            after = page.data.last().map(|payment| payment.id.to_string());
            if !page.has_more || after.is_none() {
                return Ok((found, Walked::Whole));
            }
        }
        Ok((found, Walked::InPart))
    }

    async fn transfers(&self, since: Timestamp, group: Option<&str>) -> Result<(Vec<Transfer>, Walked), ProviderError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut request = ListTransfer::new().limit(PAGE);
            if let Some(group) = group {
                request = request.transfer_group(group);
            }
            if let Some(after) = &after {
                request = request.starting_after(after.as_str());
            }
            let page = request.send(&self.client).await.map_err(|error| failure::of(&error))?;
            after = page.data.last().map(|transfer| transfer.id.to_string());
            let more = page.has_more;
            for transfer in page.data {
                if older(transfer.created, since) {
                    return Ok((found, Walked::Whole));
                }
                found.push(transfer);
            }
            if !more || after.is_none() {
                return Ok((found, Walked::Whole));
            }
        }
        Ok((found, Walked::InPart))
    }

    async fn payouts(&self, account: &str, since: Timestamp) -> Result<(Vec<Payout>, Walked), ProviderError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut request = ListPayout::new().limit(PAGE);
            if let Some(after) = &after {
                request = request.starting_after(after.as_str());
            }
            let request = ::stripe::StripeRequest::customize(&request).account_id(account_id(account)?);
            let page = request.send(&self.client).await.map_err(|error| failure::of(&error))?;
            after = page.data.last().map(|payout| payout.id.to_string());
            let more = page.has_more;
            for payout in page.data {
                if older(payout.created, since) {
                    return Ok((found, Walked::Whole));
                }
                found.push(payout);
            }
            if !more || after.is_none() {
                return Ok((found, Walked::Whole));
            }
        }
        Ok((found, Walked::InPart))
    }

    /// References of refunds of a payment that carry this id.
    async fn refunds(&self, payment_ref: &str, refund_id: &str) -> Result<(Vec<String>, Walked), ProviderError> {
        // A payment has at most a few refunds: one page shows all, or proves nothing.
        let page = ListRefund::new()
            .payment_intent(reference(payment_ref)?)
            .limit(PAGE)
            .send(&self.client)
            .await
            .map_err(|error| failure::of(&error))?;
        let ours = page.data.iter().filter(|refund| carries(refund.metadata.as_ref(), "refund_id", refund_id));
        let walked = if page.has_more { Walked::InPart } else { Walked::Whole };
        Ok((ours.map(|refund| refund.id.to_string()).collect(), walked))
    }
}

/// What a search has shown, of which these are the objects.
fn found(reports: Vec<ProviderReport>, walked: &Walked) -> Found {
    match (reports.is_empty(), walked) {
        (false, _) => Found::Reports(reports),
        (true, Walked::Whole) => Found::Absent,
        (true, Walked::InPart) => Found::Uncertain("the provider's list is too long to be searched".to_owned()),
    }
}

impl ProviderHistory for StripeProvider {
    async fn find(&self, order: &ProviderOrder, since: Timestamp) -> Result<Found, ProviderError> {
        match order {
            ProviderOrder::CollectPayment { funding_id, .. } => {
                let id = funding_id.to_string();
                let (refs, walked) =
                    self.payments(since, |metadata| carries(Some(metadata), "funding_id", &id)).await?;
                let mut reports = Vec::new();
                for payment_ref in refs {
                    reports.push(self.payment(&payment_ref).await?);
                }
                Ok(found(reports, &walked))
            }
            ProviderOrder::MoveToPayee { payout_id, .. } => {
                // The group is the payout's own: however long ago, nothing else is in it.
                let (transfers, walked) = self.transfers(Timestamp::MIN_UTC, Some(&payout_id.to_string())).await?;
                Ok(found(transfers.iter().map(transfer_report).collect::<Result<_, _>>()?, &walked))
            }
            ProviderOrder::PayToBank { payout_id, account, .. } => {
                let id = payout_id.to_string();
                // The order may be younger than the payout: after a restore it follows from a transfer that is read anew.
                let (payouts, walked) = self.payouts(account, Timestamp::MIN_UTC).await?;
                let ours = payouts.iter().filter(|payout| carries(payout.metadata.as_ref(), "payout_id", &id));
                Ok(found(ours.map(|payout| payout_report(payout, account)).collect::<Result<_, _>>()?, &walked))
            }
            ProviderOrder::Refund { refund_id, payment_ref, .. } => {
                let (refs, walked) = self.refunds(payment_ref, &refund_id.to_string()).await?;
                let mut reports = Vec::new();
                for refund_ref in refs {
                    let refund = ProviderObject::Refund { refund_ref };
                    reports.push(Box::pin(domain::ports::PaymentProvider::look_up(self, &refund)).await?);
                }
                Ok(found(reports, &walked))
            }
            ProviderOrder::TopUp { top_up_id, .. } => treasury::find_top_up(&self.client, *top_up_id, since).await,
            // As with a payee's bank: after a restore a sweep is approved anew that was paid before.
            ProviderOrder::PayPlatform { sweep_id, .. } => treasury::find_payout(&self.client, *sweep_id).await,
            ProviderOrder::ReverseTransfer { reversal_id, transfer_ref, .. } => {
                payout::find_reversal(&self.client, *reversal_id, transfer_ref).await
            }
            other => Ok(Found::Uncertain(format!("{} is not searched for", other.action()))),
        }
    }

    async fn notices(
        &self,
        account: Option<&str>,
        since: Timestamp,
        after: Option<&str>,
    ) -> Result<NoticePage, ProviderError> {
        // A map: a list of pairs would be written by their numbers.
        let mut fields = BTreeMap::from([("created[gte]", since.timestamp().to_string()), ("limit", PAGE.to_string())]);
        if let Some(after) = after {
            fields.insert("starting_after", reference(after)?.to_owned());
        }
        // As Stripe sent it, not as this client's types have it: what they do not know is kept, too.
        let mut request = RequestBuilder::new(StripeMethod::Get, "/events").query(&fields).customize::<json::Value>();
        if let Some(account) = account {
            request = request.account_id(account_id(account)?);
        }
        let page = request.send(&self.client).await.map_err(|error| failure::of(&error))?;
        let unreadable = || ProviderError::Unusable("the list of events cannot be read".to_owned());
        let json::Value::Object(page) = page else { return Err(unreadable()) };
        let Some(json::Value::Array(events)) = page.get("data") else { return Err(unreadable()) };
        let mut notices = Vec::new();
        for event in events {
            let raw = json::to_string(event).into_bytes();
            match webhook::read(&raw, account) {
                Ok(notice) => notices.push((notice, raw)),
                Err(error) => return Err(ProviderError::Unusable(error.to_string())),
            }
        }
        let more = matches!(page.get("has_more"), Some(json::Value::Bool(true)));
        let next = notices.last().filter(|_| more).map(|(notice, _)| notice.notice_id.clone());
        Ok(NoticePage { notices, next })
    }

    async fn recent(&self, since: Timestamp) -> Result<Recent, ProviderError> {
        let (payments, walked) = self.payments(since, |metadata| metadata.contains_key("funding_id")).await?;
        let mut complete = matches!(walked, Walked::Whole);
        let mut reports = Vec::new();
        for payment_ref in payments {
            reports.push(self.payment(&payment_ref).await?);
        }
        let (transfers, walked) = self.transfers(since, None).await?;
        complete &= matches!(walked, Walked::Whole);
        let mut accounts = BTreeSet::new();
        for transfer in transfers.iter().filter(|transfer| transfer.metadata.contains_key("payout_id")) {
            reports.push(transfer_report(transfer)?);
            accounts.extend(transfer.destination.as_ref().map(|account| account.id().to_string()));
        }
        for account in accounts {
            let (payouts, walked) = self.payouts(&account, since).await?;
            complete &= matches!(walked, Walked::Whole);
            for payout in &payouts {
                if payout.metadata.as_ref().is_some_and(|metadata| metadata.contains_key("payout_id")) {
                    reports.push(payout_report(payout, &account)?);
                }
            }
        }
        Ok(Recent { reports, complete })
    }

    fn calls_per_second(&self) -> Option<u32> {
        self.calls_per_second
    }
}
