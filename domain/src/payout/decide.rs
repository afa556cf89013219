//! Rules of a payout.

use ledger::Minor;

use super::{CancelCause, Payout, PayoutCommand, PayoutEvent, Reversal, ReversalState, Withdrawal};
use crate::actor::Actor;
use crate::approval;
use crate::escrow::PLATFORM_ACCOUNT;
use crate::id::TransferReversalId;
use crate::party::PayeeStanding;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(payout: &Payout, command: &PayoutCommand, context: &Context) -> Result<Vec<PayoutEvent>, Refusal> {
    match command {
        PayoutCommand::Under { standing, command } => under(payout, Some(standing), command, context),
        command => under(payout, None, command, context),
    }
}

fn under(
    payout: &Payout,
    standing: Option<&PayeeStanding>,
    command: &PayoutCommand,
    context: &Context,
) -> Result<Vec<PayoutEvent>, Refusal> {
    use {Payout as S, PayoutCommand as C, PayoutEvent as E};
    match (payout, command) {
        (_, C::Under { .. }) => Err(Refusal::Defect("a standing under another one".to_owned())),
        (S::NotRequested, C::Request { withdrawal }) => Ok(vec![E::Requested { withdrawal: withdrawal.clone() }]),
        (S::NotRequested, C::RequestApproval { withdrawal, cause }) => {
            Ok(vec![E::ApprovalRequired { withdrawal: withdrawal.clone(), cause: *cause }])
        }
        (S::NotRequested, _) => Err(Refusal::NotFound { what: "payout" }),
        (_, C::Request { .. } | C::RequestApproval { .. }) => {
            Err(Refusal::Defect("a payout was requested twice".to_owned()))
        }

        (state, C::Approve) => approve(state, standing, context),
        (state, C::Cancel) => cancel(state, context),

        (S::Transferring { withdrawal }, C::RecordLackOfFunds) => Ok(vec![E::FundsAwaited {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            transfer_amount: withdrawal.transfer_amount,
            currency: withdrawal.currency,
        }]),
        // It waits already, or goes.
        (_, C::RecordLackOfFunds) => Ok(Vec::new()),

        (
            S::Transferring { withdrawal } | S::Approved { withdrawal },
            C::RecordTransferred { transfer_ref, amount },
        ) => Ok(vec![transferred(withdrawal, transfer_ref, *amount)]),
        (
            S::Transferring { withdrawal } | S::Approved { withdrawal },
            C::RecordTransferConverted { transfer_ref, amount, taken, taken_currency },
        ) => Ok(vec![E::TransferConverted {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            transfer_ref: transfer_ref.clone(),
            amount: *amount,
            payout_amount: withdrawal.amount,
            currency: withdrawal.currency,
            taken: *taken,
            taken_currency: *taken_currency,
            place: withdrawal.place.clone(),
        }]),
        // The money has moved all the same: the payee's account is told, and nothing is paid to the bank.
        (S::Failed { withdrawal, leftover, .. }, C::RecordTransferred { transfer_ref, amount })
            if leftover.transfer_ref.is_none() && !withdrawal.transfer_amount.is_zero() =>
        {
            Ok(vec![E::LateTransferRecorded {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                transfer_ref: transfer_ref.clone(),
                amount: *amount,
                currency: withdrawal.currency,
                place: withdrawal.place.clone(),
            }])
        }
        // Recorded before.
        (_, C::RecordTransferred { .. } | C::RecordTransferConverted { .. }) => Ok(Vec::new()),

        (S::Submitting { withdrawal, .. }, C::RecordSubmitted { bank_payout_ref, arrival_at }) => {
            Ok(vec![E::Submitted {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                bank_payout_ref: bank_payout_ref.clone(),
                psp_account: withdrawal.place.psp_account.clone(),
                arrival_at: *arrival_at,
            }])
        }
        // The provider cannot pay out what we have not seen arrive there: its report of the transfer comes again.
        (_, C::RecordSubmitted { .. }) => Ok(Vec::new()),

        (S::Submitting { withdrawal, .. }, C::RecordPaid { bank_payout_ref }) => Ok(vec![
            E::Submitted {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                bank_payout_ref: bank_payout_ref.clone(),
                psp_account: withdrawal.place.psp_account.clone(),
                arrival_at: context.now,
            },
            paid(withdrawal, bank_payout_ref),
        ]),
        (S::InTransit { withdrawal, .. }, C::RecordPaid { bank_payout_ref }) => {
            Ok(vec![paid(withdrawal, bank_payout_ref)])
        }
        (_, C::RecordPaid { .. }) => Ok(Vec::new()),

        (
            S::Transferring { withdrawal } | S::Approved { withdrawal },
            C::RecordFailed { code } | C::Withhold { code },
        ) => Ok(vec![failed(withdrawal, withdrawal.amount.saturating_sub(withdrawal.transfer_amount), code)]),
        (S::Submitting { withdrawal, .. }, C::RecordFailed { code } | C::Withhold { code })
        | (S::InTransit { withdrawal, .. }, C::RecordFailed { code }) => {
            Ok(vec![failed(withdrawal, withdrawal.amount, code)])
        }
        // It has gone, or was not to go.
        (_, C::Withhold { .. }) => Ok(Vec::new()),
        (S::Paid { withdrawal, .. }, C::RecordFailed { code }) => Ok(vec![E::Returned {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            amount: withdrawal.amount,
            currency: withdrawal.currency,
            code: code.clone(),
            place: withdrawal.place.clone(),
        }]),
        // Nothing was ordered, so it is about something else; or it is told again.
        (
            S::Failed { .. } | S::Returned { .. } | S::AwaitingApproval { .. } | S::Cancelled { .. },
            C::RecordFailed { .. },
        ) => Ok(Vec::new()),

        (state, C::ReverseTransfer { reversal_id, amount }) => reverse(state, *reversal_id, *amount),
        (state, C::RecordReversed { reversal_id, reversal_ref }) => {
            // A reversal that was thought to have failed and happened is recorded all the same.
            let Some((withdrawal, reversal)) = reversal_of(state, *reversal_id) else { return Ok(Vec::new()) };
            if reversal.state == ReversalState::Done {
                return Ok(Vec::new());
            }
            Ok(vec![E::TransferReversed {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                reversal_id: *reversal_id,
                reversal_ref: reversal_ref.clone(),
                amount: reversal.amount,
                currency: withdrawal.currency,
                place: withdrawal.place.clone(),
            }])
        }
        (state, C::RecordReversalFailed { reversal_id, code }) => {
            let Some((withdrawal, reversal)) = reversal_of(state, *reversal_id) else { return Ok(Vec::new()) };
            if reversal.state != ReversalState::Pending {
                return Ok(Vec::new());
            }
            Ok(vec![E::TransferReversalFailed {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                reversal_id: *reversal_id,
                amount: reversal.amount,
                currency: withdrawal.currency,
                code: code.clone(),
            }])
        }
        (state, C::RecordPspFee { balance_transaction_ref, fee }) => {
            let Some(withdrawal) = state.withdrawal() else { return Ok(Vec::new()) };
            if fee.is_zero() {
                return Ok(Vec::new());
            }
            Ok(vec![E::PspFeeRecorded {
                payout_id: withdrawal.payout_id,
                payee_id: withdrawal.payee_id,
                balance_transaction_ref: balance_transaction_ref.clone(),
                fee: *fee,
                currency: withdrawal.currency,
                place: withdrawal.place.clone(),
            }])
        }
    }
}

fn approve(payout: &Payout, standing: Option<&PayeeStanding>, context: &Context) -> Result<Vec<PayoutEvent>, Refusal> {
    let Actor::Staff(_, approved_by) = context.actor else {
        return Err(refuse_to_stranger(payout, context.actor, "approve a payout"));
    };
    if !context.actor.may_hold_money() {
        return Err(Refusal::Forbidden { who: "staff", action: "approve a payout" });
    }
    match payout {
        Payout::AwaitingApproval { withdrawal, .. } => {
            // Whose money it is has asked for it.
            approval::by_another(withdrawal.payee_id, approved_by)?;
            if let Some(standing) = standing {
                let account = &withdrawal.place.psp_account;
                standing.may_be_paid_through(account, withdrawal.currency, context.now)?;
            }
            Ok(vec![PayoutEvent::Approved { withdrawal: withdrawal.clone(), approved_by }])
        }
        state => Err(wrong_state(state, "approved")),
    }
}

fn cancel(payout: &Payout, context: &Context) -> Result<Vec<PayoutEvent>, Refusal> {
    let own = payout.withdrawal().map(|withdrawal| withdrawal.payee_id);
    let cause = match context.actor {
        Actor::Payee(caller) if Some(caller) == own => CancelCause::Payee,
        actor if actor.may_hold_money() => CancelCause::Staff,
        actor => return Err(refuse_to_stranger(payout, actor, "cancel a payout")),
    };
    match payout {
        Payout::AwaitingApproval { withdrawal, .. } => Ok(vec![PayoutEvent::Cancelled {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            amount: withdrawal.amount,
            currency: withdrawal.currency,
            cause,
        }]),
        state => Err(wrong_state(state, "cancelled")),
    }
}

/// Only its payee, and staff, may know of a payout.
fn refuse_to_stranger(payout: &Payout, actor: Actor, action: &'static str) -> Refusal {
    let own = payout.withdrawal().map(|withdrawal| withdrawal.payee_id);
    match actor.party() {
        Some(party) if Some(party) != own => Refusal::NotAParty,
        _ => Refusal::Forbidden { who: "staff", action },
    }
}

fn wrong_state(payout: &Payout, action: &'static str) -> Refusal {
    use crate::rules::Rules;
    Refusal::PayoutWrongState { action, state: payout.state_name() }
}

/// What it brought to the payee's account, and at most that, comes back. What cannot come back stays where it is, and
/// says so: this follows from a fact, which is never refused.
fn reverse(payout: &Payout, id: TransferReversalId, amount: Minor) -> Result<Vec<PayoutEvent>, Refusal> {
    let Some(withdrawal) = payout.withdrawal() else { return Ok(Vec::new()) };
    let known = payout.leftover().cloned().unwrap_or_default();
    // Ordered before.
    if known.reversals.contains_key(&id) {
        return Ok(Vec::new());
    }
    let gone = known.reversals.values().filter(|reversal| reversal.state != ReversalState::Failed);
    let gone = Minor::sum(gone.map(|reversal| reversal.amount))?;
    let left = withdrawal.transfer_amount.saturating_sub(gone);
    let Some(transfer_ref) = known.transfer_ref.filter(|_| !amount.is_zero() && amount <= left) else {
        return Ok(vec![PayoutEvent::TransferReversalFailed {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            reversal_id: id,
            amount,
            currency: withdrawal.currency,
            code: "nothing_to_reverse".to_owned(),
        }]);
    };
    Ok(vec![PayoutEvent::TransferReversalRequested {
        payout_id: withdrawal.payout_id,
        payee_id: withdrawal.payee_id,
        reversal_id: id,
        transfer_ref,
        amount,
        currency: withdrawal.currency,
        place: withdrawal.place.clone(),
    }])
}

fn reversal_of(payout: &Payout, id: TransferReversalId) -> Option<(&Withdrawal, Reversal)> {
    Some((payout.withdrawal()?, *payout.leftover()?.reversals.get(&id)?))
}

fn transferred(withdrawal: &Withdrawal, transfer_ref: &str, amount: Minor) -> PayoutEvent {
    PayoutEvent::TransferCompleted {
        payout_id: withdrawal.payout_id,
        payee_id: withdrawal.payee_id,
        transfer_ref: transfer_ref.to_owned(),
        amount,
        payout_amount: withdrawal.amount,
        currency: withdrawal.currency,
        place: withdrawal.place.clone(),
    }
}

fn paid(withdrawal: &Withdrawal, bank_payout_ref: &str) -> PayoutEvent {
    PayoutEvent::Paid {
        payout_id: withdrawal.payout_id,
        payee_id: withdrawal.payee_id,
        bank_payout_ref: bank_payout_ref.to_owned(),
        amount: withdrawal.amount,
        currency: withdrawal.currency,
        place: withdrawal.place.clone(),
    }
}

fn failed(withdrawal: &Withdrawal, left: Minor, code: &str) -> PayoutEvent {
    // Out of the platform's own balance nothing goes to an account of the payee.
    let left_at_provider = if withdrawal.place.psp_account == PLATFORM_ACCOUNT { Minor::ZERO } else { left };
    PayoutEvent::Failed {
        payout_id: withdrawal.payout_id,
        payee_id: withdrawal.payee_id,
        amount: withdrawal.amount,
        left_at_provider,
        currency: withdrawal.currency,
        code: code.to_owned(),
    }
}
