//! What the provider told the engine, and which events bear it out.

use domain::ports::provider::{
    BankPayoutStatus, DisputeStatus, PaymentStatus, ProviderReport, RefundStatus, TopUpStatus,
};

use super::Raw;
use super::chargeback::Chargebacks;
use crate::failure::Violation;

/// Something that the provider told the engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    Collected { funding: String, payment: String },
    Cost { funding: String },
    Available { funding: String },
    NotCollected { funding: String },
    Returned { funding: String },
    Transferred { payout: String, transfer: String },
    Paid { payout: String },
    NotPaid { payout: String },
    SentBack { refund: String },
    NotSentBack { refund: String },
    Reversed { reversal: String },
    Booked { balance_transaction: String },
    Lost { dispute: String },
    Warned { warning: String },
    ToppedUp { top_up: String },
    PaidByItself { payout: String },
}

fn of_payment(funding: &str, payment: &str, status: &PaymentStatus) -> Vec<Claim> {
    let funding = || funding.to_owned();
    match status {
        PaymentStatus::Succeeded { receipt, .. } => {
            let mut claims = vec![Claim::Collected { funding: funding(), payment: payment.to_owned() }];
            if let Some(receipt) = receipt {
                claims.push(Claim::Cost { funding: funding() });
                if receipt.available {
                    claims.push(Claim::Available { funding: funding() });
                }
            }
            claims
        }
        PaymentStatus::Failed { .. } | PaymentStatus::Cancelled => vec![Claim::NotCollected { funding: funding() }],
        PaymentStatus::Returned { collected, .. } => {
            let before = collected.as_ref().map_or_else(Vec::new, |status| of_payment(&funding(), payment, status));
            before.into_iter().chain([Claim::Returned { funding: funding() }]).collect()
        }
        PaymentStatus::Created | PaymentStatus::ActionRequired | PaymentStatus::Processing => Vec::new(),
    }
}

/// What a report claims. What is no news by the time it comes again claims nothing.
pub(super) fn of_report(report: &ProviderReport) -> Vec<Claim> {
    match report {
        ProviderReport::Payment(report) => {
            let funding = report.funding_id.map(|id| id.to_string());
            funding.map_or_else(Vec::new, |funding| of_payment(&funding, &report.payment_ref, &report.status))
        }
        ProviderReport::Refund(report) => {
            let Some(refund) = report.refund_id.map(|id| id.to_string()) else { return Vec::new() };
            match report.status {
                RefundStatus::Succeeded { .. } => vec![Claim::SentBack { refund }],
                RefundStatus::Failed { .. } | RefundStatus::Cancelled => vec![Claim::NotSentBack { refund }],
                RefundStatus::Pending | RefundStatus::WaitsForFunds => Vec::new(),
            }
        }
        ProviderReport::Transfer(report) => {
            let transfer = report.transfer_ref.clone();
            let payout = report.payout_id.map(|id| id.to_string());
            payout.map(|payout| Claim::Transferred { payout, transfer }).into_iter().collect()
        }
        ProviderReport::BankPayout(report) => {
            let Some(payout) = report.payout_id.map(|id| id.to_string()) else { return Vec::new() };
            match report.status {
                BankPayoutStatus::Paid => vec![Claim::Paid { payout }],
                BankPayoutStatus::Failed { .. } | BankPayoutStatus::Cancelled => vec![Claim::NotPaid { payout }],
                BankPayoutStatus::Pending { .. } | BankPayoutStatus::InTransit { .. } => Vec::new(),
            }
        }
        ProviderReport::Dispute(report) => {
            let booked = report.movements.iter().flat_map(|movement| {
                let name = movement.balance_transaction_ref.clone();
                let moved = !movement.amount.is_zero() || !movement.fee.is_zero();
                let back = !movement.fee_returned.is_zero();
                let fee = back.then(|| Claim::Booked { balance_transaction: format!("{name}/fee") });
                moved.then_some(Claim::Booked { balance_transaction: name }).into_iter().chain(fee)
            });
            let lost = report.status == DisputeStatus::Lost;
            let lost = lost.then(|| Claim::Lost { dispute: report.dispute_ref.clone() });
            booked.chain(lost).collect()
        }
        ProviderReport::FraudWarning(report) => vec![Claim::Warned { warning: report.warning_ref.clone() }],
        ProviderReport::TransferReversal(report) => {
            let reversal = report.reversal_id.map(|id| id.to_string());
            reversal.map(|reversal| Claim::Reversed { reversal }).into_iter().collect()
        }
        ProviderReport::TopUp(report) => match report.status {
            TopUpStatus::Succeeded | TopUpStatus::Reversed => {
                vec![Claim::ToppedUp { top_up: report.top_up_ref.clone() }]
            }
            TopUpStatus::Pending | TopUpStatus::Failed { .. } => Vec::new(),
        },
        ProviderReport::PlatformPayout(report) => match report.status {
            BankPayoutStatus::Paid => vec![Claim::PaidByItself { payout: report.bank_payout_ref.clone() }],
            _ => Vec::new(),
        },
        // What is so now is not so later, and a link is recorded nowhere.
        ProviderReport::Account(_) | ProviderReport::OnboardingLink(_) => Vec::new(),
    }
}

/// What an event bears out.
pub(super) fn of_event(raw: &Raw, chargebacks: &Chargebacks) -> Result<Vec<Claim>, Violation> {
    let text = |key: &str| raw.text(key).map(str::to_owned);
    let (funding, payout) = (|| text("funding_id"), || text("payout_id"));
    Ok(match raw.event_type.as_str() {
        "funding.succeeded" => vec![
            Claim::Collected { funding: funding()?, payment: text("payment_ref")? },
            // What was collected after all had failed before, whether that was recorded or not.
            Claim::NotCollected { funding: funding()? },
        ],
        "funding.psp_fee_recorded" => vec![Claim::Cost { funding: funding()? }],
        "funding.psp_funds_became_available" => vec![Claim::Available { funding: funding()? }],
        "funding.failed" | "funding.cancelled" | "funding.expired" => {
            vec![Claim::NotCollected { funding: funding()? }]
        }
        "funding.returned" => vec![Claim::Returned { funding: funding()? }],
        "refund.succeeded" | "refund.debit_suspended" => vec![Claim::SentBack { refund: text("refund_id")? }],
        // Where the bank gave it back before its success was recorded, that it had left is no news any more.
        "refund.failed" | "refund.cancelled" => {
            let refund = || text("refund_id");
            vec![Claim::NotSentBack { refund: refund()? }, Claim::SentBack { refund: refund()? }]
        }
        "payout.transfer_completed" | "payout.late_transfer_recorded" => {
            vec![Claim::Transferred { payout: payout()?, transfer: text("transfer_ref")? }]
        }
        "payout.transfer_reversed" => vec![Claim::Reversed { reversal: text("reversal_id")? }],
        "payout.paid" => vec![Claim::Paid { payout: payout()? }],
        // Where the bank sent it back before its arrival was recorded, that it had arrived is no news any more.
        "payout.failed" | "payout.returned" => {
            vec![Claim::NotPaid { payout: payout()? }, Claim::Paid { payout: payout()? }]
        }
        "chargeback.funds_withdrawn" | "chargeback.funds_reinstated" => {
            vec![Claim::Booked { balance_transaction: text("balance_transaction_ref")? }]
        }
        "chargeback.dispute_fee_returned" => {
            vec![Claim::Booked { balance_transaction: format!("{}/fee", text("balance_transaction_ref")?) }]
        }
        "chargeback.lost" => {
            let dispute = chargebacks.dispute_of(raw.text("chargeback_id")?);
            dispute.map(|dispute| Claim::Lost { dispute: dispute.to_owned() }).into_iter().collect()
        }
        "chargeback.early_fraud_warning_received" => vec![Claim::Warned { warning: text("warning_ref")? }],
        "treasury.psp_topped_up" => vec![Claim::ToppedUp { top_up: text("top_up_ref")? }],
        "treasury.platform_revenue_swept" | "treasury.platform_payout_detected" => {
            vec![Claim::PaidByItself { payout: text("bank_payout_ref")? }]
        }
        // It had failed before its arrival was recorded: then that is no news any more.
        _ => Vec::new(),
    })
}
