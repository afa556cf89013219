//! (b) The stock way: cqrs-es with postgres-es, one aggregate, one view.
//!
//! Each command stores the same events as ours in one execution, in the stream that it writes first. That is in favour
//! of the stock way: it knows no commit over several aggregates, so that the real thing would need several executions.
//! It stores no record of the command either, and keeps no totals. Its rules are empty and its view is small.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::GenericQuery;
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, View};
use domain::log::Append;
use postgres_es::{PostgresCqrs, PostgresViewRepository, postgres_cqrs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;

use crate::BenchError;
use crate::callers::{self, Measured};
use crate::database::Tenant;
use crate::latency::Latencies;
use crate::recorded::Recording;

/// Sizes of the pool that are tried; the best is measured. 10 is the crate's own.
pub const POOLS: [u32; 4] = [2, 10, 20, 40];

/// An event as ours has it, its journal inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stored(Value);

impl DomainEvent for Stored {
    fn event_type(&self) -> String {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// The smallest aggregate there can be.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stream {
    events: u64,
}

impl Aggregate for Stream {
    const TYPE: &'static str = "stream";
    type Command = Vec<Stored>;
    type Event = Stored;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, events: Vec<Stored>, (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        for event in events {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, _event: Stored) {
        self.events = self.events.saturating_add(1);
    }
}

/// The view: where the stream is, and its last event.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Page {
    version: usize,
    last: Value,
}

impl View<Stream> for Page {
    fn update(&mut self, event: &EventEnvelope<Stream>) {
        self.version = event.sequence;
        self.last.clone_from(&event.payload.0);
    }
}

/// What one command stores: where, what, and who and why.
pub struct Execution {
    stream: String,
    events: Vec<Stored>,
    metadata: HashMap<String, String>,
}

impl Execution {
    fn of(append: &Append) -> Result<Self, BenchError> {
        let stream = append.streams.first().map(|write| write.stream.to_string()).unwrap_or_default();
        let mut events = Vec::new();
        for event in &append.events {
            let mut payload: Value = serde_json::from_str(&event.payload)?;
            if let (Value::Object(fields), Some(journal)) = (&mut payload, &event.journal) {
                fields.insert("journal".to_owned(), serde_json::to_value(journal)?);
            }
            events.push(Stored(payload));
        }
        let metadata = append.events.first().map(|event| serde_json::to_value(&event.metadata)).transpose()?;
        Ok(Self { stream, events, metadata: metadata.map(serde_json::from_value).transpose()?.unwrap_or_default() })
    }

    /// The recording as executions.
    ///
    /// # Errors
    /// [`BenchError`] when an event is not JSON.
    pub fn all(recording: &Recording) -> Result<Vec<Vec<Arc<Self>>>, BenchError> {
        let contract = |appends: &Vec<Append>| appends.iter().map(|append| Self::of(append).map(Arc::new)).collect();
        recording.contracts.iter().map(contract).collect()
    }
}

/// Measures (b) with a pool of `pool` connections, on fresh tables.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(
    tenant: &Tenant,
    callers: usize,
    pool: u32,
    executions: Vec<Vec<Arc<Execution>>>,
) -> Result<Measured, BenchError> {
    let options = tenant.owner.clone().options([("search_path", tenant.schema.as_str())]);
    let connections = PgPoolOptions::new().max_connections(pool).min_connections(pool).connect_with(options).await?;
    // As `db/init.sql` of postgres-es has them.
    sqlx::raw_sql(
        "create table events (aggregate_type text not null, aggregate_id text not null,
            sequence bigint check (sequence >= 0) not null, event_type text not null, event_version text not null,
            payload json not null, metadata json not null, primary key (aggregate_type, aggregate_id, sequence));
         create table page (view_id text not null, version bigint check (version >= 0) not null, payload json not null,
            primary key (view_id))",
    )
    .execute(&connections)
    .await?;
    let view = Arc::new(PostgresViewRepository::<Page, Stream>::new("page", connections.clone()));
    let query = GenericQuery::new(view);
    let framework: Arc<PostgresCqrs<Stream>> = Arc::new(postgres_cqrs(connections.clone(), vec![Box::new(query)], ()));
    tenant.checkpoint().await?;
    let measured = callers::run(callers, executions, move |pieces, index| {
        let framework = Arc::clone(&framework);
        async move {
            let mut latencies = Latencies::default();
            for execution in pieces.get(index).map(Vec::as_slice).unwrap_or_default() {
                let (events, metadata) = (execution.events.clone(), execution.metadata.clone());
                let begun = Instant::now();
                framework
                    .execute_with_metadata(&execution.stream, events, metadata)
                    .await
                    .map_err(|error| BenchError::Workload(error.to_string()))?;
                latencies.note(begun.elapsed());
            }
            Ok(latencies)
        }
    })
    .await?;
    connections.close().await;
    Ok(measured)
}
