//! Releases in thirds: what each takes and books, in currencies of two, no and three decimals.
//!
//! The escrow is told each release itself, so that its state can be looked at in between; what approvals of parts lead to
//! is the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use domain::actor::{Actor, SystemPart};
use domain::escrow::{self, Escrow, EscrowCommand, EscrowEvent, ReleaseReason};
use domain::event::DomainEvent;
use domain::id::ReleaseId;
use domain::intent::Intent;
use domain::milestone::{MilestoneCommand, Remainder};
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use ledger::{Currency, Minor, allocate};
use support::{Line, World, id, lines, minor, vector};

/// One release: gross, payee's fee, client's fee earned, net.
type Third = [i64; 4];

/// The escrow of a contract worth `amount`, after its money has come in.
fn escrow_of(amount: i64, currency: Currency) -> (World, Escrow) {
    let world = World::worth(amount, currency).paid(amount + amount / 20);
    let stream = escrow::stream(world.contract);
    let mut escrow = Escrow::default();
    for event in world.log.iter().filter(|event| event.stream == stream) {
        match DomainEvent::from_json(escrow::TYPE, &event.event_type, event.event_version, &event.payload).unwrap() {
            DomainEvent::Escrow(event) => escrow.evolve(&event),
            other => panic!("{other:?}"),
        }
    }
    (world, escrow)
}

fn release(world: &World, number: u128, gross: Minor) -> EscrowCommand {
    EscrowCommand::Release {
        release_id: ReleaseId::from_uuid(id(100 + number)),
        milestone_id: world.milestone,
        gross,
        reason: ReleaseReason::Approved,
    }
}

/// Releases `amount` in thirds. Gives what each took, and what each booked.
fn thirds(amount: i64, currency: Currency) -> (Vec<Third>, Vec<Vec<Line>>) {
    let (world, mut escrow) = escrow_of(amount, currency);
    let context = Context { now: world.now, actor: Actor::System(SystemPart::Psp) };
    let (mut taken, mut booked) = (Vec::new(), Vec::new());
    for (number, gross) in (0..).zip(allocate(minor(amount), &[1, 1, 1]).unwrap()) {
        let events = escrow.decide(&release(&world, number, gross), &context).unwrap();
        let [event @ EscrowEvent::Released { gross, payee_fee, client_fee_earned, net, .. }] = events.as_slice() else {
            panic!("{events:?}");
        };
        taken.push([gross.get(), payee_fee.get(), client_fee_earned.get(), net.get()]);
        let entry = escrow::posting_rules::journal_entry(event, world.now.date_naive()).unwrap().unwrap();
        assert!(entry.postings().iter().all(|posting| posting.amount().currency() == currency));
        booked.push(lines(&entry));
        escrow.evolve(event);
    }
    let holding = &escrow.holdings().unwrap().milestones[&world.milestone];
    assert!(holding.is_conserved());
    assert_eq!(
        (holding.held, holding.client_fee_earned),
        (Minor::ZERO, holding.fees.client_fee),
        "nothing is left over"
    );
    assert!(holding.lots.iter().all(|lot| lot.remaining() == Minor::ZERO));
    let more = escrow.decide(&release(&world, 3, minor(1)), &context);
    assert_eq!(more, Err(Refusal::ExceedsHeld { held: Minor::ZERO }));
    assert_eq!(escrow.decide(&EscrowCommand::Close, &context).unwrap().len(), 1, "empty, it can be closed");
    (taken, booked)
}

/// D-51, J11, J12, J13: 1,000.00 USD; the fees close at 100.00 and 50.00.
#[test]
fn a_thousand_dollars_in_thirds() {
    let (taken, booked) = thirds(100_000, Currency::USD);
    let expected = [[33_334, 3333, 1667, 30_001], [33_333, 3334, 1666, 29_999], [33_333, 3333, 1667, 30_000]];
    assert_eq!(taken, expected);
    assert_eq!(booked, ["J11", "J12", "J13"].map(vector));
}

/// D-51, J11, J12, J13: two parts and the rest, approved by the client, book the same and complete the contract.
#[test]
fn a_milestone_approved_in_thirds_books_the_same() {
    let mut world = World::new().funded();
    for gross in [33_334, 33_333] {
        let (gross, currency) = (minor(gross), Some(Currency::USD));
        let command = MilestoneCommand::ApprovePartially { gross, currency, remainder: Remainder::Keep };
        world.by_client(Intent::OnMilestone { milestone_id: world.milestone, command }).unwrap();
    }
    let last = world.approve().unwrap();
    assert!(last.contains(&"contract.completed".to_owned()) && last.contains(&"escrow.closed".to_owned()));
    let releases = world.entries().filter(|(event_type, _)| *event_type == "escrow.released");
    let booked: Vec<_> = releases.map(|(_, entry)| lines(entry)).collect();
    assert_eq!(booked, ["J11", "J12", "J13"].map(vector));
}

/// D-52: 100.00 USD.
#[test]
fn a_hundred_dollars_in_thirds() {
    let (taken, _) = thirds(10_000, Currency::USD);
    assert_eq!(taken, [[3334, 333, 167, 3001], [3333, 334, 166, 2999], [3333, 333, 167, 3000]]);
}

/// D-53, J90: 10,000 JPY, without decimals; the provider is asked for 10500.
#[test]
fn ten_thousand_yen_in_thirds() {
    let (taken, booked) = thirds(10_000, Currency::JPY);
    assert_eq!(taken, [[3334, 333, 167, 3001], [3333, 334, 166, 2999], [3333, 333, 167, 3000]]);
    assert_eq!(booked[0], vector("J90"));
    let (world, _) = escrow_of(10_000, Currency::JPY);
    let order = funding_order(&world);
    assert_eq!(order.currency.psp_units(order.charge), Ok(10_500));
}

/// D-54, J91: 100.000 KWD, with three decimals.
#[test]
fn a_hundred_dinars_in_thirds() {
    let (taken, booked) = thirds(100_000, Currency::KWD);
    let expected = [[33_334, 3333, 1667, 30_001], [33_333, 3334, 1666, 29_999], [33_333, 3333, 1667, 30_000]];
    assert_eq!(taken, expected);
    assert_eq!(booked[0], vector("J91"));
}

/// D-55, J92: 10.123 KWD and 0.506 are 10.629, which cannot be charged: 10.630 is, and 0.001 is the client's.
#[test]
fn what_is_charged_beyond_the_amount_due_goes_to_the_wallet() {
    let mut world = World::worth(10_123, Currency::KWD).offered();
    world.accept().unwrap();
    let funding = world.funding;
    world.fund(funding).unwrap();
    let order = funding_order(&world);
    assert_eq!((order.charge, order.currency.psp_units(order.charge)), (minor(10_630), Ok(10_630)));
    assert!(world.succeed(10_630).unwrap().contains(&"escrow.funded".to_owned()));
    support::assert_books(&world, "escrow.funded", "J92");
}

/// D-35, at the escrow itself.
#[test]
fn a_release_is_within_what_is_held() {
    let (world, escrow) = escrow_of(100_000, Currency::USD);
    let context = Context { now: world.now, actor: Actor::System(SystemPart::Psp) };
    let refused = escrow.decide(&release(&world, 0, minor(100_001)), &context);
    assert_eq!(refused, Err(Refusal::ExceedsHeld { held: minor(100_000) }));
    assert!(escrow.decide(&release(&world, 0, minor(100_000)), &context).is_ok());
}

fn funding_order(world: &World) -> domain::funding::Order {
    let event = world.last_event("funding.created");
    match DomainEvent::from_json("funding", "funding.created", 1, &event.payload).unwrap() {
        DomainEvent::Funding(domain::funding::FundingEvent::Created { order }) => order,
        other => panic!("{other:?}"),
    }
}
