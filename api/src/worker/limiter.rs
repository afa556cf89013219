//! A provider that is not asked faster than it allows.
//!
//! # Invariants
//! - Of all calls of this server, whoever makes them, so many begin per second at most; a burst is one second's worth.
//! - When the provider asks to slow down or is not available for a while, all calls wait: as long as it says, otherwise for a second, doubling up to a
//!   minute while it goes on; and a little longer by chance, so that servers do not come back together.
//!
//! # What is deliberately absent
//! A limit over several servers: each has its own, so give each its share (`earnest outbox limit`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ports::history::{Found, NoticePage, Recent};
use domain::ports::provider::{ProviderError, ProviderObject, ProviderOrder, ProviderReport};
use domain::ports::{PaymentProvider, ProviderHistory};
use domain::time::Timestamp;
use rand::Rng;

/// Longest pause that is made without being asked for it.
const LONGEST: Duration = Duration::from_secs(60);

/// Longest pause that the provider can ask for: an answer that says more is a mistake.
const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// A provider, and the pace at which it is called. Cheap to clone; clones share the pace.
#[derive(Debug)]
pub struct Limited<P> {
    provider: Arc<P>,
    pace: Arc<Mutex<Pace>>,
}

impl<P> Clone for Limited<P> {
    fn clone(&self) -> Self {
        Self { provider: Arc::clone(&self.provider), pace: Arc::clone(&self.pace) }
    }
}

/// When the next calls may begin: a token bucket, kept as the instant at which it is empty.
#[derive(Debug)]
struct Pace {
    /// Between two calls; zero is no limit.
    gap: Duration,
    /// When the next call begins if no burst is left.
    next: Instant,
    /// Nothing begins before.
    closed_until: Option<Instant>,
    /// How often in a row the provider asked to slow down.
    refusals: u32,
}

impl Pace {
    fn new(calls_per_second: Option<u32>, now: Instant) -> Self {
        Self { gap: gap(calls_per_second), next: now, closed_until: None, refusals: 0 }
    }

    /// Takes a turn, and tells how long to wait for it.
    fn turn(&mut self, now: Instant) -> Duration {
        let opens = self.closed_until.map_or(now, |until| until.max(now));
        if self.gap.is_zero() {
            return opens.duration_since(now);
        }
        // A second's worth of turns is kept for a burst.
        let earliest = opens.checked_sub(Duration::from_secs(1)).unwrap_or(opens);
        let at = self.next.max(earliest);
        self.next = at.checked_add(self.gap).unwrap_or(at);
        self.next.max(opens).saturating_duration_since(now)
    }

    /// The provider asked to slow down. `chance`: 0 to 255.
    fn slow_down(&mut self, now: Instant, asked: Option<Duration>, chance: u8) -> Duration {
        let doubled = Duration::from_secs(1_u64.checked_shl(self.refusals.min(6)).unwrap_or(60)).min(LONGEST);
        // Calls that were under way together are refused together: that is one refusal.
        if self.closed_until.is_none_or(|until| until <= now) {
            self.refusals = self.refusals.saturating_add(1);
        }
        let pause = asked.map_or(doubled, |asked| asked.min(LONGEST_ASKED));
        let jitter = pause.saturating_mul(u32::from(chance)) / 1024;
        let pause = pause.saturating_add(jitter);
        let until = now.checked_add(pause).unwrap_or(now);
        self.closed_until = Some(self.closed_until.map_or(until, |known| known.max(until)));
        pause
    }
}

fn gap(calls_per_second: Option<u32>) -> Duration {
    calls_per_second.map_or(Duration::ZERO, |calls| Duration::from_secs(1) / calls.max(1))
}

impl<P: ProviderHistory> Limited<P> {
    /// At most as many calls per second as the provider says.
    pub fn new(provider: Arc<P>) -> Self {
        let pace = Pace::new(provider.calls_per_second(), Instant::now());
        Self { provider, pace: Arc::new(Mutex::new(pace)) }
    }

    /// From now on at most so many calls per second; `None` leaves it to the provider.
    pub fn set(&self, calls_per_second: Option<u32>) {
        self.lock().gap = gap(calls_per_second.or_else(|| self.provider.calls_per_second()));
    }
}

impl<P> Limited<P> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pace> {
        // A few numbers, whole after every statement.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn paced<T>(&self, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
        let wait = self.lock().turn(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let answer = call.await;
        match answer {
            Err(ProviderError::RateLimited { retry_after }) => {
                metrics::counter!("psp_rate_limited_total").increment(1);
                let pause = self.lock().slow_down(Instant::now(), retry_after, rand::rng().random());
                Err(ProviderError::RateLimited { retry_after: Some(pause) })
            }
            Err(ProviderError::Unavailable { why, retry_after }) => {
                metrics::counter!("psp_unavailable_total").increment(1);
                let pause = self.lock().slow_down(Instant::now(), Some(retry_after), rand::rng().random());
                Err(ProviderError::Unavailable { why, retry_after: pause })
            }
            Ok(value) => {
                self.lock().refusals = 0;
                Ok(value)
            }
            Err(error) => Err(error),
        }
    }
}

impl<P: PaymentProvider> PaymentProvider for Limited<P> {
    async fn carry_out(&self, order: &ProviderOrder, idempotency_key: &str) -> Result<ProviderReport, ProviderError> {
        self.paced(self.provider.carry_out(order, idempotency_key)).await
    }

    async fn look_up(&self, object: &ProviderObject) -> Result<ProviderReport, ProviderError> {
        self.paced(self.provider.look_up(object)).await
    }

    async fn platform(&self) -> Result<Option<String>, ProviderError> {
        self.paced(self.provider.platform()).await
    }
}

impl<P: ProviderHistory> ProviderHistory for Limited<P> {
    async fn find(&self, order: &ProviderOrder, since: Timestamp) -> Result<Found, ProviderError> {
        self.paced(self.provider.find(order, since)).await
    }

    async fn notices(
        &self,
        account: Option<&str>,
        since: Timestamp,
        after: Option<&str>,
    ) -> Result<NoticePage, ProviderError> {
        self.paced(self.provider.notices(account, since, after)).await
    }

    async fn recent(&self, since: Timestamp) -> Result<Recent, ProviderError> {
        self.paced(self.provider.recent(since)).await
    }

    fn calls_per_second(&self) -> Option<u32> {
        self.provider.calls_per_second()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(duration: Duration) -> u128 {
        duration.as_millis()
    }

    #[test]
    fn a_burst_is_a_second_s_worth_and_then_calls_keep_their_distance() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(10), now);
        // Idle for long: what was saved up is a second's worth, no more.
        let now = now + Duration::from_secs(60);
        let waits: Vec<_> = (0..14).map(|_| millis(pace.turn(now))).collect();
        assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), 10);
        assert_eq!(waits[10..], [100, 200, 300, 400]);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let now = Instant::now();
        let mut pace = Pace::new(None, now);
        assert!((0..1000).all(|_| pace.turn(now).is_zero()));
    }

    #[test]
    fn all_wait_when_the_provider_asks_to_slow_down() {
        let now = Instant::now();
        let mut pace = Pace::new(None, now);
        assert_eq!(millis(pace.slow_down(now, Some(Duration::from_secs(7)), 0)), 7000);
        assert_eq!(millis(pace.turn(now)), 7000);
        // A shorter one does not open it earlier.
        pace.slow_down(now, Some(Duration::from_secs(2)), 0);
        assert_eq!(millis(pace.turn(now)), 7000);
        assert!(pace.turn(now + Duration::from_secs(8)).is_zero());
    }

    #[tokio::test]
    async fn a_provider_that_is_not_available_is_left_alone_for_as_long_as_it_asks() {
        let pace = Arc::new(Mutex::new(Pace::new(None, Instant::now())));
        let limited = Limited { provider: Arc::new(()), pace };
        let asked = Duration::from_secs(7);
        let down = ProviderError::Unavailable { why: "down".to_owned(), retry_after: asked };
        let told: Result<(), _> = limited.paced(std::future::ready(Err(down))).await;
        let Err(ProviderError::Unavailable { why, retry_after }) = told else { panic!("{told:?}") };
        assert_eq!(why, "down");
        assert!((asked..asked * 5 / 4).contains(&retry_after), "a little longer by chance: {retry_after:?}");
        assert!(limited.lock().turn(Instant::now()) > Duration::from_secs(6), "all others wait, too");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_differ_by_chance() {
        let mut now = Instant::now();
        let mut pace = Pace::new(None, now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = pace.slow_down(now, None, 0);
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        let by_chance = pace.slow_down(now, Some(Duration::from_secs(1)), 255);
        assert!((1200..1250).contains(&millis(by_chance)), "{by_chance:?}");
    }
}
