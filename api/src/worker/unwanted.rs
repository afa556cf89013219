//! Payments that nobody wants any more when the order for them comes up: cancelled, or expired, while orders waited.
//!
//! # What is deliberately absent
//! A funding that is given up while its order is on its way: what is collected then is reported, and goes back.

use adapters::postgres::document::{self, Visible};
use domain::aggregate::AggregateState;
use domain::funding::{self, Funding};
use domain::log::StoreError;
use domain::ports::provider::ProviderOrder;
use domain::view::Document;

use crate::app::App;

/// Whether an order would charge for a funding that was given up: it would be refunded, and the fee is lost.
pub(super) async fn is_unwanted(app: &App, order: &ProviderOrder) -> Result<bool, StoreError> {
    let ProviderOrder::CollectPayment { funding_id, .. } = order else { return Ok(false) };
    let stored = document::one(app.pool(), &funding::stream(*funding_id), Visible::ToStaff).await?;
    let Some(Document::Aggregate(AggregateState::Funding(state))) = stored.map(|stored| stored.document) else {
        return Ok(false);
    };
    Ok(matches!(*state, Funding::GivenUp { .. }))
}
