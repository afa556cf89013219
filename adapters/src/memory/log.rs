//! Events, streams, scopes and commands, as the tables of the log on Postgres have them.

use std::collections::{BTreeMap, BTreeSet};

use domain::log::{
    Append, Expected, Position, Receipt, RecordedEvent, StoreError, StoredCommand, StreamEvent, StreamId, Verdict,
};
use domain::time::Timestamp;
use uuid::Uuid;

/// The log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// By position, from 1.
    events: Vec<RecordedEvent>,
    streams: BTreeMap<StreamId, Stream>,
    /// The streams filed under each scope.
    scopes: BTreeMap<String, BTreeSet<StreamId>>,
    commands: BTreeMap<Uuid, StoredCommand>,
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct Stream {
    /// Indexes into the events, in order of sequence.
    events: Vec<usize>,
    /// Sequence of the last event that does not commute; 0 when there is none.
    last_firm: u64,
    /// The scope that its first event was filed under.
    scope: Option<String>,
}

impl Stream {
    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether nothing but commuting events came after `version`.
    fn still_at(&self, version: u64) -> bool {
        self.version() >= version && self.last_firm <= version
    }
}

impl Log {
    pub(super) fn append(&mut self, append: &Append, now: Timestamp) -> Result<Verdict, StoreError> {
        check(append)?;
        if let Some(known) = self.commands.get(&append.command_id) {
            return Ok(Verdict::Replayed(known.clone()));
        }
        let written = append.streams.iter().filter_map(|write| match write.expected {
            Expected::At(version) => Some((&write.stream, version)),
            Expected::Any => None,
        });
        let read = append.reads.iter().map(|(stream, version)| (stream, *version));
        if written.chain(read).any(|(stream, version)| !self.still_at(stream, version)) {
            return Ok(Verdict::Conflict);
        }
        // Nothing below can fail.
        let first_position = self.head().saturating_add(1);
        let recorded_at = self.events.last().map_or(now, |last| last.recorded_at.max(now));
        for write in &append.streams {
            let stream = self.streams.entry(write.stream.clone()).or_default();
            if stream.events.is_empty()
                && let Some(scope) = &write.scope
            {
                stream.scope = Some(scope.clone());
                self.scopes.entry(scope.clone()).or_default().insert(write.stream.clone());
            }
        }
        for event in &append.events {
            let Some(write) = append.streams.get(event.stream) else {
                continue;
            };
            let stream = self.streams.entry(write.stream.clone()).or_default();
            stream.events.push(self.events.len());
            if write.expected != Expected::Any {
                stream.last_firm = stream.version();
            }
            self.events.push(RecordedEvent {
                position: (self.events.len() as u64).saturating_add(1),
                stream: write.stream.clone(),
                sequence: stream.version(),
                event_type: event.event_type.clone().into_owned(),
                event_version: event.event_version,
                payload: event.payload.clone(),
                metadata: event.metadata.clone(),
                journal: event.journal.clone(),
                recorded_at,
            });
        }
        let last_position = self.head();
        let stored = StoredCommand { position: last_position, answer: append.answer.clone() };
        self.commands.insert(append.command_id, stored);
        let versions = append.streams.iter().map(|write| self.version(&write.stream)).collect();
        Ok(Verdict::Accepted(Receipt { first_position, last_position, versions }))
    }

    pub(super) fn load(&self, asked: &[(StreamId, u64)]) -> Vec<StreamEvent> {
        let mut wanted: BTreeMap<&StreamId, u64> = asked.iter().map(|(stream, version)| (stream, *version)).collect();
        for (stream, version) in asked {
            let scope = self.streams.get(stream).and_then(|known| known.scope.as_ref());
            if *version == 0
                && let Some(mates) = scope.and_then(|scope| self.scopes.get(scope))
            {
                for mate in mates {
                    wanted.entry(mate).or_insert(0);
                }
            }
        }
        let mut events = Vec::new();
        for (stream, after) in wanted {
            let known = self.streams.get(stream).map_or(&[][..], |known| &known.events);
            let indexes = known.iter().skip(usize::try_from(after).unwrap_or(usize::MAX));
            events.extend(indexes.filter_map(|index| self.events.get(*index)).map(|event| StreamEvent {
                stream: event.stream.clone(),
                sequence: event.sequence,
                event_type: event.event_type.clone(),
                event_version: event.event_version,
                payload: event.payload.clone(),
                occurred_at: event.metadata.occurred_at,
                by_somebody: event.metadata.actor.is_somebody(),
            }));
        }
        events
    }

    pub(super) fn read(&self, after: Position, limit: usize) -> Vec<RecordedEvent> {
        self.events.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(limit).cloned().collect()
    }

    pub(super) fn head(&self) -> Position {
        self.events.len() as u64
    }

    pub(super) fn command(&self, command_id: Uuid) -> Option<StoredCommand> {
        self.commands.get(&command_id).cloned()
    }

    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, Stream::version)
    }

    fn still_at(&self, stream: &StreamId, version: u64) -> bool {
        self.streams.get(stream).map_or(version == 0, |known| known.still_at(version))
    }
}

/// Refuses what is no append at all.
fn check(append: &Append) -> Result<(), StoreError> {
    let names: BTreeSet<&StreamId> = append.streams.iter().map(|write| &write.stream).collect();
    if names.len() != append.streams.len() {
        return Err(StoreError::Corrupt("an append names a stream twice".to_owned()));
    }
    if append.events.is_empty() {
        return Err(StoreError::Corrupt("an append has no events".to_owned()));
    }
    if append.events.iter().any(|event| append.streams.get(event.stream).is_none() || event.payload.contains('\0')) {
        return Err(StoreError::Corrupt("an event has a NUL or names no stream".to_owned()));
    }
    Ok(())
}
