//! Chargebacks and returned payments over the real unit of work: the scenarios of the specification with their figures,
//! the journals, evidence, and whatever a bank does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "../money/mod.rs"]
mod money;

mod bank;
mod contested_return;
mod ended;
mod evidence;
mod exchanged;
mod four_eyes;
mod ledgers;
mod money_taken_back;
mod paid_twice;
mod property;
mod rest;
mod returned;
mod staff;
mod top_up;
mod unexpected;
mod vectors;
