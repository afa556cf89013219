//! Reading the past: contracts, milestones and escrows as they were.
//!
//! # Invariants
//! - What was is the fold of the events up to there, by the rules of today's program.
//! - Whoever may see a thing as it is may see it as it was, and nobody else; but a contract's draft stays the client's.

use adapters::postgres::past::{self, Until};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::aggregate::AggregateState;
use domain::id::{ContractId, MilestoneId};
use domain::log::StreamId;
use domain::time::to_millis;
use domain::unit_of_work::Loaded;
use domain::{contract, escrow, milestone};
use serde::Deserialize;
use utoipa::IntoParams;

use super::contracts;
use crate::app::{App, ReadAt};
use crate::code::ErrorCode;
use crate::problem::Problem;
use crate::view::{EscrowDetailView, MilestoneView};

/// Which moment of a thing to show; the present one when nothing is said.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// As it was at this instant, RFC 3339, not after now: everything that had happened by then.
    pub as_of: Option<DateTime<Utc>>,
    /// As it was at this version (`ETag`), from 1 to the present one.
    pub as_of_version: Option<u64>,
}

impl AsOf {
    /// The past that is asked for, of something that has this version now; `None` for the present.
    ///
    /// # Errors
    /// `validation_failed` for both at once, an instant to come, a version that there is not.
    pub(crate) async fn until(self, app: &App, version: u64) -> Result<Option<Until>, Problem> {
        let wrong = |name: &str, what: String| Err(Problem::field(ErrorCode::ValidationFailed, name, what));
        match (self.as_of, self.as_of_version) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => wrong("as_of_version", "give as_of or as_of_version, not both".to_owned()),
            (Some(instant), None) => {
                let now = app.engine.now().await?;
                if instant > now {
                    return wrong("as_of", format!("must not be after now, {now}"));
                }
                Ok(Some(Until::Instant(to_millis(instant))))
            }
            (None, Some(asked)) if (1..=version).contains(&asked) => Ok(Some(Until::Version(asked))),
            (None, Some(_)) => wrong("as_of_version", format!("must be 1 to {version}")),
        }
    }
}

/// A contract with its parts as they were. What was a draft is shown only to whom drafts are shown: `drafts`.
pub(super) async fn contract(
    app: &App,
    contract_id: ContractId,
    until: Until,
    drafts: bool,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stream = contract::stream(contract_id);
    let (loaded, version) = as_it_was(app, &stream, until).await?;
    if let Some(AggregateState::Contract(state)) = state_of(&loaded, &stream)
        && !drafts
        && !state.is_shown()
    {
        return Err(Problem::not_found());
    }
    let view = contracts::view_of(contract_id, &|stream| state_of(&loaded, stream)).ok_or_else(Problem::not_found)?;
    Ok(at.respond(&view, Some(version)))
}

/// An escrow as it was; who pays sees by which payments it came.
pub(super) async fn escrow(
    app: &App,
    contract_id: ContractId,
    until: Until,
    pays: bool,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stream = escrow::stream(contract_id);
    let (loaded, version) = as_it_was(app, &stream, until).await?;
    let view = match state_of(&loaded, &stream) {
        Some(AggregateState::Escrow(state)) => EscrowDetailView::of(state, pays),
        _ => None,
    };
    Ok(at.respond(&view.ok_or_else(Problem::not_found)?, Some(version)))
}

/// A milestone as it was.
pub(super) async fn milestone(
    app: &App,
    milestone_id: MilestoneId,
    until: Until,
    at: ReadAt,
) -> Result<Response, Problem> {
    let stream = milestone::stream(milestone_id);
    let (loaded, version) = as_it_was(app, &stream, until).await?;
    let view = match state_of(&loaded, &stream) {
        Some(AggregateState::Milestone(state)) => MilestoneView::of(state),
        _ => None,
    };
    Ok(at.respond(&view.ok_or_else(Problem::not_found)?, Some(version)))
}

async fn as_it_was(app: &App, stream: &StreamId, until: Until) -> Result<(Loaded, u64), Problem> {
    let loaded = past::read(app.pool(), stream, until).await?;
    let version = loaded.get(stream).map_or(0, |part| part.version);
    Ok((loaded, version))
}

fn state_of<'a>(loaded: &'a Loaded, stream: &StreamId) -> Option<&'a AggregateState> {
    loaded.get(stream).map(|part| &part.state)
}
