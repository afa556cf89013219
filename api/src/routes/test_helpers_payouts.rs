//! What the built-in provider is to do to a payee's account or payout. In test mode only.

use adapters::postgres::document::{self, Visible};
use axum::Json;
use axum::extract::State;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::id::{PartyId, PayoutId};
use domain::party::Party;
use domain::payout::Payout;
use domain::rules::Rules;
use domain::view::Document;
use domain::{party, payout};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{currency, id};
use crate::app::App;
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Body;
use crate::problem::Problem;
use crate::sandbox_control::SandboxControl;

/// Who may say what the provider does.
const HELPERS: &[StaffRole] = &[StaffRole::Admin];

/// The provider has done it. What follows is told by its webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HelpedView {
    /// Always `test_helper`.
    #[schema(example = "test_helper")]
    pub object: String,
    /// The provider's object that it is about.
    #[schema(example = "po_1Pgc79B7WZ01zgkW")]
    pub psp_ref: String,
}

/// A payout that fails.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailingPayout {
    /// Which.
    #[schema(example = "pot_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub payout_id: String,
    /// The provider's code; `account_closed` when absent.
    #[serde(default)]
    #[schema(example = "account_closed")]
    pub code: Option<String>,
}

/// An account that has given everything.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardedAccount {
    /// Whose.
    pub party_id: String,
    /// The number of its bank account; one that takes everything when absent and there is none.
    #[serde(default)]
    #[schema(example = "000123456789")]
    pub account_number: Option<String>,
}

/// An account of which something is demanded.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestrictedAccount {
    /// Whose.
    pub party_id: String,
    /// The provider's names of what is to be given.
    #[serde(default)]
    #[schema(example = json!(["individual.verification.document"]))]
    pub currently_due: Vec<String>,
    /// The provider's code; `requirements.past_due` when absent. One that begins with `rejected.` is for good.
    #[serde(default)]
    pub disabled_reason: Option<String>,
    /// Whether it can still receive.
    #[serde(default)]
    pub transfers_enabled: bool,
    /// Whether it can still pay out.
    #[serde(default)]
    pub payouts_enabled: bool,
}

/// An account.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountOf {
    /// Whose.
    pub party_id: String,
}

/// What is put into the balance of an account, or taken.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustedAccount {
    /// Whose.
    pub party_id: String,
    /// How much, in the provider's units, signed.
    #[schema(example = -12_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// Has the bank refuse a payout that is on its way.
#[utoipa::path(post, path = "/v1/test_helpers/psp/payout-fail", tag = "test mode", request_body = FailingPayout,
    responses((status = 200, body = HelpedView)))]
pub async fn fail(
    State(app): State<App>,
    caller: Caller,
    body: Body<FailingPayout>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    turn(&app, sandbox, body.value, "in_transit").await
}

/// Has the bank give a payout back that was paid.
#[utoipa::path(post, path = "/v1/test_helpers/psp/payout-return", tag = "test mode", request_body = FailingPayout,
    responses((status = 200, body = HelpedView)))]
pub async fn give_back(
    State(app): State<App>,
    caller: Caller,
    body: Body<FailingPayout>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    turn(&app, sandbox, body.value, "paid").await
}

/// Gives what the provider demands of a payee, as its own pages would.
#[utoipa::path(post, path = "/v1/test_helpers/psp/account-onboard", tag = "test mode", request_body = OnboardedAccount,
    responses((status = 200, body = HelpedView)))]
pub async fn onboard(
    State(app): State<App>,
    caller: Caller,
    body: Body<OnboardedAccount>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let account = account_of(&app, &body.value.party_id).await?;
    let fields: Vec<_> = body.value.account_number.into_iter().map(|number| ("account_number", number)).collect();
    control(sandbox, account, "onboard", &fields).await
}

/// Has the provider demand something of a payee.
#[utoipa::path(post, path = "/v1/test_helpers/psp/account-restrict", tag = "test mode",
    request_body = RestrictedAccount, responses((status = 200, body = HelpedView)))]
pub async fn restrict(
    State(app): State<App>,
    caller: Caller,
    body: Body<RestrictedAccount>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let account = account_of(&app, &body.value.party_id).await?;
    let RestrictedAccount { currently_due, disabled_reason, transfers_enabled, payouts_enabled, .. } = body.value;
    let mut fields: Vec<_> = currently_due.into_iter().map(|name| ("currently_due[]", name)).collect();
    fields.push(("disabled_reason", disabled_reason.unwrap_or_else(|| "requirements.past_due".to_owned())));
    fields.push(("transfers_enabled", transfers_enabled.to_string()));
    fields.push(("payouts_enabled", payouts_enabled.to_string()));
    control(sandbox, account, "restrict", &fields).await
}

/// Has a payee take the platform's access to its account away.
#[utoipa::path(post, path = "/v1/test_helpers/psp/account-deauthorize", tag = "test mode", request_body = AccountOf,
    responses((status = 200, body = HelpedView)))]
pub async fn deauthorize(
    State(app): State<App>,
    caller: Caller,
    body: Body<AccountOf>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let account = account_of(&app, &body.value.party_id).await?;
    control(sandbox, account, "deauthorize", &[]).await
}

/// Has the provider close a payee's account.
#[utoipa::path(post, path = "/v1/test_helpers/psp/account-close", tag = "test mode", request_body = AccountOf,
    responses((status = 200, body = HelpedView)))]
pub async fn close(State(app): State<App>, caller: Caller, body: Body<AccountOf>) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let account = account_of(&app, &body.value.party_id).await?;
    control(sandbox, account, "close", &[]).await
}

/// Adds to the balance of a payee's account, or takes from it, also below zero.
#[utoipa::path(post, path = "/v1/test_helpers/psp/account-adjust", tag = "test mode", request_body = AdjustedAccount,
    responses((status = 200, body = HelpedView)))]
pub async fn adjust(
    State(app): State<App>,
    caller: Caller,
    body: Body<AdjustedAccount>,
) -> Result<Json<HelpedView>, Problem> {
    let sandbox = sandbox(&app, &caller)?;
    let code = currency(&body.value.currency, "/currency")?.code().to_ascii_lowercase();
    if body.value.amount == 0 {
        return Err(Problem::field(ErrorCode::ValidationFailed, "/amount", "must not be zero"));
    }
    let account = account_of(&app, &body.value.party_id).await?;
    control(sandbox, account, "adjust", &[("amount", body.value.amount.to_string()), ("currency", code)]).await
}

fn sandbox<'a>(app: &'a App, caller: &Caller) -> Result<&'a SandboxControl, Problem> {
    caller.require_staff(HELPERS)?;
    let detail = "the provider is not the built-in one in test mode";
    app.sandbox.as_ref().ok_or_else(|| Problem::new(ErrorCode::NotInTestMode, detail))
}

async fn control(
    sandbox: &SandboxControl,
    account: String,
    what: &str,
    fields: &[(&str, String)],
) -> Result<Json<HelpedView>, Problem> {
    sandbox.control(&format!("accounts/{account}/{what}"), fields).await.map_err(unreachable)?;
    Ok(helped(account))
}

async fn turn(
    app: &App,
    sandbox: &SandboxControl,
    wish: FailingPayout,
    state: &'static str,
) -> Result<Json<HelpedView>, Problem> {
    let payout_id: PayoutId = id(&wish.payout_id, "/payout_id")?;
    app.catch_up().await?;
    let stored = document::one(app.pool(), &payout::stream(payout_id), Visible::ToStaff).await?;
    let Document::Aggregate(AggregateState::Payout(found)) = stored.ok_or_else(Problem::not_found)?.document else {
        return Err(Problem::not_found());
    };
    let bank_payout_ref = match found.as_ref() {
        Payout::InTransit { bank_payout_ref, .. } if state == "in_transit" => bank_payout_ref.clone(),
        Payout::Paid { bank_payout_ref, .. } if state == "paid" => bank_payout_ref.clone(),
        other => {
            let detail = format!("the payout is {}, and not {state}", other.state_name());
            return Err(Problem::new(ErrorCode::PayoutWrongState, detail).with("state", other.state_name()));
        }
    };
    let code = wish.code.unwrap_or_else(|| "account_closed".to_owned());
    let fields = [("status", "failed".to_owned()), ("failure_code", code)];
    sandbox.control(&format!("payouts/{bank_payout_ref}/turn"), &fields).await.map_err(unreachable)?;
    Ok(helped(bank_payout_ref))
}

/// The account of a party at the provider.
async fn account_of(app: &App, party_id: &str) -> Result<String, Problem> {
    let party_id: PartyId = id(party_id, "/party_id")?;
    app.catch_up().await?;
    let stored = document::one(app.pool(), &party::stream(party_id), Visible::ToStaff).await?;
    match stored.map(|stored| stored.document) {
        Some(Document::Aggregate(AggregateState::Party(Party::Registered {
            payout_account: Some(account), ..
        }))) => Ok(account.psp_account),
        _ => Err(Problem::not_found()),
    }
}

fn helped(psp_ref: String) -> Json<HelpedView> {
    Json(HelpedView { object: "test_helper".to_owned(), psp_ref })
}

fn unreachable(error: reqwest::Error) -> Problem {
    Problem::new(ErrorCode::PspUnavailable, format!("the built-in provider did not do it: {}", error.without_url()))
}
