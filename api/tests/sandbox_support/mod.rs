//! A sandbox on a database of its own, a client of it, a webhook endpoint, and the shapes of Stripe's objects.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test binary compiles this module and uses a part of it; a test may fail loudly"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::embedded::testing::{TestCluster, TestDatabase};
use api::sandbox::{Sandbox, SandboxClock, SandboxConfig, WebhookTarget, start};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub const KEY: &str = "sk_test_sandbox";
pub const SECRET: &str = "whsec_platform";
pub const CONNECT_SECRET: &str = "whsec_connect";
pub const START: &str = "2026-12-01T10:00:00Z";
/// Longer than any test takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub async fn database() -> TestDatabase {
    TestCluster::shared().unwrap().empty_database().await.unwrap()
}

pub fn config(database: &TestDatabase) -> SandboxConfig {
    SandboxConfig {
        clock: SandboxClock::Test(at(START)),
        ..SandboxConfig::new("127.0.0.1:0".parse().unwrap(), database.owner_options.clone(), KEY)
    }
}

/// An answer of the sandbox.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The object of a request that must have succeeded.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    pub fn error(&self) -> (u16, Value) {
        (self.status, self.json()["error"].clone())
    }

    pub fn code(&self) -> (u16, String) {
        let (status, error) = self.error();
        (status, error["code"].as_str().unwrap_or_default().to_owned())
    }
}

#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub http: reqwest::Client,
    pub account: Option<String>,
    pub key: Option<String>,
}

impl Client {
    pub fn of(sandbox: &Sandbox) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base: sandbox.base_url(), http, account: None, key: None }
    }

    pub fn on(&self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self.clone() }
    }

    pub fn keyed(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let mut request = request.bearer_auth(KEY);
        if let Some(account) = &self.account {
            request = request.header("Stripe-Account", account);
        }
        if let Some(key) = &self.key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, text: response.text().await? })
    }

    pub async fn try_post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Reply, reqwest::Error> {
        self.send(self.http.post(format!("{}{path}", self.base)).form(fields)).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.try_post(path, fields).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.base))).await.unwrap()
    }

    pub async fn control(&self, path: &str, body: &Value) -> Reply {
        self.send(self.http.post(format!("{}_sandbox/{path}", self.base)).json(body)).await.unwrap()
    }

    pub async fn clear_faults(&self) {
        self.send(self.http.delete(format!("{}_sandbox/faults", self.base))).await.unwrap().ok();
    }

    pub async fn clock(&self, now: &str) -> Value {
        self.control("clock", &json!({ "now": now })).await.ok()
    }

    pub async fn pay(&self, amount: &str, extra: &[(&str, &str)]) -> Value {
        let mut fields = vec![
            ("amount", amount),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("capture_method", "automatic"),
        ];
        fields.extend_from_slice(extra);
        self.post("v1/payment_intents", &fields).await.ok()
    }

    pub async fn account(&self) -> String {
        let account = self.post("v1/accounts", &[("type", "express"), ("email", "payee@example.com")]).await.ok();
        account["id"].as_str().unwrap().to_owned()
    }

    /// (available, pending) in US dollars.
    pub async fn balance(&self) -> (i64, i64) {
        let balance = self.get("v1/balance").await.ok();
        let amount = |kind: &str| balance[kind][0]["amount"].as_i64().unwrap();
        (amount("available"), amount("pending"))
    }

    pub async fn event_types(&self) -> Vec<String> {
        let events = self.get("v1/events?limit=100").await.ok();
        events["data"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A webhook endpoint that remembers what it got.
#[derive(Clone)]
pub struct Receiver {
    pub got: Arc<Mutex<Vec<(String, String)>>>,
    pub arrived: Arc<Notify>,
    pub answer: Arc<AtomicU16>,
    pub url: String,
}

impl Receiver {
    pub async fn start() -> Self {
        async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
            let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
            receiver.got.lock().unwrap().push((signature, String::from_utf8(body.to_vec()).unwrap()));
            receiver.arrived.notify_waiters();
            StatusCode::from_u16(receiver.answer.load(Ordering::SeqCst)).unwrap()
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            got: Arc::default(),
            arrived: Arc::default(),
            answer: Arc::new(AtomicU16::new(200)),
            url: format!("http://{}/hooks", listener.local_addr().unwrap()),
        };
        let router = Router::new().route("/hooks", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    pub fn got(&self) -> Vec<(String, String)> {
        self.got.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<Value> {
        self.got().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    pub fn types(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn wait(&self, what: &str, enough: impl Fn(&[String]) -> bool) {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if enough(&self.types()) {
                    return;
                }
                arrived.await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not come: {:?}", self.types());
    }

    pub async fn wait_for(&self, kind: &str) {
        self.wait(kind, |types| types.iter().any(|got| got == kind)).await;
    }

    pub fn target(&self, connect: bool) -> WebhookTarget {
        let secret = if connect { CONNECT_SECRET } else { SECRET }.to_owned();
        WebhookTarget { url: self.url.clone(), secret, connect }
    }
}

/// Waits until the sandbox says that nothing is left to deliver.
pub async fn drained(client: &Client) {
    let waiting = async {
        while client.get("_sandbox/status").await.ok()["undelivered_webhooks"] != 0 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "deliveries are left");
}

pub async fn running() -> (Sandbox, Client) {
    let sandbox = start(config(&database().await)).await.unwrap();
    let client = Client::of(&sandbox);
    (sandbox, client)
}

pub async fn with_receivers() -> (Sandbox, Client, Receiver, Receiver) {
    let (platform, connect) = (Receiver::start().await, Receiver::start().await);
    let webhooks = vec![platform.target(false), connect.target(true)];
    let sandbox = start(SandboxConfig { webhooks, ..config(&database().await) }).await.unwrap();
    let client = Client::of(&sandbox);
    (sandbox, client, platform, connect)
}

pub fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

// Shapes

pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub type Shape = BTreeMap<String, String>;

/// Every field of the shape is there with a value of an allowed kind, and no other field at the top.
pub fn differences(shape: &Shape, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, kinds) in shape {
        let path: Vec<&str> = path.split('.').collect();
        compare(object, &path, kinds, &path.join("."), &mut found);
    }
    for name in object.as_object().unwrap().keys() {
        if !shape.contains_key(name) {
            found.push(format!("{name} is not one of Stripe's"));
        }
    }
    found
}

pub fn compare(value: &Value, path: &[&str], kinds: &str, whole: &str, found: &mut Vec<String>) {
    let Some((name, rest)) = path.split_first() else {
        if !kinds.split('|').any(|allowed| allowed == kind(value)) {
            found.push(format!("{whole} is {}, not {kinds}", kind(value)));
        }
        return;
    };
    if value.is_null() {
        return; // Whether it may be null is told at its own path.
    }
    match name.strip_suffix("[]") {
        Some(name) => {
            for item in value[name].as_array().into_iter().flatten() {
                compare(item, rest, kinds, whole, found);
            }
        }
        None => match value.get(name) {
            Some(value) => compare(value, rest, kinds, whole, found),
            // A parent that is absent has been told at its own path.
            None if value.is_object() && rest.is_empty() && !kinds.split('|').any(|allowed| allowed == "absent") => {
                found.push(format!("{whole} is missing"));
            }
            None => {}
        },
    }
}

pub struct Shapes(pub BTreeMap<String, Shape>);

impl Shapes {
    pub fn load() -> Self {
        Self(serde_json::from_str(include_str!("../data/stripe_shapes.json")).unwrap())
    }

    pub fn check(&self, object: &Value) {
        let name = object["object"].as_str().unwrap();
        let found = differences(&self.0[name], object);
        assert!(found.is_empty(), "{name} differs from Stripe's: {found:#?}\n{object:#}");
    }
}
