//! The one Postgres that everything is measured on, and a schema of its own for each measurement.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::embedded::{APP_ROLE, EmbeddedOptions, EmbeddedPostgres};
use adapters::postgres::{SchemaName, migrate};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::BenchError;

/// A throw-away server with `fsync` on, configured as `earnest serve` configures its own.
pub struct Database {
    server: EmbeddedPostgres,
    schemas: AtomicU32,
}

/// A schema, and how to connect to it.
pub struct Tenant {
    /// The login that owns it.
    pub owner: PgConnectOptions,
    /// The login that serves.
    pub app: PgConnectOptions,
    /// The schema.
    pub schema: SchemaName,
    /// The superuser.
    pub admin: PgConnectOptions,
}

impl Database {
    /// Starts it in `directory`, or in the system's directory for temporary files.
    ///
    /// # Errors
    /// [`BenchError`] when it does not start.
    pub async fn start(directory: Option<PathBuf>) -> Result<Self, BenchError> {
        let mut options = EmbeddedOptions::throwaway();
        if let Some(directory) = directory {
            options.data_dir = directory.join(format!("earnest-bench-{}", std::process::id()));
        }
        let server = EmbeddedPostgres::start(options).await?;
        Ok(Self { server, schemas: AtomicU32::new(0) })
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn version(&self) -> Result<String, BenchError> {
        let mut connection = PgConnection::connect_with(&self.server.admin_options()).await?;
        let version = sqlx::query_scalar("select current_setting('server_version')").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(version)
    }

    /// A schema with the engine's tables.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn tenant(&self) -> Result<Tenant, BenchError> {
        let tenant = self.named()?;
        migrate::migrate(&tenant.owner, &tenant.schema, APP_ROLE).await?;
        Ok(tenant)
    }

    /// A schema with nothing in it.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn bare(&self) -> Result<Tenant, BenchError> {
        let tenant = self.named()?;
        let mut connection = PgConnection::connect_with(&tenant.owner).await?;
        // Our own name: nothing to quote.
        sqlx::raw_sql(&format!("create schema {}", tenant.schema)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(tenant)
    }

    fn named(&self) -> Result<Tenant, BenchError> {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let schema = format!("bench_{number}").parse().map_err(|_| BenchError::Workload("schema".to_owned()))?;
        Ok(Tenant {
            owner: self.server.owner_options(),
            app: self.server.app_options(),
            schema,
            admin: self.server.admin_options(),
        })
    }
}

impl Tenant {
    /// Lets the server finish what earlier measurements left to be written.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn checkpoint(&self) -> Result<(), BenchError> {
        let mut connection = PgConnection::connect_with(&self.admin).await?;
        sqlx::raw_sql("checkpoint").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn drop(self) -> Result<(), BenchError> {
        let mut connection = PgConnection::connect_with(&self.admin).await?;
        sqlx::raw_sql(&format!("drop schema {} cascade", self.schema)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}
