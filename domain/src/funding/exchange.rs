//! What a funding knows of exchange: its position, and when the result is known.

use ledger::{Currency, Minor};

use super::{Exchange, Funding, FundingCommand, FundingEvent, Order};
use crate::exchange::{Position, Settled};

impl Exchange {
    pub(super) fn remember(&mut self, event: &FundingEvent) {
        let position = std::mem::take(&mut self.position);
        self.position = match event {
            // Settled with the success, but not booked so: the position is known already.
            FundingEvent::Exchanged { .. } if self.settled.is_some() => position,
            FundingEvent::Exchanged { amount, settled, .. } => {
                self.settled = Some(*settled);
                position.after_receipt(*amount, *settled)
            }
            FundingEvent::RefundExchanged { amount, settled, came_back, .. }
            | FundingEvent::ChargebackExchanged { amount, settled, came_back, .. } => {
                shifted(position, *amount, *settled, *came_back)
            }
            FundingEvent::Returned { amount, settled: Some(settled), .. } => position.after_refund(*amount, *settled),
            FundingEvent::FxResultRealised { left, .. } => position.after_result(left.currency),
            _ => position,
        };
    }
}

/// A refund of it, or a chargeback, moved in another currency than its own. Nothing is judged: whoever tells has booked it.
pub(super) fn moved(funding: &Funding, command: &FundingCommand) -> Vec<FundingEvent> {
    // A wallet paid, which has no position.
    let Funding::Succeeded { order, exchange, .. } = funding else {
        return Vec::new();
    };
    let (funding_id, contract_id) = (order.funding_id, order.contract_id);
    let (event, amount, currency, settled, came_back) = match command {
        FundingCommand::RecordRefundExchange { refund_id, amount, currency, settled, came_back } => {
            let (refund_id, amount, currency, settled, came_back) =
                (*refund_id, *amount, *currency, *settled, *came_back);
            let event = FundingEvent::RefundExchanged {
                funding_id,
                contract_id,
                refund_id,
                amount,
                currency,
                settled,
                came_back,
            };
            (event, amount, currency, settled, came_back)
        }
        FundingCommand::RecordChargebackExchange { chargeback_id, amount, currency, settled, came_back } => {
            let (chargeback_id, amount, currency, settled, came_back) =
                (*chargeback_id, *amount, *currency, *settled, *came_back);
            let event = FundingEvent::ChargebackExchanged {
                funding_id,
                contract_id,
                chargeback_id,
                amount,
                currency,
                settled,
                came_back,
            };
            (event, amount, currency, settled, came_back)
        }
        _ => return Vec::new(),
    };
    let after = shifted(exchange.position.clone(), amount, settled, came_back);
    std::iter::once(event).chain(results(order, currency, &after)).collect()
}

/// What is realised when a bank has returned `amount`, for which the provider took `settled`.
pub(super) fn returned(
    order: &Order,
    (amount, currency): (Minor, Currency),
    settled: Settled,
    position: &Position,
) -> Vec<FundingEvent> {
    results(order, currency, &position.clone().after_refund(amount, settled))
}

/// The provider settles in another currency what was booked in the one collected; with the result, if a refund was told
/// before.
pub(super) fn receipt(
    order: &Order,
    (amount, currency): (Minor, Currency),
    settled: Settled,
    position: &Position,
) -> Vec<FundingEvent> {
    let after = position.clone().after_receipt(amount, settled);
    std::iter::once(exchanged(order, (amount, currency), settled)).chain(results(order, currency, &after)).collect()
}

/// The provider settles in another currency what was booked in the one collected.
pub(super) fn exchanged(order: &Order, (amount, currency): (Minor, Currency), settled: Settled) -> FundingEvent {
    FundingEvent::Exchanged {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        amount,
        currency,
        settled,
        place: order.place.clone(),
    }
}

fn shifted(position: Position, amount: Minor, settled: Settled, came_back: bool) -> Position {
    if came_back { position.after_receipt(amount, settled) } else { position.after_refund(amount, settled) }
}

fn results(order: &Order, paid_currency: Currency, position: &Position) -> Vec<FundingEvent> {
    let realised = |(result, left)| FundingEvent::FxResultRealised {
        funding_id: order.funding_id,
        contract_id: order.contract_id,
        paid_currency,
        result,
        left,
    };
    position.results().into_iter().map(realised).collect()
}
