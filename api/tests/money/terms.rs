//! On which fees and periods a contract is offered.

use serde_json::{Value, json};

use super::support::World;
use super::{accepted_on, at, booked, lines, now, status};

fn percent(percent: &str) -> Value {
    json!({ "kind": "percent", "percent": percent })
}

/// A preset is chosen by name, and taken as it is shown; without one it is `two_sided`.
#[tokio::test]
async fn a_preset_is_chosen_by_name() {
    let world = World::new().await;
    let wanted = [
        (json!({}), "two_sided@1", "5%", "10%", 105_000),
        (json!({ "fee_schedule": "two_sided" }), "two_sided@1", "5%", "10%", 105_000),
        (json!({ "fee_schedule": "flat5" }), "flat5@1", "0%", "5%", 100_000),
        (json!({ "fee_schedule": "zero" }), "zero@1", "0%", "0%", 100_000),
    ];
    for (terms, schedule, client, payee, charge) in wanted {
        let contract = accepted_on(&world, json!([{ "amount": 100_000 }]), terms).await;
        let shown = now(&world, &world.payee, &contract.at("")).await;
        let fees = ["/fees/schedule", "/fees/client_fee", "/fees/payee_fee", "/periods/policy"];
        assert_eq!(at(&shown, fees), [json!(schedule), json!(client), json!(payee), json!("fixed@1")]);
        let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap();
        assert_eq!(funding.body["amount"], charge, "{schedule}");
    }
    world.close().await;
}

/// D-25: an initiation fee of 4.95 comes with the first payment, and goes back when the payee cancels before anything was
/// released; the client cannot cancel any more.
#[tokio::test]
async fn an_initiation_fee_goes_back_when_nothing_was_released() {
    let world = World::new().await;
    let schedule = json!({
        "id": "initiated", "version": 3, "currency": "USD", "client_fee": percent("5"), "payee_fee": percent("10"),
        "initiation_fee": 495,
    });
    let contract = accepted_on(&world, json!([{ "amount": 100_000 }]), json!({ "fee_schedule": schedule })).await;
    let shown = now(&world, &world.client, &contract.at("")).await;
    assert_eq!(at(&shown, ["/fees/schedule", "/fees/initiation_fee"]), [json!("initiated@3"), json!(495)]);
    let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap();
    assert_eq!(at(&funding, ["/amount", "/initiation_fee"]), [json!(105_495), json!(495)]);
    world.settled().await;
    let cancel = contract.at("/cancel");
    world.refused(409, "contract_wrong_state", world.act(&world.client, &cancel, json!({}))).await;
    world.refused(404, "not_found", world.act(&world.outsider, &cancel, json!({}))).await;
    let words = world.act(&world.payee, &cancel, json!({ "reason": "he is rude" }));
    assert_eq!(world.refused(422, "validation_failed", words).await.body["errors"][0]["pointer"], "/reason");
    let over = world.act(&world.payee, &cancel, json!({ "reason": "no.time" })).await.success().unwrap();
    assert_eq!((status(&over), &over.body["escrow"]["initiation_fee"]), ("cancelled", &json!(495)));
    let booking = [("D", "2100", 100_000), ("D", "2300", 5000), ("D", "2310", 495), ("C", "2260", 105_495)];
    assert_eq!(lines(&world, "escrow.refund_initiated").await, booked(&booking));
    assert_eq!(now(&world, &world.client, "/v1/refunds").await.body["data"][0]["amount"], 105_495);
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &cancel, json!({}))).await;

    let part = world.funded().await;
    let some = json!({ "amount": 30_000 });
    world.act(&world.client, part.work("/approve-partial"), some).await.success().unwrap();
    world.refused(409, "contract_wrong_state", world.act(&world.payee, part.at("/cancel"), json!({}))).await;
    world.close().await;
}

/// Taxes of the parties are part of a schedule, and shown.
#[tokio::test]
async fn taxes_are_shown_and_charged() {
    let world = World::new().await;
    let tax = json!({ "jurisdiction": "GB", "percent": "20" });
    let schedule = json!({
        "id": "taxed", "version": 1, "currency": "USD", "client_fee": percent("5"), "payee_fee": [percent("10")],
        "initiation_fee": 495, "tax": { "client": tax, "payee": tax },
    });
    let contract = accepted_on(&world, json!([{ "amount": 100_000 }]), json!({ "fee_schedule": schedule })).await;
    let shown = now(&world, &world.client, &contract.at("")).await;
    let wanted = json!({ "jurisdiction": "GB", "percent": "20", "reverse_charge": false, "withholding": "0" });
    assert_eq!(at(&shown, ["/fees/client_tax", "/fees/payee_tax"]), [wanted.clone(), wanted]);
    // D-64's figures: 1,000.00 + 50.00 + 4.95 + 20% of 54.95.
    let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap();
    assert_eq!(at(&funding, ["/amount", "/tax"]), [json!(106_594), json!(1099)]);
    world.settled().await;
    let approved = world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    assert_eq!(approved.body["net"], 88_000);
    world.close().await;
}

/// Periods are those that were named, and the others as they are; a policy is chosen by name, too.
#[tokio::test]
async fn periods_are_those_that_were_named() {
    let world = World::new().await;
    let milestones = json!([{ "amount": 100_000 }]);
    let own = json!({ "policy": { "review_days": 7, "clearance_days": 2, "dormancy": { "dormant_days": 100 } } });
    let contract = accepted_on(&world, milestones.clone(), own).await;
    let shown = now(&world, &world.client, &contract.at("")).await;
    let periods = ["policy", "review_days", "clearance_days", "dormant_days", "end_request_days"];
    let wanted = [json!("own@1"), json!(7), json!(2), json!(100), json!(7)];
    assert_eq!(periods.map(|period| shown.body["periods"][period].clone()), wanted);
    assert_eq!(shown.body["milestones"][0]["review_days"], 7);
    let gig = accepted_on(&world, milestones, json!({ "policy": "gig" })).await;
    let shown = now(&world, &world.client, &gig.at("")).await;
    assert_eq!(at(&shown, ["/periods/policy", "/periods/clearance_days"]), [json!("gig@1"), json!(14)]);
    world.close().await;
}

/// D-173: what is wrong with terms is said with a pointer into the request; nothing that was sent is ignored.
#[tokio::test]
async fn bad_terms_are_refused_with_a_pointer() {
    let world = World::new().await;
    let contract = world.drafted().await;
    let fees = |change: Value| {
        let mut schedule = json!({ "id": "own", "version": 1, "client_fee": percent("5"), "payee_fee": percent("10") });
        schedule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "fee_schedule": schedule })
    };
    let policy = |periods: Value| json!({ "policy": periods });
    let mistyped = json!({ "kind": "percent", "percent": "5", "minimun": 100 });
    let cases = [
        (json!({ "fee_schedule": "three_sided" }), "/fee_schedule"),
        (json!({ "fee_schedule": 5 }), "/fee_schedule"),
        (json!({ "fee_schedule": { "id": "own" } }), "/fee_schedule"),
        (fees(json!({ "version": 0 })), "/fee_schedule/version"),
        (fees(json!({ "version": "one" })), "/fee_schedule/version"),
        (fees(json!({ "id": "Own Fees" })), "/fee_schedule/id"),
        (fees(json!({ "client_fee": percent("101") })), "/fee_schedule/client_fee"),
        (fees(json!({ "client_fee": percent("1.2345678") })), "/fee_schedule/client_fee/percent"),
        (fees(json!({ "client_fee": mistyped })), "/fee_schedule/client_fee/minimun"),
        (fees(json!({ "payee_fee": [percent("60"), percent("60")] })), "/fee_schedule/payee_fee"),
        (fees(json!({ "payee_fees": percent("5") })), "/fee_schedule/payee_fees"),
        (fees(json!({ "initiation_fee": 495 })), "/fee_schedule/currency"),
        (fees(json!({ "initiation_fee": -1 })), "/fee_schedule/initiation_fee"),
        (fees(json!({ "tax": { "point": "someday" } })), "/fee_schedule/tax/point"),
        (policy(json!("forever")), "/policy"),
        (policy(json!([])), "/policy"),
        (policy(json!({ "review_days": 0 })), "/policy/review_days"),
        (policy(json!({ "review_days": "7" })), "/policy/review_days"),
        (policy(json!({ "review_day": 7 })), "/policy/review_day"),
        (policy(json!({ "dormancy": { "warn_days": 83 } })), "/policy/dormancy/warn_again_days"),
        (policy(json!({ "dormancy": { "sleep_days": 1 } })), "/policy/dormancy/sleep_days"),
        (policy(json!({ "psp_hold": { "warn_days": [5, 5] } })), "/policy/psp_hold/warn_days/1"),
    ];
    for (terms, pointer) in cases {
        let offer = world.act(&world.client, contract.at("/offer"), terms.clone());
        let problem = world.refused(422, "validation_failed", offer).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{terms}: {}", problem.body);
    }
    let euros = fees(json!({ "currency": "EUR", "initiation_fee": 495 }));
    world.refused(422, "currency_mismatch", world.act(&world.client, contract.at("/offer"), euros)).await;
    let surprise = world.act(&world.client, contract.at("/offer"), json!({ "surprise": 1 }));
    world.refused(422, "validation_failed", surprise).await;
    world.act(&world.client, contract.at("/offer"), fees(json!({}))).await.success().unwrap();
    world.close().await;
}
