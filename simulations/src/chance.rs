//! The one source of randomness of a run.

use domain::time::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// Chances that follow from a seed.
#[derive(Debug)]
pub struct Chance {
    stream: ChaCha8Rng,
}

impl Chance {
    /// The chances of this seed.
    pub fn new(seed: u64) -> Self {
        Self { stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// True so many times in a thousand.
    pub fn per_mille(&mut self, times: u32) -> bool {
        self.stream.random_ratio(times.min(1000), 1000)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.stream.random_range(low..=high.max(low))
    }

    /// An index into something of this length; 0 when it is empty.
    pub fn below(&mut self, length: usize) -> usize {
        // u64, so that a run is the same on machines of another word size.
        let index = self.stream.random_range(0..(length as u64).max(1));
        usize::try_from(index).unwrap_or(0)
    }

    /// One of these; `None` when there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len());
        from.get(index)
    }

    /// A UUIDv7 of this instant.
    pub fn uuid(&mut self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let random: [u8; 10] = self.stream.random();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
