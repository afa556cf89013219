//! Held money that moves to another milestone, with the fee that is deferred with it.

use super::refund::fee_leaving;
use super::{enough_of_deposit, is_party, movable, uncontested, undisputed};
use crate::escrow::{EscrowCommand, EscrowEvent, Holdings, lots};
use crate::refusal::Refusal;
use crate::rules::Context;

/// From a milestone both parties have to agree: it was the payee's security for that work. A deposit secures nothing
/// yet, so the client, whose it is, is enough.
pub(super) fn reallocate(
    holdings: &Holdings,
    command: &EscrowCommand,
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let EscrowCommand::Reallocate { reallocation_id, from, to, amount, consent } = command else {
        return Ok(Vec::new());
    };
    if context.actor.party().is_some() && !is_party(holdings, context.actor) {
        return Err(Refusal::NotAParty);
    }
    if holdings.done.reallocations.contains(reallocation_id) {
        return Ok(Vec::new());
    }
    let agreed = consent.contains(&holdings.client_id) && (from.is_none() || consent.contains(&holdings.payee_id));
    if !agreed {
        return Err(Refusal::ConsentRequired);
    }
    if *from == Some(*to) {
        return Err(Refusal::invalid("/to", "must be another milestone"));
    }
    undisputed(holdings, *to)?;
    let (lots, fees) = match from {
        Some(from) => {
            let holding = movable(holdings, *from, *amount)?;
            (&holding.lots, &holding.fees)
        }
        None if holdings.frozen => return Err(Refusal::EscrowFrozen),
        None => {
            enough_of_deposit(holdings, *amount)?;
            uncontested(holdings, lots::oldest(&holdings.unallocated, *amount)?.iter().map(|lot| lot.funding_id))?;
            (&holdings.unallocated, &holdings.unallocated_fees)
        }
    };
    let client_fee = fee_leaving(fees, *amount)?;
    let mut events = vec![EscrowEvent::FundsReallocated {
        reallocation_id: *reallocation_id,
        contract_id: holdings.contract_id,
        currency: holdings.currency,
        from: *from,
        to: *to,
        amount: *amount,
        client_fee,
        lots: lots::oldest(lots, *amount)?,
        consent: consent.clone(),
    }];
    if let Some(from) = from
        && !client_fee.is_zero()
    {
        events.push(EscrowEvent::FeesReallocated {
            reallocation_id: *reallocation_id,
            contract_id: holdings.contract_id,
            currency: holdings.currency,
            from: *from,
            to: *to,
            amount: client_fee,
        });
    }
    Ok(events)
}
