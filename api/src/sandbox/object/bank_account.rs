//! Bank accounts of connected accounts.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// A row of `bank_accounts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct BankAccount {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) country: String,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) account_number: String,
    pub(in crate::sandbox) routing_number: Option<String>,
    pub(in crate::sandbox) account_holder_name: Option<String>,
    pub(in crate::sandbox) default_for_currency: bool,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

impl BankAccount {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let number = &self.account_number;
        let last4 = number.get(number.len().saturating_sub(4)..).unwrap_or(number);
        json!({
            "id": self.id,
            "object": "bank_account",
            "account": self.account_id,
            "account_holder_name": self.account_holder_name,
            "account_holder_type": null,
            "account_type": null,
            "available_payout_methods": ["standard"],
            "bank_name": "SANDBOX TEST BANK",
            "country": self.country,
            "currency": self.currency,
            "customer": null,
            "default_for_currency": self.default_for_currency,
            "fingerprint": fingerprint(number),
            "last4": last4,
            "metadata": self.metadata,
            "routing_number": self.routing_number,
            "status": self.status,
        })
    }
}

/// The same number has the same one, in whatever account.
fn fingerprint(number: &str) -> String {
    hex::encode(Sha256::digest(number.as_bytes())).chars().take(16).collect()
}
