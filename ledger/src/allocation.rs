//! Percentages and partitions whose parts sum to the whole, to the minor unit (`domain.md` B.1.3, R1 to R5).

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::{Minor, MoneyError, plain_decimal};

/// A share from 0 to 100 percent, with at most [`Percent::MAX_DECIMALS`] decimals. In JSON a string: `"12.5"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "Decimal")]
pub struct Percent(Decimal);

impl Percent {
    /// So that any amount times any percentage fits 128 bits and nothing is rounded before the one rounding of R1:
    /// amounts have 63 bits, 100 with sixteen decimals has 60.
    pub const MAX_DECIMALS: u32 = 16;

    /// That many percent.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] below 0 or above 100; [`MoneyError::NotWhole`] with too many decimals.
    pub fn new(percent: Decimal) -> Result<Self, MoneyError> {
        let percent = percent.normalize();
        if percent.is_sign_negative() || percent > Decimal::ONE_HUNDRED {
            return Err(MoneyError::OutOfRange);
        }
        if percent.scale() > Self::MAX_DECIMALS {
            return Err(MoneyError::NotWhole { exponent: Self::MAX_DECIMALS });
        }
        Ok(Self(percent))
    }

    /// How many percent.
    pub fn get(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Percent {
    type Error = MoneyError;

    fn try_from(percent: Decimal) -> Result<Self, Self::Error> {
        Self::new(percent)
    }
}

/// From a string only: a JSON number would pass through a float.
impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        plain_decimal(&text).and_then(Self::new).map_err(serde::de::Error::custom)
    }
}

impl From<Percent> for Decimal {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// A total could not be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// No weights, or all of them zero.
    #[error("there is nothing to allocate to")]
    NoWeights,
    /// The total of the weights does not fit.
    #[error("the weights are out of range")]
    OutOfRange,
}

/// R1: `percent` of `basis`, rounded once, half away from zero.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when it does not fit.
pub fn percentage(basis: Minor, percent: Percent) -> Result<Minor, MoneyError> {
    let product = i128::from(basis.get()).checked_mul(percent.0.mantissa());
    let whole = 10_i128.checked_pow(percent.0.scale()).and_then(|unit| unit.checked_mul(100));
    product.zip(whole).ok_or(MoneyError::OutOfRange).and_then(|(product, whole)| round_half_up(product, whole))
}

/// `numerator / denominator`, neither below zero, rounded once, half away from zero (R1).
///
/// # Errors
/// [`MoneyError::OutOfRange`] when the denominator is zero, one of them is below zero, or the result does not fit.
pub fn rounded_quotient(numerator: i128, denominator: i128) -> Result<Minor, MoneyError> {
    if numerator < 0 || denominator <= 0 { Err(MoneyError::OutOfRange) } else { round_half_up(numerator, denominator) }
}

/// `numerator / denominator`, neither below zero, rounded half away from zero.
fn round_half_up(numerator: i128, denominator: i128) -> Result<Minor, MoneyError> {
    let (Some(quotient), Some(rest)) = (numerator.checked_div(denominator), numerator.checked_rem(denominator)) else {
        return Err(MoneyError::OutOfRange);
    };
    // The remainder is below the denominator, so nothing here leaves the range.
    let up = rest >= denominator.saturating_sub(rest);
    let rounded = quotient.saturating_add(i128::from(up));
    i64::try_from(rounded).map_err(|_| MoneyError::OutOfRange).and_then(Minor::new)
}

/// R2: `percent` of `whole`, and exactly what that leaves.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when it does not fit.
pub fn split_percentage(whole: Minor, percent: Percent) -> Result<(Minor, Minor), MoneyError> {
    let share = percentage(whole, percent)?;
    Ok((share, whole.checked_sub(share)?))
}

/// R3: divides `total` by weight; largest remainder, ties to the lowest index. The parts sum to the total.
///
/// # Errors
/// [`AllocationError`] when there is no weight to allocate to.
pub fn allocate(total: Minor, weights: &[u64]) -> Result<Vec<Minor>, AllocationError> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return Err(AllocationError::NoWeights);
    }
    let whole = u128::from(total.get().unsigned_abs());
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = whole;
    for (index, weight) in weights.iter().enumerate() {
        // Below 2^63 times 2^64: fits 128 bits.
        let product = whole.checked_mul(u128::from(*weight)).ok_or(AllocationError::OutOfRange)?;
        let part = product.checked_div(sum).ok_or(AllocationError::NoWeights)?;
        remainders.push((product.checked_rem(sum).unwrap_or(0), index));
        left = left.saturating_sub(part);
        parts.push(part);
    }
    remainders.sort_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, index) in remainders.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
        }
    }
    parts
        .into_iter()
        .map(|part| i64::try_from(part).ok().and_then(|part| Minor::new(part).ok()).ok_or(AllocationError::OutOfRange))
        .collect()
}

/// R4: what the next part of a basis costs, so that all parts together cost what the whole would: `f` of the basis up to
/// and with this part, less what was taken already. `f` has to be monotone.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when a sum does not fit, or when `f` falls.
pub fn cumulative_part(
    f: impl Fn(Minor) -> Result<Minor, MoneyError>,
    before: Minor,
    part: Minor,
    already_taken: Minor,
) -> Result<Minor, MoneyError> {
    f(before.checked_add(part)?)?.checked_sub(already_taken)
}

/// R5: the part of `total_fee` that is earned by a release, `cumulative_released` of `total_funded` having gone out with
/// it; half away from zero, and the last part closes to the total.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when more was released than funded, or more was earned than is due.
pub fn earned_share(
    total_fee: Minor,
    cumulative_released: Minor,
    total_funded: Minor,
    already_earned: Minor,
) -> Result<Minor, MoneyError> {
    if cumulative_released > total_funded {
        return Err(MoneyError::OutOfRange);
    }
    if total_funded.is_zero() {
        return Ok(Minor::ZERO);
    }
    let (fee, released, funded) =
        (i128::from(total_fee.get()), i128::from(cumulative_released.get()), i128::from(total_funded.get()));
    // Each below 2^63: the product fits.
    let product = fee.checked_mul(released).ok_or(MoneyError::OutOfRange)?;
    round_half_up(product, funded)?.checked_sub(already_earned)
}

/// R5 for anything that goes along with an amount that leaves in parts, whatever the parts are for: how much of `total`
/// goes with a part, `gone` of `whole` having left with it and `already` of `total` having gone before.
///
/// Parts of any size take together what one part of their sum takes; the part that empties `whole` takes the rest.
/// Never below zero, also where `total` and `whole` grew unevenly between two parts.
///
/// # Errors
/// [`MoneyError::OutOfRange`] when more has left than there was.
pub fn closing_share(total: Minor, gone: Minor, whole: Minor, already: Minor) -> Result<Minor, MoneyError> {
    if already > total {
        return Err(MoneyError::OutOfRange);
    }
    Ok(earned_share(total, gone, whole, Minor::ZERO)?.saturating_sub(already))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minor(value: i64) -> Minor {
        Minor::new(value).unwrap()
    }

    fn percent(text: &str) -> Percent {
        Percent::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_other_side_gets_the_exact_remainder() {
        assert_eq!(split_percentage(minor(645), percent("30")), Ok((minor(194), minor(451))));
    }

    #[test]
    fn halves_round_away_from_zero() {
        assert_eq!(percentage(minor(5), percent("10")), Ok(minor(1)));
        assert_eq!(percentage(minor(4), percent("10")), Ok(minor(0)));
    }

    #[test]
    fn a_percentage_has_bounds() {
        assert!(Percent::new("100.01".parse().unwrap()).is_err());
        assert!(Percent::new("-0.01".parse().unwrap()).is_err());
        assert!(Percent::new("33.3333333333333333".parse().unwrap()).is_ok());
        assert_eq!(Percent::new(Decimal::new(1, 17)), Err(MoneyError::NotWhole { exponent: 16 }));
        assert_eq!(Percent::new("-0.0".parse().unwrap()), Ok(Percent::default()));
    }

    #[test]
    fn a_percentage_is_a_string_in_json() {
        assert_eq!(serde_json::to_string(&percent("12.50")).unwrap(), "\"12.5\"");
        assert_eq!(serde_json::from_str::<Percent>("\"12.5\"").unwrap(), percent("12.5"));
        for text in ["12.5", "12", "\"101\"", "\"-1\"", "\"1e1\"", "\"\"", "null"] {
            assert!(serde_json::from_str::<Percent>(text).is_err(), "{text}");
        }
    }

    /// Half a unit less a trillionth: rounded once, it goes down; rounded on the way, it would go up.
    #[test]
    fn a_percentage_is_rounded_once() {
        let just_below = percent("49.9999999999999999");
        assert_eq!(percentage(minor(1), just_below), Ok(Minor::ZERO));
        assert_eq!(percentage(minor(999_999_999_999_999), just_below), Ok(minor(499_999_999_999_999)));
        let most = minor(i64::MAX);
        assert_eq!(percentage(most, percent("100")), Ok(most));
        assert!(percentage(most, percent("99.9999999999999999")).is_ok());
    }

    /// D-51 to D-54: three releases of one third, at 10% of the payee and 5% of the client.
    #[test]
    fn thirds_close_exactly() {
        struct Case {
            total: i64,
            parts: [i64; 3],
            fees: [i64; 3],
            client_fees: [i64; 3],
            nets: [i64; 3],
        }
        let thousand = || Case {
            total: 100_000,
            parts: [33_334, 33_333, 33_333],
            fees: [3333, 3334, 3333],
            client_fees: [1667, 1666, 1667],
            nets: [30_001, 29_999, 30_000],
        };
        let hundred = || Case {
            total: 10_000,
            parts: [3334, 3333, 3333],
            fees: [333, 334, 333],
            client_fees: [167, 166, 167],
            nets: [3001, 2999, 3000],
        };
        // USD 1,000.00; USD 100.00; JPY 10,000; KWD 100.000. Minor units do not know their currency.
        for case in [thousand(), hundred(), hundred(), thousand()] {
            let total = minor(case.total);
            assert_eq!(allocate(total, &[1, 1, 1]), Ok(case.parts.map(minor).to_vec()));
            let client_fee = percentage(total, percent("5")).unwrap();
            let (mut before, mut taken, mut earned) = (Minor::ZERO, Minor::ZERO, Minor::ZERO);
            for index in 0..3 {
                let part = minor(case.parts[index]);
                let fee = cumulative_part(|basis| percentage(basis, percent("10")), before, part, taken).unwrap();
                before = before.checked_add(part).unwrap();
                let client = earned_share(client_fee, before, total, earned).unwrap();
                taken = taken.checked_add(fee).unwrap();
                earned = earned.checked_add(client).unwrap();
                let net = part.checked_sub(fee).unwrap();
                let expected = (minor(case.fees[index]), minor(case.client_fees[index]), minor(case.nets[index]));
                assert_eq!((fee, client, net), expected);
            }
            assert_eq!((taken, earned), (percentage(total, percent("10")).unwrap(), client_fee));
        }
    }

    /// D-61: 20% to 500.00, 10% above; R4 takes any monotone schedule, over what the pair was billed before.
    #[test]
    fn tiers_go_on_where_the_last_release_ended() {
        let schedule = |billed: Minor| {
            let low = billed.min(minor(50_000));
            percentage(low, percent("20"))?.checked_add(percentage(billed.checked_sub(low)?, percent("10"))?)
        };
        assert_eq!(cumulative_part(schedule, minor(40_000), minor(30_000), minor(8000)), Ok(minor(4000)));
        assert_eq!(cumulative_part(schedule, Minor::ZERO, minor(60_000), Minor::ZERO), Ok(minor(11_000)));
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(allocate(minor(5), &[1, 1, 1]), Ok(vec![minor(2), minor(2), minor(1)]));
        assert_eq!(allocate(minor(5), &[0, 0]), Err(AllocationError::NoWeights));
        assert_eq!(allocate(minor(5), &[]), Err(AllocationError::NoWeights));
    }

    #[test]
    fn more_than_was_funded_earns_nothing() {
        assert!(earned_share(minor(5), minor(11), minor(10), Minor::ZERO).is_err());
        let most = minor(i64::MAX);
        assert_eq!(earned_share(most, most, most, Minor::ZERO), Ok(most));
        assert_eq!(earned_share(minor(5), Minor::ZERO, Minor::ZERO, Minor::ZERO), Ok(Minor::ZERO));
    }

    #[test]
    fn a_quotient_is_rounded_once_and_has_bounds() {
        assert_eq!(rounded_quotient(5, 10), Ok(minor(1)));
        assert_eq!(rounded_quotient(499_999, 1_000_000), Ok(Minor::ZERO));
        for (numerator, denominator) in [(-1, 10), (1, -10), (1, 0), (i128::MAX, 1)] {
            assert_eq!(rounded_quotient(numerator, denominator), Err(MoneyError::OutOfRange));
        }
    }

    /// R5: the share of what leaves closes to zero, also where fee and amount grew unevenly.
    #[test]
    fn a_share_closes_with_the_last_part() {
        assert_eq!(closing_share(minor(5000), minor(33_334), minor(100_000), Minor::ZERO), Ok(minor(1667)));
        assert_eq!(closing_share(minor(5000), minor(100_000), minor(100_000), minor(3333)), Ok(minor(1667)));
        // 50 of 100 had gone, and 50 of a fee of 100; then 900 came without a fee: what is due has gone already.
        assert_eq!(closing_share(minor(100), minor(60), minor(1000), minor(50)), Ok(Minor::ZERO));
        assert_eq!(closing_share(minor(100), minor(1000), minor(1000), minor(50)), Ok(minor(50)));
        assert!(closing_share(minor(5), minor(11), minor(10), Minor::ZERO).is_err());
        assert!(closing_share(minor(5), minor(1), minor(10), minor(6)).is_err());
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(total in 0_i64..=999_999_999_999_999, weights in proptest::collection::vec(0_u64..1_000_000, 1..20)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = allocate(minor(total), &weights).unwrap();
            prop_assert_eq!(Minor::sum(parts.iter().copied()), Ok(minor(total)));
            for (part, weight) in parts.iter().zip(&weights) {
                // Within one unit of the exact share, and nothing without a weight.
                let sum: u64 = weights.iter().sum();
                let share = u128::from(total.unsigned_abs()) * u128::from(*weight) / u128::from(sum);
                let part = u128::from(part.get().unsigned_abs());
                prop_assert!(part == share || part == share + 1);
                prop_assert!(*weight > 0 || part == 0);
            }
        }

        #[test]
        fn both_shares_are_the_whole(whole in 0_i64..=i64::MAX, decimals in 0_u32..=16, digits in 0_i64..=1_000_000_000_000_000_000) {
            let most = 100 * 10_i64.pow(decimals);
            let rate = Percent::new(Decimal::new(digits.min(most), decimals)).unwrap();
            let (share, rest) = split_percentage(minor(whole), rate).unwrap();
            prop_assert_eq!(share.checked_add(rest), Ok(minor(whole)));
        }

        #[test]
        fn any_partition_costs_what_the_whole_costs(
            parts in proptest::collection::vec(1_i64..10_000_000_000, 1..30),
            hundredths in 0_i64..=10_000,
            fee in 0_i64..1_000_000_000,
        ) {
            let rate = Percent::new(Decimal::new(hundredths, 2)).unwrap();
            let whole = Minor::sum(parts.iter().map(|part| minor(*part))).unwrap();
            let (mut before, mut taken, mut earned) = (Minor::ZERO, Minor::ZERO, Minor::ZERO);
            for part in parts {
                let this = cumulative_part(|basis| percentage(basis, rate), before, minor(part), taken).unwrap();
                taken = taken.checked_add(this).unwrap();
                before = before.checked_add(minor(part)).unwrap();
                let client = earned_share(minor(fee), before, whole, earned).unwrap();
                earned = earned.checked_add(client).unwrap();
            }
            prop_assert_eq!(taken, percentage(whole, rate).unwrap());
            prop_assert_eq!(earned, minor(fee));
        }
    }
}
