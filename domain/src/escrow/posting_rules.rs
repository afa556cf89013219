//! What an escrow's events book. One event, one balanced entry (`journals.md` B.10).

use chrono::NaiveDate;
use ledger::{Account, DimensionKey as Key, Dimensions, EntryBuilder, EntryError, JournalEntry, Minor};

use super::EscrowEvent;
use super::parts::{Allocation, Deposit, FeeTax, LockedPart, LostPart, Lot, PspPlace, RefundPart};
use crate::chargeback::posting_rules::contested;
use crate::exchange;
use crate::fee::TaxLine;
use crate::id::{ChargebackId, ContractId, FundingId, MilestoneId, PartyId};

/// The entry of an event; `None` where no money moves, or where the event of another aggregate books it.
///
/// # Errors
/// [`EntryError`] when the event's amounts do not add up.
pub fn journal_entry(event: &EscrowEvent, value_date: NaiveDate) -> Result<Option<JournalEntry>, EntryError> {
    let entry = match event {
        EscrowEvent::Opened { .. }
        | EscrowEvent::FundingRequested { .. }
        | EscrowEvent::WalletFundingNoted { .. }
        | EscrowEvent::FundingRejected { .. }
        | EscrowEvent::Frozen { .. }
        | EscrowEvent::Unfrozen { .. }
        | EscrowEvent::HoldLimitWarned { .. }
        | EscrowEvent::HoldLimitReached { .. }
        | EscrowEvent::ReleaseReturned { .. }
        | EscrowEvent::GratuityRequested { .. }
        | EscrowEvent::TimerBlocked { .. }
        | EscrowEvent::ChargeDisputed { .. }
        | EscrowEvent::ChargeCleared { .. }
        | EscrowEvent::Closed { .. } => return Ok(None),
        // A deposit has no account for locked money.
        EscrowEvent::ChargebackHeld { parts, .. } | EscrowEvent::ChargebackReleased { parts, .. }
            if parts.iter().all(|part| part.milestone_id.is_none()) =>
        {
            return Ok(None);
        }
        // All of it was released before.
        EscrowEvent::ChargebackAbsorbed { held: parts, .. } | EscrowEvent::FundingReturned { parts, .. }
            if parts.is_empty() =>
        {
            return Ok(None);
        }

        EscrowEvent::Funded { .. } => funded(event, value_date)?,
        EscrowEvent::Released { .. } => released(event, value_date)?,
        EscrowEvent::RefundInitiated { .. } => refunded(event, value_date)?,

        EscrowEvent::FundsReallocated { contract_id, currency, from, to, amount, client_fee, lots, .. } => {
            let entry = EntryBuilder::new("reallocation", value_date, *currency);
            let entry = match from {
                Some(from) => lots_of(entry, Side::Debit, *contract_id, *from, lots),
                None => entry.debit(Account::EscrowUnallocated, *amount, of_contract(*contract_id)),
            };
            let entry = lots_of(entry, Side::Credit, *contract_id, *to, lots);
            // Between milestones the fee has an event of its own.
            let fee = if from.is_none() { *client_fee } else { Minor::ZERO };
            entry.debit(Account::DeferredClientFee, fee, of_contract(*contract_id)).credit(
                Account::DeferredClientFee,
                fee,
                of_milestone(*contract_id, *to),
            )
        }
        EscrowEvent::FeesReallocated { contract_id, currency, from, to, amount, .. } => {
            EntryBuilder::new("fee_reallocation", value_date, *currency)
                .debit(Account::DeferredClientFee, *amount, of_milestone(*contract_id, *from))
                .credit(Account::DeferredClientFee, *amount, of_milestone(*contract_id, *to))
        }
        EscrowEvent::DisputeHoldPlaced { dispute_id, contract_id, milestone_id, currency, amount, lots } => {
            let entry = EntryBuilder::new("dispute_hold", value_date, *currency);
            let locked = of_milestone(*contract_id, *milestone_id).with(Key::Dispute, dispute_id);
            lots_of(entry, Side::Debit, *contract_id, *milestone_id, lots).credit(
                Account::EscrowDisputed,
                *amount,
                locked,
            )
        }
        EscrowEvent::DisputeHoldLifted { dispute_id, contract_id, milestone_id, currency, amount, lots } => {
            let locked = of_milestone(*contract_id, *milestone_id).with(Key::Dispute, dispute_id);
            let entry = EntryBuilder::new("dispute_hold_lifted", value_date, *currency).debit(
                Account::EscrowDisputed,
                *amount,
                locked,
            );
            lots_of(entry, Side::Credit, *contract_id, *milestone_id, lots)
        }
        EscrowEvent::ChargebackHeld { chargeback_id, contract_id, funding_id, currency, parts, contested: _ } => {
            let entry = EntryBuilder::new("chargeback_hold", value_date, *currency);
            let entry = unlocked(entry, Side::Debit, *contract_id, *funding_id, parts);
            locked(entry, Side::Credit, *contract_id, *chargeback_id, parts)
        }
        EscrowEvent::ChargebackReleased { chargeback_id, contract_id, funding_id, currency, parts, contested: _ } => {
            let entry = EntryBuilder::new("chargeback_hold_lifted", value_date, *currency);
            let entry = locked(entry, Side::Debit, *contract_id, *chargeback_id, parts);
            unlocked(entry, Side::Credit, *contract_id, *funding_id, parts)
        }
        EscrowEvent::ChargebackAbsorbed { .. } => absorbed(event, value_date)?,
        EscrowEvent::FundingReturned { .. } => returned(event, value_date)?,
        EscrowEvent::LateReturnSettled { .. } => settled(event, value_date)?,
    };
    entry.build().map(Some)
}

fn funded(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::Funded {
        contract_id,
        client_id,
        funding_id,
        currency,
        allocations,
        surplus_to_wallet,
        place,
        deposit,
        initiation_fee,
        tax,
        settled,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let paid = PaidIn {
        contract_id: *contract_id,
        funding_id: *funding_id,
        allocations,
        deposit: *deposit,
        initiation_fee: *initiation_fee,
        tax: tax.as_ref(),
    };
    let received = paid.total()?.checked_add(*surplus_to_wallet)?;
    let entry = EntryBuilder::new("funding", value_date, *currency);
    let wallet = Dimensions::new().with(Key::Client, client_id);
    let Some(settled) = settled else {
        let entry = paid.credits(entry.debit(Account::PspPending, received, at(place)));
        return Ok(entry.credit(Account::ClientWallet, *surplus_to_wallet, wallet));
    };
    let position = || exchange::of_funding(*funding_id, *currency, settled.currency);
    let entry = paid.credits(entry.debit(Account::FxPosition, received, position()));
    let entry = entry.credit(Account::ClientWallet, *surplus_to_wallet, wallet);
    let here = EntryBuilder::new("funding", value_date, settled.currency)
        .debit(Account::PspPending, settled.amount, at(place))
        .credit(Account::FxPosition, settled.amount, position());
    Ok(entry.and(here))
}

/// Money that becomes held, wherever it comes from.
pub(crate) struct PaidIn<'a> {
    /// Into which contract.
    pub contract_id: ContractId,
    /// With which funding.
    pub funding_id: FundingId,
    /// For which milestones.
    pub allocations: &'a [Allocation],
    /// For none of them yet.
    pub deposit: Deposit,
    /// Initiation fee.
    pub initiation_fee: Minor,
    /// Tax on the fees.
    pub tax: Option<&'a FeeTax>,
}

impl PaidIn<'_> {
    /// All of it.
    pub(crate) fn total(&self) -> Result<Minor, EntryError> {
        let parts = self.allocations.iter().flat_map(|part| [part.amount, part.client_fee]);
        let tax = self.tax.map_or(Minor::ZERO, |tax| tax.line.amount);
        let more = [self.deposit.amount, self.deposit.client_fee, self.initiation_fee, tax];
        Ok(Minor::sum(parts.chain(more))?)
    }

    /// The credits.
    pub(crate) fn credits(&self, mut entry: EntryBuilder) -> EntryBuilder {
        let contract = of_contract(self.contract_id);
        for part in self.allocations {
            let lot = of_milestone(self.contract_id, part.milestone_id).with(Key::Funding, self.funding_id);
            entry = entry.credit(Account::EscrowHeld, part.amount, lot);
        }
        entry = entry.credit(Account::EscrowUnallocated, self.deposit.amount, contract.clone());
        for part in self.allocations {
            let of_milestone = of_milestone(self.contract_id, part.milestone_id);
            entry = entry.credit(Account::DeferredClientFee, part.client_fee, of_milestone);
        }
        entry = entry.credit(Account::DeferredClientFee, self.deposit.client_fee, contract.clone()).credit(
            Account::DeferredInitiationFee,
            self.initiation_fee,
            contract,
        );
        fee_tax(entry, Side::Credit, self.contract_id, self.tax)
    }
}

fn released(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::Released {
        contract_id,
        milestone_id,
        payee_id,
        client_id,
        currency,
        payee_fee,
        client_fee_earned,
        net,
        lots,
        withheld,
        initiation_fee_earned,
        client_tax,
        taxes,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let contract = of_contract(*contract_id);
    let of_payee = contract.clone().with(Key::Payee, payee_id);
    let entry = EntryBuilder::new("release", value_date, *currency);
    let entry = lots_of(entry, Side::Debit, *contract_id, *milestone_id, lots)
        .debit(Account::DeferredClientFee, *client_fee_earned, of_milestone(*contract_id, *milestone_id))
        .debit(Account::DeferredInitiationFee, *initiation_fee_earned, contract.clone());
    // A tax that was payable when it was paid stays so.
    let deferred = client_tax.as_ref().filter(|tax| tax.deferred);
    let mut entry =
        fee_tax(entry, Side::Debit, *contract_id, deferred).credit(Account::PayeePending, *net, of_payee.clone());
    if let Some(withheld) = withheld {
        let office = Dimensions::new().with(Key::Jurisdiction, &withheld.jurisdiction);
        entry = entry.credit(Account::WithholdingTax, withheld.amount, office);
    }
    entry = entry
        .credit(Account::PayeeServiceFees, *payee_fee, of_payee)
        .credit(Account::ClientMarketplaceFees, *client_fee_earned, contract.clone().with(Key::Client, client_id))
        .credit(Account::InitiationFees, *initiation_fee_earned, contract);
    for line in taxes {
        entry = entry.credit(Account::OutputTax, line.amount, at_rate(line));
    }
    Ok(entry)
}

fn refunded(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::RefundInitiated {
        contract_id,
        milestone_id,
        client_id,
        currency,
        amount,
        client_fee,
        client_fee_earned,
        initiation_fee,
        tax,
        tax_earned,
        lots,
        parts,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let contract = of_contract(*contract_id);
    let entry = EntryBuilder::new("refund", value_date, *currency);
    let (entry, of_fee) = match milestone_id {
        Some(id) => (lots_of(entry, Side::Debit, *contract_id, *id, lots), of_milestone(*contract_id, *id)),
        None => (entry.debit(Account::EscrowUnallocated, *amount, contract.clone()), contract.clone()),
    };
    let fee = client_fee.checked_add(*client_fee_earned)?;
    let entry = entry.debit(Account::DeferredClientFee, fee, of_fee).debit(
        Account::DeferredInitiationFee,
        *initiation_fee,
        contract.clone(),
    );
    let kept = tax_earned.as_ref().filter(|tax| tax.deferred);
    let entry = fee_tax(fee_tax(entry, Side::Debit, *contract_id, tax.as_ref()), Side::Debit, *contract_id, kept);
    let entry = refund_parts(entry, *client_id, parts).credit(
        Account::ClientMarketplaceFees,
        *client_fee_earned,
        contract.with(Key::Client, client_id),
    );
    Ok(kept.into_iter().fold(entry, |entry, tax| entry.credit(Account::OutputTax, tax.line.amount, at_rate(&tax.line))))
}

/// What goes back, each part on its way as a refund of its own.
pub(crate) fn refund_parts(entry: EntryBuilder, client_id: PartyId, parts: &[RefundPart]) -> EntryBuilder {
    parts.iter().fold(entry, |entry, part| {
        let on_its_way = Dimensions::new().with(Key::Client, client_id).with(Key::Refund, part.refund_id);
        entry.credit(Account::RefundsInTransit, part.amount, on_its_way)
    })
}

fn absorbed(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::ChargebackAbsorbed {
        chargeback_id,
        contract_id,
        funding_id,
        client_id,
        currency,
        held,
        client_fee_earned,
        initiation_fee,
        tax,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let parts: Vec<_> = held.iter().map(locked_part).collect();
    let entry = EntryBuilder::new("chargeback_absorbed", value_date, *currency);
    let entry = locked(entry, Side::Debit, *contract_id, *chargeback_id, &parts);
    let entry = parts
        .iter()
        .filter(|part| part.milestone_id.is_none())
        .fold(entry, |entry, part| entry.debit(Account::EscrowUnallocated, part.amount, of_contract(*contract_id)));
    let fees = Fees { earned: *client_fee_earned, initiation_fee: *initiation_fee, tax: tax.as_ref() };
    let (entry, total) = fees_of_lost(entry, (*contract_id, *client_id), held, fees)?;
    Ok(entry.credit(Account::ChargebacksUnderContest, total, contested(*chargeback_id, *funding_id)))
}

fn returned(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::FundingReturned {
        contract_id,
        client_id,
        funding_id,
        currency,
        parts,
        client_fee_earned,
        initiation_fee,
        tax,
        place,
        ..
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let entry = EntryBuilder::new("funding_return", value_date, *currency);
    let fees = Fees { earned: *client_fee_earned, initiation_fee: *initiation_fee, tax: tax.as_ref() };
    let (entry, total) = free_lost(entry, (*contract_id, *client_id, *funding_id), parts, fees)?;
    Ok(entry.credit(Account::PspAvailable, total, at(place)))
}

fn settled(event: &EscrowEvent, value_date: NaiveDate) -> Result<EntryBuilder, EntryError> {
    let EscrowEvent::LateReturnSettled {
        contract_id,
        client_id,
        funding_id,
        currency,
        parts,
        client_fee_earned,
        initiation_fee,
        tax,
        amount: _,
    } = event
    else {
        return Err(EntryError::TooFewPostings);
    };
    let entry = EntryBuilder::new("late_return_settled", value_date, *currency);
    let fees = Fees { earned: *client_fee_earned, initiation_fee: *initiation_fee, tax: tax.as_ref() };
    let (entry, total) = free_lost(entry, (*contract_id, *client_id, *funding_id), parts, fees)?;
    let owed = Dimensions::new().with(Key::Client, client_id).with(Key::Cause, funding_id);
    Ok(entry.credit(Account::ReceivableFromClient, total, owed))
}

/// The debits of money that is gone and that no chargeback had locked, with the fees; and their sum, less what stays.
fn free_lost(
    entry: EntryBuilder,
    (contract_id, client_id, funding_id): (ContractId, PartyId, FundingId),
    parts: &[LostPart],
    fees: Fees<'_>,
) -> Result<(EntryBuilder, Minor), EntryError> {
    let held: Vec<_> = parts.iter().map(locked_part).collect();
    let entry = unlocked(entry, Side::Debit, contract_id, funding_id, &held);
    let entry = held
        .iter()
        .filter(|part| part.milestone_id.is_none())
        .fold(entry, |entry, part| entry.debit(Account::EscrowUnallocated, part.amount, of_contract(contract_id)));
    fees_of_lost(entry, (contract_id, client_id), parts, fees)
}

fn locked_part(lost: &LostPart) -> LockedPart {
    let LostPart { milestone_id, amount, dispute_id, disputed, .. } = *lost;
    LockedPart { milestone_id, amount, dispute_id, disputed }
}

/// What a chargeback has locked (2110), a line per milestone.
fn locked(
    entry: EntryBuilder,
    side: Side,
    contract_id: ContractId,
    chargeback_id: ChargebackId,
    parts: &[LockedPart],
) -> EntryBuilder {
    let of_milestones = parts.iter().filter_map(|part| Some((part.milestone_id?, part.amount)));
    of_milestones.fold(entry, |entry, (milestone_id, amount)| {
        let dimensions = of_milestone(contract_id, milestone_id).with(Key::Chargeback, chargeback_id);
        line(entry, side, Account::EscrowDisputed, amount, dimensions)
    })
}

/// The same where no chargeback has locked it: held, or locked by a dispute.
fn unlocked(
    entry: EntryBuilder,
    side: Side,
    contract_id: ContractId,
    funding_id: FundingId,
    parts: &[LockedPart],
) -> EntryBuilder {
    let of_milestones = parts.iter().filter_map(|part| Some((part.milestone_id?, part)));
    of_milestones.fold(entry, |entry, (milestone_id, part)| {
        let milestone = of_milestone(contract_id, milestone_id);
        let free = part.amount.saturating_sub(part.disputed);
        let lot = milestone.clone().with(Key::Funding, funding_id);
        let entry = line(entry, side, Account::EscrowHeld, free, lot);
        match part.dispute_id {
            Some(id) => line(entry, side, Account::EscrowDisputed, part.disputed, milestone.with(Key::Dispute, id)),
            None => entry,
        }
    })
}

/// Fees that are gone with lost money.
#[derive(Clone, Copy)]
struct Fees<'a> {
    /// The client's fee that stays, and is earned.
    earned: Minor,
    initiation_fee: Minor,
    tax: Option<&'a FeeTax>,
}

/// The debits of the fees, and what the bank took: money and fees, less what stays.
fn fees_of_lost(
    entry: EntryBuilder,
    (contract_id, client_id): (ContractId, PartyId),
    parts: &[LostPart],
    fees: Fees<'_>,
) -> Result<(EntryBuilder, Minor), EntryError> {
    let contract = of_contract(contract_id);
    let entry = parts.iter().fold(entry, |entry, part| {
        let of_fee = part.milestone_id.map_or_else(|| contract.clone(), |id| of_milestone(contract_id, id));
        entry.debit(Account::DeferredClientFee, part.client_fee, of_fee)
    });
    let entry = entry.debit(Account::DeferredInitiationFee, fees.initiation_fee, contract.clone());
    let entry = fee_tax(entry, Side::Debit, contract_id, fees.tax).credit(
        Account::ClientMarketplaceFees,
        fees.earned,
        contract.with(Key::Client, client_id),
    );
    let tax = fees.tax.map_or(Minor::ZERO, |tax| tax.line.amount);
    let taken = parts.iter().flat_map(|part| [part.amount, part.client_fee]).chain([fees.initiation_fee, tax]);
    Ok((entry, Minor::sum(taken)?.checked_sub(fees.earned)?))
}

#[derive(Clone, Copy)]
enum Side {
    Debit,
    Credit,
}

fn line(entry: EntryBuilder, side: Side, account: Account, amount: Minor, dimensions: Dimensions) -> EntryBuilder {
    match side {
        Side::Debit => entry.debit(account, amount, dimensions),
        Side::Credit => entry.credit(account, amount, dimensions),
    }
}

/// Held money of a milestone, a line per funding.
fn lots_of(
    entry: EntryBuilder,
    side: Side,
    contract_id: ContractId,
    milestone_id: MilestoneId,
    lots: &[Lot],
) -> EntryBuilder {
    lots.iter().fold(entry, |entry, lot| {
        let lot_of = of_milestone(contract_id, milestone_id).with(Key::Funding, lot.funding_id);
        line(entry, side, Account::EscrowHeld, lot.amount, lot_of)
    })
}

/// Tax on fees on top, where it stands: deferred or payable.
fn fee_tax(entry: EntryBuilder, side: Side, contract_id: ContractId, tax: Option<&FeeTax>) -> EntryBuilder {
    let Some(tax) = tax else { return entry };
    let rate = at_rate(&tax.line);
    if tax.deferred {
        let deferred = rate.with(Key::Contract, contract_id);
        line(entry, side, Account::DeferredClientFeeTax, tax.line.amount, deferred)
    } else {
        line(entry, side, Account::OutputTax, tax.line.amount, rate)
    }
}

pub(crate) fn at_rate(line: &TaxLine) -> Dimensions {
    Dimensions::new()
        .with(Key::Jurisdiction, &line.jurisdiction)
        .with(Key::TaxRate, format_args!("{}%", line.percent.get()))
}

pub(crate) fn at(place: &PspPlace) -> Dimensions {
    Dimensions::new().with(Key::Psp, &place.psp).with(Key::PspAccount, &place.psp_account)
}

fn of_contract(contract_id: ContractId) -> Dimensions {
    Dimensions::new().with(Key::Contract, contract_id)
}

fn of_milestone(contract_id: ContractId, milestone_id: MilestoneId) -> Dimensions {
    of_contract(contract_id).with(Key::Milestone, milestone_id)
}
