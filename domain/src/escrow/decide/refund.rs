//! Money that goes back to the client: what is held, and what was released.

use ledger::{Minor, closing_share};

use super::funding::{client_tax, right_currency};
use super::{enough_of_deposit, movable, only_payee, uncontested};
use crate::escrow::lots::{self, HeldLot};
use crate::escrow::{EscrowCommand, EscrowEvent, Holdings, Lot, PaidFrom, RefundPart, RefundReason};
use crate::fee::{MilestoneFees, PartyTax, RefundOf, TaxLine, give_back};
use crate::id::{FundingId, MilestoneId, RefundId};
use crate::policy::days_after;
use crate::refusal::Refusal;
use crate::rules::Context;

pub(super) fn initiate(
    holdings: &Holdings,
    refund_id: RefundId,
    milestone_id: Option<MilestoneId>,
    amount: Minor,
    reason: RefundReason,
) -> Result<Vec<EscrowEvent>, Refusal> {
    if holdings.done.refunds.contains(&refund_id) {
        return Ok(Vec::new());
    }
    let lots = match milestone_id {
        Some(milestone_id) => lots::newest(&movable(holdings, milestone_id, amount)?.lots, amount)?,
        None if holdings.frozen => return Err(Refusal::EscrowFrozen),
        None => {
            enough_of_deposit(holdings, amount)?;
            lots::newest(&holdings.unallocated, amount)?
        }
    };
    uncontested(holdings, lots.iter().map(|lot| lot.funding_id))?;
    of_lots(holdings, refund_id, milestone_id, lots, reason).map(|event| vec![event])
}

/// What was deposited for no milestone goes back when the contract is over.
pub(super) fn deposit_at_the_end(holdings: &Holdings) -> Result<Vec<EscrowEvent>, Refusal> {
    let mut lots = holdings.free_deposit();
    let refund_id = RefundId::derived(holdings.contract_id.as_uuid(), "deposit");
    if lots.is_empty() || holdings.done.refunds.contains(&refund_id) {
        return Ok(Vec::new());
    }
    if holdings.frozen {
        return Err(Refusal::EscrowFrozen);
    }
    // The newest first, as ever.
    lots.reverse();
    of_lots(holdings, refund_id, None, lots, RefundReason::ContractOver).map(|event| vec![event])
}

/// The refund of these lots, which are there and not locked.
pub(super) fn of_lots(
    holdings: &Holdings,
    refund_id: RefundId,
    milestone_id: Option<MilestoneId>,
    lots: Vec<Lot>,
    reason: RefundReason,
) -> Result<EscrowEvent, Refusal> {
    let amount = Minor::sum(lots.iter().map(|lot| lot.amount))?;
    let fees = match milestone_id {
        Some(id) => holdings.milestone(id).map(|holding| holding.fees).unwrap_or_default(),
        None => holdings.unallocated_fees,
    };
    let of = RefundOf { amount, ends_unreleased: ends_unreleased(holdings, amount), psp_fee: Minor::ZERO };
    let mut split = holdings.fee_schedule.refund(&fees, &holdings.contract_fees, of)?;
    let (mut parts, too_much) = by_way(holdings, refund_id, &lots, split.to_client, true)?;
    if !too_much.is_zero() {
        // The tax is rounded over the whole contract, so that a minor unit of it may have come with a payment that a bank
        // has now: it goes back with what goes last.
        split.tax_returned = split.tax_returned.checked_sub(too_much).map_err(|_| too_much_goes_back(holdings))?;
        split.to_client = split.to_client.checked_sub(too_much)?;
        parts = nothing_is_left(holdings, by_way(holdings, refund_id, &lots, split.to_client, true)?)?;
    }
    Ok(EscrowEvent::RefundInitiated {
        refund_id,
        contract_id: holdings.contract_id,
        milestone_id,
        client_id: holdings.client_id,
        currency: holdings.currency,
        reason,
        amount,
        client_fee: split.client_fee_returned,
        client_fee_earned: split.client_fee_earned,
        initiation_fee: split.initiation_fee_returned,
        tax: client_tax(&holdings.fee_schedule, split.tax_returned),
        tax_earned: client_tax(&holdings.fee_schedule, split.tax_earned),
        parts,
        lots,
    })
}

/// Why it cannot go: what is missing came with a payment that a bank disagrees with, and can go when that is decided.
fn too_much_goes_back(holdings: &Holdings) -> Refusal {
    let contested = uncontested(holdings, holdings.fundings.keys().copied()).err();
    contested.unwrap_or_else(|| Refusal::Defect("more would go back than came".to_owned()))
}

/// The parts, if they are all of it.
fn nothing_is_left(holdings: &Holdings, (parts, left): (Vec<RefundPart>, Minor)) -> Result<Vec<RefundPart>, Refusal> {
    if left.is_zero() { Ok(parts) } else { Err(too_much_goes_back(holdings)) }
}

/// Whether nothing was ever released and this empties the escrow: then the initiation fee goes back, too. A payment that
/// is under way is not asked about: one that was asked for without the fee, and arrives after this, brings none.
fn ends_unreleased(holdings: &Holdings, amount: Minor) -> bool {
    let held = holdings.milestones.values().flat_map(|holding| &holding.lots).chain(&holdings.unallocated);
    let all = held.fold(Minor::ZERO, |sum, lot| sum.saturating_add(HeldLot::remaining(lot)));
    all == amount && holdings.milestones.values().all(|holding| holding.released.is_zero())
}

/// Splits what goes back by the way each funding came. Fees go with the money they belong to; of no funding more goes
/// back than came with it, and what does not fit goes with another, the newest first. What the provider cannot send of a
/// part, which has to be whole like a charge, is the client's wallet's. Returns what fits nowhere, too.
fn by_way(
    holdings: &Holdings,
    refund_id: RefundId,
    lots: &[Lot],
    to_client: Minor,
    held: bool,
) -> Result<(Vec<RefundPart>, Minor), Refusal> {
    let whole = Minor::sum(lots.iter().map(|lot| lot.amount))?;
    let room = |funding_id: FundingId, leaving: Minor| {
        let funding = holdings.fundings.get(&funding_id)?;
        let leaving = if held { leaving } else { Minor::ZERO };
        let stays = holdings.remaining_of(funding_id).saturating_sub(leaving);
        if holdings.chargeback_of(funding_id).is_some() {
            return Some(Minor::ZERO);
        }
        let gone = funding.sent_back.saturating_add(funding.charged_back);
        Some(funding.paid.saturating_sub(gone).saturating_sub(stays))
    };
    let mut shares: Vec<(FundingId, Minor)> = Vec::with_capacity(lots.len());
    let (mut gone, mut given, mut carry) = (Minor::ZERO, Minor::ZERO, Minor::ZERO);
    for lot in lots {
        gone = gone.checked_add(lot.amount)?;
        let share = closing_share(to_client, gone, whole, given)?;
        given = given.checked_add(share)?;
        let wanted = share.checked_add(carry)?;
        let fits = wanted.min(room(lot.funding_id, lot.amount).unwrap_or_default());
        carry = wanted.checked_sub(fits)?;
        shares.push((lot.funding_id, fits));
    }
    let mut others: Vec<_> = holdings.fundings.iter().map(|(id, funding)| (funding.number, *id)).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    for (_, funding_id) in others {
        if carry.is_zero() {
            break;
        }
        let leaving = lots.iter().find(|lot| lot.funding_id == funding_id).map(|lot| lot.amount).unwrap_or_default();
        let known = shares.iter_mut().find(|(id, _)| *id == funding_id);
        let taken = known.as_ref().map(|(_, share)| *share).unwrap_or_default();
        let more = carry.min(room(funding_id, leaving).unwrap_or_default().saturating_sub(taken));
        carry = carry.checked_sub(more)?;
        match known {
            Some((_, share)) => *share = share.checked_add(more)?,
            None => shares.push((funding_id, more)),
        }
    }
    let mut parts = Vec::with_capacity(shares.len());
    for (funding_id, amount) in shares {
        let funding = holdings.fundings.get(&funding_id);
        let paid_from = funding.map(|funding| funding.paid_from).unwrap_or_default();
        let (sent, residue) = match paid_from {
            PaidFrom::Provider => holdings.currency.refund_and_residue(amount),
            PaidFrom::Wallet => (amount, Minor::ZERO),
        };
        for (amount, paid_from, name) in
            [(sent, paid_from, funding_id.to_string()), (residue, PaidFrom::Wallet, format!("{funding_id}/residue"))]
        {
            if amount.is_zero() {
                continue;
            }
            let refund_id = if parts.is_empty() { refund_id } else { RefundId::derived(refund_id.as_uuid(), &name) };
            let charge = funding.and_then(|funding| funding.charge.clone());
            parts.push(RefundPart { refund_id, funding_id, amount, charge, paid_from });
        }
    }
    Ok((parts, carry))
}

/// The payee gives back what was released, also after the contract is over.
pub(super) fn return_release(
    holdings: &Holdings,
    command: &EscrowCommand,
    context: &Context,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let EscrowCommand::ReturnRelease { refund_id, milestone_id, gross, currency } = command else {
        return Ok(Vec::new());
    };
    only_payee(holdings, context, "give money back")?;
    if let Some(currency) = currency {
        right_currency(holdings, *currency)?;
    }
    if holdings.done.refunds.contains(refund_id) {
        return Ok(Vec::new());
    }
    if gross.is_zero() {
        return Err(Refusal::invalid("/amount", "must be greater than zero"));
    }
    let Some(holding) = holdings.milestone(*milestone_id) else {
        return Err(Refusal::ExceedsReleased { released: Minor::ZERO });
    };
    let days = holdings.policy.payee_refund_window_days;
    let window = holding.released_at.map(|released_at| days_after(released_at, days));
    if let Some(closed_at) = window.filter(|closes_at| context.now >= *closes_at) {
        return Err(Refusal::PayeeRefundWindowClosed { closed_at });
    }
    let released = holding.returnable();
    if *gross > released {
        return Err(Refusal::ExceedsReleased { released });
    }
    let back = give_back(&holding.releases, &holding.given_back, *gross)?;
    let lots = lots::given_back(&holding.lots, *gross)?;
    uncontested(holdings, lots.iter().map(|lot| lot.funding_id))?;
    let tax = &holdings.fee_schedule.tax;
    let line = |party: Option<&PartyTax>, amount: Minor| {
        let party = party.filter(|_| !amount.is_zero())?;
        Some(TaxLine { jurisdiction: party.jurisdiction.clone(), percent: party.percent, amount })
    };
    Ok(vec![EscrowEvent::ReleaseReturned {
        refund_id: *refund_id,
        contract_id: holdings.contract_id,
        milestone_id: *milestone_id,
        payee_id: holdings.payee_id,
        client_id: holdings.client_id,
        currency: holdings.currency,
        gross: *gross,
        payee_fee: back.payee_fee,
        client_fee: back.client_fee,
        payee_tax: line(tax.payee.as_ref(), back.payee_tax),
        client_tax: line(tax.client.as_ref(), back.client_tax),
        from_payee: back.from_payee,
        parts: nothing_is_left(holdings, by_way(holdings, *refund_id, &lots, back.to_client, false)?)?,
        lots,
    }])
}

/// The fee that leaves a milestone, or the deposit, with money that leaves it.
pub(super) fn fee_leaving(fees: &MilestoneFees, amount: Minor) -> Result<Minor, Refusal> {
    Ok(fees.client_fee_of(amount)?)
}
