//! The built-in payment provider: a stand-alone HTTP service that speaks the subset of Stripe's API that Earnest uses.
//!
//! The engine reaches it only as it would reach Stripe: form-encoded requests with a secret key, JSON objects, signed
//! webhooks. It has a schema and a clock of its own, and nothing in it knows the engine's crates.
//!
//! # Invariants
//! - One request, one transaction: objects, balances, events, their deliveries and the answer for the idempotency key
//!   commit together or not at all.
//! - Each balance is the sum of its balance transactions. None is negative, but for a bank that takes money back, and for an
//!   account from which a test took more than it has.
//! - Every stored event is delivered at least once to each endpoint of its kind, also after a restart.
//!
//! # Assumptions
//! Where Stripe's figures depend on country and contract, these are ours, and all of them can be configured: a card
//! payment costs 2.9% + 0.30 ([`FeeRule`]), its funds are available after two days, a payout arrives after one day and is
//! in transit for the second half of it. A bank debit is answered after four days. Of the test cards for refunds, one is answered by its bank after a day, the other
//! gives the money back after nine. A refund that the available balance does not cover is pending until it does.
//!
//! # What is deliberately absent
//! Real money. Manual capture, customers, automatic payouts, conversion of currencies in transfers and payouts; minimum
//! amounts other than the fee; refusal of parameters that it does not know. TLS.

mod accounts;
mod bank_accounts;
mod clock;
mod connected;
mod disputes;
mod events;
mod exchange;
mod faults;
mod fee;
mod form;
mod http;
mod identifier;
mod intents;
mod lists;
mod moves;
mod object;
mod onboarding;
mod order;
mod payouts;
mod reads;
mod refunds;
mod refusal;
mod reversals;
mod rows;
mod settlement;
mod test_card;
mod topups;
mod wall;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use sha2::{Digest, Sha256};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::clock::SandboxClock;
pub use self::events::WebhookTarget;
pub use self::fee::FeeRule;

use self::events::Endpoints;
use self::faults::Faults;
use self::order::{App, KeysUnderWay, Rules};
use self::webhooks::Courier;

/// A sandbox is a neighbour of the engine on one small machine: four connections carry out more orders per second than
/// two cores can sign webhooks for.
const REQUEST_CONNECTIONS: u32 = 4;
/// The workers have one of their own, so that webhooks do not wait behind a queue of requests.
const WORKER_CONNECTIONS: u32 = 1;
/// A request that waits longer for a connection than this is better answered with an error.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a system clock is looked at. Objects are dated in seconds.
const DUE_INTERVAL: Duration = Duration::from_secs(1);

/// What a sandbox needs to run.
#[derive(Clone)]
pub struct SandboxConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The database that has its schema. The login must own the schema, or be allowed to create it.
    pub database: PgConnectOptions,
    /// Its schema: lower-case letters, digits and underscores. Default: `sandbox`.
    pub schema: String,
    /// The key that clients show: `sk_test_…`.
    pub secret_key: String,
    /// Where it sends its events. Deliveries that are waiting from an earlier run go to the target at the same place
    /// among those of its kind.
    pub webhooks: Vec<WebhookTarget>,
    /// What the clock shows when the schema is new; otherwise the stored clock goes on. Default: the system's.
    pub clock: SandboxClock,
    /// What a card payment costs.
    pub fee: FeeRule,
    /// From a charge to the availability of its funds, in whole seconds. Default: two days.
    pub availability_delay: Duration,
    /// From a payout to its arrival, in whole seconds. Default: one day.
    pub arrival_delay: Duration,
    /// From a refund that is pending at the bank to its success, in whole seconds. Default: one day.
    pub refund_delay: Duration,
    /// From the success of a refund that fails later to its failure, in whole seconds. Default: nine days.
    pub refund_failure_delay: Duration,
    /// From the confirmation of a bank debit to its bank's answer, in whole seconds. Default: four days.
    pub debit_delay: Duration,
}

impl SandboxConfig {
    /// A configuration with the defaults, without webhooks.
    pub fn new(listen: SocketAddr, database: PgConnectOptions, secret_key: impl Into<String>) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            listen,
            database,
            schema: "sandbox".to_owned(),
            secret_key: secret_key.into(),
            webhooks: Vec::new(),
            clock: SandboxClock::System,
            fee: FeeRule::default(),
            availability_delay: 2 * DAY,
            arrival_delay: DAY,
            refund_delay: DAY,
            refund_failure_delay: 9 * DAY,
            debit_delay: 4 * DAY,
        }
    }
}

impl std::fmt::Debug for SandboxConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SandboxConfig")
            .field("listen", &self.listen)
            .field("schema", &self.schema)
            .field("webhooks", &self.webhooks)
            .field("clock", &self.clock)
            .field("fee", &self.fee)
            .field("availability_delay", &self.availability_delay)
            .field("arrival_delay", &self.arrival_delay)
            .field("refund_delay", &self.refund_delay)
            .field("refund_failure_delay", &self.refund_failure_delay)
            .field("debit_delay", &self.debit_delay)
            .finish_non_exhaustive()
    }
}

/// A sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The name of the schema is none that needs no quoting.
    #[error("`{0}` is no schema name: use lower-case letters, digits and underscores, at most 63, not a digit first")]
    Schema(String),
    /// The secret key is not one of test mode. The key itself is not shown.
    #[error("the sandbox's secret key must begin with `sk_test_` and go on with printable characters without spaces")]
    SecretKey,
    /// A webhook address that the sandbox does not post to.
    #[error("`{0}` is no webhook address: the sandbox posts to http:// addresses")]
    WebhookUrl(String),
    /// A delay that is too long to be added to a date.
    #[error("the delay of {0:?} is too long: at most a year")]
    Delay(Duration),
    /// The address could not be listened on.
    #[error("the sandbox cannot listen on {address}: {source}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database did not answer as it should.
    #[error("the sandbox's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the sandbox's schema could not be migrated: {0}")]
    Migrate(#[from] MigrateError),
    /// The client that posts webhooks could not be made.
    #[error("the sandbox's webhook client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running sandbox. Dropping it stops it at once; [`shutdown`](Self::shutdown) lets it finish.
#[derive(Debug)]
pub struct Sandbox {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    worker_pool: PgPool,
    app: Arc<App>,
}

impl Sandbox {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// `http://address:port/`, as async-stripe's `ClientBuilder::url` takes it.
    pub fn base_url(&self) -> String {
        format!("http://{}/", self.local_addr)
    }

    /// Stops listening, lets open requests and deliveries end for a few seconds, and closes its connections. Nothing is
    /// lost: what was not delivered is delivered after the next start.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.app.faults.clear(); // Whoever is held back by a fault goes on.
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "sandbox: a worker ended in a panic");
            }
        }
        self.worker_pool.close().await;
        self.app.pool.close().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Starts a sandbox: creates and migrates its schema, listens, and sends what an earlier run left unsent.
///
/// # Errors
/// [`SandboxError`] for a configuration that makes no sense, an address in use, or a database that cannot be used.
pub async fn start(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
    config.check()?;
    let options = config.database.clone().options([("search_path", config.schema.as_str())]);
    create_schema(&config).await?;
    let connect = |connections| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECTION_TIMEOUT)
            .connect_with(options.clone())
    };
    let pool = connect(REQUEST_CONNECTIONS).await?;
    let worker_pool = connect(WORKER_CONNECTIONS).await?;
    sqlx::migrate!("../migrations/sandbox").run(&pool).await?;
    remember_platform_and_clock(&pool, config.clock).await?;

    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| SandboxError::Listen { address: config.listen, source })?;
    let local_addr = listener.local_addr().map_err(|source| SandboxError::Listen { address: config.listen, source })?;
    let (stop, stopping) = watch::channel(false);
    let app = Arc::new(App {
        pool,
        base_url: format!("http://{local_addr}"),
        rules: Rules {
            fee: config.fee,
            availability_delay: config.availability_delay,
            arrival_delay: config.arrival_delay,
            refund_delay: config.refund_delay,
            refund_failure_delay: config.refund_failure_delay,
            debit_delay: config.debit_delay,
        },
        endpoints: Endpoints::new(config.webhooks),
        faults: Arc::new(Faults::default()),
        under_way: KeysUnderWay::default(),
        secret_digest: Sha256::digest(config.secret_key.as_bytes()).into(),
    });
    let courier = Courier {
        pool: worker_pool.clone(),
        endpoints: app.endpoints.clone(),
        faults: Arc::clone(&app.faults),
        client: webhooks::client()?,
    };
    let tasks = vec![
        tokio::spawn(http::serve(listener, http::router(&app), stopping.clone())),
        tokio::spawn(courier.run(stopping.clone())),
        tokio::spawn(watch_clock(worker_pool.clone(), app.endpoints.clone(), stopping)),
    ];
    tracing::info!(address = %local_addr, schema = config.schema, "sandbox listens");
    Ok(Sandbox { local_addr, stop, tasks, worker_pool, app })
}

impl SandboxConfig {
    fn check(&self) -> Result<(), SandboxError> {
        let mut letters = self.schema.bytes();
        let first_fits = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
        let rest_fits = letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
        // 63 is the length of names in Postgres.
        if !first_fits || !rest_fits || self.schema.len() > 63 {
            return Err(SandboxError::Schema(self.schema.clone()));
        }
        let key = self.secret_key.strip_prefix("sk_test_").ok_or(SandboxError::SecretKey)?;
        if key.is_empty() || !key.bytes().all(|letter| letter.is_ascii_graphic() && letter != b':') {
            return Err(SandboxError::SecretKey);
        }
        for target in &self.webhooks {
            let parsed = reqwest::Url::parse(&target.url);
            if !parsed.is_ok_and(|url| url.scheme() == "http" && url.has_host()) {
                return Err(SandboxError::WebhookUrl(target.url.clone()));
            }
        }
        let refunds = [self.refund_delay, self.refund_failure_delay];
        for delay in [self.availability_delay, self.arrival_delay, self.debit_delay].into_iter().chain(refunds) {
            if delay > Duration::from_secs(366 * 24 * 60 * 60) {
                return Err(SandboxError::Delay(delay));
            }
        }
        Ok(())
    }
}

async fn create_schema(config: &SandboxConfig) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&config.database).await?;
    // Asked first, because a login that may use the schema need not be allowed to create one.
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(&config.schema)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        // The name was checked: it needs no quoting.
        let created =
            sqlx::query(&format!("CREATE SCHEMA IF NOT EXISTS {}", config.schema)).execute(&mut connection).await;
        match created {
            // Another sandbox that starts at the same moment was faster.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            other => {
                other?;
            }
        }
    }
    connection.close().await
}

/// Makes the platform's account and the clock when the schema is new.
async fn remember_platform_and_clock(pool: &PgPool, clock: SandboxClock) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin_with(clock::BEGIN_ALONE).await?;
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM sandbox_state)").fetch_one(&mut *tx).await?;
    if !known {
        let (mode, stands_at): (_, Option<DateTime<Utc>>) = match clock {
            SandboxClock::System => ("system", None),
            SandboxClock::Test(now) => ("test", Some(now)),
        };
        let platform = accounts::platform(stands_at.unwrap_or_else(wall::now).trunc_subsecs(0));
        accounts::insert(&mut tx, &platform).await?;
        bank_accounts::add_first(&mut tx, &platform).await?;
        sqlx::query("INSERT INTO sandbox_state (platform_account, clock_mode, clock_now) VALUES ($1, $2, $3)")
            .bind(&platform.id)
            .bind(mode)
            .bind(stands_at)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}

/// Does what is due whenever the clock passes it.
async fn watch_clock(pool: PgPool, endpoints: Endpoints, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(DUE_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = webhooks::stopped(&mut stop) => break,
            _ = tick.tick() => {}
        }
        if let Err(error) = clock::run_due(&pool, &endpoints).await {
            tracing::warn!(%error, "sandbox: what is due could not be done; it is tried again");
        }
    }
}
