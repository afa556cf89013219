//! What a request would do, without doing it.
//!
//! # Invariants
//! - A preview is the unit of work itself, due timers first, on streams that were read just now with one query. What it
//!   refuses, the command refuses at that moment.
//! - Nothing is written: no event, no command, no answer. What a timer would do is known to the preview alone.
//! - The hash follows from what the request itself does, without the ids and instants that have to differ when it is
//!   committed: who fires a timer that is due, the preview's caller or the worker meanwhile, makes no difference.
//!
//! # What is deliberately absent
//! A promise: until the commit, others may change what it depends on. Whoever has to be sure compares the hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::DateTime;
use domain::log::{EventStore, StoreError, StreamEvent, StreamId};
use domain::ports::Clock;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::unit_of_work::{Decision, Loaded, Step, UnitOfWork};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{CONFLICT_RETRIES, Engine, EngineError, MAX_TIMERS_PER_REQUEST, Request, View};

/// What a request would do.
#[derive(Debug)]
pub struct Preview {
    /// The instant on the tenant's clock that it was judged at.
    pub now: Timestamp,
    /// The decisions of timers that are due, which come first, each with an append of its own.
    pub timers: Vec<Decision>,
    /// The decision of the request; `None` when it changes nothing.
    pub decision: Option<Box<Decision>>,
    /// The streams as they are in the log now, before any of that.
    pub before: Loaded,
}

impl Preview {
    /// Version of a stream now, in the log, if the request looked at it.
    pub fn version(&self, stream: &StreamId) -> Option<u64> {
        self.before.get(stream).map(|part| part.version)
    }

    /// SHA-256 (hex) of what the request itself does: its events in order, with stream, type, version, payload and
    /// journal lines. Two previews with the same hash differ in ids of what they make, and in instants, and in nothing
    /// else.
    pub fn hash(&self) -> String {
        let mut names = Names::of(&self.before);
        let events: Vec<Value> = self.decision.iter().flat_map(|decision| names.events(decision)).collect();
        // serde_json keeps object keys sorted, so that this is a canonical form.
        hex::encode(Sha256::digest(Value::Array(events).to_string().as_bytes()))
    }
}

impl<S: EventStore, C: Clock> Engine<S, C> {
    /// What a request would do now. Its answer maker is not asked.
    ///
    /// With the command id of the command to come, and at the same instant, the events are those of the commit to the
    /// last byte.
    ///
    /// # Errors
    /// [`EngineError`]: the refusal that the command would get; [`EngineError::Contended`] when others change what is
    /// looked at all the time.
    pub async fn preview(&self, request: Request<'_>) -> Result<Preview, EngineError> {
        let work = UnitOfWork {
            intent: request.intent,
            actor: request.actor,
            command_id: request.command_id,
            clock: self.clock.now().await?,
            if_match: request.if_match,
            idempotency_key: request.idempotency_key,
            traceparent: request.traceparent,
        };
        let mut view = View { loaded: Loaded::new(), from_cache: BTreeSet::new(), queries: 0 };
        let mut looks = 0;
        loop {
            match rehearse(&work, &view.loaded)? {
                Rehearsal::Needs(streams) => self.load(&mut view, &streams, true).await?,
                // No commit checks what was read with several queries: it is read again, with one.
                _ if !view.is_of_one_instant() => {
                    looks += 1;
                    if looks > CONFLICT_RETRIES {
                        return Err(EngineError::Contended);
                    }
                    self.look_again(&mut view).await?;
                }
                Rehearsal::Decided(timers, decision) => {
                    return Ok(Preview { now: work.clock, timers, decision, before: view.loaded });
                }
                Rehearsal::Refused(refusal) => return Err(EngineError::Refused(refusal)),
            }
        }
    }
}

/// How far a unit of work comes on what is known of the log.
enum Rehearsal {
    Needs(Vec<StreamId>),
    Decided(Vec<Decision>, Option<Box<Decision>>),
    Refused(Refusal),
}

/// Plays a unit of work through, its timers included, on a copy of what is known.
fn rehearse(work: &UnitOfWork, known: &Loaded) -> Result<Rehearsal, EngineError> {
    let mut loaded = known.clone();
    let mut timers = Vec::new();
    loop {
        return Ok(match work.step(&loaded) {
            // Also what a stage after a timer needs is asked of the log; then everything is played again.
            Step::Needs(streams) => Rehearsal::Needs(streams),
            Step::Timer(_) if timers.len() >= MAX_TIMERS_PER_REQUEST => return Err(EngineError::Contended),
            Step::Timer(decision) => {
                suppose(&mut loaded, &decision)?;
                timers.push(*decision);
                continue;
            }
            Step::Decided(decision) => Rehearsal::Decided(timers, Some(decision)),
            Step::Unchanged => Rehearsal::Decided(timers, None),
            Step::Refused(refusal) => Rehearsal::Refused(refusal),
        });
    }
}

/// Takes a decision as if it were committed.
fn suppose(loaded: &mut Loaded, decision: &Decision) -> Result<(), StoreError> {
    for (stream, part) in decision.after.iter() {
        loaded.insert(stream.clone(), Arc::clone(part));
    }
    for event in &decision.append.events {
        let Some(write) = decision.append.streams.get(event.stream) else { continue };
        // Streams that were only noted to are not in `after`. Where one is not loaded either, nobody has asked for it:
        // when somebody does, everything is played again with it.
        let noted = decision.after.get(&write.stream).is_none();
        let Some(version) = loaded.get(&write.stream).filter(|_| noted).map(|part| part.version) else { continue };
        let told = StreamEvent {
            stream: write.stream.clone(),
            sequence: version.saturating_add(1),
            event_type: event.event_type.to_string(),
            event_version: event.event_version,
            payload: event.payload.clone(),
            occurred_at: event.metadata.occurred_at,
            by_somebody: event.metadata.actor.is_somebody(),
        };
        loaded.absorb(&[], &[told]).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    }
    Ok(())
}

/// Ids that have to differ, by the order in which they turn up; ids of what is in the log already keep their text.
struct Names {
    known: BTreeSet<String>,
    given: BTreeMap<String, usize>,
}

impl Names {
    fn of(before: &Loaded) -> Self {
        let known = before.iter().filter(|(_, part)| part.version > 0).map(|(stream, _)| stream.aggregate_id.clone());
        Self { known: known.collect(), given: BTreeMap::new() }
    }

    fn events(&mut self, decision: &Decision) -> Vec<Value> {
        let append = &decision.append;
        let shown = append.events.iter().map(|event| {
            let stream = append.streams.get(event.stream).map(|write| &write.stream);
            let id = stream.map(|stream| self.plain(Value::String(stream.aggregate_id.clone())));
            let payload = serde_json::from_str(&event.payload).unwrap_or(Value::Null);
            let mut journal = json!(event.journal);
            if let Value::Object(members) = &mut journal {
                // The day follows from the instant.
                members.remove("value_date");
            }
            json!({
                "aggregate": stream.map(|stream| stream.aggregate_type.as_ref()),
                "id": id,
                "type": event.event_type,
                "version": event.event_version,
                "payload": self.plain(payload),
                "journal": self.plain(journal),
            })
        });
        shown.collect()
    }

    /// The value without what has to differ.
    fn plain(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) if is_id(&text) && !self.known.contains(&text) => {
                let next = self.given.len();
                Value::String(format!("id {}", *self.given.entry(text).or_insert(next)))
            }
            Value::String(text) if DateTime::parse_from_rfc3339(&text).is_ok() => Value::String("instant".to_owned()),
            Value::Array(items) => items.into_iter().map(|item| self.plain(item)).collect(),
            Value::Object(members) => {
                let plain: Map<String, Value> =
                    members.into_iter().map(|(key, value)| (key, self.plain(value))).collect();
                Value::Object(plain)
            }
            other => other,
        }
    }
}

/// Whether the text is an id of ours: three letters, an underscore, a UUID in base 32.
fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, digits)| {
        prefix.len() == 3
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && domain::id::decode_uuid(digits).is_some()
    })
}
