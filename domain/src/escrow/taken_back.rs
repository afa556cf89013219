//! What an escrow remembers of money that a bank has taken, or has taken for good.
//!
//! Sums saturate: `decide` has checked them before the event existed.

use ledger::Minor;

use super::holdings::Holdings;
use super::lots;
use super::parts::{Borne, ContestedRefunds, LockedPart, LostPart, Lot};
use crate::id::{ChargebackId, DisputeId, FundingId, RefundId};
use crate::refund::PaymentStanding;

impl Holdings {
    /// A chargeback locks a part, and borrows what a dispute has locked of it.
    pub(super) fn lock(&mut self, chargeback_id: ChargebackId, funding_id: FundingId, part: &LockedPart) {
        let free = part.amount.saturating_sub(part.disputed);
        self.take_from_dispute(funding_id, part.dispute_id, part.disputed);
        let lots = match part.milestone_id {
            Some(id) => {
                let holding = self.milestones.entry(id).or_default();
                holding.held = holding.held.saturating_sub(free);
                holding.disputed = holding.disputed.saturating_add(free);
                &mut holding.lots
            }
            None => &mut self.unallocated,
        };
        lots::each(lots, &[Lot { funding_id, amount: free }], |lot, part| lot.locked = lot.locked.saturating_add(part));
        if let Some(hold) = self.chargebacks.get_mut(&chargeback_id) {
            if let Some(known) = hold.parts.iter_mut().find(|known| known.milestone_id == part.milestone_id) {
                known.amount = known.amount.saturating_add(part.amount);
                known.disputed = known.disputed.saturating_add(part.disputed);
                known.dispute_id = known.dispute_id.or(part.dispute_id);
            } else {
                hold.parts.push(*part);
            }
        }
    }

    /// The other way round.
    pub(super) fn unlock(&mut self, chargeback_id: ChargebackId, funding_id: FundingId, part: &LockedPart) {
        let free = part.amount.saturating_sub(part.disputed);
        if let Some(hold) = part.dispute_id.and_then(|id| self.disputes.get_mut(&id))
            && let Some(lot) = hold.lots.iter_mut().find(|lot| lot.funding_id == funding_id)
        {
            lot.amount = lot.amount.saturating_add(part.disputed);
        }
        let lots = match part.milestone_id {
            Some(id) => {
                let holding = self.milestones.entry(id).or_default();
                holding.held = holding.held.saturating_add(free);
                holding.disputed = holding.disputed.saturating_sub(free);
                &mut holding.lots
            }
            None => &mut self.unallocated,
        };
        lots::each(lots, &[Lot { funding_id, amount: free }], |lot, part| lot.locked = lot.locked.saturating_sub(part));
        if let Some(hold) = self.chargebacks.get_mut(&chargeback_id) {
            for known in hold.parts.iter_mut().filter(|known| known.milestone_id == part.milestone_id) {
                known.amount = known.amount.saturating_sub(part.amount);
                known.disputed = known.disputed.saturating_sub(part.disputed);
                known.dispute_id = known.dispute_id.filter(|_| !known.disputed.is_zero());
            }
            hold.parts.retain(|known| !known.amount.is_zero());
        }
    }

    /// A bank has taken a part for good, of which `locked` was locked. A dispute about nothing is over.
    pub(super) fn lose(&mut self, funding_id: FundingId, part: &LostPart, locked: Minor) {
        let (lots, fees) = match part.milestone_id {
            Some(id) => {
                let holding = self.milestones.entry(id).or_default();
                holding.held = holding.held.saturating_sub(part.amount.saturating_sub(locked));
                holding.disputed = holding.disputed.saturating_sub(locked);
                holding.lost = holding.lost.saturating_add(part.amount);
                (&mut holding.lots, &mut holding.fees)
            }
            None => (&mut self.unallocated, &mut self.unallocated_fees),
        };
        fees.remove(part.amount, part.client_fee);
        let locked = if part.milestone_id.is_none() {
            lots.iter().find(|lot| lot.funding_id == funding_id).map_or(locked, |lot| locked.min(lot.locked))
        } else {
            locked
        };
        lots::each(lots, &[Lot { funding_id, amount: locked }], |lot, part| {
            lot.locked = lot.locked.saturating_sub(part);
        });
        lots::remove(lots, &[Lot { funding_id, amount: part.amount }]);
        self.contract_fees.remove(part.client_fee, Minor::ZERO, Minor::ZERO);
        if let Some(dispute_id) = part.dispute_id
            && self.disputes.get(&dispute_id).is_some_and(|hold| hold.lots.iter().all(|lot| lot.amount.is_zero()))
            && !self.is_lent(dispute_id)
        {
            self.disputes.remove(&dispute_id);
            self.done.disputes.insert(dispute_id);
        }
    }

    /// Whether a chargeback has money that a dispute has locked: it may give it back.
    fn is_lent(&self, dispute_id: DisputeId) -> bool {
        let mut parts = self.chargebacks.values().flat_map(|hold| &hold.parts);
        parts.any(|part| part.dispute_id == Some(dispute_id) && !part.disputed.is_zero())
    }

    pub(super) fn take_from_dispute(&mut self, funding_id: FundingId, dispute_id: Option<DisputeId>, amount: Minor) {
        if let Some(hold) = dispute_id.and_then(|id| self.disputes.get_mut(&id))
            && let Some(lot) = hold.lots.iter_mut().find(|lot| lot.funding_id == funding_id)
        {
            lot.amount = lot.amount.saturating_sub(amount);
        }
    }

    /// The payee keeps what was released, and cannot give it back to that charge any more.
    pub(super) fn bear(&mut self, funding_id: FundingId, borne: &[Borne]) {
        for part in borne {
            let holding = self.milestones.entry(part.milestone_id).or_default();
            holding.borne = holding.borne.saturating_add(part.gross);
            lots::returned(&mut holding.lots, funding_id, part.gross);
        }
    }

    /// The client owes that of a payment.
    pub(super) fn owe(&mut self, funding_id: FundingId, amount: Minor) {
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            funding.owed = funding.owed.saturating_add(amount);
        }
    }

    /// The client owes that much less.
    pub(super) fn settle(&mut self, funding_id: FundingId, amount: Minor) {
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            funding.owed = funding.owed.saturating_sub(amount);
        }
    }

    /// That much of what was refunded cannot be spent while the chargeback lasts.
    pub(super) fn contest(&mut self, chargeback_id: ChargebackId, contested: Option<&ContestedRefunds>) {
        if let (Some(hold), Some(contested)) = (self.chargebacks.get_mut(&chargeback_id), contested) {
            hold.refunds = contested.amount;
        }
    }

    /// A bank keeps that of a payment, and so much of it is claimed from what was refunded.
    pub(super) fn take_for_good(&mut self, funding_id: FundingId, amount: Minor, from_refunds: Minor) {
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            funding.taken = funding.taken.saturating_add(amount);
            funding.reclaimed = funding.reclaimed.saturating_add(from_refunds);
        }
    }

    /// How much the client would have twice of a payment if its bank kept `amount` more of it, as far as it was refunded and
    /// is not claimed already.
    pub(super) fn refunded_twice(&self, funding_id: FundingId, amount: Minor) -> Minor {
        let Some(funding) = self.fundings.get(&funding_id).filter(|_| !amount.is_zero()) else { return Minor::ZERO };
        let out = funding.sent_back.saturating_add(funding.taken).saturating_add(amount);
        out.saturating_sub(funding.paid).min(funding.sent_back).saturating_sub(funding.reclaimed)
    }

    /// The refunds of a payment.
    pub(super) fn refunds_of(&self, funding_id: FundingId) -> Vec<RefundId> {
        self.fundings.get(&funding_id).map(|funding| funding.refunds.clone()).unwrap_or_default()
    }

    /// What stands in the way of giving a refund of that payment to the wallet instead.
    pub(crate) fn standing_of_refunds(&self, funding_id: FundingId) -> PaymentStanding {
        PaymentStanding {
            contested_by: self.chargeback_of(funding_id),
            reclaimed: self.fundings.get(&funding_id).is_some_and(|funding| !funding.reclaimed.is_zero()),
        }
    }

    /// Nothing of that goes back to its card any more.
    pub(super) fn charge_back(&mut self, funding_id: FundingId, amount: Minor) {
        if let Some(funding) = self.fundings.get_mut(&funding_id) {
            let most = funding.paid.saturating_sub(funding.sent_back);
            funding.charged_back = funding.charged_back.saturating_add(amount).min(most);
        }
    }
}
