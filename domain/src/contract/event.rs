//! Facts about a contract.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::MilestonePlan;
use crate::id::{ContractId, FundingId, MilestoneId, PartyId};
use crate::policy::{FeeSchedule, Policy};
use crate::time::Timestamp;

/// How a milestone ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MilestoneOutcome {
    /// All of it went to the payee.
    Released,
}

/// What kind of work a contract is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// Milestones at fixed prices.
    Fixed,
}

/// A fact about a contract. Every variant has the contract's id, so that a reader needs no state to file it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContractEvent {
    /// The client wrote it down.
    Drafted {
        /// The contract.
        contract_id: ContractId,
        /// What kind.
        kind: ContractKind,
        /// Who pays.
        client_id: PartyId,
        /// Who is to deliver.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// The marketplace's own reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The payee can see and accept it.
    Offered {
        /// The contract.
        contract_id: ContractId,
        /// When the offer runs out.
        offer_expires_at: Timestamp,
        /// The fees, fixed from here on.
        fee_schedule: FeeSchedule,
        /// The periods, fixed from here on.
        policy: Policy,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// How often the terms were changed, from 1.
        terms_version: u32,
    },
    /// Client and payee agree. Carries all that milestones and escrow are made from.
    Accepted {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who delivers.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees.
        fee_schedule: FeeSchedule,
        /// The periods.
        policy: Policy,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// When.
        accepted_at: Timestamp,
    },
    /// Nobody accepted in time.
    OfferExpired {
        /// The contract.
        contract_id: ContractId,
        /// When it ran out.
        expired_at: Timestamp,
    },
    /// The first money has arrived: work can begin.
    Activated {
        /// The contract.
        contract_id: ContractId,
        /// Which money.
        first_funding_id: FundingId,
    },
    /// A milestone is over.
    MilestoneClosed {
        /// The contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// How.
        outcome: MilestoneOutcome,
        /// What was released of it, gross.
        released: Minor,
    },
    /// All milestones are over.
    Completed {
        /// The contract.
        contract_id: ContractId,
        /// What was released over its life, gross.
        released_total: Minor,
        /// When.
        completed_at: Timestamp,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// The contract.
        contract_id: ContractId,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}
