//! `earnest inbox`: notices of the payment provider, for whoever has to look after them.

use std::io::Write;

use adapters::postgres::inbox::{FiledNotice, Inbox, Which};
use adapters::postgres::{task, tenant_pool};
use clap::{Args, Subcommand};

use super::database::DatabaseOptions;
use super::operator::Failure;

/// Notices of the payment provider: look, and have them worked on again.
///
/// Every webhook with a good signature is kept for ever, once, with the number of its deliveries. Its state is one of
///
///   received   to be worked on: the object is looked up at the provider, and what is so is recorded
///   done       recorded
///   foreign    looked up, and about nothing of ours
///   kept       of a kind that tells us nothing
///   mismatch   genuine, but of the other mode or for another endpoint; never worked on: find out who sends it
///   blocked    looked up five times within 36 minutes, and its object is not known here: a task for you
///
/// Working on a notice again is harmless: what is recorded already is not recorded twice.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct InboxOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    #[command(subcommand)]
    command: InboxCommand,
}

/// What to do with the inbox.
#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// Lists notices, newest first.
    List {
        /// Only with this status.
        #[arg(long)]
        status: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Shows one notice with its body. The body may hold personal data.
    Show {
        /// Its number in the inbox, or the provider's id (`evt_…`).
        id: String,
    },
    /// Has notices worked on again: one, a range, or all that are blocked.
    Reprocess {
        /// The number of the first.
        #[arg(required_unless_present = "blocked")]
        from: Option<i64>,
        /// The number of the last; the same as the first when absent.
        to: Option<i64>,
        /// All that are blocked.
        #[arg(long, conflicts_with = "from")]
        blocked: bool,
    },
    /// Lists what a person has to look at, about webhooks and orders, oldest first.
    Tasks,
    /// Closes a task of that list. It opens again when its reason is seen again.
    Close {
        /// Its kind, as listed.
        kind: String,
        /// Its subject, as listed.
        subject: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What went wrong.
pub async fn run(options: InboxOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 2);
    let inbox = Inbox::new(pool.clone());
    let mut out = std::io::stdout();
    match options.command {
        InboxCommand::List { status, limit } => {
            for notice in inbox.list(status.as_deref(), limit).await? {
                writeln!(out, "{}", line(&notice))?;
            }
            writeln!(out, "{} notices are to be worked on", inbox.open().await?)?;
        }
        InboxCommand::Show { id } => {
            let (notice, raw) = inbox.show(&id).await?.ok_or("there is no such notice")?;
            writeln!(out, "{}", line(&notice))?;
            writeln!(out, "{}", String::from_utf8_lossy(&raw))?;
        }
        InboxCommand::Reprocess { from, to, blocked } => {
            let which = match from {
                Some(from) if !blocked => Which::Range(from, to.unwrap_or(from)),
                _ => Which::Blocked,
            };
            let count = inbox.reprocess(which).await?;
            writeln!(out, "{count} notices are worked on again.")?;
        }
        InboxCommand::Tasks => {
            let tasks = task::list(&pool, 1_000).await?;
            for task in &tasks {
                let (kind, subject, detail) = (&task.kind, &task.subject, &task.detail);
                writeln!(out, "{}  {kind}  {subject}  seen {} times: {detail}", task.opened_at, task.seen)?;
            }
            writeln!(out, "{} tasks", tasks.len())?;
        }
        InboxCommand::Close { kind, subject } => {
            if !task::close(&pool, &kind, &subject).await? {
                return Err("there is no such task open".into());
            }
            writeln!(out, "Closed.")?;
        }
    }
    pool.close().await;
    database.close().await
}

fn line(notice: &FiledNotice) -> String {
    let why = notice.last_error.as_deref().map_or_else(String::new, |why| format!("  {why}"));
    let found = if notice.backfilled { ", found in the list" } else { "" };
    format!(
        "{:>8}  {}  {:<9}{:<34} {}  {} {}  {} deliveries{found}{why}",
        notice.inbox_id,
        notice.received_at.format("%Y-%m-%d %H:%M:%S"),
        notice.status,
        notice.event_type,
        notice.event_id,
        notice.account,
        notice.object_id,
        notice.deliveries,
    )
}
