//! Requests about a contract.

use ledger::{Currency, Minor};

use super::{Change, MilestoneOutcome, MilestonePlan, Parts};
use crate::id::{AmendmentId, ContractId, FundingId, MilestoneId, PartyId};
use crate::policy::{FeeSchedule, Policy};
use crate::time::Timestamp;

/// What somebody did about a part of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// The client begins to pay.
    Funding,
    /// The payee delivers.
    Submission,
    /// Anything else.
    Other,
}

/// A request about a contract. `parts` is filled in by the unit of work; callers leave it empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractCommand {
    /// Write down what the client has in mind.
    Draft {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is to deliver.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// Its milestones, in order.
        milestones: Vec<MilestonePlan>,
        /// The marketplace's own reference.
        reference: Option<String>,
    },
    /// Show it to the payee, on these terms.
    Offer {
        /// The fees.
        fee_schedule: FeeSchedule,
        /// The periods.
        policy: Policy,
    },
    /// Answer the offer with other milestones.
    CounterOffer {
        /// What is to change.
        changes: Vec<Change>,
    },
    /// Agree.
    Accept,
    /// The payee does not want it.
    Decline {
        /// The marketplace's own code of the reason.
        reason: Option<String>,
    },
    /// The client takes the offer back.
    WithdrawOffer,
    /// The offer's deadline has passed.
    ExpireOffer,
    /// Give it up: by either side before anything was paid in; after that by the payee, while nothing was released.
    Cancel {
        /// The marketplace's own code of the reason.
        reason: Option<String>,
        /// What its milestones say.
        parts: Parts,
    },
    /// Nothing was paid in in time.
    LapseFunding {
        /// What its milestones say.
        parts: Parts,
    },
    /// Money for it has arrived.
    RecordFunding {
        /// Which money.
        funding_id: FundingId,
    },
    /// Propose other terms.
    ProposeAmendment {
        /// The amendment to be made.
        amendment_id: AmendmentId,
        /// What is to change.
        changes: Vec<Change>,
        /// What its milestones say.
        parts: Parts,
    },
    /// Agree to other terms.
    AcceptAmendment {
        /// Which amendment.
        amendment_id: AmendmentId,
    },
    /// Say no to other terms, or take one's own proposal back.
    RejectAmendment {
        /// Which amendment.
        amendment_id: AmendmentId,
    },
    /// Nobody answered an amendment in time.
    ExpireAmendment {
        /// Which amendment.
        amendment_id: AmendmentId,
    },
    /// Begin nothing new.
    Pause {
        /// The marketplace's own code of the reason.
        reason: Option<String>,
    },
    /// Go on.
    Resume,
    /// The client wants to end it and have back what is held.
    RequestEnd {
        /// What its milestones say.
        parts: Parts,
    },
    /// The payee agrees to that.
    AcceptEnd {
        /// What its milestones say.
        parts: Parts,
    },
    /// The payee did not answer that in time.
    AgreeEndByTime {
        /// What its milestones say.
        parts: Parts,
    },
    /// The payee disagrees with the end of the whole contract.
    DisputeEnd,
    /// Look whether anything has happened lately.
    CheckDormancy {
        /// What its milestones say.
        parts: Parts,
    },
    /// Nobody answered about a dormant contract in time.
    AdvanceDormancy {
        /// What its milestones say.
        parts: Parts,
    },
    /// The payee of a dormant contract asks for what is held.
    RequestDormancyRelease,
    /// Somebody did something about a part of it.
    NoteActivity {
        /// What.
        activity: Activity,
    },
    /// One of its milestones is over.
    CloseMilestone {
        /// Which.
        milestone_id: MilestoneId,
        /// How.
        outcome: MilestoneOutcome,
        /// What was released of it, gross.
        released: Minor,
        /// What went back to the client of it, client fees not included.
        refunded: Minor,
        /// What the milestones say.
        parts: Parts,
    },
    /// The escrow was frozen and is not any more: a deadline that runs has again what was left of it.
    RestartClock {
        /// Since when the clock stood still.
        stopped_at: Timestamp,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl ContractCommand {
    /// Where the unit of work puts what the milestones say; `None` when the command does not ask.
    pub(crate) fn parts_mut(&mut self) -> Option<&mut Parts> {
        match self {
            Self::Cancel { parts, .. }
            | Self::LapseFunding { parts }
            | Self::ProposeAmendment { parts, .. }
            | Self::RequestEnd { parts }
            | Self::AcceptEnd { parts }
            | Self::AgreeEndByTime { parts }
            | Self::CheckDormancy { parts }
            | Self::AdvanceDormancy { parts }
            | Self::CloseMilestone { parts, .. } => Some(parts),
            Self::Draft { .. }
            | Self::Offer { .. }
            | Self::CounterOffer { .. }
            | Self::Accept
            | Self::Decline { .. }
            | Self::WithdrawOffer
            | Self::ExpireOffer
            | Self::RecordFunding { .. }
            | Self::AcceptAmendment { .. }
            | Self::RejectAmendment { .. }
            | Self::ExpireAmendment { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::DisputeEnd
            | Self::RequestDormancyRelease
            | Self::NoteActivity { .. }
            | Self::RestartClock { .. }
            | Self::BlockTimer { .. } => None,
        }
    }

    /// Whether a party may give it. What follows from facts, timers and other aggregates may not come from a caller.
    pub fn is_of_a_party(&self) -> bool {
        match self {
            Self::Offer { .. }
            | Self::CounterOffer { .. }
            | Self::Accept
            | Self::Decline { .. }
            | Self::WithdrawOffer
            | Self::Cancel { .. }
            | Self::ProposeAmendment { .. }
            | Self::AcceptAmendment { .. }
            | Self::RejectAmendment { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::RequestEnd { .. }
            | Self::AcceptEnd { .. }
            | Self::DisputeEnd
            | Self::RequestDormancyRelease => true,
            // A draft is asked for by an intent of its own, which looks whether the payee exists.
            Self::Draft { .. }
            | Self::ExpireOffer
            | Self::LapseFunding { .. }
            | Self::RecordFunding { .. }
            | Self::ExpireAmendment { .. }
            | Self::AgreeEndByTime { .. }
            | Self::CheckDormancy { .. }
            | Self::AdvanceDormancy { .. }
            | Self::NoteActivity { .. }
            | Self::CloseMilestone { .. }
            | Self::RestartClock { .. }
            | Self::BlockTimer { .. } => false,
        }
    }
}
