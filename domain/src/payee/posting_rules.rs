//! What a payee account's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry, Minor};

use super::{DebtPart, GratuityPaid, HeldBackPart, PayeeEvent};
use crate::chargeback::posting_rules::contested;
use crate::escrow::posting_rules::{at, at_rate, refund_parts};
use crate::id::PartyId;

/// The entry of an event; `None` for mirrors, whose source carries the journal.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &PayeeEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        PayeeEvent::EarningsCredited { .. }
        | PayeeEvent::PayoutPaidNoted { .. }
        | PayeeEvent::PayoutFailedNoted { .. }
        | PayeeEvent::LateTransferNoted { .. }
        | PayeeEvent::DebtRecorded { .. }
        | PayeeEvent::DebtRecovered { from_available: false, .. }
        | PayeeEvent::ClearanceHoldPlaced { .. }
        | PayeeEvent::TimerBlocked { .. }
        | PayeeEvent::PayoutReservationReleased { .. }
        | PayeeEvent::PayoutScheduleChanged { .. }
        | PayeeEvent::PayoutScheduleReached { .. }
        | PayeeEvent::PayoutPolicySet { .. }
        | PayeeEvent::CallBackRequested { .. }
        | PayeeEvent::TransferReversedNoted { .. }
        | PayeeEvent::TransferReversalFailedNoted { .. } => return Ok(None),
        // Fees may take all of a release; then nothing is booked.
        PayeeEvent::EarningsCleared { amount, .. } if amount.is_zero() => return Ok(None),

        PayeeEvent::EarningsCleared { payee_id, contract_id, amount, currency, debt_recovered, .. } => {
            let payee = of(payee_id);
            let mut entry = EntryBuilder::new("clearance", value_date, *currency).debit(
                Account::PayeePending,
                *amount,
                payee.clone().with(Key::Contract, contract_id),
            );
            let mut rest = *amount;
            for DebtPart { cause, amount } in debt_recovered {
                rest = rest.checked_sub(*amount)?;
                entry = entry.credit(Account::ReceivableFromPayee, *amount, payee.clone().with(Key::Cause, cause));
            }
            entry.credit(Account::PayeeAvailable, rest, payee)
        }
        PayeeEvent::EarningsHeld { payee_id, amount, currency, reason, .. } => {
            EntryBuilder::new("earnings_hold", value_date, *currency)
                .debit(Account::PayeeAvailable, *amount, of(payee_id))
                .credit(Account::PayeeHeld, *amount, of(payee_id).with(Key::HoldReason, reason.word()))
        }
        PayeeEvent::EarningsHoldReleased { payee_id, amount, currency, reason } => {
            EntryBuilder::new("earnings_hold_released", value_date, *currency)
                .debit(Account::PayeeHeld, *amount, of(payee_id).with(Key::HoldReason, reason.word()))
                .credit(Account::PayeeAvailable, *amount, of(payee_id))
        }
        PayeeEvent::PayeeRefundGranted { .. } => refund_granted(event, value_date)?,
        PayeeEvent::DebtRecovered { payee_id, cause, amount, currency, from_available: true } => {
            EntryBuilder::new("debt_set_off", value_date, *currency)
                .debit(Account::PayeeAvailable, *amount, of(payee_id))
                .credit(Account::ReceivableFromPayee, *amount, of(payee_id).with(Key::Cause, cause))
        }
        PayeeEvent::DebtWrittenOff { payee_id, cause, amount, currency } => {
            let owed = of(payee_id).with(Key::Cause, cause);
            EntryBuilder::new("debt_written_off", value_date, *currency)
                .debit(Account::WriteOffs, *amount, owed.clone())
                .credit(Account::ReceivableFromPayee, *amount, owed)
        }
        PayeeEvent::ChargebackLossCharged { .. } => loss_charged(event, value_date)?,
        PayeeEvent::BonusPaid { paid } => gratuity("bonus", paid, value_date)?,
        PayeeEvent::TipPaid { paid } => gratuity("tip", paid, value_date)?,
        PayeeEvent::PayoutReserved { payee_id, payout_id, amount, currency, .. } => {
            let payee = of(payee_id);
            EntryBuilder::new("payout_reservation", value_date, *currency)
                .debit(Account::PayeeAvailable, *amount, payee.clone())
                .credit(Account::PayoutsInTransit, *amount, payee.with(Key::Payout, payout_id))
        }
    };
    entry.build().map(Some)
}

fn of(payee_id: &PartyId) -> Dimensions {
    Dimensions::new().with(Key::Payee, payee_id)
}

fn refund_granted(event: &PayeeEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let PayeeEvent::PayeeRefundGranted {
        payee_id,
        refund_id,
        contract_id,
        client_id,
        currency,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_pending,
        from_available,
        as_debt,
        parts,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let contract = Dimensions::new().with(Key::Contract, contract_id);
    let pending = Minor::sum(from_pending.iter().map(|part| part.amount))?;
    let entry = EntryBuilder::new("payee_refund", value_date, *currency)
        .debit(Account::PayeePending, pending, of(payee_id).with(Key::Contract, contract_id))
        .debit(Account::PayeeAvailable, *from_available, of(payee_id))
        .debit(Account::ReceivableFromPayee, *as_debt, of(payee_id).with(Key::Cause, refund_id))
        .debit(Account::PayeeServiceFees, *payee_fee, contract.clone().with(Key::Payee, payee_id))
        .debit(Account::ClientMarketplaceFees, *client_fee, contract.with(Key::Client, client_id));
    let taxes = [payee_tax, client_tax].into_iter().flatten();
    let entry = taxes.fold(entry, |entry, line| entry.debit(Account::OutputTax, line.amount, at_rate(line)));
    Ok(refund_parts(entry, *client_id, parts))
}

fn loss_charged(event: &PayeeEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let PayeeEvent::ChargebackLossCharged {
        payee_id,
        chargeback_id,
        funding_id,
        contract_id,
        client_id,
        currency,
        payee_fee,
        client_fee,
        payee_tax,
        client_tax,
        from_pending,
        from_available,
        from_held,
        as_debt,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let contract = Dimensions::new().with(Key::Contract, contract_id);
    let pending = Minor::sum(from_pending.iter().map(|part| part.amount))?;
    let taxes = || [payee_tax, client_tax].into_iter().flatten();
    let parts = [pending, *from_available, *as_debt, *payee_fee, *client_fee].into_iter();
    let held = from_held.iter().map(|part| part.amount);
    let total = Minor::sum(parts.chain(held).chain(taxes().map(|line| line.amount)))?;
    let entry = EntryBuilder::new("chargeback_loss_charged", value_date, *currency)
        .debit(Account::PayeePending, pending, of(payee_id).with(Key::Contract, contract_id))
        .debit(Account::PayeeAvailable, *from_available, of(payee_id));
    let entry = from_held.iter().fold(entry, |entry, HeldBackPart { reason, amount }| {
        entry.debit(Account::PayeeHeld, *amount, of(payee_id).with(Key::HoldReason, reason.word()))
    });
    let entry = entry
        .debit(Account::ReceivableFromPayee, *as_debt, of(payee_id).with(Key::Cause, chargeback_id))
        .debit(Account::PayeeServiceFees, *payee_fee, contract.clone().with(Key::Payee, payee_id))
        .debit(Account::ClientMarketplaceFees, *client_fee, contract.with(Key::Client, client_id));
    let entry = taxes().fold(entry, |entry, line| entry.debit(Account::OutputTax, line.amount, at_rate(line)));
    Ok(entry.credit(Account::ChargebacksUnderContest, total, contested(*chargeback_id, *funding_id)))
}

fn gratuity(rule: &'static str, paid: &GratuityPaid, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let given = &paid.gratuity;
    let taxes = given.taxes.iter().map(|line| line.amount);
    let withheld = given.withheld.as_ref().map_or(Minor::ZERO, |withheld| withheld.amount);
    let parts = [given.net, given.payee_fee, given.client_fee, withheld, given.surplus_to_wallet];
    let received = Minor::sum(parts.into_iter().chain(taxes))?;
    let contract = Dimensions::new().with(Key::Contract, paid.contract_id);
    let of_payee = contract.clone().with(Key::Payee, paid.payee_id);
    let mut entry = EntryBuilder::new(rule, value_date, paid.currency)
        .debit(Account::PspPending, received, at(&paid.place))
        .credit(Account::PayeePending, given.net, of_payee.clone());
    if let Some(withheld) = &given.withheld {
        let office = Dimensions::new().with(Key::Jurisdiction, &withheld.jurisdiction);
        entry = entry.credit(Account::WithholdingTax, withheld.amount, office);
    }
    let client = Dimensions::new().with(Key::Client, paid.client_id);
    entry = entry.credit(Account::PayeeServiceFees, given.payee_fee, of_payee).credit(
        Account::ClientMarketplaceFees,
        given.client_fee,
        contract.with(Key::Client, paid.client_id),
    );
    for line in &given.taxes {
        entry = entry.credit(Account::OutputTax, line.amount, at_rate(line));
    }
    Ok(entry.credit(Account::ClientWallet, given.surplus_to_wallet, client))
}
