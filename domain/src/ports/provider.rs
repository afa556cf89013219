//! The payment provider: orders to it, and what it reports.
//!
//! # Invariants
//! - Amounts are in ledger minor units; an adapter converts to the provider's own units and back.
//! - An order carries everything that is needed to send it, so it can be sent again after a crash, unchanged.
//! - A report says what the provider holds to be true *now*; telling it twice is harmless.
//!
//! # What is deliberately absent
//! The provider's own vocabulary (charge, capture, transfer, payment intent): it stays in the adapter.

use std::future::Future;
use std::time::Duration;

use chrono::NaiveDate;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::id::{ContractId, FundingId, PartyId, PayoutId, RefundId};
use crate::time::Timestamp;

/// Something the provider is asked to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum ProviderOrder {
    /// Collect `amount` from the client with this payment method (a token of the provider, never a card number).
    CollectPayment {
        /// The funding that it is for; travels as metadata, so that an early webhook can be resolved.
        funding_id: FundingId,
        /// Groups all movements of one contract at the provider.
        contract_id: ContractId,
        /// What the client pays, fees included; a multiple of the currency's charge quantum.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The provider's token.
        payment_method: String,
    },
    /// Read what a collected payment cost and when it becomes available.
    ReadReceipt {
        /// The funding that it is for.
        funding_id: FundingId,
        /// The provider's payment.
        payment_ref: String,
        /// Whether it is read to see the money become available, and not only what it cost.
        until_available: bool,
    },
    /// Call a payment off that nobody wants any more. Refused when it has succeeded meanwhile.
    CancelPayment {
        /// The funding that it was for.
        funding_id: FundingId,
        /// The provider's payment.
        payment_ref: String,
    },
    /// Send a part of a collected payment back to where it came from.
    Refund {
        /// The refund; travels as metadata, so that an early webhook can be resolved.
        refund_id: RefundId,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
    },
    /// Read how a refund is getting on.
    ReadRefund {
        /// The refund.
        refund_id: RefundId,
        /// The provider's own id of it.
        refund_ref: String,
    },
    /// Move money from the platform's balance to the payee's account at the provider.
    MoveToPayee {
        /// The payout that it is part of.
        payout_id: PayoutId,
        /// Whose money.
        payee_id: PartyId,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The payee's account at the provider.
        account: String,
    },
    /// Pay from the payee's account at the provider to the payee's bank.
    PayToBank {
        /// The payout.
        payout_id: PayoutId,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The payee's account at the provider.
        account: String,
    },
    /// Read how a bank payout is getting on.
    ReadBankPayout {
        /// The payout.
        payout_id: PayoutId,
        /// The provider's own id of it.
        bank_payout_ref: String,
        /// The payee's account at the provider.
        account: String,
    },
}

impl ProviderOrder {
    /// Whether carrying it out twice would move money twice.
    pub fn moves_money(&self) -> bool {
        match self {
            Self::CollectPayment { .. } | Self::Refund { .. } | Self::MoveToPayee { .. } | Self::PayToBank { .. } => {
                true
            }
            Self::CancelPayment { .. }
            | Self::ReadReceipt { .. }
            | Self::ReadRefund { .. }
            | Self::ReadBankPayout { .. } => false,
        }
    }

    /// The word for it, as in `{tenant}:{aggregate_id}:{action}:{attempt}`.
    pub fn action(&self) -> &'static str {
        match self {
            Self::CollectPayment { .. } => "collect_payment",
            Self::ReadReceipt { until_available: false, .. } => "read_receipt",
            Self::ReadReceipt { until_available: true, .. } => "read_availability",
            Self::CancelPayment { .. } => "cancel_payment",
            Self::Refund { .. } => "refund",
            Self::ReadRefund { .. } => "read_refund",
            Self::MoveToPayee { .. } => "move_to_payee",
            Self::PayToBank { .. } => "pay_to_bank",
            Self::ReadBankPayout { .. } => "read_bank_payout",
        }
    }

    /// Id of the aggregate that it is for.
    pub fn aggregate_id(&self) -> String {
        match self {
            Self::CollectPayment { funding_id, .. }
            | Self::ReadReceipt { funding_id, .. }
            | Self::CancelPayment { funding_id, .. } => funding_id.to_string(),
            Self::Refund { refund_id, .. } | Self::ReadRefund { refund_id, .. } => refund_id.to_string(),
            Self::MoveToPayee { payout_id, .. }
            | Self::PayToBank { payout_id, .. }
            | Self::ReadBankPayout { payout_id, .. } => payout_id.to_string(),
        }
    }
}

/// An object at the provider whose state can be asked for, as a webhook names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "snake_case")]
pub enum ProviderObject {
    /// A payment by a client.
    Payment {
        /// The provider's payment.
        payment_ref: String,
    },
    /// The charge of a payment, which leads to the payment.
    Charge {
        /// The provider's charge.
        charge_ref: String,
    },
    /// Money on its way back to a client.
    Refund {
        /// The provider's refund.
        refund_ref: String,
    },
    /// A movement from the platform to a payee's account.
    Transfer {
        /// The provider's transfer.
        transfer_ref: String,
    },
    /// A payout from a payee's account to a bank.
    BankPayout {
        /// The provider's payout.
        bank_payout_ref: String,
        /// The account it is paid from.
        account: String,
    },
}

/// What the provider holds to be true of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum ProviderReport {
    /// Of a payment.
    Payment(PaymentReport),
    /// Of money on its way back to a client.
    Refund(RefundReport),
    /// Of a movement to a payee's account.
    Transfer(TransferReport),
    /// Of a payout to a bank.
    BankPayout(BankPayoutReport),
}

/// State of a client's payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentReport {
    /// The provider's payment.
    pub payment_ref: String,
    /// From the metadata we sent along; `None` when it is not a payment of ours.
    pub funding_id: Option<FundingId>,
    /// How far it is.
    pub status: PaymentStatus,
}

/// How far a client's payment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Known to the provider, nothing collected yet.
    Created,
    /// The client has to do something (3-D Secure).
    ActionRequired,
    /// Under way at the bank.
    Processing,
    /// Collected.
    Succeeded {
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        captured: Minor,
        /// In which currency.
        currency: Currency,
        /// When the provider says so.
        collected_at: Timestamp,
        /// What it cost, once the provider has booked it.
        receipt: Option<Receipt>,
    },
    /// Refused by the bank or the provider.
    Failed {
        /// The provider's code, such as `card_declined`.
        code: String,
    },
    /// Called off.
    Cancelled,
}

/// What a collected payment left in the platform's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The provider's booking.
    pub balance_transaction_ref: String,
    /// What the provider keeps, in ledger minor units of `currency`.
    pub fee: Minor,
    /// What is left.
    pub net: Minor,
    /// Currency of fee and net (the settlement currency).
    pub currency: Currency,
    /// Date of the booking (UTC).
    pub booked_on: NaiveDate,
    /// When the net becomes available.
    pub available_on: Timestamp,
    /// Whether it is available already.
    pub available: bool,
}

/// State of money on its way back to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundReport {
    /// The provider's refund.
    pub refund_ref: String,
    /// From the metadata we sent along; `None` when it is not a refund of ours.
    pub refund_id: Option<RefundId>,
    /// How far it is.
    pub status: RefundStatus,
}

/// How far money on its way back is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RefundStatus {
    /// Accepted by the provider.
    Pending,
    /// Accepted by the provider, which sends it once our balance there is enough: finance has to top it up.
    WaitsForFunds,
    /// It has left the provider's balance; a bank can still give it back.
    Succeeded {
        /// The provider's booking, once there is one.
        balance_transaction_ref: Option<String>,
    },
    /// Refused or given back by the bank.
    Failed {
        /// The provider's code, such as `expired_or_canceled_card`.
        code: String,
    },
    /// Called off.
    Cancelled,
}

/// State of a movement to a payee's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReport {
    /// The provider's transfer.
    pub transfer_ref: String,
    /// From the metadata we sent along.
    pub payout_id: Option<PayoutId>,
    /// What was moved.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
}

/// State of a payout to a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankPayoutReport {
    /// The provider's payout.
    pub bank_payout_ref: String,
    /// From the metadata we sent along.
    pub payout_id: Option<PayoutId>,
    /// The account it is paid from.
    pub account: String,
    /// How far it is.
    pub status: BankPayoutStatus,
}

/// How far a payout to a bank is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum BankPayoutStatus {
    /// Accepted by the provider.
    Pending {
        /// When it is expected at the bank.
        arrival_at: Timestamp,
    },
    /// On its way.
    InTransit {
        /// When it is expected at the bank.
        arrival_at: Timestamp,
    },
    /// Arrived, as far as the provider knows; a bank can still return it.
    Paid,
    /// Refused or returned by the bank.
    Failed {
        /// The provider's code, such as `account_closed`.
        code: String,
    },
    /// Called off.
    Cancelled,
}

/// The provider did not do it, or we do not know whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider said no; nothing has moved. A further try needs a new idempotency key.
    #[error("the payment provider refused: {code}")]
    Refused {
        /// The provider's code, such as `balance_insufficient`.
        code: String,
    },
    /// The provider does not take our key, or not for this. Nothing has happened, and nothing is said of the order: it
    /// waits until an operator has given a better key.
    #[error("the payment provider does not accept our key: {0}")]
    NotAuthorized(String),
    /// No answer, or one that proves nothing. Only the same idempotency key may be sent again.
    #[error("the outcome at the payment provider is unknown: {0}")]
    Unknown(String),
    /// Too many requests; nothing has happened.
    #[error("the payment provider asks to slow down")]
    RateLimited {
        /// How long it asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// What came back cannot be understood (an object that is not there, a value out of range).
    #[error("the payment provider's answer cannot be used: {0}")]
    Unusable(String),
}

/// A payment provider.
pub trait PaymentProvider: Send + Sync + 'static {
    /// Carries out an order and tells the state that resulted. A card that is declined is a report, not an error.
    ///
    /// The same `idempotency_key` again (within the provider's retention, 24 h at Stripe) has no second effect.
    ///
    /// # Errors
    /// [`ProviderError`], of which only [`ProviderError::Refused`] and [`ProviderError::RateLimited`] prove that
    /// nothing has moved.
    fn carry_out(
        &self,
        order: &ProviderOrder,
        idempotency_key: &str,
    ) -> impl Future<Output = Result<ProviderReport, ProviderError>> + Send;

    /// Tells the present state of an object.
    ///
    /// # Errors
    /// [`ProviderError`].
    fn look_up(&self, object: &ProviderObject) -> impl Future<Output = Result<ProviderReport, ProviderError>> + Send;
}

/// A notice from the provider, verified: look the object up, the notice itself proves only that something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderNotice {
    /// The provider's id of the notice; the same notice can arrive many times.
    pub notice_id: String,
    /// The provider's type, such as `payment_intent.succeeded`.
    pub notice_type: String,
    /// The payee's account that it is about; `None` for the platform's own.
    pub account: Option<String>,
    /// What to look up; `None` when the notice is about nothing of ours.
    pub object: Option<ProviderObject>,
    /// The provider's id of the object, as told.
    pub object_ref: Option<String>,
    /// Real money or a test.
    pub livemode: bool,
    /// Version of the provider's API that it is written in.
    pub api_version: Option<String>,
}
