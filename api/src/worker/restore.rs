//! A database beside a provider that has moved on: what differs, and recording what the provider did.
//!
//! # Invariants
//! - Comparing changes nothing. Reconciling records facts that the provider tells, and sends nothing.
//! - An order that the provider carried out is settled, so that it is not sent again.
//!
//! # What is deliberately absent
//! Making up for what is lost: a payment for a funding that is not in the log any more stays an operator's task.

use adapters::postgres::inquiry;
use adapters::postgres::outbox::{OrderStatus, Outbox};
use chrono::TimeDelta;
use domain::ports::ProviderHistory;
use domain::ports::history::Found;
use domain::ports::provider::{ProviderError, ProviderOrder, ProviderReport};
use domain::process;
use domain::time::Timestamp;
use sqlx::PgPool;

use super::record;
use crate::app::TenantEngine;
use crate::engine::EngineError;

/// Orders compared at most; with more than that open, something else is wrong.
const MOST: usize = 100_000;

/// How far before its instant a search for an order begins: clocks differ a little.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// What the provider has, and we do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An order that is open here was carried out there.
    CarriedOut {
        /// How it stands here.
        order: OrderStatus,
        /// What it brought about.
        reports: Vec<ProviderReport>,
    },
    /// Nobody can tell whether an order that is open here was carried out.
    Uncertain {
        /// How it stands here.
        order: OrderStatus,
        /// Why.
        why: String,
    },
    /// An object carries an id of ours that is not in the log: it was ordered after what was restored.
    NotInLog {
        /// The aggregate that it names.
        aggregate: String,
        /// The object.
        report: ProviderReport,
    },
}

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What differs.
    pub differences: Vec<Difference>,
    /// Orders that are open here, and that the provider has nothing of.
    pub not_sent: usize,
    /// Whether everything since the instant asked for was compared.
    pub complete: bool,
}

/// It cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The provider does not tell.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store does not.
    #[error(transparent)]
    Store(#[from] domain::log::StoreError),
    /// A fact could not be recorded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Compares what is open here, and what the provider did since then (on the tenant's clock), without changing anything.
///
/// # Errors
/// [`RestoreError`].
pub async fn compare<P: ProviderHistory>(
    pool: &PgPool,
    outbox: &Outbox,
    provider: &P,
    since: Timestamp,
) -> Result<Comparison, RestoreError> {
    let (mut differences, mut not_sent) = (Vec::new(), 0_usize);
    for (order, what) in outbox.not_done(MOST).await? {
        match look_for(provider, &order, &what).await? {
            None => {}
            Some(Found::Reports(reports)) => differences.push(Difference::CarriedOut { order, reports }),
            Some(Found::Absent) => not_sent = not_sent.saturating_add(1),
            Some(Found::Uncertain(why)) => differences.push(Difference::Uncertain { order, why }),
        }
    }
    let recent = provider.recent(since).await?;
    for report in recent.reports {
        let Some(fact) = process::facts(&report).into_iter().next() else { continue };
        let stream = fact.command.stream();
        if !inquiry::exists(pool, &stream).await? {
            differences.push(Difference::NotInLog { aggregate: stream.aggregate_id.clone(), report });
        }
    }
    Ok(Comparison { differences, not_sent, complete: recent.complete })
}

/// Records what the provider did of what is open here, and takes it from what is to be sent. Tells how many orders that
/// were. A second time there are none.
///
/// # Errors
/// [`RestoreError`]; what was recorded before stays.
pub async fn reconcile<P: ProviderHistory>(
    engine: &TenantEngine,
    outbox: &Outbox,
    provider: &P,
) -> Result<usize, RestoreError> {
    let mut settled = 0_usize;
    for (order, what) in outbox.not_done(MOST).await? {
        if let Some(Found::Reports(reports)) = look_for(provider, &order, &what).await? {
            for fact in reports.iter().flat_map(process::facts) {
                record(engine, &fact).await?;
            }
            outbox.found_done(order.order_id).await?;
            settled = settled.saturating_add(1);
        }
    }
    Ok(settled)
}

/// `None` for an order that moves no money: it is asked again as often as one likes.
async fn look_for<P: ProviderHistory>(
    provider: &P,
    order: &OrderStatus,
    what: &ProviderOrder,
) -> Result<Option<Found>, ProviderError> {
    if !what.moves_money() {
        return Ok(None);
    }
    provider.find(what, order.not_before - MARGIN).await.map(Some)
}
