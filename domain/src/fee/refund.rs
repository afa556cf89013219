//! What a refund of money that was never released comes to in every account.

use ledger::{Minor, MoneyError};
use serde::{Deserialize, Serialize};

use super::{Bearer, ContractFees, FeeSchedule, MilestoneFees, RefundClientFee};

/// What is to be refunded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefundOf {
    /// How much of what is held, minor units.
    pub amount: Minor,
    /// Whether the contract ends by it with nothing ever released: then the initiation fee goes back too (D-25).
    pub ends_unreleased: bool,
    /// The provider's processing fee of the payment that goes back, as far as it goes back with this part; the provider
    /// keeps it. Zero where the platform bears it.
    pub psp_fee: Minor,
}

/// What a refund comes to.
///
/// `to_client + psp_fee_from_client = amount + client_fee_returned + initiation_fee_returned + tax_returned`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundSplit {
    /// What leaves the escrow (2100).
    pub amount: Minor,
    /// The client's fee that goes back (2300).
    pub client_fee_returned: Minor,
    /// The client's fee that the refund earns under `refund_client_fee = none` (2300 to 4110). J34.
    pub client_fee_earned: Minor,
    /// The initiation fee that goes back (2310).
    pub initiation_fee_returned: Minor,
    /// Tax of the fees that go back (from 2305; with the tax point `funding` from 2400).
    pub tax_returned: Minor,
    /// Tax of the fee that is earned (2305 to 2400; nothing to book with the tax point `funding`).
    pub tax_earned: Minor,
    /// The provider's fee that the client bears (to 5100).
    pub psp_fee_from_client: Minor,
    /// The provider's fee that the payee is to bear; not in this entry, but owed by the payee's account.
    pub psp_fee_from_payee: Minor,
    /// What the client gets back (2260).
    pub to_client: Minor,
}

impl FeeSchedule {
    /// What refunding a part of a milestone, or of the unallocated part, comes to. A refund of several lots is asked for
    /// lot by lot, each after the one before was folded in: the parts sum to the whole (D-78). Pure.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when less than the amount is there, or a sum does not fit.
    pub fn refund(
        &self,
        milestone: &MilestoneFees,
        contract: &ContractFees,
        refund: RefundOf,
    ) -> Result<RefundSplit, MoneyError> {
        let client_fee = milestone.client_fee_of(refund.amount)?;
        let (client_fee_returned, client_fee_earned) = match self.refund_client_fee {
            RefundClientFee::ProRata => (client_fee, Minor::ZERO),
            RefundClientFee::None => (Minor::ZERO, client_fee),
        };
        let initiation_fee_returned =
            if refund.ends_unreleased { contract.initiation_fee_deferred() } else { Minor::ZERO };
        let tax_earned = contract.tax_of(client_fee_earned)?;
        let mut rest = *contract;
        rest.remove(client_fee_earned, Minor::ZERO, tax_earned);
        let tax_returned = rest.tax_of(client_fee_returned.checked_add(initiation_fee_returned)?)?;

        let back = Minor::sum([refund.amount, client_fee_returned, initiation_fee_returned, tax_returned])?;
        let borne_by = |bearer| if self.refund_psp_fee_bearer == bearer { refund.psp_fee } else { Minor::ZERO };
        let psp_fee_from_client = borne_by(Bearer::Client).min(back);
        Ok(RefundSplit {
            amount: refund.amount,
            client_fee_returned,
            client_fee_earned,
            initiation_fee_returned,
            tax_returned,
            tax_earned,
            psp_fee_from_client,
            psp_fee_from_payee: borne_by(Bearer::Payee),
            to_client: back.checked_sub(psp_fee_from_client)?,
        })
    }
}
