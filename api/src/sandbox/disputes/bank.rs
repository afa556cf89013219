//! What a bank does: it asks, takes the money, gives it back, decides; or returns a payment without asking.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::{Turn, store};
use crate::sandbox::events::NewEvent;
use crate::sandbox::exchange::Settlement;
use crate::sandbox::fee::Currency;
use crate::sandbox::form::Metadata;
use crate::sandbox::moves::{self, Entry};
use crate::sandbox::object::{BalanceTransaction, Charge, Dispute, FraudWarning, PaymentIntent};
use crate::sandbox::order::Work;
use crate::sandbox::refusal::{Failure, Refusal};
use crate::sandbox::test_card::{Afterwards, TestCard};
use crate::sandbox::{identifier, refunds};

/// Until when evidence is taken.
const ANSWER: TimeDelta = TimeDelta::days(14);

/// What a withdrawal costs, in minor units.
fn fee(currency: &str) -> i64 {
    match Currency::get(currency).map(|currency| currency.exponent) {
        Some(0) => 15,
        Some(3) => 15_000,
        _ => 1500,
    }
}

/// What the bank of a test card does as soon as the charge has succeeded.
pub(in crate::sandbox) async fn at_once(work: &mut Work<'_>, charge: &Charge, card: TestCard) -> Result<(), Failure> {
    let (reason, inquiry) = match card.afterwards() {
        Afterwards::Nothing => return Ok(()),
        Afterwards::Disputes(reason) => (reason, false),
        Afterwards::Asks(reason) => (reason, true),
        Afterwards::Warns => {
            warn(work, charge).await?;
            return Ok(());
        }
    };
    open(work, charge, charge.amount, reason, inquiry, true).await?;
    Ok(())
}

/// A bank disagrees, or asks.
pub(super) async fn open(
    work: &mut Work<'_>,
    charge: &Charge,
    amount: i64,
    reason: &str,
    inquiry: bool,
    withdraws: bool,
) -> Result<Dispute, Failure> {
    let mut dispute = Dispute {
        id: identifier::new("dp"),
        account_id: charge.account_id.clone(),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        amount,
        currency: charge.currency.clone(),
        status: if inquiry { "warning_needs_response" } else { "needs_response" }.to_owned(),
        reason: reason.to_owned(),
        evidence: Json(BTreeMap::new()),
        submission_count: 0,
        due_by: work.now + ANSWER,
        metadata: Json(Metadata::new()),
        entries: Json(Vec::new()),
        taken: 0,
        created_at: work.now,
    };
    store::insert(work, &dispute).await?;
    store::tell(work, "charge.dispute.created", &dispute);
    if !inquiry && withdraws {
        withdraw(work, &mut dispute, amount).await?;
    }
    Ok(dispute)
}

/// The bank goes on.
pub(super) async fn turn(work: &mut Work<'_>, dispute: &mut Dispute, turn: Turn) -> Result<(), Failure> {
    let wrong = |dispute: &Dispute| {
        Refusal::invalid("to", format!("A dispute with the status {} does not turn into that.", dispute.status))
    };
    match turn {
        Turn::Escalate { withdraws } => {
            if !dispute.is_inquiry() {
                return Err(wrong(dispute).into());
            }
            turn_into(work, dispute, "needs_response").await?;
            if withdraws {
                withdraw(work, dispute, dispute.amount).await?;
            }
        }
        Turn::Withdraw { amount } => {
            if dispute.is_inquiry() {
                return Err(wrong(dispute).into());
            }
            let amount = amount.unwrap_or((dispute.amount - dispute.taken).max(0));
            if dispute.status == "won" {
                turn_into(work, dispute, "under_review").await?;
            }
            withdraw(work, dispute, amount).await?;
        }
        Turn::Reinstate { amount } => reinstate(work, dispute, amount).await?,
        Turn::Win { .. } if dispute.is_inquiry() => end(work, dispute, "warning_closed").await?,
        Turn::Win { amount } => {
            if !matches!(dispute.status.as_str(), "needs_response" | "under_review") {
                return Err(wrong(dispute).into());
            }
            "won".clone_into(&mut dispute.status);
            reinstate(work, dispute, amount).await?;
            end(work, dispute, "won").await?;
        }
        Turn::Lose => {
            if dispute.is_inquiry() || dispute.status == "lost" {
                return Err(wrong(dispute).into());
            }
            end(work, dispute, "lost").await?;
        }
    }
    Ok(())
}

async fn turn_into(work: &mut Work<'_>, dispute: &mut Dispute, status: &str) -> Result<(), Failure> {
    status.clone_into(&mut dispute.status);
    store::update(work.connection, dispute).await?;
    store::tell(work, "charge.dispute.updated", dispute);
    Ok(())
}

/// Nothing more is expected of it.
pub(super) async fn end(work: &mut Work<'_>, dispute: &mut Dispute, status: &str) -> Result<(), Failure> {
    status.clone_into(&mut dispute.status);
    store::update(work.connection, dispute).await?;
    store::tell(work, "charge.dispute.closed", dispute);
    Ok(())
}

async fn withdraw(work: &mut Work<'_>, dispute: &mut Dispute, amount: i64) -> Result<(), Failure> {
    if amount == 0 {
        return Ok(());
    }
    whole(work, dispute, amount).await?;
    dispute.taken += amount;
    book(work.connection, dispute, Way::Out, amount, work.now).await?;
    store::update(work.connection, dispute).await?;
    store::tell(work, "charge.dispute.funds_withdrawn", dispute);
    Ok(())
}

async fn reinstate(work: &mut Work<'_>, dispute: &mut Dispute, amount: Option<i64>) -> Result<(), Failure> {
    let amount = amount.unwrap_or(dispute.taken);
    if amount == 0 {
        return Ok(());
    }
    whole(work, dispute, amount).await?;
    dispute.taken = (dispute.taken - amount).max(0);
    book(work.connection, dispute, Way::Back, amount, work.now).await?;
    store::update(work.connection, dispute).await?;
    store::tell(work, "charge.dispute.funds_reinstated", dispute);
    refunds::take_what_waits(work.connection, work.now, &mut work.happened).await?;
    Ok(())
}

/// Which way money of a dispute goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Back,
}

/// What is exchanged is told in the settlement currency only, so that a part of a dispute could not be known as such.
async fn whole(work: &mut Work<'_>, dispute: &Dispute, amount: i64) -> Result<(), Failure> {
    let settled = settlement(work.connection, &dispute.currency, amount).await?;
    if settled.rate.is_some() && amount != dispute.amount {
        let message = "A dispute that is exchanged moves as a whole.";
        return Err(Refusal::invalid("amount", message).into());
    }
    Ok(())
}

/// What an amount of a charge becomes in the platform's balance, now.
async fn settlement(connection: &mut PgConnection, currency: &str, amount: i64) -> Result<Settlement, sqlx::Error> {
    let unsettled = || sqlx::Error::Protocol(format!("{amount} {currency} cannot be exchanged"));
    let currency = Currency::get(currency).ok_or_else(unsettled)?;
    Settlement::of(connection, amount, currency).await?.ok_or_else(unsettled)
}

/// An entry of a dispute, with its fee and its reporting category; the balance follows, below zero if need be.
async fn book(
    connection: &mut PgConnection,
    dispute: &mut Dispute,
    way: Way,
    amount: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let settled = settlement(connection, &dispute.currency, amount).await?;
    let code = settled.currency.code;
    let (word, category, amount, fee) = match way {
        Way::Out => ("withdrawal", "dispute", -settled.amount, fee(code)),
        Way::Back => ("reversal", "dispute_reversal", settled.amount, 0),
    };
    let description = format!("Chargeback {word} for {}", dispute.charge);
    let entry = Entry {
        account: &dispute.account_id,
        amount,
        fee,
        currency: code,
        kind: "adjustment",
        source: &dispute.id,
        description: Some(&description),
        available_on: now,
    };
    let id = entry.insert_at(connection, now).await?;
    settled.note(connection, &id).await?;
    let booked: BalanceTransaction =
        sqlx::query_as("UPDATE balance_transactions SET reporting_category = $2 WHERE id = $1 RETURNING *")
            .bind(&id)
            .bind(category)
            .fetch_one(&mut *connection)
            .await?;
    moves::credit(connection, &booked.account_id, code, 0, booked.net).await?;
    dispute.entries.0.push(booked.show());
    Ok(())
}

/// The network says that the payment may be fraud.
pub(super) async fn warn(work: &mut Work<'_>, charge: &Charge) -> Result<FraudWarning, Failure> {
    let warning = FraudWarning {
        id: identifier::new("issfr"),
        account_id: charge.account_id.clone(),
        charge: charge.id.clone(),
        payment_intent: charge.payment_intent.clone(),
        fraud_type: "made_with_stolen_card".to_owned(),
        created_at: work.now,
    };
    sqlx::query(
        "INSERT INTO early_fraud_warnings (id, account_id, charge, payment_intent, fraud_type, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&warning.id)
    .bind(&warning.account_id)
    .bind(&warning.charge)
    .bind(&warning.payment_intent)
    .bind(&warning.fraud_type)
    .bind(warning.created_at)
    .execute(&mut *work.connection)
    .await?;
    let event = NewEvent::new("radar.early_fraud_warning.created", &warning.account_id, work.now, warning.show());
    work.happened.push(event.by_itself());
    Ok(warning)
}

/// A bank returns a payment that had succeeded: its charge fails, and the intent waits for another payment method
/// (<https://docs.stripe.com/payments/ach-direct-debit>).
pub(super) async fn return_payment(work: &mut Work<'_>, id: &str, code: &str) -> Result<Value, Failure> {
    let intent: Option<PaymentIntent> =
        sqlx::query_as("SELECT * FROM payment_intents WHERE id = $1 AND account_id = $2 FOR UPDATE")
            .bind(id)
            .bind(&work.account)
            .fetch_optional(&mut *work.connection)
            .await?;
    let Some(intent) = intent else {
        return Err(Refusal::NotFound { noun: "payment_intent", id: id.to_owned() }.into());
    };
    if intent.status != "succeeded" {
        let message = format!("Only a payment that has succeeded is returned: the status is {}.", intent.status);
        return Err(Refusal::UnexpectedState { message, intent: intent.show() }.into());
    }
    let charge = store::charge(work, &intent.latest_charge.clone().unwrap_or_default()).await?;
    let settled = settlement(work.connection, &charge.currency, charge.amount).await?;
    let entry = Entry {
        account: &charge.account_id,
        amount: -settled.amount,
        fee: 0,
        currency: settled.currency.code,
        kind: "payment_failure_refund",
        source: &charge.id,
        description: Some("Returned by the bank"),
        available_on: work.now,
    };
    let entry = entry.insert_at(work.connection, work.now).await?;
    settled.note(work.connection, &entry).await?;
    let message = "The bank has returned the payment.";
    let charge: Charge = sqlx::query_as(
        "UPDATE charges SET status = 'failed', failure_code = $2, failure_message = $3, failure_balance_transaction = $4
         WHERE id = $1 RETURNING *",
    )
    .bind(&charge.id)
    .bind(code)
    .bind(message)
    .bind(&entry)
    .fetch_one(&mut *work.connection)
    .await?;
    let error = json!({
        "charge": charge.id, "code": code, "message": message, "type": "invalid_request_error",
    });
    let intent: PaymentIntent = sqlx::query_as(
        "UPDATE payment_intents SET status = 'requires_payment_method', last_payment_error = $2, payment_method = NULL,
            payment_method_token = NULL
         WHERE id = $1 RETURNING *",
    )
    .bind(&intent.id)
    .bind(error)
    .fetch_one(&mut *work.connection)
    .await?;
    for (kind, object) in [("charge.failed", charge.show()), ("payment_intent.payment_failed", intent.show())] {
        work.happened.push(NewEvent::new(kind, &charge.account_id, work.now, object).by_itself());
    }
    moves::credit(work.connection, &charge.account_id, settled.currency.code, 0, -settled.amount).await?;
    Ok(intent.show())
}

/// Disputes that nobody has answered in time are lost.
pub(in crate::sandbox) async fn expire(
    connection: &mut PgConnection,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let expired: Vec<Dispute> = sqlx::query_as(
        "UPDATE disputes SET status = 'lost' WHERE status = 'needs_response' AND due_by <= $1 RETURNING *",
    )
    .bind(due)
    .fetch_all(connection)
    .await?;
    for dispute in expired {
        happened.push(NewEvent::new("charge.dispute.closed", &dispute.account_id, at, dispute.show()));
    }
    Ok(())
}
