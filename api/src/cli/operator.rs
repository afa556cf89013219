//! Commands for the operator: migrate, token, trial-balance, rebuild.

use std::io::Write;
use std::sync::Arc;

use adapters::embedded::APP_ROLE;
use adapters::postgres::clock::TenantClock;
use adapters::postgres::projection::Projector;
use adapters::postgres::token::{self, Grant};
use adapters::postgres::{PgStore, log_reader, migrate as migration, tenant_pool};
use clap::Args;
use domain::actor::{Actor, SystemPart};
use domain::id::PartyId;
use domain::intent::Intent;
use ledger::render_trial_balance;
use uuid::Uuid;

use super::database::DatabaseOptions;
use crate::app::TenantEngine;
use crate::caller::{Role, new_token, token_hash};
use crate::engine::{Engine, EngineError, Request};

/// What went wrong, in words for the operator.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// The login that serves, and is granted what serving needs. It has to exist.
    #[arg(long, default_value = APP_ROLE)]
    app_role: String,
}

/// Which tenant.
#[derive(Debug, Args)]
pub struct TenantOptions {
    #[command(flatten)]
    database: DatabaseOptions,
}

/// Options of `token`.
#[derive(Debug, Args)]
pub struct TokenOptions {
    #[command(flatten)]
    database: DatabaseOptions,
    /// What its bearer may be: client, payee, support, moderator, finance, auditor or admin.
    #[arg(long)]
    role: Role,
    /// The party that its bearer acts for. A new one when absent.
    #[arg(long)]
    party: Option<PartyId>,
    /// A note, to know it again by. No personal data.
    #[arg(long)]
    label: Option<String>,
    /// Days until it is no longer valid; for good when absent.
    #[arg(long)]
    days: Option<u16>,
    /// Revokes all tokens of --party instead of making one.
    #[arg(long, requires = "party")]
    revoke: bool,
}

/// Creates or migrates the tenant.
///
/// # Errors
/// What went wrong.
pub async fn migrate(options: MigrateOptions) -> Result<(), Failure> {
    let tenant = options.database.tenant.clone();
    let database = options.database.open().await?;
    let owner = database.owner.clone().ok_or("say --owner-database-url: the login that serves may not migrate")?;
    migration::migrate(&owner, &tenant, &options.app_role).await?;
    writeln!(std::io::stdout(), "The tenant {tenant} is up to date; {} may serve it.", options.app_role)?;
    database.close().await
}

/// Makes or revokes tokens.
///
/// # Errors
/// What went wrong.
pub async fn token(options: TokenOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let store = Arc::new(PgStore::connect(database.app.clone(), &options.database.tenant, 2));
    let mut out = std::io::stdout();
    if options.revoke
        && let Some(party) = options.party
    {
        let revoked = token::revoke(store.pool(), party).await?;
        writeln!(out, "Revoked {revoked} tokens of {party}.")?;
    } else {
        let clock = TenantClock::open(store.pool().clone()).await?;
        let engine = Engine::new(Arc::clone(&store), clock, 0);
        let made = make_token(&engine, options.role, options.party, options.label.as_deref(), options.days).await?;
        writeln!(out, "party  {}", made.party_id)?;
        writeln!(out, "role   {}", options.role.word())?;
        writeln!(out, "token  {}", made.token)?;
        writeln!(out, "The token is shown this once. Send it as `Authorization: Bearer {}…`.", &made.token[..8])?;
    }
    store.shutdown().await;
    database.close().await
}

/// A token that was made.
#[derive(Clone)]
pub struct MadeToken {
    /// Whose.
    pub party_id: PartyId,
    /// The token itself.
    pub token: String,
}

/// Makes a token, and the party if it is new.
///
/// # Errors
/// What went wrong.
pub async fn make_token(
    engine: &TenantEngine,
    role: Role,
    party: Option<PartyId>,
    label: Option<&str>,
    days: Option<u16>,
) -> Result<MadeToken, EngineError> {
    let party_id = party.unwrap_or_else(|| PartyId::from_uuid(Uuid::now_v7()));
    if matches!(role, Role::Client | Role::Payee) {
        let intent = Intent::RegisterParty { party_id };
        let actor = Actor::System(SystemPart::Operator);
        engine.perform(Request::internal(intent, actor, Uuid::now_v7())).await?;
    }
    let secret = new_token();
    let grant = Grant { party_id, role: role.word().to_owned() };
    token::insert(engine.store().pool(), &token_hash(&secret), &grant, label, days).await?;
    Ok(MadeToken { party_id, token: secret })
}

/// Prints the trial balance.
///
/// # Errors
/// What went wrong.
pub async fn trial_balance(options: TenantOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 1);
    let (position, balance) = log_reader::trial_balance(&pool).await?;
    let mut out = std::io::stdout();
    write!(out, "{}", render_trial_balance(&balance))?;
    writeln!(out, "at position {position}")?;
    pool.close().await;
    database.close().await?;
    if balance.is_balanced() { Ok(()) } else { Err("debits and credits differ".into()) }
}

/// Builds the read models again.
///
/// # Errors
/// What went wrong.
pub async fn rebuild(options: TenantOptions) -> Result<(), Failure> {
    let database = options.database.open().await?;
    let pool = tenant_pool(database.app.clone(), &options.database.tenant, 2);
    let mut projector = Projector::new(&pool);
    let mut taken = std::time::Duration::ZERO;
    let position = projector
        .rebuild(|position, so_far| {
            taken = so_far;
            tracing::info!(position, "rebuilding");
        })
        .await?;
    let per_second = u128::from(position).saturating_mul(1000).checked_div(taken.as_millis()).unwrap_or(0);
    writeln!(std::io::stdout(), "Rebuilt from {position} events in {taken:.1?} ({per_second} events/s).")?;
    pool.close().await;
    database.close().await
}
