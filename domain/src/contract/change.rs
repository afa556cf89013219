//! Changes to the milestones of a contract: in a counter offer before it is accepted, in an amendment after.
//!
//! # Invariants
//! - A change that was applied left a list of milestones that could have been drafted.
//! - A milestone that is over is not changed.

use std::collections::BTreeSet;

use ledger::Minor;
use serde::{Deserialize, Serialize};

use super::terms::check_milestones;
use super::{MAX_REVIEW_DAYS, MilestonePlan, Role};
use crate::id::{AmendmentId, MilestoneId};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Most changes of one proposal: enough to touch each of the most milestones once in amount, date and review.
const MAX_CHANGES: usize = 300;

/// One change to the milestones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// One more, at the end.
    AddMilestone {
        /// As it is to be agreed.
        milestone: MilestonePlan,
    },
    /// Another worth.
    ChangeAmount {
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// The new one, minor units of the contract's currency, fees not included.
        amount: Minor,
    },
    /// Another date of delivery.
    ChangeDueDate {
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// The new one; none when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
    },
    /// Another review window, for submissions to come.
    ChangeReviewDays {
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// From 1 to [`MAX_REVIEW_DAYS`]; the policy's when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        review_days: Option<u16>,
    },
}

impl Change {
    /// The milestone that it is about.
    pub fn milestone_id(&self) -> MilestoneId {
        match self {
            Self::AddMilestone { milestone } => milestone.milestone_id,
            Self::ChangeAmount { milestone_id, .. }
            | Self::ChangeDueDate { milestone_id, .. }
            | Self::ChangeReviewDays { milestone_id, .. } => *milestone_id,
        }
    }
}

/// An amendment that waits for the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The amendment.
    pub amendment_id: AmendmentId,
    /// Who proposed it; the other side answers.
    pub by: Role,
    /// What is to change.
    pub changes: Vec<Change>,
    /// When it lapses; `None` once that timer was blocked.
    pub expires_at: Option<Timestamp>,
}

/// The milestones with the changes applied, in order. `is_closed` says of which milestone nothing can change any more.
pub(super) fn apply(
    milestones: &[MilestonePlan],
    changes: &[Change],
    is_closed: impl Fn(MilestoneId) -> bool,
) -> Result<Vec<MilestonePlan>, Refusal> {
    if changes.is_empty() || changes.len() > MAX_CHANGES {
        return Err(Refusal::invalid("/changes", format!("must have 1 to {MAX_CHANGES} entries")));
    }
    let mut agreed = milestones.to_vec();
    let mut seen = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        let at = |field: &str| format!("/changes/{index}/{field}");
        let kind = match change {
            Change::AddMilestone { .. } => 0_u8,
            Change::ChangeAmount { .. } => 1,
            Change::ChangeDueDate { .. } => 2,
            Change::ChangeReviewDays { .. } => 3,
        };
        if !seen.insert((change.milestone_id(), kind)) {
            return Err(Refusal::invalid(at("milestone_id"), "is changed twice"));
        }
        if let Change::AddMilestone { milestone } = change {
            agreed.push(milestone.clone());
            continue;
        }
        let milestone_id = change.milestone_id();
        let Some(plan) = agreed.iter_mut().find(|plan| plan.milestone_id == milestone_id) else {
            return Err(Refusal::invalid(at("milestone_id"), "no such milestone of this contract"));
        };
        if is_closed(milestone_id) {
            return Err(Refusal::invalid(at("milestone_id"), "the milestone is over"));
        }
        match change {
            Change::AddMilestone { .. } => {}
            Change::ChangeAmount { amount, .. } => {
                if amount.is_zero() {
                    return Err(Refusal::invalid(at("amount"), "must be greater than zero"));
                }
                plan.amount = *amount;
            }
            Change::ChangeDueDate { due_at, .. } => plan.due_at = *due_at,
            Change::ChangeReviewDays { review_days, .. } => {
                if review_days.is_some_and(|days| days == 0 || days > MAX_REVIEW_DAYS) {
                    return Err(Refusal::invalid(at("review_days"), format!("must be 1 to {MAX_REVIEW_DAYS}")));
                }
                plan.review_days = *review_days;
            }
        }
    }
    check_milestones(&agreed)?;
    Ok(agreed)
}
