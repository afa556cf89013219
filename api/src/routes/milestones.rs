//! Milestones: read, submit, take back, ask for changes, approve whole or in part, cancel.

use adapters::postgres::document;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::MilestoneId;
use domain::intent::Intent;
use domain::milestone::{self, MilestoneCommand};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contracts::Nothing;
use super::{amount, currency, visible};
use crate::app::{ApiCommand, App, Look, ReadAt};
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::identity::step_up;
use crate::problem::Problem;
use crate::view::MilestoneView;

/// What becomes of what is held beyond the amount that is approved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// It stays held.
    #[default]
    Keep,
}

/// What is wanted, if you want to say.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestChanges {
    /// Your own reference of what is wanted: 1 to 64 characters out of A-Z a-z 0-9 . _ : / -
    #[serde(default)]
    #[schema(example = "note-17")]
    pub note_ref: Option<String>,
}

/// How much is approved. All of it when nothing is said.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Minor units. Less than is held approves a part; more is refused.
    #[serde(default)]
    #[schema(example = 100_000)]
    pub amount: Option<i64>,
    /// ISO 4217; has to be the contract's.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// What becomes of the rest when a part is approved.
    #[serde(default)]
    pub remainder: Remainder,
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
    let intent = Intent::SubmitWork { milestone_id };
    change(&app, caller, headers, "POST /v1/milestones/{id}/submit", body.fingerprint, milestone_id, intent).await
}

/// Takes a delivery back while it is under review.
///
/// The review window is gone; the next submission has a new one.
#[utoipa::path(post, path = "/v1/milestones/{id}/withdraw-submission", tag = "milestones", request_body = Nothing,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn withdraw_submission(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::OnMilestone { milestone_id, command: MilestoneCommand::WithdrawSubmission };
    let route = "POST /v1/milestones/{id}/withdraw-submission";
    change(&app, caller, headers, route, body.fingerprint, milestone_id, intent).await
}

/// Sends a delivery back to the payee.
///
/// Within the review window: at its end the milestone counts as approved.
#[utoipa::path(post, path = "/v1/milestones/{id}/request-changes", tag = "milestones", request_body = RequestChanges,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn request_changes(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<RequestChanges>,
) -> Result<Response, Problem> {
    let command = MilestoneCommand::RequestChanges { note_ref: body.value.note_ref.clone() };
    let intent = Intent::OnMilestone { milestone_id, command };
    let route = "POST /v1/milestones/{id}/request-changes";
    change(&app, caller, headers, route, body.fingerprint, milestone_id, intent).await
}

/// Gives a milestone up that is not paid for.
///
/// By either side. When it was the last one that was open, the contract is over.
#[utoipa::path(post, path = "/v1/milestones/{id}/cancel", tag = "milestones", request_body = Nothing,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::OnMilestone { milestone_id, command: MilestoneCommand::Cancel };
    change(&app, caller, headers, "POST /v1/milestones/{id}/cancel", body.fingerprint, milestone_id, intent).await
}

/// Approves a milestone, and with it releases what is held.
///
/// Fees are split and the payee is credited in the same commit. It cannot be undone. An `amount` below what is held
/// approves and releases that part; the rest stays held.
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
    step_up::for_release(&app, &caller, milestone_id, body.value.amount).await?;
    let intent = Intent::ApproveMilestone {
        milestone_id,
        amount: body.value.amount.map(|value| amount(value, "/amount")).transpose()?,
        currency: body.value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?,
    };
    change(&app, caller, headers, "POST /v1/milestones/{id}/approve", body.fingerprint, milestone_id, intent).await
}

/// A command on a milestone, answered with the milestone.
async fn change(
    app: &App,
    caller: Caller,
    headers: CommandHeaders,
    route: &'static str,
    fingerprint: String,
    milestone_id: MilestoneId,
    intent: Intent,
) -> Result<Response, Problem> {
    headers.require_key()?;
    headers.require_version()?;
    app.perform(ApiCommand {
        caller,
        headers,
        route,
        fingerprint,
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
