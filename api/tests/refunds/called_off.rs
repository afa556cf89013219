//! Payments that wait for the client, and are called off.

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::intent::{Intent, MoneyIntent};
use serde_json::json;

use crate::provider::{Provider, all, events, journal, perform, status_of, until};
use crate::support::{Contract, World, books};

/// A payment that waits for 3-D Secure, and the provider's id of it.
async fn waiting(world: &World) -> (Contract, Provider, String) {
    let contract = world.accepted().await;
    world.fund(&contract, "pm_card_authenticationRequiredOnSetup").await.success().unwrap();
    world.settled().await;
    assert_eq!(status_of(world, "funding").await, ["action_required"]);
    let provider = Provider::of(world);
    let payment = provider.payment(&contract.id).await;
    assert_eq!(payment["status"], "requires_action");
    (contract, provider, payment["id"].as_str().unwrap().to_owned())
}

/// The client gives the payment up, and then the contract.
async fn give_up(world: &World, contract: &Contract) {
    let [created] = all(world, "funding.created").await.try_into().unwrap();
    let funding_id = created["data"]["funding_id"].as_str().unwrap().parse().unwrap();
    let cancel = Intent::Money(MoneyIntent::CancelFunding { funding_id });
    perform(world, Actor::Client(world.client.party_id), cancel).await.unwrap();
    until(world, "funding", &["cancelled"]).await;
    world.act(&world.client, contract.at("/cancel"), json!({})).await.success().unwrap();
}

/// The client completes 3-D Secure: the milestone is funded as by any other card.
#[tokio::test]
async fn a_payment_that_the_client_completes_funds_the_milestone() {
    let world = World::new().await;
    let (_, provider, payment) = waiting(&world).await;
    provider.post(&format!("/_sandbox/payment_intents/{payment}/authenticate"), &[("outcome", "succeeded")]).await;
    world.settled().await;
    assert_eq!((world.count("milestone.funded").await, world.count("escrow.funded").await), (1, 1));
    world.at(World::begin() + TimeDelta::hours(24)).await;
    assert_eq!(world.count("funding.expired").await, 0);
    world.close().await;
}

/// The client fails 3-D Secure: the milestone can be paid for anew.
#[tokio::test]
async fn a_payment_that_the_client_fails_to_complete_has_failed() {
    let world = World::new().await;
    let (contract, provider, payment) = waiting(&world).await;
    provider.post(&format!("/_sandbox/payment_intents/{payment}/authenticate"), &[("outcome", "failed")]).await;
    world.settled().await;
    let [failed] = events(&world, "funding.failed").await.try_into().unwrap();
    assert_eq!(failed["data"]["code"], "payment_intent_authentication_failure");
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    assert_eq!(world.count("milestone.funded").await, 1);
    world.close().await;
}

/// D-16: the client abandons 3-D Secure; at 24 hours and not before the funding expires, the milestone is planned again,
/// and the payment is cancelled at the provider.
#[tokio::test]
async fn a_payment_that_nobody_completes_is_cancelled_at_the_provider() {
    let world = World::new().await;
    let (contract, provider, payment) = waiting(&world).await;
    let due_at = World::begin() + TimeDelta::hours(24);
    world.at(due_at - TimeDelta::seconds(1)).await;
    assert_eq!(world.count("funding.expired").await, 0);
    world.at(due_at).await;
    let [expired] = events(&world, "funding.expired").await.try_into().unwrap();
    assert_eq!(expired["occurred_at"], json!(due_at));
    assert_eq!(status_of(&world, "funding").await, ["expired"]);
    assert_eq!(status_of(&world, "milestone").await, ["planned"]);
    assert_eq!(provider.get(&format!("/v1/payment_intents/{payment}")).await["status"], "canceled");
    assert_eq!(world.count("funding.failed").await, 0, "that it is cancelled there is no news");
    assert_eq!(world.books().await, books(&[]));
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    assert_eq!(world.count("milestone.funded").await, 1);
    world.close().await;
}

/// D-10, J93: the contract is cancelled, and the provider confirms the payment a second later. It goes back whole; what it
/// cost is the platform's. Nobody ever sees a funded milestone.
#[tokio::test]
async fn a_success_after_the_cancellation_goes_back() {
    let world = World::new().await;
    let (contract, provider, payment) = waiting(&world).await;
    // The cancellation is on its way to the provider when the client completes the payment there.
    let cancel = "POST /v1/payment_intents/{id}/cancel";
    world.sandbox(json!([{ "on": cancel, "action": "hold_execution", "ms": 15_000 }])).await;
    give_up(&world, &contract).await;
    let a_second_later = World::begin() + TimeDelta::seconds(1);
    provider.move_clock(a_second_later).await;
    world.server.app().engine.clock().advance(a_second_later).await.unwrap();
    provider.post(&format!("/_sandbox/payment_intents/{payment}/authenticate"), &[("outcome", "succeeded")]).await;
    until(&world, "funding", &["sent_back"]).await;
    provider.clear_faults().await;
    world.settled().await;

    let [late] = events(&world, "funding.succeeded_after_cancel").await.try_into().unwrap();
    assert_eq!(late["occurred_at"], json!(a_second_later));
    assert_eq!(journal(&late), ["D 1110 105000", "C 2260 105000"]);
    let [refund] = provider.refunds().await.try_into().unwrap();
    assert_eq!((&refund["amount"], &refund["payment_intent"]), (&json!(105_000), &json!(payment)));
    for never in ["milestone.funded", "escrow.funded"] {
        assert_eq!(world.count(never).await, 0, "{never}");
    }
    assert_eq!(status_of(&world, "contract").await, ["cancelled"]);

    world.at(World::begin() + TimeDelta::days(3)).await;
    provider.top_up().await;
    world.settled().await;
    assert_eq!(status_of(&world, "refund").await, ["succeeded"]);
    assert_eq!(world.books().await, books(&[("1120", -3_075), ("5100", 3_075)]), "30.75 is the platform's cost");
    world.close().await;
}

/// D-10: all notices of the late success are lost; the provider's refusal to cancel tells of it.
#[tokio::test]
async fn a_success_that_only_the_refused_cancellation_tells_goes_back() {
    let world = World::new().await;
    let (contract, provider, payment) = waiting(&world).await;
    world.sandbox(json!([{ "on": "webhook *", "action": "drop", "times": 20 }])).await;
    provider.post(&format!("/_sandbox/payment_intents/{payment}/authenticate"), &[("outcome", "succeeded")]).await;
    give_up(&world, &contract).await;
    until(&world, "funding", &["sent_back"]).await;
    until(&world, "refund", &["submitted"]).await;
    provider.clear_faults().await;
    provider.settled(&world).await;
    assert_eq!(world.count("funding.succeeded_after_cancel").await, 1);
    assert_eq!(provider.refunds().await.len(), 1);
    world.close().await;
}
