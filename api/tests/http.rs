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
    world.close().await;
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
    world.close().await;
}

/// A payee who has no account at the provider is asked for one.
#[tokio::test]
async fn a_payout_needs_an_account() {
    let world = World::without_account().await;
    let payout = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 1, "currency": "USD" }));
    world.refused(422, "payout_account_required", payout).await;
    world.close().await;
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
    world.close().await;
}

/// D-14: the two notices of one payment come in either order; it is booked once all the same.
#[tokio::test]
async fn notices_in_either_order_are_booked_once() {
    let mut orders = Vec::new();
    for late in ["charge.succeeded", "payment_intent.succeeded"] {
        let world = World::new().await;
        world.sandbox(json!([{ "on": format!("webhook {late}"), "action": "reorder", "times": 1 }])).await;
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
        world.close().await;
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
    world.at(World::begin()).await;
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
    world.close().await;
}
