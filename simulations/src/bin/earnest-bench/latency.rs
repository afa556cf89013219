//! How long things took, in whole microseconds.

use std::time::Duration;

/// Durations of one kind of thing.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    micros: Vec<u64>,
}

impl Latencies {
    /// Notes one.
    pub fn note(&mut self, took: Duration) {
        self.micros.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes another caller's in.
    pub fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    /// The value that so many per mille are not above; 0 when there is none.
    pub fn per_mille(&mut self, share: usize) -> u64 {
        self.micros.sort_unstable();
        let place = self.micros.len().saturating_mul(share) / 1000;
        self.micros.get(place.min(self.micros.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// How many per second.
pub fn per_second(count: usize, took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    let scaled = u128::try_from(count).unwrap_or(u128::MAX).saturating_mul(1_000_000_000);
    u64::try_from(scaled / nanos).unwrap_or(u64::MAX)
}

/// The one in the middle; 0 of none.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
