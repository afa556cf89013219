//! Chargebacks: what a client's bank says of a payment, and the platform's answer. For staff only: what becomes of the
//! money and the work is shown to the parties with their contract.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::chargeback::{self, Case, Chargeback, ChargebackCommand, EvidenceBundle};
use domain::command::Command as Order;
use domain::id::ChargebackId;
use domain::intent::Intent;
use domain::view::Document;

use super::command::Command;
use super::contracts::Nothing;
use super::{Page, Paging};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::{ChargebackView, EvidenceView};
use crate::worker::evidence;

/// Who may see them.
const READERS: &[StaffRole] = &StaffRole::ALL;

/// Who may answer a bank.
const DECIDERS: &[StaffRole] = &[StaffRole::Moderator, StaffRole::Finance, StaffRole::Admin];

/// Lists chargebacks, newest first.
///
/// Each cycle of a dispute is one. For staff.
#[utoipa::path(get, path = "/v1/chargebacks", tag = "chargebacks", params(Paging),
    responses((status = 200, body = Page<ChargebackView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (limit, before) = paging.read()?;
    let (status, most) = (paging.status.as_deref(), limit.saturating_add(1));
    let stored = document::list(app.pool(), chargeback::TYPE, Visible::ToStaff, status, before, most).await?;
    let page = Page::of(
        stored,
        limit,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Aggregate(AggregateState::Chargeback(state)) => ChargebackView::of(&state),
            _ => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Shows a chargeback.
///
/// For staff.
#[utoipa::path(get, path = "/v1/chargebacks/{id}", tag = "chargebacks",
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = ChargebackView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (state, version) = find(&app, chargeback_id).await?;
    let view = ChargebackView::of(&state).ok_or_else(Problem::not_found)?;
    Ok(at.respond(&view, Some(version)))
}

/// Draws up what the log proves.
///
/// This is what would be submitted now; nothing is changed by looking at it.
#[utoipa::path(get, path = "/v1/chargebacks/{id}/evidence", tag = "chargebacks",
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = EvidenceView)))]
pub async fn evidence(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (state, _) = find(&app, chargeback_id).await?;
    let document = drawn_up(&app, state.case().ok_or_else(Problem::not_found)?).await?;
    let view = EvidenceView { object: "chargeback_evidence".to_owned(), digest: document.digest()?, document };
    Ok(at.respond(&view, None))
}

/// Answers the bank with what the log proves.
///
/// By staff that decides about money; two days before the provider's deadline the engine does it by itself. The bank takes
/// one answer: the same again changes nothing.
#[utoipa::path(post, path = "/v1/chargebacks/{id}/submit", tag = "chargebacks", request_body = Nothing,
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = ChargebackView)))]
pub async fn submit(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(DECIDERS)?;
    asked.headers.require_key()?;
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    app.catch_up().await?;
    let (state, _) = find(&app, chargeback_id).await?;
    let case = state.case().ok_or_else(Problem::not_found)?;
    let paid = &case.opening.charged;
    app.identity.require_recent(&caller, paid.captured, paid.currency).await?;
    let evidence = drawn_up(&app, case).await?;
    let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
    let intent = Intent::Fact(Order::Chargeback(chargeback_id, command));
    asked.act(&app, caller, intent, &|seen: Seen<'_>| view_of(chargeback_id, seen.look)).await
}

async fn find(app: &App, id: ChargebackId) -> Result<(Chargeback, u64), Problem> {
    let stored = document::one(app.pool(), &chargeback::stream(id), Visible::ToStaff).await?;
    match stored.map(|stored| (stored.document, stored.version)) {
        Some((Document::Aggregate(AggregateState::Chargeback(state)), version)) => Ok((*state, version)),
        _ => Err(Problem::not_found()),
    }
}

async fn drawn_up(app: &App, case: &Case) -> Result<EvidenceBundle, Problem> {
    let drawn_up = evidence::draw_up(app.pool(), case).await?;
    drawn_up.ok_or_else(|| Problem::new(ErrorCode::InternalError, "a payment without an agreement"))
}

/// The view of a chargeback that a decision has looked at.
fn view_of(id: ChargebackId, look: Look<'_>) -> Option<ChargebackView> {
    match look(&chargeback::stream(id)) {
        Some(AggregateState::Chargeback(state)) => ChargebackView::of(state),
        _ => None,
    }
}
