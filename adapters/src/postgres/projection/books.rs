//! The books: every posting as a row, and the balance of every sub-ledger account.

use std::collections::BTreeMap;

use ledger::Side;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{ProjectionError, Read};
use crate::postgres::append::floor_sign;
use crate::postgres::to_i64;

#[derive(Default)]
struct Lines {
    position: Vec<i64>,
    line: Vec<i16>,
    account: Vec<i16>,
    currency: Vec<&'static str>,
    side: Vec<&'static str>,
    minor: Vec<i64>,
    dims: Vec<String>,
}

pub(super) async fn apply(tx: &mut PgConnection, events: &[Read]) -> Result<(), ProjectionError> {
    let mut lines = Lines::default();
    // Sums of a batch: at most 10,000 events of a few lines below 2^50 each fit 64 bits.
    let mut balances: BTreeMap<(i16, &'static str, String), (i16, i64, i64)> = BTreeMap::new();
    for read in events {
        let Some(entry) = &read.recorded.journal else { continue };
        for (number, posting) in (1_i16..).zip(entry.postings()) {
            let account = posting.account();
            let currency = posting.amount().currency().code();
            let minor = posting.amount().minor().get();
            let dims = posting.dimensions().to_string();
            let sums =
                balances
                    .entry((account.number(), currency, dims.clone()))
                    .or_insert((floor_sign(account), 0, 0));
            let side = match posting.side() {
                Side::Debit => {
                    sums.1 = sums.1.saturating_add(minor);
                    "D"
                }
                Side::Credit => {
                    sums.2 = sums.2.saturating_add(minor);
                    "C"
                }
            };
            lines.position.push(to_i64(read.recorded.position));
            lines.line.push(number);
            lines.account.push(account.number());
            lines.currency.push(currency);
            lines.side.push(side);
            lines.minor.push(minor);
            lines.dims.push(dims);
        }
    }
    if lines.position.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into postings (position, line, account, currency, side, minor, dims)
         select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[],
                              $7::text[])",
    )
    .bind(&lines.position)
    .bind(&lines.line)
    .bind(&lines.account)
    .bind(&lines.currency)
    .bind(&lines.side)
    .bind(&lines.minor)
    .bind(&lines.dims)
    .execute(&mut *tx)
    .await?;

    let mut account = Vec::with_capacity(balances.len());
    let mut currency = Vec::with_capacity(balances.len());
    let mut dims = Vec::with_capacity(balances.len());
    let mut floor = Vec::with_capacity(balances.len());
    let mut debits = Vec::with_capacity(balances.len());
    let mut credits = Vec::with_capacity(balances.len());
    for ((number, code, key), (sign, debit, credit)) in balances {
        account.push(number);
        currency.push(code);
        dims.push(key);
        floor.push(sign);
        debits.push(debit);
        credits.push(credit);
    }
    let below = sqlx::query(
        "with deltas as (
             select * from unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[])
                 as d (account, currency, dims, floor, debits, credits)
         ), stored as (
             insert into subledger_balances as b (account, currency, dims, debits, credits)
             select account, currency, dims, debits, credits from deltas
             on conflict (account, currency, dims)
             do update set debits = b.debits + excluded.debits, credits = b.credits + excluded.credits
             returning b.account, b.currency, b.dims, b.debits - b.credits as net
         )
         select s.account, s.currency, s.dims from stored s
         join deltas d on d.account = s.account and d.currency = s.currency and d.dims = s.dims
         where s.net * d.floor < 0 limit 1",
    )
    .bind(&account)
    .bind(&currency)
    .bind(&dims)
    .bind(&floor)
    .bind(&debits)
    .bind(&credits)
    .fetch_optional(&mut *tx)
    .await?;
    match below {
        None => Ok(()),
        Some(row) => Err(ProjectionError::BelowFloor {
            account: row.try_get("account")?,
            currency: row.try_get("currency")?,
            dims: row.try_get("dims")?,
            position: events.last().map_or(0, |read| read.recorded.position),
        }),
    }
}
