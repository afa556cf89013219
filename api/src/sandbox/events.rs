//! Events: what happened, written down in the transaction in which it happened, with one delivery per endpoint.
//!
//! # Invariants
//! - Event, deliveries and the change that they tell of commit together.
//! - The stored body is what is sent and signed, byte for byte.
//! - Events of the platform go to platform endpoints; events of connected accounts carry `account` and go to connect
//!   endpoints.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::sync::Notify;

use super::identifier;
use super::object::API_VERSION;

/// Where events are sent.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookTarget {
    /// An `http://` address. (TLS is for strangers; the sandbox and its engine are neighbours.)
    pub url: String,
    /// The secret that signs, as in Stripe's dashboard: `whsec_…`.
    pub secret: String,
    /// Receives the events of connected accounts instead of the platform's own.
    pub connect: bool,
}

impl std::fmt::Debug for WebhookTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WebhookTarget")
            .field("url", &self.url)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

/// A target with the name that deliveries know it by.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// `platform/0`, `connect/0`, …: the n-th target of its kind, so that a delivery stored before a restart goes to the
    /// address that its endpoint has after it.
    pub(super) name: String,
    pub(super) target: WebhookTarget,
}

/// All endpoints, and a bell to ring when something has been stored for them.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    all: Arc<[Endpoint]>,
    bell: Arc<Notify>,
}

impl Endpoints {
    pub(super) fn new(targets: Vec<WebhookTarget>) -> Self {
        let (mut platform, mut connect) = (0_u32, 0_u32);
        let all = targets
            .into_iter()
            .map(|target| {
                let (kind, next) = if target.connect { ("connect", &mut connect) } else { ("platform", &mut platform) };
                let name = format!("{kind}/{next}");
                *next += 1;
                Endpoint { name, target }
            })
            .collect();
        Self { all, bell: Arc::new(Notify::new()) }
    }

    /// Tells the worker that there is something to send.
    pub(super) fn nudge(&self) {
        self.bell.notify_one();
    }

    /// Waits for [`nudge`](Self::nudge).
    pub(super) async fn nudged(&self) {
        self.bell.notified().await;
    }

    pub(super) fn get(&self, name: &str) -> Option<&Endpoint> {
        self.all.iter().find(|endpoint| endpoint.name == name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|endpoint| endpoint.name.clone()).collect()
    }
}

/// Something that happened and is not stored yet.
#[derive(Debug)]
pub(super) struct NewEvent {
    kind: &'static str,
    account: String,
    at: DateTime<Utc>,
    object: Value,
    previous: Option<Value>,
    spontaneous: bool,
}

impl NewEvent {
    /// `object` is a snapshot: what the object looked like when it happened.
    pub(super) fn new(kind: &'static str, account: &str, at: DateTime<Utc>, object: Value) -> Self {
        Self { kind, account: account.to_owned(), at, object, previous: None, spontaneous: false }
    }

    /// What the changed fields were before.
    pub(super) fn instead_of(self, previous: Value) -> Self {
        Self { previous: Some(previous), ..self }
    }

    /// Not the doing of the request in which it is stored.
    pub(super) fn by_itself(self) -> Self {
        Self { spontaneous: true, ..self }
    }
}

/// The request that made something happen.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) request_id: String,
    pub(super) idempotency_key: Option<String>,
}

/// Stores what happened, in order, and its deliveries.
pub(super) async fn store(
    connection: &mut PgConnection,
    platform_account: &str,
    endpoints: &Endpoints,
    cause: Option<&Cause>,
    happened: &[NewEvent],
) -> Result<(), sqlx::Error> {
    if happened.is_empty() {
        return Ok(());
    }
    let (mut ids, mut accounts, mut kinds, mut times, mut bodies) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut delivered_events, mut delivered_to) = (vec![], vec![]);
    for event in happened {
        let id = identifier::new("evt");
        let of_connected = event.account != platform_account;
        let receivers = || endpoints.all.iter().filter(|endpoint| endpoint.target.connect == of_connected);
        let cause = cause.filter(|_| !event.spontaneous);
        let mut data = json!({ "object": event.object });
        if let Some(previous) = &event.previous {
            data["previous_attributes"] = previous.clone();
        }
        let mut body = json!({
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": event.at.timestamp(),
            "data": data,
            "livemode": false,
            "pending_webhooks": receivers().count(),
            "request": {
                "id": cause.map(|cause| &cause.request_id),
                "idempotency_key": cause.and_then(|cause| cause.idempotency_key.as_ref()),
            },
            "type": event.kind,
        });
        if of_connected {
            body["account"] = json!(event.account);
        }
        for endpoint in receivers() {
            delivered_events.push(id.clone());
            delivered_to.push(endpoint.name.clone());
        }
        ids.push(id);
        accounts.push(event.account.clone());
        kinds.push(event.kind);
        times.push(event.at);
        bodies.push(body.to_string());
    }
    sqlx::query(
        "WITH stored AS (
            INSERT INTO events (id, account_id, type, created_at, body)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]))
        INSERT INTO webhook_deliveries (event_id, endpoint, next_attempt_at)
        SELECT event_id, endpoint, $8 FROM unnest($6::text[], $7::text[]) AS receiver (event_id, endpoint)",
    )
    .bind(ids)
    .bind(accounts)
    .bind(kinds)
    .bind(times)
    .bind(bodies)
    .bind(delivered_events)
    .bind(delivered_to)
    .bind(super::wall::now())
    .execute(connection)
    .await?;
    Ok(())
}
