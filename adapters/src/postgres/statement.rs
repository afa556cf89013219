//! What staff says to banks, beside the log: found by the digest that events have.
//!
//! # Invariants
//! - What is found by a digest has that digest. Storing it again changes nothing.

use domain::chargeback::Statement;
use domain::id::ChargebackId;
use domain::log::StoreError;
use sqlx::PgPool;

use super::{corrupt, unavailable};

/// Stores it under its digest.
///
/// # Errors
/// [`StoreError`].
pub async fn put(pool: &PgPool, id: ChargebackId, digest: &str, statement: &Statement) -> Result<(), StoreError> {
    let body = serde_json::to_string(statement).map_err(corrupt)?;
    sqlx::query(
        "insert into evidence_statements (digest, chargeback_id, stored_at, body)
         values ($1, $2, clock_timestamp(), $3::json) on conflict (digest) do nothing",
    )
    .bind(digest)
    .bind(id.to_string())
    .bind(body)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// What has this digest; `None` when it was taken away.
///
/// # Errors
/// [`StoreError`], also when what is stored is not what it was.
pub async fn get(pool: &PgPool, digest: &str) -> Result<Option<Statement>, StoreError> {
    let found: Option<String> = sqlx::query_scalar("select body::text from evidence_statements where digest = $1")
        .bind(digest)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    let Some(text) = found else { return Ok(None) };
    let statement: Statement = serde_json::from_str(&text).map_err(corrupt)?;
    if statement.digest().map_err(corrupt)? != digest {
        return Err(corrupt("a statement to a bank is not the one that was stored"));
    }
    Ok(Some(statement))
}

/// Takes it away: nobody refers to it, or whoever it is about wants it.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(pool: &PgPool, digest: &str) -> Result<(), StoreError> {
    sqlx::query("delete from evidence_statements where digest = $1")
        .bind(digest)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
