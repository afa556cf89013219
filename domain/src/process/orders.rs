//! What is ordered from the payment provider because of an event.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::escrow::PaidFrom;
use crate::event::DomainEvent;
use crate::funding::FundingEvent;
use crate::id::EventId;
use crate::payout::PayoutEvent;
use crate::ports::provider::{BankPayoutStatus, PaymentReport, PaymentStatus, ProviderOrder, ProviderReport};
use crate::refund::{RefundEvent, RefundOrder};
use crate::time::Timestamp;

/// Something to be carried out once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its identity: the same event gives the same order.
    pub order_id: Uuid,
    /// Not before this instant of the tenant's clock.
    pub not_before: Option<Timestamp>,
    /// What is ordered.
    pub what: ProviderOrder,
}

/// The orders that follow from an event.
pub fn orders(event_id: EventId, event: &DomainEvent) -> Vec<Order> {
    let order = |not_before, what: ProviderOrder| {
        let order_id = Uuid::new_v5(&event_id.as_uuid(), what.action().as_bytes());
        vec![Order { order_id, not_before, what }]
    };
    match event {
        DomainEvent::Funding(FundingEvent::Created { order: funding }) => order(
            None,
            ProviderOrder::CollectPayment {
                funding_id: funding.funding_id,
                contract_id: funding.contract_id,
                amount: funding.charge,
                currency: funding.currency,
                payment_method: funding.payment_method.clone(),
            },
        ),
        DomainEvent::Funding(FundingEvent::Succeeded { funding_id, payment_ref, .. }) => order(
            None,
            ProviderOrder::ReadReceipt {
                funding_id: *funding_id,
                payment_ref: payment_ref.clone(),
                until_available: false,
            },
        ),
        DomainEvent::Funding(FundingEvent::PspFeeRecorded { funding_id, payment_ref, available_on, .. }) => order(
            Some(*available_on),
            ProviderOrder::ReadReceipt {
                funding_id: *funding_id,
                payment_ref: payment_ref.clone(),
                until_available: true,
            },
        ),
        DomainEvent::Funding(
            FundingEvent::PspIntentLinked { funding_id, payment_ref, given_up: true, .. }
            | FundingEvent::Cancelled { funding_id, payment_ref: Some(payment_ref), .. }
            | FundingEvent::Expired { funding_id, payment_ref: Some(payment_ref), .. },
        ) => order(None, ProviderOrder::CancelPayment { funding_id: *funding_id, payment_ref: payment_ref.clone() }),
        DomainEvent::Refund(RefundEvent::Requested {
            order: RefundOrder { refund_id, amount, currency, charge: Some(charge), paid_from: PaidFrom::Provider, .. },
        }) => order(
            None,
            ProviderOrder::Refund {
                refund_id: *refund_id,
                payment_ref: charge.payment_ref.clone(),
                charge_ref: charge.charge_ref.clone(),
                amount: *amount,
                currency: *currency,
            },
        ),
        DomainEvent::Payout(PayoutEvent::Requested { withdrawal }) if withdrawal.transfer_amount.is_zero() => order(
            None,
            ProviderOrder::PayToBank {
                payout_id: withdrawal.payout_id,
                amount: withdrawal.amount,
                currency: withdrawal.currency,
                account: withdrawal.place.psp_account.clone(),
            },
        ),
        DomainEvent::Payout(PayoutEvent::Requested { withdrawal }) => order(
            None,
            ProviderOrder::MoveToPayee {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                amount: withdrawal.transfer_amount,
                currency: withdrawal.currency,
                account: withdrawal.place.psp_account.clone(),
            },
        ),
        DomainEvent::Payout(PayoutEvent::TransferCompleted { payout_id, payout_amount, currency, place, .. }) => order(
            None,
            ProviderOrder::PayToBank {
                payout_id: *payout_id,
                amount: *payout_amount,
                currency: *currency,
                account: place.psp_account.clone(),
            },
        ),
        // A lost webhook must not leave a payout on its way for ever.
        DomainEvent::Payout(PayoutEvent::Submitted { payout_id, bank_payout_ref, psp_account, arrival_at, .. }) => {
            order(
                Some(*arrival_at),
                ProviderOrder::ReadBankPayout {
                    payout_id: *payout_id,
                    bank_payout_ref: bank_payout_ref.clone(),
                    account: psp_account.clone(),
                },
            )
        }
        _ => Vec::new(),
    }
}

/// Whether a report settles an order, so that nothing more has to be asked. The facts in it are recorded in any case.
pub fn settles(report: &ProviderReport, order: &ProviderOrder) -> bool {
    match (order, report) {
        (
            ProviderOrder::ReadReceipt { until_available, .. },
            ProviderReport::Payment(PaymentReport { status: PaymentStatus::Succeeded { receipt, .. }, .. }),
        ) => receipt.as_ref().is_some_and(|receipt| receipt.available || !until_available),
        // It has to have succeeded for its cost to be asked for.
        (ProviderOrder::ReadReceipt { .. }, _) => false,
        (ProviderOrder::ReadBankPayout { .. }, ProviderReport::BankPayout(report)) => {
            !matches!(report.status, BankPayoutStatus::Pending { .. } | BankPayoutStatus::InTransit { .. })
        }
        (ProviderOrder::ReadBankPayout { .. }, _) => false,
        (
            ProviderOrder::CollectPayment { .. }
            | ProviderOrder::CancelPayment { .. }
            | ProviderOrder::Refund { .. }
            | ProviderOrder::MoveToPayee { .. }
            | ProviderOrder::PayToBank { .. },
            _,
        ) => true,
    }
}
