//! Orders to the provider over HTTP: a database that is older than the provider, and orders of unknown outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use adapters::postgres::task;
use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use api::cli::outbox::shown;
use api::cli::story::ApiClient;
use api::sandbox::{self, SandboxConfig};
use api::server::{ProviderConfig, Server, ServerConfig};
use api::worker::restore::{Difference, compare, reconcile};
use chrono::TimeDelta;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use support::{World, funding_of};

const KEY: &str = "sk_test_restore";

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

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn serve(database: PgConnectOptions, provider: ProviderConfig) -> Server {
    let tenant = "main".parse().unwrap();
    let config = ServerConfig { listen: local(), database, tenant, test_clock: None, provider, allow_owner: false };
    Server::start(config).await.unwrap()
}

/// How many rows a table of the sandbox has.
async fn rows(database: &PgConnectOptions, table: &str) -> i64 {
    let mut connection = PgConnection::connect_with(database).await.unwrap();
    let sql = format!("select count(*) as rows from main_sandbox.{table}");
    sqlx::query(&sql).fetch_one(&mut connection).await.unwrap().get("rows")
}

/// I8, J21, J22: yesterday's database beside a provider that has moved on and forgotten our keys: the outbox is paused, the
/// difference is shown, and after reconciliation nothing was paid twice, neither the transfer that was ordered before the
/// copy nor the bank payout that follows from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_pays_nothing_twice() {
    let world = World::new().await;
    world.released().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    world.server.app().outbox.pause().await.unwrap();
    let body = json!({ "amount": 50_000, "currency": "USD" });
    world.post(&world.payee, "/v1/payouts", None, body).await.success().unwrap();
    until("the order is stored", async || {
        world.server.app().outbox.list(Some("pending"), 10).await.unwrap().iter().any(|o| o.action == "move_to_payee")
    })
    .await;
    // Not closed: what is served later is a copy, whose books are older than the provider on purpose.
    let World { database, server, client, payee, admin, .. } = world;
    server.shutdown().await;

    // The dump.
    let copy = "restored_copy";
    let mut connection =
        PgConnection::connect_with(&database.admin_options.clone().database("postgres")).await.unwrap();
    let sql = format!("create database {copy} template {}", database.name);
    let mut tries = 0;
    while let Err(error) = sqlx::query(&sql).execute(&mut connection).await {
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Life goes on: the money is paid out, and somebody pays for another contract.
    let owner = database.owner_options.clone();
    let built_in = ProviderConfig::Sandbox { listen: local(), database: Box::new(owner.clone()) };
    let first = serve(database.app_options.clone(), built_in).await;
    let api = ApiClient::new(first.base_url());
    first.app().outbox.resume().await.unwrap();
    let now = first.app().engine.now().await.unwrap();
    api.advance(&admin.token, "main", now).await.unwrap();
    let draft = json!({ "payee_id": payee.party_id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
    let send = async |who: &str, path: &str, version: Option<&str>, key: &str, body: serde_json::Value| {
        let mut headers = vec![("Idempotency-Key", key)];
        headers.extend(version.map(|version| ("If-Match", version)));
        api.post(path, who, &headers, &body).await.unwrap().success().unwrap()
    };
    let drafted = send(&client.token, "/v1/contracts", None, "k1", draft).await;
    let contract =
        support::Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() };
    send(&client.token, &contract.at("/offer"), Some("\"1\""), "k2", json!({})).await;
    send(&payee.token, &contract.at("/accept"), Some("\"2\""), "k3", json!({})).await;
    let pay = funding_of(&contract, 100_000, "pm_card_visa");
    send(&client.token, &contract.at("/fundings"), None, "k4", pay).await;
    api.advance(&admin.token, "main", now).await.unwrap();
    first.shutdown().await;
    assert_eq!((rows(&owner, "transfers").await, rows(&owner, "payouts").await), (1, 1));
    assert_eq!(rows(&owner, "payment_intents").await, 2);

    // The provider as it is now, without our keys; and beside it the copy.
    let mut sandbox_config = SandboxConfig::new(local(), owner.clone(), KEY);
    sandbox_config.schema = "main_sandbox".to_owned();
    let provider = sandbox::start(sandbox_config).await.unwrap();
    let mut sandboxed = PgConnection::connect_with(&owner).await.unwrap();
    sqlx::query("delete from main_sandbox.idempotency_keys").execute(&mut sandboxed).await.unwrap();
    let url = provider.base_url().trim_end_matches('/').to_owned();
    let remote = ProviderConfig::Remote {
        base_url: Some(url.clone()),
        secret_key: Secret::new(KEY),
        webhook_secrets: Vec::new(),
        connect_webhook_secrets: Vec::new(),
        onboarding_return_url: None,
    };
    let second = serve(database.app_options.clone().database(copy), remote).await;
    let app = second.app();
    until("the copy is noticed", async || {
        app.outbox.paused_because().await.unwrap().is_some_and(|why| why.contains("another database"))
    })
    .await;
    assert!(app.outbox.is_paused().await.unwrap());
    until("it is a task", async || !task::list(app.pool(), 10).await.unwrap().is_empty()).await;

    let stripe = StripeProvider::new(&StripeConfig { base_url: Some(url), secret_key: Secret::new(KEY) }).unwrap();
    let compared = compare(app.pool(), &app.outbox, &stripe, World::begin() - TimeDelta::days(1)).await.unwrap();
    let text = shown(&compared);
    let carried_out = compared.differences.iter().filter(
        |difference| matches!(difference, Difference::CarriedOut { order, .. } if order.action == "move_to_payee"),
    );
    assert_eq!(carried_out.count(), 1, "{text}");
    let not_in_log = compared.differences.iter().filter(|difference| matches!(difference, Difference::NotInLog { .. }));
    assert_eq!(not_in_log.count(), 1, "{text}");
    assert!(compared.complete && text.contains("not in log    fnd_"), "{text}");

    // The restore took more than a day: what follows now is younger than what was paid.
    app.engine.clock().advance(now + TimeDelta::hours(30)).await.unwrap();
    assert_eq!(reconcile(&app.engine, &app.outbox, &stripe).await.unwrap(), 1);
    let settled = reconcile(&app.engine, &app.outbox, &stripe).await.unwrap();
    assert!(settled <= 1, "a second time only what followed from the first: {settled}");
    app.outbox.resume().await.unwrap();
    let api = ApiClient::new(second.base_url());
    until("the copy knows that the payout was ordered", async || {
        api.events(&admin.token, 0).await.unwrap().iter().any(|event| event.r#type == "payout.submitted")
    })
    .await;
    until("every order is settled that is due", async || {
        app.outbox.outlook(app.engine.now().await.unwrap()).await.unwrap().0 == 0
    })
    .await;
    assert_eq!((rows(&owner, "transfers").await, rows(&owner, "payouts").await), (1, 1), "nothing was paid twice");
    assert_eq!(rows(&owner, "payment_intents").await, 2);
    second.shutdown().await;
    provider.shutdown().await;
}

/// I8: an answer is lost and the key forgotten a day later; what was carried out is found and not sent again, what was not
/// is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_key_is_forgotten_is_looked_for_before_it_is_sent() {
    let world = World::new().await;
    world.released().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    let owner = world.database.owner_options.clone();
    let app = world.server.app();
    let forget = async |store: &mut PgConnection| {
        sqlx::query("delete from main_sandbox.idempotency_keys").execute(&mut *store).await.unwrap();
        sqlx::query("update main.outbox set first_sent_at = 'epoch', retry_at = 'epoch' where status = 'unknown'")
            .execute(&mut *store)
            .await
            .unwrap();
    };
    let mut store = PgConnection::connect_with(&owner).await.unwrap();
    for (fault, transfers) in [("timeout_after_success", 1), ("error_500", 2)] {
        world
            .sandbox(json!([{ "on": "POST /v1/transfers", "action": fault },
                             { "on": "webhook *", "action": "drop", "times": 100 }]))
            .await;
        let body = json!({ "amount": 20_000, "currency": "USD" });
        world.post(&world.payee, "/v1/payouts", None, body).await.success().unwrap();
        until("its outcome is unknown", async || {
            app.outbox.list(Some("unknown"), 10).await.unwrap().iter().any(|order| order.failures > 0)
        })
        .await;
        forget(&mut store).await;
        until("it is settled", async || app.outbox.outlook(app.engine.now().await.unwrap()).await.unwrap().0 == 0)
            .await;
        assert_eq!(rows(&owner, "transfers").await, transfers, "after {fault}");
    }
    assert_eq!(world.count("payout.transfer_completed").await, 2);
    world.close().await;
}

/// C.1, D-14: a client who has cancelled before the payment was ordered is not charged, neither when orders waited nor when the
/// provider failed and nobody knows what became of the order.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_given_up_is_not_made() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let owner = world.database.owner_options.clone();
    let app = world.server.app();
    let orders = async |status: &str| app.outbox.list(Some(status), 10).await.unwrap();
    for failing in [false, true] {
        if failing {
            let fault = json!([{ "on": "POST /v1/payment_intents", "action": "error_500", "times": 100 }]);
            world.sandbox(fault).await;
        } else {
            app.outbox.pause().await.unwrap();
        }
        let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap().text("/id").unwrap();
        let status = if failing { "unknown" } else { "pending" };
        until("it is ordered", async || {
            orders(status)
                .await
                .iter()
                .any(|order| order.action == "collect_payment" && (order.failures > 0) == failing)
        })
        .await;
        app.outbox.pause().await.unwrap();
        world.post(&world.client, &format!("/v1/fundings/{funding}/cancel"), None, json!({})).await.success().unwrap();
        let faults = format!("{}/_sandbox/faults", world.server.sandbox_url().unwrap());
        let key = world.server.sandbox_key().unwrap();
        reqwest::Client::new().delete(faults).bearer_auth(key).send().await.unwrap();
        let cancelled = world.head().await;
        app.reached.clone().wait_for(|position| *position >= cancelled).await.unwrap();
        app.outbox.resume().await.unwrap();
        until("it is settled", async || app.outbox.outlook(app.engine.now().await.unwrap()).await.unwrap().0 == 0)
            .await;
        assert_eq!(rows(&owner, "payment_intents").await, 0, "nobody is charged; the provider failed: {failing}");
        assert_eq!(world.count("funding.cancelled").await, 1 + usize::from(failing));
    }
    assert!(world.books().await.is_empty());
    world.close().await;
}

/// C.1: an order whose facts are refused again and again is put aside and somebody's task.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_facts_are_refused_is_somebodys_task() {
    let world = World::new().await;
    let app = world.server.app();
    // As from a defect: for a funding that is not in the log.
    let funding = domain::id::FundingId::from_uuid(uuid::Uuid::from_u128(77));
    let order = domain::ports::provider::ProviderOrder::CollectPayment {
        funding_id: funding,
        contract_id: Some(domain::id::ContractId::from_uuid(uuid::Uuid::from_u128(78))),
        amount: ledger::Minor::new(500).unwrap(),
        currency: ledger::Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
        mandate: None,
    };
    let mut owner = PgConnection::connect_with(&world.database.owner_options).await.unwrap();
    sqlx::query(
        "insert into main.outbox (order_id, position, aggregate_id, action, body, not_before, failures)
         values ($1, 1, $2, 'collect_payment', $3::json, 'epoch', 10)",
    )
    .bind(uuid::Uuid::from_u128(79))
    .bind(funding.to_string())
    .bind(serde_json::to_string(&order).unwrap())
    .execute(&mut owner)
    .await
    .unwrap();
    until("it is put aside", async || app.outbox.list(Some("blocked"), 10).await.unwrap().len() == 1).await;
    let tasks = task::list(app.pool(), 10).await.unwrap();
    assert!(tasks.iter().any(|task| task.kind == task::PSP_ORDER_BLOCKED), "{tasks:?}");
    // Not closed: the provider has collected for a funding that is in no book, which is what the task is about.
}
