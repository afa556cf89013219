//! Payouts: withdraw earnings, see how it is getting on, and what is to be heeded.

use adapters::postgres::document;
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::{PartyId, PayoutId};
use domain::intent::{Intent, PayoutIntent};
use domain::payee::{self, PayeeAccountId};
use domain::payout::{self, PayoutPolicy, PayoutSchedule};
use domain::view::Document;
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::contracts::Nothing;
use super::{Page, Paging, amount, currency, page_of, visible};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::identity::step_up;
use crate::problem::Problem;
use crate::view::{PayoutTermsView, PayoutView};

/// A withdrawal.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePayout {
    /// How much, in minor units; at most what is available.
    #[schema(example = 90_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// Withdraws earnings of the caller to the bank.
///
/// They go through the account at the payment provider that the caller has linked.
#[utoipa::path(post, path = "/v1/payouts", tag = "payouts", request_body = CreatePayout,
    responses((status = 201, body = PayoutView)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<CreatePayout>,
) -> Result<Response, Problem> {
    only_payees(&caller)?;
    let payout_id = PayoutId::from_uuid(Uuid::now_v7());
    let (amount, currency) = (amount(value.amount, "/amount")?, currency(&value.currency, "/currency")?);
    app.identity.require_recent(&caller, amount, currency).await?;
    let intent = Intent::RequestPayout { payout_id, payee_id: caller.party_id, currency, amount };
    let location = format!("/v1/payouts/{payout_id}");
    asked.make(&app, caller, intent, location, &|seen: Seen<'_>| view_of(payout_id, seen.look)).await
}

/// Lists payouts, newest first.
///
/// The caller's own; all of them for staff.
#[utoipa::path(get, path = "/v1/payouts", tag = "payouts", params(Paging),
    responses((status = 200, body = Page<PayoutView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    page_of(&app, &caller, at, &paging, payout::TYPE, |state| match state {
        AggregateState::Payout(state) => PayoutView::of(state),
        _ => None,
    })
    .await
}

/// Shows a payout.
///
/// `paid` is what the provider says; a bank can still return it.
#[utoipa::path(get, path = "/v1/payouts/{id}", tag = "payouts",
    params(("id" = String, Path, description = "the payout")), responses((status = 200, body = PayoutView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(payout_id): IdPath<PayoutId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stored = document::one(app.pool(), &payout::stream(payout_id), visible(&caller)).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Payout(state)) => {
            let view = PayoutView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Lets a payout go that waits for staff.
///
/// By staff that decides about money. What holds against the payee by now holds against the payout: it waits on.
#[utoipa::path(post, path = "/v1/payouts/{id}/approve", tag = "payouts", request_body = Nothing,
    params(("id" = String, Path, description = "the payout")), responses((status = 200, body = PayoutView)))]
pub async fn approve(
    State(app): State<App>,
    caller: Caller,
    IdPath(payout_id): IdPath<PayoutId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    step_up::for_payout(&app, &caller, payout_id).await?;
    let intent = Intent::Payouts(PayoutIntent::Approve { payout_id });
    asked.act(&app, caller, intent, &|seen: Seen<'_>| view_of(payout_id, seen.look)).await
}

/// Calls a payout off that waits for staff: the payee can withdraw the money again.
///
/// By its payee, or by staff that decides about money. What was ordered from the provider is not called off.
#[utoipa::path(post, path = "/v1/payouts/{id}/cancel", tag = "payouts", request_body = Nothing,
    params(("id" = String, Path, description = "the payout")), responses((status = 200, body = PayoutView)))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    IdPath(payout_id): IdPath<PayoutId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    let intent = Intent::Payouts(PayoutIntent::Cancel { payout_id });
    asked.act(&app, caller, intent, &|seen: Seen<'_>| view_of(payout_id, seen.look)).await
}

/// Makes a payout again that did not arrive, or came back.
///
/// It is a new payout of the same amount, by the way that is linked now; what lies at the payee's account at the provider
/// is not moved there again.
#[utoipa::path(post, path = "/v1/payouts/{id}/retry", tag = "payouts", request_body = Nothing,
    params(("id" = String, Path, description = "the payout that did not arrive")),
    responses((status = 201, body = PayoutView)))]
pub async fn retry(
    State(app): State<App>,
    caller: Caller,
    IdPath(retry_of): IdPath<PayoutId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    only_payees(&caller)?;
    app.catch_up().await?;
    let stored = document::one(app.pool(), &payout::stream(retry_of), visible(&caller)).await?;
    let (amount, currency) = match stored.ok_or_else(Problem::not_found)?.document {
        Document::Aggregate(AggregateState::Payout(state)) => {
            let of = |withdrawal: &payout::Withdrawal| (withdrawal.amount, withdrawal.currency);
            state.withdrawal().map(of).ok_or_else(Problem::not_found)?
        }
        _ => return Err(Problem::not_found()),
    };
    app.identity.require_recent(&caller, amount, currency).await?;
    let payout_id = PayoutId::from_uuid(Uuid::now_v7());
    let retry = PayoutIntent::Retry { payout_id, retry_of, payee_id: caller.party_id, currency };
    let location = format!("/v1/payouts/{payout_id}");
    asked.make(&app, caller, Intent::Payouts(retry), location, &|seen: Seen<'_>| view_of(payout_id, seen.look)).await
}

/// When earnings are to be paid out without being asked for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleWish {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// How often.
    pub every: Every,
    /// On which day of the week (1 is Monday, 7 is Sunday), or of the month (the last one where it is shorter).
    #[serde(default)]
    #[schema(example = 1)]
    pub day: Option<u8>,
    /// Not less than this, minor units.
    #[serde(default)]
    #[schema(example = 10_000)]
    pub minimum: i64,
}

/// How often earnings are paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// When the payee asks.
    Manual,
    /// Each midnight (UTC).
    Daily,
    /// Once a week, at midnight.
    Weekly,
    /// Once a month, at midnight.
    Monthly,
}

impl ScheduleWish {
    fn schedule(&self) -> Result<PayoutSchedule, Problem> {
        match (self.every, self.day) {
            (Every::Manual, None) => Ok(PayoutSchedule::Manual),
            (Every::Daily, None) => Ok(PayoutSchedule::Daily),
            (Every::Weekly, Some(day)) => Ok(PayoutSchedule::Weekly { day }),
            (Every::Monthly, Some(day)) => Ok(PayoutSchedule::Monthly { day }),
            (Every::Manual | Every::Daily, Some(_)) => {
                Err(Problem::field(ErrorCode::ValidationFailed, "/day", "is for weekly and monthly"))
            }
            (Every::Weekly | Every::Monthly, None) => {
                Err(Problem::field(ErrorCode::ValidationFailed, "/day", "say on which day"))
            }
        }
    }
}

/// Says when a payee's earnings in a currency are paid out by themselves.
#[utoipa::path(put, path = "/v1/parties/{id}/payout-schedule", tag = "payouts", request_body = ScheduleWish,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PayoutTermsView)))]
pub async fn schedule(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<ScheduleWish>,
) -> Result<Response, Problem> {
    let account = PayeeAccountId { party_id, currency: currency(&value.currency, "/currency")? };
    let set = PayoutIntent::SetSchedule {
        payee_id: party_id,
        currency: account.currency,
        schedule: value.schedule()?,
        minimum: least(value.minimum, "/minimum")?,
    };
    asked.act(&app, caller, Intent::Payouts(set), &|seen: Seen<'_>| terms_of(account, seen)).await
}

/// What the platform demands of payouts.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyWish {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Staff has to approve a payout of more than this, minor units; none when absent.
    #[serde(default)]
    #[schema(example = 500_000)]
    pub approval_above: Option<i64>,
    /// Less than this is not paid out, minor units.
    #[serde(default)]
    #[schema(example = 1_000)]
    pub minimum: i64,
    /// Whether the party is paid out although it owes the platform money.
    #[serde(default)]
    pub pays_debtors: bool,
}

/// Says what the platform demands of a party's payouts in a currency.
///
/// By staff that decides about money.
#[utoipa::path(put, path = "/v1/parties/{id}/payout-policy", tag = "payouts", request_body = PolicyWish,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PayoutTermsView)))]
pub async fn policy(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<PolicyWish>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let account = PayeeAccountId { party_id, currency: currency(&value.currency, "/currency")? };
    let policy = PayoutPolicy {
        approval_above: value.approval_above.map(|above| least(above, "/approval_above")).transpose()?,
        minimum: least(value.minimum, "/minimum")?,
        pays_debtors: value.pays_debtors,
    };
    let set = PayoutIntent::SetPolicy { payee_id: party_id, currency: account.currency, policy };
    asked.act(&app, caller, Intent::Payouts(set), &|seen: Seen<'_>| terms_of(account, seen)).await
}

/// An amount that may be zero.
fn least(value: i64, pointer: &str) -> Result<Minor, Problem> {
    if value == 0 { Ok(Minor::ZERO) } else { amount(value, pointer) }
}

fn terms_of(account: PayeeAccountId, seen: Seen<'_>) -> Option<PayoutTermsView> {
    match (seen.look)(&payee::stream(account)) {
        Some(AggregateState::Payee(state)) => Some(PayoutTermsView::of(account, state)),
        _ => None,
    }
}

fn only_payees(caller: &Caller) -> Result<(), Problem> {
    if caller.role == Role::Payee {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Forbidden, "only a payee may request a payout"))
}

fn view_of(payout_id: PayoutId, look: Look<'_>) -> Option<PayoutView> {
    match look(&payout::stream(payout_id)) {
        Some(AggregateState::Payout(state)) => PayoutView::of(state),
        _ => None,
    }
}
