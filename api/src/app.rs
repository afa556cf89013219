//! What every handler shares, and how a command becomes an answer.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use adapters::postgres::clock::TenantClock;
use adapters::postgres::inbox::Inbox;
use adapters::postgres::outbox::Outbox;
use adapters::postgres::{PgStore, log_reader, token};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::aggregate::AggregateState;
use domain::event::DomainEvent;
use domain::intent::Intent;
use domain::log::{Answer, EventStore, Position, StoredCommand, StreamId};
use domain::refusal::Refusal;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::{Notify, RwLock, watch};
use uuid::Uuid;

use crate::caller::{Caller, Role};
use crate::code::ErrorCode;
use crate::engine::{Engine, EngineError, Performed, Request};
use crate::extract::CommandHeaders;
use crate::identity::Identity;
use crate::problem::Problem;
use crate::provider::Ask;
use crate::sandbox_control::SandboxControl;
use crate::view::event::TenantLabel;

/// Namespace of the command ids of API requests.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c9d_41b7_2ae8_5f06_8d13_64c0_b5f2_a917);

/// How long a read waits for the projections to come as far as `Min-Log-Position` (`process-managers.md` I9).
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// How long a token's grant is believed without looking: a revocation takes effect within this time.
const TOKEN_TTL: Duration = Duration::from_secs(5);

/// Tokens remembered at most.
const TOKENS: usize = 10_000;

/// Events shown with a version mismatch.
const EVENTS_SINCE: usize = 20;

/// The header that tells how far the log was.
pub const LOG_POSITION: HeaderName = HeaderName::from_static("log-position");
/// The header that asks a read to be at least that far.
pub const MIN_LOG_POSITION: &str = "min-log-position";
/// The header that marks the answer to a repeat.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The engine of a tenant as it serves.
pub type TenantEngine = Engine<PgStore, TenantClock>;

/// A served tenant. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What an [`App`] is made of.
pub struct Inner {
    /// Carries out commands.
    pub engine: TenantEngine,
    /// Orders to the provider.
    pub outbox: Outbox,
    /// Notices from the provider.
    pub inbox: Inbox,
    /// Told when a notice came in.
    pub notified: Notify,
    /// Told when the clock was moved.
    pub clock_moved: Notify,
    /// Held while the test clocks move, ours and the provider's: what the provider then says is not recorded with an instant
    /// that is over for it. Servers beside this one do not see it.
    pub clock_moving: RwLock<()>,
    /// How many callers are having the test clock moved just now. Servers beside this one do not see it.
    pub advancing: AtomicUsize,
    /// How far the projections are.
    pub reached: watch::Receiver<Position>,
    /// How events name the tenant.
    pub tenant: TenantLabel,
    /// Secrets that webhooks may be signed with, by the name of the endpoint.
    pub webhook_secrets: HashMap<String, Vec<adapters::stripe::Secret>>,
    /// The provider, for what has to be asked while somebody waits.
    pub provider: Box<dyn Ask>,
    /// The built-in provider, when it is the one in use.
    pub sandbox: Option<SandboxControl>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Who callers are.
    pub identity: Identity,
    /// Grants that were looked up lately.
    pub tokens: Mutex<KnownTokens>,
}

/// Grants by the hash of the token, and when each was looked up.
pub type KnownTokens = HashMap<[u8; 32], (Instant, Option<Caller>)>;

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Tells the present state of a stream, as far as a decision has looked at it.
pub type Look<'a> = &'a dyn Fn(&StreamId) -> Option<&'a AggregateState>;

/// What an answer is made from: the state after the decision, and what happened. A repeat that changed nothing has no
/// events.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The present state of streams.
    pub look: Look<'a>,
    /// The events of the decision.
    pub events: &'a [(StreamId, DomainEvent)],
}

/// A command of the API.
pub struct ApiCommand<'a, V> {
    /// Who asks.
    pub caller: Caller,
    /// Key, version and trace.
    pub headers: CommandHeaders,
    /// The route's template: keys of different routes never meet.
    pub route: String,
    /// Digest of the request.
    pub fingerprint: String,
    /// What is asked.
    pub intent: Intent,
    /// Status of success.
    pub status: StatusCode,
    /// Path of what is created.
    pub location: Option<String>,
    /// The answer's body, from what the decision has seen and done.
    pub view: &'a (dyn Fn(Seen<'_>) -> Option<V> + Send + Sync),
}

impl App {
    /// Serves what `inner` is made of.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The pool for reading.
    pub fn pool(&self) -> &PgPool {
        self.engine.store().pool()
    }

    /// Carries out a command and makes the answer.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub async fn perform<V: Serialize>(&self, command: ApiCommand<'_, V>) -> Result<Response, Problem> {
        let key = command.headers.require_key()?.to_owned();
        let subject = command.intent.subject();
        let given = command.headers.if_match;
        let body = |seen: Seen<'_>| -> Option<String> {
            (command.view)(seen).and_then(|view| serde_json::to_string(&view).ok())
        };
        let answer = |decision: &domain::unit_of_work::Decision| Answer {
            fingerprint: command.fingerprint.clone(),
            status: command.status.as_u16(),
            body: body(Seen { look: &|stream| decision.state(stream), events: &decision.events })
                .unwrap_or_else(|| "null".to_owned()),
            // Where it only waits, nothing has become of what it is about.
            version: decision.version(&subject).filter(|_| command.status != StatusCode::ACCEPTED),
            location: command.location.clone(),
        };
        let request = Request {
            intent: command.intent.clone(),
            actor: command.caller.actor(),
            auth: command.caller.auth_context(),
            command_id: command_id(&command.caller, &command.route, &key),
            if_match: given,
            idempotency_key: Some(key),
            traceparent: command.headers.traceparent.clone(),
            answer: Some(&answer),
        };
        let started = Instant::now();
        let performed = self.engine.perform(request).await;
        let result = match &performed {
            Ok(Performed::Done(..)) => "accepted",
            Ok(Performed::Replayed(_)) => "replayed",
            Ok(Performed::Unchanged(_)) => "unchanged",
            Err(EngineError::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        metrics::histogram!("command_duration_seconds", "route" => command.route.clone(), "result" => result)
            .record(started.elapsed());
        match performed {
            Ok(Performed::Done(decision, receipt)) => match &decision.append.answer {
                Some(answer) => Ok(answered(answer, receipt.last_position, false)),
                None => Err(Problem::new(ErrorCode::InternalError, "a command without an answer")),
            },
            Ok(Performed::Replayed(stored)) => replayed(stored, &command.fingerprint),
            Ok(Performed::Unchanged(loaded)) => {
                let look: Look<'_> = &|stream| loaded.get(stream).map(|part| &part.state);
                let text = body(Seen { look, events: &[] });
                let answer = Answer {
                    fingerprint: command.fingerprint.clone(),
                    status: StatusCode::OK.as_u16(),
                    body: text.unwrap_or_else(|| "null".to_owned()),
                    version: loaded.get(&subject).map(|part| part.version),
                    location: None,
                };
                Ok(answered(&answer, self.engine.store().head().await?, false))
            }
            Err(EngineError::Refused(refusal @ Refusal::VersionMismatch { .. })) => {
                Err(self.version_mismatch(&subject, given.unwrap_or(0), refusal).await)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The answer to a command that was carried out before under the same key, if it was. For handlers that have to look
    /// something up before they can ask, and would not find it a second time.
    ///
    /// # Errors
    /// `idempotency_key_required`, `idempotency_mismatch`, `idempotency_expired`.
    pub async fn repeated(
        &self,
        caller: &Caller,
        headers: &CommandHeaders,
        route: &str,
        fingerprint: &str,
    ) -> Result<Option<Response>, Problem> {
        let id = command_id(caller, route, headers.require_key()?);
        let stored = self.engine.store().command(id).await?;
        stored.map(|stored| replayed(stored, fingerprint)).transpose()
    }

    /// Waits until the read model shows everything that has been written by now.
    ///
    /// # Errors
    /// `projection_lagging` when it does not come that far in time.
    pub async fn catch_up(&self) -> Result<(), Problem> {
        self.wait_for(self.engine.store().head().await?).await
    }

    /// A version mismatch shows what the caller has missed.
    pub(crate) async fn version_mismatch(&self, subject: &StreamId, given: u64, refusal: Refusal) -> Problem {
        let problem = Problem::from(refusal);
        match log_reader::of_stream(self.pool(), subject, given, EVENTS_SINCE).await {
            Ok(events) => {
                let since: Vec<_> = events
                    .iter()
                    .map(|event| {
                        json!({
                            "type": event.event_type,
                            "stream_version": event.sequence,
                            "position": event.position,
                            "occurred_at": event.metadata.occurred_at,
                            "actor": event.metadata.actor.kind(),
                        })
                    })
                    .collect();
                problem.with("events_since", since)
            }
            Err(error) => error.into(),
        }
    }

    /// Who the bearer of the token with this hash is.
    ///
    /// # Errors
    /// The [`Problem`] that the store cannot be asked.
    pub async fn caller_of(&self, hash: &[u8; 32]) -> Result<Option<Caller>, Problem> {
        let known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(hash).copied();
        if let Some((seen, caller)) = known
            && seen.elapsed() < TOKEN_TTL
        {
            return Ok(caller);
        }
        let caller = match token::find(self.pool(), hash).await? {
            Some(grant) => {
                let role: Role = grant.role.parse().map_err(|error| Problem::new(ErrorCode::InternalError, error))?;
                Some(Caller::of_operator_token(grant.party_id, role))
            }
            None => None,
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS {
            tokens.clear();
        }
        tokens.insert(*hash, (Instant::now(), caller));
        Ok(caller)
    }

    /// Waits until the projections are as far as `position`.
    ///
    /// # Errors
    /// `projection_lagging` when they do not come that far in time.
    pub async fn wait_for(&self, position: Position) -> Result<(), Problem> {
        let mut reached = self.reached.clone();
        let waited = tokio::time::timeout(READ_PATIENCE, reached.wait_for(|reached| *reached >= position)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Problem::new(
                ErrorCode::ProjectionLagging,
                format!("the read model is at position {}", *self.reached.borrow()),
            )
            .with_header(header::RETRY_AFTER, "1")),
        }
    }
}

/// The identity of a command: the same caller, route and key are the same command.
pub(crate) fn command_id(caller: &Caller, route: &str, key: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{}\n{route}\n{key}", caller.principal()).as_bytes())
}

/// An answer to a repeat: the stored one, if it is the same request.
fn replayed(stored: StoredCommand, fingerprint: &str) -> Result<Response, Problem> {
    let Some(answer) = stored.answer else {
        return Err(Problem::new(ErrorCode::IdempotencyExpired, ErrorCode::IdempotencyExpired.title()));
    };
    if answer.fingerprint != fingerprint {
        return Err(Problem::new(ErrorCode::IdempotencyMismatch, "send a new key with a new request"));
    }
    Ok(answered(&answer, stored.position, true))
}

fn answered(answer: &Answer, position: Position, replay: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(LOG_POSITION, HeaderValue::from(position));
    if let Some(tag) = answer.version.and_then(etag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(location) = answer.location.as_deref().and_then(|path| HeaderValue::from_str(path).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if replay {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    (status, headers, answer.body.clone()).into_response()
}

/// A version as an entity tag.
pub fn etag(version: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

/// A read that has waited for `Min-Log-Position`, and knows how far it is.
#[derive(Debug, Clone, Copy)]
pub struct ReadAt(pub Position);

impl FromRequestParts<App> for ReadAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(value) = parts.headers.get(MIN_LOG_POSITION) {
            let position =
                value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                    Problem::field(ErrorCode::ValidationFailed, "Min-Log-Position", "must be a position")
                })?;
            app.wait_for(position).await?;
        }
        Ok(Self(*app.reached.borrow()))
    }
}

impl ReadAt {
    /// `body` with the position, and with the version of what it shows.
    pub fn respond<V: Serialize>(self, body: &V, version: Option<u64>) -> Response {
        let mut response = axum::Json(body).into_response();
        let headers = response.headers_mut();
        headers.insert(LOG_POSITION, HeaderValue::from(self.0));
        if let Some(tag) = version.and_then(etag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}
