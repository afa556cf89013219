//! (a) The whole command: load, decide, append with the command's record, projections running.
//!
//! The clock stops when the projections have caught up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapters::postgres::PgStore;
use adapters::postgres::clock::TenantClock;
use adapters::postgres::projection::Projector;
use api::engine::{Engine, EngineError, Performed, Request};
use domain::authentication::AuthContext;
use domain::log::{Answer, EventStore};
use domain::ports::Clock;
use domain::unit_of_work::Decision;
use tokio::sync::watch;

use crate::BenchError;
use crate::callers::{self, Measured};
use crate::database::Tenant;
use crate::latency::Latencies;
use crate::workload::{Command, Pair};

/// Connections for reading, as the server has them.
const POOL: u32 = 12;

/// Aggregates kept in memory, as the server does.
const CACHED_AGGREGATES: usize = 10_000;

/// How often the lag is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What (a) came to.
#[derive(Debug)]
pub struct Whole {
    /// Throughput counts until the projections had caught up.
    pub measured: Measured,
    /// The longest that a commit waited to be projected.
    pub lag: Duration,
    /// Events in the log.
    pub events: u64,
}

/// Carries a command out as a server does.
///
/// # Errors
/// [`BenchError::Engine`]: nothing in the workload should be refused.
pub async fn perform<S: EventStore, C: Clock>(engine: &Engine<S, C>, command: &Command) -> Result<u64, BenchError> {
    let subject = command.intent.subject();
    let answer = |decision: &Decision| Answer {
        fingerprint: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned(),
        status: 200,
        body: decision.state(&subject).and_then(|state| serde_json::to_string(state).ok()).unwrap_or_default(),
        version: decision.version(&subject),
        location: None,
    };
    let request = Request {
        intent: command.intent.clone(),
        actor: command.actor,
        command_id: command.command_id,
        if_match: None,
        idempotency_key: command.answered.then(|| command.command_id.to_string()),
        traceparent: None,
        auth: AuthContext::default(),
        answer: if command.answered { Some(&answer) } else { None },
    };
    match engine.perform(request).await? {
        Performed::Done(_, receipt) => Ok(receipt.last_position),
        other => Err(BenchError::Workload(format!("{:?} changed nothing: {other:?}", command.intent))),
    }
}

impl From<EngineError> for BenchError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error.to_string())
    }
}

/// Measures (a) with fresh contracts on a fresh tenant.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(tenant: &Tenant, callers: usize, contracts: usize) -> Result<Whole, BenchError> {
    let store = Arc::new(PgStore::connect(tenant.app.clone(), &tenant.schema, POOL));
    let clock = TenantClock::open(store.pool().clone()).await?;
    let engine = Arc::new(Engine::new(Arc::clone(&store), clock, CACHED_AGGREGATES));
    let now = engine.now().await?;
    let mut pieces = Vec::new();
    for _ in 0..callers.min(contracts) {
        let pair = Pair::new();
        for command in pair.registration() {
            perform(&engine, &command).await?;
        }
        pieces.push(pair);
    }
    let pieces: Vec<_> =
        pieces.iter().cycle().take(contracts).map(|pair| pair.contract(now)).collect::<Result<_, _>>()?;
    tenant.checkpoint().await?;

    let projector = Projector::new(store.pool());
    let mut reached = projector.reached();
    let (stop, stopped) = watch::channel(false);
    let following = projector.start(Arc::clone(store.committed()), stopped.clone())?;
    let head = Arc::new(AtomicU64::new(0));
    let looking = tokio::spawn(look(Arc::clone(&head), reached.clone(), stopped));

    let started = Instant::now();
    let (working, told) = (Arc::clone(&engine), Arc::clone(&head));
    let mut measured = callers::run(callers, pieces, move |pieces, index| {
        let (engine, head) = (Arc::clone(&working), Arc::clone(&told));
        async move {
            let mut latencies = Latencies::default();
            for command in pieces.get(index).map(Vec::as_slice).unwrap_or_default() {
                let begun = Instant::now();
                let position = perform(&engine, command).await?;
                latencies.note(begun.elapsed());
                head.fetch_max(position, Ordering::Relaxed);
            }
            Ok(latencies)
        }
    })
    .await?;
    let events = head.load(Ordering::Relaxed);
    reached
        .wait_for(|reached| *reached >= events)
        .await
        .map_err(|_| BenchError::Workload("no projector".to_owned()))?;
    measured.took = started.elapsed();
    stop.send_replace(true);
    let lag = looking.await?;
    following.ended().await;
    store.shutdown().await;
    Ok(Whole { measured, lag, events })
}

/// The longest time from a commit to its projection.
async fn look(head: Arc<AtomicU64>, reached: watch::Receiver<u64>, stop: watch::Receiver<bool>) -> Duration {
    let mut committed: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut lag = Duration::ZERO;
    while !*stop.borrow() {
        let now = Instant::now();
        let position = head.load(Ordering::Relaxed);
        if committed.back().is_none_or(|(_, known)| *known < position) {
            committed.push_back((now, position));
        }
        let reached = *reached.borrow();
        while committed.front().is_some_and(|(_, position)| *position <= reached) {
            committed.pop_front();
        }
        if let Some((since, _)) = committed.front() {
            lag = lag.max(now.duration_since(*since));
        }
        tokio::time::sleep(LOOK).await;
    }
    lag
}
