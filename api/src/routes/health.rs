//! Whether it runs, whether it is ready, and what it is.

use adapters::postgres::projection;
use axum::Json;
use axum::extract::State;
use domain::log::EventStore;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Positions that the projections may be behind before the server calls itself not ready. At the benchmark's load this
/// is about a second.
const READY_LAG: u64 = 20_000;

/// It runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
}

/// It is ready.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Always `ready`.
    pub status: &'static str,
    /// Newest position of the log.
    pub position: u64,
    /// How far the read models are behind.
    pub projection_lag: u64,
}

/// What it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// Always `earnest`.
    pub name: &'static str,
    /// Version of the program.
    pub version: &'static str,
}

/// Answers as long as the process runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Answers 200 when requests can be served.
///
/// The database is there, and the read models are not far behind.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses((status = 200, body = Readiness)))]
pub async fn ready(State(app): State<App>) -> Result<Json<Readiness>, Problem> {
    let position = app.engine.store().head().await?;
    let reached = projection::reached(app.pool())
        .await
        .map_err(|error| Problem::new(ErrorCode::Unavailable, error.to_string()))?;
    let projection_lag = position.saturating_sub(reached);
    if projection_lag > READY_LAG {
        return Err(Problem::new(ErrorCode::ProjectionLagging, format!("{projection_lag} events behind")));
    }
    Ok(Json(Readiness { status: "ready", position, projection_lag }))
}

/// Shows the metrics, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Result<String, Problem> {
    let position = app.engine.store().head().await?;
    let lag = position.saturating_sub(*app.reached.borrow());
    metrics::gauge!("log_position").set(gauge(position));
    metrics::gauge!("projection_lag_entries").set(gauge(lag));
    metrics::gauge!("psp_inbox_unprocessed").set(gauge(app.inbox.open().await?));
    let now = app.engine.now().await?;
    metrics::gauge!("outbox_due").set(gauge(app.outbox.outlook(now).await?.0));
    Ok(app.metrics.render())
}

/// A count as metrics have it.
fn gauge(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles; counts stay far below 2^53")]
    let value = count as f64;
    value
}

/// Shows name and version of the program.
#[utoipa::path(get, path = "/version", tag = "operation", responses((status = 200, body = Version)))]
pub async fn version() -> Json<Version> {
    Json(Version { name: "earnest", version: env!("CARGO_PKG_VERSION") })
}
