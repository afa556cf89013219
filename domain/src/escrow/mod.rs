//! Escrow: the money of one contract, held until both sides have performed.
//!
//! ```text
//! not_opened ─Open─▶ open ─Close (at zero)─▶ closed
//!                    │  RequestFunding  what the client has to pay, fees included
//!                    │  RecordFunding   money arrived: held for its milestones, or rejected and booked elsewhere
//!                    │  Release         held money becomes the payee's, less the fees
//! ```
//!
//! # Invariants
//! - Per milestone: `funded + moved_in = held + disputed + released + refunded + lost + moved_out`, every term at least
//!   zero; the sum of its lots is `held + disputed`.
//! - A release is never more than is held. Lots are used first in, first out.
//! - Fees are cumulative: any partition of a release takes the same fees in total, to the minor unit.
//! - Money that arrived is never refused: what cannot be held is rejected by an event, and its funding books it.
//!
//! # What is deliberately absent
//! Disputes, refunds, chargebacks, reallocation, freezing: their terms in the equation above are always zero so far.

mod decide;
mod event;
pub mod posting_rules;

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{Allocation, EscrowEvent, Lot, RejectionReason, ReleaseReason};

use crate::id::{ContractId, FundingId, MilestoneId, PartyId, ReleaseId};
use crate::log::StreamId;
use crate::policy::{FeeSchedule, Policy};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "escrow";

/// The stream of a contract's escrow.
pub fn stream(id: ContractId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of an escrow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Escrow {
    /// The contract is not accepted yet.
    #[default]
    NotOpened,
    /// Takes and releases money.
    Open(Holdings),
    /// The contract is over and nothing is held.
    Closed(Holdings),
}

/// What an escrow knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// The contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Who is paid.
    pub payee_id: PartyId,
    /// Currency of everything in it.
    pub currency: Currency,
    /// The fees agreed.
    pub fee_schedule: FeeSchedule,
    /// The periods agreed.
    pub policy: Policy,
    /// Money that is on its way, or was and did not arrive.
    pub requested: BTreeMap<FundingId, RequestedFunding>,
    /// Money by milestone.
    pub milestones: BTreeMap<MilestoneId, Holding>,
}

/// Money that the client was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedFunding {
    /// What it is for.
    pub allocations: Vec<Allocation>,
    /// The client's fee on top.
    pub client_fee: Minor,
    /// What is charged beyond that because the provider cannot charge every amount.
    pub surplus_to_wallet: Minor,
}

/// The money of one milestone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The funding that the milestone waits for or was funded by.
    pub awaited: Option<FundingId>,
    /// Paid in for it.
    pub funded: Minor,
    /// Held and releasable.
    pub held: Minor,
    /// Held and locked by a dispute or chargeback.
    pub disputed: Minor,
    /// Gone to the payee, gross.
    pub released: Minor,
    /// Gone back to the client.
    pub refunded: Minor,
    /// Taken by a chargeback.
    pub lost: Minor,
    /// Came from other milestones.
    pub moved_in: Minor,
    /// Went to other milestones.
    pub moved_out: Minor,
    /// The fundings that the held money came from, oldest first.
    pub lots: Vec<Lot>,
    /// The client's fee paid for it.
    pub client_fee: Minor,
    /// The part of it that is earned.
    pub client_fee_earned: Minor,
    /// The payee's fee taken so far.
    pub payee_fee_taken: Minor,
}

impl Holding {
    /// Whether the conservation equation holds and the lots are what is held.
    pub fn is_conserved(&self) -> bool {
        let total = |parts: &[Minor]| parts.iter().map(|part| i128::from(part.get())).sum::<i128>();
        let lots: i128 = self.lots.iter().map(|lot| i128::from(lot.amount.get())).sum();
        total(&[self.funded, self.moved_in])
            == total(&[self.held, self.disputed, self.released, self.refunded, self.lost, self.moved_out])
            && lots == total(&[self.held, self.disputed])
            && self.client_fee_earned <= self.client_fee
    }
}

/// A request about an escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscrowCommand {
    /// Make it, for a contract that was accepted.
    Open {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees agreed.
        fee_schedule: FeeSchedule,
        /// The periods agreed.
        policy: Policy,
    },
    /// The client wants to pay in.
    RequestFunding {
        /// The funding to be made.
        funding_id: FundingId,
        /// For which milestones, how much.
        allocations: Vec<(MilestoneId, Minor)>,
        /// Currency of the request.
        currency: Currency,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Money has arrived.
    RecordFunding {
        /// Which.
        funding_id: FundingId,
        /// Which provider has it, and in which account of ours.
        place: PspPlace,
    },
    /// Held money becomes the payee's.
    Release {
        /// Which release.
        release_id: ReleaseId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// How much, before fees.
        gross: Minor,
        /// Why.
        reason: ReleaseReason,
    },
    /// A milestone is over: money that was asked for it is not waited for any more.
    StopAwaiting {
        /// Which.
        milestone_id: MilestoneId,
    },
    /// The contract is over.
    Close,
}

/// Where money lies at a payment provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PspPlace {
    /// Which provider, such as `stripe`.
    pub psp: String,
    /// Which account there: `platform`, or the id of a payee's account.
    pub psp_account: String,
}

/// The name of our own account at a provider.
pub const PLATFORM_ACCOUNT: &str = "platform";

impl Escrow {
    /// What it knows, once opened.
    pub fn holdings(&self) -> Option<&Holdings> {
        match self {
            Self::NotOpened => None,
            Self::Open(holdings) | Self::Closed(holdings) => Some(holdings),
        }
    }
}

impl Rules for Escrow {
    const TYPE: &'static str = TYPE;
    type Command = EscrowCommand;
    type Event = EscrowEvent;

    fn decide(&self, command: &EscrowCommand, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &EscrowEvent) {
        use EscrowEvent as E;
        match event {
            E::Opened { contract_id, client_id, payee_id, currency, fee_schedule, policy } => {
                *self = Self::Open(Holdings {
                    contract_id: *contract_id,
                    client_id: *client_id,
                    payee_id: *payee_id,
                    currency: *currency,
                    fee_schedule: fee_schedule.clone(),
                    policy: policy.clone(),
                    requested: BTreeMap::new(),
                    milestones: BTreeMap::new(),
                });
            }
            E::Closed { .. } => {
                if let Self::Open(holdings) = std::mem::take(self) {
                    *self = Self::Closed(holdings);
                }
            }
            E::FundingRequested { .. }
            | E::Funded { .. }
            | E::FundingRejected { .. }
            | E::FundingAbandoned { .. }
            | E::Released { .. } => {
                if let Self::Open(holdings) | Self::Closed(holdings) = self {
                    holdings.remember(event);
                }
            }
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::Open(_) => "open",
            Self::Closed(_) => "closed",
        }
    }
}

impl Holdings {
    /// Folds an event that moves or announces money. Sums saturate: `decide` has checked them before the event existed.
    fn remember(&mut self, event: &EscrowEvent) {
        match event {
            EscrowEvent::FundingRequested { funding_id, allocations, client_fee, surplus_to_wallet, .. } => {
                for allocation in allocations {
                    self.milestones.entry(allocation.milestone_id).or_default().awaited = Some(*funding_id);
                }
                let requested = RequestedFunding {
                    allocations: allocations.clone(),
                    client_fee: *client_fee,
                    surplus_to_wallet: *surplus_to_wallet,
                };
                self.requested.insert(*funding_id, requested);
            }
            EscrowEvent::Funded { funding_id, allocations, .. } => {
                self.requested.remove(funding_id);
                for allocation in allocations {
                    let holding = self.milestones.entry(allocation.milestone_id).or_default();
                    holding.funded = holding.funded.saturating_add(allocation.amount);
                    holding.held = holding.held.saturating_add(allocation.amount);
                    holding.client_fee = holding.client_fee.saturating_add(allocation.client_fee);
                    holding.lots.push(Lot { funding_id: *funding_id, amount: allocation.amount });
                }
            }
            EscrowEvent::FundingRejected { funding_id, .. } => {
                self.requested.remove(funding_id);
            }
            EscrowEvent::FundingAbandoned { milestone_id, .. } => {
                self.milestones.entry(*milestone_id).or_default().awaited = None;
            }
            EscrowEvent::Released { milestone_id, gross, payee_fee, client_fee_earned, lots, .. } => {
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.held = holding.held.saturating_sub(*gross);
                holding.released = holding.released.saturating_add(*gross);
                holding.payee_fee_taken = holding.payee_fee_taken.saturating_add(*payee_fee);
                holding.client_fee_earned = holding.client_fee_earned.saturating_add(*client_fee_earned);
                for used in lots {
                    for lot in holding.lots.iter_mut().filter(|lot| lot.funding_id == used.funding_id) {
                        lot.amount = lot.amount.saturating_sub(used.amount);
                    }
                }
                holding.lots.retain(|lot| !lot.amount.is_zero());
            }
            EscrowEvent::Opened { .. } | EscrowEvent::Closed { .. } => {}
        }
    }
}
