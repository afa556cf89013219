//! A contract that ends while a bank disagrees with a payment of it.

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::contract::{Contract, ContractCommand as C, Parts, Role};
use domain::intent::Intent;
use domain::milestone::{DeferredEnd, EndCause, Milestone};
use domain::ports::provider::DisputeStatus;
use domain::rules::Rules;

use super::bank::{Dispute, milestone};
use super::ledgers::check;
use super::money::contract;
use super::money::world::World;
use super::money_taken_back::f0;

fn on(command: C) -> Intent {
    Intent::OnContract { contract_id: contract(), command }
}

fn contract_of(world: &World) -> Contract {
    match world.state(&domain::contract::stream(contract())) {
        AggregateState::Contract(state) => *state,
        other => panic!("{other:?}"),
    }
}

/// The end is asked for on day 0, a bank disagrees on day 3, and on day 7 the end counts as agreed.
fn agreed_by_time() -> (World, Dispute) {
    let (mut world, mut dispute) = f0();
    world.by_client(on(C::RequestEnd { parts: Parts::default() })).unwrap();
    world.now += TimeDelta::days(3);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    world.now += TimeDelta::days(4);
    world.wake();
    assert_eq!(world.times_of("contract.end_agreed").len(), 1);
    let Milestone::Suspended { end, .. } = milestone(&world, 1) else { panic!("it does not rest") };
    assert_eq!(end, Some(DeferredEnd { to: Role::Client, cause: EndCause::Agreed }), "remembered");
    check(&world);
    (world, dispute)
}

/// D-105, J30: won on day 40, the money goes back as was agreed; nobody can deliver, and silence pays nobody.
#[test]
fn an_end_that_was_agreed_meanwhile_is_done_when_it_is_won() {
    let (mut world, mut dispute) = agreed_by_time();
    world.now += TimeDelta::days(33);
    let events = dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    for name in ["milestone.resumed", "milestone.refund_agreed", "escrow.refund_initiated", "refund.requested"] {
        assert!(events.contains(&name.to_owned()), "{name}: {events:?}");
    }
    assert_eq!(milestone(&world, 1).state_name(), "refunded");
    assert!(contract_of(&world).is_over());
    assert_eq!(world.balance().get("2260"), Some(&-105_000));
    check(&world);
}

/// D-106: lost, nothing is left to end for: the milestone is given up, and the contract is over.
#[test]
fn an_end_that_was_agreed_meanwhile_is_done_when_it_is_lost() {
    let (mut world, mut dispute) = agreed_by_time();
    let events = dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert!(events.contains(&"milestone.cancelled".to_owned()), "{events:?}");
    assert!(contract_of(&world).is_over());
    check(&world);
}

/// Two banks, or one that asks twice: the end waits for the last one.
#[test]
fn the_end_waits_for_the_last_bank() {
    let (mut world, mut dispute) = agreed_by_time();
    let mut second = Dispute::of(super::money::f(1), "dp_2", 1);
    second.told(&mut world).unwrap();
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    second.is(DisputeStatus::Won).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "refunded");
    check(&world);
}

/// The payee cancels while a bank disagrees: what is left goes back afterwards, as it would have at once.
#[test]
fn a_payees_cancellation_meanwhile_is_done_afterwards() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let cancelled = world.by_payee(on(C::Cancel { reason: None, parts: Parts::default() })).unwrap();
    assert!(cancelled.contains(&"milestone.end_deferred".to_owned()), "{cancelled:?}");
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "refunded");
    assert!(contract_of(&world).is_over());
    check(&world);
}
