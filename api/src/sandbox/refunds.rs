//! Refunds of card charges (<https://docs.stripe.com/refunds>).
//!
//! # Invariants
//! - The refunds of a charge that have not failed are never more than the charge.
//! - The money of a refund is taken from what is available, once; where that is not enough the refund is pending until
//!   it is, oldest first. Money of a refund that fails or is cancelled comes back as an entry of its own.
//! - Refunds and balances are locked in this order: charge, refund, balance. Who comes from a balance takes only those
//!   waiting refunds that nobody has locked.
//!
//! # What is deliberately absent
//! Refunds of payments by transfer, reversal of transfers, refunds of the fee. The debit of a bank account when the
//! balance is too low: the sandbox's platform has none that could be debited.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::disputes;
use super::events::NewEvent;
use super::exchange::Settlement;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::moves::{self, Entry};
use super::object::{Charge, Refund};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};
use super::test_card::{Refunds, TestCard};

/// Parameters of Stripe's that would move other money, or by another way.
const NOT_IMPLEMENTED: &[&str] =
    &["currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer"];

/// Why a refund fails, in Stripe's words.
const FAILURE_REASONS: [&str; 7] = [
    "charge_for_pending_refund_disputed",
    "declined",
    "expired_or_canceled_card",
    "insufficient_funds",
    "lost_or_stolen_card",
    "merchant_request",
    "unknown",
];

/// `POST /v1/refunds`.
#[derive(Debug)]
pub(super) struct CreateRefund {
    of: Of,
    amount: Option<i64>,
    reason: Option<String>,
    metadata: Metadata,
}

/// What is to be refunded.
#[derive(Debug)]
enum Of {
    Charge(String),
    PaymentIntent(String),
}

/// `POST /v1/refunds/{id}/cancel`.
#[derive(Debug)]
pub(super) struct CancelRefund {
    id: String,
}

/// What the client's bank says of a refund: `POST /_sandbox/refunds/{id}/turn`.
#[derive(Debug)]
pub(super) struct TurnRefund {
    id: String,
    turn: Turn,
}

#[derive(Debug)]
enum Turn {
    RequiresAction,
    Succeeded,
    Failed { reason: String },
}

/// What a test card does with refunds (<https://docs.stripe.com/testing#refunds>), how long that takes.
fn behaviour(work: &Work<'_>, charge: &Charge) -> (&'static str, i64) {
    let seconds = |delay: std::time::Duration| i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
    match charge.payment_method_token.as_deref().and_then(TestCard::get).map(TestCard::refunds) {
        Some(Refunds::Pending) => ("later", seconds(work.rules.refund_delay)),
        Some(Refunds::FailLater) => ("fails_later", seconds(work.rules.refund_failure_delay)),
        Some(Refunds::AtOnce) | None => ("at_once", 0),
    }
}

/// Whether the card networks can send so much: the last of three decimals is 0, and krónur have no parts
/// (<https://docs.stripe.com/currencies>, "Special cases").
fn is_whole(amount: i64, currency: &str) -> bool {
    let Ok(currency) = currency.to_uppercase().parse::<ledger::Currency>() else { return true };
    let minor = currency.from_psp_units(amount).ok();
    minor.is_some_and(|minor| currency.refund_and_residue(minor).1.is_zero())
}

impl CreateRefund {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        form.refuse(NOT_IMPLEMENTED)?;
        let of = match (form.text("charge"), form.text("payment_intent")) {
            (Some(id), _) => Of::Charge(id),
            (None, Some(id)) => Of::PaymentIntent(id),
            (None, None) => return Err(Refusal::Missing { param: "charge" }),
        };
        let reason = form.text("reason");
        if let Some(other) = &reason
            && !["duplicate", "fraudulent", "requested_by_customer"].contains(&other.as_str())
        {
            return Err(Refusal::invalid("reason", format!("Invalid reason: {other}")));
        }
        let amount = if form.has("amount") { Some(form.amount()?) } else { None };
        Ok(Self { of, amount, reason, metadata: form.metadata()? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let charge = self.of.lock(work).await?;
        let left = charge.amount - charge.amount_refunded;
        if charge.status != "succeeded" || charge.source_transfer.is_some() {
            let message = format!("Charge {} is not refundable.", charge.id);
            return Err(Refusal::NotRefundable { code: "charge_not_refundable", message }.into());
        }
        if charge.disputed && disputes::blocks_refunds(work.connection, &charge.id).await? {
            let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
            return Err(Refusal::NotRefundable { code: "charge_disputed", message }.into());
        }
        if left == 0 {
            let message = format!("Charge {} has already been refunded.", charge.id);
            return Err(Refusal::NotRefundable { code: "charge_already_refunded", message }.into());
        }
        let amount = self.amount.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).");
            return Err(Refusal::invalid("amount", message).into());
        }
        if !is_whole(amount, &charge.currency) {
            return Err(Refusal::invalid("amount", format!("Invalid amount in {}: {amount}.", charge.currency)).into());
        }
        let (behaviour, turns_after_seconds) = behaviour(work, &charge);
        let mut refund = Refund {
            id: identifier::new("re"),
            account_id: charge.account_id.clone(),
            charge: charge.id.clone(),
            payment_intent: charge.payment_intent.clone(),
            amount,
            currency: charge.currency.clone(),
            status: "pending".to_owned(),
            pending_reason: Some("insufficient_funds".to_owned()),
            reason: self.reason,
            failure_reason: None,
            balance_transaction: None,
            failure_balance_transaction: None,
            metadata: Json(self.metadata),
            created_at: work.now,
            behaviour: behaviour.to_owned(),
            turns_after_seconds,
            turns_at: None,
        };
        insert(work, &refund).await?;
        let refunded = count(work.connection, &refund, amount).await?;
        if take_money(work.connection, &mut refund, work.now).await? {
            update(work.connection, &refund).await?;
        }
        let mut before = json!({ "amount_refunded": charge.amount_refunded });
        if refunded.amount_refunded == refunded.amount {
            before["refunded"] = json!(false);
        }
        let event = NewEvent::new("charge.refunded", &work.account, work.now, refunded.show());
        work.happened.push(event.instead_of(before));
        work.happened("refund.created", refund.show());
        Ok(Outcome::ok(refund.show()))
    }
}

impl Of {
    /// The charge, locked until the transaction ends.
    async fn lock(&self, work: &mut Work<'_>) -> Result<Charge, Failure> {
        let (charge, intent) = match self {
            Self::Charge(id) => (Some(id), None),
            Self::PaymentIntent(id) => (None, Some(id)),
        };
        let locked: Option<Charge> = sqlx::query_as(
            "SELECT * FROM charges WHERE account_id = $1
                AND (id = $2 OR (payment_intent = $3 AND status = 'succeeded')) FOR UPDATE",
        )
        .bind(&work.account)
        .bind(charge)
        .bind(intent)
        .fetch_optional(&mut *work.connection)
        .await?;
        let refusal = || match self {
            Self::Charge(id) => Refusal::NoSuch { noun: "charge", id: id.clone(), param: "charge" },
            Self::PaymentIntent(id) => Refusal::invalid(
                "payment_intent",
                format!("This PaymentIntent ({id}) does not exist or has no successful charge to refund."),
            ),
        };
        locked.ok_or_else(|| refusal().into())
    }
}

impl CancelRefund {
    pub(super) fn new(id: String) -> Self {
        Self { id }
    }

    /// Stripe cancels only what waits for the client.
    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut refund = lock(work, &self.id).await?;
        if refund.status != "requires_action" {
            let message = format!(
                "You cannot cancel this Refund because it has a status of {}. Only a Refund with the status requires_action \
                 may be canceled.",
                refund.status
            );
            return Err(Refusal::RefundUnexpectedState { message }.into());
        }
        "canceled".clone_into(&mut refund.status);
        give_back(work.connection, &mut refund, work.now).await?;
        changed(&refund, "requires_action", work.now, &mut work.happened);
        take_what_waits(work.connection, work.now, &mut work.happened).await?;
        Ok(Outcome::ok(refund.show()))
    }
}

impl TurnRefund {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let turn = match form.required("status")?.as_str() {
            "requires_action" => Turn::RequiresAction,
            "succeeded" => Turn::Succeeded,
            "failed" => {
                let reason = form.text("failure_reason").unwrap_or_else(|| "unknown".to_owned());
                if !FAILURE_REASONS.contains(&reason.as_str()) {
                    return Err(Refusal::invalid("failure_reason", format!("Invalid failure_reason: {reason}")));
                }
                Turn::Failed { reason }
            }
            other => return Err(Refusal::invalid("status", format!("Invalid status: {other}"))),
        };
        Ok(Self { id, turn })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut refund = lock(work, &self.id).await?;
        let before = refund.status.clone();
        let taken = refund.balance_transaction.is_some();
        match (before.as_str(), self.turn) {
            ("pending", Turn::RequiresAction) if taken => {
                "requires_action".clone_into(&mut refund.status);
                (refund.pending_reason, refund.turns_at) = (None, None);
                update(work.connection, &refund).await?;
            }
            ("pending" | "requires_action", Turn::Succeeded) if taken => {
                succeed(&mut refund);
                update(work.connection, &refund).await?;
            }
            ("pending" | "requires_action" | "succeeded", Turn::Failed { reason }) => {
                fail(work.connection, &mut refund, &reason, work.now).await?;
            }
            (status, _) => {
                let message = format!("A refund with the status {status} does not turn into that.");
                return Err(Refusal::RefundUnexpectedState { message }.into());
            }
        }
        let mut happened = Vec::new();
        changed(&refund, &before, work.now, &mut happened);
        take_what_waits(work.connection, work.now, &mut happened).await?;
        work.happened.extend(happened.into_iter().map(NewEvent::by_itself));
        Ok(Outcome::ok(refund.show()))
    }
}

/// Takes the money of refunds that wait for it, oldest first, as far as it goes.
pub(super) async fn take_what_waits(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let waiting: Vec<Refund> = sqlx::query_as(
        "SELECT * FROM refunds WHERE pending_reason = 'insufficient_funds' ORDER BY seq FOR UPDATE SKIP LOCKED",
    )
    .fetch_all(&mut *connection)
    .await?;
    for mut refund in waiting {
        if take_money(connection, &mut refund, now).await? {
            update(connection, &refund).await?;
            let mut told = Vec::new();
            changed(&refund, "pending", now, &mut told);
            happened.extend(told.into_iter().map(NewEvent::by_itself));
        }
    }
    Ok(())
}

/// What banks answer later: pending refunds succeed, succeeded ones fail.
pub(super) async fn turn(
    connection: &mut PgConnection,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let turning: Vec<Refund> = sqlx::query_as("SELECT * FROM refunds WHERE turns_at <= $1 ORDER BY seq FOR UPDATE")
        .bind(due)
        .fetch_all(&mut *connection)
        .await?;
    for mut refund in turning {
        let before = refund.status.clone();
        if before == "succeeded" {
            fail(connection, &mut refund, "expired_or_canceled_card", at).await?;
        } else {
            succeed(&mut refund);
            update(connection, &refund).await?;
        }
        changed(&refund, &before, at, happened);
    }
    take_what_waits(connection, at, happened).await
}

/// Takes the money from what is available and says how far the refund is then; or changes nothing and tells `false`.
async fn take_money(
    connection: &mut PgConnection,
    refund: &mut Refund,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    // The exchange is that of the moment in which it is taken. An amount beyond counting is never covered.
    let currency = Currency::get(&refund.currency);
    let settled = match currency {
        Some(currency) => Settlement::of(connection, refund.amount, currency).await?,
        None => None,
    };
    let Some(settled) = settled else { return Ok(false) };
    // Locked even where it is not enough: money that comes in at the same time then finds the refund waiting.
    sqlx::query("SELECT FROM balances WHERE account_id = $1 AND currency = $2 FOR UPDATE")
        .bind(&refund.account_id)
        .bind(settled.currency.code)
        .execute(&mut *connection)
        .await?;
    if !moves::take(connection, &refund.account_id, settled.currency.code, settled.amount).await? {
        return Ok(false);
    }
    let leaving = entry(refund, (-settled.amount, settled.currency.code), "refund", now);
    let leaving = leaving.insert_at(connection, now).await?;
    settled.note(connection, &leaving).await?;
    refund.balance_transaction = Some(leaving);
    let later = now + TimeDelta::seconds(refund.turns_after_seconds);
    match refund.behaviour.as_str() {
        "later" => {
            refund.pending_reason = Some("processing".to_owned());
            refund.turns_at = Some(later);
        }
        "fails_later" => {
            succeed(refund);
            refund.turns_at = Some(later);
        }
        _ => succeed(refund),
    }
    Ok(true)
}

fn succeed(refund: &mut Refund) {
    "succeeded".clone_into(&mut refund.status);
    (refund.pending_reason, refund.turns_at) = (None, None);
}

async fn fail(
    connection: &mut PgConnection,
    refund: &mut Refund,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    "failed".clone_into(&mut refund.status);
    refund.failure_reason = Some(reason.to_owned());
    give_back(connection, refund, now).await
}

/// The refund is over without effect: its money, if it was taken, and its share of the charge are there again.
async fn give_back(connection: &mut PgConnection, refund: &mut Refund, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    (refund.pending_reason, refund.turns_at) = (None, None);
    count(connection, refund, -refund.amount).await?;
    if let Some(taken) = &refund.balance_transaction {
        let (amount, currency): (i64, String) =
            sqlx::query_as("SELECT -amount, currency FROM balance_transactions WHERE id = $1")
                .bind(taken)
                .fetch_one(&mut *connection)
                .await?;
        let back = entry(refund, (amount, &currency), "refund_failure", now).insert_at(connection, now).await?;
        refund.failure_balance_transaction = Some(back);
        moves::credit(connection, &refund.account_id, &currency, 0, amount).await?;
    }
    update(connection, refund).await
}

fn entry<'a>(
    refund: &'a Refund,
    (amount, currency): (i64, &'a str),
    kind: &'static str,
    now: DateTime<Utc>,
) -> Entry<'a> {
    Entry {
        account: &refund.account_id,
        amount,
        fee: 0,
        currency,
        kind,
        source: &refund.id,
        description: None,
        available_on: now,
    }
}

/// Tells that a refund has changed, in all the ways in which Stripe tells it.
fn changed(refund: &Refund, before: &str, at: DateTime<Utc>, happened: &mut Vec<NewEvent>) {
    let mut tell = |kind: &'static str, previous: Option<Value>| {
        let event = NewEvent::new(kind, &refund.account_id, at, refund.show());
        happened.push(match previous {
            Some(previous) => event.instead_of(previous),
            None => event,
        });
    };
    tell("refund.updated", Some(json!({ "status": before })));
    tell("charge.refund.updated", Some(json!({ "status": before })));
    if refund.status == "failed" {
        tell("refund.failed", None);
    }
}

/// Adds to what is refunded of the charge. The charge is locked from here on.
async fn count(connection: &mut PgConnection, refund: &Refund, amount: i64) -> Result<Charge, sqlx::Error> {
    sqlx::query_as("UPDATE charges SET amount_refunded = amount_refunded + $2 WHERE id = $1 RETURNING *")
        .bind(&refund.charge)
        .bind(amount)
        .fetch_one(connection)
        .await
}

/// The refund, locked until the transaction ends, after its charge.
async fn lock(work: &mut Work<'_>, id: &str) -> Result<Refund, Failure> {
    sqlx::query("SELECT FROM charges WHERE id = (SELECT charge FROM refunds WHERE id = $1) FOR UPDATE")
        .bind(id)
        .execute(&mut *work.connection)
        .await?;
    let refund = sqlx::query_as("SELECT * FROM refunds WHERE id = $1 AND account_id = $2 FOR UPDATE")
        .bind(id)
        .bind(&work.account)
        .fetch_optional(&mut *work.connection)
        .await?;
    refund.ok_or_else(|| Refusal::NotFound { noun: "refund", id: id.to_owned() }.into())
}

async fn insert(work: &mut Work<'_>, refund: &Refund) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refunds (id, account_id, charge, payment_intent, amount, currency, status, pending_reason, reason,
            metadata, created_at, behaviour, turns_after_seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&refund.id)
    .bind(&refund.account_id)
    .bind(&refund.charge)
    .bind(&refund.payment_intent)
    .bind(refund.amount)
    .bind(&refund.currency)
    .bind(&refund.status)
    .bind(&refund.pending_reason)
    .bind(&refund.reason)
    .bind(&refund.metadata)
    .bind(refund.created_at)
    .bind(&refund.behaviour)
    .bind(refund.turns_after_seconds)
    .execute(&mut *work.connection)
    .await?;
    Ok(())
}

async fn update(connection: &mut PgConnection, refund: &Refund) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE refunds SET status = $2, pending_reason = $3, failure_reason = $4, balance_transaction = $5,
            failure_balance_transaction = $6, turns_at = $7
         WHERE id = $1",
    )
    .bind(&refund.id)
    .bind(&refund.status)
    .bind(&refund.pending_reason)
    .bind(&refund.failure_reason)
    .bind(&refund.balance_transaction)
    .bind(&refund.failure_balance_transaction)
    .bind(refund.turns_at)
    .execute(connection)
    .await?;
    Ok(())
}
