//! Access tokens of the built-in issuer: JWTs as RFC 9068 has them, signed with Ed25519.
//!
//! # Invariants
//! - A token is for one tenant, by its audience and by a claim, and names its session: who signs out is out.
//! - The algorithm is fixed; what the token's header says of it is compared, never obeyed.
//! - Times are checked against the clock that is given, with [`SKEW`] either way.

use chrono::TimeDelta;
use domain::id::PartyId;
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::ScopeSet;
use super::shown::{Credential, Methods, Shown};
use crate::caller::{Authentication, Caller, Role};

/// How long a token is good for.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// What clocks may differ by.
pub const SKEW: TimeDelta = TimeDelta::seconds(30);

/// `typ` of a token's header (RFC 9068).
pub const TYPE: &str = "at+jwt";

/// `acr` of somebody who showed a password.
pub const ACR_PASSWORD: &str = "urn:earnest:acr:password";
/// `acr` of somebody who showed a second factor as well.
pub const ACR_SECOND_FACTOR: &str = "urn:earnest:acr:second-factor";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer: its URL.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The party, or the id of the member of staff.
    pub sub: String,
    /// The application that asked for it.
    pub client_id: String,
    /// When it was made, in seconds of Unix time, as all instants here.
    pub iat: i64,
    /// From when on it is good.
    pub nbf: i64,
    /// Until when it is good.
    pub exp: i64,
    /// Its own id.
    pub jti: Uuid,
    /// The session that it belongs to.
    pub sid: Uuid,
    /// The tenant.
    pub tenant: String,
    /// The role of the party.
    pub roles: Vec<String>,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// When the person last showed who it is.
    pub auth_time: i64,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// How strongly: [`ACR_PASSWORD`] or [`ACR_SECOND_FACTOR`].
    pub acr: String,
}

/// What a token of the built-in issuer has to say.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The issuer's URL.
    pub issuer: String,
    /// Whom it is for.
    pub audience: String,
    /// The tenant.
    pub tenant: String,
}

/// Why a token is not taken. Told in `error_description`: it helps who has a right to it, and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT, or one of another kind.
    #[error("the token is malformed")]
    Malformed,
    /// Its algorithm is not taken from this issuer.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// Its key is not the issuer's, or the signature is wrong.
    #[error("the token's signature is not valid")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is for somebody else: another issuer, audience or tenant.
    #[error("the token is not meant for this service")]
    Audience,
    /// Its session is over.
    #[error("the session is over")]
    SessionOver,
    /// It has no role here, or stands for nobody.
    #[error("the token's subject has no role here")]
    Subject,
}

/// A token of these claims.
///
/// # Errors
/// When it cannot be signed.
pub fn sign(claims: &Claims, kid: String, key: &EncodingKey) -> Result<String, jsonwebtoken::errors::Error> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(kid);
    jsonwebtoken::encode(&header, claims, key)
}

/// Whether the signature is this key's; the claims that it signs. Times and meaning are left to the caller.
///
/// # Errors
/// [`TokenError::Signature`], or [`TokenError::Malformed`] when the claims are not those wanted.
pub fn signed_claims<C: serde::de::DeserializeOwned>(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Result<C, TokenError> {
    let mut validation = Validation::new(algorithm);
    // By the caller, with its clock and its rules about audiences.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<C>(token, key, &validation).map(|data| data.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::Json(_) => TokenError::Malformed,
        _ => TokenError::Signature,
    })
}

/// Whether a token's time has come, and is not over.
///
/// # Errors
/// [`TokenError::Expired`], [`TokenError::NotYetValid`].
pub fn check_times(exp: i64, not_before: Option<i64>, now: Timestamp) -> Result<(), TokenError> {
    let now = now.timestamp();
    if exp.saturating_add(SKEW.num_seconds()) <= now {
        return Err(TokenError::Expired);
    }
    if not_before.is_some_and(|from| from.saturating_sub(SKEW.num_seconds()) > now) {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}

impl Claims {
    /// Who the bearer is.
    ///
    /// # Errors
    /// [`TokenError`], whatever of it is wrong.
    pub fn check(&self, expected: &Expected, now: Timestamp) -> Result<Caller, TokenError> {
        check_times(self.exp, Some(self.nbf.max(self.iat)), now)?;
        if self.iss != expected.issuer || self.aud != expected.audience || self.tenant != expected.tenant {
            return Err(TokenError::Audience);
        }
        let party_id: PartyId = self.sub.parse().map_err(|_| TokenError::Subject)?;
        let [role] = self.roles.as_slice() else { return Err(TokenError::Subject) };
        let role: Role = role.parse().map_err(|_| TokenError::Subject)?;
        Ok(Caller {
            party_id,
            role,
            scopes: ScopeSet::parse(&self.scope),
            authentication: Authentication::Signed {
                auth_time: Some(self.auth_time),
                second_factor: self.acr == ACR_SECOND_FACTOR,
            },
            shown: Shown {
                credential: Credential::Session(self.sid),
                methods: Methods::of(self.amr.iter().map(String::as_str)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            iss: "https://earnest.example".to_owned(),
            aud: "earnest".to_owned(),
            sub: PartyId::from_uuid(Uuid::from_u128(7)).to_string(),
            client_id: "earnest".to_owned(),
            iat: 1000,
            nbf: 1000,
            exp: 1600,
            jti: Uuid::from_u128(1),
            sid: Uuid::from_u128(2),
            tenant: "main".to_owned(),
            roles: vec!["client".to_owned()],
            scope: "contracts:read".to_owned(),
            auth_time: 900,
            amr: vec!["pwd".to_owned()],
            acr: ACR_PASSWORD.to_owned(),
        }
    }

    fn check(change: impl FnOnce(&mut Claims), now: i64) -> Result<Caller, TokenError> {
        let expected = Expected {
            issuer: "https://earnest.example".to_owned(),
            audience: "earnest".to_owned(),
            tenant: "main".to_owned(),
        };
        let mut claims = claims();
        change(&mut claims);
        claims.check(&expected, Timestamp::from_timestamp(now, 0).unwrap())
    }

    #[test]
    fn every_claim_is_looked_at() {
        assert_eq!(check(|_| {}, 1200).unwrap().role, Role::Client);
        assert_eq!(check(|claims| claims.iss.push('x'), 1200), Err(TokenError::Audience));
        assert_eq!(check(|claims| claims.aud.push('x'), 1200), Err(TokenError::Audience));
        assert_eq!(check(|claims| claims.tenant.push('x'), 1200), Err(TokenError::Audience));
        assert_eq!(check(|claims| claims.sub.push('x'), 1200), Err(TokenError::Subject));
        assert_eq!(check(|claims| claims.roles.clear(), 1200), Err(TokenError::Subject));
        assert_eq!(check(|claims| claims.roles.push("admin".to_owned()), 1200), Err(TokenError::Subject));
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        assert!(check(|_| {}, 970).is_ok());
        assert_eq!(check(|_| {}, 969), Err(TokenError::NotYetValid));
        assert!(check(|_| {}, 1629).is_ok());
        assert_eq!(check(|_| {}, 1630), Err(TokenError::Expired));
    }
}
