//! The payment provider port over Stripe's HTTP API, by the types and requests of
//! async-stripe over a transport of its own. The same code against Stripe and against the
//! built-in sandbox: only the base URL differs.
//!
//! # Invariants
//! - One call is one attempt: trying again is the outbox worker's, with the same idempotency key.
//! - Amounts are converted here, and nowhere else, between minor units and Stripe's units.
//! - Only an answer in which Stripe says no proves that nothing happened; everything else is unknown.
//!
//! # What is deliberately absent
//! Rules. What a report means for contracts and books is `domain::process`.

mod account;
mod dispute;
mod evidence;
mod failure;
mod payout;
mod provider;
mod refund;
mod secret;
mod transport;
mod treasury;
pub mod webhook;

pub use provider::{StripeConfig, StripeProvider};
pub use secret::Secret;
