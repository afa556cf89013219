//! Makes and migrates a tenant's schema, and gives the serving login its rights.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, PgPool, Row};

use super::connect::{SchemaName, in_schema};

/// Migrations of a tenant, forward only, built in.
static TENANT: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/tenant");

/// A schema could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database refused.
    #[error("the database refused: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or one that was applied is not known here.
    #[error("a migration failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The name of the serving login cannot be used.
    #[error("not the name of a login: {0:?}")]
    BadRole(String),
}

/// Creates the tenant's schema if it is missing, migrates it, and grants `app_role` what serving needs and no more.
///
/// Does nothing that is done already. Servers that start at once wait for each other. Needs a login that may create
/// schemas in the database.
///
/// # Errors
/// [`MigrateError`]; what was migrated before stays.
pub async fn migrate(owner: &PgConnectOptions, schema: &SchemaName, app_role: &str) -> Result<(), MigrateError> {
    check_role(app_role)?;
    let mut connection = PgConnection::connect_with(&in_schema(owner.clone(), schema)).await?;
    lock(&mut connection).await?;
    bring_up_to_date(&mut connection, schema, app_role).await?;
    connection.close().await?;
    Ok(())
}

/// Refuses what is not the name of a login.
pub(super) fn check_role(app_role: &str) -> Result<(), MigrateError> {
    let role_ok = !app_role.is_empty()
        && app_role.len() < 64
        && app_role.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if role_ok { Ok(()) } else { Err(MigrateError::BadRole(app_role.to_owned())) }
}

/// Two servers that create one schema, or grant on one table, at the same time fail each other. Released with the
/// connection.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute("select pg_advisory_lock(hashtextextended('earnest migrate', 0))").await?;
    Ok(())
}

/// Schema, migrations and rights, on a connection into the schema that holds the lock.
pub(super) async fn bring_up_to_date(
    connection: &mut PgConnection,
    schema: &SchemaName,
    app_role: &str,
) -> Result<(), MigrateError> {
    // Names are validated: schema by its type, role by the caller.
    connection.execute(format!("create schema if not exists {schema}").as_str()).await?;
    // `run` over a borrowed connection makes a future that cannot be spawned (sqlx 0.8); this is what it calls.
    TENANT.run_direct(connection).await?;
    connection.execute(grants(schema, app_role).as_str()).await?;
    Ok(())
}

/// What the serving login may do: read the log, append through the function, write projections and records.
pub fn grants(schema: &SchemaName, app_role: &str) -> String {
    format!(
        "grant usage on schema {schema} to \"{app_role}\";
         grant select on {schema}.events, {schema}.log_head, {schema}.control_balances, {schema}.commands,
               {schema}.stream_scopes to \"{app_role}\";
         grant execute on function {schema}.append_batch to \"{app_role}\";
         grant select, insert, update, delete, truncate on {schema}.postings, {schema}.subledger_balances,
               {schema}.documents, {schema}.contract_events, {schema}.wakeups to \"{app_role}\";
         grant select, update on {schema}.projections, {schema}.outbox_control, {schema}.tenant_clock to \"{app_role}\";
         grant select, insert, update on {schema}.outbox, {schema}.psp_inbox, {schema}.access_tokens to \"{app_role}\";
         grant select, insert on {schema}.provider_requests to \"{app_role}\";
         grant select, insert, update on {schema}.operator_tasks to \"{app_role}\";
         grant select, insert, update, delete on {schema}.evidence_statements to \"{app_role}\";
         grant select, insert, update, delete on {schema}.helper_answers to \"{app_role}\";
         grant select, insert, delete on {schema}.payment_mandates to \"{app_role}\";
         grant select, update on {schema}.psp_inquiries to \"{app_role}\";
         grant select, insert, update, delete on {schema}.accounts, {schema}.registrations, {schema}.recovery_codes,
               {schema}.identity_tickets, {schema}.sessions, {schema}.refresh_tokens, {schema}.known_devices,
               {schema}.login_attempts, {schema}.external_subjects, {schema}.signing_keys,
               {schema}.identity_master_keys, {schema}.mailbox to \"{app_role}\";
         grant select, insert, update, delete on {schema}.coverage_watch to \"{app_role}\";
         grant select, insert, update on {schema}.api_keys, {schema}.step_up_policy, {schema}.subject_keys to \"{app_role}\";
         grant select, insert, update on {schema}.four_eyes_rules to \"{app_role}\";"
    )
}

/// Whether the login of this pool owns the events, and so could do to them what nobody may.
///
/// # Errors
/// The database's.
pub async fn owns_events(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(
        "select pg_has_role(current_user, c.relowner, 'MEMBER') as owns from pg_class c where c.oid = 'events'::regclass",
    )
    .fetch_one(pool)
    .await?;
    row.try_get("owns")
}
