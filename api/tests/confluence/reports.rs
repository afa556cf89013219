//! What the provider reports in the stories: one object of each kind, under names that answers to orders go by.

use chrono::TimeDelta;
use domain::id::{RefundId, SweepId, TopUpId, TransferReversalId};
use domain::party::{AccountEnd, AccountStatus, Requirements};
use domain::ports::provider::{
    AccountReport, BankPayoutReport, BankPayoutStatus, DisputeDirection, DisputeMovement, DisputeReport, DisputeStatus,
    PaymentReport, PaymentStatus, PlatformPayoutReport, ProviderReport, Receipt, RefundReport, RefundStatus,
    TopUpReport, TopUpStatus, TransferReport, TransferReversalReport,
};
use ledger::{Currency, Minor};

use super::{begin, cents, funding, payee, payout};

/// What the client pays for 1,000.00.
pub const CHARGE: i64 = 105_000;
/// What the provider keeps of it.
pub const COST: i64 = 3_075;
/// What the payee gets of it.
pub const PAID_OUT: i64 = 90_000;
/// What the provider takes for each withdrawal by a bank.
pub const DISPUTE_FEE: i64 = 1_500;
/// Own money that is moved.
pub const OWN: i64 = 10_000;

/// The provider's name of the object that a report is about.
pub fn object_of(report: &ProviderReport) -> &str {
    match report {
        ProviderReport::Payment(report) => &report.payment_ref,
        ProviderReport::Refund(report) => &report.refund_ref,
        ProviderReport::Transfer(report) => &report.transfer_ref,
        ProviderReport::BankPayout(report) => &report.bank_payout_ref,
        ProviderReport::Dispute(report) => &report.dispute_ref,
        ProviderReport::FraudWarning(report) => &report.warning_ref,
        ProviderReport::Account(report) => &report.status.psp_account,
        ProviderReport::OnboardingLink(_) => "",
        ProviderReport::TransferReversal(report) => &report.reversal_ref,
        ProviderReport::TopUp(report) => &report.top_up_ref,
        ProviderReport::PlatformPayout(report) => &report.bank_payout_ref,
    }
}

pub fn payment(status: PaymentStatus) -> ProviderReport {
    ProviderReport::Payment(PaymentReport { payment_ref: "pi_1".to_owned(), funding_id: Some(funding()), status })
}

pub fn collected(receipt: Option<Receipt>) -> ProviderReport {
    payment(PaymentStatus::Succeeded {
        charge_ref: "ch_1".to_owned(),
        captured: cents(CHARGE),
        currency: Currency::USD,
        collected_at: begin(),
        receipt,
    })
}

pub fn paid(available: bool) -> ProviderReport {
    collected(Some(Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: cents(COST),
        net: cents(CHARGE - COST),
        currency: Currency::USD,
        booked_on: begin().date_naive(),
        available_on: begin() + TimeDelta::days(2),
        available,
    }))
}

/// A bank debit that succeeded, and was returned.
pub fn debit_returned() -> ProviderReport {
    let ProviderReport::Payment(PaymentReport { status, .. }) = paid(true) else { unreachable!("a payment") };
    payment(PaymentStatus::Returned {
        amount: cents(CHARGE),
        currency: Currency::USD,
        balance_transaction_ref: "txn_returned".to_owned(),
        booked_on: begin().date_naive(),
        code: "insufficient_funds".to_owned(),
        settled: None,
        collected: Some(Box::new(status)),
    })
}

/// The refund that was ordered.
pub fn refund(refund_id: RefundId, status: RefundStatus) -> ProviderReport {
    ProviderReport::Refund(RefundReport { refund_ref: "re_1".to_owned(), refund_id: Some(refund_id), status })
}

pub fn refunded() -> RefundStatus {
    RefundStatus::Succeeded { balance_transaction_ref: Some("txn_refund".to_owned()), taken: None }
}

/// A dispute of the whole charge, and what it has moved: `-` out of the balance, `+` back into it.
pub fn dispute(status: DisputeStatus, moved: &str) -> ProviderReport {
    let movements = moved.chars().enumerate().map(|(number, sign)| {
        let out = sign == '-';
        DisputeMovement {
            balance_transaction_ref: format!("txn_dispute_{number}"),
            direction: if out { DisputeDirection::Withdrawn } else { DisputeDirection::Reinstated },
            amount: cents(CHARGE),
            fee: if out { cents(DISPUTE_FEE) } else { Minor::ZERO },
            fee_returned: Minor::ZERO,
            currency: Currency::USD,
            paid: None,
            booked_on: begin().date_naive(),
        }
    });
    ProviderReport::Dispute(DisputeReport {
        dispute_ref: "dp_1".to_owned(),
        funding_id: Some(funding()),
        charge_ref: "ch_1".to_owned(),
        status,
        reason: "product_not_received".to_owned(),
        amount: cents(CHARGE),
        currency: Currency::USD,
        evidence_due_by: None,
        movements: movements.collect(),
    })
}

pub fn transfer() -> ProviderReport {
    ProviderReport::Transfer(TransferReport {
        transfer_ref: "tr_1".to_owned(),
        payout_id: Some(payout()),
        amount: cents(PAID_OUT),
        currency: Currency::USD,
        reversed_by_hand: Minor::ZERO,
    })
}

pub fn bank_payout(status: BankPayoutStatus) -> ProviderReport {
    ProviderReport::BankPayout(BankPayoutReport {
        bank_payout_ref: "po_1".to_owned(),
        payout_id: Some(payout()),
        account: "acct_1".to_owned(),
        status,
    })
}

/// What lay at the payee's account is back.
pub fn reversed(reversal_id: TransferReversalId) -> ProviderReport {
    ProviderReport::TransferReversal(TransferReversalReport {
        reversal_ref: "trr_1".to_owned(),
        reversal_id: Some(reversal_id),
        payout_id: Some(payout()),
        amount: cents(PAID_OUT),
        currency: Currency::USD,
    })
}

/// The provider has closed the payee's account.
pub fn account_closed() -> ProviderReport {
    let requirements = Requirements {
        currently_due: Vec::new(),
        past_due: Vec::new(),
        due_by: None,
        transfers_enabled: false,
        payouts_enabled: false,
        disabled_reason: Some("rejected.other".to_owned()),
        country: None,
        default_currency: None,
    };
    let status = AccountStatus {
        psp_account: "acct_1".to_owned(),
        told_at: begin() + TimeDelta::days(40),
        requirements,
        destinations: Vec::new(),
        shortfalls: Vec::new(),
        end: Some(AccountEnd::Closed),
    };
    ProviderReport::Account(AccountReport { psp: "stripe".to_owned(), party_id: Some(payee()), status })
}

pub fn top_up(top_up_id: TopUpId, status: TopUpStatus) -> ProviderReport {
    ProviderReport::TopUp(TopUpReport {
        psp: "stripe".to_owned(),
        top_up_ref: "tu_1".to_owned(),
        top_up_id: Some(top_up_id),
        amount: cents(OWN),
        currency: Currency::USD,
        status,
    })
}

/// A payout of the platform; one that nobody here has ordered has no id of ours.
pub fn platform_payout(sweep_id: Option<SweepId>, status: BankPayoutStatus) -> ProviderReport {
    ProviderReport::PlatformPayout(PlatformPayoutReport {
        psp: "stripe".to_owned(),
        bank_payout_ref: "po_2".to_owned(),
        sweep_id,
        amount: cents(OWN),
        currency: Currency::USD,
        automatic: sweep_id.is_none(),
        status,
    })
}
