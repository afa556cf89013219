//! Events of all aggregates: their names on the wire, their versions, their journal entries.
//!
//! # Invariants
//! - A stored shape never changes: a new meaning is a new version, and [`crate::upcast`] reads the old one.
//! - The type of an event is `{aggregate}.{variant}`; [`EVENT_TYPES`] is the one list of them.
//! - The journal entry is a function of the event alone.

use chrono::NaiveDate;
use ledger::{EntryError, JournalEntry};

use crate::approval::{self, ApprovalEvent};
use crate::chargeback::{self, ChargebackEvent};
use crate::contract::{self, ContractEvent};
use crate::escrow::{self, EscrowEvent};
use crate::funding::{self, FundingEvent};
use crate::id::ContractId;
use crate::milestone::{self, MilestoneEvent};
use crate::pair::{self, PairEvent};
use crate::party::{self, PartyEvent};
use crate::payee::{self, PayeeEvent};
use crate::payout::{self, PayoutEvent};
use crate::refund::{self, RefundEvent};
use crate::subject::{self, SubjectEvent};
use crate::treasury::{self, TreasuryEvent};
use crate::upcast::{current_version, upcast};
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
    /// Of a chargeback.
    Chargeback(ChargebackEvent),
    /// Of a treasury.
    Treasury(TreasuryEvent),
    /// Of what a client and a payee have billed together.
    Pair(PairEvent),
    /// Of an approval request.
    Approval(ApprovalEvent),
    /// Of a person whose data is kept.
    Subject(SubjectEvent),
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

impl EventType {
    /// At a version above the first.
    const fn at(self, version: u16) -> Self {
        Self { version, ..self }
    }
}

const fn financial(name: &'static str) -> EventType {
    EventType { name, version: 1, financial: true }
}

/// Every kind of event that this version writes.
pub const EVENT_TYPES: &[EventType] = &[
    plain("party.registered"),
    plain("party.psp_account_linked"),
    plain("contract.drafted"),
    plain("contract.offered").at(2),
    plain("contract.countered"),
    plain("contract.accepted").at(2),
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
    plain("milestone.deadline_moved"),
    plain("milestone.timer_blocked"),
    plain("milestone.suspended"),
    plain("milestone.resumed"),
    plain("milestone.end_deferred"),
    plain("milestone.funding_lost"),
    plain("escrow.opened").at(2),
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
    plain("escrow.charge_disputed"),
    financial("escrow.chargeback_held"),
    financial("escrow.chargeback_released"),
    financial("escrow.chargeback_absorbed"),
    plain("escrow.charge_cleared"),
    financial("escrow.funding_returned"),
    financial("escrow.late_return_settled"),
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
    financial("funding.returned"),
    financial("funding.late_return_recorded"),
    financial("funding.exchanged"),
    plain("funding.refund_exchanged"),
    plain("funding.chargeback_exchanged"),
    financial("funding.fx_result_realised"),
    plain("payee.earnings_credited"),
    financial("payee.earnings_cleared"),
    financial("payee.earnings_held"),
    financial("payee.earnings_hold_released"),
    financial("payee.payee_refund_granted"),
    plain("payee.debt_recorded"),
    financial("payee.debt_recovered"),
    financial("payee.bonus_paid"),
    financial("payee.tip_paid"),
    financial("payee.payout_reserved"),
    plain("payee.payout_paid_noted"),
    plain("payee.payout_failed_noted"),
    plain("payee.late_transfer_noted"),
    plain("payee.timer_blocked"),
    financial("payee.chargeback_loss_charged"),
    plain("payee.clearance_hold_placed"),
    financial("payee.debt_written_off"),
    plain("payout.requested"),
    financial("payout.transfer_completed"),
    financial("payout.late_transfer_recorded"),
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
    financial("refund.debit_suspended"),
    financial("refund.cancelled"),
    financial("wallet.topped_up"),
    financial("wallet.top_up_returned"),
    plain("wallet.chargeback_held"),
    financial("wallet.chargeback_absorbed"),
    financial("wallet.refund_reclaimed"),
    plain("wallet.credited"),
    financial("wallet.paid_escrow"),
    financial("wallet.withdrawn"),
    plain("chargeback.early_fraud_warning_received"),
    plain("chargeback.inquiry_received"),
    plain("chargeback.opened"),
    financial("chargeback.funds_withdrawn"),
    financial("chargeback.funds_reinstated"),
    financial("chargeback.dispute_fee_returned"),
    plain("chargeback.evidence_due"),
    plain("chargeback.evidence_drafted"),
    plain("chargeback.evidence_submitted"),
    plain("chargeback.accepted"),
    plain("chargeback.review_started"),
    plain("chargeback.inquiry_closed"),
    plain("chargeback.won"),
    plain("chargeback.lost"),
    financial("chargeback.loss_absorbed"),
    plain("chargeback.second_presentment"),
    plain("chargeback.timer_blocked"),
    plain("party.psp_account_requested"),
    plain("party.onboarding_link_requested"),
    plain("party.payout_destination_requested"),
    plain("party.psp_requirements_changed"),
    plain("party.restricted"),
    plain("party.restriction_lifted"),
    plain("party.payout_destination_changed"),
    plain("party.payout_destination_blocked"),
    plain("party.payout_destination_refused"),
    plain("party.psp_account_refused"),
    plain("party.funds_left_noted"),
    plain("party.psp_account_ended"),
    plain("party.psp_balance_negative"),
    plain("party.psp_balance_restored"),
    plain("party.hold_noted"),
    plain("party.sanctions_hit_recorded"),
    plain("party.sanctions_clearance_proposed"),
    plain("party.sanctions_cleared"),
    plain("payee.payout_reservation_released"),
    plain("payee.payout_schedule_changed"),
    plain("payee.payout_schedule_reached"),
    plain("payee.payout_policy_set"),
    plain("payee.call_back_requested"),
    plain("payee.transfer_reversed_noted"),
    plain("payee.transfer_reversal_failed_noted"),
    plain("payout.approval_required"),
    plain("payout.approved"),
    financial("payout.cancelled"),
    plain("payout.funds_awaited"),
    financial("payout.transfer_converted"),
    plain("payout.transfer_reversal_requested"),
    financial("payout.transfer_reversed"),
    plain("payout.transfer_reversal_failed"),
    financial("payout.psp_fee_recorded"),
    plain("treasury.top_up_requested"),
    financial("treasury.psp_topped_up"),
    plain("treasury.top_up_failed"),
    financial("treasury.top_up_reversed"),
    plain("treasury.sweep_proposed"),
    plain("treasury.sweep_approved"),
    plain("treasury.sweep_rejected"),
    financial("treasury.platform_revenue_swept"),
    plain("treasury.sweep_failed"),
    financial("treasury.sweep_returned"),
    financial("treasury.unmatched_receipt_recorded"),
    financial("treasury.unmatched_debit_recorded"),
    financial("treasury.platform_payout_detected"),
    financial("treasury.platform_payout_adopted"),
    financial("treasury.platform_payout_returned"),
    plain("treasury.coverage_fell"),
    plain("treasury.coverage_restored"),
    plain("pair.billed"),
    plain("approval.requested"),
    plain("approval.granted"),
    plain("approval.consumed"),
    plain("approval.failed"),
    plain("approval.rejected"),
    plain("approval.withdrawn"),
    plain("approval.lapsed"),
    plain("subject.pii_accessed"),
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
                PartyEvent::PspAccountRequested { .. } => "party.psp_account_requested",
                PartyEvent::PspAccountRefused { .. } => "party.psp_account_refused",
                PartyEvent::OnboardingLinkRequested { .. } => "party.onboarding_link_requested",
                PartyEvent::PayoutDestinationRequested { .. } => "party.payout_destination_requested",
                PartyEvent::PspRequirementsChanged { .. } => "party.psp_requirements_changed",
                PartyEvent::Restricted { .. } => "party.restricted",
                PartyEvent::RestrictionLifted { .. } => "party.restriction_lifted",
                PartyEvent::PayoutDestinationChanged { .. } => "party.payout_destination_changed",
                PartyEvent::PayoutDestinationBlocked { .. } => "party.payout_destination_blocked",
                PartyEvent::PayoutDestinationRefused { .. } => "party.payout_destination_refused",
                PartyEvent::FundsLeftNoted { .. } => "party.funds_left_noted",
                PartyEvent::PspAccountEnded { .. } => "party.psp_account_ended",
                PartyEvent::PspBalanceNegative { .. } => "party.psp_balance_negative",
                PartyEvent::PspBalanceRestored { .. } => "party.psp_balance_restored",
                PartyEvent::HoldNoted { .. } => "party.hold_noted",
                PartyEvent::SanctionsHitRecorded { .. } => "party.sanctions_hit_recorded",
                PartyEvent::SanctionsClearanceProposed { .. } => "party.sanctions_clearance_proposed",
                PartyEvent::SanctionsCleared { .. } => "party.sanctions_cleared",
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
                MilestoneEvent::DeadlineMoved { .. } => "milestone.deadline_moved",
                MilestoneEvent::TimerBlocked { .. } => "milestone.timer_blocked",
                MilestoneEvent::Suspended { .. } => "milestone.suspended",
                MilestoneEvent::Resumed { .. } => "milestone.resumed",
                MilestoneEvent::EndDeferred { .. } => "milestone.end_deferred",
                MilestoneEvent::FundingLost { .. } => "milestone.funding_lost",
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
                EscrowEvent::ChargeDisputed { .. } => "escrow.charge_disputed",
                EscrowEvent::ChargebackHeld { .. } => "escrow.chargeback_held",
                EscrowEvent::ChargebackReleased { .. } => "escrow.chargeback_released",
                EscrowEvent::ChargebackAbsorbed { .. } => "escrow.chargeback_absorbed",
                EscrowEvent::ChargeCleared { .. } => "escrow.charge_cleared",
                EscrowEvent::FundingReturned { .. } => "escrow.funding_returned",
                EscrowEvent::LateReturnSettled { .. } => "escrow.late_return_settled",
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
                FundingEvent::Returned { .. } => "funding.returned",
                FundingEvent::LateReturnRecorded { .. } => "funding.late_return_recorded",
                FundingEvent::Exchanged { .. } => "funding.exchanged",
                FundingEvent::RefundExchanged { .. } => "funding.refund_exchanged",
                FundingEvent::ChargebackExchanged { .. } => "funding.chargeback_exchanged",
                FundingEvent::FxResultRealised { .. } => "funding.fx_result_realised",
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
                PayeeEvent::LateTransferNoted { .. } => "payee.late_transfer_noted",
                PayeeEvent::TimerBlocked { .. } => "payee.timer_blocked",
                PayeeEvent::ChargebackLossCharged { .. } => "payee.chargeback_loss_charged",
                PayeeEvent::ClearanceHoldPlaced { .. } => "payee.clearance_hold_placed",
                PayeeEvent::DebtWrittenOff { .. } => "payee.debt_written_off",
                PayeeEvent::PayoutReservationReleased { .. } => "payee.payout_reservation_released",
                PayeeEvent::PayoutScheduleChanged { .. } => "payee.payout_schedule_changed",
                PayeeEvent::PayoutScheduleReached { .. } => "payee.payout_schedule_reached",
                PayeeEvent::PayoutPolicySet { .. } => "payee.payout_policy_set",
                PayeeEvent::CallBackRequested { .. } => "payee.call_back_requested",
                PayeeEvent::TransferReversedNoted { .. } => "payee.transfer_reversed_noted",
                PayeeEvent::TransferReversalFailedNoted { .. } => "payee.transfer_reversal_failed_noted",
            },
            Self::Payout(event) => match event {
                PayoutEvent::Requested { .. } => "payout.requested",
                PayoutEvent::TransferCompleted { .. } => "payout.transfer_completed",
                PayoutEvent::LateTransferRecorded { .. } => "payout.late_transfer_recorded",
                PayoutEvent::Submitted { .. } => "payout.submitted",
                PayoutEvent::Paid { .. } => "payout.paid",
                PayoutEvent::Failed { .. } => "payout.failed",
                PayoutEvent::Returned { .. } => "payout.returned",
                PayoutEvent::ApprovalRequired { .. } => "payout.approval_required",
                PayoutEvent::Approved { .. } => "payout.approved",
                PayoutEvent::Cancelled { .. } => "payout.cancelled",
                PayoutEvent::FundsAwaited { .. } => "payout.funds_awaited",
                PayoutEvent::TransferConverted { .. } => "payout.transfer_converted",
                PayoutEvent::TransferReversalRequested { .. } => "payout.transfer_reversal_requested",
                PayoutEvent::TransferReversed { .. } => "payout.transfer_reversed",
                PayoutEvent::TransferReversalFailed { .. } => "payout.transfer_reversal_failed",
                PayoutEvent::PspFeeRecorded { .. } => "payout.psp_fee_recorded",
            },
            Self::Refund(event) => match event {
                RefundEvent::Requested { .. } => "refund.requested",
                RefundEvent::FundingRequired { .. } => "refund.funding_required",
                RefundEvent::Submitted { .. } => "refund.submitted",
                RefundEvent::Succeeded { .. } => "refund.succeeded",
                RefundEvent::Failed { .. } => "refund.failed",
                RefundEvent::ManualRequired { .. } => "refund.manual_required",
                RefundEvent::Redirected { .. } => "refund.redirected",
                RefundEvent::DebitSuspended { .. } => "refund.debit_suspended",
                RefundEvent::Cancelled { .. } => "refund.cancelled",
            },
            Self::Wallet(event) => match event {
                WalletEvent::ToppedUp { .. } => "wallet.topped_up",
                WalletEvent::TopUpReturned { .. } => "wallet.top_up_returned",
                WalletEvent::ChargebackHeld { .. } => "wallet.chargeback_held",
                WalletEvent::ChargebackAbsorbed { .. } => "wallet.chargeback_absorbed",
                WalletEvent::RefundReclaimed { .. } => "wallet.refund_reclaimed",
                WalletEvent::Credited { .. } => "wallet.credited",
                WalletEvent::PaidEscrow { .. } => "wallet.paid_escrow",
                WalletEvent::Withdrawn { .. } => "wallet.withdrawn",
            },
            Self::Chargeback(event) => match event {
                ChargebackEvent::EarlyFraudWarningReceived { .. } => "chargeback.early_fraud_warning_received",
                ChargebackEvent::InquiryReceived { .. } => "chargeback.inquiry_received",
                ChargebackEvent::Opened { .. } => "chargeback.opened",
                ChargebackEvent::FundsWithdrawn { .. } => "chargeback.funds_withdrawn",
                ChargebackEvent::FundsReinstated { .. } => "chargeback.funds_reinstated",
                ChargebackEvent::DisputeFeeReturned { .. } => "chargeback.dispute_fee_returned",
                ChargebackEvent::EvidenceDue { .. } => "chargeback.evidence_due",
                ChargebackEvent::EvidenceDrafted { .. } => "chargeback.evidence_drafted",
                ChargebackEvent::EvidenceSubmitted { .. } => "chargeback.evidence_submitted",
                ChargebackEvent::Accepted { .. } => "chargeback.accepted",
                ChargebackEvent::ReviewStarted { .. } => "chargeback.review_started",
                ChargebackEvent::InquiryClosed { .. } => "chargeback.inquiry_closed",
                ChargebackEvent::Won { .. } => "chargeback.won",
                ChargebackEvent::Lost { .. } => "chargeback.lost",
                ChargebackEvent::LossAbsorbed { .. } => "chargeback.loss_absorbed",
                ChargebackEvent::SecondPresentment { .. } => "chargeback.second_presentment",
                ChargebackEvent::TimerBlocked { .. } => "chargeback.timer_blocked",
            },
            Self::Treasury(event) => match event {
                TreasuryEvent::TopUpRequested { .. } => "treasury.top_up_requested",
                TreasuryEvent::PspToppedUp { .. } => "treasury.psp_topped_up",
                TreasuryEvent::TopUpFailed { .. } => "treasury.top_up_failed",
                TreasuryEvent::TopUpReversed { .. } => "treasury.top_up_reversed",
                TreasuryEvent::SweepProposed { .. } => "treasury.sweep_proposed",
                TreasuryEvent::SweepApproved { .. } => "treasury.sweep_approved",
                TreasuryEvent::SweepRejected { .. } => "treasury.sweep_rejected",
                TreasuryEvent::PlatformRevenueSwept { .. } => "treasury.platform_revenue_swept",
                TreasuryEvent::SweepFailed { .. } => "treasury.sweep_failed",
                TreasuryEvent::SweepReturned { .. } => "treasury.sweep_returned",
                TreasuryEvent::UnmatchedReceiptRecorded { .. } => "treasury.unmatched_receipt_recorded",
                TreasuryEvent::UnmatchedDebitRecorded { .. } => "treasury.unmatched_debit_recorded",
                TreasuryEvent::PlatformPayoutDetected { .. } => "treasury.platform_payout_detected",
                TreasuryEvent::PlatformPayoutAdopted { .. } => "treasury.platform_payout_adopted",
                TreasuryEvent::PlatformPayoutReturned { .. } => "treasury.platform_payout_returned",
                TreasuryEvent::CoverageFell { .. } => "treasury.coverage_fell",
                TreasuryEvent::CoverageRestored { .. } => "treasury.coverage_restored",
            },
            Self::Pair(PairEvent::Billed { .. }) => "pair.billed",
            Self::Approval(event) => match event {
                ApprovalEvent::Requested { .. } => "approval.requested",
                ApprovalEvent::Granted { .. } => "approval.granted",
                ApprovalEvent::Consumed { .. } => "approval.consumed",
                ApprovalEvent::Failed { .. } => "approval.failed",
                ApprovalEvent::Rejected { .. } => "approval.rejected",
                ApprovalEvent::Withdrawn { .. } => "approval.withdrawn",
                ApprovalEvent::Lapsed { .. } => "approval.lapsed",
            },
            Self::Subject(SubjectEvent::PiiAccessed { .. }) => "subject.pii_accessed",
        }
    }

    /// The version of the shape that [`DomainEvent::to_json`] writes.
    pub fn version(&self) -> u16 {
        current_version(self.event_type())
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
            Self::Chargeback(event) => serde_json::to_string(event),
            Self::Treasury(event) => serde_json::to_string(event),
            Self::Pair(event) => serde_json::to_string(event),
            Self::Approval(event) => serde_json::to_string(event),
            Self::Subject(event) => serde_json::to_string(event),
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
            chargeback::TYPE => serde_json::from_str(text).map(Self::Chargeback),
            treasury::TYPE => serde_json::from_str(text).map(Self::Treasury),
            pair::TYPE => serde_json::from_str(text).map(Self::Pair),
            approval::TYPE => serde_json::from_str(text).map(Self::Approval),
            subject::TYPE => serde_json::from_str(text).map(Self::Subject),
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
            Self::Party(_)
            | Self::Contract(_)
            | Self::Milestone(_)
            | Self::Pair(_)
            | Self::Approval(_)
            | Self::Subject(_) => Ok(None),
            Self::Escrow(event) => escrow::posting_rules::journal_entry(event, value_date),
            Self::Funding(event) => funding::posting_rules::journal_entry(event, value_date),
            Self::Payee(event) => payee::posting_rules::journal_entry(event, value_date),
            Self::Payout(event) => payout::posting_rules::journal_entry(event, value_date),
            Self::Refund(event) => refund::posting_rules::journal_entry(event, value_date),
            Self::Wallet(event) => wallet::posting_rules::journal_entry(event, value_date),
            Self::Chargeback(event) => chargeback::posting_rules::journal_entry(event, value_date),
            Self::Treasury(event) => treasury::posting_rules::journal_entry(event, value_date),
        }
    }

    /// The contract that it is about, if one.
    pub fn contract_id(&self) -> Option<ContractId> {
        match self {
            // What staff means to do is none of the parties' business before it is done.
            Self::Party(_) | Self::Payout(_) | Self::Treasury(_) | Self::Approval(_) | Self::Subject(_) => None,
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
                | EscrowEvent::TimerBlocked { contract_id, .. }
                | EscrowEvent::ChargeDisputed { contract_id, .. }
                | EscrowEvent::ChargebackHeld { contract_id, .. }
                | EscrowEvent::ChargebackReleased { contract_id, .. }
                | EscrowEvent::ChargebackAbsorbed { contract_id, .. }
                | EscrowEvent::ChargeCleared { contract_id, .. }
                | EscrowEvent::FundingReturned { contract_id, .. }
                | EscrowEvent::LateReturnSettled { contract_id, .. } => *contract_id,
            }),
            Self::Funding(event) => match event {
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
                | FundingEvent::PspFundsBecameAvailable { contract_id, .. }
                | FundingEvent::Returned { contract_id, .. }
                | FundingEvent::LateReturnRecorded { contract_id, .. }
                | FundingEvent::Exchanged { contract_id, .. }
                | FundingEvent::RefundExchanged { contract_id, .. }
                | FundingEvent::ChargebackExchanged { contract_id, .. }
                | FundingEvent::FxResultRealised { contract_id, .. } => *contract_id,
            },
            Self::Payee(
                PayeeEvent::EarningsCredited { contract_id, .. }
                | PayeeEvent::EarningsCleared { contract_id, .. }
                | PayeeEvent::PayeeRefundGranted { contract_id, .. }
                | PayeeEvent::ChargebackLossCharged { contract_id, .. }
                | PayeeEvent::ClearanceHoldPlaced { contract_id, .. },
            )
            | Self::Wallet(WalletEvent::PaidEscrow { contract_id, .. }) => Some(*contract_id),
            Self::Payee(PayeeEvent::BonusPaid { paid } | PayeeEvent::TipPaid { paid }) => Some(paid.contract_id),
            Self::Refund(RefundEvent::Requested { order }) => order.contract_id,
            Self::Chargeback(event) => event.paid_into().contract_id(),
            Self::Pair(PairEvent::Billed { contract_id, .. }) => Some(*contract_id),
            Self::Payee(_) | Self::Refund(_) | Self::Wallet(_) => None,
        }
    }
}
