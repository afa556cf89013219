//! Lots: the shares of fundings that held money consists of.
//!
//! # Invariants
//! - Releases take the oldest lots first, refunds and holds the newest.
//! - What is taken of a lot is never more than is there and not locked.

use ledger::{Minor, is_zero};
use serde::{Deserialize, Serialize};

use super::parts::Lot;
use crate::id::FundingId;
use crate::refusal::Refusal;

/// What is left of one funding in one place, and what has become of the rest. Minor units of the escrow's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLot {
    /// Which funding.
    pub funding_id: FundingId,
    /// What came in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub amount: Minor,
    /// What has left: released, refunded, lost or moved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gone: Minor,
    /// What is still here and locked by a dispute.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub locked: Minor,
    /// What of the money was released to the payee.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub released: Minor,
    /// What the payee gave back of that later.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returned: Minor,
}

impl HeldLot {
    fn new(funding_id: FundingId) -> Self {
        let zero = Minor::ZERO;
        Self { funding_id, amount: zero, gone: zero, locked: zero, released: zero, returned: zero }
    }

    /// What is still here, locked or not.
    pub fn remaining(&self) -> Minor {
        self.amount.saturating_sub(self.gone)
    }

    /// What is here and not locked.
    pub fn free(&self) -> Minor {
        self.remaining().saturating_sub(self.locked)
    }

    /// What the payee could still give back.
    pub fn returnable(&self) -> Minor {
        self.released.saturating_sub(self.returned)
    }

    /// No term is more than what it is a part of.
    pub fn is_sound(&self) -> bool {
        self.gone <= self.amount
            && self.locked <= self.remaining()
            && self.released <= self.gone
            && self.returned <= self.released
    }
}

/// The parts of the lots, not locked, that make up `amount`, oldest first.
pub(super) fn oldest(lots: &[HeldLot], amount: Minor) -> Result<Vec<Lot>, Refusal> {
    pick(lots.iter(), amount, HeldLot::free)
}

/// The parts of the lots, not locked, that make up `amount`, newest first.
pub(super) fn newest(lots: &[HeldLot], amount: Minor) -> Result<Vec<Lot>, Refusal> {
    pick(lots.iter().rev(), amount, HeldLot::free)
}

/// The parts of what was released that make up `amount` given back, newest first.
pub(super) fn given_back(lots: &[HeldLot], amount: Minor) -> Result<Vec<Lot>, Refusal> {
    pick(lots.iter().rev(), amount, HeldLot::returnable)
}

fn pick<'a>(
    lots: impl Iterator<Item = &'a HeldLot>,
    amount: Minor,
    usable: fn(&HeldLot) -> Minor,
) -> Result<Vec<Lot>, Refusal> {
    let mut rest = amount;
    let mut used = Vec::new();
    for lot in lots {
        let part = usable(lot).min(rest);
        if !part.is_zero() {
            used.push(Lot { funding_id: lot.funding_id, amount: part });
            rest = rest.checked_sub(part)?;
        }
    }
    if rest.is_zero() { Ok(used) } else { Err(Refusal::Defect("the lots are less than what is held".to_owned())) }
}

/// Puts a part of a funding in, beside what is there of it; `number` gives a funding's place in the order of arrival.
pub(super) fn put(lots: &mut Vec<HeldLot>, part: &Lot, number: impl Fn(FundingId) -> u32) {
    let place = lots.iter().position(|lot| lot.funding_id == part.funding_id).unwrap_or_else(|| {
        let mine = number(part.funding_id);
        let place = lots.iter().position(|lot| number(lot.funding_id) > mine).unwrap_or(lots.len());
        lots.insert(place, HeldLot::new(part.funding_id));
        place
    });
    if let Some(lot) = lots.get_mut(place) {
        lot.amount = lot.amount.saturating_add(part.amount);
    }
}

/// Lets parts leave.
pub(super) fn remove(lots: &mut [HeldLot], parts: &[Lot]) {
    each(lots, parts, |lot, part| lot.gone = lot.gone.saturating_add(part));
}

/// What was released of a funding cannot be given back any more.
pub(super) fn returned(lots: &mut [HeldLot], funding_id: FundingId, amount: Minor) {
    each(lots, &[Lot { funding_id, amount }], |lot, part| lot.returned = lot.returned.saturating_add(part));
}

/// Does something with the lot of each part.
pub(super) fn each(lots: &mut [HeldLot], parts: &[Lot], mut change: impl FnMut(&mut HeldLot, Minor)) {
    for part in parts {
        if let Some(lot) = lots.iter_mut().find(|lot| lot.funding_id == part.funding_id) {
            change(lot, part.amount);
        }
    }
}
