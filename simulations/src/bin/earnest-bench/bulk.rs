//! (c) What the database can do at all: bare bulk inserts of the same bytes on one connection.
//!
//! No index, no check, no order, no command records: events in statements of [`ROWS`] rows, each a transaction.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::BenchError;
use crate::database::Tenant;
use crate::recorded::Recording;

/// Rows of a statement.
const ROWS: usize = 1000;

#[derive(Default)]
struct Columns {
    stream_type: Vec<String>,
    stream_id: Vec<String>,
    position: Vec<i64>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    payload: Vec<String>,
    metadata: Vec<String>,
    journal: Vec<Option<String>>,
}

/// Measures (c) on a fresh table.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(tenant: &Tenant, recording: &Recording) -> Result<Duration, BenchError> {
    let batches = columns(recording)?;
    let options = tenant.owner.clone().options([("search_path", tenant.schema.as_str())]);
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::raw_sql(
        "create table bare (aggregate_type text not null, aggregate_id text not null, position bigint not null,
            event_type text not null, event_version text not null, payload json not null, metadata json not null,
            journal json)",
    )
    .execute(&mut connection)
    .await?;
    tenant.checkpoint().await?;
    let started = Instant::now();
    for batch in &batches {
        sqlx::query(
            "insert into bare select t, i, p, et, ev, payload::json, metadata::json, journal::json
             from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[]) as e (t, i, p, et, ev, payload, metadata, journal)",
        )
        .bind(&batch.stream_type)
        .bind(&batch.stream_id)
        .bind(&batch.position)
        .bind(&batch.event_type)
        .bind(&batch.event_version)
        .bind(&batch.payload)
        .bind(&batch.metadata)
        .bind(&batch.journal)
        .execute(&mut connection)
        .await?;
    }
    let took = started.elapsed();
    connection.close().await?;
    Ok(took)
}

fn columns(recording: &Recording) -> Result<Vec<Columns>, BenchError> {
    let mut batches = vec![Columns::default()];
    for (position, (append, event)) in (1_i64..).zip(
        recording.contracts.iter().flatten().flat_map(|append| append.events.iter().map(move |event| (append, event))),
    ) {
        if batches.last().is_none_or(|batch| batch.position.len() >= ROWS) {
            batches.push(Columns::default());
        }
        let Some(batch) = batches.last_mut() else { continue };
        let Some(write) = append.streams.get(event.stream) else { continue };
        batch.stream_type.push(write.stream.aggregate_type.to_string());
        batch.stream_id.push(write.stream.aggregate_id.clone());
        batch.position.push(position);
        batch.event_type.push(event.event_type.to_string());
        batch.event_version.push(event.event_version.to_string());
        batch.payload.push(event.payload.clone());
        batch.metadata.push(serde_json::to_string(&event.metadata)?);
        batch.journal.push(event.journal.as_ref().map(serde_json::to_string).transpose()?);
    }
    Ok(batches)
}
