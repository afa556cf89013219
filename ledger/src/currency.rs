//! Currencies of ISO 4217, with what a payment provider can charge and pay out.
//!
//! # Invariants
//! - A [`Currency`] that exists is in the table, so it has an exponent.
//!
//! - What crosses the border to the provider keeps its value: [`Currency::psp_units`] refuses what it cannot say exactly.
//!
//! The table is `data/currency.toml`, compared with the rows below by a test, so that nothing is parsed at run time.
//! Exponents: ISO 4217 list one as published on 2026-01-01, without funds, metals, units of account and indexed units,
//! which nobody pays with. Units and quanta at Stripe: <https://docs.stripe.com/currencies>, section "Special cases".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::{Minor, MoneyError};

/// A currency; the index of its row in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(u8);

/// One row of the table.
struct Row {
    code: &'static str,
    /// Digits after the decimal point in the books.
    exponent: u8,
    /// Units of the provider for this many minor units of ours.
    psp_units: i64,
    /// Minor units of ours for that many units of the provider.
    minor_units: i64,
    /// A charge has to be a multiple of this many minor units.
    charge_quantum: i64,
    /// A payout has to be a multiple of this many minor units.
    payout_quantum: i64,
}

/// A row whose amounts the provider counts as we do.
const fn row(code: &'static str, exponent: u8, charge_quantum: i64, payout_quantum: i64) -> Row {
    Row { code, exponent, psp_units: 1, minor_units: 1, charge_quantum, payout_quantum }
}

const fn two(code: &'static str) -> Row {
    row(code, 2, 1, 1)
}

const fn zero(code: &'static str) -> Row {
    row(code, 0, 1, 1)
}

/// Without decimals in ISO 4217, with two at Stripe, which kept them for its older clients.
const fn zero_as_hundredths(code: &'static str) -> Row {
    Row { psp_units: 100, ..zero(code) }
}

/// Card networks have two decimals, so the last of three has to be 0.
const fn three(code: &'static str) -> Row {
    row(code, 3, 10, 10)
}

/// Sorted by code, so that the order of currencies is the order of their codes.
const TABLE: &[Row] = &[
    two("AED"),
    two("AFN"),
    two("ALL"),
    two("AMD"),
    two("AOA"),
    two("ARS"),
    two("AUD"),
    two("AWG"),
    two("AZN"),
    two("BAM"),
    two("BBD"),
    two("BDT"),
    three("BHD"),
    zero("BIF"),
    two("BMD"),
    two("BND"),
    two("BOB"),
    two("BRL"),
    two("BSD"),
    two("BTN"),
    two("BWP"),
    two("BYN"),
    two("BZD"),
    two("CAD"),
    two("CDF"),
    two("CHF"),
    zero("CLP"),
    two("CNY"),
    two("COP"),
    two("CRC"),
    two("CUP"),
    two("CVE"),
    two("CZK"),
    zero("DJF"),
    two("DKK"),
    two("DOP"),
    two("DZD"),
    two("EGP"),
    two("ERN"),
    two("ETB"),
    two("EUR"),
    two("FJD"),
    two("FKP"),
    two("GBP"),
    two("GEL"),
    two("GHS"),
    two("GIP"),
    two("GMD"),
    zero("GNF"),
    two("GTQ"),
    two("GYD"),
    two("HKD"),
    two("HNL"),
    two("HTG"),
    row("HUF", 2, 1, 100),
    two("IDR"),
    two("ILS"),
    two("INR"),
    three("IQD"),
    two("IRR"),
    zero_as_hundredths("ISK"),
    two("JMD"),
    three("JOD"),
    zero("JPY"),
    two("KES"),
    two("KGS"),
    two("KHR"),
    zero("KMF"),
    two("KPW"),
    zero("KRW"),
    three("KWD"),
    two("KYD"),
    two("KZT"),
    two("LAK"),
    two("LBP"),
    two("LKR"),
    two("LRD"),
    two("LSL"),
    three("LYD"),
    two("MAD"),
    two("MDL"),
    // Two digits in ISO 4217, though an ariary has five iraimbilanja; Stripe takes whole ariary.
    Row { minor_units: 100, ..row("MGA", 2, 100, 100) },
    two("MKD"),
    two("MMK"),
    two("MNT"),
    two("MOP"),
    two("MRU"),
    two("MUR"),
    two("MVR"),
    two("MWK"),
    two("MXN"),
    two("MYR"),
    two("MZN"),
    two("NAD"),
    two("NGN"),
    two("NIO"),
    two("NOK"),
    two("NPR"),
    two("NZD"),
    three("OMR"),
    two("PAB"),
    two("PEN"),
    two("PGK"),
    two("PHP"),
    two("PKR"),
    two("PLN"),
    zero("PYG"),
    two("QAR"),
    two("RON"),
    two("RSD"),
    two("RUB"),
    zero("RWF"),
    two("SAR"),
    two("SBD"),
    two("SCR"),
    two("SDG"),
    two("SEK"),
    two("SGD"),
    two("SHP"),
    two("SLE"),
    two("SOS"),
    two("SRD"),
    two("SSP"),
    two("STN"),
    two("SVC"),
    two("SYP"),
    two("SZL"),
    two("THB"),
    two("TJS"),
    two("TMT"),
    three("TND"),
    two("TOP"),
    two("TRY"),
    two("TTD"),
    row("TWD", 2, 1, 100),
    two("TZS"),
    two("UAH"),
    zero_as_hundredths("UGX"),
    two("USD"),
    two("UYU"),
    two("UZS"),
    two("VED"),
    two("VES"),
    zero("VND"),
    zero("VUV"),
    two("WST"),
    zero("XAF"),
    two("XCD"),
    two("XCG"),
    zero("XOF"),
    zero("XPF"),
    two("YER"),
    two("ZAR"),
    two("ZMW"),
    two("ZWG"),
];

/// The text is not a currency of the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Not three capital letters, or not the code of a currency in use.
    #[error("not a currency code of ISO 4217: {0:?}")]
    Unknown(String),
}

const fn index_of(code: &str) -> Currency {
    let wanted = code.as_bytes();
    let mut index: u8 = 0;
    while (index as usize) < TABLE.len() {
        let known = TABLE[index as usize].code.as_bytes();
        if known[0] == wanted[0] && known[1] == wanted[1] && known[2] == wanted[2] {
            return Currency(index);
        }
        // The table has fewer than 255 rows, checked by a test.
        index = index.saturating_add(1);
    }
    // Evaluated for the constants below only, at compile time.
    panic!("no such currency")
}

impl Currency {
    /// United States dollar.
    pub const USD: Self = index_of("USD");
    /// Euro.
    pub const EUR: Self = index_of("EUR");
    /// Pound sterling.
    pub const GBP: Self = index_of("GBP");
    /// Yen, without minor units.
    pub const JPY: Self = index_of("JPY");
    /// Kuwaiti dinar, with three decimals.
    pub const KWD: Self = index_of("KWD");
    /// Icelandic króna.
    pub const ISK: Self = index_of("ISK");
    /// Hungarian forint.
    pub const HUF: Self = index_of("HUF");
    /// Malagasy ariary.
    pub const MGA: Self = index_of("MGA");

    fn row(self) -> &'static Row {
        &TABLE[usize::from(self.0)]
    }

    /// Every currency, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self).take(TABLE.len())
    }

    /// Three capital letters.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// Digits after the decimal point in the books.
    pub fn exponent(self) -> u32 {
        u32::from(self.row().exponent)
    }

    /// Digits after the decimal point in the amounts of the provider's API.
    pub fn psp_exponent(self) -> u32 {
        let row = self.row();
        // The factors are powers of ten, by the table.
        let digits = self.exponent().saturating_add(row.psp_units.ilog10());
        digits.saturating_sub(row.minor_units.ilog10())
    }

    /// A charge has to be a multiple of this many minor units.
    pub fn charge_quantum(self) -> i64 {
        self.row().charge_quantum
    }

    /// A payout has to be a multiple of this many minor units.
    pub fn payout_quantum(self) -> i64 {
        self.row().payout_quantum
    }

    /// The least chargeable amount that is not less than `amount`.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when there is none.
    pub fn round_up_to_charge(self, amount: Minor) -> Result<Minor, MoneyError> {
        let quantum = self.charge_quantum();
        match amount.get().checked_rem(quantum) {
            None | Some(0) => Ok(amount),
            Some(rest) => amount.checked_add(Minor::new(quantum.saturating_sub(rest))?),
        }
    }

    /// The largest amount that can be paid out and is not more than `amount`.
    pub fn round_down_to_payout(self, amount: Minor) -> Minor {
        let rest = amount.get().checked_rem(self.payout_quantum()).unwrap_or(0);
        amount.saturating_sub(Minor::new(rest).unwrap_or_default())
    }

    /// What to charge for `amount`, and how much of that is surplus (for the client's wallet, J92): rounded up.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when nothing that large can be charged.
    pub fn charge_and_surplus(self, amount: Minor) -> Result<(Minor, Minor), MoneyError> {
        let charge = self.round_up_to_charge(amount)?;
        Ok((charge, charge.checked_sub(amount)?))
    }

    /// What of `amount` can be refunded to a charge, and the residue (for the client's wallet): rounded down to what can
    /// be charged.
    pub fn refund_and_residue(self, amount: Minor) -> (Minor, Minor) {
        let rest = amount.get().checked_rem(self.charge_quantum()).unwrap_or(0);
        let residue = Minor::new(rest).unwrap_or_default();
        (amount.saturating_sub(residue), residue)
    }

    /// What of `amount` can be paid out, and the residue that stays payable: rounded down.
    pub fn payout_and_residue(self, amount: Minor) -> (Minor, Minor) {
        let payout = self.round_down_to_payout(amount);
        (payout, amount.saturating_sub(payout))
    }

    /// `amount` in the units that the provider's API counts in.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when it does not fit; [`MoneyError::NotWhole`] when it is no whole number of the
    /// provider's units, such as a fraction of an ariary.
    pub fn psp_units(self, amount: Minor) -> Result<i64, MoneyError> {
        let row = self.row();
        // Only where the provider takes whole units is there something to divide by, hence no decimals in the error.
        convert(amount.get(), row.psp_units, row.minor_units, 0)
    }

    /// The amount that the provider's API calls `units`.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when it is negative; [`MoneyError::NotWhole`] when it is no whole number of minor units.
    pub fn from_psp_units(self, units: i64) -> Result<Minor, MoneyError> {
        let row = self.row();
        convert(units, row.minor_units, row.psp_units, self.exponent()).and_then(Minor::new)
    }
}

/// `count * multiply / divide`, exactly or not at all; `exponent` is what the result is counted in, for the error.
fn convert(count: i64, multiply: i64, divide: i64, exponent: u32) -> Result<i64, MoneyError> {
    if count.checked_rem(divide) != Some(0) {
        return Err(MoneyError::NotWhole { exponent });
    }
    count.checked_div(divide).and_then(|count| count.checked_mul(multiply)).ok_or(MoneyError::OutOfRange)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || CurrencyError::Unknown(text.chars().take(8).collect());
        let index = TABLE.binary_search_by(|row| row.code.cmp(text)).map_err(|_| unknown())?;
        u8::try_from(index).map(Self).map_err(|_| unknown())
    }
}

impl TryFrom<&str> for Currency {
    type Error = CurrencyError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_fits_its_index() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        assert!(TABLE.len() < usize::from(u8::MAX));
        assert!(size_of::<Currency>() <= 4);
        assert!(Currency::all().all(|currency| currency.code().parse() == Ok(currency)));
    }

    /// Each row as `data/currency.toml` writes it.
    #[test]
    fn the_table_is_the_data_file() {
        let mut text = String::new();
        for Row { code, exponent, psp_units, minor_units, charge_quantum, payout_quantum } in TABLE {
            let stripe = format!(
                "units = {psp_units}, per_minor = {minor_units}, charge_quantum = {charge_quantum}, payout_quantum = {payout_quantum}"
            );
            writeln!(text, "{code} = {{ exponent = {exponent}, stripe = {{ {stripe} }} }}").unwrap();
        }
        let (_, rows) = include_str!("../data/currency.toml").split_once("[currencies]\n").unwrap();
        assert_eq!(rows, text);
    }

    #[test]
    fn currencies_that_are_gone_are_gone_and_new_ones_are_there() {
        for gone in ["ANG", "BGN", "HRK", "SLL", "ZWL"] {
            assert!(gone.parse::<Currency>().is_err(), "{gone}");
        }
        for new in ["XCG", "ZWG", "SLE", "VED"] {
            assert!(new.parse::<Currency>().is_ok(), "{new}");
        }
    }

    #[test]
    fn special_cases_are_those_of_the_specification() {
        let of = |code: &str| code.parse::<Currency>().unwrap();
        for code in ["JPY", "KRW", "VND", "CLP", "XAF", "XOF", "XPF", "BIF", "DJF", "GNF", "KMF", "PYG", "RWF", "VUV"] {
            assert_eq!((of(code).exponent(), of(code).psp_units(Minor::new(7).unwrap())), (0, Ok(7)), "{code}");
        }
        for code in ["KWD", "BHD", "JOD", "OMR", "TND"] {
            assert_eq!((of(code).exponent(), of(code).charge_quantum(), of(code).payout_quantum()), (3, 10, 10));
        }
        for code in ["ISK", "UGX"] {
            assert_eq!((of(code).exponent(), of(code).psp_units(Minor::new(5000).unwrap())), (0, Ok(500_000)));
            assert_eq!(of(code).from_psp_units(500_000), Ok(Minor::new(5000).unwrap()));
            assert_eq!(of(code).from_psp_units(50), Err(MoneyError::NotWhole { exponent: 0 }));
        }
        for code in ["HUF", "TWD"] {
            assert_eq!((of(code).exponent(), of(code).charge_quantum(), of(code).payout_quantum()), (2, 1, 100));
        }
        assert_eq!((Currency::MGA.charge_quantum(), Currency::MGA.payout_quantum()), (100, 100));
    }

    /// An ariary is an ariary at the provider: 5,000.00 are 5,000 units, not 500,000.
    #[test]
    fn an_amount_keeps_its_value_at_the_provider() {
        let minor = |value| Minor::new(value).unwrap();
        assert_eq!(Currency::MGA.psp_units(minor(500_000)), Ok(5000));
        assert_eq!(Currency::MGA.from_psp_units(5000), Ok(minor(500_000)));
        assert_eq!(Currency::MGA.psp_units(minor(500_020)), Err(MoneyError::NotWhole { exponent: 0 }));
        // D-53, D-55 and D-57.
        assert_eq!(Currency::JPY.psp_units(minor(10_500)), Ok(10_500));
        assert_eq!(Currency::KWD.psp_units(minor(10_630)), Ok(10_630));
        assert_eq!(Currency::ISK.psp_units(minor(5000)), Ok(500_000));
        assert_eq!(Currency::ISK.psp_units(minor(i64::MAX)), Err(MoneyError::OutOfRange));
        assert_eq!(Currency::MGA.from_psp_units(i64::MAX), Err(MoneyError::OutOfRange));
        assert_eq!(Currency::USD.from_psp_units(-1), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn what_goes_to_the_provider_comes_back_the_same() {
        for currency in Currency::all() {
            for value in [0, 1, 7, 100, 12_345, 999_999_999_999_999] {
                let chargeable = currency.round_up_to_charge(Minor::new(value).unwrap()).unwrap();
                let units = currency.psp_units(chargeable).unwrap();
                assert_eq!(currency.from_psp_units(units), Ok(chargeable), "{currency} {value}");
            }
        }
    }

    #[test]
    fn charges_round_up_and_payouts_round_down() {
        let minor = |value| Minor::new(value).unwrap();
        assert_eq!(Currency::KWD.round_up_to_charge(minor(10_629)), Ok(minor(10_630)));
        assert_eq!(Currency::KWD.round_up_to_charge(minor(10_630)), Ok(minor(10_630)));
        assert_eq!(Currency::HUF.round_down_to_payout(minor(12_345)), minor(12_300));
    }

    /// B.1.2: what is rounded is kept: the surplus by the client, the residue by the payee.
    #[test]
    fn nothing_is_lost_by_rounding_to_what_the_provider_takes() {
        let minor = |value| Minor::new(value).unwrap();
        assert_eq!(Currency::KWD.charge_and_surplus(minor(10_629)), Ok((minor(10_630), minor(1))));
        assert_eq!(Currency::HUF.payout_and_residue(minor(12_345)), (minor(12_300), minor(45)));
        assert_eq!(Currency::USD.payout_and_residue(minor(12_345)), (minor(12_345), Minor::ZERO));
        assert_eq!(Currency::KWD.charge_and_surplus(minor(i64::MAX)), Err(MoneyError::OutOfRange));
    }

    proptest! {
        #[test]
        fn every_amount_can_be_charged_and_paid_out(index in 0..TABLE.len(), value in 0_i64..=999_999_999_999_999) {
            let currency = Currency(u8::try_from(index).unwrap());
            let amount = Minor::new(value).unwrap();
            let (charge, surplus) = currency.charge_and_surplus(amount).unwrap();
            prop_assert_eq!(amount.checked_add(surplus), Ok(charge));
            prop_assert!(surplus.get() < currency.charge_quantum() && charge.get() % currency.charge_quantum() == 0);
            let (payout, residue) = currency.payout_and_residue(amount);
            prop_assert_eq!(payout.checked_add(residue), Ok(amount));
            prop_assert!(residue.get() < currency.payout_quantum() && payout.get() % currency.payout_quantum() == 0);
            for amount in [charge, payout] {
                let units = currency.psp_units(amount).unwrap();
                prop_assert_eq!(currency.from_psp_units(units), Ok(amount));
            }
        }
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for text in ["", "usd", "US", "USDT", "XXX", "U\u{0}D"] {
            assert!(text.parse::<Currency>().is_err(), "{text:?}");
        }
    }
}
