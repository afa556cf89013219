//! Rules of an escrow.

use std::collections::BTreeSet;

use ledger::{Minor, cumulative_part, earned_share};

use super::{Allocation, Escrow, EscrowCommand, EscrowEvent, Holdings, Lot, PspPlace, RejectionReason, ReleaseReason};
use crate::actor::Actor;
use crate::id::{FundingId, MilestoneId, ReleaseId};
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

/// Longest token of a payment method; Stripe's have about 27 characters.
const MAX_PAYMENT_METHOD_LENGTH: usize = 128;

pub(super) fn decide(escrow: &Escrow, command: &EscrowCommand, context: &Context) -> Result<Vec<EscrowEvent>, Refusal> {
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

        (S::Open(holdings), C::RequestFunding { funding_id, allocations, currency, payment_method }) => {
            only_client(holdings, context)?;
            if *currency != holdings.currency {
                return Err(Refusal::CurrencyMismatch { expected: holdings.currency, received: *currency });
            }
            request_funding(holdings, *funding_id, allocations, payment_method).map(|event| vec![event])
        }
        (S::Closed(holdings), C::RequestFunding { .. }) => {
            only_client(holdings, context)?;
            Err(Refusal::ContractWrongState { action: "funded", state: "completed" })
        }

        (S::Open(holdings), C::RecordFunding { funding_id, place }) => Ok(record_funding(holdings, *funding_id, place)),
        (S::Closed(holdings), C::RecordFunding { funding_id, .. }) => Ok(match holdings.requested.get(funding_id) {
            Some(_) => vec![rejected(holdings, *funding_id, RejectionReason::EscrowClosed)],
            // Held or rejected before: a fact told again.
            None => Vec::new(),
        }),

        (S::Open(holdings), C::Release { release_id, milestone_id, gross, reason }) => {
            release(holdings, *release_id, *milestone_id, *gross, *reason, context).map(|event| vec![event])
        }
        (S::Closed(_), C::Release { .. }) => Err(Refusal::ExceedsHeld { held: Minor::ZERO }),

        (S::Open(holdings), C::StopAwaiting { milestone_id }) => {
            let awaited = holdings.milestones.get(milestone_id).and_then(|holding| holding.awaited);
            Ok(match awaited.filter(|funding_id| holdings.requested.contains_key(funding_id)) {
                Some(funding_id) => {
                    let (contract_id, milestone_id) = (holdings.contract_id, *milestone_id);
                    vec![E::FundingAbandoned { contract_id, milestone_id, funding_id }]
                }
                None => Vec::new(),
            })
        }
        (S::Closed(_), C::StopAwaiting { .. }) => Ok(Vec::new()),

        (S::Open(holdings), C::Close) => {
            let empty = holdings.milestones.values().all(|held| held.held.is_zero() && held.disputed.is_zero());
            if !empty {
                return Err(Refusal::ContractWrongState { action: "closed", state: "holding money" });
            }
            Ok(vec![E::Closed { contract_id: holdings.contract_id }])
        }
        (S::Closed(_), C::Close) => Ok(Vec::new()),
    }
}

fn request_funding(
    holdings: &Holdings,
    funding_id: FundingId,
    wanted: &[(MilestoneId, Minor)],
    payment_method: &str,
) -> Result<EscrowEvent, Refusal> {
    let token_like = payment_method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if payment_method.is_empty() || payment_method.len() > MAX_PAYMENT_METHOD_LENGTH || !token_like {
        return Err(Refusal::invalid(
            "/payment_method",
            "must be a payment method token of the provider, like pm_1A2b",
        ));
    }
    // A card number is digits only; a token of the provider never is.
    if payment_method.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::invalid("/payment_method", "must be a token of the provider, never a card number"));
    }
    if wanted.is_empty() {
        return Err(Refusal::invalid("/allocations", "must name at least one milestone"));
    }
    let mut seen = BTreeSet::new();
    let mut allocations = Vec::with_capacity(wanted.len());
    let (mut total, mut client_fee) = (Minor::ZERO, Minor::ZERO);
    for (index, (milestone_id, amount)) in wanted.iter().enumerate() {
        if !seen.insert(*milestone_id) {
            return Err(Refusal::invalid(format!("/allocations/{index}/milestone_id"), "appears twice"));
        }
        if amount.is_zero() {
            return Err(Refusal::invalid(format!("/allocations/{index}/amount"), "must be greater than zero"));
        }
        if *amount > Minor::MAX_INPUT {
            return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
        }
        let fee = holdings.fee_schedule.client_fee.on(*amount)?;
        total = total.checked_add(*amount)?;
        client_fee = client_fee.checked_add(fee)?;
        allocations.push(Allocation { milestone_id: *milestone_id, amount: *amount, client_fee: fee });
    }
    let amount_due = total.checked_add(client_fee)?;
    let charge = holdings.currency.round_up_to_charge(amount_due)?;
    if charge > Minor::MAX_INPUT {
        return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
    }
    Ok(EscrowEvent::FundingRequested {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id,
        currency: holdings.currency,
        allocations,
        client_fee,
        amount_due,
        surplus_to_wallet: charge.checked_sub(amount_due)?,
        charge,
        payment_method: payment_method.to_owned(),
    })
}

fn record_funding(holdings: &Holdings, funding_id: FundingId, place: &PspPlace) -> Vec<EscrowEvent> {
    // Held or rejected before: a fact told again.
    let Some(requested) = holdings.requested.get(&funding_id) else {
        return Vec::new();
    };
    let awaited = requested.allocations.iter().all(|allocation| {
        holdings.milestones.get(&allocation.milestone_id).is_some_and(|holding| holding.awaited == Some(funding_id))
    });
    if !awaited {
        return vec![rejected(holdings, funding_id, RejectionReason::Superseded)];
    }
    vec![EscrowEvent::Funded {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id,
        currency: holdings.currency,
        allocations: requested.allocations.clone(),
        client_fee: requested.client_fee,
        surplus_to_wallet: requested.surplus_to_wallet,
        place: place.clone(),
    }]
}

fn release(
    holdings: &Holdings,
    release_id: ReleaseId,
    milestone_id: MilestoneId,
    gross: Minor,
    reason: ReleaseReason,
    context: &Context,
) -> Result<EscrowEvent, Refusal> {
    let Some(holding) = holdings.milestones.get(&milestone_id) else {
        return Err(Refusal::ExceedsHeld { held: Minor::ZERO });
    };
    if gross > holding.held {
        return Err(Refusal::ExceedsHeld { held: holding.held });
    }
    let fees = &holdings.fee_schedule;
    let payee_fee =
        cumulative_part(|basis| fees.payee_fee.on(basis), holding.released, gross, holding.payee_fee_taken)?;
    // Money that came after a release can make the share that is due smaller than what is earned: nothing is earned then,
    // and nothing is given back.
    let due = earned_share(holding.client_fee, holding.released.checked_add(gross)?, holding.funded, Minor::ZERO)?;
    let client_fee_earned = due.saturating_sub(holding.client_fee_earned);
    Ok(EscrowEvent::Released {
        release_id,
        contract_id: holdings.contract_id,
        milestone_id,
        payee_id: holdings.payee_id,
        client_id: holdings.client_id,
        currency: holdings.currency,
        reason,
        gross,
        payee_fee,
        client_fee_earned,
        net: gross.checked_sub(payee_fee)?,
        lots: first_in_first_out(&holding.lots, gross)?,
        clears_at: days_after(context.now, holdings.policy.clearance_days),
    })
}

/// The parts of `lots` that make up `amount`, oldest first.
fn first_in_first_out(lots: &[Lot], amount: Minor) -> Result<Vec<Lot>, Refusal> {
    let mut rest = amount;
    let mut used = Vec::new();
    for lot in lots {
        if rest.is_zero() {
            break;
        }
        let part = lot.amount.min(rest);
        used.push(Lot { funding_id: lot.funding_id, amount: part });
        rest = rest.checked_sub(part)?;
    }
    if rest.is_zero() { Ok(used) } else { Err(Refusal::Defect("the lots are less than what is held".to_owned())) }
}

fn rejected(holdings: &Holdings, funding_id: FundingId, reason: RejectionReason) -> EscrowEvent {
    EscrowEvent::FundingRejected { contract_id: holdings.contract_id, funding_id, reason }
}

fn only_client(holdings: &Holdings, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == holdings.client_id => Ok(()),
        actor if actor.party().is_some_and(|party| party == holdings.client_id || party == holdings.payee_id) => {
            Err(Refusal::Forbidden { who: "client", action: "pay into an escrow" })
        }
        _ => Err(Refusal::NotAParty),
    }
}
