//! `earnest tenant`: making tenants, and telling which there are.

use std::io::Write;

use adapters::embedded::APP_ROLE;
use adapters::postgres::identity::step_up::{self, StoredStepUp};
use adapters::postgres::tenant::{self, CreateError, NewClock};
use adapters::postgres::{approvals, tenant_pool};
use clap::{Args, Subcommand, ValueEnum};
use domain::actor::StaffRole;
use domain::approval::{Kind, KindRule, Rule};
use domain::ports::Clock;
use domain::time::Timestamp;

use super::database::DatabaseOptions;
use super::operator::Failure;

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Makes a tenant: a schema with a log, books and a clock of its own.
    Create(CreateOptions),
    /// Prints the tenants of the database, with their clocks.
    List(ListOptions),
    /// Says from which amount on people show again who they are. Servers follow within seconds.
    StepUp(StepUpOptions),
    /// Says how many others have to approve a command of staff. What waits keeps the rule that it was proposed under.
    FourEyes(FourEyesOptions),
}

/// Which clock a tenant lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClockKind {
    /// The system's: for real money.
    System,
    /// One that is moved by hand: for tests.
    Test,
}

/// Options of `tenant create`.
#[derive(Debug, Args)]
pub struct CreateOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// Which clock it lives by. It keeps that clock.
    #[arg(long, value_enum, default_value_t = ClockKind::System)]
    clock: ClockKind,
    /// What a test clock shows first (RFC 3339); the present instant when absent.
    #[arg(long)]
    now: Option<Timestamp>,
    /// The login that serves, and is granted what serving needs. It has to exist.
    #[arg(long, default_value = APP_ROLE)]
    app_role: String,
}

/// Options of `tenant list`.
#[derive(Debug, Args)]
pub struct ListOptions {
    #[command(flatten)]
    database: DatabaseOptions,
}

/// Options of `tenant step-up`.
#[derive(Debug, Args)]
pub struct StepUpOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// From how many whole units of any currency on.
    #[arg(long)]
    threshold: u32,
    /// How long ago they may have shown it, in seconds: 30 to 86400.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(i64).range(30..=86_400))]
    max_age: i64,
    /// Ask for a second factor of everybody, and not only of those who have one.
    #[arg(long)]
    second_factor: bool,
}

/// Options of `tenant four-eyes`.
#[derive(Debug, Args)]
pub struct FourEyesOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// Which command: `freeze_escrow`, `unfreeze_escrow`, `write_off_debt` or `accept_chargeback`.
    #[arg(long)]
    kind: Kind,
    /// How many others have to approve it, 0 to 5; 0 when nobody else is asked.
    #[arg(long, default_value_t = 1)]
    approvers: u8,
    /// The roles that they may have, separated by commas; moderator, finance and admin when absent.
    #[arg(long, value_delimiter = ',')]
    roles: Vec<String>,
    /// Up to how many whole units of any currency nobody else is asked, where the command says an amount.
    #[arg(long, default_value_t = 0)]
    above: u32,
    /// How long it waits, in hours, 1 to 720.
    #[arg(long, default_value_t = 72)]
    hours: u16,
}

/// Carries out a command about tenants.
///
/// # Errors
/// What went wrong.
pub async fn run(command: TenantCommand) -> Result<(), Failure> {
    match command {
        TenantCommand::Create(options) => create(options).await,
        TenantCommand::List(options) => list(options).await,
        TenantCommand::StepUp(options) => step_up(options).await,
        TenantCommand::FourEyes(options) => four_eyes(options).await,
    }
}

async fn create(options: CreateOptions) -> Result<(), Failure> {
    let name = &options.database.tenant;
    let clock = match (options.clock, options.now) {
        (ClockKind::System, None) => NewClock::System,
        (ClockKind::System, Some(_)) => return Err("--now is for a test clock: say --clock test, too".into()),
        (ClockKind::Test, Some(now)) => NewClock::Test(now),
        (ClockKind::Test, None) => NewClock::Test(SystemClock.now().await?),
    };
    let database = options.database.connect().await?;
    let owner =
        database.owner.as_ref().ok_or("say --owner-database-url: the login that serves may not make tenants")?;
    let made = tenant::create(owner, name, &options.app_role, clock).await;
    database.close().await?;
    match made {
        Ok(()) => {}
        Err(CreateError::Exists(_)) => {
            let advice =
                "nothing was changed. `earnest tenant list` shows its clock, `earnest migrate` brings it up to date";
            return Err(format!("the tenant {name} is there already; {advice}").into());
        }
        Err(error) => return Err(error.into()),
    }
    let mut out = std::io::stdout();
    writeln!(out, "The tenant {name} is made; {} may serve it.", options.app_role)?;
    match clock {
        NewClock::System => writeln!(out, "It lives by the system's clock.")?,
        NewClock::Test(now) => writeln!(out, "Its test clock shows {}.", shown(now))?,
    }
    Ok(())
}

async fn list(options: ListOptions) -> Result<(), Failure> {
    let database = options.database.connect().await?;
    let tenants = tenant::list(database.owner.as_ref().unwrap_or(&database.app)).await?;
    database.close().await?;
    let mut out = std::io::stdout();
    if tenants.is_empty() {
        writeln!(out, "There are no tenants. `earnest tenant create` makes one.")?;
    }
    for tenant in tenants {
        let clock =
            tenant.test_clock.map_or_else(|| "system clock".to_owned(), |now| format!("test clock {}", shown(now)));
        writeln!(out, "{:<16}  {clock:<36}  {} events", tenant.name.as_str(), tenant.position)?;
    }
    Ok(())
}

async fn step_up(options: StepUpOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 1);
    let StepUpOptions { threshold, max_age, second_factor, .. } = options;
    let policy = StoredStepUp { threshold_units: i64::from(threshold), max_age_seconds: max_age, second_factor };
    let set = step_up::set(&pool, policy).await;
    pool.close().await;
    database.close().await?;
    set?;
    let with = if second_factor { ", with a second factor" } else { "" };
    writeln!(
        std::io::stdout(),
        "From {threshold} units on people have shown who they are {max_age} seconds ago{with}."
    )?;
    Ok(())
}

async fn four_eyes(options: FourEyesOptions) -> Result<(), Failure> {
    let FourEyesOptions { database, kind, approvers, roles, above, hours } = options;
    let known = |word: &String| StaffRole::ALL.into_iter().find(|role| role.word() == word);
    let unknown = || {
        format!(
            "no such role; choose some of {}",
            kind.approvers().iter().map(|role| role.word()).collect::<Vec<_>>().join(", ")
        )
    };
    let roles = if roles.is_empty() {
        kind.approvers().to_vec()
    } else {
        roles.iter().map(known).collect::<Option<Vec<_>>>().ok_or_else(unknown)?
    };
    let rule = KindRule { above_units: above, rule: Rule { approvers, roles, hours } };
    let rule = (approvers > 0).then_some(&rule);
    if let Some(asked) = rule {
        asked.rule.check(kind).map_err(|refusal| refusal.to_string())?;
    }
    let connected = database.open().await?;
    let pool = tenant_pool(connected.app.clone(), &database.tenant, 1);
    let set = approvals::set_rule(&pool, kind, rule).await;
    pool.close().await;
    connected.close().await?;
    set?;
    match rule {
        Some(_) => writeln!(std::io::stdout(), "{} needs {approvers} others, within {hours} hours.", kind.word())?,
        None => writeln!(std::io::stdout(), "{} needs nobody else.", kind.word())?,
    }
    Ok(())
}

fn shown(instant: Timestamp) -> String {
    instant.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The system's clock.
struct SystemClock;

impl Clock for SystemClock {
    async fn now(&self) -> Result<Timestamp, domain::log::StoreError> {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock port")]
        let now = chrono::Utc::now();
        Ok(domain::time::to_millis(now))
    }
}
