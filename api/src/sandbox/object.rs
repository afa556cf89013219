//! Stripe's objects: the rows that the sandbox keeps and the JSON that it shows.
//!
//! # Invariants
//! - An object has every field that Stripe's published sample of it has, with a value of the same kind or null where
//!   Stripe allows null. A test compares them.
//! - An object is shown from its row alone; what it refers to is an id unless the caller asked to expand it.
//!
//! # What is deliberately absent
//! Live mode, customers, refunds, disputes: their fields are there, empty.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::form::Metadata;
use super::refusal::{Failure, Refusal};

/// The API version in which the objects are written: the one that the engine's client pins.
pub(super) const API_VERSION: &str = "2026-09-30.endive";

/// A row of `accounts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) platform: bool,
    pub(super) account_type: String,
    pub(super) country: String,
    pub(super) default_currency: String,
    pub(super) email: Option<String>,
    pub(super) business_type: Option<String>,
    pub(super) bank_account: String,
    pub(super) metadata: Json<Metadata>,
    pub(super) created_at: DateTime<Utc>,
}

/// A row of `payment_intents`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    pub(super) capture_method: String,
    pub(super) payment_method: Option<String>,
    pub(super) payment_method_token: Option<String>,
    pub(super) payment_method_types: Vec<String>,
    pub(super) automatic_payment_methods: bool,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) transfer_group: Option<String>,
    pub(super) client_secret: String,
    pub(super) metadata: Json<Metadata>,
    pub(super) latest_charge: Option<String>,
    pub(super) last_payment_error: Option<Value>,
    pub(super) next_action: Option<Value>,
    pub(super) cancellation_reason: Option<String>,
    pub(super) canceled_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
}

/// A row of `charges`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) payment_intent: Option<String>,
    pub(super) source_transfer: Option<String>,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    pub(super) payment_method: Option<String>,
    pub(super) payment_method_token: Option<String>,
    pub(super) balance_transaction: Option<String>,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) transfer_group: Option<String>,
    pub(super) failure_code: Option<String>,
    pub(super) failure_message: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) metadata: Json<Metadata>,
    pub(super) created_at: DateTime<Utc>,
}

/// A row of `balance_transactions`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct BalanceTransaction {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) amount: i64,
    pub(super) fee: i64,
    pub(super) net: i64,
    pub(super) currency: String,
    #[sqlx(rename = "type")]
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) description: Option<String>,
    pub(super) status: String,
    pub(super) available_on: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
}

/// A row of `transfers`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Transfer {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) destination: String,
    pub(super) destination_payment: String,
    pub(super) balance_transaction: String,
    pub(super) description: Option<String>,
    pub(super) transfer_group: Option<String>,
    pub(super) metadata: Json<Metadata>,
    pub(super) created_at: DateTime<Utc>,
}

/// A row of `payouts`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Payout {
    pub(super) id: String,
    pub(super) account_id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) destination: String,
    pub(super) balance_transaction: String,
    pub(super) description: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) status: String,
    pub(super) metadata: Json<Metadata>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) submit_at: DateTime<Utc>,
    pub(super) arrival_at: DateTime<Utc>,
}

/// A row of `balances`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct CurrencyBalance {
    pub(super) currency: String,
    pub(super) pending: i64,
    pub(super) available: i64,
}

/// A row of `events`, with the number of its deliveries that have not succeeded yet.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct StoredEvent {
    pub(super) account_id: String,
    pub(super) body: String,
    pub(super) undelivered: i64,
}

/// What a client sees, and whose it is.
#[derive(Debug)]
pub(super) struct Shown {
    /// The account that the object belongs to.
    pub(super) account: String,
    /// The object.
    pub(super) value: Value,
}

impl Account {
    pub(super) fn show(&self) -> Value {
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

    pub(super) fn show_bank_account(&self) -> Value {
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

impl PaymentIntent {
    pub(super) fn show(&self) -> Value {
        let first = json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_details": { "tip": {} },
            "amount_received": if self.status == "succeeded" { self.amount } else { 0 },
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
            "payment_method_options": {
                "card": {
                    "installments": null, "mandate_options": null, "network": null,
                    "request_three_d_secure": "automatic",
                },
            },
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
}

impl Charge {
    pub(super) fn show(&self) -> Value {
        let succeeded = self.status == "succeeded";
        let outcome = if self.source_transfer.is_some() {
            Value::Null
        } else {
            json!({
                "advice_code": if succeeded { Value::Null } else { json!("try_again_later") },
                "network_advice_code": null,
                "network_decline_code": if succeeded { Value::Null } else { json!("01") },
                "network_status": if succeeded { "approved_by_network" } else { "declined_by_network" },
                "reason": self.decline_code,
                "risk_level": "normal",
                "risk_score": 1,
                "seller_message": if succeeded {
                    "Payment complete."
                } else {
                    "The bank did not return any further details with this decline."
                },
                "type": if succeeded { "authorized" } else { "issuer_declined" },
            })
        };
        let first = json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if succeeded { self.amount } else { 0 },
            "amount_refunded": 0,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.balance_transaction,
            "billing_details": billing_details(),
            "calculated_statement_descriptor": self.statement_descriptor.as_deref().unwrap_or("SANDBOX"),
            "captured": succeeded,
            "created": self.created_at.timestamp(),
            "currency": self.currency,
            "customer": null,
            "description": self.description,
            "disputed": false,
            "failure_balance_transaction": null,
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
            "refunded": false,
            "refunds": {
                "object": "list", "data": [], "has_more": false, "url": format!("/v1/charges/{}/refunds", self.id),
            },
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
                "last4": last4(token),
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

impl BalanceTransaction {
    pub(super) fn show(&self) -> Value {
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
    pub(super) fn show(&self) -> Value {
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
    pub(super) fn show(&self) -> Value {
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

impl StoredEvent {
    pub(super) fn show(&self) -> Value {
        // The body was written by `serde_json`; if it cannot be read, null says so to whoever compares it.
        let mut event: Value = serde_json::from_str(&self.body).unwrap_or_default();
        if let Some(pending) = event.get_mut("pending_webhooks") {
            *pending = json!(self.undelivered);
        }
        event
    }
}

/// The balance object of an account that holds `balances`, or nothing yet in `default_currency`.
pub(super) fn show_balance(balances: &[CurrencyBalance], default_currency: &str) -> Value {
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

/// The card payment method that a test token stands for.
pub(super) fn show_payment_method(id: &str, token: &str, created_at: DateTime<Utc>) -> Value {
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
            "last4": last4(token),
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

/// The last digits of the card numbers that Stripe publishes for these tokens (<https://docs.stripe.com/testing>).
fn last4(token: &str) -> &'static str {
    match token {
        "pm_card_chargeDeclined" => "0002",
        "pm_card_authenticationRequired" => "3184",
        _ => "4242",
    }
}

/// An object by its id, whatever it is. `None` when there is none.
pub(super) async fn load(connection: &mut PgConnection, id: &str) -> Result<Option<Shown>, sqlx::Error> {
    let shown = match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("pi") => payment_intent(connection, id).await?.map(|row| (row.show(), row.account_id)),
        Some("ch" | "py") => sqlx::query_as::<_, Charge>("SELECT * FROM charges WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("txn") => sqlx::query_as::<_, BalanceTransaction>("SELECT * FROM balance_transactions WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("tr") => sqlx::query_as::<_, Transfer>("SELECT * FROM transfers WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("po") => sqlx::query_as::<_, Payout>("SELECT * FROM payouts WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("acct") => account(connection, id).await?.map(|row| (row.show(), row.id)),
        Some("ba") => sqlx::query_as::<_, Account>("SELECT * FROM accounts WHERE bank_account = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show_bank_account(), row.id)),
        Some("evt") => sqlx::query_as::<_, StoredEvent>(
            "SELECT account_id, body,
                (SELECT count(*) FROM webhook_deliveries WHERE event_id = events.id AND state <> 'delivered') AS undelivered
             FROM events WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(connection)
        .await?
        .map(|row| (row.show(), row.account_id)),
        _ => None,
    };
    Ok(shown.map(|(value, account)| Shown { account, value }))
}

/// An account by its id.
pub(super) async fn account(connection: &mut PgConnection, id: &str) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM accounts WHERE id = $1").bind(id).fetch_optional(connection).await
}

async fn payment_intent(connection: &mut PgConnection, id: &str) -> Result<Option<PaymentIntent>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM payment_intents WHERE id = $1").bind(id).fetch_optional(connection).await
}

/// The balance object of an account, as it stands.
pub(super) async fn balance(connection: &mut PgConnection, account_id: &str) -> Result<Value, sqlx::Error> {
    let balances: Vec<CurrencyBalance> =
        sqlx::query_as("SELECT currency, pending, available FROM balances WHERE account_id = $1 ORDER BY currency")
            .bind(account_id)
            .fetch_all(&mut *connection)
            .await?;
    let default_currency = account(connection, account_id).await?.map(|account| account.default_currency);
    Ok(show_balance(&balances, default_currency.as_deref().unwrap_or("usd")))
}

/// Fields that hold an id and may be expanded to the object.
const EXPANDABLE: &[&str] = &[
    "balance_transaction",
    "destination",
    "destination_payment",
    "latest_charge",
    "payment_intent",
    "source",
    "source_transfer",
];

/// Replaces ids by their objects along each path. A list is expanded with paths that begin with `data`.
pub(super) async fn expand(
    connection: &mut PgConnection,
    value: &mut Value,
    paths: &[Vec<String>],
) -> Result<(), Failure> {
    for path in paths {
        let whole = path.join(".");
        if value.get("object").is_some_and(|object| object == "list")
            && path.first().is_some_and(|first| first == "data")
        {
            let items = value.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten();
            for item in items {
                expand_along(connection, item, &path[1..], &whole).await?;
            }
        } else {
            expand_along(connection, value, path, &whole).await?;
        }
    }
    Ok(())
}

async fn expand_along(
    connection: &mut PgConnection,
    value: &mut Value,
    path: &[String],
    whole: &str,
) -> Result<(), Failure> {
    let mut here = value;
    for name in path {
        let known = EXPANDABLE.contains(&name.as_str());
        let Some(field) = here.get_mut(name).filter(|_| known) else {
            return Err(Refusal::invalid("expand", format!("This property cannot be expanded ({whole}).")).into());
        };
        if let Value::String(id) = field
            && let Some(shown) = load(connection, id).await?
        {
            *field = shown.value;
        }
        if field.is_null() {
            break;
        }
        here = field;
    }
    Ok(())
}
