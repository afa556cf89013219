//! What a funding's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::FundingEvent;
use crate::escrow::posting_rules::at;
use crate::exchange::{self, FxResult};

/// The entry of an event; `None` where no money moves, or where the escrow's own event books it.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &FundingEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        FundingEvent::Created { .. }
        | FundingEvent::PspIntentLinked { .. }
        | FundingEvent::ActionRequired { .. }
        | FundingEvent::Processing { .. }
        | FundingEvent::Failed { .. }
        | FundingEvent::Cancelled { .. }
        | FundingEvent::Expired { .. }
        | FundingEvent::TimerBlocked { .. }
        | FundingEvent::Returned { settled: None, .. }
        | FundingEvent::RefundExchanged { .. }
        | FundingEvent::ChargebackExchanged { .. }
        | FundingEvent::Succeeded { .. } => return Ok(None),
        // A provider may charge nothing; then nothing is booked.
        FundingEvent::PspFeeRecorded { fee, .. } if fee.is_zero() => return Ok(None),
        // Or everything, of a very small payment.
        FundingEvent::PspFundsBecameAvailable { amount, .. } if amount.is_zero() => return Ok(None),

        FundingEvent::PspFeeRecorded { fee, currency, booked_on, place, .. } => {
            EntryBuilder::new("psp_fee", *booked_on, *currency)
                .debit(Account::PspProcessingFees, *fee, Dimensions::new().with(Key::Psp, &place.psp))
                .credit(Account::PspPending, *fee, at(place))
        }
        FundingEvent::PspFundsBecameAvailable { amount, currency, place, .. } => {
            EntryBuilder::new("psp_availability", value_date, *currency)
                .debit(Account::PspAvailable, *amount, at(place))
                .credit(Account::PspPending, *amount, at(place))
        }
        FundingEvent::Exchanged { funding_id, amount, currency, settled, place, .. } => {
            let position = || exchange::of_funding(*funding_id, *currency, settled.currency);
            let there = EntryBuilder::new("funding_exchange", value_date, *currency)
                .debit(Account::FxPosition, *amount, position())
                .credit(Account::PspPending, *amount, at(place));
            let here = EntryBuilder::new("funding_exchange", value_date, settled.currency)
                .debit(Account::PspPending, settled.amount, at(place))
                .credit(Account::FxPosition, settled.amount, position());
            there.and(here)
        }
        // What the escrow's event (J94) and the client's debt (J59) take of the balance in the currency that was paid.
        FundingEvent::Returned { funding_id, amount, currency, settled: Some(settled), place, .. } => {
            let position = || exchange::of_funding(*funding_id, *currency, settled.currency);
            let there = EntryBuilder::new("return_exchange", value_date, *currency)
                .debit(Account::PspAvailable, *amount, at(place))
                .credit(Account::FxPosition, *amount, position());
            let here = EntryBuilder::new("return_exchange", value_date, settled.currency)
                .debit(Account::FxPosition, settled.amount, position())
                .credit(Account::PspAvailable, settled.amount, at(place));
            there.and(here)
        }
        FundingEvent::FxResultRealised { funding_id, paid_currency, result, left, .. } => {
            let position = exchange::of_funding(*funding_id, *paid_currency, left.currency);
            let of_currency = Dimensions::new().with(Key::Currency, left.currency);
            let entry = EntryBuilder::new("fx_result", value_date, left.currency);
            match result {
                FxResult::Loss => entry.debit(Account::FxLoss, left.amount, of_currency).credit(
                    Account::FxPosition,
                    left.amount,
                    position,
                ),
                FxResult::Gain => entry.debit(Account::FxPosition, left.amount, position).credit(
                    Account::FxGain,
                    left.amount,
                    of_currency,
                ),
            }
        }
        FundingEvent::ReceiptSuspended { break_id, amount, currency, place, .. } => {
            EntryBuilder::new("suspended_receipt", value_date, *currency)
                .debit(Account::PspPending, *amount, at(place))
                .credit(Account::SuspenseReceipts, *amount, Dimensions::new().with(Key::Break, break_id))
        }
        FundingEvent::LateReturnRecorded { funding_id, client_id, amount, currency, place, .. } => {
            let owed = Dimensions::new().with(Key::Client, client_id).with(Key::Cause, funding_id);
            EntryBuilder::new("late_return", value_date, *currency)
                .debit(Account::ReceivableFromClient, *amount, owed)
                .credit(Account::PspAvailable, *amount, at(place))
        }
        FundingEvent::SucceededAfterCancel { client_id, refund_id, amount, currency, place, .. } => {
            let on_its_way = Dimensions::new().with(Key::Client, client_id).with(Key::Refund, refund_id);
            EntryBuilder::new("late_success", value_date, *currency)
                .debit(Account::PspPending, *amount, at(place))
                .credit(Account::RefundsInTransit, *amount, on_its_way)
        }
    };
    entry.build().map(Some)
}
