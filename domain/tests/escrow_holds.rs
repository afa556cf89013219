//! What keeps money where it is: freezes, disputes, the end; and the provider's limit, which moves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole};
use domain::escrow::{EscrowCommand, EscrowEvent, GratuityKind, PaidFrom, RefundReason};
use domain::fee::FeeSchedule;
use domain::id::{EventId, RefundId};
use domain::jurisdiction::Jurisdiction;
use domain::payee::PayeeCommand;
use domain::policy::{HoldAction, Policy};
use domain::refund::RefundCommand;
use domain::refusal::Refusal;
use domain::rules::Rules;
use ledger::Currency;
use money::world::World;
use money::*;

fn with_action(country: &str, action: HoldAction) -> Policy {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new(country).unwrap());
    policy.psp_hold.action = action;
    policy
}

/// While it is frozen nothing leaves, and money still arrives.
#[test]
fn nothing_leaves_a_frozen_escrow() {
    let mut desk = Desk::two_sided();
    desk.deposit(1, &[(1, 100_000)], 50_000);
    let freeze = EscrowCommand::Freeze { reason: "court_order".to_owned(), legal_ref: None };
    let moderator = staff(StaffRole::Moderator);
    let forbidden = Refusal::Forbidden { who: "staff", action: "freeze an escrow" };
    assert_eq!(desk.by_client(&freeze), Err(forbidden.clone()));
    assert_eq!(desk.act(staff(StaffRole::Support), &freeze), Err(forbidden));
    let unfrozen = desk.act(moderator, &EscrowCommand::Unfreeze);
    assert_eq!(unfrozen, Err(Refusal::EscrowNotFrozen));
    let prose = EscrowCommand::Freeze { reason: "Because!".to_owned(), legal_ref: None };
    assert_eq!(desk.act(moderator, &prose).unwrap_err().code(), "validation_failed");
    desk.act(moderator, &freeze).unwrap();
    assert_eq!(desk.escrow.state_name(), "frozen");
    assert_eq!(desk.act(moderator, &freeze), Err(Refusal::EscrowFrozen));

    let frozen = Err(Refusal::EscrowFrozen);
    let both = [client(), payee()];
    assert_eq!(desk.release(1, 1, 1), frozen);
    assert_eq!(desk.refund(1, 1, 1), frozen);
    assert_eq!(desk.reallocate(1, Some(1), 2, 1, &both), frozen);
    assert_eq!(desk.reallocate(1, None, 2, 1, &both), frozen);
    let deposit = EscrowCommand::InitiateRefund {
        refund_id: r(1),
        milestone_id: None,
        amount: minor(1),
        reason: RefundReason::Agreed,
    };
    assert_eq!(desk.by_client(&deposit), frozen);
    desk.fund(2, &[(2, 100)]);
    desk.dispute(1, 1, 100_000).unwrap();
    desk.lift(1).unwrap();

    assert_eq!(desk.by_client(&EscrowCommand::Unfreeze).unwrap_err().code(), "forbidden");
    desk.act(moderator, &EscrowCommand::Unfreeze).unwrap();
    desk.release(1, 1, 1).unwrap();
}

/// D-28, D-30: ten days in Thailand, two years in the United States; warnings that are past are left out.
#[test]
fn a_provider_lets_money_lie_for_so_long() {
    let policy = with_action("TH", HoldAction::Refund);
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.now += TimeDelta::days(30);
    world.wake();
    let at = |text: &str| text.parse::<domain::time::Timestamp>().unwrap();
    assert_eq!(world.times_of("escrow.hold_limit_warned"), [at("2026-12-06T10:00:00Z"), at("2026-12-10T10:00:00Z")]);
    assert_eq!(world.times_of("escrow.hold_limit_reached"), [at("2026-12-11T10:00:00Z")]);
    assert_eq!(world.times_of("escrow.refund_initiated"), [at("2026-12-11T10:00:00Z")]);
    let refund_id = RefundId::derived(f(1).as_uuid(), &format!("psp_hold/{}", m(1)));
    assert_journal(&world.entry("escrow.refund_initiated"), "J30", &[("R1", refund_id.to_string())]);
    world.wake();
    assert_eq!(world.times_of("escrow.hold_limit_reached").len(), 1, "once");

    let mut desk = Desk::new(Currency::USD, FeeSchedule::two_sided(), with_action("US", HoldAction::Refund));
    desk.fund(1, &[(1, 100_000)]);
    let limit = desk.holdings().fundings[&f(1)].hold_limit.clone().unwrap();
    assert_eq!(limit.limit_at, at("2028-11-30T10:00:00Z"));
}

/// At the limit: what a dispute has locked stays, while frozen all stays, and what is gone needs nothing.
#[test]
fn at_the_limit_only_what_may_leave_leaves() {
    let reach = EscrowCommand::ReachHoldLimit { funding_id: f(1) };
    let mut desk = Desk::new(Currency::USD, FeeSchedule::two_sided(), with_action("TH", HoldAction::Refund));
    desk.deposit(1, &[(1, 60_000), (2, 30_000)], 10_000);
    desk.dispute(1, 2, 30_000).unwrap();
    let events = desk.by_system(&reach).unwrap();
    let EscrowEvent::HoldLimitReached { action: HoldAction::Refund, amount, milestones, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!((amount.get(), milestones.as_slice()), (100_000, [m(1), m(2)].as_slice()));
    let sent: Vec<_> = events[1..].iter().flat_map(refund_parts).collect();
    assert_eq!(sent, [(f(1), 63_000), (f(1), 10_500)], "M1 and the deposit");
    assert_eq!(desk.by_system(&reach), Ok(Vec::new()), "done once");

    let mut desk = Desk::new(Currency::USD, FeeSchedule::two_sided(), with_action("TH", HoldAction::Refund));
    desk.fund(1, &[(1, 60_000)]);
    let freeze = EscrowCommand::Freeze { reason: "court_order".to_owned(), legal_ref: None };
    desk.act(staff(StaffRole::Admin), &freeze).unwrap();
    let events = desk.by_system(&reach).unwrap();
    assert!(matches!(events.as_slice(), [EscrowEvent::HoldLimitReached { action: HoldAction::Operator, .. }]));

    let mut desk = Desk::new(Currency::USD, FeeSchedule::two_sided(), with_action("TH", HoldAction::Operator));
    desk.fund(1, &[(1, 60_000)]);
    let stream = domain::escrow::stream(contract());
    assert_eq!(desk.escrow.timers(&stream).len(), 1);
    let block = EscrowCommand::BlockTimer { key: format!("psp_hold/{}/5", f(1)), reason: "x".to_owned() };
    let mut blocked = desk.clone();
    blocked.by_system(&block).unwrap();
    assert!(blocked.escrow.timers(&stream).is_empty(), "a timer that was refused does not fire again");
    desk.release(1, 1, 60_000).unwrap();
    assert!(desk.escrow.timers(&stream).is_empty(), "nothing is held any more");
    assert_eq!(desk.by_system(&reach), Ok(Vec::new()));
}

/// D-45, D-86: a disputed milestone does nothing, another one does.
#[test]
fn a_dispute_locks_its_milestone_only() {
    let mut desk = Desk::two_sided();
    desk.fund(1, &[(1, 100_000), (2, 100_000)]);
    desk.dispute(1, 1, 40_000).unwrap();
    assert_eq!((desk.holding(1).held, desk.holding(1).disputed), (minor(60_000), minor(40_000)));
    let disputed = Err(Refusal::MilestoneDisputed { dispute_id: d(1) });
    let both = [client(), payee()];
    assert_eq!(desk.release(1, 1, 1), disputed);
    assert_eq!(desk.refund(1, 1, 1), disputed);
    assert_eq!(desk.reallocate(1, Some(1), 2, 1, &both), disputed);
    assert_eq!(desk.reallocate(1, Some(2), 1, 1, &both), disputed);
    assert_eq!(desk.dispute(2, 1, 1), disputed, "at most one at a time");
    assert_eq!(desk.dispute(1, 1, 40_000), Ok(Vec::new()), "placed before");
    desk.release(1, 2, 100_000).unwrap();
    let closed = desk.by_system(&EscrowCommand::Close);
    assert_eq!(closed.unwrap_err().code(), "contract_wrong_state");
    assert_eq!(desk.lift(7), Err(Refusal::NotFound { what: "dispute" }));
    desk.lift(1).unwrap();
    assert_eq!(desk.lift(1), Ok(Vec::new()), "lifted before");
    desk.release(2, 1, 100_000).unwrap();
}

/// What is contested is what would go back: the newest money.
#[test]
fn a_dispute_locks_the_newest_money() {
    let mut desk = Desk::two_sided();
    desk.fund(1, &[(1, 60_000)]);
    desk.fund(2, &[(1, 40_000)]);
    desk.dispute(1, 1, 50_000).unwrap();
    let locked: Vec<_> = desk.holding(1).lots.iter().map(|lot| lot.locked.get()).collect();
    assert_eq!(locked, [10_000, 40_000]);
}

/// D-46: closed at zero, and done with. What comes later is refused, or changes nothing.
#[test]
fn a_closed_escrow_is_at_zero() {
    let mut desk = Desk::f0();
    let holding = desk.by_system(&EscrowCommand::Close);
    assert_eq!(holding.unwrap_err().code(), "contract_wrong_state");
    desk.release(1, 1, 100_000).unwrap();
    desk.by_system(&EscrowCommand::Close).unwrap();
    assert_eq!(desk.escrow.state_name(), "closed");
    assert_eq!(desk.by_system(&EscrowCommand::Close), Ok(Vec::new()));
    assert_eq!(desk.release(2, 1, 1), Err(Refusal::ExceedsHeld { held: minor(0) }));
    let funding = desk.request(2, &[(1, 100)], 0, PaidFrom::Provider);
    assert_eq!(funding.unwrap_err().code(), "contract_wrong_state");
    let freeze = EscrowCommand::Freeze { reason: "court_order".to_owned(), legal_ref: None };
    let frozen = desk.act(staff(StaffRole::Finance), &freeze);
    assert_eq!(frozen.unwrap_err().code(), "contract_wrong_state");
    assert!(desk.arrive(1).is_empty(), "told again, it changes nothing");
    desk.give_back(1, 1, 100).unwrap();
}

/// A gratuity of another amount, or in another currency, is refused where it is asked for; D-69, D-68.
#[test]
fn what_cannot_be_paid_is_refused() {
    let mut desk = Desk::f0();
    let mut ask = |amount: i64, currency: Currency, payment_method: &str| {
        let command = EscrowCommand::RequestGratuity {
            funding_id: f(5),
            kind: GratuityKind::Tip,
            amount: minor(amount),
            currency,
            payment_method: payment_method.to_owned(),
        };
        desk.by_client(&command).unwrap_err().code()
    };
    assert_eq!(ask(0, Currency::USD, "pm_1"), "validation_failed");
    assert_eq!(ask(100, Currency::EUR, "pm_1"), "currency_mismatch");
    assert_eq!(ask(100, Currency::USD, "4242424242424242"), "validation_failed");
    assert_eq!(ask(1_000_000_000_000_001, Currency::USD, "pm_1"), "amount_too_large");
    let nothing = desk.request(6, &[], 0, PaidFrom::Provider);
    assert_eq!(nothing.unwrap_err().code(), "validation_failed");
    let other = EscrowCommand::ReturnRelease {
        refund_id: r(1),
        milestone_id: m(1),
        gross: minor(1),
        currency: Some(Currency::EUR),
    };
    assert_eq!(desk.act(Actor::Payee(payee()), &other).unwrap_err().code(), "currency_mismatch");
}

/// A repeat of what arrived or was noted is silence, in every aggregate.
#[test]
fn a_fact_told_again_is_silence() {
    let mut desk = Desk::f0();
    let noted = EscrowCommand::RecordWalletFunding {
        funding_id: f(1),
        allocations: Vec::new(),
        deposit: domain::escrow::Deposit::default(),
        initiation_fee: minor(0),
        tax: None,
        source_event_id: EventId::from_uuid(uuid(7)),
    };
    assert_eq!(desk.by_client(&noted), Ok(Vec::new()));
    assert_eq!(desk.request(1, &[(1, 100_000)], 0, PaidFrom::Provider), Ok(Vec::new()));
    let mut account = domain::payee::PayeeAccount::default();
    let context = domain::rules::Context { now: desk.now, actor: Actor::Payee(payee()) };
    let clear = PayeeCommand::Clear { release_id: release_id(1) };
    assert_eq!(account.decide(&clear, &context), Ok(Vec::new()));
    account.granted.insert(r(1));
    let mut refund = domain::refund::Refund::default();
    assert_eq!(refund.decide(&RefundCommand::RecordCancelled, &context), Err(Refusal::NotFound { what: "refund" }));
    let order = domain::refund::RefundOrder {
        refund_id: r(1),
        contract_id: None,
        client_id: client(),
        funding_id: None,
        amount: minor(100),
        currency: Currency::USD,
        charge: Some(charge(f(1))),
        paid_from: PaidFrom::Provider,
        asked_before: 0,
    };
    let request = RefundCommand::Request { order: order.clone() };
    for event in refund.decide(&request, &context).unwrap() {
        refund.evolve(&event);
    }
    assert_eq!(refund.decide(&request, &context), Ok(Vec::new()));
    let other = RefundCommand::Request { order: domain::refund::RefundOrder { amount: minor(1), ..order } };
    assert_eq!(refund.decide(&other, &context).unwrap_err().code(), "internal_error");
    for event in refund.decide(&RefundCommand::RecordCancelled, &context).unwrap() {
        assert!(matches!(event, domain::refund::RefundEvent::Cancelled { .. }), "{event:?}");
        refund.evolve(&event);
    }
    assert_eq!(refund.state_name(), "cancelled");
    assert_eq!(refund.decide(&RefundCommand::RecordCancelled, &context), Ok(Vec::new()));
}
