//! What movements of the platform's own money book.

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry, Minor};

use super::{Balance, TreasuryEvent};
use crate::escrow::PLATFORM_ACCOUNT;
use crate::id::BreakId;

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &TreasuryEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    use TreasuryEvent as E;
    type Side = (Account, Dimensions);
    let two = |rule: &'static str, balance: &Balance, amount: Minor, debit: Side, credit: Side| {
        EntryBuilder::new(rule, value_date, balance.currency)
            .debit(debit.0, amount, debit.1)
            .credit(credit.0, amount, credit.1)
            .build()
            .map(Some)
    };
    match event {
        E::TopUpRequested { .. }
        | E::TopUpFailed { .. }
        | E::SweepProposed { .. }
        | E::SweepApproved { .. }
        | E::SweepRejected { .. }
        | E::SweepFailed { .. }
        | E::CoverageFell { .. }
        | E::CoverageRestored { .. } => Ok(None),
        E::PspToppedUp { balance, amount, .. } => two("psp_topped_up", balance, *amount, available(balance), bank()),
        E::TopUpReversed { balance, amount, .. } => {
            two("top_up_reversed", balance, *amount, bank(), available(balance))
        }
        E::PlatformRevenueSwept { balance, amount, .. } => {
            two("platform_revenue_swept", balance, *amount, bank(), available(balance))
        }
        E::SweepReturned { balance, amount, .. } => two("sweep_returned", balance, *amount, available(balance), bank()),
        E::UnmatchedReceiptRecorded { balance, break_id, amount, .. } => {
            let nobodys = (Account::SuspenseReceipts, of(*break_id));
            two("unmatched_receipt", balance, *amount, available(balance), nobodys)
        }
        E::UnmatchedDebitRecorded { balance, break_id, amount, .. } => {
            two("unmatched_debit", balance, *amount, unexplained(*break_id), available(balance))
        }
        E::PlatformPayoutDetected { balance, break_id, amount, .. } => {
            two("platform_payout_detected", balance, *amount, unexplained(*break_id), available(balance))
        }
        E::PlatformPayoutAdopted { balance, break_id, amount, .. } => {
            two("platform_payout_adopted", balance, *amount, bank(), unexplained(*break_id))
        }
        E::PlatformPayoutReturned { balance, break_id, amount, adopted, .. } => {
            let from = if *adopted { bank() } else { unexplained(*break_id) };
            two("platform_payout_returned", balance, *amount, available(balance), from)
        }
    }
}

fn available(balance: &Balance) -> (Account, Dimensions) {
    let dimensions = Dimensions::new().with(Key::Psp, &balance.psp).with(Key::PspAccount, PLATFORM_ACCOUNT);
    (Account::PspAvailable, dimensions)
}

fn bank() -> (Account, Dimensions) {
    (Account::BankOperating, Dimensions::new())
}

fn unexplained(break_id: BreakId) -> (Account, Dimensions) {
    (Account::SuspenseDebits, of(break_id))
}

fn of(break_id: BreakId) -> Dimensions {
    Dimensions::new().with(Key::Break, break_id)
}
