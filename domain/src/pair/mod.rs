//! Pair: what one client has billed with one payee in one currency, over all their contracts.
//!
//! Fees with tiers, and promotions on the first so much, go by it (D-61). Every release of a contract with such fees adds
//! to it in its own append, at the version that the fee was judged on: of two releases at the same time in two contracts
//! one is judged again, so that the fees are those of one after the other.
//!
//! # Invariants
//! - It is the sum of what was released, gross, in all contracts of the pair whose fees go by it.
//! - It never falls: what a payee gives back returns its fees in proportion, at the rates that it was billed at.
//!
//! # What is deliberately absent
//! Contracts whose fees have no tiers: they neither read it nor write it, so that they cost nothing, and what they bill
//! does not count: a deviation from D-61, which speaks of all that a pair has billed. Bonuses and tips: a bonus is priced where the pair stands, and does not move it.

mod decide;
mod event;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::PairEvent;

use crate::id::{ContractId, PartyId, ReleaseId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "pair";

/// Which pair: who pays, who is paid, in which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId {
    /// Who pays.
    pub client_id: PartyId,
    /// Who is paid.
    pub payee_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

impl std::fmt::Display for PairId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.client_id, self.payee_id, self.currency)
    }
}

/// The stream of a pair.
pub fn stream(id: PairId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of a pair. There is none that is "not opened": the first release makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Who pays; absent before the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<PartyId>,
    /// Who is paid; absent before the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee_id: Option<PartyId>,
    /// What was billed so far, gross, minor units.
    pub billed: Minor,
    /// The release that was billed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_release_id: Option<ReleaseId>,
}

/// A request about a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairCommand {
    /// Held money became the payee's. A fact: never refused. It comes with the release, which is done once; the release
    /// that was billed last, told again, changes nothing.
    Bill {
        /// The pair.
        pair: PairId,
        /// In which contract.
        contract_id: ContractId,
        /// Which release.
        release_id: ReleaseId,
        /// How much, before fees.
        gross: Minor,
    },
}

impl Rules for Pair {
    const TYPE: &'static str = TYPE;
    type Command = PairCommand;
    type Event = PairEvent;

    fn decide(&self, command: &PairCommand, _context: &Context) -> Result<Vec<PairEvent>, Refusal> {
        Ok(decide::decide(self, command))
    }

    fn evolve(&mut self, event: &PairEvent) {
        let PairEvent::Billed { client_id, payee_id, release_id, gross, .. } = event;
        self.client_id = Some(*client_id);
        self.payee_id = Some(*payee_id);
        self.billed = self.billed.saturating_add(*gross);
        self.last_release_id = Some(*release_id);
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}
