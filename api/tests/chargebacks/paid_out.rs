//! After the payee has the money.

use adapters::postgres::task;
use serde_json::json;

use super::support::{World, funding_of};
use super::{
    DEBIT, balance, bank, booked, chargeback, chargebacks, disputed, later, lines, paid_out_by, paid_out_on, taken,
};

/// D-116, J55, then D-21, J59, then D-107, J54: the platform bears it, the client owes it, the payee owes it.
#[tokio::test]
async fn what_is_lost_after_it_was_paid_out() {
    let world = World::new().await;
    // What banks take is taken of the money of all: without this, the later payouts would wait.
    let other = world.accepted_with(json!([{ "amount": 1_000_000 }])).await;
    let pay = funding_of(&other, 1_000_000, "pm_card_visa");
    world.post(&world.client, &other.at("/fundings"), None, pay).await.success().unwrap();
    world.settled().await;
    platform_bears(&world).await;
    client_owes(&world).await;
    payee_owes(&world).await;
    world.close().await;
}

/// D-116, J55: under `chargeback_liability = platform` the payee is not touched.
async fn platform_bears(world: &World) {
    let terms = json!({ "policy": { "chargeback_liability": "platform" } });
    let (contract, funding) = paid_out_on(world, terms).await;
    let before = balance(world).await;
    let dispute = disputed(world, &funding, json!({})).await;
    assert_eq!(booked(world, &contract, "chargeback.funds_withdrawn").await, taken());
    bank(world, "lose", json!({ "dispute": dispute })).await;
    let loss = lines(&[("D", "5200", 105_000), ("C", "1200", 105_000)]);
    assert_eq!(booked(world, &contract, "chargeback.loss_absorbed").await, loss);
    assert_eq!(balance(world).await, before);
}

/// The surplus of the platform's own money in dollars.
async fn surplus(world: &World) -> i64 {
    let report = world.get(&world.admin, "/v1/reports/coverage").await.success().unwrap().body;
    report["currencies"][0]["surplus"].as_i64().unwrap()
}

/// D-21, J59: a bank debit that comes back after all is the client's debt, and the payee's money is not touched. The coverage
/// falls by as much, which is somebody's task.
async fn client_owes(world: &World) {
    let (contract, funding) = paid_out_by(world, DEBIT, json!({})).await;
    let before = balance(world).await;
    let covered = surplus(world).await;
    bank(world, "return", json!({ "funding_id": funding, "code": "insufficient_funds" })).await;
    let owed = lines(&[("D", "1220", 105_000), ("C", "1120", 105_000)]);
    assert_eq!(booked(world, &contract, "funding.late_return_recorded").await, owed);
    assert_eq!(balance(world).await, before);
    assert_eq!(surplus(world).await, covered - 105_000);
    later(world, 1).await;
    let tasks = task::list(world.server.app().pool(), 10).await.unwrap();
    assert!(
        tasks.iter().any(|task| (task.kind.as_str(), task.subject.as_str()) == (task::UNCOVERED, "USD")),
        "{tasks:?}"
    );
}

/// D-107, J54: the payee owes the net, and pays it off with what is released next.
async fn payee_owes(world: &World) {
    let (contract, funding) = paid_out_on(world, json!({})).await;
    let dispute = disputed(world, &funding, json!({})).await;
    bank(world, "lose", json!({ "dispute": dispute })).await;
    let loss = lines(&[("D", "1210", 90_000), ("D", "4100", 10_000), ("D", "4110", 5000), ("C", "1200", 105_000)]);
    assert_eq!(booked(world, &contract, "payee.chargeback_loss_charged").await, loss);
    assert_eq!(balance(world).await["debt"], 90_000);

    let next = world.accepted_with(json!([{ "amount": 50_000 }])).await;
    let pay = funding_of(&next, 50_000, "pm_card_visa");
    world.post(&world.client, &next.at("/fundings"), None, pay).await.success().unwrap();
    world.settled().await;
    world.act(&world.client, next.work("/approve"), json!({})).await.success().unwrap();
    later(world, 5).await;
    let cleared = lines(&[("D", "2200", 45_000), ("C", "1210", 45_000)]);
    assert_eq!(booked(world, &next, "payee.earnings_cleared").await, cleared);
    let earnings = balance(world).await;
    assert_eq!((&earnings["debt"], &earnings["available"]), (&json!(45_000), &json!(0)));
    world.books().await;
}

/// D-117, J50, J54: won, then the bank takes the money again, and that is lost: a second cycle.
#[tokio::test]
async fn what_was_won_is_taken_again_and_lost() {
    let world = World::new().await;
    let (contract, funding) = paid_out_on(&world, json!({})).await;
    let dispute = disputed(&world, &funding, json!({})).await;
    bank(&world, "win", json!({ "dispute": dispute })).await;
    assert_eq!(chargeback(&world, &contract).await["status"], "won");
    bank(&world, "dispute", json!({ "dispute": dispute })).await;
    bank(&world, "lose", json!({ "dispute": dispute })).await;
    let [first, second] = chargebacks(&world, &contract).await.try_into().unwrap();
    assert_eq!((&first["status"], &first["cycle"], &first["next_id"]), (&json!("won"), &json!(1), &second["id"]));
    assert_eq!((&second["status"], &second["cycle"]), (&json!("lost"), &json!(2)));
    assert_eq!(world.count("chargeback.funds_withdrawn").await, 2);
    assert_eq!(booked(&world, &contract, "chargeback.funds_withdrawn").await, taken());
    let loss = lines(&[("D", "1210", 90_000), ("D", "4100", 10_000), ("D", "4110", 5000), ("C", "1200", 105_000)]);
    assert_eq!(booked(&world, &contract, "payee.chargeback_loss_charged").await, loss);
    assert_eq!(balance(&world).await["debt"], 90_000);
    let books = world.books().await;
    assert_eq!(books.get("1200"), None);
    assert_eq!(books.get("5120"), Some(&3000), "each withdrawal has its fee");
    world.close().await;
}
