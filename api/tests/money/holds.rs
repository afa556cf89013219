//! What staff stops, and lets go again.

use api::caller::Role;
use api::cli::operator::make_token;
use chrono::TimeDelta;
use domain::actor::StaffRole;
use serde_json::{Value, json};

use super::support::World;
use super::{at, booked, escrow, lines, now, status};

/// While an escrow is frozen nothing leaves it; what was being done can be done after it.
#[tokio::test]
async fn nothing_leaves_a_frozen_escrow() {
    let world = World::new().await;
    let contract = world.funded().await;
    let order = json!({ "reason": "court_order", "legal_ref": "4 HK O 17/26" });
    let frozen = world.act(&world.admin, escrow(&contract, "/freeze"), order.clone()).await.success().unwrap();
    assert_eq!((status(&frozen), &frozen.body["frozen"]), ("frozen", &json!(true)));
    world.refused(409, "escrow_frozen", world.act(&world.admin, escrow(&contract, "/freeze"), order)).await;
    world.refused(409, "escrow_frozen", world.act(&world.client, contract.work("/approve"), json!({}))).await;
    world.refused(409, "escrow_frozen", world.act(&world.payee, contract.work("/grant-refund"), json!({}))).await;
    let shown = now(&world, &world.payee, &contract.at("")).await;
    assert_eq!(
        at(&shown, ["/status", "/escrow/frozen", "/escrow/held"]),
        [json!("active"), json!(true), json!(100_000)]
    );
    world.approved_by_another(world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({})).await).await;
    let thawed = now(&world, &world.admin, &escrow(&contract, "")).await;
    assert_eq!((status(&thawed), &thawed.body["frozen"]), ("open", &json!(false)));
    world.refused(409, "escrow_not_frozen", world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({}))).await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    world.settled().await;
    let over = json!({ "reason": "court_order" });
    world.refused(409, "contract_wrong_state", world.act(&world.admin, escrow(&contract, "/freeze"), over)).await;
    world.close().await;
}

/// J18, J19: available earnings are held back by reason, cannot be withdrawn, and are let go.
#[tokio::test]
async fn earnings_are_held_back_and_let_go() {
    let world = World::new().await;
    world.released().await;
    world.at(World::begin() + TimeDelta::days(5)).await;
    let at_balance = |rest: &str| format!("/v1/parties/{}/balance{rest}", world.payee.party_id);
    let ask = async |verb: &str, body: Value| world.post(&world.admin, &at_balance(verb), None, body).await;
    let part = |amount: i64, reason: &str| json!({ "currency": "USD", "amount": amount, "reason": reason });
    let too_much = world.refused(422, "insufficient_available", ask("/hold", part(90_001, "kyc"))).await;
    assert_eq!(too_much.body["available"], 90_000);
    let held = ask("/hold", json!({ "currency": "USD", "reason": "kyc" })).await.success().unwrap();
    assert_eq!(at(&held, ["/held", "/available"]), [json!([{ "reason": "kyc", "amount": 90_000 }]), json!(0)]);
    assert_eq!(lines(&world, "payee.earnings_held").await, booked(&[("D", "2210", 90_000), ("C", "2220", 90_000)]));
    let payout = json!({ "amount": 1, "currency": "USD" });
    let refused = world.post(&world.payee, "/v1/payouts", None, payout.clone());
    world.refused(422, "insufficient_available", refused).await;
    let shown = now(&world, &world.payee, &at_balance("")).await;
    assert_eq!(at(&shown, ["/data/0/held", "/data/0/available"]), [json!(90_000), json!(0)]);
    assert_eq!(shown.body["data"], now(&world, &world.payee, "/v1/balances/me").await.body["data"]);

    // What is held for one reason is not let go for another.
    let other = world.refused(422, "exceeds_held", ask("/release", part(1, "fraud"))).await;
    assert_eq!(other.body["held"], 0);
    let free = ask("/release", part(90_000, "kyc")).await.success().unwrap();
    assert_eq!(at(&free, ["/held", "/available"]), [json!([]), json!(90_000)]);
    let booking = [("D", "2220", 90_000), ("C", "2210", 90_000)];
    assert_eq!(lines(&world, "payee.earnings_hold_released").await, booked(&booking));
    world.post(&world.payee, "/v1/payouts", None, payout).await.success().unwrap();
    world.close().await;
}

/// Only staff that decides about money stops it: neither party, nor staff that only reads. Whether the thing exists is not
/// told.
#[tokio::test]
async fn only_staff_that_decides_about_money_stops_it() {
    let world = World::new().await;
    let contract = world.funded().await;
    let engine = &world.server.app().engine;
    let auditor = make_token(engine, Role::Staff(StaffRole::Auditor), None, None, None).await.unwrap();
    let support = make_token(engine, Role::Staff(StaffRole::Support), None, None, None).await.unwrap();
    let nowhere = "ctr_00000000000000000000000000";
    for who in [&world.client, &world.payee, &world.outsider, &auditor, &support] {
        for id in [contract.id.as_str(), nowhere] {
            for (verb, body) in [("freeze", json!({ "reason": "x" })), ("unfreeze", json!({}))] {
                let path = format!("/v1/escrows/{id}/{verb}");
                world.refused(403, "forbidden", world.post(who, &path, Some("\"1\""), body)).await;
            }
        }
        for verb in ["hold", "release"] {
            let path = format!("/v1/parties/{}/balance/{verb}", world.payee.party_id);
            let body = json!({ "currency": "USD", "reason": "kyc" });
            world.refused(403, "forbidden", world.post(who, &path, None, body)).await;
        }
    }
    let path = format!("/v1/escrows/{nowhere}/freeze");
    let freeze = world.post(&world.admin, &path, Some("\"1\""), json!({ "reason": "x" }));
    world.refused(404, "not_found", freeze).await;
    world.close().await;
}
