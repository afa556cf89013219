//! The outbox: orders to the payment provider, stored before they are carried out.
//!
//! # Invariants
//! - An order is in it once, by its id, however often its event is read.
//! - The idempotency key is `{schema}:{aggregate}:{action}:{attempt}`; the attempt grows only after the provider has
//!   proved that nothing happened. An order whose outcome is unknown keeps its key.
//! - While it is paused nothing is handed out.

use std::time::Duration;

use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::process::Order;
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{corrupt, to_i64, unavailable};

/// Providers may forget a key after 24 hours (Stripe does: <https://docs.stripe.com/api/idempotent_requests>). An order
/// whose outcome has been unknown for longer than this is not sent again; an operator has to look.
pub const KEY_LIFETIME: Duration = Duration::from_secs(23 * 60 * 60);

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
        not_before.push(order.not_before.unwrap_or(*occurred_at));
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
}

impl Outbox {
    /// The outbox of the tenant of this pool; `schema` is its name, which idempotency keys begin with.
    pub fn new(pool: PgPool, schema: impl Into<String>) -> Self {
        Self {
            pool,
            schema: schema.into(),
        }
    }

    /// Up to `limit` orders that are due, for the caller alone during `lease`. Oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<DueOrder>, StoreError> {
        let rows = sqlx::query(
            "update outbox o set locked_until = clock_timestamp() + make_interval(secs => $3)
             where o.order_id in (
                 select order_id from outbox
                 where status in ('pending', 'unknown') and not_before <= $1
                   and retry_at <= clock_timestamp() and locked_until <= clock_timestamp()
                   and not (select paused from outbox_control)
                 order by position limit $2 for update skip locked)
             returning o.order_id, o.body::text as body, o.aggregate_id, o.action, o.attempt, o.failures, o.status",
        )
        .bind(now)
        .bind(to_i64(limit as u64))
        .bind(lease.as_secs_f64())
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
    /// `false`, when the key is too old to be sent again: the order is then blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn before_sending(&self, order: &DueOrder) -> Result<bool, StoreError> {
        let body = serde_json::to_vec(&order.what).map_err(corrupt)?;
        let digest = Sha256::digest(&body)
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        let expired: bool = sqlx::query(
            "update outbox set
                 status = case when first_sent_at < clock_timestamp() - make_interval(secs => $2) and $3
                               then 'blocked' else case when $3 then 'unknown' else status end end,
                 first_sent_at = coalesce(first_sent_at, clock_timestamp())
             where order_id = $1 returning status = 'blocked' as expired",
        )
        .bind(order.order_id)
        .bind(KEY_LIFETIME.as_secs_f64())
        .bind(order.what.moves_money())
        .fetch_one(&mut *tx)
        .await
        .and_then(|row| row.try_get("expired"))
        .map_err(unavailable)?;
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
        sqlx::query(
            "update outbox set
                 status = case when $2 = 'unchanged' then status else $2 end,
                 retry_at = clock_timestamp() + make_interval(secs => $3),
                 attempt = attempt + case when $4 then 1 else 0 end,
                 first_sent_at = case when $4 then null else first_sent_at end,
                 failures = case when $5::text is null then 0 else failures + 1 end,
                 last_error = $5, locked_until = 'epoch'
             where order_id = $1",
        )
        .bind(order_id)
        .bind(status)
        .bind(after.as_secs_f64())
        .bind(new_key)
        .bind(why)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        Ok(())
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
