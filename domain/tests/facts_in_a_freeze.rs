//! What a provider reports is taken while the escrow is frozen; what has to go back goes when it is not frozen any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::command::Command;
use domain::contract::{Change, ContractCommand, Parts};
use domain::escrow::PaidFrom;
use domain::fee::FeeSchedule;
use domain::funding::FundingCommand;
use domain::id::AmendmentId;
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::refusal::Refusal;
use ledger::Currency;
use money::world::World;
use money::*;

fn freeze(world: &mut World) {
    let freeze = MoneyIntent::Freeze { contract_id: contract(), reason: "court_order".to_owned(), legal_ref: None };
    world.perform(staff(StaffRole::Admin), Intent::Money(freeze)).unwrap();
}

fn unfreeze(world: &mut World) -> Vec<String> {
    let unfreeze = MoneyIntent::Unfreeze { contract_id: contract() };
    world.perform(staff(StaffRole::Admin), Intent::Money(unfreeze)).unwrap()
}

fn fail(world: &mut World, funding: u128) -> Result<Vec<String>, Refusal> {
    world.fact(Command::Funding(f(funding), FundingCommand::RecordFailed { code: "card_declined".to_owned() }))
}

fn on_contract(command: ContractCommand) -> Intent {
    Intent::OnContract { contract_id: contract(), command }
}

fn totals(world: &World, event_type: &str) -> (serde_json::Value, serde_json::Value) {
    let event = world.log.iter().rev().find(|event| event.event_type == event_type).unwrap();
    let data: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
    (data["released_total"].clone(), data["refunded_total"].clone())
}

/// M1 is funded; M2 was given up after its payment had failed.
fn with_one_given_up() -> World {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.fund(2, &[(2, 50_000)]).unwrap();
    fail(&mut world, 2).unwrap();
    world.by_client(Intent::OnMilestone { milestone_id: m(2), command: M::Cancel }).unwrap();
    world
}

/// I11: money for a milestone that is over comes while the escrow is frozen. It is held, and goes back, once, when it is
/// not frozen any more; the contract counts it.
#[test]
fn late_money_is_taken_and_goes_back_after_the_freeze() {
    let mut world = with_one_given_up();
    freeze(&mut world);
    let events = world.succeed(f(2)).unwrap();
    assert_eq!(events, ["funding.succeeded", "escrow.funded", "milestone.funded", "milestone.refund_agreed"]);
    assert_eq!((world.balance()["2100"], world.balance().get("2260")), (-150_000, None));
    assert_eq!(world.succeed(f(2)), Ok(Vec::new()), "told again");

    world.now += TimeDelta::days(10);
    let back = ["escrow.unfrozen", "milestone.refund_agreed", "escrow.refund_initiated", "milestone.refunded"];
    assert_eq!(unfreeze(&mut world), [&back[..], &["refund.requested"]].concat());
    assert_eq!((world.balance()["2100"], world.balance()["2260"]), (-100_000, -52_500));

    freeze(&mut world);
    assert_eq!(unfreeze(&mut world), ["escrow.unfrozen"], "it goes back once");
    world.approve(1).unwrap();
    assert_eq!(totals(&world, "contract.completed"), (100_000.into(), 50_000.into()));
}

/// I4: the same without a freeze: what came too late and went back is in the totals of the contract, and the milestone
/// says once that it is over.
#[test]
fn late_money_is_in_the_totals_of_the_contract() {
    let mut world = World::f0(&[100_000, 50_000]);
    let amendment_id = AmendmentId::from_uuid(uuid(700));
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
    world
        .by_client(on_contract(ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() }))
        .unwrap();
    world.by_payee(on_contract(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
    world.fund(3, &[(1, 20_000)]).unwrap();
    fail(&mut world, 3).unwrap();
    let grant = M::GrantRefund { amount: None, currency: None };
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: grant }).unwrap();
    assert_eq!(world.times_of("contract.milestone_closed").len(), 1);
    world.now += TimeDelta::hours(1);
    let events = world.succeed(f(3)).unwrap();
    assert!(events.contains(&"milestone.refunded".to_owned()), "{events:?}");
    world.approve(2).unwrap();
    assert_eq!(totals(&world, "contract.completed"), (50_000.into(), 120_000.into()));
    let ends = world.log.iter().filter(|event| event.event_type == "milestone.refunded");
    let closing = ends.filter(|event| event.payload.contains("\"closes\"")).count();
    assert_eq!(closing, 1, "a milestone is over once");
}

/// I11: a payment that fails ends a contract whose escrow is frozen. The contract is over; the deposit stays, and goes
/// back when it is not frozen any more.
#[test]
fn a_failure_ends_a_frozen_contract_and_the_deposit_waits() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: vec![(m(1), minor(100_000))],
        deposit: minor(30_000),
        currency: Currency::USD,
        paid_from: PaidFrom::Provider,
        payment_method: "pm_card_visa".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(1)).unwrap();
    let amendment_id = AmendmentId::from_uuid(uuid(700));
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
    world
        .by_client(on_contract(ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() }))
        .unwrap();
    world.by_payee(on_contract(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
    world.fund(2, &[(1, 20_000)]).unwrap();
    world.approve(1).unwrap();
    freeze(&mut world);

    let events = fail(&mut world, 2).unwrap();
    assert!(events.contains(&"contract.completed".to_owned()), "{events:?}");
    assert!(events.contains(&"escrow.closed".to_owned()), "{events:?}");
    assert_eq!((world.balance()["2105"], world.balance().get("2260")), (-30_000, None));
    assert_eq!(unfreeze(&mut world), ["escrow.unfrozen", "escrow.refund_initiated", "refund.requested"]);
    assert_eq!((world.balance().get("2105"), world.balance()["2260"]), (None, -31_500));
}
