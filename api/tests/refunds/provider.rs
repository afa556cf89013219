//! The built-in provider as somebody at its dashboard has it, and the engine as a caller without a route has it.

use std::time::Duration;

use api::engine::{EngineError, Performed, Request};
use chrono::{DateTime, Utc};
use domain::actor::Actor;
use domain::intent::Intent;
use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use crate::support::World;

/// The built-in provider, as its dashboard has it.
pub struct Provider {
    base: String,
    key: String,
    http: reqwest::Client,
}

impl Provider {
    pub fn of(world: &World) -> Self {
        let (base, key) = (world.server.sandbox_url().unwrap(), world.server.sandbox_key().unwrap().to_owned());
        Self { base, key, http: reqwest::Client::new() }
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let sent = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key).form(fields).send().await;
        let answer = sent.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        let sent = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key).send().await;
        sent.unwrap().json().await.unwrap()
    }

    /// Money of the platform's own, available at once: 1,050.00 less the fee of 30.75. It is none of the engine's.
    pub async fn top_up(&self) {
        let fields = [
            ("amount", "105000"),
            ("currency", "usd"),
            ("payment_method", "pm_card_bypassPending"),
            ("confirm", "true"),
        ];
        self.post("/v1/payment_intents", &fields).await;
    }

    /// All refunds, newest first.
    pub async fn refunds(&self) -> Vec<Value> {
        self.get("/v1/refunds?limit=100").await["data"].as_array().unwrap().clone()
    }

    /// The payment that a funding led to.
    pub async fn payment(&self, contract_id: &str) -> Value {
        let list = self.get("/v1/payment_intents?limit=100").await;
        let of = |payment: &&Value| payment["metadata"]["contract_id"] == contract_id;
        list["data"].as_array().unwrap().iter().find(of).unwrap().clone()
    }

    /// Moves its clock alone.
    pub async fn move_clock(&self, to: DateTime<Utc>) {
        self.control("clock", &json!({ "now": to })).await;
    }

    /// Waits until everything has happened; webhooks that were dropped before are sent again without their pauses, also
    /// those that were on their way when the fault was taken away.
    pub async fn settled(&self, world: &World) {
        self.flush_webhooks().await;
        let sending = async {
            loop {
                self.flush_webhooks().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            () = world.settled() => {}
            () = sending => {}
        }
    }

    /// Sends what was held back or lost.
    async fn flush_webhooks(&self) {
        self.control("webhooks/flush", &json!({})).await;
    }

    async fn control(&self, path: &str, body: &Value) {
        let url = format!("{}/_sandbox/{path}", self.base);
        let answer = self.http.post(url).bearer_auth(&self.key).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// What is paid in `currency` settles in `settles_in` from now on.
    pub async fn settles(&self, currency: &str, settles_in: &str, rate: &str) {
        assert!(self.try_settles(currency, settles_in, rate).await.is_success());
    }

    pub async fn try_settles(&self, currency: &str, settles_in: &str, rate: &str) -> reqwest::StatusCode {
        let url = format!("{}/_sandbox/settlement", self.base);
        let body = json!({ "currency": currency, "settles_in": settles_in, "rate": rate });
        self.http.post(url).bearer_auth(&self.key).json(&body).send().await.unwrap().status()
    }

    /// Whoever waits because of a planned fault goes on.
    pub async fn clear_faults(&self) {
        let url = format!("{}/_sandbox/faults", self.base);
        assert!(self.http.delete(url).bearer_auth(&self.key).send().await.unwrap().status().is_success());
    }
}

/// Carries out what a caller wants, as a route would.
pub async fn perform(world: &World, actor: Actor, intent: Intent) -> Result<Performed, EngineError> {
    world.server.app().engine.perform(Request::internal(intent, actor, Uuid::now_v7())).await
}

/// All events of a type, complete, once all is quiet.
pub async fn events(world: &World, event_type: &str) -> Vec<Value> {
    world.settled().await;
    all(world, event_type).await
}

/// All events of a type, complete.
pub async fn all(world: &World, event_type: &str) -> Vec<Value> {
    let page = world.get(&world.admin, &format!("/v1/events?types={event_type}")).await.success().unwrap();
    page.body["data"].as_array().unwrap().clone()
}

/// The lines of an event's journal entry: side, account, minor units.
pub fn journal(event: &Value) -> Vec<String> {
    let lines = event["journal"]["lines"].as_array().unwrap_or_else(|| panic!("{event} books nothing"));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    lines.iter().map(|line| format!("{} {} {}", word(&line["side"]), word(&line["account"]), line["minor"])).collect()
}

/// How every aggregate of a kind stands, oldest first.
pub async fn status_of(world: &World, kind: &str) -> Vec<String> {
    let sql = "select status from main.documents where aggregate_type = $1 order by created_position";
    let rows = sqlx::query(sql).bind(kind).fetch_all(world.server.app().pool()).await.unwrap();
    rows.iter().map(|row| row.get("status")).collect()
}

/// Waits until aggregates of a kind stand like that, while something else keeps the clock from being quiet.
pub async fn until(world: &World, kind: &str, wanted: &[&str]) {
    let waiting = async {
        while status_of(world, kind).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
    assert!(in_time.is_ok(), "{kind} is {:?}, not {wanted:?}", status_of(world, kind).await);
}
