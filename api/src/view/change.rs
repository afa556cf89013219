//! One change to the milestones of a contract: as it is asked for in a counter offer or an amendment, and as it is shown
//! while the amendment waits.
//!
//! # Invariants
//! - Every kind has the members that it needs and none that would be ignored.
//! - What is wrong is said with a pointer into the request.

use chrono::{DateTime, Utc};
use domain::contract::{Change, MAX_REVIEW_DAYS, MilestonePlan};
use domain::id::MilestoneId;
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::code::ErrorCode;
use crate::problem::Problem;
use crate::routes::{amount, id};

/// What is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// One more milestone, at the end: `amount`, and if wanted `due_at`, `review_days`, `reference`.
    AddMilestone,
    /// Another worth: `milestone_id`, `amount`.
    ChangeAmount,
    /// Another date of delivery: `milestone_id`, `due_at`; none when that is absent.
    ChangeDueDate,
    /// Another review window, for submissions to come: `milestone_id`, `review_days`; the contract's when that is absent.
    ChangeReviewDays,
}

impl ChangeKind {
    fn word(self) -> &'static str {
        match self {
            Self::AddMilestone => "add_milestone",
            Self::ChangeAmount => "change_amount",
            Self::ChangeDueDate => "change_due_date",
            Self::ChangeReviewDays => "change_review_days",
        }
    }
}

/// One change to the milestones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeView {
    /// What is to change; it says which of the other members there are.
    pub kind: ChangeKind,
    /// Of which milestone. An added one gets its id with the answer.
    #[serde(default)]
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: Option<String>,
    /// What it is worth, in minor units, fees not included. Not less than what was paid in.
    #[serde(default)]
    #[schema(example = 120_000)]
    pub amount: Option<i64>,
    /// When it is to be delivered.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// Days that the client has to review a submission, 1 to 365.
    #[serde(default)]
    pub review_days: Option<u16>,
    /// Your own reference of an added milestone.
    #[serde(default)]
    pub reference: Option<String>,
}

impl ChangeView {
    /// A change that was asked for.
    pub fn of(change: &Change) -> Self {
        let shown = |kind, id: &MilestoneId| Self {
            kind,
            milestone_id: Some(id.to_string()),
            amount: None,
            due_at: None,
            review_days: None,
            reference: None,
        };
        match change {
            Change::AddMilestone { milestone } => Self {
                amount: Some(milestone.amount.get()),
                due_at: milestone.due_at,
                review_days: milestone.review_days,
                reference: milestone.reference.clone(),
                ..shown(ChangeKind::AddMilestone, &milestone.milestone_id)
            },
            Change::ChangeAmount { milestone_id, amount } => {
                Self { amount: Some(amount.get()), ..shown(ChangeKind::ChangeAmount, milestone_id) }
            }
            Change::ChangeDueDate { milestone_id, due_at } => {
                Self { due_at: *due_at, ..shown(ChangeKind::ChangeDueDate, milestone_id) }
            }
            Change::ChangeReviewDays { milestone_id, review_days } => {
                Self { review_days: *review_days, ..shown(ChangeKind::ChangeReviewDays, milestone_id) }
            }
        }
    }

    /// The changes of a request, in order. Added milestones get new ids.
    ///
    /// # Errors
    /// `validation_failed` or `amount_too_large`, with the place.
    pub fn read(changes: &[Self]) -> Result<Vec<Change>, Problem> {
        changes.iter().enumerate().map(|(index, change)| change.read_one(index)).collect()
    }

    fn read_one(&self, index: usize) -> Result<Change, Problem> {
        let at = |member: &str| format!("/changes/{index}/{member}");
        self.check_members(&at)?;
        if self.review_days.is_some_and(|days| days == 0 || days > MAX_REVIEW_DAYS) {
            let detail = format!("must be 1 to {MAX_REVIEW_DAYS}");
            return Err(Problem::field(ErrorCode::ValidationFailed, at("review_days"), detail));
        }
        let milestone = || -> Result<MilestoneId, Problem> {
            let text = self.milestone_id.as_deref().ok_or_else(|| self.lacks(at("milestone_id")))?;
            id(text, at("milestone_id"))
        };
        let worth =
            || -> Result<Minor, Problem> { amount(self.amount.ok_or_else(|| self.lacks(at("amount")))?, at("amount")) };
        Ok(match self.kind {
            ChangeKind::AddMilestone => Change::AddMilestone {
                milestone: MilestonePlan {
                    milestone_id: MilestoneId::from_uuid(Uuid::now_v7()),
                    amount: worth()?,
                    due_at: self.due_at,
                    review_days: self.review_days,
                    reference: self.reference.clone(),
                },
            },
            ChangeKind::ChangeAmount => Change::ChangeAmount { milestone_id: milestone()?, amount: worth()? },
            ChangeKind::ChangeDueDate => Change::ChangeDueDate { milestone_id: milestone()?, due_at: self.due_at },
            ChangeKind::ChangeReviewDays => {
                Change::ChangeReviewDays { milestone_id: milestone()?, review_days: self.review_days }
            }
        })
    }

    /// Refuses members that the kind does not have: they would be ignored.
    fn check_members(&self, at: &impl Fn(&str) -> String) -> Result<(), Problem> {
        use ChangeKind as K;
        let given = [
            ("milestone_id", self.milestone_id.is_some(), self.kind != K::AddMilestone),
            ("amount", self.amount.is_some(), matches!(self.kind, K::AddMilestone | K::ChangeAmount)),
            ("due_at", self.due_at.is_some(), matches!(self.kind, K::AddMilestone | K::ChangeDueDate)),
            ("review_days", self.review_days.is_some(), matches!(self.kind, K::AddMilestone | K::ChangeReviewDays)),
            ("reference", self.reference.is_some(), self.kind == K::AddMilestone),
        ];
        match given.iter().find(|(_, is_given, belongs)| *is_given && !belongs) {
            Some((member, ..)) => {
                let detail = format!("does not belong to {}", self.kind.word());
                Err(Problem::field(ErrorCode::ValidationFailed, at(member), detail))
            }
            None => Ok(()),
        }
    }

    fn lacks(&self, pointer: String) -> Problem {
        let detail = format!("is needed for {}", self.kind.word());
        Problem::field(ErrorCode::ValidationFailed, pointer, detail)
    }
}
