//! The sandbox's refunds, the balance behind them, and payments that wait for the customer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sandbox_support;

use api::sandbox::{SandboxConfig, start};
use sandbox_support::*;
use serde_json::{Value, json};

/// A payment of 1,050.00 whose funds are available at once: 1,019.25 after the fee.
const AVAILABLE: &str = "pm_card_bypassPending";

async fn paid_with(client: &Client, token: &str) -> Value {
    let fields = [
        ("amount", "105000"),
        ("currency", "usd"),
        ("payment_method", token),
        ("confirm", "true"),
        ("capture_method", "automatic"),
    ];
    client.post("v1/payment_intents", &fields).await.ok()
}

/// A charge by this card, with enough in the balance to give it back.
async fn charged(client: &Client, token: &str) -> String {
    paid_with(client, AVAILABLE).await;
    paid_with(client, AVAILABLE).await;
    text(&paid_with(client, token).await, "latest_charge")
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

async fn refund(client: &Client, charge: &str, amount: &str) -> Reply {
    client.post("v1/refunds", &[("charge", charge), ("amount", amount), ("metadata[refund_id]", "rfd_1")]).await
}

async fn turn(client: &Client, refund: &Value, fields: &[(&str, &str)]) -> Reply {
    client.post(&format!("_sandbox/refunds/{}/turn", id(refund)), fields).await
}

async fn read(client: &Client, kind: &str, name: &str) -> Value {
    client.get(&format!("v1/{kind}/{name}")).await.ok()
}

/// What the entries of an account add up to.
async fn entries(client: &Client) -> i64 {
    let list = client.get("v1/balance_transactions?limit=100").await.ok();
    list["data"].as_array().unwrap().iter().map(|entry| entry["net"].as_i64().unwrap()).sum()
}

async fn events_of(client: &Client, kinds: &[&str]) -> Vec<String> {
    client.event_types().await.into_iter().filter(|kind| kinds.contains(&kind.as_str())).collect()
}

const REFUND_EVENTS: [&str; 5] =
    ["charge.refunded", "refund.created", "refund.updated", "charge.refund.updated", "refund.failed"];

#[tokio::test]
async fn a_charge_is_refunded_in_parts_and_never_more_than_it_was() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let charge = charged(&client, "pm_card_visa").await;
    let before = client.balance().await.0;
    let part = refund(&client, &charge, "40000").await.ok();
    shapes.check(&part);
    assert_eq!((&part["status"], &part["amount"]), (&json!("succeeded"), &json!(40_000)));
    assert_eq!((&part["charge"], &part["metadata"]), (&json!(charge), &json!({ "refund_id": "rfd_1" })));
    assert_eq!(client.balance().await.0, before - 40_000);
    let entry = read(&client, "balance_transactions", &text(&part, "balance_transaction")).await;
    shapes.check(&entry);
    assert_eq!((&entry["type"], &entry["reporting_category"]), (&json!("refund"), &json!("refund")));
    assert_eq!((&entry["amount"], &entry["fee"], &entry["net"]), (&json!(-40_000), &json!(0), &json!(-40_000)));
    assert_eq!((&entry["source"], &entry["status"]), (&part["id"], &json!("available")));
    let shown = read(&client, "charges", &charge).await;
    shapes.check(&shown);
    assert_eq!((&shown["amount_refunded"], &shown["refunded"]), (&json!(40_000), &json!(false)));

    let (status, error) = refund(&client, &charge, "65001").await.error();
    assert_eq!((status, &error["param"], &error["type"]), (400, &json!("amount"), &json!("invalid_request_error")));
    let rest = client.post("v1/refunds", &[("payment_intent", &text(&shown, "payment_intent"))]).await.ok();
    assert_eq!((&rest["amount"], &rest["charge"]), (&json!(65_000), &json!(charge)), "without an amount, the rest");
    let shown = read(&client, "charges", &charge).await;
    assert_eq!((&shown["amount_refunded"], &shown["refunded"]), (&json!(105_000), &json!(true)));
    assert_eq!(refund(&client, &charge, "1").await.code(), (400, "charge_already_refunded".to_owned()));

    let listed = client.get(&format!("v1/refunds?charge={charge}&expand[]=data.charge")).await.ok();
    let of: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|refund| (id(refund), id(&refund["charge"]))).collect();
    assert_eq!(of, [(id(&rest), charge.as_str()), (id(&part), charge.as_str())], "newest first");
    let others = client.get("v1/refunds?payment_intent=pi_other").await.ok();
    assert_eq!(others["data"], json!([]));
    assert_eq!(entries(&client).await, client.balance().await.0 + client.balance().await.1);
    let told = ["charge.refunded", "refund.created", "charge.refunded", "refund.created"];
    assert_eq!(events_of(&client, &REFUND_EVENTS).await, told);
}

#[tokio::test]
async fn a_pending_refund_succeeds_when_its_bank_answers() {
    let (_sandbox, client) = running().await;
    let charge = charged(&client, "pm_card_pendingRefund").await;
    let before = client.balance().await.0;
    let pending = refund(&client, &charge, "105000").await.ok();
    Shapes::load().check(&pending);
    assert_eq!((&pending["status"], &pending["pending_reason"]), (&json!("pending"), &json!("processing")));
    assert_eq!(client.balance().await.0, before - 105_000, "the money is taken at once");
    client.clock("2026-12-02T09:59:59Z").await;
    assert_eq!(read(&client, "refunds", id(&pending)).await["status"], "pending");
    client.clock("2026-12-02T10:00:00Z").await;
    let answered = read(&client, "refunds", id(&pending)).await;
    assert_eq!((&answered["status"], &answered["pending_reason"]), (&json!("succeeded"), &Value::Null));
    let told = ["charge.refunded", "refund.created", "refund.updated", "charge.refund.updated"];
    assert_eq!(events_of(&client, &REFUND_EVENTS).await, told);
}

#[tokio::test]
async fn a_refund_that_fails_later_gives_the_money_back() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let charge = charged(&client, "pm_card_refundFail").await;
    let before = client.balance().await.0;
    let made = refund(&client, &charge, "105000").await.ok();
    assert_eq!(made["status"], "succeeded");
    client.clock("2026-12-10T10:00:00Z").await;
    let failed = read(&client, "refunds", id(&made)).await;
    shapes.check(&failed);
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("expired_or_canceled_card")));
    let back = read(&client, "balance_transactions", &text(&failed, "failure_balance_transaction")).await;
    assert_eq!(
        (&back["type"], &back["net"], &back["source"]),
        (&json!("refund_failure"), &json!(105_000), &made["id"])
    );
    let pending_then = 105_000 - 3_075;
    assert_eq!(client.balance().await, (before + pending_then, 0), "all that was pending is available by now");
    assert_eq!(entries(&client).await, before + pending_then);
    let shown = read(&client, "charges", &charge).await;
    assert_eq!((&shown["amount_refunded"], &shown["refunded"]), (&json!(0), &json!(false)));
    let told = ["charge.refunded", "refund.created", "refund.updated", "charge.refund.updated", "refund.failed"];
    assert_eq!(events_of(&client, &REFUND_EVENTS).await, told);
    assert_eq!(refund(&client, &charge, "105000").await.ok()["status"], "succeeded", "it can be tried again");
}

#[tokio::test]
async fn a_refund_waits_until_the_balance_is_enough() {
    let (_sandbox, client, platform, _connect) = with_receivers().await;
    let charge = text(&paid_with(&client, "pm_card_visa").await, "latest_charge");
    let first = refund(&client, &charge, "101926").await.ok();
    assert_eq!((&first["status"], &first["pending_reason"]), (&json!("pending"), &json!("insufficient_funds")));
    assert_eq!(first["balance_transaction"], Value::Null, "nothing is taken yet");
    assert_eq!(refund(&client, &charge, "3075").await.error().1["param"], "amount", "it counts as refunded already");
    let second = refund(&client, &charge, "3074").await.ok();
    // The fee is not given back: the charge's own money is 0.01 short of the first refund, and enough for the second.
    client.clock("2026-12-03T10:00:00Z").await;
    assert_eq!(read(&client, "refunds", id(&first)).await["pending_reason"], "insufficient_funds");
    assert_eq!(read(&client, "refunds", id(&second)).await["status"], "succeeded");
    assert_eq!(client.balance().await, (101_925 - 3_074, 0));
    client.pay("5000", &[]).await;
    assert_eq!(read(&client, "refunds", id(&first)).await["status"], "pending", "that is not available yet");
    paid_with(&client, "pm_card_bypassPending").await;
    let taken = read(&client, "refunds", id(&first)).await;
    assert_eq!((&taken["status"], &taken["pending_reason"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(client.balance().await.0, 2 * 101_925 - 105_000);
    drained(&client).await;
    let updates = platform.types().into_iter().filter(|kind| kind == "refund.updated").count();
    assert_eq!(updates, 2, "each was told when its money was taken");
}

#[tokio::test]
async fn refunds_at_once_never_exceed_the_charge_or_the_balance() {
    let (_sandbox, client) = running().await;
    let charge = text(&paid_with(&client, "pm_card_bypassPending").await, "latest_charge");
    let tries = (0..8).map(|_| refund(&client, &charge, "30000"));
    let replies = futures::future::join_all(tries).await;
    let done = replies.iter().filter(|reply| reply.status == 200 && reply.json()["status"] == "succeeded").count();
    assert_eq!((done, replies.iter().filter(|reply| reply.status == 400).count()), (3, 5));
    assert_eq!(client.balance().await.0, 101_925 - 90_000);
    let again = client.keyed("r-1").post("v1/refunds", &[("charge", &charge), ("amount", "1000")]).await;
    let same = client.keyed("r-1").post("v1/refunds", &[("charge", &charge), ("amount", "1000")]).await;
    assert_eq!((again.ok(), same.headers["idempotent-replayed"].to_str().unwrap()), (same.ok(), "true"));
    assert_eq!(client.balance().await.0, 101_925 - 91_000);
}

#[tokio::test]
async fn a_bank_can_be_made_to_answer_anything() {
    let (_sandbox, client) = running().await;
    let charge = charged(&client, "pm_card_pendingRefund").await;
    let before = client.balance().await.0;
    let make = || async { refund(&client, &charge, "1000").await.ok() };
    let cancel = |refund: Value| {
        let client = client.clone();
        async move { client.post(&format!("v1/refunds/{}/cancel", id(&refund)), &[]).await }
    };

    let asked = make().await;
    assert_eq!(cancel(asked.clone()).await.status, 400, "only what waits for the client");
    let asked = turn(&client, &asked, &[("status", "requires_action")]).await.ok();
    Shapes::load().check(&asked);
    assert_eq!(asked["status"], "requires_action");
    let cancelled = cancel(asked.clone()).await.ok();
    assert_eq!(cancelled["status"], "canceled");
    assert_eq!(client.balance().await.0, before, "the money is back");
    assert_eq!(cancel(asked.clone()).await.status, 400);
    for status in ["succeeded", "failed", "requires_action"] {
        assert_eq!(turn(&client, &asked, &[("status", status)]).await.status, 400, "it is over");
    }

    let failed = turn(&client, &make().await, &[("status", "failed"), ("failure_reason", "declined")]).await.ok();
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("declined")));
    assert_eq!(client.balance().await.0, before);
    let arrived = turn(&client, &make().await, &[("status", "succeeded")]).await.ok();
    assert_eq!(arrived["status"], "succeeded");
    let returned = turn(&client, &arrived, &[("status", "failed")]).await.ok();
    assert_eq!(returned["failure_reason"], "unknown");
    assert_eq!(client.balance().await.0, before);
    // What was turned by hand does not turn again by itself.
    client.clock("2026-12-31T10:00:00Z").await;
    assert_eq!(read(&client, "refunds", id(&returned)).await["status"], "failed");
    assert_eq!(read(&client, "refunds", id(&cancelled)).await["status"], "canceled");
    assert_eq!(read(&client, "charges", &charge).await["amount_refunded"], 0);
}

/// Fields, code, parameter.
type BadRequest<'a> = (Vec<(&'a str, &'a str)>, &'a str, &'a str);

#[tokio::test]
async fn bad_requests_for_refunds_are_refused() {
    let (_sandbox, client) = running().await;
    let charge = charged(&client, "pm_card_visa").await;
    let declined = paid_with_error(&client).await;
    let payee = client.account().await;
    let of = ("charge", charge.as_str());
    let cases: Vec<BadRequest<'_>> = vec![
        (vec![], "parameter_missing", "charge"),
        (vec![("charge", "ch_none")], "resource_missing", "charge"),
        (vec![("payment_intent", "pi_none")], "", "payment_intent"),
        (vec![("charge", &declined)], "charge_not_refundable", ""),
        (vec![of, ("amount", "0")], "parameter_invalid_integer", "amount"),
        (vec![of, ("amount", "105001")], "", "amount"),
        (vec![of, ("reason", "mood")], "", "reason"),
        (vec![of, ("reverse_transfer", "true")], "parameter_unknown", "reverse_transfer"),
        (vec![of, ("expand[]", "nothing")], "", "expand"),
    ];
    for (fields, code, param) in cases {
        let (status, error) = client.post("v1/refunds", &fields).await.error();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((status, text("code").as_str(), text("param").as_str()), (400, code, param), "{fields:?}");
    }
    let foreign = client.on(&payee).post("v1/refunds", &[of]).await;
    assert_eq!(foreign.code(), (400, "resource_missing".to_owned()), "another account's charge");
    for path in ["v1/refunds/re_none/cancel", "_sandbox/refunds/re_none/turn"] {
        assert_eq!(
            client.post(path, &[("status", "failed")]).await.code(),
            (404, "resource_missing".to_owned()),
            "{path}"
        );
    }
    assert_eq!(client.get("v1/refunds/re_none").await.code(), (404, "resource_missing".to_owned()));
    let made = refund(&client, &charge, "1000").await.ok();
    for fields in [vec![], vec![("status", "melted")], vec![("status", "failed"), ("failure_reason", "mood")]] {
        assert_eq!(turn(&client, &made, &fields).await.status, 400, "{fields:?}");
    }
    let theirs = client.on(&payee);
    assert_eq!(theirs.get(&format!("v1/refunds/{}", id(&made))).await.status, 404);
    assert_eq!(theirs.get("v1/refunds").await.ok()["data"], json!([]));
    assert_eq!(read(&client, "charges", &charge).await["amount_refunded"], 1_000, "nothing was left by the others");
}

/// D-55: what card networks cannot send is refused: a third decimal that is not 0.
#[tokio::test]
async fn a_refund_has_to_be_whole() {
    let (_sandbox, client) = running().await;
    let fields = [
        ("amount", "10630"),
        ("currency", "kwd"),
        ("payment_method", AVAILABLE),
        ("confirm", "true"),
        ("capture_method", "automatic"),
    ];
    client.post("v1/payment_intents", &fields).await.ok();
    let charge = text(&client.post("v1/payment_intents", &fields).await.ok(), "latest_charge");
    let (status, error) = refund(&client, &charge, "10629").await.error();
    assert_eq!((status, &error["param"]), (400, &json!("amount")));
    refund(&client, &charge, "10620").await.ok();
}

/// The charge of a declined card.
async fn paid_with_error(client: &Client) -> String {
    let fields =
        [("amount", "105000"), ("currency", "usd"), ("payment_method", "pm_card_chargeDeclined"), ("confirm", "true")];
    text(&client.post("v1/payment_intents", &fields).await.error().1, "charge")
}

/// What a transfer brought to a payee is no card charge.
#[tokio::test]
async fn a_payment_by_transfer_is_not_refunded() {
    let (_sandbox, client) = running().await;
    paid_with(&client, "pm_card_bypassPending").await;
    let payee = client.account().await;
    let fields = [("amount", "5000"), ("currency", "usd"), ("destination", payee.as_str())];
    let transfer = client.post("v1/transfers", &fields).await.ok();
    let refused = refund(&client.on(&payee), &text(&transfer, "destination_payment"), "100").await;
    assert_eq!(refused.code(), (400, "charge_not_refundable".to_owned()));
}

#[tokio::test]
async fn a_balance_that_is_too_low_can_be_planned() {
    let (_sandbox, client) = running().await;
    let charge = charged(&client, "pm_card_visa").await;
    let rule = json!([{ "on": "POST /v1/refunds", "action": "balance_insufficient" }]);
    client.control("faults", &rule).await.ok();
    assert_eq!(refund(&client, &charge, "1000").await.code(), (400, "balance_insufficient".to_owned()));
    assert_eq!(refund(&client, &charge, "1000").await.ok()["status"], "succeeded");
    let webhook = json!([{ "on": "webhook *", "action": "balance_insufficient" }]);
    assert_eq!(client.control("faults", &webhook).await.status, 422);
}

#[tokio::test]
async fn the_delays_of_refunds_can_be_configured() {
    let minute = std::time::Duration::from_secs(60);
    let config = SandboxConfig { refund_delay: minute, refund_failure_delay: 2 * minute, ..config(&database().await) };
    let sandbox = start(config).await.unwrap();
    let client = Client::of(&sandbox);
    let (later, fails) =
        (charged(&client, "pm_card_pendingRefund").await, charged(&client, "pm_card_refundFail").await);
    let (later, fails) = (refund(&client, &later, "1000").await.ok(), refund(&client, &fails, "1000").await.ok());
    client.clock("2026-12-01T10:01:00Z").await;
    assert_eq!(read(&client, "refunds", id(&later)).await["status"], "succeeded");
    assert_eq!(read(&client, "refunds", id(&fails)).await["status"], "succeeded");
    client.clock("2026-12-01T10:02:00Z").await;
    assert_eq!(read(&client, "refunds", id(&fails)).await["status"], "failed");
}

#[tokio::test]
async fn the_customer_answers_or_the_intent_is_cancelled() {
    let (_sandbox, client) = running().await;
    for token in ["pm_card_authenticationRequired", "pm_card_authenticationRequiredOnSetup"] {
        let answer = |intent: Value, outcome: &'static str| {
            let client = client.clone();
            async move {
                let path = format!("_sandbox/payment_intents/{}/authenticate", id(&intent));
                client.post(&path, &[("outcome", outcome)]).await
            }
        };
        let waiting = paid_with(&client, token).await;
        assert_eq!((&waiting["status"], &waiting["latest_charge"]), (&json!("requires_action"), &Value::Null));
        assert_eq!(answer(waiting.clone(), "maybe").await.status, 400);
        let paid = answer(waiting.clone(), "succeeded").await.ok();
        Shapes::load().check(&paid);
        assert_eq!((&paid["status"], &paid["next_action"]), (&json!("succeeded"), &Value::Null));
        assert!(paid["latest_charge"].is_string());
        assert_eq!(answer(waiting, "succeeded").await.code(), (400, "payment_intent_unexpected_state".to_owned()));

        let failed = answer(paid_with(&client, token).await, "failed").await.ok();
        Shapes::load().check(&failed);
        assert_eq!(failed["status"], "requires_payment_method");
        assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");

        let abandoned = paid_with(&client, token).await;
        let cancelled = client.post(&format!("v1/payment_intents/{}/cancel", id(&abandoned)), &[]).await.ok();
        assert_eq!((&cancelled["status"], &cancelled["next_action"]), (&json!("canceled"), &Value::Null));
        assert_eq!(answer(cancelled, "succeeded").await.code(), (400, "payment_intent_unexpected_state".to_owned()));
    }
    let told = [
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
    ];
    let once = [told[0], told[1], told[0], told[2], told[0], told[3]];
    assert_eq!(events_of(&client, &told).await, [once, once].concat());
}
