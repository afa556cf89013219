//! Facts about a payee account.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::escrow::{Gratuity, PspPlace, RefundPart};
use crate::fee::TaxLine;
use crate::id::{
    ChargebackId, ContractId, EventId, FundingId, PartyId, PayoutId, RefundId, ReleaseId, TransferReversalId,
};
use crate::payout::{ApprovalCause, PayoutPolicy, PayoutSchedule};
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
    /// What it arose from: the id of a refund or of a chargeback.
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

/// A part of what is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBackPart {
    /// Why it was held.
    pub reason: HoldReason,
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
        /// Whether it follows from the party's standing, and ends with it.
        #[serde(default, skip_serializing_if = "is_false")]
        automatic: bool,
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
        /// Whether it came out of what was available (2210 against 1210); otherwise the clearance has booked it (J17).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_available: bool,
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
        /// Why staff has to approve it first; absent when nobody has to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalCause>,
        /// The payout that did not arrive, and is made again with this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_of: Option<PayoutId>,
        /// Whether nobody asked for it.
        #[serde(default, skip_serializing_if = "is_false")]
        by_schedule: bool,
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
    /// Money of a payout that had failed moved to the payee's account at the provider after all, and is not transferred
    /// again. Mirror of `payout.late_transfer_recorded`.
    LateTransferNoted {
        /// Whose.
        payee_id: PartyId,
        /// The payout.
        payout_id: PayoutId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// How much.
        amount: Minor,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// Which timer: the id of the release.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
    /// A bank took money that had been released: the payee bears it, and the platform returns its fees. J53, J54, second
    /// half of J56.
    ChargebackLossCharged {
        /// Whose.
        payee_id: PartyId,
        /// Which chargeback.
        chargeback_id: ChargebackId,
        /// The payment that it was.
        funding_id: FundingId,
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
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
        /// What is taken of what is held back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        from_held: Vec<HeldBackPart>,
        /// What the payee owes for it from now on.
        as_debt: Minor,
    },
    /// The payee will not pay what is owed: the platform gives it up. J58.
    DebtWrittenOff {
        /// Whose.
        payee_id: PartyId,
        /// What it arose from.
        cause: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// Earnings that are not cleared yet are to be held back when they are.
    ClearanceHoldPlaced {
        /// Whose.
        payee_id: PartyId,
        /// Of which contract.
        contract_id: ContractId,
        /// Which earnings.
        releases: Vec<ReleaseId>,
        /// Why.
        reason: HoldReason,
        /// In which currency.
        currency: Currency,
    },
    /// A payout is not made: it can be withdrawn again. Mirror of `payout.cancelled`.
    PayoutReservationReleased {
        /// Whose.
        payee_id: PartyId,
        /// The payout.
        payout_id: PayoutId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// How much.
        amount: Minor,
    },
    /// When earnings are paid out without being asked for.
    PayoutScheduleChanged {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How often.
        schedule: PayoutSchedule,
        /// Not less than this.
        minimum: Minor,
        /// The next time; absent when never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_at: Option<Timestamp>,
    },
    /// The time has come. What is paid out is in an event of its own.
    PayoutScheduleReached {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The next time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_at: Option<Timestamp>,
        /// Why nothing is paid out: the code of a refusal, or `nothing_available`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skipped: Option<String>,
    },
    /// What the platform demands of payouts from now on.
    PayoutPolicySet {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it demands.
        #[serde(flatten)]
        policy: PayoutPolicy,
    },
    /// Money at the payee's account at the provider is to come back to the platform.
    CallBackRequested {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The account.
        psp_account: String,
        /// How much of what each payout left there.
        parts: Vec<CallBackPart>,
    },
    /// It came back. Mirror of `payout.transfer_reversed`.
    TransferReversedNoted {
        /// Whose.
        payee_id: PartyId,
        /// The payout that had left it there.
        payout_id: PayoutId,
        /// The movement.
        reversal_id: TransferReversalId,
        /// The event that this mirrors.
        source_event_id: EventId,
        /// How much.
        amount: Minor,
    },
    /// It stays there. Mirror of `payout.transfer_reversal_failed`.
    TransferReversalFailedNoted {
        /// Whose.
        payee_id: PartyId,
        /// The payout that has left it there.
        payout_id: PayoutId,
        /// The movement.
        reversal_id: TransferReversalId,
        /// The event that this mirrors.
        source_event_id: EventId,
    },
}

/// A part of what comes back to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBackPart {
    /// The payout that has left it there.
    pub payout_id: PayoutId,
    /// The movement to be made.
    pub reversal_id: TransferReversalId,
    /// How much.
    pub amount: Minor,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
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
