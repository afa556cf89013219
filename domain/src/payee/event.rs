//! Facts about a payee account.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::escrow::{Gratuity, PspPlace, RefundPart};
use crate::fee::TaxLine;
use crate::id::{ContractId, EventId, FundingId, PartyId, PayoutId, RefundId, ReleaseId};
use crate::time::Timestamp;

/// Why earnings are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The payee's identity is not proved, or the provider has restricted the account.
    Kyc,
    /// Fraud is suspected.
    Fraud,
    /// The payee may be on a list of sanctions.
    Sanctions,
    /// A chargeback may come.
    ChargebackReserve,
}

impl HoldReason {
    /// The word for it, as the books have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kyc => "kyc",
            Self::Fraud => "fraud",
            Self::Sanctions => "sanctions",
            Self::ChargebackReserve => "chargeback_reserve",
        }
    }
}

/// A part of what a payee owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebtPart {
    /// What it arose from: the id of a refund.
    pub cause: String,
    /// How much.
    pub amount: Minor,
}

/// A part of what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPart {
    /// Of which release.
    pub release_id: ReleaseId,
    /// How much.
    pub amount: Minor,
}

/// A fact about a payee account; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PayeeEvent {
    /// A release gave it money, pending. Mirror of `escrow.released`, which carries the journal.
    EarningsCredited {
        /// Whose.
        payee_id: PartyId,
        /// The release.
        release_id: ReleaseId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// The contract.
        contract_id: ContractId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// When it can be withdrawn.
        clears_at: Timestamp,
    },
    /// Pending money became available, or paid off debt. J16, J17.
    EarningsCleared {
        /// Whose.
        payee_id: PartyId,
        /// The release.
        release_id: ReleaseId,
        /// The contract.
        contract_id: ContractId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// What of it paid off debt.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        debt_recovered: Vec<DebtPart>,
    },
    /// Available money is held back. J18.
    EarningsHeld {
        /// Whose.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Why.
        reason: HoldReason,
    },
    /// What was held back can be withdrawn again. J19.
    EarningsHoldReleased {
        /// Whose.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Why it was held.
        reason: HoldReason,
    },
    /// The payee gave released money back to the client. J35, J36, J96.
    PayeeRefundGranted {
        /// Whose.
        payee_id: PartyId,
        /// Which refund; its first part has the same id.
        refund_id: RefundId,
        /// The contract.
        contract_id: ContractId,
        /// Who gets it.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The payee's fee that the platform returns.
        payee_fee: Minor,
        /// The client's fee that the platform returns.
        client_fee: Minor,
        /// Tax on the payee's fee that is returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fee that is returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_tax: Option<TaxLine>,
        /// What is taken of earnings of this contract that are not cleared yet.
        from_pending: Vec<PendingPart>,
        /// What is taken of what could be withdrawn.
        from_available: Minor,
        /// What the payee owes for it from now on.
        as_debt: Minor,
        /// What goes back by which way.
        parts: Vec<RefundPart>,
    },
    /// The payee owes money. The event that made the debt books it.
    DebtRecorded {
        /// Whose.
        payee_id: PartyId,
        /// What it arose from: the id of a refund.
        cause: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// Earnings paid off debt. Their clearance books it.
    DebtRecovered {
        /// Whose.
        payee_id: PartyId,
        /// What it arose from.
        cause: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// The client paid a bonus; it is pending. J62.
    BonusPaid {
        /// What was paid.
        #[serde(flatten)]
        paid: GratuityPaid,
    },
    /// The client paid a tip; it is pending. J63.
    TipPaid {
        /// What was paid.
        #[serde(flatten)]
        paid: GratuityPaid,
    },
    /// Available money is set aside for a payout. J20.
    PayoutReserved {
        /// Whose.
        payee_id: PartyId,
        /// The payout.
        payout_id: PayoutId,
        /// How much.
        amount: Minor,
        /// How much of it has to be moved to the payee's account at the provider first.
        transfer_amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it goes.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// A payout arrived. Mirror of `payout.paid`.
    PayoutPaidNoted {
        /// Whose.
        payee_id: PartyId,
        /// The payout.
        payout_id: PayoutId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// How much.
        amount: Minor,
    },
    /// A payout did not arrive: it can be withdrawn again. Mirror of `payout.failed` and `payout.returned`.
    PayoutFailedNoted {
        /// Whose.
        payee_id: PartyId,
        /// The payout.
        payout_id: PayoutId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// How much.
        amount: Minor,
        /// How much of it lies at the payee's account at the provider, and is not transferred again.
        left_at_provider: Minor,
        /// Whether it had arrived before.
        returned: bool,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// Which timer: the id of the release.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

/// A bonus or a tip that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GratuityPaid {
    /// Whose.
    pub payee_id: PartyId,
    /// Who paid.
    pub client_id: PartyId,
    /// The contract.
    pub contract_id: ContractId,
    /// The payment.
    pub funding_id: FundingId,
    /// The name that it has among pending earnings.
    pub release_id: ReleaseId,
    /// In which currency.
    pub currency: Currency,
    /// How much, and what becomes of it.
    #[serde(flatten)]
    pub gratuity: Gratuity,
    /// When it can be withdrawn.
    pub clears_at: Timestamp,
    /// Where the money lies.
    #[serde(flatten)]
    pub place: PspPlace,
}
