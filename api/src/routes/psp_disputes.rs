//! Test helpers: a client's bank disagrees with a payment, decides, or returns it, at the built-in provider.
//!
//! # Invariants
//! - Test mode only, by an administrator. The engine learns of it as it would of Stripe's doing: by webhook.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::funding::{self, Funding};
use domain::id::FundingId;
use domain::view::Document;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id;
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Body;
use crate::problem::Problem;

/// Who may make a bank act.
const MAY: &[StaffRole] = &[StaffRole::Admin];

/// How a bank begins to disagree, or goes on to.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    /// The payment that it begins to disagree with.
    #[schema(example = "fnd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub funding_id: Option<String>,
    /// The provider's dispute that goes on: an inquiry becomes a chargeback, and of a chargeback money is taken (again).
    #[schema(example = "dp_1")]
    pub dispute: Option<String>,
    /// What it begins with.
    #[serde(default)]
    pub kind: Kind,
    /// How much, in the provider's minor units; all when absent.
    pub amount: Option<i64>,
    /// Stripe's code of the reason.
    #[schema(example = "product_not_received")]
    pub reason: Option<String>,
    /// Whether the bank takes the money at once.
    #[serde(default = "yes")]
    pub withdraws: bool,
}

/// What a disagreement begins with.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The bank takes the money back.
    #[default]
    Chargeback,
    /// The bank asks.
    Inquiry,
    /// A network warns of fraud.
    FraudWarning,
}

/// What a bank decides.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The provider's dispute.
    #[schema(example = "dp_1")]
    pub dispute: String,
    /// How much comes back with it, in the provider's minor units; all when absent. Not for what is lost.
    pub amount: Option<i64>,
}

/// A payment that comes back.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// The payment.
    #[schema(example = "fnd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub funding_id: String,
    /// The bank's reason; `insufficient_funds` when absent.
    pub code: Option<String>,
}

/// What the provider has of it now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PspObjectView {
    /// The provider's id.
    #[schema(example = "dp_1")]
    pub id: String,
    /// The provider's kind, such as `dispute`.
    #[schema(example = "dispute")]
    pub object: String,
    /// The provider's status; absent for a warning.
    #[schema(example = "needs_response")]
    pub status: Option<String>,
}

fn yes() -> bool {
    true
}

/// Makes a bank disagree with a payment, ask about it, or go on.
#[utoipa::path(post, path = "/v1/test_helpers/psp/dispute", tag = "test mode", request_body = Disagreement,
    responses((status = 200, body = PspObjectView)))]
pub async fn dispute(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    body: Body<Disagreement>,
) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    let asked = body.value;
    let mut fields = vec![("withdraws", asked.withdraws.to_string())];
    fields.extend(asked.amount.map(|amount| ("amount", amount.to_string())));
    fields.extend(asked.reason.map(|reason| ("reason", reason)));
    let path = match (asked.funding_id, asked.dispute) {
        (Some(funding), None) => {
            let charge = paid(&app, &funding).await?.charge_ref;
            match asked.kind {
                Kind::FraudWarning => {
                    fields = vec![("charge", charge)];
                    "early_fraud_warnings".to_owned()
                }
                kind => {
                    fields.extend([("charge", charge), ("inquiry", (kind == Kind::Inquiry).to_string())]);
                    "disputes".to_owned()
                }
            }
        }
        (None, Some(dispute)) => {
            let to = if asked.kind == Kind::Inquiry { "needs_response" } else { "withdrawn" };
            fields.push(("to", to.to_owned()));
            format!("disputes/{}/turn", reference(&dispute)?)
        }
        _ => {
            let detail = "give either the payment that the bank begins to disagree with, or the dispute that goes on";
            return Err(Problem::field(ErrorCode::ValidationFailed, "/funding_id", detail));
        }
    };
    order(&app, at, &path, &fields).await
}

/// Makes a bank decide for the platform, or close its inquiry.
#[utoipa::path(post, path = "/v1/test_helpers/psp/win", tag = "test mode", request_body = Verdict,
    responses((status = 200, body = PspObjectView)))]
pub async fn win(State(app): State<App>, caller: Caller, at: ReadAt, body: Body<Verdict>) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    let mut fields = vec![("to", "won".to_owned())];
    fields.extend(body.value.amount.map(|amount| ("amount", amount.to_string())));
    order(&app, at, &format!("disputes/{}/turn", reference(&body.value.dispute)?), &fields).await
}

/// Makes a bank decide for the client.
#[utoipa::path(post, path = "/v1/test_helpers/psp/lose", tag = "test mode", request_body = Verdict,
    responses((status = 200, body = PspObjectView)))]
pub async fn lose(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    body: Body<Verdict>,
) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    if body.value.amount.is_some() {
        return Err(Problem::field(ErrorCode::ValidationFailed, "/amount", "nothing comes back of what is lost"));
    }
    let fields = [("to", "lost".to_owned())];
    order(&app, at, &format!("disputes/{}/turn", reference(&body.value.dispute)?), &fields).await
}

/// Makes a bank return a payment that had succeeded.
#[utoipa::path(post, path = "/v1/test_helpers/psp/return", tag = "test mode", request_body = Returned,
    responses((status = 200, body = PspObjectView)))]
pub async fn return_payment(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    body: Body<Returned>,
) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    let payment = paid(&app, &body.value.funding_id).await?.payment_ref;
    let fields: Vec<_> = body.value.code.map(|code| ("failure_code", code)).into_iter().collect();
    order(&app, at, &format!("payment_intents/{payment}/return"), &fields).await
}

fn allowed(app: &App, caller: &Caller) -> Result<(), Problem> {
    caller.require_staff(MAY)?;
    if app.engine.clock().is_test() && app.sandbox.is_some() {
        return Ok(());
    }
    let detail = "the tenant is not in test mode, or its provider is not the built-in one";
    Err(Problem::new(ErrorCode::NotInTestMode, detail))
}

/// The provider's names of a payment.
struct Paid {
    payment_ref: String,
    charge_ref: String,
}

async fn paid(app: &App, funding: &str) -> Result<Paid, Problem> {
    let funding_id: FundingId = id(funding, "/funding_id")?;
    app.catch_up().await?;
    let stored = document::one(app.pool(), &funding::stream(funding_id), Visible::ToStaff).await?;
    match stored.map(|stored| stored.document) {
        Some(Document::Aggregate(AggregateState::Funding(state))) => match *state {
            Funding::Succeeded { payment_ref, charge_ref, .. } => Ok(Paid { payment_ref, charge_ref }),
            _ => Err(Problem::field(ErrorCode::ValidationFailed, "/funding_id", "must be of a payment that succeeded")),
        },
        _ => Err(Problem::field(ErrorCode::ValidationFailed, "/funding_id", "must be of a payment")),
    }
}

/// A reference becomes part of a path.
fn reference(text: &str) -> Result<&str, Problem> {
    if text.starts_with("dp_") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(text);
    }
    Err(Problem::field(ErrorCode::ValidationFailed, "/dispute", "must be a dispute of the provider, such as dp_1"))
}

async fn order(app: &App, at: ReadAt, path: &str, fields: &[(&str, String)]) -> Result<Response, Problem> {
    let Some(sandbox) = &app.sandbox else {
        return Err(Problem::new(ErrorCode::NotInTestMode, "the provider is not the built-in one"));
    };
    let unreachable = |error: reqwest::Error| {
        Problem::new(
            ErrorCode::PspUnavailable,
            format!("the built-in provider does not answer: {}", error.without_url()),
        )
    };
    let answer = sandbox.order(path, fields).await.map_err(unreachable)?;
    let status = answer.status();
    if status.is_success() {
        let object: PspObjectView = answer.json().await.map_err(unreachable)?;
        return Ok(at.respond(&object, None));
    }
    let refusal: serde_json::Value = answer.json().await.map_err(unreachable)?;
    let text = |pointer: &str| refusal.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
    let (message, param) = (text("/error/message"), text("/error/param"));
    if status == StatusCode::NOT_FOUND {
        return Err(Problem::field(ErrorCode::ValidationFailed, "/dispute", message));
    }
    let pointer = if param == "amount" {
        "/amount"
    } else if param == "charge" || path.starts_with("payment_intents") {
        "/funding_id"
    } else {
        "/dispute"
    };
    Err(Problem::field(ErrorCode::ValidationFailed, pointer, message))
}
