//! Keys of persons, as they are kept: wrapped, or destroyed.
//!
//! # Invariants
//! - A person has one key in use under a master key. Who had a key that was destroyed gets no other one.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::{corrupt, unavailable};

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubjectKey {
    /// Its id.
    pub kid: Uuid,
    /// Whose.
    pub subject_id: PartyId,
    /// Fingerprint of the master key that it is wrapped with.
    pub master: Vec<u8>,
    /// The key, wrapped, or when it was destroyed.
    pub kept: Result<Vec<u8>, Timestamp>,
}

fn read(row: &PgRow) -> Result<StoredSubjectKey, StoreError> {
    let subject_id: String = row.try_get("subject_id").map_err(unavailable)?;
    let wrapped: Option<Vec<u8>> = row.try_get("wrapped_key").map_err(unavailable)?;
    let destroyed_at: Option<Timestamp> = row.try_get("destroyed_at").map_err(unavailable)?;
    let kept = match (wrapped, destroyed_at) {
        (_, Some(at)) => Err(at),
        (Some(wrapped), None) => Ok(wrapped),
        (None, None) => return Err(corrupt("a key of a person is neither there nor destroyed")),
    };
    Ok(StoredSubjectKey {
        kid: row.try_get("kid").map_err(unavailable)?,
        subject_id: subject_id.parse().map_err(corrupt)?,
        master: row.try_get("master").map_err(unavailable)?,
        kept,
    })
}

/// The key with this id.
///
/// # Errors
/// [`StoreError`].
pub async fn by_id(pool: &PgPool, kid: Uuid) -> Result<Option<StoredSubjectKey>, StoreError> {
    let row = sqlx::query("select kid, subject_id, master, wrapped_key, destroyed_at from subject_keys where kid = $1")
        .bind(kid)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// The key that a person's data is sealed with under this master key: one that was destroyed before any that is in use.
///
/// # Errors
/// [`StoreError`].
pub async fn current(
    pool: &PgPool,
    subject_id: PartyId,
    master: &[u8; 32],
) -> Result<Option<StoredSubjectKey>, StoreError> {
    let row = sqlx::query(
        "select kid, subject_id, master, wrapped_key, destroyed_at from subject_keys
         where subject_id = $1 and (master = $2 or destroyed_at is not null)
         order by destroyed_at desc nulls last limit 1",
    )
    .bind(subject_id.to_string())
    .bind(master.as_slice())
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// Keeps a new key. Does nothing when the person has one, or had one that was destroyed: ask for it afterwards.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    kid: Uuid,
    subject_id: PartyId,
    master: &[u8; 32],
    wrapped: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into subject_keys (kid, subject_id, master, wrapped_key, created_at)
         select $1, $2, $3, $4, $5
         where not exists (select 1 from subject_keys where subject_id = $2 and destroyed_at is not null)
         on conflict do nothing",
    )
    .bind(kid)
    .bind(subject_id.to_string())
    .bind(master.as_slice())
    .bind(wrapped)
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Destroys every key of a person: what is sealed with them is gone, wherever it lies. Returns how many; done again, none.
///
/// # Errors
/// [`StoreError`].
pub async fn destroy(pool: &PgPool, subject_id: PartyId, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "update subject_keys set wrapped_key = null, destroyed_at = $2
         where subject_id = $1 and destroyed_at is null",
    )
    .bind(subject_id.to_string())
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected())
}
