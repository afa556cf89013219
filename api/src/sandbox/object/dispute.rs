//! Disputes and early warnings of fraud.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// Fields of evidence that hold a text or the id of a file.
pub(in crate::sandbox) const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// A row of `disputes`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Dispute {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) charge: String,
    pub(in crate::sandbox) payment_intent: Option<String>,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) reason: String,
    pub(in crate::sandbox) evidence: Json<BTreeMap<String, String>>,
    pub(in crate::sandbox) submission_count: i64,
    pub(in crate::sandbox) due_by: DateTime<Utc>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) entries: Json<Vec<Value>>,
    pub(in crate::sandbox) taken: i64,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

/// A row of `early_fraud_warnings`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct FraudWarning {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) charge: String,
    pub(in crate::sandbox) payment_intent: Option<String>,
    pub(in crate::sandbox) fraud_type: String,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

impl Dispute {
    /// Whether the bank only asks.
    pub(in crate::sandbox) fn is_inquiry(&self) -> bool {
        self.status.starts_with("warning_")
    }

    /// Whether the bank waits for evidence.
    pub(in crate::sandbox) fn waits(&self) -> bool {
        self.status.ends_with("needs_response")
    }

    pub(in crate::sandbox) fn show(&self) -> Value {
        let mut evidence: Map<String, Value> =
            EVIDENCE.iter().map(|field| ((*field).to_owned(), json!(self.evidence.get(*field)))).collect();
        evidence.insert("enhanced_evidence".to_owned(), json!({}));
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": self.entries,
            "charge": self.charge,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": self.waits().then(|| self.due_by.timestamp()),
                "enhanced_eligibility": {},
                "has_evidence": !self.evidence.is_empty(),
                "past_due": false,
                "submission_count": self.submission_count,
            },
            "is_charge_refundable": self.is_inquiry(),
            "livemode": false,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method_details": {
                "card": {
                    "brand": "visa",
                    "case_type": if self.is_inquiry() { "inquiry" } else { "chargeback" },
                    "network": "visa",
                    "network_reason_code": if self.reason == "fraudulent" { "10.4" } else { "13.1" },
                },
                "type": "card",
            },
            "reason": self.reason,
            "status": self.status,
        })
    }
}

impl FraudWarning {
    pub(in crate::sandbox) fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "radar.early_fraud_warning",
            "actionable": true,
            "charge": self.charge,
            "created": self.created_at.timestamp(),
            "fraud_type": self.fraud_type,
            "livemode": false,
            "payment_intent": self.payment_intent,
        })
    }
}
