//! Events of all aggregates: their names on the wire, their versions, their journal entries.
//!
//! # Invariants
//! - A stored shape never changes: a new meaning is a new version, and [`upcast`] reads the old one.
//! - The type of an event is `{aggregate}.{variant}`; [`EVENT_TYPES`] is the one list of them.
//! - The journal entry is a function of the event alone.

use std::borrow::Cow;

use chrono::NaiveDate;
use ledger::{EntryError, JournalEntry};

use crate::contract::{self, ContractEvent};
use crate::escrow::{self, EscrowEvent};
use crate::funding::{self, FundingEvent};
use crate::id::ContractId;
use crate::milestone::{self, MilestoneEvent};
use crate::party::{self, PartyEvent};
use crate::payee::{self, PayeeEvent};
use crate::payout::{self, PayoutEvent};
use crate::refund::{self, RefundEvent};
use crate::wallet::{self, WalletEvent};

/// An event of any aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum DomainEvent {
    /// Of a party.
    Party(PartyEvent),
    /// Of a contract.
    Contract(ContractEvent),
    /// Of a milestone.
    Milestone(MilestoneEvent),
    /// Of an escrow.
    Escrow(EscrowEvent),
    /// Of a funding.
    Funding(FundingEvent),
    /// Of a payee account.
    Payee(PayeeEvent),
    /// Of a payout.
    Payout(PayoutEvent),
    /// Of a refund.
    Refund(RefundEvent),
    /// Of a client's wallet.
    Wallet(WalletEvent),
}

/// A kind of event, as the documentation and `GET /v1/meta` list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// Dotted name.
    pub name: &'static str,
    /// Version that is written now.
    pub version: u16,
    /// Whether it carries a journal entry (unless its amount is zero).
    pub financial: bool,
}

const fn plain(name: &'static str) -> EventType {
    EventType { name, version: 1, financial: false }
}

const fn financial(name: &'static str) -> EventType {
    EventType { name, version: 1, financial: true }
}

/// Every kind of event that this version writes.
pub const EVENT_TYPES: &[EventType] = &[
    plain("party.registered"),
    plain("party.psp_account_linked"),
    plain("contract.drafted"),
    plain("contract.offered"),
    plain("contract.countered"),
    plain("contract.accepted"),
    plain("contract.declined"),
    plain("contract.offer_withdrawn"),
    plain("contract.offer_expired"),
    plain("contract.activated"),
    plain("contract.cancelled"),
    plain("contract.deadline_extended"),
    plain("contract.amendment_proposed"),
    plain("contract.amendment_accepted"),
    plain("contract.amendment_rejected"),
    plain("contract.paused"),
    plain("contract.resumed"),
    plain("contract.end_requested"),
    plain("contract.end_agreed"),
    plain("contract.dormancy_warned"),
    plain("contract.dormancy_postponed"),
    plain("contract.marked_dormant"),
    plain("contract.dormancy_escalated_to_payee"),
    plain("contract.dormancy_release_requested"),
    plain("contract.dormancy_defaulted"),
    plain("contract.reactivated"),
    plain("contract.milestone_closed"),
    plain("contract.completed"),
    plain("contract.timer_blocked"),
    plain("milestone.planned"),
    plain("milestone.amended"),
    plain("milestone.funding_requested"),
    plain("milestone.funded"),
    plain("milestone.funding_failed"),
    plain("milestone.cancelled"),
    plain("milestone.work_submitted"),
    plain("milestone.submission_withdrawn"),
    plain("milestone.changes_requested"),
    plain("milestone.approved"),
    plain("milestone.partially_approved"),
    plain("milestone.auto_approved"),
    plain("milestone.released"),
    plain("milestone.roll_forward_accepted"),
    plain("milestone.roll_forward_rejected"),
    plain("milestone.moved_out"),
    plain("milestone.moved_in"),
    plain("milestone.refund_requested"),
    plain("milestone.refund_agreed"),
    plain("milestone.refund_rejected"),
    plain("milestone.refunded"),
    plain("milestone.hold_limit_passed"),
    plain("milestone.disputed"),
    plain("milestone.dispute_withdrawn"),
    plain("milestone.timer_blocked"),
    plain("escrow.opened"),
    plain("escrow.funding_requested"),
    financial("escrow.funded"),
    plain("escrow.wallet_funding_noted"),
    plain("escrow.funding_rejected"),
    financial("escrow.released"),
    financial("escrow.refund_initiated"),
    financial("escrow.funds_reallocated"),
    financial("escrow.fees_reallocated"),
    financial("escrow.dispute_hold_placed"),
    financial("escrow.dispute_hold_lifted"),
    plain("escrow.frozen"),
    plain("escrow.unfrozen"),
    plain("escrow.hold_limit_warned"),
    plain("escrow.hold_limit_reached"),
    plain("escrow.release_returned"),
    plain("escrow.gratuity_requested"),
    plain("escrow.closed"),
    plain("escrow.timer_blocked"),
    plain("funding.created"),
    plain("funding.psp_intent_linked"),
    plain("funding.action_required"),
    plain("funding.processing"),
    plain("funding.failed"),
    plain("funding.succeeded"),
    plain("funding.cancelled"),
    plain("funding.expired"),
    plain("funding.timer_blocked"),
    financial("funding.succeeded_after_cancel"),
    financial("funding.receipt_suspended"),
    financial("funding.psp_fee_recorded"),
    financial("funding.psp_funds_became_available"),
    plain("payee.earnings_credited"),
    financial("payee.earnings_cleared"),
    financial("payee.earnings_held"),
    financial("payee.earnings_hold_released"),
    financial("payee.payee_refund_granted"),
    plain("payee.debt_recorded"),
    plain("payee.debt_recovered"),
    financial("payee.bonus_paid"),
    financial("payee.tip_paid"),
    financial("payee.payout_reserved"),
    plain("payee.payout_paid_noted"),
    plain("payee.payout_failed_noted"),
    plain("payee.timer_blocked"),
    plain("payout.requested"),
    financial("payout.transfer_completed"),
    plain("payout.submitted"),
    financial("payout.paid"),
    financial("payout.failed"),
    financial("payout.returned"),
    plain("refund.requested"),
    plain("refund.funding_required"),
    plain("refund.submitted"),
    financial("refund.succeeded"),
    financial("refund.failed"),
    plain("refund.manual_required"),
    financial("refund.redirected"),
    financial("refund.cancelled"),
    financial("wallet.topped_up"),
    plain("wallet.credited"),
    financial("wallet.paid_escrow"),
    financial("wallet.withdrawn"),
];

/// An event as text cannot be an event of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No aggregate of ours has this name.
    #[error("no aggregate is called {0:?}")]
    UnknownAggregate(String),
    /// Written by a newer version of the engine.
    #[error("{event_type} has version {version}, which this engine does not know")]
    UnknownVersion {
        /// The type.
        event_type: String,
        /// Its version.
        version: u16,
    },
    /// The payload is not of the shape that type and version say.
    #[error("the payload of {event_type} cannot be read: {message}")]
    Malformed {
        /// The type.
        event_type: String,
        /// Why.
        message: String,
    },
}

impl DomainEvent {
    /// The dotted name.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Party(event) => match event {
                PartyEvent::Registered { .. } => "party.registered",
                PartyEvent::PspAccountLinked { .. } => "party.psp_account_linked",
            },
            Self::Contract(event) => match event {
                ContractEvent::Drafted { .. } => "contract.drafted",
                ContractEvent::Offered { .. } => "contract.offered",
                ContractEvent::Countered { .. } => "contract.countered",
                ContractEvent::Accepted { .. } => "contract.accepted",
                ContractEvent::Declined { .. } => "contract.declined",
                ContractEvent::OfferWithdrawn { .. } => "contract.offer_withdrawn",
                ContractEvent::OfferExpired { .. } => "contract.offer_expired",
                ContractEvent::Activated { .. } => "contract.activated",
                ContractEvent::Cancelled { .. } => "contract.cancelled",
                ContractEvent::DeadlineExtended { .. } => "contract.deadline_extended",
                ContractEvent::AmendmentProposed { .. } => "contract.amendment_proposed",
                ContractEvent::AmendmentAccepted { .. } => "contract.amendment_accepted",
                ContractEvent::AmendmentRejected { .. } => "contract.amendment_rejected",
                ContractEvent::Paused { .. } => "contract.paused",
                ContractEvent::Resumed { .. } => "contract.resumed",
                ContractEvent::EndRequested { .. } => "contract.end_requested",
                ContractEvent::EndAgreed { .. } => "contract.end_agreed",
                ContractEvent::DormancyWarned { .. } => "contract.dormancy_warned",
                ContractEvent::DormancyPostponed { .. } => "contract.dormancy_postponed",
                ContractEvent::MarkedDormant { .. } => "contract.marked_dormant",
                ContractEvent::DormancyEscalatedToPayee { .. } => "contract.dormancy_escalated_to_payee",
                ContractEvent::DormancyReleaseRequested { .. } => "contract.dormancy_release_requested",
                ContractEvent::DormancyDefaulted { .. } => "contract.dormancy_defaulted",
                ContractEvent::Reactivated { .. } => "contract.reactivated",
                ContractEvent::MilestoneClosed { .. } => "contract.milestone_closed",
                ContractEvent::Completed { .. } => "contract.completed",
                ContractEvent::TimerBlocked { .. } => "contract.timer_blocked",
            },
            Self::Milestone(event) => match event {
                MilestoneEvent::Planned { .. } => "milestone.planned",
                MilestoneEvent::Amended { .. } => "milestone.amended",
                MilestoneEvent::FundingRequested { .. } => "milestone.funding_requested",
                MilestoneEvent::Funded { .. } => "milestone.funded",
                MilestoneEvent::FundingFailed { .. } => "milestone.funding_failed",
                MilestoneEvent::Cancelled { .. } => "milestone.cancelled",
                MilestoneEvent::WorkSubmitted { .. } => "milestone.work_submitted",
                MilestoneEvent::SubmissionWithdrawn { .. } => "milestone.submission_withdrawn",
                MilestoneEvent::ChangesRequested { .. } => "milestone.changes_requested",
                MilestoneEvent::Approved { .. } => "milestone.approved",
                MilestoneEvent::PartiallyApproved { .. } => "milestone.partially_approved",
                MilestoneEvent::AutoApproved { .. } => "milestone.auto_approved",
                MilestoneEvent::Released { .. } => "milestone.released",
                MilestoneEvent::RollForwardAccepted { .. } => "milestone.roll_forward_accepted",
                MilestoneEvent::RollForwardRejected { .. } => "milestone.roll_forward_rejected",
                MilestoneEvent::MovedOut { .. } => "milestone.moved_out",
                MilestoneEvent::MovedIn { .. } => "milestone.moved_in",
                MilestoneEvent::RefundRequested { .. } => "milestone.refund_requested",
                MilestoneEvent::RefundAgreed { .. } => "milestone.refund_agreed",
                MilestoneEvent::RefundRejected { .. } => "milestone.refund_rejected",
                MilestoneEvent::Refunded { .. } => "milestone.refunded",
                MilestoneEvent::HoldLimitPassed { .. } => "milestone.hold_limit_passed",
                MilestoneEvent::Disputed { .. } => "milestone.disputed",
                MilestoneEvent::DisputeWithdrawn { .. } => "milestone.dispute_withdrawn",
                MilestoneEvent::TimerBlocked { .. } => "milestone.timer_blocked",
            },
            Self::Escrow(event) => match event {
                EscrowEvent::Opened { .. } => "escrow.opened",
                EscrowEvent::FundingRequested { .. } => "escrow.funding_requested",
                EscrowEvent::Funded { .. } => "escrow.funded",
                EscrowEvent::WalletFundingNoted { .. } => "escrow.wallet_funding_noted",
                EscrowEvent::FundingRejected { .. } => "escrow.funding_rejected",
                EscrowEvent::Released { .. } => "escrow.released",
                EscrowEvent::RefundInitiated { .. } => "escrow.refund_initiated",
                EscrowEvent::FundsReallocated { .. } => "escrow.funds_reallocated",
                EscrowEvent::FeesReallocated { .. } => "escrow.fees_reallocated",
                EscrowEvent::DisputeHoldPlaced { .. } => "escrow.dispute_hold_placed",
                EscrowEvent::DisputeHoldLifted { .. } => "escrow.dispute_hold_lifted",
                EscrowEvent::Frozen { .. } => "escrow.frozen",
                EscrowEvent::Unfrozen { .. } => "escrow.unfrozen",
                EscrowEvent::HoldLimitWarned { .. } => "escrow.hold_limit_warned",
                EscrowEvent::HoldLimitReached { .. } => "escrow.hold_limit_reached",
                EscrowEvent::ReleaseReturned { .. } => "escrow.release_returned",
                EscrowEvent::GratuityRequested { .. } => "escrow.gratuity_requested",
                EscrowEvent::Closed { .. } => "escrow.closed",
                EscrowEvent::TimerBlocked { .. } => "escrow.timer_blocked",
            },
            Self::Funding(event) => match event {
                FundingEvent::Created { .. } => "funding.created",
                FundingEvent::PspIntentLinked { .. } => "funding.psp_intent_linked",
                FundingEvent::ActionRequired { .. } => "funding.action_required",
                FundingEvent::Processing { .. } => "funding.processing",
                FundingEvent::Failed { .. } => "funding.failed",
                FundingEvent::Succeeded { .. } => "funding.succeeded",
                FundingEvent::Cancelled { .. } => "funding.cancelled",
                FundingEvent::Expired { .. } => "funding.expired",
                FundingEvent::TimerBlocked { .. } => "funding.timer_blocked",
                FundingEvent::SucceededAfterCancel { .. } => "funding.succeeded_after_cancel",
                FundingEvent::ReceiptSuspended { .. } => "funding.receipt_suspended",
                FundingEvent::PspFeeRecorded { .. } => "funding.psp_fee_recorded",
                FundingEvent::PspFundsBecameAvailable { .. } => "funding.psp_funds_became_available",
            },
            Self::Payee(event) => match event {
                PayeeEvent::EarningsCredited { .. } => "payee.earnings_credited",
                PayeeEvent::EarningsCleared { .. } => "payee.earnings_cleared",
                PayeeEvent::EarningsHeld { .. } => "payee.earnings_held",
                PayeeEvent::EarningsHoldReleased { .. } => "payee.earnings_hold_released",
                PayeeEvent::PayeeRefundGranted { .. } => "payee.payee_refund_granted",
                PayeeEvent::DebtRecorded { .. } => "payee.debt_recorded",
                PayeeEvent::DebtRecovered { .. } => "payee.debt_recovered",
                PayeeEvent::BonusPaid { .. } => "payee.bonus_paid",
                PayeeEvent::TipPaid { .. } => "payee.tip_paid",
                PayeeEvent::PayoutReserved { .. } => "payee.payout_reserved",
                PayeeEvent::PayoutPaidNoted { .. } => "payee.payout_paid_noted",
                PayeeEvent::PayoutFailedNoted { .. } => "payee.payout_failed_noted",
                PayeeEvent::TimerBlocked { .. } => "payee.timer_blocked",
            },
            Self::Payout(event) => match event {
                PayoutEvent::Requested { .. } => "payout.requested",
                PayoutEvent::TransferCompleted { .. } => "payout.transfer_completed",
                PayoutEvent::Submitted { .. } => "payout.submitted",
                PayoutEvent::Paid { .. } => "payout.paid",
                PayoutEvent::Failed { .. } => "payout.failed",
                PayoutEvent::Returned { .. } => "payout.returned",
            },
            Self::Refund(event) => match event {
                RefundEvent::Requested { .. } => "refund.requested",
                RefundEvent::FundingRequired { .. } => "refund.funding_required",
                RefundEvent::Submitted { .. } => "refund.submitted",
                RefundEvent::Succeeded { .. } => "refund.succeeded",
                RefundEvent::Failed { .. } => "refund.failed",
                RefundEvent::ManualRequired { .. } => "refund.manual_required",
                RefundEvent::Redirected { .. } => "refund.redirected",
                RefundEvent::Cancelled { .. } => "refund.cancelled",
            },
            Self::Wallet(event) => match event {
                WalletEvent::ToppedUp { .. } => "wallet.topped_up",
                WalletEvent::Credited { .. } => "wallet.credited",
                WalletEvent::PaidEscrow { .. } => "wallet.paid_escrow",
                WalletEvent::Withdrawn { .. } => "wallet.withdrawn",
            },
        }
    }

    /// The version of the shape that [`DomainEvent::to_json`] writes.
    pub fn version(&self) -> u16 {
        1
    }

    /// The event as JSON text, internally tagged by its variant.
    ///
    /// # Errors
    /// [`EventError::Malformed`] if a value cannot be written, which no value of ours does.
    pub fn to_json(&self) -> Result<String, EventError> {
        let text = match self {
            Self::Party(event) => serde_json::to_string(event),
            Self::Contract(event) => serde_json::to_string(event),
            Self::Milestone(event) => serde_json::to_string(event),
            Self::Escrow(event) => serde_json::to_string(event),
            Self::Funding(event) => serde_json::to_string(event),
            Self::Payee(event) => serde_json::to_string(event),
            Self::Payout(event) => serde_json::to_string(event),
            Self::Refund(event) => serde_json::to_string(event),
            Self::Wallet(event) => serde_json::to_string(event),
        };
        text.map_err(|error| EventError::Malformed {
            event_type: self.event_type().to_owned(),
            message: error.to_string(),
        })
    }

    /// Reads an event of the named aggregate.
    ///
    /// # Errors
    /// [`EventError`] when it is not an event that this engine knows.
    pub fn from_json(aggregate_type: &str, event_type: &str, version: u16, payload: &str) -> Result<Self, EventError> {
        let payload = upcast(event_type, version, payload)?;
        let malformed = |error: serde_json::Error| EventError::Malformed {
            event_type: event_type.to_owned(),
            message: error.to_string(),
        };
        let text = payload.as_ref();
        match aggregate_type {
            party::TYPE => serde_json::from_str(text).map(Self::Party),
            contract::TYPE => serde_json::from_str(text).map(Self::Contract),
            milestone::TYPE => serde_json::from_str(text).map(Self::Milestone),
            escrow::TYPE => serde_json::from_str(text).map(Self::Escrow),
            funding::TYPE => serde_json::from_str(text).map(Self::Funding),
            payee::TYPE => serde_json::from_str(text).map(Self::Payee),
            payout::TYPE => serde_json::from_str(text).map(Self::Payout),
            refund::TYPE => serde_json::from_str(text).map(Self::Refund),
            wallet::TYPE => serde_json::from_str(text).map(Self::Wallet),
            other => return Err(EventError::UnknownAggregate(other.to_owned())),
        }
        .map_err(malformed)
    }

    /// The journal entry that it carries; `None` when no money moves.
    ///
    /// # Errors
    /// [`EntryError`] when its amounts do not add up: a defect, the event must not be written.
    pub fn journal_entry(&self, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
        match self {
            Self::Party(_) | Self::Contract(_) | Self::Milestone(_) => Ok(None),
            Self::Escrow(event) => escrow::posting_rules::journal_entry(event, value_date),
            Self::Funding(event) => funding::posting_rules::journal_entry(event, value_date),
            Self::Payee(event) => payee::posting_rules::journal_entry(event, value_date),
            Self::Payout(event) => payout::posting_rules::journal_entry(event, value_date),
            Self::Refund(event) => refund::posting_rules::journal_entry(event, value_date),
            Self::Wallet(event) => wallet::posting_rules::journal_entry(event, value_date),
        }
    }

    /// The contract that it is about, if one.
    pub fn contract_id(&self) -> Option<ContractId> {
        match self {
            Self::Party(_) | Self::Payout(_) => None,
            Self::Contract(event) => Some(event.contract_id()),
            Self::Milestone(event) => Some(event.contract_id()),
            Self::Escrow(event) => Some(match event {
                EscrowEvent::Opened { contract_id, .. }
                | EscrowEvent::FundingRequested { contract_id, .. }
                | EscrowEvent::Funded { contract_id, .. }
                | EscrowEvent::WalletFundingNoted { contract_id, .. }
                | EscrowEvent::FundingRejected { contract_id, .. }
                | EscrowEvent::Released { contract_id, .. }
                | EscrowEvent::RefundInitiated { contract_id, .. }
                | EscrowEvent::FundsReallocated { contract_id, .. }
                | EscrowEvent::FeesReallocated { contract_id, .. }
                | EscrowEvent::DisputeHoldPlaced { contract_id, .. }
                | EscrowEvent::DisputeHoldLifted { contract_id, .. }
                | EscrowEvent::Frozen { contract_id, .. }
                | EscrowEvent::Unfrozen { contract_id, .. }
                | EscrowEvent::HoldLimitWarned { contract_id, .. }
                | EscrowEvent::HoldLimitReached { contract_id, .. }
                | EscrowEvent::ReleaseReturned { contract_id, .. }
                | EscrowEvent::GratuityRequested { contract_id, .. }
                | EscrowEvent::Closed { contract_id, .. }
                | EscrowEvent::TimerBlocked { contract_id, .. } => *contract_id,
            }),
            Self::Funding(event) => Some(match event {
                FundingEvent::Created { order } => order.contract_id,
                FundingEvent::PspIntentLinked { contract_id, .. }
                | FundingEvent::ActionRequired { contract_id, .. }
                | FundingEvent::Processing { contract_id, .. }
                | FundingEvent::Failed { contract_id, .. }
                | FundingEvent::Succeeded { contract_id, .. }
                | FundingEvent::Cancelled { contract_id, .. }
                | FundingEvent::Expired { contract_id, .. }
                | FundingEvent::TimerBlocked { contract_id, .. }
                | FundingEvent::SucceededAfterCancel { contract_id, .. }
                | FundingEvent::ReceiptSuspended { contract_id, .. }
                | FundingEvent::PspFeeRecorded { contract_id, .. }
                | FundingEvent::PspFundsBecameAvailable { contract_id, .. } => *contract_id,
            }),
            Self::Payee(
                PayeeEvent::EarningsCredited { contract_id, .. }
                | PayeeEvent::EarningsCleared { contract_id, .. }
                | PayeeEvent::PayeeRefundGranted { contract_id, .. },
            )
            | Self::Wallet(WalletEvent::PaidEscrow { contract_id, .. }) => Some(*contract_id),
            Self::Payee(PayeeEvent::BonusPaid { paid } | PayeeEvent::TipPaid { paid }) => Some(paid.contract_id),
            Self::Refund(RefundEvent::Requested { order }) => order.contract_id,
            Self::Payee(_) | Self::Refund(_) | Self::Wallet(_) => None,
        }
    }
}

/// Brings the payload of an older version to the shape read now.
///
/// # Errors
/// [`EventError::UnknownVersion`] when it is not a version that was ever written.
pub fn upcast<'a>(event_type: &str, version: u16, payload: &'a str) -> Result<Cow<'a, str>, EventError> {
    match version {
        // Every type is at its first version so far.
        1 => Ok(Cow::Borrowed(payload)),
        version => Err(EventError::UnknownVersion { event_type: event_type.to_owned(), version }),
    }
}
