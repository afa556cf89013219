//! Rules of what a milestone is worth and how it is paid for.
//!
//! # Invariants
//! - A milestone is paid for whole: the first time its amount, after an amendment exactly what is missing.
//! - One payment at a time.
//! - Money that the escrow holds for a milestone is never refused: when the milestone is over, it goes back at once.

use ledger::Minor;

use super::decide::{closing, role_of, wrong_state};
use super::refund::agreed;
use super::{Milestone, MilestoneCommand, MilestoneEvent, Plan, Progress, RefundConsent};
use crate::actor::Actor;
use crate::contract::MilestoneOutcome;
use crate::id::FundingId;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    milestone: &Milestone,
    plan: &Plan,
    command: &MilestoneCommand,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    use {Milestone as S, MilestoneCommand as C, MilestoneEvent as E};
    let (contract_id, milestone_id) = (plan.contract_id, plan.milestone_id);
    match (milestone, command) {
        (_, C::Amend { amount, due_at, review_days }) => {
            check_amendment(milestone, plan, *amount)?;
            let funded = milestone.progress().map_or(Minor::ZERO, Progress::paid_in);
            Ok(vec![E::Amended {
                contract_id,
                milestone_id,
                amount: *amount,
                due_at: *due_at,
                review_days: *review_days,
                missing: amount.saturating_sub(funded),
            }])
        }

        (_, C::RequestFunding { contract_id: named, pointer, .. }) if *named != contract_id => {
            Err(Refusal::invalid(pointer, "no such milestone of this contract"))
        }
        (_, C::RequestFunding { funding_id, amount, pointer, .. }) => {
            let missing = payable(milestone)?;
            if *amount != missing {
                return Err(Refusal::invalid(pointer, format!("a milestone is funded whole: {missing} minor units")));
            }
            Ok(vec![E::FundingRequested { contract_id, milestone_id, funding_id: *funding_id, amount: *amount }])
        }

        (
            S::Released { .. } | S::Refunded { .. } | S::Cancelled { .. } | S::Unfunded { given_up: true, .. },
            C::RecordFunded { funding_id, amount },
        ) => {
            let progress = milestone.progress();
            Ok(vec![funded(plan, *funding_id, *amount), agreed(plan, progress, *amount, RefundConsent::TooLate)])
        }
        (_, C::RecordFunded { funding_id, amount }) => Ok(vec![funded(plan, *funding_id, *amount)]),

        (S::FundingPending { funding_id: pending, .. }, C::RecordFundingFailure { funding_id, reason })
            if pending == funding_id =>
        {
            Ok(vec![E::FundingFailed {
                contract_id,
                milestone_id,
                funding_id: *funding_id,
                reason: reason.clone(),
                closes: None,
            }])
        }
        (state, C::RecordFundingFailure { funding_id, reason })
            if state.progress().is_some_and(|progress| progress.paying == Some(*funding_id)) =>
        {
            // A milestone whose question is still open is not over by this.
            let can_close =
                matches!(state, S::Funded { .. } | S::ChangesRequested { .. } | S::PartiallyReleased { .. });
            let closes = state.progress().filter(|_| can_close).and_then(|progress| {
                let after = Progress { paying: None, ..progress.clone() };
                let outcome = if after.releases > 0 { MilestoneOutcome::Released } else { MilestoneOutcome::Refunded };
                closing(&after, outcome)
            });
            Ok(vec![E::FundingFailed {
                contract_id,
                milestone_id,
                funding_id: *funding_id,
                reason: reason.clone(),
                closes,
            }])
        }
        // The milestone does not wait for that money any more: a failure of it is no news here.
        (_, C::RecordFundingFailure { .. }) => Ok(Vec::new()),

        (_, C::Cancel) => {
            if !matches!(context.actor, Actor::System(_)) {
                role_of(plan, context, "cancel a milestone")?;
            }
            match milestone {
                S::Unfunded { progress, given_up: false, .. } if progress.paying.is_some() => {
                    Err(Refusal::PaymentUnderWay)
                }
                S::Planned { .. } => Ok(vec![E::Cancelled { contract_id, milestone_id, refunded: Minor::ZERO }]),
                S::Unfunded { progress, given_up: false, .. } => {
                    Ok(vec![E::Cancelled { contract_id, milestone_id, refunded: progress.refunded }])
                }
                S::FundingPending { .. } => Err(Refusal::PaymentUnderWay),
                _ => Err(wrong_state(milestone, "cancelled")),
            }
        }

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

/// What the client can pay in now.
fn payable(milestone: &Milestone) -> Result<Minor, Refusal> {
    match milestone {
        Milestone::Planned { plan } => Ok(plan.amount),
        Milestone::Funded { progress }
        | Milestone::Submitted { progress, .. }
        | Milestone::ChangesRequested { progress }
        | Milestone::Unfunded { progress, given_up: false, .. }
        | Milestone::PartiallyReleased { progress, .. } => {
            if progress.paying.is_some() {
                return Err(Refusal::PaymentUnderWay);
            }
            let missing = progress.missing();
            if missing.is_zero() { Err(wrong_state(milestone, "funded")) } else { Ok(missing) }
        }
        Milestone::Disputed { dispute_id, .. } => Err(Refusal::MilestoneDisputed { dispute_id: *dispute_id }),
        _ => Err(wrong_state(milestone, "funded")),
    }
}

fn check_amendment(milestone: &Milestone, plan: &Plan, amount: Minor) -> Result<(), Refusal> {
    match milestone {
        Milestone::Planned { .. } => Ok(()),
        Milestone::FundingPending { .. } if amount == plan.amount => Ok(()),
        Milestone::FundingPending { .. } => Err(Refusal::PaymentUnderWay),
        Milestone::Funded { progress }
        | Milestone::Submitted { progress, .. }
        | Milestone::ChangesRequested { progress }
        | Milestone::Unfunded { progress, given_up: false, .. }
        | Milestone::PartiallyReleased { progress, .. } => {
            if progress.paying.is_some() && amount != plan.amount {
                return Err(Refusal::PaymentUnderWay);
            }
            let funded = progress.paid_in();
            if amount < funded {
                let message = format!("must be at least what was paid in: {funded} minor units");
                return Err(Refusal::invalid("/amount", message));
            }
            Ok(())
        }
        Milestone::Disputed { dispute_id, .. } => Err(Refusal::MilestoneDisputed { dispute_id: *dispute_id }),
        _ => Err(wrong_state(milestone, "amended")),
    }
}

fn funded(plan: &Plan, funding_id: FundingId, amount: Minor) -> MilestoneEvent {
    MilestoneEvent::Funded { contract_id: plan.contract_id, milestone_id: plan.milestone_id, funding_id, amount }
}
