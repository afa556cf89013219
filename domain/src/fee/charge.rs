//! What a funding costs the client.

use ledger::{Currency, Minor, MoneyError, percentage};
use serde::{Deserialize, Serialize};

use super::rule::{Limit, Quote, due};
use super::{Bearer, ContractFees, Fee, FeeSchedule, MilestoneFees};

/// The part of a funding that is for one milestone, or stays unallocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// How much is to be held, minor units.
    pub amount: Minor,
    /// The milestone, or the unallocated part, before.
    pub before: MilestoneFees,
}

/// What a client is charged. `amounts + client_fee + initiation_fee + tax = total`, `total + surplus = charge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The client's fee of each part, in the order of the parts.
    pub client_fees: Vec<Minor>,
    /// Their sum.
    pub client_fee: Minor,
    /// The initiation fee, when it is charged with this funding.
    pub initiation_fee: Minor,
    /// Tax on both. Deferred (2305) with the tax point `release`, payable (2400) with `funding`.
    pub tax: Minor,
    /// What is due.
    pub total: Minor,
    /// What the provider is asked for: the total, rounded up to what it can charge.
    pub charge: Minor,
    /// The difference, for the client's wallet. J92.
    pub surplus: Minor,
}

impl FeeSchedule {
    /// What funding `parts` costs. `billed`: what the client has paid this payee before, gross, over all contracts, for
    /// tiers; `initiation`: whether the initiation fee is due, that is, whether this is the contract's first funding.
    ///
    /// A milestone that is funded in parts costs what it costs at once. What left it without being released took its fee
    /// along, and costs again when it comes again. Pure: asked again, the answer is the same.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when a sum does not fit.
    pub fn charge(
        &self,
        currency: Currency,
        parts: &[Part],
        contract: &ContractFees,
        billed: Minor,
        initiation: bool,
    ) -> Result<Charge, MoneyError> {
        let passed_on = self.passed_on_to(Bearer::Client);
        let quote = Quote { fee: &self.client_fee, passed_on, discounts: &[], limit: Limit::None };
        let mut client_fees = Vec::with_capacity(parts.len());
        for part in parts {
            // Tiers of the client go by what was billed before; what is funded here comes on top of it.
            let offset = billed.saturating_sub(part.before.released);
            let kept = part.before.kept();
            let after = due(&quote, offset, kept.checked_add(part.amount)?)?;
            client_fees.push(after.checked_sub(due(&quote, offset, kept)?)?);
        }
        let client_fee = Minor::sum(client_fees.iter().copied())?;
        let initiation_fee = if initiation { self.initiation_fee } else { Minor::ZERO };
        let tax = self.client_tax(contract, client_fee.checked_add(initiation_fee)?)?;
        let amounts = Minor::sum(parts.iter().map(|part| part.amount))?;
        let total = Minor::sum([amounts, client_fee, initiation_fee, tax])?;
        let (charge, surplus) = currency.charge_and_surplus(total)?;
        Ok(Charge { client_fees, client_fee, initiation_fee, tax, total, charge, surplus })
    }

    /// R6: tax on the fees of one more invoice, on the total of all so far, less what they had.
    fn client_tax(&self, contract: &ContractFees, fees: Minor) -> Result<Minor, MoneyError> {
        let percent = self.tax.client_percent();
        let before = contract.client_fees.checked_add(contract.initiation_fee)?;
        Ok(percentage(before.checked_add(fees)?, percent)?.saturating_sub(contract.tax))
    }

    /// The processing fee, when this one pays it.
    pub(super) fn passed_on_to(&self, payer: Bearer) -> &Fee {
        static NOTHING: Fee = Fee::none();
        if self.processing_fee_payer == payer { &self.processing_fee } else { &NOTHING }
    }
}
