//! Stripe's objects as the domain's reports.
//!
//! # Invariants
//! - An amount is told in the books' minor units, or not at all: one that is no whole number of them is
//!   [`ProviderError::Unusable`], and so is a currency or a status that we do not know.
//! - Metadata that are not ours are nobody's: an id that cannot be read is `None`, never an error.

use std::collections::HashMap;
use std::str::FromStr;

use ::stripe::{ApiErrors, ApiErrorsType};
use chrono::DateTime;
use domain::ports::provider::{
    BankPayoutReport, BankPayoutStatus, PaymentReport, PaymentStatus, ProviderError, ProviderReport, Receipt,
    TransferReport,
};
use domain::time::Timestamp;
use ledger::{Currency, Minor};
use stripe_shared::{BalanceTransaction, Charge, PaymentIntent, PaymentIntentStatus, Payout, Transfer};

/// Metadata key of the funding that a payment is for.
pub(super) const FUNDING_ID: &str = "funding_id";
/// Metadata key of the contract that a payment is for.
pub(super) const CONTRACT_ID: &str = "contract_id";
/// Metadata key of the payout that a transfer or a bank payout is part of.
pub(super) const PAYOUT_ID: &str = "payout_id";
/// Metadata key of whose money a transfer moves.
pub(super) const PAYEE_ID: &str = "payee_id";

/// What a refusal of a card says of the payment.
pub(super) enum Declined {
    /// It has failed, and can be told as it is.
    Failed(ProviderReport),
    /// It is in another state than that of a failed attempt.
    LookUp {
        /// The payment.
        payment_ref: String,
    },
}

/// Reads the answer to a declined card; `None` for any other error, or one that does not show the payment.
pub(super) fn declined(error: &ApiErrors, status: u16) -> Option<Declined> {
    if status != 402 || error.type_ != ApiErrorsType::CardError {
        return None;
    }
    let intent = error.payment_intent.as_ref()?;
    let payment_ref = intent.id.to_string();
    Some(match intent.status {
        PaymentIntentStatus::RequiresPaymentMethod => Declined::Failed(ProviderReport::Payment(PaymentReport {
            payment_ref,
            funding_id: ours(&intent.metadata, FUNDING_ID),
            status: PaymentStatus::Failed {
                code: decline_code(error),
            },
        })),
        _ => Declined::LookUp { payment_ref },
    })
}

/// Reports a payment whose charge and balance transaction are expanded.
pub(super) fn of_payment(intent: &PaymentIntent) -> Result<ProviderReport, ProviderError> {
    Ok(ProviderReport::Payment(PaymentReport {
        payment_ref: intent.id.to_string(),
        funding_id: ours(&intent.metadata, FUNDING_ID),
        status: payment_status(intent)?,
    }))
}

/// Meaning of the statuses: <https://docs.stripe.com/payments/paymentintents/lifecycle>.
fn payment_status(intent: &PaymentIntent) -> Result<PaymentStatus, ProviderError> {
    match &intent.status {
        // Before the first attempt, and again after each that failed.
        PaymentIntentStatus::RequiresPaymentMethod => Ok(match intent.last_payment_error.as_deref() {
            None => PaymentStatus::Created,
            Some(error) => PaymentStatus::Failed {
                code: decline_code(error),
            },
        }),
        PaymentIntentStatus::RequiresConfirmation => Ok(PaymentStatus::Created),
        PaymentIntentStatus::RequiresAction => Ok(PaymentStatus::ActionRequired),
        PaymentIntentStatus::Processing => Ok(PaymentStatus::Processing),
        PaymentIntentStatus::Succeeded => succeeded(intent),
        PaymentIntentStatus::Canceled => Ok(PaymentStatus::Cancelled),
        // Among them `requires_capture`: we never ask for manual capture, so such a payment is not ours to judge.
        other => unusable(format!("a payment intent with status {}", other.as_str())),
    }
}

fn succeeded(intent: &PaymentIntent) -> Result<PaymentStatus, ProviderError> {
    let charge: &Charge = match intent.latest_charge.as_ref().map(|charge| charge.as_object()) {
        Some(Some(charge)) => charge,
        Some(None) => return unusable("a charge that was not expanded"),
        None => return unusable("a payment intent that succeeded without a charge"),
    };
    let currency = currency(&charge.currency)?;
    let receipt = match &charge.balance_transaction {
        // Captured asynchronously: booked some moments later, told by `charge.updated`.
        None => None,
        Some(booked) => match booked.as_object() {
            Some(booked) => Some(receipt(booked)?),
            None => return unusable("a balance transaction that was not expanded"),
        },
    };
    Ok(PaymentStatus::Succeeded {
        charge_ref: charge.id.to_string(),
        captured: minor(charge.amount_captured, currency)?,
        currency,
        collected_at: instant(charge.created)?,
        receipt,
    })
}

fn receipt(booked: &BalanceTransaction) -> Result<Receipt, ProviderError> {
    let currency = currency(&booked.currency)?;
    let available = match booked.status.as_str() {
        "available" => true,
        "pending" => false,
        other => return unusable(format!("a balance transaction with status {other}")),
    };
    Ok(Receipt {
        balance_transaction_ref: booked.id.to_string(),
        fee: minor(booked.fee, currency)?,
        net: minor(booked.net, currency)?,
        currency,
        booked_on: instant(booked.created)?.date_naive(),
        available_on: instant(booked.available_on)?,
        available,
    })
}

/// Reports a transfer.
pub(super) fn of_transfer(transfer: &Transfer) -> Result<ProviderReport, ProviderError> {
    let currency = currency(&transfer.currency)?;
    Ok(ProviderReport::Transfer(TransferReport {
        transfer_ref: transfer.id.to_string(),
        payout_id: ours(&transfer.metadata, PAYOUT_ID),
        amount: minor(transfer.amount, currency)?,
        currency,
    }))
}

/// Reports a payout from `account`. Statuses: <https://docs.stripe.com/api/payouts/object#payout_object-status>.
pub(super) fn of_bank_payout(payout: &Payout, account: &str) -> Result<ProviderReport, ProviderError> {
    let status = match payout.status.as_str() {
        "pending" => BankPayoutStatus::Pending {
            arrival_at: instant(payout.arrival_date)?,
        },
        "in_transit" => BankPayoutStatus::InTransit {
            arrival_at: instant(payout.arrival_date)?,
        },
        "paid" => BankPayoutStatus::Paid,
        "failed" => BankPayoutStatus::Failed {
            code: payout
                .failure_code
                .clone()
                .unwrap_or_else(|| "payout_failed".to_owned()),
        },
        "canceled" => BankPayoutStatus::Cancelled,
        other => return unusable(format!("a payout with status {other}")),
    };
    Ok(ProviderReport::BankPayout(BankPayoutReport {
        bank_payout_ref: payout.id.to_string(),
        payout_id: payout.metadata.as_ref().and_then(|metadata| ours(metadata, PAYOUT_ID)),
        account: account.to_owned(),
        status,
    }))
}

/// The bank's reason, else Stripe's code. The same for the answer to an order and for a payment looked up later.
fn decline_code(error: &ApiErrors) -> String {
    match (&error.decline_code, &error.code) {
        (Some(reason), _) => reason.clone(),
        (None, Some(code)) => code.as_str().to_owned(),
        (None, None) => error.type_.as_str().to_owned(),
    }
}

fn ours<Id: FromStr>(metadata: &HashMap<String, String>, key: &str) -> Option<Id> {
    metadata.get(key).and_then(|text| text.parse().ok())
}

fn unusable<T>(what: impl Into<String>) -> Result<T, ProviderError> {
    Err(ProviderError::Unusable(what.into()))
}

fn currency(currency: &stripe_types::Currency) -> Result<Currency, ProviderError> {
    let code = currency.to_string().to_ascii_uppercase();
    code.parse()
        .or_else(|_| unusable(format!("an amount in the currency {code}")))
}

fn minor(units: i64, currency: Currency) -> Result<Minor, ProviderError> {
    currency
        .from_psp_units(units)
        .or_else(|error| unusable(format!("{units} units of {currency}: {error}")))
}

fn instant(seconds: i64) -> Result<Timestamp, ProviderError> {
    match DateTime::from_timestamp(seconds, 0) {
        Some(instant) => Ok(instant),
        None => unusable(format!("the time {seconds}")),
    }
}
