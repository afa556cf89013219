//! What a payout's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::PayoutEvent;
use crate::escrow::{PLATFORM_ACCOUNT, PspPlace};
use crate::exchange::pair;
use crate::id::{PartyId, PayoutId};

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &PayoutEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        PayoutEvent::Requested { .. }
        | PayoutEvent::Submitted { .. }
        | PayoutEvent::ApprovalRequired { .. }
        | PayoutEvent::Approved { .. }
        | PayoutEvent::FundsAwaited { .. }
        | PayoutEvent::TransferReversalRequested { .. }
        | PayoutEvent::TransferReversalFailed { .. } => return Ok(None),
        PayoutEvent::TransferConverted { .. } => return converted(event, value_date).map(Some),

        PayoutEvent::TransferCompleted { payee_id, amount, currency, place, .. }
        | PayoutEvent::LateTransferRecorded { payee_id, amount, currency, place, .. } => {
            EntryBuilder::new("payout_transfer", value_date, *currency)
                .debit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
                .credit(Account::PspAvailable, *amount, platform(place))
        }
        PayoutEvent::Paid { payout_id, payee_id, amount, currency, place, .. } => {
            let (account, dimensions) = paid_from(payee_id, place);
            EntryBuilder::new("payout_paid", value_date, *currency)
                .debit(Account::PayoutsInTransit, *amount, in_transit(payee_id, payout_id))
                .credit(account, *amount, dimensions)
        }
        PayoutEvent::Failed { payout_id, payee_id, amount, currency, .. } => {
            EntryBuilder::new("payout_failed", value_date, *currency)
                .debit(Account::PayoutsInTransit, *amount, in_transit(payee_id, payout_id))
                .credit(Account::PayeeAvailable, *amount, Dimensions::new().with(Key::Payee, payee_id))
        }
        PayoutEvent::Returned { payee_id, amount, currency, place, .. } => {
            let (account, dimensions) = paid_from(payee_id, place);
            EntryBuilder::new("payout_returned", value_date, *currency).debit(account, *amount, dimensions).credit(
                Account::PayeeAvailable,
                *amount,
                Dimensions::new().with(Key::Payee, payee_id),
            )
        }
        PayoutEvent::Cancelled { payout_id, payee_id, amount, currency, .. } => {
            EntryBuilder::new("payout_cancelled", value_date, *currency)
                .debit(Account::PayoutsInTransit, *amount, in_transit(payee_id, payout_id))
                .credit(Account::PayeeAvailable, *amount, Dimensions::new().with(Key::Payee, payee_id))
        }
        PayoutEvent::TransferReversed { payee_id, amount, currency, place, .. } => {
            EntryBuilder::new("payout_transfer_reversed", value_date, *currency)
                .debit(Account::PspAvailable, *amount, platform(place))
                .credit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
        }
        PayoutEvent::PspFeeRecorded { fee, currency, place, .. } => {
            EntryBuilder::new("payout_psp_fee", value_date, *currency)
                .debit(Account::PspPayoutFees, *fee, Dimensions::new().with(Key::Psp, &place.psp))
                .credit(Account::PspAvailable, *fee, platform(place))
        }
    };
    entry.build().map(Some)
}

/// J74: each currency goes through the FX position of the payout.
fn converted(event: &PayoutEvent, value_date: NaiveDate) -> Result<JournalEntry, EntryError> {
    let PayoutEvent::TransferConverted { payout_id, payee_id, amount, currency, taken, taken_currency, place, .. } =
        event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let position =
        || Dimensions::new().with(Key::CurrencyPair, pair(*currency, *taken_currency)).with(Key::Payout, payout_id);
    let there = EntryBuilder::new("payout_transfer_converted", value_date, *currency)
        .debit(Account::FundsAtConnectedAccount, *amount, connected(payee_id, place))
        .credit(Account::FxPosition, *amount, position())
        .build()?;
    let here = EntryBuilder::new("payout_transfer_converted", value_date, *taken_currency)
        .debit(Account::FxPosition, *taken, position())
        .credit(Account::PspAvailable, *taken, platform(place))
        .build()?;
    let postings = there.postings().iter().chain(here.postings()).cloned().collect();
    JournalEntry::new("payout_transfer_converted", value_date, postings)
}

/// Where the money of a bank payout lies: at the payee's account, or in the platform's own balance where the provider
/// knows no accounts of payees (J26).
fn paid_from(payee_id: &PartyId, place: &PspPlace) -> (Account, Dimensions) {
    if place.psp_account == PLATFORM_ACCOUNT {
        (Account::PspAvailable, platform(place))
    } else {
        (Account::FundsAtConnectedAccount, connected(payee_id, place))
    }
}

fn platform(place: &PspPlace) -> Dimensions {
    Dimensions::new().with(Key::Psp, &place.psp).with(Key::PspAccount, PLATFORM_ACCOUNT)
}

fn connected(payee_id: &PartyId, place: &PspPlace) -> Dimensions {
    Dimensions::new().with(Key::Payee, payee_id).with(Key::PspAccount, &place.psp_account)
}

fn in_transit(payee_id: &PartyId, payout_id: &PayoutId) -> Dimensions {
    Dimensions::new().with(Key::Payee, payee_id).with(Key::Payout, payout_id)
}
