//! Funding: one attempt to pay, into an escrow or a wallet, or as a gift to the payee.
//!
//! ```text
//! not_created ─Create─▶ created ─▶ action_required ─▶ processing ─▶ succeeded ─▶ available
//!                          │             │                │             └─ or the receipt is suspended
//!                          ├─────────────┴────────────────┴─▶ failed (a late success is still recorded)
//!                          └─ cancelled, or expired while the client had to act ─▶ a success goes back (refund)
//! ```
//!
//! # Invariants
//! - What the provider reports is recorded, in whatever order it arrives; the same report again changes nothing.
//! - Money that the escrow cannot hold, or that is not the amount asked for, is booked as an unallocated receipt (2900):
//!   it is never lost and never counts as paid; the milestones that waited for it do not wait any more.
//! - Money that arrives after the attempt was given up, or after the contract is over, goes back as a refund (J93).
//!
//! - A bank can take it back later: what the escrow still holds of it is gone (J94), the rest is the client's debt (J59).
//! - Where the provider settles in another currency, the escrow's event books both (J70), if that is known with the
//!   success. The provider may book minutes later: until then the money is pending in the currency that was paid in, and
//!   [`FundingEvent::Exchanged`] moves it. The two entries together are J70. Money that the escrow does not hold (a gift,
//!   a suspended receipt, a late success) is always booked in these two steps.
//! - The funding keeps its FX position ([`crate::exchange`]): it is the one aggregate that sees receipt, refunds, chargebacks
//!   and return alike, whichever is told first. So the result (J72, J73) is realised here, at once, and not by a
//!   reconciliation later.
//!
//! - A top-up has no contract: its success is the wallet's (J06), and so is a return, as far as the money is still there;
//!   what is not is the client's debt (J59).
//!
//! # What is deliberately absent
//! A return of which the payee bears what was released. For a top-up that was exchanged, that money that leaves the wallet
//! closes the FX position.

mod decide;
mod event;
mod exchange;
pub mod posting_rules;
mod top_up;

use chrono::NaiveDate;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{FundingEvent, SuspenseReason};

use crate::command::Command;
use crate::escrow::{Allocation, Gratuity, PspPlace};
use crate::exchange::{Position, Settled};
use crate::id::{ChargebackId, ContractId, FundingId, PartyId, RefundId};
use crate::log::StreamId;
use crate::ports::provider::Receipt;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

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
    /// Its contract; none for a top-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<ContractId>,
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
    /// What becomes of it.
    #[serde(default, skip_serializing_if = "Purpose::is_escrow")]
    pub purpose: Purpose,
    /// When the attempt is given up if the client does not complete it; in the state `None` once that timer was blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What becomes of a payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// It is held.
    #[default]
    Escrow,
    /// It is the payee's at once.
    Gratuity {
        /// Who is paid.
        payee_id: PartyId,
        /// How much, and what becomes of it.
        gratuity: Box<Gratuity>,
    },
    /// It is put into the client's wallet.
    TopUp,
}

impl Purpose {
    /// Whether it is the usual one, which events leave out.
    pub fn is_escrow(&self) -> bool {
        *self == Self::Escrow
    }
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
    /// Given up: cancelled, or expired. A success that comes all the same goes back.
    GivenUp {
        /// What it is about.
        order: Order,
        /// Whether time did it.
        expired: bool,
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
        /// The refund by which it goes back, if it came too late.
        #[serde(default)]
        refund_id: Option<RefundId>,
        /// Whether a bank took it back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        returned: bool,
        /// Where the provider settles in another currency: what it has for the payment, and how much of that is open.
        #[serde(default, skip_serializing_if = "Exchange::is_none")]
        exchange: Exchange,
    },
}

/// What became of a payment that the provider settles in another currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The currency that was collected; `None` where it is that of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_in: Option<Currency>,
    /// What the provider has for it, once it has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// What stands on the FX position.
    #[serde(default, skip_serializing_if = "Position::is_closed")]
    pub position: Position,
}

impl Exchange {
    /// Whether nothing was exchanged.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
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

/// A request about a funding. What the provider tells is never refused once the funding exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FundingCommand {
    /// Make it.
    Create {
        /// What it is about.
        order: Order,
    },
    /// Make one that tops up a wallet. By the wallet's owner.
    TopUp {
        /// The funding to be made.
        funding_id: FundingId,
        /// Whose wallet.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much. Where the provider cannot charge that exactly, the next amount that it can; all of it is credited.
        amount: Minor,
        /// The provider's token of card or account.
        payment_method: String,
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
        /// What the provider has for it, where it settles in another currency and tells so already.
        settled: Option<Settled>,
    },
    /// A refund of it went out of, or came back to, a balance in another currency. Told by the refund.
    RecordRefundExchange {
        /// The refund.
        refund_id: RefundId,
        /// How much, in `currency`.
        amount: Minor,
        /// The refund's currency.
        currency: Currency,
        /// What moved in the provider's balance.
        settled: Settled,
        /// Whether it came back.
        came_back: bool,
    },
    /// A bank took of it from, or gave back to, a balance in another currency. Told by the chargeback.
    RecordChargebackExchange {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// How much of it, in `currency`.
        amount: Minor,
        /// The contract's currency.
        currency: Currency,
        /// What moved in the provider's balance.
        settled: Settled,
        /// Whether it came back.
        came_back: bool,
    },
    /// What it cost.
    RecordReceipt {
        /// What the provider booked.
        receipt: Receipt,
    },
    /// A bank took it back without a dispute.
    RecordReturned {
        /// What it took.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// Date of the booking.
        booked_on: NaiveDate,
        /// The provider's code.
        code: String,
        /// What left the provider's balance, where that is of another currency than `currency`.
        settled: Option<Settled>,
    },
    /// What a bank took of it and neither the escrow nor the wallet has.
    RecordLateReturn {
        /// How much.
        amount: Minor,
    },
    /// The escrow cannot hold it.
    SuspendReceipt {
        /// Why.
        reason: SuspenseReason,
    },
    /// The contract was over when it came: it goes back.
    ReturnLateReceipt,
    /// The client does not want to pay any more.
    Cancel,
    /// The contract is over: nothing is wanted any more.
    CallOff,
    /// The client did not complete it in time.
    Expire,
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl Funding {
    /// What it is about, once created.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::NotCreated => None,
            Self::Created { order, .. } | Self::GivenUp { order, .. } | Self::Succeeded { order, .. } => Some(order),
        }
    }

    /// Whether it has brought nothing so far, and nothing is under way: it was refused, given up, or came to nothing that
    /// could be held. One that was refused can still succeed later.
    pub fn has_failed(&self) -> bool {
        matches!(
            self,
            Self::Created { progress: Progress::Failed { .. }, .. }
                | Self::GivenUp { .. }
                | Self::Succeeded { suspended: Some(_), .. }
        )
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

    /// The time that the client has to complete it. Under way at the bank it takes as long as it takes.
    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        let Self::Created { order, progress: Progress::Waiting | Progress::ActionRequired, .. } = self else {
            return Vec::new();
        };
        let Some(due_at) = order.expires_at else {
            return Vec::new();
        };
        vec![Timer {
            due_at,
            rank: Rank::FundingIntent,
            stream: stream.clone(),
            key: "funding_intent".to_owned(),
            command: Command::Funding(order.funding_id, FundingCommand::Expire),
        }]
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotCreated => "not_created",
            Self::GivenUp { expired: true, .. } => "expired",
            Self::GivenUp { expired: false, .. } => "cancelled",
            Self::Succeeded { returned: true, .. } => "returned",
            Self::Succeeded { refund_id: Some(_), .. } => "sent_back",
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
            (Self::GivenUp { order, expired, .. }, E::PspIntentLinked { payment_ref, .. }) => {
                Self::GivenUp { order, expired, payment_ref: Some(payment_ref.clone()) }
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
            (Self::Created { order, payment_ref, .. }, E::Cancelled { .. }) => {
                Self::GivenUp { order, payment_ref, expired: false }
            }
            (Self::Created { order, payment_ref, .. }, E::Expired { .. }) => {
                Self::GivenUp { order, payment_ref, expired: true }
            }
            (Self::Created { mut order, progress, payment_ref }, E::TimerBlocked { .. }) => {
                order.expires_at = None;
                Self::Created { order, progress, payment_ref }
            }
            (
                Self::Created { order, .. } | Self::GivenUp { order, .. },
                E::Succeeded { payment_ref, charge_ref, captured, currency, settled, .. },
            ) => Self::Succeeded {
                exchange: Exchange {
                    collected_in: (*currency != order.currency).then_some(*currency),
                    settled: *settled,
                    position: settled
                        .map(|settled| Position::default().after_receipt(*captured, settled))
                        .unwrap_or_default(),
                },
                order,
                payment_ref: payment_ref.clone(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                cost: None,
                suspended: None,
                refund_id: None,
                returned: false,
            },
            (mut state @ Self::Succeeded { .. }, event) => {
                state.remember_after_success(event);
                state
            }
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::PspIntentLinked { .. }
                | E::ActionRequired { .. }
                | E::Processing { .. }
                | E::Failed { .. }
                | E::Cancelled { .. }
                | E::Expired { .. }
                | E::TimerBlocked { .. }
                | E::Succeeded { .. }
                | E::Exchanged { .. }
                | E::RefundExchanged { .. }
                | E::ChargebackExchanged { .. }
                | E::FxResultRealised { .. }
                | E::SucceededAfterCancel { .. }
                | E::ReceiptSuspended { .. }
                | E::PspFeeRecorded { .. }
                | E::PspFundsBecameAvailable { .. }
                | E::Returned { .. }
                | E::LateReturnRecorded { .. },
            ) => state,
        }
    }

    fn remember_after_success(&mut self, event: &FundingEvent) {
        use FundingEvent as E;
        let Self::Succeeded { cost, suspended, refund_id, returned, exchange, .. } = self else { return };
        match event {
            E::ReceiptSuspended { reason, .. } => *suspended = Some(*reason),
            E::SucceededAfterCancel { refund_id: refund, .. } => *refund_id = Some(*refund),
            E::PspFeeRecorded { balance_transaction_ref, fee, net, available_on, .. } => {
                *cost = Some(Cost {
                    balance_transaction_ref: balance_transaction_ref.clone(),
                    fee: *fee,
                    net: *net,
                    available_on: *available_on,
                    available: false,
                });
            }
            E::PspFundsBecameAvailable { .. } => {
                if let Some(cost) = cost {
                    cost.available = true;
                }
            }
            E::Returned { .. } => {
                *returned = true;
                exchange.remember(event);
            }
            E::Exchanged { .. }
            | E::RefundExchanged { .. }
            | E::ChargebackExchanged { .. }
            | E::FxResultRealised { .. } => exchange.remember(event),
            E::Created { .. }
            | E::PspIntentLinked { .. }
            | E::ActionRequired { .. }
            | E::Processing { .. }
            | E::Failed { .. }
            | E::Cancelled { .. }
            | E::Expired { .. }
            | E::TimerBlocked { .. }
            | E::LateReturnRecorded { .. }
            | E::Succeeded { .. } => {}
        }
    }
}
