//! Fundings: pay into escrow by card, account or wallet, see how it is getting on, give the attempt up.

use std::net::IpAddr;

use adapters::postgres::document;
use adapters::postgres::log_reader::{self, EventFilter};
use adapters::postgres::mandate as mandates;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::aggregate::AggregateState;
use domain::escrow::{self, EscrowEvent, PaidFrom};
use domain::event::DomainEvent;
use domain::funding::{self, Funding};
use domain::id::{ContractId, FundingId, MilestoneId};
use domain::intent::{Intent, MoneyIntent};
use domain::ports::mandate::Mandate;
use domain::view::Document;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::{amount, currency, id, visible};
use crate::app::{App, REPLAYED, ReadAt, Seen};
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
    /// The client's consent, which banks ask for where an account is debited. Not needed for cards.
    #[serde(default)]
    pub mandate: Option<CreateMandate>,
}

/// A client's consent to have its bank account debited. It goes to the payment provider and is not kept here.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMandate {
    /// Where the client was when it agreed: the IP address of its device.
    #[schema(example = "203.0.113.7")]
    pub ip_address: String,
    /// With which browser, as it names itself, at most 500 characters.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: String,
    /// When it agreed; now when absent.
    #[serde(default)]
    pub accepted_at: Option<DateTime<Utc>>,
}

/// Without what is personal.
impl std::fmt::Debug for CreateMandate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateMandate").field("accepted_at", &self.accepted_at).finish_non_exhaustive()
    }
}

/// Longest name of a browser that is taken; real ones have up to 300 characters.
const USER_AGENT_MAX: usize = 500;

/// The consent of a request.
///
/// # Errors
/// `validation_failed` with a pointer.
pub(super) async fn mandate(app: &App, asked: Option<CreateMandate>) -> Result<Option<Mandate>, Problem> {
    let Some(CreateMandate { ip_address, user_agent, accepted_at }) = asked else { return Ok(None) };
    let wrong = |pointer: &str, detail: &str| Problem::field(ErrorCode::ValidationFailed, pointer, detail);
    let ip_address = ip_address.parse::<IpAddr>().map_err(|_| wrong("/mandate/ip_address", "must be an IP address"))?;
    let characters = user_agent.chars().count();
    if characters == 0 || characters > USER_AGENT_MAX || user_agent.chars().any(char::is_control) {
        return Err(wrong("/mandate/user_agent", "must be the browser's name for itself, 1 to 500 characters"));
    }
    let now = app.engine.now().await?;
    let accepted_at = accepted_at.unwrap_or(now);
    if accepted_at > now {
        return Err(wrong("/mandate/accepted_at", "must not be in the future"));
    }
    Ok(Some(Mandate { accepted_at, ip_address, user_agent }))
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
    /// The client's consent to a debit of its account.
    pub mandate: Option<Mandate>,
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
        mandate: mandate(&app, value.mandate).await?,
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
        let Self { allocations, deposit, currency, source, payment_method, mandate } = self;
        if source == Source::Wallet && mandate.is_some() {
            let detail = "does not belong to a payment from the wallet";
            return Err(Problem::field(ErrorCode::ValidationFailed, "/mandate", detail));
        }
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
    let mandate = pay_in.mandate.clone();
    let intent = pay_in.intent(contract_id, funding_id)?;
    make(app, caller, asked, (funding_id, mandate), intent).await
}

/// Makes a funding, answered with it. A consent is kept until the provider has it.
pub(super) async fn make(
    app: &App,
    caller: Caller,
    asked: Asked,
    (funding_id, mandate): (FundingId, Option<Mandate>),
    intent: MoneyIntent,
) -> Result<Response, Problem> {
    let view = |seen: Seen<'_>| {
        let request = seen.events.iter().find_map(|(_, event)| request_for(event, funding_id))?;
        FundingView::of(request, state_of(seen, funding_id))
    };
    make_shown(app, caller, asked, (funding_id, mandate), intent, &view).await
}

/// As [`make`], with what is shown of it.
pub(super) async fn make_shown(
    app: &App,
    caller: Caller,
    asked: Asked,
    (funding_id, mandate): (FundingId, Option<Mandate>),
    intent: MoneyIntent,
    view: &(dyn Fn(Seen<'_>) -> Option<FundingView> + Send + Sync),
) -> Result<Response, Problem> {
    let given = mandate.is_some();
    if let Some(mandate) = mandate {
        // Before the order, which may be carried out as soon as it is there.
        mandates::keep(app.pool(), funding_id, &mandate).await?;
    }

    let location = format!("/v1/fundings/{funding_id}");
    let made = asked.make(app, caller, Intent::Money(intent), location, view).await;
    let ordered = made.as_ref().is_ok_and(|answer| !answer.headers().contains_key(&REPLAYED));
    if given && !ordered {
        mandates::forget(app.pool(), funding_id).await?;
    }
    made
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
    let view = found.request.view(state.as_ref()).ok_or_else(Problem::not_found)?;
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
    let view = |seen: Seen<'_>| found.request.view(state_of(seen, funding_id));
    asked.act(&app, caller, Intent::Money(MoneyIntent::CancelFunding { funding_id }), &view).await
}

/// A payment that was found.
struct Found {
    /// What asked for it.
    request: Requested,
    /// How far it is, and its version; absent for one from the wallet, which has no state of its own.
    state: Option<(Funding, u64)>,
}

/// What asked for a payment.
enum Requested {
    /// An event of the contract's escrow.
    By(Box<EscrowEvent>),
    /// The payment itself, of a top-up.
    Itself,
}

impl Requested {
    fn view(&self, state: Option<&Funding>) -> Option<FundingView> {
        match self {
            Self::By(event) => FundingView::of(event, state),
            Self::Itself => FundingView::of_top_up(state?),
        }
    }
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
        None => Some(contract_paid_from_wallet(app, caller, funding_id).await?),
    };
    let request = match contract_id {
        Some(contract_id) => Requested::By(Box::new(request_in(app, contract_id, funding_id).await?)),
        None => Requested::Itself,
    };
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

/// The payment as a decision has left it.
pub(super) fn state_of(seen: Seen<'_>, funding_id: FundingId) -> Option<&Funding> {
    match (seen.look)(&funding::stream(funding_id)) {
        Some(AggregateState::Funding(state)) if state.order().is_some() => Some(state),
        _ => None,
    }
}
