//! How long a provider lets money lie.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::events;
use super::support::{Contract, World};

async fn funded_in(world: &World, country: &str) -> Contract {
    let contract = world.drafted().await;
    let terms = json!({ "policy": { "psp_hold": { "platform_country": country } } });
    world.act(&world.client, contract.at("/offer"), terms).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    contract
}

fn at(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["occurred_at"].as_str().unwrap()).collect()
}

/// D-28, D-30, J30: money that a platform in Thailand holds since December 1st is warned of on the 6th and the 10th, and
/// goes back on the 11th; that of a platform in the United States may lie until November 2028.
#[tokio::test]
async fn the_providers_limit_sends_money_back() {
    let world = World::new().await;
    let american = funded_in(&world, "US").await;
    let limit = world.get(&world.client, &format!("/v1/escrows/{}", american.id)).await.success().unwrap();
    assert_eq!(limit.body["hold_limit_at"], "2028-11-30T10:00:00Z");
    let thai = funded_in(&world, "TH").await;
    world.at(World::begin() + TimeDelta::days(10) - TimeDelta::seconds(1)).await;
    assert_eq!(at(&events(&world, "escrow.hold_limit_warned").await), ["2026-12-06T10:00:00Z", "2026-12-10T10:00:00Z"]);
    assert_eq!(world.count("escrow.hold_limit_reached").await, 0);
    world.at(World::begin() + TimeDelta::days(10)).await;
    let reached = events(&world, "escrow.hold_limit_reached").await;
    assert_eq!(at(&reached), ["2026-12-11T10:00:00Z"]);
    let [refund] = events(&world, "escrow.refund_initiated").await.try_into().unwrap();
    assert_eq!((&refund["data"]["contract_id"], &refund["occurred_at"]), (&json!(thai.id), &reached[0]["occurred_at"]));
    let shown = world.get(&world.client, &thai.work("")).await.success().unwrap();
    assert_eq!(shown.body["held"], 0);
    let books = world.books().await;
    // The provider pays the refund from what is available there, which is the other contract's money, too.
    assert_eq!((books["2100"], books.get("2260").copied().unwrap_or(0)), (-100_000, 0));
    world.close().await;
}
