//! The wall clock of sign-ins and tokens: other parties check it against theirs, so a tenant's test clock does not move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{TimeDelta, Utc};
use domain::time::{Timestamp, to_millis};

/// Tells wall time. A test can put it forward.
#[derive(Debug, Clone, Default)]
pub struct IdentityClock {
    ahead_seconds: Arc<AtomicI64>,
}

impl IdentityClock {
    /// The instant now, to the millisecond.
    #[expect(
        clippy::disallowed_methods,
        reason = "the life of a token is wall time: this is the one place where it is read"
    )]
    pub fn now(&self) -> Timestamp {
        let ahead = TimeDelta::try_seconds(self.ahead_seconds.load(Ordering::Relaxed)).unwrap_or_default();
        to_millis(Utc::now() + ahead)
    }

    /// Puts the clock forward for all who share it. For tests.
    pub fn advance(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}
