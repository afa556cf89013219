//! The payment provider port over Stripe's HTTP API, by async-stripe. The same code against Stripe and against the
//! built-in sandbox: only the base URL differs.
//!
//! # Invariants
//! - One call is one attempt: trying again is the outbox worker's, with the same idempotency key.
//! - Amounts are converted here, and nowhere else, between minor units and Stripe's units.
//! - Only an answer in which Stripe says no proves that nothing happened; everything else is unknown.
//!
//! # What is deliberately absent
//! Rules. What a report means for contracts and books is `domain::process`.

mod failure;
mod provider;
mod refund;
mod secret;
pub mod webhook;

pub use provider::{StripeConfig, StripeProvider};
pub use secret::Secret;
