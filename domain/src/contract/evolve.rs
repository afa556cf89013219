//! What a contract remembers of an event.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    Agreement, AmendmentEnd, ClosedMilestone, Contract, ContractEvent, DormancyClock, DormantStage, Life, Proposal,
    Role, Terms,
};
use crate::id::AmendmentId;
use crate::time::Timestamp;

/// Key of the timer of an offer.
pub(super) const OFFER_EXPIRY: &str = "offer_expiry";
/// Key of the timer of the first money.
pub(super) const FIRST_FUNDING: &str = "first_funding";
/// Key of the timer of a wish to end.
pub(super) const END_REQUEST: &str = "end_request";
/// Key of the timer of dormancy.
pub(super) const DORMANCY: &str = "dormancy";

/// Key of the timer of an amendment.
pub(super) fn amendment_expiry(amendment_id: AmendmentId) -> String {
    format!("amendment_expiry/{amendment_id}")
}

fn first_check(life: &Life, at: Option<Timestamp>) -> Option<DormancyClock> {
    let next_day = life.terms.policy.dormancy.warn_days;
    let days = TimeDelta::days(i64::from(next_day));
    at.map(|due_at| DormancyClock {
        due_at: Some(due_at),
        next_day,
        since: due_at.checked_sub_signed(days).unwrap_or(due_at),
    })
}

/// What is left when the contract is no longer simply active: nothing waits for an answer, and no days are counted.
fn at_rest(mut life: Life) -> Life {
    life.proposal = None;
    life.dormancy = None;
    life
}

pub(super) fn after(before: Contract, event: &ContractEvent) -> Contract {
    use {Contract as S, ContractEvent as E};
    match (before, event) {
        (_, E::Drafted { contract_id, client_id, payee_id, currency, milestones, reference, .. }) => S::Draft {
            agreement: Agreement {
                contract_id: *contract_id,
                client_id: *client_id,
                payee_id: *payee_id,
                currency: *currency,
                milestones: milestones.clone(),
                reference: reference.clone(),
            },
        },
        (S::Draft { agreement }, E::Offered { offer_expires_at, fee_schedule, policy, terms_version, .. }) => {
            S::Offered {
                agreement,
                terms: Terms { fee_schedule: fee_schedule.clone(), policy: policy.clone() },
                offer_expires_at: Some(*offer_expires_at),
                terms_version: *terms_version,
                answer_by: Role::Payee,
            }
        }
        (
            S::Offered { mut agreement, terms, .. },
            E::Countered { by, milestones, terms_version, offer_expires_at, .. },
        ) => {
            agreement.milestones.clone_from(milestones);
            S::Offered {
                agreement,
                terms,
                offer_expires_at: Some(*offer_expires_at),
                terms_version: *terms_version,
                answer_by: by.other(),
            }
        }
        (S::Offered { agreement, terms, .. }, E::Accepted { funding_due_at, .. }) => {
            let life = Life { agreement, terms, closed: BTreeMap::new(), proposal: None, dormancy: None };
            S::PendingFunding { life, funding_due_at: *funding_due_at }
        }
        (S::Offered { agreement, .. }, E::Declined { .. }) => S::Declined { agreement },
        (S::Offered { agreement, .. }, E::OfferWithdrawn { .. }) => S::Withdrawn { agreement },
        (S::Offered { agreement, .. }, E::OfferExpired { expired_at, .. }) => {
            S::Expired { agreement, expired_at: *expired_at }
        }
        (S::PendingFunding { mut life, .. }, E::Activated { dormancy_check_at, .. }) => {
            life.dormancy = first_check(&life, *dormancy_check_at);
            S::Active { life }
        }
        (S::Draft { agreement }, E::Cancelled { stage, .. }) => S::Cancelled { agreement, terms: None, stage: *stage },
        (S::PendingFunding { life, .. } | S::Ending { life, .. }, E::Cancelled { stage, .. }) => {
            S::Cancelled { agreement: life.agreement, terms: Some(life.terms), stage: *stage }
        }

        (S::PendingFunding { life, .. }, E::DeadlineExtended { due_at, .. }) => {
            S::PendingFunding { life, funding_due_at: Some(*due_at) }
        }
        (S::Ending { life, agreed, .. }, E::DeadlineExtended { due_at, .. }) => {
            S::Ending { life, respond_by: Some(*due_at), agreed }
        }

        (S::Active { mut life }, E::AmendmentProposed { amendment_id, by, changes, expires_at, .. }) => {
            life.proposal = Some(Proposal {
                amendment_id: *amendment_id,
                by: *by,
                changes: changes.clone(),
                expires_at: Some(*expires_at),
            });
            S::Active { life }
        }
        (S::Active { mut life }, E::AmendmentAccepted { milestones, .. }) => {
            life.proposal = None;
            life.agreement.milestones.clone_from(milestones);
            S::Active { life }
        }
        (S::Active { mut life }, E::AmendmentRejected { .. }) => {
            life.proposal = None;
            S::Active { life }
        }
        (S::Paused { mut life, by }, E::AmendmentRejected { .. }) => {
            life.proposal = None;
            S::Paused { life, by }
        }

        (S::Active { mut life }, E::Paused { by, .. }) => {
            life.dormancy = None;
            S::Paused { life, by: *by }
        }
        (S::Paused { mut life, .. }, E::Resumed { dormancy_check_at, .. }) => {
            life.dormancy = first_check(&life, Some(*dormancy_check_at));
            S::Active { life }
        }

        (S::Active { life } | S::Paused { life, .. }, E::EndRequested { respond_by, .. }) => {
            S::Ending { life: at_rest(life), respond_by: Some(*respond_by), agreed: false }
        }
        (S::Ending { life, .. }, E::EndAgreed { .. }) => S::Ending { life, respond_by: None, agreed: true },

        (S::Active { mut life }, E::DormancyWarned { day, next_at, .. }) => {
            let days = life.terms.policy.dormancy;
            let next_day = if *day == days.warn_days { days.warn_again_days } else { days.dormant_days };
            if let Some(clock) = &mut life.dormancy {
                clock.due_at = Some(*next_at);
                clock.next_day = next_day;
            }
            S::Active { life }
        }
        (S::Active { mut life }, E::DormancyPostponed { next_at, .. }) => {
            life.dormancy = first_check(&life, Some(*next_at));
            S::Active { life }
        }
        (S::Active { life }, E::MarkedDormant { client_respond_by, .. }) => {
            S::Dormant { life: at_rest(life), stage: DormantStage::ClientAsked, due_at: Some(*client_respond_by) }
        }
        (S::Dormant { life, .. }, E::DormancyEscalatedToPayee { payee_respond_by, .. }) => {
            S::Dormant { life, stage: DormantStage::PayeeAsked, due_at: Some(*payee_respond_by) }
        }
        (S::Dormant { life, .. }, E::DormancyReleaseRequested { client_respond_by, .. }) => {
            S::Dormant { life, stage: DormantStage::ReleaseRequested, due_at: Some(*client_respond_by) }
        }
        (S::Dormant { life, .. }, E::DormancyDefaulted { .. }) => S::Ending { life, respond_by: None, agreed: true },
        (S::Dormant { mut life, .. }, E::Reactivated { dormancy_check_at, .. }) => {
            life.dormancy = first_check(&life, Some(*dormancy_check_at));
            S::Active { life }
        }

        (mut state, E::MilestoneClosed { milestone_id, outcome, released, refunded, .. }) => {
            if let Some(life) = life_of(&mut state) {
                let closed = ClosedMilestone { outcome: *outcome, released: *released, refunded: *refunded };
                life.closed.insert(*milestone_id, closed);
            }
            state
        }
        (
            S::Active { life } | S::Paused { life, .. } | S::Dormant { life, .. } | S::Ending { life, .. },
            E::Completed { completed_at, .. },
        ) => S::Completed { life: at_rest(life), completed_at: *completed_at },

        (state, E::TimerBlocked { key, .. }) => disarmed(state, key),

        // No command leads here; an event that does not fit the state leaves it as it is.
        (
            state,
            E::Offered { .. }
            | E::Countered { .. }
            | E::Accepted { .. }
            | E::Declined { .. }
            | E::OfferWithdrawn { .. }
            | E::OfferExpired { .. }
            | E::Activated { .. }
            | E::Cancelled { .. }
            | E::DeadlineExtended { .. }
            | E::AmendmentProposed { .. }
            | E::AmendmentAccepted { .. }
            | E::AmendmentRejected {
                reason: AmendmentEnd::Rejected | AmendmentEnd::Withdrawn | AmendmentEnd::Expired,
                ..
            }
            | E::Paused { .. }
            | E::Resumed { .. }
            | E::EndRequested { .. }
            | E::EndAgreed { .. }
            | E::DormancyWarned { .. }
            | E::DormancyPostponed { .. }
            | E::MarkedDormant { .. }
            | E::DormancyEscalatedToPayee { .. }
            | E::DormancyReleaseRequested { .. }
            | E::DormancyDefaulted { .. }
            | E::Reactivated { .. }
            | E::Completed { .. },
        ) => state,
    }
}

fn life_of(state: &mut Contract) -> Option<&mut Life> {
    match state {
        Contract::PendingFunding { life, .. }
        | Contract::Active { life }
        | Contract::Paused { life, .. }
        | Contract::Dormant { life, .. }
        | Contract::Ending { life, .. }
        | Contract::Completed { life, .. } => Some(life),
        Contract::NotDrafted
        | Contract::Draft { .. }
        | Contract::Offered { .. }
        | Contract::Declined { .. }
        | Contract::Withdrawn { .. }
        | Contract::Expired { .. }
        | Contract::Cancelled { .. } => None,
    }
}

/// The state without the timer called `key`.
fn disarmed(mut state: Contract, key: &str) -> Contract {
    match &mut state {
        Contract::Offered { offer_expires_at: due_at, .. } if key == OFFER_EXPIRY => *due_at = None,
        Contract::PendingFunding { funding_due_at: due_at, .. } if key == FIRST_FUNDING => *due_at = None,
        Contract::Ending { respond_by: due_at, .. } if key == END_REQUEST => *due_at = None,
        Contract::Dormant { due_at, .. } if key == DORMANCY => *due_at = None,
        Contract::Active { life } if key == DORMANCY => {
            if let Some(clock) = &mut life.dormancy {
                clock.due_at = None;
            }
        }
        Contract::Active { life } | Contract::Paused { life, .. } => {
            if let Some(proposal) =
                life.proposal.as_mut().filter(|proposal| amendment_expiry(proposal.amendment_id) == key)
            {
                proposal.expires_at = None;
            }
        }
        _ => {}
    }
    state
}
