//! The sandbox's own controls, `/_sandbox/…`: its clock, planned faults, webhooks, settlement, forgotten keys.
//!
//! # What is deliberately absent
//! Controls of one object (a payment's second factor, a refund's end, an account) stand beside that object's routes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::call::{failed, json_answer, refused, shown};
use crate::sandbox::clock::{self, ClockError};
use crate::sandbox::exchange::SettlementOrder;
use crate::sandbox::faults::Rule;
use crate::sandbox::order::App;
use crate::sandbox::refusal::{Failure, Refusal};
use crate::sandbox::webhooks;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_sandbox/status", get(status))
        .route("/_sandbox/clock", post(move_clock))
        .route("/_sandbox/faults", delete(clear_faults).post(add_faults))
        .route("/_sandbox/webhooks/flush", post(flush_webhooks))
        .route("/_sandbox/settlement", post(set_settlement))
        .route("/_sandbox/keys/prune", post(prune_keys))
}

/// The body of `POST /_sandbox/clock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockOrder {
    now: DateTime<Utc>,
}

fn unprocessable(message: String) -> Response {
    refused(&Refusal::BadRequest { status: StatusCode::UNPROCESSABLE_ENTITY, message })
}

async fn current_status(app: &App) -> Response {
    let status = async {
        let mut connection = app.pool.acquire().await?;
        clock::status(&mut connection).await
    };
    shown(status.await.map_err(Failure::from))
}

async fn status(State(app): State<Shared>) -> Response {
    current_status(&app).await
}

async fn move_clock(State(app): State<Shared>, body: Bytes) -> Response {
    let order: ClockOrder = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return unprocessable(format!("The body is {{\"now\": \"RFC 3339\"}}: {error}.")),
    };
    // A task of its own, so that a client that hangs up does not leave the clock half-way.
    let task = tokio::spawn(async move {
        let moved = clock::move_to(&app.pool, &app.endpoints, order.now).await;
        (app, moved)
    });
    match task.await {
        Ok((app, Ok(()))) => current_status(&app).await,
        Ok((_, Err(error @ ClockError::Backwards { .. }))) => unprocessable(error.to_string()),
        Ok((_, Err(ClockError::Database(error)))) => failed(error.into()),
        Err(error) => {
            tracing::error!(%error, "sandbox: the clock could not be moved");
            refused(&Refusal::Internal)
        }
    }
}

async fn add_faults(State(app): State<Shared>, body: Bytes) -> Response {
    let rules: Vec<Rule> = match serde_json::from_slice(&body) {
        Ok(rules) => rules,
        Err(error) => return unprocessable(format!("The body is a list of rules: {error}.")),
    };
    let added = rules.len();
    match app.faults.add(rules) {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "added": added })),
        Err(error) => unprocessable(error.to_string()),
    }
}

async fn clear_faults(State(app): State<Shared>) -> Response {
    app.faults.clear();
    json_answer(StatusCode::OK, &json!({ "cleared": true }))
}

async fn flush_webhooks(State(app): State<Shared>) -> Response {
    let flushed = webhooks::flush(&app.pool, &app.endpoints).await;
    shown(flushed.map(|count| json!({ "flushed": count })).map_err(Failure::from))
}

async fn set_settlement(State(app): State<Shared>, body: Bytes) -> Response {
    let order: SettlementOrder = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return unprocessable(format!("The body is {{currency, settles_in, rate}}: {error}.")),
    };
    let set = async {
        let mut connection = app.pool.acquire().await?;
        order.carry_out(&mut connection).await
    };
    match set.await {
        Ok(Ok(value)) => json_answer(StatusCode::OK, &value),
        Ok(Err(message)) => unprocessable(message),
        Err(error) => failed(error.into()),
    }
}

/// The body of `POST /_sandbox/keys/prune`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PruneOrder {
    /// Keys at least that old, in seconds of the sandbox's clock. Stripe's are when they are a day old.
    #[serde(default = "a_day")]
    older_than_seconds: u32,
}

fn a_day() -> u32 {
    24 * 60 * 60
}

async fn prune_keys(State(app): State<Shared>, body: Bytes) -> Response {
    match serde_json::from_slice::<PruneOrder>(&body) {
        Ok(order) => {
            let pruned = app.prune_keys(TimeDelta::seconds(i64::from(order.older_than_seconds))).await;
            shown(pruned.map(|count| json!({ "pruned": count })).map_err(Failure::from))
        }
        Err(error) => unprocessable(format!("The body is {{\"older_than_seconds\": 86400}}: {error}.")),
    }
}
