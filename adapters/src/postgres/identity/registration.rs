//! Registrations that wait for their confirmation by mail.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::unavailable;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The id that the account will have.
    pub account_id: Uuid,
    /// HMAC of the address.
    pub email_index: Vec<u8>,
    /// Ciphertext of the address.
    pub email_sealed: Vec<u8>,
    /// In PHC format.
    pub password_hash: String,
    /// The word of the role.
    pub role: String,
    /// The word that the person chose for it.
    pub kind: String,
}

/// Keeps a registration until `expires_at`.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    token: &[u8; 32],
    registration: &Registration,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into registrations
             (token_hash, account_id, email_index, email_sealed, password_hash, role, kind, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(token.as_slice())
    .bind(registration.account_id)
    .bind(&registration.email_index)
    .bind(&registration.email_sealed)
    .bind(&registration.password_hash)
    .bind(&registration.role)
    .bind(&registration.kind)
    .bind(now)
    .bind(expires_at)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// The registration of a link, if it waits still.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, token: &[u8; 32], now: Timestamp) -> Result<Option<Registration>, StoreError> {
    let row = sqlx::query(
        "select account_id, email_index, email_sealed, password_hash, role, kind from registrations
         where token_hash = $1 and used_at is null and expires_at > $2",
    )
    .bind(token.as_slice())
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.map(|row| {
        Ok(Registration {
            account_id: row.try_get("account_id")?,
            email_index: row.try_get("email_index")?,
            email_sealed: row.try_get("email_sealed")?,
            password_hash: row.try_get("password_hash")?,
            role: row.try_get("role")?,
            kind: row.try_get("kind")?,
        })
    })
    .transpose()
    .map_err(unavailable)
}

/// Makes the account of a registration, for this party. `false` when the link was used, or the address has an account.
///
/// # Errors
/// [`StoreError`].
pub async fn confirm(pool: &PgPool, token: &[u8; 32], party_id: PartyId, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "with taken as (
             update registrations set used_at = $3
             where token_hash = $1 and used_at is null and expires_at > $3 returning *
         )
         insert into accounts (account_id, party_id, role, kind, email_index, email_sealed, password_hash, created_at,
             password_changed_at)
         select account_id, $2, role, kind, email_index, email_sealed, password_hash, $3, $3 from taken
         on conflict do nothing",
    )
    .bind(token.as_slice())
    .bind(party_id.to_string())
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}
