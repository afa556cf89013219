//! How a contract ends with money in it, and how money moves on to the next milestone.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::support::World;
use super::{accepted_on, at, booked, lines, now, reach, second, status};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// D-79, J30: the client ends a contract with 1,000.00 held; the payee is silent for seven days, and the money goes back.
#[tokio::test]
async fn silence_agrees_to_the_end() {
    let world = World::new().await;
    let contract = world.funded().await;
    let asked = world.act(&world.client, contract.at("/end"), json!({})).await.success().unwrap();
    let due = World::begin() + TimeDelta::days(7);
    assert_eq!((status(&asked), &asked.body["ending"]), ("ending", &json!({ "agreed": false, "respond_by": due })));
    world.refused(409, "contract_wrong_state", world.act(&world.client, contract.at("/end"), json!({}))).await;
    world.at(due - TimeDelta::seconds(1)).await;
    assert_eq!(status(&now(&world, &world.client, &contract.at("")).await), "ending");
    reach(&world, due, "escrow.closed").await;
    let over = now(&world, &world.client, &contract.at("")).await;
    assert_eq!((status(&over), &over.body["ending"]), ("cancelled", &Value::Null));
    assert_eq!(
        at(&over, ["/escrow/status", "/escrow/refunded", "/escrow/held"]),
        [json!("closed"), json!(100_000), json!(0)]
    );
    assert_eq!(world.count("contract.end_agreed").await, 1);
    let booking = [("D", "2100", 100_000), ("D", "2300", 5000), ("C", "2260", 105_000)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));
    world.close().await;
}

/// The payee agrees to the end; what was released before stays released. A dispute about the end is not there yet.
#[tokio::test]
async fn the_payee_agrees_to_the_end() {
    let world = World::new().await;
    let contract = world.funded().await;
    let part = json!({ "amount": 30_000 });
    world.act(&world.client, contract.work("/approve-partial"), part).await.success().unwrap();
    let accept = contract.at("/end/accept");
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &accept, json!({}))).await;
    world.refused(403, "forbidden", world.act(&world.payee, contract.at("/end"), json!({}))).await;
    world.act(&world.client, contract.at("/end"), json!({})).await.success().unwrap();
    world.refused(403, "forbidden", world.act(&world.client, &accept, json!({}))).await;
    world.refused(501, "not_supported", world.act(&world.payee, contract.at("/end/dispute"), json!({}))).await;
    world.refused(403, "forbidden", world.act(&world.client, contract.at("/end/dispute"), json!({}))).await;
    let over = world.act(&world.payee, &accept, json!({})).await.success().unwrap();
    assert_eq!(status(&over), "completed");
    assert_eq!(at(&over, ["/escrow/released", "/escrow/refunded"]), [json!(30_000), json!(70_000)]);
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &accept, json!({}))).await;
    world.refused(409, "contract_wrong_state", world.act(&world.payee, contract.at("/end/dispute"), json!({}))).await;
    world.close().await;
}

/// D-80: nothing happens for 90 days after the last date of delivery. The client says nothing, the payee asks for what is
/// held, the client says nothing again, and the payee has it. In another contract the payee says nothing either: on
/// 2027-04-14 the money goes back to the client (J30).
#[tokio::test]
async fn a_forgotten_contract_is_released_to_the_payee_who_asks() {
    let world = World::new().await;
    let due = "2026-12-31T10:00:00Z";
    let milestones = json!([{ "amount": 100_000, "due_at": due }]);
    let terms = json!({ "policy": { "psp_hold": { "platform_country": "US" } } });
    let contract = accepted_on(&world, milestones.clone(), terms.clone()).await;
    let silent = accepted_on(&world, milestones, terms).await;
    for contract in [&contract, &silent] {
        world.fund(contract, "pm_card_visa").await.success().unwrap();
    }
    world.at(instant("2027-03-31T10:00:00Z")).await;
    let dormant = now(&world, &world.client, &contract.at("")).await;
    let asked = json!({ "waits_for": "client", "respond_by": "2027-04-07T10:00:00Z" });
    assert_eq!((status(&dormant), &dormant.body["dormancy"]), ("dormant", &asked));
    let ask = contract.at("/dormancy/request-release");
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &ask, json!({}))).await;
    world.at(instant("2027-04-07T10:00:00Z")).await;
    world.refused(403, "forbidden", world.act(&world.client, &ask, json!({}))).await;
    let wanted = world.act(&world.payee, &ask, json!({})).await.success().unwrap();
    let waits = json!({ "waits_for": "client_about_release", "respond_by": "2027-04-21T10:00:00Z" });
    assert_eq!(wanted.body["dormancy"], waits);
    world.at(instant("2027-04-14T10:00:00Z")).await;
    let over = now(&world, &world.client, &silent.at("")).await;
    assert_eq!((status(&over), &over.body["escrow"]["refunded"]), ("cancelled", &json!(100_000)));
    let booking = [("D", "2100", 100_000), ("D", "2300", 5000), ("C", "2260", 105_000)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));
    let types = "contract.dormancy_warned,contract.marked_dormant,contract.dormancy_escalated_to_payee,\
                 contract.dormancy_defaulted";
    let page = format!("/v1/events?contract={}&types={types}", silent.id);
    let told = now(&world, &world.admin, &page).await;
    let days: Vec<_> = told.body["data"].as_array().unwrap().iter().map(|event| event["occurred_at"].clone()).collect();
    let day = |day: &str| json!(format!("2027-{day}T10:00:00Z"));
    assert_eq!(days, ["03-17", "03-24", "03-31", "04-07", "04-14"].map(day));
    world.at(instant("2027-04-21T10:00:00Z")).await;
    let over = now(&world, &world.payee, &contract.at("")).await;
    assert_eq!((status(&over), &over.body["escrow"]["released"]), ("completed", &json!(100_000)));
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &ask, json!({}))).await;
    world.close().await;
}

/// The client says that a dormant contract is not forgotten.
#[tokio::test]
async fn a_dormant_contract_is_resumed() {
    let world = World::new().await;
    let terms = json!({ "policy": { "dormancy": { "warn_days": 1, "warn_again_days": 2, "dormant_days": 3 } } });
    let contract = accepted_on(&world, json!([{ "amount": 100_000 }]), terms).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin() + TimeDelta::days(3)).await;
    let dormant = now(&world, &world.client, &contract.at("")).await;
    assert_eq!((status(&dormant), &dormant.body["periods"]["dormant_days"]), ("dormant", &json!(3)));
    let resumed = world.act(&world.client, contract.at("/resume"), json!({})).await.success().unwrap();
    assert_eq!((status(&resumed), &resumed.body["dormancy"]), ("active", &Value::Null));
    world.close().await;
}

/// D-36, J09, J99: 700.00 of 1,000.00 are approved, the payee agrees that the rest goes to the second milestone, and the
/// client's fee on it goes along.
#[tokio::test]
async fn the_rest_goes_to_the_next_milestone() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    let other = second(&world, &contract).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    let wish = |to: &str| json!({ "amount": 70_000, "remainder": { "kind": "roll_forward", "milestone_id": to } });
    for wrong in [contract.milestone.as_str(), "mst_00000000000000000000000000"] {
        let problem = world.act(&world.client, contract.work("/approve-partial"), wish(wrong));
        let problem = world.refused(422, "validation_failed", problem).await;
        assert_eq!(problem.body["errors"][0]["pointer"], "/remainder/milestone_id");
    }
    let (yes, no) = (contract.work("/roll-forward/accept"), contract.work("/roll-forward/reject"));
    world.refused(409, "milestone_wrong_state", world.act(&world.payee, &yes, json!({}))).await;
    let approved = world.act(&world.client, contract.work("/approve"), wish(&other.milestone)).await.success().unwrap();
    assert_eq!((status(&approved), &approved.body["roll_forward_to"]), ("partially_released", &json!(other.milestone)));
    assert_eq!(at(&approved, ["/released", "/net", "/held"]), [json!(70_000), json!(63_000), json!(30_000)]);
    for path in [&yes, &no] {
        world.refused(403, "forbidden", world.act(&world.client, path, json!({}))).await;
    }
    let moved = world.act(&world.payee, &yes, json!({})).await.success().unwrap();
    assert_eq!((status(&moved), &moved.body["moved_out"]), ("released", &json!(30_000)));
    let shown = now(&world, &world.client, &other.work("")).await;
    assert_eq!(at(&shown, ["/status", "/held", "/missing"]), [json!("funded"), json!(30_000), json!(20_000)]);
    let wanted = [("D", "2100", 30_000), ("C", "2100", 30_000)];
    assert_eq!(lines(&world, "escrow.funds_reallocated").await, booked(&wanted));
    let wanted = [("D", "2300", 1500), ("C", "2300", 1500)];
    assert_eq!(lines(&world, "escrow.fees_reallocated").await, booked(&wanted));
    let escrow = now(&world, &world.client, &contract.at("")).await;
    assert_eq!(at(&escrow, ["/escrow/client_fees_earned", "/escrow/moved"]), [json!(3500), json!(30_000)]);
    for path in [&yes, &no] {
        world.refused(409, "milestone_wrong_state", world.act(&world.payee, path, json!({}))).await;
    }
    world.close().await;
}

/// The payee does not agree: the rest stays held, and can be approved or asked back.
#[tokio::test]
async fn the_rest_stays_when_the_payee_does_not_agree() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    let other = second(&world, &contract).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    let forward = json!({ "amount": 70_000, "remainder": { "kind": "roll_forward", "milestone_id": other.milestone } });
    world.act(&world.client, contract.work("/approve-partial"), forward).await.success().unwrap();
    let kept = world.act(&world.payee, contract.work("/roll-forward/reject"), json!({})).await.success().unwrap();
    assert_eq!(at(&kept, ["/roll_forward_to", "/held"]), [Value::Null, json!(30_000)]);
    let wanted = json!({ "amount": 10_000, "remainder": { "kind": "refund_request" } });
    let asked = world.act(&world.client, contract.work("/approve-partial"), wanted).await.success().unwrap();
    assert_eq!((status(&asked), &asked.body["refund_request"]["amount"]), ("refund_pending", &json!(20_000)));
    world.close().await;
}
