//! Fundings with the provider in all its moods: engine, workers and the built-in provider together, provoked by the test
//! helpers of the API as anybody can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod debits;
mod faults;
mod helpers;
mod limits;
mod review;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod top_ups;

use api::cli::story::Answer;
use serde_json::{Value, json};
use support::{Contract, World};

/// A test helper, as an admin asks for it.
async fn ask(world: &World, helper: &str, body: Value) -> Answer {
    world.post(&world.admin, &format!("/v1/test_helpers/psp/{helper}"), None, body).await
}

/// The same, and it does it.
async fn help(world: &World, helper: &str, body: Value) -> u64 {
    ask(world, helper, body).await.success().unwrap().body["count"].as_u64().unwrap()
}

/// Pays for the contract's milestone, and waits for what follows. The funding's id.
async fn pay(world: &World, contract: &Contract, method: &str) -> String {
    let made = world.fund(contract, method).await.success().unwrap();
    world.settled().await;
    made.text("/id").unwrap()
}

/// Something as the client sees it now.
async fn seen(world: &World, path: &str) -> Value {
    world.get(&world.client, path).await.success().unwrap().body
}

/// Status of a funding.
async fn status(world: &World, funding: &str) -> String {
    seen(world, &format!("/v1/fundings/{funding}")).await["status"].as_str().unwrap().to_owned()
}

/// All events of a type, complete.
async fn events(world: &World, event_type: &str) -> Vec<Value> {
    let page = world.get(&world.admin, &format!("/v1/events?types={event_type}")).await.success().unwrap();
    page.body["data"].as_array().unwrap().clone()
}

/// The lines of an event's journal entry: side, account, minor units.
fn journal(event: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = event["journal"]["lines"].as_array().unwrap();
    lines.iter().map(|line| format!("{} {} {}", word(&line["side"]), word(&line["account"]), line["minor"])).collect()
}

/// The provider's payment for a funding.
async fn payment(world: &World, funding: &str) -> Value {
    let list = provider(world, "GET", "payment_intents?limit=100", &[]).await;
    let of = |payment: &&Value| payment["metadata"]["funding_id"] == funding;
    list["data"].as_array().unwrap().iter().find(of).unwrap().clone()
}

/// A request to the provider as the platform's own site would make it.
async fn provider(world: &World, method: &str, path: &str, fields: &[(&str, &str)]) -> Value {
    let url = format!("{}/v1/{path}", world.server.sandbox_url().unwrap());
    let http = reqwest::Client::new();
    let request = if method == "GET" { http.get(url) } else { http.post(url).form(fields) };
    let answer = request.bearer_auth(world.server.sandbox_key().unwrap()).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// That a milestone can be paid for, as a client would see it.
async fn planned(world: &World, contract: &Contract) {
    assert_eq!(seen(world, &contract.work("")).await["status"], json!("planned"));
}
