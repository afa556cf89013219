//! Dimensions: what a posting is about beside its account, such as contract and milestone. They make the sub-ledgers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! dimension_keys {
    ($($variant:ident = $word:literal: $doc:literal,)*) => {
        /// What a dimension says. A closed list: a new one is a change of the books.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DimensionKey {
            $(#[doc = $doc] $variant,)*
        }

        impl DimensionKey {
            /// Every key, by its word.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

dimension_keys! {
    BankAccount = "bank_account": "An account of ours at a bank.",
    Booking = "booking": "A booking.",
    Break = "break": "A difference to be explained.",
    Cause = "cause": "What a debt arose from.",
    Chargeback = "chargeback": "A chargeback.",
    Client = "client": "The party that pays.",
    Contract = "contract": "A contract.",
    Currency = "currency": "A currency.",
    CurrencyPair = "currency_pair": "Two currencies linked by a position.",
    Dispute = "dispute": "A dispute.",
    Funding = "funding": "A payment into escrow; for held money, the lot.",
    HoldReason = "hold_reason": "Why earnings are held.",
    Jurisdiction = "jurisdiction": "Where a tax is due.",
    Milestone = "milestone": "A milestone.",
    Party = "party": "A party in any role.",
    Payee = "payee": "The party that is paid.",
    Payout = "payout": "A payout.",
    Psp = "psp": "A payment provider.",
    PspAccount = "psp_account": "An account at a payment provider.",
    Refund = "refund": "A refund.",
    TaxRate = "tax_rate": "The rate of a tax.",
}

impl fmt::Display for DimensionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Longest value: ids have 30 characters, providers' ids somewhat more.
pub(crate) const MAX_VALUE_LENGTH: usize = 96;

/// The dimensions of one posting, in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dimensions(BTreeMap<DimensionKey, String>);

impl Dimensions {
    /// None.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// These, and `key` with this value. Whether the account takes it is judged by the posting.
    #[must_use]
    pub fn with(mut self, key: DimensionKey, value: impl fmt::Display) -> Self {
        self.0.insert(key, value.to_string());
        self
    }

    /// The value of a key.
    pub fn get(&self, key: DimensionKey) -> Option<&str> {
        self.0.get(&key).map(String::as_str)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (DimensionKey, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

/// The key of the sub-ledger account: `contract=ctr_…;milestone=mst_…`. Values have neither `;` nor `=`.
impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            write!(f, "{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_word_in_json_too() {
        assert!(DimensionKey::ALL.is_sorted_by(|a, b| a.word() < b.word() && a < b));
        for key in DimensionKey::ALL {
            assert_eq!(serde_json::to_value(key).unwrap(), key.word());
        }
    }

    #[test]
    fn a_sub_ledger_has_one_key_however_it_was_written() {
        let dims = Dimensions::new().with(DimensionKey::Payout, "po_y").with(DimensionKey::Payee, "pty_x");
        assert_eq!(dims.to_string(), "payee=pty_x;payout=po_y");
        assert_eq!(Dimensions::new().to_string(), "");
        let read: Dimensions = serde_json::from_str(r#"{"payout":"po_y","payee":"pty_x"}"#).unwrap();
        assert_eq!(read, dims);
        assert!(serde_json::from_str::<Dimensions>(r#"{"colour":"red"}"#).is_err());
    }
}
