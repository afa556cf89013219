//! Rules of a client's wallet.

use ledger::Minor;

use super::{ClientWallet, WalletCommand, WalletEvent};
use crate::actor::Actor;
use crate::id::PartyId;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(
    wallet: &ClientWallet,
    command: &WalletCommand,
    context: &Context,
) -> Result<Vec<WalletEvent>, Refusal> {
    match command {
        WalletCommand::RecordTopUp { client_id, funding_id, amount, currency, place } => {
            // Told again.
            if wallet.top_ups.contains(funding_id) || amount.is_zero() {
                return Ok(Vec::new());
            }
            Ok(vec![WalletEvent::ToppedUp {
                client_id: *client_id,
                funding_id: *funding_id,
                amount: *amount,
                currency: *currency,
                place: place.clone(),
            }])
        }
        WalletCommand::RecordReturn { client_id, funding_id, amount, currency, place } => {
            // Told again.
            if wallet.returned.contains(funding_id) {
                return Ok(Vec::new());
            }
            let there = wallet.balance.min(*amount);
            Ok(vec![WalletEvent::TopUpReturned {
                client_id: *client_id,
                funding_id: *funding_id,
                amount: there,
                receivable: amount.checked_sub(there)?,
                currency: *currency,
                place: place.clone(),
            }])
        }
        WalletCommand::HoldForChargeback { client_id, currency, chargeback_id, amount } => {
            if wallet.contested.get(chargeback_id).copied().unwrap_or_default() == *amount {
                return Ok(Vec::new());
            }
            Ok(vec![WalletEvent::ChargebackHeld {
                client_id: *client_id,
                chargeback_id: *chargeback_id,
                amount: *amount,
                currency: *currency,
                funding_id: None,
            }])
        }
        // Lost, and all of it had come back.
        WalletCommand::AbsorbChargeback { chargeback_id, amount, .. }
            if amount.is_zero() && !wallet.contested.contains_key(chargeback_id) =>
        {
            Ok(Vec::new())
        }
        WalletCommand::AbsorbChargeback { client_id, currency, chargeback_id, funding_id, amount } => {
            let there = wallet.balance.min(*amount);
            Ok(vec![WalletEvent::ChargebackAbsorbed {
                client_id: *client_id,
                chargeback_id: *chargeback_id,
                funding_id: *funding_id,
                amount: there,
                platform_share: amount.checked_sub(there)?,
                currency: *currency,
                of_refunds: false,
            }])
        }
        WalletCommand::RecordRefund { .. }
        | WalletCommand::HoldRefunds { .. }
        | WalletCommand::ReclaimRefunds { .. } => super::refunded::decide(wallet, command),
        WalletCommand::PayEscrow {
            client_id,
            contract_id,
            funding_id,
            currency,
            amount,
            allocations,
            deposit,
            initiation_fee,
            tax,
        } => {
            only_owner(*client_id, context)?;
            if wallet.paid.contains(funding_id) {
                return Ok(Vec::new());
            }
            enough(wallet, *amount)?;
            Ok(vec![WalletEvent::PaidEscrow {
                client_id: *client_id,
                contract_id: *contract_id,
                funding_id: *funding_id,
                currency: *currency,
                amount: *amount,
                allocations: allocations.clone(),
                deposit: *deposit,
                initiation_fee: *initiation_fee,
                tax: tax.clone(),
            }])
        }
        WalletCommand::Withdraw { client_id, currency, refund_id, amount } => {
            only_owner(*client_id, context)?;
            if wallet.withdrawn.contains(refund_id) {
                return Ok(Vec::new());
            }
            enough(wallet, *amount)?;
            Ok(vec![WalletEvent::Withdrawn {
                client_id: *client_id,
                refund_id: *refund_id,
                amount: *amount,
                currency: *currency,
            }])
        }
    }
}

fn only_owner(client_id: PartyId, context: &Context) -> Result<(), Refusal> {
    match context.actor {
        Actor::Client(party) if party == client_id => Ok(()),
        Actor::Payee(party) if party == client_id => {
            Err(Refusal::Forbidden { who: "client", action: "use the client's wallet" })
        }
        _ => Err(Refusal::NotAParty),
    }
}

fn enough(wallet: &ClientWallet, amount: Minor) -> Result<(), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    let spendable = wallet.spendable();
    if amount > spendable {
        return Err(Refusal::InsufficientWalletBalance { balance: spendable });
    }
    Ok(())
}
