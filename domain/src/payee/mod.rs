//! Payee account: what a party has earned in one currency, and how much of it can be withdrawn.
//!
//! ```text
//! credit (from a release) ─▶ pending ─clearance─▶ available ─ReservePayout─▶ in transit ─paid─▶ gone
//!                                                     ▲                          │
//!                                                     └────── payout failed ─────┘
//! ```
//!
//! # Invariants
//! - No balance is ever negative; a reservation is at most what is available.
//! - Credits and the notes about payouts commute with every decision here: they only ever add. So they are appended
//!   without looking, and a popular payee is no bottleneck.
//! - Money that already lies at the payee's account at the provider is not transferred there again.
//!
//! # What is deliberately absent
//! Debt, holds, destinations and payout schedules.

mod decide;
mod event;
pub mod posting_rules;

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::PayeeEvent;

use crate::command::Command;
use crate::id::{ContractId, PartyId, PayoutId, ReleaseId};
use crate::log::StreamId;
use crate::party::PayoutAccount;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// Name of the aggregate.
pub const TYPE: &str = "payee";

/// Which payee account: a party in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayeeAccountId {
    /// The party.
    pub party_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

impl std::fmt::Display for PayeeAccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.party_id, self.currency)
    }
}

impl std::str::FromStr for PayeeAccountId {
    type Err = crate::id::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = crate::id::IdError { prefix: PartyId::PREFIX };
        let (party, currency) = text.split_once('-').ok_or(error.clone())?;
        Ok(Self { party_id: party.parse()?, currency: currency.parse().map_err(|_| error)? })
    }
}

/// The stream of a payee account.
pub fn stream(id: PayeeAccountId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of a payee account. There is none that is "not opened": the first credit makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeAccount {
    /// Earnings that are not cleared yet, by release.
    pub pending: BTreeMap<ReleaseId, PendingEarning>,
    /// What can be withdrawn.
    pub available: Minor,
    /// Payouts on their way.
    pub in_transit: BTreeMap<PayoutId, Reservation>,
    /// What lies at the payee's account at the provider and belongs to no payout on its way.
    pub at_provider: Minor,
}

/// An earning that is not cleared yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEarning {
    /// The contract that it is from.
    pub contract_id: ContractId,
    /// How much.
    pub amount: Minor,
    /// When it clears; `None` once that timer was blocked.
    pub clears_at: Option<Timestamp>,
    /// Whose it is.
    pub account: OwnedBy,
}

/// The owner of an earning, as its credit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedBy {
    /// The party.
    pub payee_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

/// What is set aside for a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// How much is paid out.
    pub amount: Minor,
    /// How much of it has to be moved to the payee's account at the provider first.
    pub transfer_amount: Minor,
}

/// A request about a payee account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayeeCommand {
    /// An earning's security period is over.
    Clear {
        /// Which.
        release_id: ReleaseId,
    },
    /// Set money aside for a payout.
    ReservePayout {
        /// Whose money.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The payout to be made.
        payout_id: PayoutId,
        /// How much.
        amount: Minor,
        /// Where it goes.
        account: PayoutAccount,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer: the id of the release.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl PayeeAccount {
    /// Sum of the earnings that are not cleared yet.
    pub fn pending_total(&self) -> Minor {
        self.pending.values().fold(Minor::ZERO, |sum, earning| sum.saturating_add(earning.amount))
    }
}

impl Rules for PayeeAccount {
    const TYPE: &'static str = TYPE;
    type Command = PayeeCommand;
    type Event = PayeeEvent;

    fn decide(&self, command: &PayeeCommand, context: &Context) -> Result<Vec<PayeeEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &PayeeEvent) {
        use PayeeEvent as E;
        match event {
            E::EarningsCredited { release_id, contract_id, payee_id, amount, currency, clears_at, .. } => {
                let account = OwnedBy { payee_id: *payee_id, currency: *currency };
                let earning =
                    PendingEarning { contract_id: *contract_id, amount: *amount, clears_at: Some(*clears_at), account };
                self.pending.insert(*release_id, earning);
            }
            E::EarningsCleared { release_id, amount, .. } => {
                self.pending.remove(release_id);
                self.available = self.available.saturating_add(*amount);
            }
            E::PayoutReserved { payout_id, amount, transfer_amount, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.at_provider = self.at_provider.saturating_sub(amount.saturating_sub(*transfer_amount));
                let reservation = Reservation { amount: *amount, transfer_amount: *transfer_amount };
                self.in_transit.insert(*payout_id, reservation);
            }
            E::PayoutPaidNoted { payout_id, .. } => {
                self.in_transit.remove(payout_id);
            }
            E::PayoutFailedNoted { payout_id, amount, left_at_provider, .. } => {
                self.in_transit.remove(payout_id);
                self.available = self.available.saturating_add(*amount);
                self.at_provider = self.at_provider.saturating_add(*left_at_provider);
            }
            E::TimerBlocked { key, .. } => {
                if let Some(earning) = key.parse().ok().and_then(|release: ReleaseId| self.pending.get_mut(&release)) {
                    earning.clears_at = None;
                }
            }
        }
    }

    /// The earnings that wait for their security period.
    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        let waiting = self.pending.iter().filter_map(|(release_id, earning)| {
            let id = PayeeAccountId { party_id: earning.account.payee_id, currency: earning.account.currency };
            Some(Timer {
                due_at: earning.clears_at?,
                rank: Rank::Clearance,
                stream: stream.clone(),
                key: release_id.to_string(),
                command: Command::Payee(id, PayeeCommand::Clear { release_id: *release_id }),
            })
        });
        waiting.collect()
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}
