//! A chargeback as the API shows it, to staff.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::chargeback::statement::{FileField, TextField};
use domain::chargeback::{Case, Chargeback, Charged, EvidenceBundle, Moved};
use domain::refusal::Refusal;
use domain::rules::Rules;
use ledger::Currency;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;
use super::personal::RedactedView;
use crate::identity::personal::Said;

/// A disagreement of a client's bank with a payment: one cycle of it; or a network's warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargebackView {
    /// Its id.
    #[schema(example = "cbk_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `chargeback`.
    #[schema(example = "chargeback")]
    pub object: String,
    /// `warned`, `inquiry`, `inquiry_closed`, `needs_response`, `under_review`, `accepted`, `won` or `lost`.
    #[schema(example = "needs_response")]
    pub status: String,
    /// The contract that was paid for; none for a top-up of a wallet.
    pub contract_id: Option<String>,
    /// The payment.
    pub funding_id: String,
    /// The provider's dispute; of a warning, the provider's warning.
    #[schema(example = "dp_1")]
    pub psp_ref: String,
    /// Which cycle of the dispute, from 1; absent for a warning.
    pub cycle: Option<u32>,
    /// The cycle that came after this one.
    pub next_id: Option<String>,
    /// The provider's code of the reason.
    #[schema(example = "product_not_received")]
    pub reason: Option<String>,
    /// What the bank wants back, in minor units.
    #[schema(example = 105_000)]
    pub amount: Option<i64>,
    /// ISO 4217, of `amount`.
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// The amount as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: Option<String>,
    /// What moved, by currency.
    pub moved: Vec<MovedView>,
    /// Until when the provider takes evidence.
    pub evidence_due_by: Option<DateTime<Utc>>,
    /// When evidence is submitted if nobody does it before.
    pub evidence_at: Option<DateTime<Utc>>,
    /// SHA-256 (hex) of the evidence that was submitted.
    pub evidence_digest: Option<String>,
    /// SHA-256 (hex) of what staff says, or said, beside it, with a salt.
    pub statement_digest: Option<String>,
}

/// What moved in one currency, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MovedView {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Taken by the bank.
    #[schema(example = 105_000)]
    pub withdrawn: i64,
    /// Given back.
    pub reinstated: i64,
    /// Lost for good.
    pub lost: i64,
    /// Still in contest.
    #[schema(example = 105_000)]
    pub contested: i64,
}

/// What the log proves for a chargeback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceView {
    /// Always `chargeback_evidence`.
    #[schema(example = "chargeback_evidence")]
    pub object: String,
    /// SHA-256 (hex) of `document` as JSON without spaces.
    pub digest: String,
    /// The document: contract, milestones with what happened to them, payments. References only.
    #[schema(value_type = Object)]
    pub document: EvidenceBundle,
    /// What staff says beside it, to staff that decides about money; absent where nothing is said, or it was taken away.
    pub statement: Option<StatementView>,
    /// What is known of its erasure; absent where nothing was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_redacted: Option<RedactedView>,
}

/// What staff says to a bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatementView {
    /// Words, by field.
    #[schema(value_type = Object)]
    pub texts: BTreeMap<TextField, String>,
    /// The provider's names of files, by field.
    #[schema(value_type = Object)]
    pub files: BTreeMap<FileField, String>,
}

impl EvidenceView {
    /// What the log proves, and what staff says beside it.
    ///
    /// # Errors
    /// [`Refusal::Defect`] if the document cannot be written, which none of ours does.
    pub fn new(document: EvidenceBundle, said: Option<Said>) -> Result<Self, Refusal> {
        let (statement, statement_redacted) = match said {
            Some(Said::Clear(said, _)) => (Some(StatementView { texts: said.texts, files: said.files }), None),
            Some(Said::Redacted(redacted)) => (None, Some(redacted.into())),
            None => (None, None),
        };
        let (object, digest) = ("chargeback_evidence".to_owned(), document.digest()?);
        Ok(Self { object, digest, document, statement, statement_redacted })
    }
}

impl ChargebackView {
    /// The view of a chargeback; `None` before it is opened.
    pub fn of(chargeback: &Chargeback) -> Option<Self> {
        match chargeback {
            Chargeback::NotOpened => None,
            Chargeback::Warned { charged, warning_ref } => {
                let id = domain::chargeback::first_cycle(warning_ref).to_string();
                Some(Self::empty(id, chargeback.state_name(), charged, warning_ref.clone()))
            }
            Chargeback::Opened { case, .. } => Some(Self::of_case(case, chargeback.state_name())),
        }
    }

    fn of_case(case: &Case, status: &str) -> Self {
        let opening = &case.opening;
        let id = opening.chargeback_id.to_string();
        Self {
            cycle: Some(opening.cycle),
            next_id: case.next.map(|id| id.to_string()),
            reason: Some(opening.reason.clone()),
            amount: Some(opening.disputed.get()),
            currency: Some(opening.disputed_currency.code().to_owned()),
            decimal: Some(decimal(opening.disputed, opening.disputed_currency)),
            moved: case.moved.iter().map(|(currency, moved)| MovedView::of(*currency, moved)).collect(),
            evidence_due_by: opening.evidence_due_by,
            evidence_at: case.evidence_at,
            evidence_digest: case.evidence_digest.clone(),
            statement_digest: case.statement.clone(),
            ..Self::empty(id, status, &opening.charged, opening.dispute_ref.clone())
        }
    }

    fn empty(id: String, status: &str, charged: &Charged, psp_ref: String) -> Self {
        Self {
            id,
            object: "chargeback".to_owned(),
            status: status.to_owned(),
            contract_id: charged.paid_into.contract_id().map(|id| id.to_string()),
            funding_id: charged.funding_id.to_string(),
            psp_ref,
            cycle: None,
            next_id: None,
            reason: None,
            amount: None,
            currency: None,
            decimal: None,
            moved: Vec::new(),
            evidence_due_by: None,
            evidence_at: None,
            evidence_digest: None,
            statement_digest: None,
        }
    }
}

impl MovedView {
    fn of(currency: Currency, moved: &Moved) -> Self {
        Self {
            currency: currency.code().to_owned(),
            withdrawn: moved.withdrawn.get(),
            reinstated: moved.reinstated.get(),
            lost: moved.lost.get(),
            contested: moved.out().get(),
        }
    }
}
