//! Carries out orders to the payment provider.
//!
//! # Invariants
//! - A call is noted before it is made.
//! - While it is not proved that nothing happened, only the same idempotency key is sent again.
//! - An order counts as done only after its facts are in the log.

use std::sync::Arc;
use std::time::Duration;

use adapters::postgres::outbox::DueOrder;
use domain::log::StoreError;
use domain::ports::PaymentProvider;
use domain::ports::provider::{ProviderError, ProviderOrder};
use domain::process;
use tokio::sync::watch;

use super::{backoff, pause, record};
use crate::app::App;
use crate::engine::EngineError;

/// Orders in progress at once; well below what Stripe allows per second in test mode (25).
const AT_ONCE: usize = 16;

/// How long an order is this process's alone: longer than a call may take (20 s), so that no other server sends it
/// meanwhile; and no longer, since the orders of a server that died wait for so long.
const LEASE: Duration = Duration::from_secs(30);

/// How long to wait before a state that is not final is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Failures in a row after which an answer that cannot be used is an operator's task.
const TOO_MANY: u32 = 10;

pub(super) async fn run<P: PaymentProvider>(app: App, provider: Arc<P>, mut stop: watch::Receiver<bool>) {
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

async fn turn<P: PaymentProvider>(app: &App, provider: &Arc<P>) -> Result<usize, StoreError> {
    let now = app.engine.now().await?;
    let due = app.outbox.take(now, AT_ONCE, LEASE).await?;
    let count = due.len();
    // Transfers all draw on one balance: one after the other, so that the provider's refusals mean something.
    let (transfers, others): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|order| matches!(order.what, ProviderOrder::MoveToPayee { .. }));
    let transfers = async {
        for order in transfers {
            settle(app, provider.as_ref(), order).await;
        }
    };
    let others = futures::future::join_all(others.into_iter().map(|order| settle(app, provider.as_ref(), order)));
    futures::future::join(transfers, others).await;
    Ok(count)
}

/// Carries out one order. A store that fails on the way leaves the order to be taken again after its lease.
async fn settle<P: PaymentProvider>(app: &App, provider: &P, order: DueOrder) {
    let (id, action) = (order.order_id, order.what.action());
    if let Err(error) = try_settle(app, provider, &order).await {
        tracing::error!(%error, order_id = %id, action, "an order could not be recorded; it is taken again");
        // Where even this fails the lease runs out.
        let _ = app.outbox.again(id, backoff(order.failures), "the event store did not record the outcome").await;
    }
}

async fn try_settle<P: PaymentProvider>(app: &App, provider: &P, order: &DueOrder) -> Result<(), EngineError> {
    let (id, action) = (order.order_id, order.what.action());
    if !app.outbox.before_sending(order).await? {
        tracing::warn!(order_id = %id, action, "not sent: another worker has it, or it was blocked for an operator");
        return Ok(());
    }
    let wait = backoff(order.failures);
    match provider.carry_out(&order.what, &order.idempotency_key).await {
        Ok(report) => {
            for fact in process::facts(&report) {
                record(app, &fact).await?;
            }
            if process::settles(&report, &order.what) {
                app.outbox.done(id).await?;
            } else if let Some(pause) = process::read_again_after(&order.what, order.failures) {
                let now = app.engine.now().await?;
                let later = now.checked_add_signed(pause).unwrap_or(now);
                app.outbox.not_before(id, later, "not final yet").await?;
            } else {
                app.outbox.again(id, ASK_AGAIN, "not final yet").await?;
            }
        }
        Err(ProviderError::Refused { code }) => {
            let facts = process::refused(&order.what, &code);
            for fact in &facts {
                record(app, fact).await?;
            }
            if !facts.is_empty() {
                app.outbox.done(id).await?;
            } else if code == "balance_insufficient" {
                for fact in &process::lacks_funds(&order.what) {
                    record(app, fact).await?;
                }
                app.outbox.again_with_new_key(id, wait, &code).await?;
            } else {
                tracing::error!(order_id = %id, action, code, "the provider refused an order; look at it");
                app.outbox.block(id, &code).await?;
            }
        }
        Err(ProviderError::NotAuthorized(why)) => {
            tracing::error!(order_id = %id, action, why, "the provider does not accept our key: look at STRIPE_SECRET_KEY");
            app.outbox.again(id, wait, &why).await?;
        }
        Err(ProviderError::RateLimited { retry_after }) => {
            app.outbox.again(id, retry_after.unwrap_or(wait), "rate limited").await?;
        }
        Err(ProviderError::Unknown(why)) => {
            tracing::warn!(order_id = %id, action, why, "the outcome of an order is unknown; asking again");
            app.outbox.again(id, wait, &why).await?;
        }
        Err(ProviderError::Unusable(why)) if order.failures < TOO_MANY => {
            tracing::warn!(order_id = %id, action, why, "the provider's answer cannot be used; asking again");
            app.outbox.again(id, wait, &why).await?;
        }
        Err(ProviderError::Unusable(why)) => {
            tracing::error!(order_id = %id, action, why, "the provider's answer cannot be used; look at it");
            app.outbox.block(id, &why).await?;
        }
    }
    Ok(())
}
