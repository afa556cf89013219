//! Passwords: which are taken (NIST SP 800-63B, 5.1.1), and how they are hashed (OWASP Password Storage Cheat Sheet).
//!
//! # Invariants
//! - No rule of composition, and nothing that makes people change a password that nobody else knows.
//! - A password is compared and hashed in Unicode NFKC, so that the same keys give the same password everywhere.
//! - Hashing has threads of its own kind, few at once: who floods sign-ins makes others wait, and no more.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use super::seal::random;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Fewest characters.
pub const MIN_CHARACTERS: usize = 8;
/// Most characters; NIST asks for at least 64.
pub const MAX_CHARACTERS: usize = 128;

/// argon2id with 19 MiB, two passes, one lane: OWASP's first recommendation for it.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at once: 8 take 152 MiB.
const AT_ONCE: usize = 8;

/// How long a sign-in waits for its turn; each hash takes about 20 ms.
const PATIENCE: Duration = Duration::from_secs(10);

/// Passwords that everybody tries first, in lower case, one a line.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#')).collect());

/// A password that may be chosen, in NFKC.
#[derive(Clone)]
pub struct NewPassword(String);

/// A password that somebody shows, in NFKC.
#[derive(Clone)]
pub struct ShownPassword(String);

impl ShownPassword {
    /// Takes what was typed. What is longer than any password is cut: it is wrong in any case.
    pub fn new(text: &str) -> Self {
        Self(text.nfkc().take(MAX_CHARACTERS.saturating_add(1)).collect())
    }
}

impl NewPassword {
    /// Takes a password that may be chosen by somebody with this address.
    ///
    /// # Errors
    /// `validation_failed`, with `pointer`, when it is too short or long, or one that is tried first.
    pub fn new(text: &str, email: &str, pointer: &str) -> Result<Self, Problem> {
        let refuse = |why: &str| Err(Problem::field(ErrorCode::ValidationFailed, pointer, why));
        let password: String = text.nfkc().take(MAX_CHARACTERS.saturating_add(1)).collect();
        let count = password.chars().count();
        if count < MIN_CHARACTERS {
            return refuse("must have at least 8 characters");
        }
        if count > MAX_CHARACTERS {
            return refuse("must have at most 128 characters");
        }
        let lower = password.to_lowercase();
        // "Sunshine2024!" is "sunshine" to whoever guesses.
        let stem = lower.trim_matches(|c: char| !c.is_alphabetic());
        if COMMON.contains(lower.as_str()) || COMMON.contains(stem) {
            return refuse("is one of the passwords that are tried first; choose another");
        }
        let name = email.split('@').next().unwrap_or_default().to_lowercase();
        if lower == email.to_lowercase() || (!name.is_empty() && (lower == name || stem == name)) || stem == "earnest" {
            return refuse("must not be your address or the name of the service");
        }
        if is_monotonous(&lower) {
            return refuse("must not be one character, or neighbours in the alphabet, again and again");
        }
        Ok(Self(password))
    }
}

/// Whether it is made of one or two different characters, or each character follows the one before: `abcdefgh`.
fn is_monotonous(password: &str) -> bool {
    let codes: Vec<u32> = password.chars().map(u32::from).collect();
    let different: HashSet<_> = codes.iter().collect();
    let follows =
        |step: i64| codes.windows(2).all(|pair| matches!(pair, [a, b] if i64::from(*b) - i64::from(*a) == step));
    different.len() <= 2 || follows(1) || follows(-1)
}

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
    /// Checked when there is no account, so that it takes as long as when there is one.
    nobody: Arc<str>,
}

impl Hasher {
    /// A hasher.
    ///
    /// # Errors
    /// When the parameters make no sense, which a test rules out.
    pub fn new() -> Result<Self, argon2::Error> {
        let nobody = hash(&hex::encode(random::<32>()))?;
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), nobody: nobody.into() })
    }

    /// The hash of a password, in PHC format.
    ///
    /// # Errors
    /// `unavailable` when too many wait.
    pub async fn hash(&self, password: &NewPassword) -> Result<String, Problem> {
        let text = password.0.clone();
        self.run(move || hash(&text)).await?.map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))
    }

    /// Whether a password is the one of this hash. Without a hash it takes the same time, and says no.
    ///
    /// # Errors
    /// `unavailable` when too many wait.
    pub async fn is(&self, password: &ShownPassword, hash: Option<&str>) -> Result<bool, Problem> {
        let exists = hash.is_some();
        let (text, hash) = (password.0.clone(), hash.unwrap_or(&self.nobody).to_owned());
        let equal = self.run(move || Argon2::default().verify_password(text.as_bytes(), hash.as_str()).is_ok()).await?;
        Ok(equal && exists)
    }

    async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Problem> {
        let busy = || {
            Problem::new(ErrorCode::Unavailable, "too many sign-ins at once")
                .with_header(axum::http::header::RETRY_AFTER, "5")
        };
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // The turn ends with the work, also when nobody waits for it any more.
            drop(turn);
            result
        });
        done.await.map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))
    }
}

fn hash(password: &str) -> Result<String, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon.hash_password_with_salt(password.as_bytes(), &random::<16>());
    hash.map(|hash| hash.to_string()).map_err(|_| argon2::Error::AlgorithmInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(password: &str) -> Option<ErrorCode> {
        NewPassword::new(password, "ada.lovelace@example.com", "/password").err().map(|problem| problem.code())
    }

    #[test]
    fn length_counts_characters_and_nothing_has_to_be_mixed() {
        let refused = Some(ErrorCode::ValidationFailed);
        assert_eq!(detail("kurzweg"), refused);
        assert_eq!(detail("langweg eins"), None);
        assert_eq!(detail("ж щ ю ѣ д ф"), None);
        assert_eq!(detail(&"lorem ipsum ".repeat(10)[..64]), None);
        assert_eq!(detail(&"lorem ipsum ".repeat(11)), refused);
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for password in [
            "password",
            "Password1",
            "PASSWORD2024!",
            "qwertyuiop",
            "iloveyou123",
            "Sunshine!",
            "aaaaaaaa",
            "abababab",
            "12345678",
            "abcdefghij",
            "hgfedcba",
            "ada.lovelace",
            "Ada.Lovelace@example.com",
            "earnest2024",
            "ｐａｓｓｗｏｒｄ",
        ] {
            assert_eq!(detail(password), Some(ErrorCode::ValidationFailed), "{password}");
        }
        assert!(COMMON.len() > 300);
        assert!(
            COMMON.iter().all(|line| *line == line.to_lowercase() && *line == line.trim()),
            "one a line, lower case"
        );
    }

    #[tokio::test]
    async fn a_password_is_known_again_in_another_normal_form_and_nobody_has_one() {
        let hasher = Hasher::new().unwrap();
        let chosen = NewPassword::new("Äpfel und Öl", "a@b.c", "/password").unwrap();
        let hash = hasher.hash(&chosen).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(&chosen).await.unwrap(), "a salt of its own");
        let decomposed: String = "Äpfel und Öl".nfd().collect();
        assert!(hasher.is(&ShownPassword::new(&decomposed), Some(&hash)).await.unwrap());
        assert!(!hasher.is(&ShownPassword::new("Apfel und Ol"), Some(&hash)).await.unwrap());
        assert!(!hasher.is(&ShownPassword::new("Äpfel und Öl"), None).await.unwrap());
    }
}
