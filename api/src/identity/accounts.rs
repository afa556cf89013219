//! Registering, confirming an address, choosing a new password.
//!
//! # Invariants
//! - Nobody learns from an answer, or from how long it takes, whether an address has an account.
//! - An account begins when its address is confirmed, with the password of the registration whose link was used: whoever
//!   registers with a stranger's address gets nothing, also when the stranger registers later.
//! - The party is in the log before the account is there.

use adapters::postgres::identity::account;
use adapters::postgres::identity::registration::{self, Registration};
use adapters::postgres::identity::session;
use adapters::postgres::identity::ticket::{self, Purpose as TicketFor};
use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::id::PartyId;
use domain::subject::PersonalField;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::Identity;
use super::authenticate::register_party;
use super::mails::Letter;
use super::password::NewPassword;
use super::seal::{MasterKey, new_secret, secret_hash};
use super::sign_in::Visitor;
use super::throttle::Counter;
use crate::app::App;
use crate::caller::Role;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// How long a registration waits for its confirmation.
const CONFIRM_WITHIN: TimeDelta = TimeDelta::hours(24);

/// How long a link to a new password is good.
const RESET_WITHIN: TimeDelta = TimeDelta::hours(1);

/// Longest address (RFC 5321).
const MAX_EMAIL: usize = 254;

/// Words for a side of the market, as the marketplaces have them, and what they are here.
pub const KINDS: &[(&str, Role)] = &[
    ("client", Role::Client),
    ("buyer", Role::Client),
    ("seeker", Role::Client),
    ("customer", Role::Client),
    ("payer", Role::Client),
    ("employer", Role::Client),
    ("freelancer", Role::Payee),
    ("provider", Role::Payee),
    ("seller", Role::Payee),
    ("payee", Role::Payee),
];

/// An address as it is compared: NFKC, lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// `validation_failed` when it cannot be one.
    pub fn new(text: &str) -> Result<Self, Problem> {
        let text: String = text.trim().nfkc().take(MAX_EMAIL.saturating_add(1)).collect::<String>().to_lowercase();
        let plain = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>,;\"()\\".contains(c));
        let parts = text.split_once('@').filter(|(name, host)| {
            !name.is_empty()
                && host.contains('.')
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
        if !plain || text.len() > MAX_EMAIL || parts.is_none() {
            return Err(Problem::field(ErrorCode::ValidationFailed, "/email", "must be an e-mail address"));
        }
        Ok(Self(text))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody registers with.
pub struct NewAccount<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The side of the market: one of [`KINDS`].
    pub kind: &'a str,
}

/// HMAC of an address under a key of the master key: finds it, and does not tell it.
pub(super) fn email_index(master: &MasterKey, address: &[u8]) -> [u8; 32] {
    master.mac("email index", address)
}

impl Identity {
    /// HMAC of an address, which finds its account.
    pub(super) fn email_index(&self, email: &Email) -> [u8; 32] {
        email_index(&self.master, email.as_str().as_bytes())
    }

    /// Registers somebody, who gets a link by mail. An address that has an account gets a mail that says so.
    ///
    /// # Errors
    /// `validation_failed`, `rate_limited`; the store's.
    pub async fn register(&self, new: NewAccount<'_>, visitor: &Visitor) -> Result<(), Problem> {
        self.require_built_in()?;
        let email = Email::new(new.email)?;
        let kind = KINDS.iter().find(|(word, _)| *word == new.kind);
        let (kind, role) = kind.ok_or_else(|| {
            let words: Vec<_> = KINDS.iter().map(|(word, _)| *word).collect();
            Problem::field(ErrorCode::ValidationFailed, "/role", format!("must be one of {}", words.join(", ")))
        })?;
        let password = NewPassword::new(new.password, email.as_str(), "/password")?;
        self.attempt(&Counter::MailsFrom(visitor.address)).await?;
        let registration = self.registration(&email, &password, kind, *role).await?;
        let (token, now) = (new_secret("ern_link_"), self.now());
        // Kept in any case, so that nothing takes longer in one; a link that nobody gets is used by nobody.
        registration::insert(&self.pool, &secret_hash(&token), &registration, now, now + CONFIRM_WITHIN).await?;
        let has_account = account::by_email(&self.pool, &registration.email_index).await?.is_some();
        // Beyond a few nobody is bothered further, and the answer is the same.
        if self.may_try(&Counter::MailsTo(&registration.email_index)).await? {
            let letter = if has_account { Letter::AlreadyRegistered } else { Letter::Confirm { token: &token } };
            self.mail(email.0, letter);
        }
        Ok(())
    }

    async fn registration(
        &self,
        email: &Email,
        password: &NewPassword,
        kind: &str,
        role: Role,
    ) -> Result<Registration, Problem> {
        let account_id = Uuid::now_v7();
        let (party_id, address) = (PartyId::from_uuid(account_id), email.as_str().as_bytes());
        Ok(Registration {
            account_id,
            email_index: self.email_index(email).to_vec(),
            email_sealed: self.vault.seal(party_id, PersonalField::Email, address, self.now()).await?,
            password_hash: self.hasher.hash(password).await?,
            role: role.word().to_owned(),
            kind: kind.to_owned(),
        })
    }

    /// Confirms the address of a registration by the link that was mailed: party and account are there afterwards.
    ///
    /// # Errors
    /// `link_not_valid` for a link that is used, too old, or none; the engine's.
    pub async fn confirm(&self, app: &App, token: &str) -> Result<PartyId, Problem> {
        self.require_built_in()?;
        let refused = || Problem::new(ErrorCode::LinkNotValid, "ask for a new mail");
        let (hash, now) = (secret_hash(token), self.now());
        let waiting = registration::find(&self.pool, &hash, now).await?.ok_or_else(refused)?;
        if account::by_email(&self.pool, &waiting.email_index).await?.is_some() {
            return Err(refused());
        }
        let party_id = PartyId::from_uuid(waiting.account_id);
        register_party(app, party_id).await?;
        if registration::confirm(&self.pool, &hash, party_id, now).await? { Ok(party_id) } else { Err(refused()) }
    }

    /// Makes an account for a member of staff. Returns the link to choose a password with, which is good for an hour;
    /// nothing when the address has an account.
    ///
    /// # Errors
    /// `validation_failed`; the store's.
    pub async fn invite_staff(&self, email: &str, role: StaffRole) -> Result<Option<String>, Problem> {
        self.require_built_in()?;
        let email = Email::new(email)?;
        // A password that nobody knows, until one is chosen.
        let password = NewPassword::new(&new_secret("w"), email.as_str(), "/password")?;
        let registration = self.registration(&email, &password, role.word(), Role::Staff(role)).await?;
        let (token, now) = (new_secret("ern_link_"), self.now());
        registration::insert(&self.pool, &secret_hash(&token), &registration, now, now + CONFIRM_WITHIN).await?;
        let party_id = PartyId::from_uuid(registration.account_id);
        let made = registration::confirm(&self.pool, &secret_hash(&token), party_id, now).await?;
        if !made {
            return Ok(None);
        }
        let link = new_secret("ern_link_");
        let (hash, until) = (secret_hash(&link), now + RESET_WITHIN);
        ticket::insert(&self.pool, &hash, registration.account_id, TicketFor::ResetPassword, now, until).await?;
        Ok(Some(format!("{}/new-password?token={link}", self.issuer())))
    }

    /// Mails a link to choose a new password, if the address has an account. The work is done after the answer, which
    /// therefore says nothing.
    ///
    /// # Errors
    /// `validation_failed`, `rate_limited`.
    pub async fn forgotten(&self, app: &App, email: &str, visitor: &Visitor) -> Result<(), Problem> {
        self.require_built_in()?;
        let email = Email::new(email)?;
        self.attempt(&Counter::MailsFrom(visitor.address)).await?;
        let app = app.clone();
        tokio::spawn(async move {
            if let Err(problem) = app.identity.mail_reset_if_known(email).await {
                tracing::error!(code = problem.code().code(), "a link to a new password could not be made");
            }
        });
        Ok(())
    }

    async fn mail_reset_if_known(&self, email: Email) -> Result<(), Problem> {
        let index = self.email_index(&email);
        if !self.may_try(&Counter::MailsTo(&index)).await? {
            return Ok(());
        }
        match account::by_email(&self.pool, &index).await? {
            Some(account) => self.mail_reset(email, account.account_id).await,
            None => Ok(()),
        }
    }

    async fn mail_reset(&self, email: Email, account_id: Uuid) -> Result<(), Problem> {
        let (token, now) = (new_secret("ern_link_"), self.now());
        let hash = secret_hash(&token);
        ticket::insert(&self.pool, &hash, account_id, TicketFor::ResetPassword, now, now + RESET_WITHIN).await?;
        self.mail(email.0, Letter::Reset { token: &token });
        Ok(())
    }

    /// Chooses a new password by the link that was mailed. Every session ends and every device is forgotten; the one that
    /// it is done with is known from now on, and its token is returned.
    ///
    /// # Errors
    /// `link_not_valid`, `validation_failed`; the store's.
    pub async fn choose_password(&self, token: &str, password: &str) -> Result<String, Problem> {
        self.require_built_in()?;
        let refused = || Problem::new(ErrorCode::LinkNotValid, "ask for a new mail");
        let (hash, now) = (secret_hash(token), self.now());
        let waiting = ticket::find(&self.pool, &hash, TicketFor::ResetPassword, now).await?.ok_or_else(refused)?;
        let account = account::by_id(&self.pool, waiting).await?.ok_or_else(refused)?;
        let email = self.email_of(&account).await?;
        let password = NewPassword::new(password, email.as_deref().unwrap_or_default(), "/password")?;
        let password_hash = self.hasher.hash(&password).await?;
        ticket::take(&self.pool, &hash, TicketFor::ResetPassword, now).await?.ok_or_else(refused)?;
        account::set_password(&self.pool, account.account_id, &password_hash, now).await?;
        session::revoke_all(&self.pool, account.account_id, "password_changed", now).await?;
        account::forget_devices(&self.pool, account.account_id).await?;
        self.disbelieve();
        let device = new_secret("ern_device_");
        account::know_device(&self.pool, account.account_id, &secret_hash(&device), now).await?;
        if let Some(email) = email {
            self.mail(email, Letter::PasswordChanged);
        }
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_case_and_form() {
        let of = |text: &str| Email::new(text).map(|email| email.0).ok();
        assert_eq!(of(" Ada@Example.COM "), Some("ada@example.com".to_owned()));
        assert_eq!(of("ａda@example.com"), of("ada@example.com"));
        for wrong in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a b@example.com",
            "ada@example",
            "a@b@c.de",
            "a@.de",
            "a\n@b.de",
            "x\"@b.de",
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        assert_eq!(of(&format!("{}@example.com", "a".repeat(300))), None);
    }
}
