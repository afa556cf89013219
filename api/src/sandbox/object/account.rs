//! Accounts and their bank accounts.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// A row of `accounts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Account {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) platform: bool,
    pub(in crate::sandbox) account_type: String,
    pub(in crate::sandbox) country: String,
    pub(in crate::sandbox) default_currency: String,
    pub(in crate::sandbox) email: Option<String>,
    pub(in crate::sandbox) business_type: Option<String>,
    pub(in crate::sandbox) bank_account: String,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

impl Account {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let requirements = json!({
            "alternatives": [], "current_deadline": null, "currently_due": [], "disabled_reason": null, "errors": [],
            "eventually_due": [], "past_due": [], "pending_verification": [],
        });
        let address = json!({
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        });
        let controller = if self.account_type == "none" {
            json!({
                "fees": { "payer": "application" }, "is_controller": true, "losses": { "payments": "application" },
                "requirement_collection": "application", "stripe_dashboard": { "type": "none" }, "type": "application",
            })
        } else {
            json!({ "type": "account" })
        };
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": {
                "annual_revenue": null, "estimated_worker_count": null, "mcc": null,
                "minority_owned_business_designation": null, "name": null, "product_description": null,
                "support_address": address, "support_email": null, "support_phone": null, "support_url": null, "url": null,
            },
            "business_type": self.business_type,
            "capabilities": { "card_payments": "active", "transfers": "active" },
            "charges_enabled": true,
            "controller": controller,
            "country": self.country,
            "created": self.created_at.timestamp(),
            "default_currency": self.default_currency,
            "details_submitted": true,
            "email": self.email,
            "external_accounts": {
                "object": "list", "data": [self.show_bank_account()], "has_more": false, "total_count": 1,
                "url": format!("/v1/accounts/{}/external_accounts", self.id),
            },
            "future_requirements": requirements,
            "metadata": self.metadata,
            "payouts_enabled": true,
            "requirements": requirements,
            "settings": {
                "bacs_debit_payments": { "display_name": null, "service_user_number": null },
                "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
                "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
                "card_payments": {
                    "decline_on": { "avs_failure": false, "cvc_failure": false },
                    "statement_descriptor_prefix": null, "statement_descriptor_prefix_kana": null,
                    "statement_descriptor_prefix_kanji": null,
                },
                "dashboard": { "display_name": null, "timezone": "Etc/UTC" },
                "invoices": { "default_account_tax_ids": null, "hosted_payment_method_save": null },
                "payments": {
                    "statement_descriptor": null, "statement_descriptor_kana": null, "statement_descriptor_kanji": null,
                    "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null,
                },
                "payouts": {
                    "debit_negative_balances": false,
                    "schedule": { "delay_days": 2, "interval": "manual" },
                    "statement_descriptor": null,
                },
                "sepa_debit_payments": {},
            },
            "tos_acceptance": { "date": null, "ip": null, "user_agent": null },
            "type": self.account_type,
        })
    }

    pub(in crate::sandbox) fn show_bank_account(&self) -> Value {
        json!({
            "id": self.bank_account,
            "object": "bank_account",
            "account": self.id,
            "account_holder_name": null,
            "account_holder_type": null,
            "account_type": null,
            "available_payout_methods": ["standard"],
            "bank_name": "SANDBOX TEST BANK",
            "country": self.country,
            "currency": self.default_currency,
            "customer": null,
            "default_for_currency": true,
            "fingerprint": "sandboxBankAccount",
            "last4": "6789",
            "metadata": {},
            "routing_number": "110000000",
            "status": "new",
        })
    }
}
