//! Rules of a funding.

use ledger::{Currency, Minor};

use super::{Funding, FundingCommand, FundingEvent, Order, Progress, SuspenseReason};
use crate::id::BreakId;
use crate::ports::provider::Receipt;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    funding: &Funding,
    command: &FundingCommand,
    _context: &Context,
) -> Result<Vec<FundingEvent>, Refusal> {
    use {Funding as S, FundingCommand as C, FundingEvent as E};
    match (funding, command) {
        (S::NotCreated, C::Create { order }) => Ok(vec![E::Created { order: order.clone() }]),
        (S::NotCreated, _) => Err(Refusal::NotFound { what: "funding" }),
        (_, C::Create { .. }) => Err(Refusal::Defect("a funding was created twice".to_owned())),

        (S::Created { order, payment_ref: None, .. }, C::LinkPayment { payment_ref }) => {
            Ok(vec![linked(order, payment_ref)])
        }
        // Linked before, or over: told again.
        (S::Created { .. } | S::Succeeded { .. }, C::LinkPayment { .. }) => Ok(Vec::new()),

        (S::Created { order, progress: Progress::Waiting, .. }, C::RecordActionRequired) => {
            Ok(vec![E::ActionRequired { funding_id: order.funding_id, contract_id: order.contract_id }])
        }
        (S::Created { order, progress: Progress::Waiting | Progress::ActionRequired, .. }, C::RecordProcessing) => {
            Ok(vec![E::Processing { funding_id: order.funding_id, contract_id: order.contract_id }])
        }
        (S::Created { order, progress, .. }, C::RecordFailed { code })
            if !matches!(progress, Progress::Failed { .. }) =>
        {
            Ok(vec![E::Failed {
                funding_id: order.funding_id,
                contract_id: order.contract_id,
                allocations: order.allocations.clone(),
                code: code.clone(),
            }])
        }
        // A report of lower rank than what is known came late: no news.
        (
            S::Created { .. } | S::Succeeded { .. },
            C::RecordActionRequired | C::RecordProcessing | C::RecordFailed { .. },
        ) => Ok(Vec::new()),

        (
            S::Created { order, .. },
            C::RecordSucceeded { payment_ref, charge_ref, captured, currency, collected_at },
        ) => {
            let mut events = vec![E::Succeeded {
                funding_id: order.funding_id,
                contract_id: order.contract_id,
                payment_ref: payment_ref.clone(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                currency: *currency,
                as_requested: *captured == order.charge && *currency == order.currency,
                place: order.place.clone(),
                collected_at: *collected_at,
            }];
            if *currency != order.currency {
                events.push(suspended(order, *captured, *currency, SuspenseReason::CurrencyMismatch));
            } else if *captured != order.charge {
                events.push(suspended(order, *captured, *currency, SuspenseReason::AmountMismatch));
            }
            Ok(events)
        }
        (S::Succeeded { .. }, C::RecordSucceeded { .. }) => Ok(Vec::new()),

        (S::Succeeded { order, captured, suspended: None, .. }, C::SuspendReceipt { reason }) => {
            Ok(vec![suspended(order, *captured, order.currency, *reason)])
        }
        (S::Succeeded { .. }, C::SuspendReceipt { .. }) => Ok(Vec::new()),
        (S::Created { .. }, C::SuspendReceipt { .. }) => {
            Err(Refusal::Defect("a receipt was suspended that never arrived".to_owned()))
        }

        // The cost of money that we do not know to have arrived: the report of the success comes first.
        (S::Created { .. }, C::RecordReceipt { .. }) => Ok(Vec::new()),
        (S::Succeeded { order, payment_ref, cost: None, .. }, C::RecordReceipt { receipt }) => {
            let mut events = vec![fee_recorded(order, payment_ref, receipt)];
            if receipt.available {
                events.push(became_available(order, receipt.net, receipt.currency));
            }
            Ok(events)
        }
        (S::Succeeded { order, cost: Some(cost), .. }, C::RecordReceipt { receipt }) => {
            if receipt.available && !cost.available {
                Ok(vec![became_available(order, cost.net, receipt.currency)])
            } else {
                Ok(Vec::new())
            }
        }
    }
}

fn linked(order: &Order, payment_ref: &str) -> FundingEvent {
    FundingEvent::PspIntentLinked {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        payment_ref: payment_ref.to_owned(),
    }
}

fn suspended(order: &Order, amount: Minor, currency: Currency, reason: SuspenseReason) -> FundingEvent {
    FundingEvent::ReceiptSuspended {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        break_id: BreakId::derived(order.funding_id.as_uuid(), "receipt"),
        amount,
        currency,
        expected: order.charge,
        reason,
        place: order.place.clone(),
    }
}

fn fee_recorded(order: &Order, payment_ref: &str, receipt: &Receipt) -> FundingEvent {
    FundingEvent::PspFeeRecorded {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        payment_ref: payment_ref.to_owned(),
        balance_transaction_ref: receipt.balance_transaction_ref.clone(),
        fee: receipt.fee,
        net: receipt.net,
        currency: receipt.currency,
        booked_on: receipt.booked_on,
        available_on: receipt.available_on,
        place: order.place.clone(),
    }
}

fn became_available(order: &Order, amount: Minor, currency: Currency) -> FundingEvent {
    FundingEvent::PspFundsBecameAvailable {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        amount,
        currency,
        place: order.place.clone(),
    }
}
