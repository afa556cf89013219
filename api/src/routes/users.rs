//! Accounts as staff sees them, and who has looked. What a person sees of itself is `users/me`, in `auth`.
//!
//! # Invariants
//! - Personal data of others is shown only with a purpose, and after an event says who reads it.

use adapters::postgres::identity::account;
use adapters::postgres::log_reader::{self, EventFilter};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::actor::StaffRole;
use domain::id::PartyId;
use domain::log::EventStore;
use domain::subject::{AccessPurpose, PersonalField, SubjectEvent};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Page, limit};
use crate::app::{App, ReadAt};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::identity::personal::PersonalText;
use crate::problem::Problem;
use crate::view::event::{ActorView, AuthView};
use crate::view::personal::RedactedView;

/// Who may look at others' accounts.
const READERS: &[StaffRole] = &[StaffRole::Support, StaffRole::Admin];

/// Who may see who has looked.
const AUDITORS: &[StaffRole] = &[StaffRole::Auditor, StaffRole::Admin];

/// The event that a reading is.
const ACCESSED: &str = "subject.pii_accessed";

/// What for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PurposeQuery {
    /// `support_request`, `account_recovery`, `chargeback`, `dispute`, `fraud_review`, `legal_request`, `subject_request`.
    pub purpose: Option<String>,
}

impl PurposeQuery {
    fn read(&self) -> Result<AccessPurpose, Problem> {
        let words: Vec<_> = AccessPurpose::ALL.into_iter().map(AccessPurpose::word).collect();
        let refused =
            || Problem::field(ErrorCode::ValidationFailed, "purpose", format!("say one of {}", words.join(", ")));
        let purpose = self.purpose.as_deref().ok_or_else(refused)?;
        AccessPurpose::ALL.into_iter().find(|known| known.word() == purpose).ok_or_else(refused)
    }
}

/// An account, as staff sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// Always `user`.
    #[schema(example = "user")]
    pub object: String,
    /// The party, or the id of the member of staff.
    pub party_id: String,
    /// The role: `client`, `payee` or one of staff.
    #[schema(example = "client")]
    pub role: String,
    /// The word that the person chose when registering.
    #[schema(example = "freelancer")]
    pub kind: String,
    /// `active` or `suspended`.
    #[schema(example = "active")]
    pub status: String,
    /// Whether a code is asked for when signing in.
    pub second_factor: bool,
    /// The address; `null` where it was erased.
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    /// What is known of the erasure; `null` where the address is there.
    pub redacted: Option<RedactedView>,
}

/// Shows somebody's account, with its personal data.
///
/// To support and administrators, who say what for. That they looked, when, and how they were signed in, is told in the log
/// before anything is shown.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "auth",
    params(("id" = String, Path, description = "the party, or the id of the member of staff"), PurposeQuery),
    responses((status = 200, body = UserView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(party_id): IdPath<PartyId>,
    Query(purpose): Query<PurposeQuery>,
) -> Result<Json<UserView>, Problem> {
    caller.require_staff(READERS)?;
    let purpose = purpose.read()?;
    app.identity.require_built_in()?;
    let account = account::by_party(app.pool(), party_id).await?.ok_or_else(Problem::not_found)?;
    app.identity.record_access(&app, &caller, party_id, purpose, PersonalField::Email).await?;
    let (email, redacted) = match app.identity.email_shown(&account).await? {
        PersonalText::Clear(email) => (Some(email), None),
        PersonalText::Redacted(redacted) => (None, Some(redacted.into())),
        PersonalText::Unreadable => (None, None),
    };
    Ok(Json(UserView {
        object: "user".to_owned(),
        party_id: party_id.to_string(),
        role: account.role,
        kind: account.kind,
        status: if account.suspended { "suspended" } else { "active" }.to_owned(),
        second_factor: account.totp_confirmed,
        email,
        redacted,
    }))
}

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AccessQuery {
    /// Readings after this position of the log; 0 for the first.
    pub after: Option<u64>,
    /// Readings at most, 1 to 1000; 100 when absent.
    pub limit: Option<usize>,
}

/// Staff read personal data.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessView {
    /// Always `access`.
    #[schema(example = "access")]
    pub object: String,
    /// Place of the event in the log.
    pub position: u64,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Who.
    pub actor: ActorView,
    /// In which role.
    #[schema(example = "support")]
    pub role: String,
    /// How the reader showed who it is.
    pub auth: Option<AuthView>,
    /// Whose data.
    pub subject_id: String,
    /// What for.
    #[schema(example = "support_request")]
    pub purpose: String,
    /// Which of it.
    pub fields: Vec<String>,
}

/// Lists who of staff has read personal data, by position.
///
/// For auditors and administrators.
#[utoipa::path(get, path = "/v1/audit/access", tag = "log", params(AccessQuery),
    responses((status = 200, body = Page<AccessView>)))]
pub async fn accesses(
    State(app): State<App>,
    caller: Caller,
    _at: ReadAt,
    Query(query): Query<AccessQuery>,
) -> Result<Response, Problem> {
    caller.require_staff(AUDITORS)?;
    let limit = limit(query.limit, 100, 1000)?;
    let filter = EventFilter { types: vec![ACCESSED.to_owned()], contract_id: None, financial: false };
    let head = app.engine.store().head().await?;
    let events = log_reader::page(app.pool(), query.after.unwrap_or(0), limit.saturating_add(1), &filter).await?;
    let more = events.len() > limit;
    let mut data = Vec::with_capacity(events.len());
    for event in events.into_iter().take(limit) {
        let SubjectEvent::PiiAccessed { subject_id, purpose, fields, .. } = serde_json::from_str(&event.payload)
            .map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))?;
        let role = match event.metadata.actor {
            domain::actor::Actor::Staff(role, _) => role.word(),
            other => other.kind(),
        };
        data.push(AccessView {
            object: "access".to_owned(),
            position: event.position,
            occurred_at: event.metadata.occurred_at,
            actor: ActorView::of(event.metadata.actor),
            role: role.to_owned(),
            auth: AuthView::of(event.metadata.auth),
            subject_id: subject_id.to_string(),
            purpose: purpose.word().to_owned(),
            fields: fields.into_iter().map(|field| field.word().to_owned()).collect(),
        });
    }
    let next_cursor = if more { data.last().map(|access| access.position.to_string()) } else { None };
    Ok(ReadAt(head).respond(&Page { object: "list".to_owned(), data, next_cursor }, None))
}
