//! Many who want different things of one milestone at once, over two servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;

use adapters::embedded::testing::TestCluster;
use adapters::postgres::clock::TenantClock;
use adapters::postgres::{PgStore, migrate};
use api::engine::{Engine, EngineError, Performed, Request};
use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::contract::{Change, ContractCommand, MilestonePlan, Parts};
use domain::event::DomainEvent;
use domain::id::{AmendmentId, ContractId, DisputeId, FundingId, MilestoneId, PartyId};
use domain::intent::Intent;
use domain::log::{Answer, EventStore, StreamId};
use domain::milestone::MilestoneCommand;
use domain::policy::{FeeSchedule, Policy};
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderReport};
use domain::unit_of_work::{Decision, Loaded};
use domain::{contract, escrow, milestone, process};
use ledger::{Currency, Minor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

const ROUNDS: u64 = 1_000;
const CALLERS: usize = 64;
const WORTH: i64 = 100_000;

type PgEngine = Engine<PgStore, TenantClock>;

/// One contract of one milestone, which is funded.
struct Funded {
    client: Actor,
    payee: Actor,
    contract_id: ContractId,
    milestone_id: MilestoneId,
}

fn answer(_: &Decision) -> Answer {
    Answer { fingerprint: String::new(), status: 200, body: String::new(), version: None, location: None }
}

async fn ask(engine: &PgEngine, actor: Actor, intent: Intent) -> Result<(), EngineError> {
    let request = Request { answer: Some(&answer), ..Request::internal(intent, actor, Uuid::now_v7()) };
    match engine.perform(request).await? {
        Performed::Done(..) => Ok(()),
        other => panic!("{other:?}"),
    }
}

async fn funded(engine: &PgEngine) -> Funded {
    let (client_id, payee_id) = (PartyId::from_uuid(Uuid::now_v7()), PartyId::from_uuid(Uuid::now_v7()));
    let (client, payee) = (Actor::Client(client_id), Actor::Payee(payee_id));
    let contract_id = ContractId::from_uuid(Uuid::now_v7());
    let milestone_id = MilestoneId::from_uuid(Uuid::now_v7());
    let funding_id = FundingId::from_uuid(Uuid::now_v7());
    let amount = Minor::new(WORTH).unwrap();
    let plan = MilestonePlan { milestone_id, amount, due_at: None, review_days: None, reference: None };
    let draft = Intent::DraftContract {
        contract_id,
        client_id,
        payee_id,
        currency: Currency::USD,
        milestones: vec![plan],
        reference: None,
    };
    let offer = Intent::OfferContract { contract_id, fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() };
    let fund = Intent::FundMilestones {
        contract_id,
        funding_id,
        allocations: vec![(milestone_id, amount)],
        currency: Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
    };
    let accept = Intent::AcceptContract { contract_id };
    for party_id in [client_id, payee_id] {
        ask(engine, Actor::System(SystemPart::Operator), Intent::RegisterParty { party_id }).await.unwrap();
    }
    for (actor, intent) in [(client, draft), (client, offer), (payee, accept), (client, fund)] {
        ask(engine, actor, intent).await.unwrap();
    }
    let report = ProviderReport::Payment(PaymentReport {
        payment_ref: format!("pi_{}", Uuid::now_v7().simple()),
        funding_id: Some(funding_id),
        status: PaymentStatus::Succeeded {
            charge_ref: format!("ch_{}", Uuid::now_v7().simple()),
            captured: Minor::new(WORTH * 105 / 100).unwrap(),
            currency: Currency::USD,
            collected_at: engine.now().await.unwrap(),
            receipt: None,
        },
    });
    for fact in process::facts(&report) {
        let told = Request::internal(Intent::Fact(fact.command), Actor::System(SystemPart::Psp), fact.command_id);
        engine.perform(told).await.unwrap();
    }
    Funded { client, payee, contract_id, milestone_id }
}

/// What 64 callers want: each of these at least once, in any order.
fn wishes(on: &Funded, chance: &mut StdRng) -> Vec<(Actor, Intent)> {
    use {ContractCommand as C, MilestoneCommand as M};
    let Funded { client, payee, contract_id, milestone_id } = *on;
    let amendment_id = AmendmentId::from_uuid(Uuid::now_v7());
    let of_milestone = |command| Intent::OnMilestone { milestone_id, command };
    let of_contract = |command| Intent::OnContract { contract_id, command };
    let dearer = Change::ChangeAmount { milestone_id, amount: Minor::new(WORTH * 2).unwrap() };
    let kinds = 10;
    let mut wishes: Vec<_> = (0..CALLERS)
        .map(|number| match if number < kinds { number } else { chance.random_range(0..kinds) } {
            0 | 1 => (client, Intent::ApproveMilestone { milestone_id, amount: None, currency: None }),
            2 => (client, of_milestone(M::OpenDispute { dispute_id: DisputeId::from_uuid(Uuid::now_v7()) })),
            3 => (payee, of_milestone(M::OpenDispute { dispute_id: DisputeId::from_uuid(Uuid::now_v7()) })),
            4 => (payee, of_milestone(M::GrantRefund { amount: None, currency: None })),
            5 => (client, of_milestone(M::RequestRefund { amount: None, currency: None })),
            6 => (payee, of_milestone(M::AcceptRefund)),
            7 => (client, of_milestone(M::Cancel)),
            8 => (client, of_contract(C::ProposeAmendment { amendment_id, changes: vec![dearer.clone()], parts: Parts::default() })),
            _ => (payee, of_contract(C::AcceptAmendment { amendment_id })),
        })
        .collect();
    wishes.shuffle(chance);
    wishes
}

/// The events of a contract's parts, and what they come to.
async fn outcome(engine: &PgEngine, on: &Funded) -> (BTreeMap<String, usize>, Loaded) {
    let streams: Vec<StreamId> =
        vec![contract::stream(on.contract_id), escrow::stream(on.contract_id), milestone::stream(on.milestone_id)];
    let wanted: Vec<_> = streams.iter().map(|stream| (stream.clone(), 0)).collect();
    let events = engine.store().load(&wanted).await.unwrap();
    let mut counts = BTreeMap::new();
    for event in &events {
        *counts.entry(event.event_type.to_string()).or_default() += 1;
        let (kind, payload) = (&event.stream.aggregate_type, &event.payload);
        DomainEvent::from_json(kind, &event.event_type, event.event_version, payload).unwrap();
    }
    let mut loaded = Loaded::new();
    loaded.absorb(&streams, &events).unwrap();
    (counts, loaded)
}

/// D-38, I4, I5: 1,000 times, 64 callers on two servers approve, dispute, refund, cancel and amend one milestone at once.
/// One of them disposes of the money, in whole; everybody else is refused; nothing is paid beyond what was funded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_different_things_one_disposes() {
    let database = TestCluster::shared()
        .unwrap()
        .fresh_database("tenant", |database| async move {
            migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
        })
        .await
        .unwrap();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let store = Arc::new(PgStore::connect(database.app_options.clone(), &"main".parse().unwrap(), 8));
        let clock = TenantClock::open(store.pool().clone()).await.unwrap();
        servers.push(Arc::new(Engine::new(store, clock, 1_000)));
    }
    let mut chance = StdRng::seed_from_u64(64);
    let mut how: BTreeMap<&str, u64> = BTreeMap::new();
    let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        let on = funded(&servers[0]).await;
        let mut callers = tokio::task::JoinSet::new();
        for (number, (actor, intent)) in wishes(&on, &mut chance).into_iter().enumerate() {
            let engine = Arc::clone(&servers[number % 2]);
            callers.spawn(async move { ask(&engine, actor, intent).await });
        }
        while let Some(answered) = callers.join_next().await {
            match answered.unwrap() {
                Ok(()) => {}
                Err(EngineError::Refused(refusal)) => *refusals.entry(refusal.code().to_owned()).or_default() += 1,
                Err(EngineError::Contended) => *refusals.entry("conflict_retry".to_owned()).or_default() += 1,
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        let (events, after) = outcome(&servers[0], &on).await;
        let disposed: Vec<_> = ["milestone.approved", "milestone.refund_agreed", "milestone.disputed"]
            .into_iter()
            .filter(|name| events.contains_key(*name))
            .collect();
        assert_eq!(disposed.len(), 1, "round {round}: {events:?}");
        assert_eq!(disposed.iter().filter_map(|name| events.get(*name)).sum::<usize>(), 1, "round {round}: {events:?}");
        *how.entry(disposed[0]).or_default() += 1;

        let AggregateState::Escrow(state) = &after.get(&escrow::stream(on.contract_id)).unwrap().state else { panic!() };
        let holding = &state.holdings().unwrap().milestones[&on.milestone_id];
        assert!(holding.is_conserved(), "round {round}: {holding:?}");
        let whole = Minor::new(WORTH).unwrap();
        let went = [holding.released, holding.refunded, holding.disputed];
        assert_eq!(went.iter().filter(|amount| **amount == whole).count(), 1, "round {round}: {holding:?}");
        assert_eq!((Minor::sum(went).unwrap(), holding.held), (whole, Minor::ZERO), "round {round}: {holding:?}");
    }
    // Each way was taken, and each rule that refuses the others was met.
    assert_eq!(how.len(), 3, "{how:?}");
    for code in ["milestone_already_approved", "milestone_disputed", "milestone_wrong_state"] {
        assert!(refusals.contains_key(code), "{refusals:?}");
    }
}
