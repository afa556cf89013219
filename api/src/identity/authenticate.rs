//! From a bearer token to a caller: whose token it is, whether it is good, whom its subject stands for.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use adapters::postgres::identity::{external as links, session};
use axum::http::header;
use domain::actor::{Actor, SystemPart};
use domain::id::PartyId;
use domain::intent::Intent;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use uuid::Uuid;

use super::Identity;
use super::access_token::{Claims, TYPE, TokenError, check_times, signed_claims};
use super::api_keys::API_KEY_PREFIX;
use super::external::{ExternalIssuer, Linking};
use super::seal::secret_hash;
use super::shown::{Credential, Shown};
use crate::app::App;
use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::engine::Request;
use crate::problem::Problem;

/// Longest token that is looked at.
const MAX_TOKEN: usize = 8 * 1024;

/// How long a token that was found good is believed without looking: signing out takes effect within this time.
const BELIEVED: Duration = Duration::from_secs(5);

/// Tokens remembered at most.
const REMEMBERED: usize = 10_000;

/// Namespace of the parties that subjects of other issuers stand for.
const SUBJECTS: Uuid = Uuid::from_u128(0x9f1b_6c02_83d4_5e7a_a6c1_0d94_72ef_b385);

/// A token that was found good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Believed {
    seen: Instant,
    exp: i64,
    bearer: Bearer,
}

/// Who shows a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// As whom.
    pub caller: Caller,
    /// The session of the built-in issuer, when it is one of its tokens.
    pub session_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

/// The answer to somebody without a token.
pub fn token_needed() -> Problem {
    // RFC 6750, 3.1: nothing is told to who has shown nothing.
    Problem::new(ErrorCode::Unauthenticated, "send Authorization: Bearer with an access token")
        .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"earnest\"")
}

/// The answer to a token that is not taken.
pub fn token_refused(error: TokenError) -> Problem {
    Problem::new(ErrorCode::Unauthenticated, error.to_string()).with_header(
        header::WWW_AUTHENTICATE,
        format!("Bearer realm=\"earnest\", error=\"invalid_token\", error_description=\"{error}\""),
    )
}

impl Identity {
    /// Who shows this JWT, or this key of a machine.
    ///
    /// # Errors
    /// `unauthenticated`; `unavailable` when the store does not answer.
    pub async fn bearer(&self, app: &App, token: &str) -> Result<Bearer, Problem> {
        if token.len() > MAX_TOKEN {
            return Err(token_refused(TokenError::Malformed));
        }
        let hash = secret_hash(token);
        let now = self.now();
        let known = self.believed.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).copied();
        if let Some(known) = known
            && known.seen.elapsed() < BELIEVED
        {
            check_times(known.exp, None, now).map_err(token_refused)?;
            return Ok(known.bearer);
        }
        let (bearer, exp) = if token.starts_with(API_KEY_PREFIX) {
            self.machine(token).await?
        } else {
            self.signed(app, token).await?
        };
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if believed.len() >= REMEMBERED {
            believed.clear();
        }
        believed.insert(hash, Believed { seen: Instant::now(), exp, bearer });
        Ok(bearer)
    }

    /// Who shows this JWT, and its end.
    async fn signed(&self, app: &App, token: &str) -> Result<(Bearer, i64), Problem> {
        // Which issuer it claims to be of only says whose key it is checked with.
        let claimed: Issuer =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| token_refused(TokenError::Malformed))?;
        if claimed.iss == self.expected.issuer && self.built_in {
            return self.own(token).await;
        }
        let issuer = self.external.iter().find(|issuer| issuer.issuer() == claimed.iss);
        self.others(app, issuer.ok_or_else(|| token_refused(TokenError::Audience))?, token).await
    }

    /// Forgets what is believed, so that a change made here takes effect here at once.
    pub(super) fn disbelieve(&self) {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn own(&self, token: &str) -> Result<(Bearer, i64), Problem> {
        let now = self.now();
        let header = jsonwebtoken::decode_header(token).map_err(|_| token_refused(TokenError::Algorithm))?;
        if header.alg != Algorithm::EdDSA {
            return Err(token_refused(TokenError::Algorithm));
        }
        // RFC 9068, 4: no other kind of token of this issuer opens anything.
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        let key_id = header.kid.as_deref().filter(|_| typ.strip_prefix("application/").unwrap_or(&typ) == TYPE);
        let key_id = key_id.ok_or_else(|| token_refused(TokenError::Malformed))?;
        let key = self.keys.verifying(key_id, now).await?.ok_or_else(|| token_refused(TokenError::Signature))?;
        let claims: Claims = signed_claims(token, Algorithm::EdDSA, &key).map_err(token_refused)?;
        let caller = claims.check(&self.expected, now).map_err(token_refused)?;
        if session::find(&self.pool, claims.sid, now).await?.is_none() {
            return Err(token_refused(TokenError::SessionOver));
        }
        Ok((Bearer { caller, session_id: Some(claims.sid) }, claims.exp))
    }

    async fn others(&self, app: &App, issuer: &ExternalIssuer, token: &str) -> Result<(Bearer, i64), Problem> {
        let subject = issuer.check(token, self.now()).await.map_err(token_refused)?;
        let party_id = match links::find(&self.pool, issuer.issuer(), &subject.subject).await? {
            Some(party_id) => party_id,
            None if issuer.linking() == Linking::FirstSight => {
                self.link(app, issuer.issuer(), &subject.subject, subject.role).await?
            }
            None => return Err(token_refused(TokenError::Subject)),
        };
        let caller = Caller {
            party_id,
            role: subject.role,
            scopes: subject.scopes,
            authentication: subject.authentication,
            shown: Shown { credential: Credential::ExternalToken, methods: subject.methods },
        };
        Ok((Bearer { caller, session_id: None }, subject.exp))
    }

    /// Makes the party that a subject stands for from now on. The same one, however often and wherever it is made.
    async fn link(&self, app: &App, issuer: &str, subject: &str, role: Role) -> Result<PartyId, Problem> {
        let name = format!("{}\n{issuer}\n{subject}", self.expected.tenant);
        let party_id = PartyId::derived(SUBJECTS, &name);
        if !matches!(role, Role::Staff(_)) {
            register_party(app, party_id).await?;
        }
        links::link(&self.pool, issuer, subject, party_id, self.now()).await?;
        Ok(party_id)
    }
}

/// Makes a party known to the log. Does nothing when it was made known here before.
///
/// # Errors
/// What the engine says.
pub(super) async fn register_party(app: &App, party_id: PartyId) -> Result<(), Problem> {
    let command_id = Uuid::new_v5(&SUBJECTS, format!("register {party_id}").as_bytes());
    let intent = Intent::RegisterParty { party_id };
    let request = Request::internal(intent, Actor::System(SystemPart::Operator), command_id);
    app.engine.perform(request).await.map(|_| ()).map_err(Problem::from)
}
