//! What the log proves to a bank.

use chrono::TimeDelta;
use domain::chargeback::evidence::What;
use domain::chargeback::{ChargebackCommand, EvidenceBundle};
use domain::command::Command;
use domain::event::DomainEvent;
use domain::intent::Intent;
use domain::milestone::MilestoneCommand as M;
use domain::ports::provider::{DisputeStatus, ProviderOrder};
use domain::refusal::Refusal;
use domain::time::Timestamp;

use super::bank::Dispute;
use super::money::world::World;
use super::money::{contract, f, m, minor};

/// The events of a world, read.
fn events(world: &World) -> Vec<(Timestamp, DomainEvent)> {
    let read = |event: &domain::log::StreamEvent| {
        let kind = &event.stream.aggregate_type;
        let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload).unwrap();
        (event.occurred_at, read)
    };
    world.log.iter().map(read).collect()
}

pub fn bundle_of(world: &World, dispute_ref: &str) -> EvidenceBundle {
    let events = events(world);
    EvidenceBundle::draw_up(dispute_ref, contract(), events.iter().map(|(at, event)| (*at, event))).unwrap()
}

/// A contract whose work was sent back once, delivered again, and approved.
fn delivered() -> World {
    let mut world = World::f0(&[100_000]);
    let on = |command| Intent::OnMilestone { milestone_id: m(1), command };
    world.now += TimeDelta::days(1);
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.by_client(on(M::RequestChanges { note_ref: Some("note_7".to_owned()) })).unwrap();
    world.now += TimeDelta::days(1);
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.approve(1).unwrap();
    world
}

/// The document has contract, terms, milestone, deliveries, approval and payment, as they happened, and no text of a party.
#[test]
fn the_document_is_what_happened() {
    let world = delivered();
    let bundle = bundle_of(&world, "dp_1");
    let steps: Vec<_> = bundle.milestones[0].steps.iter().map(|step| (step.what, step.submission_no)).collect();
    let wanted = [
        (What::Funded, None),
        (What::Submitted, Some(1)),
        (What::ChangesRequested, Some(1)),
        (What::Submitted, Some(2)),
        (What::Approved, Some(2)),
        (What::Released, None),
    ];
    assert_eq!(steps, wanted);
    assert_eq!(bundle.milestones[0].steps[2].reference.as_deref(), Some("note_7"));
    assert_eq!(bundle.milestones[0].steps[3].at, world.now);
    assert_eq!((bundle.payments[0].captured, bundle.payments[0].funding_id), (minor(105_000), f(1)));
    assert_eq!(bundle.terms_digest.as_ref().map(String::len), Some(64));
    assert_eq!(bundle, bundle_of(&world, "dp_1"), "the same log, the same document");
    assert_eq!(bundle.digest(), bundle_of(&world, "dp_1").digest());
    assert_ne!(bundle.digest(), bundle_of(&world, "dp_2").digest(), "another dispute, another document");
    assert_eq!(bundle.digest().unwrap().len(), 64);
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(serde_json::from_str::<EvidenceBundle>(&text).unwrap(), bundle);
}

/// Events of other contracts are passed over; a contract that was never accepted proves nothing.
#[test]
fn only_the_contract_itself_proves_something() {
    let world = delivered();
    let events = events(&world);
    let all = || events.iter().map(|(at, event)| (*at, event));
    let other = domain::id::ContractId::from_uuid(super::money::uuid(77));
    assert_eq!(EvidenceBundle::draw_up("dp_1", other, all()), None);
    let before_acceptance = all().take_while(|(_, event)| event.event_type() != "contract.accepted");
    assert_eq!(EvidenceBundle::draw_up("dp_1", contract(), before_acceptance), None);
}

/// Submitted once, it is final: told again it is silence, and another one is refused. The order to the provider carries it.
#[test]
fn evidence_is_submitted_once() {
    let mut world = delivered();
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let bundle = bundle_of(&world, "dp_1");
    let submit = |evidence: &EvidenceBundle| {
        let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence.clone()) };
        Intent::Fact(Command::Chargeback(dispute.id(), command))
    };
    assert_eq!(world.system(submit(&bundle)).unwrap(), ["chargeback.evidence_submitted"]);
    let order = world.orders.last().unwrap().what.clone();
    let ProviderOrder::SubmitEvidence { dispute_ref, evidence, .. } = &order else { panic!("{order:?}") };
    assert_eq!((dispute_ref.as_str(), evidence.as_ref()), ("dp_1", &bundle));
    assert!(!order.moves_money());
    assert_eq!(world.system(submit(&bundle)), Ok(Vec::new()));
    let other = EvidenceBundle { version: 2, ..bundle.clone() };
    let answered = Refusal::ChargebackWrongState { action: "answered", state: "answered" };
    assert_eq!(world.system(submit(&other)), Err(answered));
    super::ledgers::check(&world);
}

/// What is over is not answered; and what is submitted is about the dispute that it answers.
#[test]
fn evidence_answers_an_open_dispute() {
    let mut world = delivered();
    let dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.told(&mut world).unwrap();
    let submit = |evidence: EvidenceBundle| {
        let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
        Intent::Fact(Command::Chargeback(dispute.id(), command))
    };
    let wrong = submit(bundle_of(&world, "dp_9"));
    assert!(matches!(world.system(wrong), Err(Refusal::Defect(_))));
    let right = submit(bundle_of(&world, "dp_1"));
    dispute.clone().is(DisputeStatus::Lost).told(&mut world).unwrap();
    let over = Refusal::ChargebackWrongState { action: "answered", state: "lost" };
    assert_eq!(world.system(right), Err(over));
}
