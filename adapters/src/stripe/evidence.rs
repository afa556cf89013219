//! Evidence as Stripe takes it: what the log proves as texts that a person at a bank reads, and what staff says beside it.
//!
//! # Invariants
//! - What staff says of a field takes the place of what is drawn up for it.
//! - What is drawn up is cut, from its end, so that no field and not all together are more than Stripe takes.

use std::fmt::Write as _;

use domain::chargeback::statement::{FileField, TEXT_MAX, TEXTS_MAX, TextField};
use domain::chargeback::{EvidenceBundle, Statement};
use domain::ports::provider::ProviderError;
use ledger::{Currency, Minor, Money};
use stripe_core::dispute::UpdateDisputeEvidence;

/// The document and the words, by Stripe's fields.
pub(super) fn fields(
    evidence: &EvidenceBundle,
    words: Option<&Statement>,
) -> Result<UpdateDisputeEvidence, ProviderError> {
    let mut fields = UpdateDisputeEvidence::new();
    let mut room = TEXTS_MAX;
    if let Some(words) = words {
        for (field, text) in &words.texts {
            *text_of(&mut fields, *field) = Some(text.clone());
        }
        for (field, name) in &words.files {
            *file_of(&mut fields, *field) = Some(name.clone());
        }
        room = room.saturating_sub(words.characters());
    }
    for (field, text) in drawn_up(evidence)? {
        let place = text_of(&mut fields, field);
        if place.is_some() || text.is_empty() {
            continue;
        }
        let text = cut(text, room.min(TEXT_MAX));
        room = room.saturating_sub(text.chars().count());
        *place = Some(text).filter(|text| !text.is_empty());
    }
    Ok(fields)
}

/// The document as texts: what was agreed, what was done, and what was paid.
fn drawn_up(evidence: &EvidenceBundle) -> Result<[(TextField, String); 3], ProviderError> {
    let currency = evidence.currency;
    let money = |amount: Minor| written(amount, currency);
    let digest = evidence.digest().map_err(|refusal| ProviderError::Unusable(refusal.to_string()))?;
    let mut agreed = format!(
        "Contract {} between client {} and payee {}, accepted by both at {}.\n",
        evidence.contract_id, evidence.client_id, evidence.payee_id, evidence.accepted_at
    );
    let mut done = String::new();
    // Writing to a string does not fail.
    if let Some(terms) = &evidence.terms_digest {
        let _ = writeln!(agreed, "SHA-256 of the terms: {terms}.");
    }
    for milestone in &evidence.milestones {
        let _ = writeln!(agreed, "Milestone {}: {}.", milestone.milestone_id, money(milestone.amount));
        for step in &milestone.steps {
            let what = serde_json::to_value(step.what).ok();
            let word = what.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ");
            let _ = write!(done, "{} milestone {}: {word}", step.at, milestone.milestone_id);
            if let Some(number) = step.submission_no {
                let _ = write!(done, ", delivery {number}");
            }
            if let Some(amount) = step.amount {
                let _ = write!(done, ", {}", money(amount));
            }
            done.push_str(".\n");
        }
    }
    let mut paid = String::new();
    for payment in &evidence.payments {
        let _ = writeln!(
            paid,
            "{} payment {} by charge {}: {}.",
            payment.collected_at,
            payment.funding_id,
            payment.charge_ref,
            written(payment.captured, payment.currency)
        );
    }
    let _ = writeln!(paid, "SHA-256 of the whole document: {digest}.");
    Ok([
        (TextField::ProductDescription, agreed),
        (TextField::AccessActivityLog, done),
        (TextField::UncategorizedText, paid),
    ])
}

fn text_of(fields: &mut UpdateDisputeEvidence, field: TextField) -> &mut Option<String> {
    use TextField as F;
    match field {
        F::AccessActivityLog => &mut fields.access_activity_log,
        F::BillingAddress => &mut fields.billing_address,
        F::CancellationPolicyDisclosure => &mut fields.cancellation_policy_disclosure,
        F::CancellationRebuttal => &mut fields.cancellation_rebuttal,
        F::CustomerEmailAddress => &mut fields.customer_email_address,
        F::CustomerName => &mut fields.customer_name,
        F::CustomerPurchaseIp => &mut fields.customer_purchase_ip,
        F::DuplicateChargeExplanation => &mut fields.duplicate_charge_explanation,
        F::DuplicateChargeId => &mut fields.duplicate_charge_id,
        F::ProductDescription => &mut fields.product_description,
        F::RefundPolicyDisclosure => &mut fields.refund_policy_disclosure,
        F::RefundRefusalExplanation => &mut fields.refund_refusal_explanation,
        F::ServiceDate => &mut fields.service_date,
        F::ShippingAddress => &mut fields.shipping_address,
        F::ShippingCarrier => &mut fields.shipping_carrier,
        F::ShippingDate => &mut fields.shipping_date,
        F::ShippingTrackingNumber => &mut fields.shipping_tracking_number,
        F::UncategorizedText => &mut fields.uncategorized_text,
    }
}

fn file_of(fields: &mut UpdateDisputeEvidence, field: FileField) -> &mut Option<String> {
    use FileField as F;
    match field {
        F::CancellationPolicy => &mut fields.cancellation_policy,
        F::CustomerCommunication => &mut fields.customer_communication,
        F::CustomerSignature => &mut fields.customer_signature,
        F::DuplicateChargeDocumentation => &mut fields.duplicate_charge_documentation,
        F::Receipt => &mut fields.receipt,
        F::RefundPolicy => &mut fields.refund_policy,
        F::ServiceDocumentation => &mut fields.service_documentation,
        F::ShippingDocumentation => &mut fields.shipping_documentation,
        F::UncategorizedFile => &mut fields.uncategorized_file,
    }
}

fn written(amount: Minor, currency: Currency) -> String {
    Money::new(i128::from(amount.get()), currency).to_string()
}

/// As much as fits, from the beginning.
fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}
