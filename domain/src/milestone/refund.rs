//! Rules of giving back what is held.
//!
//! # Invariants
//! - Nothing that is held goes back without the payee's consent, the payee's silence for the time agreed, the end of the
//!   contract, or a dispute.
//! - The end of a contract that comes while a bank disagrees is not forgotten: it is kept, and done afterwards.
//! - Agreed and moved are two events: the second is the escrow's word, in the same commit.

use ledger::Minor;

use super::decide::{amount_of, closing, no_free_money, only_client, only_payee, wrong_state};
use super::dispute::disputed;
use super::evolve::prior;
use super::{
    ApprovalReason, EndCause, Milestone, MilestoneCommand, MilestoneEvent, Plan, PriorState, Progress, RefundConsent,
    refund_id, release_id,
};
use crate::contract::{MilestoneOutcome, Role};
use crate::id::{FundingId, RefundId};
use crate::policy::days_after;
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
        (
            S::Funded { progress } | S::ChangesRequested { progress } | S::PartiallyReleased { progress, .. },
            C::RequestRefund { amount, currency },
        ) => {
            only_client(plan, context, "ask for a refund")?;
            let amount = amount_of(progress, *amount, *currency)?;
            Ok(vec![requested(progress, amount, context)])
        }
        (_, C::RequestRefund { .. }) => {
            only_client(plan, context, "ask for a refund")?;
            Err(no_free_money(milestone, "refunded"))
        }

        (
            S::Funded { progress } | S::ChangesRequested { progress } | S::PartiallyReleased { progress, .. },
            C::GrantRefund { amount, currency },
        ) => {
            only_payee(plan, context, "grant a refund")?;
            let amount = amount_of(progress, *amount, *currency)?;
            Ok(vec![agreed(plan, Some(progress), amount, RefundConsent::Granted)])
        }
        (_, C::GrantRefund { .. }) => {
            only_payee(plan, context, "grant a refund")?;
            Err(no_free_money(milestone, "refunded"))
        }

        (S::RefundPending { refund_id, refunding, agreed: false, .. }, C::AcceptRefund) => {
            only_payee(plan, context, "accept a refund")?;
            Ok(vec![accepted(plan, *refund_id, *refunding, RefundConsent::Accepted)])
        }
        (_, C::AcceptRefund) => {
            only_payee(plan, context, "accept a refund")?;
            Err(no_free_money(milestone, "refunded"))
        }
        (
            S::RefundPending { progress, refund_id, prior: before, agreed: false, .. },
            C::RejectRefund { dispute_id },
        ) => {
            only_payee(plan, context, "reject a refund")?;
            let rejected = E::RefundRejected { contract_id, milestone_id, refund_id: *refund_id };
            Ok(vec![rejected, disputed(progress, *dispute_id, Role::Payee, *before, None)])
        }
        (_, C::RejectRefund { .. }) => {
            only_payee(plan, context, "reject a refund")?;
            Err(no_free_money(milestone, "kept from a refund"))
        }
        (S::RefundPending { refund_id, refunding, agreed: false, .. }, C::AgreeRefundByTime) => {
            Ok(vec![accepted(plan, *refund_id, *refunding, RefundConsent::Time)])
        }
        (_, C::AgreeRefundByTime) => Err(wrong_state(milestone, "refunded by time")),

        // The agreed one has to be what was agreed.
        (S::RefundPending { refund_id: pending, refunding, agreed, .. }, C::RecordRefund { refund_id, amount })
            if pending == refund_id && !(*agreed && refunding == amount) =>
        {
            Err(wrong_state(milestone, "refunded"))
        }
        (
            S::Funded { progress }
            | S::Submitted { progress, .. }
            | S::ChangesRequested { progress }
            | S::PartiallyReleased { progress, .. }
            | S::RefundPending { progress, .. },
            C::RecordRefund { refund_id, amount },
        ) => {
            if *amount > progress.held {
                return Err(Refusal::ExceedsHeld { held: progress.held });
            }
            let remaining = progress.held.checked_sub(*amount)?;
            let after =
                Progress { held: remaining, refunded: progress.refunded.checked_add(*amount)?, ..progress.clone() };
            // A milestone that was over before this money came has been closed already.
            let was_over = matches!(prior(milestone), Some(PriorState::Released | PriorState::Refunded));
            Ok(vec![E::Refunded {
                contract_id,
                milestone_id,
                refund_id: *refund_id,
                amount: *amount,
                remaining,
                closes: closing(&after, MilestoneOutcome::Refunded).filter(|_| !was_over),
            }])
        }
        (_, C::RecordRefund { .. }) => Err(no_free_money(milestone, "refunded")),

        (_, C::ReachHoldLimit { funding_id }) => Ok(at_hold_limit(milestone, plan, *funding_id)),

        (_, C::End { to, cause }) => Ok(end(milestone, plan, *to, *cause)),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

/// What the provider's limit means here: work under review is paid, in whole; other money of that funding goes back. Money
/// in dispute stays.
fn at_hold_limit(milestone: &Milestone, plan: &Plan, funding_id: FundingId) -> Vec<MilestoneEvent> {
    use Milestone as S;
    let (contract_id, milestone_id) = (plan.contract_id, plan.milestone_id);
    match milestone {
        S::Submitted { progress, .. } if !progress.held.is_zero() => vec![MilestoneEvent::Approved {
            contract_id,
            milestone_id,
            submission_no: Some(progress.submission_no),
            gross: progress.held,
            release_id: release_id(progress),
            reason: ApprovalReason::HoldLimit,
        }],
        S::Funded { .. } | S::ChangesRequested { .. } | S::PartiallyReleased { .. } | S::RefundPending { .. } => {
            vec![MilestoneEvent::HoldLimitPassed { contract_id, milestone_id, funding_id }]
        }
        _ => Vec::new(),
    }
}

/// What the end of the contract means here. Work under review and money in dispute stay what they are.
pub(super) fn end(milestone: &Milestone, plan: &Plan, to: Role, cause: EndCause) -> Vec<MilestoneEvent> {
    use Milestone as S;
    let (contract_id, milestone_id) = (plan.contract_id, plan.milestone_id);
    let consent = match cause {
        EndCause::Agreed => RefundConsent::End,
        EndCause::Dormant => RefundConsent::Dormancy,
    };
    match milestone {
        S::Planned { .. } => vec![MilestoneEvent::Cancelled { contract_id, milestone_id, refunded: Minor::ZERO }],
        S::Suspended { prior, end: None, .. } if !end(prior, plan, to, cause).is_empty() => {
            vec![MilestoneEvent::EndDeferred { contract_id, milestone_id, to, cause }]
        }
        S::Unfunded { progress, given_up: false, .. } if progress.paying.is_none() => {
            vec![MilestoneEvent::Cancelled { contract_id, milestone_id, refunded: progress.refunded }]
        }
        S::Funded { progress }
        | S::ChangesRequested { progress }
        | S::PartiallyReleased { progress, .. }
        | S::RefundPending { progress, agreed: false, .. }
            if !progress.held.is_zero() =>
        {
            vec![match (to, milestone) {
                (Role::Payee, _) => MilestoneEvent::Approved {
                    contract_id,
                    milestone_id,
                    submission_no: None,
                    gross: progress.held,
                    release_id: release_id(progress),
                    reason: ApprovalReason::Dormancy,
                },
                (Role::Client, S::RefundPending { refund_id, .. }) => {
                    accepted(plan, *refund_id, progress.held, consent)
                }
                (Role::Client, _) => agreed(plan, Some(progress), progress.held, consent),
            }]
        }
        _ => Vec::new(),
    }
}

/// The client asks for `amount`.
pub(super) fn requested(progress: &Progress, amount: Minor, context: &Context) -> MilestoneEvent {
    MilestoneEvent::RefundRequested {
        contract_id: progress.plan.contract_id,
        milestone_id: progress.plan.milestone_id,
        refund_id: refund_id(progress),
        amount,
        respond_by: days_after(context.now, progress.plan.refund_request_days),
    }
}

/// `amount` goes back without having been asked for; `progress` is absent when no money was held before.
pub(super) fn agreed(
    plan: &Plan,
    progress: Option<&Progress>,
    amount: Minor,
    consent: RefundConsent,
) -> MilestoneEvent {
    let first = || RefundId::derived(plan.milestone_id.as_uuid(), "refund/1");
    accepted(plan, progress.map_or_else(first, refund_id), amount, consent)
}

pub(super) fn accepted(plan: &Plan, refund_id: RefundId, amount: Minor, consent: RefundConsent) -> MilestoneEvent {
    MilestoneEvent::RefundAgreed {
        contract_id: plan.contract_id,
        milestone_id: plan.milestone_id,
        refund_id,
        amount,
        consent,
    }
}
