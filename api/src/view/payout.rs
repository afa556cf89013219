//! A payout as the API shows it.

use chrono::{DateTime, Utc};
use domain::payout::Payout;
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;
use super::standing::next_action;

/// One withdrawal to a bank account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PayoutView {
    /// Its id.
    #[schema(example = "pot_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `payout`.
    #[schema(example = "payout")]
    pub object: String,
    /// `awaiting_approval`, `approved` (it waits for funds), `transferring`, `submitting`, `in_transit`, `paid`, `failed`,
    /// `cancelled` or `returned`. A bank can return what was paid.
    #[schema(example = "in_transit")]
    pub status: String,
    /// Whose earnings.
    pub payee_id: String,
    /// How much, minor units.
    #[schema(example = 90_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "900.00 USD")]
    pub decimal: String,
    /// When it is expected at the bank, once known.
    pub arrival_at: Option<DateTime<Utc>>,
    /// The provider's code, when it failed or came back.
    #[schema(example = "account_closed")]
    pub failure_code: Option<String>,
    /// What the payee has to do then: `add_bank_account`, or `retry`.
    #[schema(example = "add_bank_account")]
    pub next_action: Option<String>,
}

impl PayoutView {
    /// The view of a payout; `None` before it is requested.
    pub fn of(payout: &Payout) -> Option<Self> {
        let withdrawal = payout.withdrawal()?;
        Some(Self {
            id: withdrawal.payout_id.to_string(),
            object: "payout".to_owned(),
            status: payout.state_name().to_owned(),
            payee_id: withdrawal.payee_id.to_string(),
            amount: withdrawal.amount.get(),
            currency: withdrawal.currency.code().to_owned(),
            decimal: decimal(withdrawal.amount, withdrawal.currency),
            arrival_at: match payout {
                Payout::InTransit { arrival_at, .. } => Some(*arrival_at),
                _ => None,
            },
            failure_code: match payout {
                Payout::Failed { code, .. } | Payout::Returned { code, .. } => Some(code.clone()),
                _ => None,
            },
            next_action: match payout {
                Payout::Failed { code, .. } | Payout::Returned { code, .. } => Some(next_action(code).to_owned()),
                _ => None,
            },
        })
    }
}
