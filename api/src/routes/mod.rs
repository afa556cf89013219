//! The routes of the API: one file per thing that they are about.

#![expect(
    clippy::missing_errors_doc,
    reason = "every handler answers with a problem document; the description of the API tells which"
)]

pub mod amendments;
pub mod api_keys;
pub mod approvals;
pub mod auth;
pub mod balances;
pub mod chargebacks;
pub mod command;
pub mod contracts;
pub mod endings;
pub mod escrows;
pub mod events;
pub mod fundings;
pub mod gratuities;
pub mod health;
pub mod meta;
pub mod milestones;
pub mod offers;
pub mod onboarding;
pub mod parties;
pub mod payments;
pub mod payouts;
pub mod preview;
pub mod psp_disputes;
pub mod reading;
pub mod refund_requests;
pub mod refunds;
pub mod reports;
pub mod standing;
pub mod test_clocks;
pub mod test_helpers;
pub mod test_helpers_payouts;
pub mod treasury;
pub mod users;
pub mod wallets;
pub mod webhooks;

use adapters::postgres::document::{self, Visible};
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Items on a page unless asked otherwise.
const PAGE: usize = 20;

/// Most items on a page.
const MAX_PAGE: usize = 100;

/// More than there are currencies: a party's accounts are shown on one page.
const CURRENCIES: usize = 200;

/// What a caller may see of lists and things: its own, or everything for staff.
pub(crate) fn visible(caller: &Caller) -> Visible {
    if caller.is_staff() { Visible::ToStaff } else { Visible::To(caller.party_id) }
}

/// Paging through a list, newest first.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 100; 20 when absent.
    pub limit: Option<usize>,
    /// Only things in this state.
    pub status: Option<String>,
}

impl Paging {
    /// The limit and the position to go on from.
    ///
    /// # Errors
    /// `validation_failed`.
    pub(crate) fn read(&self) -> Result<(usize, Option<u64>), Problem> {
        let limit = limit(self.limit, PAGE, MAX_PAGE)?;
        let before = self.cursor.as_deref().map(read_cursor).transpose()?;
        Ok((limit, before))
    }
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The items.
    pub data: Vec<T>,
    /// Give this as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of items that were asked for with one more than `limit`, to see whether there are more. `position` tells
    /// what an item is ordered by.
    pub(crate) fn of<S>(
        mut items: Vec<S>,
        limit: usize,
        position: fn(&S) -> u64,
        view: impl Fn(S) -> Option<T>,
    ) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = if more { items.last().map(|item| write_cursor(position(item))) } else { None };
        Self { object: "list".to_owned(), data: items.into_iter().filter_map(view).collect(), next_cursor }
    }
}

/// A page of the things of one kind that the caller may see, newest first. `view` shows one by its state.
pub(crate) async fn page_of<T: Serialize>(
    app: &App,
    caller: &Caller,
    at: ReadAt,
    paging: &Paging,
    kind: &str,
    view: impl Fn(&AggregateState) -> Option<T>,
) -> Result<Response, Problem> {
    let (limit, before) = paging.read()?;
    let status = paging.status.as_deref();
    let stored = document::list(app.pool(), kind, visible(caller), status, before, limit.saturating_add(1)).await?;
    let page = Page::of(
        stored,
        limit,
        |stored| stored.created_position,
        |stored| match &stored.document {
            Document::Aggregate(state) => view(state),
            Document::Payee(_) => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// A limit within bounds.
pub(crate) fn limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, Problem> {
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::field(ErrorCode::ValidationFailed, "limit", format!("must be 1 to {most}"))),
    }
}

fn write_cursor(position: u64) -> String {
    format!("p{position:x}")
}

fn read_cursor(text: &str) -> Result<u64, Problem> {
    text.strip_prefix('p')
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Problem::field(ErrorCode::ValidationFailed, "cursor", "must be a next_cursor as given"))
}

/// An amount in a request: a positive whole number of minor units.
pub(crate) fn amount(value: i64, pointer: impl Into<String>) -> Result<ledger::Minor, Problem> {
    let pointer = pointer.into();
    match ledger::Minor::new(value) {
        Ok(minor) if minor.is_zero() => {
            Err(Problem::field(ErrorCode::ValidationFailed, pointer, "must be greater than zero"))
        }
        Ok(minor) if minor > ledger::Minor::MAX_INPUT => {
            let max = ledger::Minor::MAX_INPUT;
            let detail = format!("may be at most {max} minor units");
            Err(Problem::field(ErrorCode::AmountTooLarge, pointer, detail).with("max", max.get()))
        }
        Ok(minor) => Ok(minor),
        Err(_) => Err(Problem::field(ErrorCode::ValidationFailed, pointer, "must be greater than zero")),
    }
}

/// A currency in a request.
pub(crate) fn currency(text: &str, pointer: &str) -> Result<ledger::Currency, Problem> {
    text.parse()
        .map_err(|error: ledger::CurrencyError| Problem::field(ErrorCode::ValidationFailed, pointer, error.to_string()))
}

/// An id in a request's body.
pub(crate) fn id<T: std::str::FromStr<Err = domain::id::IdError>>(
    text: &str,
    pointer: impl Into<String>,
) -> Result<T, Problem> {
    text.parse()
        .map_err(|error: domain::id::IdError| Problem::field(ErrorCode::ValidationFailed, pointer, error.to_string()))
}
