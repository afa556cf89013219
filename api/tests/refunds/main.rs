//! Money that goes back to the client, and payments that are called off: engine, workers and the built-in provider
//! together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../support/mod.rs"]
mod support;

mod called_off;
mod exchange;
mod failing;
mod provider;

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::intent::Intent;
use domain::milestone::MilestoneCommand;
use ledger::Minor;
use provider::{Provider, events, journal, perform, status_of, until};
use serde_json::json;
use support::{Contract, World, books};

/// The payee gives back what is held of the milestone, or a part of it.
async fn granted(world: &World, contract: &Contract, amount: Option<i64>) {
    let command =
        MilestoneCommand::GrantRefund { amount: amount.map(|minor| Minor::new(minor).unwrap()), currency: None };
    let intent = Intent::OnMilestone { milestone_id: contract.milestone.parse().unwrap(), command };
    perform(world, Actor::Payee(world.payee.party_id), intent).await.unwrap();
}

/// A milestone of 1,000.00, paid with this card; its money is available, and so is 1,019.25 of the platform's own.
async fn funded_with(world: &World, token: &str) -> (Contract, Provider) {
    let contract = world.accepted().await;
    world.fund(&contract, token).await.success().unwrap();
    world.at(World::begin() + TimeDelta::days(2)).await;
    let provider = Provider::of(world);
    provider.top_up().await;
    (contract, provider)
}

/// D-71, J30, J31: what is held goes back to the card, the client's fee with it. What the provider keeps is not given
/// back: the balance there is 30.75 short of what came in.
#[tokio::test]
async fn a_funded_milestone_goes_back_to_the_card() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_visa").await;
    granted(&world, &contract, None).await;
    world.settled().await;

    let [initiated] = events(&world, "escrow.refund_initiated").await.try_into().unwrap();
    assert_eq!(journal(&initiated), ["D 2100 100000", "D 2300 5000", "C 2260 105000"]);
    let [succeeded] = events(&world, "refund.succeeded").await.try_into().unwrap();
    assert_eq!(journal(&succeeded), ["D 2260 105000", "C 1120 105000"]);
    let [refund] = provider.refunds().await.try_into().unwrap();
    assert_eq!((&refund["status"], &refund["amount"]), (&json!("succeeded"), &json!(105_000)));
    assert_eq!(refund["metadata"], json!({ "refund_id": succeeded["data"]["refund_id"] }));
    assert_eq!(succeeded["data"]["refund_ref"], refund["id"]);
    assert_eq!(succeeded["data"]["balance_transaction_ref"], refund["balance_transaction"]);
    assert_eq!(status_of(&world, "refund").await, ["succeeded"]);
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]));
    let report = world.get(&world.admin, "/v1/reports/coverage").await.success().unwrap().body;
    let line = &report["currencies"][0];
    assert_eq!((&line["surplus"], &line["required_float"]), (&json!(-3_075), &json!(3_075)));
    assert_eq!(world.count("refund.submitted").await, 0, "it succeeded at once");
    world.close().await;
}

/// I8: the answer is lost after the provider has sent the money; the same key finds it, and nothing is sent twice.
#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_visa").await;
    let lost = json!([{ "on": "POST /v1/refunds", "action": "timeout_after_success", "times": 2 }]);
    world.sandbox(lost).await;
    granted(&world, &contract, Some(40_000)).await;
    world.settled().await;
    assert_eq!(provider.refunds().await.len(), 1);
    assert_eq!((world.count("refund.requested").await, world.count("refund.succeeded").await), (1, 1));
    let left = [("1120", 59_925), ("2100", -60_000), ("2300", -3_000), ("5100", 3_075)];
    assert_eq!(world.books().await, books(&left), "J33: 400.00 and their share of the fee, 20.00");
    world.close().await;
}

/// A bank that answers later: nothing is booked before it has, and its answer is heard as a webhook.
#[tokio::test]
async fn a_pending_refund_is_booked_when_its_bank_answers() {
    let world = World::new().await;
    let (contract, _) = funded_with(&world, "pm_card_pendingRefund").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["submitted"]);
    let waiting = [("1120", 101_925), ("2260", -105_000), ("5100", 3_075)];
    assert_eq!(world.books().await, books(&waiting), "J31 only when it has succeeded");
    world.at(World::begin() + TimeDelta::days(3)).await;
    assert_eq!(status_of(&world, "refund").await, ["succeeded"]);
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]));
    assert_eq!((world.count("refund.submitted").await, world.count("refund.succeeded").await), (1, 1));
    world.close().await;
}

/// C.2.8: the webhooks of its success are lost; within a day it is asked for. That they come at last changes nothing.
#[tokio::test]
async fn a_pending_refund_is_asked_for_when_nothing_is_heard() {
    let world = World::new().await;
    let (contract, provider) = funded_with(&world, "pm_card_pendingRefund").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let begin = World::begin() + TimeDelta::days(2);
    // The first look ten minutes later, and the second after twice that, find no news.
    world.at(begin + TimeDelta::minutes(30)).await;
    assert_eq!(status_of(&world, "refund").await, ["submitted"]);
    let looks: i32 = sqlx::query_scalar("select failures from main.outbox where action = 'read_refund'")
        .fetch_one(world.server.app().pool())
        .await
        .unwrap();
    assert_eq!(looks, 2);

    let lost = ["refund.updated", "charge.refund.updated"];
    world
        .sandbox(lost.map(|kind| json!({ "on": format!("webhook {kind}"), "action": "drop" })).as_slice().into())
        .await;
    // While a webhook is lost the clock's route would wait for it.
    provider.move_clock(begin + TimeDelta::days(2)).await;
    let app = world.server.app();
    app.engine.clock().advance(begin + TimeDelta::days(2)).await.unwrap();
    app.clock_moved.notify_waiters();
    until(&world, "refund", &["succeeded"]).await;
    provider.settled(&world).await;
    assert_eq!((world.count("refund.submitted").await, world.count("refund.succeeded").await), (1, 1));
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]));
    world.close().await;
}
