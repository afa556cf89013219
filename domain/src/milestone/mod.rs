//! Milestone: one piece of work of a contract, from its plan to its last minor unit.
//!
//! ```text
//! not_planned ─Plan─▶ planned ─RequestFunding─▶ funding_pending ─RecordFunded─▶ funded ─SubmitWork─▶ submitted
//!                      │  ▲                            │                         │ ▲ ▲                 │ │ │
//!            Cancel    │  └──── RecordFundingFailure ──┘                         │ │ └WithdrawSubmission┘ │ │
//!                      ▼                                                         │ │                     │ │
//!                  cancelled        changes_requested ◀──RequestChanges──────────┼─┼─────────────────────┘ │
//!                                      └─SubmitWork─▶ submitted                  │ │                       │
//!                                                                                ▼ │   Approve, review_window
//!               released ◀── nothing is left ─── approved ◀──────────────────────┴─┼───────────────────────┘
//!                                                   └── part is left ─▶ partially_released (goes on like funded)
//!
//! funded, changes_requested, partially_released ─RequestRefund─▶ refund_pending ─agreed─▶ refunded, or what it was before
//! funded, submitted, changes_requested, partially_released ─OpenDispute─▶ disputed ─withdrawn─▶ what it was before
//! any with money held ─Suspend (a bank disagrees)─▶ suspended ─Resume─▶ what it was before, its clock with what was left
//! any with money held ─RecordFundingLost─▶ planned again, with a flag; released, when a part had been released
//! ```
//!
//! # Invariants
//! - Work is delivered only when money is held for it.
//! - An approval is final: it is one event, and release, fees and credit commit with it.
//! - A review window closes at an instant that is fixed when work is submitted. A dispute stops it and keeps what was
//!   left, and so does a freeze of the escrow; nothing else moves it.
//! - A milestone is over when nothing is held for it and nothing is on its way to it. Money that arrives after that goes
//!   back at once.
//!
//! # What is deliberately absent
//! The money itself: what is agreed here is moved by the escrow, whose word (`Record…`) ends what is agreed. Revisions
//! that a gig includes, settlement of a dispute.

mod chargeback;
mod command;
mod decide;
mod dispute;
mod event;
mod evolve;
mod funding;
mod refund;
mod review;

use std::collections::BTreeSet;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use command::{EndCause, MilestoneCommand};
pub use event::{ApprovalReason, MilestoneEvent, RefundConsent, Remainder};

use crate::command::Command;
use crate::contract::{OpenQuestion, Part, Role};
use crate::id::{
    ChargebackId, ContractId, DisputeId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use crate::log::StreamId;
use crate::policy::Periods;
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

/// What a milestone is about; changed only by an amendment of the contract.
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
    /// Days that the payee has to answer a wish for a refund. Plans from before it was kept have the default.
    #[serde(default = "Periods::answer_days")]
    pub refund_request_days: u16,
    /// When it is to be delivered, if agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The marketplace's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Whether something has not happened yet, which documents leave out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none_yet(times: &u32) -> bool {
    *times == 0
}

/// What a milestone knows once money was held for it. Amounts are minor units, fees not included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is about.
    pub plan: Plan,
    /// What is held for it now.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub held: Minor,
    /// What was paid in for it or moved to it over its life.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub funded: Minor,
    /// What was released of it, gross.
    #[serde(default, alias = "gross", skip_serializing_if = "ledger::is_zero")]
    pub released: Minor,
    /// What the payee got of that.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub net: Minor,
    /// What went back to the client.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub refunded: Minor,
    /// What went to other milestones.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub moved_out: Minor,
    /// Number of the last submission, from 1; 0 before the first.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub submission_no: u32,
    /// How often the client wanted changes.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub revision_no: u32,
    /// How many releases there were.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub releases: u32,
    /// How many refunds were asked for or agreed.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub refunds: u32,
    /// The funding by which the client pays what is missing, while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paying: Option<FundingId>,
    /// What a bank took back for good.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub lost: Minor,
    /// What the client wants moved on, where that is asked: what was left when it was proposed. Documents from before it
    /// was kept have none; then it is all that is held.
    #[serde(default, skip_serializing_if = "ledger::is_zero")]
    pub rolling: Minor,
}

/// Why a milestone that was paid for is to be paid for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// A chargeback was lost.
    FundingLost,
    /// A bank debit was returned.
    FundingReturned,
}

/// What a milestone was before a refund was asked for, or a dispute opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorState {
    /// Funded.
    Funded,
    /// Under review.
    Submitted,
    /// Sent back to the payee.
    ChangesRequested,
    /// Released in part.
    PartiallyReleased,
    /// Over; money arrived after that and goes back.
    Released,
    /// Over without any release; money arrived after that and goes back.
    Refunded,
}

/// An end of the contract that is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredEnd {
    /// Who gets what is left.
    pub to: Role,
    /// How it came about.
    pub cause: EndCause,
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
    /// Given up before money was held for it.
    Cancelled {
        /// What it was about.
        plan: Plan,
    },
    /// Its money is held; the payee can work.
    Funded {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
    },
    /// Delivered; the client reviews.
    Submitted {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// When it counts as approved; `None` once that timer was blocked.
        review_due_at: Option<Timestamp>,
    },
    /// The client wants something else; the payee works on.
    ChangesRequested {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
    },
    /// Approved; the release is part of the same commit, so nobody outside ever sees this state.
    Approved {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// What was approved, gross.
        approved: Minor,
        /// What becomes of the rest.
        remainder: Remainder,
        /// Whether time approved, and not the client.
        by_time: bool,
    },
    /// A part was released; the rest is held.
    PartiallyReleased {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// The milestone that the client wants the rest moved to, while the payee has not answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roll_forward: Option<MilestoneId>,
    },
    /// The client wants money back, or that is agreed and the escrow is to move it.
    RefundPending {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// Which refund.
        refund_id: RefundId,
        /// How much.
        refunding: Minor,
        /// When it counts as agreed; `None` once it is agreed, or its timer was blocked.
        respond_by: Option<Timestamp>,
        /// Whether it is agreed.
        agreed: bool,
        /// What it was before.
        prior: PriorState,
    },
    /// The parties disagree about what is held.
    Disputed {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// In which dispute.
        dispute_id: DisputeId,
        /// What it was before.
        prior: PriorState,
        /// What was left of the review window, in milliseconds.
        review_remaining_ms: Option<i64>,
    },
    /// A client's bank disagrees with a payment for it: nothing happens, and no clock runs.
    Suspended {
        /// What it was before.
        prior: Box<Milestone>,
        /// In which chargebacks.
        chargebacks: BTreeSet<ChargebackId>,
        /// What was left of the clock that ran, in milliseconds.
        remaining_ms: Option<i64>,
        /// The end of the contract that came meanwhile, to be done afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<DeferredEnd>,
    },
    /// Its money was held, and a bank took it: planned again. The payee must not deliver more before it is paid for.
    Unfunded {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// How that came about.
        flag: LossCause,
        /// Whether it was given up since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        given_up: bool,
    },
    /// Over: the payee has been credited.
    Released {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
        /// Whether time approved, and not the client.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_time: bool,
    },
    /// Over: what was held last went back to the client.
    Refunded {
        /// What is known.
        #[serde(flatten)]
        progress: Progress,
    },
}

impl Progress {
    /// What the client still has to pay in for the amount that is agreed.
    pub fn missing(&self) -> Minor {
        self.plan.amount.saturating_sub(self.paid_in())
    }

    /// What came in and was not taken back by a bank.
    pub fn paid_in(&self) -> Minor {
        self.funded.saturating_sub(self.lost)
    }

    /// What moves when the payee agrees to a roll-forward: what the client proposed, as far as it is still there.
    fn to_roll_forward(&self) -> Minor {
        if self.rolling.is_zero() { self.held } else { self.rolling.min(self.held) }
    }

    /// Whether nothing is held and nothing is on its way.
    fn is_exhausted(&self) -> bool {
        self.held.is_zero() && self.paying.is_none()
    }
}

impl Milestone {
    /// What it is about, once it is planned.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::NotPlanned => None,
            Self::Planned { plan } | Self::FundingPending { plan, .. } | Self::Cancelled { plan } => Some(plan),
            _ => self.progress().map(|progress| &progress.plan),
        }
    }

    /// What it knows, once money was held for it.
    pub fn progress(&self) -> Option<&Progress> {
        match self {
            Self::NotPlanned | Self::Planned { .. } | Self::FundingPending { .. } | Self::Cancelled { .. } => None,
            Self::Funded { progress }
            | Self::Submitted { progress, .. }
            | Self::ChangesRequested { progress }
            | Self::Approved { progress, .. }
            | Self::PartiallyReleased { progress, .. }
            | Self::RefundPending { progress, .. }
            | Self::Disputed { progress, .. }
            | Self::Unfunded { progress, .. }
            | Self::Released { progress, .. }
            | Self::Refunded { progress } => Some(progress),
            Self::Suspended { prior, .. } => prior.progress(),
        }
    }

    /// Why it is to be paid for again, if it is.
    pub fn flag(&self) -> Option<LossCause> {
        match self {
            Self::Unfunded { flag, .. } => Some(*flag),
            _ => None,
        }
    }

    /// What the contract's rules may know of it; `None` before it is planned.
    pub fn part(&self) -> Option<Part> {
        let progress = self.progress();
        let held = progress.map_or(Minor::ZERO, |progress| progress.held);
        let until = |instant: &Option<Timestamp>| instant.map_or(OpenQuestion::Open, OpenQuestion::Until);
        let (refundable, open_question) = match self {
            Self::Submitted { review_due_at, .. } => (Minor::ZERO, Some(until(review_due_at))),
            Self::RefundPending { respond_by, agreed: false, .. } => (held, Some(until(respond_by))),
            Self::Disputed { .. } | Self::Suspended { .. } => (Minor::ZERO, Some(OpenQuestion::Open)),
            Self::Approved { .. } | Self::RefundPending { .. } => (Minor::ZERO, None),
            _ => (held, None),
        };
        Some(Part {
            milestone_id: self.plan()?.milestone_id,
            funded: progress.map_or(Minor::ZERO, Progress::paid_in),
            released: progress.map_or(Minor::ZERO, |progress| progress.released),
            refunded: progress.map_or(Minor::ZERO, |progress| progress.refunded),
            held,
            refundable,
            payment_under_way: match self {
                Self::FundingPending { .. } => true,
                _ => progress.is_some_and(|progress| progress.paying.is_some()),
            },
            open_question,
        })
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
        *self = evolve::after(before, event);
    }

    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        let (due_at, rank, key, plan, command) = match self {
            Self::Submitted { progress, review_due_at: Some(due_at) } => {
                (due_at, Rank::ReviewWindow, evolve::REVIEW_WINDOW, &progress.plan, MilestoneCommand::AutoApprove)
            }
            Self::RefundPending { progress, respond_by: Some(due_at), agreed: false, .. } => (
                due_at,
                Rank::RefundRequest,
                evolve::REFUND_REQUEST,
                &progress.plan,
                MilestoneCommand::AgreeRefundByTime,
            ),
            _ => return Vec::new(),
        };
        vec![Timer {
            due_at: *due_at,
            rank,
            stream: stream.clone(),
            key: key.to_owned(),
            command: Command::Milestone(plan.milestone_id, command),
        }]
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotPlanned => "not_planned",
            Self::Planned { .. } => "planned",
            Self::FundingPending { .. } => "funding_pending",
            Self::Cancelled { .. } => "cancelled",
            Self::Funded { .. } => "funded",
            Self::Submitted { .. } => "submitted",
            Self::ChangesRequested { .. } => "changes_requested",
            Self::Approved { .. } => "approved",
            Self::PartiallyReleased { .. } => "partially_released",
            Self::RefundPending { .. } => "refund_pending",
            Self::Disputed { .. } => "disputed",
            Self::Suspended { .. } => "suspended",
            Self::Unfunded { given_up: true, .. } => "cancelled",
            Self::Unfunded { progress, .. } if progress.paying.is_some() => "funding_pending",
            Self::Unfunded { .. } => "planned",
            Self::Released { .. } => "released",
            Self::Refunded { .. } => "refunded",
        }
    }
}

/// A milestone is released several times at most, so a release is named after it and its number.
fn release_id(progress: &Progress) -> ReleaseId {
    let number = progress.releases.saturating_add(1);
    ReleaseId::derived(progress.plan.milestone_id.as_uuid(), &format!("release/{number}"))
}

/// As a release is. After a roll-forward, only a further release can lead to another one.
fn reallocation_id(progress: &Progress) -> ReallocationId {
    let number = progress.releases;
    ReallocationId::derived(progress.plan.milestone_id.as_uuid(), &format!("roll_forward/{number}"))
}

/// As a release is.
fn refund_id(progress: &Progress) -> RefundId {
    let number = progress.refunds.saturating_add(1);
    RefundId::derived(progress.plan.milestone_id.as_uuid(), &format!("refund/{number}"))
}
