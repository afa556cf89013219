//! Currencies that the sandbox takes, and what it charges for a card payment.
//!
//! # Invariants
//! - Amounts are integer minor units at the currency's exponent *at Stripe* (<https://docs.stripe.com/currencies>).
//! - A fee is computed in integers and rounded half away from zero, once, on the proportional part.
//!
//! # What is deliberately absent
//! Settlement in another currency, which [`super::exchange`] has: a fee is taken in the currency of the settlement.

/// What the sandbox keeps of a card payment: a proportional and a fixed part.
///
/// The default, 2.9% + 0.30, is Stripe's published price for US cards in US dollars. That the same figures hold in every
/// other currency (30 minor units; 30 whole units where there are no minor units; 300 where there are three decimals)
/// is an assumption of the sandbox: Stripe's prices depend on country, card and contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeRule {
    /// Proportional part, in hundredths of a percent.
    pub rate_bps: u32,
    /// Fixed part for currencies without minor units (JPY), in whole units.
    pub fixed_zero_decimal: u32,
    /// Fixed part for currencies with two decimals, in minor units.
    pub fixed_two_decimal: u32,
    /// Fixed part for currencies with three decimals (KWD), in minor units.
    pub fixed_three_decimal: u32,
}

impl Default for FeeRule {
    fn default() -> Self {
        Self { rate_bps: 290, fixed_zero_decimal: 30, fixed_two_decimal: 30, fixed_three_decimal: 300 }
    }
}

impl FeeRule {
    /// Fee on `amount` minor units of `currency`. `None` when it cannot be held in 64 bits.
    pub(super) fn on(self, amount: i64, currency: Currency) -> Option<i64> {
        let fixed = match currency.exponent {
            0 => self.fixed_zero_decimal,
            3 => self.fixed_three_decimal,
            _ => self.fixed_two_decimal,
        };
        // Amounts are positive, so half up is half away from zero.
        let proportional = (i128::from(amount) * i128::from(self.rate_bps) + 5_000) / 10_000;
        i64::try_from(proportional + i128::from(fixed)).ok()
    }
}

/// A currency that the sandbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Currency {
    /// ISO 4217 code in lower case, as Stripe writes it.
    pub(super) code: &'static str,
    /// Decimals of its minor unit at Stripe: 0, 2 or 3.
    pub(super) exponent: u8,
}

const ZERO_DECIMAL: &[&str] =
    &["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"];
const THREE_DECIMAL: &[&str] = &["bhd", "jod", "kwd", "omr", "tnd"];
/// ISK and UGX have no minor unit any more; Stripe still writes them with two decimals.
const TWO_DECIMAL: &[&str] = &[
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bmd", "bnd",
    "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "cny", "cop", "crc", "cve", "czk", "dkk", "dop",
    "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gtq", "gyd", "hkd", "hnl", "htg", "huf",
    "idr", "ils", "inr", "isk", "jmd", "kes", "kgs", "khr", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad",
    "mdl", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr",
    "nzd", "pab", "pen", "pgk", "php", "pkr", "pln", "qar", "ron", "rsd", "rub", "sar", "sbd", "scr", "sek", "sgd",
    "shp", "sle", "sos", "srd", "std", "szl", "thb", "tjs", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "usd",
    "uyu", "uzs", "wst", "xcd", "yer", "zar", "zmw",
];

impl Currency {
    /// The currency of a lower-case code; `None` for any other text.
    pub(super) fn get(code: &str) -> Option<Self> {
        [(ZERO_DECIMAL, 0), (TWO_DECIMAL, 2), (THREE_DECIMAL, 3)].into_iter().find_map(|(codes, exponent)| {
            codes.iter().find(|known| **known == code).map(|code| Self { code, exponent })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(amount: i64, code: &str) -> Option<i64> {
        FeeRule::default().on(amount, Currency::get(code)?)
    }

    #[test]
    fn the_fee_is_two_point_nine_percent_and_thirty_rounded_half_away_from_zero() {
        assert_eq!(fee(105_000, "usd"), Some(3_075));
        assert_eq!(fee(500, "usd"), Some(45), "14.5 rounds to 15");
        assert_eq!(fee(499, "usd"), Some(44), "14.471 rounds to 14");
        assert_eq!(fee(10_500, "jpy"), Some(335), "304.5 rounds to 305");
        assert_eq!(fee(10_000, "kwd"), Some(590));
        assert_eq!(fee(i64::MAX, "usd"), Some(267_477_789_068_788_528), "2.9% of 2^63-1, in 128 bits");
    }

    #[test]
    fn a_currency_is_known_by_its_lower_case_code_only() {
        assert_eq!(Currency::get("usd").map(|currency| currency.exponent), Some(2));
        assert_eq!(Currency::get("USD"), None);
        assert_eq!(Currency::get("xxx"), None);
    }
}
