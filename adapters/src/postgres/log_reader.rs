//! Reading the log by position. Positions are gap-free and become visible in order, so `position > after` misses nothing.

use domain::id::ContractId;
use domain::log::{Answer, Position, RecordedEvent, StoreError, StoredCommand, StreamId};
use ledger::{Account, Currency, TrialBalance};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, PgPool, Row};
use uuid::Uuid;

use super::{corrupt, to_i64, to_u64, unavailable};

/// Up to `limit` events after a position.
pub(crate) async fn read(
    executor: impl PgExecutor<'_>,
    after: Position,
    limit: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let until = after.saturating_add(limit as u64);
    let rows = sqlx::query(
        "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text as payload,
                metadata::text as metadata, journal::text as journal, recorded_at
         from events where position > $1 and position <= $2 order by position",
    )
    .bind(to_i64(after))
    .bind(to_i64(until))
    .fetch_all(executor)
    .await
    .map_err(unavailable)?;
    rows.iter().map(recorded).collect()
}

/// What a page of the event feed is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only these types; all when empty.
    pub types: Vec<String>,
    /// Only events about this contract.
    pub contract_id: Option<ContractId>,
    /// Only events with a journal entry.
    pub financial: bool,
}

/// Up to `limit` events after a position that pass the filter.
///
/// # Errors
/// [`StoreError`].
pub async fn page(
    pool: &PgPool,
    after: Position,
    limit: usize,
    filter: &EventFilter,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let contract_id = filter.contract_id.map(|id| id.to_string());
    let rows = sqlx::query(
        "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text as payload,
                metadata::text as metadata, journal::text as journal, recorded_at
         from events e
         where position > $1
           and (cardinality($2::text[]) = 0 or event_type = any($2))
           and ($3::text is null
                or position in (select c.position from contract_events c where c.contract_id = $3 and c.position > $1))
           and (not $4 or journal is not null)
         order by position limit $5",
    )
    .bind(to_i64(after))
    .bind(&filter.types)
    .bind(contract_id)
    .bind(filter.financial)
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(recorded).collect()
}

/// The events of one stream after a version.
///
/// # Errors
/// [`StoreError`].
pub async fn of_stream(
    pool: &PgPool,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows = sqlx::query(
        "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text as payload,
                metadata::text as metadata, journal::text as journal, recorded_at
         from events where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence limit $4",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(to_i64(after))
    .bind(to_i64(limit as u64))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    rows.iter().map(recorded).collect()
}

/// The newest position.
pub(crate) async fn head(pool: &PgPool) -> Result<Position, StoreError> {
    let row = sqlx::query("select position from log_head").fetch_one(pool).await.map_err(unavailable)?;
    Ok(to_u64(row.try_get("position").map_err(unavailable)?))
}

/// The command accepted under an id.
pub(crate) async fn command(pool: &PgPool, command_id: Uuid) -> Result<Option<StoredCommand>, StoreError> {
    let row = sqlx::query("select position, answer::text as answer from commands where command_id = $1")
        .bind(command_id)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let answer: Option<String> = row.try_get("answer").map_err(unavailable)?;
    let answer: Option<Answer> = answer.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?;
    Ok(Some(StoredCommand { position: to_u64(row.try_get("position").map_err(unavailable)?), answer }))
}

/// The trial balance by the control totals that are kept with the log, and the position that it is true for.
///
/// # Errors
/// [`StoreError`].
pub async fn trial_balance(pool: &PgPool) -> Result<(Position, TrialBalance), StoreError> {
    // One statement, one snapshot: totals and head belong together.
    let rows = sqlx::query(
        "select h.position, b.account, b.currency, b.debits::text as debits,
                b.credits::text as credits
         from log_head h left join control_balances b on true order by b.account, b.currency",
    )
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    let mut position = 0;
    let mut balance = TrialBalance::new();
    for row in &rows {
        position = to_u64(row.try_get("position").map_err(unavailable)?);
        let Some(number) = row.try_get::<Option<i16>, _>("account").map_err(unavailable)? else {
            continue;
        };
        set_line(&mut balance, number, row)?;
    }
    Ok((position, balance))
}

/// The trial balance of everything up to a position, added up from the postings. They are a projection: the caller sees
/// to it that they are that far.
///
/// # Errors
/// [`StoreError`].
pub async fn trial_balance_at(pool: &PgPool, position: Position) -> Result<TrialBalance, StoreError> {
    let rows = sqlx::query(
        "select account, currency, coalesce(sum(minor) filter (where side = 'D'), 0)::text as debits,
                coalesce(sum(minor) filter (where side = 'C'), 0)::text as credits
         from postings where position <= $1 group by account, currency order by account, currency",
    )
    .bind(to_i64(position))
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    let mut balance = TrialBalance::new();
    for row in &rows {
        set_line(&mut balance, row.try_get("account").map_err(unavailable)?, row)?;
    }
    Ok(balance)
}

fn set_line(balance: &mut TrialBalance, number: i16, row: &PgRow) -> Result<(), StoreError> {
    let account = Account::from_number(number).ok_or_else(|| corrupt("an account that is not in the chart"))?;
    let currency: Currency = row.try_get::<String, _>("currency").map_err(unavailable)?.parse().map_err(corrupt)?;
    let sum = |column: &str| -> Result<i128, StoreError> {
        row.try_get::<String, _>(column).map_err(unavailable)?.parse().map_err(corrupt)
    };
    let totals = ledger::trial_balance::Totals { debits: sum("debits")?, credits: sum("credits")? };
    balance.set(account, currency, totals);
    Ok(())
}

/// An event from its row.
pub(crate) fn recorded(row: &PgRow) -> Result<RecordedEvent, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
    let number = |column: &str| row.try_get::<i64, _>(column).map(to_u64).map_err(unavailable);
    let journal: Option<String> = row.try_get("journal").map_err(unavailable)?;
    Ok(RecordedEvent {
        position: number("position")?,
        stream: StreamId::new(text("aggregate_type")?, text("aggregate_id")?),
        sequence: number("sequence")?,
        event_type: text("event_type")?,
        event_version: text("event_version")?.parse().map_err(corrupt)?,
        payload: text("payload")?,
        metadata: serde_json::from_str(&text("metadata")?).map_err(corrupt)?,
        journal: journal.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        recorded_at: row.try_get("recorded_at").map_err(unavailable)?,
    })
}
