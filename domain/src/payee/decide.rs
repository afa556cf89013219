//! Rules of a payee account.

use super::{PayeeAccount, PayeeCommand, PayeeEvent};
use crate::actor::Actor;
use crate::escrow::PspPlace;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    payee: &PayeeAccount,
    command: &PayeeCommand,
    context: &Context,
) -> Result<Vec<PayeeEvent>, Refusal> {
    match command {
        PayeeCommand::Clear { release_id } => match payee.pending.get(release_id) {
            Some(earning) => Ok(vec![PayeeEvent::EarningsCleared {
                payee_id: earning.account.payee_id,
                release_id: *release_id,
                contract_id: earning.contract_id,
                amount: earning.amount,
                currency: earning.account.currency,
            }]),
            // Cleared before.
            None => Ok(Vec::new()),
        },
        PayeeCommand::ReservePayout { payee_id, currency, payout_id, amount, account } => {
            match context.actor {
                Actor::Payee(caller) if caller == *payee_id => {}
                Actor::Client(caller) if caller == *payee_id => {
                    return Err(Refusal::Forbidden { who: "payee", action: "request a payout" });
                }
                _ => return Err(Refusal::NotAParty),
            }
            if amount.is_zero() {
                return Err(Refusal::invalid("/amount", "must be greater than zero"));
            }
            let quantum = currency.payout_quantum();
            if currency.round_down_to_payout(*amount) != *amount {
                let message =
                    format!("must be a multiple of {quantum} minor units: {currency} is paid out in whole ones");
                return Err(Refusal::invalid("/amount", message));
            }
            if *amount > payee.available {
                return Err(Refusal::InsufficientAvailable { available: payee.available });
            }
            Ok(vec![PayeeEvent::PayoutReserved {
                payee_id: *payee_id,
                payout_id: *payout_id,
                amount: *amount,
                transfer_amount: amount.saturating_sub(payee.at_provider),
                currency: *currency,
                place: PspPlace { psp: account.psp.clone(), psp_account: account.psp_account.clone() },
            }])
        }
        PayeeCommand::BlockTimer { key, reason } => {
            Ok(vec![PayeeEvent::TimerBlocked { key: key.clone(), reason: reason.clone() }])
        }
    }
}
