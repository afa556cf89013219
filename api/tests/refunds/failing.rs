//! Refunds that do not arrive, and those that have to wait.

use adapters::postgres::task;
use chrono::TimeDelta;
use domain::actor::Actor;
use domain::intent::{Intent, MoneyIntent};
use serde_json::json;

use crate::provider::{Provider, events, journal, perform, status_of};
use crate::support::{World, books};
use crate::{funded_with, granted};

/// D-74, J32: the bank gives it back nine days later. The wallet has it, and the refund has failed although it had
/// succeeded.
#[tokio::test]
async fn a_refund_that_comes_back_nine_days_later_is_in_the_wallet() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_refundFail").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["succeeded"]);
    let nine_days = World::begin() + TimeDelta::days(2 + 9);
    world.at(nine_days - TimeDelta::seconds(1)).await;
    assert_eq!(world.count("refund.failed").await, 0);
    world.at(nine_days).await;

    let [failed] = events(&world, "refund.failed").await.try_into().unwrap();
    assert_eq!(failed["data"]["code"], "expired_or_canceled_card");
    assert_eq!(journal(&failed), ["D 1120 105000", "C 2120 105000"]);
    assert_eq!(status_of(&world, "refund").await, ["failed"]);
    assert_eq!(provider.refunds().await[0]["status"], "failed");
    assert_eq!(world.books().await, books(&[("1120", 101_925), ("2120", -105_000), ("5100", 3_075)]));
    world.close().await;
}

/// J32: a bank that refuses at once, before anything was booked as sent: the wallet has it all the same.
#[tokio::test]
async fn a_refund_that_never_left_is_in_the_wallet() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_pendingRefund").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let id = provider.refunds().await[0]["id"].as_str().unwrap().to_owned();
    provider
        .post(&format!("/_sandbox/refunds/{id}/turn"), &[("status", "failed"), ("failure_reason", "declined")])
        .await;
    world.settled().await;
    let [failed] = events(&world, "refund.failed").await.try_into().unwrap();
    assert_eq!(journal(&failed), ["D 2260 105000", "C 2120 105000"]);
    assert_eq!(world.books().await, books(&[("1120", 101_925), ("2120", -105_000), ("5100", 3_075)]));
    world.close().await;
}

/// A client who is asked for a bank account and does not tell it: the provider's side calls the refund off.
#[tokio::test]
async fn a_refund_that_is_called_off_is_in_the_wallet() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_pendingRefund").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let id = provider.refunds().await[0]["id"].as_str().unwrap().to_owned();
    provider.post(&format!("/_sandbox/refunds/{id}/turn"), &[("status", "requires_action")]).await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["submitted"], "the client has to act, the provider asks");
    provider.post(&format!("/v1/refunds/{id}/cancel"), &[]).await;
    world.settled().await;
    let [cancelled] = events(&world, "refund.cancelled").await.try_into().unwrap();
    assert_eq!(journal(&cancelled), ["D 2260 105000", "C 2120 105000"]);
    assert_eq!(status_of(&world, "refund").await, ["cancelled"]);
    world.close().await;
}

/// D-85: the provider takes the refund and keeps it until our balance is enough. Finance is told; J31 comes when the money
/// has gone, and not before.
#[tokio::test]
async fn a_refund_that_the_balance_does_not_cover_waits_at_the_provider() {
    let world = World::new().await;
    let contract = world.funded().await;
    granted(&world, &contract, None).await;
    // The payment's own money is available now: 30.75 too little.
    world.at(World::begin() + TimeDelta::days(3)).await;
    assert_eq!(world.count("refund.funding_required").await, 1, "finance is told once");
    assert_eq!(world.count("refund.succeeded").await, 0);
    let tasks = async || -> Vec<String> {
        let tasks = task::list(world.server.app().pool(), 10).await.unwrap();
        tasks.into_iter().filter(|task| task.kind == task::REFUND_FUNDING).map(|task| task.subject).collect()
    };
    let [required] = events(&world, "refund.funding_required").await.try_into().unwrap();
    assert_eq!(tasks().await, [required["data"]["refund_id"].as_str().unwrap()], "and has a task");
    let provider = Provider::of(&world);
    assert_eq!(provider.refunds().await[0]["pending_reason"], "insufficient_funds");
    assert_eq!(world.books().await, books(&[("1120", 101_925), ("2260", -105_000), ("5100", 3_075)]));

    provider.top_up().await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["succeeded"]);
    assert!(tasks().await.is_empty(), "which is over");
    assert_eq!(provider.refunds().await.len(), 1);
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]));
    world.close().await;
}

/// D-85: the provider refuses for lack of money. Nothing has moved there, so it is asked again under a new key, until it
/// can; finance is told once.
#[tokio::test]
async fn a_refund_refused_for_lack_of_money_is_sent_again_under_a_new_key() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_visa").await;
    world.sandbox(json!([{ "on": "POST /v1/refunds", "action": "balance_insufficient", "times": 2 }])).await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let keys: Vec<String> = sqlx::query_scalar(
        "select right(r.idempotency_key, 9) from main.provider_requests r
         join main.outbox o on o.order_id = r.order_id where o.action = 'refund' order by r.created_at",
    )
    .fetch_all(world.server.app().pool())
    .await
    .unwrap();
    assert_eq!(keys, [":refund:1", ":refund:2", ":refund:3"]);
    let mut told = Vec::new();
    for event_type in ["refund.requested", "refund.funding_required", "refund.succeeded"] {
        told.push(events(&world, event_type).await.len());
    }
    assert_eq!(told, [1, 1, 1]);
    assert_eq!(provider.refunds().await.len(), 1);
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]));
    world.close().await;
}

/// B.6: somebody has given the charge back at the provider's dashboard: ours is refused for good, nothing is booked as sent,
/// and nobody gets it into the wallet, since the client has it already.
#[tokio::test]
async fn a_refund_that_the_provider_refuses_for_good_needs_somebody() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_visa").await;
    let payment = provider.payment(&contract.id).await;
    provider.post("/v1/refunds", &[("charge", payment["latest_charge"].as_str().unwrap())]).await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, Vec::<String>::new(), "it is none of ours");
    granted(&world, &contract, None).await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["requires_manual"]);
    let [manual] = events(&world, "refund.manual_required").await.try_into().unwrap();
    assert_eq!(manual["data"]["reason"], "charge_already_refunded");
    assert_eq!(world.books().await, books(&[("1120", 101_925), ("2260", -105_000), ("5100", 3_075)]));

    let refund_id = manual["data"]["refund_id"].as_str().unwrap().parse().unwrap();
    let redirect = || Intent::Money(MoneyIntent::RedirectRefund { refund_id });
    assert!(perform(&world, Actor::Payee(world.payee.party_id), redirect()).await.is_err(), "not the payee's to say");
    let path = format!("/v1/refunds/{refund_id}/redirect");
    let asked = world.post(&world.client, &path, None, json!({}));
    let refused = world.refused(409, "refund_not_redirectable", asked).await;
    assert_eq!(refused.body["reason"], "charge_already_refunded");
    assert_eq!(world.count("refund.redirected").await, 0);
    assert_eq!(world.books().await, books(&[("1120", 101_925), ("2260", -105_000), ("5100", 3_075)]));
    world.close().await;
}

/// More than is left of the charge, because a part of it was given back by hand.
#[tokio::test]
async fn a_refund_larger_than_what_is_left_of_the_charge_needs_somebody() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_visa").await;
    let payment = provider.payment(&contract.id).await;
    let fields = [("payment_intent", payment["id"].as_str().unwrap()), ("amount", "1")];
    provider.post("/v1/refunds", &fields).await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let [manual] = events(&world, "refund.manual_required").await.try_into().unwrap();
    assert_eq!(manual["data"]["reason"], "invalid_request_error");
    assert_eq!(provider.refunds().await.len(), 1, "the one by hand");
    world.close().await;
}
