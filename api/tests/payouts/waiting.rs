//! Payouts that wait for funds, race with a schedule, or are heard of only by asking.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::support::World;
use super::{ask_provider, at_provider, balance, earned, of_payee, payout, put, request, requested};

/// Waits until that is so. What follows at the provider is not waited for.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// D-123: with 600.00 at the provider a payout of 900.00 waits in `approved`, is never made in part, and goes when there
/// is enough.
#[tokio::test]
async fn a_payout_waits_until_there_is_enough() {
    let world = World::new().await;
    earned(&world).await;
    // Somebody takes 419.25 out at the provider.
    let taken = ask_provider(&world, "/v1/payouts", &[("amount", "41925"), ("currency", "usd")]).await;
    assert!(taken.status().is_success());
    let id = requested(&world, 90_000).await;
    until("it waits", async || payout(&world, &id).await["status"] == "approved").await;
    assert_eq!(balance(&world).await, [0, 90_000, 0]);
    assert_eq!(at_provider(&world, "/v1/transfers", None).await["data"], json!([]), "nothing in part");
    // Another payment arrives, and is available at once.
    let contract = world.accepted().await;
    world.fund(&contract, "pm_card_bypassPending").await.success().unwrap();
    until("it goes", async || payout(&world, &id).await["status"] == "in_transit").await;
    assert_eq!(world.count("payout.funds_awaited").await, 1, "told once");
    let transfers = at_provider(&world, "/v1/transfers", None).await["data"].clone();
    assert_eq!((transfers.as_array().unwrap().len(), &transfers[0]["amount"]), (1, &json!(90_000)));
}

async fn race(world: &World, instant: DateTime<Utc>) {
    let app = world.server.app();
    app.sandbox.as_ref().unwrap().advance(instant).await.unwrap();
    app.engine.clock().advance(instant).await.unwrap();
    app.clock_moved.notify_waiters();
}

/// D-125: the daily payout and a request by hand race for 900.00: one has them, the other is refused.
/// D-131: the notice that it was paid is lost; it is seen by asking when the payout is expected at the bank.
#[tokio::test]
async fn one_reservation_and_a_lost_notice() {
    let world = World::new().await;
    earned(&world).await;
    let every_day = json!({ "currency": "USD", "every": "daily" });
    let set =
        put(&world, &world.payee, &of_payee(&world, "/payout-schedule"), None, every_day).await.success().unwrap();
    let midnight: DateTime<Utc> = set.text("/next_at").unwrap().parse().unwrap();
    assert_eq!(midnight.to_rfc3339(), "2026-12-07T00:00:00+00:00");
    race(&world, midnight).await;
    let (first, second) = tokio::join!(request(&world, 90_000), request(&world, 90_000));
    for answer in [first, second] {
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (422, &json!("insufficient_available")));
        assert_eq!(answer.body["available"], 0);
    }
    assert_eq!(world.count("payee.payout_reserved").await, 1);
    world.settled().await;
    assert_eq!(balance(&world).await, [0, 90_000, 0]);

    // D-131.
    world.sandbox(json!([{ "on": "webhook *", "action": "drop", "times": 1000 }])).await;
    race(&world, midnight + TimeDelta::days(1) + TimeDelta::minutes(10)).await;
    until("it is seen", async || world.count("payout.paid").await == 1).await;
    assert_eq!(balance(&world).await, [0, 0, 0]);
}
