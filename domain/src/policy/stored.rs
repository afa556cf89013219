//! How a policy is written into events and documents: without what its reading fills in.
//!
//! # Invariants
//! - What is left out is exactly what reading fills in, so nothing is lost: written and read again it is the same.
//! - Those values are frozen, as every stored shape is. Others for new contracts go into the presets
//!   ([`Policy::fixed`] and so on), and are written out then; the values here stay.
//!
//! # What is deliberately absent
//! Anything else than storing: answers of the API and [`crate::contract::terms_digest`] have every member.

use serde::{Serialize, Serializer};

use super::psp_hold::{OTHER_DAYS, WARN_DAYS, is_usual};
use super::{Dormancy, HoldAction, HoldLimit, Liability, Periods, Policy, PspHold};
use crate::jurisdiction::Jurisdiction;

#[derive(Serialize)]
struct Sparse<'a> {
    id: &'a str,
    version: u16,
    offer_expiry_days: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_funding_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    funding_intent_hours: Option<u16>,
    review_days: u16,
    clearance_days: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_request_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_request_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payee_refund_window_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bonus_window_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dormancy: Option<&'a Dormancy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psp_hold: Option<SparseHold<'a>>,
    #[serde(skip_serializing_if = "Liability::is_payee")]
    chargeback_liability: Liability,
}

#[derive(Serialize)]
struct SparseHold<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_country: Option<&'a Jurisdiction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'a [HoldLimit]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warn_days: Option<&'a [u16]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<HoldAction>,
}

/// Writes a policy without what reading fills in. For `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn stored<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
    let Policy {
        id,
        version,
        offer_expiry_days,
        first_funding_days,
        funding_intent_hours,
        review_days,
        clearance_days,
        end_request_days,
        refund_request_days,
        payee_refund_window_days,
        bonus_window_days,
        dormancy,
        psp_hold,
        chargeback_liability,
    } = policy;
    Sparse {
        id,
        version: *version,
        offer_expiry_days: *offer_expiry_days,
        first_funding_days: unless(first_funding_days, &Periods::first_funding_days()),
        funding_intent_hours: unless(funding_intent_hours, &Periods::funding_intent_hours()),
        review_days: *review_days,
        clearance_days: *clearance_days,
        end_request_days: unless(end_request_days, &Periods::answer_days()),
        refund_request_days: unless(refund_request_days, &Periods::answer_days()),
        payee_refund_window_days: unless(payee_refund_window_days, &Periods::payee_refund_window_days()),
        bonus_window_days: unless(bonus_window_days, &Periods::bonus_window_days()),
        dormancy: (*dormancy != Dormancy::default()).then_some(dormancy),
        psp_hold: SparseHold::of(psp_hold),
        chargeback_liability: *chargeback_liability,
    }
    .serialize(serializer)
}

impl<'a> SparseHold<'a> {
    /// `None` when nothing of it is unusual.
    fn of(hold: &'a PspHold) -> Option<Self> {
        let PspHold { platform_country, limits, other_days, warn_days, action } = hold;
        let sparse = Self {
            platform_country: platform_country.as_ref(),
            limits: (!is_usual(limits)).then_some(limits),
            other_days: unless(other_days, &OTHER_DAYS),
            warn_days: (*warn_days != WARN_DAYS).then_some(warn_days),
            action: unless(action, &HoldAction::default()),
        };
        let Self { platform_country, limits, other_days, warn_days, action } = &sparse;
        let unusual = platform_country.is_some()
            || limits.is_some()
            || other_days.is_some()
            || warn_days.is_some()
            || action.is_some();
        unusual.then_some(sparse)
    }
}

fn unless<T: Copy + PartialEq>(value: &T, usual: &T) -> Option<T> {
    (value != usual).then_some(*value)
}
