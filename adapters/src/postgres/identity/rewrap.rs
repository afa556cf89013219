//! Everything that is under the master key, put under another one in one transaction.
//!
//! # Invariants
//! - All of it or nothing: the fingerprint of the new master key takes the place of the old one's with the last row.
//! - What is sealed with a person's key is not touched; only the key is wrapped anew.

use domain::id::PartyId;
use domain::log::StoreError;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::postgres::{corrupt, unavailable};

/// Something under the master key, in its row.
#[derive(Debug, Clone, Copy)]
pub enum UnderMaster<'a> {
    /// The key of a person.
    SubjectKey {
        /// Its id.
        kid: Uuid,
        /// Whose.
        subject_id: PartyId,
        /// Wrapped.
        wrapped: &'a [u8],
    },
    /// A private key of the issuer.
    SigningKey {
        /// Its name in tokens.
        kid: &'a str,
        /// Ciphertext.
        sealed: &'a [u8],
    },
    /// A TOTP secret.
    Totp {
        /// Whose.
        account_id: Uuid,
        /// Ciphertext.
        sealed: &'a [u8],
    },
    /// What an account is found by.
    EmailIndex {
        /// Whose.
        account_id: Uuid,
        /// The party that the account is for.
        subject_id: PartyId,
        /// Ciphertext of the address, under the person's key.
        email_sealed: &'a [u8],
    },
}

/// Puts a value under the new master key; `None` where the old one does not open it.
pub type Change<'a> = &'a mut (dyn FnMut(UnderMaster<'_>) -> Option<Vec<u8>> + Send);

/// How much was put under the new master key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys of persons.
    pub subject_keys: u64,
    /// Other secrets, and indexes of addresses.
    pub others: u64,
}

/// Puts everything that is under the master key `from` under `to`. `None` when `from` is not the tenant's. Keys of persons
/// are changed first. Registrations that wait are dropped, and mails that are kept: both can be asked for again. What cannot
/// be opened stays as it is; an account that cannot be found any more gets what `change` makes of it.
///
/// # Errors
/// [`StoreError`]; nothing is changed then.
pub async fn rewrap(
    pool: &PgPool,
    from: &[u8; 32],
    to: &[u8; 32],
    now: Timestamp,
    change: Change<'_>,
) -> Result<Option<Rewrapped>, StoreError> {
    let mut tx = pool.begin().await.map_err(unavailable)?;
    // Nobody registers, signs up or is given a key meanwhile.
    sqlx::query("select fingerprint from identity_master_keys for update")
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
    let ours =
        sqlx::query("update identity_master_keys set fingerprint = $2, first_used_at = $3 where fingerprint = $1")
            .bind(from.as_slice())
            .bind(to.as_slice())
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
    if ours.rows_affected() == 0 {
        return Ok(None);
    }
    for dropped in ["delete from registrations", "delete from mailbox"] {
        sqlx::query(dropped).execute(&mut *tx).await.map_err(unavailable)?;
    }
    let mut done = Rewrapped::default();
    let keys = sqlx::query(
        "select kid, subject_id, wrapped_key from subject_keys where master = $1 and wrapped_key is not null for update",
    )
    .bind(from.as_slice())
    .fetch_all(&mut *tx)
    .await
    .map_err(unavailable)?;
    for row in keys {
        let kid: Uuid = row.try_get("kid").map_err(unavailable)?;
        let subject_id: String = row.try_get("subject_id").map_err(unavailable)?;
        let wrapped: Vec<u8> = row.try_get("wrapped_key").map_err(unavailable)?;
        let subject_id = subject_id.parse().map_err(corrupt)?;
        let Some(new) = change(UnderMaster::SubjectKey { kid, subject_id, wrapped: &wrapped }) else { continue };
        sqlx::query("update subject_keys set wrapped_key = $2, master = $3 where kid = $1")
            .bind(kid)
            .bind(new)
            .bind(to.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        done.subject_keys = done.subject_keys.saturating_add(1);
    }
    let keys = sqlx::query("select kid, sealed_private from signing_keys for update")
        .fetch_all(&mut *tx)
        .await
        .map_err(unavailable)?;
    for row in keys {
        let kid: String = row.try_get("kid").map_err(unavailable)?;
        let sealed: Vec<u8> = row.try_get("sealed_private").map_err(unavailable)?;
        let Some(new) = change(UnderMaster::SigningKey { kid: &kid, sealed: &sealed }) else { continue };
        sqlx::query("update signing_keys set sealed_private = $2 where kid = $1")
            .bind(&kid)
            .bind(new)
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        done.others = done.others.saturating_add(1);
    }
    let accounts = sqlx::query("select account_id, party_id, email_sealed, totp_sealed from accounts for update")
        .fetch_all(&mut *tx)
        .await
        .map_err(unavailable)?;
    for row in accounts {
        let account_id: Uuid = row.try_get("account_id").map_err(unavailable)?;
        let party_id: String = row.try_get("party_id").map_err(unavailable)?;
        let subject_id = party_id.parse().map_err(corrupt)?;
        let email_sealed: Vec<u8> = row.try_get("email_sealed").map_err(unavailable)?;
        let totp: Option<Vec<u8>> = row.try_get("totp_sealed").map_err(unavailable)?;
        let index = change(UnderMaster::EmailIndex { account_id, subject_id, email_sealed: &email_sealed });
        let totp = totp.and_then(|sealed| change(UnderMaster::Totp { account_id, sealed: &sealed }));
        sqlx::query(
            "update accounts set email_index = coalesce($2, email_index), totp_sealed = coalesce($3, totp_sealed)
             where account_id = $1",
        )
        .bind(account_id)
        .bind(index)
        .bind(totp)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        done.others = done.others.saturating_add(1);
    }
    tx.commit().await.map_err(unavailable)?;
    Ok(Some(done))
}
