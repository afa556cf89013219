//! Double-entry bookkeeping as plain data and pure functions.
//!
//! # Invariants
//! - A [`JournalEntry`] that exists is balanced in every currency: its constructors are the only way in, also by JSON.
//! - An [`Amount`] is strictly positive; direction is carried by [`Side`], never by a sign.
//! - Arithmetic is checked: it returns an error where it would leave its range. No float anywhere.
//!
//! # What is deliberately absent
//! No clock, no randomness, no I/O, no async. The caller brings ids and dates.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod account;
pub mod allocation;
pub mod currency;
pub mod dimension;
pub mod journal;
pub mod money;
pub mod render;
pub mod trial_balance;

pub use account::{Account, AccountKind, Floor, Side};
pub use allocation::{
    AllocationError, Percent, allocate, closing_share, cumulative_part, earned_share, percentage, rounded_quotient,
    split_percentage,
};
pub use currency::{Currency, CurrencyError};
pub use dimension::{DimensionKey, Dimensions};
pub use journal::{EntryBuilder, EntryError, JournalEntry, Posting, PostingError, RULE_VERSION};
pub use money::{Amount, Minor, Money, MoneyError, is_zero};
pub use render::{render_entry, render_trial_balance};
pub use trial_balance::{Totals, TrialBalance};
