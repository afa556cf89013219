//! A funding as the API shows it.

use chrono::{DateTime, Utc};
use domain::funding::{Funding, Progress};
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// One attempt to pay into escrow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FundingView {
    /// Its id.
    #[schema(example = "fnd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `funding`.
    #[schema(example = "funding")]
    pub object: String,
    /// Its contract.
    pub contract_id: String,
    /// `created`, `action_required`, `processing`, `failed`, `succeeded`, `available` or `under_review`.
    #[schema(example = "succeeded")]
    pub status: String,
    /// What is charged, fees included, minor units.
    #[schema(example = 105_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: String,
    /// What it is for.
    pub allocations: Vec<AllocationView>,
    /// What the client has to do next, if anything: `confirm` or `use_another_payment_method`.
    pub next_action: Option<String>,
    /// The provider's code, when it failed.
    pub failure_code: Option<String>,
    /// What the provider kept of it, once known.
    pub psp_fee: Option<i64>,
    /// When the rest can be used, once known.
    pub available_on: Option<DateTime<Utc>>,
}

/// The part of a funding that is for one milestone, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllocationView {
    /// Which milestone.
    pub milestone_id: String,
    /// What is held for it.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// The client's fee on that.
    #[schema(example = 5000)]
    pub client_fee: i64,
}

impl FundingView {
    /// The view of a funding; `None` before it is created.
    pub fn of(funding: &Funding) -> Option<Self> {
        let order = funding.order()?;
        let (next_action, failure_code) = match funding {
            Funding::Created { progress: Progress::ActionRequired, .. } => (Some("confirm"), None),
            Funding::Created { progress: Progress::Failed { code }, .. } => {
                (Some("use_another_payment_method"), Some(code.clone()))
            }
            _ => (None, None),
        };
        let cost = match funding {
            Funding::Succeeded { cost, .. } => cost.as_ref(),
            _ => None,
        };
        Some(Self {
            id: order.funding_id.to_string(),
            object: "funding".to_owned(),
            contract_id: order.contract_id.to_string(),
            status: funding.state_name().to_owned(),
            amount: order.charge.get(),
            currency: order.currency.code().to_owned(),
            decimal: decimal(order.charge, order.currency),
            allocations: order
                .allocations
                .iter()
                .map(|allocation| AllocationView {
                    milestone_id: allocation.milestone_id.to_string(),
                    amount: allocation.amount.get(),
                    client_fee: allocation.client_fee.get(),
                })
                .collect(),
            next_action: next_action.map(str::to_owned),
            failure_code,
            psp_fee: cost.map(|cost| cost.fee.get()),
            available_on: cost.map(|cost| cost.available_on),
        })
    }
}
