//! The event store on Postgres: the port, put together.

use std::sync::Arc;

use domain::log::{
    Append, EventStore, Position, RecordedEvent, StoreError, StoredCommand, StreamEvent, StreamId, Verdict,
};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;
use uuid::Uuid;

use super::append::Committer;
use super::connect::{SchemaName, in_schema, tenant_pool};
use super::{load, log_reader};

/// A tenant's log on Postgres.
#[derive(Debug)]
pub struct PgStore {
    pool: PgPool,
    committer: Committer,
    committed: Arc<Notify>,
}

impl PgStore {
    /// Connects lazily, with a pool of `readers` connections and one of the committer's own. Has to be called within a
    /// tokio runtime.
    pub fn connect(options: PgConnectOptions, schema: &SchemaName, readers: u32) -> Self {
        let pool = tenant_pool(options.clone(), schema, readers);
        let told = Arc::new(Notify::new());
        let committer = Committer::start(in_schema(options, schema), Arc::clone(&told));
        Self { pool, committer, committed: told }
    }

    /// The pool for reading and for records.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Told after each batch that this process commits. A hint: other servers commit without it.
    pub fn committed(&self) -> &Arc<Notify> {
        &self.committed
    }

    /// Takes nothing new, commits what waits, and closes the connections.
    pub async fn shutdown(&self) {
        self.committer.shutdown().await;
        self.pool.close().await;
    }
}

impl EventStore for PgStore {
    async fn append(&self, append: Append) -> Result<Verdict, StoreError> {
        match self.committer.append(append).await? {
            Ok(verdict) => Ok(verdict),
            // A replay: what was answered then is asked for outside the committer, which has others to serve.
            Err(command_id) => match self.command(command_id).await? {
                Some(command) => Ok(Verdict::Replayed(command)),
                None => Err(StoreError::Corrupt("a replayed command is not stored".to_owned())),
            },
        }
    }

    async fn load(&self, streams: &[(StreamId, u64)]) -> Result<Vec<StreamEvent>, StoreError> {
        load::load(&self.pool, streams).await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        log_reader::read(&self.pool, after, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        log_reader::head(&self.pool).await
    }

    async fn command(&self, command_id: Uuid) -> Result<Option<StoredCommand>, StoreError> {
        log_reader::command(&self.pool, command_id).await
    }
}
