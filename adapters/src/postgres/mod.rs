//! The log and everything beside it, in PostgreSQL 15 or newer. One tenant is one schema.
//!
//! # Where things are
//! - [`migrate`]: tables, and the rights of the login that serves; [`tenant`]: making and listing tenants
//! - [`append`]: the group committer, which is the only writer of events
//! - [`load`], [`log_reader`], [`past`]: reading streams and the log
//! - [`projection`]: what is derived from the log, and rebuilding it
//! - [`background`]: the threads that the committer and the projector have of their own
//! - [`outbox`], [`inbox`], [`token`], [`clock`]: records of the outside
//! - [`statement`]: what staff says to banks, which is not in the log
//! - [`inquiry`]: what the provider is asked without being told; [`task`]: what a person has to look at;
//!   [`coverage`]: since when money is missing
//! - [`identity`]: accounts, sessions, keys
//! - [`framework`]: an event store for cqrs-es over the same log
//!
//! # Invariants
//! - Every statement is search-path relative and parameterised.
//! - The login that serves cannot write events except through `append_batch`, and cannot change or delete them at all.

pub mod append;
pub mod approvals;
pub mod background;
pub mod balances;
pub mod chargebacks;
pub mod clock;
pub mod connect;
pub mod coverage;
pub mod document;
pub mod framework;
pub mod helper_answer;
pub mod identity;
pub mod inbox;
pub mod inquiry;
pub mod load;
pub mod log_reader;
pub mod mandate;
pub mod migrate;
pub mod outbox;
pub mod past;
pub mod projection;
pub mod statement;
pub mod store;
pub mod task;
pub mod tenant;
pub mod token;

pub use connect::{SchemaName, tenant_pool};
pub use store::PgStore;

use domain::log::StoreError;

/// A database error as the port has it.
#[expect(clippy::needless_pass_by_value, reason = "made to be handed to `map_err`")]
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// An unreadable row as the port has it.
pub(crate) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// A count or position as Postgres has it.
pub(crate) fn to_i64(value: u64) -> i64 {
    // Positions and versions stay far below 2^63: they are given out one by one.
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or position as we have it.
pub(crate) fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
