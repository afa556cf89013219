//! Money that somebody moves at the provider by hand: books and provider differ until a person has looked.
//!
//! # Invariants
//! - Each movement is one task, opened once: what staff has closed stays closed.
//!
//! # What is deliberately absent
//! Booking it: what it is for is what the person has to find out. Payouts and top-ups of the platform's own balance are
//! booked as unexplained ([`super::alert`]).

use adapters::postgres::task;
use domain::log::StoreError;
use domain::ports::provider::{BankPayoutStatus, PaymentStatus, ProviderReport, RefundStatus};

use crate::app::App;

/// Opens a task where a report shows money that moved and that nobody here has ordered (C.2: `external_refund`).
pub(super) async fn about(app: &App, report: &ProviderReport) -> Result<(), StoreError> {
    let Some((subject, what)) = moved(report) else { return Ok(()) };
    let detail = format!("{subject}: {what}, and it was not ordered here: the books do not have it");
    if task::open_once(app.pool(), task::MOVED_BY_HAND, &subject, &detail).await? {
        tracing::error!(detail, "somebody moves money at the provider beside us");
    }
    Ok(())
}

/// What has moved without an order of ours: its name, and in words.
fn moved(report: &ProviderReport) -> Option<(String, String)> {
    match report {
        ProviderReport::Refund(refund)
            if refund.refund_id.is_none()
                && !matches!(refund.status, RefundStatus::Failed { .. } | RefundStatus::Cancelled) =>
        {
            Some((refund.refund_ref.clone(), "a payment is refunded".to_owned()))
        }
        ProviderReport::BankPayout(payout)
            if payout.payout_id.is_none()
                && !matches!(payout.status, BankPayoutStatus::Failed { .. } | BankPayoutStatus::Cancelled) =>
        {
            let what = format!("the account {} is paid out: switch its automatic payouts off", payout.account);
            Some((payout.bank_payout_ref.clone(), what))
        }
        ProviderReport::Transfer(transfer) if transfer.payout_id.is_none() => {
            let what = format!("{} {} are transferred to an account", transfer.amount.get(), transfer.currency);
            Some((transfer.transfer_ref.clone(), what))
        }
        // More of it may be taken back later: that is another task.
        ProviderReport::Transfer(transfer) if !transfer.reversed_by_hand.is_zero() => {
            let amount = transfer.reversed_by_hand.get();
            let what = format!("{amount} {} of the transfer are taken back", transfer.currency);
            Some((format!("{}-{amount}", transfer.transfer_ref), what))
        }
        ProviderReport::TransferReversal(reversal) if reversal.reversal_id.is_none() => {
            Some((reversal.reversal_ref.clone(), "a transfer is taken back".to_owned()))
        }
        ProviderReport::Payment(payment)
            if payment.funding_id.is_none() && matches!(payment.status, PaymentStatus::Succeeded { .. }) =>
        {
            Some((payment.payment_ref.clone(), "a payment is collected".to_owned()))
        }
        _ => None,
    }
}
