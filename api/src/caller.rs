//! Who calls: bearer tokens made by the operator for a party and a role.
//!
//! # Invariants
//! - A token is 256 random bits. Only its SHA-256 is stored: with that much chance in it, nothing slower is needed.
//! - Whoever has no valid token is refused before anything else is looked at.
//!
//! # What is deliberately absent
//! Accounts and logins.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use domain::actor::{Actor, StaffRole};
use domain::id::PartyId;
use rand::RngCore;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// What every token starts with, so that leaked ones are found by scanners.
pub const TOKEN_PREFIX: &str = "ern_";

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
}

impl Caller {
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

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let refused = || {
            Problem::new(ErrorCode::Unauthenticated, "send Authorization: Bearer with a token of `earnest token`")
                .with_header(header::WWW_AUTHENTICATE, "Bearer")
        };
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| token.starts_with(TOKEN_PREFIX) && token.len() < 128)
            .ok_or_else(refused)?;
        app.caller_of(&token_hash(token)).await?.ok_or_else(refused)
    }
}
