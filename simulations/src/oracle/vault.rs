//! The money of one contract, followed through the escrow's events: what is asked for, held, locked, released, sent back.
//!
//! # Invariants
//! - Every amount of an event is computed here again: fees, taxes, lots, and who pays what.
//! - What is frozen does not move, what is locked neither.

mod back;
mod limit;
mod taken;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::books::Books;
use super::fees::{Schedule, rounded};
use super::purse::{First, Parts, Purse};
use super::{Raw, amount_of, text_of, usual};
use crate::failure::Violation;
pub(super) use taken::Clawed;

/// The money of one milestone.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) purse: Purse,
    pub(super) released: i128,
    pub(super) refunded: i128,
    payee_fee: i128,
    payee_tax: i128,
    withheld: i128,
    /// Of its releases: the client's fee and the initiation fee that were earned, and the tax on both.
    earned: i128,
    initiation_earned: i128,
    client_tax: i128,
    /// What was given back of them.
    back: Back,
    /// What of them a bank took at the platform's cost, gross.
    borne: i128,
    /// What a bank took that was held.
    pub(super) lost: i128,
    /// What a dispute has locked, lent to a chargeback or not.
    pub(super) disputed: i128,
}

#[derive(Debug, Default)]
struct Back {
    gross: i128,
    payee_fee: i128,
    payee_tax: i128,
    client_fee: i128,
    client_tax: i128,
}

/// What was asked for, and how much of it is for what.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    allocations: Value,
    deposit: Value,
    initiation: i128,
    tax: Value,
    surplus: i128,
}

/// A payment that arrived.
#[derive(Debug)]
struct Paid {
    number: u64,
    paid: i128,
    /// What of that is for work, and what is the initiation fee with its tax.
    principal: i128,
    initiation: i128,
    sent_back: i128,
    limit: Option<(Timestamp, Vec<i64>)>,
}

/// The money of one contract.
#[derive(Debug, Default)]
pub(super) struct Vault {
    pub(super) currency: String,
    schedule: Schedule,
    policy: Value,
    pub(super) deposit: Purse,
    pub(super) accounts: BTreeMap<String, Account>,
    asked: BTreeMap<String, Asked>,
    paid: BTreeMap<String, Paid>,
    disputes: BTreeMap<String, (String, Parts)>,
    /// Banks that disagree, by chargeback; and those that did.
    contests: BTreeMap<String, taken::Contest>,
    contests_over: BTreeSet<String>,
    /// By payment that a bank returned: what its client owes for that.
    owed: BTreeMap<String, i128>,
    /// The milestones that each has named, also when it is over.
    named: BTreeMap<String, Vec<String>>,
    /// What milestones have to be told of in the same append that was taken: which, of which payment, how much.
    pub(super) lost_due: Vec<(String, String, i128)>,
    initiation: i128,
    initiation_gone: i128,
    fees: i128,
    fees_gone: i128,
    tax: i128,
    tax_gone: i128,
    pub(super) frozen: bool,
    pub(super) closed_at: Option<Timestamp>,
    /// A fee that has to move along in the same append.
    moving_fee: Option<(String, String, i128)>,
    /// A payment whose limit was reached in this append, and is to be dealt with.
    at_limit: Option<String>,
    /// The pair that its fees go by, if they do; and what that had billed before the event at hand, in all contracts.
    pub(super) pair: Option<String>,
    pub(super) pair_billed: i128,
}

/// A refund that has to be asked for in the same append.
pub(super) type Way = (String, i128);

fn parts_of(list: &[Value]) -> Parts {
    list.iter().map(|lot| (text_of(lot, "funding_id").to_owned(), amount_of(lot, "amount"))).collect()
}

fn tax_of(raw: &Raw, key: &str) -> i128 {
    raw.data.get(key).map_or(0, |tax| amount_of(tax, "amount"))
}

fn days(policy: &Value, key: &str) -> i64 {
    policy.get(key).and_then(Value::as_i64).unwrap_or(-1)
}

impl Vault {
    pub(super) fn open(raw: &Raw) -> Result<Self, Violation> {
        let schedule = Schedule::read(raw)?;
        let pair = format!("pair-{}-{}-{}", raw.text("client_id")?, raw.text("payee_id")?, raw.text("currency")?);
        Ok(Self {
            currency: raw.text("currency")?.to_owned(),
            pair: schedule.goes_by_billing().then_some(pair),
            schedule,
            policy: usual::policy(raw),
            ..Self::default()
        })
    }

    pub(super) fn days(&self, key: &str) -> i64 {
        days(&self.policy, key)
    }

    /// What was released of this contract, gross.
    fn billed(&self) -> i128 {
        self.accounts.values().map(|account| account.released).sum()
    }

    /// Where the pair stands: what fees go by.
    fn standing(&self) -> i128 {
        if self.pair.is_some() { self.pair_billed } else { self.billed() }
    }

    fn account(&mut self, id: &str) -> &mut Account {
        self.accounts.entry(id.to_owned()).or_default()
    }

    /// Money leaves, so nobody may have stopped it.
    fn may_leave(&self, raw: &Raw) -> Result<(), Violation> {
        if self.frozen { Err(raw.breaks("I5", "money leaves an escrow that is frozen")) } else { Ok(()) }
    }

    fn is(raw: &Raw, what: &str, told: i128, ours: i128) -> Result<(), Violation> {
        if told == ours { Ok(()) } else { Err(raw.breaks("I4", &format!("{what} is {told}, it should be {ours}"))) }
    }

    /// The client is to pay: every fee is what it should be.
    pub(super) fn ask(&mut self, raw: &Raw) -> Result<(), Violation> {
        if self.closed_at.is_some() {
            return Err(raw.breaks("I5", "money is asked for a contract that is over"));
        }
        let (billed, mut total, mut fees) = (self.standing(), 0, 0);
        for part in raw.list("allocations")? {
            let account = self.account(text_of(part, "milestone_id"));
            let kept = account.purse.here() + account.released;
            let (before, amount) = (billed - account.released, amount_of(part, "amount"));
            let fee = self.schedule.client_fee(before, kept + amount) - self.schedule.client_fee(before, kept);
            Self::is(raw, "the client's fee", amount_of(part, "client_fee"), fee)?;
            (total, fees) = (total + amount + fee, fees + fee);
        }
        let deposit = raw.data.get("deposit").cloned().unwrap_or_default();
        let (amount, here) = (amount_of(&deposit, "amount"), self.deposit.here());
        if amount != 0 {
            let fee = self.schedule.client_fee(billed, here + amount) - self.schedule.client_fee(billed, here);
            Self::is(raw, "the client's fee on the deposit", amount_of(&deposit, "client_fee"), fee)?;
            (total, fees) = (total + amount + fee, fees + fee);
        }
        let initiation = raw.data.get("initiation_fee").map_or(0, |_| amount_of(&raw.data, "initiation_fee"));
        if initiation != 0 && (initiation != self.schedule.initiation || self.initiation > self.initiation_gone) {
            return Err(raw.breaks("I4", "an initiation fee that is not due"));
        }
        let tax = (self.schedule.client_tax_on(self.fees + self.initiation + fees + initiation) - self.tax).max(0);
        Self::is(raw, "the tax", tax_of(raw, "tax"), tax)?;
        total += initiation + tax;
        Self::is(raw, "what is due", raw.amount("amount_due")?, total)?;
        let surplus = raw.amount("surplus_to_wallet")?;
        Self::is(raw, "what is charged", raw.amount("charge")?, total + surplus)?;
        if raw.data.get("expires_at").is_some() {
            let hours = TimeDelta::hours(self.days("funding_intent_hours"));
            if raw.instant("expires_at")? != raw.at + hours {
                return Err(raw.breaks("I5", "the attempt ends at another instant than was agreed"));
            }
        }
        self.asked.insert(raw.text("funding_id")?.to_owned(), Self::asked_by(raw));
        Ok(())
    }

    fn asked_by(raw: &Raw) -> Asked {
        let part = |key: &str| raw.data.get(key).cloned().unwrap_or_default();
        Asked {
            allocations: part("allocations"),
            deposit: part("deposit"),
            initiation: amount_of(&raw.data, "initiation_fee"),
            tax: part("tax"),
            surplus: amount_of(&raw.data, "surplus_to_wallet"),
        }
    }

    /// Money that was asked for is held. Returns all of it, and what is for each milestone.
    pub(super) fn fund(&mut self, raw: &Raw, books: &mut Books, by_wallet: bool) -> Result<(i128, Parts), Violation> {
        let funding = raw.text("funding_id")?.to_owned();
        let told = Self::asked_by(raw);
        let asked = self.asked.remove(&funding);
        // What came late with an initiation fee that another has paid since gives it to the wallet.
        let paid_twice = asked.as_ref().is_some_and(|asked| {
            let taken = self.initiation > self.initiation_gone || self.billed() != 0;
            let same = (&asked.allocations, &asked.deposit) == (&told.allocations, &told.deposit);
            taken && same && told.initiation == 0 && told.surplus >= asked.surplus + asked.initiation
        });
        if asked.as_ref() != Some(&told) && !paid_twice {
            return Err(raw.breaks("I5", "held is not what was asked for, or it is held twice"));
        }
        let number = self.paid.len() as u64 + 1;
        let currency = self.currency.clone();
        let (mut total, mut parts) = (0, Parts::new());
        for part in told.allocations.as_array().into_iter().flatten() {
            let (id, amount, fee) =
                (text_of(part, "milestone_id"), amount_of(part, "amount"), amount_of(part, "client_fee"));
            let purse = &mut self.account(id).purse;
            purse.put(number, &funding, amount);
            purse.fee += fee;
            self.fees += fee;
            total += amount + fee;
            books.expect("2100", &currency, -amount);
            books.expect("2300", &currency, -fee);
            parts.push((id.to_owned(), amount));
        }
        let (amount, fee) = (amount_of(&told.deposit, "amount"), amount_of(&told.deposit, "client_fee"));
        if amount != 0 {
            self.deposit.put(number, &funding, amount);
            self.deposit.fee += fee;
            self.fees += fee;
            books.expect("2105", &currency, -amount);
            books.expect("2300", &currency, -fee);
        }
        let tax = amount_of(&told.tax, "amount");
        total += amount + fee + told.initiation + tax;
        self.initiation += told.initiation;
        self.tax += tax;
        books.expect("2310", &currency, -told.initiation);
        books.expect(self.tax_account(), &currency, -tax);
        let limit = if by_wallet { None } else { Some(self.limit(raw)?) };
        let principal: i128 = amount + parts.iter().map(|(_, part)| part).sum::<i128>();
        let fees = total - tax - principal;
        let tax_on_it = if fees == 0 { 0 } else { rounded(tax * told.initiation, fees) };
        let initiation = told.initiation + tax_on_it;
        self.paid.insert(funding, Paid { number, paid: total, principal, initiation, sent_back: 0, limit });
        Ok((total, parts))
    }

    /// Where the tax on the client's fees stands before they are earned.
    fn tax_account(&self) -> &'static str {
        if self.schedule.tax_is_deferred { "2305" } else { "2400" }
    }

    /// Money of a milestone becomes the payee's.
    pub(super) fn release(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        self.may_leave(raw)?;
        let (gross, now, billed) = (raw.amount("gross")?, raw.at, self.standing());
        let told = raw.data.get("billed_before").and_then(Value::as_i64).map(i128::from);
        if told != self.pair.as_ref().map(|_| billed) {
            return Err(raw.breaks("I4", &format!("the pair had billed {billed}, not {told:?}")));
        }
        let id = raw.text("milestone_id")?;
        let account = self.accounts.entry(id.to_owned()).or_default();
        let schedule = &self.schedule;
        let (before, released) = (billed - account.released, account.released + gross);
        let payee_fee = schedule.payee_fee(before, released, now) - schedule.payee_fee(before, account.released, now);
        let room = gross - payee_fee;
        let payee_tax = (schedule.payee_tax_on(account.payee_fee + payee_fee) - account.payee_tax).max(0).min(room);
        let room = room - payee_tax;
        let withheld = (schedule.withheld_of(released) - account.withheld).max(0).min(room);
        let earned = account.purse.fee_of(gross);
        let initiation = self.initiation - self.initiation_gone;
        let client_tax = tax_share(self.tax, self.tax_gone, self.fees + self.initiation, {
            self.fees_gone + self.initiation_gone + earned + initiation
        });
        Self::is(raw, "the payee's fee", raw.amount("payee_fee")?, payee_fee)?;
        Self::is(raw, "the tax on the payee's fee", amount_of(&raw.data, "payee_tax"), payee_tax)?;
        Self::is(raw, "what is withheld", tax_of(raw, "withheld"), withheld)?;
        Self::is(raw, "the client's fee that is earned", raw.amount("client_fee_earned")?, earned)?;
        Self::is(raw, "the initiation fee", amount_of(&raw.data, "initiation_fee_earned"), initiation)?;
        Self::is(raw, "the tax on the client's fees", tax_of(raw, "client_tax"), client_tax)?;
        let net = room - withheld;
        Self::is(raw, "the rest", raw.amount("net")?, net)?;
        let lots = account.purse.pick(First::Oldest, gross);
        if lots != parts_of(raw.list("lots")?) || account.purse.locked() != 0 {
            return Err(raw.breaks("I4", &format!("released of other money than came first: {lots:?}")));
        }
        account.purse.take(&lots, earned);
        account.purse.mark_released(&lots);
        account.released = released;
        account.payee_fee += payee_fee;
        account.payee_tax += payee_tax;
        account.withheld += withheld;
        account.earned += earned;
        account.initiation_earned += initiation;
        account.client_tax += client_tax;
        self.fees_gone += earned;
        self.initiation_gone += initiation;
        self.tax_gone += client_tax;
        let currency = &self.currency;
        books.expect("2100", currency, gross);
        books.expect("2300", currency, earned);
        books.expect("2310", currency, initiation);
        books.expect("4100", currency, -payee_fee);
        books.expect("4110", currency, -earned);
        books.expect("4120", currency, -initiation);
        books.expect("2410", currency, -withheld);
        books.expect("2400", currency, -payee_tax);
        // A tax that was payable when it was paid stays where it is.
        books.expect(self.tax_account(), currency, client_tax);
        books.expect("2400", currency, -client_tax);
        Ok(())
    }

    /// Held money is moved to another milestone, with its fee.
    pub(super) fn reallocate(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        self.may_leave(raw)?;
        let (amount, fee) = (raw.amount("amount")?, raw.amount("client_fee")?);
        let to = raw.text("to")?.to_owned();
        let from = raw.text("from").ok().map(str::to_owned);
        let purse = match &from {
            Some(id) => &mut self.accounts.entry(id.clone()).or_default().purse,
            None => &mut self.deposit,
        };
        let lots = purse.pick(First::Oldest, amount);
        let locked = from.is_some() && purse.locked() != 0;
        if lots != parts_of(raw.list("lots")?) || locked || purse.here() < amount || amount <= 0 {
            return Err(raw.breaks("I4", &format!("moved is other money than came first: {lots:?}")));
        }
        Self::is(raw, "the fee that goes along", fee, purse.fee_of(amount))?;
        purse.take(&lots, fee);
        let numbers: BTreeMap<_, _> = self.paid.iter().map(|(id, paid)| (id.clone(), paid.number)).collect();
        let target = &mut self.account(&to).purse;
        for (funding, part) in &lots {
            target.put(numbers.get(funding).copied().unwrap_or(u64::MAX), funding, *part);
        }
        target.fee += fee;
        if from.is_none() {
            books.expect("2105", &self.currency, amount);
            books.expect("2100", &self.currency, -amount);
        } else if fee != 0 {
            self.moving_fee = Some((from.unwrap_or_default(), to, fee));
        }
        Ok(())
    }

    /// The fee follows, in an event of its own.
    pub(super) fn reallocate_fee(&mut self, raw: &Raw) -> Result<(), Violation> {
        let told = (raw.text("from")?.to_owned(), raw.text("to")?.to_owned(), raw.amount("amount")?);
        match self.moving_fee.take() {
            Some(moving) if moving == told => Ok(()),
            other => Err(raw.breaks("I4", &format!("another fee is moved than goes along: {other:?}"))),
        }
    }

    pub(super) fn lock(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let (id, amount) = (raw.text("milestone_id")?.to_owned(), raw.amount("amount")?);
        let dispute = raw.text("dispute_id")?.to_owned();
        let purse = &mut self.account(&id).purse;
        let lots = purse.pick(First::Newest, amount);
        if lots != parts_of(raw.list("lots")?) || purse.locked() != 0 || purse.free() < amount || amount <= 0 {
            return Err(raw.breaks("I4", &format!("locked twice, or other money than came last: {lots:?}")));
        }
        purse.lock(&lots);
        self.account(&id).disputed += amount;
        if self.disputes.insert(dispute, (id, lots)).is_some() {
            return Err(raw.breaks("I5", "a dispute that is open already"));
        }
        books.expect("2100", &self.currency, amount);
        books.expect("2110", &self.currency, -amount);
        Ok(())
    }

    pub(super) fn unlock(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let amount = raw.amount("amount")?;
        let Some((id, lots)) = self.disputes.remove(raw.text("dispute_id")?) else {
            return Err(raw.breaks("I5", "a dispute that is not open"));
        };
        Self::is(raw, "what was locked", amount, lots.iter().map(|(_, part)| part).sum())?;
        let account = self.account(&id);
        account.purse.unlock(&lots);
        account.disputed -= amount;
        books.expect("2100", &self.currency, -amount);
        books.expect("2110", &self.currency, amount);
        Ok(())
    }

    pub(super) fn freeze(&mut self, raw: &Raw, frozen: bool) -> Result<(), Violation> {
        let decides = ["staff.moderator:", "staff.finance:", "staff.admin:"];
        if self.frozen == frozen || !decides.iter().any(|staff| raw.actor.starts_with(staff)) {
            return Err(raw.breaks("I5", &format!("by {}, or it was so before", raw.actor)));
        }
        self.frozen = frozen;
        Ok(())
    }

    /// The client wants to give more than was agreed: what becomes of it.
    pub(super) fn ask_gratuity(&self, raw: &Raw) -> Result<(), Violation> {
        let closed = self.closed_at.map(|closed_at| closed_at + TimeDelta::days(self.days("bonus_window_days")));
        if closed.is_some_and(|closed_at| raw.at >= closed_at) {
            return Err(raw.breaks("I5", &format!("the time for it had ended at {closed:?}")));
        }
        let (gross, billed) = (raw.amount("gross")?, self.standing());
        let bonus = raw.text("kind")? == "bonus";
        let of = |amount: i128| if bonus { amount } else { 0 };
        let client_fee = of(self.schedule.client_fee(billed, gross));
        let payee_fee = of(self.schedule.payee_fee(billed, gross, raw.at));
        let payee_tax = of(self.schedule.payee_tax_on(payee_fee)).min(gross - payee_fee);
        let withheld = of(self.schedule.withheld_of(gross)).min(gross - payee_fee - payee_tax);
        let client_tax = self.schedule.client_tax_on(client_fee);
        Self::is(raw, "the client's fee", raw.amount("client_fee")?, client_fee)?;
        Self::is(raw, "the payee's fee", raw.amount("payee_fee")?, payee_fee)?;
        Self::is(raw, "what is withheld", tax_of(raw, "withheld"), withheld)?;
        Self::is(raw, "the rest", raw.amount("net")?, gross - payee_fee - payee_tax - withheld)?;
        let taxes = raw.data.get("taxes").and_then(Value::as_array).into_iter().flatten();
        Self::is(raw, "the tax", taxes.map(|line| amount_of(line, "amount")).sum(), payee_tax + client_tax)?;
        let surplus = amount_of(&raw.data, "surplus_to_wallet");
        Self::is(raw, "what is charged", raw.amount("charge")?, gross + client_fee + client_tax + surplus)
    }

    pub(super) fn close(&mut self, raw: &Raw) -> Result<(), Violation> {
        if self.closed_at.replace(raw.at).is_some() {
            return Err(raw.breaks("I5", "closed twice"));
        }
        self.asked.clear();
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn is_left_with(&mut self, id: &str, books: &Books) -> Option<String> {
        let in_books = |account: &str| -books.of(account, &self.currency, "contract", id);
        let deferred: i128 =
            self.accounts.values().map(|account| account.purse.deferred()).sum::<i128>() + self.deposit.deferred();
        let tax = if self.schedule.tax_is_deferred { self.tax - self.tax_gone } else { 0 };
        let locked: i128 = self.accounts.values().map(|account| account.purse.locked()).sum();
        let free: i128 = self.accounts.values().map(|account| account.purse.free()).sum();
        for (account, ours) in [
            ("2100", free),
            ("2105", self.deposit.here()),
            ("2110", locked),
            ("2300", deferred),
            ("2305", tax),
            ("2310", self.initiation - self.initiation_gone),
        ] {
            if in_books(account) != ours || ours < 0 {
                return Some(format!("{account} has {} in the journal, {ours} by the events", in_books(account)));
            }
        }
        if !self.accounts.values().all(|account| account.purse.is_sound()) || !self.deposit.is_sound() {
            return Some(format!("a purse is below zero: {self:?}"));
        }
        if let Some(moving) = self.moving_fee.take() {
            return Some(format!("a fee was left behind: {moving:?}"));
        }
        if !self.lost_due.is_empty() {
            return Some(format!("taken by a bank, and a milestone was not told: {:?}", self.lost_due));
        }
        if let Some(found) = self.contests_are_wrong() {
            return Some(found);
        }
        // A deposit that a bank disagrees with stays until that is decided.
        let deposit = self.deposit.free_of_others(|funding| self.is_contested(funding));
        if self.closed_at.is_some() && !self.frozen && free + locked + deposit != 0 {
            return Some("closed, and money is held".to_owned());
        }
        if let Some(funding) = self.at_limit.take()
            && !self.contests.values().any(|contest| !contest.inquiry)
        {
            let unlocked = self.accounts.values().filter(|account| account.purse.locked() == 0);
            let left: i128 = unlocked.map(|account| account.purse.free_of(&funding)).sum();
            if left + self.deposit.free_of(&funding) != 0 {
                return Some(format!("{left} of {funding} stays beyond the provider's limit"));
            }
        }
        None
    }
}

/// R6: the tax that goes along when so many fees are gone, of all that were charged.
fn tax_share(tax: i128, tax_gone: i128, charged: i128, gone: i128) -> i128 {
    if charged == 0 { 0 } else { (rounded(tax * gone, charged) - tax_gone).max(0) }
}
