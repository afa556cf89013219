//! Whatever the order in which webhooks arrive, and however often, the books end the same.
//!
//! A story is what happens at the provider, one thing after another. Its webhooks are delivered in every order; each
//! delivery looks at the object as it is by then, and everything that was delivered before is delivered again. Answers to
//! orders come last, as after a server that was away.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod back_and_forth;
mod banks;
mod forth;
mod reports;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use adapters::memory::MemoryStore;
use api::engine::{Engine, EngineError, Request};
use chrono::{TimeDelta, TimeZone, Utc};
use domain::actor::{Actor, SystemPart};
use domain::contract::MilestonePlan;
use domain::event::DomainEvent;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::{EventStore, Position, StoreError, StreamId};
use domain::party::PayoutAccount;
use domain::policy::{FeeSchedule, Policy};
use domain::ports::Clock;
use domain::ports::provider::{ProviderOrder, ProviderReport};
use domain::process;
use domain::time::Timestamp;
use domain::timer::Scope;
use ledger::{Account, Currency, Minor, TrialBalance};
use reports::{PAID_OUT, object_of, paid};
use uuid::Uuid;

/// A clock that stands still until it is set.
#[derive(Clone)]
struct Standing(Arc<Mutex<Timestamp>>);

impl Clock for Standing {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(*self.0.lock().unwrap())
    }
}

fn id<T>(number: u128, make: fn(Uuid) -> T) -> T {
    make(Uuid::from_u128(number))
}

fn client() -> PartyId {
    id(1, PartyId::from_uuid)
}

fn payee() -> PartyId {
    id(2, PartyId::from_uuid)
}

fn funding() -> FundingId {
    id(5, FundingId::from_uuid)
}

fn payout() -> PayoutId {
    id(6, PayoutId::from_uuid)
}

fn milestone() -> MilestoneId {
    id(4, MilestoneId::from_uuid)
}

fn cents(minor: i64) -> Minor {
    Minor::new(minor).unwrap()
}

fn begin() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 12, 1, 10, 0, 0).unwrap()
}

/// An engine without a database.
struct World {
    engine: Engine<MemoryStore, Standing>,
    clock: Standing,
    commands: Mutex<u128>,
}

impl World {
    fn new() -> Self {
        let clock = Standing(Arc::new(Mutex::new(begin())));
        let store = Arc::new(MemoryStore::new(begin()));
        Self { engine: Engine::new(store, clock.clone(), 100), clock, commands: Mutex::new(1000) }
    }

    async fn act(&self, actor: Actor, intent: Intent) {
        let command_id = {
            let mut commands = self.commands.lock().unwrap();
            *commands += 1;
            Uuid::from_u128(*commands)
        };
        self.engine.perform(Request::internal(intent, actor, command_id)).await.unwrap();
    }

    /// Records what is so. `false` when it is refused for now: then it is to be told again later.
    async fn tell(&self, report: &ProviderReport) -> bool {
        for fact in process::facts(report) {
            let actor = Actor::System(SystemPart::Psp);
            let request = Request::internal(Intent::Fact(fact.command), actor, fact.command_id);
            match self.engine.perform(request).await {
                Ok(_) => {}
                Err(EngineError::Refused(_)) => return false,
                Err(error) => panic!("{error}"),
            }
        }
        true
    }

    /// A contract that waits for its money.
    async fn ordered(&self) {
        let (contract_id, milestone_id) = (id(3, ContractId::from_uuid), milestone());
        let system = Actor::System(SystemPart::Operator);
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() };
        self.act(system, Intent::RegisterParty { party_id: client() }).await;
        self.act(system, Intent::RegisterParty { party_id: payee() }).await;
        self.act(Actor::Payee(payee()), Intent::LinkPayoutAccount { party_id: payee(), account, status: None }).await;
        let plan =
            MilestonePlan { milestone_id, amount: cents(100_000), due_at: None, review_days: None, reference: None };
        let draft = Intent::DraftContract {
            contract_id,
            client_id: client(),
            payee_id: payee(),
            currency: Currency::USD,
            milestones: vec![plan],
            reference: None,
        };
        self.act(Actor::Client(client()), draft).await;
        let offer =
            Intent::OfferContract { contract_id, fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() };
        self.act(Actor::Client(client()), offer).await;
        self.act(Actor::Payee(payee()), Intent::AcceptContract { contract_id }).await;
        let fund = Intent::FundMilestones {
            contract_id,
            funding_id: funding(),
            allocations: vec![(milestone_id, cents(100_000))],
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        };
        self.act(Actor::Client(client()), fund).await;
    }

    /// A contract whose milestone is paid for.
    async fn held(&self) {
        self.ordered().await;
        assert!(self.tell(&paid(true)).await);
    }

    /// Earnings that are being paid out.
    async fn withdrawn(&self) {
        self.held().await;
        let milestone_id = milestone();
        self.act(Actor::Payee(payee()), Intent::SubmitWork { milestone_id }).await;
        let approve = Intent::ApproveMilestone { milestone_id, amount: None, currency: None };
        self.act(Actor::Client(client()), approve).await;
        let later = begin() + TimeDelta::days(30);
        *self.clock.0.lock().unwrap() = later;
        self.engine.store().set_now(later);
        let streams: Vec<StreamId> =
            self.engine.store().read_now(0, 10_000).unwrap().into_iter().map(|event| event.stream).collect();
        for scope in streams.into_iter().filter_map(Scope::of_stream) {
            self.engine.wake(scope).await.unwrap();
        }
        let withdraw = Intent::RequestPayout {
            payout_id: payout(),
            payee_id: payee(),
            currency: Currency::USD,
            amount: cents(PAID_OUT),
        };
        self.act(Actor::Payee(payee()), withdraw).await;
    }

    /// Orders that were made after `after`, oldest first, and how far the log is.
    fn orders(&self, after: Position) -> (Vec<ProviderOrder>, Position) {
        let events = self.engine.store().read_now(after, 10_000).unwrap();
        let reached = events.last().map_or(after, |event| event.position);
        let orders = events.iter().flat_map(|event| {
            let read = DomainEvent::from_json(
                &event.stream.aggregate_type,
                &event.event_type,
                event.event_version,
                &event.payload,
            );
            process::orders(event.metadata.event_id, &read.unwrap())
        });
        (orders.map(|order| order.what).collect(), reached)
    }

    /// What the books say, debits positive.
    fn books(&self) -> BTreeMap<Account, i128> {
        let mut balance = TrialBalance::new();
        for event in self.engine.store().read_now(0, 10_000).unwrap() {
            if let Some(entry) = &event.journal {
                balance.add(entry);
            }
        }
        assert!(balance.is_balanced());
        balance.non_zero().map(|(account, _, totals)| (account, totals.net())).collect()
    }

    async fn head(&self) -> Position {
        self.engine.store().head().await.unwrap()
    }
}

/// The object that an order is answered with, as a story names it.
fn answered_by(order: &ProviderOrder) -> Option<&'static str> {
    match order.action() {
        "collect_payment" | "read_receipt" | "read_availability" | "cancel_payment" => Some("pi_1"),
        "refund" | "read_refund" => Some("re_1"),
        "move_to_payee" => Some("tr_1"),
        "pay_to_bank" | "read_bank_payout" => Some("po_1"),
        "reverse_transfer" => Some("trr_1"),
        "top_up" => Some("tu_1"),
        "pay_platform" => Some("po_2"),
        _ => None,
    }
}

/// Every order of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    shorter
        .iter()
        .flat_map(|shorter| {
            (0..count).map(move |place| {
                let mut longer = shorter.clone();
                longer.insert(place, count - 1);
                longer
            })
        })
        .collect()
}

/// The object of delivery `index` as it is when everything up to `reached` has happened.
fn look_up(story: &[ProviderReport], index: usize, reached: usize) -> &ProviderReport {
    let about = object_of(&story[index]);
    story[..=reached].iter().rev().find(|report| object_of(report) == about).unwrap()
}

/// Plays a story in one order of deliveries, and tells how the books end.
async fn play(world: &World, story: &[ProviderReport], deliveries: &[usize]) -> BTreeMap<Account, i128> {
    let mut delivered: Vec<usize> = Vec::new();
    let mut reached = 0;
    for index in deliveries {
        reached = reached.max(*index);
        delivered.push(*index);
        // The new one, then all that came before once more.
        for again in std::iter::once(*index).chain(delivered.iter().copied()) {
            world.tell(look_up(story, again, reached)).await;
        }
    }
    // The answers to orders, of which new orders can follow.
    let mut from = 0;
    loop {
        let (orders, reached) = world.orders(from);
        for about in orders.iter().filter_map(answered_by) {
            let last = story.iter().rev().find(|report| object_of(report) == about);
            if let Some(last) = last {
                assert!(world.tell(last).await, "the last word is taken");
            }
        }
        if reached == world.head().await {
            break;
        }
        from = reached;
    }
    // A whole second delivery changes nothing.
    let head = world.head().await;
    for index in deliveries {
        assert!(world.tell(look_up(story, *index, story.len() - 1)).await);
    }
    assert_eq!(world.head().await, head, "{deliveries:?}");
    world.books()
}

/// Plays what `begin` tells in every order, each time in a world that it has prepared, and tells how the books end.
async fn converge(begin: impl AsyncFn(&World) -> Vec<ProviderReport>) -> BTreeMap<Account, i128> {
    let (mut ends, mut first): (BTreeMap<Vec<usize>, _>, _) = (BTreeMap::new(), None);
    let count = begin(&World::new()).await.len();
    for deliveries in permutations(count) {
        let world = World::new();
        let story = begin(&world).await;
        let books = play(&world, &story, &deliveries).await;
        let expected = first.get_or_insert_with(|| books.clone());
        if books != *expected {
            ends.insert(deliveries, books);
        }
    }
    assert!(ends.is_empty(), "expected {first:?}, and {} ended otherwise: {:?}", ends.len(), ends.iter().next());
    first.unwrap()
}
