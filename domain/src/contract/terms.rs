//! What terms may be agreed, and the digest that names them.

use std::collections::BTreeSet;
use std::fmt::Write;

use ledger::{Currency, Minor};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Agreement, MAX_MILESTONES, MAX_REVIEW_DAYS, MilestonePlan, Terms};
use crate::fee::{Bearer, ContractFees, FeeSchedule, MilestoneFees, Part};
use crate::policy::Policy;
use crate::refusal::Refusal;

/// Longest reference of the marketplace's own.
const MAX_REFERENCE_LENGTH: usize = 64;

/// SHA-256, in hex, over parties, currency, milestones, fees and periods as JSON in this order: what both sides can
/// compare to know that they agreed to the same.
///
/// # Errors
/// [`Refusal::Defect`] if the terms cannot be written, which none of ours do.
pub fn terms_digest(agreement: &Agreement, terms: &Terms) -> Result<String, Refusal> {
    #[derive(Serialize)]
    struct Agreed<'a> {
        agreement: &'a Agreement,
        fee_schedule: &'a FeeSchedule,
        policy: &'a Policy,
    }
    let agreed = Agreed { agreement, fee_schedule: &terms.fee_schedule, policy: &terms.policy };
    let text = serde_json::to_vec(&agreed).map_err(|error| Refusal::Defect(error.to_string()))?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

pub(super) fn check_milestones(milestones: &[MilestonePlan]) -> Result<(), Refusal> {
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
pub(crate) fn check_reference(reference: Option<&str>, pointer: &str) -> Result<(), Refusal> {
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

/// Fees and periods make sense, and what the client would pay for each milestone is an amount too.
pub(super) fn check_terms(agreement: &Agreement, fees: &FeeSchedule, policy: &Policy) -> Result<(), Refusal> {
    fees.check().map_err(|refusal| refusal.inside("/fee_schedule"))?;
    fees.check_currency(agreement.currency)?;
    policy.check().map_err(|refusal| refusal.inside("/policy"))?;
    if fees.refund_psp_fee_bearer != Bearer::Platform {
        // An escrow is not told what the provider kept of a payment, so that it cannot take that from anybody.
        return Err(Refusal::NotSupported { what: "refund whose provider's fee the client or the payee bears" });
    }
    if fees.promotions.iter().any(|promotion| promotion.first_contracts.is_some()) {
        // Nobody counts the contracts of a payee, so that every one of them would be among the first.
        return Err(Refusal::NotSupported { what: "promotion for a payee's first contracts" });
    }
    if !fees.tax.rules.is_empty() && fees.tax.client.is_none() && fees.tax.payee.is_none() {
        // A party is taxed by what the schedule says of it, not by where it is: nobody would be taxed.
        return Err(Refusal::NotSupported { what: "tax by jurisdiction where the taxes of the parties are not given" });
    }
    check_fees(agreement.currency, &agreement.milestones, fees)
}

/// What the client would pay for each milestone, fees included, must be an amount too.
pub(super) fn check_fees(currency: Currency, milestones: &[MilestonePlan], fees: &FeeSchedule) -> Result<(), Refusal> {
    for plan in milestones {
        let part = Part { amount: plan.amount, before: MilestoneFees::default() };
        let due = fees.charge(currency, &[part], &ContractFees::default(), Minor::ZERO, true)?;
        if due.charge > Minor::MAX_INPUT {
            return Err(Refusal::AmountTooLarge { max: Minor::MAX_INPUT });
        }
    }
    Ok(())
}
