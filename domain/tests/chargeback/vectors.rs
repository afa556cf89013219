//! What survives its text, and how a loss is judged by the escrow and the payee account alone.

use domain::aggregate::AggregateState;
use domain::event::DomainEvent;
use domain::fee::FeeSchedule;
use domain::policy::Policy;
use domain::ports::provider::DisputeStatus;
use ledger::Minor;

use super::bank::{Dispute, clear, holdings, taxed};
use super::ledgers::check;
use super::money::world::World;
use super::money::{f, m, minor};

/// Whoever bears what: the loss is what the bank took, to the cent, with fees, taxes and the initiation fee of the first
/// payment, held or released.
#[test]
fn a_loss_is_what_the_bank_took() {
    for (schedule, charge) in [(FeeSchedule::two_sided(), 105_000), (taxed(), 106_594)] {
        for released in [0, 1, 33_333, 99_999, 100_000] {
            for taken in [charge, charge - 1, charge / 3, 101, 1] {
                let mut world = World::new().accepted(&[100_000], schedule.clone(), Policy::default());
                world.fund(1, &[(1, 100_000)]).unwrap();
                world.succeed(f(1)).unwrap();
                if released > 0 {
                    let amount = (released < 100_000).then(|| minor(released));
                    let (milestone_id, currency) = (m(1), None);
                    let approve = domain::intent::Intent::ApproveMilestone { milestone_id, amount, currency };
                    world.by_client(approve).unwrap();
                    world.now += chrono::TimeDelta::days(5);
                    clear(&mut world);
                }
                Dispute::of(f(1), "dp_1", taken)
                    .withdraws(taken)
                    .is(DisputeStatus::Lost)
                    .told(&mut world)
                    .unwrap_or_else(|refusal| panic!("{released} released, {taken} taken: {refusal}"));
                assert!(!world.balance().contains_key("1200"), "{released} released, {taken} taken");
                check(&world);
                if taken == charge && released == 0 {
                    let books = world.balance();
                    let left: Vec<_> =
                        books.keys().filter(|code| code.starts_with('2') || code.starts_with("52")).collect();
                    assert!(left.is_empty(), "nothing is deferred for money that is gone: {books:?}");
                }
                let platform = world.balance().get("5200").copied().unwrap_or(0);
                // The initiation fee goes with nothing less than the whole.
                let with_fee = if taken >= charge - 1 { 594 } else { 2 };
                assert!(platform <= with_fee || schedule != taxed(), "{released} released, {taken} taken: {platform}");
                assert!(platform <= 2 || schedule == taxed(), "{released} released, {taken} taken: {platform}");
            }
        }
    }
}

/// A state that was stored is the state that is read, and a log that was stored folds to it.
#[test]
fn what_is_remembered_survives_its_text() {
    let mut world = World::f0(&[100_000]);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.report.evidence_due_by = Some(world.now);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let streams: std::collections::BTreeSet<_> = world.log.iter().map(|event| event.stream.clone()).collect();
    for stream in streams {
        let state = world.state(&stream);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(AggregateState::from_json(&stream.aggregate_type, &text).unwrap(), state, "{text}");
    }
    let held = holdings(&world);
    let total = held.chargebacks.values().flat_map(|hold| &hold.parts).map(|part| part.amount);
    assert_eq!(Minor::sum(total).unwrap(), minor(100_000));
    for event in &world.log {
        let kind = &event.stream.aggregate_type;
        let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload).unwrap();
        assert_eq!(read.to_json().unwrap(), event.payload);
    }
}
