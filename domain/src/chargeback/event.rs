//! Facts about a chargeback.

use chrono::{NaiveDate, TimeDelta};
use ledger::{Currency, Minor, is_zero};
use serde::{Deserialize, Serialize};

use super::{Charged, EVIDENCE_LEAD_HOURS, EvidenceBundle, PaidInto};
use crate::escrow::PspPlace;
use crate::exchange::Settled;
use crate::id::{BreakId, ChargebackId, FundingId};
use crate::ports::provider::DisputeReport;
use crate::time::Timestamp;

/// How a cycle begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The chargeback.
    pub chargeback_id: ChargebackId,
    /// The provider's dispute.
    pub dispute_ref: String,
    /// Which cycle of it, from 1.
    pub cycle: u32,
    /// The provider's charge.
    pub charge_ref: String,
    /// The payment, as our books have it.
    #[serde(flatten)]
    pub charged: Charged,
    /// What the bank wants back.
    pub disputed: Minor,
    /// In which currency.
    pub disputed_currency: Currency,
    /// The provider's code of the reason.
    pub reason: String,
    /// Until when the provider takes evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_due_by: Option<Timestamp>,
    /// The provider's bookings that earlier cycles have recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
}

/// A fact about a chargeback. Every variant has the ids of chargeback, contract and funding; amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChargebackEvent {
    /// A network warned that a payment may be fraud: earnings that are not cleared yet are held when they are.
    EarlyFraudWarningReceived {
        /// The chargeback that the warning is kept as.
        chargeback_id: ChargebackId,
        /// The provider's warning.
        warning_ref: String,
        /// The payment.
        #[serde(flatten)]
        charged: Charged,
    },
    /// The bank asks. Nothing moves.
    InquiryReceived {
        /// How it begins.
        #[serde(flatten)]
        opening: Opening,
    },
    /// The bank disagrees; also when it had only asked before. The milestones that the payment is held for rest.
    Opened {
        /// How it begins.
        #[serde(flatten)]
        opening: Opening,
    },
    /// The bank took money. First half of J50, J98.
    FundsWithdrawn {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// What was taken.
        amount: Minor,
        /// What the provider took for itself, in the currency that left its balance.
        fee: Minor,
        /// Currency of `amount`; and that which left the provider's balance, where `settled` does not say another.
        currency: Currency,
        /// What left the provider's balance for it, without the fee, where it settles in another currency (J71).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Settled>,
        /// Date of the booking: the value date.
        booked_on: NaiveDate,
        /// From where.
        #[serde(flatten)]
        place: PspPlace,
        /// Whether all that was taken is not what the charge was, in amount or in currency.
        differs_from_charge: bool,
        /// What the escrow is to hold for it now, in the contract's currency.
        hold_for: Minor,
        /// What of it is lost at once, because the chargeback was lost before.
        #[serde(default, skip_serializing_if = "is_zero")]
        absorb: Minor,
    },
    /// The bank gave money back. First half of J51.
    FundsReinstated {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// What came back.
        amount: Minor,
        /// What the provider took for itself, in the currency that came to its balance.
        #[serde(default, skip_serializing_if = "is_zero")]
        fee: Minor,
        /// What came back beyond what was out: an unallocated receipt.
        #[serde(default, skip_serializing_if = "is_zero")]
        unexpected: Minor,
        /// The difference to be explained, when something unexpected came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        break_id: Option<BreakId>,
        /// Currency of the amounts; and that which came to the provider's balance, where `settled` does not say another.
        currency: Currency,
        /// What came to the provider's balance, before the fee, where it settles in another currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Settled>,
        /// Date of the booking: the value date.
        booked_on: NaiveDate,
        /// To where.
        #[serde(flatten)]
        place: PspPlace,
        /// What the escrow is to hold for it now, in the contract's currency.
        hold_for: Minor,
    },
    /// The provider gave a fee back. J57.
    DisputeFeeReturned {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Date of the booking: the value date.
        booked_on: NaiveDate,
        /// To where.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// It is time to answer the bank: whoever reads the log draws the evidence up and submits it.
    EvidenceDue {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// Until when the provider takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_by: Option<Timestamp>,
    },
    /// Staff has written what is to be said beside what the log proves. The words are stored apart.
    EvidenceDrafted {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// SHA-256 (hex) of them, with a salt: what they are found by.
        statement: String,
    },
    /// The bank is answered. The order to the provider follows from this.
    EvidenceSubmitted {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// The provider's dispute.
        dispute_ref: String,
        /// What is proved.
        evidence: Box<EvidenceBundle>,
        /// SHA-256 (hex) of it.
        digest: String,
        /// SHA-256 (hex) of what staff says beside it, if anything: what it is found by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<String>,
    },
    /// The platform concedes: the bank gets no answer. The order to the provider follows from this; what is lost by it is
    /// lost when the provider says so.
    Accepted {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// The provider's dispute.
        dispute_ref: String,
    },
    /// The bank has the answer.
    ReviewStarted {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
    },
    /// The bank asks no more.
    InquiryClosed {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
    },
    /// Decided for us, and the money is back: everything goes on.
    Won {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
    },
    /// Decided for the client. Who bears it follows in the same commit.
    Lost {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// What is lost, in the contract's currency; what is told to be taken later is lost then.
        amount: Minor,
        /// The contract's currency.
        currency: Currency,
        /// Whether an operator has to settle it, because money of another currency is out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        for_operator: bool,
    },
    /// What of a loss neither escrow nor payee bear. J55.
    LossAbsorbed {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
    },
    /// The bank takes the money again, of a dispute that was over. The next cycle begins in the same commit.
    SecondPresentment {
        /// This chargeback.
        chargeback_id: ChargebackId,
        /// How the next one begins.
        opening: Box<Opening>,
        /// What the provider said.
        report: Box<DisputeReport>,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// Its contract, or the wallet that was topped up.
        #[serde(flatten)]
        paid_into: PaidInto,
        /// The payment.
        funding_id: FundingId,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl ChargebackEvent {
    /// The contract that it is about.
    pub fn paid_into(&self) -> PaidInto {
        match self {
            Self::EarlyFraudWarningReceived { charged, .. } => charged.paid_into,
            Self::InquiryReceived { opening } | Self::Opened { opening } => opening.charged.paid_into,
            Self::SecondPresentment { opening, .. } => opening.charged.paid_into,
            Self::FundsWithdrawn { paid_into, .. }
            | Self::FundsReinstated { paid_into, .. }
            | Self::DisputeFeeReturned { paid_into, .. }
            | Self::EvidenceDue { paid_into, .. }
            | Self::EvidenceDrafted { paid_into, .. }
            | Self::EvidenceSubmitted { paid_into, .. }
            | Self::Accepted { paid_into, .. }
            | Self::ReviewStarted { paid_into, .. }
            | Self::InquiryClosed { paid_into, .. }
            | Self::Won { paid_into, .. }
            | Self::Lost { paid_into, .. }
            | Self::LossAbsorbed { paid_into, .. }
            | Self::TimerBlocked { paid_into, .. } => *paid_into,
        }
    }

    /// When evidence is to be submitted, if this says so.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::InquiryReceived { opening } | Self::Opened { opening } => {
                opening.evidence_due_by?.checked_sub_signed(TimeDelta::hours(EVIDENCE_LEAD_HOURS))
            }
            _ => None,
        }
    }
}
