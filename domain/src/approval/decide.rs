//! Rules of an approval request.

use chrono::TimeDelta;

use super::{ApprovalCommand, ApprovalEvent, ApprovalRequest, Proposed, Request, Rule, Strength, Vote, by_another};
use crate::actor::Actor;
use crate::id::{ApprovalId, PartyId};
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;

pub(super) fn decide(
    state: &ApprovalRequest,
    command: &ApprovalCommand,
    context: &Context,
) -> Result<Vec<ApprovalEvent>, Refusal> {
    use {ApprovalCommand as C, ApprovalEvent as E, ApprovalRequest as S};
    match (state, command) {
        (S::NotRequested, C::Request { approval_id, command, rule, acr }) => {
            request(*approval_id, command, rule, *acr, context).map(|event| vec![event])
        }
        (S::NotRequested, C::Lapse) => Ok(Vec::new()),
        (S::NotRequested, C::Approve { .. } | C::Reject { .. } | C::Withdraw) => {
            Err(Refusal::NotFound { what: "approval request" })
        }
        // Told again.
        (state, C::Request { command, .. }) if state.request().is_some_and(|known| known.command == *command) => {
            Ok(Vec::new())
        }
        (_, C::Request { .. }) => Err(Refusal::Defect("an approval was requested twice".to_owned())),

        (S::Pending { request, votes }, C::Approve { acr }) => {
            let by = approver(request, context, "approve an approval request")?;
            in_time(request, context, "approved")?;
            // One person is one voice.
            if votes.iter().any(|vote| vote.by == by) {
                return Ok(Vec::new());
            }
            let complete = votes.len().saturating_add(1) >= usize::from(request.rule.approvers);
            let vote = Vote { by, acr: *acr, at: context.now };
            Ok(vec![E::Granted { approval_id: request.approval_id, vote, complete }])
        }
        (S::Pending { request, .. }, C::Reject { acr }) => {
            let by = approver(request, context, "reject an approval request")?;
            in_time(request, context, "rejected")?;
            let vote = Vote { by, acr: *acr, at: context.now };
            Ok(vec![E::Rejected { approval_id: request.approval_id, vote }])
        }
        (S::Pending { request, .. }, C::Withdraw) => {
            let by = proposer(request, context)?;
            in_time(request, context, "withdrawn")?;
            Ok(vec![E::Withdrawn { approval_id: request.approval_id, by }])
        }
        (S::Pending { request, .. }, C::Lapse) if context.now >= request.expires_at => {
            Ok(vec![E::Lapsed { approval_id: request.approval_id }])
        }
        // Over already, or too early.
        (_, C::Lapse) => Ok(Vec::new()),

        (S::Approved { request, .. }, C::Consume { event_id, payload_digest }) => {
            if *payload_digest != request.payload_digest {
                return Err(Refusal::Defect("something else was carried out than was approved".to_owned()));
            }
            let (approval_id, payload_digest) = (request.approval_id, payload_digest.clone());
            Ok(vec![E::Consumed { approval_id, event_id: *event_id, payload_digest }])
        }
        (S::Approved { request, .. }, C::Fail { code }) => {
            Ok(vec![E::Failed { approval_id: request.approval_id, code: code.clone() }])
        }
        (_, C::Consume { .. } | C::Fail { .. }) => {
            Err(Refusal::Defect("a command was carried out that is not approved".to_owned()))
        }

        // Over: who may not know of it, or may not decide on it, is told that and no more.
        (state, C::Approve { .. }) => Err(over(state, context, "approve an approval request", "approved")),
        (state, C::Reject { .. }) => Err(over(state, context, "reject an approval request", "rejected")),
        (state, C::Withdraw) => {
            let refusal = state.request().map_or(Ok(()), |request| proposer(request, context).map(|_| ()));
            Err(refusal.err().unwrap_or_else(|| wrong_state(state, "withdrawn")))
        }
    }
}

fn request(
    approval_id: ApprovalId,
    command: &Proposed,
    rule: &Rule,
    acr: Strength,
    context: &Context,
) -> Result<ApprovalEvent, Refusal> {
    let requested_by = staff(context)?;
    rule.check(command.kind()).map_err(|refusal| refusal.inside("/rule"))?;
    let expires_at = context.now.checked_add_signed(TimeDelta::hours(i64::from(rule.hours)));
    let request = Request {
        approval_id,
        command: command.clone(),
        payload_digest: command.digest()?,
        rule: rule.clone(),
        requested_by,
        acr,
        requested_at: context.now,
        expires_at: expires_at.unwrap_or(Timestamp::MAX_UTC),
    };
    Ok(ApprovalEvent::Requested { request: Box::new(request) })
}

/// Only staff may know of it.
fn staff(context: &Context) -> Result<PartyId, Refusal> {
    match context.actor {
        Actor::Staff(_, id) => Ok(id),
        Actor::Client(_) | Actor::Payee(_) => Err(Refusal::NotAParty),
        Actor::System(_) => Err(Refusal::Forbidden { who: "staff", action: "propose or approve a command" }),
    }
}

/// Who may be for it or against it: one of the rule's roles, and not who has proposed it in whatever role.
fn approver(request: &Request, context: &Context, action: &'static str) -> Result<PartyId, Refusal> {
    let id = staff(context)?;
    by_another(request.requested_by, id)?;
    match context.actor {
        Actor::Staff(role, _) if request.rule.roles.contains(&role) => Ok(id),
        _ => Err(Refusal::Forbidden { who: "an approver", action }),
    }
}

fn proposer(request: &Request, context: &Context) -> Result<PartyId, Refusal> {
    let id = staff(context)?;
    if id == request.requested_by {
        return Ok(id);
    }
    Err(Refusal::Forbidden { who: "the one who has proposed it", action: "withdraw an approval request" })
}

/// At the instant itself its time is over, whether the deadline has been looked at or not.
fn in_time(request: &Request, context: &Context, action: &'static str) -> Result<(), Refusal> {
    if context.now < request.expires_at {
        return Ok(());
    }
    Err(Refusal::ApprovalWrongState { action, state: "lapsed" })
}

fn over(state: &ApprovalRequest, context: &Context, action: &'static str, participle: &'static str) -> Refusal {
    let refusal = state.request().map_or(Ok(()), |request| approver(request, context, action).map(|_| ()));
    refusal.err().unwrap_or_else(|| wrong_state(state, participle))
}

fn wrong_state(state: &ApprovalRequest, action: &'static str) -> Refusal {
    Refusal::ApprovalWrongState { action, state: state.state_name() }
}
