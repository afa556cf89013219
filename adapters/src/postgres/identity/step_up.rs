//! The tenant's own policy of step-up, if it has one.

use domain::log::StoreError;
use sqlx::{PgPool, Row};

use crate::postgres::unavailable;

/// From which amount on how much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredStepUp {
    /// Whole units of any currency.
    pub threshold_units: i64,
    /// How long ago the person may have shown who it is, in seconds.
    pub max_age_seconds: i64,
    /// Whether with a second factor.
    pub second_factor: bool,
}

/// The tenant's policy; `None` when it has none of its own.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool) -> Result<Option<StoredStepUp>, StoreError> {
    let row = sqlx::query("select threshold_units, max_age_seconds, second_factor from step_up_policy")
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    let read = |row: sqlx::postgres::PgRow| -> Result<StoredStepUp, sqlx::Error> {
        Ok(StoredStepUp {
            threshold_units: row.try_get("threshold_units")?,
            max_age_seconds: row.try_get("max_age_seconds")?,
            second_factor: row.try_get("second_factor")?,
        })
    };
    row.map(read).transpose().map_err(unavailable)
}

/// Sets the tenant's policy.
///
/// # Errors
/// [`StoreError`]; values out of bounds, too.
pub async fn set(pool: &PgPool, policy: StoredStepUp) -> Result<(), StoreError> {
    sqlx::query(
        "insert into step_up_policy (threshold_units, max_age_seconds, second_factor) values ($1, $2, $3)
         on conflict (singleton) do update set threshold_units = excluded.threshold_units,
             max_age_seconds = excluded.max_age_seconds, second_factor = excluded.second_factor",
    )
    .bind(policy.threshold_units)
    .bind(policy.max_age_seconds)
    .bind(policy.second_factor)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}
