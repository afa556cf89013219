//! Money that comes back from connected accounts (<https://docs.stripe.com/api/transfer_reversals>).
//!
//! # Invariants
//! - All reversals of a transfer together are at most the transfer, and each at most what is available at the account.
//! - Balances are locked as everywhere: platform first, then connected account.

use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::form::{Form, Metadata};
use super::identifier;
use super::moves::{self, Entry};
use super::object::{self, TransferReversal};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// `POST /v1/transfers/{id}/reversals`.
#[derive(Debug)]
pub(super) struct ReverseTransfer {
    transfer: String,
    amount: Option<i64>,
    metadata: Metadata,
}

impl ReverseTransfer {
    pub(super) fn parse(transfer: String, form: &Form) -> Result<Self, Refusal> {
        form.refuse(&["refund_application_fee"])?;
        let amount = if form.has("amount") { Some(form.amount()?) } else { None };
        Ok(Self { transfer, amount, metadata: form.metadata()? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        sqlx::query("SELECT FROM transfers WHERE id = $1 FOR UPDATE")
            .bind(&self.transfer)
            .execute(&mut *work.connection)
            .await?;
        let transfer = object::transfer(work.connection, &self.transfer).await?;
        let Some(transfer) = transfer.filter(|transfer| transfer.account_id == work.account) else {
            return Err(Refusal::NotFound { noun: "transfer", id: self.transfer }.into());
        };
        let left = transfer.amount - transfer.amount_reversed;
        let amount = self.amount.unwrap_or(left);
        if amount > left || amount == 0 {
            let message = format!(
                "You cannot reverse {amount}: of the transfer {left} ({}) are not reversed.",
                transfer.currency
            );
            return Err(Refusal::invalid("amount", message).into());
        }
        sqlx::query("SELECT FROM balances WHERE account_id = $1 AND currency = $2 FOR UPDATE")
            .bind(&work.account)
            .bind(&transfer.currency)
            .execute(&mut *work.connection)
            .await?;
        if !moves::take(work.connection, &transfer.destination, &transfer.currency, amount).await? {
            let currency = transfer.currency.clone();
            return Err(Refusal::BalanceInsufficient { currency, noun: "transfer reversal" }.into());
        }
        moves::credit(work.connection, &work.account.clone(), &transfer.currency, 0, amount).await?;
        let (id, refund) = (identifier::new("trr"), identifier::new("pyr"));
        let arriving = Entry {
            account: &work.account.clone(),
            amount,
            fee: 0,
            currency: &transfer.currency,
            kind: "transfer_refund",
            source: &id,
            description: None,
            available_on: work.now,
        };
        let balance_transaction = arriving.insert(work).await?;
        let leaving = Entry {
            account: &transfer.destination,
            amount: -amount,
            kind: "payment_refund",
            source: &refund,
            ..arriving
        };
        leaving.insert(work).await?;
        let reversal = TransferReversal {
            id: id.clone(),
            account_id: work.account.clone(),
            transfer: transfer.id.clone(),
            amount,
            currency: transfer.currency.clone(),
            balance_transaction,
            destination_payment_refund: refund.clone(),
            metadata: Json(self.metadata),
            created_at: work.now,
        };
        insert(work.connection, &reversal).await?;
        for (statement, of) in [
            ("UPDATE transfers SET amount_reversed = amount_reversed + $2 WHERE id = $1", &transfer.id),
            ("UPDATE charges SET amount_refunded = amount_refunded + $2 WHERE id = $1", &transfer.destination_payment),
        ] {
            sqlx::query(statement).bind(of).bind(amount).execute(&mut *work.connection).await?;
        }
        let after = object::transfer(work.connection, &transfer.id).await?.map(|transfer| transfer.show());
        work.happened("transfer.reversed", after.unwrap_or_default());
        Ok(Outcome::ok(reversal.show()))
    }
}

async fn insert(connection: &mut PgConnection, reversal: &TransferReversal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO transfer_reversals (id, account_id, transfer, amount, currency, balance_transaction,
            destination_payment_refund, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&reversal.id)
    .bind(&reversal.account_id)
    .bind(&reversal.transfer)
    .bind(reversal.amount)
    .bind(&reversal.currency)
    .bind(&reversal.balance_transaction)
    .bind(&reversal.destination_payment_refund)
    .bind(&reversal.metadata)
    .bind(reversal.created_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The reversals of a transfer, newest first, on one page: there are few.
pub(super) async fn list(connection: &mut PgConnection, account: &str, transfer: &str) -> Result<Value, Failure> {
    let found = object::transfer(connection, transfer).await?.filter(|transfer| transfer.account_id == account);
    let found = found.ok_or_else(|| Refusal::NotFound { noun: "transfer", id: transfer.to_owned() })?;
    Ok(json!({
        "object": "list", "data": found.reversals.iter().map(TransferReversal::show).collect::<Vec<_>>(),
        "has_more": false, "url": format!("/v1/transfers/{transfer}/reversals"),
    }))
}
