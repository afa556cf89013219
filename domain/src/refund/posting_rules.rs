//! What a refund's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::RefundEvent;
use crate::escrow::posting_rules::at;
use crate::exchange::{Settled, of_refund};
use crate::id::{PartyId, RefundId};

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &RefundEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        RefundEvent::Requested { .. }
        | RefundEvent::FundingRequired { .. }
        | RefundEvent::Submitted { .. }
        | RefundEvent::ManualRequired { .. } => return Ok(None),

        RefundEvent::Succeeded { refund_id, client_id, amount, currency, place, exchange: Some(exchange), .. } => {
            let position = || of_refund(*refund_id, exchange, *currency);
            let there = EntryBuilder::new("refund_settled", value_date, *currency)
                .debit(Account::RefundsInTransit, *amount, in_transit(client_id, refund_id))
                .credit(Account::FxPosition, *amount, position());
            let Settled { amount: taken, currency } = exchange.settled;
            let here = EntryBuilder::new("refund_settled", value_date, currency)
                .debit(Account::FxPosition, taken, position())
                .credit(Account::PspAvailable, taken, at(place));
            there.and(here)
        }
        RefundEvent::Failed {
            refund_id,
            client_id,
            amount,
            currency,
            came_back_to: Some(place),
            exchange: Some(exchange),
            ..
        } => {
            let position = || of_refund(*refund_id, exchange, *currency);
            let there = EntryBuilder::new("refund_failed", value_date, *currency)
                .debit(Account::FxPosition, *amount, position())
                .credit(Account::ClientWallet, *amount, wallet(client_id));
            let Settled { amount: back, currency } = exchange.settled;
            let here = EntryBuilder::new("refund_failed", value_date, currency)
                .debit(Account::PspAvailable, back, at(place))
                .credit(Account::FxPosition, back, position());
            there.and(here)
        }
        RefundEvent::Succeeded { refund_id, client_id, amount, currency, place, .. } => {
            EntryBuilder::new("refund_settled", value_date, *currency)
                .debit(Account::RefundsInTransit, *amount, in_transit(client_id, refund_id))
                .credit(Account::PspAvailable, *amount, at(place))
        }
        RefundEvent::Failed { client_id, amount, currency, came_back_to: Some(place), .. } => {
            EntryBuilder::new("refund_failed", value_date, *currency)
                .debit(Account::PspAvailable, *amount, at(place))
                .credit(Account::ClientWallet, *amount, wallet(client_id))
        }
        RefundEvent::Failed { refund_id, client_id, amount, currency, came_back_to: None, .. } => {
            EntryBuilder::new("refund_failed", value_date, *currency)
                .debit(Account::RefundsInTransit, *amount, in_transit(client_id, refund_id))
                .credit(Account::ClientWallet, *amount, wallet(client_id))
        }
        RefundEvent::Redirected { refund_id, client_id, amount, currency, .. } => {
            EntryBuilder::new("refund_redirected", value_date, *currency)
                .debit(Account::RefundsInTransit, *amount, in_transit(client_id, refund_id))
                .credit(Account::ClientWallet, *amount, wallet(client_id))
        }
        RefundEvent::DebitSuspended { break_id, amount, currency, place, .. } => {
            EntryBuilder::new("unmatched_debit", value_date, *currency)
                .debit(Account::SuspenseDebits, *amount, Dimensions::new().with(Key::Break, break_id))
                .credit(Account::PspAvailable, *amount, at(place))
        }
        RefundEvent::Cancelled { refund_id, client_id, amount, currency, .. } => {
            EntryBuilder::new("refund_cancelled", value_date, *currency)
                .debit(Account::RefundsInTransit, *amount, in_transit(client_id, refund_id))
                .credit(Account::ClientWallet, *amount, wallet(client_id))
        }
    };
    entry.build().map(Some)
}

fn in_transit(client_id: &PartyId, refund_id: &RefundId) -> Dimensions {
    wallet(client_id).with(Key::Refund, refund_id)
}

fn wallet(client_id: &PartyId) -> Dimensions {
    Dimensions::new().with(Key::Client, client_id)
}
