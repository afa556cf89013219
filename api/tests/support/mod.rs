//! A server on a database of its own, and everybody who takes part: what tests over HTTP stand on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use adapters::embedded::testing::TestCluster;
use adapters::postgres::migrate;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::{Answer, ApiClient};
use api::server::{ProviderConfig, Server, ServerConfig};
use chrono::{DateTime, Utc};
use domain::actor::StaffRole;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const BEGIN: &str = "2026-12-01T10:00:00Z";

/// A server, its provider and its callers. The payee has no payout account until [`World::linked`].
pub struct World {
    pub server: Server,
    pub api: ApiClient,
    pub client: MadeToken,
    pub payee: MadeToken,
    pub admin: MadeToken,
    keys: AtomicU64,
}

/// A contract of one milestone of 1,000.00 USD.
pub struct Contract {
    pub id: String,
    pub milestone: String,
}

impl World {
    pub async fn new() -> Self {
        let tenant: adapters::postgres::SchemaName = "main".parse().unwrap();
        let database = TestCluster::shared()
            .unwrap()
            .fresh_database("tenant", |database| async move {
                migrate::migrate(&database.owner_options, &"main".parse().unwrap(), "earnest_app").await
            })
            .await
            .unwrap();
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(ServerConfig {
            listen: local,
            database: database.app_options.clone(),
            tenant,
            test_clock: Some(BEGIN.parse().unwrap()),
            provider: ProviderConfig::Sandbox { listen: local, database: Box::new(database.owner_options.clone()) },
            allow_owner: false,
        })
        .await
        .unwrap();
        let engine = &server.app().engine;
        let client = make_token(engine, Role::Client, None, None, None).await.unwrap();
        let payee = make_token(engine, Role::Payee, None, None, None).await.unwrap();
        let admin = make_token(engine, Role::Staff(StaffRole::Admin), None, None, None).await.unwrap();
        let api = ApiClient::new(server.base_url());
        Self { server, api, client, payee, admin, keys: AtomicU64::new(0) }
    }

    /// The payee links an account at the provider.
    pub async fn linked(&self) {
        let account = self.server.sandbox_account("US").await.unwrap();
        let path = format!("/v1/parties/{}/payout-account", self.payee.party_id);
        self.post(&self.payee, &path, None, json!({ "psp_account": account })).await.success().unwrap();
    }

    /// A command under a new key.
    pub async fn post(&self, who: &MadeToken, path: &str, version: Option<&str>, body: Value) -> Answer {
        let key = format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        let mut headers = vec![("Idempotency-Key", key.as_str())];
        headers.extend(version.map(|version| ("If-Match", version)));
        self.api.post(path, &who.token, &headers, &body).await.unwrap()
    }

    pub async fn get(&self, who: &MadeToken, path: &str) -> Answer {
        self.api.get(path, &who.token).await.unwrap()
    }

    /// A request that the ordinary client would not make.
    pub async fn raw(&self, build: impl FnOnce(reqwest::Client, String) -> RequestBuilder) -> Answer {
        let response = build(reqwest::Client::new(), self.server.base_url()).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.json().await.unwrap() }
    }

    pub async fn settle(&self) {
        let begin: DateTime<Utc> = BEGIN.parse().unwrap();
        self.api.advance(&self.admin.token, "main", begin).await.unwrap();
    }

    pub async fn drafted(&self) -> Contract {
        let body = json!({ "payee_id": self.payee.party_id, "currency": "USD", "milestones": [{ "amount": 100_000 }] });
        let drafted = self.post(&self.client, "/v1/contracts", None, body).await.success().unwrap();
        Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() }
    }

    pub async fn funded(&self) -> Contract {
        self.linked().await;
        let contract = self.drafted().await;
        let path = |step: &str| format!("/v1/contracts/{}/{step}", contract.id);
        self.post(&self.client, &path("offer"), Some("\"1\""), json!({})).await.success().unwrap();
        self.post(&self.payee, &path("accept"), Some("\"2\""), json!({})).await.success().unwrap();
        let body = json!({
            "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
            "currency": "USD", "payment_method": "pm_card_visa",
        });
        self.post(&self.client, &path("fundings"), None, body).await.success().unwrap();
        self.settle().await;
        contract
    }

    pub async fn head(&self) -> u64 {
        self.api.events(&self.admin.token, 0).await.unwrap().last().map_or(0, |event| event.position)
    }

    /// Asks for something that is refused, and sees that nothing was written.
    pub async fn refused(&self, status: u16, code: &str, answer: impl Future<Output = Answer>) -> Answer {
        let before = self.head().await;
        let answer = answer.await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.header("request-id").is_some());
        assert_eq!(answer.header("request-id"), answer.body["request_id"].as_str());
        assert_eq!(self.head().await, before, "a refusal writes nothing");
        answer
    }
}
