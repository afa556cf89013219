//! Payouts, those who are paid, and the platform's own money: over the real unit of work, with a provider that is a table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../money/mod.rs"]
mod money;

mod account;
mod desk;
mod gates;
mod gates_property;
mod journals;
mod late;
mod onboarding;
mod property;
mod scenarios;
mod shut;
mod treasury;
