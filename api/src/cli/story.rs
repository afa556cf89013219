//! A client of the API that can tell what happened: requests, events, journal entries.

use std::collections::BTreeMap;

use domain::time::Timestamp;
use ledger::{JournalEntry, TrialBalance};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::operator::Failure;
use crate::routes::reports::TrialBalanceView;
use crate::view::EventView;

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `null` when it has none.
    pub body: Value,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A member of the body as text.
    ///
    /// # Errors
    /// When it is not there.
    pub fn text(&self, pointer: &str) -> Result<String, Failure> {
        let value = self.body.pointer(pointer).and_then(Value::as_str);
        Ok(value.ok_or_else(|| format!("the answer has no {pointer}: {}", self.body))?.to_owned())
    }

    /// The answer, if it is a success.
    ///
    /// # Errors
    /// The problem, if it is one.
    pub fn success(self) -> Result<Self, Failure> {
        if self.status.is_success() { Ok(self) } else { Err(format!("{}: {}", self.status, self.body).into()) }
    }
}

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base_url: String,
}

impl ApiClient {
    /// A client of the server at `base_url`.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self { http: reqwest::Client::new(), base_url: base_url.into() }
    }

    /// Reads.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, path: &str, token: &str) -> Result<Answer, Failure> {
        let request = self.http.get(format!("{}{path}", self.base_url)).bearer_auth(token);
        read(request.send().await?).await
    }

    /// Commands, with these headers.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn post(
        &self,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.post(format!("{}{path}", self.base_url)).bearer_auth(token).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send().await?).await
    }

    /// Every event after a position.
    ///
    /// # Errors
    /// When the server does not answer, or not with events.
    pub async fn events(&self, token: &str, mut after: u64) -> Result<Vec<EventView>, Failure> {
        let mut all = Vec::new();
        loop {
            let page = self.get(&format!("/v1/events?limit=1000&after={after}"), token).await?.success()?;
            let events: Vec<EventView> = serde_json::from_value(page.body["data"].clone())?;
            let Some(last) = events.last() else { return Ok(all) };
            after = last.position;
            all.extend(events);
        }
    }

    /// The trial balance that the server shows.
    ///
    /// # Errors
    /// When the server does not answer, or not with one.
    pub async fn trial_balance(&self, token: &str) -> Result<TrialBalanceView, Failure> {
        let answer = self.get("/v1/reports/trial-balance", token).await?.success()?;
        Ok(serde_json::from_value(answer.body)?)
    }

    /// Moves the test clock to an instant and waits until nothing is left to do. To the present instant: only waits.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn advance(&self, token: &str, tenant: &str, to: Timestamp) -> Result<Answer, Failure> {
        let path = format!("/v1/test_clocks/clk_{tenant}/advance");
        self.post(&path, token, &[], &json!({ "to": to })).await?.success()
    }
}

async fn read(response: reqwest::Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    Ok(Answer { status, headers, body })
}

/// The books, counted again from the events alone.
pub fn recount(events: &[EventView]) -> TrialBalance {
    let mut balance = TrialBalance::new();
    for entry in events.iter().filter_map(|event| event.journal.as_ref()) {
        balance.add(entry);
    }
    balance
}

/// The nets that are not zero, by account and currency: what two trial balances are compared by.
pub fn nets_of(balance: &TrialBalance) -> BTreeMap<(String, String), i128> {
    balance
        .iter()
        .filter(|(_, _, totals)| totals.net() != 0)
        .map(|(account, currency, totals)| ((account.code().to_owned(), currency.code().to_owned()), totals.net()))
        .collect()
}

/// The same of a trial balance that the API shows.
pub fn nets_shown(view: &TrialBalanceView) -> BTreeMap<(String, String), i128> {
    let lines = view.accounts.iter().filter(|line| line.net != 0);
    lines.map(|line| ((line.account.clone(), line.currency.clone()), line.net)).collect()
}

/// An entry as an accountant writes it, indented.
pub fn entry_text(entry: &JournalEntry) -> String {
    let text = ledger::render_entry(entry);
    let lines: Vec<_> = text.lines().flat_map(|line| ["        ", line, "\n"]).collect();
    lines.concat()
}
