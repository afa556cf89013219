//! The older route for paying into escrow, which names a milestone, or asks for all that is missing.
//!
//! # Invariants
//! - It does what `POST /v1/contracts/{id}/fundings` does, and answers with the same.
//! - Without a key, one is made from caller and body: the same request within ten minutes of the tenant's clock pays once.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use domain::id::{ContractId, MilestoneId};
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::Command;
use super::contracts::visible_view;
use super::fundings::{CreateAllocation, CreateMandate, PayIn, Source, allocations, deposit, mandate, pay};
use super::{amount, currency, id};
use crate::app::App;
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::{ContractView, FundingView};

/// How long a key that was made from a request stands for it (`api.md` E.9).
const WINDOW_SECONDS: i64 = 600;

/// A payment into escrow: for one milestone, for all that is missing (`final`), or as the newer route has it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// Pays what is missing for this milestone.
    #[serde(default)]
    #[schema(example = "mst_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub milestone_id: Option<String>,
    /// Pays all that is missing for the contract.
    #[serde(default, rename = "final")]
    pub all: bool,
    /// Which milestones it is for, with amounts.
    #[serde(default)]
    pub allocations: Vec<CreateAllocation>,
    /// What is to be held for no milestone yet, in minor units.
    #[serde(default)]
    pub deposit: Option<i64>,
    /// Currency of the amounts; the contract's when absent.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// Where the money comes from.
    #[serde(default)]
    pub paid_from: Source,
    /// Token of the client's card or account at the payment provider, unless the wallet pays. Never a card number.
    #[serde(default)]
    #[schema(example = "pm_card_visa")]
    pub payment_method: Option<String>,
    /// The client's consent, which banks ask for where an account is debited. Not needed for cards.
    #[serde(default)]
    pub mandate: Option<CreateMandate>,
}

/// Pays into escrow, the older way.
///
/// The same as `POST /v1/contracts/{id}/fundings`, for callers who know a milestone and not what is missing.
#[utoipa::path(post, path = "/api/v1/contracts/{id}/payments", tag = "fundings", request_body = Pay,
    params(("id" = String, Path, description = "the contract")), responses((status = 201, body = FundingView)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { mut value, mut asked }: Command<Pay>,
) -> Result<Response, Problem> {
    if asked.headers.idempotency_key.is_none() {
        let window = app.engine.now().await?.timestamp().div_euclid(WINDOW_SECONDS);
        asked.headers.idempotency_key = Some(format!("window-{window}-{}", asked.fingerprint));
    }
    let answer = if let Some(before) = asked.repeated(&app, &caller).await? {
        before
    } else {
        app.catch_up().await?;
        let contract = visible_view(&app, &caller, contract_id).await?;
        let mandate = mandate(&app, value.mandate.take()).await?;
        pay(&app, caller, asked, contract_id, PayIn { mandate, ..value.read(&contract)? }).await?
    };
    Ok(with_successor(answer, contract_id))
}

/// Names the route to use instead.
fn with_successor(mut answer: Response, contract_id: ContractId) -> Response {
    let link = format!("</v1/contracts/{contract_id}/fundings>; rel=\"successor-version\"");
    if let Ok(link) = HeaderValue::from_str(&link) {
        answer.headers_mut().insert(header::LINK, link);
    }
    answer
}

impl Pay {
    fn read(self, contract: &ContractView) -> Result<PayIn, Problem> {
        let wrong = |pointer: &str, detail: &str| Problem::field(ErrorCode::ValidationFailed, pointer, detail);
        let listed = !self.allocations.is_empty() || self.deposit.is_some();
        let ways = [self.milestone_id.is_some(), self.all, listed].into_iter().filter(|way| *way).count();
        if ways != 1 {
            return Err(wrong("/milestone_id", "name a milestone, or final, or allocations and deposit"));
        }
        let allocations = match &self.milestone_id {
            Some(text) => vec![missing_for(contract, id(text, "/milestone_id")?)?],
            None if self.all => all_missing(contract)?,
            None => allocations(&self.allocations)?,
        };
        Ok(PayIn {
            allocations,
            deposit: deposit(self.deposit)?,
            currency: currency(self.currency.as_deref().unwrap_or(&contract.currency), "/currency")?,
            source: self.paid_from,
            payment_method: self.payment_method,
            mandate: None,
        })
    }
}

/// What is missing for one milestone. Where nothing is, its whole amount: the rules say why that cannot be paid.
fn missing_for(contract: &ContractView, milestone_id: MilestoneId) -> Result<(MilestoneId, Minor), Problem> {
    let pointer = "/milestone_id";
    let named = milestone_id.to_string();
    let milestone =
        contract.milestones.iter().find(|milestone| milestone.id == named).ok_or_else(|| {
            Problem::field(ErrorCode::ValidationFailed, pointer, "no such milestone of this contract")
        })?;
    let due = if milestone.missing > 0 { milestone.missing } else { milestone.amount };
    Ok((milestone_id, amount(due, pointer)?))
}

/// What is missing for every milestone that lacks something.
fn all_missing(contract: &ContractView) -> Result<Vec<(MilestoneId, Minor)>, Problem> {
    let lacking = contract.milestones.iter().filter(|milestone| milestone.missing > 0);
    let missing = lacking.map(|milestone| Ok((id(&milestone.id, "/final")?, amount(milestone.missing, "/final")?)));
    let missing = missing.collect::<Result<Vec<_>, Problem>>()?;
    if missing.is_empty() {
        return Err(Problem::field(ErrorCode::ValidationFailed, "/final", "nothing is missing"));
    }
    Ok(missing)
}
