//! What follows from a refund, or a chargeback, out of, or back into, a balance in another currency.

use super::Reaction;
use crate::chargeback::ChargebackEvent;
use crate::command::Command;
use crate::funding::FundingCommand;
use crate::refund::RefundEvent;

/// The funding has the FX position that a refund in another currency shifts.
pub(super) fn of_refund(event: &RefundEvent) -> Option<Reaction> {
    let (refund_id, amount, currency, exchange, came_back) = match event {
        RefundEvent::Succeeded { refund_id, amount, currency, exchange: Some(exchange), .. } => {
            (refund_id, amount, currency, exchange, false)
        }
        RefundEvent::Failed { refund_id, amount, currency, exchange: Some(exchange), .. } => {
            (refund_id, amount, currency, exchange, true)
        }
        _ => return None,
    };
    let record = FundingCommand::RecordRefundExchange {
        refund_id: *refund_id,
        amount: *amount,
        currency: *currency,
        settled: exchange.settled,
        came_back,
    };
    Some(Reaction::Ask(Command::Funding(exchange.funding_id?, record)))
}

/// The same for what a bank takes, or gives back.
pub(super) fn of_chargeback(event: &ChargebackEvent) -> Option<Reaction> {
    use ChargebackEvent as E;
    let came_back = matches!(event, E::FundsReinstated { .. });
    let (E::FundsWithdrawn { chargeback_id, funding_id, amount, currency, settled: Some(settled), .. }
    | E::FundsReinstated { chargeback_id, funding_id, amount, currency, settled: Some(settled), .. }) = event
    else {
        return None;
    };
    let record = FundingCommand::RecordChargebackExchange {
        chargeback_id: *chargeback_id,
        amount: *amount,
        currency: *currency,
        settled: *settled,
        came_back,
    };
    Some(Reaction::Ask(Command::Funding(*funding_id, record)))
}
