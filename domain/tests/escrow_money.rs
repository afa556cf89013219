//! Money that leaves an escrow or moves in it, and the client's wallet, with the figures of the scenarios.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::escrow::{EscrowCommand, EscrowEvent, PaidFrom, RefundReason};
use domain::fee::{FeeSchedule, RefundClientFee};
use domain::id::{MilestoneId, PartyId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::policy::Policy;
use domain::ports::provider::{ProviderOrder, ProviderReport, RefundReport, RefundStatus};
use domain::process;
use domain::refusal::Refusal;
use domain::wallet::{WalletCommand, WalletId};
use ledger::Currency;
use money::world::World;
use money::*;

/// D-51, D-52, D-53, D-54: thirds, in four currencies and amounts: gross, payee's fee, client's fee, net.
#[test]
fn thirds_sum_to_the_whole() {
    type Third = (i64, i64, i64, i64);
    let table: [(Currency, i64, [Third; 3]); 4] = [
        (
            Currency::USD,
            100_000,
            [(33_334, 3333, 1667, 30_001), (33_333, 3334, 1666, 29_999), (33_333, 3333, 1667, 30_000)],
        ),
        (Currency::USD, 10_000, [(3334, 333, 167, 3001), (3333, 334, 166, 2999), (3333, 333, 167, 3000)]),
        (Currency::JPY, 10_000, [(3334, 333, 167, 3001), (3333, 334, 166, 2999), (3333, 333, 167, 3000)]),
        (
            Currency::KWD,
            100_000,
            [(33_334, 3333, 1667, 30_001), (33_333, 3334, 1666, 29_999), (33_333, 3333, 1667, 30_000)],
        ),
    ];
    for (currency, amount, thirds) in table {
        let mut desk = Desk::new(currency, FeeSchedule::two_sided(), Policy::default());
        desk.fund(1, &[(1, amount)]);
        for (number, wanted) in (1..).zip(thirds) {
            let released = desk.release(number, 1, wanted.0).unwrap().remove(0);
            let EscrowEvent::Released { gross, payee_fee, client_fee_earned, net, .. } = released else { panic!() };
            let got = (gross.get(), payee_fee.get(), client_fee_earned.get(), net.get());
            assert_eq!(got, wanted, "{amount} {currency}, part {number}");
        }
        assert!(desk.holdings().is_empty());
    }
}

/// D-35: a minor unit more than is held.
#[test]
fn no_more_leaves_than_is_held() {
    let mut desk = Desk::f0();
    let held = minor(100_000);
    assert_eq!(desk.release(1, 1, 100_001), Err(Refusal::ExceedsHeld { held }));
    assert_eq!(desk.refund(1, 1, 100_001), Err(Refusal::ExceedsHeld { held }));
    assert_eq!(desk.dispute(1, 1, 100_001), Err(Refusal::ExceedsHeld { held }));
    let both = [client(), payee()];
    assert_eq!(desk.reallocate(1, Some(1), 2, 100_001, &both), Err(Refusal::ExceedsHeld { held }));
    assert_eq!(desk.reallocate(1, None, 2, 1, &both), Err(Refusal::ExceedsHeld { held: minor(0) }));
    let nowhere = Err(Refusal::ExceedsHeld { held: minor(0) });
    assert_eq!(
        (desk.release(1, 7, 1), desk.refund(1, 7, 1), desk.dispute(1, 7, 1)),
        (nowhere.clone(), nowhere.clone(), nowhere)
    );
    for refused in [desk.release(1, 1, 0), desk.refund(1, 1, 0), desk.dispute(1, 1, 0)] {
        assert_eq!(refused.unwrap_err().code(), "validation_failed");
    }
}

/// D-78: M1 funded by card A and card B, 500.00 released from the oldest, 450.00 refunded from the newest.
#[test]
fn a_refund_goes_back_by_the_way_it_came_newest_first() {
    let mut desk = Desk::two_sided();
    desk.fund(1, &[(1, 60_000)]);
    desk.fund(2, &[(1, 40_000)]);
    let released = desk.release(1, 1, 50_000).unwrap().remove(0);
    let EscrowEvent::Released { lots, .. } = &released else { panic!() };
    assert_eq!(lots.iter().map(|lot| (lot.funding_id, lot.amount.get())).collect::<Vec<_>>(), [(f(1), 50_000)]);
    let left: Vec<_> = desk.holding(1).lots.iter().map(|lot| lot.remaining().get()).collect();
    assert_eq!(left, [10_000, 40_000], "F1 100, F2 400");

    let refunded = desk.refund(1, 1, 45_000).unwrap().remove(0);
    assert_eq!(refund_parts(&refunded), [(f(2), 42_000), (f(1), 5250)], "card B 420.00, card A 52.50");
    let EscrowEvent::RefundInitiated { parts, client_fee, .. } = &refunded else { panic!() };
    assert_eq!(client_fee.get(), 2250);
    assert_eq!(parts[0].charge, Some(charge(f(2))));
    assert_ne!(parts[0].refund_id, parts[1].refund_id, "two refunds at the provider");
    assert_eq!(parts[0].refund_id, r(1));
}

/// A refund in parts comes to what the whole would, fee by fee (R5).
#[test]
fn refunds_in_parts_sum_to_the_whole() {
    let mut desk = Desk::f0();
    let parts = [33_333, 33_333, 33_334];
    let backs: Vec<i64> = (1..)
        .zip(parts)
        .map(|(number, amount)| refund_parts(&desk.refund(number, 1, amount).unwrap()[0])[0].1)
        .collect();
    assert_eq!(backs.iter().sum::<i64>(), 105_000);
    assert!(desk.holdings().is_empty());
}

/// Of no card more goes back than was charged to it, whatever rounding did to the fees: the fee on ten cents is a cent,
/// on twenty it is still one, so the second card paid no fee.
#[test]
fn no_card_gets_more_than_it_paid() {
    let mut desk = Desk::two_sided();
    desk.fund(1, &[(1, 10)]);
    desk.fund(2, &[(1, 10)]);
    let paid: Vec<_> = desk.holdings().fundings.values().map(|funding| funding.paid.get()).collect();
    assert_eq!(paid, [11, 10]);
    assert_eq!(refund_parts(&desk.refund(1, 1, 10).unwrap()[0]), [(f(2), 10), (f(1), 1)]);
    assert_eq!(refund_parts(&desk.refund(2, 1, 10).unwrap()[0]), [(f(1), 10)]);
}

/// D-25: the initiation fee goes back when nothing was ever released; D-73: the client's fee is kept where it is agreed.
#[test]
fn what_else_goes_back() {
    let schedule = FeeSchedule { initiation_fee: minor(495), ..FeeSchedule::two_sided() };
    let mut desk = Desk::new(Currency::USD, schedule.clone(), Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    let refunded = desk.refund(1, 1, 100_000).unwrap().remove(0);
    assert_eq!(refund_parts(&refunded), [(f(1), 105_495)]);
    let usd = |side, account: &str, amount| (side, account.to_owned(), amount, "USD".to_owned());
    let books =
        [usd("Dr", "2100", 100_000), usd("Dr", "2300", 5000), usd("Dr", "2310", 495), usd("Cr", "2260", 105_495)];
    assert_eq!(lines(&booked(&refunded)), books);

    // After a release it is earned.
    let mut desk = Desk::new(Currency::USD, schedule, Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    desk.release(1, 1, 50_000).unwrap();
    assert_eq!(refund_parts(&desk.refund(1, 1, 50_000).unwrap()[0]), [(f(1), 52_500)]);

    let kept = FeeSchedule { refund_client_fee: RefundClientFee::None, ..FeeSchedule::two_sided() };
    let mut desk = Desk::new(Currency::USD, kept, Policy::default());
    desk.fund(1, &[(1, 100_000)]);
    assert_eq!(refund_parts(&desk.refund(1, 1, 100_000).unwrap()[0]), [(f(1), 100_000)]);
    assert_eq!(desk.holding(1).client_fee_earned, minor(5000));
}

/// The initiation fee is asked for once, with the first funding, and again when that one failed.
#[test]
fn the_initiation_fee_is_charged_once() {
    let schedule = FeeSchedule { initiation_fee: minor(495), ..FeeSchedule::two_sided() };
    let mut desk = Desk::new(Currency::USD, schedule, Policy::default());
    let asked = |events: Vec<EscrowEvent>| match &events[0] {
        EscrowEvent::FundingRequested { initiation_fee, .. } => initiation_fee.get(),
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(desk.request(1, &[(1, 1000)], 0, PaidFrom::Provider).unwrap()), 495);
    assert_eq!(asked(desk.request(2, &[(2, 1000)], 0, PaidFrom::Provider).unwrap()), 0, "F1 carries it");
    assert_eq!(asked(desk.request(3, &[(1, 1000)], 0, PaidFrom::Provider).unwrap()), 495, "F1 has failed");
    desk.arrive(3);
    assert_eq!(asked(desk.request(4, &[(3, 1000)], 0, PaidFrom::Provider).unwrap()), 0);
}

/// D-71, D-74, J31, J32: agreed, ordered, settled; nine days later the bank gives it back, and the wallet has it.
#[test]
fn a_refund_reaches_the_card_or_the_wallet() {
    let mut world = World::f0(&[100_000]);
    let initiate = EscrowCommand::InitiateRefund {
        refund_id: r(1),
        milestone_id: Some(m(1)),
        amount: minor(100_000),
        reason: RefundReason::Agreed,
    };
    let events = world.fact(Command::Escrow(contract(), initiate)).unwrap();
    let one_commit = [
        "escrow.refund_initiated",
        "milestone.refunded",
        "refund.requested",
        "contract.milestone_closed",
        "contract.completed",
        "escrow.closed",
    ];
    assert_eq!(events, one_commit);
    let order = world.orders.last().unwrap().what.clone();
    let ProviderOrder::Refund { refund_id, amount, ref charge_ref, .. } = order else { panic!("{order:?}") };
    assert_eq!((refund_id, amount.get(), charge_ref.clone()), (r(1), 105_000, format!("ch_{}", f(1))));
    assert!(order.moves_money());

    let told = |world: &mut World, status: RefundStatus| {
        let report = RefundReport { refund_ref: "re_1".to_owned(), refund_id: Some(r(1)), status };
        let facts = process::facts(&ProviderReport::Refund(report));
        facts.into_iter().flat_map(|fact| world.fact(fact.command).unwrap()).collect::<Vec<_>>()
    };
    // D-85: too little money at the provider at first.
    for fact in process::lacks_funds(&order) {
        assert_eq!(world.fact(fact.command).unwrap(), ["refund.funding_required"]);
    }
    assert_eq!(refund_state(&world, r(1)), "requires_funding");
    assert_eq!(told(&mut world, RefundStatus::Pending), ["refund.submitted"]);
    let succeeded = || RefundStatus::Succeeded { balance_transaction_ref: Some("txn_1".to_owned()), taken: None };
    assert_eq!(told(&mut world, succeeded()), ["refund.succeeded"]);
    assert_journal(&world.entry("refund.succeeded"), "J31", &[("R1", r(1).to_string())]);
    assert!(told(&mut world, succeeded()).is_empty(), "told again, it changes nothing");
    assert!(told(&mut world, RefundStatus::Pending).is_empty(), "an old report changes nothing");

    world.now += TimeDelta::days(9);
    let failed = || RefundStatus::Failed { code: "expired_or_canceled_card".to_owned(), came_back: None };
    assert_eq!(told(&mut world, failed()), ["refund.failed", "wallet.credited"]);
    assert_journal(&world.entry("refund.failed"), "J32", &[]);
    assert_eq!(refund_state(&world, r(1)), "failed");
    assert!(told(&mut world, failed()).is_empty());
    assert_eq!(wallet_balance(&world), 105_000);
    assert_eq!(world.balance().get("2120"), Some(&-105_000));
}

fn refund_state(world: &World, id: RefundId) -> &'static str {
    world.state(&domain::refund::stream(id)).state_name()
}

fn wallet() -> WalletId {
    WalletId { party_id: client(), currency: Currency::USD }
}

fn wallet_balance(world: &World) -> i64 {
    let AggregateState::Wallet(state) = world.state(&domain::wallet::stream(wallet())) else { panic!() };
    state.balance.get()
}

/// Where the provider refuses for good, the client or the staff gives it to the wallet.
#[test]
fn a_refund_that_finds_no_way_is_redirected() {
    let mut world = World::f0(&[100_000]);
    let initiate = EscrowCommand::InitiateRefund {
        refund_id: r(1),
        milestone_id: Some(m(1)),
        amount: minor(40_000),
        reason: RefundReason::Agreed,
    };
    world.fact(Command::Escrow(contract(), initiate)).unwrap();
    let redirect = || Intent::Money(MoneyIntent::RedirectRefund { refund_id: r(1) });
    let wrong = Refusal::RefundWrongState { action: "redirected", state: "requested" };
    assert_eq!(world.by_client(redirect()), Err(wrong));
    let order = world.orders.last().unwrap().what.clone();
    assert!(process::refused(&order, "balance_insufficient").is_empty(), "enough may be there later");
    for fact in process::refused(&order, "expired_or_canceled_card") {
        assert_eq!(world.fact(fact.command).unwrap(), ["refund.manual_required"]);
    }
    let outsider = Actor::Client(PartyId::from_uuid(uuid(77)));
    assert_eq!(world.perform(outsider, redirect()), Err(Refusal::NotAParty));
    assert_eq!(world.by_client(redirect()).unwrap(), ["refund.redirected", "wallet.credited"]);
    assert_eq!(wallet_balance(&world), 42_000);
    assert_eq!(world.balance().get("2260"), None);
    let unknown = Intent::Money(MoneyIntent::RedirectRefund { refund_id: r(9) });
    assert_eq!(world.by_client(unknown), Err(Refusal::NotFound { what: "refund" }));
}

/// D-36: 700.00 released, 300.00 moved to M2 with the fee.
#[test]
fn the_rest_rolls_forward_with_its_fee() {
    let mut desk = Desk::f0();
    let released = desk.release(1, 1, 70_000).unwrap().remove(0);
    let EscrowEvent::Released { payee_fee, net, client_fee_earned, .. } = released else { panic!() };
    assert_eq!((payee_fee.get(), net.get(), client_fee_earned.get()), (7000, 63_000, 3500));
    assert_eq!(desk.reallocate(1, Some(1), 2, 30_000, &[client()]), Err(Refusal::ConsentRequired));
    assert_eq!(desk.reallocate(1, Some(1), 2, 30_000, &[payee()]), Err(Refusal::ConsentRequired));
    let same = desk.reallocate(1, Some(1), 1, 30_000, &[client(), payee()]);
    assert_eq!(same.unwrap_err().code(), "validation_failed");
    let events = desk.reallocate(1, Some(1), 2, 30_000, &[client(), payee()]).unwrap();
    assert!(matches!(events[1], EscrowEvent::FeesReallocated { amount, .. } if amount == minor(1500)));
    assert_eq!(desk.holding(2).held, minor(30_000));
    assert_eq!(desk.holding(2).fees.deferred(), minor(1500));
    assert_eq!((desk.holding(1).held, desk.holding(1).fees.deferred()), (minor(0), minor(0)));
    // It can be released there, or go back to the card that it came from.
    desk.release(2, 2, 20_000).unwrap();
    assert_eq!(refund_parts(&desk.refund(1, 2, 10_000).unwrap()[0]), [(f(1), 10_500)]);
    let outsider = Actor::Client(PartyId::from_uuid(uuid(77)));
    let command = EscrowCommand::Reallocate {
        reallocation_id: reallocation_id(2),
        from: Some(m(1)),
        to: m(2),
        amount: minor(1),
        consent: Vec::new(),
    };
    assert_eq!(desk.act(outsider, &command), Err(Refusal::NotAParty));
}

/// D-24, J07, J08: a deposit beyond the milestone, assigned to M2 later; what is left goes back when the contract ends.
#[test]
fn a_deposit_waits_for_its_milestone() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    let pay_in = Intent::Money(MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: vec![(m(1), minor(100_000))],
        deposit: minor(50_000),
        currency: Currency::USD,
        paid_from: PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    });
    world.by_client(pay_in).unwrap();
    world.succeed(f(1)).unwrap();
    assert_journal(&world.entry("escrow.funded"), "J07", &[]);
    let allocate = |number: u128, to: MilestoneId| {
        Intent::Money(MoneyIntent::AllocateDeposit {
            contract_id: contract(),
            reallocation_id: reallocation_id(number),
            to,
            amount: minor(50_000),
        })
    };
    assert_eq!(world.by_client(allocate(1, m(7))).unwrap_err().code(), "validation_failed", "not of this contract");
    assert_eq!(world.by_payee(allocate(1, m(2))), Err(Refusal::ConsentRequired));
    let outsider = Actor::Payee(PartyId::from_uuid(uuid(77)));
    assert_eq!(world.perform(outsider, allocate(1, m(2))), Err(Refusal::NotAParty));
    assert_eq!(world.by_client(allocate(1, m(2))).unwrap(), ["escrow.funds_reallocated", "milestone.moved_in"]);
    assert_journal(&world.entry("escrow.funds_reallocated"), "J08", &[]);
    assert_eq!(world.by_client(allocate(1, m(2))), Ok(Vec::new()), "done once");
    world.approve(1).unwrap();
    world.approve(2).unwrap();
    assert_eq!(world.balance().get("2300"), None);

    // The deposit of another contract was never assigned.
    let mut desk = Desk::two_sided();
    desk.deposit(1, &[(1, 100_000)], 50_000);
    desk.release(1, 1, 100_000).unwrap();
    let events = desk.by_system(&EscrowCommand::Close).unwrap();
    assert_eq!(refund_parts(&events[0]), [(f(1), 52_500)]);
    assert!(matches!(events[1], EscrowEvent::Closed { .. }));
}

/// D-22, J05: the wallet pays all or nothing.
#[test]
fn a_wallet_pays_what_it_has() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let top_up = |number: u128, amount: i64| {
        let command = WalletCommand::RecordTopUp {
            client_id: client(),
            funding_id: f(number),
            amount: minor(amount),
            currency: Currency::USD,
            place: platform(),
        };
        Command::Wallet(wallet(), command)
    };
    assert_eq!(world.fact(top_up(8, 104_999)).unwrap(), ["wallet.topped_up"]);
    assert_eq!(world.fact(top_up(8, 104_999)), Ok(Vec::new()), "told again, it changes nothing");
    let pay = || {
        Intent::Money(MoneyIntent::PayIn {
            contract_id: contract(),
            funding_id: f(1),
            allocations: vec![(m(1), minor(100_000))],
            deposit: minor(0),
            currency: Currency::USD,
            paid_from: PaidFrom::Wallet,
            payment_method: String::new(),
        })
    };
    let events = world.log.len();
    assert_eq!(world.by_client(pay()), Err(Refusal::InsufficientWalletBalance { balance: minor(104_999) }));
    assert_eq!(world.log.len(), events, "no event");
    world.fact(top_up(9, 1)).unwrap();
    let paid = world.by_client(pay()).unwrap();
    let one_commit = [
        "escrow.funding_requested",
        "milestone.funding_requested",
        "wallet.paid_escrow",
        "escrow.wallet_funding_noted",
        "milestone.funded",
        "contract.activated",
    ];
    assert_eq!(paid, one_commit);
    assert_journal(&world.entry("wallet.paid_escrow"), "J05", &[("W1", f(1).to_string())]);
    assert_eq!(wallet_balance(&world), 0);
    assert!(world.orders.is_empty(), "the provider has no part in it");

    // What the wallet paid goes back to it.
    let initiate = EscrowCommand::InitiateRefund {
        refund_id: r(1),
        milestone_id: Some(m(1)),
        amount: minor(40_000),
        reason: RefundReason::Agreed,
    };
    let events = world.fact(Command::Escrow(contract(), initiate)).unwrap();
    let one_commit =
        ["escrow.refund_initiated", "milestone.refunded", "refund.requested", "refund.redirected", "wallet.credited"];
    assert_eq!(events, one_commit);
    assert_eq!(wallet_balance(&world), 42_000);
    assert!(world.orders.is_empty());

    // And can be taken out, by hand, at most once.
    let withdraw = |refund: u128, amount: i64| {
        Intent::Money(MoneyIntent::WithdrawFromWallet {
            client_id: client(),
            currency: Currency::USD,
            refund_id: r(refund),
            amount: minor(amount),
        })
    };
    assert_eq!(
        world.by_client(withdraw(2, 42_001)),
        Err(Refusal::InsufficientWalletBalance { balance: minor(42_000) })
    );
    let outsider = Actor::Client(PartyId::from_uuid(uuid(77)));
    assert_eq!(world.perform(outsider, withdraw(2, 42_000)), Err(Refusal::NotAParty));
    let events = world.by_client(withdraw(2, 42_000)).unwrap();
    assert_eq!(events, ["wallet.withdrawn", "refund.requested", "refund.manual_required"]);
    assert_eq!(wallet_balance(&world), 0);
    assert_eq!(world.by_client(withdraw(2, 42_000)), Ok(Vec::new()));
    assert!(world.balance().values().sum::<i128>() == 0);
}

/// D-55: what the provider cannot charge exactly is the client's, in the wallet.
#[test]
fn a_surplus_is_credited_to_the_wallet() {
    let mut world = World::new();
    world.currency = Currency::KWD;
    let mut world = world.accepted(&[10_123], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 10_123)]).unwrap();
    let events = world.succeed(f(1)).unwrap();
    assert!(events.contains(&"wallet.credited".to_owned()), "{events:?}");
    let id = WalletId { party_id: client(), currency: Currency::KWD };
    let AggregateState::Wallet(state) = world.state(&domain::wallet::stream(id)) else { panic!() };
    assert_eq!(state.balance, minor(1));
}
