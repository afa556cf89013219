//! Balances, their entries, and what leaves them: transfers, their reversals, and payouts.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::types::Json;

use crate::sandbox::exchange;
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
    pub(in crate::sandbox) rate_billionths: Option<i64>,
    pub(in crate::sandbox) reporting_category: Option<String>,
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
    pub(in crate::sandbox) amount_reversed: i64,
    /// Newest first. Filled in by whoever reads the row.
    #[sqlx(skip)]
    pub(in crate::sandbox) reversals: Vec<TransferReversal>,
}

/// A row of `transfer_reversals`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::sandbox) struct TransferReversal {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) account_id: String,
    pub(in crate::sandbox) transfer: String,
    pub(in crate::sandbox) amount: i64,
    pub(in crate::sandbox) currency: String,
    pub(in crate::sandbox) balance_transaction: String,
    pub(in crate::sandbox) destination_payment_refund: String,
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
    pub(in crate::sandbox) fails_with: Option<String>,
    pub(in crate::sandbox) failure_code: Option<String>,
    pub(in crate::sandbox) failure_balance_transaction: Option<String>,
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
            "exchange_rate": exchange::show(self.rate_billionths),
            "fee": self.fee,
            "fee_details": fee_details,
            "net": self.net,
            // A payment by transfer is reported as a charge (https://docs.stripe.com/reports/reporting-categories).
            "reporting_category": match (&self.reporting_category, self.kind.as_str()) {
                (Some(category), _) => category.as_str(),
                (None, "payment") => "charge",
                (None, "payment_failure_refund") => "charge_failure",
                (None, kind) => kind,
            },
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
            "amount_reversed": self.amount_reversed,
            "balance_transaction": self.balance_transaction,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "description": self.description,
            "destination": self.destination,
            "destination_payment": self.destination_payment,
            "livemode": false,
            "metadata": self.metadata,
            "reversals": {
                "object": "list", "data": self.reversals.iter().map(TransferReversal::show).collect::<Vec<_>>(),
                "has_more": false, "url": format!("/v1/transfers/{}/reversals", self.id),
            },
            "reversed": self.amount_reversed == self.amount,
            "source_transaction": null,
            "source_type": "card",
            "transfer_group": self.transfer_group,
        })
    }
}

impl TransferReversal {
    pub(in crate::sandbox) fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "transfer_reversal",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "destination_payment_refund": self.destination_payment_refund,
            "metadata": self.metadata,
            "source_refund": null,
            "transfer": self.transfer,
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
            "failure_balance_transaction": self.failure_balance_transaction,
            "failure_code": self.failure_code,
            "failure_message": self.failure_code.as_ref().map(|code| format!("The bank account says: {code}.")),
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
