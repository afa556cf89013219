//! Keys for machines: made, listed, replaced and ended by whom they act for.
//!
//! # Invariants
//! - A key is in the answer that makes it, and in no other.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MAX_PAGE, PAGE, Page, limit};
use crate::app::App;
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{Body, IdPath, Query};
use crate::identity::api_keys::{ApiKeyId, KeyStatus, MadeApiKey, NewApiKey};
use crate::problem::Problem;
use adapters::postgres::identity::api_key::StoredApiKey;

/// A key to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What you call it, 1 to 64 characters. No personal data.
    #[schema(example = "shop backend")]
    pub name: String,
    /// What it may do, out of your own scopes.
    #[schema(example = json!(["contracts:read", "contracts:write"]))]
    pub scopes: Vec<String>,
    /// Days that it is good, 1 to 365; 90 when absent.
    #[serde(default)]
    #[schema(example = 90)]
    pub expires_in_days: Option<u16>,
    /// Whether it may do what you would be asked for again to show who you are, such as releasing much money.
    #[serde(default)]
    pub step_up_exempt: bool,
}

/// How a key is replaced.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// Hours that the old key stays good, 0 to 168; 24 when absent.
    #[serde(default)]
    #[schema(example = 24)]
    pub overlap_hours: Option<u16>,
}

/// A key.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyView {
    /// Its id.
    #[schema(example = "key_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `api_key`.
    #[schema(example = "api_key")]
    pub object: String,
    /// What its owner calls it.
    #[schema(example = "shop backend")]
    pub name: String,
    /// The key itself, for `Authorization: Bearer`: only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its first characters.
    #[schema(example = "erk_5f0c2a4e")]
    pub prefix: String,
    /// The party that it acts for, or the id of the member of staff.
    pub party_id: String,
    /// The role that it acts in.
    #[schema(example = "client")]
    pub role: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it may do what a person is asked for again to show who it is.
    pub step_up_exempt: bool,
    /// `active`; `replaced`: good until its end, and there is a new one; `expired`; `revoked`.
    #[schema(example = "active")]
    pub status: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The key that takes its place.
    pub replaced_by: Option<String>,
}

impl ApiKeyView {
    fn of(stored: StoredApiKey, now: Timestamp) -> Self {
        let status = KeyStatus::of(&stored, now).word().to_owned();
        Self {
            id: ApiKeyId::from_uuid(stored.key_id).to_string(),
            object: "api_key".to_owned(),
            name: stored.name,
            key: None,
            prefix: stored.prefix,
            party_id: stored.party_id.to_string(),
            role: stored.role,
            scopes: stored.scopes,
            step_up_exempt: stored.step_up_exempt,
            status,
            created_at: stored.created_at,
            expires_at: stored.expires_at,
            last_used_at: stored.last_used_at,
            replaced_by: stored.replaced_by.map(|key_id| ApiKeyId::from_uuid(key_id).to_string()),
        }
    }
}

/// Which keys.
#[derive(Debug, Clone, Deserialize, IntoParams)]
pub struct KeysQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 100; 20 when absent.
    pub limit: Option<usize>,
}

fn made(app: &App, made: MadeApiKey) -> Response {
    let view = ApiKeyView { key: Some(made.key), ..ApiKeyView::of(made.stored, app.identity.now()) };
    let location = [(header::LOCATION, format!("/v1/api-keys/{}", view.id))];
    (StatusCode::CREATED, location, Json(view)).into_response()
}

/// Makes a key for a machine that acts for the caller, in the same role.
///
/// The key is in this answer only. Sent twice, there are two keys.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api keys", request_body = CreateApiKey,
    responses((status = 201, body = ApiKeyView)))]
pub async fn create(State(app): State<App>, caller: Caller, body: Body<CreateApiKey>) -> Result<Response, Problem> {
    let CreateApiKey { name, scopes, expires_in_days, step_up_exempt } = &body.value;
    let new = NewApiKey { name, scopes, days: *expires_in_days, step_up_exempt: *step_up_exempt };
    Ok(made(&app, app.identity.make_api_key(&caller, new).await?))
}

/// Lists the caller's keys, newest first, with those that are over.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api keys", params(KeysQuery),
    responses((status = 200, body = Page<ApiKeyView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<KeysQuery>,
) -> Result<Json<Page<ApiKeyView>>, Problem> {
    let limit = limit(query.limit, PAGE, MAX_PAGE)?;
    let cursor = |text: &str| {
        text.parse::<ApiKeyId>()
            .map_err(|_| Problem::field(ErrorCode::ValidationFailed, "cursor", "must be a next_cursor as given"))
    };
    let before = query.cursor.as_deref().map(cursor).transpose()?;
    let mut stored = app.identity.api_keys(&caller, before, limit.saturating_add(1)).await?;
    let more = stored.len() > limit;
    stored.truncate(limit);
    let now = app.identity.now();
    let data: Vec<_> = stored.into_iter().map(|key| ApiKeyView::of(key, now)).collect();
    let next_cursor = if more { data.last().map(|key| key.id.clone()) } else { None };
    Ok(Json(Page { object: "list".to_owned(), data, next_cursor }))
}

/// Shows a key of the caller, or anybody's to an administrator.
#[utoipa::path(get, path = "/v1/api-keys/{id}", tag = "api keys",
    params(("id" = String, Path, description = "the key")), responses((status = 200, body = ApiKeyView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(key_id): IdPath<ApiKeyId>,
) -> Result<Json<ApiKeyView>, Problem> {
    Ok(Json(ApiKeyView::of(app.identity.api_key(&caller, key_id).await?, app.identity.now())))
}

/// Puts a new key in the place of one: the same name, scopes and length of life.
///
/// Both are good for a while, so that machines can be given the new one. The new key is in this answer only.
#[utoipa::path(post, path = "/v1/api-keys/{id}/rotate", tag = "api keys", request_body = RotateApiKey,
    params(("id" = String, Path, description = "the key")), responses((status = 201, body = ApiKeyView)))]
pub async fn rotate(
    State(app): State<App>,
    caller: Caller,
    IdPath(key_id): IdPath<ApiKeyId>,
    body: Body<RotateApiKey>,
) -> Result<Response, Problem> {
    Ok(made(&app, app.identity.rotate_api_key(&caller, key_id, body.value.overlap_hours).await?))
}

/// Ends a key, at once. An administrator can end anybody's.
#[utoipa::path(post, path = "/v1/api-keys/{id}/revoke", tag = "api keys",
    params(("id" = String, Path, description = "the key")), responses((status = 200, body = ApiKeyView)))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    IdPath(key_id): IdPath<ApiKeyId>,
) -> Result<Json<ApiKeyView>, Problem> {
    let key = app.identity.revoke_api_key(&caller, key_id).await?;
    Ok(Json(ApiKeyView::of(key, app.identity.now())))
}
