//! What a test does to the built-in payment provider, on the tenant's clock. In test mode only: there is no such route
//! where real money moves, or where the provider is not the built-in one.
//!
//! # Invariants
//! - One shape of body for all: a helper takes the fields that it names, and refuses the others.
//! - Nothing here is written to the log. What follows is told by the provider, as always.
//! - A helper that is asked for twice with one `Idempotency-Key` does it once ([`once`]).

mod body;
mod once;

use axum::extract::{Path, State};
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::funding::{self, Funding};
use domain::id::FundingId;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::body::{Call, Help};
use self::body::{Helper, Plan};
pub use self::once::once;
use super::visible;
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Body;
use crate::problem::Problem;
use crate::sandbox_control::{ControlError, SandboxControl};
use adapters::postgres::document;
use domain::actor::StaffRole;
use domain::log::EventStore;

/// Who may play with the provider.
const PLAYERS: &[StaffRole] = &[StaffRole::Admin];

/// The routes.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(help))
}

/// What a test helper has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HelpView {
    /// Always `test_helper`.
    #[schema(example = "test_helper")]
    pub object: String,
    /// Which.
    #[schema(example = "duplicate")]
    pub helper: String,
    /// How many: payments answered, faults planned, webhooks sent, keys forgotten.
    #[schema(example = 1)]
    pub count: u64,
}

/// Makes the built-in payment provider do something, well or badly.
///
/// By an admin, in test mode. Payments: `succeed` (the client completes 3-D Secure, or the bank debit arrives now) and
/// `decline` (optional `code`) take `funding_id`; `capture-other` (`amount`, `currency`) and `late-receipt` (`seconds`) are
/// planned for the next ones. Webhooks, of one type by `event` or of all: `duplicate` (`copies`), `reorder`, `delay`
/// (`seconds`), `drop`; `flush` sends what is missing. Calls, one kind by `call`: `time-out` (after it was carried out),
/// `fail` (500, nothing done), `rate-limit` (429, `seconds` as `Retry-After`), `low-balance`. `prune-keys` forgets
/// idempotency keys (older than `seconds`; a day when absent). `clear` takes all planned faults away. A planned fault acts
/// `times` times, once when absent.
#[utoipa::path(post, path = "/v1/test_helpers/psp/{helper}", tag = "test mode", request_body = Help,
    params(("helper" = String, Path, description = "what it is to do")), responses((status = 200, body = HelpView)))]
pub async fn help(
    State(app): State<App>,
    caller: Caller,
    Path(helper): Path<String>,
    body: Body<Help>,
) -> Result<Response, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let helper: Helper = helper.parse().map_err(|()| Problem::not_found())?;
    let count = match helper.plan(&body.value)? {
        Plan::Answer { funding_id, succeeds, code } => {
            let payment_ref = payment_of(&app, &caller, funding_id).await?;
            sandbox.answer_payment(&payment_ref, succeeds, code.as_deref()).await.map_err(not_answered)?;
            1
        }
        Plan::Fault(rule) => sandbox.plan_faults(&json!([rule])).await.map_err(not_planned)?,
        Plan::Flush => sandbox.flush_webhooks().await.map_err(not_planned)?,
        Plan::PruneKeys { older_than_seconds } => sandbox.prune_keys(older_than_seconds).await.map_err(not_planned)?,
        Plan::Clear => {
            sandbox.clear_faults().await.map_err(not_planned)?;
            0
        }
    };
    let view = HelpView { object: "test_helper".to_owned(), helper: helper.name().to_owned(), count };
    Ok(ReadAt(app.engine.store().head().await?).respond(&view, None))
}

/// The built-in provider, for whoever may play with it.
///
/// # Errors
/// `forbidden`; `not_found` where it is not the provider, or the tenant is not in test mode.
pub(super) fn sandbox<'a>(app: &'a App, caller: &Caller) -> Result<&'a SandboxControl, Problem> {
    caller.require_staff(PLAYERS)?;
    app.sandbox.as_ref().filter(|_| !app.tenant.livemode && app.engine.clock().is_test()).ok_or_else(Problem::not_found)
}

/// The provider's payment for a funding.
async fn payment_of(app: &App, caller: &Caller, funding_id: FundingId) -> Result<String, Problem> {
    app.catch_up().await?;
    let stored = document::one(app.pool(), &funding::stream(funding_id), visible(caller)).await?;
    let funding = match stored.map(|stored| stored.document) {
        Some(Document::Aggregate(AggregateState::Funding(state))) => *state,
        _ => return Err(Problem::not_found()),
    };
    match funding {
        Funding::Created { payment_ref: Some(payment_ref), .. }
        | Funding::GivenUp { payment_ref: Some(payment_ref), .. }
        | Funding::Succeeded { payment_ref, .. } => Ok(payment_ref),
        Funding::NotCreated => Err(Problem::not_found()),
        Funding::Created { .. } | Funding::GivenUp { .. } => Err(Problem::new(
            ErrorCode::FundingWrongState,
            "the provider has not been asked for this payment yet, or has not answered",
        )),
    }
}

fn not_answered(error: ControlError) -> Problem {
    match error {
        ControlError::Refused { message, param: Some(param) } if param == "code" => {
            Problem::field(ErrorCode::ValidationFailed, "/code", message)
        }
        ControlError::Refused { message, .. } => Problem::new(ErrorCode::FundingWrongState, message),
        ControlError::Unreachable(error) => unreachable(error),
    }
}

/// What a helper refuses is checked before the provider is asked; what is left is about amount and currency.
fn not_planned(error: ControlError) -> Problem {
    match error {
        ControlError::Refused { message, .. } => Problem::new(ErrorCode::ValidationFailed, message),
        ControlError::Unreachable(error) => unreachable(error),
    }
}

fn unreachable(error: reqwest::Error) -> Problem {
    Problem::new(ErrorCode::PspUnavailable, format!("the built-in provider does not answer: {}", error.without_url()))
}
