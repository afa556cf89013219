//! The sandbox over HTTP: objects as Stripe shows them, money that adds up, keys, clock, faults and webhooks.
//!
//! Every test has a database of its own. Waiting is for something to happen, never for time to pass; the limit is there
//! for a broken sandbox only.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sandbox_support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use api::sandbox::{FeeRule, SandboxClock, SandboxConfig, SandboxError, WebhookTarget, start};
use sandbox_support::*;
use serde_json::{Value, json};
use stripe_webhook::{EventObject, Webhook};

#[tokio::test]
async fn every_object_has_the_fields_of_stripes_own() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();

    let payee = client.post("v1/accounts", &[("type", "custom"), ("country", "DE")]).await.ok();
    let payee_id = id(&payee).to_owned();
    shapes.check(&payee);
    shapes.check(&payee["external_accounts"]["data"][0]);
    assert_eq!(payee["default_currency"], "eur");
    assert_eq!((&payee["charges_enabled"], &payee["payouts_enabled"]), (&json!(true), &json!(true)));
    shapes.check(&client.post("v1/accounts", &[("controller[losses][payments]", "application")]).await.ok());
    shapes.check(&client.get("v1/balance").await.ok());

    let everything = [
        ("expand[]", "latest_charge.balance_transaction.source"),
        ("metadata[funding_id]", "fnd_1"),
        ("transfer_group", "ctr_1"),
        ("description", "Milestone 1"),
        ("receipt_email", "client@example.com"),
    ];
    let mut paid = client.pay("105000", &everything).await;
    let charge = paid["latest_charge"].take();
    shapes.check(&charge);
    shapes.check(&charge["balance_transaction"]);
    shapes.check(&charge["balance_transaction"]["source"]);
    assert_eq!(charge["metadata"], json!({ "funding_id": "fnd_1" }));
    assert_eq!(charge["transfer_group"], "ctr_1");
    shapes.check(&paid);

    let intent = |token: &'static str, confirm: &'static str| {
        let client = client.clone();
        async move {
            let fields = [("amount", "5000"), ("currency", "eur"), ("payment_method", token), ("confirm", confirm)];
            client.post("v1/payment_intents", &fields).await
        }
    };
    let declined = intent("pm_card_chargeDeclined", "true").await.json()["error"].clone();
    shapes.check(&declined["payment_intent"]);
    shapes.check(&declined["payment_method"]);
    shapes.check(&client.get(&format!("v1/charges/{}", declined["charge"].as_str().unwrap())).await.ok());
    shapes.check(&intent("pm_card_authenticationRequired", "true").await.ok());
    let waiting = intent("pm_card_visa", "false").await.ok();
    shapes.check(&waiting);
    shapes.check(&client.post(&format!("v1/payment_intents/{}/cancel", id(&waiting)), &[]).await.ok());
    shapes.check(&client.post("v1/payment_intents", &[("amount", "100"), ("currency", "usd")]).await.ok());

    client.clock("2026-12-03T10:00:00Z").await;
    let transfer = [("amount", "90000"), ("currency", "usd"), ("destination", payee_id.as_str())];
    let transfer = client.post("v1/transfers", &transfer).await.ok();
    shapes.check(&transfer);
    let payee = client.on(&payee_id);
    let payment = payee.get(&format!("v1/charges/{}", transfer["destination_payment"].as_str().unwrap())).await.ok();
    shapes.check(&payment);
    shapes.check(&payee.get("v1/balance").await.ok());
    let usd = [("amount", "90000"), ("currency", "usd")];
    let refused = payee.post("v1/payouts", &usd).await;
    assert_eq!(refused.status, 400, "there is a bank account in euros only");
    let path = format!("v1/accounts/{payee_id}/external_accounts");
    client.post(&path, &[("external_account", "btok_us_verified")]).await.ok();
    let payout = payee.post("v1/payouts", &usd).await.ok();
    shapes.check(&payout);
    client.clock("2026-12-04T10:00:00Z").await;
    shapes.check(&payee.get(&format!("v1/payouts/{}", id(&payout))).await.ok());

    for client in [&client, &payee] {
        for list in ["payment_intents", "charges", "balance_transactions", "transfers", "payouts", "events"] {
            let list = client.get(&format!("v1/{list}?limit=100")).await.ok();
            assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
            for object in list["data"].as_array().unwrap() {
                shapes.check(object);
                if object["object"] == "event" {
                    shapes.check(&object["data"]["object"]);
                }
            }
        }
    }
}

// Payments

#[tokio::test]
async fn a_card_pays_into_the_pending_balance_and_two_days_later_it_is_available() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    let paid = client.pay("105000", &[("expand[]", "latest_charge.balance_transaction")]).await;
    assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(105_000)));
    assert_eq!(paid["created"], at(START).timestamp());
    let entry = &paid["latest_charge"]["balance_transaction"];
    assert_eq!((&entry["amount"], &entry["fee"], &entry["net"]), (&json!(105_000), &json!(3_075), &json!(101_925)));
    assert_eq!(entry["fee_details"][0]["amount"], 3_075);
    assert_eq!(entry["status"], "pending");
    assert_eq!(entry["available_on"], at("2026-12-03T10:00:00Z").timestamp());
    assert_eq!(client.balance().await, (0, 101_925));

    let status = client.clock("2026-12-03T09:59:59Z").await;
    assert_eq!(status["next_due_at"], "2026-12-03T10:00:00Z");
    assert_eq!(status["clock"], json!({ "mode": "test", "now": "2026-12-03T09:59:59Z" }));
    assert_eq!(client.balance().await, (0, 101_925));

    let status = client.clock("2026-12-03T10:00:00Z").await;
    assert_eq!(status["next_due_at"], Value::Null);
    assert_eq!(client.balance().await, (101_925, 0));
    let entry = client.get(&format!("v1/balance_transactions/{}", id(entry))).await.ok();
    assert_eq!(entry["status"], "available");
    platform.wait_for("balance.available").await;
    let events = platform.events();
    let available = events.iter().find(|event| event["type"] == "balance.available").unwrap();
    assert_eq!(available["data"]["object"]["available"][0]["amount"], 101_925);
    assert_eq!(available["created"], at("2026-12-03T10:00:00Z").timestamp());
}

#[tokio::test]
async fn currencies_without_minor_units_have_the_fee_in_whole_units() {
    let (_sandbox, client) = running().await;
    let yen = [
        ("amount", "10500"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("capture_method", "automatic"),
        ("expand[0]", "latest_charge.balance_transaction"),
    ];
    let paid = client.post("v1/payment_intents", &yen).await.ok();
    let entry = &paid["latest_charge"]["balance_transaction"];
    assert_eq!((&entry["fee"], &entry["net"]), (&json!(335), &json!(10_165)), "304.5 is rounded to 305, plus 30");
}

#[tokio::test]
async fn the_fee_and_the_delays_can_be_configured() {
    let fee = FeeRule { rate_bps: 150, fixed_two_decimal: 25, ..FeeRule::default() };
    let config = SandboxConfig {
        fee,
        availability_delay: Duration::ZERO,
        arrival_delay: Duration::from_secs(60),
        ..config(&database().await)
    };
    let sandbox = start(config).await.unwrap();
    let client = Client::of(&sandbox);
    client.pay("10000", &[]).await;
    assert_eq!(client.balance().await, (9_825, 0), "available at once");
    let payout = client.post("v1/payouts", &[("amount", "9825"), ("currency", "usd")]).await.ok();
    assert_eq!(payout["arrival_date"], at("2026-12-01T10:01:00Z").timestamp());
}

#[tokio::test]
async fn with_asynchronous_capture_the_balance_transaction_comes_after_the_answer() {
    let (_sandbox, client) = running().await;
    let fields = [
        ("amount", "105000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("expand[]", "latest_charge.balance_transaction"),
    ];
    let paid = client.post("v1/payment_intents", &fields).await.ok();
    assert_eq!(paid["capture_method"], "automatic_async", "Stripe's default");
    assert_eq!(paid["latest_charge"]["balance_transaction"], Value::Null);
    let later =
        client.get(&format!("v1/payment_intents/{}?expand[]=latest_charge.balance_transaction", id(&paid))).await;
    assert_eq!(later.ok()["latest_charge"]["balance_transaction"]["net"], 101_925);
    assert_eq!(
        client.event_types().await,
        ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "charge.updated"]
    );
    let updated = client.get("v1/events?type=charge.updated").await.ok()["data"][0].clone();
    assert_eq!(updated["data"]["previous_attributes"], json!({ "balance_transaction": null }));
    assert!(updated["data"]["object"]["balance_transaction"].is_string());
    let succeeded = client.get("v1/events?type=charge.succeeded").await.ok()["data"][0].clone();
    assert_eq!(succeeded["data"]["object"]["balance_transaction"], Value::Null);
}

#[tokio::test]
async fn a_declined_card_leaves_an_intent_that_takes_another_one() {
    let (_sandbox, client) = running().await;
    let fields = [
        ("amount", "105000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_chargeDeclined"),
        ("confirm", "true"),
        ("capture_method", "automatic"),
    ];
    let (status, error) = client.keyed("pay-1").post("v1/payment_intents", &fields).await.error();
    assert_eq!(status, 402);
    assert_eq!(
        (&error["type"], &error["code"], &error["decline_code"]),
        (&json!("card_error"), &json!("card_declined"), &json!("generic_decline"))
    );
    let intent = &error["payment_intent"];
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["code"], "card_declined");
    assert_eq!(intent["payment_method"], Value::Null);
    assert_eq!(client.balance().await, (0, 0));

    let again = client.keyed("pay-1").post("v1/payment_intents", &fields).await;
    assert_eq!((again.status, again.json()["error"].clone()), (402, error.clone()), "a decline is a stored answer");

    let confirm = format!("v1/payment_intents/{}/confirm", id(intent));
    assert_eq!(client.post(&confirm, &[]).await.code(), (400, "payment_intent_unexpected_state".to_owned()));
    let paid = client.post(&confirm, &[("payment_method", "pm_card_visa")]).await.ok();
    assert_eq!((&paid["status"], &paid["last_payment_error"]), (&json!("succeeded"), &Value::Null));
    let charges = client.get(&format!("v1/charges?payment_intent={}", id(&paid))).await.ok();
    let statuses: Vec<_> =
        charges["data"].as_array().unwrap().iter().map(|charge| charge["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["succeeded", "failed"], "newest first");
    assert_eq!(
        client.event_types().await,
        [
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "charge.succeeded",
            "payment_intent.succeeded"
        ]
    );
    let (status, error) = client.post(&confirm, &[]).await.error();
    assert_eq!((status, &error["code"]), (400, &json!("payment_intent_unexpected_state")));
    assert_eq!(error["payment_intent"]["status"], "succeeded");
}

#[tokio::test]
async fn an_intent_that_requires_action_can_be_cancelled_once() {
    let (_sandbox, client) = running().await;
    let fields = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_authenticationRequired"),
        ("confirm", "true"),
        ("return_url", "https://example.com/back"),
    ];
    let intent = client.post("v1/payment_intents", &fields).await.ok();
    assert_eq!(intent["status"], "requires_action");
    assert_eq!(intent["next_action"]["redirect_to_url"]["return_url"], "https://example.com/back");
    let cancel = format!("v1/payment_intents/{}/cancel", id(&intent));
    let canceled = client.post(&cancel, &[("cancellation_reason", "abandoned")]).await.ok();
    assert_eq!((&canceled["status"], &canceled["cancellation_reason"]), (&json!("canceled"), &json!("abandoned")));
    assert_eq!(canceled["canceled_at"], at(START).timestamp());
    assert_eq!(client.post(&cancel, &[]).await.code(), (400, "payment_intent_unexpected_state".to_owned()));
    let confirm = format!("v1/payment_intents/{}/confirm", id(&intent));
    let late = client.post(&confirm, &[("payment_method", "pm_card_visa")]).await;
    assert_eq!(late.code(), (400, "payment_intent_unexpected_state".to_owned()));
    assert_eq!(
        client.event_types().await,
        ["payment_intent.created", "payment_intent.requires_action", "payment_intent.canceled"]
    );
    let alone = [&fields[..4], &[("off_session", "true")]].concat();
    assert_eq!(client.post("v1/payment_intents", &alone).await.code(), (402, "authentication_required".to_owned()));
}

#[tokio::test]
async fn an_intent_confirmed_many_times_at_once_is_paid_once() {
    let (_sandbox, client) = running().await;
    let fields = [("amount", "5000"), ("currency", "usd"), ("payment_method", "pm_card_visa")];
    let intent = client.post("v1/payment_intents", &fields).await.ok();
    let confirm = format!("v1/payment_intents/{}/confirm", id(&intent));
    let confirmations = (0..16).map(|_| client.post(&confirm, &[]));
    let statuses: Vec<u16> = futures::future::join_all(confirmations).await.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(client.balance().await, (0, 5_000 - 175));
}

// Transfers and payouts

#[tokio::test]
async fn money_goes_from_the_platform_to_the_payee_and_to_the_bank() {
    let (_sandbox, client, platform, connect) = with_receivers().await;
    let payee_id = client.account().await;
    let payee = client.on(&payee_id);
    client.pay("105000", &[]).await;
    let transfer = [
        ("amount", "90000"),
        ("currency", "usd"),
        ("destination", payee_id.as_str()),
        ("transfer_group", "ctr_1"),
        ("metadata[payout_id]", "pyt_1"),
    ];
    let early = client.post("v1/transfers", &transfer).await;
    assert_eq!(early.code(), (400, "balance_insufficient".to_owned()), "pending is not available");
    client.clock("2026-12-03T10:00:00Z").await;

    let made = client.post("v1/transfers", &transfer).await.ok();
    assert_eq!((&made["amount"], &made["metadata"]), (&json!(90_000), &json!({ "payout_id": "pyt_1" })));
    assert_eq!((client.balance().await, payee.balance().await), ((11_925, 0), (90_000, 0)));
    let entries = client.get(&format!("v1/balance_transactions?source={}", id(&made))).await.ok();
    assert_eq!((&entries["data"][0]["net"], &entries["data"][0]["type"]), (&json!(-90_000), &json!("transfer")));
    assert_eq!(payee.get("v1/balance_transactions?type=payment").await.ok()["data"][0]["net"], 90_000);
    for query in ["transfer_group=ctr_1".to_owned(), format!("destination={payee_id}")] {
        assert_eq!(client.get(&format!("v1/transfers?{query}")).await.ok()["data"][0]["id"], made["id"]);
    }
    assert_eq!(client.get("v1/transfers?transfer_group=ctr_2").await.ok()["data"], json!([]));

    let too_much = payee.post("v1/payouts", &[("amount", "90001"), ("currency", "usd")]).await;
    assert_eq!(too_much.code(), (400, "balance_insufficient".to_owned()));
    let made = payee.post("v1/payouts", &[("amount", "90000"), ("currency", "usd"), ("metadata[a]", "b")]).await.ok();
    assert_eq!((&made["status"], &made["automatic"]), (&json!("pending"), &json!(false)));
    assert_eq!(made["arrival_date"], at("2026-12-04T10:00:00Z").timestamp());
    assert!(made["destination"].as_str().unwrap().starts_with("ba_"));
    assert_eq!(payee.balance().await, (0, 0));
    let path = format!("v1/payouts/{}", id(&made));
    assert_eq!(client.get(&path).await.code(), (404, "resource_missing".to_owned()), "it is the payee's");
    let status = client.clock("2026-12-04T09:59:59Z").await;
    assert_eq!(status["next_due_at"], "2026-12-04T10:00:00Z");
    assert_eq!(payee.get(&path).await.ok()["status"], "in_transit");
    client.clock("2026-12-10T00:00:00Z").await;
    assert_eq!(payee.get(&path).await.ok()["status"], "paid");
    let entry = payee.get(&format!("v1/balance_transactions?payout={}", id(&made))).await.ok();
    assert_eq!((&entry["data"][0]["net"], &entry["data"][0]["type"]), (&json!(-90_000), &json!("payout")));

    assert_eq!(payee.event_types().await, ["payout.created", "payout.updated", "payout.paid"]);
    drained(&client).await;
    assert!(!platform.types().iter().any(|kind| kind.starts_with("payout.")), "{:?}", platform.types());
    assert!(platform.types().contains(&"transfer.created".to_owned()));
    let mut told = connect.events();
    told.sort_by_key(|event| event["created"].as_i64());
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event["account"] == payee_id.as_str()));
    assert_eq!(told[2]["created"], at("2026-12-04T10:00:00Z").timestamp(), "dated when it was due");
}

#[tokio::test]
async fn a_balance_is_never_overdrawn_and_is_the_sum_of_its_entries() {
    let (_sandbox, client) = running().await;
    let payee_id = client.account().await;
    client.pay("100000", &[]).await;
    client.clock("2026-12-03T10:00:00Z").await;
    assert_eq!(client.balance().await, (97_070, 0));
    let transfer = [("amount", "30000"), ("currency", "usd"), ("destination", payee_id.as_str())];
    let transfers = (0..12).map(|_| client.post("v1/transfers", &transfer));
    let replies = futures::future::join_all(transfers).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 3);
    assert!(replies.iter().all(|reply| reply.status == 200 || reply.code().1 == "balance_insufficient"));
    for client in [client.clone(), client.on(&payee_id)] {
        let entries = client.get("v1/balance_transactions?limit=100").await.ok();
        let sum: i64 = entries["data"].as_array().unwrap().iter().map(|entry| entry["net"].as_i64().unwrap()).sum();
        let (available, pending) = client.balance().await;
        assert_eq!(available + pending, sum);
    }
    assert_eq!(client.balance().await.0, 7_070);
}

// Keys

#[tokio::test]
async fn a_key_repeated_gets_the_same_answer_and_no_second_payment() {
    let (_sandbox, client) = running().await;
    let fields = [("amount", "5000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let first = client.keyed("k1").post("v1/payment_intents", &fields).await;
    let mut turned = fields;
    turned.reverse();
    let again = client.keyed("k1").post("v1/payment_intents", &turned).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["original-request"], first.headers["request-id"]);
    assert_ne!(again.headers["request-id"], first.headers["request-id"]);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(client.get("v1/payment_intents").await.ok()["data"].as_array().unwrap().len(), 1);

    let (status, error) =
        client.keyed("k1").post("v1/payment_intents", &[("amount", "5001"), ("currency", "usd")]).await.error();
    assert_eq!((status, &error["type"]), (400, &json!("idempotency_error")));
    let elsewhere = client.keyed("k1").post("v1/accounts", &[]).await;
    assert_eq!(elsewhere.error().1["type"], "idempotency_error", "another path");
    let payee = client.on(&client.account().await);
    assert_ne!(payee.keyed("k1").post("v1/payment_intents", &fields).await.ok()["id"], first.ok()["id"]);

    let bad = client.keyed("k2").post("v1/payment_intents", &[("currency", "usd")]).await;
    assert_eq!(bad.code(), (400, "parameter_missing".to_owned()));
    client.keyed("k2").post("v1/payment_intents", &fields).await.ok();

    let payout = [("amount", "1"), ("currency", "usd")];
    assert_eq!(client.keyed("k3").post("v1/payouts", &payout).await.code().1, "balance_insufficient");
    client.clock("2026-12-04T00:00:00Z").await;
    assert_eq!(client.keyed("k3").post("v1/payouts", &payout).await.code().1, "balance_insufficient", "stored");
    client.keyed("k4").post("v1/payouts", &payout).await.ok();
}

#[tokio::test]
async fn a_key_that_is_under_way_is_in_use() {
    let (_sandbox, client) = running().await;
    let hold = json!([{ "on": "POST /v1/payment_intents", "action": "hold_execution", "ms": 3_600_000 }]);
    client.control("faults", &hold).await.ok();
    let client = client.keyed("k1");
    let fields = [("amount", "5000"), ("currency", "usd")];
    // One of the two is held with the key taken; whichever it is, the other is told so and is back first.
    let mut both = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        both.spawn(async move { client.post("v1/payment_intents", &fields).await });
    }
    let refused = both.join_next().await.unwrap().unwrap();
    assert_eq!(refused.code(), (409, "idempotency_key_in_use".to_owned()));
    assert_eq!(refused.error().1["type"], "idempotency_error");
    client.clear_faults().await;
    let first = both.join_next().await.unwrap().unwrap();
    assert_eq!(client.post("v1/payment_intents", &fields).await.text, first.text);
    first.ok();
}

#[tokio::test]
async fn a_key_sent_many_times_at_once_is_carried_out_once() {
    let (_sandbox, client) = running().await;
    let fields = [("amount", "5000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let client = client.keyed("k1");
    let replies = futures::future::join_all((0..32).map(|_| client.post("v1/payment_intents", &fields))).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 409)));
    assert!(replies.iter().any(|reply| reply.status == 200));
    assert_eq!(client.get("v1/payment_intents").await.ok()["data"].as_array().unwrap().len(), 1);
}

// Faults

#[tokio::test]
async fn faults_before_the_execution_leave_nothing_and_can_be_tried_again() {
    let (_sandbox, client) = running().await;
    let faults = json!([
        { "on": "POST /v1/payment_intents", "action": "error_500" },
        { "on": "POST /v1/payment_intents", "action": "rate_limited", "times": 2 },
    ]);
    client.control("faults", &faults).await.ok();
    let client = client.keyed("k1");
    let fields = [("amount", "5000"), ("currency", "usd")];
    let (status, error) = client.post("v1/payment_intents", &fields).await.error();
    assert_eq!((status, &error["type"]), (500, &json!("api_error")));
    for _ in 0..2 {
        assert_eq!(client.post("v1/payment_intents", &fields).await.code(), (429, "rate_limit".to_owned()));
    }
    assert_eq!(client.get("v1/payment_intents").await.ok()["data"], json!([]));
    client.post("v1/payment_intents", &fields).await.ok();
}

#[tokio::test]
async fn a_connection_closed_after_success_leaves_a_payment_that_the_key_finds() {
    let (_sandbox, client) = running().await;
    let fault = json!([{ "on": "POST /v1/payment_intents", "action": "timeout_after_success" }]);
    client.control("faults", &fault).await.ok();
    let fields = [("amount", "5000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let client = client.keyed("k1");
    let lost = client.try_post("v1/payment_intents", &fields).await;
    assert!(lost.is_err(), "{lost:?}");
    let found = client.post("v1/payment_intents", &fields).await;
    assert_eq!(found.headers["idempotent-replayed"], "true");
    assert_eq!(found.ok()["status"], "succeeded");
    assert_eq!(client.get("v1/payment_intents").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_webhook_can_arrive_before_the_answer() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    let hold = json!([{ "on": "POST /v1/payment_intents", "action": "hold_response", "ms": 3_600_000 }]);
    client.control("faults", &hold).await.ok();
    let answer = tokio::spawn({
        let client = client.clone();
        async move { client.pay("5000", &[]).await }
    });
    platform.wait_for("payment_intent.succeeded").await;
    assert!(!answer.is_finished());
    client.clear_faults().await;
    assert_eq!(answer.await.unwrap()["status"], "succeeded");
}

#[tokio::test]
async fn faults_that_make_no_sense_are_refused() {
    let (_sandbox, client) = running().await;
    for rules in [
        json!({ "on": "POST /v1/payouts", "action": "error_500" }),
        json!([{ "on": "POST /v1/payouts", "action": "explode" }]),
        json!([{ "on": "webhook *", "action": "error_500" }]),
        json!([{ "on": "payouts", "action": "error_500" }]),
    ] {
        assert_eq!(client.control("faults", &rules).await.status, 422, "{rules}");
    }
}

// Webhooks

#[tokio::test]
async fn webhooks_are_signed_and_read_by_stripes_own_library() {
    let (_sandbox, client, platform, connect) = with_receivers().await;
    let payee_id = client.account().await;
    let payee = client.on(&payee_id);
    let keyed = client.keyed("pay-1");
    let fields = [("amount", "105000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let intent = keyed.post("v1/payment_intents", &fields).await;
    for (token, _) in [("pm_card_chargeDeclined", 402), ("pm_card_authenticationRequired", 200)] {
        let fields = [("amount", "5000"), ("currency", "usd"), ("payment_method", token), ("confirm", "true")];
        client.post("v1/payment_intents", &fields).await;
    }
    let idle = client.post("v1/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await.ok();
    client.post(&format!("v1/payment_intents/{}/cancel", id(&idle)), &[]).await.ok();
    client.clock("2026-12-03T10:00:00Z").await;
    let transfer = [("amount", "90000"), ("currency", "usd"), ("destination", payee_id.as_str())];
    client.post("v1/transfers", &transfer).await.ok();
    payee.post("v1/payouts", &[("amount", "90000"), ("currency", "usd")]).await.ok();
    client.clock("2026-12-05T10:00:00Z").await;
    drained(&client).await;

    let mut kinds = Vec::new();
    for (receiver, secret) in [(&platform, SECRET), (&connect, CONNECT_SECRET)] {
        for (signature, body) in receiver.got() {
            let event = Webhook::construct_event(&body, &signature, secret).unwrap();
            assert!(!matches!(event.data.object, EventObject::Unknown(_)), "{body}");
            assert_eq!(event.account.is_some(), secret == CONNECT_SECRET);
            kinds.push(event.type_.as_str().to_owned());
            assert!(Webhook::construct_event(&body, &signature, "whsec_other").is_err());
            assert!(Webhook::construct_event(&body.replace("event", "evert"), &signature, secret).is_err());
        }
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "balance.available",
            "charge.failed",
            "charge.succeeded",
            "charge.updated",
            "payment_intent.canceled",
            "payment_intent.created",
            "payment_intent.payment_failed",
            "payment_intent.requires_action",
            "payment_intent.succeeded",
            "payout.created",
            "payout.paid",
            "payout.updated",
            "transfer.created"
        ]
    );
    let events = platform.events();
    let succeeded = events.iter().find(|event| event["type"] == "payment_intent.succeeded").unwrap();
    let cause = json!({ "id": intent.headers["request-id"].to_str().unwrap(), "idempotency_key": "pay-1" });
    assert_eq!(succeeded["request"], cause);
    let fetched = client.get(&format!("v1/events/{}", id(succeeded))).await.ok();
    assert_eq!(fetched["pending_webhooks"], 0);
    assert_eq!(fetched["data"], succeeded["data"]);
}

#[tokio::test]
async fn a_duplicated_webhook_arrives_as_often_as_asked() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    let fault = json!([{ "on": "webhook payment_intent.succeeded", "action": "duplicate", "copies": 5 }]);
    client.control("faults", &fault).await.ok();
    client.pay("5000", &[]).await;
    drained(&client).await;
    let copies: Vec<_> =
        platform.got().into_iter().filter(|(_, body)| body.contains("\"payment_intent.succeeded\"")).collect();
    assert_eq!(copies.len(), 5);
    assert!(copies.iter().all(|(_, body)| *body == copies[0].1), "the same event, byte for byte");
}

#[tokio::test]
async fn what_was_not_delivered_goes_out_after_a_restart() {
    let database = database().await;
    let nobody = WebhookTarget { url: "http://127.0.0.1:9/".to_owned(), secret: SECRET.to_owned(), connect: false };
    let sandbox = start(SandboxConfig { webhooks: vec![nobody], ..config(&database) }).await.unwrap();
    let client = Client::of(&sandbox);
    let paid = client.pay("5000", &[]).await;
    let balance = client.balance().await;
    client.clock("2026-12-01T12:00:00Z").await;
    assert_eq!(client.get("_sandbox/status").await.ok()["undelivered_webhooks"], 3);
    drop(sandbox); // At once, as after a crash.

    let platform = Receiver::start().await;
    let sandbox = start(SandboxConfig { webhooks: vec![platform.target(false)], ..config(&database) }).await.unwrap();
    let client = Client::of(&sandbox);
    drained(&client).await;
    let mut kinds = platform.types();
    kinds.sort();
    assert_eq!(kinds, ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]);
    for (signature, body) in platform.got() {
        Webhook::construct_event(&body, &signature, SECRET).unwrap();
    }
    // Everything else is still there, too.
    assert_eq!(client.get(&format!("v1/payment_intents/{}", id(&paid))).await.ok(), paid);
    assert_eq!(client.balance().await, balance);
    assert_eq!(client.get("_sandbox/status").await.ok()["clock"]["now"], "2026-12-01T12:00:00Z");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_refused_webhook_is_sent_again() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    platform.answer.store(500, Ordering::SeqCst);
    client.post("v1/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await.ok();
    platform.wait("the first attempt", |got| !got.is_empty()).await;
    platform.answer.store(200, Ordering::SeqCst);
    drained(&client).await;
    let got = platform.got();
    assert!(got.len() >= 2);
    assert!(got.iter().all(|(_, body)| *body == got[0].1));
}

#[tokio::test]
async fn a_lost_webhook_stays_lost_until_deliveries_are_flushed() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    client.control("faults", &json!([{ "on": "webhook charge.succeeded", "action": "drop" }])).await.ok();
    client.pay("5000", &[]).await;
    platform.wait("the others", |got| got.len() == 2).await;
    let waiting = async {
        while client.get("_sandbox/status").await.ok()["undelivered_webhooks"] != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert!(!platform.types().contains(&"charge.succeeded".to_owned()));
    assert_eq!(client.control("webhooks/flush", &json!({})).await.ok()["flushed"], 1);
    platform.wait_for("charge.succeeded").await;
    drained(&client).await;
}

#[tokio::test]
async fn webhooks_can_be_reordered_and_delayed() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    let faults = json!([
        { "on": "webhook payment_intent.created", "action": "reorder" },
        { "on": "webhook charge.succeeded", "action": "delay", "ms": 50 },
    ]);
    client.control("faults", &faults).await.ok();
    client.pay("5000", &[]).await;
    drained(&client).await;
    let order = platform.types();
    assert_eq!(order.len(), 3);
    assert_eq!(order[0], "payment_intent.succeeded", "{order:?}");
}

#[tokio::test]
async fn a_slow_receiver_does_not_slow_requests() {
    // It accepts connections and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let webhooks = vec![WebhookTarget { url, secret: SECRET.to_owned(), connect: false }];
    let sandbox = start(SandboxConfig { webhooks, ..config(&database().await) }).await.unwrap();
    let client = Client::of(&sandbox);
    for _ in 0..20 {
        client.pay("5000", &[]).await;
    }
    assert_eq!(client.get("_sandbox/status").await.ok()["undelivered_webhooks"], 60);
    sandbox.shutdown().await;
}

// Clock

#[tokio::test]
async fn a_test_clock_goes_forward_only_and_does_what_is_due_in_order() {
    let (_sandbox, client) = running().await;
    client.pay("5000", &[]).await;
    client.clock("2026-12-01T11:00:00Z").await;
    client.pay("7000", &[]).await;
    let back = client.control("clock", &json!({ "now": "2026-12-01T10:59:59Z" })).await;
    assert_eq!(back.status, 422);
    for body in [json!({}), json!({ "now": "tomorrow" }), json!({ "now": 5 })] {
        assert_eq!(client.control("clock", &body).await.status, 422, "{body}");
    }
    client.clock("2026-12-01T11:00:00Z").await;
    client.clock("2026-12-31T00:00:00Z").await;
    let events = client.get("v1/events?type=balance.available").await.ok();
    let told: Vec<(i64, i64)> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let amount = event["data"]["object"]["available"][0]["amount"].as_i64().unwrap();
            (event["created"].as_i64().unwrap(), amount)
        })
        .collect();
    let (first, second) = (at("2026-12-03T10:00:00Z").timestamp(), at("2026-12-03T11:00:00Z").timestamp());
    assert_eq!(told, [(second, 4_825 + 6_767), (first, 4_825)]);
    assert_eq!(client.get(&format!("v1/events?created[gte]={second}")).await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_system_clock_does_what_is_due_by_itself() {
    let platform = Receiver::start().await;
    let config = SandboxConfig {
        clock: SandboxClock::System,
        availability_delay: Duration::from_secs(1),
        webhooks: vec![platform.target(false)],
        ..config(&database().await)
    };
    let sandbox = start(config).await.unwrap();
    let client = Client::of(&sandbox);
    assert_eq!(client.get("_sandbox/status").await.ok()["clock"]["mode"], "system");
    client.pay("5000", &[]).await;
    platform.wait_for("balance.available").await;
    assert_eq!(client.balance().await, (4_825, 0));
    let back = client.control("clock", &json!({ "now": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(back.status, 422, "there are newer objects");
    let status = client.clock("2099-01-01T00:00:00Z").await;
    assert_eq!(status["clock"], json!({ "mode": "test", "now": "2099-01-01T00:00:00Z" }));
}

#[tokio::test]
async fn an_unused_system_clock_can_be_set_to_any_instant() {
    let sandbox = start(SandboxConfig { clock: SandboxClock::System, ..config(&database().await) }).await.unwrap();
    let client = Client::of(&sandbox);
    assert_eq!(client.clock("2020-01-01T00:00:00Z").await["clock"]["now"], "2020-01-01T00:00:00Z");
}

// Requests that are refused

#[tokio::test]
async fn nobody_gets_in_without_the_key() {
    let (_sandbox, client) = running().await;
    let get = |path: &str| client.http.get(format!("{}{path}", client.base));
    for path in ["v1/balance", "_sandbox/status", "v1/nowhere"] {
        let bare = get(path).send().await.unwrap();
        assert_eq!(bare.status(), 401, "{path}");
        assert!(bare.headers().contains_key("request-id"));
        assert_eq!(get(path).bearer_auth("sk_test_sandboy").send().await.unwrap().status(), 401);
        assert_eq!(get(path).bearer_auth("").send().await.unwrap().status(), 401);
        assert_eq!(get(path).basic_auth("sk_test_sandboy", None::<&str>).send().await.unwrap().status(), 401);
    }
    assert_eq!(get("v1/balance").basic_auth(KEY, Some("")).send().await.unwrap().status(), 200);
    let reply = client.get("v1/balance").await;
    assert!(reply.headers["request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(client.on("acct_unknown").get("v1/balance").await.code(), (403, "account_invalid".to_owned()));
    let foreign =
        client.on("acct_unknown").post("v1/payment_intents", &[("amount", "5000"), ("currency", "usd")]).await;
    assert_eq!(foreign.code(), (403, "account_invalid".to_owned()));
}

/// Path, fields, status, code, parameter.
type BadRequest<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16, &'a str, &'a str);

#[tokio::test]
async fn bad_requests_are_refused_with_the_parameter_to_blame() {
    let (_sandbox, client) = running().await;
    let payee = client.account().await;
    let intents = "v1/payment_intents";
    let usd = ("currency", "usd");
    let amount = ("amount", "5000");
    let to = ("destination", payee.as_str());
    let long = "x".repeat(501);
    let cases: Vec<BadRequest<'_>> = vec![
        (intents, vec![usd], 400, "parameter_missing", "amount"),
        (intents, vec![amount], 400, "parameter_missing", "currency"),
        (intents, vec![("amount", "0"), usd], 400, "parameter_invalid_integer", "amount"),
        (intents, vec![("amount", "-5"), usd], 400, "parameter_invalid_integer", "amount"),
        (intents, vec![("amount", "1.5"), usd], 400, "parameter_invalid_integer", "amount"),
        (intents, vec![("amount", "9999999999999"), usd], 400, "amount_too_large", "amount"),
        (intents, vec![("amount", "30"), usd], 400, "amount_too_small", "amount"),
        (intents, vec![amount, ("currency", "USD")], 400, "", "currency"),
        (intents, vec![amount, ("currency", "xxx")], 400, "", "currency"),
        (intents, vec![amount, usd, ("payment_method", "pm_none")], 400, "resource_missing", "payment_method"),
        (intents, vec![amount, usd, ("confirm", "true")], 400, "", "payment_method"),
        (intents, vec![amount, usd, ("confirm", "yes")], 400, "", "confirm"),
        (intents, vec![amount, usd, ("capture_method", "manual")], 400, "", "capture_method"),
        (intents, vec![amount, usd, ("payment_method_types[]", "ideal")], 400, "", "payment_method_types"),
        (
            intents,
            vec![amount, usd, ("transfer_data[destination]", "x")],
            400,
            "parameter_unknown",
            "transfer_data[destination]",
        ),
        (intents, vec![amount, usd, ("metadata[a]", &long)], 400, "", "metadata[a]"),
        (intents, vec![amount, usd, ("description", "a\0b")], 400, "", "description"),
        (intents, vec![amount, usd, ("expand[]", "nothing")], 400, "", "expand"),
        (intents, vec![amount, usd, ("expand[]", "a.b.c.d.e")], 400, "", "expand"),
        ("v1/payment_intents/pi_none/confirm", vec![], 404, "resource_missing", "intent"),
        ("v1/payment_intents/pi_none/cancel", vec![("cancellation_reason", "mood")], 400, "", "cancellation_reason"),
        ("v1/transfers", vec![amount, usd], 400, "parameter_missing", "destination"),
        ("v1/transfers", vec![amount, usd, ("destination", "acct_none")], 400, "resource_missing", "destination"),
        ("v1/transfers", vec![amount, usd, to], 400, "balance_insufficient", ""),
        (
            "v1/transfers",
            vec![amount, usd, to, ("source_transaction", "ch_1")],
            400,
            "parameter_unknown",
            "source_transaction",
        ),
        ("v1/payouts", vec![amount, usd, ("destination", "ba_none")], 400, "resource_missing", "destination"),
        ("v1/payouts", vec![amount, usd, ("method", "instant")], 400, "", "method"),
        ("v1/accounts", vec![("type", "gold")], 400, "", "type"),
        ("v1/accounts", vec![("country", "Germany")], 400, "", "country"),
        ("v1/nothing", vec![], 404, "", ""),
        ("v1/balance", vec![], 404, "", ""),
    ];
    for (path, fields, status, code, param) in cases {
        let reply = client.post(path, &fields).await;
        let (got, error) = reply.error();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((got, text("code").as_str(), text("param").as_str()), (status, code, param), "{path} {fields:?}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(!text("message").is_empty());
    }
    for path in [
        "payment_intents/pi_x",
        "charges/ch_x",
        "charges/pi_x",
        "balance_transactions/txn_x",
        "transfers/tr_x",
        "payouts/po_x",
        "accounts/acct_x",
        "events/evt_x",
        "events/evt_%00",
    ] {
        assert_eq!(client.get(&format!("v1/{path}")).await.code(), (404, "resource_missing".to_owned()), "{path}");
    }
    for query in ["limit=0", "limit=101", "limit=x", "starting_after=pi_x", "ending_before=pi_x"] {
        assert_eq!(client.get(&format!("v1/payment_intents?{query}")).await.status, 400, "{query}");
    }
    let json = client.http.post(format!("{}v1/payouts", client.base)).json(&json!({ "amount": 5 }));
    assert_eq!(client.send(json).await.unwrap().status, 400);
    let big = client.http.post(format!("{}v1/payouts", client.base)).form(&[("description", "x".repeat(300_000))]);
    assert_eq!(client.send(big).await.unwrap().status, 413);
    assert_eq!(client.keyed(&"k".repeat(256)).post("v1/payouts", &[amount, usd]).await.status, 400);
    assert_eq!(client.get("v1/payment_intents").await.ok()["data"], json!([]), "nothing was left by any of them");
}

#[tokio::test]
async fn lists_are_newest_first_and_go_on_where_they_ended() {
    let (_sandbox, client) = running().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(client.pay("5000", &[]).await["id"].clone());
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut path = "v1/payment_intents?limit=2".to_owned();
    loop {
        let page = client.get(&path).await.ok();
        let items = page["data"].as_array().unwrap();
        seen.extend(items.iter().map(|intent| intent["id"].clone()));
        if page["has_more"] == false {
            break;
        }
        path = format!("v1/payment_intents?limit=2&starting_after={}", id(items.last().unwrap()));
    }
    assert_eq!(seen, made);
    let expanded = client.get("v1/payment_intents?limit=1&expand[]=data.latest_charge.balance_transaction").await.ok();
    assert_eq!(expanded["data"][0]["latest_charge"]["balance_transaction"]["fee"], 175);
    let payee = client.on(&client.account().await);
    assert_eq!(payee.get("v1/payment_intents").await.ok()["data"], json!([]), "of another account");
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let base = config(&database().await);
    let target = |url: &str| vec![WebhookTarget { url: url.to_owned(), secret: String::new(), connect: false }];
    let schema = start(SandboxConfig { schema: "a\"; DROP".to_owned(), ..base.clone() }).await;
    assert!(matches!(schema, Err(SandboxError::Schema(_))));
    let key = start(SandboxConfig { secret_key: "sk_live_1".to_owned(), ..base.clone() }).await;
    assert!(matches!(key, Err(SandboxError::SecretKey)));
    for url in ["https://example.com/", "nowhere", "file:///etc/passwd"] {
        let refused = start(SandboxConfig { webhooks: target(url), ..base.clone() }).await;
        assert!(matches!(refused, Err(SandboxError::WebhookUrl(_))), "{url}");
    }
    let config = SandboxConfig { webhooks: target("http://127.0.0.1:1/"), ..base.clone() };
    assert!(!format!("{config:?}").contains(KEY));
    let sandbox = start(config).await.unwrap();
    let taken = start(SandboxConfig { listen: sandbox.local_addr(), ..base }).await;
    assert!(matches!(taken, Err(SandboxError::Listen { .. })));
}

#[tokio::test]
async fn two_sandboxes_can_share_a_database_in_schemas_of_their_own() {
    let database = database().await;
    let one = start(SandboxConfig { schema: "sandbox_one".to_owned(), ..config(&database) }).await.unwrap();
    let two = start(SandboxConfig { schema: "sandbox_two".to_owned(), ..config(&database) }).await.unwrap();
    Client::of(&one).pay("5000", &[]).await;
    assert_eq!(Client::of(&one).balance().await, (0, 4_825));
    assert_eq!(Client::of(&two).balance().await, (0, 0));
}

// Stripe's client

#[tokio::test]
async fn async_stripe_makes_the_whole_round_trip() {
    use stripe::{IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
    use stripe_connect::account::CreateAccount;
    use stripe_connect::transfer::{CreateTransfer, ListTransfer, RetrieveTransfer};
    use stripe_core::balance_transaction::{ListBalanceTransaction, RetrieveBalanceTransaction};
    use stripe_core::charge::RetrieveCharge;
    use stripe_core::payment_intent::{CreatePaymentIntent, RetrievePaymentIntent};
    use stripe_core::payout::{CreatePayout, RetrievePayout};
    use stripe_shared::PaymentIntentStatus;
    use stripe_types::Currency;

    let (sandbox, control) = running().await;
    let client = stripe::ClientBuilder::new(KEY).url(sandbox.base_url()).build().unwrap();
    let strategy = |key: &str| RequestStrategy::Idempotent(IdempotencyKey::new(key).unwrap());

    let payee = CreateAccount::new().email("payee@example.com").send(&client).await.unwrap();
    assert_eq!((payee.charges_enabled, payee.payouts_enabled), (Some(true), Some(true)));
    assert_eq!(payee.external_accounts.unwrap().data.len(), 1);

    let create = CreatePaymentIntent::new(105_000_i64, Currency::USD)
        .payment_method("pm_card_visa")
        .allowed_payment_method_types(vec![stripe_shared::PaymentIntentAllowedPaymentMethodTypes::Card])
        .confirm(true)
        .transfer_group("ctr_1")
        .metadata([("funding_id".to_owned(), "fnd_1".to_owned())])
        .expand(vec!["latest_charge".to_owned()]);
    let intent = create.customize().request_strategy(strategy("f1")).send(&client).await.unwrap();
    assert_eq!(intent.status, PaymentIntentStatus::Succeeded);
    let again = create.customize().request_strategy(strategy("f1")).send(&client).await.unwrap();
    assert_eq!(again.id, intent.id);
    let intent = RetrievePaymentIntent::new(intent.id)
        .expand(vec!["latest_charge.balance_transaction".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(intent.metadata["funding_id"], "fnd_1");
    let charge = intent.latest_charge.unwrap().into_object().unwrap();
    let entry = charge.balance_transaction.unwrap().into_object().unwrap();
    assert_eq!((entry.amount, entry.fee, entry.net), (105_000, 3_075, 101_925));
    let entry = RetrieveBalanceTransaction::new(entry.id).send(&client).await.unwrap();
    assert_eq!(entry.status, "pending");
    assert!(RetrieveCharge::new(charge.id).send(&client).await.unwrap().paid);

    let declined = CreatePaymentIntent::new(5_000_i64, Currency::USD)
        .payment_method("pm_card_chargeDeclined")
        .confirm(true)
        .send(&client)
        .await;
    let Err(StripeError::Stripe(error, 402)) = declined else { panic!("{declined:?}") };
    assert_eq!(error.decline_code.as_deref(), Some("generic_decline"));
    assert_eq!(error.payment_intent.unwrap().status, PaymentIntentStatus::RequiresPaymentMethod);

    let early = CreateTransfer::new(Currency::USD, payee.id.to_string()).amount(90_000_i64).send(&client).await;
    let Err(StripeError::Stripe(error, 400)) = early else { panic!("{early:?}") };
    assert_eq!(error.code.unwrap().as_str(), "balance_insufficient");
    control.clock("2026-12-03T10:00:00Z").await;

    let transfer = CreateTransfer::new(Currency::USD, payee.id.to_string())
        .amount(90_000_i64)
        .transfer_group("ctr_1")
        .customize()
        .request_strategy(strategy("t1"))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(RetrieveTransfer::new(transfer.id.clone()).send(&client).await.unwrap().amount, 90_000);
    let listed = ListTransfer::new().transfer_group("ctr_1").send(&client).await.unwrap();
    assert_eq!(listed.data.len(), 1);

    let payout = CreatePayout::new(90_000_i64, Currency::USD)
        .metadata([("payout_id".to_owned(), "pyt_1".to_owned())])
        .customize()
        .account_id(payee.id.clone())
        .request_strategy(strategy("p1"))
        .send(&client)
        .await
        .unwrap();
    assert_eq!(payout.status, "pending");
    control.clock("2026-12-04T10:00:00Z").await;
    let payout = RetrievePayout::new(payout.id).customize().account_id(payee.id.clone()).send(&client).await.unwrap();
    assert_eq!(payout.status, "paid");
    let entries = ListBalanceTransaction::new().customize().account_id(payee.id).send(&client).await.unwrap();
    assert_eq!(entries.data.iter().map(|entry| entry.net).sum::<i64>(), 0);
    sandbox.shutdown().await;
}
