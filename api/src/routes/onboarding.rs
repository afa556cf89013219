//! A payee's way to be paid: an account at the provider, what is demanded of it, and the bank account behind it.
//!
//! # Invariants
//! - A link to the provider's pages is in one answer, and in no log, event or table.
//! - An account is linked only after the provider has told of it, and with what it has told.

use std::sync::{Mutex, PoisonError};

use adapters::postgres::document::{self, Visible};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::event::DomainEvent;
use domain::id::{OnboardingLinkId, PartyId};
use domain::intent::{Intent, PayoutIntent};
use domain::jurisdiction::Jurisdiction;
use domain::party::{self, AccountStatus, PartyEvent, PayoutAccount};
use domain::ports::provider::{AccountReport, ProviderError, ProviderObject, ProviderOrder, ProviderReport};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::contracts::Nothing;
use super::currency;
use crate::app::{App, REPLAYED, ReadAt, Seen};
use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::{OnboardingLinkView, PartyView, RequirementsView};

/// Largest answer that a link is put into; it has a few hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Where earnings are to be paid: an account that is there, or one that is to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutAccountWish {
    /// The payee's account at the payment provider, to link one that is there.
    #[serde(default)]
    #[schema(example = "acct_1PgafTB7WZ01zgkW")]
    pub psp_account: Option<String>,
    /// Where the payee lives, to have one made: ISO 3166-1, two letters.
    #[serde(default)]
    #[schema(example = "US")]
    pub country: Option<String>,
}

/// Another bank account.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayoutDestination {
    /// The provider's token of the bank account, as its own form makes it. Numbers are not taken.
    #[schema(example = "btok_1PgagAB7WZ01zgkW")]
    pub bank_account_token: String,
}

/// Links an account at the payment provider, or has one made.
///
/// With `psp_account` that one is linked, with all that the provider says of it; `payout_account_unknown` where it is none
/// of this platform's, or somebody else's. With `country` one is made; its owner is led to the provider by an onboarding
/// link, and is not paid before everything demanded is given.
#[utoipa::path(post, path = "/v1/parties/{id}/payout-account", tag = "parties", request_body = PayoutAccountWish,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PartyView)))]
pub async fn payout_account(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<PayoutAccountWish>,
) -> Result<Response, Problem> {
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    let psp = domain::reaction::PSP.to_owned();
    let intent = match (value.psp_account, value.country) {
        (Some(psp_account), None) => {
            let status = told_of(&app, &caller, party_id, &psp_account).await?.map(Box::new);
            Intent::LinkPayoutAccount { party_id, account: PayoutAccount { psp, psp_account }, status }
        }
        (None, Some(country)) => {
            let country =
                Jurisdiction::new(&country).ok().filter(|country| country.code().len() == 2).ok_or_else(|| {
                    Problem::field(ErrorCode::ValidationFailed, "/country", "must be two capital letters")
                })?;
            Intent::Payouts(PayoutIntent::RequestPspAccount { party_id, psp, country })
        }
        _ => {
            let detail = "say psp_account to link an account, or country to have one made";
            return Err(Problem::field(ErrorCode::ValidationFailed, "/psp_account", detail));
        }
    };
    let view = |seen: Seen<'_>| match (seen.look)(&party::stream(party_id)) {
        Some(AggregateState::Party(state)) => PartyView::of(state),
        _ => None,
    };
    asked.act(&app, caller, intent, &view).await
}

/// What the provider says of an account that is to be linked; `None` where the engine refuses without asking.
///
/// # Errors
/// `payout_account_unknown`: there is none, it is not connected to this platform, or it is the platform's own or another
/// party's;
/// `psp_unavailable`.
async fn told_of(
    app: &App,
    caller: &Caller,
    party_id: PartyId,
    psp_account: &str,
) -> Result<Option<AccountStatus>, Problem> {
    if caller.party_id != party_id || caller.role != Role::Payee || !party::is_account_id(psp_account) {
        return Ok(None);
    }
    let unknown = || {
        let detail = "no account at the payment provider that this platform may pay to and that is yours";
        Problem::field(ErrorCode::PayoutAccountUnknown, "/psp_account", detail)
    };
    app.catch_up().await?;
    let place = ["payout_account", "psp_account"];
    let linked = document::holding(app.pool(), party::TYPE, &place, psp_account, Visible::ToStaff).await?;
    let others = linked.is_some_and(|stream| stream != party::stream(party_id));
    if others || app.outbox.is_known_as_platform(psp_account).await? {
        return Err(unknown());
    }
    let account = ProviderObject::Account { account: psp_account.to_owned(), deauthorized: false };
    match app.provider.look_up(&account).await {
        Ok(ProviderReport::Account(report)) => {
            let AccountReport { party_id: named, status, .. } = report;
            let theirs = named.is_none_or(|named| named == party_id);
            if theirs && status.end.is_none() { Ok(Some(status)) } else { Err(unknown()) }
        }
        Err(ProviderError::Refused { .. }) => Err(unknown()),
        Ok(_) | Err(_) => {
            Err(Problem::new(ErrorCode::PspUnavailable, "the payment provider does not tell of the account"))
        }
    }
}

/// Makes a link to the provider's own pages, where a payee gives what is demanded.
///
/// The link is a key to the payee's account: it is shown in this answer and never again, is used once and within minutes.
/// It is stored nowhere: whichever server is asked has it made while the caller waits.
#[utoipa::path(post, path = "/v1/parties/{id}/onboarding-links", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 201, body = OnboardingLinkView)))]
pub async fn onboarding_link(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    let link_id = OnboardingLinkId::from_uuid(Uuid::now_v7());
    let view = |url, expires_at| OnboardingLinkView {
        id: link_id.to_string(),
        object: "onboarding_link".to_owned(),
        party_id: party_id.to_string(),
        url,
        expires_at,
    };
    let intent = Intent::Payouts(PayoutIntent::RequestOnboardingLink { party_id, link_id });
    let location = format!("/v1/parties/{party_id}/requirements");
    let psp_account = Mutex::new(None);
    // What is stored for a repeat has no address in it.
    let recorded = |seen: Seen<'_>| {
        let account = seen.events.iter().find_map(|(_, event)| match event {
            DomainEvent::Party(PartyEvent::OnboardingLinkRequested { psp_account, .. }) => Some(psp_account.clone()),
            _ => None,
        });
        *psp_account.lock().unwrap_or_else(PoisonError::into_inner) = account;
        Some(view(None, None))
    };
    let answer = asked.make(&app, caller, intent, location, &recorded).await?;
    let account = psp_account.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Some(account) = account.filter(|_| !answer.headers().contains_key(&REPLAYED)) else { return Ok(answer) };
    let order = ProviderOrder::CreateOnboardingLink { link_id, party_id, account };
    let key = format!("{}:{}:{}:1", app.tenant.name, order.aggregate_id(), order.action());
    let link = match app.provider.carry_out(&order, &key).await {
        Ok(ProviderReport::OnboardingLink(link)) => link,
        Ok(_) => return Ok(answer),
        Err(error) => {
            tracing::warn!(%error, %link_id, "the provider did not make a link");
            return Ok(answer);
        }
    };
    let (mut parts, body) = answer.into_parts();
    let stored = to_bytes(body, MAX_ANSWER).await.unwrap_or_default();
    let shown = serde_json::to_vec(&view(Some(link.url), Some(link.expires_at)));
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(shown.unwrap_or_else(|_| stored.to_vec()))))
}

/// Shows what is demanded of a party before it is paid, and where it is paid to.
///
/// Parties see their own; staff sees anybody's.
#[utoipa::path(get, path = "/v1/parties/{id}/requirements", tag = "parties",
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn requirements(
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
            let view = RequirementsView::of(state, caller.is_staff()).ok_or_else(Problem::not_found)?;
            Ok(at.respond(&view, Some(stored.version)))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Has earnings in a currency paid to another bank account.
///
/// It is used once the provider has told of it: the first one at once, a changed one after 72 hours. Until then, from this
/// request on, nothing is paid out in that currency; unless the provider does not take it: then the one before is used.
#[utoipa::path(put, path = "/v1/parties/{id}/payout-destinations/{currency}", tag = "parties",
    request_body = PayoutDestination,
    params(("id" = String, Path, description = "the party"), ("currency" = String, Path, description = "ISO 4217")),
    responses((status = 200, body = RequirementsView)))]
pub async fn payout_destination(
    State(app): State<App>,
    caller: Caller,
    Path((id, code)): Path<(String, String)>,
    Command { value, asked }: Command<PayoutDestination>,
) -> Result<Response, Problem> {
    let party_id: PartyId = id.parse().map_err(|_| Problem::not_found())?;
    let currency = currency(&code, "currency")?;
    let token = value.bank_account_token;
    let intent = Intent::Payouts(PayoutIntent::RequestDestination { party_id, currency, token });
    asked.change(&app, caller, intent, &|seen: Seen<'_>| standing_of(party_id, caller, seen)).await
}

/// The standing of a party as a decision has left it.
pub(super) fn standing_of(party_id: PartyId, caller: Caller, seen: Seen<'_>) -> Option<RequirementsView> {
    match (seen.look)(&party::stream(party_id)) {
        Some(AggregateState::Party(state)) => RequirementsView::of(state, caller.is_staff()),
        _ => None,
    }
}
