//! Facts about a pair.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use crate::id::{ContractId, PartyId, ReleaseId};

/// A fact about a pair; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PairEvent {
    /// A release of one of their contracts counts. The release itself carries the journal.
    Billed {
        /// Who paid.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// In which contract.
        contract_id: ContractId,
        /// Which release.
        release_id: ReleaseId,
        /// How much, before fees.
        gross: Minor,
    },
}
