//! The log is what is kept: everything that is shown can be thrown away and made again from it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use adapters::postgres::projection::Projector;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::Row;
use support::World;

/// Every row of every table that is derived from the log, and of the totals kept at the commit, as text.
async fn derived(world: &World) -> Vec<String> {
    let mut rows = Vec::new();
    for table in [
        "postings",
        "subledger_balances",
        "documents",
        "contract_events",
        "wakeups",
        "projections",
        "control_balances",
        "stream_scopes",
    ] {
        let sql = format!("select t::text as row from main.{table} t order by t::text collate \"C\"");
        let found = sqlx::query(&sql).fetch_all(world.server.app().pool()).await.unwrap();
        assert!(!found.is_empty(), "{table} is not tested");
        rows.extend(found.iter().map(|row| format!("{table}{}", row.get::<String, _>("row"))));
    }
    rows
}

/// I7, L10 (without a Merkle tree, which does not exist yet): after a story in which everything happens, what is built
/// from position 1 on is what was there, byte for byte; and so are the answers.
#[tokio::test]
async fn what_is_rebuilt_from_the_log_is_what_was_there() {
    let world = World::new().await;
    // One that is paid out, one that expires, one whose card was declined, one that waits to clear, an offer, a draft.
    let (begin, day) = (World::begin(), TimeDelta::days);
    let contract = world.released().await;
    world.at(begin + day(5)).await;
    let payout = json!({ "amount": 60_000, "currency": "USD" });
    world.post(&world.payee, "/v1/payouts", None, payout).await.success().unwrap();
    let expired = world.offered().await;
    world.at(begin + day(15)).await;
    let declined = world.accepted().await;
    world.fund(&declined, "pm_card_chargeDeclined").await.success().unwrap();
    let pending = world.accepted().await;
    world.fund(&pending, "pm_card_visa").await.success().unwrap();
    world.at(begin + day(15)).await;
    world.approve(&pending, "\"3\"", json!({})).await.success().unwrap();
    world.offered().await;
    world.drafted().await;
    world.at(begin + day(15)).await;
    for event_type in ["payout.paid", "funding.failed", "contract.offer_expired", "payee.earnings_cleared"] {
        assert!(world.count(event_type).await > 0, "{event_type} did not happen");
    }
    let paths = [
        "/v1/contracts?limit=100".to_owned(),
        format!("/v1/contracts/{}/timeline?limit=500", contract.id),
        format!("/v1/contracts/{}", expired.id),
        "/v1/payouts".to_owned(),
        "/v1/reports/trial-balance".to_owned(),
    ];
    let shown = async || {
        let mut answers = Vec::new();
        for path in &paths {
            let who = if path.starts_with("/v1/payouts") { &world.payee } else { &world.admin };
            let answer = world.get(who, path).await.success().unwrap();
            answers.push((answer.header("etag").map(str::to_owned), answer.body.to_string()));
        }
        answers
    };
    let (rows, answers) = (derived(&world).await, shown().await);

    let head = Projector::new(world.server.app().pool()).rebuild(|_, _| {}).await.unwrap();
    assert_eq!(head, world.head().await);
    // Wake-ups of the past are there again; somebody looks in vain, and they go.
    world.at(begin + day(15)).await;
    assert_eq!(world.head().await, head);
    let rebuilt = derived(&world).await;
    assert_eq!(rebuilt.len(), rows.len());
    for (rebuilt, row) in rebuilt.iter().zip(&rows) {
        assert_eq!(rebuilt, row);
    }
    assert_eq!(shown().await, answers);
    // And it goes on from there.
    world.at(begin + day(30)).await;
    assert_eq!(world.count("payee.earnings_cleared").await, 2);
    world.books().await;
    world.close().await;
}
