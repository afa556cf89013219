//! Disputes (<https://docs.stripe.com/disputes>), early warnings of fraud, and payments that a bank returns: what a client
//! of the API asks for, and what a test makes the bank do.
//!
//! # Invariants
//! - A dispute that withdraws money has an entry for each withdrawal and each reinstatement; an inquiry has none.
//! - A charge that is disputed, and not won, is not refunded.
//! - Charge, dispute and balance are locked in this order.
//!
//! # Assumptions
//! A withdrawal costs 15.00, or 15 units of what the currency has. Evidence is taken for fourteen days; a dispute that is
//! not answered by then is lost. A bank that takes the money of a dispute that was won reviews it again. As at Stripe, the
//! texts `winning_evidence`, `losing_evidence` and `escalate_inquiry_evidence` decide at once.
//!
//! # What is deliberately absent
//! The fee for countering, files, enhanced evidence, disputes in another currency than the charge's. A part of a dispute that
//! is settled in another currency.

mod bank;
mod store;

use std::collections::BTreeMap;

use super::form::{Form, Metadata};
use super::object::{Dispute, EVIDENCE};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

pub(super) use bank::{at_once, expire};
pub(super) use store::blocks_refunds;

/// Characters of a text of evidence.
const TEXT_MAX: usize = 20_000;
/// Characters of all texts together.
const TEXTS_MAX: usize = 150_000;

/// An order about a dispute.
#[derive(Debug)]
pub(super) enum DisputeOrder {
    /// `POST /v1/disputes/{id}`.
    Update { id: String, evidence: BTreeMap<String, String>, metadata: Metadata, submit: bool },
    /// `POST /v1/disputes/{id}/close`.
    Close { id: String },
    /// `POST /_sandbox/disputes`: a bank disagrees, or asks.
    Open { charge: String, amount: Option<i64>, reason: String, inquiry: bool, withdraws: bool },
    /// `POST /_sandbox/disputes/{id}/turn`.
    Turn { id: String, turn: Turn },
    /// `POST /_sandbox/early_fraud_warnings`.
    Warn { charge: String },
    /// `POST /_sandbox/payment_intents/{id}/return`.
    Return { id: String, code: String },
}

/// What a bank does about a dispute. Amounts that are absent are all that there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// An inquiry becomes a chargeback.
    Escalate {
        withdraws: bool,
    },
    Withdraw {
        amount: Option<i64>,
    },
    Reinstate {
        amount: Option<i64>,
    },
    /// Or closes an inquiry. `amount` comes back with it.
    Win {
        amount: Option<i64>,
    },
    Lose,
}

impl DisputeOrder {
    pub(super) fn update(id: String, form: &Form) -> Result<Self, Refusal> {
        let mut evidence = BTreeMap::new();
        for field in EVIDENCE {
            if let Some(text) = form.inner_text("evidence", field) {
                if text.chars().count() > TEXT_MAX {
                    let message = format!("Evidence can be at most {TEXT_MAX} characters.");
                    return Err(Refusal::invalid(format!("evidence[{field}]"), message));
                }
                evidence.insert(field.to_owned(), text);
            }
        }
        if evidence.values().map(|text| text.chars().count()).sum::<usize>() > TEXTS_MAX {
            return Err(Refusal::invalid("evidence", format!("All evidence can be at most {TEXTS_MAX} characters.")));
        }
        Ok(Self::Update { id, evidence, metadata: form.metadata()?, submit: form.boolean("submit")?.unwrap_or(true) })
    }

    pub(super) fn open(form: &Form) -> Result<Self, Refusal> {
        Ok(Self::Open {
            charge: form.required("charge")?,
            amount: amount(form)?,
            reason: form.text("reason").unwrap_or_else(|| "fraudulent".to_owned()),
            inquiry: form.boolean("inquiry")?.unwrap_or(false),
            withdraws: form.boolean("withdraws")?.unwrap_or(true),
        })
    }

    pub(super) fn turn(id: String, form: &Form) -> Result<Self, Refusal> {
        let amount = amount(form)?;
        let turn = match form.required("to")?.as_str() {
            "needs_response" => Turn::Escalate { withdraws: form.boolean("withdraws")?.unwrap_or(true) },
            "withdrawn" => Turn::Withdraw { amount },
            "reinstated" => Turn::Reinstate { amount },
            "won" => Turn::Win { amount },
            "lost" => Turn::Lose,
            other => return Err(Refusal::invalid("to", format!("Invalid to: {other}"))),
        };
        Ok(Self::Turn { id, turn })
    }

    pub(super) fn warn(form: &Form) -> Result<Self, Refusal> {
        Ok(Self::Warn { charge: form.required("charge")? })
    }

    pub(super) fn return_payment(id: String, form: &Form) -> Self {
        let code = form.text("failure_code").unwrap_or_else(|| "insufficient_funds".to_owned());
        Self::Return { id, code }
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::Update { id, evidence, metadata, submit } => update(work, &id, evidence, metadata, submit).await,
            Self::Close { id } => {
                let mut dispute = store::lock(work, &id).await?;
                if !dispute.waits() {
                    return Err(closed(&dispute).into());
                }
                let status = if dispute.is_inquiry() { "warning_closed" } else { "lost" };
                bank::end(work, &mut dispute, status).await?;
                Ok(Outcome::ok(dispute.show()))
            }
            Self::Open { charge, amount, reason, inquiry, withdraws } => {
                let charge = store::charge(work, &charge).await?;
                let amount = amount.unwrap_or(charge.amount);
                if amount == 0 || charge.status != "succeeded" {
                    return Err(Refusal::invalid("charge", "There is nothing to be disputed.").into());
                }
                let dispute = bank::open(work, &charge, amount, &reason, inquiry, withdraws).await?;
                Ok(Outcome::ok(dispute.show()))
            }
            Self::Turn { id, turn } => {
                let mut dispute = store::lock(work, &id).await?;
                bank::turn(work, &mut dispute, turn).await?;
                Ok(Outcome::ok(dispute.show()))
            }
            Self::Warn { charge } => {
                let charge = store::charge(work, &charge).await?;
                Ok(Outcome::ok(bank::warn(work, &charge).await?.show()))
            }
            Self::Return { id, code } => bank::return_payment(work, &id, &code).await.map(Outcome::ok),
        }
    }
}

/// Minor units, zero or more.
fn amount(form: &Form) -> Result<Option<i64>, Refusal> {
    let read = |text: String| text.parse().ok().filter(|amount: &i64| (0..=99_999_999_999).contains(amount));
    form.text("amount")
        .map(|text| read(text).ok_or_else(|| Refusal::invalid("amount", "Invalid amount: minor units, zero or more.")))
        .transpose()
}

fn closed(dispute: &Dispute) -> Refusal {
    Refusal::invalid("dispute", format!("This dispute has the status {}: it takes no answer.", dispute.status))
}

async fn update(
    work: &mut Work<'_>,
    id: &str,
    evidence: BTreeMap<String, String>,
    metadata: Metadata,
    submit: bool,
) -> Result<Outcome, Failure> {
    let mut dispute = store::lock(work, id).await?;
    if !dispute.waits() {
        return Err(closed(&dispute).into());
    }
    dispute.evidence.0.extend(evidence);
    dispute.metadata.0.extend(metadata);
    if !submit || dispute.evidence.is_empty() {
        store::update(work.connection, &dispute).await?;
        store::tell(work, "charge.dispute.updated", &dispute);
        return Ok(Outcome::ok(dispute.show()));
    }
    dispute.submission_count += 1;
    let inquiry = dispute.is_inquiry();
    (if inquiry { "warning_under_review" } else { "under_review" }).clone_into(&mut dispute.status);
    store::update(work.connection, &dispute).await?;
    store::tell(work, "charge.dispute.updated", &dispute);
    match (dispute.evidence.get("uncategorized_text").map(String::as_str), inquiry) {
        (Some("winning_evidence"), _) => bank::turn(work, &mut dispute, Turn::Win { amount: None }).await?,
        (Some("losing_evidence"), false) => bank::turn(work, &mut dispute, Turn::Lose).await?,
        (Some("escalate_inquiry_evidence"), true) => {
            bank::turn(work, &mut dispute, Turn::Escalate { withdraws: true }).await?;
        }
        _ => {}
    }
    Ok(Outcome::ok(dispute.show()))
}
