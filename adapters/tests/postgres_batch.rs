//! What shares a batch and what does not, and an answer that is lost after the commit, on a real Postgres.

#![expect(clippy::unwrap_used, reason = "tests")]

mod postgres_support;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::PgStore;
use domain::log::{Append, EventStore, Expected, StoreError, Verdict};
use futures::FutureExt;
use futures::future::join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use postgres_support::{Building, accepted, append, check_log, database, pool, schema, store, stream};

/// Appends these in one batch, as far as the committer lets them: the log's head is held until all of them wait.
async fn together(database: &TestDatabase, store: &PgStore, appends: Vec<Append>) -> Vec<Verdict> {
    type Pending<'a> = Pin<Box<dyn Future<Output = Result<Verdict, StoreError>> + Send + 'a>>;
    let owner = pool(&database.owner_options);
    let mut head = owner.begin().await.unwrap();
    sqlx::query("select position from log_head for update").execute(&mut *head).await.unwrap();
    let blocker = stream(&format!("blocker-{}", uuid::Uuid::now_v7()));
    let mut first: Pending = Box::pin(store.append(append().writes(blocker, Expected::At(0), 1)));
    assert!(first.as_mut().now_or_never().is_none());
    while !waits(&pool(&database.admin_options), &database.name).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut others: Vec<Pending> = appends.into_iter().map(|append| store.append(append).boxed()).collect();
    for other in &mut others {
        // Asked once, it is in the queue.
        assert!(other.as_mut().now_or_never().is_none());
    }
    head.rollback().await.unwrap();
    accepted(first.await);
    join_all(others).await.into_iter().map(Result::unwrap).collect()
}

/// Whether the committer is in the database, waiting for the head.
async fn waits(admin: &PgPool, name: &str) -> bool {
    sqlx::query(
        "select exists (select 1 from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'
                        and query like '%append_batch%') as waits",
    )
    .bind(name)
    .fetch_one(admin)
    .await
    .unwrap()
    .get("waits")
}

fn kinds(verdicts: &[Verdict]) -> Vec<&'static str> {
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Replayed(_) => "replayed",
        Verdict::Conflict => "conflict",
    };
    verdicts.iter().map(kind).collect()
}

async fn commits(pool: &PgPool) -> i64 {
    let row = sqlx::query("select count(distinct recorded_at) as n from events").fetch_one(pool).await.unwrap();
    row.get("n")
}

#[tokio::test]
async fn appends_that_have_nothing_in_common_are_one_commit() {
    let database = database().await;
    let store = store(&database);
    let appends = (0..100).map(|n| append().writes(stream(&format!("s-{n}")), Expected::At(0), 2)).collect();
    let verdicts = together(&database, &store, appends).await;
    for (at, verdict) in (0_u64..).zip(verdicts) {
        assert_eq!(accepted(Ok(verdict)).first_position, 2 + 2 * at, "in the order in which they came");
    }
    assert_eq!(check_log(store.pool()).await, 201);
    assert_eq!(commits(store.pool()).await, 2, "the blocker's, and one for all the others");
}

#[tokio::test]
async fn of_decisions_on_one_version_in_one_batch_the_first_wins() {
    let database = database().await;
    let store = store(&database);
    let appends = (0..10).map(|_| append().writes(stream("a"), Expected::At(0), 1)).collect();
    let verdicts = together(&database, &store, appends).await;
    assert_eq!(kinds(&verdicts)[0], "accepted");
    assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Conflict), "{:?}", kinds(&verdicts));
    assert_eq!(check_log(store.pool()).await, 2);
}

#[tokio::test]
async fn a_chain_of_decisions_queued_at_once_is_committed_in_its_order() {
    let database = database().await;
    let store = store(&database);
    let appends = (0..10).map(|version| append().writes(stream("a"), Expected::At(version), 1)).collect();
    let verdicts = together(&database, &store, appends).await;
    assert_eq!(kinds(&verdicts), ["accepted"; 10]);
    assert_eq!(check_log(store.pool()).await, 11);
}

#[tokio::test]
async fn two_decisions_that_read_each_others_stream_are_not_both_taken_in_one_batch() {
    let database = database().await;
    let store = store(&database);
    let (left, right) = (stream("left"), stream("right"));
    let one = append().writes(left.clone(), Expected::At(0), 1).reads(right.clone(), 0);
    let other = append().writes(right, Expected::At(0), 1).reads(left, 0);
    let verdicts = together(&database, &store, vec![one, other]).await;
    assert_eq!(kinds(&verdicts), ["accepted", "conflict"]);
}

#[tokio::test]
async fn a_command_twice_in_one_batch_is_answered_as_a_replay() {
    let database = database().await;
    let store = store(&database);
    let command = append().writes(stream("a"), Expected::Any, 1);
    let verdicts = together(&database, &store, vec![command.clone(), command.clone(), command]).await;
    assert_eq!(kinds(&verdicts), ["accepted", "replayed", "replayed"]);
    assert_eq!(check_log(store.pool()).await, 2);
}

#[tokio::test]
async fn notes_share_a_batch_and_decisions_on_their_stream_do_not() {
    let database = database().await;
    let store = store(&database);
    let note = || append().writes(stream("a"), Expected::Any, 2);
    let decide = || append().writes(stream("a"), Expected::At(0), 1);
    let verdicts = together(&database, &store, vec![note(), note(), decide(), note(), decide()]).await;
    // Notes make no decision wrong, the first decision makes the second one wrong.
    assert_eq!(kinds(&verdicts), ["accepted", "accepted", "accepted", "accepted", "conflict"]);
    let versions: Vec<u64> = verdicts[..4].iter().map(|verdict| accepted(Ok(verdict.clone())).versions[0]).collect();
    assert_eq!(versions, [2, 4, 5, 7]);
    assert_eq!(check_log(store.pool()).await, 8);
}

#[tokio::test]
async fn what_was_read_may_be_noted_to_in_the_same_batch() {
    let database = database().await;
    let store = store(&database);
    let note = append().writes(stream("popular"), Expected::Any, 1);
    let reader = append().writes(stream("a"), Expected::At(0), 1).reads(stream("popular"), 0);
    let verdicts = together(&database, &store, vec![note, reader]).await;
    assert_eq!(kinds(&verdicts), ["accepted", "accepted"]);
    assert_eq!(commits(store.pool()).await, 2);
}

#[tokio::test]
async fn one_that_conflicts_takes_nobody_along() {
    let database = database().await;
    let store = store(&database);
    let good = |id: &str| append().writes(stream(id), Expected::At(0), 1);
    let stale = append().writes(stream("c"), Expected::At(7), 1).writes(stream("d"), Expected::Any, 1);
    let verdicts = together(&database, &store, vec![good("a"), stale, good("b")]).await;
    assert_eq!(kinds(&verdicts), ["accepted", "conflict", "accepted"]);
    assert_eq!(accepted(Ok(verdicts[2].clone())).first_position, 3, "no gap where the conflict was");
    assert_eq!(check_log(store.pool()).await, 3);
}

/// Between the store and the server: swallows the answer of a commit that has landed, once, and hangs up.
async fn forgetful_proxy(server: u16, forget: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let forget = Arc::clone(&forget);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut bytes = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    // The tag with which the server says that the call is done, and so committed.
                    let done = bytes[..count].windows(9).any(|tag| tag == b"SELECT 1\0");
                    if done && forget.swap(false, Ordering::SeqCst) {
                        break;
                    }
                    if to_client.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
                up.abort();
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_after_the_commit_is_found_again() {
    let database = database().await;
    let admin = pool(&database.admin_options);
    sqlx::raw_sql("create role proxied_app login password 'proxied' in role earnest_app")
        .execute(&admin)
        .await
        .unwrap();
    let forget = Arc::new(AtomicBool::new(false));
    let server = TestCluster::shared().unwrap().server().port();
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(forgetful_proxy(server, Arc::clone(&forget)).await)
        .database(&database.name)
        .username("proxied_app")
        .password("proxied");
    let store = PgStore::connect(options, &schema(), 2);
    accepted(store.append(append().writes(stream("before"), Expected::At(0), 1)).await);
    for turn in 0..5 {
        forget.store(true, Ordering::SeqCst);
        let command = append().writes(stream("a"), Expected::At(turn), 1);
        let Ok(Verdict::Replayed(stored)) = store.append(command).await else { panic!("it had landed") };
        assert!(!forget.load(Ordering::SeqCst), "the answer was not lost, so nothing was tried");
        assert_eq!(stored.position, turn + 2);
    }
    assert_eq!(check_log(store.pool()).await, 6, "nothing twice");
}
