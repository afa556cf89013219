//! Payouts that do not arrive, or come back: what is booked, and what the payee can do then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::id::PayoutId;
use domain::payout::PayoutCommand;
use domain::refusal::Refusal;
use support::{World, assert_books, id, minor};

/// A world in which 900.00 are available, at the provider and to the payee.
fn earned() -> World {
    let mut world = World::new().funded();
    world.receipts();
    world.approve().unwrap();
    world.now += TimeDelta::days(5);
    world
}

fn payout(number: u128) -> PayoutId {
    PayoutId::from_uuid(id(number))
}

fn transferred(amount: i64) -> PayoutCommand {
    PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(amount) }
}

fn paid(number: u32) -> PayoutCommand {
    PayoutCommand::RecordPaid { bank_payout_ref: format!("po_{number}") }
}

fn failed(code: &str) -> PayoutCommand {
    PayoutCommand::RecordFailed { code: code.to_owned() }
}

/// The books of one contract that is over, with what the payee has at `at_payee` and is owed.
fn books(rest: &[(&'static str, i128)]) -> BTreeMap<&'static str, i128> {
    let platform = [("1120", 11_925), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];
    platform.iter().chain(rest).copied().collect()
}

/// J23: the transfer has happened, the bank payout has not. The money can be withdrawn again, and is not transferred
/// again: it lies at the payee's account at the provider.
#[test]
fn a_payout_that_failed_can_be_requested_again_without_a_transfer() {
    let mut world = earned();
    world.request_payout(payout(6), 90_000).unwrap();
    world.payout_fact(payout(6), transferred(90_000)).unwrap();
    let events = world.payout_fact(payout(6), failed("account_closed")).unwrap();
    assert_eq!(events, ["payout.failed", "payee.payout_failed_noted"]);
    assert_books(&world, "payout.failed", "J23");
    assert_eq!(world.balance(), books(&[("1130", 90_000), ("2210", -90_000)]));
    assert_eq!(world.payout_fact(payout(6), failed("account_closed")), Ok(Vec::new()), "told again");
    assert_eq!(world.payout_fact(payout(6), paid(1)), Ok(Vec::new()), "what failed stays failed");

    let too_much = world.request_payout(payout(7), 90_001);
    assert_eq!(too_much, Err(Refusal::InsufficientAvailable { available: minor(90_000) }));
    let before = world.entries().count();
    world.request_payout(payout(7), 90_000).unwrap();
    world.payout_fact(payout(7), paid(2)).unwrap();
    let booked: Vec<_> = world.entries().skip(before).map(|(event_type, _)| event_type).collect();
    assert_eq!(booked, ["payee.payout_reserved", "payout.paid"], "no transfer");
    assert_eq!(world.balance(), books(&[]));
}

/// J23 before the transfer: nothing lies at the payee's account, so that the next payout transfers all of it.
#[test]
fn a_payout_that_failed_before_its_transfer_is_transferred_later() {
    let mut world = earned();
    world.request_payout(payout(6), 90_000).unwrap();
    world.payout_fact(payout(6), failed("account_invalid")).unwrap();
    assert_books(&world, "payout.failed", "J23");
    let at_platform: BTreeMap<_, _> =
        [("1120", 101_925), ("2210", -90_000), ("4100", -10_000), ("4110", -5000), ("5100", 3075)].into();
    assert_eq!(world.balance(), at_platform);
    world.request_payout(payout(7), 90_000).unwrap();
    world.payout_fact(payout(7), transferred(90_000)).unwrap();
    world.payout_fact(payout(7), paid(1)).unwrap();
    assert_eq!(world.balance(), books(&[]));
}

/// J24: paid, and three days later the bank sends it back. It lies at the payee's account again.
#[test]
fn a_payout_that_came_back_can_be_requested_again() {
    let mut world = earned();
    world.request_payout(payout(6), 90_000).unwrap();
    world.payout_fact(payout(6), transferred(90_000)).unwrap();
    world.payout_fact(payout(6), paid(1)).unwrap();
    assert_eq!(world.balance(), books(&[]));
    world.now += TimeDelta::days(3);
    let events = world.payout_fact(payout(6), failed("account_closed")).unwrap();
    assert_eq!(events, ["payout.returned", "payee.payout_failed_noted"]);
    assert_books(&world, "payout.returned", "J24");
    assert_eq!(world.balance(), books(&[("1130", 90_000), ("2210", -90_000)]));
    assert_eq!(world.payout_fact(payout(6), failed("account_closed")), Ok(Vec::new()), "told again");
    world.request_payout(payout(7), 90_000).unwrap();
    assert_eq!(world.last_entry("payee.payout_reserved").value_date(), world.now.date_naive());
    world.payout_fact(payout(7), paid(2)).unwrap();
    assert_eq!(world.balance(), books(&[]));
}

/// I11, J21: the transfer is reported after the payout has failed. It is booked, nothing is paid to the bank, and the next
/// payout uses what lies there.
#[test]
fn a_transfer_that_is_reported_late_is_used_by_the_next_payout() {
    let mut world = earned();
    world.request_payout(payout(6), 90_000).unwrap();
    world.payout_fact(payout(6), failed("account_closed")).unwrap();
    let events = world.payout_fact(payout(6), transferred(90_000)).unwrap();
    assert_eq!(events, ["payout.late_transfer_recorded", "payee.late_transfer_noted"]);
    assert_books(&world, "payout.late_transfer_recorded", "J21");
    assert_eq!(world.balance(), books(&[("1120", 11_925), ("1130", 90_000), ("2210", -90_000)]));
    assert_eq!(world.payout_fact(payout(6), transferred(90_000)), Ok(Vec::new()), "told again");
    let late = world.last_event("payout.late_transfer_recorded").clone();
    let read = domain::event::DomainEvent::from_json("payout", &late.event_type, 1, &late.payload).unwrap();
    assert_eq!(domain::process::orders(late.metadata.event_id, &read), [], "nothing more is ordered");

    let before = world.entries().count();
    world.request_payout(payout(7), 90_000).unwrap();
    world.payout_fact(payout(7), paid(2)).unwrap();
    let booked: Vec<_> = world.entries().skip(before).map(|(event_type, _)| event_type).collect();
    assert_eq!(booked, ["payee.payout_reserved", "payout.paid"], "no transfer");
    assert_eq!(world.balance(), books(&[]));
}
