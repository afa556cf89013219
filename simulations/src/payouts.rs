//! Very many payouts at once at a provider that loses answers and forgets keys.
//!
//! The rules are those of the engine: the unit of work, what is ordered because of an event, what becomes of an order after
//! an answer ([`domain::process::settlement`]), whose turn it is on a lane. Here is what the worker and its table do beside.
//!
//! # Invariants
//! - A seed is a run. What happens at one instant happens in the order of the log.
//! - An order whose outcome is unknown is sent again under its key, or looked for; [`bank`] keeps watch over that.
//!
//! # What is deliberately absent
//! Webhooks: every outcome is found by sending again, by looking for it or by reading it. Payouts that fail at the bank.

mod bank;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use adapters::memory::MemoryStore;
use chrono::{DateTime, TimeDelta, Utc};
use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::authentication::AuthContext;
use domain::event::DomainEvent;
use domain::id::{ContractId, EventId, PartyId, PayoutId, ReleaseId};
use domain::intent::Intent;
use domain::log::{Append, Expected, Metadata, NewEvent, Position, Receipt, StreamId, StreamWrite, Verdict};
use domain::party::PayoutAccount;
use domain::payee::{self, PayeeAccountId, PayeeEvent};
use domain::payout::{self, Payout};
use domain::ports::history::Found;
use domain::process::{self, Next, Order, Settlement};
use domain::timer::Scope;
use domain::unit_of_work::{Decision, Loaded, LoadedStream, Step, UnitOfWork};
use ledger::{Currency, Minor};
use uuid::Uuid;

pub use bank::Faults;

use crate::chance::Chance;
use crate::failure::Violation;
use bank::{Bank, Told};

/// Payouts of one payee.
const OF_ONE: usize = 10;

/// Each has a balance and a lane of its own at the provider.
const CURRENCIES: [Currency; 3] = [Currency::USD, Currency::EUR, Currency::GBP];

/// Steps of one decision that would mean that it does not come to an end.
const MAX_STEPS: u32 = 100;

/// Tries of one order that would mean that it is never settled.
const MAX_TRIES: u32 = 1_000;

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payouts {
    /// Payouts that were asked for, each of which is paid.
    pub paid: usize,
    /// Calls that moved money, or would have.
    pub calls: u64,
    /// Of those, how many did what was asked and were not answered.
    pub timed_out: u64,
    /// Of those, how many were lost on either way, with the key forgotten before the next try.
    pub forgotten: u64,
    /// Orders that were looked for: found.
    pub found: u64,
    /// Orders that were looked for: not there, and sent.
    pub absent: u64,
    /// Refusals for lack of money, each followed by a new key.
    pub refused: u64,
    /// Events in the log.
    pub events: u64,
}

/// An order in the outbox.
#[derive(Debug)]
struct Row {
    order: Order,
    lane: Option<String>,
    attempt: u32,
    failures: u32,
    tries: u32,
    /// When it was sent first under its key, while nobody knows what became of it.
    sent_at: Option<DateTime<Utc>>,
}

type Key = (Position, Uuid);

struct Run {
    store: MemoryStore,
    chance: Chance,
    now: DateTime<Utc>,
    bank: Bank,
    streams: BTreeMap<StreamId, Arc<LoadedStream>>,
    outbox: BTreeMap<Key, Row>,
    lanes: BTreeMap<String, VecDeque<Key>>,
    /// Orders whose turn it is, by when they are due.
    due: BTreeSet<(DateTime<Utc>, Key)>,
    result: Payouts,
}

/// Makes so many payouts, and judges the whole.
///
/// # Errors
/// The [`Violation`]: a payout that was paid twice, lost, or sent while its outcome was unknown.
pub fn run(seed: u64, payouts: usize, faults: Faults) -> Result<Payouts, Violation> {
    let now = DateTime::from_timestamp(1_796_119_200, 0).unwrap_or_default();
    let mut run = Run {
        store: MemoryStore::new(now),
        chance: Chance::new(seed),
        now,
        bank: Bank::new(faults),
        streams: BTreeMap::new(),
        outbox: BTreeMap::new(),
        lanes: BTreeMap::new(),
        due: BTreeSet::new(),
        result: Payouts::default(),
    };
    let asked = run.ask_for(payouts)?;
    while let Some((at, key)) = run.due.pop_first() {
        run.now = run.now.max(at);
        run.store.set_now(run.now);
        run.work_on(key)?;
    }
    run.judge(&asked)
}

/// The simulation's own expectations.
fn odd(what: impl std::fmt::Display) -> Violation {
    Violation::new("W", what.to_string())
}

fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap_or_default()
}

impl Run {
    /// Payees with earnings, who withdraw all of them in several payouts.
    fn ask_for(&mut self, payouts: usize) -> Result<BTreeMap<PayoutId, (Minor, Currency)>, Violation> {
        let mut asked = BTreeMap::new();
        while asked.len() < payouts {
            let number = asked.len() / OF_ONE;
            let currency = CURRENCIES.get(number % CURRENCIES.len()).copied().unwrap_or(Currency::USD);
            let party_id = PartyId::from_uuid(self.chance.uuid(self.now));
            let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: format!("acct_{number}") };
            let amounts: Vec<i64> =
                (0..OF_ONE.min(payouts - asked.len())).map(|_| self.chance.between(100, 100_000)).collect();
            self.perform(Intent::RegisterParty { party_id }, Actor::System(SystemPart::Operator), None)?;
            self.perform(Intent::LinkPayoutAccount { party_id, account, status: None }, Actor::Payee(party_id), None)?;
            self.earn(PayeeAccountId { party_id, currency }, minor(amounts.iter().sum()))?;
            for amount in amounts.into_iter().map(minor) {
                let payout_id = PayoutId::from_uuid(self.chance.uuid(self.now));
                let request = Intent::RequestPayout { payout_id, payee_id: party_id, currency, amount };
                self.perform(request, Actor::Payee(party_id), None)?;
                asked.insert(payout_id, (amount, currency));
            }
        }
        Ok(asked)
    }

    /// A release, as the escrow notes it on the payee's account; its clearance is over.
    fn earn(&mut self, id: PayeeAccountId, amount: Minor) -> Result<(), Violation> {
        let credited = DomainEvent::Payee(PayeeEvent::EarningsCredited {
            payee_id: id.party_id,
            release_id: ReleaseId::from_uuid(self.chance.uuid(self.now)),
            source_event_id: EventId::from_uuid(self.chance.uuid(self.now)),
            contract_id: ContractId::from_uuid(self.chance.uuid(self.now)),
            amount,
            currency: id.currency,
            clears_at: self.now,
        });
        let command_id = self.chance.uuid(self.now);
        let stream = payee::stream(id);
        let append = Append {
            command_id,
            streams: vec![StreamWrite { stream: stream.clone(), expected: Expected::Any, scope: None }],
            reads: Vec::new(),
            events: vec![NewEvent {
                stream: 0,
                event_type: credited.event_type().into(),
                event_version: credited.version(),
                payload: credited.to_json().map_err(odd)?,
                metadata: Metadata {
                    event_id: EventId::from_uuid(self.chance.uuid(self.now)),
                    occurred_at: self.now,
                    actor: Actor::System(SystemPart::Operator),
                    command_id,
                    correlation_id: stream.to_string(),
                    causation_id: None,
                    idempotency_key: None,
                    policy_ref: None,
                    traceparent: None,
                    auth: AuthContext::default(),
                    more: BTreeMap::new(),
                },
                journal: None,
            }],
            answer: None,
        };
        self.store.append_now(&append).map_err(odd)?;
        self.bank.fund(id.currency, amount.get());
        self.perform(Intent::Wake(Scope::Stream(stream)), Actor::System(SystemPart::Timer), None)
    }

    /// Carries out a request as a server does; what it orders from the provider lies in the outbox then.
    fn perform(&mut self, intent: Intent, actor: Actor, command_id: Option<Uuid>) -> Result<(), Violation> {
        let command_id = command_id.unwrap_or_else(|| self.chance.uuid(self.now));
        let clock = self.now;
        let work =
            UnitOfWork { intent, actor, command_id, clock, if_match: None, idempotency_key: None, traceparent: None };
        let mut loaded = Loaded::new();
        for _ in 0..MAX_STEPS {
            let (decision, last) = match work.step(&loaded) {
                Step::Needs(streams) => {
                    self.load(&mut loaded, &streams)?;
                    continue;
                }
                Step::Timer(decision) => (decision, false),
                Step::Decided(decision) => (decision, true),
                Step::Unchanged => return Ok(()),
                Step::Refused(refusal) => return Err(odd(format!("{refusal}: {:?}", work.intent))),
            };
            match self.store.append_now(&decision.append).map_err(odd)? {
                Verdict::Accepted(receipt) => self.learn(&decision, &receipt),
                Verdict::Replayed(_) => return Ok(()),
                Verdict::Conflict => return Err(odd("a conflict, though there is only one server")),
            }
            if last {
                return Ok(());
            }
            loaded = Loaded::new();
        }
        Err(odd(format!("{:?} does not come to an end", work.intent)))
    }

    fn load(&mut self, loaded: &mut Loaded, streams: &[StreamId]) -> Result<(), Violation> {
        let mut wanted = Vec::new();
        for stream in streams {
            let known = self.streams.get(stream);
            wanted.push((stream.clone(), known.map_or(0, |known| known.version)));
            if let Some(known) = known {
                loaded.insert(stream.clone(), Arc::clone(known));
            }
        }
        let events = self.store.load_now(&wanted).map_err(odd)?;
        loaded.absorb(streams, &events).map_err(odd)
    }

    /// Remembers the streams, and puts what is ordered into the outbox.
    fn learn(&mut self, decision: &Decision, receipt: &Receipt) {
        for (stream, part) in decision.after.iter() {
            self.streams.insert(stream.clone(), Arc::clone(part));
        }
        for (write, version) in decision.append.streams.iter().zip(&receipt.versions) {
            if decision.version(&write.stream) != Some(*version) {
                self.streams.remove(&write.stream);
            }
        }
        for ((position, (_, event)), new) in
            (receipt.first_position..).zip(&decision.events).zip(&decision.append.events)
        {
            for order in process::orders(new.metadata.event_id, event) {
                let (key, lane) = ((position, order.order_id), process::lane(&order.what));
                let due = order.due_at(new.metadata.occurred_at);
                let its_turn = lane.as_ref().is_none_or(|lane| {
                    let waiting = self.lanes.entry(lane.clone()).or_default();
                    waiting.push_back(key);
                    waiting.len() == 1
                });
                if its_turn {
                    self.due.insert((due, key));
                }
                let row = Row { order, lane, attempt: 1, failures: 0, tries: 0, sent_at: None };
                self.outbox.insert(key, row);
            }
        }
        self.result.events = self.result.events.saturating_add(decision.events.len() as u64);
    }

    /// Sends an order or looks for it, and does what the rules say of the answer.
    fn work_on(&mut self, key: Key) -> Result<(), Violation> {
        let Some(row) = self.outbox.get_mut(&key) else { return Err(odd("an order that is not there")) };
        row.tries = row.tries.saturating_add(1);
        if row.tries > MAX_TRIES {
            return Err(odd(format!("{:?} is never settled", row.order.what)));
        }
        let what = row.order.what.clone();
        let unknown_for = row.sent_at.and_then(|sent_at| (self.now - sent_at).to_std().ok());
        let (settlement, waits) = if process::must_be_looked_for(&what, unknown_for) {
            let found = self.bank.find(&what, self.now);
            match &found {
                Found::Absent => self.result.absent = self.result.absent.saturating_add(1),
                _ => self.result.found = self.result.found.saturating_add(1),
            }
            (process::searched(&Ok(found)), None)
        } else {
            // Noted before it is sent.
            if what.moves_money() {
                row.sent_at = row.sent_at.or(Some(self.now));
            }
            let name = format!("sim:{}:{}:{}", what.aggregate_id(), what.action(), row.attempt);
            let failures = row.failures;
            let Told { told, waits } =
                self.bank.carry_out(&what, &name, self.now, &mut self.chance, &mut self.result)?;
            (process::settle(&what, &told, failures), waits)
        };
        self.carry_on(key, settlement, waits)
    }

    fn carry_on(&mut self, key: Key, settlement: Settlement, waits: Option<TimeDelta>) -> Result<(), Violation> {
        for fact in &settlement.facts {
            let actor = Actor::System(SystemPart::Psp);
            self.perform(Intent::Fact(fact.command.clone()), actor, Some(fact.command_id))?;
        }
        let Some(row) = self.outbox.get_mut(&key) else { return Err(odd("an order that is not there")) };
        row.failures = row.failures.saturating_add(1);
        // As the server does: 1 s, doubling up to a minute; and `waits` where nobody worked for longer.
        let growing = TimeDelta::seconds(1_i64.checked_shl(row.failures.min(6)).unwrap_or(60).min(60));
        let pause = |asked: Option<Duration>| waits.or_else(|| TimeDelta::from_std(asked?).ok()).unwrap_or(growing);
        let again = match settlement.next {
            Next::Done => {
                if let Some(lane) = row.lane.take() {
                    self.next_on(&lane, key)?;
                }
                self.outbox.remove(&key);
                return Ok(());
            }
            Next::NotFinal(after) => after.unwrap_or(TimeDelta::seconds(2)),
            Next::SameKey { after, .. } => pause(after),
            Next::NewKey { .. } => {
                row.attempt = row.attempt.saturating_add(1);
                row.sent_at = None;
                growing
            }
            Next::Fresh => {
                row.sent_at = None;
                TimeDelta::zero()
            }
            Next::Blocked { why } => return Err(odd(format!("{:?} waits for an operator: {why}", row.order.what))),
        };
        self.due.insert((self.now + again, key));
        Ok(())
    }

    /// Of a lane only the oldest order is handed out.
    fn next_on(&mut self, lane: &str, done: Key) -> Result<(), Violation> {
        let waiting = self.lanes.entry(lane.to_owned()).or_default();
        if waiting.pop_front() != Some(done) {
            return Err(odd(format!("{lane}: an order was done before an older one")));
        }
        if let Some(next) = waiting.front() {
            self.due.insert((self.now, *next));
        }
        Ok(())
    }

    /// Each payout was paid, once, and as much as was asked for.
    fn judge(mut self, asked: &BTreeMap<PayoutId, (Minor, Currency)>) -> Result<Payouts, Violation> {
        if !self.outbox.is_empty() {
            return Err(odd(format!("{} orders are left", self.outbox.len())));
        }
        for (payout_id, (amount, currency)) in asked {
            let stream = payout::stream(*payout_id);
            let events = self.store.load_now(&[(stream.clone(), 0)]).map_err(odd)?;
            let mut loaded = Loaded::new();
            loaded.absorb(std::slice::from_ref(&stream), &events).map_err(odd)?;
            let state = loaded.get(&stream).map(|part| &part.state);
            match state {
                Some(AggregateState::Payout(state)) if matches!(state.as_ref(), Payout::Paid { .. }) => {}
                other => return Err(Violation::new("I8", format!("{payout_id} is not paid: {other:?}"))),
            }
            self.bank.paid_once(*payout_id, amount.get(), *currency)?;
            self.result.paid = self.result.paid.saturating_add(1);
        }
        self.bank.is_empty_but_for(asked.len())?;
        Ok(self.result)
    }
}
