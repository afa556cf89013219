//! Scenarios over HTTP: the way of a contract from offer to payout, and what is refused on it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::time::{Duration, Instant};

use api::cli::operator::MadeToken;
use api::cli::story::Answer;
use chrono::TimeDelta;
use serde_json::{Value, json};
use support::{World, books, funding_of};

/// D-11: card funding books J01 and J02, later J03; the milestone is funded and the contract active.
#[tokio::test]
async fn a_card_payment_is_held_and_its_cost_is_booked() {
    let world = World::new().await;
    let contract = world.funded().await;
    let booked = [("1110", 101_925), ("2100", -100_000), ("2300", -5000), ("5100", 3075)];
    assert_eq!(world.books().await, books(&booked));
    let shown = world.get(&world.client, &format!("/v1/contracts/{}", contract.id)).await;
    assert_eq!((&shown.body["status"], &shown.body["escrow"]["held"]), (&json!("active"), &json!(100_000)));
    world.at(World::begin() + TimeDelta::days(2)).await;
    let booked = [("1120", 101_925), ("2100", -100_000), ("2300", -5000), ("5100", 3075)];
    assert_eq!(world.books().await, books(&booked));
    world.close().await;
}

/// D-12, D-14: however often and in whatever order the provider tells of a success, it is booked once.
#[tokio::test]
async fn notices_that_come_five_times_are_booked_once() {
    let world = World::new().await;
    let duplicate = |on: &str| json!({ "on": format!("webhook {on}"), "action": "duplicate", "copies": 5, "times": 1 });
    world.sandbox(json!([duplicate("payment_intent.succeeded"), duplicate("charge.succeeded")])).await;
    world.funded().await;
    assert_eq!((world.count("escrow.funded").await, world.count("funding.psp_fee_recorded").await), (1, 1));
    let row: (i64, i32) = sqlx::query_as(
        "select count(*), max(deliveries) from main.psp_inbox where event_type = 'payment_intent.succeeded'",
    )
    .fetch_one(world.server.app().pool())
    .await
    .unwrap();
    assert_eq!(row, (1, 5));
    world.close().await;
}

/// D-13: the webhook comes before the provider has answered our call, which it then does in vain.
#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_funds_once() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let patience = Duration::from_secs(5);
    let late = json!({ "on": "POST /v1/payment_intents", "action": "hold_response", "ms": 5000, "times": 1 });
    world.sandbox(json!([late])).await;
    let asked = Instant::now();
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    // The clock is not moved: the advance would wait for the answer.
    while world.count("escrow.funded").await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let call = async || {
        let sql = "select status from main.outbox where action = 'collect_payment'";
        sqlx::query_scalar::<_, String>(sql).fetch_one(world.server.app().pool()).await.unwrap()
    };
    assert_eq!(call().await, "unknown", "sent, and not answered yet");
    assert!(asked.elapsed() < patience, "the provider has not answered: only its webhook can have told of it");
    let calls = async || {
        let sql = "select count(*) from main.provider_requests r join main.outbox o on o.order_id = r.order_id
                   where o.action = 'collect_payment'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(world.server.app().pool()).await.unwrap()
    };
    world.at(World::begin()).await;
    assert_eq!((call().await.as_str(), calls().await), ("done", 1), "the answer came later, to the one call");
    assert!(asked.elapsed() >= patience);
    assert_eq!((world.count("escrow.funded").await, world.count("funding.succeeded").await), (1, 1));
    assert_eq!(world.count("funding.psp_fee_recorded").await, 1);
    world.close().await;
}

/// D-15, I8: the call times out after the charge has happened; it is tried again under the same key.
#[tokio::test]
async fn a_call_whose_answer_is_lost_charges_once() {
    let world = World::new().await;
    let lost = json!([{ "on": "POST /v1/payment_intents", "action": "timeout_after_success", "times": 1 }]);
    world.sandbox(lost).await;
    world.funded().await;
    assert_eq!(world.count("escrow.funded").await, 1);
    let keys: (i64, i64) = sqlx::query_as(
        "select count(*), count(distinct r.idempotency_key) from main.provider_requests r
         join main.outbox o on o.order_id = r.order_id where o.action = 'collect_payment'",
    )
    .fetch_one(world.server.app().pool())
    .await
    .unwrap();
    assert!(keys.0 >= 2, "it was sent again: {keys:?}");
    assert_eq!(keys.1, 1, "under one key");
    world.close().await;
}

/// A declined card leaves the milestone to be paid for again.
#[tokio::test]
async fn a_declined_card_can_be_followed_by_another() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let declined = world.fund(&contract, "pm_card_chargeDeclined").await.success().unwrap();
    world.at(World::begin()).await;
    let path = format!("/v1/fundings/{}", declined.text("/id").unwrap());
    let shown = world.get(&world.client, &path).await;
    assert_eq!(shown.body["status"], "failed");
    assert_eq!(shown.body["next_action"], "use_another_payment_method");
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin()).await;
    assert_eq!(world.count("escrow.funded").await, 1);
    world.close().await;
}

/// D-31, D-42, D-46, D-118, D-175, J16: release, clearance at the instant and not before, completion, payout, and the books.
#[tokio::test]
async fn the_story_ends_with_the_books_of_the_specification() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = format!("/v1/milestones/{}/submit", contract.milestone);
    world.post(&world.payee, &path, Some("\"3\""), json!({})).await.success().unwrap();
    world.approve(&contract, "\"4\"", json!({})).await.success().unwrap();
    world.at(World::begin()).await;
    let shown = world.get(&world.payee, &format!("/v1/contracts/{}", contract.id)).await;
    assert_eq!((&shown.body["status"], &shown.body["escrow"]["status"]), (&json!("completed"), &json!("closed")));
    assert_eq!((&shown.body["milestones"][0]["net"], &shown.body["escrow"]["held"]), (&json!(90_000), &json!(0)));

    // What the payee sees of it: net, fee, and when it can be withdrawn.
    let seen = world.get(&world.payee, &contract.at("/timeline")).await.success().unwrap();
    let seen = |name: &str| seen.body["data"].as_array().unwrap().iter().find(|event| event["type"] == name).cloned();
    let (released, credited) = (seen("escrow.released").unwrap(), seen("payee.earnings_credited").unwrap());
    assert_eq!((&released["data"]["net"], &released["data"]["payee_fee"]), (&json!(90_000), &json!(10_000)));
    let clears = World::begin() + TimeDelta::days(5);
    assert_eq!(credited["data"]["clears_at"], json!(clears));
    world.at(clears - TimeDelta::seconds(1)).await;
    let balance =
        |answer: Answer| (answer.body["data"][0]["pending"].clone(), answer.body["data"][0]["available"].clone());
    assert_eq!(balance(world.get(&world.payee, "/v1/balances/me").await), (json!(90_000), json!(0)));
    world.at(clears).await;
    assert_eq!(balance(world.get(&world.payee, "/v1/balances/me").await), (json!(0), json!(90_000)));
    let journal = world.get(&world.admin, &format!("/v1/contracts/{}/journal", contract.id)).await;
    let cleared = journal.body["data"].as_array().unwrap().last().unwrap();
    let payee = world.payee.party_id.to_string();
    let line = |side: &str, account: &str, dims: Value| json!({ "side": side, "account": account, "minor": 90_000, "currency": "USD", "dims": dims });
    let lines = [
        line("D", "2200", json!({ "contract": contract.id, "payee": payee })),
        line("C", "2210", json!({ "payee": payee })),
    ];
    assert_eq!((&cleared["type"], &cleared["occurred_at"]), (&json!("payee.earnings_cleared"), &json!(clears)));
    let wanted = json!({ "rule": "clearance", "rule_version": 1, "value_date": "2026-12-06", "lines": lines });
    assert_eq!(cleared["journal"], wanted);

    let more = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 90_001, "currency": "USD" }));
    let problem = world.refused(422, "insufficient_available", more).await;
    assert_eq!(problem.body["available"], 90_000);
    let payout = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 90_000, "currency": "USD" })).await;
    world.at(clears + TimeDelta::days(2)).await;
    let path = format!("/v1/payouts/{}", payout.success().unwrap().text("/id").unwrap());
    assert_eq!(world.get(&world.payee, &path).await.body["status"], "paid");
    let booked = [("1120", 11_925), ("5100", 3075), ("4100", -10_000), ("4110", -5000)];
    assert_eq!(world.books().await, books(&booked));
    world.close().await;
}

/// D-35, D-69: more than is held, another currency, before the money is there.
#[tokio::test]
async fn what_the_money_does_not_allow_is_refused() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let early = world.approve(&contract, "\"1\"", json!({}));
    world.refused(409, "milestone_not_funded", early).await;
    let mut euros = funding_of(&contract, 100_000, "pm_card_visa");
    euros["currency"] = json!("EUR");
    let path = format!("/v1/contracts/{}/fundings", contract.id);
    world.refused(422, "currency_mismatch", world.post(&world.client, &path, None, euros)).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin()).await;
    let more = world.approve(&contract, "\"3\"", json!({ "amount": 100_001 }));
    assert_eq!(world.refused(422, "exceeds_held", more).await.body["held"], 100_000);
    let none = world.approve(&contract, "\"3\"", json!({ "amount": 0 }));
    assert_eq!(world.refused(422, "validation_failed", none).await.body["errors"][0]["pointer"], "/amount");
    world.close().await;
}

/// D-157, D-159: a key and a version are asked for; a version that is old is answered with what was missed.
#[tokio::test]
async fn keys_and_versions_are_asked_for() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    let bare = async { world.api.post(&path, &world.client.token, &[], &json!({})).await.unwrap() };
    world.refused(400, "idempotency_key_required", bare).await;
    world.refused(428, "precondition_required", world.post(&world.client, &path, None, json!({}))).await;
    let old = world.approve(&contract, "\"1\"", json!({}));
    let problem = world.refused(412, "version_mismatch", old).await;
    // What came after was the client's own request and the provider's word: only the former makes a version old.
    assert_eq!(problem.header("etag"), Some("\"3\""));
    assert_eq!(problem.body["events_since"][0]["type"], "milestone.funding_requested");
    world.refused(412, "version_mismatch", world.approve(&contract, "\"9\"", json!({}))).await;
    world.refused(422, "validation_failed", world.approve(&contract, "3", json!({}))).await;
    world.approve(&contract, "\"2\"", json!({})).await.success().unwrap();
    world.close().await;
}

/// D-165: whoever has no part in a contract cannot tell whether it exists.
#[tokio::test]
async fn an_outsider_finds_nothing() {
    let world = World::new().await;
    let contract = world.funded().await;
    let nowhere = "ctr_00000000000000000000000000";
    for id in [contract.id.as_str(), nowhere] {
        for path in ["", "/timeline", "/journal"] {
            let path = format!("/v1/contracts/{id}{path}");
            world.refused(404, "not_found", world.get(&world.outsider, &path)).await;
        }
    }
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    // With a stale version, too: the version must not leak.
    for version in ["\"3\"", "\"1\""] {
        let approve = world.post(&world.outsider, &path, Some(version), json!({}));
        let problem = world.refused(404, "not_found", approve).await;
        assert_eq!(problem.header("etag"), None);
    }
    let fund = funding_of(&contract, 100_000, "pm_card_visa");
    let path = format!("/v1/contracts/{}/fundings", contract.id);
    world.refused(404, "not_found", world.post(&world.outsider, &path, None, fund)).await;
    let page = world.get(&world.outsider, "/v1/contracts").await;
    assert_eq!(page.body["data"], json!([]));
    // A party in the other role is told what it may not do.
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    world.refused(403, "forbidden", world.post(&world.payee, &path, Some("\"3\""), json!({}))).await;
    world.refused(403, "forbidden", world.get(&world.client, "/v1/events")).await;
    world.close().await;
}

/// A change to a good body, and the status, code and pointer that it is answered with.
type Case = (fn(&mut Value), u16, &'static str, &'static str);

/// D-68, D-173: what is wrong with a body is said with a pointer.
#[tokio::test]
async fn bad_bodies_are_refused_with_a_pointer() {
    let world = World::new().await;
    let draft = |change: fn(&mut Value)| {
        let mut body =
            json!({ "payee_id": world.payee.party_id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
        change(&mut body);
        body
    };
    let cases: [Case; 14] = [
        (|body| *body = json!({ "currency": "USD", "milestones": [] }), 422, "validation_failed", "/payee_id"),
        (|body| body["milestones"] = json!([{}]), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!(0), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!(-5), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!(10.5), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!("100"), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!({}), 422, "validation_failed", "/milestones/0/amount"),
        (
            |body| body["milestones"][0]["amount"] = json!(1_000_000_000_000_001_i64),
            422,
            "amount_too_large",
            "/milestones/0/amount",
        ),
        (|body| body["milestones"] = json!([]), 422, "validation_failed", "/milestones"),
        (|body| body["currency"] = json!("usd"), 422, "validation_failed", "/currency"),
        (|body| body["payee_id"] = json!("pty_1"), 422, "validation_failed", "/payee_id"),
        (|body| body["payee_id"] = json!("pty_00000000000000000000000000"), 422, "validation_failed", "/payee_id"),
        (|body| body["reference"] = json!("a\u{0}b"), 422, "validation_failed", "/reference"),
        (|body| body["reference"] = json!("Jane Doe"), 422, "validation_failed", "/reference"),
    ];
    for (change, status, code, pointer) in cases {
        let answer = world.post(&world.client, "/v1/contracts", None, draft(change));
        let problem = world.refused(status, code, answer).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{}", problem.body);
        let detail = problem.body["detail"].as_str().unwrap_or_default();
        let rust = ["i64", "missing field", "map"].iter().any(|word| detail.contains(word));
        assert!(!rust, "nobody has to know Rust: {detail}");
    }
    let unknown = world.post(&world.client, "/v1/contracts", None, draft(|body| body["surprise"] = json!(1)));
    world.refused(422, "validation_failed", unknown).await;
    let unreadable = world.get(&world.client, "/v1/contracts?limit=some");
    let problem = world.refused(422, "validation_failed", unreadable).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "limit", "{}", problem.body);
    let large = draft(|body| body["reference"] = json!("x".repeat(70_000)));
    world.refused(413, "payload_too_large", world.post(&world.client, "/v1/contracts", None, large)).await;

    let raw = |content_type: &'static str, text: &'static str| {
        let token = &world.client.token;
        world.raw(move |http, base| {
            let request = http.post(format!("{base}/v1/contracts")).bearer_auth(token);
            request.header("Idempotency-Key", "raw").header("content-type", content_type).body(text)
        })
    };
    world.refused(400, "malformed_request", raw("application/json", "{\"payee_id\":")).await;
    world.refused(415, "unsupported_media_type", raw("text/plain", "hello")).await;
    world.refused(400, "not_a_valid_id", world.get(&world.client, "/v1/contracts/ctr_1")).await;
    world.refused(404, "not_found", world.get(&world.client, "/v1/nothing")).await;
    let stranger = MadeToken { party_id: world.client.party_id, token: format!("ern_{}", "0".repeat(64)) };
    let problem = world.refused(401, "unauthenticated", world.get(&stranger, "/v1/contracts")).await;
    let challenge = problem.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm=\"earnest\", error=\"invalid_token\""), "{challenge}");
    let early = World::begin() - TimeDelta::seconds(1);
    let path = "/v1/test_clocks/clk_main/advance";
    let back = async { world.api.post(path, &world.admin.token, &[], &json!({ "to": early })).await.unwrap() };
    world.refused(422, "clock_backwards", back).await;
    let path = "/v1/psp/webhooks/stripe";
    let forged =
        async { world.api.post(path, "none", &[("Stripe-Signature", "t=1,v1=00")], &json!({})).await.unwrap() };
    world.refused(400, "invalid_signature", forged).await;
    world.close().await;
}

/// D-174: a read that asks for the position of a write is never older than it.
#[tokio::test]
async fn what_was_written_can_be_read() {
    let world = World::new().await;
    for _ in 0..20 {
        let body = json!({ "payee_id": world.payee.party_id, "currency": "USD", "milestones": [{ "amount": 5 }] });
        let drafted = world.post(&world.client, "/v1/contracts", None, body).await.success().unwrap();
        let url = format!("{}/v1/contracts/{}", world.server.base_url(), drafted.text("/id").unwrap());
        let read = reqwest::Client::new()
            .get(url)
            .bearer_auth(&world.client.token)
            .header("Min-Log-Position", drafted.header("log-position").unwrap());
        let shown = read.send().await.unwrap();
        assert_eq!(shown.status(), 200);
        assert_eq!(shown.json::<Value>().await.unwrap(), drafted.body);
    }
    world.close().await;
}

/// D-204, I3: the server's own login cannot change the log.
#[tokio::test]
async fn the_serving_login_cannot_touch_events() {
    let world = World::new().await;
    world.funded().await;
    for statement in [
        "update main.events set payload = '{}'",
        "delete from main.events",
        "truncate main.events",
        "insert into main.events select * from main.events",
        "update main.log_head set position = 0",
        "update main.control_balances set debits = 0",
    ] {
        let refused = sqlx::query(statement).execute(world.server.app().pool()).await.unwrap_err();
        let code =
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    world.close().await;
}

/// The fees of a contract are shown, and taken as they are shown.
#[tokio::test]
async fn fees_are_those_of_the_offer() {
    let world = World::new().await;
    let contract = world.released().await;
    let shown = world.get(&world.client, &format!("/v1/contracts/{}", contract.id)).await;
    assert_eq!(shown.body["fees"]["payee_fee"], "10%");
    assert_eq!(
        (&shown.body["escrow"]["payee_fees"], &shown.body["milestones"][0]["net"]),
        (&json!(10_000), &json!(90_000))
    );
    world.close().await;
}

/// The shape of an event, and the description of the API.
#[tokio::test]
async fn events_and_the_api_describe_themselves() {
    let world = World::new().await;
    world.released().await;
    let page = world.get(&world.admin, "/v1/events?types=escrow.released").await;
    let event = &page.body["data"][0];
    let mut keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let wanted = [
        "actor",
        "auth",
        "causation_id",
        "clock_id",
        "command_id",
        "correlation_id",
        "data",
        "event_id",
        "idempotency_key",
        "journal",
        "livemode",
        "occurred_at",
        "pii",
        "policy_ref",
        "position",
        "recorded_at",
        "schema_version",
        "stream",
        "stream_version",
        "tenant",
        "type",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(event["journal"]["lines"][0]["side"], "D");
    assert_eq!(event["data"]["net"], 90_000);
    assert_eq!(event["policy_ref"], "two_sided@1");
    assert_eq!(world.get(&world.admin, "/docs/").await.status, 200);
    for path in ["/healthz", "/readyz", "/version", "/metrics"] {
        assert_eq!(world.get(&world.admin, path).await.status, 200, "{path}");
    }
    world.close().await;
}

/// D-169: thirty days at once: what is due in them happens in the order in which it is due, whatever it is about. While
/// that goes on the clock says so. It does not go back.
#[tokio::test]
async fn a_clock_that_is_moved_fires_in_due_order() {
    let world = World::new().await;
    let submitted = world.funded().await;
    world.act(&world.payee, submitted.work("/submit"), json!({})).await.success().unwrap();
    let _unanswered = world.offered().await;
    let unpaid = world.accepted().await;
    world.fund(&unpaid, "pm_card_authenticationRequiredOnSetup").await.success().unwrap();
    let clock = async || world.get(&world.admin, "/v1/test_clocks").await.success().unwrap().text("/status").unwrap();
    world.settled().await;
    assert_eq!(clock().await, "ready");
    let before = world.head().await;
    // The clock cannot arrive before orders are carried out again.
    let outbox = &world.server.app().outbox;
    outbox.pause().await.unwrap();
    let (later, patience) = (World::begin() + TimeDelta::days(30), Duration::from_secs(30));
    tokio::join!(world.at(later), async {
        let begun = Instant::now();
        while clock().await != "advancing" {
            assert!(begun.elapsed() < patience, "it never says that it is moved");
        }
        outbox.resume().await.unwrap();
    });
    assert_eq!(clock().await, "ready");
    let fired = world.api.events(&world.admin.token, before).await.unwrap();
    let instants: Vec<_> = fired.iter().map(|event| event.occurred_at).collect();
    assert!(instants.is_sorted(), "{instants:?}");
    let types: Vec<&str> = fired.iter().map(|event| event.r#type.as_str()).collect();
    let at =
        |wanted: &str| types.iter().position(|name| *name == wanted).unwrap_or_else(|| panic!("{wanted}: {types:?}"));
    let order =
        ["funding.expired", "contract.offer_expired", "milestone.auto_approved", "payee.earnings_cleared"].map(at);
    assert!(order.is_sorted(), "24 hours, 7 days, 14 days, 5 days after that: {types:?}");
    let path = "/v1/test_clocks/clk_main/advance";
    let back = json!({ "to": World::begin() });
    let back = async { world.api.post(path, &world.admin.token, &[], &back).await.unwrap() };
    world.refused(422, "clock_backwards", back).await;
    world.close().await;
}
