//! A contract in euros at a provider that settles in dollars.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use crate::granted;
use crate::provider::{Provider, events, journal};
use crate::support::{Contract, World};

/// Debits less credits by account and currency, where they are not zero.
async fn books(world: &World) -> BTreeMap<(String, String), i64> {
    world.books().await; // It is recounted there.
    let shown = world.get(&world.admin, "/v1/reports/trial-balance").await.success().unwrap();
    assert_eq!(shown.body["balanced"], true, "each currency alone");
    let lines = shown.body["accounts"].as_array().unwrap().iter().filter(|line| line["net"] != 0);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    lines.map(|line| ((text(&line["account"]), text(&line["currency"])), line["net"].as_i64().unwrap())).collect()
}

/// An accepted contract of 1,000.00 euros without fees.
async fn in_euros(world: &World) -> Contract {
    let body = json!({ "payee_id": world.payee.party_id, "currency": "EUR", "milestones": [{ "amount": 100_000 }] });
    let drafted = world.post(&world.client, "/v1/contracts", None, body).await.success().unwrap();
    let contract = Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() };
    let offer = json!({ "fee_schedule": "zero" });
    world.act(&world.client, contract.at("/offer"), offer).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    contract
}

/// D-66, J70, J71, J72: 1,000.00 euros settle as 1,078.00 dollars, of which the provider keeps 31.56 (J02, J03 in dollars).
/// The refund takes 1,092.50 dollars: 14.50 are lost, and nothing is left in the FX position.
#[tokio::test]
async fn a_full_refund_in_another_currency_than_the_settlement() {
    let world = World::new().await;
    let provider = Provider::of(&world);
    provider.settles("eur", "usd", "1.078").await;
    let contract = in_euros(&world).await;
    let funding = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "EUR", "payment_method": "pm_card_visa",
    });
    world.act(&world.client, contract.at("/fundings"), funding).await.success().unwrap();
    world.at(World::begin() + TimeDelta::days(2)).await;

    let key = |account: &str, currency: &str| (account.to_owned(), currency.to_owned());
    let held = [
        (key("1120", "USD"), 104_644),
        (key("1300", "EUR"), 100_000),
        (key("1300", "USD"), -107_800),
        (key("2100", "EUR"), -100_000),
        (key("5100", "USD"), 3_156),
    ];
    assert_eq!(books(&world).await, BTreeMap::from(held));

    provider.top_up().await;
    provider.settles("eur", "usd", "1.0925").await;
    granted(&world, &contract, None).await;
    world.settled().await;
    let [refunded] = events(&world, "refund.succeeded").await.try_into().unwrap();
    assert_eq!(journal(&refunded), ["D 2260 100000", "C 1300 100000", "D 1300 109250", "C 1120 109250"]);
    let [realised] = events(&world, "funding.fx_result_realised").await.try_into().unwrap();
    assert_eq!(journal(&realised), ["D 5300 1450", "C 1300 1450"]);
    let left = [(key("1120", "USD"), -4_606), (key("5100", "USD"), 3_156), (key("5300", "USD"), 1_450)];
    assert_eq!(books(&world).await, BTreeMap::from(left));
    world.close().await;
}

/// What the sandbox is told to settle has to be currencies and a rate; with itself, nothing is exchanged any more.
#[tokio::test]
async fn the_sandbox_exchanges_only_what_it_was_told_to() {
    let world = World::new().await;
    let provider = Provider::of(&world);
    for (currency, settles_in, rate) in
        [("xxx", "usd", "1"), ("eur", "xxx", "1"), ("eur", "usd", "0"), ("eur", "usd", "-1")]
    {
        assert_eq!(
            provider.try_settles(currency, settles_in, rate).await.as_u16(),
            422,
            "{currency} {settles_in} {rate}"
        );
    }
    let card = [("amount", "10000"), ("currency", "eur"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let entries = || provider.get("/v1/balance_transactions?limit=1");
    provider.settles("eur", "jpy", "160.5").await;
    provider.post("/v1/payment_intents", &card).await;
    let entry = entries().await["data"][0].clone();
    assert_eq!((&entry["amount"], &entry["currency"]), (&json!(16_050), &json!("jpy")));
    assert_eq!(entry["exchange_rate"], json!(160.5));
    provider.settles("eur", "eur", "1").await;
    provider.post("/v1/payment_intents", &card).await;
    let entry = entries().await["data"][0].clone();
    assert_eq!((&entry["amount"], &entry["currency"]), (&json!(10_000), &json!("eur")));
    assert_eq!(entry["exchange_rate"], json!(null));
    world.close().await;
}
