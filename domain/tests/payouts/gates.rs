//! What stands before a payout: the party, the bank account, staff, the amount, the schedule.

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::id::PayoutId;
use domain::intent::{Intent, PayoutIntent};
use domain::payee::HoldReason;
use domain::payout::{PayoutPolicy, PayoutSchedule};
use domain::ports::provider::ProviderOrder;
use domain::refusal::Refusal;
use domain::rules::Rules;
use ledger::Currency;

use super::desk::{Desk, approver, at, finance, p};
use super::money::{assert_journal, client, minor, payee, staff};

fn schedule(schedule: PayoutSchedule, minimum: i64) -> Intent {
    let (payee_id, currency, minimum) = (payee(), Currency::USD, minor(minimum));
    Intent::Payouts(PayoutIntent::SetSchedule { payee_id, currency, schedule, minimum })
}

fn policy(policy: PayoutPolicy) -> PayoutIntent {
    PayoutIntent::SetPolicy { payee_id: payee(), currency: Currency::USD, policy }
}

/// D-124: the bank account was changed ten hours ago; the first one was no change.
#[test]
fn a_changed_bank_account_cools_down() {
    let mut desk = Desk::d118();
    let status = desk.in_order("fp_1");
    let first = desk.tell_account(status);
    assert_eq!(first, ["party.psp_requirements_changed", "party.payout_destination_changed"]);
    desk.request(1, 10_000).unwrap();
    desk.world.now += TimeDelta::hours(1);
    let status = desk.in_order("fp_2");
    assert_eq!(desk.tell_account(status), ["party.payout_destination_changed"]);
    let available_at = desk.world.now + TimeDelta::hours(72);
    desk.world.now += TimeDelta::hours(10);
    let refused = desk.request(2, 10_000).unwrap_err();
    assert_eq!((refused.code(), &refused), ("destination_cooling", &Refusal::DestinationCooling { available_at }));
    desk.world.now = available_at - TimeDelta::milliseconds(1);
    assert_eq!(desk.request(2, 10_000), Err(Refusal::DestinationCooling { available_at }));
    desk.world.now = available_at;
    desk.request(2, 10_000).unwrap();
}

/// D-125: at midnight the schedule pays all; a request of the same instant finds nothing. The day after there is nothing.
#[test]
fn a_schedule_and_a_request_do_not_pay_twice() {
    let mut desk = Desk::d118();
    desk.world.by_payee(schedule(PayoutSchedule::Daily, 0)).unwrap();
    desk.world.now = at("2026-12-07T00:00:00Z");
    assert_eq!(desk.request(1, 90_000), Err(Refusal::InsufficientAvailable { available: minor(0) }));
    let reserved = desk.world.times_of("payee.payout_reserved");
    assert_eq!(reserved, [at("2026-12-07T00:00:00Z")]);
    desk.work();
    desk.check();
    let id: PayoutId = desk.provider.bank_payouts.values().next().unwrap().payout_id;
    desk.bank_of(id, domain::ports::provider::BankPayoutStatus::Paid);
    assert_eq!(desk.world.balance().get("2250"), None);
    // However late somebody looks, each day comes once.
    desk.world.now = at("2026-12-09T13:00:00Z");
    desk.wake();
    let reached = desk.world.times_of("payee.payout_schedule_reached");
    assert_eq!(reached[1..], [at("2026-12-08T00:00:00Z"), at("2026-12-09T00:00:00Z")]);
    let last = desk.world.log.iter().rev().find(|event| event.event_type == "payee.payout_schedule_reached").unwrap();
    assert!(last.payload.contains("\"skipped\":\"nothing_available\""), "{}", last.payload);
    assert_eq!(desk.world.times_of("payee.payout_reserved").len(), 1);
}

/// Earnings that clear at the instant of the schedule are paid with it; less than the minimum waits for the next day.
#[test]
fn a_schedule_has_a_day_and_a_minimum() {
    let mut desk = Desk::released(&[100_000]);
    desk.receive(1, 3075, 101_925);
    let set = desk.world.by_payee(schedule(PayoutSchedule::Weekly { day: 1 }, 90_001)).unwrap();
    assert_eq!(set, ["payee.payout_schedule_changed"]);
    assert_eq!(
        desk.world.by_payee(schedule(PayoutSchedule::Weekly { day: 8 }, 0)).unwrap_err().code(),
        "validation_failed"
    );
    assert_eq!(desk.world.by_client(schedule(PayoutSchedule::Daily, 0)), Err(Refusal::NotAParty));
    // Monday, after the clearance of 6 December.
    desk.world.now = at("2026-12-07T00:00:00Z");
    desk.wake();
    assert!(desk.world.times_of("payee.payout_reserved").is_empty(), "below the minimum");
    desk.world.by_payee(schedule(PayoutSchedule::Monthly { day: 31 }, 90_000)).unwrap();
    desk.world.now = at("2027-01-05T00:00:00Z");
    desk.wake();
    assert_eq!(desk.world.times_of("payee.payout_reserved"), [at("2026-12-31T00:00:00Z")]);
    desk.world.by_payee(schedule(PayoutSchedule::Manual, 0)).unwrap();
    assert!(desk.account().timers(&domain::payee::stream(Desk::account_id())).is_empty());
}

/// A gate that is shut shuts the schedule, too; it says why, and looks again the next day.
#[test]
fn a_schedule_goes_through_the_gates() {
    let mut desk = Desk::d118();
    let status = desk.restricted();
    desk.tell_account(status);
    desk.world.by_payee(schedule(PayoutSchedule::Daily, 0)).unwrap();
    desk.world.now = at("2026-12-07T00:00:00Z");
    desk.wake();
    let reached =
        desk.world.log.iter().rev().find(|event| event.event_type == "payee.payout_schedule_reached").unwrap();
    assert!(reached.payload.contains("\"skipped\":\"party_restricted\""), "{}", reached.payload);
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    desk.world.now = at("2026-12-08T00:00:00Z");
    desk.wake();
    assert_eq!(desk.world.times_of("payee.payout_reserved"), [at("2026-12-08T00:00:00Z")]);
}

/// A payout above the threshold waits for staff, with its money set aside; nothing is ordered before.
#[test]
fn a_large_payout_waits_for_staff() {
    let mut desk = Desk::d118();
    let limit = PayoutPolicy { approval_above: Some(minor(50_000)), ..PayoutPolicy::default() };
    let no = Refusal::Forbidden { who: "staff", action: "set the policy of payouts" };
    assert_eq!(desk.staff(staff(StaffRole::Support), policy(limit)), Err(no.clone()));
    assert_eq!(desk.staff(Actor::Payee(payee()), policy(limit)), Err(no));
    desk.staff(finance(), policy(limit)).unwrap();
    desk.request(1, 50_000).unwrap();
    assert_eq!(desk.payout(1).state_name(), "transferring", "not above");
    let orders = desk.world.orders.len();
    let limit = PayoutPolicy { approval_above: Some(minor(10_000)), ..PayoutPolicy::default() };
    desk.staff(Actor::System(SystemPart::Operator), policy(limit)).unwrap();
    assert_eq!(desk.request(2, 40_000).unwrap(), ["payee.payout_reserved", "payout.approval_required"]);
    assert_eq!(desk.world.orders.len(), orders, "nothing is ordered");
    assert_eq!(desk.request(3, 1), Err(Refusal::InsufficientAvailable { available: minor(0) }));

    let approve = PayoutIntent::Approve { payout_id: p(2) };
    let forbidden = Refusal::Forbidden { who: "staff", action: "approve a payout" };
    assert_eq!(desk.staff(Actor::Payee(payee()), approve.clone()), Err(forbidden.clone()));
    assert_eq!(desk.staff(Actor::Client(client()), approve.clone()), Err(Refusal::NotAParty));
    assert_eq!(desk.staff(staff(StaffRole::Auditor), approve.clone()), Err(forbidden));
    // Whose money it is does not approve it as staff either.
    let own = desk.staff(Actor::Staff(StaffRole::Finance, payee()), approve.clone());
    assert_eq!(own, Err(Refusal::FourEyesViolation));
    assert_eq!(desk.staff(finance(), approve.clone()).unwrap(), ["payout.approved"]);
    assert!(
        matches!(&desk.world.orders.last().unwrap().what, ProviderOrder::MoveToPayee { payout_id, .. } if *payout_id == p(2))
    );
    let again = Refusal::PayoutWrongState { action: "approved", state: "transferring" };
    assert_eq!(desk.staff(finance(), approve), Err(again));
    desk.work();
    desk.paid(2);
    desk.check();
}

/// J23: what staff rejects, or the payee takes back while it waits, can be withdrawn again; what is ordered cannot be called
/// off.
#[test]
fn a_payout_that_waits_can_be_cancelled() {
    let mut desk = Desk::d118();
    let limit = PayoutPolicy { approval_above: Some(minor(0)), ..PayoutPolicy::default() };
    desk.staff(finance(), policy(limit)).unwrap();
    for (number, actor) in [(1, Actor::Payee(payee())), (2, finance())] {
        desk.request(number, 90_000).unwrap();
        let cancel = PayoutIntent::Cancel { payout_id: p(number) };
        assert_eq!(desk.staff(Actor::Client(client()), cancel.clone()), Err(Refusal::NotAParty));
        let events = desk.staff(actor, cancel.clone()).unwrap();
        assert_eq!(events, ["payout.cancelled", "payee.payout_reservation_released"]);
        assert_journal(&desk.world.entry("payout.cancelled"), "J23", &[("P1", p(number).to_string())]);
        let again = Refusal::PayoutWrongState { action: "cancelled", state: "cancelled" };
        assert_eq!(desk.staff(actor, cancel), Err(again));
        desk.check();
    }
    desk.staff(finance(), policy(PayoutPolicy::default())).unwrap();
    desk.request(3, 90_000).unwrap();
    let late = Refusal::PayoutWrongState { action: "cancelled", state: "transferring" };
    assert_eq!(desk.staff(finance(), PayoutIntent::Cancel { payout_id: p(3) }), Err(late));
}

/// Less than the platform's minimum is not paid out.
#[test]
fn a_policy_has_a_minimum() {
    let mut desk = Desk::d118();
    let least = PayoutPolicy { minimum: minor(2000), ..PayoutPolicy::default() };
    assert_eq!(desk.staff(finance(), policy(least)).unwrap(), ["payee.payout_policy_set"]);
    assert_eq!(desk.request(1, 1999), Err(Refusal::BelowMinimum { minimum: minor(2000) }));
    desk.request(1, 2000).unwrap();
}

/// D-127: the provider says that 120.00 are missing there: nothing is sent, and the difference has a name.
#[test]
fn nothing_is_sent_to_an_account_below_zero() {
    let mut desk = Desk::d118();
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    desk.world.now += TimeDelta::hours(1);
    let status = desk.short_of(12_000);
    assert_eq!(desk.tell_account(status.clone()), ["party.psp_balance_negative"]);
    assert_eq!(desk.tell_account(status), Vec::<String>::new(), "told again");
    let event = desk.world.log.last().unwrap();
    assert!(event.payload.contains("\"break_id\":\"brk_"), "{}", event.payload);
    let refused = desk.request(1, 90_000).unwrap_err();
    assert_eq!(
        (refused.code(), &refused),
        ("negative_psp_balance", &Refusal::NegativePspBalance { shortfall: minor(12_000) })
    );
    desk.world.now += TimeDelta::hours(1);
    let status = desk.in_order("fp_1");
    assert_eq!(desk.tell_account(status), ["party.psp_balance_restored"]);
    desk.request(1, 90_000).unwrap();
}

/// What somebody owes stops payouts, unless the policy says otherwise.
#[test]
fn a_policy_may_pay_debtors() {
    let mut desk = Desk::earned(&[100_000, 100_000]);
    desk.request(1, 175_000).unwrap();
    let give_back = domain::intent::MoneyIntent::GiveBack {
        contract_id: super::money::contract(),
        milestone_id: super::money::m(1),
        refund_id: super::money::r(1),
        amount: minor(20_000),
        currency: None,
    };
    desk.world.by_payee(Intent::Money(give_back)).unwrap();
    assert_eq!(desk.request(2, 10_000), Err(Refusal::PayeeInDebt { debt: minor(13_000) }));
    let lenient = PayoutPolicy { pays_debtors: true, ..PayoutPolicy::default() };
    desk.staff(finance(), policy(lenient)).unwrap();
    assert_eq!(desk.request(2, 10_000), Err(Refusal::InsufficientAvailable { available: minor(0) }));
    // What comes back pays the debt off.
    let cancelled = desk.tell_cancelled(1);
    assert_eq!(cancelled[..3], ["payout.failed", "payee.payout_failed_noted", "payee.debt_recovered"]);
    desk.request(2, 162_000).unwrap();
}

fn hit() -> PayoutIntent {
    let currencies = vec![Currency::USD, Currency::EUR];
    PayoutIntent::RecordSanctionsHit { party_id: payee(), screening_ref: "scr_1".to_owned(), currencies }
}

/// D-130, J18, J19: what is available is held at once, nothing is paid, what clears later is held, too; two members of staff
/// let it go.
#[test]
fn a_hit_on_a_list_of_sanctions_holds_everything() {
    let mut desk = Desk::earned(&[100_000]);
    desk.receive(1, 3075, 101_925);
    assert_eq!(desk.staff(Actor::Payee(payee()), hit()), Err(Refusal::NotAParty));
    let events = desk.staff(finance(), hit()).unwrap();
    assert_eq!(events, ["party.sanctions_hit_recorded", "payee.earnings_held", "party.hold_noted"]);
    assert_journal(&desk.world.entry("payee.earnings_held"), "J18", &[("kyc", "sanctions".to_owned())]);
    assert_eq!(desk.staff(finance(), hit()).unwrap(), Vec::<String>::new(), "told again");
    assert_eq!(desk.request(1, 1), Err(Refusal::PartyRestricted { reason: "sanctions" }));

    let approve = PayoutIntent::ApproveSanctionsClearance { party_id: payee() };
    let propose = PayoutIntent::ProposeSanctionsClearance { party_id: payee() };
    assert_eq!(desk.staff(approver(), approve.clone()), Err(Refusal::NotFound { what: "proposal" }));
    let auditor = Refusal::Forbidden { who: "staff", action: "drop a hit on a list of sanctions" };
    assert_eq!(desk.staff(staff(StaffRole::Auditor), propose.clone()), Err(auditor));
    assert_eq!(desk.staff(finance(), propose.clone()).unwrap(), ["party.sanctions_clearance_proposed"]);
    assert_eq!(desk.staff(finance(), approve.clone()), Err(Refusal::FourEyesViolation));
    let events = desk.staff(approver(), approve).unwrap();
    assert_eq!(events, ["party.sanctions_cleared", "payee.earnings_hold_released"]);
    assert_journal(&desk.world.entry("payee.earnings_hold_released"), "J19", &[("kyc", "sanctions".to_owned())]);
    assert_eq!(desk.staff(finance(), propose), Err(Refusal::NotRestricted));
    desk.check();
    desk.request(1, 90_000).unwrap();
}

/// D-130: releases of other contracts continue, to what is held.
#[test]
fn what_clears_under_suspicion_is_held() {
    let mut desk = Desk::released(&[100_000]);
    desk.receive(1, 3075, 101_925);
    desk.staff(Actor::System(SystemPart::Operator), hit()).unwrap();
    desk.world.now += TimeDelta::days(5);
    desk.wake();
    assert_eq!(desk.account().held.get(&HoldReason::Sanctions), Some(&minor(90_000)));
    desk.check();
}

/// Staff stops a party, and lets it be paid again; each once.
#[test]
fn staff_restricts_a_party() {
    let mut desk = Desk::d118();
    let restrict = PayoutIntent::Restrict { party_id: payee() };
    let lift = PayoutIntent::LiftRestriction { party_id: payee() };
    assert_eq!(desk.staff(finance(), lift.clone()), Err(Refusal::NotRestricted));
    let forbidden = Refusal::Forbidden { who: "staff", action: "restrict a party" };
    assert_eq!(desk.staff(staff(StaffRole::Support), restrict.clone()), Err(forbidden));
    assert_eq!(desk.staff(finance(), restrict.clone()).unwrap(), ["party.restricted"]);
    assert_eq!(desk.staff(finance(), restrict), Err(Refusal::PartyRestricted { reason: "staff" }));
    assert_eq!(desk.request(1, 1), Err(Refusal::PartyRestricted { reason: "staff" }));
    assert_eq!(desk.staff(finance(), lift).unwrap(), ["party.restriction_lifted"]);
    desk.request(1, 1).unwrap();
}
