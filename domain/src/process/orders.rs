//! What is ordered from the payment provider because of an event.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chargeback::ChargebackEvent;
use crate::escrow::PaidFrom;
use crate::event::DomainEvent;
use crate::funding::FundingEvent;
use crate::id::EventId;
use crate::party::PartyEvent;
use crate::payout::{PayoutEvent, Withdrawal};
use crate::ports::provider::{BankPayoutStatus, PaymentStatus, ProviderOrder, ProviderReport, RefundStatus};
use crate::refund::{RefundEvent, RefundOrder};
use crate::time::Timestamp;
use crate::treasury::TreasuryEvent;

/// Something to be carried out once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its identity: the same event gives the same order.
    pub order_id: Uuid,
    /// Not before this instant of the tenant's clock; when absent, see [`Order::due_at`].
    pub not_before: Option<Timestamp>,
    /// What is ordered.
    pub what: ProviderOrder,
}

impl Order {
    /// When it is to be carried out, by the tenant's clock, if its event occurred at this instant.
    pub fn due_at(&self, occurred_at: Timestamp) -> Timestamp {
        self.not_before.or_else(|| occurred_at.checked_add_signed(first_read(&self.what)?)).unwrap_or(occurred_at)
    }
}

/// How long the provider is given to tell by itself before it is asked: webhooks take seconds
/// (`process-managers.md` C.2.8: objects older than ten minutes are fetched).
const FIRST_READ: TimeDelta = TimeDelta::minutes(10);

/// Banks answer refunds after days; asking more often than daily finds nothing that a webhook has not told.
const LAST_READ: TimeDelta = TimeDelta::days(1);

/// What a payment costs is told within moments, now and then after minutes; until then it is not asked for all the time.
const RECEIPT_READ: TimeDelta = TimeDelta::minutes(1);

/// What is due by the provider's own date is mostly there.
const DUE_READ: TimeDelta = TimeDelta::minutes(1);

fn first_read(order: &ProviderOrder) -> Option<TimeDelta> {
    matches!(order, ProviderOrder::ReadRefund { .. }).then_some(FIRST_READ)
}

/// How long to wait, by the tenant's clock, until something that was read `times` times and is not final is read again;
/// `None` for what is not read. Twice as long each time, a day at most: what is due by its date may come hours later, and
/// asking for it all the time would leave no turn to other orders.
pub fn read_again_after(order: &ProviderOrder, times: u32) -> Option<TimeDelta> {
    let first = match order {
        ProviderOrder::ReadBankPayout { .. } | ProviderOrder::ReadReceipt { until_available: true, .. } => DUE_READ,
        other => first_read(other)?,
    };
    Some(twice_as_long(first, times))
}

/// The same for what a payment costs, when the provider does not know it yet.
pub fn receipt_again_after(order: &ProviderOrder, times: u32) -> Option<TimeDelta> {
    matches!(order, ProviderOrder::ReadReceipt { until_available: false, .. })
        .then(|| twice_as_long(RECEIPT_READ, times))
}

fn twice_as_long(first: TimeDelta, times: u32) -> TimeDelta {
    let factor = 1_i32.checked_shl(times.min(16)).unwrap_or(i32::MAX);
    first.checked_mul(factor).map_or(LAST_READ, |wait| wait.min(LAST_READ))
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
                mandate: None,
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
            order:
                RefundOrder {
                    refund_id,
                    amount,
                    currency,
                    charge: Some(charge),
                    paid_from: PaidFrom::Provider,
                    asked_before,
                    ..
                },
        }) => order(
            None,
            ProviderOrder::Refund {
                refund_id: *refund_id,
                payment_ref: charge.payment_ref.clone(),
                charge_ref: charge.charge_ref.clone(),
                amount: *amount,
                currency: *currency,
                asked_before: *asked_before,
            },
        ),
        // A lost webhook must not leave a refund on its way for ever.
        DomainEvent::Refund(RefundEvent::Submitted { refund_id, refund_ref }) => {
            order(None, ProviderOrder::ReadRefund { refund_id: *refund_id, refund_ref: refund_ref.clone() })
        }
        DomainEvent::Payout(PayoutEvent::Requested { withdrawal } | PayoutEvent::Approved { withdrawal, .. }) => {
            order(None, first_leg(withdrawal))
        }
        DomainEvent::Payout(
            PayoutEvent::TransferCompleted { payout_id, payout_amount, currency, place, .. }
            | PayoutEvent::TransferConverted { payout_id, payout_amount, currency, place, .. },
        ) => order(
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
        DomainEvent::Chargeback(ChargebackEvent::EvidenceSubmitted {
            chargeback_id,
            dispute_ref,
            evidence,
            statement,
            ..
        }) => order(
            None,
            ProviderOrder::SubmitEvidence {
                chargeback_id: *chargeback_id,
                dispute_ref: dispute_ref.clone(),
                evidence: evidence.clone(),
                statement: statement.clone(),
                words: None,
            },
        ),
        DomainEvent::Chargeback(ChargebackEvent::Accepted { chargeback_id, dispute_ref, .. }) => {
            order(None, ProviderOrder::CloseDispute { chargeback_id: *chargeback_id, dispute_ref: dispute_ref.clone() })
        }
        DomainEvent::Payout(PayoutEvent::TransferReversalRequested {
            payout_id,
            reversal_id,
            transfer_ref,
            amount,
            currency,
            place,
            ..
        }) => order(
            None,
            ProviderOrder::ReverseTransfer {
                reversal_id: *reversal_id,
                payout_id: *payout_id,
                transfer_ref: transfer_ref.clone(),
                amount: *amount,
                currency: *currency,
                account: place.psp_account.clone(),
            },
        ),
        DomainEvent::Party(PartyEvent::PspAccountRequested { party_id, country, request, .. }) => {
            let (party_id, country, request) = (*party_id, country.clone(), *request);
            order(None, ProviderOrder::CreateAccount { party_id, country, request })
        }
        DomainEvent::Party(PartyEvent::PayoutDestinationRequested {
            party_id,
            currency,
            psp_account,
            token,
            request,
            ..
        }) => {
            let (account, token) = (psp_account.clone(), token.clone());
            let (party_id, currency, request) = (*party_id, *currency, *request);
            order(None, ProviderOrder::SetDestination { party_id, account, currency, token, request })
        }
        DomainEvent::Treasury(TreasuryEvent::TopUpRequested { balance, top_up_id, amount, .. }) => {
            let (top_up_id, amount, currency) = (*top_up_id, *amount, balance.currency);
            order(None, ProviderOrder::TopUp { top_up_id, amount, currency })
        }
        DomainEvent::Treasury(TreasuryEvent::SweepApproved { balance, sweep_id, amount, .. }) => {
            let (sweep_id, amount, currency) = (*sweep_id, *amount, balance.currency);
            order(None, ProviderOrder::PayPlatform { sweep_id, amount, currency })
        }
        _ => Vec::new(),
    }
}

/// What an order has to wait its turn for: transfers out of one balance go one after the other, oldest first, so that the
/// provider's "not enough" means something (D-123). `None` for orders that wait for no other.
pub fn lane(order: &ProviderOrder) -> Option<String> {
    match order {
        ProviderOrder::MoveToPayee { currency, .. } => Some(format!("transfer:{currency}")),
        _ => None,
    }
}

/// What is to be done first for a payout that nothing stops any more.
fn first_leg(withdrawal: &Withdrawal) -> ProviderOrder {
    let (payout_id, currency) = (withdrawal.payout_id, withdrawal.currency);
    let account = withdrawal.place.psp_account.clone();
    if withdrawal.transfer_amount.is_zero() {
        ProviderOrder::PayToBank { payout_id, amount: withdrawal.amount, currency, account }
    } else {
        let (payee_id, amount) = (withdrawal.payee_id, withdrawal.transfer_amount);
        ProviderOrder::MoveToPayee { payout_id, payee_id, amount, currency, account }
    }
}

/// Whether a report settles an order, so that nothing more has to be asked. The facts in it are recorded in any case.
pub fn settles(report: &ProviderReport, order: &ProviderOrder) -> bool {
    match (order, report) {
        (ProviderOrder::ReadReceipt { until_available, .. }, ProviderReport::Payment(report)) => {
            match collected(&report.status) {
                PaymentStatus::Succeeded { receipt, .. } => {
                    receipt.as_ref().is_some_and(|receipt| receipt.available || !until_available)
                }
                // The provider does not say what it has cost, and will not.
                PaymentStatus::Returned { .. } => true,
                // It has to have succeeded for its cost to be asked for.
                _ => false,
            }
        }
        (ProviderOrder::ReadReceipt { .. }, _) => false,
        (ProviderOrder::ReadBankPayout { .. }, ProviderReport::BankPayout(report)) => {
            !matches!(report.status, BankPayoutStatus::Pending { .. } | BankPayoutStatus::InTransit { .. })
        }
        (ProviderOrder::ReadBankPayout { .. }, _) => false,
        (ProviderOrder::ReadRefund { .. }, ProviderReport::Refund(report)) => {
            !matches!(report.status, RefundStatus::Pending | RefundStatus::WaitsForFunds)
        }
        (ProviderOrder::ReadRefund { .. }, _) => false,
        (
            ProviderOrder::CollectPayment { .. }
            | ProviderOrder::CancelPayment { .. }
            | ProviderOrder::Refund { .. }
            | ProviderOrder::MoveToPayee { .. }
            | ProviderOrder::PayToBank { .. }
            | ProviderOrder::SubmitEvidence { .. }
            | ProviderOrder::CloseDispute { .. }
            | ProviderOrder::CreateAccount { .. }
            | ProviderOrder::CreateOnboardingLink { .. }
            | ProviderOrder::SetDestination { .. }
            | ProviderOrder::ReadAccount { .. }
            | ProviderOrder::ReverseTransfer { .. }
            | ProviderOrder::TopUp { .. }
            | ProviderOrder::PayPlatform { .. },
            _,
        ) => true,
    }
}

/// What a payment was before a bank took it back; what it is, where none did.
fn collected(status: &PaymentStatus) -> &PaymentStatus {
    match status {
        PaymentStatus::Returned { collected: Some(collected), .. } => collected,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RefundId;
    use crate::ports::provider::RefundReport;

    fn refund_id() -> RefundId {
        RefundId::from_uuid(Uuid::from_u128(1))
    }

    fn read_order() -> Order {
        let submitted = RefundEvent::Submitted { refund_id: refund_id(), refund_ref: "re_1".to_owned() };
        let event_id = EventId::from_uuid(Uuid::from_u128(2));
        let [order] = orders(event_id, &DomainEvent::Refund(submitted)).try_into().expect("one order");
        order
    }

    /// C.2.8: a refund that the provider works on is asked for, ten minutes later at the earliest.
    #[test]
    fn a_refund_on_its_way_is_read_later() {
        let order = read_order();
        assert_eq!(order.what, ProviderOrder::ReadRefund { refund_id: refund_id(), refund_ref: "re_1".to_owned() });
        assert!(!order.what.moves_money());
        assert_eq!((order.what.action(), order.what.aggregate_id()), ("read_refund", refund_id().to_string()));
        let occurred_at = Timestamp::UNIX_EPOCH;
        assert_eq!(order.due_at(occurred_at), occurred_at + TimeDelta::minutes(10));
        let named = Order { not_before: Some(occurred_at + TimeDelta::days(3)), ..order };
        assert_eq!(named.due_at(occurred_at), occurred_at + TimeDelta::days(3), "an instant that is named holds");
        let refund = ProviderOrder::CancelPayment {
            funding_id: crate::id::FundingId::from_uuid(Uuid::from_u128(3)),
            payment_ref: "pi_1".to_owned(),
        };
        assert_eq!(Order { what: refund, not_before: None, ..named }.due_at(occurred_at), occurred_at);
    }

    #[test]
    fn the_pauses_double_up_to_a_day() {
        let what = read_order().what;
        let pauses: Vec<_> = [0, 1, 2, 7, 8, 31, u32::MAX]
            .into_iter()
            .map(|times| read_again_after(&what, times).map(|pause| pause.num_minutes()))
            .collect();
        assert_eq!(pauses, [10, 20, 40, 1_280, 1_440, 1_440, 1_440].map(Some));
        let receipt = |until_available| ProviderOrder::ReadReceipt {
            funding_id: crate::id::FundingId::from_uuid(Uuid::from_u128(1)),
            payment_ref: "pi_1".to_owned(),
            until_available,
        };
        let minutes = |times| receipt_again_after(&receipt(false), times).map(|pause| pause.num_minutes());
        assert_eq!([minutes(0), minutes(1), minutes(4), minutes(31)], [1, 2, 16, 1_440].map(Some), "D-27");
        assert_eq!(receipt_again_after(&receipt(true), 0), None, "it is read like what is due");
        let due = |order: &ProviderOrder| {
            [0, 1, 4, 31].map(|times| read_again_after(order, times).map(|pause| pause.num_minutes()))
        };
        assert_eq!(due(&receipt(true)), [1, 2, 16, 1_440].map(Some));
        let bank = ProviderOrder::ReadBankPayout {
            payout_id: crate::id::PayoutId::from_uuid(Uuid::from_u128(1)),
            bank_payout_ref: "po_1".to_owned(),
            account: "acct_1".to_owned(),
        };
        assert_eq!(due(&bank), [1, 2, 16, 1_440].map(Some), "160 payouts that come late leave a turn to the others");
        assert_eq!(read_again_after(&what, 0).map(|pause| pause.num_minutes()), Some(10));
    }

    #[test]
    fn a_refund_is_read_until_its_state_is_final() {
        let order = read_order().what;
        for (status, settled) in [
            (RefundStatus::Pending, false),
            (RefundStatus::WaitsForFunds, false),
            (RefundStatus::Succeeded { balance_transaction_ref: None, taken: None }, true),
            (RefundStatus::Failed { code: "declined".to_owned(), came_back: None }, true),
            (RefundStatus::Cancelled, true),
        ] {
            let report = RefundReport { refund_ref: "re_1".to_owned(), refund_id: Some(refund_id()), status };
            assert_eq!(settles(&ProviderReport::Refund(report.clone()), &order), settled, "{report:?}");
        }
    }
}
