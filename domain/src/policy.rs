//! What a contract's parties agree beside its milestones: fees and periods. Copied into the contract when it is
//! offered, and unchanged for its life.
//!
//! # What is deliberately absent
//! Tiers, minimum, cap, promotions and tax of a fee schedule: [`Fee`] is an enum so that they can join it.

use chrono::TimeDelta;
use ledger::{Minor, MoneyError, Percent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How one fee follows from the amount it is charged on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fee {
    /// A percentage, rounded half away from zero.
    Percent {
        /// From 0 to 100.
        percent: Percent,
    },
}

impl Fee {
    /// A percentage given in whole percent.
    fn whole_percent(percent: u8) -> Self {
        // Every value of `u8` up to 100 is a percentage; the presets below stay far under it.
        Self::Percent { percent: Percent::new(Decimal::from(percent)).unwrap_or_default() }
    }

    /// The fee on `basis`.
    ///
    /// # Errors
    /// [`MoneyError`] when it does not fit.
    pub fn on(&self, basis: Minor) -> Result<Minor, MoneyError> {
        match self {
            Self::Percent { percent } => ledger::percentage(basis, *percent),
        }
    }
}

/// Who pays which fee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSchedule {
    /// Name of the preset or of the operator's own schedule.
    pub id: String,
    /// Its version, from 1.
    pub version: u16,
    /// What the client pays on top of what is escrowed; earned as money is released.
    pub client_fee: Fee,
    /// What is kept of each release.
    pub payee_fee: Fee,
}

impl FeeSchedule {
    /// 5% on top for the client, 10% of each release for the payee.
    pub fn two_sided() -> Self {
        Self {
            id: "two_sided".to_owned(),
            version: 1,
            client_fee: Fee::whole_percent(5),
            payee_fee: Fee::whole_percent(10),
        }
    }
}

/// The periods of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Name of the policy set.
    pub id: String,
    /// Its version, from 1.
    pub version: u16,
    /// Days until an offer runs out.
    pub offer_expiry_days: u16,
    /// Days that a client has to review a submission before it counts as approved, unless the milestone says otherwise.
    pub review_days: u16,
    /// Days that released earnings stay pending before they can be withdrawn.
    pub clearance_days: u16,
    /// Whether a contract about which nothing happens is warned about, becomes dormant, and in the end is settled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dormancy: bool,
}

impl Default for Policy {
    /// The periods of `domain.md` B.12 for fixed-price contracts; without dormancy, which this version cannot settle.
    fn default() -> Self {
        Self {
            id: "fixed".to_owned(),
            version: 1,
            offer_expiry_days: 7,
            review_days: 14,
            clearance_days: 5,
            dormancy: false,
        }
    }
}

/// `start` plus that many days of 24 hours; the end of time where it would lie beyond it.
pub fn days_after(start: Timestamp, days: u16) -> Timestamp {
    start.checked_add_signed(TimeDelta::days(i64::from(days))).unwrap_or(Timestamp::MAX_UTC)
}
