//! How long a payment provider lets money lie, by the country of the account where it lies (B.12, K7).
//!
//! The provider's limit does not wait for what the parties agreed: where it is shorter than the days of silence, money
//! goes back before anybody is warned of dormancy. An account in the United States lets money lie for 730 days.
//!
//! # What is deliberately absent
//! Where the country comes from: whoever offers a contract puts it into the policy; not known, it is one of the others.

use serde::{Deserialize, Serialize};

use super::days_after;
use crate::jurisdiction::Jurisdiction;
use crate::time::Timestamp;

/// Days that reading fills in: Thailand and the United States, all other countries, warnings (Stripe). Frozen: stored
/// policies leave them out.
const LIMITS: [(&str, u16); 2] = [("TH", 10), ("US", 730)];
pub(super) const OTHER_DAYS: u16 = 90;
pub(super) const WARN_DAYS: [u16; 4] = [30, 14, 5, 1];

/// Whether the limits are those that reading fills in.
pub(super) fn is_usual(limits: &[HoldLimit]) -> bool {
    let limits = limits.iter().map(|limit| (limit.country.code(), limit.days));
    limits.eq(LIMITS)
}

/// What is done with money that reaches the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldAction {
    /// It goes back to the client.
    #[default]
    Refund,
    /// It is released where work was submitted, and goes back to the client elsewhere.
    ReleaseIfSubmitted,
    /// An operator decides.
    Operator,
}

/// The limit of one country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldLimit {
    /// Where the provider's account is.
    pub country: Jurisdiction,
    /// Days from the payment.
    pub days: u16,
}

/// Limits, warnings, and what is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PspHold {
    /// The country of the platform's own account, where escrowed money lies; unknown: the limit of other countries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_country: Option<Jurisdiction>,
    /// Limits by country.
    pub limits: Vec<HoldLimit>,
    /// Days in all other countries.
    pub other_days: u16,
    /// So many days before the limit there is a warning, falling.
    pub warn_days: Vec<u16>,
    /// What is done at the limit.
    pub action: HoldAction,
}

impl Default for PspHold {
    /// Thailand 10 days, United States 730, elsewhere 90 (Stripe); warnings 30, 14, 5 and 1 day before; refund.
    fn default() -> Self {
        let limit = |(code, days): (&str, u16)| Jurisdiction::new(code).ok().map(|country| HoldLimit { country, days });
        Self {
            platform_country: None,
            limits: LIMITS.into_iter().filter_map(limit).collect(),
            other_days: OTHER_DAYS,
            warn_days: WARN_DAYS.to_vec(),
            action: HoldAction::Refund,
        }
    }
}

impl PspHold {
    /// Days that money may lie in an account of that country.
    pub fn days_in(&self, country: Option<&Jurisdiction>) -> u16 {
        let limit =
            self.limits.iter().find(|limit| country.is_some_and(|known| known.country() == limit.country.code()));
        limit.map_or(self.other_days, |limit| limit.days)
    }

    /// When money that arrived in the platform's account has to have left it.
    pub fn limit(&self, arrived_at: Timestamp) -> Timestamp {
        days_after(arrived_at, self.days_in(self.platform_country.as_ref()))
    }

    /// The warnings before that: days left and instant, earliest first. None for what is past when the money arrives.
    pub fn warnings(&self, arrived_at: Timestamp) -> Vec<(u16, Timestamp)> {
        let days = self.days_in(self.platform_country.as_ref());
        let mut warnings: Vec<_> = self
            .warn_days
            .iter()
            .filter_map(|left| days.checked_sub(*left).filter(|after| *after > 0).map(|after| (*left, after)))
            .map(|(left, after)| (left, days_after(arrived_at, after)))
            .collect();
        warnings.sort_unstable_by_key(|(_, at)| *at);
        warnings
    }
}
