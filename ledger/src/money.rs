//! Amounts of money: integer minor units, checked.
//!
//! - [`Minor`]: how many minor units, the currency being clear from where it stands.
//! - [`Money`]: a net or a balance, with its currency and a sign.
//! - [`Amount`]: what a posting carries: positive, with its currency.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::currency::Currency;

/// Money could not be computed or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Below zero where nothing below zero exists, or beyond what can be counted.
    #[error("the amount is out of range")]
    OutOfRange,
    /// More digits than the currency has.
    #[error("the amount has more than {exponent} decimals")]
    NotWhole {
        /// Decimals of the currency.
        exponent: u32,
    },
    /// Two currencies met.
    #[error("expected {expected}, received {received}")]
    CurrencyMismatch {
        /// The currency of the left side.
        expected: Currency,
        /// The currency of the right side.
        received: Currency,
    },
    /// Not a number.
    #[error("the amount is not a number")]
    NotANumber,
    /// Zero, where money has to move.
    #[error("the amount must be greater than zero")]
    NotPositive,
}

/// A number of minor units (cents, yen, fils), zero or more. The currency is that of what it stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Minor(i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount that is accepted from outside: fifteen digits, so that it stays exact as a JSON number
    /// everywhere (2^53 has sixteen) and thousands of them fit the type.
    pub const MAX_INPUT: Self = Self(999_999_999_999_999);

    /// That many minor units.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] below zero.
    pub const fn new(minor: i64) -> Result<Self, MoneyError> {
        if minor < 0 { Err(MoneyError::OutOfRange) } else { Ok(Self(minor)) }
    }

    /// How many.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::OutOfRange)
    }

    /// What is left.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when `other` is more.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        if other > self { Err(MoneyError::OutOfRange) } else { Ok(self.saturating_sub(other)) }
    }

    /// Both together, or the most that fits.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left, or nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// All together.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when it does not fit.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        parts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// Whether an amount is nothing. What serialising leaves out where nothing is the default; it is called with a reference.
pub const fn is_zero(amount: &Minor) -> bool {
    amount.is_zero()
}

impl TryFrom<i64> for Minor {
    type Error = MoneyError;

    fn try_from(minor: i64) -> Result<Self, Self::Error> {
        Self::new(minor)
    }
}

impl From<Minor> for i64 {
    fn from(minor: Minor) -> Self {
        minor.0
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A net or a balance: minor units with a sign, and their currency. Wide enough for any sum of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i128,
    currency: Currency,
}

impl Money {
    /// That many minor units of `currency`.
    pub const fn new(minor: i128, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// How many minor units.
    pub const fn minor(self) -> i128 {
        self.minor
    }

    /// Of which currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`]; [`MoneyError::OutOfRange`] when it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch { expected: self.currency, received: other.currency });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::OutOfRange)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// What is left, or owed.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`]; [`MoneyError::OutOfRange`] when it does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        let minor = other.minor.checked_neg().ok_or(MoneyError::OutOfRange)?;
        self.checked_add(Self { minor, currency: other.currency })
    }

    /// In major units, with all decimals of the currency: 105000 cents are `1050.00`.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] beyond 2^96 minor units, which is more than there is.
    pub fn decimal(self) -> Result<Decimal, MoneyError> {
        Decimal::try_from_i128_with_scale(self.minor, self.currency.exponent()).map_err(|_| MoneyError::OutOfRange)
    }

    /// Reads an amount in major units, such as `1050.00`, exactly: digits, at most one point, perhaps a minus before.
    ///
    /// # Errors
    /// [`MoneyError::NotANumber`]; [`MoneyError::NotWhole`] with more decimals than the currency has;
    /// [`MoneyError::OutOfRange`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let exponent = currency.exponent();
        let decimal = plain_decimal(text)?;
        let missing = exponent.checked_sub(decimal.scale()).ok_or(MoneyError::NotWhole { exponent })?;
        let minor = 10_i128.checked_pow(missing).and_then(|factor| decimal.mantissa().checked_mul(factor));
        Ok(Self { minor: minor.ok_or(MoneyError::OutOfRange)?, currency })
    }
}

/// Reads a number as JSON and people write it, without what [`Decimal`] takes beside that (`_`, `+`, exponents). Zeros
/// at the end of the decimals are dropped.
pub(crate) fn plain_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if [whole, fraction].iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(MoneyError::NotANumber);
    }
    // Only the length can be wrong now.
    Decimal::from_str_exact(text).map(|decimal| decimal.normalize()).map_err(|_| MoneyError::OutOfRange)
}

/// With thousands separators and all decimals: `1,050.00 USD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", digits(self.minor, self.currency), self.currency);
        f.pad(&text)
    }
}

/// The number alone, as [`Money`] prints it: `-1,050.00`.
pub(crate) fn digits(minor: i128, currency: Currency) -> String {
    let exponent = usize::try_from(currency.exponent()).unwrap_or(0);
    let plain = format!("{:0>width$}", minor.unsigned_abs().to_string(), width = exponent.saturating_add(1));
    let (whole, fraction) = plain.split_at(plain.len().saturating_sub(exponent));
    let mut text = String::from(if minor < 0 { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len().saturating_sub(index).checked_rem(3) == Some(0) {
            text.push(',');
        }
        text.push(digit);
    }
    if exponent > 0 {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A strictly positive amount of a currency, the only thing a posting may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawAmount", into = "RawAmount")]
pub struct Amount {
    minor: Minor,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct RawAmount {
    minor: Minor,
    currency: Currency,
}

impl Amount {
    /// That many minor units of `currency`.
    ///
    /// # Errors
    /// [`MoneyError::NotPositive`] for zero.
    pub fn new(minor: Minor, currency: Currency) -> Result<Self, MoneyError> {
        if minor.is_zero() { Err(MoneyError::NotPositive) } else { Ok(Self { minor, currency }) }
    }

    /// How many minor units; at least 1.
    pub const fn minor(self) -> Minor {
        self.minor
    }

    /// Of which currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Self {
        Self::new(i128::from(amount.minor.get()), amount.currency)
    }
}

impl TryFrom<RawAmount> for Amount {
    type Error = MoneyError;

    fn try_from(raw: RawAmount) -> Result<Self, Self::Error> {
        Self::new(raw.minor, raw.currency)
    }
}

impl From<Amount> for RawAmount {
    fn from(amount: Amount) -> Self {
        Self { minor: amount.minor, currency: amount.currency }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Money::from(*self), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_printed_as_people_write_it() {
        assert_eq!(Money::new(105_000, Currency::USD).to_string(), "1,050.00 USD");
        assert_eq!(Money::new(-5, Currency::USD).to_string(), "-0.05 USD");
        assert_eq!(Money::new(1_234_567, Currency::JPY).to_string(), "1,234,567 JPY");
        assert_eq!(Money::new(10_629, Currency::KWD).to_string(), "10.629 KWD");
        assert_eq!(Money::new(0, Currency::EUR).to_string(), "0.00 EUR");
    }

    #[test]
    fn major_units_are_read_exactly_or_not_at_all() {
        assert_eq!(Money::parse("1050.00", Currency::USD), Ok(Money::new(105_000, Currency::USD)));
        assert_eq!(Money::parse("1050", Currency::JPY), Ok(Money::new(1050, Currency::JPY)));
        assert_eq!(Money::parse("0.001", Currency::USD), Err(MoneyError::NotWhole { exponent: 2 }));
        assert_eq!(Money::parse("0.500", Currency::USD), Ok(Money::new(50, Currency::USD)));
        assert_eq!(Money::parse("-0.05", Currency::USD), Ok(Money::new(-5, Currency::USD)));
        for text in ["1e3", "", "-", ".", "1.", ".5", "+1", "1_000", "1,000", "1.0.0", " 1", "--1", "NaN", "١"] {
            assert_eq!(Money::parse(text, Currency::USD), Err(MoneyError::NotANumber), "{text:?}");
        }
        let long = "9".repeat(40);
        assert_eq!(Money::parse(&long, Currency::USD), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn major_units_are_a_decimal() {
        let decimal = |minor, currency| Money::new(minor, currency).decimal().map(|decimal| decimal.to_string());
        assert_eq!(decimal(105_000, Currency::USD), Ok("1050.00".to_owned()));
        assert_eq!(decimal(-1, Currency::KWD), Ok("-0.001".to_owned()));
        assert_eq!(decimal(10_000, Currency::JPY), Ok("10000".to_owned()));
        assert_eq!(decimal(i128::MAX, Currency::USD), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn json_goes_through_the_constructor() {
        assert!(serde_json::from_str::<Minor>("-1").is_err());
        assert!(serde_json::from_str::<Minor>("1.5").is_err());
        assert!(serde_json::from_str::<Minor>("9223372036854775808").is_err());
        assert!(serde_json::from_str::<Minor>("1.0").is_err());
        assert!(serde_json::from_str::<Minor>("\"1\"").is_err());
        assert!(serde_json::from_str::<Amount>(r#"{"minor":0,"currency":"USD"}"#).is_err());
        assert!(serde_json::from_str::<Amount>(r#"{"minor":1,"currency":"usd"}"#).is_err());
        let amount = Amount::new(Minor(5), Currency::USD).unwrap();
        assert_eq!(serde_json::to_string(&amount).unwrap(), r#"{"minor":5,"currency":"USD"}"#);
        assert_eq!(serde_json::from_str::<Minor>("999999999999999").ok(), Some(Minor::MAX_INPUT));
    }

    #[test]
    fn arithmetic_that_leaves_the_range_is_an_error() {
        let most = Minor::new(i64::MAX).unwrap();
        assert_eq!(most.checked_add(Minor::new(1).unwrap()), Err(MoneyError::OutOfRange));
        assert_eq!(Minor::ZERO.checked_sub(most), Err(MoneyError::OutOfRange));
        let (usd, eur) = (Money::new(1, Currency::USD), Money::new(1, Currency::EUR));
        assert!(matches!(usd.checked_add(eur), Err(MoneyError::CurrencyMismatch { .. })));
        assert!(matches!(usd.checked_sub(eur), Err(MoneyError::CurrencyMismatch { .. })));
        assert_eq!(usd.checked_sub(Money::new(3, Currency::USD)), Ok(Money::new(-2, Currency::USD)));
        assert_eq!(usd.checked_sub(Money::new(i128::MIN, Currency::USD)), Err(MoneyError::OutOfRange));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(minor in -999_999_999_999_999_i128..999_999_999_999_999, index in 0_usize..150) {
            let currency = Currency::all().nth(index).unwrap_or(Currency::USD);
            let money = Money::new(minor, currency);
            prop_assert_eq!(Money::parse(&digits(minor, currency).replace(',', ""), currency), Ok(money));
        }
    }
}
