//! The terms of an offer, fees and periods: as a client names them, and as they are shown.
//!
//! # Invariants
//! - Nothing that was sent is ignored: a member that no schedule or policy has is refused, with its place.
//! - Whether terms make sense is the domain's to say; its pointers are into the request.

use domain::policy::{FeeSchedule, Policy};
use ledger::Currency;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::code::ErrorCode;
use crate::extract;
use crate::problem::Problem;

/// The terms of an offer. What is left out is the platform's own.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferTerms {
    /// The fees: the name of a preset (`two_sided`, `flat5`, `zero`), or a whole schedule. `two_sided` when absent.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = "two_sided")]
    pub fee_schedule: Option<Value>,
    /// The periods: the name of a policy (`fixed`, `gig`, `trusted_gig`, `booking`), or the periods that differ from
    /// `fixed`.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({ "review_days": 7 }))]
    pub policy: Option<Value>,
}

/// The fees of a contract. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeesView {
    /// Name and version of the schedule.
    #[schema(example = "two_sided@1")]
    pub schedule: String,
    /// What the client pays on top.
    #[schema(example = "5%")]
    pub client_fee: String,
    /// What is kept of each release.
    #[schema(example = "10%")]
    pub payee_fee: String,
    /// What the client pays once, with the first payment.
    pub initiation_fee: i64,
    /// What is passed on for the provider's fee.
    #[schema(example = "0%")]
    pub processing_fee: String,
    /// Who pays that: `client`, `payee` or `platform`.
    #[schema(example = "platform")]
    pub processing_fee_payer: String,
    /// What becomes of the client's fee in a refund: `pro_rata` or `none`.
    #[schema(example = "pro_rata")]
    pub refund_client_fee: String,
    /// Tax on what the client pays on top.
    pub client_tax: Option<TaxView>,
    /// Tax on the payee's fee.
    pub payee_tax: Option<TaxView>,
}

/// The taxes of one party of a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaxView {
    /// Where: ISO 3166.
    #[schema(example = "GB")]
    pub jurisdiction: String,
    /// Rate of the tax on the party's fees, in percent.
    #[schema(example = "20")]
    pub percent: String,
    /// Whether the party accounts for it itself, so that nothing is charged.
    pub reverse_charge: bool,
    /// Rate of the income tax that is withheld of earnings, in percent.
    #[schema(example = "0")]
    pub withholding: String,
}

/// The periods of a contract, in days of 24 hours unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeriodsView {
    /// Name and version of the policy.
    #[schema(example = "fixed@1")]
    pub policy: String,
    /// For the answer to an offer.
    pub offer_expiry_days: u16,
    /// From acceptance to the first payment.
    pub first_funding_days: u16,
    /// Hours for a payment that was asked for.
    pub funding_intent_hours: u16,
    /// For the review of a submission.
    pub review_days: u16,
    /// Until earnings can be withdrawn.
    pub clearance_days: u16,
    /// For the payee's answer to a wish to end it.
    pub end_request_days: u16,
    /// For the payee's answer to a wish for a refund.
    pub refund_request_days: u16,
    /// After the end, for bonuses and tips.
    pub bonus_window_days: u16,
    /// Without activity, until it counts as forgotten.
    pub dormant_days: u16,
}

impl OfferTerms {
    /// The schedule and the policy that are meant.
    ///
    /// # Errors
    /// `validation_failed`, with the place.
    pub fn read(&self) -> Result<(FeeSchedule, Policy), Problem> {
        let fees = match &self.fee_schedule {
            None => FeeSchedule::two_sided(),
            Some(Value::String(name)) => FeeSchedule::preset(name).ok_or_else(|| unknown_name("/fee_schedule"))?,
            Some(schedule) => read(schedule.clone(), schedule, "/fee_schedule")?,
        };
        let policy = match &self.policy {
            None => Policy::default(),
            Some(Value::String(name)) => {
                let known = [Policy::fixed(), Policy::gig(), Policy::trusted_gig(), Policy::booking()];
                known.into_iter().find(|policy| policy.id == *name).ok_or_else(|| unknown_name("/policy"))?
            }
            Some(Value::Object(periods)) => {
                let base = serde_json::to_value(Policy { id: "own".to_owned(), ..Policy::fixed() });
                let mut whole = base.map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))?;
                overlay(&mut whole, periods);
                read(whole, &Value::Object(periods.clone()), "/policy")?
            }
            Some(_) => return Err(invalid("/policy", "must be the name of a policy, or an object")),
        };
        Ok((fees, policy))
    }
}

/// Reads `whole`, and sees that nothing of what was `sent` is lost.
fn read<T: DeserializeOwned + Serialize>(whole: Value, sent: &Value, at: &str) -> Result<T, Problem> {
    let read: T = serde_path_to_error::deserialize(whole).map_err(|error| {
        let pointer = format!("{at}{}", extract::pointer(error.path()));
        Problem::field(ErrorCode::ValidationFailed, pointer, error.inner().to_string())
    })?;
    let known =
        serde_json::to_value(&read).map_err(|error| Problem::new(ErrorCode::InternalError, error.to_string()))?;
    match lost(sent, &known, at) {
        Some(pointer) => Err(invalid(&pointer, "is not a member that is known here")),
        None => Ok(read),
    }
}

/// The place of the first member that was sent and did not arrive. What is nothing need not arrive, and a list of one may
/// arrive as that one.
fn lost(sent: &Value, known: &Value, at: &str) -> Option<String> {
    match (sent, known) {
        (Value::Object(sent), Value::Object(known)) => sent.iter().find_map(|(key, value)| {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            // The specification's name for the client's fee.
            let name = if key == "payer_fee" { "client_fee" } else { key };
            match known.get(name) {
                Some(known) => lost(value, known, &at),
                None if is_nothing(value) => None,
                None => Some(at),
            }
        }),
        (Value::Array(sent), Value::Array(known)) => {
            sent.iter().enumerate().find_map(|(index, value)| lost(value, known.get(index)?, &format!("{at}/{index}")))
        }
        (Value::Array(sent), known @ Value::Object(_)) => lost(sent.first()?, known, &format!("{at}/0")),
        _ => None,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::String(_) => false,
    }
}

/// Puts the members of `over` in the place of those that are there; objects member by member.
fn overlay(under: &mut Value, over: &Map<String, Value>) {
    let Value::Object(members) = under else { return };
    for (key, value) in over {
        match (members.get_mut(key), value) {
            (Some(inner @ Value::Object(_)), Value::Object(over)) => overlay(inner, over),
            _ => {
                members.insert(key.clone(), value.clone());
            }
        }
    }
}

fn unknown_name(pointer: &str) -> Problem {
    invalid(pointer, "is not the name of a preset")
}

fn invalid(pointer: &str, detail: &str) -> Problem {
    Problem::field(ErrorCode::ValidationFailed, pointer, detail)
}

impl FeesView {
    /// The view of a schedule in a contract of that currency.
    pub fn of(fees: &FeeSchedule, currency: Currency) -> Self {
        let party = |tax: &Option<domain::fee::PartyTax>| {
            tax.as_ref().map(|tax| TaxView {
                jurisdiction: tax.jurisdiction.code().to_owned(),
                percent: tax.percent.get().to_string(),
                reverse_charge: tax.reverse_charge,
                withholding: tax.withholding.get().to_string(),
            })
        };
        let amounts_in = fees.currency.or(Some(currency));
        Self {
            schedule: format!("{}@{}", fees.id, fees.version),
            client_fee: fees.client_fee.describe(amounts_in),
            payee_fee: fees.payee_fee.describe(amounts_in),
            initiation_fee: fees.initiation_fee.get(),
            processing_fee: fees.processing_fee.describe(amounts_in),
            processing_fee_payer: word(&fees.processing_fee_payer),
            refund_client_fee: word(&fees.refund_client_fee),
            client_tax: party(&fees.tax.client),
            payee_tax: party(&fees.tax.payee),
        }
    }
}

/// The word of an enum, as its JSON has it.
fn word(value: &impl Serialize) -> String {
    match json!(value) {
        Value::String(word) => word,
        other => other.to_string(),
    }
}

impl PeriodsView {
    /// The view of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            policy: format!("{}@{}", policy.id, policy.version),
            offer_expiry_days: policy.offer_expiry_days,
            first_funding_days: policy.first_funding_days,
            funding_intent_hours: policy.funding_intent_hours,
            review_days: policy.review_days,
            clearance_days: policy.clearance_days,
            end_request_days: policy.end_request_days,
            refund_request_days: policy.refund_request_days,
            bonus_window_days: policy.bonus_window_days,
            dormant_days: policy.dormancy.dormant_days,
        }
    }
}
