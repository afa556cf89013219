//! A command that others have to approve, as the API shows it.

use chrono::{DateTime, Utc};
use domain::approval::{ApprovalRequest, Request, Vote};
use domain::rules::Rules;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A command of staff that others have to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Its id.
    #[schema(example = "apr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `approval_request`.
    #[schema(example = "approval_request")]
    pub object: String,
    /// `pending`, `executed` (the command was carried out), `failed` (its own rules have refused it when it was approved),
    /// `rejected`, `withdrawn` or `lapsed`.
    #[schema(example = "pending")]
    pub status: String,
    /// What kind of command: `freeze_escrow`, `unfreeze_escrow`, `write_off_debt` or `accept_chargeback`.
    #[schema(example = "unfreeze_escrow")]
    pub kind: String,
    /// The command, with all that it needs to be carried out.
    #[schema(value_type = Object)]
    pub command: Value,
    /// SHA-256 of the command, in hexadecimal.
    pub payload_digest: String,
    /// What it takes, as it was when it was proposed.
    pub rule: ApprovalRuleView,
    /// Who has proposed it.
    #[schema(example = "pty_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub requested_by: String,
    /// How that person has shown who it is: `machine`, `password` or `second_factor`.
    #[schema(example = "second_factor")]
    pub acr: String,
    /// When it was proposed.
    pub requested_at: DateTime<Utc>,
    /// At this instant it lapses.
    pub expires_at: DateTime<Utc>,
    /// Who has approved it, in order.
    pub approvals: Vec<VoteView>,
    /// Who has rejected it.
    pub rejection: Option<VoteView>,
    /// The first event that the command led to.
    pub event_id: Option<String>,
    /// Why its own rules have refused the command: an error code, or `no_effect`.
    pub failure_code: Option<String>,
}

/// What it takes to carry a command out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalRuleView {
    /// How many others have to approve it.
    #[schema(example = 1)]
    pub approvers: u8,
    /// In which of these roles each has to be.
    #[schema(example = json!(["moderator", "finance", "admin"]))]
    pub roles: Vec<String>,
    /// How long it waits, in hours.
    #[schema(example = 72)]
    pub hours: u16,
}

/// One who was for it, or against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VoteView {
    /// Who.
    #[schema(example = "pty_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub by: String,
    /// How that person has shown who it is: `machine`, `password` or `second_factor`.
    #[schema(example = "second_factor")]
    pub acr: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl VoteView {
    fn of(vote: &Vote) -> Self {
        Self { by: vote.by.to_string(), acr: vote.acr.word().to_owned(), at: vote.at }
    }
}

impl ApprovalView {
    /// The view of a request; `None` when there is none.
    pub fn of(state: &ApprovalRequest) -> Option<Self> {
        let request = state.request()?;
        let Request { approval_id, command, payload_digest, rule, requested_by, acr, requested_at, expires_at } =
            request;
        let (mut rejection, mut event, mut failure_code) = (None, None, None);
        match state {
            ApprovalRequest::Rejected { by, .. } => rejection = Some(VoteView::of(by)),
            ApprovalRequest::Executed { event_id, .. } => event = Some(event_id.to_string()),
            ApprovalRequest::Failed { code, .. } => failure_code = Some(code.clone()),
            _ => {}
        }
        Some(Self {
            id: approval_id.to_string(),
            object: "approval_request".to_owned(),
            status: state.state_name().to_owned(),
            kind: command.kind().word().to_owned(),
            command: serde_json::to_value(command).ok()?,
            payload_digest: payload_digest.clone(),
            rule: ApprovalRuleView {
                approvers: rule.approvers,
                roles: rule.roles.iter().map(|role| role.word().to_owned()).collect(),
                hours: rule.hours,
            },
            requested_by: requested_by.to_string(),
            acr: acr.word().to_owned(),
            requested_at: *requested_at,
            expires_at: *expires_at,
            approvals: state.votes().iter().map(VoteView::of).collect(),
            rejection,
            event_id: event,
            failure_code,
        })
    }
}
