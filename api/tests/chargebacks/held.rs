//! While the money is held.

use api::engine::Request;
use chrono::TimeDelta;
use domain::actor::Actor;
use domain::id::DisputeId;
use domain::intent::Intent;
use domain::milestone::MilestoneCommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::World;
use super::{
    DEBIT, balance, bank, booked, chargeback, disputed, escrow, later, lines, milestone, now, paid, paid_by, staff,
    stands, taken,
};

/// One world for all that leaves nothing behind.
#[tokio::test]
async fn what_a_bank_does_to_money_that_is_held() {
    let world = World::new().await;
    won(&world).await;
    lost(&world).await;
    inquiry(&world).await;
    internal_dispute(&world).await;
    returned(&world).await;
    warned(&world).await;
    world.close().await;
}

/// One world for what staff does, and for payments that are more than contested.
#[tokio::test]
async fn what_staff_does_about_it() {
    let world = World::new().await;
    staff::conceded(&world).await;
    staff::said(&world).await;
    staff::returned_while_contested(&world).await;
    staff::listed(&world).await;
    staff::exchanged(&world).await;
    world.close().await;
}

/// D-105, J50, J51: the milestone rests while the bank has the money, evidence is submitted by itself two days before its
/// deadline, and the review goes on with the time that was left.
async fn won(world: &World) {
    let (contract, funding) = paid(world).await;
    world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    later(world, 4).await;
    let dispute = disputed(world, &funding, json!({})).await;
    assert_eq!(stands(world, &contract).await, [json!("suspended"), json!("charge_disputed")]);
    assert_eq!(booked(world, &contract, "chargeback.funds_withdrawn").await, taken());
    let locked = lines(&[("D", "2100", 100_000), ("C", "2110", 100_000)]);
    assert_eq!(booked(world, &contract, "escrow.chargeback_held").await, locked);
    let held = escrow(world, &contract).await;
    assert_eq!((&held["disputed"], &held["milestones"][0]["charge_disputed"]), (&json!(100_000), &json!(true)));
    let case = chargeback(world, &contract).await;
    let begun = now(world).await;
    let due = (json!(begun + TimeDelta::days(14)), json!(begun + TimeDelta::days(12)));
    assert_eq!((&case["status"], &case["psp_ref"]), (&json!("needs_response"), &json!(dispute)));
    assert_eq!((case["evidence_due_by"].clone(), case["evidence_at"].clone()), due);
    assert_eq!(case["moved"][0]["contested"], 105_000);
    let path = format!("/v1/chargebacks/{}", case["id"].as_str().unwrap());
    let evidence = world.get(&world.admin, &format!("{path}/evidence")).await.success().unwrap();
    assert_eq!(evidence.body["document"]["milestones"][0]["steps"][1]["what"], "submitted");

    later(world, 12).await;
    assert_eq!(world.count("chargeback.evidence_due").await, 1);
    let answered = world.get(&world.admin, &path).await.success().unwrap().body;
    assert_eq!(answered["status"], "under_review", "the bank has it");
    assert_eq!(answered["evidence_digest"], evidence.body["digest"], "what happened since is no step of the contract");
    assert_eq!(stands(world, &contract).await[0], "suspended", "no clock runs");

    bank(world, "win", json!({ "dispute": dispute })).await;
    let back = lines(&[("D", "1120", 105_000), ("C", "1200", 105_000)]);
    assert_eq!(booked(world, &contract, "chargeback.funds_reinstated").await, back);
    let unlocked = lines(&[("D", "2110", 100_000), ("C", "2100", 100_000)]);
    assert_eq!(booked(world, &contract, "escrow.chargeback_released").await, unlocked);
    let shown = milestone(world, &contract).await;
    assert_eq!((&shown["status"], &shown["flag"]), (&json!("submitted"), &Value::Null));
    assert_eq!(shown["review_due_at"], json!(now(world).await + TimeDelta::days(10)), "4 of 14 days had passed");
    assert_eq!(chargeback(world, &contract).await["status"], "won");
    world.act(&world.payee, contract.work("/withdraw-submission"), json!({})).await.success().unwrap();
    world.books().await;
}

/// D-106, D-111, J52: no refund while it is contested; what is lost is planned again and says why.
async fn lost(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute = disputed(world, &funding, json!({})).await;
    let grant = world.act(&world.payee, contract.work("/grant-refund"), json!({}));
    world.refused(409, "charge_disputed", grant).await;
    let ask = world.act(&world.client, contract.work("/refund-requests"), json!({}));
    world.refused(409, "charge_disputed", ask).await;
    // Staff answers before it is due; the bank takes one answer.
    let path = format!("/v1/chargebacks/{}/submit", chargeback(world, &contract).await["id"].as_str().unwrap());
    let submit = async || world.post_with_key(&world.admin, &path, "answer", None, json!({})).await;
    let submitted = submit().await.success().unwrap();
    assert!(submitted.body["evidence_digest"].is_string(), "{}", submitted.body);
    assert_eq!(submit().await.header("idempotent-replayed"), Some("true"));
    world.settled().await;
    assert_eq!(chargeback(world, &contract).await["status"], "under_review");

    bank(world, "lose", json!({ "dispute": dispute })).await;
    let gone = lines(&[("D", "2110", 100_000), ("D", "2300", 5000), ("C", "1200", 105_000)]);
    assert_eq!(booked(world, &contract, "escrow.chargeback_absorbed").await, gone);
    assert_eq!(stands(world, &contract).await, [json!("planned"), json!("funding_lost")]);
    assert_eq!(escrow(world, &contract).await["milestones"][0]["lost"], 100_000);
    world.refused(409, "milestone_not_funded", world.act(&world.payee, contract.work("/submit"), json!({}))).await;
}

/// D-109: a bank that only asks moves nothing and stops nothing.
async fn inquiry(world: &World) {
    let (contract, funding) = paid(world).await;
    let before = world.books().await;
    let dispute = disputed(world, &funding, json!({ "kind": "inquiry" })).await;
    assert_eq!(chargeback(world, &contract).await["status"], "inquiry");
    assert_eq!(stands(world, &contract).await, [json!("funded"), Value::Null]);
    let flags = async || escrow(world, &contract).await["milestones"][0].clone();
    assert_eq!((&flags().await["charge_inquiry"], &flags().await["charge_disputed"]), (&json!(true), &json!(false)));
    bank(world, "win", json!({ "dispute": dispute })).await;
    assert_eq!(chargeback(world, &contract).await["status"], "inquiry_closed");
    assert_eq!(flags().await["charge_inquiry"], json!(false));
    assert_eq!(world.books().await, before, "no journal");
}

/// D-112: an internal dispute rests while a bank disagrees, and goes on when that is won.
async fn internal_dispute(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute_id = DisputeId::from_uuid(Uuid::now_v7());
    let open = MilestoneCommand::OpenDispute { dispute_id };
    let intent = Intent::OnMilestone { milestone_id: contract.milestone.parse().unwrap(), command: open };
    let request = Request::internal(intent, Actor::Client(world.client.party_id), Uuid::now_v7());
    world.server.app().engine.perform(request).await.unwrap();
    world.settled().await;
    assert_eq!(stands(world, &contract).await[0], "disputed");
    let dispute = disputed(world, &funding, json!({})).await;
    assert_eq!(stands(world, &contract).await, [json!("suspended"), json!("charge_disputed")]);
    bank(world, "win", json!({ "dispute": dispute })).await;
    assert_eq!(stands(world, &contract).await, [json!("disputed"), Value::Null]);
    assert_eq!(escrow(world, &contract).await["disputed"], 100_000);
}

/// D-20, J94: a bank debit comes back on day 6, while the work is under review.
async fn returned(world: &World) {
    let (contract, funding) = paid_by(world, DEBIT, json!({})).await;
    world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    later(world, 6).await;
    bank(world, "return", json!({ "funding_id": funding })).await;
    let gone = lines(&[("D", "2100", 100_000), ("D", "2300", 5000), ("C", "1120", 105_000)]);
    assert_eq!(booked(world, &contract, "escrow.funding_returned").await, gone);
    assert_eq!(stands(world, &contract).await, [json!("planned"), json!("funding_returned")]);
    assert_eq!(milestone(world, &contract).await["review_due_at"], Value::Null);
}

/// D-114, J18: what was approved and is not cleared when a network warns of fraud is held when it clears.
async fn warned(world: &World) {
    let (contract, funding) = paid(world).await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    disputed(world, &funding, json!({ "kind": "fraud_warning" })).await;
    assert_eq!(chargeback(world, &contract).await["status"], "warned");
    later(world, 5).await;
    let earnings = balance(world).await;
    assert_eq!((&earnings["available"], &earnings["held"]), (&json!(0), &json!(90_000)));
}
