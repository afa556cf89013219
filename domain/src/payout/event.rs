//! Facts about a payout.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{ApprovalCause, CancelCause, Withdrawal};
use crate::escrow::PspPlace;
use crate::id::{PartyId, PayoutId, TransferReversalId};
use crate::time::Timestamp;

/// A fact about a payout; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PayoutEvent {
    /// The payee wants it, and it is reserved.
    Requested {
        /// What it is about.
        #[serde(flatten)]
        withdrawal: Withdrawal,
    },
    /// Money moved to the payee's account at the provider. J21.
    TransferCompleted {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's transfer.
        transfer_ref: String,
        /// How much was moved.
        amount: Minor,
        /// How much is to be paid out: this, and what lay there already.
        payout_amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies now.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// Money moved to the payee's account at the provider although the payout had failed before. It is the payee's
    /// all the same, and the next payout uses it. J21.
    LateTransferRecorded {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's transfer.
        transfer_ref: String,
        /// How much was moved.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies now.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// The provider has ordered the bank payout.
    Submitted {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// The payee's account at the provider.
        psp_account: String,
        /// When it is expected at the bank.
        arrival_at: Timestamp,
    },
    /// It arrived. J22.
    Paid {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lay.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// It did not arrive. J23.
    Failed {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// How much of it lies at the payee's account at the provider.
        left_at_provider: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's code, or that of the gate that was shut before it was ordered.
        code: String,
    },
    /// It arrived and the bank sent it back. J24.
    Returned {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's code.
        code: String,
        /// Where it lies again.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// The payee wants it, and it is reserved; staff has to approve it first.
    ApprovalRequired {
        /// What it is about.
        #[serde(flatten)]
        withdrawal: Withdrawal,
        /// Why.
        cause: ApprovalCause,
    },
    /// Staff has approved it.
    Approved {
        /// What it is about.
        #[serde(flatten)]
        withdrawal: Withdrawal,
        /// Who.
        approved_by: PartyId,
    },
    /// It is not made, before anything was moved. Booked as J23: the payee can withdraw the amount again.
    Cancelled {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Why.
        cause: CancelCause,
    },
    /// The platform's balance at the provider is too low for the transfer; it waits.
    FundsAwaited {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// How much is to be transferred.
        transfer_amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// Money moved to the payee's account at the provider, out of a balance in another currency. J74.
    TransferConverted {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's transfer.
        transfer_ref: String,
        /// How much arrived there.
        amount: Minor,
        /// How much is to be paid out: this, and what lay there already.
        payout_amount: Minor,
        /// In which currency.
        currency: Currency,
        /// How much left the platform's balance.
        taken: Minor,
        /// In which currency that was.
        taken_currency: Currency,
        /// Where it lies now.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// Money that it left at the payee's account at the provider is to come back to the platform.
    TransferReversalRequested {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The movement.
        reversal_id: TransferReversalId,
        /// The provider's transfer that brought it there.
        transfer_ref: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// It came back to the platform. J25.
    TransferReversed {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The movement.
        reversal_id: TransferReversalId,
        /// The provider's reversal.
        reversal_ref: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lay.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// It did not come back: it stays at the payee's account, and an operator has to look.
    TransferReversalFailed {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The movement.
        reversal_id: TransferReversalId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's code.
        code: String,
    },
    /// What the provider took for it. J28.
    PspFeeRecorded {
        /// The payout.
        payout_id: PayoutId,
        /// Whose.
        payee_id: PartyId,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// How much.
        fee: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it was paid to.
        #[serde(flatten)]
        place: PspPlace,
    },
}
