//! An HTTP server that answers what the test says, in Stripe's place.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "every test binary compiles this module and uses a part of it; a test may fail loudly"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use adapters::stripe::{Secret, StripeConfig, StripeProvider};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const KEY: &str = "sk_test_1234567890";
pub const IDEMPOTENCY_KEY: &str = "main:fnd_1:collect_payment:1";

/// What the server does with the next request.
pub enum Answer {
    Json(u16, Value),
    Text(u16, &'static str),
    /// Takes the request and hangs up in the middle of the answer.
    HangUp,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub fields: BTreeMap<String, String>,
    pub headers: HeaderMap,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub fn provider_at(url: &str) -> StripeProvider {
    let config = StripeConfig { base_url: Some(url.to_owned()), secret_key: Secret::new(KEY) };
    StripeProvider::new(&config).unwrap()
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            seen: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub fn provider(&self) -> StripeProvider {
        provider_at(&self.url)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(server): State<Server>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap();
    pairs.extend(serde_urlencoded::from_bytes::<Vec<(String, String)>>(&body).unwrap());
    server.seen.lock().unwrap().push(Seen {
        method,
        path: uri.path().to_owned(),
        fields: pairs.into_iter().collect(),
        headers,
    });
    let next = server.answers.lock().unwrap().pop_front();
    match next {
        Some(Answer::Json(status, body)) => (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response(),
        Some(Answer::Text(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Answer::HangUp) => {
            let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("hung up")) });
            axum::body::Body::from_stream(broken).into_response()
        }
        None => (StatusCode::IM_A_TEAPOT, "a request that the test did not expect").into_response(),
    }
}

pub fn ok(body: Value) -> Answer {
    Answer::Json(200, body)
}

pub fn error(status: u16, error: Value) -> Answer {
    Answer::Json(status, json!({ "error": error }))
}

pub fn with(mut object: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

pub fn fields(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
