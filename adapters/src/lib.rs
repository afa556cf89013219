//! The ports of the domain, implemented.
//!
//! # Where things are
//! - [`postgres`]: the log, projections, outbox and inbox
//! - [`stripe`]: the payment provider, also against the built-in sandbox
//! - [`memory`]: the log without a database, for simulations
//! - [`mail`]: mail to people
//! - [`embedded`]: the Postgres that `earnest` starts itself

pub mod embedded;
pub mod mail;
pub mod memory;
pub mod postgres;
pub mod stripe;
