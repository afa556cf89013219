//! What an escrow remembers: the money of each milestone, its lots, and what has been done.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor, is_zero};
use serde::{Deserialize, Serialize};

use super::lots::HeldLot;
use super::parts::{Allocation, ChargeRef, Deposit, FeeTax, HoldLimit, LockedPart, Lot, PaidFrom};
use crate::fee::{ContractFees, FeeSchedule, GivenBack, MilestoneFees, ReleaseSplit};
use crate::id::{
    ChargebackId, ContractId, DisputeId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use crate::pair::PairId;
use crate::policy::Policy;
use crate::time::Timestamp;

/// Whether a part of a document says nothing, and is left out.
fn is_default<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

/// What an escrow knows. Amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// The contract.
    pub contract_id: ContractId,
    /// Who pays.
    pub client_id: PartyId,
    /// Who is paid.
    pub payee_id: PartyId,
    /// Currency of everything in it.
    pub currency: Currency,
    /// The fees agreed.
    #[serde(serialize_with = "crate::fee::stored")]
    pub fee_schedule: FeeSchedule,
    /// The periods agreed.
    #[serde(serialize_with = "crate::policy::stored")]
    pub policy: Policy,
    /// Money that is on its way, or was and did not arrive.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requested: BTreeMap<FundingId, RequestedFunding>,
    /// Fundings that arrived.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fundings: BTreeMap<FundingId, PaidFunding>,
    /// Money by milestone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub milestones: BTreeMap<MilestoneId, Holding>,
    /// The lots of money that is for no milestone yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unallocated: Vec<HeldLot>,
    /// Sums of the fees of that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unallocated_fees: MilestoneFees,
    /// Sums of the contract's fees that the client paid on top.
    #[serde(default, skip_serializing_if = "is_default")]
    pub contract_fees: ContractFees,
    /// What the pair had billed with the last release here, where the fees go by it: what is decided in one append counts
    /// before the pair is told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pair_billed: Minor,
    /// What disputes have locked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disputes: BTreeMap<DisputeId, DisputeHold>,
    /// Banks that disagree with a payment, or ask about one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub chargebacks: BTreeMap<ChargebackId, ChargebackHold>,
    /// Whether staff has stopped everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Since when the clocks of the contract stand still for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
    /// When it was closed, if it is and if that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What has been done, so that a repeat changes nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub done: Done,
}

/// What has been done, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Releases.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub releases: BTreeSet<ReleaseId>,
    /// Refunds, of held money and of released money.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refunds: BTreeSet<RefundId>,
    /// Movements between milestones.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reallocations: BTreeSet<ReallocationId>,
    /// Disputes that are over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disputes: BTreeSet<DisputeId>,
    /// Bonuses and tips that were asked for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gratuities: BTreeSet<FundingId>,
    /// Chargebacks that are over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub chargebacks: BTreeSet<ChargebackId>,
}

/// Money that the client was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedFunding {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<Allocation>,
    /// What is for no milestone yet.
    #[serde(default, skip_serializing_if = "Deposit::is_none")]
    pub deposit: Deposit,
    /// The client's fee on top.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee: Minor,
    /// The contract's initiation fee, when it comes with this.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation_fee: Minor,
    /// Tax on the fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<FeeTax>,
    /// What is charged beyond that because the provider cannot charge every amount.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub surplus_to_wallet: Minor,
    /// Whether its attempt runs out if the client does not complete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expires: bool,
}

/// A funding that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidFunding {
    /// Its place in the order of arrival, from 1.
    pub number: u32,
    /// Where the client paid from.
    #[serde(default, skip_serializing_if = "PaidFrom::is_provider")]
    pub paid_from: PaidFrom,
    /// The charge that it was collected by, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<ChargeRef>,
    /// What came, fees and tax included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paid: Minor,
    /// What of that is held, and not fees or tax; zero where it was not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub principal: Minor,
    /// What of that is the initiation fee, with the tax on it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiation: Minor,
    /// What went back to the client of that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent_back: Minor,
    /// What a bank took back for good, as far as it was held or the payee gave it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub charged_back: Minor,
    /// What the client owes of it, because a bank has returned it and it was not held, or locked by a chargeback (1220).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owed: Minor,
    /// What a bank took back for good, whoever bears it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken: Minor,
    /// What of the refunds was claimed for that, because the client would have had it twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reclaimed: Minor,
    /// The refunds of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundId>,
    /// How long the provider lets it lie; `None` when there is no limit, or when it has been dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_limit: Option<HoldLimit>,
}

/// What a dispute has locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeHold {
    /// Of which milestone.
    pub milestone_id: MilestoneId,
    /// Which fundings it is from.
    pub lots: Vec<Lot>,
}

/// What a chargeback is about, and what it has locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargebackHold {
    /// The payment.
    pub funding_id: FundingId,
    /// Whether the bank only asks: nothing is locked and nothing rests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inquiry: bool,
    /// The milestones that it pays for. They rest, unless the bank only asks.
    pub milestones: Vec<MilestoneId>,
    /// What is locked, at most one part per place.
    pub parts: Vec<LockedPart>,
    /// What of the payment's refunds the client cannot spend for now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunds: Minor,
}

/// The money of one milestone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The funding that the milestone waits for or was last funded by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<FundingId>,
    /// Paid in for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub funded: Minor,
    /// Held and releasable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: Minor,
    /// Held and locked by a dispute or chargeback.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disputed: Minor,
    /// Gone to the payee, gross.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub released: Minor,
    /// Gone back to the client.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: Minor,
    /// Taken by a chargeback.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: Minor,
    /// Came from other milestones, or from the deposit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved_in: Minor,
    /// Went to other milestones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved_out: Minor,
    /// The fundings that its money came from, oldest first, also those used up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<HeldLot>,
    /// Sums of its fees.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fees: MilestoneFees,
    /// The client's fee that is earned, by releases and by refunds that keep it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_fee_earned: Minor,
    /// Sums of its releases.
    #[serde(default, skip_serializing_if = "is_default")]
    pub releases: ReleaseSplit,
    /// Sums of what the payee gave back of them, or had to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub given_back: GivenBack,
    /// When the newest of them was made: the time in which the payee can give money back counts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// What a bank took of them at the platform's cost, gross.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub borne: Minor,
}

impl Holding {
    /// What the payee could still give back of what was released, gross.
    pub fn returnable(&self) -> Minor {
        self.released.saturating_sub(self.given_back.gross).saturating_sub(self.borne)
    }

    /// Whether the conservation equation holds, the lots are what is held, and so is the deferred fee.
    pub fn is_conserved(&self) -> bool {
        let here = total([self.held, self.disputed]);
        total([self.funded, self.moved_in])
            == here.saturating_add(total([self.released, self.refunded, self.lost, self.moved_out]))
            && total(self.lots.iter().map(HeldLot::remaining)) == here
            && total(self.lots.iter().map(|lot| lot.locked)) == total([self.disputed])
            && self.lots.iter().all(HeldLot::is_sound)
            && are_sound(&self.fees, here)
            && total([self.given_back.gross, self.borne]) <= total([self.released])
            && self.given_back.payee_fee <= self.fees.payee_fee
            && self.given_back.client_fee <= self.releases.client_fee_earned
    }
}

/// Sums of fees agree with what is here, and nothing is deferred where nothing is here.
fn are_sound(fees: &MilestoneFees, here: i128) -> bool {
    total([fees.rest()]) == here
        && fees.gone <= fees.came
        && fees.client_fee_gone <= fees.client_fee
        && (here != 0 || fees.deferred().is_zero())
        && total([fees.payee_fee, fees.payee_tax, fees.withheld]) <= total([fees.released])
}

fn total(parts: impl IntoIterator<Item = Minor>) -> i128 {
    parts.into_iter().map(|part| i128::from(part.get())).fold(0, i128::saturating_add)
}

impl Holdings {
    /// Whether everything in it adds up: the equation of each milestone, lots, locks, deferred fees, and no charge from
    /// which more went back than had come.
    pub fn is_conserved(&self) -> bool {
        let by_chargebacks = self.chargebacks.values().flat_map(|hold| &hold.parts);
        let by_chargebacks = by_chargebacks.filter(|part| part.milestone_id.is_some()).map(|part| part.amount);
        let locked = self.disputes.values().flat_map(|hold| &hold.lots).map(|lot| lot.amount).chain(by_chargebacks);
        let fees = &self.contract_fees;
        let deferred = self.milestones.values().map(|holding| holding.fees.deferred());
        self.milestones.values().all(Holding::is_conserved)
            && self.unallocated.iter().all(HeldLot::is_sound)
            && are_sound(&self.unallocated_fees, total([self.unallocated_amount()]))
            && total(locked) == total(self.milestones.values().map(|holding| holding.disputed))
            && fees.initiation_fee_gone <= fees.initiation_fee
            && fees.tax_gone <= fees.tax
            && total([fees.client_fees])
                == total(deferred.chain([self.unallocated_fees.deferred(), fees.client_fees_gone]))
            && self
                .fundings
                .values()
                .all(|funding| total([funding.sent_back, funding.charged_back]) <= total([funding.paid]))
    }

    /// What is deposited for no milestone yet.
    pub fn unallocated_amount(&self) -> Minor {
        self.unallocated.iter().fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.remaining()))
    }

    /// The deposit that can go back: neither locked nor of a payment that a bank disagrees with.
    pub(super) fn free_deposit(&self) -> Vec<Lot> {
        let lots = self.unallocated.iter().filter(|lot| self.chargeback_of(lot.funding_id).is_none());
        let lots = lots.map(|lot| Lot { funding_id: lot.funding_id, amount: lot.free() });
        lots.filter(|lot| !lot.amount.is_zero()).collect()
    }

    /// The chargeback that a payment is in; not one in which the bank only asks.
    pub fn chargeback_of(&self, funding_id: FundingId) -> Option<ChargebackId> {
        let open = self.chargebacks.iter().find(|(_, hold)| !hold.inquiry && hold.funding_id == funding_id);
        open.map(|(id, _)| *id)
    }

    /// The chargeback that a payment is in of which the milestone has money.
    pub fn chargeback_on(&self, milestone_id: MilestoneId) -> Option<ChargebackId> {
        let lots = self.milestone(milestone_id).map(|holding| holding.lots.as_slice()).unwrap_or_default();
        let mut here = lots.iter().filter(|lot| !lot.remaining().is_zero());
        here.find_map(|lot| self.chargeback_of(lot.funding_id))
    }

    /// Whether a chargeback has named the milestone, also when money of another payment is all that it has left.
    pub(super) fn rests(&self, milestone_id: MilestoneId) -> bool {
        self.chargebacks.values().any(|hold| !hold.inquiry && hold.milestones.contains(&milestone_id))
    }

    /// The payments asked for, and not arrived, that carry the contract's initiation fee.
    pub(crate) fn initiation_carriers(&self) -> Vec<FundingId> {
        let carriers = self.requested.iter().filter(|(_, requested)| !requested.initiation_fee.is_zero());
        carriers.map(|(funding_id, _)| *funding_id).collect()
    }

    /// The pair whose billing the fees go by; `None` where they do not.
    pub fn pair(&self) -> Option<PairId> {
        let pair = PairId { client_id: self.client_id, payee_id: self.payee_id, currency: self.currency };
        self.fee_schedule.goes_by_billing().then_some(pair)
    }

    /// Where the pair stands, given what it has billed in all its contracts. What was released here before pairs were kept
    /// counts at least.
    pub(super) fn standing(&self, pair_billed: Option<Minor>) -> Minor {
        pair_billed.unwrap_or_default().max(self.pair_billed).max(self.billed())
    }

    /// What was released in this contract, gross.
    pub fn billed(&self) -> Minor {
        self.milestones.values().fold(Minor::ZERO, |sum, holding| sum.saturating_add(holding.released))
    }

    /// Whether nothing is held any more.
    pub fn is_empty(&self) -> bool {
        self.unallocated_amount().is_zero()
            && self.milestones.values().all(|holding| holding.held.is_zero() && holding.disputed.is_zero())
    }

    /// What is still held of a funding, locked or not.
    pub fn remaining_of(&self, funding_id: FundingId) -> Minor {
        let lots = self.milestones.values().flat_map(|holding| &holding.lots).chain(&self.unallocated);
        lots.filter(|lot| lot.funding_id == funding_id)
            .fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.remaining()))
    }

    /// The milestone's money; `None` when nothing was ever asked for it.
    pub fn milestone(&self, milestone_id: MilestoneId) -> Option<&Holding> {
        self.milestones.get(&milestone_id)
    }

    pub(super) fn new(
        parties: (ContractId, PartyId, PartyId),
        currency: Currency,
        fee_schedule: FeeSchedule,
        policy: Policy,
    ) -> Self {
        let (contract_id, client_id, payee_id) = parties;
        Self {
            contract_id,
            client_id,
            payee_id,
            currency,
            fee_schedule,
            policy,
            requested: BTreeMap::new(),
            fundings: BTreeMap::new(),
            milestones: BTreeMap::new(),
            unallocated: Vec::new(),
            unallocated_fees: MilestoneFees::default(),
            contract_fees: ContractFees::default(),
            pair_billed: Minor::ZERO,
            disputes: BTreeMap::new(),
            chargebacks: BTreeMap::new(),
            frozen: false,
            frozen_at: None,
            closed_at: None,
            done: Done::default(),
        }
    }
}
