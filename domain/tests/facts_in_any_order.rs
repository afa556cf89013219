//! The provider may tell anything in any order, and again: nothing is refused, nothing is booked twice, and the books say
//! where the money is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::fee::FeeSchedule;
use domain::funding::FundingCommand;
use domain::id::{PayoutId, RefundId};
use domain::intent::Intent;
use domain::milestone::MilestoneCommand;
use domain::payee::PayeeAccountId;
use domain::payout::{Payout, PayoutCommand};
use domain::policy::Policy;
use domain::refund::{Refund, RefundCommand};
use ledger::Currency;
use money::world::World;
use money::*;
use proptest::prelude::*;

fn funding_fact() -> impl Strategy<Value = FundingCommand> {
    let succeeded = |captured: i64, currency| FundingCommand::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(captured),
        currency,
        collected_at: BEGIN.parse().unwrap(),
        settled: None,
    };
    prop_oneof![
        1 => Just(FundingCommand::LinkPayment { payment_ref: "pi_1".to_owned() }),
        1 => Just(FundingCommand::RecordActionRequired),
        1 => Just(FundingCommand::RecordProcessing),
        1 => Just(FundingCommand::RecordFailed { code: "card_declined".to_owned() }),
        1 => Just(FundingCommand::CallOff),
        1 => Just(FundingCommand::Expire),
        2 => Just(succeeded(105_000, Currency::USD)),
        1 => Just(succeeded(104_999, Currency::USD)),
    ]
}

fn refund_fact() -> impl Strategy<Value = RefundCommand> {
    prop_oneof![
        Just(RefundCommand::RecordSubmitted { refund_ref: "re_1".to_owned() }),
        Just(RefundCommand::RecordLackOfFunds),
        Just(RefundCommand::RecordSucceeded {
            refund_ref: "re_1".to_owned(),
            balance_transaction_ref: None,
            taken: None
        }),
        Just(RefundCommand::RecordFailed { code: "expired_card".to_owned(), came_back: None }),
        Just(RefundCommand::RecordCancelled),
        Just(RefundCommand::RecordRefused { code: "declined".to_owned() }),
    ]
}

fn payout_fact() -> impl Strategy<Value = PayoutCommand> {
    prop_oneof![
        Just(PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(60_000) }),
        Just(PayoutCommand::RecordSubmitted { bank_payout_ref: "po_1".to_owned(), arrival_at: BEGIN.parse().unwrap() }),
        Just(PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() }),
        Just(PayoutCommand::RecordFailed { code: "account_closed".to_owned() }),
    ]
}

fn balance(world: &World, account: &str) -> i128 {
    world.balance().get(account).copied().unwrap_or_default()
}

/// What the provider tells.
fn reports<T: std::fmt::Debug>(fact: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(fact, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// I11, I5: what was collected is held, in suspense, or on its way back, once and exactly.
    #[test]
    fn a_payment_is_booked_once(facts in reports(funding_fact())) {
        let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
        world.fund(1, &[(1, 100_000)]).unwrap();
        for fact in &facts {
            world.fact(Command::Funding(f(1), fact.clone())).unwrap();
            prop_assert_eq!(world.fact(Command::Funding(f(1), fact.clone())), Ok(Vec::new()), "{:?} again", fact);
            let AggregateState::Funding(state) = world.state(&domain::funding::stream(f(1))) else { panic!() };
            let captured = match *state {
                domain::funding::Funding::Succeeded { captured, .. } => i128::from(captured.get()),
                _ => 0,
            };
            prop_assert_eq!(balance(&world, "1110"), captured);
            let places = ["2100", "2300", "2900", "2260"].map(|account| -balance(&world, account));
            prop_assert_eq!(places.iter().sum::<i128>(), captured);
            prop_assert!(places.iter().filter(|place| **place != 0).count() <= 2, "in one place, fee apart");
            let held = world.state(&domain::milestone::stream(m(1))).state_name() == "funded";
            prop_assert_eq!(held, places[0] == 100_000);
        }
    }

    /// I11, I5: what is on its way back stands on 2260 until it has arrived or the wallet has it; money that left although
    /// the wallet has it is in suspense.
    #[test]
    fn a_refund_arrives_once(facts in reports(refund_fact()), redirect_after in 0..12_usize) {
        let mut world = World::f0(&[100_000]);
        let grant = MilestoneCommand::GrantRefund { amount: None, currency: None };
        world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: grant }).unwrap();
        let refund_id = RefundId::derived(m(1).as_uuid(), "refund/1");
        for (number, fact) in facts.iter().enumerate() {
            if number == redirect_after {
                // Refused unless somebody has to decide.
                let _ = world.by_client(Intent::Money(domain::intent::MoneyIntent::RedirectRefund { refund_id }));
            }
            world.fact(Command::Refund(refund_id, fact.clone())).unwrap();
            let again = world.fact(Command::Refund(refund_id, fact.clone())).unwrap();
            prop_assert!(again.is_empty(), "{:?} again: {:?}", fact, again);
            let AggregateState::Refund(state) = world.state(&domain::refund::stream(refund_id)) else { panic!() };
            let books = ["2260", "2120", "1120", "1900"].map(|account| balance(&world, account));
            let whole = 105_000;
            let expected = match *state {
                Refund::NotRequested => panic!("it was requested"),
                Refund::Requested { .. } | Refund::Submitted { .. } | Refund::RequiresManual { .. } => [-whole, 0, 0, 0],
                Refund::Succeeded { .. } => [0, 0, -whole, 0],
                Refund::Failed { .. } | Refund::Cancelled { .. } | Refund::Redirected { sent_too: false, .. } => {
                    [0, -whole, 0, 0]
                }
                Refund::Redirected { sent_too: true, .. } => [0, -whole, -whole, whole],
            };
            prop_assert_eq!(books, expected, "{:?}", state);
            let wallet = domain::wallet::WalletId { party_id: client(), currency: Currency::USD };
            let AggregateState::Wallet(wallet) = world.state(&domain::wallet::stream(wallet)) else { panic!() };
            prop_assert_eq!(i128::from(wallet.balance.get()), -books[1]);
        }
    }

    /// I11, I5: two payouts, the second after the first has ended. What the payee has, and where it lies, is what the books
    /// say.
    #[test]
    fn a_payout_is_paid_once(first in reports(payout_fact()), second in reports(payout_fact())) {
        let mut world = World::f0(&[100_000]);
        world.approve(1).unwrap();
        world.now += TimeDelta::days(5);
        let account = PayeeAccountId { party_id: payee(), currency: Currency::USD };
        for (number, facts) in [(1_u128, first), (2, second)] {
            let payout_id = PayoutId::from_uuid(uuid(600 + number));
            let request = Intent::RequestPayout {
                payout_id,
                payee_id: payee(),
                currency: Currency::USD,
                amount: minor(60_000),
            };
            if world.by_payee(request).is_err() {
                continue;
            }
            for fact in facts {
                world.fact(Command::Payout(payout_id, fact.clone())).unwrap();
                let AggregateState::Payee(state) = world.state(&domain::payee::stream(account)) else { panic!() };
                prop_assert_eq!(-balance(&world, "2210"), i128::from(state.available.get()));
                let in_transit: i64 = state.in_transit.values().map(|reserved| reserved.amount.get()).sum();
                prop_assert_eq!(-balance(&world, "2250"), i128::from(in_transit));
                let on_its_way: i64 = [601, 602].into_iter().map(|number| at_payees_account(&world, number)).sum();
                prop_assert_eq!(balance(&world, "1130"), i128::from(state.at_provider.get() + on_its_way));
                prop_assert!(state.at_provider.get() >= 0);
            }
        }
    }
}

/// What of a payout that is under way lies at the payee's account at the provider.
fn at_payees_account(world: &World, number: u128) -> i64 {
    let AggregateState::Payout(state) = world.state(&domain::payout::stream(PayoutId::from_uuid(uuid(number)))) else {
        panic!()
    };
    match *state {
        Payout::Transferring { withdrawal } => withdrawal.amount.get() - withdrawal.transfer_amount.get(),
        Payout::Submitting { withdrawal, .. } | Payout::InTransit { withdrawal, .. } => withdrawal.amount.get(),
        _ => 0,
    }
}
