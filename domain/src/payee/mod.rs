//! Payee account: what a party has earned in one currency, and how much of it can be withdrawn.
//!
//! ```text
//! credit (from a release) ─▶ pending ─clearance─▶ available ─ReservePayout─▶ in transit ─paid─▶ gone
//!                                  │ debt first       ▲ │                        │
//!                                  ▼                  │ Hold ─▶ held ─ReleaseHold─▶ available
//!                             debt paid off           └────── payout failed ─────┘
//! GrantRefund takes what is pending of the contract, then what is available; the rest is debt
//! ChargeLoss (a bank took it) takes the same, then what is held; the rest is debt
//! ```
//!
//! # Invariants
//! - No balance is ever negative; a reservation is at most what is available.
//! - Who owes has nothing available: what becomes available, by clearance, by a payout that comes back or by a hold that is
//!   let go, pays debts off first. So the order in which losses and failures arrive makes no difference.
//! - Credits and the notes about payouts commute with every decision here: they only ever add. So they are appended
//!   without looking, and a popular payee is no bottleneck.
//! - Money that already lies at the payee's account at the provider is not transferred there again.
//!
//! - A payout goes through the gates of the party's standing ([`PayeeCommand::Under`]), which the unit of work looks up.
//! - What lies at an account at the provider that a payout does not go through, or comes back from there, is not paid
//!   twice: it counts as not available until it is back.
//! - A balance that is not a multiple of what the currency pays out leaves a residue, which stays available.
//!
//! # What is deliberately absent
//! The second pair of eyes that writing a debt off needs; penalties. Holding back what is still pending: it is marked
//! ([`PayeeCommand::HoldAtClearance`]), and held when it clears. A rolling reserve: the specification has none, and
//! [`HoldReason::ChargebackReserve`] is for staff.

mod command;
mod decide;
mod event;
mod payouts;
pub mod posting_rules;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use command::PayeeCommand;
pub use event::{CallBackPart, DebtPart, GratuityPaid, HeldBackPart, HoldReason, PayeeEvent, PendingPart};
pub use payouts::{PayoutBook, ProviderLot, Scheduled, Trace};

use crate::command::Command;
use crate::id::{ContractId, FundingId, PartyId, PayoutId, RefundId, ReleaseId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};

/// Name of the aggregate.
pub const TYPE: &str = "payee";

/// Which payee account: a party in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayeeAccountId {
    /// The party.
    pub party_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

impl std::fmt::Display for PayeeAccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.party_id, self.currency)
    }
}

impl std::str::FromStr for PayeeAccountId {
    type Err = crate::id::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = crate::id::IdError { prefix: PartyId::PREFIX };
        let (party, currency) = text.split_once('-').ok_or(error.clone())?;
        Ok(Self { party_id: party.parse()?, currency: currency.parse().map_err(|_| error)? })
    }
}

/// The stream of a payee account.
pub fn stream(id: PayeeAccountId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of a payee account. There is none that is "not opened": the first credit makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeAccount {
    /// Earnings that are not cleared yet, by release.
    pub pending: BTreeMap<ReleaseId, PendingEarning>,
    /// What can be withdrawn.
    pub available: Minor,
    /// Payouts on their way.
    pub in_transit: BTreeMap<PayoutId, Reservation>,
    /// What lies at the payee's account at the provider and belongs to no payout on its way.
    pub at_provider: Minor,
    /// What is held back, by reason.
    #[serde(default)]
    pub held: BTreeMap<HoldReason, Minor>,
    /// Pending earnings that are to be held back when they clear, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hold_at_clearance: BTreeMap<ReleaseId, HoldReason>,
    /// What the payee owes, by what it arose from.
    #[serde(default)]
    pub debts: BTreeMap<String, Minor>,
    /// Refunds that the payee granted, so that a repeat changes nothing.
    #[serde(default)]
    pub granted: BTreeSet<RefundId>,
    /// Bonuses and tips that arrived, by payment.
    #[serde(default)]
    pub gratuities: BTreeSet<FundingId>,
    /// What it knows of its payouts.
    #[serde(default)]
    pub payouts: Box<PayoutBook>,
    /// Whose it is, once it is scheduled.
    #[serde(default)]
    pub owner: Option<OwnedBy>,
}

/// An earning that is not cleared yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEarning {
    /// The contract that it is from.
    pub contract_id: ContractId,
    /// How much.
    pub amount: Minor,
    /// When it clears; `None` once that timer was blocked.
    pub clears_at: Option<Timestamp>,
    /// Whose it is.
    pub account: OwnedBy,
}

/// The owner of an earning, as its credit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedBy {
    /// The party.
    pub payee_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

/// What is set aside for a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// How much is paid out.
    pub amount: Minor,
    /// How much of it has to be moved to the payee's account at the provider first.
    pub transfer_amount: Minor,
}

/// The key of the timer of the schedule.
const SCHEDULE: &str = "payout_schedule";

impl PayeeAccount {
    fn count_at_provider(&mut self) {
        self.at_provider = self.payouts.lots.iter().fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.amount));
    }

    /// Of what is held for the party's standing there is never more than what is held for that reason.
    fn forget_holds(&mut self) {
        self.held.retain(|_, held| !held.is_zero());
        let held = &self.held;
        self.payouts.automatic_holds.retain(|reason, automatic| {
            *automatic = (*automatic).min(held.get(reason).copied().unwrap_or_default());
            !automatic.is_zero()
        });
    }

    fn forget_payouts(&mut self) {
        let in_transit = &self.in_transit;
        self.payouts.forget(|payout_id| in_transit.contains_key(&payout_id));
    }

    /// Sum of what the payee owes.
    pub fn debt_total(&self) -> Minor {
        self.debts.values().fold(Minor::ZERO, |sum, debt| sum.saturating_add(*debt))
    }

    /// Sum of what is held back.
    pub fn held_total(&self) -> Minor {
        self.held.values().fold(Minor::ZERO, |sum, held| sum.saturating_add(*held))
    }

    /// Sum of the earnings that are not cleared yet.
    pub fn pending_total(&self) -> Minor {
        self.pending.values().fold(Minor::ZERO, |sum, earning| sum.saturating_add(earning.amount))
    }
}

impl Rules for PayeeAccount {
    const TYPE: &'static str = TYPE;
    type Command = PayeeCommand;
    type Event = PayeeEvent;

    fn decide(&self, command: &PayeeCommand, context: &Context) -> Result<Vec<PayeeEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &PayeeEvent) {
        use PayeeEvent as E;
        match event {
            E::EarningsCredited { release_id, contract_id, payee_id, amount, currency, clears_at, .. } => {
                let account = OwnedBy { payee_id: *payee_id, currency: *currency };
                let earning =
                    PendingEarning { contract_id: *contract_id, amount: *amount, clears_at: Some(*clears_at), account };
                self.pending.insert(*release_id, earning);
            }
            E::EarningsCleared { release_id, amount, debt_recovered, .. } => {
                self.pending.remove(release_id);
                self.hold_at_clearance.remove(release_id);
                let recovered = debt_recovered.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                self.available = self.available.saturating_add(amount.saturating_sub(recovered));
            }
            E::EarningsHeld { amount, reason, automatic, .. } => {
                self.available = self.available.saturating_sub(*amount);
                let held = self.held.entry(*reason).or_default();
                *held = held.saturating_add(*amount);
                if *automatic {
                    let held = self.payouts.automatic_holds.entry(*reason).or_default();
                    *held = held.saturating_add(*amount);
                }
            }
            E::EarningsHoldReleased { amount, reason, .. } => {
                self.available = self.available.saturating_add(*amount);
                let held = self.held.entry(*reason).or_default();
                *held = held.saturating_sub(*amount);
                // What staff lets go of is first what staff has held.
                self.forget_holds();
            }
            E::PayeeRefundGranted { refund_id, from_pending, from_available, .. } => {
                self.granted.insert(*refund_id);
                for part in from_pending {
                    if let Some(earning) = self.pending.get_mut(&part.release_id) {
                        earning.amount = earning.amount.saturating_sub(part.amount);
                    }
                }
                self.available = self.available.saturating_sub(*from_available);
            }
            E::ChargebackLossCharged { from_pending, from_available, from_held, .. } => {
                for part in from_pending {
                    if let Some(earning) = self.pending.get_mut(&part.release_id) {
                        earning.amount = earning.amount.saturating_sub(part.amount);
                    }
                }
                self.available = self.available.saturating_sub(*from_available);
                for part in from_held {
                    let held = self.held.entry(part.reason).or_default();
                    *held = held.saturating_sub(part.amount);
                }
                self.forget_holds();
            }
            E::ClearanceHoldPlaced { releases, reason, .. } => {
                self.hold_at_clearance.extend(releases.iter().map(|release_id| (*release_id, *reason)));
            }
            E::DebtRecorded { cause, amount, .. } => {
                let debt = self.debts.entry(cause.clone()).or_default();
                *debt = debt.saturating_add(*amount);
            }
            E::DebtRecovered { cause, amount, .. } | E::DebtWrittenOff { cause, amount, .. } => {
                if let E::DebtRecovered { from_available: true, .. } = event {
                    self.available = self.available.saturating_sub(*amount);
                }
                if let Some(debt) = self.debts.get_mut(cause) {
                    *debt = debt.saturating_sub(*amount);
                }
                self.debts.retain(|_, debt| !debt.is_zero());
            }
            E::BonusPaid { paid } | E::TipPaid { paid } => {
                let earning = PendingEarning {
                    contract_id: paid.contract_id,
                    amount: paid.gratuity.net,
                    clears_at: Some(paid.clears_at),
                    account: OwnedBy { payee_id: paid.payee_id, currency: paid.currency },
                };
                self.pending.insert(paid.release_id, earning);
                self.gratuities.insert(paid.funding_id);
            }
            E::PayoutReserved { payout_id, amount, transfer_amount, place, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.payouts.reserve(*payout_id, &place.psp_account, *amount, *transfer_amount);
                self.count_at_provider();
                let reservation = Reservation { amount: *amount, transfer_amount: *transfer_amount };
                self.in_transit.insert(*payout_id, reservation);
            }
            E::PayoutPaidNoted { payout_id, .. } => {
                self.in_transit.remove(payout_id);
                self.forget_payouts();
            }
            E::PayoutFailedNoted { payout_id, amount, left_at_provider, .. } => {
                self.in_transit.remove(payout_id);
                self.available = self.available.saturating_add(*amount);
                self.payouts.give_back(*payout_id, *left_at_provider);
                self.count_at_provider();
                self.forget_payouts();
            }
            E::LateTransferNoted { payout_id, amount, .. } => {
                self.payouts.give_back(*payout_id, *amount);
                self.count_at_provider();
            }
            E::PayoutReservationReleased { payout_id, amount, .. } => {
                let reserved = self.in_transit.remove(payout_id);
                self.available = self.available.saturating_add(*amount);
                let transferred = reserved.map_or(*amount, |reserved| reserved.transfer_amount);
                self.payouts.give_back(*payout_id, amount.saturating_sub(transferred));
                self.count_at_provider();
                self.forget_payouts();
            }
            E::PayoutScheduleChanged { payee_id, currency, schedule, minimum, next_at } => {
                self.owner = Some(OwnedBy { payee_id: *payee_id, currency: *currency });
                let scheduled = Scheduled { schedule: *schedule, minimum: *minimum, next_at: *next_at };
                self.payouts.scheduled = Some(scheduled);
            }
            E::PayoutScheduleReached { next_at, .. } => {
                if let Some(scheduled) = &mut self.payouts.scheduled {
                    scheduled.next_at = *next_at;
                }
            }
            E::PayoutPolicySet { policy, .. } => self.payouts.policy = *policy,
            E::CallBackRequested { psp_account, parts, .. } => {
                for part in parts {
                    self.payouts.call_back(part.payout_id, psp_account, part.reversal_id);
                }
            }
            E::TransferReversedNoted { payout_id, reversal_id, amount, .. } => {
                self.payouts.called_back(*payout_id, *reversal_id, Some(*amount));
                self.count_at_provider();
            }
            E::TransferReversalFailedNoted { payout_id, reversal_id, .. } => {
                self.payouts.called_back(*payout_id, *reversal_id, None);
            }
            E::TimerBlocked { key, .. } if key == SCHEDULE => {
                if let Some(scheduled) = &mut self.payouts.scheduled {
                    scheduled.next_at = None;
                }
            }
            E::TimerBlocked { key, .. } => {
                if let Some(earning) = key.parse().ok().and_then(|release: ReleaseId| self.pending.get_mut(&release)) {
                    earning.clears_at = None;
                }
            }
        }
    }

    /// The earnings that wait for their security period, and the schedule.
    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        let waiting = self.pending.iter().filter_map(|(release_id, earning)| {
            let id = PayeeAccountId { party_id: earning.account.payee_id, currency: earning.account.currency };
            Some(Timer {
                due_at: earning.clears_at?,
                rank: Rank::Clearance,
                stream: stream.clone(),
                key: release_id.to_string(),
                command: Command::Payee(id, PayeeCommand::Clear { release_id: *release_id }),
            })
        });
        let scheduled = self.payouts.scheduled.and_then(|scheduled| {
            let OwnedBy { payee_id, currency } = self.owner?;
            let id = PayeeAccountId { party_id: payee_id, currency };
            Some(Timer {
                due_at: scheduled.next_at?,
                rank: Rank::ScheduledPayout,
                stream: stream.clone(),
                key: SCHEDULE.to_owned(),
                command: Command::Payee(id, PayeeCommand::PayBySchedule { payee_id, currency }),
            })
        });
        waiting.chain(scheduled).collect()
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}
