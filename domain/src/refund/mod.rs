//! Refund: one movement of money back to a client, by the way one of its fundings came.
//!
//! ```text
//! not_requested ─Request─▶ requested ─▶ submitted ─▶ succeeded ─▶ failed (the bank gave it back: wallet credit)
//!                   │          │            ├─▶ failed, cancelled: wallet credit
//!                   │          └─ requires_funding: the provider's balance is too low; sent again later
//!                   ├─ the client had paid from the wallet ─▶ redirected to it
//!                   └─ no charge is known, or the provider refuses for good ─▶ requires_manual ─Redirect─▶ redirected
//! requires_manual ─ the bank's disagreement, which was why, is over ─▶ requested again
//! requires_manual ─ the bank keeps the payment, or returned it ─▶ redirected: the wallet settles that
//! ```
//!
//! # Invariants
//! - What it is about was taken from the escrow or the payee before: it stands on 2260 until it has arrived.
//! - What the provider reports is recorded, in whatever order it arrives; the same report again changes nothing.
//! - Money that does not arrive is the client's all the same: it is credited to the wallet. Where the provider reports it
//!   as sent after that, it is booked as a debit to be explained (1900): nothing leaves unseen.
//! - The wallet gets it on somebody's word only where the money is still here for sure (`redirect.rs`).
//! - Where the provider takes it out of a balance in another currency, both amounts are booked (J71), and the funding is
//!   told: it has the FX position. What comes back is, where the provider does not say otherwise, what it had taken.
//!
//! # What is deliberately absent
//! Payment by bank transfer. Refunds that somebody makes at the provider by hand: one of ours that is refused because of
//! them waits for somebody who takes them over. A refund whose booking the provider
//! does not tell with its success is booked in its own currency.

mod decide;
mod event;
pub mod posting_rules;
mod redirect;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::RefundEvent;

use crate::escrow::{ChargeRef, PaidFrom};
use crate::exchange::Settled;
use crate::id::{ChargebackId, ContractId, FundingId, PartyId, RefundId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "refund";

/// The stream of a refund.
pub fn stream(id: RefundId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// What a refund is about; the same in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    /// The refund.
    pub refund_id: RefundId,
    /// The contract that it is from; `None` for money from the wallet itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<ContractId>,
    /// Who gets it.
    pub client_id: PartyId,
    /// The funding whose money it is; `None` for money from the wallet itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding_id: Option<FundingId>,
    /// How much, fees included, minor units.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// The charge that it goes back to, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<ChargeRef>,
    /// Where the client had paid from.
    #[serde(default, skip_serializing_if = "PaidFrom::is_provider")]
    pub paid_from: PaidFrom,
    /// How often it was asked for and refused before, because of something that is over.
    #[serde(default, skip_serializing_if = "is_never")]
    pub asked_before: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_never(times: &u32) -> bool {
    *times == 0
}

/// State of a refund.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Refund {
    /// No refund by this id.
    #[default]
    NotRequested,
    /// The provider is to be asked.
    Requested {
        /// What it is about.
        order: RefundOrder,
        /// Whether the provider's balance was too low when it was asked.
        lacks_funds: bool,
    },
    /// The provider works on it.
    Submitted {
        /// What it is about.
        order: RefundOrder,
        /// The provider's refund.
        refund_ref: String,
    },
    /// Arrived, as far as the provider knows.
    Succeeded {
        /// What it is about.
        order: RefundOrder,
        /// The provider's refund.
        refund_ref: String,
        /// What the provider took, where that is of another currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<Settled>,
    },
    /// Did not arrive, or came back; the wallet has it.
    Failed {
        /// What it is about.
        order: RefundOrder,
        /// The provider's code.
        code: String,
    },
    /// Somebody has to decide by which way it goes.
    RequiresManual {
        /// What it is about.
        order: RefundOrder,
        /// Why: a code.
        reason: String,
    },
    /// The wallet has it instead.
    Redirected {
        /// What it is about.
        order: RefundOrder,
        /// Whether the provider sent it all the same.
        #[serde(default)]
        sent_too: bool,
    },
    /// The provider called it off; the wallet has it.
    Cancelled {
        /// What it is about.
        order: RefundOrder,
    },
}

/// What stands in the way of giving a refund of a payment to the wallet instead. The unit of work looks it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentStanding {
    /// The chargeback that it is in.
    pub contested_by: Option<ChargebackId>,
    /// Whether its bank keeps more of it than was not refunded: what comes back of it settles that.
    pub reclaimed: bool,
}

/// A request about a refund. What the provider tells is never refused once the refund exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundCommand {
    /// Make it.
    Request {
        /// What it is about.
        order: RefundOrder,
    },
    /// The provider works on it.
    RecordSubmitted {
        /// The provider's refund.
        refund_ref: String,
    },
    /// The provider's balance is too low; it is asked again later.
    RecordLackOfFunds,
    /// It arrived.
    RecordSucceeded {
        /// The provider's refund.
        refund_ref: String,
        /// The provider's booking, if it told it.
        balance_transaction_ref: Option<String>,
        /// What it took, where that is of another currency.
        taken: Option<Settled>,
    },
    /// It did not arrive, or came back.
    RecordFailed {
        /// The provider's code.
        code: String,
        /// What came back, where that is of another currency.
        came_back: Option<Settled>,
    },
    /// The provider called it off.
    RecordCancelled,
    /// The provider proves that it will not do it.
    RecordRefused {
        /// The provider's code.
        code: String,
    },
    /// Give it to the client's wallet instead. The client's or the staff's to say.
    RedirectToWallet,
    /// The bank's disagreement with its payment is over, and nothing was lost: where it was refused because of that, it is
    /// asked for again. Follows from the escrow's events; never refused.
    AskAgain,
    /// A bank keeps its payment, or has returned it: what waits for somebody settles that, in the wallet. Follows from the
    /// escrow's events; never refused.
    RecordPaymentTaken,
    /// A command, with the standing of the payment that decides on it. Only the unit of work makes one.
    Under {
        /// The standing.
        standing: PaymentStanding,
        /// The command.
        command: Box<RefundCommand>,
    },
}

impl RefundCommand {
    /// Whether the standing of the payment decides on it.
    pub fn needs_standing(&self) -> bool {
        matches!(self, Self::RedirectToWallet | Self::RecordRefused { .. })
    }
}

impl Refund {
    /// What it is about, once requested.
    pub fn order(&self) -> Option<&RefundOrder> {
        match self {
            Self::NotRequested => None,
            Self::Requested { order, .. }
            | Self::Submitted { order, .. }
            | Self::Succeeded { order, .. }
            | Self::Failed { order, .. }
            | Self::RequiresManual { order, .. }
            | Self::Redirected { order, .. }
            | Self::Cancelled { order } => Some(order),
        }
    }

    fn after(self, event: &RefundEvent) -> Self {
        use RefundEvent as E;
        if let E::Requested { order } = event {
            return Self::Requested { order: order.clone(), lacks_funds: false };
        }
        let Some(order) = self.order().cloned() else {
            return self;
        };
        match event {
            E::Requested { .. } => self,
            E::FundingRequired { .. } => Self::Requested { order, lacks_funds: true },
            E::Submitted { refund_ref, .. } => Self::Submitted { order, refund_ref: refund_ref.clone() },
            E::Succeeded { refund_ref, exchange, .. } => Self::Succeeded {
                order,
                refund_ref: refund_ref.clone(),
                taken: exchange.map(|exchange| exchange.settled),
            },
            E::Failed { code, .. } => Self::Failed { order, code: code.clone() },
            E::ManualRequired { reason, .. } => Self::RequiresManual { order, reason: reason.clone() },
            E::Redirected { .. } => Self::Redirected { order, sent_too: false },
            E::DebitSuspended { .. } => Self::Redirected { order, sent_too: true },
            E::Cancelled { .. } => Self::Cancelled { order },
        }
    }
}

impl Rules for Refund {
    const TYPE: &'static str = TYPE;
    type Command = RefundCommand;
    type Event = RefundEvent;

    fn decide(&self, command: &RefundCommand, context: &Context) -> Result<Vec<RefundEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &RefundEvent) {
        let before = std::mem::take(self);
        *self = before.after(event);
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotRequested => "not_requested",
            Self::Requested { lacks_funds: true, .. } => "requires_funding",
            Self::Requested { .. } => "requested",
            Self::Submitted { .. } => "submitted",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::RequiresManual { .. } => "requires_manual",
            Self::Redirected { .. } => "redirected",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}
