//! `earnest-bench`: how fast the write path is, beside what a user would take instead, in one run on one Postgres.
//!
//! # Invariants
//! - Everything that is compared stores the same events (those of [`workload`]) on the same server with `fsync` on.
//! - Figures are medians of whole repetitions; the ways take turns within each repetition, so that a noisy minute hits
//!   all of them.
//!
//! # What is deliberately absent
//! HTTP, conflicts, large logs, other peers.

mod append;
mod bulk;
mod bytes;
mod callers;
mod database;
mod inbox;
mod latency;
mod recorded;
mod report;
mod stock;
mod whole;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use adapters::postgres::migrate::MigrateError;
use adapters::postgres::projection::{ProjectionError, Projector};
use adapters::postgres::tenant_pool;
use clap::Parser;
use domain::log::StoreError;

use callers::Measured;
use database::{Database, Tenant};
use latency::{median, per_second};
use recorded::{Recording, record};
use report::{Report, Row, Sample, middle};
use workload::COMMANDS_PER_CONTRACT;

/// As the server has it, for all ways alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures, in one run on one throw-away Postgres with fsync on, at each number of callers:
///
///   a   the whole command: load, decide, append with its record; projections running, and caught up when the clock stops
///   a'  the append alone, rows of full size
///   b   stock cqrs-es + postgres-es with one view, the same events, at its best pool size
///   c   bare bulk inserts of the same bytes on one connection
///
/// and then a rebuild of the projections from zero. Takes about six minutes.
#[derive(Debug, Parser)]
#[command(name = "earnest-bench", version, verbatim_doc_comment)]
struct Arguments {
    /// Numbers of callers at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,512")]
    callers: Vec<usize>,
    /// Repetitions; the median counts.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Percent of the usual number of commands: 10 for a first look, more for steadier figures.
    #[arg(long, default_value_t = 100)]
    percent: usize,
    /// Only the ways named here; (c) and the rebuild come with a.
    #[arg(long, value_delimiter = ',', default_value = "a,a',b,c")]
    paths: Vec<String>,
    /// Where to put the throw-away database. Default: the system's directory for temporary files.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Measure bytes instead of time: what each kind of event and each table takes.
    #[arg(long)]
    bytes: bool,
    /// Measure the inbox instead: webhooks over HTTP, and how a backlog drains. Takes some minutes.
    #[arg(long)]
    inbox: bool,
    /// Webhooks that are delivered with --inbox.
    #[arg(long, default_value_t = 20_000, requires = "inbox")]
    notices: usize,
    /// Notices that wait before the server starts, with --inbox.
    #[arg(long, default_value_t = 100_000, requires = "inbox")]
    backlog: usize,
}

/// The benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database does not start.
    #[error(transparent)]
    Embedded(#[from] adapters::embedded::EmbeddedError),
    /// The system gives no thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The database refused.
    #[error("the database refused: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The projections.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// An event is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A caller panicked.
    #[error(transparent)]
    Join(#[from] tokio::task::JoinError),
    /// An amount is none.
    #[error(transparent)]
    Amount(#[from] ledger::MoneyError),
    /// The engine did not carry a command out.
    #[error("the engine did not carry a command out: {0}")]
    Engine(String),
    /// What was done is not what was meant to be measured.
    #[error("the workload went wrong: {0}")]
    Workload(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Contracts that are worked on at this number of callers: enough for some seconds of each way.
fn contracts(callers: usize, percent: usize) -> usize {
    let commands = match callers {
        0..=1 => 2_000,
        2..=8 => 10_000,
        9..=64 => 40_000,
        _ => 80_000,
    };
    (commands / COMMANDS_PER_CONTRACT * percent / 100).max(1)
}

/// Samples of one number of callers.
#[derive(Default)]
struct Level {
    callers: usize,
    whole: Vec<Sample>,
    append: Vec<Sample>,
    stock: Vec<Sample>,
    pool: Option<u32>,
}

async fn run(arguments: Arguments) -> Result<(), BenchError> {
    let database = Database::start(arguments.directory.clone()).await?;
    if arguments.bytes {
        for callers in &arguments.callers {
            print!("{}", bytes::measure(&database, *callers).await?);
        }
        return Ok(());
    }
    if arguments.inbox {
        let measured = inbox::measure(&database, arguments.notices, arguments.backlog).await?;
        print!("{}", measured.table(arguments.notices, arguments.backlog));
        return Ok(());
    }
    let wants = |path: &str| arguments.paths.iter().any(|wanted| wanted == path);
    let mut levels: Vec<Level> =
        arguments.callers.iter().map(|callers| Level { callers: *callers, ..Level::default() }).collect();
    let (mut bulk, mut rebuild, mut largest_log, mut events_per_command) = (Vec::new(), Vec::new(), 0, 0);
    for repetition in 1..=arguments.repetitions {
        for level in &mut levels {
            eprintln!("repetition {repetition} of {}, {} callers", arguments.repetitions, level.callers);
            let contracts = contracts(level.callers, arguments.percent);
            let recording = record(level.callers, contracts, now()).await?;
            events_per_command = hundredths(recording.events(), recording.commands());
            if wants("a") {
                let tenant = database.tenant().await?;
                let whole = whole::measure(&tenant, level.callers, contracts).await?;
                let mut sample = sample(recording.commands(), whole.measured);
                sample.lag = micros(whole.lag);
                level.whole.push(sample);
                // The rebuild takes the largest log there is.
                if whole.events >= largest_log {
                    if whole.events > largest_log {
                        rebuild.clear();
                    }
                    largest_log = whole.events;
                    rebuild.push(measure_rebuild(&tenant).await?);
                }
                tenant.drop().await?;
            }
            if wants("a'") {
                let tenant = database.tenant().await?;
                level
                    .append
                    .push(sample(recording.commands(), append::measure(&tenant, level.callers, &recording).await?));
                tenant.drop().await?;
            }
            if wants("b") {
                let pool = match level.pool {
                    Some(pool) => pool,
                    None => *level.pool.insert(best_pool(&database, level.callers, &recording).await?),
                };
                let (commands, measured) = stock_once(&database, level.callers, pool, &recording, usize::MAX).await?;
                level.stock.push(sample(commands, measured));
            }
            if wants("c") && recording.contracts.len() == largest(&arguments) {
                let tenant = database.bare().await?;
                bulk.push(per_second(recording.commands(), bulk::measure(&tenant, &recording).await?));
                tenant.drop().await?;
            }
        }
    }
    let mut report = Report {
        postgres: database.version().await?,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        repetitions: arguments.repetitions,
        events_per_command_hundredths: events_per_command,
        rows: rows(&levels, bulk),
        rebuild_events_per_second: median(rebuild),
        rebuild_events: largest_log,
        ratios: Vec::new(),
    };
    report.ratios();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn largest(arguments: &Arguments) -> usize {
    arguments.callers.iter().map(|callers| contracts(*callers, arguments.percent)).max().unwrap_or(0)
}

fn rows(levels: &[Level], bulk: Vec<u64>) -> Vec<Row> {
    let mut rows = Vec::new();
    for level in levels {
        for (path, samples) in [("a", &level.whole), ("a'", &level.append), ("b", &level.stock)] {
            if samples.is_empty() {
                continue;
            }
            let middle = middle(samples);
            rows.push(Row {
                path,
                callers: level.callers,
                per_second: middle.per_second,
                p50_micros: Some(middle.p50),
                p99_micros: Some(middle.p99),
                lag_micros: (path == "a").then_some(middle.lag),
                pool: level.pool.filter(|_| path == "b"),
            });
        }
    }
    if !bulk.is_empty() {
        let per_second = median(bulk);
        let none = None;
        rows.push(Row {
            path: "c",
            callers: 1,
            per_second,
            p50_micros: none,
            p99_micros: none,
            lag_micros: none,
            pool: None,
        });
    }
    rows
}

fn sample(commands: usize, measured: Measured) -> Sample {
    let mut latencies = measured.latencies;
    Sample {
        per_second: per_second(commands, measured.took),
        p50: latencies.per_mille(500),
        p99: latencies.per_mille(990),
        lag: 0,
    }
}

/// Measures (b) once on at most so many contracts.
async fn stock_once(
    database: &Database,
    callers: usize,
    pool: u32,
    recording: &Recording,
    contracts: usize,
) -> Result<(usize, Measured), BenchError> {
    let mut executions = stock::Execution::all(recording)?;
    executions.truncate(contracts);
    let commands = executions.iter().map(Vec::len).sum();
    let tenant = database.bare().await?;
    let measured = stock::measure(&tenant, callers, pool, executions).await?;
    tenant.drop().await?;
    Ok((commands, measured))
}

/// The pool size that (b) is fastest with, tried on a part of the work.
async fn best_pool(database: &Database, callers: usize, recording: &Recording) -> Result<u32, BenchError> {
    let mut best = (0, stock::POOLS[0]);
    for pool in stock::POOLS {
        // More connections than callers would stand idle, more than one beside it.
        if usize::try_from(pool).is_ok_and(|pool| pool > callers.saturating_mul(2)) {
            continue;
        }
        let part = (recording.contracts.len() / 8).max(callers.min(recording.contracts.len()));
        let (commands, measured) = stock_once(database, callers, pool, recording, part).await?;
        best = best.max((per_second(commands, measured.took), pool));
    }
    Ok(best.1)
}

async fn measure_rebuild(tenant: &Tenant) -> Result<u64, BenchError> {
    let pool = tenant_pool(tenant.app.clone(), &tenant.schema, 2);
    tenant.checkpoint().await?;
    let started = Instant::now();
    let events = Projector::new(&pool).rebuild(|_, _| {}).await?;
    let took = started.elapsed();
    pool.close().await;
    Ok(per_second(usize::try_from(events).unwrap_or(usize::MAX), took))
}

fn hundredths(over: usize, under: usize) -> u64 {
    u64::try_from(over.saturating_mul(100) / under.max(1)).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark lives in real time")]
fn now() -> domain::time::Timestamp {
    domain::time::to_millis(chrono::Utc::now())
}
