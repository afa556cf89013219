//! The session of a person who uses the pages: a cookie that stands for it.

use adapters::postgres::identity::account::{self, Account};
use adapters::postgres::identity::session;
use uuid::Uuid;

use super::Identity;
use super::scope::ScopeSet;
use super::seal::{new_secret, secret_hash};
use super::shown::{Credential, Methods, Shown};
use super::sign_in::Tokens;
use crate::caller::{Authentication, Caller, Role};
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Somebody who is signed in to the pages.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account.
    pub account: Account,
    /// The same as a caller.
    pub caller: Caller,
    /// The session.
    pub session_id: Uuid,
}

impl Identity {
    /// A secret for the cookie that stands for the session of these tokens.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn page_secret(&self, tokens: &Tokens) -> Result<String, Problem> {
        let secret = new_secret("ern_page_");
        if let Some(session_id) = session::of_refresh_token(&self.pool, &secret_hash(&tokens.refresh_token)).await? {
            session::attach(&self.pool, session_id, &secret_hash(&secret), self.now()).await?;
        }
        Ok(secret)
    }

    /// Who shows this cookie, if the session lives.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn person(&self, secret: &str) -> Result<Option<Person>, Problem> {
        if !secret.starts_with("ern_page_") {
            return Ok(None);
        }
        let Some(session_id) = session::of_refresh_token(&self.pool, &secret_hash(secret)).await? else {
            return Ok(None);
        };
        let Some(session) = session::find(&self.pool, session_id, self.now()).await? else { return Ok(None) };
        let Some(account) = account::by_id(&self.pool, session.account_id).await? else { return Ok(None) };
        let role: Role = account.role.parse().map_err(|error: String| Problem::new(ErrorCode::InternalError, error))?;
        let authentication = Authentication::Signed {
            auth_time: Some(session.auth_time.timestamp()),
            second_factor: session.amr.iter().any(|method| method == "mfa"),
        };
        let methods = Methods::of(session.amr.iter().map(String::as_str));
        let shown = Shown { credential: Credential::Session(session_id), methods };
        let scopes = ScopeSet::of_role(role);
        let caller = Caller { party_id: account.party_id, role, scopes, authentication, shown };
        Ok(Some(Person { account, caller, session_id }))
    }
}
