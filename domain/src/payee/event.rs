//! Facts about a payee account.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::escrow::PspPlace;
use crate::id::{ContractId, EventId, PartyId, PayoutId, ReleaseId};
use crate::time::Timestamp;

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
    /// Pending money became available. J16.
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
