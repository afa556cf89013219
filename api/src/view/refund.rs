//! A refund as the API shows it: one movement of money back to a client, by one way.

use domain::escrow::PaidFrom;
use domain::refund::Refund;
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// By which way a refund goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundWay {
    /// Back to the card or account that paid.
    Provider,
    /// To the client's wallet.
    Wallet,
    /// Not known yet: somebody has to decide.
    Undecided,
}

/// Money that goes back to a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RefundView {
    /// Its id.
    #[schema(example = "rfd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `refund`.
    #[schema(example = "refund")]
    pub object: String,
    /// `requested`, `requires_funding`, `submitted`, `succeeded`, `failed`, `requires_manual`, `redirected` or
    /// `cancelled`. What succeeded can still come back, and is `failed` then.
    #[schema(example = "submitted")]
    pub status: String,
    /// By which way it goes, or has gone.
    pub way: RefundWay,
    /// The contract that it is from; absent for money out of the wallet.
    pub contract_id: Option<String>,
    /// The payment whose money it is; absent for money out of the wallet.
    pub funding_id: Option<String>,
    /// Who gets it.
    pub client_id: String,
    /// How much, fees included, minor units.
    #[schema(example = 105_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: String,
    /// The provider's charge that it goes back to, if there is one.
    pub charge: Option<String>,
    /// The provider's own name for the refund, once known.
    pub psp_refund: Option<String>,
    /// The code of what went wrong: the provider's when it failed, ours when somebody has to decide.
    pub failure_code: Option<String>,
}

impl RefundView {
    /// The view of a refund; `None` before it is requested.
    pub fn of(refund: &Refund) -> Option<Self> {
        let order = refund.order()?;
        let (way, psp_refund, failure_code) = match refund {
            Refund::Submitted { refund_ref, .. } | Refund::Succeeded { refund_ref, .. } => {
                (RefundWay::Provider, Some(refund_ref.clone()), None)
            }
            Refund::Failed { code, .. } => (RefundWay::Wallet, None, Some(code.clone())),
            Refund::RequiresManual { reason, .. } => (RefundWay::Undecided, None, Some(reason.clone())),
            Refund::Redirected { .. } | Refund::Cancelled { .. } => (RefundWay::Wallet, None, None),
            Refund::Requested { .. } | Refund::NotRequested => match order.paid_from {
                PaidFrom::Provider => (RefundWay::Provider, None, None),
                PaidFrom::Wallet => (RefundWay::Wallet, None, None),
            },
        };
        Some(Self {
            id: order.refund_id.to_string(),
            object: "refund".to_owned(),
            status: refund.state_name().to_owned(),
            way,
            contract_id: order.contract_id.map(|id| id.to_string()),
            funding_id: order.funding_id.map(|id| id.to_string()),
            client_id: order.client_id.to_string(),
            amount: order.amount.get(),
            currency: order.currency.code().to_owned(),
            decimal: decimal(order.amount, order.currency),
            charge: order.charge.as_ref().map(|charge| charge.charge_ref.clone()),
            psp_refund,
            failure_code,
        })
    }
}
