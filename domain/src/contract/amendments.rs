//! Rules of changing accepted terms: one side proposes, the other answers.
//!
//! # Invariants
//! - One amendment waits at a time. It lapses by itself.
//! - An amount is never lowered below what was paid in. What it is raised by beyond that is paid in on top by the client:
//!   the milestone says how much is missing, and no money moves by the amendment itself.

use super::change::apply;
use super::decide::{role_of, wrong_state};
use super::event::AmendmentEnd;
use super::terms::{check_fees, terms_digest};
use super::{Agreement, Change, Contract, ContractCommand, ContractEvent, Life, Parts, Proposal};
use crate::id::AmendmentId;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    contract: &Contract,
    agreement: &Agreement,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use {Contract as S, ContractCommand as C, ContractEvent as E};
    let contract_id = agreement.contract_id;
    match (contract, command) {
        (S::Active { life }, C::ProposeAmendment { amendment_id, changes, parts }) => {
            let by = role_of(contract, context, "propose an amendment")?;
            if life.proposal.is_some() {
                return Err(Refusal::AmendmentPending);
            }
            check_changes(life, changes)?;
            check_funded(changes, parts)?;
            Ok(vec![E::AmendmentProposed {
                contract_id,
                amendment_id: *amendment_id,
                by,
                changes: changes.clone(),
                // An amendment is an offer too, and waits as long as one.
                expires_at: days_after(context.now, life.terms.policy.offer_expiry_days),
            }])
        }
        // A party who proposes something is active: the contract is not dormant any more.
        (S::Dormant { .. }, C::ProposeAmendment { .. }) => {
            role_of(contract, context, "propose an amendment")?;
            super::dormancy::revived(contract, command, context)
        }
        (_, C::ProposeAmendment { .. }) => {
            role_of(contract, context, "propose an amendment")?;
            Err(wrong_state(contract, "amended"))
        }

        (S::Active { life }, C::AcceptAmendment { amendment_id }) => {
            let role = role_of(contract, context, "accept an amendment")?;
            let proposal = waiting(life, *amendment_id)?;
            if role == proposal.by {
                return Err(Refusal::Forbidden { who: role.other().word(), action: "accept this amendment" });
            }
            let milestones = check_changes(life, &proposal.changes)?;
            let amended = Agreement { milestones: milestones.clone(), ..agreement.clone() };
            Ok(vec![E::AmendmentAccepted {
                contract_id,
                amendment_id: *amendment_id,
                changes: proposal.changes.clone(),
                milestones,
                client_id: agreement.client_id,
                payee_id: agreement.payee_id,
                currency: agreement.currency,
                default_review_days: life.terms.policy.review_days,
                refund_request_days: life.terms.policy.refund_request_days,
                terms_digest: terms_digest(&amended, &life.terms)?,
            }])
        }
        (_, C::AcceptAmendment { .. }) => {
            role_of(contract, context, "accept an amendment")?;
            Err(wrong_state(contract, "amended"))
        }

        (S::Active { life } | S::Paused { life, .. }, C::RejectAmendment { amendment_id }) => {
            let role = role_of(contract, context, "reject an amendment")?;
            let proposal = waiting(life, *amendment_id)?;
            let reason = if role == proposal.by { AmendmentEnd::Withdrawn } else { AmendmentEnd::Rejected };
            Ok(vec![E::AmendmentRejected { contract_id, amendment_id: *amendment_id, reason }])
        }
        (_, C::RejectAmendment { .. }) => {
            role_of(contract, context, "reject an amendment")?;
            Err(wrong_state(contract, "amended"))
        }

        (S::Active { life } | S::Paused { life, .. }, C::ExpireAmendment { amendment_id }) => {
            waiting(life, *amendment_id)?;
            Ok(vec![E::AmendmentRejected { contract_id, amendment_id: *amendment_id, reason: AmendmentEnd::Expired }])
        }
        (_, C::ExpireAmendment { .. }) => Err(wrong_state(contract, "amended")),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}

fn waiting(life: &Life, amendment_id: AmendmentId) -> Result<&Proposal, Refusal> {
    let of_this_id = life.proposal.as_ref().filter(|proposal| proposal.amendment_id == amendment_id);
    of_this_id.ok_or(Refusal::NotFound { what: "amendment" })
}

/// The milestones that the changes lead to.
fn check_changes(life: &Life, changes: &[Change]) -> Result<Vec<super::MilestonePlan>, Refusal> {
    let milestones = apply(&life.agreement.milestones, changes, |id| life.closed.contains_key(&id))?;
    check_fees(life.agreement.currency, &milestones, &life.terms.fee_schedule)?;
    Ok(milestones)
}

fn check_funded(changes: &[Change], parts: &Parts) -> Result<(), Refusal> {
    for (index, change) in changes.iter().enumerate() {
        if let Change::ChangeAmount { milestone_id, amount } = change
            && let Some(part) = parts.of(*milestone_id)
            && *amount < part.funded
        {
            let funded = part.funded;
            let message = format!("must be at least what was paid in: {funded} minor units");
            return Err(Refusal::invalid(format!("/changes/{index}/amount"), message));
        }
    }
    Ok(())
}
