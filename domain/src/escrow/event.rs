//! Facts about an escrow.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::PspPlace;
use crate::id::{ContractId, FundingId, MilestoneId, PartyId, ReleaseId};
use crate::policy::{FeeSchedule, Policy};
use crate::time::Timestamp;

/// The part of a funding that is for one milestone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Which milestone.
    pub milestone_id: MilestoneId,
    /// What is held for it.
    pub amount: Minor,
    /// The client's fee on that, on top.
    pub client_fee: Minor,
}

/// The part of held money that came from one funding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Which funding.
    pub funding_id: FundingId,
    /// How much of it.
    pub amount: Minor,
}

/// Why held money was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The client approved.
    Approved,
    /// The review window closed.
    Auto,
    /// The client approved a part.
    Partial,
    /// The client of a dormant contract did not answer the payee.
    Dormancy,
}

/// Why money that arrived could not be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// The escrow is closed.
    EscrowClosed,
    /// The milestone waits for other money, or has it.
    Superseded,
}

/// A fact about an escrow. Every variant has the contract's id; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EscrowEvent {
    /// It can take money.
    Opened {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees agreed.
        fee_schedule: FeeSchedule,
        /// The periods agreed.
        policy: Policy,
    },
    /// The client is to pay this.
    FundingRequested {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What it is for.
        allocations: Vec<Allocation>,
        /// The client's fee, sum over the allocations.
        client_fee: Minor,
        /// Allocations and fee.
        amount_due: Minor,
        /// What is charged beyond that, because the provider cannot charge every amount.
        surplus_to_wallet: Minor,
        /// What is charged.
        charge: Minor,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Money arrived and is held. J01; with a surplus, J92.
    Funded {
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
        client_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What is held, by milestone.
        allocations: Vec<Allocation>,
        /// The client's fee, deferred until release.
        client_fee: Minor,
        /// What goes to the client's wallet.
        surplus_to_wallet: Minor,
        /// Where the money lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// Money arrived that cannot be held; its funding books it as unallocated.
    FundingRejected {
        /// The contract.
        contract_id: ContractId,
        /// The funding.
        funding_id: FundingId,
        /// Why.
        reason: RejectionReason,
    },
    /// A milestone ended while money that was asked for it had not come. Should it come all the same, it is not held.
    FundingAbandoned {
        /// The contract.
        contract_id: ContractId,
        /// The milestone that is over.
        milestone_id: MilestoneId,
        /// The funding that is not waited for any more.
        funding_id: FundingId,
    },
    /// Held money became the payee's. J10 to J13, J90, J91.
    Released {
        /// Which release.
        release_id: ReleaseId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// Who is paid.
        payee_id: PartyId,
        /// Who paid.
        client_id: PartyId,
        /// Currency of the amounts.
        currency: Currency,
        /// Why.
        reason: ReleaseReason,
        /// What leaves the escrow.
        gross: Minor,
        /// What the platform keeps of it.
        payee_fee: Minor,
        /// The part of the client's fee that is earned by it.
        client_fee_earned: Minor,
        /// What the payee gets.
        net: Minor,
        /// Which fundings it came from.
        lots: Vec<Lot>,
        /// When the payee can withdraw it.
        clears_at: Timestamp,
    },
    /// Nothing is held and nothing comes any more.
    Closed {
        /// The contract.
        contract_id: ContractId,
    },
}
