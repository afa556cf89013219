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
use ledger::{Currency, Minor, MoneyError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::mandate::Mandate;

pub use super::dispute::{DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, FraudWarningReport};
use crate::chargeback::{EvidenceBundle, Statement};
use crate::exchange::Settled;
use crate::id::{
    ChargebackId, ContractId, FundingId, OnboardingLinkId, PartyId, PayoutId, RefundId, SweepId, TopUpId,
    TransferReversalId,
};
use crate::jurisdiction::Jurisdiction;
use crate::party::AccountStatus;
use crate::time::Timestamp;

/// Something the provider is asked to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum ProviderOrder {
    /// Collect `amount` from the client with this payment method (a token of the provider, never a card number).
    CollectPayment {
        /// The funding that it is for; travels as metadata, so that an early webhook can be resolved.
        funding_id: FundingId,
        /// Groups all movements of one contract at the provider; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What the client pays, fees included; a multiple of the currency's charge quantum.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The provider's token.
        payment_method: String,
        /// The client's consent to a debit of its bank account, where it has given one. Not written, and absent when read:
        /// whoever sends the order puts it in.
        #[serde(skip)]
        mandate: Option<Box<Mandate>>,
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
        /// How often it was asked for and refused before, because of something that is over.
        #[serde(default, skip_serializing_if = "is_zero")]
        asked_before: u32,
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
    /// Answer a dispute with what the log proves. Once submitted it is final.
    SubmitEvidence {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The provider's dispute.
        dispute_ref: String,
        /// What is proved.
        evidence: Box<EvidenceBundle>,
        /// SHA-256 (hex) of what staff says beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<String>,
        /// Its words. Not stored with the order: whoever sends it looks them up, and sends it without them when they have
        /// been taken away.
        #[serde(skip)]
        words: Option<Box<Statement>>,
    },
    /// Tell the bank that a dispute is conceded. It cannot be taken back.
    CloseDispute {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The provider's dispute.
        dispute_ref: String,
    },
    /// Make an account for a payee. What it may receive and pay out is for the provider to find out.
    CreateAccount {
        /// The payee; travels as metadata, so that an early webhook can be resolved.
        party_id: PartyId,
        /// Where the payee lives.
        country: Jurisdiction,
        /// Which request for an account of the payee's it is.
        #[serde(default, skip_serializing_if = "is_zero")]
        request: u32,
    },
    /// Make a link to the provider's own pages, where a payee gives what is demanded.
    CreateOnboardingLink {
        /// The link.
        link_id: OnboardingLinkId,
        /// Whose account.
        party_id: PartyId,
        /// The payee's account at the provider.
        account: String,
    },
    /// Make a bank account the one that a payee's account pays to in a currency.
    SetDestination {
        /// Whose account.
        party_id: PartyId,
        /// The payee's account at the provider.
        account: String,
        /// Its currency.
        currency: Currency,
        /// The provider's token of the bank account.
        token: String,
        /// Which request of the payee's it is: tells a second one with the same token from a repeat.
        #[serde(default, skip_serializing_if = "is_zero")]
        request: u32,
    },
    /// Read what the provider demands of a payee, and whether its account is in order.
    ReadAccount {
        /// Whose account.
        party_id: PartyId,
        /// The payee's account at the provider.
        account: String,
    },
    /// Take money from the payee's account at the provider back to the platform's balance.
    ReverseTransfer {
        /// The movement; travels as metadata.
        reversal_id: TransferReversalId,
        /// The payout that had left it there.
        payout_id: PayoutId,
        /// The provider's transfer that had brought it there.
        transfer_ref: String,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
        /// The payee's account at the provider.
        account: String,
    },
    /// Take own money from the platform's bank to its balance at the provider.
    TopUp {
        /// The movement; travels as metadata.
        top_up_id: TopUpId,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
    },
    /// Pay own money from the platform's balance at the provider to its bank.
    PayPlatform {
        /// The movement; travels as metadata.
        sweep_id: SweepId,
        /// How much.
        amount: Minor,
        /// Its currency.
        currency: Currency,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl ProviderOrder {
    /// Whether carrying it out twice would move money twice.
    pub fn moves_money(&self) -> bool {
        match self {
            Self::CollectPayment { .. }
            | Self::Refund { .. }
            | Self::MoveToPayee { .. }
            | Self::PayToBank { .. }
            | Self::ReverseTransfer { .. }
            | Self::TopUp { .. }
            | Self::PayPlatform { .. } => true,
            Self::CancelPayment { .. }
            | Self::ReadReceipt { .. }
            | Self::ReadRefund { .. }
            | Self::ReadBankPayout { .. }
            | Self::SubmitEvidence { .. }
            | Self::CloseDispute { .. }
            | Self::CreateAccount { .. }
            | Self::CreateOnboardingLink { .. }
            | Self::SetDestination { .. }
            | Self::ReadAccount { .. } => false,
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
            Self::SubmitEvidence { .. } => "submit_evidence",
            Self::CloseDispute { .. } => "close_dispute",
            Self::CreateAccount { .. } => "create_account",
            Self::CreateOnboardingLink { .. } => "create_onboarding_link",
            Self::SetDestination { .. } => "set_destination",
            Self::ReadAccount { .. } => "read_account",
            Self::ReverseTransfer { .. } => "reverse_transfer",
            Self::TopUp { .. } => "top_up",
            Self::PayPlatform { .. } => "pay_platform",
        }
    }

    /// Whether the same aggregate can order it more than once, each time something else.
    fn recurs(&self) -> bool {
        // Another account after the first has ended, another bank account, another answer when an inquiry has become a
        // chargeback.
        matches!(self, Self::CreateAccount { .. } | Self::SetDestination { .. } | Self::SubmitEvidence { .. })
            // A refund that is asked for again; the first order has the plain key.
            || matches!(self, Self::Refund { asked_before, .. } if *asked_before > 0)
    }

    /// The key under which the provider carries it out once: `{tenant}:{aggregate_id}:{action}:{attempt}`, with the order
    /// itself before the attempt where one aggregate can order it more than once.
    ///
    /// The same order and attempt give the same key. Another order never has it: a provider answers a known key with what
    /// it answered first, or refuses another body under it.
    pub fn idempotency_key(&self, tenant: &str, order_id: Uuid, attempt: u32) -> String {
        let (aggregate, action) = (self.aggregate_id(), self.action());
        if self.recurs() {
            format!("{tenant}:{aggregate}:{action}:{}:{attempt}", order_id.simple())
        } else {
            format!("{tenant}:{aggregate}:{action}:{attempt}")
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
            Self::SubmitEvidence { chargeback_id, .. } | Self::CloseDispute { chargeback_id, .. } => {
                chargeback_id.to_string()
            }
            Self::CreateAccount { party_id, .. }
            | Self::SetDestination { party_id, .. }
            | Self::ReadAccount { party_id, .. } => party_id.to_string(),
            Self::CreateOnboardingLink { link_id, .. } => link_id.to_string(),
            Self::ReverseTransfer { reversal_id, .. } => reversal_id.to_string(),
            Self::TopUp { top_up_id, .. } => top_up_id.to_string(),
            Self::PayPlatform { sweep_id, .. } => sweep_id.to_string(),
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
    /// A disagreement of a client's bank with a charge.
    Dispute {
        /// The provider's dispute.
        dispute_ref: String,
    },
    /// A network's warning that a charge may be fraud.
    FraudWarning {
        /// The provider's warning.
        warning_ref: String,
    },
    /// A payee's account.
    Account {
        /// The account.
        account: String,
        /// Whether the provider said that its owner has taken the platform's access away.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deauthorized: bool,
    },
    /// Money on its way back from a payee's account.
    TransferReversal {
        /// The transfer that had brought it there.
        transfer_ref: String,
        /// The provider's reversal.
        reversal_ref: String,
    },
    /// Own money on its way to the platform's balance.
    TopUp {
        /// The provider's top-up.
        top_up_ref: String,
    },
    /// A payout of the platform's own balance.
    PlatformPayout {
        /// The provider's payout.
        bank_payout_ref: String,
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
    /// Of a disagreement of a client's bank.
    Dispute(DisputeReport),
    /// Of a warning of fraud.
    FraudWarning(FraudWarningReport),
    /// Of a payee's account.
    Account(AccountReport),
    /// Of a link to the provider's own pages.
    OnboardingLink(OnboardingLinkReport),
    /// Of money on its way back from a payee's account.
    TransferReversal(TransferReversalReport),
    /// Of own money on its way to the platform's balance.
    TopUp(TopUpReport),
    /// Of a payout of the platform's own balance.
    PlatformPayout(PlatformPayoutReport),
}

/// State of a payee's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReport {
    /// Which provider, such as `stripe`.
    pub psp: String,
    /// From the metadata we sent along, or from the order; `None` when it is not an account of a party of ours.
    pub party_id: Option<PartyId>,
    /// What is so.
    pub status: AccountStatus,
}

/// A link to the provider's own pages. It is a key to the payee's account: it is shown to the payee once, and neither
/// stored nor logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardingLinkReport {
    /// The link, as we call it.
    pub link_id: OnboardingLinkId,
    /// Its address; not written, and empty when read.
    #[serde(skip)]
    pub url: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Without the address.
impl std::fmt::Debug for OnboardingLinkReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link_id, url: _, expires_at } = self;
        f.debug_struct("OnboardingLinkReport")
            .field("link_id", link_id)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

/// State of money on its way back from a payee's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReversalReport {
    /// The provider's reversal.
    pub reversal_ref: String,
    /// From the metadata we sent along; `None` when it is not one of ours.
    pub reversal_id: Option<TransferReversalId>,
    /// From the metadata we sent along.
    pub payout_id: Option<PayoutId>,
    /// How much came back.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
}

/// State of own money on its way to the platform's balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUpReport {
    /// Which provider.
    pub psp: String,
    /// The provider's top-up.
    pub top_up_ref: String,
    /// From the metadata we sent along; `None` when it was made elsewhere.
    pub top_up_id: Option<TopUpId>,
    /// How much.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// How far it is.
    pub status: TopUpStatus,
}

/// How far own money on its way to the platform's balance is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TopUpStatus {
    /// On its way.
    Pending,
    /// Arrived.
    Succeeded,
    /// Did not arrive.
    Failed {
        /// The provider's code.
        code: String,
    },
    /// Arrived and was taken back.
    Reversed,
}

/// State of a payout of the platform's own balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformPayoutReport {
    /// Which provider.
    pub psp: String,
    /// The provider's payout.
    pub bank_payout_ref: String,
    /// From the metadata we sent along; `None` when nobody here has ordered it.
    pub sweep_id: Option<SweepId>,
    /// How much.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// Whether the provider made it by itself.
    pub automatic: bool,
    /// How far it is.
    pub status: BankPayoutStatus,
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
    /// Collected, and taken back by the bank later without a dispute: a bank debit that was returned.
    Returned {
        /// What the bank took back.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// Date of the booking (UTC).
        booked_on: NaiveDate,
        /// The provider's code, such as `insufficient_funds`.
        code: String,
        /// What left the provider's balance for it, where that is of another currency than the charge.
        settled: Option<Settled>,
        /// What it was until then, with what it cost: [`PaymentStatus::Succeeded`]. It may never have been told. `None`
        /// where the provider does not say.
        collected: Option<Box<PaymentStatus>>,
    },
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

impl Receipt {
    /// What the provider has for a payment in `paid`, before its fee, where it settles it in another currency.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when fee and net are more than can be counted.
    pub fn settled(&self, paid: Currency) -> Result<Option<Settled>, MoneyError> {
        if self.currency == paid {
            return Ok(None);
        }
        Ok(Some(Settled { amount: self.fee.checked_add(self.net)?, currency: self.currency }))
    }
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
        /// What it took, where that is of another currency than the refund.
        taken: Option<Settled>,
    },
    /// Refused or given back by the bank.
    Failed {
        /// The provider's code, such as `expired_or_canceled_card`.
        code: String,
        /// What came back to the provider's balance, where that is of another currency than the refund.
        came_back: Option<Settled>,
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
    /// How much of it was taken back without an order of ours; zero where nothing was.
    pub reversed_by_hand: Minor,
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
    /// As [`ProviderError::Unknown`], and the provider asks to be left alone meanwhile.
    #[error("the payment provider is not available, the outcome is unknown: {why}")]
    Unavailable {
        /// What it said.
        why: String,
        /// How long it asks to wait.
        retry_after: Duration,
    },
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

    /// The provider's id of the platform's own account: whose key it is. `None` where a provider has no such thing.
    ///
    /// # Errors
    /// [`ProviderError`].
    fn platform(&self) -> impl Future<Output = Result<Option<String>, ProviderError>> + Send {
        std::future::ready(Ok(None))
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    /// I8: two bank accounts of one payee, or two answers to one bank, are two orders: the provider would answer the second
    /// with the first, or refuse it. A refund is one, however often it is ordered.
    #[test]
    fn what_can_be_ordered_again_has_a_key_of_its_own() {
        let party_id = PartyId::from_uuid(Uuid::from_u128(1));
        let set = |token: &str| ProviderOrder::SetDestination {
            party_id,
            account: "acct_1".to_owned(),
            currency: Currency::USD,
            token: token.to_owned(),
            request: 0,
        };
        let key = |order: &ProviderOrder, id, attempt| order.idempotency_key("main", Uuid::from_u128(id), attempt);
        assert_ne!(key(&set("btok_1"), 1, 1), key(&set("btok_2"), 2, 1));
        assert_eq!(key(&set("btok_1"), 1, 1), key(&set("btok_1"), 1, 1), "sent again it is the same");
        assert_ne!(key(&set("btok_1"), 1, 1), key(&set("btok_1"), 1, 2));
        let create = ProviderOrder::CreateAccount { party_id, country: Jurisdiction::new("DE").unwrap(), request: 0 };
        assert_ne!(key(&create, 1, 1), key(&create, 2, 1), "the first account may have ended");
        let top_up_id = TopUpId::from_uuid(Uuid::from_u128(2));
        let top_up = ProviderOrder::TopUp { top_up_id, amount: Minor::MAX_INPUT, currency: Currency::USD };
        assert_eq!(key(&top_up, 1, 1), format!("main:{top_up_id}:top_up:1"), "C.3.1");
    }
}
