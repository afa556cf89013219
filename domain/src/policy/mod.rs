//! What a contract's parties agree beside milestones and fees: its periods (`domain.md` B.12). Copied into the contract
//! when it is offered, and unchanged for its life; deadlines that run are instants already and never move.
//!
//! Days are days of 24 hours, counted from the instant that starts them.
//!
//! # What is deliberately absent
//! Periods of disputes, bookings and approvals, which come with them. Calendars of business days.

mod dormancy;
mod psp_hold;
mod reference;
mod stored;
mod validate;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

pub use dormancy::Dormancy;
pub use psp_hold::{HoldAction, HoldLimit, PspHold};
pub(crate) use reference::policy_ref;
pub(crate) use stored::stored;

pub use crate::fee::{Fee, FeeSchedule};
use crate::time::Timestamp;

/// Who bears what a bank takes back after it was released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liability {
    /// The payee, out of earnings or as a debt; the platform returns its fees. J53, J54.
    #[default]
    Payee,
    /// The platform, which keeps its fees. J55.
    Platform,
}

impl Liability {
    /// Whether it is the usual one, which policies leave out.
    pub fn is_payee(&self) -> bool {
        *self == Self::Payee
    }
}

/// The periods of a contract. A policy stored before a period existed reads with that period's default; events and
/// documents leave out what is a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Name of the policy set.
    pub id: String,
    /// Its version, from 1.
    pub version: u16,
    /// Days until an offer runs out.
    pub offer_expiry_days: u16,
    /// Days from acceptance in which the first funding has to arrive, or the contract is cancelled.
    #[serde(default = "Periods::first_funding_days")]
    pub first_funding_days: u16,
    /// Hours in which a payment that was asked for has to be made.
    #[serde(default = "Periods::funding_intent_hours")]
    pub funding_intent_hours: u16,
    /// Days that a client has to review a submission before it counts as approved, unless the milestone says otherwise.
    pub review_days: u16,
    /// Days that released earnings stay pending before they can be withdrawn.
    pub clearance_days: u16,
    /// Days that the payee has to answer a request to end the contract, before it counts as agreed.
    #[serde(default = "Periods::answer_days")]
    pub end_request_days: u16,
    /// Days that the payee has to answer a request for a refund, before it counts as agreed.
    #[serde(default = "Periods::answer_days")]
    pub refund_request_days: u16,
    /// Days after the newest release of a milestone in which the payee can give money of it back.
    #[serde(default = "Periods::payee_refund_window_days")]
    pub payee_refund_window_days: u16,
    /// Days after the end of a contract in which the client can pay a bonus.
    #[serde(default = "Periods::bonus_window_days")]
    pub bonus_window_days: u16,
    /// What becomes of a contract on which nothing happens any more.
    #[serde(default)]
    pub dormancy: Dormancy,
    /// How long the provider lets money be held.
    #[serde(default)]
    pub psp_hold: PspHold,
    /// Who bears a chargeback of money that was released. What is still held is gone either way.
    #[serde(default, skip_serializing_if = "Liability::is_payee")]
    pub chargeback_liability: Liability,
}

/// Defaults of periods that stored policies, and events with periods of their own, lack. Frozen.
pub(crate) struct Periods;

impl Periods {
    const fn first_funding_days() -> u16 {
        14
    }

    const fn funding_intent_hours() -> u16 {
        24
    }

    pub(crate) const fn answer_days() -> u16 {
        7
    }

    const fn payee_refund_window_days() -> u16 {
        180
    }

    const fn bonus_window_days() -> u16 {
        365
    }
}

impl Policy {
    /// Fixed-price and hourly contracts: 14 days of review, 5 of clearance.
    pub fn fixed() -> Self {
        Self::of("fixed", 14, 5)
    }

    /// Orders of a gig: 3 days of review, 14 of clearance.
    pub fn gig() -> Self {
        Self::of("gig", 3, 14)
    }

    /// Orders of a trusted seller's gig: 3 days of review, 7 of clearance.
    pub fn trusted_gig() -> Self {
        Self::of("trusted_gig", 3, 7)
    }

    /// Bookings: 24 hours of review, 2 days of clearance.
    pub fn booking() -> Self {
        Self::of("booking", 1, 2)
    }

    fn of(id: &str, review_days: u16, clearance_days: u16) -> Self {
        Self {
            id: id.to_owned(),
            version: 1,
            offer_expiry_days: 7,
            first_funding_days: Periods::first_funding_days(),
            funding_intent_hours: Periods::funding_intent_hours(),
            review_days,
            clearance_days,
            end_request_days: Periods::answer_days(),
            refund_request_days: Periods::answer_days(),
            payee_refund_window_days: Periods::payee_refund_window_days(),
            bonus_window_days: Periods::bonus_window_days(),
            dormancy: Dormancy::default(),
            psp_hold: PspHold::default(),
            chargeback_liability: Liability::default(),
        }
    }
}

impl Default for Policy {
    /// That of fixed-price contracts.
    fn default() -> Self {
        Self::fixed()
    }
}

/// `start` plus that many days of 24 hours; the end of time where it would lie beyond it.
pub fn days_after(start: Timestamp, days: u16) -> Timestamp {
    start.checked_add_signed(TimeDelta::days(i64::from(days))).unwrap_or(Timestamp::MAX_UTC)
}

/// `start` plus that many hours; the end of time where it would lie beyond it.
pub fn hours_after(start: Timestamp, hours: u16) -> Timestamp {
    start.checked_add_signed(TimeDelta::hours(i64::from(hours))).unwrap_or(Timestamp::MAX_UTC)
}
