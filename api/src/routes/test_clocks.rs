//! The tenant's test clock. Moving it runs the engine and the built-in provider through everything that is due.

use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use adapters::postgres::clock::{self, ClockError};
use adapters::postgres::projection;
use axum::extract::{Path, State};
use axum::response::Response;
use domain::actor::StaffRole;
use domain::log::EventStore;
use domain::time::{Timestamp, to_millis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::Body;
use crate::problem::Problem;
use crate::worker::{coverage, evidence};

/// How long one instant may take until nothing is left to do at it. Longer than the lease of work that a server left
/// behind when it died.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often is looked whether everything is done.
const POLL: Duration = Duration::from_millis(10);

/// Who may move time.
const MOVERS: &[StaffRole] = &[StaffRole::Admin];

/// The tenant's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClockView {
    /// `clk_` and the tenant's name.
    #[schema(example = "clk_main")]
    pub id: String,
    /// Always `test_clock`.
    #[schema(example = "test_clock")]
    pub object: String,
    /// What it shows.
    pub now: DateTime<Utc>,
    /// `advancing` while it is moved and what is due happens; `ready` when everything that was due is done.
    #[schema(example = "ready")]
    pub status: String,
}

/// Where to move it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// The instant to stop at; not before the present one.
    pub to: DateTime<Utc>,
}

/// Shows the tenant's test clock.
#[utoipa::path(get, path = "/v1/test_clocks", tag = "test mode", responses((status = 200, body = ClockView)))]
pub async fn show(State(app): State<App>, _caller: Caller, at: ReadAt) -> Result<Response, Problem> {
    require_test_mode(&app)?;
    let view = view(&app).await?;
    Ok(at.respond(&view, None))
}

/// Moves the test clock forward.
///
/// Instant by instant through all that is due in the engine and at the built-in provider; it answers when nothing is left
/// to do. Twice to the same instant does nothing.
#[utoipa::path(post, path = "/v1/test_clocks/{id}/advance", tag = "test mode", request_body = Advance,
    params(("id" = String, Path, description = "the clock")), responses((status = 200, body = ClockView)))]
pub async fn advance(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body<Advance>,
) -> Result<Response, Problem> {
    caller.require_staff(MOVERS)?;
    require_test_mode(&app)?;
    if id != clock_id(&app) {
        return Err(Problem::not_found());
    }
    let to = to_millis(body.value.to);
    let mut now = app.engine.now().await?;
    if to < now {
        return Err(refused(ClockError::Backwards { now }));
    }
    let advancing = Advancing::begin(&app.advancing);
    settle(&app, now).await?;
    while now < to {
        let next = next_instant(&app, now).await?.map_or(to, |next| next.min(to));
        let moving = app.clock_moving.write().await;
        // The provider first: what it has done by then is there to be asked for.
        if let Some(sandbox) = &app.sandbox {
            sandbox.advance(next).await.map_err(unreachable)?;
        }
        match app.engine.clock().advance(next).await {
            // Somebody else moved it further meanwhile.
            Ok(()) | Err(ClockError::Backwards { .. }) => {}
            Err(error) => return Err(refused(error)),
        }
        drop(moving);
        app.clock_moved.notify_waiters();
        now = app.engine.now().await?;
        settle(&app, now).await?;
    }
    drop(advancing);
    let position = app.engine.store().head().await?;
    let view = view(&app).await?;
    Ok(ReadAt(position).respond(&view, None))
}

/// Counts one that has the clock moved, until it is dropped: also when the caller goes away.
struct Advancing<'a>(&'a AtomicUsize);

impl<'a> Advancing<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Advancing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn view(app: &App) -> Result<ClockView, Problem> {
    Ok(ClockView {
        id: clock_id(app),
        object: "test_clock".to_owned(),
        now: app.engine.now().await?,
        status: if app.advancing.load(Ordering::Relaxed) == 0 { "ready" } else { "advancing" }.to_owned(),
    })
}

fn clock_id(app: &App) -> String {
    format!("clk_{}", app.tenant.name)
}

fn require_test_mode(app: &App) -> Result<(), Problem> {
    if app.engine.clock().is_test() { Ok(()) } else { Err(refused(ClockError::NotInTestMode)) }
}

fn refused(error: ClockError) -> Problem {
    match error {
        ClockError::Backwards { .. } => Problem::field(ErrorCode::ClockBackwards, "/to", error.to_string()),
        ClockError::NotInTestMode => Problem::new(ErrorCode::NotInTestMode, error.to_string()),
        ClockError::Store(error) => error.into(),
    }
}

fn unreachable(error: reqwest::Error) -> Problem {
    Problem::new(ErrorCode::PspUnavailable, format!("the built-in provider does not answer: {}", error.without_url()))
}

/// The next instant after `now` at which anything is due.
async fn next_instant(app: &App, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let wakeup = clock::next_wakeup(app.pool()).await?;
    let (_, order) = app.outbox.outlook(now).await?;
    let provider = match &app.sandbox {
        Some(sandbox) => sandbox.status().await.map_err(unreachable)?.next_due_at,
        None => None,
    };
    Ok([wakeup, order, provider].into_iter().flatten().filter(|instant| *instant > now).min())
}

/// Lets everything happen that follows at `now`. The coverage is looked at when the books are complete, so that a shortage
/// is told at the same instant however busy the workers are.
async fn settle(app: &App, now: Timestamp) -> Result<(), Problem> {
    drain(app, now).await?;
    if coverage::look(app).await? { drain(app, now).await } else { Ok(()) }
}

/// Waits until there is nothing left to do at `now`: the workers do it.
async fn drain(app: &App, now: Timestamp) -> Result<(), Problem> {
    let started = Instant::now();
    let mut quiet_at = None;
    loop {
        let head = app.engine.store().head().await?;
        let left = left_to_do(app, now).await?;
        // Twice in a row at the same position: nothing was between two queues when it was looked at.
        match left {
            None if quiet_at == Some(head) => return Ok(()),
            None => quiet_at = Some(head),
            Some(what) if started.elapsed() > PATIENCE => {
                return Err(Problem::new(ErrorCode::Unavailable, format!("not everything is done: {what}")));
            }
            Some(_) => quiet_at = None,
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn left_to_do(app: &App, now: Timestamp) -> Result<Option<&'static str>, Problem> {
    let head = app.engine.store().head().await?;
    let reached = projection::reached(app.pool()).await;
    if reached.map_err(|error| Problem::new(ErrorCode::Unavailable, error.to_string()))? < head {
        return Ok(Some("the projections are behind"));
    }
    if clock::next_wakeup(app.pool()).await?.is_some_and(|due_at| due_at <= now) {
        return Ok(Some("a timer is due"));
    }
    if !evidence::due(app).await?.is_empty() {
        return Ok(Some("evidence for a bank is due"));
    }
    if app.outbox.outlook(now).await?.0 > 0 {
        return Ok(Some("an order to the provider is due"));
    }
    if let Some(sandbox) = &app.sandbox
        && sandbox.status().await.map_err(unreachable)?.webhooks_on_their_way > 0
    {
        return Ok(Some("a webhook is on its way"));
    }
    if app.inbox.open().await? > 0 {
        return Ok(Some("a notice of the provider is to be worked on"));
    }
    Ok(None)
}
