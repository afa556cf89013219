//! `earnest-bench --inbox`: webhooks over HTTP, verified and on disk before they are answered; and how a backlog drains.
//!
//! # Invariants
//! - Every webhook is distinct, signed, and of the size that Stripe's are. The server is a whole one, with its workers
//!   running; so is the provider (the sandbox, in the same process), which is asked about every notice.
//! - The notices are about payments that are not ours: what is measured is the inbox, and not what facts set off.
//!
//! # What is deliberately absent
//! The cost of signing, which is the provider's: bodies are made and signed beforehand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::postgres::inbox::{Filing, Inbox};
use adapters::postgres::{SchemaName, tenant_pool};
use adapters::stripe::{Secret, webhook};
use api::sandbox::{self, Sandbox, SandboxConfig};
use api::server::{ProviderConfig, Server, ServerConfig};
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::BenchError;
use crate::callers;
use crate::database::{Database, Tenant};
use crate::latency::{Latencies, per_second};

const KEY: &str = "sk_test_bench";
const SECRET: &str = "whsec_bench";

/// Connections that deliver at the same time.
const SENDERS: usize = 64;

/// Payments that the notices are about.
const PAYMENTS: usize = 500;

/// Length of a body, about: Stripe's event of a payment has 2.5 to 4 kB.
const BODY: usize = 3_000;

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// Webhooks answered per second.
    pub per_second: u64,
    /// Half were answered within, µs.
    pub p50: u64,
    /// 99 of 100 were answered within, µs.
    pub p99: u64,
    /// Notices of a backlog worked on per second.
    pub drained_per_second: u64,
    /// The most memory that the process had while the backlog drained, with provider and all, kB.
    pub peak_kb: u64,
}

/// Measures both.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(database: &Database, notices: usize, backlog: usize) -> Result<Measured, BenchError> {
    let tenant = database.tenant().await?;
    let mut config = SandboxConfig::new(local(), tenant.owner.clone(), KEY);
    config.schema = format!("{}_sandbox", tenant.schema);
    let provider = sandbox::start(config).await.map_err(|error| BenchError::Workload(error.to_string()))?;
    let payments = Arc::new(payments(&provider).await?);

    eprintln!("filling a backlog of {backlog}");
    fill(&tenant, backlog, &payments).await?;
    eprintln!("draining it");
    tenant.checkpoint().await?;
    reset_peak();
    let started = Instant::now();
    let server = serve(&tenant, &provider).await?;
    drained(&server).await?;
    let drained_per_second = per_second(backlog, started.elapsed());
    let peak_kb = peak_kb();

    let requests: Vec<Vec<u8>> =
        (0..notices).map(|number| request(&body(backlog + number, &payments))).collect::<Result<_, _>>()?;
    let address: SocketAddr = server
        .base_url()
        .trim_start_matches("http://")
        .parse()
        .map_err(|_| BenchError::Workload("the server's address".to_owned()))?;
    tenant.checkpoint().await?;
    eprintln!("delivering {notices} webhooks");
    let started = Instant::now();
    let mut latencies = deliver(address, requests).await?;
    let per_second = per_second(notices, started.elapsed());
    drained(&server).await?;
    server.shutdown().await;
    provider.shutdown().await;
    let (p50, p99) = (latencies.per_mille(500), latencies.per_mille(990));
    Ok(Measured { per_second, p50, p99, drained_per_second, peak_kb })
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn serve(tenant: &Tenant, provider: &Sandbox) -> Result<Server, BenchError> {
    let schema: SchemaName = tenant.schema.clone();
    let config = ServerConfig {
        listen: local(),
        database: tenant.app.clone(),
        tenant: schema,
        test_clock: None,
        provider: ProviderConfig::Remote {
            base_url: Some(provider.base_url().trim_end_matches('/').to_owned()),
            secret_key: Secret::new(KEY),
            // As while a secret is being replaced: the one that fits is the second.
            webhook_secrets: vec![Secret::new("whsec_next"), Secret::new(SECRET)],
            connect_webhook_secrets: Vec::new(),
            onboarding_return_url: None,
        },
        allow_owner: false,
    };
    Server::start(config).await.map_err(|error| BenchError::Workload(error.to_string()))
}

/// Payments at the provider that carry no id of ours.
async fn payments(provider: &Sandbox) -> Result<Vec<String>, BenchError> {
    let form = "amount=1000&currency=usd&payment_method=pm_card_visa&confirm=true\
                &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never";
    let head = format!(
        "POST /v1/payment_intents HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut connection = BufReader::new(TcpStream::connect(provider.local_addr()).await?);
    let mut ids = Vec::new();
    for _ in 0..PAYMENTS {
        let answer = exchange(&mut connection, head.as_bytes()).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let id = answer["id"].as_str().ok_or_else(|| BenchError::Workload(format!("no payment: {answer}")))?;
        ids.push(id.to_owned());
    }
    Ok(ids)
}

fn body(number: usize, payments: &[String]) -> Vec<u8> {
    let payment = payments.get(number % payments.len()).map_or("", String::as_str);
    json!({
        "id": format!("evt_{number:012}"), "object": "event", "api_version": "2025-03-31.basil", "livemode": false,
        "created": 1_790_000_000, "pending_webhooks": 1, "type": "payment_intent.succeeded",
        "data": { "object": { "id": payment, "object": "payment_intent", "description": "x".repeat(BODY) } },
    })
    .to_string()
    .into_bytes()
}

/// A whole HTTP request with a good signature of this moment.
fn request(body: &[u8]) -> Result<Vec<u8>, BenchError> {
    let at = crate::now().timestamp();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).map_err(|_| BenchError::Workload("the secret".to_owned()))?;
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = format!(
        "POST /v1/psp/webhooks/stripe HTTP/1.1\r\nhost: earnest\r\ncontent-type: application/json\r\n\
         stripe-signature: t={at},v1={signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    Ok(request)
}

/// Stores a backlog, as a server does whose workers stand still.
async fn fill(tenant: &Tenant, backlog: usize, payments: &Arc<Vec<String>>) -> Result<(), BenchError> {
    let pool = tenant_pool(tenant.app.clone(), &tenant.schema, 2);
    let inbox = Inbox::new(pool.clone());
    let numbers: Vec<usize> = (0..backlog).collect();
    let (stored, shared) = (inbox.clone(), Arc::clone(payments));
    callers::run(256, numbers, move |numbers, index| {
        let (inbox, payments) = (stored.clone(), Arc::clone(&shared));
        async move {
            let raw = body(numbers.get(index).copied().unwrap_or(index), &payments);
            let notice =
                webhook::read(&raw, None).map_err(|error| BenchError::Workload(format!("not a notice: {error}")))?;
            inbox.receive("stripe", &notice, &raw, Filing::of(&notice), false).await?;
            Ok(Latencies::default())
        }
    })
    .await?;
    drop(inbox);
    pool.close().await;
    Ok(())
}

async fn drained(server: &Server) -> Result<(), BenchError> {
    while server.app().inbox.open().await? > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Delivers all requests over [`SENDERS`] connections, each waiting for its answer.
async fn deliver(address: SocketAddr, requests: Vec<Vec<u8>>) -> Result<Latencies, BenchError> {
    let requests = Arc::new(requests);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let requests = Arc::clone(&requests);
        senders.spawn(async move {
            let mut latencies = Latencies::default();
            let mut connection = BufReader::new(TcpStream::connect(address).await?);
            connection.get_ref().set_nodelay(true)?;
            for request in requests.iter().skip(sender).step_by(SENDERS) {
                let begun = Instant::now();
                exchange(&mut connection, request).await?;
                latencies.note(begun.elapsed());
            }
            Ok::<_, BenchError>(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(sender) = senders.join_next().await {
        all.merge(sender??);
    }
    Ok(all)
}

/// Sends a request and reads its answer, which has to be a 200. Returns the body.
async fn exchange(connection: &mut BufReader<TcpStream>, request: &[u8]) -> Result<Vec<u8>, BenchError> {
    connection.get_mut().write_all(request).await?;
    let (mut line, mut status, mut length) = (String::new(), String::new(), 0_usize);
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Err(BenchError::Workload("the connection was closed".to_owned()));
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if status.is_empty() {
            text.clone_into(&mut status);
        }
        if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| BenchError::Workload("a length".to_owned()))?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    if status.split(' ').nth(1) != Some("200") {
        return Err(BenchError::Workload(format!("{status}: {}", String::from_utf8_lossy(&body))));
    }
    Ok(body)
}

/// Forgets the process's peak of memory, where the system lets it.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The process's peak of memory since; 0 where the system does not tell.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

impl Measured {
    /// For people.
    pub fn table(&self, notices: usize, backlog: usize) -> String {
        let judged = |met: bool| if met { "met" } else { "NOT met" };
        format!(
            "webhooks    {} distinct and signed, {SENDERS} connections: {}/s answered after fsync \
             (at least 1000: {}); p50 {} µs, p99 {} µs\n\
             backlog     {backlog} drained at {}/s, at most {} MiB with the provider in the same process \
             (at most 300: {})\n",
            notices,
            self.per_second,
            judged(self.per_second >= 1000),
            self.p50,
            self.p99,
            self.drained_per_second,
            self.peak_kb / 1024,
            judged(self.peak_kb > 0 && self.peak_kb / 1024 < 300),
        )
    }
}
