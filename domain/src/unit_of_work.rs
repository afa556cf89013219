//! The unit of work: from a request and loaded streams to one append, without any I/O.
//!
//! ```text
//! loop {
//!     match work.step(&loaded) {
//!         Needs(streams)   => load them, add them to `loaded`
//!         Timer(decision)  => append it, add what it did to `loaded`
//!         Decided(decision)=> append it: done
//!         Unchanged(_)     => nothing to append: a fact that was known already
//!         Refused(refusal) => a rule said no
//!     }
//! }
//! ```
//!
//! # Invariants
//! - `step` is a function of what is loaded: asked again with more, or newer, it decides again from the start.
//! - Every stream that a decision looked at is in the append, as written or as read: no write skew.
//! - Where the driver allows it, a stream that a command is to begin is taken to be new without looking
//!   ([`Loaded::assuming_new`]): the append expects it to have no event, and conflicts if it has.
//! - Timers of the scope that are due are handed out before the request is judged, one append each, in their order, also
//!   when the request is then refused; so are those of a payee account that the request, or a timer, turns out to touch.
//! - All events of a decision, its reactions included, are in one append.
//! - A command that others have approved is carried out in the append of the last approval; where its rules refuse it, that
//!   append says so and has nothing of it.
//!
//! # What is deliberately absent
//! Retrying conflicts, storing answers, caching: whoever drives it does that.

mod approvals;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::actor::{Actor, SystemPart};
use crate::aggregate::AggregateState;
use crate::authentication::AuthContext;
use crate::chargeback::{self, ChargebackCommand};
use crate::command::Command;
use crate::contract::{self, ContractCommand, Parts};
use crate::escrow::{self, EscrowCommand};
use crate::event::{DomainEvent, EventError};
use crate::funding::{self, FundingCommand};
use crate::id::{ContractId, EventId};
use crate::intent::Intent;
use crate::log::{Append, Expected, Metadata, NewEvent, StreamEvent, StreamId, StreamWrite};
use crate::milestone::{self, MilestoneCommand};
use crate::pair;
use crate::party;
use crate::payee::{self, PayeeCommand};
use crate::payout::{self, PayoutCommand};
use crate::policy::policy_ref;
use crate::reaction::{MAX_DEPTH, Reaction, reactions};
use crate::refund::{self, RefundCommand};
use crate::refusal::Refusal;
use crate::rules::Context;
use crate::time::Timestamp;
use crate::timer::{Scope, Timer};

/// A stream as far as it was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedStream {
    /// State after the last event loaded.
    pub state: AggregateState,
    /// Sequence of the last event loaded; 0 when there is none.
    pub version: u64,
    /// Sequence of the last event that somebody caused, and not the engine itself; what `If-Match` is judged by.
    pub version_by_somebody: u64,
    /// Business time of the newest event; `None` when there is none.
    pub newest: Option<Timestamp>,
    /// Business time of the newest event that somebody caused; `None` when there is none.
    pub newest_by_somebody: Option<Timestamp>,
}

impl LoadedStream {
    /// A stream without events; `None` when its kind is not one of ours.
    pub fn empty(stream: &StreamId) -> Option<Self> {
        AggregateState::initial(&stream.aggregate_type).map(|state| Self {
            state,
            version: 0,
            version_by_somebody: 0,
            newest: None,
            newest_by_somebody: None,
        })
    }

    fn remember(&mut self, event: &DomainEvent, occurred_at: Timestamp, by_somebody: bool) {
        self.state.evolve(event);
        self.version = self.version.saturating_add(1);
        if by_somebody {
            self.version_by_somebody = self.version;
            self.newest_by_somebody = self.newest_by_somebody.max(Some(occurred_at));
        }
        self.newest = self.newest.max(Some(occurred_at));
    }
}

/// The streams that are loaded. Cheap to clone: states are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    streams: BTreeMap<StreamId, Arc<LoadedStream>>,
    assume_new: bool,
}

impl Loaded {
    /// Nothing loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing loaded, and streams that are to begin are not asked for: right nearly always, since their ids are fresh,
    /// and a conflict in the commit otherwise. What is refused on this footing has to be judged again without it.
    pub fn assuming_new() -> Self {
        Self { streams: BTreeMap::new(), assume_new: true }
    }

    /// Whether streams that are to begin are not asked for.
    pub fn assumes_new(&self) -> bool {
        self.assume_new
    }

    /// The stream, if it is loaded.
    pub fn get(&self, stream: &StreamId) -> Option<&Arc<LoadedStream>> {
        self.streams.get(stream)
    }

    /// Puts a stream in, as it is now.
    pub fn insert(&mut self, stream: StreamId, loaded: Arc<LoadedStream>) {
        self.streams.insert(stream, loaded);
    }

    /// Forgets a stream, so that it is asked for again.
    pub fn forget(&mut self, stream: &StreamId) {
        self.streams.remove(stream);
    }

    /// What is loaded, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&StreamId, &Arc<LoadedStream>)> {
        self.streams.iter()
    }

    /// Folds events read from the log into what is loaded, and marks `asked` as loaded where there was no event.
    ///
    /// Events that are known already, and streams of which an earlier part is missing, are skipped.
    ///
    /// # Errors
    /// [`EventError`] when an event cannot be read.
    pub fn absorb(&mut self, asked: &[StreamId], events: &[StreamEvent]) -> Result<(), EventError> {
        for stream in asked {
            if !self.streams.contains_key(stream) {
                let empty = LoadedStream::empty(stream)
                    .ok_or_else(|| EventError::UnknownAggregate(stream.aggregate_type.to_string()))?;
                self.streams.insert(stream.clone(), Arc::new(empty));
            }
        }
        for event in events {
            if !self.streams.contains_key(&event.stream) {
                let Some(empty) = LoadedStream::empty(&event.stream) else {
                    continue;
                };
                self.streams.insert(event.stream.clone(), Arc::new(empty));
            }
            let Some(loaded) = self.streams.get_mut(&event.stream) else {
                continue;
            };
            if event.sequence != loaded.version.saturating_add(1) {
                continue;
            }
            let domain_event = DomainEvent::from_json(
                &event.stream.aggregate_type,
                &event.event_type,
                event.event_version,
                &event.payload,
            )?;
            Arc::make_mut(loaded).remember(&domain_event, event.occurred_at, event.by_somebody);
        }
        Ok(())
    }
}

/// One request, with all that its decision depends on beside the streams.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitOfWork {
    /// What is wanted.
    pub intent: Intent,
    /// Who wants it.
    pub actor: Actor,
    /// Identity of the command: the same one is carried out once.
    pub command_id: Uuid,
    /// The tenant's clock when the request came.
    pub clock: Timestamp,
    /// The version that the caller knows of the stream that the request names.
    pub if_match: Option<u64>,
    /// The caller's `Idempotency-Key`, kept in the events.
    pub idempotency_key: Option<String>,
    /// W3C trace context of the request, kept in the events.
    pub traceparent: Option<String>,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// These streams have to be loaded.
    Needs(Vec<StreamId>),
    /// A timer was due: append this first.
    Timer(Box<Decision>),
    /// Append this, and the request is fulfilled.
    Decided(Box<Decision>),
    /// The request changes nothing: what it tells is known. The loaded streams it looked at are named, since the answer
    /// holds only while they are fresh.
    Unchanged,
    /// A rule said no.
    Refused(Refusal),
}

/// Everything that one decision does.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to be appended. The caller may put the answer in.
    pub append: Append,
    /// The events, with their streams, in the same order as in the append.
    pub events: Vec<(StreamId, DomainEvent)>,
    /// Streams written or read, as they are after the decision. Streams that were only noted to are not among them.
    pub after: Loaded,
}

impl Decision {
    /// State of a stream after the decision, if the decision looked at it.
    pub fn state(&self, stream: &StreamId) -> Option<&AggregateState> {
        self.after.get(stream).map(|loaded| &loaded.state)
    }

    /// Version of a stream after the decision, if the decision looked at it.
    pub fn version(&self, stream: &StreamId) -> Option<u64> {
        self.after.get(stream).map(|loaded| loaded.version)
    }
}

impl UnitOfWork {
    /// Goes as far as `loaded` allows.
    pub fn step(&self, loaded: &Loaded) -> Step {
        match self.try_step(loaded) {
            Ok(step) => step,
            Err(Stop::Needs(streams)) => Step::Needs(streams),
            Err(Stop::Refused(refusal)) => Step::Refused(refusal),
        }
    }

    fn try_step(&self, loaded: &Loaded) -> Result<Step, Stop> {
        let scope = self.scope_streams(loaded)?;
        if let Some(timer) = self.due_timer(loaded, &scope) {
            return self.fire(&timer, loaded, &scope).map(|decision| Step::Timer(Box::new(decision)));
        }
        self.check_version(loaded)?;
        if let Intent::Approvals(wanted) = &self.intent {
            return self.judge_approval(wanted, loaded, &scope);
        }
        let mut attempt = Attempt::new(loaded, self.now(loaded, &scope), self.actor, self.command_id, self);
        for stream in &scope {
            attempt.look(stream)?;
        }
        let judged = self.judge(&mut attempt);
        if let Err(Stop::Needs(streams)) = judged {
            return Err(Stop::Needs(streams));
        }
        if let Some(timer) = attempt.overdue(&scope) {
            return self.fire_elsewhere(&timer, loaded).map(|decision| Step::Timer(Box::new(decision)));
        }
        judged?;
        attempt.step()
    }

    fn judge(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        for command in self.intent.commands(self.actor, &mut |stream| attempt.look(stream).cloned())? {
            attempt.perform(&command)?;
        }
        attempt.run_reactions()
    }

    /// The decision of a timer outside of the scope that a command touches: it has a scope of its own.
    fn fire_elsewhere(&self, timer: &Timer, loaded: &Loaded) -> Result<Decision, Stop> {
        self.fire(timer, loaded, std::slice::from_ref(&timer.stream))
    }

    /// The streams whose timers are judged with this request, all loaded.
    fn scope_streams(&self, loaded: &Loaded) -> Result<Vec<StreamId>, Stop> {
        match &self.intent {
            Intent::Approvals(wanted) => Self::approval_scope(wanted, loaded),
            intent => Self::scope_of_intent(intent, loaded),
        }
    }

    fn scope_of_intent(intent: &Intent, loaded: &Loaded) -> Result<Vec<StreamId>, Stop> {
        let scope = if let Some(scope) = intent.scope() {
            scope
        } else {
            // The request names a part of a contract: the part tells which contract.
            let stream = intent.part();
            let part = loaded.get(&stream).ok_or_else(|| Stop::Needs(vec![stream.clone()]))?;
            let contract_id = match &part.state {
                AggregateState::Chargeback(state) => {
                    state.charged().and_then(|charged| charged.paid_into.contract_id())
                }
                AggregateState::Milestone(state) => state.plan().map(|plan| plan.contract_id),
                AggregateState::Funding(state) => state.order().and_then(|order| order.contract_id),
                _ => None,
            };
            contract_id.map_or(Scope::Stream(stream), Scope::Contract)
        };
        let Scope::Contract(contract_id) = scope else {
            let stream = scope.stream();
            return match loaded.get(&stream) {
                Some(_) => Ok(vec![stream]),
                None => Err(Stop::Needs(vec![stream])),
            };
        };
        let (root, escrow) = (contract::stream(contract_id), escrow::stream(contract_id));
        let mut streams = vec![root.clone(), escrow.clone()];
        if let Some(AggregateState::Contract(state)) = loaded.get(&root).map(|stream| &stream.state)
            && state.has_parts()
            && let Some(agreement) = state.agreement()
        {
            streams.extend(agreement.milestones.iter().map(|plan| milestone::stream(plan.milestone_id)));
        }
        // Payments that the client may still have to complete have a deadline, too.
        if let Some(AggregateState::Escrow(state)) = loaded.get(&escrow).map(|stream| &stream.state)
            && let Some(holdings) = state.holdings()
        {
            let expiring = holdings.requested.iter().filter(|(_, requested)| requested.expires);
            streams.extend(expiring.map(|(funding_id, _)| funding::stream(*funding_id)));
        }
        // A chargeback has a deadline of its own.
        let subject = intent.subject();
        if subject.aggregate_type == chargeback::TYPE {
            streams.push(subject);
        }
        if loaded.assume_new && matches!(intent, Intent::DraftContract { .. }) && loaded.get(&root).is_none() {
            return Ok(Vec::new());
        }
        let missing: Vec<_> = streams.iter().filter(|stream| loaded.get(stream).is_none()).cloned().collect();
        if missing.is_empty() { Ok(streams) } else { Err(Stop::Needs(missing)) }
    }

    /// Business time: the clock, but never before what has happened in the scope.
    fn now(&self, loaded: &Loaded, scope: &[StreamId]) -> Timestamp {
        let newest = scope.iter().filter_map(|stream| loaded.get(stream)?.newest).max();
        newest.map_or(self.clock, |newest| newest.max(self.clock))
    }

    fn due_timer(&self, loaded: &Loaded, scope: &[StreamId]) -> Option<Timer> {
        let now = self.now(loaded, scope);
        let running = scope.iter().filter_map(|stream| Some((stream, loaded.get(stream)?)));
        let frozen = scope.iter().filter_map(|stream| loaded.get(stream)).any(|part| match &part.state {
            AggregateState::Escrow(escrow) => escrow.holdings().is_some_and(|holdings| holdings.frozen_at.is_some()),
            _ => false,
        });
        let stands_still = |timer: &Timer| frozen && timer.rank.stops_when_frozen();
        let due = running
            .flat_map(|(stream, part)| part.state.timers(stream))
            .filter(|timer| timer.due_at <= now && !stands_still(timer));
        due.min_by(|a, b| a.order().cmp(&b.order()))
    }

    /// The decision of a timer that is due. A timer that is refused is disarmed by an event of its own stream.
    fn fire(&self, timer: &Timer, loaded: &Loaded, scope: &[StreamId]) -> Result<Decision, Stop> {
        let actor = Actor::System(SystemPart::Timer);
        let version = loaded.get(&timer.stream).map_or(0, |part| part.version);
        let attempt = |command: &Command| -> Result<Option<Decision>, Stop> {
            // A timer whose turn comes late fires with the instant it was due at.
            let mut attempt = Attempt::new(loaded, timer.due_at, actor, timer.command_id(version), self);
            for stream in scope {
                attempt.look(stream)?;
            }
            let judged = attempt.perform(command).and_then(|()| attempt.run_reactions());
            if let Err(Stop::Needs(streams)) = judged {
                return Err(Stop::Needs(streams));
            }
            if let Some(earlier) = attempt.overdue(scope) {
                return self.fire_elsewhere(&earlier, loaded).map(Some);
            }
            judged?;
            attempt.finish()
        };
        let reason = match attempt(&timer.command) {
            Ok(Some(decision)) if !is_left_due(timer, &decision) => return Ok(decision),
            Ok(_) => "no_effect".to_owned(),
            Err(Stop::Needs(streams)) => return Err(Stop::Needs(streams)),
            Err(Stop::Refused(refusal)) => refusal.code().to_owned(),
        };
        let key = timer.key.clone();
        let block = match timer.command {
            Command::Contract(id, _) => Command::Contract(id, ContractCommand::BlockTimer { key, reason }),
            Command::Milestone(id, _) => Command::Milestone(id, MilestoneCommand::BlockTimer { key, reason }),
            Command::Payee(id, _) => Command::Payee(id, PayeeCommand::BlockTimer { key, reason }),
            Command::Escrow(id, _) => Command::Escrow(id, EscrowCommand::BlockTimer { key, reason }),
            Command::Funding(id, _) => Command::Funding(id, FundingCommand::BlockTimer { key, reason }),
            Command::Chargeback(id, _) => Command::Chargeback(id, ChargebackCommand::BlockTimer { key, reason }),
            Command::Party(..)
            | Command::Payout(..)
            | Command::Refund(..)
            | Command::Wallet(..)
            | Command::Treasury(..)
            | Command::Pair(..)
            | Command::Subject(..) => {
                return Err(defect("a timer of an aggregate that has none"));
            }
            Command::Approval(..) => {
                return Err(defect("an approval request that cannot lapse"));
            }
        };
        let blocked = attempt(&block)?.filter(|decision| !is_left_due(timer, decision));
        blocked.ok_or_else(|| defect("a timer could not be blocked"))
    }

    fn check_version(&self, loaded: &Loaded) -> Result<(), Stop> {
        let Some(given) = self.if_match else { return Ok(()) };
        let stream = self.intent.subject();
        let part = loaded.get(&stream).ok_or_else(|| Stop::Needs(vec![stream.clone()]))?;
        // Somebody who is no party must not learn the version either: the rules say so before the version is judged.
        if given > part.version || given < part.version_by_somebody {
            self.check_standing(loaded)?;
            return Err(Stop::Refused(Refusal::VersionMismatch { current: part.version, given }));
        }
        Ok(())
    }

    /// Whether the caller may know of the thing at all: judged by the rules themselves.
    fn check_standing(&self, loaded: &Loaded) -> Result<(), Stop> {
        let mut attempt = Attempt::new(loaded, self.clock, self.actor, self.command_id, self);
        let judged = self
            .intent
            .commands(self.actor, &mut |stream| attempt.look(stream).cloned())
            .and_then(|commands| commands.into_iter().try_for_each(|command| attempt.perform(&command)));
        match judged {
            Err(Stop::Refused(
                refusal @ (Refusal::NotAParty | Refusal::NotFound { .. } | Refusal::Forbidden { .. }),
            )) => Err(Stop::Refused(refusal)),
            Err(Stop::Needs(streams)) => Err(Stop::Needs(streams)),
            Ok(()) | Err(Stop::Refused(_)) => Ok(()),
        }
    }
}

/// Whether the timer would fire again after it has fired: then nothing behind it would ever have its turn.
fn is_left_due(timer: &Timer, decision: &Decision) -> bool {
    let timers = decision.state(&timer.stream).map_or_else(Vec::new, |state| state.timers(&timer.stream));
    timers.iter().any(|left| left.key == timer.key && left.due_at <= timer.due_at)
}

/// Why a decision cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    /// Something is not loaded.
    Needs(Vec<StreamId>),
    /// A rule said no.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn defect(message: &str) -> Stop {
    Stop::Refused(Refusal::Defect(message.to_owned()))
}

/// An event decided on, before it gets its envelope.
struct Pending {
    id: EventId,
    cause: Option<EventId>,
    stream: StreamId,
    event: DomainEvent,
    depth: usize,
}

/// A stream that a decision depends on.
struct Touched {
    /// Its version before the decision.
    base: u64,
    /// As it is by now.
    part: Arc<LoadedStream>,
}

/// One run of the rules over a copy of what is loaded.
struct Attempt<'a> {
    loaded: &'a Loaded,
    /// Streams looked at.
    touched: BTreeMap<StreamId, Touched>,
    context: Context,
    command_id: Uuid,
    work: &'a UnitOfWork,
    events: Vec<Pending>,
    /// Indexes of events whose reactions are still to come.
    queue: VecDeque<usize>,
    /// What is asked when they have come to rest, with its cause.
    last: VecDeque<(Command, EventId, usize)>,
}

impl<'a> Attempt<'a> {
    fn new(loaded: &'a Loaded, now: Timestamp, actor: Actor, command_id: Uuid, work: &'a UnitOfWork) -> Self {
        Self {
            loaded,
            touched: BTreeMap::new(),
            context: Context { now, actor },
            command_id,
            work,
            events: Vec::new(),
            queue: VecDeque::new(),
            last: VecDeque::new(),
        }
    }

    /// The state of a stream; from here on the decision depends on it.
    fn look(&mut self, stream: &StreamId) -> Result<&AggregateState, Stop> {
        if !self.touched.contains_key(stream) {
            let part = self.loaded.get(stream).ok_or_else(|| Stop::Needs(vec![stream.clone()]))?;
            let (base, mut part) = (part.version, Arc::clone(part));
            // What was noted to it before it was looked at has happened, too.
            for noted in self.events.iter().filter(|pending| pending.stream == *stream) {
                let by_somebody = self.context.actor.is_somebody();
                Arc::make_mut(&mut part).remember(&noted.event, self.context.now, by_somebody);
            }
            self.touched.insert(stream.clone(), Touched { base, part });
        }
        self.touched.get(stream).map(|touched| &touched.part.state).ok_or_else(|| defect("a stream was lost"))
    }

    /// Takes the stream of a command that begins it to be new, unless it is known.
    fn assume_new(&mut self, command: &Command, stream: &StreamId) {
        if self.loaded.assume_new
            && command.begins()
            && !self.touched.contains_key(stream)
            && self.loaded.get(stream).is_none()
            && let Some(empty) = LoadedStream::empty(stream)
        {
            self.touched.insert(stream.clone(), Touched { base: 0, part: Arc::new(empty) });
        }
    }

    /// Judges a command and takes its events in.
    fn perform(&mut self, command: &Command) -> Result<(), Stop> {
        self.ask(command, None, 0)
    }

    fn ask(&mut self, command: &Command, cause: Option<EventId>, depth: usize) -> Result<(), Stop> {
        let stream = command.stream();
        let context = self.context;
        self.assume_new(command, &stream);
        let command = self.with_parts(command)?;
        let events = self.look(&stream)?.decide(&command, &context)?;
        for event in events {
            self.take(stream.clone(), event, cause, depth)?;
        }
        Ok(())
    }

    /// The command with what the milestones of its contract say, or the standing of its party, or what its pair has
    /// billed, or since when the clocks of its contract stand still, if it asks for that.
    fn with_parts<'c>(&mut self, command: &'c Command) -> Result<Cow<'c, Command>, Stop> {
        if let Command::Payee(id, wanted) = command
            && wanted.needs_standing()
            && let AggregateState::Party(party) = self.look(&party::stream(id.party_id))?
        {
            let (standing, command) = (Box::new(party.payee_standing()), Box::new(wanted.clone()));
            return Ok(Cow::Owned(Command::Payee(*id, PayeeCommand::Under { standing, command })));
        }
        if let Command::Refund(id, wanted) = command
            && wanted.needs_standing()
            && let AggregateState::Refund(refund) = self.look(&refund::stream(*id))?
            && let Some((contract_id, funding_id)) =
                refund.order().and_then(|order| order.contract_id.zip(order.funding_id))
            && let AggregateState::Escrow(escrow) = self.look(&escrow::stream(contract_id))?
            && let Some(holdings) = escrow.holdings()
        {
            let standing = holdings.standing_of_refunds(funding_id);
            let under = RefundCommand::Under { standing, command: Box::new(wanted.clone()) };
            return Ok(Cow::Owned(Command::Refund(*id, under)));
        }
        if let Command::Payout(id, wanted) = command
            && wanted.needs_standing()
            && let AggregateState::Payout(payout) = self.look(&payout::stream(*id))?
            && let Some(payee_id) = payout.withdrawal().map(|withdrawal| withdrawal.payee_id)
            && let AggregateState::Party(party) = self.look(&party::stream(payee_id))?
        {
            let (standing, command) = (Box::new(party.payee_standing()), Box::new(wanted.clone()));
            return Ok(Cow::Owned(Command::Payout(*id, PayoutCommand::Under { standing, command })));
        }
        if let Command::Escrow(contract_id, wanted) = command
            && wanted.needs_billing()
        {
            return self.with_payments(*contract_id, wanted, command);
        }
        if let Command::Milestone(id, wanted) = command
            && wanted.turns_a_clock()
            && let AggregateState::Milestone(milestone) = self.look(&milestone::stream(*id))?
            && let Some(contract_id) = milestone.plan().map(|plan| plan.contract_id)
            && let AggregateState::Escrow(escrow) = self.look(&escrow::stream(contract_id))?
            && let Some(stopped_at) = escrow.holdings().and_then(|holdings| holdings.frozen_at)
        {
            let stopped = MilestoneCommand::ClocksStopped { stopped_at, command: Box::new(wanted.clone()) };
            return Ok(Cow::Owned(Command::Milestone(*id, stopped)));
        }
        let Command::Contract(contract_id, wanted) = command else {
            return Ok(Cow::Borrowed(command));
        };
        let mut wanted = wanted.clone();
        let Some(parts) = wanted.parts_mut() else {
            return Ok(Cow::Borrowed(command));
        };
        *parts = Parts::default();
        let root = contract::stream(*contract_id);
        if let AggregateState::Contract(state) = self.look(&root)?
            && state.has_parts()
            && let Some(agreement) = state.agreement()
        {
            let ids: Vec<_> = agreement.milestones.iter().map(|plan| plan.milestone_id).collect();
            let mut streams = vec![root, escrow::stream(*contract_id)];
            for id in ids {
                let stream = milestone::stream(id);
                if let AggregateState::Milestone(state) = self.look(&stream)? {
                    parts.milestones.extend(state.part());
                }
                streams.push(stream);
            }
            let known = streams.iter().filter_map(|stream| self.touched.get(stream)?.part.newest_by_somebody);
            parts.last_activity_at = known.max();
        }
        Ok(Cow::Owned(Command::Contract(*contract_id, wanted)))
    }

    /// A request for money with what became of payments that carry the initiation fee, where there are any, and with what
    /// its pair has billed, where its fees go by that.
    fn with_payments<'c>(
        &mut self,
        contract_id: ContractId,
        wanted: &EscrowCommand,
        command: &'c Command,
    ) -> Result<Cow<'c, Command>, Stop> {
        let AggregateState::Escrow(escrow) = self.look(&escrow::stream(contract_id))? else {
            return Ok(Cow::Borrowed(command));
        };
        let Some(holdings) = escrow.holdings() else { return Ok(Cow::Borrowed(command)) };
        let (pair, carriers) = (holdings.pair(), holdings.initiation_carriers());
        let mut changed = None;
        if matches!(wanted, EscrowCommand::RequestFunding { .. }) {
            let mut failed = Vec::new();
            for funding_id in carriers {
                if let AggregateState::Funding(funding) = self.look(&funding::stream(funding_id))?
                    && funding.has_failed()
                {
                    failed.push(funding_id);
                }
            }
            if !failed.is_empty() {
                changed = Some(EscrowCommand::AfterFailed { failed, command: Box::new(wanted.clone()) });
            }
        }
        if let Some(pair) = pair
            && let AggregateState::Pair(pair) = self.look(&pair::stream(pair))?
        {
            let command = Box::new(changed.unwrap_or_else(|| wanted.clone()));
            changed = Some(EscrowCommand::OfPair { billed: pair.billed, command });
        }
        Ok(changed.map_or(Cow::Borrowed(command), |changed| Cow::Owned(Command::Escrow(contract_id, changed))))
    }

    fn take(&mut self, stream: StreamId, event: DomainEvent, cause: Option<EventId>, depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(defect("reactions did not come to rest"));
        }
        let millis = u64::try_from(self.context.now.timestamp_millis()).unwrap_or(0);
        let id = EventId::of_command(self.command_id, self.events.len(), millis);
        if let Some(touched) = self.touched.get_mut(&stream) {
            Arc::make_mut(&mut touched.part).remember(&event, self.context.now, self.context.actor.is_somebody());
        }
        self.queue.push_back(self.events.len());
        self.events.push(Pending { id, cause, stream, event, depth });
        Ok(())
    }

    fn run_reactions(&mut self) -> Result<(), Stop> {
        loop {
            let Some(index) = self.queue.pop_front() else {
                let Some((command, cause, depth)) = self.last.pop_front() else { break };
                self.ask(&command, Some(cause), depth)?;
                continue;
            };
            let Some(pending) = self.events.get(index) else {
                continue;
            };
            let (cause, depth) = (pending.id, pending.depth.saturating_add(1));
            for reaction in reactions(pending.id, &pending.event) {
                match reaction {
                    Reaction::Ask(command) => self.ask(&command, Some(cause), depth)?,
                    Reaction::Note(stream, event) => self.take(stream, event, Some(cause), depth)?,
                    Reaction::Last(command) => self.last.push_back((command, cause, depth)),
                }
            }
        }
        Ok(())
    }

    /// The timer that is due first of the payee accounts that this touches outside of the scope. A payee has contracts with
    /// many: its account belongs to the scope of none of them.
    fn overdue(&self, scope: &[StreamId]) -> Option<Timer> {
        let accounts = self.touched.keys().filter(|stream| stream.aggregate_type == payee::TYPE);
        let elsewhere = accounts.filter(|stream| !scope.contains(stream));
        let timers = elsewhere.filter_map(|stream| Some(self.loaded.get(stream)?.state.timers(stream))).flatten();
        timers.filter(|timer| timer.due_at <= self.context.now).min_by(|a, b| a.order().cmp(&b.order()))
    }

    /// The step that all that was taken in comes to.
    fn step(self) -> Result<Step, Stop> {
        Ok(match self.finish()? {
            Some(decision) => Step::Decided(Box::new(decision)),
            None => Step::Unchanged,
        })
    }

    /// The append of all that was taken in; `None` when nothing was.
    fn finish(self) -> Result<Option<Decision>, Stop> {
        if self.events.is_empty() {
            return Ok(None);
        }
        let mut streams: Vec<StreamWrite> = Vec::new();
        let mut index_of: BTreeMap<StreamId, usize> = BTreeMap::new();
        let mut events = Vec::with_capacity(self.events.len());
        let mut told = Vec::with_capacity(self.events.len());
        let correlation_id = self.work.intent.subject().aggregate_id;
        let value_date = self.context.now.date_naive();
        let terms = self.touched.values().find_map(|touched| match &touched.part.state {
            AggregateState::Contract(contract) => contract.terms(),
            _ => None,
        });
        for pending in self.events {
            let Pending { id, cause, stream, event, .. } = pending;
            let index = *index_of.entry(stream.clone()).or_insert_with(|| {
                let expected = self.touched.get(&stream).map_or(Expected::Any, |touched| Expected::At(touched.base));
                let scope = scope_of(&stream, &event);
                streams.push(StreamWrite { stream: stream.clone(), expected, scope });
                streams.len().saturating_sub(1)
            });
            let journal = event
                .journal_entry(value_date)
                .map_err(|error| Stop::Refused(Refusal::Defect(format!("{}: {error}", event.event_type()))))?;
            let payload = event.to_json().map_err(|error| Stop::Refused(Refusal::Defect(error.to_string())))?;
            let policy_ref = terms.and_then(|terms| policy_ref(&event, terms));
            events.push(NewEvent {
                stream: index,
                event_type: event.event_type().into(),
                event_version: event.version(),
                payload,
                metadata: Metadata {
                    event_id: id,
                    occurred_at: self.context.now,
                    actor: self.context.actor,
                    command_id: self.command_id,
                    correlation_id: correlation_id.clone(),
                    causation_id: cause,
                    idempotency_key: self.work.idempotency_key.clone(),
                    policy_ref,
                    traceparent: self.work.traceparent.clone(),
                    // Whoever drives this knows how the caller showed who it is.
                    auth: AuthContext::default(),
                    more: BTreeMap::new(),
                },
                journal,
            });
            told.push((stream, event));
        }
        let written: BTreeSet<&StreamId> = index_of.keys().collect();
        let reads = self
            .touched
            .iter()
            .filter(|(stream, _)| !written.contains(stream))
            .map(|(stream, touched)| (stream.clone(), touched.base))
            .collect();
        let mut after = Loaded::new();
        for (stream, touched) in self.touched {
            after.insert(stream, touched.part);
        }
        let append = Append { command_id: self.command_id, streams, reads, events, answer: None };
        Ok(Some(Decision { append, events: told, after }))
    }
}

/// The scope that a stream is filed under: the contract's parts are loaded together.
fn scope_of(stream: &StreamId, event: &DomainEvent) -> Option<String> {
    match stream.aggregate_type.as_ref() {
        contract::TYPE | milestone::TYPE | escrow::TYPE => event.contract_id().map(|id| id.to_string()),
        _ => None,
    }
}
