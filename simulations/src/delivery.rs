//! What parties do about one milestone: pay, deliver, review, approve, ask for money back, disagree, give up.
//!
//! # What is deliberately absent
//! The end of a dispute: this version has none.

use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::contract::Role;
use domain::id::{DisputeId, FundingId, MilestoneId};
use domain::intent::Intent;
use domain::milestone::{self, Milestone, MilestoneCommand, Progress, Remainder};
use domain::view::Document;
use ledger::{Currency, Minor};

use crate::agreement::actor_of;
use crate::world::{Interrupt, Known, World};

/// Ways to pay, at the simulated provider. Most cards work. The last two fail first and work later, and wait for the client
/// for ever.
const PAYMENT_METHODS: [&str; 11] = [
    "pm_card",
    "pm_card",
    "pm_card",
    "pm_card",
    "pm_card",
    "pm_debit",
    "pm_authenticate",
    "pm_declined",
    "pm_unknown",
    "pm_retried",
    "pm_forgotten",
];

/// Whether a milestone is one that its parties would rather give up than pay for: one in eight.
pub(crate) fn is_spare(milestone_id: MilestoneId) -> bool {
    milestone_id.as_uuid().as_u128().trailing_zeros() >= 3
}

impl World {
    /// Whoever's turn it is takes a milestone one step further.
    pub(crate) fn advance_a_milestone(&mut self, known: &Known) -> Result<(), Interrupt> {
        let milestones = self.milestones_of(known);
        let Some((milestone_id, _)) = self.chance.pick(&milestones).copied() else {
            return Ok(());
        };
        let dice = self.chance.between(0, 99);
        match self.milestone(milestone_id) {
            Some(Milestone::Planned { .. }) if is_spare(milestone_id) && dice < 70 => {
                let role = if dice < 35 { Role::Client } else { Role::Payee };
                self.on_milestone(known, milestone_id, MilestoneCommand::Cancel, role)
            }
            Some(Milestone::Planned { .. }) => self.pay(known, milestone_id, &milestones),
            // Paid for twice: now and then somebody tries.
            Some(Milestone::FundingPending { .. }) if dice < 20 => self.pay(known, milestone_id, &milestones),
            Some(
                Milestone::Funded { progress }
                | Milestone::ChangesRequested { progress }
                | Milestone::PartiallyReleased { progress, .. },
            ) => {
                let short = !progress.missing().is_zero() && progress.paying.is_none();
                if short && (dice < 40 || progress.held.is_zero()) && !self.may_roll_forward(milestone_id) {
                    return self.pay(known, milestone_id, &milestones);
                }
                match self.chance.between(0, 99) {
                    0..=4 => self.ask_for_a_refund(known, &progress),
                    5..=8 => self.grant_a_refund(known, &progress),
                    9..=11 => self.disagree(known, milestone_id),
                    12..=60 if self.may_roll_forward(milestone_id) => {
                        let accepts = self.chance.per_mille(700);
                        let command = if accepts {
                            MilestoneCommand::AcceptRollForward
                        } else {
                            MilestoneCommand::RejectRollForward
                        };
                        self.on_milestone(known, milestone_id, command, Role::Payee)
                    }
                    // Left alone: it can be forgotten.
                    12..=15 => Ok(()),
                    16..=64 => {
                        let ask = self.ask(Intent::SubmitWork { milestone_id }, Actor::Payee(known.payee_id));
                        self.send(ask)
                    }
                    65..=84 => self.approve(known, &progress),
                    _ => self.approve_a_part(known, &progress),
                }
            }
            Some(Milestone::Submitted { progress, .. }) => match dice {
                0..=44 => self.approve(known, &progress),
                45..=59 => self.approve_a_part(known, &progress),
                60..=77 => {
                    let command = MilestoneCommand::RequestChanges { note_ref: None };
                    self.on_milestone(known, milestone_id, command, Role::Client)
                }
                78..=87 => self.on_milestone(known, milestone_id, MilestoneCommand::WithdrawSubmission, Role::Payee),
                88..=91 => self.disagree(known, milestone_id),
                _ => Ok(()),
            },
            Some(Milestone::RefundPending { .. }) => match dice {
                0..=29 => self.on_milestone(known, milestone_id, MilestoneCommand::AcceptRefund, Role::Payee),
                30..=44 => {
                    let dispute_id = DisputeId::from_uuid(self.chance.uuid(self.now));
                    self.on_milestone(known, milestone_id, MilestoneCommand::RejectRefund { dispute_id }, Role::Payee)
                }
                _ => Ok(()),
            },
            Some(Milestone::Disputed { progress, .. }) if dice < 20 => match dice {
                0..=6 => self.approve(known, &progress),
                7..=12 => self.ask_for_a_refund(known, &progress),
                _ => self.pay(known, milestone_id, &milestones),
            },
            // Approved once more, or sent back too late: now and then somebody tries.
            Some(Milestone::Released { .. }) if dice < 10 => {
                let command = MilestoneCommand::RequestChanges { note_ref: None };
                self.on_milestone(known, milestone_id, command, Role::Client)
            }
            Some(Milestone::Released { .. }) | None if dice < 20 => {
                let intent = Intent::ApproveMilestone { milestone_id, amount: None, currency: None };
                let ask = self.ask(intent, Actor::Client(known.client_id));
                self.send(ask)
            }
            // Something else to do.
            Some(Milestone::Released { .. } | Milestone::Cancelled { .. }) | None if dice < 30 => self.draft(),
            _ => Ok(()),
        }
    }

    pub(crate) fn on_milestone(
        &mut self,
        known: &Known,
        milestone_id: MilestoneId,
        command: MilestoneCommand,
        role: Role,
    ) -> Result<(), Interrupt> {
        let ask = self.ask(Intent::OnMilestone { milestone_id, command }, actor_of(known, role));
        self.send(ask)
    }

    /// Whether the client has proposed that the rest goes to another milestone.
    fn may_roll_forward(&self, milestone_id: MilestoneId) -> bool {
        matches!(self.milestone(milestone_id), Some(Milestone::PartiallyReleased { roll_forward: Some(_), .. }))
    }

    /// All that is held, or a part of it; now and then more.
    fn some_of(&mut self, progress: &Progress) -> Option<Minor> {
        let held = progress.held.get();
        let amount = match self.chance.between(0, 9) {
            0..=3 => return None,
            4..=8 => self.chance.between(1, held),
            _ => held.saturating_add(1),
        };
        Minor::new(amount).ok()
    }

    fn ask_for_a_refund(&mut self, known: &Known, progress: &Progress) -> Result<(), Interrupt> {
        let amount = self.some_of(progress);
        let currency = self.chance.per_mille(300).then(|| self.currency_of(known));
        let command = MilestoneCommand::RequestRefund { amount, currency };
        self.on_milestone(known, progress.plan.milestone_id, command, Role::Client)
    }

    fn grant_a_refund(&mut self, known: &Known, progress: &Progress) -> Result<(), Interrupt> {
        let amount = self.some_of(progress);
        let currency = self.chance.per_mille(300).then(|| self.currency_of(known));
        let command = MilestoneCommand::GrantRefund { amount, currency };
        self.on_milestone(known, progress.plan.milestone_id, command, Role::Payee)
    }

    fn disagree(&mut self, known: &Known, milestone_id: MilestoneId) -> Result<(), Interrupt> {
        let dispute_id = DisputeId::from_uuid(self.chance.uuid(self.now));
        let role = if self.chance.per_mille(500) { Role::Client } else { Role::Payee };
        self.on_milestone(known, milestone_id, MilestoneCommand::OpenDispute { dispute_id }, role)
    }

    /// The milestone, as the projections have it.
    fn milestone(&self, milestone_id: MilestoneId) -> Option<Milestone> {
        match self.document(&milestone::stream(milestone_id)) {
            Some(Document::Aggregate(AggregateState::Milestone(milestone))) => Some(milestone.as_ref().clone()),
            _ => None,
        }
    }

    fn approve(&mut self, known: &Known, progress: &Progress) -> Result<(), Interrupt> {
        let stated = self.chance.per_mille(400);
        let intent = Intent::ApproveMilestone {
            milestone_id: progress.plan.milestone_id,
            amount: stated.then_some(progress.held),
            currency: stated.then(|| self.currency_of(known)),
        };
        let ask = self.ask(intent, Actor::Client(known.client_id));
        self.send(ask)
    }

    fn approve_a_part(&mut self, known: &Known, progress: &Progress) -> Result<(), Interrupt> {
        let gross = Minor::new(self.chance.between(1, progress.held.get().saturating_sub(1))).unwrap_or_default();
        let currency = self.chance.per_mille(400).then(|| self.currency_of(known));
        // Sometimes to itself, if there is no other.
        let own = progress.plan.milestone_id;
        let mut milestones = self.milestones_of(known);
        if milestones.len() > 1 {
            milestones.retain(|(other, _)| *other != own);
        }
        let remainder = match (self.chance.between(0, 9), self.chance.pick(&milestones)) {
            (0..=4, Some((milestone_id, _))) => Remainder::RollForward { milestone_id: *milestone_id },
            (5 | 6, _) => Remainder::RefundRequest,
            _ => Remainder::Keep,
        };
        let command = MilestoneCommand::ApprovePartially { gross, currency, remainder };
        self.on_milestone(known, progress.plan.milestone_id, command, Role::Client)
    }

    /// The currency of a contract; now and then somebody is mistaken about it.
    fn currency_of(&mut self, known: &Known) -> Currency {
        let mistaken = known.currency != Currency::KWD && self.chance.per_mille(80);
        if mistaken { Currency::KWD } else { known.currency }
    }

    /// What the client would pay for a milestone now.
    pub(crate) fn payable(&self, milestone_id: MilestoneId) -> Option<Minor> {
        let milestone = self.milestone(milestone_id)?;
        match &milestone {
            Milestone::Planned { plan } | Milestone::FundingPending { plan, .. } => Some(plan.amount),
            _ => milestone.progress().map(Progress::missing),
        }
    }

    /// Pays for a milestone, and perhaps for others with it.
    fn pay(
        &mut self,
        known: &Known,
        milestone_id: MilestoneId,
        milestones: &[(MilestoneId, Minor)],
    ) -> Result<(), Interrupt> {
        let mut allocations = Vec::new();
        for (other, _) in milestones {
            let wanted = *other == milestone_id
                || (!is_spare(*other) && self.is_to_be_paid(*other) && self.chance.per_mille(500));
            if let Some(amount) = self.payable(*other).filter(|_| wanted) {
                allocations.push((*other, amount));
            }
        }
        let intent = self.funding(known, allocations);
        let ask = self.ask(intent, Actor::Client(known.client_id));
        self.send(ask)
    }

    fn is_to_be_paid(&self, milestone_id: MilestoneId) -> bool {
        match self.milestone(milestone_id) {
            Some(Milestone::Planned { .. }) => true,
            Some(milestone) => milestone.progress().is_some_and(|progress| {
                progress.paying.is_none() && !progress.missing().is_zero() && !progress.held.is_zero()
            }),
            None => false,
        }
    }

    pub(crate) fn payment_method(&mut self) -> String {
        self.chance.pick(&PAYMENT_METHODS).copied().unwrap_or("pm_card").to_owned()
    }

    pub(crate) fn funding(&mut self, known: &Known, allocations: Vec<(MilestoneId, Minor)>) -> Intent {
        let payment_method = self.payment_method();
        Intent::FundMilestones {
            contract_id: known.contract_id,
            funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
            allocations,
            currency: known.currency,
            payment_method,
        }
    }
}
