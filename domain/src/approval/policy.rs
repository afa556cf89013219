//! What it takes to carry a command out: the tenant's rules.
//!
//! # Invariants
//! - A rule asks for somebody: at least one approver, out of roles whose own word the command would be.

use std::collections::BTreeMap;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{Kind, Proposed};
use crate::actor::StaffRole;
use crate::refusal::Refusal;

/// Most approvers that a rule may ask for.
pub const MAX_APPROVERS: u8 = 5;

/// Longest that a rule may let a proposal wait, in hours: 30 days.
pub const MAX_HOURS: u16 = 720;

/// How long a proposal waits unless the tenant says otherwise, in hours (domain.md B.12, `approval_expiry`).
const HOURS: u16 = 72;

/// What a proposal takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// How many others have to approve it, 1 to [`MAX_APPROVERS`].
    pub approvers: u8,
    /// In which role each of them has to be one.
    pub roles: Vec<StaffRole>,
    /// How long it waits, in hours, 1 to [`MAX_HOURS`].
    pub hours: u16,
}

impl Rule {
    /// The rule of a kind of command unless the tenant says otherwise: one other, within 72 hours.
    pub fn standard(kind: Kind) -> Self {
        Self { approvers: 1, roles: kind.approvers().to_vec(), hours: HOURS }
    }

    /// Refuses a rule that cannot be kept, or asks nobody, or somebody who may not do such a thing.
    ///
    /// # Errors
    /// `validation_failed`, at the member.
    pub fn check(&self, kind: Kind) -> Result<(), Refusal> {
        if !(1..=MAX_APPROVERS).contains(&self.approvers) {
            return Err(Refusal::invalid("/approvers", format!("must be 1 to {MAX_APPROVERS}")));
        }
        if !(1..=MAX_HOURS).contains(&self.hours) {
            return Err(Refusal::invalid("/hours", format!("must be 1 to {MAX_HOURS}")));
        }
        if self.roles.is_empty() || self.roles.iter().any(|role| !kind.approvers().contains(role)) {
            let words: Vec<_> = kind.approvers().iter().map(|role| role.word()).collect();
            return Err(Refusal::invalid("/roles", format!("must be some of {}", words.join(", "))));
        }
        Ok(())
    }
}

/// What the tenant says of one kind of command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindRule {
    /// Up to this many whole units of any currency nobody else is asked; 0 when somebody always is. What says no amount
    /// always needs approval.
    pub above_units: u32,
    /// What it takes above.
    pub rule: Rule,
}

/// What the tenant says of each kind of command; of what is not in it, nobody else is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FourEyes {
    /// The rules.
    pub rules: BTreeMap<Kind, KindRule>,
}

impl Default for FourEyes {
    /// What gives money up or lets it go for good needs one other; a freeze is carried out at once.
    fn default() -> Self {
        let asked = [Kind::UnfreezeEscrow, Kind::WriteOffDebt, Kind::AcceptChargeback];
        let rule = |kind| (kind, KindRule { above_units: 0, rule: Rule::standard(kind) });
        Self { rules: asked.into_iter().map(rule).collect() }
    }
}

impl FourEyes {
    /// What this command takes; `None` when nobody else is asked.
    pub fn needed(&self, command: &Proposed) -> Option<&Rule> {
        let KindRule { above_units, rule } = self.rules.get(&command.kind())?;
        let below = command.amount().is_some_and(|(amount, currency)| !is_above(amount, currency, *above_units));
        (!below).then_some(rule)
    }
}

/// Whether it is more than this many whole units. What is too large to be counted is not.
fn is_above(amount: Minor, currency: Currency, units: u32) -> bool {
    let unit = 10_i64.checked_pow(currency.exponent());
    let threshold = unit.and_then(|unit| unit.checked_mul(i64::from(units)));
    threshold.is_some_and(|threshold| amount.get() > threshold)
}
