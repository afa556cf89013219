//! The sandbox over HTTP: routes, authentication, faults, and connections that may be closed without an answer.
//!
//! # Invariants
//! - Every request is authenticated before anything is looked up; keys are compared in constant time. The page of an
//!   account link is reached by whoever has the link.
//! - Every answer has a `Request-Id`. Bodies, keys and secrets are never logged.

mod accounts;
mod disputes;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use super::accounts::CreateAccount;
use super::clock::{self, ClockError};
use super::exchange::SettlementOrder;
use super::faults::{RequestFault, Rule};
use super::form::Form;
use super::identifier;
use super::intents::{AnswerChallenge, CancelIntent, ConfirmIntent, CreateIntent};
use super::moves::{CreatePayout, CreateTransfer};
use super::object::{self, API_VERSION};
use super::order::{Answer, App, Asker, Order};
use super::reads::{self, Resource};
use super::refunds::{CancelRefund, CreateRefund, TurnRefund};
use super::refusal::{Failure, Refusal};
use super::settlement::Twist;
use super::topups::CreateTopUp;
use super::webhooks::{self, stopped};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Far more than fifty metadata values of 500 characters, percent-encoded, need.
const BODY_MAX: usize = 256 * 1024;
/// Stripe's limit.
const KEY_MAX: usize = 255;
/// How long open requests may take when the sandbox shuts down. Orders are carried out to their end regardless.
const GRACE: Duration = Duration::from_secs(5);
/// A client that sends half a request, or none, keeps a connection for this long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

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
        .route("/_sandbox/status", get(status))
        .route("/_sandbox/clock", post(move_clock))
        .route("/_sandbox/faults", delete(clear_faults).post(add_faults))
        .route("/_sandbox/payment_intents/{id}/authenticate", post(answer_challenge))
        .route("/_sandbox/refunds/{id}/turn", post(turn_refund))
        .route("/_sandbox/webhooks/flush", post(flush_webhooks))
        .route("/_sandbox/settlement", post(set_settlement))
        .route("/_sandbox/keys/prune", post(prune_keys))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_route)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
        .with_state(Arc::clone(app))
}

/// The id of the request, made by [`guard`].
#[derive(Debug, Clone)]
struct RequestId(String);

/// On an answer: it is not to be sent.
#[derive(Debug, Clone, Copy)]
struct HangUp;

/// Authenticates, names the request, and does what planned faults say.
async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let request_id = identifier::new("req");
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let page = request.uri().path().starts_with(accounts::PAGES);
    let mut response = if !page && let Err(refusal) = authenticate(&app, request.headers()) {
        refused(&refusal)
    } else {
        let path = request.uri().path();
        let provider = path.starts_with("/v1/");
        let method = request.method().as_str();
        let fault = if provider { app.faults.take_request(method, path) } else { None };
        match fault {
            Some(RequestFault::Error500) => refused(&Refusal::PlannedFailure),
            Some(RequestFault::RateLimited(after)) => {
                let mut response = refused(&Refusal::RateLimited);
                if let Some(seconds) = after {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Some(RequestFault::KeyRefused) => refused(&Refusal::WrongKey),
            Some(RequestFault::BalanceInsufficient) => {
                refused(&Refusal::BalanceInsufficient { currency: "own".to_owned(), noun: "request" })
            }
            Some(fault @ (RequestFault::HoldExecution(_) | RequestFault::Twist(_))) => {
                request.extensions_mut().insert(fault);
                next.run(request).await
            }
            Some(RequestFault::HoldResponse(time)) => {
                let response = next.run(request).await;
                app.faults.wait(time).await;
                response
            }
            Some(RequestFault::TimeoutAfterSuccess) => {
                let mut response = next.run(request).await;
                response.extensions_mut().insert(HangUp);
                response
            }
            None => next.run(request).await,
        }
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    response
}

/// `Bearer sk_test_…`, or Basic with the key as user name.
fn authenticate(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoKey)?.to_str().map_err(|_| Refusal::WrongKey)?;
    let (scheme, rest) = value.split_once(' ').ok_or(Refusal::NoKey)?;
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().as_bytes().to_vec()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let mut decoded = base64(rest.trim()).ok_or(Refusal::WrongKey)?;
        if let Some(colon) = decoded.iter().position(|byte| *byte == b':') {
            decoded.truncate(colon);
        }
        decoded
    } else {
        return Err(Refusal::NoKey);
    };
    let digest: [u8; 32] = Sha256::digest(&key).into();
    if bool::from(digest.ct_eq(&app.secret_digest)) { Ok(()) } else { Err(Refusal::WrongKey) }
}

/// Standard base64 (RFC 4648 §4), with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// A request to the provider's API: its fields, and who asks.
struct Call {
    form: Form,
    asker: Asker,
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

fn refused(refusal: &Refusal) -> Response {
    answer(Answer::refused(refusal))
}

fn answer(answer: Answer) -> Response {
    let mut response = (answer.status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response();
    if let Some(original) = answer.replay_of {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        if let Ok(original) = HeaderValue::from_str(&original) {
            response.headers_mut().insert("original-request", original);
        }
    }
    response
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    answer(Answer { status, body: value.to_string(), replay_of: None })
}

fn failed(failure: Failure) -> Response {
    match failure {
        Failure::Refused(refusal) => refused(&refusal),
        Failure::Database(error) => {
            tracing::error!(%error, "sandbox: a request could not be answered");
            refused(&Refusal::Internal)
        }
    }
}

/// Carries an order out, once per idempotency key.
async fn order(app: Shared, call: Call, parse: impl FnOnce(&Form) -> Result<Order, Refusal>) -> Response {
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

/// Shows one object, or a list without an id.
async fn show(app: &App, call: Call, resource: Resource, id: Option<String>) -> Result<Value, Failure> {
    let expand = call.form.expand()?;
    let mut connection = app.pool.acquire().await?;
    let (account, platform) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
    let mut value = match id {
        Some(id) => reads::one(&mut connection, (&account, platform), resource, &id).await?,
        None => reads::list(&mut connection, &account, resource, &call.form).await?,
    };
    object::expand(&mut connection, &mut value, &expand).await?;
    Ok(value)
}

fn shown(value: Result<Value, Failure>) -> Response {
    value.map_or_else(failed, |value| json_answer(StatusCode::OK, &value))
}

async fn list_intents(State(app): State<Shared>, call: Call) -> Response {
    shown(show(&app, call, Resource::PaymentIntent, None).await)
}

async fn search_intents(State(app): State<Shared>, call: Call) -> Response {
    let found = async {
        let expand = call.form.expand()?;
        let mut connection = app.pool.acquire().await?;
        let (account, _) = reads::acting_account(&mut connection, call.asker.account.as_deref()).await?;
        let mut found = reads::search_intents(&mut connection, &account, &call.form).await?;
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

/// Ends a connection without an answer.
#[derive(Debug)]
struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("closed without an answer: a fault that was asked for")
    }
}

impl std::error::Error for HungUp {}

/// Serves until told to stop, then lets open requests end.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // The connection is gone, or there are no file descriptors left; the latter passes.
                    tracing::warn!(%error, "sandbox: a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Small answers must not wait for the client's acknowledgement; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let router = router.clone();
            async move {
                let response =
                    router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never: Infallible| match never {});
                if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "sandbox: a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("sandbox: some connections did not end in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let decoded = |text: &str| base64(text).and_then(|bytes| String::from_utf8(bytes).ok());
        assert_eq!(decoded("Zm9vYmFy").as_deref(), Some("foobar"));
        assert_eq!(decoded("Zm9vYmE=").as_deref(), Some("fooba"));
        assert_eq!(decoded("Zm9vYg==").as_deref(), Some("foob"));
        assert_eq!(decoded("").as_deref(), Some(""));
        assert_eq!(decoded("Zm9v!"), None);
    }
}
