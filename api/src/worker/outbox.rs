//! Carries out orders to the payment provider.
//!
//! # Invariants
//! - A call is noted before it is made.
//! - While it is not proved that nothing happened, only the same idempotency key is sent again; and once the provider may
//!   have forgotten the key, only after a search has shown that there is nothing.
//! - An order counts as done only after its facts are in the log. One whose facts cannot be recorded is an operator's task
//!   after a while.
//! - A payment for a funding that was given up is not sent; nor is an order for a payee that must not be paid by now, unless
//!   it may have been sent before.

use std::borrow::Cow;
use std::time::Duration;

use adapters::postgres::outbox::{Clearance, DueOrder, Home};
use adapters::postgres::{log_reader, mandate, task};
use chrono::TimeDelta;
use domain::log::StoreError;
use domain::ports::history::Found;
use domain::ports::provider::{ProviderError, ProviderOrder};
use domain::ports::{PaymentProvider, ProviderHistory};
use domain::process::{self, Next, Settlement};
use domain::treasury::queue::{Funds, Waiting, sendable};
use ledger::{Account, Minor};
use tokio::sync::watch;

use super::limiter::Limited;
use super::{backoff, pause, record_at_rest};
use crate::app::App;
use crate::engine::EngineError;
use crate::identity::personal::Said;
use crate::identity::vault::VaultError;

/// Orders in progress at once; well below what Stripe allows per second in test mode (25).
const AT_ONCE: usize = 16;

/// How long an order is this process's alone: longer than a call may take (20 s), so that no other server sends it
/// meanwhile; and no longer, since the orders of a server that died wait for so long.
const LEASE: Duration = Duration::from_secs(30);

/// How long to wait before a state that is not final is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Orders behind one that waits for funds that are told to wait at once; those beyond are told when it is tried again.
const BEHIND: usize = 100;

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
        let _ = match (&error, order.failures >= process::settlement::TOO_MANY) {
            // A rule says no, and will say so again: what waits behind it goes on.
            (EngineError::Refused(refusal), true) => app.outbox.block(id, &format!("refused: {refusal}")).await,
            (_, late) => {
                if late {
                    let why = format!("{action}: its outcome cannot be recorded, and is tried on: {error}");
                    let _ = task::open(app.pool(), task::PSP_ORDER_BLOCKED, &id.to_string(), &why).await;
                }
                app.outbox.again(id, backoff(order.failures), "the event store did not record the outcome").await
            }
        };
    }
}

async fn try_settle<P>(app: &App, provider: &P, order: &DueOrder) -> Result<(), EngineError>
where
    P: PaymentProvider + ProviderHistory,
{
    let (id, action) = (order.order_id, order.what.action());
    if super::unwanted::is_unwanted(app, &order.what).await? {
        // It is not sent. If it may have been, it is looked for; what is not there is then never sent.
        return if order.unknown { search(app, provider, order).await } else { Ok(app.outbox.done(id).await?) };
    }
    if let Some(code) = &order.withheld {
        return withhold(app, order, code).await;
    }
    // Before the books are asked: who is not paid does not let others wait for money.
    if !order.unknown
        && let Some(code) = super::gate::shut(app, &order.what).await?
    {
        if app.outbox.withhold(order, code).await? {
            return withhold(app, order, code).await;
        }
        tracing::warn!(order_id = %id, action, "not withheld: another worker has it");
        return Ok(());
    }
    // One whose outcome is unknown may have taken the money already.
    if !order.unknown && !enough_for(app, order).await? {
        // Those behind it wait with it: nothing overtakes it.
        let behind = app.outbox.behind(id, BEHIND).await?;
        for fact in std::iter::once(&order.what).chain(&behind).flat_map(process::lacks_funds) {
            record_at_rest(app, &fact).await?;
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
    let what = in_full(app, &order.what).await?;
    let told = provider.carry_out(&what, &order.idempotency_key).await;
    match &told {
        Ok(_) if order.failures > 0 => super::alert::key_is_taken(app).await?,
        Ok(_) => {}
        Err(ProviderError::NotAuthorized(why)) => {
            tracing::error!(order_id = %id, action, why, "the provider does not accept our key: look at STRIPE_SECRET_KEY");
            super::alert::key_is_not_taken(app, why).await?;
        }
        Err(error) => tracing::warn!(order_id = %id, action, %error, "an order is not carried out, or nobody knows"),
    }
    let settlement = process::settle(&order.what, &told, order.failures);
    let over = settlement.next == Next::Done;
    carry_on(app, order, settlement).await?;
    match &*what {
        ProviderOrder::CollectPayment { funding_id, mandate: Some(_), .. } if over => {
            Ok(mandate::forget(app.pool(), *funding_id).await?)
        }
        _ => Ok(()),
    }
}

/// Records that an order is never sent.
async fn withhold(app: &App, order: &DueOrder, code: &str) -> Result<(), EngineError> {
    let (id, action) = (order.order_id, order.what.action());
    tracing::warn!(order_id = %id, action, code, "an order is not sent: its payee is not paid at present");
    for fact in process::withheld(&order.what, code) {
        record_at_rest(app, &fact).await?;
    }
    done(app, order).await
}

/// The order is done; so is the task that told of it while its outcome could not be recorded.
async fn done(app: &App, order: &DueOrder) -> Result<(), EngineError> {
    app.outbox.done(order.order_id).await?;
    if order.failures >= process::settlement::TOO_MANY {
        task::close(app.pool(), task::PSP_ORDER_BLOCKED, &order.order_id.to_string()).await?;
    }
    Ok(())
}

/// The order with what is kept apart from the log for it: the consent to a bank debit, or what staff says to a bank.
async fn in_full<'a>(app: &App, order: &'a ProviderOrder) -> Result<Cow<'a, ProviderOrder>, EngineError> {
    let mut full = Cow::Borrowed(order);
    match order {
        ProviderOrder::CollectPayment { funding_id, .. } => {
            if let Some(kept) = mandate::of(app.pool(), *funding_id).await?
                && let ProviderOrder::CollectPayment { mandate, .. } = full.to_mut()
            {
                *mandate = Some(Box::new(kept));
            }
        }
        ProviderOrder::SubmitEvidence { statement: Some(digest), .. } => {
            let said = match app.identity.vault().statement(app.pool(), digest).await {
                Ok(said) => said,
                Err(VaultError::Store(error)) => return Err(error.into()),
                Err(error) => return Err(StoreError::Corrupt(error.to_string()).into()),
            };
            match (said, full.to_mut()) {
                (Some(Said::Clear(said, _)), ProviderOrder::SubmitEvidence { words, .. }) => *words = Some(said),
                _ => {
                    tracing::warn!(digest, "what was to be said to a bank was taken away: it gets what the log proves");
                }
            }
        }
        _ => {}
    }
    Ok(full)
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
        Next::Done => done(app, order).await?,
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
