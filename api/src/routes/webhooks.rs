//! Webhooks of the payment provider: verified, stored, answered. Nothing else happens in the request.
//!
//! # Invariants
//! - 2xx is answered after the notice is on disk, and for everything genuine: what is not known is kept, too.
//! - Of a body whose signature is bad, nothing is kept but its digest in the server's own log.
//! - Each endpoint has its own secrets, several while one is being replaced, and its own accounts: the platform's notices
//!   carry no account, those about payees do. A genuine notice of the other mode or the other kind is a security alert, is
//!   kept, and is never worked on.

use adapters::postgres::inbox::Filing;
use adapters::postgres::task;
use adapters::stripe::webhook::{self, WebhookError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use domain::ports::provider::ProviderNotice;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::app::App;
use crate::code::ErrorCode;
use crate::extract::unread;
use crate::problem::Problem;

/// How far a signature's time may be from ours, in seconds, as Stripe's own libraries have it.
const TOLERANCE_SECONDS: i64 = 300;

/// Largest notice, as `process-managers.md` C.2 has it.
pub(crate) const MAX_WEBHOOK_BYTES: usize = 256 * 1024;

/// The endpoint for the platform's own notices.
const PLATFORM: &str = "stripe";

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
    let raw = body.map_err(|rejection| unread(&rejection, MAX_WEBHOOK_BYTES))?;
    let secrets = app.webhook_secrets.get(&endpoint).ok_or_else(Problem::not_found)?;
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "signatures are judged by wall time")]
    let now = chrono::Utc::now().timestamp();
    let notice = webhook::verify(&raw, signature, secrets, now, TOLERANCE_SECONDS)
        .map_err(|error| refused(&endpoint, &raw, &error))?;
    let filing = match mismatch(&app, &endpoint, &notice) {
        None => Filing::of(&notice),
        Some(why) => {
            tracing::error!(endpoint, event_id = notice.notice_id, why, "a genuine webhook is not for this tenant");
            metrics::counter!("psp_webhooks_mismatched_total").increment(1);
            // One task for each kind of mistake: whoever can send one can send many.
            let subject = format!("{endpoint}: {why}");
            task::open(app.pool(), task::PSP_MISMATCH, &subject, &format!("last: {}", notice.notice_id)).await?;
            Filing::Mismatch
        }
    };
    let new = app.inbox.receive(domain::reaction::PSP, &notice, &raw, filing, false).await?;
    metrics::counter!("psp_webhooks_received_total", "new" => if new { "true" } else { "false" }).increment(1);
    if new && filing == Filing::ToWork {
        app.notified.notify_one();
    }
    Ok(Json(Received { received: true }))
}

/// Counts what is not believed, and keeps its digest in the server's log.
fn refused(endpoint: &str, raw: &[u8], error: &WebhookError) -> Problem {
    let reason = match error {
        WebhookError::MissingSignature => "missing",
        WebhookError::MalformedSignature => "malformed",
        WebhookError::BadSignature => "bad",
        WebhookError::TooOld => "old",
        WebhookError::MalformedNotice => "unreadable",
    };
    metrics::counter!("psp_webhooks_refused_total", "reason" => reason).increment(1);
    tracing::warn!(endpoint, reason, sha256 = hex::encode(Sha256::digest(raw)), "a webhook is not believed");
    Problem::new(ErrorCode::InvalidSignature, error.to_string())
}

/// Why a genuine notice is not for this tenant, or not for this endpoint; `None` when it is.
fn mismatch(app: &App, endpoint: &str, notice: &ProviderNotice) -> Option<&'static str> {
    if notice.livemode != app.tenant.livemode {
        return Some(if notice.livemode { "live mode" } else { "test mode" });
    }
    match (endpoint == PLATFORM, &notice.account) {
        (true, Some(_)) => Some("a payee's account at the platform's endpoint"),
        (false, None) => Some("the platform at the payees' endpoint"),
        _ => None,
    }
}
