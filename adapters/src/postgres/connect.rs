//! Connections to a tenant's schema.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// The name of a tenant's schema: lower-case letters, digits and underscores, at most 41 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaName(String);

/// Not the name of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name has 1 to 41 lower-case letters, digits and underscores, and starts with a letter: {0:?}")]
pub struct SchemaNameError(String);

impl SchemaName {
    /// The name as text; needs no quoting.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SchemaName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for SchemaName {
    type Err = SchemaNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let reserved = text.starts_with("pg_") || text == "public" || text == "information_schema";
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        if !plain || !starts || text.len() > 41 || reserved {
            return Err(SchemaNameError(text.chars().take(64).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// `options` with everything relative to the tenant's schema.
pub fn in_schema(options: PgConnectOptions, schema: &SchemaName) -> PgConnectOptions {
    options.options([("search_path", schema.as_str())]).application_name("earnest")
}

/// A lazy pool of at most `size` connections into the tenant's schema.
pub fn tenant_pool(options: PgConnectOptions, schema: &SchemaName, size: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(in_schema(options, schema))
}
