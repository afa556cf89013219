//! Milestones: read, submit, take back, ask for changes, approve whole or in part, roll the rest forward, cancel.

use adapters::postgres::document;
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::MilestoneId;
use domain::intent::Intent;
use domain::milestone::{self, MilestoneCommand, Remainder};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::reading::{self, AsOf};
use super::{amount, currency, id, visible};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::identity::step_up;
use crate::problem::Problem;
use crate::view::MilestoneView;

/// What becomes of what is held beyond the amount that is approved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemainderKind {
    /// It stays held.
    #[default]
    Keep,
    /// It is to go to another milestone of the contract, if the payee agrees.
    RollForward,
    /// You want it back, if the payee agrees.
    RefundRequest,
}

/// What becomes of what is held beyond the amount that is approved.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemainderWish {
    /// What.
    pub kind: RemainderKind,
    /// To which milestone it goes; only with `roll_forward`.
    #[serde(default)]
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: Option<String>,
}

impl RemainderWish {
    fn read(&self) -> Result<Remainder, Problem> {
        let pointer = "/remainder/milestone_id";
        let wrong = |detail: &str| Problem::field(ErrorCode::ValidationFailed, pointer, detail);
        match (self.kind, &self.milestone_id) {
            (RemainderKind::RollForward, Some(text)) => Ok(Remainder::RollForward { milestone_id: id(text, pointer)? }),
            (RemainderKind::RollForward, None) => Err(wrong("is needed for roll_forward")),
            (_, Some(_)) => Err(wrong("belongs to roll_forward only")),
            (RemainderKind::Keep, None) => Ok(Remainder::Keep),
            (RemainderKind::RefundRequest, None) => Ok(Remainder::RefundRequest),
        }
    }
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
    /// What becomes of the rest when a part is approved; it stays held when absent.
    #[serde(default)]
    pub remainder: Option<RemainderWish>,
}

/// The part that is approved.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovePart {
    /// Minor units, less than is held.
    #[schema(example = 70_000)]
    pub amount: i64,
    /// ISO 4217; has to be the contract's.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// What becomes of the rest; it stays held when absent.
    #[serde(default)]
    pub remainder: Option<RemainderWish>,
}

/// Shows a milestone.
#[utoipa::path(get, path = "/v1/milestones/{id}", tag = "milestones",
    params(("id" = String, Path, description = "the milestone"), AsOf),
    responses((status = 200, body = MilestoneView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    at: ReadAt,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &milestone::stream(milestone_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    if let Some(until) = as_of.until(&app, stored.version).await? {
        return reading::milestone(&app, milestone_id, until, at).await;
    }
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, caller, asked, milestone_id, Intent::SubmitWork { milestone_id }).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::WithdrawSubmission).await
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
    Command { value, asked }: Command<RequestChanges>,
) -> Result<Response, Problem> {
    let request = MilestoneCommand::RequestChanges { note_ref: value.note_ref };
    on_milestone(&app, caller, asked, milestone_id, request).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::Cancel).await
}

/// Approves a milestone, and with it releases what is held.
///
/// Fees are split and the payee is credited in the same commit. It cannot be undone. An `amount` below what is held
/// approves and releases that part; what becomes of the rest is said by `remainder`.
#[utoipa::path(post, path = "/v1/milestones/{id}/approve", tag = "milestones", request_body = Approve,
    params(("id" = String, Path, description = "the milestone")),
    responses((status = 200, body = MilestoneView)))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { value, asked }: Command<Approve>,
) -> Result<Response, Problem> {
    step_up::for_release(&app, &caller, milestone_id, value.amount).await?;
    let currency = value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?;
    let amount = value.amount.map(|value| amount(value, "/amount")).transpose()?;
    let remainder = value.remainder.unwrap_or_default().read()?;
    let intent = match (remainder, amount) {
        (Remainder::Keep, amount) => Intent::ApproveMilestone { milestone_id, amount, currency },
        (remainder, Some(gross)) => {
            let command = MilestoneCommand::ApprovePartially { gross, currency, remainder };
            Intent::OnMilestone { milestone_id, command }
        }
        (_, None) => {
            let detail = "is needed: without it all is approved, and there is no rest";
            return Err(Problem::field(ErrorCode::ValidationFailed, "/amount", detail));
        }
    };
    change(&app, caller, asked, milestone_id, intent).await
}

/// Approves a part of what is held, and with it releases that part.
///
/// What becomes of the rest is said by `remainder`: it stays held, it is to go to another milestone, or you want it back.
/// For the last two the payee is asked.
#[utoipa::path(post, path = "/v1/milestones/{id}/approve-partial", tag = "milestones", request_body = ApprovePart,
    params(("id" = String, Path, description = "the milestone")),
    responses((status = 200, body = MilestoneView)))]
pub async fn approve_partial(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { value, asked }: Command<ApprovePart>,
) -> Result<Response, Problem> {
    step_up::for_release(&app, &caller, milestone_id, Some(value.amount)).await?;
    let approve = MilestoneCommand::ApprovePartially {
        gross: amount(value.amount, "/amount")?,
        currency: value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?,
        remainder: value.remainder.unwrap_or_default().read()?,
    };
    on_milestone(&app, caller, asked, milestone_id, approve).await
}

/// Agrees that the rest of a milestone goes to another one.
///
/// By the payee. The client's fee on it goes along. Answered with the milestone that it leaves.
#[utoipa::path(post, path = "/v1/milestones/{id}/roll-forward/accept", tag = "milestones", request_body = Nothing,
    params(("id" = String, Path, description = "the milestone that it leaves")),
    responses((status = 200, body = MilestoneView)))]
pub async fn accept_roll_forward(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::AcceptRollForward).await
}

/// Does not agree that the rest of a milestone goes to another one: it stays held.
#[utoipa::path(post, path = "/v1/milestones/{id}/roll-forward/reject", tag = "milestones", request_body = Nothing,
    params(("id" = String, Path, description = "the milestone that it would leave")),
    responses((status = 200, body = MilestoneView)))]
pub async fn reject_roll_forward(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::RejectRollForward).await
}

/// A command that one of the parties gives about a milestone, answered with the milestone.
pub(super) async fn on_milestone(
    app: &App,
    caller: Caller,
    asked: Asked,
    milestone_id: MilestoneId,
    command: MilestoneCommand,
) -> Result<Response, Problem> {
    change(app, caller, asked, milestone_id, Intent::OnMilestone { milestone_id, command }).await
}

/// A change of a milestone, answered with the milestone.
async fn change(
    app: &App,
    caller: Caller,
    asked: Asked,
    milestone_id: MilestoneId,
    intent: Intent,
) -> Result<Response, Problem> {
    asked.change(app, caller, intent, &|seen: Seen<'_>| view_of(milestone_id, seen.look)).await
}

fn view_of(milestone_id: MilestoneId, look: Look<'_>) -> Option<MilestoneView> {
    match look(&milestone::stream(milestone_id)) {
        Some(AggregateState::Milestone(state)) => MilestoneView::of(state),
        _ => None,
    }
}
