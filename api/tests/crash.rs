//! The server is killed with 200 commands in flight, the payment provider being another process. Afterwards everything
//! that was acknowledged is there, nothing is half there, and the story goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::clock::TenantClock;
use adapters::postgres::{PgStore, SchemaName, migrate};
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::{Answer, ApiClient, nets_of, nets_shown, recount};
use api::engine::Engine;
use api::sandbox_control::SandboxControl;
use domain::actor::StaffRole;
use domain::time::Timestamp;
use serde_json::{Value, json};
use sqlx::ConnectOptions;

const BEGIN: &str = "2026-12-01T10:00:00Z";
const KEY: &str = "sk_test_crash";
const CONTRACTS: usize = 100;

/// A process of the binary that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn earnest(database: &TestDatabase, arguments: &[&str]) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_earnest"))
        .args(arguments)
        .env("DATABASE_URL", database.app_options.to_url_lossy().as_str())
        .env("EARNEST_OWNER_DATABASE_URL", database.owner_options.to_url_lossy().as_str())
        .env("RUST_LOG", "error")
        .envs(["KEY", "PARTY", "ADDRESS"].map(|limit| (format!("EARNEST_RATE_LIMIT_{limit}"), "off")))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

fn serve(database: &TestDatabase, port: u16, sandbox: u16) -> Process {
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{sandbox}"));
    let arguments = [
        "serve",
        "--listen",
        &listen,
        "--test-clock",
        BEGIN,
        "--psp-url",
        &url,
        "--psp-key",
        KEY,
        "--webhook-secret",
        "whsec_one",
        "--connect-webhook-secret",
        "whsec_two",
    ];
    earnest(database, &arguments)
}

async fn until_ready(port: u16) {
    for _ in 0..400 {
        if let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await
            && answer.status().is_success()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server does not become ready");
}

/// A command as it was sent, so that it can be sent again.
#[derive(Clone)]
struct Sent {
    path: String,
    key: String,
    version: Option<String>,
    body: Value,
}

async fn send(api: &ApiClient, token: &str, sent: &Sent) -> Option<Answer> {
    let mut headers = vec![("Idempotency-Key", sent.key.as_str())];
    headers.extend(sent.version.as_deref().map(|version| ("If-Match", version)));
    api.post(&sent.path, token, &headers, &sent.body).await.ok()
}

async fn must(api: &ApiClient, token: &MadeToken, path: &str, version: Option<&str>, body: Value) -> Answer {
    let sent = Sent { path: path.to_owned(), key: format!("{path}-setup"), version: version.map(str::to_owned), body };
    send(api, &token.token, &sent).await.unwrap().success().unwrap()
}

/// D-158, I10.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_in_the_middle_of_two_hundred_commands_loses_and_doubles_nothing() {
    let tenant: SchemaName = "main".parse().unwrap();
    let database = TestCluster::shared()
        .unwrap()
        .fresh_database("tenant", |database| async move {
            migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
        })
        .await
        .unwrap();
    let (port, sandbox_port) = (free_port(), free_port());
    let url = |endpoint: &str| format!("http://127.0.0.1:{port}/v1/psp/webhooks/{endpoint}");
    let (listen, one, two) = (format!("127.0.0.1:{sandbox_port}"), url("stripe"), url("stripe_connect"));
    let arguments = [
        "sandbox",
        "--listen",
        &listen,
        "--key",
        KEY,
        "--webhook-url",
        &one,
        "--webhook-secret",
        "whsec_one",
        "--connect-webhook-url",
        &two,
        "--connect-webhook-secret",
        "whsec_two",
        "--test-clock",
        BEGIN,
    ];
    let _sandbox = earnest(&database, &arguments);
    let control = SandboxControl::new(format!("http://{listen}"), KEY);
    let mut tries = 0;
    while control.status().await.is_err() {
        tries += 1;
        assert!(tries < 400, "the sandbox does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let server = serve(&database, port, sandbox_port);
    until_ready(port).await;

    let store = Arc::new(PgStore::connect(database.app_options.clone(), &tenant, 2));
    let clock = TenantClock::open(store.pool().clone()).await.unwrap();
    let engine = Engine::new(Arc::clone(&store), clock, 0);
    let client = make_token(&engine, Role::Client, None, None, None).await.unwrap();
    let payee = make_token(&engine, Role::Payee, None, None, None).await.unwrap();
    let admin = make_token(&engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
    let api = ApiClient::new(format!("http://127.0.0.1:{port}"));
    let account = control.open_account("US").await.unwrap();
    let path = format!("/v1/parties/{}/payout-account", payee.party_id);
    must(&api, &payee, &path, None, json!({ "psp_account": account })).await;
    let begin: Timestamp = BEGIN.parse().unwrap();

    // Each contract has one milestone that is funded and can be approved, and one that can be funded.
    let mut commands = Vec::new();
    for number in 0..CONTRACTS {
        let body = json!({
            "payee_id": payee.party_id, "currency": "USD", "reference": format!("c{number}"),
            "milestones": [{ "amount": 10_000 }, { "amount": 20_000 }],
        });
        let sent = Sent { path: "/v1/contracts".to_owned(), key: format!("draft-{number}"), version: None, body };
        let drafted = send(&api, &client.token, &sent).await.unwrap().success().unwrap();
        let id = drafted.text("/id").unwrap();
        let (first, second) = (drafted.text("/milestones/0/id").unwrap(), drafted.text("/milestones/1/id").unwrap());
        let offered =
            must(&api, &client, &format!("/v1/contracts/{id}/offer"), drafted.header("etag"), json!({})).await;
        must(&api, &payee, &format!("/v1/contracts/{id}/accept"), offered.header("etag"), json!({})).await;
        let fund = |milestone: &str, amount: u32| {
            json!({ "allocations": [{ "milestone_id": milestone, "amount": amount }], "currency": "USD",
                    "payment_method": "pm_card_visa" })
        };
        must(&api, &client, &format!("/v1/contracts/{id}/fundings"), None, fund(&first, 10_000)).await;
        commands.push(Sent {
            path: format!("/v1/contracts/{id}/fundings"),
            key: format!("fund-{number}"),
            version: None,
            body: fund(&second, 20_000),
        });
        commands.push(Sent {
            path: format!("/v1/milestones/{first}/approve"),
            key: format!("approve-{number}"),
            // Planned, requested, funded.
            version: Some("\"3\"".to_owned()),
            body: json!({}),
        });
    }
    api.advance(&admin.token, "main", begin).await.unwrap();

    let mut in_flight = tokio::task::JoinSet::new();
    for (number, command) in commands.iter().cloned().enumerate() {
        let (api, token) = (api.clone(), client.token.clone());
        in_flight.spawn(async move { (number, send(&api, &token, &command).await) });
    }
    let mut acknowledged: BTreeMap<usize, Answer> = BTreeMap::new();
    let mut keep = |(number, answer): (usize, Option<Answer>)| {
        if let Some(answer) = answer.filter(|answer| answer.status.is_success()) {
            acknowledged.insert(number, answer);
        }
    };
    // Some have been answered, the others are under way.
    for _ in 0..commands.len() / 4 {
        keep(in_flight.join_next().await.unwrap().unwrap());
    }
    drop(server); // kill -9
    while let Some(ended) = in_flight.join_next().await {
        keep(ended.unwrap());
    }
    assert!(acknowledged.len() < commands.len(), "the server was killed too late to show anything");

    let _server = serve(&database, port, sandbox_port);
    until_ready(port).await;
    for (number, command) in commands.iter().enumerate() {
        let again = send(&api, &client.token, command).await.unwrap().success().unwrap();
        if let Some(first) = acknowledged.get(&number) {
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", command.key);
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", command.key);
        }
    }
    api.advance(&admin.token, "main", begin + chrono::TimeDelta::days(10)).await.unwrap();

    let events = api.events(&admin.token, 0).await.unwrap();
    for (expected, event) in (1_u64..).zip(&events) {
        assert_eq!(event.position, expected, "positions have no gap");
    }
    let count = |name: &str| events.iter().filter(|event| event.r#type == name).count();
    assert_eq!((count("escrow.released"), count("escrow.funded")), (CONTRACTS, 2 * CONTRACTS));
    let counted = recount(&events);
    assert!(counted.is_balanced());
    assert_eq!(nets_of(&counted), nets_shown(&api.trial_balance(&admin.token).await.unwrap()));

    // The story goes on: 90.00 from each contract are there to be withdrawn.
    let balances = api.get("/v1/balances/me", &payee.token).await.unwrap().success().unwrap();
    let available = 9000 * u64::try_from(CONTRACTS).unwrap();
    assert_eq!(balances.body["data"][0]["available"], json!(available));
    must(&api, &payee, "/v1/payouts", None, json!({ "amount": available, "currency": "USD" })).await;
    api.advance(&admin.token, "main", begin + chrono::TimeDelta::days(12)).await.unwrap();
    let payouts = api.get("/v1/payouts", &payee.token).await.unwrap().success().unwrap();
    assert_eq!(payouts.body["data"][0]["status"], "paid");
    store.shutdown().await;
}
