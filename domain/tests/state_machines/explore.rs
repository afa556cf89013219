//! Trying every command in every state: breadth first from the beginning.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::event::DomainEvent;
use domain::id::PartyId;
use domain::rules::{Context, Rules};
use domain::time::Timestamp;
use ledger::Minor;
use serde_json::{Map, Value};
use uuid::Uuid;

/// States of one name that are looked at: those reached by the fewest commands, and no two of one shape.
const OF_ONE_NAME: usize = 120;

pub fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn now() -> Timestamp {
    "2026-12-01T10:00:00Z".parse().unwrap()
}

pub fn client_id() -> PartyId {
    PartyId::from_uuid(id(1))
}

pub fn payee_id() -> PartyId {
    PartyId::from_uuid(id(2))
}

/// Everybody who might try, by the word for it: two of the staff, since some things need both. The last one has no part
/// in anything.
fn actors() -> [(&'static str, Actor); 6] {
    [
        ("client", Actor::Client(client_id())),
        ("payee", Actor::Payee(payee_id())),
        ("staff", Actor::Staff(StaffRole::Admin, PartyId::from_uuid(id(90)))),
        ("staff", Actor::Staff(StaffRole::Admin, PartyId::from_uuid(id(91)))),
        ("system", Actor::System(SystemPart::Timer)),
        ("outsider", Actor::Client(PartyId::from_uuid(id(99)))),
    ]
}

/// What was found of one kind of aggregate.
pub struct Found {
    pub aggregate: &'static str,
    pub initial: &'static str,
    pub steps: Vec<Step>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Step {
    pub command: String,
    pub by: Vec<&'static str>,
    pub from: Vec<&'static str>,
    pub events: Vec<&'static str>,
    pub to: Option<&'static str>,
}

impl Found {
    /// With what another exploration of the same aggregate has found: fewer commands lead further.
    pub fn and(mut self, other: Self) -> Self {
        for step in other.steps {
            let same = |known: &&mut Step| {
                (&known.command, &known.by, &known.events, known.to) == (&step.command, &step.by, &step.events, step.to)
            };
            match self.steps.iter_mut().find(same) {
                Some(known) => {
                    let news: Vec<_> = step.from.into_iter().filter(|from| !known.from.contains(from)).collect();
                    known.from.extend(news);
                }
                None => self.steps.push(step),
            }
        }
        self
    }
}

/// What is tried with an aggregate.
pub struct Tried<R: Rules> {
    pub commands: Vec<R::Command>,
    /// Events that mirror those of other aggregates.
    pub notes: Vec<R::Event>,
    pub wrap: fn(R::Event) -> DomainEvent,
}

/// One pair of state and command: state before, command, events, state after.
type Pair = (&'static str, String, Vec<&'static str>, &'static str);

/// Tries everything, in every state that it leads to.
pub fn explore<R>(tried: &Tried<R>) -> Found
where
    R: Rules,
    R::Command: Debug,
    R::Event: Clone,
{
    explore_named(tried, |command| command)
}

/// As [`explore`], where a command may stand within another one: `name` says whose name it has.
pub fn explore_named<R>(tried: &Tried<R>, name: fn(&R::Command) -> &R::Command) -> Found
where
    R: Rules,
    R::Command: Debug,
    R::Event: Clone,
{
    let initial = R::default();
    let (aggregate, first) = (R::TYPE, initial.state_name());
    let mut pairs: Vec<Pair> = Vec::new();
    let mut by: BTreeMap<Pair, BTreeSet<usize>> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([initial]);
    while let Some(state) = waiting.pop_front() {
        let mut lead = |command: String, events: Vec<R::Event>, who: Option<usize>| {
            let mut after = state.clone();
            for event in &events {
                after.evolve(event);
            }
            let mut names: Vec<_> = events.into_iter().map(|event| (tried.wrap)(event).event_type()).collect();
            // One for each milestone, or each payment, is one.
            names.dedup();
            let pair = (state.state_name(), command, names.clone(), after.state_name());
            if !by.contains_key(&pair) {
                pairs.push(pair.clone());
            }
            by.entry(pair).or_default().extend(who);
            let name = after.state_name();
            let count = counts.entry(name).or_default();
            if *count < OF_ONE_NAME && seen.insert(shape(&after)) {
                *count += 1;
                waiting.push_back(after);
            }
        };
        for command in &tried.commands {
            for (who, (_, actor)) in actors().into_iter().enumerate() {
                // Some rules ask how much time has passed.
                for days in [0, 400] {
                    let context = Context { now: now() + TimeDelta::days(days), actor };
                    if let Ok(events) = state.decide(command, &context)
                        && !events.is_empty()
                    {
                        lead(name_of(name(command)), events, Some(who));
                    }
                }
            }
        }
        for note in &tried.notes {
            lead("noted".to_owned(), vec![note.clone()], None);
        }
    }
    Found { aggregate, initial: first, steps: steps(&pairs, &by) }
}

/// A state without its figures: of amounts and counts, how many digits they have; instants are instants. Days are kept,
/// since a deadline after a deadline is told by them.
fn shape(state: &impl serde::Serialize) -> String {
    fn of(name: &str, value: Value) -> Value {
        match value {
            Value::Number(_) if name.ends_with("_day") => value,
            Value::Number(number) if number.as_i64() == Some(0) => Value::from(0),
            Value::Number(number) => Value::from(number.to_string().len()),
            Value::String(text) if text.parse::<Timestamp>().is_ok() => Value::Null,
            Value::Array(items) => items.into_iter().map(|item| of(name, item)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (name.clone(), of(&name, value))).collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }
    of("", serde_json::to_value(state).unwrap()).to_string()
}

/// The pairs, those that differ in the state before alone taken together.
fn steps(pairs: &[Pair], by: &BTreeMap<Pair, BTreeSet<usize>>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for pair in pairs {
        let (from, command, events, after) = pair;
        let who = by.get(pair).unwrap();
        // What anybody at all may bring about is not asked for: it follows.
        let all = actors().len();
        let words = actors().into_iter().enumerate().filter(|(index, _)| who.len() < all && who.contains(index));
        let mut by: Vec<_> = words.map(|(_, (word, _))| word).collect();
        by.dedup();
        let to = (after != from).then_some(*after);
        let same =
            |step: &&mut Step| step.command == *command && step.events == *events && step.to == to && step.by == by;
        match steps.iter_mut().find(same) {
            Some(step) => step.from.push(from),
            None => steps.push(Step { command: command.clone(), by, from: vec![from], events: events.clone(), to }),
        }
    }
    steps
}

/// The command's name: `ApprovePartially { .. }` is `approve_partially`.
fn name_of(command: &impl Debug) -> String {
    let text = format!("{command:?}");
    let variant = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
