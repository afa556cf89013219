//! Gates that are shut after a payout was asked for: by what is asked for, before an approval, before an order.

use chrono::TimeDelta;
use domain::intent::{Intent, PayoutIntent};
use domain::party::{BankDestination, PayoutAccount};
use domain::payee::HoldReason;
use domain::payout::{Payout, PayoutPolicy};
use domain::ports::provider::ProviderOrder;
use domain::process;
use domain::refusal::Refusal;
use domain::rules::Rules;
use ledger::Currency;

use super::desk::{Desk, approver, finance, p};
use super::money::{assert_journal, minor, payee};

/// 900.00 are available, and the provider has told of a bank account.
fn ready() -> Desk {
    let mut desk = Desk::d118();
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    desk
}

/// The payee asks for another bank account.
fn ask(desk: &mut Desk, currency: Currency) -> ProviderOrder {
    let token = "btok_1".to_owned();
    let set = Intent::Payouts(PayoutIntent::RequestDestination { party_id: payee(), currency, token });
    assert_eq!(desk.world.by_payee(set).unwrap(), ["party.payout_destination_requested"]);
    desk.world.orders.last().unwrap().what.clone()
}

fn refuse(desk: &mut Desk, order: &ProviderOrder) {
    let [fact] = process::refused(order, "resource_missing").try_into().unwrap();
    assert_eq!(desk.world.fact(fact.command).unwrap(), ["party.payout_destination_refused"]);
}

/// All that is requested waits for staff.
fn approvals(desk: &mut Desk) {
    let policy = PayoutPolicy { approval_above: Some(minor(0)), ..PayoutPolicy::default() };
    let (payee_id, currency) = (payee(), Currency::USD);
    desk.staff(finance(), PayoutIntent::SetPolicy { payee_id, currency, policy }).unwrap();
}

fn approve(desk: &mut Desk, number: u128) -> Result<Vec<String>, Refusal> {
    desk.staff(finance(), PayoutIntent::Approve { payout_id: p(number) })
}

/// D-124: the gate is shut with the request for another bank account, and not with the provider's answer; the answer does not
/// shorten it.
#[test]
fn a_bank_account_that_is_asked_for_shuts_the_gate_at_once() {
    let mut desk = ready();
    let asked_at = desk.world.now;
    ask(&mut desk, Currency::USD);
    let available_at = asked_at + TimeDelta::hours(72);
    assert_eq!(desk.request(1, 1), Err(Refusal::DestinationCooling { available_at }));
    // The provider takes a day.
    desk.world.now += TimeDelta::days(1);
    let status = desk.in_order("fp_2");
    assert_eq!(desk.tell_account(status), ["party.payout_destination_changed"]);
    let later = desk.world.now + TimeDelta::hours(72);
    desk.world.now = available_at;
    assert_eq!(desk.request(1, 1), Err(Refusal::DestinationCooling { available_at: later }));
    desk.world.now = later;
    desk.request(1, 1).unwrap();
}

/// B.12: the first bank account for a currency shuts nothing.
#[test]
fn the_first_bank_account_shuts_nothing() {
    let mut desk = Desk::d118();
    ask(&mut desk, Currency::USD);
    desk.request(1, 1).unwrap();
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    ask(&mut desk, Currency::EUR);
    desk.request(2, 1).unwrap();
}

/// B.12: after a bank account that took no payouts the next one is a change, also while none is known.
#[test]
fn a_bank_account_after_a_blocked_one_is_a_change() {
    let mut desk = Desk::d118();
    desk.request(1, 10_000).unwrap();
    desk.work();
    desk.failed(1, "account_closed");
    ask(&mut desk, Currency::USD);
    assert_eq!(desk.standing().cooling_until(Currency::USD), Some(desk.world.now + TimeDelta::hours(72)));
}

/// B.12: the provider does not take the bank account: the one before is used at once, and as late as it was. While another
/// request may still change it, the gate stays shut.
#[test]
fn a_bank_account_that_is_not_taken_opens_the_gate_again() {
    let mut desk = ready();
    let first = ask(&mut desk, Currency::USD);
    desk.world.now += TimeDelta::hours(1);
    let second = ask(&mut desk, Currency::USD);
    let until = desk.world.now + TimeDelta::hours(72);
    refuse(&mut desk, &first);
    assert_eq!(desk.request(1, 1), Err(Refusal::DestinationCooling { available_at: until }));
    refuse(&mut desk, &second);
    desk.request(1, 1).unwrap();

    // It is no way around the time of a change that has happened.
    desk.world.now += TimeDelta::hours(1);
    let status = desk.in_order("fp_2");
    desk.tell_account(status);
    let until = desk.world.now + TimeDelta::hours(72);
    desk.world.now += TimeDelta::hours(1);
    let third = ask(&mut desk, Currency::USD);
    refuse(&mut desk, &third);
    assert_eq!(desk.request(2, 1), Err(Refusal::DestinationCooling { available_at: until }));
}

/// PM5: who has a bank account in euros only is paid euros only.
#[test]
fn a_currency_without_a_bank_account_is_not_paid() {
    let mut desk = Desk::d118();
    let mut status = desk.in_order("fp_1");
    status.destinations = vec![BankDestination { currency: Currency::EUR, fingerprint: "fp_1".to_owned() }];
    desk.tell_account(status);
    let refused = desk.request(1, 1).unwrap_err();
    assert_eq!(
        (refused.code(), &refused),
        ("destination_required", &Refusal::DestinationRequired { currency: Currency::USD })
    );
    let mut status = desk.in_order("fp_1");
    status.destinations.push(BankDestination { currency: Currency::EUR, fingerprint: "fp_1".to_owned() });
    desk.tell_account(status);
    desk.request(1, 1).unwrap();
}

/// PM5: what holds against a payee when staff approves holds against the payout; it waits on.
#[test]
fn an_approval_goes_through_the_gates() {
    let mut desk = ready();
    approvals(&mut desk);
    desk.request(1, 30_000).unwrap();
    desk.staff(finance(), PayoutIntent::Restrict { party_id: payee() }).unwrap();
    assert_eq!(approve(&mut desk, 1), Err(Refusal::PartyRestricted { reason: "staff" }));
    desk.staff(finance(), PayoutIntent::LiftRestriction { party_id: payee() }).unwrap();
    let asked = ask(&mut desk, Currency::USD);
    assert_eq!(approve(&mut desk, 1).unwrap_err().code(), "destination_cooling");
    refuse(&mut desk, &asked);
    let orders = desk.world.orders.len();
    assert_eq!(approve(&mut desk, 1).unwrap(), ["payout.approved"]);
    assert_eq!(desk.world.orders.len(), orders + 1);
    desk.work();
    desk.paid(1);

    // Through an account that is replaced nothing goes, however long ago that was.
    desk.request(2, 10_000).unwrap();
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_2".to_owned() };
    desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status: None }).unwrap();
    assert_eq!(approve(&mut desk, 2).unwrap_err().code(), "destination_cooling");
    desk.world.now += TimeDelta::hours(72);
    assert_eq!(approve(&mut desk, 2), Err(Refusal::PayoutAccountChanged));
    desk.staff(finance(), PayoutIntent::Cancel { payout_id: p(2) }).unwrap();
    desk.check();
}

/// PM5, J23: a transfer that waits for money is not begun once the gate is shut: the payout fails with the gate's code, the
/// money can be withdrawn again, and whoever waits behind it goes on.
#[test]
fn a_transfer_is_not_begun_while_the_gate_is_shut() {
    let mut desk = ready();
    desk.provider.platform = 0;
    desk.request(1, 90_000).unwrap();
    desk.work();
    assert_eq!(desk.payout(1).state_name(), "approved", "it waits for money");
    ask(&mut desk, Currency::USD);
    desk.provider.platform = 101_925;
    desk.work();
    let Payout::Failed { code, .. } = desk.payout(1) else { panic!("{:?}", desk.payout(1)) };
    assert_eq!((code.as_str(), desk.begun.len()), ("destination_cooling", 0));
    assert_journal(&desk.world.entry("payout.failed"), "J23", &[("P1", p(1).to_string())]);
    assert_eq!(desk.account().available, minor(90_000));
    desk.check();
    desk.world.now += TimeDelta::hours(72);
    desk.retry(2, 1).unwrap();
    desk.work();
    desk.paid(2);
    desk.check();
}

/// PM5, J23: the same between the transfer and the bank payout: what has moved lies at the payee's account, and the next
/// payout moves nothing.
#[test]
fn a_bank_payout_is_not_begun_while_the_gate_is_shut() {
    let mut desk = ready();
    desk.request(1, 90_000).unwrap();
    desk.transfer_only();
    assert_eq!(desk.payout(1).state_name(), "submitting");
    let order = desk.world.orders.last().unwrap().what.clone();
    assert!(matches!(order, ProviderOrder::PayToBank { .. }));
    assert_eq!(desk.gate(&order), None);
    desk.staff(finance(), PayoutIntent::Restrict { party_id: payee() }).unwrap();
    assert_eq!(desk.gate(&order), Some(Refusal::PartyRestricted { reason: "staff" }));
    desk.work();
    let Payout::Failed { code, .. } = desk.payout(1) else { panic!("{:?}", desk.payout(1)) };
    assert_eq!((code.as_str(), desk.account().at_provider), ("party_restricted", minor(90_000)));
    desk.check();
    desk.staff(finance(), PayoutIntent::LiftRestriction { party_id: payee() }).unwrap();
    desk.retry(2, 1).unwrap();
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, minor(0));
    desk.work();
    desk.paid(2);
    desk.check();
}

/// D-130, J18: a hit between transfer and bank payout: what comes back is held like everything else, and let go with it.
#[test]
fn what_a_suspicion_stops_is_held() {
    let mut desk = ready();
    desk.request(1, 90_000).unwrap();
    let currencies = vec![Currency::USD];
    let hit = PayoutIntent::RecordSanctionsHit { party_id: payee(), screening_ref: "scr_1".to_owned(), currencies };
    assert_eq!(desk.staff(finance(), hit).unwrap(), ["party.sanctions_hit_recorded"], "all of it is reserved");
    let order = desk.world.orders.last().unwrap().what.clone();
    let events = desk.withhold(&order);
    let expected = ["payout.failed", "payee.payout_failed_noted", "payee.earnings_held", "party.hold_noted"];
    assert_eq!(events, expected);
    assert_eq!(desk.withhold(&order), Vec::<String>::new(), "told again");
    assert_journal(&desk.world.entry("payee.earnings_held"), "J18", &[("kyc", "sanctions".to_owned())]);
    assert_eq!(desk.account().held.get(&HoldReason::Sanctions), Some(&minor(90_000)));
    desk.check();
    desk.staff(finance(), PayoutIntent::ProposeSanctionsClearance { party_id: payee() }).unwrap();
    desk.staff(approver(), PayoutIntent::ApproveSanctionsClearance { party_id: payee() }).unwrap();
    assert_eq!(desk.account().available, minor(90_000));
    desk.check();
}

/// I8: what was sent is not called off by a gate: its outcome is recorded.
#[test]
fn what_was_sent_is_not_withheld() {
    let mut desk = ready();
    desk.request(1, 90_000).unwrap();
    desk.work();
    let sent = desk.begun.clone();
    desk.staff(finance(), PayoutIntent::Restrict { party_id: payee() }).unwrap();
    for order in &sent {
        assert_eq!(desk.withhold(order), Vec::<String>::new(), "{order:?}");
    }
    assert_eq!(desk.payout(1).state_name(), "in_transit");
    desk.paid(1);
    desk.check();
}
