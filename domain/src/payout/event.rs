//! Facts about a payout.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::Withdrawal;
use crate::escrow::PspPlace;
use crate::id::{PartyId, PayoutId};
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
        /// The provider's code.
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
}
