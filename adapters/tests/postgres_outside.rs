//! Records of the outside on a real Postgres: outbox, inbox, tokens and the test clock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod postgres_support;

use std::time::Duration;

use adapters::postgres::PgStore;
use adapters::postgres::clock::{ClockError, TenantClock};
use adapters::postgres::inbox::{Filing, Inbox};
use adapters::postgres::outbox::{Clearance, Outbox};
use adapters::postgres::projection::{Progress, Projector};
use adapters::postgres::task;
use adapters::postgres::token::{self, Grant};
use chrono::TimeDelta;
use domain::escrow::PspPlace;
use domain::event::DomainEvent;
use domain::id::{PartyId, PayoutId};
use domain::log::{EventStore, Expected, StoreError};
use domain::payout::{self, PayoutEvent, Withdrawal};
use domain::ports::Clock;
use domain::ports::provider::{ProviderNotice, ProviderObject};
use futures::future::join_all;
use ledger::Currency;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use postgres_support::{Building, accepted, append, at, cents, database, pool, store};

const LEASE: Duration = Duration::from_secs(60);

/// Appends a payout request of money that is at the provider already, of which an order to pay it to the bank follows.
async fn request_payout(store: &PgStore) -> PayoutId {
    let payout_id = PayoutId::from_uuid(Uuid::now_v7());
    let event = DomainEvent::Payout(PayoutEvent::Requested {
        withdrawal: Withdrawal {
            payout_id,
            payee_id: PartyId::from_uuid(Uuid::from_u128(1)),
            amount: cents(100),
            transfer_amount: cents(0),
            currency: Currency::USD,
            place: PspPlace { psp: "stripe".to_owned(), psp_account: "acct_1".to_owned() },
        },
    });
    let mut append = append().writes(payout::stream(payout_id), Expected::At(0), 1);
    append.events[0].event_type = event.event_type().into();
    append.events[0].payload = event.to_json().unwrap();
    accepted(store.append(append).await);
    payout_id
}

async fn project(pool: &PgPool) {
    let mut projector = Projector::new(pool);
    while matches!(projector.run_once().await.unwrap(), Progress::To(_)) {}
}

/// A store with that many orders, and its outbox.
async fn ordered(count: usize) -> (PgStore, Outbox) {
    let store = store(&database().await);
    for _ in 0..count {
        request_payout(&store).await;
    }
    project(store.pool()).await;
    let outbox = Outbox::new(store.pool().clone(), "tenant_one");
    (store, outbox)
}

/// Lets every lease and pause run out.
async fn wait_out(pool: &PgPool) {
    sqlx::query("update outbox set locked_until = 'epoch', retry_at = 'epoch'").execute(pool).await.unwrap();
}

#[tokio::test]
async fn an_order_is_stored_once_however_often_its_event_is_read() {
    let (store, outbox) = ordered(3).await;
    sqlx::query("update projections set position = 0 where name = 'orders'").execute(store.pool()).await.unwrap();
    project(store.pool()).await;
    let mut projector = Projector::new(store.pool());
    projector.rebuild(|_, _| {}).await.unwrap();
    assert_eq!(outbox.list(None, 10).await.unwrap().len(), 3);
    assert_eq!(outbox.outlook(at(0)).await.unwrap(), (3, None));
}

#[tokio::test]
async fn orders_are_handed_out_oldest_first_and_to_one_worker() {
    let (store, outbox) = ordered(10).await;
    let first = outbox.take(at(0), 4, LEASE).await.unwrap();
    assert_eq!(first.len(), 4);
    let expected: Vec<_> = outbox.list(None, 4).await.unwrap().into_iter().map(|order| order.order_id).collect();
    assert_eq!(first.iter().map(|order| order.order_id).collect::<Vec<_>>(), expected);
    let others: Vec<_> = (0..6).map(|_| Outbox::new(store.pool().clone(), "tenant_one")).collect();
    let taken = join_all(others.iter().map(|other| other.take(at(0), 2, LEASE))).await;
    let mut ids: Vec<_> = taken.into_iter().flat_map(Result::unwrap).chain(first).map(|order| order.order_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10, "each order went to exactly one");
    assert!(outbox.take(at(0), 10, LEASE).await.unwrap().is_empty());
}

/// C.3: what was tried and comes up again is behind what was never tried, however old it is: it takes nobody's turn.
#[tokio::test]
async fn what_is_asked_for_again_takes_nobodys_turn() {
    let (_store, outbox) = ordered(3).await;
    let ids: Vec<_> = outbox.list(None, 3).await.unwrap().into_iter().map(|order| order.order_id).collect();
    let first = outbox.take(at(0), 2, LEASE).await.unwrap();
    assert_eq!(first.iter().map(|order| order.order_id).collect::<Vec<_>>(), ids[..2]);
    for id in [ids[1], ids[0]] {
        outbox.not_before(id, at(0), "not final yet").await.unwrap();
    }
    let mut turns = Vec::new();
    for _ in 0..3 {
        turns.extend(outbox.take(at(0), 1, LEASE).await.unwrap().into_iter().map(|order| order.order_id));
    }
    assert_eq!(turns, [ids[2], ids[1], ids[0]]);
}

#[tokio::test]
async fn nothing_is_handed_out_before_its_time_or_while_paused() {
    let (_store, outbox) = ordered(1).await;
    assert!(outbox.take(at(-1), 10, LEASE).await.unwrap().is_empty());
    assert_eq!(outbox.outlook(at(-1)).await.unwrap(), (0, Some(at(0))));
    outbox.pause().await.unwrap();
    assert!(outbox.is_paused().await.unwrap());
    assert!(outbox.take(at(0), 10, LEASE).await.unwrap().is_empty());
    outbox.resume().await.unwrap();
    assert_eq!(outbox.take(at(0), 10, LEASE).await.unwrap().len(), 1);
}

/// I8.
#[tokio::test]
async fn the_key_stays_until_the_provider_has_proved_that_nothing_happened() {
    let (store, outbox) = ordered(1).await;
    let take = async || {
        wait_out(store.pool()).await;
        outbox.take(at(0), 1, LEASE).await.unwrap().pop().expect("the order is due")
    };
    let first = take().await;
    assert!(first.idempotency_key.starts_with("tenant_one:pot_"), "{}", first.idempotency_key);
    assert!(first.idempotency_key.ends_with(":pay_to_bank:1"));
    assert!(!first.unknown);
    assert_eq!(outbox.before_sending(&first).await.unwrap(), Clearance::Send);
    // The process dies here: nobody can say whether the provider has it.
    let second = take().await;
    assert!(second.unknown);
    assert_eq!(second.idempotency_key, first.idempotency_key);
    assert_eq!(outbox.before_sending(&second).await.unwrap(), Clearance::Send);
    outbox.again(second.order_id, Duration::ZERO, "timed out").await.unwrap();
    let third = take().await;
    assert_eq!((third.idempotency_key == first.idempotency_key, third.failures, third.unknown), (true, 1, true));
    assert_eq!(outbox.before_sending(&third).await.unwrap(), Clearance::Send);
    outbox.again_with_new_key(third.order_id, Duration::ZERO, "balance_insufficient").await.unwrap();
    let fourth = take().await;
    assert!(fourth.idempotency_key.ends_with(":2"), "{}", fourth.idempotency_key);
    assert!(!fourth.unknown);
    assert_eq!(outbox.before_sending(&fourth).await.unwrap(), Clearance::Send);
    outbox.done(fourth.order_id).await.unwrap();
    wait_out(store.pool()).await;
    assert!(outbox.take(at(0), 1, LEASE).await.unwrap().is_empty());
    let keys: Vec<String> = sqlx::query("select idempotency_key from provider_requests order by request_id")
        .fetch_all(store.pool())
        .await
        .unwrap()
        .iter()
        .map(|row| row.get("idempotency_key"))
        .collect();
    assert_eq!(keys, [&first, &second, &third, &fourth].map(|order| order.idempotency_key.clone()));
}

/// I8: the case that would pay twice: one server waits for the provider beyond its lease, another takes the order, is
/// refused, and pays with the next key; then the first one hears of the old refusal.
#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing() {
    let (store, slow) = ordered(1).await;
    let quick = Outbox::new(store.pool().clone(), "tenant_one");
    let held = slow.take(at(0), 1, LEASE).await.unwrap().remove(0);
    assert_eq!(slow.before_sending(&held).await.unwrap(), Clearance::Send);
    wait_out(store.pool()).await;
    let taken = quick.take(at(0), 1, LEASE).await.unwrap().remove(0);
    assert_eq!(quick.before_sending(&taken).await.unwrap(), Clearance::Send);
    quick.again_with_new_key(taken.order_id, Duration::ZERO, "balance_insufficient").await.unwrap();
    let retaken = quick.take(at(0), 1, LEASE).await.unwrap().remove(0);
    assert_eq!(quick.before_sending(&retaken).await.unwrap(), Clearance::Send);

    slow.again_with_new_key(held.order_id, Duration::ZERO, "balance_insufficient").await.unwrap();
    let status = quick.list(None, 1).await.unwrap().remove(0);
    assert_eq!((status.status.as_str(), status.attempt), ("unknown", 2), "the second key is out, there is no third");
    assert!(slow.take(at(0), 1, LEASE).await.unwrap().is_empty());
    assert_eq!(slow.before_sending(&held).await.unwrap(), Clearance::Lost, "what it holds is not its own any more");

    quick.done(retaken.order_id).await.unwrap();
    slow.again(held.order_id, Duration::ZERO, "timed out").await.unwrap();
    slow.block(held.order_id, "looks bad").await.unwrap();
    assert_eq!(quick.list(Some("done"), 1).await.unwrap().len(), 1);
}

/// I8.
#[tokio::test]
async fn an_order_sent_longer_ago_than_keys_live_is_looked_for_before_it_is_sent_again() {
    let (store, outbox) = ordered(1).await;
    let take = async || {
        wait_out(store.pool()).await;
        outbox.take(at(0), 1, LEASE).await.unwrap().pop().expect("the order is due")
    };
    let order = take().await;
    assert_eq!(outbox.before_sending(&order).await.unwrap(), Clearance::Send);
    sqlx::query("update outbox set first_sent_at = first_sent_at - interval '23 hours 1 minute'")
        .execute(store.pool())
        .await
        .unwrap();
    let order = take().await;
    assert_eq!(outbox.before_sending(&order).await.unwrap(), Clearance::Search);
    // The search fails: nothing is proved.
    outbox.again(order.order_id, Duration::ZERO, "503").await.unwrap();
    let order = take().await;
    assert_eq!(outbox.before_sending(&order).await.unwrap(), Clearance::Search);
    // It shows that nothing is there: the same key, and its time begins anew.
    outbox.absent(order.order_id).await.unwrap();
    let again = take().await;
    assert_eq!(again.idempotency_key, order.idempotency_key);
    assert_eq!(outbox.before_sending(&again).await.unwrap(), Clearance::Send);
    // It shows nothing at all: an operator's task, and no more sending.
    outbox.block(again.order_id, "the list is too long").await.unwrap();
    wait_out(store.pool()).await;
    assert!(outbox.take(at(0), 1, LEASE).await.unwrap().is_empty());
    let tasks = task::list(store.pool(), 10).await.unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (tasks[0].kind.as_str(), tasks[0].subject.as_str()),
        ("psp_order_blocked", again.order_id.to_string().as_str())
    );
}

#[tokio::test]
async fn records_of_the_outside_survive_a_rebuild() {
    let (store, outbox) = ordered(2).await;
    let order = outbox.take(at(0), 1, LEASE).await.unwrap().remove(0);
    outbox.before_sending(&order).await.unwrap();
    outbox.done(order.order_id).await.unwrap();
    let before = outbox.list(None, 10).await.unwrap();
    Projector::new(store.pool()).rebuild(|_, _| {}).await.unwrap();
    project(store.pool()).await;
    assert_eq!(outbox.list(None, 10).await.unwrap(), before);
}

fn notice(id: &str, object: Option<&str>) -> ProviderNotice {
    ProviderNotice {
        notice_id: id.to_owned(),
        notice_type: "payment_intent.succeeded".to_owned(),
        account: None,
        object: object.map(|text| ProviderObject::Payment { payment_ref: text.to_owned() }),
        object_ref: object.map(str::to_owned),
        livemode: false,
        api_version: None,
    }
}

async fn receive(inbox: &Inbox, notice: &ProviderNotice, raw: &[u8]) -> Result<bool, StoreError> {
    inbox.receive("stripe", notice, raw, Filing::of(notice), false).await
}

async fn inbox() -> (PgPool, Inbox) {
    let pool = pool(&database().await.app_options);
    (pool.clone(), Inbox::new(pool))
}

async fn wait_out_inbox(pool: &PgPool) {
    sqlx::query("update psp_inbox set retry_at = 'epoch'").execute(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_new_once() {
    let (pool, inbox) = inbox().await;
    let notice = notice("evt_1", Some("pi_1"));
    let told = join_all((0..16).map(|_| receive(&inbox, &notice, b"raw"))).await;
    assert_eq!(told.into_iter().filter(|new| *new.as_ref().unwrap()).count(), 1);
    let row = sqlx::query("select deliveries, raw from psp_inbox").fetch_one(&pool).await.unwrap();
    assert_eq!((row.get::<i32, _>("deliveries"), row.get::<Vec<u8>, _>("raw")), (16, b"raw".to_vec()));
    let elsewhere = ProviderNotice { account: Some("acct_1".to_owned()), ..notice };
    assert!(receive(&inbox, &elsewhere, b"raw").await.unwrap(), "another account's notice is another one");
    assert_eq!(inbox.open().await.unwrap(), 2);
}

#[tokio::test]
async fn notices_about_one_object_come_one_after_the_other() {
    let (pool, inbox) = inbox().await;
    for (id, object) in [("evt_1", "pi_1"), ("evt_2", "pi_1"), ("evt_3", "pi_2")] {
        receive(&inbox, &notice(id, Some(object)), b"").await.unwrap();
    }
    let taken = inbox.take(10, LEASE).await.unwrap();
    let ids: Vec<_> = taken.iter().map(|notice| notice.event_id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_3"]);
    assert!(inbox.take(10, LEASE).await.unwrap().is_empty());
    inbox.done(taken[0].inbox_id, true).await.unwrap();
    let next = inbox.take(10, LEASE).await.unwrap();
    assert_eq!(next.iter().map(|notice| notice.event_id.as_str()).collect::<Vec<_>>(), ["evt_2"]);
    // Nobody finished it: after the lease it is there again.
    wait_out_inbox(&pool).await;
    assert!(inbox.take(10, LEASE).await.unwrap().iter().any(|notice| notice.event_id == "evt_2"));
}

#[tokio::test]
async fn a_notice_about_something_unknown_is_tried_five_times_and_then_shown() {
    let (pool, inbox) = inbox().await;
    receive(&inbox, &notice("evt_1", Some("pi_1")), b"").await.unwrap();
    let take = async || {
        wait_out_inbox(&pool).await;
        inbox.take(1, LEASE).await.unwrap().pop()
    };
    // The provider being away for long says nothing about the object.
    for _ in 0..7 {
        let taken = take().await.expect("still open");
        inbox.retry(&taken, Duration::from_secs(1), "503").await.unwrap();
    }
    for seconds in [5_i32, 30, 300, 1800] {
        let taken = take().await.expect("still open");
        inbox.park(&taken, "unknown object").await.unwrap();
        let row = sqlx::query("select extract(epoch from retry_at - clock_timestamp())::int as wait from psp_inbox")
            .fetch_one(&pool)
            .await
            .unwrap();
        let wait: i32 = row.get("wait");
        assert!((seconds - 4..=seconds).contains(&wait), "{wait} of {seconds}");
        assert!(inbox.take(1, LEASE).await.unwrap().is_empty());
    }
    let taken = take().await.expect("the last time");
    inbox.park(&taken, "unknown object").await.unwrap();
    assert!(take().await.is_none());
    assert_eq!(inbox.open().await.unwrap(), 0);
    let row = sqlx::query("select status, last_error from psp_inbox").fetch_one(&pool).await.unwrap();
    assert_eq!(
        (row.get::<String, _>("status"), row.get::<String, _>("last_error")),
        ("blocked".to_owned(), "unknown object".to_owned())
    );
}

#[tokio::test]
async fn a_notice_that_is_done_stays_done() {
    let (_pool, inbox) = inbox().await;
    receive(&inbox, &notice("evt_1", Some("pi_1")), b"").await.unwrap();
    let taken = inbox.take(1, LEASE).await.unwrap().remove(0);
    inbox.done(taken.inbox_id, true).await.unwrap();
    // A worker whose lease had run out is late.
    inbox.retry(&taken, Duration::ZERO, "late").await.unwrap();
    inbox.park(&taken, "late").await.unwrap();
    assert_eq!(inbox.open().await.unwrap(), 0);
    assert!(inbox.take(1, LEASE).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_until_it_ends() {
    let pool = pool(&database().await.app_options);
    let grant = Grant { party_id: PartyId::from_uuid(Uuid::from_u128(5)), role: "client".to_owned() };
    token::insert(&pool, &[1; 32], &grant, Some("laptop"), None).await.unwrap();
    token::insert(&pool, &[2; 32], &grant, None, Some(30)).await.unwrap();
    token::insert(&pool, &[3; 32], &grant, None, Some(0)).await.unwrap();
    assert_eq!(token::find(&pool, &[1; 32]).await.unwrap(), Some(grant.clone()));
    assert_eq!(token::find(&pool, &[2; 32]).await.unwrap(), Some(grant.clone()));
    assert_eq!(token::find(&pool, &[3; 32]).await.unwrap(), None, "over");
    assert_eq!(token::find(&pool, &[4; 32]).await.unwrap(), None, "never was");
    assert_eq!(token::revoke(&pool, grant.party_id).await.unwrap(), 3);
    assert_eq!(token::find(&pool, &[1; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn a_test_clock_goes_forward_only_and_starts_with_an_empty_log() {
    let database = database().await;
    let store = store(&database);
    let pool = store.pool();
    let system = TenantClock::open(pool.clone()).await.unwrap();
    assert!(!system.is_test());
    assert!(matches!(system.advance(at(0)).await, Err(ClockError::NotInTestMode)));
    TenantClock::start_test_mode(pool, at(0)).await.unwrap();
    let clock = TenantClock::open(pool.clone()).await.unwrap();
    assert_eq!(clock.now().await.unwrap(), at(0));
    clock.advance(at(60) + TimeDelta::microseconds(1500)).await.unwrap();
    assert_eq!(clock.now().await.unwrap(), at(60) + TimeDelta::milliseconds(1));
    assert!(matches!(clock.advance(at(59)).await, Err(ClockError::Backwards { .. })));
    TenantClock::start_test_mode(pool, at(0)).await.unwrap();
    assert_eq!(clock.now().await.unwrap(), at(60) + TimeDelta::milliseconds(1), "it stays where it is");

    let lived = self::store(&self::database().await);
    request_payout(&lived).await;
    assert!(matches!(TenantClock::start_test_mode(lived.pool(), at(0)).await, Err(ClockError::NotInTestMode)));
}
