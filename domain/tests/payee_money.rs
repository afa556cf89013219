//! What a payee gives back, owes, has held back, and is given beside the agreed amounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::escrow::GratuityKind;
use domain::id::PayoutId;
use domain::intent::{Intent, MoneyIntent};
use domain::payee::{HoldReason, PayeeAccountId};
use domain::ports::provider::ProviderOrder;
use domain::refusal::Refusal;
use ledger::Currency;
use money::world::World;
use money::*;

fn give_back(amount: i64) -> Intent {
    Intent::Money(MoneyIntent::GiveBack {
        contract_id: contract(),
        milestone_id: m(1),
        refund_id: r(4),
        amount: minor(amount),
        currency: Some(Currency::USD),
    })
}

/// D-75, D-77: after the release, and after the contract is over.
#[test]
fn a_payee_gives_back_at_most_what_was_released() {
    let mut world = World::f0(&[100_000]);
    assert_eq!(world.by_payee(give_back(1)), Err(Refusal::ExceedsReleased { released: minor(0) }));
    world.approve(1).unwrap();
    world.now += TimeDelta::days(5);
    let account = PayeeAccountId { party_id: payee(), currency: Currency::USD };
    let stream = domain::payee::stream(account);
    world.system(Intent::Wake(domain::timer::Scope::Stream(stream.clone()))).unwrap();
    assert_eq!(world.by_payee(give_back(100_001)), Err(Refusal::ExceedsReleased { released: minor(100_000) }));
    let forbidden = Refusal::Forbidden { who: "payee", action: "give money back" };
    assert_eq!(world.by_client(give_back(20_000)), Err(forbidden));
    let events = world.by_payee(give_back(20_000)).unwrap();
    assert_eq!(events, ["escrow.release_returned", "payee.payee_refund_granted", "refund.requested"]);
    assert_journal(&world.entry("payee.payee_refund_granted"), "J35", &[("R4", r(4).to_string())]);
    let order = &world.orders.last().unwrap().what;
    assert!(matches!(order, ProviderOrder::Refund { amount, .. } if *amount == minor(21_000)));
    assert_eq!(world.by_payee(give_back(20_000)), Ok(Vec::new()), "done once");
    let AggregateState::Payee(state) = world.state(&stream) else { panic!() };
    assert_eq!(state.available, minor(72_000));
}

/// All of it in parts comes to what all of it at once would: every account is at zero again.
#[test]
fn giving_all_back_leaves_nothing() {
    let mut desk = Desk::two_sided();
    desk.fund(1, &[(1, 60_000)]);
    desk.fund(2, &[(1, 40_000)]);
    desk.release(1, 1, 100_000).unwrap();
    let mut back = Vec::new();
    for (number, part) in (1..).zip([33_333, 33_333, 33_334]) {
        back.extend(refund_parts(&desk.give_back(number, 1, part).unwrap()[0]));
    }
    let by_card = |card| back.iter().filter(|(id, _)| *id == card).map(|(_, amount)| amount).sum::<i64>();
    assert_eq!((by_card(f(1)), by_card(f(2))), (63_000, 42_000));
    assert_eq!(desk.holding(1).given_back.from_payee, minor(90_000));
    assert_eq!(desk.give_back(9, 1, 1), Err(Refusal::ExceedsReleased { released: minor(0) }));
}

/// J36, J17: what the payee does not have any more is debt; it stops payouts, and the next earnings pay it off.
#[test]
fn debt_is_paid_off_first() {
    let mut world = World::f0(&[100_000, 100_000]);
    world.approve(1).unwrap();
    world.now += TimeDelta::days(5);
    let payout = |number: u128, amount: i64| Intent::RequestPayout {
        payout_id: PayoutId::from_uuid(uuid(700 + number)),
        payee_id: payee(),
        currency: Currency::USD,
        amount: minor(amount),
    };
    world.by_payee(payout(1, 85_000)).unwrap();
    let events = world.by_payee(give_back(20_000)).unwrap();
    assert!(events.contains(&"payee.debt_recorded".to_owned()), "{events:?}");
    assert_journal(&world.entry("payee.payee_refund_granted"), "J36", &[("R4", r(4).to_string())]);
    assert_eq!(world.by_payee(payout(2, 1)), Err(Refusal::PayeeInDebt { debt: minor(13_000) }));
    world.approve(2).unwrap();
    world.now += TimeDelta::days(5);
    world.by_payee(payout(3, 77_000)).unwrap();
    assert_journal(&world.entry("payee.earnings_cleared"), "J17", &[]);
    assert_eq!(world.balance().get("1210"), None);
}

/// J18, J19: only staff that decides holds earnings back; what is held cannot be withdrawn.
#[test]
fn earnings_are_held_back_by_staff() {
    let mut world = World::f0(&[100_000]);
    world.approve(1).unwrap();
    world.now += TimeDelta::days(5);
    let hold = |amount: Option<i64>| {
        Intent::Money(MoneyIntent::HoldEarnings {
            payee_id: payee(),
            currency: Currency::USD,
            amount: amount.map(minor),
            reason: HoldReason::Sanctions,
        })
    };
    let forbidden = Refusal::Forbidden { who: "staff", action: "hold earnings back" };
    assert_eq!(world.by_client(hold(None)), Err(forbidden.clone()));
    assert_eq!(world.perform(staff(StaffRole::Auditor), hold(None)), Err(forbidden));
    let finance = staff(StaffRole::Finance);
    let available = minor(90_000);
    assert_eq!(world.perform(finance, hold(Some(90_001))), Err(Refusal::InsufficientAvailable { available }));
    assert_eq!(world.perform(finance, hold(None)).unwrap(), ["payee.earnings_held"]);
    let payout = Intent::RequestPayout {
        payout_id: PayoutId::from_uuid(uuid(701)),
        payee_id: payee(),
        currency: Currency::USD,
        amount: minor(1),
    };
    assert_eq!(world.by_payee(payout), Err(Refusal::InsufficientAvailable { available: minor(0) }));
    let let_go = |reason| {
        Intent::Money(MoneyIntent::LetEarningsGo { payee_id: payee(), currency: Currency::USD, amount: None, reason })
    };
    assert_eq!(world.perform(finance, let_go(HoldReason::Kyc)), Err(Refusal::ExceedsHeld { held: minor(0) }));
    assert_eq!(world.perform(finance, let_go(HoldReason::Sanctions)).unwrap(), ["payee.earnings_hold_released"]);
    assert_eq!(world.balance().get("2210"), Some(&-90_000));
}

/// D-138: a bonus is possible for 365 days after the end, J62; on the last day, not at its instant.
#[test]
fn a_bonus_has_its_time() {
    let mut world = World::f0(&[100_000]);
    world.approve(1).unwrap();
    let ended_at = world.now;
    let bonus = |number: u128| {
        Intent::Money(MoneyIntent::PayGratuity {
            contract_id: contract(),
            funding_id: f(number),
            kind: GratuityKind::Bonus,
            amount: minor(5000),
            currency: Currency::USD,
            payment_method: "pm_1".to_owned(),
        })
    };
    world.now = ended_at + TimeDelta::days(364);
    let events = world.by_client(bonus(5)).unwrap();
    assert_eq!(events, ["escrow.gratuity_requested", "funding.created"]);
    assert_eq!(world.succeed(f(5)).unwrap(), ["funding.succeeded", "payee.bonus_paid"]);
    assert_journal(&world.entry("payee.bonus_paid"), "J62", &[]);
    assert_eq!(world.succeed(f(5)), Ok(Vec::new()), "told again, it changes nothing");
    assert_eq!(world.by_payee(bonus(6)).unwrap_err().code(), "forbidden");
    let closed_at = ended_at + TimeDelta::days(365);
    world.now = closed_at;
    assert_eq!(world.by_client(bonus(6)), Err(Refusal::BonusWindowClosed { closed_at }));
    // It clears like any earning.
    let account = PayeeAccountId { party_id: payee(), currency: Currency::USD };
    world.now += TimeDelta::days(5);
    world.system(Intent::Wake(domain::timer::Scope::Stream(domain::payee::stream(account)))).unwrap();
    let AggregateState::Payee(state) = world.state(&domain::payee::stream(account)) else { panic!() };
    assert_eq!(state.available, minor(94_500));
}
