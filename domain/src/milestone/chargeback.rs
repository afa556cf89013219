//! Rules of a milestone whose payment a bank disagrees with, or took back.
//!
//! # Invariants
//! - While a bank disagrees nothing happens to the milestone and no clock of it runs; it goes on with what was left.
//! - A question that was open, a dispute included, is open again afterwards.
//! - The end of the contract that came meanwhile is done when nothing rests any more, or nothing is left.
//! - Money that a bank took is a fact: it is taken off in every state.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::decide::{closing, left_of};
use super::evolve::prior;
use super::{DeferredEnd, LossCause, Milestone, MilestoneCommand, MilestoneEvent, Plan, PriorState, Progress};
use crate::contract::MilestoneOutcome;
use crate::id::ChargebackId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;

pub(super) fn decide(
    milestone: &Milestone,
    plan: &Plan,
    command: &MilestoneCommand,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    use {Milestone as S, MilestoneCommand as C, MilestoneEvent as E};
    let (contract_id, milestone_id) = (plan.contract_id, plan.milestone_id);
    match (milestone, command) {
        // Nothing of it is held, or it rests because of that one already.
        (S::NotPlanned | S::Planned { .. } | S::FundingPending { .. } | S::Cancelled { .. }, C::Suspend { .. }) => {
            Ok(Vec::new())
        }
        (S::Suspended { chargebacks, .. }, C::Suspend { chargeback_id }) if chargebacks.contains(chargeback_id) => {
            Ok(Vec::new())
        }
        (_, C::Suspend { chargeback_id }) => {
            let left = deadline(milestone, plan).map(|(due_at, days)| left_of(due_at, days, context.now));
            Ok(vec![E::Suspended { contract_id, milestone_id, chargeback_id: *chargeback_id, remaining_ms: left }])
        }

        (S::Suspended { chargebacks, remaining_ms, .. }, C::Resume { chargeback_id })
            if chargebacks.contains(chargeback_id) =>
        {
            let rests_on = chargebacks.len() > 1;
            let rest = remaining_ms.filter(|_| !rests_on).map(TimeDelta::milliseconds);
            let resumed = E::Resumed {
                contract_id,
                milestone_id,
                chargeback_id: *chargeback_id,
                rests_on,
                new_due_at: rest.and_then(|rest| context.now.checked_add_signed(rest)),
            };
            Ok(with_end(milestone, plan, resumed))
        }
        // It lost its money meanwhile, or never rested.
        (_, C::Resume { .. }) => Ok(Vec::new()),

        (_, C::RecordFundingLost { funding_id, cause, amount }) => {
            let Some(progress) = milestone.progress() else {
                return Err(Refusal::Defect("a milestone lost money that it never had".to_owned()));
            };
            let remaining = progress.held.checked_sub(*amount)?;
            let after = Progress { held: remaining, ..progress.clone() };
            // Nothing was released: it is to be paid for again, or given up. One that was over has been closed already.
            let can_close = after.releases > 0 && prior(milestone) != Some(PriorState::Released);
            let lost = E::FundingLost {
                contract_id,
                milestone_id,
                funding_id: *funding_id,
                cause: *cause,
                amount: *amount,
                remaining,
                closes: closing(&after, MilestoneOutcome::Released).filter(|_| can_close),
            };
            Ok(with_end(milestone, plan, lost))
        }

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

/// The event, and the end of the contract that was put off until it, where nothing rests after it.
fn with_end(milestone: &Milestone, plan: &Plan, event: MilestoneEvent) -> Vec<MilestoneEvent> {
    let Milestone::Suspended { end: Some(DeferredEnd { to, cause }), .. } = milestone else { return vec![event] };
    let mut after = milestone.clone();
    after.evolve(&event);
    let ended = super::refund::end(&after, plan, *to, *cause);
    [event].into_iter().chain(ended).collect()
}

/// The clock that runs, and the days that it has.
fn deadline(milestone: &Milestone, plan: &Plan) -> Option<(Timestamp, u16)> {
    match milestone {
        Milestone::Submitted { review_due_at, .. } => Some(((*review_due_at)?, plan.review_days)),
        Milestone::RefundPending { respond_by, .. } => Some(((*respond_by)?, plan.refund_request_days)),
        _ => None,
    }
}

/// Why nothing can be done with it, if a bank disagrees.
pub(super) fn why_suspended(milestone: &Milestone) -> Option<Refusal> {
    match milestone {
        Milestone::Suspended { chargebacks, .. } => {
            chargebacks.first().map(|id| Refusal::ChargeDisputed { chargeback_id: *id })
        }
        _ => None,
    }
}

pub(super) fn suspended(state: Milestone, chargeback_id: ChargebackId, remaining_ms: Option<i64>) -> Milestone {
    match state {
        Milestone::Suspended { prior, mut chargebacks, remaining_ms, end } => {
            chargebacks.insert(chargeback_id);
            Milestone::Suspended { prior, chargebacks, remaining_ms, end }
        }
        state => Milestone::Suspended {
            prior: Box::new(state),
            chargebacks: BTreeSet::from([chargeback_id]),
            remaining_ms,
            end: None,
        },
    }
}

pub(super) fn resumed(state: Milestone, chargeback_id: ChargebackId, new_due_at: Option<Timestamp>) -> Milestone {
    use Milestone as S;
    let (prior, mut chargebacks, remaining_ms, end) = match state {
        S::Suspended { prior, chargebacks, remaining_ms, end } => (prior, chargebacks, remaining_ms, end),
        state => return state,
    };
    chargebacks.remove(&chargeback_id);
    if !chargebacks.is_empty() {
        return S::Suspended { prior, chargebacks, remaining_ms, end };
    }
    match *prior {
        S::Submitted { progress, .. } => S::Submitted { progress, review_due_at: new_due_at },
        S::RefundPending { progress, refund_id, refunding, agreed, prior, .. } => {
            S::RefundPending { progress, refund_id, refunding, respond_by: new_due_at, agreed, prior }
        }
        state => state,
    }
}

/// What becomes of it when a bank took money, which is already off.
pub(super) fn after_loss(state: Milestone, cause: LossCause, closes: bool) -> Milestone {
    use Milestone as S;
    let Some(progress) = state.progress().cloned() else { return state };
    if closes {
        return S::Released { progress, by_time: false };
    }
    if progress.held.is_zero() {
        return match state {
            // Over before: late money was on its way back.
            S::Released { .. } | S::Refunded { .. } | S::Unfunded { .. } => state,
            _ if prior(&state) == Some(PriorState::Released) => S::Released { progress, by_time: false },
            _ if progress.releases > 0 => S::PartiallyReleased { progress, roll_forward: None },
            _ => S::Unfunded { progress, flag: cause, given_up: false },
        };
    }
    asked_for_less(state)
}

/// What was asked about more than there is, is asked about what there is.
fn asked_for_less(state: Milestone) -> Milestone {
    use Milestone as S;
    match state {
        S::RefundPending { progress, refund_id, refunding, respond_by, agreed, prior } => {
            let refunding = refunding.min(progress.held);
            S::RefundPending { progress, refund_id, refunding, respond_by, agreed, prior }
        }
        S::Suspended { prior, chargebacks, remaining_ms, end } => {
            S::Suspended { prior: Box::new(asked_for_less(*prior)), chargebacks, remaining_ms, end }
        }
        state => state,
    }
}
