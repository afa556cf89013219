//! A contract in euros at a provider that settles in dollars: what a bank takes goes through the payment's FX position (R7).
//! 1,000.00 euros come in as 1,078.00 dollars, without fees of ours.

use std::collections::BTreeMap;

use domain::aggregate::AggregateState;
use domain::chargeback::Phase;
use domain::command::Command;
use domain::exchange::Settled;
use domain::fee::FeeSchedule;
use domain::funding::{Funding, FundingCommand};
use domain::milestone::{MilestoneCommand as M, Remainder};
use domain::policy::Policy;
use domain::ports::provider::{
    DisputeDirection, DisputeMovement, DisputeStatus, PaymentReport, PaymentStatus, ProviderReport, Receipt,
};
use domain::refund::RefundCommand;
use domain::rules::Rules;
use ledger::{Account, Currency, TrialBalance};
use proptest::prelude::*;

use super::bank::{Dispute, booked_on, clear, holding, milestone, tell};
use super::ledgers::{chargebacks, check};
use super::money::world::World;
use super::money::{f, lines, minor};
use super::money_taken_back::on;

const EUR: Currency = Currency::EUR;
const USD: Currency = Currency::USD;
const PAID: i64 = 100_000;
const SETTLED: i64 = 107_800;

type Books = BTreeMap<(&'static str, &'static str), i128>;

/// The payment, and the bank's dispute about it.
struct Paid {
    world: World,
    dispute: Dispute,
}

impl Paid {
    /// F1 has paid; what the provider has for it is told, or not yet.
    fn new(told: bool) -> Self {
        let mut world = World::new();
        world.currency = EUR;
        let mut world = world.accepted(&[PAID], FeeSchedule::zero(), Policy::default());
        world.fund(1, &[(1, PAID)]).unwrap();
        let succeeded = FundingCommand::RecordSucceeded {
            payment_ref: format!("pi_{}", f(1)),
            charge_ref: format!("ch_{}", f(1)),
            captured: minor(PAID),
            currency: EUR,
            collected_at: world.now,
            settled: told.then_some(Settled { amount: minor(SETTLED), currency: USD }),
        };
        world.fact(Command::Funding(f(1), succeeded)).unwrap();
        let mut paid = Self { world, dispute: Dispute::of(f(1), "dp_1", PAID) };
        paid.dispute.report.currency = EUR;
        if told {
            paid.receipt();
        }
        paid
    }

    /// The provider's booking, without a fee.
    fn receipt(&mut self) {
        let receipt = Receipt {
            balance_transaction_ref: "txn_1".to_owned(),
            fee: minor(0),
            net: minor(SETTLED),
            currency: USD,
            booked_on: booked_on(),
            available_on: self.world.now,
            available: true,
        };
        self.world.fact(Command::Funding(f(1), FundingCommand::RecordReceipt { receipt })).unwrap();
    }

    /// The bank moves so many euros, as so many dollars. Gives the types of the events.
    fn moves(&mut self, direction: DisputeDirection, euros: i64, dollars: i64) -> Vec<String> {
        let number = self.dispute.report.movements.len() + 1;
        self.dispute.report.movements.push(DisputeMovement {
            balance_transaction_ref: format!("txn_dp_1_{number}"),
            direction,
            amount: minor(dollars),
            fee: minor(if direction == DisputeDirection::Withdrawn { 1500 } else { 0 }),
            fee_returned: minor(0),
            currency: USD,
            paid: Some(minor(euros)),
            booked_on: booked_on(),
        });
        self.dispute.told(&mut self.world).unwrap()
    }

    fn withdraws(&mut self, euros: i64, dollars: i64) -> Vec<String> {
        self.moves(DisputeDirection::Withdrawn, euros, dollars)
    }

    fn reinstates(&mut self, euros: i64, dollars: i64) -> Vec<String> {
        self.moves(DisputeDirection::Reinstated, euros, dollars)
    }

    fn is(&mut self, status: DisputeStatus) -> Vec<String> {
        self.dispute.is(status).told(&mut self.world).unwrap()
    }

    /// The bank returns the whole, for so many dollars.
    fn returns(&mut self, dollars: i64) -> Vec<String> {
        let report = PaymentReport {
            payment_ref: format!("pi_{}", f(1)),
            funding_id: Some(f(1)),
            status: PaymentStatus::Returned {
                amount: minor(PAID),
                currency: EUR,
                balance_transaction_ref: "txn_return".to_owned(),
                booked_on: booked_on(),
                code: "insufficient_funds".to_owned(),
                settled: Some(Settled { amount: minor(dollars), currency: USD }),
                collected: None,
            },
        };
        tell(&mut self.world, &ProviderReport::Payment(report)).unwrap()
    }

    /// What is on its way back arrives, at so many dollars for a hundred euros. Gives the dollars.
    fn refunds_arrive(&mut self, rate: i64) -> i64 {
        let requested = self.world.log.iter().filter(|event| event.event_type == "refund.requested");
        let requested: Vec<serde_json::Value> =
            requested.map(|event| serde_json::from_str(&event.payload).unwrap()).collect();
        let mut sent = 0;
        for order in requested {
            let dollars = order["amount"].as_i64().unwrap() * rate / 100;
            let taken = Some(Settled { amount: minor(dollars), currency: USD });
            let (refund_ref, balance_transaction_ref) = ("re_1".to_owned(), None);
            let succeeded = RefundCommand::RecordSucceeded { refund_ref, balance_transaction_ref, taken };
            let id = order["refund_id"].as_str().unwrap().parse().unwrap();
            if !self.world.fact(Command::Refund(id, succeeded)).unwrap().is_empty() {
                sent += dollars;
            }
        }
        sent
    }

    /// What is left on each account in each currency, debits positive. Each currency balances alone, and the position of the
    /// funding is what stands on 1300.
    fn books(&self) -> Books {
        let mut books = TrialBalance::new();
        let events = self.world.appends.iter().flat_map(|append| &append.events);
        for entry in events.filter_map(|event| event.journal.as_ref()) {
            books.add(entry);
        }
        assert!(books.is_balanced(), "each currency alone");
        let lines = books.iter().filter(|(_, _, totals)| totals.net() != 0);
        let books: Books =
            lines.map(|(account, currency, totals)| ((account.code(), currency.code()), totals.net())).collect();
        let AggregateState::Funding(funding) = self.world.state(&domain::funding::stream(f(1))) else { panic!() };
        let Funding::Succeeded { exchange, .. } = *funding else { panic!("{funding:?}") };
        let known = serde_json::to_value(&exchange.position).unwrap();
        let position = |code| i64::try_from(books.get(&("1300", code)).copied().unwrap_or_default()).unwrap();
        assert_eq!(known["paid"].as_i64().unwrap(), position("EUR"));
        assert_eq!(known["settled"]["USD"].as_i64().unwrap_or_default(), position("USD"));
        assert!(position("EUR") != 0 || position("USD") == 0, "a closed position has realised its result");
        check(&self.world);
        books
    }
}

fn books(lines: &[(&'static str, &'static str, i128)]) -> Books {
    lines.iter().map(|(account, currency, net)| ((*account, *currency), *net)).collect()
}

/// J50, J71, J72: what the bank contests is euros, what leaves the balance is dollars, with the fee; both meet in the position.
/// Nothing is left of the euros in it, so the result is known. J52: lost, only dollars are gone.
#[test]
fn a_chargeback_goes_through_the_position() {
    let mut paid = Paid::new(true);
    let events = paid.withdraws(PAID, 109_250);
    for wanted in ["funding.chargeback_exchanged", "funding.fx_result_realised"] {
        assert!(events.contains(&wanted.to_owned()), "{events:?}");
    }
    let mut entry = lines(&paid.world.entry("chargeback.funds_withdrawn"));
    entry.sort();
    let line = |side, account: &str, amount, currency: &str| (side, account.to_owned(), amount, currency.to_owned());
    let expected = [
        line("Cr", "1120", 110_750, "USD"),
        line("Cr", "1300", 100_000, "EUR"),
        line("Dr", "1200", 100_000, "EUR"),
        line("Dr", "1300", 109_250, "USD"),
        line("Dr", "5120", 1500, "USD"),
    ];
    assert_eq!(entry, expected);
    assert_eq!(holding(&paid.world, 1).disputed, minor(PAID), "as much as is contested");
    let contested = books(&[
        ("1120", "USD", -2950),
        ("1200", "EUR", 100_000),
        ("2110", "EUR", -100_000),
        ("5120", "USD", 1500),
        ("5300", "USD", 1450),
    ]);
    assert_eq!(paid.books(), contested);
    paid.is(DisputeStatus::Lost);
    assert_eq!(paid.books(), books(&[("1120", "USD", -2950), ("5120", "USD", 1500), ("5300", "USD", 1450)]));
    assert_eq!(milestone(&paid.world, 1).state_name(), "planned");
    let [case] = chargebacks(&paid.world).try_into().unwrap();
    assert!(!case.is_foreign(), "nothing is left for an operator");
}

/// J51, J72: won, the euros are in the position again, at what came back; the result of the way out stays, and that of the
/// refund comes on top: 14.50 and 5.00.
#[test]
fn what_is_won_opens_the_position_again() {
    let mut paid = Paid::new(true);
    paid.withdraws(PAID, 109_250);
    paid.dispute.is(DisputeStatus::Won);
    paid.reinstates(PAID, 108_500);
    assert!(matches!(
        paid.dispute.state(&paid.world),
        domain::chargeback::Chargeback::Opened { phase: Phase::Won, .. }
    ));
    let won = books(&[
        ("1120", "USD", -2950 + 108_500),
        ("1300", "EUR", 100_000),
        ("1300", "USD", -108_500),
        ("2100", "EUR", -100_000),
        ("5120", "USD", 1500),
        ("5300", "USD", 1450),
    ]);
    assert_eq!(paid.books(), won);
    paid.world.by_payee(on(M::GrantRefund { amount: None, currency: None })).unwrap();
    assert_eq!(paid.refunds_arrive(109), 109_000);
    let over = books(&[("1120", "USD", 105_550 - 109_000), ("5120", "USD", 1500), ("5300", "USD", 1950)]);
    assert_eq!(paid.books(), over);
}

/// J98, J71: a part that is lost leaves the position open; the result is that of the whole.
#[test]
fn a_part_leaves_the_position_open() {
    let mut paid = Paid::new(true);
    paid.dispute.report.amount = minor(40_000);
    let events = paid.withdraws(40_000, 43_700);
    assert!(!events.contains(&"funding.fx_result_realised".to_owned()), "{events:?}");
    paid.is(DisputeStatus::Lost);
    let books_now = paid.books();
    assert_eq!((books_now[&("1300", "EUR")], books_now[&("1300", "USD")]), (60_000, -64_100));
    paid.world.by_payee(on(M::GrantRefund { amount: None, currency: None })).unwrap();
    assert_eq!(paid.refunds_arrive(106), 63_600);
    let cash = 107_800 - 43_700 - 1500 - 63_600;
    assert_eq!(paid.books(), books(&[("1120", "USD", cash), ("4200", "USD", -500), ("5120", "USD", 1500)]));
}

/// D-20, J94: a debit in euros that is returned while it is held leaves nothing held, and the loss of the exchange; told
/// before the provider's booking as after it.
#[test]
fn a_return_goes_through_the_position() {
    for told in [true, false] {
        let mut paid = Paid::new(told);
        let events = paid.returns(108_000);
        assert!(events.starts_with(&["funding.returned".to_owned()]), "{events:?}");
        assert_eq!(milestone(&paid.world, 1).state_name(), "planned");
        if !told {
            paid.receipt();
        }
        assert_eq!(paid.books(), books(&[("1120", "USD", -200), ("5300", "USD", 200)]), "told: {told}");
    }
}

/// D-21, J59: returned after release, the client owes euros, and the payee keeps what was released.
#[test]
fn a_return_after_release_is_a_debt_in_the_contracts_currency() {
    let mut paid = Paid::new(true);
    let part = M::ApprovePartially { gross: minor(60_000), currency: None, remainder: Remainder::Keep };
    paid.world.by_client(on(part)).unwrap();
    paid.returns(107_000);
    let owed = books(&[("1120", "USD", 800), ("1220", "EUR", 60_000), ("2200", "EUR", -60_000), ("4200", "USD", -800)]);
    assert_eq!(paid.books(), owed);
}

/// J59, J94: contested, returned and given back after all, in two currencies: nothing is held, nothing is owed.
#[test]
fn a_contested_return_is_settled_in_both_currencies() {
    let mut paid = Paid::new(true);
    paid.withdraws(PAID, 109_250);
    paid.returns(108_000);
    let books_now = paid.books();
    assert_eq!(
        (books_now[&("1220", "EUR")], books_now[&("1300", "EUR")]),
        (100_000, -100_000),
        "the bank has it twice"
    );
    paid.dispute.is(DisputeStatus::Won);
    paid.reinstates(PAID, 108_500);
    // In 1,078.00 and 1,085.00; out 1,092.50 and 1,080.00, and the fee.
    let over = books(&[("1120", "USD", -2450), ("5120", "USD", 1500), ("5300", "USD", 950)]);
    let realised = paid.books();
    assert_eq!(realised.get(&("1300", "EUR")), None);
    let result: i128 = ["4200", "5300"].iter().filter_map(|account| realised.get(&(account, "USD"))).sum();
    assert_eq!(
        (realised[&("1120", "USD")], realised[&("5120", "USD")], result),
        (over[&("1120", "USD")], over[&("5120", "USD")], over[&("5300", "USD")],)
    );
}

/// Something that happens to the payment.
#[derive(Debug, Clone)]
enum Act {
    Receipt,
    Withdraw(i64, i64),
    Reinstate(i64, i64),
    Status(DisputeStatus),
    Return(i64),
    Release(i64),
    Refund(i64),
    Arrive(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop_oneof![
        Just(DisputeStatus::NeedsResponse),
        Just(DisputeStatus::UnderReview),
        Just(DisputeStatus::Won),
        Just(DisputeStatus::Lost),
    ];
    let share = || prop_oneof![2 => Just(PAID), 2 => 1_i64..130_000];
    let rate = 60_i64..160;
    prop_oneof![
        2 => Just(Act::Receipt),
        4 => (share(), rate.clone()).prop_map(|(euros, rate)| Act::Withdraw(euros, rate)),
        4 => (share(), rate.clone()).prop_map(|(euros, rate)| Act::Reinstate(euros, rate)),
        4 => status.prop_map(Act::Status),
        2 => rate.clone().prop_map(Act::Return),
        1 => (1_i64..PAID).prop_map(Act::Release),
        2 => (1_i64..PAID).prop_map(Act::Refund),
        1 => rate.prop_map(Act::Arrive),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// R7, I4: in any order, each currency balances, the dollars are those of the provider, the position is what the funding
    /// says, and it is closed when nothing of the euros is owed, held or lost any more.
    #[test]
    fn each_currency_balances_whatever_banks_do(acts in prop::collection::vec(act(), 1..24)) {
        let mut paid = Paid::new(false);
        let (mut dollars, mut received) = (0_i64, false);
        let of = |euros: i64, rate: i64| (euros * rate / 100).max(1);
        let acts = acts.into_iter().chain([Act::Receipt, Act::Status(DisputeStatus::Lost), Act::Refund(PAID), Act::Arrive(105)]);
        for act in acts {
            match act {
                Act::Receipt => {
                    paid.receipt();
                    dollars += if received { 0 } else { SETTLED };
                    received = true;
                }
                Act::Withdraw(euros, rate) => {
                    paid.withdraws(euros, of(euros, rate));
                    dollars -= of(euros, rate) + 1500;
                }
                Act::Reinstate(euros, rate) => {
                    paid.reinstates(euros, of(euros, rate));
                    dollars += of(euros, rate);
                }
                Act::Status(status) => {
                    paid.is(status);
                }
                Act::Return(rate) => {
                    if !paid.returns(of(PAID, rate)).is_empty() {
                        dollars -= of(PAID, rate);
                    }
                }
                Act::Release(gross) => {
                    let part = M::ApprovePartially { gross: minor(gross), currency: None, remainder: Remainder::Keep };
                    if let Err(refusal) = paid.world.by_client(on(part)) {
                        prop_assert_ne!(refusal.code(), "internal_error", "{}", refusal);
                    }
                }
                Act::Refund(amount) => {
                    let held = domain::milestone::Milestone::progress(&milestone(&paid.world, 1)).map_or(0, |known| known.held.get());
                    let grant = M::GrantRefund { amount: Some(minor(amount.min(held).max(1))), currency: None };
                    if let Err(refusal) = paid.world.by_payee(on(grant)) {
                        prop_assert_ne!(refusal.code(), "internal_error", "{}", refusal);
                    }
                }
                Act::Arrive(rate) => dollars -= paid.refunds_arrive(rate),
            }
            clear(&mut paid.world);
            let now = paid.books();
            let at_provider: i128 = [("1110", "USD"), ("1120", "USD")].iter().filter_map(|line| now.get(line)).sum();
            prop_assert_eq!(at_provider, i128::from(dollars), "the books are the provider's balance");
            prop_assert_eq!(now.get(&("1110", "EUR")).copied().unwrap_or_default(), if received { 0 } else { i128::from(PAID) });
            prop_assert_eq!(now.get(&("1120", "EUR")), None, "nothing of it is in euros there");
        }
        let over = paid.books();
        let open = |code: &str| over.get(&(code, "EUR")).copied().unwrap_or_default();
        let elsewhere: i128 = Account::ALL.iter().filter(|account| **account != Account::FxPosition).map(|account| open(account.code())).sum();
        prop_assert_eq!(open("1300"), -elsewhere, "open is what is owed, kept or lost, and nothing else");
    }
}
