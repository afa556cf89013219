//! Offers: offer, accept, counter, decline, withdraw.

use axum::extract::State;
use axum::response::Response;
use domain::contract::ContractCommand;
use domain::id::ContractId;
use domain::intent::Intent;
use domain::policy::{FeeSchedule, Policy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::contracts::{Nothing, Reason, change};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::problem::Problem;
use crate::view::{ChangeView, ContractView};

/// Other milestones than those of the contract.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// What is to change, 1 to 300. Each milestone at most once in amount, date and review.
    pub changes: Vec<ChangeView>,
}

/// Offers a draft to its payee.
///
/// On the platform's fees and periods of today, which are fixed for the life of the contract.
#[utoipa::path(post, path = "/v1/contracts/{id}/offer", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn offer(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent =
        Intent::OfferContract { contract_id, fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() };
    change(&app, caller, headers, "POST /v1/contracts/{id}/offer", body.fingerprint, contract_id, intent).await
}

/// Accepts an offer.
///
/// Its milestones and its escrow are made; the client can pay. After a counter offer it is the other side who accepts:
/// see `answer_by`.
#[utoipa::path(post, path = "/v1/contracts/{id}/accept", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::AcceptContract { contract_id };
    change(&app, caller, headers, "POST /v1/contracts/{id}/accept", body.fingerprint, contract_id, intent).await
}

/// Answers an offer with other milestones.
///
/// By the side whose turn it is; the other side answers then, and has the full time of an offer again.
#[utoipa::path(post, path = "/v1/contracts/{id}/counter-offer", tag = "contracts", request_body = Changes,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn counter(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Changes>,
) -> Result<Response, Problem> {
    let command = ContractCommand::CounterOffer { changes: ChangeView::read(&body.value.changes)? };
    let intent = Intent::OnContract { contract_id, command };
    change(&app, caller, headers, "POST /v1/contracts/{id}/counter-offer", body.fingerprint, contract_id, intent).await
}

/// Declines an offer.
///
/// By the payee, also after a counter offer. It cannot be undone.
#[utoipa::path(post, path = "/v1/contracts/{id}/decline", tag = "contracts", request_body = Reason,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn decline(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Reason>,
) -> Result<Response, Problem> {
    let intent =
        Intent::OnContract { contract_id, command: ContractCommand::Decline { reason: body.value.reason.clone() } };
    change(&app, caller, headers, "POST /v1/contracts/{id}/decline", body.fingerprint, contract_id, intent).await
}

/// Takes an offer back.
///
/// By the client, also after a counter offer. It cannot be undone.
#[utoipa::path(post, path = "/v1/contracts/{id}/withdraw", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::OnContract { contract_id, command: ContractCommand::WithdrawOffer };
    change(&app, caller, headers, "POST /v1/contracts/{id}/withdraw", body.fingerprint, contract_id, intent).await
}
