//! A contract in euros at a provider that settles in dollars: what is booked, and when the result is known (R7).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use std::collections::BTreeMap;

use domain::command::Command;
use domain::escrow::EscrowCommand;
use domain::event::DomainEvent;
use domain::exchange::{FxResult, Settled};
use domain::fee::FeeSchedule;
use domain::funding::{FundingCommand, FundingEvent};
use domain::id::RefundId;
use domain::intent::Intent;
use domain::milestone::MilestoneCommand;
use domain::policy::Policy;
use domain::ports::provider::Receipt;
use domain::refund::RefundCommand;
use ledger::{Account, Currency, TrialBalance};
use money::world::World;
use money::*;
use proptest::prelude::*;

const EUR: Currency = Currency::EUR;
const USD: Currency = Currency::USD;

fn usd(amount: i64) -> Settled {
    Settled { amount: minor(amount), currency: USD }
}

/// When the provider tells what it has for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    WithTheSuccess,
    Later,
}

/// A payment in euros, in dollars at the provider.
struct Paid {
    world: World,
    settled: i64,
}

impl Paid {
    /// An escrow without fees, paid with F1; `told` later, it is not told yet.
    fn of(amount: i64, settled: i64, told: Told) -> Self {
        let mut world = World::new();
        world.currency = EUR;
        let mut world = world.accepted(&[amount], FeeSchedule::zero(), Policy::default());
        world.fund(1, &[(1, amount)]).unwrap();
        let succeeded = FundingCommand::RecordSucceeded {
            payment_ref: "pi_1".to_owned(),
            charge_ref: "ch_1".to_owned(),
            captured: minor(amount),
            currency: EUR,
            collected_at: world.now,
            settled: (told == Told::WithTheSuccess).then_some(usd(settled)),
        };
        world.fact(Command::Funding(f(1), succeeded)).unwrap();
        Self { world, settled }
    }

    /// The provider's booking, without a fee.
    fn receipt(&mut self) -> Vec<String> {
        let receipt = Receipt {
            balance_transaction_ref: "txn_1".to_owned(),
            fee: minor(0),
            net: minor(self.settled),
            currency: USD,
            booked_on: self.world.now.date_naive(),
            available_on: self.world.now,
            available: true,
        };
        self.world.fact(Command::Funding(f(1), FundingCommand::RecordReceipt { receipt })).unwrap()
    }

    /// The payee gives back what is held, or a part of it: the refund.
    fn grant(&mut self, amount: i64) -> RefundId {
        let command = MilestoneCommand::GrantRefund { amount: Some(minor(amount)), currency: None };
        self.world.by_payee(Intent::OnMilestone { milestone_id: m(1), command }).unwrap();
        let asked = self.world.log.iter().rev().find(|event| event.event_type == "refund.requested").unwrap();
        let asked: serde_json::Value = serde_json::from_str(&asked.payload).unwrap();
        asked["refund_id"].as_str().unwrap().parse().unwrap()
    }

    fn refund(&mut self, refund: RefundId, taken: Option<Settled>) -> Vec<String> {
        let (refund_ref, balance_transaction_ref) = (format!("re_{refund}"), None);
        let succeeded = RefundCommand::RecordSucceeded { refund_ref, balance_transaction_ref, taken };
        self.world.fact(Command::Refund(refund, succeeded)).unwrap()
    }

    fn comes_back(&mut self, refund: RefundId, came_back: Option<Settled>) -> Vec<String> {
        let failed = RefundCommand::RecordFailed { code: "declined".to_owned(), came_back };
        self.world.fact(Command::Refund(refund, failed)).unwrap()
    }

    /// What is left on each account in each currency, debits positive.
    fn books(&self) -> BTreeMap<(&'static str, &'static str), i128> {
        let mut books = TrialBalance::new();
        let events = self.world.appends.iter().flat_map(|append| &append.events);
        for entry in events.filter_map(|event| event.journal.as_ref()) {
            books.add(entry);
        }
        assert!(books.is_balanced(), "each currency alone");
        assert_eq!(books.net(Account::RoundingDifferences, EUR) + books.net(Account::RoundingDifferences, USD), 0);
        let lines = books.iter().filter(|(_, _, totals)| totals.net() != 0);
        lines.map(|(account, currency, totals)| ((account.code(), currency.code()), totals.net())).collect()
    }
}

/// D-66, J70, J71, J72: 1,000.00 euros come in as 1,078.00 dollars and go back as 1,092.50: 14.50 dollars are lost, known
/// when nothing is left of the euros.
#[test]
fn a_full_refund_realises_the_loss() {
    let mut paid = Paid::of(100_000, 107_800, Told::WithTheSuccess);
    let names = [("C3", contract().to_string()), ("F9", f(1).to_string())];
    assert_journal(&paid.world.entry("escrow.funded"), "J70", &names);
    let held = [
        (("1110", "USD"), 107_800),
        (("1300", "EUR"), 100_000),
        (("1300", "USD"), -107_800),
        (("2100", "EUR"), -100_000),
    ];
    assert_eq!(paid.books(), BTreeMap::from(held));
    assert_eq!(
        paid.receipt(),
        ["funding.psp_fee_recorded", "funding.psp_funds_became_available"],
        "J70 is J01's place"
    );

    let refund = paid.grant(100_000);
    let events = ["refund.succeeded", "funding.refund_exchanged", "funding.fx_result_realised"];
    assert_eq!(paid.refund(refund, Some(usd(109_250))), events);
    assert_journal(&paid.world.entry("refund.succeeded"), "J71", &names);
    assert_journal(&paid.world.entry("funding.fx_result_realised"), "J72", &names);
    assert_eq!(paid.books(), BTreeMap::from([(("1120", "USD"), -1450), (("5300", "USD"), 1450)]));
    assert_eq!(paid.refund(refund, Some(usd(109_250))), Vec::<String>::new(), "told again");
}

/// D-27, D-66: the provider books twenty minutes after the success. Until then the euros are pending; the two entries
/// together are J70.
#[test]
fn a_settlement_that_is_told_later_is_booked_when_it_is_told() {
    let mut paid = Paid::of(100_000, 107_800, Told::Later);
    assert_eq!(paid.books(), BTreeMap::from([(("1110", "EUR"), 100_000), (("2100", "EUR"), -100_000)]));
    let events = ["funding.exchanged", "funding.psp_fee_recorded", "funding.psp_funds_became_available"];
    assert_eq!(paid.receipt(), events);
    let whole = Paid::of(100_000, 107_800, Told::WithTheSuccess).books();
    let mut now = paid.books();
    assert_eq!(now.remove(&("1120", "USD")), Some(107_800), "J03 in dollars");
    now.insert(("1110", "USD"), 107_800);
    assert_eq!(now, whole);
    assert_eq!(paid.receipt(), Vec::<String>::new(), "told again");
}

/// J73: what is gained. J71: a refund that is told before the provider's booking is counted all the same.
#[test]
fn a_gain_is_realised_whichever_is_told_first() {
    let mut paid = Paid::of(100_000, 107_800, Told::Later);
    let refund = paid.grant(100_000);
    assert_eq!(paid.refund(refund, Some(usd(106_980))), ["refund.succeeded", "funding.refund_exchanged"]);
    let events = [
        "funding.exchanged",
        "funding.fx_result_realised",
        "funding.psp_fee_recorded",
        "funding.psp_funds_became_available",
    ];
    assert_eq!(paid.receipt(), events);
    assert_journal(&paid.world.entry("funding.fx_result_realised"), "J73", &[("F10", f(1).to_string())]);
    assert_eq!(paid.books(), BTreeMap::from([(("1120", "USD"), 820), (("4200", "USD"), -820)]));
}

/// R7: parts leave the position open. A part that its bank gives back opens it again, at what was taken for it where the
/// provider does not say what came back; the result that was realised stays.
#[test]
fn the_result_waits_for_the_last_part() {
    let mut paid = Paid::of(100_000, 107_800, Told::WithTheSuccess);
    let first = paid.grant(40_000);
    assert_eq!(paid.refund(first, Some(usd(43_500))), ["refund.succeeded", "funding.refund_exchanged"]);
    let books = paid.books();
    assert_eq!((books[&("1300", "EUR")], books[&("1300", "USD")]), (60_000, -64_300));
    let second = paid.grant(60_000);
    assert_eq!(paid.refund(second, Some(usd(64_000))).last().unwrap(), "funding.fx_result_realised");
    assert_eq!(paid.books()[&("4200", "USD")], -300);

    let events = ["refund.failed", "wallet.credited", "funding.refund_exchanged"];
    assert_eq!(paid.comes_back(first, None), events);
    let books = paid.books();
    assert_eq!((books[&("1300", "EUR")], books[&("1300", "USD")]), (40_000, -43_500));
    assert_eq!((books[&("2120", "EUR")], books[&("4200", "USD")]), (-40_000, -300));
    paid.comes_back(second, Some(usd(64_100)));
    let books = paid.books();
    assert_eq!((books[&("1300", "EUR")], books[&("1300", "USD")]), (100_000, -107_600), "as it is told");
}

/// A refund that went to the wallet and that the provider sends all the same: the debit to be explained is in the currency
/// that was taken.
#[test]
fn a_debit_to_be_explained_is_in_the_currency_that_was_taken() {
    let mut paid = Paid::of(100_000, 107_800, Told::WithTheSuccess);
    let refund = paid.grant(100_000);
    let refused = RefundCommand::RecordRefused { code: "declined".to_owned() };
    paid.world.fact(Command::Refund(refund, refused)).unwrap();
    let redirect = domain::intent::MoneyIntent::RedirectRefund { refund_id: refund };
    paid.world.by_client(Intent::Money(redirect)).unwrap();
    assert_eq!(paid.refund(refund, Some(usd(109_250))), ["refund.debit_suspended"]);
    let books = paid.books();
    assert_eq!((books[&("1900", "USD")], books[&("1120", "USD")]), (109_250, -109_250));
    assert_eq!(books[&("1300", "EUR")], 100_000, "the wallet has the euros");
}

/// J93: money that comes too late is exchanged beside the entry that sends it back, and the result is realised with it.
#[test]
fn a_late_success_is_exchanged_too() {
    let mut world = World::new();
    world.currency = EUR;
    let mut world = world.accepted(&[50_000], FeeSchedule::zero(), Policy::default());
    world.fund(1, &[(1, 50_000)]).unwrap();
    world.fact(Command::Funding(f(1), FundingCommand::CallOff)).unwrap();
    let succeeded = FundingCommand::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(50_000),
        currency: EUR,
        collected_at: world.now,
        settled: Some(usd(54_000)),
    };
    let events = ["funding.succeeded", "funding.succeeded_after_cancel", "funding.exchanged", "refund.requested"];
    assert_eq!(world.fact(Command::Funding(f(1), succeeded)).unwrap(), events);
    let mut paid = Paid { world, settled: 54_000 };
    let on_its_way =
        [(("1110", "USD"), 54_000), (("1300", "EUR"), 50_000), (("1300", "USD"), -54_000), (("2260", "EUR"), -50_000)];
    assert_eq!(paid.books(), BTreeMap::from(on_its_way));
    let refund = RefundId::derived(f(1).as_uuid(), "late");
    paid.refund(refund, Some(usd(54_000)));
    assert_eq!(
        paid.books(),
        BTreeMap::from([(("1110", "USD"), 54_000), (("1120", "USD"), -54_000)]),
        "nothing is lost"
    );
    assert!(paid.world.times_of("funding.fx_result_realised").is_empty());
}

/// J04, J70: fees and tax are the same credits, whatever the provider settles in.
#[test]
fn fees_and_tax_are_credited_as_without_exchange() {
    let mut desk = Desk::new(USD, with_vat(), Policy::default());
    desk.request(1, &[(1, 100_000)], 0, domain::escrow::PaidFrom::Provider).unwrap();
    let record = EscrowCommand::RecordFunding {
        funding_id: f(1),
        place: platform(),
        charge: None,
        settled: Some(Settled { amount: minor(98_000), currency: EUR }),
    };
    let exchanged = lines(&booked(&desk.by_system(&record).unwrap()[0]));
    let mut plain = Desk::new(USD, with_vat(), Policy::default());
    let plain = lines(&booked(&plain.fund(1, &[(1, 100_000)])[0]));
    assert_eq!(exchanged[1..plain.len()], plain[1..], "the credits");
    assert_eq!((exchanged[0].1.as_str(), exchanged[0].2), ("1300", plain[0].2));
    let euros = |side, account: &str| (side, account.to_owned(), 98_000, "EUR".to_owned());
    assert_eq!(exchanged[plain.len()..], [euros("Dr", "1110"), euros("Cr", "1300")]);
}

/// B.11: money that lies in another currency covers what is owed, and is not the platform's to take where it lies.
#[test]
fn an_exchanged_payment_is_covered_and_not_for_the_taking() {
    use domain::treasury::Coverage;
    let paid = Paid::of(100_000, 107_800, Told::WithTheSuccess);
    let mut books = TrialBalance::new();
    for entry in paid.world.appends.iter().flat_map(|append| &append.events).filter_map(|event| event.journal.as_ref())
    {
        books.add(entry);
    }
    let (euros, dollars) = (Coverage::of(&books, EUR), Coverage::of(&books, USD));
    assert_eq!((euros.cash, euros.exchanged, euros.surplus(), euros.required_float()), (0, 100_000, 0, minor(0)));
    assert_eq!((dollars.cash, dollars.exchanged, dollars.surplus()), (107_800, -107_800, 0));
    assert_eq!(dollars.may_be_taken(minor(0), minor(0)), minor(0));
}

/// J72, J73: the two results differ in their sides only.
#[test]
fn a_result_is_a_cost_or_a_gain_in_the_settlement_currency() {
    for (result, expected) in
        [(FxResult::Loss, [("Dr", "5300"), ("Cr", "1300")]), (FxResult::Gain, [("Dr", "1300"), ("Cr", "4200")])]
    {
        let realised = FundingEvent::FxResultRealised {
            funding_id: f(1),
            contract_id: Some(contract()),
            paid_currency: EUR,
            result,
            left: usd(1450),
        };
        let booked = lines(&entry(&DomainEvent::Funding(realised)));
        let lines: Vec<_> = booked.iter().map(|(side, account, _, _)| (*side, account.as_str())).collect();
        assert_eq!(lines, expected);
        assert!(booked.iter().all(|(_, _, amount, currency)| (*amount, currency.as_str()) == (1450, "USD")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// R7, R8, D-66: whatever the rates, in whatever parts it goes back, each currency balances alone, nothing is booked as
    /// rounding, and when all has gone back nothing stands on 1300. What banks give back stands there, and in the wallet.
    #[test]
    fn positions_close_when_all_has_gone_back(
        amount in 1_i64..1_000_000,
        settled in 1_i64..2_000_000,
        cuts in proptest::collection::vec(1_i64..1_000_000, 0..4),
        taken in proptest::collection::vec((1_i64..2_000_000, proptest::option::weighted(0.2, 1_i64..2_000_000)), 5),
        told in prop_oneof![Just(Told::WithTheSuccess), Just(Told::Later)],
        booked_after in 0_usize..6,
    ) {
        let mut paid = Paid::of(amount, settled, told);
        let mut ends: Vec<i64> = cuts.into_iter().map(|cut| cut % amount).filter(|cut| *cut > 0).collect();
        ends.extend([amount]);
        ends.sort_unstable();
        ends.dedup();
        let (mut gone, mut back_in_wallet) = (0, 0);
        let mut sent = Vec::new();
        for (index, (end, (taken, comes_back))) in ends.into_iter().zip(taken).enumerate() {
            if index == booked_after {
                paid.receipt();
            }
            let part = end - gone;
            let refund = paid.grant(part);
            paid.refund(refund, Some(usd(taken)));
            gone = end;
            sent.push((refund, part, comes_back));
            paid.books();
        }
        paid.receipt();
        prop_assert_eq!(gone, amount);
        let books = paid.books();
        let open = |books: &BTreeMap<_, _>| {
            let of = |currency| books.get(&("1300", currency)).copied().unwrap_or_default();
            (of("EUR"), of("USD"))
        };
        prop_assert_eq!(open(&books), (0, 0));
        prop_assert!(books.keys().all(|(_, currency)| *currency == "USD"), "nothing is left in euros: {books:?}");
        let mut dollars_back = 0;
        for (refund, part, comes_back) in sent {
            let Some(dollars) = comes_back else { continue };
            paid.comes_back(refund, Some(usd(dollars)));
            back_in_wallet += i128::from(part);
            dollars_back += i128::from(dollars);
        }
        let books = paid.books();
        prop_assert_eq!(open(&books), (back_in_wallet, -dollars_back));
        prop_assert_eq!(books.get(&("2120", "EUR")).copied().unwrap_or_default(), -back_in_wallet);
    }
}
