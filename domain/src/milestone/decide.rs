//! Rules of a milestone.

use ledger::Minor;

use super::{ApprovalReason, Milestone, MilestoneCommand, MilestoneEvent, Plan};
use crate::actor::Actor;
use crate::id::ReleaseId;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(
    milestone: &Milestone,
    command: &MilestoneCommand,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    use {Milestone as S, MilestoneCommand as C, MilestoneEvent as E};
    match (milestone, command) {
        (S::NotPlanned, C::Plan { plan }) => Ok(vec![E::Planned { plan: plan.clone() }]),
        (S::NotPlanned, C::RequestFunding { pointer, .. }) => {
            Err(Refusal::invalid(pointer, "no such milestone of this contract"))
        }
        (S::NotPlanned, _) => Err(Refusal::NotFound { what: "milestone" }),
        (state, C::Plan { .. }) => Err(wrong_state(state, "planned")),

        (state, C::RequestFunding { contract_id, pointer, .. })
            if state.plan().is_some_and(|plan| plan.contract_id != *contract_id) =>
        {
            Err(Refusal::invalid(pointer, "no such milestone of this contract"))
        }
        (S::Planned { plan }, C::RequestFunding { funding_id, amount, pointer, .. }) => {
            if *amount != plan.amount {
                let expected = plan.amount;
                return Err(Refusal::invalid(pointer, format!("a milestone is funded whole: {expected} minor units")));
            }
            Ok(vec![E::FundingRequested {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                funding_id: *funding_id,
                amount: *amount,
            }])
        }
        (state, C::RequestFunding { .. }) => Err(wrong_state(state, "funded")),

        // Money that arrives after a failure is welcome as long as no other money is on its way.
        (S::Planned { plan }, C::RecordFunded { funding_id, amount }) => Ok(vec![funded(plan, *funding_id, *amount)]),
        (S::FundingPending { plan, funding_id: pending }, C::RecordFunded { funding_id, amount })
            if pending == funding_id =>
        {
            Ok(vec![funded(plan, *funding_id, *amount)])
        }
        (state, C::RecordFunded { .. }) => Err(wrong_state(state, "funded")),

        (S::FundingPending { plan, funding_id: pending }, C::RecordFundingFailure { funding_id, reason })
            if pending == funding_id =>
        {
            Ok(vec![E::FundingFailed {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                funding_id: *funding_id,
                reason: reason.clone(),
            }])
        }
        // The milestone does not wait for that money any more: a failure of it is no news here.
        (_, C::RecordFundingFailure { .. }) => Ok(Vec::new()),

        (S::Funded { plan, .. }, C::SubmitWork) => {
            only_payee(plan, context)?;
            Ok(vec![E::WorkSubmitted {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                submission_no: 1,
                review_due_at: days_after(context.now, plan.review_days),
            }])
        }
        (S::Planned { plan } | S::FundingPending { plan, .. }, C::SubmitWork) => {
            only_payee(plan, context)?;
            Err(Refusal::MilestoneNotFunded)
        }
        (state, C::SubmitWork) => {
            state.plan().map_or(Ok(()), |plan| only_payee(plan, context))?;
            Err(wrong_state(state, "submitted"))
        }

        (S::Funded { plan, held }, C::Approve { amount, currency }) => {
            approve(plan, *held, None, *amount, *currency, context)
        }
        (S::Submitted { plan, held, submission_no, .. }, C::Approve { amount, currency }) => {
            approve(plan, *held, Some(*submission_no), *amount, *currency, context)
        }
        (S::Approved { plan, .. } | S::Released { plan, .. }, C::Approve { .. }) => {
            only_client(plan, context)?;
            Err(Refusal::MilestoneAlreadyApproved)
        }
        (S::Planned { plan } | S::FundingPending { plan, .. }, C::Approve { .. }) => {
            only_client(plan, context)?;
            Err(Refusal::MilestoneNotFunded)
        }

        (S::Submitted { plan, held, submission_no, review_due_at }, C::AutoApprove) => Ok(vec![E::AutoApproved {
            contract_id: plan.contract_id,
            milestone_id: plan.milestone_id,
            submission_no: *submission_no,
            gross: *held,
            release_id: release_id(plan),
            due_at: review_due_at.unwrap_or(context.now),
        }]),
        (state, C::AutoApprove) => Err(wrong_state(state, "approved by time")),

        (S::Approved { plan, gross: approved }, C::RecordRelease { release_id, gross, net }) if approved == gross => {
            Ok(vec![E::Released {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                release_id: *release_id,
                gross: *gross,
                net: *net,
                remaining: Minor::ZERO,
            }])
        }
        (state, C::RecordRelease { .. }) => Err(wrong_state(state, "released")),

        (state, C::BlockTimer { key, reason }) => match state.plan() {
            Some(plan) => Ok(vec![E::TimerBlocked {
                contract_id: plan.contract_id,
                milestone_id: plan.milestone_id,
                key: key.clone(),
                reason: reason.clone(),
            }]),
            None => Err(Refusal::NotFound { what: "milestone" }),
        },
    }
}

fn approve(
    plan: &Plan,
    held: Minor,
    submission_no: Option<u32>,
    amount: Option<Minor>,
    currency: Option<ledger::Currency>,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    only_client(plan, context)?;
    if let Some(received) = currency.filter(|currency| *currency != plan.currency) {
        return Err(Refusal::CurrencyMismatch { expected: plan.currency, received });
    }
    let gross = amount.unwrap_or(held);
    if gross > held {
        return Err(Refusal::ExceedsHeld { held });
    }
    if gross < held {
        return Err(Refusal::invalid("/amount", format!("a milestone is approved whole: {held} minor units are held")));
    }
    Ok(vec![MilestoneEvent::Approved {
        contract_id: plan.contract_id,
        milestone_id: plan.milestone_id,
        submission_no,
        gross,
        release_id: release_id(plan),
        reason: ApprovalReason::Client,
    }])
}

/// A milestone is released once, so its release is named after it.
fn release_id(plan: &Plan) -> ReleaseId {
    ReleaseId::derived(plan.milestone_id.as_uuid(), "release/1")
}

fn funded(plan: &Plan, funding_id: crate::id::FundingId, amount: Minor) -> MilestoneEvent {
    MilestoneEvent::Funded { contract_id: plan.contract_id, milestone_id: plan.milestone_id, funding_id, amount }
}

fn wrong_state(milestone: &Milestone, action: &'static str) -> Refusal {
    Refusal::MilestoneWrongState { action, state: milestone.state_name() }
}

fn only_client(plan: &Plan, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == plan.client_id => Ok(()),
        actor if is_party(plan, actor) => Err(Refusal::Forbidden { who: "client", action: "approve a milestone" }),
        _ => Err(Refusal::NotAParty),
    }
}

fn only_payee(plan: &Plan, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(party) if party == plan.payee_id => Ok(()),
        actor if is_party(plan, actor) => Err(Refusal::Forbidden { who: "payee", action: "submit work" }),
        _ => Err(Refusal::NotAParty),
    }
}

fn is_party(plan: &Plan, actor: Actor) -> bool {
    actor.party().is_some_and(|party| party == plan.client_id || party == plan.payee_id)
}
