//! Scenarios over HTTP: the way of a contract from offer to payout, and what is refused on it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::migrate;
use adapters::stripe::Secret;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::{Answer, ApiClient, nets_of, nets_shown, recount};
use api::server::{ProviderConfig, Server, ServerConfig};
use chrono::{DateTime, TimeDelta, Utc};
use domain::actor::StaffRole;
use serde_json::{Value, json};

const BEGIN: &str = "2026-12-01T10:00:00Z";

/// A server on a database of its own, and everybody who takes part.
struct World {
    database: TestDatabase,
    server: Server,
    api: ApiClient,
    client: MadeToken,
    payee: MadeToken,
    outsider: MadeToken,
    admin: MadeToken,
    keys: AtomicU64,
}

/// A contract of one milestone of 1,000.00 USD.
struct Contract {
    id: String,
    milestone: String,
}

impl World {
    async fn new() -> Self {
        let database = TestCluster::shared()
            .unwrap()
            .fresh_database("tenant", |database| async move {
                migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
            })
            .await
            .unwrap();
        let server = Server::start(ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: database.app_options.clone(),
            tenant: "main".parse().unwrap(),
            test_clock: Some(BEGIN.parse().unwrap()),
            provider: ProviderConfig::Sandbox {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                database: Box::new(database.owner_options.clone()),
            },
            allow_owner: false,
        })
        .await
        .unwrap();
        let engine = &server.app().engine;
        let client = make_token(engine, Role::Client, None, None, None).await.unwrap();
        let payee = make_token(engine, Role::Payee, None, None, None).await.unwrap();
        let outsider = make_token(engine, Role::Client, None, None, None).await.unwrap();
        let admin = make_token(engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
        let api = ApiClient::new(server.base_url());
        let world = Self { database, api, client, payee, outsider, admin, server, keys: AtomicU64::new(0) };
        let account = world.server.sandbox_account("US").await.unwrap();
        let path = format!("/v1/parties/{}/payout-account", world.payee.party_id);
        world.post(&world.payee, &path, None, json!({ "psp_account": account })).await.success().unwrap();
        world
    }

    /// A command under a new key.
    async fn post(&self, who: &MadeToken, path: &str, version: Option<&str>, body: Value) -> Answer {
        let key = format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        self.post_with_key(who, path, &key, version, body).await
    }

    async fn post_with_key(
        &self,
        who: &MadeToken,
        path: &str,
        key: &str,
        version: Option<&str>,
        body: Value,
    ) -> Answer {
        let mut headers = vec![("Idempotency-Key", key)];
        headers.extend(version.map(|version| ("If-Match", version)));
        self.api.post(path, &who.token, &headers, &body).await.unwrap()
    }

    async fn get(&self, who: &MadeToken, path: &str) -> Answer {
        self.api.get(path, &who.token).await.unwrap()
    }

    async fn sandbox(&self, body: Value) {
        let url = format!("{}/_sandbox/faults", self.server.sandbox_url().unwrap());
        let key = self.server.sandbox_key().unwrap();
        let answer = reqwest::Client::new().post(url).bearer_auth(key).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    fn begin() -> DateTime<Utc> {
        BEGIN.parse().unwrap()
    }

    async fn at(&self, instant: DateTime<Utc>) {
        self.api.advance(&self.admin.token, "main", instant).await.unwrap();
    }

    async fn offered(&self) -> Contract {
        let body = json!({ "payee_id": self.payee.party_id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
        let drafted = self.post(&self.client, "/v1/contracts", None, body).await.success().unwrap();
        let contract =
            Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() };
        let path = format!("/v1/contracts/{}/offer", contract.id);
        self.post(&self.client, &path, Some("\"1\""), json!({})).await.success().unwrap();
        contract
    }

    async fn accepted(&self) -> Contract {
        let contract = self.offered().await;
        let path = format!("/v1/contracts/{}/accept", contract.id);
        self.post(&self.payee, &path, Some("\"2\""), json!({})).await.success().unwrap();
        contract
    }

    async fn fund(&self, contract: &Contract, method: &str) -> Answer {
        let body = json!({
            "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
            "currency": "USD", "payment_method": method,
        });
        self.post(&self.client, &format!("/v1/contracts/{}/fundings", contract.id), None, body).await
    }

    async fn funded(&self) -> Contract {
        let contract = self.accepted().await;
        self.fund(&contract, "pm_card_visa").await.success().unwrap();
        self.at(Self::begin()).await;
        contract
    }

    async fn approve(&self, contract: &Contract, version: &str, body: Value) -> Answer {
        let path = format!("/v1/milestones/{}/approve", contract.milestone);
        self.post(&self.client, &path, Some(version), body).await
    }

    async fn released(&self) -> Contract {
        let contract = self.funded().await;
        self.approve(&contract, "\"3\"", json!({})).await.success().unwrap();
        self.at(Self::begin()).await;
        contract
    }

    async fn count(&self, event_type: &str) -> usize {
        let events = self.api.events(&self.admin.token, 0).await.unwrap();
        events.iter().filter(|event| event.r#type == event_type).count()
    }

    async fn head(&self) -> u64 {
        self.api.events(&self.admin.token, 0).await.unwrap().last().map_or(0, |event| event.position)
    }

    /// The trial balance that the API shows, checked against a recount of the log.
    async fn books(&self) -> BTreeMap<String, i128> {
        let shown = nets_shown(&self.api.trial_balance(&self.admin.token).await.unwrap());
        let events = self.api.events(&self.admin.token, 0).await.unwrap();
        assert_eq!(nets_of(&recount(&events)), shown);
        shown.into_iter().map(|((account, _), net)| (account, net)).collect()
    }

    /// Asks for something that is refused, and sees that nothing was written.
    async fn refused(&self, status: u16, code: &str, answer: impl Future<Output = Answer>) -> Answer {
        let before = self.head().await;
        let answer = answer.await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("request-id"), answer.body["request_id"].as_str());
        assert_eq!(answer.body["type"], json!(format!("/problems/{}", code.replace('_', "-"))));
        assert_eq!(self.head().await, before, "a refusal writes nothing");
        answer
    }
}

fn books(lines: &[(&str, i128)]) -> BTreeMap<String, i128> {
    lines.iter().map(|(account, net)| ((*account).to_owned(), *net)).collect()
}

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
}

/// D-13: the webhook comes before the provider has answered our call.
#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_funds_once() {
    let world = World::new().await;
    let hold = json!([{ "on": "POST /v1/payment_intents", "action": "hold_response", "ms": 1500, "times": 1 }]);
    world.sandbox(hold).await;
    world.funded().await;
    assert_eq!((world.count("escrow.funded").await, world.count("funding.succeeded").await), (1, 1));
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
}

/// D-31, D-42, D-46, D-118, D-175: release, clearance at the instant and not before, completion, payout, and the books.
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

    let clears = World::begin() + TimeDelta::days(5);
    world.at(clears - TimeDelta::seconds(1)).await;
    let balance =
        |answer: Answer| (answer.body["data"][0]["pending"].clone(), answer.body["data"][0]["available"].clone());
    assert_eq!(balance(world.get(&world.payee, "/v1/balances/me").await), (json!(90_000), json!(0)));
    world.at(clears).await;
    assert_eq!(balance(world.get(&world.payee, "/v1/balances/me").await), (json!(0), json!(90_000)));

    let more = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 90_001, "currency": "USD" }));
    let problem = world.refused(422, "insufficient_available", more).await;
    assert_eq!(problem.body["available"], 90_000);
    let payout = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 90_000, "currency": "USD" })).await;
    world.at(clears + TimeDelta::days(2)).await;
    let path = format!("/v1/payouts/{}", payout.success().unwrap().text("/id").unwrap());
    assert_eq!(world.get(&world.payee, &path).await.body["status"], "paid");
    let booked = [("1120", 11_925), ("5100", 3075), ("4100", -10_000), ("4110", -5000)];
    assert_eq!(world.books().await, books(&booked));
}

/// D-34, D-48, D-154: approval without a submission; the same key again has no second effect and the same answer.
#[tokio::test]
async fn an_approval_that_is_repeated_releases_once() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    let first = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({})).await.success().unwrap();
    for _ in 0..3 {
        let again = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({})).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.header("log-position"), first.header("log-position"));
    }
    assert_eq!((world.count("milestone.approved").await, world.count("escrow.released").await), (1, 1));
    let mismatch = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({ "amount": 99_900 }));
    // D-155.
    world.refused(422, "idempotency_mismatch", mismatch).await;
    let twice = world.approve(&contract, "\"5\"", json!({}));
    world.refused(409, "milestone_already_approved", twice).await;
}

/// D-35, D-69: more than is held, another currency, before the money is there.
#[tokio::test]
async fn what_the_money_does_not_allow_is_refused() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let early = world.approve(&contract, "\"1\"", json!({}));
    world.refused(409, "milestone_not_funded", early).await;
    let euros = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "EUR", "payment_method": "pm_card_visa",
    });
    let path = format!("/v1/contracts/{}/fundings", contract.id);
    world.refused(422, "currency_mismatch", world.post(&world.client, &path, None, euros)).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin()).await;
    let more = world.approve(&contract, "\"3\"", json!({ "amount": 100_001 }));
    assert_eq!(world.refused(422, "exceeds_held", more).await.body["held"], 100_000);
    let less = world.approve(&contract, "\"3\"", json!({ "amount": 99_999 }));
    assert_eq!(world.refused(422, "validation_failed", less).await.body["errors"][0]["pointer"], "/amount");
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
    let fund = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "USD", "payment_method": "pm_card_visa",
    });
    let path = format!("/v1/contracts/{}/fundings", contract.id);
    world.refused(404, "not_found", world.post(&world.outsider, &path, None, fund)).await;
    let page = world.get(&world.outsider, "/v1/contracts").await;
    assert_eq!(page.body["data"], json!([]));
    // A party in the other role is told what it may not do.
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    world.refused(403, "forbidden", world.post(&world.payee, &path, Some("\"3\""), json!({}))).await;
    world.refused(403, "forbidden", world.get(&world.client, "/v1/events")).await;
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
    let cases: [Case; 11] = [
        (|body| body["milestones"][0]["amount"] = json!(0), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!(-5), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!(10.5), 422, "validation_failed", "/milestones/0/amount"),
        (|body| body["milestones"][0]["amount"] = json!("100"), 422, "validation_failed", "/milestones/0/amount"),
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
    }
    let unknown = world.post(&world.client, "/v1/contracts", None, draft(|body| body["surprise"] = json!(1)));
    world.refused(422, "validation_failed", unknown).await;
    let large = draft(|body| body["reference"] = json!("x".repeat(70_000)));
    world.refused(413, "payload_too_large", world.post(&world.client, "/v1/contracts", None, large)).await;

    let raw = |content_type: &'static str, text: &'static str| {
        let request = reqwest::Client::new()
            .post(format!("{}/v1/contracts", world.server.base_url()))
            .bearer_auth(&world.client.token)
            .header("Idempotency-Key", "raw")
            .header("content-type", content_type)
            .body(text);
        async move {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            Answer { status, headers, body: response.json().await.unwrap() }
        }
    };
    world.refused(400, "malformed_request", raw("application/json", "{\"payee_id\":")).await;
    world.refused(415, "unsupported_media_type", raw("text/plain", "hello")).await;
    world.refused(400, "not_a_valid_id", world.get(&world.client, "/v1/contracts/ctr_1")).await;
    world.refused(404, "not_found", world.get(&world.client, "/v1/nothing")).await;
    let stranger = MadeToken { party_id: world.client.party_id, token: format!("ern_{}", "0".repeat(64)) };
    let problem = world.refused(401, "unauthenticated", world.get(&stranger, "/v1/contracts")).await;
    assert_eq!(problem.header("www-authenticate"), Some("Bearer"));
    let early = World::begin() - TimeDelta::seconds(1);
    let path = "/v1/test_clocks/clk_main/advance";
    let back = async { world.api.post(path, &world.admin.token, &[], &json!({ "to": early })).await.unwrap() };
    world.refused(422, "clock_backwards", back).await;
    let path = "/v1/psp/webhooks/stripe";
    let forged =
        async { world.api.post(path, "none", &[("Stripe-Signature", "t=1,v1=00")], &json!({})).await.unwrap() };
    world.refused(400, "invalid_signature", forged).await;
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
}

/// D-07: the fees of a contract are those that it was offered with, shown and taken.
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
}

/// D-156, I5, I6: 64 approvals at once over two servers, three ways; one release each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_approvals_one_releases() {
    let world = World::new().await;
    let second = Server::start(ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: world.database.app_options.clone(),
        tenant: "main".parse().unwrap(),
        test_clock: None,
        provider: ProviderConfig::Remote {
            base_url: world.server.sandbox_url(),
            secret_key: Secret::new(world.server.sandbox_key().unwrap()),
            webhook_secrets: Vec::new(),
            connect_webhook_secrets: Vec::new(),
        },
        allow_owner: false,
    })
    .await
    .unwrap();
    let servers = [world.api.clone(), ApiClient::new(second.base_url())];
    for way in ["one key", "many keys", "many keys, many versions"] {
        let contract = world.funded().await;
        let mut approvals = tokio::task::JoinSet::new();
        for number in 0..64_usize {
            let (api, token) = (servers[number % 2].clone(), world.client.token.clone());
            let path = format!("/v1/milestones/{}/approve", contract.milestone);
            let key = if way == "one key" { contract.id.clone() } else { format!("{}-{number}", contract.id) };
            let version = if way == "many keys, many versions" && number % 3 == 0 { "\"2\"" } else { "\"3\"" };
            approvals.spawn(async move {
                let headers = [("Idempotency-Key", key.as_str()), ("If-Match", version)];
                api.post(&path, &token, &headers, &json!({})).await.unwrap()
            });
        }
        let (mut first, mut replays) = (0, 0);
        while let Some(answer) = approvals.join_next().await {
            let answer = answer.unwrap();
            match (answer.status.as_u16(), answer.header("idempotent-replayed")) {
                (200, None) => first += 1,
                (200, Some(_)) => replays += 1,
                (409, _) => {
                    let code = answer.body["code"].as_str().unwrap();
                    let known = ["milestone_already_approved", "idempotency_in_progress", "conflict_retry"];
                    assert!(known.contains(&code), "{}", answer.body);
                }
                (412, _) => assert_eq!(answer.body["code"], "version_mismatch"),
                _ => panic!("{}: {}", answer.status, answer.body),
            }
        }
        assert_eq!(first, 1, "{way}");
        assert!(way == "one key" || replays == 0);
    }
    assert_eq!((world.count("milestone.approved").await, world.count("escrow.released").await), (3, 3));
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    assert!((1_u64..).zip(&events).all(|(position, event)| event.position == position));
    world.books().await;
    second.shutdown().await;
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
    let description = world.get(&world.admin, "/openapi.json").await;
    assert!(description.body["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in description.body["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(operation["responses"]["default"].is_object(), "{path}");
        }
    }
    assert_eq!(world.get(&world.admin, "/docs/").await.status, 200);
    for path in ["/healthz", "/readyz", "/version", "/metrics"] {
        assert_eq!(world.get(&world.admin, path).await.status, 200, "{path}");
    }
}
