//! What the fees of later parts depend on: sums of what came and went so far. The escrow keeps them; both start at zero.
//!
//! Folding saturates: the figures were checked when they were decided.

use ledger::{Minor, MoneyError, closing_share, is_zero};
use serde::{Deserialize, Serialize};

use super::{RefundSplit, ReleaseSplit};

/// Sums of one milestone, or of the unallocated part of a contract, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MilestoneFees {
    /// Came in: funded and moved in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub came: Minor,
    /// Left, whatever for: released, refunded, moved out, lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gone: Minor,
    /// Of what left, released to the payee, gross.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub released: Minor,
    /// The client's fee that came with what came in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee: Minor,
    /// Of it, what left with what left: earned, returned, moved on, lost. The rest is deferred.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee_gone: Minor,
    /// The payee's fee taken of releases.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_fee: Minor,
    /// Tax on it, taken of releases.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_tax: Minor,
    /// Income tax withheld of releases.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withheld: Minor,
}

impl MilestoneFees {
    /// What is still there.
    pub fn rest(&self) -> Minor {
        self.came.saturating_sub(self.gone)
    }

    /// What came and is still there, or was released: what the client's fee was taken for and has not gone back, moved on
    /// or been lost.
    pub fn kept(&self) -> Minor {
        self.came.saturating_sub(self.gone.saturating_sub(self.released))
    }

    /// The client's fee that is still deferred.
    pub fn deferred(&self) -> Minor {
        self.client_fee.saturating_sub(self.client_fee_gone)
    }

    /// R5: the deferred client fee that goes along when `amount` leaves, for whatever reason. Use it as it is for money
    /// that moves to another milestone (J08, J99) or is lost to a chargeback (J52).
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when less than `amount` is there.
    pub fn client_fee_of(&self, amount: Minor) -> Result<Minor, MoneyError> {
        closing_share(self.client_fee, self.gone.checked_add(amount)?, self.came, self.client_fee_gone)
    }

    /// `amount` came in, with its client fee: funded, or moved in.
    pub fn add(&mut self, amount: Minor, client_fee: Minor) {
        self.came = self.came.saturating_add(amount);
        self.client_fee = self.client_fee.saturating_add(client_fee);
    }

    /// `amount` left, with its client fee: moved out, refunded, or lost.
    pub fn remove(&mut self, amount: Minor, client_fee: Minor) {
        self.gone = self.gone.saturating_add(amount);
        self.client_fee_gone = self.client_fee_gone.saturating_add(client_fee);
    }

    /// A release happened.
    pub fn release(&mut self, split: &ReleaseSplit) {
        self.remove(split.gross, split.client_fee_earned);
        self.released = self.released.saturating_add(split.gross);
        self.payee_fee = self.payee_fee.saturating_add(split.payee_fee);
        self.payee_tax = self.payee_tax.saturating_add(split.payee_tax);
        self.withheld = self.withheld.saturating_add(split.withheld);
    }

    /// A refund happened.
    pub fn refund(&mut self, split: &RefundSplit) {
        self.remove(split.amount, split.client_fee_returned.saturating_add(split.client_fee_earned));
    }
}

/// Sums of one contract's fees that the client paid on top, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContractFees {
    /// Initiation fee charged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation_fee: Minor,
    /// Of it, earned or returned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation_fee_gone: Minor,
    /// Client fees charged, over all milestones and the unallocated part.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fees: Minor,
    /// Of them, earned, returned or lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fees_gone: Minor,
    /// Tax charged on both.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax: Minor,
    /// Of it, the tax of fees that were earned, returned or lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax_gone: Minor,
}

impl ContractFees {
    /// The initiation fee that is still deferred.
    pub fn initiation_fee_deferred(&self) -> Minor {
        self.initiation_fee.saturating_sub(self.initiation_fee_gone)
    }

    /// Tax of fees that are still deferred.
    pub fn tax_deferred(&self) -> Minor {
        self.tax.saturating_sub(self.tax_gone)
    }

    /// R6: the tax that goes along when `fees` (client fee, initiation fee, or both) are earned, returned or lost.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when fewer fees are deferred.
    pub fn tax_of(&self, fees: Minor) -> Result<Minor, MoneyError> {
        let charged = self.client_fees.checked_add(self.initiation_fee)?;
        let gone = Minor::sum([self.client_fees_gone, self.initiation_fee_gone, fees])?;
        closing_share(self.tax, gone, charged, self.tax_gone)
    }

    /// A funding arrived, with these fees and their tax.
    pub fn add(&mut self, client_fee: Minor, initiation_fee: Minor, tax: Minor) {
        self.client_fees = self.client_fees.saturating_add(client_fee);
        self.initiation_fee = self.initiation_fee.saturating_add(initiation_fee);
        self.tax = self.tax.saturating_add(tax);
    }

    /// Fees were earned, returned or lost, with their tax.
    pub fn remove(&mut self, client_fee: Minor, initiation_fee: Minor, tax: Minor) {
        self.client_fees_gone = self.client_fees_gone.saturating_add(client_fee);
        self.initiation_fee_gone = self.initiation_fee_gone.saturating_add(initiation_fee);
        self.tax_gone = self.tax_gone.saturating_add(tax);
    }

    /// A release happened.
    pub fn release(&mut self, split: &ReleaseSplit) {
        self.remove(split.client_fee_earned, split.initiation_fee_earned, split.client_tax);
    }

    /// A refund happened.
    pub fn refund(&mut self, split: &RefundSplit) {
        self.remove(
            split.client_fee_returned.saturating_add(split.client_fee_earned),
            split.initiation_fee_returned,
            split.tax_returned.saturating_add(split.tax_earned),
        );
    }
}
