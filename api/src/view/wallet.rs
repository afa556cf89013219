//! A client's wallet as the API shows it.

use domain::wallet::{ClientWallet, WalletId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// What a client can pay with, in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WalletView {
    /// Always `wallet`.
    #[schema(example = "wallet")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What is there, minor units.
    #[schema(example = 105_000)]
    pub balance: i64,
    /// What of it can be paid with or taken out now: not what a bank contests of a top-up.
    #[schema(example = 105_000)]
    pub spendable: i64,
    /// The balance as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: String,
}

impl WalletView {
    /// The view of a wallet.
    pub fn of(id: WalletId, wallet: &ClientWallet) -> Self {
        Self {
            object: "wallet".to_owned(),
            party_id: id.party_id.to_string(),
            currency: id.currency.code().to_owned(),
            balance: wallet.balance.get(),
            spendable: wallet.spendable().get(),
            decimal: decimal(wallet.balance, id.currency),
        }
    }
}
