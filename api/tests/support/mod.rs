//! A server on a database of its own, and everybody who takes part: what tests over HTTP stand on.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "every test binary compiles this module and uses a part of it; a test may fail loudly"
)]

mod books;
mod dump;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use adapters::embedded::testing::{TestCluster, TestDatabase};
use adapters::postgres::migrate;
use adapters::stripe::Secret;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::{Answer, ApiClient, nets_of, nets_shown, recount};
use api::edge::EdgeConfig;
use api::engine::Request;
use api::identity::IdentityConfig;
use api::server::{ProviderConfig, Server, ServerConfig};
use chrono::{DateTime, Utc};
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::command::Command;
use domain::id::RefundId;
use domain::intent::Intent;
use domain::refund::RefundCommand;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

#[allow(unused_imports, reason = "not every test binary asks the provider")]
pub use books::assert_books_equal_provider;

const BEGIN: &str = "2026-12-01T10:00:00Z";

/// A server, its provider and its callers.
pub struct World {
    pub database: TestDatabase,
    pub server: Server,
    pub api: ApiClient,
    pub client: MadeToken,
    pub payee: MadeToken,
    /// A client who has no part in any contract.
    pub outsider: MadeToken,
    pub admin: MadeToken,
    keys: AtomicU64,
}

/// A contract of one milestone of 1,000.00 USD.
pub struct Contract {
    pub id: String,
    pub milestone: String,
}

impl Contract {
    /// The path of something about the contract, such as `/offer`.
    pub fn at(&self, rest: &str) -> String {
        format!("/v1/contracts/{}{rest}", self.id)
    }

    /// The path of something about its first milestone, such as `/submit`.
    pub fn work(&self, rest: &str) -> String {
        format!("/v1/milestones/{}{rest}", self.milestone)
    }
}

impl World {
    /// The payee has an account at the provider.
    pub async fn new() -> Self {
        let world = Self::without_account().await;
        let account = world.server.sandbox_account("US").await.unwrap();
        let path = format!("/v1/parties/{}/payout-account", world.payee.party_id);
        world.post(&world.payee, &path, None, json!({ "psp_account": account })).await.success().unwrap();
        world
    }

    /// Nobody has an account at the provider.
    pub async fn without_account() -> Self {
        Self::with_identity(IdentityConfig::default()).await
    }

    /// The same, with people coming in as configured, as often as they want.
    pub async fn with_identity(identity: IdentityConfig) -> Self {
        Self::with_edge(identity, EdgeConfig::unlimited()).await
    }

    /// The same, with requests bounded as configured.
    pub async fn with_edge(identity: IdentityConfig, edge: EdgeConfig) -> Self {
        let database = TestCluster::shared()
            .unwrap()
            .fresh_database("tenant", |database| async move {
                migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
            })
            .await
            .unwrap();
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ServerConfig {
            listen: local,
            database: database.app_options.clone(),
            tenant: "main".parse().unwrap(),
            test_clock: Some(Self::begin()),
            provider: ProviderConfig::Sandbox { listen: local, database: Box::new(database.owner_options.clone()) },
            allow_owner: false,
        };
        let server = Server::start_at_edge(config, identity, edge).await.unwrap();
        let engine = &server.app().engine;
        let client = make_token(engine, Role::Client, None, None, None).await.unwrap();
        let payee = make_token(engine, Role::Payee, None, None, None).await.unwrap();
        let outsider = make_token(engine, Role::Client, None, None, None).await.unwrap();
        let admin = make_token(engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
        let api = ApiClient::new(server.base_url());
        Self { database, server, api, client, payee, outsider, admin, keys: AtomicU64::new(0) }
    }

    /// Another server on the same database and provider.
    pub async fn second_server(&self) -> Server {
        let config = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: self.database.app_options.clone(),
            tenant: "main".parse().unwrap(),
            test_clock: None,
            provider: ProviderConfig::Remote {
                base_url: self.server.sandbox_url(),
                secret_key: Secret::new(self.server.sandbox_key().unwrap()),
                webhook_secrets: Vec::new(),
                connect_webhook_secrets: Vec::new(),
                onboarding_return_url: None,
            },
            allow_owner: false,
        };
        Server::start_at_edge(config, IdentityConfig::default(), EdgeConfig::unlimited()).await.unwrap()
    }

    /// A command under a new key.
    pub async fn post(&self, who: &MadeToken, path: &str, version: Option<&str>, body: Value) -> Answer {
        let key = format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        self.post_with_key(who, path, &key, version, body).await
    }

    pub async fn post_with_key(
        &self,
        who: &MadeToken,
        path: &str,
        key: &str,
        version: Option<&str>,
        body: Value,
    ) -> Answer {
        let mut headers = vec![("Idempotency-Key", key)];
        headers.extend(version.map(|version| ("If-Match", version)));
        self.api.post(path, &who.token, &headers, &body).await.unwrap()
    }

    pub async fn get(&self, who: &MadeToken, path: &str) -> Answer {
        self.api.get(path, &who.token).await.unwrap()
    }

    /// A command on what the first three parts of the path name, under its version of this moment.
    pub async fn act(&self, who: &MadeToken, path: impl Into<String>, body: Value) -> Answer {
        let path = path.into();
        let version = self.version(who, &path).await;
        self.post(who, &path, Some(&version), body).await
    }

    /// The version of what the first three parts of the path name, such as `/v1/contracts/ctr_…`, as everything that was
    /// written makes it. What the caller cannot see has the version 1.
    pub async fn version(&self, who: &MadeToken, path: &str) -> String {
        let subject: Vec<_> = path.split('/').take(4).collect();
        let position = self.head().await.to_string();
        let shown = self.raw(|http, base| {
            let read = http.get(format!("{base}{}", subject.join("/"))).bearer_auth(&who.token);
            read.header("Min-Log-Position", position)
        });
        shown.await.header("etag").unwrap_or("\"1\"").to_owned()
    }

    /// A token for the same party in another role.
    pub async fn other_role(&self, who: &MadeToken, role: Role) -> MadeToken {
        make_token(&self.server.app().engine, role, Some(who.party_id), None, None).await.unwrap()
    }

    /// What was proposed is approved by another member of staff: the request afterwards.
    pub async fn approved_by_another(&self, proposed: Answer) -> Answer {
        assert_eq!((proposed.status.as_u16(), &proposed.body["status"]), (202, &json!("pending")), "{}", proposed.body);
        let role = Role::Staff(StaffRole::Moderator);
        let other = make_token(&self.server.app().engine, role, None, None, None).await.unwrap();
        let path = format!("{}/approve", proposed.header("location").unwrap());
        let approved = self.post(&other, &path, None, json!({})).await.success().unwrap();
        assert_eq!(approved.body["status"], "executed", "{}", approved.body);
        approved
    }

    /// A request that the ordinary client would not make.
    pub async fn raw(&self, build: impl FnOnce(reqwest::Client, String) -> RequestBuilder) -> Answer {
        let response = build(reqwest::Client::new(), self.server.base_url()).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.json().await.unwrap() }
    }

    /// What the provider is to do wrong.
    pub async fn sandbox(&self, faults: Value) {
        let url = format!("{}/_sandbox/faults", self.server.sandbox_url().unwrap());
        let key = self.server.sandbox_key().unwrap();
        let answer = reqwest::Client::new().post(url).bearer_auth(key).json(&faults).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// The instant that the clock starts with.
    pub fn begin() -> DateTime<Utc> {
        BEGIN.parse().unwrap()
    }

    /// Moves the clock there, and waits until everything that follows has happened.
    pub async fn at(&self, instant: DateTime<Utc>) {
        self.api.advance(&self.admin.token, "main", instant).await.unwrap();
    }

    /// Leaves the clock where it is, and waits until everything that follows has happened.
    pub async fn settled(&self) {
        self.at(self.server.app().engine.now().await.unwrap()).await;
    }

    pub async fn drafted(&self) -> Contract {
        self.drafted_with(json!([{ "amount": 100_000 }])).await
    }

    /// A draft with these milestones; the contract's `milestone` is the first.
    pub async fn drafted_with(&self, milestones: Value) -> Contract {
        let body = json!({ "payee_id": self.payee.party_id, "currency": "USD", "milestones": milestones });
        let drafted = self.post(&self.client, "/v1/contracts", None, body).await.success().unwrap();
        Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() }
    }

    pub async fn offered(&self) -> Contract {
        let contract = self.drafted().await;
        let path = format!("/v1/contracts/{}/offer", contract.id);
        self.post(&self.client, &path, Some("\"1\""), json!({})).await.success().unwrap();
        contract
    }

    pub async fn accepted(&self) -> Contract {
        self.accept(self.offered().await).await
    }

    /// Accepted, with these milestones.
    pub async fn accepted_with(&self, milestones: Value) -> Contract {
        let contract = self.drafted_with(milestones).await;
        self.act(&self.client, &contract.at("/offer"), json!({})).await.success().unwrap();
        self.accept(contract).await
    }

    async fn accept(&self, contract: Contract) -> Contract {
        let path = format!("/v1/contracts/{}/accept", contract.id);
        self.post(&self.payee, &path, Some("\"2\""), json!({})).await.success().unwrap();
        contract
    }

    pub async fn fund(&self, contract: &Contract, method: &str) -> Answer {
        let body = funding_of(contract, 100_000, method);
        self.post(&self.client, &format!("/v1/contracts/{}/fundings", contract.id), None, body).await
    }

    pub async fn funded(&self) -> Contract {
        let contract = self.accepted().await;
        self.fund(&contract, "pm_card_visa").await.success().unwrap();
        self.settled().await;
        contract
    }

    pub async fn approve(&self, contract: &Contract, version: &str, body: Value) -> Answer {
        let path = format!("/v1/milestones/{}/approve", contract.milestone);
        self.post(&self.client, &path, Some(version), body).await
    }

    pub async fn released(&self) -> Contract {
        let contract = self.funded().await;
        self.approve(&contract, "\"3\"", json!({})).await.success().unwrap();
        self.at(Self::begin()).await;
        contract
    }

    pub async fn count(&self, event_type: &str) -> usize {
        let events = self.api.events(&self.admin.token, 0).await.unwrap();
        events.iter().filter(|event| event.r#type == event_type).count()
    }

    pub async fn head(&self) -> u64 {
        self.api.events(&self.admin.token, 0).await.unwrap().last().map_or(0, |event| event.position)
    }

    /// The trial balance that the API shows, checked against a recount of the log.
    pub async fn books(&self) -> BTreeMap<String, i128> {
        let shown = nets_shown(&self.api.trial_balance(&self.admin.token).await.unwrap());
        let events = self.api.events(&self.admin.token, 0).await.unwrap();
        assert_eq!(nets_of(&recount(&events)), shown);
        shown.into_iter().map(|((account, _), net)| (account, net)).collect()
    }

    /// Asks for something that is refused, and sees that nothing was written.
    pub async fn refused(&self, status: u16, code: &str, answer: impl Future<Output = Answer>) -> Answer {
        let before = self.head().await;
        let answer = answer.await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.header("request-id").is_some());
        assert_eq!(answer.header("request-id"), answer.body["request_id"].as_str());
        assert_eq!(answer.body["type"], json!(format!("/problems/{}", code.replace('_', "-"))));
        // The workers may have gone on meanwhile with what was accepted earlier; nobody else has.
        let written = self.api.events(&self.admin.token, before).await.unwrap();
        assert!(written.iter().all(|event| event.actor.r#type == "system"), "a refusal writes nothing: {written:?}");
        answer
    }
}

/// A request to pay for the contract's milestone.
pub fn funding_of(contract: &Contract, amount: i64, method: &str) -> Value {
    let mut body = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": amount }],
        "currency": "USD", "payment_method": method,
    });
    if method.starts_with("pm_usBankAccount") {
        body["mandate"] = mandate();
    }
    body
}

/// A client's consent to a bank debit.
pub fn mandate() -> Value {
    json!({ "ip_address": "203.0.113.7", "user_agent": "Testing/1.0" })
}

/// Nets by account, debits positive.
pub fn books(lines: &[(&str, i128)]) -> BTreeMap<String, i128> {
    lines.iter().map(|(account, net)| ((*account).to_owned(), *net)).collect()
}

/// The provider tells something about a refund.
async fn told(world: &World, refund: &str, fact: RefundCommand) {
    let id: RefundId = refund.parse().unwrap();
    let (intent, actor) = (Intent::Fact(Command::Refund(id, fact)), Actor::System(SystemPart::Psp));
    let request = Request::internal(intent, actor, uuid::Uuid::now_v7());
    world.server.app().engine.perform(request).await.unwrap();
}

/// The bank gives a refund back, nine days later or at once: the wallet has it. That it had arrived is told although the
/// provider may still wait for money to send it; in the end it has nothing of it gone, either.
pub async fn comes_back(world: &World, refund: &str) {
    world.settled().await;
    let refund_ref = world.refund_at_provider(refund).await;
    let turn = format!("refunds/{refund_ref}/turn");
    told(world, refund, RefundCommand::RecordSubmitted { refund_ref: refund_ref.clone() }).await;
    told(world, refund, RefundCommand::RecordSucceeded { refund_ref, balance_transaction_ref: None, taken: None })
        .await;
    told(world, refund, RefundCommand::RecordFailed { code: "lost_or_stolen_card".to_owned(), came_back: None }).await;
    let failed = [("status", "failed".to_owned()), ("failure_reason", "lost_or_stolen_card".to_owned())];
    world.server.app().sandbox.as_ref().unwrap().control(&turn, &failed).await.unwrap();
}
