//! What parties do about a contract as a whole: offer, answer, change, pause, give up.
//!
//! # Invariants
//! - They know what the projections show, which can be old.
//!
//! # What is deliberately absent
//! Whatever needs money to go back, which the escrow cannot do yet: ends, refunds, disputes, dormancy.

use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::contract::{self, Change, Contract, ContractCommand, Life, MilestonePlan, Parts, Proposal, Role};
use domain::id::{AmendmentId, MilestoneId};
use domain::intent::Intent;
use domain::view::Document;
use ledger::Minor;

use crate::world::{Interrupt, Known, World};

/// Who acts on this side of a contract.
pub(crate) fn actor_of(known: &Known, role: Role) -> Actor {
    match role {
        Role::Client => Actor::Client(known.client_id),
        Role::Payee => Actor::Payee(known.payee_id),
    }
}

impl World {
    /// Whoever's turn it is takes a contract one step further.
    pub(crate) fn advance_a_contract(&mut self) -> Result<(), Interrupt> {
        let recent = self.contracts.len().saturating_sub(5);
        let young = self.contracts.get(recent..).unwrap_or_default();
        let Some(known) = self.chance.pick(young).cloned() else {
            return self.draft();
        };
        let Some(contract) = self.contract(&known) else {
            return Ok(());
        };
        let (contract_id, either) = (known.contract_id, self.either());
        let dice = self.chance.between(0, 99);
        match contract {
            Contract::Draft { .. } if dice < 95 => {
                let (fee_schedule, policy) = self.terms();
                let ask = self
                    .ask(Intent::OfferContract { contract_id, fee_schedule, policy }, Actor::Client(known.client_id));
                self.send(ask)
            }
            Contract::Draft { .. } => self.cancel(&known, Role::Client),
            Contract::PendingFunding { .. } if dice < 2 => self.cancel(&known, either),
            Contract::Offered { agreement, answer_by, .. } => {
                self.answer_an_offer(&known, &agreement.milestones, answer_by)
            }
            Contract::Expired { .. } => self.accept(&known, Role::Payee),
            Contract::Active { life } if dice < 25 => self.amend(&known, &life),
            Contract::Active { .. } if dice < 29 => {
                self.on_contract(&known, ContractCommand::Pause { reason: None }, either)
            }
            // One side only can resume it; sometimes the other one tries.
            Contract::Paused { by, .. } if dice < 50 => {
                let role = if dice < 8 { by.other() } else { by };
                self.on_contract(&known, ContractCommand::Resume, role)
            }
            Contract::Paused { life, .. } if dice < 65 => self.amend(&known, &life),
            _ => self.advance_a_milestone(&known),
        }
    }

    /// The contract, as the projections have it.
    pub(crate) fn contract(&self, known: &Known) -> Option<Contract> {
        match self.document(&contract::stream(known.contract_id)) {
            Some(Document::Aggregate(AggregateState::Contract(contract))) => Some(contract.as_ref().clone()),
            _ => None,
        }
    }

    /// The milestones as their parties know them: as agreed by now, or as drafted.
    pub(crate) fn milestones_of(&self, known: &Known) -> Vec<(MilestoneId, Minor)> {
        let contract = self.contract(known);
        match contract.as_ref().and_then(Contract::agreement) {
            Some(agreement) => agreement.milestones.iter().map(|plan| (plan.milestone_id, plan.amount)).collect(),
            None => known.milestones.clone(),
        }
    }

    pub(crate) fn on_contract(&mut self, known: &Known, command: ContractCommand, role: Role) -> Result<(), Interrupt> {
        let intent = Intent::OnContract { contract_id: known.contract_id, command };
        let ask = self.ask(intent, actor_of(known, role));
        self.send(ask)
    }

    /// A milestone that somebody has in mind.
    pub(crate) fn plan(&mut self) -> MilestonePlan {
        let milestone_id = MilestoneId::from_uuid(self.chance.uuid(self.now));
        // Small ones too: fees can take all of them.
        let most = if self.chance.per_mille(100) { 60 } else { 3_000_000 };
        let amount = Minor::new(self.chance.between(1, most)).unwrap_or_default();
        let review_days = self.chance.per_mille(300).then(|| self.some_days());
        MilestonePlan { milestone_id, amount, due_at: None, review_days, reference: None }
    }

    fn some_days(&mut self) -> u16 {
        u16::try_from(self.chance.between(1, 9)).unwrap_or(1)
    }

    fn either(&mut self) -> Role {
        if self.chance.per_mille(500) { Role::Client } else { Role::Payee }
    }

    fn accept(&mut self, known: &Known, role: Role) -> Result<(), Interrupt> {
        let ask = self.ask(Intent::AcceptContract { contract_id: known.contract_id }, actor_of(known, role));
        self.send(ask)
    }

    fn cancel(&mut self, known: &Known, role: Role) -> Result<(), Interrupt> {
        self.on_contract(known, ContractCommand::Cancel { reason: None, parts: Parts::default() }, role)
    }

    fn answer_an_offer(
        &mut self,
        known: &Known,
        milestones: &[MilestonePlan],
        answer_by: Role,
    ) -> Result<(), Interrupt> {
        match self.chance.between(0, 99) {
            0..=69 => self.accept(known, answer_by),
            // Who made the last version tries to accept it too.
            70..=74 => self.accept(known, answer_by.other()),
            75..=89 => {
                let changes = self.changes(milestones);
                self.on_contract(known, ContractCommand::CounterOffer { changes }, answer_by)
            }
            90..=94 => self.on_contract(known, ContractCommand::Decline { reason: None }, Role::Payee),
            _ => self.on_contract(known, ContractCommand::WithdrawOffer, Role::Client),
        }
    }

    /// Proposes an amendment, or answers the one that waits.
    fn amend(&mut self, known: &Known, life: &Life) -> Result<(), Interrupt> {
        let Some(Proposal { amendment_id, by, .. }) = life.proposal.clone() else {
            return self.propose(known, &life.agreement.milestones);
        };
        match self.chance.between(0, 99) {
            0..=49 => self.on_contract(known, ContractCommand::AcceptAmendment { amendment_id }, by.other()),
            // Nobody agrees with himself; sometimes somebody tries.
            50..=64 => self.on_contract(known, ContractCommand::AcceptAmendment { amendment_id }, by),
            65..=79 => {
                let role = self.either();
                self.on_contract(known, ContractCommand::RejectAmendment { amendment_id }, role)
            }
            80..=89 => self.propose(known, &life.agreement.milestones),
            _ => self.advance_a_milestone(known),
        }
    }

    fn propose(&mut self, known: &Known, milestones: &[MilestonePlan]) -> Result<(), Interrupt> {
        let amendment_id = AmendmentId::from_uuid(self.chance.uuid(self.now));
        let (changes, role) = (self.changes(milestones), self.either());
        let parts = Parts::default();
        self.on_contract(known, ContractCommand::ProposeAmendment { amendment_id, changes, parts }, role)
    }

    /// One change to the milestones, or two.
    pub(crate) fn changes(&mut self, milestones: &[MilestonePlan]) -> Vec<Change> {
        let mut changes = vec![self.change(milestones)];
        if self.chance.per_mille(300) {
            changes.push(self.change(milestones));
        }
        changes
    }

    fn change(&mut self, milestones: &[MilestonePlan]) -> Change {
        let dice = self.chance.between(0, 9);
        let Some(plan) = self.chance.pick(milestones).filter(|_| dice > 1) else {
            return Change::AddMilestone { milestone: self.plan() };
        };
        let milestone_id = plan.milestone_id;
        match dice {
            2..=6 => {
                let more = self.chance.between(1, plan.amount.get().max(1_000));
                let amount = Minor::new(plan.amount.get().saturating_add(more)).unwrap_or_default();
                Change::ChangeAmount { milestone_id, amount }
            }
            7 => {
                let amount = Minor::new(self.chance.between(1, plan.amount.get())).unwrap_or_default();
                Change::ChangeAmount { milestone_id, amount }
            }
            8 => {
                let due_at = self.chance.per_mille(700).then(|| self.now + chrono::TimeDelta::days(20));
                Change::ChangeDueDate { milestone_id, due_at }
            }
            _ => {
                let review_days = self.chance.per_mille(700).then(|| self.some_days());
                Change::ChangeReviewDays { milestone_id, review_days }
            }
        }
    }
}
