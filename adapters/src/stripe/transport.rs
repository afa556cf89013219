//! How requests reach Stripe and answers come back, with the headers that tell what an answer proves.
//!
//! # Invariants
//! - One call is one attempt, over TLS unless the base URL says `http://`.
//! - Every request pins the version of Stripe's API that the types are made for.
//! - What an answer says of itself (`Retry-After`, `Stripe-Should-Retry`, `Request-Id`) is kept with its status.
//! - A call ends within its time: without a whole answer by then, nothing is known of its outcome.
//!
//! # What is deliberately absent
//! Trying again, and telemetry to Stripe. Proxies of the environment: a tenant's key must not go where a variable says.

mod answer;

use std::fmt;
use std::time::Duration;

use ::stripe::{ApiErrors, RequestStrategy};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use stripe_client_core::{CustomizedStripeRequest, StripeClient, StripeClientErr, StripeMethod, VERSION};

pub use answer::Answered;

/// Largest answer that is read: a page of 100 objects has a few hundred kB.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// How long a connection waits for its next call: less than Stripe keeps it.
const IDLE: Duration = Duration::from_secs(15);

const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call that brought no object.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe answered with its error object, and this status.
    #[error("status {1}")]
    Stripe(Box<ApiErrors>, u16, Answered),
    /// Somebody answered, and what cannot be read.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String, Answered),
    /// There was no whole answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// There was no whole answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It was not sent.
    #[error("the request cannot be sent: {0}")]
    NotSent(&'static str),
}

impl StripeClientErr for StripeError {
    fn deserialize_err(msg: impl fmt::Display) -> Self {
        Self::Unreadable(msg.to_string(), Answered::default())
    }
}

/// A client of Stripe's API. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// With a slash at its end.
    base_url: String,
    authorization: HeaderValue,
    timeout: Duration,
}

/// Without the key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that connects when the first call is made. `base_url` ends with a slash.
    ///
    /// # Errors
    /// In words, without the key: when URL or key cannot be used in a request, or the machine has no root certificates.
    pub fn new(base_url: &str, secret_key: &str, timeout: Duration) -> Result<Self, &'static str> {
        if base_url.parse::<hyper::Uri>().is_err() {
            return Err("the provider's URL or key");
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {secret_key}")).map_err(|_| "the provider's URL or key")?;
        authorization.set_sensitive(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|_| "no root certificates on this machine; install ca-certificates")?
            .https_or_http()
            .enable_http1()
            .build();
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { http, base_url: base_url.to_owned(), authorization, timeout })
    }

    fn request(&self, asked: CustomizedStripeRequest) -> Result<(Request<Full<Bytes>>, Duration), StripeError> {
        let (request, config) = asked.into_pieces();
        let query = request.query.map_or_else(String::new, |query| format!("?{query}"));
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let mut built = Request::builder()
            .method(method)
            .uri(format!("{}v1{}{query}", self.base_url, request.path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, HeaderValue::from_static(concat!("Earnest/", env!("CARGO_PKG_VERSION"))))
            .header(STRIPE_VERSION, VERSION.as_str());
        if let Some(account) = config.account_id {
            built = built.header(STRIPE_ACCOUNT, account.as_str());
        }
        match config.request_strategy {
            None | Some(RequestStrategy::Once) => {}
            Some(RequestStrategy::Idempotent(key)) => built = built.header(IDEMPOTENCY_KEY, key.as_str()),
            Some(_) => return Err(StripeError::NotSent("trying again is the outbox worker's")),
        }
        if request.body.is_some() {
            built = built.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let body = Full::new(Bytes::from(request.body.unwrap_or_default()));
        let built = built.body(body).map_err(|_| StripeError::NotSent("path, account or key"))?;
        Ok((built, config.timeout.unwrap_or(self.timeout)))
    }

    async fn attempt(&self, request: Request<Full<Bytes>>) -> Result<(Answered, Bytes), StripeError> {
        let response = self.http.request(request).await.map_err(|error| StripeError::NoAnswer(reason(&error)))?;
        let answered = Answered::of(response.status(), response.headers());
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| StripeError::NoAnswer(reason(error.as_ref())))?;
        Ok((answered, body.to_bytes()))
    }
}

/// An error and what is behind it; hyper's outermost says only "client error".
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl StripeClient for Client {
    type Err = StripeError;

    async fn execute(&self, asked: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let (request, timeout) = self.request(asked)?;
        let attempt = tokio::time::timeout(timeout, self.attempt(request)).await;
        let (answered, body) = attempt.map_err(|_| StripeError::Timeout)??;
        if answered.status / 100 == 2 {
            return Ok(body);
        }
        tracing::debug!(%answered, "the provider answered with an error");
        let error = std::str::from_utf8(&body).ok().and_then(|text| miniserde::json::from_str(text).ok());
        match error {
            Some(stripe_shared::Error { error }) => Err(StripeError::Stripe(error, answered.status, answered)),
            None => Err(StripeError::Unreadable(format!("status {}", answered.status), answered)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::failure;
    use domain::ports::provider::ProviderError;
    use stripe_client_core::RequestBuilder;

    /// I8: what takes too long may have happened.
    #[tokio::test]
    async fn an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::new(&url, "sk_test_1", Duration::from_millis(50)).unwrap();
        // It accepts, and says nothing.
        let silent = async {
            let _connection = listener.accept().await.unwrap();
            std::future::pending::<()>().await;
        };
        let request = RequestBuilder::new(StripeMethod::Post, "/payouts").customize::<stripe_shared::Payout>();
        let error = tokio::select! {
            told = request.send(&client) => told.unwrap_err(),
            () = silent => return,
        };
        assert!(matches!(error, StripeError::Timeout), "{error}");
        assert_eq!(failure::of(&error), ProviderError::Unknown("no answer in time".to_owned()));
    }
}
