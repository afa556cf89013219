//! What becomes of a contract on which nothing happens any more (B.3, B.12).

use serde::{Deserialize, Serialize};

use super::days_after;
use crate::time::Timestamp;

/// Days of silence. The first three count from the later of the last milestone's due date and the last activity, each of
/// the others from the step before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dormancy {
    /// First warning.
    pub warn_days: u16,
    /// Second warning.
    pub warn_again_days: u16,
    /// The contract is dormant, and the client is asked.
    pub dormant_days: u16,
    /// Days that the client then has to act; after them the payee is asked.
    pub escalate_days: u16,
    /// Days that the payee has to ask for the release; after them what is held goes back to the client.
    pub request_days: u16,
    /// Days that the client has to answer a payee who asked; after them what is held goes to the payee.
    pub default_days: u16,
}

impl Default for Dormancy {
    /// What stored policies without these days have. Frozen.
    fn default() -> Self {
        Self {
            warn_days: 76,
            warn_again_days: 83,
            dormant_days: 90,
            escalate_days: 7,
            request_days: 7,
            default_days: 14,
        }
    }
}

impl Dormancy {
    /// The five instants in order, when nobody does anything after `silent_since`: two warnings, dormant, payee asked,
    /// back to the client.
    pub fn schedule(&self, silent_since: Timestamp) -> [Timestamp; 5] {
        let dormant = days_after(silent_since, self.dormant_days);
        let escalated = days_after(dormant, self.escalate_days);
        [
            days_after(silent_since, self.warn_days),
            days_after(silent_since, self.warn_again_days),
            dormant,
            escalated,
            days_after(escalated, self.request_days),
        ]
    }

    /// When what is held goes to a payee who asked for it at `requested_at` and got no answer.
    pub fn release_default(&self, requested_at: Timestamp) -> Timestamp {
        days_after(requested_at, self.default_days)
    }
}
