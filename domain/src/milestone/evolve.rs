//! What a milestone remembers of an event.

use ledger::Minor;

use super::chargeback;
use super::{DeferredEnd, Milestone, MilestoneEvent, Plan, PriorState, Progress, Remainder};
use crate::id::RefundId;
use crate::time::Timestamp;

/// Key of the timer of a submission.
pub(super) const REVIEW_WINDOW: &str = "review_window";
/// Key of the timer of a wish for a refund.
pub(super) const REFUND_REQUEST: &str = "refund_request";

/// The first money of a milestone.
fn begun(plan: Plan, amount: Minor) -> Progress {
    Progress {
        plan,
        held: amount,
        funded: amount,
        released: Minor::ZERO,
        net: Minor::ZERO,
        refunded: Minor::ZERO,
        moved_out: Minor::ZERO,
        submission_no: 0,
        revision_no: 0,
        releases: 0,
        refunds: 0,
        paying: None,
        lost: Minor::ZERO,
        rolling: Minor::ZERO,
    }
}

/// A milestone with money that nobody has asked anything about.
fn resting(progress: Progress) -> Milestone {
    if progress.releases > 0 {
        Milestone::PartiallyReleased { progress, roll_forward: None }
    } else {
        Milestone::Funded { progress }
    }
}

/// What it was before.
fn resumed(progress: Progress, prior: PriorState, review_due_at: Option<Timestamp>) -> Milestone {
    match prior {
        PriorState::Funded => Milestone::Funded { progress },
        PriorState::Submitted => Milestone::Submitted { progress, review_due_at },
        PriorState::ChangesRequested => Milestone::ChangesRequested { progress },
        PriorState::PartiallyReleased => Milestone::PartiallyReleased { progress, roll_forward: None },
        PriorState::Released => Milestone::Released { progress, by_time: false },
        PriorState::Refunded => Milestone::Refunded { progress },
    }
}

/// Changes what is known without changing the state. Sums saturate: `decide` has checked them before the event existed.
fn with(mut state: Milestone, change: impl FnOnce(&mut Progress)) -> Milestone {
    use Milestone as S;
    match &mut state {
        S::Funded { progress }
        | S::Submitted { progress, .. }
        | S::ChangesRequested { progress }
        | S::Approved { progress, .. }
        | S::PartiallyReleased { progress, .. }
        | S::RefundPending { progress, .. }
        | S::Disputed { progress, .. }
        | S::Unfunded { progress, .. }
        | S::Released { progress, .. }
        | S::Refunded { progress } => change(progress),
        S::Suspended { prior, .. } => **prior = with(std::mem::take(prior.as_mut()), change),
        S::NotPlanned | S::Planned { .. } | S::FundingPending { .. } | S::Cancelled { .. } => {}
    }
    state
}

fn arrived(progress: &mut Progress, amount: Minor) {
    progress.held = progress.held.saturating_add(amount);
    progress.funded = progress.funded.saturating_add(amount);
}

pub(super) fn after(before: Milestone, event: &MilestoneEvent) -> Milestone {
    use {Milestone as S, MilestoneEvent as E};
    match (before, event) {
        (_, E::Planned { plan }) => S::Planned { plan: plan.clone() },
        (mut state, E::Amended { amount, due_at, review_days, .. }) => {
            let change = |plan: &mut Plan| {
                plan.amount = *amount;
                plan.due_at = *due_at;
                plan.review_days = *review_days;
            };
            if let S::Planned { plan } | S::FundingPending { plan, .. } = &mut state {
                change(plan);
            }
            with(state, |progress| change(&mut progress.plan))
        }

        (S::Planned { plan }, E::FundingRequested { funding_id, .. }) => {
            S::FundingPending { plan, funding_id: *funding_id }
        }
        (state, E::FundingRequested { funding_id, .. }) => with(state, |progress| progress.paying = Some(*funding_id)),
        (S::Planned { plan } | S::Cancelled { plan }, E::Funded { amount, .. }) => {
            S::Funded { progress: begun(plan, *amount) }
        }
        (S::FundingPending { plan, funding_id: pending }, E::Funded { funding_id, amount, .. }) => {
            let paying = Some(pending).filter(|pending| pending != funding_id);
            S::Funded { progress: Progress { paying, ..begun(plan, *amount) } }
        }
        (S::Unfunded { mut progress, given_up: false, .. }, E::Funded { funding_id, amount, .. }) => {
            arrived(&mut progress, *amount);
            progress.paying = progress.paying.filter(|paying| paying != funding_id);
            resting(progress)
        }
        (state, E::Funded { funding_id, amount, .. }) => with(state, |progress| {
            arrived(progress, *amount);
            progress.paying = progress.paying.filter(|paying| paying != funding_id);
        }),
        (S::FundingPending { plan, .. }, E::FundingFailed { .. }) => S::Planned { plan },
        (state, E::FundingFailed { closes, .. }) => {
            let state = with(state, |progress| progress.paying = None);
            match (closes, state) {
                (
                    Some(_),
                    S::Funded { progress } | S::ChangesRequested { progress } | S::PartiallyReleased { progress, .. },
                ) => over(progress),
                (_, state) => state,
            }
        }
        (S::Planned { plan }, E::Cancelled { .. }) => S::Cancelled { plan },
        (S::Unfunded { progress, flag, .. }, E::Cancelled { .. }) => S::Unfunded { progress, flag, given_up: true },

        (
            S::Funded { mut progress }
            | S::ChangesRequested { mut progress }
            | S::PartiallyReleased { mut progress, .. },
            E::WorkSubmitted { submission_no, review_due_at, .. },
        ) => {
            progress.submission_no = *submission_no;
            S::Submitted { progress, review_due_at: Some(*review_due_at) }
        }
        (S::Submitted { progress, .. }, E::SubmissionWithdrawn { .. }) => resting(progress),
        (S::Submitted { mut progress, .. }, E::ChangesRequested { revision_no, .. }) => {
            progress.revision_no = *revision_no;
            S::ChangesRequested { progress }
        }

        (
            S::Funded { progress }
            | S::Submitted { progress, .. }
            | S::ChangesRequested { progress }
            | S::PartiallyReleased { progress, .. }
            | S::RefundPending { progress, .. },
            E::Approved { gross, .. },
        ) => S::Approved { progress, approved: *gross, remainder: Remainder::Keep, by_time: false },
        (
            S::Funded { progress } | S::Submitted { progress, .. } | S::PartiallyReleased { progress, .. },
            E::PartiallyApproved { gross, remainder, .. },
        ) => S::Approved { progress, approved: *gross, remainder: *remainder, by_time: false },
        (S::Submitted { progress, .. }, E::AutoApproved { gross, .. }) => {
            S::Approved { progress, approved: *gross, remainder: Remainder::Keep, by_time: true }
        }
        (S::Approved { mut progress, remainder, by_time, .. }, E::Released { gross, net, remaining, closes, .. }) => {
            progress.held = *remaining;
            progress.released = progress.released.saturating_add(*gross);
            progress.net = progress.net.saturating_add(*net);
            progress.releases = progress.releases.saturating_add(1);
            // Before there were partial releases, the last one had nothing remaining and did not say that it closes.
            if closes.is_some() || (remaining.is_zero() && progress.paying.is_none()) {
                return S::Released { progress, by_time };
            }
            let roll_forward = match remainder {
                Remainder::RollForward { milestone_id } => Some(milestone_id),
                Remainder::Keep | Remainder::RefundRequest => None,
            };
            progress.rolling = roll_forward.map_or(Minor::ZERO, |_| *remaining);
            S::PartiallyReleased { progress, roll_forward }
        }

        (S::PartiallyReleased { progress, .. }, E::RollForwardRejected { .. }) => {
            S::PartiallyReleased { progress, roll_forward: None }
        }
        (state, E::MovedOut { amount, remaining, closes, .. }) => {
            let state = with(state, |progress| {
                progress.held = *remaining;
                progress.moved_out = progress.moved_out.saturating_add(*amount);
            });
            match state {
                S::Funded { progress } | S::ChangesRequested { progress } if progress.is_exhausted() => {
                    S::Planned { plan: progress.plan }
                }
                S::PartiallyReleased { progress, .. } if closes.is_some() => S::Released { progress, by_time: false },
                S::PartiallyReleased { progress, .. } => S::PartiallyReleased { progress, roll_forward: None },
                state => state,
            }
        }
        (S::Planned { plan }, E::MovedIn { amount, .. }) => S::Funded { progress: begun(plan, *amount) },
        (S::Unfunded { mut progress, given_up: false, .. }, E::MovedIn { amount, .. }) => {
            arrived(&mut progress, *amount);
            resting(progress)
        }
        (state, E::MovedIn { amount, .. }) => with(state, |progress| arrived(progress, *amount)),

        (state, E::RefundRequested { refund_id, amount, respond_by, .. }) => {
            refunding(state, *refund_id, *amount, Some(*respond_by))
        }
        (state, E::RefundAgreed { refund_id, amount, .. }) => refunding(state, *refund_id, *amount, None),
        (S::RefundPending { progress, prior, .. }, E::RefundRejected { .. }) => resumed(progress, prior, None),
        (state, E::Refunded { refund_id, amount, remaining, closes, .. }) => {
            refunded(state, *refund_id, *amount, *remaining, closes.is_some())
        }

        (
            S::Funded { progress }
            | S::Submitted { progress, .. }
            | S::ChangesRequested { progress }
            | S::PartiallyReleased { progress, .. },
            E::Disputed { dispute_id, prior_state, review_remaining_ms, .. },
        ) => S::Disputed {
            progress,
            dispute_id: *dispute_id,
            prior: *prior_state,
            review_remaining_ms: *review_remaining_ms,
        },
        (S::Disputed { progress, .. }, E::DisputeWithdrawn { resume_state, new_review_due_at, .. }) => {
            resumed(progress, *resume_state, *new_review_due_at)
        }

        (S::Submitted { progress, .. }, E::DeadlineMoved { due_at, .. }) => {
            S::Submitted { progress, review_due_at: Some(*due_at) }
        }
        (S::RefundPending { progress, refund_id, refunding, agreed, prior, .. }, E::DeadlineMoved { due_at, .. }) => {
            S::RefundPending { progress, refund_id, refunding, respond_by: Some(*due_at), agreed, prior }
        }
        (state, E::Suspended { chargeback_id, remaining_ms, .. }) => {
            chargeback::suspended(state, *chargeback_id, *remaining_ms)
        }
        (state, E::Resumed { chargeback_id, new_due_at, .. }) => {
            chargeback::resumed(state, *chargeback_id, *new_due_at)
        }
        (S::Suspended { prior, chargebacks, remaining_ms, .. }, E::EndDeferred { to, cause, .. }) => {
            S::Suspended { prior, chargebacks, remaining_ms, end: Some(DeferredEnd { to: *to, cause: *cause }) }
        }
        (state, E::FundingLost { cause, amount, remaining, closes, .. }) => {
            let state = with(state, |progress| {
                progress.held = *remaining;
                progress.lost = progress.lost.saturating_add(*amount);
            });
            chargeback::after_loss(state, *cause, closes.is_some())
        }

        (S::Submitted { progress, .. }, E::TimerBlocked { .. }) => S::Submitted { progress, review_due_at: None },
        (S::RefundPending { progress, refund_id, refunding, agreed, prior, .. }, E::TimerBlocked { .. }) => {
            S::RefundPending { progress, refund_id, refunding, respond_by: None, agreed, prior }
        }

        // No command leads here; an event that does not fit the state leaves it as it is.
        (
            state,
            E::Cancelled { .. }
            | E::WorkSubmitted { .. }
            | E::SubmissionWithdrawn { .. }
            | E::ChangesRequested { .. }
            | E::Approved { .. }
            | E::PartiallyApproved { .. }
            | E::AutoApproved { .. }
            | E::Released { .. }
            | E::RollForwardAccepted { .. }
            | E::RollForwardRejected { .. }
            | E::RefundRejected { .. }
            | E::HoldLimitPassed { .. }
            | E::EndDeferred { .. }
            | E::Disputed { .. }
            | E::DisputeWithdrawn { .. }
            | E::DeadlineMoved { .. }
            | E::TimerBlocked { .. },
        ) => state,
    }
}

/// A milestone that waited only for money that did not come.
fn over(progress: Progress) -> Milestone {
    if progress.releases > 0 {
        Milestone::Released { progress, by_time: false }
    } else {
        Milestone::Refunded { progress }
    }
}

/// A refund that is asked for (with a deadline) or agreed (without).
fn refunding(state: Milestone, refund_id: RefundId, amount: Minor, respond_by: Option<Timestamp>) -> Milestone {
    use Milestone as S;
    let prior = prior(&state);
    let (mut progress, prior) = match (state, prior) {
        // Asked for before, and answered now: the same refund.
        (S::RefundPending { progress, prior, .. }, _) if respond_by.is_none() => {
            return S::RefundPending { progress, refund_id, refunding: amount, respond_by, agreed: true, prior };
        }
        (
            S::Funded { progress }
            | S::ChangesRequested { progress }
            | S::PartiallyReleased { progress, .. }
            | S::Unfunded { progress, .. }
            | S::Released { progress, .. }
            | S::Refunded { progress },
            Some(prior),
        ) => (progress, prior),
        (state, _) => return state,
    };
    progress.refunds = progress.refunds.saturating_add(1);
    let agreed = respond_by.is_none();
    S::RefundPending { progress, refund_id, refunding: amount, respond_by, agreed, prior }
}

/// Money went back: what was agreed is done with; a refund of the escrow's own making leaves the question open that was
/// asked about the rest.
fn refunded(state: Milestone, refund_id: RefundId, amount: Minor, remaining: Minor, closes: bool) -> Milestone {
    use Milestone as S;
    let state = with(state, |progress| {
        progress.held = remaining;
        progress.refunded = progress.refunded.saturating_add(amount);
    });
    match state {
        S::Funded { progress }
        | S::Submitted { progress, .. }
        | S::ChangesRequested { progress }
        | S::PartiallyReleased { progress, .. }
        | S::RefundPending { progress, .. }
            if closes =>
        {
            S::Refunded { progress }
        }
        // Nothing is left to be asked about; money is still on its way, or this would have closed it.
        S::Submitted { progress, .. } if remaining.is_zero() => resting(progress),
        S::RefundPending { progress, refund_id: pending, prior, .. } if pending == refund_id || remaining.is_zero() => {
            resumed(progress, prior, None)
        }
        S::RefundPending { progress, refund_id, refunding, respond_by, agreed, prior } => {
            let refunding = refunding.min(remaining);
            S::RefundPending { progress, refund_id, refunding, respond_by, agreed, prior }
        }
        state => state,
    }
}

/// What a milestone goes back to when a question about it ends without moving money; `None` where none can be asked.
pub(super) fn prior(state: &Milestone) -> Option<PriorState> {
    match state {
        Milestone::Funded { .. } => Some(PriorState::Funded),
        Milestone::Refunded { .. } => Some(PriorState::Refunded),
        Milestone::Submitted { .. } => Some(PriorState::Submitted),
        Milestone::ChangesRequested { .. } => Some(PriorState::ChangesRequested),
        Milestone::PartiallyReleased { .. } => Some(PriorState::PartiallyReleased),
        Milestone::Released { .. } => Some(PriorState::Released),
        Milestone::RefundPending { prior, .. } | Milestone::Disputed { prior, .. } => Some(*prior),
        Milestone::Unfunded { given_up: true, .. } => Some(PriorState::Funded),
        Milestone::Suspended { prior: before, .. } => prior(before),
        Milestone::NotPlanned
        | Milestone::Planned { .. }
        | Milestone::FundingPending { .. }
        | Milestone::Cancelled { .. }
        | Milestone::Unfunded { .. }
        | Milestone::Approved { .. } => None,
    }
}
