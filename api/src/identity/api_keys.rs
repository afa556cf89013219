//! Keys of machines. Each acts for the party of whoever made it, in the same role, with some of the same scopes.
//!
//! # Invariants
//! - A key is 256 random bits, shown once; its SHA-256 is stored.
//! - A key can do no more than its maker could, nor than its role can now, and cannot make or end keys.
//! - Every key ends. One that is replaced is good beside the new one for a while, so that machines can be given the new one.
//! - What asks a person to show again who it is refuses a key, unless its maker has said otherwise when making it.
//!
//! # What is deliberately absent
//! Keys for somebody else: the operator makes tokens for machines of its own (`earnest token`).

use adapters::postgres::identity::api_key::{self, StoredApiKey};
use chrono::TimeDelta;
use domain::time::Timestamp;
use uuid::Uuid;

use super::Identity;
use super::access_token::TokenError;
use super::authenticate::{Bearer, token_refused};
use super::scope::{ScopeSet, WORDS};
use super::seal::{new_secret, secret_hash};
use super::shown::{Credential, Methods, Shown};
use crate::caller::{Authentication, Caller, Role};
use crate::code::ErrorCode;
use crate::problem::Problem;

domain::typed_id!(
    /// A key of a machine.
    ApiKeyId, "key"
);

/// What every key starts with, so that leaked ones are found by scanners.
pub const API_KEY_PREFIX: &str = "erk_";

/// Characters of a key that are kept in clear: the prefix and 32 bits, which tell a few keys apart and open nothing.
const SHOWN: usize = API_KEY_PREFIX.len() + 8;

/// Longest name, in characters.
const MAX_NAME: usize = 64;

/// Keys of one owner that are good at one time: more than anybody has machines, and a list that a person can read.
const MOST: i64 = 50;

/// Days that a key is good when its maker says nothing.
pub const DEFAULT_DAYS: u16 = 90;

/// Most days that a key is good.
pub const MAX_DAYS: u16 = 365;

/// Hours that a replaced key stays good when nothing is said.
pub const DEFAULT_OVERLAP_HOURS: u16 = 24;

/// Most hours that a replaced key stays good: a week.
pub const MAX_OVERLAP_HOURS: u16 = 168;

/// Scopes that no key has: with them a stolen one could outlive its end, or take over the account.
const NEVER: &[&str] = &["keys:manage", "users:self"];

/// A key to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewApiKey<'a> {
    /// What its maker calls it.
    pub name: &'a str,
    /// What it may do.
    pub scopes: &'a [String],
    /// Days that it is good.
    pub days: Option<u16>,
    /// Whether it may do what a person is asked for again to show who it is.
    pub step_up_exempt: bool,
}

/// A key that was made, with the only copy of it.
#[derive(Clone)]
pub struct MadeApiKey {
    /// What is kept of it.
    pub stored: StoredApiKey,
    /// The key itself.
    pub key: String,
}

/// What a key is good for at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Good.
    Active,
    /// Good for a while, beside the one that takes its place.
    Replaced,
    /// Over.
    Expired,
    /// Ended.
    Revoked,
}

impl KeyStatus {
    /// Of a key at `now`.
    pub fn of(key: &StoredApiKey, now: Timestamp) -> Self {
        if key.revoked_at.is_some() {
            Self::Revoked
        } else if key.expires_at <= now {
            Self::Expired
        } else if key.replaced_by.is_some() {
            Self::Replaced
        } else {
            Self::Active
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Identity {
    /// Makes a key for the caller. Asked twice, there are two.
    ///
    /// # Errors
    /// `validation_failed` with a pointer; `insufficient_scope` for a scope that the caller does not have;
    /// `api_key_wrong_state` when there are as many as one may have.
    pub async fn make_api_key(&self, caller: &Caller, new: NewApiKey<'_>) -> Result<MadeApiKey, Problem> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            let detail = format!("must have 1 to {MAX_NAME} characters that can be printed");
            return Err(Problem::field(ErrorCode::ValidationFailed, "/name", detail));
        }
        let scopes = scopes(caller, new.scopes)?;
        let days = within(new.days.unwrap_or(DEFAULT_DAYS), 1, MAX_DAYS, "/expires_in_days")?;
        let now = self.now();
        let made = fresh(StoredApiKey {
            key_id: Uuid::now_v7(),
            party_id: caller.party_id,
            role: caller.role.word().to_owned(),
            name: name.to_owned(),
            scopes: scopes.words().into_iter().map(str::to_owned).collect(),
            step_up_exempt: new.step_up_exempt,
            prefix: String::new(),
            created_at: now,
            expires_at: now + TimeDelta::days(i64::from(days)),
            last_used_at: None,
            replaced_by: None,
            revoked_at: None,
        });
        if api_key::insert(&self.pool, &made.stored, &secret_hash(&made.key), MOST, now).await? {
            return Ok(made);
        }
        let detail = format!("{MOST} keys are good already; revoke one that is not needed");
        Err(Problem::new(ErrorCode::ApiKeyWrongState, detail))
    }

    /// Puts a new key in the place of one, with the same name, scopes and length of life. The old one is good for
    /// `overlap_hours` more, at most until its own end.
    ///
    /// # Errors
    /// `not_found`; `validation_failed`; `insufficient_scope` when it can do more than the caller; `api_key_wrong_state` when
    /// it is over, or was replaced before.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        key_id: ApiKeyId,
        overlap_hours: Option<u16>,
    ) -> Result<MadeApiKey, Problem> {
        let hours = within(overlap_hours.unwrap_or(DEFAULT_OVERLAP_HOURS), 0, MAX_OVERLAP_HOURS, "/overlap_hours")?;
        let old = self.api_key(caller, key_id).await?;
        if !owns(caller, &old) {
            // An administrator sees it, and cannot have the new one.
            return Err(Problem::new(ErrorCode::Forbidden, "only its owner can have the new key"));
        }
        // A token with few scopes must not lead to a key with more.
        scopes(caller, &old.scopes)?;
        let now = self.now();
        let life = old.expires_at - old.created_at;
        let made = fresh(StoredApiKey {
            key_id: Uuid::now_v7(),
            created_at: now,
            expires_at: now + life,
            last_used_at: None,
            replaced_by: None,
            revoked_at: None,
            ..old.clone()
        });
        let until = now + TimeDelta::hours(i64::from(hours));
        if !api_key::replace(&self.pool, old.key_id, &made.stored, &secret_hash(&made.key), now, until).await? {
            let state = KeyStatus::of(&self.api_key(caller, key_id).await?, now).word();
            return Err(Problem::new(ErrorCode::ApiKeyWrongState, format!("a key that is {state} cannot be replaced"))
                .with("state", state));
        }
        self.disbelieve();
        Ok(made)
    }

    /// Ends a key at once here, and within seconds at other servers. Twice, nothing changes.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke_api_key(&self, caller: &Caller, key_id: ApiKeyId) -> Result<StoredApiKey, Problem> {
        let key = self.api_key(caller, key_id).await?;
        api_key::revoke(&self.pool, key.key_id, self.now()).await?;
        self.disbelieve();
        self.api_key(caller, key_id).await
    }

    /// A key of the caller; an administrator sees anybody's.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn api_key(&self, caller: &Caller, key_id: ApiKeyId) -> Result<StoredApiKey, Problem> {
        let key = api_key::find(&self.pool, key_id.as_uuid()).await?;
        let admin = caller.role == Role::Staff(domain::actor::StaffRole::Admin);
        key.filter(|key| admin || owns(caller, key)).ok_or_else(Problem::not_found)
    }

    /// The caller's keys, newest first, made before `before`.
    ///
    /// # Errors
    /// The store's.
    pub async fn api_keys(
        &self,
        caller: &Caller,
        before: Option<ApiKeyId>,
        limit: usize,
    ) -> Result<Vec<StoredApiKey>, Problem> {
        let before = before.map(|key_id| key_id.as_uuid());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(api_key::of_owner(&self.pool, caller.party_id, caller.role.word(), before, limit).await?)
    }

    /// Whose key it is, with its end in seconds of Unix time.
    pub(super) async fn machine(&self, key: &str) -> Result<(Bearer, i64), Problem> {
        let stored = api_key::used(&self.pool, &secret_hash(key), self.now()).await?;
        let stored = stored.ok_or_else(|| token_refused(TokenError::Signature))?;
        let role: Role = stored.role.parse().map_err(|error: String| Problem::new(ErrorCode::InternalError, error))?;
        let scopes = ScopeSet::parse(&stored.scopes.join(" ")).and(ScopeSet::of_role(role));
        let authentication = Authentication::ApiKey { step_up_exempt: stored.step_up_exempt };
        let shown = Shown { credential: Credential::ApiKey(stored.key_id), methods: Methods::NONE };
        let caller = Caller { party_id: stored.party_id, role, scopes, authentication, shown };
        Ok((Bearer { caller, session_id: None }, stored.expires_at.timestamp()))
    }
}

fn owns(caller: &Caller, key: &StoredApiKey) -> bool {
    key.party_id == caller.party_id && key.role == caller.role.word()
}

/// With a new key in it.
fn fresh(mut stored: StoredApiKey) -> MadeApiKey {
    let key = new_secret(API_KEY_PREFIX);
    stored.prefix = key.chars().take(SHOWN).collect();
    MadeApiKey { stored, key }
}

fn within(value: u16, least: u16, most: u16, pointer: &str) -> Result<u16, Problem> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::field(ErrorCode::ValidationFailed, pointer, format!("must be {least} to {most}")))
}

fn scopes(caller: &Caller, asked: &[String]) -> Result<ScopeSet, Problem> {
    if asked.is_empty() {
        return Err(Problem::field(ErrorCode::ValidationFailed, "/scopes", "say what the key may do"));
    }
    let mut scopes = ScopeSet::NONE;
    for (at, word) in asked.iter().enumerate() {
        let wrong = |detail: &str| Problem::field(ErrorCode::ValidationFailed, format!("/scopes/{at}"), detail);
        if !WORDS.contains(&word.as_str()) {
            return Err(wrong("is no scope"));
        }
        if NEVER.contains(&word.as_str()) {
            return Err(wrong("is not for keys"));
        }
        if !caller.scopes.has(word) {
            let detail = format!("{word} is not among your own scopes");
            return Err(Problem::field(ErrorCode::InsufficientScope, format!("/scopes/{at}"), detail));
        }
        scopes = scopes.with(word);
    }
    Ok(scopes)
}
