//! The log in memory: the port of [`domain::log::EventStore`] without a database, for simulations.
//!
//! # Invariants
//! - The verdicts are those of the log on Postgres: a command id that is known is a replay, whatever became of the
//!   streams since; events appended with [`Expected::Any`] conflict with nobody; streams read are judged like streams
//!   written.
//! - Positions and sequences have no gaps. An append is there whole or not at all, also when a fault is injected.
//!
//! # What is deliberately absent
//! Durability, a clock of its own (whoever owns it says what time it is), and the floors of accounts that the database
//! checks a second time.

mod fault;
mod log;

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::log::{
    Append, EventStore, Position, RecordedEvent, StoreError, StoredCommand, StreamEvent, StreamId, Verdict,
};
use domain::time::Timestamp;
use uuid::Uuid;

pub use fault::Fault;

use log::Log;

/// A log that lives as long as its process.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    now: Timestamp,
    /// What befalls the next append.
    append_fault: Option<Fault>,
    /// Whether the next reading fails.
    reading_fails: bool,
}

impl MemoryStore {
    /// An empty log; `now` is what its first commits are dated.
    pub fn new(now: Timestamp) -> Self {
        let inner = Inner { log: Log::default(), now, append_fault: None, reading_fails: false };
        Self { inner: Mutex::new(inner) }
    }

    /// Commits are dated with this instant from now on. It never goes back.
    pub fn set_now(&self, now: Timestamp) {
        let mut inner = self.lock();
        inner.now = inner.now.max(now);
    }

    /// The next append fails like this.
    pub fn fail_next_append(&self, fault: Fault) {
        self.lock().append_fault = Some(fault);
    }

    /// The next `load`, `read`, `head` or `command` fails.
    pub fn fail_next_reading(&self) {
        self.lock().reading_fails = true;
    }

    /// [`EventStore::append`], at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a fault was injected; [`StoreError::Corrupt`] for an append that has no events,
    /// names a stream twice or has an event of a stream that it does not name.
    pub fn append_now(&self, append: &Append) -> Result<Verdict, StoreError> {
        let mut inner = self.lock();
        match inner.append_fault.take() {
            Some(Fault::BeforeCommit) => Err(StoreError::Unavailable("injected before the commit".to_owned())),
            Some(Fault::AfterCommit) => {
                let now = inner.now;
                inner.log.append(append, now)?;
                Err(StoreError::Unavailable("injected after the commit".to_owned()))
            }
            None => {
                let now = inner.now;
                inner.log.append(append, now)
            }
        }
    }

    /// [`EventStore::load`], at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a fault was injected.
    pub fn load_now(&self, streams: &[(StreamId, u64)]) -> Result<Vec<StreamEvent>, StoreError> {
        self.lock().reading()?;
        Ok(self.lock().log.load(streams))
    }

    /// [`EventStore::read`], at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a fault was injected.
    pub fn read_now(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.lock().reading()?;
        Ok(self.lock().log.read(after, limit))
    }

    /// [`EventStore::head`], at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a fault was injected.
    pub fn head_now(&self) -> Result<Position, StoreError> {
        self.lock().reading()?;
        Ok(self.lock().log.head())
    }

    /// [`EventStore::command`], at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a fault was injected.
    pub fn command_now(&self, command_id: Uuid) -> Result<Option<StoredCommand>, StoreError> {
        self.lock().reading()?;
        Ok(self.lock().log.command(command_id))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the log whole: an append checks everything before it changes anything.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn reading(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.reading_fails) {
            return Err(StoreError::Unavailable("injected while reading".to_owned()));
        }
        Ok(())
    }
}

impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Verdict, StoreError> {
        self.append_now(&append)
    }

    async fn load(&self, streams: &[(StreamId, u64)]) -> Result<Vec<StreamEvent>, StoreError> {
        self.load_now(streams)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read_now(after, limit)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.head_now()
    }

    async fn command(&self, command_id: Uuid) -> Result<Option<StoredCommand>, StoreError> {
        self.command_now(command_id)
    }
}

#[cfg(test)]
mod tests;
