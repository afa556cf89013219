//! Facts about a client's wallet.

use ledger::{Currency, Minor, is_zero};
use serde::{Deserialize, Serialize};

use crate::escrow::{Allocation, Deposit, FeeTax, PspPlace};
use crate::id::{ChargebackId, ContractId, EventId, FundingId, PartyId, RefundId};

/// Why a wallet was credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditCause {
    /// The provider could not charge the exact amount. J92.
    Surplus,
    /// A refund did not arrive, or came back. J32.
    RefundFailed,
    /// A refund was given to the wallet.
    RefundRedirected,
}

/// A fact about a wallet; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WalletEvent {
    /// The client paid in. J06.
    ToppedUp {
        /// Whose.
        client_id: PartyId,
        /// The payment that it came with.
        funding_id: FundingId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// A bank took a top-up back without a dispute. What is not in the wallet any more, the client owes (J59).
    TopUpReturned {
        /// Whose.
        client_id: PartyId,
        /// The payment that was returned.
        funding_id: FundingId,
        /// What the wallet still had of it.
        amount: Minor,
        /// What it had not.
        #[serde(default, skip_serializing_if = "is_zero")]
        receivable: Minor,
        /// In which currency.
        currency: Currency,
        /// From where it was taken.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// A bank contests a top-up: as much as it has cannot be spent, as far as it is there. Nothing is booked.
    ChargebackHeld {
        /// Whose.
        client_id: PartyId,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// How much in all is held for it now; nothing when it is over.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The payment, where not a top-up is contested, but one of which money came back here: only that is held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_id: Option<FundingId>,
    },
    /// A bank keeps a top-up. What is not in the wallet any more is the platform's loss (J55).
    ChargebackAbsorbed {
        /// Whose.
        client_id: PartyId,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The payment.
        funding_id: FundingId,
        /// What the wallet still had.
        amount: Minor,
        /// What it had not.
        #[serde(default, skip_serializing_if = "is_zero")]
        platform_share: Minor,
        /// In which currency.
        currency: Currency,
        /// Whether not a top-up is lost, but a payment of which money came back here. What is not here is claimed when more
        /// of it comes.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_refunds: bool,
    },
    /// Money that came back from a payment settles what the client had twice: what the platform has borne of a chargeback
    /// (J55), or what the client owes for a returned payment (J59), undone.
    RefundReclaimed {
        /// Whose.
        client_id: PartyId,
        /// The payment.
        funding_id: FundingId,
        /// The chargeback that was lost; absent where the bank returned the payment without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chargeback_id: Option<ChargebackId>,
        /// How much was taken now.
        amount: Minor,
        /// What is claimed after that, from what comes back later.
        #[serde(default, skip_serializing_if = "is_zero")]
        outstanding: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// Money came from elsewhere in the engine. Mirror of the event named, which carries the journal.
    Credited {
        /// Whose.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Why.
        cause: CreditCause,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// The payment that it came back from, where it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_id: Option<FundingId>,
    },
    /// It paid into an escrow. J05.
    PaidEscrow {
        /// Whose.
        client_id: PartyId,
        /// Of which contract.
        contract_id: ContractId,
        /// With which funding.
        funding_id: FundingId,
        /// In which currency.
        currency: Currency,
        /// How much in all.
        amount: Minor,
        /// For which milestones.
        allocations: Vec<Allocation>,
        /// For none of them yet.
        #[serde(default, skip_serializing_if = "Deposit::is_none")]
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax on the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
    },
    /// The client took money out; a refund carries it.
    Withdrawn {
        /// Whose.
        client_id: PartyId,
        /// The refund.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
}
