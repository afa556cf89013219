//! Webhooks of the payment provider: verified, stored, answered. Nothing else happens in the request.

use adapters::stripe::webhook;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// How far a signature's time may be from ours, in seconds, as Stripe's own libraries have it.
const TOLERANCE_SECONDS: i64 = 300;

/// A notice was stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// Always true.
    pub received: bool,
}

/// Takes a notice of the payment provider.
///
/// 2xx means that it is stored for good.
#[utoipa::path(post, path = "/v1/psp/webhooks/{endpoint}", tag = "provider",
    params(("endpoint" = String, Path, description = "`stripe` for the platform, `stripe_connect` for payees' accounts")),
    request_body(content = String, content_type = "application/json"), responses((status = 200, body = Received)))]
pub async fn receive(
    State(app): State<App>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Received>, Problem> {
    let raw = body.map_err(|_| Problem::new(ErrorCode::PayloadTooLarge, "a notice may have at most 256 kB"))?;
    let secrets = app.webhook_secrets.get(&endpoint).ok_or_else(Problem::not_found)?;
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "signatures are judged by wall time")]
    let now = chrono::Utc::now().timestamp();
    let notice = webhook::verify(&raw, signature, secrets, now, TOLERANCE_SECONDS).map_err(|error| {
        metrics::counter!("psp_webhooks_refused_total").increment(1);
        Problem::new(ErrorCode::InvalidSignature, error.to_string())
    })?;
    let new = app.inbox.receive(domain::reaction::PSP, &notice, &raw).await?;
    metrics::counter!("psp_webhooks_received_total", "new" => if new { "true" } else { "false" }).increment(1);
    app.notified.notify_one();
    Ok(Json(Received { received: true }))
}
