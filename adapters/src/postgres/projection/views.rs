//! Documents, events by contract, and wake-ups.

use std::collections::{BTreeMap, HashMap};

use domain::log::{Position, StreamId};
use domain::timer;
use domain::view::Document;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::ProjectionError;
use super::read::Read;
use crate::postgres::{to_i64, to_u64};

/// Documents kept in memory. About 2 kB each: the whole stays below 100 MB.
const CACHED: usize = 30_000;

/// A document as it was last stored.
#[derive(Debug, Clone)]
struct Stored {
    version: u64,
    created_position: Position,
    document: Document,
}

/// The documents that were written last, so that a busy stream is not read again for every batch.
#[derive(Debug, Default)]
pub struct ViewCache {
    documents: HashMap<StreamId, Stored>,
    /// The checkpoint at which the documents are right.
    position: Position,
}

impl ViewCache {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.documents.clear();
    }

    /// Forgets everything unless the checkpoint is the one that this process stored last: another server may have been
    /// at it in between.
    pub(super) fn expect(&mut self, position: Position) {
        if self.position != position {
            self.clear();
        }
    }

    /// Notes that everything up to a position is stored.
    pub(super) fn stored(&mut self, position: Position) {
        self.position = position;
        if self.documents.len() > CACHED {
            self.clear();
        }
    }
}

pub(super) async fn apply(
    tx: &mut PgConnection,
    cache: &mut ViewCache,
    events: &[Read],
) -> Result<(), ProjectionError> {
    fetch(tx, cache, events).await?;
    let mut touched: BTreeMap<&StreamId, Position> = BTreeMap::new();
    let (mut contract_ids, mut contract_positions) = (Vec::new(), Vec::new());
    let (mut wake_types, mut wake_ids, mut wake_at) = (Vec::new(), Vec::new(), Vec::new());
    for read in events {
        let Some(event) = &read.event else { continue };
        if let Some(contract_id) = event.contract_id() {
            contract_ids.push(contract_id.to_string());
            contract_positions.push(to_i64(read.position));
        }
        if let Some((scope, due_at)) = timer::wakeup(&read.stream, event) {
            let stream = scope.stream();
            wake_types.push(stream.aggregate_type.into_owned());
            wake_ids.push(stream.aggregate_id);
            wake_at.push(due_at);
        }
        let stored = match cache.documents.get_mut(&read.stream) {
            Some(stored) => stored,
            None => cache.documents.entry(read.stream.clone()).or_insert(Stored {
                version: 0,
                created_position: read.position,
                document: Document::initial(&read.stream)?,
            }),
        };
        stored.document.fold(event);
        stored.version = read.sequence;
        touched.insert(&read.stream, read.position);
    }
    store(tx, cache, &touched).await?;
    sqlx::query("insert into contract_events (contract_id, position) select * from unnest($1::text[], $2::bigint[])")
        .bind(&contract_ids)
        .bind(&contract_positions)
        .execute(&mut *tx)
        .await?;
    if !wake_at.is_empty() {
        sqlx::query(
            "insert into wakeups (aggregate_type, aggregate_id, due_at)
             select * from unnest($1::text[], $2::text[], $3::timestamptz[]) on conflict do nothing",
        )
        .bind(&wake_types)
        .bind(&wake_ids)
        .bind(&wake_at)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Brings the documents in that are not in the cache. Streams that begin in this batch have none.
async fn fetch(tx: &mut PgConnection, cache: &mut ViewCache, events: &[Read]) -> Result<(), ProjectionError> {
    let mut missing: BTreeMap<&StreamId, bool> = BTreeMap::new();
    for read in events.iter().filter(|read| read.event.is_some()) {
        if !cache.documents.contains_key(&read.stream) {
            missing.entry(&read.stream).or_insert(read.sequence == 1);
        }
    }
    let wanted: Vec<&StreamId> = missing.into_iter().filter(|(_, begins)| !begins).map(|(stream, _)| stream).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let types: Vec<&str> = wanted.iter().map(|stream| stream.aggregate_type.as_ref()).collect();
    let ids: Vec<&str> = wanted.iter().map(|stream| stream.aggregate_id.as_str()).collect();
    let rows = sqlx::query(
        "select d.aggregate_type, d.aggregate_id, d.version, d.created_position, d.body::text as body
         from unnest($1::text[], $2::text[]) as w (t, i)
         join documents d on d.aggregate_type = w.t and d.aggregate_id = w.i",
    )
    .bind(&types)
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        let stream =
            StreamId::new(row.try_get::<String, _>("aggregate_type")?, row.try_get::<String, _>("aggregate_id")?);
        let document = Document::from_json(&stream, &row.try_get::<String, _>("body")?)?;
        let stored = Stored {
            version: to_u64(row.try_get("version")?),
            created_position: to_u64(row.try_get("created_position")?),
            document,
        };
        cache.documents.insert(stream, stored);
    }
    Ok(())
}

async fn store(
    tx: &mut PgConnection,
    cache: &ViewCache,
    touched: &BTreeMap<&StreamId, Position>,
) -> Result<(), ProjectionError> {
    let (mut types, mut ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut positions, mut created, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut contracts, mut clients, mut payees, mut statuses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (stream, position) in touched {
        let Some(stored) = cache.documents.get(*stream) else {
            continue;
        };
        let keys = stored.document.keys();
        types.push(stream.aggregate_type.as_ref());
        ids.push(stream.aggregate_id.as_str());
        versions.push(to_i64(stored.version));
        positions.push(to_i64(*position));
        created.push(to_i64(stored.created_position));
        contracts.push(keys.contract_id.map(|id| id.to_string()));
        clients.push(keys.client_id.map(|id| id.to_string()));
        payees.push(keys.payee_id.map(|id| id.to_string()));
        statuses.push(keys.status);
        bodies.push(stored.document.to_json()?);
    }
    sqlx::query(
        "insert into documents (aggregate_type, aggregate_id, version, position, created_position, contract_id,
                                client_id, payee_id, status, body)
         select t, i, v, p, c, contract, client, payee, status, body::json
         from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[])
             as d (t, i, v, p, c, contract, client, payee, status, body)
         on conflict (aggregate_type, aggregate_id) do update
         set version = excluded.version, position = excluded.position, contract_id = excluded.contract_id,
             client_id = excluded.client_id, payee_id = excluded.payee_id, status = excluded.status,
             body = excluded.body",
    )
    .bind(&types)
    .bind(&ids)
    .bind(&versions)
    .bind(&positions)
    .bind(&created)
    .bind(&contracts)
    .bind(&clients)
    .bind(&payees)
    .bind(&statuses)
    .bind(&bodies)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
