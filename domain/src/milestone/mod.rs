//! Milestone: one piece of work of a contract, from its plan to its release.
//!
//! ```text
//! not_planned ─Plan─▶ planned ─RequestFunding─▶ funding_pending ─RecordFunded─▶ funded ─SubmitWork─▶ submitted
//!                        ▲                            │                           │                    │ Approve, or
//!                        └──── RecordFundingFailure ──┘                           │ Approve            │ review_window
//!                                                                                 ▼                    ▼
//!                                                         released ◀─RecordRelease─ approved ◀─────────┘
//! ```
//!
//! # Invariants
//! - Work is delivered only when money is held for it.
//! - An approval is final: it is one event, and release, fees and credit commit with it.
//!
//! # What is deliberately absent
//! Revisions, partial approval, withdrawal of a submission, refunds and disputes.

mod decide;
mod event;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{ApprovalReason, MilestoneEvent};

use crate::command::Command;
use crate::id::{ContractId, FundingId, MilestoneId, PartyId, ReleaseId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// Name of the aggregate.
pub const TYPE: &str = "milestone";

/// The stream of a milestone.
pub fn stream(id: MilestoneId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// What a milestone is about; the same in every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The milestone.
    pub milestone_id: MilestoneId,
    /// Its contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Who delivers.
    pub payee_id: PartyId,
    /// What it is worth, in minor units, fees not included.
    pub amount: Minor,
    /// Currency of the contract.
    pub currency: Currency,
    /// Days that the client has to review a submission.
    pub review_days: u16,
    /// When it is to be delivered, if agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The marketplace's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// State of a milestone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Milestone {
    /// No milestone by this id.
    #[default]
    NotPlanned,
    /// Agreed; nothing is held for it.
    Planned {
        /// What it is about.
        plan: Plan,
    },
    /// The client is paying.
    FundingPending {
        /// What it is about.
        plan: Plan,
        /// With which funding.
        funding_id: FundingId,
    },
    /// Its money is held; the payee can work.
    Funded {
        /// What it is about.
        plan: Plan,
        /// What is held for it.
        held: Minor,
    },
    /// Delivered; the client reviews.
    Submitted {
        /// What it is about.
        plan: Plan,
        /// What is held for it.
        held: Minor,
        /// Number of the submission, from 1.
        submission_no: u32,
        /// When it counts as approved; `None` once that timer was blocked.
        review_due_at: Option<Timestamp>,
    },
    /// Approved; the release is part of the same commit, so nobody outside ever sees this state.
    Approved {
        /// What it is about.
        plan: Plan,
        /// What was approved, gross.
        gross: Minor,
    },
    /// The payee has been credited.
    Released {
        /// What it is about.
        plan: Plan,
        /// What was released, gross.
        gross: Minor,
        /// What the payee got of it.
        net: Minor,
        /// Which release.
        release_id: ReleaseId,
    },
}

/// A request about a milestone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MilestoneCommand {
    /// Make it, as agreed in the contract.
    Plan {
        /// What it is about.
        plan: Plan,
    },
    /// The client wants to pay for it.
    RequestFunding {
        /// The contract that the caller named.
        contract_id: ContractId,
        /// With which funding.
        funding_id: FundingId,
        /// How much is to be held for it.
        amount: Minor,
        /// Where the request says so, for the answer to a wrong one.
        pointer: String,
    },
    /// Its money has arrived.
    RecordFunded {
        /// With which funding.
        funding_id: FundingId,
        /// How much is held for it.
        amount: Minor,
    },
    /// Its money did not arrive.
    RecordFundingFailure {
        /// With which funding.
        funding_id: FundingId,
        /// The code of the failure.
        reason: String,
    },
    /// The payee delivers.
    SubmitWork,
    /// The client approves.
    Approve {
        /// How much; all that is held when absent.
        amount: Option<Minor>,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// The review window has closed.
    AutoApprove,
    /// The release that followed from the approval.
    RecordRelease {
        /// Which.
        release_id: ReleaseId,
        /// What left the escrow.
        gross: Minor,
        /// What the payee got of it.
        net: Minor,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl Milestone {
    /// What it is about, once it is planned.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::NotPlanned => None,
            Self::Planned { plan }
            | Self::FundingPending { plan, .. }
            | Self::Funded { plan, .. }
            | Self::Submitted { plan, .. }
            | Self::Approved { plan, .. }
            | Self::Released { plan, .. } => Some(plan),
        }
    }
}

impl Rules for Milestone {
    const TYPE: &'static str = TYPE;
    type Command = MilestoneCommand;
    type Event = MilestoneEvent;

    fn decide(&self, command: &MilestoneCommand, context: &Context) -> Result<Vec<MilestoneEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &MilestoneEvent) {
        let before = std::mem::take(self);
        *self = before.after(event);
    }

    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        match self {
            Self::Submitted { plan, review_due_at: Some(due_at), .. } => vec![Timer {
                due_at: *due_at,
                rank: Rank::ReviewWindow,
                stream: stream.clone(),
                key: "review_window".to_owned(),
                command: Command::Milestone(plan.milestone_id, MilestoneCommand::AutoApprove),
            }],
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotPlanned => "not_planned",
            Self::Planned { .. } => "planned",
            Self::FundingPending { .. } => "funding_pending",
            Self::Funded { .. } => "funded",
            Self::Submitted { .. } => "submitted",
            Self::Approved { .. } => "approved",
            Self::Released { .. } => "released",
        }
    }
}

impl Milestone {
    fn after(self, event: &MilestoneEvent) -> Self {
        use MilestoneEvent as E;
        match (self, event) {
            (_, E::Planned { plan }) => Self::Planned { plan: plan.clone() },
            (Self::Planned { plan }, E::FundingRequested { funding_id, .. }) => {
                Self::FundingPending { plan, funding_id: *funding_id }
            }
            (Self::FundingPending { plan, .. } | Self::Planned { plan }, E::Funded { amount, .. }) => {
                Self::Funded { plan, held: *amount }
            }
            (Self::FundingPending { plan, .. }, E::FundingFailed { .. }) => Self::Planned { plan },
            (Self::Funded { plan, held }, E::WorkSubmitted { submission_no, review_due_at, .. }) => {
                Self::Submitted { plan, held, submission_no: *submission_no, review_due_at: Some(*review_due_at) }
            }
            (Self::Funded { plan, .. } | Self::Submitted { plan, .. }, E::Approved { gross, .. })
            | (Self::Submitted { plan, .. }, E::AutoApproved { gross, .. }) => Self::Approved { plan, gross: *gross },
            (Self::Approved { plan, .. }, E::Released { release_id, gross, net, .. }) => {
                Self::Released { plan, gross: *gross, net: *net, release_id: *release_id }
            }
            (Self::Submitted { plan, held, submission_no, .. }, E::TimerBlocked { .. }) => {
                Self::Submitted { plan, held, submission_no, review_due_at: None }
            }
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::FundingRequested { .. }
                | E::Funded { .. }
                | E::FundingFailed { .. }
                | E::WorkSubmitted { .. }
                | E::Approved { .. }
                | E::AutoApproved { .. }
                | E::Released { .. }
                | E::TimerBlocked { .. },
            ) => state,
        }
    }
}
