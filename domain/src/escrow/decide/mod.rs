//! Rules of an escrow, by what they are about.

mod funding;
mod gratuity;
mod hold;
mod reallocate;
mod refund;
mod release;

use ledger::Minor;

use super::{Escrow, EscrowCommand, EscrowEvent, Holding, Holdings};
use crate::actor::Actor;
use crate::id::MilestoneId;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(escrow: &Escrow, command: &EscrowCommand, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
    let events = judge(escrow, command, context)?;
    if let Some(holdings) = escrow.holdings()
        && !events.is_empty()
    {
        after(holdings, &events)?;
    }
    Ok(events)
}

/// What would be held after these events.
///
/// # Errors
/// [`Refusal::Defect`] when they would break what always holds.
fn after(holdings: &Holdings, events: &[EscrowEvent]) -> Result<Holdings, Refusal> {
    let mut after = holdings.clone();
    for event in events {
        after.remember(event);
    }
    if after.is_conserved() { Ok(after) } else { Err(Refusal::Defect("an escrow would not add up".to_owned())) }
}

fn judge(escrow: &Escrow, command: &EscrowCommand, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
    use {Escrow as S, EscrowCommand as C, EscrowEvent as E};
    match (escrow, command) {
        (S::NotOpened, C::Open { contract_id, client_id, payee_id, currency, fee_schedule, policy }) => {
            Ok(vec![E::Opened {
                contract_id: *contract_id,
                client_id: *client_id,
                payee_id: *payee_id,
                currency: *currency,
                fee_schedule: fee_schedule.clone(),
                policy: policy.clone(),
            }])
        }
        (S::NotOpened, C::RequestFunding { .. }) => {
            Err(Refusal::ContractWrongState { action: "funded", state: "not accepted" })
        }
        (S::NotOpened, _) => Err(Refusal::NotFound { what: "escrow" }),
        (_, C::Open { .. }) => Err(Refusal::Defect("an escrow was opened twice".to_owned())),

        (S::Open(holdings), C::RequestFunding { .. }) => funding::request(holdings, command, context),
        (S::Closed(holdings), C::RequestFunding { .. }) => {
            only_client(holdings, context, "pay into an escrow")?;
            Err(Refusal::ContractWrongState { action: "funded", state: "completed" })
        }
        (S::Open(holdings), C::RecordFunding { .. }) => Ok(funding::record(holdings, command, context)),
        (S::Closed(holdings), C::RecordFunding { funding_id, .. }) => {
            Ok(funding::record_after_the_end(holdings, *funding_id))
        }
        (S::Open(holdings) | S::Closed(holdings), C::RecordWalletFunding { .. }) => {
            Ok(funding::record_wallet(holdings, command))
        }
        (S::Open(holdings) | S::Closed(holdings), C::RequestGratuity { .. }) => {
            gratuity::request(holdings, command, context)
        }

        (S::Open(holdings) | S::Closed(holdings), C::Release { .. }) => release::release(holdings, command, context),
        (S::Open(holdings) | S::Closed(holdings), C::InitiateRefund { refund_id, milestone_id, amount, reason }) => {
            refund::initiate(holdings, *refund_id, *milestone_id, *amount, *reason)
        }
        (S::Open(holdings) | S::Closed(holdings), C::ReturnRelease { .. }) => {
            refund::return_release(holdings, command, context)
        }
        (S::Open(holdings) | S::Closed(holdings), C::Reallocate { .. }) => {
            reallocate::reallocate(holdings, command, context)
        }

        (S::Open(holdings) | S::Closed(holdings), C::PlaceDisputeHold { dispute_id, milestone_id, amount }) => {
            hold::place(holdings, *dispute_id, *milestone_id, *amount)
        }
        (S::Open(holdings) | S::Closed(holdings), C::LiftDisputeHold { dispute_id }) => {
            hold::lift(holdings, *dispute_id)
        }
        (S::Open(holdings), C::Freeze { reason, legal_ref }) => {
            hold::freeze(holdings, reason, legal_ref.as_deref(), context)
        }
        (S::Closed(_), C::Freeze { .. }) => {
            only_staff(context, "freeze an escrow")?;
            Err(Refusal::ContractWrongState { action: "frozen", state: "completed" })
        }
        (S::Open(holdings) | S::Closed(holdings), C::Unfreeze) => hold::unfreeze(holdings, context),
        (S::Open(holdings) | S::Closed(holdings), C::WarnOfHoldLimit { funding_id, days_left }) => {
            Ok(hold::warn(holdings, *funding_id, *days_left))
        }
        (S::Open(holdings) | S::Closed(holdings), C::ReachHoldLimit { funding_id }) => {
            hold::reach_limit(holdings, *funding_id)
        }
        (S::Open(holdings) | S::Closed(holdings), C::RefundAtHoldLimit { funding_id, milestone_id }) => {
            Ok(hold::refund_at_limit(holdings, *funding_id, Some(*milestone_id))?.into_iter().collect())
        }

        (S::Open(holdings), C::Close) => close(holdings, context),
        (S::Closed(_), C::Close) => Ok(Vec::new()),
        (S::Open(holdings) | S::Closed(holdings), C::BlockTimer { key, reason }) => {
            let (key, reason) = (key.clone(), reason.clone());
            Ok(vec![E::TimerBlocked { contract_id: holdings.contract_id, key, reason }])
        }
    }
}

/// What was deposited for no milestone goes back; what is held for one has to be dealt with first.
fn close(holdings: &Holdings, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
    let empty = holdings.milestones.values().all(|held| held.held.is_zero() && held.disputed.is_zero());
    if !empty {
        return Err(Refusal::ContractWrongState { action: "closed", state: "holding money" });
    }
    let mut events = refund::deposit_at_the_end(holdings)?;
    events.push(EscrowEvent::Closed {
        contract_id: holdings.contract_id,
        called_off: holdings.requested.keys().copied().collect(),
        closed_at: Some(context.now),
    });
    Ok(events)
}

/// The milestone's money, if some of it may leave it now.
fn movable(holdings: &Holdings, milestone_id: MilestoneId, amount: Minor) -> Result<&Holding, Refusal> {
    if holdings.frozen {
        return Err(Refusal::EscrowFrozen);
    }
    let Some(holding) = holdings.milestones.get(&milestone_id) else {
        return Err(Refusal::ExceedsHeld { held: Minor::ZERO });
    };
    undisputed(holdings, milestone_id)?;
    enough(amount, holding.held)?;
    Ok(holding)
}

/// Whether no dispute has locked money of the milestone.
fn undisputed(holdings: &Holdings, milestone_id: MilestoneId) -> Result<(), Refusal> {
    match holdings.disputes.iter().find(|(_, hold)| hold.milestone_id == milestone_id) {
        Some((dispute_id, _)) => Err(Refusal::MilestoneDisputed { dispute_id: *dispute_id }),
        None => Ok(()),
    }
}

/// Whether `amount` is something, and at most what is held.
fn enough(amount: Minor, held: Minor) -> Result<(), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    if amount > held { Err(Refusal::ExceedsHeld { held }) } else { Ok(()) }
}

fn only_client(holdings: &Holdings, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == holdings.client_id => Ok(()),
        actor if is_party(holdings, actor) => Err(Refusal::Forbidden { who: "client", action }),
        _ => Err(Refusal::NotAParty),
    }
}

fn only_payee(holdings: &Holdings, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(party) if party == holdings.payee_id => Ok(()),
        actor if is_party(holdings, actor) => Err(Refusal::Forbidden { who: "payee", action }),
        _ => Err(Refusal::NotAParty),
    }
}

fn is_party(holdings: &Holdings, actor: Actor) -> bool {
    actor.party().is_some_and(|party| party == holdings.client_id || party == holdings.payee_id)
}

/// Finance, moderators and administrators; support and auditors only read.
fn only_staff(context: &Context, action: &'static str) -> Result<(), Refusal> {
    if context.actor.may_hold_money() { Ok(()) } else { Err(Refusal::Forbidden { who: "staff", action }) }
}
