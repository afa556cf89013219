//! Whether the payee of an order may still be paid when the order's turn comes.
//!
//! # What is deliberately absent
//! The rules: [`domain::process::gate`]. Orders that may have been sent: their outcome is found out in any case.

use adapters::postgres::document::{self, Visible};
use domain::aggregate::AggregateState;
use domain::id::PayoutId;
use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::view::Document;
use domain::{party, payout, process};

use crate::app::App;

/// The code of the gate that is shut before this order; `None` when it may be begun. It is judged by everything that is in
/// the log by now.
pub(super) async fn shut(app: &App, order: &ProviderOrder) -> Result<Option<&'static str>, StoreError> {
    let (ProviderOrder::MoveToPayee { payout_id, .. } | ProviderOrder::PayToBank { payout_id, .. }) = order else {
        return Ok(None);
    };
    app.catch_up().await.map_err(|problem| StoreError::Unavailable(format!("{problem:?}")))?;
    let payee = payee_of(app, *payout_id).await?;
    let now = app.engine.now().await?;
    Ok(process::gate(order, &payee, now).map(|refusal| refusal.code()))
}

async fn payee_of(app: &App, payout_id: PayoutId) -> Result<party::PayeeStanding, StoreError> {
    let one = async |stream| {
        let stored = document::one(app.pool(), &stream, Visible::ToStaff).await?;
        Ok(stored.map(|stored| stored.document))
    };
    let missing = |what: &str| StoreError::Corrupt(format!("{what} of payout {payout_id} is not there"));
    let Some(Document::Aggregate(AggregateState::Payout(state))) = one(payout::stream(payout_id)).await? else {
        return Err(missing("the document"));
    };
    let payee_id = state.withdrawal().map(|withdrawal| withdrawal.payee_id).ok_or_else(|| missing("the payee"))?;
    match one(party::stream(payee_id)).await? {
        Some(Document::Aggregate(AggregateState::Party(state))) => Ok(state.payee_standing()),
        _ => Err(missing("the payee")),
    }
}
