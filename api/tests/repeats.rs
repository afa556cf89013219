//! Requests that are sent more than once, one after the other and at once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use api::cli::story::ApiClient;
use futures::future::{Either, select};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{World, funding_of};

/// D-34, D-48, D-154: approval without a submission; the same key again has no second effect and the same answer.
#[tokio::test]
async fn an_approval_that_is_repeated_releases_once() {
    let world = World::new().await;
    let contract = world.funded().await;
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    let first = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({})).await.success().unwrap();
    for _ in 0..3 {
        let again = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({})).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.header("log-position"), first.header("log-position"));
    }
    assert_eq!((world.count("milestone.approved").await, world.count("escrow.released").await), (1, 1));
    let mismatch = world.post_with_key(&world.client, &path, "once", Some("\"3\""), json!({ "amount": 99_900 }));
    world.refused(422, "idempotency_mismatch", mismatch).await;
    let twice = world.approve(&contract, "\"5\"", json!({}));
    let twice = world.refused(409, "milestone_already_approved", twice).await;
    assert_eq!(twice.body["links"]["refund_request"], "/v1/refunds", "what was released is given back by the payee");
    world.close().await;
}

/// D-154, D-155: a funding under one key. The same body gets the same answer; another amount is refused, whatever the
/// amount would have been answered with under a key of its own; the key still gives the first answer.
#[tokio::test]
async fn a_key_belongs_to_one_body() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let path = format!("/v1/contracts/{}/fundings", contract.id);
    let fund = |amount| {
        let body = funding_of(&contract, amount, "pm_card_visa");
        world.post_with_key(&world.client, &path, "K", None, body)
    };
    let first = fund(100_000).await.success().unwrap();
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (201, None));
    world.at(World::begin()).await;
    let head = world.head().await;
    world.refused(422, "idempotency_mismatch", fund(99_900)).await;
    let again = fund(100_000).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!((world.head().await, world.count("funding.created").await), (head, 1), "no new event");
    // Another caller's key of the same name is another key.
    let other = world.post_with_key(&world.outsider, &path, "K", None, funding_of(&contract, 99_900, "pm_card_visa"));
    world.refused(404, "not_found", other).await;
    world.close().await;
}

/// D-156: while a request is being carried out, another one under its key is told to come back; later it sees the answer.
#[tokio::test]
async fn two_requests_under_one_key_have_one_effect() {
    let world = World::new().await;
    let contract = world.funded().await;
    world.settled().await;
    let path = format!("/v1/milestones/{}/approve", contract.milestone);
    let headers = [("Idempotency-Key", "twin"), ("If-Match", "\"3\"")];
    let (token, body) = (&world.client.token, json!({}));
    let ask = || Box::pin(world.api.post(&path, token, &headers, &body));
    // Nobody can write while this is held: whichever of the two comes first is being carried out until it is let go.
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    let mut held = owner.begin().await.unwrap();
    sqlx::query("select position from main.log_head for update").execute(&mut *held).await.unwrap();
    let (early, late) = match select(ask(), ask()).await {
        Either::Left((early, late)) | Either::Right((early, late)) => (early.unwrap(), late),
    };
    assert_eq!((early.status.as_u16(), &early.body["code"]), (409, &json!("idempotency_in_progress")));
    assert_eq!(early.header("retry-after"), Some("1"));
    held.rollback().await.unwrap();
    let first = late.await.unwrap().success().unwrap();
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = ask().await.unwrap().success().unwrap();
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, Some("true")));
    assert_eq!(world.count("escrow.released").await, 1);
    world.close().await;
}

/// D-38: the client approves and the payee gives the money back, both on the version that they have seen: one of them is
/// obeyed, and the other is told what the winner did.
#[tokio::test]
async fn of_two_who_want_different_things_one_is_told_of_the_other() {
    let world = World::new().await;
    let (mut approved, mut rounds) = (0, 0);
    // Each of the two is asked first as often as the other.
    for client_first in [true, false, true, false] {
        let contract = world.funded().await;
        let version = world.version(&world.client, &contract.work("")).await;
        let (approve, grant) = (contract.work("/approve"), contract.work("/grant-refund"));
        let approving = world.post(&world.client, &approve, Some(&version), json!({}));
        let granting = world.post(&world.payee, &grant, Some(&version), json!({}));
        let (approving, granting) = if client_first {
            tokio::join!(approving, granting)
        } else {
            let (granting, approving) = tokio::join!(granting, approving);
            (approving, granting)
        };
        let (winner, loser, event) = if approving.status.is_success() {
            approved += 1;
            (approving, granting, "milestone.approved")
        } else {
            (granting, approving, "milestone.refund_agreed")
        };
        assert!(winner.status.is_success(), "{}", winner.body);
        assert_eq!((loser.status.as_u16(), &loser.body["code"]), (412, &json!("version_mismatch")), "{}", loser.body);
        assert_eq!(loser.body["events_since"][0]["type"], event);
        assert!(loser.header("etag").is_some());
        rounds += 1;
        assert_eq!(world.count("milestone.approved").await + world.count("milestone.refund_agreed").await, rounds);
    }
    assert_eq!(
        (world.count("escrow.released").await, world.count("escrow.refund_initiated").await),
        (approved, 4 - approved)
    );
    world.close().await;
}

/// How 64 callers go about their one approval each.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// All under one key; who is told that it is in progress asks again.
    OneKey,
    /// Each under a key of its own; who is told to come back asks again.
    KeysWithRetry,
    /// Each under a key of its own, asking once.
    KeysWithoutRetry,
    /// The same, a third of them on a version that is not the newest.
    VersionsWithoutRetry,
}

/// D-156, I5, I6: 64 approvals at once over two servers, four ways; one release each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_approvals_one_releases() {
    let world = World::new().await;
    let second = world.second_server().await;
    let servers = [world.api.clone(), ApiClient::new(second.base_url())];
    let ways = [Way::OneKey, Way::KeysWithRetry, Way::KeysWithoutRetry, Way::VersionsWithoutRetry];
    for way in ways {
        let contract = world.funded().await;
        let mut approvals = tokio::task::JoinSet::new();
        for number in 0..64_usize {
            let (api, token) = (servers[number % 2].clone(), world.client.token.clone());
            let path = format!("/v1/milestones/{}/approve", contract.milestone);
            let key = if way == Way::OneKey { contract.id.clone() } else { format!("{}-{number}", contract.id) };
            let version = if way == Way::VersionsWithoutRetry && number % 3 == 0 { "\"2\"" } else { "\"3\"" };
            approvals.spawn(async move {
                let headers = [("Idempotency-Key", key.as_str()), ("If-Match", version)];
                loop {
                    let answer = api.post(&path, &token, &headers, &json!({})).await.unwrap();
                    let code = answer.body["code"].as_str();
                    let later = matches!(code, Some("idempotency_in_progress" | "conflict_retry"));
                    if !later || matches!(way, Way::KeysWithoutRetry | Way::VersionsWithoutRetry) {
                        return answer;
                    }
                    assert!(answer.header("retry-after").is_some());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        let (mut first, mut replays, mut bodies) = (0, 0, BTreeSet::new());
        while let Some(answer) = approvals.join_next().await {
            let answer = answer.unwrap();
            let code = answer.body["code"].as_str().unwrap_or_default();
            match (answer.status.as_u16(), code) {
                (200, _) => {
                    bodies.insert(answer.body.to_string());
                    if answer.header("idempotent-replayed").is_some() { replays += 1 } else { first += 1 }
                }
                (409, "milestone_already_approved") | (412, "version_mismatch") => {}
                // Only who comes from the other server at every try; it is told when to come back.
                (409, "conflict_retry") if way != Way::KeysWithRetry => {
                    assert!(answer.header("retry-after").is_some());
                }
                _ => panic!("{way:?}: {}: {}", answer.status, answer.body),
            }
        }
        assert_eq!((first, bodies.len()), (1, 1), "{way:?}");
        assert_eq!(replays, if way == Way::OneKey { 63 } else { 0 }, "{way:?}");
    }
    assert_eq!((world.count("milestone.approved").await, world.count("escrow.released").await), (4, 4));
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    assert!((1_u64..).zip(&events).all(|(position, event)| event.position == position));
    world.books().await;
    second.shutdown().await;
    world.close().await;
}
