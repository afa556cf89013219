//! Events as projections take them: what they mean, and no more of the envelope than is used.

use domain::aggregate::AggregateState;
use domain::event::DomainEvent;
use domain::id::EventId;
use domain::log::{Position, StreamId};
use domain::time::Timestamp;
use ledger::JournalEntry;
use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};

use super::ProjectionError;
use crate::postgres::{corrupt, to_i64, to_u64};

/// An event with what it means.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) position: Position,
    pub(crate) stream: StreamId,
    pub(crate) sequence: u64,
    /// `None` for events of somebody else's aggregates, which cqrs-es may have appended.
    pub(crate) event: Option<DomainEvent>,
    pub(crate) journal: Option<JournalEntry>,
    /// Only where it was asked for: orders alone need it, and it is a third of a row.
    pub(crate) origin: Option<Origin>,
}

/// Which event it is, and when it happened.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Origin {
    pub(crate) event_id: EventId,
    pub(crate) occurred_at: Timestamp,
}

/// Up to `limit` events after a position.
pub(crate) async fn page(
    executor: impl PgExecutor<'_>,
    after: Position,
    limit: usize,
    with_origin: bool,
) -> Result<Vec<Read>, ProjectionError> {
    let rows = sqlx::query(
        "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text as payload,
                case when $3 then metadata::text end as metadata, journal::text as journal
         from events where position > $1 and position <= $2 order by position",
    )
    .bind(to_i64(after))
    .bind(to_i64(after.saturating_add(limit as u64)))
    .bind(with_origin)
    .fetch_all(executor)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<Read, ProjectionError> {
    let position = to_u64(row.try_get("position")?);
    let stream = StreamId::new(row.try_get::<String, _>("aggregate_type")?, row.try_get::<String, _>("aggregate_id")?);
    // Asked first: versions of events that are somebody else's mean nothing here.
    let event = if AggregateState::initial(&stream.aggregate_type).is_some() {
        let version = row.try_get::<&str, _>("event_version")?.parse().map_err(corrupt)?;
        let payload = row.try_get("payload")?;
        let event = DomainEvent::from_json(&stream.aggregate_type, row.try_get("event_type")?, version, payload)
            .map_err(|error| ProjectionError::Event { position, error })?;
        Some(event)
    } else {
        None
    };
    let journal: Option<&str> = row.try_get("journal")?;
    let metadata: Option<&str> = row.try_get("metadata")?;
    Ok(Read {
        position,
        stream,
        sequence: to_u64(row.try_get("sequence")?),
        event,
        journal: journal.map(serde_json::from_str).transpose().map_err(corrupt)?,
        origin: metadata.map(serde_json::from_str).transpose().map_err(corrupt)?,
    })
}
