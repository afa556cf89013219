//! The sandbox's clock, and everything that happens because time passes.
//!
//! # Invariants
//! - The clock is stored. Whoever reads it holds the shared lock, whoever moves it the exclusive one: no request sees
//!   the time change under its feet.
//! - A test clock walks: it stops at every due instant, and what is due there commits together with the clock's new
//!   position. A crash in the middle leaves a clock that has simply not walked on.
//! - What is due earlier happens earlier; at one instant: funds become available, top-ups arrive, refunds that wait for
//!   them are taken, banks answer debits and refunds, disputes that nobody answered are lost, payouts go to the bank,
//!   payouts arrive.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::events::{self, NewEvent};
use super::object::{self, Payout};
use super::{disputes, payouts, refunds, settlement, topups, wall, webhooks};

/// What the sandbox's clock shows when its schema is new. A stored clock stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxClock {
    /// The operating system's time.
    System,
    /// Stands at an instant until it is moved by `POST /_sandbox/clock`.
    Test(DateTime<Utc>),
}

/// Begins a transaction that carries out a request. Many run side by side, none beside [`BEGIN_ALONE`].
pub(super) const BEGIN_SHARED: &str =
    "BEGIN; SELECT pg_advisory_xact_lock_shared(1935764595, hashtext(current_schema()))";
/// Begins a transaction that moves the clock. The number only has to be the same in both, and another than that of the
/// engine's own advisory locks.
pub(super) const BEGIN_ALONE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1935764595, hashtext(current_schema()))";

/// The row of `sandbox_state`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct State {
    pub(super) platform_account: String,
    clock_now: Option<DateTime<Utc>>,
}

impl State {
    /// The instant that the clock shows.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock_now.unwrap_or_else(wall::now)
    }

    fn mode(&self) -> &'static str {
        if self.clock_now.is_some() { "test" } else { "system" }
    }
}

/// Why the clock was not moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClockError {
    /// It only goes forward.
    #[error("the clock only goes forward: it stands at {now}, {asked} is before that")]
    Backwards { now: DateTime<Utc>, asked: DateTime<Utc> },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Reads platform account and clock.
pub(super) async fn state(connection: &mut PgConnection) -> Result<State, sqlx::Error> {
    sqlx::query_as("SELECT platform_account, clock_now FROM sandbox_state").fetch_one(connection).await
}

/// The earliest instant at which something is due; it may have passed.
pub(super) async fn next_due_at(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT least(
            (SELECT min(available_on) FROM balance_transactions WHERE status = 'pending'),
            (SELECT min(turns_at) FROM refunds),
            (SELECT min(arrival_at) FROM topups WHERE status = 'pending'),
            (SELECT min(settles_at) FROM payment_intents),
            (SELECT min(books_at) FROM charges),
            (SELECT min(due_at) FROM webhook_deliveries WHERE state = 'delayed'),
            (SELECT min(due_by) FROM disputes WHERE status = 'needs_response'),
            (SELECT min(submit_at) FROM payouts WHERE status = 'pending'),
            (SELECT min(arrival_at) FROM payouts WHERE status = 'in_transit'))",
    )
    .fetch_one(connection)
    .await
}

/// The answer of `GET /_sandbox/status`.
pub(super) async fn status(connection: &mut PgConnection) -> Result<Value, sqlx::Error> {
    let state = state(connection).await?;
    let next_due_at = next_due_at(connection).await?;
    let (undelivered, on_their_way): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE state IN ('pending', 'held'))
         FROM webhook_deliveries WHERE state <> 'delivered'",
    )
    .fetch_one(connection)
    .await?;
    let write = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Ok(json!({
        "clock": { "mode": state.mode(), "now": write(state.now()) },
        "next_due_at": next_due_at.map(write),
        "undelivered_webhooks": undelivered,
        // Without those that a planned fault has lost, or keeps until the clock is further.
        "webhooks_on_their_way": on_their_way,
    }))
}

/// Makes the clock a test clock that stands at `asked`, and does everything that is due on the way.
///
/// A test clock may not go back. A system clock may become a test clock at any instant from the newest object on, so in
/// a new sandbox at any instant.
pub(super) async fn move_to(
    pool: &PgPool,
    endpoints: &events::Endpoints,
    asked: DateTime<Utc>,
) -> Result<(), ClockError> {
    let mut tx = pool.begin_with(BEGIN_ALONE).await?;
    let now = match state(&mut tx).await?.clock_now {
        Some(now) => now,
        None => newest(&mut tx).await?.unwrap_or(asked),
    };
    if asked < now {
        return Err(ClockError::Backwards { now, asked });
    }
    sqlx::query("UPDATE sandbox_state SET clock_mode = 'test', clock_now = $1").bind(now).execute(&mut *tx).await?;
    tx.commit().await?;
    while step(pool, endpoints, Some(asked)).await? {}
    Ok(())
}

/// Does everything that is due by now. Returns whether there was anything.
pub(super) async fn run_due(pool: &PgPool, endpoints: &events::Endpoints) -> Result<bool, sqlx::Error> {
    // Most of the time nothing is due; find out without stopping the requests.
    let mut connection = pool.acquire().await?;
    let now = state(&mut connection).await?.now();
    if next_due_at(&mut connection).await?.is_none_or(|due| due > now) {
        return Ok(false);
    }
    drop(connection);
    while step(pool, endpoints, None).await? {}
    Ok(true)
}

/// Does what is due at the next instant; with `target`, walks the test clock there, or to `target` when nothing is due
/// before. Returns whether there may be more.
async fn step(
    pool: &PgPool,
    endpoints: &events::Endpoints,
    target: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN_ALONE).await?;
    let state = state(&mut tx).await?;
    let until = target.map_or(state.now(), |target| target.max(state.now()));
    let due = next_due_at(&mut tx).await?.filter(|due| *due <= until);
    if target.is_some() {
        // Never back: something overdue happens at the instant where the clock already stands.
        sqlx::query("UPDATE sandbox_state SET clock_now = greatest(clock_now, $1)")
            .bind(due.unwrap_or(until))
            .execute(&mut *tx)
            .await?;
    }
    if let Some(due) = due {
        // A system clock may be late, after a stop for hours. Its events are dated when they happen, so that whoever reads
        // on from the newest event misses none.
        let at = if target.is_some() || state.clock_now.is_some() { due } else { state.now().trunc_subsecs(0) };
        let mut happened = Vec::new();
        make_available(&mut tx, due, at, &mut happened).await?;
        topups::arrive(&mut tx, due, at, &mut happened).await?;
        refunds::take_what_waits(&mut tx, at, &mut happened).await?;
        settlement::turn(&mut tx, due, at, &mut happened).await?;
        refunds::turn(&mut tx, due, at, &mut happened).await?;
        disputes::expire(&mut tx, due, at, &mut happened).await?;
        send_payouts(&mut tx, due, at, &mut happened).await?;
        payouts::arrive(&mut tx, due, at, &mut happened).await?;
        events::store(&mut tx, &state.platform_account, endpoints, None, &happened).await?;
        webhooks::send_delayed(&mut tx, due).await?;
    }
    tx.commit().await?;
    endpoints.nudge();
    Ok(due.is_some())
}

async fn make_available(
    tx: &mut Transaction<'_, Postgres>,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let mut accounts: Vec<String> = sqlx::query_scalar(
        "WITH matured AS (
            UPDATE balance_transactions SET status = 'available' WHERE status = 'pending' AND available_on <= $1
            RETURNING account_id, currency, net),
        sums AS (SELECT account_id, currency, sum(net)::bigint AS net FROM matured GROUP BY account_id, currency)
        UPDATE balances SET pending = pending - sums.net, available = available + sums.net FROM sums
        WHERE balances.account_id = sums.account_id AND balances.currency = sums.currency
        RETURNING balances.account_id",
    )
    .bind(due)
    .fetch_all(&mut **tx)
    .await?;
    accounts.sort_unstable();
    accounts.dedup();
    for account in accounts {
        let balance = object::balance(tx, &account).await?;
        happened.push(NewEvent::new("balance.available", &account, at, balance));
    }
    Ok(())
}

async fn send_payouts(
    tx: &mut Transaction<'_, Postgres>,
    due: DateTime<Utc>,
    at: DateTime<Utc>,
    happened: &mut Vec<NewEvent>,
) -> Result<(), sqlx::Error> {
    let mut payouts: Vec<Payout> = sqlx::query_as(
        "UPDATE payouts SET status = 'in_transit' WHERE status = 'pending' AND submit_at <= $1 RETURNING *",
    )
    .bind(due)
    .fetch_all(&mut **tx)
    .await?;
    payouts.sort_by(|left, right| left.id.cmp(&right.id));
    for payout in payouts {
        let event = NewEvent::new("payout.updated", &payout.account_id, at, payout.show());
        happened.push(event.instead_of(json!({ "status": "pending" })));
    }
    Ok(())
}

/// When the newest object was made; `None` in a sandbox where nothing has happened.
async fn newest(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT greatest(
            (SELECT max(created_at) FROM accounts WHERE NOT platform),
            (SELECT max(created_at) FROM payment_intents),
            (SELECT max(created_at) FROM events))",
    )
    .fetch_one(connection)
    .await
}
