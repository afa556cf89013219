//! Staff stops paying a party, or pays it again: by its own decision, or because of a list of sanctions.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::id::PartyId;
use domain::intent::{Intent, PayoutIntent};
use domain::payee;
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command::{Asked, Command};
use super::contracts::Nothing;
use super::onboarding::standing_of;
use super::{CURRENCIES, currency};
use crate::app::{App, Seen};
use crate::caller::Caller;
use crate::extract::IdPath;
use crate::problem::Problem;
use crate::view::RequirementsView;

/// A hit on a list of sanctions.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SanctionsHit {
    /// The screening's own reference.
    #[schema(example = "scr_4711")]
    pub screening_ref: String,
    /// ISO 4217 codes of earnings that are held at once; all that the party has when absent.
    #[serde(default)]
    #[schema(example = json!(["USD"]))]
    pub currencies: Option<Vec<String>>,
}

async fn act(
    app: &App,
    caller: Caller,
    party_id: PartyId,
    intent: PayoutIntent,
    asked: Asked,
) -> Result<Response, Problem> {
    let view = |seen: Seen<'_>| standing_of(party_id, caller, seen);
    asked.act(app, caller, Intent::Payouts(intent), &view).await
}

/// Stops paying a party: what clears from now on is held.
///
/// By staff that decides about money.
#[utoipa::path(post, path = "/v1/parties/{id}/restrict", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn restrict(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    act(&app, caller, party_id, PayoutIntent::Restrict { party_id }, asked).await
}

/// Pays a party again that staff has stopped paying.
///
/// By staff that decides about money. What was held for it is let go, unless there is another reason.
#[utoipa::path(post, path = "/v1/parties/{id}/lift-restriction", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn lift_restriction(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    act(&app, caller, party_id, PayoutIntent::LiftRestriction { party_id }, asked).await
}

/// Records that a party may be on a list of sanctions.
///
/// By staff that decides about money. What is available is held at once, what clears later is held then.
#[utoipa::path(post, path = "/v1/parties/{id}/sanctions/hit", tag = "parties", request_body = SanctionsHit,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn sanctions_hit(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { value, asked }: Command<SanctionsHit>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    let currencies = if let Some(codes) = value.currencies {
        let read = |(at, code): (usize, &String)| currency(code, &format!("/currencies/{at}"));
        codes.iter().enumerate().map(read).collect::<Result<_, _>>()?
    } else {
        app.catch_up().await?;
        let accounts = document::list(app.pool(), payee::TYPE, Visible::To(party_id), None, None, CURRENCIES).await?;
        let currency = |document| match document {
            Document::Payee(balance) => balance.currency,
            Document::Aggregate(_) => None,
        };
        accounts.into_iter().filter_map(|stored| currency(stored.document)).collect()
    };
    let screening_ref = value.screening_ref;
    act(&app, caller, party_id, PayoutIntent::RecordSanctionsHit { party_id, screening_ref, currencies }, asked).await
}

/// Proposes to drop a hit on a list of sanctions.
///
/// By staff that decides about money; somebody else of them has to agree.
#[utoipa::path(post, path = "/v1/parties/{id}/sanctions/propose-clearance", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn propose_clearance(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    act(&app, caller, party_id, PayoutIntent::ProposeSanctionsClearance { party_id }, asked).await
}

/// Drops a hit on a list of sanctions that somebody else has proposed to drop.
///
/// By staff that decides about money, and not who has proposed it. What was held for it is let go.
#[utoipa::path(post, path = "/v1/parties/{id}/sanctions/clear", tag = "parties", request_body = Nothing,
    params(("id" = String, Path, description = "the party")), responses((status = 200, body = RequirementsView)))]
pub async fn clear(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_money_staff()?;
    act(&app, caller, party_id, PayoutIntent::ApproveSanctionsClearance { party_id }, asked).await
}
