//! Escrow: the money of one contract, held until both sides have performed.
//!
//! ```text
//! not_opened ─Open─▶ open ─Close (at zero)─▶ closed
//!                    │  RequestFunding   what the client has to pay, fees included
//!                    │  RecordFunding    money arrived: held for milestones or as a deposit, or rejected and booked elsewhere
//!                    │  Release          held money becomes the payee's, less the fees
//!                    │  InitiateRefund   held money goes back, each funding's part by the way it came
//!                    │  Reallocate       held money, and the fee deferred with it, moves to another milestone
//!                    │  PlaceDisputeHold, LiftDisputeHold
//!                    │  NoteChargeback, HoldForChargeback, AbsorbChargeback, ClearChargeback
//!                    │                   a bank disagrees with a payment; RecordFundingReturn: it took one back
//!                    │  Freeze, Unfreeze nothing leaves in between
//!                    └  psp_hold         warnings, then what the policy says, when a provider's limit is reached
//! ```
//!
//! # Invariants
//! - Per milestone: `funded + moved_in = held + disputed + released + refunded + lost + moved_out`, every term at least
//!   zero; the sum of its lots is `held + disputed`. A decision that would break it is a defect and is not written.
//! - A release is never more than is held. Releases use the oldest lots first, refunds and holds the newest.
//! - Fees are cumulative: any partition of a release or a refund comes to the same fees in total, to the minor unit.
//!   Nothing is deferred for a milestone of which nothing is held.
//! - Of no funding more goes back than came with it, fees and tax included.
//! - Money that arrived is never refused: what cannot be held is rejected by an event, and its funding books it.
//! - Nothing of a payment goes back, and no milestone that it pays for moves, while a bank disagrees with it.
//! - While it is frozen nothing leaves, and the deadlines that decide about what is held stand still. A disputed milestone
//!   neither releases nor refunds nor moves anything.
//! - What has an id of its own is done once.
//!
//! # What is deliberately absent
//! Settling a dispute, bookings. The provider's fee of a refunded payment is always the platform's. What the pair billed in
//! other contracts: [`crate::pair`] knows it.

mod command;
mod decide;
mod event;
mod evolve;
mod holdings;
mod lots;
mod parts;
pub mod posting_rules;
mod taken_back;
mod timers;

use serde::{Deserialize, Serialize};

pub use command::EscrowCommand;
pub(crate) use decide::{check_payment_method, small_enough};
pub use event::EscrowEvent;
pub use holdings::{ChargebackHold, DisputeHold, Done, Holding, Holdings, PaidFunding, RequestedFunding};
pub use lots::HeldLot;
pub use parts::{
    Allocation, Borne, ChargeRef, Clawback, ContestedRefunds, Deposit, FeeTax, Gratuity, GratuityKind, HoldLimit,
    LockedPart, LostPart, Lot, PLATFORM_ACCOUNT, PaidFrom, PspPlace, RefundPart, RefundReason, RejectionReason,
    ReleaseReason, Withheld,
};

use crate::id::ContractId;
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::timer::Timer;

/// Name of the aggregate.
pub const TYPE: &str = "escrow";

/// The stream of a contract's escrow.
pub fn stream(id: ContractId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of an escrow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Escrow {
    /// The contract is not accepted yet.
    #[default]
    NotOpened,
    /// Takes and releases money.
    Open(Holdings),
    /// The contract is over and nothing is held.
    Closed(Holdings),
}

impl Escrow {
    /// What it knows, once opened.
    pub fn holdings(&self) -> Option<&Holdings> {
        match self {
            Self::NotOpened => None,
            Self::Open(holdings) | Self::Closed(holdings) => Some(holdings),
        }
    }
}

impl Rules for Escrow {
    const TYPE: &'static str = TYPE;
    type Command = EscrowCommand;
    type Event = EscrowEvent;

    fn decide(&self, command: &EscrowCommand, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &EscrowEvent) {
        if let EscrowEvent::Opened { contract_id, client_id, payee_id, currency, fee_schedule, policy } = event {
            let parties = (*contract_id, *client_id, *payee_id);
            *self = Self::Open(Holdings::new(parties, *currency, fee_schedule.clone(), policy.clone()));
            return;
        }
        if let Self::Open(holdings) | Self::Closed(holdings) = self {
            holdings.remember(event);
        }
        if matches!(event, EscrowEvent::Closed { .. })
            && let Self::Open(holdings) = std::mem::take(self)
        {
            *self = Self::Closed(holdings);
        }
    }

    /// How long the provider lets the money lie.
    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        match self {
            Self::Open(holdings) => timers::timers(holdings, stream),
            Self::NotOpened | Self::Closed(_) => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::Open(holdings) if holdings.frozen => "frozen",
            Self::Open(_) => "open",
            Self::Closed(_) => "closed",
        }
    }
}
