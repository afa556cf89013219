//! The log: what is appended to it, what is read from it, and the port to whatever keeps it.
//!
//! # Invariants
//! - An [`Append`] is all or nothing.
//! - `position` (from 1) is gap-free over the whole log and is commit order; `sequence` (from 1) is gap-free in its
//!   stream; within a stream, sequence order is position order.
//! - A command id is accepted once, for ever.
//!
//! # What is deliberately absent
//! No rule of the business: events are text here. What they mean is [`crate::event`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use ledger::JournalEntry;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Actor;
use crate::authentication::AuthContext;
use crate::id::EventId;
use crate::time::Timestamp;

/// Place of an event in the whole log, from 1; 0 means before the first event.
pub type Position = u64;

/// One stream of events: the history of one aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Which kind of aggregate, such as `milestone`.
    pub aggregate_type: Cow<'static, str>,
    /// Which one, such as `mst_…`.
    pub aggregate_id: String,
}

impl StreamId {
    /// The stream of the aggregate `aggregate_id` of this type.
    pub fn new(aggregate_type: impl Into<Cow<'static, str>>, aggregate_id: impl Into<String>) -> Self {
        Self { aggregate_type: aggregate_type.into(), aggregate_id: aggregate_id.into() }
    }
}

/// As the API shows it: `milestone-mst_…`.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.aggregate_type, self.aggregate_id)
    }
}

/// What must hold of a stream for an append to it to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// No event other than commuting ones (see [`Expected::Any`]) was appended after this version.
    At(u64),
    /// Nothing. The events appended this way *commute*: no decision on the stream can be made wrong by them (credits,
    /// mirrors, notes), so they conflict with nobody and a popular stream is no bottleneck.
    Any,
}

/// A stream that an append writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The condition.
    pub expected: Expected,
    /// The scope that the stream belongs to (a contract's id), so that all streams of a scope can be loaded together.
    /// Recorded with the first event of the stream; `None` for a stream on its own.
    pub scope: Option<String>,
}

/// An event about to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Index into [`Append::streams`].
    pub stream: usize,
    /// Dotted type, such as `milestone.approved`.
    pub event_type: Cow<'static, str>,
    /// Version of the type's shape, from 1.
    pub event_version: u16,
    /// The event as internally tagged JSON; kept as written.
    pub payload: String,
    /// Who, when, why.
    pub metadata: Metadata,
    /// The journal entry of a financial event.
    pub journal: Option<JournalEntry>,
}

/// Everything one command does, committed together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Identity of the command. Appending it again has no effect and answers [`Verdict::Replayed`].
    pub command_id: Uuid,
    /// The streams written, each once.
    pub streams: Vec<StreamWrite>,
    /// Other streams that the decision depended on, with the version seen (0: no event yet). A later event that does
    /// not commute makes the append conflict.
    pub reads: Vec<(StreamId, u64)>,
    /// The events, in the order of their positions. Empty is not allowed.
    pub events: Vec<NewEvent>,
    /// The answer to give to a repeat of the command; `None` for commands of the engine itself.
    pub answer: Option<Answer>,
}

/// The answer to a command, kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Digest of the request (hex); another request under the same command id is refused.
    pub fingerprint: String,
    /// HTTP status.
    pub status: u16,
    /// Body, JSON text.
    pub body: String,
    /// Version of the stream that the path names, for `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Path of what was created, for `Location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A command that was accepted earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCommand {
    /// Position of its last event.
    pub position: Position,
    /// Its answer; `None` for commands of the engine, or once the answer was dropped after its retention.
    pub answer: Option<Answer>,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Committed and durable.
    Accepted(Receipt),
    /// The command id was accepted earlier; nothing was written.
    Replayed(StoredCommand),
    /// A stream written or read has moved on; nothing was written. Load again and decide again.
    Conflict,
}

/// Proof of an accepted append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Position of the first event; the others follow without a gap.
    pub first_position: Position,
    /// Position of the last event.
    pub last_position: Position,
    /// Version that each of [`Append::streams`] has now, in the same order.
    pub versions: Vec<u64>,
}

/// Who, when and why: what the envelope of every event says beside its data. Stored as a flat map of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Identity of the event.
    pub event_id: EventId,
    /// Business time.
    pub occurred_at: Timestamp,
    /// Who acted.
    pub actor: Actor,
    /// The command that caused it.
    pub command_id: Uuid,
    /// What belongs together across commands, such as the contract's id.
    pub correlation_id: String,
    /// The event that this one reacts to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// The caller's `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The fees or periods that decided it, such as `two_sided@1`; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_ref: Option<String>,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// How the one who acted showed who it is; unknown where the engine acted.
    #[serde(flatten)]
    pub auth: AuthContext,
    /// Whatever else stands in the map (events appended through cqrs-es by somebody's own aggregate).
    #[serde(flatten)]
    pub more: BTreeMap<String, String>,
}

/// An event of a stream, as loading an aggregate needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Number in the stream, from 1.
    pub sequence: u64,
    /// Dotted type.
    pub event_type: String,
    /// Version of the type's shape.
    pub event_version: u16,
    /// The event, JSON text as written.
    pub payload: String,
    /// Business time.
    pub occurred_at: Timestamp,
    /// Whether somebody acted, and not the engine itself.
    pub by_somebody: bool,
}

/// An event of the log, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Place in the log, from 1.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Number in the stream, from 1.
    pub sequence: u64,
    /// Dotted type.
    pub event_type: String,
    /// Version of the type's shape.
    pub event_version: u16,
    /// The event, JSON text as written.
    pub payload: String,
    /// Who, when, why.
    pub metadata: Metadata,
    /// The journal entry of a financial event.
    pub journal: Option<JournalEntry>,
    /// Wall-clock instant of the commit.
    pub recorded_at: Timestamp,
}

/// The store could not do what was asked. Says nothing about any rule of the business.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is not reachable or too busy; what was asked has not happened, or its fate is unknown. Asking again
    /// with the same command id is safe.
    #[error("the event store is unavailable: {0}")]
    Unavailable(String),
    /// The store's own check of the books refused the append. A defect of ours, never a way to decide.
    #[error("the books refused the append: {0}")]
    BooksRefused(String),
    /// What is stored cannot be read.
    #[error("an event cannot be read: {0}")]
    Corrupt(String),
}

/// The log, wherever it is kept.
pub trait EventStore: Send + Sync + 'static {
    /// Appends everything or nothing; returns when it is durable.
    ///
    /// The same command id again answers [`Verdict::Replayed`] and writes nothing, also when the first attempt ended in
    /// an error whose outcome is unknown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the outcome is unknown or nothing happened; [`StoreError::BooksRefused`] when
    /// nothing was written because a control total would have been broken.
    fn append(&self, append: Append) -> impl Future<Output = Result<Verdict, StoreError>> + Send;

    /// The events of these streams after the given versions, and, where a stream is asked for from 0 and belongs to a
    /// scope, all events of all streams of that scope, in one round trip. Ordered by stream and sequence.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn load(&self, streams: &[(StreamId, u64)]) -> impl Future<Output = Result<Vec<StreamEvent>, StoreError>> + Send;

    /// Up to `limit` events with positions after `after`, in order, without a gap.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, StoreError>> + Send;

    /// The position of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// The command accepted under this id, if any.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn command(&self, command_id: Uuid) -> impl Future<Output = Result<Option<StoredCommand>, StoreError>> + Send;
}
