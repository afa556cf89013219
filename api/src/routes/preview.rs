//! What commands would do: the same body as the command, and nothing is written.
//!
//! A preview takes `Idempotency-Key` and `If-Match` if it is given them, and needs neither: with the key of the command to
//! come, the ids that it shows are those that the command will give.

use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use domain::id::{ContractId, FundingId, MilestoneId};
use domain::intent::Intent;
use domain::refusal::Refusal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::fundings::{self, CreateAllocation, PayIn, Source};
use super::milestones::Approve;
use super::{amount, currency, id};
use crate::app::{App, command_id, etag};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::engine::{EngineError, Preview, Request};
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::problem::Problem;
use crate::view::preview::{PreviewView, QuoteView};

/// What a card is called in a quote that names none.
const NO_PAYMENT_METHOD: &str = "not_chosen";

/// A payment into escrow that is thought about.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteFunding {
    /// The contract.
    #[schema(example = "ctr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub contract_id: String,
    /// Which milestones it is for. None when all of it is a deposit.
    #[serde(default)]
    pub allocations: Vec<CreateAllocation>,
    /// What is to be held for no milestone yet, in minor units; the client's fee comes on top.
    #[serde(default)]
    #[schema(example = 50_000)]
    pub deposit: Option<i64>,
    /// Currency of the amounts; has to be the contract's.
    #[schema(example = "USD")]
    pub currency: String,
    /// Where the money is to come from.
    #[serde(default)]
    pub paid_from: Source,
    /// Token of the client's card or account, if it is chosen.
    #[serde(default)]
    #[schema(example = "pm_card_visa")]
    pub payment_method: Option<String>,
}

/// Shows what an approval would do.
///
/// The events and journal entries that approving would write now, with deadlines that have passed first. What approving
/// would be refused for, this is refused for, too.
#[utoipa::path(post, path = "/v1/milestones/{id}/approve:preview", tag = "milestones", request_body = Approve,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = PreviewView)))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    headers: CommandHeaders,
    body: Body<Approve>,
) -> Result<Response, Problem> {
    let intent = Intent::ApproveMilestone {
        milestone_id,
        amount: body.value.amount.map(|value| amount(value, "/amount")).transpose()?,
        currency: body.value.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?,
    };
    answer(&app, caller, headers, "POST /v1/milestones/{id}/approve", intent, |preview| {
        Some(PreviewView::of(preview, &caller))
    })
    .await
}

/// Shows what a payment into escrow would cost.
///
/// Fees, tax, total, and the amount in the provider's units; and the events that asking for the payment would write. From
/// the wallet nothing is rounded, and it is refused where the wallet lacks something, as the payment would be.
#[utoipa::path(post, path = "/v1/fundings:quote", tag = "fundings", request_body = QuoteFunding,
    responses((status = 200, body = QuoteView)))]
pub async fn quote_funding(
    State(app): State<App>,
    caller: Caller,
    headers: CommandHeaders,
    body: Body<QuoteFunding>,
) -> Result<Response, Problem> {
    let QuoteFunding { contract_id, allocations, deposit, currency: code, paid_from, payment_method } = body.value;
    let chosen = || (paid_from == Source::Provider).then(|| NO_PAYMENT_METHOD.to_owned());
    let pay_in = PayIn {
        allocations: fundings::allocations(&allocations)?,
        deposit: fundings::deposit(deposit)?,
        currency: currency(&code, "/currency")?,
        source: paid_from,
        payment_method: payment_method.or_else(chosen),
        mandate: None,
    };
    let contract_id = id::<ContractId>(&contract_id, "/contract_id")?;
    let intent = Intent::Money(pay_in.intent(contract_id, FundingId::from_uuid(Uuid::now_v7()))?);
    // Paying takes no version, as the command does not.
    let headers = CommandHeaders { if_match: None, ..headers };
    answer(&app, caller, headers, "POST /v1/contracts/{id}/fundings", intent, |preview| QuoteView::of(preview, &caller))
        .await
}

/// Answers what the command of `route` would do: every preview is a call of this with an intent and a view.
///
/// `ETag` is the version now of what the intent is about, for the command's `If-Match`.
///
/// # Errors
/// The problem that the command would be answered with.
pub(crate) async fn answer<V: Serialize>(
    app: &App,
    caller: Caller,
    headers: CommandHeaders,
    route: &'static str,
    intent: Intent,
    view: impl FnOnce(&Preview) -> Option<V>,
) -> Result<Response, Problem> {
    let subject = intent.subject();
    let given = headers.if_match;
    let key = headers.idempotency_key;
    let request = Request {
        intent,
        actor: caller.actor(),
        auth: caller.auth_context(),
        command_id: key.as_deref().map_or_else(Uuid::now_v7, |key| command_id(&caller, route, key)),
        if_match: given,
        idempotency_key: key,
        traceparent: headers.traceparent,
        answer: None,
    };
    match app.engine.preview(request).await {
        Ok(preview) => {
            let shown = view(&preview)
                .ok_or_else(|| Problem::new(ErrorCode::InternalError, "a preview that cannot be shown"))?;
            let mut response = axum::response::IntoResponse::into_response(axum::Json(shown));
            let version = preview.version(&subject).filter(|version| *version > 0);
            if let Some(tag) = version.and_then(etag) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            Ok(response)
        }
        Err(EngineError::Refused(refusal @ Refusal::VersionMismatch { .. })) => {
            Err(app.version_mismatch(&subject, given.unwrap_or(0), refusal).await)
        }
        Err(error) => Err(error.into()),
    }
}
