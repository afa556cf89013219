//! What a client wallet's events book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::WalletEvent;
use crate::chargeback::posting_rules::contested;
use crate::escrow::posting_rules::{PaidIn, at};

/// The entry of an event; `None` for mirrors, whose source carries the journal.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &WalletEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        WalletEvent::Credited { .. } | WalletEvent::ChargebackHeld { .. } => return Ok(None),
        // There was nothing left: all of it is booked by payment or chargeback.
        WalletEvent::TopUpReturned { amount, .. }
        | WalletEvent::ChargebackAbsorbed { amount, .. }
        | WalletEvent::RefundReclaimed { amount, .. }
            if amount.is_zero() =>
        {
            return Ok(None);
        }

        WalletEvent::ToppedUp { client_id, amount, currency, place, .. } => {
            EntryBuilder::new("wallet_top_up", value_date, *currency)
                .debit(Account::PspPending, *amount, at(place))
                .credit(Account::ClientWallet, *amount, Dimensions::new().with(Key::Client, client_id))
        }
        WalletEvent::TopUpReturned { client_id, amount, currency, place, .. } => {
            EntryBuilder::new("wallet_top_up_returned", value_date, *currency)
                .debit(Account::ClientWallet, *amount, Dimensions::new().with(Key::Client, client_id))
                .credit(Account::PspAvailable, *amount, at(place))
        }
        WalletEvent::ChargebackAbsorbed { client_id, chargeback_id, funding_id, amount, currency, .. } => {
            EntryBuilder::new("wallet_chargeback_absorbed", value_date, *currency)
                .debit(Account::ClientWallet, *amount, Dimensions::new().with(Key::Client, client_id))
                .credit(Account::ChargebacksUnderContest, *amount, contested(*chargeback_id, *funding_id))
        }
        WalletEvent::RefundReclaimed { client_id, funding_id, chargeback_id, amount, currency, .. } => {
            let client = Dimensions::new().with(Key::Client, client_id);
            let entry = EntryBuilder::new("refund_reclaimed", value_date, *currency);
            let entry = entry.debit(Account::ClientWallet, *amount, client.clone());
            match chargeback_id {
                Some(id) => {
                    entry.credit(Account::ChargebackLosses, *amount, Dimensions::new().with(Key::Chargeback, id))
                }
                None => entry.credit(Account::ReceivableFromClient, *amount, client.with(Key::Cause, funding_id)),
            }
        }
        WalletEvent::PaidEscrow {
            client_id,
            contract_id,
            funding_id,
            currency,
            amount,
            allocations,
            deposit,
            initiation_fee,
            tax,
        } => {
            let paid = PaidIn {
                contract_id: *contract_id,
                funding_id: *funding_id,
                allocations,
                deposit: *deposit,
                initiation_fee: *initiation_fee,
                tax: tax.as_ref(),
            };
            let wallet = Dimensions::new().with(Key::Client, client_id);
            let entry = EntryBuilder::new("wallet_payment", value_date, *currency);
            paid.credits(entry.debit(Account::ClientWallet, *amount, wallet))
        }
        WalletEvent::Withdrawn { client_id, refund_id, amount, currency } => {
            let client = Dimensions::new().with(Key::Client, client_id);
            EntryBuilder::new("wallet_withdrawal", value_date, *currency)
                .debit(Account::ClientWallet, *amount, client.clone())
                .credit(Account::RefundsInTransit, *amount, client.with(Key::Refund, refund_id))
        }
    };
    entry.build().map(Some)
}
