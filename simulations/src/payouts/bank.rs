//! The provider of [`super`]: it does what it is asked once per key that it remembers, and once more under one that it has
//! forgotten. It keeps watch over what it is sent.
//!
//! # Invariants
//! - A second key for the same thing, while nobody can know what became of the first, is a violation (I8); so is a key sent
//!   again that was forgotten meanwhile, unless somebody has looked since.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::id::PayoutId;
use domain::ports::history::Found;
use domain::ports::provider::{
    BankPayoutReport, BankPayoutStatus, ProviderError, ProviderOrder, ProviderReport, TransferReport,
};
use ledger::{Currency, Minor};

use super::{Payouts, odd};
use crate::chance::Chance;
use crate::failure::Violation;

/// How often in a thousand calls what goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// It is done, and the answer does not come.
    pub time_out_after_success: u32,
    /// The answer is lost, or the request was, and nobody asks again before the key is forgotten.
    pub lost_and_forgotten: u32,
    /// There is not enough money at the moment.
    pub lacks_funds: u32,
}

/// How long keys are remembered.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// How long nobody works where a key is forgotten.
const AWAY: TimeDelta = TimeDelta::hours(25);

/// How long a bank needs.
const BANK: TimeDelta = TimeDelta::hours(30);

/// What the engine is told, and how long it does nothing then.
pub(super) struct Told {
    pub(super) told: Result<ProviderReport, ProviderError>,
    pub(super) waits: Option<TimeDelta>,
}

/// What became of what was sent for one thing.
#[derive(Debug)]
struct Watched {
    key: String,
    /// When it was sent first: what was executed then is remembered for a day.
    sent_at: DateTime<Utc>,
    /// Whether the engine knows that nothing happened under it.
    refused: bool,
    /// Whether the engine has looked since it was sent last.
    looked: bool,
}

#[derive(Debug)]
struct BankPayout {
    account: String,
    amount: i64,
    currency: Currency,
    arrives_at: DateTime<Utc>,
}

/// The provider.
#[derive(Debug)]
pub(super) struct Bank {
    faults: Faults,
    platform: BTreeMap<Currency, i64>,
    accounts: BTreeMap<(String, Currency), i64>,
    /// Answers by key, with when they were given.
    keys: BTreeMap<String, (DateTime<Utc>, ProviderReport)>,
    watched: BTreeMap<(&'static str, String), Watched>,
    transfers: BTreeMap<PayoutId, Vec<TransferReport>>,
    payouts: BTreeMap<PayoutId, Vec<(String, BankPayout)>>,
    made: u64,
}

impl Bank {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            platform: BTreeMap::new(),
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
            watched: BTreeMap::new(),
            transfers: BTreeMap::new(),
            payouts: BTreeMap::new(),
            made: 0,
        }
    }

    /// The platform's balance grows.
    pub(super) fn fund(&mut self, currency: Currency, amount: i64) {
        let balance = self.platform.entry(currency).or_default();
        *balance = balance.saturating_add(amount);
    }

    pub(super) fn carry_out(
        &mut self,
        order: &ProviderOrder,
        key: &str,
        now: DateTime<Utc>,
        chance: &mut Chance,
        result: &mut Payouts,
    ) -> Result<Told, Violation> {
        let answered = |told| Ok(Told { told, waits: None });
        if !order.moves_money() {
            return answered(self.read(order, now));
        }
        result.calls = result.calls.saturating_add(1);
        self.watch(order, key, now)?;
        let lost = |why: &str| Err(ProviderError::Unknown(why.to_owned()));
        if chance.per_mille(self.faults.lost_and_forgotten) {
            result.forgotten = result.forgotten.saturating_add(1);
            // Either way was lost.
            if chance.per_mille(500) {
                let _ = self.once(order, key, now)?;
            }
            return Ok(Told { told: lost("nobody was there for a day"), waits: Some(AWAY) });
        }
        if chance.per_mille(self.faults.lacks_funds) && !self.remembers(key, now) {
            result.refused = result.refused.saturating_add(1);
            if let Some(watched) = self.watched.get_mut(&(order.action(), order.aggregate_id())) {
                watched.refused = true;
            }
            return answered(Err(ProviderError::Refused { code: "balance_insufficient".to_owned() }));
        }
        let done = self.once(order, key, now)?;
        if chance.per_mille(self.faults.time_out_after_success) {
            result.timed_out = result.timed_out.saturating_add(1);
            return answered(lost("timed out"));
        }
        answered(Ok(done))
    }

    /// Looks for what an order brought about.
    pub(super) fn find(&mut self, order: &ProviderOrder, now: DateTime<Utc>) -> Found {
        if let Some(watched) = self.watched.get_mut(&(order.action(), order.aggregate_id())) {
            watched.looked = true;
        }
        let reports: Vec<ProviderReport> = match order {
            ProviderOrder::MoveToPayee { payout_id, .. } => {
                self.transfers.get(payout_id).into_iter().flatten().cloned().map(ProviderReport::Transfer).collect()
            }
            ProviderOrder::PayToBank { payout_id, .. } => {
                let made = self.payouts.get(payout_id).into_iter().flatten();
                made.map(|(name, payout)| payout.report(name, *payout_id, now)).collect()
            }
            other => return Found::Uncertain(format!("{} is not searched for", other.action())),
        };
        if reports.is_empty() { Found::Absent } else { Found::Reports(reports) }
    }

    /// That the payout was moved once and paid once.
    pub(super) fn paid_once(&self, id: PayoutId, amount: i64, currency: Currency) -> Result<(), Violation> {
        let moved: Vec<_> = self.transfers.get(&id).into_iter().flatten().collect();
        let paid: Vec<_> = self.payouts.get(&id).into_iter().flatten().collect();
        let right = matches!(
            (moved.as_slice(), paid.as_slice()),
            ([moved], [(_, paid)]) if moved.amount.get() == amount && moved.currency == currency
                && paid.amount == amount && paid.currency == currency
        );
        if right { Ok(()) } else { Err(Violation::new("I8", format!("{id} of {amount}: {moved:?}, {paid:?}"))) }
    }

    /// That nothing is left anywhere, and nothing was made for anybody else.
    pub(super) fn is_empty_but_for(&self, payouts: usize) -> Result<(), Violation> {
        let left = self.platform.values().chain(self.accounts.values()).any(|balance| *balance != 0);
        if left || self.transfers.len() != payouts || self.payouts.len() != payouts {
            return Err(Violation::new("I8", "something is left at the provider, or went elsewhere"));
        }
        Ok(())
    }

    fn remembers(&self, key: &str, now: DateTime<Utc>) -> bool {
        self.keys.get(key).is_some_and(|(at, _)| now - *at < REMEMBERED)
    }

    fn watch(&mut self, order: &ProviderOrder, key: &str, now: DateTime<Utc>) -> Result<(), Violation> {
        let broken = |found: String| Err(Violation::new("I8", found));
        let slot = (order.action(), order.aggregate_id());
        if let Some(before) = self.watched.get(&slot) {
            if before.key != key && !before.refused {
                return broken(format!("{key} was sent while the outcome of {} is unknown", before.key));
            }
            if before.key == key && before.refused {
                return broken(format!("{key} was refused, and is sent again"));
            }
            if before.key == key && now - before.sent_at >= REMEMBERED && !before.looked {
                return broken(format!("{key} may be forgotten, and was sent again without looking"));
            }
        }
        let first = self.watched.get(&slot).filter(|before| before.key == key && !before.looked);
        let sent_at = first.map_or(now, |before| before.sent_at);
        self.watched.insert(slot, Watched { key: key.to_owned(), sent_at, refused: false, looked: false });
        Ok(())
    }

    /// Once per key that is remembered.
    fn once(&mut self, order: &ProviderOrder, key: &str, now: DateTime<Utc>) -> Result<ProviderReport, Violation> {
        if let Some((at, answer)) = self.keys.get(key)
            && now - *at < REMEMBERED
        {
            return Ok(answer.clone());
        }
        let done = self.execute(order, now)?;
        self.keys.insert(key.to_owned(), (now, done.clone()));
        Ok(done)
    }

    fn execute(&mut self, order: &ProviderOrder, now: DateTime<Utc>) -> Result<ProviderReport, Violation> {
        self.made = self.made.saturating_add(1);
        let name = self.made;
        match order {
            ProviderOrder::MoveToPayee { payout_id, amount, currency, account, .. } => {
                take(self.platform.entry(*currency).or_default(), *amount)?;
                let there = self.accounts.entry((account.clone(), *currency)).or_default();
                *there = there.saturating_add(amount.get());
                let transfer = TransferReport {
                    transfer_ref: format!("tr_{name}"),
                    payout_id: Some(*payout_id),
                    amount: *amount,
                    currency: *currency,
                    reversed_by_hand: Minor::ZERO,
                };
                self.transfers.entry(*payout_id).or_default().push(transfer.clone());
                Ok(ProviderReport::Transfer(transfer))
            }
            ProviderOrder::PayToBank { payout_id, amount, currency, account } => {
                take(self.accounts.entry((account.clone(), *currency)).or_default(), *amount)?;
                let (name, arrives_at) = (format!("po_{name}"), now + BANK);
                let payout =
                    BankPayout { account: account.clone(), amount: amount.get(), currency: *currency, arrives_at };
                let report = payout.report(&name, *payout_id, now);
                self.payouts.entry(*payout_id).or_default().push((name, payout));
                Ok(report)
            }
            other => Err(odd(format!("{} was not expected", other.action()))),
        }
    }

    fn read(&self, order: &ProviderOrder, now: DateTime<Utc>) -> Result<ProviderReport, ProviderError> {
        let ProviderOrder::ReadBankPayout { payout_id, bank_payout_ref, .. } = order else {
            return Err(ProviderError::Unusable(format!("{} was not expected", order.action())));
        };
        let made = self.payouts.get(payout_id).into_iter().flatten();
        let found = made.into_iter().find(|(name, _)| name == bank_payout_ref);
        let found = found.map(|(name, payout)| payout.report(name, *payout_id, now));
        found.ok_or_else(|| ProviderError::Unusable("no such payout".to_owned()))
    }
}

/// More than there is would be money from nowhere: it was moved twice.
fn take(balance: &mut i64, amount: Minor) -> Result<(), Violation> {
    *balance = balance.saturating_sub(amount.get());
    if *balance < 0 { Err(Violation::new("I8", "more was moved than there is")) } else { Ok(()) }
}

impl BankPayout {
    fn report(&self, name: &str, payout_id: PayoutId, now: DateTime<Utc>) -> ProviderReport {
        let status = if now < self.arrives_at {
            BankPayoutStatus::InTransit { arrival_at: self.arrives_at }
        } else {
            BankPayoutStatus::Paid
        };
        ProviderReport::BankPayout(BankPayoutReport {
            bank_payout_ref: name.to_owned(),
            payout_id: Some(payout_id),
            account: self.account.clone(),
            status,
        })
    }
}
