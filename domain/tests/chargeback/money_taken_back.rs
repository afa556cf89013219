//! D7: a bank takes money back while it is held, after it was released, and after it was paid out.

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::command::Command;
use domain::fee::FeeSchedule;
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::{LossCause, Milestone, MilestoneCommand as M};
use domain::payee::{HoldReason, PayeeCommand};
use domain::policy::{Liability, Policy};
use domain::ports::provider::{DisputeStatus, FraudWarningReport, ProviderReport};
use domain::refusal::Refusal;
use domain::rules::Rules;

use super::bank::{Dispute, account, clear, earnings, holding, milestone, pay_out, tell};
use super::ledgers::{check, joined, vector};
use super::money::world::World;
use super::money::{assert_journal, contract, f, lines, m, minor, r, staff};

pub fn names(dispute: &Dispute) -> [(&'static str, String); 1] {
    [("CB1", dispute.id().to_string())]
}

/// F0, and a dispute about F1.
pub fn f0() -> (World, Dispute) {
    (World::f0(&[100_000]), Dispute::of(f(1), "dp_1", 105_000))
}

/// F0, released and cleared: 900.00 are available.
pub fn cleared(policy: Policy) -> (World, Dispute) {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.approve(1).unwrap();
    world.now += TimeDelta::days(5);
    clear(&mut world);
    assert_eq!(earnings(&world).available, minor(90_000));
    (world, Dispute::of(f(1), "dp_1", 105_000))
}

pub fn on(command: M) -> Intent {
    Intent::OnMilestone { milestone_id: m(1), command }
}

/// D-105, J50, J51: nothing is booked when the dispute is created; the money is taken and given back, and the review goes
/// on with the time that was left.
#[test]
fn what_is_won_is_as_it_was() {
    let (mut world, mut dispute) = f0();
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.now += TimeDelta::days(4);
    let before = world.balance();
    let events = dispute.told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.opened", "escrow.charge_disputed", "milestone.suspended"]);
    assert_eq!(world.balance(), before, "nothing on created");
    assert_eq!(milestone(&world, 1).state_name(), "suspended");

    dispute.withdraws(105_000);
    assert_eq!(dispute.told(&mut world).unwrap(), ["chargeback.funds_withdrawn", "escrow.chargeback_held"]);
    let entries = [world.entry("chargeback.funds_withdrawn"), world.entry("escrow.chargeback_held")];
    assert_eq!(joined(&entries), vector("J50"));
    assert_eq!(holding(&world, 1).disputed, minor(100_000));
    check(&world);
    // No clock runs meanwhile, however long it takes.
    world.now += TimeDelta::days(60);
    world.wake();
    assert_eq!(milestone(&world, 1).state_name(), "suspended");

    dispute.is(DisputeStatus::Won).reinstates(105_000);
    let events = dispute.told(&mut world).unwrap();
    let one_commit = [
        "chargeback.funds_reinstated",
        "chargeback.won",
        "escrow.chargeback_released",
        "escrow.charge_cleared",
        "milestone.resumed",
    ];
    assert_eq!(events, one_commit);
    let entries = [world.entry("chargeback.funds_reinstated"), world.entry("escrow.chargeback_released")];
    assert_eq!(joined(&entries), vector("J51"));
    let Milestone::Submitted { review_due_at, .. } = milestone(&world, 1) else { panic!("not under review") };
    assert_eq!(review_due_at, Some(world.now + TimeDelta::days(10)), "4 of 14 days had passed");
    check(&world);
    assert_eq!(dispute.told(&mut world), Ok(Vec::new()), "told again");
    world.now += TimeDelta::days(10);
    world.wake();
    assert_eq!(milestone(&world, 1).state_name(), "released");
}

/// D-105: a victory is none before the money is back.
#[test]
fn it_is_won_when_the_money_is_back() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(dispute.is(DisputeStatus::Won).told(&mut world), Ok(Vec::new()));
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    // Given back in two parts: the lock follows.
    dispute.reinstates(52_500).told(&mut world).unwrap();
    assert_eq!((holding(&world, 1).held, holding(&world, 1).disputed), (minor(50_000), minor(50_000)));
    assert_eq!(world.approve(1), Err(Refusal::ChargeDisputed { chargeback_id: dispute.id() }));
    dispute.reinstates(52_500).told(&mut world).unwrap();
    assert_eq!(dispute.state(&world).state_name(), "won");
    check(&world);
    world.approve(1).unwrap();
}

/// D-106, J52: what is lost while it is held is gone, the milestone is planned again and says why; it can be paid for
/// again, and is released like any other.
#[test]
fn what_is_lost_while_held_is_to_be_paid_for_again() {
    let (mut world, mut dispute) = f0();
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let events = dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(
        events,
        ["chargeback.lost", "escrow.chargeback_absorbed", "escrow.charge_cleared", "milestone.funding_lost"]
    );
    assert_journal(&world.entry("escrow.chargeback_absorbed"), "J52", &names(&dispute));
    let lost = milestone(&world, 1);
    assert_eq!((lost.state_name(), lost.flag()), ("planned", Some(LossCause::FundingLost)));
    let books = world.balance();
    assert_eq!(books.get("5120"), Some(&1500), "the fee stays an expense");
    assert!(["1200", "2100", "2110", "2300"].iter().all(|code| !books.contains_key(code)), "{books:?}");
    check(&world);
    assert_eq!(world.by_payee(Intent::SubmitWork { milestone_id: m(1) }), Err(Refusal::MilestoneNotFunded));

    world.fund(2, &[(1, 100_000)]).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "funding_pending");
    world.succeed(f(2)).unwrap();
    world.approve(1).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "released");
    check(&world);
}

/// D-106: instead of being paid for again, it can be given up, and then the contract is over.
#[test]
fn what_is_lost_can_be_given_up() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    let events = world.by_payee(on(M::Cancel)).unwrap();
    assert!(events.contains(&"contract.completed".to_owned()), "{events:?}");
    assert_eq!(milestone(&world, 1).state_name(), "cancelled");
    check(&world);
}

/// D-106: what of it had gone back to the client before is told with its end, and counts for the contract.
#[test]
fn what_went_back_before_the_rest_was_lost_is_counted() {
    let (mut world, mut dispute) = f0();
    world.by_payee(on(M::GrantRefund { amount: Some(minor(40_000)), currency: None })).unwrap();
    dispute.withdraws(63_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    world.by_client(on(M::Cancel)).unwrap();
    for (kind, key) in [("contract.milestone_closed", "refunded"), ("contract.completed", "refunded_total")] {
        let event = world.log.iter().rfind(|event| event.event_type == kind).unwrap();
        let told: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        assert_eq!(told[key], 40_000, "{kind}");
    }
    check(&world);
}

/// J53: the payee bears what was released, less the fees, which the platform returns.
#[test]
fn what_is_lost_after_release_is_the_payees() {
    let (mut world, mut dispute) = cleared(Policy::default());
    dispute.withdraws(105_000).is(DisputeStatus::Lost);
    let events = dispute.told(&mut world).unwrap();
    assert!(!events.contains(&"milestone.suspended".to_owned()), "nothing of it is held: {events:?}");
    assert_journal(&world.entry("payee.chargeback_loss_charged"), "J53", &[("CB1", dispute.id().to_string())]);
    assert_eq!(earnings(&world).available, minor(0));
    check(&world);
}

/// Earnings of the contract that are not cleared yet go first.
#[test]
fn what_is_lost_before_clearance_is_taken_of_what_is_pending() {
    let (mut world, mut dispute) = f0();
    world.approve(1).unwrap();
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    let booked: Vec<_> = lines(&world.entry("payee.chargeback_loss_charged"))
        .into_iter()
        .map(|(side, account, amount, _)| (side, account, amount))
        .collect();
    let line = |side, account: &str, amount| (side, account.to_owned(), amount);
    let wanted =
        [line("Dr", "2200", 90_000), line("Dr", "4100", 10_000), line("Dr", "4110", 5000), line("Cr", "1200", 105_000)];
    assert_eq!(booked, wanted);
    check(&world);
    world.now += TimeDelta::days(5);
    clear(&mut world);
    assert_eq!(earnings(&world).available, minor(0));
}

/// D-107, J54: after the payout it is a debt of 900.00; the next release of 500.00 pays 450.00 of it off.
#[test]
fn what_is_lost_after_payout_is_a_debt() {
    let (mut world, mut dispute) = cleared(Policy::default());
    pay_out(&mut world, 1, 90_000).unwrap();
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_journal(&world.entry("payee.chargeback_loss_charged"), "J54", &names(&dispute));
    assert_eq!(earnings(&world).debt_total(), minor(90_000));
    check(&world);

    world.fund(2, &[(2, 50_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.approve(2).unwrap();
    world.now += TimeDelta::days(5);
    clear(&mut world);
    let cleared: Vec<_> =
        lines(&world.entry("payee.earnings_cleared")).into_iter().map(|line| (line.0, line.1, line.2)).collect();
    assert_eq!(cleared, [("Dr", "2200".to_owned(), 45_000), ("Cr", "1210".to_owned(), 45_000)]);
    assert_eq!(earnings(&world).debt_total(), minor(45_000));
    check(&world);
}

/// J58: staff gives a debt up, and nobody else; not more than is owed, and not what is not.
#[test]
fn a_debt_is_written_off_by_staff() {
    let (mut world, mut dispute) = cleared(Policy::default());
    pay_out(&mut world, 1, 90_000).unwrap();
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    let write_off = |cause: &str, amount: Option<i64>| {
        let (payee_id, currency) = (account().party_id, account().currency);
        let (cause, amount) = (cause.to_owned(), amount.map(minor));
        let command = PayeeCommand::WriteOffDebt { payee_id, currency, cause, amount };
        Intent::Fact(Command::Payee(account(), command))
    };
    let cause = dispute.id().to_string();
    let refused = Err(Refusal::Forbidden { who: "staff", action: "write a debt off" });
    assert_eq!(world.by_payee(write_off(&cause, None)), refused);
    let finance = staff(StaffRole::Finance);
    assert_eq!(world.perform(finance, write_off("rfd_1", None)), Err(Refusal::NotFound { what: "debt" }));
    let too_much = world.perform(finance, write_off(&cause, Some(90_001))).unwrap_err();
    assert!(matches!(&too_much, Refusal::Invalid { pointer, .. } if pointer == "/amount"), "{too_much:?}");
    world.perform(finance, write_off(&cause, None)).unwrap();
    assert_journal(&world.entry("payee.debt_written_off"), "J58", &names(&dispute));
    assert_eq!(earnings(&world).debt_total(), minor(0));
    check(&world);
}

/// D-116, J55: where the platform is liable, the payee keeps everything, and the platform its fees.
#[test]
fn the_platform_bears_what_it_is_liable_for() {
    let policy = Policy { chargeback_liability: Liability::Platform, ..Policy::default() };
    let (mut world, mut dispute) = cleared(policy);
    pay_out(&mut world, 1, 90_000).unwrap();
    let before = earnings(&world);
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_journal(&world.entry("chargeback.loss_absorbed"), "J55", &names(&dispute));
    assert_eq!(earnings(&world), before, "the payee is untouched");
    check(&world);
    let give_back = |amount| {
        let (contract_id, milestone_id, refund_id) = (contract(), m(1), r(9));
        let (amount, currency) = (minor(amount), None);
        Intent::Money(MoneyIntent::GiveBack { contract_id, milestone_id, refund_id, amount, currency })
    };
    let nothing = Refusal::ExceedsReleased { released: minor(0) };
    assert_eq!(world.by_payee(give_back(1)), Err(nothing), "the client has it from the bank already");
}

/// J56: what is held goes first, then what is available, and the rest is a debt; the parts are two balanced entries.
#[test]
fn a_loss_runs_down_the_waterfall() {
    let (mut world, mut dispute) = waterfall();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(holding(&world, 1).disputed, minor(40_000));
    dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    let entries = [world.entry("escrow.chargeback_absorbed"), world.entry("payee.chargeback_loss_charged")];
    assert_eq!(joined(&entries), vector("J56"));
    assert!(world.times_of("chargeback.loss_absorbed").is_empty(), "nothing is left for the platform");
    assert_eq!(milestone(&world, 1).state_name(), "released", "it is over with what was released");
    check(&world);
}

/// 400.00 held, 450.00 available of 500.00 released, 90.00 paid out of 100.00 released.
fn waterfall() -> (World, Dispute) {
    let (mut world, dispute) = f0();
    let part = |gross| {
        let remainder = domain::milestone::Remainder::Keep;
        on(M::ApprovePartially { gross: minor(gross), currency: None, remainder })
    };
    world.by_client(part(10_000)).unwrap();
    world.now += TimeDelta::days(5);
    clear(&mut world);
    pay_out(&mut world, 1, 9000).unwrap();
    world.by_client(part(50_000)).unwrap();
    world.now += TimeDelta::days(5);
    clear(&mut world);
    assert_eq!(earnings(&world).available, minor(45_000));
    (world, dispute)
}

/// D-111: while a bank disagrees, nobody starts a refund of that charge: neither of what is held, nor of what was
/// released, nor of the deposit.
#[test]
fn a_contested_charge_is_not_refunded() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: vec![(m(1), minor(100_000))],
        deposit: minor(50_000),
        currency: ledger::Currency::USD,
        paid_from: domain::escrow::PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(1)).unwrap();
    let remainder = domain::milestone::Remainder::Keep;
    world.by_client(on(M::ApprovePartially { gross: minor(20_000), currency: None, remainder })).unwrap();
    let dispute = Dispute::of(f(1), "dp_1", 157_500);
    dispute.told(&mut world).unwrap();
    let contested = Refusal::ChargeDisputed { chargeback_id: dispute.id() };
    assert_eq!(contested.code(), "charge_disputed");
    let refused = Err(contested);
    assert_eq!(world.by_payee(on(M::GrantRefund { amount: None, currency: None })), refused);
    assert_eq!(world.by_client(on(M::RequestRefund { amount: None, currency: None })), refused);
    assert_eq!(world.by_client(on(M::Approve { amount: None, currency: None })), refused);
    assert_eq!(world.by_payee(Intent::SubmitWork { milestone_id: m(1) }), refused);
    let give_back = MoneyIntent::GiveBack {
        contract_id: contract(),
        milestone_id: m(1),
        refund_id: r(1),
        amount: minor(10_000),
        currency: None,
    };
    assert_eq!(world.by_payee(Intent::Money(give_back)), refused);
    let allocate = MoneyIntent::AllocateDeposit {
        contract_id: contract(),
        reallocation_id: super::money::reallocation_id(1),
        to: m(1),
        amount: minor(10_000),
    };
    assert_eq!(world.by_client(Intent::Money(allocate)), refused);
}

/// D-114, J18: earnings of a contract with an early warning of fraud are held when they clear; a person lets them go, and
/// until then a loss is taken of them.
#[test]
fn an_early_warning_holds_what_is_not_cleared() {
    let (mut world, mut dispute) = f0();
    world.approve(1).unwrap();
    let warning =
        FraudWarningReport { warning_ref: "issfr_1".to_owned(), funding_id: Some(f(1)), charge_ref: "ch_1".to_owned() };
    let report = ProviderReport::FraudWarning(warning);
    let events = tell(&mut world, &report).unwrap();
    assert_eq!(events, ["chargeback.early_fraud_warning_received", "payee.clearance_hold_placed"]);
    assert_eq!(tell(&mut world, &report), Ok(Vec::new()), "told again");
    world.now += TimeDelta::days(5);
    clear(&mut world);
    assert_journal(&world.entry("payee.earnings_held"), "J18", &[("kyc", "fraud".to_owned())]);
    assert_eq!(earnings(&world).available, minor(0));
    assert_eq!(earnings(&world).held.get(&HoldReason::Fraud), Some(&minor(90_000)));
    check(&world);
    let refused = pay_out(&mut world, 1, 90_000);
    assert_eq!(refused, Err(Refusal::InsufficientAvailable { available: minor(0) }));

    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!((earnings(&world).held_total(), earnings(&world).debt_total()), (minor(0), minor(0)));
    check(&world);
}
