//! What staff says to banks, beside the log: found by the digest that events have.
//!
//! # Invariants
//! - It is ciphertext here, under the key of the client whose payment it is about. Storing it again changes nothing.
//! - What no event refers to goes a day later ([`drop_orphans`]).

use domain::id::{ChargebackId, PartyId};
use domain::log::StoreError;
use sqlx::{PgPool, Row};

use super::{corrupt, unavailable};

/// Hours after which a statement goes that no event has: its draft was never committed.
const ORPHAN_HOURS: i32 = 24;

/// A statement as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedStatement {
    /// Under whose key.
    pub subject_id: PartyId,
    /// Ciphertext of it as JSON.
    pub sealed: Vec<u8>,
}

/// Stores it under its digest.
///
/// # Errors
/// [`StoreError`].
pub async fn put(pool: &PgPool, id: ChargebackId, digest: &str, statement: &SealedStatement) -> Result<(), StoreError> {
    sqlx::query(
        "insert into evidence_statements (digest, chargeback_id, stored_at, subject_id, sealed)
         values ($1, $2, clock_timestamp(), $3, $4) on conflict (digest) do nothing",
    )
    .bind(digest)
    .bind(id.to_string())
    .bind(statement.subject_id.to_string())
    .bind(&statement.sealed)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// What has this digest; `None` when it was taken away.
///
/// # Errors
/// [`StoreError`].
pub async fn get(pool: &PgPool, digest: &str) -> Result<Option<SealedStatement>, StoreError> {
    let row =
        sqlx::query("select subject_id, sealed from evidence_statements where digest = $1 and sealed is not null")
            .bind(digest)
            .fetch_optional(pool)
            .await
            .map_err(unavailable)?;
    row.map(|row| {
        let subject_id: String = row.try_get("subject_id").map_err(unavailable)?;
        Ok(SealedStatement {
            subject_id: subject_id.parse().map_err(corrupt)?,
            sealed: row.try_get("sealed").map_err(unavailable)?,
        })
    })
    .transpose()
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

/// Takes away what was stored a day ago and is in no event: whoever wrote it was refused, or the server died. Returns how
/// many.
///
/// # Errors
/// [`StoreError`].
pub async fn drop_orphans(pool: &PgPool) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "delete from evidence_statements s
         where stored_at < clock_timestamp() - make_interval(hours => $1) and not exists (
             select 1 from events e
             where e.aggregate_type = 'chargeback' and e.aggregate_id = s.chargeback_id
               and e.event_type = 'chargeback.evidence_drafted' and e.payload ->> 'statement' = s.digest)",
    )
    .bind(ORPHAN_HOURS)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected())
}

/// A statement from before they were sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearStatement {
    /// Its digest.
    pub digest: String,
    /// What it is about.
    pub chargeback_id: ChargebackId,
    /// It, as JSON.
    pub body: String,
}

/// Statements that are not sealed yet.
///
/// # Errors
/// [`StoreError`].
pub async fn in_clear(pool: &PgPool) -> Result<Vec<ClearStatement>, StoreError> {
    let rows =
        sqlx::query("select digest, chargeback_id, body::text as body from evidence_statements where body is not null")
            .fetch_all(pool)
            .await
            .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let chargeback_id: String = row.try_get("chargeback_id").map_err(unavailable)?;
            Ok(ClearStatement {
                digest: row.try_get("digest").map_err(unavailable)?,
                chargeback_id: chargeback_id.parse().map_err(corrupt)?,
                body: row.try_get("body").map_err(unavailable)?,
            })
        })
        .collect()
}

/// Puts the ciphertext of a statement in the place of its text. Does nothing when that was done.
///
/// # Errors
/// [`StoreError`].
pub async fn seal(pool: &PgPool, digest: &str, statement: &SealedStatement) -> Result<(), StoreError> {
    sqlx::query(
        "update evidence_statements set body = null, subject_id = $2, sealed = $3
         where digest = $1 and body is not null",
    )
    .bind(digest)
    .bind(statement.subject_id.to_string())
    .bind(&statement.sealed)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}
