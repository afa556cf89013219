//! Rules of a dispute as the milestone sees it: its money is locked, and its review window stands still.
//!
//! # Invariants
//! - A dispute is opened on all that is held, before it is approved and never after.
//! - What was left of the review window is left when the dispute is taken back.
//!
//! # What is deliberately absent
//! The dispute itself, its phases and its settlement, and the lock on the money in the escrow.

use chrono::TimeDelta;

use super::decide::{left_of, no_free_money, role_of, wrong_state};
use super::evolve::prior;
use super::{Milestone, MilestoneCommand, MilestoneEvent, Plan, PriorState, Progress};
use crate::contract::Role;
use crate::id::DisputeId;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    milestone: &Milestone,
    plan: &Plan,
    command: &MilestoneCommand,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    use {Milestone as S, MilestoneCommand as C, MilestoneEvent as E};
    match (milestone, command) {
        (
            S::Funded { progress }
            | S::Submitted { progress, .. }
            | S::ChangesRequested { progress }
            | S::PartiallyReleased { progress, .. },
            C::OpenDispute { dispute_id },
        ) => {
            let by = role_of(plan, context, "open a dispute")?;
            if progress.held.is_zero() {
                return Err(Refusal::MilestoneNotFunded);
            }
            let left = match milestone {
                S::Submitted { review_due_at: Some(due_at), .. } => {
                    Some(left_of(*due_at, plan.review_days, context.now))
                }
                _ => None,
            };
            let prior = prior(milestone).unwrap_or(PriorState::Funded);
            Ok(vec![disputed(progress, *dispute_id, by, prior, left)])
        }
        (_, C::OpenDispute { .. }) => {
            role_of(plan, context, "open a dispute")?;
            Err(no_free_money(milestone, "disputed"))
        }

        (S::Disputed { dispute_id: open, prior, review_remaining_ms, .. }, C::ResumeAfterDispute { dispute_id })
            if open == dispute_id =>
        {
            let rest = review_remaining_ms.map(TimeDelta::milliseconds);
            Ok(vec![E::DisputeWithdrawn {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                dispute_id: *dispute_id,
                resume_state: *prior,
                new_review_due_at: rest.and_then(|rest| context.now.checked_add_signed(rest)),
            }])
        }
        (_, C::ResumeAfterDispute { .. }) => Err(wrong_state(milestone, "taken out of that dispute")),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

/// All that is held is in dispute.
pub(super) fn disputed(
    progress: &Progress,
    dispute_id: DisputeId,
    by: Role,
    prior_state: PriorState,
    review_remaining_ms: Option<i64>,
) -> MilestoneEvent {
    MilestoneEvent::Disputed {
        contract_id: progress.plan.contract_id,
        milestone_id: progress.plan.milestone_id,
        dispute_id,
        by,
        amount: progress.held,
        prior_state,
        review_remaining_ms,
    }
}
