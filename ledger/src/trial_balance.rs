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
        self.totals(account, currency).net()
    }

    /// Debits and credits of an account.
    pub fn totals(&self, account: Account, currency: Currency) -> Totals {
        self.totals.get(&(account, currency)).copied().unwrap_or_default()
    }

    /// Accounts by code, then currency, whose net is not zero.
    pub fn non_zero(&self) -> impl Iterator<Item = (Account, Currency, Totals)> {
        self.iter().filter(|(_, _, totals)| totals.net() != 0)
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

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::dimension::{DimensionKey, Dimensions};
    use crate::journal::EntryBuilder;
    use crate::money::Minor;

    fn topped_up(minor: i64, currency: Currency) -> JournalEntry {
        let psp = Dimensions::new().with(DimensionKey::Psp, "stripe").with(DimensionKey::PspAccount, "acct_platform");
        let date = NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        EntryBuilder::new("psp_topped_up", date, currency)
            .debit(Account::PspAvailable, Minor::new(minor).unwrap(), psp)
            .credit(Account::BankOperating, Minor::new(minor).unwrap(), Dimensions::new())
            .build()
            .unwrap()
    }

    #[test]
    fn accounts_are_summed_per_currency_in_the_order_of_their_codes() {
        let mut books = TrialBalance::new();
        for (minor, currency) in [(5, Currency::USD), (7, Currency::EUR), (6, Currency::USD)] {
            books.add(&topped_up(minor, currency));
        }
        assert_eq!(books.net(Account::PspAvailable, Currency::USD), 11);
        assert_eq!(books.net(Account::BankOperating, Currency::EUR), -7);
        assert_eq!(books.net(Account::EscrowHeld, Currency::USD), 0);
        assert_eq!(books.totals(Account::BankOperating, Currency::USD), Totals { debits: 0, credits: 11 });
        let order: Vec<_> = books.iter().map(|(account, currency, _)| (account.code(), currency.code())).collect();
        assert_eq!(order, [("1010", "EUR"), ("1010", "USD"), ("1120", "EUR"), ("1120", "USD")]);
        assert!(books.is_balanced());
    }

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let (mut one, mut other) = (TrialBalance::new(), TrialBalance::new());
        let entries = [topped_up(5, Currency::USD), topped_up(7, Currency::EUR)];
        for index in 0..entries.len() {
            one.add(&entries[index]);
            other.add(&entries[entries.len() - 1 - index]);
        }
        assert_eq!(one, other);
    }

    #[test]
    fn what_was_summed_wrongly_elsewhere_shows() {
        let mut books = TrialBalance::new();
        books.add(&topped_up(5, Currency::USD));
        books.set(Account::BankOperating, Currency::USD, Totals { debits: 1, credits: 5 });
        assert_eq!((books.difference(Currency::USD), books.difference(Currency::EUR)), (1, 0));
        assert!(!books.is_balanced());
    }

    #[test]
    fn what_came_and_went_is_not_shown() {
        let mut books = TrialBalance::new();
        books.add(&topped_up(5, Currency::USD));
        books.set(Account::BankOperating, Currency::USD, Totals { debits: 5, credits: 5 });
        assert_eq!(books.non_zero().map(|(account, ..)| account).collect::<Vec<_>>(), [Account::PspAvailable]);
        assert_eq!(books.iter().count(), 2);
    }
}
