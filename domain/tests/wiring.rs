//! Where the life of contracts and milestones meets their money: what is agreed is moved, in one commit, as booked in the
//! specification.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use domain::aggregate::AggregateState;
use domain::contract::{Contract, ContractCommand, MilestonePlan, Parts};
use domain::escrow::Holding;
use domain::fee::FeeSchedule;
use domain::id::FundingId;
use domain::intent::{Intent, MoneyIntent};
use domain::jurisdiction::Jurisdiction;
use domain::milestone::{Milestone, MilestoneCommand as M, Remainder};
use domain::policy::{HoldAction, Policy};
use domain::refusal::Refusal;
use domain::rules::Rules;
use domain::time::Timestamp;
use money::world::World;
use money::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Lets the contract's timers fire that are due then.
fn wake_at(world: &mut World, instant: &str) {
    world.now = at(instant);
    world.wake();
}

fn on(milestone: u128, command: M) -> Intent {
    Intent::OnMilestone { milestone_id: m(milestone), command }
}

fn part(gross: i64, remainder: Remainder) -> M {
    M::ApprovePartially { gross: minor(gross), currency: None, remainder }
}

fn grant(amount: i64) -> M {
    M::GrantRefund { amount: Some(minor(amount)), currency: None }
}

fn milestone(world: &World, number: u128) -> Milestone {
    match world.state(&domain::milestone::stream(m(number))) {
        AggregateState::Milestone(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn contract_of(world: &World) -> Contract {
    match world.state(&domain::contract::stream(contract())) {
        AggregateState::Contract(state) => *state,
        other => panic!("{other:?}"),
    }
}

/// State of the milestone, and what it says is held.
fn stands(world: &World, number: u128) -> (&'static str, i64) {
    let milestone = milestone(world, number);
    (milestone.state_name(), milestone.progress().map_or(0, |progress| progress.held.get()))
}

/// Funding, amount and charge of each refund that was made, in order.
fn refunds(world: &World) -> Vec<(FundingId, i64, String)> {
    let requested = world.log.iter().filter(|event| event.event_type == "refund.requested");
    let order = |payload: &str| {
        let order: serde_json::Value = serde_json::from_str(payload).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (
            text(&order["funding_id"]).parse().unwrap(),
            order["amount"].as_i64().unwrap(),
            text(&order["charge"]["charge_ref"]),
        )
    };
    requested.map(|event| order(&event.payload)).collect()
}

fn holding(world: &World, number: u128) -> Holding {
    match world.state(&domain::escrow::stream(contract())) {
        AggregateState::Escrow(escrow) => escrow.holdings().unwrap().milestone(m(number)).unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

fn sorted(events: &[String]) -> Vec<&str> {
    let mut events: Vec<_> = events.iter().map(String::as_str).collect();
    events.sort_unstable();
    events
}

/// D-36, J09, J99: 700.00 are approved, and 300.00 go to M2 with the fee that is deferred with them, once the payee agrees.
#[test]
fn a_rest_that_is_rolled_forward_moves_with_its_fee() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.by_client(on(1, part(70_000, Remainder::RollForward { milestone_id: m(2) }))).unwrap();
    assert_eq!(stands(&world, 1), ("partially_released", 30_000));
    assert!(world.times_of("escrow.funds_reallocated").is_empty(), "the payee has not agreed");

    let events = world.by_payee(on(1, M::AcceptRollForward)).unwrap();
    let one_commit = [
        "contract.milestone_closed",
        "escrow.fees_reallocated",
        "escrow.funds_reallocated",
        "milestone.moved_in",
        "milestone.moved_out",
        "milestone.roll_forward_accepted",
    ];
    assert_eq!(sorted(&events), one_commit);
    assert_journal(&world.entry("escrow.funds_reallocated"), "J09", &[]);
    assert_journal(&world.entry("escrow.fees_reallocated"), "J99", &[]);
    assert_eq!((stands(&world, 1), stands(&world, 2)), (("released", 0), ("funded", 30_000)));
    assert_eq!((holding(&world, 1).held, holding(&world, 2).held), (minor(0), minor(30_000)));

    // The client pays in what M2 lacks, and its release earns the fee that came along.
    assert_eq!(world.fund(2, &[(2, 50_000)]).unwrap_err().code(), "validation_failed");
    world.fund(2, &[(2, 20_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.approve(2).unwrap();
    assert_eq!(contract_of(&world).state_name(), "completed");
    let balance = world.balance();
    assert_eq!((balance.get("2100"), balance.get("2300")), (None, None), "nothing is held, nothing deferred");
}

/// D-78, J30: the refund that the payee grants takes the newest lots, and each part goes back to its own card.
#[test]
fn a_refund_that_is_agreed_goes_back_card_by_card() {
    let mut world = World::new().accepted(&[60_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 60_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    let amendment_id = domain::id::AmendmentId::from_uuid(uuid(700));
    let changes = vec![domain::contract::Change::ChangeAmount { milestone_id: m(1), amount: minor(100_000) }];
    let propose = ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() };
    let on_contract = |command| Intent::OnContract { contract_id: contract(), command };
    world.by_client(on_contract(propose)).unwrap();
    world.by_payee(on_contract(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
    world.fund(2, &[(1, 40_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.by_client(on(1, part(50_000, Remainder::Keep))).unwrap();
    let left: Vec<_> = holding(&world, 1).lots.iter().map(|lot| lot.remaining().get()).collect();
    assert_eq!(left, [10_000, 40_000], "F1 100, F2 400");

    let events = world.by_payee(on(1, grant(45_000))).unwrap();
    let one_commit = [
        "escrow.refund_initiated",
        "milestone.refund_agreed",
        "milestone.refunded",
        "refund.requested",
        "refund.requested",
    ];
    assert_eq!(sorted(&events), one_commit);
    let cards = [(f(2), 42_000, format!("ch_{}", f(2))), (f(1), 5250, format!("ch_{}", f(1)))];
    assert_eq!(refunds(&world), cards, "card B 420.00, card A 52.50");
    let sides: Vec<_> =
        lines(&world.entry("escrow.refund_initiated")).into_iter().map(|line| (line.0, line.1)).collect();
    let sides: std::collections::BTreeSet<_> = sides.iter().map(|(side, account)| (*side, account.as_str())).collect();
    assert_eq!(sides, [("Cr", "2260"), ("Dr", "2100"), ("Dr", "2300")].into(), "as J30, lot by lot");
    assert_eq!(stands(&world, 1), ("partially_released", 5000));
    world.by_payee(on(1, grant(5000))).unwrap();
    assert_eq!(stands(&world, 1), ("refunded", 0));
    assert_eq!(world.balance().get("2300"), None);
}

/// D-79, J30: the payee is silent for 7 days: the end is agreed, and all that is held goes back.
#[test]
fn an_end_that_is_agreed_gives_the_money_back() {
    let mut world = World::f0(&[100_000]);
    let end = ContractCommand::RequestEnd { parts: Parts::default() };
    world.by_client(Intent::OnContract { contract_id: contract(), command: end }).unwrap();
    wake_at(&mut world, "2026-12-08T09:59:59Z");
    assert_eq!(stands(&world, 1), ("funded", 100_000));
    wake_at(&mut world, "2026-12-09T00:00:00Z");
    let agreed_at = [at("2026-12-08T10:00:00Z")];
    for event_type in ["contract.end_agreed", "escrow.refund_initiated", "contract.cancelled", "escrow.closed"] {
        assert_eq!(world.times_of(event_type), agreed_at, "{event_type}");
    }
    assert_journal(&world.entry("escrow.refund_initiated"), "J30", &[("R1", refund_of_last(&world))]);
    assert_eq!((contract_of(&world).state_name(), stands(&world, 1)), ("cancelled", ("refunded", 0)));
}

/// The refund that the last `escrow.refund_initiated` names.
fn refund_of_last(world: &World) -> String {
    let event = world.log.iter().rev().find(|event| event.event_type == "escrow.refund_initiated").unwrap();
    let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
    payload["refund_id"].as_str().unwrap().to_owned()
}

/// D-80, J30: nobody does anything: the dates of the specification, and on the last of them the money goes back.
#[test]
fn a_forgotten_contract_gives_the_money_back() {
    let mut world = World::new();
    let plan = MilestonePlan {
        milestone_id: m(1),
        amount: minor(100_000),
        due_at: Some(at("2026-12-31T00:00:00Z")),
        review_days: None,
        reference: None,
    };
    let draft = Intent::DraftContract {
        contract_id: contract(),
        client_id: client(),
        payee_id: payee(),
        currency: ledger::Currency::USD,
        milestones: vec![plan],
        reference: None,
    };
    world.by_client(draft).unwrap();
    // A provider that lets money lie long enough for silence to be what ends the contract.
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("US").unwrap());
    let (contract_id, fee_schedule) = (contract(), FeeSchedule::two_sided());
    world.by_client(Intent::OfferContract { contract_id, fee_schedule, policy: policy.clone() }).unwrap();
    world.by_payee(Intent::AcceptContract { contract_id }).unwrap();
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    wake_at(&mut world, "2027-04-13T23:59:59Z");
    assert!(world.times_of("escrow.refund_initiated").is_empty());
    wake_at(&mut world, "2027-06-01T00:00:00Z");
    let [warned, again, dormant, asked, over] = policy.dormancy.schedule(at("2026-12-31T00:00:00Z"));
    for (event_type, instants) in [
        ("contract.dormancy_warned", vec![warned, again]),
        ("contract.marked_dormant", vec![dormant]),
        ("contract.dormancy_escalated_to_payee", vec![asked]),
        ("contract.dormancy_defaulted", vec![over]),
        ("escrow.refund_initiated", vec![over]),
        ("contract.cancelled", vec![over]),
    ] {
        assert_eq!(world.times_of(event_type), instants, "{event_type}");
    }
    assert_eq!(over, at("2027-04-14T00:00:00Z"));
    assert_journal(&world.entry("escrow.refund_initiated"), "J30", &[("R1", refund_of_last(&world))]);
    assert_eq!(stands(&world, 1), ("refunded", 0));
}

/// J40, J41: what a dispute is about is locked in the same commit, and free again when it is taken back. An id names one
/// dispute.
#[test]
fn a_dispute_locks_the_money() {
    let mut world = World::f0(&[100_000, 50_000]);
    let open = |number, dispute| on(number, M::OpenDispute { dispute_id: d(dispute) });
    let events = world.by_payee(open(1, 1)).unwrap();
    assert_eq!(events, ["milestone.disputed", "escrow.dispute_hold_placed"]);
    assert_eq!((holding(&world, 1).held, holding(&world, 1).disputed), (minor(0), minor(100_000)));
    let used = world.by_client(open(2, 1)).unwrap_err();
    assert!(matches!(&used, Refusal::Invalid { pointer, .. } if pointer == "/dispute_id"), "{used:?}");
    assert_eq!(stands(&world, 2), ("funded", 50_000));
    let resume = M::ResumeAfterDispute { dispute_id: d(1) };
    let events = world.fact(domain::command::Command::Milestone(m(1), resume)).unwrap();
    assert_eq!(events, ["milestone.dispute_withdrawn", "escrow.dispute_hold_lifted"]);
    assert_eq!((holding(&world, 1).held, holding(&world, 1).disputed), (minor(100_000), minor(0)));
    assert_eq!(world.by_payee(open(1, 1)).unwrap_err().code(), "validation_failed", "that dispute is over");
    world.approve(1).unwrap();
}

/// A contract with milestones that are submitted, funded and disputed, whose provider lets money lie for 10 days.
fn at_the_limit(action: HoldAction) -> World {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("TH").unwrap());
    policy.psp_hold.action = action;
    let mut world = World::new().accepted(&[50_000, 30_000, 20_000], FeeSchedule::two_sided(), policy);
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: vec![(m(1), minor(50_000)), (m(2), minor(30_000)), (m(3), minor(20_000))],
        deposit: minor(10_000),
        currency: ledger::Currency::USD,
        paid_from: domain::escrow::PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(1)).unwrap();
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.by_client(on(3, M::OpenDispute { dispute_id: d(1) })).unwrap();
    world
}

/// The policy `release_if_submitted`: at the provider's limit work under review is paid, and other money of that funding
/// goes back, the deposit with it; what is in dispute stays.
#[test]
fn at_the_providers_limit_submitted_work_is_paid() {
    let mut world = at_the_limit(HoldAction::ReleaseIfSubmitted);
    wake_at(&mut world, "2026-12-11T10:00:00Z");
    let due_at = at("2026-12-11T10:00:00Z");
    assert_eq!(world.times_of("milestone.approved"), [due_at]);
    assert_eq!(world.times_of("escrow.released"), [due_at]);
    assert_eq!(world.times_of("milestone.hold_limit_passed"), [due_at]);
    let commits: Vec<_> = world.appends.iter().map(|append| &append.events).collect();
    let types: Vec<_> = commits.last().unwrap().iter().map(|event| event.event_type.to_string()).collect();
    assert!(types.contains(&"escrow.hold_limit_reached".to_owned()), "in one commit: {types:?}");
    assert!(types.contains(&"payee.earnings_credited".to_owned()), "in one commit: {types:?}");
    assert_eq!(stands(&world, 1), ("released", 0));
    assert_eq!(stands(&world, 2), ("refunded", 0));
    assert_eq!(stands(&world, 3), ("disputed", 20_000));
    let mut back: Vec<_> = refunds(&world).into_iter().map(|(_, amount, _)| amount).collect();
    back.sort_unstable();
    assert_eq!(back, [10_500, 31_500], "the deposit and M2, with their fees");
    assert!(world.times_of("escrow.timer_blocked").is_empty());
}

/// The policy `refund`: submitted or not, what is free goes back; the milestones know it.
#[test]
fn at_the_providers_limit_money_goes_back() {
    let mut world = at_the_limit(HoldAction::Refund);
    wake_at(&mut world, "2026-12-11T10:00:00Z");
    assert_eq!((stands(&world, 1), stands(&world, 2)), (("refunded", 0), ("refunded", 0)));
    assert_eq!(stands(&world, 3), ("disputed", 20_000));
    assert!(world.times_of("escrow.released").is_empty());
}

/// Money that is late for its milestone is taken, since facts are never refused, and goes back to its card at once.
#[test]
fn late_money_goes_back_to_its_card() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.fund(2, &[(2, 50_000)]).unwrap();
    let failed = domain::funding::FundingCommand::RecordFailed { code: "card_declined".to_owned() };
    world.fact(domain::command::Command::Funding(f(2), failed)).unwrap();
    world.by_payee(on(2, M::Cancel)).unwrap();
    world.succeed(f(2)).unwrap();
    assert_eq!(refunds(&world), [(f(2), 52_500, format!("ch_{}", f(2)))]);
    assert_eq!(stands(&world, 2), ("refunded", 0));
    world.approve(1).unwrap();
    assert_eq!(contract_of(&world).state_name(), "completed");
}

/// Where a payment for the target is under way, nothing is rolled forward: the escrow would not know that payment again.
#[test]
fn money_is_not_moved_to_where_a_payment_is_under_way() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.by_client(on(1, part(70_000, Remainder::RollForward { milestone_id: m(2) }))).unwrap();
    world.fund(2, &[(2, 50_000)]).unwrap();
    let before = world.log.len();
    assert_eq!(world.by_payee(on(1, M::AcceptRollForward)), Err(Refusal::PaymentUnderWay));
    assert_eq!(world.log.len(), before, "nothing of it was written");
    world.succeed(f(2)).unwrap();
    world.by_payee(on(1, M::AcceptRollForward)).unwrap();
    assert_eq!(stands(&world, 2), ("funded", 80_000));
}

/// While an escrow is frozen, what is agreed cannot be moved: the whole wish is refused, and nothing of it is written.
#[test]
fn nothing_is_agreed_while_the_escrow_is_frozen() {
    let mut world = World::f0(&[100_000]);
    let freeze = MoneyIntent::Freeze { contract_id: contract(), reason: "court_order".to_owned(), legal_ref: None };
    let admin = staff(domain::actor::StaffRole::Admin);
    assert_eq!(world.perform(admin, Intent::Money(freeze)).unwrap(), ["escrow.frozen"]);
    let before = world.log.len();
    assert_eq!(world.by_payee(on(1, grant(100_000))), Err(Refusal::EscrowFrozen));
    assert_eq!(world.approve(1), Err(Refusal::EscrowFrozen));
    assert_eq!(world.log.len(), before);
    let unfreeze = MoneyIntent::Unfreeze { contract_id: contract() };
    assert_eq!(world.perform(admin, Intent::Money(unfreeze)).unwrap(), ["escrow.unfrozen"]);
    world.by_payee(on(1, grant(100_000))).unwrap();
    assert_eq!(stands(&world, 1), ("refunded", 0));
}
