//! Parties: their payout account and their balances.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::PartyId;
use domain::intent::Intent;
use domain::party::{self, PayoutAccount};
use domain::payee;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Page;
use crate::app::{ApiCommand, App, Look, ReadAt};
use crate::caller::Caller;
use crate::extract::{Body, CommandHeaders, IdPath};
use crate::problem::Problem;
use crate::view::{BalanceView, PartyView};

/// Where earnings are to be paid.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkPayoutAccount {
    /// The payee's account at the payment provider.
    #[schema(example = "acct_1PgafTB7WZ01zgkW")]
    pub psp_account: String,
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

/// Links the account at the payment provider that earnings are paid to.
#[utoipa::path(post, path = "/v1/parties/{id}/payout-account", tag = "parties", request_body = LinkPayoutAccount,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = PartyView)))]
pub async fn link_payout_account(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    headers: CommandHeaders,
    body: Body<LinkPayoutAccount>,
) -> Result<Response, Problem> {
    let account = PayoutAccount { psp: domain::reaction::PSP.to_owned(), psp_account: body.value.psp_account.clone() };
    app.perform(ApiCommand {
        caller,
        headers,
        route: "POST /v1/parties/{id}/payout-account",
        fingerprint: body.fingerprint,
        intent: Intent::LinkPayoutAccount { party_id, account },
        status: StatusCode::OK,
        location: None,
        view: &|look: Look<'_>| match look(&party::stream(party_id)) {
            Some(AggregateState::Party(state)) => PartyView::of(state),
            _ => None,
        },
    })
    .await
}

/// Shows the caller's earnings, one entry per currency.
#[utoipa::path(get, path = "/v1/balances/me", tag = "parties", responses((status = 200, body = Page<BalanceView>)))]
pub async fn my_balances(State(app): State<App>, caller: Caller, at: ReadAt) -> Result<Response, Problem> {
    // One account per currency; there are fewer currencies than this.
    let stored = document::list(app.pool(), payee::TYPE, Visible::To(caller.party_id), None, None, 200).await?;
    let page = Page::of(
        stored,
        200,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Payee(balance) => {
                balance.currency.map(|currency| BalanceView::of(caller.party_id, currency, &balance))
            }
            Document::Aggregate(_) => None,
        },
    );
    Ok(at.respond(&page, None))
}
