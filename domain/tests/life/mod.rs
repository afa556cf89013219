//! A contract with several milestones and its log, without any I/O, for the tests of its life.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by tests, each uses a part; they may fail loudly"
)]

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::contract::{self, Contract, ContractCommand, MilestonePlan, Part, Parts};
use domain::event::{DomainEvent, EVENT_TYPES};
use domain::funding::FundingCommand;
use domain::id::{AmendmentId, ContractId, DisputeId, FundingId, MilestoneId, PartyId};
use domain::intent::Intent;
use domain::jurisdiction::Jurisdiction;
use domain::log::{Append, StreamEvent, StreamId};
use domain::milestone::{self, Milestone, MilestoneCommand};
use domain::policy::{FeeSchedule, HoldAction, Policy};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::timer::Scope;
use domain::unit_of_work::{Loaded, Step, UnitOfWork};
use ledger::{Currency, Minor};
use uuid::Uuid;

pub const BEGIN: &str = "2026-12-01T10:00:00Z";

pub fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The amendment with this number.
pub fn amendment(number: u128) -> AmendmentId {
    AmendmentId::from_uuid(uuid(700 + number))
}

/// The dispute with this number.
pub fn dispute(number: u128) -> DisputeId {
    DisputeId::from_uuid(uuid(800 + number))
}

/// The milestone with this number, from 1.
pub fn m(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(uuid(40 + number))
}

/// A milestone as it is agreed, without a date.
pub fn plan(number: u128, amount: i64) -> MilestonePlan {
    MilestonePlan { milestone_id: m(number), amount: minor(amount), due_at: None, review_days: None, reference: None }
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Client,
    Payee,
    /// The payee, claiming to be the client.
    PayeeAsClient,
    Outsider,
    /// Staff that decides.
    Staff,
}

/// Everything that a caller sees of a refusal.
pub fn code(result: &Result<Vec<String>, Refusal>) -> Result<Vec<&str>, &'static str> {
    match result {
        Ok(events) => Ok(events.iter().map(String::as_str).collect()),
        Err(refusal) => Err(refusal.code()),
    }
}

/// A log and its clock.
#[derive(Clone)]
pub struct World {
    pub log: Vec<StreamEvent>,
    pub appends: Vec<Append>,
    pub now: Timestamp,
    commands: u128,
    fundings: u128,
    pub client: PartyId,
    pub payee: PartyId,
    pub contract: ContractId,
}

impl World {
    /// A draft with these milestones.
    pub fn drafted(milestones: Vec<MilestonePlan>) -> Self {
        let mut world = Self {
            log: Vec::new(),
            appends: Vec::new(),
            now: at(BEGIN),
            commands: 0,
            fundings: 0,
            client: PartyId::from_uuid(uuid(1)),
            payee: PartyId::from_uuid(uuid(2)),
            contract: ContractId::from_uuid(uuid(3)),
        };
        world.system(Intent::RegisterParty { party_id: world.payee }).unwrap();
        let draft = Intent::DraftContract {
            contract_id: world.contract,
            client_id: world.client,
            payee_id: world.payee,
            currency: Currency::USD,
            milestones,
            reference: None,
        };
        world.perform(Who::Client, draft).unwrap();
        world
    }

    pub fn offered(milestones: Vec<MilestonePlan>) -> Self {
        // A provider that lets money lie for two years, so that the deadlines of the contract are what ends it.
        Self::offered_in(milestones, "US", HoldAction::Refund)
    }

    /// With a provider's account in that country, and this done when money has lain there for as long as it may.
    pub fn offered_in(milestones: Vec<MilestonePlan>, country: &str, action: HoldAction) -> Self {
        let mut world = Self::drafted(milestones);
        let mut policy = Policy::default();
        policy.psp_hold.platform_country = Some(Jurisdiction::new(country).unwrap());
        policy.psp_hold.action = action;
        let offer =
            Intent::OfferContract { contract_id: world.contract, fee_schedule: FeeSchedule::two_sided(), policy };
        world.perform(Who::Client, offer).unwrap();
        world
    }

    pub fn accepted(milestones: Vec<MilestonePlan>) -> Self {
        let mut world = Self::offered(milestones);
        world.on_contract(Who::Payee, ContractCommand::Accept).unwrap();
        world
    }

    /// Accepted, and the milestones with these numbers paid for.
    pub fn funded(milestones: Vec<MilestonePlan>, numbers: &[u128]) -> Self {
        let amounts: Vec<_> = milestones.iter().map(|plan| (plan.milestone_id, plan.amount)).collect();
        let mut world = Self::accepted(milestones);
        for number in numbers {
            let (_, amount) = amounts.iter().find(|(id, _)| *id == m(*number)).unwrap();
            world.pay(*number, amount.get()).unwrap();
        }
        world
    }

    /// One milestone of 1,000.00, paid for.
    pub fn with_one() -> Self {
        Self::funded(vec![plan(1, 100_000)], &[1])
    }

    /// One milestone of 1,000.00, delivered.
    pub fn submitted() -> Self {
        let mut world = Self::with_one();
        world.on_milestone(1, Who::Payee, MilestoneCommand::SubmitWork).unwrap();
        world
    }

    fn actor(&self, who: Who) -> Actor {
        match who {
            Who::Client => Actor::Client(self.client),
            Who::Payee => Actor::Payee(self.payee),
            Who::PayeeAsClient => Actor::Client(self.payee),
            Who::Staff => Actor::Staff(StaffRole::Admin, PartyId::from_uuid(uuid(98))),
            Who::Outsider => Actor::Client(PartyId::from_uuid(uuid(99))),
        }
    }

    pub fn perform(&mut self, who: Who, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.run(self.actor(who), intent, None)
    }

    pub fn on_contract(&mut self, who: Who, command: ContractCommand) -> Result<Vec<String>, Refusal> {
        self.perform(who, Intent::OnContract { contract_id: self.contract, command })
    }

    pub fn on_milestone(&mut self, number: u128, who: Who, command: MilestoneCommand) -> Result<Vec<String>, Refusal> {
        self.perform(who, Intent::OnMilestone { milestone_id: m(number), command })
    }

    /// As [`World::on_milestone`], by somebody who knows this version of the milestone.
    pub fn if_match(
        &mut self,
        number: u128,
        who: Who,
        command: MilestoneCommand,
        version: u64,
    ) -> Result<Vec<String>, Refusal> {
        let actor = self.actor(who);
        self.run(actor, Intent::OnMilestone { milestone_id: m(number), command }, Some(version))
    }

    pub fn system(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.run(Actor::System(SystemPart::Psp), intent, None)
    }

    /// The client begins to pay for a milestone. Gives the funding, whether or not it was taken.
    pub fn request_funding(&mut self, number: u128, amount: i64) -> (FundingId, Result<Vec<String>, Refusal>) {
        self.fundings += 1;
        let funding_id = FundingId::from_uuid(uuid(500 + self.fundings));
        let intent = Intent::FundMilestones {
            contract_id: self.contract,
            funding_id,
            allocations: vec![(m(number), minor(amount))],
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        };
        (funding_id, self.perform(Who::Client, intent))
    }

    /// As [`World::succeed`], with the client's fee rounded as the fees are.
    pub fn succeed_capturing(&mut self, funding_id: FundingId, amount: i64) -> Result<Vec<String>, Refusal> {
        self.capture(funding_id, amount + (amount + 10) / 20)
    }

    /// The provider has the money: the amount and the client's 5%.
    pub fn succeed(&mut self, funding_id: FundingId, amount: i64) -> Result<Vec<String>, Refusal> {
        self.capture(funding_id, amount + amount / 20)
    }

    fn capture(&mut self, funding_id: FundingId, captured: i64) -> Result<Vec<String>, Refusal> {
        let collected_at = self.now;
        let succeeded = FundingCommand::RecordSucceeded {
            payment_ref: format!("pi_{funding_id}"),
            charge_ref: format!("ch_{funding_id}"),
            captured: minor(captured),
            currency: Currency::USD,
            collected_at,
            settled: None,
        };
        self.system(Intent::Fact(Command::Funding(funding_id, succeeded)))
    }

    pub fn fail(&mut self, funding_id: FundingId) -> Result<Vec<String>, Refusal> {
        let failed = FundingCommand::RecordFailed { code: "card_declined".to_owned() };
        self.system(Intent::Fact(Command::Funding(funding_id, failed)))
    }

    pub fn pay(&mut self, number: u128, amount: i64) -> Result<Vec<String>, Refusal> {
        let (funding_id, requested) = self.request_funding(number, amount);
        requested?;
        self.succeed(funding_id, amount)
    }

    /// Somebody looks after the contract at this instant.
    pub fn wake_at(&mut self, instant: Timestamp) {
        self.now = instant;
        self.system(Intent::Wake(Scope::Contract(self.contract))).unwrap();
    }

    pub fn wake_after_days(&mut self, days: i64) {
        self.wake_at(self.now + TimeDelta::days(days));
    }

    /// Carries an intent out as the engine would. Gives the types of its events; none when nothing changes.
    fn run(&mut self, actor: Actor, intent: Intent, if_match: Option<u64>) -> Result<Vec<String>, Refusal> {
        // Ids of events follow from those of commands: a mere look must not shift them.
        if !matches!(intent, Intent::Wake(_)) {
            self.commands += 1;
        }
        let work = UnitOfWork {
            intent,
            actor,
            command_id: uuid(1_000_000 + self.commands),
            clock: self.now,
            if_match,
            idempotency_key: None,
            traceparent: None,
        };
        let mut loaded = Loaded::new();
        loop {
            match work.step(&loaded) {
                Step::Needs(streams) => {
                    let events: Vec<_> =
                        self.log.iter().filter(|event| streams.contains(&event.stream)).cloned().collect();
                    loaded.absorb(&streams, &events).unwrap();
                }
                Step::Timer(decision) => {
                    self.append(decision.append);
                    loaded = Loaded::new();
                }
                Step::Decided(decision) => return Ok(self.append(decision.append)),
                Step::Unchanged => return Ok(Vec::new()),
                Step::Refused(refusal) => return Err(refusal),
            }
        }
    }

    /// Every event that is written is read again as the same, and is one of the list.
    fn append(&mut self, append: Append) -> Vec<String> {
        for event in &append.events {
            let stream = append.streams[event.stream].stream.clone();
            let read =
                DomainEvent::from_json(&stream.aggregate_type, &event.event_type, event.event_version, &event.payload)
                    .unwrap();
            assert_eq!(read.event_type(), event.event_type);
            assert_eq!(read.to_json().unwrap(), event.payload);
            assert!(EVENT_TYPES.iter().any(|known| known.name == event.event_type), "{}", event.event_type);
            let sequence = self.log.iter().filter(|known| known.stream == stream).count() as u64 + 1;
            self.log.push(StreamEvent {
                stream,
                sequence,
                event_type: event.event_type.to_string(),
                event_version: event.event_version,
                payload: event.payload.clone(),
                occurred_at: event.metadata.occurred_at,
                by_somebody: event.metadata.actor.is_somebody(),
            });
        }
        let types = append.events.iter().map(|event| event.event_type.to_string()).collect();
        self.appends.push(append);
        types
    }

    pub fn state_of(&self, stream: &StreamId) -> AggregateState {
        let mut state = AggregateState::initial(&stream.aggregate_type).unwrap();
        for event in self.log.iter().filter(|event| event.stream == *stream) {
            state.evolve(
                &DomainEvent::from_json(&stream.aggregate_type, &event.event_type, event.event_version, &event.payload)
                    .unwrap(),
            );
        }
        // A document of a state is read again as the same.
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(AggregateState::from_json(&stream.aggregate_type, &text).unwrap(), state);
        state
    }

    pub fn contract(&self) -> Contract {
        match self.state_of(&contract::stream(self.contract)) {
            AggregateState::Contract(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub fn contract_state(&self) -> &'static str {
        domain::rules::Rules::state_name(&self.contract())
    }

    pub fn milestone(&self, number: u128) -> Milestone {
        match self.state_of(&milestone::stream(m(number))) {
            AggregateState::Milestone(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub fn milestone_state(&self, number: u128) -> &'static str {
        domain::rules::Rules::state_name(&self.milestone(number))
    }

    pub fn held(&self, number: u128) -> i64 {
        self.milestone(number).progress().map_or(0, |progress| progress.held.get())
    }

    /// Version of the milestone's stream.
    pub fn version(&self, number: u128) -> u64 {
        let stream = milestone::stream(m(number));
        self.log.iter().filter(|event| event.stream == stream).count() as u64
    }

    /// When events of this type occurred.
    pub fn times_of(&self, event_type: &str) -> Vec<Timestamp> {
        self.log.iter().filter(|event| event.event_type == event_type).map(|event| event.occurred_at).collect()
    }

    /// What the last event of this type says.
    pub fn last(&self, event_type: &str) -> serde_json::Value {
        let event = self.log.iter().rev().find(|event| event.event_type == event_type);
        serde_json::from_str(&event.unwrap_or_else(|| panic!("no {event_type}")).payload).unwrap()
    }

    pub fn count(&self, event_type: &str) -> usize {
        self.times_of(event_type).len()
    }
}

/// What the rules of a contract are told of a milestone with this much held and nothing going on.
pub fn part(number: u128, held: i64) -> Part {
    Part {
        milestone_id: m(number),
        funded: minor(held),
        released: minor(0),
        refunded: minor(0),
        held: minor(held),
        refundable: minor(held),
        payment_under_way: false,
        open_question: None,
    }
}

pub fn parts(milestones: Vec<Part>) -> Parts {
    Parts { milestones, last_activity_at: None }
}
