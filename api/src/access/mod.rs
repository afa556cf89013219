//! Who may do what: one table for every route, looked at before a handler is.
//!
//! # Where things are
//! - [`table`]: the table; [`rule`]: what a line of it can say
//! - here: the guard that every request passes
//!
//! # Invariants
//! - What is not in the table is refused, whoever asks: a new route is closed until somebody says who may use it.
//! - A handler has its caller from here and from nowhere else. Behind an open route there is none.
//! - Refused in this order: who shows no good token (401), has another role (403), lacks the scope (403
//!   `insufficient_scope`), has not shown lately who it is (401 `insufficient_user_authentication`).
//! - All that is said before anything is looked up, so that it tells nothing of what is there.
//!
//! # What is deliberately absent
//! Whose a thing is: the rules and the read models know, and answer 404 to others. Which side of a contract may do
//! something: the contract knows. The table says that they are asked, and a test over HTTP that they answer.

pub mod rule;
pub mod table;

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::rule::{Access, Grant, Strength};
use self::table::Found;
use crate::app::App;
use crate::caller::{Authentication, Caller, Identified, bearer_of};
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Lets a request through to its handler, with its caller, or refuses it.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(app: &App, parts: &mut Parts) -> Result<(), Problem> {
    let Some(path) = parts.extensions.get::<MatchedPath>().cloned() else {
        return Err(Problem::new(ErrorCode::NotFound, "there is no such route"));
    };
    // Whatever can be read can be asked about.
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    match table::find(method.as_str(), path.as_str()) {
        Found::Access(Access::Open(_)) => Ok(()),
        Found::Access(Access::Granted(grant)) => {
            let bearer = match parts.extensions.remove::<Identified>() {
                Some(Identified(bearer)) => bearer,
                None => bearer_of(&parts.headers, app).await?,
            };
            grant.check(app, &bearer.caller).await?;
            parts.extensions.insert(bearer);
            Ok(())
        }
        Found::OtherMethods(methods) => {
            Err(Problem::new(ErrorCode::MethodNotAllowed, ErrorCode::MethodNotAllowed.title())
                .with_header(header::ALLOW, methods.join(", ")))
        }
        Found::Nothing => {
            tracing::error!(%method, path = path.as_str(), "a route is in no line of the table of who may do what");
            Err(Problem::new(ErrorCode::Forbidden, "nobody may use this route"))
        }
    }
}

impl Grant {
    /// Refuses a caller who may not.
    ///
    /// # Errors
    /// `forbidden`, `insufficient_scope`, `insufficient_user_authentication`.
    async fn check(&self, app: &App, caller: &Caller) -> Result<(), Problem> {
        if !self.roles.has(caller.role) {
            return Err(Problem::new(
                ErrorCode::Forbidden,
                format!("needs the role {}", self.roles.words().join(" or ")),
            ));
        }
        if let Some(scope) = self.scope
            && !caller.scopes.has(scope)
        {
            return Err(scope_needed(scope));
        }
        match self.strength {
            // The threshold is the handler's to compare: it knows the amount.
            Strength::Token | Strength::RecentAbove => Ok(()),
            Strength::Person if matches!(caller.authentication, Authentication::ApiKey { .. }) => {
                Err(Problem::new(ErrorCode::Forbidden, "is for a person who signs in, not for an API key"))
            }
            Strength::Person => Ok(()),
            Strength::Recent => app.identity.require_recent_always(caller).await,
        }
    }
}

/// The answer to a token that was not made for this (RFC 6750, 3.1).
fn scope_needed(scope: &str) -> Problem {
    let challenge = format!(
        "Bearer realm=\"earnest\", error=\"insufficient_scope\", \
         error_description=\"the token was not made for this\", scope=\"{scope}\""
    );
    Problem::new(ErrorCode::InsufficientScope, format!("needs the scope {scope}"))
        .with("scope", scope)
        .with_header(header::WWW_AUTHENTICATE, challenge)
}
