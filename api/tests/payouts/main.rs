//! Payees over HTTP: onboarded at the built-in provider, paid, restricted, suspected, closed. Each test plays several
//! scenarios of D8 in one world.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod coming_back;
mod gates;
mod linked;
mod refusals;
mod shut;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

use api::cli::operator::MadeToken;
use api::cli::story::Answer;
use chrono::TimeDelta;
use serde_json::{Value, json};
use support::World;

/// The path of something about the payee, such as `/requirements`.
fn of_payee(world: &World, rest: &str) -> String {
    format!("/v1/parties/{}{rest}", world.payee.party_id)
}

/// What is there now, as everything that was written makes it.
async fn now(world: &World, who: &MadeToken, path: &str) -> Answer {
    let position = world.head().await.to_string();
    let read = world.raw(|http, base| {
        http.get(format!("{base}{path}")).bearer_auth(&who.token).header("Min-Log-Position", position)
    });
    read.await.success().unwrap()
}

async fn requirements(world: &World) -> Value {
    now(world, &world.payee, &of_payee(world, "/requirements")).await.body
}

/// The members of the payee's only balance: available, in transit, held.
async fn balance(world: &World) -> [i64; 3] {
    let shown = now(world, &world.payee, "/v1/balances/me").await;
    ["available", "in_transit", "held"].map(|name| shown.body["data"][0][name].as_i64().unwrap())
}

/// Has the provider do something to the payee's account, or a payout, and waits until everything that follows has happened.
async fn helped(world: &World, what: &str, body: Value) {
    let path = format!("/v1/test_helpers/psp/{what}");
    world.post(&world.admin, &path, None, body).await.success().unwrap();
    world.settled().await;
}

/// An account is made for the payee, who gives everything that is demanded; the bank account has this number.
async fn onboarded(world: &World, account_number: &str) {
    let path = of_payee(world, "/payout-account");
    world.post(&world.payee, &path, None, json!({ "country": "US" })).await.success().unwrap();
    world.settled().await;
    let party = world.payee.party_id;
    helped(world, "account-onboard", json!({ "party_id": party, "account_number": account_number })).await;
}

/// 900.00 are available, five days after the beginning.
async fn earned(world: &World) {
    world.released().await;
    world.at(World::begin() + TimeDelta::days(5)).await;
    assert_eq!(balance(world).await, [90_000, 0, 0]);
}

async fn request(world: &World, amount: i64) -> Answer {
    world.post(&world.payee, "/v1/payouts", None, json!({ "amount": amount, "currency": "USD" })).await
}

/// Requests a payout, and gives its id.
async fn requested(world: &World, amount: i64) -> String {
    request(world, amount).await.success().unwrap().text("/id").unwrap()
}

async fn payout(world: &World, id: &str) -> Value {
    now(world, &world.payee, &format!("/v1/payouts/{id}")).await.body
}

/// Lets some time pass, and everything happen that is due in it.
async fn after(world: &World, time: TimeDelta) {
    let now = world.server.app().engine.now().await.unwrap();
    world.at(now + time).await;
}

/// A PUT under a new key.
async fn put(world: &World, who: &MadeToken, path: &str, version: Option<&str>, body: Value) -> Answer {
    let request = world.raw(|http, base| {
        let key = uuid::Uuid::now_v7().to_string();
        let request = http.put(format!("{base}{path}")).bearer_auth(&who.token).header("Idempotency-Key", key);
        let request = version.into_iter().fold(request, |request, version| request.header("If-Match", version));
        request.json(&body)
    });
    request.await
}

/// An object, or a list, of the provider's.
async fn at_provider(world: &World, path: &str, account: Option<&str>) -> Value {
    let request = reqwest::Client::new()
        .get(format!("{}{path}", world.server.sandbox_url().unwrap()))
        .bearer_auth(world.server.sandbox_key().unwrap());
    let request = account.into_iter().fold(request, |request, account| request.header("Stripe-Account", account));
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

/// Asks the provider to do something, and gives its answer.
async fn ask_provider(world: &World, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    reqwest::Client::new()
        .post(format!("{}{path}", world.server.sandbox_url().unwrap()))
        .bearer_auth(world.server.sandbox_key().unwrap())
        .form(fields)
        .send()
        .await
        .unwrap()
}

/// The payee's account at the provider.
async fn psp_account(world: &World) -> String {
    requirements(world).await["psp_account"].as_str().unwrap().to_owned()
}

/// What the payee's account has at the provider in dollars: the available balance.
async fn provider_balance(world: &World, account: &str) -> i64 {
    at_provider(world, "/v1/balance", Some(account)).await["available"][0]["amount"].as_i64().unwrap()
}
