//! Wallets: what a client can pay with, how it gets in, and how it gets out again.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::{FundingId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::view::Document;
use domain::wallet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::fundings::{CreateMandate, make_shown, mandate};
use super::{CURRENCIES, Page, amount, currency, fundings, refunds};
use crate::app::{App, ReadAt, Seen};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::view::{FundingView, RefundView, WalletView};

/// What is to be taken out of the wallet.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// How much, in minor units; at most what is there.
    #[schema(example = 105_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
}

/// What is to be put into the wallet.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// How much, in minor units. Where the provider cannot charge that exactly, it is the next amount that it can.
    #[schema(example = 500_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Token of the client's card or account at the payment provider. Never a card number.
    #[schema(example = "pm_card_visa")]
    pub payment_method: String,
    /// The client's consent, which banks ask for where an account is debited. Not needed for cards.
    #[serde(default)]
    pub mandate: Option<CreateMandate>,
}

/// Shows the caller's wallets, one per currency.
#[utoipa::path(get, path = "/v1/wallets/me", tag = "wallets", responses((status = 200, body = Page<WalletView>)))]
pub async fn mine(State(app): State<App>, caller: Caller, at: ReadAt) -> Result<Response, Problem> {
    let visible = Visible::To(caller.party_id);
    let stored = document::list(app.pool(), wallet::TYPE, visible, None, None, CURRENCIES).await?;
    let page = Page::of(
        stored,
        CURRENCIES,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Aggregate(AggregateState::Wallet(state)) => {
                Some(WalletView::of(stored.stream.aggregate_id.parse().ok()?, &state))
            }
            _ => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Puts money into the caller's wallet, by card or account.
///
/// The answer is `created`, before the client's bank was asked; how it goes on is told by `GET /v1/fundings/{id}`. The
/// wallet has the money when it has succeeded. No fee is charged.
#[utoipa::path(post, path = "/v1/wallets/me/top-ups", tag = "wallets", request_body = TopUp,
    responses((status = 201, body = FundingView)))]
pub async fn top_up(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<TopUp>,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    let funding_id = FundingId::from_uuid(Uuid::now_v7());
    let (amount, currency) = (amount(value.amount, "/amount")?, currency(&value.currency, "/currency")?);
    app.identity.require_recent(&caller, amount, currency).await?;
    let payment_method = value.payment_method;
    let intent = MoneyIntent::TopUp { funding_id, client_id: caller.party_id, currency, amount, payment_method };
    let mandate = mandate(&app, value.mandate).await?;
    let view = |seen: Seen<'_>| FundingView::of_top_up(fundings::state_of(seen, funding_id)?);
    make_shown(&app, caller, asked, (funding_id, mandate), intent, &view).await
}

/// Takes money out of the caller's wallet.
///
/// It leaves as a refund that staff pays out by hand: money of several payments has no one way back.
#[utoipa::path(post, path = "/v1/wallets/me/withdrawals", tag = "wallets", request_body = Withdraw,
    responses((status = 201, body = RefundView)))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Command { value, asked }: Command<Withdraw>,
) -> Result<Response, Problem> {
    asked.headers.require_key()?;
    let refund_id = RefundId::from_uuid(Uuid::now_v7());
    let (amount, currency) = (amount(value.amount, "/amount")?, currency(&value.currency, "/currency")?);
    app.identity.require_recent(&caller, amount, currency).await?;
    let intent = MoneyIntent::WithdrawFromWallet { client_id: caller.party_id, currency, refund_id, amount };
    let location = format!("/v1/refunds/{refund_id}");
    let view = |seen: Seen<'_>| refunds::view_of(refund_id, seen.look);
    asked.make(&app, caller, Intent::Money(intent), location, &view).await
}
