//! A milestone as the API shows it.

use chrono::{DateTime, Utc};
use domain::milestone::Milestone;
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// A milestone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MilestoneView {
    /// Its id.
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `milestone`.
    #[schema(example = "milestone")]
    pub object: String,
    /// Its contract.
    pub contract_id: String,
    /// `planned`, `funding_pending`, `funded`, `submitted`, `changes_requested`, `approved`, `partially_released`,
    /// `refund_pending`, `disputed`, `released`, `refunded` or `cancelled`.
    #[schema(example = "funded")]
    pub status: String,
    /// What it is worth, in minor units, fees not included.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "1,000.00 USD")]
    pub decimal: String,
    /// What is held for it now.
    pub held: i64,
    /// What was released, before the payee's fee.
    pub released: i64,
    /// What the payee got of that.
    pub net: i64,
    /// Days that the client has to review a submission.
    pub review_days: u16,
    /// When it is to be delivered, if agreed.
    pub due_at: Option<DateTime<Utc>>,
    /// Number of the submission under review.
    pub submission_no: Option<u32>,
    /// When it counts as approved if the client says nothing.
    pub review_due_at: Option<DateTime<Utc>>,
    /// The marketplace's own reference.
    pub reference: Option<String>,
}

impl MilestoneView {
    /// The view of a milestone; `None` before it is planned.
    pub fn of(milestone: &Milestone) -> Option<Self> {
        let plan = milestone.plan()?;
        let mut view = Self {
            id: plan.milestone_id.to_string(),
            object: "milestone".to_owned(),
            contract_id: plan.contract_id.to_string(),
            status: milestone.state_name().to_owned(),
            amount: plan.amount.get(),
            currency: plan.currency.code().to_owned(),
            decimal: decimal(plan.amount, plan.currency),
            held: 0,
            released: 0,
            net: 0,
            review_days: plan.review_days,
            due_at: plan.due_at,
            submission_no: None,
            review_due_at: None,
            reference: plan.reference.clone(),
        };
        if let Some(progress) = milestone.progress() {
            view.held = progress.held.get();
            view.released = progress.released.get();
            view.net = progress.net.get();
        }
        if let Milestone::Submitted { progress, review_due_at } = milestone {
            view.submission_no = Some(progress.submission_no);
            view.review_due_at = *review_due_at;
        }
        Some(view)
    }
}
