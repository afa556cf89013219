//! Which cycle of a chargeback takes a fact, and what our books say of the payment that it is about.

use crate::aggregate::AggregateState;
use crate::chargeback::{self, ChargebackCommand, Charged, PaidInto};
use crate::command::Command;
use crate::escrow;
use crate::funding::{self, Funding};
use crate::id::{ChargebackId, FundingId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::unit_of_work::Stop;
use crate::wallet::WalletId;

type Look<'a> = &'a mut dyn FnMut(&StreamId) -> Result<AggregateState, Stop>;

/// The command as the present cycle is to be given it.
pub(super) fn resolved(id: ChargebackId, command: &ChargebackCommand, look: Look<'_>) -> Result<Command, Stop> {
    let mut id = id;
    let mut begun = false;
    while let AggregateState::Chargeback(state) = look(&chargeback::stream(id))? {
        begun = state.charged().is_some();
        match state.next() {
            Some(next) if !command.is_of_one_cycle() => id = next,
            _ => break,
        }
    }
    let mut command = command.clone();
    if let ChargebackCommand::Record { charged, .. } | ChargebackCommand::RecordFraudWarning { charged, .. } =
        &mut command
    {
        *charged = None;
    }
    if !begun && let Some(funding_id) = command.funding_id() {
        let known = Some(Box::new(charged_by(funding_id, look)?));
        if let ChargebackCommand::Record { charged, .. } | ChargebackCommand::RecordFraudWarning { charged, .. } =
            &mut command
        {
            *charged = known;
        }
    }
    Ok(Command::Chargeback(id, command))
}

/// A payment that is not known to have succeeded is looked for again later: its success is on its way.
fn charged_by(funding_id: FundingId, look: Look<'_>) -> Result<Charged, Stop> {
    let not_found = || Stop::Refused(Refusal::NotFound { what: "funding" });
    let AggregateState::Funding(funding) = look(&funding::stream(funding_id))? else {
        return Err(not_found());
    };
    let Funding::Succeeded { order, captured, .. } = *funding else {
        return Err(not_found());
    };
    let (paid_into, payee_id) = if let Some(contract_id) = order.contract_id {
        let AggregateState::Escrow(escrow) = look(&escrow::stream(contract_id))? else {
            return Err(not_found());
        };
        let payee_id = escrow.holdings().ok_or_else(not_found)?.payee_id;
        (PaidInto::Contract { contract_id }, Some(payee_id))
    } else {
        let wallet = WalletId { party_id: order.client_id, currency: order.currency };
        (PaidInto::Wallet { wallet }, None)
    };
    Ok(Charged {
        paid_into,
        funding_id,
        client_id: order.client_id,
        payee_id,
        currency: order.currency,
        captured,
        place: order.place,
    })
}
