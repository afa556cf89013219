//! Contracts: draft, cancel, pause, resume, read. How one comes about is in `offers`, how it is changed in `amendments`,
//! how it ends in `endings`.

use chrono::{DateTime, Utc};
use std::collections::HashMap;

use adapters::postgres::document::{self, StoredDocument};
use adapters::postgres::log_reader::{self, EventFilter};
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::contract::{self, ContractCommand, MilestonePlan, Parts};
use domain::id::{ContractId, MilestoneId};
use domain::intent::Intent;
use domain::log::StreamId;
use domain::view::Document;
use domain::{escrow, milestone};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::command::{Asked, Command};
use super::reading::{self, AsOf};
use super::{Page, Paging, amount, currency, id, limit, visible};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::problem::Problem;
use crate::view::{ContractView, EventView};

/// A contract to be drafted.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftContract {
    /// The party that is to deliver.
    #[schema(example = "pty_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub payee_id: String,
    /// Currency of everything in it, ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What is to be done, in order; 1 to 100.
    pub milestones: Vec<DraftMilestone>,
    /// Your own reference: 1 to 64 characters out of A-Z a-z 0-9 . _ : / -
    #[serde(default)]
    #[schema(example = "order-4711")]
    pub reference: Option<String>,
}

/// A milestone to be drafted.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftMilestone {
    /// What it is worth, in minor units, fees not included.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// When it is to be delivered.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// Days that you have to review a submission, 1 to 365; 14 when absent.
    #[serde(default)]
    pub review_days: Option<u16>,
    /// Your own reference.
    #[serde(default)]
    pub reference: Option<String>,
}

/// Nothing to say beyond the path.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Why, if you want to say.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Your own code of the reason, for the other side to see: 1 to 64 characters out of A-Z a-z 0-9 . _ : / -
    #[serde(default)]
    #[schema(example = "scope.changed")]
    pub reason: Option<String>,
}

/// Drafts a contract.
///
/// The caller is its client; the payee sees it once it is offered.
#[utoipa::path(post, path = "/v1/contracts", tag = "contracts", request_body = DraftContract,
    responses((status = 201, body = ContractView)))]
pub async fn draft(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<DraftContract>,
) -> Result<Response, Problem> {
    if caller.role != Role::Client {
        return Err(Problem::new(ErrorCode::Forbidden, "only a client may draft a contract"));
    }
    let contract_id = ContractId::from_uuid(Uuid::now_v7());
    let milestones = value.milestones.iter().enumerate().map(|(index, draft)| {
        Ok(MilestonePlan {
            milestone_id: MilestoneId::from_uuid(Uuid::now_v7()),
            amount: amount(draft.amount, format!("/milestones/{index}/amount"))?,
            due_at: draft.due_at,
            review_days: draft.review_days,
            reference: draft.reference.clone(),
        })
    });
    let intent = Intent::DraftContract {
        contract_id,
        client_id: caller.party_id,
        payee_id: id(&value.payee_id, "/payee_id")?,
        currency: currency(&value.currency, "/currency")?,
        milestones: milestones.collect::<Result<Vec<_>, Problem>>()?,
        reference: value.reference,
    };
    let location = format!("/v1/contracts/{contract_id}");
    asked.make(&app, caller, intent, location, &|seen: Seen<'_>| view_of(contract_id, seen.look)).await
}

/// Gives a contract up.
///
/// A draft by its client; an accepted contract by either side before anything is paid in, while no payment is under way.
/// After that by the payee, as long as nothing was released: all that is held goes back to the client at once, by the way
/// it came. The client asks with `end` instead. It cannot be undone.
#[utoipa::path(post, path = "/v1/contracts/{id}/cancel", tag = "contracts", request_body = Reason,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<Reason>,
) -> Result<Response, Problem> {
    let cancel = ContractCommand::Cancel { reason: value.reason, parts: Parts::default() };
    on_contract(&app, caller, asked, contract_id, cancel).await
}

/// Pauses a contract: nothing new is paid in or submitted.
///
/// What has begun goes on: a review window that is running closes at its instant, and the client can approve.
#[utoipa::path(post, path = "/v1/contracts/{id}/pause", tag = "contracts", request_body = Reason,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn pause(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { value, asked }: Command<Reason>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::Pause { reason: value.reason }).await
}

/// Goes on with a contract that was paused, by the side that paused it.
///
/// Or with one that is dormant, by either side.
#[utoipa::path(post, path = "/v1/contracts/{id}/resume", tag = "contracts", request_body = Nothing,
    params(("id" = String, Path, description = "the contract")), responses((status = 200, body = ContractView)))]
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    on_contract(&app, caller, asked, contract_id, ContractCommand::Resume).await
}

/// A command that one of the parties gives about a contract, answered with the contract.
pub(super) async fn on_contract(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    command: ContractCommand,
) -> Result<Response, Problem> {
    change(app, caller, asked, contract_id, Intent::OnContract { contract_id, command }).await
}

/// A change of a contract, answered with the contract.
pub(super) async fn change(
    app: &App,
    caller: Caller,
    asked: Asked,
    contract_id: ContractId,
    intent: Intent,
) -> Result<Response, Problem> {
    asked.change(app, caller, intent, &|seen: Seen<'_>| view_of(contract_id, seen.look)).await
}

/// Lists contracts, newest first.
///
/// Those that the caller takes part in; all of them for staff.
#[utoipa::path(get, path = "/v1/contracts", tag = "contracts", params(Paging),
    responses((status = 200, body = Page<ContractView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, before) = paging.read()?;
    let status = paging.status.as_deref();
    let contracts =
        document::list(app.pool(), contract::TYPE, visible(&caller), status, before, limit.saturating_add(1)).await?;
    let ids: Vec<ContractId> = contracts.iter().filter_map(|stored| stored.stream.aggregate_id.parse().ok()).collect();
    let parts = parts(&app, &ids).await?;
    let page = Page::of(
        contracts,
        limit,
        |stored| stored.created_position,
        |stored| {
            let contract_id = stored.stream.aggregate_id.parse().ok()?;
            view_of(contract_id, &|stream| parts.get(stream))
        },
    );
    Ok(at.respond(&page, None))
}

/// Shows a contract with its milestones and its money.
#[utoipa::path(get, path = "/v1/contracts/{id}", tag = "contracts",
    params(("id" = String, Path, description = "the contract"), AsOf),
    responses((status = 200, body = ContractView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    at: ReadAt,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Problem> {
    let stored = find(&app, &caller, contract_id).await?;
    if let Some(until) = as_of.until(&app, stored.version).await? {
        // By what the caller is in this contract, not by what the token says.
        let drafts = caller.is_staff() || stored.client_id == Some(caller.party_id.to_string());
        return reading::contract(&app, contract_id, until, drafts, at).await;
    }
    let parts = parts(&app, &[contract_id]).await?;
    let view = view_of(contract_id, &|stream| parts.get(stream)).ok_or_else(Problem::not_found)?;
    Ok(at.respond(&view, Some(stored.version)))
}

/// Where to go on in the history of a contract.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HistoryPaging {
    /// Events after this position.
    pub after: Option<u64>,
    /// Events at most, 1 to 500; 100 when absent.
    pub limit: Option<usize>,
}

/// Lists every event about a contract, oldest first.
///
/// A payee does not see how the client pays, nor what the provider takes for it.
#[utoipa::path(get, path = "/v1/contracts/{id}/timeline", tag = "contracts",
    params(("id" = String, Path, description = "the contract"), HistoryPaging),
    responses((status = 200, body = Page<EventView>)))]
pub async fn timeline(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    at: ReadAt,
    Query(paging): Query<HistoryPaging>,
) -> Result<Response, Problem> {
    history(&app, &caller, contract_id, at, &paging, false).await
}

/// Lists the journal entries of a contract, oldest first.
///
/// They are the events that carry one.
#[utoipa::path(get, path = "/v1/contracts/{id}/journal", tag = "contracts",
    params(("id" = String, Path, description = "the contract"), HistoryPaging),
    responses((status = 200, body = Page<EventView>)))]
pub async fn journal(
    State(app): State<App>,
    caller: Caller,
    IdPath(contract_id): IdPath<ContractId>,
    at: ReadAt,
    Query(paging): Query<HistoryPaging>,
) -> Result<Response, Problem> {
    history(&app, &caller, contract_id, at, &paging, true).await
}

/// Members of events that tell how the client pays, or by which way money goes back.
const CLIENTS_OWN: &[&str] = &["payment_method", "paid_from", "charge", "parts", "place", "surplus_to_wallet"];

/// Members of events that tell what else a payee has earned, or owes.
const PAYEES_OWN: &[&str] = &["from_pending", "from_available", "as_debt"];

/// How the client pays is none of the payee's business, nor what the provider takes for it, nor by which way money goes
/// back.
fn is_clients_own(aggregate_type: &str) -> bool {
    [domain::funding::TYPE, domain::refund::TYPE, domain::wallet::TYPE].contains(&aggregate_type)
}

async fn history(
    app: &App,
    caller: &Caller,
    contract_id: ContractId,
    at: ReadAt,
    paging: &HistoryPaging,
    financial: bool,
) -> Result<Response, Problem> {
    find(app, caller, contract_id).await?;
    let limit = limit(paging.limit, 100, 500)?;
    let filter = EventFilter { types: Vec::new(), contract_id: Some(contract_id), financial };
    let events = log_reader::page(app.pool(), paging.after.unwrap_or(0), limit.saturating_add(1), &filter).await?;
    let more = events.len() > limit;
    let hidden = match caller.role {
        Role::Payee => CLIENTS_OWN,
        Role::Client => PAYEES_OWN,
        Role::Staff(_) => &[],
    };
    let on_page = || events.iter().take(limit);
    // Where to go on is told by what was read, also when the caller may not see it.
    let next_cursor = if more { on_page().next_back().map(|event| event.position.to_string()) } else { None };
    let shown: Vec<EventView> = on_page()
        .filter(|event| caller.role != Role::Payee || !is_clients_own(&event.stream.aggregate_type))
        .map(|event| {
            let mut shown = EventView::of(event.clone(), &app.tenant);
            if let serde_json::Value::Object(members) = &mut shown.data {
                members.retain(|member, _| !hidden.contains(&member.as_str()));
            }
            shown
        })
        .collect();
    Ok(at.respond(&Page { object: "list".to_owned(), data: shown, next_cursor }, None))
}

/// The view of a contract, if the caller may see it.
pub(super) async fn visible_view(app: &App, caller: &Caller, contract_id: ContractId) -> Result<ContractView, Problem> {
    find(app, caller, contract_id).await?;
    let parts = parts(app, &[contract_id]).await?;
    view_of(contract_id, &|stream| parts.get(stream)).ok_or_else(Problem::not_found)
}

/// The contract's document, if the caller may see it.
async fn find(app: &App, caller: &Caller, contract_id: ContractId) -> Result<StoredDocument, Problem> {
    document::one(app.pool(), &contract::stream(contract_id), visible(caller)).await?.ok_or_else(Problem::not_found)
}

/// The states of all parts of some contracts.
async fn parts(app: &App, ids: &[ContractId]) -> Result<HashMap<StreamId, AggregateState>, Problem> {
    let stored = document::of_contracts(app.pool(), ids).await?;
    let states = stored.into_iter().filter_map(|stored| match stored.document {
        Document::Aggregate(state) => Some((stored.stream, state)),
        Document::Payee(_) => None,
    });
    Ok(states.collect())
}

/// The view of a contract from the states of its parts.
pub(super) fn view_of(contract_id: ContractId, look: Look<'_>) -> Option<ContractView> {
    let AggregateState::Contract(state) = look(&contract::stream(contract_id))? else { return None };
    let escrow = match look(&escrow::stream(contract_id)) {
        Some(AggregateState::Escrow(state)) => Some(state.as_ref()),
        _ => None,
    };
    ContractView::of(state, escrow, |milestone_id| match look(&milestone::stream(milestone_id)) {
        Some(AggregateState::Milestone(state)) => Some(state.as_ref()),
        _ => None,
    })
}
