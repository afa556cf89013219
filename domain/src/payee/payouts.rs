//! What a payee account knows of its payouts: the platform's policy, the schedule, and where at the provider money lies.

use std::collections::BTreeMap;

use ledger::Minor;
use serde::{Deserialize, Serialize};

use super::HoldReason;
use crate::escrow::PLATFORM_ACCOUNT;
use crate::id::{PayoutId, TransferReversalId};
use crate::payout::{PayoutPolicy, PayoutSchedule};
use crate::time::Timestamp;

/// Payouts that are over and remembered, so that one that comes back is known: a bank returns within weeks (B.6: ten
/// business days), and with one payout a day this covers two months.
const REMEMBERED: usize = 64;

/// Money at the payee's account at the provider that belongs to no payout on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderLot {
    /// The payout whose transfer brought it there.
    pub payout_id: PayoutId,
    /// The account.
    pub psp_account: String,
    /// How much.
    pub amount: Minor,
    /// The movement that takes it back to the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_back: Option<TransferReversalId>,
}

/// How a payout was made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The payout.
    pub payout_id: PayoutId,
    /// The account that it goes through.
    pub psp_account: String,
    /// What was transferred for it.
    pub transferred: Minor,
    /// What lay there already.
    #[serde(default)]
    pub drawn: Vec<ProviderLot>,
}

/// When earnings are paid out without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// How often.
    pub schedule: PayoutSchedule,
    /// Not less than this.
    pub minimum: Minor,
    /// The next time; `None` when never.
    pub next_at: Option<Timestamp>,
}

/// What a payee account knows of its payouts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PayoutBook {
    /// What the platform demands.
    pub policy: PayoutPolicy,
    /// What the payee has chosen.
    pub scheduled: Option<Scheduled>,
    /// Money at the provider, oldest first.
    pub lots: Vec<ProviderLot>,
    /// Payouts, oldest first: those on their way and the latest others.
    pub traces: Vec<Trace>,
    /// What of the held earnings is held because of the party's standing.
    pub automatic_holds: BTreeMap<HoldReason, Minor>,
}

impl PayoutBook {
    /// How much lies at that account, and can be paid from there without a transfer.
    pub fn free_at(&self, psp_account: &str) -> Minor {
        sum(self.lots.iter().filter(|lot| lot.psp_account == psp_account && lot.called_back.is_none()))
    }

    /// How much lies where a payout through that account cannot use it: at another account, or on its way back.
    pub fn stranded_for(&self, psp_account: &str) -> Minor {
        sum(self.lots.iter()).saturating_sub(self.free_at(psp_account))
    }

    /// Sets money aside: what is not transferred is drawn from what lies there, oldest first.
    pub(super) fn reserve(&mut self, payout_id: PayoutId, psp_account: &str, amount: Minor, transferred: Minor) {
        let mut drawn = Vec::new();
        let mut rest = if psp_account == PLATFORM_ACCOUNT { Minor::ZERO } else { amount.saturating_sub(transferred) };
        for lot in &mut self.lots {
            if lot.psp_account != psp_account || lot.called_back.is_some() || rest.is_zero() {
                continue;
            }
            let part = lot.amount.min(rest);
            lot.amount = lot.amount.saturating_sub(part);
            rest = rest.saturating_sub(part);
            drawn.push(ProviderLot { amount: part, ..lot.clone() });
        }
        self.lots.retain(|lot| !lot.amount.is_zero());
        self.traces.push(Trace { payout_id, psp_account: psp_account.to_owned(), transferred, drawn });
    }

    /// What a payout left behind lies there again: what it had drawn, and what was transferred for it where it was.
    pub(super) fn give_back(&mut self, payout_id: PayoutId, left: Minor) {
        let Some(trace) = self.traces.iter_mut().find(|trace| trace.payout_id == payout_id) else {
            // Forgotten: older than any that a bank returns in time. It lies where the latest payout went.
            let psp_account = self.traces.last().map(|trace| trace.psp_account.clone()).unwrap_or_default();
            self.put(ProviderLot { payout_id, psp_account, amount: left, called_back: None });
            return;
        };
        let psp_account = trace.psp_account.clone();
        let drawn = std::mem::take(&mut trace.drawn);
        let own = left.saturating_sub(sum(drawn.iter()));
        for lot in drawn {
            self.put(lot);
        }
        self.put(ProviderLot { payout_id, psp_account, amount: own, called_back: None });
    }

    /// Forgets the oldest payouts that are over.
    pub(super) fn forget(&mut self, is_under_way: impl Fn(PayoutId) -> bool) {
        while self.traces.len() > REMEMBERED {
            let Some(oldest) = self.traces.iter().position(|trace| !is_under_way(trace.payout_id)) else { return };
            self.traces.remove(oldest);
        }
    }

    pub(super) fn call_back(&mut self, payout_id: PayoutId, psp_account: &str, id: TransferReversalId) {
        let lots = self.lots.iter_mut().filter(|lot| lot.payout_id == payout_id && lot.psp_account == psp_account);
        lots.for_each(|lot| lot.called_back = Some(id));
    }

    /// It came back, or stays.
    pub(super) fn called_back(&mut self, payout_id: PayoutId, id: TransferReversalId, came: Option<Minor>) {
        let Some(amount) = came else {
            let lots = self.lots.iter_mut().filter(|lot| lot.called_back == Some(id));
            lots.for_each(|lot| lot.called_back = None);
            return;
        };
        let mut rest = amount;
        for lot in &mut self.lots {
            // One that was thought to have failed has no mark any more.
            if lot.called_back == Some(id) || (lot.payout_id == payout_id && lot.called_back.is_none()) {
                let part = lot.amount.min(rest);
                lot.amount = lot.amount.saturating_sub(part);
                rest = rest.saturating_sub(part);
            }
        }
        self.lots.retain(|lot| !lot.amount.is_zero());
    }

    fn put(&mut self, lot: ProviderLot) {
        if lot.amount.is_zero() {
            return;
        }
        let same = self.lots.iter_mut().find(|known| {
            known.payout_id == lot.payout_id && known.psp_account == lot.psp_account && known.called_back.is_none()
        });
        match same {
            Some(known) => known.amount = known.amount.saturating_add(lot.amount),
            None => self.lots.push(lot),
        }
    }
}

fn sum<'a>(lots: impl Iterator<Item = &'a ProviderLot>) -> Minor {
    lots.fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.amount))
}
