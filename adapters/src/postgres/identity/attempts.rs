//! Counts attempts to sign in, in windows of time.

use chrono::TimeDelta;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use crate::postgres::unavailable;

/// Where a counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Attempts in this window, this one included.
    pub attempts: i32,
    /// When the window ends and counting begins anew.
    pub ends_at: Timestamp,
}

/// Counts one attempt, before it is made: of many at once none is forgotten.
///
/// # Errors
/// [`StoreError`].
pub async fn count(pool: &PgPool, counter: &[u8; 32], now: Timestamp, window: TimeDelta) -> Result<Count, StoreError> {
    let row = sqlx::query(
        "insert into login_attempts as a (counter, window_from, attempts) values ($1, $2, 1)
         on conflict (counter) do update set
             attempts = case when a.window_from <= $3 then 1 else least(a.attempts + 1, 1000000) end,
             window_from = case when a.window_from <= $3 then $2 else a.window_from end
         returning attempts, window_from",
    )
    .bind(counter.as_slice())
    .bind(now)
    .bind(now - window)
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    let window_from: Timestamp = row.try_get("window_from").map_err(unavailable)?;
    Ok(Count { attempts: row.try_get("attempts").map_err(unavailable)?, ends_at: window_from + window })
}

/// Takes one attempt back: it was a good one.
///
/// # Errors
/// [`StoreError`].
pub async fn forgive(pool: &PgPool, counter: &[u8; 32]) -> Result<(), StoreError> {
    sqlx::query("update login_attempts set attempts = greatest(attempts - 1, 0) where counter = $1")
        .bind(counter.as_slice())
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Begins anew.
///
/// # Errors
/// [`StoreError`].
pub async fn clear(pool: &PgPool, counter: &[u8; 32]) -> Result<(), StoreError> {
    sqlx::query("delete from login_attempts where counter = $1")
        .bind(counter.as_slice())
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
