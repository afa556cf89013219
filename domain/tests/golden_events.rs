//! What was ever stored is read: one line of every event type, version and shape, as it was written.
//!
//! Lines of `golden/events.ndjson` are only ever added. A type whose shape changes gets a line of its new shape beside the
//! old ones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use domain::event::{DomainEvent, EVENT_TYPES};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// An event as the log has it.
#[derive(Deserialize)]
struct Stored<'a> {
    event_type: &'a str,
    event_version: u16,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl Stored<'_> {
    fn read(&self) -> DomainEvent {
        let (aggregate_type, _) = self.event_type.split_once('.').unwrap();
        DomainEvent::from_json(aggregate_type, self.event_type, self.event_version, self.payload.get())
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn golden() -> Vec<Stored<'static>> {
    include_str!("golden/events.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether all that was stored is in what is written now.
fn keeps(stored: &Value, written: &Value) -> bool {
    match (stored, written) {
        (Value::Object(stored), Value::Object(written)) => {
            stored.iter().all(|(key, value)| written.get(key).is_some_and(|now| keeps(value, now)))
        }
        (Value::Array(stored), Value::Array(written)) => {
            stored.len() == written.len() && stored.iter().zip(written).all(|(value, now)| keeps(value, now))
        }
        (stored, written) => stored == written,
    }
}

/// Nothing that was stored is lost by reading it, whatever its age.
#[test]
fn every_event_that_was_stored_is_read_as_it_was_meant() {
    for stored in golden() {
        let read = stored.read();
        assert_eq!(read.event_type(), stored.event_type);
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let (before, now) = (value(stored.payload.get()), value(&read.to_json().unwrap()));
        assert!(keeps(&before, &now), "{before} became {now}");
    }
}

/// A new type of event, a new version and a new shape need a line: of each type one is what is written now, byte for byte.
#[test]
fn every_type_has_a_line_of_what_is_written_now() {
    let lines = golden();
    let written_now: BTreeSet<_> = lines
        .iter()
        .filter(|stored| stored.read().to_json().unwrap() == stored.payload.get())
        .map(|stored| (stored.event_type, stored.event_version))
        .collect();
    let types: BTreeSet<_> = EVENT_TYPES.iter().map(|kind| (kind.name, kind.version)).collect();
    assert_eq!(types.difference(&written_now).collect::<Vec<_>>(), Vec::<&(&str, u16)>::new());
    assert!(lines.iter().all(|stored| types.iter().any(|(name, _)| *name == stored.event_type)));
}

/// The comparison above can be seen to fail.
#[test]
fn what_is_lost_is_seen() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let stored = value(r#"{"a":1,"b":[{"c":2}]}"#);
    assert!(keeps(&stored, &value(r#"{"a":1,"b":[{"c":2,"d":3}],"e":4}"#)));
    for less in [r#"{"b":[{"c":2}]}"#, r#"{"a":1,"b":[{}]}"#, r#"{"a":1,"b":[]}"#, r#"{"a":2,"b":[{"c":2}]}"#] {
        assert!(!keeps(&stored, &value(less)), "{less}");
    }
}
