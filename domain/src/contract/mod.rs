//! Contract: what client and payee agree, and how far it is.
//!
//! ```text
//! not_drafted ─Draft─▶ draft ─Offer─▶ offered ◀─CounterOffer (changes who answers)
//!                        │              ├─Decline─▶ declined   ─WithdrawOffer─▶ withdrawn   ─offer_expiry─▶ expired
//!                        │              └─Accept─▶ pending_funding ─first funding─▶ active ─last milestone─▶ completed
//!                        ▼                               │ Cancel, first_funding    │ ▲
//!                    cancelled ◀─────────────────────────┘                          │ │
//!                        ▲                         paused ◀─Pause, Resume──────────▶├─┤
//!                        │                        dormant ◀─days 76, 83, 90─────────┤ │ any activity
//!                        │                           └───────┼──────────────────────┼─┘
//!                        └─ nothing was released ── ending ◀─┴─RequestEnd───────────┘
//!                                       completed ◀────┘ last milestone
//! ```
//!
//! # Invariants
//! - One currency; client and payee differ.
//! - The terms that were offered last are the terms that are accepted: events repeat them. After that, only an amendment
//!   that both sides want changes milestones; fees and periods never change.
//! - Completed or cancelled exactly when the last milestone is closed, or nothing was paid in and nothing is on its way.
//! - A pause stops what is new: submissions and payments. What has begun goes on: a review window that is running closes
//!   at its instant, and the client can approve.
//! - While the escrow is frozen, silence ends nothing; afterwards each deadline has what was left of it.
//! - A contract is dormant exactly as many days as its policy says (90 by default) after the later of its last delivery
//!   date and the last thing a party did. While work is under review or in dispute, a refund is being answered or a
//!   payment is under way, the days do not count.
//!
//! # What is deliberately absent
//! Hourly contracts, gig orders and bookings; holds by staff; the dispute about an end (a milestone can be disputed
//! instead, which keeps its money out of the end).

mod amendments;
mod change;
mod command;
mod decide;
mod dormancy;
mod ending;
mod event;
mod evolve;
mod offer;
mod parts;
mod terms;
mod timers;

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use change::{Change, Proposal};
pub use command::{Activity, ContractCommand};
pub use dormancy::{DormancyClock, DormantStage};
pub use event::{AmendmentEnd, CancelStage, ContractEvent, ContractKind, MilestoneOutcome};
pub use parts::{OpenQuestion, Part, Parts};
pub(crate) use terms::check_reference;
pub use terms::terms_digest;

use crate::actor::Actor;
use crate::id::{ContractId, MilestoneId, PartyId};
use crate::log::StreamId;
use crate::policy::{FeeSchedule, Policy};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::Timer;

/// Name of the aggregate.
pub const TYPE: &str = "contract";

/// Most milestones of a contract: all of them are loaded to judge a command on one.
pub const MAX_MILESTONES: usize = 100;

/// Longest review window; a year is far beyond what any marketplace offers.
pub const MAX_REVIEW_DAYS: u16 = 365;

/// The stream of a contract.
pub fn stream(id: ContractId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// The two sides of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who pays.
    Client,
    /// Who delivers and is paid.
    Payee,
}

impl Role {
    /// The other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Payee,
            Self::Payee => Self::Client,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Payee => "payee",
        }
    }

    /// Who answers an offer as it was first made.
    fn payee() -> Self {
        Self::Payee
    }
}

/// A milestone as the parties agree it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MilestonePlan {
    /// The milestone.
    pub milestone_id: MilestoneId,
    /// What it is worth, in minor units of the contract's currency, fees not included.
    pub amount: Minor,
    /// When it is to be delivered, if agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Days that the client has to review a submission; the policy's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_days: Option<u16>,
    /// The marketplace's own reference, opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Who agrees on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Who delivers and is paid.
    pub payee_id: PartyId,
    /// Currency of everything in it.
    pub currency: Currency,
    /// Its milestones, in order, as they are drafted, offered or agreed by now.
    pub milestones: Vec<MilestonePlan>,
    /// The marketplace's own reference, opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What was offered with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The fees, fixed for the life of the contract.
    #[serde(serialize_with = "crate::fee::stored")]
    pub fee_schedule: FeeSchedule,
    /// The periods, fixed for the life of the contract.
    #[serde(serialize_with = "crate::policy::stored")]
    pub policy: Policy,
}

/// What a contract knows from acceptance on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// What was agreed.
    pub agreement: Agreement,
    /// On which terms.
    pub terms: Terms,
    /// How each milestone ended that is over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closed: BTreeMap<MilestoneId, ClosedMilestone>,
    /// The amendment that waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
    /// When somebody looks whether anything has happened; absent before the first money and where it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dormancy: Option<DormancyClock>,
}

/// State of a contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Contract {
    /// No contract by this id.
    #[default]
    NotDrafted,
    /// Written by the client, seen by nobody else.
    Draft {
        /// What was drafted.
        agreement: Agreement,
    },
    /// Waiting for an answer.
    Offered {
        /// What is offered.
        agreement: Agreement,
        /// What is offered with it.
        terms: Terms,
        /// When the offer runs out; `None` once its timer was blocked.
        offer_expires_at: Option<Timestamp>,
        /// How often the terms were changed, from 1.
        #[serde(default)]
        terms_version: u32,
        /// Who answers: the payee, or after a counter offer the other side.
        #[serde(default = "Role::payee")]
        answer_by: Role,
    },
    /// The payee did not want it.
    Declined {
        /// What was offered.
        agreement: Agreement,
    },
    /// The client took the offer back.
    Withdrawn {
        /// What was offered.
        agreement: Agreement,
    },
    /// Nobody answered in time.
    Expired {
        /// What was offered.
        agreement: Agreement,
        /// When the offer ran out.
        expired_at: Timestamp,
    },
    /// Accepted; nothing is paid in yet.
    PendingFunding {
        /// What is known.
        #[serde(flatten)]
        life: Life,
        /// When it is cancelled; `None` once its timer was blocked.
        #[serde(default)]
        funding_due_at: Option<Timestamp>,
    },
    /// Under way.
    Active {
        /// What is known.
        #[serde(flatten)]
        life: Life,
    },
    /// Under way, but nothing new is begun.
    Paused {
        /// What is known.
        #[serde(flatten)]
        life: Life,
        /// Who paused it, and can resume it.
        by: Role,
    },
    /// Nothing has happened for so long that it counts as forgotten.
    Dormant {
        /// What is known.
        #[serde(flatten)]
        life: Life,
        /// Whose turn it is.
        stage: DormantStage,
        /// Until when; `None` once that timer was blocked.
        due_at: Option<Timestamp>,
    },
    /// The client wants to end it, or the end is agreed and its milestones are being closed.
    Ending {
        /// What is known.
        #[serde(flatten)]
        life: Life,
        /// When it counts as agreed; `None` once it is agreed, or its timer was blocked.
        respond_by: Option<Timestamp>,
        /// Whether it is agreed.
        agreed: bool,
    },
    /// Over: every milestone is closed.
    Completed {
        /// What is known.
        #[serde(flatten)]
        life: Life,
        /// When.
        completed_at: Timestamp,
    },
    /// Over: given up before anything was paid in, or ended with nothing released.
    Cancelled {
        /// What was drafted or agreed.
        agreement: Agreement,
        /// On which terms; absent when it was never accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Terms>,
        /// How far it was.
        stage: CancelStage,
    },
}

/// How a milestone ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedMilestone {
    /// In one word.
    pub outcome: MilestoneOutcome,
    /// What was released of it, gross.
    pub released: Minor,
    /// What went back to the client of it, client fees not included.
    #[serde(default)]
    pub refunded: Minor,
}

impl Life {
    /// The milestones that are not over, in order.
    pub fn open_milestones(&self) -> impl Iterator<Item = &MilestonePlan> {
        self.agreement.milestones.iter().filter(|plan| !self.closed.contains_key(&plan.milestone_id))
    }

    /// The last date of delivery that was agreed, of any milestone.
    pub fn last_due_at(&self) -> Option<Timestamp> {
        self.agreement.milestones.iter().filter_map(|plan| plan.due_at).max()
    }
}

impl Contract {
    /// What was drafted, in every state after that.
    pub fn agreement(&self) -> Option<&Agreement> {
        match self {
            Self::NotDrafted => None,
            Self::Draft { agreement }
            | Self::Offered { agreement, .. }
            | Self::Declined { agreement }
            | Self::Withdrawn { agreement }
            | Self::Expired { agreement, .. }
            | Self::Cancelled { agreement, .. } => Some(agreement),
            Self::PendingFunding { life, .. }
            | Self::Active { life }
            | Self::Paused { life, .. }
            | Self::Dormant { life, .. }
            | Self::Ending { life, .. }
            | Self::Completed { life, .. } => Some(&life.agreement),
        }
    }

    /// The terms, from the offer on.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::NotDrafted
            | Self::Draft { .. }
            | Self::Declined { .. }
            | Self::Withdrawn { .. }
            | Self::Expired { .. } => None,
            Self::Offered { terms, .. } => Some(terms),
            Self::Cancelled { terms, .. } => terms.as_ref(),
            Self::PendingFunding { life, .. }
            | Self::Active { life }
            | Self::Paused { life, .. }
            | Self::Dormant { life, .. }
            | Self::Ending { life, .. }
            | Self::Completed { life, .. } => Some(&life.terms),
        }
    }

    /// Why nothing can be paid in before the contract is accepted or after it was cancelled, as far as the caller may
    /// know.
    pub fn refuse_funding(&self, actor: Actor) -> Refusal {
        let standing = self.agreement().and_then(|agreement| {
            let party = actor.party()?;
            let knows = party == agreement.client_id || (party == agreement.payee_id && self.is_shown());
            knows.then_some(())
        });
        match standing {
            Some(()) => Refusal::ContractWrongState { action: "funded", state: self.state_name() },
            None => Refusal::NotAParty,
        }
    }

    /// Whether its milestones and its escrow exist: they are made when the contract is accepted.
    pub fn has_parts(&self) -> bool {
        match self {
            Self::PendingFunding { .. }
            | Self::Active { .. }
            | Self::Paused { .. }
            | Self::Dormant { .. }
            | Self::Ending { .. }
            | Self::Completed { .. } => true,
            Self::Cancelled { terms, .. } => terms.is_some(),
            Self::NotDrafted
            | Self::Draft { .. }
            | Self::Offered { .. }
            | Self::Declined { .. }
            | Self::Withdrawn { .. }
            | Self::Expired { .. } => false,
        }
    }

    /// Whether the payee knows of it: a draft is the client's own, also after it was thrown away.
    pub fn is_shown(&self) -> bool {
        !matches!(self, Self::NotDrafted | Self::Draft { .. } | Self::Cancelled { stage: CancelStage::Draft, .. })
    }

    /// Whether it is over for good.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Declined { .. }
                | Self::Withdrawn { .. }
                | Self::Expired { .. }
                | Self::Completed { .. }
                | Self::Cancelled { .. }
        )
    }
}

impl Rules for Contract {
    const TYPE: &'static str = TYPE;
    type Command = ContractCommand;
    type Event = ContractEvent;

    fn decide(&self, command: &ContractCommand, context: &Context) -> Result<Vec<ContractEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &ContractEvent) {
        let before = std::mem::take(self);
        *self = evolve::after(before, event);
    }

    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        timers::timers(self, stream)
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotDrafted => "not_drafted",
            Self::Draft { .. } => "draft",
            Self::Offered { .. } => "offered",
            Self::Declined { .. } => "declined",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired { .. } => "expired",
            Self::PendingFunding { .. } => "pending_funding",
            Self::Active { .. } => "active",
            Self::Paused { .. } => "paused",
            Self::Dormant { .. } => "dormant",
            Self::Ending { .. } => "ending",
            Self::Completed { .. } => "completed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}
