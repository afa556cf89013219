//! The sandbox over HTTP: Stripe's routes.
//!
//! # Invariants
//! - What a route takes and gives is parsed and made elsewhere (`intents`, `refunds`, `moves`, …): here is only which
//!   route it is.

mod accounts;
mod call;
mod connection;
mod controls;
mod disputes;
mod guard;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use self::call::{Call, order, refused, show, shown};
pub(super) use self::connection::serve;
use super::accounts::CreateAccount;
use super::intents::{AnswerChallenge, CancelIntent, ConfirmIntent, CreateIntent};
use super::moves::{CreatePayout, CreateTransfer};
use super::order::{App, Order};
use super::reads::{self, Resource};
use super::refunds::{CancelRefund, CreateRefund, TurnRefund};
use super::refusal::Refusal;
use super::topups::CreateTopUp;
use super::{lists, object};

/// Far more than fifty metadata values of 500 characters, percent-encoded, need.
const BODY_MAX: usize = 256 * 1024;

type Shared = Arc<App>;

/// The routes, with everything around them.
pub(super) fn router(app: &Shared) -> Router {
    Router::new()
        .route("/v1/payment_intents", get(list_intents).post(create_intent))
        .route("/v1/payment_intents/search", get(search_intents))
        .route("/v1/payment_intents/{id}", get(intent))
        .route("/v1/payment_intents/{id}/confirm", post(confirm_intent))
        .route("/v1/payment_intents/{id}/cancel", post(cancel_intent))
        .route("/v1/charges", get(list_charges))
        .route("/v1/charges/{id}", get(charge))
        .route("/v1/refunds", get(list_refunds).post(create_refund))
        .route("/v1/refunds/{id}", get(refund))
        .route("/v1/refunds/{id}/cancel", post(cancel_refund))
        .merge(disputes::routes())
        .route("/v1/balance", get(balance))
        .route("/v1/balance_transactions", get(list_balance_transactions))
        .route("/v1/balance_transactions/{id}", get(balance_transaction))
        .route("/v1/transfers", get(list_transfers).post(create_transfer))
        .route("/v1/transfers/{id}", get(transfer))
        .route("/v1/payouts", get(list_payouts).post(create_payout))
        .route("/v1/payouts/{id}", get(payout))
        .route("/v1/topups", get(list_top_ups).post(create_top_up))
        .route("/v1/topups/{id}", get(top_up))
        .route("/v1/accounts", get(accounts::list_accounts).post(create_account))
        .route("/v1/accounts/{id}", get(account).post(accounts::update_account))
        .merge(accounts::routes())
        .route("/v1/events", get(list_events))
        .route("/v1/events/{id}", get(event))
        .route("/_sandbox/payment_intents/{id}/authenticate", post(answer_challenge))
        .route("/_sandbox/refunds/{id}/turn", post(turn_refund))
        .merge(controls::routes())
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_route)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}

async fn create_intent(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreateIntent::parse(form).map(Order::CreateIntent)).await
}

async fn confirm_intent(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| ConfirmIntent::parse(id, form).map(Order::ConfirmIntent)).await
}

async fn cancel_intent(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| CancelIntent::parse(id, form).map(Order::CancelIntent)).await
}

async fn answer_challenge(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| AnswerChallenge::parse(id, form).map(Order::AnswerChallenge)).await
}

async fn create_refund(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreateRefund::parse(form).map(Order::CreateRefund)).await
}

async fn cancel_refund(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |_| Ok(Order::CancelRefund(CancelRefund::new(id)))).await
}

async fn turn_refund(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    order(app, call, |form| TurnRefund::parse(id, form).map(Order::TurnRefund)).await
}

async fn create_transfer(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreateTransfer::parse(form).map(Order::CreateTransfer)).await
}

async fn create_payout(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreatePayout::parse(form).map(Order::CreatePayout)).await
}

async fn create_top_up(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreateTopUp::parse(form).map(Order::CreateTopUp)).await
}

async fn list_top_ups(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::TopUp, None).await)
}

async fn top_up(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::TopUp, Some(id)).await)
}

async fn create_account(State(app): State<Shared>, call: Call) -> Response {
    order(app, call, |form| CreateAccount::parse(form).map(Order::CreateAccount)).await
}

async fn list_intents(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::PaymentIntent, None).await)
}

async fn search_intents(State(app): State<Shared>, call: Call) -> Response {
    let found = async {
        let expand = call.form.expand()?;
        let mut connection = app.pool.acquire().await?;
        let (account, _) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
        let mut found = lists::search_intents(&mut connection, &account, &call.form).await?;
        object::expand(&mut connection, &mut found, &expand).await?;
        Ok(found)
    };
    shown(found.await)
}

async fn intent(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::PaymentIntent, Some(id)).await)
}

async fn list_charges(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Charge, None).await)
}

async fn charge(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Charge, Some(id)).await)
}

async fn list_refunds(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Refund, None).await)
}

async fn refund(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Refund, Some(id)).await)
}

async fn list_balance_transactions(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::BalanceTransaction, None).await)
}

async fn balance_transaction(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::BalanceTransaction, Some(id)).await)
}

async fn list_transfers(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Transfer, None).await)
}

async fn transfer(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Transfer, Some(id)).await)
}

async fn list_payouts(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Payout, None).await)
}

async fn payout(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Payout, Some(id)).await)
}

async fn account(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Account, Some(id)).await)
}

async fn list_events(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Event, None).await)
}

async fn event(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    shown(show(&app, call, Resource::Event, Some(id)).await)
}

async fn balance(State(app): State<Shared>, call: Call) -> Response {
    let balance = async {
        let mut connection = app.pool.acquire().await?;
        let (account, _) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
        Ok(object::balance(&mut connection, &account).await?)
    };
    shown(balance.await)
}

async fn unknown_route(request: Request) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    refused(&Refusal::UnknownRoute { method, path })
}
