//! The rules of contracts, escrow and payouts.
//!
//! # Where things are
//! - one folder per aggregate ([`contract`], [`milestone`], [`escrow`], [`funding`], [`payee`], [`payout`], [`refund`],
//!   [`wallet`], [`party`], [`chargeback`], [`treasury`], [`pair`], [`approval`], [`subject`]),
//!   each with its state diagram, commands, events, `decide`, `evolve` and posting rules
//! - [`intent`] → [`unit_of_work`] → [`log::Append`]: from a request to what is committed, with [`reaction`]s and
//!   [`timer`]s
//! - [`fee`]: what is charged, kept and returned; [`policy`]: the periods; both agreed per contract
//! - [`process`]: what is ordered from the outside after the commit, and what its reports mean
//! - [`state_machine`]: what every aggregate accepts in each of its states, as data that a test finds
//! - [`event`], [`upcast`]: what is stored, and how older versions of it are read
//! - [`view`]: read models, folded from the log
//!
//! # What is deliberately absent
//! No clock, no randomness, no I/O, no async runtime: deciding takes state, command and time and returns events.

pub mod actor;
pub mod aggregate;
pub mod approval;
pub mod authentication;
pub mod chargeback;
pub mod command;
pub mod contract;
pub mod escrow;
pub mod event;
pub mod exchange;
pub mod fee;
pub mod framework;
pub mod funding;
pub mod id;
pub mod intent;
pub mod jurisdiction;
pub mod log;
pub mod milestone;
pub mod pair;
pub mod party;
pub mod payee;
pub mod payout;
pub mod policy;
pub mod ports;
pub mod process;
pub mod reaction;
pub mod refund;
pub mod refusal;
pub mod rules;
pub mod state_machine;
pub mod subject;
pub mod time;
pub mod timer;
pub mod treasury;
pub mod unit_of_work;
pub mod upcast;
pub mod view;
pub mod wallet;
