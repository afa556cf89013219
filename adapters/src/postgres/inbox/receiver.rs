//! Many webhooks in one transaction: each is answered when the commit that has it is on disk.
//!
//! # Invariants
//! - Nobody is told that a notice is stored before the transaction that has it is committed, `fsync` included.
//! - A transaction is small: so many notices, and so many bytes, at most. While one is committed the next gathers.
//! - Whoever stops waiting stops nothing: the notice is stored all the same.

use std::collections::BTreeMap;

use domain::log::StoreError;
use sqlx::{PgPool, Row};
use tokio::sync::{mpsc, oneshot};

use super::super::unavailable;
use super::Filing;

/// Notices in one transaction: at 1,000 a second that is a quarter of a second's worth, far more than gathers during one
/// commit.
const MOST: usize = 256;

/// Bytes in one transaction: sixteen notices of the largest size that is taken.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Notices that wait to be gathered. Those beyond wait with their requests.
const WAITING: usize = 256;

/// A notice on its way into the table.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) psp: String,
    pub(super) account: String,
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) object_id: String,
    pub(super) object: Option<String>,
    pub(super) livemode: bool,
    pub(super) api_version: Option<String>,
    pub(super) raw: Vec<u8>,
    pub(super) filing: Filing,
    pub(super) backfilled: bool,
}

type Told = oneshot::Sender<Result<bool, StoreError>>;

/// Gathers notices. Cheap to clone; ends with its last clone.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    sender: mpsc::Sender<(Arrived, Told)>,
}

impl Receiver {
    /// Starts it; has to be called within a tokio runtime.
    pub(super) fn start(pool: PgPool) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING);
        tokio::spawn(gather(pool, waiting));
        Self { sender }
    }

    /// Stores a notice. `true` when it is new.
    pub(super) async fn store(&self, arrived: Arrived) -> Result<bool, StoreError> {
        let gone = || StoreError::Unavailable("the inbox takes nothing any more".to_owned());
        let (tell, told) = oneshot::channel();
        self.sender.send((arrived, tell)).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

async fn gather(pool: PgPool, mut waiting: mpsc::Receiver<(Arrived, Told)>) {
    let mut left_over = None;
    loop {
        let first = match left_over.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let mut bytes = first.0.raw.len();
        let mut batch = vec![first];
        while batch.len() < MOST
            && let Ok(next) = waiting.try_recv()
        {
            bytes = bytes.saturating_add(next.0.raw.len());
            if bytes > MOST_BYTES {
                left_over = Some(next);
                break;
            }
            batch.push(next);
        }
        let (arrived, tell): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match write(&pool, arrived).await {
            Ok(new) => {
                for (tell, new) in tell.into_iter().zip(new) {
                    // Whoever asked may have gone.
                    let _ = tell.send(Ok(new));
                }
            }
            Err(error) => {
                tracing::error!(%error, notices = tell.len(), "webhooks could not be stored; they are not acknowledged");
                for tell in tell {
                    let _ = tell.send(Err(StoreError::Unavailable(error.to_string())));
                }
            }
        }
    }
}

/// A notice's identity, as the table has it.
type Key = (String, String, String);

/// Writes a batch in one transaction. Tells of each, in its order, whether it is new.
async fn write(pool: &PgPool, batch: Vec<Arrived>) -> Result<Vec<bool>, StoreError> {
    let keys: Vec<Key> = batch.iter().map(Arrived::key).collect();
    // One statement cannot touch a row twice; and by key, so that two servers lock rows in the same order.
    let mut rows: BTreeMap<Key, (Arrived, i32)> = BTreeMap::new();
    for (key, arrived) in keys.iter().zip(batch) {
        rows.entry(key.clone())
            .and_modify(|(_, deliveries)| *deliveries = deliveries.saturating_add(1))
            .or_insert((arrived, 1));
    }
    let mut new = insert(pool, rows).await?;
    // The first delivery of a new notice is told that it is new; further ones in the batch are not.
    Ok(keys.iter().map(|key| new.remove(key).unwrap_or(false)).collect())
}

async fn insert(pool: &PgPool, rows: BTreeMap<Key, (Arrived, i32)>) -> Result<BTreeMap<Key, bool>, StoreError> {
    let (mut psps, mut accounts, mut ids, mut types) = (vec![], vec![], vec![], vec![]);
    let (mut object_ids, mut objects, mut livemodes, mut versions) = (vec![], vec![], vec![], vec![]);
    let (mut bodies, mut filings, mut backfilled, mut deliveries) = (vec![], vec![], vec![], vec![]);
    for (arrived, count) in rows.into_values() {
        psps.push(arrived.psp);
        accounts.push(arrived.account);
        ids.push(arrived.event_id);
        types.push(arrived.event_type);
        object_ids.push(arrived.object_id);
        objects.push(arrived.object);
        livemodes.push(arrived.livemode);
        versions.push(arrived.api_version);
        bodies.push(arrived.raw);
        filings.push(arrived.filing.word());
        backfilled.push(arrived.backfilled);
        deliveries.push(count);
    }
    let stored = sqlx::query(
        "insert into psp_inbox as i (psp, psp_account, event_id, event_type, object_id, object, livemode, api_version,
                                     raw, received_at, status, backfilled, deliveries)
         select n.psp, n.account, n.id, n.type, n.object_id, n.object::json, n.livemode, n.version,
                n.raw, clock_timestamp(), n.filing, n.backfilled, n.deliveries
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
                     $9::bytea[], $10::text[], $11::boolean[], $12::int[])
              with ordinality as n (psp, account, id, type, object_id, object, livemode, version,
                                    raw, filing, backfilled, deliveries, place)
         order by n.place
         on conflict (psp, psp_account, event_id) do update set deliveries = i.deliveries + excluded.deliveries,
             -- At the wrong endpoint first, and now where it belongs, or in the provider's own list.
             object = case when i.status = 'mismatch' then excluded.object else i.object end,
             status = case when i.status = 'mismatch' then excluded.status else i.status end
         returning i.psp, i.psp_account, i.event_id, i.xmax = 0 as new",
    )
    .bind(psps)
    .bind(accounts)
    .bind(ids)
    .bind(types)
    .bind(object_ids)
    .bind(objects)
    .bind(livemodes)
    .bind(versions)
    .bind(bodies)
    .bind(filings)
    .bind(backfilled)
    .bind(deliveries)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    stored
        .iter()
        .map(|row| {
            let key = (row.try_get("psp")?, row.try_get("psp_account")?, row.try_get("event_id")?);
            Ok((key, row.try_get("new")?))
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(unavailable)
}

impl Arrived {
    fn key(&self) -> Key {
        (self.psp.clone(), self.account.clone(), self.event_id.clone())
    }
}
