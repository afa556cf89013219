//! Which personal data is kept, and how it is read: addresses of accounts, and what staff says to banks.
//!
//! # Invariants
//! - Staff sees personal data of others only after an event says so ([`Identity::record_access`]).
//! - What was kept otherwise by an older version is sealed with the person's key when a server starts.

use adapters::postgres::document::{self, Visible};
use adapters::postgres::identity::account::{self, Account};
use adapters::postgres::statement::{self, SealedStatement};
use domain::aggregate::AggregateState;
use domain::chargeback::Statement;
use domain::command::Command;
use domain::funding;
use domain::id::{ChargebackId, FundingId, PartyId};
use domain::intent::Intent;
use domain::log::StoreError;
use domain::subject::{AccessPurpose, PersonalField, SubjectCommand};
use domain::view::Document;
use sqlx::PgPool;
use uuid::Uuid;

use super::Identity;
use super::seal::{Purpose, VERSION};
use super::vault::{Opened, Redacted, Vault, VaultError};
use crate::app::App;
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::engine::Request;
use crate::problem::Problem;

/// Accounts that are sealed anew in one go.
const AT_ONCE: u16 = 500;

/// A text of a person's, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonalText {
    /// The text.
    Clear(String),
    /// It was erased.
    Redacted(Redacted),
    /// It is under a master key that this server does not have.
    Unreadable,
}

impl PersonalText {
    /// The text, if there is one to be read.
    pub fn clear(self) -> Option<String> {
        match self {
            Self::Clear(text) => Some(text),
            Self::Redacted(_) | Self::Unreadable => None,
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::Erased(_) => Self::new(ErrorCode::SubjectErased, "the person's data was erased"),
            VaultError::OtherMaster | VaultError::Misplaced => {
                tracing::error!(%error, "personal data cannot be read");
                Self::new(ErrorCode::InternalError, "personal data cannot be read")
            }
        }
    }
}

impl Identity {
    /// The address of an account, as it is shown.
    ///
    /// # Errors
    /// The store's; `internal_error` when ciphertext does not belong where it is.
    pub async fn email_shown(&self, account: &Account) -> Result<PersonalText, Problem> {
        if account.email_sealed.first() == Some(&VERSION) {
            // From before persons had keys; sealed anew by whichever server starts next.
            let plain = self.master.open(Purpose::Email, &account.email_index, &account.email_sealed);
            let text = plain.and_then(|plain| String::from_utf8(plain).ok());
            return Ok(text.map_or(PersonalText::Unreadable, PersonalText::Clear));
        }
        match self.vault.open(account.party_id, PersonalField::Email, &account.email_sealed).await {
            Ok(Opened::Clear(plain)) => {
                String::from_utf8(plain).map(PersonalText::Clear).map_err(|_| VaultError::Misplaced.into())
            }
            Ok(Opened::Redacted(redacted)) => Ok(PersonalText::Redacted(redacted)),
            Err(VaultError::OtherMaster) => Ok(PersonalText::Unreadable),
            Err(error) => Err(error.into()),
        }
    }

    /// The address of an account, unless it was erased, or is under another master key.
    ///
    /// # Errors
    /// As [`Self::email_shown`].
    pub async fn email_of(&self, account: &Account) -> Result<Option<String>, Problem> {
        self.email_shown(account).await.map(PersonalText::clear)
    }

    /// Tells in the log that the caller, a member of staff, is about to read a person's data. Each time is told.
    ///
    /// # Errors
    /// `not_found` for who is no staff; the engine's. Nothing may be shown then.
    pub async fn record_access(
        &self,
        app: &App,
        caller: &Caller,
        subject_id: PartyId,
        purpose: AccessPurpose,
        field: PersonalField,
    ) -> Result<(), Problem> {
        let command = SubjectCommand::RecordAccess { subject_id, purpose, fields: vec![field] };
        let intent = Intent::Fact(Command::Subject(subject_id, command));
        let request =
            Request { auth: caller.auth_context(), ..Request::internal(intent, caller.actor(), Uuid::now_v7()) };
        app.engine.perform(request).await.map(|_| ()).map_err(Problem::from)
    }

    /// Seals with persons' own keys what an older version kept otherwise. Does nothing that is done already.
    pub(super) async fn seal_what_is_older(&self) -> Result<(), StoreError> {
        let now = self.now();
        let mut sealed = 0_u64;
        loop {
            let older = account::sealed_by(&self.pool, VERSION, AT_ONCE).await?;
            let mut moved = false;
            for account in &older {
                let plain = self.master.open(Purpose::Email, &account.email_index, &account.email_sealed);
                let Some(plain) = plain else { continue };
                match self.vault.seal(account.party_id, PersonalField::Email, &plain, now).await {
                    Ok(after) => {
                        moved |= account::reseal(&self.pool, account.account_id, &account.email_sealed, &after).await?;
                        sealed = sealed.saturating_add(1);
                    }
                    Err(VaultError::Store(error)) => return Err(error),
                    Err(error) => {
                        tracing::error!(%error, account_id = %account.account_id, "an address stays as it was");
                    }
                }
            }
            if !moved {
                break;
            }
        }
        for clear in statement::in_clear(&self.pool).await? {
            let id = clear.chargeback_id;
            let Some(client_id) = client_of_chargeback(&self.pool, id).await? else {
                tracing::error!(chargeback_id = %id, "what is said to a bank is about nobody, and stays as it was");
                continue;
            };
            let field = PersonalField::EvidenceStatement;
            match self.vault.seal(client_id, field, clear.body.as_bytes(), now).await {
                Ok(after) => {
                    let after = SealedStatement { subject_id: client_id, sealed: after };
                    statement::seal(&self.pool, &clear.digest, &after).await?;
                    sealed = sealed.saturating_add(1);
                }
                Err(VaultError::Store(error)) => return Err(error),
                Err(error) => tracing::error!(%error, chargeback_id = %id, "what is said to a bank stays as it was"),
            }
        }
        let orphans = statement::drop_orphans(&self.pool).await?;
        if sealed > 0 || orphans > 0 {
            tracing::info!(sealed, orphans, "personal data was sealed with persons' keys");
        }
        Ok(())
    }
}

/// What staff says to a bank, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It, and about whom.
    Clear(Box<Statement>, PartyId),
    /// The client's data was erased.
    Redacted(Redacted),
}

impl Vault {
    /// Keeps what staff says to a bank under the client's key.
    ///
    /// # Errors
    /// `subject_erased`; the store's.
    pub async fn keep_statement(
        &self,
        app: &App,
        chargeback_id: ChargebackId,
        client_id: PartyId,
        digest: &str,
        said: &Statement,
    ) -> Result<(), Problem> {
        let text = serde_json::to_vec(said).map_err(|_| defect())?;
        let sealed = self.seal(client_id, PersonalField::EvidenceStatement, &text, app.identity.now()).await?;
        statement::put(app.pool(), chargeback_id, digest, &SealedStatement { subject_id: client_id, sealed }).await?;
        Ok(())
    }

    /// What staff says to a bank, by its digest; `None` when it was taken away.
    ///
    /// # Errors
    /// [`VaultError`]; [`StoreError::Corrupt`] when it is not what was stored.
    pub async fn statement(&self, pool: &PgPool, digest: &str) -> Result<Option<Said>, VaultError> {
        let Some(SealedStatement { subject_id, sealed }) = statement::get(pool, digest).await? else { return Ok(None) };
        let text = match self.open(subject_id, PersonalField::EvidenceStatement, &sealed).await? {
            Opened::Clear(text) => text,
            Opened::Redacted(redacted) => return Ok(Some(Said::Redacted(redacted))),
        };
        let said: Statement = serde_json::from_slice(&text).map_err(|_| VaultError::Misplaced)?;
        if said.digest().ok().as_deref() != Some(digest) {
            return Err(VaultError::Misplaced);
        }
        Ok(Some(Said::Clear(Box::new(said), subject_id)))
    }
}

/// The client whose payment a chargeback is about.
async fn client_of_chargeback(pool: &PgPool, id: ChargebackId) -> Result<Option<PartyId>, StoreError> {
    let stored = document::one(pool, &domain::chargeback::stream(id), Visible::ToStaff).await?;
    let Some(Document::Aggregate(AggregateState::Chargeback(state))) = stored.map(|stored| stored.document) else {
        return Ok(None);
    };
    match state.case() {
        Some(case) => client_of_funding(pool, case.opening.charged.funding_id).await,
        None => Ok(None),
    }
}

/// The client who made a payment.
///
/// # Errors
/// [`StoreError`].
pub async fn client_of_funding(pool: &PgPool, id: FundingId) -> Result<Option<PartyId>, StoreError> {
    let stored = document::one(pool, &funding::stream(id), Visible::ToStaff).await?;
    Ok(match stored.map(|stored| stored.document) {
        Some(Document::Aggregate(AggregateState::Funding(funding))) => funding.order().map(|order| order.client_id),
        _ => None,
    })
}

fn defect() -> Problem {
    Problem::new(ErrorCode::InternalError, "personal data cannot be written")
}
