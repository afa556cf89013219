//! Test helpers and `Idempotency-Key`: a helper that is asked for twice with one key does it once.
//!
//! # Invariants
//! - As with commands: a repeat has the first answer, another request with the same key is refused, and what was refused is
//!   judged anew.
//!
//! # What is deliberately absent
//! A trace in the log: nothing of a helper is in it.

use adapters::postgres::helper_answer::{self, Claim};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::app::{App, REPLAYED, command_id};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{CommandHeaders, MAX_BODY_BYTES};
use crate::problem::Problem;

/// Where the helpers are.
const HELPERS: &str = "/v1/test_helpers/";

/// Goes around all routes, and does something about the helpers only.
pub async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.uri().path().starts_with(HELPERS) {
        return next.run(request).await;
    }
    perform(&app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn perform(app: &App, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, app).await?;
    let headers = CommandHeaders::from_request_parts(&mut parts, app).await?;
    let route = format!("POST {}", parts.uri.path());
    let id = command_id(&caller, &route, headers.require_key()?);
    let too_large =
        |_| Problem::new(ErrorCode::PayloadTooLarge, format!("a body may have at most {MAX_BODY_BYTES} bytes"));
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.map_err(too_large)?;
    // serde_json keeps object keys sorted, so that this is a canonical form.
    let canonical = serde_json::from_slice::<Value>(&bytes).map(|body| body.to_string().into_bytes());
    let digest = Sha256::new().chain_update(route.as_bytes()).chain_update(canonical.as_deref().unwrap_or(&bytes));
    let fingerprint = hex::encode(digest.finalize());
    match helper_answer::claim(app.pool(), id, &fingerprint).await? {
        Claim::Mine => {}
        Claim::UnderWay => {
            let title = ErrorCode::IdempotencyInProgress.title();
            return Err(Problem::new(ErrorCode::IdempotencyInProgress, title));
        }
        Claim::Answered { fingerprint: first, .. } if first != fingerprint => {
            return Err(Problem::new(ErrorCode::IdempotencyMismatch, "send a new key with a new request"));
        }
        Claim::Answered { status, body, .. } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok((status, [kind, (REPLAYED, HeaderValue::from_static("true"))], body).into_response());
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if !response.status().is_success() {
        helper_answer::release(app.pool(), id).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let answered = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    helper_answer::keep(app.pool(), id, parts.status.as_u16(), &String::from_utf8_lossy(&answered)).await?;
    Ok(Response::from_parts(parts, Body::from(answered)))
}
