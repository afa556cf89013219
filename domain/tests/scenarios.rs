//! Acceptance scenarios with their own figures, through the whole engine: what somebody asks, what is booked, what stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::contract::{ContractCommand, Parts};
use domain::escrow::{GratuityKind, PaidFrom};
use domain::fee::{Fee, FeeRule, FeeSchedule, PartyTax, RefundClientFee, Tier};
use domain::id::RefundId;
use domain::intent::{Intent, MoneyIntent};
use domain::jurisdiction::Jurisdiction;
use domain::log::StreamId;
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::ports::provider::ProviderOrder;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use ledger::{Currency, Minor};
use money::world::World;
use money::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// M1 of this worth, offered on these fees, accepted and paid by F1.
fn paid(amount: i64, fees: &FeeSchedule) -> World {
    paid_in(Currency::USD, amount, fees)
}

fn paid_in(currency: Currency, amount: i64, fees: &FeeSchedule) -> World {
    let mut world = World::new();
    world.currency = currency;
    let mut world = world.accepted(&[amount], fees.clone(), Policy::default());
    world.fund(1, &[(1, amount)]).unwrap();
    world.succeed(f(1)).unwrap();
    world
}

fn on(command: M) -> Intent {
    Intent::OnMilestone { milestone_id: m(1), command }
}

fn state(world: &World, stream: &StreamId) -> &'static str {
    world.state(stream).state_name()
}

/// What was charged: in the books, and as the provider is asked for it, in its own units.
fn charged(world: &World) -> (i64, i64) {
    let charge = world.orders.iter().find_map(|order| match &order.what {
        ProviderOrder::CollectPayment { amount, currency, .. } => Some((*amount, *currency)),
        _ => None,
    });
    let (amount, currency) = charge.unwrap();
    (amount.get(), currency.psp_units(amount).unwrap())
}

/// Lines of the last entry of that type: account and amount.
fn entry_of(world: &World, event_type: &str) -> Vec<(String, i64)> {
    lines(&world.entry(event_type)).into_iter().map(|(_, account, amount, _)| (account, amount)).collect()
}

fn owned(lines: &[(&str, i64)]) -> Vec<(String, i64)> {
    lines.iter().map(|(account, amount)| ((*account).to_owned(), *amount)).collect()
}

fn tiers() -> FeeSchedule {
    let tier = |up_to: Option<i64>, rate: &str| Tier { up_to: up_to.map(minor), percent: percent(rate) };
    let tiers = vec![tier(Some(50_000), "20"), tier(Some(1_000_000), "10"), tier(None, "5")];
    let payee_fee = Fee::new(vec![FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: None }]);
    FeeSchedule { currency: Some(Currency::USD), payee_fee, ..FeeSchedule::empty("tiered") }
}

/// Name, currency, amount, fees, what is charged (as [`charged`] gives it), and the lines of the release.
type Case<'a> = (&'a str, Currency, i64, FeeSchedule, (i64, i64), &'a [(&'a str, i64)]);

/// D-31, D-34, D-57, D-61, D-62, D-64, D-65, D-73: what the client pays, what a whole release books, by fees and currency.
#[test]
fn fees_come_to_the_figures_of_the_specification() {
    let mut abroad = with_vat();
    abroad.initiation_fee = Minor::ZERO;
    abroad.tax.payee = Some(PartyTax {
        jurisdiction: Jurisdiction::new("FR").unwrap(),
        percent: percent("0"),
        reverse_charge: true,
        withholding: percent("0"),
    });
    abroad.tax.client = None;
    let usd = Currency::USD;
    let usual: &[(&str, i64)] =
        &[("2100", 100_000), ("2300", 5000), ("2200", 90_000), ("4100", 10_000), ("4110", 5000)];
    let cases: [Case<'_>; 6] = [
        ("D-31, D-34", usd, 100_000, FeeSchedule::two_sided(), (105_000, 105_000), usual),
        ("D-57", Currency::ISK, 5000, FeeSchedule::zero(), (5000, 500_000), &[("2100", 5000), ("2200", 5000)]),
        (
            "D-61, a fresh pair",
            usd,
            60_000,
            tiers(),
            (60_000, 60_000),
            &[("2100", 60_000), ("2200", 49_000), ("4100", 11_000)],
        ),
        ("D-62", usd, 100_000, FeeSchedule::zero(), (100_000, 100_000), &[("2100", 100_000), ("2200", 100_000)]),
        (
            "D-64",
            usd,
            100_000,
            with_vat(),
            (106_594, 106_594),
            &[
                ("2100", 100_000),
                ("2300", 5000),
                ("2310", 495),
                ("2305", 1099),
                ("2200", 88_000),
                ("4100", 10_000),
                ("4110", 5000),
                ("4120", 495),
                ("2400", 3099),
            ],
        ),
        ("D-65", usd, 100_000, abroad, (105_000, 105_000), usual),
    ];
    for (name, currency, amount, fees, charge, released) in cases {
        let mut world = paid_in(currency, amount, &fees);
        assert_eq!(charged(&world), charge, "{name}");
        let events = world.approve(1).unwrap();
        assert!(events.contains(&"contract.completed".to_owned()), "{name}");
        assert_eq!(entry_of(&world, "escrow.released"), owned(released), "{name}");
        assert_eq!(world.approve(1), Err(Refusal::MilestoneAlreadyApproved), "{name}: D-48, once");
        assert_eq!(world.times_of("escrow.released").len(), 1, "{name}");
    }
}

/// D-61: the pair has billed 400.00 in this contract: the next 300.00 cost 40.00.
#[test]
fn tiers_go_on_where_the_pair_stands() {
    let mut world = World::new().accepted(&[40_000, 30_000], tiers(), Policy::default());
    for (number, amount) in [(1, 40_000), (2, 30_000)] {
        world.fund(number, &[(number, amount)]).unwrap();
        world.succeed(f(number)).unwrap();
        world.approve(number).unwrap();
    }
    assert_eq!(entry_of(&world, "escrow.released"), owned(&[("2100", 30_000), ("2200", 26_000), ("4100", 4000)]));
}

/// Events that the fees or the periods of the contract decided name them; the others name nothing.
#[test]
fn events_name_the_terms_that_judged_them() {
    let mut world = World::f0(&[100_000]);
    world.by_payee(on(M::SubmitWork)).unwrap();
    world.approve(1).unwrap();
    let events = world.appends.iter().flat_map(|append| &append.events);
    let named: Vec<_> =
        events.filter_map(|event| Some((event.event_type.as_ref(), event.metadata.policy_ref.as_deref()?))).collect();
    let expected = [
        ("contract.offered", "fixed@1"),
        ("contract.accepted", "fixed@1"),
        ("escrow.funding_requested", "two_sided@1"),
        ("contract.activated", "fixed@1"),
        ("milestone.work_submitted", "fixed@1"),
        ("escrow.released", "two_sided@1"),
    ];
    assert_eq!(named, expected);
}

/// D-10, J93: the client calls the payment and the contract off; a second later the provider says that it has the money.
#[test]
fn money_that_comes_after_the_cancel_goes_back() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    let cancel = || {
        let command = ContractCommand::Cancel { reason: None, parts: Parts::default() };
        Intent::OnContract { contract_id: contract(), command }
    };
    assert_eq!(world.by_client(cancel()), Err(Refusal::PaymentUnderWay), "the payment first");
    world.by_client(Intent::Money(MoneyIntent::CancelFunding { funding_id: f(1) })).unwrap();
    let events = world.by_client(cancel()).unwrap();
    assert_eq!(events, ["contract.cancelled", "milestone.cancelled", "escrow.closed"]);
    world.now += TimeDelta::seconds(1);
    let events = world.succeed(f(1)).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.succeeded_after_cancel", "refund.requested"]);
    let refund_id = RefundId::derived(f(1).as_uuid(), "late");
    assert_journal(&world.entry("funding.succeeded_after_cancel"), "J93", &[("R10", refund_id.to_string())]);
    assert_eq!(world.balance().into_iter().collect::<Vec<_>>(), [("1110", 105_000), ("2260", -105_000)]);
    assert!(world.times_of("milestone.funded").is_empty());
}

/// D-32, J10: submitted on 12-02 at 09:00, nobody looks until the client asks for changes on 12-16 at 10:00: the window
/// had closed an hour before, and that is the instant and the day that count.
#[test]
fn a_late_look_books_on_the_day_that_was_due() {
    let mut world = World::f0(&[100_000]);
    world.now = at("2026-12-02T09:00:00Z");
    world.by_payee(on(M::SubmitWork)).unwrap();
    world.now = at("2026-12-16T10:00:00Z");
    let changes = on(M::RequestChanges { note_ref: None });
    assert_eq!(world.by_client(changes), Err(Refusal::ReviewWindowClosed));
    assert_eq!(world.times_of("milestone.auto_approved"), [at("2026-12-16T09:00:00Z")]);
    let entry = world.entry("escrow.released");
    assert_journal(&entry, "J10", &[]);
    assert_eq!(entry.value_date(), at("2026-12-16T00:00:00Z").date_naive());
    world.now = at("2026-12-16T15:00:00Z");
    let before = world.log.len();
    world.wake();
    assert_eq!(world.log.len(), before, "the scheduler finds nothing to do");
}

/// D-35: a minor unit more than is held, asked of the milestone.
#[test]
fn no_more_than_is_held_is_approved() {
    let mut world = World::f0(&[100_000]);
    let more = Intent::ApproveMilestone { milestone_id: m(1), amount: Some(minor(100_001)), currency: None };
    assert_eq!(world.by_client(more), Err(Refusal::ExceedsHeld { held: minor(100_000) }));
}

/// D-71, D-73, J30, J34: the client asks for all of it back and the payee agrees; with the fee, or without it.
#[test]
fn a_refund_that_both_want_gives_back_what_the_fees_say() {
    let mut keep = FeeSchedule::two_sided();
    keep.refund_client_fee = RefundClientFee::None;
    for (fees, vector, back) in [(FeeSchedule::two_sided(), "J30", 105_000), (keep, "J34", 100_000)] {
        let mut world = paid(100_000, &fees);
        world.by_client(on(M::RequestRefund { amount: None, currency: None })).unwrap();
        let events = world.by_payee(on(M::AcceptRefund)).unwrap();
        assert!(events.contains(&"refund.requested".to_owned()));
        let refund_id = RefundId::derived(m(1).as_uuid(), "refund/1").to_string();
        let names = [("R1", refund_id.clone()), ("R3", refund_id.clone()), ("R5", refund_id)];
        assert_journal(&world.entry("escrow.refund_initiated"), vector, &names);
        assert_eq!(world.balance().get("2260"), Some(&-back));
    }
}

/// D-22: a minor unit too little in the wallet: refused, and no event.
#[test]
fn a_wallet_that_holds_too_little_pays_nothing() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let top_up = domain::wallet::WalletCommand::RecordTopUp {
        client_id: client(),
        funding_id: f(9),
        amount: minor(104_999),
        currency: Currency::USD,
        place: platform(),
    };
    let wallet = domain::wallet::WalletId { party_id: client(), currency: Currency::USD };
    world.fact(domain::command::Command::Wallet(wallet, top_up)).unwrap();
    let before = world.log.len();
    let pay = Intent::Money(MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: vec![(m(1), minor(100_000))],
        deposit: Minor::ZERO,
        currency: Currency::USD,
        paid_from: PaidFrom::Wallet,
        payment_method: String::new(),
    });
    assert_eq!(world.by_client(pay), Err(Refusal::InsufficientWalletBalance { balance: minor(104_999) }));
    assert_eq!(world.log.len(), before);
}

/// D-138, D-139, J62, J63: the contract ended on 2026-11-30. A bonus of 50.00 a year less a day later, and two days after
/// that; a tip of 10.00, free of fees.
#[test]
fn a_bonus_and_a_tip_on_their_days() {
    let mut world = World::new();
    world.now = at("2026-11-30T10:00:00Z");
    let mut world = world.accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.approve(1).unwrap();
    assert_eq!(state(&world, &domain::contract::stream(contract())), "completed");
    let give = |number: u128, kind, amount: i64| {
        Intent::Money(MoneyIntent::PayGratuity {
            contract_id: contract(),
            funding_id: f(number),
            kind,
            amount: minor(amount),
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        })
    };
    world.by_client(give(5, GratuityKind::Tip, 1000)).unwrap();
    world.succeed(f(5)).unwrap();
    assert_journal(&world.entry("payee.tip_paid"), "J63", &[("B1", contract().to_string())]);
    world.now = at("2027-11-29T10:00:00Z");
    world.by_client(give(6, GratuityKind::Bonus, 5000)).unwrap();
    world.succeed(f(6)).unwrap();
    assert_journal(&world.entry("payee.bonus_paid"), "J62", &[]);
    world.now = at("2027-12-02T10:00:00Z");
    let closed_at = at("2027-11-30T10:00:00Z");
    for (number, kind) in [(7, GratuityKind::Bonus), (8, GratuityKind::Tip)] {
        assert_eq!(world.by_client(give(number, kind, 5000)), Err(Refusal::BonusWindowClosed { closed_at }));
    }
}

/// D-80, D-28, D-30: what ends a contract that nobody cares for, by where the money lies. In the United States (the
/// fixture's provider keeps 2.9% and 0.30, which is the price there) silence does, on the days of D-80; elsewhere the
/// provider's limit comes first, and what is held goes back before anybody is warned.
#[test]
fn silence_or_the_providers_limit_ends_a_contract() {
    for (country, limit, dormant) in [
        (Some("TH"), Some("2026-12-11T10:00:00Z"), false),
        (Some("DE"), Some("2027-03-01T10:00:00Z"), false),
        (None, Some("2027-03-01T10:00:00Z"), false),
        (Some("US"), None, true),
    ] {
        let mut policy = Policy::default();
        policy.psp_hold.platform_country = country.map(|code| Jurisdiction::new(code).unwrap());
        let mut plan = World::plan(1, 100_000);
        plan.due_at = Some(at("2026-12-31T00:00:00Z"));
        let mut world = World::new().agreed(vec![plan], FeeSchedule::two_sided(), policy);
        world.fund(1, &[(1, 100_000)]).unwrap();
        world.succeed(f(1)).unwrap();
        world.now = at("2028-06-01T00:00:00Z");
        world.wake();
        let gone_at = limit.map_or_else(|| at("2027-04-14T00:00:00Z"), at);
        assert_eq!(world.times_of("escrow.refund_initiated"), [gone_at], "{country:?}");
        assert_eq!(world.times_of("contract.marked_dormant").len(), usize::from(dormant), "{country:?}");
        assert_eq!(world.times_of("escrow.hold_limit_reached").len(), usize::from(!dormant), "{country:?}");
        assert_eq!(world.balance().get("2260"), Some(&-105_000));
        let AggregateState::Contract(contract) = world.state(&domain::contract::stream(contract())) else { panic!() };
        assert!(contract.is_over(), "{country:?}");
    }
}
