//! Routes about connected accounts, what comes back from them, and the sandbox's own controls of both.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

use super::Shared;
use super::call::{Call, answer, failed, order, refused, show, shown};
use crate::sandbox::accounts::{self, UpdateAccount};
use crate::sandbox::bank_accounts::{AddBankAccount, MakeToken};
use crate::sandbox::connected::ConnectedOrder as Ordered;
use crate::sandbox::form::Form;
use crate::sandbox::onboarding::{self, Adjust, Close, Deauthorize, MakeLink, Onboard, Restrict};
use crate::sandbox::order::{Asker, Order};
use crate::sandbox::payouts::{CancelPayout, TurnPayout};
use crate::sandbox::reads::{self, Resource};
use crate::sandbox::refusal::{Failure, Refusal};
use crate::sandbox::reversals::{self, ReverseTransfer};
use crate::sandbox::settlement::Twist;
use crate::sandbox::{clock, identifier};

/// Where the pages of account links are: whoever has such a link needs no key.
pub(super) const PAGES: &str = "/_sandbox/onboarding/";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/accounts/{id}/external_accounts", get(bank_accounts).post(add_bank_account))
        .route("/v1/account", get(own_account))
        .route("/v1/account_links", post(make_link))
        .route("/v1/tokens", post(make_token))
        .route("/v1/transfers/{id}/reversals", get(list_reversals).post(reverse_transfer))
        .route("/v1/payouts/{id}/cancel", post(cancel_payout))
        .route("/_sandbox/onboarding/{token}", get(page).post(click))
        .route("/_sandbox/accounts/{id}/onboard", post(onboard))
        .route("/_sandbox/accounts/{id}/restrict", post(restrict))
        .route("/_sandbox/accounts/{id}/deauthorize", post(deauthorize))
        .route("/_sandbox/accounts/{id}/close", post(close))
        .route("/_sandbox/accounts/{id}/adjust", post(adjust))
        .route("/_sandbox/payouts/{id}/turn", post(turn_payout))
}

async fn connected(app: Shared, call: Call, parse: impl FnOnce(&Form) -> Result<Ordered, Refusal>) -> Response {
    order(app, call, |form| parse(form).map(Order::Connected)).await
}

pub(super) async fn update_account(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| UpdateAccount::parse(id, form).map(Ordered::Update)).await
}

pub(super) async fn list_accounts(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::Account, None).await)
}

/// The account that asks: the platform's, without `Stripe-Account`.
async fn own_account(State(app): State<Shared>, call: Call) -> Response {
    let account = async {
        let mut connection = app.pool.acquire().await?;
        let (account, _) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
        Ok(accounts::shown(&mut connection, &account).await?)
    };
    shown(account.await)
}

async fn bank_accounts(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    let account = show(&app, call, Resource::Account, Some(id)).await;
    shown(account.map(|mut account| account["external_accounts"].take()))
}

async fn add_bank_account(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| AddBankAccount::parse(id, form).map(Ordered::AddBankAccount)).await
}

async fn make_link(State(app): State<Shared>, call: Call) -> Response {
    connected(app, call, |form| MakeLink::parse(form).map(Ordered::MakeLink)).await
}

async fn make_token(State(app): State<Shared>, call: Call) -> Response {
    connected(app, call, |form| MakeToken::parse(form).map(Ordered::MakeToken)).await
}

async fn reverse_transfer(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| ReverseTransfer::parse(id, form).map(Ordered::ReverseTransfer)).await
}

async fn list_reversals(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    let list = async {
        call.form.refuse(&["starting_after", "ending_before"])?;
        let mut connection = app.pool.acquire().await?;
        let (account, _) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
        reversals::list(&mut connection, &account, &id).await
    };
    shown(list.await)
}

async fn cancel_payout(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |_| Ok(Ordered::CancelPayout(CancelPayout(id)))).await
}

async fn turn_payout(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| TurnPayout::parse(id, form).map(Ordered::TurnPayout)).await
}

async fn onboard(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| Ok(Ordered::Onboard(Onboard::of_account(id, form)))).await
}

async fn restrict(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| Restrict::parse(id, form).map(Ordered::Restrict)).await
}

async fn deauthorize(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |_| Ok(Ordered::Deauthorize(Deauthorize(id)))).await
}

async fn close(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |_| Ok(Ordered::Close(Close(id)))).await
}

async fn adjust(State(app): State<Shared>, Path(id): Path<String>, call: Call) -> Response {
    connected(app, call, |form| Adjust::parse(id, form).map(Ordered::Adjust)).await
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sandbox onboarding</title>\
    <h1>Sandbox onboarding</h1><p>Nothing here is real: one click gives everything that the provider asks for.</p>\
    <form method=\"post\"><label>Bank account number <input name=\"account_number\" value=\"000123456789\"></label>\
    <button>Give everything</button></form></html>";

const GONE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sandbox onboarding</title>\
    <h1>This link was used, or has expired</h1><p>Ask for another one.</p></html>";

/// The page that an account link leads to.
async fn page(State(app): State<Shared>, Path(token): Path<String>) -> Response {
    let known = async {
        let mut connection = app.pool.acquire().await?;
        let now = clock::state(&mut connection).await?.now();
        onboarding::link(&mut connection, &token, now).await
    };
    match known.await {
        Ok(Some(_)) => Html(PAGE).into_response(),
        Ok(None) => (StatusCode::GONE, Html(GONE)).into_response(),
        Err(error) => failed(Failure::Database(error)),
    }
}

/// The click on it: everything is given, and the owner goes back to the platform.
async fn click(State(app): State<Shared>, Path(token): Path<String>, body: axum::body::Bytes) -> Response {
    let form = match Form::parse("", &body) {
        Ok(form) => form,
        Err(refusal) => return refused(&refusal),
    };
    let asker = Asker {
        account: None,
        request_id: identifier::new("req"),
        idempotency_key: None,
        fingerprint: Vec::new(),
        twist: Twist::default(),
    };
    let order = Order::Connected(Ordered::Onboard(Onboard::by_link(token, &form)));
    // A task of its own: a browser that goes away does not stop it half-way.
    let task = tokio::spawn(async move { Arc::clone(&app).perform(&asker, order, &[]).await });
    let answer = match task.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "sandbox: an onboarding ended in a panic");
            return refused(&Refusal::Internal);
        }
    };
    if answer.status == StatusCode::GONE {
        return (StatusCode::GONE, Html(GONE)).into_response();
    }
    let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match value["return_url"].as_str() {
        Some(url) => (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_owned())]).into_response(),
        None => self::answer(answer),
    }
}
