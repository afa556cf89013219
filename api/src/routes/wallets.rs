//! Wallets: what a client can pay with, and how it gets out again.

use adapters::postgres::document::{self, Visible};
use axum::extract::State;
use axum::response::Response;
use domain::aggregate::AggregateState;
use domain::id::RefundId;
use domain::intent::{Intent, MoneyIntent};
use domain::view::Document;
use domain::wallet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::command::Command;
use super::{CURRENCIES, Page, amount, currency, refunds};
use crate::app::{App, ReadAt, Seen};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::view::{RefundView, WalletView};

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
