//! A contract and its escrow as the API shows them.

use chrono::{DateTime, Utc};
use domain::contract::{Contract, Proposal};
use domain::escrow::Escrow;
use domain::milestone::Milestone;
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangeView, MilestoneView, decimal};

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

/// The fees of a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeesView {
    /// Name and version of the schedule.
    #[schema(example = "two_sided@1")]
    pub schedule: String,
    /// What the client pays on top.
    #[schema(example = "5%")]
    pub client_fee: String,
    /// What is kept of each release.
    #[schema(example = "10%")]
    pub payee_fee: String,
}

/// The money of a contract, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscrowView {
    /// `open` or `closed`.
    #[schema(example = "open")]
    pub status: String,
    /// Paid in, fees not included.
    pub funded: i64,
    /// Held now.
    pub held: i64,
    /// Released, before the payee's fee.
    pub released: i64,
    /// The payee's fee on that.
    pub payee_fees: i64,
    /// The client's fee paid.
    pub client_fees: i64,
    /// The part of it that is earned.
    pub client_fees_earned: i64,
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
            milestone(plan.milestone_id).and_then(MilestoneView::of).unwrap_or_else(|| MilestoneView {
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
                missing: plan.amount.get(),
                revision_no: 0,
                review_days: plan
                    .review_days
                    .or(contract.terms().map(|terms| terms.policy.review_days))
                    .unwrap_or(domain::policy::Policy::default().review_days),
                due_at: plan.due_at,
                submission_no: None,
                review_due_at: None,
                reference: plan.reference.clone(),
            })
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
            fees: contract.terms().map(|terms| FeesView {
                schedule: format!("{}@{}", terms.fee_schedule.id, terms.fee_schedule.version),
                client_fee: terms.fee_schedule.client_fee.describe(terms.fee_schedule.currency),
                payee_fee: terms.fee_schedule.payee_fee.describe(terms.fee_schedule.currency),
            }),
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

impl EscrowView {
    /// The view of an escrow; `None` before it is opened.
    pub fn of(escrow: &Escrow) -> Option<Self> {
        let holdings = escrow.holdings()?;
        let total = |part: fn(&domain::escrow::Holding) -> ledger::Minor| {
            ledger::Minor::sum(holdings.milestones.values().map(part)).map_or(i64::MAX, ledger::Minor::get)
        };
        Some(Self {
            status: escrow.state_name().to_owned(),
            funded: total(|held| held.funded),
            held: total(|held| held.held),
            released: total(|held| held.released),
            payee_fees: total(|held| held.fees.payee_fee),
            client_fees: total(|held| held.fees.client_fee),
            client_fees_earned: total(|held| held.client_fee_earned),
        })
    }
}
