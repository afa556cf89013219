//! Tickets: links that were mailed, and sign-ins that wait for a second factor. Each is good once.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::unavailable;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Choosing a new password.
    ResetPassword,
    /// Going on after the password.
    SecondFactor,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::ResetPassword => "reset_password",
            Self::SecondFactor => "second_factor",
        }
    }
}

/// Keeps a ticket until `expires_at`.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    token: &[u8; 32],
    account_id: Uuid,
    purpose: Purpose,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into identity_tickets (token_hash, account_id, purpose, created_at, expires_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(token.as_slice())
    .bind(account_id)
    .bind(purpose.word())
    .bind(now)
    .bind(expires_at)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Whose ticket it is, if it is good; it stays good.
///
/// # Errors
/// [`StoreError`].
pub async fn find(
    pool: &PgPool,
    token: &[u8; 32],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query(
        "select account_id from identity_tickets
         where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3",
    )
    .bind(token.as_slice())
    .bind(purpose.word())
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.map(|row| row.try_get("account_id")).transpose().map_err(unavailable)
}

/// Takes a ticket, and with it all others of the account for the same purpose. `None` when it is not good (any more).
///
/// # Errors
/// [`StoreError`].
pub async fn take(
    pool: &PgPool,
    token: &[u8; 32],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query(
        "update identity_tickets set used_at = $3
         where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3 returning account_id",
    )
    .bind(token.as_slice())
    .bind(purpose.word())
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let account_id: Uuid = row.try_get("account_id").map_err(unavailable)?;
    sqlx::query("update identity_tickets set used_at = $3 where account_id = $1 and purpose = $2 and used_at is null")
        .bind(account_id)
        .bind(purpose.word())
        .bind(now)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(Some(account_id))
}
