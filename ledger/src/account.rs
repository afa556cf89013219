//! The chart of accounts (`journals.md` B.9): one variant, one account, in each currency.
//!
//! # Invariants
//! - The list is closed. A posting to an account names every dimension that the account requires, exactly one of those
//!   it chooses between, and none that it does not take.
//!
//! # Where this goes beside the table of B.9
//! - 1010 may leave out the bank account: an operator with one has no name for it (J80, J81).
//! - 1300 is about a funding or a payout (J74), 2110 about a dispute or a chargeback (J50), 2260 about a client or a payee
//!   (J46), 5210 about a payee or a client.
//! - 2300 may leave out the milestone: the fee of money on no milestone yet (J07).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dimension::DimensionKey;

/// Debit or credit: the direction of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Increases assets and expenses.
    #[serde(rename = "D")]
    Debit,
    /// Increases liabilities, equity and revenue.
    #[serde(rename = "C")]
    Credit,
}

/// Which part of the balance sheet or of the income statement an account is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// What is ours or in our hands.
    Asset,
    /// What we owe.
    Liability,
    /// What is left for the owners.
    Equity,
    /// What was earned.
    Revenue,
    /// What was used up.
    Expense,
}

impl AccountKind {
    /// The side that increases it.
    pub const fn normal_side(self) -> Side {
        match self {
            Self::Asset | Self::Expense => Side::Debit,
            Self::Liability | Self::Equity | Self::Revenue => Side::Credit,
        }
    }
}

/// What a balance may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Floor {
    /// Never on the wrong side of zero, for no combination of dimensions.
    NonNegative,
    /// Below zero only because the provider says so; finance is told.
    AlertBelowZero,
    /// Anything.
    None,
}

macro_rules! chart {
    ($($variant:ident = $number:literal, $code:literal, $name:literal, $kind:ident, $required:expr, $one_of:expr, $optional:expr, $floor:ident;)*) => {
        /// An account of the chart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Account {
            $(#[doc = concat!($code, " ", $name, ".")] #[serde(rename = $code)] $variant,)*
        }

        impl Account {
            /// Every account, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its code as a number.
            pub const fn number(self) -> i16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Its code, four digits.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its part of the books.
            pub const fn kind(self) -> AccountKind {
                match self { $(Self::$variant => AccountKind::$kind,)* }
            }

            /// The dimensions that every posting to it has.
            pub const fn required_dimensions(self) -> &'static [DimensionKey] {
                use DimensionKey as K;
                match self { $(Self::$variant => { const KEYS: &[K] = $required; KEYS })* }
            }

            /// Exactly one of these is in every posting to it; no choice where there are none.
            pub const fn one_of_dimensions(self) -> &'static [DimensionKey] {
                use DimensionKey as K;
                match self { $(Self::$variant => { const KEYS: &[K] = $one_of; KEYS })* }
            }

            /// The dimensions that a posting to it may have beside those.
            pub const fn optional_dimensions(self) -> &'static [DimensionKey] {
                use DimensionKey as K;
                match self { $(Self::$variant => { const KEYS: &[K] = $optional; KEYS })* }
            }

            /// What its balances may not do.
            pub const fn floor(self) -> Floor {
                match self { $(Self::$variant => Floor::$floor,)* }
            }
        }
    };
}

// Variant, number, code, name, kind; dimensions required, to choose one from, optional; floor.
chart! {
    BankClientMoney = 1000, "1000", "Bank, client money (safeguarded)", Asset, &[K::BankAccount], &[], &[], NonNegative;
    BankOperating = 1010, "1010", "Bank, operating", Asset, &[], &[], &[K::BankAccount], None;
    PspPending = 1110, "1110", "PSP balance, pending", Asset, &[K::Psp, K::PspAccount], &[], &[], AlertBelowZero;
    PspAvailable = 1120, "1120", "PSP balance, available", Asset, &[K::Psp, K::PspAccount], &[], &[], AlertBelowZero;
    FundsAtConnectedAccount = 1130, "1130", "Funds at connected account (custodial)", Asset, &[K::Payee, K::PspAccount], &[], &[], AlertBelowZero;
    PspReserve = 1140, "1140", "PSP reserve withheld", Asset, &[K::Psp], &[], &[], NonNegative;
    ChargebacksUnderContest = 1200, "1200", "Chargebacks under contest", Asset, &[K::Chargeback, K::Funding], &[], &[], NonNegative;
    ReceivableFromPayee = 1210, "1210", "Receivable from payee (debt)", Asset, &[K::Payee, K::Cause], &[], &[], NonNegative;
    ReceivableFromClient = 1220, "1220", "Receivable from client", Asset, &[K::Client, K::Cause], &[], &[], NonNegative;
    FxPosition = 1300, "1300", "FX position", Asset, &[K::CurrencyPair], &[K::Funding, K::Payout, K::Refund], &[], None;
    SuspenseDebits = 1900, "1900", "Suspense, unmatched PSP debits", Asset, &[K::Break], &[], &[], None;
    EscrowHeld = 2100, "2100", "Escrow held", Liability, &[K::Contract, K::Milestone, K::Funding], &[], &[], NonNegative;
    EscrowUnallocated = 2105, "2105", "Escrow unallocated on contract", Liability, &[K::Contract], &[], &[], NonNegative;
    EscrowDisputed = 2110, "2110", "Escrow under dispute or chargeback hold", Liability, &[K::Contract, K::Milestone], &[K::Dispute, K::Chargeback], &[], NonNegative;
    ClientWallet = 2120, "2120", "Client wallet (credit balance)", Liability, &[K::Client], &[], &[], NonNegative;
    PayeePending = 2200, "2200", "Payee payable, pending clearance", Liability, &[K::Payee, K::Contract], &[], &[], NonNegative;
    PayeeAvailable = 2210, "2210", "Payee payable, available", Liability, &[K::Payee], &[], &[], NonNegative;
    PayeeHeld = 2220, "2220", "Payee payable, held", Liability, &[K::Payee, K::HoldReason], &[], &[], NonNegative;
    PayoutsInTransit = 2250, "2250", "Payouts in transit", Liability, &[K::Payee, K::Payout], &[], &[], NonNegative;
    RefundsInTransit = 2260, "2260", "Refunds in transit", Liability, &[K::Refund], &[K::Client, K::Payee], &[], NonNegative;
    DeferredClientFee = 2300, "2300", "Deferred client marketplace fee", Liability, &[K::Contract], &[], &[K::Milestone], NonNegative;
    DeferredClientFeeTax = 2305, "2305", "Deferred tax on client fee", Liability, &[K::Contract, K::Jurisdiction], &[], &[K::TaxRate], NonNegative;
    DeferredInitiationFee = 2310, "2310", "Deferred contract-initiation fee", Liability, &[K::Contract], &[], &[], NonNegative;
    ArbitrationFeesHeld = 2320, "2320", "Arbitration fees held", Liability, &[K::Dispute, K::Party], &[], &[], NonNegative;
    OutputTax = 2400, "2400", "Output VAT / sales tax payable", Liability, &[K::Jurisdiction, K::TaxRate], &[], &[], None;
    WithholdingTax = 2410, "2410", "Withholding tax payable", Liability, &[K::Jurisdiction], &[], &[], NonNegative;
    UnclaimedFunds = 2500, "2500", "Unclaimed funds", Liability, &[K::Party], &[], &[], NonNegative;
    SuspenseReceipts = 2900, "2900", "Suspense, unallocated receipts", Liability, &[K::Break], &[], &[], None;
    RetainedEarnings = 3000, "3000", "Retained earnings", Equity, &[], &[], &[], None;
    PayeeServiceFees = 4100, "4100", "Payee service fees", Revenue, &[K::Contract, K::Payee], &[], &[], None;
    ClientMarketplaceFees = 4110, "4110", "Client marketplace fees", Revenue, &[K::Contract, K::Client], &[], &[], None;
    InitiationFees = 4120, "4120", "Contract-initiation fees", Revenue, &[K::Contract], &[], &[], None;
    CancellationFees = 4130, "4130", "Cancellation and no-show fees, platform share", Revenue, &[K::Booking], &[], &[], None;
    WithdrawalFees = 4140, "4140", "Withdrawal fees", Revenue, &[K::Payee], &[], &[], None;
    ArbitrationFees = 4150, "4150", "Arbitration fees", Revenue, &[K::Dispute], &[], &[], None;
    PremiumFeatures = 4160, "4160", "Premium features", Revenue, &[K::Party], &[], &[], None;
    FxGain = 4200, "4200", "Realised FX gain", Revenue, &[K::Currency], &[], &[], None;
    PspProcessingFees = 5100, "5100", "PSP processing fees", Expense, &[K::Psp], &[], &[], None;
    PspPayoutFees = 5110, "5110", "PSP payout and transfer fees", Expense, &[K::Psp], &[], &[], None;
    PspDisputeFees = 5120, "5120", "PSP dispute fees", Expense, &[K::Psp, K::Chargeback], &[], &[], None;
    ChargebackLosses = 5200, "5200", "Chargeback losses", Expense, &[K::Chargeback], &[], &[], None;
    WriteOffs = 5210, "5210", "Write-offs (bad debt)", Expense, &[], &[K::Payee, K::Client], &[K::Cause], None;
    Goodwill = 5220, "5220", "Goodwill and refunds borne by the platform", Expense, &[K::Contract], &[], &[], None;
    FxLoss = 5300, "5300", "Realised FX loss", Expense, &[K::Currency], &[], &[], None;
    RoundingDifferences = 5400, "5400", "Rounding differences", Expense, &[K::Currency], &[], &[], None;
}

impl Account {
    /// The account with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|account| account.code() == code)
    }

    /// The account with this number.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|account| account.number() == number)
    }

    /// The side that increases it.
    pub const fn normal_side(self) -> Side {
        self.kind().normal_side()
    }

    /// Whether postings to it have this dimension.
    pub fn takes(self, key: DimensionKey) -> bool {
        let keys = [self.required_dimensions(), self.one_of_dimensions(), self.optional_dimensions()];
        keys.iter().any(|keys| keys.contains(&key))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_that_of_the_specification() {
        let vectors: serde_json::Value = serde_json::from_str(include_str!("../tests/data/journals.json")).unwrap();
        let wanted: Vec<_> = vectors["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let word = |field: &str| row[field].as_str().unwrap().to_owned();
                (word("code"), word("name"), word("kind"), word("floor"))
            })
            .collect();
        let ours: Vec<_> = Account::ALL
            .iter()
            .map(|account| {
                let floor = match account.floor() {
                    Floor::NonNegative => ">=0",
                    Floor::AlertBelowZero => "alert<0",
                    Floor::None => "-",
                };
                let kind = serde_json::to_value(account.kind()).unwrap().as_str().unwrap().to_owned();
                (account.code().to_owned(), account.name().to_owned(), kind, floor.to_owned())
            })
            .collect();
        assert_eq!(ours.len(), wanted.len());
        for (ours, mut wanted) in ours.into_iter().zip(wanted) {
            if wanted.3 == "any" {
                wanted.3 = "-".to_owned();
            }
            assert_eq!(ours, wanted);
        }
    }

    /// Every dimension that the table names is taken, and demanded unless the header of this file says why not.
    #[test]
    fn dimensions_are_those_of_the_specification() {
        let vectors: serde_json::Value = serde_json::from_str(include_str!("../tests/data/journals.json")).unwrap();
        for (row, account) in vectors["accounts"].as_array().unwrap().iter().zip(Account::ALL) {
            let words: Vec<_> =
                row["dims"].as_str().unwrap().split([',']).flat_map(|part| part.split(" or ")).collect();
            for word in words.into_iter().map(str::trim).filter(|word| !word.is_empty()) {
                let word = match word {
                    "currency pair" => "currency_pair",
                    "funding lot" => "funding",
                    "hold reason" => "hold_reason",
                    "rate" => "tax_rate",
                    word => word,
                };
                let key: DimensionKey = serde_json::from_value(word.into()).unwrap();
                assert!(account.takes(key), "{account} takes {key}");
                let demanded =
                    account.required_dimensions().contains(&key) || account.one_of_dimensions().contains(&key);
                let excepted = matches!(
                    (account, key),
                    (Account::BankOperating, DimensionKey::BankAccount)
                        | (Account::DeferredClientFee, DimensionKey::Milestone)
                );
                assert!(demanded != excepted, "{account} demands {key}");
            }
        }
    }

    #[test]
    fn a_choice_has_two_and_no_dimension_is_named_twice() {
        for account in Account::ALL {
            assert_ne!(account.one_of_dimensions().len(), 1, "{account}");
            let all =
                [account.required_dimensions(), account.one_of_dimensions(), account.optional_dimensions()].concat();
            let different: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(different.len(), all.len(), "{account}");
        }
    }

    #[test]
    fn an_account_is_its_code_in_json() {
        assert_eq!(serde_json::to_string(&Account::EscrowHeld).unwrap(), "\"2100\"");
        assert_eq!(serde_json::from_str::<Account>("\"2100\"").unwrap(), Account::EscrowHeld);
        assert!(serde_json::from_str::<Account>("2100").is_err());
        assert!(serde_json::from_str::<Account>("\"2101\"").is_err());
    }

    #[test]
    fn codes_are_ordered_and_found() {
        assert!(Account::ALL.is_sorted_by_key(|account| account.number()));
        for account in Account::ALL {
            assert_eq!(Account::from_code(account.code()), Some(*account));
            assert_eq!(Account::from_number(account.number()), Some(*account));
        }
        assert_eq!(Account::from_code("9999"), None);
    }
}
