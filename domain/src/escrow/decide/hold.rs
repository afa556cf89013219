//! Money that may not move: disputes, freezes, and the limits of payment providers.

use ledger::Minor;

use super::refund::of_lots;
use super::{after, enough, only_staff, undisputed};
use crate::escrow::{EscrowEvent, Holdings, Lot, RefundReason, lots};
use crate::id::{DisputeId, FundingId, MilestoneId, RefundId};
use crate::policy::HoldAction;
use crate::refusal::Refusal;
use crate::rules::Context;

/// Longest code of a reason.
const MAX_REASON_LENGTH: usize = 64;

/// Longest reference of a legal order.
const MAX_LEGAL_REF_LENGTH: usize = 128;

pub(super) fn place(
    holdings: &Holdings,
    dispute_id: DisputeId,
    milestone_id: MilestoneId,
    amount: Minor,
) -> Result<Vec<EscrowEvent>, Refusal> {
    match holdings.disputes.get(&dispute_id) {
        Some(hold) if hold.milestone_id == milestone_id => return Ok(Vec::new()),
        // Whoever asks believes that the money is locked: it must not stay free in silence.
        Some(_) => return Err(another_dispute()),
        None if holdings.done.disputes.contains(&dispute_id) => return Err(another_dispute()),
        None => {}
    }
    let Some(holding) = holdings.milestone(milestone_id) else {
        return Err(Refusal::ExceedsHeld { held: Minor::ZERO });
    };
    // At most one open dispute per milestone.
    undisputed(holdings, milestone_id)?;
    enough(amount, holding.held)?;
    Ok(vec![EscrowEvent::DisputeHoldPlaced {
        dispute_id,
        contract_id: holdings.contract_id,
        milestone_id,
        currency: holdings.currency,
        amount,
        lots: lots::newest(&holding.lots, amount)?,
    }])
}

fn another_dispute() -> Refusal {
    Refusal::invalid("/dispute_id", "is the id of another dispute")
}

pub(super) fn lift(holdings: &Holdings, dispute_id: DisputeId) -> Result<Vec<EscrowEvent>, Refusal> {
    if holdings.done.disputes.contains(&dispute_id) {
        return Ok(Vec::new());
    }
    let Some(hold) = holdings.disputes.get(&dispute_id) else {
        return Err(Refusal::NotFound { what: "dispute" });
    };
    Ok(vec![EscrowEvent::DisputeHoldLifted {
        dispute_id,
        contract_id: holdings.contract_id,
        milestone_id: hold.milestone_id,
        currency: holdings.currency,
        amount: Minor::sum(hold.lots.iter().map(|lot| lot.amount))?,
        lots: hold.lots.clone(),
    }])
}

pub(super) fn freeze(
    holdings: &Holdings,
    reason: &str,
    legal_ref: Option<&str>,
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    only_staff(holdings, context, "freeze an escrow")?;
    let is_code = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if reason.is_empty() || reason.len() > MAX_REASON_LENGTH || !is_code {
        return Err(Refusal::invalid("/reason", "must be a code of lower-case letters, like court_order"));
    }
    let usable = |text: &str| !text.is_empty() && text.len() <= MAX_LEGAL_REF_LENGTH && !text.contains('\0');
    if !legal_ref.is_none_or(usable) {
        return Err(Refusal::invalid("/legal_ref", "must have 1 to 128 characters"));
    }
    if holdings.frozen {
        return Err(Refusal::EscrowFrozen);
    }
    Ok(vec![EscrowEvent::Frozen {
        contract_id: holdings.contract_id,
        reason: reason.to_owned(),
        legal_ref: legal_ref.map(str::to_owned),
        frozen_at: Some(context.now),
    }])
}

pub(super) fn unfreeze(holdings: &Holdings, context: &Context) -> Result<EscrowEvent, Refusal> {
    only_staff(holdings, context, "unfreeze an escrow")?;
    if !holdings.frozen {
        return Err(Refusal::EscrowNotFrozen);
    }
    let held = holdings.milestones.iter().filter(|(_, held)| !held.held.is_zero() || !held.disputed.is_zero());
    Ok(EscrowEvent::Unfrozen {
        contract_id: holdings.contract_id,
        frozen_at: holdings.frozen_at,
        milestones: held.map(|(id, _)| *id).collect(),
    })
}

pub(super) fn warn(holdings: &Holdings, funding_id: FundingId, days_left: u16) -> Vec<EscrowEvent> {
    let limit = holdings.fundings.get(&funding_id).and_then(|funding| funding.hold_limit.as_ref());
    match limit.filter(|limit| limit.warn_days.contains(&days_left)) {
        Some(limit) => {
            let mut rest = limit.clone();
            rest.warn_days.retain(|days| *days < days_left);
            vec![EscrowEvent::HoldLimitWarned {
                contract_id: holdings.contract_id,
                funding_id,
                days_left,
                limit_at: limit.limit_at,
                next_at: rest.first_at(),
            }]
        }
        // Warned before.
        None => Vec::new(),
    }
}

/// What is locked by a dispute stays, whatever the policy says; and while the escrow is frozen, all does.
pub(super) fn reach_limit(holdings: &Holdings, funding_id: FundingId) -> Result<Vec<EscrowEvent>, Refusal> {
    let limited = holdings.fundings.get(&funding_id).is_some_and(|funding| funding.hold_limit.is_some());
    let amount = holdings.remaining_of(funding_id);
    if !limited || amount.is_zero() {
        return Ok(Vec::new());
    }
    let action = if holdings.frozen { HoldAction::Operator } else { holdings.policy.psp_hold.action };
    let holds =
        |lots: &[lots::HeldLot]| lots.iter().any(|lot| lot.funding_id == funding_id && !lot.remaining().is_zero());
    let mut events = vec![EscrowEvent::HoldLimitReached {
        contract_id: holdings.contract_id,
        funding_id,
        action,
        amount,
        milestones: holdings.milestones.iter().filter(|(_, held)| holds(&held.lots)).map(|(id, _)| *id).collect(),
    }];
    // Whether work was submitted is the milestone's to say: it answers with an approval or with
    // `RefundAtHoldLimit`. A deposit is for no work yet.
    let milestones = holdings.milestones.keys().map(|id| Some(*id));
    let places: Vec<_> = match action {
        HoldAction::Refund => milestones.chain([None]).collect(),
        HoldAction::ReleaseIfSubmitted => vec![None],
        HoldAction::Operator => Vec::new(),
    };
    for place in places {
        let so_far = after(holdings, &events)?;
        events.extend(refund_at_limit(&so_far, funding_id, place)?);
    }
    Ok(events)
}

/// What of a funding lies free in that place goes back, if anything does.
pub(super) fn refund_at_limit(
    holdings: &Holdings,
    funding_id: FundingId,
    milestone_id: Option<MilestoneId>,
) -> Result<Option<EscrowEvent>, Refusal> {
    if holdings.frozen {
        return Err(Refusal::EscrowFrozen);
    }
    // What a bank disagrees with stays until that is decided.
    let contested = milestone_id.is_some_and(|id| holdings.rests(id));
    if contested || holdings.chargeback_of(funding_id).is_some() {
        return Ok(None);
    }
    let lots = match milestone_id.map(|id| holdings.milestone(id)) {
        None => holdings.unallocated.as_slice(),
        Some(Some(holding)) if holding.disputed.is_zero() => holding.lots.as_slice(),
        Some(_) => return Ok(None),
    };
    let Some(lot) = lots.iter().find(|lot| lot.funding_id == funding_id && !lot.free().is_zero()) else {
        return Ok(None);
    };
    let place = milestone_id.map_or_else(|| "deposit".to_owned(), |id| id.to_string());
    let refund_id = RefundId::derived(funding_id.as_uuid(), &format!("psp_hold/{place}"));
    let part = vec![Lot { funding_id, amount: lot.free() }];
    of_lots(holdings, refund_id, milestone_id, part, RefundReason::HoldLimit).map(Some)
}
