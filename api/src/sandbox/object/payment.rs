//! Payment intents, charges, and the payment methods behind them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;
use crate::sandbox::test_card::TestCard;

/// A row of `payment_intents`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct PaymentIntent {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) capture_method: String,
    pub(in crate::sandbox) payment_method: Option<String>,
    pub(in crate::sandbox) payment_method_token: Option<String>,
    pub(in crate::sandbox) payment_method_types: Vec<String>,
    pub(in crate::sandbox) automatic_payment_methods: bool,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) receipt_email: Option<String>,
    pub(in crate::sandbox) statement_descriptor: Option<String>,
    pub(in crate::sandbox) transfer_group: Option<String>,
    pub(in crate::sandbox) client_secret: String,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) latest_charge: Option<String>,
    pub(in crate::sandbox) last_payment_error: Option<Value>,
    pub(in crate::sandbox) next_action: Option<Value>,
    pub(in crate::sandbox) cancellation_reason: Option<String>,
    pub(in crate::sandbox) canceled_at: Option<DateTime<Utc>>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    /// What was captured: the amount, unless a planned fault says otherwise.
    pub(in crate::sandbox) amount_received: i64,
    /// When the bank answers a debit; `None` when it is none, or is never answered.
    pub(in crate::sandbox) settles_at: Option<DateTime<Utc>>,
}

/// A row of `charges`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Charge {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) payment_intent: Option<String>,
    pub(in crate::sandbox) source_transfer: Option<String>,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) amount_refunded: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) payment_method: Option<String>,
    pub(in crate::sandbox) payment_method_token: Option<String>,
    pub(in crate::sandbox) balance_transaction: Option<String>,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) receipt_email: Option<String>,
    pub(in crate::sandbox) statement_descriptor: Option<String>,
    pub(in crate::sandbox) transfer_group: Option<String>,
    pub(in crate::sandbox) failure_code: Option<String>,
    pub(in crate::sandbox) failure_message: Option<String>,
    pub(in crate::sandbox) decline_code: Option<String>,
    pub(in crate::sandbox) disputed: bool,
    pub(in crate::sandbox) failure_balance_transaction: Option<String>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    /// What it costs when it succeeds.
    pub(in crate::sandbox) fee: i64,
    /// From its success to the availability of its funds.
    pub(in crate::sandbox) available_after_seconds: i64,
    /// From its success to its balance transaction.
    pub(in crate::sandbox) booked_after_seconds: i64,
    /// When a late balance transaction is written.
    pub(in crate::sandbox) books_at: Option<DateTime<Utc>>,
}

impl PaymentIntent {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let first = json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods":
                self.automatic_payment_methods.then(|| json!({ "allow_redirects": "always", "enabled": true })),
            "canceled_at": self.canceled_at.map(|at| at.timestamp()),
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "description": self.description,
            "excluded_payment_method_types": null,
        });
        let second = json!({
            "last_payment_error": self.last_payment_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "managed_payments": null,
            "metadata": self.metadata,
            "next_action": self.next_action,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": self.show_options(),
            "payment_method_types": self.payment_method_types,
            "processing": null,
            "receipt_email": self.receipt_email,
            "review": null,
            "setup_future_usage": null,
            "shipping": null,
            "source": null,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": self.transfer_group,
        });
        merged(first, second)
    }

    fn show_options(&self) -> Value {
        let mut options = json!({});
        for kind in &self.payment_method_types {
            options[kind] = match kind.as_str() {
                "us_bank_account" => json!({ "verification_method": "automatic" }),
                _ => json!({
                    "installments": null, "mandate_options": null, "network": null,
                    "request_three_d_secure": "automatic",
                }),
            };
        }
        options
    }
}

impl Charge {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let succeeded = self.status == "succeeded";
        let failed = self.status == "failed";
        let outcome = if self.source_transfer.is_some() {
            Value::Null
        } else {
            json!({
                "advice_code": if failed { json!("try_again_later") } else { Value::Null },
                "network_advice_code": null,
                "network_decline_code": if failed { json!("01") } else { Value::Null },
                "network_status": if failed { "declined_by_network" } else { "approved_by_network" },
                "reason": self.decline_code,
                "risk_level": "normal",
                "risk_score": 1,
                "seller_message": if failed {
                    "The bank did not return any further details with this decline."
                } else {
                    "Payment complete."
                },
                "type": if failed { "issuer_declined" } else { "authorized" },
            })
        };
        let first = json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if succeeded { self.amount } else { 0 },
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.balance_transaction,
            "billing_details": billing_details(),
            "calculated_statement_descriptor": self.statement_descriptor.as_deref().unwrap_or("SANDBOX"),
            "captured": !failed,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": self.failure_balance_transaction,
            "failure_code": self.failure_code,
            "failure_message": self.failure_message,
            "fraud_details": {},
        });
        let second = json!({
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": outcome,
            "paid": succeeded,
            "payment_intent": self.payment_intent,
            "payment_method": self.payment_method,
            "payment_method_details": self.show_payment_method_details(),
            "receipt_email": self.receipt_email,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.amount_refunded == self.amount,
            // Listed only for those who expand it, since API version 2022-11-15; the sandbox lists them by `/v1/refunds`.
            "refunds": null,
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": self.source_transfer,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": null,
            "transfer_group": self.transfer_group,
        });
        merged(first, second)
    }

    fn show_payment_method_details(&self) -> Value {
        let Some(token) = &self.payment_method_token else {
            return json!({ "type": "stripe_account", "stripe_account": {} });
        };
        if TestCard::get(token).is_some_and(TestCard::is_bank_account) {
            return json!({
                "type": "us_bank_account",
                "us_bank_account": {
                    "account_holder_type": "individual",
                    "account_type": "checking",
                    "bank_name": "STRIPE TEST BANK",
                    "fingerprint": "sandboxBankAcct0",
                    "last4": TestCard::last4_of(token),
                    "mandate": null,
                    "payment_reference": null,
                    "routing_number": "110000000",
                },
            });
        }
        json!({
            "type": "card",
            "card": {
                "amount_authorized": self.amount,
                "authorization_code": null,
                "brand": "visa",
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "exp_month": 12,
                "exp_year": 2040,
                "extended_authorization": { "status": "disabled" },
                "fingerprint": "sandboxVisaCard0",
                "funding": "credit",
                "incremental_authorization": { "status": "unavailable" },
                "installments": null,
                "last4": TestCard::last4_of(token),
                "mandate": null,
                "multicapture": { "status": "unavailable" },
                "network": "visa",
                "network_token": { "used": false },
                "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": self.amount, "status": "unavailable" },
                "regulated_status": "unregulated",
                "three_d_secure": null,
                "transaction_link_id": null,
                "wallet": null,
            },
        })
    }
}

/// The payment method that a test token stands for.
pub(in crate::sandbox) fn show_payment_method(id: &str, token: &str, created_at: DateTime<Utc>) -> Value {
    if TestCard::get(token).is_some_and(TestCard::is_bank_account) {
        return json!({
            "id": id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": billing_details(),
            "created": created_at.timestamp(),
            "customer": null,
            "customer_account": null,
            "livemode": false,
            "metadata": {},
            "type": "us_bank_account",
            "us_bank_account": {
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": null,
                "fingerprint": "sandboxBankAcct0",
                "last4": TestCard::last4_of(token),
                "networks": { "preferred": "ach", "supported": ["ach"] },
                "routing_number": "110000000",
                "status_details": null,
            },
        });
    }
    json!({
        "id": id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "card": {
            "brand": "visa",
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2040,
            "fingerprint": "sandboxVisaCard0",
            "funding": "credit",
            "generated_from": null,
            "last4": TestCard::last4_of(token),
            "networks": { "available": ["visa"], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": created_at.timestamp(),
        "customer": null,
        "customer_account": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}

/// One object of two. (`json!` takes no more fields at once than the compiler's recursion limit lets it.)
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            Value::Object(first)
        }
        (first, _) => first,
    }
}

fn billing_details() -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "email": null,
        "name": null,
        "phone": null,
        "tax_id": null,
    })
}
