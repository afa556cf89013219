//! Parties who do something, and remember what was promised to them.

use std::collections::BTreeMap;

use adapters::memory::MemoryStore;
use domain::actor::{Actor, SystemPart};
use domain::id::{ContractId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::{Answer, Position};
use domain::party::PayoutAccount;
use domain::payee::{self, PayeeAccountId};
use domain::view::Document;
use ledger::{Currency, Minor};

use crate::driver::{Ask, Told};
use crate::failure::Violation;
use crate::world::{Interrupt, Known, World};

/// A command that was acknowledged: what was promised with it.
#[derive(Debug, Clone)]
pub struct Promise {
    ask: Ask,
    answer: Option<Answer>,
    /// Position of its last event.
    last_position: Position,
}

impl Promise {
    /// The command is in the log, with the answer that was given.
    ///
    /// # Errors
    /// A [`Violation`] of I10.
    pub fn is_kept(&self, store: &MemoryStore) -> Result<(), Violation> {
        let broken = |found: &str| Violation::new("I10", format!("{}: {found}", self.ask.word()));
        let known = store.command_now(self.ask.command_id).map_err(|error| broken(&error.to_string()))?;
        let Some(known) = known else {
            return Err(broken("acknowledged, and not in the log"));
        };
        if known.position != self.last_position || known.answer != self.answer {
            return Err(broken("the log keeps another answer than was given"));
        }
        let before = self.last_position.saturating_sub(1);
        let event = store.read_now(before, 1).map_err(|error| broken(&error.to_string()))?.pop();
        if event.is_none_or(|event| event.metadata.command_id != self.ask.command_id) {
            return Err(broken("its events are not where it was told"));
        }
        Ok(())
    }
}

impl World {
    /// Makes a party known; some can be paid from the start.
    pub(crate) fn register(&mut self, party_id: PartyId) -> Result<(), Interrupt> {
        let operator = Actor::System(SystemPart::Operator);
        let ask = self.ask(Intent::RegisterParty { party_id }, operator);
        self.send(ask)?;
        if self.chance.per_mille(600) {
            self.link(party_id)?;
        }
        Ok(())
    }

    fn link(&mut self, party_id: PartyId) -> Result<(), Interrupt> {
        let tail = party_id.to_string().chars().rev().take(8).collect::<String>();
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: format!("acct_{tail}") };
        self.provider.know(&account.psp_account, party_id, self.now);
        let ask = self.ask(Intent::LinkPayoutAccount { party_id, account, status: None }, Actor::Payee(party_id));
        self.send(ask)
    }

    /// Somebody does something.
    pub(crate) fn act(&mut self) -> Result<(), Interrupt> {
        match self.chance.between(0, 99) {
            0 | 1 => self.draft(),
            2..=50 => self.advance_a_contract(),
            51..=65 => self.move_money(),
            66..=72 => self.withdraw(),
            73..=77 => self.work_at_the_desk(),
            78..=84 => self.do_something_senseless(),
            85..=92 => self.repeat(),
            93..=97 if self.unknown.is_empty() => self.answer_what_is_open(),
            93..=97 => {
                let index = self.chance.below(self.unknown.len());
                let ask = self.unknown.remove(index);
                self.send(ask)
            }
            _ => match self.chance.pick(&self.parties).copied() {
                Some(party) if self.chance.per_mille(500) => self.register(party),
                Some(party) => self.link(party),
                None => Ok(()),
            },
        }
    }

    pub(crate) fn ask(&mut self, intent: Intent, actor: Actor) -> Ask {
        let if_match =
            self.trouble(60).then(|| self.records.documents.get(&intent.subject()).map_or(0, |(_, version)| *version));
        let command_id = self.chance.uuid(self.now);
        Ask { intent, actor, command_id, if_match, answered: true }
    }

    /// Sends a command, and remembers what became of it.
    pub(crate) fn send(&mut self, ask: Ask) -> Result<(), Interrupt> {
        let told = match self.perform(&ask) {
            Ok(told) => told,
            Err(Interrupt::Died) => {
                self.tell(format!("{} by {}: no answer, the process died", ask.word(), ask.actor));
                self.unknown.push(ask);
                return Err(Interrupt::Died);
            }
            Err(broken) => return Err(broken),
        };
        let in_words = match &told {
            Told::Accepted(receipt, _) => format!("accepted at {}", receipt.first_position),
            Told::Replayed(known) => format!("accepted before, at {}", known.position),
            Told::Unchanged => "nothing changes".to_owned(),
            Told::Refused(refusal) => refusal.to_string(),
            Told::Unknown => "outcome unknown".to_owned(),
        };
        self.tell(format!("{} on {} by {}: {in_words}", ask.word(), ask.intent.subject(), ask.actor));
        let (answer, last_position) = match told {
            Told::Accepted(receipt, answer) => (answer, receipt.last_position),
            Told::Replayed(known) => (known.answer, known.position),
            Told::Refused(_) | Told::Unchanged => {
                if self.promised.contains_key(&ask.command_id) {
                    let found = format!("{} was accepted, and repeated it is not: {in_words}", ask.word());
                    return Err(Violation::new("I6", found).into());
                }
                return self.oracle.nothing_of(ask.command_id, &self.store).map_err(Interrupt::from);
            }
            Told::Unknown => {
                // Its sender asks again, with the same command id.
                if !self.promised.contains_key(&ask.command_id) {
                    self.unknown.push(ask);
                }
                return Ok(());
            }
        };
        if let Some(promise) = self.promised.get(&ask.command_id).and_then(|index| self.promises.get(*index)) {
            if promise.answer != answer || promise.last_position != last_position {
                let found = format!("{} repeated gets another answer: {answer:?}", ask.word());
                return Err(Violation::new("I6", found).into());
            }
            return Ok(());
        }
        if answer.is_none() {
            return Err(Violation::new("I6", format!("the answer to {} was not kept", ask.word())).into());
        }
        self.promised.insert(ask.command_id, self.promises.len());
        self.promises.push(Promise { ask, answer, last_position });
        Ok(())
    }

    /// The same command again, as a client does that lost the answer.
    fn repeat(&mut self) -> Result<(), Interrupt> {
        // What is rarely asked is as often repeated as the rest.
        let mut by_word: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (index, promise) in self.promises.iter().enumerate() {
            by_word.entry(promise.ask.word()).or_default().push(index);
        }
        let words: Vec<Vec<usize>> = by_word.into_values().collect();
        let index = self.chance.pick(&words).cloned().and_then(|of_word| self.chance.pick(&of_word).copied());
        let Some(promise) = index.and_then(|index| self.promises.get(index)).cloned() else {
            return Ok(());
        };
        self.count("command repeated");
        self.send(promise.ask)
    }

    pub(crate) fn draft(&mut self) -> Result<(), Interrupt> {
        let (Some(client_id), Some(payee_id)) =
            (self.chance.pick(&self.parties).copied(), self.chance.pick(&self.parties).copied())
        else {
            return Ok(());
        };
        let currencies =
            [Currency::USD, Currency::USD, Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD, Currency::HUF];
        let currency = self.chance.pick(&currencies).copied().unwrap_or(Currency::USD);
        let contract_id = ContractId::from_uuid(self.chance.uuid(self.now));
        let count = self.chance.between(1, 4);
        let plans: Vec<_> = (0..count).map(|_| self.plan()).collect();
        let milestones = plans.iter().map(|plan| (plan.milestone_id, plan.amount)).collect();
        let intent =
            Intent::DraftContract { contract_id, client_id, payee_id, currency, milestones: plans, reference: None };
        // Client and payee can be the same: the rules say no to it.
        self.contracts.push(Known { contract_id, client_id, payee_id, currency, milestones });
        let ask = self.ask(intent, Actor::Client(client_id));
        self.send(ask)
    }

    fn withdraw(&mut self) -> Result<(), Interrupt> {
        let rich = |known: &Known| {
            let account = PayeeAccountId { party_id: known.payee_id, currency: known.currency };
            matches!(self.document(&payee::stream(account)), Some(Document::Payee(balance)) if !balance.available.is_zero())
        };
        let mut accounts: Vec<(PartyId, Currency)> =
            self.contracts.iter().filter(|known| rich(known)).map(|known| (known.payee_id, known.currency)).collect();
        if accounts.is_empty() || self.chance.per_mille(100) {
            accounts = self.contracts.iter().map(|known| (known.payee_id, known.currency)).collect();
        }
        let Some((payee_id, currency)) = self.chance.pick(&accounts).copied() else {
            return Ok(());
        };
        let account = payee::stream(PayeeAccountId { party_id: payee_id, currency });
        let available = match self.document(&account) {
            Some(Document::Payee(balance)) => balance.available.get(),
            _ => 0,
        };
        let amount = match self.chance.between(0, 9) {
            0..=4 => available,
            5..=7 => self.chance.between(1, available.max(1)),
            8 => available.saturating_add(1),
            _ => self.chance.between(0, 10_000_000),
        };
        let quantum = currency.payout_quantum();
        let amount = if self.chance.per_mille(900) { amount - amount % quantum } else { amount };
        let intent = Intent::RequestPayout {
            payout_id: PayoutId::from_uuid(self.chance.uuid(self.now)),
            payee_id,
            currency,
            amount: Minor::new(amount).unwrap_or_default(),
        };
        let ask = self.ask(intent, Actor::Payee(payee_id));
        self.send(ask)
    }
}
