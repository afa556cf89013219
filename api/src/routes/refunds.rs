//! Refunds: money that goes back to a client, one per way. The payee gives back what was released; what is still held goes
//! back by `refund_requests`.

use adapters::postgres::document;
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::escrow::EscrowEvent;
use domain::event::DomainEvent;
use domain::id::{MilestoneId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::view::Document;
use domain::{milestone, refund};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::contracts::Nothing;
use super::{Page, Paging, amount, currency, id, page_of, visible};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::Caller;
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::RefundView;

/// What the payee gives back of what was released.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveBack {
    /// Of which milestone.
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: String,
    /// How much, in minor units, as it was released: before the payee's fee.
    #[schema(example = 20_000)]
    pub amount: i64,
    /// ISO 4217; has to be the contract's.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
}

/// What a payee has given back, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GivenBackView {
    /// The id of the first refund that it leads to.
    #[schema(example = "rfd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `given_back`.
    #[schema(example = "given_back")]
    pub object: String,
    /// Of which milestone.
    pub milestone_id: String,
    /// How much, as it was released.
    #[schema(example = 20_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What the payee gives of it.
    #[schema(example = 18_000)]
    pub from_payee: i64,
    /// The payee's fee that the platform returns.
    #[schema(example = 2000)]
    pub payee_fee: i64,
    /// The client's fee that the platform returns.
    #[schema(example = 1000)]
    pub client_fee: i64,
    /// What the client gets, by all ways.
    #[schema(example = 21_000)]
    pub to_client: i64,
}

/// Gives money back that was released.
///
/// By the payee, also after the contract is over. It is taken of the payee's earnings; what they do not cover is owed.
#[utoipa::path(post, path = "/v1/refunds", tag = "refunds", request_body = GiveBack,
    responses((status = 201, body = GivenBackView)))]
pub async fn give_back(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<GiveBack>,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    let milestone_id: MilestoneId = id(&value.milestone_id, "/milestone_id")?;
    let amount = amount(value.amount, "/amount")?;
    let currency = value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?;
    app.catch_up().await?;
    // A milestone stays with its contract, so that what the read model says of it cannot be old.
    let stored = document::one(app.pool(), &milestone::stream(milestone_id), visible(&caller)).await?;
    let (contract_id, agreed) = stored
        .and_then(|stored| match stored.document {
            Document::Aggregate(AggregateState::Milestone(state)) => {
                state.plan().map(|plan| (plan.contract_id, plan.currency))
            }
            _ => None,
        })
        .ok_or_else(Problem::not_found)?;
    app.identity.require_recent(&caller, amount, agreed).await?;
    let refund_id = RefundId::from_uuid(Uuid::now_v7());
    let intent = MoneyIntent::GiveBack { contract_id, milestone_id, refund_id, amount, currency };
    let location = format!("/v1/refunds/{refund_id}");
    asked.make(&app, caller, Intent::Money(intent), location, &given_back).await
}

fn given_back(seen: Seen<'_>) -> Option<GivenBackView> {
    seen.events.iter().find_map(|(_, event)| match event {
        DomainEvent::Escrow(EscrowEvent::ReleaseReturned {
            refund_id,
            milestone_id,
            currency,
            gross,
            payee_fee,
            client_fee,
            from_payee,
            parts,
            ..
        }) => Some(GivenBackView {
            id: refund_id.to_string(),
            object: "given_back".to_owned(),
            milestone_id: milestone_id.to_string(),
            amount: gross.get(),
            currency: currency.code().to_owned(),
            from_payee: from_payee.get(),
            payee_fee: payee_fee.get(),
            client_fee: client_fee.get(),
            to_client: ledger::Minor::sum(parts.iter().map(|part| part.amount)).ok()?.get(),
        }),
        _ => None,
    })
}

/// Lists refunds, newest first.
///
/// Those that the caller gets; all of them for staff.
#[utoipa::path(get, path = "/v1/refunds", tag = "refunds", params(Paging),
    responses((status = 200, body = Page<RefundView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    page_of(&app, &caller, at, &paging, refund::TYPE, |state| match state {
        AggregateState::Refund(state) => RefundView::of(state),
        _ => None,
    })
    .await
}

/// Shows a refund.
///
/// To the client who gets it, and to staff. `succeeded` is what the provider says; a bank can still give it back.
#[utoipa::path(get, path = "/v1/refunds/{id}", tag = "refunds",
    params(("id" = String, Path, description = "the refund")), responses((status = 200, body = RefundView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(refund_id): IdPath<RefundId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &refund::stream(refund_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Refund(state)) => {
            let view = RefundView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Gives a refund that finds no way to the client's wallet.
///
/// By the client, or by staff that decides about money. What failed at the provider is in the wallet already.
#[utoipa::path(post, path = "/v1/refunds/{id}/redirect", tag = "refunds", request_body = Nothing,
    params(("id" = String, Path, description = "the refund")), responses((status = 200, body = RefundView)))]
pub async fn redirect(
    State(app): State<App>,
    caller: Caller,
    IdPath(refund_id): IdPath<RefundId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::Money(MoneyIntent::RedirectRefund { refund_id });
    asked.act(&app, caller, intent, &|seen: Seen<'_>| view_of(refund_id, seen.look)).await
}

/// The view of a refund that a decision has looked at.
pub(super) fn view_of(refund_id: RefundId, look: Look<'_>) -> Option<RefundView> {
    match look(&refund::stream(refund_id)) {
        Some(AggregateState::Refund(state)) => RefundView::of(state),
        _ => None,
    }
}
