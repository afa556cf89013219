//! Reports for finance.

use adapters::postgres::log_reader;
use axum::extract::State;
use axum::response::Response;
use domain::log::EventStore;
use ledger::Money;
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

/// At which position to read the books.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
pub struct BooksQuery {
    /// Everything up to this position of the log; the newest one when absent.
    pub as_of_position: Option<u64>,
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
            let side = match net {
                0 => "",
                net if net > 0 => " Dr",
                _ => " Cr",
            };
            AccountLine {
                account: account.code().to_owned(),
                name: account.name().to_owned(),
                currency: currency.code().to_owned(),
                debits: totals.debits,
                credits: totals.credits,
                net,
                decimal: format!("{}{side}", Money::new(net.saturating_abs(), currency)),
            }
        })
        .collect();
    let view =
        TrialBalanceView { object: "trial_balance".to_owned(), position, balanced: balance.is_balanced(), accounts };
    Ok(ReadAt(position).respond(&view, None))
}
