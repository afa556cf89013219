//! Group commit: every append that waits goes to the database in one call of `append_batch`.
//!
//! # Invariants
//! - Appends are answered only after the commit is durable.
//! - Within a batch no append depends on what another one writes: such an append waits for the next batch. Appends that
//!   only note to the same stream (`Expected::Any`) may share a batch.
//! - An append that fails in a batch fails alone: the batch is rolled back and each append tried once by itself. A
//!   database that is away fails the batch as a whole, so that nobody waits for the patience of all the others.
//! - A connection lost during the commit loses nothing and doubles nothing: the batch is sent again, and what had
//!   landed answers as a replay.
//!
//! While one batch is in the database the next one fills, so that under load batches grow by themselves.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::log::{Append, Expected, Receipt, StoreError, StreamId, Verdict};
use ledger::{Account, AccountKind, Floor};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{to_i64, to_u64, unavailable};

/// Most appends of a batch. Throughput does not grow beyond about 300, and the first waits for the last.
const MAX_APPENDS: usize = 512;

/// Most events of a batch.
const MAX_EVENTS: usize = 4096;

/// Most bytes of a batch, so that one call stays far below what a connection should carry at once.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Appends that may wait; beyond it callers wait for a place.
const QUEUE: usize = 8192;

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
    bytes: usize,
    reply: oneshot::Sender<Result<Told, StoreError>>,
}

/// The one writer of a tenant's log in this process.
#[derive(Debug)]
pub struct Committer {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts it. It connects when the first append comes.
    pub fn start(options: PgConnectOptions, committed: Arc<Notify>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let worker = Worker { options, connection: None, committed };
        let task = tokio::spawn(worker.run(receiver));
        Self { queue: Mutex::new(Some(sender)), task: tokio::sync::Mutex::new(Some(task)) }
    }

    /// Appends; see [`domain::log::EventStore::append`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(&self, append: Append) -> Result<Told, StoreError> {
        let bytes = check(&append)?;
        let closed = || StoreError::Unavailable("the store is shutting down".to_owned());
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (reply, told) = oneshot::channel();
        queue.send(Waiting { append, bytes, reply }).await.map_err(|_| closed())?;
        drop(queue);
        told.await.map_err(|_| StoreError::Unavailable("the committer stopped; the outcome is unknown".to_owned()))?
    }

    /// Takes nothing new and commits what waits.
    pub async fn shutdown(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the committer ended badly");
        }
    }
}

/// The size of an append; refuses what would fail a whole batch.
fn check(append: &Append) -> Result<usize, StoreError> {
    let mut bytes: usize = append.answer.as_ref().map_or(0, |answer| answer.body.len());
    for event in &append.events {
        bytes = bytes.saturating_add(event.payload.len()).saturating_add(512);
        // `json` takes the escape, `text` does not take the character.
        if event.payload.contains('\0') || append.streams.get(event.stream).is_none() {
            return Err(StoreError::Corrupt("an event has a NUL or names no stream".to_owned()));
        }
    }
    if append.events.is_empty() || append.events.len() > MAX_EVENTS || bytes > MAX_BYTES {
        return Err(StoreError::Corrupt("an append has no events, or too many".to_owned()));
    }
    Ok(bytes)
}

struct Worker {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    committed: Arc<Notify>,
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Waiting>) {
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match receiver.recv().await {
                    Some(first) => waiting.push_back(first),
                    None => break,
                }
            }
            while waiting.len() < MAX_APPENDS {
                match receiver.try_recv() {
                    Ok(next) => waiting.push_back(next),
                    Err(_) => break,
                }
            }
            let batch = take_batch(&mut waiting);
            self.commit(batch).await;
            self.committed.notify_waiters();
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the committer's connection");
        }
    }

    async fn commit(&mut self, batch: Vec<Waiting>) {
        match self.send(&batch.iter().map(|waiting| &waiting.append).collect::<Vec<_>>()).await {
            Ok(verdicts) => {
                for (waiting, verdict) in batch.into_iter().zip(verdicts) {
                    // A caller that went away does not need the answer: the commit stands.
                    let _ = waiting.reply.send(Ok(verdict));
                }
            }
            Err(Failure::Refused(error)) if batch.len() > 1 => {
                tracing::warn!(%error, appends = batch.len(), "a batch was rolled back; trying each append alone");
                for waiting in batch {
                    let told = self.send(&[&waiting.append]).await.map(|mut verdicts| verdicts.pop());
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
    async fn send(&mut self, appends: &[&Append]) -> Result<Vec<Told>, Failure> {
        let arrays = Arrays::of(appends).map_err(Failure::Refused)?;
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
                    return Arrays::verdicts(appends, &row).map_err(Failure::Away);
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

/// Takes appends off the queue that can share a batch; the others stay in their order.
fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut batch = Vec::new();
    let mut left = VecDeque::new();
    let (mut events, mut bytes) = (0_usize, 0_usize);
    let mut commands: HashSet<Uuid> = HashSet::new();
    // Streams written or read by the batch or by an append that was put aside. `true`: only noted to.
    let mut written: HashMap<StreamId, bool> = HashMap::new();
    let mut read: HashSet<StreamId> = HashSet::new();
    let mut full = false;
    while let Some(next) = waiting.pop_front() {
        full = full
            || batch.len() >= MAX_APPENDS
            || (!batch.is_empty() && events.saturating_add(next.append.events.len()) > MAX_EVENTS)
            || (!batch.is_empty() && bytes.saturating_add(next.bytes) > MAX_BYTES);
        let clashes = commands.contains(&next.append.command_id)
            || next.append.streams.iter().any(|write| {
                let only_notes = write.expected == Expected::Any;
                written.get(&write.stream).is_some_and(|noted| !(*noted && only_notes))
                    || (!only_notes && read.contains(&write.stream))
            })
            || next.append.reads.iter().any(|(stream, _)| written.get(stream) == Some(&false));
        // Also what is put aside counts: nothing later may overtake it on its streams.
        commands.insert(next.append.command_id);
        for write in &next.append.streams {
            let only_notes = write.expected == Expected::Any;
            written.entry(write.stream.clone()).and_modify(|noted| *noted = *noted && only_notes).or_insert(only_notes);
        }
        read.extend(next.append.reads.iter().map(|(stream, _)| stream.clone()));
        if full || clashes {
            left.push_back(next);
        } else {
            events = events.saturating_add(next.append.events.len());
            bytes = bytes.saturating_add(next.bytes);
            batch.push(next);
        }
        if full {
            left.append(waiting);
        }
    }
    *waiting = left;
    batch
}

/// A batch as the arrays that the function takes.
#[derive(Default)]
struct Arrays {
    commands: Vec<Uuid>,
    answers: Vec<Option<String>>,
    event_counts: Vec<i32>,
    stream_append: Vec<i32>,
    stream_type: Vec<String>,
    stream_id: Vec<String>,
    stream_expected: Vec<i64>,
    stream_scope: Vec<Option<String>>,
    read_append: Vec<i32>,
    read_type: Vec<String>,
    read_id: Vec<String>,
    read_version: Vec<i64>,
    event_append: Vec<i32>,
    event_stream: Vec<i32>,
    event_aggregate_type: Vec<String>,
    event_aggregate_id: Vec<String>,
    event_commuting: Vec<bool>,
    event_type: Vec<String>,
    event_version: Vec<String>,
    event_payload: Vec<String>,
    event_metadata: Vec<String>,
    event_journal: Vec<Option<String>>,
    delta_append: Vec<i32>,
    delta_account: Vec<i16>,
    delta_currency: Vec<String>,
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

impl Arrays {
    fn of(appends: &[&Append]) -> Result<Self, StoreError> {
        let json = |error: serde_json::Error| StoreError::Corrupt(error.to_string());
        let mut arrays = Self::default();
        for (number, append) in (1..).zip(appends) {
            arrays.commands.push(append.command_id);
            arrays.answers.push(append.answer.as_ref().map(serde_json::to_string).transpose().map_err(json)?);
            arrays.event_counts.push(index(append.events.len()));
            let first_stream = arrays.stream_append.len();
            for write in &append.streams {
                arrays.stream_append.push(number);
                arrays.stream_type.push(write.stream.aggregate_type.clone().into_owned());
                arrays.stream_id.push(write.stream.aggregate_id.clone());
                arrays.stream_expected.push(match write.expected {
                    Expected::At(version) => to_i64(version),
                    Expected::Any => -1,
                });
                arrays.stream_scope.push(write.scope.clone());
            }
            for (stream, version) in &append.reads {
                arrays.read_append.push(number);
                arrays.read_type.push(stream.aggregate_type.clone().into_owned());
                arrays.read_id.push(stream.aggregate_id.clone());
                arrays.read_version.push(to_i64(*version));
            }
            let mut deltas: HashMap<(Account, &'static str), (i64, i64)> = HashMap::new();
            for event in &append.events {
                // `check` has seen that the stream is there.
                let Some(write) = append.streams.get(event.stream) else {
                    continue;
                };
                arrays.event_append.push(number);
                arrays.event_stream.push(index(first_stream.saturating_add(event.stream).saturating_add(1)));
                arrays.event_aggregate_type.push(write.stream.aggregate_type.clone().into_owned());
                arrays.event_aggregate_id.push(write.stream.aggregate_id.clone());
                arrays.event_commuting.push(write.expected == Expected::Any);
                arrays.event_type.push(event.event_type.clone().into_owned());
                arrays.event_version.push(event.event_version.to_string());
                arrays.event_payload.push(event.payload.clone());
                arrays.event_metadata.push(serde_json::to_string(&event.metadata).map_err(json)?);
                arrays.event_journal.push(event.journal.as_ref().map(serde_json::to_string).transpose().map_err(json)?);
                for posting in event.journal.iter().flat_map(ledger::JournalEntry::postings) {
                    let minor = posting.amount().minor().get();
                    let sums = deltas.entry((posting.account(), posting.amount().currency().code())).or_default();
                    match posting.side() {
                        ledger::Side::Debit => sums.0 = sums.0.saturating_add(minor),
                        ledger::Side::Credit => sums.1 = sums.1.saturating_add(minor),
                    }
                }
            }
            for ((account, currency), (debit, credit)) in deltas {
                arrays.delta_append.push(number);
                arrays.delta_account.push(account.number());
                arrays.delta_currency.push(currency.to_owned());
                arrays.delta_floor.push(floor_sign(account));
                arrays.delta_debit.push(debit);
                arrays.delta_credit.push(credit);
            }
        }
        Ok(arrays)
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

    /// Positions and versions, which follow from the head, the bases and the verdicts.
    fn verdicts(appends: &[&Append], row: &sqlx::postgres::PgRow) -> Result<Vec<Told>, StoreError> {
        let head: i64 = row.try_get("head").map_err(unavailable)?;
        let verdicts: Vec<i32> = row.try_get("verdicts").map_err(unavailable)?;
        let bases: Vec<i64> = row.try_get("bases").map_err(unavailable)?;
        let mut position = to_u64(head);
        let mut versions: HashMap<&StreamId, u64> = HashMap::new();
        let mut bases = bases.into_iter();
        let mut told = Vec::with_capacity(appends.len());
        for (append, verdict) in appends.iter().zip(verdicts) {
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
}
