//! What parties do about a contract as a whole: offer, answer, change, pause, give up.
//!
//! # Invariants
//! - They know what the projections show, which can be old.
//!
//! - A contract can be forgotten: then time passes over it.

use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::contract::{
    self, Change, Contract, ContractCommand, DormantStage, Life, MilestonePlan, Parts, Proposal, Role,
};
use domain::id::{AmendmentId, MilestoneId};
use domain::intent::Intent;
use domain::milestone::{Milestone, MilestoneCommand};
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
        // Mostly a recent one, and one in which something is left to do.
        let back = if self.chance.per_mille(850) { 9 } else { self.contracts.len() };
        let recent = self.contracts.get(self.contracts.len().saturating_sub(back)..).unwrap_or_default();
        let alive: Vec<Known> = recent.iter().filter(|known| self.is_alive(known)).cloned().collect();
        let among = if self.chance.per_mille(850) { alive.as_slice() } else { recent };
        let Some(known) = self.chance.pick(among).cloned() else {
            return self.draft();
        };
        let Some(contract) = self.contract(&known) else {
            return Ok(());
        };
        let (contract_id, either) = (known.contract_id, self.either());
        let dice = self.chance.between(0, 99);
        match contract {
            Contract::Draft { .. } if dice < 95 => {
                let (fee_schedule, policy) = self.terms(known.currency);
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
            Contract::Active { .. } | Contract::Paused { .. } if (65..68).contains(&dice) => {
                self.on_contract(&known, ContractCommand::RequestEnd { parts: Parts::default() }, Role::Client)
            }
            // The payee gives it back: refused once something was released.
            Contract::Active { .. } | Contract::Paused { .. } | Contract::Ending { agreed: false, .. }
                if (68..70).contains(&dice) =>
            {
                self.cancel(&known, Role::Payee)
            }
            Contract::Ending { agreed: false, .. } if dice < 25 => {
                self.on_contract(&known, ContractCommand::AcceptEnd { parts: Parts::default() }, Role::Payee)
            }
            Contract::Ending { agreed: false, .. } if dice < 29 => {
                self.on_contract(&known, ContractCommand::DisputeEnd, Role::Payee)
            }
            // As a rule nobody remembers it.
            Contract::Dormant { stage, .. } => match (stage, dice) {
                (DormantStage::PayeeAsked, 0..=69) => {
                    self.on_contract(&known, ContractCommand::RequestDormancyRelease, Role::Payee)
                }
                (_, 70..=74) => self.on_contract(&known, ContractCommand::Resume, either),
                (_, 75..=77) => {
                    self.on_contract(&known, ContractCommand::RequestEnd { parts: Parts::default() }, Role::Client)
                }
                (_, 78..=82) => {
                    let plans = self.milestone_plans(&known);
                    self.propose(&known, &plans)
                }
                (_, 83..=86) => self.advance_a_milestone(&known),
                (_, 87..=88) => self.cancel(&known, Role::Payee),
                _ => Ok(()),
            },
            _ => self.advance_a_milestone(&known),
        }
    }

    /// Somebody answers a question that few contracts come to: a rest that is to go to another milestone, a wish for a
    /// refund, a contract that both have forgotten.
    pub(crate) fn answer_what_is_open(&mut self) -> Result<(), Interrupt> {
        let mut open = Vec::new();
        for known in &self.contracts {
            if let Some(Contract::Dormant { stage: DormantStage::PayeeAsked, .. }) = self.contract(known) {
                let (contract_id, command) = (known.contract_id, ContractCommand::RequestDormancyRelease);
                open.push((known.clone(), Intent::OnContract { contract_id, command }));
            }
        }
        let dormant = open.len();
        for (document, _) in self.records.documents.values() {
            let Document::Aggregate(AggregateState::Milestone(milestone)) = document else { continue };
            let commands = match milestone.as_ref() {
                Milestone::PartiallyReleased { roll_forward: Some(_), .. } => {
                    vec![MilestoneCommand::AcceptRollForward, MilestoneCommand::RejectRollForward]
                }
                Milestone::RefundPending { agreed: false, .. } => vec![MilestoneCommand::AcceptRefund],
                _ => continue,
            };
            let Some(plan) = milestone.plan() else { continue };
            let known = self.contracts.iter().find(|known| known.contract_id == plan.contract_id);
            let milestone_id = plan.milestone_id;
            for command in commands {
                open.extend(known.map(|known| (known.clone(), Intent::OnMilestone { milestone_id, command })));
            }
        }
        // Fewest of all come to the last of them.
        let dormant = open.get(..dormant).filter(|dormant| !dormant.is_empty() && self.chance.per_mille(700));
        let Some((known, intent)) = self.chance.pick(dormant.unwrap_or(&open)).cloned() else {
            return Ok(());
        };
        let is_rare = matches!(intent, Intent::OnContract { .. });
        let ask = self.ask(intent, actor_of(&known, Role::Payee));
        self.send(ask.clone())?;
        // Too rare to be repeated by chance alone.
        if (is_rare || self.chance.per_mille(700)) && self.promised.contains_key(&ask.command_id) {
            self.count("command repeated");
            return self.send(ask);
        }
        Ok(())
    }

    /// Whether a payee is asked about a contract that both have forgotten.
    pub(crate) fn is_a_payee_asked(&self) -> bool {
        let asked = |known: &Known| {
            matches!(self.contract(known), Some(Contract::Dormant { stage: DormantStage::PayeeAsked, .. }))
        };
        self.contracts.iter().any(asked)
    }

    fn is_alive(&self, known: &Known) -> bool {
        let document = self.document(&contract::stream(known.contract_id));
        let Some(Document::Aggregate(AggregateState::Contract(contract))) = document else {
            return true;
        };
        !matches!(
            contract.as_ref(),
            Contract::Declined { .. }
                | Contract::Withdrawn { .. }
                | Contract::Expired { .. }
                | Contract::Completed { .. }
                | Contract::Cancelled { .. }
        )
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

    fn milestone_plans(&self, known: &Known) -> Vec<MilestonePlan> {
        let contract = self.contract(known);
        contract.as_ref().and_then(Contract::agreement).map_or_else(Vec::new, |agreement| agreement.milestones.clone())
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
