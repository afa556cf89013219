//! Journal entries: balanced sets of postings.
//!
//! # Invariants
//! - A [`JournalEntry`] balances in every currency, has at least two postings, and has more than one currency only if
//!   each of them goes through the FX position (1300).
//! - A [`Posting`] has every dimension that its account requires, one of those it chooses between, and no other than the
//!   account takes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::account::{Account, Side};
use crate::currency::Currency;
use crate::dimension::{DimensionKey, Dimensions, MAX_VALUE_LENGTH};
use crate::money::{Amount, Minor, MoneyError};

/// A posting cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// The account requires a dimension that is not given.
    #[error("a posting to {account} needs the dimension {key}")]
    MissingDimension {
        /// The account.
        account: Account,
        /// What is missing.
        key: DimensionKey,
    },
    /// The account is about one of several things, and none of them is given.
    #[error("a posting to {account} needs one of the dimensions {}", keys.iter().map(|key| key.word()).collect::<Vec<_>>().join(", "))]
    MissingOneOf {
        /// The account.
        account: Account,
        /// What it chooses between.
        keys: &'static [DimensionKey],
    },
    /// The account does not take a dimension that is given, or not beside another that is given.
    #[error("a posting to {account} does not take the dimension {key}")]
    UnexpectedDimension {
        /// The account.
        account: Account,
        /// What is too much.
        key: DimensionKey,
    },
    /// A value is empty, too long, or has a character that keys of sub-ledgers do not have.
    #[error("the value of the dimension {key} cannot be a key")]
    BadValue {
        /// Whose value.
        key: DimensionKey,
    },
}

/// A journal entry cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Fewer than two postings.
    #[error("an entry has at least two postings")]
    TooFewPostings,
    /// Debits and credits of a currency differ.
    #[error("the entry does not balance in {currency}: debits less credits are {difference}")]
    Unbalanced {
        /// In which currency.
        currency: Currency,
        /// Debits less credits, minor units.
        difference: i128,
    },
    /// Two currencies meet outside the FX position.
    #[error("{currency} does not go through the FX position")]
    MixedCurrencies {
        /// A currency without a posting to 1300.
        currency: Currency,
    },
    /// A posting cannot be made.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// An amount cannot be carried.
    #[error(transparent)]
    Amount(#[from] MoneyError),
}

/// One line of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPosting", into = "RawPosting")]
pub struct Posting {
    side: Side,
    account: Account,
    amount: Amount,
    dimensions: Dimensions,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPosting {
    side: Side,
    account: Account,
    minor: Minor,
    currency: Currency,
    #[serde(default)]
    dims: Dimensions,
}

impl Posting {
    /// A line on `side` of `account`.
    ///
    /// # Errors
    /// [`PostingError`] when the dimensions are not those of the account.
    pub fn new(side: Side, account: Account, amount: Amount, dimensions: Dimensions) -> Result<Self, PostingError> {
        if let Some(key) = account.required_dimensions().iter().find(|key| dimensions.get(**key).is_none()) {
            return Err(PostingError::MissingDimension { account, key: *key });
        }
        let keys = account.one_of_dimensions();
        let mut chosen = keys.iter().filter(|key| dimensions.get(**key).is_some());
        if chosen.next().is_none() && !keys.is_empty() {
            return Err(PostingError::MissingOneOf { account, keys });
        }
        if let Some(key) = chosen.next() {
            return Err(PostingError::UnexpectedDimension { account, key: *key });
        }
        for (key, value) in dimensions.iter() {
            if !account.takes(key) {
                return Err(PostingError::UnexpectedDimension { account, key });
            }
            let bad = |c: char| c.is_control() || c == ';' || c == '=';
            if value.is_empty() || value.len() > MAX_VALUE_LENGTH || value.contains(bad) {
                return Err(PostingError::BadValue { key });
            }
        }
        Ok(Self { side, account, amount, dimensions })
    }

    /// Debit or credit.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// The account.
    pub const fn account(&self) -> Account {
        self.account
    }

    /// How much; positive.
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// What it is about.
    pub const fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// Minor units, debits positive and credits negative.
    pub fn signed(&self) -> i128 {
        let minor = i128::from(self.amount.minor().get());
        match self.side {
            Side::Debit => minor,
            Side::Credit => minor.saturating_neg(),
        }
    }
}

impl TryFrom<RawPosting> for Posting {
    type Error = EntryError;

    fn try_from(raw: RawPosting) -> Result<Self, Self::Error> {
        let amount = Amount::new(raw.minor, raw.currency)?;
        Ok(Self::new(raw.side, raw.account, amount, raw.dims)?)
    }
}

impl From<Posting> for RawPosting {
    fn from(posting: Posting) -> Self {
        Self {
            side: posting.side,
            account: posting.account,
            minor: posting.amount.minor(),
            currency: posting.amount.currency(),
            dims: posting.dimensions,
        }
    }
}

/// The version of the posting rules that write entries now.
pub const RULE_VERSION: u16 = 1;

/// A balanced set of postings for one business event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct JournalEntry {
    rule: Cow<'static, str>,
    rule_version: u16,
    value_date: NaiveDate,
    postings: Vec<Posting>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    rule: Cow<'static, str>,
    rule_version: u16,
    value_date: NaiveDate,
    lines: Vec<Posting>,
}

impl JournalEntry {
    /// The entry of these postings, made by the posting rule `rule`, with effect on `value_date`.
    ///
    /// # Errors
    /// [`EntryError`] when they do not make a balanced entry.
    pub fn new(
        rule: impl Into<Cow<'static, str>>,
        value_date: NaiveDate,
        postings: Vec<Posting>,
    ) -> Result<Self, EntryError> {
        Self::with_version(rule.into(), RULE_VERSION, value_date, postings)
    }

    fn with_version(
        rule: Cow<'static, str>,
        rule_version: u16,
        value_date: NaiveDate,
        postings: Vec<Posting>,
    ) -> Result<Self, EntryError> {
        if postings.len() < 2 {
            return Err(EntryError::TooFewPostings);
        }
        let mut sums: BTreeMap<Currency, (i128, bool)> = BTreeMap::new();
        for posting in &postings {
            let (sum, through_fx) = sums.entry(posting.amount.currency()).or_default();
            *sum = sum.saturating_add(posting.signed());
            *through_fx |= posting.account == Account::FxPosition;
        }
        let several = sums.len() > 1;
        for (currency, (difference, through_fx)) in sums {
            if difference != 0 {
                return Err(EntryError::Unbalanced { currency, difference });
            }
            if several && !through_fx {
                return Err(EntryError::MixedCurrencies { currency });
            }
        }
        Ok(Self { rule, rule_version, value_date, postings })
    }

    /// The posting rule that made it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The version of the rule.
    pub const fn rule_version(&self) -> u16 {
        self.rule_version
    }

    /// The day on which it counts.
    pub const fn value_date(&self) -> NaiveDate {
        self.value_date
    }

    /// Its lines, in the order in which an accountant writes them.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

impl TryFrom<RawEntry> for JournalEntry {
    type Error = EntryError;

    fn try_from(raw: RawEntry) -> Result<Self, Self::Error> {
        Self::with_version(raw.rule, raw.rule_version, raw.value_date, raw.lines)
    }
}

impl From<JournalEntry> for RawEntry {
    fn from(entry: JournalEntry) -> Self {
        Self { rule: entry.rule, rule_version: entry.rule_version, value_date: entry.value_date, lines: entry.postings }
    }
}

/// Writes an entry line by line, those of one currency after those of another ([`EntryBuilder::and`]). Lines of zero are
/// left out: nothing moves there.
#[derive(Debug)]
pub struct EntryBuilder {
    rule: &'static str,
    value_date: NaiveDate,
    currency: Currency,
    postings: Result<Vec<Posting>, EntryError>,
}

impl EntryBuilder {
    /// An entry without lines.
    pub fn new(rule: &'static str, value_date: NaiveDate, currency: Currency) -> Self {
        Self { rule, value_date, currency, postings: Ok(Vec::new()) }
    }

    /// Adds a debit.
    #[must_use]
    pub fn debit(self, account: Account, minor: Minor, dimensions: Dimensions) -> Self {
        self.line(Side::Debit, account, minor, dimensions)
    }

    /// Adds a credit.
    #[must_use]
    pub fn credit(self, account: Account, minor: Minor, dimensions: Dimensions) -> Self {
        self.line(Side::Credit, account, minor, dimensions)
    }

    fn line(mut self, side: Side, account: Account, minor: Minor, dimensions: Dimensions) -> Self {
        if minor.is_zero() {
            return self;
        }
        self.postings = self.postings.and_then(|mut postings| {
            let amount = Amount::new(minor, self.currency)?;
            postings.push(Posting::new(side, account, amount, dimensions)?);
            Ok(postings)
        });
        self
    }

    /// Adds the lines of `other`, which is about another currency: each of the two has to balance alone, through the FX
    /// position. Rule and date stay those of `self`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.postings = self.postings.and_then(|mut postings| {
            postings.extend(other.postings?);
            Ok(postings)
        });
        self
    }

    /// The entry.
    ///
    /// # Errors
    /// [`EntryError`]: the first line that could not be made, or what is wrong with the whole.
    pub fn build(self) -> Result<JournalEntry, EntryError> {
        JournalEntry::new(self.rule, self.value_date, self.postings?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial_balance::TrialBalance;
    use proptest::prelude::*;

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 12, 16).unwrap()
    }

    fn minor(value: i64) -> Minor {
        Minor::new(value).unwrap()
    }

    fn client(value: &str) -> Dimensions {
        Dimensions::new().with(DimensionKey::Client, value)
    }

    /// D-62: without fees a release has two lines, not lines of zero.
    #[test]
    fn a_line_of_zero_is_left_out() {
        let entry = EntryBuilder::new("example", date(), Currency::USD)
            .debit(Account::ClientWallet, minor(5), client("pty_1"))
            .debit(Account::RetainedEarnings, Minor::ZERO, Dimensions::new())
            .credit(Account::ClientWallet, minor(5), client("pty_2"))
            .build()
            .unwrap();
        assert_eq!(entry.postings().len(), 2);
        let nothing = EntryBuilder::new("example", date(), Currency::USD)
            .debit(Account::RetainedEarnings, Minor::ZERO, Dimensions::new())
            .credit(Account::BankOperating, Minor::ZERO, Dimensions::new())
            .build();
        assert_eq!(nothing, Err(EntryError::TooFewPostings));
    }

    #[test]
    fn the_first_line_that_cannot_be_made_is_the_answer() {
        let entry = EntryBuilder::new("example", date(), Currency::USD)
            .debit(Account::ClientWallet, minor(5), Dimensions::new())
            .credit(Account::PayeeAvailable, minor(4), Dimensions::new())
            .build();
        let missing = PostingError::MissingDimension { account: Account::ClientWallet, key: DimensionKey::Client };
        assert_eq!(entry, Err(EntryError::Posting(missing)));
    }

    /// R7: two halves are one entry only if each balances alone through the FX position.
    #[test]
    fn halves_in_two_currencies_are_one_entry() {
        let fx = || Dimensions::new().with(DimensionKey::CurrencyPair, "EUR-USD").with(DimensionKey::Funding, "fnd_1");
        let euros = |of| {
            EntryBuilder::new("example", date(), Currency::EUR).debit(Account::FxPosition, minor(of), fx()).credit(
                Account::ClientWallet,
                minor(9),
                client("pty_1"),
            )
        };
        let dollars = |account, dims| {
            EntryBuilder::new("other", date(), Currency::USD)
                .debit(Account::BankOperating, minor(10), Dimensions::new())
                .credit(account, minor(10), dims)
        };
        let entry = euros(9).and(dollars(Account::FxPosition, fx())).build().unwrap();
        assert_eq!((entry.rule(), entry.postings().len()), ("example", 4));
        let past = euros(9).and(dollars(Account::RetainedEarnings, Dimensions::new())).build();
        assert_eq!(past, Err(EntryError::MixedCurrencies { currency: Currency::USD }));
        let one_sided = euros(8).and(dollars(Account::FxPosition, fx())).build();
        assert_eq!(one_sided, Err(EntryError::Unbalanced { currency: Currency::EUR, difference: -1 }));
        let incomplete = euros(9).and(dollars(Account::FxPosition, Dimensions::new())).build();
        assert!(matches!(incomplete, Err(EntryError::Posting(PostingError::MissingDimension { .. }))));
    }

    /// The `journal` of B.18, letter by letter but for its spaces.
    #[test]
    fn json_is_that_of_the_specification() {
        let text = concat!(
            r#"{"rule":"release","rule_version":1,"value_date":"2026-12-16","lines":["#,
            r#"{"side":"D","account":"2100","minor":100000,"currency":"USD","dims":{"contract":"ctr_01","funding":"fnd_01","milestone":"mst_01"}},"#,
            r#"{"side":"D","account":"2300","minor":5000,"currency":"USD","dims":{"contract":"ctr_01","milestone":"mst_01"}},"#,
            r#"{"side":"C","account":"2200","minor":90000,"currency":"USD","dims":{"contract":"ctr_01","payee":"pty_payee"}},"#,
            r#"{"side":"C","account":"4100","minor":10000,"currency":"USD","dims":{"contract":"ctr_01","payee":"pty_payee"}},"#,
            r#"{"side":"C","account":"4110","minor":5000,"currency":"USD","dims":{"client":"pty_client","contract":"ctr_01"}}]}"#,
        );
        let entry: JournalEntry = serde_json::from_str(text).unwrap();
        assert_eq!((entry.rule(), entry.rule_version(), entry.value_date()), ("release", 1, date()));
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    }

    proptest! {
        /// I1, L1: whatever the lines, an entry exists exactly if its debits are its credits, and then the books balance.
        #[test]
        fn an_entry_is_balanced_or_does_not_exist(
            lines in proptest::collection::vec((any::<bool>(), 1_i64..=i64::MAX), 2..8),
            closed in any::<bool>(),
        ) {
            let post = |debit, value| {
                let side = if debit { Side::Debit } else { Side::Credit };
                let amount = Amount::new(minor(value), Currency::USD).unwrap();
                Posting::new(side, Account::BankOperating, amount, Dimensions::new()).unwrap()
            };
            let mut postings: Vec<_> = lines.into_iter().map(|(debit, value)| post(debit, value)).collect();
            if closed {
                let others: Vec<_> =
                    postings.iter().map(|one| post(one.side() == Side::Credit, one.amount().minor().get())).collect();
                postings.extend(others);
            }
            let difference: i128 = postings.iter().map(Posting::signed).sum();
            match JournalEntry::new("any", date(), postings) {
                Ok(entry) => {
                    prop_assert_eq!(difference, 0);
                    let mut books = TrialBalance::new();
                    books.add(&entry);
                    prop_assert!(books.is_balanced());
                }
                Err(error) => prop_assert_eq!(error, EntryError::Unbalanced { currency: Currency::USD, difference }),
            }
        }
    }
}
