//! The appends that the workload makes, recorded on a log in memory, so that every way to store them stores the same.

use std::sync::{Arc, Mutex, PoisonError};

use adapters::memory::MemoryStore;
use api::engine::Engine;
use domain::log::{
    Append, EventStore, Position, RecordedEvent, StoreError, StoredCommand, StreamEvent, StreamId, Verdict,
};
use domain::ports::Clock;
use domain::time::Timestamp;
use uuid::Uuid;

use crate::BenchError;
use crate::whole::perform;
use crate::workload::Pair;

/// Appends of contracts, and what has to be there before them.
#[derive(Debug, Default)]
pub struct Recording {
    /// Parties: not measured.
    pub setup: Vec<Append>,
    /// One element for each contract: its appends in order.
    pub contracts: Vec<Vec<Append>>,
}

impl Recording {
    /// All commands of all contracts.
    pub fn commands(&self) -> usize {
        self.contracts.iter().map(Vec::len).sum()
    }

    /// All events of all contracts.
    pub fn events(&self) -> usize {
        self.contracts.iter().flatten().map(|append| append.events.len()).sum()
    }
}

/// Runs the workload of so many callers.
///
/// # Errors
/// [`BenchError`] when the rules refuse the workload.
pub async fn record(callers: usize, contracts: usize, now: Timestamp) -> Result<Recording, BenchError> {
    let mut recording = Recording::default();
    let pairs = callers.min(contracts).max(1);
    for pair_number in 0..pairs {
        let store = Arc::new(RecordingStore { inner: MemoryStore::new(now), appended: Mutex::default() });
        let engine = Engine::new(Arc::clone(&store), Frozen(now), 10_000);
        let pair = Pair::new();
        for command in pair.registration() {
            perform(&engine, &command).await?;
        }
        recording.setup.extend(store.take());
        for _ in (pair_number..contracts).step_by(pairs) {
            for command in pair.contract(now)? {
                perform(&engine, &command).await?;
            }
            recording.contracts.push(store.take());
        }
    }
    Ok(recording)
}

/// A clock that stands.
struct Frozen(Timestamp);

impl Clock for Frozen {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.0)
    }
}

/// Remembers what was appended.
struct RecordingStore {
    inner: MemoryStore,
    appended: Mutex<Vec<Append>>,
}

impl RecordingStore {
    fn take(&self) -> Vec<Append> {
        std::mem::take(&mut *self.appended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventStore for RecordingStore {
    async fn append(&self, append: Append) -> Result<Verdict, StoreError> {
        let verdict = self.inner.append_now(&append)?;
        if matches!(verdict, Verdict::Accepted(_)) {
            self.appended.lock().unwrap_or_else(PoisonError::into_inner).push(append);
        }
        Ok(verdict)
    }

    async fn load(&self, streams: &[(StreamId, u64)]) -> Result<Vec<StreamEvent>, StoreError> {
        self.inner.load(streams).await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read(after, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn command(&self, command_id: Uuid) -> Result<Option<StoredCommand>, StoreError> {
        self.inner.command(command_id).await
    }
}
