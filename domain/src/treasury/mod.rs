//! Treasury: the platform's own money in its balance at one provider, in one currency.
//!
//! ```text
//! RequestTopUp ─▶ (provider) ─▶ topped up ─▶ reversed
//! ProposeSweep ─▶ proposed ─ApproveSweep (somebody else)─▶ (provider) ─▶ swept ─▶ returned
//!                     └─RejectSweep─▶ rejected                 └─▶ failed
//! a payout of the platform that nobody ordered ─▶ detected ─AdoptPlatformPayout─▶ adopted
//! ```
//!
//! # Invariants
//! - Not more is taken out than the coverage leaves after taxes, the buffer and what is on its way out; judged at the
//!   proposal and, with new figures, at the approval, by two different members of staff.
//! - What the provider says happened to the balance is booked, whoever caused it; what nobody ordered goes to suspense
//!   under a break, once per object of the provider.
//!
//! - A shortage, and its end, is told once. Who tells it waits until the shortage has lasted: each payment leaves the
//!   provider's fee open until the platform has earned something, so that the figure of a moment says little.
//!
//! # What is deliberately absent
//! The balance: it is what the books say of 1120, and coverage is a figure over all accounts, which no stream holds. The
//! caller brings it from the projection, as evidence in the event; the buffer is for what happens meanwhile. Explaining
//! breaks, other than payouts of the platform: that is reconciliation.

mod coverage;
mod decide;
mod event;
pub mod posting_rules;
pub mod queue;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use coverage::Coverage;
pub use event::{Balance, TreasuryEvent};

use crate::id::{BreakId, PartyId, SweepId, TopUpId};
use crate::log::StreamId;
use crate::ports::provider::{BankPayoutStatus, TopUpStatus};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "treasury";

/// Which treasury: a provider and a currency.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreasuryId {
    /// The provider, such as `stripe`.
    pub psp: String,
    /// The currency.
    pub currency: Currency,
}

impl std::fmt::Display for TreasuryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.psp, self.currency)
    }
}

impl std::str::FromStr for TreasuryId {
    type Err = crate::id::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || crate::id::IdError { prefix: TYPE };
        let (psp, currency) = text.rsplit_once('-').ok_or_else(error)?;
        Ok(Self { psp: psp.to_owned(), currency: currency.parse().map_err(|_| error())? })
    }
}

/// The stream of a treasury.
pub fn stream(id: &TreasuryId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// A sweep that somebody has proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// How much.
    pub amount: Minor,
    /// What stays beside taxes.
    pub buffer: Minor,
    /// Who has proposed it.
    pub proposed_by: PartyId,
    /// How far it is.
    pub state: SweepState,
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    /// Somebody else has to agree.
    Proposed,
    /// Ordered.
    Approved,
    /// Not made.
    Rejected,
    /// Arrived.
    Swept,
    /// Did not arrive.
    Failed,
    /// Arrived and came back.
    Returned,
}

impl SweepState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Swept => "swept",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }
}

/// How far a top-up is, as far as it is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpState {
    /// Arrived.
    Arrived,
    /// Did not arrive.
    Failed,
    /// Arrived and was taken back.
    Reversed,
}

/// A payout of the platform that nobody here has ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignPayout {
    /// What is to be explained.
    pub break_id: BreakId,
    /// How much.
    pub amount: Minor,
    /// Whether staff has taken it as money taken out by the platform.
    pub adopted: bool,
    /// Whether it came back.
    pub returned: bool,
}

/// State of a treasury. There is none that is "not opened". It grows with what people do, not with trade.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Treasury {
    /// Top-ups that were ordered here.
    pub requested: BTreeSet<TopUpId>,
    /// Top-ups by the provider's id.
    pub top_ups: BTreeMap<String, TopUpState>,
    /// Sweeps.
    pub sweeps: BTreeMap<SweepId, Sweep>,
    /// Payouts of the platform that nobody here has ordered, by the provider's id.
    pub foreign_payouts: BTreeMap<String, ForeignPayout>,
    /// Bookings of the provider that nobody expected.
    pub unmatched: BTreeSet<String>,
    /// Whether what is owed was not covered when it was last looked at.
    pub uncovered: bool,
}

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the balance.
    In,
    /// Away from it.
    Out,
}

/// A request about the platform's own money. Those by people are for finance and administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreasuryCommand {
    /// Add own money to the balance.
    RequestTopUp {
        /// The movement to be made.
        top_up_id: TopUpId,
        /// How much.
        amount: Minor,
    },
    /// The provider tells of a top-up. A fact: never refused.
    RecordTopUp {
        /// The movement, from the metadata sent along.
        top_up_id: Option<TopUpId>,
        /// The provider's top-up; `None` when it has refused to make one.
        top_up_ref: Option<String>,
        /// How much.
        amount: Minor,
        /// How far it is.
        status: TopUpStatus,
    },
    /// Propose to take earned money out.
    ProposeSweep {
        /// The movement to be made.
        sweep_id: SweepId,
        /// How much.
        amount: Minor,
        /// What stays beside taxes.
        buffer: Minor,
        /// What is covered, by the books of the moment.
        coverage: Coverage,
    },
    /// Agree to that. Not who has proposed it.
    ApproveSweep {
        /// The movement.
        sweep_id: SweepId,
        /// What is covered, by the books of the moment.
        coverage: Coverage,
    },
    /// Not make it.
    RejectSweep {
        /// The movement.
        sweep_id: SweepId,
    },
    /// The provider tells of a payout of the platform's own balance. A fact: never refused.
    RecordPlatformPayout {
        /// The movement, from the metadata sent along.
        sweep_id: Option<SweepId>,
        /// The provider's payout; `None` when it has refused to make one.
        bank_payout_ref: Option<String>,
        /// How much.
        amount: Minor,
        /// Whether the provider made it by itself.
        automatic: bool,
        /// How far it is.
        status: BankPayoutStatus,
    },
    /// Take a payout that nobody ordered as money that the platform has taken out.
    AdoptPlatformPayout {
        /// The provider's payout.
        bank_payout_ref: String,
    },
    /// The provider's balance has moved, and nobody knows why. A fact: never refused.
    RecordUnmatched {
        /// The provider's booking.
        psp_ref: String,
        /// Which way.
        direction: Direction,
        /// How much.
        amount: Minor,
    },
    /// The coverage was looked at. A fact: never refused.
    NoteCoverage {
        /// What is covered, by the books of the moment.
        coverage: Coverage,
    },
    /// The same with the balance that it is about, which the state does not know. Every command is judged so.
    At {
        /// The balance.
        balance: Balance,
        /// What is asked.
        command: Box<TreasuryCommand>,
    },
}

impl TreasuryCommand {
    /// Whether a person may give it; the others are facts.
    pub fn is_of_a_person(&self) -> bool {
        matches!(
            self,
            Self::RequestTopUp { .. }
                | Self::ProposeSweep { .. }
                | Self::ApproveSweep { .. }
                | Self::RejectSweep { .. }
                | Self::AdoptPlatformPayout { .. }
        )
    }
}

impl Treasury {
    /// What is on its way out and not booked yet.
    pub fn on_its_way(&self) -> Minor {
        let open = |sweep: &&Sweep| matches!(sweep.state, SweepState::Proposed | SweepState::Approved);
        self.sweeps.values().filter(open).fold(Minor::ZERO, |sum, sweep| sum.saturating_add(sweep.amount))
    }
}

impl Rules for Treasury {
    const TYPE: &'static str = TYPE;
    type Command = TreasuryCommand;
    type Event = TreasuryEvent;

    fn decide(&self, command: &TreasuryCommand, context: &Context) -> Result<Vec<TreasuryEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &TreasuryEvent) {
        use TreasuryEvent as E;
        match event {
            E::TopUpRequested { top_up_id, .. } => {
                self.requested.insert(*top_up_id);
            }
            E::PspToppedUp { top_up_ref, .. } => {
                self.top_ups.insert(top_up_ref.clone(), TopUpState::Arrived);
            }
            E::TopUpFailed { top_up_id, top_up_ref, .. } => {
                if let Some(top_up_ref) = top_up_ref {
                    self.top_ups.insert(top_up_ref.clone(), TopUpState::Failed);
                }
                if let Some(id) = top_up_id {
                    self.requested.remove(id);
                }
            }
            E::TopUpReversed { top_up_ref, .. } => {
                self.top_ups.insert(top_up_ref.clone(), TopUpState::Reversed);
            }
            E::SweepProposed { sweep_id, amount, buffer, proposed_by, .. } => {
                let (amount, buffer, proposed_by) = (*amount, *buffer, *proposed_by);
                self.sweeps.insert(*sweep_id, Sweep { amount, buffer, proposed_by, state: SweepState::Proposed });
            }
            E::SweepApproved { sweep_id, .. } => self.sweep_is(*sweep_id, SweepState::Approved),
            E::SweepRejected { sweep_id, .. } => self.sweep_is(*sweep_id, SweepState::Rejected),
            E::PlatformRevenueSwept { sweep_id, .. } => self.sweep_is(*sweep_id, SweepState::Swept),
            E::SweepFailed { sweep_id, .. } => self.sweep_is(*sweep_id, SweepState::Failed),
            E::SweepReturned { sweep_id, .. } => self.sweep_is(*sweep_id, SweepState::Returned),
            E::UnmatchedReceiptRecorded { psp_ref, .. } | E::UnmatchedDebitRecorded { psp_ref, .. } => {
                self.unmatched.insert(psp_ref.clone());
            }
            E::PlatformPayoutDetected { break_id, bank_payout_ref, amount, .. } => {
                let foreign = ForeignPayout { break_id: *break_id, amount: *amount, adopted: false, returned: false };
                self.foreign_payouts.insert(bank_payout_ref.clone(), foreign);
            }
            E::PlatformPayoutAdopted { bank_payout_ref, .. } => {
                if let Some(foreign) = self.foreign_payouts.get_mut(bank_payout_ref) {
                    foreign.adopted = true;
                }
            }
            E::PlatformPayoutReturned { bank_payout_ref, .. } => {
                if let Some(foreign) = self.foreign_payouts.get_mut(bank_payout_ref) {
                    foreign.returned = true;
                }
            }
            E::CoverageFell { .. } => self.uncovered = true,
            E::CoverageRestored { .. } => self.uncovered = false,
        }
    }

    fn state_name(&self) -> &'static str {
        if self.uncovered { "uncovered" } else { "covered" }
    }
}

impl Treasury {
    fn sweep_is(&mut self, id: SweepId, state: SweepState) {
        if let Some(sweep) = self.sweeps.get_mut(&id) {
            sweep.state = state;
        }
    }
}
