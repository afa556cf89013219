//! What the tests about money share: an escrow, a payee account and a wallet that are driven by commands directly, and
//! the journals of the specification to compare with.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

pub mod world;

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::escrow::{
    ChargeRef, Escrow, EscrowCommand, EscrowEvent, GratuityKind, Holding, Holdings, PLATFORM_ACCOUNT, PaidFrom,
    PspPlace, RefundReason, ReleaseReason,
};
use domain::event::DomainEvent;
use domain::fee::{FeeSchedule, PartyTax};
use domain::id::{ContractId, DisputeId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId};
use domain::jurisdiction::Jurisdiction;
use domain::policy::Policy;
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use domain::time::Timestamp;
use ledger::{Currency, JournalEntry, Minor, Percent, Side};
use uuid::Uuid;

/// The instant at which everything begins (F0).
pub const BEGIN: &str = "2026-12-01T10:00:00Z";

pub fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

pub fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn client() -> PartyId {
    PartyId::from_uuid(uuid(1))
}

pub fn payee() -> PartyId {
    PartyId::from_uuid(uuid(2))
}

pub fn contract() -> ContractId {
    ContractId::from_uuid(uuid(3))
}

/// The milestone M1, M2, …
pub fn m(number: u128) -> MilestoneId {
    MilestoneId::from_uuid(uuid(100 + number))
}

/// The funding F1, F2, …
pub fn f(number: u128) -> FundingId {
    FundingId::from_uuid(uuid(200 + number))
}

/// The refund R1, R2, …
pub fn r(number: u128) -> RefundId {
    RefundId::from_uuid(uuid(300 + number))
}

/// The dispute D1, D2, …
pub fn d(number: u128) -> DisputeId {
    DisputeId::from_uuid(uuid(400 + number))
}

pub fn release_id(number: u128) -> ReleaseId {
    ReleaseId::from_uuid(uuid(500 + number))
}

pub fn reallocation_id(number: u128) -> ReallocationId {
    ReallocationId::from_uuid(uuid(600 + number))
}

pub fn staff(role: StaffRole) -> Actor {
    Actor::Staff(role, PartyId::from_uuid(uuid(9)))
}

pub fn platform() -> PspPlace {
    PspPlace { psp: "stripe".to_owned(), psp_account: PLATFORM_ACCOUNT.to_owned() }
}

pub fn charge(funding: FundingId) -> ChargeRef {
    ChargeRef { payment_ref: format!("pi_{funding}"), charge_ref: format!("ch_{funding}"), place: platform() }
}

pub fn percent(text: &str) -> Percent {
    Percent::new(text.parse().unwrap()).unwrap()
}

/// The taxes of a party in that country.
pub fn party_tax(country: &str, rate: &str, withholding: &str) -> PartyTax {
    PartyTax {
        jurisdiction: Jurisdiction::new(country).unwrap(),
        percent: percent(rate),
        reverse_charge: false,
        withholding: percent(withholding),
    }
}

/// `two_sided` with an initiation fee of 4.95 and 20% VAT on the fees of both (J04, J14).
pub fn with_vat() -> FeeSchedule {
    let mut schedule = FeeSchedule::two_sided();
    schedule.currency = Some(Currency::USD);
    schedule.initiation_fee = minor(495);
    schedule.tax.client = Some(party_tax("GB", "20", "0"));
    schedule.tax.payee = Some(party_tax("GB", "20", "0"));
    schedule
}

/// An escrow, driven by commands, and everything it has said.
#[derive(Debug, Clone)]
pub struct Desk {
    pub escrow: Escrow,
    pub said: Vec<EscrowEvent>,
    pub now: Timestamp,
}

impl Desk {
    pub fn new(currency: Currency, fee_schedule: FeeSchedule, policy: Policy) -> Self {
        let mut desk = Self { escrow: Escrow::default(), said: Vec::new(), now: BEGIN.parse().unwrap() };
        let open = EscrowCommand::Open {
            contract_id: contract(),
            client_id: client(),
            payee_id: payee(),
            currency,
            fee_schedule,
            policy,
        };
        desk.act(Actor::Payee(payee()), &open).unwrap();
        desk
    }

    pub fn two_sided() -> Self {
        Self::new(Currency::USD, FeeSchedule::two_sided(), Policy::default())
    }

    /// F0: M1 funded with 1,000.00 by F1.
    pub fn f0() -> Self {
        let mut desk = Self::two_sided();
        desk.fund(1, &[(1, 100_000)]);
        desk
    }

    /// Judges, and remembers what was decided.
    pub fn act(&mut self, actor: Actor, command: &EscrowCommand) -> Result<Vec<EscrowEvent>, Refusal> {
        let events = self.escrow.decide(command, &Context { now: self.now, actor })?;
        for event in &events {
            self.escrow.evolve(event);
        }
        if let Some(holdings) = self.escrow.holdings() {
            assert!(holdings.is_conserved(), "{command:?} leaves {holdings:?}");
        }
        self.said.extend(events.iter().cloned());
        Ok(events)
    }

    pub fn by_client(&mut self, command: &EscrowCommand) -> Result<Vec<EscrowEvent>, Refusal> {
        self.act(Actor::Client(client()), command)
    }

    pub fn by_system(&mut self, command: &EscrowCommand) -> Result<Vec<EscrowEvent>, Refusal> {
        self.act(Actor::System(SystemPart::Timer), command)
    }

    pub fn request(
        &mut self,
        funding: u128,
        allocations: &[(u128, i64)],
        deposit: i64,
        paid_from: PaidFrom,
    ) -> Result<Vec<EscrowEvent>, Refusal> {
        let currency = self.holdings().currency;
        self.by_client(&EscrowCommand::RequestFunding {
            funding_id: f(funding),
            allocations: allocations.iter().map(|(id, amount)| (m(*id), minor(*amount))).collect(),
            deposit: minor(deposit),
            currency,
            paid_from,
            payment_method: "pm_card".to_owned(),
        })
    }

    pub fn arrive(&mut self, funding: u128) -> Vec<EscrowEvent> {
        let record = EscrowCommand::RecordFunding {
            funding_id: f(funding),
            place: platform(),
            charge: Some(charge(f(funding))),
            settled: None,
        };
        self.act(Actor::System(SystemPart::Psp), &record).unwrap()
    }

    /// Asks for money and lets it arrive.
    pub fn fund(&mut self, funding: u128, allocations: &[(u128, i64)]) -> Vec<EscrowEvent> {
        self.deposit(funding, allocations, 0)
    }

    pub fn deposit(&mut self, funding: u128, allocations: &[(u128, i64)], deposit: i64) -> Vec<EscrowEvent> {
        self.request(funding, allocations, deposit, PaidFrom::Provider).unwrap();
        self.arrive(funding)
    }

    pub fn release(&mut self, number: u128, milestone: u128, gross: i64) -> Result<Vec<EscrowEvent>, Refusal> {
        self.by_client(&EscrowCommand::Release {
            release_id: release_id(number),
            milestone_id: m(milestone),
            gross: minor(gross),
            reason: ReleaseReason::Partial,
        })
    }

    pub fn refund(&mut self, refund: u128, milestone: u128, amount: i64) -> Result<Vec<EscrowEvent>, Refusal> {
        self.by_client(&EscrowCommand::InitiateRefund {
            refund_id: r(refund),
            milestone_id: Some(m(milestone)),
            amount: minor(amount),
            reason: RefundReason::Agreed,
        })
    }

    pub fn reallocate(
        &mut self,
        number: u128,
        from: Option<u128>,
        to: u128,
        amount: i64,
        consent: &[PartyId],
    ) -> Result<Vec<EscrowEvent>, Refusal> {
        self.by_client(&EscrowCommand::Reallocate {
            reallocation_id: reallocation_id(number),
            from: from.map(m),
            to: m(to),
            amount: minor(amount),
            consent: consent.to_vec(),
        })
    }

    pub fn dispute(&mut self, dispute: u128, milestone: u128, amount: i64) -> Result<Vec<EscrowEvent>, Refusal> {
        let place = EscrowCommand::PlaceDisputeHold {
            dispute_id: d(dispute),
            milestone_id: m(milestone),
            amount: minor(amount),
        };
        self.by_client(&place)
    }

    pub fn lift(&mut self, dispute: u128) -> Result<Vec<EscrowEvent>, Refusal> {
        self.by_client(&EscrowCommand::LiftDisputeHold { dispute_id: d(dispute) })
    }

    pub fn give_back(&mut self, refund: u128, milestone: u128, gross: i64) -> Result<Vec<EscrowEvent>, Refusal> {
        let command = EscrowCommand::ReturnRelease {
            refund_id: r(refund),
            milestone_id: m(milestone),
            gross: minor(gross),
            currency: None,
        };
        self.act(Actor::Payee(payee()), &command)
    }

    pub fn gratuity(&mut self, funding: u128, kind: GratuityKind, amount: i64) -> Result<Vec<EscrowEvent>, Refusal> {
        let currency = self.holdings().currency;
        self.by_client(&EscrowCommand::RequestGratuity {
            funding_id: f(funding),
            kind,
            amount: minor(amount),
            currency,
            payment_method: "pm_card".to_owned(),
        })
    }

    pub fn later(&mut self, time: TimeDelta) {
        self.now += time;
    }

    pub fn holdings(&self) -> &Holdings {
        self.escrow.holdings().unwrap()
    }

    pub fn holding(&self, milestone: u128) -> &Holding {
        self.holdings().milestone(m(milestone)).unwrap()
    }
}

/// What an event sends back, by funding.
pub fn refund_parts(event: &EscrowEvent) -> Vec<(FundingId, i64)> {
    match event {
        EscrowEvent::RefundInitiated { parts, .. } | EscrowEvent::ReleaseReturned { parts, .. } => {
            parts.iter().map(|part| (part.funding_id, part.amount.get())).collect()
        }
        other => panic!("{other:?} sends nothing back"),
    }
}

/// The entry of an event of an escrow.
pub fn booked(event: &EscrowEvent) -> JournalEntry {
    entry(&DomainEvent::Escrow(event.clone()))
}

/// The entry of an event.
pub fn entry(event: &DomainEvent) -> JournalEntry {
    let date = BEGIN.parse::<Timestamp>().unwrap().date_naive();
    event.journal_entry(date).unwrap().unwrap_or_else(|| panic!("{} books nothing", event.event_type()))
}

/// The lines of an entry: side, account, minor units, currency.
pub fn lines(entry: &JournalEntry) -> Vec<(&'static str, String, i64, String)> {
    let line = |posting: &ledger::Posting| {
        let side = if posting.side() == Side::Debit { "Dr" } else { "Cr" };
        let amount = posting.amount();
        (side, posting.account().code().to_owned(), amount.minor().get(), amount.currency().code().to_owned())
    };
    entry.postings().iter().map(line).collect()
}

/// Compares a whole entry with a journal of the specification: sides, accounts, amounts, currencies, in their order; and
/// each word of the vector's sketch of dimensions (`C1/M1/F1`), where it is in `names`, with the dimensions of the line.
pub fn assert_journal(entry: &JournalEntry, id: &str, names: &[(&str, String)]) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../ledger/tests/data/journals.json")).unwrap();
    let journals = vectors["journals"].as_array().unwrap();
    let wanted = journals.iter().find(|journal| journal["id"] == id).unwrap();
    let wanted = wanted["lines"].as_array().unwrap();
    let text = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap().to_owned();
    let wanted_lines: Vec<_> = wanted
        .iter()
        .map(|line| {
            let side = if line["side"] == "Dr" { "Dr" } else { "Cr" };
            (side, text(line, "account"), line["minor"].as_i64().unwrap(), text(line, "currency"))
        })
        .collect();
    assert_eq!(lines(entry), wanted_lines, "{id}");
    let mut standard = vec![
        ("C1", contract().to_string()),
        ("M1", m(1).to_string()),
        ("M2", m(2).to_string()),
        ("F1", f(1).to_string()),
        ("client", client().to_string()),
        ("payee", payee().to_string()),
        ("GB 20%", "GB".to_owned()),
        ("XX", "XX".to_owned()),
        ("kyc", "kyc".to_owned()),
    ];
    standard.retain(|(word, _)| !names.iter().any(|(named, _)| named == word));
    let names: Vec<_> = names.iter().cloned().chain(standard).collect();
    for (line, posting) in wanted.iter().zip(entry.postings()) {
        for word in text(line, "dim").split('/').filter(|word| !word.is_empty() && *word != "unallocated") {
            let (_, value) =
                names.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{id}: who is {word}?"));
            let found = posting.dimensions().iter().any(|(_, known)| known == value);
            assert!(found, "{id}: {} is about {word}, {value}", posting.account());
        }
    }
}
