//! What the rules allow and this version does not carry out yet is refused as such, and only that.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod life;

use domain::contract::{ContractCommand as C, Parts};
use domain::intent::Intent;
use domain::milestone::{MilestoneCommand as M, Remainder};
use domain::policy::{FeeSchedule, Policy};
use life::Who::{Client, Outsider, Payee};
use life::{Who, World, code, dispute, m, minor, plan};

fn request_end() -> C {
    C::RequestEnd { parts: Parts::default() }
}

/// What the engine answers, which is not asked twice as [`World::on_milestone`] does.
fn on_milestone(world: &World, who: Who, command: M) -> Result<Vec<String>, &'static str> {
    let mut world = world.clone();
    let actor = world.actor(who);
    let intent = Intent::OnMilestone { milestone_id: m(1), command };
    let before = world.log.len();
    let answer = world.offer_to_engine(actor, intent, None).map_err(|refusal| refusal.code());
    assert!(answer.is_ok() || world.log.len() == before, "a refusal writes nothing");
    answer
}

fn on_contract(world: &World, who: Who, command: C) -> Result<Vec<String>, &'static str> {
    let mut world = world.clone();
    let (actor, contract_id) = (world.actor(who), world.contract);
    let intent = Intent::OnContract { contract_id, command };
    world.offer_to_engine(actor, intent, None).map_err(|refusal| refusal.code())
}

/// Whoever may not, or asks in the wrong state, gets the answer of the rules; who may is told that it cannot be done yet.
#[test]
fn what_needs_money_to_go_another_way_is_not_supported() {
    let refund = || M::RequestRefund { amount: None, currency: None };
    let grant = || M::GrantRefund { amount: Some(minor(1)), currency: None };
    let part = |remainder| M::ApprovePartially { gross: minor(60_000), currency: None, remainder };
    let open = || M::OpenDispute { dispute_id: dispute(1) };
    let funded = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let mut submitted = funded.clone();
    submitted.on_milestone(1, Payee, M::SubmitWork).unwrap();
    // Reached by the rules alone: what follows is refused as well.
    let mut asked = funded.clone();
    asked.on_milestone(1, Client, refund()).unwrap();
    let mut rolled = funded.clone();
    rolled.on_milestone(1, Client, part(Remainder::RollForward { milestone_id: m(2) })).unwrap();
    for (world, who, command, expected) in [
        (&funded, Client, refund(), "not_supported"),
        (&funded, Payee, refund(), "forbidden"),
        (&funded, Outsider, refund(), "not_found"),
        (&submitted, Client, refund(), "milestone_wrong_state"),
        (&funded, Payee, grant(), "not_supported"),
        (&funded, Client, grant(), "forbidden"),
        (&asked, Payee, M::AcceptRefund, "not_supported"),
        (&asked, Payee, M::RejectRefund { dispute_id: dispute(1) }, "not_supported"),
        (&funded, Client, part(Remainder::RefundRequest), "not_supported"),
        (&submitted, Client, part(Remainder::RollForward { milestone_id: m(2) }), "not_supported"),
        (&submitted, Client, part(Remainder::RollForward { milestone_id: m(1) }), "validation_failed"),
        (&rolled, Payee, M::AcceptRollForward, "not_supported"),
        (&funded, Client, open(), "not_supported"),
        (&submitted, Payee, open(), "not_supported"),
        (&submitted, Outsider, open(), "not_found"),
    ] {
        assert_eq!(on_milestone(world, who, command.clone()), Err(expected), "{who:?} {command:?}");
    }
    assert!(on_milestone(&submitted, Client, part(Remainder::Keep)).is_ok(), "a rest that stays needs nothing new");
    assert!(on_milestone(&rolled, Payee, M::RejectRollForward).is_ok());
}

/// Where money is held, under review too, a contract ends milestone by milestone only; where none is, it ends at once.
#[test]
fn a_contract_that_holds_money_is_not_ended() {
    let funded = World::funded(vec![plan(1, 100_000), plan(2, 50_000)], &[1]);
    let mut submitted = funded.clone();
    submitted.on_milestone(1, Payee, M::SubmitWork).unwrap();
    let mut ending = funded.clone();
    ending.on_contract(Client, request_end()).unwrap();
    let mut empty = funded.clone();
    empty.on_milestone(1, Client, M::Approve { amount: None, currency: None }).unwrap();
    for (world, who, command, expected) in [
        (&funded, Client, request_end(), "not_supported"),
        (&submitted, Client, request_end(), "not_supported"),
        (&funded, Payee, request_end(), "forbidden"),
        (&funded, Outsider, request_end(), "not_found"),
        (&ending, Payee, C::AcceptEnd { parts: Parts::default() }, "not_supported"),
        (&ending, Payee, C::DisputeEnd, "not_supported"),
    ] {
        assert_eq!(on_contract(world, who, command.clone()), Err(expected), "{who:?} {command:?}");
    }
    let events = on_contract(&empty, Client, request_end()).unwrap();
    assert_eq!(events[..2], ["contract.end_requested", "contract.end_agreed"]);
}

/// A contract is offered without dormancy, and then nobody is warned, however long nothing happens, also after a pause.
#[test]
fn a_contract_without_dormancy_is_never_forgotten() {
    let drafted = World::drafted(vec![plan(1, 100_000)]);
    let offer = |policy| C::Offer { fee_schedule: FeeSchedule::two_sided(), policy };
    let with = Policy { dormancy: true, ..Policy::default() };
    assert_eq!(on_contract(&drafted, Client, offer(with)), Err("not_supported"));

    let mut world = drafted;
    world.on_contract(Client, offer(Policy::default())).unwrap();
    world.on_contract(Payee, C::Accept).unwrap();
    world.pay(1, 100_000).unwrap();
    let mut paused = world.clone();
    paused.on_contract(Client, C::Pause { reason: None }).unwrap();
    paused.on_contract(Client, C::Resume).unwrap();
    for mut world in [world, paused] {
        let before = world.log.len();
        world.wake_after_days(2_000);
        assert_eq!(world.log.len(), before);
        assert_eq!(world.contract_state(), "active");
        assert_eq!(
            code(&world.on_milestone(1, Payee, M::SubmitWork)).map(|events| events[0]),
            Ok("milestone.work_submitted")
        );
    }
}
