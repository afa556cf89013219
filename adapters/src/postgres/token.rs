//! Access tokens, by the hash of the token.

use domain::id::PartyId;
use domain::log::StoreError;
use sqlx::{PgPool, Row};

use super::{corrupt, unavailable};

/// What a token lets its bearer be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The party, or the id of the member of staff.
    pub party_id: PartyId,
    /// The word for the role.
    pub role: String,
}

/// Stores a token for `days` days, or for good.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    hash: &[u8; 32],
    grant: &Grant,
    label: Option<&str>,
    days: Option<u16>,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into access_tokens (token_hash, party_id, role, label, created_at, expires_at)
         values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + make_interval(days => $5))",
    )
    .bind(hash.as_slice())
    .bind(grant.party_id.to_string())
    .bind(&grant.role)
    .bind(label)
    .bind(days.map(i32::from))
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// What the token with this hash lets its bearer be; `None` when there is none that is valid.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, hash: &[u8; 32]) -> Result<Option<Grant>, StoreError> {
    let row = sqlx::query(
        "select party_id, role from access_tokens
         where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())",
    )
    .bind(hash.as_slice())
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.map(|row| {
        let party_id: String = row.try_get("party_id").map_err(unavailable)?;
        Ok(Grant { party_id: party_id.parse().map_err(corrupt)?, role: row.try_get("role").map_err(unavailable)? })
    })
    .transpose()
}

/// Revokes every token of a party. Returns how many.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(pool: &PgPool, party_id: PartyId) -> Result<u64, StoreError> {
    let result = sqlx::query(
        "update access_tokens set revoked_at = clock_timestamp() where party_id = $1 and revoked_at is null",
    )
    .bind(party_id.to_string())
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(result.rows_affected())
}
