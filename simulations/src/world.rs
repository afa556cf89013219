//! What there is, and how one step of it is chosen.

use std::collections::{BTreeMap, VecDeque};

use adapters::memory::MemoryStore;
use chrono::TimeDelta;
use domain::actor::Actor;
use domain::id::{ContractId, MilestoneId, PartyId};
use domain::log::{Position, RecordedEvent, StreamId};
use domain::time::Timestamp;
use domain::unit_of_work::Loaded;
use domain::view::Document;
use ledger::{Currency, Minor};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::actor::Promise;
use crate::chance::Chance;
use crate::driver::Ask;
use crate::failure::{Failure, Violation};
use crate::oracle::Oracle;
use crate::provider::Provider;
use crate::worker::Records;
use crate::{Outcome, worker};

/// Lines of the story that are kept: enough to follow a contract from its draft.
const STORY_LINES: usize = 120;

/// Why something did not come to its end.
#[derive(Debug)]
pub enum Interrupt {
    /// The process died: what was only in memory is gone.
    Died,
    /// Something that must hold does not.
    Broken(Violation),
}

impl From<Violation> for Interrupt {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

/// A contract that somebody drafted, as its parties know it.
#[derive(Debug, Clone)]
pub struct Known {
    /// The contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Who delivers.
    pub payee_id: PartyId,
    /// Its currency.
    pub currency: Currency,
    /// Its milestones.
    pub milestones: Vec<(MilestoneId, Minor)>,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    seed: u64,
    step: u64,
    pub(crate) chance: Chance,
    pub(crate) now: Timestamp,
    pub(crate) store: MemoryStore,
    pub(crate) provider: Provider,
    /// What survives a process: tables beside the log.
    pub(crate) records: Records,
    /// What a process has in memory.
    pub(crate) cache: Loaded,
    pub(crate) oracle: Oracle,
    pub(crate) parties: Vec<PartyId>,
    pub(crate) contracts: Vec<Known>,
    /// Commands whose outcome their senders do not know.
    pub(crate) unknown: Vec<Ask>,
    /// Commands that were acknowledged, with what was promised.
    pub(crate) promises: Vec<Promise>,
    /// Index into `promises`, by command id.
    pub(crate) promised: BTreeMap<Uuid, usize>,
    /// Off while the end is drained: nothing fails any more.
    pub(crate) troubled: bool,
    /// How deep what happens in between is nested.
    pub(crate) depth: u32,
    counts: BTreeMap<String, u64>,
    story: VecDeque<String>,
}

impl World {
    /// The world of a seed, before anything has happened.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        // An instant in whole milliseconds; any would do.
        let now = Timestamp::from_timestamp_millis(1_798_761_600_000_i64.saturating_add(chance.between(0, 86_400_000)))
            .unwrap_or_default();
        Self {
            seed,
            step: 0,
            chance,
            now,
            store: MemoryStore::new(now),
            provider: Provider::default(),
            records: Records::default(),
            cache: Loaded::new(),
            oracle: Oracle::default(),
            parties: Vec::new(),
            contracts: Vec::new(),
            unknown: Vec::new(),
            promises: Vec::new(),
            promised: BTreeMap::new(),
            troubled: true,
            depth: 0,
            counts: BTreeMap::new(),
            story: VecDeque::new(),
        }
    }

    /// Lives so many steps, comes to rest, and is judged.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn live(&mut self, steps: u64) -> Result<(), Violation> {
        for _ in 0..5 {
            let party = PartyId::from_uuid(self.chance.uuid(self.now));
            self.parties.push(party);
            self.guarded(|world| world.register(party))?;
        }
        for step in 1..=steps {
            self.step = step;
            self.guarded(Self::one_step)?;
            self.judge()?;
        }
        self.drain()?;
        self.judge()?;
        self.judge_the_end()
    }

    fn one_step(&mut self) -> Result<(), Interrupt> {
        match self.chance.between(0, 99) {
            0..=44 => self.act(),
            45..=57 => self.work_on_outbox(),
            58..=70 => self.project(),
            71..=77 => {
                self.deliver();
                Ok(())
            }
            78..=88 => self.work_on_inbox(),
            89..=92 => self.look_at_what_is_due(),
            93..=98 => {
                self.let_time_pass();
                Ok(())
            }
            _ => Err(Interrupt::Died),
        }
    }

    /// Timers, banks that wait for an answer, and now and then whoever is asked last of all.
    fn look_at_what_is_due(&mut self) -> Result<(), Interrupt> {
        self.wake()?;
        if self.chance.per_mille(300) {
            self.look_at_a_bank()?;
        }
        self.answer_banks()?;
        if self.chance.per_mille(100) {
            self.look_at_the_coverage()?;
        }
        if self.is_a_payee_asked() && self.chance.per_mille(500) {
            return self.answer_what_is_open();
        }
        Ok(())
    }

    /// Something else that happens while a command is decided: another server, another party, the clock.
    pub(crate) fn interfere(&mut self) -> Result<(), Interrupt> {
        if self.depth > 0 || !self.trouble(150) {
            return Ok(());
        }
        self.depth = 1;
        let done = match self.chance.between(0, 5) {
            0 | 1 => self.act(),
            2 => self.work_on_outbox(),
            3 => self.project().and_then(|()| self.wake()),
            4 => self.work_on_inbox(),
            _ => {
                self.let_time_pass();
                Ok(())
            }
        };
        self.depth = 0;
        done
    }

    /// True so many times in a thousand, while there is trouble at all.
    pub(crate) fn trouble(&mut self, per_mille: u32) -> bool {
        self.troubled && self.chance.per_mille(per_mille)
    }

    /// A place at which the process can die.
    pub(crate) fn may_die(&mut self, place: &str) -> Result<(), Interrupt> {
        if self.trouble(6) {
            self.count(&format!("fault died {place}"));
            self.tell(format!("the process dies {place}"));
            return Err(Interrupt::Died);
        }
        Ok(())
    }

    /// Does something in a process that may die of it.
    pub(crate) fn guarded(&mut self, what: impl FnOnce(&mut Self) -> Result<(), Interrupt>) -> Result<(), Violation> {
        match what(self) {
            Ok(()) => Ok(()),
            Err(Interrupt::Died) => {
                self.count("fault process died");
                self.cache = Loaded::new();
                self.depth = 0;
                Ok(())
            }
            Err(Interrupt::Broken(violation)) => Err(violation),
        }
    }

    fn let_time_pass(&mut self) {
        if self.trouble(180) {
            self.provider.surprise(self.now, &mut self.chance);
        }
        let deadline = self.records.next_wakeup(self.now);
        let by = match (self.chance.between(0, 99), deadline) {
            // Exactly to the next deadline, or a moment before it.
            (0..=9, Some(due_at)) => due_at - self.now,
            (10..=19, Some(due_at)) => due_at - self.now - TimeDelta::milliseconds(1),
            (0..=59, _) => TimeDelta::minutes(self.chance.between(1, 59)),
            (60..=84, _) => TimeDelta::hours(self.chance.between(1, 23)),
            (85..=98, _) => TimeDelta::days(self.chance.between(1, 4)),
            _ if self.chance.per_mille(150) => TimeDelta::days(self.chance.between(60, 120)),
            _ => TimeDelta::days(self.chance.between(6, 20)),
        };
        self.advance(by);
    }

    pub(crate) fn advance(&mut self, by: TimeDelta) {
        if by <= TimeDelta::zero() {
            return;
        }
        self.now += by;
        self.store.set_now(self.now);
        self.provider.tick(self.now, &mut self.chance);
        self.count("clock advanced");
        self.tell(format!("it is {}", self.now.format("%Y-%m-%d %H:%M:%S%.3f")));
    }

    /// The clock of whichever server is asked: they are up to two seconds apart.
    pub(crate) fn clock_of_some_server(&mut self) -> Timestamp {
        if self.trouble(200) { self.now - TimeDelta::milliseconds(self.chance.between(1, 2000)) } else { self.now }
    }

    fn judge(&mut self) -> Result<(), Violation> {
        for what in std::mem::take(&mut self.provider.happened) {
            self.count(what);
        }
        if let Some(violation) = self.provider.take_violations().into_iter().next() {
            return Err(violation);
        }
        self.oracle.look_at(&self.store)?;
        if self.provider.take_has_moved() {
            self.oracle.watch_provider(&self.provider)?;
        }
        Ok(())
    }

    /// Lets everything come to its end, with nothing failing any more.
    fn drain(&mut self) -> Result<(), Violation> {
        self.troubled = false;
        self.tell("the end: everything is drained".to_owned());
        // Money is available after two days and comes back from a bank after seven at the most; offers and reviews last
        // three weeks, and banks that disagree take six. Each round is a day.
        for round in 0..90 {
            self.guarded(Self::settle_everything)?;
            let at_rest = self.provider.is_at_rest(self.now) && self.records.is_at_rest();
            if at_rest && round > 25 {
                return Ok(());
            }
            self.advance(TimeDelta::days(1));
        }
        Err(Violation::new("I11", format!("work is left at the end: {}", self.records.what_is_left())))
    }

    fn settle_everything(&mut self) -> Result<(), Interrupt> {
        for ask in std::mem::take(&mut self.unknown) {
            self.send(ask)?;
        }
        self.deliver_everything();
        for _ in 0..worker::MAX_ROUNDS {
            self.project_everything()?;
            let orders = self.work_on_whole_outbox()?;
            let notices = self.work_on_whole_inbox()?;
            self.wake_everything()?;
            self.answer_banks()?;
            if orders == 0 && notices == 0 && self.records.checkpoint == self.head() {
                return Ok(());
            }
        }
        Err(Violation::new("W", "the engine does not come to rest").into())
    }

    fn judge_the_end(&mut self) -> Result<(), Violation> {
        for promise in &self.promises {
            promise.is_kept(&self.store)?;
        }
        self.oracle.agrees_with(&self.provider, self.now)?;
        self.oracle.all_told_is_booked()?;
        self.records.agree_with_a_replay(&self.store)
    }

    pub(crate) fn head(&self) -> Position {
        self.store.head_now().unwrap_or_default()
    }

    /// The document of an aggregate, as the projections have it.
    pub(crate) fn document(&self, stream: &StreamId) -> Option<&Document> {
        self.records.documents.get(stream).map(|(document, _)| document)
    }

    pub(crate) fn count(&mut self, what: &str) {
        if let Some(count) = self.counts.get_mut(what) {
            *count = count.saturating_add(1);
        } else {
            self.counts.insert(what.to_owned(), 1);
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "every caller has just made the line")]
    pub(crate) fn tell(&mut self, line: String) {
        if self.story.len() == STORY_LINES {
            self.story.pop_front();
        }
        self.story.push_back(format!("[{}] {line}", self.step));
    }

    /// What the run came to.
    pub fn outcome(&self) -> Outcome {
        let mut digest = Sha256::new();
        let events = self.store.read_now(0, usize::MAX).unwrap_or_default();
        let mut counts = self.counts.clone();
        for event in &events {
            let times = counts.entry(format!("event {}", event.event_type)).or_default();
            *times = times.saturating_add(1);
            if event.event_type == "contract.end_requested" && matches!(event.metadata.actor, Actor::Payee(_)) {
                let times = counts.entry("contract cancelled by its payee".to_owned()).or_default();
                *times = times.saturating_add(1);
            }
            let metadata = serde_json::to_string(&event.metadata).unwrap_or_default();
            let journal = serde_json::to_string(&event.journal).unwrap_or_default();
            digest.update(format!(
                "{} {} {} {} {} {} {metadata} {journal} {}\n",
                event.position,
                event.stream,
                event.sequence,
                event.event_type,
                event.event_version,
                event.payload,
                event.recorded_at
            ));
        }
        let log_digest = format!("{:x}", digest.finalize());
        Outcome { log_digest, events: events.len() as u64, counts }
    }

    /// The story that led to a violation.
    pub fn failure(&self, violation: Violation) -> Failure {
        let events = self.store.read_now(0, usize::MAX).unwrap_or_default();
        let line = |event: &RecordedEvent| {
            let RecordedEvent { position, stream, event_type, payload, .. } = event;
            format!("{position} {} {stream} {event_type} {payload}", event.metadata.occurred_at)
        };
        let (story, log) = (self.story.iter().cloned().collect(), events.iter().map(line).collect());
        Failure { seed: self.seed, step: self.step, violation, story, log }
    }
}
