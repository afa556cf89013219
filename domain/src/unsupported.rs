//! What the rules of contract and milestone know, and this version cannot carry out yet.
//!
//! The rules judge a request first, so that everybody else gets the answer that the rules give: a stranger learns nothing,
//! a wrong state is named. Only what they would accept is looked at here, by the events it would lead to.
//!
//! # Why, and what lifts it
//! - Money goes back, to another milestone, or into a dispute only in the escrow, which cannot do that yet. What is agreed
//!   about it would wait for ever. The line of an event goes when the escrow has its command: refund, reallocation,
//!   dispute hold.
//! - A contract is not offered with dormancy, since forgotten money goes back by a refund. That line goes with refunds, and
//!   [`Policy::dormancy`](crate::policy::Policy::dormancy) is then on by default.
//!
//! # What is deliberately absent
//! Facts from outside and deadlines: they are never refused. No deadline of these runs, as nothing here begins.

use crate::contract::ContractEvent;
use crate::event::DomainEvent;
use crate::milestone::{MilestoneEvent, Remainder};
use crate::refusal::Refusal;

/// Whether all that a request leads to can be carried out.
///
/// # Errors
/// [`Refusal::NotSupported`] for the first event that cannot.
pub(crate) fn check<'e>(mut events: impl Iterator<Item = &'e DomainEvent> + Clone) -> Result<(), Refusal> {
    // Where nothing is held, the end is agreed at once, and no money has to go back.
    let ended = events.clone().any(|event| matches!(event, DomainEvent::Contract(ContractEvent::EndAgreed { .. })));
    match events.find_map(|event| missing(event, ended)) {
        Some(what) => Err(Refusal::NotSupported { what }),
        None => Ok(()),
    }
}

fn missing(event: &DomainEvent, ended: bool) -> Option<&'static str> {
    use {ContractEvent as C, MilestoneEvent as M};
    match event {
        DomainEvent::Contract(C::Offered { policy, .. }) if policy.dormancy => Some("dormancy of contracts"),
        DomainEvent::Contract(C::EndRequested { .. }) if !ended => Some("end of a contract that holds money"),
        DomainEvent::Milestone(M::RefundRequested { .. } | M::RefundAgreed { .. }) => Some("refund of held money"),
        DomainEvent::Milestone(
            M::PartiallyApproved { remainder: Remainder::RollForward { .. }, .. } | M::RollForwardAccepted { .. },
        ) => Some("movement of money to another milestone"),
        DomainEvent::Milestone(M::Disputed { .. }) => Some("dispute"),
        _ => None,
    }
}
