//! The life of a contract beside the happy path: answers to an offer, cancelling, amendments, pause, end, dormancy.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod life;

use chrono::TimeDelta;
use domain::contract::{Change, Contract, ContractCommand as C, ContractEvent, Parts, terms_digest};
use domain::milestone::{MilestoneCommand as M, Remainder};
use domain::rules::{Context, Rules};
use domain::time::Timestamp;
use life::Who::{Client, Outsider, Payee, PayeeAsClient};
use life::{World, amendment, at, code, dispute, m, minor, part, parts, plan};
use proptest::prelude::*;

fn cheaper() -> C {
    C::CounterOffer { changes: vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(80_000) }] }
}

fn decline() -> C {
    C::Decline { reason: Some("too_busy".to_owned()) }
}

fn cancel() -> C {
    C::Cancel { reason: None, parts: Parts::default() }
}

fn pause() -> C {
    C::Pause { reason: None }
}

fn request_end() -> C {
    C::RequestEnd { parts: Parts::default() }
}

fn accept_end() -> C {
    C::AcceptEnd { parts: Parts::default() }
}

fn propose(number: u128, changes: Vec<Change>) -> C {
    C::ProposeAmendment { amendment_id: amendment(number), changes, parts: Parts::default() }
}

fn to_amount(number: u128, amount: i64) -> Change {
    Change::ChangeAmount { milestone_id: m(number), amount: minor(amount) }
}

/// Who may answer which version of an offer, and how; everybody else learns at most that they may not.
#[test]
fn an_offer_is_answered_by_the_side_that_did_not_make_its_last_version() {
    let offered = World::offered(vec![plan(1, 100_000)]);
    let mut countered = offered.clone();
    assert_eq!(code(&countered.on_contract(Payee, cheaper())), Ok(vec!["contract.countered"]));
    let mut again = countered.clone();
    let back = C::CounterOffer { changes: vec![to_amount(1, 90_000)] };
    assert_eq!(code(&again.on_contract(Client, back)), Ok(vec!["contract.countered"]));
    let made = Ok(vec!["contract.accepted", "milestone.planned", "escrow.opened"]);
    for (world, who, command, expected) in [
        (&offered, Payee, C::Accept, made.clone()),
        (&offered, Client, C::Accept, Err("forbidden")),
        (&offered, PayeeAsClient, C::Accept, Err("forbidden")),
        (&offered, Outsider, C::Accept, Err("not_found")),
        (&offered, Client, cheaper(), Err("forbidden")),
        (&offered, Outsider, cheaper(), Err("not_found")),
        (&offered, Payee, C::CounterOffer { changes: vec![] }, Err("validation_failed")),
        (&offered, Payee, C::CounterOffer { changes: vec![to_amount(2, 1)] }, Err("validation_failed")),
        (&offered, Payee, C::CounterOffer { changes: vec![to_amount(1, 0)] }, Err("validation_failed")),
        (
            &offered,
            Payee,
            C::CounterOffer { changes: vec![to_amount(1, 7), to_amount(1, 8)] },
            Err("validation_failed"),
        ),
        (
            &offered,
            Payee,
            C::CounterOffer { changes: vec![to_amount(1, 999_999_999_999_999)] },
            Err("amount_too_large"),
        ),
        (&offered, Payee, decline(), Ok(vec!["contract.declined"])),
        (&offered, Payee, C::Decline { reason: Some("call me: 555 1234".to_owned()) }, Err("validation_failed")),
        (&offered, Client, decline(), Err("forbidden")),
        (&offered, Outsider, decline(), Err("not_found")),
        (&offered, Client, C::WithdrawOffer, Ok(vec!["contract.offer_withdrawn"])),
        (&offered, Payee, C::WithdrawOffer, Err("forbidden")),
        (&offered, Outsider, C::WithdrawOffer, Err("not_found")),
        (&offered, Client, cancel(), Err("contract_wrong_state")),
        (&countered, Payee, C::Accept, Err("forbidden")),
        (&countered, Client, C::Accept, made.clone()),
        (&countered, Payee, cheaper(), Err("forbidden")),
        (&countered, Payee, decline(), Ok(vec!["contract.declined"])),
        (&countered, Client, C::WithdrawOffer, Ok(vec!["contract.offer_withdrawn"])),
        (&again, Client, C::Accept, Err("forbidden")),
        (&again, Payee, C::Accept, made),
    ] {
        let mut world = world.clone();
        let answer = world.on_contract(who, command.clone());
        assert_eq!(code(&answer), expected, "{who:?} {command:?}");
    }
}

/// An offer that was answered, taken back or thrown away is not answered again.
#[test]
fn an_offer_ends_once() {
    for (who, end, state) in [(Payee, decline(), "declined"), (Client, C::WithdrawOffer, "withdrawn")] {
        let mut world = World::offered(vec![plan(1, 100_000)]);
        world.on_contract(who, end).unwrap();
        assert_eq!(world.contract_state(), state);
        for (who, again) in [(Payee, C::Accept), (Payee, cheaper()), (Payee, decline()), (Client, C::WithdrawOffer)] {
            assert_eq!(code(&world.on_contract(who, again)), Err("contract_wrong_state"));
        }
        world.wake_after_days(30);
        assert_eq!(world.contract_state(), state, "its timers are gone");
    }
}

/// D-04: also after a counter offer, which has the full time again, the timer wins at the instant.
#[test]
fn a_counter_offer_expires_at_its_own_instant() {
    let mut world = World::offered(vec![plan(1, 100_000)]);
    world.now += TimeDelta::days(5);
    world.on_contract(Payee, cheaper()).unwrap();
    let expires_at = world.now + TimeDelta::days(7);
    world.now = expires_at - TimeDelta::milliseconds(1);
    assert!(world.clone().on_contract(Client, C::Accept).is_ok());
    world.now = expires_at;
    for (who, command) in [(Client, C::WithdrawOffer), (Payee, C::Accept), (Payee, decline()), (Payee, cheaper())] {
        assert_eq!(code(&world.on_contract(who, command)), Err("offer_expired"));
    }
    assert_eq!(world.times_of("contract.offer_expired"), [expires_at]);
}

/// What is accepted, made and named by the digest is the last version.
#[test]
fn the_last_version_is_what_was_accepted() {
    let digest_of = |world: &World| {
        let contract = world.contract();
        terms_digest(contract.agreement().unwrap(), contract.terms().unwrap()).unwrap()
    };
    let mut world = World::offered(vec![plan(1, 100_000)]);
    let first = digest_of(&world);
    let due_at = at("2027-01-31T00:00:00Z");
    let changes = vec![
        to_amount(1, 80_000),
        Change::ChangeDueDate { milestone_id: m(1), due_at: Some(due_at) },
        Change::ChangeReviewDays { milestone_id: m(1), review_days: Some(3) },
        Change::AddMilestone { milestone: plan(2, 30_000) },
    ];
    world.on_contract(Payee, C::CounterOffer { changes }).unwrap();
    let last = digest_of(&world);
    assert_ne!(first, last);
    world.on_contract(Client, C::Accept).unwrap();
    assert_eq!(world.last("contract.accepted")["terms_digest"], last);
    let plan = world.milestone(1).plan().unwrap().clone();
    assert_eq!((plan.amount, plan.due_at, plan.review_days), (minor(80_000), Some(due_at), 3));
    assert_eq!(world.milestone(2).plan().unwrap().review_days, 14);
}

/// A draft is the client's own: the payee does not learn that it was thrown away.
#[test]
fn a_draft_is_cancelled_by_its_client() {
    let drafted = World::drafted(vec![plan(1, 100_000)]);
    for who in [Payee, PayeeAsClient, Outsider] {
        for command in [cancel(), C::Accept, decline(), cheaper(), pause()] {
            assert_eq!(code(&drafted.clone().on_contract(who, command)), Err("not_found"), "{who:?}");
        }
    }
    let mut world = drafted;
    assert_eq!(code(&world.on_contract(Client, cancel())), Ok(vec!["contract.cancelled"]));
    assert_eq!(world.last("contract.cancelled")["stage"], "draft");
    assert_eq!(code(&world.on_contract(Client, cancel())), Err("contract_wrong_state"));
    assert_eq!(code(&world.on_contract(Payee, C::Accept)), Err("not_found"));
    assert_eq!(code(&world.request_funding(1, 100_000).1), Err("contract_wrong_state"));
}

/// Before anything is paid in, either side can give a contract up; what is on its way is waited for.
#[test]
fn a_contract_without_money_is_given_up_by_either_side() {
    let gone = vec!["contract.cancelled", "milestone.cancelled", "milestone.cancelled", "escrow.closed"];
    for (who, by) in [(Client, "client"), (Payee, "payee")] {
        let mut world = World::accepted(vec![plan(1, 100_000), plan(2, 50_000)]);
        let mut events = world.on_contract(who, cancel()).unwrap();
        events.sort_unstable();
        let mut expected = gone.clone();
        expected.sort_unstable();
        assert_eq!(events, expected);
        assert_eq!(world.last("contract.cancelled")["by"], by);
        assert_eq!((world.contract_state(), world.milestone_state(2)), ("cancelled", "cancelled"));
        assert_eq!(code(&world.request_funding(1, 100_000).1), Err("contract_wrong_state"));
        assert_eq!(code(&world.on_contract(who, cancel())), Err("contract_wrong_state"));
        world.wake_after_days(400);
        assert_eq!(world.contract_state(), "cancelled");
    }
    let mut paying = World::accepted(vec![plan(1, 100_000)]);
    assert_eq!(code(&paying.on_contract(Outsider, cancel())), Err("not_found"));
    let (funding, requested) = paying.request_funding(1, 100_000);
    requested.unwrap();
    assert_eq!(code(&paying.on_contract(Client, cancel())), Err("payment_under_way"));
    paying.succeed(funding, 100_000).unwrap();
    assert_eq!(code(&paying.on_contract(Client, cancel())), Err("contract_wrong_state"), "now it has to be ended");
}

/// D-25: the payee cancels a contract that holds money of which nothing was released: all of it goes back in the same
/// commit, also when the client has asked for the end; after a release there is no cancelling.
#[test]
fn a_payee_cancels_before_any_release() {
    let reason = || C::Cancel { reason: Some("no.time".to_owned()), parts: Parts::default() };
    let funded = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let mut asked = funded.clone();
    asked.on_contract(Client, request_end()).unwrap();
    let mut paused = funded.clone();
    paused.on_contract(Client, pause()).unwrap();
    for mut world in [funded.clone(), asked, paused] {
        assert_eq!(code(&world.on_contract(Client, reason())), Err("contract_wrong_state"));
        assert_eq!(code(&world.on_contract(Outsider, reason())), Err("not_found"));
        world.on_contract(Payee, reason()).unwrap();
        assert_eq!((world.contract_state(), world.milestone_state(1)), ("cancelled", "refunded"));
        assert_eq!(world.milestone_state(2), "cancelled");
        let agreed = world.last("contract.end_agreed");
        assert_eq!((&agreed["by"], &agreed["reason"]), (&"payee".into(), &"no.time".into()));
        assert_eq!(agreed["refund_total"], 100_000);
        assert_eq!(world.count("contract.end_requested"), 1);
        assert_eq!(code(&world.on_contract(Payee, reason())), Err("contract_wrong_state"), "once");
    }
    let mut released = funded;
    let gross = minor(1);
    let part = M::ApprovePartially { gross, currency: None, remainder: Remainder::Keep };
    released.on_milestone(1, Client, part).unwrap();
    assert_eq!(code(&released.on_contract(Payee, reason())), Err("contract_wrong_state"));
}

/// The timer `first_funding`: 14 days after acceptance, unless a payment is under way, which is waited for by the day.
#[test]
fn a_contract_that_nobody_pays_for_lapses() {
    let due_at = at("2026-12-15T10:00:00Z");
    let mut world = World::accepted(vec![plan(1, 100_000)]);
    world.wake_at(due_at - TimeDelta::milliseconds(1));
    assert_eq!(world.contract_state(), "pending_funding");
    world.wake_at(due_at + TimeDelta::days(3));
    assert_eq!(world.times_of("contract.cancelled"), [due_at]);
    assert_eq!(world.last("contract.cancelled")["by"], serde_json::Value::Null);

    let mut paying = World::accepted(vec![plan(1, 100_000)]);
    paying.now = due_at - TimeDelta::hours(1);
    let (funding, requested) = paying.request_funding(1, 100_000);
    requested.unwrap();
    paying.wake_at(due_at + TimeDelta::hours(22));
    assert_eq!(paying.times_of("contract.deadline_extended"), [due_at]);
    let mut paid = paying.clone();
    paid.succeed(funding, 100_000).unwrap();
    paid.wake_after_days(3);
    assert_eq!(paid.contract_state(), "active");
    let mut failed = paying.clone();
    failed.fail(funding).unwrap();
    failed.wake_after_days(3);
    paying.wake_after_days(3);
    assert_eq!(paying.times_of("funding.expired"), [due_at + TimeDelta::hours(23)]);
    for world in [failed, paying] {
        assert_eq!(world.times_of("contract.cancelled"), [due_at + TimeDelta::days(1)]);
    }
}

/// D-08: the difference is to be paid in, exactly, and until then what is held stays.
#[test]
fn an_amount_that_is_raised_is_paid_for_by_its_difference() {
    let mut world = World::with_one();
    world.on_contract(Client, propose(1, vec![to_amount(1, 120_000)])).unwrap();
    let accept = C::AcceptAmendment { amendment_id: amendment(1) };
    let events = world.on_contract(Payee, accept).unwrap();
    assert_eq!(events, ["contract.amendment_accepted", "milestone.amended"]);
    assert_eq!(world.last("milestone.amended")["missing"], 20_000);
    assert_eq!(world.held(1), 100_000);
    for wrong in [100_000, 120_000, 19_999, 20_001] {
        assert_eq!(code(&world.request_funding(1, wrong).1), Err("validation_failed"), "{wrong}");
    }
    let (funding, requested) = world.request_funding(1, 20_000);
    requested.unwrap();
    assert_eq!(world.last("escrow.funding_requested")["amount_due"], 21_000);
    assert_eq!(world.last("escrow.funding_requested")["client_fee"], 1_000);
    assert_eq!(world.held(1), 100_000);
    assert_eq!(code(&world.request_funding(1, 20_000).1), Err("payment_under_way"));
    world.succeed(funding, 20_000).unwrap();
    assert_eq!(world.held(1), 120_000);
    assert_eq!(code(&world.request_funding(1, 20_000).1), Err("milestone_wrong_state"));
    let approve = M::Approve { amount: None, currency: None };
    assert!(world.on_milestone(1, Client, approve).unwrap().contains(&"contract.completed".to_owned()));
    assert_eq!(world.last("contract.completed")["released_total"], 120_000);
}

/// One side proposes, the other answers; every other pair is refused with its reason.
#[test]
fn an_amendment_needs_the_consent_of_the_other_side() {
    let fresh = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let mut proposed = fresh.clone();
    let events = proposed.on_contract(Payee, propose(1, vec![to_amount(2, 60_000)])).unwrap();
    assert_eq!(events, ["contract.amendment_proposed"]);
    let accept = |number| C::AcceptAmendment { amendment_id: amendment(number) };
    let reject = |number| C::RejectAmendment { amendment_id: amendment(number) };
    let pending = World::accepted(vec![plan(1, 100_000)]);
    let mut paying = fresh.clone();
    paying.on_contract(Payee, propose(1, vec![to_amount(2, 60_000)])).unwrap();
    paying.request_funding(2, 50_000).1.unwrap();
    let mut disputed = fresh.clone();
    disputed.on_contract(Payee, propose(1, vec![to_amount(1, 110_000)])).unwrap();
    disputed.on_milestone(1, Client, M::OpenDispute { dispute_id: dispute(1) }).unwrap();
    for (world, who, command, expected) in [
        (&fresh, Outsider, propose(1, vec![to_amount(2, 1)]), Err("not_found")),
        (&fresh, PayeeAsClient, propose(1, vec![to_amount(2, 1)]), Err("forbidden")),
        (&fresh, Client, propose(1, vec![]), Err("validation_failed")),
        (&fresh, Client, propose(1, vec![to_amount(1, 99_999)]), Err("validation_failed")),
        (&fresh, Client, propose(1, vec![to_amount(9, 1)]), Err("validation_failed")),
        (&fresh, Client, propose(1, vec![Change::AddMilestone { milestone: plan(2, 5) }]), Err("validation_failed")),
        (
            &fresh,
            Client,
            propose(1, vec![Change::ChangeReviewDays { milestone_id: m(1), review_days: Some(366) }]),
            Err("validation_failed"),
        ),
        (&fresh, Client, accept(1), Err("not_found")),
        (&fresh, Client, reject(1), Err("not_found")),
        (&pending, Client, propose(1, vec![to_amount(1, 1)]), Err("contract_wrong_state")),
        (&pending, Client, accept(1), Err("contract_wrong_state")),
        (&pending, Client, reject(1), Err("contract_wrong_state")),
        (&proposed, Payee, accept(1), Err("forbidden")),
        (&proposed, Outsider, accept(1), Err("not_found")),
        (&proposed, Outsider, reject(1), Err("not_found")),
        (&proposed, Client, accept(2), Err("not_found")),
        (&proposed, Client, propose(2, vec![to_amount(2, 70_000)]), Err("amendment_pending")),
        (&proposed, Client, accept(1), Ok(vec!["contract.amendment_accepted", "milestone.amended"])),
        (&proposed, Client, reject(1), Ok(vec!["contract.amendment_rejected"])),
        (&proposed, Payee, reject(1), Ok(vec!["contract.amendment_rejected"])),
        (&paying, Client, accept(1), Err("payment_under_way")),
        (&disputed, Client, accept(1), Err("milestone_disputed")),
    ] {
        assert_eq!(code(&world.clone().on_contract(who, command.clone())), expected, "{who:?} {command:?}");
    }
    for (who, reason) in [(Client, "rejected"), (Payee, "withdrawn")] {
        let mut world = proposed.clone();
        world.on_contract(who, reject(1)).unwrap();
        assert_eq!(world.last("contract.amendment_rejected")["reason"], reason);
        assert_eq!(code(&world.on_contract(Client, accept(1))), Err("not_found"));
    }
}

/// A milestone that is added is planned, can be paid for, and has to be closed before the contract is complete.
#[test]
fn an_added_milestone_is_one_of_the_contract() {
    let mut world = World::with_one();
    let due_at = at("2027-02-01T00:00:00Z");
    let changes = vec![
        Change::AddMilestone { milestone: plan(2, 30_000) },
        Change::ChangeDueDate { milestone_id: m(1), due_at: Some(due_at) },
        Change::ChangeReviewDays { milestone_id: m(1), review_days: Some(2) },
    ];
    world.on_contract(Payee, propose(1, changes)).unwrap();
    world.on_contract(Client, C::AcceptAmendment { amendment_id: amendment(1) }).unwrap();
    let plan = world.milestone(1).plan().unwrap().clone();
    assert_eq!((plan.due_at, plan.review_days), (Some(due_at), 2));
    assert_eq!(world.milestone_state(2), "planned");
    let approve = || M::Approve { amount: None, currency: None };
    world.on_milestone(1, Client, approve()).unwrap();
    assert_eq!(world.contract_state(), "active");
    let over = propose(2, vec![to_amount(1, 200_000)]);
    assert_eq!(code(&world.on_contract(Client, over)), Err("validation_failed"), "the milestone is over");
    world.pay(2, 30_000).unwrap();
    world.on_milestone(2, Client, approve()).unwrap();
    assert_eq!(world.contract_state(), "completed");
}

/// An amendment lapses by itself, at its instant; the running review window is not its matter.
#[test]
fn an_amendment_lapses() {
    let mut world = World::submitted();
    let review_due_at = world.now + TimeDelta::days(14);
    let shorter = vec![Change::ChangeReviewDays { milestone_id: m(1), review_days: Some(1) }];
    world.on_contract(Payee, propose(1, shorter.clone())).unwrap();
    let expires_at = world.now + TimeDelta::days(7);
    let mut accepted = world.clone();
    world.now = expires_at;
    let accept = C::AcceptAmendment { amendment_id: amendment(1) };
    assert_eq!(code(&world.on_contract(Client, accept.clone())), Err("not_found"));
    assert_eq!(world.times_of("contract.amendment_rejected"), [expires_at]);
    assert_eq!(world.last("contract.amendment_rejected")["reason"], "expired");
    accepted.on_contract(Client, accept).unwrap();
    accepted.wake_after_days(60);
    assert_eq!(accepted.times_of("milestone.auto_approved"), [review_due_at], "the window that ran is the old one");
}

/// A pause stops what is new. What has begun goes on.
#[test]
fn a_paused_contract_takes_nothing_new() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000), plan(3, 20_000)], &[1, 2]);
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    let review_due_at = world.now + TimeDelta::days(14);
    assert_eq!(code(&world.on_contract(Outsider, pause())), Err("not_found"));
    assert_eq!(code(&world.on_contract(Client, pause())), Ok(vec!["contract.paused"]));
    for (who, command, expected) in [
        (Client, pause(), Err("contract_wrong_state")),
        (Payee, C::Resume, Err("forbidden")),
        (Outsider, C::Resume, Err("not_found")),
        (Client, propose(1, vec![to_amount(2, 60_000)]), Err("contract_wrong_state")),
        (Client, cancel(), Err("contract_wrong_state")),
        (Client, C::Resume, Ok(vec!["contract.resumed"])),
    ] {
        assert_eq!(code(&world.clone().on_contract(who, command.clone())), expected, "{who:?} {command:?}");
    }
    assert_eq!(code(&world.on_milestone(2, Payee, M::SubmitWork)), Err("contract_wrong_state"));
    assert_eq!(code(&world.request_funding(3, 20_000).1), Err("contract_wrong_state"));
    assert!(world.clone().on_milestone(1, Client, M::Approve { amount: None, currency: None }).is_ok());
    world.wake_after_days(300);
    assert_eq!(world.times_of("milestone.auto_approved"), [review_due_at]);
    assert_eq!(world.contract_state(), "paused", "no days without activity are counted");
    world.on_contract(Client, C::Resume).unwrap();
    world.on_milestone(2, Payee, M::SubmitWork).unwrap();
    let resumed_at = world.now;
    world.on_milestone(2, Client, M::RequestChanges { note_ref: None }).unwrap();
    world.wake_after_days(76);
    assert_eq!(world.times_of("contract.dormancy_warned"), [resumed_at + TimeDelta::days(76)]);
    assert_eq!(code(&world.on_contract(Client, C::Resume)), Err("contract_wrong_state"));
}

/// D-79: the payee's silence for 7 days is consent; all that is held goes back, and nothing was released.
#[test]
fn an_end_that_nobody_answers_is_agreed() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let asked_at = world.now;
    for who in [Payee, PayeeAsClient] {
        assert_eq!(code(&world.on_contract(who, request_end())), Err("forbidden"));
    }
    assert_eq!(code(&world.on_contract(Payee, accept_end())), Err("contract_wrong_state"));
    assert_eq!(code(&world.on_contract(Client, request_end())), Ok(vec!["contract.end_requested"]));
    assert_eq!(world.last("contract.end_requested")["refund_requested"], 100_000);
    for (who, command, expected) in [
        (Client, request_end(), "contract_wrong_state"),
        (Client, accept_end(), "forbidden"),
        (Outsider, accept_end(), "not_found"),
        (Client, C::DisputeEnd, "forbidden"),
        (Payee, C::DisputeEnd, "not_supported"),
        (Client, pause(), "contract_wrong_state"),
        (Client, propose(1, vec![to_amount(2, 60_000)]), "contract_wrong_state"),
    ] {
        assert_eq!(code(&world.on_contract(who, command.clone())), Err(expected), "{who:?} {command:?}");
    }
    assert_eq!(code(&world.on_milestone(1, Payee, M::SubmitWork)), Err("contract_wrong_state"));
    assert_eq!(code(&world.request_funding(2, 50_000).1), Err("contract_wrong_state"));
    let mut agreed = world.clone();
    let events = agreed.on_contract(Payee, accept_end()).unwrap();
    let mut seen: Vec<_> = events.iter().map(String::as_str).collect();
    seen.sort_unstable();
    let one_commit = [
        "contract.cancelled",
        "contract.end_agreed",
        "contract.milestone_closed",
        "contract.milestone_closed",
        "escrow.closed",
        "escrow.refund_initiated",
        "milestone.cancelled",
        "milestone.refund_agreed",
        "milestone.refunded",
        "refund.requested",
    ];
    assert_eq!(seen, one_commit);
    let due_at = asked_at + TimeDelta::days(7);
    world.wake_at(due_at - TimeDelta::milliseconds(1));
    assert_eq!(world.count("contract.end_agreed"), 0);
    world.wake_at(due_at + TimeDelta::days(30));
    assert_eq!(world.times_of("contract.end_agreed"), [due_at]);
    for world in [agreed, world] {
        assert_eq!(world.last("contract.end_agreed")["refund_total"], 100_000);
        assert_eq!(world.last("milestone.refund_agreed")["amount"], 100_000);
        assert_eq!(world.last("milestone.refund_agreed")["consent"], "end");
        assert_eq!((world.contract_state(), world.milestone_state(1)), ("cancelled", "refunded"));
        assert_eq!(world.last("contract.cancelled")["stage"], "ended");
        assert_eq!(world.milestone_state(2), "cancelled");
    }
}

/// Work under review and money in dispute are not given back by an end; they go on, and the contract is over when they
/// are.
#[test]
fn an_end_leaves_alone_what_is_under_review() {
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1, 2]);
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    world.on_milestone(2, Payee, M::OpenDispute { dispute_id: dispute(1) }).unwrap();
    let review_due_at = world.now + TimeDelta::days(14);
    world.on_contract(Client, request_end()).unwrap();
    world.on_contract(Payee, accept_end()).unwrap();
    assert_eq!(world.last("contract.end_agreed")["refund_total"], 0);
    assert_eq!((world.milestone_state(1), world.milestone_state(2)), ("submitted", "disputed"));
    // Sent back at the end, it can be delivered again.
    let mut revised = world.clone();
    revised.on_milestone(1, Client, M::RequestChanges { note_ref: None }).unwrap();
    revised.on_milestone(1, Payee, M::SubmitWork).unwrap();
    world.wake_after_days(20);
    assert_eq!(world.times_of("milestone.auto_approved"), [review_due_at]);
    assert_eq!(world.contract_state(), "ending");
}

/// Where nothing is held, there is nothing that the payee has to agree to.
#[test]
fn an_end_without_money_is_the_end() {
    let approve = M::Approve { amount: None, currency: None };
    let mut world = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    world.on_milestone(1, Client, approve).unwrap();
    let (funding, requested) = world.request_funding(2, 50_000);
    requested.unwrap();
    assert_eq!(code(&world.on_contract(Client, request_end())), Err("payment_under_way"));
    world.fail(funding).unwrap();
    let events = world.on_contract(Client, request_end()).unwrap();
    let expected = [
        "contract.end_requested",
        "contract.end_agreed",
        "milestone.cancelled",
        "contract.milestone_closed",
        "contract.completed",
        "escrow.closed",
        // The payment that had failed is not tried again.
        "funding.cancelled",
    ];
    assert_eq!(events, expected);
    assert_eq!(world.last("contract.completed")["released_total"], 100_000);
}

/// A contract of which everything is closed is completed with its totals; ended with nothing released, it is cancelled;
/// never paid for, it is cancelled too. Told again, the end of a milestone is no news.
#[test]
fn the_last_milestone_ends_the_contract() {
    use domain::contract::MilestoneOutcome::{Cancelled, Refunded, Released};
    let system = |now| Context { now, actor: domain::actor::Actor::System(domain::actor::SystemPart::Psp) };
    let close = |number, outcome, released, refunded| C::CloseMilestone {
        milestone_id: m(number),
        outcome,
        released: minor(released),
        refunded: minor(refunded),
        parts: Parts::default(),
    };
    let active = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1, 2]);
    let mut ending = active.clone();
    ending.on_contract(Client, request_end()).unwrap();
    let pending = World::accepted(vec![plan(1, 100_000), plan(2, 50_000)]);
    let mut paused = active.clone();
    paused.on_contract(Payee, pause()).unwrap();
    for (world, first, second, expected) in [
        (&active, close(1, Released, 70_000, 30_000), close(2, Refunded, 0, 50_000), ("completed", 70_000, 80_000)),
        (&active, close(1, Refunded, 0, 100_000), close(2, Cancelled, 0, 0), ("completed", 0, 100_000)),
        (&paused, close(1, Refunded, 0, 100_000), close(2, Released, 50_000, 0), ("completed", 50_000, 100_000)),
        (&ending, close(1, Released, 100_000, 0), close(2, Refunded, 0, 50_000), ("completed", 100_000, 50_000)),
        (&ending, close(1, Refunded, 0, 100_000), close(2, Refunded, 0, 50_000), ("cancelled", 0, 0)),
        (&pending, close(1, Cancelled, 0, 0), close(2, Cancelled, 0, 0), ("cancelled", 0, 0)),
    ] {
        let mut contract = world.contract();
        let mut last = None;
        for command in [&first, &second] {
            let events = contract.decide(command, &system(world.now)).unwrap();
            for event in &events {
                contract.evolve(event);
            }
            last = events.last().cloned();
            if !contract.is_over() {
                assert_eq!(contract.decide(command, &system(world.now)), Ok(vec![]), "told again");
            }
        }
        let totals = match last {
            Some(ContractEvent::Completed { released_total, refunded_total, .. }) => {
                (released_total.get(), refunded_total.get())
            }
            _ => (0, 0),
        };
        assert_eq!((contract.state_name(), totals.0, totals.1), expected, "{first:?} {second:?}");
    }
    let unknown = close(9, Released, 1, 0);
    assert_eq!(active.contract().decide(&unknown, &system(active.now)).unwrap_err().code(), "not_found");
}

fn due_at_the_end_of_the_year() -> World {
    let mut planned = plan(1, 100_000);
    planned.due_at = Some(at("2026-12-31T00:00:00Z"));
    World::funded(vec![planned], &[1])
}

/// D-80: the dates follow from the last delivery date alone, and in the end what is held goes back to the client.
#[test]
fn a_forgotten_contract_goes_back_to_the_client_on_the_days_of_the_specification() {
    let mut world = due_at_the_end_of_the_year();
    world.wake_at(at("2027-04-13T23:59:59Z"));
    assert_eq!(world.contract_state(), "dormant");
    world.wake_at(at("2028-01-01T00:00:00Z"));
    for (event_type, dates) in [
        ("contract.dormancy_warned", vec!["2027-03-17", "2027-03-24"]),
        ("contract.marked_dormant", vec!["2027-03-31"]),
        ("contract.dormancy_escalated_to_payee", vec!["2027-04-07"]),
        ("contract.dormancy_defaulted", vec!["2027-04-14"]),
        ("milestone.refund_agreed", vec!["2027-04-14"]),
        ("contract.dormancy_postponed", vec![]),
    ] {
        let dates: Vec<_> = dates.iter().map(|date| at(&format!("{date}T00:00:00Z"))).collect();
        assert_eq!(world.times_of(event_type), dates, "{event_type}");
    }
    let defaulted = world.last("contract.dormancy_defaulted");
    assert_eq!((defaulted["to"].as_str(), defaulted["amount"].as_i64()), (Some("client"), Some(100_000)));
    assert_eq!(world.last("milestone.refund_agreed")["consent"], "dormancy");
    assert_eq!((world.contract_state(), world.milestone_state(1)), ("cancelled", "refunded"));
}

/// The payee who asks in time gets what is held, unless the client answers within 14 days.
#[test]
fn a_payee_who_asks_gets_what_a_silent_client_leaves() {
    let mut world = due_at_the_end_of_the_year();
    assert_eq!(code(&world.on_contract(Payee, C::RequestDormancyRelease)), Err("contract_wrong_state"));
    world.wake_at(at("2027-04-01T00:00:00Z"));
    assert_eq!(code(&world.on_contract(Payee, C::RequestDormancyRelease)), Err("contract_wrong_state"));
    world.wake_at(at("2027-04-10T00:00:00Z"));
    assert_eq!(code(&world.on_contract(Client, C::RequestDormancyRelease)), Err("forbidden"));
    assert_eq!(code(&world.on_contract(Outsider, C::RequestDormancyRelease)), Err("not_found"));
    let asked = world.on_contract(Payee, C::RequestDormancyRelease);
    assert_eq!(code(&asked), Ok(vec!["contract.dormancy_release_requested"]));
    assert_eq!(code(&world.on_contract(Payee, C::RequestDormancyRelease)), Err("contract_wrong_state"));
    world.wake_at(at("2027-05-30T00:00:00Z"));
    let end = [at("2027-04-24T00:00:00Z")];
    for event_type in ["contract.dormancy_defaulted", "milestone.approved", "escrow.released", "contract.completed"] {
        assert_eq!(world.times_of(event_type), end, "{event_type}");
    }
    assert_eq!(world.last("escrow.released")["reason"], "dormancy");
    assert_eq!(world.last("escrow.released")["net"], 90_000);
    assert_eq!(world.contract_state(), "completed");
}

type Act = fn(&mut World) -> Result<Vec<String>, domain::refusal::Refusal>;

/// Whatever a party does about a part of a dormant contract wakes it, in the same commit, and the days begin anew.
#[test]
fn activity_wakes_a_dormant_contract() {
    let mut dormant = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    dormant.wake_after_days(92);
    assert_eq!(dormant.contract_state(), "dormant");
    let acts: [(&str, Act); 8] = [
        ("submits", |world| world.on_milestone(1, Payee, M::SubmitWork)),
        ("pays", |world| world.request_funding(2, 50_000).1),
        ("asks for money back", |world| {
            world.on_milestone(1, Client, M::RequestRefund { amount: None, currency: None })
        }),
        ("disputes", |world| world.on_milestone(1, Client, M::OpenDispute { dispute_id: dispute(1) })),
        ("approves", |world| world.on_milestone(1, Client, M::Approve { amount: None, currency: None })),
        ("says so", |world| world.on_contract(Payee, C::Resume)),
        ("amends", |world| world.on_contract(Payee, propose(1, vec![to_amount(2, 60_000)]))),
        ("ends", |world| world.on_contract(Client, request_end())),
    ];
    for (what, act) in acts {
        let mut world = dormant.clone();
        let events = act(&mut world).unwrap();
        assert!(events.contains(&"contract.reactivated".to_owned()), "{what}: {events:?}");
        assert_ne!(world.contract_state(), "dormant", "{what}");
        assert_eq!(world.count("contract.dormancy_defaulted"), 0, "{what}");
    }
    for (who, command, expected) in [
        (Outsider, C::Resume, "not_found"),
        (Outsider, propose(1, vec![to_amount(2, 60_000)]), "not_found"),
        (Payee, request_end(), "forbidden"),
        (Client, pause(), "contract_wrong_state"),
        (Client, propose(1, vec![]), "validation_failed"),
    ] {
        assert_eq!(code(&dormant.clone().on_contract(who, command.clone())), Err(expected), "{who:?} {command:?}");
    }
    let mut world = dormant;
    world.on_contract(Payee, C::Resume).unwrap();
    let woken_at = world.now;
    world.wake_after_days(80);
    assert_eq!(world.times_of("contract.dormancy_warned").last(), Some(&(woken_at + TimeDelta::days(76))));
}

/// Activity before the days are over moves the warning by exactly as much, also between two warnings.
#[test]
fn activity_moves_the_warnings() {
    for days in [1, 40, 75, 77, 82, 84, 89] {
        let mut world = World::with_one();
        world.now += TimeDelta::days(days);
        world.on_milestone(1, Payee, M::SubmitWork).unwrap();
        world.on_milestone(1, Payee, M::WithdrawSubmission).unwrap();
        let active_at = world.now;
        let before = world.count("contract.dormancy_warned");
        world.wake_after_days(91);
        let after: Vec<_> = world.times_of("contract.dormancy_warned").split_off(before);
        assert_eq!(after, [active_at + TimeDelta::days(76), active_at + TimeDelta::days(83)], "{days}");
        assert_eq!(world.times_of("contract.marked_dormant"), [active_at + TimeDelta::days(90)], "{days}");
    }
}

/// While work is under review or in dispute or a refund is being answered, no days without activity are counted.
#[test]
fn an_open_question_is_not_forgotten() {
    let mut long_review = plan(1, 100_000);
    long_review.review_days = Some(200);
    let mut world = World::funded(vec![long_review, plan(2, 50_000)], &[1]);
    world.on_milestone(1, Payee, M::SubmitWork).unwrap();
    let review_due_at = world.now + TimeDelta::days(200);
    world.wake_after_days(275);
    assert_eq!(world.count("contract.dormancy_warned"), 0);
    world.wake_after_days(2);
    assert_eq!(world.times_of("contract.dormancy_warned"), [review_due_at + TimeDelta::days(76)]);

    let mut disputed = World::with_one();
    disputed.on_milestone(1, Payee, M::OpenDispute { dispute_id: dispute(1) }).unwrap();
    disputed.wake_after_days(400);
    assert_eq!(disputed.count("contract.dormancy_warned"), 0);
}

/// What time does is refused when it does not fit, and an operator can see a timer that was.
#[test]
fn what_time_does_is_refused_where_it_does_not_fit() {
    let active = World::with_one();
    let system = Context { now: active.now, actor: domain::actor::Actor::System(domain::actor::SystemPart::Timer) };
    let none = Parts::default;
    for command in [
        C::ExpireOffer,
        C::LapseFunding { parts: none() },
        C::AgreeEndByTime { parts: none() },
        C::AdvanceDormancy { parts: none() },
    ] {
        assert_eq!(active.contract().decide(&command, &system).unwrap_err().code(), "contract_wrong_state");
    }
    let mut ended = active.clone();
    ended.on_contract(Client, request_end()).unwrap();
    let check = C::CheckDormancy { parts: parts(vec![part(1, 100_000)]) };
    assert_eq!(ended.contract().decide(&check, &system).unwrap_err().code(), "contract_wrong_state");
    let expire = C::ExpireAmendment { amendment_id: amendment(1) };
    assert_eq!(active.contract().decide(&expire, &system).unwrap_err().code(), "not_found");
    assert_eq!(ended.contract().decide(&expire, &system).unwrap_err().code(), "contract_wrong_state");

    let stream = domain::contract::stream(active.contract);
    let mut offered = World::offered(vec![plan(1, 1)]).contract();
    let mut pending = World::accepted(vec![plan(1, 1)]).contract();
    let mut proposed = active.clone();
    proposed.on_contract(Client, propose(1, vec![to_amount(1, 100_001)])).unwrap();
    let mut dormant = active.clone();
    dormant.wake_after_days(91);
    let states = [&mut offered, &mut pending, &mut proposed.contract(), &mut ended.contract(), &mut dormant.contract()];
    for state in states {
        while let Some(timer) = state.timers(&stream).first().cloned() {
            let before = state.timers(&stream).len();
            let block = C::BlockTimer { key: timer.key, reason: "books_refused".to_owned() };
            for event in state.decide(&block, &system).unwrap() {
                state.evolve(&event);
            }
            assert_eq!(state.timers(&stream).len(), before - 1, "{state:?}");
        }
    }
}

/// A caller cannot give a command that follows from facts, timers or other aggregates.
#[test]
fn what_is_the_engines_own_does_not_come_from_a_party() {
    let mut world = World::with_one();
    let close = C::CloseMilestone {
        milestone_id: m(1),
        outcome: domain::contract::MilestoneOutcome::Refunded,
        released: minor(0),
        refunded: minor(100_000),
        parts: Parts::default(),
    };
    for command in [close, C::ExpireOffer, C::AgreeEndByTime { parts: Parts::default() }] {
        assert_eq!(code(&world.on_contract(Client, command)), Err("internal_error"));
    }
    for command in [M::AutoApprove, M::AgreeRefundByTime, M::Amend { amount: minor(1), due_at: None, review_days: 1 }] {
        assert_eq!(code(&world.on_milestone(1, Payee, command)), Err("internal_error"));
    }
    // What a caller says of the parts is not believed.
    let lie = C::RequestEnd { parts: parts(vec![part(1, 1)]) };
    world.on_contract(Client, lie).unwrap();
    assert_eq!(world.last("contract.end_requested")["refund_requested"], 100_000);
}

/// Events that were stored before the life of a contract grew are read as they were meant.
#[test]
fn events_of_before_are_read() {
    use domain::event::DomainEvent;
    let id = domain::id::ContractId::from_uuid(life::uuid(3));
    let (milestone, funding) = (m(1), domain::id::FundingId::from_uuid(life::uuid(5)));
    for (aggregate, event_type, payload) in [
        (
            "contract",
            "contract.activated",
            format!(r#"{{"type":"activated","contract_id":"{id}","first_funding_id":"{funding}"}}"#),
        ),
        (
            "contract",
            "contract.milestone_closed",
            format!(
                r#"{{"type":"milestone_closed","contract_id":"{id}","milestone_id":"{milestone}","outcome":"released","released":5}}"#
            ),
        ),
        (
            "contract",
            "contract.completed",
            format!(
                r#"{{"type":"completed","contract_id":"{id}","released_total":5,"completed_at":"2026-12-01T10:00:00Z"}}"#
            ),
        ),
        (
            "milestone",
            "milestone.funding_failed",
            format!(
                r#"{{"type":"funding_failed","contract_id":"{id}","milestone_id":"{milestone}","funding_id":"{funding}","reason":"card_declined"}}"#
            ),
        ),
    ] {
        let read = DomainEvent::from_json(aggregate, event_type, 1, &payload).unwrap();
        assert_eq!(read.event_type(), event_type);
    }
    let mut world = World::accepted(vec![plan(1, 100_000)]);
    for event in &mut world.log {
        let mut payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        for new in ["terms_digest", "funding_due_at"] {
            payload.as_object_mut().unwrap().remove(new);
        }
        event.payload = payload.to_string();
    }
    world.wake_after_days(20);
    assert_eq!(world.contract_state(), "pending_funding", "it was accepted without that deadline");
    world.pay(1, 100_000).unwrap();
    assert!(matches!(world.contract(), Contract::Active { .. }));
}

/// How many beginnings there are.
const BEGINNINGS: usize = 8;

/// A contract somewhere in its life, with deadlines running.
fn beginning(which: usize) -> World {
    let dated = |number, amount, due_at: &str| {
        let mut planned = plan(number, amount);
        planned.due_at = Some(at(due_at));
        planned
    };
    let busy = || {
        let milestones =
            vec![dated(1, 100_000, "2026-12-20T00:00:00Z"), dated(2, 50_000, "2027-01-10T00:00:00Z"), plan(3, 20_000)];
        let mut busy = World::funded(milestones, &[1, 2]);
        busy.on_milestone(1, Payee, M::SubmitWork).unwrap();
        busy.now += TimeDelta::days(1);
        busy.on_milestone(2, Client, M::RequestRefund { amount: Some(minor(30_000)), currency: None }).unwrap();
        busy.on_contract(Payee, propose(1, vec![to_amount(3, 30_000)])).unwrap();
        busy
    };
    match which {
        0 => World::offered(vec![plan(1, 100_000)]),
        1 => World::accepted(vec![plan(1, 100_000)]),
        2 => World::with_one(),
        3 => World::submitted(),
        4 => due_at_the_end_of_the_year(),
        5 => busy(),
        6 => {
            let mut ending = busy();
            ending.now += TimeDelta::days(2);
            ending.on_contract(Client, request_end()).unwrap();
            ending
        }
        _ => {
            let mut paying = World::accepted(vec![plan(1, 100_000)]);
            paying.request_funding(1, 100_000).1.unwrap();
            paying
        }
    }
}

fn everything_that_happened(world: &World) -> Vec<(String, String, Timestamp, String)> {
    let line = |event: &domain::log::StreamEvent| {
        (event.stream.to_string(), event.event_type.clone(), event.occurred_at, event.payload.clone())
    };
    world.log.iter().map(line).collect()
}

proptest! {
    // A case plays a year several times over; fewer of them than the default keep the test short.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However late, often or irregularly somebody looks, the same happens, at the same instants, in the same order.
    #[test]
    fn the_scheduler_changes_nothing(which in 0..BEGINNINGS, mut looks in prop::collection::vec(0_i64..(40 * 24 * 60), 0..25)) {
        let begin = beginning(which);
        let end = begin.now + TimeDelta::days(40);
        let mut once = begin.clone();
        once.wake_at(end);
        let mut often = begin.clone();
        looks.sort_unstable();
        for minutes in looks {
            often.wake_at(begin.now + TimeDelta::minutes(minutes));
        }
        often.wake_at(end);
        prop_assert_eq!(everything_that_happened(&once), everything_that_happened(&often));
        // And over the long time in which a contract is forgotten.
        once.wake_at(end + TimeDelta::days(300));
        for day in 1..=30 {
            often.wake_at(end + TimeDelta::days(10 * day));
        }
        prop_assert_eq!(everything_that_happened(&once), everything_that_happened(&often));
    }
}
