//! Reactions: what follows inside the engine from an event, in the same commit.
//!
//! # Invariants
//! - A reaction sees only its event: every id it needs is in it or derived from it.
//! - Reactions run until nothing new happens, at most [`MAX_DEPTH`] deep.
//!
//! # What is deliberately absent
//! Whatever reaches the outside: that is [`crate::process`], after the commit.

mod chargeback;
mod exchange;
mod funding;
mod money;
mod payout;

use std::collections::BTreeSet;

use ledger::{Currency, Minor};

use crate::command::Command;
use crate::contract::{
    Activity, CancelStage, Change, ClosedMilestone, ContractCommand, ContractEvent, MilestoneOutcome, MilestonePlan,
    Parts, Role,
};
use crate::escrow::{EscrowCommand, RefundReason, ReleaseReason};
use crate::event::DomainEvent;
use crate::id::{ContractId, EventId, MilestoneId, PartyId};
use crate::log::StreamId;
use crate::milestone::{ApprovalReason, EndCause, MilestoneCommand, MilestoneEvent, Plan, RefundConsent, Remainder};
use crate::policy::Policy;

/// How long a chain of reactions may be. The longest, from an agreed end to a payment that is called
/// off because the escrow is closed, has seven.
pub const MAX_DEPTH: usize = 16;

/// The name of the payment provider that money is collected with.
pub const PSP: &str = "stripe";

/// What follows from an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Another aggregate judges this; if it refuses, the whole command is refused.
    Ask(Command),
    /// This happens to another stream, which has no say in it and is not looked at.
    Note(StreamId, DomainEvent),
    /// Asked like [`Reaction::Ask`], when nothing else follows any more.
    Last(Command),
}

/// What follows from the event `event_id`.
pub fn reactions(event_id: EventId, event: &DomainEvent) -> Vec<Reaction> {
    match event {
        DomainEvent::Contract(event) => of_contract(event),
        DomainEvent::Milestone(event) => of_milestone(event),
        DomainEvent::Escrow(event) => money::of_escrow(event_id, event),
        DomainEvent::Funding(event) => funding::of_funding(event),
        DomainEvent::Payee(event) => money::of_payee(event_id, event),
        DomainEvent::Refund(event) => money::of_refund(event_id, event),
        DomainEvent::Wallet(event) => money::of_wallet(event_id, event),
        DomainEvent::Chargeback(event) => chargeback::of_chargeback(event),
        DomainEvent::Payout(event) => payout::of_payout(event_id, event),
        DomainEvent::Party(event) => payout::of_party(event),
        // What was approved is carried out by the unit of work, which can tell when it is refused.
        DomainEvent::Treasury(_) | DomainEvent::Pair(_) | DomainEvent::Approval(_) | DomainEvent::Subject(_) => {
            Vec::new()
        }
    }
}

fn of_contract(event: &ContractEvent) -> Vec<Reaction> {
    match event {
        ContractEvent::Accepted {
            contract_id,
            client_id,
            payee_id,
            currency,
            fee_schedule,
            policy,
            milestones,
            ..
        } => {
            let plans = milestones.iter().map(|agreed| {
                let plan = plan(*contract_id, (*client_id, *payee_id), *currency, agreed, Defaults::of(policy));
                Reaction::Ask(Command::Milestone(plan.milestone_id, MilestoneCommand::Plan { plan }))
            });
            let open = EscrowCommand::Open {
                contract_id: *contract_id,
                client_id: *client_id,
                payee_id: *payee_id,
                currency: *currency,
                fee_schedule: fee_schedule.clone(),
                policy: policy.clone(),
            };
            plans.chain([Reaction::Ask(Command::Escrow(*contract_id, open))]).collect()
        }
        ContractEvent::AmendmentAccepted {
            contract_id,
            client_id,
            payee_id,
            currency,
            changes,
            milestones,
            default_review_days: review_days,
            refund_request_days,
            ..
        } => {
            let is_new = |id| {
                changes
                    .iter()
                    .any(|change| matches!(change, Change::AddMilestone { milestone } if milestone.milestone_id == id))
            };
            let touched: BTreeSet<_> = changes.iter().map(Change::milestone_id).collect();
            let defaults = Defaults { review_days: *review_days, refund_request_days: *refund_request_days };
            let agreed = milestones.iter().filter(|agreed| touched.contains(&agreed.milestone_id));
            agreed
                .map(|agreed| {
                    let plan = plan(*contract_id, (*client_id, *payee_id), *currency, agreed, defaults);
                    let milestone_id = plan.milestone_id;
                    let command = if is_new(milestone_id) {
                        MilestoneCommand::Plan { plan }
                    } else {
                        let Plan { amount, due_at, review_days, .. } = plan;
                        MilestoneCommand::Amend { amount, due_at, review_days }
                    };
                    Reaction::Ask(Command::Milestone(milestone_id, command))
                })
                .collect()
        }
        ContractEvent::Cancelled { stage: CancelStage::Draft, .. } => Vec::new(),
        ContractEvent::Cancelled { contract_id, milestones, .. } => {
            let cancel = |id: &MilestoneId| Reaction::Ask(Command::Milestone(*id, MilestoneCommand::Cancel));
            let close = Reaction::Ask(Command::Escrow(*contract_id, EscrowCommand::Close));
            milestones.iter().map(cancel).chain([close]).collect()
        }
        ContractEvent::EndAgreed { milestones, .. } => end(milestones, Role::Client, EndCause::Agreed),
        ContractEvent::DormancyDefaulted { milestones, to, .. } => end(milestones, *to, EndCause::Dormant),
        ContractEvent::Completed { contract_id, .. } => {
            vec![Reaction::Ask(Command::Escrow(*contract_id, EscrowCommand::Close))]
        }
        ContractEvent::Drafted { .. }
        | ContractEvent::Offered { .. }
        | ContractEvent::Countered { .. }
        | ContractEvent::Declined { .. }
        | ContractEvent::OfferWithdrawn { .. }
        | ContractEvent::OfferExpired { .. }
        | ContractEvent::Activated { .. }
        | ContractEvent::DeadlineExtended { .. }
        | ContractEvent::AmendmentProposed { .. }
        | ContractEvent::AmendmentRejected { .. }
        | ContractEvent::Paused { .. }
        | ContractEvent::Resumed { .. }
        | ContractEvent::EndRequested { .. }
        | ContractEvent::DormancyWarned { .. }
        | ContractEvent::DormancyPostponed { .. }
        | ContractEvent::MarkedDormant { .. }
        | ContractEvent::DormancyEscalatedToPayee { .. }
        | ContractEvent::DormancyReleaseRequested { .. }
        | ContractEvent::Reactivated { .. }
        | ContractEvent::MilestoneClosed { .. }
        | ContractEvent::TimerBlocked { .. } => Vec::new(),
    }
}

/// What a milestone takes from the policy of its contract.
#[derive(Clone, Copy)]
struct Defaults {
    /// Where it has no review window of its own.
    review_days: u16,
    refund_request_days: u16,
}

impl Defaults {
    fn of(policy: &Policy) -> Self {
        Self { review_days: policy.review_days, refund_request_days: policy.refund_request_days }
    }
}

/// A milestone as it is to be made.
fn plan(
    contract_id: ContractId,
    (client_id, payee_id): (PartyId, PartyId),
    currency: Currency,
    agreed: &MilestonePlan,
    defaults: Defaults,
) -> Plan {
    Plan {
        milestone_id: agreed.milestone_id,
        contract_id,
        client_id,
        payee_id,
        amount: agreed.amount,
        currency,
        review_days: agreed.review_days.unwrap_or(defaults.review_days),
        refund_request_days: defaults.refund_request_days,
        due_at: agreed.due_at,
        reference: agreed.reference.clone(),
    }
}

fn end(milestones: &[MilestoneId], to: Role, cause: EndCause) -> Vec<Reaction> {
    let end = |id: &MilestoneId| Reaction::Ask(Command::Milestone(*id, MilestoneCommand::End { to, cause }));
    milestones.iter().map(end).collect()
}

fn of_milestone(event: &MilestoneEvent) -> Vec<Reaction> {
    let release = |contract_id, milestone_id, release_id, gross, reason| {
        let command = EscrowCommand::Release { release_id, milestone_id, gross, reason };
        Reaction::Ask(Command::Escrow(contract_id, command))
    };
    let note = |contract_id, activity| {
        Reaction::Ask(Command::Contract(contract_id, ContractCommand::NoteActivity { activity }))
    };
    match event {
        MilestoneEvent::FundingRequested { contract_id, .. } => vec![note(*contract_id, Activity::Funding)],
        MilestoneEvent::WorkSubmitted { contract_id, .. } => vec![note(*contract_id, Activity::Submission)],
        MilestoneEvent::SubmissionWithdrawn { contract_id, .. }
        | MilestoneEvent::ChangesRequested { contract_id, .. }
        | MilestoneEvent::RollForwardRejected { contract_id, .. }
        | MilestoneEvent::RefundRequested { contract_id, .. } => vec![note(*contract_id, Activity::Other)],
        MilestoneEvent::Disputed { contract_id, milestone_id, dispute_id, amount, .. } => {
            let (dispute_id, milestone_id, amount) = (*dispute_id, *milestone_id, *amount);
            let hold = EscrowCommand::PlaceDisputeHold { dispute_id, milestone_id, amount };
            vec![Reaction::Ask(Command::Escrow(*contract_id, hold)), note(*contract_id, Activity::Other)]
        }
        MilestoneEvent::DisputeWithdrawn { contract_id, dispute_id, .. } => {
            let lift = EscrowCommand::LiftDisputeHold { dispute_id: *dispute_id };
            vec![Reaction::Ask(Command::Escrow(*contract_id, lift))]
        }
        MilestoneEvent::Approved { contract_id, milestone_id, release_id, gross, reason, .. } => match reason {
            ApprovalReason::Client => vec![
                release(*contract_id, *milestone_id, *release_id, *gross, ReleaseReason::Approved),
                note(*contract_id, Activity::Other),
            ],
            ApprovalReason::Dormancy => {
                vec![release(*contract_id, *milestone_id, *release_id, *gross, ReleaseReason::Dormancy)]
            }
            ApprovalReason::HoldLimit => {
                vec![release(*contract_id, *milestone_id, *release_id, *gross, ReleaseReason::Auto)]
            }
        },
        MilestoneEvent::PartiallyApproved { contract_id, milestone_id, release_id, gross, remainder, .. } => {
            let target = match remainder {
                Remainder::RollForward { milestone_id: target } => {
                    let expect = MilestoneCommand::ExpectMoney { contract_id: *contract_id, from: *milestone_id };
                    Some(Reaction::Ask(Command::Milestone(*target, expect)))
                }
                Remainder::Keep | Remainder::RefundRequest => None,
            };
            let release = release(*contract_id, *milestone_id, *release_id, *gross, ReleaseReason::Partial);
            target.into_iter().chain([release, note(*contract_id, Activity::Other)]).collect()
        }
        MilestoneEvent::AutoApproved { contract_id, milestone_id, release_id, gross, .. } => {
            vec![release(*contract_id, *milestone_id, *release_id, *gross, ReleaseReason::Auto)]
        }
        MilestoneEvent::Cancelled { contract_id, milestone_id, refunded } => {
            let (released, refunded) = (Minor::ZERO, *refunded);
            let over = ClosedMilestone { outcome: MilestoneOutcome::Cancelled, released, refunded };
            vec![note(*contract_id, Activity::Other), close(*contract_id, *milestone_id, over)]
        }
        MilestoneEvent::Released { contract_id, milestone_id, closes: Some(over), .. }
        | MilestoneEvent::MovedOut { contract_id, milestone_id, closes: Some(over), .. }
        | MilestoneEvent::Refunded { contract_id, milestone_id, closes: Some(over), .. }
        | MilestoneEvent::FundingLost { contract_id, milestone_id, closes: Some(over), .. }
        | MilestoneEvent::FundingFailed { contract_id, milestone_id, closes: Some(over), .. } => {
            vec![close(*contract_id, *milestone_id, *over)]
        }
        // What was agreed is moved by the escrow, which then tells the milestone (RecordRefund, RecordMovedOut and
        // RecordMovedIn).
        MilestoneEvent::RefundAgreed { contract_id, milestone_id, refund_id, amount, consent } => {
            let refund = EscrowCommand::InitiateRefund {
                refund_id: *refund_id,
                milestone_id: Some(*milestone_id),
                amount: *amount,
                reason: refund_reason(*consent),
            };
            vec![Reaction::Ask(Command::Escrow(*contract_id, refund)), note(*contract_id, Activity::Other)]
        }
        MilestoneEvent::RollForwardAccepted {
            contract_id,
            milestone_id,
            client_id,
            payee_id,
            reallocation_id,
            to,
            amount,
        } => {
            let reallocate = EscrowCommand::Reallocate {
                reallocation_id: *reallocation_id,
                from: Some(*milestone_id),
                to: *to,
                amount: *amount,
                consent: vec![*client_id, *payee_id],
            };
            vec![Reaction::Ask(Command::Escrow(*contract_id, reallocate)), note(*contract_id, Activity::Other)]
        }
        MilestoneEvent::HoldLimitPassed { contract_id, milestone_id, funding_id } => {
            let refund = EscrowCommand::RefundAtHoldLimit { funding_id: *funding_id, milestone_id: *milestone_id };
            vec![Reaction::Ask(Command::Escrow(*contract_id, refund))]
        }
        MilestoneEvent::Released { .. }
        | MilestoneEvent::MovedOut { .. }
        | MilestoneEvent::Refunded { .. }
        | MilestoneEvent::FundingFailed { .. }
        | MilestoneEvent::Planned { .. }
        | MilestoneEvent::Amended { .. }
        | MilestoneEvent::Funded { .. }
        | MilestoneEvent::MovedIn { .. }
        | MilestoneEvent::RefundRejected { .. }
        | MilestoneEvent::DeadlineMoved { .. }
        | MilestoneEvent::TimerBlocked { .. }
        | MilestoneEvent::Suspended { .. }
        | MilestoneEvent::Resumed { .. }
        | MilestoneEvent::EndDeferred { .. }
        | MilestoneEvent::FundingLost { .. } => Vec::new(),
    }
}

fn refund_reason(consent: RefundConsent) -> RefundReason {
    match consent {
        RefundConsent::Accepted | RefundConsent::Granted | RefundConsent::Time => RefundReason::Agreed,
        RefundConsent::End | RefundConsent::Dormancy => RefundReason::ContractOver,
        RefundConsent::TooLate => RefundReason::TooLate,
    }
}

fn close(contract_id: ContractId, milestone_id: MilestoneId, over: ClosedMilestone) -> Reaction {
    let ClosedMilestone { outcome, released, refunded } = over;
    let parts = Parts::default();
    let close = ContractCommand::CloseMilestone { milestone_id, outcome, released, refunded, parts };
    Reaction::Ask(Command::Contract(contract_id, close))
}
