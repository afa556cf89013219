//! Consents to bank debits, kept until the provider has them.
//!
//! # Invariants
//! - Nothing of them is in an event, an order or a log; a row goes when its order has been settled.
//!
//! # What is deliberately absent
//! Proving a consent later: the provider keeps it with the payment.

use domain::id::FundingId;
use domain::log::StoreError;
use domain::ports::mandate::Mandate;
use sqlx::{PgPool, Row};

use super::{corrupt, unavailable};

/// Days after which a consent goes whose order was never settled: Stripe cancels no payment later, and an operator has
/// looked at the order long since.
const KEPT_DAYS: i32 = 30;

/// Keeps a consent for the order that will follow; takes those away that are too old.
///
/// # Errors
/// [`StoreError`].
pub async fn keep(pool: &PgPool, funding_id: FundingId, mandate: &Mandate) -> Result<(), StoreError> {
    sqlx::query(
        "with old as (delete from payment_mandates where kept_at < clock_timestamp() - make_interval(days => $5))
         insert into payment_mandates (funding_id, accepted_at, ip_address, user_agent, kept_at)
         values ($1, $2, $3, $4, clock_timestamp())",
    )
    .bind(funding_id.as_uuid())
    .bind(mandate.accepted_at)
    .bind(mandate.ip_address.to_string())
    .bind(&mandate.user_agent)
    .bind(KEPT_DAYS)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// The consent for a funding; `None` where none was given, or it is gone.
///
/// # Errors
/// [`StoreError`].
pub async fn of(pool: &PgPool, funding_id: FundingId) -> Result<Option<Mandate>, StoreError> {
    let row = sqlx::query("select accepted_at, ip_address, user_agent from payment_mandates where funding_id = $1")
        .bind(funding_id.as_uuid())
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let ip_address: String = row.try_get("ip_address").map_err(unavailable)?;
    Ok(Some(Mandate {
        accepted_at: row.try_get("accepted_at").map_err(unavailable)?,
        ip_address: ip_address.parse().map_err(corrupt)?,
        user_agent: row.try_get("user_agent").map_err(unavailable)?,
    }))
}

/// The provider has it, or it will never be asked for.
///
/// # Errors
/// [`StoreError`].
pub async fn forget(pool: &PgPool, funding_id: FundingId) -> Result<(), StoreError> {
    sqlx::query("delete from payment_mandates where funding_id = $1")
        .bind(funding_id.as_uuid())
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
