//! Gates that are shut after a payout was asked for, and accounts that the provider does not make.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::World;
use super::{
    after, at_provider, balance, earned, of_payee, onboarded, payout, psp_account, put, request, requested,
    requirements,
};

/// PM5, D-124, J23: an account that is refused is asked for again. A currency without a bank account is not paid. Another
/// bank account shuts the gate before the provider has heard of it, for requests and for approvals; and who is restricted
/// after the approval is not paid, though the transfer was ordered: the money can be withdrawn again.
#[tokio::test]
async fn a_gate_that_is_shut_later_stops_what_was_asked_for() {
    let world = World::without_account().await;
    world.sandbox(json!([{ "on": "POST /v1/accounts", "action": "balance_insufficient" }])).await;
    let wish = json!({ "country": "US" });
    world.post(&world.payee, &of_payee(&world, "/payout-account"), None, wish).await.success().unwrap();
    world.settled().await;
    let shown = requirements(&world).await;
    assert_eq!([&shown["status"], &shown["account_refused"]], ["no_account", "balance_insufficient"]);
    onboarded(&world, "000123456789").await;
    assert_eq!(requirements(&world).await["account_refused"], Value::Null);
    earned(&world).await;

    let in_euros = world.post(&world.payee, "/v1/payouts", None, json!({ "amount": 1, "currency": "EUR" }));
    let refused = world.refused(422, "destination_required", in_euros).await;
    assert_eq!(refused.body["currency"], "EUR");
    // So does the provider.
    let directly = reqwest::Client::new()
        .post(format!("{}/v1/payouts", world.server.sandbox_url().unwrap()))
        .bearer_auth(world.server.sandbox_key().unwrap())
        .header("Stripe-Account", psp_account(&world).await)
        .form(&[("amount", "100"), ("currency", "eur")]);
    let answer = directly.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["error"]["message"], "Sorry, you don't have any external accounts in that currency (eur).");

    let policy = json!({ "currency": "USD", "approval_above": 50_000 });
    put(&world, &world.admin, &of_payee(&world, "/payout-policy"), None, policy).await.success().unwrap();
    let id = requested(&world, 90_000).await;
    let outbox = &world.server.app().outbox;
    outbox.pause().await.unwrap();
    let version = world.version(&world.payee, &of_payee(&world, "/requirements")).await;
    let token = json!({ "bank_account_token": "btok_us_verified_noAccount" });
    let path = of_payee(&world, "/payout-destinations/USD");
    put(&world, &world.payee, &path, Some(&version), token).await.success().unwrap();
    let until = world.server.app().engine.now().await.unwrap() + TimeDelta::hours(72);
    let refused = world.refused(409, "destination_cooling", request(&world, 1)).await;
    let told: chrono::DateTime<chrono::Utc> = refused.body["available_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(told, until, "the provider has not heard of it");
    assert_eq!(requirements(&world).await["destinations"][0]["available_at"], refused.body["available_at"]);
    let approve = format!("/v1/payouts/{id}/approve");
    world.refused(409, "destination_cooling", world.post(&world.admin, &approve, None, json!({}))).await;
    assert_eq!(payout(&world, &id).await["status"], "awaiting_approval", "it waits on");
    outbox.resume().await.unwrap();
    world.settled().await;
    after(&world, TimeDelta::hours(72)).await;

    outbox.pause().await.unwrap();
    world.post(&world.admin, &approve, None, json!({})).await.success().unwrap();
    world.post(&world.admin, &of_payee(&world, "/restrict"), None, json!({})).await.success().unwrap();
    outbox.resume().await.unwrap();
    super::waiting::until("it is not sent", async || payout(&world, &id).await["status"] == "failed").await;
    let shown = payout(&world, &id).await;
    assert_eq!([&shown["failure_code"], &shown["next_action"]], ["party_restricted", "retry"]);
    world.settled().await;
    assert_eq!(balance(&world).await, [90_000, 0, 0]);
    assert_eq!(at_provider(&world, "/v1/transfers", None).await["data"], json!([]));
    assert_eq!(outbox.not_done(10).await.unwrap().len(), 0, "no operator has to look");
}
