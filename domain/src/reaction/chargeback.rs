//! What follows when a bank disagrees with a payment, or takes one back.

use ledger::{Currency, Minor};

use super::Reaction;
use crate::chargeback::{ChargebackCommand, ChargebackEvent, PaidInto};
use crate::command::Command;
use crate::escrow::{Clawback, ContestedRefunds, EscrowCommand, EscrowEvent, LostPart};
use crate::funding::FundingCommand;
use crate::id::{ChargebackId, FundingId, PartyId, RefundId};
use crate::milestone::{LossCause, MilestoneCommand};
use crate::payee::{HoldReason, PayeeAccountId, PayeeCommand};
use crate::refund::RefundCommand;
use crate::wallet::{WalletCommand, WalletId};

/// What follows for the money, and, where it was exchanged, for the payment's FX position.
pub(super) fn of_chargeback(event: &ChargebackEvent) -> Vec<Reaction> {
    of_money(event).into_iter().chain(super::exchange::of_chargeback(event)).collect()
}

fn of_money(event: &ChargebackEvent) -> Vec<Reaction> {
    use ChargebackEvent as E;
    match event {
        E::EarlyFraudWarningReceived { charged, .. } => {
            // Of a top-up nothing is a payee's.
            let (Some(contract_id), Some(payee_id)) = (charged.paid_into.contract_id(), charged.payee_id) else {
                return Vec::new();
            };
            let currency = charged.currency;
            let hold = PayeeCommand::HoldAtClearance { payee_id, currency, contract_id, reason: HoldReason::Fraud };
            vec![Reaction::Ask(Command::Payee(PayeeAccountId { party_id: payee_id, currency }, hold))]
        }
        E::InquiryReceived { opening } | E::Opened { opening } => {
            let note = |contract_id| {
                let note = EscrowCommand::NoteChargeback {
                    chargeback_id: opening.chargeback_id,
                    funding_id: opening.charged.funding_id,
                    inquiry: matches!(event, E::InquiryReceived { .. }),
                };
                Reaction::Ask(Command::Escrow(contract_id, note))
            };
            // A wallet holds as much as the bank takes, and nothing before.
            opening.charged.paid_into.contract_id().map(note).into_iter().collect()
        }
        // It was lost before: the bank keeps this, too.
        E::FundsWithdrawn { chargeback_id, paid_into, funding_id, absorb, .. } if !absorb.is_zero() => {
            vec![absorb_all(*paid_into, *chargeback_id, *funding_id, *absorb)]
        }
        E::FundsWithdrawn { chargeback_id, paid_into, hold_for, .. }
        | E::FundsReinstated { chargeback_id, paid_into, hold_for, .. } => {
            vec![hold(*paid_into, *chargeback_id, *hold_for)]
        }
        E::Won { chargeback_id, paid_into, .. } | E::InquiryClosed { chargeback_id, paid_into, .. } => {
            vec![match paid_into {
                PaidInto::Contract { contract_id } => {
                    let clear = EscrowCommand::ClearChargeback { chargeback_id: *chargeback_id };
                    Reaction::Ask(Command::Escrow(*contract_id, clear))
                }
                PaidInto::Wallet { .. } => hold(*paid_into, *chargeback_id, Minor::ZERO),
            }]
        }
        E::Lost { chargeback_id, paid_into, funding_id, amount, for_operator: false, .. } => {
            vec![absorb_all(*paid_into, *chargeback_id, *funding_id, *amount)]
        }
        E::SecondPresentment { opening, report, .. } => {
            let reopen = ChargebackCommand::Reopen { opening: opening.clone(), report: report.clone() };
            vec![Reaction::Ask(Command::Chargeback(opening.chargeback_id, reopen))]
        }
        E::Lost { for_operator: true, .. }
        | E::DisputeFeeReturned { .. }
        | E::EvidenceDue { .. }
        | E::EvidenceDrafted { .. }
        | E::EvidenceSubmitted { .. }
        | E::Accepted { .. }
        | E::ReviewStarted { .. }
        | E::LossAbsorbed { .. }
        | E::TimerBlocked { .. } => Vec::new(),
    }
}

/// As much as the bank has is not to be spent.
fn hold(paid_into: PaidInto, chargeback_id: ChargebackId, amount: Minor) -> Reaction {
    Reaction::Ask(match paid_into {
        PaidInto::Contract { contract_id } => {
            Command::Escrow(contract_id, EscrowCommand::HoldForChargeback { chargeback_id, amount })
        }
        PaidInto::Wallet { wallet } => {
            let WalletId { party_id: client_id, currency } = wallet;
            Command::Wallet(wallet, WalletCommand::HoldForChargeback { client_id, currency, chargeback_id, amount })
        }
    })
}

fn absorb_all(paid_into: PaidInto, chargeback_id: ChargebackId, funding_id: FundingId, amount: Minor) -> Reaction {
    Reaction::Ask(match paid_into {
        PaidInto::Contract { contract_id } => {
            Command::Escrow(contract_id, EscrowCommand::AbsorbChargeback { chargeback_id, funding_id, amount })
        }
        PaidInto::Wallet { wallet } => {
            let WalletId { party_id: client_id, currency } = wallet;
            let absorb = WalletCommand::AbsorbChargeback { client_id, currency, chargeback_id, funding_id, amount };
            Command::Wallet(wallet, absorb)
        }
    })
}

/// What of a loss nobody else bears.
pub(super) fn borne_by_platform(chargeback_id: ChargebackId, amount: Minor) -> Option<Reaction> {
    let absorb = ChargebackCommand::AbsorbLoss { amount };
    (!amount.is_zero()).then_some(Reaction::Ask(Command::Chargeback(chargeback_id, absorb)))
}

/// What of a returned payment nobody has any more.
pub(super) fn owed_by_client(funding_id: FundingId, amount: Minor) -> Option<Reaction> {
    let record = FundingCommand::RecordLateReturn { amount };
    (!amount.is_zero()).then_some(Reaction::Ask(Command::Funding(funding_id, record)))
}

/// What follows from the escrow's answers.
pub(super) fn of_escrow_event(event: &EscrowEvent) -> Vec<Reaction> {
    match event {
        EscrowEvent::ChargeDisputed { chargeback_id, inquiry: false, milestones, .. } => {
            let suspend = MilestoneCommand::Suspend { chargeback_id: *chargeback_id };
            milestones.iter().map(|id| Reaction::Ask(Command::Milestone(*id, suspend.clone()))).collect()
        }
        EscrowEvent::ChargeCleared { chargeback_id, milestones, refunds, .. } => {
            let resume = MilestoneCommand::Resume { chargeback_id: *chargeback_id };
            let milestones = milestones.iter().map(|id| Reaction::Ask(Command::Milestone(*id, resume.clone())));
            milestones.chain(of_refunds(refunds, &RefundCommand::AskAgain)).collect()
        }
        EscrowEvent::ChargebackHeld {
            chargeback_id,
            funding_id,
            currency,
            contested: Some(ContestedRefunds { client_id, amount }),
            ..
        }
        | EscrowEvent::ChargebackReleased {
            chargeback_id,
            funding_id,
            currency,
            contested: Some(ContestedRefunds { client_id, amount }),
            ..
        } => {
            let hold = WalletCommand::HoldRefunds {
                client_id: *client_id,
                currency: *currency,
                chargeback_id: *chargeback_id,
                funding_id: *funding_id,
                amount: *amount,
            };
            vec![Reaction::Ask(Command::Wallet(WalletId { party_id: *client_id, currency: *currency }, hold))]
        }
        EscrowEvent::ChargebackAbsorbed {
            chargeback_id,
            funding_id,
            client_id,
            currency,
            held,
            platform_share,
            from_refunds,
            refunds,
            ..
        } => {
            let bear = borne_by_platform(*chargeback_id, *platform_share);
            let back = reclaim((*client_id, *currency), Some(*chargeback_id), *funding_id, *from_refunds);
            let waiting = of_refunds(refunds, &RefundCommand::RecordPaymentTaken);
            let lost = lost(*funding_id, LossCause::FundingLost, held).chain(charge_payee(event));
            lost.chain(bear).chain(waiting).chain(back).collect()
        }
        EscrowEvent::FundingReturned {
            funding_id,
            client_id,
            currency,
            parts,
            receivable,
            from_refunds,
            refunds,
            ..
        } => {
            let owed = owed_by_client(*funding_id, *receivable);
            let back = reclaim((*client_id, *currency), None, *funding_id, *from_refunds);
            let waiting = of_refunds(refunds, &RefundCommand::RecordPaymentTaken);
            lost(*funding_id, LossCause::FundingReturned, parts).chain(owed).chain(waiting).chain(back).collect()
        }
        EscrowEvent::LateReturnSettled { funding_id, parts, .. } => {
            lost(*funding_id, LossCause::FundingReturned, parts).collect()
        }
        _ => Vec::new(),
    }
}

fn of_refunds(refunds: &[RefundId], command: &RefundCommand) -> impl Iterator<Item = Reaction> {
    refunds.iter().map(|id| Reaction::Ask(Command::Refund(*id, command.clone())))
}

/// What the client has twice comes out of the wallet, when the refunds that waited are there.
fn reclaim(
    (client_id, currency): (PartyId, Currency),
    chargeback_id: Option<ChargebackId>,
    funding_id: FundingId,
    amount: Minor,
) -> Option<Reaction> {
    let reclaim = WalletCommand::ReclaimRefunds { client_id, currency, chargeback_id, funding_id, amount };
    let wallet = WalletId { party_id: client_id, currency };
    (!amount.is_zero()).then_some(Reaction::Last(Command::Wallet(wallet, reclaim)))
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
