//! What a payment provider tells of a disagreement of a client's bank with a charge.
//!
//! # Invariants
//! - Amounts are in ledger minor units, never negative; the direction is told apart.
//! - A status or a code that an adapter does not know is no report: the notice is parked.

use chrono::NaiveDate;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::id::FundingId;
use crate::time::Timestamp;

/// State of a disagreement of a client's bank with a charge.
///
/// `status` and `movements` are told apart since a provider tells them apart: money moves before, with or after a change of
/// status, or never (<https://docs.stripe.com/api/disputes/object>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeReport {
    /// The provider's dispute.
    pub dispute_ref: String,
    /// From the metadata of the charge; `None` when it is not a charge of ours.
    pub funding_id: Option<FundingId>,
    /// The provider's charge.
    pub charge_ref: String,
    /// How far it is.
    pub status: DisputeStatus,
    /// The provider's code of the reason, such as `product_not_received`.
    pub reason: String,
    /// What the bank wants back; may be less or more than the charge.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// Until when evidence is taken; `None` when none is wanted (any more).
    pub evidence_due_by: Option<Timestamp>,
    /// What was booked so far, oldest first.
    pub movements: Vec<DisputeMovement>,
}

/// How far a disagreement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The bank asks. No money moves.
    WarningNeedsResponse,
    /// The bank asks, and has our answer.
    WarningUnderReview,
    /// The bank asks no more.
    WarningClosed,
    /// The bank takes the money back and waits for our evidence.
    NeedsResponse,
    /// The bank has our evidence.
    UnderReview,
    /// Decided for us.
    Won,
    /// Decided for the client.
    Lost,
}

impl DisputeStatus {
    /// Its place in the order in which a disagreement goes on (`process-managers.md` C.2); equal or lower is no news.
    pub fn rank(self) -> u8 {
        match self {
            Self::WarningNeedsResponse => 1,
            Self::WarningUnderReview => 2,
            Self::NeedsResponse => 3,
            Self::UnderReview => 4,
            Self::Won | Self::Lost => 5,
            Self::WarningClosed => 9,
        }
    }

    /// Whether the bank only asks.
    pub fn is_inquiry(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed)
    }
}

/// Money that a disagreement moved in the platform's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeMovement {
    /// The provider's booking.
    pub balance_transaction_ref: String,
    /// Which way.
    pub direction: DisputeDirection,
    /// How much of the charge, without fees.
    pub amount: Minor,
    /// What the provider took for itself beside it.
    pub fee: Minor,
    /// What the provider gave back of an earlier fee.
    pub fee_returned: Minor,
    /// Currency of all three (the settlement currency).
    pub currency: Currency,
    /// How much of the charge `amount` is, in the dispute's currency, where the provider settles in another one and tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Minor>,
    /// Date of the booking (UTC).
    pub booked_on: NaiveDate,
}

/// Which way money of a disagreement went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeDirection {
    /// Out of the platform's balance.
    Withdrawn,
    /// Back into it.
    Reinstated,
}

/// A network's warning that a charge may be fraud. No money moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FraudWarningReport {
    /// The provider's warning.
    pub warning_ref: String,
    /// From the metadata of the charge; `None` when it is not a charge of ours.
    pub funding_id: Option<FundingId>,
    /// The provider's charge.
    pub charge_ref: String,
}
