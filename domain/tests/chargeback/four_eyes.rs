//! Commands of staff that others have to approve: what is done, by whom, and when it is not.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole};
use domain::aggregate::AggregateState;
use domain::approval::{self, ApprovalRequest, FourEyes, Kind, KindRule, Proposed, Rule, Strength};
use domain::fee::FeeSchedule;
use domain::id::{ApprovalId, PartyId};
use domain::intent::{ApprovalIntent, Intent, MoneyIntent};
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::ports::provider::DisputeStatus;
use domain::refusal::Refusal;
use domain::rules::Rules;
use domain::timer::Scope;
use ledger::Currency;
use proptest::prelude::*;

use super::bank::{Dispute, account, earnings, pay_out};
use super::ledgers::check;
use super::money::world::World;
use super::money::{assert_journal, contract, f, m, minor, payee, uuid};
use super::money_taken_back::{cleared, f0, names};

const ROLES: [StaffRole; 3] = [StaffRole::Moderator, StaffRole::Finance, StaffRole::Support];

fn person(number: u128, role: StaffRole) -> Actor {
    Actor::Staff(role, PartyId::from_uuid(uuid(800 + number)))
}

/// Who proposes.
fn proposer() -> Actor {
    person(0, StaffRole::Finance)
}

fn moderator(number: u128) -> Actor {
    person(number, StaffRole::Moderator)
}

fn id(number: u128) -> ApprovalId {
    ApprovalId::from_uuid(uuid(700 + number))
}

fn rule(approvers: u8) -> Rule {
    Rule { approvers, roles: vec![StaffRole::Moderator, StaffRole::Admin], hours: 72 }
}

fn propose(number: u128, command: Proposed, rule: Rule) -> Intent {
    let (approval_id, command, acr) = (id(number), Box::new(command), Strength::SecondFactor);
    Intent::Approvals(ApprovalIntent::Propose { approval_id, command, rule, acr })
}

fn approve(number: u128) -> Intent {
    Intent::Approvals(ApprovalIntent::Approve { approval_id: id(number), acr: Strength::Password })
}

fn reject(number: u128) -> Intent {
    Intent::Approvals(ApprovalIntent::Reject { approval_id: id(number), acr: Strength::Password })
}

fn withdraw(number: u128) -> Intent {
    Intent::Approvals(ApprovalIntent::Withdraw { approval_id: id(number) })
}

fn request(world: &World, number: u128) -> ApprovalRequest {
    match world.state(&approval::stream(id(number))) {
        AggregateState::Approval(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn unfreeze() -> Proposed {
    Proposed::UnfreezeEscrow { contract_id: contract() }
}

fn freeze(world: &mut World) {
    let freeze = MoneyIntent::Freeze { contract_id: contract(), reason: "court_order".to_owned(), legal_ref: None };
    world.perform(proposer(), Intent::Money(freeze)).unwrap();
}

/// F0, frozen.
fn frozen() -> World {
    let mut world = World::f0(&[100_000]);
    freeze(&mut world);
    world
}

fn is_frozen(world: &World) -> bool {
    match world.state(&domain::escrow::stream(contract())) {
        AggregateState::Escrow(escrow) => escrow.holdings().unwrap().frozen_at.is_some(),
        other => panic!("{other:?}"),
    }
}

/// D-184, D-96, J58: finance proposes to write 900.00 off; nothing is done until another approves, and then it is done in
/// that very commit. Both are recorded, with how they have shown who they are.
#[test]
fn a_debt_is_written_off_by_two() {
    let (mut world, mut dispute) = cleared(Policy::default());
    pay_out(&mut world, 1, 90_000).unwrap();
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    let write_off = |amount: i64| Proposed::WriteOffDebt {
        payee_id: payee(),
        currency: Currency::USD,
        cause: dispute.id().to_string(),
        amount: minor(amount),
    };
    let too_much = world.perform(proposer(), propose(1, write_off(90_001), rule(1))).unwrap_err();
    assert!(matches!(&too_much, Refusal::Invalid { pointer, .. } if pointer == "/amount"), "{too_much:?}");
    let forbidden = world.perform(person(5, StaffRole::Support), propose(1, write_off(1), rule(1))).unwrap_err();
    assert_eq!(forbidden.code(), "forbidden", "who may not do it cannot propose it");
    assert_eq!(request(&world, 1), ApprovalRequest::NotRequested, "what would be refused is not proposed");

    assert_eq!(world.perform(proposer(), propose(1, write_off(90_000), rule(1))).unwrap(), ["approval.requested"]);
    assert_eq!(earnings(&world).debt_total(), minor(90_000), "nothing is done of it");
    for role in [StaffRole::Finance, StaffRole::Moderator] {
        assert_eq!(world.perform(person(0, role), approve(1)), Err(Refusal::FourEyesViolation));
    }
    let done = world.perform(moderator(1), approve(1)).unwrap();
    assert_eq!(done, ["approval.granted", "payee.debt_written_off", "approval.consumed"]);
    assert_journal(&world.entry("payee.debt_written_off"), "J58", &names(&dispute));
    assert_eq!(earnings(&world).debt_total(), minor(0));
    check(&world);

    let last = world.appends.last().unwrap();
    let written_off = &last.events[1].metadata;
    assert_eq!((written_off.causation_id, written_off.actor), (Some(last.events[0].metadata.event_id), moderator(1)));
    let ApprovalRequest::Executed { request, votes, event_id } = request(&world, 1) else { panic!() };
    assert_eq!(event_id, written_off.event_id);
    assert_eq!((request.requested_by, request.acr), (PartyId::from_uuid(uuid(800)), Strength::SecondFactor));
    assert_eq!((votes[0].by, votes[0].acr), (PartyId::from_uuid(uuid(801)), Strength::Password));
    let again = world.perform(moderator(2), approve(1)).unwrap_err();
    assert_eq!(again, Refusal::ApprovalWrongState { action: "approved", state: "executed" });
    assert_eq!(account().party_id, payee());
}

/// What its own rules refuse when it is approved is not done, and the request says why: the escrow is not frozen any more.
#[test]
fn what_is_refused_when_it_is_approved_is_not_done() {
    let mut world = frozen();
    world.perform(proposer(), propose(1, unfreeze(), rule(1))).unwrap();
    world.perform(proposer(), propose(2, unfreeze(), rule(1))).unwrap();
    let done = world.perform(moderator(1), approve(1)).unwrap();
    assert_eq!(done, ["approval.granted", "escrow.unfrozen", "approval.consumed"]);
    assert_eq!(world.perform(moderator(1), approve(2)).unwrap(), ["approval.granted", "approval.failed"]);
    let ApprovalRequest::Failed { code, votes, .. } = request(&world, 2) else { panic!() };
    assert_eq!((code.as_str(), votes.len()), ("escrow_not_frozen", 1));
    // It rests on the escrow as it was: somebody who freezes it meanwhile makes the commit conflict.
    let append = world.appends.last().unwrap();
    assert!(append.reads.iter().any(|(stream, _)| *stream == domain::escrow::stream(contract())), "{:?}", append.reads);
    freeze(&mut world);
    assert_eq!(world.perform(moderator(2), approve(2)).unwrap_err().code(), "approval_wrong_state", "once is for good");
    assert!(is_frozen(&world));
}

/// A chargeback is conceded by two; where the bank has its answer meanwhile, it is not.
#[test]
fn a_chargeback_is_conceded_by_two() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let accept = Proposed::AcceptChargeback { chargeback_id: dispute.id() };
    for number in [1, 2] {
        world.perform(proposer(), propose(number, accept.clone(), rule(1))).unwrap();
    }
    assert_eq!(dispute.state(&world).state_name(), "needs_response");
    let done = world.perform(moderator(1), approve(1)).unwrap();
    assert_eq!(done, ["approval.granted", "chargeback.accepted", "approval.consumed"]);
    assert_eq!(world.perform(moderator(1), approve(2)).unwrap(), ["approval.granted", "approval.failed"]);
    let unknown = Proposed::AcceptChargeback { chargeback_id: Dispute::of(f(1), "dp_9", 1).id() };
    let refused = world.perform(proposer(), propose(3, unknown, rule(1))).unwrap_err();
    assert_eq!(refused, Refusal::NotFound { what: "chargeback" });
}

/// A freeze that somebody else has to approve, where the tenant says so.
#[test]
fn a_freeze_can_need_two() {
    let mut world = World::f0(&[100_000]);
    let reason = "court_order".to_owned();
    let command =
        Proposed::FreezeEscrow { contract_id: contract(), reason, legal_ref: Some("4 HK O 17/26".to_owned()) };
    world.perform(proposer(), propose(1, command, rule(1))).unwrap();
    assert!(!is_frozen(&world));
    world.perform(moderator(1), approve(1)).unwrap();
    assert!(is_frozen(&world));
}

/// Deadlines of the contract come first, at their own instants, as they do for the command itself; and those that a freeze
/// has stopped go on with what was left of them.
#[test]
fn deadlines_of_what_it_is_about_come_first() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: M::SubmitWork }).unwrap();
    world.now += TimeDelta::days(13);
    let reason = "court_order".to_owned();
    let command = Proposed::FreezeEscrow { contract_id: contract(), reason, legal_ref: None };
    world.perform(proposer(), propose(1, command, rule(1))).unwrap();
    // The review window closes before the last approval: what was held is released.
    world.now += TimeDelta::days(2);
    world.perform(moderator(1), approve(1)).unwrap();
    assert_eq!(world.times_of("milestone.auto_approved"), [world.now - TimeDelta::days(1)]);
    assert!(is_frozen(&world));
}

/// At its instant it lapses, whether somebody looks after deadlines or tries to approve it; nothing is done of it.
#[test]
fn what_nobody_approves_in_time_lapses() {
    for wakes in [true, false] {
        let mut world = frozen();
        world.perform(proposer(), propose(1, unfreeze(), rule(2))).unwrap();
        world.perform(moderator(1), approve(1)).unwrap();
        let expires_at = world.now + TimeDelta::hours(72);
        world.now = expires_at + TimeDelta::hours(wakes.into());
        if wakes {
            world.system(Intent::Wake(Scope::Stream(approval::stream(id(1))))).unwrap();
        }
        let late = world.perform(moderator(2), approve(1)).unwrap_err();
        assert_eq!(late, Refusal::ApprovalWrongState { action: "approved", state: "lapsed" });
        assert_eq!(world.times_of("approval.lapsed"), [expires_at]);
        assert!(is_frozen(&world));
    }
}

/// Who rejects ends it, who proposed it takes it back, and nobody else does either.
#[test]
fn it_is_rejected_by_others_and_withdrawn_by_its_proposer() {
    let mut world = frozen();
    for number in 1..=2 {
        world.perform(proposer(), propose(number, unfreeze(), rule(2))).unwrap();
        world.perform(moderator(1), approve(number)).unwrap();
    }
    assert_eq!(world.perform(proposer(), reject(1)), Err(Refusal::FourEyesViolation));
    assert_eq!(world.perform(person(4, StaffRole::Support), reject(1)).unwrap_err().code(), "forbidden");
    assert_eq!(world.perform(moderator(1), withdraw(2)).unwrap_err().code(), "forbidden");
    // Who was for it can change its mind.
    assert_eq!(world.perform(moderator(1), reject(1)).unwrap(), ["approval.rejected"]);
    assert_eq!(world.perform(proposer(), withdraw(2)).unwrap(), ["approval.withdrawn"]);
    for (number, state) in [(1, "rejected"), (2, "withdrawn")] {
        let refused = world.perform(moderator(2), approve(number)).unwrap_err();
        assert_eq!(refused, Refusal::ApprovalWrongState { action: "approved", state });
    }
    assert!(is_frozen(&world));
    assert_eq!(world.by_client(approve(1)), Err(Refusal::NotAParty), "parties do not learn of it");
    let nothing = world.perform(moderator(1), approve(9)).unwrap_err();
    assert_eq!(nothing, Refusal::NotFound { what: "approval request" });
}

/// The tenant's rules hold from the next proposal on: what waits, waits under the rule that it was proposed under. Up to a
/// threshold one person is enough; what says no amount always needs another.
#[test]
fn the_tenant_says_what_needs_another() {
    let write_off = |amount: i64, currency| Proposed::WriteOffDebt {
        payee_id: payee(),
        currency,
        cause: "rfd_1".to_owned(),
        amount: minor(amount),
    };
    let standard = FourEyes::default();
    assert_eq!(standard.needed(&unfreeze()), Some(&Rule::standard(Kind::UnfreezeEscrow)));
    assert!(standard.needed(&write_off(1, Currency::USD)).is_some());
    let freeze = Proposed::FreezeEscrow { contract_id: contract(), reason: "fraud".to_owned(), legal_ref: None };
    assert_eq!(standard.needed(&freeze), None, "a freeze does not wait");
    // D-96: a threshold of 500.00, whatever the exponent of a currency is.
    let mut own = standard;
    own.rules.insert(Kind::WriteOffDebt, KindRule { above_units: 500, rule: rule(2) });
    own.rules.insert(Kind::UnfreezeEscrow, KindRule { above_units: 500, rule: rule(1) });
    let jpy: Currency = "JPY".parse().unwrap();
    for (amount, currency, needed) in [
        (50_000, Currency::USD, false),
        (50_001, Currency::USD, true),
        (60_000, Currency::USD, true),
        (500, jpy, false),
        (501, jpy, true),
    ] {
        assert_eq!(own.needed(&write_off(amount, currency)), needed.then_some(&rule(2)), "{amount} {currency}");
    }
    assert_eq!(own.needed(&unfreeze()), Some(&rule(1)));
    let stored = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<FourEyes>(&stored).unwrap(), own);
}

/// Something that happens to a proposal.
#[derive(Debug, Clone)]
enum Step {
    Approve(u128, StaffRole),
    Reject(u128, StaffRole),
    Withdraw(u128),
    /// Minutes pass.
    Wait(i64),
    /// Somebody looks after deadlines.
    Wake,
}

fn step() -> impl Strategy<Value = Step> {
    let role = || prop::sample::select(ROLES.to_vec());
    prop_oneof![
        12 => (0_u128..5, role()).prop_map(|(who, role)| Step::Approve(who, role)),
        1 => (0_u128..5, role()).prop_map(|(who, role)| Step::Reject(who, role)),
        1 => (0_u128..3).prop_map(Step::Withdraw),
        2 => (1_i64..2000).prop_map(Step::Wait),
        1 => Just(Step::Wake),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// D-96: whatever is tried, in whatever order: it is carried out at the moment in which as many others as the rule says
    /// have approved, each of them once and in a role of the rule; never after it expired, was rejected or withdrawn; and
    /// once.
    #[test]
    fn it_is_carried_out_by_enough_others_in_time(approvers in 1_u8..4, steps in prop::collection::vec(step(), 1..40)) {
        let mut world = frozen();
        let asked = Rule { approvers, roles: vec![StaffRole::Moderator, StaffRole::Finance], hours: 72 };
        world.perform(proposer(), propose(1, unfreeze(), asked)).unwrap();
        let expires_at = world.now + TimeDelta::hours(72);
        let (mut voted, mut over) = (BTreeSet::new(), false);
        for step in steps {
            let expired = world.now >= expires_at;
            let may = |who: u128, role| who != 0 && role != StaffRole::Support;
            match step {
                Step::Approve(who, role) => {
                    let done = world.perform(person(who, role), approve(1));
                    let counts = may(who, role) && !expired && !over;
                    prop_assert_eq!(done.is_ok(), counts, "{:?}", done);
                    if counts {
                        let new = voted.insert(who);
                        over = voted.len() == usize::from(approvers);
                        let events = done.unwrap();
                        prop_assert_eq!(events.contains(&"escrow.unfrozen".to_owned()), new && over);
                        prop_assert_eq!(events.is_empty(), !new);
                    }
                }
                Step::Reject(who, role) => {
                    let done = world.perform(person(who, role), reject(1)).is_ok();
                    prop_assert_eq!(done, may(who, role) && !expired && !over);
                    over |= done;
                }
                Step::Withdraw(who) => {
                    let done = world.perform(moderator(who), withdraw(1)).is_ok();
                    prop_assert_eq!(done, who == 0 && !expired && !over);
                    over |= done;
                }
                Step::Wait(minutes) => world.now += TimeDelta::minutes(minutes),
                Step::Wake => {
                    world.system(Intent::Wake(Scope::Stream(approval::stream(id(1))))).unwrap();
                }
            }
            let enough = voted.len() == usize::from(approvers);
            prop_assert_eq!(is_frozen(&world), !enough);
            prop_assert_eq!(world.times_of("escrow.unfrozen").len(), usize::from(enough));
        }
    }
}
