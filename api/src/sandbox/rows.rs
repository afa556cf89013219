//! The rows of payment intents and charges: read for an order, and written back.

use sqlx::PgConnection;

use super::object::{Charge, PaymentIntent};
use super::order::Work;
use super::refusal::{Failure, Refusal};

/// The intent, locked until the transaction ends.
pub(super) async fn lock(work: &mut Work<'_>, id: String) -> Result<PaymentIntent, Failure> {
    let intent = sqlx::query_as("SELECT * FROM payment_intents WHERE id = $1 AND account_id = $2 FOR UPDATE")
        .bind(&id)
        .bind(&work.account)
        .fetch_optional(&mut *work.connection)
        .await?;
    intent.ok_or_else(|| Refusal::NotFound { noun: "payment_intent", id }.into())
}

/// Stores a new intent.
pub(super) async fn insert(work: &mut Work<'_>, intent: &PaymentIntent) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO payment_intents (id, account_id, amount, currency, status, capture_method, payment_method,
            payment_method_token, payment_method_types, automatic_payment_methods, description, receipt_email,
            statement_descriptor, transfer_group, client_secret, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(&intent.id)
    .bind(&intent.account_id)
    .bind(intent.amount)
    .bind(&intent.currency)
    .bind(&intent.status)
    .bind(&intent.capture_method)
    .bind(&intent.payment_method)
    .bind(&intent.payment_method_token)
    .bind(&intent.payment_method_types)
    .bind(intent.automatic_payment_methods)
    .bind(&intent.description)
    .bind(&intent.receipt_email)
    .bind(&intent.statement_descriptor)
    .bind(&intent.transfer_group)
    .bind(&intent.client_secret)
    .bind(&intent.metadata)
    .bind(intent.created_at)
    .execute(&mut *work.connection)
    .await?;
    Ok(())
}

/// Stores what has changed of an intent.
pub(super) async fn update(connection: &mut PgConnection, intent: &PaymentIntent) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE payment_intents SET status = $2, payment_method = $3, payment_method_token = $4, latest_charge = $5,
            last_payment_error = $6, next_action = $7, cancellation_reason = $8, canceled_at = $9,
            amount_received = $10, settles_at = $11, currency = $12
         WHERE id = $1",
    )
    .bind(&intent.id)
    .bind(&intent.status)
    .bind(&intent.payment_method)
    .bind(&intent.payment_method_token)
    .bind(&intent.latest_charge)
    .bind(&intent.last_payment_error)
    .bind(&intent.next_action)
    .bind(&intent.cancellation_reason)
    .bind(intent.canceled_at)
    .bind(intent.amount_received)
    .bind(intent.settles_at)
    .bind(&intent.currency)
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts a charge of a payment or of a transfer, or stores what has changed of it.
pub(super) async fn write_charge(connection: &mut PgConnection, charge: &Charge) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO charges (id, account_id, payment_intent, source_transfer, amount, currency, status, payment_method,
            payment_method_token, balance_transaction, description, receipt_email, statement_descriptor, transfer_group,
            failure_code, failure_message, decline_code, metadata, created_at, fee, available_after_seconds,
            booked_after_seconds, books_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, balance_transaction = excluded.balance_transaction,
            failure_code = excluded.failure_code, failure_message = excluded.failure_message,
            decline_code = excluded.decline_code, books_at = excluded.books_at",
    )
    .bind(&charge.id)
    .bind(&charge.account_id)
    .bind(&charge.payment_intent)
    .bind(&charge.source_transfer)
    .bind(charge.amount)
    .bind(&charge.currency)
    .bind(&charge.status)
    .bind(&charge.payment_method)
    .bind(&charge.payment_method_token)
    .bind(&charge.balance_transaction)
    .bind(&charge.description)
    .bind(&charge.receipt_email)
    .bind(&charge.statement_descriptor)
    .bind(&charge.transfer_group)
    .bind(&charge.failure_code)
    .bind(&charge.failure_message)
    .bind(&charge.decline_code)
    .bind(&charge.metadata)
    .bind(charge.created_at)
    .bind(charge.fee)
    .bind(charge.available_after_seconds)
    .bind(charge.booked_after_seconds)
    .bind(charge.books_at)
    .execute(connection)
    .await?;
    Ok(())
}
