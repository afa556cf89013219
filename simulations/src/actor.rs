//! Parties who do sensible and senseless things, and remember what was promised to them.

use adapters::memory::MemoryStore;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::contract::{self, MilestonePlan};
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::{Answer, Position};
use domain::milestone;
use domain::party::PayoutAccount;
use domain::payee::{self, PayeeAccountId};
use domain::policy::{Fee, FeeSchedule, Policy};
use domain::view::Document;
use ledger::{Currency, Minor, Percent};
use rust_decimal::Decimal;

use crate::driver::{Ask, Told};
use crate::failure::Violation;
use crate::world::{Interrupt, Known, World};

/// Ways to pay, at the simulated provider. Most cards work.
const PAYMENT_METHODS: [&str; 10] = [
    "pm_card",
    "pm_card",
    "pm_card",
    "pm_card",
    "pm_debit",
    "pm_authenticate",
    "pm_declined",
    "pm_retried",
    "pm_unknown",
    "pm_card",
];

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
        let ask = self.ask(Intent::LinkPayoutAccount { party_id, account }, Actor::Payee(party_id));
        self.send(ask)
    }

    /// Somebody does something.
    pub(crate) fn act(&mut self) -> Result<(), Interrupt> {
        match self.chance.between(0, 99) {
            0..=3 => self.draft(),
            4..=64 => self.advance_a_contract(),
            65..=76 => self.withdraw(),
            77..=84 => self.do_something_senseless(),
            85..=92 => self.repeat(),
            93..=97 if self.unknown.is_empty() => Ok(()),
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

    fn ask(&mut self, intent: Intent, actor: Actor) -> Ask {
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
        let Some(promise) = self.chance.pick(&self.promises).cloned() else {
            return Ok(());
        };
        self.count("command repeated");
        self.send(promise.ask)
    }

    fn draft(&mut self) -> Result<(), Interrupt> {
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
        let mut milestones = Vec::new();
        let mut plans = Vec::new();
        for _ in 0..count {
            let milestone_id = MilestoneId::from_uuid(self.chance.uuid(self.now));
            // Small ones too: fees can take all of them.
            let most = if self.chance.per_mille(100) { 60 } else { 3_000_000 };
            let amount = Minor::new(self.chance.between(1, most)).unwrap_or_default();
            let review_days = self.chance.per_mille(300).then(|| u16::try_from(self.chance.between(1, 9)).unwrap_or(1));
            milestones.push((milestone_id, amount));
            plans.push(MilestonePlan { milestone_id, amount, due_at: None, review_days, reference: None });
        }
        let intent =
            Intent::DraftContract { contract_id, client_id, payee_id, currency, milestones: plans, reference: None };
        // Client and payee can be the same: the rules say no to it.
        self.contracts.push(Known { contract_id, client_id, payee_id, currency, milestones });
        let ask = self.ask(intent, Actor::Client(client_id));
        self.send(ask)
    }

    fn fee(&mut self) -> Fee {
        // In hundredths of a percent; odd ones, none, and all of it.
        let hundredths = match self.chance.between(0, 19) {
            0 => 0,
            1 => 10_000,
            _ => self.chance.between(1, 3_000),
        };
        Fee::percent(Percent::new(Decimal::new(hundredths, 2)).unwrap_or_default())
    }

    fn terms(&mut self) -> (FeeSchedule, Policy) {
        let fees = if self.chance.per_mille(500) {
            FeeSchedule::two_sided()
        } else {
            FeeSchedule { client_fee: self.fee(), payee_fee: self.fee(), ..FeeSchedule::empty("odd") }
        };
        let policy =
            Policy { clearance_days: u16::try_from(self.chance.between(0, 6)).unwrap_or(5), ..Policy::default() };
        (fees, policy)
    }

    /// Whoever's turn it is takes a contract one step further.
    fn advance_a_contract(&mut self) -> Result<(), Interrupt> {
        let recent = self.contracts.len().saturating_sub(5);
        let young = self.contracts.get(recent..).unwrap_or_default();
        let Some(known) = self.chance.pick(young).cloned() else {
            return self.draft();
        };
        let Some(document) = self.document(&contract::stream(known.contract_id)) else {
            return Ok(());
        };
        let (client, payee) = (Actor::Client(known.client_id), Actor::Payee(known.payee_id));
        let contract_id = known.contract_id;
        let (intent, actor) = match document.keys().status {
            "draft" => {
                let (fee_schedule, policy) = self.terms();
                (Intent::OfferContract { contract_id, fee_schedule, policy }, client)
            }
            "offered" | "expired" => (Intent::AcceptContract { contract_id }, payee),
            _ => return self.advance_a_milestone(&known),
        };
        let ask = self.ask(intent, actor);
        self.send(ask)
    }

    fn advance_a_milestone(&mut self, known: &Known) -> Result<(), Interrupt> {
        let status = |world: &Self, id: MilestoneId| {
            world.document(&milestone::stream(id)).map_or("unknown", |document| document.keys().status)
        };
        let Some((milestone_id, amount)) = self.chance.pick(&known.milestones).copied() else {
            return Ok(());
        };
        let (client, payee) = (Actor::Client(known.client_id), Actor::Payee(known.payee_id));
        let (intent, actor) = match status(self, milestone_id) {
            "funded" if self.chance.per_mille(650) => (Intent::SubmitWork { milestone_id }, payee),
            "funded" | "submitted" => {
                let stated = self.chance.per_mille(400);
                let (amount, currency) = (stated.then_some(amount), stated.then_some(known.currency));
                (Intent::ApproveMilestone { milestone_id, amount, currency }, client)
            }
            // Paid for twice, or approved once more: now and then somebody tries.
            "funding_pending" | "released" if self.chance.per_mille(800) => return self.draft(),
            "planned" | "funding_pending" => {
                let mut allocations = vec![(milestone_id, amount)];
                for (other, amount) in &known.milestones {
                    if *other != milestone_id && status(self, *other) == "planned" && self.chance.per_mille(500) {
                        allocations.push((*other, *amount));
                    }
                }
                (self.funding(known, allocations), client)
            }
            _ => (Intent::ApproveMilestone { milestone_id, amount: None, currency: None }, client),
        };
        let ask = self.ask(intent, actor);
        self.send(ask)
    }

    fn funding(&mut self, known: &Known, allocations: Vec<(MilestoneId, Minor)>) -> Intent {
        let payment_method = self.chance.pick(&PAYMENT_METHODS).copied().unwrap_or("pm_card").to_owned();
        Intent::FundMilestones {
            contract_id: known.contract_id,
            funding_id: FundingId::from_uuid(self.chance.uuid(self.now)),
            allocations,
            currency: known.currency,
            payment_method,
        }
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

    /// The wrong party, the wrong moment, the wrong amount.
    fn do_something_senseless(&mut self) -> Result<(), Interrupt> {
        let Some(known) = self.chance.pick(&self.contracts).cloned() else {
            return Ok(());
        };
        let Some((milestone_id, amount)) = self.chance.pick(&known.milestones).copied() else {
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
        let contract_id = known.contract_id;
        let intent = match self.chance.between(0, 7) {
            0 => Intent::AcceptContract { contract_id },
            1 => {
                let (fee_schedule, policy) = self.terms();
                Intent::OfferContract { contract_id, fee_schedule, policy }
            }
            2 => Intent::SubmitWork { milestone_id },
            3 => {
                let short = Minor::new(self.chance.between(1, amount.get())).unwrap_or_default();
                self.funding(&known, vec![(milestone_id, short)])
            }
            4 => self.funding(&known, vec![(milestone_id, amount), (milestone_id, amount)]),
            5 => {
                // More, or less, than is held.
                let other = Minor::new(self.chance.between(1, amount.get().saturating_mul(2))).unwrap_or_default();
                Intent::ApproveMilestone { milestone_id, amount: Some(other), currency: None }
            }
            6 => {
                let currency = if known.currency == Currency::EUR { Currency::USD } else { Currency::EUR };
                Intent::ApproveMilestone { milestone_id, amount: Some(amount), currency: Some(currency) }
            }
            _ => Intent::ApproveMilestone { milestone_id, amount: None, currency: None },
        };
        let ask = self.ask(intent, actor);
        self.send(ask)
    }
}
