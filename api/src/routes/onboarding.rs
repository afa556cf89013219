//! A payee's way to be paid: an account at the provider, what is demanded of it, and the bank account behind it.

use adapters::postgres::document::{self, Visible};
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::{OnboardingLinkId, PartyId};
use domain::intent::{Intent, PayoutIntent};
use domain::jurisdiction::Jurisdiction;
use domain::party::{self, PayoutAccount};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::contracts::Nothing;
use super::currency;
use crate::app::{App, REPLAYED, ReadAt, Seen};
use crate::caller::Caller;
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
/// With `psp_account` that one is linked. With `country` one is made; its owner is led to the provider by an onboarding
/// link, and is not paid before everything demanded is given.
#[utoipa::path(post, path = "/v1/parties/{id}/payout-account", tag = "parties", request_body = PayoutAccountWish,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PartyView)))]
pub async fn payout_account(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<PayoutAccountWish>,
) -> Result<Response, Problem> {
    let psp = domain::reaction::PSP.to_owned();
    let intent = match (value.psp_account, value.country) {
        (Some(psp_account), None) => {
            Intent::LinkPayoutAccount { party_id, account: PayoutAccount { psp, psp_account } }
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

/// Makes a link to the provider's own pages, where a payee gives what is demanded.
///
/// The link is a key to the payee's account: it is shown in this answer and never again, is used once and within minutes.
#[utoipa::path(post, path = "/v1/parties/{id}/onboarding-links", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 201, body = OnboardingLinkView)))]
pub async fn onboarding_link(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    let link_id = OnboardingLinkId::from_uuid(Uuid::now_v7());
    let waiting = app.onboarding_links.expect(link_id);
    let view = |url, expires_at| OnboardingLinkView {
        id: link_id.to_string(),
        object: "onboarding_link".to_owned(),
        party_id: party_id.to_string(),
        url,
        expires_at,
    };
    let intent = Intent::Payouts(PayoutIntent::RequestOnboardingLink { party_id, link_id });
    let location = format!("/v1/parties/{party_id}/requirements");
    // What is stored for a repeat has no address in it.
    let answer = asked.make(&app, caller, intent, location, &|_: Seen<'_>| Some(view(None, None))).await?;
    if answer.headers().contains_key(&REPLAYED) {
        return Ok(answer);
    }
    let Some(link) = waiting.link().await else { return Ok(answer) };
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
/// It is used once the provider has told of it: the first one at once, a changed one after 72 hours.
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
