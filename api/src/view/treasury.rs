//! The platform's own money as the API shows it.

use domain::id::{SweepId, TopUpId};
use domain::treasury::{Sweep, TopUpState, Treasury, TreasuryId};
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// The platform's own money at one provider in one currency: what was done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TreasuryView {
    /// Provider and currency.
    #[schema(example = "stripe-USD")]
    pub id: String,
    /// Always `treasury`.
    #[schema(example = "treasury")]
    pub object: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Top-ups that the provider has told of.
    pub top_ups: Vec<ArrivedView>,
    /// Sweeps.
    pub sweeps: Vec<SweepView>,
    /// Payouts of the platform that nobody here has ordered.
    pub foreign_payouts: Vec<ForeignPayoutView>,
}

/// A top-up that the provider has told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArrivedView {
    /// The provider's top-up.
    #[schema(example = "tu_1RkYQ2")]
    pub top_up_ref: String,
    /// `arrived`, `failed` or `reversed`.
    #[schema(example = "arrived")]
    pub status: String,
}

/// Own money on its way to the provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopUpView {
    /// Its id.
    #[schema(example = "top_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `top_up`.
    #[schema(example = "top_up")]
    pub object: String,
    /// Always `requested`: what becomes of it the treasury shows.
    #[schema(example = "requested")]
    pub status: String,
    /// How much, minor units.
    #[schema(example = 200_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "2,000.00 USD")]
    pub decimal: String,
}

/// Earned money on its way to the platform's bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepView {
    /// Its id.
    #[schema(example = "swp_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `sweep`.
    #[schema(example = "sweep")]
    pub object: String,
    /// `proposed`, `approved`, `rejected`, `swept`, `failed` or `returned`.
    #[schema(example = "proposed")]
    pub status: String,
    /// How much, minor units.
    #[schema(example = 11_925)]
    pub amount: i64,
    /// What is to stay, minor units.
    #[schema(example = 0)]
    pub buffer: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "119.25 USD")]
    pub decimal: String,
    /// Who has proposed it.
    pub proposed_by: String,
}

/// A payout of the platform that nobody here has ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForeignPayoutView {
    /// The provider's payout.
    #[schema(example = "po_1RkYQ2")]
    pub id: String,
    /// Always `foreign_payout`.
    #[schema(example = "foreign_payout")]
    pub object: String,
    /// `detected` (unexplained), `adopted` or `returned`.
    #[schema(example = "detected")]
    pub status: String,
    /// What is to be explained.
    pub break_id: String,
    /// How much, minor units.
    #[schema(example = 11_925)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "119.25 USD")]
    pub decimal: String,
}

impl TreasuryView {
    /// The view of a treasury.
    pub fn of(id: &TreasuryId, state: &Treasury) -> Self {
        let top_ups = state.top_ups.iter().map(|(top_up_ref, state)| ArrivedView {
            top_up_ref: top_up_ref.clone(),
            status: match state {
                TopUpState::Arrived => "arrived",
                TopUpState::Failed => "failed",
                TopUpState::Reversed => "reversed",
            }
            .to_owned(),
        });
        Self {
            id: id.to_string(),
            object: "treasury".to_owned(),
            currency: id.currency.code().to_owned(),
            top_ups: top_ups.collect(),
            sweeps: state.sweeps.iter().map(|(id_of, sweep)| SweepView::of(*id_of, id.currency, sweep)).collect(),
            foreign_payouts: state
                .foreign_payouts
                .keys()
                .filter_map(|name| ForeignPayoutView::of(name, id.currency, state))
                .collect(),
        }
    }
}

impl TopUpView {
    /// The view of a top-up that was asked for just now.
    pub fn requested(id: TopUpId, amount: Minor, currency: Currency) -> Self {
        Self {
            id: id.to_string(),
            object: "top_up".to_owned(),
            status: "requested".to_owned(),
            amount: amount.get(),
            currency: currency.code().to_owned(),
            decimal: decimal(amount, currency),
        }
    }
}

impl SweepView {
    /// The view of a sweep.
    pub fn of(id: SweepId, currency: Currency, sweep: &Sweep) -> Self {
        Self {
            id: id.to_string(),
            object: "sweep".to_owned(),
            status: sweep.state.word().to_owned(),
            amount: sweep.amount.get(),
            buffer: sweep.buffer.get(),
            currency: currency.code().to_owned(),
            decimal: decimal(sweep.amount, currency),
            proposed_by: sweep.proposed_by.to_string(),
        }
    }
}

impl ForeignPayoutView {
    /// The view of a payout that nobody ordered; `None` when there is no such payout.
    pub fn of(payout_ref: &str, currency: Currency, state: &Treasury) -> Option<Self> {
        let payout = state.foreign_payouts.get(payout_ref)?;
        let status = match (payout.returned, payout.adopted) {
            (true, _) => "returned",
            (false, true) => "adopted",
            (false, false) => "detected",
        };
        Some(Self {
            id: payout_ref.to_owned(),
            object: "foreign_payout".to_owned(),
            status: status.to_owned(),
            break_id: payout.break_id.to_string(),
            amount: payout.amount.get(),
            currency: currency.code().to_owned(),
            decimal: decimal(payout.amount, currency),
        })
    }
}
