//! Milestones: read, submit, approve.

use adapters::postgres::document;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::MilestoneId;
use domain::intent::Intent;
use domain::milestone;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contracts::Nothing;
use super::{amount, currency, visible};
use crate::app::{ApiCommand, App, Look, ReadAt};
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::problem::Problem;
use crate::view::MilestoneView;

/// How much is approved. All of it when nothing is said.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Minor units; has to be what is held.
    #[serde(default)]
    #[schema(example = 100_000)]
    pub amount: Option<i64>,
    /// ISO 4217; has to be the contract's.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
}

/// Shows a milestone.
#[utoipa::path(get, path = "/v1/milestones/{id}", tag = "milestones",
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &milestone::stream(milestone_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Milestone(state)) => {
            let view = MilestoneView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Delivers the work.
///
/// The client's review window begins; when it ends without a word, the milestone counts as approved.
#[utoipa::path(post, path = "/v1/milestones/{id}/submit", tag = "milestones", request_body = Nothing,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn submit(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    headers.require_key()?;
    headers.require_version()?;
    app.perform(ApiCommand {
        caller,
        headers,
        route: "POST /v1/milestones/{id}/submit",
        fingerprint: body.fingerprint,
        intent: Intent::SubmitWork { milestone_id },
        status: StatusCode::OK,
        location: None,
        view: &|look| view_of(milestone_id, look),
    })
    .await
}

/// Approves a milestone, and with it releases what is held.
///
/// Fees are split and the payee is credited in the same commit. It cannot be undone.
#[utoipa::path(post, path = "/v1/milestones/{id}/approve", tag = "milestones", request_body = Approve,
    params(("id" = String, Path, description = "the milestone")),
    responses((status = 200, body = MilestoneView)))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<Approve>,
) -> Result<Response, Problem> {
    headers.require_key()?;
    headers.require_version()?;
    let intent = Intent::ApproveMilestone {
        milestone_id,
        amount: body.value.amount.map(|value| amount(value, "/amount")).transpose()?,
        currency: body.value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?,
    };
    app.perform(ApiCommand {
        caller,
        headers,
        route: "POST /v1/milestones/{id}/approve",
        fingerprint: body.fingerprint,
        intent,
        status: StatusCode::OK,
        location: None,
        view: &|look| view_of(milestone_id, look),
    })
    .await
}

fn view_of(milestone_id: MilestoneId, look: Look<'_>) -> Option<MilestoneView> {
    match look(&milestone::stream(milestone_id)) {
        Some(AggregateState::Milestone(state)) => MilestoneView::of(state),
        _ => None,
    }
}
