//! Projections on a real Postgres: they follow the log exactly, and can be thrown away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod postgres_support;

use std::sync::Arc;
use std::time::Duration;

use adapters::postgres::document::{self, Visible};
use adapters::postgres::projection::{Progress, ProjectionError, Projector, reached};
use adapters::postgres::{PgStore, clock, log_reader};
use domain::event::DomainEvent;
use domain::id::{ContractId, EventId, PartyId, ReleaseId};
use domain::log::{Append, EventStore, Expected, Position};
use domain::payee::{self, PayeeAccountId, PayeeEvent};
use domain::view::Document;
use ledger::Currency;
use sqlx::{PgPool, Row};
use tokio::sync::watch;
use uuid::Uuid;

use postgres_support::{Building, accepted, append, at, cents, database, pool, store, stream, top_up, withdrawal};

fn payee_id(number: u128) -> PartyId {
    PartyId::from_uuid(Uuid::from_u128(number))
}

fn contract_id(number: u128) -> ContractId {
    ContractId::from_uuid(Uuid::from_u128(number))
}

/// A credit to a payee account, as a release makes it.
fn credit(payee: u128, minor: i64) -> Append {
    let event = DomainEvent::Payee(PayeeEvent::EarningsCredited {
        payee_id: payee_id(payee),
        release_id: ReleaseId::from_uuid(Uuid::now_v7()),
        source_event_id: EventId::from_uuid(Uuid::now_v7()),
        contract_id: contract_id(7),
        amount: cents(minor),
        currency: Currency::USD,
        clears_at: at(3600),
    });
    let account = PayeeAccountId { party_id: payee_id(payee), currency: Currency::USD };
    let mut append = append().writes(payee::stream(account), Expected::Any, 1);
    append.events[0].event_type = event.event_type().into();
    append.events[0].event_version = event.version();
    append.events[0].payload = event.to_json().unwrap();
    append
}

/// Money in and out of wallets, and credits to payees: a log with every kind of row.
async fn fill(store: &PgStore, rounds: u64) {
    for round in 0..rounds {
        let client = format!("pty_{}", round % 7);
        let wallet = stream(&format!("wallet-{round}"));
        accepted(store.append(append().books(wallet.clone(), Expected::At(0), top_up(&client, 100))).await);
        accepted(store.append(append().books(wallet, Expected::At(1), withdrawal(&client, 40))).await);
        accepted(store.append(credit(u128::from(round % 5), 11)).await);
    }
}

async fn catch_up(projector: &mut Projector) -> Position {
    loop {
        match projector.run_once().await.unwrap() {
            Progress::To(_) => {}
            Progress::CaughtUp(position) => return position,
            Progress::Elsewhere => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Why the next turn fails. The lock of the one before goes with its connection's rollback, which takes a moment.
async fn failure(projector: &mut Projector) -> ProjectionError {
    loop {
        match projector.run_once().await {
            Ok(Progress::Elsewhere) => tokio::time::sleep(Duration::from_millis(2)).await,
            Ok(progress) => panic!("no failure: {progress:?}"),
            Err(error) => return error,
        }
    }
}

/// Every row of every projection, as text.
async fn dump(pool: &PgPool) -> Vec<String> {
    let mut dump = Vec::new();
    for (table, key) in [
        ("postings", "position, line"),
        ("subledger_balances", "account, currency, dims"),
        ("documents", "aggregate_type, aggregate_id"),
        ("contract_events", "contract_id, position"),
        ("wakeups", "aggregate_type, aggregate_id, due_at"),
        ("projections", "name"),
    ] {
        let query = format!("select t::text as row from {table} t order by {key}");
        for row in sqlx::query(&query).fetch_all(pool).await.unwrap() {
            dump.push(format!("{table}{}", row.get::<String, _>("row")));
        }
    }
    dump
}

#[tokio::test]
async fn the_books_agree_with_the_control_totals() {
    let store = store(&database().await);
    fill(&store, 20).await;
    let mut projector = Projector::new(store.pool());
    assert_eq!(catch_up(&mut projector).await, 60);
    assert_eq!(*projector.reached().borrow(), 60);
    assert_eq!(reached(store.pool()).await.unwrap(), 60);
    let rows = sqlx::query(
        "select (select count(*) from (
                     select account, currency, sum(debits) as d, sum(credits) as c from subledger_balances group by 1, 2
                     except select account, currency, debits, credits from control_balances) x) as differing,
                (select count(*) from subledger_balances) as accounts,
                (select count(*) from (
                     select account, currency, dims, sum(minor) filter (where side = 'D') as d,
                            sum(minor) filter (where side = 'C') as c from postings group by 1, 2, 3
                     except select account, currency, dims, nullif(debits, 0), nullif(credits, 0)
                     from subledger_balances) x) as unposted,
                (select count(*) from postings) as lines",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    let number = |column: &str| rows.get::<i64, _>(column);
    assert_eq!((number("differing"), number("unposted")), (0, 0));
    assert_eq!((number("accounts"), number("lines")), (8, 80));
    let (position, balance) = log_reader::trial_balance(store.pool()).await.unwrap();
    assert_eq!(position, 60);
    assert_eq!(balance.net(ledger::Account::BankOperating, Currency::USD), 20 * 60);
}

#[tokio::test]
async fn a_document_is_the_sum_of_its_events() {
    let store = store(&database().await);
    fill(&store, 20).await;
    let mut projector = Projector::new(store.pool());
    catch_up(&mut projector).await;
    let account = PayeeAccountId { party_id: payee_id(3), currency: Currency::USD };
    let account = payee::stream(account);
    let of = |visible| document::one(store.pool(), &account, visible);
    let found = of(Visible::To(payee_id(3))).await.unwrap().expect("its own");
    let Document::Payee(balance) = &found.document else { panic!("{found:?}") };
    assert_eq!((balance.pending, found.version), (cents(44), 4));
    assert!(of(Visible::ToStaff).await.unwrap().is_some());
    assert!(of(Visible::To(payee_id(4))).await.unwrap().is_none(), "another party's");
    let listed = document::list(store.pool(), payee::TYPE, Visible::ToStaff, None, None, 3).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.is_sorted_by_key(|found| std::cmp::Reverse(found.created_position)));
    let next = document::list(store.pool(), payee::TYPE, Visible::ToStaff, None, Some(listed[2].created_position), 3);
    assert_eq!(next.await.unwrap().len(), 2);
    let of_contract =
        log_reader::EventFilter { contract_id: Some(contract_id(7)), ..log_reader::EventFilter::default() };
    assert_eq!(log_reader::page(store.pool(), 0, 100, &of_contract).await.unwrap().len(), 20);
    let due = clock::due_wakeups(store.pool(), at(3600), 100).await.unwrap();
    assert_eq!(due.len(), 5, "one per account, however many earnings clear at that instant");
    assert!(clock::due_wakeups(store.pool(), at(3599), 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_process_goes_on_exactly_where_one_stopped() {
    let database = database().await;
    let store = store(&database);
    let mut one = Projector::new(store.pool());
    let mut other = Projector::new(store.pool());
    for round in 0..12_u64 {
        accepted(store.append(credit(1, 1)).await);
        accepted(
            store.append(append().books(stream(&format!("w-{round}")), Expected::At(0), top_up("pty_1", 1))).await,
        );
        // Each takes over with a cache that the other has made stale.
        let projector = if round % 3 == 0 { &mut one } else { &mut other };
        catch_up(projector).await;
    }
    let in_steps = dump(store.pool()).await;
    let mut fresh = Projector::new(store.pool());
    assert_eq!(fresh.rebuild(|_, _| {}).await.unwrap(), 24);
    catch_up(&mut fresh).await;
    assert_eq!(dump(store.pool()).await, in_steps);
}

/// I7.
#[tokio::test]
async fn rebuilt_from_zero_the_tables_are_the_same() {
    let database = database().await;
    let store = store(&database);
    let mut projector = Projector::new(store.pool());
    for _ in 0..5 {
        accepted(store.append(credit(9, 5)).await);
        fill_more(&store).await;
        catch_up(&mut projector).await;
    }
    let before = dump(store.pool()).await;
    let mut told = Vec::new();
    let position = projector.rebuild(|position, _| told.push(position)).await.unwrap();
    assert_eq!(told.last(), Some(&position));
    assert_eq!(dump(store.pool()).await, before);
    accepted(store.append(credit(9, 5)).await);
    catch_up(&mut projector).await;
    assert_ne!(dump(store.pool()).await, before, "and it goes on from there");
}

/// I7: a rebuild writes 10,000 events at a time, books and views beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_batches_is_rebuilt_as_it_was_followed() {
    let database = database().await;
    let store = store(&database);
    for round in 0..24_u128 {
        let mut many = credit(round % 5, 2);
        many.events = vec![many.events[0].clone(); 1000];
        accepted(store.append(many).await);
        let mut paid = append().books(stream(&format!("w-{round}")), Expected::At(0), top_up("pty_1", 7));
        paid.events = vec![paid.events[0].clone(); 50];
        accepted(store.append(paid).await);
    }
    let mut projector = Projector::new(store.pool());
    assert_eq!(catch_up(&mut projector).await, 25_200);
    let followed = dump(store.pool()).await;
    let mut told = Vec::new();
    assert_eq!(projector.rebuild(|position, _| told.push(position)).await.unwrap(), 25_200);
    assert!(told.is_sorted() && told.last() == Some(&25_200), "{told:?}");
    assert_eq!(dump(store.pool()).await, followed);
}

async fn fill_more(store: &PgStore) {
    let own = stream(&Uuid::now_v7().to_string());
    accepted(store.append(append().books(own.clone(), Expected::At(0), top_up("pty_1", 3))).await);
    accepted(store.append(append().books(own, Expected::At(1), withdrawal("pty_1", 2))).await);
}

#[tokio::test]
async fn a_turn_that_failed_leaves_nothing_behind() {
    let database = database().await;
    let store = store(&database);
    let owner = pool(&database.owner_options);
    let mut projector = Projector::new(store.pool());
    accepted(store.append(credit(1, 10)).await);
    catch_up(&mut projector).await;
    // It fails after the documents were folded in memory.
    sqlx::query("revoke insert on contract_events from earnest_app").execute(&owner).await.unwrap();
    accepted(store.append(credit(1, 10)).await);
    for _ in 0..2 {
        let error = failure(&mut projector).await;
        assert!(matches!(error, ProjectionError::Database(_)), "{error}");
    }
    sqlx::query("grant insert on contract_events to earnest_app").execute(&owner).await.unwrap();
    catch_up(&mut projector).await;
    let followed = dump(store.pool()).await;
    assert!(
        followed.iter().any(|row| row.contains("\"\"pending\"\":20") || row.contains("\"pending\":20")),
        "{followed:?}"
    );
    // The same while rebuilding.
    sqlx::query("revoke insert on contract_events from earnest_app").execute(&owner).await.unwrap();
    projector.rebuild(|_, _| {}).await.unwrap_err();
    sqlx::query("grant insert on contract_events to earnest_app").execute(&owner).await.unwrap();
    catch_up(&mut projector).await;
    assert_eq!(dump(store.pool()).await, followed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_project_one_log_once_and_a_rebuild_in_between_harms_nothing() {
    let database = database().await;
    let store = Arc::new(store(&database));
    let (stop, stopped) = watch::channel(false);
    let mut servers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let projector = Projector::new(&pool(&database.app_options));
        servers.spawn(projector.follow(Arc::clone(store.committed()), stopped.clone()));
    }
    fill(&store, 30).await;
    Projector::new(&pool(&database.app_options)).rebuild(|_, _| {}).await.unwrap();
    fill_more(&store).await;
    let watched = Projector::new(store.pool());
    let head = store.head().await.unwrap();
    while reached(store.pool()).await.unwrap() < head {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send_replace(true);
    while let Some(ended) = servers.join_next().await {
        ended.unwrap();
    }
    let followed = dump(store.pool()).await;
    let mut projector = watched;
    projector.rebuild(|_, _| {}).await.unwrap();
    assert_eq!(dump(store.pool()).await, followed);
}

#[tokio::test]
async fn one_connection_is_enough_to_project() {
    let database = database().await;
    let store = store(&database);
    fill(&store, 3).await;
    let narrow = adapters::postgres::tenant_pool(database.app_options.clone(), &postgres_support::schema(), 1);
    let mut projector = Projector::new(&narrow);
    assert_eq!(catch_up(&mut projector).await, 9);
}

/// L4, per dimensions, after every event.
#[tokio::test]
async fn a_sub_ledger_below_its_floor_stops_the_projections_and_names_the_event() {
    let store = store(&database().await);
    // The wallets together stay above zero, so the control totals see nothing: one client spends another's money.
    accepted(store.append(append().books(stream("a"), Expected::At(0), top_up("pty_rich", 1000))).await);
    accepted(store.append(append().books(stream("b"), Expected::At(0), top_up("pty_poor", 10))).await);
    accepted(store.append(append().books(stream("b"), Expected::At(1), withdrawal("pty_poor", 4))).await);
    accepted(store.append(append().books(stream("b"), Expected::At(2), withdrawal("pty_poor", 7))).await);
    // Back above its floor before the batch ends: it counts all the same.
    accepted(store.append(append().books(stream("b"), Expected::At(3), top_up("pty_poor", 500))).await);
    let mut projector = Projector::new(store.pool());
    for _ in 0..2 {
        match failure(&mut projector).await {
            ProjectionError::BelowFloor { account: 2120, dims, position: 4, .. } => {
                assert_eq!(dims, "client=pty_poor");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reached(store.pool()).await.unwrap(), 0, "nothing of the batch is believed");
}

/// Documents are rewritten with nearly every event: what changes with each is in no index, nor in an index's condition.
/// Otherwise every event touches every index of the table.
#[tokio::test]
async fn no_index_looks_at_what_changes_with_every_event() {
    let pool = pool(&database().await.app_options);
    let seen: Vec<String> = sqlx::query_scalar(
        "select distinct a.attname::text from pg_depend d
         join pg_class i on i.oid = d.objid and i.relkind = 'i'
         join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where d.refobjid = 'documents'::regclass order by 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let unchanged =
        ["aggregate_id", "aggregate_type", "client_id", "contract_id", "created_position", "payee_id", "unfinished"];
    assert!(seen.iter().any(|column| column == "unfinished"), "indexes are looked at: {seen:?}");
    assert!(seen.iter().all(|column| unchanged.contains(&column.as_str())), "{seen:?}");
}
