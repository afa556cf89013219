//! Rows of disputes, and the charges that they are about.

use sqlx::PgConnection;

use crate::sandbox::events::NewEvent;
use crate::sandbox::object::{Charge, Dispute};
use crate::sandbox::order::Work;
use crate::sandbox::refusal::{Failure, Refusal};

/// Tells what happened to a dispute: the bank's doing, as far as anybody knows.
pub(super) fn tell(work: &mut Work<'_>, kind: &'static str, dispute: &Dispute) {
    let event = NewEvent::new(kind, &dispute.account_id, work.now, dispute.show());
    work.happened.push(event.by_itself());
}

/// The charge, locked until the transaction ends.
pub(super) async fn charge(work: &mut Work<'_>, id: &str) -> Result<Charge, Failure> {
    let charge = sqlx::query_as("SELECT * FROM charges WHERE id = $1 AND account_id = $2 FOR UPDATE")
        .bind(id)
        .bind(&work.account)
        .fetch_optional(&mut *work.connection)
        .await?;
    charge.ok_or_else(|| Refusal::NoSuch { noun: "charge", id: id.to_owned(), param: "charge" }.into())
}

/// The dispute, locked until the transaction ends, after its charge.
pub(super) async fn lock(work: &mut Work<'_>, id: &str) -> Result<Dispute, Failure> {
    sqlx::query("SELECT FROM charges WHERE id = (SELECT charge FROM disputes WHERE id = $1) FOR UPDATE")
        .bind(id)
        .execute(&mut *work.connection)
        .await?;
    let dispute = sqlx::query_as("SELECT * FROM disputes WHERE id = $1 AND account_id = $2 FOR UPDATE")
        .bind(id)
        .bind(&work.account)
        .fetch_optional(&mut *work.connection)
        .await?;
    dispute.ok_or_else(|| Refusal::NotFound { noun: "dispute", id: id.to_owned() }.into())
}

pub(super) async fn insert(work: &mut Work<'_>, dispute: &Dispute) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE charges SET disputed = true WHERE id = $1")
        .bind(&dispute.charge)
        .execute(&mut *work.connection)
        .await?;
    sqlx::query(
        "INSERT INTO disputes (id, account_id, charge, payment_intent, amount, currency, status, reason, evidence, due_by,
            metadata, entries, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&dispute.id)
    .bind(&dispute.account_id)
    .bind(&dispute.charge)
    .bind(&dispute.payment_intent)
    .bind(dispute.amount)
    .bind(&dispute.currency)
    .bind(&dispute.status)
    .bind(&dispute.reason)
    .bind(&dispute.evidence)
    .bind(dispute.due_by)
    .bind(&dispute.metadata)
    .bind(&dispute.entries)
    .bind(dispute.created_at)
    .execute(&mut *work.connection)
    .await?;
    Ok(())
}

pub(super) async fn update(connection: &mut PgConnection, dispute: &Dispute) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE disputes SET status = $2, evidence = $3, submission_count = $4, metadata = $5, entries = $6, taken = $7
         WHERE id = $1",
    )
    .bind(&dispute.id)
    .bind(&dispute.status)
    .bind(&dispute.evidence)
    .bind(dispute.submission_count)
    .bind(&dispute.metadata)
    .bind(&dispute.entries)
    .bind(dispute.taken)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a bank has the money of the charge, or had it and kept it.
pub(in crate::sandbox) async fn blocks_refunds(
    connection: &mut PgConnection,
    charge: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM disputes
            WHERE charge = $1 AND status IN ('needs_response', 'under_review', 'lost'))",
    )
    .bind(charge)
    .fetch_one(connection)
    .await
}
