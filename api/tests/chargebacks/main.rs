//! Chargebacks, inquiries, warnings of fraud and returned bank debits from the provider to the routes, on a test clock.
//! Figures are those of the standard world: 1,000.00 held, 1,050.00 paid, 90% to the payee.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod four_eyes;
mod held;
mod paid_out;
mod refusals;
mod staff;
#[path = "../support/mod.rs"]
mod support;

use api::cli::story::Answer;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use support::{Contract, World};

/// A bank debit, which takes four days.
const DEBIT: &str = "pm_usBankAccount_success";

/// A contract whose milestone is paid for, and the payment.
async fn paid_on(world: &World, terms: Value) -> (Contract, String) {
    paid_by(world, "pm_card_visa", terms).await
}

/// The same, paid so. A bank debit is waited for.
async fn paid_by(world: &World, method: &str, terms: Value) -> (Contract, String) {
    let contract = world.drafted().await;
    world.act(&world.client, contract.at("/offer"), terms).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    let funding = world.fund(&contract, method).await.success().unwrap().text("/id").unwrap();
    world.settled().await;
    if method == DEBIT {
        later(world, 4).await;
    }
    assert_eq!(stands(world, &contract).await[0], "funded");
    (contract, funding)
}

async fn paid(world: &World) -> (Contract, String) {
    paid_on(world, json!({})).await
}

async fn later(world: &World, days: i64) {
    world.at(now(world).await + TimeDelta::days(days)).await;
}

async fn now(world: &World) -> DateTime<Utc> {
    world.server.app().engine.now().await.unwrap()
}

/// Approved, cleared after five days, withdrawn, and at the bank two days later.
async fn paid_out_on(world: &World, terms: Value) -> (Contract, String) {
    paid_out_by(world, "pm_card_visa", terms).await
}

async fn paid_out_by(world: &World, method: &str, terms: Value) -> (Contract, String) {
    let (contract, funding) = paid_by(world, method, terms).await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    later(world, 5).await;
    let payout = json!({ "amount": 90_000, "currency": "USD" });
    world.post(&world.payee, "/v1/payouts", None, payout).await.success().unwrap();
    later(world, 2).await;
    (contract, funding)
}

/// Makes a bank act, and waits until everything that follows has happened.
async fn bank(world: &World, verb: &str, body: Value) -> Answer {
    let path = format!("/v1/test_helpers/psp/{verb}");
    let answer = world.post(&world.admin, &path, None, body).await.success().unwrap();
    world.settled().await;
    answer
}

/// The provider's dispute that begins.
async fn disputed(world: &World, funding: &str, more: Value) -> String {
    let mut body = json!({ "funding_id": funding, "reason": "product_not_received" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    bank(world, "dispute", body).await.text("/id").unwrap()
}

/// The chargebacks of a contract, oldest first.
async fn chargebacks(world: &World, contract: &Contract) -> Vec<Value> {
    let list = world.get(&world.admin, "/v1/chargebacks?limit=100").await.success().unwrap();
    let all = list.body["data"].as_array().unwrap().iter().rev();
    all.filter(|one| one["contract_id"] == json!(contract.id)).cloned().collect()
}

/// The only chargeback of a contract.
async fn chargeback(world: &World, contract: &Contract) -> Value {
    let [one] = chargebacks(world, contract).await.try_into().unwrap();
    one
}

async fn milestone(world: &World, contract: &Contract) -> Value {
    world.get(&world.payee, &contract.work("")).await.success().unwrap().body
}

/// State and flag of the contract's milestone.
async fn stands(world: &World, contract: &Contract) -> [Value; 2] {
    let shown = milestone(world, contract).await;
    [shown["status"].clone(), shown["flag"].clone()]
}

async fn escrow(world: &World, contract: &Contract) -> Value {
    world.get(&world.client, &format!("/v1/escrows/{}", contract.id)).await.success().unwrap().body
}

async fn balance(world: &World) -> Value {
    world.get(&world.payee, "/v1/balances/me").await.success().unwrap().body["data"][0].clone()
}

/// What the last event of a type booked for a contract: side, account and minor units, debits first.
async fn booked(world: &World, contract: &Contract, event_type: &str) -> Vec<(String, String, i64)> {
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let of =
        |event: &&api::view::EventView| event.r#type == event_type && event.data["contract_id"] == json!(contract.id);
    let event = events.iter().rev().find(of).unwrap_or_else(|| panic!("no {event_type}"));
    let event = serde_json::to_value(event).unwrap();
    let text = |line: &Value, member: &str| line[member].as_str().unwrap().to_owned();
    let line = |line| (text(line, "side"), text(line, "account"), line["minor"].as_i64().unwrap());
    let mut lines: Vec<_> = event["journal"]["lines"].as_array().unwrap().iter().map(line).collect();
    lines.sort_by(|(a, code, _), (b, other, _)| b.cmp(a).then(code.cmp(other)));
    lines
}

/// Lines as a test writes them.
fn lines(lines: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    lines.iter().map(|(side, account, minor)| ((*side).to_owned(), (*account).to_owned(), *minor)).collect()
}

/// First half of J50: the bank takes the whole payment.
fn taken() -> Vec<(String, String, i64)> {
    lines(&[("D", "1200", 105_000), ("D", "5120", 1500), ("C", "1120", 106_500)])
}
