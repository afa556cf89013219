//! Everything about money beside the usual way, over HTTP: what goes back, what moves, what is held, what is given. How
//! every one of these commands is refused is in `refusals`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod back;
mod deposits;
mod endings;
mod gifts;
mod holds;
mod older;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod terms;

use std::time::{Duration, Instant};

use api::cli::operator::MadeToken;
use api::cli::story::Answer;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use support::{Contract, World, comes_back};

fn status(answer: &Answer) -> &str {
    answer.body["status"].as_str().unwrap_or_default()
}

/// What is at some places of an answer.
fn at<const N: usize>(answer: &Answer, places: [&str; N]) -> [Value; N] {
    places.map(|place| answer.body.pointer(place).cloned().unwrap_or(Value::Null))
}

/// The path of something about the escrow of a contract.
fn escrow(contract: &Contract, rest: &str) -> String {
    format!("/v1/escrows/{}{rest}", contract.id)
}

/// The same contract, seen from another of its milestones.
async fn second(world: &World, contract: &Contract) -> Contract {
    let shown = now(world, &world.client, &contract.at("")).await;
    Contract { id: contract.id.clone(), milestone: shown.text("/milestones/1/id").unwrap() }
}

/// The lines of the only event of a type: side, account and amount, in order.
async fn lines(world: &World, event_type: &str) -> Vec<(String, String, i64)> {
    let page = world.get(&world.admin, &format!("/v1/events?types={event_type}")).await.success().unwrap();
    let [event] = page.body["data"].as_array().unwrap().as_slice() else { panic!("{event_type}: {}", page.body) };
    let lines = event["journal"]["lines"].as_array().unwrap();
    let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    let line = |line| (text(line, "side"), text(line, "account"), line["minor"].as_i64().unwrap());
    let mut lines: Vec<_> = lines.iter().map(line).collect();
    lines.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    lines
}

/// Lines as a test writes them: debits first.
fn booked(lines: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    lines.iter().map(|(side, account, minor)| ((*side).to_owned(), (*account).to_owned(), *minor)).collect()
}

/// A wish of the client for money back, and its id.
async fn wish(world: &World, contract: &Contract, body: Value) -> (Answer, String) {
    let asked = world.act(&world.client, contract.work("/refund-requests"), body).await.success().unwrap();
    let id = asked.text("/refund_request/id").unwrap();
    (asked, id)
}

/// An answer of the payee to a wish, under the milestone's version of this moment.
async fn answer(world: &World, contract: &Contract, wish: &str, verb: &str) -> Answer {
    let version = world.version(&world.payee, &contract.work("")).await;
    world.post(&world.payee, &format!("/v1/refund-requests/{wish}/{verb}"), Some(&version), json!({})).await
}

/// What is there now, as everything that was written makes it.
async fn now(world: &World, who: &MadeToken, path: &str) -> Answer {
    let position = world.head().await.to_string();
    let read = world.raw(|http, base| {
        http.get(format!("{base}{path}")).bearer_auth(&who.token).header("Min-Log-Position", position)
    });
    read.await.success().unwrap()
}

/// A milestone is paid for and refunded, and the bank gives the refund back: the client has 1,050.00 in the wallet.
async fn with_wallet(world: &World) {
    let contract = world.funded().await;
    let granted = world.act(&world.payee, contract.work("/grant-refund"), json!({})).await.success().unwrap();
    assert_eq!(status(&granted), "refunded");
    let refund = now(world, &world.client, "/v1/refunds").await.text("/data/0/id").unwrap();
    comes_back(world, &refund).await;
}

/// Moves the clock there, and waits until that has happened which is then due. What follows at the provider is not waited
/// for.
async fn reach(world: &World, instant: DateTime<Utc>, event_type: &str) {
    let app = world.server.app();
    app.engine.clock().advance(instant).await.unwrap();
    app.clock_moved.notify_waiters();
    let begun = Instant::now();
    while world.count(event_type).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {event_type}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A contract on these terms, accepted; its `milestone` is the first.
async fn accepted_on(world: &World, milestones: Value, terms: Value) -> Contract {
    let contract = world.drafted_with(milestones).await;
    world.act(&world.client, contract.at("/offer"), terms).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    contract
}
