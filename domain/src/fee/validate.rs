//! Whether a schedule is sensible, for whoever writes one. What is stored in a contract is not judged again.

use std::collections::BTreeSet;

use ledger::{Currency, Minor, Percent};
use rust_decimal::Decimal;

use super::{Bearer, Fee, FeeRule, FeeSchedule, Promotion, Tier};
use crate::refusal::Refusal;

/// Decimals of a percentage in a schedule: `12.345678`. An amount of 63 bits times two such percentages fits 128 bits.
const MAX_DECIMALS: u32 = 6;
/// Longest name; a dimension or a report column holds it.
const MAX_ID_LENGTH: usize = 64;
/// More rules, tiers, promotions or jurisdictions than this nobody can explain to a payee; sums of them stay in range.
const MAX_ENTRIES: usize = 300;

impl FeeSchedule {
    /// Checks a schedule that somebody wrote.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with a pointer to the first thing that is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        check_id(&self.id, "/id")?;
        if self.version == 0 {
            return Err(Refusal::invalid("/version", "must be at least 1"));
        }
        check_fee(&self.client_fee, "/client_fee")?;
        check_fee(&self.payee_fee, "/payee_fee")?;
        check_fee(&self.processing_fee, "/processing_fee")?;
        if !self.processing_fee.is_none() && self.processing_fee_payer == Bearer::Platform {
            let message = "must be client or payee when a processing fee is passed on";
            return Err(Refusal::invalid("/processing_fee_payer", message));
        }
        check_amount(self.initiation_fee, "/initiation_fee")?;
        check_promotions(&self.promotions)?;
        self.check_tax()?;
        if self.currency.is_none() && self.has_amounts() {
            return Err(Refusal::invalid("/currency", "must be given, because the schedule has amounts"));
        }
        self.check_sum()
    }

    /// Checks that it fits a contract in `currency`.
    ///
    /// # Errors
    /// [`Refusal::CurrencyMismatch`] when its amounts are in another.
    pub fn check_currency(&self, currency: Currency) -> Result<(), Refusal> {
        match self.currency {
            Some(own) if own != currency => Err(Refusal::CurrencyMismatch { expected: own, received: currency }),
            _ => Ok(()),
        }
    }

    fn has_amounts(&self) -> bool {
        let of_rule = |rule: &FeeRule| {
            let (minimum, cap) = rule.bounds();
            !minimum.is_zero() || cap.is_some()
        };
        !self.initiation_fee.is_zero() || self.goes_by_billing() || self.rules().any(of_rule)
    }

    /// What is kept of a release can be all of it, not more: fee, processing fee, the tax on both, and withholding.
    fn check_sum(&self) -> Result<(), Refusal> {
        let hundred = Decimal::ONE_HUNDRED;
        let fee = steepest(&self.payee_fee).checked_add(steepest(self.passed_on_to(Bearer::Payee)));
        let fee = fee.ok_or_else(|| Refusal::invalid("/payee_fee", "is out of range"))?;
        if fee > hundred {
            return Err(Refusal::invalid("/payee_fee", "must not exceed 100% together with the processing fee"));
        }
        let rates = self.tax.rules.iter().map(|rule| (rule.percent, rule.withholding));
        let party = self.tax.payee.iter().map(|tax| (tax.percent, tax.withholding));
        for (percent, withholding) in rates.chain(party) {
            let factor = hundred.checked_add(percent.get()).and_then(|sum| sum.checked_div(hundred));
            let kept = factor.and_then(|factor| fee.checked_mul(factor));
            let kept = kept.and_then(|kept| kept.checked_add(withholding.get()));
            if kept.is_none_or(|kept| kept > hundred) {
                let message = "must not exceed 100% together with its tax and withholding";
                return Err(Refusal::invalid("/payee_fee", message));
            }
        }
        Ok(())
    }

    fn check_tax(&self) -> Result<(), Refusal> {
        if self.tax.rules.len() > MAX_ENTRIES {
            return Err(Refusal::invalid("/tax/rules", format!("must have at most {MAX_ENTRIES} entries")));
        }
        let mut seen = BTreeSet::new();
        for (index, rule) in self.tax.rules.iter().enumerate() {
            let at = format!("/tax/rules/{index}");
            if !seen.insert(&rule.jurisdiction) {
                return Err(Refusal::invalid(format!("{at}/jurisdiction"), "appears twice"));
            }
            check_percent(rule.percent, &format!("{at}/percent"))?;
            check_percent(rule.withholding, &format!("{at}/withholding"))?;
        }
        for (party, at) in [(&self.tax.client, "/tax/client"), (&self.tax.payee, "/tax/payee")] {
            let Some(tax) = party else { continue };
            check_percent(tax.percent, &format!("{at}/percent"))?;
            check_percent(tax.withholding, &format!("{at}/withholding"))?;
        }
        Ok(())
    }
}

fn check_id(id: &str, pointer: &str) -> Result<(), Refusal> {
    let plain = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if id.is_empty() || id.len() > MAX_ID_LENGTH || !plain {
        return Err(Refusal::invalid(pointer, format!("must be 1 to {MAX_ID_LENGTH} characters out of a-z 0-9 _")));
    }
    Ok(())
}

fn check_percent(percent: Percent, pointer: &str) -> Result<(), Refusal> {
    if percent.get().scale() > MAX_DECIMALS {
        return Err(Refusal::invalid(pointer, format!("must have at most {MAX_DECIMALS} decimals")));
    }
    Ok(())
}

fn check_amount(amount: Minor, pointer: &str) -> Result<(), Refusal> {
    if amount > Minor::MAX_INPUT {
        return Err(Refusal::invalid(pointer, format!("must be at most {} minor units", Minor::MAX_INPUT)));
    }
    Ok(())
}

fn check_fee(fee: &Fee, at: &str) -> Result<(), Refusal> {
    if fee.rules().len() > MAX_ENTRIES {
        return Err(Refusal::invalid(at, format!("must have at most {MAX_ENTRIES} rules")));
    }
    for (index, rule) in fee.rules().iter().enumerate() {
        let at = if fee.rules().len() == 1 { at.to_owned() } else { format!("{at}/{index}") };
        let (minimum, cap) = rule.bounds();
        match rule {
            FeeRule::Fixed { amount } if amount.is_zero() => {
                return Err(Refusal::invalid(format!("{at}/amount"), "must be greater than zero"));
            }
            FeeRule::Fixed { amount } => check_amount(*amount, &format!("{at}/amount"))?,
            FeeRule::Percent { percent, .. } => check_percent(*percent, &format!("{at}/percent"))?,
            FeeRule::Tiered { tiers, .. } => check_tiers(tiers, &format!("{at}/tiers"))?,
        }
        check_amount(minimum, &format!("{at}/minimum"))?;
        if let Some(cap) = cap {
            check_amount(cap, &format!("{at}/cap"))?;
            if cap < minimum {
                return Err(Refusal::invalid(format!("{at}/cap"), "must not be less than the minimum"));
            }
        }
    }
    Ok(())
}

/// Steps that rise, the last without an end, so that every amount is in one of them.
fn check_tiers(tiers: &[Tier], at: &str) -> Result<(), Refusal> {
    if tiers.is_empty() || tiers.len() > MAX_ENTRIES {
        return Err(Refusal::invalid(at, format!("must have 1 to {MAX_ENTRIES} steps")));
    }
    let last = tiers.len().saturating_sub(1);
    let mut low = Minor::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        check_percent(tier.percent, &format!("{at}/{index}/percent"))?;
        let pointer = format!("{at}/{index}/up_to");
        match tier.up_to {
            None if index == last => {}
            None => return Err(Refusal::invalid(pointer, "must be given for every step but the last")),
            Some(_) if index == last => return Err(Refusal::invalid(pointer, "must not be given for the last step")),
            Some(up_to) if up_to <= low => {
                return Err(Refusal::invalid(pointer, "must be more than that of the step before"));
            }
            Some(up_to) => {
                check_amount(up_to, &pointer)?;
                low = up_to;
            }
        }
    }
    Ok(())
}

fn check_promotions(promotions: &[Promotion]) -> Result<(), Refusal> {
    if promotions.len() > MAX_ENTRIES {
        return Err(Refusal::invalid("/promotions", format!("must have at most {MAX_ENTRIES} entries")));
    }
    let mut seen = BTreeSet::new();
    for (index, promotion) in promotions.iter().enumerate() {
        let at = format!("/promotions/{index}");
        check_id(&promotion.id, &format!("{at}/id"))?;
        if !seen.insert(&promotion.id) {
            return Err(Refusal::invalid(format!("{at}/id"), "appears twice"));
        }
        check_percent(promotion.percent_off, &format!("{at}/percent_off"))?;
        if promotion.percent_off == Percent::default() {
            return Err(Refusal::invalid(format!("{at}/percent_off"), "must be greater than zero"));
        }
        if promotion.until.is_none() && promotion.first_billed.is_none() && promotion.first_contracts.is_none() {
            return Err(Refusal::invalid(at, "must end: until, first_billed or first_contracts"));
        }
        if promotion.first_contracts == Some(0) {
            return Err(Refusal::invalid(format!("{at}/first_contracts"), "must be greater than zero"));
        }
        if let Some(first) = promotion.first_billed {
            check_amount(first, &format!("{at}/first_billed"))?;
            if first.is_zero() {
                return Err(Refusal::invalid(format!("{at}/first_billed"), "must be greater than zero"));
            }
        }
    }
    Ok(())
}

/// The most that a fee takes of the next minor unit, in percent; minimum and fixed amount aside, which the basis limits.
fn steepest(fee: &Fee) -> Decimal {
    let of_rule = |rule: &FeeRule| rule.percents().map(Percent::get).max().unwrap_or_default();
    fee.rules().iter().map(of_rule).fold(Decimal::ZERO, Decimal::saturating_add)
}
