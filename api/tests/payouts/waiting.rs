//! Payouts that wait for funds, race with a schedule, or are heard of only by asking.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::support::{Contract, World, funding_of};
use super::{after, ask_provider, at_provider, balance, earned, now, of_payee, payout, put, request, requested};

/// Waits until that is so. What follows at the provider is not waited for.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// D-123: with 600.00 at the provider a payout of 900.00 waits in `approved`, and so do those that were asked for after it,
/// though there would be enough for them; nothing is made in part. When there is enough they go, oldest first.
#[tokio::test]
async fn payouts_wait_until_there_is_enough_oldest_first() {
    let world = World::new().await;
    earned(&world).await;
    let other = world.funded().await;
    world.approve(&other, "\"3\"", json!({})).await.success().unwrap();
    after(&world, TimeDelta::days(5)).await;
    assert_eq!((balance(&world).await, world.books().await["1120"]), ([180_000, 0, 0], 203_850));
    // Somebody takes 1,438.50 out at the provider.
    let taken = ask_provider(&world, "/v1/payouts", &[("amount", "143850"), ("currency", "usd")]).await;
    assert!(taken.status().is_success());
    world.settled().await;
    assert_eq!(world.books().await["1120"], 60_000);
    let amounts = [90_000, 50_000, 10_000];
    let mut ids = Vec::new();
    for amount in amounts {
        ids.push(requested(&world, amount).await);
    }
    for id in &ids {
        until("it waits", async || payout(&world, id).await["status"] == "approved").await;
    }
    assert_eq!(balance(&world).await, [30_000, 150_000, 0]);
    assert_eq!(
        at_provider(&world, "/v1/transfers", None).await["data"],
        json!([]),
        "nothing in part, nothing overtakes"
    );
    // Another payment arrives, and is available at once.
    let contract = world.accepted().await;
    world.fund(&contract, "pm_card_bypassPending").await.success().unwrap();
    for id in &ids {
        until("it goes", async || payout(&world, id).await["status"] == "in_transit").await;
    }
    assert_eq!(world.count("payout.funds_awaited").await, 3, "each is told once");
    let transfers = at_provider(&world, "/v1/transfers", None).await["data"].clone();
    let moved: Vec<_> = transfers.as_array().unwrap().iter().rev().map(|transfer| transfer["amount"].clone()).collect();
    assert_eq!(moved, amounts.map(|amount| json!(amount)));
    world.close().await;
}

async fn race(world: &World, instant: DateTime<Utc>) {
    let app = world.server.app();
    app.sandbox.as_ref().unwrap().advance(instant).await.unwrap();
    app.engine.clock().advance(instant).await.unwrap();
    app.clock_moved.notify_waiters();
}

/// D-125: the daily payout and a request by hand race for 900.00: one of them has them, whichever is first; what is asked for
/// after it is refused.
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
    let ((), by_hand) = tokio::join!(race(&world, midnight), request(&world, 90_000));
    world.settled().await;
    if by_hand.status.as_u16() == 201 {
        // It was first: the schedule finds nothing.
        assert_eq!(world.count("payee.payout_schedule_reached").await, 1);
    } else {
        assert_eq!((by_hand.status.as_u16(), &by_hand.body["code"]), (422, &json!("insufficient_available")));
        assert_eq!(by_hand.body["available"], 0);
    }
    let late = world.refused(422, "insufficient_available", request(&world, 90_000)).await;
    assert_eq!(late.body["available"], 0);
    assert_eq!(world.count("payee.payout_reserved").await, 1);
    assert_eq!(balance(&world).await, [0, 90_000, 0]);

    // D-131.
    world.sandbox(json!([{ "on": "webhook *", "action": "drop", "times": 1000 }])).await;
    race(&world, midnight + TimeDelta::days(1) + TimeDelta::minutes(10)).await;
    until("it is seen", async || world.count("payout.paid").await == 1).await;
    assert_eq!(balance(&world).await, [0, 0, 0]);
    world.close().await;
}

/// D-65: forints are counted in hundredths and paid out whole: by hand the rest is refused, the schedule pays what is whole,
/// and the residue stays available.
#[tokio::test]
async fn what_a_bank_does_not_take_stays_available() {
    let world = World::without_account().await;
    let account = world.server.sandbox_account("HU").await.unwrap();
    let path = of_payee(&world, "/payout-account");
    world.post(&world.payee, &path, None, json!({ "psp_account": account })).await.success().unwrap();
    let draft = json!({
        "payee_id": world.payee.party_id, "currency": "HUF", "milestones": [{ "amount": 100_050 }],
    });
    let drafted = world.post(&world.client, "/v1/contracts", None, draft).await.success().unwrap();
    let milestone = drafted.text("/milestones/0/id").unwrap();
    let contract = Contract { id: drafted.text("/id").unwrap(), milestone };
    world.act(&world.client, contract.at("/offer"), json!({})).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    let mut pay = funding_of(&contract, 100_050, "pm_card_bypassPending");
    pay["currency"] = json!("HUF");
    world.post(&world.client, &contract.at("/fundings"), None, pay).await.success().unwrap();
    world.settled().await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    world.at(World::begin() + TimeDelta::days(5)).await;
    assert_eq!(balance(&world).await, [90_045, 0, 0]);

    let whole = json!({ "amount": 90_045, "currency": "HUF" });
    let refused = world.post(&world.payee, "/v1/payouts", None, whole);
    let refused = world.refused(422, "validation_failed", refused).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/amount");
    let every_day = json!({ "currency": "HUF", "every": "daily" });
    put(&world, &world.payee, &of_payee(&world, "/payout-schedule"), None, every_day).await.success().unwrap();
    world.at(World::begin() + TimeDelta::days(9)).await;
    assert_eq!(balance(&world).await, [45, 0, 0], "less than a whole one is never paid out");
    let shown = now(&world, &world.payee, "/v1/payouts").await.body["data"].clone();
    let [paid] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&paid["amount"], &paid["status"]), (&json!(90_000), &json!("paid")));
    let at_bank = at_provider(&world, "/v1/payouts", Some(&account)).await["data"].clone();
    assert_eq!((at_bank.as_array().unwrap().len(), &at_bank[0]["amount"]), (1, &json!(90_000)));
    world.close().await;
}

/// I8: the answer to a transfer is lost, and a day later by the tenant's clock the provider has forgotten its key: it is found
/// at the provider by what it carries, and is not sent a second time.
#[tokio::test]
async fn a_transfer_whose_key_is_forgotten_is_found_and_not_sent_twice() {
    let world = World::new().await;
    earned(&world).await;
    let lost = json!([
        { "on": "POST /v1/transfers", "action": "timeout_after_success", "times": 1000 },
        { "on": "webhook *", "action": "drop", "times": 1000 },
    ]);
    world.sandbox(lost).await;
    let id = requested(&world, 90_000).await;
    let outbox = &world.server.app().outbox;
    let unknown = async || {
        let orders = outbox.list(Some("unknown"), 10).await.unwrap();
        orders.into_iter().find(|order| order.action == "move_to_payee" && order.failures > 0)
    };
    until("its outcome is unknown", async || unknown().await.is_some()).await;
    outbox.pause().await.unwrap();
    let order_id = unknown().await.unwrap().order_id;
    let at = world.server.app().engine.now().await.unwrap() + TimeDelta::hours(25);
    race(&world, at).await;
    let path = "/v1/test_helpers/psp/prune-keys";
    let pruned = world.post(&world.admin, path, None, json!({})).await.success().unwrap();
    assert!(pruned.body["count"].as_u64().unwrap() > 0, "a day has passed for the provider");
    world.post(&world.admin, "/v1/test_helpers/psp/clear", None, json!({})).await.success().unwrap();
    let calls = outbox.show(order_id).await.unwrap().unwrap().2.len();
    outbox.resume().await.unwrap();
    until("it is found", async || outbox.show(order_id).await.unwrap().unwrap().0.status == "done").await;
    assert_eq!(outbox.show(order_id).await.unwrap().unwrap().2.len(), calls, "it is not sent again");
    until("it goes on", async || payout(&world, &id).await["status"] == "in_transit").await;
    let transfers = at_provider(&world, "/v1/transfers", None).await["data"].clone();
    assert_eq!(transfers.as_array().unwrap().len(), 1);
    assert_eq!(world.count("payout.transfer_completed").await, 1);
    world.close().await;
}
