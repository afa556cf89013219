//! Fees: what the client pays on top, what is kept of a release, and what goes back with a refund (`domain.md` B.1.3).
//!
//! A [`FeeSchedule`] is versioned data, copied into the contract when it is offered and unchanged for its life. The
//! engine is pure functions on it: [`FeeSchedule::charge`], [`FeeSchedule::release`], [`FeeSchedule::refund`],
//! [`give_back`]. What went before comes in as [`MilestoneFees`] and [`ContractFees`], which the escrow keeps.
//!
//! # Invariants
//! - Every amount is rounded once, half away from zero (R1); the payee's net is the exact remainder (R2).
//! - Fees are cumulative (R4, R5): any partition of a release, a refund or a move comes to the same in every account.
//!   One exception: where fee, tax and withholding round up in one minor unit, a part of that size holds the fee only,
//!   and the next part makes up for it. What the last part cannot hold, at most a minor unit each, is not taken.
//!   Another: where other contracts move the pair to another step between two parts of a milestone, each part is charged at
//!   the step of its time. The cap of a payee's fee of one rule then still holds for all parts; a minimum, the cap of one
//!   rule among several, and that of a client's fee are judged at the present step alone.
//! - No fee is below zero; payee's fee, its tax and withholding together are never above the gross.
//! - What is deferred closes to zero with the last part that leaves.
//!
//! # What is deliberately absent
//! Who the parties are, what they billed before, where they are taxed: the caller says so. No invoices: the figures of
//! one are here, its number and its text are not. No exchange rates.

mod charge;
mod give_back;
mod preset;
mod promotion;
mod refund;
mod release;
mod rule;
mod state;
mod stored;
mod tax;
mod validate;

use ledger::{Currency, Minor, is_zero};
use serde::{Deserialize, Serialize};

pub use charge::{Charge, Part};
pub use give_back::{GivenBack, give_back};
pub use promotion::Promotion;
pub use refund::{RefundOf, RefundSplit};
pub use release::{ReleaseSplit, Standing};
pub use rule::{Fee, FeeRule, Tier};
pub use state::{ContractFees, MilestoneFees};
pub(crate) use stored::stored;
pub use tax::{PartyTax, Tax, TaxLine, TaxPoint, TaxRule, TaxStatus};

/// Who bears a cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// The operator of the marketplace.
    #[default]
    Platform,
    /// Who pays for the work.
    Client,
    /// Who does the work.
    Payee,
}

/// What becomes of the client's fee when money that was never released goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundClientFee {
    /// It goes back in proportion. J30, J33.
    #[default]
    ProRata,
    /// It is earned by the refund. J34.
    None,
}

/// Who pays which fee. Amounts in it are minor units of [`FeeSchedule::currency`].
///
/// A schedule that was stored before a field existed reads as it was meant then: the defaults are what held. Events and
/// documents leave out what is a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSchedule {
    /// Name of the preset or of the operator's own schedule.
    pub id: String,
    /// Its version, from 1.
    pub version: u16,
    /// Currency of the amounts in it; without amounts (percentages only) there is none, and it fits every contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What the client pays on top of what is escrowed, per milestone; earned as money is released. The specification
    /// calls it `payer_fee`.
    #[serde(alias = "payer_fee")]
    pub client_fee: Fee,
    /// What is kept of each release, per milestone.
    pub payee_fee: Fee,
    /// What the client pays once per contract, with the first funding; earned by the first release, returned when
    /// nothing is ever released.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation_fee: Minor,
    /// What is passed on for the provider's processing fee, per milestone, as a fee of its payer like any other. What
    /// the provider really takes is the platform's expense either way.
    #[serde(default, skip_serializing_if = "Fee::is_none")]
    pub processing_fee: Fee,
    /// Who pays [`FeeSchedule::processing_fee`].
    #[serde(default)]
    pub processing_fee_payer: Bearer,
    /// What becomes of the client's fee in a refund.
    #[serde(default)]
    pub refund_client_fee: RefundClientFee,
    /// Who bears the provider's processing fee of a payment that is refunded, which providers keep.
    #[serde(default)]
    pub refund_psp_fee_bearer: Bearer,
    /// Discounts on the payee's fee. Where several hold, the largest counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promotion>,
    /// Taxes on fees, and withholding. Apart from the rest, because most contracts have none.
    #[serde(default, skip_serializing_if = "Tax::is_none")]
    pub tax: Box<Tax>,
}

impl FeeSchedule {
    /// Whether a fee of it depends on what the pair of client and payee has billed before, over all its contracts (D-61).
    pub fn goes_by_billing(&self) -> bool {
        self.rules().any(|rule| matches!(rule, FeeRule::Tiered { tiers, .. } if tiers.len() > 1))
            || self.promotions.iter().any(|promotion| promotion.first_billed.is_some())
    }

    /// The rules of all its fees.
    fn rules(&self) -> impl Iterator<Item = &FeeRule> {
        [&self.client_fee, &self.payee_fee, &self.processing_fee].into_iter().flat_map(Fee::rules)
    }

    /// The schedule as it goes into one contract: the taxes of its parties chosen, promotions that need an earlier
    /// contract gone. `earlier_contracts`: how many contracts the payee has accepted before.
    ///
    /// Repeating it with the same arguments changes nothing.
    #[must_use]
    pub fn for_contract(&self, client: &TaxStatus, payee: &TaxStatus, earlier_contracts: u32) -> Self {
        let promotions = self.promotions.iter().filter(|promotion| promotion.holds_for_contract(earlier_contracts));
        let tax = Box::new(self.tax.for_parties(client, payee));
        Self { promotions: promotions.cloned().collect(), tax, ..self.clone() }
    }
}
