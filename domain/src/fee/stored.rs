//! How a fee schedule is written into events and documents: without what its reading fills in.
//!
//! # Invariants
//! As for policies ([`crate::policy`]): what is left out is exactly what reading fills in, and those values are frozen.

use ledger::{Currency, Minor};
use serde::{Serialize, Serializer};

use super::{Bearer, Fee, FeeSchedule, Promotion, RefundClientFee, Tax, is_zero};

#[derive(Serialize)]
struct Sparse<'a> {
    id: &'a str,
    version: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    client_fee: &'a Fee,
    payee_fee: &'a Fee,
    #[serde(skip_serializing_if = "is_zero")]
    initiation_fee: Minor,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_fee: Option<&'a Fee>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_fee_payer: Option<Bearer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_client_fee: Option<RefundClientFee>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_psp_fee_bearer: Option<Bearer>,
    #[serde(skip_serializing_if = "<[Promotion]>::is_empty")]
    promotions: &'a [Promotion],
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<&'a Tax>,
}

/// Writes a schedule without what reading fills in. For `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn stored<S: Serializer>(schedule: &FeeSchedule, serializer: S) -> Result<S::Ok, S::Error> {
    let FeeSchedule {
        id,
        version,
        currency,
        client_fee,
        payee_fee,
        initiation_fee,
        processing_fee,
        processing_fee_payer,
        refund_client_fee,
        refund_psp_fee_bearer,
        promotions,
        tax,
    } = schedule;
    Sparse {
        id,
        version: *version,
        currency: *currency,
        client_fee,
        payee_fee,
        initiation_fee: *initiation_fee,
        processing_fee: (!processing_fee.is_none()).then_some(processing_fee),
        processing_fee_payer: Some(*processing_fee_payer).filter(|payer| *payer != Bearer::default()),
        refund_client_fee: Some(*refund_client_fee).filter(|what| *what != RefundClientFee::default()),
        refund_psp_fee_bearer: Some(*refund_psp_fee_bearer).filter(|bearer| *bearer != Bearer::default()),
        promotions,
        tax: (!tax.is_none()).then_some(&**tax),
    }
    .serialize(serializer)
}
