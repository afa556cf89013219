//! How a contract ends before its milestones are done: a wish to end it, and what becomes of one that is forgotten.

use axum::extract::State;
use axum::response::Response;
use domain::contract::{ContractCommand, Parts};
use domain::id::ContractId;

use super::command::Command;
use super::contracts::{Nothing, on_contract};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::ContractView;

/// Asks for the end of a contract, and for what is held.
///
/// By the client. It counts as agreed when the payee says nothing in time, and at once when nothing is held. Work under
/// review and what is in dispute stay what they are.
#[utoipa::path(post, path = "/v1/contracts/{id}/end", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn request(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::RequestEnd { parts: Parts::default() }).await
}

/// Agrees to the end of a contract.
///
/// By the payee. What is held goes back to the client, by the way it came.
#[utoipa::path(post, path = "/v1/contracts/{id}/end/accept", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::AcceptEnd { parts: Parts::default() }).await
}

/// Disagrees with the end of a contract: not in this version.
///
/// Always answered with a problem. Reject the refund of a milestone instead, which keeps its money out of the end.
#[utoipa::path(post, path = "/v1/contracts/{id}/end/dispute", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")))]
pub async fn dispute(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::DisputeEnd).await
}

/// Asks for what is held by a contract that was forgotten.
///
/// By the payee, after the client did not answer. The client can still `resume` the contract; who says nothing lets the
/// money go to the payee.
#[utoipa::path(post, path = "/v1/contracts/{id}/dormancy/request-release", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn request_release(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::RequestDormancyRelease).await
}
