//! How a client asks for a wallet to be topped up.
//!
//! # Invariants
//! - The order has no contract, no allocations, and an instant at which it is given up.
//! - What is charged is what is credited: what the provider cannot charge exactly is rounded up, and all of it is the
//!   client's.

use ledger::{Currency, Minor};

use super::{FundingCommand, FundingEvent, Order, Purpose};
use crate::actor::Actor;
use crate::escrow::{PLATFORM_ACCOUNT, PspPlace, check_payment_method, small_enough};
use crate::policy::{Policy, hours_after};
use crate::reaction::PSP;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn request(command: &FundingCommand, context: &Context) -> Result<Vec<FundingEvent>, Refusal> {
    let FundingCommand::TopUp { funding_id, client_id, currency, amount, payment_method } = command else {
        return Ok(Vec::new());
    };
    match context.actor {
        Actor::Client(party) if party == *client_id => {}
        Actor::Payee(party) if party == *client_id => {
            return Err(Refusal::Forbidden { who: "client", action: "use the client's wallet" });
        }
        _ => return Err(Refusal::NotAParty),
    }
    check_payment_method(payment_method)?;
    Ok(vec![FundingEvent::Created {
        order: Order {
            funding_id: *funding_id,
            contract_id: None,
            client_id: *client_id,
            currency: *currency,
            allocations: Vec::new(),
            charge: charge(*currency, *amount)?,
            payment_method: payment_method.clone(),
            place: PspPlace { psp: PSP.to_owned(), psp_account: PLATFORM_ACCOUNT.to_owned() },
            purpose: Purpose::TopUp,
            expires_at: Some(hours_after(context.now, Policy::default().funding_intent_hours)),
        },
    }])
}

/// What is charged for an amount.
fn charge(currency: Currency, amount: Minor) -> Result<Minor, Refusal> {
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    small_enough(amount)?;
    let charge = currency.round_up_to_charge(amount)?;
    small_enough(charge)?;
    Ok(charge)
}
