//! What a payee who gives released money back comes to in every account (J35, J36, J96).

use ledger::{Minor, MoneyError, closing_share, is_zero};
use serde::{Deserialize, Serialize};

use super::ReleaseSplit;

/// What giving back comes to, or has come to so far. The sum of the debits `from_payee`, `payee_fee`, `payee_tax`,
/// `client_fee` and `client_tax` is the credit `to_client`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GivenBack {
    /// What was released before and goes back, gross.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gross: Minor,
    /// What the payee gives: the gross less the fee and the tax that are returned. What was withheld for the tax
    /// office stays there, so the payee gives it too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from_payee: Minor,
    /// The payee's fee that is returned (4100).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_fee: Minor,
    /// Tax on it (2400).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payee_tax: Minor,
    /// The client's fee that is returned (4110).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee: Minor,
    /// Tax on it (2400).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_tax: Minor,
    /// What the client gets (2260).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub to_client: Minor,
}

impl GivenBack {
    /// Both together; saturates, as the figures were checked when they were decided.
    pub fn add(&mut self, more: &Self) {
        let pairs = [
            (&mut self.gross, more.gross),
            (&mut self.from_payee, more.from_payee),
            (&mut self.payee_fee, more.payee_fee),
            (&mut self.payee_tax, more.payee_tax),
            (&mut self.client_fee, more.client_fee),
            (&mut self.client_tax, more.client_tax),
            (&mut self.to_client, more.to_client),
        ];
        for (sum, part) in pairs {
            *sum = sum.saturating_add(part);
        }
    }
}

/// What giving back `gross` comes to. `released`: sums over the releases that it is given back of; `before`: what was
/// given back of them so far. Fees go back in proportion, the initiation fee does not. Any partition comes to the same.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when more would go back than was released.
pub fn give_back(released: &ReleaseSplit, before: &GivenBack, gross: Minor) -> Result<GivenBack, MoneyError> {
    let gone = before.gross.checked_add(gross)?;
    let share = |total, already| closing_share(total, gone, released.gross, already);
    let payee_fee = share(released.payee_fee, before.payee_fee)?;
    // Two roundings can meet in one minor unit; the tax gives way.
    let payee_tax = share(released.payee_tax, before.payee_tax)?.min(gross.checked_sub(payee_fee)?);
    let client_fee = share(released.client_fee_earned, before.client_fee)?;
    let fees = released.client_fee_earned.checked_add(released.initiation_fee_earned)?;
    let client_tax =
        closing_share(released.client_tax, before.client_fee.checked_add(client_fee)?, fees, before.client_tax)?;
    let from_payee = gross.checked_sub(payee_fee.checked_add(payee_tax)?)?;
    Ok(GivenBack {
        gross,
        from_payee,
        payee_fee,
        payee_tax,
        client_fee,
        client_tax,
        to_client: Minor::sum([from_payee, payee_fee, payee_tax, client_fee, client_tax])?,
    })
}
