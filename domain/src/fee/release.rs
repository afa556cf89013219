//! What a release comes to in every account.

use ledger::{Minor, MoneyError, is_zero, percentage};
use serde::{Deserialize, Serialize};

use super::rule::{Limit, Quote, due};
use super::{Bearer, ContractFees, FeeSchedule, MilestoneFees};
use crate::time::Timestamp;

/// What fees depend on beside the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What was released from this client to this payee before, gross, over all contracts, earlier parts of this
    /// milestone included; for tiers and promotions. Schedules without either ignore it.
    pub billed: Minor,
    /// Business time of the release, for promotions that end.
    pub now: Timestamp,
}

/// What a release comes to. `gross = net + payee_fee + payee_tax + withheld`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseSplit {
    /// What leaves the escrow (2100).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gross: Minor,
    /// The payee's fee (4100).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_fee: Minor,
    /// Tax on the payee's fee (2400).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_tax: Minor,
    /// Income tax withheld (2410).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withheld: Minor,
    /// What the payee gets (2200).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub net: Minor,
    /// The client's fee that is earned (2300 to 4110).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee_earned: Minor,
    /// The initiation fee that is earned (2310 to 4120).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation_fee_earned: Minor,
    /// Tax of both. With the tax point `release` it becomes payable (2305 to 2400); with `funding` it is already, and
    /// only to be remembered. [`FeeSchedule::tax_of_release`] and [`super::Tax::deferred`] tell them apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_tax: Minor,
}

impl FeeSchedule {
    /// What releasing `gross` of a milestone comes to. Pure: asked again, the answer is the same.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when less than `gross` is there, or a sum does not fit.
    pub fn release(
        &self,
        milestone: &MilestoneFees,
        contract: &ContractFees,
        standing: Standing,
        gross: Minor,
    ) -> Result<ReleaseSplit, MoneyError> {
        let released = milestone.released.checked_add(gross)?;
        let discounts: Vec<_> = self.promotions.iter().filter(|offer| offer.holds_at(standing.now)).collect();
        let passed_on = self.passed_on_to(Bearer::Payee);
        let quote = Quote { fee: &self.payee_fee, passed_on, discounts: &discounts, limit: Limit::Basis };
        let offset = standing.billed.saturating_sub(milestone.released);
        // Not "less what was taken": a discount that has ended, or tiers that others moved, would be clawed back.
        let payee_fee = due(&quote, offset, released)?.checked_sub(due(&quote, offset, milestone.released)?)?;
        // The pair's step can have moved between two parts; the milestone's cap is one for both.
        let payee_fee = match (self.payee_fee.only_cap(), passed_on.is_none()) {
            (Some(cap), true) => payee_fee.min(cap.saturating_sub(milestone.payee_fee)),
            _ => payee_fee,
        };

        let room = gross.checked_sub(payee_fee)?;
        let fees = milestone.payee_fee.checked_add(payee_fee)?;
        let payee_tax = percentage(fees, self.tax.payee_percent())?.saturating_sub(milestone.payee_tax).min(room);
        let room = room.checked_sub(payee_tax)?;
        let withheld = percentage(released, self.tax.withholding())?.saturating_sub(milestone.withheld).min(room);

        let client_fee_earned = milestone.client_fee_of(gross)?;
        let initiation_fee_earned = if gross.is_zero() { Minor::ZERO } else { contract.initiation_fee_deferred() };
        Ok(ReleaseSplit {
            gross,
            payee_fee,
            payee_tax,
            withheld,
            net: room.checked_sub(withheld)?,
            client_fee_earned,
            initiation_fee_earned,
            client_tax: contract.tax_of(client_fee_earned.checked_add(initiation_fee_earned)?)?,
        })
    }
}
