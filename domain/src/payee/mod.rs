//! Payee account: what a party has earned in one currency, and how much of it can be withdrawn.
//!
//! ```text
//! credit (from a release) ─▶ pending ─clearance─▶ available ─ReservePayout─▶ in transit ─paid─▶ gone
//!                                  │ debt first       ▲ │                        │
//!                                  ▼                  │ Hold ─▶ held ─ReleaseHold─▶ available
//!                             debt paid off           └────── payout failed ─────┘
//! GrantRefund takes what is pending of the contract, then what is available; the rest is debt
//! ```
//!
//! # Invariants
//! - No balance is ever negative; a reservation is at most what is available.
//! - Credits and the notes about payouts commute with every decision here: they only ever add. So they are appended
//!   without looking, and a popular payee is no bottleneck.
//! - Money that already lies at the payee's account at the provider is not transferred there again.
//!
//! # What is deliberately absent
//! Writing debt off, chargebacks, penalties, destinations and payout schedules. Holding back what is still pending: it is
//! held when it clears.

mod decide;
mod event;
pub mod posting_rules;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{DebtPart, GratuityPaid, HoldReason, PayeeEvent, PendingPart};

use crate::command::Command;
use crate::escrow::{Gratuity, PspPlace, RefundPart};
use crate::fee::TaxLine;
use crate::id::{ContractId, FundingId, PartyId, PayoutId, RefundId, ReleaseId};
use crate::log::StreamId;
use crate::party::PayoutAccount;
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
    /// What the payee owes, by what it arose from.
    #[serde(default)]
    pub debts: BTreeMap<String, Minor>,
    /// Refunds that the payee granted, so that a repeat changes nothing.
    #[serde(default)]
    pub granted: BTreeSet<RefundId>,
    /// Bonuses and tips that arrived, by payment.
    #[serde(default)]
    pub gratuities: BTreeSet<FundingId>,
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

/// A request about a payee account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayeeCommand {
    /// An earning's security period is over.
    Clear {
        /// Which.
        release_id: ReleaseId,
    },
    /// Set money aside for a payout.
    ReservePayout {
        /// Whose money.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The payout to be made.
        payout_id: PayoutId,
        /// How much.
        amount: Minor,
        /// Where it goes.
        account: PayoutAccount,
    },
    /// Hold available money back. Staff, or the engine itself.
    Hold {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all that is available when absent.
        amount: Option<Minor>,
        /// Why.
        reason: HoldReason,
    },
    /// Let go what was held back. Staff, or the engine itself.
    ReleaseHold {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all that is held for that reason when absent.
        amount: Option<Minor>,
        /// Why it was held.
        reason: HoldReason,
    },
    /// Give released money back to the client. The escrow has judged it.
    GrantRefund {
        /// Which refund; its first part has the same id.
        refund_id: RefundId,
        /// Whose money.
        payee_id: PartyId,
        /// The contract.
        contract_id: ContractId,
        /// Who gets it.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The payee's fee that the platform returns.
        payee_fee: Minor,
        /// The client's fee that the platform returns.
        client_fee: Minor,
        /// Tax on the payee's fee that is returned.
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fee that is returned.
        client_tax: Option<TaxLine>,
        /// What the payee gives of it.
        from_payee: Minor,
        /// What goes back by which way.
        parts: Vec<RefundPart>,
    },
    /// A bonus or a tip arrived. A fact: never refused.
    RecordGratuity {
        /// Whose.
        payee_id: PartyId,
        /// Who paid.
        client_id: PartyId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// In which currency.
        currency: Currency,
        /// How much, and what becomes of it.
        gratuity: Gratuity,
        /// Where the money lies.
        place: PspPlace,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer: the id of the release.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl PayeeAccount {
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
                let recovered = debt_recovered.iter().fold(Minor::ZERO, |sum, part| sum.saturating_add(part.amount));
                self.available = self.available.saturating_add(amount.saturating_sub(recovered));
            }
            E::EarningsHeld { amount, reason, .. } => {
                self.available = self.available.saturating_sub(*amount);
                let held = self.held.entry(*reason).or_default();
                *held = held.saturating_add(*amount);
            }
            E::EarningsHoldReleased { amount, reason, .. } => {
                self.available = self.available.saturating_add(*amount);
                let held = self.held.entry(*reason).or_default();
                *held = held.saturating_sub(*amount);
                self.held.retain(|_, held| !held.is_zero());
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
            E::DebtRecorded { cause, amount, .. } => {
                let debt = self.debts.entry(cause.clone()).or_default();
                *debt = debt.saturating_add(*amount);
            }
            E::DebtRecovered { cause, amount, .. } => {
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
            E::PayoutReserved { payout_id, amount, transfer_amount, .. } => {
                self.available = self.available.saturating_sub(*amount);
                self.at_provider = self.at_provider.saturating_sub(amount.saturating_sub(*transfer_amount));
                let reservation = Reservation { amount: *amount, transfer_amount: *transfer_amount };
                self.in_transit.insert(*payout_id, reservation);
            }
            E::PayoutPaidNoted { payout_id, .. } => {
                self.in_transit.remove(payout_id);
            }
            E::PayoutFailedNoted { payout_id, amount, left_at_provider, .. } => {
                self.in_transit.remove(payout_id);
                self.available = self.available.saturating_add(*amount);
                self.at_provider = self.at_provider.saturating_add(*left_at_provider);
            }
            E::TimerBlocked { key, .. } => {
                if let Some(earning) = key.parse().ok().and_then(|release: ReleaseId| self.pending.get_mut(&release)) {
                    earning.clears_at = None;
                }
            }
        }
    }

    /// The earnings that wait for their security period.
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
        waiting.collect()
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}
