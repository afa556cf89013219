//! The platform's own money at the provider: adding to it, taking from it, and payouts that nobody ordered.

use adapters::postgres::document::{self, Visible};
use adapters::postgres::{log_reader, task};
use axum::extract::State;
use axum::response::Response;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::id::{SweepId, TopUpId};
use domain::intent::{Intent, PayoutIntent};
use domain::reaction::PSP;
use domain::treasury::{self, Coverage, Treasury, TreasuryCommand, TreasuryId};
use domain::view::Document;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::contracts::Nothing;
use super::events::READERS;
use super::{CURRENCIES, Page, amount, currency};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::{ForeignPayoutView, SweepView, TopUpView, TreasuryView};

/// Who moves the platform's own money.
const FINANCE: &[StaffRole] = &[StaffRole::Finance, StaffRole::Admin];

/// Own money to be added.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// How much, in minor units.
    #[schema(example = 200_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// Earned money to be taken out.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeSweep {
    /// How much, in minor units; at most the surplus less taxes, the buffer and what is on its way out.
    #[schema(example = 11_925)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What is to stay, in minor units; nothing when absent.
    #[schema(example = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<i64>,
}

/// Shows the platform's own money at the provider, one balance per currency.
#[utoipa::path(get, path = "/v1/treasury", tag = "treasury", responses((status = 200, body = Page<TreasuryView>)))]
pub async fn list(State(app): State<App>, caller: Caller, at: ReadAt) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let stored = document::list(app.pool(), treasury::TYPE, Visible::ToStaff, None, None, CURRENCIES).await?;
    let page = Page::of(
        stored,
        CURRENCIES,
        |stored| stored.created_position,
        |stored| {
            let id = stored.stream.aggregate_id.parse().ok()?;
            match &stored.document {
                Document::Aggregate(AggregateState::Treasury(state)) => Some(TreasuryView::of(&id, state)),
                _ => None,
            }
        },
    );
    Ok(at.respond(&page, None))
}

/// Adds own money to the balance at the provider.
///
/// It comes from the platform's bank, and counts when the provider says that it has arrived.
#[utoipa::path(post, path = "/v1/treasury/top-ups", tag = "treasury", request_body = TopUp,
    responses((status = 201, body = TopUpView)))]
pub async fn top_up(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<TopUp>,
) -> Result<Response, Problem> {
    caller.require_staff(FINANCE)?;
    let id = balance(currency(&value.currency, "/currency")?);
    let (top_up_id, amount) = (TopUpId::from_uuid(Uuid::now_v7()), amount(value.amount, "/amount")?);
    app.identity.require_recent(&caller, amount, id.currency).await?;
    let intent = on(&id, TreasuryCommand::RequestTopUp { top_up_id, amount });
    let location = "/v1/treasury".to_owned();
    let view = |_: Seen<'_>| Some(TopUpView::requested(top_up_id, amount, id.currency));
    asked.make(&app, caller, intent, location, &view).await
}

/// Proposes to take earned money out of the balance at the provider.
///
/// Another member of staff has to approve it.
#[utoipa::path(post, path = "/v1/treasury/sweeps", tag = "treasury", request_body = ProposeSweep,
    responses((status = 201, body = SweepView)))]
pub async fn propose_sweep(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<ProposeSweep>,
) -> Result<Response, Problem> {
    caller.require_staff(FINANCE)?;
    let id = balance(currency(&value.currency, "/currency")?);
    let (sweep_id, amount) = (SweepId::from_uuid(Uuid::now_v7()), amount(value.amount, "/amount")?);
    app.identity.require_recent(&caller, amount, id.currency).await?;
    let buffer = Minor::new(value.buffer.unwrap_or(0))
        .map_err(|_| Problem::field(ErrorCode::ValidationFailed, "/buffer", "must not be below zero"))?;
    let coverage = covered(&app, id.currency).await?;
    let intent = on(&id, TreasuryCommand::ProposeSweep { sweep_id, amount, buffer, coverage });
    let view = |seen: Seen<'_>| sweep_of(&id, sweep_id, seen.look);
    asked.make(&app, caller, intent, "/v1/treasury".to_owned(), &view).await
}

/// Approves a sweep: it is paid to the platform's bank.
///
/// Not by who has proposed it. What may be taken is judged again.
#[utoipa::path(post, path = "/v1/treasury/sweeps/{id}/approve", tag = "treasury", request_body = Nothing,
    params(("id" = String, Path, description = "the sweep")), responses((status = 200, body = SweepView)))]
pub async fn approve_sweep(
    State(app): State<App>,
    caller: Caller,
    IdPath(sweep_id): IdPath<SweepId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(FINANCE)?;
    let id = with_sweep(&app, sweep_id).await?;
    let coverage = covered(&app, id.currency).await?;
    let intent = on(&id, TreasuryCommand::ApproveSweep { sweep_id, coverage });
    asked.act(&app, caller, intent, &|seen: Seen<'_>| sweep_of(&id, sweep_id, seen.look)).await
}

/// Rejects a sweep: it is not made.
#[utoipa::path(post, path = "/v1/treasury/sweeps/{id}/reject", tag = "treasury", request_body = Nothing,
    params(("id" = String, Path, description = "the sweep")), responses((status = 200, body = SweepView)))]
pub async fn reject_sweep(
    State(app): State<App>,
    caller: Caller,
    IdPath(sweep_id): IdPath<SweepId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(FINANCE)?;
    let id = with_sweep(&app, sweep_id).await?;
    let intent = on(&id, TreasuryCommand::RejectSweep { sweep_id });
    asked.act(&app, caller, intent, &|seen: Seen<'_>| sweep_of(&id, sweep_id, seen.look)).await
}

/// Adopts a payout of the platform that nobody here has ordered.
///
/// It counts as money that the platform has taken out. The id is the provider's. Until then the money is unexplained (account 1900), and an operator's task.
#[utoipa::path(post, path = "/v1/treasury/payouts/{id}/adopt", tag = "treasury", request_body = Nothing,
    params(("id" = String, Path, description = "the provider's payout")),
    responses((status = 200, body = ForeignPayoutView)))]
pub async fn adopt(
    State(app): State<App>,
    caller: Caller,
    axum::extract::Path(payout_ref): axum::extract::Path<String>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(FINANCE)?;
    let id = holding(&app, |state| state.foreign_payouts.contains_key(&payout_ref)).await?;
    let intent = on(&id, TreasuryCommand::AdoptPlatformPayout { bank_payout_ref: payout_ref.clone() });
    let view = |seen: Seen<'_>| match (seen.look)(&treasury::stream(&id)) {
        Some(AggregateState::Treasury(state)) => ForeignPayoutView::of(&payout_ref, id.currency, state),
        _ => None,
    };
    let answer = asked.act(&app, caller, intent, &view).await?;
    task::close(app.pool(), task::PLATFORM_PAYOUT, &payout_ref).await?;
    Ok(answer)
}

fn balance(currency: Currency) -> TreasuryId {
    TreasuryId { psp: PSP.to_owned(), currency }
}

fn on(id: &TreasuryId, command: TreasuryCommand) -> Intent {
    Intent::Payouts(PayoutIntent::Treasury { id: id.clone(), command })
}

/// What is covered, by the books of the newest event.
async fn covered(app: &App, currency: Currency) -> Result<Coverage, Problem> {
    app.catch_up().await?;
    let (_, books) = log_reader::trial_balance(app.pool()).await?;
    Ok(Coverage::of(&books, currency))
}

async fn with_sweep(app: &App, sweep_id: SweepId) -> Result<TreasuryId, Problem> {
    holding(app, |state| state.sweeps.contains_key(&sweep_id)).await
}

/// The treasury of which this is so.
async fn holding(app: &App, is_it: impl Fn(&Treasury) -> bool) -> Result<TreasuryId, Problem> {
    app.catch_up().await?;
    let stored = document::list(app.pool(), treasury::TYPE, Visible::ToStaff, None, None, CURRENCIES).await?;
    let found = stored.into_iter().find(
        |stored| matches!(&stored.document, Document::Aggregate(AggregateState::Treasury(state)) if is_it(state)),
    );
    found.and_then(|stored| stored.stream.aggregate_id.parse().ok()).ok_or_else(Problem::not_found)
}

fn sweep_of(id: &TreasuryId, sweep_id: SweepId, look: Look<'_>) -> Option<SweepView> {
    match look(&treasury::stream(id)) {
        Some(AggregateState::Treasury(state)) => {
            state.sweeps.get(&sweep_id).map(|sweep| SweepView::of(sweep_id, id.currency, sweep))
        }
        _ => None,
    }
}
