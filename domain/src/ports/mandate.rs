//! A client's consent to have its bank account debited.
//!
//! # What is deliberately absent
//! Storing it: where the client was, and with which browser, is personal. It goes to the provider, which has to prove the
//! consent to banks, and is in no event.

use std::fmt;
use std::net::IpAddr;

use crate::time::Timestamp;

/// That a client has accepted a debit of its bank account, online. By whom: the client of the funding.
#[derive(Clone, PartialEq, Eq)]
pub struct Mandate {
    /// When.
    pub accepted_at: Timestamp,
    /// From where.
    pub ip_address: IpAddr,
    /// With which browser, as it names itself.
    pub user_agent: String,
}

/// Without what is personal.
impl fmt::Debug for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mandate").field("accepted_at", &self.accepted_at).finish_non_exhaustive()
    }
}
