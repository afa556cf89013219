//! How often somebody may ask.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{FRIEND, Site, read};
use crate::support::World;

const ALL: &str = "\"address\";q=300;w=60, \"key\";q=100;w=60, \"party\";q=150;w=60";

/// The policy that refused, or nothing.
fn refused_by(answer: &api::cli::story::Answer) -> Option<&str> {
    (answer.status == 429).then(|| answer.body["policy"].as_str().unwrap())
}

pub(super) async fn a_key_has_its_quota(site: &Site) {
    let (token, from) = (site.token(None).await.token, "198.51.100.1");
    for used in 1..=100_u64 {
        let answer = site.get_as(&token, "/v1/contracts", from).await.success().unwrap();
        assert_eq!(answer.header("ratelimit-policy"), Some(ALL));
        let left = format!("\"key\";r={};t=1", 100 - used);
        assert_eq!(answer.header("ratelimit"), Some(left.as_str()));
    }
    let refused = site.get_as(&token, "/v1/contracts", from).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (429, &json!("rate_limited")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"key\";r=0;t=1"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"address\";q=300;w=60, \"key\";q=100;w=60"));
    assert_eq!(refused.body["detail"], "at most 100 requests in 60 seconds per key");
    assert_eq!(refused.body["policy"], "key");
    assert_eq!(refused.header("request-id"), refused.body["request_id"].as_str());
    let elsewhere = site.get_as(&token, "/v1/contracts", "198.51.100.2").await;
    assert_eq!(refused_by(&elsewhere), Some("key"), "from wherever it is used");
    // However the scheme is written, it is the same token.
    let request = site.request(Method::GET, "/v1/contracts", from).header("authorization", format!("bearer   {token}"));
    assert_eq!(refused_by(&read(request).await), Some("key"));
    let other = site.token(None).await.token;
    site.get_as(&other, "/v1/contracts", from).await.success().unwrap();
    site.pass(600);
    site.get_as(&token, "/v1/contracts", from).await.success().unwrap();
    assert_eq!(refused_by(&site.get_as(&token, "/v1/contracts", from).await), Some("key"));
    site.pass(60_000);
    let answer = site.get_as(&token, "/v1/contracts", from).await.success().unwrap();
    assert_eq!(answer.header("ratelimit"), Some("\"key\";r=99;t=1"));
}

pub(super) async fn a_party_has_one_quota_over_its_keys(site: &Site) {
    let (first, from) = (site.token(None).await, "198.51.100.3");
    let second = site.token(Some(first.party_id)).await;
    for _ in 0..75 {
        for token in [&first.token, &second.token] {
            site.get_as(token, "/v1/contracts", from).await.success().unwrap();
        }
    }
    let third = site.token(Some(first.party_id)).await;
    for token in [first.token, second.token, third.token] {
        let refused = site.get_as(&token, "/v1/contracts", from).await;
        assert_eq!(refused_by(&refused), Some("party"));
        assert_eq!(
            (refused.header("ratelimit"), refused.header("ratelimit-policy")),
            (Some("\"party\";r=0;t=1"), Some(ALL))
        );
    }
}

pub(super) async fn a_session_is_one_key(site: &Site) {
    let (email, password, from) = ("ada@example.com", "seven green apples", "198.51.100.4");
    let post = async |path: &str, body: Value| {
        read(site.request(Method::POST, path, from).json(&body)).await.success().unwrap()
    };
    post("/v1/auth/register", json!({ "email": email, "password": password, "role": "client" })).await;
    let link = mailed_link(&site.world).await;
    post("/v1/auth/verify-email", json!({ "token": link })).await;
    let tokens = post("/v1/auth/login", json!({ "email": email, "password": password })).await;
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let left = async |token: &str| {
        let answer = site.get_as(token, "/v1/users/me", from).await.success().unwrap();
        answer.header("ratelimit").unwrap().to_owned()
    };
    assert_eq!(left(&tokens.text("/access_token").unwrap()).await, "\"key\";r=99;t=1");
    let refresh = json!({ "refresh_token": tokens.text("/refresh_token").unwrap() });
    let fresh = post("/v1/auth/refresh", refresh).await.text("/access_token").unwrap();
    assert_ne!(fresh, tokens.text("/access_token").unwrap());
    assert_eq!(left(&fresh).await, "\"key\";r=98;t=1", "a new token brings no new quota");
}

/// The token of the link in the only mail.
async fn mailed_link(world: &World) -> String {
    for _ in 0..100 {
        let (mailbox, _) = world.server.app().identity.mailbox().unwrap();
        if let Some(kept) = mailbox.newest(1).await.unwrap().into_iter().next() {
            let link = kept.mail.body.split("token=").nth(1).unwrap();
            return link.split_whitespace().next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no mail");
}

pub(super) async fn an_address_has_its_quota_and_cannot_be_made_up(site: &Site) {
    for number in 0..300 {
        // What a client says itself comes before what our proxy says, in its line or in one of its own.
        let made_up = format!("203.0.113.{}", number % 250);
        let answer = if number % 2 == 0 {
            site.get("/version", &format!("{made_up}, 198.51.100.7")).await
        } else {
            read(site.request(Method::GET, "/version", &made_up).header("x-forwarded-for", "198.51.100.7")).await
        };
        answer.success().unwrap();
    }
    let refused = read(site.request(Method::GET, "/version", "198.51.100.7").header("origin", FRIEND)).await;
    assert_eq!(refused_by(&refused), Some("address"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"address\";q=300;w=60"));
    assert_eq!(refused.header("access-control-allow-origin"), Some(FRIEND), "scripts can read why");
    let token = site.token(None).await.token;
    assert_eq!(refused_by(&site.get_as(&token, "/v1/contracts", "198.51.100.7").await), Some("address"));
    site.get("/version", "198.51.100.8").await.success().unwrap();
    // What must not be lost because of others.
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = site.get(path, "198.51.100.7").await.success().unwrap();
        assert_eq!(answer.header("ratelimit"), None, "{path}");
    }
    let notice = read(site.request(Method::POST, "/v1/psp/webhooks/stripe", "198.51.100.7").body("{}")).await;
    assert_eq!((notice.status.as_u16(), &notice.body["code"]), (400, &json!("invalid_signature")));
    // One customer's addresses of IPv6 are one.
    let left = async |from: &str| {
        let answer = site.get("/version", from).await.success().unwrap();
        answer.header("ratelimit").unwrap().to_owned()
    };
    assert_eq!(left("2001:db8:1:2::1").await, "\"address\";r=299;t=1");
    assert_eq!(left("2001:db8:1:2:ffff::9").await, "\"address\";r=298;t=1");
    assert_eq!(left("2001:db8:1:3::1").await, "\"address\";r=299;t=1");
}

pub(super) async fn bad_tokens_count_for_their_address_only(site: &Site) {
    let from = "198.51.100.9";
    let known = site.token(None).await.token;
    for token in ["earnest_nobody", "a.b.c", &known[..known.len() - 1]] {
        let refused = site.get_as(token, "/v1/contracts", from).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (401, &json!("unauthenticated")));
        assert_eq!(refused.header("ratelimit-policy"), Some("\"address\";q=300;w=60"));
    }
    let answer = site.get_as(&known, "/v1/contracts", from).await.success().unwrap();
    assert_eq!(answer.header("ratelimit"), Some("\"key\";r=99;t=1"));
}
