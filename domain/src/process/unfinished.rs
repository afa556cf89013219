//! What at the provider is not at its end, and is asked for when nothing is heard of it.
//!
//! # What is deliberately absent
//! Refunds: an order of its own reads them until they are at their end ([`super::read_again_after`]).

use crate::aggregate::AggregateState;
use crate::funding::Funding;
use crate::payout::Payout;
use crate::ports::provider::ProviderObject;

/// The object at the provider that an aggregate waits for. `None` when it waits for nothing, or when the provider has not
/// named the object yet: then the order is still open, and asks.
pub fn unfinished(state: &AggregateState) -> Option<ProviderObject> {
    match state {
        AggregateState::Funding(funding) => match &**funding {
            Funding::Created { payment_ref: Some(payment_ref), .. } => {
                Some(ProviderObject::Payment { payment_ref: payment_ref.clone() })
            }
            _ => None,
        },
        AggregateState::Payout(payout) => match &**payout {
            Payout::InTransit { withdrawal, bank_payout_ref, .. } => Some(ProviderObject::BankPayout {
                bank_payout_ref: bank_payout_ref.clone(),
                account: withdrawal.place.psp_account.clone(),
            }),
            _ => None,
        },
        _ => None,
    }
}
