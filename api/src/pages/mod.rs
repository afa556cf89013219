//! Pages for people: signing in and what belongs to it, and the mailbox. Rendered here, without a script.
//!
//! # Invariants
//! - Every form carries a token that is bound to a cookie, and is refused without it or when the browser says that another
//!   site sent it. Cookies are `HttpOnly` and `SameSite`; with TLS they are `Secure` and bound to the host.
//! - No page may be framed, loads anything from elsewhere, or tells other sites where its reader came from.
//! - A link that was mailed does nothing until a button is pressed.
//!
//! # What is deliberately absent
//! The marketplace's and the operator's screens.

mod account;
mod aliases;
mod cookies;
mod form;
mod layout;
mod mailbox;
mod password;
mod register;
mod sign_in;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;

/// Largest form.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// Nothing but our own style sheet, and forms that go to us.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The pages, and the seeds' names for routes of the API.
pub fn router() -> Router<App> {
    let set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/code", post(sign_in::code))
        .route("/sign-out", post(sign_in::out))
        .route("/register", get(register::show).post(register::submit))
        .route("/verify-email", get(register::link).post(register::confirm))
        .route("/forgotten-password", get(password::forgotten).post(password::ask))
        .route("/new-password", get(password::link).post(password::choose))
        .route("/account", get(account::show))
        .route("/account/second-factor", post(account::enrol))
        .route("/account/second-factor/confirm", post(account::confirm))
        .route("/account/second-factor/off", post(account::disable))
        .route("/mailbox", get(mailbox::show))
        .layer(
            ServiceBuilder::new()
                .layer(set(header::CONTENT_SECURITY_POLICY, POLICY))
                .layer(set(header::REFERRER_POLICY, "no-referrer"))
                .layer(set(header::X_FRAME_OPTIONS, "DENY"))
                .layer(set(header::CACHE_CONTROL, "no-store")),
        )
        .route("/pages.css", get(style))
        .merge(aliases::router())
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
}

async fn style() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("style.css"))
}
