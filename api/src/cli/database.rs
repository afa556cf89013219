//! Which database a command works on: the one it is told, or one that is started for it.

use std::path::PathBuf;
use std::str::FromStr;

use adapters::embedded::{APP_ROLE, EmbeddedOptions, EmbeddedPostgres, default_data_dir};
use adapters::postgres::{SchemaName, migrate};
use clap::Args;
use sqlx::postgres::PgConnectOptions;

use super::operator::Failure;

/// Which database, and which tenant in it.
#[derive(Debug, Clone, Args)]
pub struct DatabaseOptions {
    /// PostgreSQL 15 or newer, with the login that serves: postgres://earnest_app:…@host/earnest. Without it a Postgres
    /// is started in the data directory.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The same database with the login that owns and migrates. Needed to migrate, and by the built-in provider.
    #[arg(long, global = true, env = "EARNEST_OWNER_DATABASE_URL", hide_env_values = true)]
    pub owner_database_url: Option<String>,
    /// Where the Postgres that is started keeps its data. Default: one of the user's own.
    #[arg(long, global = true, env = "EARNEST_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The tenant: the name of its schema.
    #[arg(long, global = true, env = "EARNEST_TENANT", default_value = "main")]
    pub tenant: SchemaName,
}

/// A database to work on.
pub struct Database {
    /// Stops with it, if it was started for it.
    pub embedded: Option<EmbeddedPostgres>,
    /// The login that serves.
    pub app: PgConnectOptions,
    /// The login that owns, if it is known.
    pub owner: Option<PgConnectOptions>,
}

impl DatabaseOptions {
    /// Connects to the database, starting it if none is given. One that is started is migrated, too.
    ///
    /// # Errors
    /// What went wrong, in words for the operator.
    pub async fn open(&self) -> Result<Database, Failure> {
        let database = self.connect().await?;
        match database.embedded {
            Some(embedded) => Database::of(embedded, &self.tenant).await,
            None => Ok(database),
        }
    }

    /// The same, and no tenant is made or migrated.
    ///
    /// # Errors
    /// What went wrong, in words for the operator.
    pub async fn connect(&self) -> Result<Database, Failure> {
        if let Some(url) = &self.database_url {
            let parse = |url: &str| {
                PgConnectOptions::from_str(url).map_err(|error| format!("DATABASE_URL cannot be used: {error}"))
            };
            let owner = self.owner_database_url.as_deref().map(parse).transpose()?;
            return Ok(Database { embedded: None, app: parse(url)?, owner });
        }
        let directory = self.data_dir.clone().unwrap_or_else(default_data_dir);
        let embedded = EmbeddedPostgres::start(EmbeddedOptions::new(directory)).await?;
        let (app, owner) = (embedded.app_options(), embedded.owner_options());
        Ok(Database { embedded: Some(embedded), app, owner: Some(owner) })
    }
}

impl Database {
    /// A database that was started, with the tenant migrated.
    ///
    /// # Errors
    /// What went wrong, in words for the operator.
    pub async fn of(embedded: EmbeddedPostgres, tenant: &SchemaName) -> Result<Self, Failure> {
        let (app, owner) = (embedded.app_options(), embedded.owner_options());
        migrate::migrate(&owner, tenant, APP_ROLE).await?;
        Ok(Self { embedded: Some(embedded), app, owner: Some(owner) })
    }

    /// Stops it, if it was started here.
    ///
    /// # Errors
    /// What went wrong, in words for the operator.
    pub async fn close(self) -> Result<(), Failure> {
        match self.embedded {
            Some(embedded) => Ok(embedded.stop().await?),
            None => Ok(()),
        }
    }
}
