//! The life of a milestone beside the happy path: revisions, parts, refunds, disputes, and money that is late.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod life;

use chrono::TimeDelta;
use domain::actor::{Actor, SystemPart};
use domain::command::Command;
use domain::id::MilestoneId;
use domain::intent::Intent;
use domain::milestone::{Milestone, MilestoneCommand as M, MilestoneEvent, Remainder};
use domain::rules::{Context, Rules};
use ledger::Currency;
use life::Who::{Client, Outsider, Payee, PayeeAsClient};
use life::{World, at, code, dispute, m, minor, plan};

fn approve() -> M {
    M::Approve { amount: None, currency: None }
}

fn approve_part(gross: i64, remainder: Remainder) -> M {
    M::ApprovePartially { gross: minor(gross), currency: Some(Currency::USD), remainder }
}

fn changes() -> M {
    M::RequestChanges { note_ref: Some("note/1".to_owned()) }
}

fn refund() -> M {
    M::RequestRefund { amount: None, currency: None }
}

fn refund_of(amount: i64) -> M {
    M::RequestRefund { amount: Some(minor(amount)), currency: Some(Currency::USD) }
}

fn grant(amount: i64) -> M {
    M::GrantRefund { amount: Some(minor(amount)), currency: None }
}

fn reject() -> M {
    M::RejectRefund { dispute_id: dispute(1) }
}

fn open_dispute() -> M {
    M::OpenDispute { dispute_id: dispute(1) }
}

/// A world in each state that a caller can see, reached by real events.
fn in_each_state() -> Vec<(&'static str, World)> {
    let milestones = || vec![plan(1, 100_000), plan(2, 50_000)];
    let planned = World::accepted(milestones());
    let mut paying = planned.clone();
    paying.request_funding(1, 100_000).1.unwrap();
    let mut cancelled = planned.clone();
    cancelled.on_milestone(1, Client, M::Cancel).unwrap();
    let funded = World::funded(milestones(), &[1]);
    let then = |who, command: M| {
        let mut world = funded.clone();
        world.on_milestone(1, who, command).unwrap();
        world
    };
    let submitted = then(Payee, M::SubmitWork);
    let mut sent_back = submitted.clone();
    sent_back.on_milestone(1, Client, changes()).unwrap();
    let mut by_time = submitted.clone();
    by_time.wake_after_days(14);
    vec![
        ("planned", planned),
        ("funding_pending", paying),
        ("cancelled", cancelled),
        ("funded", funded.clone()),
        ("submitted", submitted),
        ("changes_requested", sent_back),
        ("partially_released", then(Client, approve_part(60_000, Remainder::Keep))),
        ("refund_pending", then(Client, refund())),
        ("disputed", then(Client, open_dispute())),
        ("released", then(Client, approve())),
        ("released", by_time),
    ]
}

/// D-34, D-39, D-40: what each party may do in each state, and the code of each refusal; who is not on the right side is
/// told that, or learns nothing.
#[test]
fn every_pair_of_state_and_command_has_its_answer() {
    const FUNDED: &str = "milestone_not_funded";
    const STATE: &str = "milestone_wrong_state";
    const DISPUTED: &str = "milestone_disputed";
    const APPROVED: &str = "milestone_already_approved";
    const OK: &str = "";
    // planned, funding_pending, cancelled, funded, submitted, changes_requested, partially_released, refund_pending,
    // disputed, released by the client, released by time
    let table: Vec<(M, life::Who, life::Who, [&str; 11])> = vec![
        (M::SubmitWork, Payee, Client, [FUNDED, FUNDED, STATE, OK, STATE, OK, OK, STATE, DISPUTED, STATE, STATE]),
        (
            M::WithdrawSubmission,
            Payee,
            Client,
            [FUNDED, FUNDED, STATE, STATE, OK, STATE, STATE, STATE, DISPUTED, APPROVED, APPROVED],
        ),
        (
            changes(),
            Client,
            Payee,
            [FUNDED, FUNDED, STATE, STATE, OK, STATE, STATE, STATE, DISPUTED, APPROVED, "review_window_closed"],
        ),
        (approve(), Client, Payee, [FUNDED, FUNDED, STATE, OK, OK, STATE, OK, STATE, DISPUTED, APPROVED, APPROVED]),
        (
            approve_part(1, Remainder::Keep),
            Client,
            Payee,
            [FUNDED, FUNDED, STATE, OK, OK, STATE, OK, STATE, DISPUTED, APPROVED, APPROVED],
        ),
        (refund(), Client, Payee, [FUNDED, FUNDED, STATE, OK, STATE, OK, OK, STATE, DISPUTED, APPROVED, APPROVED]),
        (grant(1), Payee, Client, [FUNDED, FUNDED, STATE, OK, STATE, OK, OK, STATE, DISPUTED, APPROVED, APPROVED]),
        (
            M::AcceptRefund,
            Payee,
            Client,
            [FUNDED, FUNDED, STATE, STATE, STATE, STATE, STATE, OK, DISPUTED, APPROVED, APPROVED],
        ),
        (
            reject(),
            Payee,
            Client,
            [FUNDED, FUNDED, STATE, STATE, STATE, STATE, STATE, OK, DISPUTED, APPROVED, APPROVED],
        ),
        (
            M::AcceptRollForward,
            Payee,
            Client,
            [STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE],
        ),
        (
            M::RejectRollForward,
            Payee,
            Client,
            [STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE],
        ),
        (
            open_dispute(),
            Client,
            PayeeAsClient,
            [FUNDED, FUNDED, STATE, OK, OK, OK, OK, STATE, DISPUTED, APPROVED, APPROVED],
        ),
        (
            open_dispute(),
            Payee,
            PayeeAsClient,
            [FUNDED, FUNDED, STATE, OK, OK, OK, OK, STATE, DISPUTED, APPROVED, APPROVED],
        ),
        (
            M::Cancel,
            Client,
            PayeeAsClient,
            [OK, "payment_under_way", STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE, STATE],
        ),
    ];
    for (command, right, wrong, answers) in table {
        for ((state, world), expected) in in_each_state().iter().zip(answers) {
            assert_eq!(world.milestone_state(1), *state);
            let answer = |who| world.clone().on_milestone(1, who, command.clone()).map_or_else(|no| no.code(), |_| OK);
            assert_eq!(answer(right), expected, "{state} {command:?}");
            assert_eq!(answer(wrong), "forbidden", "{state} {command:?}");
            assert_eq!(answer(Outsider), "not_found", "{state} {command:?}");
        }
    }
}

/// D-32: the window had closed before the client looked, so that it is the approval that counts.
#[test]
fn changes_come_too_late_after_the_window() {
    let mut world = World::with_one();
    world.now = at("2026-12-02T09:00:00Z");
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    world.now = at("2026-12-16T10:00:00Z");
    assert_eq!(code(&world.on_milestone(1, Client, changes())), Err("review_window_closed"));
    let closed_at = at("2026-12-16T09:00:00Z");
    assert_eq!(world.times_of("milestone.auto_approved"), [closed_at]);
    let entry =
        world.appends.iter().flat_map(|append| &append.events).find(|event| event.event_type == "escrow.released");
    assert_eq!(entry.unwrap().journal.as_ref().unwrap().value_date(), closed_at.date_naive());
}

/// Every submission has its number and its own window; every revision has its number.
#[test]
fn work_goes_back_and_forth() {
    let mut world = World::with_one();
    for round in 1..=3_u64 {
        world.now += TimeDelta::days(10);
        world.on_milestone(1, Payee, M::SubmitWork).unwrap();
        let submitted = world.last("milestone.work_submitted");
        assert_eq!(submitted["submission_no"], 2 * round - 1);
        world.now += TimeDelta::days(1);
        let events = world.on_milestone(1, Payee, M::WithdrawSubmission).unwrap();
        assert_eq!((events, world.milestone_state(1)), (vec!["milestone.submission_withdrawn".to_owned()], "funded"));
        world.on_milestone(1, Payee, M::SubmitWork).unwrap();
        world.now += TimeDelta::days(5);
        world.on_milestone(1, Client, changes()).unwrap();
        let revision = world.last("milestone.changes_requested");
        assert_eq!(
            (revision["revision_no"].as_u64(), revision["submission_no"].as_u64()),
            (Some(round), Some(2 * round))
        );
        world.wake_after_days(20);
        assert_eq!(world.milestone_state(1), "changes_requested", "the window of a submission ends with it");
    }
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    let due_at = world.now + TimeDelta::days(14);
    world.wake_after_days(15);
    assert_eq!(world.times_of("milestone.auto_approved"), [due_at]);
    assert_eq!(world.last("milestone.auto_approved")["submission_no"], 7);
    let personal = M::RequestChanges { note_ref: Some("make the logo bigger, please".to_owned()) };
    assert_eq!(code(&World::submitted().on_milestone(1, Client, personal)), Err("validation_failed"));
}

/// D-36: 700.00 of 1,000.00 approved, with its fees; 300.00 go to the next milestone once the payee agrees.
#[test]
fn a_part_is_released_and_the_rest_rolled_forward() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let roll = Remainder::RollForward { milestone_id: m(2) };
    let events = world.on_milestone(1, Client, approve_part(70_000, roll)).unwrap();
    assert_eq!(events[0], "milestone.partially_approved");
    let released = world.last("escrow.released");
    let figures = ["gross", "payee_fee", "net", "client_fee_earned"].map(|field| released[field].as_i64().unwrap());
    assert_eq!(figures, [70_000, 7_000, 63_000, 3_500]);
    assert_eq!(released["reason"], "partial");
    assert_eq!((world.milestone_state(1), world.held(1)), ("partially_released", 30_000));
    assert_eq!(code(&world.on_milestone(1, Client, M::AcceptRollForward)), Err("forbidden"));
    let mut refused = world.clone();
    let events = refused.on_milestone(1, Payee, M::RejectRollForward).unwrap();
    assert_eq!(events, ["milestone.roll_forward_rejected"]);
    assert_eq!(code(&refused.on_milestone(1, Payee, M::AcceptRollForward)), Err("milestone_wrong_state"));
    assert_eq!(refused.held(1), 30_000);

    world.on_milestone(1, Payee, M::AcceptRollForward).unwrap();
    let accepted = world.last("milestone.roll_forward_accepted");
    assert_eq!((accepted["to"].as_str(), accepted["amount"].as_i64()), (Some(&*m(2).to_string()), Some(30_000)));
    // The escrow has moved it in the same commit, and said so.
    let closed = world.last("contract.milestone_closed");
    assert_eq!((closed["outcome"].as_str(), closed["released"].as_i64()), (Some("released"), Some(70_000)));
    assert_eq!((world.milestone_state(1), world.held(1)), ("released", 0));
    assert_eq!((world.milestone_state(2), world.held(2)), ("funded", 30_000));
    assert_eq!(world.milestone(2).progress().unwrap().missing(), minor(20_000), "the client pays in only the rest");
    world.pay(2, 20_000).unwrap();
    assert_eq!(world.held(2), 50_000);
    let too_much = M::RecordMovedOut { to: m(2), amount: minor(30_001) };
    assert_eq!(refused.milestone(1).decide(&too_much, &psp(&refused)).unwrap_err().code(), "exceeds_held");
    let elsewhere = M::RecordMovedIn {
        contract_id: domain::id::ContractId::from_uuid(life::uuid(9)),
        from: Some(m(1)),
        amount: minor(1),
    };
    assert_eq!(world.milestone(2).decide(&elsewhere, &psp(&world)).unwrap_err().code(), "validation_failed");
}

/// What the escrow says happened, judged and remembered.
fn tell(milestone: &Milestone, command: &M, world: &World) -> (Milestone, Vec<MilestoneEvent>) {
    let events = milestone.decide(command, &psp(world)).unwrap();
    let mut state = milestone.clone();
    for event in &events {
        state.evolve(event);
    }
    (state, events)
}

fn psp(world: &World) -> Context {
    Context { now: world.now, actor: Actor::System(SystemPart::Psp) }
}

/// A rest is moved only to a milestone of the same contract that can take it, and only when there is a rest.
#[test]
fn a_part_has_to_be_a_part() {
    let mut world =
        World::funded(vec![plan(1, 100_000), plan(2, 50_000), plan(3, 50_000), plan(4, 50_000)], &[1, 3, 4]);
    world.request_funding(2, 50_000).1.unwrap();
    world.on_milestone(3, Payee, open_dispute()).unwrap();
    world.on_milestone(4, Client, approve()).unwrap();
    let to = |milestone_id: MilestoneId| Remainder::RollForward { milestone_id };
    for (command, expected) in [
        (approve_part(100_000, Remainder::Keep), "validation_failed"),
        (approve_part(100_001, Remainder::Keep), "exceeds_held"),
        (approve_part(0, Remainder::Keep), "validation_failed"),
        (
            M::ApprovePartially { gross: minor(1), currency: Some(Currency::EUR), remainder: Remainder::Keep },
            "currency_mismatch",
        ),
        (approve_part(1, to(m(1))), "validation_failed"),
        (approve_part(1, to(m(9))), "validation_failed"),
        (approve_part(1, to(m(2))), "payment_under_way"),
        (approve_part(1, to(m(3))), "milestone_disputed"),
        (approve_part(1, to(m(4))), "milestone_wrong_state"),
        (M::Approve { amount: Some(minor(99_999)), currency: None }, "validation_failed"),
        (M::Approve { amount: Some(minor(100_001)), currency: None }, "exceeds_held"),
    ] {
        assert_eq!(code(&world.clone().on_milestone(1, Client, command.clone())), Err(expected), "{command:?}");
    }
    let foreign = M::ExpectMoney { contract_id: domain::id::ContractId::from_uuid(life::uuid(9)), from: m(8) };
    assert_eq!(world.milestone(1).decide(&foreign, &psp(&world)).unwrap_err().code(), "validation_failed");
}

/// What stays held can be delivered for, approved and released; the last part closes the milestone with the whole.
#[test]
fn what_is_kept_is_released_later() {
    let mut world = World::with_one();
    world.on_milestone(1, Client, approve_part(33_333, Remainder::Keep)).unwrap();
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    world.on_milestone(1, Client, approve_part(33_333, Remainder::Keep)).unwrap();
    assert_eq!(world.contract_state(), "active");
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    world.wake_after_days(14);
    assert_eq!(world.count("escrow.released"), 3);
    let parts: Vec<_> = world.log.iter().filter(|event| event.event_type == "escrow.released").collect();
    let value = |field: &str| -> i64 {
        let of = |payload: &str| serde_json::from_str::<serde_json::Value>(payload).unwrap()[field].as_i64().unwrap();
        parts.iter().map(|event| of(&event.payload)).sum()
    };
    assert_eq!(["gross", "payee_fee", "client_fee_earned", "net"].map(value), [100_000, 10_000, 5_000, 90_000]);
    let ids: std::collections::BTreeSet<_> = parts.iter().map(|event| event.payload.split(',').nth(1)).collect();
    assert_eq!(ids.len(), 3, "each release has its own id");
    assert_eq!(world.contract_state(), "completed");
    assert_eq!(world.last("contract.completed")["released_total"], 100_000);
}

/// A rest that the client wants back is a request as any other.
#[test]
fn a_rest_can_be_asked_back() {
    let mut world = World::submitted();
    let events = world.on_milestone(1, Client, approve_part(60_000, Remainder::RefundRequest)).unwrap();
    assert!(events.contains(&"milestone.refund_requested".to_owned()));
    assert_eq!(world.last("milestone.refund_requested")["amount"], 40_000);
    let due_at = world.now + TimeDelta::days(7);
    world.wake_after_days(8);
    assert_eq!(world.times_of("milestone.refund_agreed"), [due_at]);
    assert_eq!(world.last("milestone.refund_agreed")["consent"], "time");
    assert_eq!(world.last("milestone.refund_agreed")["amount"], 40_000);
}

/// The timer `refund_request`, the payee's yes, no and own offer; and the escrow's word, after which what is left goes on
/// as before.
#[test]
fn a_refund_needs_the_payee_or_time() {
    let funded = World::with_one();
    for (command, expected) in [
        (refund_of(100_001), "exceeds_held"),
        (refund_of(0), "validation_failed"),
        (M::RequestRefund { amount: None, currency: Some(Currency::EUR) }, "currency_mismatch"),
    ] {
        assert_eq!(code(&funded.clone().on_milestone(1, Client, command.clone())), Err(expected), "{command:?}");
    }
    assert_eq!(code(&funded.clone().on_milestone(1, Payee, grant(100_001))), Err("exceeds_held"));
    let mut asked = funded.clone();
    asked.on_milestone(1, Client, refund_of(40_000)).unwrap();
    let due_at = asked.now + TimeDelta::days(7);
    let mut early = asked.clone();
    early.wake_at(due_at - TimeDelta::milliseconds(1));
    assert_eq!(early.count("milestone.refund_agreed"), 0);
    let mut by_time = asked.clone();
    by_time.now = due_at;
    assert_eq!(code(&by_time.on_milestone(1, Payee, reject())), Err("milestone_wrong_state"), "the timer has won");
    assert_eq!(by_time.times_of("milestone.refund_agreed"), [due_at]);
    let mut accepted = asked.clone();
    accepted.on_milestone(1, Payee, M::AcceptRefund).unwrap();
    let mut granted = funded.clone();
    granted.on_milestone(1, Payee, grant(40_000)).unwrap();
    for (world, consent) in [(&by_time, "time"), (&accepted, "accepted"), (&granted, "granted")] {
        let agreed = world.last("milestone.refund_agreed");
        assert_eq!((agreed["consent"].as_str(), agreed["amount"].as_i64()), (Some(consent), Some(40_000)));
        assert_eq!((world.milestone_state(1), world.held(1)), ("funded", 60_000));
        assert_eq!(world.milestone(1).progress().unwrap().refunded, minor(40_000));
        assert_eq!(world.last("escrow.refund_initiated")["refund_id"], agreed["refund_id"]);
        assert_eq!(world.last("escrow.refund_initiated")["reason"], "agreed");
    }
    // What the escrow says has to be what was agreed.
    let by_payee = Context { now: asked.now, actor: Actor::Payee(asked.payee) };
    let mut pending = asked.milestone(1);
    for event in pending.decide(&M::AcceptRefund, &by_payee).unwrap() {
        pending.evolve(&event);
    }
    let Milestone::RefundPending { refund_id, agreed: true, .. } = pending else { panic!("{pending:?}") };
    let wrong = M::RecordRefund { refund_id, amount: minor(39_999) };
    assert_eq!(pending.decide(&wrong, &psp(&asked)).unwrap_err().code(), "milestone_wrong_state");
    let mut whole = funded;
    whole.on_milestone(1, Payee, M::GrantRefund { amount: None, currency: None }).unwrap();
    assert_eq!((whole.milestone_state(1), whole.contract_state()), ("refunded", "completed"));
    assert_eq!(whole.last("contract.completed")["refunded_total"], 100_000);
    for (who, command) in [(Client, approve()), (Payee, M::SubmitWork)] {
        assert_eq!(code(&whole.on_milestone(1, who, command)), Err("milestone_wrong_state"));
    }
}

/// A refund that is rejected is a dispute; taken back, the milestone is what it was, and a later refund is another one.
#[test]
fn a_rejected_refund_is_a_dispute() {
    let mut world = World::submitted();
    world.on_milestone(1, Client, changes()).unwrap();
    world.on_milestone(1, Client, refund()).unwrap();
    let first = world.last("milestone.refund_requested")["refund_id"].clone();
    let events = world.on_milestone(1, Payee, reject()).unwrap();
    assert_eq!(events, ["milestone.refund_rejected", "milestone.disputed", "escrow.dispute_hold_placed"]);
    let disputed = world.last("milestone.disputed");
    assert_eq!((disputed["by"].as_str(), disputed["amount"].as_i64()), (Some("payee"), Some(100_000)));
    assert_eq!(disputed["prior_state"], "changes_requested");
    world.wake_after_days(30);
    assert_eq!(world.count("milestone.refund_agreed"), 0, "no timer runs in a dispute");
    assert_eq!(resume(&mut world).unwrap(), ["milestone.dispute_withdrawn", "escrow.dispute_hold_lifted"]);
    assert_eq!(world.milestone_state(1), "changes_requested");
    world.on_milestone(1, Client, refund()).unwrap();
    assert_ne!(world.last("milestone.refund_requested")["refund_id"], first);
}

fn resume(world: &mut World) -> Result<Vec<String>, domain::refusal::Refusal> {
    world.system(Intent::Fact(Command::Milestone(m(1), M::ResumeAfterDispute { dispute_id: dispute(1) })))
}

/// A dispute stops the review window and keeps what was left of it, to the millisecond.
#[test]
fn a_dispute_stops_the_review_window() {
    let mut world = World::submitted();
    let submitted_at = world.now;
    world.now = submitted_at + TimeDelta::days(10) + TimeDelta::milliseconds(1);
    world.on_milestone(1, Payee, open_dispute()).unwrap();
    let left = TimeDelta::days(4) - TimeDelta::milliseconds(1);
    assert_eq!(world.last("milestone.disputed")["review_remaining_ms"], left.num_milliseconds());
    world.wake_after_days(50);
    assert_eq!(world.count("milestone.auto_approved"), 0);
    let unknown = M::ResumeAfterDispute { dispute_id: dispute(2) };
    assert_eq!(world.milestone(1).decide(&unknown, &psp(&world)).unwrap_err().code(), "milestone_wrong_state");
    resume(&mut world).unwrap();
    let due_at = world.now + left;
    assert_eq!(world.milestone_state(1), "submitted");
    world.wake_at(due_at - TimeDelta::milliseconds(1));
    assert_eq!(world.count("milestone.auto_approved"), 0);
    world.wake_at(due_at + TimeDelta::days(1));
    assert_eq!(world.times_of("milestone.auto_approved"), [due_at]);
}

/// D-38: both know version 7; whoever comes first wins, and the other one is told that somebody was faster.
#[test]
fn approval_and_dispute_compete() {
    let mut world = World::with_one();
    while world.version(1) < 6 {
        world.on_milestone(1, Payee, M::SubmitWork).unwrap();
        if world.version(1) < 6 {
            world.on_milestone(1, Payee, M::WithdrawSubmission).unwrap();
        }
    }
    world.on_milestone(1, Client, changes()).unwrap();
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    let version = world.version(1);
    for (first, second) in
        [((Client, approve()), (Payee, open_dispute())), ((Payee, open_dispute()), (Client, approve()))]
    {
        let mut world = world.clone();
        assert!(world.if_match(1, first.0, first.1, version).is_ok());
        assert_eq!(code(&world.if_match(1, second.0, second.1, version)), Err("version_mismatch"));
        assert_eq!(world.count("escrow.released") + world.count("milestone.disputed"), 1, "never both");
    }
}

/// D-45: a dispute about one milestone leaves the other ones alone, and the contract waits for it.
#[test]
fn a_dispute_is_about_one_milestone() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1, 2]);
    world.on_milestone(2, Client, open_dispute()).unwrap();
    world.on_milestone(1, Client, approve()).unwrap();
    assert_eq!((world.milestone_state(1), world.milestone_state(2)), ("released", "disputed"));
    assert_eq!(world.last("escrow.released")["net"], 90_000);
    assert_eq!(world.contract_state(), "active");
}

/// D-46: the last milestone that is released completes the contract, with its totals, and closes the escrow at zero.
#[test]
fn the_last_release_completes_the_contract() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000), plan(3, 20_000)], &[1, 2]);
    world.on_milestone(1, Client, approve()).unwrap();
    world.on_milestone(3, Payee, M::Cancel).unwrap();
    assert_eq!(world.contract_state(), "active");
    let events = world.on_milestone(2, Client, approve()).unwrap();
    assert!(events.ends_with(&["contract.completed".to_owned(), "escrow.closed".to_owned()]), "{events:?}");
    let completed = world.last("contract.completed");
    let totals = (completed["released_total"].as_i64(), completed["refunded_total"].as_i64());
    assert_eq!(totals, (Some(150_000), Some(0)));
}

/// D-48: an approval is made once, however often it is wished for under new keys.
#[test]
fn an_approval_is_made_once() {
    let mut world = World::submitted();
    world.on_milestone(1, Client, approve()).unwrap();
    for _ in 0..3 {
        assert_eq!(code(&world.on_milestone(1, Client, approve())), Err("milestone_already_approved"));
    }
    assert_eq!((world.count("milestone.approved"), world.count("escrow.released")), (1, 1));
}

/// A milestone that was raised, and paid for only in part, is approved for what is held. It stays open for the payment
/// that is under way, and ends with it.
#[test]
fn a_payment_under_way_keeps_a_milestone_open() {
    use domain::contract::{Change, ContractCommand, Parts};
    let mut world = World::with_one();
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
    let amendment_id = life::amendment(1);
    let propose = ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() };
    world.on_contract(Client, propose).unwrap();
    world.on_contract(Payee, ContractCommand::AcceptAmendment { amendment_id }).unwrap();
    let (funding, requested) = world.request_funding(1, 20_000);
    requested.unwrap();
    world.on_milestone(1, Client, approve()).unwrap();
    assert_eq!((world.milestone_state(1), world.held(1), world.contract_state()), ("partially_released", 0, "active"));
    for (who, command) in
        [(Payee, M::SubmitWork), (Client, approve()), (Client, refund()), (Payee, grant(1)), (Client, open_dispute())]
    {
        assert_eq!(code(&world.on_milestone(1, who, command)), Err("milestone_not_funded"));
    }
    let mut failed = world.clone();
    failed.fail(funding).unwrap();
    assert_eq!((failed.milestone_state(1), failed.contract_state()), ("released", "completed"));
    assert_eq!(failed.last("contract.completed")["released_total"], 100_000);
    world.succeed(funding, 20_000).unwrap();
    assert_eq!(world.held(1), 20_000);
    world.on_milestone(1, Client, approve()).unwrap();
    assert_eq!(world.contract_state(), "completed");
    assert_eq!(world.last("contract.completed")["released_total"], 120_000);
}

/// Money that arrives when its milestone is over is taken, since facts are never refused, and goes back at once.
#[test]
fn money_that_is_too_late_goes_back() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[2]);
    let (funding, requested) = world.request_funding(1, 100_000);
    requested.unwrap();
    world.fail(funding).unwrap();
    world.on_milestone(1, Payee, M::Cancel).unwrap();
    world.succeed(funding, 100_000).unwrap();
    let agreed = world.last("milestone.refund_agreed");
    assert_eq!((agreed["consent"].as_str(), agreed["amount"].as_i64()), (Some("too_late"), Some(100_000)));
    assert_eq!(world.last("escrow.refund_initiated")["reason"], "too_late");
    assert_eq!((world.milestone_state(1), world.held(1)), ("refunded", 0));
    assert_eq!((world.count("refund.requested"), world.contract_state()), (1, "active"));

    // A milestone that was released stays released when late money has gone back.
    let mut released = World::with_one();
    released.on_milestone(1, Client, approve()).unwrap();
    let funding_id = domain::id::FundingId::from_uuid(life::uuid(9));
    let late = M::RecordFunded { funding_id, amount: minor(5_000) };
    let (pending, _) = tell(&released.milestone(1), &late, &released);
    let Milestone::RefundPending { refund_id, refunding, agreed: true, .. } = pending else { panic!("{pending:?}") };
    let (after, events) = tell(&pending, &M::RecordRefund { refund_id, amount: refunding }, &released);
    assert_eq!((after.state_name(), refunding), ("released", minor(5_000)));
    assert!(matches!(&events[..], [MilestoneEvent::Refunded { closes: None, .. }]), "it was closed before");
}

/// What the escrow does of its own, at the limit until which a provider lets money lie or by the wish of both, is noted in
/// every state that has money, and closes what has none left.
#[test]
fn what_the_escrow_does_of_its_own_is_noted() {
    let refund_id = domain::id::RefundId::from_uuid(life::uuid(9));
    let out_of = |amount| M::RecordRefund { refund_id, amount: minor(amount) };
    let mut seen = 0;
    for (state, world) in in_each_state() {
        let milestone = world.milestone(1);
        let held = world.held(1);
        if !["funded", "submitted", "changes_requested", "partially_released", "refund_pending"].contains(&state) {
            let no = if state == "disputed" { "milestone_disputed" } else { "" };
            let code = milestone.decide(&out_of(1), &psp(&world)).unwrap_err().code();
            assert!(no.is_empty() || code == no, "{state} {code}");
            continue;
        }
        seen += 1;
        let (part, events) = tell(&milestone, &out_of(1), &world);
        assert_eq!((part.state_name(), part.progress().unwrap().held), (state, minor(held - 1)));
        assert!(matches!(&events[..], [MilestoneEvent::Refunded { closes: None, .. }]), "{state}");
        let (whole, events) = tell(&milestone, &out_of(held), &world);
        assert_eq!(whole.state_name(), "refunded", "{state}");
        let over = world.milestone(1).progress().unwrap().released;
        assert!(
            matches!(&events[..], [MilestoneEvent::Refunded { closes: Some(closed), .. }] if closed.released == over),
            "{state}"
        );
        assert_eq!(milestone.decide(&out_of(held + 1), &psp(&world)).unwrap_err().code(), "exceeds_held");
    }
    assert_eq!(seen, 5);
    // The rest that was asked for is still asked for, as far as it is there.
    let mut asked = World::with_one();
    asked.on_milestone(1, Client, refund()).unwrap();
    let (after, _) = tell(&asked.milestone(1), &out_of(30_000), &asked);
    assert!(matches!(after, Milestone::RefundPending { refunding, agreed: false, .. } if refunding == minor(70_000)));
    // What was moved away before anything was released has to be paid for again.
    let funded = World::with_one();
    let (empty, events) = tell(&funded.milestone(1), &M::RecordMovedOut { to: m(2), amount: minor(100_000) }, &funded);
    assert_eq!(empty.state_name(), "planned");
    assert!(matches!(&events[..], [MilestoneEvent::MovedOut { closes: None, .. }]));
}

/// What time or another aggregate does is refused where it does not fit, and a timer that was refused is disarmed.
#[test]
fn what_others_do_is_refused_where_it_does_not_fit() {
    let funded = World::with_one();
    let context = psp(&funded);
    let release_id = domain::id::ReleaseId::from_uuid(life::uuid(9));
    for (command, expected) in [
        (M::AutoApprove, "milestone_wrong_state"),
        (M::AgreeRefundByTime, "milestone_wrong_state"),
        (M::RecordRelease { release_id, gross: minor(1), net: minor(1) }, "milestone_wrong_state"),
        (M::RecordMovedOut { to: m(2), amount: minor(100_001) }, "exceeds_held"),
        (M::ResumeAfterDispute { dispute_id: dispute(1) }, "milestone_wrong_state"),
        (M::Amend { amount: minor(99_999), due_at: None, review_days: 14 }, "validation_failed"),
        (M::Plan { plan: funded.milestone(1).plan().unwrap().clone() }, "milestone_wrong_state"),
    ] {
        assert_eq!(funded.milestone(1).decide(&command, &context).unwrap_err().code(), expected, "{command:?}");
    }
    let amend = M::Amend { amount: minor(200_000), due_at: None, review_days: 14 };
    let mut released = funded.clone();
    released.on_milestone(1, Client, approve()).unwrap();
    assert_eq!(released.milestone(1).decide(&amend, &context).unwrap_err().code(), "milestone_wrong_state");
    let into = M::RecordMovedIn { contract_id: released.contract, from: Some(m(2)), amount: minor(1) };
    assert_eq!(released.milestone(1).decide(&into, &context).unwrap_err().code(), "milestone_wrong_state");
    let none = Milestone::NotPlanned;
    assert_eq!(none.decide(&M::SubmitWork, &context).unwrap_err().code(), "not_found");

    let stream = domain::milestone::stream(m(1));
    let mut asked = funded;
    asked.on_milestone(1, Client, refund()).unwrap();
    for mut state in [World::submitted().milestone(1), asked.milestone(1)] {
        let timer = state.timers(&stream).pop().unwrap();
        let block = M::BlockTimer { key: timer.key, reason: "books_refused".to_owned() };
        for event in state.decide(&block, &context).unwrap() {
            state.evolve(&event);
        }
        assert_eq!(state.timers(&stream), []);
    }
}
