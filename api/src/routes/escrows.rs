//! Escrows: the money of a contract in full; a deposit that gets its milestone; a stop and its end.

use adapters::postgres::document;
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::approval::Proposed;
use domain::escrow;
use domain::id::{ContractId, ReallocationId};
use domain::intent::{Intent, MoneyIntent};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::approvals::or_propose;
use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::reading::{self, AsOf};
use super::{amount, id, visible};
use crate::app::{App, ReadAt, Seen};
use crate::caller::{Caller, Role};
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::{ApprovalView, EscrowDetailView};

/// Where a deposit is to go.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reallocate {
    /// The milestone that gets it.
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: String,
    /// How much, minor units; the client's fee on it goes along.
    #[schema(example = 50_000)]
    pub amount: i64,
}

/// Why nothing may leave.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// A code: 1 to 64 characters out of a-z and `_`.
    #[schema(example = "court_order")]
    pub reason: String,
    /// The reference of the order that demands it, 1 to 128 characters; no personal data.
    #[serde(default)]
    #[schema(example = "4 HK O 17/26")]
    pub legal_ref: Option<String>,
}

/// Shows the money of a contract in full.
///
/// Which payments it came by is shown to the client and to staff.
#[utoipa::path(get, path = "/v1/escrows/{id}", tag = "escrows",
    params(("id" = String, Path, description = "the contract"), AsOf),
    responses((status = 200, body = EscrowDetailView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    at: ReadAt,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &escrow::stream(contract_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    // By what the caller is in this contract, not by what the token says.
    let pays = caller.is_staff() || stored.client_id == Some(caller.party_id.to_string());
    if let Some(until) = as_of.until(&app, stored.version).await? {
        return reading::escrow(&app, contract_id, until, pays, at).await;
    }
    match &stored.document {
        Document::Aggregate(AggregateState::Escrow(state)) => {
            let view = EscrowDetailView::of(state, pays).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Gives a part of what was deposited to a milestone.
///
/// By the client. It becomes the payee's security for that work, and cannot be taken back alone.
#[utoipa::path(post, path = "/v1/escrows/{id}/reallocate", tag = "escrows", request_body = Reallocate,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = EscrowDetailView)))]
pub async fn reallocate(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<Reallocate>,
) -> Result<Response, Problem> {
    let allocate = MoneyIntent::AllocateDeposit {
        contract_id,
        reallocation_id: ReallocationId::from_uuid(Uuid::now_v7()),
        to: id(&value.milestone_id, "/milestone_id")?,
        amount: amount(value.amount, "/amount")?,
    };
    change(&app, caller, asked, contract_id, allocate).await
}

/// Stops everything: nothing leaves the escrow.
///
/// By staff that decides about money, at once unless the tenant's rules ask for others. Money that arrives is held.
#[utoipa::path(post, path = "/v1/escrows/{id}/freeze", tag = "escrows", request_body = Freeze,
    params(("id" = String, Path, description = "the contract")),
    responses((status = 200, body = EscrowDetailView), (status = 202, body = ApprovalView)))]
pub async fn freeze(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<Freeze>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let Freeze { reason, legal_ref } = value;
    by_staff(&app, caller, asked, contract_id, Proposed::FreezeEscrow { contract_id, reason, legal_ref }).await
}

/// Lets money leave the escrow again.
///
/// By staff that decides about money; somebody else has to approve it, unless the tenant's rules ask nobody.
#[utoipa::path(post, path = "/v1/escrows/{id}/unfreeze", tag = "escrows", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")),
    responses((status = 200, body = EscrowDetailView), (status = 202, body = ApprovalView)))]
pub async fn unfreeze(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    by_staff(&app, caller, asked, contract_id, Proposed::UnfreezeEscrow { contract_id }).await
}

/// A change by staff, which others may have to approve.
async fn by_staff(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    command: Proposed,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    asked.headers.require_version()?;
    or_propose(app, caller, asked, command, &|seen: Seen<'_>| shown(contract_id, true, seen)).await
}

/// A change of an escrow, answered with the escrow.
async fn change(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    intent: MoneyIntent,
) -> Result<Response, Problem> {
    // Only a client or staff gets as far as an answer.
    let pays = caller.role != Role::Payee;
    asked.change(app, caller, Intent::Money(intent), &|seen: Seen<'_>| shown(contract_id, pays, seen)).await
}

fn shown(contract_id: ContractId, pays: bool, seen: Seen<'_>) -> Option<EscrowDetailView> {
    match (seen.look)(&escrow::stream(contract_id)) {
        Some(AggregateState::Escrow(state)) => EscrowDetailView::of(state, pays),
        _ => None,
    }
}
