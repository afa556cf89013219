//! Taxes: on fees, by jurisdiction of who pays the fee; withheld from earnings, by jurisdiction of the payee.
//!
//! # What is deliberately absent
//! Which rate is right, and whether a business is registered: the operator and the party's record say so. Taxes on the
//! work itself are between the parties.

use ledger::{Minor, Percent};
use serde::{Deserialize, Serialize};

use super::{FeeSchedule, ReleaseSplit};
use crate::jurisdiction::Jurisdiction;

/// When the tax on what the client pays on top becomes payable. That on the payee's fee always does at release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxPoint {
    /// When the client pays: credited to 2400 at once.
    Funding,
    /// When the fee is earned: deferred on 2305 until then. J04, J14.
    #[default]
    Release,
}

/// The taxes of one jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRule {
    /// Where.
    pub jurisdiction: Jurisdiction,
    /// VAT or sales tax on fees, on top of them.
    pub percent: Percent,
    /// Whether a registered business there accounts for the tax itself. False where the platform is at home.
    #[serde(default)]
    pub reverse_charge: bool,
    /// Income tax withheld of a payee's gross earnings. J15.
    #[serde(default)]
    pub withholding: Percent,
}

/// What decides about the taxes of a party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxStatus {
    /// Where the party is taxed; unknown: no tax.
    pub jurisdiction: Option<Jurisdiction>,
    /// Whether it is a business registered for the tax on fees.
    #[serde(default)]
    pub registered_business: bool,
}

/// The taxes of one party of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyTax {
    /// Where.
    pub jurisdiction: Jurisdiction,
    /// Rate of the tax on its fees.
    pub percent: Percent,
    /// Whether it accounts for that tax itself: nothing is charged, and its invoices say so. D-65.
    #[serde(default)]
    pub reverse_charge: bool,
    /// Rate of the income tax withheld of its gross earnings.
    #[serde(default)]
    pub withholding: Percent,
}

impl PartyTax {
    /// The rate that is charged.
    fn charged(&self) -> Percent {
        if self.reverse_charge { Percent::default() } else { self.percent }
    }
}

/// The taxes of a schedule; in a contract, those of its parties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tax {
    /// When the tax on what the client pays on top becomes payable.
    pub point: TaxPoint,
    /// Rates by jurisdiction, from which a contract takes its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<TaxRule>,
    /// In a contract: the client's. None: untaxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<PartyTax>,
    /// In a contract: the payee's. None: untaxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payee: Option<PartyTax>,
}

impl Tax {
    /// Whether it says nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The same with the taxes of these parties, chosen from the rules: the rule of the jurisdiction, or else that of its
    /// country, or else no tax.
    pub(super) fn for_parties(&self, client: &TaxStatus, payee: &TaxStatus) -> Self {
        Self { client: self.of(client), payee: self.of(payee), ..self.clone() }
    }

    fn of(&self, status: &TaxStatus) -> Option<PartyTax> {
        let place = status.jurisdiction.as_ref()?;
        let rule = |code: &str| self.rules.iter().find(|rule| rule.jurisdiction.code() == code);
        let rule = rule(place.code()).or_else(|| rule(place.country()))?;
        Some(PartyTax {
            jurisdiction: rule.jurisdiction.clone(),
            percent: rule.percent,
            reverse_charge: rule.reverse_charge && status.registered_business,
            withholding: rule.withholding,
        })
    }

    /// The part of a tax on what the client pays on top that is or was deferred (2305): all of it, or nothing.
    pub fn deferred(&self, client_tax: Minor) -> Minor {
        match self.point {
            TaxPoint::Release => client_tax,
            TaxPoint::Funding => Minor::ZERO,
        }
    }

    pub(super) fn client_percent(&self) -> Percent {
        self.client.as_ref().map(PartyTax::charged).unwrap_or_default()
    }

    pub(super) fn payee_percent(&self) -> Percent {
        self.payee.as_ref().map(PartyTax::charged).unwrap_or_default()
    }

    pub(super) fn withholding(&self) -> Percent {
        self.payee.as_ref().map(|tax| tax.withholding).unwrap_or_default()
    }
}

/// Tax that becomes payable (2400), with what the account asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxLine {
    /// Where.
    pub jurisdiction: Jurisdiction,
    /// The rate.
    pub percent: Percent,
    /// How much, minor units; never zero.
    pub amount: Minor,
}

impl FeeSchedule {
    /// The credits to 2400 of a release: one line where both parties are taxed alike (J14), two where not. No line is
    /// zero.
    pub fn tax_of_release(&self, split: &ReleaseSplit) -> Vec<TaxLine> {
        let mut lines: Vec<TaxLine> = Vec::new();
        let taxes = [(&self.tax.payee, split.payee_tax), (&self.tax.client, self.tax.deferred(split.client_tax))];
        for (tax, amount) in taxes {
            let Some(tax) = tax.as_ref().filter(|_| !amount.is_zero()) else { continue };
            match lines.iter_mut().find(|line| line.jurisdiction == tax.jurisdiction && line.percent == tax.percent) {
                Some(line) => line.amount = line.amount.saturating_add(amount),
                None => {
                    lines.push(TaxLine { jurisdiction: tax.jurisdiction.clone(), percent: tax.percent, amount });
                }
            }
        }
        lines
    }
}
