//! Percentages and partitions whose parts sum to the whole, to the minor unit (`domain.md` B.1.3, R1 to R5).

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::money::{Minor, MoneyError};

/// A share from 0 to 100 percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct Percent(Decimal);

impl Percent {
    /// That many percent.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] below 0 or above 100.
    pub fn new(percent: Decimal) -> Result<Self, MoneyError> {
        if percent.is_sign_negative() && !percent.is_zero() || percent > Decimal::ONE_HUNDRED {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self(percent.normalize()))
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
    let exact = Decimal::from(basis.get())
        .checked_mul(percent.0)
        .and_then(|product| product.checked_div(Decimal::ONE_HUNDRED))
        .ok_or(MoneyError::OutOfRange)?;
    let rounded = exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
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
    // Half away from zero in integers: floor((2·fee·released + funded) / (2·funded)).
    let doubled = fee.checked_mul(released).and_then(|product| product.checked_mul(2)).ok_or(MoneyError::OutOfRange)?;
    let earned = doubled
        .checked_add(funded)
        .and_then(|sum| sum.checked_div(funded.checked_mul(2)?))
        .ok_or(MoneyError::OutOfRange)?;
    i64::try_from(earned).map_err(|_| MoneyError::OutOfRange).and_then(Minor::new)?.checked_sub(already_earned)
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
        assert!(serde_json::from_str::<Percent>("\"101\"").is_err());
    }

    /// D-51 to D-54: three releases of one third.
    #[test]
    fn thirds_close_exactly() {
        let table = [
            (100_000_i64, [33_334_i64, 33_333, 33_333], [3333, 3334, 3333], [1667, 1666, 1667]),
            (10_000, [3334, 3333, 3333], [333, 334, 333], [167, 166, 167]),
            (10_000, [3334, 3333, 3333], [333, 334, 333], [167, 166, 167]),
            (100_000, [33_334, 33_333, 33_333], [3333, 3334, 3333], [1667, 1666, 1667]),
        ];
        for (total, parts, fees, client_fees) in table {
            assert_eq!(allocate(minor(total), &[1, 1, 1]), Ok(parts.map(minor).to_vec()));
            let client_fee = percentage(minor(total), percent("5")).unwrap();
            let (mut before, mut taken, mut earned) = (Minor::ZERO, Minor::ZERO, Minor::ZERO);
            for ((part, fee), client) in parts.into_iter().zip(fees).zip(client_fees) {
                let this = cumulative_part(|basis| percentage(basis, percent("10")), before, minor(part), taken);
                assert_eq!(this, Ok(minor(fee)));
                before = before.checked_add(minor(part)).unwrap();
                assert_eq!(earned_share(client_fee, before, minor(total), earned), Ok(minor(client)));
                taken = taken.checked_add(minor(fee)).unwrap();
                earned = earned.checked_add(minor(client)).unwrap();
            }
            assert_eq!((taken, earned), (percentage(minor(total), percent("10")).unwrap(), client_fee));
        }
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
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(total in 0_i64..=999_999_999_999_999, weights in proptest::collection::vec(0_u64..1_000_000, 1..20)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = allocate(minor(total), &weights).unwrap();
            prop_assert_eq!(Minor::sum(parts.iter().copied()), Ok(minor(total)));
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(*weight > 0 || part.is_zero());
            }
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
