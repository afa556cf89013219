//! What the log proves about a payment that a bank disagrees with: a document drawn up from the events of a contract.
//!
//! # Invariants
//! - The same events give the same document, byte for byte, and with it the same digest.
//! - References only: no name, no address, no text that a party wrote.
//! - A step is in it as it happened; nothing is judged.
//!
//! # What is deliberately absent
//! Files and messages: the log has their references. Where the client was when paying: the provider knows that itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contract::{ContractEvent, MilestonePlan};
use crate::event::DomainEvent;
use crate::funding::FundingEvent;
use crate::id::{ContractId, FundingId, MilestoneId, PartyId};
use crate::milestone::{ApprovalReason, MilestoneEvent};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What is proved. Amounts are minor units of the contract's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceBundle {
    /// Version of this document's shape: 1.
    pub version: u16,
    /// The provider's dispute.
    pub dispute_ref: String,
    /// The contract.
    pub contract_id: ContractId,
    /// Who paid.
    pub client_id: PartyId,
    /// Who delivered.
    pub payee_id: PartyId,
    /// Currency of the contract.
    pub currency: Currency,
    /// When both had agreed.
    pub accepted_at: Timestamp,
    /// SHA-256 (hex) of the terms that both agreed to; absent in contracts from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_digest: Option<String>,
    /// What was agreed and done, milestone by milestone, in the order of the contract.
    pub milestones: Vec<MilestoneEvidence>,
    /// What the client paid, in the order in which it came.
    pub payments: Vec<PaymentEvidence>,
}

/// What was agreed about a milestone, and what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MilestoneEvidence {
    /// The milestone.
    pub milestone_id: MilestoneId,
    /// What it is worth.
    pub amount: Minor,
    /// When it was to be delivered, if agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The marketplace's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
}

/// Something that happened to a milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// Of which submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_no: Option<u32>,
    /// About how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
    /// The marketplace's own reference of what was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What can happen to a milestone, as far as a bank asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Its money was held.
    Funded,
    /// The payee delivered.
    Submitted,
    /// The payee took the delivery back.
    SubmissionWithdrawn,
    /// The client wanted something else.
    ChangesRequested,
    /// The client approved.
    Approved,
    /// The client approved a part.
    ApprovedInPart,
    /// The client said nothing in the time agreed.
    ApprovedByTime,
    /// The payee was credited.
    Released,
    /// Money went back to the client.
    Refunded,
    /// A party disagreed.
    Disputed,
    /// The disagreement was taken back.
    DisputeWithdrawn,
}

/// A payment that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentEvidence {
    /// The funding.
    pub funding_id: FundingId,
    /// The provider's charge.
    pub charge_ref: String,
    /// What was collected.
    pub captured: Minor,
    /// In which currency.
    pub currency: Currency,
    /// When.
    pub collected_at: Timestamp,
}

impl EvidenceBundle {
    /// Draws the document up from the events of a contract, its milestones and its fundings, oldest first; others among
    /// them are passed over. `None` when the contract was never accepted, so that nothing is proved.
    pub fn draw_up<'a>(
        dispute_ref: &str,
        contract_id: ContractId,
        events: impl IntoIterator<Item = (Timestamp, &'a DomainEvent)>,
    ) -> Option<Self> {
        let mut bundle = None;
        let mut steps: BTreeMap<MilestoneId, Vec<Step>> = BTreeMap::new();
        let mut payments = Vec::new();
        for (at, event) in events {
            if event.contract_id() != Some(contract_id) {
                continue;
            }
            match event {
                DomainEvent::Contract(event) => agreed(&mut bundle, dispute_ref, event),
                DomainEvent::Milestone(event) => {
                    if let Some((milestone_id, step)) = step(at, event) {
                        steps.entry(milestone_id).or_default().push(step);
                    }
                }
                DomainEvent::Funding(FundingEvent::Succeeded {
                    funding_id,
                    charge_ref,
                    captured,
                    currency,
                    collected_at,
                    ..
                }) => payments.push(PaymentEvidence {
                    funding_id: *funding_id,
                    charge_ref: charge_ref.clone(),
                    captured: *captured,
                    currency: *currency,
                    collected_at: *collected_at,
                }),
                _ => {}
            }
        }
        let mut bundle = bundle?;
        for milestone in &mut bundle.milestones {
            milestone.steps = steps.remove(&milestone.milestone_id).unwrap_or_default();
        }
        bundle.payments = payments;
        Some(bundle)
    }

    /// SHA-256 (hex, lower case) of the document as JSON.
    ///
    /// # Errors
    /// [`Refusal::Defect`] if it cannot be written, which none of ours does.
    pub fn digest(&self) -> Result<String, Refusal> {
        sha256(self)
    }
}

/// SHA-256 (hex, lower case) of something as JSON.
pub(super) fn sha256(of: &impl Serialize) -> Result<String, Refusal> {
    let text = serde_json::to_vec(of).map_err(|error| Refusal::Defect(error.to_string()))?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// What the parties agreed, and agreed to change.
fn agreed(bundle: &mut Option<EvidenceBundle>, dispute_ref: &str, event: &ContractEvent) {
    match event {
        ContractEvent::Accepted {
            contract_id,
            client_id,
            payee_id,
            currency,
            milestones,
            accepted_at,
            terms_digest,
            ..
        } => {
            *bundle = Some(EvidenceBundle {
                version: 1,
                dispute_ref: dispute_ref.to_owned(),
                contract_id: *contract_id,
                client_id: *client_id,
                payee_id: *payee_id,
                currency: *currency,
                accepted_at: *accepted_at,
                terms_digest: terms_digest.clone(),
                milestones: milestones.iter().map(plan).collect(),
                payments: Vec::new(),
            });
        }
        ContractEvent::AmendmentAccepted { milestones, .. } => {
            if let Some(bundle) = bundle {
                bundle.milestones = milestones.iter().map(plan).collect();
            }
        }
        _ => {}
    }
}

fn plan(plan: &MilestonePlan) -> MilestoneEvidence {
    MilestoneEvidence {
        milestone_id: plan.milestone_id,
        amount: plan.amount,
        due_at: plan.due_at,
        reference: plan.reference.clone(),
        steps: Vec::new(),
    }
}

fn step(at: Timestamp, event: &MilestoneEvent) -> Option<(MilestoneId, Step)> {
    use MilestoneEvent as E;
    let (milestone_id, what, submission_no, amount) = match event {
        E::Funded { milestone_id, amount, .. } | E::MovedIn { milestone_id, amount, .. } => {
            (milestone_id, What::Funded, None, Some(amount))
        }
        E::WorkSubmitted { milestone_id, submission_no, .. } => {
            (milestone_id, What::Submitted, Some(*submission_no), None)
        }
        E::SubmissionWithdrawn { milestone_id, submission_no, .. } => {
            (milestone_id, What::SubmissionWithdrawn, Some(*submission_no), None)
        }
        E::ChangesRequested { milestone_id, submission_no, .. } => {
            (milestone_id, What::ChangesRequested, Some(*submission_no), None)
        }
        E::Approved { milestone_id, submission_no, gross, reason, .. } => {
            let what = if *reason == ApprovalReason::Client { What::Approved } else { What::ApprovedByTime };
            (milestone_id, what, *submission_no, Some(gross))
        }
        E::PartiallyApproved { milestone_id, submission_no, gross, .. } => {
            (milestone_id, What::ApprovedInPart, *submission_no, Some(gross))
        }
        E::AutoApproved { milestone_id, submission_no, gross, .. } => {
            (milestone_id, What::ApprovedByTime, Some(*submission_no), Some(gross))
        }
        E::Released { milestone_id, gross, .. } => (milestone_id, What::Released, None, Some(gross)),
        E::Refunded { milestone_id, amount, .. } => (milestone_id, What::Refunded, None, Some(amount)),
        E::Disputed { milestone_id, amount, .. } => (milestone_id, What::Disputed, None, Some(amount)),
        E::DisputeWithdrawn { milestone_id, .. } => (milestone_id, What::DisputeWithdrawn, None, None),
        _ => return None,
    };
    let reference = match event {
        E::ChangesRequested { note_ref, .. } => note_ref.clone(),
        _ => None,
    };
    Some((*milestone_id, Step { at, what, submission_no, amount: amount.copied(), reference }))
}
