//! Rules of an escrow, by what they are about.

mod chargeback;
mod funding;
mod gratuity;
mod hold;
mod reallocate;
mod refund;
mod release;

pub(crate) use funding::{check_payment_method, small_enough};
use ledger::Minor;

use super::{Escrow, EscrowCommand, EscrowEvent, Holding, Holdings, RefundReason};
use crate::actor::Actor;
use crate::id::{FundingId, MilestoneId};
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
    let (billed, command) = match command {
        C::OfPair { billed, command } => (Some(*billed), command.as_ref()),
        command => (None, command),
    };
    let (failed, command): (&[FundingId], _) = match command {
        C::AfterFailed { failed, command } => (failed.as_slice(), command.as_ref()),
        command => (&[], command),
    };
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

        (S::Open(holdings), C::RequestFunding { .. }) => funding::request(holdings, command, billed, failed, context),
        (S::Closed(holdings), C::RequestFunding { .. }) => {
            only_client(holdings, context, "pay into an escrow")?;
            Err(Refusal::ContractWrongState { action: "funded", state: "completed" })
        }
        (S::Open(holdings), C::RecordFunding { .. }) => Ok(funding::record(holdings, command, context)),
        (S::Closed(holdings), C::RecordFunding { funding_id, .. }) => {
            Ok(funding::record_after_the_end(holdings, *funding_id))
        }
        (S::Open(holdings), C::RecordWalletFunding { .. }) => Ok(funding::record_wallet(holdings, command)),
        // Told again; or a payment of ours, which is refused with all that it would do.
        (S::Closed(holdings), C::RecordWalletFunding { funding_id, .. }) => match holdings.fundings.get(funding_id) {
            Some(_) => Ok(Vec::new()),
            None => Err(Refusal::ContractWrongState { action: "funded", state: "completed" }),
        },
        (S::Open(holdings) | S::Closed(holdings), C::RequestGratuity { .. }) => {
            gratuity::request(holdings, command, billed, context)
        }

        (S::Open(holdings) | S::Closed(holdings), C::Release { .. }) => {
            release::release(holdings, command, billed, context)
        }
        (_, C::OfPair { .. } | C::AfterFailed { .. }) => {
            Err(Refusal::Defect("a request of a pair in another".to_owned()))
        }
        (S::Open(holdings) | S::Closed(holdings), C::InitiateRefund { refund_id, milestone_id, amount, reason }) => {
            // Money that came too late was taken all the same; the milestone asks again when it may leave.
            if holdings.frozen && *reason == RefundReason::TooLate {
                return Ok(Vec::new());
            }
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
        (S::Closed(holdings), C::Freeze { .. }) => {
            only_staff(holdings, context, "freeze an escrow")?;
            Err(Refusal::ContractWrongState { action: "frozen", state: "completed" })
        }
        (S::Open(holdings), C::Unfreeze) => Ok(vec![hold::unfreeze(holdings, context)?]),
        (S::Closed(holdings), C::Unfreeze) => {
            let mut events = vec![hold::unfreeze(holdings, context)?];
            events.extend(refund::deposit_at_the_end(&after(holdings, &events)?)?);
            Ok(events)
        }
        (S::Open(holdings) | S::Closed(holdings), C::WarnOfHoldLimit { funding_id, days_left }) => {
            Ok(hold::warn(holdings, *funding_id, *days_left))
        }
        (S::Open(holdings) | S::Closed(holdings), C::ReachHoldLimit { funding_id }) => {
            hold::reach_limit(holdings, *funding_id)
        }
        (S::Open(holdings) | S::Closed(holdings), C::RefundAtHoldLimit { funding_id, milestone_id }) => {
            Ok(hold::refund_at_limit(holdings, *funding_id, Some(*milestone_id))?.into_iter().collect())
        }

        (S::Open(holdings) | S::Closed(holdings), C::NoteChargeback { chargeback_id, funding_id, inquiry }) => {
            Ok(chargeback::note(holdings, *chargeback_id, *funding_id, *inquiry))
        }
        (S::Open(holdings) | S::Closed(holdings), C::HoldForChargeback { chargeback_id, amount }) => {
            chargeback::hold(holdings, *chargeback_id, *amount)
        }
        (
            state @ (S::Open(holdings) | S::Closed(holdings)),
            C::AbsorbChargeback { chargeback_id, funding_id, amount },
        ) => chargeback::absorb(holdings, *chargeback_id, *funding_id, *amount, matches!(state, S::Closed(_))),
        (state @ (S::Open(holdings) | S::Closed(holdings)), C::ClearChargeback { chargeback_id }) => {
            chargeback::clear(holdings, *chargeback_id, matches!(state, S::Closed(_)))
        }
        (S::Open(holdings) | S::Closed(holdings), C::RecordFundingReturn { funding_id, amount, place }) => {
            chargeback::return_funding(holdings, *funding_id, *amount, place)
        }

        (S::Open(holdings), C::Close) => close(holdings, context),
        (S::Closed(_), C::Close) => Ok(Vec::new()),
        (S::Open(holdings) | S::Closed(holdings), C::BlockTimer { key, reason }) => {
            let (key, reason) = (key.clone(), reason.clone());
            Ok(vec![E::TimerBlocked { contract_id: holdings.contract_id, key, reason }])
        }
    }
}

/// What was deposited for no milestone goes back; what is held for one has to be dealt with first. While the escrow is
/// frozen, a contract can still come to its end, by a payment that fails: then the deposit, and money that came too late,
/// stay until it is not frozen any more.
fn close(holdings: &Holdings, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
    let empty = holdings.milestones.values().all(|held| held.held.is_zero() && held.disputed.is_zero());
    if !empty && !holdings.frozen {
        return Err(Refusal::ContractWrongState { action: "closed", state: "holding money" });
    }
    let mut events = if holdings.frozen { Vec::new() } else { refund::deposit_at_the_end(holdings)? };
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

/// Whether neither a dispute has locked money of the milestone, nor does a bank disagree with a payment for it.
fn undisputed(holdings: &Holdings, milestone_id: MilestoneId) -> Result<(), Refusal> {
    if let Some(chargeback_id) = holdings.chargeback_on(milestone_id) {
        return Err(Refusal::ChargeDisputed { chargeback_id });
    }
    match holdings.disputes.iter().find(|(_, hold)| hold.milestone_id == milestone_id) {
        Some((dispute_id, _)) => Err(Refusal::MilestoneDisputed { dispute_id: *dispute_id }),
        None => Ok(()),
    }
}

/// Whether no bank disagrees with any of these payments.
fn uncontested(holdings: &Holdings, fundings: impl IntoIterator<Item = FundingId>) -> Result<(), Refusal> {
    match fundings.into_iter().find_map(|funding_id| holdings.chargeback_of(funding_id)) {
        Some(chargeback_id) => Err(Refusal::ChargeDisputed { chargeback_id }),
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

/// Whether so much of the deposit may leave it: what a bank has locked of it does not.
fn enough_of_deposit(holdings: &Holdings, amount: Minor) -> Result<(), Refusal> {
    enough(amount, holdings.unallocated_amount())?;
    let free = Minor::sum(holdings.unallocated.iter().map(super::lots::HeldLot::free))?;
    if amount > free { uncontested(holdings, holdings.unallocated.iter().map(|lot| lot.funding_id)) } else { Ok(()) }
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
fn only_staff(holdings: &Holdings, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        actor if actor.may_hold_money() => Ok(()),
        // Somebody else's escrow is nobody's business.
        actor if actor.party().is_some() && !is_party(holdings, actor) => Err(Refusal::NotAParty),
        _ => Err(Refusal::Forbidden { who: "staff", action }),
    }
}
