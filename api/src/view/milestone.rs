//! A milestone as the API shows it.

use chrono::{DateTime, Utc};
use domain::contract::{Agreement, MilestonePlan};
use domain::milestone::{LossCause, Milestone};
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
    /// `refund_pending`, `disputed`, `suspended` (a bank disagrees with the payment), `released`, `refunded` or
    /// `cancelled`.
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
    /// What went back to the client.
    pub refunded: i64,
    /// What went to other milestones.
    pub moved_out: i64,
    /// What the client has still to pay in for the amount that is agreed.
    pub missing: i64,
    /// How often the client asked for changes.
    pub revision_no: u32,
    /// Days that the client has to review a submission.
    pub review_days: u16,
    /// When it is to be delivered, if agreed.
    pub due_at: Option<DateTime<Utc>>,
    /// Number of the submission under review.
    pub submission_no: Option<u32>,
    /// When it counts as approved if the client says nothing.
    pub review_due_at: Option<DateTime<Utc>>,
    /// The client's wish for a refund that waits for an answer.
    pub refund_request: Option<RefundRequestView>,
    /// The milestone that the client wants the rest moved to, while the payee has not answered.
    pub roll_forward_to: Option<String>,
    /// The dispute about what is held, while there is one.
    pub dispute: Option<MilestoneDisputeView>,
    /// What is wrong with the money that was paid for it: `charge_disputed` (a bank disagrees), `funding_lost` (a bank has
    /// taken it for good) or `funding_returned` (a bank debit came back).
    pub flag: Option<String>,
    /// The marketplace's own reference.
    pub reference: Option<String>,
}

/// A wish for a refund.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RefundRequestView {
    /// Its id, and that of the refund it leads to.
    #[schema(example = "rfd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// How much, minor units, fees not included.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// When it counts as agreed if the payee says nothing.
    pub respond_by: Option<DateTime<Utc>>,
}

/// A dispute about a milestone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MilestoneDisputeView {
    /// Its id.
    #[schema(example = "dsp_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// How much is locked, minor units, fees not included.
    #[schema(example = 100_000)]
    pub amount: i64,
}

impl MilestoneView {
    /// The view of a milestone that is not agreed yet.
    pub(super) fn proposed(agreement: &Agreement, plan: &MilestonePlan, review_days: u16) -> Self {
        Self {
            id: plan.milestone_id.to_string(),
            object: "milestone".to_owned(),
            contract_id: agreement.contract_id.to_string(),
            status: "proposed".to_owned(),
            amount: plan.amount.get(),
            currency: agreement.currency.code().to_owned(),
            decimal: decimal(plan.amount, agreement.currency),
            held: 0,
            released: 0,
            net: 0,
            refunded: 0,
            moved_out: 0,
            missing: plan.amount.get(),
            revision_no: 0,
            review_days,
            due_at: plan.due_at,
            submission_no: None,
            review_due_at: None,
            refund_request: None,
            roll_forward_to: None,
            dispute: None,
            flag: None,
            reference: plan.reference.clone(),
        }
    }

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
            refunded: 0,
            moved_out: 0,
            missing: missing(milestone),
            revision_no: 0,
            review_days: plan.review_days,
            due_at: plan.due_at,
            submission_no: None,
            review_due_at: None,
            refund_request: None,
            roll_forward_to: None,
            dispute: None,
            flag: flag(milestone).map(str::to_owned),
            reference: plan.reference.clone(),
        };
        if let Some(progress) = milestone.progress() {
            view.held = progress.held.get();
            view.released = progress.released.get();
            view.net = progress.net.get();
            view.refunded = progress.refunded.get();
            view.moved_out = progress.moved_out.get();
            view.revision_no = progress.revision_no;
        }
        match milestone {
            Milestone::Submitted { progress, review_due_at } => {
                view.submission_no = Some(progress.submission_no);
                view.review_due_at = *review_due_at;
            }
            Milestone::RefundPending { refund_id, refunding, respond_by, agreed: false, .. } => {
                view.refund_request = Some(RefundRequestView {
                    id: refund_id.to_string(),
                    amount: refunding.get(),
                    respond_by: *respond_by,
                });
            }
            Milestone::PartiallyReleased { roll_forward, .. } => {
                view.roll_forward_to = roll_forward.map(|id| id.to_string());
            }
            Milestone::Disputed { progress, dispute_id, .. } => {
                view.dispute = Some(MilestoneDisputeView { id: dispute_id.to_string(), amount: progress.held.get() });
            }
            _ => {}
        }
        Some(view)
    }
}

fn flag(milestone: &Milestone) -> Option<&'static str> {
    match (milestone, milestone.flag()) {
        (Milestone::Suspended { .. }, _) => Some("charge_disputed"),
        (_, Some(LossCause::FundingLost)) => Some("funding_lost"),
        (_, Some(LossCause::FundingReturned)) => Some("funding_returned"),
        (_, None) => None,
    }
}

/// Nothing is missing for what is over.
fn missing(milestone: &Milestone) -> i64 {
    match milestone {
        Milestone::Planned { plan } | Milestone::FundingPending { plan, .. } => plan.amount.get(),
        Milestone::NotPlanned
        | Milestone::Cancelled { .. }
        | Milestone::Unfunded { given_up: true, .. }
        | Milestone::Released { .. }
        | Milestone::Refunded { .. } => 0,
        Milestone::Funded { .. }
        | Milestone::Submitted { .. }
        | Milestone::ChangesRequested { .. }
        | Milestone::Approved { .. }
        | Milestone::PartiallyReleased { .. }
        | Milestone::RefundPending { .. }
        | Milestone::Suspended { .. }
        | Milestone::Unfunded { given_up: false, .. }
        | Milestone::Disputed { .. } => milestone.progress().map_or(0, |progress| progress.missing().get()),
    }
}
