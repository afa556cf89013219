//! What is held for a milestone goes back: the client asks and the payee answers, or the payee grants it unasked.
//!
//! A wish is named by the id of the refund that it leads to. It is the milestone's version that `If-Match` is about, and
//! the milestone that is answered with.

use axum::extract::State;
use axum::response::Response;
use domain::id::{DisputeId, MilestoneId, RefundId};
use domain::milestone::{self, MilestoneCommand};
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::{Asked, Command, Named};
use super::contracts::Nothing;
use super::milestones::on_milestone;
use super::{amount, currency, id};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::MilestoneView;

/// How much is to go back. All that is held when nothing is said.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldAmount {
    /// Minor units, fees not included: they follow from it.
    #[serde(default)]
    #[schema(example = 100_000)]
    pub amount: Option<i64>,
    /// ISO 4217; has to be the contract's.
    #[serde(default)]
    #[schema(example = "USD")]
    pub currency: Option<String>,
}

impl HeldAmount {
    fn read(&self) -> Result<(Option<Minor>, Option<Currency>), Problem> {
        let amount = self.amount.map(|value| amount(value, "/amount")).transpose()?;
        Ok((amount, self.currency.as_deref().map(|code| currency(code, "/currency")).transpose()?))
    }
}

/// Asks for money back that is held for a milestone.
///
/// By the client. It counts as agreed when the payee says nothing in time.
#[utoipa::path(post, path = "/v1/milestones/{id}/refund-requests", tag = "refunds", request_body = HeldAmount,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn request(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { value, asked }: Command<HeldAmount>,
) -> Result<Response, Problem> {
    let (amount, currency) = value.read()?;
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::RequestRefund { amount, currency }).await
}

/// Gives money back that is held for a milestone, unasked.
///
/// By the payee. What was released already is given back by `POST /v1/refunds`.
#[utoipa::path(post, path = "/v1/milestones/{id}/grant-refund", tag = "refunds", request_body = HeldAmount,
    params(("id" = String, Path, description = "the milestone")), responses((status = 200, body = MilestoneView)))]
pub async fn grant(
    State(app): State<App>,
    caller: Caller,
    IdPath(milestone_id): IdPath<MilestoneId>,
    Command { value, asked }: Command<HeldAmount>,
) -> Result<Response, Problem> {
    let (amount, currency) = value.read()?;
    on_milestone(&app, caller, asked, milestone_id, MilestoneCommand::GrantRefund { amount, currency }).await
}

/// Agrees to a refund that the client asked for.
///
/// By the payee. The money goes back by the way it came: one refund per payment.
#[utoipa::path(post, path = "/v1/refund-requests/{id}/accept", tag = "refunds", request_body = Nothing,
    params(("id" = String, Path, description = "the wish")), responses((status = 200, body = MilestoneView)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    IdPath(refund_id): IdPath<RefundId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    answer(&app, caller, asked, refund_id, MilestoneCommand::AcceptRefund).await
}

/// Does not agree to a refund that the client asked for: that is a dispute.
///
/// By the payee. What is held stays where it is.
#[utoipa::path(post, path = "/v1/refund-requests/{id}/reject", tag = "refunds", request_body = Nothing,
    params(("id" = String, Path, description = "the wish")), responses((status = 200, body = MilestoneView)))]
pub async fn reject(
    State(app): State<App>,
    caller: Caller,
    IdPath(refund_id): IdPath<RefundId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    let dispute_id = DisputeId::from_uuid(Uuid::now_v7());
    answer(&app, caller, asked, refund_id, MilestoneCommand::RejectRefund { dispute_id }).await
}

/// The answer to a wish, which is found by its id while it waits. Its milestone may have got another one by the time that
/// the command is judged; then the version that was seen is not the newest any more.
async fn answer(
    app: &App,
    caller: Caller,
    asked: Asked,
    refund_id: RefundId,
    command: MilestoneCommand,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    asked.headers.require_version()?;
    match asked.find(app, &caller, milestone::TYPE, &["refund_id"], &refund_id.to_string()).await? {
        Named::Stream(stream) => {
            let milestone_id = id(&stream.aggregate_id, "id")?;
            on_milestone(app, caller, asked, milestone_id, command).await
        }
        Named::Answered(before) => Ok(before),
    }
}
