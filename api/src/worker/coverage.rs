//! Looks whether the cash covers what is owed (B.11), and tells finance when it does not for longer than a day.
//!
//! # Invariants
//! - A shortage that lasts for [`LASTS`] of the tenant's clock is told once (`treasury.coverage_fell`), and its end once
//!   (`treasury.coverage_restored`); both are also an operator's task, opened and closed.
//! - Whoever dies in between, or looks at the same time, tells nothing twice: the treasury knows what it was told.
//!
//! # Why a day
//! Every payment leaves the provider's fee open until the platform has earned something: the figure dips below zero with
//! each payment, and nobody has to act on that within the hour. A shortage of any size that is still there a day later is
//! real money missing, to be made good on the next day, as safeguarding rules want it. The present figure is always the
//! metric `ledger_coverage_minor` and `GET /v1/reports/coverage`.
//!
//! # What is deliberately absent
//! Dips between two looks, which are ten seconds apart.

use std::collections::BTreeSet;

use adapters::postgres::{coverage, log_reader, task};
use chrono::TimeDelta;
use domain::actor::{Actor, SystemPart};
use domain::command::Command;
use domain::intent::Intent;
use domain::log::{Position, StoreError};
use domain::reaction::PSP;
use domain::time::Timestamp;
use domain::treasury::{Coverage, TreasuryCommand, TreasuryId};
use ledger::{Currency, Money};
use uuid::Uuid;

use crate::app::App;
use crate::engine::{EngineError, Performed, Request};

/// How long a shortage has to last until it is told.
const LASTS: TimeDelta = TimeDelta::hours(24);

/// Namespace of the ids of what is told.
const NAMESPACE: Uuid = Uuid::from_u128(0x1f6c_9b52_7d0e_5a43_b8c1_2e94_60f7_d3a8);

/// Publishes the coverage of every currency, and tells what lasts. Gives whether anything was told.
pub(crate) async fn look(app: &App) -> Result<bool, EngineError> {
    // Not while a test clock moves: what happens meanwhile is not booked yet.
    let _at_rest = app.clock_moving.read().await;
    let now = app.engine.now().await?;
    let (position, books) = log_reader::trial_balance(app.pool()).await?;
    let known: BTreeSet<String> = coverage::below(app.pool()).await?.into_iter().collect();
    let currencies: BTreeSet<Currency> = books.iter().map(|(_, currency, _)| currency).collect();
    let mut told = false;
    for currency in currencies {
        let seen = Coverage::of(&books, currency);
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("ledger_coverage_minor", "currency" => currency.code()).set(seen.surplus() as f64);
        if !seen.required_float().is_zero() {
            let since = coverage::is_below(app.pool(), currency, now).await?;
            if now - since >= LASTS && tell(app, seen, position).await? {
                told = true;
                alarm(app, &seen, since).await?;
            }
        } else if known.contains(currency.code()) {
            told |= tell(app, seen, position).await?;
            task::close(app.pool(), task::UNCOVERED, currency.code()).await?;
            coverage::is_over(app.pool(), currency).await?;
        }
    }
    Ok(told)
}

/// Whether it was news.
async fn tell(app: &App, seen: Coverage, position: Position) -> Result<bool, EngineError> {
    let treasury = TreasuryId { psp: PSP.to_owned(), currency: seen.currency };
    let note = Command::Treasury(treasury, TreasuryCommand::NoteCoverage { coverage: seen });
    // The books of one position say one thing.
    let command_id = Uuid::new_v5(&NAMESPACE, format!("{}/{position}", seen.currency).as_bytes());
    let request = Request::internal(Intent::Fact(note), Actor::System(SystemPart::Timer), command_id);
    app.engine.perform(request).await.map(|performed| matches!(performed, Performed::Done(..)))
}

async fn alarm(app: &App, seen: &Coverage, since: Timestamp) -> Result<(), StoreError> {
    let missing = Money::new(i128::from(seen.required_float().get()), seen.currency);
    let detail = format!(
        "{missing} of the platform's own money is missing beside what is owed to clients and payees, since {since}: add \
         it by `POST /v1/treasury/top-ups`, or at the bank"
    );
    tracing::error!(detail, "what is owed is not covered");
    task::open(app.pool(), task::UNCOVERED, seen.currency.code(), &detail).await
}
