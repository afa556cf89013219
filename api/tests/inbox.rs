//! Webhooks over HTTP: what is believed, what is kept, what is done again, and what is found when none comes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::time::Duration;

use adapters::postgres::inbox::{FiledNotice, Which};
use adapters::postgres::task;
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{Connection, PgConnection};
use support::{World, books};

/// Everything in the inbox, oldest first.
async fn filed(world: &World) -> Vec<FiledNotice> {
    let mut notices = world.server.app().inbox.list(None, 1000).await.unwrap();
    notices.reverse();
    notices
}

/// Seconds of wall time: what signatures are judged by.
fn wall() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn event(id: &str, kind: &str, object: &str) -> Value {
    json!({ "id": id, "object": "event", "type": kind, "livemode": false, "api_version": "2025-03-31.basil",
            "data": { "object": { "id": object } } })
}

/// Posts an event, signed with the endpoint's secret. Returns the status.
async fn post(world: &World, endpoint: &str, event: &Value) -> u16 {
    let secret = &world.server.app().webhook_secrets[endpoint][0];
    let (at, body) = (wall(), event.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    let signature = format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()));
    let path = format!("/v1/psp/webhooks/{endpoint}");
    let sent = world.raw(|http, base| http.post(base + &path).header("stripe-signature", signature).body(body));
    sent.await.status.as_u16()
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} does not come about");
}

/// D-12, J01.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_five_times_at_once_is_one_notice_and_one_fact() {
    let world = World::new().await;
    world.sandbox(json!([{ "on": "webhook payment_intent.succeeded", "action": "duplicate", "copies": 5 }])).await;
    world.funded().await;
    let notices = filed(&world).await;
    let told: Vec<_> = notices.iter().filter(|notice| notice.event_type == "payment_intent.succeeded").collect();
    assert_eq!((told.len(), told[0].deliveries), (1, 5));
    assert_eq!(world.count("funding.succeeded").await, 1);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_endpoint_s_own_secret_leaves_nothing() {
    let world = World::new().await;
    let before = filed(&world).await.len();
    let body = event("evt_x", "payment_intent.succeeded", "pi_x").to_string();
    let post = world.raw(|http, base| {
        let signature = format!("t={},v1={}", wall(), "00".repeat(32));
        http.post(base + "/v1/psp/webhooks/stripe").header("stripe-signature", signature).body(body)
    });
    let answer = post.await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &json!("invalid_signature")));
    let large = world.raw(|http, base| http.post(base + "/v1/psp/webhooks/stripe").body(vec![b'x'; 300 * 1024]));
    assert_eq!(large.await.status.as_u16(), 413);
    let nowhere = world.raw(|http, base| http.post(base + "/v1/psp/webhooks/paypal").body("{}"));
    assert_eq!(nowhere.await.status.as_u16(), 404);
    assert_eq!(filed(&world).await.len(), before);
    let metrics = reqwest::get(format!("{}/metrics", world.server.base_url())).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("psp_webhooks_refused_total{reason=\"bad\"}"), "{metrics}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_genuine_and_strange_is_kept_and_answered() {
    let world = World::new().await;
    let app = world.server.app();
    // A type nobody knows; then the other mode; then an account at the platform's endpoint, and none at the payees'.
    assert_eq!(post(&world, "stripe", &event("evt_1", "quantum.entangled", "qu_1")).await, 200);
    let mut live = event("evt_2", "payment_intent.succeeded", "pi_2");
    live["livemode"] = json!(true);
    assert_eq!(post(&world, "stripe", &live).await, 200);
    let mut misled = event("evt_3", "payout.paid", "po_3");
    misled["account"] = json!("acct_x");
    assert_eq!(post(&world, "stripe", &misled).await, 200);
    assert_eq!(post(&world, "stripe_connect", &event("evt_4", "payout.paid", "po_4")).await, 200);
    let states: Vec<_> = filed(&world)
        .await
        .into_iter()
        .filter(|notice| notice.event_id.len() == 5)
        .map(|notice| (notice.event_id, notice.status))
        .collect();
    let expected = [("evt_1", "kept"), ("evt_2", "mismatch"), ("evt_3", "mismatch"), ("evt_4", "mismatch")];
    assert_eq!(states, expected.map(|(id, status)| (id.to_owned(), status.to_owned())));
    let tasks = task::list(app.pool(), 10).await.unwrap();
    assert_eq!(tasks.iter().filter(|task| task.kind == task::PSP_MISMATCH).count(), 3, "{tasks:?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nobody_knows_is_asked_for_again_and_then_shown() {
    let world = World::new().await;
    let app = world.server.app();
    assert_eq!(post(&world, "stripe", &event("evt_1", "payment_intent.succeeded", "pi_unknown")).await, 200);
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    let mut parked = async |times: i32| {
        until("the notice is parked", async || {
            // Both at once: that it has been parked so often, and that it is asked for again now.
            let sql = "update main.psp_inbox set retry_at = 'epoch' where event_id = 'evt_1' and parked = $1";
            let due = sqlx::query(sql).bind(times).execute(&mut owner).await.unwrap();
            due.rows_affected() == 1
        })
        .await;
        app.notified.notify_one();
    };
    for times in 1..=5 {
        parked(times).await;
    }
    until("it is the operator's", async || {
        let tasks = task::list(app.pool(), 10).await.unwrap();
        tasks.iter().any(|task| task.kind == task::UNKNOWN_PSP_OBJECT)
    })
    .await;
    assert_eq!(app.inbox.show("evt_1").await.unwrap().unwrap().0.status, "blocked");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn working_on_every_notice_again_changes_nothing() {
    let world = World::new().await;
    world.released().await;
    let (before, shown) = (world.head().await, world.books().await);
    let inbox = &world.server.app().inbox;
    let again = inbox.reprocess(Which::Range(1, i64::MAX)).await.unwrap();
    assert!(again > 3, "{again}");
    world.server.app().notified.notify_one();
    world.settled().await;
    assert_eq!(inbox.open().await.unwrap(), 0);
    assert!(filed(&world).await.iter().filter(|notice| notice.status == "done").all(|notice| notice.attempts >= 2));
    assert_eq!((world.head().await, world.books().await), (before, shown));
    world.close().await;
}

/// J22: every webhook about a payout is lost, and no order asks for it. Looking for unfinished objects finds that it has
/// arrived; the provider's list brings the notices; and that no webhook came is an operator's task.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_webhook_tells_is_found_by_asking() {
    let world = World::new().await;
    world.released().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    let body = json!({ "amount": 50_000, "currency": "USD" });
    world.post(&world.payee, "/v1/payouts", None, body).await.success().unwrap();
    world.settled().await;
    world.sandbox(json!([{ "on": "webhook *", "action": "drop", "times": 1000 }])).await;
    let app = world.server.app();
    app.outbox.pause().await.unwrap();
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    let aged = "update main.psp_inbox set received_at = received_at - interval '7 hours'";
    sqlx::query(aged).execute(&mut owner).await.unwrap();

    let later = app.engine.now().await.unwrap() + TimeDelta::days(2);
    app.sandbox.as_ref().unwrap().advance(later).await.unwrap();
    app.engine.clock().advance(later).await.unwrap();
    app.clock_moved.notify_waiters();
    until("the payout is seen to have arrived", async || world.count("payout.paid").await == 1).await;
    until("the list is read", async || filed(&world).await.iter().any(|notice| notice.backfilled)).await;
    until("it is all done", async || app.inbox.open().await.unwrap() == 0).await;
    let found: Vec<_> = filed(&world).await.into_iter().filter(|notice| notice.backfilled).collect();
    assert!(found.iter().any(|notice| notice.event_type == "payout.paid" && notice.account != "platform"), "{found:?}");
    assert_eq!(world.count("payout.paid").await, 1, "found twice, recorded once");
    until("somebody is told", async || {
        task::list(app.pool(), 10).await.unwrap().iter().any(|task| task.kind == task::WEBHOOKS_SILENT)
    })
    .await;
    // What was lost is delivered after all: it is known.
    let known = filed(&world).await.len();
    let flush = format!("{}/_sandbox/webhooks/flush", world.server.sandbox_url().unwrap());
    reqwest::Client::new()
        .delete(format!("{}/_sandbox/faults", world.server.sandbox_url().unwrap()))
        .bearer_auth(world.server.sandbox_key().unwrap())
        .send()
        .await
        .unwrap();
    reqwest::Client::new().post(flush).bearer_auth(world.server.sandbox_key().unwrap()).send().await.unwrap();
    until("the webhooks come", async || {
        filed(&world).await.iter().any(|notice| notice.backfilled && notice.deliveries > 1)
    })
    .await;
    assert_eq!(filed(&world).await.iter().filter(|notice| notice.backfilled).count(), found.len());
    assert!(filed(&world).await.len() >= known);
    assert_eq!(world.books().await.get("1130"), books(&[]).get("1130"), "nothing is left at the payee's account");
    world.close().await;
}

/// C.2: money that somebody moves in the provider's dashboard is an operator's task, once: closed it stays closed.
#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_moved_by_hand_is_somebodys_task() {
    let world = World::new().await;
    world.released().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    let (base, key) = (world.server.sandbox_url().unwrap(), world.server.sandbox_key().unwrap());
    let app = world.server.app();
    let http = reqwest::Client::new();
    let send = async |path: String, form: &[(&str, &str)]| -> Value {
        let sent = http.post(format!("{base}{path}")).bearer_auth(key).form(form).send().await.unwrap();
        sent.json().await.unwrap()
    };
    let by_hand = async || -> Vec<String> {
        world.settled().await;
        let tasks = task::list(app.pool(), 20).await.unwrap();
        tasks.into_iter().filter(|task| task.kind == task::MOVED_BY_HAND).map(|task| task.subject).collect()
    };
    assert!(by_hand().await.is_empty());
    let listed = http.get(format!("{base}/v1/payment_intents")).bearer_auth(key).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    let payment = listed["data"][0]["id"].as_str().unwrap();
    let refund = send("/v1/refunds".to_owned(), &[("payment_intent", payment), ("amount", "100")]).await;
    let refund = refund["id"].as_str().unwrap().to_owned();
    assert_eq!(by_hand().await, std::slice::from_ref(&refund), "external_refund");
    task::close(app.pool(), task::MOVED_BY_HAND, &refund).await.unwrap();

    // What we have moved to the payee, and somebody takes back.
    let fault = json!([{ "on": "POST /v1/payouts", "action": "error_500", "times": 1000 }]);
    world.sandbox(fault).await;
    let body = json!({ "amount": 50_000, "currency": "USD" });
    world.post(&world.payee, "/v1/payouts", None, body).await.success().unwrap();
    until("it is at the payee's account", async || world.count("payout.transfer_completed").await == 1).await;
    let listed = http.get(format!("{base}/v1/transfers")).bearer_auth(key).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    let transfer = listed["data"][0]["id"].as_str().unwrap().to_owned();
    send(format!("/v1/transfers/{transfer}/reversals"), &[("amount", "9000")]).await;
    let subject = format!("{transfer}-9000");
    until("it is a task", async || {
        let tasks = task::list(app.pool(), 20).await.unwrap();
        let mut tasks = tasks.iter().filter(|task| task.kind == task::MOVED_BY_HAND);
        tasks.next().is_some_and(|task| task.subject == subject) && tasks.next().is_none()
    })
    .await;
    // Not closed: of what the payout needs a part was taken away by hand, so its order never comes to an end.
}
