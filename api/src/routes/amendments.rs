//! Amendments: other milestones for a contract that was accepted. One side proposes, the other answers.
//!
//! It is the contract's version that `If-Match` is about, and the contract that is answered with, whether the path names
//! the contract or the amendment alone.

use axum::extract::State;
use axum::response::Response;
use domain::contract::{self, ContractCommand, Parts};
use domain::id::{AmendmentId, ContractId};
use uuid::Uuid;

use super::command::{Asked, Command, Named};
use super::contracts::{Nothing, on_contract};
use super::id;
use super::offers::Changes;
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{IdPath, IdPaths};
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
    Command { value, asked }: Command<Changes>,
) -> Result<Response, Problem> {
    let propose = ContractCommand::ProposeAmendment {
        amendment_id: AmendmentId::from_uuid(Uuid::now_v7()),
        changes: ChangeView::read(&value.changes)?,
        parts: Parts::default(),
    };
    on_contract(&app, caller, asked, contract_id, propose).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::AcceptAmendment { amendment_id }).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::RejectAmendment { amendment_id }).await
}

/// Accepts an amendment, named alone.
///
/// The same as `/v1/contracts/{id}/amendments/{amendment_id}/accept`.
#[utoipa::path(post, path = "/v1/amendments/{id}/accept", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the amendment")), responses((status = 200, body = ContractView)))]
pub async fn accept_alone(
    State(app): State<App>,
    caller: Caller,
    IdPath(amendment_id): IdPath<AmendmentId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    answer(&app, caller, asked, amendment_id, ContractCommand::AcceptAmendment { amendment_id }).await
}

/// Rejects an amendment, named alone, or takes one's own back.
///
/// The same as `/v1/contracts/{id}/amendments/{amendment_id}/reject`.
#[utoipa::path(post, path = "/v1/amendments/{id}/reject", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the amendment")), responses((status = 200, body = ContractView)))]
pub async fn reject_alone(
    State(app): State<App>,
    caller: Caller,
    IdPath(amendment_id): IdPath<AmendmentId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    answer(&app, caller, asked, amendment_id, ContractCommand::RejectAmendment { amendment_id }).await
}

/// An answer to an amendment whose contract has to be found first. A repeat gets its first answer, when the amendment is
/// no longer to be found.
async fn answer(
    app: &App,
    caller: Caller,
    asked: Asked,
    amendment_id: AmendmentId,
    command: ContractCommand,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    asked.headers.require_version()?;
    let place = ["proposal", "amendment_id"];
    match asked.find(app, &caller, contract::TYPE, &place, &amendment_id.to_string()).await? {
        Named::Stream(stream) => {
            let contract_id = id(&stream.aggregate_id, "id")?;
            on_contract(app, caller, asked, contract_id, command).await
        }
        Named::Answered(before) => Ok(before),
    }
}
