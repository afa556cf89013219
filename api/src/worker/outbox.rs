//! Carries out orders to the payment provider.
//!
//! # Invariants
//! - A call is noted before it is made.
//! - While it is not proved that nothing happened, only the same idempotency key is sent again; and once the provider may
//!   have forgotten the key, only after a search has shown that there is nothing.
//! - An order counts as done only after its facts are in the log.

use std::time::Duration;

use adapters::postgres::log_reader;
use adapters::postgres::outbox::{Clearance, DueOrder, Home};
use chrono::TimeDelta;
use domain::log::StoreError;
use domain::ports::history::Found;
use domain::ports::provider::{ProviderError, ProviderOrder, ProviderReport};
use domain::ports::{PaymentProvider, ProviderHistory};
use domain::process::{self, Next, Settlement};
use domain::treasury::queue::{Funds, Waiting, sendable};
use ledger::{Account, Minor};
use tokio::sync::watch;

use super::limiter::Limited;
use super::{backoff, pause, record_at_rest};
use crate::app::App;
use crate::engine::EngineError;

/// Orders in progress at once; well below what Stripe allows per second in test mode (25).
const AT_ONCE: usize = 16;

/// How long an order is this process's alone: longer than a call may take (20 s), so that no other server sends it
/// meanwhile; and no longer, since the orders of a server that died wait for so long.
const LEASE: Duration = Duration::from_secs(30);

/// How long to wait before a state that is not final is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How far before its instant a search for an order begins: clocks differ a little.
const SEARCH_MARGIN: TimeDelta = TimeDelta::hours(1);

pub(super) async fn run<P>(app: App, provider: Limited<P>, mut stop: watch::Receiver<bool>)
where
    P: PaymentProvider + ProviderHistory,
{
    let mut reached = app.reached.clone();
    loop {
        match turn(&app, &provider).await {
            Ok(0) => {}
            Ok(_) if !*stop.borrow() => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the outbox cannot be worked on"),
        }
        // Orders come with the projections, and fall due with the clock.
        let told = async {
            tokio::select! {
                _ = reached.changed() => {}
                () = app.clock_moved.notified() => {}
            }
        };
        if !pause(&mut stop, told).await {
            return;
        }
    }
}

async fn turn<P: PaymentProvider + ProviderHistory>(app: &App, provider: &Limited<P>) -> Result<usize, StoreError> {
    if let Home::Moved { why } = app.outbox.come_home().await? {
        tracing::error!(why, "the outbox is paused: see `earnest outbox diff`, then `earnest outbox resume`");
    }
    provider.set(app.outbox.calls_per_second().await?);
    let now = app.engine.now().await?;
    let due = app.outbox.take(now, AT_ONCE, LEASE).await?;
    let count = due.len();
    // Those that have to wait for each other are not handed out together.
    futures::future::join_all(due.into_iter().map(|order| settle(app, provider, order))).await;
    Ok(count)
}

/// Carries out one order. A store that fails on the way leaves the order to be taken again after its lease.
async fn settle<P: PaymentProvider + ProviderHistory>(app: &App, provider: &P, order: DueOrder) {
    let (id, action) = (order.order_id, order.what.action());
    if let Err(error) = try_settle(app, provider, &order).await {
        tracing::error!(%error, order_id = %id, action, "an order could not be recorded; it is taken again");
        // Where even this fails the lease runs out.
        let _ = app.outbox.again(id, backoff(order.failures), "the event store did not record the outcome").await;
    }
}

async fn try_settle<P>(app: &App, provider: &P, order: &DueOrder) -> Result<(), EngineError>
where
    P: PaymentProvider + ProviderHistory,
{
    let (id, action) = (order.order_id, order.what.action());
    // One whose outcome is unknown may have taken the money already.
    if !order.unknown && !enough_for(app, order).await? {
        for fact in &process::lacks_funds(&order.what) {
            record_at_rest(app, fact).await?;
        }
        return Ok(app.outbox.again(id, backoff(order.failures), "not enough in account 1120").await?);
    }
    match app.outbox.before_sending(order).await? {
        Clearance::Send => {}
        Clearance::Search => return search(app, provider, order).await,
        Clearance::Lost => {
            tracing::warn!(order_id = %id, action, "not sent: another worker has it");
            return Ok(());
        }
    }
    let told = provider.carry_out(&order.what, &order.idempotency_key).await;
    match &told {
        Ok(ProviderReport::OnboardingLink(link)) => app.onboarding_links.show(link),
        Ok(_) => {}
        Err(ProviderError::NotAuthorized(why)) => {
            tracing::error!(order_id = %id, action, why, "the provider does not accept our key: look at STRIPE_SECRET_KEY");
        }
        Err(error) => tracing::warn!(order_id = %id, action, %error, "an order is not carried out, or nobody knows"),
    }
    carry_on(app, order, process::settle(&order.what, &told, order.failures)).await
}

/// Whether the books have what a transfer to a payee takes; all other orders take nothing that somebody waits for. Its lane
/// has handed out the oldest, and the provider judges by what it has itself.
async fn enough_for(app: &App, order: &DueOrder) -> Result<bool, EngineError> {
    let ProviderOrder::MoveToPayee { amount, currency, .. } = &order.what else { return Ok(true) };
    let (_, books) = log_reader::trial_balance(app.pool()).await?;
    let in_books = books.net(Account::PspAvailable, *currency).max(0);
    let in_books = i64::try_from(in_books).ok().and_then(|net| Minor::new(net).ok()).unwrap_or_default();
    let waiting = [Waiting { order_id: order.order_id, position: 0, amount: *amount }];
    Ok(!sendable(&waiting, Funds { in_books, at_provider: in_books }).is_empty())
}

/// Records what is known, and does what is next with an order.
async fn carry_on(app: &App, order: &DueOrder, settlement: Settlement) -> Result<(), EngineError> {
    let (id, action) = (order.order_id, order.what.action());
    for fact in &settlement.facts {
        record_at_rest(app, fact).await?;
    }
    match settlement.next {
        Next::Done => app.outbox.done(id).await?,
        Next::NotFinal(pause) => match pause.or_else(|| process::receipt_again_after(&order.what, order.failures)) {
            Some(pause) => {
                let now = app.engine.now().await?;
                let later = now.checked_add_signed(pause).unwrap_or(now);
                app.outbox.not_before(id, later, "not final yet").await?;
            }
            None => app.outbox.again(id, ASK_AGAIN, "not final yet").await?,
        },
        Next::SameKey { after, why } => {
            app.outbox.again(id, after.unwrap_or_else(|| backoff(order.failures)), &why).await?;
        }
        Next::NewKey { code } => app.outbox.again_with_new_key(id, backoff(order.failures), &code).await?,
        Next::Fresh => app.outbox.absent(id).await?,
        Next::Blocked { why } => {
            tracing::error!(order_id = %id, action, why, "an order waits for an operator; look at it");
            app.outbox.block(id, &why).await?;
        }
    }
    Ok(())
}

/// Looks for an order whose key the provider may have forgotten: it is recorded if it was carried out, sent again under its
/// key if it was not, and an operator's task if that cannot be told.
async fn search<P: ProviderHistory>(app: &App, provider: &P, order: &DueOrder) -> Result<(), EngineError> {
    let (id, action) = (order.order_id, order.what.action());
    let found = provider.find(&order.what, order.not_before - SEARCH_MARGIN).await;
    match &found {
        Ok(Found::Reports(_)) => {
            tracing::warn!(order_id = %id, action, "an order of unknown outcome was found at the provider");
        }
        Ok(Found::Absent) => {
            tracing::warn!(order_id = %id, action, "an order of unknown outcome is not at the provider; it is sent");
        }
        Ok(Found::Uncertain(_)) | Err(_) => {}
    }
    carry_on(app, order, process::searched(&found)).await
}
