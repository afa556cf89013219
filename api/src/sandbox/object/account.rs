//! Accounts as the platform sees them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::BankAccount;
use crate::sandbox::form::Metadata;

/// A row of `accounts`, with its bank accounts.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "a row as it is stored")]
pub(in crate::sandbox) struct Account {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) platform: bool,
    pub(in crate::sandbox) account_type: String,
    pub(in crate::sandbox) country: String,
    pub(in crate::sandbox) default_currency: String,
    pub(in crate::sandbox) email: Option<String>,
    pub(in crate::sandbox) business_type: Option<String>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    pub(in crate::sandbox) transfers: String,
    pub(in crate::sandbox) payouts_enabled: bool,
    pub(in crate::sandbox) submitted: bool,
    pub(in crate::sandbox) currently_due: Vec<String>,
    pub(in crate::sandbox) past_due: Vec<String>,
    pub(in crate::sandbox) due_by: Option<DateTime<Utc>>,
    pub(in crate::sandbox) disabled_reason: Option<String>,
    pub(in crate::sandbox) payout_interval: String,
    pub(in crate::sandbox) deauthorized: bool,
    /// Oldest first. Filled in by whoever reads the row.
    #[sqlx(skip)]
    pub(in crate::sandbox) bank_accounts: Vec<BankAccount>,
}

impl Account {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let nothing = json!({
            "alternatives": [], "current_deadline": null, "currently_due": [], "disabled_reason": null, "errors": [],
            "eventually_due": [], "past_due": [], "pending_verification": [],
        });
        let requirements = json!({
            "alternatives": [], "current_deadline": self.due_by.map(|due_by| due_by.timestamp()),
            "currently_due": self.currently_due, "disabled_reason": self.disabled_reason, "errors": [],
            "eventually_due": self.currently_due, "past_due": self.past_due, "pending_verification": [],
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
        let mut schedule = json!({ "delay_days": 2, "interval": self.payout_interval });
        match self.payout_interval.as_str() {
            "weekly" => schedule["weekly_anchor"] = json!("monday"),
            "monthly" => schedule["monthly_anchor"] = json!(1),
            _ => {}
        }
        let bank_accounts: Vec<_> = self.bank_accounts.iter().map(BankAccount::show).collect();
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": {
                "annual_revenue": null, "estimated_worker_count": null, "mcc": null,
                "minority_owned_business_designation": null, "name": null, "product_description": null,
                "support_address": address, "support_email": null, "support_phone": null, "support_url": null, "url": null,
            },
            "business_type": self.business_type,
            "capabilities": { "card_payments": self.transfers, "transfers": self.transfers },
            "charges_enabled": self.transfers == "active",
            "controller": controller,
            "country": self.country,
            "created": self.created_at.timestamp(),
            "default_currency": self.default_currency,
            "details_submitted": self.submitted,
            "email": self.email,
            "external_accounts": {
                "object": "list", "data": bank_accounts, "has_more": false, "total_count": self.bank_accounts.len(),
                "url": format!("/v1/accounts/{}/external_accounts", self.id),
            },
            "future_requirements": nothing,
            "metadata": self.metadata,
            "payouts_enabled": self.payouts_enabled,
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
                "payouts": { "debit_negative_balances": false, "schedule": schedule, "statement_descriptor": null },
                "sepa_debit_payments": {},
            },
            "tos_acceptance": { "date": null, "ip": null, "user_agent": null },
            "type": self.account_type,
        })
    }

    /// Where a payout in this currency goes: the bank account for it. The platform's own one takes every currency.
    pub(in crate::sandbox) fn bank_account_for(&self, currency: &str) -> Option<&BankAccount> {
        let own = self.bank_accounts.iter().find(|bank| bank.currency == currency && bank.default_for_currency);
        own.or_else(|| self.bank_accounts.first().filter(|_| self.platform))
    }
}
