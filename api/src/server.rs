//! A running server: everything put together, started and stopped in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use adapters::postgres::clock::{ClockError, TenantClock};
use adapters::postgres::inbox::Inbox;
use adapters::postgres::migrate::{self, MigrateError};
use adapters::postgres::outbox::Outbox;
use adapters::postgres::projection::Projector;
use adapters::postgres::{PgStore, SchemaName};
use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use domain::log::StoreError;
use domain::ports::provider::ProviderError;
use domain::time::Timestamp;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::{Notify, RwLock, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::app::{App, Inner};
use crate::edge::{Edge, EdgeConfig, connections};
use crate::engine::Engine;
use crate::identity::{Identity, IdentityConfig, IdentityError};
use crate::router;
use crate::sandbox::{self, Sandbox, SandboxClock, SandboxConfig, SandboxError, WebhookTarget};
use crate::sandbox_control::SandboxControl;
use crate::view::event::TenantLabel;
use crate::worker::{Limited, Workers};

/// Aggregates kept in memory, at least; about 2 kB each.
const CACHED_AGGREGATES: usize = 10_000;

/// Connections for reading and for records, beside the committer's own one.
const POOL: u32 = 12;

/// How the provider is reached.
#[derive(Debug, Clone)]
pub enum ProviderConfig {
    /// The built-in one, started with the server, on this address, in a schema of its own of this database.
    Sandbox {
        /// Where it listens; port 0 takes a free one.
        listen: SocketAddr,
        /// A login that may create its schema.
        database: Box<PgConnectOptions>,
    },
    /// Stripe, or a sandbox that runs elsewhere.
    Remote {
        /// Where its API is; Stripe itself when absent.
        base_url: Option<String>,
        /// The platform's secret key.
        secret_key: Secret,
        /// Secrets of the endpoint for the platform's own notices; several while one is being replaced.
        webhook_secrets: Vec<Secret>,
        /// Secrets of the endpoint for notices about payees' accounts.
        connect_webhook_secrets: Vec<Secret>,
        /// Where payees come back to from the provider's own pages. At Stripe itself no link is made without it.
        onboarding_return_url: Option<String>,
    },
}

/// What a server needs.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The database, with the login that serves.
    pub database: PgConnectOptions,
    /// The tenant: its schema's name.
    pub tenant: SchemaName,
    /// Starts the tenant in test mode, with its clock at this instant, unless it has one already.
    pub test_clock: Option<Timestamp>,
    /// The payment provider.
    pub provider: ProviderConfig,
    /// Serve although the login owns the events.
    pub allow_owner: bool,
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The store does not answer, or is not migrated.
    #[error("{0}\nIs the tenant migrated? `earnest migrate` does it.")]
    Store(#[from] StoreError),
    /// The database refused.
    #[error("the database refused: {0}\nIs the tenant migrated? `earnest migrate` does it.")]
    Database(#[from] sqlx::Error),
    /// Migrating failed.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The test clock cannot be had.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The built-in provider cannot be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The provider's client cannot be made.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The login could change events.
    #[error(
        "this login owns the events, and could change them. Serve with another one:\n\n{sql}\n\nor say --allow-owner-login."
    )]
    OwnerLogin {
        /// What mends it.
        sql: String,
    },
    /// Identity cannot be set up.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system gives no thread.
    #[error("the workers could not be started: {0}")]
    Workers(std::io::Error),
    /// The metrics recorder could not be installed.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(String),
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    app: App,
    workers: Workers,
    sandbox: Option<Sandbox>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts everything. When it returns, requests are served.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running.
    pub async fn start(config: ServerConfig) -> Result<Self, ServeError> {
        Self::start_with(config, IdentityConfig::default()).await
    }

    /// Starts everything, with people coming in as configured. When it returns, requests are served.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running.
    pub async fn start_with(config: ServerConfig, identity: IdentityConfig) -> Result<Self, ServeError> {
        Self::start_at_edge(config, identity, EdgeConfig::default()).await
    }

    /// Starts everything, with people coming in and requests bounded as configured. When it returns, requests are served.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running.
    pub async fn start_at_edge(
        config: ServerConfig,
        identity: IdentityConfig,
        edge: EdgeConfig,
    ) -> Result<Self, ServeError> {
        let metrics = recorder()?;
        let store = Arc::new(PgStore::connect(config.database.clone(), &config.tenant, POOL));
        if !config.allow_owner && migrate::owns_events(store.pool()).await? {
            let sql = format!(
                "create role earnest_app login password '…';\n{}",
                migrate::grants(&config.tenant, "earnest_app")
            );
            return Err(ServeError::OwnerLogin { sql });
        }
        if let Some(now) = config.test_clock {
            TenantClock::start_test_mode(store.pool(), now).await?;
        }
        let clock = TenantClock::open(store.pool().clone()).await?;
        let test_clock = clock.is_test();
        let engine = Engine::new(Arc::clone(&store), clock, CACHED_AGGREGATES);
        let listen_error = |error| ServeError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let provider = connect_provider(&config, address, &engine, test_clock).await?;
        let url = format!("http://{address}");
        let identity = Identity::open(identity, store.pool().clone(), config.tenant.as_str(), url).await?;
        let edge = Edge::new(edge, identity.issuer().starts_with("https:"));
        let client = Limited::new(Arc::new(provider.client));
        let projector = Projector::new(store.pool());
        let app = App::new(Inner {
            engine,
            outbox: Outbox::new(store.pool().clone(), config.tenant.as_str()),
            inbox: Inbox::new(store.pool().clone()),
            notified: Notify::new(),
            clock_moved: Notify::new(),
            clock_moving: RwLock::new(()),
            advancing: AtomicUsize::new(0),
            reached: projector.reached(),
            tenant: TenantLabel { name: config.tenant.as_str().to_owned(), livemode: provider.livemode, test_clock },
            webhook_secrets: provider.webhook_secrets,
            provider: Box::new(client.clone()),
            sandbox: provider.control,
            metrics,
            identity,
            tokens: Mutex::default(),
        });
        let workers = Workers::start(&app, projector, client).map_err(ServeError::Workers)?;
        let (stop, stopped) = watch::channel(false);
        let router = router::router(app.clone(), &edge);
        let serving = tokio::spawn(connections::serve(listener, router, edge, stopped));
        Ok(Self { address, app, workers, sandbox: provider.sandbox, stop, serving })
    }

    /// Where it listens.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the built-in provider listens, and nothing when another one is used.
    pub fn sandbox_url(&self) -> Option<String> {
        self.sandbox.as_ref().map(|sandbox| sandbox.base_url().trim_end_matches('/').to_owned())
    }

    /// The page with the mails that are kept, with the key that opens it; nothing when mails are sent.
    pub fn mailbox_url(&self) -> Option<String> {
        self.app.identity.mailbox().map(|(_, key)| format!("{}/mailbox?key={key}", self.base_url()))
    }

    /// The key that the built-in provider takes. It moves no real money, so whoever runs it may see the key.
    pub fn sandbox_key(&self) -> Option<&str> {
        self.sandbox.as_ref().and(self.app.sandbox.as_ref()).map(SandboxControl::key)
    }

    /// Opens a payee's account at the built-in provider, as the payee would do with the provider's own pages.
    ///
    /// # Errors
    /// When there is no built-in provider, or it does not answer.
    pub async fn sandbox_account(&self, country: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let control = self.app.sandbox.as_ref().ok_or("there is no built-in provider")?;
        Ok(control.open_account(country).await?)
    }

    /// What handlers share.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Finishes the requests that were begun, lets the workers come to their end, and commits what waits.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "serving ended badly");
        }
        self.workers.stop().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
        self.app.engine.store().shutdown().await;
    }
}

/// The provider as the server uses it.
struct Connected {
    client: StripeProvider,
    webhook_secrets: HashMap<String, Vec<Secret>>,
    control: Option<SandboxControl>,
    sandbox: Option<Sandbox>,
    livemode: bool,
}

async fn connect_provider(
    config: &ServerConfig,
    address: SocketAddr,
    engine: &crate::app::TenantEngine,
    test_clock: bool,
) -> Result<Connected, ServeError> {
    let endpoints = |platform: Vec<Secret>, connect: Vec<Secret>| {
        HashMap::from([("stripe".to_owned(), platform), ("stripe_connect".to_owned(), connect)])
    };
    match &config.provider {
        ProviderConfig::Remote {
            base_url,
            secret_key,
            webhook_secrets,
            connect_webhook_secrets,
            onboarding_return_url,
        } => {
            let client =
                StripeProvider::new(&StripeConfig { base_url: base_url.clone(), secret_key: secret_key.clone() })?
                    .returning_to(onboarding_return_url.clone());
            let control = match base_url {
                Some(url) if test_clock => {
                    let control = SandboxControl::new(url.trim_end_matches('/'), secret_key.expose());
                    // Only a sandbox has a clock that can be moved.
                    control.status().await.is_ok().then_some(control)
                }
                _ => None,
            };
            Ok(Connected {
                client,
                webhook_secrets: endpoints(webhook_secrets.clone(), connect_webhook_secrets.clone()),
                control,
                sandbox: None,
                livemode: secret_key.expose().starts_with("sk_live_"),
            })
        }
        ProviderConfig::Sandbox { listen, database } => {
            let key = format!("sk_test_{}", Uuid::new_v4().simple());
            let secret = || format!("whsec_{}", Uuid::new_v4().simple());
            let (platform, connect) = (secret(), secret());
            let url = |endpoint: &str| format!("http://{}/v1/psp/webhooks/{endpoint}", reachable(address));
            let target = |endpoint: &str, secret: &str, connect: bool| WebhookTarget {
                url: url(endpoint),
                secret: secret.to_owned(),
                connect,
            };
            let mut sandbox_config = SandboxConfig::new(*listen, (**database).clone(), key.clone());
            sandbox_config.schema = format!("{}_sandbox", config.tenant);
            sandbox_config.webhooks =
                vec![target("stripe", &platform, false), target("stripe_connect", &connect, true)];
            if test_clock {
                sandbox_config.clock = SandboxClock::Test(engine.now().await?);
            }
            let sandbox = sandbox::start(sandbox_config).await?;
            let base_url = sandbox.base_url().trim_end_matches('/').to_owned();
            let client =
                StripeProvider::new(&StripeConfig { base_url: Some(base_url.clone()), secret_key: Secret::new(&key) })?;
            Ok(Connected {
                client,
                webhook_secrets: endpoints(vec![Secret::new(&platform)], vec![Secret::new(&connect)]),
                control: Some(SandboxControl::new(base_url, key)),
                sandbox: Some(sandbox),
                livemode: false,
            })
        }
    }
}

/// An address that a neighbour can post to: a server that listens everywhere is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}

/// The process's metrics recorder: one for all servers in it.
fn recorder() -> Result<PrometheusHandle, ServeError> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    RECORDER
        .get_or_init(|| PrometheusBuilder::new().install_recorder().map_err(|error| error.to_string()))
        .clone()
        .map_err(ServeError::Metrics)
}
