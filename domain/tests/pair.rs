//! Fees that go by what a client and a payee have billed together, over several contracts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::escrow::EscrowEvent;
use domain::event::DomainEvent;
use domain::fee::{Fee, FeeRule, FeeSchedule, Promotion, Tier};
use domain::id::{ContractId, FundingId, MilestoneId, PartyId};
use domain::intent::{Intent, MoneyIntent};
use domain::log::{Append, Expected};
use domain::pair::{self, PairId};
use domain::policy::Policy;
use domain::unit_of_work::{Loaded, Step, UnitOfWork};
use ledger::{Currency, Minor};
use money::world::World;
use money::*;
use proptest::prelude::*;

/// 20% to 500.00, 10% to 10,000.00, 5% above.
fn tiers() -> Fee {
    let tier = |up_to: Option<i64>, rate: &str| Tier { up_to: up_to.map(minor), percent: percent(rate) };
    let tiers = vec![tier(Some(50_000), "20"), tier(Some(1_000_000), "10"), tier(None, "5")];
    Fee::new(vec![FeeRule::Tiered { tiers, minimum: Minor::ZERO, cap: None }])
}

fn tiered() -> FeeSchedule {
    FeeSchedule { currency: Some(Currency::USD), payee_fee: tiers(), ..FeeSchedule::empty("tiered") }
}

fn another_client() -> PartyId {
    PartyId::from_uuid(uuid(8))
}

/// The contract C1, C2, … each has one milestone and one funding.
fn c(number: u128) -> ContractId {
    ContractId::from_uuid(uuid(700 + number))
}

fn mc(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(uuid(800 + number))
}

fn fc(number: u128) -> FundingId {
    FundingId::from_uuid(uuid(900 + number))
}

fn pair_of(client_id: PartyId) -> PairId {
    PairId { client_id, payee_id: payee(), currency: Currency::USD }
}

/// A contract of `client_id` with this much held.
fn funded(world: &mut World, client_id: PartyId, number: u128, amount: i64, fee_schedule: FeeSchedule) {
    let by = Actor::Client(client_id);
    let milestones = vec![domain::contract::MilestonePlan { milestone_id: mc(number), ..World::plan(1, amount) }];
    let (contract_id, currency) = (c(number), Currency::USD);
    let draft =
        Intent::DraftContract { contract_id, client_id, payee_id: payee(), currency, milestones, reference: None };
    world.perform(by, draft).unwrap();
    world.perform(by, Intent::OfferContract { contract_id, fee_schedule, policy: Policy::default() }).unwrap();
    world.by_payee(Intent::AcceptContract { contract_id }).unwrap();
    let fund = Intent::FundMilestones {
        contract_id,
        funding_id: fc(number),
        allocations: vec![(mc(number), minor(amount))],
        currency,
        payment_method: "pm_card_visa".to_owned(),
    };
    world.perform(by, fund).unwrap();
    world.succeed(fc(number)).unwrap();
}

fn approval(number: u128, amount: i64) -> Intent {
    Intent::ApproveMilestone { milestone_id: mc(number), amount: Some(minor(amount)), currency: None }
}

/// Releases a part; what the payee pays for it, and gets.
fn release(world: &mut World, client_id: PartyId, number: u128, amount: i64) -> (i64, i64) {
    world.perform(Actor::Client(client_id), approval(number, amount)).unwrap();
    let lines = lines(&world.entry("escrow.released"));
    let credit = |account: &str| {
        lines.iter().filter(|(side, code, ..)| *side == "Cr" && code == account).map(|(_, _, amount, _)| amount).sum()
    };
    (credit("4100"), credit("2200"))
}

fn billed(world: &World, client_id: PartyId) -> i64 {
    let AggregateState::Pair(pair) = world.state(&pair::stream(pair_of(client_id))) else { panic!() };
    pair.billed.get()
}

/// D-61: the pair has billed 400.00 in another contract: the next 300.00 cost 40.00, and 260.00 are the payee's. Another
/// client begins at the first step: 600.00 cost 110.00.
#[test]
fn tiers_count_all_contracts_of_the_pair() {
    let mut world = World::new();
    funded(&mut world, client(), 1, 40_000, tiered());
    funded(&mut world, client(), 2, 30_000, tiered());
    funded(&mut world, another_client(), 3, 60_000, tiered());
    assert_eq!(release(&mut world, client(), 1, 40_000), (8000, 32_000));
    assert_eq!(release(&mut world, client(), 2, 30_000), (4000, 26_000));
    assert_eq!(release(&mut world, another_client(), 3, 60_000), (11_000, 49_000));
    assert_eq!((billed(&world, client()), billed(&world, another_client())), (70_000, 60_000));
}

/// D-61: bonuses, the client's own tiers and discounts on the first so much stand where the pair stands, too.
#[test]
fn whatever_goes_by_billing_goes_by_the_pair() {
    let offer = Promotion {
        id: "first_600".to_owned(),
        percent_off: percent("50"),
        until: None,
        first_billed: Some(minor(60_000)),
        first_contracts: None,
    };
    let ten = Fee::percent(percent("10"));
    let schedule = FeeSchedule { client_fee: tiers(), payee_fee: ten, promotions: vec![offer], ..tiered() };
    let mut world = World::new();
    funded(&mut world, client(), 1, 40_000, schedule.clone());
    assert_eq!(release(&mut world, client(), 1, 40_000).0, 2000, "half of 10%");
    funded(&mut world, client(), 2, 30_000, schedule);
    let requested = world.appends.iter().flat_map(|append| &append.events).rev();
    let requested = requested.filter(|event| event.event_type == "escrow.funding_requested").map(|event| {
        let DomainEvent::Escrow(EscrowEvent::FundingRequested { client_fee, .. }) =
            DomainEvent::from_json("escrow", &event.event_type, event.event_version, &event.payload).unwrap()
        else {
            panic!()
        };
        client_fee.get()
    });
    // The newest first: 100.00 at 20% and 200.00 at 10%; before it, 400.00 at 20%.
    assert_eq!(requested.collect::<Vec<_>>(), [4000, 8000]);
    assert_eq!(release(&mut world, client(), 2, 30_000).0, 1000 + 1000, "200.00 at half, 100.00 in full");
    let bonus = MoneyIntent::PayGratuity {
        contract_id: c(2),
        funding_id: fc(20),
        kind: domain::escrow::GratuityKind::Bonus,
        amount: minor(10_000),
        currency: Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
    };
    world.by_client(Intent::Money(bonus)).unwrap();
    let told: serde_json::Value = serde_json::from_str(
        &world.log.iter().rev().find(|event| event.event_type == "escrow.gratuity_requested").unwrap().payload,
    )
    .unwrap();
    assert_eq!((&told["client_fee"], &told["payee_fee"]), (&1000.into(), &1000.into()), "10% each, from 700.00 on");
    assert_eq!(billed(&world, client()), 70_000, "a bonus does not move it");
}

/// What an approval would append, decided on what the log holds now.
fn decided(world: &World, number: u128, amount: i64, command: u128) -> Append {
    let work = UnitOfWork {
        intent: approval(number, amount),
        actor: Actor::Client(client()),
        command_id: uuid(command),
        clock: world.now,
        if_match: None,
        idempotency_key: None,
        traceparent: None,
    };
    let mut loaded = Loaded::new();
    loop {
        match work.step(&loaded) {
            Step::Needs(streams) => {
                let known = world.log.iter().filter(|event| streams.contains(&event.stream));
                loaded.absorb(&streams, &known.cloned().collect::<Vec<_>>()).unwrap();
            }
            Step::Decided(decision) => return decision.append,
            other => panic!("{other:?}"),
        }
    }
}

/// What the append demands of the pair's stream; `None` when it neither writes nor reads it.
fn demanded(append: &Append) -> Option<Expected> {
    let stream = pair::stream(pair_of(client()));
    let written = append.streams.iter().find(|written| written.stream == stream).map(|written| written.expected);
    written.or_else(|| append.reads.iter().find(|(read, _)| *read == stream).map(|(_, version)| Expected::At(*version)))
}

/// D-61: two releases at the same moment in two contracts demand the same version of the pair: one is judged again.
#[test]
fn releases_at_the_same_moment_are_judged_one_after_the_other() {
    let mut world = World::new();
    funded(&mut world, client(), 1, 40_000, tiered());
    funded(&mut world, client(), 2, 30_000, tiered());
    let (one, other) = (decided(&world, 1, 40_000, 1), decided(&world, 2, 30_000, 2));
    assert_eq!((demanded(&one), demanded(&other)), (Some(Expected::At(0)), Some(Expected::At(0))));
    release(&mut world, client(), 1, 40_000);
    assert_eq!(demanded(&decided(&world, 2, 30_000, 2)), Some(Expected::At(1)));
}

/// A contract whose fees do not go by it neither reads nor writes what the pair has billed.
#[test]
fn plain_fees_do_not_touch_the_pair() {
    let mut world = World::new();
    funded(&mut world, client(), 1, 40_000, FeeSchedule::two_sided());
    assert_eq!(demanded(&decided(&world, 1, 40_000, 1)), None);
    release(&mut world, client(), 1, 40_000);
    assert!(world.appends.iter().all(|append| demanded(append).is_none()));
    let one_step = Tier { up_to: None, percent: percent("10") };
    let one_step = Fee::new(vec![FeeRule::Tiered { tiers: vec![one_step], minimum: Minor::ZERO, cap: None }]);
    assert!(!FeeSchedule { payee_fee: one_step, ..tiered() }.goes_by_billing());
    assert!(tiered().goes_by_billing());
}

/// D-61: what is released of one contract in one append counts before the pair is told: a dormant contract with two
/// milestones goes to the payee, 300.00 each.
#[test]
fn two_releases_of_one_append_are_billed_one_after_the_other() {
    let mut world = World::new();
    funded(&mut world, client(), 1, 40_000, tiered());
    release(&mut world, client(), 1, 40_000);
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(domain::jurisdiction::Jurisdiction::new("US").unwrap());
    let mut world = world.accepted(&[30_000, 30_000], tiered(), policy);
    world.fund(1, &[(1, 30_000), (2, 30_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    // Dormant on day 90; the client is asked, then the payee, who wants it.
    world.now += chrono::TimeDelta::days(98);
    world.wake();
    let ask = domain::contract::ContractCommand::RequestDormancyRelease;
    world.by_payee(Intent::OnContract { contract_id: contract(), command: ask }).unwrap();
    world.now += chrono::TimeDelta::days(30);
    world.wake();
    let together = world.appends.iter().map(|append| {
        append.events.iter().filter(|event| event.event_type == "escrow.released").map(|event| event.payload.as_str())
    });
    let together: Vec<Vec<&str>> = together.map(Iterator::collect).collect();
    let both = together.iter().find(|released| released.len() == 2).unwrap();
    let fees: Vec<_> = both
        .iter()
        .map(|payload| {
            let told: serde_json::Value = serde_json::from_str(payload).unwrap();
            (told["billed_before"].as_i64().unwrap(), told["payee_fee"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(fees, [(40_000, 4000), (70_000, 3000)]);
    assert_eq!(billed(&world, client()), 100_000);
}

/// What the first `billed` of a pair costs, exactly, in hundredths of a minor unit.
fn whole(billed: i64) -> i64 {
    let steps = [(0, 50_000, 20), (50_000, 1_000_000, 10), (1_000_000, i64::MAX, 5)];
    steps.iter().map(|(low, high, rate)| (billed.min(*high) - low).max(0) * rate).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// D-61, R4: whatever is released in whichever of three contracts of a pair, in whatever parts and order, the fees of
    /// all of it are those of the sum, to a minor unit per release; and every release costs what it adds.
    #[test]
    fn the_fees_of_a_pair_are_those_of_the_sum(parts in prop::collection::vec((1_u128..4, 1_i64..200_000), 1..16)) {
        let mut world = World::new();
        for number in 1..4 {
            funded(&mut world, client(), number, 4_000_000, tiered());
        }
        let (mut sum, mut fees) = (0, 0);
        for (number, amount) in &parts {
            let (fee, net) = release(&mut world, client(), *number, *amount);
            prop_assert_eq!(fee + net, *amount);
            // The part of a milestone is rounded with what was released of it before.
            let added = whole(sum + amount) - whole(sum);
            prop_assert!((fee * 100 - added).abs() <= 100, "{} for {}", fee, added);
            (sum, fees) = (sum + amount, fees + fee);
        }
        prop_assert_eq!(billed(&world, client()), sum);
        let parts = i64::try_from(parts.len()).unwrap();
        prop_assert!((fees * 100 - whole(sum)).abs() <= 100 * parts, "{} of {}", fees, sum);
    }
}
