//! cqrs-es beside us: its tools read our log, and its framework writes to it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod postgres_support;

use std::collections::HashMap;
use std::sync::Arc;

use adapters::postgres::clock::TenantClock;
use adapters::postgres::framework::FrameworkStore;
use adapters::postgres::projection::{Progress, Projector};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore as _};
use domain::log::{EventStore, Expected};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use postgres_support::{Building, accepted, append, check_log, database, pool, store, stream};

/// Somebody's own: a jar that holds what was put in.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Jar {
    held: i64,
    changes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum JarEvent {
    PutIn { coins: i64 },
    TakenOut { coins: i64 },
}

impl DomainEvent for JarEvent {
    fn event_type(&self) -> String {
        match self {
            Self::PutIn { .. } => "jar.put_in".to_owned(),
            Self::TakenOut { .. } => "jar.taken_out".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "2.0".to_owned()
    }
}

#[derive(Debug)]
enum JarCommand {
    Put(i64),
    Take(i64),
}

#[derive(Debug, thiserror::Error)]
#[error("the jar holds {0} coins")]
struct TooFew(i64);

impl Aggregate for Jar {
    const TYPE: &'static str = "jar";
    type Command = JarCommand;
    type Event = JarEvent;
    type Error = TooFew;
    type Services = ();

    async fn handle(&mut self, command: JarCommand, (): &(), sink: &EventSink<Self>) -> Result<(), TooFew> {
        match command {
            JarCommand::Put(coins) => sink.write(JarEvent::PutIn { coins }, self).await,
            JarCommand::Take(coins) if coins > self.held => return Err(TooFew(self.held)),
            JarCommand::Take(coins) => sink.write(JarEvent::TakenOut { coins }, self).await,
        }
        Ok(())
    }

    fn apply(&mut self, event: JarEvent) {
        self.changes += 1;
        match event {
            JarEvent::PutIn { coins } => self.held += coins,
            JarEvent::TakenOut { coins } => self.held -= coins,
        }
    }
}

type Jars = CqrsFramework<Jar, FrameworkStore<TenantClock>>;

async fn jars(store: &Arc<adapters::postgres::PgStore>) -> Jars {
    let clock = TenantClock::open(store.pool().clone()).await.unwrap();
    CqrsFramework::new(FrameworkStore::new(Arc::clone(store), clock), vec![], ())
}

#[tokio::test]
async fn a_plain_framework_commits_into_the_same_log() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let jars = jars(&store).await;
    accepted(store.append(append().writes(stream("ours"), Expected::At(0), 1)).await);
    jars.execute("j-1", JarCommand::Put(100)).await.unwrap();
    let given = HashMap::from([("who".to_owned(), "somebody".to_owned())]);
    jars.execute_with_metadata("j-1", JarCommand::Take(30), given).await.unwrap();
    accepted(store.append(append().writes(stream("ours"), Expected::At(1), 1)).await);
    let refused = jars.execute("j-1", JarCommand::Take(71)).await;
    assert!(matches!(refused, Err(AggregateError::UserError(TooFew(70)))), "{refused:?}");
    assert_eq!(check_log(store.pool()).await, 4);
    let log = store.read(0, 10).await.unwrap();
    let types: Vec<_> = log.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["note.taken", "jar.put_in", "jar.taken_out", "note.taken"]);
    assert_eq!(log[2].metadata.more.get("who").map(String::as_str), Some("somebody"));
    assert_eq!(log[2].payload, r#"{"type":"taken_out","coins":30}"#);
}

#[tokio::test]
async fn of_two_that_loaded_the_same_jar_one_is_told_of_the_conflict() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let clock = TenantClock::open(store.pool().clone()).await.unwrap();
    let events = FrameworkStore::new(Arc::clone(&store), clock);
    let one = cqrs_es::EventStore::<Jar>::load_aggregate(&events, "j-1").await.unwrap();
    let other = cqrs_es::EventStore::<Jar>::load_aggregate(&events, "j-1").await.unwrap();
    let committed = events.commit(vec![JarEvent::PutIn { coins: 1 }], one, HashMap::new()).await.unwrap();
    assert_eq!(committed[0].sequence, 1);
    let late = events.commit(vec![JarEvent::PutIn { coins: 2 }], other, HashMap::new()).await;
    assert!(matches!(late, Err(AggregateError::AggregateConflict)), "{late:?}");
    let loaded = cqrs_es::EventStore::<Jar>::load_events(&events, "j-1").await.unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].metadata, committed[0].metadata, "what is told is what is stored");
}

#[tokio::test]
async fn a_command_with_an_id_is_carried_out_once() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let jars = jars(&store).await;
    let given = HashMap::from([("command_id".to_owned(), Uuid::now_v7().to_string())]);
    for _ in 0..3 {
        jars.execute_with_metadata("j-1", JarCommand::Put(5), given.clone()).await.unwrap();
    }
    assert_eq!(check_log(store.pool()).await, 1);
}

#[tokio::test]
async fn metadata_that_contradicts_ours_is_refused() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let given = HashMap::from([("actor".to_owned(), "nobody we know".to_owned())]);
    let refused = jars(&store).await.execute_with_metadata("j-1", JarCommand::Put(5), given).await;
    assert!(matches!(refused, Err(AggregateError::UnexpectedError(_))), "{refused:?}");
    assert_eq!(check_log(store.pool()).await, 0);
}

#[tokio::test]
async fn the_repository_of_postgres_es_reads_the_log_as_we_do() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let jars = jars(&store).await;
    for coins in 1..=25 {
        jars.execute("j-1", JarCommand::Put(coins)).await.unwrap();
    }
    jars.execute("j-2", JarCommand::Put(1)).await.unwrap();
    let theirs = PostgresEventRepository::new(pool(&database.app_options));
    let read = theirs.get_events::<Jar>("j-1").await.unwrap();
    let ours = store.load(&[(domain::log::StreamId::new("jar", "j-1"), 0)]).await.unwrap();
    assert_eq!(read.len(), 25);
    for (theirs, ours) in read.iter().zip(&ours) {
        assert_eq!(theirs.sequence as u64, ours.sequence);
        assert_eq!(theirs.event_type, ours.event_type);
        assert_eq!(theirs.event_version, ours.event_version.to_string());
        assert_eq!(theirs.payload, serde_json::from_str::<serde_json::Value>(&ours.payload).unwrap());
        assert!(theirs.metadata.as_object().unwrap().values().all(serde_json::Value::is_string), "metadata is flat");
    }
    let mut stock = PersistedEventStore::<_, Jar>::new_event_store(theirs).load_aggregate("j-1").await.unwrap();
    let expected = Jar { held: (1..=25).sum(), changes: 25 };
    assert_eq!(*cqrs_es::AggregateContext::aggregate(&mut stock), expected);
}

/// `version` 2.0 is none of ours; it must not be judged by our versions.
#[tokio::test]
async fn somebody_elses_events_do_not_stop_the_projections() {
    let database = database().await;
    let store = Arc::new(store(&database));
    jars(&store).await.execute("j-1", JarCommand::Put(5)).await.unwrap();
    let mut projector = Projector::new(store.pool());
    assert_eq!(projector.run_once().await.unwrap(), Progress::To(1));
    assert_eq!(projector.run_once().await.unwrap(), Progress::CaughtUp(1));
}

/// Why snapshots of cqrs-es 0.5 are never used here: the aggregate that was changed by `EventSink::write` is changed by
/// the same events again before it is stored.
#[tokio::test]
async fn the_snapshot_store_of_cqrs_es_counts_money_twice() {
    let database = database().await;
    let owner = pool(&database.owner_options);
    // The tables as postgres-es ships them, away from ours.
    sqlx::raw_sql(
        "create table stock_events (aggregate_type text not null, aggregate_id text not null,
             sequence bigint check (sequence >= 0) not null, event_type text not null, event_version text not null,
             payload json not null, metadata json not null, primary key (aggregate_type, aggregate_id, sequence));
         create table stock_snapshots (aggregate_type text not null, aggregate_id text not null,
             last_sequence bigint check (last_sequence >= 0) not null,
             current_snapshot bigint check (current_snapshot >= 0) not null,
             payload json not null, primary key (aggregate_type, aggregate_id, last_sequence))",
    )
    .execute(&owner)
    .await
    .unwrap();
    let repository = || PostgresEventRepository::new(owner.clone()).with_tables("stock_events", "stock_snapshots");
    let snapshots = || PersistedEventStore::<_, Jar>::new_snapshot_store(repository(), 1);
    let jars = CqrsFramework::new(snapshots(), vec![], ());
    jars.execute("j-1", JarCommand::Put(100)).await.unwrap();
    let mut loaded = snapshots().load_aggregate("j-1").await.unwrap();
    assert_eq!(cqrs_es::AggregateContext::aggregate(&mut loaded).held, 200, "100 was put in");
    let taken = jars.execute("j-1", JarCommand::Take(150)).await;
    assert!(taken.is_ok(), "more than was put in is taken out, and nobody objects: {taken:?}");
}
