//! What follows from events of payouts, and of the standing of those who are paid.

use ledger::{Currency, Minor};

use super::Reaction;
use crate::command::Command;
use crate::event::DomainEvent;
use crate::id::{EventId, PartyId};
use crate::party::{PartyCommand, PartyEvent};
use crate::payee::{self, HoldReason, PayeeAccountId, PayeeCommand, PayeeEvent};
use crate::payout::{PayoutCommand, PayoutEvent, Withdrawal};

pub(super) fn of_payout(event_id: EventId, event: &PayoutEvent) -> Vec<Reaction> {
    let source_event_id = event_id;
    match event {
        PayoutEvent::Paid { payout_id, payee_id, amount, currency, .. } => {
            let (payee_id, payout_id, amount) = (*payee_id, *payout_id, *amount);
            let paid = PayeeEvent::PayoutPaidNoted { payee_id, payout_id, source_event_id, amount };
            vec![note(payee_id, *currency, paid)]
        }
        PayoutEvent::Failed { payout_id, payee_id, amount, left_at_provider, currency, code } => {
            let failed = PayeeEvent::PayoutFailedNoted {
                payee_id: *payee_id,
                payout_id: *payout_id,
                source_event_id,
                amount: *amount,
                left_at_provider: *left_at_provider,
                returned: false,
            };
            let leaves_money = !left_at_provider.is_zero();
            let hold = hold_returned(*payee_id, *currency, *amount);
            vec![
                note(*payee_id, *currency, failed),
                set_off(*payee_id, *currency),
                failure(*payee_id, *currency, code, leaves_money),
                hold,
            ]
        }
        PayoutEvent::Returned { payout_id, payee_id, amount, currency, code, place } => {
            let at_payees = place.psp_account != crate::escrow::PLATFORM_ACCOUNT;
            let returned = PayeeEvent::PayoutFailedNoted {
                payee_id: *payee_id,
                payout_id: *payout_id,
                source_event_id,
                amount: *amount,
                left_at_provider: if at_payees { *amount } else { Minor::ZERO },
                returned: true,
            };
            let hold = hold_returned(*payee_id, *currency, *amount);
            vec![
                note(*payee_id, *currency, returned),
                set_off(*payee_id, *currency),
                failure(*payee_id, *currency, code, at_payees),
                hold,
            ]
        }
        PayoutEvent::LateTransferRecorded { payout_id, payee_id, amount, currency, .. } => {
            let (payee_id, payout_id, amount) = (*payee_id, *payout_id, *amount);
            let late = PayeeEvent::LateTransferNoted { payee_id, payout_id, source_event_id, amount };
            vec![note(payee_id, *currency, late), failure(payee_id, *currency, "transferred_late", true)]
        }
        PayoutEvent::Cancelled { payout_id, payee_id, amount, currency, .. } => {
            let (payee_id, payout_id, amount) = (*payee_id, *payout_id, *amount);
            let released = PayeeEvent::PayoutReservationReleased { payee_id, payout_id, source_event_id, amount };
            let hold = hold_returned(payee_id, *currency, amount);
            vec![note(payee_id, *currency, released), set_off(payee_id, *currency), hold]
        }
        PayoutEvent::TransferReversed { payout_id, payee_id, reversal_id, amount, currency, .. } => {
            let reversed = PayeeEvent::TransferReversedNoted {
                payee_id: *payee_id,
                payout_id: *payout_id,
                reversal_id: *reversal_id,
                source_event_id,
                amount: *amount,
            };
            vec![note(*payee_id, *currency, reversed)]
        }
        PayoutEvent::TransferReversalFailed { payout_id, payee_id, reversal_id, currency, .. } => {
            let (payee_id, payout_id, reversal_id) = (*payee_id, *payout_id, *reversal_id);
            let stays = PayeeEvent::TransferReversalFailedNoted { payee_id, payout_id, reversal_id, source_event_id };
            vec![note(payee_id, *currency, stays)]
        }
        PayoutEvent::Requested { .. }
        | PayoutEvent::ApprovalRequired { .. }
        | PayoutEvent::Approved { .. }
        | PayoutEvent::FundsAwaited { .. }
        | PayoutEvent::TransferCompleted { .. }
        | PayoutEvent::TransferConverted { .. }
        | PayoutEvent::Submitted { .. }
        | PayoutEvent::TransferReversalRequested { .. }
        | PayoutEvent::PspFeeRecorded { .. } => Vec::new(),
    }
}

pub(super) fn of_party(event: &PartyEvent) -> Vec<Reaction> {
    match event {
        PartyEvent::RestrictionLifted { party_id, let_go_in, .. } => let_go(*party_id, let_go_in, HoldReason::Kyc),
        PartyEvent::SanctionsCleared { party_id, let_go_in, .. } => let_go(*party_id, let_go_in, HoldReason::Sanctions),
        PartyEvent::SanctionsHitRecorded { party_id, currencies, .. } => {
            let hold = |payee_id, currency| PayeeCommand::HoldForStanding {
                payee_id,
                currency,
                reason: HoldReason::Sanctions,
            };
            on_each(*party_id, currencies, hold)
        }
        PartyEvent::PspAccountEnded { party_id, psp_account, call_back_in, .. }
        | PartyEvent::PspAccountLinked { party_id, replaces: Some(psp_account), call_back_in, .. } => {
            let call_back =
                |payee_id, currency| PayeeCommand::CallBack { payee_id, currency, psp_account: psp_account.clone() };
            on_each(*party_id, call_back_in, call_back)
        }
        PartyEvent::Registered { .. }
        | PartyEvent::PspAccountLinked { .. }
        | PartyEvent::PspAccountRequested { .. }
        | PartyEvent::PspAccountRefused { .. }
        | PartyEvent::OnboardingLinkRequested { .. }
        | PartyEvent::PayoutDestinationRequested { .. }
        | PartyEvent::PayoutDestinationRefused { .. }
        | PartyEvent::PspRequirementsChanged { .. }
        | PartyEvent::Restricted { .. }
        | PartyEvent::PayoutDestinationChanged { .. }
        | PartyEvent::PayoutDestinationBlocked { .. }
        | PartyEvent::FundsLeftNoted { .. }
        | PartyEvent::PspBalanceNegative { .. }
        | PartyEvent::PspBalanceRestored { .. }
        | PartyEvent::HoldNoted { .. }
        | PartyEvent::SanctionsClearanceProposed { .. } => Vec::new(),
    }
}

/// What follows where a payee account sets money aside for a payout, holds it back for its party's standing, or has it
/// called back from the provider.
pub(super) fn of_payee(event: &PayeeEvent) -> Vec<Reaction> {
    match event {
        PayeeEvent::PayoutReserved {
            payee_id, payout_id, amount, transfer_amount, currency, place, approval, ..
        } => {
            let withdrawal = Withdrawal {
                payout_id: *payout_id,
                payee_id: *payee_id,
                amount: *amount,
                transfer_amount: *transfer_amount,
                currency: *currency,
                place: place.clone(),
            };
            let request = match *approval {
                Some(cause) => PayoutCommand::RequestApproval { withdrawal, cause },
                None => PayoutCommand::Request { withdrawal },
            };
            vec![Reaction::Ask(Command::Payout(*payout_id, request))]
        }
        PayeeEvent::EarningsHeld { payee_id, currency, reason, automatic: true, .. } => {
            let (party_id, currency, reason) = (*payee_id, *currency, *reason);
            vec![Reaction::Ask(Command::Party(party_id, PartyCommand::NoteHold { party_id, currency, reason }))]
        }
        PayeeEvent::CallBackRequested { parts, .. } => {
            let parts = parts.iter().map(|part| {
                let (reversal_id, amount) = (part.reversal_id, part.amount);
                Reaction::Ask(Command::Payout(part.payout_id, PayoutCommand::ReverseTransfer { reversal_id, amount }))
            });
            parts.collect()
        }
        _ => Vec::new(),
    }
}

fn note(payee_id: PartyId, currency: Currency, event: PayeeEvent) -> Reaction {
    let account = PayeeAccountId { party_id: payee_id, currency };
    Reaction::Note(payee::stream(account), DomainEvent::Payee(event))
}

/// What is available again pays debts off.
fn set_off(party_id: PartyId, currency: Currency) -> Reaction {
    let set_off = PayeeCommand::SetOffDebts { payee_id: party_id, currency };
    Reaction::Ask(Command::Payee(PayeeAccountId { party_id, currency }, set_off))
}

/// D-130: what can be withdrawn again is held while the payee may be on a list of sanctions.
fn hold_returned(payee_id: PartyId, currency: Currency, amount: Minor) -> Reaction {
    let account = PayeeAccountId { party_id: payee_id, currency };
    Reaction::Ask(Command::Payee(account, PayeeCommand::HoldReturned { payee_id, currency, amount }))
}

fn failure(party_id: PartyId, currency: Currency, code: &str, leaves_money: bool) -> Reaction {
    let note = PartyCommand::NotePayoutFailure { party_id, currency, code: code.to_owned(), leaves_money };
    Reaction::Ask(Command::Party(party_id, note))
}

fn let_go(party_id: PartyId, currencies: &[Currency], reason: HoldReason) -> Vec<Reaction> {
    on_each(party_id, currencies, |payee_id, currency| PayeeCommand::LetGo { payee_id, currency, reason })
}

fn on_each(
    party_id: PartyId,
    currencies: &[Currency],
    command: impl Fn(PartyId, Currency) -> PayeeCommand,
) -> Vec<Reaction> {
    let ask = |currency: &Currency| {
        let account = PayeeAccountId { party_id, currency: *currency };
        Reaction::Ask(Command::Payee(account, command(party_id, *currency)))
    };
    currencies.iter().map(ask).collect()
}
