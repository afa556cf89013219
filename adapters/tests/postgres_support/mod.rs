//! What the tests of the Postgres store share: a migrated database each, and appends to try on it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "every test binary compiles this module and uses a part of it"
)]

use std::collections::BTreeMap;

use adapters::embedded::APP_ROLE;
use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::migrate::migrate;
use adapters::postgres::{PgStore, SchemaName, tenant_pool};
use chrono::{NaiveDate, TimeZone, Utc};
use domain::actor::{Actor, SystemPart};
use domain::authentication::AuthContext;
use domain::id::EventId;
use domain::log::{Append, Expected, Metadata, NewEvent, Receipt, StoreError, StreamId, StreamWrite, Verdict};
use domain::time::Timestamp;
use ledger::{Account, Currency, DimensionKey, Dimensions, EntryBuilder, JournalEntry, Minor};
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// The tenant of all tests.
pub fn schema() -> SchemaName {
    "tenant_one".parse().unwrap()
}

/// A database of the test's own, migrated.
pub async fn database() -> TestDatabase {
    let setup = |template: TestDatabase| async move { migrate(&template.owner_options, &schema(), APP_ROLE).await };
    TestCluster::shared().unwrap().fresh_database("tenant", setup).await.unwrap()
}

/// The store, through the login that serves.
pub fn store(database: &TestDatabase) -> PgStore {
    PgStore::connect(database.app_options.clone(), &schema(), 4)
}

/// A pool into the tenant's schema.
pub fn pool(options: &PgConnectOptions) -> PgPool {
    tenant_pool(options.clone(), &schema(), 4)
}

/// An instant in 2026, that many seconds later.
pub fn at(second: i64) -> Timestamp {
    Utc.timestamp_opt(1_790_000_000 + second, 0).unwrap()
}

/// A stream of an aggregate that is none of ours.
pub fn stream(id: &str) -> StreamId {
    StreamId::new("note", id)
}

/// Who, when and why.
pub fn metadata(command_id: Uuid) -> Metadata {
    Metadata {
        event_id: EventId::from_uuid(Uuid::now_v7()),
        occurred_at: at(0),
        actor: Actor::System(SystemPart::Timer),
        command_id,
        correlation_id: "test".to_owned(),
        causation_id: None,
        idempotency_key: None,
        policy_ref: None,
        traceparent: None,
        auth: AuthContext::default(),
        more: BTreeMap::new(),
    }
}

/// An append of nothing yet.
pub fn append() -> Append {
    Append { command_id: Uuid::now_v7(), streams: Vec::new(), reads: Vec::new(), events: Vec::new(), answer: None }
}

/// Builds an append.
pub trait Building: Sized {
    /// Writes `count` events without money to a stream.
    fn writes(self, stream: StreamId, expected: Expected, count: usize) -> Self;
    /// Writes one event that carries an entry.
    fn books(self, stream: StreamId, expected: Expected, entry: JournalEntry) -> Self;
    /// Depends on a stream.
    fn reads(self, stream: StreamId, version: u64) -> Self;
    /// Files the stream written last under a scope.
    fn in_scope(self, scope: &str) -> Self;
}

impl Building for Append {
    fn writes(mut self, stream: StreamId, expected: Expected, count: usize) -> Self {
        self.streams.push(StreamWrite { stream, expected, scope: None });
        for number in 0..count {
            self.events.push(NewEvent {
                stream: self.streams.len() - 1,
                event_type: "note.taken".into(),
                event_version: 1,
                payload: format!(r#"{{"type":"taken","number":{number}}}"#),
                metadata: metadata(self.command_id),
                journal: None,
            });
        }
        self
    }

    fn books(self, stream: StreamId, expected: Expected, entry: JournalEntry) -> Self {
        let mut append = self.writes(stream, expected, 1);
        append.events.last_mut().unwrap().journal = Some(entry);
        append
    }

    fn reads(mut self, stream: StreamId, version: u64) -> Self {
        self.reads.push((stream, version));
        self
    }

    fn in_scope(mut self, scope: &str) -> Self {
        self.streams.last_mut().unwrap().scope = Some(scope.to_owned());
        self
    }
}

/// US dollars, in cents.
pub fn cents(minor: i64) -> Minor {
    Minor::new(minor).unwrap()
}

/// An entry that puts money into a client's wallet.
pub fn top_up(client: &str, minor: i64) -> JournalEntry {
    let wallet = Dimensions::new().with(DimensionKey::Client, client);
    EntryBuilder::new("top_up", day(), Currency::USD)
        .debit(Account::BankOperating, cents(minor), Dimensions::new())
        .credit(Account::ClientWallet, cents(minor), wallet)
        .build()
        .unwrap()
}

/// An entry that takes money out of a client's wallet, which may not go below zero.
pub fn withdrawal(client: &str, minor: i64) -> JournalEntry {
    let wallet = Dimensions::new().with(DimensionKey::Client, client);
    EntryBuilder::new("withdrawal", day(), Currency::USD)
        .debit(Account::ClientWallet, cents(minor), wallet)
        .credit(Account::BankOperating, cents(minor), Dimensions::new())
        .build()
        .unwrap()
}

/// The value date of test entries.
pub fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
}

/// The receipt, where the append is to be accepted.
pub fn accepted(verdict: Result<Verdict, StoreError>) -> Receipt {
    match verdict {
        Ok(Verdict::Accepted(receipt)) => receipt,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Checks, on the table itself, that positions and sequences have no gap, and that within a stream their orders agree.
/// Returns how many events there are.
pub async fn check_log(pool: &PgPool) -> u64 {
    let row = sqlx::query(
        "select count(*) as events, coalesce(max(position), 0) as last, coalesce(min(position), 1) as first,
                (select position from log_head) as head,
                (select count(*) from (
                     select sequence, row_number() over (partition by aggregate_type, aggregate_id order by position) as n
                     from events) s where s.sequence <> s.n) as out_of_order
         from events",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let number = |column: &str| row.try_get::<i64, _>(column).unwrap();
    assert_eq!(number("last"), number("events"), "positions have a gap");
    assert_eq!(number("first"), 1, "positions begin at 1");
    assert_eq!(number("head"), number("last"), "the head is the newest event");
    assert_eq!(number("out_of_order"), 0, "sequences follow positions without a gap");
    u64::try_from(number("events")).unwrap()
}
