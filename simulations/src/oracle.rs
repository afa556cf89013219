//! What must hold, recomputed from the JSON of the log.
//!
//! # Invariants
//! - No rule, posting rule or fold of the engine is used: events and journal lines are read as text, sums are made here.
//! - Every event is looked at once, in order; what spans events is judged where an append ends.

mod books;
mod chargeback;
mod claim;
mod contract;
mod fees;
mod milestone;
mod party;
mod path;
mod payee;
mod purse;
mod receipt;
mod refund;
mod treasury;
mod usual;
mod vault;

use std::collections::{BTreeMap, BTreeSet};

use adapters::memory::MemoryStore;
use domain::log::{Append, Position, RecordedEvent};
use domain::ports::provider::ProviderReport;
use domain::time::Timestamp;
use domain::treasury::Coverage;
use ledger::Currency;
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Violation;
use crate::provider::Provider;
use books::Books;
use claim::Claim;
use path::Path;

/// An event, as text.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) position: Position,
    pub(crate) event_type: String,
    pub(crate) stream: String,
    pub(crate) data: Value,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
}

impl Raw {
    /// A text of the event.
    pub(crate) fn text(&self, key: &str) -> Result<&str, Violation> {
        self.data.get(key).and_then(Value::as_str).ok_or_else(|| self.lacks(key))
    }

    /// A number of minor units of the event.
    pub(crate) fn amount(&self, key: &str) -> Result<i128, Violation> {
        self.data.get(key).and_then(Value::as_i64).map(i128::from).ok_or_else(|| self.lacks(key))
    }

    /// An instant of the event.
    pub(crate) fn instant(&self, key: &str) -> Result<Timestamp, Violation> {
        self.text(key)?.parse().map_err(|_| self.lacks(key))
    }

    /// A list of the event.
    pub(crate) fn list(&self, key: &str) -> Result<&Vec<Value>, Violation> {
        self.data.get(key).and_then(Value::as_array).ok_or_else(|| self.lacks(key))
    }

    fn lacks(&self, key: &str) -> Violation {
        Violation::new("W", format!("event {} ({}) has no usable {key}", self.position, self.event_type))
    }

    /// Time did it, and nobody else.
    pub(crate) fn is_by_timer(&self) -> bool {
        self.actor == "system:timer"
    }

    /// This event breaks an invariant.
    pub(crate) fn breaks(&self, invariant: &'static str, found: &str) -> Violation {
        Violation::new(invariant, format!("event {} ({} of {}): {found}", self.position, self.event_type, self.stream))
    }
}

/// A number in a part of an event.
pub(crate) fn amount_of(part: &Value, key: &str) -> i128 {
    part.get(key).and_then(Value::as_i64).map_or(0, i128::from)
}

/// A text in a part of an event.
pub(crate) fn text_of<'a>(part: &'a Value, key: &str) -> &'a str {
    part.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Looks at everything.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Position of the last event looked at.
    seen: Position,
    /// Sequence of the last event of each stream.
    sequences: BTreeMap<String, u64>,
    event_ids: BTreeMap<String, Uuid>,
    /// What was tried under each command id: one list of payloads per try.
    attempts: BTreeMap<Uuid, Vec<Vec<String>>>,
    /// The command whose events are being read, and the events.
    open: Option<(Uuid, Vec<String>)>,
    /// Commands that are in the log.
    commands: BTreeSet<Uuid>,
    books: Books,
    path: Path,
    claims: BTreeSet<Claim>,
    /// Claims that the log bears out.
    booked: BTreeSet<Claim>,
}

impl Oracle {
    /// Something is about to be appended.
    pub fn attempted(&mut self, append: &Append) {
        let payloads = append.events.iter().map(|event| event.payload.clone()).collect();
        let tries = self.attempts.entry(append.command_id).or_default();
        if !tries.contains(&payloads) {
            tries.push(payloads);
        }
    }

    /// The engine was told something by the provider, and has taken it. What it has not taken comes again, as it is then.
    pub fn told(&mut self, report: &ProviderReport) {
        let claims = claim::of_report(report);
        self.claims.extend(claims);
    }

    /// Reads what is new in the log and judges it.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn look_at(&mut self, store: &MemoryStore) -> Result<(), Violation> {
        let events = store.read_now(self.seen, usize::MAX).map_err(|e| Violation::new("W", e.to_string()))?;
        for event in &events {
            self.one(event)?;
        }
        self.close_command()
    }

    fn one(&mut self, event: &RecordedEvent) -> Result<(), Violation> {
        let raw = Raw {
            position: event.position,
            event_type: event.event_type.clone(),
            stream: event.stream.to_string(),
            data: serde_json::from_str(&event.payload).map_err(|e| Violation::new("W", e.to_string()))?,
            at: event.metadata.occurred_at,
            actor: event.metadata.actor.to_string(),
        };
        if raw.position != self.seen.saturating_add(1) {
            return Err(raw.breaks("I2", &format!("comes after position {}", self.seen)));
        }
        self.seen = raw.position;
        let sequence = self.sequences.entry(raw.stream.clone()).or_default();
        if event.sequence != sequence.saturating_add(1) {
            return Err(raw.breaks("I2", &format!("has sequence {} after {sequence}", event.sequence)));
        }
        *sequence = event.sequence;

        let command_id = event.metadata.command_id;
        if self.open.as_ref().is_some_and(|(open, _)| *open != command_id) {
            self.close_command()?;
        }
        let (_, payloads) = self.open.get_or_insert_with(|| (command_id, Vec::new()));
        payloads.push(event.payload.clone());
        let first = payloads.len() == 1;
        if first && !self.commands.insert(command_id) {
            return Err(raw.breaks("I6", "its command is in the log already"));
        }
        if self.event_ids.insert(event.metadata.event_id.to_string(), command_id).is_some() {
            return Err(raw.breaks("I2", "its event id is in the log already"));
        }
        let cause = event.metadata.causation_id.map(|cause| self.event_ids.get(&cause.to_string()).copied());
        if cause.is_some_and(|cause| cause != Some(command_id)) {
            return Err(raw.breaks("I2", "its cause is not an earlier event of the same command"));
        }

        let journal = event.journal.as_ref().map(serde_json::to_value).transpose();
        if let Some(journal) = journal.map_err(|e| Violation::new("W", e.to_string()))? {
            self.books.enter(&raw, &journal)?;
        }
        self.path.follow(&raw, &mut self.books)?;
        self.note_claims(&raw)
    }

    /// All events of a command were read: they are one of the things that were tried, whole.
    fn close_command(&mut self) -> Result<(), Violation> {
        let Some((command_id, payloads)) = self.open.take() else { return Ok(()) };
        if !self.attempts.get(&command_id).is_some_and(|tries| tries.contains(&payloads)) {
            let found = format!(
                "of command {command_id}, up to event {}, another set of events is in the log than was \
                                 ever appended",
                self.seen
            );
            return Err(Violation::new("I10", found));
        }
        self.books.agree_with_events(self.seen)?;
        self.path.is_whole(&self.books, self.seen)
    }

    fn note_claims(&mut self, raw: &Raw) -> Result<(), Violation> {
        self.booked.extend(claim::of_event(raw, &self.path.chargebacks)?);
        Ok(())
    }

    /// What is covered in a currency, by the books of the moment.
    pub fn coverage(&self, currency: Currency) -> Coverage {
        let sum = |accounts: &[&str]| -> i64 {
            let net: i128 = accounts.iter().map(|account| self.books.net(account, currency.code())).sum();
            i64::try_from(net).unwrap_or_default()
        };
        let liabilities = [
            "2100", "2105", "2110", "2120", "2200", "2210", "2220", "2250", "2260", "2300", "2305", "2310", "2320",
            "2500", "2900",
        ];
        Coverage {
            currency,
            cash: sum(&["1000", "1110", "1120", "1130", "1140"]),
            contingent: sum(&["1200"]),
            liabilities: sum(&liabilities).saturating_neg(),
            taxes: sum(&["2400", "2410"]).saturating_neg(),
            exchanged: sum(&["1300"]),
        }
    }

    /// Nothing of this command is in the log: it was refused.
    ///
    /// # Errors
    /// A [`Violation`] of I10.
    pub fn nothing_of(&mut self, command_id: Uuid, store: &MemoryStore) -> Result<(), Violation> {
        self.look_at(store)?;
        if self.commands.contains(&command_id) {
            return Err(Violation::new("I10", format!("command {command_id} was refused and is in the log")));
        }
        Ok(())
    }

    /// The provider moved no money twice, and no more than was set aside.
    ///
    /// # Errors
    /// A [`Violation`] of I8.
    pub fn watch_provider(&self, provider: &Provider) -> Result<(), Violation> {
        for ((action, aggregate), amounts) in provider.moved() {
            let ordered = self.path.may_move(action, aggregate);
            if amounts.len() != 1 || amounts.first().map(|amount| i128::from(*amount)) != ordered {
                let found = format!("{action} for {aggregate}: {amounts:?} was moved, {ordered:?} was ordered");
                return Err(Violation::new("I8", found));
            }
        }
        Ok(())
    }

    /// At the end: the provider's own totals are those of the books.
    ///
    /// # Errors
    /// A [`Violation`] of I11.
    pub fn agrees_with(&self, provider: &Provider, now: Timestamp) -> Result<(), Violation> {
        let differs = |what: String, theirs: i64, ours: i128| {
            let found = format!("{what}: the provider has {theirs}, the books have {ours}");
            if i128::from(theirs) == ours { Ok(()) } else { Err(Violation::new("I11", found)) }
        };
        let platform = provider.platform(now);
        for (currency, (pending, available)) in &platform {
            differs(format!("pending {currency}"), *pending, self.books.net("1110", currency.code()))?;
            differs(format!("available {currency}"), *available, self.books.net("1120", currency.code()))?;
        }
        let accounts = provider.at_accounts();
        for ((account, currency), balance) in &accounts {
            let ours = self.books.of("1130", currency.code(), "psp_account", account);
            differs(format!("{currency} at {account}"), *balance, ours)?;
        }
        for currency in self.books.currencies() {
            let known = |code: &str| platform.keys().any(|currency| currency.code() == code);
            let idle = ["1110", "1120"].iter().all(|account| self.books.net(account, &currency) == 0);
            if !known(&currency) && !idle {
                return Err(Violation::new("I11", format!("the provider has never seen {currency}, the books have")));
            }
            let theirs: i64 =
                accounts.iter().filter(|((_, at), _)| at.code() == currency).map(|(_, balance)| *balance).sum();
            differs(format!("all {currency} at payees' accounts"), theirs, self.books.net("1130", &currency))?;
        }
        Ok(())
    }

    /// At the end: everything that the provider told is in the books.
    ///
    /// # Errors
    /// A [`Violation`] of I11.
    pub fn all_told_is_booked(&self) -> Result<(), Violation> {
        match self.claims.difference(&self.booked).next() {
            Some(claim) => Err(Violation::new("I11", format!("told by the provider, never recorded: {claim:?}"))),
            None => Ok(()),
        }
    }
}
