//! Answers of the test helpers, by idempotency key.
//!
//! # Invariants
//! - Of several requests with one key one is carried out at a time, and none after one that has succeeded.
//!
//! # What is deliberately absent
//! Commands: their answers are in the commit of the command.

use domain::log::StoreError;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::unavailable;

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's to carry out; then [`keep`] or [`release`] it.
    Mine,
    /// Somebody else is carrying it out.
    UnderWay,
    /// It was carried out.
    Answered {
        /// Digest of the request that was.
        fingerprint: String,
        /// HTTP status of its answer.
        status: u16,
        /// The answer's body.
        body: String,
    },
}

/// Takes a request to carry out. One that was claimed a minute ago and has no answer is taken from whoever had it: no helper
/// takes longer.
///
/// # Errors
/// [`StoreError`].
pub async fn claim(pool: &PgPool, request_id: Uuid, fingerprint: &str) -> Result<Claim, StoreError> {
    let claimed = sqlx::query(
        "insert into helper_answers as known (request_id, fingerprint, claimed_at)
         values ($1, $2, clock_timestamp())
         on conflict (request_id) do update set fingerprint = excluded.fingerprint, claimed_at = excluded.claimed_at
         where known.status is null and known.claimed_at < clock_timestamp() - interval '1 minute'",
    )
    .bind(request_id)
    .bind(fingerprint)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    if claimed.rows_affected() > 0 {
        return Ok(Claim::Mine);
    }
    let known = sqlx::query(
        "select fingerprint, status, body from helper_answers where request_id = $1 and status is not null",
    )
    .bind(request_id)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    let Some(known) = known else { return Ok(Claim::UnderWay) };
    let status: i32 = known.try_get("status").map_err(unavailable)?;
    Ok(Claim::Answered {
        fingerprint: known.try_get("fingerprint").map_err(unavailable)?,
        status: u16::try_from(status).unwrap_or(200),
        body: known.try_get("body").map_err(unavailable)?,
    })
}

/// Keeps the answer of a request that was carried out.
///
/// # Errors
/// [`StoreError`].
pub async fn keep(pool: &PgPool, request_id: Uuid, status: u16, body: &str) -> Result<(), StoreError> {
    sqlx::query("update helper_answers set status = $2, body = $3 where request_id = $1")
        .bind(request_id)
        .bind(i32::from(status))
        .bind(body)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Gives a request back that was refused: it is judged anew.
///
/// # Errors
/// [`StoreError`].
pub async fn release(pool: &PgPool, request_id: Uuid) -> Result<(), StoreError> {
    sqlx::query("delete from helper_answers where request_id = $1 and status is null")
        .bind(request_id)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
