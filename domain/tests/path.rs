//! The way of a contract through the rules, from offer to payout.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::event::DomainEvent;
use domain::funding::FundingCommand;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::Expected;
use domain::payout::PayoutCommand;
use domain::policy::{Fee, FeeSchedule};
use domain::refusal::Refusal;
use domain::timer::Scope;
use ledger::{Currency, Percent};
use support::{World, assert_books, id, lines, minor};

/// D-118, J01, J02, J03, J10, J16, J20, J21, J22, I1.
#[test]
fn the_whole_way_ends_with_the_books_of_the_specification() {
    let mut world = World::new().funded();
    world.receipts();
    world.by_payee(Intent::SubmitWork { milestone_id: world.milestone }).unwrap();
    let events = world.approve().unwrap();
    let one_commit = [
        "milestone.approved",
        "escrow.released",
        "payee.earnings_credited",
        "milestone.released",
        "contract.milestone_closed",
        "contract.completed",
        "escrow.closed",
    ];
    assert_eq!(events, one_commit);
    world.now += TimeDelta::days(5);
    let payout_id = PayoutId::from_uuid(id(6));
    // The clearance is due: it is committed before the payout is judged.
    world.request_payout(payout_id, 90_000).unwrap();
    let transferred = PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(90_000) };
    world.payout_fact(payout_id, transferred).unwrap();
    let paid = PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() };
    world.payout_fact(payout_id, paid.clone()).unwrap();
    assert_eq!(world.payout_fact(payout_id, paid), Ok(Vec::new()), "told again, it changes nothing");
    let books = [("1120", 11_925), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];
    assert_eq!(world.balance(), BTreeMap::from(books));
    for (event_type, vector) in [
        ("escrow.funded", "J01"),
        ("funding.psp_fee_recorded", "J02"),
        ("funding.psp_funds_became_available", "J03"),
        ("escrow.released", "J10"),
        ("payee.earnings_cleared", "J16"),
        ("payee.payout_reserved", "J20"),
        ("payout.transfer_completed", "J21"),
        ("payout.paid", "J22"),
    ] {
        assert_books(&world, event_type, vector);
    }
}

/// D-04, D-05: at the instant of the deadline the timer has won; a moment before it has not.
#[test]
fn an_offer_expires_at_its_instant() {
    let mut late = World::new().offered();
    late.now += TimeDelta::days(7);
    let expired_at = late.now;
    assert_eq!(late.accept(), Err(Refusal::OfferExpired { expired_at }));
    assert_eq!(late.last_time_of("contract.offer_expired"), expired_at);

    let mut early = World::new().offered();
    early.now = early.now + TimeDelta::days(7) - TimeDelta::milliseconds(1);
    assert_eq!(early.accept().unwrap(), ["contract.accepted", "milestone.planned", "escrow.opened"]);
}

/// However late somebody looks, the review window closed when it was due.
#[test]
fn a_late_look_does_not_change_who_wins() {
    let mut world = World::new().funded();
    world.by_payee(Intent::SubmitWork { milestone_id: world.milestone }).unwrap();
    let due_at = world.now + TimeDelta::days(14);
    world.now = due_at + TimeDelta::hours(6);
    assert_eq!(world.approve(), Err(Refusal::MilestoneAlreadyApproved));
    for event_type in ["milestone.auto_approved", "escrow.released", "contract.completed"] {
        assert_eq!(world.last_time_of(event_type), due_at);
    }
    let value_date = world.appends.last().unwrap().events[1].journal.as_ref().unwrap().value_date();
    assert_eq!(value_date, due_at.date_naive());
}

/// D-42, J16: pending until the instant, available at it; the entry line by line, with its dimensions and its day.
#[test]
fn earnings_clear_at_their_instant() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    let account = domain::payee::PayeeAccountId { party_id: world.payee, currency: Currency::USD };
    let wake = Intent::Wake(Scope::Stream(domain::payee::stream(account)));
    world.now = world.now + TimeDelta::days(5) - TimeDelta::seconds(1);
    world.system(wake.clone()).unwrap();
    assert_eq!(world.balance().get("2210"), None);
    world.now += TimeDelta::seconds(1);
    world.system(wake).unwrap();
    assert_eq!(world.balance().get("2210"), Some(&-90_000));
    assert_books(&world, "payee.earnings_cleared", "J16");
    let entry = world.last_entry("payee.earnings_cleared");
    let dimensions: Vec<_> = entry.postings().iter().map(|posting| posting.dimensions().to_string()).collect();
    let (payee, contract) = (world.payee, world.contract);
    assert_eq!(dimensions, [format!("contract={contract};payee={payee}"), format!("payee={payee}")]);
    assert_eq!((entry.rule(), entry.value_date()), ("clearance", world.now.date_naive()));
}

/// I11: money that cannot be held is in the books all the same.
#[test]
fn money_that_cannot_be_held_is_booked_as_unallocated() {
    let mut wrong = World::new().offered();
    wrong.accept().unwrap();
    let funding = wrong.funding;
    wrong.fund(funding).unwrap();
    assert_eq!(wrong.succeed(100_000).unwrap(), ["funding.succeeded", "funding.receipt_suspended"]);
    assert_eq!(wrong.balance(), BTreeMap::from([("1110", 100_000), ("2900", -100_000)]));
    assert_eq!(wrong.approve(), Err(Refusal::MilestoneNotFunded));

    // The first payment failed, a second one funded the milestone, and now the first one succeeds after all.
    let mut late = World::new().offered();
    late.accept().unwrap();
    let first = late.funding;
    late.fund(first).unwrap();
    late.fact(FundingCommand::RecordFailed { code: "card_declined".to_owned() }).unwrap();
    late.funding = FundingId::from_uuid(id(7));
    let second = late.funding;
    late.fund(second).unwrap();
    late.succeed(105_000).unwrap();
    late.funding = first;
    let events = late.succeed(105_000).unwrap();
    assert_eq!(events, ["funding.succeeded", "escrow.funding_rejected", "funding.receipt_suspended"]);
    assert_eq!(
        late.balance(),
        BTreeMap::from([("1110", 210_000), ("2100", -100_000), ("2300", -5000), ("2900", -105_000)])
    );
}

/// A payment that succeeds after it had failed is taken, as long as no other took its place.
#[test]
fn a_late_success_is_welcome() {
    let mut world = World::new().offered();
    world.accept().unwrap();
    let funding = world.funding;
    world.fund(funding).unwrap();
    world.fact(FundingCommand::RecordFailed { code: "card_declined".to_owned() }).unwrap();
    assert_eq!(world.approve(), Err(Refusal::MilestoneNotFunded));
    assert!(world.succeed(105_000).unwrap().contains(&"escrow.funded".to_owned()));
    assert_eq!(world.succeed(105_000), Ok(Vec::new()), "told again, it changes nothing");
    world.approve().unwrap();
}

/// What is decided depends on everything it looked at, and credits look at nothing.
#[test]
fn an_append_names_what_it_read_and_only_notes_commute() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    let release = world.appends.last().unwrap();
    for write in &release.streams {
        let notes = write.stream.aggregate_type == "payee";
        assert_eq!(write.expected == Expected::Any, notes, "{}", write.stream);
    }
    world.now += TimeDelta::days(5);
    world.request_payout(PayoutId::from_uuid(id(6)), 1).unwrap();
    let reads: Vec<_> = world.appends.last().unwrap().reads.iter().map(|(stream, _)| stream.to_string()).collect();
    assert_eq!(reads, [domain::party::stream(world.payee).to_string()], "where the payee is paid was looked up");
}

/// A version is old when somebody has acted since, not when a timer or the provider has; outsiders learn nothing of it.
#[test]
fn only_somebody_makes_a_version_old() {
    let mut world = World::new().funded();
    let approve =
        || Intent::ApproveMilestone { milestone_id: MilestoneId::from_uuid(id(4)), amount: None, currency: None };
    let client = Actor::Client(world.client);
    let outsider = Actor::Client(PartyId::from_uuid(id(99)));
    // Planned by the payee's acceptance, requested by the client, funded by the provider.
    assert_eq!(world.perform(client, approve(), Some(1)), Err(Refusal::VersionMismatch { current: 3, given: 1 }));
    assert_eq!(world.perform(outsider, approve(), Some(1)), Err(Refusal::NotAParty));
    assert_eq!(world.perform(outsider, approve(), Some(3)), Err(Refusal::NotAParty));
    assert!(world.perform(client, approve(), Some(2)).is_ok());
}

/// What is written is read again, whatever the event.
#[test]
fn events_survive_their_text() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    for event in &world.log {
        let read = DomainEvent::from_json(&event.stream.aggregate_type, &event.event_type, 1, &event.payload).unwrap();
        assert_eq!(read.event_type(), event.event_type);
        assert_eq!(read.to_json().unwrap(), event.payload);
        assert!(domain::event::EVENT_TYPES.iter().any(|known| known.name == event.event_type));
    }
    assert!(DomainEvent::from_json("escrow", "escrow.released", 2, "{}").is_err(), "a version from the future");
}

/// D-07: the fees of a contract are those it was offered with. A second contract is offered at 15% after the first was
/// accepted at 10%; the first still releases at 10%.
#[test]
fn a_new_fee_schedule_changes_no_contract_that_was_offered() {
    let mut world = World::new().funded();
    let first = (world.contract, world.milestone, world.funding);
    let raised = FeeSchedule {
        version: 2,
        payee_fee: Fee::percent(Percent::new(15.into()).unwrap()),
        ..FeeSchedule::two_sided()
    };
    (world.contract, world.milestone, world.funding) =
        (ContractId::from_uuid(id(13)), MilestoneId::from_uuid(id(14)), FundingId::from_uuid(id(15)));
    let second = (world.contract, world.milestone, world.funding);
    world.offer(raised);
    world.accept().unwrap();
    world.fund(second.2).unwrap();
    world.succeed(105_000).unwrap();

    let released = |world: &World| {
        let entry = world.last_entry("escrow.released");
        let amount = |account: &str| lines(entry).into_iter().find(|line| line.1 == account).unwrap().2;
        (amount("2200"), amount("4100"), amount("4110"))
    };
    world.approve().unwrap();
    assert_eq!(released(&world), (85_000, 15_000, 5000), "the second, at 15%");
    (world.contract, world.milestone, world.funding) = first;
    world.approve().unwrap();
    assert_eq!(released(&world), (90_000, 10_000, 5000), "the first, at 10%");
}
