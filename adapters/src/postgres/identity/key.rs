//! The keys that the built-in issuer signs with, and the master keys that opened them.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use crate::postgres::unavailable;

/// A key as it is kept.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Its name in tokens.
    pub kid: String,
    /// Raw Ed25519 public key, 32 bytes.
    pub public_key: Vec<u8>,
    /// Ciphertext of the private key.
    pub sealed_private: Vec<u8>,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Until when it is published; for good while it has no successor.
    pub published_until: Option<Timestamp>,
}

/// Every key that is published at `now`, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn published(pool: &PgPool, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
    let rows = sqlx::query(
        "select kid, public_key, sealed_private, signs_from, published_until from signing_keys
         where published_until is null or published_until > $1 order by signs_from, kid",
    )
    .bind(now)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            Ok(StoredKey {
                kid: row.try_get("kid")?,
                public_key: row.try_get("public_key")?,
                sealed_private: row.try_get("sealed_private")?,
                signs_from: row.try_get("signs_from")?,
                published_until: row.try_get("published_until")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(unavailable)
}

/// Adds a key. Those before it, if `retire` says until when, are published no longer than that.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    key: &StoredKey,
    now: Timestamp,
    retire: Option<Timestamp>,
) -> Result<(), StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    if let Some(until) = retire {
        sqlx::query("update signing_keys set published_until = least(coalesce(published_until, $1), $1)")
            .bind(until)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
    }
    sqlx::query(
        "insert into signing_keys (kid, algorithm, public_key, sealed_private, created_at, signs_from)
         values ($1, 'EdDSA', $2, $3, $4, $5)",
    )
    .bind(&key.kid)
    .bind(&key.public_key)
    .bind(&key.sealed_private)
    .bind(now)
    .bind(key.signs_from)
    .execute(&mut *tx)
    .await
    .map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)
}

/// Whether this master key is the tenant's. The first that is shown becomes it.
///
/// # Errors
/// [`StoreError`].
pub async fn claim_master(pool: &PgPool, fingerprint: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    sqlx::query(
        "insert into identity_master_keys (fingerprint, first_used_at)
         select $1, $2 where not exists (select 1 from identity_master_keys) on conflict do nothing",
    )
    .bind(fingerprint.as_slice())
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    let row = sqlx::query("select 1 as one from identity_master_keys where fingerprint = $1")
        .bind(fingerprint.as_slice())
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    Ok(row.is_some())
}
