//! What a person has to look at: one row per thing, however often it is seen.
//!
//! # Invariants
//! - A task that is seen again is the same task; one that was closed is open again.
//!
//! # What is deliberately absent
//! Who looks at it, and by when.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use super::{to_i64, unavailable};

/// A notice about an object that nobody knows, after the last try.
pub const UNKNOWN_PSP_OBJECT: &str = "unknown_psp_object";
/// A genuine notice of another mode, or at the endpoint of other accounts.
pub const PSP_MISMATCH: &str = "psp_mismatch";
/// No webhook for hours, though things happen at the provider.
pub const WEBHOOKS_SILENT: &str = "webhooks_silent";
/// The provider does not take our key, or does not let it do what it has to.
pub const PSP_KEY: &str = "psp_key";
/// An order that is not carried out any more until somebody has looked.
pub const PSP_ORDER_BLOCKED: &str = "psp_order_blocked";
/// The provider pays the platform's balance out, and nobody here has ordered it.
pub const PLATFORM_PAYOUT: &str = "platform_payout";
/// What is owed to clients and payees has not been covered for a day.
pub const UNCOVERED: &str = "uncovered";
/// Money moved at the provider that nobody here has ordered.
pub const MOVED_BY_HAND: &str = "moved_by_hand";
/// A refund that the provider's balance does not cover: own money has to be added.
pub const REFUND_FUNDING: &str = "refund_funding";
/// The database is a copy: orders wait until the provider has been compared.
pub const RESTORED: &str = "restored";

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What kind of thing, one of the constants of this module.
    pub kind: String,
    /// The order, the notice or the object that it is about.
    pub subject: String,
    /// In words.
    pub detail: String,
    /// When it was seen first, wall time (UTC).
    pub opened_at: Timestamp,
    /// How often it was seen.
    pub seen: u32,
}

/// Opens a task, or notes that it was seen again.
///
/// # Errors
/// [`StoreError`].
pub async fn open(pool: &PgPool, kind: &str, subject: &str, detail: &str) -> Result<(), StoreError> {
    sqlx::query(
        "insert into operator_tasks as t (kind, subject, detail, opened_at, seen_at)
         values ($1, $2, $3, clock_timestamp(), clock_timestamp())
         on conflict (kind, subject) do update set detail = excluded.detail, seen_at = excluded.seen_at,
             seen = t.seen + 1, closed_at = null,
             opened_at = case when t.closed_at is null then t.opened_at else excluded.opened_at end",
    )
    .bind(kind)
    .bind(subject)
    .bind(detail)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Opens a task about something that happens once. `false` when it was opened before: it stays as it is, also closed.
///
/// # Errors
/// [`StoreError`].
pub async fn open_once(pool: &PgPool, kind: &str, subject: &str, detail: &str) -> Result<bool, StoreError> {
    let opened = sqlx::query(
        "insert into operator_tasks (kind, subject, detail, opened_at, seen_at)
         values ($1, $2, $3, clock_timestamp(), clock_timestamp()) on conflict (kind, subject) do nothing",
    )
    .bind(kind)
    .bind(subject)
    .bind(detail)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(opened.rows_affected() > 0)
}

/// Closes a task. `false` when there was none open.
///
/// # Errors
/// [`StoreError`].
pub async fn close(pool: &PgPool, kind: &str, subject: &str) -> Result<bool, StoreError> {
    let closed = sqlx::query(
        "update operator_tasks set closed_at = clock_timestamp() where kind = $1 and subject = $2 and closed_at is null",
    )
    .bind(kind)
    .bind(subject)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(closed.rows_affected() > 0)
}

/// Up to `limit` open tasks, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, limit: usize) -> Result<Vec<Task>, StoreError> {
    let rows = sqlx::query(
        "select kind, subject, detail, opened_at, seen from operator_tasks
         where closed_at is null order by opened_at, kind, subject limit $1",
    )
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            Ok(Task {
                kind: row.try_get("kind")?,
                subject: row.try_get("subject")?,
                detail: row.try_get("detail")?,
                opened_at: row.try_get("opened_at")?,
                seen: row.try_get::<i32, _>("seen").map(|seen| u32::try_from(seen).unwrap_or(0))?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(unavailable)
}
