//! Limits of requests: per address of the network, per key, per party. What is left is told in `RateLimit` and
//! `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11, where `t` tells when one more may come), a refusal in
//! `Retry-After`, too.
//!
//! # Invariants
//! - The address is counted first: a flood of bad tokens costs the check of few of them. A token counts only when it is
//!   good, so that nobody uses up another one's quota or our memory with tokens that they make up.
//! - A key is a session of the built-in issuer, however many tokens it gets; otherwise what is shown as a bearer, whether a
//!   machine's key or a token. A party is counted over all its keys: making more of them brings nothing.
//! - What the provider reports ([`WEBHOOKS`]) and what tells whether we live ([`HEALTH`]) is not limited: it must not be
//!   lost because of others. Of a notice that is not signed nothing is kept.
//!
//! # What is deliberately absent
//! Limits of attempts to sign in: [`crate::identity::throttle`]. Limits across servers: each counts for itself.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::id::PartyId;
use uuid::Uuid;

use super::quota::{Buckets, Quota, Verdict};
use super::{Edge, client_address};
use crate::app::App;
use crate::caller::{Identified, bearer_of};
use crate::code::ErrorCode;
use crate::identity::throttle::network;
use crate::problem::Problem;

/// What is left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What is allowed.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Under this path the provider reports.
pub const WEBHOOKS: &str = "/v1/psp/webhooks/";
/// These tell whether we live.
pub const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Whether requests for this path are counted.
pub fn is_limited(path: &str) -> bool {
    !path.starts_with(WEBHOOKS) && !HEALTH.contains(&path)
}

/// How much is allowed; what is absent is not limited.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// Per session or token.
    pub key: Option<Quota>,
    /// Per party, over all its keys.
    pub party: Option<Quota>,
    /// Per address of the network, IPv6 by its /64: an office, or a marketplace's server, shares one.
    pub address: Option<Quota>,
    /// What tells the time.
    pub clock: LimitClock,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            key: Quota::new(1_800, 60).ok(),
            party: Quota::new(3_000, 60).ok(),
            address: Quota::new(12_000, 60).ok(),
            clock: LimitClock::default(),
        }
    }
}

impl RateLimits {
    /// Nothing is limited.
    pub fn off() -> Self {
        Self { key: None, party: None, address: None, clock: LimitClock::default() }
    }
}

/// Tells how much time has passed.
#[derive(Debug, Clone)]
pub enum LimitClock {
    /// Since this instant.
    Real(Instant),
    /// So many milliseconds. For tests.
    Manual(Arc<AtomicU64>),
}

impl Default for LimitClock {
    fn default() -> Self {
        Self::Real(Instant::now())
    }
}

impl LimitClock {
    fn now(&self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed(),
            Self::Manual(millis) => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Address,
    Key,
    Party,
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Key => "key",
            Self::Party => "party",
        }
    }
}

/// Who has used how much.
#[derive(Debug)]
pub(super) struct RateLimiter {
    key: Option<Buckets>,
    party: Option<Buckets>,
    address: Option<Buckets>,
    clock: LimitClock,
}

/// Whose key it is that is counted.
#[derive(Hash)]
enum Key<'a> {
    Session(Uuid),
    Token(&'a [u8]),
}

impl RateLimiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        let buckets = |quota: Option<Quota>| quota.map(Buckets::new);
        Self {
            key: buckets(limits.key),
            party: buckets(limits.party),
            address: buckets(limits.address),
            clock: limits.clock,
        }
    }

    fn take_address(&self, standing: &mut Standing, address: IpAddr) -> Result<(), Problem> {
        let Some(buckets) = &self.address else { return Ok(()) };
        standing.add(Policy::Address, buckets.quota(), buckets.take(network(address), self.clock.now()))
    }

    fn take_bearer(&self, standing: &mut Standing, key: &Key<'_>, party: PartyId) -> Result<(), Problem> {
        if let Some(buckets) = &self.key {
            standing.add(Policy::Key, buckets.quota(), buckets.take(key, self.clock.now()))?;
        }
        if let Some(buckets) = &self.party {
            standing.add(Policy::Party, buckets.quota(), buckets.take(party, self.clock.now()))?;
        }
        Ok(())
    }

    fn counts_bearers(&self) -> bool {
        self.key.is_some() || self.party.is_some()
    }
}

/// How a request stands with the limits that it is counted under.
#[derive(Debug, Default)]
struct Standing {
    counted: Vec<(Policy, Quota, Verdict)>,
}

impl Standing {
    /// Adds what a limit says.
    ///
    /// # Errors
    /// `rate_limited`, with `Retry-After`, when it refuses.
    fn add(&mut self, policy: Policy, quota: Quota, verdict: Verdict) -> Result<(), Problem> {
        self.counted.push((policy, quota, verdict));
        if verdict.allowed {
            return Ok(());
        }
        let (name, requests, seconds) = (policy.name(), quota.requests(), quota.seconds());
        metrics::counter!("rate_limited_total", "policy" => name).increment(1);
        let detail = format!("at most {requests} requests in {seconds} seconds per {name}");
        Err(Problem::new(ErrorCode::RateLimited, detail)
            .with("policy", name)
            .with_header(header::RETRY_AFTER, verdict.seconds.to_string()))
    }

    /// Tells the limits that were looked at, and of the one that is nearest to its end what is left.
    fn tell(&self, headers: &mut HeaderMap) {
        let Some((policy, _, verdict)) = self.counted.iter().min_by_key(|(_, _, verdict)| verdict.remaining) else {
            return;
        };
        let mut policies = String::new();
        for (policy, quota, _) in &self.counted {
            let comma = if policies.is_empty() { "" } else { ", " };
            // Writing to a text does not fail.
            let _ = write!(policies, "{comma}\"{}\";q={};w={}", policy.name(), quota.requests(), quota.seconds());
        }
        let left = format!("\"{}\";r={};t={}", policy.name(), verdict.remaining, verdict.seconds);
        for (name, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Lets a request pass if its address, its key and its party have some of their quotas left.
pub(crate) async fn limit(State((app, edge)): State<(App, Edge)>, request: Request, next: Next) -> Response {
    if !is_limited(request.uri().path()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let mut standing = Standing::default();
    let limiter = edge.limiter();
    let mut counted = limiter.take_address(&mut standing, client_address(&app, &parts));
    let looks_at_token = counted.is_ok() && limiter.counts_bearers();
    let authorization = parts.headers.get(header::AUTHORIZATION).filter(|_| looks_at_token).cloned();
    if let Some(authorization) = authorization
        && let Ok(bearer) = bearer_of(&parts.headers, &app).await
    {
        // So that the token is checked once.
        parts.extensions.insert(Identified(bearer));
        // Without the scheme: it may be written in many ways.
        let token = authorization.as_bytes().trim_ascii().rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let key = bearer.session_id.map_or(Key::Token(token), Key::Session);
        counted = limiter.take_bearer(&mut standing, &key, bearer.caller.party_id);
    }
    let mut response = match counted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    };
    standing.tell(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_structured_fields() {
        let quota = |requests| Quota::new(requests, 60).unwrap();
        let verdict = |remaining| Verdict { allowed: true, remaining, seconds: 17 };
        let mut standing = Standing::default();
        standing.add(Policy::Address, quota(300), verdict(250)).unwrap();
        standing.add(Policy::Key, quota(100), verdict(42)).unwrap();
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"address\";q=300;w=60, \"key\";q=100;w=60");
        assert_eq!(headers[RATE_LIMIT], "\"key\";r=42;t=17");
        let mut none = HeaderMap::new();
        Standing::default().tell(&mut none);
        assert!(none.is_empty(), "who is not limited is told nothing");
    }

    #[test]
    fn notices_of_the_provider_and_health_are_not_counted() {
        for path in ["/v1/psp/webhooks/stripe", "/v1/psp/webhooks/stripe_connect", "/healthz", "/readyz", "/metrics"] {
            assert!(!is_limited(path), "{path}");
        }
        for path in ["/v1/contracts", "/sign-in", "/docs", "/", "/v1/psp/webhooks", "/x/v1/psp/webhooks/stripe"] {
            assert!(is_limited(path), "{path}");
        }
    }
}
