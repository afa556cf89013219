//! A command as it came in, and what every handler of one does with it.
//!
//! # Invariants
//! - Every command has a key. A command on a thing that two parties race about has the version that its caller has seen.
//! - Keys of different routes never meet: the route is the template that was matched, with its method.

use adapters::postgres::document;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::StatusCode;
use axum::response::Response;
use domain::intent::Intent;
use domain::log::StreamId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::visible;
use crate::app::{ApiCommand, App, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{Body, CommandHeaders};
use crate::problem::Problem;

/// A command: its body, and how it was asked. Goes last among a handler's arguments.
#[derive(Debug)]
pub struct Command<T> {
    /// What was sent.
    pub value: T,
    /// By which way.
    pub asked: Asked,
}

/// How a command was asked: headers, route and digest, without its content.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Key, version and trace.
    pub headers: CommandHeaders,
    /// The route's method and template, such as `POST /v1/contracts/{id}/pause`.
    pub route: String,
    /// Digest of the request.
    pub fingerprint: String,
}

impl<T: DeserializeOwned> FromRequest<App> for Command<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let headers = CommandHeaders::from_request_parts(&mut parts, app).await?;
        let template = MatchedPath::from_request_parts(&mut parts, app)
            .await
            .map_err(|_| Problem::new(ErrorCode::InternalError, "a handler without a route"))?;
        let route = format!("{} {}", parts.method, template.as_str());
        let Body { value, fingerprint } = Body::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self { value, asked: Asked { headers, route, fingerprint } })
    }
}

/// What a command that names a part of a thing leads to.
#[derive(Debug)]
pub enum Named {
    /// The stream of the thing.
    Stream(StreamId),
    /// The command was carried out before: its answer.
    Answered(Response),
}

impl Asked {
    /// The thing that has `value` at this place of its state now, among those that the caller may see. When the command
    /// was carried out before, that is over, and its first answer is given again.
    ///
    /// # Errors
    /// `not_found`, or another [`Problem`] to answer with.
    pub async fn find(
        &self,
        app: &App,
        caller: &Caller,
        aggregate_type: &str,
        place: &[&str],
        value: &str,
    ) -> Result<Named, Problem> {
        if let Some(before) = self.repeated(app, caller).await? {
            return Ok(Named::Answered(before));
        }
        app.catch_up().await?;
        if let Some(stream) = document::holding(app.pool(), aggregate_type, place, value, visible(caller)).await? {
            return Ok(Named::Stream(stream));
        }
        // The same request may have been carried out in between.
        self.repeated(app, caller).await?.map(Named::Answered).ok_or_else(Problem::not_found)
    }

    /// Changes a thing that two parties race about: 200 with its view. `If-Match` is about what the intent names.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn change<V: Serialize>(
        self,
        app: &App,
        caller: Caller,
        intent: Intent,
        view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
    ) -> Result<Response, Problem> {
        self.headers.require_key()?;
        self.headers.require_version()?;
        self.perform(app, caller, intent, None, view).await
    }

    /// Changes a thing that nobody races about: 200 with its view. A version that is given all the same is heeded.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn act<V: Serialize>(
        self,
        app: &App,
        caller: Caller,
        intent: Intent,
        view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
    ) -> Result<Response, Problem> {
        self.perform(app, caller, intent, None, view).await
    }

    /// Makes a thing: 201 with its view, and with `location`. What is new has no version.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn make<V: Serialize>(
        mut self,
        app: &App,
        caller: Caller,
        intent: Intent,
        location: String,
        view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
    ) -> Result<Response, Problem> {
        self.headers.if_match = None;
        self.perform(app, caller, intent, Some(location), view).await
    }

    /// Proposes a command that others have to approve: 202 with the request, and with its `location`. A version that is given
    /// is that of what the command is about.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn propose<V: Serialize>(
        self,
        app: &App,
        caller: Caller,
        intent: Intent,
        location: String,
        view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
    ) -> Result<Response, Problem> {
        let Self { headers, route, fingerprint } = self;
        let (status, location) = (StatusCode::ACCEPTED, Some(location));
        app.perform(ApiCommand { caller, headers, route, fingerprint, intent, status, location, view }).await
    }

    async fn perform<V: Serialize>(
        self,
        app: &App,
        caller: Caller,
        intent: Intent,
        location: Option<String>,
        view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
    ) -> Result<Response, Problem> {
        let Self { headers, route, fingerprint } = self;
        let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        app.perform(ApiCommand { caller, headers, route, fingerprint, intent, status, location, view }).await
    }

    /// The answer that this command had before, if it was carried out before.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn repeated(&self, app: &App, caller: &Caller) -> Result<Option<Response>, Problem> {
        app.repeated(caller, &self.headers, &self.route, &self.fingerprint).await
    }
}
