//! Facts about a contract.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{Change, MilestonePlan, Role};
use crate::id::{AmendmentId, ContractId, FundingId, MilestoneId, PartyId};
use crate::policy::{FeeSchedule, Periods, Policy};
use crate::time::Timestamp;

/// How a milestone ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MilestoneOutcome {
    /// What was held last went to the payee, or after a partial release to another milestone.
    Released,
    /// What was held last went back to the client.
    Refunded,
    /// It was given up before money was held for it.
    Cancelled,
}

/// What kind of work a contract is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// Milestones at fixed prices.
    Fixed,
}

/// How far a contract was when it was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelStage {
    /// Nobody but the client knew of it.
    Draft,
    /// It was accepted, and nothing was paid in.
    BeforeFunding,
    /// It was ended, and nothing of it was released.
    Ended,
}

/// Why an amendment was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentEnd {
    /// The other side said no.
    Rejected,
    /// Who proposed it took it back.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
}

/// A fact about a contract. Every variant has the contract's id, so that a reader needs no state to file it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContractEvent {
    /// The client wrote it down.
    Drafted {
        /// The contract.
        contract_id: ContractId,
        /// What kind.
        kind: ContractKind,
        /// Who pays.
        client_id: PartyId,
        /// Who is to deliver.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// The marketplace's own reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The payee can see and accept it.
    Offered {
        /// The contract.
        contract_id: ContractId,
        /// When the offer runs out.
        offer_expires_at: Timestamp,
        /// The fees, fixed from here on.
        #[serde(serialize_with = "crate::fee::stored")]
        fee_schedule: FeeSchedule,
        /// The periods, fixed from here on.
        #[serde(serialize_with = "crate::policy::stored")]
        policy: Policy,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// How often the terms were changed, from 1.
        terms_version: u32,
    },
    /// One side answered the offer with other milestones; now the other side answers.
    Countered {
        /// The contract.
        contract_id: ContractId,
        /// Who countered.
        by: Role,
        /// What is to change.
        changes: Vec<Change>,
        /// The milestones as they are offered now.
        milestones: Vec<MilestonePlan>,
        /// How often the terms were changed, from 1.
        terms_version: u32,
        /// When the offer runs out now.
        offer_expires_at: Timestamp,
    },
    /// Client and payee agree. Carries all that milestones and escrow are made from.
    Accepted {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who delivers.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees.
        #[serde(serialize_with = "crate::fee::stored")]
        fee_schedule: FeeSchedule,
        /// The periods.
        #[serde(serialize_with = "crate::policy::stored")]
        policy: Policy,
        /// Its milestones.
        milestones: Vec<MilestonePlan>,
        /// When.
        accepted_at: Timestamp,
        /// SHA-256 (hex) over the terms that were accepted; see [`super::terms_digest`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms_digest: Option<String>,
        /// When it is cancelled if nothing was paid in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_due_at: Option<Timestamp>,
    },
    /// The payee does not want it.
    Declined {
        /// The contract.
        contract_id: ContractId,
        /// The marketplace's own code of the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The client took the offer back.
    OfferWithdrawn {
        /// The contract.
        contract_id: ContractId,
    },
    /// Nobody accepted in time.
    OfferExpired {
        /// The contract.
        contract_id: ContractId,
        /// When it ran out.
        expired_at: Timestamp,
    },
    /// The first money has arrived: work can begin.
    Activated {
        /// The contract.
        contract_id: ContractId,
        /// Which money.
        first_funding_id: FundingId,
        /// When somebody looks whether anything has happened since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dormancy_check_at: Option<Timestamp>,
    },
    /// It was given up.
    Cancelled {
        /// The contract.
        contract_id: ContractId,
        /// Who did; absent when time did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Role>,
        /// The marketplace's own code of the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How far it was.
        stage: CancelStage,
        /// The milestones that end with it.
        milestones: Vec<MilestoneId>,
    },
    /// A deadline was moved because a payment is under way.
    DeadlineExtended {
        /// The contract.
        contract_id: ContractId,
        /// Which: `first_funding` or `end_request`.
        key: String,
        /// When it is due now.
        due_at: Timestamp,
    },
    /// One side wants other terms.
    AmendmentProposed {
        /// The contract.
        contract_id: ContractId,
        /// The amendment.
        amendment_id: AmendmentId,
        /// Who proposed it.
        by: Role,
        /// What is to change.
        changes: Vec<Change>,
        /// When it lapses.
        expires_at: Timestamp,
    },
    /// The other side agreed. Carries all that its milestones are made and changed from.
    AmendmentAccepted {
        /// The contract.
        contract_id: ContractId,
        /// The amendment.
        amendment_id: AmendmentId,
        /// What changed.
        changes: Vec<Change>,
        /// All milestones as they are agreed now.
        milestones: Vec<MilestonePlan>,
        /// Who pays.
        client_id: PartyId,
        /// Who delivers.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// Review window where a milestone has none of its own.
        default_review_days: u16,
        /// Days that the payee has to answer a wish for a refund, for milestones that are new.
        #[serde(default = "Periods::answer_days")]
        refund_request_days: u16,
        /// SHA-256 (hex) over the terms that hold now; see [`super::terms_digest`].
        terms_digest: String,
    },
    /// The terms stay as they are.
    AmendmentRejected {
        /// The contract.
        contract_id: ContractId,
        /// The amendment.
        amendment_id: AmendmentId,
        /// Why.
        reason: AmendmentEnd,
    },
    /// Nothing new is begun until it is resumed.
    Paused {
        /// The contract.
        contract_id: ContractId,
        /// Who paused it.
        by: Role,
        /// The marketplace's own code of the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It goes on.
    Resumed {
        /// The contract.
        contract_id: ContractId,
        /// When somebody looks whether anything has happened since.
        dormancy_check_at: Timestamp,
    },
    /// The client wants to end it and have back what is held.
    EndRequested {
        /// The contract.
        contract_id: ContractId,
        /// Who asked.
        by: Role,
        /// What would go back.
        refund_requested: Minor,
        /// When it counts as agreed.
        respond_by: Timestamp,
    },
    /// It ends: what is held and not under review or in dispute goes back to the client.
    EndAgreed {
        /// The contract.
        contract_id: ContractId,
        /// Who agreed; absent when time did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Role>,
        /// What goes back, client fees not included.
        refund_total: Minor,
        /// The milestones that were not over.
        milestones: Vec<MilestoneId>,
        /// The marketplace's own code of the reason, when the payee cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nothing has happened for long.
    DormancyWarned {
        /// The contract.
        contract_id: ContractId,
        /// Days without activity.
        day: u16,
        /// When it is looked at next.
        next_at: Timestamp,
    },
    /// Something has happened since the clock was set.
    DormancyPostponed {
        /// The contract.
        contract_id: ContractId,
        /// What the days are counted from now.
        counted_from: Timestamp,
        /// When it is looked at next.
        next_at: Timestamp,
    },
    /// Nothing has happened for so long that the contract counts as forgotten.
    MarkedDormant {
        /// The contract.
        contract_id: ContractId,
        /// Until when the client can act.
        client_respond_by: Timestamp,
    },
    /// The client did not act: the payee is asked.
    DormancyEscalatedToPayee {
        /// The contract.
        contract_id: ContractId,
        /// Until when the payee can ask for a release.
        payee_respond_by: Timestamp,
    },
    /// The payee asked for what is held.
    DormancyReleaseRequested {
        /// The contract.
        contract_id: ContractId,
        /// Until when the client can answer.
        client_respond_by: Timestamp,
    },
    /// Nobody answered: what is held goes to one side.
    DormancyDefaulted {
        /// The contract.
        contract_id: ContractId,
        /// To whom.
        to: Role,
        /// How much, fees not included.
        amount: Minor,
        /// The milestones that were not over.
        milestones: Vec<MilestoneId>,
    },
    /// Somebody did something about a dormant contract.
    Reactivated {
        /// The contract.
        contract_id: ContractId,
        /// When somebody looks whether anything has happened since.
        dormancy_check_at: Timestamp,
    },
    /// A milestone is over.
    MilestoneClosed {
        /// The contract.
        contract_id: ContractId,
        /// The milestone.
        milestone_id: MilestoneId,
        /// How.
        outcome: MilestoneOutcome,
        /// What was released of it, gross.
        released: Minor,
        /// What went back to the client of it, client fees not included.
        #[serde(default)]
        refunded: Minor,
    },
    /// All milestones are over.
    Completed {
        /// The contract.
        contract_id: ContractId,
        /// What was released over its life, gross.
        released_total: Minor,
        /// What went back to the client over its life, client fees not included.
        #[serde(default)]
        refunded_total: Minor,
        /// When.
        completed_at: Timestamp,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// The contract.
        contract_id: ContractId,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl ContractEvent {
    /// The contract that it is about.
    pub fn contract_id(&self) -> ContractId {
        match self {
            Self::Drafted { contract_id, .. }
            | Self::Offered { contract_id, .. }
            | Self::Countered { contract_id, .. }
            | Self::Accepted { contract_id, .. }
            | Self::Declined { contract_id, .. }
            | Self::OfferWithdrawn { contract_id }
            | Self::OfferExpired { contract_id, .. }
            | Self::Activated { contract_id, .. }
            | Self::Cancelled { contract_id, .. }
            | Self::DeadlineExtended { contract_id, .. }
            | Self::AmendmentProposed { contract_id, .. }
            | Self::AmendmentAccepted { contract_id, .. }
            | Self::AmendmentRejected { contract_id, .. }
            | Self::Paused { contract_id, .. }
            | Self::Resumed { contract_id, .. }
            | Self::EndRequested { contract_id, .. }
            | Self::EndAgreed { contract_id, .. }
            | Self::DormancyWarned { contract_id, .. }
            | Self::DormancyPostponed { contract_id, .. }
            | Self::MarkedDormant { contract_id, .. }
            | Self::DormancyEscalatedToPayee { contract_id, .. }
            | Self::DormancyReleaseRequested { contract_id, .. }
            | Self::DormancyDefaulted { contract_id, .. }
            | Self::Reactivated { contract_id, .. }
            | Self::MilestoneClosed { contract_id, .. }
            | Self::Completed { contract_id, .. }
            | Self::TimerBlocked { contract_id, .. } => *contract_id,
        }
    }

    /// The deadline that it sets for the contract, if it sets one.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Offered { offer_expires_at: at, .. }
            | Self::Countered { offer_expires_at: at, .. }
            | Self::DeadlineExtended { due_at: at, .. }
            | Self::AmendmentProposed { expires_at: at, .. }
            | Self::Resumed { dormancy_check_at: at, .. }
            | Self::EndRequested { respond_by: at, .. }
            | Self::DormancyWarned { next_at: at, .. }
            | Self::DormancyPostponed { next_at: at, .. }
            | Self::MarkedDormant { client_respond_by: at, .. }
            | Self::DormancyEscalatedToPayee { payee_respond_by: at, .. }
            | Self::DormancyReleaseRequested { client_respond_by: at, .. }
            | Self::Reactivated { dormancy_check_at: at, .. } => Some(*at),
            Self::Accepted { funding_due_at: at, .. } | Self::Activated { dormancy_check_at: at, .. } => *at,
            Self::Drafted { .. }
            | Self::Declined { .. }
            | Self::OfferWithdrawn { .. }
            | Self::OfferExpired { .. }
            | Self::Cancelled { .. }
            | Self::AmendmentAccepted { .. }
            | Self::AmendmentRejected { .. }
            | Self::Paused { .. }
            | Self::EndAgreed { .. }
            | Self::DormancyDefaulted { .. }
            | Self::MilestoneClosed { .. }
            | Self::Completed { .. }
            | Self::TimerBlocked { .. } => None,
        }
    }
}
