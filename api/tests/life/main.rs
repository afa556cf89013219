//! The life of a contract beside its straight way, over HTTP: counter offers, giving up, amendments, pause, revisions,
//! approval in parts. How every one of these commands is refused is in `refusals`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod refusals;
#[path = "../support/mod.rs"]
mod support;

use api::cli::story::Answer;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use support::{Contract, World, books, funding_of};

fn status(answer: &Answer) -> &str {
    answer.body["status"].as_str().unwrap_or_default()
}

/// The only event of a type, complete.
async fn only(world: &World, event_type: &str) -> Value {
    let page = world.get(&world.admin, &format!("/v1/events?types={event_type}")).await.success().unwrap();
    let [event] = page.body["data"].as_array().unwrap().as_slice() else { panic!("{event_type}: {}", page.body) };
    event.clone()
}

fn worth(milestone: &str, amount: i64) -> Value {
    json!({ "changes": [{ "kind": "change_amount", "milestone_id": milestone, "amount": amount }] })
}

/// D-04, D-05: over HTTP, an offer can be answered until a moment before its deadline, and not at the deadline.
#[tokio::test]
async fn an_offer_is_answered_before_its_deadline() {
    let world = World::new().await;
    let (early, late) = (world.offered().await, world.offered().await);
    let deadline = World::begin() + TimeDelta::days(7);
    world.at(deadline - TimeDelta::seconds(1)).await;
    let accepted = world.act(&world.payee, early.at("/accept"), json!({})).await.success().unwrap();
    assert_eq!(status(&accepted), "pending_funding");
    // The clock alone is moved: whoever comes first, the timer or the payee, the deadline has passed.
    world.server.app().engine.clock().advance(deadline).await.unwrap();
    let answer = world.act(&world.payee, late.at("/accept"), json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (409, &json!("offer_expired")), "{}", answer.body);
    assert_eq!(answer.body["expired_at"], json!(deadline));
    let expired = only(&world, "contract.offer_expired").await;
    assert_eq!((&expired["occurred_at"], &expired["data"]["expired_at"]), (&json!(deadline), &json!(deadline)));
    for (who, path, body) in [
        (&world.payee, "/decline", json!({})),
        (&world.client, "/withdraw", json!({})),
        (&world.payee, "/counter-offer", worth(&late.milestone, 5)),
    ] {
        world.refused(409, "offer_expired", world.act(who, late.at(path), body)).await;
    }
    world.close().await;
}

/// The side whose turn it is answers an offer with other milestones; the other side then agrees to these.
#[tokio::test]
async fn a_counter_offer_changes_who_answers() {
    let world = World::new().await;
    let contract = world.offered().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    let (counter, accept) = (contract.at("/counter-offer"), contract.at("/accept"));
    let changes = json!({ "changes": [
        { "kind": "change_amount", "milestone_id": contract.milestone, "amount": 120_000 },
        { "kind": "change_due_date", "milestone_id": contract.milestone, "due_at": "2027-01-31T00:00:00Z" },
        { "kind": "change_review_days", "milestone_id": contract.milestone, "review_days": 3 },
        { "kind": "add_milestone", "amount": 30_000, "review_days": 5, "reference": "order-1/2" },
    ]});
    world.refused(403, "forbidden", world.act(&world.client, &counter, changes.clone())).await;
    let countered = world.act(&world.payee, &counter, changes).await.success().unwrap();
    assert_eq!((status(&countered), &countered.body["answer_by"]), ("offered", &json!("client")));
    assert_eq!(countered.body["offer_expires_at"], json!(World::begin() + TimeDelta::days(13)));
    let first = &countered.body["milestones"][0];
    assert_eq!(
        (&first["amount"], &first["review_days"], &first["due_at"]),
        (&json!(120_000), &json!(3), &json!("2027-01-31T00:00:00Z"))
    );
    let second = &countered.body["milestones"][1];
    assert_eq!((&second["amount"], &second["reference"]), (&json!(30_000), &json!("order-1/2")));
    world.refused(403, "forbidden", world.act(&world.payee, &accept, json!({}))).await;
    let accepted = world.act(&world.client, &accept, json!({})).await.success().unwrap();
    assert_eq!((status(&accepted), &accepted.body["amount"]), ("pending_funding", &json!(150_000)));
    assert_eq!(accepted.body["funding_due_at"], json!(World::begin() + TimeDelta::days(20)));
    assert_eq!(accepted.body["milestones"][1]["missing"], 30_000);
    world.refused(409, "contract_wrong_state", world.act(&world.payee, &counter, worth(&contract.milestone, 1))).await;
    world.close().await;
}

/// An offer is declined by the payee and withdrawn by the client, and by nobody else.
#[tokio::test]
async fn an_offer_is_declined_or_withdrawn() {
    let world = World::new().await;
    for (who, other, verb, state) in
        [(&world.payee, &world.client, "/decline", "declined"), (&world.client, &world.payee, "/withdraw", "withdrawn")]
    {
        let contract = world.offered().await;
        let path = contract.at(verb);
        world.refused(403, "forbidden", world.act(other, &path, json!({}))).await;
        let over = world.act(who, &path, json!({})).await.success().unwrap();
        assert_eq!((status(&over), &over.body["answer_by"]), (state, &Value::Null));
        let again = world.refused(409, "contract_wrong_state", world.act(who, &path, json!({}))).await;
        assert_eq!(again.body["state"], state);
        world.refused(409, "contract_wrong_state", world.act(&world.payee, contract.at("/accept"), json!({}))).await;
    }
    world.close().await;
}

/// A draft is thrown away without the payee ever hearing of it; an accepted contract is given up by either side, but not
/// while the client is paying.
#[tokio::test]
async fn a_contract_is_given_up_before_it_is_paid_for() {
    let world = World::new().await;
    let draft = world.drafted().await;
    world.refused(404, "not_found", world.act(&world.payee, draft.at("/cancel"), json!({}))).await;
    let thrown = world.act(&world.client, draft.at("/cancel"), json!({ "reason": "not.needed" })).await;
    assert_eq!(status(&thrown.success().unwrap()), "cancelled");
    world.at(World::begin()).await;
    world.refused(404, "not_found", world.get(&world.payee, &draft.at(""))).await;

    let contract = world.accepted().await;
    world.fund(&contract, "pm_card_authenticationRequired").await.success().unwrap();
    world.at(World::begin()).await;
    for path in [contract.at("/cancel"), contract.work("/cancel")] {
        world.refused(409, "payment_under_way", world.act(&world.payee, &path, json!({}))).await;
    }
    let other = world.accepted().await;
    let over = world.act(&world.payee, other.at("/cancel"), json!({})).await.success().unwrap();
    assert_eq!((status(&over), status_of(&over, 0)), ("cancelled", "cancelled"));
    world.refused(409, "contract_wrong_state", world.fund(&other, "pm_card_visa")).await;
    world.close().await;
}

fn status_of(contract: &Answer, milestone: usize) -> &str {
    contract.body["milestones"][milestone]["status"].as_str().unwrap_or_default()
}

/// A milestone that nobody paid for is given up, one that is funded is not; the contract is over with its last one.
#[tokio::test]
async fn a_planned_milestone_is_cancelled() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    let shown = world.get(&world.client, &contract.at("")).await;
    let second = format!("/v1/milestones/{}/cancel", shown.text("/milestones/1/id").unwrap());
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin()).await;
    world.refused(409, "milestone_wrong_state", world.act(&world.client, contract.work("/cancel"), json!({}))).await;
    let gone = world.act(&world.payee, &second, json!({})).await.success().unwrap();
    assert_eq!((status(&gone), &gone.body["missing"]), ("cancelled", &json!(0)));
    world.refused(409, "milestone_wrong_state", world.act(&world.client, &second, json!({}))).await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    world.at(World::begin()).await;
    assert_eq!(status(&world.get(&world.client, &contract.at("")).await), "completed");
    world.close().await;
}

/// D-08: an amendment raises a milestone by 200.00; until exactly 210.00 are paid on top, 1,000.00 are held.
#[tokio::test]
async fn an_amendment_is_paid_for_on_top() {
    let world = World::new().await;
    let contract = world.funded().await;
    let raise = worth(&contract.milestone, 120_000);
    let proposed = world.act(&world.client, contract.at("/amendments"), raise).await.success().unwrap();
    let amendment = &proposed.body["amendment"];
    assert_eq!((&amendment["proposed_by"], &amendment["changes"][0]["amount"]), (&json!("client"), &json!(120_000)));
    assert_eq!(amendment["expires_at"], json!(World::begin() + TimeDelta::days(7)));
    assert_eq!(proposed.body["milestones"][0]["amount"], 100_000, "nothing has changed yet");
    let accept = contract.at(&format!("/amendments/{}/accept", proposed.text("/amendment/id").unwrap()));
    world.refused(403, "forbidden", world.act(&world.client, &accept, json!({}))).await;
    let accepted = world.act(&world.payee, &accept, json!({})).await.success().unwrap();
    assert_eq!((&accepted.body["amendment"], &accepted.body["amount"]), (&Value::Null, &json!(120_000)));
    let milestone = &accepted.body["milestones"][0];
    assert_eq!((&milestone["held"], &milestone["missing"]), (&json!(100_000), &json!(20_000)));

    let fundings = contract.at("/fundings");
    let more = world.post(&world.client, &fundings, None, funding_of(&contract, 20_001, "pm_card_visa"));
    let problem = world.refused(422, "validation_failed", more).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/allocations/0");
    let funding = world.post(&world.client, &fundings, None, funding_of(&contract, 20_000, "pm_card_visa")).await;
    assert_eq!(funding.success().unwrap().body["amount"], 21_000);
    world.at(World::begin()).await;
    let shown = world.get(&world.client, &contract.work("")).await;
    assert_eq!((&shown.body["held"], &shown.body["missing"]), (&json!(120_000), &json!(0)));
    let nets = world.books().await;
    assert_eq!((nets["2100"], nets["2300"]), (-120_000, -6000));
    world.close().await;
}

/// One amendment waits at a time; it is rejected, taken back, or lapses, and then nothing has changed.
#[tokio::test]
async fn an_amendment_that_is_not_accepted_changes_nothing() {
    let world = World::new().await;
    let contract = world.funded().await;
    let propose = async || {
        let raise = worth(&contract.milestone, 120_000);
        let proposed = world.act(&world.payee, contract.at("/amendments"), raise).await.success().unwrap();
        proposed.text("/amendment/id").unwrap()
    };
    let less = world.act(&world.client, contract.at("/amendments"), worth(&contract.milestone, 99_999));
    let problem = world.refused(422, "validation_failed", less).await;
    assert_eq!(problem.body["errors"][0]["pointer"], "/changes/0/amount");
    let nowhere = contract.at("/amendments/amd_00000000000000000000000000/accept");
    world.refused(404, "not_found", world.act(&world.client, &nowhere, json!({}))).await;
    for who in [&world.client, &world.payee] {
        let id = propose().await;
        let second = world.act(&world.client, contract.at("/amendments"), worth(&contract.milestone, 130_000));
        world.refused(409, "amendment_pending", second).await;
        let rejected = world.act(who, contract.at(&format!("/amendments/{id}/reject")), json!({})).await;
        assert_eq!(rejected.success().unwrap().body["amendment"], Value::Null);
        let late = world.act(&world.client, contract.at(&format!("/amendments/{id}/accept")), json!({}));
        world.refused(404, "not_found", late).await;
    }
    let id = propose().await;
    world.at(World::begin() + TimeDelta::days(7)).await;
    let late = world.act(&world.client, contract.at(&format!("/amendments/{id}/accept")), json!({}));
    world.refused(404, "not_found", late).await;
    let shown = world.get(&world.client, &contract.at("")).await;
    assert_eq!((&shown.body["amendment"], &shown.body["amount"]), (&Value::Null, &json!(100_000)));
    assert_eq!((world.count("contract.amendment_rejected").await, world.count("milestone.amended").await), (3, 0));
    world.close().await;
}

/// A pause stops submissions and payments, not approvals; only who paused goes on.
#[tokio::test]
async fn a_pause_stops_what_is_new() {
    let world = World::new().await;
    let contract = world.accepted_with(json!([{ "amount": 100_000 }, { "amount": 50_000 }])).await;
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.at(World::begin()).await;
    let paused = world.act(&world.payee, contract.at("/pause"), json!({ "reason": "ill" })).await.success().unwrap();
    assert_eq!((status(&paused), &paused.body["paused_by"]), ("paused", &json!("payee")));
    world.refused(409, "contract_wrong_state", world.act(&world.client, contract.at("/pause"), json!({}))).await;
    world.refused(409, "contract_wrong_state", world.act(&world.payee, contract.work("/submit"), json!({}))).await;
    let second = Contract { id: contract.id.clone(), milestone: paused.text("/milestones/1/id").unwrap() };
    let fundings = contract.at("/fundings");
    let pay = async || world.post(&world.client, &fundings, None, funding_of(&second, 50_000, "pm_card_visa")).await;
    world.refused(409, "contract_wrong_state", pay()).await;
    let amend = world.act(&world.client, contract.at("/amendments"), worth(&second.milestone, 60_000));
    world.refused(409, "contract_wrong_state", amend).await;
    world.refused(403, "forbidden", world.act(&world.client, contract.at("/resume"), json!({}))).await;
    let approved = world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    assert_eq!(status(&approved), "released");
    let resumed = world.act(&world.payee, contract.at("/resume"), json!({})).await.success().unwrap();
    assert_eq!((status(&resumed), &resumed.body["paused_by"]), ("active", &Value::Null));
    world.refused(409, "contract_wrong_state", world.act(&world.payee, contract.at("/resume"), json!({}))).await;
    pay().await.success().unwrap();
    world.close().await;
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// D-32: the review window closed at 09:00 while nobody looked; at 10:00 it is too late to ask for changes, and the
/// approval bears the instant of the deadline.
#[tokio::test]
async fn changes_are_requested_too_late() {
    let world = World::new().await;
    let contract = world.funded().await;
    world.at(instant("2026-12-02T09:00:00Z")).await;
    let submitted = world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    let closes = instant("2026-12-16T09:00:00Z");
    assert_eq!((status(&submitted), &submitted.body["review_due_at"]), ("submitted", &json!(closes)));
    let version = world.version(&world.client, &contract.work("")).await;
    world.at(closes - TimeDelta::seconds(1)).await;
    assert_eq!(status(&world.get(&world.client, &contract.work("")).await), "submitted");
    // The clock alone is moved: whoever comes first, the timer or the client, the window has closed.
    world.server.app().engine.clock().advance(instant("2026-12-16T10:00:00Z")).await.unwrap();
    let late = world.post(&world.client, &contract.work("/request-changes"), Some(&version), json!({})).await;
    assert_eq!((late.status.as_u16(), &late.body["code"]), (409, &json!("review_window_closed")), "{}", late.body);
    assert_eq!(only(&world, "milestone.auto_approved").await["occurred_at"], json!(closes));
    let released = only(&world, "escrow.released").await;
    assert_eq!((&released["occurred_at"], &released["data"]["reason"]), (&json!(closes), &json!("auto")));
    assert_eq!(released["journal"]["value_date"], "2026-12-16");
    assert_eq!(world.count("milestone.changes_requested").await, 0);
    world.close().await;
}

/// A delivery is taken back, delivered again, sent back and delivered again: each has a number and a window of its own.
#[tokio::test]
async fn a_delivery_is_taken_back_and_sent_back() {
    let world = World::new().await;
    let contract = world.funded().await;
    let submit = async || {
        let answer = world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
        (answer.body["submission_no"].clone(), answer.body["review_due_at"].clone())
    };
    let windows = |days: i64| json!(World::begin() + TimeDelta::days(days));
    assert_eq!(submit().await, (json!(1), windows(14)));
    let back = world.act(&world.payee, contract.work("/withdraw-submission"), json!({})).await.success().unwrap();
    assert_eq!((status(&back), &back.body["review_due_at"]), ("funded", &Value::Null));
    let none = world.act(&world.payee, contract.work("/withdraw-submission"), json!({}));
    world.refused(409, "milestone_wrong_state", none).await;
    world.at(World::begin() + TimeDelta::days(1)).await;
    assert_eq!(submit().await, (json!(2), windows(15)));
    let wish = json!({ "note_ref": "note-17" });
    let sent = world.act(&world.client, contract.work("/request-changes"), wish).await.success().unwrap();
    assert_eq!((status(&sent), &sent.body["revision_no"]), ("changes_requested", &json!(1)));
    let twice = world.act(&world.client, contract.work("/request-changes"), json!({}));
    world.refused(409, "milestone_wrong_state", twice).await;
    world.at(World::begin() + TimeDelta::days(20)).await;
    assert_eq!(world.count("milestone.auto_approved").await, 0, "no window is running");
    assert_eq!(submit().await, (json!(3), windows(34)));
    world.at(World::begin() + TimeDelta::days(34)).await;
    assert_eq!(status(&world.get(&world.client, &contract.work("")).await), "released");
    world.close().await;
}

/// D-51, J11, J12, J13: 1,000.00 approved in three parts; each fee is rounded on the sum, and they close exactly.
#[tokio::test]
async fn a_milestone_is_approved_in_thirds() {
    let world = World::new().await;
    let contract = world.funded().await;
    let approve = async |body: Value| world.act(&world.client, contract.work("/approve"), body).await;
    let first = approve(json!({ "amount": 33_334, "remainder": { "kind": "keep" } })).await.success().unwrap();
    assert_eq!(status(&first), "partially_released");
    let parts = |answer: &Answer| ["held", "released", "net"].map(|part| answer.body[part].as_i64().unwrap());
    assert_eq!(parts(&first), [66_666, 33_334, 30_001]);
    let more = approve(json!({ "amount": 66_667 }));
    assert_eq!(world.refused(422, "exceeds_held", more).await.body["held"], 66_666);
    let euros = approve(json!({ "amount": 33_333, "currency": "EUR" }));
    world.refused(422, "currency_mismatch", euros).await;
    let second = approve(json!({ "amount": 33_333, "currency": "USD" })).await.success().unwrap();
    assert_eq!(parts(&second), [33_333, 66_667, 60_000]);
    let third = approve(json!({})).await.success().unwrap();
    assert_eq!((status(&third), parts(&third)), ("released", [0, 100_000, 90_000]));
    world.refused(409, "milestone_already_approved", approve(json!({ "amount": 1 }))).await;

    let events = world.get(&world.admin, "/v1/events?types=escrow.released").await;
    let figures: Vec<_> = events.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            ["gross", "payee_fee", "client_fee_earned", "net"].map(|part| event["data"][part].as_i64().unwrap())
        })
        .collect();
    let wanted = [[33_334, 3333, 1667, 30_001], [33_333, 3334, 1666, 29_999], [33_333, 3333, 1667, 30_000]];
    assert_eq!(figures, wanted);
    world.at(World::begin()).await;
    assert_eq!(status(&world.get(&world.client, &contract.at("")).await), "completed");
    let booked = [("1110", 101_925), ("2200", -90_000), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];
    assert_eq!(world.books().await, books(&booked));
    world.close().await;
}

/// D-157: a proposal that is repeated under its key has the same answer, with the same ids, and no second effect.
#[tokio::test]
async fn a_proposal_that_is_repeated_is_made_once() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = contract.at("/amendments");
    let body = json!({ "changes": [{ "kind": "add_milestone", "amount": 5 }] });
    let version = world.version(&world.client, &path).await;
    let ask = async || world.post_with_key(&world.client, &path, "once", Some(&version), body.clone()).await;
    let first = ask().await.success().unwrap();
    let second = ask().await.success().unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(world.count("contract.amendment_proposed").await, 1);
    world.close().await;
}
