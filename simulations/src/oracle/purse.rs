//! Held money of one milestone, or of none yet: where it came from, what left, and the fee that goes along.
//!
//! # Invariants
//! - Releases and moves take the money that came first, refunds and locks the money that came last.
//! - With an amount that leaves goes its share of the client's fee; all shares together are the whole.

use std::collections::BTreeMap;

use super::fees::rounded;

/// What is left of one payment. Ordered by arrival.
#[derive(Debug, Default, Clone)]
struct Lot {
    here: i128,
    locked: i128,
    released: i128,
    returned: i128,
}

/// Which end of the lots is taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    Oldest,
    Newest,
}

/// Parts of payments, in the order in which they are taken.
pub(super) type Parts = Vec<(String, i128)>;

/// Sums and lots.
#[derive(Debug, Default)]
pub(super) struct Purse {
    pub(super) came: i128,
    pub(super) gone: i128,
    pub(super) fee: i128,
    pub(super) fee_gone: i128,
    lots: BTreeMap<(u64, String), Lot>,
}

impl Purse {
    /// What is here, locked or not.
    pub(super) fn here(&self) -> i128 {
        self.came - self.gone
    }

    /// What is here and not locked.
    pub(super) fn free(&self) -> i128 {
        self.here() - self.locked()
    }

    pub(super) fn locked(&self) -> i128 {
        self.lots.values().map(|lot| lot.locked).sum()
    }

    pub(super) fn deferred(&self) -> i128 {
        self.fee - self.fee_gone
    }

    /// Money of a payment comes in, with its fee; `number` is the payment's place in the order of arrival.
    pub(super) fn put(&mut self, number: u64, funding: &str, amount: i128) {
        self.came += amount;
        self.lots.entry((number, funding.to_owned())).or_default().here += amount;
    }

    /// The fee that leaves with so much.
    pub(super) fn fee_of(&self, amount: i128) -> i128 {
        if self.came == 0 {
            return 0;
        }
        (rounded(self.fee * (self.gone + amount), self.came) - self.fee_gone).max(0)
    }

    /// Whose money it would be.
    pub(super) fn pick(&self, first: First, amount: i128) -> Parts {
        self.parts(first, amount, |_, lot| lot.here - lot.locked)
    }

    /// Whose money it would be if money of these payments stays.
    pub(super) fn pick_of_others(&self, first: First, amount: i128, stays: impl Fn(&str) -> bool) -> Parts {
        self.parts(first, amount, |funding, lot| if stays(funding) { 0 } else { lot.here - lot.locked })
    }

    /// What of one payment was released and not given back.
    pub(super) fn released_of(&self, funding: &str) -> i128 {
        self.lots.iter().filter(|((_, of), _)| of == funding).map(|(_, lot)| lot.released - lot.returned).sum()
    }

    /// What is here and not locked, of payments that are not these.
    pub(super) fn free_of_others(&self, stays: impl Fn(&str) -> bool) -> i128 {
        self.lots.iter().filter(|((_, of), _)| !stays(of)).map(|(_, lot)| lot.here - lot.locked).sum()
    }

    /// Whose money it was that is given back.
    pub(super) fn pick_returned(&self, amount: i128) -> Parts {
        self.parts(First::Newest, amount, |_, lot| lot.released - lot.returned)
    }

    /// What of one payment is here and not locked.
    pub(super) fn free_of(&self, funding: &str) -> i128 {
        self.lots.iter().filter(|((_, of), _)| of == funding).map(|(_, lot)| lot.here - lot.locked).sum()
    }

    /// What of one payment is here, locked or not.
    pub(super) fn here_of(&self, funding: &str) -> i128 {
        self.lots.iter().filter(|((_, of), _)| of == funding).map(|(_, lot)| lot.here).sum()
    }

    fn parts(&self, first: First, amount: i128, usable: impl Fn(&str, &Lot) -> i128) -> Parts {
        let mut rest = amount;
        let mut parts = Parts::new();
        let mut lots: Vec<_> = self.lots.iter().collect();
        if first == First::Newest {
            lots.reverse();
        }
        for ((_, funding), lot) in lots {
            let part = usable(funding, lot).min(rest);
            if part > 0 {
                parts.push((funding.clone(), part));
                rest -= part;
            }
        }
        parts
    }

    /// Money leaves, with its fee.
    pub(super) fn take(&mut self, parts: &Parts, fee: i128) {
        self.fee_gone += fee;
        self.gone += parts.iter().map(|(_, amount)| amount).sum::<i128>();
        self.each(parts, |lot, amount| lot.here -= amount);
    }

    pub(super) fn mark_released(&mut self, parts: &Parts) {
        self.each(parts, |lot, amount| lot.released += amount);
    }

    pub(super) fn mark_returned(&mut self, parts: &Parts) {
        self.each(parts, |lot, amount| lot.returned += amount);
    }

    pub(super) fn lock(&mut self, parts: &Parts) {
        self.each(parts, |lot, amount| lot.locked += amount);
    }

    pub(super) fn unlock(&mut self, parts: &Parts) {
        self.each(parts, |lot, amount| lot.locked -= amount);
    }

    fn each(&mut self, parts: &Parts, mut change: impl FnMut(&mut Lot, i128)) {
        for (funding, amount) in parts {
            if let Some((_, lot)) = self.lots.iter_mut().find(|((_, of), _)| of == funding) {
                change(lot, *amount);
            }
        }
    }

    /// Nothing is below zero.
    pub(super) fn is_sound(&self) -> bool {
        self.here() >= 0
            && self.deferred() >= 0
            && (self.here() > 0 || self.deferred() == 0)
            && self.lots.values().map(|lot| lot.here).sum::<i128>() == self.here()
            && self.lots.values().all(|lot| {
                lot.here >= lot.locked && lot.locked >= 0 && lot.released >= lot.returned && lot.returned >= 0
            })
    }
}
