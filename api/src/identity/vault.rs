//! Personal data under a key per person (B.14): the one place where it is sealed and opened.
//!
//! XChaCha20-Poly1305 under a random key of the person's own, which is kept wrapped with the master key.
//!
//! # Invariants
//! - Ciphertext names its key and is bound to tenant, person, key and field: put into another row it does not open.
//! - Keys are not kept in memory: what was destroyed is gone for every server at once.
//! - Who had a key that was destroyed gets no other one.
//!
//! # What is deliberately absent
//! Erasure: who asks, what stands against it, who approves. It will call [`Vault::destroy`]. Backups: one from before a
//! destruction still has the wrapped key, so keep them no longer than the erasure may take.

use adapters::postgres::identity::subject_key::{self, StoredSubjectKey};
use domain::id::PartyId;
use domain::log::StoreError;
use domain::subject::PersonalField;
use domain::time::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use super::seal::{MasterKey, Purpose, decrypt, encrypt, random};

/// First byte of ciphertext under a person's key.
const VERSION: u8 = 2;

/// Bytes before nonce and ciphertext: the version and the key's id.
const HEAD: usize = 17;

/// Seals and opens personal data of one tenant.
#[derive(Clone)]
pub struct Vault {
    pool: PgPool,
    master: MasterKey,
    tenant: String,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// What stands where personal data was: its key is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redacted {
    /// The key.
    pub kid: Uuid,
    /// When it was destroyed.
    pub at: Timestamp,
}

/// Personal data that was read.
#[derive(Clone, PartialEq, Eq)]
pub enum Opened {
    /// As it was sealed.
    Clear(Vec<u8>),
    /// Nobody can read it any more.
    Redacted(Redacted),
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clear(_) => f.write_str("Clear(…)"),
            Self::Redacted(redacted) => f.debug_tuple("Redacted").field(redacted).finish(),
        }
    }
}

/// Personal data could not be sealed or opened. Says nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The person's data was erased: nothing more is sealed.
    #[error("the person's key was destroyed")]
    Erased(Redacted),
    /// Its key is wrapped with another master key.
    #[error("the person's key is wrapped with another master key")]
    OtherMaster,
    /// It belongs to another person, field or tenant, or was changed.
    #[error("ciphertext that does not belong here")]
    Misplaced,
}

impl Vault {
    /// The vault of the tenant that the pool connects to.
    pub fn new(pool: PgPool, master: MasterKey, tenant: &str) -> Self {
        Self { pool, master, tenant: tenant.to_owned() }
    }

    /// Ciphertext of a field of a person's. The person's key is made when there is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal(
        &self,
        subject_id: PartyId,
        field: PersonalField,
        plain: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, VaultError> {
        let (kid, key) = self.key_for(subject_id, now).await?;
        let aad = self.bound_to(subject_id, kid, field.word());
        Ok([&[VERSION], kid.as_bytes().as_slice(), &encrypt(&key, &aad, plain)].concat())
    }

    /// The field of a person's that was sealed.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open(&self, subject_id: PartyId, field: PersonalField, sealed: &[u8]) -> Result<Opened, VaultError> {
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(VaultError::Misplaced)?;
        let kid = match head.split_first() {
            Some((&VERSION, kid)) => Uuid::from_slice(kid).map_err(|_| VaultError::Misplaced)?,
            _ => return Err(VaultError::Misplaced),
        };
        let stored = subject_key::by_id(&self.pool, kid).await?.ok_or(VaultError::Misplaced)?;
        if stored.subject_id != subject_id {
            return Err(VaultError::Misplaced);
        }
        match self.unwrapped(&stored)? {
            Ok(key) => {
                let aad = self.bound_to(subject_id, kid, field.word());
                decrypt(&key, &aad, text).map(Opened::Clear).ok_or(VaultError::Misplaced)
            }
            Err(redacted) => Ok(Opened::Redacted(redacted)),
        }
    }

    /// Destroys a person's keys: all that is sealed with them can be read by nobody any more, and nothing more is sealed.
    /// Returns whether there was one; done again, there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn destroy(&self, subject_id: PartyId, now: Timestamp) -> Result<bool, StoreError> {
        subject_key::destroy(&self.pool, subject_id, now).await.map(|destroyed| destroyed > 0)
    }

    /// The key to seal a person's data with.
    async fn key_for(&self, subject_id: PartyId, now: Timestamp) -> Result<(Uuid, [u8; 32]), VaultError> {
        let master = self.master.fingerprint();
        let mut stored = subject_key::current(&self.pool, subject_id, &master).await?;
        if stored.is_none() {
            let (kid, key) = (Uuid::now_v7(), random::<32>());
            let wrapped = self.wrap(subject_id, kid, &key);
            subject_key::insert(&self.pool, kid, subject_id, &master, &wrapped, now).await?;
            // Of two that make one at the same time, one is used by both.
            stored = subject_key::current(&self.pool, subject_id, &master).await?;
        }
        let stored = stored.ok_or(VaultError::Misplaced)?;
        match self.unwrapped(&stored)? {
            Ok(key) => Ok((stored.kid, key)),
            Err(redacted) => Err(VaultError::Erased(redacted)),
        }
    }

    fn unwrapped(&self, stored: &StoredSubjectKey) -> Result<Result<[u8; 32], Redacted>, VaultError> {
        let wrapped = match &stored.kept {
            Ok(wrapped) => wrapped,
            Err(at) => return Ok(Err(Redacted { kid: stored.kid, at: *at })),
        };
        if stored.master != self.master.fingerprint() {
            return Err(VaultError::OtherMaster);
        }
        self.unwrap(stored.subject_id, stored.kid, wrapped).map(Ok).ok_or(VaultError::Misplaced)
    }

    /// A person's key, wrapped with the master key.
    pub(super) fn wrap(&self, subject_id: PartyId, kid: Uuid, key: &[u8; 32]) -> Vec<u8> {
        self.master.seal(Purpose::SubjectKey, &self.bound_to(subject_id, kid, ""), key)
    }

    /// A person's key that was wrapped; `None` when it was for another person or tenant, or with another master key.
    pub(super) fn unwrap(&self, subject_id: PartyId, kid: Uuid, wrapped: &[u8]) -> Option<[u8; 32]> {
        let key = self.master.open(Purpose::SubjectKey, &self.bound_to(subject_id, kid, ""), wrapped)?;
        key.try_into().ok()
    }

    /// The field that was sealed with this key.
    pub(super) fn open_with(
        &self,
        subject_id: PartyId,
        field: PersonalField,
        sealed: &[u8],
        key_of: impl FnOnce(Uuid) -> Option<[u8; 32]>,
    ) -> Option<Vec<u8>> {
        let (head, text) = sealed.split_at_checked(HEAD)?;
        let (&version, kid) = head.split_first()?;
        let kid = Uuid::from_slice(kid).ok().filter(|_| version == VERSION)?;
        decrypt(&key_of(kid)?, &self.bound_to(subject_id, kid, field.word()), text)
    }

    /// What ciphertext is bound to. No part of it can hold a line break.
    fn bound_to(&self, subject_id: PartyId, kid: Uuid, field: &str) -> Vec<u8> {
        format!("earnest personal data\n{}\n{subject_id}\n{kid}\n{field}", self.tenant).into_bytes()
    }
}
