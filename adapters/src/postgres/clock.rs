//! The tenant's clock: the system's, or a test clock that is moved by hand. Also what wakes scopes.

use domain::log::{StoreError, StreamId};
use domain::ports::Clock;
use domain::time::{Timestamp, to_millis};
use sqlx::{PgPool, Row};

use super::{to_i64, unavailable};

/// A tenant's clock.
#[derive(Debug, Clone)]
pub struct TenantClock {
    pool: PgPool,
    test_mode: bool,
}

/// A test clock cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// It only goes forward.
    #[error("the clock is at {now}; it only goes forward")]
    Backwards {
        /// Where it is.
        now: Timestamp,
    },
    /// There is none.
    #[error("the tenant has no test clock")]
    NotInTestMode,
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TenantClock {
    /// The clock of the tenant of this pool. Which kind it is does not change while a server runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(pool: PgPool) -> Result<Self, StoreError> {
        let test_mode = read(&pool).await?.is_some();
        Ok(Self { pool, test_mode })
    }

    /// Whether it is a test clock.
    pub fn is_test(&self) -> bool {
        self.test_mode
    }

    /// Makes a tenant without events one with a test clock at `now`. A clock that is a test clock already stays where it
    /// is.
    ///
    /// # Errors
    /// [`ClockError::NotInTestMode`] when the tenant has lived by the system's clock.
    pub async fn start_test_mode(pool: &PgPool, now: Timestamp) -> Result<(), ClockError> {
        if read(pool).await?.is_some() {
            return Ok(());
        }
        let done = sqlx::query(
            "update tenant_clock set test_mode = true, now = $1
             where not test_mode and (select position from log_head) = 0",
        )
        .bind(to_millis(now))
        .execute(pool)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(ClockError::NotInTestMode) }
    }

    /// Moves a test clock to `to`.
    ///
    /// # Errors
    /// [`ClockError`]; the clock is then where it was.
    pub async fn advance(&self, to: Timestamp) -> Result<(), ClockError> {
        let done = sqlx::query("update tenant_clock set now = $1 where test_mode and now <= $1")
            .bind(to_millis(to))
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        match read(&self.pool).await? {
            Some(now) => Err(ClockError::Backwards { now }),
            None => Err(ClockError::NotInTestMode),
        }
    }
}

impl Clock for TenantClock {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.test_mode
            && let Some(now) = read(&self.pool).await?
        {
            return Ok(now);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the Clock port")]
        let now = chrono::Utc::now();
        Ok(to_millis(now))
    }
}

async fn read(pool: &PgPool) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query("select now from tenant_clock").fetch_one(pool).await.map_err(unavailable)?;
    row.try_get("now").map_err(unavailable)
}

/// Scopes that somebody should look at by `now`, earliest first.
///
/// # Errors
/// [`StoreError`].
pub async fn due_wakeups(
    pool: &PgPool,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(StreamId, Timestamp)>, StoreError> {
    let rows = sqlx::query(
        "select aggregate_type, aggregate_id, due_at from wakeups where due_at <= $1 order by due_at limit $2",
    )
    .bind(now)
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
            let stream = StreamId::new(text("aggregate_type")?, text("aggregate_id")?);
            Ok((stream, row.try_get("due_at").map_err(unavailable)?))
        })
        .collect()
}

/// When the next scope is to be looked at.
///
/// # Errors
/// [`StoreError`].
pub async fn next_wakeup(pool: &PgPool) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query("select min(due_at) as next from wakeups").fetch_one(pool).await.map_err(unavailable)?;
    row.try_get("next").map_err(unavailable)
}

/// Notes that a scope was looked at.
///
/// # Errors
/// [`StoreError`].
pub async fn woken(pool: &PgPool, stream: &StreamId, due_at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("delete from wakeups where aggregate_type = $1 and aggregate_id = $2 and due_at = $3")
        .bind(stream.aggregate_type.as_ref())
        .bind(&stream.aggregate_id)
        .bind(due_at)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
