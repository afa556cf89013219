//! Ports: what the domain asks of the outside, implemented in `adapters`.
//!
//! The log has its port in [`crate::log`].

pub mod clock;
pub mod dispute;
pub mod history;
pub mod mail;
pub mod provider;

pub use clock::Clock;
pub use history::ProviderHistory;
pub use mail::Mailer;
pub use provider::PaymentProvider;
