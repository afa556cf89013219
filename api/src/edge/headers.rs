//! What every answer tells browsers, whatever route it is of: nothing may frame it, guess its type, keep it, or learn from
//! where somebody came. Which other origins may read answers.
//!
//! # Invariants
//! - An answer that says something else itself keeps that: pages have a policy of their own, public keys may be kept.
//! - Other origins read nothing unless they are configured, each by its whole name; cookies are never taken from them.

use std::str::FromStr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Edge;
use super::rate_limit::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::app::{LOG_POSITION, MIN_LOG_POSITION, REPLAYED};

/// An answer of the API is data: as a page it may do nothing.
const OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The reference is the only page with scripts: its own. It styles its elements one by one, and asks our API.
const OF_REFERENCE: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// How long a browser may remember what another origin is allowed.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// An origin: scheme, host and port, without anything after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// No origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin: say scheme, host and, if it is not the usual one, port, such as https://app.example.com")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.to_owned());
        let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
        // As browsers write it, so that comparing texts is comparing origins.
        if !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != text {
            return Err(wrong());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| wrong())
    }
}

/// What lets these origins read answers; nothing when there are none.
pub(super) fn cors(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let asked = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static(MIN_LOG_POSITION),
        HeaderName::from_static("request-id"),
        HeaderName::from_static("traceparent"),
    ];
    let shown = [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        LOG_POSITION,
        REPLAYED,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        HeaderName::from_static("request-id"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(asked)
        .expose_headers(shown)
        .max_age(PREFLIGHT);
    Some(layer)
}

/// Adds to an answer what it does not say itself.
pub(crate) async fn protect(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let of_reference = path == "/docs" || path.starts_with("/docs/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, if of_reference { OF_REFERENCE } else { OF_DATA }),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Some(value) = edge.strict_transport_security() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in ["https://app.example.com", "http://localhost:3000", "https://[2001:db8::1]:8443"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for wrong in
            ["*", "null", "", "app.example.com", "https://app.example.com/", "https://app.example.com:443", "file:///x"]
        {
            assert_eq!(wrong.parse::<Origin>(), Err(OriginError(wrong.to_owned())), "{wrong}");
        }
        for wrong in ["https://App.example.com", "https://a@app.example.com", "https://*.example.com/x"] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_configuration_no_origin_is_let_in() {
        assert!(cors(&[]).is_none());
        assert!(cors(&["https://app.example.com".parse().unwrap()]).is_some());
    }
}
