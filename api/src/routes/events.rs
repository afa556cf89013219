//! The event feed: the log by position.

use adapters::postgres::log_reader::{self, EventFilter};
use axum::extract::State;
use axum::response::Response;
use domain::actor::StaffRole;
use domain::log::EventStore;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Page, id, limit};
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::extract::Query;
use crate::problem::Problem;
use crate::view::EventView;

/// Who may read everything that happened.
pub(crate) const READERS: &[StaffRole] = &[StaffRole::Finance, StaffRole::Auditor, StaffRole::Admin];

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// Events after this position; 0 for the first.
    pub after: Option<u64>,
    /// Events at most, 1 to 1000; 100 when absent.
    pub limit: Option<usize>,
    /// Only these types, separated by commas.
    pub types: Option<String>,
    /// Only events about this contract.
    pub contract: Option<String>,
}

/// Lists events by position.
///
/// Positions are gap-free and in the order of commits: keep the last one and ask for what is after it, and you miss
/// nothing.
#[utoipa::path(get, path = "/v1/events", tag = "log", params(FeedQuery),
    responses((status = 200, body = Page<EventView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    _at: ReadAt,
    Query(query): Query<FeedQuery>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let limit = limit(query.limit, 100, 1000)?;
    let types = query.types.as_deref().unwrap_or_default();
    let filter = EventFilter {
        types: types.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        contract_id: query.contract.as_deref().map(|text| id(text, "contract")).transpose()?,
        financial: false,
    };
    let head = app.engine.store().head().await?;
    let events = log_reader::page(app.pool(), query.after.unwrap_or(0), limit.saturating_add(1), &filter).await?;
    let more = events.len() > limit;
    let data: Vec<EventView> = events.into_iter().take(limit).map(|event| EventView::of(event, &app.tenant)).collect();
    let next_cursor = if more { data.last().map(|event| event.position.to_string()) } else { None };
    Ok(ReadAt(head).respond(&Page { object: "list".to_owned(), data, next_cursor }, None))
}
