//! What a payee account's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::PayeeEvent;

/// The entry of an event; `None` for mirrors, whose source carries the journal.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &PayeeEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        PayeeEvent::EarningsCredited { .. }
        | PayeeEvent::PayoutPaidNoted { .. }
        | PayeeEvent::PayoutFailedNoted { .. }
        | PayeeEvent::TimerBlocked { .. } => return Ok(None),
        // Fees may take all of a release; then nothing is booked.
        PayeeEvent::EarningsCleared { amount, .. } if amount.is_zero() => return Ok(None),

        PayeeEvent::EarningsCleared { payee_id, contract_id, amount, currency, .. } => {
            let payee = Dimensions::new().with(Key::Payee, payee_id);
            EntryBuilder::new("clearance", value_date, *currency)
                .debit(Account::PayeePending, *amount, payee.clone().with(Key::Contract, contract_id))
                .credit(Account::PayeeAvailable, *amount, payee)
        }
        PayeeEvent::PayoutReserved { payee_id, payout_id, amount, currency, .. } => {
            let payee = Dimensions::new().with(Key::Payee, payee_id);
            EntryBuilder::new("payout_reservation", value_date, *currency)
                .debit(Account::PayeeAvailable, *amount, payee.clone())
                .credit(Account::PayoutsInTransit, *amount, payee.with(Key::Payout, payout_id))
        }
    };
    entry.build().map(Some)
}
