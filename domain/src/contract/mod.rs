//! Contract: what client and payee agree, and how far it is.
//!
//! ```text
//! not_drafted ─Draft─▶ draft ─Offer─▶ offered ─Accept─▶ pending_funding ─first funding─▶ active
//!                                       │ offer_expiry                                     │ last milestone closed
//!                                       ▼                                                  ▼
//!                                    expired                                           completed
//! ```
//!
//! # Invariants
//! - One currency; client and payee differ.
//! - The terms that were offered are the terms that were accepted: events repeat them, later commands cannot change them.
//! - Completed exactly when the last milestone is closed.
//!
//! # What is deliberately absent
//! Counter offers, amendments, pausing, cancelling, ending early and dormancy.

mod command;
mod decide;
mod event;

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use command::ContractCommand;
pub use decide::{MAX_MILESTONES, MAX_REVIEW_DAYS};
pub use event::{ContractEvent, MilestoneOutcome};

use crate::actor::Actor;
use crate::command::Command;
use crate::id::{ContractId, MilestoneId, PartyId};
use crate::log::StreamId;
use crate::policy::{FeeSchedule, Policy};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// Name of the aggregate.
pub const TYPE: &str = "contract";

/// The stream of a contract.
pub fn stream(id: ContractId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
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

/// What was drafted.
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
    /// Its milestones, in order.
    pub milestones: Vec<MilestonePlan>,
    /// The marketplace's own reference, opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What was offered with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The fees, fixed for the life of the contract.
    pub fee_schedule: FeeSchedule,
    /// The periods, fixed for the life of the contract.
    pub policy: Policy,
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
    /// Waiting for the payee.
    Offered {
        /// What was drafted.
        agreement: Agreement,
        /// What was offered with it.
        terms: Terms,
        /// When the offer runs out; `None` once its timer was blocked.
        offer_expires_at: Option<Timestamp>,
    },
    /// The payee did not answer in time.
    Expired {
        /// What was drafted.
        agreement: Agreement,
        /// When the offer ran out.
        expired_at: Timestamp,
    },
    /// Accepted; nothing is paid in yet.
    PendingFunding {
        /// What was agreed.
        agreement: Agreement,
        /// On which terms.
        terms: Terms,
    },
    /// Under way.
    Active {
        /// What was agreed.
        agreement: Agreement,
        /// On which terms.
        terms: Terms,
        /// The milestones that are over.
        closed: BTreeMap<MilestoneId, ClosedMilestone>,
    },
    /// Over: every milestone is closed.
    Completed {
        /// What was agreed.
        agreement: Agreement,
        /// On which terms.
        terms: Terms,
        /// How each milestone ended.
        closed: BTreeMap<MilestoneId, ClosedMilestone>,
        /// When.
        completed_at: Timestamp,
    },
}

/// How a milestone ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedMilestone {
    /// In one word.
    pub outcome: MilestoneOutcome,
    /// What was released of it, gross.
    pub released: Minor,
}

impl Contract {
    /// What was drafted, in every state after that.
    pub fn agreement(&self) -> Option<&Agreement> {
        match self {
            Self::NotDrafted => None,
            Self::Draft { agreement }
            | Self::Offered { agreement, .. }
            | Self::Expired { agreement, .. }
            | Self::PendingFunding { agreement, .. }
            | Self::Active { agreement, .. }
            | Self::Completed { agreement, .. } => Some(agreement),
        }
    }

    /// The terms, from the offer on.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::NotDrafted | Self::Draft { .. } | Self::Expired { .. } => None,
            Self::Offered { terms, .. }
            | Self::PendingFunding { terms, .. }
            | Self::Active { terms, .. }
            | Self::Completed { terms, .. } => Some(terms),
        }
    }

    /// Why nothing can be paid in before the contract is accepted, as far as the caller may know.
    pub fn refuse_funding(&self, actor: Actor) -> Refusal {
        let standing = self.agreement().and_then(|agreement| {
            let party = actor.party()?;
            let knows =
                party == agreement.client_id || (party == agreement.payee_id && !matches!(self, Self::Draft { .. }));
            knows.then_some(())
        });
        match standing {
            Some(()) => Refusal::ContractWrongState { action: "funded", state: self.state_name() },
            None => Refusal::NotAParty,
        }
    }

    /// Whether its milestones and its escrow exist: they are made when the contract is accepted.
    pub fn has_parts(&self) -> bool {
        matches!(self, Self::PendingFunding { .. } | Self::Active { .. } | Self::Completed { .. })
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
        *self = before.after(event);
    }

    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        match self {
            Self::Offered { agreement, offer_expires_at: Some(due_at), .. } => vec![Timer {
                due_at: *due_at,
                rank: Rank::OfferExpiry,
                stream: stream.clone(),
                key: "offer_expiry".to_owned(),
                command: Command::Contract(agreement.contract_id, ContractCommand::ExpireOffer),
            }],
            _ => Vec::new(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotDrafted => "not_drafted",
            Self::Draft { .. } => "draft",
            Self::Offered { .. } => "offered",
            Self::Expired { .. } => "expired",
            Self::PendingFunding { .. } => "pending_funding",
            Self::Active { .. } => "active",
            Self::Completed { .. } => "completed",
        }
    }
}

impl Contract {
    fn after(self, event: &ContractEvent) -> Self {
        use ContractEvent as E;
        match (self, event) {
            (_, E::Drafted { contract_id, client_id, payee_id, currency, milestones, reference, .. }) => Self::Draft {
                agreement: Agreement {
                    contract_id: *contract_id,
                    client_id: *client_id,
                    payee_id: *payee_id,
                    currency: *currency,
                    milestones: milestones.clone(),
                    reference: reference.clone(),
                },
            },
            (Self::Draft { agreement }, E::Offered { offer_expires_at, fee_schedule, policy, .. }) => Self::Offered {
                agreement,
                terms: Terms { fee_schedule: fee_schedule.clone(), policy: policy.clone() },
                offer_expires_at: Some(*offer_expires_at),
            },
            (Self::Offered { agreement, terms, .. }, E::Accepted { .. }) => Self::PendingFunding { agreement, terms },
            (Self::Offered { agreement, .. }, E::OfferExpired { expired_at, .. }) => {
                Self::Expired { agreement, expired_at: *expired_at }
            }
            (Self::Offered { agreement, terms, .. }, E::TimerBlocked { .. }) => {
                Self::Offered { agreement, terms, offer_expires_at: None }
            }
            (Self::PendingFunding { agreement, terms }, E::Activated { .. }) => {
                Self::Active { agreement, terms, closed: BTreeMap::new() }
            }
            (
                Self::Active { agreement, terms, mut closed },
                E::MilestoneClosed { milestone_id, outcome, released, .. },
            ) => {
                closed.insert(*milestone_id, ClosedMilestone { outcome: *outcome, released: *released });
                Self::Active { agreement, terms, closed }
            }
            (Self::Active { agreement, terms, closed }, E::Completed { completed_at, .. }) => {
                Self::Completed { agreement, terms, closed, completed_at: *completed_at }
            }
            // No command leads here; an event that does not fit the state leaves it as it is.
            (
                state,
                E::Offered { .. }
                | E::Accepted { .. }
                | E::OfferExpired { .. }
                | E::Activated { .. }
                | E::MilestoneClosed { .. }
                | E::Completed { .. }
                | E::TimerBlocked { .. },
            ) => state,
        }
    }
}
