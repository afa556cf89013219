//! The second factor of an account: its TOTP secret and its recovery codes.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::unavailable;

/// Keeps a secret that is still to be confirmed, in place of an earlier one. `false` when one is confirmed already.
///
/// # Errors
/// [`StoreError`].
pub async fn propose(pool: &PgPool, account_id: Uuid, sealed: &[u8]) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update accounts set totp_sealed = $2, totp_last_step = 0
         where account_id = $1 and totp_confirmed_at is null",
    )
    .bind(account_id)
    .bind(sealed)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Confirms the secret with the code of `step`, and replaces the recovery codes. `false` when it is confirmed already, or
/// when it is no longer this secret.
///
/// # Errors
/// [`StoreError`].
pub async fn confirm(
    pool: &PgPool,
    account_id: Uuid,
    sealed: &[u8],
    step: i64,
    recovery: &[[u8; 32]],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    let done = sqlx::query(
        "update accounts set totp_confirmed_at = $4, totp_last_step = $3
         where account_id = $1 and totp_sealed = $2 and totp_confirmed_at is null",
    )
    .bind(account_id)
    .bind(sealed)
    .bind(step)
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(unavailable)?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query("delete from recovery_codes where account_id = $1")
        .bind(account_id)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    let hashes: Vec<&[u8]> = recovery.iter().map(<[u8; 32]>::as_slice).collect();
    sqlx::query("insert into recovery_codes (account_id, code_hash) select $1, unnest($2::bytea[])")
        .bind(account_id)
        .bind(hashes)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)?;
    Ok(true)
}

/// Takes the code of a step. `false` when this step or a later one was taken before: a code is good once.
///
/// # Errors
/// [`StoreError`].
pub async fn take_step(pool: &PgPool, account_id: Uuid, step: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update accounts set totp_last_step = $2
         where account_id = $1 and totp_last_step < $2 and totp_confirmed_at is not null",
    )
    .bind(account_id)
    .bind(step)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Takes a recovery code. `false` when there is none such, or it was taken before.
///
/// # Errors
/// [`StoreError`].
pub async fn take_recovery(
    pool: &PgPool,
    account_id: Uuid,
    code: &[u8; 32],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update recovery_codes set used_at = $3 where account_id = $1 and code_hash = $2 and used_at is null",
    )
    .bind(account_id)
    .bind(code.as_slice())
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Drops the second factor with its recovery codes. Does nothing when there is none.
///
/// # Errors
/// [`StoreError`].
pub async fn disable(pool: &PgPool, account_id: Uuid) -> Result<(), StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    sqlx::query("update accounts set totp_sealed = null, totp_confirmed_at = null where account_id = $1")
        .bind(account_id)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    sqlx::query("delete from recovery_codes where account_id = $1")
        .bind(account_id)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)
}
