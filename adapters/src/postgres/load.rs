//! Loading streams: one query, whole scopes at once.

use domain::actor::Actor;
use domain::log::{StoreError, StreamEvent, StreamId};
use domain::time::Timestamp;
use serde::Deserialize;
use sqlx::{PgPool, Row};

use super::{corrupt, to_i64, to_u64, unavailable};

/// What of the metadata deciding needs.
#[derive(Deserialize)]
struct Envelope {
    occurred_at: Timestamp,
    actor: Actor,
}

/// The events of these streams after the given versions, with the rest of their scope where one is asked for from 0.
pub(crate) async fn load(pool: &PgPool, streams: &[(StreamId, u64)]) -> Result<Vec<StreamEvent>, StoreError> {
    let types: Vec<&str> = streams.iter().map(|(stream, _)| stream.aggregate_type.as_ref()).collect();
    let ids: Vec<&str> = streams.iter().map(|(stream, _)| stream.aggregate_id.as_str()).collect();
    let versions: Vec<i64> = streams.iter().map(|(_, version)| to_i64(*version)).collect();
    let rows = sqlx::query(
        "with asked as (
             select * from unnest($1::text[], $2::text[], $3::bigint[]) as a (t, i, v)
         ), mates as (
             select distinct mate.aggregate_type as t, mate.aggregate_id as i
             from asked a
             cross join lateral (
                 select s.scope from stream_scopes s where s.aggregate_type = a.t and s.aggregate_id = a.i limit 1
             ) own
             cross join lateral (
                 select s.aggregate_type, s.aggregate_id from stream_scopes s where s.scope = own.scope
             ) mate
             where a.v = 0
         ), wanted as (
             select t, i, v from asked
             union all
             select m.t, m.i, 0 from mates m where not exists (select 1 from asked a where a.t = m.t and a.i = m.i)
         )
         select e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version,
                e.payload::text as payload, e.metadata::text as metadata
         from wanted w
         cross join lateral (
             select * from events e where e.aggregate_type = w.t and e.aggregate_id = w.i and e.sequence > w.v
             order by e.sequence offset 0
         ) e
         order by e.aggregate_type, e.aggregate_id, e.sequence",
    )
    .bind(&types)
    .bind(&ids)
    .bind(&versions)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
            let envelope: Envelope = serde_json::from_str(&text("metadata")?).map_err(corrupt)?;
            Ok(StreamEvent {
                stream: StreamId::new(text("aggregate_type")?, text("aggregate_id")?),
                sequence: to_u64(row.try_get("sequence").map_err(unavailable)?),
                event_type: text("event_type")?,
                event_version: text("event_version")?.parse().map_err(corrupt)?,
                payload: text("payload")?,
                occurred_at: envelope.occurred_at,
                by_somebody: envelope.actor.is_somebody(),
            })
        })
        .collect()
}
