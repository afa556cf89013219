//! Balances of the books by account, currency and dimensions, at a position: the source of the trial balance there.
//!
//! # Invariants
//! - The newest half of the log is read backwards: the present balances, without the postings since. So the figures of
//!   today, and of the last close, cost what came after them, and not the whole history.
//! - Both ways give the same.
//!
//! # What is deliberately absent
//! An index for it: an index on postings would be written with every command. As of an instant, and for an old position,
//! it looks through the postings; that is for finance and not for every request.

use domain::log::{Position, StoreError};
use domain::time::Timestamp;
use ledger::trial_balance::Totals;
use ledger::{Account, Currency};
use sqlx::{PgPool, Row};

use super::{corrupt, to_i64, to_u64, unavailable};

/// What one account has in one currency for one combination of dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The account.
    pub account: Account,
    /// The currency.
    pub currency: Currency,
    /// `key=value`, by key, separated by semicolons; empty where there are none.
    pub dimensions: String,
    /// Debits and credits, minor units.
    pub totals: Totals,
}

/// Which lines. The postings are a projection: the caller sees to it that they are as far as `position`.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Everything up to this position.
    pub position: Position,
    /// Of it only what had happened by this instant, business time.
    pub as_of: Option<Timestamp>,
    /// Only this account.
    pub account: Option<Account>,
    /// Only this currency.
    pub currency: Option<Currency>,
    /// Only what comes after this line, by account, currency and dimensions.
    pub after: Option<(Account, Currency, &'a str)>,
    /// Lines at most.
    pub limit: usize,
}

/// Whether fewer postings came after the position than up to it, as far as positions tell.
async fn is_recent(pool: &PgPool, position: Position) -> Result<bool, StoreError> {
    let books: i64 = sqlx::query_scalar("select position from projections where name = 'books'")
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    Ok(position.saturating_mul(2) >= to_u64(books))
}

/// From the first posting on.
const FORWARD: &str = "select account, currency, dims,
            coalesce(sum(minor) filter (where side = 'D'), 0)::text as debits,
            coalesce(sum(minor) filter (where side = 'C'), 0)::text as credits
     from postings p
     where position <= $1
       and ($2::timestamptz is null or exists (
            select 1 from events e
            where e.position = p.position and (e.metadata ->> 'occurred_at')::timestamptz <= $2))
       and ($3::smallint is null or account = $3)
       and ($4::text is null or currency = $4)
       and ($5::smallint is null or (account, currency, dims) > ($5, $6::text, $7::text))
     group by account, currency, dims order by account, currency, dims limit $8";

/// From the present balances, without what came after the position. The primary keys of both tables serve it. Present
/// balances and postings are written in one transaction, and read in one statement.
const BACKWARD: &str = "with later as materialized (
         select account, currency, dims,
                sum(minor) filter (where side = 'D') as debits, sum(minor) filter (where side = 'C') as credits
         from postings where position > $1 group by account, currency, dims)
     select account, currency, dims, (b.debits - coalesce(l.debits, 0))::text as debits,
            (b.credits - coalesce(l.credits, 0))::text as credits
     from subledger_balances b left join later l using (account, currency, dims)
     where $2::timestamptz is null
       and (b.debits > coalesce(l.debits, 0) or b.credits > coalesce(l.credits, 0))
       and ($3::smallint is null or account = $3)
       and ($4::text is null or currency = $4)
       and ($5::smallint is null or (account, currency, dims) > ($5, $6::text, $7::text))
     order by account, currency, dims limit $8";

/// The lines wanted, by account, currency and dimensions; also those that come to nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn read(pool: &PgPool, wanted: &Wanted<'_>) -> Result<Vec<Line>, StoreError> {
    let sql = if wanted.as_of.is_none() && is_recent(pool, wanted.position).await? { BACKWARD } else { FORWARD };
    let rows = sqlx::query(sql)
        .bind(to_i64(wanted.position))
        .bind(wanted.as_of)
        .bind(wanted.account.map(Account::number))
        .bind(wanted.currency.map(Currency::code))
        .bind(wanted.after.map(|(account, ..)| account.number()))
        .bind(wanted.after.map(|(_, currency, _)| currency.code()))
        .bind(wanted.after.map(|(.., dimensions)| dimensions))
        .bind(to_i64(wanted.limit as u64))
        .fetch_all(pool)
        .await
        .map_err(unavailable)?;
    let line = |row: &sqlx::postgres::PgRow| {
        let text = |column: &str| row.try_get::<String, _>(column).map_err(unavailable);
        let sum = |column: &str| -> Result<i128, StoreError> { text(column)?.parse().map_err(corrupt) };
        let number: i16 = row.try_get("account").map_err(unavailable)?;
        Ok(Line {
            account: Account::from_number(number).ok_or_else(|| corrupt("an account that is not in the chart"))?,
            currency: text("currency")?.parse().map_err(corrupt)?,
            dimensions: text("dims")?,
            totals: Totals { debits: sum("debits")?, credits: sum("credits")? },
        })
    };
    rows.iter().map(line).collect()
}
