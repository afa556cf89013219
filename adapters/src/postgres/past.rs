//! Aggregates as they were: folded from the log up to an instant or a version.
//!
//! # Invariants
//! - What is read is a beginning of each stream, whole: nothing after the first event that is too late.
//! - Of one commit, either everything is seen or nothing, except that the stream asked for by version ends at that version.
//!
//! # What is deliberately absent
//! Deadlines that have passed without anybody looking: they are in the log once they have fired, at their instant.

use domain::log::{Position, StoreError, StreamEvent, StreamId};
use domain::time::Timestamp;
use domain::unit_of_work::Loaded;
use sqlx::{PgPool, Row};

use super::load::load;
use super::{corrupt, to_i64, to_u64, unavailable};

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Everything that had happened by then, that instant included; business time.
    Instant(Timestamp),
    /// Up to this version of the stream asked for, and what was committed up to it and with it elsewhere.
    Version(u64),
}

/// A stream, with the others of its scope where it has one, as they were. The stream has version 0 where it had not
/// begun; a version that it does not have yet reads as its newest.
///
/// # Errors
/// [`StoreError`].
pub async fn read(pool: &PgPool, stream: &StreamId, until: Until) -> Result<Loaded, StoreError> {
    let events = load(pool, &[(stream.clone(), 0)]).await?;
    let events = match until {
        Until::Instant(instant) => beginnings(events, |event| event.occurred_at <= instant),
        Until::Version(version) => {
            let end = end_of_commit(pool, stream, version).await?;
            let versions = versions(pool, &events, end).await?;
            beginnings(events, |event| {
                if event.stream == *stream {
                    event.sequence <= version
                } else {
                    versions.iter().any(|(known, newest)| *known == event.stream && event.sequence <= *newest)
                }
            })
        }
    };
    let mut loaded = Loaded::new();
    loaded.absorb(std::slice::from_ref(stream), &events).map_err(corrupt)?;
    Ok(loaded)
}

/// The events of each stream before the first one that is too late. They come ordered by stream and sequence.
fn beginnings(events: Vec<StreamEvent>, in_time: impl Fn(&StreamEvent) -> bool) -> Vec<StreamEvent> {
    let mut ended: Option<StreamId> = None;
    let mut kept = Vec::with_capacity(events.len());
    for event in events {
        if ended.as_ref() == Some(&event.stream) {
            continue;
        }
        if in_time(&event) {
            kept.push(event);
        } else {
            ended = Some(event.stream);
        }
    }
    kept
}

/// The last position of the commit that made a version of a stream; 0 when there is no such version.
async fn end_of_commit(pool: &PgPool, stream: &StreamId, version: u64) -> Result<Position, StoreError> {
    let row = sqlx::query(
        "select coalesce(c.position, e.position) as position
         from events e left join commands c on c.command_id = (e.metadata->>'command_id')::uuid
         where e.aggregate_type = $1 and e.aggregate_id = $2 and e.sequence = $3",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(to_i64(version))
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.map_or(Ok(0), |row| row.try_get("position").map(to_u64).map_err(unavailable))
}

/// The version of each of these streams at a position.
async fn versions(pool: &PgPool, events: &[StreamEvent], until: Position) -> Result<Vec<(StreamId, u64)>, StoreError> {
    let mut streams: Vec<&StreamId> = events.iter().map(|event| &event.stream).collect();
    streams.dedup();
    let types: Vec<&str> = streams.iter().map(|stream| stream.aggregate_type.as_ref()).collect();
    let ids: Vec<&str> = streams.iter().map(|stream| stream.aggregate_id.as_str()).collect();
    let rows = sqlx::query(
        "select e.aggregate_type, e.aggregate_id, max(e.sequence) as sequence
         from unnest($1::text[], $2::text[]) as s (t, i)
         join events e on e.aggregate_type = s.t and e.aggregate_id = s.i
         where e.position <= $3
         group by e.aggregate_type, e.aggregate_id",
    )
    .bind(&types)
    .bind(&ids)
    .bind(to_i64(until))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
            let stream = StreamId::new(text("aggregate_type")?, text("aggregate_id")?);
            Ok((stream, to_u64(row.try_get("sequence").map_err(unavailable)?)))
        })
        .collect()
}
