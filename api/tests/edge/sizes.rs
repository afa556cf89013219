//! Requests that are too large: in their first line, their headers, their body; or nested too deep.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};

use super::slow::told;
use super::{Site, read};

const FROM: &str = "198.51.100.30";

fn address(site: &Site) -> SocketAddr {
    site.world.server.base_url().strip_prefix("http://").unwrap().parse().unwrap()
}

fn headers(count: usize) -> String {
    (0..count).map(|number| format!("x-{number}: 1\r\n")).collect::<Vec<_>>().concat()
}

pub(super) async fn too_many_or_too_long_headers_are_refused(site: &Site) {
    let with = |lines: &str| format!("GET /version HTTP/1.1\r\nhost: earnest\r\nconnection: close\r\n{lines}\r\n");
    let answer = told(address(site), &with(&headers(150))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = told(address(site), &with(&format!("x-long: {}\r\n", "a".repeat(100_000)))).await;
    // Of what is not read to its end the answer may be lost on the way.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = told(address(site), &with(&headers(90))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub(super) async fn a_query_that_is_too_long_is_refused(site: &Site) {
    let of = |length: usize| {
        format!("GET /version?q={} HTTP/1.1\r\nhost: earnest\r\nconnection: close\r\n\r\n", "a".repeat(length))
    };
    let answer = told(address(site), &of(70_000)).await;
    assert!(
        answer.is_empty() || ["HTTP/1.1 414", "HTTP/1.1 431"].iter().any(|status| answer.starts_with(status)),
        "{answer}"
    );
    let answer = told(address(site), &of(7000)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub(super) async fn a_body_that_is_too_large_or_too_deep_is_refused(site: &Site) {
    let token = site.token(None).await.token;
    let post = async |path: &str, body: String| {
        let request = site.request(Method::POST, path, FROM).bearer_auth(&token).header("idempotency-key", "sizes");
        let answer = read(request.header("content-type", "application/json").body(body)).await;
        (answer.status.as_u16(), answer.body)
    };
    for path in ["/v1/contracts", "/v1/auth/login"] {
        let (status, problem) = post(path, json!({ "title": "x".repeat(66_000) }).to_string()).await;
        assert_eq!((status, &problem["code"]), (413, &json!("payload_too_large")), "{path}");
        // Within what serde_json reads by itself, and beyond it: no stack is used up.
        for (depth, code) in [(100, "validation_failed"), (200, "malformed_request"), (30_000, "malformed_request")] {
            let nested = format!("{{\"title\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            let (_, problem) = post(path, nested).await;
            assert_eq!(problem["code"], json!(code), "{path}: {depth}: {problem}");
        }
    }
    let (status, problem) = post("/v1/psp/webhooks/stripe", "x".repeat(263_000)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("payload_too_large")));
    let (status, page): (u16, Value) = post("/sign-in", "x".repeat(17_000)).await;
    assert_eq!(status, 413, "{page}");
}
