//! Keys of machines, by the hash of the key.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::{corrupt, unavailable};

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApiKey {
    /// Its id.
    pub key_id: Uuid,
    /// The party that it acts for, or the id of the member of staff.
    pub party_id: PartyId,
    /// The word for the role that it acts in.
    pub role: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it may do what a person would be asked for again to show who it is.
    pub step_up_exempt: bool,
    /// Its first characters.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The key that takes its place.
    pub replaced_by: Option<Uuid>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

fn read(row: &PgRow) -> Result<StoredApiKey, StoreError> {
    let party_id: String = row.try_get("party_id").map_err(unavailable)?;
    let party_id = party_id.parse().map_err(corrupt)?;
    let key = || -> Result<StoredApiKey, sqlx::Error> {
        Ok(StoredApiKey {
            key_id: row.try_get("key_id")?,
            party_id,
            role: row.try_get("role")?,
            name: row.try_get("name")?,
            scopes: row.try_get("scopes")?,
            step_up_exempt: row.try_get("step_up_exempt")?,
            prefix: row.try_get("prefix")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
            last_used_at: row.try_get("last_used_at")?,
            replaced_by: row.try_get("replaced_by")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    };
    key().map_err(unavailable)
}

async fn insert_in(
    connection: &mut sqlx::PgConnection,
    key: &StoredApiKey,
    hash: &[u8; 32],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into api_keys (key_id, party_id, role, name, scopes, step_up_exempt, prefix, key_hash, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(key.key_id)
    .bind(key.party_id.to_string())
    .bind(&key.role)
    .bind(&key.name)
    .bind(&key.scopes)
    .bind(key.step_up_exempt)
    .bind(&key.prefix)
    .bind(hash.as_slice())
    .bind(key.created_at)
    .bind(key.expires_at)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Keeps a new key, unless its owner has `most` that are good at `now` already. Returns whether it is kept.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    key: &StoredApiKey,
    hash: &[u8; 32],
    most: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    // Of two who make the last one, one waits for the other here.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('api_keys ' || $1 || ' ' || $2, 0))")
        .bind(key.party_id.to_string())
        .bind(&key.role)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    let good: i64 = sqlx::query_scalar(
        "select count(*) from api_keys where party_id = $1 and role = $2 and revoked_at is null and expires_at > $3",
    )
    .bind(key.party_id.to_string())
    .bind(&key.role)
    .bind(now)
    .fetch_one(&mut *tx)
    .await
    .map_err(unavailable)?;
    if good >= most {
        return Ok(false);
    }
    insert_in(&mut tx, key, hash).await.map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)?;
    Ok(true)
}

/// Puts `key` in the place of `old`, which is good until `old_until`, or until its own end when that is sooner. Returns
/// `false`, and keeps nothing, when the old one is not good at `now` or was replaced before.
///
/// # Errors
/// [`StoreError`].
pub async fn replace(
    pool: &PgPool,
    old: Uuid,
    key: &StoredApiKey,
    hash: &[u8; 32],
    now: Timestamp,
    old_until: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    insert_in(&mut tx, key, hash).await.map_err(unavailable)?;
    let replaced = sqlx::query(
        "update api_keys set replaced_by = $2, expires_at = least(expires_at, $3)
         where key_id = $1 and replaced_by is null and revoked_at is null and expires_at > $4",
    )
    .bind(old)
    .bind(key.key_id)
    .bind(old_until)
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(unavailable)?;
    if replaced.rows_affected() == 0 {
        return Ok(false);
    }
    tx.commit().await.map_err(unavailable)?;
    Ok(true)
}

/// The key with this hash, if it is good at `now` and its owner's account is not suspended. Its use is noted, to the minute.
///
/// # Errors
/// [`StoreError`].
pub async fn used(pool: &PgPool, hash: &[u8; 32], now: Timestamp) -> Result<Option<StoredApiKey>, StoreError> {
    let row = sqlx::query(
        "select * from api_keys k where key_hash = $1 and revoked_at is null and expires_at > $2
         and not exists (select from accounts a where a.party_id = k.party_id and a.status <> 'active')",
    )
    .bind(hash.as_slice())
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let key = read(&row)?;
    sqlx::query(
        "update api_keys set last_used_at = $2
         where key_id = $1 and (last_used_at is null or last_used_at <= $2 - interval '1 minute')",
    )
    .bind(key.key_id)
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(Some(key))
}

/// The keys of a party in a role, newest first, at most `limit`, made before the key `before`.
///
/// # Errors
/// [`StoreError`].
pub async fn of_owner(
    pool: &PgPool,
    party_id: PartyId,
    role: &str,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<StoredApiKey>, StoreError> {
    // Ids are made in the order of time (UUID v7).
    let rows = sqlx::query(
        "select * from api_keys where party_id = $1 and role = $2 and ($3::uuid is null or key_id < $3)
         order by key_id desc limit $4",
    )
    .bind(party_id.to_string())
    .bind(role)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(read).collect()
}

/// A key, good or not.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, key_id: Uuid) -> Result<Option<StoredApiKey>, StoreError> {
    let row = sqlx::query("select * from api_keys where key_id = $1")
        .bind(key_id)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// Ends a key. Twice, the first instant stays.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(pool: &PgPool, key_id: Uuid, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update api_keys set revoked_at = $2 where key_id = $1 and revoked_at is null")
        .bind(key_id)
        .bind(now)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
