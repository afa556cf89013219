//! What callers do wrong, and how lists are paged, over HTTP: what `scenarios.rs` leaves out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use serde_json::{Value, json};
use support::World;

/// D-173: no token, no route, another method, no signature.
#[tokio::test]
async fn requests_that_reach_no_handler_are_problems() {
    let world = World::new().await;
    let bare = world.raw(|http, base| http.get(format!("{base}/v1/contracts")));
    let problem = world.refused(401, "unauthenticated", bare).await;
    assert!(problem.header("www-authenticate").is_some());
    world.refused(404, "not_found", world.raw(|http, base| http.post(format!("{base}/v1/nothing")))).await;
    let wrong = world.raw(|http, base| http.delete(format!("{base}/v1/contracts")));
    world.refused(405, "method_not_allowed", wrong).await;
    let unsigned = world.raw(|http, base| http.post(format!("{base}/v1/psp/webhooks/stripe")).body("{}"));
    world.refused(400, "invalid_signature", unsigned).await;
}

/// D-173: a body lacks a field, names no currency, has a NUL in a member's name; a key is too long.
#[tokio::test]
async fn bodies_and_keys_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let post = |body: Value| world.post(&world.client, "/v1/contracts", None, body);
    let payee = world.payee.party_id;
    let missing = json!({ "payee_id": payee, "currency": "USD", "milestones": [{}] });
    let problem = world.refused(422, "validation_failed", post(missing)).await;
    assert!(problem.body["errors"][0]["pointer"].as_str().unwrap().starts_with("/milestones/0"), "{}", problem.body);
    let unknown = json!({ "payee_id": payee, "currency": "QQQ", "milestones": [{ "amount": 5 }] });
    let problem = world.refused(422, "validation_failed", post(unknown)).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/currency");
    world.refused(422, "validation_failed", post(json!({ "a\u{0}b": 1 }))).await;
    let long = "k".repeat(256);
    let headers = [("Idempotency-Key", long.as_str())];
    let keyed = async { world.api.post("/v1/contracts", &world.client.token, &headers, &json!({})).await.unwrap() };
    world.refused(422, "validation_failed", keyed).await;
}

/// A payee who has no account at the provider is asked for one.
#[tokio::test]
async fn a_payout_needs_an_account() {
    let world = World::new().await;
    let payout = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 1, "currency": "USD" }));
    world.refused(422, "payout_account_required", payout).await;
}

/// D-156: two requests under one key at once: one is carried out; the other waits for its turn or sees the answer.
#[tokio::test]
async fn two_requests_under_one_key_have_one_effect() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    let headers = [("Idempotency-Key", "twin"), ("If-Match", "\"3\"")];
    let (token, body) = (&world.client.token, json!({}));
    let (one, two) =
        tokio::join!(world.api.post(&path, token, &headers, &body), world.api.post(&path, token, &headers, &body));
    let mut first = 0;
    for answer in [one.unwrap(), two.unwrap()] {
        if answer.status == 409 {
            assert_eq!(answer.body["code"], "idempotency_in_progress");
            assert!(answer.header("retry-after").is_some());
        } else {
            assert_eq!(answer.status, 200, "{}", answer.body);
            first += u32::from(answer.header("idempotent-replayed").is_none());
        }
    }
    assert_eq!(first, 1);
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.r#type == "escrow.released").count(), 1);
}

/// B.18: the feed is paged by `after`, every position once.
#[tokio::test]
async fn the_feed_is_paged_without_gaps() {
    let world = World::new().await;
    world.funded().await;
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = world.get(&world.admin, &format!("/v1/events?limit=2&after={after}")).await.success().unwrap();
        let positions: Vec<_> =
            page.body["data"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()).collect();
        assert!(positions.len() <= 2);
        let Some(last) = positions.last() else { break };
        after = *last;
        seen.extend(positions);
    }
    assert_eq!(seen, (1..=world.head().await).collect::<Vec<_>>());
}

/// D-14: the two notices of one payment come in either order; it is booked once all the same.
#[tokio::test]
async fn notices_in_either_order_are_booked_once() {
    let mut orders = Vec::new();
    for late in ["charge.succeeded", "payment_intent.succeeded"] {
        let world = World::new().await;
        let rule = json!([{ "on": format!("webhook {late}"), "action": "reorder", "times": 1 }]);
        let url = format!("{}/_sandbox/faults", world.server.sandbox_url().unwrap());
        let key = world.server.sandbox_key().unwrap();
        let answer = reqwest::Client::new().post(url).bearer_auth(key).json(&rule).send().await.unwrap();
        assert!(answer.status().is_success());
        world.funded().await;
        let events = world.api.events(&world.admin.token, 0).await.unwrap();
        let count = |wanted: &str| events.iter().filter(|event| event.r#type == wanted).count();
        assert_eq!((count("escrow.funded"), count("funding.psp_fee_recorded")), (1, 1));
        let arrived: Vec<String> = sqlx::query_scalar(
            "select event_type from main.psp_inbox
             where event_type in ('charge.succeeded', 'payment_intent.succeeded') order by received_at",
        )
        .fetch_all(world.server.app().pool())
        .await
        .unwrap();
        assert_eq!(arrived.len(), 2);
        orders.push(arrived);
    }
    assert_ne!(orders[0], orders[1], "both orders happened");
}

/// B.18: contracts are paged by a cursor, each once.
#[tokio::test]
async fn contracts_are_paged_by_a_cursor() {
    let world = World::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.drafted().await.id);
    }
    world.settle().await;
    let (mut seen, mut path) = (Vec::new(), "/v1/contracts?limit=2".to_owned());
    loop {
        let page = world.get(&world.client, &path).await.success().unwrap();
        let data = page.body["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        seen.extend(data.iter().map(|contract| contract["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/contracts?limit=2&cursor={cursor}");
    }
    made.sort();
    seen.sort();
    assert_eq!(seen, made);
}

/// The description names every route.
#[tokio::test]
async fn the_description_names_the_routes_of_the_path() {
    let world = World::new().await;
    let description = world.get(&world.admin, "/openapi.json").await;
    let routes = [
        ("/v1/contracts", "post"),
        ("/v1/contracts", "get"),
        ("/v1/contracts/{id}", "get"),
        ("/v1/contracts/{id}/offer", "post"),
        ("/v1/contracts/{id}/accept", "post"),
        ("/v1/contracts/{id}/timeline", "get"),
        ("/v1/contracts/{id}/journal", "get"),
        ("/v1/contracts/{id}/fundings", "post"),
        ("/v1/fundings/{id}", "get"),
        ("/v1/milestones/{id}", "get"),
        ("/v1/milestones/{id}/submit", "post"),
        ("/v1/milestones/{id}/approve", "post"),
        ("/v1/payouts", "post"),
        ("/v1/payouts", "get"),
        ("/v1/payouts/{id}", "get"),
        ("/v1/events", "get"),
        ("/v1/reports/trial-balance", "get"),
        ("/v1/psp/webhooks/{endpoint}", "post"),
    ];
    for (path, method) in routes {
        assert!(description.body["paths"][path][method].is_object(), "{method} {path}");
    }
}
