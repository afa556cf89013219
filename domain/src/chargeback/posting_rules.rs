//! What a chargeback's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::ChargebackEvent;
use crate::escrow::posting_rules::at;
use crate::id::{ChargebackId, FundingId};

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &ChargebackEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    use ChargebackEvent as E;
    let entry = match event {
        E::EarlyFraudWarningReceived { .. }
        | E::InquiryReceived { .. }
        | E::Opened { .. }
        | E::EvidenceDue { .. }
        | E::EvidenceSubmitted { .. }
        | E::ReviewStarted { .. }
        | E::InquiryClosed { .. }
        | E::Won { .. }
        | E::Lost { .. }
        | E::SecondPresentment { .. }
        | E::TimerBlocked { .. } => return Ok(None),

        E::FundsWithdrawn { chargeback_id, funding_id, amount, fee, currency, booked_on, place, .. } => {
            EntryBuilder::new("chargeback_withdrawal", *booked_on, *currency)
                .debit(Account::ChargebacksUnderContest, *amount, contested(*chargeback_id, *funding_id))
                .debit(Account::PspDisputeFees, *fee, fees(&place.psp, *chargeback_id))
                .credit(Account::PspAvailable, amount.checked_add(*fee)?, at(place))
        }
        E::FundsReinstated {
            chargeback_id,
            funding_id,
            amount,
            fee,
            unexpected,
            break_id,
            currency,
            booked_on,
            place,
            ..
        } => {
            let suspense = break_id.map_or_else(Dimensions::new, |id| Dimensions::new().with(Key::Break, id));
            // The fee may be more than what came back.
            let (came, went) = (amount.saturating_sub(*fee), fee.saturating_sub(*amount));
            EntryBuilder::new("chargeback_reinstatement", *booked_on, *currency)
                .debit(Account::PspAvailable, came, at(place))
                .debit(Account::PspDisputeFees, *fee, fees(&place.psp, *chargeback_id))
                .credit(Account::PspAvailable, went, at(place))
                .credit(
                    Account::ChargebacksUnderContest,
                    amount.checked_sub(*unexpected)?,
                    contested(*chargeback_id, *funding_id),
                )
                .credit(Account::SuspenseReceipts, *unexpected, suspense)
        }
        E::DisputeFeeReturned { chargeback_id, amount, currency, booked_on, place, .. } => {
            EntryBuilder::new("dispute_fee_returned", *booked_on, *currency)
                .debit(Account::PspAvailable, *amount, at(place))
                .credit(Account::PspDisputeFees, *amount, fees(&place.psp, *chargeback_id))
        }
        E::LossAbsorbed { chargeback_id, funding_id, amount, currency, .. } => {
            let of_chargeback = Dimensions::new().with(Key::Chargeback, chargeback_id);
            EntryBuilder::new("chargeback_loss", value_date, *currency)
                .debit(Account::ChargebackLosses, *amount, of_chargeback)
                .credit(Account::ChargebacksUnderContest, *amount, contested(*chargeback_id, *funding_id))
        }
    };
    entry.build().map(Some)
}

/// Where money in contest stands.
pub(crate) fn contested(chargeback_id: ChargebackId, funding_id: FundingId) -> Dimensions {
    Dimensions::new().with(Key::Chargeback, chargeback_id).with(Key::Funding, funding_id)
}

fn fees(psp: &str, chargeback_id: ChargebackId) -> Dimensions {
    Dimensions::new().with(Key::Psp, psp).with(Key::Chargeback, chargeback_id)
}
