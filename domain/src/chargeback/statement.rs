//! What staff adds to the evidence: words and files for the bank, in the fields that card networks ask for.
//!
//! # Invariants
//! - It may say who somebody is. So it is never in the log: an event has its digest, and it is stored apart, where it can be
//!   taken away.
//! - The digest says nothing of the words: a salt is in it.
//! - Words for a field take the place of what is drawn up for it; what is drawn up is cut to what the bank takes beside them.
//!
//! # What is deliberately absent
//! The files: they lie at the provider, and are named as it names them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::evidence::sha256;
use crate::refusal::Refusal;

/// Characters of one text (<https://docs.stripe.com/api/disputes/update>).
pub const TEXT_MAX: usize = 20_000;
/// Characters of all texts of an answer together, those that are drawn up included.
pub const TEXTS_MAX: usize = 150_000;
/// Characters of the name of a file.
const FILE_MAX: usize = 255;

/// A field for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the card networks")]
pub enum TextField {
    AccessActivityLog,
    BillingAddress,
    CancellationPolicyDisclosure,
    CancellationRebuttal,
    CustomerEmailAddress,
    CustomerName,
    CustomerPurchaseIp,
    DuplicateChargeExplanation,
    DuplicateChargeId,
    ProductDescription,
    RefundPolicyDisclosure,
    RefundRefusalExplanation,
    ServiceDate,
    ShippingAddress,
    ShippingCarrier,
    ShippingDate,
    ShippingTrackingNumber,
    UncategorizedText,
}

/// A field for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the card networks")]
pub enum FileField {
    CancellationPolicy,
    CustomerCommunication,
    CustomerSignature,
    DuplicateChargeDocumentation,
    Receipt,
    RefundPolicy,
    ServiceDocumentation,
    ShippingDocumentation,
    UncategorizedFile,
}

/// Words and files for a bank.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Chance, so that its digest tells nothing of it.
    pub salt: String,
    /// Words, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<TextField, String>,
    /// The provider's names of files, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<FileField, String>,
}

/// Without the words: what is logged must not say who somebody is.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("texts", &self.texts.keys())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Statement {
    /// Checks what was asked for. Fields are named in refusals by their place in the request.
    ///
    /// # Errors
    /// [`Refusal`] when nothing is in it, a text is empty or too long, all texts are too long together, or a file has no
    /// name of the provider's.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.texts.is_empty() && self.files.is_empty() {
            return Err(Refusal::invalid("/texts", "give a text or a file at least"));
        }
        for (field, text) in &self.texts {
            let usable = !text.trim().is_empty() && !text.contains('\0') && text.chars().count() <= TEXT_MAX;
            if !usable {
                return Err(Refusal::invalid(format!("/texts/{}", word(field)), "must have 1 to 20000 characters"));
            }
        }
        if self.characters() > TEXTS_MAX {
            return Err(Refusal::invalid("/texts", "may have 150000 characters in all"));
        }
        for (field, name) in &self.files {
            let usable = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || name.len() > FILE_MAX || !usable {
                let detail = "must be the provider's name of a file, such as file_1";
                return Err(Refusal::invalid(format!("/files/{}", word(field)), detail));
            }
        }
        Ok(())
    }

    /// Characters of all texts.
    pub fn characters(&self) -> usize {
        self.texts.values().fold(0, |sum, text| sum.saturating_add(text.chars().count()))
    }

    /// SHA-256 (hex, lower case) of it as JSON.
    ///
    /// # Errors
    /// [`Refusal::Defect`] if it cannot be written, which none of ours does.
    pub fn digest(&self) -> Result<String, Refusal> {
        sha256(self)
    }
}

/// The name of a field.
fn word(field: &impl Serialize) -> String {
    match serde_json::to_value(field) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
