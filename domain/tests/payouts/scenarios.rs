//! D8: payouts that arrive, fail, come back, wait.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::ports::provider::ProviderOrder;
use domain::refusal::Refusal;
use domain::rules::Rules;

use super::desk::{Desk, p};
use super::money::{assert_journal, minor};

fn p1() -> [(&'static str, String); 1] {
    [("P1", p(1).to_string())]
}

/// What is left of D-118, with what the payee is owed.
fn books(rest: &[(&'static str, i128)]) -> BTreeMap<&'static str, i128> {
    let platform = [("1120", 11_925), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];
    platform.iter().chain(rest).copied().collect()
}

fn transferred(desk: &Desk) -> i64 {
    desk.provider.transfers.values().map(|(_, _, amount)| amount).sum()
}

/// D-118, J20, J21, J22: and the trial balance has four lines.
#[test]
fn a_payout_arrives() {
    let mut desk = Desk::d118();
    assert_eq!(desk.request(1, 90_000).unwrap(), ["payee.payout_reserved", "payout.requested"]);
    assert_journal(&desk.world.entry("payee.payout_reserved"), "J20", &p1());
    desk.work();
    assert_journal(&desk.world.entry("payout.transfer_completed"), "J21", &p1());
    assert_eq!(desk.payout(1).state_name(), "in_transit");
    desk.check();
    assert_eq!(desk.paid(1), ["payout.paid", "payee.payout_paid_noted"]);
    assert_journal(&desk.world.entry("payout.paid"), "J22", &p1());
    assert_eq!(desk.world.balance(), books(&[]));
    desk.check();
}

/// D-119, D-120, J23: the bank account is closed. The money stays at the payee's account at the provider; with another
/// bank account, once that has cooled down, a new payout transfers nothing.
#[test]
fn a_payout_that_failed_is_made_again_without_a_transfer() {
    let mut desk = Desk::d118();
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    desk.request(1, 90_000).unwrap();
    desk.work();
    let events = desk.failed(1, "account_closed");
    let expected =
        ["payout.failed", "payee.payout_failed_noted", "party.payout_destination_blocked", "party.funds_left_noted"];
    assert_eq!(events, expected);
    assert_journal(&desk.world.entry("payout.failed"), "J23", &p1());
    assert_eq!(desk.world.balance(), books(&[("1130", 90_000), ("2210", -90_000)]));
    desk.check();
    let blocked = Refusal::DestinationBlocked { code: "account_closed".to_owned() };
    assert_eq!(desk.retry(2, 1), Err(blocked.clone()));
    assert_eq!(blocked.to_string(), "the bank account does not take payouts (account_closed); add another one");
    desk.world.now += TimeDelta::hours(1);
    let status = desk.in_order("fp_1");
    assert_eq!(desk.tell_account(status), Vec::<String>::new(), "the same bank account is no news");
    assert_eq!(desk.retry(2, 1), Err(blocked));

    let status = desk.in_order("fp_2");
    assert_eq!(desk.tell_account(status), ["party.payout_destination_changed"]);
    let available_at = desk.world.now + TimeDelta::hours(72);
    assert_eq!(desk.retry(2, 1), Err(Refusal::DestinationCooling { available_at }));
    desk.world.now = available_at;
    let before = desk.world.appends.len();
    assert_eq!(desk.retry(2, 1).unwrap(), ["payee.payout_reserved", "payout.requested"]);
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, minor(0));
    desk.work();
    desk.paid(2);
    let booked = desk.world.appends[before..].iter().flat_map(|append| &append.events);
    let booked: Vec<_> = booked.filter(|event| event.journal.is_some()).map(|event| &*event.event_type).collect();
    assert_eq!(booked, ["payee.payout_reserved", "payout.paid"], "J20 and J22 only");
    assert_eq!(transferred(&desk), 90_000);
    assert_eq!(desk.world.balance(), books(&[]));
    desk.check();
    let reserved = desk.world.log.iter().rev().find(|event| event.event_type == "payee.payout_reserved").unwrap();
    assert!(reserved.payload.contains(&format!("\"retry_of\":\"{}\"", p(1))), "{}", reserved.payload);
}

/// J23: a failure whose reason is not the bank account keeps nobody from trying again at once.
#[test]
fn another_failure_does_not_block_the_bank_account() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    let events = desk.failed(1, "could_not_process");
    assert_eq!(events, ["payout.failed", "payee.payout_failed_noted", "party.funds_left_noted"]);
    assert_eq!(desk.request(2, 90_001), Err(Refusal::InsufficientAvailable { available: minor(90_000) }));
    desk.retry(2, 1).unwrap();
    desk.work();
    desk.paid(2);
    assert_eq!(transferred(&desk), 90_000);
    desk.check();
}

/// Only the shortfall is transferred: 400.00 lie there, 900.00 are paid out. A retry is for what failed, and by its payee.
#[test]
fn only_the_shortfall_is_transferred() {
    let mut desk = Desk::d118();
    desk.request(1, 40_000).unwrap();
    assert_eq!(desk.retry(2, 1), Err(Refusal::PayoutWrongState { action: "made again", state: "transferring" }));
    assert_eq!(desk.retry(2, 7), Err(Refusal::NotFound { what: "payout" }));
    desk.work();
    desk.failed(1, "could_not_process");
    desk.request(2, 90_000).unwrap();
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, minor(50_000));
    desk.work();
    desk.check();
    // It fails, too: both parts lie there.
    desk.failed(2, "could_not_process");
    desk.check();
    assert_eq!(desk.account().at_provider, minor(90_000));
    desk.request(3, 90_000).unwrap();
    desk.work();
    desk.paid(3);
    assert_eq!(transferred(&desk), 90_000);
    assert_eq!(desk.world.balance(), books(&[]));
    desk.check();
}

/// D-122, J24: paid, and three days later the bank sends it back.
#[test]
fn paid_is_not_final() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    desk.paid(1);
    desk.world.now += TimeDelta::days(3);
    let events = desk.failed(1, "no_account");
    assert_eq!(events[..2], ["payout.returned", "payee.payout_failed_noted"]);
    assert_journal(&desk.world.entry("payout.returned"), "J24", &p1());
    assert_eq!((desk.payout(1).state_name(), desk.account().available), ("returned", minor(90_000)));
    assert_eq!(desk.world.balance(), books(&[("1130", 90_000), ("2210", -90_000)]));
    desk.check();
}

/// D-123: 600.00 are at the provider. 900.00 wait, what is asked for later waits behind them, and nothing goes in part.
#[test]
fn too_little_at_the_provider_waits_oldest_first() {
    let mut desk = Desk::earned(&[100_000, 60_000]);
    desk.receive(2, 3000, 60_000);
    desk.request(1, 90_000).unwrap();
    desk.request(2, 10_000).unwrap();
    desk.work();
    assert_eq!((desk.payout(1).state_name(), desk.payout(2).state_name()), ("approved", "approved"));
    assert_eq!(transferred(&desk), 0);
    desk.check();
    desk.work();
    assert_eq!(desk.world.times_of("payout.funds_awaited").len(), 2, "it is said once");
    desk.receive(1, 3075, 101_925);
    desk.work();
    assert_eq!((desk.payout(1).state_name(), desk.payout(2).state_name()), ("in_transit", "in_transit"));
    let moved = desk.world.log.iter().filter(|event| event.event_type == "payout.transfer_completed");
    let order: Vec<_> = moved.map(|event| event.stream.aggregate_id.clone()).collect();
    assert_eq!(order, [p(1).to_string(), p(2).to_string()]);
    desk.check();
}

/// D-131, as far as the domain goes: a payout on its way is read again once it should have arrived, and until its end. How
/// often is the worker's.
#[test]
fn a_lost_notice_is_made_up_for() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    let read = desk.world.orders.last().unwrap().clone();
    assert_eq!(read.not_before, Some(desk.world.now + TimeDelta::days(2)));
    assert!(matches!(&read.what, ProviderOrder::ReadBankPayout { payout_id, .. } if *payout_id == p(1)));
}
