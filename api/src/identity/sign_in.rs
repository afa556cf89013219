//! Signing in, staying signed in, signing out.
//!
//! # Invariants
//! - A wrong password, an unknown address and one that is not confirmed have one answer, after the same time.
//! - A refresh token is good once. Shown again, its session ends: two have it, and one of them should not.
//! - A session ends 30 days after it began, whatever happens.

use std::net::IpAddr;

use adapters::postgres::identity::account::{self, Account};
use adapters::postgres::identity::session::{self, Rotation, Session};
use adapters::postgres::identity::ticket::{self, Purpose as TicketFor};
use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Identity;
use super::access_token::{ACR_PASSWORD, ACR_SECOND_FACTOR, Claims, LIFETIME, sign};
use super::accounts::Email;
use super::password::ShownPassword;
use super::scope::ScopeSet;
use super::seal::{new_secret, secret_hash};
use super::throttle::Counter;
use crate::caller::Role;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// How long a session lasts at most.
const SESSION: TimeDelta = TimeDelta::days(30);

/// How long a device is known after its last sign-in.
const DEVICE: TimeDelta = TimeDelta::days(90);

/// How long a second factor may be thought about.
const SECOND_FACTOR_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// Who asks, as far as the network and an earlier visit tell.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The address that the request comes from.
    pub address: IpAddr,
    /// What was given to the device when its owner signed in before.
    pub device: Option<String>,
}

/// What somebody who is signed in gets (RFC 6749, 5.1).
#[derive(Clone, Serialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: String,
    /// Seconds that the access token is good.
    #[schema(example = 600)]
    pub expires_in: i64,
    /// For the next access token; good once.
    pub refresh_token: String,
    /// What the access token allows, separated by spaces.
    pub scope: String,
    /// Say it when you sign in again from this device: then others' wrong guesses cannot keep you out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// What becomes of a right password.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// Signed in.
    Done(Tokens),
    /// A code is needed; this ticket goes with it.
    SecondFactor(String),
}

/// The answer to what is wrong, whatever it is.
pub(super) fn wrong_credentials() -> Problem {
    Problem::new(ErrorCode::InvalidCredentials, "wrong address or password, or the address is not confirmed yet")
}

impl Identity {
    /// Signs somebody in by address and password, and by a code when the account has a second factor and one is given.
    ///
    /// # Errors
    /// `invalid_credentials`, `rate_limited`, `forbidden` for a suspended account; the store's.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        code: Option<&str>,
        visitor: &Visitor,
    ) -> Result<SignIn, Problem> {
        self.require_built_in()?;
        let email = Email::new(email).map_err(|_| wrong_credentials())?;
        let index = self.email_index(&email);
        let account = account::by_email(&self.pool, &index).await?;
        let device = self.known_device(account.as_ref(), visitor).await?;
        if let Some(device) = &device {
            self.attempt(&Counter::Device(device)).await?;
        } else {
            self.attempt(&Counter::Address(visitor.address)).await?;
            self.attempt(&Counter::Account(&index)).await?;
        }
        let shown = ShownPassword::new(password);
        let right = self.hasher.is(&shown, account.as_ref().map(|account| account.password_hash.as_str())).await?;
        let account = account.filter(|_| right).ok_or_else(wrong_credentials)?;
        if let Some(device) = &device {
            self.clear(&Counter::Device(device)).await?;
        } else {
            self.forgive(&Counter::Address(visitor.address)).await?;
            self.clear(&Counter::Account(&index)).await?;
        }
        if account.suspended {
            return Err(Problem::new(ErrorCode::Forbidden, "the account is suspended"));
        }
        let known = device.is_some();
        match (account.totp_confirmed, code) {
            (false, _) => Ok(SignIn::Done(self.begin(&account, &["pwd"], known).await?)),
            (true, Some(code)) => {
                let method = self.check_factor(&account, code).await?;
                Ok(SignIn::Done(self.begin(&account, &["pwd", method, "mfa"], known).await?))
            }
            (true, None) => {
                let (token, now) = (new_secret("ern_mfa_"), self.now());
                let until = now + SECOND_FACTOR_WITHIN;
                let hash = secret_hash(&token);
                ticket::insert(&self.pool, &hash, account.account_id, TicketFor::SecondFactor, now, until).await?;
                Ok(SignIn::SecondFactor(token))
            }
        }
    }

    /// Goes on after the password, with a code.
    ///
    /// # Errors
    /// `link_not_valid` when the ticket is too old or used, `invalid_code`, `rate_limited`; the store's.
    pub async fn second_factor(&self, ticket: &str, code: &str, visitor: &Visitor) -> Result<Tokens, Problem> {
        self.require_built_in()?;
        let refused = || Problem::new(ErrorCode::LinkNotValid, "sign in again");
        let (hash, now) = (secret_hash(ticket), self.now());
        let account_id = ticket::find(&self.pool, &hash, TicketFor::SecondFactor, now).await?.ok_or_else(refused)?;
        let account = account::by_id(&self.pool, account_id).await?.filter(|account| !account.suspended);
        let account = account.ok_or_else(refused)?;
        let method = self.check_factor(&account, code).await?;
        ticket::take(&self.pool, &hash, TicketFor::SecondFactor, now).await?.ok_or_else(refused)?;
        let known = self.known_device(Some(&account), visitor).await?.is_some();
        self.begin(&account, &["pwd", method, "mfa"], known).await
    }

    /// The next access token, and the next refresh token in place of the one that is shown.
    ///
    /// # Errors
    /// `invalid_credentials` when it is not good any more; then the person signs in again.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Problem> {
        self.require_built_in()?;
        let refused = || Problem::new(ErrorCode::InvalidCredentials, "sign in again");
        let (new, now) = (new_secret("ern_refresh_"), self.now());
        match session::rotate(&self.pool, &secret_hash(refresh_token), &secret_hash(&new), now).await? {
            Rotation::Rotated(session) => {
                let account = account::by_id(&self.pool, session.account_id).await?;
                let account = account.filter(|account| !account.suspended).ok_or_else(refused)?;
                self.tokens(&account, &session, new, None).await
            }
            Rotation::Reused(session_id) => {
                tracing::warn!(%session_id, "a refresh token was shown twice: the session is revoked");
                self.disbelieve();
                Err(refused())
            }
            Rotation::Unknown => Err(refused()),
        }
    }

    /// Ends the session of a refresh token. Does nothing when there is none, or it is over (RFC 7009, 2.2).
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_out(&self, refresh_token: &str) -> Result<(), Problem> {
        self.require_built_in()?;
        if let Some(session_id) = session::of_refresh_token(&self.pool, &secret_hash(refresh_token)).await? {
            self.end(session_id).await?;
        }
        Ok(())
    }

    /// Ends a session. Does nothing when it is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, session_id: Uuid) -> Result<(), Problem> {
        session::revoke(&self.pool, session_id, "signed_out", self.now()).await?;
        self.disbelieve();
        Ok(())
    }

    /// Shows again who one is, within a session: the next access token says so (RFC 9470).
    ///
    /// # Errors
    /// `invalid_credentials`, `invalid_code`, `mfa_required`, `rate_limited`; the store's.
    pub async fn again(
        &self,
        session_id: Uuid,
        password: &str,
        code: Option<&str>,
        visitor: &Visitor,
    ) -> Result<(String, i64), Problem> {
        let refused = || Problem::new(ErrorCode::InvalidCredentials, "sign in again");
        let live = session::find(&self.pool, session_id, self.now()).await?.ok_or_else(refused)?;
        let account = account::by_id(&self.pool, live.account_id).await?.ok_or_else(refused)?;
        let device = self.known_device(Some(&account), visitor).await?;
        let counter = device.as_ref().map_or(Counter::Account(&account.email_index), Counter::Device);
        self.attempt(&counter).await?;
        if !self.hasher.is(&ShownPassword::new(password), Some(&account.password_hash)).await? {
            return Err(wrong_credentials());
        }
        self.forgive(&counter).await?;
        let mut amr = vec!["pwd".to_owned()];
        if account.totp_confirmed {
            let code = code.ok_or_else(|| Problem::new(ErrorCode::MfaRequired, "say the code, too"))?;
            amr.extend([self.check_factor(&account, code).await?.to_owned(), "mfa".to_owned()]);
        }
        let session = session::authenticated(&self.pool, session_id, &amr, self.now()).await?.ok_or_else(refused)?;
        let (token, _) = self.access_token(&account, &session).await?;
        Ok((token, LIFETIME.num_seconds()))
    }

    /// The hash of the visitor's device, if the account's owner signed in from it before.
    async fn known_device(&self, account: Option<&Account>, visitor: &Visitor) -> Result<Option<[u8; 32]>, Problem> {
        let Some(hash) = visitor.device.as_deref().map(secret_hash) else { return Ok(None) };
        // Asked also when there is no account: that takes as long.
        let account_id = account.map_or(Uuid::nil(), |account| account.account_id);
        let known = account::knows_device(&self.pool, account_id, &hash, self.now() - DEVICE).await?;
        if let (true, Some(account)) = (known, account) {
            account::know_device(&self.pool, account.account_id, &hash, self.now()).await?;
        }
        Ok(Some(hash).filter(|_| known))
    }

    /// Begins a session. A device that was not known becomes it.
    async fn begin(&self, account: &Account, amr: &[&str], device_known: bool) -> Result<Tokens, Problem> {
        let (refresh, now) = (new_secret("ern_refresh_"), self.now());
        let session = Session {
            session_id: Uuid::now_v7(),
            account_id: account.account_id,
            expires_at: now + SESSION,
            auth_time: now,
            amr: amr.iter().map(|method| (*method).to_owned()).collect(),
        };
        session::begin(&self.pool, &session, &secret_hash(&refresh), now).await?;
        let device = if device_known { None } else { Some(new_secret("ern_device_")) };
        if let Some(device) = &device {
            account::know_device(&self.pool, account.account_id, &secret_hash(device), now).await?;
        }
        self.tokens(account, &session, refresh, device).await
    }

    async fn tokens(
        &self,
        account: &Account,
        session: &Session,
        refresh_token: String,
        device_token: Option<String>,
    ) -> Result<Tokens, Problem> {
        let (access_token, scope) = self.access_token(account, session).await?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_in: LIFETIME.num_seconds(),
            refresh_token,
            scope: scope.to_string(),
            device_token,
        })
    }

    async fn access_token(&self, account: &Account, session: &Session) -> Result<(String, ScopeSet), Problem> {
        let inside = |error: &dyn std::fmt::Display| Problem::new(ErrorCode::InternalError, error.to_string());
        let now = self.now();
        let role: Role = account.role.parse().map_err(|error: String| inside(&error))?;
        let scopes = ScopeSet::of_role(role);
        let second_factor = session.amr.iter().any(|method| method == "mfa");
        let claims = Claims {
            iss: self.expected.issuer.clone(),
            aud: self.expected.audience.clone(),
            sub: account.party_id.to_string(),
            client_id: "earnest".to_owned(),
            iat: now.timestamp(),
            nbf: now.timestamp(),
            exp: (now + LIFETIME).min(session.expires_at).timestamp(),
            jti: Uuid::now_v7(),
            sid: session.session_id,
            tenant: self.expected.tenant.clone(),
            roles: vec![role.word().to_owned()],
            scope: scopes.to_string(),
            auth_time: session.auth_time.timestamp(),
            amr: session.amr.clone(),
            acr: if second_factor { ACR_SECOND_FACTOR } else { ACR_PASSWORD }.to_owned(),
        };
        let (kid, key) = self.keys.signing(now).await?;
        let token = sign(&claims, kid, &key).map_err(|error| inside(&error))?;
        Ok((token, scopes))
    }
}
