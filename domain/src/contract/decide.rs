//! Rules of a contract.

use std::collections::BTreeSet;

use ledger::Minor;

use super::event::ContractKind;
use super::{Agreement, ClosedMilestone, Contract, ContractCommand, ContractEvent, MilestonePlan};
use crate::actor::Actor;
use crate::id::ContractId;
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

/// Most milestones of a contract: all of them are loaded to judge a command on one.
pub const MAX_MILESTONES: usize = 100;

/// Longest review window; a year is far beyond what any marketplace offers.
pub const MAX_REVIEW_DAYS: u16 = 365;

/// Longest reference of the marketplace's own.
const MAX_REFERENCE_LENGTH: usize = 64;

pub(super) fn decide(
    contract: &Contract,
    command: &ContractCommand,
    context: &Context,
) -> Result<Vec<ContractEvent>, Refusal> {
    use {Contract as S, ContractCommand as C, ContractEvent as E};
    match (contract, command) {
        (S::NotDrafted, C::Draft { .. }) => draft(command, context),
        (S::NotDrafted, _) => Err(Refusal::NotFound { what: "contract" }),

        // A draft is the client's own: the payee does not know of it yet.
        (S::Draft { agreement }, C::Offer { .. } | C::Accept) if context.actor.party() == Some(agreement.payee_id) => {
            Err(Refusal::NotAParty)
        }

        (S::Draft { agreement }, C::Offer { fee_schedule, policy }) => {
            only_client(agreement, context, "offer a contract")?;
            check_fees(agreement, fee_schedule)?;
            Ok(vec![E::Offered {
                contract_id: agreement.contract_id,
                offer_expires_at: days_after(context.now, policy.offer_expiry_days),
                fee_schedule: fee_schedule.clone(),
                policy: policy.clone(),
                milestones: agreement.milestones.clone(),
                terms_version: 1,
            }])
        }
        (state, C::Offer { .. }) => {
            only_client_of(state, context, "offer a contract")?;
            Err(wrong_state(state, "offered"))
        }

        (S::Offered { agreement, terms, .. }, C::Accept) => {
            only_payee(agreement, context, "accept an offer")?;
            Ok(vec![E::Accepted {
                contract_id: agreement.contract_id,
                client_id: agreement.client_id,
                payee_id: agreement.payee_id,
                currency: agreement.currency,
                fee_schedule: terms.fee_schedule.clone(),
                policy: terms.policy.clone(),
                milestones: agreement.milestones.clone(),
                accepted_at: context.now,
            }])
        }
        (S::Expired { agreement, expired_at }, C::Accept) => {
            only_payee(agreement, context, "accept an offer")?;
            Err(Refusal::OfferExpired { expired_at: *expired_at })
        }
        (state, C::Accept) => {
            if let Some(agreement) = state.agreement() {
                only_payee(agreement, context, "accept an offer")?;
            }
            Err(wrong_state(state, "accepted"))
        }

        (S::Offered { agreement, offer_expires_at, .. }, C::ExpireOffer) => Ok(vec![E::OfferExpired {
            contract_id: agreement.contract_id,
            expired_at: offer_expires_at.unwrap_or(context.now),
        }]),
        (state, C::ExpireOffer) => Err(wrong_state(state, "expired")),

        (S::PendingFunding { agreement, .. }, C::RecordFunding { funding_id }) => {
            Ok(vec![E::Activated { contract_id: agreement.contract_id, first_funding_id: *funding_id }])
        }
        // Later money changes nothing here.
        (S::Active { .. }, C::RecordFunding { .. }) => Ok(Vec::new()),
        (state, C::RecordFunding { .. }) => Err(wrong_state(state, "funded")),

        (S::Active { closed, .. }, C::CloseMilestone { milestone_id, .. }) if closed.contains_key(milestone_id) => {
            Ok(Vec::new())
        }
        (S::Active { agreement, closed, .. }, C::CloseMilestone { milestone_id, outcome, released }) => {
            if !agreement.milestones.iter().any(|plan| plan.milestone_id == *milestone_id) {
                return Err(Refusal::NotFound { what: "milestone" });
            }
            let mut events = vec![E::MilestoneClosed {
                contract_id: agreement.contract_id,
                milestone_id: *milestone_id,
                outcome: *outcome,
                released: *released,
            }];
            // The keys of `closed` are milestones of the agreement, so that this one makes it complete or not.
            if closed.len().saturating_add(1) == agreement.milestones.len() {
                events.push(completed(agreement.contract_id, closed.values(), *released, context)?);
            }
            Ok(events)
        }
        (state, C::CloseMilestone { .. }) => Err(wrong_state(state, "relieved of a milestone")),

        (state, C::BlockTimer { key, reason }) => match state.agreement() {
            Some(agreement) => Ok(vec![E::TimerBlocked {
                contract_id: agreement.contract_id,
                key: key.clone(),
                reason: reason.clone(),
            }]),
            None => Err(Refusal::NotFound { what: "contract" }),
        },

        (state, C::Draft { .. }) => Err(wrong_state(state, "drafted")),
    }
}

fn draft(command: &ContractCommand, context: &Context) -> Result<Vec<ContractEvent>, Refusal> {
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

fn check_milestones(milestones: &[MilestonePlan]) -> Result<(), Refusal> {
    if milestones.is_empty() || milestones.len() > MAX_MILESTONES {
        return Err(Refusal::invalid("/milestones", format!("must have 1 to {MAX_MILESTONES} entries")));
    }
    let mut seen = BTreeSet::new();
    let mut total = Minor::ZERO;
    for (index, plan) in milestones.iter().enumerate() {
        let at = |field: &str| format!("/milestones/{index}/{field}");
        if plan.amount.is_zero() {
            return Err(Refusal::invalid(at("amount"), "must be greater than zero"));
        }
        if plan.amount > Minor::MAX_INPUT {
            return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
        }
        if plan.review_days.is_some_and(|days| days == 0 || days > MAX_REVIEW_DAYS) {
            return Err(Refusal::invalid(at("review_days"), format!("must be 1 to {MAX_REVIEW_DAYS}")));
        }
        check_reference(plan.reference.as_deref(), &at("reference"))?;
        if !seen.insert(plan.milestone_id) {
            return Err(Refusal::invalid(at("milestone_id"), "appears twice"));
        }
        total = total.checked_add(plan.amount)?;
    }
    // The total is bounded too, so that no sum over a contract can leave its range.
    if total > Minor::MAX_INPUT {
        return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
    }
    Ok(())
}

/// A reference is the marketplace's own key for the thing. Free text is not taken: it could hold personal data, and
/// events are for ever.
fn check_reference(reference: Option<&str>, pointer: &str) -> Result<(), Refusal> {
    let Some(text) = reference else { return Ok(()) };
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte));
    if text.is_empty() || text.len() > MAX_REFERENCE_LENGTH || !plain {
        return Err(Refusal::invalid(
            pointer,
            format!("must be 1 to {MAX_REFERENCE_LENGTH} characters out of A-Z a-z 0-9 . _ : / -"),
        ));
    }
    Ok(())
}

/// What the client would pay for the largest milestone must be an amount too.
fn check_fees(agreement: &Agreement, fees: &crate::policy::FeeSchedule) -> Result<(), Refusal> {
    for plan in &agreement.milestones {
        let due = plan.amount.checked_add(fees.client_fee.on(plan.amount)?)?;
        if due > Minor::MAX_INPUT {
            return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
        }
    }
    Ok(())
}

fn completed<'a>(
    contract_id: ContractId,
    closed: impl Iterator<Item = &'a ClosedMilestone>,
    last: Minor,
    context: &Context,
) -> Result<ContractEvent, Refusal> {
    let released_total = closed.map(|milestone| milestone.released).try_fold(last, Minor::checked_add)?;
    Ok(ContractEvent::Completed { contract_id, released_total, completed_at: context.now })
}

fn wrong_state(contract: &Contract, action: &'static str) -> Refusal {
    use crate::rules::Rules;
    Refusal::ContractWrongState { action, state: contract.state_name() }
}

fn only_client_of(contract: &Contract, context: &Context, action: &'static str) -> Result<(), Refusal> {
    contract.agreement().map_or(Ok(()), |agreement| only_client(agreement, context, action))
}

fn only_client(agreement: &Agreement, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == agreement.client_id => Ok(()),
        actor if is_party(agreement, actor) => Err(Refusal::Forbidden { who: "client", action }),
        _ => Err(Refusal::NotAParty),
    }
}

fn only_payee(agreement: &Agreement, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(party) if party == agreement.payee_id => Ok(()),
        actor if is_party(agreement, actor) => Err(Refusal::Forbidden { who: "payee", action }),
        _ => Err(Refusal::NotAParty),
    }
}

/// Whether the actor stands in this contract in the role it acts in.
fn is_party(agreement: &Agreement, actor: Actor) -> bool {
    match actor {
        Actor::Client(party) | Actor::Payee(party) => party == agreement.client_id || party == agreement.payee_id,
        Actor::Staff(..) | Actor::System(_) => false,
    }
}
