//! The deadlines of a contract that are running.
//!
//! # Invariants
//! - At most one deadline of the contract's own runs, and beside it the one of an amendment.

use super::evolve::{DORMANCY, END_REQUEST, FIRST_FUNDING, OFFER_EXPIRY, amendment_expiry};
use super::{Contract, ContractCommand, Parts};
use crate::command::Command;
use crate::log::StreamId;
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

pub(super) fn timers(contract: &Contract, stream: &StreamId) -> Vec<Timer> {
    use Contract as S;
    let Some(contract_id) = contract.agreement().map(|agreement| agreement.contract_id) else {
        return Vec::new();
    };
    let timer = |due_at: &Option<Timestamp>, rank, key: String, command| {
        due_at.map(|due_at| Timer {
            due_at,
            rank,
            stream: stream.clone(),
            key,
            command: Command::Contract(contract_id, command),
        })
    };
    let parts = Parts::default;
    let own = match contract {
        S::Offered { offer_expires_at, .. } => {
            timer(offer_expires_at, Rank::OfferExpiry, OFFER_EXPIRY.to_owned(), ContractCommand::ExpireOffer)
        }
        S::PendingFunding { funding_due_at, .. } => timer(
            funding_due_at,
            Rank::FirstFunding,
            FIRST_FUNDING.to_owned(),
            ContractCommand::LapseFunding { parts: parts() },
        ),
        S::Active { life } => life.dormancy.as_ref().and_then(|clock| {
            timer(&clock.due_at, Rank::Dormancy, DORMANCY.to_owned(), ContractCommand::CheckDormancy { parts: parts() })
        }),
        S::Dormant { due_at, .. } => {
            timer(due_at, Rank::Dormancy, DORMANCY.to_owned(), ContractCommand::AdvanceDormancy { parts: parts() })
        }
        S::Ending { respond_by, agreed: false, .. } => timer(
            respond_by,
            Rank::EndRequest,
            END_REQUEST.to_owned(),
            ContractCommand::AgreeEndByTime { parts: parts() },
        ),
        _ => None,
    };
    let amendment = match contract {
        S::Active { life } | S::Paused { life, .. } => life.proposal.as_ref().and_then(|proposal| {
            let amendment_id = proposal.amendment_id;
            timer(
                &proposal.expires_at,
                Rank::AmendmentExpiry,
                amendment_expiry(amendment_id),
                ContractCommand::ExpireAmendment { amendment_id },
            )
        }),
        _ => None,
    };
    own.into_iter().chain(amendment).collect()
}
