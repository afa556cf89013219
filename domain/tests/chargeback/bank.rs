//! A client's bank: a dispute as the provider tells of it, and the payee's way to the bank.

use chrono::NaiveDate;
use domain::aggregate::AggregateState;
use domain::chargeback::{Chargeback, first_cycle};
use domain::command::Command;
use domain::escrow::{Holding, Holdings};
use domain::fee::FeeSchedule;
use domain::id::{ChargebackId, FundingId, PayoutId};
use domain::intent::Intent;
use domain::milestone::Milestone;
use domain::payee::{PayeeAccount, PayeeAccountId};
use domain::payout::PayoutCommand;
use domain::ports::provider::{DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus, ProviderReport};
use domain::process::facts;
use domain::refusal::Refusal;
use domain::timer::Scope;
use ledger::Currency;

use super::money::world::World;
use super::money::{contract, m, minor, payee, uuid};

/// The date that the provider books with.
pub fn booked_on() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 1).unwrap()
}

/// A dispute, as the provider knows it.
#[derive(Debug, Clone)]
pub struct Dispute {
    pub report: DisputeReport,
}

impl Dispute {
    /// About a whole payment, and nothing has moved.
    pub fn of(funding_id: FundingId, dispute_ref: &str, amount: i64) -> Self {
        let report = DisputeReport {
            dispute_ref: dispute_ref.to_owned(),
            funding_id: Some(funding_id),
            charge_ref: format!("ch_{funding_id}"),
            status: DisputeStatus::NeedsResponse,
            reason: "product_not_received".to_owned(),
            amount: minor(amount),
            currency: Currency::USD,
            evidence_due_by: None,
            movements: Vec::new(),
        };
        Self { report }
    }

    pub fn is(&mut self, status: DisputeStatus) -> &mut Self {
        self.report.status = status;
        self
    }

    pub fn moves(&mut self, direction: DisputeDirection, amount: i64, fee: i64) -> &mut Self {
        let number = self.report.movements.len() + 1;
        self.report.movements.push(DisputeMovement {
            balance_transaction_ref: format!("txn_{}_{number}", self.report.dispute_ref),
            direction,
            amount: minor(amount),
            fee: minor(fee),
            fee_returned: minor(0),
            currency: self.report.currency,
            paid: None,
            booked_on: booked_on(),
        });
        self
    }

    pub fn withdraws(&mut self, amount: i64) -> &mut Self {
        self.moves(DisputeDirection::Withdrawn, amount, 1500)
    }

    pub fn reinstates(&mut self, amount: i64) -> &mut Self {
        self.moves(DisputeDirection::Reinstated, amount, 0)
    }

    /// The provider tells it, and the engine takes it.
    pub fn told(&self, world: &mut World) -> Result<Vec<String>, Refusal> {
        tell(world, &ProviderReport::Dispute(self.report.clone()))
    }

    pub fn id(&self) -> ChargebackId {
        first_cycle(&self.report.dispute_ref)
    }

    pub fn state(&self, world: &World) -> Chargeback {
        chargeback(world, self.id())
    }
}

/// The provider tells something.
pub fn tell(world: &mut World, report: &ProviderReport) -> Result<Vec<String>, Refusal> {
    let mut events = Vec::new();
    for fact in facts(report) {
        events.extend(world.fact(fact.command)?);
    }
    Ok(events)
}

pub fn chargeback(world: &World, id: ChargebackId) -> Chargeback {
    match world.state(&domain::chargeback::stream(id)) {
        AggregateState::Chargeback(state) => *state,
        other => panic!("{other:?}"),
    }
}

pub fn milestone(world: &World, number: u128) -> Milestone {
    match world.state(&domain::milestone::stream(m(number))) {
        AggregateState::Milestone(state) => *state,
        other => panic!("{other:?}"),
    }
}

pub fn holdings(world: &World) -> Holdings {
    match world.state(&domain::escrow::stream(contract())) {
        AggregateState::Escrow(escrow) => escrow.holdings().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

pub fn holding(world: &World, number: u128) -> Holding {
    holdings(world).milestone(m(number)).unwrap().clone()
}

pub fn account() -> PayeeAccountId {
    PayeeAccountId { party_id: payee(), currency: Currency::USD }
}

/// The payee's earnings, in the currency of the contract.
pub fn earnings(world: &World) -> PayeeAccount {
    let account = PayeeAccountId { party_id: payee(), currency: world.currency };
    match world.state(&domain::payee::stream(account)) {
        AggregateState::Payee(state) => state,
        other => panic!("{other:?}"),
    }
}

/// Lets the payee's earnings clear that are due.
pub fn clear(world: &mut World) {
    let account = PayeeAccountId { party_id: payee(), currency: world.currency };
    world.system(Intent::Wake(Scope::Stream(domain::payee::stream(account)))).unwrap();
}

/// The payee withdraws, and the bank has it.
pub fn pay_out(world: &mut World, number: u128, amount: i64) -> Result<(), Refusal> {
    let payout_id = PayoutId::from_uuid(uuid(9000 + number));
    let request =
        Intent::RequestPayout { payout_id, payee_id: payee(), currency: Currency::USD, amount: minor(amount) };
    world.by_payee(request)?;
    let AggregateState::Payout(payout) = world.state(&domain::payout::stream(payout_id)) else { panic!() };
    let transfer = payout.withdrawal().unwrap().transfer_amount;
    let mut steps = vec![
        PayoutCommand::RecordSubmitted { bank_payout_ref: "po_1".to_owned(), arrival_at: world.now },
        PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() },
    ];
    if !transfer.is_zero() {
        let transferred = PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount: transfer };
        steps.insert(0, transferred);
    }
    for step in steps {
        world.fact(Command::Payout(payout_id, step))?;
    }
    Ok(())
}

/// VAT on the fees of both, and an initiation fee; in dollars, as an offer wants it.
pub fn taxed() -> FeeSchedule {
    FeeSchedule { currency: Some(Currency::USD), ..super::money::with_vat() }
}
