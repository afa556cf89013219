//! Facts about the platform's own money at a provider.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::Coverage;
use crate::id::{BreakId, PartyId, SweepId, TopUpId};

/// Which balance: of one provider in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The provider.
    pub psp: String,
    /// The currency of every amount beside it.
    pub currency: Currency,
}

/// A fact about the platform's own money; amounts are minor units of the balance's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TreasuryEvent {
    /// The platform's own money is to go to the balance.
    TopUpRequested {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement to be made.
        top_up_id: TopUpId,
        /// How much.
        amount: Minor,
        /// Who wants it.
        requested_by: PartyId,
    },
    /// It arrived. J80.
    PspToppedUp {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement; absent when it was made elsewhere, as in the provider's dashboard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_up_id: Option<TopUpId>,
        /// The provider's top-up.
        top_up_ref: String,
        /// How much.
        amount: Minor,
    },
    /// It did not arrive.
    TopUpFailed {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_up_id: Option<TopUpId>,
        /// The provider's top-up; absent when the provider has refused to make one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_up_ref: Option<String>,
        /// The provider's code.
        code: String,
    },
    /// It had arrived and was taken back. Books the reverse of J80.
    TopUpReversed {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The provider's top-up.
        top_up_ref: String,
        /// How much.
        amount: Minor,
    },
    /// A member of staff proposes to take earned money out of the balance.
    SweepProposed {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement to be made.
        sweep_id: SweepId,
        /// How much.
        amount: Minor,
        /// What stays beside taxes.
        buffer: Minor,
        /// Who.
        proposed_by: PartyId,
        /// What was covered then.
        coverage: Coverage,
    },
    /// Another member of staff has agreed: it is paid to the platform's bank.
    SweepApproved {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        sweep_id: SweepId,
        /// How much.
        amount: Minor,
        /// Who: somebody else than who has proposed it.
        approved_by: PartyId,
        /// What was covered then.
        coverage: Coverage,
    },
    /// It is not made.
    SweepRejected {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        sweep_id: SweepId,
        /// Who says so.
        rejected_by: PartyId,
    },
    /// It arrived at the platform's bank. J81.
    PlatformRevenueSwept {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        sweep_id: SweepId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// How much.
        amount: Minor,
    },
    /// It did not arrive, and nothing has moved.
    SweepFailed {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        sweep_id: SweepId,
        /// The provider's code.
        code: String,
    },
    /// It had arrived and came back. Books the reverse of J81.
    SweepReturned {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// The movement.
        sweep_id: SweepId,
        /// How much.
        amount: Minor,
        /// The provider's code.
        code: String,
    },
    /// Money arrived that nobody expected: it is nobody's until that is explained. J82.
    UnmatchedReceiptRecorded {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is to be explained.
        break_id: BreakId,
        /// The provider's booking.
        psp_ref: String,
        /// How much.
        amount: Minor,
    },
    /// Money left that nobody expected. J84.
    UnmatchedDebitRecorded {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is to be explained.
        break_id: BreakId,
        /// The provider's booking.
        psp_ref: String,
        /// How much.
        amount: Minor,
    },
    /// The provider pays the platform's balance to the platform's bank, and nobody here has ordered it: an alarm. Booked as
    /// J84; it is proposed to adopt it as money taken out by the platform.
    PlatformPayoutDetected {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is to be explained.
        break_id: BreakId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// How much.
        amount: Minor,
        /// Whether the provider made it by itself: automatic payouts are on.
        automatic: bool,
    },
    /// Staff takes it as money that the platform has taken out.
    PlatformPayoutAdopted {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is explained with it.
        break_id: BreakId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// How much.
        amount: Minor,
        /// Who.
        approved_by: PartyId,
    },
    /// It came back to the balance, or never left it.
    PlatformPayoutReturned {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is explained with it.
        break_id: BreakId,
        /// The provider's payout.
        bank_payout_ref: String,
        /// How much.
        amount: Minor,
        /// Whether staff had taken it as money taken out by the platform.
        adopted: bool,
    },
    /// What is owed has not been covered for a day: an alarm.
    CoverageFell {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is covered.
        coverage: Coverage,
        /// How much the platform has to add.
        required_float: Minor,
    },
    /// It is covered again.
    CoverageRestored {
        /// The balance.
        #[serde(flatten)]
        balance: Balance,
        /// What is covered.
        coverage: Coverage,
    },
}
