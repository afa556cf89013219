//! Group commit: every append that waits goes to the database in one call of `append_batch`.
//!
//! # Invariants
//! - Appends are answered only after the commit is durable.
//! - Within what is under way no append depends on what another one writes: such an append waits. Appends that only note
//!   to the same stream (`Expected::Any`) may go together.
//! - An append that fails in a batch fails alone: the batch is rolled back and each append tried once by itself. A
//!   database that is away fails the batch as a whole, so that nobody waits for the patience of all the others.
//! - A connection lost during the commit loses nothing and doubles nothing: the batch is sent again, and what had
//!   landed answers as a replay.
//!
//! While one batch is in the database the next one fills, so that under load batches grow by themselves. The committer
//! has a thread of its own: everybody waits for it, so it waits for nobody's turn. What can be done before is done by the
//! callers: an append comes as text ([`Prepared`]). When very many wait, further batches are sent on connections of their
//! own: the log's head is locked by one of them at a time, but sending and reading the one overlaps with storing the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::log::{Append, Expected, Receipt, StoreError, StreamId, Verdict};
use ledger::{Account, AccountKind, Floor};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::background::Background;
use super::{to_i64, to_u64, unavailable};

/// Most appends of a batch. Throughput does not grow beyond about 300, and the first waits for the last.
const MAX_APPENDS: usize = 512;

/// Batches under way at a time. Two were measured as well: the difference is within the noise.
const LANES: usize = 3;

/// Appends that have to wait for a further batch to be sent: each batch costs something of its own. Chosen, not measured.
const DEEP: usize = 100;

/// Most events of a batch.
const MAX_EVENTS: usize = 4096;

/// Most bytes of a batch, so that one call stays far below what a connection should carry at once.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Appends that may wait; beyond it callers wait for a place.
const QUEUE: usize = 8192;

/// Why nothing is taken after the end.
const CLOSED: &str = "the store is shutting down";

/// How often a batch is sent again after a lost connection, and how long to wait before each.
const RECONNECTS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// A verdict; `Err` is a replay of the command with this id, whose answer is still to be read.
type Told = Result<Verdict, Uuid>;

struct Waiting {
    append: Append,
    prepared: Prepared,
    reply: oneshot::Sender<Result<Told, StoreError>>,
}

/// The one writer of a tenant's log in this process.
#[derive(Debug)]
pub struct Committer {
    /// Where to put appends, or why none is taken.
    queue: Mutex<Result<mpsc::Sender<Waiting>, String>>,
    task: tokio::sync::Mutex<Option<Background>>,
}

impl Committer {
    /// Starts it. It connects when the first append comes. A system that gives no thread is told by every append.
    pub fn start(options: PgConnectOptions, committed: Arc<Notify>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let worker = Worker { options, committed, idle: Vec::new() };
        let (queue, task) = match Background::start("earnest-commit", move || worker.run(receiver)) {
            Ok(task) => (Ok(sender), Some(task)),
            Err(error) => (Err(format!("the committer could not be started: {error}")), None),
        };
        Self { queue: Mutex::new(queue), task: tokio::sync::Mutex::new(task) }
    }

    /// Appends; see [`domain::log::EventStore::append`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(&self, append: Append) -> Result<Told, StoreError> {
        let prepared = Prepared::of(&append)?;
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.map_err(StoreError::Unavailable)?;
        let (reply, told) = oneshot::channel();
        queue
            .send(Waiting { append, prepared, reply })
            .await
            .map_err(|_| StoreError::Unavailable(CLOSED.to_owned()))?;
        drop(queue);
        told.await.map_err(|_| StoreError::Unavailable("the committer stopped; the outcome is unknown".to_owned()))?
    }

    /// Takes nothing new and commits what waits.
    pub async fn shutdown(&self) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Err(CLOSED.to_owned());
        if let Some(task) = self.task.lock().await.take() {
            task.ended().await;
        }
    }
}

/// What an append is in the database, as far as that can be said before its batch is known.
struct Prepared {
    answer: Option<String>,
    events: Vec<PreparedEvent>,
    /// What it does to the totals of each account and currency: account, floor, debits, credits.
    deltas: Vec<(Account, &'static str, i64, i64)>,
    bytes: usize,
}

struct PreparedEvent {
    version: String,
    metadata: String,
    journal: Option<String>,
}

impl Prepared {
    /// Refuses what would fail a whole batch.
    fn of(append: &Append) -> Result<Self, StoreError> {
        let json = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
        let answer = append.answer.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
        let mut bytes: usize = answer.as_ref().map_or(0, String::len);
        let mut events = Vec::with_capacity(append.events.len());
        let mut deltas: Vec<(Account, &'static str, i64, i64)> = Vec::new();
        for event in &append.events {
            // `json` takes the escape, `text` does not take the character.
            if event.payload.contains('\0') || append.streams.get(event.stream).is_none() {
                return Err(StoreError::Corrupt("an event has a NUL or names no stream".to_owned()));
            }
            let metadata = serde_json::to_string(&event.metadata).map_err(json)?;
            let journal = event.journal.as_ref().map(serde_json::to_string).transpose().map_err(json)?;
            bytes = [event.payload.len(), metadata.len(), journal.as_ref().map_or(0, String::len), 128]
                .into_iter()
                .fold(bytes, usize::saturating_add);
            events.push(PreparedEvent { version: event.event_version.to_string(), metadata, journal });
            for posting in event.journal.iter().flat_map(ledger::JournalEntry::postings) {
                let minor = posting.amount().minor().get();
                let (account, currency) = (posting.account(), posting.amount().currency().code());
                let place = deltas.iter().position(|delta| (delta.0, delta.1) == (account, currency));
                let place = place.unwrap_or_else(|| {
                    deltas.push((account, currency, 0, 0));
                    deltas.len().saturating_sub(1)
                });
                let Some((_, _, debit, credit)) = deltas.get_mut(place) else { continue };
                match posting.side() {
                    ledger::Side::Debit => *debit = debit.saturating_add(minor),
                    ledger::Side::Credit => *credit = credit.saturating_add(minor),
                }
            }
        }
        if append.events.is_empty() || append.events.len() > MAX_EVENTS || bytes > MAX_BYTES {
            return Err(StoreError::Corrupt("an append has no events, or too many".to_owned()));
        }
        Ok(Self { answer, events, deltas, bytes })
    }
}

struct Worker {
    options: PgConnectOptions,
    committed: Arc<Notify>,
    /// Connections that carry nothing at the moment.
    idle: Vec<Lane>,
}

/// A connection, and how to have another one when it is lost.
struct Lane {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting>) {
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut under_way: JoinSet<(Lane, u64)> = JoinSet::new();
        let mut touched: Vec<(u64, Touched)> = Vec::new();
        let mut batches = 0_u64;
        let mut open = true;
        while open || !waiting.is_empty() || !under_way.is_empty() {
            while open && waiting.len() < MAX_APPENDS {
                match receiver.try_recv() {
                    Ok(next) => waiting.push_back(next),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => open = false,
                }
            }
            let enough = if under_way.is_empty() { 1 } else { DEEP };
            if under_way.len() < LANES && waiting.len() >= enough {
                let (batch, of_batch) = take_batch(&mut waiting, &touched);
                if !batch.is_empty() {
                    batches = batches.wrapping_add(1);
                    touched.push((batches, of_batch));
                    let lane = self.idle.pop();
                    let mut lane = lane.unwrap_or_else(|| Lane { options: self.options.clone(), connection: None });
                    let number = batches;
                    under_way.spawn(async move {
                        lane.commit(batch).await;
                        (lane, number)
                    });
                }
            }
            tokio::select! {
                next = receiver.recv(), if open && waiting.len() < MAX_APPENDS => match next {
                    Some(next) => waiting.push_back(next),
                    None => open = false,
                },
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                    match ended {
                        Ok((lane, number)) => {
                            touched.retain(|(batch, _)| *batch != number);
                            self.idle.push(lane);
                        }
                        Err(error) => {
                            // Its callers are told that the outcome is unknown: their replies were dropped with it.
                            tracing::error!(%error, "a commit ended badly");
                            if under_way.is_empty() {
                                touched.clear();
                            }
                        }
                    }
                    self.committed.notify_waiters();
                }
                else => {}
            }
        }
        for lane in self.idle {
            if let Some(connection) = lane.connection
                && let Err(error) = connection.close().await
            {
                tracing::debug!(%error, "closing the committer's connection");
            }
        }
    }
}

impl Lane {
    async fn commit(&mut self, batch: Vec<Waiting>) {
        match self.send(&batch.iter().collect::<Vec<_>>()).await {
            Ok(verdicts) => {
                for (waiting, verdict) in batch.into_iter().zip(verdicts) {
                    // A caller that went away does not need the answer: the commit stands.
                    let _ = waiting.reply.send(Ok(verdict));
                }
            }
            Err(Failure::Refused(error)) if batch.len() > 1 => {
                tracing::warn!(%error, appends = batch.len(), "a batch was rolled back; trying each append alone");
                for waiting in batch {
                    let told = self.send(&[&waiting]).await.map(|mut verdicts| verdicts.pop());
                    let _ = waiting.reply.send(match told {
                        Ok(Some(verdict)) => Ok(verdict),
                        Ok(None) => Err(StoreError::Corrupt("a batch without verdicts".to_owned())),
                        Err(Failure::Refused(error) | Failure::Away(error)) => Err(error),
                    });
                }
            }
            Err(Failure::Refused(error) | Failure::Away(error)) => {
                for waiting in batch {
                    let again = match &error {
                        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
                        StoreError::BooksRefused(text) => StoreError::BooksRefused(text.clone()),
                        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
                    };
                    tracing::error!(command_id = %waiting.append.command_id, error = %again, "an append failed");
                    let _ = waiting.reply.send(Err(again));
                }
            }
        }
    }

    /// One call of the function, again over a new connection when the old one is lost.
    async fn send(&mut self, batch: &[&Waiting]) -> Result<Vec<Told>, Failure> {
        let arrays = Arrays::of(batch);
        let mut last = StoreError::Unavailable("not tried".to_owned());
        for pause in RECONNECTS {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => match PgConnection::connect_with(&self.options).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        last = unavailable(error);
                        continue;
                    }
                },
            };
            match arrays.call(&mut connection).await {
                Ok(row) => {
                    self.connection = Some(connection);
                    return verdicts(batch, &row).map_err(Failure::Away);
                }
                Err(sqlx::Error::Database(error)) => {
                    let code = error.code().unwrap_or_default().into_owned();
                    // 57P: the server is going down; 53: out of connections, memory or disk.
                    if code.starts_with("57P") || code.starts_with("53") || code.starts_with("40") {
                        last = StoreError::Unavailable(error.to_string());
                        continue;
                    }
                    self.connection = Some(connection);
                    let books = code == "EB001" || error.constraint() == Some("control_balances_floor");
                    let text = error.to_string();
                    return Err(Failure::Refused(if books {
                        StoreError::BooksRefused(text)
                    } else {
                        StoreError::Unavailable(text)
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "the committer lost its connection; sending again");
                    last = unavailable(error);
                }
            }
        }
        Err(Failure::Away(last))
    }
}

/// Why a batch was not answered.
enum Failure {
    /// The database said no: some append in it cannot be stored.
    Refused(StoreError),
    /// The database did not answer, however often it was asked.
    Away(StoreError),
}

/// What appends write, read and are: nothing that depends on it may be under way together with them.
#[derive(Default)]
struct Touched {
    commands: HashSet<Uuid>,
    /// `true`: only noted to.
    written: HashMap<StreamId, bool>,
    read: HashSet<StreamId>,
}

impl Touched {
    fn clashes(&self, append: &Append) -> bool {
        self.commands.contains(&append.command_id)
            || append.streams.iter().any(|write| {
                let only_notes = write.expected == Expected::Any;
                self.written.get(&write.stream).is_some_and(|noted| !(*noted && only_notes))
                    || (!only_notes && self.read.contains(&write.stream))
            })
            || append.reads.iter().any(|(stream, _)| self.written.get(stream) == Some(&false))
    }

    fn add(&mut self, append: &Append) {
        self.commands.insert(append.command_id);
        for write in &append.streams {
            let notes = write.expected == Expected::Any;
            self.written.entry(write.stream.clone()).and_modify(|noted| *noted = *noted && notes).or_insert(notes);
        }
        self.read.extend(append.reads.iter().map(|(stream, _)| stream.clone()));
    }
}

/// Takes appends off the queue that can share a batch and clash with nothing under way; the others stay in their order.
fn take_batch(waiting: &mut VecDeque<Waiting>, under_way: &[(u64, Touched)]) -> (Vec<Waiting>, Touched) {
    let (mut batch, mut left) = (Vec::new(), VecDeque::new());
    let (mut events, mut bytes) = (0_usize, 0_usize);
    // Also what is put aside counts: nothing later may overtake it on its streams.
    let (mut taken, mut aside) = (Touched::default(), Touched::default());
    while let Some(next) = waiting.pop_front() {
        let full = batch.len() >= MAX_APPENDS
            || (!batch.is_empty() && events.saturating_add(next.append.events.len()) > MAX_EVENTS)
            || (!batch.is_empty() && bytes.saturating_add(next.prepared.bytes) > MAX_BYTES);
        if full {
            left.push_back(next);
            left.append(waiting);
            break;
        }
        let clashes = taken.clashes(&next.append)
            || aside.clashes(&next.append)
            || under_way.iter().any(|(_, touched)| touched.clashes(&next.append));
        if clashes {
            aside.add(&next.append);
            left.push_back(next);
        } else {
            taken.add(&next.append);
            events = events.saturating_add(next.append.events.len());
            bytes = bytes.saturating_add(next.prepared.bytes);
            batch.push(next);
        }
    }
    *waiting = left;
    (batch, taken)
}

/// A batch as the arrays that the function takes.
#[derive(Default)]
struct Arrays<'a> {
    commands: Vec<Uuid>,
    answers: Vec<Option<&'a str>>,
    event_counts: Vec<i32>,
    stream_append: Vec<i32>,
    stream_type: Vec<&'a str>,
    stream_id: Vec<&'a str>,
    stream_expected: Vec<i64>,
    stream_scope: Vec<Option<&'a str>>,
    read_append: Vec<i32>,
    read_type: Vec<&'a str>,
    read_id: Vec<&'a str>,
    read_version: Vec<i64>,
    event_append: Vec<i32>,
    event_stream: Vec<i32>,
    event_aggregate_type: Vec<&'a str>,
    event_aggregate_id: Vec<&'a str>,
    event_commuting: Vec<bool>,
    event_type: Vec<&'a str>,
    event_version: Vec<&'a str>,
    event_payload: Vec<&'a str>,
    event_metadata: Vec<&'a str>,
    event_journal: Vec<Option<&'a str>>,
    delta_append: Vec<i32>,
    delta_account: Vec<i16>,
    delta_currency: Vec<&'a str>,
    delta_floor: Vec<i16>,
    delta_debit: Vec<i64>,
    delta_credit: Vec<i64>,
}

/// How `control_balances` writes the floor of an account.
pub(crate) fn floor_sign(account: Account) -> i16 {
    match (account.floor(), account.kind()) {
        (Floor::NonNegative, AccountKind::Asset | AccountKind::Expense) => 1,
        (Floor::NonNegative, AccountKind::Liability | AccountKind::Equity | AccountKind::Revenue) => -1,
        (Floor::AlertBelowZero | Floor::None, _) => 0,
    }
}

fn index(value: usize) -> i32 {
    // At most MAX_EVENTS of anything but streams, which are no more than events.
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl<'a> Arrays<'a> {
    fn of(batch: &[&'a Waiting]) -> Self {
        let mut arrays = Self::default();
        for (number, Waiting { append, prepared, .. }) in (1..).zip(batch) {
            arrays.commands.push(append.command_id);
            arrays.answers.push(prepared.answer.as_deref());
            arrays.event_counts.push(index(append.events.len()));
            let first_stream = arrays.stream_append.len();
            for write in &append.streams {
                arrays.stream_append.push(number);
                arrays.stream_type.push(&write.stream.aggregate_type);
                arrays.stream_id.push(&write.stream.aggregate_id);
                arrays.stream_expected.push(match write.expected {
                    Expected::At(version) => to_i64(version),
                    Expected::Any => -1,
                });
                arrays.stream_scope.push(write.scope.as_deref());
            }
            for (stream, version) in &append.reads {
                arrays.read_append.push(number);
                arrays.read_type.push(&stream.aggregate_type);
                arrays.read_id.push(&stream.aggregate_id);
                arrays.read_version.push(to_i64(*version));
            }
            for (event, texts) in append.events.iter().zip(&prepared.events) {
                // `Prepared` has seen that the stream is there.
                let Some(write) = append.streams.get(event.stream) else {
                    continue;
                };
                arrays.event_append.push(number);
                arrays.event_stream.push(index(first_stream.saturating_add(event.stream).saturating_add(1)));
                arrays.event_aggregate_type.push(&write.stream.aggregate_type);
                arrays.event_aggregate_id.push(&write.stream.aggregate_id);
                arrays.event_commuting.push(write.expected == Expected::Any);
                arrays.event_type.push(&event.event_type);
                arrays.event_version.push(&texts.version);
                arrays.event_payload.push(&event.payload);
                arrays.event_metadata.push(&texts.metadata);
                arrays.event_journal.push(texts.journal.as_deref());
            }
            for (account, currency, debit, credit) in &prepared.deltas {
                arrays.delta_append.push(number);
                arrays.delta_account.push(account.number());
                arrays.delta_currency.push(currency);
                arrays.delta_floor.push(floor_sign(*account));
                arrays.delta_debit.push(*debit);
                arrays.delta_credit.push(*credit);
            }
        }
        arrays
    }

    async fn call(&self, connection: &mut PgConnection) -> Result<sqlx::postgres::PgRow, sqlx::Error> {
        sqlx::query(
            "select head, verdicts, bases from append_batch(
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                $23, $24, $25, $26, $27, $28)",
        )
        .bind(&self.commands)
        .bind(&self.answers)
        .bind(&self.event_counts)
        .bind(&self.stream_append)
        .bind(&self.stream_type)
        .bind(&self.stream_id)
        .bind(&self.stream_expected)
        .bind(&self.stream_scope)
        .bind(&self.read_append)
        .bind(&self.read_type)
        .bind(&self.read_id)
        .bind(&self.read_version)
        .bind(&self.event_append)
        .bind(&self.event_stream)
        .bind(&self.event_aggregate_type)
        .bind(&self.event_aggregate_id)
        .bind(&self.event_commuting)
        .bind(&self.event_type)
        .bind(&self.event_version)
        .bind(&self.event_payload)
        .bind(&self.event_metadata)
        .bind(&self.event_journal)
        .bind(&self.delta_append)
        .bind(&self.delta_account)
        .bind(&self.delta_currency)
        .bind(&self.delta_floor)
        .bind(&self.delta_debit)
        .bind(&self.delta_credit)
        .fetch_one(connection)
        .await
    }
}

/// Positions and versions, which follow from the head, the bases and the verdicts.
fn verdicts(batch: &[&Waiting], row: &sqlx::postgres::PgRow) -> Result<Vec<Told>, StoreError> {
    let head: i64 = row.try_get("head").map_err(unavailable)?;
    let verdicts: Vec<i32> = row.try_get("verdicts").map_err(unavailable)?;
    let bases: Vec<i64> = row.try_get("bases").map_err(unavailable)?;
    let mut position = to_u64(head);
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    let mut bases = bases.into_iter();
    let mut told = Vec::with_capacity(batch.len());
    for (Waiting { append, .. }, verdict) in batch.iter().zip(verdicts) {
        let own_bases: Vec<i64> = bases.by_ref().take(append.streams.len()).collect();
        told.push(match verdict {
            0 => {
                for (write, base) in append.streams.iter().zip(own_bases) {
                    versions.entry(&write.stream).or_insert(to_u64(base));
                }
                for event in &append.events {
                    if let Some(version) =
                        append.streams.get(event.stream).and_then(|write| versions.get_mut(&write.stream))
                    {
                        *version = version.saturating_add(1);
                    }
                }
                let first_position = position.saturating_add(1);
                position = position.saturating_add(append.events.len() as u64);
                Ok(Verdict::Accepted(Receipt {
                    first_position,
                    last_position: position,
                    versions: append
                        .streams
                        .iter()
                        .map(|write| versions.get(&write.stream).copied().unwrap_or(0))
                        .collect(),
                }))
            }
            1 => Err(append.command_id),
            _ => Ok(Verdict::Conflict),
        });
    }
    Ok(told)
}
