//! Sends stored events to the webhook endpoints.
//!
//! # Invariants
//! - A delivery is sent at least once: it counts as delivered only after a 2xx was stored. One that was under way when the
//!   process ended is sent again by the next.
//! - No request waits for a delivery. A receiver that is slow holds one of [`PARALLEL`] places for at most [`TIMEOUT`].
//! - `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 of `{t}.{body}`, `t` in wall time
//!   (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! # What is deliberately absent
//! Order: Stripe promises none. Giving up: Stripe does after three days; here a receiver may be a laptop that was asleep.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::events::{Endpoint, Endpoints};
use super::faults::{DeliveryFault, Faults};
use super::wall;

/// Deliveries under way at once: a little parallel, so that a receiver sees events out of order now and then.
const PARALLEL: usize = 8;
/// Deliveries read at once: enough to keep eight senders busy between two queries.
const BATCH: i64 = 64;
/// How long a receiver may take. Stripe does not publish its figure; receivers are told to answer at once.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Waiting times after the first, second, … failed attempt, in seconds. The last one repeats.
const BACKOFF: &[i64] = &[1, 5, 30, 120, 600];
/// The worker looks for due deliveries at least this often; it is the precision of retries.
const TICK: Duration = Duration::from_secs(1);
/// How long deliveries under way may take when the sandbox shuts down. They are sent again after the next start.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, sqlx::FromRow)]
struct Delivery {
    id: i64,
    endpoint: String,
    attempts: i32,
    faulted: bool,
    #[sqlx(rename = "type")]
    kind: String,
    body: String,
}

#[derive(Debug)]
struct Attempt {
    id: i64,
    attempts: i32,
    /// `None` when there was no answer.
    status: Option<u16>,
}

impl Attempt {
    fn delivered(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Sends events until told to stop.
pub(super) struct Courier {
    pub(super) pool: PgPool,
    pub(super) endpoints: Endpoints,
    pub(super) faults: Arc<Faults>,
    pub(super) client: reqwest::Client,
}

/// The client that posts to endpoints: no proxy (they are neighbours), no redirects (a redirect is not a 2xx).
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("earnest-sandbox/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Courier {
    /// Runs until `stop` says so or is gone.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let courier = Arc::new(self);
        let mut waiting: VecDeque<Delivery> = VecDeque::new();
        let mut under_way: JoinSet<Attempt> = JoinSet::new();
        let mut claimed: HashMap<tokio::task::Id, i64> = HashMap::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = true;
        let mut wake_at: Option<DateTime<Utc>> = None;
        if let Err(error) = courier.resume().await {
            tracing::warn!(%error, "sandbox: what an earlier run left could not be made due");
        }
        loop {
            if look && waiting.len() < PARALLEL {
                let known: Vec<i64> =
                    waiting.iter().map(|delivery| delivery.id).chain(claimed.values().copied()).collect();
                match courier.due(&known).await {
                    Ok(due) => {
                        look = i64::try_from(due.len()).is_ok_and(|found| found == BATCH);
                        for delivery in due {
                            waiting.push_back(delivery);
                        }
                    }
                    Err(error) => {
                        look = false; // The tick tries again.
                        tracing::warn!(%error, "sandbox: deliveries could not be read");
                    }
                }
            }
            while under_way.len() < PARALLEL
                && let Some(delivery) = waiting.pop_front()
            {
                match courier.judge(&delivery).await {
                    Ok(Verdict::Send { copies }) => {
                        let id = delivery.id;
                        let task = under_way.spawn(Arc::clone(&courier).send(delivery, copies));
                        claimed.insert(task.id(), id);
                    }
                    Ok(Verdict::Later(at)) => wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at))),
                    Ok(Verdict::Aside) => {}
                    Err(error) => tracing::warn!(%error, "sandbox: a delivery could not be put aside"),
                }
            }
            if look && waiting.len() < PARALLEL && under_way.len() < PARALLEL {
                continue;
            }
            let alarm = wake_at.map_or(TICK, |at| (at - wall::now()).to_std().unwrap_or_default());
            tokio::select! {
                Some(finished) = under_way.join_next_with_id(), if !under_way.is_empty() => {
                    let mut attempts = Vec::new();
                    let mut next = Some(finished);
                    while let Some(finished) = next {
                        match finished {
                            Ok((task, attempt)) => { claimed.remove(&task); attempts.push(attempt); }
                            // It panicked; the delivery is still pending in the database.
                            Err(error) => { claimed.remove(&error.id()); }
                        }
                        next = under_way.try_join_next_with_id();
                    }
                    match courier.record(&attempts).await {
                        Ok(retry_at) => {
                            look = true;
                            wake_at = [wake_at, retry_at].into_iter().flatten().min();
                        }
                        Err(error) => tracing::warn!(%error, "sandbox: deliveries could not be recorded"),
                    }
                }
                () = courier.endpoints.nudged() => look = true,
                () = tokio::time::sleep(alarm), if wake_at.is_some() => { wake_at = None; look = true; }
                _ = tick.tick() => look = true,
                () = stopped(&mut stop) => break,
            }
        }
        courier.finish(under_way).await;
    }

    /// Makes due what an earlier run was waiting with: endpoints may be elsewhere now, and rules that held something back
    /// are gone. What was lost by a rule stays lost until it is flushed.
    async fn resume(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE webhook_deliveries SET state = 'pending', next_attempt_at = $1 WHERE state IN ('pending', 'held')",
        )
        .bind(wall::now())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Lets what is under way end, within [`GRACE`].
    async fn finish(&self, mut under_way: JoinSet<Attempt>) {
        let deadline = tokio::time::Instant::now() + GRACE;
        let mut attempts = Vec::new();
        while let Ok(Some(finished)) = tokio::time::timeout_at(deadline, under_way.join_next()).await {
            attempts.extend(finished.ok());
        }
        if let Err(error) = self.record(&attempts).await {
            tracing::warn!(%error, "sandbox: deliveries could not be recorded");
        }
    }

    async fn due(&self, known: &[i64]) -> Result<Vec<Delivery>, sqlx::Error> {
        sqlx::query_as(
            "SELECT delivery.id, delivery.endpoint, delivery.attempts, delivery.faulted, events.type, events.body
             FROM webhook_deliveries AS delivery JOIN events ON events.id = delivery.event_id
             WHERE delivery.state = 'pending' AND delivery.next_attempt_at <= $1
                AND NOT delivery.id = ANY ($2) AND delivery.endpoint = ANY ($3)
             ORDER BY delivery.id LIMIT $4",
        )
        .bind(wall::now())
        .bind(known)
        .bind(self.endpoints.names())
        .bind(BATCH)
        .fetch_all(&self.pool)
        .await
    }

    /// Applies a planned fault, if there is one for this delivery.
    async fn judge(&self, delivery: &Delivery) -> Result<Verdict, sqlx::Error> {
        let fault = if delivery.faulted { None } else { self.faults.take_delivery(&delivery.kind) };
        let (state, at, verdict) = match fault {
            None => return Ok(Verdict::Send { copies: 1 }),
            Some(DeliveryFault::Duplicate(copies)) => return Ok(Verdict::Send { copies }),
            Some(DeliveryFault::Delay(time)) => {
                let at = wall::now() + TimeDelta::from_std(time).unwrap_or(TimeDelta::days(1));
                ("pending", at, Verdict::Later(at))
            }
            Some(DeliveryFault::DelayByClock(time)) => {
                sqlx::query(
                    "UPDATE webhook_deliveries SET state = 'delayed', due_at = coalesce(clock_now, $2) + $3 * interval '1 second',
                        faulted = true
                     FROM sandbox_state WHERE id = $1",
                )
                .bind(delivery.id)
                .bind(wall::now())
                .bind(time.num_seconds())
                .execute(&self.pool)
                .await?;
                return Ok(Verdict::Aside);
            }
            Some(DeliveryFault::Drop) => ("dropped", wall::now(), Verdict::Aside),
            Some(DeliveryFault::Reorder) => ("held", wall::now(), Verdict::Aside),
        };
        sqlx::query("UPDATE webhook_deliveries SET state = $2, next_attempt_at = $3, faulted = true WHERE id = $1")
            .bind(delivery.id)
            .bind(state)
            .bind(at)
            .execute(&self.pool)
            .await?;
        Ok(verdict)
    }

    async fn send(self: Arc<Self>, delivery: Delivery, copies: u32) -> Attempt {
        let attempt = |status| Attempt { id: delivery.id, attempts: delivery.attempts.saturating_add(1), status };
        let Some(endpoint) = self.endpoints.get(&delivery.endpoint) else {
            return attempt(None);
        };
        let posts = (0..copies).map(|_| self.post(endpoint, &delivery.body));
        let statuses = futures::future::join_all(posts).await;
        // All copies must have arrived: a receiver that failed one of them may have failed all that it counted.
        let worst = statuses.into_iter().max_by_key(|status| status.unwrap_or(u16::MAX)).flatten();
        attempt(worst)
    }

    /// Posts once. `None` when there was no answer.
    async fn post(&self, endpoint: &Endpoint, body: &str) -> Option<u16> {
        let request = self
            .client
            .post(&endpoint.target.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature(&endpoint.target.secret, wall::now(), body))
            .body(body.to_owned());
        match request.send().await {
            Ok(response) => Some(response.status().as_u16()),
            Err(error) => {
                tracing::debug!(endpoint = endpoint.name, error = %error.without_url(), "sandbox: no answer to a webhook");
                None
            }
        }
    }

    /// Stores how attempts ended. Returns when the earliest retry is due.
    async fn record(&self, attempts: &[Attempt]) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        if attempts.is_empty() {
            return Ok(None);
        }
        let now = wall::now();
        let (delivered, failed): (Vec<&Attempt>, Vec<&Attempt>) =
            attempts.iter().partition(|attempt| attempt.delivered());
        if !delivered.is_empty() {
            let ids: Vec<i64> = delivered.iter().map(|attempt| attempt.id).collect();
            let statuses: Vec<Option<i32>> = delivered.iter().map(|attempt| attempt.status.map(i32::from)).collect();
            sqlx::query(
                "UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1, last_status = done.status,
                    delivered_at = $3
                 FROM unnest($1::bigint[], $2::integer[]) AS done (id, status) WHERE webhook_deliveries.id = done.id",
            )
            .bind(&ids)
            .bind(statuses)
            .bind(now)
            .execute(&self.pool)
            .await?;
            self.release_held(&ids).await?;
        }
        let retries: Vec<DateTime<Utc>> = failed.iter().map(|attempt| now + backoff(attempt.attempts)).collect();
        if !failed.is_empty() {
            sqlx::query(
                "UPDATE webhook_deliveries SET attempts = attempts + 1, last_status = failed.status,
                    next_attempt_at = failed.retry_at
                 FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[]) AS failed (id, status, retry_at)
                 WHERE webhook_deliveries.id = failed.id",
            )
            .bind(failed.iter().map(|attempt| attempt.id).collect::<Vec<i64>>())
            .bind(failed.iter().map(|attempt| attempt.status.map(i32::from)).collect::<Vec<Option<i32>>>())
            .bind(&retries)
            .execute(&self.pool)
            .await?;
        }
        Ok(retries.into_iter().min())
    }

    /// Makes held deliveries due that are older than one of `delivered` at the same endpoint.
    async fn release_held(&self, delivered: &[i64]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE webhook_deliveries AS held SET state = 'pending', next_attempt_at = $2
             WHERE held.state = 'held' AND EXISTS (
                SELECT FROM webhook_deliveries AS later
                WHERE later.id = ANY ($1) AND later.endpoint = held.endpoint AND later.id > held.id)",
        )
        .bind(delivered)
        .bind(wall::now())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Waits until the sandbox shuts down, or is dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and the sandbox with it.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What is to be done with a delivery that is due.
enum Verdict {
    Send { copies: u32 },
    Later(DateTime<Utc>),
    Aside,
}

/// Makes every undelivered delivery due now, also those that were lost or held back. Returns how many.
pub(super) async fn flush(pool: &PgPool, endpoints: &Endpoints) -> Result<u64, sqlx::Error> {
    let flushed =
        sqlx::query(
            "UPDATE webhook_deliveries SET state = 'pending', due_at = NULL, next_attempt_at = $1 WHERE state <> 'delivered'",
        )
        .bind(wall::now())
        .execute(pool)
        .await?
        .rows_affected();
    endpoints.nudge();
    Ok(flushed)
}

/// Makes deliveries due that were to wait for the clock until then.
pub(super) async fn send_delayed(connection: &mut PgConnection, due: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE webhook_deliveries SET state = 'pending', due_at = NULL, next_attempt_at = $2
         WHERE state = 'delayed' AND due_at <= $1",
    )
    .bind(due)
    .bind(wall::now())
    .execute(connection)
    .await?;
    Ok(())
}

fn backoff(attempts: i32) -> TimeDelta {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or_default().min(BACKOFF.len() - 1);
    TimeDelta::seconds(BACKOFF[index])
}

fn signature(secret: &str, at: DateTime<Utc>, body: &str) -> String {
    let time = at.timestamp();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length: this cannot happen, and an empty signature verifies nowhere.
    };
    mac.update(format!("{time}.{body}").as_bytes());
    format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_time_and_body() {
        // Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        assert_eq!(
            signature("whsec_test", at, "{}"),
            "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
        );
    }

    #[test]
    fn waiting_times_grow_and_stay_at_the_longest() {
        let seconds = |attempts| backoff(attempts).num_seconds();
        assert_eq!([seconds(1), seconds(2), seconds(3), seconds(5), seconds(500)], [1, 5, 30, 600, 600]);
    }
}
