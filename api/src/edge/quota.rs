//! How much is allowed in how long, and who has used how much of it (GCRA, ITU-T I.371).
//!
//! # Invariants
//! - No more than the quota's requests pass at once, and none is lost to a window's border: each request is given back
//!   alone, evenly over the window.
//! - A refusal takes nothing: who keeps asking does not wait longer.
//! - Memory is bounded: of more than [`MOST`] keys those that have used least are forgotten first, so that who is refused
//!   cannot get free by sending under many names.
//! - Keys are kept as keyed hashes only: no token and no address is in memory longer than its request.
//!
//! # What is deliberately absent
//! - Counting across servers: each counts for itself. A clock: the caller brings the time.
//! - The crate `governor` (0.10), which does the same arithmetic: its stores of keys have no bound, and what it gives to
//!   keep them small forgets only those whose quota is whole, so that many names fill the memory. With a bounded store of
//!   ours inside it, ten lines of arithmetic would be all that is left to it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Keys that are remembered at most, of about 40 bytes each.
pub const MOST: usize = 100_000;

/// Largest quota.
const MAX_REQUESTS: u32 = 1_000_000;

/// Longest window: a day.
const MAX_SECONDS: u32 = 24 * 60 * 60;

/// So many requests in so many seconds, at once or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    requests: u32,
    seconds: u32,
}

/// No quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("say requests and seconds, such as 100/60: 1 to 1000000 requests in 1 to 86400 seconds; or off")]
pub struct QuotaError;

impl Quota {
    /// So many requests in so many seconds.
    ///
    /// # Errors
    /// [`QuotaError`] when one of them is 0 or too large.
    pub const fn new(requests: u32, seconds: u32) -> Result<Self, QuotaError> {
        if requests == 0 || requests > MAX_REQUESTS || seconds == 0 || seconds > MAX_SECONDS {
            return Err(QuotaError);
        }
        Ok(Self { requests, seconds })
    }

    /// Requests that may come at once.
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// Seconds after which all of them may come again.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// Nanoseconds after which one more may come.
    fn interval(self) -> u64 {
        u64::from(self.seconds).saturating_mul(NANOS) / u64::from(self.requests)
    }
}

const NANOS: u64 = 1_000_000_000;

/// A quota, or none: as `100/60`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Quota>);

impl FromStr for Limit {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        if text == "off" {
            return Ok(Self(None));
        }
        let (requests, seconds) = text.split_once('/').ok_or(QuotaError)?;
        let number = |text: &str| text.trim().parse().map_err(|_| QuotaError);
        Quota::new(number(requests)?, number(seconds)?).map(|quota| Self(Some(quota)))
    }
}

/// What a request may do, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may pass.
    pub allowed: bool,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// Whole seconds until one request more than now may pass.
    pub seconds: u64,
}

/// Who has used how much of a quota.
#[derive(Debug)]
pub struct Buckets {
    quota: Quota,
    interval: u64,
    most: usize,
    hasher: RandomState,
    /// By the hash of the key: when its quota is whole again, in nanoseconds of the caller's clock.
    whole_at: Mutex<HashMap<u64, u64>>,
}

impl Buckets {
    /// Nobody has used anything.
    pub fn new(quota: Quota) -> Self {
        Self::with_room(quota, MOST)
    }

    fn with_room(quota: Quota, most: usize) -> Self {
        let interval = quota.interval();
        Self { quota, interval, most, hasher: RandomState::new(), whole_at: Mutex::default() }
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one request of `key`'s quota, if there is one left, at `now` since any fixed instant.
    pub fn take(&self, key: impl Hash, now: Duration) -> Verdict {
        let key = self.hasher.hash_one(key);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let depth = self.interval.saturating_mul(u64::from(self.quota.requests));
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = whole_at.get(&key).copied();
        let after = before.unwrap_or(0).max(now).saturating_add(self.interval);
        let used = after.saturating_sub(now);
        if used > depth {
            return Verdict { allowed: false, remaining: 0, seconds: (used - depth).div_ceil(NANOS) };
        }
        if before.is_none() && whole_at.len() >= self.most {
            make_room(&mut whole_at, now);
        }
        whole_at.insert(key, after);
        let remaining = (depth - used).checked_div(self.interval).unwrap_or(0);
        let wait = remaining.saturating_add(1).saturating_mul(self.interval).saturating_add(used).saturating_sub(depth);
        let remaining = u32::try_from(remaining).unwrap_or(self.quota.requests);
        Verdict { allowed: true, remaining, seconds: wait.div_ceil(NANOS) }
    }
}

/// Forgets whose quota is whole, and if that is not enough the half that has used least.
fn make_room(whole_at: &mut HashMap<u64, u64>, now: u64) {
    let before = whole_at.len();
    whole_at.retain(|_, at| *at > now);
    if whole_at.len() > before / 2 {
        let mut instants: Vec<u64> = whole_at.values().copied().collect();
        let half = instants.len() / 2;
        let (_, median, _) = instants.select_nth_unstable(half);
        let median = *median;
        whole_at.retain(|_, at| *at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn quota(text: &str) -> Quota {
        text.parse::<Limit>().unwrap().0.unwrap()
    }

    #[test]
    fn a_quota_is_requests_and_seconds() {
        assert_eq!((quota("100/60").requests(), quota("100/60").seconds()), (100, 60));
        assert_eq!("off".parse(), Ok(Limit(None)));
        for wrong in ["", "100", "0/60", "100/0", "-1/60", "1000001/60", "1/86401", "1/60/2", "many/60"] {
            assert_eq!(wrong.parse::<Limit>(), Err(QuotaError), "{wrong}");
        }
    }

    #[test]
    fn the_whole_quota_may_come_at_once_and_then_evenly() {
        let buckets = Buckets::new(quota("3/60"));
        let seen: Vec<_> =
            (0..3).map(|_| buckets.take("a", at(5))).map(|v| (v.allowed, v.remaining, v.seconds)).collect();
        assert_eq!(seen, [(true, 2, 20), (true, 1, 20), (true, 0, 20)]);
        let refused = Verdict { allowed: false, remaining: 0, seconds: 20 };
        assert_eq!(buckets.take("a", at(5)), refused);
        assert_eq!(buckets.take("a", at(5)), refused, "a refusal takes nothing");
        assert_eq!(buckets.take("a", at(20_004)).seconds, 1);
        assert!(buckets.take("a", at(20_005)).allowed, "one is back");
        assert!(!buckets.take("a", at(20_005)).allowed);
        assert!(buckets.take("b", at(20_005)).allowed, "others are not concerned");
        let rested = buckets.take("a", at(200_000));
        assert_eq!((rested.allowed, rested.remaining), (true, 2), "no more is saved up than the quota");
        let later = buckets.take("a", at(215_000));
        assert_eq!((later.remaining, later.seconds), (1, 5), "three quarters of the way to the next one");
    }

    #[test]
    fn a_window_that_requests_do_not_divide_still_holds_them_all() {
        let buckets = Buckets::new(quota("7/60"));
        let left: Vec<_> = (0..8).map(|_| buckets.take("a", at(0))).map(|v| v.allowed.then_some(v.remaining)).collect();
        assert_eq!(left, [Some(6), Some(5), Some(4), Some(3), Some(2), Some(1), Some(0), None]);
        assert!(buckets.take("fast", at(u64::MAX)).seconds <= 60, "no overflow at the end of time");
    }

    #[test]
    fn many_names_fill_no_memory_and_free_nobody() {
        let buckets = Buckets::with_room(quota("5/60"), 100);
        for _ in 0..5 {
            buckets.take("loud", at(0));
        }
        for name in 0..10_000 {
            assert!(buckets.take(name, at(1)).allowed);
            assert!(buckets.whole_at.lock().unwrap().len() <= 100);
        }
        assert!(!buckets.take("loud", at(1)).allowed, "still known");
        let rested = Buckets::with_room(quota("5/60"), 100);
        for name in 0..100 {
            rested.take(name, at(0));
        }
        rested.take("last", at(100_000));
        assert_eq!(rested.whole_at.lock().unwrap().len(), 1, "whose quota is whole is forgotten");
    }
}
