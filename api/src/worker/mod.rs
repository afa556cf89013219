//! What runs beside the requests: projections, timers, evidence for banks, orders to the provider, notices from it, and
//! asking it; and looking whether what is owed is covered.
//!
//! # Invariants
//! - Everything here can die between any two steps and be done again: what is recorded has an identity.
//! - Stopping lets what has begun come to its end.

mod alert;
pub(crate) mod coverage;
pub(crate) mod evidence;
mod foreign;
mod gate;
mod inbox;
mod inquiry;
mod limiter;
mod outbox;
mod payees;
pub mod restore;
mod timers;
mod unwanted;

use std::sync::Arc;
use std::time::Duration;

use adapters::postgres::projection::Projector;
use domain::actor::{Actor, SystemPart};
use domain::intent::Intent;
use domain::ports::{PaymentProvider, ProviderHistory};
use domain::process::Fact;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use self::limiter::Limited;
use crate::app::{App, TenantEngine};
use crate::engine::{EngineError, Performed, Request};

/// How often a worker looks without being told.
const POLL: Duration = Duration::from_millis(200);

/// The workers of a served tenant.
#[derive(Debug)]
pub struct Workers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts them.
    ///
    /// # Errors
    /// When the system gives no thread to the projector.
    pub(crate) fn start<P>(app: &App, projector: Projector, provider: Limited<P>) -> std::io::Result<Self>
    where
        P: PaymentProvider + ProviderHistory,
    {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let committed = Arc::clone(app.engine.store().committed());
        tasks.spawn(projector.start(committed, stopped.clone())?.ended());
        tasks.spawn(timers::run(app.clone(), stopped.clone()));
        tasks.spawn(evidence::run(app.clone(), stopped.clone()));
        tasks.spawn(outbox::run(app.clone(), provider.clone(), stopped.clone()));
        tasks.spawn(inbox::run(app.clone(), provider.clone(), stopped.clone()));
        tasks.spawn(inquiry::run(app.clone(), provider, stopped));
        Ok(Self { tasks, stop })
    }

    /// Tells them to stop and waits until they have.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a worker ended badly");
            }
        }
    }
}

/// Records a fact that the provider told. Told before, it changes nothing; tells whether it was news.
async fn record(engine: &TenantEngine, fact: &Fact) -> Result<bool, EngineError> {
    let actor = Actor::System(SystemPart::Psp);
    let request = Request::internal(Intent::Fact(fact.command.clone()), actor, fact.command_id);
    engine.perform(request).await.map(|performed| matches!(performed, Performed::Done(..)))
}

/// The same, not while the test clocks move.
async fn record_at_rest(app: &App, fact: &Fact) -> Result<bool, EngineError> {
    let _at_rest = app.clock_moving.read().await;
    alert::about_fact(app, fact).await?;
    record(&app.engine, fact).await
}

/// How long to wait after a number of failures in a row: 1 s, doubling up to a minute.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1_u64.checked_shl(failures.min(6)).unwrap_or(60).min(60))
}

/// Sleeps until told, until it is time to look again, or until the end. `false`: the end.
async fn pause(stop: &mut watch::Receiver<bool>, told: impl Future<Output = ()>) -> bool {
    if *stop.borrow() {
        return false;
    }
    tokio::select! {
        () = told => {}
        () = tokio::time::sleep(POLL) => {}
        _ = stop.changed() => {}
    }
    !*stop.borrow()
}
