//! What follows from what becomes of a payment by a client.

use super::Reaction;
use super::money::request_refund;
use crate::command::Command;
use crate::escrow::{Allocation, ChargeRef, EscrowCommand, PaidFrom};
use crate::funding::{FundingEvent, Purpose};
use crate::id::FundingId;
use crate::milestone::MilestoneCommand;
use crate::payee::{PayeeAccountId, PayeeCommand};
use crate::refund::RefundOrder;
use crate::wallet::{WalletCommand, WalletId};

pub(super) fn of_funding(event: &FundingEvent) -> Vec<Reaction> {
    match event {
        // Money of another amount than asked for funds nothing: the funding's own event books it.
        FundingEvent::Succeeded { as_requested: true, .. } => succeeded(event).into_iter().collect(),
        FundingEvent::SucceededAfterCancel {
            funding_id,
            contract_id,
            client_id,
            refund_id,
            payment_ref,
            charge_ref,
            amount,
            currency,
            place,
        } => {
            let charge =
                ChargeRef { payment_ref: payment_ref.clone(), charge_ref: charge_ref.clone(), place: place.clone() };
            let order = RefundOrder {
                refund_id: *refund_id,
                contract_id: *contract_id,
                client_id: *client_id,
                funding_id: Some(*funding_id),
                amount: *amount,
                currency: *currency,
                charge: Some(charge),
                paid_from: PaidFrom::Provider,
                asked_before: 0,
            };
            vec![request_refund(*refund_id, order)]
        }
        FundingEvent::Returned { funding_id, amount, currency, place, wallet_of: Some(client_id), .. } => {
            let record = WalletCommand::RecordReturn {
                client_id: *client_id,
                funding_id: *funding_id,
                amount: *amount,
                currency: *currency,
                place: place.clone(),
            };
            vec![Reaction::Ask(Command::Wallet(WalletId { party_id: *client_id, currency: *currency }, record))]
        }
        FundingEvent::Returned {
            funding_id, contract_id: Some(contract_id), amount, place, escrowed: true, ..
        } => {
            let record =
                EscrowCommand::RecordFundingReturn { funding_id: *funding_id, amount: *amount, place: place.clone() };
            vec![Reaction::Ask(Command::Escrow(*contract_id, record))]
        }
        FundingEvent::Failed { funding_id, allocations, code, .. } => not_funded(*funding_id, allocations, code),
        FundingEvent::Cancelled { funding_id, allocations, .. } => not_funded(*funding_id, allocations, "cancelled"),
        FundingEvent::Expired { funding_id, allocations, .. } => not_funded(*funding_id, allocations, "expired"),
        // The payment is over, and nothing is funded by it: the milestone is free to be paid for again.
        FundingEvent::ReceiptSuspended { funding_id, allocations, reason, .. } => {
            not_funded(*funding_id, allocations, reason.word())
        }
        FundingEvent::Succeeded { .. }
        | FundingEvent::Created { .. }
        | FundingEvent::PspIntentLinked { .. }
        | FundingEvent::ActionRequired { .. }
        | FundingEvent::Processing { .. }
        | FundingEvent::TimerBlocked { .. }
        | FundingEvent::PspFeeRecorded { .. }
        | FundingEvent::PspFundsBecameAvailable { .. }
        | FundingEvent::Exchanged { .. }
        | FundingEvent::RefundExchanged { .. }
        | FundingEvent::ChargebackExchanged { .. }
        | FundingEvent::FxResultRealised { .. }
        | FundingEvent::Returned { .. }
        | FundingEvent::LateReturnRecorded { .. } => Vec::new(),
    }
}

/// What becomes of money that arrived as it was asked for.
fn succeeded(event: &FundingEvent) -> Option<Reaction> {
    let FundingEvent::Succeeded {
        contract_id,
        funding_id,
        payment_ref,
        charge_ref,
        place,
        captured,
        currency,
        settled,
        purpose,
        client_id,
        ..
    } = event
    else {
        return None;
    };
    let command = match (purpose, client_id) {
        (Purpose::Gratuity { payee_id, gratuity }, Some(client_id)) => {
            let record = PayeeCommand::RecordGratuity {
                payee_id: *payee_id,
                client_id: *client_id,
                contract_id: (*contract_id)?,
                funding_id: *funding_id,
                currency: *currency,
                gratuity: gratuity.as_ref().clone(),
                place: place.clone(),
            };
            Command::Payee(PayeeAccountId { party_id: *payee_id, currency: *currency }, record)
        }
        (Purpose::TopUp, Some(client_id)) => {
            let record = WalletCommand::RecordTopUp {
                client_id: *client_id,
                funding_id: *funding_id,
                amount: *captured,
                currency: *currency,
                place: place.clone(),
            };
            Command::Wallet(WalletId { party_id: *client_id, currency: *currency }, record)
        }
        (Purpose::Escrow | Purpose::Gratuity { .. } | Purpose::TopUp, _) => {
            let charge =
                ChargeRef { payment_ref: payment_ref.clone(), charge_ref: charge_ref.clone(), place: place.clone() };
            let record = EscrowCommand::RecordFunding {
                funding_id: *funding_id,
                place: place.clone(),
                charge: Some(charge),
                settled: *settled,
            };
            Command::Escrow((*contract_id)?, record)
        }
    };
    Some(Reaction::Ask(command))
}

fn not_funded(funding_id: FundingId, allocations: &[Allocation], reason: &str) -> Vec<Reaction> {
    allocations
        .iter()
        .map(|allocation| {
            let failure = MilestoneCommand::RecordFundingFailure { funding_id, reason: reason.to_owned() };
            Reaction::Ask(Command::Milestone(allocation.milestone_id, failure))
        })
        .collect()
}
