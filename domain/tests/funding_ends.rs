//! Fundings that come to nothing, and money that arrives all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::command::Command;
use domain::contract::{Change, ContractCommand, Parts};
use domain::escrow::EscrowCommand;
use domain::fee::FeeSchedule;
use domain::funding::FundingCommand;
use domain::id::RefundId;
use domain::intent::{Intent, MoneyIntent};
use domain::policy::Policy;
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderOrder, ProviderReport};
use domain::process;
use domain::refusal::Refusal;
use ledger::Currency;
use money::world::World;
use money::*;

/// D-16: the client does not complete the payment in 24 hours; what was asked of the provider is called off.
#[test]
fn a_payment_that_nobody_completes_expires() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let told = |world: &mut World, status: PaymentStatus| {
        let report = PaymentReport { payment_ref: format!("pi_{}", f(1)), funding_id: Some(f(1)), status };
        for fact in process::facts(&ProviderReport::Payment(report)) {
            world.fact(fact.command).unwrap();
        }
    };
    told(&mut world, PaymentStatus::ActionRequired);
    world.now += TimeDelta::hours(24) - TimeDelta::milliseconds(1);
    world.wake();
    assert!(world.times_of("funding.expired").is_empty());
    // Late by two hours; what comes then is judged as if it had fired in time: the milestone can be funded anew.
    let due_at = world.now + TimeDelta::milliseconds(1);
    world.now += TimeDelta::hours(2);
    world.fund(2, &[(1, 100_000)]).unwrap();
    assert_eq!(world.times_of("funding.expired"), [due_at]);
    assert_eq!(world.times_of("milestone.funding_failed"), [due_at]);
    let cancel = ProviderOrder::CancelPayment { funding_id: f(1), payment_ref: format!("pi_{}", f(1)) };
    assert!(world.orders.iter().any(|order| order.what == cancel));
    assert_eq!(process::refused(&cancel, "payment_intent_unexpected_state").len(), 1, "it is past calling off");

    // A success that comes all the same goes back, and funds nothing.
    let events = world.succeed(f(1)).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.succeeded_after_cancel", "refund.requested"]);
    world.succeed(f(2)).unwrap();
    assert_eq!(world.balance().get("2260"), Some(&-105_000));
    assert_eq!(world.balance().get("2100"), Some(&-100_000));
}

/// D-19: under way at the bank it takes as long as it takes.
#[test]
fn a_bank_debit_does_not_expire() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.fact(Command::Funding(f(1), FundingCommand::RecordProcessing)).unwrap();
    world.now += TimeDelta::days(4);
    world.wake();
    assert!(world.times_of("funding.expired").is_empty());
    assert!(world.balance().is_empty(), "nothing is booked meanwhile");
    assert!(world.succeed(f(1)).unwrap().contains(&"escrow.funded".to_owned()));
}

/// D-10, J93: the contract is over a second before the provider confirms; the money goes back, its cost is the
/// platform's.
#[test]
fn money_for_a_contract_that_is_over_goes_back() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.now += TimeDelta::seconds(1);
    // What a cancelled contract asks of its escrow.
    let events = world.fact(Command::Escrow(contract(), EscrowCommand::Close)).unwrap();
    assert_eq!(events, ["escrow.closed", "funding.cancelled", "milestone.funding_failed"]);
    world.now += TimeDelta::seconds(1);
    let events = world.succeed(f(1)).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.succeeded_after_cancel", "refund.requested"]);
    let refund_id = RefundId::derived(f(1).as_uuid(), "late");
    assert_journal(&world.entry("funding.succeeded_after_cancel"), "J93", &[("R10", refund_id.to_string())]);
    let order = &world.orders.last().unwrap().what;
    assert!(matches!(order, ProviderOrder::Refund { amount, .. } if *amount == minor(105_000)));
    assert!(world.times_of("milestone.funded").is_empty(), "the client never sees a funded milestone");
    let receipt = domain::ports::provider::Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(3075),
        net: minor(101_925),
        currency: Currency::USD,
        booked_on: world.now.date_naive(),
        available_on: world.now,
        available: false,
    };
    world.fact(Command::Funding(f(1), FundingCommand::RecordReceipt { receipt })).unwrap();
    assert_eq!(world.balance().get("5100"), Some(&3075));
}

/// D-18: another amount than was asked for is nobody's yet.
#[test]
fn another_amount_is_booked_as_unallocated() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let events = world.collect(f(1), 100_000).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.receipt_suspended", "milestone.funding_failed"]);
    assert_eq!(world.balance().into_iter().collect::<Vec<_>>(), [("1110", 100_000), ("2900", -100_000)]);
    assert_eq!(state_of(&world, &domain::funding::stream(f(1))), "under_review");
    assert_eq!(state_of(&world, &domain::milestone::stream(m(1))), "planned");
    assert_eq!(world.collect(f(1), 100_000), Ok(Vec::new()), "told again");
    // It is paid for again, and what lies in suspense stays there.
    world.fund(2, &[(1, 100_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    assert_eq!((world.balance()["2100"], world.balance()["2900"]), (-100_000, -100_000));
}

fn state_of(world: &World, stream: &domain::log::StreamId) -> &'static str {
    world.state(stream).state_name()
}

/// D-18, D-08: what an amendment added is paid in another amount, and in another currency: nobody waits for that payment
/// any more, so that the milestone can be approved and the contract completed.
#[test]
fn a_top_up_in_another_amount_leaves_nothing_waiting() {
    let amend = |world: &mut World| {
        let amendment_id = domain::id::AmendmentId::from_uuid(uuid(700));
        let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(120_000) }];
        let propose = ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() };
        let on = |command| Intent::OnContract { contract_id: contract(), command };
        world.by_client(on(propose)).unwrap();
        world.by_payee(on(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
        world.fund(2, &[(1, 20_000)]).unwrap();
    };
    for (captured, currency, reason) in
        [(20_999, Currency::USD, "amount_mismatch"), (21_000, Currency::EUR, "currency_mismatch")]
    {
        let mut world = World::f0(&[100_000]);
        amend(&mut world);
        let succeeded = FundingCommand::RecordSucceeded {
            payment_ref: "pi_2".to_owned(),
            charge_ref: "ch_2".to_owned(),
            captured: minor(captured),
            currency,
            collected_at: world.now,
            settled: None,
        };
        let events = world.fact(Command::Funding(f(2), succeeded)).unwrap();
        assert_eq!(events, ["funding.succeeded", "funding.receipt_suspended", "milestone.funding_failed"]);
        let failed = world.log.iter().rev().find(|event| event.event_type == "milestone.funding_failed").unwrap();
        let failed: serde_json::Value = serde_json::from_str(&failed.payload).unwrap();
        assert_eq!(failed["reason"], reason);
        let events = world.approve(1).unwrap();
        assert!(events.contains(&"contract.completed".to_owned()), "{events:?}");
        assert_eq!(state_of(&world, &domain::milestone::stream(m(1))), "released");
    }
}

/// The client may cancel what the bank has not begun with, and nobody else may.
#[test]
fn a_client_cancels_a_payment() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let cancel = || Intent::Money(MoneyIntent::CancelFunding { funding_id: f(1) });
    assert_eq!(world.by_payee(cancel()), Err(Refusal::NotAParty));
    assert_eq!(world.by_client(cancel()).unwrap(), ["funding.cancelled", "milestone.funding_failed"]);
    let again = Refusal::FundingWrongState { action: "cancelled", state: "cancelled" };
    assert_eq!(world.by_client(cancel()), Err(again));
    // Its name at the provider becomes known only now: it is called off there.
    let link = FundingCommand::LinkPayment { payment_ref: "pi_late".to_owned() };
    world.fact(Command::Funding(f(1), link)).unwrap();
    let order = &world.orders.last().unwrap().what;
    assert!(matches!(order, ProviderOrder::CancelPayment { payment_ref, .. } if payment_ref == "pi_late"));

    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.fact(Command::Funding(f(1), FundingCommand::RecordProcessing)).unwrap();
    let wrong = Refusal::FundingWrongState { action: "cancelled", state: "processing" };
    assert_eq!(world.by_client(cancel()), Err(wrong));
}
