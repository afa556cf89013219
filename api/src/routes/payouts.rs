//! Payouts: withdraw earnings, see how it is getting on.

use adapters::postgres::document;
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::PayoutId;
use domain::intent::Intent;
use domain::payout;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::{Page, Paging, amount, currency, visible};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::PayoutView;

/// A withdrawal.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePayout {
    /// How much, in minor units; at most what is available.
    #[schema(example = 90_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// Withdraws earnings of the caller to the bank.
///
/// They go through the account at the payment provider that the caller has linked.
#[utoipa::path(post, path = "/v1/payouts", tag = "payouts", request_body = CreatePayout,
    responses((status = 201, body = PayoutView)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<CreatePayout>,
) -> Result<Response, Problem> {
    if caller.role != Role::Payee {
        return Err(Problem::new(ErrorCode::Forbidden, "only a payee may request a payout"));
    }
    let payout_id = PayoutId::from_uuid(Uuid::now_v7());
    let intent = Intent::RequestPayout {
        payout_id,
        payee_id: caller.party_id,
        currency: currency(&value.currency, "/currency")?,
        amount: amount(value.amount, "/amount")?,
    };
    let location = format!("/v1/payouts/{payout_id}");
    asked.make(&app, caller, intent, location, &|seen: Seen<'_>| view_of(payout_id, seen.look)).await
}

/// Lists payouts, newest first.
///
/// The caller's own; all of them for staff.
#[utoipa::path(get, path = "/v1/payouts", tag = "payouts", params(Paging),
    responses((status = 200, body = Page<PayoutView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, before) = paging.read()?;
    let status = paging.status.as_deref();
    let payouts =
        document::list(app.pool(), payout::TYPE, visible(&caller), status, before, limit.saturating_add(1)).await?;
    let page = Page::of(
        payouts,
        limit,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Aggregate(AggregateState::Payout(state)) => PayoutView::of(&state),
            _ => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Shows a payout.
///
/// `paid` is what the provider says; a bank can still return it.
#[utoipa::path(get, path = "/v1/payouts/{id}", tag = "payouts",
    params(("id" = String, Path, description = "the payout")), responses((status = 200, body = PayoutView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(payout_id): IdPath<PayoutId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &payout::stream(payout_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Payout(state)) => {
            let view = PayoutView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

fn view_of(payout_id: PayoutId, look: Look<'_>) -> Option<PayoutView> {
    match look(&payout::stream(payout_id)) {
        Some(AggregateState::Payout(state)) => PayoutView::of(state),
        _ => None,
    }
}
