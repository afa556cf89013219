//! Sessions, and the refresh tokens that keep them going. The refresh tokens of a session are one family.

use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::postgres::unavailable;

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub session_id: Uuid,
    /// Whose.
    pub account_id: Uuid,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// When the person last showed who it is.
    pub auth_time: Timestamp,
    /// How (RFC 8176): `pwd`, `otp`, `mfa`, …
    pub amr: Vec<String>,
}

/// What became of a refresh token that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was good, and the new one is in its place.
    Rotated(Session),
    /// It was shown before: the session is revoked.
    Reused(Uuid),
    /// There is none such, or its session is over.
    Unknown,
}

fn read(row: &PgRow) -> Result<Session, sqlx::Error> {
    Ok(Session {
        session_id: row.try_get("session_id")?,
        account_id: row.try_get("account_id")?,
        expires_at: row.try_get("expires_at")?,
        auth_time: row.try_get("auth_time")?,
        amr: row.try_get("amr")?,
    })
}

/// Begins a session with its first refresh token.
///
/// # Errors
/// [`StoreError`].
pub async fn begin(pool: &PgPool, session: &Session, refresh: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    sqlx::query(
        "insert into sessions (session_id, account_id, created_at, expires_at, auth_time, amr)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(session.session_id)
    .bind(session.account_id)
    .bind(now)
    .bind(session.expires_at)
    .bind(session.auth_time)
    .bind(&session.amr)
    .execute(&mut *tx)
    .await
    .map_err(unavailable)?;
    add(&mut tx, session.session_id, refresh, now).await.map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)
}

async fn add(
    connection: &mut PgConnection,
    session_id: Uuid,
    refresh: &[u8; 32],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into refresh_tokens (token_hash, session_id, created_at) values ($1, $2, $3)")
        .bind(refresh.as_slice())
        .bind(session_id)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts the refresh token `new` in the place of `shown`. One that was shown before ends its session.
///
/// # Errors
/// [`StoreError`].
pub async fn rotate(pool: &PgPool, shown: &[u8; 32], new: &[u8; 32], now: Timestamp) -> Result<Rotation, StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    let taken = sqlx::query(
        "update refresh_tokens set used_at = $2 where token_hash = $1 and used_at is null returning session_id",
    )
    .bind(shown.as_slice())
    .bind(now)
    .fetch_optional(&mut *tx)
    .await
    .map_err(unavailable)?;
    let Some(taken) = taken else {
        let known = sqlx::query("select session_id from refresh_tokens where token_hash = $1")
            .bind(shown.as_slice())
            .fetch_optional(&mut *tx)
            .await
            .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        let Some(known) = known else { return Ok(Rotation::Unknown) };
        let session_id = known.try_get("session_id").map_err(unavailable)?;
        return Ok(if revoke(pool, session_id, "refresh_token_reused", now).await? {
            Rotation::Reused(session_id)
        } else {
            Rotation::Unknown
        });
    };
    let session_id: Uuid = taken.try_get("session_id").map_err(unavailable)?;
    let row = sqlx::query(
        "select session_id, account_id, expires_at, auth_time, amr from sessions
         where session_id = $1 and revoked_at is null and expires_at > $2 for update",
    )
    .bind(session_id)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else {
        tx.commit().await.map_err(unavailable)?;
        return Ok(Rotation::Unknown);
    };
    let session = read(&row).map_err(unavailable)?;
    add(&mut tx, session_id, new, now).await.map_err(unavailable)?;
    tx.commit().await.map_err(unavailable)?;
    Ok(Rotation::Rotated(session))
}

/// The session, if it lives.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, session_id: Uuid, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let row = sqlx::query(
        "select s.session_id, s.account_id, s.expires_at, s.auth_time, s.amr from sessions s
         join accounts a on a.account_id = s.account_id and a.status = 'active'
         where s.session_id = $1 and s.revoked_at is null and s.expires_at > $2",
    )
    .bind(session_id)
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(read).transpose().map_err(unavailable)
}

/// Notes that the person has shown again who it is. Returns the session as it is now, if it lives.
///
/// # Errors
/// [`StoreError`].
pub async fn authenticated(
    pool: &PgPool,
    session_id: Uuid,
    amr: &[String],
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let row = sqlx::query(
        "update sessions set auth_time = $2, amr = $3
         where session_id = $1 and revoked_at is null and expires_at > $2
         returning session_id, account_id, expires_at, auth_time, amr",
    )
    .bind(session_id)
    .bind(now)
    .bind(amr)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(read).transpose().map_err(unavailable)
}

/// The session of a refresh token, whether it lives or not.
///
/// # Errors
/// [`StoreError`].
pub async fn of_refresh_token(pool: &PgPool, refresh: &[u8; 32]) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query("select session_id from refresh_tokens where token_hash = $1")
        .bind(refresh.as_slice())
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    row.map(|row| row.try_get("session_id")).transpose().map_err(unavailable)
}

/// Ends a session. `false` when it was over.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(pool: &PgPool, session_id: Uuid, reason: &str, now: Timestamp) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "update sessions set revoked_at = $2, revoked_for = $3 where session_id = $1 and revoked_at is null",
    )
    .bind(session_id)
    .bind(now)
    .bind(reason)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Ends all sessions of an account. Returns how many.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke_all(pool: &PgPool, account_id: Uuid, reason: &str, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "update sessions set revoked_at = $2, revoked_for = $3 where account_id = $1 and revoked_at is null",
    )
    .bind(account_id)
    .bind(now)
    .bind(reason)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected())
}

/// Lets a secret that is not for refreshing stand for a session: the cookie of a page. Shown as a refresh token it ends
/// the session.
///
/// # Errors
/// [`StoreError`].
pub async fn attach(pool: &PgPool, session_id: Uuid, secret: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("insert into refresh_tokens (token_hash, session_id, created_at, used_at) values ($1, $2, $3, $3)")
        .bind(secret.as_slice())
        .bind(session_id)
        .bind(now)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
