//! When a refund that the provider has refused may go to the client's wallet.
//!
//! # Invariants
//! - The client may say so where the money is still here for sure: no charge is known that it could go back to, or the way
//!   is closed. For any other reason staff looks first: a part may have been given back by hand.
//! - Nobody may while a bank has the money, or when it was given back already: the client would have it twice.
//!
//! # What is deliberately absent
//! Taking a refund over that somebody has made at the provider.

use super::{PaymentStanding, RefundOrder};
use crate::actor::Actor;
use crate::refusal::Refusal;
use crate::rules::Context;

/// The provider's code for a charge that a bank disagrees with.
const DISPUTED: &str = "charge_disputed";

/// The provider's code for a charge of which nothing is left.
const ALREADY_REFUNDED: &str = "charge_already_refunded";

/// Codes that say that the way back is closed, and nothing has gone it.
const CLOSED: [&str; 10] = [
    "charge_unknown",
    "expired_or_canceled_card",
    "expired_card",
    "lost_or_stolen_card",
    "card_declined",
    "declined",
    "account_closed",
    "no_account",
    "bank_account_unusable",
    "charge_not_refundable",
];

/// Whether a bank's disagreement was why the provider refused.
pub(super) fn was_disputed(reason: &str) -> bool {
    reason == DISPUTED
}

/// The client, or staff that may hold money.
pub(super) fn may_ask(order: &RefundOrder, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == order.client_id => Ok(()),
        actor if actor.may_hold_money() => Ok(()),
        _ => Err(Refusal::NotAParty),
    }
}

/// Whether what was refused for that reason is still here.
pub(super) fn is_here(reason: &str, standing: PaymentStanding, context: &Context) -> Result<(), Refusal> {
    if let Some(chargeback_id) = standing.contested_by {
        return Err(Refusal::ChargeDisputed { chargeback_id });
    }
    let is_client = matches!(context.actor, Actor::Client(_));
    if reason == ALREADY_REFUNDED || (is_client && !standing.reclaimed && !CLOSED.contains(&reason)) {
        return Err(Refusal::RefundNotRedirectable { reason: reason.to_owned() });
    }
    Ok(())
}
