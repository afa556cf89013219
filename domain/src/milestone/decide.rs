//! Rules of a milestone: who may do what, and which of the other files judges it.

use chrono::TimeDelta;
use ledger::{Currency, Minor};

use super::evolve::{REFUND_REQUEST, REVIEW_WINDOW};
use super::refund::accepted;
use super::{
    Milestone, MilestoneCommand, MilestoneEvent, Plan, Progress, RefundConsent, chargeback, dispute, funding, refund,
    review,
};
use crate::actor::Actor;
use crate::contract::{ClosedMilestone, MilestoneOutcome, Role};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::restarted;

pub(super) fn decide(
    milestone: &Milestone,
    command: &MilestoneCommand,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    use MilestoneCommand as C;
    let Some(plan) = milestone.plan() else {
        return match command {
            C::Plan { plan } => Ok(vec![MilestoneEvent::Planned { plan: plan.clone() }]),
            C::RequestFunding { pointer, .. } => Err(Refusal::invalid(pointer, "no such milestone of this contract")),
            C::ExpectMoney { .. } => Err(review::no_such_target()),
            _ => Err(Refusal::NotFound { what: "milestone" }),
        };
    };
    match command {
        C::ClocksStopped { stopped_at, command } => {
            let stopped = Context { now: context.now.min(*stopped_at), ..*context };
            decide(milestone, command, &stopped)
        }
        C::Plan { .. } => Err(wrong_state(milestone, "planned")),

        C::Amend { .. }
        | C::RequestFunding { .. }
        | C::RecordFunded { .. }
        | C::RecordFundingFailure { .. }
        | C::Cancel => funding::decide(milestone, plan, command, context),

        C::SubmitWork
        | C::WithdrawSubmission
        | C::RequestChanges { .. }
        | C::Approve { .. }
        | C::ApprovePartially { .. }
        | C::AutoApprove
        | C::RecordRelease { .. }
        | C::ExpectMoney { .. }
        | C::AcceptRollForward
        | C::RejectRollForward
        | C::RecordMovedOut { .. }
        | C::RecordMovedIn { .. } => review::decide(milestone, plan, command, context),

        C::RequestRefund { .. }
        | C::GrantRefund { .. }
        | C::AcceptRefund
        | C::RejectRefund { .. }
        | C::AgreeRefundByTime
        | C::RecordRefund { .. }
        | C::ReachHoldLimit { .. }
        | C::End { .. } => refund::decide(milestone, plan, command, context),

        C::Suspend { .. } | C::Resume { .. } | C::RecordFundingLost { .. } => {
            chargeback::decide(milestone, plan, command, context)
        }

        C::OpenDispute { .. } | C::ResumeAfterDispute { .. } => dispute::decide(milestone, plan, command, context),

        C::RestartClock { stopped_at } => {
            let late = late_refund(milestone, plan);
            Ok(late.or_else(|| moved_deadline(milestone, *stopped_at, context)).into_iter().collect())
        }

        C::BlockTimer { key, reason } => Ok(vec![MilestoneEvent::TimerBlocked {
            contract_id: plan.contract_id,
            milestone_id: plan.milestone_id,
            key: key.clone(),
            reason: reason.clone(),
        }]),
    }
}

/// Money that came when the milestone was over and the escrow frozen: it was agreed that it goes back, and now it can.
fn late_refund(milestone: &Milestone, plan: &Plan) -> Option<MilestoneEvent> {
    match milestone {
        Milestone::RefundPending { refund_id, refunding, agreed: true, .. } => {
            Some(accepted(plan, *refund_id, *refunding, RefundConsent::TooLate))
        }
        _ => None,
    }
}

/// The deadline that runs, with what was left of it when its clock was stopped; at most the whole time that it has, which
/// is what was left where it began after that.
fn moved_deadline(milestone: &Milestone, stopped_at: Timestamp, context: &Context) -> Option<MilestoneEvent> {
    let plan = milestone.plan()?;
    let (due_at, days, key) = match milestone {
        Milestone::Submitted { review_due_at, .. } => ((*review_due_at)?, plan.review_days, REVIEW_WINDOW),
        Milestone::RefundPending { respond_by, agreed: false, .. } => {
            ((*respond_by)?, plan.refund_request_days, REFUND_REQUEST)
        }
        _ => return None,
    };
    Some(MilestoneEvent::DeadlineMoved {
        contract_id: plan.contract_id,
        milestone_id: plan.milestone_id,
        key: key.to_owned(),
        due_at: restarted(due_at, days, stopped_at, context.now),
    })
}

/// What is left of a deadline, in milliseconds, when its clock is stopped at `now`: at most the whole time that it has,
/// which is what is left where it began after that. A deadline can be past only in a freeze whose beginning was not kept;
/// then the whole is left, too.
pub(super) fn left_of(due_at: Timestamp, days: u16, now: Timestamp) -> i64 {
    let (left, whole) = (due_at.signed_duration_since(now), TimeDelta::days(i64::from(days)));
    if left > TimeDelta::zero() { left.min(whole) } else { whole }.num_milliseconds()
}

pub(super) fn wrong_state(milestone: &Milestone, action: &'static str) -> Refusal {
    if let Some(refusal) = chargeback::why_suspended(milestone) {
        return refusal;
    }
    Refusal::MilestoneWrongState { action, state: milestone.state_name() }
}

/// Why something that needs held and undisputed money cannot be done in a state in which there is none.
pub(super) fn no_free_money(milestone: &Milestone, action: &'static str) -> Refusal {
    match milestone {
        Milestone::Planned { .. } | Milestone::FundingPending { .. } | Milestone::Unfunded { given_up: false, .. } => {
            Refusal::MilestoneNotFunded
        }
        Milestone::Approved { .. } | Milestone::Released { .. } => Refusal::MilestoneAlreadyApproved,
        Milestone::Disputed { dispute_id, .. } => Refusal::MilestoneDisputed { dispute_id: *dispute_id },
        _ => wrong_state(milestone, action),
    }
}

/// The amount that a caller named, or all that is held.
pub(super) fn amount_of(
    progress: &Progress,
    amount: Option<Minor>,
    currency: Option<Currency>,
) -> Result<Minor, Refusal> {
    if let Some(received) = currency.filter(|currency| *currency != progress.plan.currency) {
        return Err(Refusal::CurrencyMismatch { expected: progress.plan.currency, received });
    }
    let held = progress.held;
    if held.is_zero() {
        return Err(Refusal::MilestoneNotFunded);
    }
    let amount = amount.unwrap_or(held);
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    if amount > held { Err(Refusal::ExceedsHeld { held }) } else { Ok(amount) }
}

/// How the milestone ended, when this leaves nothing held and nothing on its way.
pub(super) fn closing(after: &Progress, outcome: MilestoneOutcome) -> Option<ClosedMilestone> {
    after.is_exhausted().then_some(ClosedMilestone { outcome, released: after.released, refunded: after.refunded })
}

pub(super) fn only_client(plan: &Plan, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == plan.client_id => Ok(()),
        actor if is_party(plan, actor) => Err(Refusal::Forbidden { who: "client", action }),
        _ => Err(Refusal::NotAParty),
    }
}

pub(super) fn only_payee(plan: &Plan, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(party) if party == plan.payee_id => Ok(()),
        actor if is_party(plan, actor) => Err(Refusal::Forbidden { who: "payee", action }),
        _ => Err(Refusal::NotAParty),
    }
}

/// On which side the caller stands and acts; a refusal for everybody else.
pub(super) fn role_of(plan: &Plan, context: &Context, action: &'static str) -> Result<Role, Refusal> {
    match context.actor {
        Actor::Client(party) if party == plan.client_id => Ok(Role::Client),
        Actor::Payee(party) if party == plan.payee_id => Ok(Role::Payee),
        actor if is_party(plan, actor) => Err(Refusal::Forbidden { who: "client or payee in their own role", action }),
        _ => Err(Refusal::NotAParty),
    }
}

fn is_party(plan: &Plan, actor: Actor) -> bool {
    actor.party().is_some_and(|party| party == plan.client_id || party == plan.payee_id)
}
