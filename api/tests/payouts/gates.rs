//! Who is not paid, and why: restrictions, sanctions, missing money, approval, smallest amounts.

use api::caller::Role;
use api::cli::operator::make_token;
use chrono::TimeDelta;
use domain::actor::StaffRole;
use serde_json::json;

use super::support::World;
use super::{after, balance, earned, helped, of_payee, onboarded, payout, put, request, requested, requirements};

/// PM11, D-43: what the provider demands keeps a payee from being paid: what clears is held, and let go once it is given.
/// D-127: nothing is paid out while money is missing in the payee's account at the provider; somebody has to explain it.
#[tokio::test]
async fn what_the_provider_demands_or_misses_stops_payouts() {
    let world = World::without_account().await;
    onboarded(&world, "000123456789").await;
    let party = world.payee.party_id;
    let demand = json!({ "party_id": party, "currently_due": ["individual.verification.document"] });
    helped(&world, "account-restrict", demand).await;
    let shown = requirements(&world).await;
    assert_eq!(shown["currently_due"], json!(["individual.verification.document"]));
    assert_eq!((&shown["status"], &shown["restrictions"]), (&json!("incomplete"), &json!(["requirements"])));
    world.released().await;
    world.at(World::begin() + TimeDelta::days(5)).await;
    assert_eq!(balance(&world).await, [0, 0, 90_000], "held, and not available");
    let refused = world.refused(409, "party_restricted", request(&world, 90_000)).await;
    assert_eq!(refused.body["reason"], "requirements");
    helped(&world, "account-onboard", json!({ "party_id": party })).await;
    assert_eq!(balance(&world).await, [90_000, 0, 0]);

    // D-127.
    helped(&world, "account-adjust", json!({ "party_id": party, "amount": -12_000, "currency": "USD" })).await;
    let refused = world.refused(409, "negative_psp_balance", request(&world, 90_000)).await;
    assert_eq!(refused.body["shortfall"], 12_000);
    assert_eq!(requirements(&world).await["destinations"][0]["shortfall"], 12_000);
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let told = events.iter().find(|event| event.r#type == "party.psp_balance_negative").unwrap();
    assert!(told.data["break_id"].as_str().unwrap().starts_with("brk_"));
    helped(&world, "account-adjust", json!({ "party_id": party, "amount": 12_000, "currency": "USD" })).await;
    let id = requested(&world, 90_000).await;
    after(&world, TimeDelta::days(2)).await;
    assert_eq!(payout(&world, &id).await["status"], "paid");
    world.close().await;
}

/// D-130, J18, J19: a hit on a list of sanctions holds what is available and what clears later, and is dropped by two
/// members of staff. Beside it: a payout of more than the policy allows waits for staff, and can be called off until then.
#[tokio::test]
async fn staff_holds_and_approves() {
    let world = World::without_account().await;
    onboarded(&world, "000123456789").await;
    earned(&world).await;
    let engine = &world.server.app().engine;
    let second = make_token(engine, Role::Staff(StaffRole::Finance), None, None, None).await.unwrap();
    let hit = json!({ "screening_ref": "scr_1" });
    let hit = world.post(&world.admin, &of_payee(&world, "/sanctions/hit"), None, hit).await.success().unwrap();
    assert_eq!(hit.body["sanctions"]["screening_ref"], "scr_1");
    world.settled().await;
    assert_eq!(requirements(&world).await["sanctions"], json!(null), "the payee is not told");
    assert_eq!(balance(&world).await, [0, 0, 90_000]);
    let refused = world.refused(409, "party_restricted", request(&world, 90_000)).await;
    assert_eq!(refused.body["reason"], "sanctions");
    // Another contract is released: it is held, too.
    let contract = world.funded().await;
    world.approve(&contract, "\"3\"", json!({})).await.success().unwrap();
    after(&world, TimeDelta::days(5)).await;
    assert_eq!(balance(&world).await, [0, 0, 180_000]);
    let (propose, clear) = (of_payee(&world, "/sanctions/propose-clearance"), of_payee(&world, "/sanctions/clear"));
    world.post(&world.admin, &propose, None, json!({})).await.success().unwrap();
    let alone = world.post(&world.admin, &clear, None, json!({}));
    world.refused(403, "four_eyes_violation", alone).await;
    world.post(&second, &clear, None, json!({})).await.success().unwrap();
    world.settled().await;
    assert_eq!(balance(&world).await, [180_000, 0, 0]);

    let policy = json!({ "currency": "USD", "approval_above": 50_000, "minimum": 1000 });
    let set = put(&world, &second, &of_payee(&world, "/payout-policy"), None, policy).await.success().unwrap();
    assert_eq!((&set.body["approval_above"], &set.body["least"]), (&json!(50_000), &json!(1000)));
    let refused = world.refused(422, "below_minimum", request(&world, 999)).await;
    assert_eq!(refused.body["minimum"], 1000);
    let called_off = requested(&world, 90_000).await;
    assert_eq!(payout(&world, &called_off).await["status"], "awaiting_approval");
    assert_eq!(balance(&world).await, [90_000, 90_000, 0], "it is set aside meanwhile");
    let cancel = format!("/v1/payouts/{called_off}/cancel");
    let cancelled = world.post(&world.payee, &cancel, None, json!({})).await.success().unwrap();
    assert_eq!((&cancelled.body["status"], balance(&world).await), (&json!("cancelled"), [180_000, 0, 0]));
    let id = requested(&world, 90_000).await;
    let approve = format!("/v1/payouts/{id}/approve");
    world.refused(403, "forbidden", world.post(&world.payee, &approve, None, json!({}))).await;
    world.post(&second, &approve, None, json!({})).await.success().unwrap();
    world.settled().await;
    let cancel = format!("/v1/payouts/{id}/cancel");
    let late = world.post(&world.payee, &cancel, None, json!({}));
    world.refused(409, "payout_wrong_state", late).await;
    after(&world, TimeDelta::days(2)).await;
    assert_eq!(payout(&world, &id).await["status"], "paid");
    assert_eq!(world.count("payout.approved").await, 1);
    world.close().await;
}
