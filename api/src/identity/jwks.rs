//! The key set of another issuer, fetched when it is needed and kept.
//!
//! # Invariants
//! - An unknown key id makes the set be fetched once, and not again within [`REFETCH`]: forged tokens cannot make us ask
//!   the issuer at will.
//! - While the issuer does not answer, keys are believed for [`BELIEVED`].
//! - Nothing is fetched from an address that is not the public's, unless that is configured ([`crate::outgoing`]): where
//!   keys are is what the issuer's document says.
//! - Only keys to verify with, of kinds that are safe, are taken: no secrets, no short RSA keys, no unknown curves.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Method;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::outgoing::{OutgoingClient, OutgoingConfig, reason};

/// How long a set is used without looking.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// How long a set is believed while the issuer does not answer.
const BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);

/// Shortest time between two fetches, after an unknown key id or a failure.
pub const REFETCH: Duration = Duration::from_secs(30);

/// Largest set that is read.
const MAX_BYTES: usize = 256 * 1024;

/// Most keys that are kept of a set.
const MAX_KEYS: usize = 100;

/// Shortest RSA modulus, in bytes: 2048 bits (NIST SP 800-131A).
const MIN_RSA_BYTES: usize = 256;

/// What an RSA key may sign with.
const OF_RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// A key of another issuer.
#[derive(Clone)]
struct RemoteKey {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<String, RemoteKey>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

/// Where the set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this URL.
    Url(String),
    /// Where the issuer's discovery document says.
    Discovered {
        /// The issuer, as its tokens name it.
        issuer: String,
    },
}

/// The key set of another issuer.
pub struct RemoteKeys {
    place: Place,
    http: OutgoingClient,
    kept: RwLock<Kept>,
    /// One fetch at a time; whoever waits uses what it brings.
    fetching: Mutex<()>,
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What we need of a discovery document.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// A set, with each key still to be read: one that we do not know must not hide those that we do.
#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}

impl RemoteKeys {
    /// A set that is fetched with the first token.
    ///
    /// # Errors
    /// When the system gives no client.
    pub fn new(place: Place, outgoing: OutgoingConfig) -> Result<Self, reqwest::Error> {
        let http = OutgoingClient::new(outgoing, Duration::from_secs(5))?;
        Ok(Self { place, http, kept: RwLock::default(), fetching: Mutex::default() })
    }

    /// The key with this id, if it is one for this algorithm. Without an id: the set's only key.
    pub async fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let (found, age) = self.known(kid, algorithm);
        if found.is_some() && age.is_some_and(|age| age < FRESH) {
            return found;
        }
        let _one = self.fetching.lock().await;
        // Somebody else may have fetched it while we waited.
        let (again, age) = self.known(kid, algorithm);
        if again.is_some() && age.is_some_and(|age| age < FRESH) {
            return again;
        }
        if self.may_fetch() {
            match self.fetch().await {
                Ok(keys) => {
                    let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                    kept.keys = keys;
                    kept.fetched_at = Some(Instant::now());
                }
                Err(error) => {
                    tracing::warn!(place = ?self.place, %error, "the key set of an issuer could not be fetched");
                }
            }
        }
        let (found, age) = self.known(kid, algorithm);
        found.filter(|_| age.is_some_and(|age| age < BELIEVED))
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm) -> (Option<DecodingKey>, Option<Duration>) {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let key = match kid {
            Some(kid) => kept.keys.get(kid),
            None if kept.keys.len() == 1 => kept.keys.values().next(),
            None => None,
        };
        let key = key.filter(|key| key.algorithms.contains(&algorithm)).map(|key| key.key.clone());
        (key, kept.fetched_at.map(|at| at.elapsed()))
    }

    /// Whether it may be fetched now; if so, not again for a while.
    fn may_fetch(&self) -> bool {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let may = kept.tried_at.is_none_or(|at| at.elapsed() >= REFETCH);
        if may {
            kept.tried_at = Some(Instant::now());
        }
        may
    }

    async fn fetch(&self) -> Result<HashMap<String, RemoteKey>, String> {
        let url = match &self.place {
            Place::Url(url) => url.clone(),
            Place::Discovered { issuer } => {
                let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                let document: Discovery = self.read(&url).await?;
                if document.issuer != *issuer {
                    return Err(format!("{url} is of the issuer {}", document.issuer));
                }
                if issuer.starts_with("https:") && !document.jwks_uri.starts_with("https:") {
                    return Err(format!("{url} names a key set that is not fetched over TLS"));
                }
                document.jwks_uri
            }
        };
        let set: RawSet = self.read(&url).await?;
        Ok(set.keys.into_iter().take(MAX_KEYS).filter_map(read_key).collect())
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let request = self.http.request(Method::GET, url).map_err(|error| format!("{url} {error}"))?;
        let mut response = request.send().await.map_err(|error| format!("{url}: {}", reason(error)))?;
        if !response.status().is_success() {
            return Err(format!("{url} answers {}", response.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reason)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                return Err(format!("{url} answers more than {MAX_BYTES} bytes"));
            }
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("{url}: {error}"))
    }
}

/// A key that can be used, with its id; keys without one are known by an empty one.
fn read_key(json: serde_json::Value) -> Option<(String, RemoteKey)> {
    let jwk: Jwk = serde_json::from_value(json).ok()?;
    if matches!(jwk.common.public_key_use, Some(ref usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    let of_kind = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            if modulus.iter().skip_while(|byte| **byte == 0).count() < MIN_RSA_BYTES {
                return None;
            }
            OF_RSA.to_vec()
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        _ => return None,
    };
    let algorithms = match jwk.common.key_algorithm {
        None => of_kind,
        Some(named) => {
            let name = named.to_string();
            of_kind.into_iter().filter(|algorithm| name == format!("{algorithm:?}")).collect()
        }
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id.clone().unwrap_or_default(), RemoteKey { key, algorithms }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_keys_that_are_safe_to_verify_with_are_taken() {
        let ed =
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let (kid, key) = read_key(ed.clone()).unwrap();
        assert_eq!((kid.as_str(), key.algorithms), ("a", vec![Algorithm::EdDSA]));
        let mut for_encryption = ed.clone();
        for_encryption["use"] = json!("enc");
        assert!(read_key(for_encryption).is_none());
        let mut misnamed = ed;
        misnamed["alg"] = json!("RS256");
        assert!(read_key(misnamed).unwrap().1.algorithms.is_empty(), "a key is for the algorithms of its kind only");
        assert!(read_key(json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0" })).is_none(), "a shared secret");
        let short = json!({ "kty": "RSA", "kid": "r", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4", "e": "AQAB" });
        assert!(read_key(short).is_none(), "a short RSA key");
        assert!(read_key(json!({ "kty": "new", "kid": "n" })).is_none());
    }
}
