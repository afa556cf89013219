//! Instants of the business: UTC, to the millisecond.
//!
//! # What is deliberately absent
//! No clock. An instant comes in with the command ([`crate::ports::Clock`] is asked once per command).

use chrono::{DateTime, SubsecRound, Utc};

/// An instant, UTC; written as RFC 3339 (`2026-12-16T09:00:00Z`).
pub type Timestamp = DateTime<Utc>;

/// `instant` cut to whole milliseconds, the precision that events keep.
pub fn to_millis(instant: Timestamp) -> Timestamp {
    instant.trunc_subsecs(3)
}
