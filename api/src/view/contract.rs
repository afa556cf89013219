//! A contract as the API shows it.

use chrono::{DateTime, Utc};
use domain::contract::{Contract, DormantStage, MilestonePlan, Proposal};
use domain::escrow::Escrow;
use domain::milestone::Milestone;
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangeView, EscrowView, FeesView, MilestoneView, PeriodsView, decimal};

/// A contract with its milestones and its money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContractView {
    /// Its id.
    #[schema(example = "ctr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `contract`.
    #[schema(example = "contract")]
    pub object: String,
    /// `draft`, `offered`, `declined`, `withdrawn`, `expired`, `pending_funding`, `active`, `paused`, `dormant`, `ending`,
    /// `completed` or `cancelled`.
    #[schema(example = "active")]
    pub status: String,
    /// Who pays.
    pub client_id: String,
    /// Who delivers and is paid.
    pub payee_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Sum of the milestones, minor units.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// That sum as people write it.
    #[schema(example = "1,000.00 USD")]
    pub decimal: String,
    /// The fees, once offered.
    pub fees: Option<FeesView>,
    /// The periods, once offered.
    pub periods: Option<PeriodsView>,
    /// When the offer runs out, while it is one.
    pub offer_expires_at: Option<DateTime<Utc>>,
    /// Who answers the offer, while it is one: `payee`, or after a counter offer the other side.
    pub answer_by: Option<String>,
    /// When it is cancelled for want of money, while nothing is paid in.
    pub funding_due_at: Option<DateTime<Utc>>,
    /// Who paused it and can resume it, while it is paused.
    pub paused_by: Option<String>,
    /// The amendment that waits for an answer.
    pub amendment: Option<AmendmentView>,
    /// The wish to end it, while it is ending.
    pub ending: Option<EndingView>,
    /// How it is asked after, while it is dormant.
    pub dormancy: Option<DormancyView>,
    /// When it was completed.
    pub completed_at: Option<DateTime<Utc>>,
    /// Its milestones, in order.
    pub milestones: Vec<MilestoneView>,
    /// Its money, once accepted.
    pub escrow: Option<EscrowView>,
    /// The marketplace's own reference.
    pub reference: Option<String>,
}

/// An amendment that waits for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AmendmentView {
    /// Its id.
    #[schema(example = "amd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Who proposed it, `client` or `payee`; the other side answers.
    #[schema(example = "client")]
    pub proposed_by: String,
    /// What is to change.
    pub changes: Vec<ChangeView>,
    /// When it lapses.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A wish to end a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EndingView {
    /// Whether the end is agreed: what is left then is work under review and what is in dispute.
    pub agreed: bool,
    /// When it counts as agreed if the payee says nothing.
    pub respond_by: Option<DateTime<Utc>>,
}

/// A contract on which nothing happens any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DormancyView {
    /// Whose turn it is: `client`, `payee`, or `client_about_release` when the payee has asked for what is held.
    #[schema(example = "client")]
    pub waits_for: String,
    /// Until when.
    pub respond_by: Option<DateTime<Utc>>,
}

impl ContractView {
    /// The view of a contract with its parts; `None` before it is drafted.
    pub fn of<'a>(
        contract: &Contract,
        escrow: Option<&Escrow>,
        milestone: impl Fn(domain::id::MilestoneId) -> Option<&'a Milestone>,
    ) -> Option<Self> {
        let agreement = contract.agreement()?;
        let amount = ledger::Minor::sum(agreement.milestones.iter().map(|plan| plan.amount)).ok()?;
        let milestones = agreement.milestones.iter().map(|plan| {
            milestone(plan.milestone_id)
                .and_then(MilestoneView::of)
                .unwrap_or_else(|| MilestoneView::proposed(agreement, plan, review_days(contract, plan)))
        });
        Some(Self {
            id: agreement.contract_id.to_string(),
            object: "contract".to_owned(),
            status: contract.state_name().to_owned(),
            client_id: agreement.client_id.to_string(),
            payee_id: agreement.payee_id.to_string(),
            currency: agreement.currency.code().to_owned(),
            amount: amount.get(),
            decimal: decimal(amount, agreement.currency),
            fees: contract.terms().map(|terms| FeesView::of(&terms.fee_schedule, agreement.currency)),
            periods: contract.terms().map(|terms| PeriodsView::of(&terms.policy)),
            offer_expires_at: match contract {
                Contract::Offered { offer_expires_at, .. } => *offer_expires_at,
                _ => None,
            },
            answer_by: match contract {
                Contract::Offered { answer_by, .. } => Some(answer_by.word().to_owned()),
                _ => None,
            },
            funding_due_at: match contract {
                Contract::PendingFunding { funding_due_at, .. } => *funding_due_at,
                _ => None,
            },
            paused_by: match contract {
                Contract::Paused { by, .. } => Some(by.word().to_owned()),
                _ => None,
            },
            amendment: match contract {
                Contract::Active { life } | Contract::Paused { life, .. } => {
                    life.proposal.as_ref().map(AmendmentView::of)
                }
                _ => None,
            },
            ending: match contract {
                Contract::Ending { respond_by, agreed, .. } => {
                    Some(EndingView { agreed: *agreed, respond_by: *respond_by })
                }
                _ => None,
            },
            dormancy: match contract {
                Contract::Dormant { stage, due_at, .. } => Some(DormancyView::of(*stage, *due_at)),
                _ => None,
            },
            completed_at: match contract {
                Contract::Completed { completed_at, .. } => Some(*completed_at),
                _ => None,
            },
            milestones: milestones.collect(),
            escrow: escrow.and_then(EscrowView::of),
            reference: agreement.reference.clone(),
        })
    }
}

/// Days of review of a milestone that is not agreed yet.
fn review_days(contract: &Contract, plan: &MilestonePlan) -> u16 {
    let of_policy = contract.terms().map(|terms| terms.policy.review_days);
    plan.review_days.or(of_policy).unwrap_or(domain::policy::Policy::default().review_days)
}

impl DormancyView {
    fn of(stage: DormantStage, respond_by: Option<DateTime<Utc>>) -> Self {
        let waits_for = match stage {
            DormantStage::ClientAsked => "client",
            DormantStage::PayeeAsked => "payee",
            DormantStage::ReleaseRequested => "client_about_release",
        };
        Self { waits_for: waits_for.to_owned(), respond_by }
    }
}

impl AmendmentView {
    /// The view of a proposal.
    pub fn of(proposal: &Proposal) -> Self {
        Self {
            id: proposal.amendment_id.to_string(),
            proposed_by: proposal.by.word().to_owned(),
            changes: proposal.changes.iter().map(ChangeView::of).collect(),
            expires_at: proposal.expires_at,
        }
    }
}
