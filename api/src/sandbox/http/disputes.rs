//! Routes of disputes and early warnings of fraud, and what makes a bank act.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::Shared;
use super::call::{Call, order, show, shown};
use crate::sandbox::disputes::DisputeOrder;
use crate::sandbox::order::Order;
use crate::sandbox::reads::Resource;

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/disputes", get(list))
        .route("/v1/disputes/{id}", get(one).post(update))
        .route("/v1/disputes/{id}/close", post(close))
        .route("/v1/radar/early_fraud_warnings", get(list_warnings))
        .route("/v1/radar/early_fraud_warnings/{id}", get(warning))
        .route("/_sandbox/disputes", post(open))
        .route("/_sandbox/disputes/{id}/turn", post(turn))
        .route("/_sandbox/early_fraud_warnings", post(warn))
        .route("/_sandbox/payment_intents/{id}/return", post(return_payment))
}

async fn list(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Dispute, None).await)
}

async fn one(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Dispute, Some(id)).await)
}

async fn list_warnings(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::FraudWarning, None).await)
}

async fn warning(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::FraudWarning, Some(id)).await)
}

async fn update(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| DisputeOrder::update(id, form).map(Order::Dispute)).await
}

async fn close(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |_| Ok(Order::Dispute(DisputeOrder::Close { id }))).await
}

async fn open(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| DisputeOrder::open(form).map(Order::Dispute)).await
}

async fn turn(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| DisputeOrder::turn(id, form).map(Order::Dispute)).await
}

async fn warn(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| DisputeOrder::warn(form).map(Order::Dispute)).await
}

async fn return_payment(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| Ok(Order::Dispute(DisputeOrder::return_payment(id, form)))).await
}
