//! Requests about a milestone.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{LossCause, Plan, Remainder};
use crate::contract::Role;
use crate::id::{ChargebackId, ContractId, DisputeId, FundingId, MilestoneId, RefundId, ReleaseId};
use crate::time::Timestamp;

/// A request about a milestone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MilestoneCommand {
    /// Make it, as agreed in the contract.
    Plan {
        /// What it is about.
        plan: Plan,
    },
    /// Change it, as agreed in an amendment of the contract.
    Amend {
        /// What it is worth now.
        amount: Minor,
        /// When it is to be delivered now.
        due_at: Option<Timestamp>,
        /// Days that the client has to review submissions to come.
        review_days: u16,
    },
    /// The client wants to pay for it.
    RequestFunding {
        /// The contract that the caller named.
        contract_id: ContractId,
        /// With which funding.
        funding_id: FundingId,
        /// How much is to be held for it.
        amount: Minor,
        /// Where the request says so, for the answer to a wrong one.
        pointer: String,
    },
    /// Its money has arrived.
    RecordFunded {
        /// With which funding.
        funding_id: FundingId,
        /// How much is held for it.
        amount: Minor,
    },
    /// Its money did not arrive.
    RecordFundingFailure {
        /// With which funding.
        funding_id: FundingId,
        /// The code of the failure.
        reason: String,
    },
    /// Give it up before money is held for it.
    Cancel,
    /// The payee delivers.
    SubmitWork,
    /// The payee takes the delivery back.
    WithdrawSubmission,
    /// The client wants something else.
    RequestChanges {
        /// The marketplace's own reference of what is wanted.
        note_ref: Option<String>,
    },
    /// The client approves.
    Approve {
        /// How much; all that is held when absent.
        amount: Option<Minor>,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// The client approves a part.
    ApprovePartially {
        /// How much, before fees.
        gross: Minor,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
        /// What becomes of the rest.
        remainder: Remainder,
    },
    /// The review window has closed.
    AutoApprove,
    /// The release that followed from the approval.
    RecordRelease {
        /// Which.
        release_id: ReleaseId,
        /// What left the escrow.
        gross: Minor,
        /// What the payee got of it.
        net: Minor,
    },
    /// Another milestone's rest may be moved to this one, if both parties agree: can it take it?
    ExpectMoney {
        /// The contract of the other milestone.
        contract_id: ContractId,
        /// The other milestone.
        from: MilestoneId,
    },
    /// The payee agrees that the rest goes to another milestone.
    AcceptRollForward,
    /// The payee does not: the rest stays.
    RejectRollForward,
    /// The escrow moved money of it to another milestone.
    RecordMovedOut {
        /// To which.
        to: MilestoneId,
        /// How much.
        amount: Minor,
    },
    /// The escrow moved money to it.
    RecordMovedIn {
        /// The contract of the escrow.
        contract_id: ContractId,
        /// From which milestone; `None` when it was deposited for none.
        from: Option<MilestoneId>,
        /// How much.
        amount: Minor,
    },
    /// The client wants money back.
    RequestRefund {
        /// How much; all that is held when absent.
        amount: Option<Minor>,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// The payee gives money back that nobody asked for.
    GrantRefund {
        /// How much; all that is held when absent.
        amount: Option<Minor>,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// The payee agrees to give back what was asked for.
    AcceptRefund,
    /// The payee does not: that is a dispute.
    RejectRefund {
        /// The dispute to be made.
        dispute_id: DisputeId,
    },
    /// The payee did not answer in time.
    AgreeRefundByTime,
    /// The escrow has taken a refund out of what is held: the one that was agreed, or one of its own making, such as at
    /// the limit until which a provider lets money lie.
    RecordRefund {
        /// Which.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
    },
    /// The provider lets the money of a funding lie no longer, and the contract says that work under review is paid then.
    ReachHoldLimit {
        /// Whose money.
        funding_id: FundingId,
    },
    /// The contract ends: what is held goes to one side, and what is not funded is given up.
    End {
        /// To whom.
        to: Role,
        /// How that came about.
        cause: EndCause,
    },
    /// A party disagrees about what is held.
    OpenDispute {
        /// The dispute to be made.
        dispute_id: DisputeId,
    },
    /// The dispute was taken back.
    ResumeAfterDispute {
        /// Which.
        dispute_id: DisputeId,
    },
    /// The escrow was frozen and is not any more: a deadline that runs has again what was left of it.
    RestartClock {
        /// Since when the clock stood still.
        stopped_at: Timestamp,
    },
    /// A client's bank disagrees with a payment for it.
    Suspend {
        /// In which chargeback.
        chargeback_id: ChargebackId,
    },
    /// The bank is done with it.
    Resume {
        /// In which chargeback.
        chargeback_id: ChargebackId,
    },
    /// The escrow has lost money of it to a bank. A fact: never refused.
    RecordFundingLost {
        /// Which payment it was.
        funding_id: FundingId,
        /// How that came about.
        cause: LossCause,
        /// How much.
        amount: Minor,
    },
    /// A request that stops a clock or starts one again, while the escrow is frozen and every clock of the contract stands
    /// still. The unit of work says so; nobody else gives it.
    ClocksStopped {
        /// Since when they do.
        stopped_at: Timestamp,
        /// The request.
        command: Box<Self>,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

/// How the end of a contract came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// Both sides, or time, agreed to the end.
    Agreed,
    /// Nobody answered about a dormant contract.
    Dormant,
}

impl MilestoneCommand {
    /// Whether a party may give it. What follows from facts, timers and other aggregates may not come from a caller.
    pub fn is_of_a_party(&self) -> bool {
        match self {
            Self::Cancel
            | Self::SubmitWork
            | Self::WithdrawSubmission
            | Self::RequestChanges { .. }
            | Self::Approve { .. }
            | Self::ApprovePartially { .. }
            | Self::AcceptRollForward
            | Self::RejectRollForward
            | Self::RequestRefund { .. }
            | Self::GrantRefund { .. }
            | Self::AcceptRefund
            | Self::RejectRefund { .. }
            | Self::OpenDispute { .. } => true,
            Self::Plan { .. }
            | Self::Amend { .. }
            | Self::RequestFunding { .. }
            | Self::RecordFunded { .. }
            | Self::RecordFundingFailure { .. }
            | Self::AutoApprove
            | Self::RecordRelease { .. }
            | Self::ExpectMoney { .. }
            | Self::RecordMovedOut { .. }
            | Self::RecordMovedIn { .. }
            | Self::AgreeRefundByTime
            | Self::RecordRefund { .. }
            | Self::ReachHoldLimit { .. }
            | Self::End { .. }
            | Self::ResumeAfterDispute { .. }
            | Self::RestartClock { .. }
            | Self::Suspend { .. }
            | Self::Resume { .. }
            | Self::RecordFundingLost { .. }
            | Self::ClocksStopped { .. }
            | Self::BlockTimer { .. } => false,
        }
    }

    /// Whether it stops a clock, or starts one again with what was left of it.
    pub(crate) fn turns_a_clock(&self) -> bool {
        matches!(
            self,
            Self::OpenDispute { .. } | Self::ResumeAfterDispute { .. } | Self::Suspend { .. } | Self::Resume { .. }
        )
    }
}
