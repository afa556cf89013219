//! Test support: one throw-away server per test process, a database per test.
//!
//! ```no_run
//! # async fn migrate(_: sqlx::postgres::PgConnectOptions) -> Result<(), sqlx::Error> { Ok(()) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use adapters::embedded::testing::TestCluster;
//!
//! let database = TestCluster::shared()?.fresh_database("migrated", |template| migrate(template.owner_options)).await?;
//! let pool = sqlx::PgPool::connect_with(database.app_options).await?;
//! # Ok(()) }
//! ```
//!
//! # Invariants
//! - The server belongs to no runtime: every `#[tokio::test]` has its own, and may end before the others.
//! - It stops, and its directory goes, when the test process ends, however that ends.
//! - No two databases share a name or rows.
//!
//! # What is deliberately absent
//! No removal of single databases (about 8 MB each): they go with the server. No durability: `fsync` is off. A crash of a *process* loses
//! nothing all the same; a test that wants more starts an [`EmbeddedPostgres`] of its own.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use super::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE, connect, grant};

/// Enough for the tests of one crate side by side, each with a few small pools.
const TEST_CONNECTIONS: u16 = 300;

/// A database for a test could not be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TestClusterError {
    /// The server did not start; the same answer for every test of the process.
    #[error(transparent)]
    Server(#[from] Arc<EmbeddedError>),
    /// The thread or the runtime that was to start the server could not be made.
    #[error("the server for tests could not be started: {0}")]
    Runtime(String),
    /// A database could not be created.
    #[error("a database for a test could not be created: {0}")]
    Database(Arc<sqlx::Error>),
    /// The caller's setup of the template failed. It is tried anew by the next call.
    #[error("the setup of template `{template}` failed: {source}")]
    Setup {
        /// The name given to the template.
        template: String,
        /// What the setup returned.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl From<sqlx::Error> for TestClusterError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// A server for the tests of this process.
#[derive(Debug)]
pub struct TestCluster {
    server: EmbeddedPostgres,
    /// By the caller's name: the database that is copied, once it is made.
    templates: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
    created: AtomicU64,
}

/// A database of a test's own, empty or a copy of a template. Stays until the process ends.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Its name.
    pub name: String,
    /// How to connect as its owner.
    pub owner_options: PgConnectOptions,
    /// How to connect as the serving login.
    pub app_options: PgConnectOptions,
    /// How to connect as superuser.
    pub admin_options: PgConnectOptions,
}

impl TestCluster {
    /// The server of this process, started by the first call (about a second, during which other callers wait). May be called from any
    /// runtime, or from none.
    ///
    /// # Errors
    /// [`TestClusterError::Server`] if it cannot be started.
    pub fn shared() -> Result<&'static Self, TestClusterError> {
        static SHARED: OnceLock<Result<TestCluster, TestClusterError>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_detached(test_options())).as_ref().map_err(Clone::clone)
    }

    /// A server of the caller's own, stopped when dropped; for tests that want other options than [`shared`](Self::shared) has.
    ///
    /// # Errors
    /// [`TestClusterError::Server`] if it cannot be started.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, TestClusterError> {
        let server = EmbeddedPostgres::start(options).await.map_err(Arc::new)?;
        Ok(Self { server, templates: Mutex::default(), created: AtomicU64::new(0) })
    }

    /// Starts it in a runtime that is gone afterwards.
    fn start_detached(options: EmbeddedOptions) -> Result<Self, TestClusterError> {
        let failed = |reason: &dyn ToString| TestClusterError::Runtime(reason.to_string());
        let start = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| failed(&error))?.block_on(Self::start(options))
        };
        let thread = thread::Builder::new().name("test-postgres".to_owned()).spawn(start);
        thread.map_err(|error| failed(&error))?.join().map_err(|_| failed(&"its thread panicked"))?
    }

    /// The server, for its port, log and data directory.
    pub fn server(&self) -> &EmbeddedPostgres {
        &self.server
    }

    /// A new database, a copy of the template called `template`. The first call with that name makes the template: an empty database,
    /// handed to `setup` (which migrates it, and may fill it); later calls do not run `setup`. Copying takes about 30 ms.
    ///
    /// Connections that `setup` leaves open are cut.
    ///
    /// # Errors
    /// [`TestClusterError::Setup`] if `setup` fails, [`TestClusterError::Database`] if the server does.
    pub async fn fresh_database<F, Running, E>(
        &self,
        template: &str,
        setup: F,
    ) -> Result<TestDatabase, TestClusterError>
    where
        F: FnOnce(TestDatabase) -> Running,
        Running: Future<Output = Result<(), E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let cell = {
            let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(templates.entry(template.to_owned()).or_default())
        };
        let source = cell
            .get_or_try_init(|| async {
                let database = self.create(None).await?;
                setup(database.clone()).await.map_err(|error| TestClusterError::Setup {
                    template: template.to_owned(),
                    source: Arc::from(error.into()),
                })?;
                self.close(&database.name).await?;
                Ok::<_, TestClusterError>(database.name)
            })
            .await?;
        self.create(Some(source)).await
    }

    /// A new database with nothing in it.
    ///
    /// # Errors
    /// [`TestClusterError::Database`] if the server cannot create it.
    pub async fn empty_database(&self) -> Result<TestDatabase, TestClusterError> {
        self.create(None).await
    }

    async fn create(&self, source: Option<&String>) -> Result<TestDatabase, TestClusterError> {
        let name = format!("test_{}", self.created.fetch_add(1, Ordering::Relaxed));
        // Both names are ours.
        let source = source.map(|source| format!(" TEMPLATE {source}")).unwrap_or_default();
        let mut connection = connect(&self.server.admin_options()).await?;
        let statement = format!("CREATE DATABASE {name} OWNER {OWNER_ROLE}{source}");
        sqlx::raw_sql(&statement).execute(&mut connection).await?;
        grant(&mut connection, &name).await?; // A copy does not copy these.
        connection.close().await?;
        Ok(TestDatabase {
            owner_options: self.server.owner_options().database(&name),
            app_options: self.server.app_options().database(&name),
            admin_options: self.server.admin_options().database(&name),
            name,
        })
    }

    /// A database can only be copied while nobody is connected to it.
    async fn close(&self, name: &str) -> Result<(), TestClusterError> {
        let mut connection = connect(&self.server.admin_options()).await?;
        let statement = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        sqlx::raw_sql(&statement).execute(&mut connection).await?;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
        while sqlx::query_scalar::<_, i64>(cut).bind(name).fetch_one(&mut connection).await? > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connection.close().await?;
        Ok(())
    }
}

/// Nothing of this outlives the process, so nothing has to survive a power cut.
fn test_options() -> EmbeddedOptions {
    EmbeddedOptions {
        fsync: false,
        max_connections: TEST_CONNECTIONS,
        shared_buffers_mib: 64,
        ..EmbeddedOptions::throwaway()
    }
}
