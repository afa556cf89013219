//! Chargebacks: what a client's bank says of a payment, and the platform's answer. For staff only: what becomes of the
//! money and the work is shown to the parties with their contract.

use std::collections::BTreeMap;

use adapters::postgres::chargebacks::{self, ChargebackFilter};
use adapters::postgres::document::{self, Visible};
use adapters::postgres::statement;
use axum::extract::State;
use axum::response::Response;
use chrono::DateTime;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::approval::Proposed;
use domain::chargeback::statement::{FileField, TextField};
use domain::chargeback::{self, Case, Chargeback, ChargebackCommand, EvidenceBundle, Statement};
use domain::command::Command as Order;
use domain::id::ChargebackId;
use domain::intent::Intent;
use domain::subject::{AccessPurpose, PersonalField};
use domain::view::Document;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::approvals::or_propose;
use super::command::Command;
use super::contracts::Nothing;
use super::{Page, Paging, id};
use crate::app::{App, Look, ReadAt, Seen};
use crate::caller::Caller;
use crate::code::ErrorCode;
use crate::extract::{IdPath, Query};
use crate::identity::personal::{Said, client_of_funding};
use crate::problem::Problem;
use crate::view::{ApprovalView, ChargebackView, EvidenceView};
use crate::worker::evidence;

/// Who may see them.
const READERS: &[StaffRole] = &StaffRole::ALL;

/// Who may answer a bank.
const DECIDERS: &[StaffRole] = &[StaffRole::Moderator, StaffRole::Finance, StaffRole::Admin];

/// Bytes of a request with words for a bank: 150,000 characters, each of which may be escaped.
pub(crate) const MAX_EVIDENCE_BYTES: usize = 1024 * 1024;

/// Which chargebacks to list; what is absent is not asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 100; 20 when absent.
    pub limit: Option<usize>,
    /// Only those in this state.
    pub status: Option<String>,
    /// Only those of this contract.
    pub contract_id: Option<String>,
    /// Only those of this payment.
    pub funding_id: Option<String>,
    /// Only those for this reason, in the provider's word.
    pub reason: Option<String>,
    /// Only those that take evidence until before this instant (RFC 3339).
    pub due_before: Option<String>,
    /// Only those that began at this instant (RFC 3339) or later.
    pub created_from: Option<String>,
    /// Only those that began before this instant (RFC 3339).
    pub created_before: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<ChargebackFilter, Problem> {
        let instant = |text: &Option<String>, name: &str| {
            let read = |text: &String| DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc());
            let refused = |_| Problem::field(ErrorCode::ValidationFailed, name, "must be an instant as in RFC 3339");
            text.as_ref().map(read).transpose().map_err(refused)
        };
        Ok(ChargebackFilter {
            status: self.status.clone(),
            contract_id: self.contract_id.as_deref().map(|text| id(text, "contract_id")).transpose()?,
            funding_id: self.funding_id.as_deref().map(|text| id(text, "funding_id")).transpose()?,
            reason: self.reason.clone(),
            due_before: instant(&self.due_before, "due_before")?,
            created_from: instant(&self.created_from, "created_from")?,
            created_before: instant(&self.created_before, "created_before")?,
        })
    }
}

/// Lists chargebacks, newest first.
///
/// Each cycle of a dispute is one. For staff.
#[utoipa::path(get, path = "/v1/chargebacks", tag = "chargebacks", params(Which),
    responses((status = 200, body = Page<ChargebackView>)))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    at: ReadAt,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let paging = Paging { cursor: which.cursor.clone(), limit: which.limit, status: None };
    let (limit, before) = paging.read()?;
    let stored = chargebacks::list(app.pool(), &which.filter()?, before, limit.saturating_add(1)).await?;
    let page = Page::of(
        stored,
        limit,
        |stored| stored.created_position,
        |stored| match stored.document {
            Document::Aggregate(AggregateState::Chargeback(state)) => ChargebackView::of(&state),
            _ => None,
        },
    );
    Ok(at.respond(&page, None))
}

/// Shows a chargeback.
///
/// For staff.
#[utoipa::path(get, path = "/v1/chargebacks/{id}", tag = "chargebacks",
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = ChargebackView)))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (state, version) = find(&app, chargeback_id).await?;
    let view = ChargebackView::of(&state).ok_or_else(Problem::not_found)?;
    Ok(at.respond(&view, Some(version)))
}

/// Draws up what the log proves.
///
/// This is what would be submitted now; nothing is changed by looking at it. Who is shown words for the bank is told in the
/// log.
#[utoipa::path(get, path = "/v1/chargebacks/{id}/evidence", tag = "chargebacks",
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = EvidenceView)))]
pub async fn evidence(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    at: ReadAt,
) -> Result<Response, Problem> {
    caller.require_staff(READERS)?;
    let (state, _) = find(&app, chargeback_id).await?;
    let case = state.case().ok_or_else(Problem::not_found)?;
    let document = drawn_up(&app, case).await?;
    // It may say who somebody is: only for those who decide what is said.
    let said = match &case.statement {
        Some(digest) if caller.require_staff(DECIDERS).is_ok() => {
            app.identity.vault().statement(app.pool(), digest).await?
        }
        _ => None,
    };
    if let Some(Said::Clear(_, client_id)) = &said {
        let (purpose, field) = (AccessPurpose::Chargeback, PersonalField::EvidenceStatement);
        app.identity.record_access(&app, &caller, *client_id, purpose, field).await?;
    }
    Ok(at.respond(&EvidenceView::new(document, said)?, None))
}

/// What is to be said to a bank beside what the log proves; it takes the place of what was written before.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftEvidence {
    /// Words, by field, each at most 20,000 characters and 150,000 in all. Words for a field take the place of what is
    /// drawn up for it: `product_description`, `access_activity_log`, `uncategorized_text`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "refund_refusal_explanation": "The client had approved the work." }))]
    pub texts: BTreeMap<TextField, String>,
    /// The provider's names of files that were uploaded there, by field.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "customer_communication": "file_1" }))]
    pub files: BTreeMap<FileField, String>,
}

/// Writes what is to be said to the bank.
///
/// Beside what the log proves, and instead of what was written before; until it is submitted. By staff that decides about
/// money. The words are kept apart from the log, which has their digest only, and are shown to that staff only.
#[utoipa::path(post, path = "/v1/chargebacks/{id}/evidence", tag = "chargebacks", request_body = DraftEvidence,
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = ChargebackView)))]
pub async fn draft_evidence(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    Command { value, asked }: Command<DraftEvidence>,
) -> Result<Response, Problem> {
    caller.require_staff(DECIDERS)?;
    asked.headers.require_key()?;
    asked.headers.require_version()?;
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    let DraftEvidence { texts, files } = value;
    let said = Statement { salt: Uuid::new_v4().simple().to_string(), texts, files };
    said.check()?;
    let digest = said.digest()?;
    let (state, _) = find(&app, chargeback_id).await?;
    let case = state.case().ok_or_else(Problem::not_found)?;
    provable(case)?;
    let client_id = client_of_funding(app.pool(), case.opening.charged.funding_id).await?;
    let client_id = client_id.ok_or_else(|| Problem::new(ErrorCode::InternalError, "a payment of nobody"))?;
    app.identity.vault().keep_statement(&app, chargeback_id, client_id, &digest, &said).await?;
    let command = ChargebackCommand::DraftEvidence { statement: digest.clone() };
    let intent = Intent::Fact(Order::Chargeback(chargeback_id, command));
    let answer = asked.change(&app, caller, intent, &|seen: Seen<'_>| view_of(chargeback_id, seen.look)).await;
    if let Err(problem) = &answer
        && problem.code().status().is_client_error()
    {
        // Refused: no event has its digest.
        statement::remove(app.pool(), &digest).await?;
    }
    answer
}

/// Answers the bank with what the log proves.
///
/// By staff that decides about money; two days before the provider's deadline the engine does it by itself. The bank takes
/// one answer: the same again changes nothing.
#[utoipa::path(post, path = "/v1/chargebacks/{id}/submit", tag = "chargebacks", request_body = Nothing,
    params(("id" = String, Path, description = "the chargeback")), responses((status = 200, body = ChargebackView)))]
pub async fn submit(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(DECIDERS)?;
    asked.headers.require_key()?;
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    app.catch_up().await?;
    let (state, _) = find(&app, chargeback_id).await?;
    let case = state.case().ok_or_else(Problem::not_found)?;
    decided_by(&app, &caller, case).await?;
    let evidence = drawn_up(&app, case).await?;
    let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
    let intent = Intent::Fact(Order::Chargeback(chargeback_id, command));
    asked.act(&app, caller, intent, &|seen: Seen<'_>| view_of(chargeback_id, seen.look)).await
}

/// Concedes a chargeback: the bank gets no answer.
///
/// By staff that decides about money; somebody else has to approve it, unless the tenant's rules ask nobody. It cannot be
/// taken back. What is lost is lost when the provider says so. A payment
/// that a bank only asks about is refunded instead.
#[utoipa::path(post, path = "/v1/chargebacks/{id}/accept", tag = "chargebacks", request_body = Nothing,
    params(("id" = String, Path, description = "the chargeback")),
    responses((status = 200, body = ChargebackView), (status = 202, body = ApprovalView)))]
pub async fn accept(
    State(app): State<App>,
    caller: Caller,
    IdPath(chargeback_id): IdPath<ChargebackId>,
    Command { asked, .. }: Command<Nothing>,
) -> Result<Response, Problem> {
    caller.require_staff(DECIDERS)?;
    asked.headers.require_key()?;
    if let Some(before) = asked.repeated(&app, &caller).await? {
        return Ok(before);
    }
    app.catch_up().await?;
    let (state, _) = find(&app, chargeback_id).await?;
    decided_by(&app, &caller, state.case().ok_or_else(Problem::not_found)?).await?;
    let accept = Proposed::AcceptChargeback { chargeback_id };
    or_propose(&app, caller, asked, accept, &|seen: Seen<'_>| view_of(chargeback_id, seen.look)).await
}

async fn find(app: &App, id: ChargebackId) -> Result<(Chargeback, u64), Problem> {
    let stored = document::one(app.pool(), &chargeback::stream(id), Visible::ToStaff).await?;
    match stored.map(|stored| (stored.document, stored.version)) {
        Some((Document::Aggregate(AggregateState::Chargeback(state)), version)) => Ok((*state, version)),
        _ => Err(Problem::not_found()),
    }
}

/// Refuses who has not shown lately who it is, when much was paid.
async fn decided_by(app: &App, caller: &Caller, case: &Case) -> Result<(), Problem> {
    let paid = &case.opening.charged;
    app.identity.require_recent(caller, paid.captured, paid.currency).await
}

/// Refuses what is about a top-up of a wallet.
fn provable(case: &Case) -> Result<(), Problem> {
    if case.opening.charged.paid_into.contract_id().is_none() {
        let detail = "no contract proves anything about a top-up of a wallet: answer at the provider";
        return Err(Problem::new(ErrorCode::NotSupported, detail));
    }
    Ok(())
}

async fn drawn_up(app: &App, case: &Case) -> Result<EvidenceBundle, Problem> {
    provable(case)?;
    let drawn_up = evidence::draw_up(app.pool(), case).await?;
    drawn_up.ok_or_else(|| Problem::new(ErrorCode::InternalError, "a payment without an agreement"))
}

/// The view of a chargeback that a decision has looked at.
fn view_of(id: ChargebackId, look: Look<'_>) -> Option<ChargebackView> {
    match look(&chargeback::stream(id)) {
        Some(AggregateState::Chargeback(state)) => ChargebackView::of(state),
        _ => None,
    }
}
