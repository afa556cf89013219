//! Offers: offer, accept, counter, decline, withdraw.

use axum::extract::State;
use axum::response::Response;
use domain::contract::ContractCommand;
use domain::id::ContractId;
use domain::intent::Intent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::Command;
use super::contracts::{Nothing, Reason, change, on_contract};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::{ChangeView, ContractView, OfferTerms};

/// Other milestones than those of the contract.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// What is to change, 1 to 300. Each milestone at most once in amount, date and review.
    pub changes: Vec<ChangeView>,
}

/// Offers a draft to its payee.
///
/// On these fees and periods, which are fixed for the life of the contract; on the platform's own where none are named.
#[utoipa::path(post, path = "/v1/contracts/{id}/offer", tag = "contracts", request_body = OfferTerms,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn offer(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<OfferTerms>,
) -> Result<Response, Problem> {
    let (fee_schedule, policy) = value.read()?;
    change(&app, caller, asked, contract_id, Intent::OfferContract { contract_id, fee_schedule, policy }).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, caller, asked, contract_id, Intent::AcceptContract { contract_id }).await
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
    Command { value, asked }: Command<Changes>,
) -> Result<Response, Problem> {
    let counter = ContractCommand::CounterOffer { changes: ChangeView::read(&value.changes)? };
    on_contract(&app, caller, asked, contract_id, counter).await
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
    Command { value, asked }: Command<Reason>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::Decline { reason: value.reason }).await
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
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::WithdrawOffer).await
}
