//! What the program says of itself, over HTTP: it is what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeSet;

use api::code::ErrorCode;
use domain::event::EVENT_TYPES;
use domain::policy::{FeeSchedule, Policy};
use domain::refusal::Refusal;
use ledger::{Currency, Minor};
use serde::Deserialize;
use serde_json::{Value, json};
use support::World;

async fn list(world: &World, name: &str) -> Vec<Value> {
    // Without a token.
    let url = format!("/v1/meta/{name}");
    let answer = world.raw(|http, base| http.get(format!("{base}{url}"))).await.success().unwrap();
    assert_eq!((&answer.body["object"], &answer.body["next_cursor"]), (&json!("list"), &Value::Null));
    answer.body["data"].as_array().unwrap().clone()
}

fn texts<'a>(items: &'a [Value], member: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[member].as_str().unwrap()).collect()
}

/// ISO 4217 list one, published 2026-01-01, without funds, metals and units of account: 155 currencies, of which these
/// have no decimals, and these three.
const NO_DECIMALS: [&str; 16] =
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"];
const THREE_DECIMALS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// D-53, D-55: every currency with the digits of ISO 4217 and those of the provider, and what can be charged and paid out.
#[tokio::test]
async fn currencies_are_those_of_iso_4217() {
    let world = World::without_account().await;
    let currencies = list(&world, "currencies").await;
    assert_eq!(currencies.len(), 155);
    assert!(texts(&currencies, "code").is_sorted());
    let with = |exponent: u64| -> Vec<&str> {
        let some: Vec<&Value> = currencies.iter().filter(|currency| currency["exponent"] == exponent).collect();
        some.into_iter().map(|currency| currency["code"].as_str().unwrap()).collect()
    };
    assert_eq!((with(0), with(3), with(2).len()), (NO_DECIMALS.to_vec(), THREE_DECIMALS.to_vec(), 132));
    // Stripe's own: two decimals for two without, none for the ariary; multiples of ten, of a hundred.
    let mut special = BTreeSet::new();
    for currency in &currencies {
        let [stripe] = currency["providers"].as_array().unwrap().as_slice() else { panic!("{currency}") };
        let code = currency["code"].as_str().unwrap();
        let number = |member: &str| stripe[member].as_i64().unwrap();
        let differs = stripe["exponent"] != currency["exponent"];
        if differs || number("charge_quantum") != 1 || number("payout_quantum") != 1 {
            special.insert((code, number("exponent"), number("charge_quantum"), number("payout_quantum")));
        }
        // One of the currency's whole units is one of the provider's.
        let known: Currency = code.parse().unwrap();
        let whole = Minor::new(10_i64.pow(known.exponent())).unwrap();
        assert_eq!(known.psp_units(whole), Ok(10_i64.pow(u32::try_from(number("exponent")).unwrap())), "{code}");
    }
    let three = THREE_DECIMALS.map(|code| (code, 3, 10, 10));
    let own = [("HUF", 2, 1, 100), ("ISK", 2, 1, 1), ("MGA", 0, 100, 100), ("TWD", 2, 1, 100), ("UGX", 2, 1, 1)];
    assert_eq!(special, three.into_iter().chain(own).collect());
}

/// D-173: every code that the service answers with is listed, with its status.
#[tokio::test]
async fn error_codes_and_event_types_are_those_of_the_code() {
    let world = World::without_account().await;
    let codes = list(&world, "error-codes").await;
    assert_eq!(codes.len(), ErrorCode::ALL.len());
    assert_eq!(texts(&codes, "code").into_iter().collect::<BTreeSet<_>>().len(), codes.len());
    let refusal = Refusal::ExceedsHeld { held: Minor::ZERO };
    let listed = codes.iter().find(|code| code["code"] == refusal.code()).unwrap();
    assert_eq!((&listed["status"], &listed["type"]), (&json!(422), &json!("/problems/exceeds-held")));
    let types = list(&world, "event-types").await;
    assert_eq!(texts(&types, "type"), EVENT_TYPES.iter().map(|kind| kind.name).collect::<Vec<_>>());
    // What a story writes is listed, and carries a journal where the list says so.
    world.funded().await;
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    for event in &events {
        let kind = types.iter().find(|kind| kind["type"] == event.r#type.as_str()).expect(&event.r#type);
        assert_eq!(kind["schema_version"], event.schema_version);
        assert_eq!(kind["financial"], json!(event.journal.is_some()), "{}", event.r#type);
    }
    assert!(events.iter().any(|event| event.journal.is_some()));
}

/// The state machines name the states that the API shows.
#[tokio::test]
async fn state_machines_lead_where_contracts_go() {
    let world = World::new().await;
    let machines = list(&world, "state-machines").await;
    let aggregates = texts(&machines, "aggregate");
    for aggregate in ["contract", "milestone", "escrow", "funding", "refund", "chargeback", "payee", "payout", "wallet"]
    {
        assert_eq!(aggregates.iter().filter(|shown| **shown == aggregate).count(), 1, "{aggregate}");
    }
    let milestone = &machines[1];
    let submit =
        milestone["transitions"].as_array().unwrap().iter().find(|step| step["command"] == "submit_work").unwrap();
    assert_eq!((&submit["by"], &submit["to"]), (&json!(["payee"]), &json!("submitted")));
    let contract = world.funded().await;
    let before = world.get(&world.client, &contract.work("")).await.body["status"].clone();
    assert!(submit["from"].as_array().unwrap().contains(&before), "{before}");
    let answer = world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    assert_eq!(answer.body["status"], submit["to"]);
    assert!(milestone["diagram"].as_str().unwrap().starts_with("stateDiagram-v2\n"));
}

/// The presets are what a contract gets that is offered with nothing said.
#[tokio::test]
async fn presets_are_those_that_contracts_get() {
    let world = World::new().await;
    let (fees, policies) = (list(&world, "fee-presets").await, list(&world, "policies").await);
    assert_eq!(texts(&fees, "id"), ["two_sided", "flat5", "zero"]);
    assert_eq!(texts(&policies, "id"), ["fixed", "gig", "trusted_gig", "booking"]);
    world.accepted().await;
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let offered = events.iter().find(|event| event.r#type == "contract.offered").unwrap();
    // An event leaves out what reading it fills in.
    let schedule = |value: &Value| FeeSchedule::deserialize(value).unwrap();
    assert_eq!(schedule(&offered.data["fee_schedule"]), schedule(&fees[0]));
    let policy = |value: &Value| Policy::deserialize(value).unwrap();
    assert_eq!(policy(&offered.data["policy"]), policy(&policies[0]));
}
