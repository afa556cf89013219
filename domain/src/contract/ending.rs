//! Rules of beginning, resting and ending a contract that was accepted.
//!
//! # Invariants
//! - A contract that nothing was paid into can be given up by either side; one that holds money ends only by both, by
//!   time, or by its milestones being closed one by one. The payee who cancels one of which nothing was released gives
//!   back what is held: a wish to end it and the agreement at once. The client has to ask.
//! - While a payment is under way, a contract does not end: its deadline moves on by the time that a payment has.
//! - At the end, work under review and money in dispute stay what they are; the contract is over when they are.

use ledger::Minor;

use super::decide::{only_client, only_payee, role_of, wrong_state};
use super::dormancy::first_check_at;
use super::event::CancelStage;
use super::evolve::{DORMANCY, END_REQUEST, FIRST_FUNDING};
use super::terms::check_reference;
use super::{Agreement, Contract, ContractCommand, ContractEvent, DormantStage, Life, Parts, Role};
use crate::id::MilestoneId;
use crate::policy::{days_after, hours_after};
use crate::refusal::Refusal;
use crate::rules::Context;
use crate::time::Timestamp;
use crate::timer::restarted;

pub(super) fn decide(
    contract: &Contract,
    agreement: &Agreement,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use {Contract as S, ContractCommand as C, ContractEvent as E};
    let contract_id = agreement.contract_id;
    match (contract, command) {
        (S::PendingFunding { life, .. }, C::RecordFunding { funding_id }) => Ok(vec![E::Activated {
            contract_id,
            first_funding_id: *funding_id,
            dormancy_check_at: Some(first_check_at(life, context.now)),
        }]),
        // Later money changes nothing here.
        (S::Active { .. } | S::Paused { .. } | S::Dormant { .. } | S::Ending { .. }, C::RecordFunding { .. }) => {
            Ok(Vec::new())
        }
        (_, C::RecordFunding { .. }) => Err(wrong_state(contract, "funded")),

        (S::Draft { .. }, C::Cancel { reason, .. }) => {
            only_client(contract, context, "cancel a draft")?;
            check_reference(reason.as_deref(), "/reason")?;
            Ok(vec![E::Cancelled {
                contract_id,
                by: Some(Role::Client),
                reason: reason.clone(),
                stage: CancelStage::Draft,
                milestones: Vec::new(),
            }])
        }
        (S::PendingFunding { life, .. }, C::Cancel { reason, parts }) => {
            let by = role_of(contract, context, "cancel a contract")?;
            check_reference(reason.as_deref(), "/reason")?;
            if parts.payment_under_way() {
                return Err(Refusal::PaymentUnderWay);
            }
            Ok(vec![given_up(life, Some(by), reason.clone())])
        }
        (
            S::Active { life } | S::Paused { life, .. } | S::Ending { life, agreed: false, .. },
            C::Cancel { reason, parts },
        ) => {
            let by = role_of(contract, context, "cancel a contract")?;
            if by == Role::Client || was_released(life, parts) {
                return Err(wrong_state(contract, "cancelled"));
            }
            check_reference(reason.as_deref(), "/reason")?;
            if parts.payment_under_way() {
                return Err(Refusal::PaymentUnderWay);
            }
            let asked = matches!(contract, S::Ending { .. });
            let requested = (!asked).then(|| -> Result<_, Refusal> {
                Ok(E::EndRequested { contract_id, by, refund_requested: parts.refundable()?, respond_by: context.now })
            });
            let agreed = agreed(life, Some(by), parts, reason.clone())?;
            Ok(requested.transpose()?.into_iter().chain([agreed]).collect())
        }
        // A payee who gives a forgotten contract up is active.
        (S::Dormant { life, .. }, C::Cancel { parts, .. }) => {
            let by = role_of(contract, context, "cancel a contract")?;
            if by == Role::Client || was_released(life, parts) {
                return Err(wrong_state(contract, "cancelled"));
            }
            super::dormancy::revived(contract, command, context)
        }
        (_, C::Cancel { .. }) => {
            role_of(contract, context, "cancel a contract")?;
            Err(wrong_state(contract, "cancelled"))
        }
        (S::PendingFunding { life, .. }, C::LapseFunding { parts }) => Ok(vec![if parts.payment_under_way() {
            extended(life, FIRST_FUNDING, context)
        } else {
            given_up(life, None, None)
        }]),
        (_, C::LapseFunding { .. }) => Err(wrong_state(contract, "cancelled by time")),

        (S::Active { .. }, C::Pause { reason }) => {
            let by = role_of(contract, context, "pause a contract")?;
            check_reference(reason.as_deref(), "/reason")?;
            Ok(vec![E::Paused { contract_id, by, reason: reason.clone() }])
        }
        (_, C::Pause { .. }) => {
            role_of(contract, context, "pause a contract")?;
            Err(wrong_state(contract, "paused"))
        }
        (S::Paused { life, by }, C::Resume) => {
            super::decide::only(contract, context, *by, "resume this contract")?;
            Ok(vec![E::Resumed { contract_id, dormancy_check_at: first_check_at(life, context.now) }])
        }
        // Either side can say that a dormant contract is not forgotten.
        (S::Dormant { life, .. }, C::Resume) => {
            role_of(contract, context, "resume a contract")?;
            Ok(vec![E::Reactivated { contract_id, dormancy_check_at: first_check_at(life, context.now) }])
        }
        (_, C::Resume) => {
            role_of(contract, context, "resume a contract")?;
            Err(wrong_state(contract, "resumed"))
        }

        (S::Active { life } | S::Paused { life, .. }, C::RequestEnd { parts }) => {
            only_client(contract, context, "ask for the end of a contract")?;
            if parts.payment_under_way() {
                return Err(Refusal::PaymentUnderWay);
            }
            let requested = E::EndRequested {
                contract_id,
                by: Role::Client,
                refund_requested: parts.refundable()?,
                respond_by: days_after(context.now, life.terms.policy.end_request_days),
            };
            // Nothing is held: there is nothing that the payee would have to agree to give back.
            if parts.hold_money() {
                Ok(vec![requested])
            } else {
                Ok(vec![requested, agreed(life, Some(Role::Client), parts, None)?])
            }
        }
        // A party who wants to end it is active.
        (S::Dormant { .. }, C::RequestEnd { .. }) => {
            only_client(contract, context, "ask for the end of a contract")?;
            super::dormancy::revived(contract, command, context)
        }
        (_, C::RequestEnd { .. }) => {
            only_client(contract, context, "ask for the end of a contract")?;
            Err(wrong_state(contract, "ended"))
        }
        (S::Ending { life, agreed: false, .. }, C::AcceptEnd { parts }) => {
            only_payee(contract, context, "agree to the end of a contract")?;
            if parts.payment_under_way() {
                return Err(Refusal::PaymentUnderWay);
            }
            Ok(vec![agreed(life, Some(Role::Payee), parts, None)?])
        }
        (_, C::AcceptEnd { .. }) => {
            only_payee(contract, context, "agree to the end of a contract")?;
            Err(wrong_state(contract, "ended"))
        }
        (S::Ending { life, agreed: false, .. }, C::AgreeEndByTime { parts }) => {
            Ok(vec![if parts.payment_under_way() {
                extended(life, END_REQUEST, context)
            } else {
                agreed(life, None, parts, None)?
            }])
        }
        (_, C::AgreeEndByTime { .. }) => Err(wrong_state(contract, "ended by time")),

        (S::Ending { agreed: false, .. }, C::DisputeEnd) => {
            only_payee(contract, context, "dispute the end of a contract")?;
            Err(Refusal::NotSupported { what: "a dispute about the end of a contract; dispute its milestones instead" })
        }
        (_, C::DisputeEnd) => {
            only_payee(contract, context, "dispute the end of a contract")?;
            Err(wrong_state(contract, "disputed"))
        }

        (_, C::CloseMilestone { .. }) => close(contract, command, context),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

fn close(contract: &Contract, command: &ContractCommand, context: &Context) -> Result<Vec<ContractEvent>, Refusal> {
    let ContractCommand::CloseMilestone { milestone_id, outcome, released, refunded, parts } = command else {
        return Err(Refusal::Defect("not the end of a milestone".to_owned()));
    };
    let life = match contract {
        Contract::PendingFunding { life, .. }
        | Contract::Active { life }
        | Contract::Paused { life, .. }
        | Contract::Dormant { life, .. }
        | Contract::Ending { life, .. } => life,
        // Its milestones end because it was cancelled.
        Contract::Cancelled { .. } => return Ok(Vec::new()),
        _ => return Err(wrong_state(contract, "relieved of a milestone")),
    };
    if life.closed.contains_key(milestone_id) {
        return Ok(Vec::new());
    }
    if !life.agreement.milestones.iter().any(|plan| plan.milestone_id == *milestone_id) {
        return Err(Refusal::NotFound { what: "milestone" });
    }
    let contract_id = life.agreement.contract_id;
    let mut events = vec![ContractEvent::MilestoneClosed {
        contract_id,
        milestone_id: *milestone_id,
        outcome: *outcome,
        released: *released,
        refunded: *refunded,
    }];
    // The keys of `closed` are milestones of the agreement, so that this one makes it complete or not.
    if life.closed.len().saturating_add(1) < life.agreement.milestones.len() {
        return Ok(events);
    }
    // Of each as it is now: money can come when a milestone is over, and goes back.
    let released_total = life
        .closed
        .iter()
        .map(|(id, closed)| parts.of(*id).map_or(closed.released, |part| part.released))
        .try_fold(*released, Minor::checked_add)?;
    let refunded_total = life
        .closed
        .iter()
        .map(|(id, closed)| parts.of(*id).map_or(closed.refunded, |part| part.refunded))
        .try_fold(*refunded, Minor::checked_add)?;
    events.push(match contract {
        Contract::PendingFunding { .. } => ContractEvent::Cancelled {
            contract_id,
            by: None,
            reason: None,
            stage: CancelStage::BeforeFunding,
            milestones: Vec::new(),
        },
        Contract::Ending { .. } if released_total.is_zero() => ContractEvent::Cancelled {
            contract_id,
            by: None,
            reason: None,
            stage: CancelStage::Ended,
            milestones: Vec::new(),
        },
        _ => ContractEvent::Completed { contract_id, released_total, refunded_total, completed_at: context.now },
    });
    Ok(events)
}

fn given_up(life: &Life, by: Option<Role>, reason: Option<String>) -> ContractEvent {
    ContractEvent::Cancelled {
        contract_id: life.agreement.contract_id,
        by,
        reason,
        stage: CancelStage::BeforeFunding,
        milestones: open_ids(life),
    }
}

fn agreed(life: &Life, by: Option<Role>, parts: &Parts, reason: Option<String>) -> Result<ContractEvent, Refusal> {
    Ok(ContractEvent::EndAgreed {
        contract_id: life.agreement.contract_id,
        by,
        refund_total: parts.refundable()?,
        milestones: open_ids(life),
        reason,
    })
}

/// Whether the payee has got anything of it.
fn was_released(life: &Life, parts: &Parts) -> bool {
    life.closed.values().any(|closed| !closed.released.is_zero())
        || parts.milestones.iter().any(|part| !part.released.is_zero())
}

/// A payment that is under way ends within the time that it has: then the deadline is looked at again.
fn extended(life: &Life, key: &str, context: &Context) -> ContractEvent {
    ContractEvent::DeadlineExtended {
        contract_id: life.agreement.contract_id,
        key: key.to_owned(),
        due_at: hours_after(context.now, life.terms.policy.funding_intent_hours),
    }
}

/// The deadline that runs, with what was left of it when the escrow was frozen. The days of an active contract count from
/// now: whoever lets the money move again is active. Where somebody should have looked in between, the next look is set.
pub(super) fn after_freeze(contract: &Contract, stopped_at: Timestamp, context: &Context) -> Option<ContractEvent> {
    let (life, due_at, days, key) = match contract {
        Contract::Ending { life, respond_by, agreed: false } => {
            (life, (*respond_by)?, life.terms.policy.end_request_days, END_REQUEST)
        }
        Contract::Dormant { life, stage, due_at } => {
            let days = &life.terms.policy.dormancy;
            let whole = match stage {
                DormantStage::ClientAsked => days.escalate_days,
                DormantStage::PayeeAsked => days.request_days,
                DormantStage::ReleaseRequested => days.default_days,
            };
            (life, (*due_at)?, whole, DORMANCY)
        }
        Contract::Active { life } => {
            let clock = life.dormancy.as_ref()?;
            let missed = clock.due_at.is_some_and(|due_at| due_at <= context.now);
            return missed.then(|| ContractEvent::DormancyPostponed {
                contract_id: life.agreement.contract_id,
                counted_from: context.now,
                next_at: first_check_at(life, context.now),
            });
        }
        _ => return None,
    };
    Some(ContractEvent::DeadlineExtended {
        contract_id: life.agreement.contract_id,
        key: key.to_owned(),
        due_at: restarted(due_at, days, stopped_at, context.now),
    })
}

/// The milestones that are not over.
pub(super) fn open_ids(life: &Life) -> Vec<MilestoneId> {
    life.open_milestones().map(|plan| plan.milestone_id).collect()
}
