//! The past over HTTP: things as they were at an instant and at a version, and the books at any position.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;

use api::cli::story::{Answer, nets_of, nets_shown, recount};
use api::routes::balances::{LedgerBalanceView, LedgerBalancesView};
use api::routes::reports::TrialBalanceView;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use support::{Contract, World};

/// A contract whose milestone is paid for on the first day, submitted on the second and approved on the third.
async fn story(world: &World) -> Contract {
    let contract = world.funded().await;
    world.at(day(1)).await;
    world.act(&world.payee, contract.work("/submit"), json!({})).await.success().unwrap();
    world.at(day(2)).await;
    world.act(&world.client, contract.work("/approve"), json!({})).await.success().unwrap();
    world.settled().await;
    contract
}

fn day(days: i64) -> DateTime<Utc> {
    World::begin() + TimeDelta::days(days)
}

fn at(instant: DateTime<Utc>) -> String {
    format!("?as_of={}", instant.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

async fn read(world: &World, path: &str) -> Answer {
    world.get(&world.client, path).await.success().unwrap()
}

/// I7: at each instant, the milestone, its contract and the escrow are as they were; at the present one, as they are.
#[tokio::test]
async fn things_are_shown_as_they_were() {
    let world = World::new().await;
    let contract = story(&world).await;
    let escrow = format!("/v1/escrows/{}", contract.id);
    let moments = [
        (day(0), "funded", "active", 100_000, 0),
        (day(1) - TimeDelta::milliseconds(1), "funded", "active", 100_000, 0),
        (day(1), "submitted", "active", 100_000, 0),
        (day(2), "released", "completed", 0, 100_000),
    ];
    for (instant, milestone_is, contract_is, held, released) in moments {
        let milestone = read(&world, &contract.work(&at(instant))).await.body;
        assert_eq!((&milestone["status"], &milestone["held"]), (&json!(milestone_is), &json!(held)), "{instant}");
        let whole = read(&world, &contract.at(&at(instant))).await.body;
        assert_eq!((&whole["status"], &whole["milestones"][0]), (&json!(contract_is), &milestone), "{instant}");
        let money = read(&world, &format!("{escrow}{}", at(instant))).await.body;
        assert_eq!((&money["held"], &money["released"]), (&json!(held), &json!(released)), "{instant}");
        assert_eq!((&money["id"], &money["currency"]), (&json!(contract.id), &json!("USD")));
    }
    for path in [contract.work(""), contract.at(""), escrow] {
        let (now, then) = (read(&world, &path).await, read(&world, &format!("{path}{}", at(day(2)))).await);
        assert_eq!((now.body, now.headers.get("etag")), (then.body, then.headers.get("etag")), "{path}");
    }
    world.close().await;
}

/// I7: each version of a thing is the fold of its first events; a contract is never shown with half of a commit.
#[tokio::test]
async fn every_version_can_be_read() {
    let world = World::new().await;
    let contract = story(&world).await;
    let version = |path: String, number: u64| {
        let world = &world;
        async move {
            let answer = read(world, &format!("{path}?as_of_version={number}")).await;
            assert_eq!(answer.header("etag"), Some(format!("\"{number}\"").as_str()));
            answer.body
        }
    };
    let mut seen = Vec::new();
    for number in 1..=6 {
        seen.push(version(contract.work(""), number).await["status"].clone());
    }
    assert_eq!(seen, ["planned", "funding_pending", "funded", "submitted", "approved", "released"]);
    let mut seen = Vec::new();
    for number in 1..=6 {
        let shown = version(contract.at(""), number).await;
        seen.push((shown["status"].clone(), shown["milestones"][0]["status"].clone(), shown["escrow"]["held"].clone()));
    }
    let expected = [
        ("draft", "proposed", Value::Null),
        ("offered", "proposed", Value::Null),
        ("pending_funding", "planned", json!(0)),
        ("active", "funded", json!(100_000)),
        ("active", "released", json!(0)),
        ("completed", "released", json!(0)),
    ];
    let expected = expected.map(|(contract, milestone, held)| (json!(contract), json!(milestone), held));
    assert_eq!(seen, expected);
    let opened = version(format!("/v1/escrows/{}", contract.id), 1).await;
    assert_eq!((&opened["status"], &opened["held"]), (&json!("open"), &json!(0)));
    world.close().await;
}

/// D-173, D-174: moments that there are not, and readers who are none.
#[tokio::test]
async fn no_other_moment_is_shown_and_to_nobody_else() {
    let world = World::new().await;
    let contract = story(&world).await;
    let escrow = format!("/v1/escrows/{}", contract.id);
    for path in [contract.at(""), contract.work(""), escrow.clone()] {
        let now = world.get(&world.client, &path).await;
        let version: u64 = now.header("etag").unwrap().trim_matches('"').parse().unwrap();
        let future = at(day(2) + TimeDelta::milliseconds(1));
        for (query, pointer) in [
            (future.as_str(), "as_of"),
            ("?as_of_version=0", "as_of_version"),
            (&format!("?as_of_version={}", version + 1), "as_of_version"),
            (&format!("{}&as_of_version=1", at(day(0))), "as_of_version"),
        ] {
            let asked = format!("{path}{query}");
            let problem = world.refused(422, "validation_failed", world.get(&world.client, &asked)).await;
            assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{query}");
        }
        let words = format!("{path}?as_of=yesterday");
        world.refused(422, "validation_failed", world.get(&world.client, &words)).await;
        // Before it began there is nothing to see; and for who sees nothing now, there was nothing.
        let before = format!("{path}{}", at(day(0) - TimeDelta::milliseconds(1)));
        world.refused(404, "not_found", world.get(&world.client, &before)).await;
        for query in ["", "?as_of_version=2"] {
            let path = format!("{path}{query}");
            world.refused(404, "not_found", world.get(&world.outsider, &path)).await;
            world.get(&world.payee, &path).await.success().unwrap();
            world.get(&world.admin, &path).await.success().unwrap();
        }
    }
    world.close().await;
}

/// A payee never sees the draft that an offer was made of; client and staff do.
#[tokio::test]
async fn what_was_a_draft_stays_the_clients() {
    let world = World::new().await;
    let contract = world.funded().await;
    let draft = contract.at("?as_of_version=1");
    assert_eq!(read(&world, &draft).await.body["status"], "draft");
    assert_eq!(world.get(&world.admin, &draft).await.success().unwrap().body["status"], "draft");
    world.refused(404, "not_found", world.get(&world.payee, &draft)).await;
    let offered = world.get(&world.payee, &contract.at("?as_of_version=2")).await.success().unwrap();
    assert_eq!(offered.body["status"], "offered");
    world.close().await;
}

async fn balances(world: &World, path: &str) -> LedgerBalancesView {
    serde_json::from_value(world.get(&world.admin, path).await.success().unwrap().body).unwrap()
}

/// The nets by account and currency.
fn summed(lines: &[LedgerBalanceView]) -> BTreeMap<(String, String), i128> {
    let mut nets = BTreeMap::new();
    for line in lines {
        *nets.entry((line.account.clone(), line.currency.clone())).or_default() += line.net;
    }
    nets.retain(|_, net| *net != 0);
    nets
}

/// Balances by account and dimensions: as of an instant, filtered, and page by page at one position.
#[tokio::test]
async fn balances_are_read_by_their_dimensions() {
    let world = World::new().await;
    let contract = story(&world).await;
    let held = |suffix: &str| format!("/v1/ledger/balances?account=2100&{suffix}");
    let of = |line: &LedgerBalanceView| (line.dimensions["contract"].clone(), line.net, line.decimal.clone());
    let before = balances(&world, &held(&at(day(1))[1..])).await;
    let [line] = before.data.as_slice() else { panic!("{before:?}") };
    assert_eq!(of(line), (contract.id.clone(), -100_000, "1,000.00 USD Cr".to_owned()));
    let keys: Vec<_> = line.dimensions.keys().map(String::as_str).collect();
    assert_eq!((keys, line.name.as_str()), (vec!["contract", "funding", "milestone"], "Escrow held"));
    let after = balances(&world, &held("currency=USD")).await;
    assert_eq!((after.data[0].debits, after.data[0].net), (100_000, 0), "released on the third day");
    assert!(balances(&world, &held("currency=EUR")).await.data.is_empty());

    let whole = balances(&world, "/v1/ledger/balances").await;
    assert_eq!((whole.position, &whole.next_cursor), (world.head().await, &None));
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let path = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page = balances(&world, &format!("/v1/ledger/balances?limit=2{path}")).await;
        assert_eq!(page.position, whole.position);
        if pages.is_empty() {
            // What is booked meanwhile is not on the pages that follow.
            world.funded().await;
        }
        pages.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(pages.len() > 4);
    assert_eq!(pages, whole.data);

    let cursor = "p1.2100.USD.61";
    for (wrong, pointer) in [
        ("position=1000000".to_owned(), "position"),
        (format!("position=2&cursor={cursor}"), "position"),
        ("as_of=2030-01-01T00:00:00Z".to_owned(), "as_of"),
        ("account=1".to_owned(), "account"),
        ("account=2100000000".to_owned(), "account"),
        ("currency=XXX".to_owned(), "currency"),
        ("cursor=p1".to_owned(), "cursor"),
        (format!("cursor={cursor}z"), "cursor"),
        ("limit=0".to_owned(), "limit"),
        ("limt=5".to_owned(), "limt"),
    ] {
        let path = format!("/v1/ledger/balances?{wrong}");
        let problem = world.get(&world.admin, &path);
        let problem = world.refused(422, "validation_failed", problem).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{wrong}");
    }
    world.refused(403, "forbidden", world.get(&world.client, "/v1/ledger/balances")).await;
    world.close().await;
}

/// I1: at every position of the log the books balance, and are what the events up to there add up to.
#[tokio::test]
async fn the_books_are_read_at_every_position() {
    let world = World::new().await;
    story(&world).await;
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let (mut last, mut changes) = (BTreeMap::new(), 0);
    for position in 0..=events.len() {
        let path = format!("/v1/reports/trial-balance?as_of_position={position}");
        let answer = world.get(&world.admin, &path).await.success().unwrap();
        assert_eq!(answer.header("log-position"), Some(position.to_string().as_str()));
        let shown: TrialBalanceView = serde_json::from_value(answer.body).unwrap();
        assert!(shown.balanced && shown.position == position as u64);
        let nets = nets_shown(&shown);
        assert_eq!(nets, nets_of(&recount(&events[..position])), "{position}");
        let path = format!("/v1/ledger/balances?position={position}&limit=1000");
        assert_eq!(nets, summed(&balances(&world, &path).await.data), "{position}");
        changes += usize::from(nets != last);
        last = nets;
    }
    assert_eq!(last, nets_shown(&world.api.trial_balance(&world.admin.token).await.unwrap()));
    assert!(changes >= 3, "payment, its cost, release: {changes}");
    let beyond = format!("/v1/reports/trial-balance?as_of_position={}", events.len() + 1);
    world.refused(422, "validation_failed", world.get(&world.admin, &beyond)).await;
    world.refused(403, "forbidden", world.get(&world.client, "/v1/reports/trial-balance?as_of_position=1")).await;
    world.close().await;
}
