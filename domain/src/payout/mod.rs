//! Payout: one withdrawal of a payee's earnings to a bank account.
//!
//! ```text
//! not_requested ─Request─▶ transferring ─RecordTransferred─▶ submitting ─RecordSubmitted─▶ in_transit ─▶ paid
//!                 (nothing to transfer) ──────────────────────▲   │                            │           │
//!                                                                 └──────────▶ failed ◀────────┘           ▼
//!                                                                                                      returned
//! ```
//!
//! # Invariants
//! - What is paid out was reserved on the payee account first.
//! - What the provider reports is recorded in any order, also after `paid`: a bank can return money days later.
//! - A transfer that is reported after the payout has failed is booked and kept for the next one.
//! - A failed payout stays failed; a retry is a new payout and transfers only what is not at the provider yet.
//!
//! # What is deliberately absent
//! Approval by staff, cancelling, reversal of transfers and provider fees on payouts.

mod decide;
mod event;
pub mod posting_rules;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::PayoutEvent;

use crate::escrow::PspPlace;
use crate::id::{PartyId, PayoutId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;

/// Name of the aggregate.
pub const TYPE: &str = "payout";

/// The stream of a payout.
pub fn stream(id: PayoutId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// What a payout is about; the same in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The payout.
    pub payout_id: PayoutId,
    /// Whose money.
    pub payee_id: PartyId,
    /// How much is paid out.
    pub amount: Minor,
    /// How much of it is moved to the payee's account at the provider first.
    pub transfer_amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// Where it goes.
    #[serde(flatten)]
    pub place: PspPlace,
}

/// State of a payout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Payout {
    /// No payout by this id.
    #[default]
    NotRequested,
    /// The money goes to the payee's account at the provider.
    Transferring {
        /// What it is about.
        withdrawal: Withdrawal,
    },
    /// The money is there; the bank payout is being ordered.
    Submitting {
        /// What it is about.
        withdrawal: Withdrawal,
    },
    /// The provider has ordered the bank payout.
    InTransit {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's payout.
        bank_payout_ref: String,
        /// When it is expected at the bank.
        arrival_at: Timestamp,
    },
    /// Arrived, as far as the provider knows.
    Paid {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's payout.
        bank_payout_ref: String,
    },
    /// Did not arrive; the payee can withdraw it again.
    Failed {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's code.
        code: String,
        /// Whether all of it lies at the payee's account at the provider.
        #[serde(default)]
        transferred: bool,
    },
    /// Arrived and came back; the payee can withdraw it again.
    Returned {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's code.
        code: String,
    },
}

/// A request about a payout. All but the first are facts told by the provider, which are never refused once the
/// payout exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutCommand {
    /// Make it.
    Request {
        /// What it is about.
        withdrawal: Withdrawal,
    },
    /// The money is at the payee's account at the provider.
    RecordTransferred {
        /// The provider's transfer.
        transfer_ref: String,
        /// How much was moved.
        amount: Minor,
    },
    /// The provider has ordered the bank payout.
    RecordSubmitted {
        /// The provider's payout.
        bank_payout_ref: String,
        /// When it is expected at the bank.
        arrival_at: Timestamp,
    },
    /// It arrived.
    RecordPaid {
        /// The provider's payout.
        bank_payout_ref: String,
    },
    /// It did not arrive, or came back.
    RecordFailed {
        /// The provider's code.
        code: String,
    },
}

impl Payout {
    /// What it is about, once requested.
    pub fn withdrawal(&self) -> Option<&Withdrawal> {
        match self {
            Self::NotRequested => None,
            Self::Transferring { withdrawal }
            | Self::Submitting { withdrawal }
            | Self::InTransit { withdrawal, .. }
            | Self::Paid { withdrawal, .. }
            | Self::Failed { withdrawal, .. }
            | Self::Returned { withdrawal, .. } => Some(withdrawal),
        }
    }
}

impl Rules for Payout {
    const TYPE: &'static str = TYPE;
    type Command = PayoutCommand;
    type Event = PayoutEvent;

    fn decide(&self, command: &PayoutCommand, context: &Context) -> Result<Vec<PayoutEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &PayoutEvent) {
        let before = std::mem::take(self);
        *self = before.after(event);
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotRequested => "not_requested",
            Self::Transferring { .. } => "transferring",
            Self::Submitting { .. } => "submitting",
            Self::InTransit { .. } => "in_transit",
            Self::Paid { .. } => "paid",
            Self::Failed { .. } => "failed",
            Self::Returned { .. } => "returned",
        }
    }
}

impl Payout {
    fn after(self, event: &PayoutEvent) -> Self {
        use PayoutEvent as E;
        match (self, event) {
            (_, E::Requested { withdrawal }) if withdrawal.transfer_amount.is_zero() => {
                Self::Submitting { withdrawal: withdrawal.clone() }
            }
            (_, E::Requested { withdrawal }) => Self::Transferring { withdrawal: withdrawal.clone() },
            (Self::Transferring { withdrawal }, E::TransferCompleted { .. }) => Self::Submitting { withdrawal },
            (Self::Submitting { withdrawal }, E::Submitted { bank_payout_ref, arrival_at, .. }) => {
                Self::InTransit { withdrawal, bank_payout_ref: bank_payout_ref.clone(), arrival_at: *arrival_at }
            }
            (Self::Submitting { withdrawal } | Self::InTransit { withdrawal, .. }, E::Paid { bank_payout_ref, .. }) => {
                Self::Paid { withdrawal, bank_payout_ref: bank_payout_ref.clone() }
            }
            (
                Self::Transferring { withdrawal }
                | Self::Submitting { withdrawal }
                | Self::InTransit { withdrawal, .. },
                E::Failed { code, left_at_provider, .. },
            ) => {
                let transferred = *left_at_provider == withdrawal.amount;
                Self::Failed { withdrawal, code: code.clone(), transferred }
            }
            (Self::Failed { withdrawal, code, .. }, E::LateTransferRecorded { .. }) => {
                Self::Failed { withdrawal, code, transferred: true }
            }
            (Self::Paid { withdrawal, .. }, E::Returned { code, .. }) => {
                Self::Returned { withdrawal, code: code.clone() }
            }
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::TransferCompleted { .. }
                | E::LateTransferRecorded { .. }
                | E::Submitted { .. }
                | E::Paid { .. }
                | E::Failed { .. }
                | E::Returned { .. },
            ) => state,
        }
    }
}
