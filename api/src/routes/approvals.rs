//! Commands of staff that others have to approve: proposing one, where the tenant's rules ask for it, and deciding on it.
//!
//! # Invariants
//! - A route whose command may need approval carries it out by [`or_propose`] only: at once where nobody else is asked,
//!   answered as ever; else proposed, answered with 202 and the request, and nothing of it done.

use adapters::postgres::approvals::{self, ApprovalFilter};
use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::approval::{self, Proposed, Strength};
use domain::id::ApprovalId;
use domain::intent::{ApprovalIntent, Intent};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::{Page, Paging, id};
use crate::app::{App, ReadAt, Seen};
use crate::caller::{Authentication, Caller};
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::ApprovalView;

/// Who may see them, and take back what it has proposed.
const READERS: &[StaffRole] = &StaffRole::ALL;

/// Which requests to list; what is absent is not asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 100; 20 when absent.
    pub limit: Option<usize>,
    /// Only those in this state, such as `pending`.
    pub status: Option<String>,
    /// Only those for this kind of command, such as `unfreeze_escrow`.
    pub kind: Option<String>,
    /// Only those that this member of staff has proposed.
    pub requested_by: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<ApprovalFilter, Problem> {
        let kind = self.kind.as_deref().map(str::parse).transpose();
        Ok(ApprovalFilter {
            status: self.status.clone(),
            kind: kind.map_err(|error| Problem::field(ErrorCode::ValidationFailed, "kind", error))?,
            requested_by: self.requested_by.as_deref().map(|text| id(text, "requested_by")).transpose()?,
        })
    }
}

/// Lists commands that others have to approve, newest first.
///
/// For staff. Sweeps, large payouts and suspicions of sanctions wait where they belong, and are approved there.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", params(Which),
    responses((status = 200, body = Page<ApprovalView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let paging = Paging { cursor: which.cursor.clone(), limit: which.limit, status: None };
    let (limit, before) = paging.read()?;
    let stored = approvals::list(app.pool(), &which.filter()?, before, limit.saturating_add(1)).await?;
    let page = Page::of(
        stored,
        limit,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Aggregate(AggregateState::Approval(state)) => ApprovalView::of(&state),
            _ => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Shows a command that others have to approve.
///
/// For staff.
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "approvals",
    params(("id" = String, Path, description = "the approval request")), responses((status = 200, body = ApprovalView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(approval_id): IdPath<ApprovalId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let stored = document::one(app.pool(), &approval::stream(approval_id), Visible::ToStaff).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Approval(state)) => {
            let view = ApprovalView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Approves a command of somebody else.
///
/// Not by who has proposed it, and once per person. The last approval that is needed carries the command out; what its own
/// rules refuse then is not done, and `status` is `failed`.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", tag = "approvals", request_body = Nothing,
    params(("id" = String, Path, description = "the approval request")), responses((status = 200, body = ApprovalView)))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    IdPath(approval_id): IdPath<ApprovalId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let approve = ApprovalIntent::Approve { approval_id, acr: strength(&caller) };
    decide(&app, caller, asked, approval_id, approve).await
}

/// Rejects a command of somebody else: it is not carried out.
///
/// By those who could approve it.
#[utoipa::path(post, path = "/v1/approvals/{id}/reject", tag = "approvals", request_body = Nothing,
    params(("id" = String, Path, description = "the approval request")), responses((status = 200, body = ApprovalView)))]
pub async fn reject(
    State(app): State<App>,
    caller: Caller,
    IdPath(approval_id): IdPath<ApprovalId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let reject = ApprovalIntent::Reject { approval_id, acr: strength(&caller) };
    decide(&app, caller, asked, approval_id, reject).await
}

/// Takes an own proposal back: it is not carried out.
#[utoipa::path(post, path = "/v1/approvals/{id}/withdraw", tag = "approvals", request_body = Nothing,
    params(("id" = String, Path, description = "the approval request")), responses((status = 200, body = ApprovalView)))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    IdPath(approval_id): IdPath<ApprovalId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    decide(&app, caller, asked, approval_id, ApprovalIntent::Withdraw { approval_id }).await
}

async fn decide(
    app: &App,
    caller: Caller,
    asked: Asked,
    approval_id: ApprovalId,
    intent: ApprovalIntent,
) -> Result<Response, Problem> {
    asked.act(app, caller, Intent::Approvals(intent), &|seen: Seen<'_>| view_of(approval_id, seen)).await
}

/// Carries a command of staff out, 200 with its view; or proposes it, where the tenant's rules ask for others, 202 with the
/// approval request. A version that is given is heeded in both cases.
///
/// # Errors
/// The [`Problem`] to answer with.
pub(crate) async fn or_propose<V: Serialize>(
    app: &App,
    caller: Caller,
    asked: Asked,
    command: Proposed,
    view: &(dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
) -> Result<Response, Problem> {
    let rules = approvals::rules(app.pool()).await?;
    let Some(rule) = rules.needed(&command).cloned() else {
        return asked.act(app, caller, command.intent(), view).await;
    };
    let approval_id = ApprovalId::from_uuid(Uuid::now_v7());
    let propose = ApprovalIntent::Propose { approval_id, command: Box::new(command), rule, acr: strength(&caller) };
    let location = format!("/v1/approvals/{approval_id}");
    let view = |seen: Seen<'_>| view_of(approval_id, seen);
    asked.propose(app, caller, Intent::Approvals(propose), location, &view).await
}

fn view_of(approval_id: ApprovalId, seen: Seen<'_>) -> Option<ApprovalView> {
    match (seen.look)(&approval::stream(approval_id)) {
        Some(AggregateState::Approval(state)) => ApprovalView::of(state),
        _ => None,
    }
}

fn strength(caller: &Caller) -> Strength {
    if let Authentication::Signed { second_factor, .. } = caller.authentication {
        if second_factor { Strength::SecondFactor } else { Strength::Password }
    } else {
        Strength::Machine
    }
}
