//! The whole engine without I/O: a log that is a list, a clock that is a number.

use std::collections::BTreeMap;

use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::contract::MilestonePlan;
use domain::event::DomainEvent;
use domain::funding::FundingCommand;
use domain::id::FundingId;
use domain::intent::Intent;
use domain::log::{Append, StreamEvent, StreamId};
use domain::party::PayoutAccount;
use domain::policy::{FeeSchedule, Policy};
use domain::process::{Order, orders};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::timer::Scope;
use domain::unit_of_work::{Loaded, Step, UnitOfWork};
use ledger::{Currency, JournalEntry, TrialBalance};

use super::{BEGIN, client, contract, f, m, minor, payee, uuid};

/// A log and its clock.
pub struct World {
    pub log: Vec<StreamEvent>,
    pub appends: Vec<Append>,
    pub now: Timestamp,
    pub orders: Vec<Order>,
    pub currency: Currency,
    commands: u128,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            log: Vec::new(),
            appends: Vec::new(),
            now: BEGIN.parse().unwrap(),
            orders: Vec::new(),
            currency: Currency::USD,
            commands: 0,
        };
        world.system(Intent::RegisterParty { party_id: payee() }).unwrap();
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() };
        world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status: None }).unwrap();
        world
    }

    /// Carries an intent out as the engine would. Gives the types of its events; none when nothing changes.
    pub fn perform(&mut self, actor: Actor, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.commands += 1;
        let work = UnitOfWork {
            intent,
            actor,
            command_id: uuid(1_000_000 + self.commands),
            clock: self.now,
            if_match: None,
            idempotency_key: None,
            traceparent: None,
        };
        let mut loaded = Loaded::new();
        loop {
            match work.step(&loaded) {
                Step::Needs(streams) => {
                    let known = self.log.iter().filter(|event| streams.contains(&event.stream));
                    let events: Vec<_> = known.cloned().collect();
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

    fn append(&mut self, append: Append) -> Vec<String> {
        for event in &append.events {
            let stream = append.streams[event.stream].stream.clone();
            let sequence = self.log.iter().filter(|known| known.stream == stream).count() as u64 + 1;
            let kind = &stream.aggregate_type;
            let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload).unwrap();
            assert_eq!(read.to_json().unwrap(), event.payload, "what is written is read again");
            let listed = domain::event::EVENT_TYPES.iter().find(|known| known.name == event.event_type).unwrap();
            assert!(listed.financial || event.journal.is_none(), "{} is listed as financial", event.event_type);
            self.orders.extend(orders(event.metadata.event_id, &read));
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

    pub fn by_client(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Client(client()), intent)
    }

    pub fn by_payee(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Payee(payee()), intent)
    }

    pub fn system(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::System(SystemPart::Psp), intent)
    }

    /// What the provider says is so.
    pub fn fact(&mut self, command: Command) -> Result<Vec<String>, Refusal> {
        self.system(Intent::Fact(command))
    }

    /// Lets the timers of the contract fire that are due.
    pub fn wake(&mut self) {
        self.system(Intent::Wake(Scope::Contract(contract()))).unwrap();
    }

    /// An accepted contract with these milestones, M1 first.
    pub fn accepted(self, amounts: &[i64], fee_schedule: FeeSchedule, policy: Policy) -> Self {
        let plans = amounts.iter().zip(1..).map(|(amount, number)| Self::plan(number, *amount)).collect();
        self.agreed(plans, fee_schedule, policy)
    }

    /// A milestone as it is agreed, without a date.
    pub fn plan(number: u128, amount: i64) -> MilestonePlan {
        MilestonePlan {
            milestone_id: m(number),
            amount: minor(amount),
            due_at: None,
            review_days: None,
            reference: None,
        }
    }

    /// An accepted contract with these milestones.
    pub fn agreed(mut self, plans: Vec<MilestonePlan>, fee_schedule: FeeSchedule, policy: Policy) -> Self {
        let draft = Intent::DraftContract {
            contract_id: contract(),
            client_id: client(),
            payee_id: payee(),
            currency: self.currency,
            milestones: plans,
            reference: None,
        };
        self.by_client(draft).unwrap();
        self.by_client(Intent::OfferContract { contract_id: contract(), fee_schedule, policy }).unwrap();
        self.by_payee(Intent::AcceptContract { contract_id: contract() }).unwrap();
        self
    }

    /// F0, with as many milestones as amounts.
    pub fn f0(amounts: &[i64]) -> Self {
        let mut world = Self::new().accepted(amounts, FeeSchedule::two_sided(), Policy::default());
        for (amount, number) in amounts.iter().zip(1..) {
            world.fund(number, &[(number, *amount)]).unwrap();
            world.succeed(f(number)).unwrap();
        }
        world
    }

    pub fn fund(&mut self, funding: u128, allocations: &[(u128, i64)]) -> Result<Vec<String>, Refusal> {
        let currency = self.currency;
        self.by_client(Intent::FundMilestones {
            contract_id: contract(),
            funding_id: f(funding),
            allocations: allocations.iter().map(|(id, amount)| (m(*id), minor(*amount))).collect(),
            currency,
            payment_method: "pm_card_visa".to_owned(),
        })
    }

    /// The provider has collected what was asked for.
    pub fn succeed(&mut self, funding: FundingId) -> Result<Vec<String>, Refusal> {
        let AggregateState::Funding(state) = self.state(&domain::funding::stream(funding)) else { panic!() };
        let charge = state.order().unwrap().charge.get();
        self.collect(funding, charge)
    }

    pub fn collect(&mut self, funding: FundingId, captured: i64) -> Result<Vec<String>, Refusal> {
        let succeeded = FundingCommand::RecordSucceeded {
            payment_ref: format!("pi_{funding}"),
            charge_ref: format!("ch_{funding}"),
            captured: minor(captured),
            currency: self.currency,
            collected_at: self.now,
            settled: None,
        };
        self.fact(Command::Funding(funding, succeeded))
    }

    pub fn approve(&mut self, milestone: u128) -> Result<Vec<String>, Refusal> {
        self.by_client(Intent::ApproveMilestone { milestone_id: m(milestone), amount: None, currency: None })
    }

    /// The state of a stream, folded from the log.
    pub fn state(&self, stream: &StreamId) -> AggregateState {
        let mut state = AggregateState::initial(&stream.aggregate_type).unwrap();
        for event in self.log.iter().filter(|event| event.stream == *stream) {
            let (kind, version) = (&stream.aggregate_type, event.event_version);
            state.evolve(&DomainEvent::from_json(kind, &event.event_type, version, &event.payload).unwrap());
        }
        state
    }

    /// The books, by account: debits positive.
    pub fn balance(&self) -> BTreeMap<&'static str, i128> {
        let mut balance = TrialBalance::new();
        for entry in self.appends.iter().flat_map(|append| &append.events).filter_map(|event| event.journal.as_ref()) {
            balance.add(entry);
        }
        assert!(balance.is_balanced());
        let lines = balance.iter().filter(|(_, _, totals)| totals.net() != 0);
        lines.map(|(account, _, totals)| (account.code(), totals.net())).collect()
    }

    /// The entry of the last event of that type.
    pub fn entry(&self, event_type: &str) -> JournalEntry {
        let events = self.appends.iter().flat_map(|append| &append.events);
        events.rev().find(|event| event.event_type == event_type).unwrap().journal.clone().unwrap()
    }

    /// When the events of that type happened.
    pub fn times_of(&self, event_type: &str) -> Vec<Timestamp> {
        self.log.iter().filter(|event| event.event_type == event_type).map(|event| event.occurred_at).collect()
    }
}
