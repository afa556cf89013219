//! Calls that go wrong, and webhooks that come twice, late, out of order, or never.

use chrono::TimeDelta;
use serde_json::json;

use super::support::{World, books, funding_of};
use super::{events, help, journal, pay, status};

/// D-13, D-14, D-15, I8: whatever goes wrong on the way, a payment is made once and booked once: the call fails, is
/// refused for a while, or its answer is lost; its webhooks come in copies, in another order, hours later, or not at all.
#[tokio::test]
async fn a_payment_is_made_once_whatever_goes_wrong() {
    let world = World::new().await;
    let call = |more: serde_json::Value| {
        let mut body = json!({ "call": "collect_payment" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let troubles = [
        ("time-out", call(json!({ "times": 2 }))),
        ("fail", call(json!({}))),
        ("rate-limit", call(json!({ "seconds": 1 }))),
        ("duplicate", json!({ "copies": 5, "times": 4 })),
        ("reorder", json!({ "event": "charge.succeeded" })),
        ("delay", json!({ "seconds": 3600, "times": 4 })),
        ("drop", json!({ "times": 4 })),
    ];
    let mut funded = 0;
    for (helper, body) in troubles {
        let contract = world.accepted().await;
        assert_eq!(help(&world, helper, body).await, 1, "{helper}");
        let funding = pay(&world, &contract, "pm_card_visa").await;
        assert_eq!(status(&world, &funding).await, "succeeded", "{helper}");
        funded += 1;
        assert_eq!(world.count("escrow.funded").await, funded, "{helper}");
        help(&world, "clear", json!({})).await;
    }
    world.at(World::begin() + TimeDelta::hours(1)).await;
    help(&world, "flush", json!({})).await;
    world.settled().await;
    let undelivered = world.server.app().sandbox.as_ref().unwrap().status().await.unwrap().webhooks_on_their_way;
    assert_eq!(
        (undelivered, world.count("escrow.funded").await),
        (0, funded),
        "what was lost and late says nothing new"
    );
    assert_eq!(
        (world.count("funding.succeeded").await, world.count("funding.psp_fee_recorded").await),
        (funded, funded)
    );
    let of = i128::try_from(funded).unwrap();
    let booked = [("1110", 101_925 * of), ("2100", -100_000 * of), ("2300", -5000 * of), ("5100", 3075 * of)];
    assert_eq!(world.books().await, books(&booked));

    // Keys are forgotten when they are a day old, and not before.
    assert_eq!(help(&world, "prune-keys", json!({})).await, 0);
    world.at(World::begin() + TimeDelta::hours(25)).await;
    assert!(help(&world, "prune-keys", json!({})).await >= u64::try_from(funded).unwrap());
    assert_eq!(help(&world, "prune-keys", json!({})).await, 0, "they are gone");
    world.close().await;
}

/// D-27: the cost of a payment is known 20 minutes after its success. It is booked then, on the day of the charge, although
/// that is past midnight.
#[tokio::test]
async fn a_late_receipt_is_booked_on_the_day_of_the_charge() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let evening = World::begin() + TimeDelta::hours(13) + TimeDelta::minutes(50);
    world.at(evening).await;
    help(&world, "late-receipt", json!({ "seconds": 1200 })).await;
    let body = funding_of(&contract, 100_000, "pm_card_visa");
    world.post(&world.client, &contract.at("/fundings"), None, body).await.success().unwrap();
    world.at(evening + TimeDelta::minutes(19)).await;
    assert_eq!((world.count("escrow.funded").await, world.count("funding.psp_fee_recorded").await), (1, 0));
    assert_eq!(world.books().await, books(&[("1110", 105_000), ("2100", -100_000), ("2300", -5000)]), "J01 alone");
    let after = evening + TimeDelta::minutes(20);
    world.at(after).await;
    let [cost] = events(&world, "funding.psp_fee_recorded").await.try_into().unwrap();
    assert_eq!(journal(&cost), ["D 5100 3075", "C 1110 3075"]);
    assert_eq!((&cost["occurred_at"], &cost["journal"]["value_date"]), (&json!(after), &json!("2026-12-01")));
    world.close().await;
}
