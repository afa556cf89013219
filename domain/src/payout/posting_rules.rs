//! What a payout's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::PayoutEvent;
use crate::escrow::{PLATFORM_ACCOUNT, PspPlace};
use crate::id::{PartyId, PayoutId};

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &PayoutEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        PayoutEvent::Requested { .. } | PayoutEvent::Submitted { .. } => return Ok(None),

        PayoutEvent::TransferCompleted { payee_id, amount, currency, place, .. }
        | PayoutEvent::LateTransferRecorded { payee_id, amount, currency, place, .. } => {
            let platform = Dimensions::new().with(Key::Psp, &place.psp).with(Key::PspAccount, PLATFORM_ACCOUNT);
            EntryBuilder::new("payout_transfer", value_date, *currency)
                .debit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
                .credit(Account::PspAvailable, *amount, platform)
        }
        PayoutEvent::Paid { payout_id, payee_id, amount, currency, place, .. } => {
            EntryBuilder::new("payout_paid", value_date, *currency)
                .debit(Account::PayoutsInTransit, *amount, in_transit(payee_id, payout_id))
                .credit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
        }
        PayoutEvent::Failed { payout_id, payee_id, amount, currency, .. } => {
            EntryBuilder::new("payout_failed", value_date, *currency)
                .debit(Account::PayoutsInTransit, *amount, in_transit(payee_id, payout_id))
                .credit(Account::PayeeAvailable, *amount, Dimensions::new().with(Key::Payee, payee_id))
        }
        PayoutEvent::Returned { payee_id, amount, currency, place, .. } => {
            EntryBuilder::new("payout_returned", value_date, *currency)
                .debit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
                .credit(Account::PayeeAvailable, *amount, Dimensions::new().with(Key::Payee, payee_id))
        }
    };
    entry.build().map(Some)
}

fn connected(payee_id: &PartyId, place: &PspPlace) -> Dimensions {
    Dimensions::new().with(Key::Payee, payee_id).with(Key::PspAccount, &place.psp_account)
}

fn in_transit(payee_id: &PartyId, payout_id: &PayoutId) -> Dimensions {
    Dimensions::new().with(Key::Payee, payee_id).with(Key::Payout, payout_id)
}
