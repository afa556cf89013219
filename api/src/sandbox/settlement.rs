//! How payments end: a card at once, a bank debit after days, and the balance transaction that may come later still.
//!
//! # Invariants
//! - A charge has its balance transaction when it succeeds, or, by a planned fault, at the instant that is stored with it.
//!   Its net is in the balance of its account from then on, and not before.
//! - What a charge will cost and when its funds become available is decided when the payment is confirmed, and stored.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::events::NewEvent;
use super::exchange::Settlement;
use super::fee::Currency;
use super::moves::{self, Entry};
use super::object::{self, Charge, PaymentIntent};
use super::refunds;
use super::refusal::documentation;
use super::rows::{update, write_charge};
use super::test_card::{DebitEnd, Decline, TestCard};

/// What a planned fault changes about a payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Twist {
    /// Another amount is captured.
    pub(super) amount: Option<i64>,
    /// In another currency.
    pub(super) currency: Option<&'static str>,
    /// The balance transaction is written so many seconds later.
    pub(super) booked_after_seconds: i64,
}

/// The bank says yes: a charge, its balance transaction, and the money in the pending balance.
pub(super) async fn succeed(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    intent: &mut PaymentIntent,
    charge: &mut Charge,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    "succeeded".clone_into(&mut charge.status);
    let booking = if charge.booked_after_seconds > 0 {
        charge.books_at = Some(now + TimeDelta::seconds(charge.booked_after_seconds));
        None
    } else {
        Some(book(connection, charge, intent, now, now).await?)
    };
    write_charge(connection, charge).await?;
    "succeeded".clone_into(&mut intent.status);
    intent.amount_received = charge.amount;
    charge.currency.clone_into(&mut intent.currency);
    intent.latest_charge = Some(charge.id.clone());
    (intent.last_payment_error, intent.settles_at) = (None, None);
    update(connection, intent).await?;
    let captured = charge.show();
    let mut tell = |kind, object| happened.push(NewEvent::new(kind, &intent.account_id, now, object));
    if intent.capture_method == "automatic_async" {
        let mut succeeded = captured.clone();
        succeeded["balance_transaction"] = Value::Null;
        tell("charge.succeeded", succeeded);
        tell("payment_intent.succeeded", intent.show());
        if charge.books_at.is_none() {
            happened.push(booked(charge, now));
        }
    } else {
        tell("charge.succeeded", captured);
        tell("payment_intent.succeeded", intent.show());
    }
    // Last, because the row is shared by all charges: it is locked from here to the commit.
    match booking {
        Some(settled) => into_balance(connection, charge, settled, now, now, happened).await,
        None => Ok(()),
    }
}

/// The bank says no: a failed charge, an intent that waits, and the error that it shows.
pub(super) async fn fail(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    intent: &mut PaymentIntent,
    charge: &mut Charge,
    decline: Decline,
    happened: &mut Vec<NewEvent>,
) -> Result<Value, sqlx::Error> {
    let Decline { code, decline_code, message } = decline;
    "failed".clone_into(&mut charge.status);
    charge.failure_code = Some(code.to_owned());
    charge.failure_message = Some(message.to_owned());
    charge.decline_code = decline_code.map(str::to_owned);
    write_charge(connection, charge).await?;
    let payment_method = intent.payment_method.take().unwrap_or_default();
    let token = intent.payment_method_token.take().unwrap_or_default();
    let mut error = json!({
        "charge": charge.id,
        "code": code,
        "doc_url": documentation(code),
        "message": message,
        "payment_method": object::show_payment_method(&payment_method, &token, now),
        "type": "card_error",
    });
    if let Some(decline_code) = decline_code {
        error["decline_code"] = json!(decline_code);
    }
    "requires_payment_method".clone_into(&mut intent.status);
    intent.latest_charge = Some(charge.id.clone());
    intent.last_payment_error = Some(error.clone());
    intent.settles_at = None;
    update(connection, intent).await?;
    happened.push(NewEvent::new("charge.failed", &intent.account_id, now, charge.show()));
    happened.push(NewEvent::new("payment_intent.payment_failed", &intent.account_id, now, intent.show()));
    error["payment_intent"] = intent.show();
    Ok(error)
}

/// A debit goes to the bank: nothing is booked until it answers.
pub(super) async fn begin_debit(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    intent: &mut PaymentIntent,
    charge: &mut Charge,
    settles_at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    "pending".clone_into(&mut charge.status);
    write_charge(connection, charge).await?;
    "processing".clone_into(&mut intent.status);
    intent.latest_charge = Some(charge.id.clone());
    intent.last_payment_error = None;
    intent.settles_at = (end_of(intent) != DebitEnd::Silent).then_some(settles_at);
    update(connection, intent).await?;
    happened.push(NewEvent::new("charge.pending", &intent.account_id, now, charge.show()));
    happened.push(NewEvent::new("payment_intent.processing", &intent.account_id, now, intent.show()));
    Ok(())
}

fn end_of(intent: &PaymentIntent) -> DebitEnd {
    intent.payment_method_token.as_deref().and_then(TestCard::get).map_or(DebitEnd::Silent, TestCard::debit_end)
}

/// The charge of a debit that is under way, locked.
pub(super) async fn pending_charge(
    connection: &mut PgConnection,
    intent: &PaymentIntent,
) -> Result<Option<Charge>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM charges WHERE id = $1 AND status = 'pending' FOR UPDATE")
        .bind(&intent.latest_charge)
        .fetch_optional(connection)
        .await
}

/// What is due by then: banks answer debits, and late balance transactions are written.
pub(super) async fn turn(
    connection: &mut PgConnection,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let answered: Vec<PaymentIntent> =
        sqlx::query_as("SELECT * FROM payment_intents WHERE settles_at <= $1 ORDER BY seq FOR UPDATE")
            .bind(due)
            .fetch_all(&mut *connection)
            .await?;
    for mut intent in answered {
        let Some(mut charge) = pending_charge(connection, &intent).await? else { continue };
        match end_of(&intent) {
            DebitEnd::Fails(decline) => {
                fail(connection, at, &mut intent, &mut charge, decline, happened).await?;
            }
            DebitEnd::Arrives | DebitEnd::Silent => {
                succeed(connection, at, &mut intent, &mut charge, happened).await?;
            }
        }
    }
    let late: Vec<Charge> = sqlx::query_as("SELECT * FROM charges WHERE books_at <= $1 ORDER BY seq FOR UPDATE")
        .bind(due)
        .fetch_all(&mut *connection)
        .await?;
    for mut charge in late {
        let intent: PaymentIntent = sqlx::query_as("SELECT * FROM payment_intents WHERE id = $1")
            .bind(&charge.payment_intent)
            .fetch_one(&mut *connection)
            .await?;
        let since = charge.books_at.take().unwrap_or(at) - TimeDelta::seconds(charge.booked_after_seconds);
        let settled = book(connection, &mut charge, &intent, since, at).await?;
        // Written late, it is dated as the charge.
        sqlx::query("UPDATE balance_transactions SET created_at = $2 WHERE id = $1")
            .bind(&charge.balance_transaction)
            .bind(since)
            .execute(&mut *connection)
            .await?;
        write_charge(connection, &charge).await?;
        happened.push(booked(&charge, at));
        into_balance(connection, &charge, settled, since, at, happened).await?;
    }
    Ok(())
}

fn available_on(charge: &Charge, from: DateTime<Utc>) -> DateTime<Utc> {
    from + TimeDelta::seconds(charge.available_after_seconds)
}

/// Writes the balance transaction of a charge, in the currency in which it settles now.
async fn book(
    connection: &mut PgConnection,
    charge: &mut Charge,
    intent: &PaymentIntent,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Settlement, sqlx::Error> {
    let unsettled = || sqlx::Error::Protocol(format!("charge {} cannot be exchanged", charge.id));
    let currency = Currency::get(&charge.currency).ok_or_else(unsettled)?;
    let settled = Settlement::of(connection, charge.amount, currency).await?.ok_or_else(unsettled)?;
    let entry = Entry {
        account: &charge.account_id,
        amount: settled.amount,
        fee: charge.fee,
        currency: settled.currency.code,
        kind: "charge",
        source: &charge.id,
        description: intent.description.as_deref(),
        available_on: available_on(charge, since),
    };
    let id = entry.insert_at(connection, now).await?;
    settled.note(connection, &id).await?;
    charge.balance_transaction = Some(id);
    Ok(settled)
}

/// That the balance transaction is there now.
fn booked(charge: &Charge, at: DateTime<Utc>) -> NewEvent {
    let updated = NewEvent::new("charge.updated", &charge.account_id, at, charge.show());
    updated.instead_of(json!({ "balance_transaction": null })).by_itself()
}

async fn into_balance(
    connection: &mut PgConnection,
    charge: &Charge,
    settled: Settlement,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let net = settled.amount - charge.fee;
    // A balance transaction that is written late may be of funds that are available already.
    let available = available_on(charge, since) <= now;
    let (pending, free) = if available { (0, net) } else { (net, 0) };
    moves::credit(connection, &charge.account_id, settled.currency.code, pending, free).await?;
    if available { refunds::take_what_waits(connection, now, happened).await } else { Ok(()) }
}
