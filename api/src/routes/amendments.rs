//! Amendments: other milestones for a contract that was accepted. One side proposes, the other answers.
//!
//! The path names the contract as well: it is the contract's version that `If-Match` is about, and the contract that is
//! answered with.

use axum::extract::State;
use axum::response::Response;
use domain::contract::{ContractCommand, Parts};
use domain::id::{AmendmentId, ContractId};
use domain::intent::Intent;
use uuid::Uuid;

use super::contracts::{Nothing, change};
use super::offers::Changes;
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath, IdPaths};
use crate::problem::Problem;
use crate::view::{ChangeView, ContractView};

/// Proposes other milestones.
///
/// By either side of an active contract, one amendment at a time. It lapses after 7 days without an answer.
#[utoipa::path(post, path = "/v1/contracts/{id}/amendments", tag = "contracts", request_body = Changes,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn propose(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Changes>,
) -> Result<Response, Problem> {
    let command = ContractCommand::ProposeAmendment {
        amendment_id: AmendmentId::from_uuid(Uuid::now_v7()),
        changes: ChangeView::read(&body.value.changes)?,
        parts: Parts::default(),
    };
    let intent = Intent::OnContract { contract_id, command };
    change(&app, caller, headers, "POST /v1/contracts/{id}/amendments", body.fingerprint, contract_id, intent).await
}

/// Accepts an amendment.
///
/// By the side that did not propose it. No money moves: a milestone tells what is `missing`, and the client pays it in.
#[utoipa::path(post, path = "/v1/contracts/{id}/amendments/{amendment_id}/accept", tag = "contracts",
    request_body = Nothing,
    params(("id" = String, Path, description = "the contract"),
        ("amendment_id" = String, Path, description = "the amendment")),
    responses((status = 200, body = ContractView)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    IdPaths(contract_id, amendment_id): IdPaths<ContractId, AmendmentId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::OnContract { contract_id, command: ContractCommand::AcceptAmendment { amendment_id } };
    let route = "POST /v1/contracts/{id}/amendments/{amendment_id}/accept";
    change(&app, caller, headers, route, body.fingerprint, contract_id, intent).await
}

/// Rejects an amendment, or takes one's own back.
#[utoipa::path(post, path = "/v1/contracts/{id}/amendments/{amendment_id}/reject", tag = "contracts",
    request_body = Nothing,
    params(("id" = String, Path, description = "the contract"),
        ("amendment_id" = String, Path, description = "the amendment")),
    responses((status = 200, body = ContractView)))]
pub async fn reject(
    State(app): State<App>,
    caller: Caller,
    IdPaths(contract_id, amendment_id): IdPaths<ContractId, AmendmentId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::OnContract { contract_id, command: ContractCommand::RejectAmendment { amendment_id } };
    let route = "POST /v1/contracts/{id}/amendments/{amendment_id}/reject";
    change(&app, caller, headers, route, body.fingerprint, contract_id, intent).await
}
