//! What an escrow remembers: the money of each milestone, its lots, and what has been done.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::lots::HeldLot;
use super::parts::{Allocation, ChargeRef, Deposit, FeeTax, HoldLimit, Lot, PaidFrom};
use crate::fee::{ContractFees, FeeSchedule, GivenBack, MilestoneFees, ReleaseSplit};
use crate::id::{ContractId, DisputeId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId};
use crate::policy::Policy;
use crate::time::Timestamp;

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
    pub fee_schedule: FeeSchedule,
    /// The periods agreed.
    pub policy: Policy,
    /// Money that is on its way, or was and did not arrive.
    pub requested: BTreeMap<FundingId, RequestedFunding>,
    /// Fundings that arrived.
    #[serde(default)]
    pub fundings: BTreeMap<FundingId, PaidFunding>,
    /// Money by milestone.
    pub milestones: BTreeMap<MilestoneId, Holding>,
    /// The lots of money that is for no milestone yet.
    #[serde(default)]
    pub unallocated: Vec<HeldLot>,
    /// Sums of the fees of that.
    #[serde(default)]
    pub unallocated_fees: MilestoneFees,
    /// Sums of the contract's fees that the client paid on top.
    #[serde(default)]
    pub contract_fees: ContractFees,
    /// What disputes have locked.
    #[serde(default)]
    pub disputes: BTreeMap<DisputeId, DisputeHold>,
    /// Whether staff has stopped everything.
    #[serde(default)]
    pub frozen: bool,
    /// When it was closed, if it is and if that was kept.
    #[serde(default)]
    pub closed_at: Option<Timestamp>,
    /// What has been done, so that a repeat changes nothing.
    #[serde(default)]
    pub done: Done,
}

/// What has been done, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Releases.
    pub releases: BTreeSet<ReleaseId>,
    /// Refunds, of held money and of released money.
    pub refunds: BTreeSet<RefundId>,
    /// Movements between milestones.
    pub reallocations: BTreeSet<ReallocationId>,
    /// Disputes that are over.
    pub disputes: BTreeSet<DisputeId>,
    /// Bonuses and tips that were asked for.
    #[serde(default)]
    pub gratuities: BTreeSet<FundingId>,
}

/// Money that the client was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedFunding {
    /// What it is for.
    pub allocations: Vec<Allocation>,
    /// What is for no milestone yet.
    #[serde(default)]
    pub deposit: Deposit,
    /// The client's fee on top.
    pub client_fee: Minor,
    /// The contract's initiation fee, when it comes with this.
    #[serde(default)]
    pub initiation_fee: Minor,
    /// Tax on the fees.
    #[serde(default)]
    pub tax: Option<FeeTax>,
    /// What is charged beyond that because the provider cannot charge every amount.
    pub surplus_to_wallet: Minor,
    /// Whether its attempt runs out if the client does not complete it.
    #[serde(default)]
    pub expires: bool,
}

/// A funding that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidFunding {
    /// Its place in the order of arrival, from 1.
    pub number: u32,
    /// Where the client paid from.
    pub paid_from: PaidFrom,
    /// The charge that it was collected by, if known.
    pub charge: Option<ChargeRef>,
    /// What came, fees and tax included.
    pub paid: Minor,
    /// What went back to the client of that.
    pub sent_back: Minor,
    /// How long the provider lets it lie; `None` when there is no limit, or when it has been dealt with.
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

/// The money of one milestone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The funding that the milestone waits for or was last funded by.
    pub awaited: Option<FundingId>,
    /// Paid in for it.
    pub funded: Minor,
    /// Held and releasable.
    pub held: Minor,
    /// Held and locked by a dispute or chargeback.
    pub disputed: Minor,
    /// Gone to the payee, gross.
    pub released: Minor,
    /// Gone back to the client.
    pub refunded: Minor,
    /// Taken by a chargeback.
    pub lost: Minor,
    /// Came from other milestones, or from the deposit.
    pub moved_in: Minor,
    /// Went to other milestones.
    pub moved_out: Minor,
    /// The fundings that its money came from, oldest first, also those used up.
    pub lots: Vec<HeldLot>,
    /// Sums of its fees.
    pub fees: MilestoneFees,
    /// The client's fee that is earned, by releases and by refunds that keep it.
    pub client_fee_earned: Minor,
    /// Sums of its releases.
    pub releases: ReleaseSplit,
    /// Sums of what the payee gave back of them.
    pub given_back: GivenBack,
}

impl Holding {
    /// Whether the conservation equation holds, the lots are what is held, and so is the deferred fee.
    pub fn is_conserved(&self) -> bool {
        let here = total([self.held, self.disputed]);
        total([self.funded, self.moved_in])
            == here.saturating_add(total([self.released, self.refunded, self.lost, self.moved_out]))
            && total(self.lots.iter().map(HeldLot::remaining)) == here
            && total(self.lots.iter().map(|lot| lot.locked)) == total([self.disputed])
            && self.lots.iter().all(HeldLot::is_sound)
            && are_sound(&self.fees, here)
            && self.given_back.gross <= self.released
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
        let locked = self.disputes.values().flat_map(|hold| &hold.lots).map(|lot| lot.amount);
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
            && self.fundings.values().all(|funding| funding.sent_back <= funding.paid)
    }

    /// What is deposited for no milestone yet.
    pub fn unallocated_amount(&self) -> Minor {
        self.unallocated.iter().fold(Minor::ZERO, |sum, lot| sum.saturating_add(lot.remaining()))
    }

    /// What was released in this contract, gross: what fees with tiers go by.
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
            disputes: BTreeMap::new(),
            frozen: false,
            closed_at: None,
            done: Done::default(),
        }
    }
}
