//! The outbox for the operator: how orders stand, pausing, and sending again what was given up.
//!
//! # Invariants
//! - An order that is tried again keeps its key, and the time of its first sending: if that key may be forgotten, the
//!   order is looked for at the provider first.

use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::time::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Outbox;
use crate::postgres::{corrupt, task, to_i64, unavailable};

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

/// A call that was made, or was about to be made, for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The key that it carried.
    pub idempotency_key: String,
    /// SHA-256 of the order, in hexadecimal digits: the same under one key.
    pub body_digest: String,
    /// Wall time (UTC).
    pub created_at: Timestamp,
}

const COLUMNS: &str = "order_id, aggregate_id, action, status, attempt, failures, last_error, not_before";

impl Outbox {
    /// Hands nothing out any more, on any server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause(&self) -> Result<(), StoreError> {
        self.set_paused(true, Some("the operator paused it")).await
    }

    /// Hands orders out again. After a restore each open order is looked for at the provider before it is sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resume(&self) -> Result<(), StoreError> {
        self.set_paused(false, None).await?;
        task::close(&self.pool, task::RESTORED, "outbox").await.map(|_| ())
    }

    async fn set_paused(&self, paused: bool, why: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("update outbox_control set paused = $1, paused_because = $2")
            .bind(paused)
            .bind(why)
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

    /// Why it is paused; `None` when it is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn paused_because(&self) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(
            "select case when paused then coalesce(paused_because, 'nobody said why') end as why from outbox_control",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(unavailable)?;
        row.try_get("why").map_err(unavailable)
    }

    /// Whether this is the platform's account whose orders these are. The first one that is told is it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_platform(&self, account: &str) -> Result<bool, StoreError> {
        sqlx::query("update outbox_control set platform = $1 where platform is null")
            .bind(account)
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        sqlx::query_scalar("select platform = $1 from outbox_control")
            .bind(account)
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)
    }

    /// Whether this is known to be the platform's own account. Unlike [`Outbox::is_platform`] it learns nothing from the
    /// question.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_known_as_platform(&self, account: &str) -> Result<bool, StoreError> {
        sqlx::query_scalar("select coalesce(platform = $1, false) from outbox_control")
            .bind(account)
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)
    }

    /// Most calls to the provider per second and server; `None` leaves it to the adapter. 1 or more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn limit(&self, calls_per_second: Option<u32>) -> Result<(), StoreError> {
        sqlx::query("update outbox_control set calls_per_second = $1")
            .bind(calls_per_second.map(|calls| i32::try_from(calls).unwrap_or(i32::MAX)))
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// What [`Outbox::limit`] was told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn calls_per_second(&self) -> Result<Option<u32>, StoreError> {
        let row = sqlx::query("select calls_per_second from outbox_control")
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        let calls: Option<i32> = row.try_get("calls_per_second").map_err(unavailable)?;
        Ok(calls.and_then(|calls| u32::try_from(calls).ok()))
    }

    /// Up to `limit` orders with this status, or with any, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, status: Option<&str>, limit: usize) -> Result<Vec<OrderStatus>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from outbox where $1::text is null or status = $1 order by position, order_id limit $2"
        );
        let rows = sqlx::query(&sql)
            .bind(status)
            .bind(to_i64(limit as u64))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
        rows.iter().map(status_of).collect::<Result<_, _>>().map_err(unavailable)
    }

    /// An order: how it stands, what is ordered, and the calls for it, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn show(&self, order_id: Uuid) -> Result<Option<(OrderStatus, ProviderOrder, Vec<Call>)>, StoreError> {
        let sql = format!("select {COLUMNS}, body::text as body from outbox where order_id = $1");
        let row = sqlx::query(&sql).bind(order_id).fetch_optional(&self.pool).await.map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let body: String = row.try_get("body").map_err(unavailable)?;
        let what = serde_json::from_str(&body).map_err(corrupt)?;
        let calls = sqlx::query(
            "select idempotency_key, body_digest, created_at from provider_requests where order_id = $1
             order by request_id",
        )
        .bind(order_id)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?
        .iter()
        .map(|row| {
            Ok(Call {
                idempotency_key: row.try_get("idempotency_key")?,
                body_digest: row.try_get("body_digest")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(unavailable)?;
        Ok(Some((status_of(&row).map_err(unavailable)?, what, calls)))
    }

    /// Has an order tried again that was given up, or that waits. It keeps its key. `false` when it is done, or is not
    /// there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, order_id: Uuid) -> Result<bool, StoreError> {
        let tried = sqlx::query(
            "update outbox set retry_at = 'epoch', failures = 0,
                 status = case when status <> 'blocked' then status
                               when first_sent_at is null then 'pending' else 'unknown' end
             where order_id = $1 and status <> 'done'",
        )
        .bind(order_id)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        task::close(&self.pool, task::PSP_ORDER_BLOCKED, &order_id.to_string()).await?;
        Ok(tried.rows_affected() > 0)
    }

    /// An order was found at the provider, and its facts are in the log: it is done. Only while it is paused, when no worker
    /// has it. `false` otherwise.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn found_done(&self, order_id: Uuid) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update outbox set status = 'done', last_error = null
             where order_id = $1 and locked_until <= clock_timestamp() and (select paused from outbox_control)",
        )
        .bind(order_id)
        .execute(&self.pool)
        .await
        .map_err(unavailable)?;
        task::close(&self.pool, task::PSP_ORDER_BLOCKED, &order_id.to_string()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Up to `limit` orders that are not done, oldest first, with what is ordered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn not_done(&self, limit: usize) -> Result<Vec<(OrderStatus, ProviderOrder)>, StoreError> {
        let sql = format!(
            "select {COLUMNS}, body::text as body from outbox where status <> 'done' order by position, order_id limit $1"
        );
        let rows = sqlx::query(&sql).bind(to_i64(limit as u64)).fetch_all(&self.pool).await.map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let body: String = row.try_get("body").map_err(unavailable)?;
                Ok((status_of(row).map_err(unavailable)?, serde_json::from_str(&body).map_err(corrupt)?))
            })
            .collect()
    }
}

fn status_of(row: &PgRow) -> Result<OrderStatus, sqlx::Error> {
    let count = |column: &str| row.try_get::<i32, _>(column).map(|count| u32::try_from(count).unwrap_or(0));
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
}
