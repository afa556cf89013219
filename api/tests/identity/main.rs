//! Who comes in, over HTTP: accounts, tokens, second factors, other issuers, pages; and how attacks on them fail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod accounts;
mod api_keys;
mod attacks;
mod external;
mod factors;
mod guessing;
mod pages;
mod personal;
mod personal_data;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use api::cli::story::Answer;
use api::identity::IdentityConfig;
use api::identity::clock::IdentityClock;
use serde_json::{Value, json};
use support::World;

/// A password that nobody tries first.
const PASSWORD: &str = "seven green apples";

/// A server that people sign in to.
struct Site {
    world: World,
    clock: IdentityClock,
    http: reqwest::Client,
}

/// Somebody with an account, signed in.
struct User {
    email: String,
    party_id: String,
    access: String,
    refresh: String,
    device: String,
}

impl Site {
    async fn new() -> Self {
        Self::with(IdentityConfig::default()).await
    }

    async fn with(config: IdentityConfig) -> Self {
        let clock = config.clock.clone();
        Self { world: World::with_identity(config).await, clock, http: reqwest::Client::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.world.server.base_url())
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        read(self.http.post(self.url(path)).json(&body)).await
    }

    async fn post_as(&self, token: &str, path: &str, body: Value) -> Answer {
        read(self.http.post(self.url(path)).bearer_auth(token).json(&body)).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        read(self.http.get(self.url(path)).bearer_auth(token)).await
    }

    /// The mails to an address, newest first, once there are `count`.
    async fn mails(&self, to: &str, count: usize) -> Vec<(String, String)> {
        for _ in 0..100 {
            let (mailbox, _) = self.world.server.app().identity.mailbox().unwrap();
            let mails: Vec<_> = mailbox.newest(100).await.unwrap().into_iter().map(|kept| kept.mail).collect();
            let found: Vec<_> =
                mails.into_iter().filter(|mail| mail.to == to).map(|mail| (mail.subject, mail.body)).collect();
            if found.len() >= count {
                assert_eq!(found.len(), count, "{found:?}");
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {count} mails to {to}");
    }

    async fn register(&self, email: &str, password: &str, role: &str) -> Answer {
        self.post("/v1/auth/register", json!({ "email": email, "password": password, "role": role })).await
    }

    async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/v1/auth/login", json!({ "email": email, "password": password })).await
    }

    /// Registers, confirms and signs in.
    async fn user(&self, email: &str, role: &str) -> User {
        self.register(email, PASSWORD, role).await.success().unwrap();
        let mails = self.mails(email, 1).await;
        let confirmed = self.post("/v1/auth/verify-email", json!({ "token": token_in(&mails[0].1) })).await;
        let party_id = confirmed.success().unwrap().text("/party_id").unwrap();
        self.signed_in(email, &party_id).await
    }

    async fn signed_in(&self, email: &str, party_id: &str) -> User {
        let answer = self.login(email, PASSWORD).await.success().unwrap();
        User {
            email: email.to_owned(),
            party_id: party_id.to_owned(),
            access: answer.text("/access_token").unwrap(),
            refresh: answer.text("/refresh_token").unwrap(),
            device: answer.text("/device_token").unwrap(),
        }
    }

    /// Asks who the bearer is.
    async fn me(&self, token: &str) -> Answer {
        self.get_as(token, "/v1/users/me").await
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: response.json().await.unwrap() }
}

/// The token of the link in a mail.
fn token_in(body: &str) -> String {
    let rest = body.split("token=").nth(1).expect("a link");
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Status and code of a refusal.
fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default())
}
