//! Accounts, and the devices that are known to be theirs.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::{corrupt, unavailable};

/// Somebody who can sign in.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub account_id: Uuid,
    /// The party that it acts for, or the id of the member of staff.
    pub party_id: PartyId,
    /// The word of the role.
    pub role: String,
    /// The word that the person chose for it.
    pub kind: String,
    /// HMAC of the address.
    pub email_index: Vec<u8>,
    /// Ciphertext of the address.
    pub email_sealed: Vec<u8>,
    /// In PHC format.
    pub password_hash: String,
    /// Whether it may not sign in.
    pub suspended: bool,
    /// Ciphertext of the TOTP secret, also of one that is not confirmed.
    pub totp_sealed: Option<Vec<u8>>,
    /// Whether a code is asked for.
    pub totp_confirmed: bool,
}

/// A query of accounts.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "select account_id, party_id, role, kind, email_index, email_sealed, password_hash, status, totp_sealed,
                totp_confirmed_at is not null as totp_confirmed from accounts where ",
            $condition
        )
    };
}

fn read(row: &PgRow) -> Result<Account, StoreError> {
    let party_id: String = row.try_get("party_id").map_err(unavailable)?;
    let status: String = row.try_get("status").map_err(unavailable)?;
    Ok(Account {
        account_id: row.try_get("account_id").map_err(unavailable)?,
        party_id: party_id.parse().map_err(corrupt)?,
        role: row.try_get("role").map_err(unavailable)?,
        kind: row.try_get("kind").map_err(unavailable)?,
        email_index: row.try_get("email_index").map_err(unavailable)?,
        email_sealed: row.try_get("email_sealed").map_err(unavailable)?,
        password_hash: row.try_get("password_hash").map_err(unavailable)?,
        suspended: status != "active",
        totp_sealed: row.try_get("totp_sealed").map_err(unavailable)?,
        totp_confirmed: row.try_get("totp_confirmed").map_err(unavailable)?,
    })
}

/// The account with this address.
///
/// # Errors
/// [`StoreError`].
pub async fn by_email(pool: &PgPool, email_index: &[u8]) -> Result<Option<Account>, StoreError> {
    let row =
        sqlx::query(select!("email_index = $1")).bind(email_index).fetch_optional(pool).await.map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// The account with this id.
///
/// # Errors
/// [`StoreError`].
pub async fn by_id(pool: &PgPool, account_id: Uuid) -> Result<Option<Account>, StoreError> {
    let row =
        sqlx::query(select!("account_id = $1")).bind(account_id).fetch_optional(pool).await.map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// The account of a party.
///
/// # Errors
/// [`StoreError`].
pub async fn by_party(pool: &PgPool, party_id: PartyId) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query(select!("party_id = $1"))
        .bind(party_id.to_string())
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    row.as_ref().map(read).transpose()
}

/// The accounts whose address is not sealed with the person's own key yet: those that begin with this byte, at most
/// `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn sealed_by(pool: &PgPool, version: u8, limit: u16) -> Result<Vec<Account>, StoreError> {
    let rows = sqlx::query(select!("get_byte(email_sealed, 0) = $1 order by account_id limit $2"))
        .bind(i32::from(version))
        .bind(i32::from(limit))
        .fetch_all(pool)
        .await
        .map_err(unavailable)?;
    rows.iter().map(read).collect()
}

/// Puts another ciphertext of the address in the place of `before`. `false` when that is not there any more.
///
/// # Errors
/// [`StoreError`].
pub async fn reseal(pool: &PgPool, account_id: Uuid, before: &[u8], after: &[u8]) -> Result<bool, StoreError> {
    let done = sqlx::query("update accounts set email_sealed = $3 where account_id = $1 and email_sealed = $2")
        .bind(account_id)
        .bind(before)
        .bind(after)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected() == 1)
}

/// Gives an account another password.
///
/// # Errors
/// [`StoreError`].
pub async fn set_password(pool: &PgPool, account_id: Uuid, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update accounts set password_hash = $2, password_changed_at = $3 where account_id = $1")
        .bind(account_id)
        .bind(hash)
        .bind(now)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Remembers a device from which the account's owner signed in.
///
/// # Errors
/// [`StoreError`].
pub async fn know_device(pool: &PgPool, account_id: Uuid, device: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "insert into known_devices (device_hash, account_id, last_used_at) values ($1, $2, $3)
         on conflict (device_hash) do update set last_used_at = excluded.last_used_at
         where known_devices.account_id = excluded.account_id",
    )
    .bind(device.as_slice())
    .bind(account_id)
    .bind(now)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Whether a device is known for an account, and was used after `since`.
///
/// # Errors
/// [`StoreError`].
pub async fn knows_device(
    pool: &PgPool,
    account_id: Uuid,
    device: &[u8; 32],
    since: Timestamp,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "select 1 as one from known_devices where device_hash = $1 and account_id = $2 and last_used_at > $3",
    )
    .bind(device.as_slice())
    .bind(account_id)
    .bind(since)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    Ok(row.is_some())
}

/// Forgets all devices of an account.
///
/// # Errors
/// [`StoreError`].
pub async fn forget_devices(pool: &PgPool, account_id: Uuid) -> Result<(), StoreError> {
    sqlx::query("delete from known_devices where account_id = $1")
        .bind(account_id)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}
