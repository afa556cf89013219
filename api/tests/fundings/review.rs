//! Payments that arrive as something else than what was asked for.

use serde_json::json;

use super::support::{World, books};
use super::{events, help, journal, pay, planned, seen, status};

/// D-18: the provider has captured 1,000.00 where 1,050.00 were due: it is kept apart, the milestone is not funded, and the
/// client sees that the payment is under review. In another currency it is no different. The milestone can be paid for
/// again.
#[tokio::test]
async fn another_amount_or_currency_is_under_review() {
    let world = World::new().await;
    let contract = world.accepted().await;
    help(&world, "capture-other", json!({ "amount": 100_000 })).await;
    let funding = pay(&world, &contract, "pm_card_visa").await;
    assert_eq!(status(&world, &funding).await, "under_review");
    let [suspended] = events(&world, "funding.receipt_suspended").await.try_into().unwrap();
    assert_eq!(journal(&suspended), ["D 1110 100000", "C 2900 100000"]);
    assert_eq!(suspended["data"]["reason"], "amount_mismatch");
    planned(&world, &contract).await;
    // The payee is told as well, and not how the client pays.
    let told = world.get(&world.payee, &contract.at("/timeline")).await.success().unwrap().body;
    let told = told["data"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&told["type"], &told["data"]["reason"]),
        (&json!("milestone.funding_failed"), &json!("amount_mismatch"))
    );
    assert_eq!(world.count("escrow.funded").await, 0);
    assert_eq!(world.books().await, books(&[("1110", 97_070), ("2900", -100_000), ("5100", 2930)]), "J02: 29.30");

    help(&world, "capture-other", json!({ "currency": "EUR" })).await;
    let funding = pay(&world, &contract, "pm_card_visa").await;
    assert_eq!(status(&world, &funding).await, "under_review");
    let suspended = events(&world, "funding.receipt_suspended").await;
    assert_eq!(suspended.last().unwrap()["data"]["reason"], "currency_mismatch");
    assert_eq!(journal(suspended.last().unwrap()), ["D 1110 105000", "C 2900 105000"]);
    planned(&world, &contract).await;

    let funding = pay(&world, &contract, "pm_card_visa").await;
    assert_eq!(status(&world, &funding).await, "succeeded");
    assert_eq!(seen(&world, &contract.work("")).await["status"], "funded");
    assert_eq!(world.books().await["2100"], -100_000);
    world.close().await;
}
