//! The wrong party, the wrong moment, the wrong amount.

use domain::actor::{Actor, StaffRole};
use domain::contract::{Change, Contract, ContractCommand, Parts};
use domain::escrow::PaidFrom;
use domain::id::{AmendmentId, DisputeId, FundingId, MilestoneId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::{MilestoneCommand, Remainder};
use domain::payee::HoldReason;
use ledger::{Currency, Minor};

use crate::delivery::is_spare;
use crate::world::{Interrupt, Known, World};

impl World {
    /// Somebody asks for something, whether or not it makes sense.
    pub(crate) fn do_something_senseless(&mut self) -> Result<(), Interrupt> {
        let Some(known) = self.chance.pick(&self.contracts).cloned() else {
            return Ok(());
        };
        let milestones = self.milestones_of(&known);
        let Some((milestone_id, amount)) = self.chance.pick(&milestones).copied() else {
            return Ok(());
        };
        let stranger = self.chance.pick(&self.parties).copied().unwrap_or(known.client_id);
        let actors = [
            Actor::Client(known.client_id),
            Actor::Payee(known.payee_id),
            Actor::Payee(known.client_id),
            Actor::Client(stranger),
            Actor::Staff(StaffRole::Support, stranger),
        ];
        let actor = self.chance.pick(&actors).copied().unwrap_or(Actor::Client(stranger));
        let intent = match self.chance.between(0, 99) {
            0..=24 => Intent::Money(self.about_money(&known, milestone_id, amount)),
            25..=59 => self.on_the_path(&known, milestone_id, amount),
            60..=83 => {
                let command = self.about_a_contract(&known, milestone_id);
                Intent::OnContract { contract_id: known.contract_id, command }
            }
            _ => {
                let command = self.about_a_milestone(milestone_id, amount);
                Intent::OnMilestone { milestone_id, command }
            }
        };
        let ask = self.ask(intent, actor);
        self.send(ask)
    }

    fn on_the_path(&mut self, known: &Known, milestone_id: MilestoneId, amount: Minor) -> Intent {
        let contract_id = known.contract_id;
        match self.chance.between(0, 7) {
            0 => Intent::AcceptContract { contract_id },
            1 => {
                let (fee_schedule, policy) = self.terms(known.currency);
                Intent::OfferContract { contract_id, fee_schedule, policy }
            }
            3 if !is_spare(milestone_id) => {
                let short = Minor::new(self.chance.between(1, amount.get())).unwrap_or_default();
                self.funding(known, vec![(milestone_id, short)])
            }
            4 => self.funding(known, vec![(milestone_id, amount), (milestone_id, amount)]),
            5 => {
                // More, or less, than is held.
                let other = Minor::new(self.chance.between(1, amount.get().saturating_mul(2))).unwrap_or_default();
                Intent::ApproveMilestone { milestone_id, amount: Some(other), currency: None }
            }
            6 => {
                let currency = if known.currency == Currency::EUR { Currency::USD } else { Currency::EUR };
                Intent::ApproveMilestone { milestone_id, amount: Some(amount), currency: Some(currency) }
            }
            7 => Intent::ApproveMilestone { milestone_id, amount: None, currency: None },
            _ => Intent::SubmitWork { milestone_id },
        }
    }

    fn about_a_contract(&mut self, known: &Known, milestone_id: MilestoneId) -> ContractCommand {
        let waiting = match self.contract(known) {
            Some(Contract::Active { life } | Contract::Paused { life, .. }) => life.proposal,
            _ => None,
        };
        let unknown = AmendmentId::from_uuid(self.chance.uuid(self.now));
        let amendment_id = waiting.map_or(unknown, |proposal| proposal.amendment_id);
        // Less than was paid in, as a rule.
        let changes = vec![Change::ChangeAmount { milestone_id, amount: Minor::new(1).unwrap_or_default() }];
        let parts = Parts::default();
        match self.chance.between(0, 13) {
            10 => ContractCommand::RequestEnd { parts },
            11 => ContractCommand::AcceptEnd { parts },
            12 => ContractCommand::DisputeEnd,
            13 => ContractCommand::RequestDormancyRelease,
            0 => ContractCommand::CounterOffer { changes },
            1 => ContractCommand::Decline { reason: None },
            2 => ContractCommand::WithdrawOffer,
            3 => ContractCommand::Cancel { reason: None, parts },
            4 | 5 => ContractCommand::ProposeAmendment { amendment_id: unknown, changes, parts },
            6 => ContractCommand::AcceptAmendment { amendment_id },
            7 => ContractCommand::RejectAmendment { amendment_id },
            8 => ContractCommand::Pause { reason: None },
            _ => ContractCommand::Resume,
        }
    }

    fn about_a_milestone(&mut self, milestone_id: MilestoneId, amount: Minor) -> MilestoneCommand {
        let some = Minor::new(self.chance.between(0, amount.get().saturating_mul(2))).ok();
        match self.chance.between(0, 9) {
            4 => MilestoneCommand::AcceptRollForward,
            5 => MilestoneCommand::RejectRollForward,
            6 => MilestoneCommand::RequestRefund { amount: some, currency: None },
            7 => MilestoneCommand::GrantRefund { amount: some, currency: None },
            8 => MilestoneCommand::AcceptRefund,
            9 => MilestoneCommand::RejectRefund { dispute_id: DisputeId::from_uuid(self.chance.uuid(self.now)) },
            0 if is_spare(milestone_id) => MilestoneCommand::Cancel,
            0 | 1 => MilestoneCommand::WithdrawSubmission,
            2 => MilestoneCommand::RequestChanges { note_ref: None },
            _ => {
                let gross = Minor::new(self.chance.between(0, amount.get().saturating_mul(2))).unwrap_or_default();
                MilestoneCommand::ApprovePartially { gross, currency: None, remainder: Remainder::Keep }
            }
        }
    }

    fn about_money(&mut self, known: &Known, milestone_id: MilestoneId, amount: Minor) -> MoneyIntent {
        let (contract_id, currency) = (known.contract_id, known.currency);
        let (funding_id, refund_id) =
            (FundingId::from_uuid(self.chance.uuid(self.now)), RefundId::from_uuid(self.chance.uuid(self.now)));
        let (client_id, payee_id) = (known.client_id, known.payee_id);
        let too_much = Minor::MAX_INPUT.saturating_add(amount);
        match self.chance.between(0, 9) {
            0 => MoneyIntent::PayIn {
                contract_id,
                funding_id,
                allocations: Vec::new(),
                deposit: too_much,
                currency,
                paid_from: PaidFrom::Provider,
                payment_method: "pm_card".to_owned(),
            },
            // The card's number.
            1 => MoneyIntent::PayIn {
                contract_id,
                funding_id,
                allocations: Vec::new(),
                deposit: amount,
                currency,
                paid_from: PaidFrom::Provider,
                payment_method: "4242424242424242".to_owned(),
            },
            2 => MoneyIntent::GiveBack { contract_id, milestone_id, refund_id, amount, currency: Some(Currency::KWD) },
            3 => MoneyIntent::Freeze { contract_id, reason: "Because".to_owned(), legal_ref: None },
            4 => MoneyIntent::Unfreeze { contract_id },
            5 => MoneyIntent::RedirectRefund { refund_id },
            6 => MoneyIntent::WithdrawFromWallet { client_id, currency, refund_id, amount },
            7 => MoneyIntent::HoldEarnings { payee_id, currency, amount: Some(amount), reason: HoldReason::Fraud },
            8 => MoneyIntent::LetEarningsGo { payee_id, currency, amount: None, reason: HoldReason::Fraud },
            _ => MoneyIntent::CancelFunding { funding_id },
        }
    }
}
