//! Funding: one attempt to pay into an escrow.
//!
//! ```text
//! not_created ─Create─▶ created ─▶ action_required ─▶ processing ─▶ succeeded ─▶ available
//!                          │             │                │             └─ or the receipt is suspended
//!                          └─────────────┴────────────────┴─▶ failed (a late success is still recorded)
//! ```
//!
//! # Invariants
//! - What the provider reports is recorded, in whatever order it arrives; the same report again changes nothing.
//! - Money that the escrow cannot hold, or that is not the amount asked for, is booked as an unallocated receipt (2900):
//!   it is never lost and never counts as paid.
//!
//! # What is deliberately absent
//! Cancelling, expiry, late returns and refunds.

mod decide;
mod event;
pub mod posting_rules;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{FundingEvent, SuspenseReason};

use crate::escrow::{Allocation, PspPlace};
use crate::id::{ContractId, FundingId, PartyId};
use crate::log::StreamId;
use crate::ports::provider::Receipt;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;

/// Name of the aggregate.
pub const TYPE: &str = "funding";

/// The stream of a funding.
pub fn stream(id: FundingId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// What a funding is about; the same in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The funding.
    pub funding_id: FundingId,
    /// Its contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Currency of the amounts.
    pub currency: Currency,
    /// What it is for.
    pub allocations: Vec<Allocation>,
    /// What is charged, fees included.
    pub charge: Minor,
    /// The provider's token of card or account.
    pub payment_method: String,
    /// Where the money arrives.
    #[serde(flatten)]
    pub place: PspPlace,
}

/// State of a funding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Funding {
    /// No funding by this id.
    #[default]
    NotCreated,
    /// Asked for.
    Created {
        /// What it is about.
        order: Order,
        /// How far the provider is with it.
        progress: Progress,
        /// The provider's payment, once known.
        payment_ref: Option<String>,
    },
    /// The provider has the money.
    Succeeded {
        /// What it is about.
        order: Order,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        captured: Minor,
        /// What the provider kept, once it has told.
        cost: Option<Cost>,
        /// Why the money could not be held, if it could not.
        suspended: Option<SuspenseReason>,
    },
}

/// How far the provider is with a funding that has not succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// Not there yet, as far as we know.
    Waiting,
    /// The client has to do something.
    ActionRequired,
    /// Under way at the bank.
    Processing,
    /// Refused.
    Failed {
        /// The provider's code.
        code: String,
    },
}

/// What the provider kept of a funding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The provider's booking.
    pub balance_transaction_ref: String,
    /// What it kept.
    pub fee: Minor,
    /// What it left.
    pub net: Minor,
    /// When the rest can be used.
    pub available_on: Timestamp,
    /// Whether it can be used already.
    pub available: bool,
}

/// A request about a funding. All but the first are facts told by the provider, which are never refused once the
/// funding exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FundingCommand {
    /// Make it.
    Create {
        /// What it is about.
        order: Order,
    },
    /// The provider knows it under this name.
    LinkPayment {
        /// The provider's payment.
        payment_ref: String,
    },
    /// The client has to do something.
    RecordActionRequired,
    /// It is under way at the bank.
    RecordProcessing,
    /// It was refused.
    RecordFailed {
        /// The provider's code.
        code: String,
    },
    /// The money is there.
    RecordSucceeded {
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        captured: Minor,
        /// In which currency.
        currency: Currency,
        /// When the provider says so.
        collected_at: Timestamp,
    },
    /// What it cost.
    RecordReceipt {
        /// What the provider booked.
        receipt: Receipt,
    },
    /// The escrow cannot hold it.
    SuspendReceipt {
        /// Why.
        reason: SuspenseReason,
    },
}

impl Funding {
    /// What it is about, once created.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::NotCreated => None,
            Self::Created { order, .. } | Self::Succeeded { order, .. } => Some(order),
        }
    }
}

impl Rules for Funding {
    const TYPE: &'static str = TYPE;
    type Command = FundingCommand;
    type Event = FundingEvent;

    fn decide(&self, command: &FundingCommand, context: &Context) -> Result<Vec<FundingEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &FundingEvent) {
        let before = std::mem::take(self);
        *self = before.after(event);
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotCreated => "not_created",
            Self::Created { progress: Progress::Waiting, .. } => "created",
            Self::Created { progress: Progress::ActionRequired, .. } => "action_required",
            Self::Created { progress: Progress::Processing, .. } => "processing",
            Self::Created { progress: Progress::Failed { .. }, .. } => "failed",
            Self::Succeeded { suspended: Some(_), .. } => "under_review",
            Self::Succeeded { cost: Some(Cost { available: true, .. }), .. } => "available",
            Self::Succeeded { .. } => "succeeded",
        }
    }
}

impl Funding {
    fn after(self, event: &FundingEvent) -> Self {
        use FundingEvent as E;
        match (self, event) {
            (_, E::Created { order }) => {
                Self::Created { order: order.clone(), progress: Progress::Waiting, payment_ref: None }
            }
            (Self::Created { order, progress, .. }, E::PspIntentLinked { payment_ref, .. }) => {
                Self::Created { order, progress, payment_ref: Some(payment_ref.clone()) }
            }
            (Self::Created { order, payment_ref, .. }, E::ActionRequired { .. }) => {
                Self::Created { order, payment_ref, progress: Progress::ActionRequired }
            }
            (Self::Created { order, payment_ref, .. }, E::Processing { .. }) => {
                Self::Created { order, payment_ref, progress: Progress::Processing }
            }
            (Self::Created { order, payment_ref, .. }, E::Failed { code, .. }) => {
                Self::Created { order, payment_ref, progress: Progress::Failed { code: code.clone() } }
            }
            (Self::Created { order, .. }, E::Succeeded { payment_ref, charge_ref, captured, .. }) => Self::Succeeded {
                order,
                payment_ref: payment_ref.clone(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                cost: None,
                suspended: None,
            },
            (
                Self::Succeeded { order, payment_ref, charge_ref, captured, cost, .. },
                E::ReceiptSuspended { reason, .. },
            ) => Self::Succeeded { order, payment_ref, charge_ref, captured, cost, suspended: Some(*reason) },
            (
                Self::Succeeded { order, payment_ref, charge_ref, captured, suspended, .. },
                E::PspFeeRecorded { balance_transaction_ref, fee, net, available_on, .. },
            ) => Self::Succeeded {
                order,
                payment_ref,
                charge_ref,
                captured,
                suspended,
                cost: Some(Cost {
                    balance_transaction_ref: balance_transaction_ref.clone(),
                    fee: *fee,
                    net: *net,
                    available_on: *available_on,
                    available: false,
                }),
            },
            (
                Self::Succeeded { order, payment_ref, charge_ref, captured, suspended, cost },
                E::PspFundsBecameAvailable { .. },
            ) => Self::Succeeded {
                order,
                payment_ref,
                charge_ref,
                captured,
                suspended,
                cost: cost.map(|cost| Cost { available: true, ..cost }),
            },
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::PspIntentLinked { .. }
                | E::ActionRequired { .. }
                | E::Processing { .. }
                | E::Failed { .. }
                | E::Succeeded { .. }
                | E::ReceiptSuspended { .. }
                | E::PspFeeRecorded { .. }
                | E::PspFundsBecameAvailable { .. },
            ) => state,
        }
    }
}
