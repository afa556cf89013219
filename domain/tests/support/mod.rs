//! A world without I/O: a store that is a list, a clock that is a number, and everybody who takes part in a contract.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "every test binary compiles this module and uses a part of it; a test may fail loudly"
)]

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use domain::actor::{Actor, SystemPart};
use domain::command::Command;
use domain::contract::MilestonePlan;
use domain::funding::FundingCommand;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::{Append, NewEvent, StreamEvent};
use domain::party::PayoutAccount;
use domain::payout::PayoutCommand;
use domain::policy::{FeeSchedule, Policy};
use domain::ports::provider::Receipt;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::unit_of_work::{Loaded, Step, UnitOfWork};
use ledger::{Currency, JournalEntry, Minor, Side, TrialBalance};
use uuid::Uuid;

pub const BEGIN: &str = "2026-12-01T10:00:00Z";

pub fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A log and its clock; a contract of one milestone between two parties, the payee with an account at the provider.
pub struct World {
    pub log: Vec<StreamEvent>,
    pub appends: Vec<Append>,
    pub now: Timestamp,
    commands: u128,
    pub client: PartyId,
    pub payee: PartyId,
    pub contract: ContractId,
    pub milestone: MilestoneId,
    pub funding: FundingId,
    pub currency: Currency,
    /// What the milestone is worth, in minor units.
    pub amount: i64,
}

impl World {
    /// 1,000.00 USD.
    pub fn new() -> Self {
        Self::worth(100_000, Currency::USD)
    }

    pub fn worth(amount: i64, currency: Currency) -> Self {
        let mut world = Self {
            log: Vec::new(),
            appends: Vec::new(),
            now: BEGIN.parse().unwrap(),
            commands: 0,
            client: PartyId::from_uuid(id(1)),
            payee: PartyId::from_uuid(id(2)),
            contract: ContractId::from_uuid(id(3)),
            milestone: MilestoneId::from_uuid(id(4)),
            funding: FundingId::from_uuid(id(5)),
            currency,
            amount,
        };
        let payee = world.payee;
        world.system(Intent::RegisterParty { party_id: payee }).unwrap();
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() };
        world.by_payee(Intent::LinkPayoutAccount { party_id: payee, account, status: None }).unwrap();
        world
    }

    /// Carries an intent out as the engine would. Gives the types of its events; none when nothing changes.
    pub fn perform(&mut self, actor: Actor, intent: Intent, if_match: Option<u64>) -> Result<Vec<String>, Refusal> {
        self.commands += 1;
        let work = UnitOfWork {
            intent,
            actor,
            command_id: id(1_000_000 + self.commands),
            clock: self.now,
            if_match,
            idempotency_key: None,
            traceparent: None,
        };
        let mut loaded = Loaded::new();
        loop {
            match work.step(&loaded) {
                Step::Needs(streams) => {
                    let events: Vec<_> =
                        self.log.iter().filter(|event| streams.contains(&event.stream)).cloned().collect();
                    loaded.absorb(&streams, &events).unwrap();
                }
                Step::Timer(decision) => {
                    self.append(decision.append);
                    loaded = Loaded::new();
                }
                Step::Decided(decision) => return Ok(self.append(decision.append)),
                Step::Unchanged => return Ok(Vec::new()),
                Step::Refused(refusal) => return Err(refusal),
            }
        }
    }

    fn append(&mut self, append: Append) -> Vec<String> {
        for event in &append.events {
            let stream = append.streams[event.stream].stream.clone();
            let sequence = self.log.iter().filter(|known| known.stream == stream).count() as u64 + 1;
            self.log.push(StreamEvent {
                stream,
                sequence,
                event_type: event.event_type.to_string(),
                event_version: event.event_version,
                payload: event.payload.clone(),
                occurred_at: event.metadata.occurred_at,
                by_somebody: event.metadata.actor.is_somebody(),
            });
        }
        let types = append.events.iter().map(|event| event.event_type.to_string()).collect();
        self.appends.push(append);
        types
    }

    pub fn by_client(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Client(self.client), intent, None)
    }

    pub fn by_payee(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Payee(self.payee), intent, None)
    }

    pub fn system(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::System(SystemPart::Psp), intent, None)
    }

    /// What the provider tells of the funding.
    pub fn fact(&mut self, command: FundingCommand) -> Result<Vec<String>, Refusal> {
        self.system(Intent::Fact(Command::Funding(self.funding, command)))
    }

    /// What the provider tells of a payout.
    pub fn payout_fact(&mut self, payout: PayoutId, command: PayoutCommand) -> Result<Vec<String>, Refusal> {
        self.system(Intent::Fact(Command::Payout(payout, command)))
    }

    pub fn offered(self) -> Self {
        let mut world = self;
        world.offer(FeeSchedule::two_sided());
        world
    }

    /// The client drafts the contract and offers it on these fees.
    pub fn offer(&mut self, fee_schedule: FeeSchedule) {
        let plan = MilestonePlan {
            milestone_id: self.milestone,
            amount: minor(self.amount),
            due_at: None,
            review_days: None,
            reference: None,
        };
        let draft = Intent::DraftContract {
            contract_id: self.contract,
            client_id: self.client,
            payee_id: self.payee,
            currency: self.currency,
            milestones: vec![plan],
            reference: None,
        };
        self.by_client(draft).unwrap();
        let offer = Intent::OfferContract { contract_id: self.contract, fee_schedule, policy: Policy::default() };
        self.by_client(offer).unwrap();
    }

    pub fn accept(&mut self) -> Result<Vec<String>, Refusal> {
        self.by_payee(Intent::AcceptContract { contract_id: self.contract })
    }

    pub fn fund(&mut self, funding: FundingId) -> Result<Vec<String>, Refusal> {
        self.by_client(Intent::FundMilestones {
            contract_id: self.contract,
            funding_id: funding,
            allocations: vec![(self.milestone, minor(self.amount))],
            currency: self.currency,
            payment_method: "pm_card_visa".to_owned(),
        })
    }

    pub fn succeed(&mut self, captured: i64) -> Result<Vec<String>, Refusal> {
        let collected_at = self.now;
        self.fact(FundingCommand::RecordSucceeded {
            payment_ref: "pi_1".to_owned(),
            charge_ref: "ch_1".to_owned(),
            captured: minor(captured),
            currency: self.currency,
            collected_at,
            settled: None,
        })
    }

    /// Offered, accepted and paid, with the fees of the two-sided schedule on 1,000.00.
    pub fn funded(self) -> Self {
        self.paid(105_000)
    }

    /// Offered, accepted and paid; the provider has captured that much.
    pub fn paid(self, captured: i64) -> Self {
        let mut world = self.offered();
        world.accept().unwrap();
        let funding = world.funding;
        world.fund(funding).unwrap();
        world.succeed(captured).unwrap();
        world
    }

    /// The cost of the card payment, and its money becoming available.
    pub fn receipts(&mut self) {
        for available in [false, true] {
            let receipt = Receipt {
                balance_transaction_ref: "txn_1".to_owned(),
                fee: minor(3075),
                net: minor(101_925),
                currency: Currency::USD,
                booked_on: NaiveDate::from_ymd_opt(2026, 12, 1).unwrap(),
                available_on: self.now + TimeDelta::days(2),
                available,
            };
            self.fact(FundingCommand::RecordReceipt { receipt }).unwrap();
        }
    }

    pub fn approve(&mut self) -> Result<Vec<String>, Refusal> {
        self.by_client(Intent::ApproveMilestone { milestone_id: self.milestone, amount: None, currency: None })
    }

    pub fn request_payout(&mut self, payout_id: PayoutId, amount: i64) -> Result<Vec<String>, Refusal> {
        let (payee_id, currency) = (self.payee, self.currency);
        self.by_payee(Intent::RequestPayout { payout_id, payee_id, currency, amount: minor(amount) })
    }

    /// Every entry of the log, oldest first, with the type of its event.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &JournalEntry)> {
        let events = self.appends.iter().flat_map(|append| &append.events);
        events.filter_map(|event| Some((event.event_type.as_ref(), event.journal.as_ref()?)))
    }

    /// The newest entry of an event of this type.
    pub fn last_entry(&self, event_type: &str) -> &JournalEntry {
        self.entries().filter(|(its_type, _)| *its_type == event_type).last().unwrap().1
    }

    /// Nets by account, debits positive; those of zero are left out.
    pub fn balance(&self) -> BTreeMap<&'static str, i128> {
        let mut balance = TrialBalance::new();
        for (_, entry) in self.entries() {
            balance.add(entry);
        }
        assert!(balance.is_balanced());
        let lines = balance.iter().filter(|(_, _, totals)| totals.net() != 0);
        lines.map(|(account, _, totals)| (account.code(), totals.net())).collect()
    }

    pub fn last_time_of(&self, event_type: &str) -> Timestamp {
        self.log.iter().rev().find(|event| event.event_type == event_type).unwrap().occurred_at
    }

    /// The newest event of this type.
    pub fn last_event(&self, event_type: &str) -> &NewEvent {
        let mut events = self.appends.iter().flat_map(|append| &append.events).rev();
        events.find(|event| event.event_type == event_type).unwrap()
    }
}

/// A line as an accountant reads it: side, account, minor units.
pub type Line = (String, String, i64);

/// The lines of an entry.
pub fn lines(entry: &JournalEntry) -> Vec<Line> {
    let word = |side| if side == Side::Debit { "Dr" } else { "Cr" };
    let line = |posting: &ledger::Posting| {
        let account = posting.account().code().to_owned();
        (word(posting.side()).to_owned(), account, posting.amount().minor().get())
    };
    entry.postings().iter().map(line).collect()
}

/// The lines of a vector of the specification.
pub fn vector(name: &str) -> Vec<Line> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../ledger/tests/data/journals.json")).unwrap();
    let vector = vectors["journals"].as_array().unwrap().iter().find(|journal| journal["id"] == name).unwrap();
    let line = |line: &serde_json::Value| {
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        (text("side"), text("account"), line["minor"].as_i64().unwrap())
    };
    vector["lines"].as_array().unwrap().iter().map(line).collect()
}

/// The newest entry of this type of event is the vector of the specification, line by line, and in its currency.
pub fn assert_books(world: &World, event_type: &str, name: &str) {
    let entry = world.last_entry(event_type);
    assert_eq!(lines(entry), vector(name), "{event_type} books {name}");
    assert!(entry.postings().iter().all(|posting| posting.amount().currency() == world.currency));
}
