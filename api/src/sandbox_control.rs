//! Moving the clock of the built-in payment provider. Nothing else of it is touched except as one would touch Stripe.

use chrono::SecondsFormat;
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

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
    /// Webhooks that were not taken yet.
    pub undelivered_webhooks: u64,
}

#[derive(Deserialize)]
struct Account {
    id: String,
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
        let body = serde_urlencoded::to_string([("type", "express"), ("country", country)]).unwrap_or_default();
        let request = self
            .client
            .post(format!("{}/v1/accounts", self.base_url))
            .bearer_auth(&self.key)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let account: Account = request.send().await?.error_for_status()?.json().await?;
        Ok(account.id)
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
        let url = format!("{}/_sandbox/clock", self.base_url);
        let body = json!({ "now": to.to_rfc3339_opts(SecondsFormat::Millis, true) });
        self.client.post(url).bearer_auth(&self.key).json(&body).send().await?.error_for_status()?;
        Ok(())
    }
}
