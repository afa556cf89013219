//! What every request goes through before a route sees it, and every answer before it leaves.
//!
//! # Where things are
//! - [`connections`]: time and size of what is sent; [`rate_limit`], [`quota`]: how often; [`headers`]: what browsers are
//!   told, and which origins may read
//!
//! # Invariants
//! - Every refusal but those of HTTP itself (400 and 431 for what is no request) is a problem document.
//! - Who asks is told by the connection. `X-Forwarded-For` is believed from configured proxies only, from its end.
//!
//! # What is deliberately absent
//! Sizes and nesting of bodies: [`crate::extract`]. TLS: a proxy's.

pub mod connections;
pub mod headers;
pub mod quota;
pub mod rate_limit;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::CorsLayer;

use self::headers::Origin;
use self::rate_limit::{RateLimiter, RateLimits};
use crate::app::App;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// What requests and answers have to keep to.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// How often somebody may ask.
    pub rate_limits: RateLimits,
    /// Other origins whose scripts may read answers.
    pub cors_origins: Vec<Origin>,
    /// How long browsers are told to use TLS only, in seconds; not told when 0, or when we are not reached over TLS.
    pub hsts_seconds: u32,
    /// How long headers may take, and a connection may be idle.
    pub header_timeout: Duration,
    /// How long a body may pause.
    pub body_timeout: Duration,
    /// How long a request may take; moving a test clock far takes longest.
    pub request_timeout: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            rate_limits: RateLimits::default(),
            cors_origins: Vec::new(),
            hsts_seconds: 365 * 24 * 60 * 60,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(120),
        }
    }
}

impl EdgeConfig {
    /// The same times and sizes, and no limit of how often somebody may ask: for benchmarks and demonstrations, which are
    /// alone with their server.
    pub fn unlimited() -> Self {
        Self { rate_limits: RateLimits::off(), ..Self::default() }
    }
}

/// The edge at work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limiter: RateLimiter,
    cors: Option<CorsLayer>,
    strict_transport_security: Option<HeaderValue>,
    header_timeout: Duration,
    body_timeout: Duration,
    request_timeout: Duration,
}

impl Edge {
    /// An edge of this configuration, of a server that is reached over TLS or not.
    pub fn new(config: EdgeConfig, over_tls: bool) -> Self {
        let seconds = Some(config.hsts_seconds).filter(|seconds| over_tls && *seconds > 0);
        Self(Arc::new(Inner {
            limiter: RateLimiter::new(config.rate_limits),
            cors: headers::cors(&config.cors_origins),
            strict_transport_security: seconds
                .and_then(|seconds| HeaderValue::from_str(&format!("max-age={seconds}")).ok()),
            header_timeout: config.header_timeout,
            body_timeout: config.body_timeout,
            request_timeout: config.request_timeout,
        }))
    }

    fn limiter(&self) -> &RateLimiter {
        &self.0.limiter
    }

    fn strict_transport_security(&self) -> Option<&HeaderValue> {
        self.0.strict_transport_security.as_ref()
    }

    fn header_timeout(&self) -> Duration {
        self.0.header_timeout
    }

    fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    /// How long a body may pause.
    pub(crate) fn body_timeout(&self) -> Duration {
        self.0.body_timeout
    }

    /// What lets other origins read answers.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        self.0.cors.clone()
    }
}

/// The address of the network that a request comes from.
pub(crate) fn client_address(app: &App, parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    // A proxy may add a line of its own instead of adding to the client's: only all of them together are the way.
    let lines = parts.headers.get_all("x-forwarded-for").iter();
    // What cannot be read must not bring what stands before it to the end.
    let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("unreadable")).collect();
    app.identity.client_address(peer, Some(&lines.join(",")))
}

/// Answers when a request takes too long. It may have been carried out.
pub(crate) async fn in_time(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(edge.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(ErrorCode::Unavailable, "it took too long; send it again, with the same Idempotency-Key")
                .with_header(header::RETRY_AFTER, "1")
                .into_response()
        }
    }
}
