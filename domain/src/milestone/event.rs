//! Facts about a milestone.

use ledger::Minor;
use serde::{Deserialize, Serialize};

use super::{EndCause, LossCause, Plan, PriorState};
use crate::contract::{ClosedMilestone, Role};
use crate::id::{
    ChargebackId, ContractId, DisputeId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use crate::time::Timestamp;

/// Why a milestone counts as approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalReason {
    /// The client said so.
    Client,
    /// The client of a dormant contract did not answer the payee.
    Dormancy,
    /// The provider lets the money lie no longer, and work was under review.
    HoldLimit,
}

/// What becomes of the rest when a part is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remainder {
    /// It stays held.
    Keep,
    /// It is to go to another milestone of the contract, if the payee agrees.
    RollForward {
        /// Which.
        milestone_id: MilestoneId,
    },
    /// The client wants it back.
    RefundRequest,
}

/// Who or what agreed that money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundConsent {
    /// The payee, asked by the client.
    Accepted,
    /// The payee, not asked.
    Granted,
    /// The payee did not answer in time.
    Time,
    /// The contract ended.
    End,
    /// Nobody answered about a dormant contract.
    Dormancy,
    /// The money arrived when the milestone was over.
    TooLate,
}

/// A fact about a milestone. Every variant has the contract's id; amounts are minor units, fees not included.
///
/// `closes` is there when the milestone is over by this event, and says how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MilestoneEvent {
    /// It exists, as agreed in the contract.
    Planned {
        /// What it is about.
        #[serde(flatten)]
        plan: Plan,
    },
    /// It is something else now, as agreed in an amendment.
    Amended {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// What it is worth now.
        amount: Minor,
        /// When it is to be delivered now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        /// Days that the client has to review submissions to come.
        review_days: u16,
        /// What the client has to pay in beyond what was paid in already.
        missing: Minor,
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
        /// How it ended, if only this money was waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<ClosedMilestone>,
    },
    /// It was given up.
    Cancelled {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// What of it had gone back to the client before, when a bank took the rest.
        #[serde(default, skip_serializing_if = "ledger::is_zero")]
        refunded: Minor,
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
    /// The payee took the delivery back.
    SubmissionWithdrawn {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which submission.
        submission_no: u32,
    },
    /// The client wants something else.
    ChangesRequested {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Instead of which submission.
        submission_no: u32,
        /// The marketplace's own reference of what is wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note_ref: Option<String>,
        /// How often the client wanted changes, from 1.
        revision_no: u32,
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
    /// The client approved a part of it.
    PartiallyApproved {
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
        /// What becomes of the rest.
        remainder: Remainder,
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
        /// How it ended, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<ClosedMilestone>,
    },
    /// The payee agreed that the rest goes to another milestone: the escrow moves it.
    RollForwardAccepted {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Who proposed it.
        client_id: PartyId,
        /// Who agreed.
        payee_id: PartyId,
        /// Which movement.
        reallocation_id: ReallocationId,
        /// To which.
        to: MilestoneId,
        /// How much.
        amount: Minor,
    },
    /// The payee did not agree: the rest stays.
    RollForwardRejected {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
    },
    /// Money of it went to another milestone.
    MovedOut {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// To which.
        to: MilestoneId,
        /// How much.
        amount: Minor,
        /// What is still held.
        remaining: Minor,
        /// How it ended, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<ClosedMilestone>,
    },
    /// Money of another milestone, or of none, came to it.
    MovedIn {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// From which; absent when it was deposited for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<MilestoneId>,
        /// How much.
        amount: Minor,
    },
    /// The client wants money back.
    RefundRequested {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which refund.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
        /// When it counts as agreed.
        respond_by: Timestamp,
    },
    /// Money goes back: the escrow moves it.
    RefundAgreed {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which refund.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
        /// Who agreed.
        consent: RefundConsent,
    },
    /// The payee did not agree; a dispute follows.
    RefundRejected {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which refund.
        refund_id: RefundId,
    },
    /// Money went back.
    Refunded {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which refund.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
        /// What is still held.
        remaining: Minor,
        /// How it ended, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<ClosedMilestone>,
    },
    /// The provider lets the money of a funding lie no longer, and no work is under review: it goes back.
    HoldLimitPassed {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Whose money.
        funding_id: FundingId,
    },
    /// The parties disagree about what is held: it is locked until that is settled.
    Disputed {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// In which dispute.
        dispute_id: DisputeId,
        /// Who opened it.
        by: Role,
        /// What is in dispute.
        amount: Minor,
        /// What the milestone was before.
        prior_state: PriorState,
        /// What was left of the review window, in milliseconds; absent when none was running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        review_remaining_ms: Option<i64>,
    },
    /// The dispute was taken back: it goes on as before.
    DisputeWithdrawn {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which dispute.
        dispute_id: DisputeId,
        /// What it is again.
        resume_state: PriorState,
        /// When the review window closes now; absent when none is running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_review_due_at: Option<Timestamp>,
    },
    /// The escrow was frozen, which stopped the clock: the deadline that runs is later now.
    DeadlineMoved {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which timer.
        key: String,
        /// When it is due now.
        due_at: Timestamp,
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
    /// A client's bank disagrees with a payment for it: nothing happens, and its clock stops.
    Suspended {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// In which chargeback.
        chargeback_id: ChargebackId,
        /// What was left of the clock that ran, in milliseconds; absent when none did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remaining_ms: Option<i64>,
    },
    /// The bank is done with it: it goes on as before, unless another chargeback is open.
    Resumed {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which chargeback is over.
        chargeback_id: ChargebackId,
        /// Whether another one is open, so that it rests on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rests_on: bool,
        /// When the clock that was stopped runs out now; absent when none runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_due_at: Option<Timestamp>,
    },
    /// The contract has ended while it rests: what that means is done when it goes on, or has lost its money.
    EndDeferred {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Who gets what is left then.
        to: Role,
        /// How the end came about.
        cause: EndCause,
    },
    /// A bank took money that was held for it.
    FundingLost {
        /// Its contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// Which payment it was.
        funding_id: FundingId,
        /// How that came about.
        cause: LossCause,
        /// How much.
        amount: Minor,
        /// What is still held.
        remaining: Minor,
        /// How it ended, if it did: a part had been released before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<ClosedMilestone>,
    },
}

impl MilestoneEvent {
    /// The contract that it is about.
    pub fn contract_id(&self) -> ContractId {
        match self {
            Self::Planned { plan } => plan.contract_id,
            Self::Amended { contract_id, .. }
            | Self::FundingRequested { contract_id, .. }
            | Self::Funded { contract_id, .. }
            | Self::FundingFailed { contract_id, .. }
            | Self::Cancelled { contract_id, .. }
            | Self::WorkSubmitted { contract_id, .. }
            | Self::SubmissionWithdrawn { contract_id, .. }
            | Self::ChangesRequested { contract_id, .. }
            | Self::Approved { contract_id, .. }
            | Self::PartiallyApproved { contract_id, .. }
            | Self::AutoApproved { contract_id, .. }
            | Self::Released { contract_id, .. }
            | Self::RollForwardAccepted { contract_id, .. }
            | Self::RollForwardRejected { contract_id, .. }
            | Self::MovedOut { contract_id, .. }
            | Self::MovedIn { contract_id, .. }
            | Self::RefundRequested { contract_id, .. }
            | Self::RefundAgreed { contract_id, .. }
            | Self::RefundRejected { contract_id, .. }
            | Self::Refunded { contract_id, .. }
            | Self::HoldLimitPassed { contract_id, .. }
            | Self::Disputed { contract_id, .. }
            | Self::DisputeWithdrawn { contract_id, .. }
            | Self::DeadlineMoved { contract_id, .. }
            | Self::TimerBlocked { contract_id, .. }
            | Self::Suspended { contract_id, .. }
            | Self::Resumed { contract_id, .. }
            | Self::EndDeferred { contract_id, .. }
            | Self::FundingLost { contract_id, .. } => *contract_id,
        }
    }

    /// The deadline that it sets for the milestone, if it sets one.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::WorkSubmitted { review_due_at: at, .. }
            | Self::RefundRequested { respond_by: at, .. }
            | Self::DeadlineMoved { due_at: at, .. } => Some(*at),
            Self::DisputeWithdrawn { new_review_due_at: at, .. } | Self::Resumed { new_due_at: at, .. } => *at,
            _ => None,
        }
    }
}
