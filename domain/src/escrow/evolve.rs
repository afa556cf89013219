//! What an escrow remembers of each event.

use chrono::TimeDelta;
use ledger::{Minor, closing_share};

use super::event::EscrowEvent;
use super::holdings::{ChargebackHold, DisputeHold, Holdings, PaidFunding, RequestedFunding};
use super::lots;
use super::parts::{Allocation, ChargeRef, Deposit, FeeTax, HoldLimit, Lot, PaidFrom, RefundPart};
use crate::fee::{GivenBack, ReleaseSplit, TaxLine};
use crate::id::{FundingId, MilestoneId};

impl Holdings {
    /// Folds an event. Sums saturate: `decide` has checked them before the event existed.
    pub(super) fn remember(&mut self, event: &EscrowEvent) {
        use EscrowEvent as E;
        match event {
            E::FundingRequested {
                funding_id,
                allocations,
                client_fee,
                surplus_to_wallet,
                deposit,
                initiation_fee,
                tax,
                expires_at,
                ..
            } => {
                for allocation in allocations {
                    self.milestones.entry(allocation.milestone_id).or_default().awaited = Some(*funding_id);
                }
                let requested = RequestedFunding {
                    allocations: allocations.clone(),
                    deposit: *deposit,
                    client_fee: *client_fee,
                    initiation_fee: *initiation_fee,
                    tax: tax.clone(),
                    surplus_to_wallet: *surplus_to_wallet,
                    expires: expires_at.is_some(),
                };
                self.requested.insert(*funding_id, requested);
            }
            E::Funded { funding_id, allocations, deposit, initiation_fee, tax, charge, hold_limit, .. } => {
                let (charge, hold_limit) = (charge.clone(), hold_limit.clone());
                self.arrived(*funding_id, PaidFrom::Provider, charge, hold_limit);
                self.take_in(*funding_id, allocations, *deposit);
                self.take_in_fees(*funding_id, *initiation_fee, tax.as_ref());
            }
            E::WalletFundingNoted { funding_id, allocations, deposit, initiation_fee, tax, .. } => {
                self.arrived(*funding_id, PaidFrom::Wallet, None, None);
                self.take_in(*funding_id, allocations, *deposit);
                self.take_in_fees(*funding_id, *initiation_fee, tax.as_ref());
            }
            E::FundingRejected { funding_id, .. } => {
                self.requested.remove(funding_id);
            }
            E::Released { release_id, milestone_id, lots, clears_at, billed_before, .. } => {
                self.done.releases.insert(*release_id);
                let split = split_of(event);
                if let Some(billed) = billed_before {
                    self.pair_billed = billed.saturating_add(split.gross);
                }
                self.contract_fees.release(&split);
                let clearance = TimeDelta::days(i64::from(self.policy.clearance_days));
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.released_at = clears_at.checked_sub_signed(clearance);
                holding.held = holding.held.saturating_sub(split.gross);
                holding.released = holding.released.saturating_add(split.gross);
                holding.client_fee_earned = holding.client_fee_earned.saturating_add(split.client_fee_earned);
                holding.fees.release(&split);
                add_up(&mut holding.releases, &split);
                lots::remove(&mut holding.lots, lots);
                lots::each(&mut holding.lots, lots, |lot, part| lot.released = lot.released.saturating_add(part));
            }
            E::RefundInitiated {
                refund_id,
                milestone_id,
                amount,
                client_fee,
                client_fee_earned,
                initiation_fee,
                tax,
                tax_earned,
                lots,
                parts,
                ..
            } => {
                self.done.refunds.insert(*refund_id);
                let fee = client_fee.saturating_add(*client_fee_earned);
                let taxes = amount_of(tax.as_ref()).saturating_add(amount_of(tax_earned.as_ref()));
                self.contract_fees.remove(fee, *initiation_fee, taxes);
                self.send_back(parts);
                let Some(milestone_id) = milestone_id else {
                    self.unallocated_fees.remove(*amount, fee);
                    lots::remove(&mut self.unallocated, lots);
                    return;
                };
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.held = holding.held.saturating_sub(*amount);
                holding.refunded = holding.refunded.saturating_add(*amount);
                holding.client_fee_earned = holding.client_fee_earned.saturating_add(*client_fee_earned);
                holding.fees.remove(*amount, fee);
                lots::remove(&mut holding.lots, lots);
            }
            E::FundsReallocated { reallocation_id, from, to, amount, client_fee, lots, .. } => {
                self.done.reallocations.insert(*reallocation_id);
                self.reallocate(*from, *to, (*amount, *client_fee), lots);
            }
            E::DisputeHoldPlaced { dispute_id, milestone_id, amount, lots, .. } => {
                let hold = DisputeHold { milestone_id: *milestone_id, lots: lots.clone() };
                self.disputes.insert(*dispute_id, hold);
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.held = holding.held.saturating_sub(*amount);
                holding.disputed = holding.disputed.saturating_add(*amount);
                lots::each(&mut holding.lots, lots, |lot, part| lot.locked = lot.locked.saturating_add(part));
            }
            E::DisputeHoldLifted { dispute_id, milestone_id, amount, lots, .. } => {
                self.disputes.remove(dispute_id);
                self.done.disputes.insert(*dispute_id);
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.held = holding.held.saturating_add(*amount);
                holding.disputed = holding.disputed.saturating_sub(*amount);
                lots::each(&mut holding.lots, lots, |lot, part| lot.locked = lot.locked.saturating_sub(part));
            }
            E::Frozen { frozen_at, .. } => {
                self.frozen = true;
                self.frozen_at = *frozen_at;
            }
            E::Unfrozen { .. } => {
                self.frozen = false;
                self.frozen_at = None;
            }
            E::HoldLimitWarned { funding_id, days_left, .. } => {
                if let Some(limit) = self.fundings.get_mut(funding_id).and_then(|paid| paid.hold_limit.as_mut()) {
                    limit.warn_days.retain(|days| days < days_left);
                }
            }
            E::HoldLimitReached { funding_id, .. } => self.disarm(*funding_id),
            E::ReleaseReturned { refund_id, milestone_id, lots, parts, .. } => {
                self.done.refunds.insert(*refund_id);
                self.send_back(parts);
                let holding = self.milestones.entry(*milestone_id).or_default();
                holding.given_back.add(&given_back_by(event));
                lots::each(&mut holding.lots, lots, |lot, part| lot.returned = lot.returned.saturating_add(part));
            }
            E::GratuityRequested { funding_id, .. } => {
                self.done.gratuities.insert(*funding_id);
            }
            E::Closed { called_off, closed_at, .. } => {
                self.closed_at = *closed_at;
                for funding_id in called_off {
                    self.requested.remove(funding_id);
                }
            }
            E::TimerBlocked { key, .. } => {
                if let Some(funding_id) = super::timers::funding_of(key) {
                    self.disarm(funding_id);
                }
            }
            E::ChargeDisputed { chargeback_id, funding_id, inquiry, milestones, .. } => {
                let known = self.chargebacks.remove(chargeback_id);
                let hold = ChargebackHold {
                    funding_id: *funding_id,
                    inquiry: *inquiry,
                    milestones: milestones.clone(),
                    refunds: known.as_ref().map(|hold| hold.refunds).unwrap_or_default(),
                    parts: known.map(|hold| hold.parts).unwrap_or_default(),
                };
                self.chargebacks.insert(*chargeback_id, hold);
            }
            E::ChargebackHeld { chargeback_id, funding_id, parts, contested, .. } => {
                for part in parts {
                    self.lock(*chargeback_id, *funding_id, part);
                }
                self.contest(*chargeback_id, contested.as_ref());
            }
            E::ChargebackReleased { chargeback_id, funding_id, parts, contested, .. } => {
                for part in parts {
                    self.unlock(*chargeback_id, *funding_id, part);
                }
                self.contest(*chargeback_id, contested.as_ref());
            }
            E::ChargebackAbsorbed {
                chargeback_id,
                funding_id,
                amount,
                held,
                initiation_fee,
                tax,
                clawed,
                borne,
                platform_share,
                from_refunds,
                ..
            } => {
                if let Some(hold) = self.chargebacks.get_mut(chargeback_id) {
                    hold.parts.clear();
                }
                for part in held {
                    self.lose(*funding_id, part, part.amount);
                }
                self.contract_fees.remove(Minor::ZERO, *initiation_fee, amount_of(tax.as_ref()));
                for part in clawed {
                    let holding = self.milestones.entry(part.milestone_id).or_default();
                    holding.given_back.add(&part.back);
                    lots::returned(&mut holding.lots, *funding_id, part.back.gross);
                }
                self.bear(*funding_id, borne);
                self.charge_back(*funding_id, amount.saturating_sub(*platform_share).saturating_sub(*from_refunds));
                self.take_for_good(*funding_id, *amount, *from_refunds);
            }
            E::ChargeCleared { chargeback_id, .. } => {
                self.chargebacks.remove(chargeback_id);
                self.done.chargebacks.insert(*chargeback_id);
            }
            E::FundingReturned { funding_id, parts, initiation_fee, tax, receivable, borne, from_refunds, .. } => {
                let mut amount = receivable.saturating_add(*initiation_fee).saturating_add(amount_of(tax.as_ref()));
                for part in parts {
                    self.take_from_dispute(*funding_id, part.dispute_id, part.disputed);
                    self.lose(*funding_id, part, part.disputed);
                    amount = amount.saturating_add(part.amount).saturating_add(part.client_fee);
                }
                self.contract_fees.remove(Minor::ZERO, *initiation_fee, amount_of(tax.as_ref()));
                self.bear(*funding_id, borne);
                self.charge_back(*funding_id, amount);
                self.take_for_good(*funding_id, amount, *from_refunds);
                self.owe(*funding_id, receivable.saturating_sub(*from_refunds));
            }
            E::LateReturnSettled { funding_id, parts, initiation_fee, tax, amount, .. } => {
                for part in parts {
                    self.take_from_dispute(*funding_id, part.dispute_id, part.disputed);
                    self.lose(*funding_id, part, part.disputed);
                }
                self.contract_fees.remove(Minor::ZERO, *initiation_fee, amount_of(tax.as_ref()));
                self.settle(*funding_id, *amount);
            }
            // Booked only: `FundsReallocated` carries the fee.
            E::FeesReallocated { .. } | E::Opened { .. } => {}
        }
    }

    fn arrived(
        &mut self,
        funding_id: FundingId,
        paid_from: PaidFrom,
        charge: Option<ChargeRef>,
        hold_limit: Option<HoldLimit>,
    ) {
        self.requested.remove(&funding_id);
        let number = u32::try_from(self.fundings.len()).unwrap_or(u32::MAX).saturating_add(1);
        let zero = Minor::ZERO;
        let funding = PaidFunding {
            number,
            paid_from,
            charge,
            paid: zero,
            principal: zero,
            initiation: zero,
            sent_back: zero,
            charged_back: zero,
            owed: zero,
            taken: zero,
            reclaimed: zero,
            refunds: Vec::new(),
            hold_limit,
        };
        self.fundings.insert(funding_id, funding);
    }

    fn take_in(&mut self, funding_id: FundingId, allocations: &[Allocation], deposit: Deposit) {
        let mut paid = deposit.amount.saturating_add(deposit.client_fee);
        let principal = allocations.iter().fold(deposit.amount, |sum, part| sum.saturating_add(part.amount));
        let fundings = &self.fundings;
        let number = |id: FundingId| fundings.get(&id).map_or(u32::MAX, |paid| paid.number);
        for Allocation { milestone_id, amount, client_fee } in allocations {
            paid = paid.saturating_add(*amount).saturating_add(*client_fee);
            let holding = self.milestones.entry(*milestone_id).or_default();
            holding.funded = holding.funded.saturating_add(*amount);
            holding.held = holding.held.saturating_add(*amount);
            holding.fees.add(*amount, *client_fee);
            lots::put(&mut holding.lots, &Lot { funding_id, amount: *amount }, number);
            self.contract_fees.add(*client_fee, Minor::ZERO, Minor::ZERO);
        }
        if !deposit.is_none() {
            self.unallocated_fees.add(deposit.amount, deposit.client_fee);
            lots::put(&mut self.unallocated, &Lot { funding_id, amount: deposit.amount }, number);
            self.contract_fees.add(deposit.client_fee, Minor::ZERO, Minor::ZERO);
        }
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            funding.paid = funding.paid.saturating_add(paid);
            funding.principal = funding.principal.saturating_add(principal);
        }
    }

    fn take_in_fees(&mut self, funding_id: FundingId, initiation_fee: Minor, tax: Option<&FeeTax>) {
        let tax = amount_of(tax);
        self.contract_fees.add(Minor::ZERO, initiation_fee, tax);
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            // So far, what was paid on top is the client's fee.
            let fees = funding.paid.saturating_sub(funding.principal).saturating_add(initiation_fee);
            let tax_on_it = closing_share(tax, initiation_fee, fees, Minor::ZERO).unwrap_or_default();
            funding.initiation = initiation_fee.saturating_add(tax_on_it);
            funding.paid = funding.paid.saturating_add(initiation_fee).saturating_add(tax);
        }
    }

    fn send_back(&mut self, parts: &[RefundPart]) {
        for part in parts {
            if let Some(funding) = self.fundings.get_mut(&part.funding_id) {
                funding.sent_back = funding.sent_back.saturating_add(part.amount);
                funding.refunds.push(part.refund_id);
            }
        }
    }

    fn reallocate(&mut self, from: Option<MilestoneId>, to: MilestoneId, (amount, fee): (Minor, Minor), moved: &[Lot]) {
        if let Some(from) = from {
            let holding = self.milestones.entry(from).or_default();
            holding.held = holding.held.saturating_sub(amount);
            holding.moved_out = holding.moved_out.saturating_add(amount);
            holding.fees.remove(amount, fee);
            lots::remove(&mut holding.lots, moved);
        } else {
            self.unallocated_fees.remove(amount, fee);
            lots::remove(&mut self.unallocated, moved);
        }
        let fundings = &self.fundings;
        let number = |id: FundingId| fundings.get(&id).map_or(u32::MAX, |paid| paid.number);
        let holding = self.milestones.entry(to).or_default();
        holding.held = holding.held.saturating_add(amount);
        holding.moved_in = holding.moved_in.saturating_add(amount);
        // It has money now: a payment that it waited for comes too late.
        holding.awaited = None;
        holding.fees.add(amount, fee);
        for part in moved {
            lots::put(&mut holding.lots, part, number);
        }
    }

    fn disarm(&mut self, funding_id: FundingId) {
        if let Some(paid) = self.fundings.get_mut(&funding_id) {
            paid.hold_limit = None;
        }
    }
}

fn amount_of(tax: Option<&FeeTax>) -> Minor {
    tax.map_or(Minor::ZERO, |tax| tax.line.amount)
}

/// What a release came to.
fn split_of(event: &EscrowEvent) -> ReleaseSplit {
    let EscrowEvent::Released {
        gross,
        payee_fee,
        client_fee_earned,
        net,
        withheld,
        initiation_fee_earned,
        payee_tax,
        client_tax,
        ..
    } = event
    else {
        return ReleaseSplit::default();
    };
    ReleaseSplit {
        gross: *gross,
        payee_fee: *payee_fee,
        payee_tax: *payee_tax,
        withheld: withheld.as_ref().map_or(Minor::ZERO, |withheld| withheld.amount),
        net: *net,
        client_fee_earned: *client_fee_earned,
        initiation_fee_earned: *initiation_fee_earned,
        client_tax: amount_of(client_tax.as_ref()),
    }
}

/// What giving back came to.
fn given_back_by(event: &EscrowEvent) -> GivenBack {
    let EscrowEvent::ReleaseReturned { gross, payee_fee, client_fee, payee_tax, client_tax, from_payee, parts, .. } =
        event
    else {
        return GivenBack::default();
    };
    let tax = |line: &Option<TaxLine>| line.as_ref().map_or(Minor::ZERO, |line| line.amount);
    GivenBack {
        gross: *gross,
        from_payee: *from_payee,
        payee_fee: *payee_fee,
        payee_tax: tax(payee_tax),
        client_fee: *client_fee,
        client_tax: tax(client_tax),
        to_client: parts.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount)),
    }
}

fn add_up(sum: &mut ReleaseSplit, part: &ReleaseSplit) {
    let pairs = [
        (&mut sum.gross, part.gross),
        (&mut sum.payee_fee, part.payee_fee),
        (&mut sum.payee_tax, part.payee_tax),
        (&mut sum.withheld, part.withheld),
        (&mut sum.net, part.net),
        (&mut sum.client_fee_earned, part.client_fee_earned),
        (&mut sum.initiation_fee_earned, part.initiation_fee_earned),
        (&mut sum.client_tax, part.client_tax),
    ];
    for (sum, part) in pairs {
        *sum = sum.saturating_add(part);
    }
}
