//! The seeds' names for routes of the issuer (`api.md` E.9). They do what the routes do that they stand for, and say so.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::App;
use crate::routes::auth;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/auth/register", post(auth::register))
        .route("/auth/login", post(auth::login))
        .route("/api/v1/auth/register", post(auth::register))
        .route("/api/v1/auth/login", post(auth::login))
        .route("/v1/.well-known/jwks.json", get(auth::jwks))
        .route("/v1/.well-known/openid-configuration", get(auth::discovery))
        .layer(from_fn(successor))
}

/// Names the route that an alias stands for (RFC 5829).
async fn successor(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let canonical = match path.rsplit('/').next() {
        Some("register") => "/v1/auth/register",
        Some("login") => "/v1/auth/login",
        Some("jwks.json") => "/.well-known/jwks.json",
        _ => "/.well-known/openid-configuration",
    };
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&format!("<{canonical}>; rel=\"successor-version\"")) {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}
