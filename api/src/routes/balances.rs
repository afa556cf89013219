//! The books for finance: what every account has, by its dimensions.

use std::collections::BTreeMap;

use adapters::postgres::balances::{self, Line, Wanted};
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::log::{EventStore, Position};
use domain::time::to_millis;
use ledger::{Account, Currency};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::events::READERS;
use super::reports::with_side;
use super::{currency, limit};
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Query;
use crate::problem::Problem;

/// Which balances, and when.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BalancesQuery {
    /// Everything up to this position of the log; the newest one when absent.
    pub position: Option<u64>,
    /// Of that only what had happened by this instant of the tenant's clock, RFC 3339, not after now.
    pub as_of: Option<DateTime<Utc>>,
    /// Only this account, by its code.
    pub account: Option<String>,
    /// Only this currency, ISO 4217.
    pub currency: Option<String>,
    /// The `next_cursor` of the page before. It stays at the position of the first page.
    pub cursor: Option<String>,
    /// Balances on the page, 1 to 1000; 100 when absent.
    pub limit: Option<usize>,
}

/// A page of balances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LedgerBalancesView {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// The position that they are true for.
    pub position: u64,
    /// The balances, by account, currency and dimensions; also those that came to nothing.
    pub data: Vec<LedgerBalanceView>,
    /// Give this as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}

/// What one account has in one currency for one combination of dimensions, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LedgerBalanceView {
    /// Code in the chart.
    #[schema(example = "2210")]
    pub account: String,
    /// Its name.
    #[schema(example = "Payee earnings, available")]
    pub name: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What it is about, such as the payee.
    pub dimensions: BTreeMap<String, String>,
    /// Sum of debits.
    #[schema(value_type = i64, example = 0)]
    pub debits: i128,
    /// Sum of credits.
    #[schema(value_type = i64, example = 90_000)]
    pub credits: i128,
    /// Debits less credits.
    #[schema(value_type = i64, example = -90_000)]
    pub net: i128,
    /// The net as people write it, with its side.
    #[schema(example = "900.00 USD Cr")]
    pub decimal: String,
}

impl LedgerBalanceView {
    fn of(line: &Line) -> Self {
        let net = line.totals.net();
        let dimensions = line.dimensions.split(';').filter_map(|part| part.split_once('='));
        Self {
            account: line.account.code().to_owned(),
            name: line.account.name().to_owned(),
            currency: line.currency.code().to_owned(),
            dimensions: dimensions.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            debits: line.totals.debits,
            credits: line.totals.credits,
            net,
            decimal: with_side(net, line.currency),
        }
    }
}

/// Shows what every account has, by its dimensions, at a position or an instant.
///
/// Without either it is the newest position.
/// The lines of an account and currency add up to its line of the trial balance at the same position.
#[utoipa::path(get, path = "/v1/ledger/balances", tag = "reports", params(BalancesQuery),
    responses((status = 200, body = LedgerBalancesView)))]
pub async fn balances(
    State(app): State<App>,
    caller: Caller,
    _at: ReadAt,
    Query(query): Query<BalancesQuery>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let limit = limit(query.limit, 100, 1000)?;
    let account = query.account.as_deref().map(account).transpose()?;
    let currency = query.currency.as_deref().map(|code| currency(code, "currency")).transpose()?;
    let cursor = query.cursor.as_deref().map(Cursor::read).transpose()?;
    let head = app.engine.store().head().await?;
    let position = match (query.position, &cursor) {
        (Some(asked), Some(cursor)) if asked != cursor.position => {
            return Err(wrong("position", "must be that of the first page".to_owned()));
        }
        (_, Some(cursor)) => cursor.position,
        (Some(asked), None) => asked,
        (None, None) => head,
    };
    if position > head {
        return Err(wrong("position", format!("must not be after the newest position, {head}")));
    }
    let now = app.engine.now().await?;
    if query.as_of.is_some_and(|instant| instant > now) {
        return Err(wrong("as_of", format!("must not be after now, {now}")));
    }
    // The postings are a projection.
    app.wait_for(position).await?;
    let wanted = Wanted {
        position,
        as_of: query.as_of.map(to_millis),
        account,
        currency,
        after: cursor.as_ref().map(|cursor| (cursor.account, cursor.currency, cursor.dimensions.as_str())),
        limit: limit.saturating_add(1),
    };
    let mut lines = balances::read(app.pool(), &wanted).await?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next_cursor = lines.last().filter(|_| more).map(|line| Cursor::after(position, line));
    let data = lines.iter().map(LedgerBalanceView::of).collect();
    Ok(ReadAt(position).respond(&LedgerBalancesView { object: "list".to_owned(), position, data, next_cursor }, None))
}

fn wrong(name: &str, detail: String) -> Problem {
    Problem::field(ErrorCode::ValidationFailed, name, detail)
}

fn account(code: &str) -> Result<Account, Problem> {
    let known = code.parse().ok().and_then(Account::from_number);
    known.ok_or_else(|| wrong("account", "is no account of the chart".to_owned()))
}

/// Where a page ended, and at which position of the log.
struct Cursor {
    position: Position,
    account: Account,
    currency: Currency,
    dimensions: String,
}

impl Cursor {
    /// `p{position}.{account}.{currency}.{dimensions}`, the numbers and the bytes of the dimensions in hex.
    fn after(position: Position, line: &Line) -> String {
        let dimensions: Vec<_> = line.dimensions.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("p{position:x}.{}.{}.{}", line.account.code(), line.currency.code(), dimensions.concat())
    }

    fn read(text: &str) -> Result<Self, Problem> {
        Self::parse(text).ok_or_else(|| wrong("cursor", "must be a next_cursor as given".to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('p')?.splitn(4, '.');
        let position = u64::from_str_radix(parts.next()?, 16).ok()?;
        let account = Account::from_number(parts.next()?.parse().ok()?)?;
        let currency = parts.next()?.parse().ok()?;
        let digits = parts.next()?.as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<_>>>()?;
        Some(Self { position, account, currency, dimensions: String::from_utf8(bytes).ok()? })
    }
}
