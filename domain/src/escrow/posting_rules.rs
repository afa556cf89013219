//! What an escrow's events book. One event, one balanced entry (`journals.md` B.10).

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry};

use super::EscrowEvent;

/// The entry of an event; `None` where no money moves.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &EscrowEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    match event {
        EscrowEvent::Opened { .. }
        | EscrowEvent::FundingRequested { .. }
        | EscrowEvent::FundingRejected { .. }
        | EscrowEvent::FundingAbandoned { .. }
        | EscrowEvent::Closed { .. } => Ok(None),

        EscrowEvent::Funded {
            contract_id,
            client_id,
            funding_id,
            currency,
            allocations,
            surplus_to_wallet,
            place,
            ..
        } => {
            let received =
                allocations.iter().flat_map(|part| [part.amount, part.client_fee]).chain([*surplus_to_wallet]);
            let at_psp = Dimensions::new().with(Key::Psp, &place.psp).with(Key::PspAccount, &place.psp_account);
            let mut entry = EntryBuilder::new("funding", value_date, *currency).debit(
                Account::PspPending,
                ledger::Minor::sum(received)?,
                at_psp,
            );
            for part in allocations {
                let of_milestone =
                    Dimensions::new().with(Key::Contract, contract_id).with(Key::Milestone, part.milestone_id);
                entry = entry
                    .credit(Account::EscrowHeld, part.amount, of_milestone.clone().with(Key::Funding, funding_id))
                    .credit(Account::DeferredClientFee, part.client_fee, of_milestone);
            }
            let wallet = Dimensions::new().with(Key::Client, client_id);
            entry.credit(Account::ClientWallet, *surplus_to_wallet, wallet).build().map(Some)
        }

        EscrowEvent::Released {
            contract_id,
            milestone_id,
            payee_id,
            client_id,
            currency,
            payee_fee,
            client_fee_earned,
            net,
            lots,
            ..
        } => {
            let of_contract = Dimensions::new().with(Key::Contract, contract_id);
            let of_milestone = of_contract.clone().with(Key::Milestone, milestone_id);
            let of_payee = of_contract.clone().with(Key::Payee, payee_id);
            let mut entry = EntryBuilder::new("release", value_date, *currency);
            for lot in lots {
                entry = entry.debit(
                    Account::EscrowHeld,
                    lot.amount,
                    of_milestone.clone().with(Key::Funding, lot.funding_id),
                );
            }
            entry
                .debit(Account::DeferredClientFee, *client_fee_earned, of_milestone)
                .credit(Account::PayeePending, *net, of_payee.clone())
                .credit(Account::PayeeServiceFees, *payee_fee, of_payee)
                .credit(Account::ClientMarketplaceFees, *client_fee_earned, of_contract.with(Key::Client, client_id))
                .build()
                .map(Some)
        }
    }
}
