//! Rules about money that meet only in odd corners: deposits and silence, a rest that grows, fees that a contested payment
//! carries, and what a provider cannot send back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::contract::{Change, Contract, ContractCommand, Parts};
use domain::escrow::{EscrowCommand, EscrowEvent, PaidFrom, RefundPart};
use domain::fee::{Fee, FeeRule, FeeSchedule};
use domain::funding::FundingCommand;
use domain::id::{AmendmentId, ChargebackId};
use domain::intent::{Intent, MoneyIntent};
use domain::jurisdiction::Jurisdiction;
use domain::milestone::{Milestone, MilestoneCommand as M, Remainder};
use domain::policy::Policy;
use domain::refusal::Refusal;
use domain::rules::Rules;
use domain::wallet::WalletId;
use ledger::{Currency, Minor};
use money::world::World;
use money::*;

fn contract_of(world: &World) -> Contract {
    match world.state(&domain::contract::stream(contract())) {
        AggregateState::Contract(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn milestone(world: &World, number: u128) -> Milestone {
    match world.state(&domain::milestone::stream(m(number))) {
        AggregateState::Milestone(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn deposit(world: &mut World, funding: u128, amount: i64) -> Result<Vec<String>, Refusal> {
    let currency = world.currency;
    world.by_client(Intent::Money(MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(funding),
        allocations: Vec::new(),
        deposit: minor(amount),
        currency,
        paid_from: PaidFrom::Provider,
        payment_method: "pm_card_visa".to_owned(),
    }))
}

/// M1 paid for, M2 planned, at a provider that lets money lie for two years.
fn quiet() -> World {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("US").unwrap());
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world
}

/// B.3: a deposit is activity. On day 92 it wakes a contract that is dormant since day 90, which does not end by silence.
#[test]
fn a_deposit_wakes_a_dormant_contract() {
    let mut world = quiet();
    world.now += TimeDelta::days(92);
    world.wake();
    assert_eq!(contract_of(&world).state_name(), "dormant");
    let events = deposit(&mut world, 2, 50_000).unwrap();
    assert!(events.contains(&"contract.reactivated".to_owned()), "{events:?}");
    assert_eq!(contract_of(&world).state_name(), "active");
    world.succeed(f(2)).unwrap();
    world.now += TimeDelta::days(12);
    world.wake();
    assert!(world.times_of("contract.dormancy_defaulted").is_empty());
}

/// B.3: and so is assigning one.
#[test]
fn assigning_a_deposit_wakes_a_dormant_contract() {
    let mut world = quiet();
    deposit(&mut world, 2, 50_000).unwrap();
    world.succeed(f(2)).unwrap();
    world.now += TimeDelta::days(92);
    world.wake();
    assert_eq!(contract_of(&world).state_name(), "dormant");
    let assign = MoneyIntent::AllocateDeposit {
        contract_id: contract(),
        reallocation_id: reallocation_id(1),
        to: m(2),
        amount: minor(50_000),
    };
    let events = world.by_client(Intent::Money(assign)).unwrap();
    assert!(events.contains(&"contract.reactivated".to_owned()), "{events:?}");
    assert_eq!(contract_of(&world).state_name(), "active");
}

/// While a contract is paused nothing new begins: no deposit either.
#[test]
fn a_paused_contract_takes_no_deposit() {
    let mut world = quiet();
    let pause = ContractCommand::Pause { reason: None };
    world.by_client(Intent::OnContract { contract_id: contract(), command: pause }).unwrap();
    assert_eq!(deposit(&mut world, 2, 50_000).map_err(|refusal| refusal.code()), Err("contract_wrong_state"));
    assert_eq!(world.fund(3, &[(2, 50_000)]).map_err(|refusal| refusal.code()), Err("contract_wrong_state"));
}

/// `two_sided` with an initiation fee of 4.95.
fn with_initiation() -> FeeSchedule {
    FeeSchedule { currency: Some(Currency::USD), initiation_fee: minor(495), ..FeeSchedule::two_sided() }
}

/// How the first payment is asked for, and in words.
type First = (&'static str, fn(&mut World));

/// J04: the initiation fee comes with the first funding that succeeds; one that was declined or cancelled carries none.
#[test]
fn the_initiation_fee_comes_with_the_first_money_that_arrives() {
    let order = |world: &World, number| match world.state(&domain::funding::stream(f(number))) {
        AggregateState::Funding(state) => state.order().unwrap().charge.get(),
        other => panic!("{other:?}"),
    };
    let declined = || FundingCommand::RecordFailed { code: "card_declined".to_owned() };
    let first: [First; 2] = [
        ("a deposit", |world| deposit(world, 1, 100_000).map(drop).unwrap()),
        ("another milestone", |world| world.fund(1, &[(1, 100_000)]).map(drop).unwrap()),
    ];
    for (what, ask) in first {
        let asked = || {
            let mut world = World::new().accepted(&[100_000, 50_000], with_initiation(), Policy::default());
            ask(&mut world);
            assert_eq!(order(&world, 1), 105_495, "{what}");
            world
        };
        let mut world = asked();
        world.fund(2, &[(2, 50_000)]).unwrap();
        assert_eq!(order(&world, 2), 52_500, "{what} is under way, and carries it");
        let mut world = asked();
        world.fact(Command::Funding(f(1), declined())).unwrap();
        world.fund(2, &[(2, 50_000)]).unwrap();
        assert_eq!(order(&world, 2), 52_995, "{what} was declined");
        world.succeed(f(2)).unwrap();
        world.approve(2).unwrap();
        assert_eq!(world.balance().get("4120"), Some(&-495), "{what}");
    }
}

/// J04: a payment that succeeds after it was declined gives its initiation fee to the wallet, where another paid it since.
#[test]
fn the_initiation_fee_is_taken_once() {
    let taxed = FeeSchedule { currency: Some(Currency::USD), ..with_vat() };
    // The fees of F2 are 25.00 and 4.95; those of F1 were 50.00 and 4.95. With 20% VAT, 0.99 belong to the 4.95.
    for (schedule, back) in [(with_initiation(), 495), (taxed, 594)] {
        let mut world = World::new().accepted(&[100_000, 50_000], schedule, Policy::default());
        deposit(&mut world, 1, 100_000).unwrap();
        let declined = FundingCommand::RecordFailed { code: "card_declined".to_owned() };
        world.fact(Command::Funding(f(1), declined)).unwrap();
        world.fund(2, &[(2, 50_000)]).unwrap();
        world.succeed(f(2)).unwrap();
        let events = world.succeed(f(1)).unwrap();
        assert!(events.contains(&"wallet.credited".to_owned()), "{events:?}");
        let books = world.balance();
        assert_eq!((books.get("2310"), books.get("2120")), (Some(&-495), Some(&-back)));
        assert_eq!((books.get("2105"), books.get("2300")), (Some(&-100_000), Some(&-7500)));
    }
}

/// B.5, D-36: only what the client proposed moves, also when the milestone has more money by the time the payee agrees.
#[test]
fn a_roll_forward_moves_what_the_client_proposed() {
    let mut world = quiet();
    let amendment_id = AmendmentId::from_uuid(uuid(700));
    let on_contract = |command| Intent::OnContract { contract_id: contract(), command };
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
    let propose = ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() };
    world.by_client(on_contract(propose)).unwrap();
    world.by_payee(on_contract(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
    world.fund(2, &[(1, 20_000)]).unwrap();
    let remainder = Remainder::RollForward { milestone_id: m(2) };
    let approve = M::ApprovePartially { gross: minor(70_000), currency: None, remainder };
    world.by_client(Intent::OnMilestone { milestone_id: m(1), command: approve }).unwrap();
    world.succeed(f(2)).unwrap();
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: M::AcceptRollForward }).unwrap();
    let held = |number| milestone(&world, number).progress().unwrap().held;
    assert_eq!((held(1), held(2)), (minor(20_000), minor(30_000)));
    assert_eq!(milestone(&world, 1).state_name(), "partially_released");
}

/// A fee that came with a contested payment cannot go back by it: the refund waits for the bank, and goes after that.
#[test]
fn a_refund_waits_for_the_fee_of_a_contested_payment() {
    let rule = FeeRule::Percent { percent: percent("5"), minimum: Minor::ZERO, cap: Some(minor(2000)) };
    let schedule =
        FeeSchedule { currency: Some(Currency::USD), client_fee: Fee::new(vec![rule]), ..FeeSchedule::empty("capped") };
    let mut desk = Desk::new(Currency::USD, schedule, Policy::default());
    desk.fund(1, &[(1, 60_000)]);
    desk.fund(2, &[(1, 40_000)]);
    desk.release(1, 1, 60_000).unwrap();
    let chargeback_id = ChargebackId::from_uuid(uuid(800));
    let note = EscrowCommand::NoteChargeback { chargeback_id, funding_id: f(1), inquiry: false };
    desk.by_system(&note).unwrap();
    assert_eq!(desk.refund(1, 1, 40_000), Err(Refusal::ChargeDisputed { chargeback_id }));
    desk.by_system(&EscrowCommand::ClearChargeback { chargeback_id }).unwrap();
    let events = desk.refund(1, 1, 40_000).unwrap();
    assert_eq!(refund_parts(&events[0]), [(f(2), 40_000), (f(1), 800)]);
}

fn parts_of(event: &EscrowEvent) -> &[RefundPart] {
    match event {
        EscrowEvent::RefundInitiated { parts, .. } | EscrowEvent::ReleaseReturned { parts, .. } => parts,
        other => panic!("{other:?} sends nothing back"),
    }
}

/// D-54, D-55, J92: what a provider cannot send back, as it could not charge it, is the wallet's; nothing is lost.
#[test]
fn the_rest_of_a_refund_that_cannot_be_sent_is_the_wallets() {
    // Currency, milestone, refunded of it; what goes to the card, what to the wallet.
    let table = [
        (Currency::KWD, 10_123, 10_123, 10_620, 9),
        (Currency::KWD, 100_000, 33_334, 35_000, 1),
        (Currency::KWD, 100_000, 100_000, 105_000, 0),
        (Currency::KWD, 8, 8, 0, 8),
        (Currency::MGA, 100_000, 33_334, 35_000, 1),
        (Currency::USD, 100_000, 33_334, 35_001, 0),
    ];
    for (currency, amount, refunded, sent, kept) in table {
        let mut desk = Desk::new(currency, FeeSchedule::two_sided(), Policy::default());
        desk.fund(1, &[(1, amount)]);
        let event = desk.refund(1, 1, refunded).unwrap().remove(0);
        let parts = parts_of(&event);
        let of = |from| parts.iter().filter(|part| part.paid_from == from).map(|part| part.amount.get()).sum::<i64>();
        assert_eq!((of(PaidFrom::Provider), of(PaidFrom::Wallet)), (sent, kept), "{refunded} of {amount} {currency}");
        assert_eq!(parts[0].refund_id, r(1), "the first part has the id of the refund");
        assert!(parts.windows(2).all(|pair| pair[0].refund_id != pair[1].refund_id));
        assert!(parts.iter().all(|part| !part.amount.is_zero() && part.funding_id == f(1)));
    }
}

/// D-55, J92: over the whole engine the client has it in the wallet at once, beside the surplus of the charge.
#[test]
fn a_refund_in_dinars_leaves_its_last_digit_in_the_wallet() {
    let mut world = World::new();
    world.currency = Currency::KWD;
    let mut world = world.accepted(&[10_123], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 10_123)]).unwrap();
    world.succeed(f(1)).unwrap();
    let grant = M::GrantRefund { amount: None, currency: None };
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: grant }).unwrap();
    let id = WalletId { party_id: client(), currency: Currency::KWD };
    let AggregateState::Wallet(wallet) = world.state(&domain::wallet::stream(id)) else { panic!() };
    assert_eq!(wallet.balance, minor(10), "9 of the refund, 1 of the charge");
    let books = world.balance();
    assert_eq!((books.get("2260"), books.get("2120")), (Some(&-10_620), Some(&-10)));
}
