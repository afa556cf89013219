//! How a fee follows from the amount it is charged on: a sum of rules, computed exactly, rounded once.
//!
//! # Invariants
//! - A fee never falls as its basis grows, whatever its rules: percentages are not negative, bounds keep the order.
//! - Nothing is rounded before the end: amounts are numerators over one denominator, in 128 bits, checked.

use ledger::{Currency, Minor, Money, MoneyError, Percent, rounded_quotient};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Promotion;

/// A step of a tiered percentage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Up to and including this much, minor units, counted from the first billing of the pair; the last step has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Minor>,
    /// What the part of the basis in this step costs.
    pub percent: Percent,
}

/// One rule of a fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeeRule {
    /// A percentage of the basis.
    Percent {
        /// From 0 to 100.
        percent: Percent,
        /// At least this much per milestone, minor units.
        #[serde(default, skip_serializing_if = "ledger::is_zero")]
        minimum: Minor,
        /// At most this much per milestone, minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap: Option<Minor>,
    },
    /// A percentage that depends on what the pair of client and payee has billed over its lifetime (D-61).
    Tiered {
        /// The steps, from the first.
        tiers: Vec<Tier>,
        /// At least this much per milestone, minor units.
        #[serde(default, skip_serializing_if = "ledger::is_zero")]
        minimum: Minor,
        /// At most this much per milestone, minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap: Option<Minor>,
    },
    /// The same for every milestone, charged with its first part.
    Fixed {
        /// Minor units.
        amount: Minor,
    },
}

impl FeeRule {
    /// Every percentage in it.
    pub(super) fn percents(&self) -> impl Iterator<Item = Percent> {
        let (one, tiers): (Option<Percent>, &[Tier]) = match self {
            Self::Percent { percent, .. } => (Some(*percent), &[]),
            Self::Tiered { tiers, .. } => (None, tiers),
            Self::Fixed { .. } => (None, &[]),
        };
        one.into_iter().chain(tiers.iter().map(|tier| tier.percent))
    }

    /// Minimum and cap per milestone.
    pub(super) fn bounds(&self) -> (Minor, Option<Minor>) {
        match self {
            Self::Percent { minimum, cap, .. } | Self::Tiered { minimum, cap, .. } => (*minimum, *cap),
            Self::Fixed { amount } => (*amount, Some(*amount)),
        }
    }

    fn describe(&self, currency: Option<Currency>) -> String {
        let shown = |amount: Minor| match currency {
            Some(currency) => Money::new(i128::from(amount.get()), currency).to_string(),
            None => amount.to_string(),
        };
        let step = |tier: &Tier| match tier.up_to {
            Some(up_to) => format!("{}% to {}", tier.percent.get(), shown(up_to)),
            None => format!("{}%", tier.percent.get()),
        };
        let plain = match self {
            Self::Percent { percent, .. } => format!("{}%", percent.get()),
            Self::Tiered { tiers, .. } => tiers.iter().map(step).collect::<Vec<_>>().join(", then "),
            Self::Fixed { amount } => return format!("{} per milestone", shown(*amount)),
        };
        let (minimum, cap) = self.bounds();
        let least = if minimum.is_zero() { String::new() } else { format!(" at least {}", shown(minimum)) };
        let most = cap.map(|cap| format!(" at most {}", shown(cap))).unwrap_or_default();
        format!("{plain}{least}{most}")
    }

    /// The fee on the first `basis` of a milestone, in `unit`s of a minor unit; `offset` was billed before.
    fn exact(&self, offset: Minor, basis: Minor, unit: &Unit) -> Result<i128, MoneyError> {
        if basis.is_zero() {
            return Ok(0);
        }
        let plain = match self {
            Self::Percent { percent, .. } => unit.share(basis, *percent)?,
            Self::Tiered { tiers, .. } => {
                let after = tiered(tiers, offset.checked_add(basis)?, unit)?;
                minus(after, tiered(tiers, offset, unit)?)?
            }
            Self::Fixed { .. } => 0,
        };
        let (minimum, cap) = self.bounds();
        let plain = plain.max(unit.of(minimum)?);
        cap.map_or(Ok(plain), |cap| unit.of(cap).map(|cap| plain.min(cap)))
    }
}

/// What the first `billed` of a pair's lifetime costs.
fn tiered(tiers: &[Tier], billed: Minor, unit: &Unit) -> Result<i128, MoneyError> {
    let (mut low, mut sum) = (Minor::ZERO, 0_i128);
    for tier in tiers {
        let high = tier.up_to.unwrap_or(billed).min(billed);
        sum = plus(sum, unit.share(high.saturating_sub(low), tier.percent)?)?;
        low = low.max(high);
    }
    Ok(sum)
}

/// A fee: the sum of its rules. In JSON a list of rules; a single rule is written, and stored since before there were
/// lists, as the rule itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fee(Vec<FeeRule>);

impl Fee {
    /// No fee.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The sum of these rules. Whether they are sensible is for [`super::FeeSchedule::check`] to say.
    pub const fn new(rules: Vec<FeeRule>) -> Self {
        Self(rules)
    }

    /// A percentage of the basis.
    pub fn percent(percent: Percent) -> Self {
        Self(vec![FeeRule::Percent { percent, minimum: Minor::ZERO, cap: None }])
    }

    /// Its rules.
    pub fn rules(&self) -> &[FeeRule] {
        &self.0
    }

    /// The most that it comes to per milestone, if it is a single rule that has a cap.
    pub(super) fn only_cap(&self) -> Option<Minor> {
        match self.0.as_slice() {
            [rule] => rule.bounds().1,
            _ => None,
        }
    }

    /// Whether it has no rules.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The fee on `basis` alone: nothing charged or billed before, no promotion.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] when it does not fit.
    pub fn on(&self, basis: Minor) -> Result<Minor, MoneyError> {
        let quote = Quote { fee: self, passed_on: &Self::none(), discounts: &[], limit: Limit::None };
        due(&quote, Minor::ZERO, basis)
    }

    /// For people, amounts in `currency`, or in minor units where it has none: `10%`, `5% at least 1.00 USD`,
    /// `20% to 500.00 USD, then 10%`, `0.30 USD per milestone`, joined by ` + `; `0%` for none.
    pub fn describe(&self, currency: Option<Currency>) -> String {
        let rules: Vec<_> = self.0.iter().map(|rule| rule.describe(currency)).collect();
        if rules.is_empty() { "0%".to_owned() } else { rules.join(" + ") }
    }

    fn decimals(&self) -> u32 {
        self.0.iter().flat_map(FeeRule::percents).map(|percent| percent.get().scale()).max().unwrap_or(0)
    }

    fn exact(&self, offset: Minor, basis: Minor, unit: &Unit) -> Result<i128, MoneyError> {
        self.0.iter().try_fold(0, |sum, rule| plus(sum, rule.exact(offset, basis, unit)?))
    }
}

impl Serialize for Fee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [rule] => rule.serialize(serializer),
            rules => rules.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Fee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a fee is a rule or a list of rules")]
        enum OneOrMany {
            One(FeeRule),
            Many(Vec<FeeRule>),
        }
        OneOrMany::deserialize(deserializer).map(|rules| match rules {
            OneOrMany::One(rule) => Self(vec![rule]),
            OneOrMany::Many(rules) => Self(rules),
        })
    }
}

/// Whether a fee can be more than what it is charged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// It is paid on top.
    None,
    /// It is kept of the basis, so it takes at most all of it.
    Basis,
}

/// What is charged: a fee with its discounts, and another without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote<'a> {
    pub fee: &'a Fee,
    /// Has no discounts.
    pub passed_on: &'a Fee,
    /// Those that hold now.
    pub discounts: &'a [&'a Promotion],
    pub limit: Limit,
}

/// R4's F: what the first `basis` of a milestone costs when the pair had billed `offset` before the milestone.
pub(super) fn due(quote: &Quote, offset: Minor, basis: Minor) -> Result<Minor, MoneyError> {
    let decimals = quote.fee.decimals().max(quote.passed_on.decimals());
    let off_decimals = quote.discounts.iter().map(|offer| offer.percent_off.get().scale()).max().unwrap_or(0);
    let off_scale = if quote.discounts.is_empty() { 1 } else { hundred(off_decimals)? };
    let unit = Unit { decimals, per_minor: hundred(decimals)? };

    let mut steps: Vec<Minor> =
        quote.discounts.iter().filter_map(|offer| offer.ends_after(offset)).filter(|end| *end < basis).collect();
    steps.push(basis);
    steps.sort_unstable();
    let (mut sum, mut before) = (0_i128, 0_i128);
    for step in steps {
        let after = quote.fee.exact(offset, step, &unit)?;
        let holding = quote.discounts.iter().filter(|offer| offer.ends_after(offset).is_none_or(|end| step <= end));
        let off = holding.map(|offer| offer.percent_off).max().unwrap_or_default();
        let kept = minus(off_scale, mantissa(off, off_decimals)?)?;
        sum = plus(sum, times(minus(after, before)?, kept)?)?;
        before = after;
    }
    let passed_on = times(quote.passed_on.exact(offset, basis, &unit)?, off_scale)?;
    let total = plus(sum, passed_on)?;
    let scale = times(unit.per_minor, off_scale)?;
    let most = match quote.limit {
        Limit::None => total,
        Limit::Basis => times(i128::from(basis.get()), scale)?,
    };
    rounded_quotient(total.min(most), scale)
}

/// The denominator of exact amounts.
struct Unit {
    /// Decimals of a percentage.
    decimals: u32,
    /// How many of it are a minor unit.
    per_minor: i128,
}

impl Unit {
    fn of(&self, amount: Minor) -> Result<i128, MoneyError> {
        times(i128::from(amount.get()), self.per_minor)
    }

    fn share(&self, amount: Minor, percent: Percent) -> Result<i128, MoneyError> {
        times(i128::from(amount.get()), mantissa(percent, self.decimals)?)
    }
}

/// 100% with that many decimals.
fn hundred(decimals: u32) -> Result<i128, MoneyError> {
    10_i128.checked_pow(decimals).and_then(|unit| unit.checked_mul(100)).ok_or(MoneyError::OutOfRange)
}

/// A percentage with that many decimals, as a whole number.
fn mantissa(percent: Percent, decimals: u32) -> Result<i128, MoneyError> {
    let missing = decimals.checked_sub(percent.get().scale()).ok_or(MoneyError::OutOfRange)?;
    let factor = 10_i128.checked_pow(missing).ok_or(MoneyError::OutOfRange)?;
    times(percent.get().mantissa(), factor)
}

fn plus(a: i128, b: i128) -> Result<i128, MoneyError> {
    a.checked_add(b).ok_or(MoneyError::OutOfRange)
}

fn minus(a: i128, b: i128) -> Result<i128, MoneyError> {
    a.checked_sub(b).ok_or(MoneyError::OutOfRange)
}

fn times(a: i128, b: i128) -> Result<i128, MoneyError> {
    a.checked_mul(b).ok_or(MoneyError::OutOfRange)
}
