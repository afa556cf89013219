//! Since when what is owed in a currency is not covered.
//!
//! # Invariants
//! - The first who sees a shortage says since when; it stays so until it is over.
//!
//! # What is deliberately absent
//! Dips between two looks. They are in the books, and nobody has to act on them.

use domain::log::StoreError;
use domain::time::Timestamp;
use ledger::Currency;
use sqlx::{PgPool, Row};

use super::unavailable;

/// Notes that there is a shortage at `now` of the tenant's clock; seen before, it stays. Gives since when it is known.
///
/// # Errors
/// [`StoreError`].
pub async fn is_below(pool: &PgPool, currency: Currency, now: Timestamp) -> Result<Timestamp, StoreError> {
    // The update changes nothing, and gives the row back.
    let row = sqlx::query(
        "insert into coverage_watch as w (currency, below_since) values ($1, $2)
         on conflict (currency) do update set below_since = w.below_since returning below_since",
    )
    .bind(currency.code())
    .bind(now)
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    row.try_get("below_since").map_err(unavailable)
}

/// The currencies with a shortage that is known.
///
/// # Errors
/// [`StoreError`].
pub async fn below(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query_scalar("select currency from coverage_watch").fetch_all(pool).await;
    rows.map_err(unavailable)
}

/// Notes that there is none any more.
///
/// # Errors
/// [`StoreError`].
pub async fn is_over(pool: &PgPool, currency: Currency) -> Result<(), StoreError> {
    sqlx::query("delete from coverage_watch where currency = $1")
        .bind(currency.code())
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
