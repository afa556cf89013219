//! The books: every posting as a row, and the balance of every sub-ledger account.

use std::collections::BTreeMap;

use domain::log::Position;
use ledger::Side;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::ProjectionError;
use super::read::Read;
use crate::postgres::append::floor_sign;
use crate::postgres::{to_i64, to_u64};

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

/// What a batch does to one sub-ledger account.
struct Sums {
    /// As [`floor_sign`] has it.
    sign: i16,
    debits: i64,
    credits: i64,
    /// How far below where the batch began it gets, between any two events; in the direction of the floor.
    worst: i64,
}

impl Sums {
    fn moved(&self) -> i64 {
        self.debits.saturating_sub(self.credits)
    }
}

pub(super) async fn apply(tx: &mut PgConnection, events: &[Read]) -> Result<(), ProjectionError> {
    let mut lines = Lines::default();
    // Sums of a batch: at most 10,000 events of a few lines below 2^50 each fit 64 bits.
    let mut sums: Vec<Sums> = Vec::new();
    let mut places: BTreeMap<(i16, &'static str, String), usize> = BTreeMap::new();
    let mut touched = Vec::new();
    for read in events {
        let Some(entry) = &read.journal else { continue };
        for (number, posting) in (1_i16..).zip(entry.postings()) {
            let account = posting.account();
            let currency = posting.amount().currency().code();
            let minor = posting.amount().minor().get();
            let dims = posting.dimensions().to_string();
            let place = *places.entry((account.number(), currency, dims.clone())).or_insert_with(|| {
                sums.push(Sums { sign: floor_sign(account), debits: 0, credits: 0, worst: 0 });
                sums.len().saturating_sub(1)
            });
            touched.push(place);
            let (side, sum) = match posting.side() {
                Side::Debit => ("D", &mut sums[place].debits),
                Side::Credit => ("C", &mut sums[place].credits),
            };
            *sum = sum.saturating_add(minor);
            lines.position.push(to_i64(read.position));
            lines.line.push(number);
            lines.account.push(account.number());
            lines.currency.push(currency);
            lines.side.push(side);
            lines.minor.push(minor);
            lines.dims.push(dims);
        }
        // A floor holds after every event, not only where a batch happens to end.
        for place in touched.drain(..) {
            let sums = &mut sums[place];
            sums.worst = sums.worst.min(sums.moved().saturating_mul(i64::from(sums.sign)));
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

    let mut account = Vec::with_capacity(places.len());
    let mut currency = Vec::with_capacity(places.len());
    let mut dims = Vec::with_capacity(places.len());
    let mut floor = Vec::with_capacity(places.len());
    let mut debits = Vec::with_capacity(places.len());
    let mut credits = Vec::with_capacity(places.len());
    let mut worst = Vec::with_capacity(places.len());
    for ((number, code, key), place) in places {
        let sums = &sums[place];
        account.push(number);
        currency.push(code);
        dims.push(key);
        floor.push(sums.sign);
        debits.push(sums.debits);
        credits.push(sums.credits);
        worst.push(sums.worst);
    }
    let below = sqlx::query(
        "with deltas as (
             select * from unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[],
                                  $7::bigint[])
                 as d (account, currency, dims, floor, debits, credits, worst)
         ), stored as (
             insert into subledger_balances as b (account, currency, dims, debits, credits)
             select account, currency, dims, debits, credits from deltas
             on conflict (account, currency, dims)
             do update set debits = b.debits + excluded.debits, credits = b.credits + excluded.credits
             returning b.account, b.currency, b.dims, b.debits - b.credits as net
         )
         select s.account, s.currency, s.dims, (s.net - d.debits + d.credits)::text as before, d.floor
         from stored s join deltas d on d.account = s.account and d.currency = s.currency and d.dims = s.dims
         where d.floor <> 0 and (s.net - d.debits + d.credits) * d.floor + d.worst < 0
         order by s.account, s.currency, s.dims limit 1",
    )
    .bind(&account)
    .bind(&currency)
    .bind(&dims)
    .bind(&floor)
    .bind(&debits)
    .bind(&credits)
    .bind(&worst)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = below else { return Ok(()) };
    let (account, currency, dims) =
        (row.try_get("account")?, row.try_get::<String, _>("currency")?, row.try_get::<String, _>("dims")?);
    let before: i128 = row.try_get::<String, _>("before")?.parse().unwrap_or_default();
    let position = lines.first_below(account, &currency, &dims, before, row.try_get("floor")?);
    Err(ProjectionError::BelowFloor { account, currency, dims, position })
}

impl Lines {
    /// The event that took a sub-ledger account below its floor, from the net that it had before.
    fn first_below(&self, account: i16, currency: &str, dims: &str, before: i128, sign: i16) -> Position {
        let mut net = before;
        let mut places = (0..self.position.len())
            .filter(|at| self.account[*at] == account && self.currency[*at] == currency && self.dims[*at] == dims)
            .peekable();
        while let Some(at) = places.next() {
            let minor = i128::from(self.minor[at]);
            net = net.saturating_add(if self.side[at] == "D" { minor } else { -minor });
            let entry_ends = places.peek().is_none_or(|next| self.position[*next] != self.position[at]);
            if entry_ends && net.saturating_mul(i128::from(sign)) < 0 {
                return to_u64(self.position[at]);
            }
        }
        0
    }
}
