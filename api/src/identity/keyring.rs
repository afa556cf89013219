//! The keys that the built-in issuer signs with, and their rotation.
//!
//! A new key is published before it signs, and an old one until the last token that it signed has run out, so that whoever
//! caches the key set never meets a key that is not in it.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use adapters::postgres::identity::key::{self, StoredKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use domain::log::StoreError;
use domain::time::Timestamp;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use utoipa::ToSchema;

use super::access_token::LIFETIME;
use super::seal::{MasterKey, Purpose, random};

/// How old the keys in memory may be before they are read again: a rotation elsewhere is known by then.
const FRESH: Duration = Duration::from_secs(30);

/// Unknown key ids make the keys be read again this often at most.
const REREAD: Duration = Duration::from_secs(1);

/// How long a key is published before it signs: whoever caches the key set for an hour has it by then.
pub const LEAD: TimeDelta = TimeDelta::hours(1);

/// What clocks may differ by, and caches linger, beyond the life of a token.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// PKCS #8 of an Ed25519 key (RFC 8410) is this and 32 bytes.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A key in memory.
struct Key {
    stored: StoredKey,
    /// Absent when another master key sealed it: then it verifies only.
    private: Option<EncodingKey>,
    public: DecodingKey,
    x: String,
}

/// Keys as they were read.
struct Read {
    keys: Vec<Key>,
    at: Instant,
}

/// The issuer's keys.
pub struct Keyring {
    pool: PgPool,
    master: MasterKey,
    read: RwLock<Read>,
}

/// A public key as RFC 7517 and RFC 8037 have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PublicJwk {
    /// Always `OKP`.
    #[schema(example = "OKP")]
    pub kty: String,
    /// Always `Ed25519`.
    #[schema(example = "Ed25519")]
    pub crv: String,
    /// Always `sig`.
    #[schema(example = "sig")]
    pub r#use: String,
    /// Always `EdDSA`.
    #[schema(example = "EdDSA")]
    pub alg: String,
    /// Its name in tokens.
    pub kid: String,
    /// The public key, base64url.
    pub x: String,
}

/// The key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PublicJwks {
    /// Every key that a token in use may be signed with.
    pub keys: Vec<PublicJwk>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

/// Makes a key that signs from `signs_from` on. Those before it are published until their last token has run out.
///
/// # Errors
/// [`StoreError`].
pub async fn rotate(
    pool: &PgPool,
    master: &MasterKey,
    now: Timestamp,
    signs_from: Timestamp,
) -> Result<String, StoreError> {
    let stored = make(master, signs_from);
    key::insert(pool, &stored, now, Some(signs_from + LIFETIME + MARGIN)).await?;
    Ok(stored.kid)
}

/// A new key, sealed.
fn make(master: &MasterKey, signs_from: Timestamp) -> StoredKey {
    let seed: [u8; 32] = random();
    let public_key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes().to_vec();
    let kid = hex::encode(Sha256::digest(&public_key).get(..8).unwrap_or_default());
    let sealed_private = master.seal(Purpose::SigningKey, kid.as_bytes(), &seed);
    StoredKey { kid, public_key, sealed_private, signs_from, published_until: None }
}

impl Keyring {
    /// The tenant's keys; a first one is made when there is none that this master key opens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(pool: PgPool, master: MasterKey, now: Timestamp) -> Result<Self, StoreError> {
        let mut keys = load(&pool, &master, now).await?;
        if signing(&keys, now).is_none() {
            // Others may be in use by servers that can open them: they stay.
            key::insert(&pool, &make(&master, now), now, None).await?;
            keys = load(&pool, &master, now).await?;
        }
        Ok(Self { pool, master, read: RwLock::new(Read { keys, at: Instant::now() }) })
    }

    /// The key to sign with now, and its id.
    ///
    /// # Errors
    /// [`StoreError`], also when none can be opened.
    pub async fn signing(&self, now: Timestamp) -> Result<(String, EncodingKey), StoreError> {
        self.freshen(now, FRESH).await?;
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        signing(&read.keys, now).ok_or_else(|| StoreError::Corrupt("no signing key can be opened".to_owned()))
    }

    /// The key with this id, if tokens signed with it may still be in use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn verifying(&self, kid: &str, now: Timestamp) -> Result<Option<DecodingKey>, StoreError> {
        self.freshen(now, FRESH).await?;
        if let Some(key) = self.known(kid, now) {
            return Ok(Some(key));
        }
        self.freshen(now, REREAD).await?;
        Ok(self.known(kid, now))
    }

    /// The key set, as it is published.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn jwks(&self, now: Timestamp) -> Result<PublicJwks, StoreError> {
        self.freshen(now, REREAD).await?;
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let keys = read.keys.iter().filter(|key| is_published(key, now)).map(|key| PublicJwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            r#use: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: key.stored.kid.clone(),
            x: key.x.clone(),
        });
        Ok(PublicJwks { keys: keys.collect() })
    }

    fn known(&self, kid: &str, now: Timestamp) -> Option<DecodingKey> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.keys.iter().find(|key| key.stored.kid == kid && is_published(key, now)).map(|key| key.public.clone())
    }

    /// Reads the keys again when they are older than `most`.
    async fn freshen(&self, now: Timestamp, most: Duration) -> Result<(), StoreError> {
        {
            let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
            if read.at.elapsed() < most {
                return Ok(());
            }
            // Whoever comes while these are read takes those that are there.
            read.at = Instant::now();
        }
        let keys = load(&self.pool, &self.master, now).await?;
        self.read.write().unwrap_or_else(PoisonError::into_inner).keys = keys;
        Ok(())
    }
}

fn is_published(key: &Key, now: Timestamp) -> bool {
    key.stored.published_until.is_none_or(|until| until > now)
}

/// The newest key that signs already and can be opened here.
fn signing(keys: &[Key], now: Timestamp) -> Option<(String, EncodingKey)> {
    let mut ready = keys.iter().rev().filter(|key| key.stored.signs_from <= now && is_published(key, now));
    ready.find_map(|key| Some((key.stored.kid.clone(), key.private.clone()?)))
}

async fn load(pool: &PgPool, master: &MasterKey, now: Timestamp) -> Result<Vec<Key>, StoreError> {
    let stored = key::published(pool, now).await?;
    stored
        .into_iter()
        .map(|stored| {
            let private = master.open(Purpose::SigningKey, stored.kid.as_bytes(), &stored.sealed_private);
            let private = private
                .filter(|seed| seed.len() == 32)
                .map(|seed| EncodingKey::from_ed_der(&[PKCS8.as_slice(), &seed].concat()));
            let x = URL_SAFE_NO_PAD.encode(&stored.public_key);
            let public = DecodingKey::from_ed_components(&x).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ok(Key { stored, private, public, x })
        })
        .collect()
}
