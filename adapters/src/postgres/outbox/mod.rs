//! The outbox: orders to the payment provider, stored before they are carried out.
//!
//! # Invariants
//! - An order is in it once, by its id, however often its event is read.
//! - The idempotency key is `{schema}:{aggregate}:{action}:{attempt}`, with the order's id before the attempt where one
//!   aggregate asks for the same thing more than once; the attempt grows only after the provider has
//!   proved that nothing happened. An order whose outcome is unknown keeps its key.
//! - An order that moves money and whose key may be forgotten is looked for at the provider before it is sent again.
//! - Of a lane only the oldest open order is handed out, on whatever server: transfers out of one balance go one after the
//!   other.
//! - While it is paused, and in a database that is a copy, nothing is handed out ([`home`]).
//! - One that is withheld is never sent, whoever takes it: what follows from that is recorded, and it is done.
//! - An order is changed only by the worker that took it last. One that waited beyond its lease, and whose order was
//!   taken by another, changes nothing: its late refusal would open a new key beside one that has paid.

mod home;
mod operator;

use std::time::Duration;

use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::process::{self, Order};
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{corrupt, task, to_i64, unavailable};

pub use domain::process::settlement::KEY_LIFETIME;
pub use home::Home;
pub use operator::{Call, OrderStatus};

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
    /// The code of the gate that was shut before it was sent ([`Outbox::withhold`]): it never is.
    pub withheld: Option<String>,
    /// It was due at this instant of the tenant's clock: it was never sent before.
    pub not_before: Timestamp,
    /// What the tenant's clock showed when it was taken.
    pub taken_at: Timestamp,
}

/// What may be done with an order that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    /// Send it.
    Send,
    /// Look for it at the provider: it may have been carried out under a key that is forgotten.
    Search,
    /// Nothing: the lease ran out, and another worker has it.
    Lost,
}

/// Puts orders in, within the transaction of the projection. Orders that are known are left as they are.
pub(crate) async fn insert(tx: &mut PgConnection, orders: &[(i64, Order, Timestamp)]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let (mut ids, mut positions, mut aggregates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut actions, mut bodies, mut not_before, mut lanes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (position, order, occurred_at) in orders {
        ids.push(order.order_id);
        positions.push(*position);
        aggregates.push(order.what.aggregate_id());
        actions.push(order.what.action());
        bodies.push(serde_json::to_string(&order.what).map_err(|error| sqlx::Error::Encode(Box::new(error)))?);
        not_before.push(order.due_at(*occurred_at));
        lanes.push(process::lane(&order.what));
    }
    sqlx::query(
        "insert into outbox (order_id, position, aggregate_id, action, body, not_before, lane, status, first_sent_at)
         select o.id, o.position, o.aggregate, o.action, o.body::json, o.not_before, o.lane,
                case when suspect.yes then 'unknown' else 'pending' end,
                case when suspect.yes then 'epoch'::timestamptz end
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
             as o (id, position, aggregate, action, body, not_before, lane),
             outbox_control c,
             -- What was begun before a restore may have come further before it than the log knows.
             lateral (select c.suspect_until > 0 and exists (
                 select from events e join events f
                     on f.aggregate_type = e.aggregate_type and f.aggregate_id = e.aggregate_id and f.sequence = 1
                 where e.position = o.position and f.position <= c.suspect_until) as yes) suspect
         on conflict (order_id) do nothing",
    )
    .bind(&ids)
    .bind(&positions)
    .bind(&aggregates)
    .bind(&actions)
    .bind(&bodies)
    .bind(&not_before)
    .bind(&lanes)
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

impl Outbox {
    /// The outbox of the tenant of this pool; `schema` is its name, which idempotency keys begin with.
    pub fn new(pool: PgPool, schema: impl Into<String>) -> Self {
        Self { pool, schema: schema.into(), worker: Uuid::new_v4() }
    }

    /// Up to `limit` orders that are due, for the caller alone during `lease`. Those that were never tried go first, then
    /// whoever waits longest: what is asked for again and again starves nobody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<DueOrder>, StoreError> {
        let sql = format!(
            "with due as materialized (
                 select o.order_id from outbox o
                 where o.status in ('pending', 'unknown') and o.not_before <= $1
                   and o.retry_at <= clock_timestamp() and o.locked_until <= clock_timestamp()
                   and (select not paused and (home is null or home = {here}) from outbox_control)
                   and (o.lane is null
                        or not exists (select from outbox before
                                       where before.lane = o.lane and before.status in ('pending', 'unknown')
                                         and (before.position, before.order_id) < (o.position, o.order_id)))
                 order by o.retry_at, o.position, o.order_id limit $2 for update of o skip locked
             ), taken as (
                 update outbox o set locked_until = clock_timestamp() + make_interval(secs => $3), locked_by = $4
                 from due where o.order_id = due.order_id
                 returning o.order_id, o.position, o.body::text as body, o.attempt, o.failures, o.status,
                           o.not_before, o.withheld
             )
             select * from taken order by position, order_id",
            here = home::HERE
        );
        let rows = sqlx::query(&sql)
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
                let order_id: Uuid = row.try_get("order_id").map_err(unavailable)?;
                let what: ProviderOrder = serde_json::from_str(&text("body")?).map_err(corrupt)?;
                let attempt = u32::try_from(attempt).unwrap_or(0);
                Ok(DueOrder {
                    order_id,
                    idempotency_key: what.idempotency_key(&self.schema, order_id, attempt),
                    what,
                    failures: u32::try_from(failures).unwrap_or(0),
                    unknown: text("status")? == "unknown",
                    withheld: row.try_get("withheld").map_err(unavailable)?,
                    not_before: row.try_get("not_before").map_err(unavailable)?,
                    taken_at: now,
                })
            })
            .collect()
    }

    /// Up to `limit` orders that wait on the same lane behind this one, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn behind(&self, order_id: Uuid, limit: usize) -> Result<Vec<ProviderOrder>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "select o.body::text from outbox o join outbox first on first.lane = o.lane
             where first.order_id = $1 and o.status in ('pending', 'unknown')
               and (o.position, o.order_id) > (first.position, first.order_id)
             order by o.position, o.order_id limit $2",
        )
        .bind(order_id)
        .bind(to_i64(limit as u64))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        bodies.iter().map(|body| serde_json::from_str(body).map_err(corrupt)).collect()
    }

    /// Never sends an order that was not sent: a gate with this code is shut. It stays open until what follows is in the log,
    /// and whoever takes it next records that, and nothing else. `false` when it may have been sent, or another worker has
    /// it: then nothing has changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withhold(&self, order: &DueOrder, code: &str) -> Result<bool, StoreError> {
        let withheld = sqlx::query(
            "update outbox set withheld = $3
             where order_id = $1 and locked_by = $2 and status = 'pending' and first_sent_at is null",
        )
        .bind(order.order_id)
        .bind(self.worker)
        .bind(code)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        Ok(withheld.rows_affected() > 0)
    }

    /// Notes a call before it is made. From here on the order counts as sent: after a crash its outcome is unknown. Only
    /// after [`Clearance::Send`] may it be sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn before_sending(&self, order: &DueOrder) -> Result<Clearance, StoreError> {
        let body = serde_json::to_vec(&order.what).map_err(corrupt)?;
        let digest = Sha256::digest(&body).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        let row: Option<PgRow> = sqlx::query(
            "update outbox set
                 status = case when $3 then 'unknown' else status end,
                 first_sent_at = coalesce(first_sent_at, clock_timestamp()),
                 first_sent_on = coalesce(first_sent_on, case when first_sent_at is null then $5 end),
                 locked_until = greatest(locked_until, clock_timestamp() + make_interval(secs => $2))
             where order_id = $1 and locked_by = $4 and status in ('pending', 'unknown') and withheld is null
             returning greatest(0, extract(epoch from clock_timestamp() - first_sent_at),
                                extract(epoch from $5 - first_sent_on))::double precision as seconds",
        )
        .bind(order.order_id)
        .bind(SENDING.as_secs_f64())
        .bind(order.what.moves_money())
        .bind(self.worker)
        .bind(order.taken_at)
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else {
            tracing::warn!(order_id = %order.order_id, "another worker has this order now");
            return Ok(Clearance::Lost);
        };
        let seconds: f64 = row.try_get("seconds").map_err(unavailable)?;
        // Sent just now for the first time, it is zero.
        let expired = process::must_be_looked_for(&order.what, Duration::try_from_secs_f64(seconds).ok());
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
        Ok(if expired { Clearance::Search } else { Clearance::Send })
    }

    /// The provider has nothing of the order: it is sent again, under the key that it had. Its time begins anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn absent(&self, order_id: Uuid) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update outbox set status = 'pending', first_sent_at = null, first_sent_on = null, retry_at = clock_timestamp(),
                 last_error = 'looked for at the provider: not there', locked_until = 'epoch'
             where order_id = $1 and locked_by = $2 and status in ('pending', 'unknown')",
        )
        .bind(order_id)
        .bind(self.worker)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            tracing::warn!(%order_id, "another worker has this order now; it is left as it is");
        }
        Ok(())
    }

    /// The order's facts are in the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn done(&self, order_id: Uuid) -> Result<(), StoreError> {
        self.set(order_id, "done", Duration::ZERO, false, None).await.map(|_| ())
    }

    /// Tries again later with the same key: nothing is proved. `why` goes into the record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn again(&self, order_id: Uuid, after: Duration, why: &str) -> Result<(), StoreError> {
        self.set(order_id, "unchanged", after, false, Some(why)).await.map(|_| ())
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
        self.set(order_id, "pending", after, true, Some(why)).await.map(|_| ())
    }

    /// Gives up: it is an operator's task now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn block(&self, order_id: Uuid, why: &str) -> Result<(), StoreError> {
        if self.set(order_id, "blocked", Duration::ZERO, false, Some(why)).await? {
            task::open(&self.pool, task::PSP_ORDER_BLOCKED, &order_id.to_string(), why).await?;
        }
        Ok(())
    }

    async fn set(
        &self,
        order_id: Uuid,
        status: &str,
        after: Duration,
        new_key: bool,
        why: Option<&str>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update outbox set
                 status = case when $2 = 'unchanged' then status else $2 end,
                 retry_at = clock_timestamp() + make_interval(secs => $3),
                 attempt = attempt + case when $4 then 1 else 0 end,
                 first_sent_at = case when $4 then null else first_sent_at end,
                 first_sent_on = case when $4 then null else first_sent_on end,
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
        let mine = done.rows_affected() > 0;
        if !mine {
            tracing::warn!(%order_id, status, "another worker has this order now; it is left as it is");
        }
        Ok(mine)
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
