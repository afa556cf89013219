//! Refunds.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// A row of `refunds`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Refund {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) charge: String,
    pub(in crate::sandbox) payment_intent: Option<String>,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) pending_reason: Option<String>,
    pub(in crate::sandbox) reason: Option<String>,
    pub(in crate::sandbox) failure_reason: Option<String>,
    pub(in crate::sandbox) balance_transaction: Option<String>,
    pub(in crate::sandbox) failure_balance_transaction: Option<String>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    pub(in crate::sandbox) behaviour: String,
    pub(in crate::sandbox) turns_after_seconds: i64,
    pub(in crate::sandbox) turns_at: Option<DateTime<Utc>>,
}

impl Refund {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let mut refund = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": {
                "card": {
                    "reference_status": if self.status == "succeeded" { "available" } else { "pending" },
                    "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
                "type": "card",
            },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": null,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status,
            "transfer_reversal": null,
        });
        // These are shown only where they say something.
        let others = [
            ("failure_balance_transaction", &self.failure_balance_transaction),
            ("failure_reason", &self.failure_reason),
            ("pending_reason", &self.pending_reason),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                refund[name] = json!(value);
            }
        }
        refund
    }
}
