//! Payout: one withdrawal of a payee's earnings to a bank account.
//!
//! ```text
//!               ┌RequestApproval─▶ awaiting_approval ─Approve─┐      (too little at the provider)
//! not_requested ┤                        └─Cancel─▶ cancelled │      ┌────▶ approved ────┐
//!               └Request──────────────────────────────────────┴─▶ transferring ──────────┴─RecordTransferred─▶ submitting
//!                 (nothing to transfer) ─────────────────────────────────────────────────────────────────────▲   │
//!
//! submitting ─RecordSubmitted─▶ in_transit ─▶ paid ─▶ returned ─┐   (Withhold: transferring, approved, submitting ─▶ failed)
//!     └──────────▶ failed ◀─────────┘           │               ├─ReverseTransfer─▶ (the money comes back to the platform)
//!                    └─────────────────────────────────────────┘
//! ```
//!
//! # Invariants
//! - What is paid out was reserved on the payee account first, also while staff has to approve it: two requests never
//!   wait for the same money.
//! - Only a payout of which nothing was ordered from the provider can be cancelled.
//! - The gates are asked when it is requested, when staff approves it, and before each order for it is sent
//!   ([`crate::process::gate`]). One that is shut then lets it fail: the payee asks again once it is open.
//! - What the provider reports is recorded in any order, also after `paid`: a bank can return money days later.
//! - A transfer that is reported after the payout has failed is booked and kept for the next one.
//! - A failed payout stays failed; a retry is a new payout and transfers only what is not at the provider yet.
//! - Only what a failed or returned payout has left at the payee's account comes back from there, each part once.
//!
//! # What is deliberately absent
//! Who waits for whom where the platform's balance is too low: that is [`crate::treasury::queue`].

mod decide;
mod event;
pub mod posting_rules;
mod schedule;

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::PayoutEvent;
pub use schedule::{PayoutPolicy, PayoutSchedule};

use crate::escrow::PspPlace;
use crate::id::{PartyId, PayoutId, TransferReversalId};
use crate::log::StreamId;
use crate::party::PayeeStanding;
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

/// Why staff has to approve a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalCause {
    /// It is more than the policy lets go without.
    AboveThreshold,
}

/// Why a payout was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelCause {
    /// The payee does not want it any more.
    Payee,
    /// Staff has rejected it.
    Staff,
}

/// Money on its way back from the payee's account at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// How much.
    pub amount: Minor,
    /// How far it is.
    pub state: ReversalState,
}

/// How far money on its way back to the platform is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReversalState {
    /// Ordered.
    Pending,
    /// It is back.
    Done,
    /// It stays where it is.
    Failed,
}

/// What became of a payout that did not arrive, or not for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The provider's transfer, where something was moved.
    #[serde(default)]
    pub transfer_ref: Option<String>,
    /// What comes back to the platform.
    #[serde(default)]
    pub reversals: BTreeMap<TransferReversalId, Reversal>,
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
        /// The provider's transfer, where something was moved.
        #[serde(default)]
        transfer_ref: Option<String>,
    },
    /// The provider has ordered the bank payout.
    InTransit {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's payout.
        bank_payout_ref: String,
        /// When it is expected at the bank.
        arrival_at: Timestamp,
        /// The provider's transfer, where something was moved.
        #[serde(default)]
        transfer_ref: Option<String>,
    },
    /// Arrived, as far as the provider knows.
    Paid {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's payout.
        bank_payout_ref: String,
        /// The provider's transfer, where something was moved.
        #[serde(default)]
        transfer_ref: Option<String>,
    },
    /// Did not arrive; the payee can withdraw it again.
    Failed {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's code.
        code: String,
        /// What it left behind.
        #[serde(default)]
        leftover: Leftover,
    },
    /// Arrived and came back; the payee can withdraw it again.
    Returned {
        /// What it is about.
        withdrawal: Withdrawal,
        /// The provider's code.
        code: String,
        /// What it left behind.
        #[serde(default)]
        leftover: Leftover,
    },
    /// Staff has to approve it.
    AwaitingApproval {
        /// What it is about.
        withdrawal: Withdrawal,
        /// Why.
        cause: ApprovalCause,
    },
    /// It waits until there is enough in the platform's balance at the provider.
    Approved {
        /// What it is about.
        withdrawal: Withdrawal,
    },
    /// Not made; the payee can withdraw it again.
    Cancelled {
        /// What it is about.
        withdrawal: Withdrawal,
        /// Why.
        cause: CancelCause,
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
    /// Make it once staff has approved it.
    RequestApproval {
        /// What it is about.
        withdrawal: Withdrawal,
        /// Why staff has to.
        cause: ApprovalCause,
    },
    /// Let it go. Staff that may hold money.
    Approve,
    /// A gate is shut before an order for it was sent: it is not made, and nothing that was ordered is called off. A fact:
    /// never refused.
    Withhold {
        /// The code of the gate's refusal.
        code: String,
    },
    /// The same under the standing of its payee. Without it a command is judged as if nothing were held against the party.
    Under {
        /// The payee, as it is.
        standing: Box<PayeeStanding>,
        /// What is asked.
        command: Box<PayoutCommand>,
    },
    /// Not make it. The payee, or staff that may hold money.
    Cancel,
    /// The platform's balance is too low for the transfer.
    RecordLackOfFunds,
    /// The money is at the payee's account at the provider, out of a balance in another currency.
    RecordTransferConverted {
        /// The provider's transfer.
        transfer_ref: String,
        /// How much arrived.
        amount: Minor,
        /// How much left the platform's balance.
        taken: Minor,
        /// In which currency that was.
        taken_currency: Currency,
    },
    /// What it left at the payee's account comes back to the platform. The payee account has judged it.
    ReverseTransfer {
        /// The movement to be made.
        reversal_id: TransferReversalId,
        /// How much.
        amount: Minor,
    },
    /// It came back.
    RecordReversed {
        /// The movement.
        reversal_id: TransferReversalId,
        /// The provider's reversal.
        reversal_ref: String,
    },
    /// It did not come back.
    RecordReversalFailed {
        /// The movement.
        reversal_id: TransferReversalId,
        /// The provider's code.
        code: String,
    },
    /// What the provider took for it.
    RecordPspFee {
        /// The provider's booking.
        balance_transaction_ref: String,
        /// How much.
        fee: Minor,
    },
}

impl PayoutCommand {
    /// Whether the standing of the payee decides on it.
    pub fn needs_standing(&self) -> bool {
        matches!(self, Self::Approve)
    }
}

impl Payout {
    /// What it is about, once requested.
    pub fn withdrawal(&self) -> Option<&Withdrawal> {
        match self {
            Self::NotRequested => None,
            Self::Transferring { withdrawal }
            | Self::Submitting { withdrawal, .. }
            | Self::InTransit { withdrawal, .. }
            | Self::Paid { withdrawal, .. }
            | Self::Failed { withdrawal, .. }
            | Self::Returned { withdrawal, .. }
            | Self::AwaitingApproval { withdrawal, .. }
            | Self::Approved { withdrawal }
            | Self::Cancelled { withdrawal, .. } => Some(withdrawal),
        }
    }

    /// What it left behind, once it has failed or come back.
    pub fn leftover(&self) -> Option<&Leftover> {
        match self {
            Self::Failed { leftover, .. } | Self::Returned { leftover, .. } => Some(leftover),
            _ => None,
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
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Approved { .. } => "approved",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

impl Payout {
    fn after(self, event: &PayoutEvent) -> Self {
        use PayoutEvent as E;
        match (self, event) {
            (_, E::Requested { withdrawal } | E::Approved { withdrawal, .. }) => Self::going(withdrawal.clone()),
            (_, E::ApprovalRequired { withdrawal, cause }) => {
                Self::AwaitingApproval { withdrawal: withdrawal.clone(), cause: *cause }
            }
            (Self::AwaitingApproval { withdrawal, .. }, E::Cancelled { cause, .. }) => {
                Self::Cancelled { withdrawal, cause: *cause }
            }
            (Self::Transferring { withdrawal }, E::FundsAwaited { .. }) => Self::Approved { withdrawal },
            (
                Self::Transferring { withdrawal } | Self::Approved { withdrawal },
                E::TransferCompleted { transfer_ref, .. } | E::TransferConverted { transfer_ref, .. },
            ) => Self::Submitting { withdrawal, transfer_ref: Some(transfer_ref.clone()) },
            (Self::Submitting { withdrawal, transfer_ref }, E::Submitted { bank_payout_ref, arrival_at, .. }) => {
                let bank_payout_ref = bank_payout_ref.clone();
                Self::InTransit { withdrawal, bank_payout_ref, arrival_at: *arrival_at, transfer_ref }
            }
            (
                Self::Submitting { withdrawal, transfer_ref } | Self::InTransit { withdrawal, transfer_ref, .. },
                E::Paid { bank_payout_ref, .. },
            ) => Self::Paid { withdrawal, bank_payout_ref: bank_payout_ref.clone(), transfer_ref },
            (Self::Transferring { withdrawal } | Self::Approved { withdrawal }, E::Failed { code, .. }) => {
                Self::Failed { withdrawal, code: code.clone(), leftover: Leftover::default() }
            }
            (
                Self::Submitting { withdrawal, transfer_ref } | Self::InTransit { withdrawal, transfer_ref, .. },
                E::Failed { code, .. },
            ) => Self::Failed { withdrawal, code: code.clone(), leftover: Leftover::of(transfer_ref) },
            (Self::Paid { withdrawal, transfer_ref, .. }, E::Returned { code, .. }) => {
                Self::Returned { withdrawal, code: code.clone(), leftover: Leftover::of(transfer_ref) }
            }
            (Self::Failed { withdrawal, code, mut leftover }, event) => {
                leftover.note(event);
                Self::Failed { withdrawal, code, leftover }
            }
            (Self::Returned { withdrawal, code, mut leftover }, event) => {
                leftover.note(event);
                Self::Returned { withdrawal, code, leftover }
            }
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::TransferCompleted { .. }
                | E::LateTransferRecorded { .. }
                | E::TransferConverted { .. }
                | E::Submitted { .. }
                | E::Paid { .. }
                | E::Failed { .. }
                | E::Returned { .. }
                | E::Cancelled { .. }
                | E::FundsAwaited { .. }
                | E::TransferReversalRequested { .. }
                | E::TransferReversed { .. }
                | E::TransferReversalFailed { .. }
                | E::PspFeeRecorded { .. },
            ) => state,
        }
    }

    /// Nothing stops it any more.
    fn going(withdrawal: Withdrawal) -> Self {
        if withdrawal.transfer_amount.is_zero() {
            Self::Submitting { withdrawal, transfer_ref: None }
        } else {
            Self::Transferring { withdrawal }
        }
    }
}

impl Leftover {
    fn of(transfer_ref: Option<String>) -> Self {
        Self { transfer_ref, reversals: BTreeMap::new() }
    }

    fn note(&mut self, event: &PayoutEvent) {
        use PayoutEvent as E;
        let (id, amount, state) = match event {
            E::LateTransferRecorded { transfer_ref, .. } => {
                self.transfer_ref = Some(transfer_ref.clone());
                return;
            }
            E::TransferReversalRequested { reversal_id, amount, .. } => (reversal_id, amount, ReversalState::Pending),
            E::TransferReversed { reversal_id, amount, .. } => (reversal_id, amount, ReversalState::Done),
            E::TransferReversalFailed { reversal_id, amount, .. } => (reversal_id, amount, ReversalState::Failed),
            _ => return,
        };
        self.reversals.insert(*id, Reversal { amount: *amount, state });
    }
}
