//! Rules of delivery, review, approval and release.
//!
//! # Invariants
//! - The review window is fixed at submission. A new submission has a new window.
//! - What is approved in parts is released in parts; the rest stays held until somebody says what becomes of it.
//! - Money goes to another milestone only with the consent of both sides: the client proposes, the payee agrees.

use ledger::{Currency, Minor};

use super::decide::{amount_of, closing, no_free_money, only_client, only_payee, wrong_state};
use super::refund::requested;
use super::{
    ApprovalReason, Milestone, MilestoneCommand, MilestoneEvent, Plan, Progress, Remainder, reallocation_id, release_id,
};
use crate::contract::{MilestoneOutcome, check_reference};
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
            C::SubmitWork,
        ) => {
            only_payee(plan, context, "submit work")?;
            if progress.held.is_zero() {
                return Err(Refusal::MilestoneNotFunded);
            }
            Ok(vec![E::WorkSubmitted {
                contract_id,
                milestone_id,
                submission_no: progress.submission_no.saturating_add(1),
                review_due_at: days_after(context.now, plan.review_days),
            }])
        }
        (S::Approved { .. } | S::Released { .. }, C::SubmitWork) => {
            only_payee(plan, context, "submit work")?;
            Err(wrong_state(milestone, "submitted"))
        }
        (_, C::SubmitWork) => {
            only_payee(plan, context, "submit work")?;
            Err(no_free_money(milestone, "submitted"))
        }

        (S::Submitted { progress, .. }, C::WithdrawSubmission) => {
            only_payee(plan, context, "withdraw a submission")?;
            Ok(vec![E::SubmissionWithdrawn { contract_id, milestone_id, submission_no: progress.submission_no }])
        }
        (_, C::WithdrawSubmission) => {
            only_payee(plan, context, "withdraw a submission")?;
            Err(no_free_money(milestone, "withdrawn"))
        }

        (S::Submitted { progress, .. }, C::RequestChanges { note_ref }) => {
            only_client(plan, context, "request changes")?;
            check_reference(note_ref.as_deref(), "/note_ref")?;
            Ok(vec![E::ChangesRequested {
                contract_id,
                milestone_id,
                submission_no: progress.submission_no,
                note_ref: note_ref.clone(),
                revision_no: progress.revision_no.saturating_add(1),
            }])
        }
        (S::Released { by_time: true, .. }, C::RequestChanges { .. }) => {
            only_client(plan, context, "request changes")?;
            Err(Refusal::ReviewWindowClosed)
        }
        (_, C::RequestChanges { .. }) => {
            only_client(plan, context, "request changes")?;
            Err(no_free_money(milestone, "sent back"))
        }

        (S::Funded { progress } | S::PartiallyReleased { progress, .. }, C::Approve { amount, currency }) => {
            approve(progress, None, *amount, *currency, context)
        }
        (S::Submitted { progress, .. }, C::Approve { amount, currency }) => {
            approve(progress, Some(progress.submission_no), *amount, *currency, context)
        }
        (_, C::Approve { .. }) => {
            only_client(plan, context, "approve a milestone")?;
            Err(no_free_money(milestone, "approved"))
        }

        (
            S::Funded { progress } | S::PartiallyReleased { progress, .. },
            C::ApprovePartially { gross, currency, remainder },
        ) => approve_part(progress, None, *gross, *currency, *remainder, context),
        (S::Submitted { progress, .. }, C::ApprovePartially { gross, currency, remainder }) => {
            approve_part(progress, Some(progress.submission_no), *gross, *currency, *remainder, context)
        }
        (_, C::ApprovePartially { .. }) => {
            only_client(plan, context, "approve a milestone")?;
            Err(no_free_money(milestone, "approved"))
        }

        (S::Submitted { progress, review_due_at }, C::AutoApprove) => Ok(vec![E::AutoApproved {
            contract_id,
            milestone_id,
            submission_no: progress.submission_no,
            gross: progress.held,
            release_id: release_id(progress),
            due_at: review_due_at.unwrap_or(context.now),
        }]),
        (_, C::AutoApprove) => Err(wrong_state(milestone, "approved by time")),

        (S::Approved { progress, approved, remainder, .. }, C::RecordRelease { release_id, gross, net })
            if approved == gross =>
        {
            let remaining = progress.held.checked_sub(*gross)?;
            let after =
                Progress { held: remaining, released: progress.released.checked_add(*gross)?, ..progress.clone() };
            let mut events = vec![E::Released {
                contract_id,
                milestone_id,
                release_id: *release_id,
                gross: *gross,
                net: *net,
                remaining,
                closes: closing(&after, MilestoneOutcome::Released),
            }];
            if *remainder == Remainder::RefundRequest && !remaining.is_zero() {
                events.push(requested(progress, remaining, context));
            }
            Ok(events)
        }
        (_, C::RecordRelease { .. }) => Err(wrong_state(milestone, "released")),

        (_, C::ExpectMoney { contract_id: named, .. }) if *named != contract_id => Err(no_such_target()),
        (_, C::ExpectMoney { .. }) => takes_money(milestone).map(|()| Vec::new()),

        (S::PartiallyReleased { progress, roll_forward: Some(to) }, C::AcceptRollForward) => {
            only_payee(plan, context, "agree to a roll-forward")?;
            Ok(vec![E::RollForwardAccepted {
                contract_id,
                milestone_id,
                client_id: plan.client_id,
                payee_id: plan.payee_id,
                reallocation_id: reallocation_id(progress),
                to: *to,
                amount: progress.to_roll_forward(),
            }])
        }
        (S::PartiallyReleased { roll_forward: Some(_), .. }, C::RejectRollForward) => {
            only_payee(plan, context, "reject a roll-forward")?;
            Ok(vec![E::RollForwardRejected { contract_id, milestone_id }])
        }
        (_, C::AcceptRollForward | C::RejectRollForward) => {
            only_payee(plan, context, "answer a roll-forward")?;
            Err(wrong_state(milestone, "rolled forward"))
        }
        (
            S::Funded { progress } | S::ChangesRequested { progress } | S::PartiallyReleased { progress, .. },
            C::RecordMovedOut { to, amount },
        ) => {
            if *amount > progress.held {
                return Err(Refusal::ExceedsHeld { held: progress.held });
            }
            let remaining = progress.held.checked_sub(*amount)?;
            let after = Progress { held: remaining, ..progress.clone() };
            Ok(vec![E::MovedOut {
                contract_id,
                milestone_id,
                to: *to,
                amount: *amount,
                remaining,
                // Nothing was released: it is to be paid for again, or given up.
                closes: closing(&after, MilestoneOutcome::Released).filter(|_| after.releases > 0),
            }])
        }
        (_, C::RecordMovedOut { .. }) => Err(wrong_state(milestone, "emptied")),
        (_, C::RecordMovedIn { contract_id: named, .. }) if *named != contract_id => Err(no_such_target()),
        (_, C::RecordMovedIn { from, amount, .. }) => {
            takes_money(milestone)?;
            Ok(vec![E::MovedIn { contract_id, milestone_id, from: *from, amount: *amount }])
        }

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

pub(super) fn no_such_target() -> Refusal {
    Refusal::invalid("/remainder/milestone_id", "no such milestone of this contract")
}

/// Whether money of another milestone can be moved here.
fn takes_money(milestone: &Milestone) -> Result<(), Refusal> {
    match milestone {
        // The escrow waits for no payment of a milestone that money was moved to.
        _ if milestone.progress().is_some_and(|progress| progress.paying.is_some()) => Err(Refusal::PaymentUnderWay),
        Milestone::Planned { .. }
        | Milestone::Funded { .. }
        | Milestone::Submitted { .. }
        | Milestone::ChangesRequested { .. }
        | Milestone::Unfunded { given_up: false, .. }
        | Milestone::PartiallyReleased { .. } => Ok(()),
        Milestone::FundingPending { .. } => Err(Refusal::PaymentUnderWay),
        Milestone::Disputed { dispute_id, .. } => Err(Refusal::MilestoneDisputed { dispute_id: *dispute_id }),
        _ => Err(wrong_state(milestone, "given money of another one")),
    }
}

fn approve(
    progress: &Progress,
    submission_no: Option<u32>,
    amount: Option<Minor>,
    currency: Option<Currency>,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    let plan = &progress.plan;
    only_client(plan, context, "approve a milestone")?;
    let gross = amount_of(progress, amount, currency)?;
    let held = progress.held;
    if gross < held {
        let message =
            format!("a milestone is approved whole: {held} minor units are held; a part is approved as a part");
        return Err(Refusal::invalid("/amount", message));
    }
    Ok(vec![MilestoneEvent::Approved {
        contract_id: plan.contract_id,
        milestone_id: plan.milestone_id,
        submission_no,
        gross,
        release_id: release_id(progress),
        reason: ApprovalReason::Client,
    }])
}

fn approve_part(
    progress: &Progress,
    submission_no: Option<u32>,
    gross: Minor,
    currency: Option<Currency>,
    remainder: Remainder,
    context: &Context,
) -> Result<Vec<MilestoneEvent>, Refusal> {
    let plan = &progress.plan;
    only_client(plan, context, "approve a milestone")?;
    let gross = amount_of(progress, Some(gross), currency)?;
    if gross == progress.held {
        return Err(Refusal::invalid("/amount", "is all that is held: nothing would be left for a remainder"));
    }
    if remainder == (Remainder::RollForward { milestone_id: plan.milestone_id }) {
        return Err(Refusal::invalid("/remainder/milestone_id", "must be another milestone"));
    }
    Ok(vec![MilestoneEvent::PartiallyApproved {
        contract_id: plan.contract_id,
        milestone_id: plan.milestone_id,
        submission_no,
        gross,
        release_id: release_id(progress),
        remainder,
    }])
}
