//! An event store for cqrs-es over the same log: a plain `CqrsFramework` with an aggregate of somebody's own commits
//! beside ours, in one order of positions.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use adapters::postgres::{PgStore, clock::TenantClock, framework::FrameworkStore};
//! # fn example<A: cqrs_es::Aggregate<Services = ()>>(store: Arc<PgStore>, clock: TenantClock) {
//! let orders: cqrs_es::CqrsFramework<A, _> =
//!     cqrs_es::CqrsFramework::new(FrameworkStore::new(store, clock), vec![], ());
//! # }
//! ```
//!
//! # Invariants
//! - The stream is written at the version that the aggregate was loaded at; somebody faster is a conflict.
//! - Metadata given with the command goes through. `command_id` (a UUID), when given, makes a repeat harmless: it
//!   stores nothing and tells no query.
//!
//! # What is deliberately absent
//! Snapshots: cqrs-es 0.5 applies events twice there. Journal entries: money is moved by our own aggregates alone.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore as FrameworkEvents};
use domain::actor::{Actor, SystemPart};
use domain::authentication::AuthContext;
use domain::id::EventId;
use domain::log::Verdict;
use domain::log::{Append, EventStore, Expected, Metadata, NewEvent, RecordedEvent, StoreError, StreamId, StreamWrite};
use domain::ports::Clock;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{PgStore, log_reader};

/// Events read at once; a stream is read in as many pages as it has.
const PAGE: usize = 1000;

/// An event store for cqrs-es.
pub struct FrameworkStore<C> {
    store: Arc<PgStore>,
    clock: C,
    upcasters: Vec<Box<dyn EventUpcaster>>,
}

/// An aggregate as it was loaded.
#[derive(Debug)]
pub struct LoadedAggregate<A> {
    aggregate_id: String,
    aggregate: A,
    version: u64,
}

impl<A: Aggregate> AggregateContext<A> for LoadedAggregate<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

/// Something cannot be put into the log, or is not in it as it should be.
#[derive(Debug, thiserror::Error)]
enum FrameworkError {
    #[error("the version {0:?} of an event is not a whole number, such as 1 or 1.0")]
    Version(String),
    #[error("the metadata cannot be used: {0}")]
    Metadata(serde_json::Error),
    #[error("event {expected} of {stream} was expected, {found} was read")]
    Gap { stream: StreamId, expected: u64, found: u64 },
}

impl<C: Clock> FrameworkStore<C> {
    /// A store over this log, with the tenant's clock.
    pub fn new(store: Arc<PgStore>, clock: C) -> Self {
        Self { store, clock, upcasters: Vec::new() }
    }

    /// Brings older events to their present shape when they are loaded.
    #[must_use]
    pub fn with_upcasters(mut self, upcasters: Vec<Box<dyn EventUpcaster>>) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// All events of a stream, without a gap.
    async fn recorded(&self, stream: &StreamId) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        loop {
            let version = events.last().map_or(0, |event| event.sequence);
            let page = log_reader::of_stream(self.store.pool(), stream, version, PAGE).await?;
            let full = page.len() == PAGE;
            events.extend(page);
            if !full {
                break;
            }
        }
        for (expected, event) in (1..).zip(&events) {
            if event.sequence != expected {
                let gap = FrameworkError::Gap { stream: stream.clone(), expected, found: event.sequence };
                return Err(StoreError::Corrupt(gap.to_string()));
            }
        }
        Ok(events)
    }

    fn envelope<A: Aggregate>(&self, event: RecordedEvent) -> Result<EventEnvelope<A>, AggregateError<A::Error>> {
        let serialized = SerializedEvent::new(
            event.stream.aggregate_id,
            usize::try_from(event.sequence).unwrap_or(usize::MAX),
            event.stream.aggregate_type.into_owned(),
            event.event_type,
            event.event_version.to_string(),
            serde_json::from_str(&event.payload)?,
            Value::Null,
        );
        let serialized = self.upcasters.iter().fold(serialized, |event, upcaster| {
            if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
        });
        Ok(EventEnvelope {
            aggregate_id: serialized.aggregate_id,
            sequence: serialized.sequence,
            payload: serde_json::from_value(serialized.payload)?,
            metadata: flat(&event.metadata)?,
        })
    }
}

impl<A: Aggregate, C: Clock> FrameworkEvents<A> for FrameworkStore<C> {
    type AC = LoadedAggregate<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let events = self.recorded(&StreamId::new(A::TYPE, aggregate_id)).await.map_err(told)?;
        events.into_iter().map(|event| self.envelope(event)).collect()
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        let events: Vec<EventEnvelope<A>> = self.load_events(aggregate_id).await?;
        let mut loaded = LoadedAggregate { aggregate_id: aggregate_id.to_owned(), aggregate: A::default(), version: 0 };
        for event in events {
            loaded.version = event.sequence as u64;
            loaded.aggregate.apply(event.payload);
        }
        Ok(loaded)
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now().await.map_err(told)?;
        let defaults = Metadata {
            event_id: EventId::from_uuid(Uuid::nil()),
            occurred_at: now,
            actor: Actor::System(SystemPart::Operator),
            command_id: Uuid::now_v7(),
            correlation_id: context.aggregate_id.clone(),
            causation_id: None,
            idempotency_key: None,
            policy_ref: None,
            traceparent: None,
            auth: AuthContext::default(),
            more: metadata.into_iter().collect(),
        };
        let mut metadata = completed(&defaults).map_err(|error| unexpected(FrameworkError::Metadata(error)))?;
        let command_id = metadata.command_id;
        let stream = StreamId::new(A::TYPE, context.aggregate_id.as_str());
        let mut new_events = Vec::with_capacity(events.len());
        let mut envelopes = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let occurred_ms = u64::try_from(metadata.occurred_at.timestamp_millis()).unwrap_or(0);
            metadata.event_id = EventId::of_command(command_id, index, occurred_ms);
            new_events.push(NewEvent {
                stream: 0,
                event_type: event.event_type().into(),
                event_version: whole(&event.event_version()).map_err(unexpected)?,
                payload: serde_json::to_string(&event)?,
                metadata: metadata.clone(),
                journal: None,
            });
            envelopes.push((event, flat(&metadata)?));
        }
        let append = Append {
            command_id,
            streams: vec![StreamWrite { stream, expected: Expected::At(context.version), scope: None }],
            reads: Vec::new(),
            events: new_events,
            answer: None,
        };
        match self.store.append(append).await.map_err(told)? {
            Verdict::Accepted(_) => {}
            Verdict::Replayed(_) => return Ok(Vec::new()),
            Verdict::Conflict => return Err(AggregateError::AggregateConflict),
        }
        let first = usize::try_from(context.version).unwrap_or(usize::MAX).saturating_add(1);
        Ok((first..)
            .zip(envelopes)
            .map(|(sequence, (payload, metadata))| EventEnvelope {
                aggregate_id: context.aggregate_id.clone(),
                sequence,
                payload,
                metadata,
            })
            .collect())
    }
}

/// Metadata with what stands in its map in the place of what it was made with.
fn completed(defaults: &Metadata) -> Result<Metadata, serde_json::Error> {
    let mut given = defaults.clone();
    let map = std::mem::take(&mut given.more);
    let mut fields = match serde_json::to_value(&given)? {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    // The id of an event follows from its command.
    fields.extend(map.into_iter().filter(|(key, _)| key != "event_id").map(|(key, value)| (key, Value::String(value))));
    serde_json::from_value(Value::Object(fields))
}

/// Metadata as cqrs-es has it.
fn flat(metadata: &Metadata) -> Result<HashMap<String, String>, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(metadata)?)
}

/// The number in `1`, `1.0` and `1.0.0`.
fn whole(version: &str) -> Result<u16, FrameworkError> {
    let mut parts = version.split('.');
    let number = parts.next().and_then(|first| first.parse().ok());
    number.filter(|_| parts.all(|part| part == "0")).ok_or_else(|| FrameworkError::Version(version.to_owned()))
}

fn unexpected<E: std::error::Error>(error: FrameworkError) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}

fn told<E: std::error::Error>(error: StoreError) -> AggregateError<E> {
    match error {
        StoreError::Unavailable(_) => AggregateError::DatabaseConnectionError(Box::new(error)),
        StoreError::Corrupt(_) => AggregateError::DeserializationError(Box::new(error)),
        StoreError::BooksRefused(_) => AggregateError::UnexpectedError(Box::new(error)),
    }
}
