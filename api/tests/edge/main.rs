//! What requests have to keep to before a route sees them, over HTTP: how often, how large, how slow, from where; and what
//! browsers are told. One server plays all of it, as itself and as the proxy before it: each step asks from addresses of its
//! own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod browsers;
mod limits;
mod sizes;
mod slow;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::Answer;
use api::edge::EdgeConfig;
use api::edge::quota::Quota;
use api::edge::rate_limit::{LimitClock, RateLimits};
use api::identity::IdentityConfig;
use domain::id::PartyId;
use reqwest::{Method, RequestBuilder};
use support::World;

/// The origin whose scripts may read answers.
const FRIEND: &str = "https://app.example.com";

/// A server behind a proxy, with small limits.
struct Site {
    world: World,
    http: reqwest::Client,
    /// Milliseconds of the limits' clock, which stands still otherwise.
    millis: Arc<AtomicU64>,
}

impl Site {
    async fn new() -> Self {
        let millis = Arc::new(AtomicU64::new(1_000));
        let edge = EdgeConfig {
            rate_limits: RateLimits {
                key: Quota::new(100, 60).ok(),
                party: Quota::new(150, 60).ok(),
                address: Quota::new(300, 60).ok(),
                clock: LimitClock::Manual(Arc::clone(&millis)),
            },
            cors_origins: vec![FRIEND.parse().unwrap()],
            ..EdgeConfig::default()
        };
        let identity = IdentityConfig {
            public_url: Some("https://earnest.example".to_owned()),
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            ..IdentityConfig::default()
        };
        Self { world: World::with_edge(identity, edge).await, http: reqwest::Client::new(), millis }
    }

    fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// A token of a client: a new party, or another token of this one.
    async fn token(&self, party: Option<PartyId>) -> MadeToken {
        make_token(&self.world.server.app().engine, Role::Client, party, None, None).await.unwrap()
    }

    /// A request that our proxy passes on from this address.
    fn request(&self, method: Method, path: &str, from: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.world.server.base_url());
        self.http.request(method, url).header("x-forwarded-for", from)
    }

    async fn get(&self, path: &str, from: &str) -> Answer {
        read(self.request(Method::GET, path, from)).await
    }

    async fn get_as(&self, token: &str, path: &str, from: &str) -> Answer {
        read(self.request(Method::GET, path, from).bearer_auth(token)).await
    }
}

/// Sends a request. A body that is no JSON is a text.
async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)) }
}

/// D-161: 100 requests per 60 s: the 101st is answered 429, with nothing left and when to come again. And the rest of what
/// holds before a route sees a request.
#[tokio::test]
async fn requests_keep_to_the_limits() {
    let site = Site::new().await;
    limits::a_key_has_its_quota(&site).await;
    limits::a_party_has_one_quota_over_its_keys(&site).await;
    limits::a_session_is_one_key(&site).await;
    limits::an_address_has_its_quota_and_cannot_be_made_up(&site).await;
    limits::bad_tokens_count_for_their_address_only(&site).await;
    browsers::other_origins_read_nothing_unless_configured(&site).await;
    browsers::answers_may_not_be_framed_guessed_or_kept(&site).await;
    browsers::a_compressed_problem_has_its_request_id(&site).await;
    tokio::join!(
        slow::headers_that_do_not_come_end_the_connection(&site),
        slow::a_body_that_pauses_is_not_waited_for(&site),
        slow::a_body_that_trickles_is_cut_off(&site),
        sizes::too_many_or_too_long_headers_are_refused(&site),
        sizes::a_query_that_is_too_long_is_refused(&site),
        sizes::a_body_that_is_too_large_or_too_deep_is_refused(&site),
    );
}
