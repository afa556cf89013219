//! What a caller has shown, as the events that it causes tell it (B.1.1).
//!
//! # Invariants
//! - Only words of RFC 8176 come into events: what an issuer writes beside them could say who somebody is.

use domain::authentication::AuthContext;
use domain::time::Timestamp;
use uuid::Uuid;

use super::access_token::{ACR_PASSWORD, ACR_SECOND_FACTOR};
use crate::caller::{Authentication, Caller};

/// With what a caller came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token that the operator made.
    OperatorToken,
    /// An access token of this session of the built-in issuer.
    Session(Uuid),
    /// An access token of another issuer.
    ExternalToken,
    /// The key of a machine.
    ApiKey(Uuid),
}

impl std::fmt::Display for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OperatorToken => f.write_str("operator_token"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::ExternalToken => f.write_str("external_token"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
        }
    }
}

/// The methods of RFC 8176, section 2, and `mfa`'s companions; the order is that in which events name them.
const WORDS: [&str; 20] = [
    "pwd", "pin", "otp", "kba", "sms", "tel", "hwk", "swk", "sc", "face", "fpt", "iris", "retina", "vbm", "geo", "rba",
    "user", "wia", "mca", "mfa",
];

/// How somebody showed who it is: words of RFC 8176, as a set that is cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u32);

impl Methods {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those of these words that are known; the others are dropped.
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let bit = |word: &str| WORDS.iter().position(|known| *known == word).map_or(0, |place| 1_u32 << place);
        Self(words.fold(0, |set, word| set | bit(word)))
    }

    /// Its words, in a fixed order.
    pub fn words(self) -> Vec<&'static str> {
        let known = WORDS.iter().enumerate();
        known.filter(|(place, _)| self.0 & (1_u32 << place) != 0).map(|(_, word)| *word).collect()
    }
}

/// What a caller came with, and how it was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// With what.
    pub credential: Credential,
    /// By which methods the person showed who it is, as far as the token says.
    pub methods: Methods,
}

impl Caller {
    /// What events say of how the caller showed who it is.
    pub fn auth_context(&self) -> AuthContext {
        let (acr, time) = match self.authentication {
            Authentication::Signed { auth_time, second_factor } => {
                let acr = if second_factor { ACR_SECOND_FACTOR } else { ACR_PASSWORD };
                (Some(acr.to_owned()), auth_time.and_then(|seconds| Timestamp::from_timestamp(seconds, 0)))
            }
            // A machine cannot be asked.
            Authentication::OperatorToken | Authentication::ApiKey { .. } => (None, None),
        };
        let words = self.shown.methods.words();
        AuthContext {
            credential: Some(self.shown.credential.to_string()),
            acr,
            amr: (!words.is_empty()).then(|| words.join(" ")),
            time: time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I9: whatever an issuer writes among the methods, only words of the standard are kept.
    #[test]
    fn only_words_of_the_standard_are_kept() {
        let methods = Methods::of(["mfa", "ada@example.com", "otp", "pwd", "otp"].into_iter());
        assert_eq!(methods.words(), ["pwd", "otp", "mfa"]);
        assert_eq!(Methods::of(["Ada Lovelace"].into_iter()), Methods::NONE);
    }
}
