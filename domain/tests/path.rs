//! The way of a contract through the rules, without any I/O: a store that is a list, a clock that is a number.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use domain::actor::{Actor, SystemPart};
use domain::command::Command;
use domain::contract::MilestonePlan;
use domain::event::DomainEvent;
use domain::funding::FundingCommand;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, PayoutId};
use domain::intent::Intent;
use domain::log::{Append, Expected, NewEvent, StreamEvent};
use domain::party::PayoutAccount;
use domain::payout::PayoutCommand;
use domain::policy::{FeeSchedule, Policy};
use domain::ports::provider::Receipt;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::timer::Scope;
use domain::unit_of_work::{Loaded, Step, UnitOfWork};
use ledger::{Currency, Minor, TrialBalance};
use uuid::Uuid;

const BEGIN: &str = "2026-12-01T10:00:00Z";

fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A log and its clock.
struct World {
    log: Vec<StreamEvent>,
    appends: Vec<Append>,
    now: Timestamp,
    commands: u128,
    client: PartyId,
    payee: PartyId,
    contract: ContractId,
    milestone: MilestoneId,
    funding: FundingId,
}

impl World {
    fn new() -> Self {
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
        };
        let payee = world.payee;
        world.system(Intent::RegisterParty { party_id: payee }).unwrap();
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() };
        world.by_payee(Intent::LinkPayoutAccount { party_id: payee, account }).unwrap();
        world
    }

    /// Carries an intent out as the engine would. Gives the types of its events; none when nothing changes.
    fn perform(&mut self, actor: Actor, intent: Intent, if_match: Option<u64>) -> Result<Vec<String>, Refusal> {
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

    fn by_client(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Client(self.client), intent, None)
    }

    fn by_payee(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::Payee(self.payee), intent, None)
    }

    fn system(&mut self, intent: Intent) -> Result<Vec<String>, Refusal> {
        self.perform(Actor::System(SystemPart::Psp), intent, None)
    }

    fn fact(&mut self, command: FundingCommand) -> Result<Vec<String>, Refusal> {
        self.system(Intent::Fact(Command::Funding(self.funding, command)))
    }

    fn offered(mut self) -> Self {
        let plan = MilestonePlan {
            milestone_id: self.milestone,
            amount: minor(100_000),
            due_at: None,
            review_days: None,
            reference: None,
        };
        let draft = Intent::DraftContract {
            contract_id: self.contract,
            client_id: self.client,
            payee_id: self.payee,
            currency: Currency::USD,
            milestones: vec![plan],
            reference: None,
        };
        self.by_client(draft).unwrap();
        let offer = Intent::OfferContract {
            contract_id: self.contract,
            fee_schedule: FeeSchedule::two_sided(),
            policy: Policy::default(),
        };
        self.by_client(offer).unwrap();
        self
    }

    fn accept(&mut self) -> Result<Vec<String>, Refusal> {
        self.by_payee(Intent::AcceptContract { contract_id: self.contract })
    }

    fn fund(&mut self, funding: FundingId) -> Result<Vec<String>, Refusal> {
        self.by_client(Intent::FundMilestones {
            contract_id: self.contract,
            funding_id: funding,
            allocations: vec![(self.milestone, minor(100_000))],
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        })
    }

    fn succeed(&mut self, captured: i64) -> Result<Vec<String>, Refusal> {
        let collected_at = self.now;
        self.fact(FundingCommand::RecordSucceeded {
            payment_ref: "pi_1".to_owned(),
            charge_ref: "ch_1".to_owned(),
            captured: minor(captured),
            currency: Currency::USD,
            collected_at,
        })
    }

    fn funded(self) -> Self {
        let mut world = self.offered();
        world.accept().unwrap();
        let funding = world.funding;
        world.fund(funding).unwrap();
        world.succeed(105_000).unwrap();
        world
    }

    fn approve(&mut self) -> Result<Vec<String>, Refusal> {
        self.by_client(Intent::ApproveMilestone { milestone_id: self.milestone, amount: None, currency: None })
    }

    fn balance(&self) -> BTreeMap<&'static str, i128> {
        let mut balance = TrialBalance::new();
        for entry in self.appends.iter().flat_map(|append| &append.events).filter_map(|event| event.journal.as_ref()) {
            balance.add(entry);
        }
        assert!(balance.is_balanced());
        let lines = balance.iter().filter(|(_, _, totals)| totals.net() != 0);
        lines.map(|(account, _, totals)| (account.code(), totals.net())).collect()
    }

    fn last_time_of(&self, event_type: &str) -> Timestamp {
        self.log.iter().rev().find(|event| event.event_type == event_type).unwrap().occurred_at
    }
}

/// The entry that an event of the log carries, as side, account and amount, compared with a vector of the specification.
fn assert_books(world: &World, event_type: &str, vector: &str) {
    let is_it = |event: &&NewEvent| event.event_type == event_type;
    let event = world.appends.iter().flat_map(|append| &append.events).find(is_it).unwrap();
    let entry = event.journal.as_ref().unwrap();
    let booked: Vec<_> = entry
        .postings()
        .iter()
        .map(|posting| {
            let side = if posting.side() == ledger::Side::Debit { "Dr" } else { "Cr" };
            (side.to_owned(), posting.account().code().to_owned(), posting.amount().minor().get())
        })
        .collect();
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../ledger/tests/data/journals.json")).unwrap();
    let wanted = vectors["journals"].as_array().unwrap().iter().find(|journal| journal["id"] == vector).unwrap();
    let wanted: Vec<_> = wanted["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            (text("side"), text("account"), line["minor"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(booked, wanted, "{event_type} books {vector}");
}

/// D-118, J01, J02, J03, J10, J16, J20, J21, J22, I1.
#[test]
fn the_whole_way_ends_with_the_books_of_the_specification() {
    let mut world = World::new().funded();
    let available_on = world.now + TimeDelta::days(2);
    let receipt = |available| Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(3075),
        net: minor(101_925),
        currency: Currency::USD,
        booked_on: NaiveDate::from_ymd_opt(2026, 12, 1).unwrap(),
        available_on,
        available,
    };
    world.fact(FundingCommand::RecordReceipt { receipt: receipt(false) }).unwrap();
    world.fact(FundingCommand::RecordReceipt { receipt: receipt(true) }).unwrap();
    world.by_payee(Intent::SubmitWork { milestone_id: world.milestone }).unwrap();
    let events = world.approve().unwrap();
    let one_commit = [
        "milestone.approved",
        "escrow.released",
        "payee.earnings_credited",
        "milestone.released",
        "contract.milestone_closed",
        "contract.completed",
        "escrow.closed",
    ];
    assert_eq!(events, one_commit);
    world.now += TimeDelta::days(5);
    let payout_id = PayoutId::from_uuid(id(6));
    let payout =
        Intent::RequestPayout { payout_id, payee_id: world.payee, currency: Currency::USD, amount: minor(90_000) };
    // The clearance is due: it is committed before the payout is judged.
    world.by_payee(payout).unwrap();
    let on_payout = |command| Intent::Fact(Command::Payout(payout_id, command));
    let transferred = PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: minor(90_000) };
    world.system(on_payout(transferred)).unwrap();
    let paid = on_payout(PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() });
    world.system(paid.clone()).unwrap();
    assert_eq!(world.system(paid), Ok(Vec::new()), "told again, it changes nothing");
    let books = [("1120", 11_925), ("4100", -10_000), ("4110", -5000), ("5100", 3075)];
    assert_eq!(world.balance(), BTreeMap::from(books));
    for (event_type, vector) in [
        ("escrow.funded", "J01"),
        ("funding.psp_fee_recorded", "J02"),
        ("funding.psp_funds_became_available", "J03"),
        ("escrow.released", "J10"),
        ("payee.earnings_cleared", "J16"),
        ("payee.payout_reserved", "J20"),
        ("payout.transfer_completed", "J21"),
        ("payout.paid", "J22"),
    ] {
        assert_books(&world, event_type, vector);
    }
}

/// D-04, D-05: at the instant of the deadline the timer has won; a moment before it has not.
#[test]
fn an_offer_expires_at_its_instant() {
    let mut late = World::new().offered();
    late.now += TimeDelta::days(7);
    let expired_at = late.now;
    assert_eq!(late.accept(), Err(Refusal::OfferExpired { expired_at }));
    assert_eq!(late.last_time_of("contract.offer_expired"), expired_at);

    let mut early = World::new().offered();
    early.now = early.now + TimeDelta::days(7) - TimeDelta::milliseconds(1);
    assert_eq!(early.accept().unwrap(), ["contract.accepted", "milestone.planned", "escrow.opened"]);
}

/// However late somebody looks, the review window closed when it was due.
#[test]
fn a_late_look_does_not_change_who_wins() {
    let mut world = World::new().funded();
    world.by_payee(Intent::SubmitWork { milestone_id: world.milestone }).unwrap();
    let due_at = world.now + TimeDelta::days(14);
    world.now = due_at + TimeDelta::hours(6);
    assert_eq!(world.approve(), Err(Refusal::MilestoneAlreadyApproved));
    for event_type in ["milestone.auto_approved", "escrow.released", "contract.completed"] {
        assert_eq!(world.last_time_of(event_type), due_at);
    }
    let value_date = world.appends.last().unwrap().events[1].journal.as_ref().unwrap().value_date();
    assert_eq!(value_date, due_at.date_naive());
}

/// D-42: pending until the instant, available at it.
#[test]
fn earnings_clear_at_their_instant() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    let account = domain::payee::PayeeAccountId { party_id: world.payee, currency: Currency::USD };
    let wake = Intent::Wake(Scope::Stream(domain::payee::stream(account)));
    world.now = world.now + TimeDelta::days(5) - TimeDelta::seconds(1);
    world.system(wake.clone()).unwrap();
    assert_eq!(world.balance().get("2210"), None);
    world.now += TimeDelta::seconds(1);
    world.system(wake).unwrap();
    assert_eq!(world.balance().get("2210"), Some(&-90_000));
}

/// I11: money that cannot be held is in the books all the same.
#[test]
fn money_that_cannot_be_held_is_booked_as_unallocated() {
    let mut wrong = World::new().offered();
    wrong.accept().unwrap();
    let funding = wrong.funding;
    wrong.fund(funding).unwrap();
    assert_eq!(wrong.succeed(100_000).unwrap(), ["funding.succeeded", "funding.receipt_suspended"]);
    assert_eq!(wrong.balance(), BTreeMap::from([("1110", 100_000), ("2900", -100_000)]));
    assert_eq!(wrong.approve(), Err(Refusal::MilestoneNotFunded));

    // The first payment failed, a second one funded the milestone, and now the first one succeeds after all.
    let mut late = World::new().offered();
    late.accept().unwrap();
    let first = late.funding;
    late.fund(first).unwrap();
    late.fact(FundingCommand::RecordFailed { code: "card_declined".to_owned() }).unwrap();
    late.funding = FundingId::from_uuid(id(7));
    let second = late.funding;
    late.fund(second).unwrap();
    late.succeed(105_000).unwrap();
    late.funding = first;
    let events = late.succeed(105_000).unwrap();
    assert_eq!(events, ["funding.succeeded", "escrow.funding_rejected", "funding.receipt_suspended"]);
    assert_eq!(
        late.balance(),
        BTreeMap::from([("1110", 210_000), ("2100", -100_000), ("2300", -5000), ("2900", -105_000)])
    );
}

/// A payment that succeeds after it had failed is taken, as long as no other took its place.
#[test]
fn a_late_success_is_welcome() {
    let mut world = World::new().offered();
    world.accept().unwrap();
    let funding = world.funding;
    world.fund(funding).unwrap();
    world.fact(FundingCommand::RecordFailed { code: "card_declined".to_owned() }).unwrap();
    assert_eq!(world.approve(), Err(Refusal::MilestoneNotFunded));
    assert!(world.succeed(105_000).unwrap().contains(&"escrow.funded".to_owned()));
    assert_eq!(world.succeed(105_000), Ok(Vec::new()), "told again, it changes nothing");
    world.approve().unwrap();
}

/// What is decided depends on everything it looked at, and credits look at nothing.
#[test]
fn an_append_names_what_it_read_and_only_notes_commute() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    let release = world.appends.last().unwrap();
    for write in &release.streams {
        let notes = write.stream.aggregate_type == "payee";
        assert_eq!(write.expected == Expected::Any, notes, "{}", write.stream);
    }
    let payout = Intent::RequestPayout {
        payout_id: PayoutId::from_uuid(id(6)),
        payee_id: world.payee,
        currency: Currency::USD,
        amount: minor(1),
    };
    world.now += TimeDelta::days(5);
    world.by_payee(payout).unwrap();
    let reads: Vec<_> = world.appends.last().unwrap().reads.iter().map(|(stream, _)| stream.to_string()).collect();
    assert_eq!(reads, [domain::party::stream(world.payee).to_string()], "where the payee is paid was looked up");
}

/// A version is old when somebody has acted since, not when a timer or the provider has; outsiders learn nothing of it.
#[test]
fn only_somebody_makes_a_version_old() {
    let mut world = World::new().funded();
    let approve =
        || Intent::ApproveMilestone { milestone_id: MilestoneId::from_uuid(id(4)), amount: None, currency: None };
    let client = Actor::Client(world.client);
    let outsider = Actor::Client(PartyId::from_uuid(id(99)));
    // Planned by the payee's acceptance, requested by the client, funded by the provider.
    assert_eq!(world.perform(client, approve(), Some(1)), Err(Refusal::VersionMismatch { current: 3, given: 1 }));
    assert_eq!(world.perform(outsider, approve(), Some(1)), Err(Refusal::NotAParty));
    assert_eq!(world.perform(outsider, approve(), Some(3)), Err(Refusal::NotAParty));
    assert!(world.perform(client, approve(), Some(2)).is_ok());
}

/// What is written is read again, whatever the event.
#[test]
fn events_survive_their_text() {
    let mut world = World::new().funded();
    world.approve().unwrap();
    for event in &world.log {
        let read = DomainEvent::from_json(&event.stream.aggregate_type, &event.event_type, 1, &event.payload).unwrap();
        assert_eq!(read.event_type(), event.event_type);
        assert_eq!(read.to_json().unwrap(), event.payload);
        assert!(domain::event::EVENT_TYPES.iter().any(|known| known.name == event.event_type));
    }
    assert!(DomainEvent::from_json("escrow", "escrow.released", 2, "{}").is_err(), "a version from the future");
}
