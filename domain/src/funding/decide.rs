//! Rules of a funding.

use ledger::{Currency, Minor};

use super::{Funding, FundingCommand, FundingEvent, Order, Progress, Purpose, SuspenseReason, exchange, top_up};
use crate::actor::Actor;
use crate::exchange::Settled;
use crate::id::{BreakId, RefundId};
use crate::ports::provider::Receipt;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

pub(super) fn decide(
    funding: &Funding,
    command: &FundingCommand,
    context: &Context,
) -> Result<Vec<FundingEvent>, Refusal> {
    use {Funding as S, FundingCommand as C, FundingEvent as E};
    match (funding, command) {
        (S::NotCreated, C::Create { order }) => Ok(vec![E::Created { order: order.clone() }]),
        (S::NotCreated, C::TopUp { .. }) => top_up::request(command, context),
        // Nothing is refused that the books of a refund, or of a chargeback, have already.
        (_, C::RecordRefundExchange { .. } | C::RecordChargebackExchange { .. }) => {
            Ok(exchange::moved(funding, command))
        }
        (S::NotCreated, _) => Err(Refusal::NotFound { what: "funding" }),
        (_, C::Create { .. } | C::TopUp { .. }) => Err(Refusal::Defect("a funding was created twice".to_owned())),

        (S::Created { order, payment_ref: None, .. }, C::LinkPayment { payment_ref }) => {
            Ok(vec![linked(order, payment_ref, false)])
        }
        (S::GivenUp { order, payment_ref: None, .. }, C::LinkPayment { payment_ref }) => {
            Ok(vec![linked(order, payment_ref, true)])
        }
        // Linked before, or over: told again.
        (S::Created { .. } | S::GivenUp { .. } | S::Succeeded { .. }, C::LinkPayment { .. }) => Ok(Vec::new()),

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
            S::Created { .. } | S::GivenUp { .. } | S::Succeeded { .. },
            C::RecordActionRequired | C::RecordProcessing | C::RecordFailed { .. },
        ) => Ok(Vec::new()),

        (
            S::Created { order, .. },
            C::RecordSucceeded { payment_ref, charge_ref, captured, currency, collected_at, settled },
        ) => {
            let as_requested = *captured == order.charge && *currency == order.currency;
            // The escrow's own event books both currencies at once.
            let by_escrow = as_requested && order.purpose.is_escrow();
            let mut events = vec![E::Succeeded {
                funding_id: order.funding_id,
                contract_id: order.contract_id,
                payment_ref: payment_ref.clone(),
                charge_ref: charge_ref.clone(),
                captured: *captured,
                currency: *currency,
                as_requested,
                place: order.place.clone(),
                collected_at: *collected_at,
                purpose: order.purpose.clone(),
                client_id: Some(order.client_id),
                settled: settled.filter(|_| by_escrow),
            }];
            if *currency != order.currency {
                events.push(suspended(order, *captured, *currency, SuspenseReason::CurrencyMismatch));
            } else if *captured != order.charge {
                events.push(suspended(order, *captured, *currency, SuspenseReason::AmountMismatch));
            }
            let apart = settled.filter(|_| !by_escrow);
            events.extend(apart.map(|settled| exchange::exchanged(order, (*captured, *currency), settled)));
            Ok(events)
        }
        (
            S::GivenUp { order, .. },
            C::RecordSucceeded { payment_ref, charge_ref, captured, currency, collected_at, settled },
        ) => {
            let mut events = vec![
                E::Succeeded {
                    funding_id: order.funding_id,
                    contract_id: order.contract_id,
                    payment_ref: payment_ref.clone(),
                    charge_ref: charge_ref.clone(),
                    captured: *captured,
                    currency: *currency,
                    as_requested: false,
                    place: order.place.clone(),
                    collected_at: *collected_at,
                    purpose: order.purpose.clone(),
                    client_id: Some(order.client_id),
                    settled: None,
                },
                sent_back(order, payment_ref, charge_ref, *captured, *currency),
            ];
            events.extend(settled.map(|settled| exchange::exchanged(order, (*captured, *currency), settled)));
            Ok(events)
        }
        (S::Succeeded { .. }, C::RecordSucceeded { .. }) => Ok(Vec::new()),

        (
            S::Succeeded {
                order,
                payment_ref,
                charge_ref,
                captured,
                cost,
                suspended: None,
                refund_id: None,
                exchange,
                ..
            },
            C::ReturnLateReceipt,
        ) => {
            let back = sent_back(order, payment_ref, charge_ref, *captured, order.currency);
            Ok(with_exchange(back, order, *captured, exchange.settled.filter(|_| cost.is_none())))
        }
        (S::Succeeded { .. }, C::ReturnLateReceipt) => Ok(Vec::new()),
        (S::Created { .. } | S::GivenUp { .. }, C::ReturnLateReceipt) => {
            Err(Refusal::Defect("a receipt was sent back that never arrived".to_owned()))
        }

        (S::Created { order, progress, payment_ref }, C::Cancel) => {
            only_client(order, context)?;
            if matches!(progress, Progress::Processing | Progress::Failed { .. }) {
                return Err(Refusal::FundingWrongState { action: "cancelled", state: funding.state_name() });
            }
            Ok(vec![cancelled(order, payment_ref.as_deref())])
        }
        (S::GivenUp { order, .. } | S::Succeeded { order, .. }, C::Cancel) => {
            only_client(order, context)?;
            Err(Refusal::FundingWrongState { action: "cancelled", state: funding.state_name() })
        }
        (S::Created { order, payment_ref, .. }, C::CallOff) => Ok(vec![cancelled(order, payment_ref.as_deref())]),
        (S::GivenUp { .. } | S::Succeeded { .. }, C::CallOff) => Ok(Vec::new()),

        (S::Created { order, progress: Progress::Waiting | Progress::ActionRequired, payment_ref }, C::Expire) => {
            Ok(vec![E::Expired {
                funding_id: order.funding_id,
                contract_id: order.contract_id,
                allocations: order.allocations.clone(),
                payment_ref: payment_ref.clone(),
            }])
        }
        (S::Created { .. } | S::GivenUp { .. } | S::Succeeded { .. }, C::Expire) => Ok(Vec::new()),
        (
            S::Created { order, .. } | S::GivenUp { order, .. } | S::Succeeded { order, .. },
            C::BlockTimer { key, reason },
        ) => Ok(vec![E::TimerBlocked {
            funding_id: order.funding_id,
            contract_id: order.contract_id,
            key: key.clone(),
            reason: reason.clone(),
        }]),

        (
            S::Succeeded { order, suspended, refund_id, returned: false, exchange, .. },
            C::RecordReturned { amount, currency, balance_transaction_ref, code, settled, .. },
        ) => {
            let settled = settled.filter(|settled| settled.currency != *currency);
            let kept = suspended.is_none() && refund_id.is_none() && *currency == order.currency;
            let escrowed = kept && order.purpose.is_escrow();
            let wallet_of = (kept && order.purpose == Purpose::TopUp).then_some(order.client_id);
            let mut events = vec![E::Returned {
                funding_id: order.funding_id,
                contract_id: order.contract_id,
                amount: *amount,
                currency: *currency,
                balance_transaction_ref: balance_transaction_ref.clone(),
                code: code.clone(),
                place: order.place.clone(),
                escrowed,
                wallet_of,
                settled,
            }];
            if !escrowed && wallet_of.is_none() {
                events.push(late_return(order, *amount, *currency));
            }
            if let Some(settled) = settled {
                events.extend(exchange::returned(order, (*amount, *currency), settled, &exchange.position));
            }
            Ok(events)
        }
        // It never counted as paid; told of the return before the success, the success is no news any more.
        (
            S::Created { order, progress: Progress::Waiting | Progress::ActionRequired | Progress::Processing, .. },
            C::RecordReturned { code, .. },
        ) => Ok(vec![E::Failed {
            funding_id: order.funding_id,
            contract_id: order.contract_id,
            allocations: order.allocations.clone(),
            code: code.clone(),
        }]),
        (S::Created { .. } | S::GivenUp { .. } | S::Succeeded { .. }, C::RecordReturned { .. }) => Ok(Vec::new()),
        (S::Succeeded { order, returned: true, .. }, C::RecordLateReturn { amount }) => {
            Ok(vec![late_return(order, *amount, order.currency)])
        }
        (S::Created { .. } | S::GivenUp { .. } | S::Succeeded { .. }, C::RecordLateReturn { .. }) => {
            Err(Refusal::Defect("a late return of a payment that was not returned".to_owned()))
        }

        (
            S::Succeeded { order, captured, cost, suspended: None, refund_id: None, exchange, .. },
            C::SuspendReceipt { reason },
        ) => {
            let suspended = suspended(order, *captured, order.currency, *reason);
            Ok(with_exchange(suspended, order, *captured, exchange.settled.filter(|_| cost.is_none())))
        }
        (S::Succeeded { .. }, C::SuspendReceipt { .. }) => Ok(Vec::new()),
        (S::Created { .. } | S::GivenUp { .. }, C::SuspendReceipt { .. }) => {
            Err(Refusal::Defect("a receipt was suspended that never arrived".to_owned()))
        }

        // The cost of money that we do not know to have arrived: the report of the success comes first.
        (S::Created { .. } | S::GivenUp { .. }, C::RecordReceipt { .. }) => Ok(Vec::new()),
        (S::Succeeded { order, payment_ref, captured, cost: None, exchange, .. }, C::RecordReceipt { receipt }) => {
            let collected_in = exchange.collected_in.unwrap_or(order.currency);
            let mut events = match receipt.settled(collected_in)? {
                Some(settled) if exchange.settled.is_none() => {
                    exchange::receipt(order, (*captured, collected_in), settled, &exchange.position)
                }
                Some(_) | None => Vec::new(),
            };
            events.push(fee_recorded(order, payment_ref, receipt));
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

/// With what the provider has for it, told with the success, which the escrow was to book, and does not.
fn with_exchange(event: FundingEvent, order: &Order, captured: Minor, settled: Option<Settled>) -> Vec<FundingEvent> {
    let exchanged = settled.map(|settled| exchange::exchanged(order, (captured, order.currency), settled));
    std::iter::once(event).chain(exchanged).collect()
}

fn cancelled(order: &Order, payment_ref: Option<&str>) -> FundingEvent {
    FundingEvent::Cancelled {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        allocations: order.allocations.clone(),
        payment_ref: payment_ref.map(str::to_owned),
    }
}

fn sent_back(order: &Order, payment_ref: &str, charge_ref: &str, amount: Minor, currency: Currency) -> FundingEvent {
    FundingEvent::SucceededAfterCancel {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        client_id: order.client_id,
        refund_id: RefundId::derived(order.funding_id.as_uuid(), "late"),
        payment_ref: payment_ref.to_owned(),
        charge_ref: charge_ref.to_owned(),
        amount,
        currency,
        place: order.place.clone(),
    }
}

fn only_client(order: &Order, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == order.client_id => Ok(()),
        _ => Err(Refusal::NotAParty),
    }
}

fn linked(order: &Order, payment_ref: &str, given_up: bool) -> FundingEvent {
    FundingEvent::PspIntentLinked {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        payment_ref: payment_ref.to_owned(),
        given_up,
    }
}

fn late_return(order: &Order, amount: Minor, currency: Currency) -> FundingEvent {
    FundingEvent::LateReturnRecorded {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        client_id: order.client_id,
        amount,
        currency,
        place: order.place.clone(),
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
        allocations: order.allocations.clone(),
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
