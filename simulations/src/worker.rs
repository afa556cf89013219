//! What runs beside the requests: projections, orders to the provider, notices from it, timers.
//!
//! # Invariants
//! - What is in [`Records`] survives the process, as tables do; nothing else does.
//! - As in the server: a call is noted before it is made; only a proved refusal opens a new key; an order is done only
//!   after its facts are in the log.

use std::collections::{BTreeMap, BTreeSet};

use adapters::memory::MemoryStore;
use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::event::DomainEvent;
use domain::intent::Intent;
use domain::log::{Position, RecordedEvent, StreamId};
use domain::ports::provider::{ProviderError, ProviderObject, ProviderReport};
use domain::process::{self, Fact, Next, Order, Settlement};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::timer::{Scope, wakeup};
use domain::view::Document;
use uuid::Uuid;

use crate::driver::{Ask, Told};
use crate::failure::Violation;
use crate::world::{Interrupt, World};

/// Rounds after which work that only makes more work is a defect.
pub(crate) const MAX_ROUNDS: u32 = 1_000;

/// Events that a projection reads at once at most: few, so that it is often behind.
const PAGE: i64 = 80;

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not done yet.
    Open,
    /// Its facts are in the log.
    Done,
    /// An operator has to look.
    Blocked,
}

/// An order in the outbox.
#[derive(Debug, Clone)]
pub struct Row {
    order: Order,
    not_before: Timestamp,
    attempt: u32,
    status: Status,
    /// The provider had not enough money when it was asked last.
    waits_for_money: bool,
    /// How often it was read without being final.
    reads: u32,
}

/// A notice in the inbox.
#[derive(Debug, Clone)]
struct Stored {
    object: ProviderObject,
    done: bool,
}

/// Tables beside the log.
#[derive(Debug, Default)]
pub struct Records {
    /// How far the projections have read.
    pub checkpoint: Position,
    /// Documents with their versions, folded event by event.
    pub documents: BTreeMap<StreamId, (Document, u64)>,
    outbox: BTreeMap<(Position, Uuid), Row>,
    wakeups: BTreeSet<(Timestamp, Scope)>,
    inbox: BTreeMap<String, Stored>,
}

impl Records {
    /// The next deadline after this instant.
    pub fn next_wakeup(&self, now: Timestamp) -> Option<Timestamp> {
        self.wakeups.iter().map(|(due_at, _)| *due_at).find(|due_at| *due_at > now)
    }

    /// Whether nothing is left to do. Orders for which the provider has no money wait for ever.
    pub fn is_at_rest(&self) -> bool {
        self.outbox.values().all(|row| row.status != Status::Open || row.waits_for_money)
            && self.inbox.values().all(|notice| notice.done)
    }

    /// What is left, for the story.
    pub fn what_is_left(&self) -> String {
        let orders: Vec<_> = self.outbox.values().filter(|row| row.status == Status::Open).collect();
        format!("{orders:?}, {} notices", self.inbox.values().filter(|notice| !notice.done).count())
    }

    /// Folds an event in, as a projection does in one transaction.
    fn fold(&mut self, event: &RecordedEvent) -> Result<(), Violation> {
        let unreadable = |error: String| Violation::new("I7", format!("event {}: {error}", event.position));
        let read = DomainEvent::from_json(
            &event.stream.aggregate_type,
            &event.event_type,
            event.event_version,
            &event.payload,
        )
        .map_err(|error| unreadable(error.to_string()))?;
        let again = read.to_json().map_err(|error| unreadable(error.to_string()))?;
        if again != event.payload {
            return Err(unreadable(format!("read and written again it is another: {again}")));
        }
        if let Some((document, version)) = self.documents.get_mut(&event.stream) {
            document.fold(&read);
            *version = event.sequence;
        } else {
            let mut document = Document::initial(&event.stream).map_err(|error| unreadable(error.to_string()))?;
            document.fold(&read);
            self.documents.insert(event.stream.clone(), (document, event.sequence));
        }
        for order in process::orders(event.metadata.event_id, &read) {
            let not_before = order.due_at(event.metadata.occurred_at);
            self.outbox.entry((event.position, order.order_id)).or_insert(Row {
                order,
                not_before,
                attempt: 1,
                status: Status::Open,
                waits_for_money: false,
                reads: 0,
            });
        }
        if let Some((scope, due_at)) = wakeup(&event.stream, &read) {
            self.wakeups.insert((due_at, scope));
        }
        self.checkpoint = event.position;
        Ok(())
    }

    /// What is in the tables is what a replay of the log from zero makes.
    ///
    /// # Errors
    /// A [`Violation`] of I7.
    pub fn agree_with_a_replay(&self, store: &MemoryStore) -> Result<(), Violation> {
        let broken = |found: String| Violation::new("I7", found);
        let events = store.read_now(0, usize::MAX).map_err(|error| broken(error.to_string()))?;
        let mut again = Self::default();
        let mut states: BTreeMap<&StreamId, AggregateState> = BTreeMap::new();
        for event in &events {
            again.fold(event)?;
            let read = DomainEvent::from_json(
                &event.stream.aggregate_type,
                &event.event_type,
                event.event_version,
                &event.payload,
            )
            .map_err(|error| broken(error.to_string()))?;
            if let Some(initial) = AggregateState::initial(&event.stream.aggregate_type) {
                states.entry(&event.stream).or_insert(initial).evolve(&read);
            }
            let value_date = event
                .journal
                .as_ref()
                .map_or_else(|| event.metadata.occurred_at.date_naive(), ledger::JournalEntry::value_date);
            if read.journal_entry(value_date).ok().as_ref() != Some(&event.journal) {
                return Err(broken(format!("event {} books something else when it is read again", event.position)));
            }
        }
        for (stream, (document, version)) in &again.documents {
            let kept = self.documents.get(stream);
            let same_text = kept.map(|(kept, _)| kept.to_json().ok()) == Some(document.to_json().ok());
            if !same_text || kept.map(|(_, version)| version) != Some(version) {
                return Err(broken(format!("{stream} is {document:?} in a replay and was {kept:?}")));
            }
            let agrees = match (document, states.get(stream)) {
                (Document::Aggregate(document), Some(state)) => document == state,
                (Document::Payee(balance), Some(AggregateState::Payee(account))) => {
                    balance.pending == account.pending_total() && balance.available == account.available
                }
                _ => false,
            };
            if !agrees {
                return Err(broken(format!("the document of {stream} is not its state: {document:?}")));
            }
        }
        let orders = |records: &Self| -> Vec<Order> { records.outbox.values().map(|row| row.order.clone()).collect() };
        if orders(self) != orders(&again) {
            return Err(broken("a replay orders something else from the provider".to_owned()));
        }
        Ok(())
    }
}

impl World {
    /// Reads some events of the log into the tables. A process that dies here has stored all of a page or nothing.
    pub(crate) fn project(&mut self) -> Result<(), Interrupt> {
        let page = usize::try_from(self.chance.between(1, PAGE)).unwrap_or(1);
        let Ok(events) = self.store.read_now(self.records.checkpoint, page) else {
            return Ok(());
        };
        self.may_die("between reading and projecting")?;
        for event in &events {
            self.records.fold(event)?;
        }
        self.may_die("after projecting")
    }

    pub(crate) fn project_everything(&mut self) -> Result<(), Interrupt> {
        while self.records.checkpoint < self.head() {
            self.project()?;
        }
        Ok(())
    }

    /// Carries out some orders that are due, whichever.
    pub(crate) fn work_on_outbox(&mut self) -> Result<(), Interrupt> {
        for _ in 0..self.chance.between(1, 4) {
            let due = self.due_orders();
            if let Some(key) = self.chance.pick(&due).copied() {
                self.settle(key)?;
            }
        }
        Ok(())
    }

    /// Carries out every order that is due, once. Returns how many were settled.
    pub(crate) fn work_on_whole_outbox(&mut self) -> Result<usize, Interrupt> {
        let mut settled = 0_usize;
        for key in self.due_orders() {
            settled = settled.saturating_add(usize::from(self.settle(key)?));
        }
        Ok(settled)
    }

    fn due_orders(&self) -> Vec<(Position, Uuid)> {
        let due = |row: &Row| row.status == Status::Open && row.not_before <= self.now;
        self.records.outbox.iter().filter(|(_, row)| due(row)).map(|(key, _)| *key).collect()
    }

    /// Carries out an order. Returns whether it is settled.
    fn settle(&mut self, key: (Position, Uuid)) -> Result<bool, Interrupt> {
        let Some(row) = self.records.outbox.get(&key).cloned() else {
            return Ok(false);
        };
        let what = &row.order.what;
        let idempotency_key = what.idempotency_key("sim", row.order.order_id, row.attempt);
        self.may_die("before an order is sent")?;
        let told = self.provider.carry_out(what, &idempotency_key, self.now, !self.troubled, &mut self.chance);
        self.tell(format!("order {idempotency_key}: {}", outcome_of(&told)));
        self.may_die("before an order's outcome is recorded")?;
        if let Err(ProviderError::Unusable(why)) = &told {
            return Err(Violation::new("W", format!("{idempotency_key}: {why}")).into());
        }
        let Settlement { facts, next } = process::settle(what, &told, row.reads);
        let (status, new_key) = match &next {
            Next::Done => (Status::Done, false),
            Next::NotFinal(_) => (Status::Open, false),
            Next::NewKey { .. } => (Status::Open, true),
            Next::Blocked { .. } => (Status::Blocked, false),
            Next::SameKey { .. } | Next::Fresh => return Ok(false),
        };
        for fact in &facts {
            if !self.record(fact)? {
                return Ok(false);
            }
            self.may_die("between two facts of an order")?;
        }
        if let Ok(report) = &told {
            self.oracle.told(report);
        }
        if matches!(told, Err(ProviderError::Refused { .. })) && status == Status::Done && self.troubled {
            self.provider.may_come_late(what, self.now, &mut self.chance);
        }
        if let Some(stored) = self.records.outbox.get_mut(&key) {
            stored.status = status;
            stored.waits_for_money = new_key;
            if let Next::NotFinal(Some(pause)) = next {
                stored.reads = stored.reads.saturating_add(1);
                stored.not_before = self.now + pause;
            }
            if new_key {
                stored.attempt = stored.attempt.saturating_add(1);
                // As the server does: there is no more money a moment later.
                stored.not_before = self.now + chrono::TimeDelta::hours(12);
            }
        }
        if status == Status::Blocked {
            self.count("order blocked");
        }
        self.count(&format!("order {}", row.order.what.action()));
        Ok(status == Status::Done)
    }

    /// Delivers a notice: in any order, sometimes twice, sometimes never.
    pub(crate) fn deliver(&mut self) {
        if self.trouble(150)
            && let Some(notice) = self.chance.pick(&self.provider.delivered).cloned()
        {
            self.count("fault notice delivered twice");
            self.receive(notice.notice_id, notice.object);
            return;
        }
        if self.provider.notices.is_empty() {
            return;
        }
        let index = self.chance.below(self.provider.notices.len());
        if index > 0 {
            self.count("fault notice out of order");
        }
        let notice = self.provider.notices.remove(index);
        if notice.may_be_lost && self.trouble(200) {
            self.count("fault notice lost");
            self.tell(format!("notice {} is lost", notice.notice_id));
            return;
        }
        self.provider.delivered.push(notice.clone());
        self.receive(notice.notice_id, notice.object);
    }

    pub(crate) fn deliver_everything(&mut self) {
        for notice in std::mem::take(&mut self.provider.notices) {
            self.provider.delivered.push(notice.clone());
            self.receive(notice.notice_id, notice.object);
        }
    }

    fn receive(&mut self, notice_id: String, object: ProviderObject) {
        self.records.inbox.entry(notice_id).or_insert(Stored { object, done: false });
    }

    /// Works on one notice, whichever.
    pub(crate) fn work_on_inbox(&mut self) -> Result<(), Interrupt> {
        let open = self.open_notices();
        match self.chance.pick(&open).cloned() {
            Some(notice_id) => self.work_on(&notice_id).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Works on every notice, once. Returns how many were.
    pub(crate) fn work_on_whole_inbox(&mut self) -> Result<usize, Interrupt> {
        let mut done = 0_usize;
        for notice_id in self.open_notices() {
            done = done.saturating_add(usize::from(self.work_on(&notice_id)?));
        }
        Ok(done)
    }

    fn open_notices(&self) -> Vec<String> {
        self.records.inbox.iter().filter(|(_, notice)| !notice.done).map(|(id, _)| id.clone()).collect()
    }

    fn work_on(&mut self, notice_id: &str) -> Result<bool, Interrupt> {
        let Some(notice) = self.records.inbox.get(notice_id).cloned() else {
            return Ok(false);
        };
        let report = self.provider.look_up(&notice.object, self.now, !self.troubled, &mut self.chance);
        self.tell(format!("notice {notice_id}: {}", outcome_of(&report)));
        self.may_die("before a notice is recorded")?;
        match report {
            Ok(report) => {
                for fact in process::facts(&report) {
                    if !self.record(&fact)? {
                        return Ok(false);
                    }
                    self.may_die("between two facts of a notice")?;
                }
                self.oracle.told(&report);
            }
            Err(ProviderError::Unusable(why)) => return Err(Violation::new("W", why).into()),
            Err(_) => return Ok(false),
        }
        if let Some(stored) = self.records.inbox.get_mut(notice_id) {
            stored.done = true;
        }
        self.count("notice done");
        Ok(true)
    }

    /// Records a fact. `false`: the store did not say whether it did.
    fn record(&mut self, fact: &Fact) -> Result<bool, Interrupt> {
        let ask = Ask {
            intent: Intent::Fact(fact.command.clone()),
            actor: Actor::System(SystemPart::Psp),
            command_id: fact.command_id,
            if_match: None,
            answered: false,
        };
        match self.perform(&ask)? {
            Told::Accepted(..) | Told::Replayed(_) | Told::Unchanged => Ok(true),
            Told::Unknown => Ok(false),
            Told::Refused(Refusal::VersionMismatch { .. }) => Ok(false),
            // The success of that payment is on its way: it is parked, and looked up again later.
            Told::Refused(Refusal::NotFound { what: "funding" })
                if matches!(fact.command, domain::command::Command::Chargeback(..)) =>
            {
                self.count("notice parked");
                Ok(false)
            }
            Told::Refused(refusal) => {
                Err(Violation::new("I11", format!("a fact was refused: {refusal}: {:?}", fact.command)).into())
            }
        }
    }

    /// Looks at a scope whose deadline has come, or at one whose has not.
    pub(crate) fn wake(&mut self) -> Result<(), Interrupt> {
        let wakeups: Vec<_> = self.records.wakeups.iter().take(20).cloned().collect();
        let Some((due_at, scope)) = self.chance.pick(&wakeups).cloned() else {
            return Ok(());
        };
        self.wake_scope(due_at, scope)
    }

    pub(crate) fn wake_everything(&mut self) -> Result<(), Interrupt> {
        let due: Vec<_> = self.records.wakeups.iter().filter(|(due_at, _)| *due_at <= self.now).cloned().collect();
        for (due_at, scope) in due {
            self.wake_scope(due_at, scope)?;
        }
        Ok(())
    }

    fn wake_scope(&mut self, due_at: Timestamp, scope: Scope) -> Result<(), Interrupt> {
        let ask = Ask {
            intent: Intent::Wake(scope.clone()),
            actor: Actor::System(SystemPart::Timer),
            command_id: self.chance.uuid(self.now),
            if_match: None,
            answered: false,
        };
        let told = self.perform(&ask)?;
        // Servers' clocks are seconds apart: it is kept until it is past for all of them.
        let past = due_at + chrono::TimeDelta::seconds(2) < self.now || !self.troubled;
        if matches!(told, Told::Unchanged) && past && due_at <= self.now {
            self.records.wakeups.remove(&(due_at, scope));
        }
        Ok(())
    }
}

/// An answer in a few words.
fn outcome_of(told: &Result<ProviderReport, ProviderError>) -> String {
    match told {
        Ok(ProviderReport::Payment(report)) => format!("{} {:?}", report.payment_ref, report.status),
        Ok(ProviderReport::Refund(report)) => format!("{} {:?}", report.refund_ref, report.status),
        Ok(ProviderReport::Transfer(report)) => format!("{} {}", report.transfer_ref, report.amount.get()),
        Ok(ProviderReport::BankPayout(report)) => format!("{} {:?}", report.bank_payout_ref, report.status),
        Ok(ProviderReport::Dispute(report)) => format!("{} {:?}", report.dispute_ref, report.status),
        Ok(ProviderReport::FraudWarning(report)) => report.warning_ref.clone(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}
