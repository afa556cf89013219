//! Making tenants, and telling which there are. A tenant is a schema of a database.
//!
//! # Invariants
//! - A tenant is made whole, with its clock, or not at all; of two who make the same one, the second is told so.
//! - Which kind of clock a tenant has is fixed with its first event.
//!
//! # What is deliberately absent
//! Removing a tenant: its log is somebody's books. `drop schema` does it.

use domain::log::Position;
use domain::time::{Timestamp, to_millis};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

use super::connect::{SchemaName, in_schema};
use super::migrate::{self, MigrateError};
use super::to_u64;

/// The clock of a tenant to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewClock {
    /// The system's.
    System,
    /// A test clock, that shows this until it is moved.
    Test(Timestamp),
}

/// A tenant that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name, and its schema's.
    pub name: SchemaName,
    /// What its test clock shows; `None` when it lives by the system's clock.
    pub test_clock: Option<Timestamp>,
    /// How many events it has.
    pub position: Position,
}

/// A tenant could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is a schema of that name.
    #[error("{0} is there already")]
    Exists(SchemaName),
    /// Its tables could not be made.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl From<sqlx::Error> for CreateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Migrate(error.into())
    }
}

/// Makes a tenant: schema, tables, the rights of `app_role`, and its clock. A second time is an error and changes nothing.
///
/// Needs a login that may create schemas in the database.
///
/// # Errors
/// [`CreateError`]; nothing is left of the tenant then.
pub async fn create(
    owner: &PgConnectOptions,
    name: &SchemaName,
    app_role: &str,
    clock: NewClock,
) -> Result<(), CreateError> {
    migrate::check_role(app_role)?;
    let mut connection = PgConnection::connect_with(&in_schema(owner.clone(), name)).await?;
    migrate::lock(&mut connection).await?;
    let mut whole = connection.begin().await?;
    if exists(&mut whole, name).await? {
        return Err(CreateError::Exists(name.clone()));
    }
    migrate::bring_up_to_date(&mut whole, name, app_role).await?;
    if let NewClock::Test(now) = clock {
        sqlx::query("update tenant_clock set test_mode = true, now = $1")
            .bind(to_millis(now))
            .execute(&mut *whole)
            .await?;
    }
    whole.commit().await?;
    connection.close().await?;
    Ok(())
}

async fn exists(connection: &mut PgConnection, name: &SchemaName) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("select exists (select 1 from pg_namespace where nspname = $1) as there")
        .bind(name.as_str())
        .fetch_one(connection)
        .await?;
    row.try_get("there")
}

/// Every tenant of a database that the login may look at, by name.
///
/// # Errors
/// The database's.
pub async fn list(login: &PgConnectOptions) -> Result<Vec<Tenant>, sqlx::Error> {
    let mut connection = PgConnection::connect_with(login).await?;
    let rows = sqlx::query(
        "select n.nspname::text as name from pg_namespace n
         where has_schema_privilege(n.oid, 'usage')
           and (select count(*) from pg_class c
                where c.relnamespace = n.oid and c.relkind = 'r' and c.relname in ('log_head', 'tenant_clock')
                  and has_table_privilege(c.oid, 'select')) = 2
         order by n.nspname",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut tenants = Vec::with_capacity(rows.len());
    for row in &rows {
        // A schema with these tables and another kind of name was not made by us.
        let Ok(name) = row.try_get::<String, _>("name")?.parse::<SchemaName>() else { continue };
        // The name is validated by its type.
        let query = format!("select c.now, h.position from {name}.tenant_clock c, {name}.log_head h");
        let row = connection.fetch_one(query.as_str()).await?;
        tenants.push(Tenant { name, test_clock: row.try_get("now")?, position: to_u64(row.try_get("position")?) });
    }
    connection.close().await?;
    Ok(tenants)
}
