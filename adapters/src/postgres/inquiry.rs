//! What the provider is asked without being told: when, and about what.
//!
//! # Invariants
//! - Of several servers one asks: whoever moves the instant on.
//! - What was begun and not ended is asked again: the instant up to which the provider's list was read is moved on
//!   afterwards.

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::log::{Position, StoreError, StreamId};
use domain::ports::provider::ProviderObject;
use domain::process;
use domain::time::Timestamp;
use sqlx::{PgPool, Row};

use super::{corrupt, to_i64, to_u64, unavailable};

/// Claims a round of asking for unfinished objects, `every` so often by `now` of the tenant's clock. `None` when it is not
/// time yet, or another server has it; otherwise the position to go on from.
///
/// # Errors
/// [`StoreError`].
pub async fn claim_poll(pool: &PgPool, now: Timestamp, every: TimeDelta) -> Result<Option<Position>, StoreError> {
    let row = sqlx::query(
        "update psp_inquiries set polled_at = $1
         where polled_at is null or polled_at <= $2 returning poll_after",
    )
    .bind(now)
    .bind(now - every)
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    row.map(|row| row.try_get("poll_after").map(to_u64)).transpose().map_err(unavailable)
}

/// The next round goes on after this position; 0 begins anew.
///
/// # Errors
/// [`StoreError`].
pub async fn poll_reached(pool: &PgPool, after: Position) -> Result<(), StoreError> {
    sqlx::query("update psp_inquiries set poll_after = $1")
        .bind(to_i64(after))
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Up to `limit` objects at the provider that are not at their end, and of which nothing was heard since `before`; by the
/// position of their first event, after `after`.
///
/// # Errors
/// [`StoreError`].
pub async fn unfinished(
    pool: &PgPool,
    before: Timestamp,
    after: Position,
    limit: usize,
) -> Result<Vec<(Position, Option<ProviderObject>)>, StoreError> {
    let rows = sqlx::query(
        "select d.created_position, d.aggregate_type, d.body::text as body
         from documents d join events e on e.position = d.position
         where d.unfinished and d.created_position > $1 and (e.metadata ->> 'occurred_at')::timestamptz <= $2
         order by d.created_position limit $3",
    )
    .bind(to_i64(after))
    .bind(before)
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get("aggregate_type").map_err(unavailable)?;
            let body: String = row.try_get("body").map_err(unavailable)?;
            let state = AggregateState::from_json(&kind, &body).map_err(corrupt)?;
            let position: i64 = row.try_get("created_position").map_err(unavailable)?;
            Ok((to_u64(position), process::unfinished(&state)))
        })
        .collect()
}

/// Up to which instant of the tenant's clock the provider's list of notices was read; `None` when it never was.
///
/// # Errors
/// [`StoreError`].
pub async fn backfilled_until(pool: &PgPool) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query("select backfilled_until from psp_inquiries").fetch_one(pool).await.map_err(unavailable)?;
    row.try_get("backfilled_until").map_err(unavailable)
}

/// The list was read up to there. It never goes back.
///
/// # Errors
/// [`StoreError`].
pub async fn backfilled(pool: &PgPool, until: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update psp_inquiries set backfilled_until = greatest(backfilled_until, $1)")
        .bind(until)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Payees' accounts at the provider with a payout of which an event was recorded since then: what happens there is told
/// by the accounts' own lists. Up to `limit`, in their order, after the account `after`; all have been named when there are
/// fewer.
///
/// # Errors
/// [`StoreError`].
pub async fn accounts_paid_since(
    pool: &PgPool,
    since: Timestamp,
    after: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "select distinct (o.body ->> 'account') collate \"C\" as account from outbox o
         where o.action = 'pay_to_bank' and o.not_before >= $1 and (o.body ->> 'account') collate \"C\" > $3
         order by 1 limit $2",
    )
    .bind(since)
    .bind(to_i64(limit as u64))
    .bind(after)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(|row| row.try_get("account").map_err(unavailable)).collect()
}

/// Whether an aggregate is in the log.
///
/// # Errors
/// [`StoreError`].
pub async fn exists(pool: &PgPool, stream: &StreamId) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "select exists (select from events where aggregate_type = $1 and aggregate_id = $2 and sequence = 1) as known",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    row.try_get("known").map_err(unavailable)
}
