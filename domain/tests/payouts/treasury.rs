//! The platform's own money, coverage, and what the provider does by itself.

use domain::actor::{Actor, StaffRole, SystemPart};
use domain::command::Command;
use domain::id::{SweepId, TopUpId};
use domain::intent::PayoutIntent;
use domain::ports::provider::{
    BankPayoutStatus, PlatformPayoutReport, ProviderOrder, ProviderReport, TopUpReport, TopUpStatus,
};
use domain::process;
use domain::refusal::Refusal;
use domain::treasury::{Coverage, Direction, TreasuryCommand as T, TreasuryId};
use ledger::{Currency, TrialBalance};

use super::desk::{Desk, approver, at, finance};
use super::money::world::World;
use super::money::{assert_journal, minor, payee, staff, uuid};

fn id() -> TreasuryId {
    TreasuryId { psp: "stripe".to_owned(), currency: Currency::USD }
}

fn on(command: T) -> PayoutIntent {
    PayoutIntent::Treasury { id: id(), command }
}

fn sweep_id(number: u128) -> SweepId {
    SweepId::from_uuid(uuid(800 + number))
}

/// The coverage by the books of the moment.
fn coverage(desk: &Desk) -> Coverage {
    let mut books = TrialBalance::new();
    let events = desk.world.appends.iter().flat_map(|append| &append.events);
    events.filter_map(|event| event.journal.as_ref()).for_each(|entry| books.add(entry));
    Coverage::of(&books, Currency::USD)
}

fn fact(desk: &mut Desk, command: T) -> Vec<String> {
    desk.world.fact(Command::Treasury(id(), command)).unwrap()
}

/// D-118 is over: all of what is left is the platform's.
fn over() -> Desk {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    desk.work();
    desk.paid(1);
    desk
}

fn propose(desk: &Desk, number: u128, amount: i64, buffer: i64) -> PayoutIntent {
    let (sweep_id, amount, buffer) = (sweep_id(number), minor(amount), minor(buffer));
    on(T::ProposeSweep { sweep_id, amount, buffer, coverage: coverage(desk) })
}

fn approve(desk: &Desk, number: u128) -> PayoutIntent {
    on(T::ApproveSweep { sweep_id: sweep_id(number), coverage: coverage(desk) })
}

fn platform_payout(sweep: Option<u128>, amount: i64, status: BankPayoutStatus) -> ProviderReport {
    ProviderReport::PlatformPayout(PlatformPayoutReport {
        psp: "stripe".to_owned(),
        bank_payout_ref: "po_platform".to_owned(),
        sweep_id: sweep.map(sweep_id),
        amount: minor(amount),
        currency: Currency::USD,
        automatic: sweep.is_none(),
        status,
    })
}

fn failed() -> BankPayoutStatus {
    BankPayoutStatus::Failed { code: "account_closed".to_owned() }
}

/// B.11, D-189: after the funding 30.75 are missing, after the release 119.25 are the platform's; each turn is told once.
#[test]
fn coverage_is_that_of_the_specification() {
    let nothing = Coverage::of(&TrialBalance::new(), Currency::USD);
    assert_eq!((nothing.surplus(), nothing.required_float()), (0, minor(0)));
    let mut desk = funded();
    assert_eq!((coverage(&desk).surplus(), coverage(&desk).required_float()), (-3075, minor(3075)));
    assert_eq!(coverage(&desk).may_be_taken(minor(0), minor(0)), minor(0));
    let low = coverage(&desk);
    assert_eq!(fact(&mut desk, T::NoteCoverage { coverage: low }), ["treasury.coverage_fell"]);
    assert!(desk.world.log.last().unwrap().payload.contains("\"required_float\":3075"));
    assert_eq!(fact(&mut desk, T::NoteCoverage { coverage: low }), Vec::<String>::new());
    assert_eq!(desk.staff(finance(), propose(&desk, 1, 1, 0)), Err(Refusal::ExceedsSurplus { surplus: minor(0) }));
    desk.world.approve(1).unwrap();
    let good = coverage(&desk);
    assert_eq!(good.surplus(), 11_925);
    assert_eq!(fact(&mut desk, T::NoteCoverage { coverage: good }), ["treasury.coverage_restored"]);
    assert_eq!(fact(&mut desk, T::NoteCoverage { coverage: good }), Vec::<String>::new());
}

/// Funded, its money available, nothing released.
fn funded() -> Desk {
    let mut desk = Desk::of(World::f0(&[100_000]));
    desk.receive(1, 3075, 101_925);
    desk
}

/// Taxes, and money under contest, are nobody's to take.
#[test]
fn taxes_and_money_under_contest_are_not_the_platforms() {
    let at_hand = Coverage {
        currency: Currency::USD,
        cash: 10_000,
        contingent: 500,
        liabilities: 7000,
        taxes: 1000,
        exchanged: 0,
    };
    assert_eq!(at_hand.surplus(), 3000);
    assert_eq!(at_hand.may_be_taken(minor(0), minor(0)), minor(2000));
    assert_eq!(at_hand.may_be_taken(minor(600), minor(400)), minor(1000));
    assert_eq!(at_hand.may_be_taken(minor(5000), minor(0)), minor(0));
}

/// J80: own money arrives; a top-up of the dashboard, too; each once, and a reversal undoes it.
#[test]
fn the_balance_is_topped_up() {
    let mut desk = over();
    let top_up_id = TopUpId::from_uuid(uuid(850));
    let request = on(T::RequestTopUp { top_up_id, amount: minor(200_000) });
    let forbidden = Refusal::Forbidden { who: "finance", action: "top a balance up" };
    for actor in [Actor::Payee(payee()), staff(StaffRole::Moderator), Actor::System(SystemPart::Operator)] {
        assert_eq!(desk.staff(actor, request.clone()), Err(forbidden.clone()));
    }
    let nothing = on(T::RequestTopUp { top_up_id, amount: minor(0) });
    assert_eq!(desk.staff(finance(), nothing).unwrap_err().code(), "validation_failed");
    assert_eq!(desk.staff(finance(), request.clone()).unwrap(), ["treasury.top_up_requested"]);
    assert_eq!(desk.staff(finance(), request), Ok(Vec::new()), "asked again");
    let ordered = ProviderOrder::TopUp { top_up_id, amount: minor(200_000), currency: Currency::USD };
    assert_eq!(desk.world.orders.last().unwrap().what, ordered);

    let report = |name: &str, status| {
        ProviderReport::TopUp(TopUpReport {
            psp: "stripe".to_owned(),
            top_up_ref: name.to_owned(),
            top_up_id: (name == "tu_1").then_some(top_up_id),
            amount: minor(200_000),
            currency: Currency::USD,
            status,
        })
    };
    assert_eq!(desk.tell(&report("tu_1", TopUpStatus::Pending)), Vec::<String>::new());
    assert_eq!(desk.tell(&report("tu_1", TopUpStatus::Succeeded)), ["treasury.psp_topped_up"]);
    assert_journal(&desk.world.entry("treasury.psp_topped_up"), "J80", &[]);
    assert_eq!(desk.tell(&report("tu_1", TopUpStatus::Succeeded)), Vec::<String>::new(), "told again");
    assert_eq!(desk.net("1120"), 211_925);
    assert_eq!(desk.tell(&report("tu_1", TopUpStatus::Reversed)), ["treasury.top_up_reversed"]);
    assert_eq!((desk.net("1120"), desk.net("1010")), (11_925, 0));
    // Its arrival was never told.
    let both = ["treasury.psp_topped_up", "treasury.top_up_reversed"];
    assert_eq!(desk.tell(&report("tu_2", TopUpStatus::Reversed)), both);
    let code = "insufficient_funds".to_owned();
    assert_eq!(desk.tell(&report("tu_3", TopUpStatus::Failed { code })), ["treasury.top_up_failed"]);
    assert_eq!((desk.net("1120"), desk.net("1010")), (11_925, 0));
    let refused = process::refused(&ordered, "no_bank").remove(0);
    assert_eq!(desk.world.fact(refused.command.clone()).unwrap(), ["treasury.top_up_failed"]);
    assert_eq!(desk.world.fact(refused.command), Ok(Vec::new()), "told again");
}

/// J81, B.11: 119.25 are the platform's, and not a cent more; two members of staff take it out.
#[test]
fn a_sweep_is_limited_to_the_surplus() {
    let mut desk = over();
    let none = Refusal::ExceedsSurplus { surplus: minor(11_925) };
    assert_eq!(desk.staff(finance(), propose(&desk, 1, 11_926, 0)), Err(none.clone()));
    assert_eq!(none.code(), "exceeds_platform_surplus");
    let buffered = Refusal::ExceedsSurplus { surplus: minor(1925) };
    assert_eq!(desk.staff(finance(), propose(&desk, 1, 1926, 10_000)), Err(buffered));
    assert_eq!(desk.staff(finance(), propose(&desk, 1, 11_925, 0)).unwrap(), ["treasury.sweep_proposed"]);
    assert_eq!(desk.staff(finance(), propose(&desk, 1, 11_925, 0)), Ok(Vec::new()), "asked again");
    let rest = Refusal::ExceedsSurplus { surplus: minor(0) };
    assert_eq!(desk.staff(approver(), propose(&desk, 2, 1, 0)), Err(rest), "it is on its way already");
    assert_eq!(desk.staff(approver(), approve(&desk, 2)), Err(Refusal::NotFound { what: "sweep" }));
    assert_eq!(desk.staff(finance(), approve(&desk, 1)), Err(Refusal::FourEyesViolation));
    let forbidden = Refusal::Forbidden { who: "finance", action: "take money out of a balance" };
    assert_eq!(desk.staff(staff(StaffRole::Moderator), approve(&desk, 1)), Err(forbidden));
    let euros = Coverage { currency: Currency::EUR, ..coverage(&desk) };
    let wrong = on(T::ApproveSweep { sweep_id: sweep_id(1), coverage: euros });
    assert_eq!(desk.staff(approver(), wrong).unwrap_err().code(), "currency_mismatch");
    // Meanwhile the surplus has gone.
    let gone = Coverage { liabilities: 1, ..coverage(&desk) };
    let late = on(T::ApproveSweep { sweep_id: sweep_id(1), coverage: gone });
    assert_eq!(desk.staff(approver(), late), Err(Refusal::ExceedsSurplus { surplus: minor(11_924) }));
    assert_eq!(desk.staff(approver(), approve(&desk, 1)).unwrap(), ["treasury.sweep_approved"]);
    let again = Refusal::PayoutWrongState { action: "decided on", state: "approved" };
    assert_eq!(desk.staff(approver(), approve(&desk, 1)), Err(again));
    let ordered = ProviderOrder::PayPlatform { sweep_id: sweep_id(1), amount: minor(11_925), currency: Currency::USD };
    assert_eq!(desk.world.orders.last().unwrap().what, ordered);

    let pending = BankPayoutStatus::InTransit { arrival_at: at("2026-12-10T00:00:00Z") };
    assert_eq!(desk.tell(&platform_payout(Some(1), 11_925, pending)), Vec::<String>::new());
    let paid = platform_payout(Some(1), 11_925, BankPayoutStatus::Paid);
    assert_eq!(desk.tell(&paid), ["treasury.platform_revenue_swept"]);
    assert_journal(&desk.world.entry("treasury.platform_revenue_swept"), "J81", &[]);
    assert_eq!(desk.tell(&paid), Vec::<String>::new(), "told again");
    assert_eq!((desk.net("1120"), desk.net("1010")), (0, 11_925));
    assert_eq!(desk.tell(&platform_payout(Some(1), 11_925, failed())), ["treasury.sweep_returned"]);
    assert_eq!((desk.net("1120"), desk.net("1010")), (11_925, 0));
}

/// J81: the log that had the approval was lost. What the provider has paid is booked, whatever became of the proposal.
#[test]
fn a_sweep_that_was_paid_before_a_restore_is_booked() {
    for rejected in [false, true] {
        let mut desk = over();
        desk.staff(finance(), propose(&desk, 1, 11_925, 0)).unwrap();
        if rejected {
            desk.staff(finance(), on(T::RejectSweep { sweep_id: sweep_id(1) })).unwrap();
        }
        let paid = platform_payout(Some(1), 11_925, BankPayoutStatus::Paid);
        assert_eq!(desk.tell(&paid), ["treasury.platform_revenue_swept"]);
        assert_eq!((desk.net("1120"), desk.net("1010")), (0, 11_925));
        let late = desk.staff(approver(), approve(&desk, 1)).unwrap_err();
        assert_eq!(late.code(), "payout_wrong_state", "it is not paid a second time");
    }
}

/// A sweep that is rejected, or that the provider refuses, leaves its money for another one.
#[test]
fn a_sweep_that_is_not_made_frees_its_money() {
    let mut desk = over();
    desk.staff(finance(), propose(&desk, 1, 11_925, 0)).unwrap();
    let reject = on(T::RejectSweep { sweep_id: sweep_id(1) });
    assert_eq!(desk.staff(finance(), reject.clone()).unwrap(), ["treasury.sweep_rejected"]);
    assert_eq!(desk.staff(finance(), reject).unwrap_err().code(), "payout_wrong_state");
    desk.staff(finance(), propose(&desk, 2, 11_925, 0)).unwrap();
    desk.staff(approver(), approve(&desk, 2)).unwrap();
    let order = desk.world.orders.last().unwrap().what.clone();
    let refused = process::refused(&order, "balance_insufficient").remove(0);
    assert_eq!(desk.world.fact(refused.command).unwrap(), ["treasury.sweep_failed"]);
    desk.staff(finance(), propose(&desk, 3, 11_925, 0)).unwrap();
    assert_eq!(desk.net("1120"), 11_925);
}

/// D-129: the provider pays the platform's balance out by itself: an alarm with a break, in the books at once (I11, as J84);
/// staff adopts it as money that the platform has taken out.
#[test]
fn a_payout_that_nobody_ordered_is_seen() {
    let mut desk = over();
    let pending = BankPayoutStatus::Pending { arrival_at: at("2026-12-10T00:00:00Z") };
    assert_eq!(desk.tell(&platform_payout(None, 1200, pending)), ["treasury.platform_payout_detected"]);
    assert_journal(&desk.world.entry("treasury.platform_payout_detected"), "J84", &[("break", the_break(&desk))]);
    assert!(desk.world.log.last().unwrap().payload.contains("\"automatic\":true"));
    assert_eq!(desk.tell(&platform_payout(None, 1200, BankPayoutStatus::Paid)), Vec::<String>::new());
    assert_eq!((desk.net("1900"), desk.net("1120")), (1200, 10_725));
    let adopt = |name: &str| on(T::AdoptPlatformPayout { bank_payout_ref: name.to_owned() });
    let forbidden = Refusal::Forbidden { who: "finance", action: "adopt a payout of the platform" };
    assert_eq!(desk.staff(Actor::System(SystemPart::Operator), adopt("po_platform")), Err(forbidden));
    assert_eq!(desk.staff(finance(), adopt("po_x")), Err(Refusal::NotFound { what: "payout of the platform" }));
    assert_eq!(desk.staff(finance(), adopt("po_platform")).unwrap(), ["treasury.platform_payout_adopted"]);
    assert_eq!((desk.net("1900"), desk.net("1010")), (0, 1200));
    let again = Refusal::PayoutWrongState { action: "adopted", state: "adopted" };
    assert_eq!(desk.staff(finance(), adopt("po_platform")), Err(again));
    // The bank sends it back.
    assert_eq!(desk.tell(&platform_payout(None, 1200, failed())), ["treasury.platform_payout_returned"]);
    assert_eq!(desk.tell(&platform_payout(None, 1200, failed())), Vec::<String>::new(), "told again");
    assert_eq!((desk.net("1120"), desk.net("1010"), desk.net("1900")), (11_925, 0, 0));
}

/// A payout that names a sweep and moves another amount is not that sweep; one that comes back unexplained leaves suspense.
#[test]
fn a_payout_of_another_amount_is_not_the_sweep() {
    let mut desk = over();
    desk.staff(finance(), propose(&desk, 1, 1000, 0)).unwrap();
    desk.staff(approver(), approve(&desk, 1)).unwrap();
    let other = platform_payout(Some(1), 1001, BankPayoutStatus::Paid);
    assert_eq!(desk.tell(&other), ["treasury.platform_payout_detected"]);
    assert_eq!(desk.tell(&platform_payout(Some(1), 1001, failed())), ["treasury.platform_payout_returned"]);
    assert_eq!((desk.net("1120"), desk.net("1900")), (11_925, 0));
}

/// The break of the last event.
fn the_break(desk: &Desk) -> String {
    let payload: serde_json::Value = serde_json::from_str(&desk.world.log.last().unwrap().payload).unwrap();
    payload["break_id"].as_str().unwrap().to_owned()
}

/// J82, J84: what nobody expected is nobody's until it is explained; each booking of the provider once.
#[test]
fn what_nobody_expected_goes_to_suspense() {
    let mut desk = over();
    let moved = |psp_ref: &str, direction, amount| T::RecordUnmatched {
        psp_ref: psp_ref.to_owned(),
        direction,
        amount: minor(amount),
    };
    assert_eq!(fact(&mut desk, moved("txn_x", Direction::In, 7500)), ["treasury.unmatched_receipt_recorded"]);
    let name = the_break(&desk);
    assert_journal(&desk.world.entry("treasury.unmatched_receipt_recorded"), "J82", &[("break", name)]);
    assert_eq!(fact(&mut desk, moved("txn_x", Direction::In, 7500)), Vec::<String>::new(), "told again");
    assert_eq!(coverage(&desk).surplus(), 11_925, "it is not the platform's");
    assert_eq!(fact(&mut desk, moved("txn_y", Direction::Out, 1200)), ["treasury.unmatched_debit_recorded"]);
    let name = the_break(&desk);
    assert_journal(&desk.world.entry("treasury.unmatched_debit_recorded"), "J84", &[("break", name)]);
    // A fact is not for people to give.
    let given = desk.staff(finance(), on(moved("txn_z", Direction::In, 1)));
    assert_eq!(given.unwrap_err().code(), "internal_error");
}
