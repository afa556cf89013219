//! Client wallet: what a party can pay with, in one currency.
//!
//! ```text
//! top-up, credit (failed refund, surplus, redirected refund) ─▶ balance ─PayEscrow─▶ held in an escrow
//!                                                                  ├────Withdraw───▶ a refund by hand
//!                                                                  └─ a bank takes a top-up back, or a payment that was
//!                                                                     refunded, too
//! ```
//!
//! # Invariants
//! - The balance is never negative: a payment or a withdrawal is at most what is there.
//! - Surplus commutes with every decision here: it only ever adds. So it is appended without looking. Money of a refund is
//!   looked at: a bank may have taken its payment (`refunded.rs`).
//! - What has an id of its own is done once.
//! - While a bank contests a top-up, as much as it has taken cannot be spent, as far as that much is there. The hold is a
//!   target: what is credited meanwhile falls under it, too.
//! - What a bank takes back for good comes out of the balance as far as it is there. A debit that is returned leaves the
//!   rest as the client's debt (1220, J59), as for money that an escrow has released; a chargeback that is lost leaves it
//!   as the platform's loss (5200, J55), as for every payment that no escrow holds.
//!
//! # What is deliberately absent
//! The payment that tops it up: [`crate::funding`] with the purpose `top_up`. Withdrawal to the card of a top-up. Setting a
//! debt off against later credits: finance does that.

mod decide;
mod event;
pub mod posting_rules;
mod refunded;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

pub use event::{CreditCause, WalletEvent};

use crate::escrow::{Allocation, Deposit, FeeTax, PspPlace};
use crate::id::{ChargebackId, ContractId, EventId, FundingId, PartyId, RefundId};
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "wallet";

/// Which wallet: a party in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct WalletId {
    /// The party.
    pub party_id: PartyId,
    /// The currency.
    pub currency: Currency,
}

impl std::fmt::Display for WalletId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.party_id, self.currency)
    }
}

impl std::str::FromStr for WalletId {
    type Err = crate::id::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = crate::id::IdError { prefix: PartyId::PREFIX };
        let (party, currency) = text.split_once('-').ok_or(error.clone())?;
        Ok(Self { party_id: party.parse()?, currency: currency.parse().map_err(|_| error)? })
    }
}

impl From<WalletId> for String {
    fn from(id: WalletId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for WalletId {
    type Error = crate::id::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The stream of a wallet.
pub fn stream(id: WalletId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of a wallet. There is none that is "not opened": the first credit makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientWallet {
    /// Whose; absent before the first event.
    pub client_id: Option<PartyId>,
    /// What can be paid with, minor units.
    pub balance: Minor,
    /// Top-ups that arrived.
    pub top_ups: BTreeSet<FundingId>,
    /// Fundings that it paid.
    pub paid: BTreeSet<FundingId>,
    /// Withdrawals.
    pub withdrawn: BTreeSet<RefundId>,
    /// Top-ups that a bank took back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub returned: BTreeSet<FundingId>,
    /// What cannot be spent while banks contest top-ups: for each chargeback, how much.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contested: BTreeMap<ChargebackId, Minor>,
    /// What came back here from payments, less what was reclaimed of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunded: BTreeMap<FundingId, Minor>,
    /// The same while banks contest those payments: for each chargeback, how much of what came back is held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contested_refunds: BTreeMap<ChargebackId, ContestedPayment>,
    /// What is taken of the money that comes back of a payment, oldest first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<FundingId, Vec<Claim>>,
}

/// A payment that a bank contests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContestedPayment {
    /// The payment.
    pub funding_id: FundingId,
    /// As much of what came back of it is held, as far as it is there.
    pub amount: Minor,
}

/// What the client had twice of a payment, and what was not here when it was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The chargeback that was lost; absent where the bank returned the payment without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chargeback_id: Option<ChargebackId>,
    /// How much.
    pub amount: Minor,
}

impl ClientWallet {
    /// What can be paid with or taken out now.
    pub fn spendable(&self) -> Minor {
        let mut held_of: BTreeMap<FundingId, Minor> = BTreeMap::new();
        for contested in self.contested_refunds.values() {
            let held = held_of.entry(contested.funding_id).or_default();
            *held = held.saturating_add(contested.amount);
        }
        let refunds = held_of.iter().map(|(id, held)| (*held).min(self.refunded_of(*id)));
        self.contested.values().copied().chain(refunds).fold(self.balance, Minor::saturating_sub)
    }

    /// What came back here from a payment and was not reclaimed.
    pub fn refunded_of(&self, funding_id: FundingId) -> Minor {
        self.refunded.get(&funding_id).copied().unwrap_or_default()
    }

    /// What is claimed of a payment for a chargeback, or for its return.
    pub(crate) fn claimed(&self, funding_id: FundingId, chargeback_id: Option<ChargebackId>) -> Minor {
        let mut claims = self.claims.get(&funding_id).into_iter().flatten();
        claims.find(|claim| claim.chargeback_id == chargeback_id).map_or(Minor::ZERO, |claim| claim.amount)
    }

    fn reclaim(&mut self, funding_id: FundingId, amount: Minor) {
        self.balance = self.balance.saturating_sub(amount);
        if let Some(refunded) = self.refunded.get_mut(&funding_id) {
            *refunded = refunded.saturating_sub(amount);
        }
        self.refunded.retain(|_, refunded| !refunded.is_zero());
    }

    fn set_claim(&mut self, funding_id: FundingId, claim: Claim) {
        let claims = self.claims.entry(funding_id).or_default();
        match claims.iter_mut().find(|known| known.chargeback_id == claim.chargeback_id) {
            Some(known) => *known = claim,
            None => claims.push(claim),
        }
        claims.retain(|claim| !claim.amount.is_zero());
        self.claims.retain(|_, claims| !claims.is_empty());
    }
}

/// A request about a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalletCommand {
    /// A top-up arrived. A fact: never refused.
    RecordTopUp {
        /// Whose.
        client_id: PartyId,
        /// The payment that it came with.
        funding_id: FundingId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        place: PspPlace,
    },
    /// A bank took a top-up back without a dispute. A fact: never refused.
    RecordReturn {
        /// Whose.
        client_id: PartyId,
        /// The payment that was returned.
        funding_id: FundingId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// From where it was taken.
        place: PspPlace,
    },
    /// A bank contests a top-up, or does not any more. Never refused.
    HoldForChargeback {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// How much is to be held for it now.
        amount: Minor,
    },
    /// A bank keeps a top-up. Never refused.
    AbsorbChargeback {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The payment.
        funding_id: FundingId,
        /// How much it keeps.
        amount: Minor,
    },
    /// Money came from a refund. A fact: never refused. What is claimed of that payment is taken at once.
    RecordRefund {
        /// Whose.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Why it is here.
        cause: CreditCause,
        /// The event that it mirrors.
        source_event_id: EventId,
        /// The payment that it is of, where it is of one.
        funding_id: Option<FundingId>,
    },
    /// A bank contests a payment of which money came back here, or does not any more. Never refused.
    HoldRefunds {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The payment.
        funding_id: FundingId,
        /// How much is to be held for it now.
        amount: Minor,
    },
    /// A bank keeps a payment that was refunded, too. Never refused.
    ReclaimRefunds {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The chargeback that was lost; absent where the bank returned the payment without one.
        chargeback_id: Option<ChargebackId>,
        /// The payment.
        funding_id: FundingId,
        /// How much the client has twice.
        amount: Minor,
    },
    /// Pay into an escrow.
    PayEscrow {
        /// Whose.
        client_id: PartyId,
        /// Of which contract.
        contract_id: ContractId,
        /// With which funding.
        funding_id: FundingId,
        /// In which currency.
        currency: Currency,
        /// How much in all: allocations, deposit, fees and tax.
        amount: Minor,
        /// For which milestones.
        allocations: Vec<Allocation>,
        /// For none of them yet.
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        initiation_fee: Minor,
        /// Tax on the fees.
        tax: Option<FeeTax>,
    },
    /// Take money out.
    Withdraw {
        /// Whose.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The refund to be made.
        refund_id: RefundId,
        /// How much.
        amount: Minor,
    },
}

impl Rules for ClientWallet {
    const TYPE: &'static str = TYPE;
    type Command = WalletCommand;
    type Event = WalletEvent;

    fn decide(&self, command: &WalletCommand, context: &Context) -> Result<Vec<WalletEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &WalletEvent) {
        use WalletEvent as E;
        match event {
            E::ToppedUp { client_id, funding_id, amount, .. } => {
                self.client_id = Some(*client_id);
                self.top_ups.insert(*funding_id);
                self.balance = self.balance.saturating_add(*amount);
            }
            E::Credited { client_id, amount, funding_id, .. } => {
                self.client_id = Some(*client_id);
                self.balance = self.balance.saturating_add(*amount);
                if let Some(funding_id) = funding_id {
                    let refunded = self.refunded.entry(*funding_id).or_default();
                    *refunded = refunded.saturating_add(*amount);
                }
            }
            E::TopUpReturned { funding_id, amount, .. } => {
                self.returned.insert(*funding_id);
                self.balance = self.balance.saturating_sub(*amount);
            }
            E::ChargebackHeld { chargeback_id, amount, .. } if amount.is_zero() => {
                self.contested.remove(chargeback_id);
                self.contested_refunds.remove(chargeback_id);
            }
            E::ChargebackHeld { client_id, chargeback_id, amount, funding_id: Some(funding_id), .. } => {
                self.client_id = Some(*client_id);
                let contested = ContestedPayment { funding_id: *funding_id, amount: *amount };
                self.contested_refunds.insert(*chargeback_id, contested);
            }
            E::ChargebackHeld { client_id, chargeback_id, amount, .. } => {
                self.client_id = Some(*client_id);
                self.contested.insert(*chargeback_id, *amount);
            }
            E::ChargebackAbsorbed {
                client_id,
                chargeback_id,
                funding_id,
                amount,
                platform_share,
                of_refunds: true,
                ..
            } => {
                self.client_id = Some(*client_id);
                self.contested_refunds.remove(chargeback_id);
                self.reclaim(*funding_id, *amount);
                let before = self.claimed(*funding_id, Some(*chargeback_id));
                let claim =
                    Claim { chargeback_id: Some(*chargeback_id), amount: before.saturating_add(*platform_share) };
                self.set_claim(*funding_id, claim);
            }
            E::RefundReclaimed { client_id, funding_id, chargeback_id, amount, outstanding, .. } => {
                self.client_id = Some(*client_id);
                self.reclaim(*funding_id, *amount);
                self.set_claim(*funding_id, Claim { chargeback_id: *chargeback_id, amount: *outstanding });
            }
            E::ChargebackAbsorbed { chargeback_id, amount, .. } => {
                self.contested.remove(chargeback_id);
                self.balance = self.balance.saturating_sub(*amount);
            }
            E::PaidEscrow { funding_id, amount, .. } => {
                self.paid.insert(*funding_id);
                self.balance = self.balance.saturating_sub(*amount);
            }
            E::Withdrawn { refund_id, amount, .. } => {
                self.withdrawn.insert(*refund_id);
                self.balance = self.balance.saturating_sub(*amount);
            }
        }
    }

    fn state_name(&self) -> &'static str {
        "open"
    }
}
