//! Fundings: pay into escrow by card, account or wallet, see how it is getting on, give the attempt up.

use adapters::postgres::document;
use adapters::postgres::log_reader::{self, EventFilter};
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::escrow::{self, EscrowEvent, PaidFrom};
use domain::event::DomainEvent;
use domain::funding::{self, Funding};
use domain::id::{ContractId, FundingId, MilestoneId};
use domain::intent::{Intent, MoneyIntent};
use domain::view::Document;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::{amount, currency, id, visible};
use crate::app::{App, ReadAt, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::FundingView;

/// Requests to pay that are read at once; few contracts have more.
const REQUESTS: usize = 200;

/// A payment into escrow.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFunding {
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
    /// Where the money comes from.
    #[serde(default)]
    pub paid_from: Source,
    /// Token of the client's card or account at the payment provider, unless the wallet pays. Never a card number.
    #[serde(default)]
    #[schema(example = "pm_card_visa")]
    pub payment_method: Option<String>,
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

/// Where the money of a payment comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The client's card or account, through the payment provider.
    #[default]
    Provider,
    /// The client's wallet: at once, or not at all.
    Wallet,
}

/// A payment that was read out of a request.
pub(super) struct PayIn {
    /// For which milestones, and how much for each.
    pub allocations: Vec<(MilestoneId, Minor)>,
    /// How much for no milestone yet.
    pub deposit: Minor,
    /// Currency of the amounts.
    pub currency: Currency,
    /// Where the money comes from.
    pub source: Source,
    /// The provider's token; absent when the wallet pays.
    pub payment_method: Option<String>,
}

/// Pays into escrow for milestones, or as a deposit.
///
/// By card or account the answer is `created`, before the client's bank was asked; how it goes on is told by
/// `GET /v1/fundings/{id}`. From the wallet it is `succeeded`, and the milestones are funded.
#[utoipa::path(post, path = "/v1/contracts/{id}/fundings", tag = "fundings", request_body = CreateFunding,
    params(("id" = String, Path, description = "the contract")), responses((status = 201, body = FundingView)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<CreateFunding>,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    let pay_in = PayIn {
        allocations: allocations(&value.allocations)?,
        deposit: deposit(value.deposit)?,
        currency: currency(&value.currency, "/currency")?,
        source: value.paid_from,
        payment_method: value.payment_method,
    };
    pay(&app, caller, asked, contract_id, pay_in).await
}

/// The allocations of a request.
pub(super) fn allocations(asked: &[CreateAllocation]) -> Result<Vec<(MilestoneId, Minor)>, Problem> {
    let read = |(index, part): (usize, &CreateAllocation)| {
        let milestone_id = id(&part.milestone_id, format!("/allocations/{index}/milestone_id"))?;
        Ok((milestone_id, amount(part.amount, format!("/allocations/{index}/amount"))?))
    };
    asked.iter().enumerate().map(read).collect()
}

/// The deposit of a request.
pub(super) fn deposit(asked: Option<i64>) -> Result<Minor, Problem> {
    asked.map_or(Ok(Minor::ZERO), |value| amount(value, "/deposit"))
}

impl PayIn {
    /// What is asked for.
    ///
    /// # Errors
    /// `validation_failed` when source and token do not go together.
    pub(super) fn intent(self, contract_id: ContractId, funding_id: FundingId) -> Result<MoneyIntent, Problem> {
        let Self { allocations, deposit, currency, source, payment_method } = self;
        let wrong = |detail: &str| Problem::field(ErrorCode::ValidationFailed, "/payment_method", detail);
        let (paid_from, payment_method) = match (source, payment_method) {
            (Source::Provider, Some(token)) => (PaidFrom::Provider, token),
            (Source::Provider, None) => return Err(wrong("is needed unless the wallet pays")),
            (Source::Wallet, Some(_)) => return Err(wrong("does not belong to a payment from the wallet")),
            (Source::Wallet, None) => (PaidFrom::Wallet, String::new()),
        };
        Ok(MoneyIntent::PayIn { contract_id, funding_id, allocations, deposit, currency, paid_from, payment_method })
    }
}

/// Pays in, answered with the funding. The path names the contract, and paying does not race with anything that the payee
/// may do: no version is asked for.
pub(super) async fn pay(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    pay_in: PayIn,
) -> Result<Response, Problem> {
    let funding_id = FundingId::from_uuid(Uuid::now_v7());
    let intent = pay_in.intent(contract_id, funding_id)?;
    make(app, caller, asked, funding_id, intent).await
}

/// Makes a funding, answered with it.
pub(super) async fn make(
    app: &App,
    caller: Caller,
    asked: Asked,
    funding_id: FundingId,
    intent: MoneyIntent,
) -> Result<Response, Problem> {
    let location = format!("/v1/fundings/{funding_id}");
    let view = |seen: Seen<'_>| {
        let request = seen.events.iter().find_map(|(_, event)| request_for(event, funding_id))?;
        FundingView::of(request, state_of(seen, funding_id))
    };
    asked.make(app, caller, Intent::Money(intent), location, &view).await
}

/// Shows a payment: its status, and what the client has to do next.
#[utoipa::path(get, path = "/v1/fundings/{id}", tag = "fundings",
    params(("id" = String, Path, description = "the funding")), responses((status = 200, body = FundingView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(funding_id): IdPath<FundingId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    let found = find(&app, &caller, funding_id).await?;
    let (state, version) = found.state.map_or((None, None), |(state, version)| (Some(state), Some(version)));
    let view = FundingView::of(&found.request, state.as_ref()).ok_or_else(Problem::not_found)?;
    Ok(at.respond(&view, version))
}

/// Gives a payment up that the client has not completed.
///
/// By the client. Money that arrives all the same goes back.
#[utoipa::path(post, path = "/v1/fundings/{id}/cancel", tag = "fundings", request_body = Nothing,
    params(("id" = String, Path, description = "the funding")), responses((status = 200, body = FundingView)))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    IdPath(funding_id): IdPath<FundingId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    app.catch_up().await?;
    let found = find(&app, &caller, funding_id).await?;
    if found.state.is_none() {
        let problem = Problem::new(ErrorCode::FundingWrongState, "a funding that is succeeded cannot be cancelled");
        return Err(problem.with("state", "succeeded"));
    }
    let view = |seen: Seen<'_>| FundingView::of(&found.request, state_of(seen, funding_id));
    asked.act(&app, caller, Intent::Money(MoneyIntent::CancelFunding { funding_id }), &view).await
}

/// A payment that was found.
struct Found {
    /// The event that asked for it.
    request: EscrowEvent,
    /// How far it is, and its version; absent for one from the wallet, which has no state of its own.
    state: Option<(Funding, u64)>,
}

/// A payment that the caller may know of: the client's own, any for staff.
async fn find(app: &App, caller: &Caller, funding_id: FundingId) -> Result<Found, Problem> {
    let stored = document::one(app.pool(), &funding::stream(funding_id), visible(caller)).await?;
    let state = stored.and_then(|stored| match stored.document {
        Document::Aggregate(AggregateState::Funding(state)) => Some((*state, stored.version)),
        _ => None,
    });
    let contract_id = match state.as_ref().and_then(|(state, _)| state.order()) {
        Some(order) => order.contract_id,
        None => contract_paid_from_wallet(app, caller, funding_id).await?,
    };
    let request = request_in(app, contract_id, funding_id).await?;
    Ok(Found { request, state })
}

/// The contract that a payment from the wallet went to. The payee of it sees the escrow, but not how it is paid.
async fn contract_paid_from_wallet(app: &App, caller: &Caller, funding_id: FundingId) -> Result<ContractId, Problem> {
    let place = ["fundings", &funding_id.to_string(), "paid_from"];
    let found = document::holding(app.pool(), escrow::TYPE, &place, "wallet", visible(caller)).await?;
    let stream = found.ok_or_else(Problem::not_found)?;
    let stored = document::one(app.pool(), &stream, visible(caller)).await?.ok_or_else(Problem::not_found)?;
    if !caller.is_staff() && stored.client_id != Some(caller.party_id.to_string()) {
        return Err(Problem::not_found());
    }
    id(&stream.aggregate_id, "id")
}

/// The event by which a contract's client was asked for a payment.
async fn request_in(app: &App, contract_id: ContractId, funding_id: FundingId) -> Result<EscrowEvent, Problem> {
    let types = ["escrow.funding_requested", "escrow.gratuity_requested"].map(str::to_owned);
    let filter = EventFilter { types: types.into(), contract_id: Some(contract_id), financial: false };
    let mut after = 0;
    loop {
        let page = log_reader::page(app.pool(), after, REQUESTS, &filter).await?;
        let Some(last) = page.last() else { return Err(Problem::not_found()) };
        after = last.position;
        for event in &page {
            let kind = &event.stream.aggregate_type;
            let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload)
                .map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))?;
            if let Some(request) = request_for(&read, funding_id) {
                return Ok(request.clone());
            }
        }
    }
}

/// The event, if it asks for this payment.
fn request_for(event: &DomainEvent, funding_id: FundingId) -> Option<&EscrowEvent> {
    match event {
        DomainEvent::Escrow(
            request @ (EscrowEvent::FundingRequested { funding_id: of, .. }
            | EscrowEvent::GratuityRequested { funding_id: of, .. }),
        ) if *of == funding_id => Some(request),
        _ => None,
    }
}

fn state_of(seen: Seen<'_>, funding_id: FundingId) -> Option<&Funding> {
    match (seen.look)(&funding::stream(funding_id)) {
        Some(AggregateState::Funding(state)) if state.order().is_some() => Some(state),
        _ => None,
    }
}
