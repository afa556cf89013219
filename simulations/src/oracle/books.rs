//! A little double-entry bookkeeping of the oracle's own: what the journal says, and beside it what the events say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Raw, amount_of, text_of};
use crate::failure::Violation;

/// Nets by account and currency, debits positive.
type Nets = BTreeMap<(String, String), i128>;

/// Two sets of balances.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// From the journal lines.
    booked: Nets,
    /// From the amounts of the events.
    expected: Nets,
    /// From the journal lines, by account, currency and one dimension with its value.
    parts: BTreeMap<(String, String, String, String), i128>,
}

impl Books {
    /// Takes in a journal entry. I1: it balances, and so does everything so far.
    pub(super) fn enter(&mut self, raw: &Raw, journal: &Value) -> Result<(), Violation> {
        let lines = journal.get("lines").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for line in &lines {
            let minor = amount_of(line, "minor");
            if minor <= 0 {
                return Err(raw.breaks("I1", "a line without an amount"));
            }
            let signed = match text_of(line, "side") {
                "D" => minor,
                "C" => -minor,
                other => return Err(raw.breaks("I1", &format!("a line on the side {other:?}"))),
            };
            let (account, currency) = (text_of(line, "account").to_owned(), text_of(line, "currency").to_owned());
            *sums.entry(currency.clone()).or_default() += signed;
            for (key, value) in line.get("dims").and_then(Value::as_object).into_iter().flatten() {
                let value = value.as_str().unwrap_or_default().to_owned();
                *self.parts.entry((account.clone(), currency.clone(), key.clone(), value)).or_default() += signed;
            }
            *self.booked.entry((account, currency)).or_default() += signed;
        }
        if lines.len() < 2 || sums.values().any(|sum| *sum != 0) {
            return Err(raw.breaks("I1", &format!("does not balance: {journal}")));
        }
        for currency in self.currencies() {
            let total: i128 = self.booked.iter().filter(|((_, of), _)| *of == currency).map(|(_, net)| net).sum();
            if total != 0 {
                return Err(raw.breaks("I1", &format!("all accounts in {currency} sum to {total}")));
            }
        }
        Ok(())
    }

    /// An event says that this account changes so, debits positive.
    pub(super) fn expect(&mut self, account: &str, currency: &str, change: i128) {
        *self.expected.entry((account.to_owned(), currency.to_owned())).or_default() += change;
    }

    /// The journal says what the events say.
    pub(super) fn agree_with_events(&self, position: u64) -> Result<(), Violation> {
        let accounts: BTreeSet<_> = self.booked.keys().chain(self.expected.keys()).collect();
        for key in accounts {
            let (booked, expected) = (self.booked.get(key).unwrap_or(&0), self.expected.get(key).unwrap_or(&0));
            if booked != expected {
                let (account, currency) = key;
                let found = format!(
                    "at position {position} account {account} has {booked} {currency} in the journal, \
                                     and {expected} by the events"
                );
                return Err(Violation::new("I1", found));
            }
        }
        Ok(())
    }

    /// Debits less credits of an account.
    pub(super) fn net(&self, account: &str, currency: &str) -> i128 {
        self.booked.get(&(account.to_owned(), currency.to_owned())).copied().unwrap_or(0)
    }

    /// Debits less credits of the part of an account with this dimension.
    pub(super) fn of(&self, account: &str, currency: &str, key: &str, value: &str) -> i128 {
        let part = (account.to_owned(), currency.to_owned(), key.to_owned(), value.to_owned());
        self.parts.get(&part).copied().unwrap_or(0)
    }

    /// Every currency that was booked in.
    pub(super) fn currencies(&self) -> BTreeSet<String> {
        self.booked.keys().map(|(_, currency)| currency.clone()).collect()
    }
}
