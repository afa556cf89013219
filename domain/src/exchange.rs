//! Money that the provider settles in another currency than the contract's.
//!
//! # Invariants
//! - Each currency of an entry balances alone; the two meet in the FX position (1300) of the funding (R7).
//! - A [`Position`] is what stands on 1300 for one funding: what came in, less what went back, in each currency.
//! - The result is known when nothing of the contract's currency is left in the position. Until then there is none: what
//!   was released, or kept as a fee, leaves the position open.
//!
//! # What is deliberately absent
//! Rates: the provider tells both amounts, and they are what is booked; nothing is multiplied, so nothing is rounded, and
//! nothing is ever booked to 5400. The value of what is open: positions are neither revalued, nor closed by a payout,
//! which has a position of its own. A list of currencies in which the provider settles: it tells with each booking.

use std::collections::BTreeMap;

use ledger::{Currency, DimensionKey as Key, Dimensions, Minor};
use serde::{Deserialize, Serialize};

use crate::id::{FundingId, RefundId};

/// An amount as the provider has it in its balance, in another currency than it was paid in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// How much, in minor units of `currency`.
    pub amount: Minor,
    /// The settlement currency.
    pub currency: Currency,
}

/// What moved in the provider's balance with a refund, in another currency than the refund's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundExchange {
    /// The funding whose position it is; `None` for money of the wallet, which has one per refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding_id: Option<FundingId>,
    /// How much, and in which currency.
    #[serde(flatten)]
    pub settled: Settled,
}

/// Whether an exchange has cost or brought something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FxResult {
    /// More came in than went back. J73.
    Gain,
    /// More went back than came in. J72.
    Loss,
}

/// What stands on the FX position of one funding; debits less credits, in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// In the currency that was paid in.
    #[serde(default)]
    paid: i64,
    /// In the currencies in which the provider settled; those of zero are left out.
    #[serde(default)]
    settled: BTreeMap<Currency, i64>,
}

impl Position {
    /// Whether nothing stands there in any currency.
    pub fn is_closed(&self) -> bool {
        self.paid == 0 && self.settled.is_empty()
    }

    /// The position after `paid` came in and was settled as `settled`.
    ///
    /// Amounts have at most fifteen digits, so that no sum of a funding's reaches the limits of the type.
    #[must_use]
    pub fn after_receipt(mut self, paid: Minor, settled: Settled) -> Self {
        self.paid = self.paid.saturating_add(paid.get());
        self.shift(settled.currency, settled.amount.get().saturating_neg());
        self
    }

    /// The position after `paid` went back, for which the provider took `settled`.
    #[must_use]
    pub fn after_refund(mut self, paid: Minor, settled: Settled) -> Self {
        self.paid = self.paid.saturating_sub(paid.get());
        self.shift(settled.currency, settled.amount.get());
        self
    }

    /// The position after its result in `currency` was realised: nothing stands there any more.
    #[must_use]
    pub fn after_result(mut self, currency: Currency) -> Self {
        self.settled.remove(&currency);
        self
    }

    /// What is realised now: per settlement currency, whether it is a gain and how much. Empty while something of the
    /// currency that was paid in is open.
    pub fn results(&self) -> Vec<(FxResult, Settled)> {
        if self.paid != 0 {
            return Vec::new();
        }
        let result = |(currency, left): (&Currency, &i64)| {
            let result = if *left < 0 { FxResult::Gain } else { FxResult::Loss };
            let amount = Minor::new(left.saturating_abs()).ok()?;
            Some((result, Settled { amount, currency: *currency }))
        };
        self.settled.iter().filter_map(result).collect()
    }

    fn shift(&mut self, currency: Currency, by: i64) {
        let left = self.settled.get(&currency).copied().unwrap_or_default().saturating_add(by);
        if left == 0 {
            self.settled.remove(&currency);
        } else {
            self.settled.insert(currency, left);
        }
    }
}

/// The name of a pair, the same whichever way money goes: the contract's currency, then that of the settlement.
pub fn pair(paid: Currency, settled: Currency) -> String {
    format!("{paid}-{settled}")
}

/// The dimensions of the FX position of a funding.
pub(crate) fn of_funding(funding_id: FundingId, paid: Currency, settled: Currency) -> Dimensions {
    Dimensions::new().with(Key::CurrencyPair, pair(paid, settled)).with(Key::Funding, funding_id)
}

/// The dimensions of the FX position that a refund shifts.
pub(crate) fn of_refund(refund_id: RefundId, exchange: &RefundExchange, paid: Currency) -> Dimensions {
    match exchange.funding_id {
        Some(funding_id) => of_funding(funding_id, paid, exchange.settled.currency),
        None => Dimensions::new()
            .with(Key::CurrencyPair, pair(paid, exchange.settled.currency))
            .with(Key::Refund, refund_id),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    fn minor(value: i64) -> Minor {
        Minor::new(value).unwrap()
    }

    fn usd(amount: i64) -> Settled {
        Settled { amount: minor(amount), currency: Currency::USD }
    }

    /// R7: the result is that of the whole, and there is none while something is open.
    #[test]
    fn the_result_is_known_when_nothing_is_left_of_what_was_paid() {
        let position = Position::default().after_receipt(minor(100_000), usd(107_800));
        assert_eq!(position.results(), []);
        let position = position.after_refund(minor(40_000), usd(43_000));
        assert_eq!(position.results(), []);
        let position = position.after_refund(minor(60_000), usd(66_250));
        assert_eq!(position.results(), [(FxResult::Loss, usd(1450))]);
        assert!(position.after_result(Currency::USD).is_closed());
    }

    /// R7: whichever is told first, the receipt or the refund, the result is the same; and where both are equal there is
    /// none.
    #[test]
    fn the_order_of_the_reports_does_not_matter() {
        let position = Position::default().after_refund(minor(1000), usd(1000));
        assert_eq!(position.results(), [], "what came in is not known yet");
        let position = position.after_receipt(minor(1000), usd(1820));
        assert_eq!(position.results(), [(FxResult::Gain, usd(820))]);
        let even = Position::default().after_receipt(minor(1000), usd(1100)).after_refund(minor(1000), usd(1100));
        assert_eq!(even.results(), []);
        assert!(even.is_closed());
    }
}
