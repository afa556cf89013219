//! What a test does to the built-in payment provider: its clock, its faults, and what banks and customers answer there.
//! Everything else is done as one would with Stripe.
//!
//! # Invariants
//! - One place: whoever wants something of the built-in provider for a test, in this crate, asks here.

use chrono::SecondsFormat;
use domain::time::Timestamp;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where the built-in provider listens, and the key that it takes.
#[derive(Clone)]
pub struct SandboxControl {
    client: reqwest::Client,
    base_url: String,
    key: String,
}

/// How the built-in provider is getting on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SandboxStatus {
    /// When it has something to do next, by its own clock.
    pub next_due_at: Option<Timestamp>,
    /// Webhooks that were not taken yet and will be without anybody's doing: not those that are lost, or wait for the
    /// clock.
    pub webhooks_on_their_way: u64,
}

/// Why the built-in provider did not do what a test wanted.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It does not answer.
    #[error("the built-in provider does not answer")]
    Unreachable(#[from] reqwest::Error),
    /// It refuses.
    #[error("{message}")]
    Refused {
        /// Why, in its words.
        message: String,
        /// The field that is at fault, when it is one.
        param: Option<String>,
    },
}

#[derive(Deserialize)]
struct Account {
    id: String,
}

#[derive(Deserialize)]
struct Added {
    added: u64,
}

#[derive(Deserialize)]
struct Flushed {
    flushed: u64,
}

#[derive(Deserialize)]
struct Pruned {
    pruned: u64,
}

impl SandboxControl {
    /// The provider at `base_url`.
    pub fn new(base_url: impl Into<String>, key: impl Into<String>) -> Self {
        Self { client: reqwest::Client::new(), base_url: base_url.into(), key: key.into() }
    }

    /// The key that it takes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Opens a payee's account.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn open_account(&self, country: &str) -> Result<String, reqwest::Error> {
        let request = self.form("/v1/accounts", &[("type", "express"), ("country", country)]);
        let account: Account = request.send().await?.error_for_status()?.json().await?;
        Ok(account.id)
    }

    /// Has it do something by one of its own controls, such as `payouts/po_1/turn`.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn control(&self, what: &str, fields: &[(&str, String)]) -> Result<(), reqwest::Error> {
        let body = serde_urlencoded::to_string(fields).unwrap_or_default();
        let request = self
            .client
            .post(format!("{}/_sandbox/{what}", self.base_url))
            .bearer_auth(&self.key)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes a bank act: posts `fields` to `path` below `/_sandbox/`. The answer may be a refusal.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn order(&self, path: &str, fields: &[(&str, String)]) -> Result<reqwest::Response, reqwest::Error> {
        let request = self
            .client
            .post(format!("{}/_sandbox/{path}", self.base_url))
            .bearer_auth(&self.key)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(fields).unwrap_or_default());
        request.send().await
    }

    /// How it is getting on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<SandboxStatus, reqwest::Error> {
        let url = format!("{}/_sandbox/status", self.base_url);
        self.client.get(url).bearer_auth(&self.key).send().await?.error_for_status()?.json().await
    }

    /// Moves its clock, and has it do all that is due until then.
    ///
    /// # Errors
    /// When it does not answer, or its clock is further already.
    pub async fn advance(&self, to: Timestamp) -> Result<(), reqwest::Error> {
        let body = json!({ "now": to.to_rfc3339_opts(SecondsFormat::Millis, true) });
        self.post("clock").json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Plans faults: a list of rules as `POST /_sandbox/faults` takes them. Returns how many.
    ///
    /// # Errors
    /// [`ControlError`]: none was planned.
    pub async fn plan_faults(&self, rules: &Value) -> Result<u64, ControlError> {
        answer::<Added>(self.post("faults").json(rules)).await.map(|done| done.added)
    }

    /// Takes all planned faults away. What they have lost stays lost until it is flushed.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn clear_faults(&self) -> Result<(), ControlError> {
        let request = self.client.delete(format!("{}/_sandbox/faults", self.base_url)).bearer_auth(&self.key);
        answer::<Value>(request).await.map(|_| ())
    }

    /// Sends every webhook that was lost, held back or delayed. Returns how many.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn flush_webhooks(&self) -> Result<u64, ControlError> {
        answer::<Flushed>(self.post("webhooks/flush")).await.map(|done| done.flushed)
    }

    /// Forgets idempotency keys that are at least that old by its clock. Returns how many.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn prune_keys(&self, older_than_seconds: u32) -> Result<u64, ControlError> {
        let body = json!({ "older_than_seconds": older_than_seconds });
        answer::<Pruned>(self.post("keys/prune").json(&body)).await.map(|done| done.pruned)
    }

    /// The customer completes what he is asked for, or the bank answers a debit: well, or not, for the reason `code`.
    ///
    /// # Errors
    /// [`ControlError`]; refused when nobody is asked, or the code is none of a test card.
    pub async fn answer_payment(
        &self,
        payment_ref: &str,
        succeeds: bool,
        code: Option<&str>,
    ) -> Result<(), ControlError> {
        let outcome = if succeeds { "succeeded" } else { "failed" };
        let mut fields = vec![("outcome", outcome)];
        fields.extend(code.map(|code| ("code", code)));
        let path = format!("/_sandbox/payment_intents/{payment_ref}/authenticate");
        answer::<Value>(self.form(&path, &fields)).await.map(|_| ())
    }

    fn post(&self, what: &str) -> RequestBuilder {
        self.client.post(format!("{}/_sandbox/{what}", self.base_url)).bearer_auth(&self.key)
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = serde_urlencoded::to_string(fields).unwrap_or_default();
        self.client
            .post(format!("{}{path}", self.base_url))
            .bearer_auth(&self.key)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
    }
}

/// What it answers, or why it refuses.
async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ControlError> {
    let response = request.send().await?;
    if response.status().is_success() {
        return Ok(response.json().await?);
    }
    if response.status().is_server_error() {
        return Err(ControlError::Unreachable(response.error_for_status().err().ok_or_else(refused_without_words)?));
    }
    let body: Value = response.json().await?;
    let text = |name: &str| body["error"][name].as_str().map(str::to_owned);
    Err(ControlError::Refused { message: text("message").unwrap_or_default(), param: text("param") })
}

fn refused_without_words() -> ControlError {
    ControlError::Refused { message: "an error without words".to_owned(), param: None }
}
