//! The verdicts of the log in memory.

use std::collections::BTreeMap;

use domain::actor::{Actor, SystemPart};
use domain::authentication::AuthContext;
use domain::id::EventId;
use domain::log::{Append, Expected, Metadata, NewEvent, Receipt, StoreError, StreamId, StreamWrite, Verdict};
use domain::time::Timestamp;
use uuid::Uuid;

use super::{Fault, MemoryStore};

fn noon() -> Timestamp {
    Timestamp::from_timestamp_millis(1_790_000_000_000).unwrap()
}

fn stream(name: &str) -> StreamId {
    StreamId::new("thing", name)
}

fn write(name: &str, expected: Expected) -> StreamWrite {
    StreamWrite { stream: stream(name), expected, scope: None }
}

/// An append of one event to each of these streams.
fn append(command: u128, streams: Vec<StreamWrite>, reads: Vec<(StreamId, u64)>) -> Append {
    let command_id = Uuid::from_u128(command);
    let events = (0..streams.len())
        .map(|index| NewEvent {
            stream: index,
            event_type: "thing.done".into(),
            event_version: 1,
            payload: "{}".to_owned(),
            metadata: Metadata {
                event_id: EventId::of_command(command_id, index, 0),
                occurred_at: noon(),
                actor: Actor::System(SystemPart::Timer),
                command_id,
                correlation_id: "thing".to_owned(),
                causation_id: None,
                idempotency_key: None,
                policy_ref: None,
                traceparent: None,
                auth: AuthContext::default(),
                more: BTreeMap::new(),
            },
            journal: None,
        })
        .collect();
    Append { command_id, streams, reads, events, answer: None }
}

fn accepted(store: &MemoryStore, append: &Append) -> Receipt {
    match store.append_now(append).unwrap() {
        Verdict::Accepted(receipt) => receipt,
        other => panic!("not accepted: {other:?}"),
    }
}

#[test]
fn positions_and_sequences_have_no_gaps() {
    let store = MemoryStore::new(noon());
    accepted(&store, &append(1, vec![write("a", Expected::At(0)), write("b", Expected::At(0))], vec![]));
    let receipt = accepted(&store, &append(2, vec![write("b", Expected::At(1))], vec![]));
    assert_eq!(receipt, Receipt { first_position: 3, last_position: 3, versions: vec![2] });
    let log: Vec<_> = store.read_now(0, 10).unwrap().iter().map(|event| (event.position, event.sequence)).collect();
    assert_eq!(log, [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(store.read_now(2, 10).unwrap().len(), 1);
}

#[test]
fn a_command_is_accepted_once_whatever_became_of_its_streams() {
    let store = MemoryStore::new(noon());
    let first = append(1, vec![write("a", Expected::At(0))], vec![]);
    accepted(&store, &first);
    accepted(&store, &append(2, vec![write("a", Expected::At(1))], vec![]));
    assert!(matches!(store.append_now(&first).unwrap(), Verdict::Replayed(known) if known.position == 1));
    assert_eq!(store.head_now().unwrap(), 2);
}

#[test]
fn a_stream_that_moved_on_conflicts_also_when_it_was_only_read() {
    let store = MemoryStore::new(noon());
    accepted(&store, &append(1, vec![write("a", Expected::At(0))], vec![]));
    let stale = append(2, vec![write("a", Expected::At(0))], vec![]);
    let ahead = append(3, vec![write("a", Expected::At(2))], vec![]);
    let read = append(4, vec![write("b", Expected::At(0))], vec![(stream("a"), 0)]);
    for late in [stale, ahead, read] {
        assert_eq!(store.append_now(&late).unwrap(), Verdict::Conflict);
    }
    accepted(&store, &append(5, vec![write("b", Expected::At(0))], vec![(stream("a"), 1), (stream("c"), 0)]));
}

#[test]
fn events_that_commute_conflict_with_nobody() {
    let store = MemoryStore::new(noon());
    accepted(&store, &append(1, vec![write("a", Expected::At(0))], vec![]));
    accepted(&store, &append(2, vec![write("a", Expected::Any)], vec![]));
    // Decided at version 1; the note in between does not matter, and the receipt tells of it.
    let receipt = accepted(&store, &append(3, vec![write("a", Expected::At(1))], vec![]));
    assert_eq!(receipt.versions, [3]);
    // But what was firm in between does.
    assert_eq!(store.append_now(&append(4, vec![write("a", Expected::At(2))], vec![])).unwrap(), Verdict::Conflict);
}

#[test]
fn a_scope_comes_along_where_a_stream_is_asked_for_from_its_start() {
    let store = MemoryStore::new(noon());
    let filed = |name, scope: &str| StreamWrite { scope: Some(scope.to_owned()), ..write(name, Expected::At(0)) };
    accepted(&store, &append(1, vec![filed("a", "s"), filed("b", "s"), filed("c", "t")], vec![]));
    let names = |asked: &[(StreamId, u64)]| -> Vec<String> {
        store.load_now(asked).unwrap().into_iter().map(|event| event.stream.aggregate_id).collect()
    };
    assert_eq!(names(&[(stream("a"), 0)]), ["a", "b"]);
    assert_eq!(names(&[(stream("a"), 1)]), Vec::<String>::new());
    assert_eq!(names(&[(stream("a"), 0), (stream("b"), 1)]), ["a"]);
    assert_eq!(names(&[(stream("nobody"), 0)]), Vec::<String>::new());
}

#[test]
fn a_fault_after_the_commit_hides_what_was_written() {
    let store = MemoryStore::new(noon());
    let first = append(1, vec![write("a", Expected::At(0))], vec![]);
    store.fail_next_append(Fault::BeforeCommit);
    assert!(matches!(store.append_now(&first), Err(StoreError::Unavailable(_))));
    assert_eq!(store.head_now().unwrap(), 0);
    store.fail_next_append(Fault::AfterCommit);
    assert!(matches!(store.append_now(&first), Err(StoreError::Unavailable(_))));
    assert_eq!(store.head_now().unwrap(), 1);
    assert!(matches!(store.append_now(&first).unwrap(), Verdict::Replayed(_)));
    store.fail_next_reading();
    assert!(store.load_now(&[]).is_err());
    assert!(store.load_now(&[]).is_ok());
}
