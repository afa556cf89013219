//! What follows when a bank disagrees with a payment, or takes one back.

use ledger::Minor;

use super::Reaction;
use crate::chargeback::{ChargebackCommand, ChargebackEvent};
use crate::command::Command;
use crate::escrow::{Clawback, EscrowCommand, EscrowEvent, LostPart};
use crate::funding::FundingCommand;
use crate::id::{ContractId, FundingId};
use crate::milestone::{LossCause, MilestoneCommand};
use crate::payee::{HoldReason, PayeeAccountId, PayeeCommand};

pub(super) fn of_chargeback(event: &ChargebackEvent) -> Vec<Reaction> {
    use ChargebackEvent as E;
    match event {
        E::EarlyFraudWarningReceived { charged, .. } => {
            let hold = PayeeCommand::HoldAtClearance {
                payee_id: charged.payee_id,
                currency: charged.currency,
                contract_id: charged.contract_id,
                reason: HoldReason::Fraud,
            };
            let account = PayeeAccountId { party_id: charged.payee_id, currency: charged.currency };
            vec![Reaction::Ask(Command::Payee(account, hold))]
        }
        E::InquiryReceived { opening } | E::Opened { opening } => {
            let note = EscrowCommand::NoteChargeback {
                chargeback_id: opening.chargeback_id,
                funding_id: opening.charged.funding_id,
                inquiry: matches!(event, E::InquiryReceived { .. }),
            };
            vec![of_escrow(opening.charged.contract_id, note)]
        }
        // It was lost before: the bank keeps this, too.
        E::FundsWithdrawn { chargeback_id, contract_id, funding_id, absorb, .. } if !absorb.is_zero() => {
            vec![absorb_all(*contract_id, *chargeback_id, *funding_id, *absorb)]
        }
        E::FundsWithdrawn { chargeback_id, contract_id, hold_for, .. }
        | E::FundsReinstated { chargeback_id, contract_id, hold_for, .. } => {
            let hold = EscrowCommand::HoldForChargeback { chargeback_id: *chargeback_id, amount: *hold_for };
            vec![of_escrow(*contract_id, hold)]
        }
        E::Won { chargeback_id, contract_id, .. } | E::InquiryClosed { chargeback_id, contract_id, .. } => {
            let clear = EscrowCommand::ClearChargeback { chargeback_id: *chargeback_id };
            vec![of_escrow(*contract_id, clear)]
        }
        E::Lost { chargeback_id, contract_id, funding_id, amount, for_operator: false, .. } => {
            vec![absorb_all(*contract_id, *chargeback_id, *funding_id, *amount)]
        }
        E::SecondPresentment { opening, report, .. } => {
            let reopen = ChargebackCommand::Reopen { opening: opening.clone(), report: report.clone() };
            vec![Reaction::Ask(Command::Chargeback(opening.chargeback_id, reopen))]
        }
        E::Lost { for_operator: true, .. }
        | E::DisputeFeeReturned { .. }
        | E::EvidenceDue { .. }
        | E::EvidenceSubmitted { .. }
        | E::ReviewStarted { .. }
        | E::LossAbsorbed { .. }
        | E::TimerBlocked { .. } => Vec::new(),
    }
}

fn of_escrow(contract_id: ContractId, command: EscrowCommand) -> Reaction {
    Reaction::Ask(Command::Escrow(contract_id, command))
}

fn absorb_all(
    contract_id: ContractId,
    chargeback_id: crate::id::ChargebackId,
    funding_id: FundingId,
    amount: Minor,
) -> Reaction {
    of_escrow(contract_id, EscrowCommand::AbsorbChargeback { chargeback_id, funding_id, amount })
}

/// What follows from the escrow's answers.
pub(super) fn of_escrow_event(event: &EscrowEvent) -> Vec<Reaction> {
    match event {
        EscrowEvent::ChargeDisputed { chargeback_id, inquiry: false, milestones, .. } => {
            let suspend = MilestoneCommand::Suspend { chargeback_id: *chargeback_id };
            milestones.iter().map(|id| Reaction::Ask(Command::Milestone(*id, suspend.clone()))).collect()
        }
        EscrowEvent::ChargeCleared { chargeback_id, milestones, .. } => {
            let resume = MilestoneCommand::Resume { chargeback_id: *chargeback_id };
            milestones.iter().map(|id| Reaction::Ask(Command::Milestone(*id, resume.clone()))).collect()
        }
        EscrowEvent::ChargebackAbsorbed { chargeback_id, funding_id, held, platform_share, .. } => {
            let bear = (!platform_share.is_zero()).then(|| {
                let absorb = ChargebackCommand::AbsorbLoss { amount: *platform_share };
                Reaction::Ask(Command::Chargeback(*chargeback_id, absorb))
            });
            lost(*funding_id, LossCause::FundingLost, held).chain(charge_payee(event)).chain(bear).collect()
        }
        EscrowEvent::FundingReturned { funding_id, parts, receivable, .. } => {
            let owed = (!receivable.is_zero()).then(|| {
                let record = FundingCommand::RecordLateReturn { amount: *receivable };
                Reaction::Ask(Command::Funding(*funding_id, record))
            });
            lost(*funding_id, LossCause::FundingReturned, parts).chain(owed).collect()
        }
        _ => Vec::new(),
    }
}

fn lost(funding_id: FundingId, cause: LossCause, parts: &[LostPart]) -> impl Iterator<Item = Reaction> {
    parts.iter().filter_map(move |part| {
        let record = MilestoneCommand::RecordFundingLost { funding_id, cause, amount: part.amount };
        Some(Reaction::Ask(Command::Milestone(part.milestone_id?, record)))
    })
}

/// One charge for all milestones of the contract. The sums are those of the event, which the escrow has checked.
fn charge_payee(event: &EscrowEvent) -> Option<Reaction> {
    let EscrowEvent::ChargebackAbsorbed {
        chargeback_id,
        contract_id,
        funding_id,
        client_id,
        payee_id,
        currency,
        clawed,
        payee_tax,
        client_tax,
        ..
    } = event
    else {
        return None;
    };
    if clawed.is_empty() {
        return None;
    }
    let sum = |of: fn(&Clawback) -> Minor| clawed.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(of(part)));
    let charge = PayeeCommand::ChargeLoss {
        chargeback_id: *chargeback_id,
        funding_id: *funding_id,
        payee_id: *payee_id,
        contract_id: *contract_id,
        client_id: *client_id,
        currency: *currency,
        gross: sum(|part| part.back.gross),
        payee_fee: sum(|part| part.back.payee_fee),
        client_fee: sum(|part| part.back.client_fee),
        payee_tax: payee_tax.clone(),
        client_tax: client_tax.clone(),
        from_payee: sum(|part| part.back.from_payee),
    };
    let account = PayeeAccountId { party_id: *payee_id, currency: *currency };
    Some(Reaction::Ask(Command::Payee(account, charge)))
}
