//! Balances, their entries, and what leaves them: transfers and payouts.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::form::Metadata;

/// A row of `balance_transactions`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct BalanceTransaction {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) fee: i64,
    pub(in crate::sandbox) net: i64,
    pub(in crate::sandbox) currency: String,
    #[sqlx(rename = "type")]
    pub(in crate::sandbox) kind: String,
    pub(in crate::sandbox) source: String,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) available_on: DateTime<Utc>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

/// A row of `transfers`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Transfer {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) destination: String,
    pub(in crate::sandbox) destination_payment: String,
    pub(in crate::sandbox) balance_transaction: String,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) transfer_group: Option<String>,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
}

/// A row of `payouts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct Payout {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) destination: String,
    pub(in crate::sandbox) balance_transaction: String,
    pub(in crate::sandbox) description: Option<String>,
    pub(in crate::sandbox) statement_descriptor: Option<String>,
    pub(in crate::sandbox) status: String,
    pub(in crate::sandbox) metadata: Json<Metadata>,
    pub(in crate::sandbox) created_at: DateTime<Utc>,
    pub(in crate::sandbox) submit_at: DateTime<Utc>,
    pub(in crate::sandbox) arrival_at: DateTime<Utc>,
}

/// A row of `balances`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct CurrencyBalance {
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) pending: i64,
    pub(in crate::sandbox) available: i64,
}

impl BalanceTransaction {
    pub(in crate::sandbox) fn show(&self) -> Value {
        let fee_details = if self.fee == 0 {
            json!([])
        } else {
            json!([{
                "amount": self.fee, "application": null, "currency": self.currency,
                "description": "Sandbox processing fees", "type": "stripe_fee",
            }])
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.available_on.timestamp(),
            "balance_type": "payments",
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "description": self.description,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fee_details,
            "net": self.net,
            // A payment by transfer is reported as a charge (https://docs.stripe.com/reports/reporting-categories).
            "reporting_category": if self.kind == "payment" { "charge" } else { self.kind.as_str() },
            "source": self.source,
            "status": self.status,
            "type": self.kind,
        })
    }
}

impl Transfer {
    pub(in crate::sandbox) fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "transfer",
            "amount": self.amount,
            "amount_reversed": 0,
            "balance_transaction": self.balance_transaction,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "description": self.description,
            "destination": self.destination,
            "destination_payment": self.destination_payment,
            "livemode": false,
            "metadata": self.metadata,
            "reversals": {
                "object": "list", "data": [], "has_more": false, "url": format!("/v1/transfers/{}/reversals", self.id),
            },
            "reversed": false,
            "source_transaction": null,
            "source_type": "card",
            "transfer_group": self.transfer_group,
        })
    }
}

impl Payout {
    pub(in crate::sandbox) fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payout",
            "amount": self.amount,
            "application_fee": null,
            "application_fee_amount": null,
            "arrival_date": self.arrival_at.timestamp(),
            "automatic": false,
            "balance_transaction": self.balance_transaction,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "description": self.description,
            "destination": self.destination,
            "failure_balance_transaction": null,
            "failure_code": null,
            "failure_message": null,
            "livemode": false,
            "metadata": self.metadata,
            "method": "standard",
            "original_payout": null,
            "payout_method": null,
            "reconciliation_status": "not_applicable",
            "reversed_by": null,
            "source_type": "card",
            "statement_descriptor": self.statement_descriptor,
            "status": self.status,
            "trace_id": if self.status == "paid" {
                json!({ "status": "unsupported", "value": null })
            } else {
                json!({ "status": "pending", "value": null })
            },
            "type": "bank_account",
        })
    }
}

/// The balance object of an account that holds `balances`, or nothing yet in `default_currency`.
pub(in crate::sandbox) fn show_balance(balances: &[CurrencyBalance], default_currency: &str) -> Value {
    let nothing = [CurrencyBalance { currency: default_currency.to_owned(), pending: 0, available: 0 }];
    let balances = if balances.is_empty() { &nothing } else { balances };
    let sums = |amount: fn(&CurrencyBalance) -> i64| -> Vec<Value> {
        balances
            .iter()
            .map(|balance| {
                let amount = amount(balance);
                json!({ "amount": amount, "currency": balance.currency, "source_types": { "card": amount } })
            })
            .collect()
    };
    json!({
        "object": "balance",
        "available": sums(|balance| balance.available),
        "connect_reserved":
            balances.iter().map(|balance| json!({ "amount": 0, "currency": balance.currency })).collect::<Vec<_>>(),
        "livemode": false,
        "pending": sums(|balance| balance.pending),
    })
}
