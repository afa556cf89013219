//! The outbox: orders to the payment provider, stored before they are carried out.
//!
//! # Invariants
//! - An order is in it once, by its id, however often its event is read.
//! - The idempotency key is `{schema}:{aggregate}:{action}:{attempt}`; the attempt grows only after the provider has
//!   proved that nothing happened. An order whose outcome is unknown keeps its key.
//! - While it is paused nothing is handed out.
//! - An order is changed only by the worker that took it last. One that waited beyond its lease, and whose order was
//!   taken by another, changes nothing: its late refusal would open a new key beside one that has paid.

use std::time::Duration;

use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::process::Order;
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{corrupt, to_i64, unavailable};

/// Providers may forget a key after 24 hours (Stripe does: <https://docs.stripe.com/api/idempotent_requests>). An order
/// whose outcome has been unknown for longer than this is not sent again; an operator has to look.
pub const KEY_LIFETIME: Duration = Duration::from_secs(23 * 60 * 60);

/// How long carrying out an order may take; its lease is at least that when it is sent. Two calls of 20 s each are the
/// most that an order needs; the orders of a server that died wait for so long.
const SENDING: Duration = Duration::from_secs(45);

/// An order that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueOrder {
    /// Its id.
    pub order_id: Uuid,
    /// What is ordered.
    pub what: ProviderOrder,
    /// The key to send it with.
    pub idempotency_key: String,
    /// How often it has failed in a row.
    pub failures: u32,
    /// Whether an earlier sending ended without a usable answer.
    pub unknown: bool,
}

/// Puts orders in, within the transaction of the projection. Orders that are known are left as they are.
pub(crate) async fn insert(tx: &mut PgConnection, orders: &[(i64, Order, Timestamp)]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let (mut ids, mut positions, mut aggregates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut actions, mut bodies, mut not_before) = (Vec::new(), Vec::new(), Vec::new());
    for (position, order, occurred_at) in orders {
        ids.push(order.order_id);
        positions.push(*position);
        aggregates.push(order.what.aggregate_id());
        actions.push(order.what.action());
        bodies.push(serde_json::to_string(&order.what).map_err(|error| sqlx::Error::Encode(Box::new(error)))?);
        not_before.push(order.due_at(*occurred_at));
    }
    sqlx::query(
        "insert into outbox (order_id, position, aggregate_id, action, body, not_before)
         select o.id, o.position, o.aggregate, o.action, o.body::json, o.not_before
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
             as o (id, position, aggregate, action, body, not_before)
         on conflict (order_id) do nothing",
    )
    .bind(&ids)
    .bind(&positions)
    .bind(&aggregates)
    .bind(&actions)
    .bind(&bodies)
    .bind(&not_before)
    .execute(tx)
    .await?;
    Ok(())
}

/// A tenant's outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    pool: PgPool,
    schema: String,
    /// Who takes orders here; the same for all clones.
    worker: Uuid,
}

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderStatus {
    /// Its id.
    pub order_id: Uuid,
    /// The aggregate that it is for.
    pub aggregate_id: String,
    /// The word for what is ordered.
    pub action: String,
    /// `pending`, `unknown`, `done` or `blocked`.
    pub status: String,
    /// Part of the idempotency key.
    pub attempt: u32,
    /// How often it has failed in a row.
    pub failures: u32,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// Not before this instant of the tenant's clock.
    pub not_before: Timestamp,
}

impl Outbox {
    /// The outbox of the tenant of this pool; `schema` is its name, which idempotency keys begin with.
    pub fn new(pool: PgPool, schema: impl Into<String>) -> Self {
        Self { pool, schema: schema.into(), worker: Uuid::new_v4() }
    }

    /// Up to `limit` orders that are due, for the caller alone during `lease`. Oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<DueOrder>, StoreError> {
        let rows = sqlx::query(
            "with due as materialized (
                 select order_id from outbox
                 where status in ('pending', 'unknown') and not_before <= $1
                   and retry_at <= clock_timestamp() and locked_until <= clock_timestamp()
                   and not (select paused from outbox_control)
                 order by position, order_id limit $2 for update skip locked
             ), taken as (
                 update outbox o set locked_until = clock_timestamp() + make_interval(secs => $3), locked_by = $4
                 from due where o.order_id = due.order_id
                 returning o.order_id, o.position, o.body::text as body, o.aggregate_id, o.action, o.attempt,
                           o.failures, o.status
             )
             select * from taken order by position, order_id",
        )
        .bind(now)
        .bind(to_i64(limit as u64))
        .bind(lease.as_secs_f64())
        .bind(self.worker)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
                let attempt: i32 = row.try_get("attempt").map_err(unavailable)?;
                let failures: i32 = row.try_get("failures").map_err(unavailable)?;
                let (aggregate, action) = (text("aggregate_id")?, text("action")?);
                Ok(DueOrder {
                    order_id: row.try_get("order_id").map_err(unavailable)?,
                    what: serde_json::from_str(&text("body")?).map_err(corrupt)?,
                    idempotency_key: format!("{}:{aggregate}:{action}:{attempt}", self.schema),
                    failures: u32::try_from(failures).unwrap_or(0),
                    unknown: text("status")? == "unknown",
                })
            })
            .collect()
    }

    /// Notes a call before it is made. From here on the order counts as sent: after a crash its outcome is unknown.
    /// `false`, when it must not be sent: its key is too old to be sent again, and the order is blocked now; or the lease
    /// ran out and another worker has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn before_sending(&self, order: &DueOrder) -> Result<bool, StoreError> {
        let body = serde_json::to_vec(&order.what).map_err(corrupt)?;
        let digest = Sha256::digest(&body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        let expired: Option<PgRow> = sqlx::query(
            "update outbox set
                 status = case when first_sent_at < clock_timestamp() - make_interval(secs => $2) and $3
                               then 'blocked' else case when $3 then 'unknown' else status end end,
                 first_sent_at = coalesce(first_sent_at, clock_timestamp()),
                 locked_until = greatest(locked_until, clock_timestamp() + make_interval(secs => $5))
             where order_id = $1 and locked_by = $4 and status in ('pending', 'unknown')
             returning status = 'blocked' as expired",
        )
        .bind(order.order_id)
        .bind(KEY_LIFETIME.as_secs_f64())
        .bind(order.what.moves_money())
        .bind(self.worker)
        .bind(SENDING.as_secs_f64())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        let Some(row) = expired else {
            tracing::warn!(order_id = %order.order_id, "another worker has this order now");
            return Ok(false);
        };
        let expired: bool = row.try_get("expired").map_err(unavailable)?;
        if !expired {
            sqlx::query(
                "insert into provider_requests (order_id, idempotency_key, body_digest, created_at)
                 values ($1, $2, $3, clock_timestamp())",
            )
            .bind(order.order_id)
            .bind(&order.idempotency_key)
            .bind(digest)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(!expired)
    }

    /// The order's facts are in the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn done(&self, order_id: Uuid) -> Result<(), StoreError> {
        self.set(order_id, "done", Duration::ZERO, false, None).await
    }

    /// Tries again later with the same key: nothing is proved. `why` goes into the record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn again(&self, order_id: Uuid, after: Duration, why: &str) -> Result<(), StoreError> {
        self.set(order_id, "unchanged", after, false, Some(why)).await
    }

    /// Carries it out again, not before an instant of the tenant's clock: what it asks for is not final yet. Counts as a
    /// failure, so that the next pause can be longer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn not_before(&self, order_id: Uuid, instant: Timestamp, why: &str) -> Result<(), StoreError> {
        sqlx::query("update outbox set not_before = $2 where order_id = $1 and locked_by = $3")
            .bind(order_id)
            .bind(instant)
            .bind(self.worker)
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        self.again(order_id, Duration::ZERO, why).await
    }

    /// Tries again later with a new key: the provider has proved that nothing happened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn again_with_new_key(&self, order_id: Uuid, after: Duration, why: &str) -> Result<(), StoreError> {
        self.set(order_id, "pending", after, true, Some(why)).await
    }

    /// Gives up; an operator has to look.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn block(&self, order_id: Uuid, why: &str) -> Result<(), StoreError> {
        self.set(order_id, "blocked", Duration::ZERO, false, Some(why)).await
    }

    async fn set(
        &self,
        order_id: Uuid,
        status: &str,
        after: Duration,
        new_key: bool,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update outbox set
                 status = case when $2 = 'unchanged' then status else $2 end,
                 retry_at = clock_timestamp() + make_interval(secs => $3),
                 attempt = attempt + case when $4 then 1 else 0 end,
                 first_sent_at = case when $4 then null else first_sent_at end,
                 failures = case when $5::text is null then 0 else failures + 1 end,
                 last_error = $5, locked_until = 'epoch'
             where order_id = $1 and locked_by = $6 and status in ('pending', 'unknown')",
        )
        .bind(order_id)
        .bind(status)
        .bind(after.as_secs_f64())
        .bind(new_key)
        .bind(why)
        .bind(self.worker)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            tracing::warn!(%order_id, status, "another worker has this order now; it is left as it is");
        }
        Ok(())
    }

    /// Hands nothing out any more, on any server; as after a restore from a backup, until somebody has reconciled.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.set_paused(true).await
    }

    /// Hands orders out again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.set_paused(false).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        sqlx::query("update outbox_control set paused = $1")
            .bind(paused)
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Whether it is paused.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_paused(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("select paused from outbox_control").fetch_one(&self.pool).await.map_err(unavailable)?;
        row.try_get("paused").map_err(unavailable)
    }

    /// Up to `limit` orders with this status, or with any, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, status: Option<&str>, limit: usize) -> Result<Vec<OrderStatus>, StoreError> {
        let rows = sqlx::query(
            "select order_id, aggregate_id, action, status, attempt, failures, last_error, not_before from outbox
             where $1::text is null or status = $1 order by position, order_id limit $2",
        )
        .bind(status)
        .bind(to_i64(limit as u64))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let count = |column: &str| row.try_get::<i32, _>(column).map(|n| u32::try_from(n).unwrap_or(0));
                Ok(OrderStatus {
                    order_id: row.try_get("order_id")?,
                    aggregate_id: row.try_get("aggregate_id")?,
                    action: row.try_get("action")?,
                    status: row.try_get("status")?,
                    attempt: count("attempt")?,
                    failures: count("failures")?,
                    last_error: row.try_get("last_error")?,
                    not_before: row.try_get("not_before")?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(unavailable)
    }

    /// How many orders are due by `now` and not settled, and when the next one after that is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outlook(&self, now: Timestamp) -> Result<(u64, Option<Timestamp>), StoreError> {
        let row = sqlx::query(
            "select count(*) filter (where not_before <= $1) as due, min(not_before) filter (where not_before > $1) as next
             from outbox where status in ('pending', 'unknown')",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await
        .map_err(unavailable)?;
        let due: i64 = row.try_get("due").map_err(unavailable)?;
        Ok((super::to_u64(due), row.try_get("next").map_err(unavailable)?))
    }
}
