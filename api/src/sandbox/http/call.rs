//! A request to the provider's API: read, carried out once per idempotency key, answered.
//!
//! # Invariants
//! - An order is carried out to its end, whether or not the client waits for it.
//! - Bodies, keys and secrets are never logged.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Shared;
use super::guard::RequestId;
use crate::sandbox::faults::RequestFault;
use crate::sandbox::form::Form;
use crate::sandbox::order::{Answer, App, Asker, Order};
use crate::sandbox::reads::{self, Resource};
use crate::sandbox::refusal::{Failure, Refusal};
use crate::sandbox::settlement::Twist;
use crate::sandbox::{lists, object};

const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Stripe's limit.
const KEY_MAX: usize = 255;

/// A request to the provider's API: its fields, and who asks.
pub(super) struct Call {
    pub(super) form: Form,
    pub(super) asker: Asker,
    hold: Option<Duration>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let method = request.method().clone();
        let uri = request.uri().clone();
        let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let hold = match request.extensions().get::<RequestFault>() {
            Some(RequestFault::HoldExecution(time)) => Some(*time),
            _ => None,
        };
        let twist = match request.extensions().get::<RequestFault>() {
            Some(RequestFault::Twist(twist)) => *twist,
            _ => Twist::default(),
        };
        let headers = request.headers();
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let account = text(&STRIPE_ACCOUNT);
        // A key on a GET has no effect.
        let idempotency_key = text(&IDEMPOTENCY_KEY).filter(|_| method == axum::http::Method::POST);
        let content_type = text(&header::CONTENT_TYPE);
        if idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_MAX) {
            let message = format!("Idempotency keys have 1 to {KEY_MAX} characters.");
            return Err(refused(&Refusal::BadRequest { status: StatusCode::BAD_REQUEST, message }));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let message = format!("The request body cannot be read: {}.", rejection.body_text());
            refused(&Refusal::BadRequest { status: rejection.status(), message })
        })?;
        if !body.is_empty() && !content_type.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            let message = "Invalid request content type: send application/x-www-form-urlencoded.".to_owned();
            return Err(refused(&Refusal::BadRequest { status: StatusCode::BAD_REQUEST, message }));
        }
        let form = Form::parse(uri.query().unwrap_or_default(), &body).map_err(|refusal| refused(&refusal))?;
        let fingerprint = form.fingerprint(method.as_str(), uri.path());
        Ok(Self { form, asker: Asker { account, request_id, idempotency_key, fingerprint, twist }, hold })
    }
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    answer(Answer::refused(refusal))
}

pub(super) fn answer(answer: Answer) -> Response {
    let mut response = (answer.status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response();
    if let Some(original) = answer.replay_of {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        if let Ok(original) = HeaderValue::from_str(&original) {
            response.headers_mut().insert("original-request", original);
        }
    }
    response
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response {
    answer(Answer { status, body: value.to_string(), replay_of: None })
}

pub(super) fn failed(failure: Failure) -> Response {
    match failure {
        Failure::Refused(refusal) => refused(&refusal),
        Failure::Database(error) => {
            tracing::error!(%error, "sandbox: a request could not be answered");
            refused(&Refusal::Internal)
        }
    }
}

/// Carries an order out, once per idempotency key.
pub(super) async fn order(app: Shared, call: Call, parse: impl FnOnce(&Form) -> Result<Order, Refusal>) -> Response {
    let Call { form, asker, hold } = call;
    let (order, expand) = match parse(&form).and_then(|order| Ok((order, form.expand()?))) {
        Ok(parsed) => parsed,
        Err(refusal) => return refused(&refusal),
    };
    let claim = match &asker.idempotency_key {
        None => None,
        Some(key) => match app.under_way.claim(asker.account.as_deref(), key) {
            Some(claim) => Some(claim),
            None => return refused(&Refusal::KeyInUse { key: key.clone() }),
        },
    };
    let key = asker.idempotency_key.clone();
    // A task of its own: a client that hangs up does not stop it half-way.
    let task = tokio::spawn(async move {
        if let Some(time) = hold {
            app.faults.wait(time).await;
        }
        let done = app.perform(&asker, order, &expand).await;
        drop(claim);
        done
    });
    let mut response = match task.await {
        Ok(done) => answer(done),
        Err(error) => {
            tracing::error!(%error, "sandbox: an order ended in a panic");
            refused(&Refusal::Internal)
        }
    };
    if let Some(key) = key.and_then(|key| HeaderValue::from_str(&key).ok()) {
        response.headers_mut().insert(IDEMPOTENCY_KEY, key);
    }
    response
}

/// Shows one object, or a list without an id.
pub(super) async fn show(app: &App, call: Call, resource: Resource, id: Option<String>) -> Result<Value, Failure> {
    let expand = call.form.expand()?;
    let mut connection = app.pool.acquire().await?;
    let (account, platform) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
    let mut value = match id {
        Some(id) => reads::one(&mut connection, (&account, platform), resource, &id).await?,
        None => lists::list(&mut connection, &account, resource, &call.form).await?,
    };
    object::expand(&mut connection, &mut value, &expand).await?;
    Ok(value)
}

pub(super) fn shown(value: Result<Value, Failure>) -> Response {
    value.map_or_else(failed, |value| json_answer(StatusCode::OK, &value))
}
