//! Stripe's objects: the rows that the sandbox keeps and the JSON that it shows.
//!
//! # Invariants
//! - An object has every field that Stripe's published sample of it has, with a value of the same kind or null where
//!   Stripe allows null. A test compares them.
//! - An object is shown from its row alone; what it refers to is an id unless the caller asked to expand it.
//!
//! # What is deliberately absent
//! Live mode, customers: their fields are there, empty.

mod account;
mod bank_account;
mod dispute;
mod money;
mod payment;
mod refund;
mod topup;

use serde_json::{Value, json};
use sqlx::PgConnection;

pub(super) use account::Account;
pub(super) use bank_account::BankAccount;
pub(super) use dispute::{Dispute, EVIDENCE, FraudWarning};
pub(super) use money::{BalanceTransaction, Payout, Transfer, TransferReversal};
use money::{CurrencyBalance, show_balance};
pub(super) use payment::{Charge, PaymentIntent, show_payment_method};
pub(super) use refund::Refund;
pub(super) use topup::TopUp;

use super::refusal::{Failure, Refusal};

/// The API version in which the objects are written: the one that the engine's client pins.
pub(super) const API_VERSION: &str = "2026-09-30.endive";

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

/// An object by its id, whatever it is. `None` when there is none.
pub(super) async fn load(connection: &mut PgConnection, id: &str) -> Result<Option<Shown>, sqlx::Error> {
    let shown = match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("pi") => payment_intent(connection, id).await?.map(|row| (row.show(), row.account_id)),
        Some("ch" | "py") => sqlx::query_as::<_, Charge>("SELECT * FROM charges WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("re") => sqlx::query_as::<_, Refund>("SELECT * FROM refunds WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("dp") => sqlx::query_as::<_, Dispute>("SELECT * FROM disputes WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("issfr") => sqlx::query_as::<_, FraudWarning>("SELECT * FROM early_fraud_warnings WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("txn") => sqlx::query_as::<_, BalanceTransaction>("SELECT * FROM balance_transactions WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("tr") => transfer(connection, id).await?.map(|row| (row.show(), row.account_id)),
        Some("po") => sqlx::query_as::<_, Payout>("SELECT * FROM payouts WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("acct") => account(connection, id).await?.map(|row| (row.show(), row.id)),
        Some("ba") => sqlx::query_as::<_, BankAccount>("SELECT * FROM bank_accounts WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("tu") => sqlx::query_as::<_, TopUp>("SELECT * FROM topups WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
        Some("trr") => sqlx::query_as::<_, TransferReversal>("SELECT * FROM transfer_reversals WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?
            .map(|row| (row.show(), row.account_id)),
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

/// An account by its id, with its bank accounts.
pub(super) async fn account(connection: &mut PgConnection, id: &str) -> Result<Option<Account>, sqlx::Error> {
    let account: Option<Account> =
        sqlx::query_as("SELECT * FROM accounts WHERE id = $1").bind(id).fetch_optional(&mut *connection).await?;
    let Some(mut account) = account else { return Ok(None) };
    account.bank_accounts = sqlx::query_as("SELECT * FROM bank_accounts WHERE account_id = $1 ORDER BY seq")
        .bind(id)
        .fetch_all(connection)
        .await?;
    Ok(Some(account))
}

/// A transfer by its id, with its reversals.
pub(super) async fn transfer(connection: &mut PgConnection, id: &str) -> Result<Option<Transfer>, sqlx::Error> {
    let transfer: Option<Transfer> =
        sqlx::query_as("SELECT * FROM transfers WHERE id = $1").bind(id).fetch_optional(&mut *connection).await?;
    let Some(mut transfer) = transfer else { return Ok(None) };
    transfer.reversals = sqlx::query_as("SELECT * FROM transfer_reversals WHERE transfer = $1 ORDER BY seq DESC")
        .bind(id)
        .fetch_all(connection)
        .await?;
    Ok(Some(transfer))
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
    "charge",
    "destination",
    "destination_payment",
    "destination_payment_refund",
    "failure_balance_transaction",
    "latest_charge",
    "payment_intent",
    "source",
    "source_transfer",
    "transfer",
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
        // A refund shows it only once there is one; it can be asked for all the same.
        if name == "failure_balance_transaction" && here.get(name).is_none() && here["object"] == "refund" {
            break;
        }
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
