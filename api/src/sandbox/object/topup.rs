//! Top-ups.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// A row of `topups`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct TopUp {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) failure_code: Option<String>,
    pub(in crate::sandbox) source: Option<String>,
    pub(in crate::sandbox) balance_transaction: Option<String>,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) statement_descriptor: Option<String>,
    pub(in crate::sandbox) transfer_group: Option<String>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    pub(in crate::sandbox) arrival_at: DateTime<Utc>,
}

impl TopUp {
    pub(in crate::sandbox) fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "topup",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "description": self.description,
            "expected_availability_date": self.arrival_at.timestamp(),
            "failure_code": self.failure_code,
            "failure_message": self.failure_code.as_ref().map(|code| format!("The top-up failed: {code}.")),
            "livemode": false,
            "metadata": self.metadata,
            "source": null,
            "statement_descriptor": self.statement_descriptor,
            "status": self.status,
            "transfer_group": self.transfer_group,
        })
    }
}
