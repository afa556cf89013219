//! Ciphertext of what has to be read again: addresses, TOTP secrets, private keys.
//!
//! XChaCha20-Poly1305 with a random nonce, under a key that is derived for each purpose; what belongs to a row is bound
//! to it, so that ciphertext moved to another row cannot be opened.
//!
//! # What is deliberately absent
//! Personal data: that is under a key per person ([`super::vault`]), which this one only wraps. HKDF: the master key is uniform
//! chance, so that the HMAC that expands it is enough (RFC 5869, 3.3).

use adapters::mail::Envelope;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::{Digest, Sha256};

/// Length of a nonce of XChaCha20-Poly1305.
const NONCE: usize = 24;

/// First byte of ciphertext: how it was made.
pub(super) const VERSION: u8 = 1;

/// The key that everything sealed is under: 256 bits, kept outside the database.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// The text is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct MasterKeyError;

/// What ciphertext is for; each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Addresses of accounts from before persons had keys. Nothing new is sealed for it.
    Email,
    /// Keys of persons.
    SubjectKey,
    /// Mails that are kept.
    Mailbox,
    /// TOTP secrets.
    Totp,
    /// Private keys of the issuer.
    SigningKey,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Email => "seal email",
            Self::SubjectKey => "wrap subject key",
            Self::Mailbox => "seal mail",
            Self::Totp => "seal totp",
            Self::SigningKey => "seal signing key",
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl std::str::FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| MasterKeyError)?;
        Ok(Self(bytes))
    }
}

impl MasterKey {
    /// A new key.
    pub fn random() -> Self {
        Self(random())
    }

    /// As text, to be kept in a file.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// What tells two master keys apart without telling them.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.mac("fingerprint", b"")
    }

    /// HMAC-SHA-256 of `data` under a key of this purpose: finds again what it does not tell.
    pub fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        hmac(&hmac(&self.0, purpose.as_bytes()), data)
    }

    /// Ciphertext of `plain`, bound to `row`.
    pub fn seal(&self, purpose: Purpose, row: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut text = vec![VERSION];
        text.extend_from_slice(&encrypt(&hmac(&self.0, purpose.word().as_bytes()), row, plain));
        text
    }

    /// What was sealed; `None` when it was sealed under another key, for another row, or was changed.
    pub fn open(&self, purpose: Purpose, row: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION {
            return None;
        }
        decrypt(&hmac(&self.0, purpose.word().as_bytes()), row, rest)
    }
}

impl Envelope for MasterKey {
    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        MasterKey::seal(self, Purpose::Mailbox, b"", plain)
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        MasterKey::open(self, Purpose::Mailbox, b"", sealed)
    }
}

/// A nonce and the ciphertext of `plain`, bound to `aad`.
pub(super) fn encrypt(key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = random();
    // It fails only for messages beyond 256 GiB.
    let payload = Payload { msg: plain, aad };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(&nonce), payload).unwrap_or_default();
    [nonce.as_slice(), &sealed].concat()
}

/// What was encrypted; `None` when it was under another key, bound to something else, or changed.
pub(super) fn decrypt(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_at_checked(NONCE)?;
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), Payload { msg: text, aad }).ok()
}

fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    // HMAC fills a key up with zeros to the block of its hash; done here, there is no length that could be wrong.
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as Mac>::new(&block.into());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Bytes of chance.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A secret to be shown once: 256 random bits after a prefix that scanners know it by.
pub fn new_secret(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(random::<32>()))
}

/// What is stored of such a secret. With that much chance in it, nothing slower is needed.
pub fn secret_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_row_and_purpose_only() {
        let key = MasterKey::random();
        let sealed = key.seal(Purpose::Email, b"row", b"ada@example.com");
        assert_eq!(key.open(Purpose::Email, b"row", &sealed).as_deref(), Some(b"ada@example.com".as_slice()));
        assert_eq!(key.open(Purpose::Email, b"other", &sealed), None);
        assert_eq!(key.open(Purpose::Totp, b"row", &sealed), None);
        assert_eq!(MasterKey::random().open(Purpose::Email, b"row", &sealed), None);
        let mut changed = sealed.clone();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        assert_eq!(key.open(Purpose::Email, b"row", &changed), None);
        assert_eq!(key.open(Purpose::Email, b"row", &sealed[..10]), None);
        assert!(!sealed.windows(3).any(|part| part == b"ada"));
    }

    #[test]
    fn a_master_key_is_read_as_it_is_written() {
        let key = MasterKey::random();
        let again: MasterKey = key.to_hex().parse().unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        assert!("abc".parse::<MasterKey>().is_err());
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }
}
