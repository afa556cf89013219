//! Requests about a contract.

use ledger::{Currency, Minor};

use super::{MilestoneOutcome, MilestonePlan};
use crate::id::{ContractId, FundingId, MilestoneId, PartyId};
use crate::policy::{FeeSchedule, Policy};

/// A request about a contract.
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
    /// Agree.
    Accept,
    /// The offer's deadline has passed.
    ExpireOffer,
    /// Money for it has arrived.
    RecordFunding {
        /// Which money.
        funding_id: FundingId,
    },
    /// One of its milestones is over.
    CloseMilestone {
        /// Which.
        milestone_id: MilestoneId,
        /// How.
        outcome: MilestoneOutcome,
        /// What was released of it, gross.
        released: Minor,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}
