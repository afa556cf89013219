//! D7: what a bank takes that is not simply the charge, or takes again, or when nobody expects it.

use domain::actor::StaffRole;
use domain::chargeback::Phase;
use domain::fee::FeeSchedule;
use domain::id::ChargebackId;
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::ports::provider::DisputeStatus;
use domain::refusal::Refusal;
use domain::rules::Rules;

use super::bank::{Dispute, chargeback, earnings, holding, holdings, milestone, pay_out};
use super::ledgers::{chargebacks, check, joined, vector};
use super::money::world::World;
use super::money::{assert_journal, contract, f, lines, m, minor, staff};
use super::money_taken_back::{cleared, f0, names, on};

/// J98: a part of the charge: as much is locked as is money, and not fee; what is left goes on after the loss.
#[test]
fn a_part_is_locked_without_the_fee_in_it() {
    let (mut world, _) = f0();
    let mut dispute = Dispute::of(f(1), "dp_2", 40_000);
    dispute.withdraws(40_000).told(&mut world).unwrap();
    let entries = [world.entry("chargeback.funds_withdrawn"), world.entry("escrow.chargeback_held")];
    assert_eq!(joined(&entries), vector("J98"));
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(holding(&world, 1).lost, minor(38_095));
    assert_eq!(milestone(&world, 1).state_name(), "funded");
    assert!(!world.balance().contains_key("5200"), "money and fee are the loss, to the cent");
    check(&world);
    world.by_payee(on(M::GrantRefund { amount: None, currency: None })).unwrap();
    assert_eq!(world.balance().get("2260"), Some(&-65_000), "the rest of the charge, and no more");
    check(&world);
}

/// What the bank takes beyond the charge is booked as it is, is marked, and is the platform's loss.
#[test]
fn more_than_the_charge_is_booked_as_it_is() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(110_000).told(&mut world).unwrap();
    let event = world.log.iter().rev().find(|event| event.event_type == "chargeback.funds_withdrawn").unwrap();
    assert!(event.payload.contains(r#""differs_from_charge":true"#), "{}", event.payload);
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(world.balance().get("5200"), Some(&5000));
    check(&world);
}

/// In another currency it is booked as it moved; the escrow stays locked, and the loss is an operator's to settle.
#[test]
fn another_currency_is_booked_as_it_is() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(97_000);
    dispute.report.movements[0].currency = ledger::Currency::EUR;
    dispute.told(&mut world).unwrap();
    assert_eq!(holding(&world, 1).disputed, minor(100_000), "all of the payment is locked");
    let events = dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.lost"]);
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    let case = dispute.state(&world);
    assert!(case.case().unwrap().is_foreign());
    assert_eq!(lines(&world.entry("chargeback.funds_withdrawn"))[0].3, "EUR");
}

/// What was refunded before the bank took the charge was paid twice: the platform bears it, and no one else.
#[test]
fn a_refund_before_the_chargeback_is_the_platforms_loss() {
    let (mut world, mut dispute) = f0();
    world.by_payee(on(M::GrantRefund { amount: Some(minor(40_000)), currency: None })).unwrap();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(holding(&world, 1).disputed, minor(60_000));
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(world.balance().get("5200"), Some(&42_000), "400.00 and their fee");
    assert_eq!(milestone(&world, 1).state_name(), "planned");
    check(&world);
}

/// D-117: won, and lost in a second presentment: a second cycle, J50 again and then J54.
#[test]
fn a_second_presentment_is_a_second_cycle() {
    let (mut world, mut dispute) = cleared(Policy::default());
    pay_out(&mut world, 1, 90_000).unwrap();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(dispute.state(&world).state_name(), "won");
    check(&world);

    dispute.is(DisputeStatus::Lost).withdraws(105_000);
    let events = dispute.told(&mut world).unwrap();
    assert_eq!(events[..3], ["chargeback.second_presentment", "chargeback.opened", "chargeback.funds_withdrawn"]);
    let cycles: Vec<_> = chargebacks(&world).iter().map(|case| case.opening.cycle).collect();
    assert_eq!(
        {
            let mut cycles = cycles;
            cycles.sort_unstable();
            cycles
        },
        [1, 2]
    );
    let first = joined(&[world.entry("chargeback.funds_withdrawn")]);
    assert_eq!(
        first,
        vector("J50").into_iter().filter(|(_, account, _)| !account.starts_with('2')).collect::<Vec<_>>()
    );
    let second: ChargebackId = dispute.state(&world).next().unwrap();
    assert_eq!(chargeback(&world, second).state_name(), "lost");
    assert_eq!(dispute.state(&world).state_name(), "won", "the first cycle stays what it was");
    assert_journal(&world.entry("payee.chargeback_loss_charged"), "J54", &[("CB1", second.to_string())]);
    assert_eq!(earnings(&world).debt_total(), minor(90_000));
    check(&world);
    assert_eq!(dispute.told(&mut world), Ok(Vec::new()), "told again to the first cycle, the second one knows");
}

/// What the provider takes after it said that the dispute is lost, is lost as well; what it gives back then is a receipt
/// that somebody has to explain.
#[test]
fn money_that_moves_after_the_end_is_booked() {
    let (mut world, mut dispute) = f0();
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "funded", "nothing was taken yet");
    dispute.withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "planned");
    assert!(!world.balance().contains_key("1200"));
    check(&world);
    dispute.reinstates(105_000).told(&mut world).unwrap();
    let books = world.balance();
    assert_eq!((books.get("2900"), books.get("1200")), (Some(&-105_000), None));
    check(&world);
}

/// J57: only when the provider says so, a fee comes back.
#[test]
fn a_fee_that_comes_back_is_no_expense() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    dispute.is(DisputeStatus::Won).reinstates(105_000);
    dispute.report.movements[1].fee_returned = minor(1500);
    dispute.told(&mut world).unwrap();
    assert_journal(&world.entry("chargeback.dispute_fee_returned"), "J57", &names(&dispute));
    assert!(!world.balance().contains_key("5120"));
    check(&world);
}

/// A deposit for no milestone has no account for locked money: it stays on 2105, and cannot leave.
#[test]
fn a_deposit_is_locked_where_it_is() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: Vec::new(),
        deposit: minor(50_000),
        currency: ledger::Currency::USD,
        paid_from: domain::escrow::PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(1)).unwrap();
    world.fund(2, &[(1, 100_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    let mut dispute = Dispute::of(f(1), "dp_1", 52_500);
    dispute.withdraws(52_500).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "funded", "another payment paid for it");
    // The contract ends meanwhile; the deposit stays.
    world.approve(1).unwrap();
    assert_eq!(holdings(&world).unallocated_amount(), minor(50_000));
    check(&world);
    let copy = || {
        let mut copy = World::new();
        copy.log.clone_from(&world.log);
        copy.appends.clone_from(&world.appends);
        copy.now = world.now;
        (copy, dispute.clone())
    };
    let (mut lost, mut bank) = copy();
    bank.is(DisputeStatus::Lost).told(&mut lost).unwrap();
    assert_eq!(holdings(&lost).unallocated_amount(), minor(0));
    check(&lost);
    // Lost in part: what the bank has left goes back at once, since the contract is over.
    let (mut lost, mut bank) = copy();
    let events = bank.reinstates(31_500).is(DisputeStatus::Lost).told(&mut lost).unwrap();
    assert!(events.contains(&"refund.requested".to_owned()), "{events:?}");
    assert_eq!(holdings(&lost).unallocated_amount(), minor(0));
    assert_eq!(lost.balance().get("2260"), Some(&-31_500), "300.00 and their fee");
    check(&lost);

    let events = dispute.is(DisputeStatus::Won).reinstates(52_500).told(&mut world).unwrap();
    assert!(events.contains(&"refund.requested".to_owned()), "what is free again goes back: {events:?}");
    assert_eq!(holdings(&world).unallocated_amount(), minor(0));
    check(&world);
}

/// I4: of a deposit of two payments, of which a bank has one, no more can be assigned to a milestone than is free.
#[test]
fn what_a_bank_has_of_a_deposit_is_assigned_to_nothing() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    for number in 1..=2 {
        let pay_in = MoneyIntent::PayIn {
            contract_id: contract(),
            funding_id: f(number),
            allocations: Vec::new(),
            deposit: minor(50_000),
            currency: ledger::Currency::USD,
            paid_from: domain::escrow::PaidFrom::Provider,
            payment_method: "pm_1".to_owned(),
        };
        world.by_client(Intent::Money(pay_in)).unwrap();
        world.succeed(f(number)).unwrap();
    }
    let mut dispute = Dispute::of(f(1), "dp_1", 52_500);
    dispute.withdraws(52_500).told(&mut world).unwrap();
    let assign = |number, amount| {
        Intent::Money(MoneyIntent::AllocateDeposit {
            contract_id: contract(),
            reallocation_id: domain::id::ReallocationId::from_uuid(uuid::Uuid::from_u128(number)),
            to: m(1),
            amount: minor(amount),
        })
    };
    let refused = world.by_client(assign(1, 50_001));
    assert_eq!(refused, Err(Refusal::ChargeDisputed { chargeback_id: dispute.id() }));
    dispute.is(DisputeStatus::Won).reinstates(52_500).told(&mut world).unwrap();
    world.by_client(assign(2, 50_001)).unwrap();
    check(&world);
}

/// I11: the tax is rounded over the whole contract. Where the minor unit that is left came with a payment that a bank has,
/// the others go back without it, and no timer is refused.
#[test]
fn a_rounding_of_the_tax_stays_with_the_payment_that_a_bank_has() {
    let schedule: FeeSchedule = serde_json::from_value(serde_json::json!({
        "id": "odd", "version": 1,
        "client_fee": { "kind": "percent", "percent": "18.08" },
        "payee_fee": { "kind": "percent", "percent": "25.87" },
        "tax": { "point": "funding", "client": {
            "jurisdiction": "DE", "percent": "15.08", "reverse_charge": false, "withholding": "0",
        } },
    }))
    .unwrap();
    let mut world = World::new().accepted(&[3_351_765, 157_999], schedule, Policy::default());
    world.fund(1, &[(1, 3_351_765)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.fund(2, &[(2, 157_999)]).unwrap();
    world.succeed(f(2)).unwrap();
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(3),
        allocations: Vec::new(),
        deposit: minor(99_432),
        currency: ledger::Currency::USD,
        paid_from: domain::escrow::PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(3)).unwrap();
    let captured = holdings(&world).fundings[&f(1)].paid.get();
    Dispute::of(f(1), "dp_1", captured).withdraws(captured).told(&mut world).unwrap();
    // The provider's limit sends back what the bank does not have.
    world.now += chrono::TimeDelta::days(400);
    world.wake();
    assert!(world.times_of("escrow.timer_blocked").is_empty());
    let held = holdings(&world);
    assert!(held.fundings.iter().filter(|(id, _)| **id != f(1)).all(|(_, paid)| paid.sent_back <= paid.paid));
    assert_eq!(held.unallocated_amount(), minor(0));
    check(&world);
}

/// A dispute about a payment that is not known to have succeeded waits for that.
#[test]
fn a_payment_that_is_not_known_is_looked_for_again() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let dispute = Dispute::of(f(1), "dp_1", 105_000);
    assert_eq!(dispute.told(&mut world), Err(Refusal::NotFound { what: "funding" }));
    assert_eq!(Dispute::of(f(7), "dp_7", 1).told(&mut world), Err(Refusal::NotFound { what: "funding" }));
    world.succeed(f(1)).unwrap();
    dispute.told(&mut world).unwrap();
    let Phase::NeedsResponse = (match dispute.state(&world) {
        domain::chargeback::Chargeback::Opened { phase, .. } => phase,
        other => panic!("{other:?}"),
    }) else {
        panic!("not opened")
    };
    // Nobody but the engine may tell such a thing.
    let outsider = staff(StaffRole::Auditor);
    let evidence = super::evidence::bundle_of(&world, "dp_1");
    let submit = domain::chargeback::ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
    let refused = world.perform(outsider, Intent::Fact(domain::command::Command::Chargeback(dispute.id(), submit)));
    assert_eq!(refused, Err(Refusal::Forbidden { who: "staff", action: "answer a chargeback" }));
}
