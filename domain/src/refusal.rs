//! Every way in which the rules say no, and the stable code of each.
//!
//! # Invariants
//! - A refusal is never an I/O failure, and nothing was written because of it.
//! - Codes are stable: clients branch on them. The text may change.

use ledger::{Currency, Minor};

use crate::id::{ChargebackId, DisputeId};
use crate::time::Timestamp;

/// A rule said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller has no part in the thing named. Shown as not found, so that nobody learns that it exists.
    #[error("the caller is not a party")]
    NotAParty,
    /// The thing named does not exist.
    #[error("there is no such {what}")]
    NotFound {
        /// Which kind of thing.
        what: &'static str,
    },
    /// The caller is a party, but this is for somebody else to do.
    #[error("only the {who} may {action}")]
    Forbidden {
        /// Who may.
        who: &'static str,
        /// What was asked.
        action: &'static str,
    },
    /// The input breaks a rule that its type alone does not show.
    #[error("{message}")]
    Invalid {
        /// JSON pointer (RFC 6901) into the request's body.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// The contract is in a state in which this cannot be done.
    #[error("a contract that is {state} cannot be {action}")]
    ContractWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// The offer ran out before it was accepted.
    #[error("the offer expired at {expired_at}")]
    OfferExpired {
        /// When.
        expired_at: Timestamp,
    },
    /// The milestone is in a state in which this cannot be done.
    #[error("a milestone that is {state} cannot be {action}")]
    MilestoneWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// Nothing is held for the milestone yet.
    #[error("the milestone is not funded")]
    MilestoneNotFunded,
    /// The milestone was approved earlier; an approval cannot be repeated or undone.
    #[error("the milestone is already approved")]
    MilestoneAlreadyApproved,
    /// The parties disagree about the milestone: nothing moves until that is settled.
    #[error("the milestone is in dispute {dispute_id}")]
    MilestoneDisputed {
        /// Which dispute.
        dispute_id: DisputeId,
    },
    /// The review window had closed, and with it the milestone was approved, before changes were requested.
    #[error("the review window has closed")]
    ReviewWindowClosed,
    /// A payment is under way: what it leads to is not known yet.
    #[error("a payment is under way")]
    PaymentUnderWay,
    /// Another amendment waits for an answer.
    #[error("another amendment waits for an answer")]
    AmendmentPending,
    /// A rule of the specification that this version does not have.
    #[error("this version has no {what}")]
    NotSupported {
        /// What is missing.
        what: &'static str,
    },
    /// More was asked than is held.
    #[error("only {held} minor units are held")]
    ExceedsHeld {
        /// What is held.
        held: Minor,
    },
    /// The payee would give back more than was released.
    #[error("only {released} minor units were released and not given back")]
    ExceedsReleased {
        /// What could still be given back, gross.
        released: Minor,
    },
    /// Staff has stopped everything: nothing leaves the escrow.
    #[error("the escrow is frozen")]
    EscrowFrozen,
    /// There is nothing to be unfrozen.
    #[error("the escrow is not frozen")]
    EscrowNotFrozen,
    /// Both parties have to agree to this.
    #[error("the consent of both parties is needed")]
    ConsentRequired,
    /// The contract ended too long ago for a bonus or a tip.
    #[error("bonuses and tips were possible until {closed_at}")]
    BonusWindowClosed {
        /// When the window closed.
        closed_at: Timestamp,
    },
    /// The money was released too long ago for the payee to give it back.
    #[error("money of the milestone could be given back until {closed_at}")]
    PayeeRefundWindowClosed {
        /// When the window closed.
        closed_at: Timestamp,
    },
    /// The client's wallet holds less.
    #[error("the wallet holds {balance} minor units")]
    InsufficientWalletBalance {
        /// What it holds.
        balance: Minor,
    },
    /// The payee owes the platform money from before, which earnings pay off first.
    #[error("the payee owes {debt} minor units")]
    PayeeInDebt {
        /// How much.
        debt: Minor,
    },
    /// A refund is in a state in which this cannot be done.
    #[error("a refund that is {state} cannot be {action}")]
    RefundWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// The provider refused a refund for a reason that does not say that the money is still here.
    #[error("the provider refused this refund ({reason}): whether the money is still here has to be found out first")]
    RefundNotRedirectable {
        /// The provider's code.
        reason: String,
    },
    /// A payment is in a state in which this cannot be done.
    #[error("a funding that is {state} cannot be {action}")]
    FundingWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// More was asked than can be withdrawn.
    #[error("only {available} minor units are available")]
    InsufficientAvailable {
        /// What can be withdrawn now.
        available: Minor,
    },
    /// The payee has no account at the payment provider.
    #[error("the payee has no payout account")]
    PayoutAccountRequired,
    /// The amount is in another currency than the thing that it is for.
    #[error("expected {expected}, received {received}")]
    CurrencyMismatch {
        /// The currency of the contract or account.
        expected: Currency,
        /// The currency of the request.
        received: Currency,
    },
    /// The amount, alone or with its fees, is larger than the engine handles.
    #[error("an amount may be at most {max} minor units")]
    AmountTooLarge {
        /// The largest amount.
        max: Minor,
    },
    /// A client's bank disagrees with the payment: nothing of it moves until that is decided.
    #[error("the payment is in chargeback {chargeback_id}")]
    ChargeDisputed {
        /// Which chargeback.
        chargeback_id: ChargebackId,
    },
    /// A chargeback is in a state in which this cannot be done.
    #[error("a chargeback that is {state} cannot be {action}")]
    ChargebackWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// Somebody has changed the thing since the version that the caller knows.
    #[error("the version is {current}")]
    VersionMismatch {
        /// Version now.
        current: u64,
        /// Version that the caller gave.
        given: u64,
    },
    /// The payee has an account at the payment provider already, or one is being made.
    #[error("the payee has a payout account")]
    PayoutAccountExists,
    /// The party is not paid at present.
    #[error("the party is restricted: {reason}")]
    PartyRestricted {
        /// Why: `sanctions`, `requirements`, `rejected` or `staff`.
        reason: &'static str,
    },
    /// There is nothing to be lifted.
    #[error("the party is not restricted")]
    NotRestricted,
    /// Where the money would go has changed a short time ago.
    #[error("the payout destination has changed; it is used from {available_at}")]
    DestinationCooling {
        /// From when.
        available_at: Timestamp,
    },
    /// The bank account did not take a payout: another one is needed.
    #[error("the bank account does not take payouts ({code}); add another one")]
    DestinationBlocked {
        /// The provider's code.
        code: String,
    },
    /// The payee has bank accounts, and none for this currency.
    #[error("there is no bank account for {currency}; add one")]
    DestinationRequired {
        /// For which.
        currency: Currency,
    },
    /// The payout goes through an account at the provider that the payee has replaced.
    #[error("another payout account is linked meanwhile")]
    PayoutAccountChanged,
    /// The payee's account at the provider is below zero: what goes there is lost for the payout.
    #[error("{shortfall} minor units are missing in the payee's account at the provider")]
    NegativePspBalance {
        /// How much is missing.
        shortfall: Minor,
    },
    /// Less than this is not paid out.
    #[error("at least {minimum} minor units are paid out")]
    BelowMinimum {
        /// The least payout.
        minimum: Minor,
    },
    /// A payout is in a state in which this cannot be done.
    #[error("a payout that is {state} cannot be {action}")]
    PayoutWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// Whoever proposed it cannot approve it.
    #[error("somebody else has to approve it")]
    FourEyesViolation,
    /// An approval request is in a state in which this cannot be done.
    #[error("an approval request that is {state} cannot be {action}")]
    ApprovalWrongState {
        /// What was asked, as a participle.
        action: &'static str,
        /// The state it is in.
        state: &'static str,
    },
    /// More would leave than belongs to the platform.
    #[error("only {surplus} minor units are the platform's own to take")]
    ExceedsSurplus {
        /// How much could be taken.
        surplus: Minor,
    },
    /// Arithmetic left its range although the input was checked, or reactions did not come to rest: a defect of ours.
    #[error("the engine could not decide: {0}")]
    Defect(String),
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAParty | Self::NotFound { .. } => "not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::Invalid { .. } => "validation_failed",
            Self::ContractWrongState { .. } => "contract_wrong_state",
            Self::OfferExpired { .. } => "offer_expired",
            Self::MilestoneWrongState { .. } => "milestone_wrong_state",
            Self::MilestoneNotFunded => "milestone_not_funded",
            Self::MilestoneAlreadyApproved => "milestone_already_approved",
            Self::MilestoneDisputed { .. } => "milestone_disputed",
            Self::ReviewWindowClosed => "review_window_closed",
            Self::PaymentUnderWay => "payment_under_way",
            Self::AmendmentPending => "amendment_pending",
            Self::NotSupported { .. } => "not_supported",
            Self::ExceedsHeld { .. } => "exceeds_held",
            Self::ExceedsReleased { .. } => "exceeds_released",
            Self::EscrowFrozen => "escrow_frozen",
            Self::EscrowNotFrozen => "escrow_not_frozen",
            Self::ConsentRequired => "consent_required",
            Self::BonusWindowClosed { .. } => "bonus_window_closed",
            Self::PayeeRefundWindowClosed { .. } => "payee_refund_window_closed",
            Self::InsufficientWalletBalance { .. } => "insufficient_wallet_balance",
            Self::PayeeInDebt { .. } => "payee_in_debt",
            Self::RefundWrongState { .. } => "refund_wrong_state",
            Self::RefundNotRedirectable { .. } => "refund_not_redirectable",
            Self::FundingWrongState { .. } => "funding_wrong_state",
            Self::InsufficientAvailable { .. } => "insufficient_available",
            Self::PayoutAccountRequired => "payout_account_required",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::AmountTooLarge { .. } => "amount_too_large",
            Self::ChargeDisputed { .. } => "charge_disputed",
            Self::ChargebackWrongState { .. } => "chargeback_wrong_state",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::PayoutAccountExists => "payout_account_exists",
            Self::PartyRestricted { .. } => "party_restricted",
            Self::NotRestricted => "not_restricted",
            Self::DestinationCooling { .. } => "destination_cooling",
            Self::DestinationBlocked { .. } => "destination_blocked",
            Self::DestinationRequired { .. } => "destination_required",
            Self::PayoutAccountChanged => "payout_account_changed",
            Self::NegativePspBalance { .. } => "negative_psp_balance",
            Self::BelowMinimum { .. } => "below_minimum",
            Self::PayoutWrongState { .. } => "payout_wrong_state",
            Self::FourEyesViolation => "four_eyes_violation",
            Self::ApprovalWrongState { .. } => "approval_wrong_state",
            Self::ExceedsSurplus { .. } => "exceeds_platform_surplus",
            Self::Defect(_) => "internal_error",
        }
    }

    /// A refusal of the field at `pointer`.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { pointer: pointer.into(), message: message.into() }
    }

    /// The same of a thing that stands at `place` in a larger one: its pointers start there. Other refusals stay.
    #[must_use]
    pub fn inside(self, place: &str) -> Self {
        match self {
            Self::Invalid { pointer, message } => Self::Invalid { pointer: format!("{place}{pointer}"), message },
            other => other,
        }
    }
}

impl From<ledger::MoneyError> for Refusal {
    fn from(error: ledger::MoneyError) -> Self {
        Self::Defect(error.to_string())
    }
}
