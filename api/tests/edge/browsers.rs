//! What browsers are told.

use std::io::Read;

use reqwest::Method;
use serde_json::{Value, json};

use super::{FRIEND, Site, read};

const FROM: &str = "198.51.100.20";

pub(super) async fn other_origins_read_nothing_unless_configured(site: &Site) {
    let preflight = async |origin: &str| {
        let request = site.request(Method::OPTIONS, "/v1/contracts", FROM).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        read(request.header("access-control-request-headers", "authorization,idempotency-key")).await
    };
    let allowed = preflight(FRIEND).await.success().unwrap();
    assert_eq!(allowed.header("access-control-allow-origin"), Some(FRIEND));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    let headers = allowed.header("access-control-allow-headers").unwrap();
    assert!(["authorization", "idempotency-key", "if-match"].iter().all(|name| headers.contains(name)), "{headers}");
    assert_eq!(allowed.header("access-control-allow-credentials"), None, "cookies are never taken from elsewhere");
    for stranger in ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"] {
        assert_eq!(preflight(stranger).await.header("access-control-allow-origin"), None, "{stranger}");
        let answer = read(site.request(Method::GET, "/version", FROM).header("origin", stranger)).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{stranger}");
    }
    let answer = read(site.request(Method::GET, "/version", FROM).header("origin", FRIEND)).await.success().unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some(FRIEND));
    assert!(answer.header("vary").unwrap().contains("origin"));
    let shown = answer.header("access-control-expose-headers").unwrap();
    assert!(["etag", "log-position", "ratelimit", "retry-after"].iter().all(|name| shown.contains(name)), "{shown}");
}

pub(super) async fn answers_may_not_be_framed_guessed_or_kept(site: &Site) {
    let data = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (path, status) in [
        ("/version", 200),
        ("/v1/contracts", 401),
        ("/nowhere", 404),
        ("/sign-in", 200),
        ("/docs/", 200),
        ("/healthz", 200),
    ] {
        let answer = site.get(path, FROM).await;
        assert_eq!(answer.status, status, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        assert_eq!(answer.headers.get_all("content-security-policy").iter().count(), 1, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        match path {
            "/sign-in" => assert!(policy.contains("style-src 'self'; form-action 'self'"), "{policy}"),
            "/docs/" => assert!(policy.contains("script-src 'self';"), "{policy}"),
            _ => assert_eq!(policy, data, "{path}"),
        }
    }
    // The reference's page keeps to its policy: no script and no handler in it.
    let page = site.get("/docs/", FROM).await.body;
    let page = page.as_str().unwrap();
    assert_eq!(page.matches("<script").count(), page.matches("<script src=\"./").count());
    assert!(!page.contains("onload=") && !page.contains("http"), "{page}");
    let keys = site.get("/.well-known/jwks.json", FROM).await.success().unwrap();
    assert_ne!(keys.header("cache-control"), Some("no-store"), "public keys may be kept");
}

pub(super) async fn a_compressed_problem_has_its_request_id(site: &Site) {
    let request = site.request(Method::GET, "/nowhere", FROM).header("accept-encoding", "gzip");
    let response = request.send().await.unwrap();
    let id = response.headers()["request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = response.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["request_id"], json!(id));
}
