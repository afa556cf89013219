//! Bonuses and tips: the client gives the payee more than was agreed.

use axum::extract::State;
use axum::response::Response;
use domain::escrow::GratuityKind;
use domain::id::{ContractId, FundingId};
use domain::intent::MoneyIntent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::{Asked, Command};
use super::fundings::{CreateMandate, make, mandate};
use super::{amount, currency};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::FundingView;

/// What is given.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGratuity {
    /// How much, in minor units, before fees.
    #[schema(example = 5000)]
    pub amount: i64,
    /// ISO 4217; has to be the contract's.
    #[schema(example = "USD")]
    pub currency: String,
    /// Token of the client's card or account at the payment provider. Never a card number.
    #[schema(example = "pm_card_visa")]
    pub payment_method: String,
    /// The client's consent, which banks ask for where an account is debited. Not needed for cards.
    #[serde(default)]
    pub mandate: Option<CreateMandate>,
}

/// Pays a bonus.
///
/// With the fees that a milestone of that amount would cost. Up to a year after the contract is over, unless its terms
/// say otherwise.
#[utoipa::path(post, path = "/v1/contracts/{id}/bonuses", tag = "fundings", request_body = CreateGratuity,
    params(("id" = String, Path, description = "the contract")), responses((status = 201, body = FundingView)))]
pub async fn bonus(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<CreateGratuity>,
) -> Result<Response, Problem> {
    give(&app, caller, asked, contract_id, GratuityKind::Bonus, value).await
}

/// Pays a tip, free of fees.
///
/// As long as a bonus could be paid.
#[utoipa::path(post, path = "/v1/contracts/{id}/tips", tag = "fundings", request_body = CreateGratuity,
    params(("id" = String, Path, description = "the contract")), responses((status = 201, body = FundingView)))]
pub async fn tip(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<CreateGratuity>,
) -> Result<Response, Problem> {
    give(&app, caller, asked, contract_id, GratuityKind::Tip, value).await
}

async fn give(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    kind: GratuityKind,
    value: CreateGratuity,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    let mandate = mandate(app, value.mandate).await?;
    let funding_id = FundingId::from_uuid(Uuid::now_v7());
    let (amount, currency) = (amount(value.amount, "/amount")?, currency(&value.currency, "/currency")?);
    app.identity.require_recent(&caller, amount, currency).await?;
    let payment_method = value.payment_method;
    let intent = MoneyIntent::PayGratuity { contract_id, funding_id, kind, amount, currency, payment_method };
    make(app, caller, asked, (funding_id, mandate), intent).await
}
