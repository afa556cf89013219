//! Parties: their balances, and what staff holds back of these. How they come to be paid is in `onboarding`.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::approval::Proposed;
use domain::id::PartyId;
use domain::intent::{Intent, MoneyIntent};
use domain::party;
use domain::payee::{self, HoldReason, PayeeAccountId};
use domain::view::Document;
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::approvals::or_propose;
use super::command::Command;
use super::{CURRENCIES, Page, amount, currency};
use crate::app::{App, ReadAt, Seen};
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::{ApprovalView, BalanceView, DebtView, EarningsHoldView, PartyView};

/// What is to be held back, or let go.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EarningsHold {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// How much, minor units; all of it when absent.
    #[serde(default)]
    #[schema(example = 90_000)]
    pub amount: Option<i64>,
    /// Why it is, or was, held back.
    pub reason: HoldCause,
}

/// What is to be given up.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOff {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What the debt arose from: the id of a chargeback or a refund.
    #[schema(example = "cbk_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub cause: String,
    /// How much, minor units; at most what is owed for it.
    #[schema(example = 90_000)]
    pub amount: i64,
}

/// Why earnings are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// The payee's identity is not proved, or the provider has restricted the account.
    Kyc,
    /// Fraud is suspected.
    Fraud,
    /// The payee may be on a list of sanctions.
    Sanctions,
    /// A chargeback may come.
    ChargebackReserve,
}

impl From<HoldCause> for HoldReason {
    fn from(cause: HoldCause) -> Self {
        match cause {
            HoldCause::Kyc => Self::Kyc,
            HoldCause::Fraud => Self::Fraud,
            HoldCause::Sanctions => Self::Sanctions,
            HoldCause::ChargebackReserve => Self::ChargebackReserve,
        }
    }
}

impl EarningsHold {
    fn read(&self, party_id: PartyId) -> Result<(PayeeAccountId, Option<Minor>), Problem> {
        let account = PayeeAccountId { party_id, currency: currency(&self.currency, "/currency")? };
        Ok((account, self.amount.map(|value| amount(value, "/amount")).transpose()?))
    }
}

/// Shows a party.
///
/// Parties see themselves; staff sees anybody.
#[utoipa::path(get, path = "/v1/parties/{id}", tag = "parties",
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PartyView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    if !caller.is_staff() && caller.party_id != party_id {
        return Err(Problem::not_found());
    }
    let stored = document::one(app.pool(), &party::stream(party_id), Visible::ToStaff).await?;
    let stored = stored.ok_or_else(Problem::not_found)?;
    match &stored.document {
        Document::Aggregate(AggregateState::Party(state)) => {
            let view = PartyView::of(state).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Shows the caller's earnings, one entry per currency.
#[utoipa::path(get, path = "/v1/balances/me", tag = "parties", responses((status = 200, body = Page<BalanceView>)))]
pub async fn my_balances(State(app): State<App>, caller: Caller, at: ReadAt) -> Result<Response, Problem> {
    balances_of(&app, caller.party_id, at).await
}

/// Shows the earnings of a party, one entry per currency.
///
/// Parties see their own; staff sees anybody's.
#[utoipa::path(get, path = "/v1/parties/{id}/balance", tag = "parties",
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = Page<BalanceView>)))]
pub async fn balances(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    if !caller.is_staff() && caller.party_id != party_id {
        return Err(Problem::not_found());
    }
    balances_of(&app, party_id, at).await
}

async fn balances_of(app: &App, party_id: PartyId, at: ReadAt) -> Result<Response, Problem> {
    let stored = document::list(app.pool(), payee::TYPE, Visible::To(party_id), None, None, CURRENCIES).await?;
    let page = Page::of(
        stored,
        CURRENCIES,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Payee(balance) => balance.currency.map(|currency| BalanceView::of(party_id, currency, &balance)),
            Document::Aggregate(_) => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Holds earnings back: they cannot be withdrawn.
///
/// By staff that decides about money. What is pending is not held; hold it when it has cleared.
#[utoipa::path(post, path = "/v1/parties/{id}/balance/hold", tag = "parties", request_body = EarningsHold,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = EarningsHoldView)))]
pub async fn hold(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<EarningsHold>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let (account, amount) = value.read(party_id)?;
    let intent = MoneyIntent::HoldEarnings {
        payee_id: account.party_id,
        currency: account.currency,
        amount,
        reason: value.reason.into(),
    };
    asked.act(&app, caller, Intent::Money(intent), &|seen: Seen<'_>| hold_of(account, seen)).await
}

/// Lets earnings go that were held back.
///
/// By staff that decides about money.
#[utoipa::path(post, path = "/v1/parties/{id}/balance/release", tag = "parties", request_body = EarningsHold,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = EarningsHoldView)))]
pub async fn release(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<EarningsHold>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let (account, amount) = value.read(party_id)?;
    let intent = MoneyIntent::LetEarningsGo {
        payee_id: account.party_id,
        currency: account.currency,
        amount,
        reason: value.reason.into(),
    };
    asked.act(&app, caller, Intent::Money(intent), &|seen: Seen<'_>| hold_of(account, seen)).await
}

/// Gives up what a payee owes.
///
/// By staff that decides about money; somebody else has to approve it, unless the tenant's rules ask nobody.
#[utoipa::path(post, path = "/v1/parties/{id}/balance/write-off", tag = "parties", request_body = WriteOff,
    params(("id" = String, Path, description = "the party")),
    responses((status = 200, body = DebtView), (status = 202, body = ApprovalView)))]
pub async fn write_off(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<WriteOff>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let currency = currency(&value.currency, "/currency")?;
    let (cause, amount) = (value.cause, amount(value.amount, "/amount")?);
    let account = PayeeAccountId { party_id, currency };
    let write_off = Proposed::WriteOffDebt { payee_id: party_id, currency, cause: cause.clone(), amount };
    let view = |seen: Seen<'_>| match (seen.look)(&payee::stream(account)) {
        Some(AggregateState::Payee(state)) => Some(DebtView::of(account, state, &cause)),
        _ => None,
    };
    or_propose(&app, caller, asked, write_off, &view).await
}

fn hold_of(account: PayeeAccountId, seen: Seen<'_>) -> Option<EarningsHoldView> {
    match (seen.look)(&payee::stream(account)) {
        Some(AggregateState::Payee(state)) => Some(EarningsHoldView::of(account, state)),
        _ => None,
    }
}
