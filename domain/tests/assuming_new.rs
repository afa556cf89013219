//! Streams that are to begin are taken to be new without looking: the commit says whether they are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use domain::actor::Actor;
use domain::contract::{Change, ContractCommand, MilestonePlan, Parts};
use domain::id::{AmendmentId, ContractId, FundingId, MilestoneId, PayoutId};
use domain::intent::Intent;
use domain::log::{Expected, StreamId};
use domain::policy::{FeeSchedule, Policy};
use domain::refusal::Refusal;
use domain::unit_of_work::{Decision, Loaded, Step, UnitOfWork};
use domain::{contract, funding, milestone, payout};
use ledger::Currency;
use support::{World, id, minor};

/// A decision, with the streams that it takes to be new and did not ask for; or the refusal.
fn decide(
    world: &World,
    actor: Actor,
    intent: &Intent,
    mut loaded: Loaded,
) -> Result<(Box<Decision>, Vec<StreamId>), Refusal> {
    let work = UnitOfWork {
        intent: intent.clone(),
        actor,
        command_id: id(77),
        clock: world.now,
        if_match: None,
        idempotency_key: None,
        traceparent: None,
    };
    let mut asked = Vec::new();
    loop {
        match work.step(&loaded) {
            Step::Needs(streams) => {
                let known = world.log.iter().filter(|event| streams.contains(&event.stream));
                loaded.absorb(&streams, &known.cloned().collect::<Vec<_>>()).unwrap();
                asked.extend(streams);
            }
            Step::Decided(decision) => {
                let new = decision.append.streams.iter().filter(|write| write.expected == Expected::At(0));
                let unasked = new.map(|write| write.stream.clone()).filter(|stream| !asked.contains(stream)).collect();
                return Ok((decision, unasked));
            }
            Step::Refused(refusal) => return Err(refusal),
            other => panic!("{other:?}"),
        }
    }
}

fn plan(number: u128) -> MilestonePlan {
    MilestonePlan {
        milestone_id: MilestoneId::from_uuid(id(number)),
        amount: minor(5_000),
        due_at: None,
        review_days: None,
        reference: None,
    }
}

fn draft(world: &World, contract: u128, milestone: u128) -> Intent {
    Intent::DraftContract {
        contract_id: ContractId::from_uuid(id(contract)),
        client_id: world.client,
        payee_id: world.payee,
        currency: Currency::USD,
        milestones: vec![plan(milestone)],
        reference: None,
    }
}

const AMENDMENT: u128 = 700;

/// Under way; the payee has proposed one more milestone of this number.
fn proposed(milestone: u128) -> World {
    let mut world = World::new().funded();
    let command = ContractCommand::ProposeAmendment {
        amendment_id: AmendmentId::from_uuid(id(AMENDMENT)),
        changes: vec![Change::AddMilestone { milestone: plan(milestone) }],
        parts: Parts::default(),
    };
    world.by_payee(Intent::OnContract { contract_id: world.contract, command }).unwrap();
    world
}

fn accept_amendment(world: &World) -> Intent {
    let command = ContractCommand::AcceptAmendment { amendment_id: AmendmentId::from_uuid(id(AMENDMENT)) };
    Intent::OnContract { contract_id: world.contract, command }
}

/// The id of a contract that exists: the append expects an empty stream, which the store refuses as a conflict; who looks
/// is refused by the rules.
#[test]
fn a_draft_of_an_id_that_exists_conflicts_or_is_refused() {
    let world = World::new().offered();
    let client = Actor::Client(world.client);
    let again = draft(&world, 3, 14);
    assert_eq!(ContractId::from_uuid(id(3)), world.contract);
    let (_, unasked) = decide(&world, client, &again, Loaded::assuming_new()).unwrap();
    assert_eq!(unasked, [contract::stream(world.contract)]);
    assert_eq!(
        decide(&world, client, &again, Loaded::new()).unwrap_err(),
        Refusal::ContractWrongState { action: "drafted", state: "offered" }
    );
}

/// The same for a milestone that an amendment adds under the id of another contract's.
#[test]
fn an_added_milestone_of_an_id_that_exists_conflicts_or_is_refused() {
    let mut world = proposed(14);
    let first = world.contract;
    (world.contract, world.milestone) = (ContractId::from_uuid(id(13)), MilestoneId::from_uuid(id(14)));
    world.offer(FeeSchedule::two_sided());
    world.accept().unwrap();
    world.contract = first;
    let client = Actor::Client(world.client);
    let accept = accept_amendment(&world);
    let (_, unasked) = decide(&world, client, &accept, Loaded::assuming_new()).unwrap();
    assert_eq!(unasked, [milestone::stream(MilestoneId::from_uuid(id(14)))]);
    assert_eq!(
        decide(&world, client, &accept, Loaded::new()).unwrap_err(),
        Refusal::MilestoneWrongState { action: "planned", state: "planned" }
    );
}

/// An intent says that it may begin streams exactly when it can take one to be new; looked at, none is taken to be.
#[test]
fn what_may_begin_is_what_takes_streams_to_be_new() {
    let fresh = World::new();
    let offered = World::new().offered();
    let mut accepted = World::new().offered();
    accepted.accept().unwrap();
    let amended = proposed(24);
    let mut earned = World::new().funded();
    earned.approve().unwrap();
    earned.now += chrono::TimeDelta::days(5);
    let account = domain::payee::PayeeAccountId { party_id: earned.payee, currency: Currency::USD };
    earned.system(Intent::Wake(domain::timer::Scope::Stream(domain::payee::stream(account)))).unwrap();
    let (client, payee) = (Actor::Client(fresh.client), Actor::Payee(fresh.payee));
    let (contract_id, milestone_id) = (fresh.contract, fresh.milestone);
    let on_contract = |command| Intent::OnContract { contract_id, command };
    let offer = ContractCommand::Offer { fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() };
    let fund = Intent::FundMilestones {
        contract_id,
        funding_id: FundingId::from_uuid(id(25)),
        allocations: vec![(milestone_id, minor(100_000))],
        currency: Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
    };
    let payout_id = PayoutId::from_uuid(id(26));
    let withdraw =
        Intent::RequestPayout { payout_id, payee_id: fresh.payee, currency: Currency::USD, amount: minor(1) };
    let reject = ContractCommand::RejectAmendment { amendment_id: AmendmentId::from_uuid(id(AMENDMENT)) };
    let mut drafted = World::new();
    drafted.by_client(draft(&drafted, 3, 4)).unwrap();
    // The escrow belongs to the scope of the contract, and is looked at.
    let accepts = vec![milestone::stream(milestone_id)];
    for (world, actor, intent, begins) in [
        (&fresh, client, draft(&fresh, 3, 4), vec![contract::stream(contract_id)]),
        (&drafted, client, on_contract(offer), vec![]),
        (&offered, payee, Intent::AcceptContract { contract_id }, accepts.clone()),
        (&offered, payee, on_contract(ContractCommand::Accept), accepts),
        (&offered, payee, on_contract(ContractCommand::Decline { reason: None }), vec![]),
        (&accepted, client, fund, vec![funding::stream(FundingId::from_uuid(id(25)))]),
        (&amended, client, accept_amendment(&amended), vec![milestone::stream(MilestoneId::from_uuid(id(24)))]),
        (&amended, client, on_contract(reject), vec![]),
        (&amended, payee, Intent::SubmitWork { milestone_id }, vec![]),
        (&earned, payee, withdraw, vec![payout::stream(payout_id)]),
    ] {
        let (_, unasked) = decide(world, actor, &intent, Loaded::assuming_new()).unwrap();
        assert_eq!(unasked, begins, "{intent:?}");
        assert_eq!(intent.may_begin(), !unasked.is_empty(), "{intent:?}");
        let (_, unasked) = decide(world, actor, &intent, Loaded::new()).unwrap();
        assert_eq!(unasked, [], "{intent:?}");
    }
}
