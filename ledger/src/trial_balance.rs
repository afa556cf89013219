//! Trial balance: the net of every account, derived from journal entries.

use std::collections::BTreeMap;

use crate::account::{Account, Side};
use crate::currency::Currency;
use crate::journal::JournalEntry;

/// Debits and credits of one account in one currency, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Sum of debits.
    pub debits: i128,
    /// Sum of credits.
    pub credits: i128,
}

impl Totals {
    /// Debits less credits.
    pub fn net(self) -> i128 {
        self.debits.saturating_sub(self.credits)
    }
}

/// Totals of every account that was ever posted to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialBalance {
    totals: BTreeMap<(Account, Currency), Totals>,
}

impl TrialBalance {
    /// Nothing posted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Posts an entry. Sums of amounts below 2^63 fit 128 bits for any number of entries there can be.
    pub fn add(&mut self, entry: &JournalEntry) {
        for posting in entry.postings() {
            let totals = self.totals.entry((posting.account(), posting.amount().currency())).or_default();
            let minor = i128::from(posting.amount().minor().get());
            match posting.side() {
                Side::Debit => totals.debits = totals.debits.saturating_add(minor),
                Side::Credit => totals.credits = totals.credits.saturating_add(minor),
            }
        }
    }

    /// Puts totals in that were summed elsewhere.
    pub fn set(&mut self, account: Account, currency: Currency, totals: Totals) {
        self.totals.insert((account, currency), totals);
    }

    /// Debits less credits of an account.
    pub fn net(&self, account: Account, currency: Currency) -> i128 {
        self.totals.get(&(account, currency)).map_or(0, |totals| totals.net())
    }

    /// Accounts by code, then currency, also those whose net is zero.
    pub fn iter(&self) -> impl Iterator<Item = (Account, Currency, Totals)> {
        self.totals.iter().map(|((account, currency), totals)| (*account, *currency, *totals))
    }

    /// Debits less credits over all accounts; zero, unless something was summed elsewhere and wrongly.
    pub fn difference(&self, currency: Currency) -> i128 {
        self.iter().filter(|(_, c, _)| *c == currency).fold(0, |sum, (_, _, totals)| sum.saturating_add(totals.net()))
    }

    /// Whether debits are credits in every currency.
    pub fn is_balanced(&self) -> bool {
        self.iter().all(|(_, currency, _)| self.difference(currency) == 0)
    }
}
