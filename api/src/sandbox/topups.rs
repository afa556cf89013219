//! Top-ups of the platform's balance (<https://docs.stripe.com/connect/top-ups>): money comes from the platform's bank, and
//! is there when the bank has sent it.
//!
//! # Invariants
//! - The balance grows at the instant at which the top-up succeeds, and not before.
//!
//! # What is deliberately absent
//! Cancelling, and reversals by the bank. How long a top-up takes is our assumption: as long as a payout to a bank.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::events::NewEvent;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::moves::{Entry, credit};
use super::object::TopUp;
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// Stripe's test bank account without an account behind it (<https://docs.stripe.com/connect/top-ups#testing>).
const NO_ACCOUNT: &str = "btok_us_verified_noAccount";

/// `POST /v1/topups`.
#[derive(Debug)]
pub(super) struct CreateTopUp {
    amount: i64,
    currency: Currency,
    source: Option<String>,
    description: Option<String>,
    statement_descriptor: Option<String>,
    transfer_group: Option<String>,
    metadata: Metadata,
}

impl CreateTopUp {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        Ok(Self {
            amount: form.amount()?,
            currency: form.currency()?,
            source: form.text("source"),
            description: form.text("description"),
            statement_descriptor: form.text("statement_descriptor"),
            transfer_group: form.text("transfer_group"),
            metadata: form.metadata()?,
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        if work.account != work.platform_account {
            return Err(Refusal::NoAccess { account: work.account.clone() }.into());
        }
        let delay = TimeDelta::from_std(work.rules.arrival_delay).unwrap_or_default();
        let top_up = TopUp {
            id: identifier::new("tu"),
            account_id: work.account.clone(),
            amount: self.amount,
            currency: self.currency.code.to_owned(),
            status: "pending".to_owned(),
            failure_code: None,
            source: self.source,
            balance_transaction: None,
            description: self.description,
            statement_descriptor: self.statement_descriptor,
            transfer_group: self.transfer_group,
            metadata: Json(self.metadata),
            created_at: work.now,
            arrival_at: work.now + delay,
        };
        sqlx::query(
            "INSERT INTO topups (id, account_id, amount, currency, status, source, description, statement_descriptor,
                transfer_group, metadata, created_at, arrival_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&top_up.id)
        .bind(&top_up.account_id)
        .bind(top_up.amount)
        .bind(&top_up.currency)
        .bind(&top_up.status)
        .bind(&top_up.source)
        .bind(&top_up.description)
        .bind(&top_up.statement_descriptor)
        .bind(&top_up.transfer_group)
        .bind(&top_up.metadata)
        .bind(top_up.created_at)
        .bind(top_up.arrival_at)
        .execute(&mut *work.connection)
        .await?;
        work.happened("topup.created", top_up.show());
        Ok(Outcome::ok(top_up.show()))
    }
}

/// Lets arrive what is due, oldest first.
pub(super) async fn arrive(
    connection: &mut PgConnection,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let arriving: Vec<TopUp> =
        sqlx::query_as("SELECT * FROM topups WHERE status = 'pending' AND arrival_at <= $1 ORDER BY seq FOR UPDATE")
            .bind(due)
            .fetch_all(&mut *connection)
            .await?;
    for mut top_up in arriving {
        let kind = if top_up.source.as_deref() == Some(NO_ACCOUNT) {
            "failed".clone_into(&mut top_up.status);
            top_up.failure_code = Some("no_account".to_owned());
            "topup.failed"
        } else {
            let entry = Entry {
                account: &top_up.account_id,
                amount: top_up.amount,
                fee: 0,
                currency: &top_up.currency,
                kind: "topup",
                source: &top_up.id,
                description: top_up.description.as_deref(),
                available_on: at,
            };
            let balance_transaction = entry.insert_at(connection, at).await?;
            credit(connection, &top_up.account_id, &top_up.currency, 0, top_up.amount).await?;
            top_up.balance_transaction = Some(balance_transaction);
            "succeeded".clone_into(&mut top_up.status);
            "topup.succeeded"
        };
        sqlx::query("UPDATE topups SET status = $2, failure_code = $3, balance_transaction = $4 WHERE id = $1")
            .bind(&top_up.id)
            .bind(&top_up.status)
            .bind(&top_up.failure_code)
            .bind(&top_up.balance_transaction)
            .execute(&mut *connection)
            .await?;
        happened.push(NewEvent::new(kind, &top_up.account_id, at, top_up.show()));
    }
    Ok(())
}
