//! `earnest outbox`: orders to the payment provider, for whoever has to look after them.

use std::io::Write;
use std::sync::Arc;

use adapters::postgres::clock::TenantClock;
use adapters::postgres::outbox::{OrderStatus, Outbox};
use adapters::postgres::{PgStore, inquiry};
use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use domain::time::Timestamp;
use uuid::Uuid;

use super::database::DatabaseOptions;
use super::operator::Failure;
use crate::engine::Engine;
use crate::worker::restore::{self, Comparison, Difference};

/// Orders to the payment provider: look, pause, resume, try again, and compare after a restore.
///
/// Everything that moves money at the provider is an order in the outbox, stored before the call. Its state is one of
///
///   pending   not sent, or the provider has proved that nothing happened
///   unknown   sent, and no usable answer: only the same idempotency key is sent again, and after 23 hours only once a
///             search at the provider has shown that nothing is there
///   done      the outcome is in the log
///   blocked   given up; a task for you: see why with `show`, mend it, then `retry`
///
/// Transfers to payees go one at a time per currency, oldest first: one that waits for money lets the later ones wait.
///
/// After a restore from a backup the provider has done more than the database knows. A restored dump, a copied database
/// and a recovered base backup are noticed: the outbox is paused. A volume that was put back from a snapshot cannot be
/// noticed; say so yourself before the server is started:
///
///   earnest outbox restored     only after a snapshot was put back: pauses the outbox
///   earnest outbox diff         what the provider has, and the database has not
///   earnest outbox reconcile    records what it did of the open orders; sends nothing
///   earnest outbox resume       whatever is still open is searched for once more before it is sent
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct OutboxOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(subcommand)]
    command: OutboxCommand,
}

/// What to do with the outbox.
#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Lists orders, oldest first, and says whether the outbox is paused.
    List {
        /// Only with this status: pending, unknown, done or blocked. Without it: all that are not done.
        #[arg(long)]
        status: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Shows one order: what is ordered, how it stands, and every call that was made for it.
    Show {
        /// The order.
        order_id: Uuid,
    },
    /// Hands no more orders to the workers, on any server. Calls that are under way end.
    Pause,
    /// Hands orders to the workers again.
    Resume,
    /// Has an order tried again that was given up or waits, under the key that it has.
    Retry {
        /// The order.
        order_id: Uuid,
    },
    /// Says that this database was put back to an earlier state: pauses, and distrusts every open order.
    Restored,
    /// Sets how many calls a server makes per second. Give each of several servers its share of the provider's limit.
    Limit {
        /// Calls per second and server. Without it: what is right for one server at Stripe.
        calls_per_second: Option<std::num::NonZeroU32>,
    },
    /// Compares with the provider, and changes nothing.
    Diff {
        #[command(flatten)]
        provider: ProviderOptions,
        /// Look at what the provider did since then (RFC 3339). Default: a day before its events were last read.
        #[arg(long)]
        since: Option<Timestamp>,
    },
    /// Records what the provider did of the orders that are open here. Sends nothing. The outbox has to be paused.
    Reconcile {
        #[command(flatten)]
        provider: ProviderOptions,
    },
}

/// How to reach the provider.
#[derive(Debug, Args)]
struct ProviderOptions {
    /// The payment provider's API, without /v1. Without this: Stripe.
    #[arg(long, env = "EARNEST_PSP_URL")]
    psp_url: Option<String>,
    /// The platform's secret key at the provider; one that may only read will do.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    psp_key: String,
}

impl ProviderOptions {
    fn connect(&self) -> Result<StripeProvider, Failure> {
        let config = StripeConfig { base_url: self.psp_url.clone(), secret_key: Secret::new(&self.psp_key) };
        Ok(StripeProvider::new(&config)?)
    }
}

/// Carries the command out.
///
/// # Errors
/// What went wrong.
pub async fn run(options: OutboxOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let tenant = options.database.tenant.clone();
    let store = Arc::new(PgStore::connect(database.app.clone(), &tenant, 2));
    let outbox = Outbox::new(store.pool().clone(), tenant.as_str());
    let done = carry_out(options.command, &store, &outbox).await;
    store.shutdown().await;
    database.close().await?;
    done
}

async fn carry_out(command: OutboxCommand, store: &Arc<PgStore>, outbox: &Outbox) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match command {
        OutboxCommand::List { status, limit } => list(outbox, status.as_deref(), limit).await?,
        OutboxCommand::Show { order_id } => show(outbox, order_id).await?,
        OutboxCommand::Pause => {
            outbox.pause().await?;
            writeln!(out, "Paused. Nothing is sent until `earnest outbox resume`.")?;
        }
        OutboxCommand::Resume => {
            outbox.resume().await?;
            writeln!(out, "Resumed.")?;
        }
        OutboxCommand::Retry { order_id } => {
            if !outbox.retry(order_id).await? {
                return Err("there is no such order, or it is done".into());
            }
            writeln!(out, "It is tried again, under the key that it has.")?;
        }
        OutboxCommand::Restored => {
            outbox.restored().await?;
            writeln!(out, "Paused. Compare with `earnest outbox diff`, then `reconcile`, then `resume`.")?;
        }
        OutboxCommand::Limit { calls_per_second } => {
            outbox.limit(calls_per_second.map(std::num::NonZeroU32::get)).await?;
            match calls_per_second {
                Some(calls) => writeln!(out, "At most {calls} calls per second and server.")?,
                None => writeln!(out, "As many calls as one server may make.")?,
            }
        }
        OutboxCommand::Diff { provider, since } => {
            let since = match since {
                Some(since) => since,
                None => default_since(store).await?,
            };
            let compared = restore::compare(store.pool(), outbox, &provider.connect()?, since).await?;
            write!(out, "{}", shown(&compared))?;
        }
        OutboxCommand::Reconcile { provider } => {
            if !outbox.is_paused().await? {
                return Err("pause the outbox first: otherwise the workers do the same at the same time".into());
            }
            let clock = TenantClock::open(store.pool().clone()).await?;
            let engine = Engine::new(Arc::clone(store), clock, 0);
            let settled = restore::reconcile(&engine, outbox, &provider.connect()?).await?;
            writeln!(out, "{settled} orders were carried out already, and are recorded.")?;
        }
    }
    Ok(())
}

/// A day before the provider's events were last read: what was read until then, the database knows.
async fn default_since(store: &PgStore) -> Result<Timestamp, Failure> {
    let known = inquiry::backfilled_until(store.pool()).await?;
    let known = known.ok_or("the provider's events were never read here: say --since")?;
    Ok(known - TimeDelta::days(1))
}

async fn list(outbox: &Outbox, status: Option<&str>, limit: usize) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if let Some(why) = outbox.paused_because().await? {
        writeln!(out, "PAUSED: {why}")?;
    }
    let orders = match status {
        Some(status) => outbox.list(Some(status), limit).await?,
        None => outbox.not_done(limit).await?.into_iter().map(|(order, _)| order).collect(),
    };
    for order in &orders {
        writeln!(out, "{}", line(order))?;
    }
    writeln!(out, "{} orders", orders.len())?;
    Ok(())
}

async fn show(outbox: &Outbox, order_id: Uuid) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let (order, what, calls) = outbox.show(order_id).await?.ok_or("there is no such order")?;
    writeln!(out, "{}", line(&order))?;
    writeln!(out, "{}", serde_json::to_string_pretty(&what)?)?;
    for call in calls {
        let digest = call.body_digest.get(..12).unwrap_or_default();
        writeln!(out, "{}  called under {}  digest {digest}", call.created_at, call.idempotency_key)?;
    }
    Ok(())
}

fn line(order: &OrderStatus) -> String {
    let why = order.last_error.as_deref().map_or_else(String::new, |why| format!("  {why}"));
    format!(
        "{}  {:<8}{:<17} {}  attempt {}, {} failures{why}",
        order.order_id, order.status, order.action, order.aggregate_id, order.attempt, order.failures
    )
}

/// A comparison, for people.
pub fn shown(compared: &Comparison) -> String {
    let mut lines = Vec::new();
    for difference in &compared.differences {
        lines.push(match difference {
            Difference::CarriedOut { order, reports } => {
                format!("carried out   {} {}: open here, and there {reports:?}", order.action, order.aggregate_id)
            }
            Difference::Uncertain { order, why } => {
                format!("uncertain     {} {}: {why}", order.action, order.aggregate_id)
            }
            Difference::NotInLog { aggregate, report } => {
                format!("not in log    {aggregate}: ordered after what was restored: {report:?}")
            }
        });
    }
    lines.push(format!(
        "{} differences; {} orders are open, and not there",
        compared.differences.len(),
        compared.not_sent
    ));
    if !compared.complete {
        lines.push("The provider's lists are longer than what was read: say a later --since.".to_owned());
    }
    lines.join("\n") + "\n"
}
