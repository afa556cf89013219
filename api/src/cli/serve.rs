//! `earnest serve` and `earnest sandbox`.

use std::io::Write;
use std::net::SocketAddr;

use adapters::stripe::Secret;
use clap::Args;
use domain::time::Timestamp;

use super::database::DatabaseOptions;
use super::edge::EdgeOptions;
use super::identity::IdentityOptions;
use super::operator::Failure;
use crate::sandbox::{self, SandboxClock, SandboxConfig, WebhookTarget};
use crate::server::{ProviderConfig, Server, ServerConfig};

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(flatten)]
    identity: IdentityOptions,
    #[command(flatten)]
    edge: EdgeOptions,
    /// Where to listen.
    #[arg(long, env = "EARNEST_LISTEN", default_value = "127.0.0.1:8400")]
    listen: SocketAddr,
    /// Starts a new tenant in test mode with its clock at this instant (RFC 3339). It keeps that clock.
    #[arg(long)]
    test_clock: Option<Timestamp>,
    /// The payment provider's API, without /v1. With a key and without this: Stripe.
    #[arg(long, env = "EARNEST_PSP_URL")]
    psp_url: Option<String>,
    /// The platform's secret key at the provider. Without it the built-in provider is started.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    psp_key: Option<String>,
    /// Secrets of the webhook endpoint /v1/psp/webhooks/stripe, separated by commas.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_delimiter = ',')]
    webhook_secret: Vec<String>,
    /// Secrets of the webhook endpoint /v1/psp/webhooks/stripe_connect, separated by commas.
    #[arg(long, env = "STRIPE_CONNECT_WEBHOOK_SECRET", hide_env_values = true, value_delimiter = ',')]
    connect_webhook_secret: Vec<String>,
    /// Where payees come back to from Stripe's own pages; `https://` with a live key.
    #[arg(long, env = "EARNEST_ONBOARDING_RETURN_URL")]
    onboarding_return_url: Option<String>,
    /// Where the built-in provider listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    sandbox_listen: SocketAddr,
    /// Serve with a login that owns the events, and so could change them.
    #[arg(long)]
    allow_owner_login: bool,
}

/// Options of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// The key that clients have to show.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, default_value = "sk_test_earnest")]
    key: String,
    /// Where to send the platform's own events.
    #[arg(long)]
    webhook_url: Option<String>,
    /// What to sign them with.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, default_value = "whsec_earnest")]
    webhook_secret: String,
    /// Where to send events of payees' accounts.
    #[arg(long)]
    connect_webhook_url: Option<String>,
    /// What to sign them with.
    #[arg(
        long,
        env = "STRIPE_CONNECT_WEBHOOK_SECRET",
        hide_env_values = true,
        default_value = "whsec_earnest_connect"
    )]
    connect_webhook_secret: String,
    /// A test clock at this instant (RFC 3339) when the sandbox is new; the system's otherwise.
    #[arg(long)]
    test_clock: Option<Timestamp>,
}

/// Serves until told to stop.
///
/// # Errors
/// What went wrong.
pub async fn serve(options: ServeOptions) -> Result<(), Failure> {
    let identity = options.identity.config(&options.database)?;
    let database = options.database.open().await?;
    let provider = match options.psp_key {
        Some(key) => ProviderConfig::Remote {
            base_url: options.psp_url,
            secret_key: Secret::new(key),
            webhook_secrets: options.webhook_secret.iter().map(Secret::new).collect(),
            connect_webhook_secrets: options.connect_webhook_secret.iter().map(Secret::new).collect(),
            onboarding_return_url: options.onboarding_return_url,
        },
        None if options.psp_url.is_some() => return Err("say --psp-key, too: the provider asks for it".into()),
        None => ProviderConfig::Sandbox {
            listen: options.sandbox_listen,
            database: Box::new(database.owner.clone().ok_or(
                "the built-in provider needs a schema of its own: say --owner-database-url, or --psp-key for a real one",
            )?),
        },
    };
    let config = ServerConfig {
        listen: options.listen,
        database: database.app.clone(),
        tenant: options.database.tenant.clone(),
        test_clock: options.test_clock,
        provider,
        allow_owner: options.allow_owner_login,
    };
    let server = Server::start_at_edge(config, identity, options.edge.config()).await?;
    let mut out = std::io::stdout();
    let url = server.base_url();
    writeln!(out, "Earnest serves the tenant {} on {url}", options.database.tenant)?;
    writeln!(out, "  API reference     {url}/docs")?;
    writeln!(out, "  health, metrics   {url}/readyz  {url}/metrics")?;
    match server.sandbox_url() {
        Some(sandbox) => writeln!(out, "  payment provider  built in, on {sandbox}: no real money moves")?,
        None => writeln!(out, "  payment provider  as configured")?,
    }
    if let Some(key) = server.sandbox_key() {
        writeln!(out, "  its secret key    {key}")?;
    }
    match &database.embedded {
        Some(embedded) => writeln!(out, "  database          built in, in {}", embedded.data_dir().display())?,
        None => writeln!(out, "  database          as configured")?,
    }
    match server.mailbox_url() {
        Some(mailbox) => writeln!(out, "  sign in, mails    {url}/sign-in  {mailbox}")?,
        None => writeln!(out, "  sign in           {url}/sign-in")?,
    }
    writeln!(out, "Make a token with `earnest token --role client`. Stop with Ctrl-C.")?;
    wait_for_stop().await;
    writeln!(out, "Stopping: finishing what was begun.")?;
    server.shutdown().await;
    database.close().await
}

/// Runs the built-in provider until told to stop.
///
/// # Errors
/// What went wrong.
pub async fn sandbox(options: SandboxOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let owner = database.owner.clone().ok_or("say --owner-database-url: the sandbox makes a schema of its own")?;
    let mut config = SandboxConfig::new(options.listen, owner, options.key);
    config.schema = format!("{}_sandbox", options.database.tenant);
    let target = |url: Option<String>, secret: String, connect| url.map(|url| WebhookTarget { url, secret, connect });
    config.webhooks = [
        target(options.webhook_url, options.webhook_secret, false),
        target(options.connect_webhook_url, options.connect_webhook_secret, true),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(now) = options.test_clock {
        config.clock = SandboxClock::Test(now);
    }
    let sandbox = sandbox::start(config).await?;
    writeln!(std::io::stdout(), "The sandbox answers on {}. Stop with Ctrl-C.", sandbox.base_url())?;
    wait_for_stop().await;
    sandbox.shutdown().await;
    database.close().await
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn wait_for_stop() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        // Without it Ctrl-C still stops.
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
