//! Reports for finance.

use std::collections::BTreeSet;

use adapters::postgres::log_reader;
use axum::extract::State;
use axum::response::Response;
use domain::log::EventStore;
use domain::treasury::Coverage;
use ledger::{Currency, Money, TrialBalance};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::events::READERS;
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Query;
use crate::problem::Problem;

/// The net of every account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialBalanceView {
    /// Always `trial_balance`.
    #[schema(example = "trial_balance")]
    pub object: String,
    /// The position that it is true for.
    pub position: u64,
    /// Whether debits are credits in every currency.
    pub balanced: bool,
    /// Accounts that were ever posted to, by code and currency.
    pub accounts: Vec<AccountLine>,
}

/// One account in one currency, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountLine {
    /// Code in the chart.
    #[schema(example = "1120")]
    pub account: String,
    /// Its name.
    #[schema(example = "PSP balance, available")]
    pub name: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Sum of debits.
    #[schema(value_type = i64, example = 11_925)]
    pub debits: i128,
    /// Sum of credits.
    #[schema(value_type = i64, example = 0)]
    pub credits: i128,
    /// Debits less credits.
    #[schema(value_type = i64, example = 11_925)]
    pub net: i128,
    /// The net as people write it, with its side.
    #[schema(example = "119.25 USD Dr")]
    pub decimal: String,
}

/// Whether the cash covers what is owed to clients and payees, per currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoverageView {
    /// Always `coverage`.
    #[schema(example = "coverage")]
    pub object: String,
    /// The position that it is true for.
    pub position: u64,
    /// Whether nothing is missing in any currency.
    pub covered: bool,
    /// Currencies that were ever posted in.
    pub currencies: Vec<CoverageLine>,
}

/// Cash against what is owed in one currency, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoverageLine {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Accounts 1000, 1110, 1120, 1130 and 1140.
    #[schema(example = 101_925)]
    pub cash: i64,
    /// Account 1200: shown, not counted.
    #[schema(example = 0)]
    pub contingent: i64,
    /// What is owed to clients and payees, or may be: accounts 21xx to 23xx, 2500 and 2900.
    #[schema(example = 105_000)]
    pub liabilities: i64,
    /// What belongs to tax offices: accounts 2400 and 2410. No part of the liabilities here, and not the platform's to take.
    #[schema(example = 0)]
    pub taxes: i64,
    /// Cash less liabilities; negative where own money is missing.
    #[schema(example = -3075)]
    pub surplus: i64,
    /// What the platform has to add so that everything owed is covered.
    #[schema(example = 3075)]
    pub required_float: i64,
    /// The surplus as people write it.
    #[schema(example = "-30.75 USD")]
    pub decimal: String,
}

impl CoverageLine {
    fn of(books: &TrialBalance, currency: Currency) -> Self {
        let coverage = Coverage::of(books, currency);
        Self {
            currency: currency.code().to_owned(),
            cash: coverage.cash,
            contingent: coverage.contingent,
            liabilities: coverage.liabilities,
            taxes: coverage.taxes,
            surplus: coverage.surplus(),
            required_float: coverage.required_float().get(),
            decimal: Money::new(i128::from(coverage.surplus()), currency).to_string(),
        }
    }
}

/// Shows whether the cash covers what is owed to clients and payees, per currency.
///
/// It is that of the newest event. The same figure is the metric `ledger_coverage_minor`.
#[utoipa::path(get, path = "/v1/reports/coverage", tag = "reports",
    responses((status = 200, body = CoverageView)))]
pub async fn coverage(State(app): State<App>, caller: Caller, _at: ReadAt) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    app.catch_up().await?;
    let (position, books) = log_reader::trial_balance(app.pool()).await?;
    let currencies: BTreeSet<Currency> = books.iter().map(|(_, currency, _)| currency).collect();
    let currencies: Vec<_> = currencies.into_iter().map(|currency| CoverageLine::of(&books, currency)).collect();
    let covered = currencies.iter().all(|line| line.required_float == 0);
    let view = CoverageView { object: "coverage".to_owned(), position, covered, currencies };
    Ok(ReadAt(position).respond(&view, None))
}

/// At which position to read the books.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BooksQuery {
    /// Everything up to this position of the log; the newest one when absent.
    pub as_of_position: Option<u64>,
}

/// A net as people write it: `119.25 USD Dr`.
pub(super) fn with_side(net: i128, currency: Currency) -> String {
    let side = match net {
        0 => "",
        net if net > 0 => " Dr",
        _ => " Cr",
    };
    format!("{}{side}", Money::new(net.saturating_abs(), currency))
}

/// Shows the trial balance at the newest position, or at an earlier one.
#[utoipa::path(get, path = "/v1/reports/trial-balance", tag = "reports", params(BooksQuery),
    responses((status = 200, body = TrialBalanceView)))]
pub async fn trial_balance(
    State(app): State<App>,
    caller: Caller,
    _at: ReadAt,
    Query(books): Query<BooksQuery>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (position, balance) = match books.as_of_position {
        None => log_reader::trial_balance(app.pool()).await?,
        Some(position) => {
            let head = app.engine.store().head().await?;
            if position > head {
                let detail = format!("must not be after the newest position, {head}");
                return Err(Problem::field(ErrorCode::ValidationFailed, "as_of_position", detail));
            }
            // The postings are a projection.
            app.wait_for(position).await?;
            (position, log_reader::trial_balance_at(app.pool(), position).await?)
        }
    };
    let accounts = balance
        .iter()
        .map(|(account, currency, totals)| {
            let net = totals.net();
            AccountLine {
                account: account.code().to_owned(),
                name: account.name().to_owned(),
                currency: currency.code().to_owned(),
                debits: totals.debits,
                credits: totals.credits,
                net,
                decimal: with_side(net, currency),
            }
        })
        .collect();
    let view =
        TrialBalanceView { object: "trial_balance".to_owned(), position, balanced: balance.is_balanced(), accounts };
    Ok(ReadAt(position).respond(&view, None))
}
