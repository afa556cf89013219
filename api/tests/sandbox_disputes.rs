//! The sandbox's disputes, early warnings of fraud and returned payments, and the balance behind them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod sandbox_support;

use sandbox_support::*;
use serde_json::{Value, json};

/// A payment of 1,050.00, whose funds are not available yet: 1,019.25 after the fee.
async fn paid_with(client: &Client, token: &str) -> Value {
    let fields = [
        ("amount", "105000"),
        ("currency", "usd"),
        ("payment_method", token),
        ("confirm", "true"),
        ("capture_method", "automatic"),
        ("expand[]", "latest_charge"),
    ];
    client.post("v1/payment_intents", &fields).await.ok()
}

/// The only dispute.
async fn only(client: &Client) -> Value {
    let list = client.get("v1/disputes").await.ok();
    let [dispute] = list["data"].as_array().unwrap().as_slice() else { panic!("{list}") };
    dispute.clone()
}

async fn turn(client: &Client, dispute: &Value, fields: &[(&str, &str)]) -> Reply {
    client.post(&format!("_sandbox/disputes/{}/turn", id(dispute)), fields).await
}

/// What moved: category, amount and fee of each entry.
fn entries(dispute: &Value) -> Vec<(String, i64, i64)> {
    let entry = |entry: &Value| {
        let number = |name: &str| entry[name].as_i64().unwrap();
        (entry["reporting_category"].as_str().unwrap().to_owned(), number("amount"), number("fee"))
    };
    dispute["balance_transactions"].as_array().unwrap().iter().map(entry).collect()
}

async fn events_of_disputes(client: &Client) -> Vec<String> {
    let kinds = client.event_types().await.into_iter();
    kinds.filter_map(|kind| kind.strip_prefix("charge.dispute.").map(str::to_owned)).collect()
}

/// The cards that Stripe publishes for disputes, with the objects that Stripe publishes.
#[tokio::test]
async fn a_test_card_is_disputed_at_once() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let paid = paid_with(&client, "pm_card_createDispute").await;
    let dispute = only(&client).await;
    shapes.check(&dispute);
    assert_eq!((&dispute["status"], &dispute["reason"]), (&json!("needs_response"), &json!("fraudulent")));
    assert_eq!((&dispute["amount"], &dispute["charge"]), (&json!(105_000), &paid["latest_charge"]["id"]));
    assert_eq!(entries(&dispute), [("dispute".to_owned(), -105_000, 1500)]);
    // A bank takes what is not there yet.
    assert_eq!(client.balance().await, (-106_500, 101_925));
    assert_eq!(events_of_disputes(&client).await, ["created", "funds_withdrawn"]);
    let charge = client.get(&format!("v1/charges/{}", paid["latest_charge"]["id"].as_str().unwrap())).await.ok();
    shapes.check(&charge);
    assert_eq!(charge["disputed"], true);
    let refund = client.post("v1/refunds", &[("charge", id(&charge))]).await;
    assert_eq!(refund.code(), (400, "charge_disputed".to_owned()));

    paid_with(&client, "pm_card_createDisputeInquiry").await;
    let list = client.get("v1/disputes?limit=1").await.ok();
    let inquiry = &list["data"][0];
    assert_eq!((&inquiry["status"], entries(inquiry)), (&json!("warning_needs_response"), Vec::new()));
    assert_eq!((&list["has_more"], &inquiry["is_charge_refundable"]), (&json!(true), &json!(true)));
    paid_with(&client, "pm_card_createDisputeProductNotReceived").await;
    let newest = client.get("v1/disputes?limit=1").await.ok();
    assert_eq!(newest["data"][0]["reason"], "product_not_received");

    paid_with(&client, "pm_card_createIssuerFraudRecord").await;
    let warnings = client.get("v1/radar/early_fraud_warnings").await.ok();
    shapes.check(&warnings["data"][0]);
    let one = format!("v1/radar/early_fraud_warnings/{}?expand[]=charge", id(&warnings["data"][0]));
    assert_eq!(client.get(&one).await.ok()["charge"]["object"], "charge");
    assert!(client.event_types().await.contains(&"radar.early_fraud_warning.created".to_owned()));
}

/// Stripe's texts decide at once; another text is reviewed; what is staged only is not submitted.
#[tokio::test]
async fn evidence_decides() {
    for (card, text, status, events) in [
        ("pm_card_createDispute", "winning_evidence", "won", vec!["updated", "funds_reinstated", "closed"]),
        ("pm_card_createDispute", "losing_evidence", "lost", vec!["updated", "closed"]),
        ("pm_card_createDispute", "something", "under_review", vec!["updated"]),
        ("pm_card_createDisputeInquiry", "winning_evidence", "warning_closed", vec!["updated", "closed"]),
        ("pm_card_createDisputeInquiry", "something", "warning_under_review", vec!["updated"]),
    ] {
        let (_sandbox, client) = running().await;
        paid_with(&client, card).await;
        let before = events_of_disputes(&client).await.len();
        let path = format!("v1/disputes/{}", id(&only(&client).await));
        let answered = client.post(&path, &[("evidence[uncategorized_text]", text)]).await.ok();
        assert_eq!(answered["status"], status, "{card} {text}");
        assert_eq!(answered["evidence_details"]["submission_count"], 1);
        assert_eq!(events_of_disputes(&client).await[before..], events, "{card} {text}");
        let again = client.post(&path, &[("evidence[uncategorized_text]", text)]).await;
        assert_eq!(again.status, 400, "one answer");
    }
    let (_sandbox, client) = running().await;
    paid_with(&client, "pm_card_createDispute").await;
    let path = format!("v1/disputes/{}", id(&only(&client).await));
    let staged = client.post(&path, &[("evidence[product_description]", "A book."), ("submit", "false")]).await.ok();
    assert_eq!(
        (&staged["status"], &staged["evidence"]["product_description"]),
        (&json!("needs_response"), &json!("A book."))
    );
    let long = "x".repeat(20_001);
    let (status, error) = client.post(&path, &[("evidence[product_description]", &long)]).await.error();
    assert_eq!((status, &error["param"]), (400, &json!("evidence[product_description]")));
    let closed = client.post(&format!("{path}/close"), &[]).await.ok();
    assert_eq!(closed["status"], "lost");
    assert_eq!(client.post(&format!("{path}/close"), &[]).await.status, 400);
    assert_eq!(client.get("v1/disputes/dp_nothing").await.status, 404);
}

/// A bank takes a part, gives a part back, decides, and takes again what it had given back.
#[tokio::test]
async fn a_bank_moves_what_it_likes() {
    let (_sandbox, client) = running().await;
    let paid = paid_with(&client, "pm_card_bypassPending").await;
    let charge = paid["latest_charge"]["id"].as_str().unwrap();
    let fields = [("charge", charge), ("amount", "50000"), ("inquiry", "true")];
    let dispute = client.post("_sandbox/disputes", &fields).await.ok();
    assert_eq!(turn(&client, &dispute, &[("to", "lost")]).await.status, 400, "an inquiry is not lost");
    assert_eq!(turn(&client, &dispute, &[("to", "withdrawn")]).await.status, 400);
    let escalated = turn(&client, &dispute, &[("to", "needs_response"), ("withdraws", "false")]).await.ok();
    assert_eq!((&escalated["status"], entries(&escalated)), (&json!("needs_response"), Vec::new()));
    turn(&client, &dispute, &[("to", "withdrawn"), ("amount", "50000")]).await.ok();
    turn(&client, &dispute, &[("to", "reinstated"), ("amount", "20000")]).await.ok();
    let won = turn(&client, &dispute, &[("to", "won")]).await.ok();
    assert_eq!(entries(&won).iter().map(|(_, amount, _)| *amount).collect::<Vec<_>>(), [-50_000, 20_000, 30_000]);
    assert_eq!(client.balance().await.0, 101_925 - 1500);
    let again = turn(&client, &dispute, &[("to", "withdrawn")]).await.ok();
    assert_eq!((&again["status"], entries(&again).len()), (&json!("under_review"), 4));
    let lost = turn(&client, &dispute, &[("to", "lost")]).await.ok();
    assert_eq!(lost["status"], "lost");
    assert_eq!(turn(&client, &dispute, &[("to", "lost")]).await.status, 400);
    assert_eq!(turn(&client, &dispute, &[("to", "paid")]).await.status, 400);
    assert_eq!(turn(&client, &dispute, &[("to", "won"), ("amount", "-1")]).await.status, 400);
    let shown = client.get("v1/balance_transactions?type=adjustment&limit=100").await.ok();
    let sum: i64 = shown["data"].as_array().unwrap().iter().map(|entry| entry["net"].as_i64().unwrap()).sum();
    assert_eq!(client.balance().await.0, 101_925 + sum);
}

/// A dispute that nobody answers is lost when its time is over.
#[tokio::test]
async fn silence_loses() {
    let (_sandbox, client) = running().await;
    paid_with(&client, "pm_card_createDispute").await;
    client.clock("2026-12-15T09:59:59Z").await;
    assert_eq!(only(&client).await["status"], "needs_response");
    client.clock("2026-12-15T10:00:00Z").await;
    assert_eq!(only(&client).await["status"], "lost");
    assert_eq!(events_of_disputes(&client).await, ["created", "funds_withdrawn", "closed"]);
}

/// D-20: a payment that a bank returns has failed after it had succeeded.
#[tokio::test]
async fn a_returned_payment_has_failed() {
    let (_sandbox, client) = running().await;
    let shapes = Shapes::load();
    let paid = paid_with(&client, "pm_card_bypassPending").await;
    let path = format!("_sandbox/payment_intents/{}/return", id(&paid));
    let returned = client.post(&path, &[("failure_code", "debit_not_authorized")]).await.ok();
    shapes.check(&returned);
    assert_eq!(returned["status"], "requires_payment_method");
    let path_of_charge = format!("v1/charges/{}", returned["latest_charge"].as_str().unwrap());
    let charge = client.get(&format!("{path_of_charge}?expand[]=failure_balance_transaction")).await.ok();
    assert_eq!((&charge["status"], &charge["failure_code"]), (&json!("failed"), &json!("debit_not_authorized")));
    let entry = &charge["failure_balance_transaction"];
    shapes.check(entry);
    assert_eq!((&entry["amount"], &entry["type"]), (&json!(-105_000), &json!("payment_failure_refund")));
    assert_eq!(client.balance().await.0, 101_925 - 105_000);
    let kinds = client.event_types().await;
    assert_eq!(kinds[kinds.len() - 2..], ["charge.failed", "payment_intent.payment_failed"]);
    assert_eq!(client.post(&path, &[]).await.status, 400, "once");
    assert_eq!(client.post("_sandbox/payment_intents/pi_nothing/return", &[]).await.status, 404);
}
