//! Discounts on the payee's fee.

use ledger::{Minor, Percent};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A discount on the payee's fee, as long as every condition that it names holds. At least one has to be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Its name, for reports.
    pub id: String,
    /// How much of the payee's fee is waived; `100` waives it.
    pub percent_off: Percent,
    /// For releases before this instant, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// For so much of what the pair of client and payee bills first, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_billed: Option<Minor>,
    /// For so many contracts that the payee accepts first. Judged once, when the contract is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_contracts: Option<u32>,
}

impl Promotion {
    /// Whether it goes into the contract of a payee who has accepted `earlier` contracts before.
    pub(super) fn holds_for_contract(&self, earlier: u32) -> bool {
        self.first_contracts.is_none_or(|first| earlier < first)
    }

    /// Whether it holds for a release now. At the very instant at which it ends, it has ended.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// For how much of a milestone it holds, `offset` having been billed before it; `None`: for all of it.
    pub(super) fn ends_after(&self, offset: Minor) -> Option<Minor> {
        self.first_billed.map(|first| first.saturating_sub(offset))
    }
}
