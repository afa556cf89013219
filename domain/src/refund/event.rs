//! Facts about a refund.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::RefundOrder;
use crate::escrow::PspPlace;
use crate::exchange::RefundExchange;
use crate::id::{BreakId, FundingId, PartyId, RefundId};

/// A fact about a refund; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RefundEvent {
    /// The client is to get money back; again, when what stood in the way is over.
    Requested {
        /// What it is about.
        #[serde(flatten)]
        order: RefundOrder,
    },
    /// The provider's balance is too low: finance has to top it up.
    FundingRequired {
        /// The refund.
        refund_id: RefundId,
    },
    /// The provider works on it.
    Submitted {
        /// The refund.
        refund_id: RefundId,
        /// The provider's refund.
        refund_ref: String,
    },
    /// It left the provider's balance. J31; where that has another currency, J71.
    Succeeded {
        /// The refund.
        refund_id: RefundId,
        /// Who gets it.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's refund.
        refund_ref: String,
        /// The provider's booking, if it told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balance_transaction_ref: Option<String>,
        /// Where it lay.
        #[serde(flatten)]
        place: PspPlace,
        /// What the provider took, where that is of another currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<RefundExchange>,
    },
    /// It did not arrive, or came back: the wallet has it. J32.
    Failed {
        /// The refund.
        refund_id: RefundId,
        /// The payment whose money it is, where a bank could still take that back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_id: Option<FundingId>,
        /// Who gets it.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's code.
        code: String,
        /// Where it lies again, when it had left; absent when it never did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        came_back_to: Option<PspPlace>,
        /// What came back there, where that is of another currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<RefundExchange>,
    },
    /// Somebody has to decide by which way it goes.
    ManualRequired {
        /// The refund.
        refund_id: RefundId,
        /// Why: a code.
        reason: String,
    },
    /// The wallet has it instead.
    Redirected {
        /// The refund.
        refund_id: RefundId,
        /// The payment whose money it is, where a bank could still take that back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_id: Option<FundingId>,
        /// Who gets it.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// The provider sent it although the wallet has it instead: what it took is for somebody to explain and to get back.
    /// J84.
    DebitSuspended {
        /// The refund.
        refund_id: RefundId,
        /// The difference to be explained.
        break_id: BreakId,
        /// How much the provider took.
        amount: Minor,
        /// In which currency, which may be another than the refund's.
        currency: Currency,
        /// The provider's refund.
        refund_ref: String,
        /// Where it was taken from.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// The provider called it off: the wallet has it.
    Cancelled {
        /// The refund.
        refund_id: RefundId,
        /// The payment whose money it is, where a bank could still take that back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_id: Option<FundingId>,
        /// Who gets it.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
}
