//! The name of the terms that an event was judged by, for its envelope.
//!
//! # What is deliberately absent
//! Events that no terms decided have none, and so have those that repeat what another event of the append decided.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::contract::Terms;
use crate::escrow::EscrowEvent as E;
use crate::event::DomainEvent;

/// Longest name, in bytes: it is in every such event.
const MAX: usize = 16;

/// The terms that an event was judged by: the fees, such as `two_sided@1`, or the periods that a deadline comes from, such
/// as `fixed@1`. A longer name is its SHA-256 (hex), cut to 16 digits. `None` where no terms judged.
pub(crate) fn policy_ref(event: &DomainEvent, terms: &Terms) -> Option<String> {
    let by_fees = match event {
        DomainEvent::Escrow(event) => matches!(
            event,
            E::FundingRequested { .. }
                | E::Released { .. }
                | E::RefundInitiated { .. }
                | E::ReleaseReturned { .. }
                | E::GratuityRequested { .. }
        ),
        _ => false,
    };
    let by_periods = match event {
        DomainEvent::Contract(event) => event.deadline().is_some(),
        DomainEvent::Milestone(event) => event.deadline().is_some(),
        _ => false,
    };
    if by_fees {
        Some(name(&terms.fee_schedule.id, terms.fee_schedule.version))
    } else {
        by_periods.then(|| name(&terms.policy.id, terms.policy.version))
    }
}

fn name(id: &str, version: u16) -> String {
    let name = format!("{id}@{version}");
    if name.len() <= MAX {
        return name;
    }
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(name) {
        // Writing to a string does not fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest.truncate(MAX);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short() {
        assert_eq!(name("two_sided", 1), "two_sided@1");
        assert_eq!(name("fourteen_bytes", 1), "fourteen_bytes@1");
        let long = name("fifteen_bytes__", 1);
        assert!(long.len() == MAX && long.bytes().all(|byte| byte.is_ascii_hexdigit()), "{long}");
        assert_ne!(long, name("fifteen_bytes__", 2));
    }
}
