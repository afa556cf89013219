//! Records of the outside as an operator meets them: lanes, copies of the database, notices by the thousand, and notices
//! that are worked on again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod postgres_support;

use std::collections::BTreeSet;
use std::time::Duration;

use adapters::embedded::testing::TestDatabase;
use adapters::postgres::inbox::{Filing, Inbox, Which};
use adapters::postgres::outbox::{Clearance, Home, Outbox};
use adapters::postgres::projection::{Progress, Projector};
use adapters::postgres::{PgStore, inquiry, task};
use chrono::TimeDelta;
use domain::escrow::PspPlace;
use domain::event::DomainEvent;
use domain::id::{PartyId, PayoutId};
use domain::log::{EventStore, Expected};
use domain::payout::{self, PayoutEvent, Withdrawal};
use domain::ports::provider::{ProviderNotice, ProviderObject};
use futures::future::join_all;
use ledger::Currency;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool, Row};
use uuid::Uuid;

use postgres_support::{Building, accepted, append, at, cents, database, pool, store};

const LEASE: Duration = Duration::from_secs(60);

/// Appends a payout request, of which an order to move money to the payee follows.
async fn request_payout(store: &PgStore, currency: Currency) {
    let payout_id = PayoutId::from_uuid(Uuid::now_v7());
    let event = DomainEvent::Payout(PayoutEvent::Requested {
        withdrawal: Withdrawal {
            payout_id,
            payee_id: PartyId::from_uuid(Uuid::from_u128(1)),
            amount: cents(100),
            transfer_amount: cents(100),
            currency,
            place: PspPlace { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
        },
    });
    let mut append = append().writes(payout::stream(payout_id), Expected::At(0), 1);
    append.events[0].event_type = event.event_type().into();
    append.events[0].payload = event.to_json().unwrap();
    accepted(store.append(append).await);
}

async fn project(pool: &PgPool) {
    let mut projector = Projector::new(pool);
    while matches!(projector.run_once().await.unwrap(), Progress::To(_)) {}
}

/// A store with an order to move money for each currency, and its outbox.
async fn ordered(database: &TestDatabase, currencies: &[Currency]) -> (PgStore, Outbox) {
    let store = store(database);
    for currency in currencies {
        request_payout(&store, *currency).await;
    }
    project(store.pool()).await;
    let outbox = Outbox::new(store.pool().clone(), "tenant_one");
    (store, outbox)
}

/// D-123: one transfer at a time out of each balance, oldest first, on however many servers.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_out_of_one_balance_go_one_after_the_other() {
    let (store, outbox) =
        ordered(&database().await, &[Currency::USD, Currency::USD, Currency::EUR, Currency::USD]).await;
    let ids: Vec<_> = outbox.list(None, 10).await.unwrap().into_iter().map(|order| order.order_id).collect();
    let servers: Vec<_> = (0..6).map(|_| Outbox::new(store.pool().clone(), "tenant_one")).collect();
    let taken: Vec<_> = join_all(servers.iter().map(|server| server.take(at(0), 10, LEASE)))
        .await
        .into_iter()
        .zip(&servers)
        .flat_map(|(taken, server)| taken.unwrap().into_iter().map(move |order| (server, order)))
        .collect();
    let handed: BTreeSet<_> = taken.iter().map(|(_, order)| order.order_id).collect();
    assert_eq!((taken.len(), handed), (2, BTreeSet::from([ids[0], ids[2]])), "the oldest of each currency");
    // The oldest waits for money: those behind it wait, too.
    let (server, oldest) = taken.iter().find(|(_, order)| order.order_id == ids[0]).unwrap();
    assert_eq!(server.before_sending(oldest).await.unwrap(), Clearance::Send);
    server.again_with_new_key(ids[0], Duration::from_secs(60), "balance_insufficient").await.unwrap();
    assert!(outbox.take(at(0), 10, LEASE).await.unwrap().is_empty());
    // It is given up: the next one goes.
    sqlx::query("update outbox set retry_at = 'epoch'").execute(store.pool()).await.unwrap();
    let again = outbox.take(at(0), 10, LEASE).await.unwrap();
    assert_eq!(again.iter().map(|order| order.order_id).collect::<Vec<_>>(), [ids[0]]);
    outbox.block(ids[0], "no such account").await.unwrap();
    let next = outbox.take(at(0), 10, LEASE).await.unwrap();
    assert_eq!(next.iter().map(|order| order.order_id).collect::<Vec<_>>(), [ids[1]]);
    // The operator has it tried again: it is the oldest, and waits for the one that is under way.
    assert!(outbox.retry(ids[0]).await.unwrap());
    outbox.done(ids[1]).await.unwrap();
    assert_eq!(outbox.take(at(0), 10, LEASE).await.unwrap()[0].order_id, ids[0]);
    outbox.done(ids[0]).await.unwrap();
    assert!(!outbox.retry(ids[0]).await.unwrap(), "what is done is not tried again");
}

/// Copies a database of the shared server as it is, which nobody may use meanwhile.
async fn copy(database: &TestDatabase) -> PgConnectOptions {
    let name = format!("copy_{}", Uuid::new_v4().simple());
    let mut admin = PgConnection::connect_with(&database.admin_options.clone().database("postgres")).await.unwrap();
    let sql = format!("create database {name} template {}", database.name);
    // Nobody may be connected to what is copied, and pools keep what is idle. What is ended is gone some moments later.
    let mut tries = 0;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    loop {
        sqlx::query(end).bind(&database.name).execute(&mut admin).await.unwrap();
        let Err(error) = sqlx::query(&sql).execute(&mut admin).await else { break };
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    admin.close().await.unwrap();
    database.app_options.clone().database(&name)
}

/// I8.
#[tokio::test]
async fn a_copy_of_the_database_hands_nothing_out_and_distrusts_what_is_open() {
    let database = database().await;
    let (store, outbox) = ordered(&database, &[Currency::USD, Currency::EUR]).await;
    assert_eq!(outbox.come_home().await.unwrap(), Home::Here);
    assert_eq!(outbox.come_home().await.unwrap(), Home::Here, "a restart of the server is no move");
    assert!(outbox.paused_because().await.unwrap().is_none());
    // An event whose order the projection has not come to yet.
    request_payout(&store, Currency::GBP).await;
    store.shutdown().await;

    let copied = pool(&copy(&database).await);
    let outbox = Outbox::new(copied.clone(), "tenant_one");
    assert!(outbox.take(at(0), 10, LEASE).await.unwrap().is_empty(), "also before anybody has looked where it is");
    let told = outbox.come_home().await.unwrap();
    assert_eq!(told, Home::Moved { why: "the outbox is a copy: it is in another database".to_owned() });
    assert_eq!(outbox.come_home().await.unwrap(), Home::Here, "told once");
    assert_eq!(
        outbox.paused_because().await.unwrap().as_deref(),
        Some("the outbox is a copy: it is in another database")
    );
    assert_eq!(task::list(&copied, 10).await.unwrap()[0].kind, task::RESTORED);
    project(&copied).await;
    assert!(outbox.take(at(0), 10, LEASE).await.unwrap().is_empty());
    assert!(outbox.list(Some("pending"), 10).await.unwrap().is_empty());

    // Resumed in haste: each is looked for before it is sent, also the one whose event was only read now.
    outbox.resume().await.unwrap();
    assert!(task::list(&copied, 10).await.unwrap().is_empty());
    let due = outbox.take(at(0), 10, LEASE).await.unwrap();
    assert_eq!(due.len(), 3);
    for order in &due {
        assert_eq!(outbox.before_sending(order).await.unwrap(), Clearance::Search);
    }
    // What is ordered from here on is new.
    let later = PgStore::connect(copied.connect_options().as_ref().clone(), &postgres_support::schema(), 2);
    request_payout(&later, Currency::JPY).await;
    project(&copied).await;
    let due = outbox.take(at(0), 10, LEASE).await.unwrap();
    assert_eq!(outbox.before_sending(&due[0]).await.unwrap(), Clearance::Send);
    later.shutdown().await;
}

/// I8: a copy of the files looks like the original; the operator says that it is none.
#[tokio::test]
async fn the_operator_can_say_that_it_was_restored() {
    let (_store, outbox) = ordered(&database().await, &[Currency::USD]).await;
    outbox.come_home().await.unwrap();
    outbox.restored().await.unwrap();
    assert!(outbox.is_paused().await.unwrap());
    assert_eq!(outbox.list(None, 1).await.unwrap()[0].status, "unknown");
    outbox.resume().await.unwrap();
    let order = outbox.take(at(0), 1, LEASE).await.unwrap().remove(0);
    assert_eq!(outbox.before_sending(&order).await.unwrap(), Clearance::Search);
}

fn body(id: usize, kind: &str, object: &str) -> Vec<u8> {
    let object = serde_json::json!({ "id": object, "object": "payment_intent" });
    serde_json::json!({ "id": format!("evt_{id}"), "type": kind, "livemode": false, "data": { "object": object } })
        .to_string()
        .into_bytes()
}

fn notice(id: usize) -> ProviderNotice {
    let raw = body(id, "payment_intent.succeeded", &format!("pi_{id}"));
    adapters::stripe::webhook::read(&raw, None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notices_share_a_transaction_and_each_is_new_once() {
    let pool = pool(&database().await.app_options);
    let inbox = Inbox::new(pool.clone());
    // 500 notices, each delivered twice at the same time.
    let told = join_all((0..1000).map(|number| {
        let inbox = &inbox;
        async move {
            let notice = notice(number % 500);
            inbox.receive("stripe", &notice, b"raw", Filing::of(&notice), false).await.unwrap()
        }
    }))
    .await;
    assert_eq!(told.iter().filter(|new| **new).count(), 500);
    let row = sqlx::query(
        "select count(*) as rows, sum(deliveries) as told, count(distinct xmin::text) as commits from psp_inbox",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((row.get::<i64, _>("rows"), row.get::<i64, _>("told")), (500, 1000));
    assert!(row.get::<i64, _>("commits") < 100, "they were not stored one by one");
    assert_eq!(inbox.open().await.unwrap(), 500);
}

#[tokio::test]
async fn what_tells_nothing_is_kept_and_what_belongs_elsewhere_is_left_alone() {
    let pool = pool(&database().await.app_options);
    let inbox = Inbox::new(pool.clone());
    let raw = body(1, "customer.created", "cus_1");
    let kept = adapters::stripe::webhook::read(&raw, None).unwrap();
    assert!(inbox.receive("stripe", &kept, &raw, Filing::of(&kept), false).await.unwrap());
    let raw = body(2, "payment_intent.succeeded", "pi_2");
    let other = ProviderNotice { livemode: true, ..adapters::stripe::webhook::read(&raw, None).unwrap() };
    assert!(inbox.receive("stripe", &other, &raw, Filing::Mismatch, false).await.unwrap());
    assert!(inbox.take(10, LEASE).await.unwrap().is_empty());
    let filed: Vec<_> = inbox.list(None, 10).await.unwrap().into_iter().map(|notice| notice.status).collect();
    assert_eq!(filed, ["mismatch", "kept"]);
    // Asked to work on all again: still nothing to look up, and nothing of another's.
    inbox.reprocess(Which::Range(1, 2)).await.unwrap();
    assert!(inbox.take(10, LEASE).await.unwrap().is_empty());
    let (shown, stored) = inbox.show("evt_1").await.unwrap().unwrap();
    assert_eq!((shown.inbox_id, stored), (1, body(1, "customer.created", "cus_1")));
    assert!(inbox.show("evt_9").await.unwrap().is_none());
}

/// C.2.8, C.2.9: a notice that came to the wrong endpoint is worked on once it comes where it belongs or is found in the
/// provider's list, and when an operator asks for it.
#[tokio::test]
async fn a_notice_at_the_wrong_endpoint_is_not_lost() {
    let pool = pool(&database().await.app_options);
    let inbox = Inbox::new(pool.clone());
    let misled = async |id: usize| {
        let raw = body(id, "payout.failed", &format!("po_{id}"));
        let notice = adapters::stripe::webhook::read(&raw, Some("acct_1")).unwrap();
        assert!(inbox.receive("stripe", &notice, &raw, Filing::Mismatch, false).await.unwrap());
        assert!(inbox.take(10, LEASE).await.unwrap().is_empty());
        (notice, raw)
    };
    let (notice, raw) = misled(1).await;
    inbox.receive("stripe", &notice, &raw, Filing::of(&notice), true).await.unwrap();
    let [taken] = inbox.take(10, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!((taken.event_id.as_str(), &taken.object), ("evt_1", &notice.object));
    inbox.done(taken.inbox_id, true).await.unwrap();
    // Misled once more it stays what it is.
    inbox.receive("stripe", &notice, &raw, Filing::Mismatch, false).await.unwrap();
    assert_eq!(inbox.list(Some("done"), 10).await.unwrap()[0].deliveries, 3);

    let (notice, _) = misled(2).await;
    let number = inbox.list(Some("mismatch"), 10).await.unwrap()[0].inbox_id;
    assert_eq!(inbox.reprocess(Which::Range(number, number)).await.unwrap(), 1);
    assert_eq!(inbox.take(10, LEASE).await.unwrap()[0].object, notice.object);
}

/// C.2.8: every account that was paid lately is named, however many there are.
#[tokio::test]
async fn accounts_are_named_page_by_page() {
    let database = database().await;
    let (store, _) = ordered(&database, &[Currency::USD; 3]).await;
    let mut owner = PgConnection::connect_with(&database.owner_options).await.unwrap();
    let schema: String = sqlx::query_scalar("select current_schema()::text").fetch_one(store.pool()).await.unwrap();
    let sql = format!(
        "update {schema}.outbox o set action = 'pay_to_bank', body = json_build_object('account', 'acct_' || n.row)
         from (select order_id, row_number() over (order by position) as row from {schema}.outbox) n
         where n.order_id = o.order_id"
    );
    sqlx::query(&sql).execute(&mut owner).await.unwrap();
    let (mut named, mut last) = (Vec::new(), String::new());
    loop {
        let page = inquiry::accounts_paid_since(store.pool(), at(-1), &last, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(end) = page.last() else { break };
        last.clone_from(end);
        named.extend(page);
    }
    assert_eq!(named, ["acct_1", "acct_2", "acct_3"]);
    let none = inquiry::accounts_paid_since(store.pool(), at(1), "", 2).await.unwrap();
    assert!(none.is_empty(), "those of long ago tell nothing new");
}

#[tokio::test]
async fn a_notice_that_was_given_up_is_worked_on_again_and_read_anew() {
    let pool = pool(&database().await.app_options);
    let inbox = Inbox::new(pool.clone());
    let raw = body(1, "payment_intent.succeeded", "pi_1");
    // As an older version filed it, which did not know the kind.
    let known = adapters::stripe::webhook::read(&raw, None).unwrap();
    let unknown = ProviderNotice { object: None, ..known };
    inbox.receive("stripe", &unknown, &raw, Filing::of(&unknown), false).await.unwrap();
    assert_eq!(inbox.reprocess(Which::Blocked).await.unwrap(), 0, "nothing is blocked");
    assert_eq!(inbox.reprocess(Which::Range(1, 1)).await.unwrap(), 1);
    let taken = inbox.take(10, LEASE).await.unwrap().remove(0);
    assert_eq!(taken.object, Some(ProviderObject::Payment { payment_ref: "pi_1".to_owned() }));
    for _ in 0..5 {
        inbox.park(&taken, "there is no such funding").await.unwrap();
    }
    let tasks = task::list(&pool, 10).await.unwrap();
    assert_eq!((tasks[0].kind.as_str(), tasks[0].subject.as_str()), (task::UNKNOWN_PSP_OBJECT, "1"));
    assert!(tasks[0].detail.contains("evt_1"));
    assert_eq!(inbox.reprocess(Which::Blocked).await.unwrap(), 1);
    assert!(task::list(&pool, 10).await.unwrap().is_empty(), "it is not the operator's task any more");
    let again = inbox.take(10, LEASE).await.unwrap().remove(0);
    inbox.done(again.inbox_id, true).await.unwrap();
    assert_eq!(inbox.list(Some("done"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_is_one_however_often_it_is_seen() {
    let pool = pool(&database().await.app_options);
    for _ in 0..3 {
        task::open(&pool, task::WEBHOOKS_SILENT, "webhooks", "none came").await.unwrap();
    }
    let open = task::list(&pool, 10).await.unwrap();
    assert_eq!((open.len(), open[0].seen), (1, 3));
    assert!(task::close(&pool, task::WEBHOOKS_SILENT, "webhooks").await.unwrap());
    assert!(!task::close(&pool, task::WEBHOOKS_SILENT, "webhooks").await.unwrap());
    assert!(task::list(&pool, 10).await.unwrap().is_empty());
    task::open(&pool, task::WEBHOOKS_SILENT, "webhooks", "again").await.unwrap();
    assert_eq!(task::list(&pool, 10).await.unwrap()[0].detail, "again");
}

#[tokio::test]
async fn of_several_servers_one_asks_and_not_too_often() {
    let pool = pool(&database().await.app_options);
    let every = TimeDelta::minutes(2);
    let claims = join_all((0..4).map(|_| inquiry::claim_poll(&pool, at(0), every))).await;
    assert_eq!(claims.into_iter().filter(|claim| claim.as_ref().unwrap().is_some()).count(), 1);
    assert_eq!(inquiry::claim_poll(&pool, at(119), every).await.unwrap(), None);
    inquiry::poll_reached(&pool, 7).await.unwrap();
    assert_eq!(inquiry::claim_poll(&pool, at(120), every).await.unwrap(), Some(7));
    inquiry::backfilled(&pool, at(100)).await.unwrap();
    inquiry::backfilled(&pool, at(50)).await.unwrap();
    assert_eq!(inquiry::backfilled_until(&pool).await.unwrap(), Some(at(100)), "it never goes back");
}
