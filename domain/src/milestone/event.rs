//! Facts about a milestone.

use ledger::Minor;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::id::{ContractId, FundingId, MilestoneId, ReleaseId};
use crate::time::Timestamp;

/// Why a milestone counts as approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalReason {
    /// The client said so.
    Client,
}

/// A fact about a milestone. Every variant has the contract's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MilestoneEvent {
    /// It exists, as agreed in the contract.
    Planned {
        /// What it is about.
        #[serde(flatten)]
        plan: Plan,
    },
    /// The client is paying for it.
    FundingRequested {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// With which funding.
        funding_id: FundingId,
        /// How much is to be held.
        amount: Minor,
    },
    /// Its money is held.
    Funded {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// With which funding.
        funding_id: FundingId,
        /// How much is held.
        amount: Minor,
    },
    /// Its money did not arrive.
    FundingFailed {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// With which funding.
        funding_id: FundingId,
        /// The code of the failure.
        reason: String,
    },
    /// The payee has delivered.
    WorkSubmitted {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Number of the submission, from 1.
        submission_no: u32,
        /// When it counts as approved if the client says nothing.
        review_due_at: Timestamp,
    },
    /// The client approved it.
    Approved {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which submission; absent when nothing was submitted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submission_no: Option<u32>,
        /// What leaves the escrow.
        gross: Minor,
        /// The release that follows.
        release_id: ReleaseId,
        /// Why.
        reason: ApprovalReason,
    },
    /// The review window closed without a word.
    AutoApproved {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which submission.
        submission_no: u32,
        /// What leaves the escrow.
        gross: Minor,
        /// The release that follows.
        release_id: ReleaseId,
        /// When the window closed.
        due_at: Timestamp,
    },
    /// The payee was credited.
    Released {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which release.
        release_id: ReleaseId,
        /// What left the escrow.
        gross: Minor,
        /// What the payee got of it.
        net: Minor,
        /// What is still held.
        remaining: Minor,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}
