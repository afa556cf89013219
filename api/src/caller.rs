//! Who calls: somebody with an access token of an issuer, a machine with a key, or who has a token that the operator made.
//!
//! # Invariants
//! - A token of the operator (`ern_…`) is 256 random bits. Only its SHA-256 is stored: with that much chance in it, nothing
//!   slower is needed.
//! - Whoever has no valid token is refused before anything else is looked at.
//!
//! # What is deliberately absent
//! How an access token is checked: [`crate::identity`]. What a caller may do: [`crate::access`].

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use domain::actor::{Actor, StaffRole};
use domain::id::PartyId;
use rand::RngCore;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::code::ErrorCode;
use crate::identity::access_token::TokenError;
use crate::identity::authenticate::{Bearer, token_needed, token_refused};
use crate::identity::scope::ScopeSet;
use crate::identity::shown::{Credential, Methods, Shown};
use crate::problem::Problem;

/// What every token starts with, so that leaked ones are found by scanners.
pub const TOKEN_PREFIX: &str = "ern_";

/// No token of the operator is as long.
const MAX_OPERATOR_TOKEN: usize = 128;

/// What a token lets its bearer be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Acts as the paying side of contracts.
    Client,
    /// Acts as the delivering side of contracts.
    Payee,
    /// Works for the operator.
    Staff(StaffRole),
}

impl Role {
    /// The word for it, on the command line and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Payee => "payee",
            Self::Staff(role) => role.word(),
        }
    }

    /// Every role.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Client, Self::Payee].into_iter().chain(StaffRole::ALL.into_iter().map(Self::Staff))
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|role| role.word() == text).ok_or_else(|| {
            let words: Vec<_> = Self::all().map(Self::word).collect();
            format!("no such role; choose one of {}", words.join(", "))
        })
    }
}

/// A caller who has shown a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The party, or the id of the member of staff.
    pub party_id: PartyId,
    /// As what.
    pub role: Role,
    /// What the token allows, at most.
    pub scopes: ScopeSet,
    /// How the caller showed who it is.
    pub authentication: Authentication,
    /// With what, for the events.
    pub shown: Shown,
}

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// With a token that the operator made: a machine, which cannot be asked again.
    OperatorToken,
    /// With the key of a machine, which cannot be asked again either.
    ApiKey {
        /// Whether its maker has said that it need not be.
        step_up_exempt: bool,
    },
    /// With an access token of an issuer.
    Signed {
        /// When the person last showed who it is, in seconds of Unix time, if the issuer says.
        auth_time: Option<i64>,
        /// Whether with a second factor.
        second_factor: bool,
    },
}

impl Caller {
    /// The bearer of a token that the operator made.
    pub fn of_operator_token(party_id: PartyId, role: Role) -> Self {
        let scopes = ScopeSet::of_role(role);
        let shown = Shown { credential: Credential::OperatorToken, methods: Methods::NONE };
        Self { party_id, role, scopes, authentication: Authentication::OperatorToken, shown }
    }

    /// Who acts, for commands.
    pub fn actor(&self) -> Actor {
        match self.role {
            Role::Client => Actor::Client(self.party_id),
            Role::Payee => Actor::Payee(self.party_id),
            Role::Staff(role) => Actor::Staff(role, self.party_id),
        }
    }

    /// What command ids are made from, so that two callers' keys never meet.
    pub fn principal(&self) -> String {
        self.actor().to_string()
    }

    /// Whether the caller works for the operator and may read what belongs to any party.
    pub fn is_staff(&self) -> bool {
        matches!(self.role, Role::Staff(_))
    }

    /// Refuses everybody but staff that may stop money from moving.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_money_staff(&self) -> Result<(), Problem> {
        if self.actor().may_hold_money() {
            return Ok(());
        }
        Err(Problem::new(ErrorCode::Forbidden, "needs the role moderator or finance or admin"))
    }

    /// Refuses everybody but these members of staff.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_staff(&self, allowed: &[StaffRole]) -> Result<(), Problem> {
        match self.role {
            Role::Staff(role) if allowed.contains(&role) => Ok(()),
            _ => {
                let words: Vec<_> = allowed.iter().map(|role| role.word()).collect();
                Err(Problem::new(ErrorCode::Forbidden, format!("needs the role {}", words.join(" or "))))
            }
        }
    }
}

/// A new token.
pub fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{TOKEN_PREFIX}{}", hex::encode(bytes))
}

/// What is stored of a token.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who shows the token of this request.
///
/// # Errors
/// `unauthenticated`; `unavailable` when the store does not answer.
pub(crate) async fn bearer_of(headers: &HeaderMap, app: &App) -> Result<Bearer, Problem> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(token_needed)?;
    if !token.starts_with(TOKEN_PREFIX) {
        return app.identity.bearer(app, token).await;
    }
    let refused = || token_refused(TokenError::Signature);
    if token.len() >= MAX_OPERATOR_TOKEN {
        return Err(refused());
    }
    let caller = app.caller_of(&token_hash(token)).await?.ok_or_else(refused)?;
    Ok(Bearer { caller, session_id: None })
}

/// Whose token came with a request, before the table of [`crate::access`] has said whether it may: no handler reads this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identified(pub(crate) Bearer);

/// The caller that the table of [`crate::access`] has let through; behind a route that asks for no token there is none.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Bearer::from_request_parts(parts, state).await.map(|bearer| bearer.caller)
    }
}

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().copied().ok_or_else(token_needed)
    }
}
