//! Answers banks when it is time and nobody has: draws the evidence up from the log, and submits it.
//!
//! # Invariants
//! - A chargeback is answered once: what was submitted is in the log, and the order to the provider follows from that.
//!
//! # What is deliberately absent
//! Judgement. The document says what happened; whether to answer at all is the staff's to decide before it is due.

use std::collections::BTreeSet;

use adapters::postgres::document::{self, Visible};
use adapters::postgres::log_reader::{self, EventFilter};
use domain::actor::{Actor, SystemPart};
use domain::aggregate::AggregateState;
use domain::chargeback::{self, Case, Chargeback, ChargebackCommand, EvidenceBundle};
use domain::command::Command;
use domain::event::DomainEvent;
use domain::id::ChargebackId;
use domain::intent::Intent;
use domain::log::StoreError;
use domain::refusal::Refusal;
use domain::view::Document;
use sqlx::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

use super::pause;
use crate::app::App;
use crate::engine::{EngineError, Request};

/// Chargebacks that wait for an answer which are looked at; an installation has far fewer.
const WAITING: usize = 1_000;

/// Events of a contract that are read at once.
const EVENTS: usize = 500;

/// States in which a bank takes an answer.
const STATES: [&str; 2] = ["needs_response", "inquiry"];

pub(super) async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut hopeless = BTreeSet::new();
    loop {
        let moved = app.clock_moved.notified();
        if let Err(error) = answer_all(&app, &mut hopeless).await {
            tracing::error!(%error, "chargebacks that wait for evidence cannot be looked at");
        }
        if !pause(&mut stop, moved).await {
            return;
        }
    }
}

/// What is refused is told once, and left to the staff until the next start.
async fn answer_all(app: &App, hopeless: &mut BTreeSet<ChargebackId>) -> Result<(), StoreError> {
    for (case, version) in due(app).await? {
        let id = case.opening.chargeback_id;
        if hopeless.contains(&id) {
            continue;
        }
        match answer(app, &case, version).await {
            Ok(()) => {}
            Err(EngineError::Refused(refusal)) => {
                tracing::error!(%refusal, chargeback_id = %id, "a bank is not answered; look at it");
                hopeless.insert(id);
            }
            Err(error) => tracing::error!(%error, chargeback_id = %id, "a bank could not be answered yet"),
        }
    }
    Ok(())
}

async fn answer(app: &App, case: &Case, version: u64) -> Result<(), EngineError> {
    let id = case.opening.chargeback_id;
    let Some(evidence) = draw_up(app.pool(), case).await? else {
        return Err(EngineError::Refused(Refusal::Defect("a payment without an agreement".to_owned())));
    };
    let command = ChargebackCommand::SubmitEvidence { evidence: Box::new(evidence) };
    // An inquiry that has become a chargeback is answered once more.
    let command_id = Uuid::new_v5(&id.as_uuid(), format!("evidence/{version}").as_bytes());
    let intent = Intent::Fact(Command::Chargeback(id, command));
    app.engine.perform(Request::internal(intent, Actor::System(SystemPart::Timer), command_id)).await?;
    // The next look sees it; where the read model is late, the same command is repeated, which changes nothing.
    let _ = app.catch_up().await;
    Ok(())
}

/// Chargebacks whose evidence is due, and that nobody has answered; with their versions.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn due(app: &App) -> Result<Vec<(Case, u64)>, StoreError> {
    let mut due = Vec::new();
    for state in STATES {
        let waiting =
            document::list(app.pool(), chargeback::TYPE, Visible::ToStaff, Some(state), None, WAITING).await?;
        due.extend(waiting.into_iter().filter_map(|stored| match stored.document {
            Document::Aggregate(AggregateState::Chargeback(state)) => is_due(*state).map(|case| (case, stored.version)),
            _ => None,
        }));
    }
    Ok(due)
}

/// Its time has come when it had one and has none any more. For a top-up of a wallet no contract proves anything: staff
/// answers at the provider.
fn is_due(chargeback: Chargeback) -> Option<Case> {
    let Chargeback::Opened { case, .. } = chargeback else { return None };
    let due = case.opening.evidence_due_by.is_some() && case.evidence_at.is_none() && case.evidence_digest.is_none();
    (due && case.opening.charged.paid_into.contract_id().is_some()).then_some(*case)
}

/// The evidence as the log has it now; `None` when nothing was ever agreed.
///
/// # Errors
/// [`EngineError`] when the log cannot be read.
pub(crate) async fn draw_up(pool: &PgPool, case: &Case) -> Result<Option<EvidenceBundle>, EngineError> {
    // Of a top-up there is nothing to prove.
    let Some(contract_id) = case.opening.charged.paid_into.contract_id() else { return Ok(None) };
    let filter = EventFilter { types: Vec::new(), contract_id: Some(contract_id), financial: false };
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = log_reader::page(pool, after, EVENTS, &filter).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in &page {
            let kind = &event.stream.aggregate_type;
            let read = DomainEvent::from_json(kind, &event.event_type, event.event_version, &event.payload)
                .map_err(|error| EngineError::Refused(Refusal::Defect(error.to_string())))?;
            events.push((event.metadata.occurred_at, read));
        }
    }
    let events = events.iter().map(|(at, event)| (*at, event));
    Ok(EvidenceBundle::draw_up(&case.opening.dispute_ref, contract_id, events))
}
