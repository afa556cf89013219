//! Money that a client's bank takes back: what is locked while it is contested, and who bears what is lost.
//!
//! # Invariants
//! - The lock is a target: as much as the bank has taken, less the fees that came with it, as far as the payment's money is
//!   still here. Told again, nothing changes.
//! - Money that an internal dispute has locked is lent to the chargeback, and given back when it is won.
//! - A loss is borne in this order: what is held of the payment, with the fee deferred for it; what was released of it, by
//!   the payee and with the platform's fees, unless the contract says that the platform is liable; what the client would
//!   have twice, since it was refunded, too, by the client's wallet, as far as it is there; the rest by the platform.
//!   The parts sum to the loss.
//! - Refunded and taken by a bank is never more than was paid: while a bank has the money, as much of the refunds as it
//!   would have twice is not spent. A refund that waits for somebody goes to the wallet when the money is lost, and settles
//!   the loss there; what arrives in the wallet later does the same (2120 against 1200, 5200 or 1220: J55 and J59, undone).
//! - A bank can return a payment that is contested. What a chargeback has locked of it is the client's debt (J59) until that
//!   is decided. What is let go then is not held again, since the bank has returned it: it settles the debt
//!   ([`EscrowEvent::LateReturnSettled`]). What is lost stays lost, and the debt stays: the bank has it twice.
//! - So nothing is held, and free, of a payment that was returned as a whole; nothing of it can be refunded once more.
//!
//! # What is deliberately absent
//! Collecting what the client owes.

use ledger::{Minor, MoneyError, allocate, rounded_quotient};

use super::after;
use super::funding::client_tax;
use super::refund::of_lots;
use crate::escrow::holdings::ChargebackHold;
use crate::escrow::lots::HeldLot;
use crate::escrow::{
    Borne, Clawback, ContestedRefunds, EscrowEvent, FeeTax, Holdings, LockedPart, LostPart, PaidFunding, PspPlace,
    RefundReason,
};
use crate::fee::{GivenBack, MilestoneFees, PartyTax, TaxLine, give_back};
use crate::id::{ChargebackId, DisputeId, FundingId, MilestoneId, RefundId};
use crate::policy::Liability;
use crate::refusal::Refusal;

/// A bank disagrees with a payment, or asks about it.
pub(super) fn note(
    holdings: &Holdings,
    chargeback_id: ChargebackId,
    funding_id: FundingId,
    inquiry: bool,
) -> Vec<EscrowEvent> {
    let known = holdings.chargebacks.get(&chargeback_id);
    if holdings.done.chargebacks.contains(&chargeback_id) || known.is_some_and(|hold| inquiry || !hold.inquiry) {
        return Vec::new();
    }
    let has = |lot: &HeldLot| lot.funding_id == funding_id && !lot.remaining().is_zero();
    let milestones = holdings.milestones.iter().filter(|(_, holding)| holding.lots.iter().any(has));
    vec![EscrowEvent::ChargeDisputed {
        chargeback_id,
        contract_id: holdings.contract_id,
        funding_id,
        inquiry,
        milestones: milestones.map(|(id, _)| *id).collect(),
    }]
}

/// Locks as much as `amount`, which the bank has, needs; or lets go what is locked beyond that.
pub(super) fn hold(
    holdings: &Holdings,
    chargeback_id: ChargebackId,
    amount: Minor,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let Some(hold) = holdings.chargebacks.get(&chargeback_id) else {
        // Over: what comes or goes now is dealt with by whoever ended it.
        return Ok(Vec::new());
    };
    let places = places(holdings, hold.funding_id);
    let locked = Minor::sum(hold.parts.iter().map(|part| part.amount))?;
    let free = Minor::sum(places.iter().map(Place::lockable))?;
    let principal = principal_of(holdings.fundings.get(&hold.funding_id), amount)?;
    let wanted = principal.min(locked.checked_add(free)?);
    let (contract_id, funding_id, currency) = (holdings.contract_id, hold.funding_id, holdings.currency);
    let twice = holdings.refunded_twice(funding_id, amount);
    let contested = ContestedRefunds { client_id: holdings.client_id, amount: twice };
    let contested = (twice != hold.refunds).then_some(contested);
    let locks =
        |parts| EscrowEvent::ChargebackHeld { chargeback_id, contract_id, funding_id, currency, parts, contested };
    if wanted > locked {
        return Ok(vec![locks(pick(&places, wanted.checked_sub(locked)?)?)]);
    }
    let parts = let_go(hold, locked.checked_sub(wanted)?)?;
    if parts.is_empty() && contested.is_none_or(|contested| contested.amount > hold.refunds) {
        return Ok(contested.map(|_| locks(parts)).into_iter().collect());
    }
    let mut events =
        vec![EscrowEvent::ChargebackReleased { chargeback_id, contract_id, funding_id, currency, parts, contested }];
    events.extend(settle_return(&after(holdings, &events)?, funding_id)?);
    Ok(events)
}

/// What is free of a payment that its bank has returned settles what the client owes for that.
fn settle_return(holdings: &Holdings, funding_id: FundingId) -> Result<Option<EscrowEvent>, Refusal> {
    let Some(funding) = holdings.fundings.get(&funding_id).filter(|funding| !funding.owed.is_zero()) else {
        return Ok(None);
    };
    let places = places(holdings, funding_id);
    let free = Minor::sum(places.iter().map(Place::lockable))?;
    // Of a payment that is gone as a whole nothing may stay that could not go back to anybody, not even what was rounded.
    let gone = funding.sent_back.checked_add(funding.charged_back)? >= funding.paid;
    let returned = if gone { funding.owed } else { principal_of(Some(funding), funding.owed)? };
    let wanted = free.min(returned);
    if wanted.is_zero() {
        return Ok(None);
    }
    let loss = lose(holdings, &pick(&places, wanted)?, funding.owed)?;
    Ok(Some(EscrowEvent::LateReturnSettled {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id,
        currency: holdings.currency,
        parts: loss.parts,
        client_fee_earned: loss.client_fee_earned,
        initiation_fee: loss.initiation_fee,
        tax: loss.tax,
        amount: loss.total,
    }))
}

/// The bank keeps `amount`: whoever has the money bears it.
pub(super) fn absorb(
    holdings: &Holdings,
    chargeback_id: ChargebackId,
    funding_id: FundingId,
    amount: Minor,
    closed: bool,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let mut events = Vec::new();
    if amount.is_zero() {
        return clear(holdings, chargeback_id, closed);
    }
    if !holdings.chargebacks.contains_key(&chargeback_id) {
        // The bank took money after the end.
        let (contract_id, milestones) = (holdings.contract_id, Vec::new());
        events.push(EscrowEvent::ChargeDisputed { chargeback_id, contract_id, funding_id, inquiry: false, milestones });
    }
    let noted = after(holdings, &events)?;
    events.extend(hold(&noted, chargeback_id, amount)?);
    let locked = after(holdings, &events)?;
    let parts = locked.chargebacks.get(&chargeback_id).map(|hold| hold.parts.clone()).unwrap_or_default();
    let loss = lose(&locked, &parts, amount)?;
    let rest = amount.checked_sub(loss.total)?;
    let share = released_share(&locked, funding_id, rest)?;
    let from_refunds = locked.refunded_twice(funding_id, amount).min(share.rest);
    let tax = &holdings.fee_schedule.tax;
    events.push(EscrowEvent::ChargebackAbsorbed {
        chargeback_id,
        contract_id: holdings.contract_id,
        funding_id,
        client_id: holdings.client_id,
        payee_id: holdings.payee_id,
        currency: holdings.currency,
        amount,
        held: loss.parts,
        client_fee_earned: loss.client_fee_earned,
        initiation_fee: loss.initiation_fee,
        tax: loss.tax,
        payee_tax: line(tax.payee.as_ref(), Minor::sum(share.clawed.iter().map(|part| part.back.payee_tax))?),
        client_tax: line(tax.client.as_ref(), Minor::sum(share.clawed.iter().map(|part| part.back.client_tax))?),
        clawed: share.clawed,
        borne: share.borne,
        platform_share: share.rest.checked_sub(from_refunds)?,
        from_refunds,
        refunds: if from_refunds.is_zero() { Vec::new() } else { locked.refunds_of(funding_id) },
    });
    if from_refunds.is_zero() {
        // Nobody has it twice after all: what cannot be spent can be spent again.
        events.extend(uncontest(&locked, chargeback_id, funding_id));
    }
    events.push(cleared(&locked, chargeback_id, funding_id, Vec::new()));
    deposit_back(holdings, events, chargeback_id, closed)
}

/// It is over, and nothing was lost: everything is as before.
pub(super) fn clear(
    holdings: &Holdings,
    chargeback_id: ChargebackId,
    closed: bool,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let Some(entry) = holdings.chargebacks.get(&chargeback_id) else {
        return Ok(Vec::new());
    };
    let mut events = hold(holdings, chargeback_id, Minor::ZERO)?;
    events.push(cleared(holdings, chargeback_id, entry.funding_id, holdings.refunds_of(entry.funding_id)));
    deposit_back(holdings, events, chargeback_id, closed)
}

/// A deposit that was contested when the contract ended goes back now, as far as the bank has left it.
fn deposit_back(
    holdings: &Holdings,
    mut events: Vec<EscrowEvent>,
    chargeback_id: ChargebackId,
    closed: bool,
) -> Result<Vec<EscrowEvent>, Refusal> {
    if closed && !holdings.frozen {
        let free = after(holdings, &events)?;
        let lots = free.free_deposit();
        if !lots.is_empty() {
            let refund_id = RefundId::derived(chargeback_id.as_uuid(), "deposit");
            events.push(of_lots(&free, refund_id, None, lots, RefundReason::ContractOver)?);
        }
    }
    Ok(events)
}

/// A bank returned a payment without asking: what is held of it is gone, and the rest is the client's debt.
pub(super) fn return_funding(
    holdings: &Holdings,
    funding_id: FundingId,
    amount: Minor,
    place: &PspPlace,
) -> Result<Vec<EscrowEvent>, Refusal> {
    let places = places(holdings, funding_id);
    let free = Minor::sum(places.iter().map(Place::lockable))?;
    let wanted = principal_of(holdings.fundings.get(&funding_id), amount)?.min(free);
    let parts = if wanted.is_zero() { Vec::new() } else { pick(&places, wanted)? };
    let loss = lose(holdings, &parts, amount)?;
    let receivable = amount.checked_sub(loss.total)?;
    let from_refunds = holdings.refunded_twice(funding_id, amount).min(receivable);
    Ok(vec![EscrowEvent::FundingReturned {
        contract_id: holdings.contract_id,
        client_id: holdings.client_id,
        funding_id,
        currency: holdings.currency,
        parts: loss.parts,
        client_fee_earned: loss.client_fee_earned,
        initiation_fee: loss.initiation_fee,
        tax: loss.tax,
        receivable,
        borne: released_of(holdings, funding_id, receivable)?,
        from_refunds,
        refunds: if from_refunds.is_zero() { Vec::new() } else { holdings.refunds_of(funding_id) },
        place: place.clone(),
    }])
}

fn uncontest(holdings: &Holdings, chargeback_id: ChargebackId, funding_id: FundingId) -> Option<EscrowEvent> {
    let (contract_id, currency, client_id) = (holdings.contract_id, holdings.currency, holdings.client_id);
    let contested = Some(ContestedRefunds { client_id, amount: Minor::ZERO });
    let parts = Vec::new();
    holdings
        .chargebacks
        .get(&chargeback_id)
        .filter(|hold| !hold.refunds.is_zero())
        .map(|_| EscrowEvent::ChargebackReleased { chargeback_id, contract_id, funding_id, currency, parts, contested })
}

fn cleared(
    holdings: &Holdings,
    chargeback_id: ChargebackId,
    funding_id: FundingId,
    refunds: Vec<RefundId>,
) -> EscrowEvent {
    let milestones = holdings.chargebacks.get(&chargeback_id).map(|hold| hold.milestones.clone());
    EscrowEvent::ChargeCleared {
        chargeback_id,
        contract_id: holdings.contract_id,
        funding_id,
        milestones: milestones.unwrap_or_default(),
        refunds,
    }
}

/// Money of one payment in one place.
struct Place {
    milestone_id: Option<MilestoneId>,
    /// Not locked.
    free: Minor,
    /// Locked by a dispute.
    dispute: Option<(DisputeId, Minor)>,
}

impl Place {
    fn lockable(&self) -> Minor {
        self.free.saturating_add(self.dispute.map_or(Minor::ZERO, |(_, amount)| amount))
    }
}

/// Where money of the payment is that no chargeback has locked.
fn places(holdings: &Holdings, funding_id: FundingId) -> Vec<Place> {
    let free = |lots: &[HeldLot]| {
        lots.iter()
            .filter(|lot| lot.funding_id == funding_id)
            .fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.free()))
    };
    let in_dispute = |milestone_id: MilestoneId| {
        holdings.disputes.iter().find(|(_, hold)| hold.milestone_id == milestone_id).and_then(|(dispute_id, hold)| {
            let lot = hold.lots.iter().find(|lot| lot.funding_id == funding_id && !lot.amount.is_zero())?;
            Some((*dispute_id, lot.amount))
        })
    };
    let milestones = holdings.milestones.iter().map(|(id, holding)| Place {
        milestone_id: Some(*id),
        free: free(&holding.lots),
        dispute: in_dispute(*id),
    });
    let deposit = Place { milestone_id: None, free: free(&holdings.unallocated), dispute: None };
    milestones.chain([deposit]).filter(|place| !place.lockable().is_zero()).collect()
}

/// Shares `amount` out by what is there; in each place what is free goes first.
fn pick(places: &[Place], amount: Minor) -> Result<Vec<LockedPart>, Refusal> {
    let shares = share_out(amount, places.iter().map(Place::lockable))?;
    let parts = places.iter().zip(shares).filter(|(_, share)| !share.is_zero());
    Ok(parts
        .map(|(place, share)| {
            let disputed = share.saturating_sub(place.free);
            LockedPart {
                milestone_id: place.milestone_id,
                amount: share,
                dispute_id: place.dispute.filter(|_| !disputed.is_zero()).map(|(id, _)| id),
                disputed,
            }
        })
        .collect())
}

/// Shares `amount` out over what is locked; money that is nobody's else goes first.
fn let_go(hold: &ChargebackHold, amount: Minor) -> Result<Vec<LockedPart>, Refusal> {
    if amount.is_zero() {
        return Ok(Vec::new());
    }
    let shares = share_out(amount, hold.parts.iter().map(|part| part.amount))?;
    let parts = hold.parts.iter().zip(shares).filter(|(_, share)| !share.is_zero());
    Ok(parts
        .map(|(part, share)| {
            let disputed = share.saturating_sub(part.amount.saturating_sub(part.disputed));
            let dispute_id = part.dispute_id.filter(|_| !disputed.is_zero());
            LockedPart { milestone_id: part.milestone_id, amount: share, dispute_id, disputed }
        })
        .collect())
}

/// R3, none above its weight: `amount` is at most their sum.
fn share_out(amount: Minor, weights: impl Iterator<Item = Minor>) -> Result<Vec<Minor>, Refusal> {
    let weights: Vec<_> = weights.map(|weight| weight.get().unsigned_abs()).collect();
    allocate(amount, &weights).map_err(|error| Refusal::Defect(error.to_string()))
}

/// What of an amount that the bank took is money that was held, and not fees on top.
fn principal_of(funding: Option<&PaidFunding>, amount: Minor) -> Result<Minor, MoneyError> {
    let Some(funding) = funding else { return Ok(Minor::ZERO) };
    if funding.principal.is_zero() {
        return Ok(amount);
    }
    // The initiation fee is the last to go: it comes back with nothing less than the whole.
    let whole = funding.paid.checked_sub(funding.initiation)?;
    if amount >= whole {
        return Ok(funding.principal);
    }
    let product = i128::from(amount.get()).checked_mul(i128::from(funding.principal.get()));
    rounded_quotient(product.ok_or(MoneyError::OutOfRange)?, i128::from(whole.get()))
}

/// What is lost of held money, and of the fees deferred with it.
struct Loss {
    parts: Vec<LostPart>,
    client_fee_earned: Minor,
    initiation_fee: Minor,
    tax: Option<FeeTax>,
    total: Minor,
}

/// What goes with these parts when `budget` is what the bank has: never more than that. A fee that is deferred for money
/// that is gone, and that the bank did not take, is earned.
fn lose(holdings: &Holdings, parts: &[LockedPart], budget: Minor) -> Result<Loss, Refusal> {
    if parts.is_empty() {
        // Nothing is booked without money that was held: a minor unit of tax that roundings have left stays where it is.
        let none = Minor::ZERO;
        return Ok(Loss { parts: Vec::new(), client_fee_earned: none, initiation_fee: none, tax: None, total: none });
    }
    let mut lost = Vec::with_capacity(parts.len());
    let (mut amount, mut fees) = (Minor::ZERO, Minor::ZERO);
    for part in parts {
        let of_place = fees_of(holdings, part.milestone_id);
        let client_fee = of_place.client_fee_of(part.amount)?;
        amount = amount.checked_add(part.amount)?;
        fees = fees.checked_add(client_fee)?;
        lost.push(LostPart {
            milestone_id: part.milestone_id,
            amount: part.amount,
            client_fee,
            dispute_id: part.dispute_id,
            disputed: part.disputed,
        });
    }
    let room = budget.checked_sub(amount)?;
    let client_fee_earned = fees.saturating_sub(room);
    let fee_lost = fees.checked_sub(client_fee_earned)?;
    let room = room.checked_sub(fee_lost)?;
    let sums = &holdings.contract_fees;
    // The initiation fee came with the first payment, and is deferred until something is released.
    let initiation = sums.initiation_fee_deferred();
    let tax_with = sums.tax_of(fee_lost.checked_add(initiation)?)?;
    let (initiation_fee, tax) = if initiation.checked_add(tax_with)? <= room {
        (initiation, tax_with)
    } else {
        (Minor::ZERO, sums.tax_of(fee_lost)?.min(room))
    };
    let total = Minor::sum([amount, fee_lost, initiation_fee, tax])?;
    // What roundings leave is taken of the fee for the rest, so that what can go back of the payment later is what the
    // bank has left of it.
    let slack = budget.checked_sub(total)?;
    let mut rounded = if slack <= rounding(lost.len())? { slack } else { Minor::ZERO };
    for part in &mut lost {
        let of_place = fees_of(holdings, part.milestone_id);
        let keeps = of_place.rest() > part.amount;
        let more = if keeps { rounded.min(of_place.deferred().saturating_sub(part.client_fee)) } else { Minor::ZERO };
        part.client_fee = part.client_fee.checked_add(more)?;
        rounded = rounded.checked_sub(more)?;
    }
    let taken = if slack <= rounding(lost.len())? { slack.checked_sub(rounded)? } else { Minor::ZERO };
    let total = total.checked_add(taken)?;
    let tax = client_tax(&holdings.fee_schedule, tax);
    Ok(Loss { parts: lost, client_fee_earned, initiation_fee, tax, total })
}

fn fees_of(holdings: &Holdings, place: Option<MilestoneId>) -> MilestoneFees {
    match place {
        Some(id) => holdings.milestone(id).map(|holding| holding.fees).unwrap_or_default(),
        None => holdings.unallocated_fees,
    }
}

/// How much roundings can come to: one minor unit each for money and fee of a part, and one for the tax.
fn rounding(parts: usize) -> Result<Minor, Refusal> {
    let units = parts.checked_mul(2).and_then(|units| units.checked_add(1)).and_then(|units| i64::try_from(units).ok());
    Ok(Minor::new(units.ok_or(MoneyError::OutOfRange)?)?)
}

/// What becomes of a loss beyond what was held.
struct ReleasedShare {
    clawed: Vec<Clawback>,
    borne: Vec<Borne>,
    rest: Minor,
}

/// The payee gives what was released of the payment, as if it were given back; or the platform bears it all.
fn released_share(holdings: &Holdings, funding_id: FundingId, loss: Minor) -> Result<ReleasedShare, Refusal> {
    let (mut clawed, mut borne, mut rest) = (Vec::new(), released_of(holdings, funding_id, loss)?, loss);
    if holdings.policy.chargeback_liability == Liability::Platform {
        return Ok(ReleasedShare { clawed, borne, rest });
    }
    for Borne { milestone_id, gross } in borne.drain(..) {
        let holding = holdings.milestone(milestone_id).cloned().unwrap_or_default();
        let back = within(give_back(&holding.releases, &holding.given_back, gross)?, rest)?;
        rest = rest.checked_sub(back.to_client)?;
        clawed.push(Clawback { milestone_id, back });
    }
    Ok(ReleasedShare { clawed, borne, rest })
}

/// What of `amount`, which a bank took of the payment, was released, by milestone, gross.
fn released_of(holdings: &Holdings, funding_id: FundingId, amount: Minor) -> Result<Vec<Borne>, Refusal> {
    let released = holdings.milestones.iter().filter_map(|(id, holding)| {
        let lot = holding.lots.iter().find(|lot| lot.funding_id == funding_id)?;
        let left = holding.returnable().min(lot.returnable());
        (!left.is_zero()).then_some((*id, left))
    });
    let released: Vec<_> = released.collect();
    let all = Minor::sum(released.iter().map(|(_, left)| *left))?;
    let gross = principal_of(holdings.fundings.get(&funding_id), amount)?.min(all);
    if gross.is_zero() {
        return Ok(Vec::new());
    }
    let shares = share_out(gross, released.iter().map(|(_, left)| *left))?;
    let shares = released.into_iter().zip(shares).filter(|(_, gross)| !gross.is_zero());
    Ok(shares.map(|((milestone_id, _), gross)| Borne { milestone_id, gross }).collect())
}

/// Fees that are returned, as their share is, may be more than the bank took: roundings add up, and the fees of very little
/// money are many times that. The platform returns that much less of them.
fn within(mut back: GivenBack, room: Minor) -> Result<GivenBack, Refusal> {
    for fee in
        [&mut back.client_fee, &mut back.client_tax, &mut back.payee_fee, &mut back.payee_tax, &mut back.from_payee]
    {
        let less = back.to_client.saturating_sub(room).min(*fee);
        *fee = fee.checked_sub(less)?;
        back.to_client = back.to_client.checked_sub(less)?;
    }
    if back.to_client > room {
        return Err(Refusal::Defect("more would be clawed back than was lost".to_owned()));
    }
    Ok(back)
}

fn line(party: Option<&PartyTax>, amount: Minor) -> Option<TaxLine> {
    let party = party.filter(|_| !amount.is_zero())?;
    Some(TaxLine { jurisdiction: party.jurisdiction.clone(), percent: party.percent, amount })
}
