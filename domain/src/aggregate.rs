//! State of any aggregate: the enum that the unit of work and the read models hold.

use serde::Serialize;

use crate::approval::{self, ApprovalRequest};
use crate::chargeback::{self, Chargeback};
use crate::command::Command;
use crate::contract::{self, Contract};
use crate::escrow::{self, Escrow};
use crate::event::DomainEvent;
use crate::funding::{self, Funding};
use crate::log::StreamId;
use crate::milestone::{self, Milestone};
use crate::pair::{self, Pair};
use crate::party::{self, Party};
use crate::payee::{self, PayeeAccount};
use crate::payout::{self, Payout};
use crate::refund::{self, Refund};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::subject::{self, Subject};
use crate::timer::Timer;
use crate::treasury::{self, Balance, Treasury, TreasuryCommand};
use crate::wallet::{self, ClientWallet};

/// State of an aggregate of any kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AggregateState {
    /// A party.
    Party(Party),
    /// A contract.
    Contract(Box<Contract>),
    /// A milestone.
    Milestone(Box<Milestone>),
    /// An escrow.
    Escrow(Box<Escrow>),
    /// A funding.
    Funding(Box<Funding>),
    /// A payee account.
    Payee(PayeeAccount),
    /// A payout.
    Payout(Box<Payout>),
    /// A refund.
    Refund(Box<Refund>),
    /// A client's wallet.
    Wallet(ClientWallet),
    /// A chargeback.
    Chargeback(Box<Chargeback>),
    /// A treasury.
    Treasury(Box<Treasury>),
    /// What a client and a payee have billed together.
    Pair(Pair),
    /// A command that waits for others to approve it.
    Approval(Box<ApprovalRequest>),
    /// A person whose data is kept.
    Subject(Subject),
}

impl AggregateState {
    /// The state before the first event of an aggregate of this kind; `None` when the kind is not one of ours.
    pub fn initial(aggregate_type: &str) -> Option<Self> {
        Some(match aggregate_type {
            party::TYPE => Self::Party(Party::default()),
            contract::TYPE => Self::Contract(Box::default()),
            milestone::TYPE => Self::Milestone(Box::default()),
            escrow::TYPE => Self::Escrow(Box::default()),
            funding::TYPE => Self::Funding(Box::default()),
            payee::TYPE => Self::Payee(PayeeAccount::default()),
            payout::TYPE => Self::Payout(Box::default()),
            refund::TYPE => Self::Refund(Box::default()),
            wallet::TYPE => Self::Wallet(ClientWallet::default()),
            chargeback::TYPE => Self::Chargeback(Box::default()),
            treasury::TYPE => Self::Treasury(Box::default()),
            pair::TYPE => Self::Pair(Pair::default()),
            approval::TYPE => Self::Approval(Box::default()),
            subject::TYPE => Self::Subject(Subject::default()),
            _ => return None,
        })
    }

    /// Judges a command.
    ///
    /// # Errors
    /// The [`Refusal`] that names the rule.
    pub fn decide(&self, command: &Command, context: &Context) -> Result<Vec<DomainEvent>, Refusal> {
        fn wrap<E>(events: Vec<E>, wrap: fn(E) -> DomainEvent) -> Vec<DomainEvent> {
            events.into_iter().map(wrap).collect()
        }
        match (self, command) {
            (Self::Party(state), Command::Party(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Party))
            }
            (Self::Contract(state), Command::Contract(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Contract))
            }
            (Self::Milestone(state), Command::Milestone(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Milestone))
            }
            (Self::Escrow(state), Command::Escrow(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Escrow))
            }
            (Self::Funding(state), Command::Funding(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Funding))
            }
            (Self::Payee(state), Command::Payee(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Payee))
            }
            (Self::Payout(state), Command::Payout(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Payout))
            }
            (Self::Refund(state), Command::Refund(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Refund))
            }
            (Self::Wallet(state), Command::Wallet(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Wallet))
            }
            (Self::Chargeback(state), Command::Chargeback(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Chargeback))
            }
            (Self::Treasury(state), Command::Treasury(id, command)) => {
                let balance = Balance { psp: id.psp.clone(), currency: id.currency };
                let command = TreasuryCommand::At { balance, command: Box::new(command.clone()) };
                state.decide(&command, context).map(|events| wrap(events, DomainEvent::Treasury))
            }
            (Self::Pair(state), Command::Pair(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Pair))
            }
            (Self::Approval(state), Command::Approval(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Approval))
            }
            (Self::Subject(state), Command::Subject(_, command)) => {
                state.decide(command, context).map(|events| wrap(events, DomainEvent::Subject))
            }
            _ => Err(Refusal::Defect("a command met an aggregate of another kind".to_owned())),
        }
    }

    /// Remembers an event. An event of another kind of aggregate changes nothing.
    pub fn evolve(&mut self, event: &DomainEvent) {
        match (self, event) {
            (Self::Party(state), DomainEvent::Party(event)) => state.evolve(event),
            (Self::Contract(state), DomainEvent::Contract(event)) => state.evolve(event),
            (Self::Milestone(state), DomainEvent::Milestone(event)) => state.evolve(event),
            (Self::Escrow(state), DomainEvent::Escrow(event)) => state.evolve(event),
            (Self::Funding(state), DomainEvent::Funding(event)) => state.evolve(event),
            (Self::Payee(state), DomainEvent::Payee(event)) => state.evolve(event),
            (Self::Payout(state), DomainEvent::Payout(event)) => state.evolve(event),
            (Self::Refund(state), DomainEvent::Refund(event)) => state.evolve(event),
            (Self::Wallet(state), DomainEvent::Wallet(event)) => state.evolve(event),
            (Self::Chargeback(state), DomainEvent::Chargeback(event)) => state.evolve(event),
            (Self::Treasury(state), DomainEvent::Treasury(event)) => state.evolve(event),
            (Self::Pair(state), DomainEvent::Pair(event)) => state.evolve(event),
            (Self::Approval(state), DomainEvent::Approval(event)) => state.evolve(event),
            (Self::Subject(state), DomainEvent::Subject(event)) => state.evolve(event),
            _ => {}
        }
    }

    /// The deadlines that are running.
    pub fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        match self {
            Self::Contract(state) => state.timers(stream),
            Self::Milestone(state) => state.timers(stream),
            Self::Payee(state) => state.timers(stream),
            Self::Escrow(state) => state.timers(stream),
            Self::Funding(state) => state.timers(stream),
            Self::Chargeback(state) => state.timers(stream),
            Self::Approval(state) => state.timers(stream),
            Self::Party(_)
            | Self::Payout(_)
            | Self::Refund(_)
            | Self::Wallet(_)
            | Self::Treasury(_)
            | Self::Pair(_)
            | Self::Subject(_) => Vec::new(),
        }
    }

    /// The word for the present state.
    pub fn state_name(&self) -> &'static str {
        match self {
            Self::Party(state) => state.state_name(),
            Self::Contract(state) => state.state_name(),
            Self::Milestone(state) => state.state_name(),
            Self::Escrow(state) => state.state_name(),
            Self::Funding(state) => state.state_name(),
            Self::Payee(state) => state.state_name(),
            Self::Payout(state) => state.state_name(),
            Self::Refund(state) => state.state_name(),
            Self::Wallet(state) => state.state_name(),
            Self::Chargeback(state) => state.state_name(),
            Self::Treasury(state) => state.state_name(),
            Self::Pair(state) => state.state_name(),
            Self::Approval(state) => state.state_name(),
            Self::Subject(state) => state.state_name(),
        }
    }

    /// Reads a state of this kind, as [`serde_json`] wrote it.
    ///
    /// # Errors
    /// The reason, when it is not one.
    pub fn from_json(aggregate_type: &str, text: &str) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        match aggregate_type {
            party::TYPE => serde_json::from_str(text).map(Self::Party),
            contract::TYPE => serde_json::from_str(text).map(Self::Contract),
            milestone::TYPE => serde_json::from_str(text).map(Self::Milestone),
            escrow::TYPE => serde_json::from_str(text).map(Self::Escrow),
            funding::TYPE => serde_json::from_str(text).map(Self::Funding),
            payee::TYPE => serde_json::from_str(text).map(Self::Payee),
            payout::TYPE => serde_json::from_str(text).map(Self::Payout),
            refund::TYPE => serde_json::from_str(text).map(Self::Refund),
            wallet::TYPE => serde_json::from_str(text).map(Self::Wallet),
            chargeback::TYPE => serde_json::from_str(text).map(Self::Chargeback),
            treasury::TYPE => serde_json::from_str(text).map(Self::Treasury),
            pair::TYPE => serde_json::from_str(text).map(Self::Pair),
            approval::TYPE => serde_json::from_str(text).map(Self::Approval),
            subject::TYPE => serde_json::from_str(text).map(Self::Subject),
            other => Err(serde_json::Error::custom(format!("no aggregate is called {other:?}"))),
        }
    }
}
