//! Money at the payee's account at the provider that has to come back to the platform.

use chrono::TimeDelta;
use domain::intent::Intent;
use domain::party::{AccountEnd, Party, PayoutAccount};
use domain::payout::ReversalState;
use domain::ports::provider::{ProviderReport, TransferReversalReport};
use domain::refusal::Refusal;

use super::desk::{ACCOUNT, Desk, p};
use super::money::{assert_journal, minor, payee};

/// 900.00 lie at the payee's account since a payout failed.
fn left_behind() -> Desk {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    desk.failed(1, "could_not_process");
    desk.world.now += TimeDelta::hours(1);
    desk
}

fn end(desk: &mut Desk, end: AccountEnd) -> Vec<String> {
    let mut status = desk.in_order("fp_1");
    status.end = Some(end);
    desk.tell_account(status)
}

fn link(account: &str) -> Intent {
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: account.to_owned() };
    Intent::LinkPayoutAccount { party_id: payee(), account, status: None }
}

/// D-133, J25: the account is closed: the money comes back, the payable stays; another account can be linked, and is paid
/// with a transfer of its own once it has cooled down.
#[test]
fn what_lies_at_a_closed_account_comes_back() {
    let mut desk = left_behind();
    let events = end(&mut desk, AccountEnd::Closed);
    let expected = ["party.psp_account_ended", "payee.call_back_requested", "payout.transfer_reversal_requested"];
    assert_eq!(events, expected);
    assert_eq!(end(&mut desk, AccountEnd::Closed), Vec::<String>::new(), "told again");
    assert!(matches!(desk.party(), Party::Registered { payout_account: None, .. }));
    desk.work();
    assert_journal(&desk.world.entry("payout.transfer_reversed"), "J25", &[]);
    assert_eq!((desk.net("1130"), desk.net("2210")), (0, -90_000));
    assert_eq!(desk.account().at_provider, minor(0));
    desk.check();
    assert_eq!(desk.request(2, 90_000), Err(Refusal::PayoutAccountRequired));
    desk.world.by_payee(link("acct_2")).unwrap();
    let available_at = desk.world.now + TimeDelta::hours(72);
    assert_eq!(desk.request(2, 90_000), Err(Refusal::DestinationCooling { available_at }), "it is not the first one");
    desk.world.now = available_at;
    desk.request(2, 90_000).unwrap();
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, minor(90_000));
    desk.work();
    desk.paid(2);
    desk.check();
    assert_eq!(desk.net("1130"), 0);
}

/// Until it is back, what lies at the former account is not paid out a second time through another one.
#[test]
fn what_lies_elsewhere_is_not_paid_twice() {
    let mut desk = left_behind();
    desk.provider.refuses_reversals = true;
    let events = desk.world.by_payee(link("acct_2")).unwrap();
    let expected = ["party.psp_account_linked", "payee.call_back_requested", "payout.transfer_reversal_requested"];
    assert_eq!(events, expected);
    desk.world.now += TimeDelta::hours(72);
    let nothing = Refusal::InsufficientAvailable { available: minor(0) };
    assert_eq!(desk.request(2, 1), Err(nothing.clone()), "it is on its way back");
    desk.work();
    let state = desk.payout(1).leftover().unwrap().reversals.values().next().unwrap().state;
    assert_eq!(state, ReversalState::Failed);
    for event_type in ["payout.transfer_reversal_failed", "payee.transfer_reversal_failed_noted"] {
        assert_eq!(desk.world.times_of(event_type), [desk.world.now], "{event_type}");
    }
    assert_eq!(desk.account().payouts.lots[0].psp_account, ACCOUNT, "it stays in 1130, and is seen there");
    assert_eq!(desk.request(2, 1), Err(nothing), "it did not come back");
    desk.check();
    // The way back to the former account is open.
    desk.world.by_payee(link(ACCOUNT)).unwrap();
    desk.world.now += TimeDelta::hours(72);
    desk.request(2, 90_000).unwrap();
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, minor(0));
    desk.check();
}

/// J25: a reversal that was said to have failed and happened all the same is booked (I11).
#[test]
fn a_reversal_that_happened_after_all_is_booked() {
    let mut desk = left_behind();
    desk.provider.refuses_reversals = true;
    end(&mut desk, AccountEnd::Deauthorized);
    desk.work();
    let (reversal_id, reversal) =
        desk.payout(1).leftover().unwrap().reversals.iter().map(|(id, it)| (*id, *it)).next().unwrap();
    desk.provider.platform += 90_000;
    *desk.provider.accounts.get_mut(ACCOUNT).unwrap() -= 90_000;
    let report = ProviderReport::TransferReversal(TransferReversalReport {
        reversal_ref: "trr_1".to_owned(),
        reversal_id: Some(reversal_id),
        payout_id: Some(p(1)),
        amount: reversal.amount,
        currency: ledger::Currency::USD,
    });
    assert_eq!(desk.tell(&report), ["payout.transfer_reversed", "payee.transfer_reversed_noted"]);
    assert_eq!(desk.tell(&report), Vec::<String>::new(), "told again");
    desk.check();
}

/// J25: each part goes back by the transfer that had brought it, also where a second payout had drawn on the first one's.
#[test]
fn each_part_goes_back_by_its_own_transfer() {
    let mut desk = Desk::d118();
    desk.request(1, 40_000).unwrap();
    desk.work();
    desk.failed(1, "could_not_process");
    desk.request(2, 90_000).unwrap();
    desk.work();
    desk.failed(2, "could_not_process");
    desk.world.now += TimeDelta::hours(1);
    end(&mut desk, AccountEnd::Closed);
    desk.work();
    let parts =
        |number| desk.payout(number).leftover().unwrap().reversals.values().map(|part| part.amount.get()).sum::<i64>();
    assert_eq!((parts(1), parts(2)), (40_000, 50_000));
    assert_eq!((desk.net("1130"), desk.provider.platform), (0, 101_925));
    desk.check();
}

/// A payout on its way when the account is taken away is not called back: the bank may have it. When it comes back later it
/// lies where nothing calls it back by itself: it is not paid twice, and an operator sees it.
#[test]
fn a_payout_on_its_way_is_waited_for() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    desk.world.now += TimeDelta::hours(1);
    assert_eq!(end(&mut desk, AccountEnd::Deauthorized), ["party.psp_account_ended"]);
    desk.failed(1, "could_not_process");
    desk.world.by_payee(link("acct_2")).unwrap();
    desk.world.now += TimeDelta::hours(72);
    assert_eq!(desk.request(2, 1), Err(Refusal::InsufficientAvailable { available: minor(0) }));
    desk.check();
}
