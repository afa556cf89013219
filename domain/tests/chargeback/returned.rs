//! D-20, D-21: a bank debit that is returned after it had succeeded.

use chrono::TimeDelta;
use domain::contract::{Change, ContractCommand, Parts};
use domain::fee::{Fee, FeeRule, FeeSchedule};
use domain::id::AmendmentId;
use domain::intent::Intent;
use domain::milestone::{LossCause, MilestoneCommand as M};
use domain::policy::Policy;
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderOrder, ProviderReport, Receipt};
use domain::process::settles;
use domain::refusal::Refusal;
use domain::rules::Rules;
use ledger::Currency;

use super::bank::{booked_on, clear, earnings, holdings, milestone, pay_out, taxed, tell};
use super::ledgers::{check, joined};
use super::money::world::World;
use super::money::{assert_journal, contract, d, f, m, minor, percent, uuid};

pub fn returned(amount: i64) -> ProviderReport {
    ProviderReport::Payment(PaymentReport {
        payment_ref: format!("pi_{}", f(1)),
        funding_id: Some(f(1)),
        status: PaymentStatus::Returned {
            amount: minor(amount),
            currency: Currency::USD,
            balance_transaction_ref: "txn_return".to_owned(),
            booked_on: booked_on(),
            code: "insufficient_funds".to_owned(),
            settled: None,
            collected: None,
        },
    })
}

/// D-20, J94: on day 6 the debit is returned: the milestone is planned again and says why, and the review clock is gone.
#[test]
fn a_debit_that_is_returned_before_release_unfunds_the_milestone() {
    let mut world = World::f0(&[100_000]);
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.now += TimeDelta::days(6);
    let events = tell(&mut world, &returned(105_000)).unwrap();
    assert_eq!(events, ["funding.returned", "escrow.funding_returned", "milestone.funding_lost"]);
    assert_journal(&world.entry("escrow.funding_returned"), "J94", &[]);
    let lost = milestone(&world, 1);
    assert_eq!((lost.state_name(), lost.flag()), ("planned", Some(LossCause::FundingReturned)));
    check(&world);
    world.now += TimeDelta::days(30);
    world.wake();
    assert!(world.times_of("milestone.auto_approved").is_empty(), "no clock runs");
    assert_eq!(world.by_payee(Intent::SubmitWork { milestone_id: m(1) }), Err(Refusal::MilestoneNotFunded));
    assert_eq!(tell(&mut world, &returned(105_000)), Ok(Vec::new()), "told again");
    world.fund(2, &[(1, 100_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.approve(1).unwrap();
    check(&world);
}

/// D-21, J59: released and paid out, the client owes it; the payee's money is untouched, and coverage is 1,050.00 lower.
#[test]
fn a_debit_that_is_returned_after_release_is_the_clients_debt() {
    let mut world = World::f0(&[100_000]);
    world.approve(1).unwrap();
    world.now += TimeDelta::days(5);
    clear(&mut world);
    pay_out(&mut world, 1, 90_000).unwrap();
    let (before, books) = (earnings(&world), world.balance());
    let cash = |books: &std::collections::BTreeMap<&str, i128>| -> i128 {
        ["1110", "1120", "1130"].iter().filter_map(|code| books.get(code)).sum()
    };
    tell(&mut world, &returned(105_000)).unwrap();
    assert_journal(&world.entry("funding.late_return_recorded"), "J59", &[]);
    assert_eq!(earnings(&world), before);
    assert_eq!(cash(&world.balance()), cash(&books) - 105_000, "a receivable is no coverage");
    check(&world);
}

/// D-20, D-21: of a payment of which a part was released, each part goes its way.
#[test]
fn a_return_is_split_by_where_the_money_is() {
    let mut world = World::new().accepted(&[100_000], taxed(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    let remainder = domain::milestone::Remainder::Keep;
    let part = M::ApprovePartially { gross: minor(60_000), currency: None, remainder };
    world.by_client(Intent::OnMilestone { milestone_id: m(1), command: part }).unwrap();
    world.by_client(Intent::OnMilestone { milestone_id: m(1), command: M::OpenDispute { dispute_id: d(1) } }).unwrap();
    tell(&mut world, &returned(106_594)).unwrap();
    let entries = [world.entry("escrow.funding_returned"), world.entry("funding.late_return_recorded")];
    let taken = joined(&entries).into_iter().find(|(side, account, _)| side == "Cr" && account == "1120");
    assert_eq!(taken, Some(("Cr".to_owned(), "1120".to_owned(), 106_594)), "what the bank took, to the cent");
    assert!(holdings(&world).disputes.is_empty(), "what the dispute was about is gone");
    assert_eq!(milestone(&world, 1).state_name(), "released");
    check(&world);
}

/// A return that is told before the success that it undoes: nothing was ever paid.
#[test]
fn a_return_before_its_success_is_a_failure() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let events = tell(&mut world, &returned(105_000)).unwrap();
    assert!(events.contains(&"funding.failed".to_owned()), "{events:?}");
    assert_eq!(milestone(&world, 1).state_name(), "planned");
    assert!(world.balance().is_empty());
}

/// I11, D-20: the provider tells of a debit only when it is returned, its success and its cost having never been told: what
/// came, what it cost and what was taken back are all booked, so that the books are the provider's balance. Told again,
/// nothing changes.
#[test]
fn a_return_brings_the_success_and_the_cost_that_were_never_told() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let ProviderReport::Payment(report) = returned(105_000) else { panic!() };
    let PaymentStatus::Returned { amount, currency, balance_transaction_ref, booked_on, code, .. } = report.status
    else {
        panic!()
    };
    let receipt = Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(840),
        net: minor(104_160),
        currency: Currency::USD,
        booked_on,
        available_on: world.now,
        available: true,
    };
    let collected = PaymentStatus::Succeeded {
        charge_ref: format!("ch_{}", f(1)),
        captured: minor(105_000),
        currency: Currency::USD,
        collected_at: world.now,
        receipt: Some(receipt),
    };
    let collected = Some(Box::new(collected));
    let status = PaymentStatus::Returned {
        amount,
        currency,
        balance_transaction_ref,
        booked_on,
        code,
        settled: None,
        collected,
    };
    let report = ProviderReport::Payment(PaymentReport { status, ..report });
    tell(&mut world, &report).unwrap();
    assert_eq!(milestone(&world, 1).flag(), Some(LossCause::FundingReturned));
    let books = world.balance();
    let net = |account| books.get(account).copied().unwrap_or_default();
    assert_eq!((net("1110"), net("1120")), (0, -840), "the provider keeps its fee");
    check(&world);
    assert_eq!(tell(&mut world, &report), Ok(Vec::new()), "told again");
    // Whoever asks for the cost is answered.
    let order = ProviderOrder::ReadReceipt { funding_id: f(1), payment_ref: "pi_1".to_owned(), until_available: true };
    assert!(settles(&report, &order));
    assert!(settles(&returned(105_000), &order), "nothing more will be told of it");
}

/// D-20, D-106, R4: a milestone that a bank took the money of costs its whole fee again when it is paid for again.
#[test]
fn a_fee_that_went_back_is_charged_again() {
    let rule = FeeRule::Percent { percent: percent("5"), minimum: minor(0), cap: Some(minor(4000)) };
    let client_fee = Fee::new(vec![rule]);
    let capped = FeeSchedule { currency: Some(Currency::USD), client_fee, ..FeeSchedule::empty("capped") };
    let mut world = World::new().accepted(&[100_000], capped, Policy::default());
    for funding in [1, 2] {
        world.fund(funding, &[(1, 100_000)]).unwrap();
        world.succeed(f(funding)).unwrap();
        assert_eq!(holdings(&world).fundings[&f(funding)].paid, minor(104_000), "{funding}");
        if funding == 1 {
            tell(&mut world, &returned(104_000)).unwrap();
        }
        check(&world);
    }
}

/// D-20: an amendment can go below what was paid in once and is not there any more.
#[test]
fn an_amendment_may_go_below_money_that_a_bank_took() {
    let mut world = World::f0(&[100_000]);
    tell(&mut world, &returned(105_000)).unwrap();
    let amendment_id = AmendmentId::from_uuid(uuid(700));
    let changes = vec![Change::ChangeAmount { milestone_id: m(1), amount: minor(80_000) }];
    let propose = ContractCommand::ProposeAmendment { amendment_id, changes, parts: Parts::default() };
    let on_contract = |command| Intent::OnContract { contract_id: contract(), command };
    world.by_client(on_contract(propose)).unwrap();
    world.by_payee(on_contract(ContractCommand::AcceptAmendment { amendment_id })).unwrap();
    world.fund(2, &[(1, 80_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    assert_eq!(milestone(&world, 1).progress().unwrap().held, minor(80_000));
    check(&world);
}
