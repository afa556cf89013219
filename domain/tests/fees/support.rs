//! A milestone's books as an escrow would keep them, and the vectors of the specification by account.

use std::collections::BTreeMap;

use domain::fee::{
    Charge, ContractFees, FeeSchedule, MilestoneFees, Part, RefundOf, RefundSplit, ReleaseSplit, Standing, Tax,
    TaxRule, TaxStatus,
};
use domain::jurisdiction::Jurisdiction;
use domain::time::Timestamp;
use ledger::{Currency, Minor, Percent};
use serde_json::Value;

pub fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap()
}

pub fn percent(text: &str) -> Percent {
    Percent::new(text.parse().unwrap()).unwrap()
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn standing(billed: i64) -> Standing {
    Standing { billed: minor(billed), now: at("2026-12-01T10:00:00Z") }
}

pub fn in_jurisdiction(code: &str, registered_business: bool) -> TaxStatus {
    TaxStatus { jurisdiction: Some(Jurisdiction::new(code).unwrap()), registered_business }
}

/// The two-sided preset with the initiation fee and the 20% VAT of J04, for a British client.
pub fn with_vat(payee: &TaxStatus) -> FeeSchedule {
    let rule = |code: &str, reverse_charge, withholding: &str| TaxRule {
        jurisdiction: Jurisdiction::new(code).unwrap(),
        percent: percent(if code == "XX" { "0" } else { "20" }),
        reverse_charge,
        withholding: percent(withholding),
    };
    let tax =
        Tax { rules: vec![rule("GB", false, "0"), rule("FR", true, "0"), rule("XX", false, "1")], ..Tax::default() };
    let schedule = FeeSchedule {
        currency: Some(Currency::USD),
        initiation_fee: minor(495),
        tax: Box::new(tax),
        ..FeeSchedule::two_sided()
    };
    schedule.check().unwrap();
    schedule.for_contract(&in_jurisdiction("GB", false), payee, 0)
}

/// The books of one milestone, as an escrow would keep them.
#[derive(Clone, Copy, Default)]
pub struct Sums {
    pub milestone: MilestoneFees,
    pub contract: ContractFees,
}

impl Sums {
    pub fn fund(&mut self, schedule: &FeeSchedule, currency: Currency, amount: i64, initiation: bool) -> Charge {
        let part = Part { amount: minor(amount), before: self.milestone };
        let charge = schedule.charge(currency, &[part], &self.contract, Minor::ZERO, initiation).unwrap();
        self.milestone.add(part.amount, charge.client_fee);
        self.contract.add(charge.client_fee, charge.initiation_fee, charge.tax);
        charge
    }

    pub fn release(&mut self, schedule: &FeeSchedule, standing: Standing, gross: i64) -> ReleaseSplit {
        let split = schedule.release(&self.milestone, &self.contract, standing, minor(gross)).unwrap();
        self.milestone.release(&split);
        self.contract.release(&split);
        split
    }

    pub fn refund(&mut self, schedule: &FeeSchedule, refund: RefundOf) -> RefundSplit {
        let split = schedule.refund(&self.milestone, &self.contract, refund).unwrap();
        self.milestone.refund(&split);
        self.contract.refund(&split);
        split
    }
}

pub fn funded(schedule: &FeeSchedule, amount: i64) -> Sums {
    let mut sums = Sums::default();
    sums.fund(schedule, Currency::USD, amount, true);
    sums
}

pub fn refund_of(amount: i64) -> RefundOf {
    RefundOf { amount: minor(amount), ..RefundOf::default() }
}

/// Debits and credits by account, without zeros.
pub type Lines = BTreeMap<(String, String), i64>;

/// Of the vector with that id, without the accounts that fees do not decide about.
pub fn vector(id: &str) -> Lines {
    let vectors: Value = serde_json::from_str(include_str!("../../../ledger/tests/data/journals.json")).unwrap();
    let journal = vectors["journals"].as_array().unwrap().iter().find(|journal| journal["id"] == id).unwrap();
    let mut lines = Lines::new();
    for line in journal["lines"].as_array().unwrap() {
        let key = (line["side"].as_str().unwrap().to_owned(), line["account"].as_str().unwrap().to_owned());
        *lines.entry(key).or_default() += line["minor"].as_i64().unwrap();
    }
    lines
}

pub fn lines(parts: &[(&str, &str, Minor)]) -> Lines {
    let mut lines = Lines::new();
    for (side, account, amount) in parts.iter().filter(|(_, _, amount)| !amount.is_zero()) {
        *lines.entry(((*side).to_owned(), (*account).to_owned())).or_default() += amount.get();
    }
    lines
}

pub fn of_charge(charge: &Charge, held: i64, unallocated: i64) -> Lines {
    lines(&[
        ("Dr", "1110", charge.charge),
        ("Cr", "2100", minor(held)),
        ("Cr", "2105", minor(unallocated)),
        ("Cr", "2300", charge.client_fee),
        ("Cr", "2310", charge.initiation_fee),
        ("Cr", "2305", charge.tax),
        ("Cr", "2120", charge.surplus),
    ])
}

pub fn of_release(schedule: &FeeSchedule, split: &ReleaseSplit) -> Lines {
    let tax = Minor::sum(schedule.tax_of_release(split).iter().map(|line| line.amount)).unwrap();
    lines(&[
        ("Dr", "2100", split.gross),
        ("Dr", "2300", split.client_fee_earned),
        ("Dr", "2310", split.initiation_fee_earned),
        ("Dr", "2305", schedule.tax.deferred(split.client_tax)),
        ("Cr", "2200", split.net),
        ("Cr", "2400", tax),
        ("Cr", "2410", split.withheld),
        ("Cr", "4100", split.payee_fee),
        ("Cr", "4110", split.client_fee_earned),
        ("Cr", "4120", split.initiation_fee_earned),
    ])
}

pub fn of_refund(split: &RefundSplit) -> Lines {
    lines(&[
        ("Dr", "2100", split.amount),
        ("Dr", "2300", split.client_fee_returned.checked_add(split.client_fee_earned).unwrap()),
        ("Dr", "2310", split.initiation_fee_returned),
        ("Dr", "2305", split.tax_returned),
        ("Cr", "2260", split.to_client),
        ("Cr", "4110", split.client_fee_earned),
        ("Cr", "5100", split.psp_fee_from_client),
    ])
}
