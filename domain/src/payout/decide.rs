//! Rules of a payout.

use super::{Payout, PayoutCommand, PayoutEvent, Withdrawal};
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn decide(payout: &Payout, command: &PayoutCommand, context: &Context) -> Result<Vec<PayoutEvent>, Refusal> {
    use {Payout as S, PayoutCommand as C, PayoutEvent as E};
    match (payout, command) {
        (S::NotRequested, C::Request { withdrawal }) => Ok(vec![E::Requested { withdrawal: withdrawal.clone() }]),
        (S::NotRequested, _) => Err(Refusal::NotFound { what: "payout" }),
        (_, C::Request { .. }) => Err(Refusal::Defect("a payout was requested twice".to_owned())),

        (S::Transferring { withdrawal }, C::RecordTransferred { transfer_ref, amount }) => {
            Ok(vec![transferred(withdrawal, transfer_ref, *amount)])
        }
        // The money has moved all the same: the payee's account is told, and nothing is paid to the bank.
        (S::Failed { withdrawal, transferred: false, .. }, C::RecordTransferred { transfer_ref, amount }) => {
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
        (_, C::RecordTransferred { .. }) => Ok(Vec::new()),

        (S::Submitting { withdrawal }, C::RecordSubmitted { bank_payout_ref, arrival_at }) => Ok(vec![E::Submitted {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            bank_payout_ref: bank_payout_ref.clone(),
            psp_account: withdrawal.place.psp_account.clone(),
            arrival_at: *arrival_at,
        }]),
        // The provider cannot pay out what we have not seen arrive there: its report of the transfer comes again.
        (_, C::RecordSubmitted { .. }) => Ok(Vec::new()),

        (S::Submitting { withdrawal }, C::RecordPaid { bank_payout_ref }) => Ok(vec![
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

        (S::Transferring { withdrawal }, C::RecordFailed { code }) => {
            Ok(vec![failed(withdrawal, withdrawal.amount.saturating_sub(withdrawal.transfer_amount), code)])
        }
        (S::Submitting { withdrawal } | S::InTransit { withdrawal, .. }, C::RecordFailed { code }) => {
            Ok(vec![failed(withdrawal, withdrawal.amount, code)])
        }
        (S::Paid { withdrawal, .. }, C::RecordFailed { code }) => Ok(vec![E::Returned {
            payout_id: withdrawal.payout_id,
            payee_id: withdrawal.payee_id,
            amount: withdrawal.amount,
            currency: withdrawal.currency,
            code: code.clone(),
            place: withdrawal.place.clone(),
        }]),
        (S::Failed { .. } | S::Returned { .. }, C::RecordFailed { .. }) => Ok(Vec::new()),
    }
}

fn transferred(withdrawal: &Withdrawal, transfer_ref: &str, amount: ledger::Minor) -> PayoutEvent {
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

fn failed(withdrawal: &Withdrawal, left_at_provider: ledger::Minor, code: &str) -> PayoutEvent {
    PayoutEvent::Failed {
        payout_id: withdrawal.payout_id,
        payee_id: withdrawal.payee_id,
        amount: withdrawal.amount,
        left_at_provider,
        currency: withdrawal.currency,
        code: code.to_owned(),
    }
}
