//! Fundings: pay into escrow, see how it is getting on.

use adapters::postgres::document;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::funding;
use domain::id::{ContractId, FundingId};
use domain::intent::Intent;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{amount, currency, id, visible};
use crate::app::{ApiCommand, App, Look, ReadAt};
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::problem::Problem;
use crate::view::FundingView;

/// A payment into escrow.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFunding {
    /// What it is for.
    pub allocations: Vec<CreateAllocation>,
    /// Currency of the amounts; has to be the contract's.
    #[schema(example = "USD")]
    pub currency: String,
    /// Token of the client's card or account at the payment provider. Never a card number.
    #[schema(example = "pm_card_visa")]
    pub payment_method: String,
}

/// The part of a payment that is for one milestone.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAllocation {
    /// The milestone.
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: String,
    /// What is to be held for it, in minor units; the client's fee comes on top.
    #[schema(example = 100_000)]
    pub amount: i64,
}

/// Pays into escrow for milestones.
///
/// The answer is `created`, before the client's bank was asked; how it goes on is told by `GET /v1/fundings/{id}`.
#[utoipa::path(post, path = "/v1/contracts/{id}/fundings", tag = "fundings", request_body = CreateFunding,
    params(("id" = String, Path, description = "the contract")), responses((status = 201, body = FundingView)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    headers: CommandHeaders,
    body: Body<CreateFunding>,
) -> Result<Response, Problem> {
    headers.require_key()?;
    let funding_id = FundingId::from_uuid(Uuid::now_v7());
    let allocations = body
        .value
        .allocations
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let milestone_id = id(&part.milestone_id, format!("/allocations/{index}/milestone_id"))?;
            Ok((milestone_id, amount(part.amount, format!("/allocations/{index}/amount"))?))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    let intent = Intent::FundMilestones {
        contract_id,
        funding_id,
        allocations,
        currency: currency(&body.value.currency, "/currency")?,
        payment_method: body.value.payment_method.clone(),
    };
    app.perform(ApiCommand {
        caller,
        // The path names the contract, and paying does not race with anything that the payee may do.
        headers: CommandHeaders { if_match: None, ..headers },
        route: "POST /v1/contracts/{id}/fundings",
        fingerprint: body.fingerprint,
        intent,
        status: StatusCode::CREATED,
        location: Some(format!("/v1/fundings/{funding_id}")),
        view: &|look| view_of(funding_id, look),
    })
    .await
}

/// Shows a funding: its status, and what the client has to do next.
#[utoipa::path(get, path = "/v1/fundings/{id}", tag = "fundings",
    params(("id" = String, Path, description = "the funding")), responses((status = 200, body = FundingView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(funding_id): IdPath<FundingId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &funding::stream(funding_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Funding(state)) => {
            let view = FundingView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

fn view_of(funding_id: FundingId, look: Look<'_>) -> Option<FundingView> {
    match look(&funding::stream(funding_id)) {
        Some(AggregateState::Funding(state)) => FundingView::of(state),
        _ => None,
    }
}
