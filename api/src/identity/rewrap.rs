//! Another master key for everything that is under the old one. Done while no server runs on the tenant: one that has the old
//! key reads no personal data afterwards, until it is started with the new one.
//!
//! # Invariants
//! - Persons' keys are wrapped anew; what is sealed with them stays as it is.
//! - Addresses are found under the new key as they were under the old one. One that cannot be read is found by nobody.

use std::collections::HashMap;

use adapters::postgres::identity::rewrap::{self as stored, Rewrapped, UnderMaster};
use domain::log::StoreError;
use domain::subject::PersonalField;
use domain::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use super::accounts::email_index;
use super::seal::{MasterKey, Purpose, random};
use super::vault::Vault;

/// Puts everything of a tenant's that is under the master key `from` under `to`. `None` when `from` is not the tenant's, also
/// because this was done already.
///
/// # Errors
/// [`StoreError`]; nothing is changed then.
pub async fn rewrap(
    pool: &PgPool,
    tenant: &str,
    from: &MasterKey,
    to: &MasterKey,
    now: Timestamp,
) -> Result<Option<Rewrapped>, StoreError> {
    let old = Vault::new(pool.clone(), from.clone(), tenant);
    let new = Vault::new(pool.clone(), to.clone(), tenant);
    let mut keys: HashMap<Uuid, [u8; 32]> = HashMap::new();
    let again = |purpose, row: &[u8], sealed: &[u8]| {
        let plain = from.open(purpose, row, sealed)?;
        Some(to.seal(purpose, row, &plain))
    };
    let mut change = |kept: UnderMaster<'_>| match kept {
        UnderMaster::SubjectKey { kid, subject_id, wrapped } => {
            let key = old.unwrap(subject_id, kid, wrapped)?;
            keys.insert(kid, key);
            Some(new.wrap(subject_id, kid, &key))
        }
        UnderMaster::SigningKey { kid, sealed } => again(Purpose::SigningKey, kid.as_bytes(), sealed),
        UnderMaster::Totp { account_id, sealed } => again(Purpose::Totp, account_id.as_bytes(), sealed),
        UnderMaster::EmailIndex { subject_id, email_sealed, .. } => {
            let key_of = |kid| keys.get(&kid).copied();
            let address = old.open_with(subject_id, PersonalField::Email, email_sealed, key_of);
            let index = address.map(|address| email_index(to, &address));
            Some(index.unwrap_or_else(random::<32>).to_vec())
        }
    };
    stored::rewrap(pool, &from.fingerprint(), &to.fingerprint(), now, &mut change).await
}
