//! What a chargeback's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry, Minor};

use super::ChargebackEvent;
use crate::escrow::PspPlace;
use crate::escrow::posting_rules::at;
use crate::exchange;
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
        | E::EvidenceDrafted { .. }
        | E::EvidenceSubmitted { .. }
        | E::Accepted { .. }
        | E::ReviewStarted { .. }
        | E::InquiryClosed { .. }
        | E::Won { .. }
        | E::Lost { .. }
        | E::SecondPresentment { .. }
        | E::TimerBlocked { .. } => return Ok(None),

        E::FundsWithdrawn { chargeback_id, funding_id, amount, fee, currency, settled, booked_on, place, .. } => {
            let begun = |currency| EntryBuilder::new("chargeback_withdrawal", *booked_on, currency);
            let entry = begun(*currency).debit(
                Account::ChargebacksUnderContest,
                *amount,
                contested(*chargeback_id, *funding_id),
            );
            match settled {
                None => balance_less(entry, *amount, *fee, place, *chargeback_id)?,
                Some(settled) => {
                    let position = || exchange::of_funding(*funding_id, *currency, settled.currency);
                    let there = entry.credit(Account::FxPosition, *amount, position());
                    let here = begun(settled.currency).debit(Account::FxPosition, settled.amount, position());
                    there.and(balance_less(here, settled.amount, *fee, place, *chargeback_id)?)
                }
            }
        }
        E::FundsReinstated {
            chargeback_id,
            funding_id,
            amount,
            fee,
            unexpected,
            break_id,
            currency,
            settled,
            booked_on,
            place,
            ..
        } => {
            let suspense = break_id.map_or_else(Dimensions::new, |id| Dimensions::new().with(Key::Break, id));
            let begun = |currency| EntryBuilder::new("chargeback_reinstatement", *booked_on, currency);
            let given_back = |entry: EntryBuilder| -> Result<EntryBuilder, EntryError> {
                let expected = amount.checked_sub(*unexpected)?;
                let entry =
                    entry.credit(Account::ChargebacksUnderContest, expected, contested(*chargeback_id, *funding_id));
                Ok(entry.credit(Account::SuspenseReceipts, *unexpected, suspense))
            };
            match settled {
                None => given_back(balance_more(begun(*currency), *amount, *fee, place, *chargeback_id))?,
                Some(settled) => {
                    let position = || exchange::of_funding(*funding_id, *currency, settled.currency);
                    let there = given_back(begun(*currency).debit(Account::FxPosition, *amount, position()))?;
                    let here = balance_more(begun(settled.currency), settled.amount, *fee, place, *chargeback_id);
                    there.and(here.credit(Account::FxPosition, settled.amount, position()))
                }
            }
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

/// What left the provider's balance, with the fee for that.
fn balance_less(
    entry: EntryBuilder,
    amount: Minor,
    fee: Minor,
    place: &PspPlace,
    chargeback_id: ChargebackId,
) -> Result<EntryBuilder, EntryError> {
    let entry = entry.debit(Account::PspDisputeFees, fee, fees(&place.psp, chargeback_id));
    Ok(entry.credit(Account::PspAvailable, amount.checked_add(fee)?, at(place)))
}

/// What came to the provider's balance, less the fee for that, which may be more.
fn balance_more(
    entry: EntryBuilder,
    amount: Minor,
    fee: Minor,
    place: &PspPlace,
    chargeback_id: ChargebackId,
) -> EntryBuilder {
    entry
        .debit(Account::PspAvailable, amount.saturating_sub(fee), at(place))
        .debit(Account::PspDisputeFees, fee, fees(&place.psp, chargeback_id))
        .credit(Account::PspAvailable, fee.saturating_sub(amount), at(place))
}

/// Where money in contest stands.
pub(crate) fn contested(chargeback_id: ChargebackId, funding_id: FundingId) -> Dimensions {
    Dimensions::new().with(Key::Chargeback, chargeback_id).with(Key::Funding, funding_id)
}

fn fees(psp: &str, chargeback_id: ChargebackId) -> Dimensions {
    Dimensions::new().with(Key::Psp, psp).with(Key::Chargeback, chargeback_id)
}
