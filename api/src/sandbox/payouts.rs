//! What becomes of payouts: the bank takes them, refuses them, gives them back days later; or they are called off.
//!
//! # Invariants
//! - A payout that fails or is called off gives its amount back to the balance that it came from, once.
//! - Also one that was paid can fail (<https://docs.stripe.com/payouts#payout-failures>).

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::events::NewEvent;
use super::form::Form;
use super::moves::{self, Entry};
use super::object::{BankAccount, Payout};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// Codes that say that the bank account is of no use; it is `errored` from then on.
const DESTINATION_CODES: &[&str] = &[
    "account_closed",
    "account_frozen",
    "bank_account_restricted",
    "debit_not_authorized",
    "invalid_account_number",
    "invalid_currency",
    "no_account",
];

/// `POST /v1/payouts/{id}/cancel`.
#[derive(Debug)]
pub(super) struct CancelPayout(pub(super) String);

/// The sandbox's own control: the bank answers now.
#[derive(Debug)]
pub(super) struct TurnPayout {
    id: String,
    turn: Turn,
}

#[derive(Debug)]
enum Turn {
    Paid,
    Failed { code: String },
}

impl CancelPayout {
    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut payout = locked(work.connection, &self.0).await?;
        if payout.account_id != work.account {
            return Err(Refusal::NotFound { noun: "payout", id: self.0 }.into());
        }
        if payout.status != "pending" {
            let message = format!("Payouts can only be canceled while pending; this one is {}.", payout.status);
            return Err(Refusal::BadRequest { status: axum::http::StatusCode::BAD_REQUEST, message }.into());
        }
        "canceled".clone_into(&mut payout.status);
        give_back(work.connection, &mut payout, "payout_cancel", work.now).await?;
        work.happened("payout.canceled", payout.show());
        Ok(Outcome::ok(payout.show()))
    }
}

impl TurnPayout {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let turn = match form.required("status")?.as_str() {
            "paid" => Turn::Paid,
            "failed" => {
                Turn::Failed { code: form.text("failure_code").unwrap_or_else(|| "could_not_process".to_owned()) }
            }
            other => return Err(Refusal::invalid("status", format!("Invalid status: {other}"))),
        };
        Ok(Self { id, turn })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let payout = locked(work.connection, &self.id).await?;
        let mut happened = Vec::new();
        let payout = match (payout.status.as_str(), self.turn) {
            ("pending" | "in_transit", Turn::Paid) => pay(work.connection, payout, work.now, &mut happened).await?,
            ("pending" | "in_transit" | "paid", Turn::Failed { code }) => {
                fail(work.connection, payout, &code, work.now, &mut happened).await?
            }
            (status, _) => {
                let message = format!("A payout with the status {status} does not turn into that.");
                return Err(Refusal::BadRequest { status: axum::http::StatusCode::BAD_REQUEST, message }.into());
            }
        };
        work.happened.extend(happened.into_iter().map(NewEvent::by_itself));
        Ok(Outcome::ok(payout.show()))
    }
}

/// What the bank says of payouts that arrive by `due`.
pub(super) async fn arrive(
    connection: &mut PgConnection,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let payouts: Vec<Payout> =
        sqlx::query_as("SELECT * FROM payouts WHERE status = 'in_transit' AND arrival_at <= $1 ORDER BY id FOR UPDATE")
            .bind(due)
            .fetch_all(&mut *connection)
            .await?;
    for payout in payouts {
        match payout.fails_with.clone() {
            None => pay(connection, payout, at, happened).await?,
            Some(code) => fail(connection, payout, &code, at, happened).await?,
        };
    }
    Ok(())
}

async fn pay(
    connection: &mut PgConnection,
    mut payout: Payout,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<Payout, sqlx::Error> {
    "paid".clone_into(&mut payout.status);
    update(connection, &payout).await?;
    happened.push(NewEvent::new("payout.paid", &payout.account_id, at, payout.show()));
    Ok(payout)
}

async fn fail(
    connection: &mut PgConnection,
    mut payout: Payout,
    code: &str,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<Payout, sqlx::Error> {
    "failed".clone_into(&mut payout.status);
    payout.failure_code = Some(code.to_owned());
    give_back(connection, &mut payout, "payout_failure", at).await?;
    happened.push(NewEvent::new("payout.failed", &payout.account_id, at, payout.show()));
    if DESTINATION_CODES.contains(&code) {
        let errored: Option<BankAccount> =
            sqlx::query_as("UPDATE bank_accounts SET status = 'errored' WHERE id = $1 RETURNING *")
                .bind(&payout.destination)
                .fetch_optional(&mut *connection)
                .await?;
        if let Some(bank) = errored {
            happened.push(NewEvent::new("account.external_account.updated", &bank.account_id, at, bank.show()));
        }
    }
    Ok(payout)
}

async fn give_back(
    connection: &mut PgConnection,
    payout: &mut Payout,
    kind: &'static str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    moves::credit(connection, &payout.account_id, &payout.currency, 0, payout.amount).await?;
    let back = Entry {
        account: &payout.account_id,
        amount: payout.amount,
        fee: 0,
        currency: &payout.currency,
        kind,
        source: &payout.id,
        description: None,
        available_on: now,
    };
    payout.failure_balance_transaction = Some(back.insert_at(connection, now).await?);
    update(connection, payout).await
}

async fn update(connection: &mut PgConnection, payout: &Payout) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE payouts SET status = $2, failure_code = $3, failure_balance_transaction = $4 WHERE id = $1")
        .bind(&payout.id)
        .bind(&payout.status)
        .bind(&payout.failure_code)
        .bind(&payout.failure_balance_transaction)
        .execute(connection)
        .await?;
    Ok(())
}

async fn locked(connection: &mut PgConnection, id: &str) -> Result<Payout, Failure> {
    let payout = sqlx::query_as("SELECT * FROM payouts WHERE id = $1 FOR UPDATE").bind(id);
    let payout: Option<Payout> = payout.fetch_optional(connection).await?;
    payout.ok_or_else(|| Refusal::NotFound { noun: "payout", id: id.to_owned() }.into())
}
