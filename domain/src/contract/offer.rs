//! Rules before acceptance: draft, offer, counter offer, answer.
//!
//! # Invariants
//! - Exactly one side can accept an offer: the one that did not make its last version.
//! - A counter offer has the full time of an offer again.

use super::change::apply;
use super::decide::{only, only_client, only_payee, role_of, wrong_state};
use super::event::ContractKind;
use super::terms::{check_fees, check_milestones, check_reference, check_terms, terms_digest};
use super::{Agreement, Contract, ContractCommand, ContractEvent, Role};
use crate::actor::Actor;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn draft(command: &ContractCommand, context: &Context) -> Result<Vec<ContractEvent>, Refusal> {
    let ContractCommand::Draft { contract_id, client_id, payee_id, currency, milestones, reference } = command else {
        return Err(Refusal::NotFound { what: "contract" });
    };
    if context.actor != Actor::Client(*client_id) {
        return Err(Refusal::Forbidden { who: "client", action: "draft a contract" });
    }
    if client_id == payee_id {
        return Err(Refusal::invalid("/payee_id", "client and payee must differ"));
    }
    check_milestones(milestones)?;
    check_reference(reference.as_deref(), "/reference")?;
    Ok(vec![ContractEvent::Drafted {
        contract_id: *contract_id,
        kind: ContractKind::Fixed,
        client_id: *client_id,
        payee_id: *payee_id,
        currency: *currency,
        milestones: milestones.clone(),
        reference: reference.clone(),
    }])
}

pub(super) fn decide(
    contract: &Contract,
    agreement: &Agreement,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use {Contract as S, ContractCommand as C, ContractEvent as E};
    let contract_id = agreement.contract_id;
    match (contract, command) {
        (S::Draft { .. }, C::Offer { fee_schedule, policy }) => {
            only_client(contract, context, "offer a contract")?;
            check_terms(agreement, fee_schedule, policy)?;
            Ok(vec![E::Offered {
                contract_id,
                offer_expires_at: days_after(context.now, policy.offer_expiry_days),
                fee_schedule: fee_schedule.clone(),
                policy: policy.clone(),
                milestones: agreement.milestones.clone(),
                terms_version: 1,
            }])
        }
        (_, C::Offer { .. }) => {
            only_client(contract, context, "offer a contract")?;
            Err(wrong_state(contract, "offered"))
        }

        (S::Offered { terms, terms_version, answer_by, .. }, C::CounterOffer { changes }) => {
            only(contract, context, *answer_by, "counter this version of an offer")?;
            let milestones = apply(&agreement.milestones, changes, |_| false)?;
            check_fees(agreement.currency, &milestones, &terms.fee_schedule)?;
            Ok(vec![E::Countered {
                contract_id,
                by: *answer_by,
                changes: changes.clone(),
                milestones,
                terms_version: terms_version.saturating_add(1),
                offer_expires_at: days_after(context.now, terms.policy.offer_expiry_days),
            }])
        }
        (S::Expired { expired_at, .. }, C::CounterOffer { .. }) => {
            role_of(contract, context, "counter an offer")?;
            Err(Refusal::OfferExpired { expired_at: *expired_at })
        }
        (_, C::CounterOffer { .. }) => {
            role_of(contract, context, "counter an offer")?;
            Err(wrong_state(contract, "countered"))
        }

        (S::Offered { terms, answer_by, .. }, C::Accept) => {
            let action = match answer_by {
                Role::Payee => "accept an offer",
                Role::Client => "accept a counter offer",
            };
            only(contract, context, *answer_by, action)?;
            Ok(vec![E::Accepted {
                contract_id,
                client_id: agreement.client_id,
                payee_id: agreement.payee_id,
                currency: agreement.currency,
                fee_schedule: terms.fee_schedule.clone(),
                policy: terms.policy.clone(),
                milestones: agreement.milestones.clone(),
                accepted_at: context.now,
                terms_digest: Some(terms_digest(agreement, terms)?),
                funding_due_at: Some(days_after(context.now, terms.policy.first_funding_days)),
            }])
        }
        (S::Expired { expired_at, .. }, C::Accept) => {
            only_payee(contract, context, "accept an offer")?;
            Err(Refusal::OfferExpired { expired_at: *expired_at })
        }
        (_, C::Accept) => {
            only_payee(contract, context, "accept an offer")?;
            Err(wrong_state(contract, "accepted"))
        }

        (S::Offered { .. }, C::Decline { reason }) => {
            only_payee(contract, context, "decline an offer")?;
            check_reference(reason.as_deref(), "/reason")?;
            Ok(vec![E::Declined { contract_id, reason: reason.clone() }])
        }
        (S::Expired { expired_at, .. }, C::Decline { .. }) => {
            only_payee(contract, context, "decline an offer")?;
            Err(Refusal::OfferExpired { expired_at: *expired_at })
        }
        (_, C::Decline { .. }) => {
            only_payee(contract, context, "decline an offer")?;
            Err(wrong_state(contract, "declined"))
        }

        (S::Offered { .. }, C::WithdrawOffer) => {
            only_client(contract, context, "withdraw an offer")?;
            Ok(vec![E::OfferWithdrawn { contract_id }])
        }
        (S::Expired { expired_at, .. }, C::WithdrawOffer) => {
            only_client(contract, context, "withdraw an offer")?;
            Err(Refusal::OfferExpired { expired_at: *expired_at })
        }
        (_, C::WithdrawOffer) => {
            only_client(contract, context, "withdraw an offer")?;
            Err(wrong_state(contract, "withdrawn"))
        }

        (S::Offered { offer_expires_at, .. }, C::ExpireOffer) => {
            Ok(vec![E::OfferExpired { contract_id, expired_at: offer_expires_at.unwrap_or(context.now) }])
        }
        (_, C::ExpireOffer) => Err(wrong_state(contract, "expired")),

        _ => Err(Refusal::Defect("a command of another part of the rules".to_owned())),
    }
}
