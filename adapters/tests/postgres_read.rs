//! Reading streams and the log, and who may prepare a tenant, on a real Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod postgres_support;

use std::sync::Arc;

use adapters::embedded::APP_ROLE;
use adapters::embedded::testing::TestCluster;
use adapters::postgres::log_reader::{self, EventFilter};
use adapters::postgres::migrate::{MigrateError, migrate, owns_events};
use adapters::postgres::{PgStore, SchemaName};
use domain::log::{EventStore, Expected, StreamEvent};
use futures::future::join_all;
use sqlx::Row;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Barrier;

use postgres_support::{Building, accepted, append, check_log, database, pool, schema, store, stream, top_up};

fn names(events: &[StreamEvent]) -> Vec<(&str, u64)> {
    events.iter().map(|event| (event.stream.aggregate_id.as_str(), event.sequence)).collect()
}

/// Two scopes, `c-1` with streams a, b, c, and `c-2` with d; and e on its own.
async fn scoped() -> PgStore {
    let store = store(&database().await);
    let first = append()
        .writes(stream("b"), Expected::At(0), 2)
        .in_scope("c-1")
        .writes(stream("a"), Expected::At(0), 1)
        .in_scope("c-1")
        .writes(stream("d"), Expected::At(0), 1)
        .in_scope("c-2")
        .writes(stream("e"), Expected::At(0), 1);
    accepted(store.append(first).await);
    accepted(store.append(append().writes(stream("c"), Expected::Any, 1).in_scope("c-1")).await);
    store
}

#[tokio::test]
async fn a_stream_asked_for_from_the_start_brings_its_scope() {
    let store = scoped().await;
    let loaded = store.load(&[(stream("a"), 0)]).await.unwrap();
    assert_eq!(names(&loaded), [("a", 1), ("b", 1), ("b", 2), ("c", 1)]);
    let event = &loaded[0];
    assert_eq!(event.event_type, "note.taken");
    assert_eq!(event.occurred_at, postgres_support::at(0));
    assert!(!event.by_somebody);
}

#[tokio::test]
async fn a_stream_asked_for_from_a_version_comes_alone() {
    let store = scoped().await;
    assert_eq!(names(&store.load(&[(stream("b"), 1)]).await.unwrap()), [("b", 2)]);
    let mixed = store.load(&[(stream("b"), 1), (stream("a"), 0), (stream("e"), 0)]).await.unwrap();
    assert_eq!(names(&mixed), [("a", 1), ("b", 2), ("c", 1), ("e", 1)], "what is known of a scope is not sent again");
    assert_eq!(names(&store.load(&[(stream("nobody"), 0)]).await.unwrap()), []);
    assert_eq!(names(&store.load(&[]).await.unwrap()), []);
}

#[tokio::test]
async fn loading_is_ordered_by_stream_and_sequence() {
    let store = scoped().await;
    let asked: Vec<_> = ["e", "d", "c", "b", "a"].map(|id| (stream(id), 0)).into();
    let loaded = store.load(&asked).await.unwrap();
    assert!(loaded.is_sorted_by_key(|event| (event.stream.clone(), event.sequence)), "{:?}", names(&loaded));
    assert_eq!(loaded.len(), 6);
}

#[tokio::test]
async fn the_log_is_read_in_pages_without_a_gap() {
    let store = scoped().await;
    let mut after = 0;
    let mut positions = Vec::new();
    loop {
        let page = store.read(after, 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = last.position;
        positions.extend(page.iter().map(|event| event.position));
    }
    assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(store.head().await.unwrap(), 6);
    let stream = log_reader::of_stream(store.pool(), &stream("b"), 1, 10).await.unwrap();
    assert_eq!(stream.iter().map(|event| (event.sequence, event.position)).collect::<Vec<_>>(), [(2, 2)]);
}

/// I2: position order is commit order. Whoever reads up to the newest position while two servers append has every
/// position below it, so that "after the last one I saw" misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_sees_a_gap_while_others_append() {
    let database = database().await;
    let servers = [Arc::new(store(&database)), Arc::new(store(&database))];
    let reader = Arc::clone(&servers[0]);
    let writers = tokio::spawn(async move {
        let appends = (0..400_usize).map(|number| {
            let append = append().writes(stream(&format!("own-{number}")), Expected::At(0), 1 + number % 3);
            let server = Arc::clone(&servers[number % 2]);
            async move { accepted(server.append(append).await).last_position }
        });
        // Sixteen at a time, so that there are many commits to look in between.
        futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::buffer_unordered(futures::stream::iter(appends), 16))
            .await
    });
    let (mut seen, mut looks) = (0, 0);
    while !writers.is_finished() {
        let page = reader.read(seen, 1000).await.unwrap();
        for (expected, event) in (seen + 1..).zip(&page) {
            assert_eq!(event.position, expected, "a position below a visible one was not visible");
        }
        seen += page.len() as u64;
        looks += u64::from(!page.is_empty());
    }
    let last = writers.await.unwrap().into_iter().max().unwrap();
    assert!(looks > 5, "it was looked {looks} times only while they appended");
    assert_eq!(check_log(reader.pool()).await, last);
}

#[tokio::test]
async fn a_page_of_the_feed_can_be_narrowed() {
    let store = scoped().await;
    let mut other = append().books(stream("money"), Expected::At(0), top_up("pty_1", 5));
    other.events[0].event_type = "note.paid".into();
    accepted(store.append(other).await);
    let page = async |filter: EventFilter, after, limit| {
        let events = log_reader::page(store.pool(), after, limit, &filter).await.unwrap();
        events.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(page(EventFilter::default(), 4, 10).await, [5, 6, 7]);
    let paid = EventFilter { types: vec!["note.paid".to_owned(), "note.gone".to_owned()], ..EventFilter::default() };
    assert_eq!(page(paid, 0, 10).await, [7]);
    assert_eq!(page(EventFilter { financial: true, ..EventFilter::default() }, 0, 10).await, [7]);
    assert_eq!(page(EventFilter::default(), 0, 2).await, [1, 2]);
}

#[tokio::test]
async fn tenants_in_one_database_share_nothing() {
    let database = database().await;
    let other: SchemaName = "tenant_two".parse().unwrap();
    migrate(&database.owner_options, &other, APP_ROLE).await.unwrap();
    let (one, two) = (store(&database), PgStore::connect(database.app_options.clone(), &other, 2));
    let command = append().writes(stream("a"), Expected::At(0), 1);
    accepted(one.append(command.clone()).await);
    accepted(two.append(command).await);
    assert_eq!((one.head().await.unwrap(), two.head().await.unwrap()), (1, 1));
    check_log(two.pool()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_prepare_a_tenant_once() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    // The first round creates everything, the others find it and only grant again.
    for _ in 0..6 {
        let together = Arc::new(Barrier::new(16));
        let starts = (0..16).map(|_| {
            let (owner, together) = (database.owner_options.clone(), Arc::clone(&together));
            tokio::spawn(async move {
                together.wait().await;
                migrate(&owner, &schema(), APP_ROLE).await
            })
        });
        for started in join_all(starts).await {
            started.unwrap().expect("every server starts");
        }
    }
    accepted(store(&database).append(append().writes(stream("a"), Expected::At(0), 1)).await);
}

#[tokio::test]
async fn the_serving_login_may_have_another_name_and_no_more_rights() {
    let database = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let admin = sqlx::PgPool::connect_with(database.admin_options.clone()).await.unwrap();
    sqlx::raw_sql("create role \"Other_app\" login password 'other'").execute(&admin).await.unwrap();
    sqlx::raw_sql(&format!("grant connect on database {} to \"Other_app\"", database.name))
        .execute(&admin)
        .await
        .unwrap();
    migrate(&database.owner_options, &schema(), "Other_app").await.unwrap();
    // Over loopback, with a password: the socket lets only the logins in that the server was started with.
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(TestCluster::shared().unwrap().server().port())
        .database(&database.name)
        .username("Other_app")
        .password("other");
    let store = PgStore::connect(options, &schema(), 2);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    assert!(!owns_events(store.pool()).await.unwrap());
    assert!(owns_events(&pool(&database.owner_options)).await.unwrap());
    assert!(sqlx::query("delete from events").execute(store.pool()).await.is_err());
    for name in ["", "a b", "a\"; drop schema public; --"] {
        let refused = migrate(&database.owner_options, &schema(), name).await;
        assert!(matches!(refused, Err(MigrateError::BadRole(_))), "{name:?}");
    }
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = database().await;
    let store = store(&database);
    accepted(store.append(append().writes(stream("a"), Expected::At(0), 1)).await);
    migrate(&database.owner_options, &schema(), APP_ROLE).await.unwrap();
    assert_eq!(check_log(store.pool()).await, 1);
    let outside: i64 = sqlx::query("select count(*) as n from pg_tables where schemaname not in ('tenant_one', 'pg_catalog', 'information_schema')")
        .fetch_one(&pool(&database.admin_options))
        .await
        .unwrap()
        .get("n");
    assert_eq!(outside, 0, "everything, the record of migrations too, is inside the tenant's schema");
}

#[test]
fn a_name_that_would_have_to_be_quoted_is_no_tenant() {
    for name in [
        "",
        "1st",
        "Upper",
        "a-b",
        "a b",
        "a;b",
        "ä",
        "pg_catalog",
        "public",
        "information_schema",
        "_x",
        &"a".repeat(42),
    ] {
        assert!(name.parse::<SchemaName>().is_err(), "{name:?}");
    }
    for name in ["a", "tenant_1", &"a".repeat(41)] {
        assert!(name.parse::<SchemaName>().is_ok(), "{name:?}");
    }
}
