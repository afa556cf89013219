//! Facts about an escrow.

use ledger::{Currency, Minor, is_zero};
use serde::{Deserialize, Serialize};

use super::parts::{
    Allocation, Borne, ChargeRef, Clawback, ContestedRefunds, Deposit, FeeTax, Gratuity, HoldLimit, LockedPart,
    LostPart, Lot, PaidFrom, PspPlace, RefundPart, RefundReason, RejectionReason, ReleaseReason, Withheld,
};
use crate::exchange::Settled;
use crate::fee::{FeeSchedule, TaxLine};
use crate::id::{
    ChargebackId, ContractId, DisputeId, EventId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use crate::policy::{HoldAction, Policy};
use crate::time::Timestamp;

/// A fact about an escrow. Every variant has the contract's id; amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EscrowEvent {
    /// It can take money.
    Opened {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees agreed.
        #[serde(serialize_with = "crate::fee::stored")]
        fee_schedule: FeeSchedule,
        /// The periods agreed.
        #[serde(serialize_with = "crate::policy::stored")]
        policy: Policy,
    },
    /// The client is to pay this.
    FundingRequested {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What it is for.
        allocations: Vec<Allocation>,
        /// The client's fee, sum over the allocations.
        client_fee: Minor,
        /// Allocations and fee.
        amount_due: Minor,
        /// What is charged beyond that, because the provider cannot charge every amount.
        surplus_to_wallet: Minor,
        /// What is charged.
        charge: Minor,
        /// The provider's token of card or account; empty when the client's wallet pays.
        payment_method: String,
        /// What is deposited for no milestone yet.
        #[serde(default, skip_serializing_if = "Deposit::is_none")]
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax on the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// Where the client pays from.
        #[serde(default, skip_serializing_if = "PaidFrom::is_provider")]
        paid_from: PaidFrom,
        /// When the attempt is given up if the client does not complete it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// Money arrived and is held. J01; with a surplus, J92; with a deposit, J07.
    Funded {
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
        client_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What is held, by milestone.
        allocations: Vec<Allocation>,
        /// The client's fee, deferred until release.
        client_fee: Minor,
        /// What goes to the client's wallet.
        surplus_to_wallet: Minor,
        /// Where the money lies.
        #[serde(flatten)]
        place: PspPlace,
        /// What is held for no milestone yet.
        #[serde(default, skip_serializing_if = "Deposit::is_none")]
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax on the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// The charge that it was collected by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<ChargeRef>,
        /// How long the provider lets it lie.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold_limit: Option<HoldLimit>,
        /// What the provider has for it, where it settles in another currency. J70.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Settled>,
    },
    /// The client's wallet paid, and the money is held. Mirror of `wallet.paid_escrow`, which carries the journal.
    WalletFundingNoted {
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
        client_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What is held, by milestone.
        allocations: Vec<Allocation>,
        /// What is held for no milestone yet.
        #[serde(default, skip_serializing_if = "Deposit::is_none")]
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax on the fees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// The event that this mirrors.
        source_event_id: EventId,
    },
    /// Money arrived that cannot be held; its funding books it.
    FundingRejected {
        /// The contract.
        contract_id: ContractId,
        /// The funding.
        funding_id: FundingId,
        /// Why.
        reason: RejectionReason,
    },
    /// Held money became the payee's. J10 to J13, J90, J91.
    Released {
        /// Which release.
        release_id: ReleaseId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// Who is paid.
        payee_id: PartyId,
        /// Who paid.
        client_id: PartyId,
        /// Currency of the amounts.
        currency: Currency,
        /// Why.
        reason: ReleaseReason,
        /// What leaves the escrow.
        gross: Minor,
        /// What the platform keeps of it.
        payee_fee: Minor,
        /// The part of the client's fee that is earned by it.
        client_fee_earned: Minor,
        /// What the payee gets.
        net: Minor,
        /// Which fundings it came from.
        lots: Vec<Lot>,
        /// When the payee can withdraw it.
        clears_at: Timestamp,
        /// Income tax withheld of the gross.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        withheld: Option<Withheld>,
        /// The initiation fee, earned by the first release.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee_earned: Minor,
        /// Tax on the payee's fee.
        #[serde(default, skip_serializing_if = "is_zero")]
        payee_tax: Minor,
        /// Tax on the client's fees that are earned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_tax: Option<FeeTax>,
        /// Tax that becomes payable by it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taxes: Vec<TaxLine>,
        /// What the pair had billed before, gross, where the fees go by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        billed_before: Option<Minor>,
    },
    /// Held money goes back to the client. J30, J33; where the client's fee is kept, J34.
    RefundInitiated {
        /// Which refund; its first part has the same id.
        refund_id: RefundId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone; absent for a deposit for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        milestone_id: Option<MilestoneId>,
        /// Who gets it back.
        client_id: PartyId,
        /// Currency of the amounts.
        currency: Currency,
        /// Why.
        reason: RefundReason,
        /// What leaves the escrow, without the client's fee.
        amount: Minor,
        /// The part of the client's fee that goes back with it.
        client_fee: Minor,
        /// The part of the client's fee that is kept, and earned.
        #[serde(default, skip_serializing_if = "is_zero")]
        client_fee_earned: Minor,
        /// The initiation fee, which goes back when nothing was ever released and nothing is left.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax of the fees that go back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// Tax of the fee that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax_earned: Option<FeeTax>,
        /// Which fundings it came from.
        lots: Vec<Lot>,
        /// What goes back by which way.
        parts: Vec<RefundPart>,
    },
    /// Held money was moved to another milestone. J08 from a deposit, fee included; J09 from a milestone.
    FundsReallocated {
        /// Which movement.
        reallocation_id: ReallocationId,
        /// The contract.
        contract_id: ContractId,
        /// Currency of the amounts.
        currency: Currency,
        /// From which milestone; absent for a deposit for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<MilestoneId>,
        /// To which milestone.
        to: MilestoneId,
        /// How much, without the client's fee.
        amount: Minor,
        /// The deferred client's fee that goes along. Between milestones, `fees_reallocated` books it.
        client_fee: Minor,
        /// Which fundings it came from.
        lots: Vec<Lot>,
        /// Who agreed.
        consent: Vec<PartyId>,
    },
    /// The deferred fee followed money from one milestone to another. J99, beside J09.
    FeesReallocated {
        /// Which movement.
        reallocation_id: ReallocationId,
        /// The contract.
        contract_id: ContractId,
        /// Currency of the amount.
        currency: Currency,
        /// From which milestone.
        from: MilestoneId,
        /// To which milestone.
        to: MilestoneId,
        /// How much.
        amount: Minor,
    },
    /// Held money was locked by a dispute. J40.
    DisputeHoldPlaced {
        /// The dispute.
        dispute_id: DisputeId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// Currency of the amount.
        currency: Currency,
        /// How much.
        amount: Minor,
        /// Which fundings it is from.
        lots: Vec<Lot>,
    },
    /// The dispute was withdrawn: what it had locked is held as before. J41.
    DisputeHoldLifted {
        /// The dispute.
        dispute_id: DisputeId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// Currency of the amount.
        currency: Currency,
        /// How much.
        amount: Minor,
        /// Which fundings it is from.
        lots: Vec<Lot>,
    },
    /// Staff stopped everything: nothing leaves.
    Frozen {
        /// The contract.
        contract_id: ContractId,
        /// Why: a code, such as `court_order`.
        reason: String,
        /// The reference of the order that demands it, opaque.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legal_ref: Option<String>,
        /// When: the clocks of the contract stand still from here on. Absent in events from before they did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frozen_at: Option<Timestamp>,
    },
    /// Money may leave again, and the clocks go on with what was left.
    Unfrozen {
        /// The contract.
        contract_id: ContractId,
        /// Since when they stood still.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frozen_at: Option<Timestamp>,
        /// The milestones that something is held for, in the order of their ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        milestones: Vec<MilestoneId>,
    },
    /// Money of a funding has to be gone soon: the provider does not let it lie longer.
    HoldLimitWarned {
        /// The contract.
        contract_id: ContractId,
        /// Whose money.
        funding_id: FundingId,
        /// How many days are left.
        days_left: u16,
        /// When it has to be gone.
        limit_at: Timestamp,
        /// When something is to be done next: another warning, or the limit itself.
        next_at: Timestamp,
    },
    /// The provider's limit is reached. What is done about it follows in the same commit.
    HoldLimitReached {
        /// The contract.
        contract_id: ContractId,
        /// Whose money.
        funding_id: FundingId,
        /// What is to be done. While the escrow is frozen, an operator decides.
        action: HoldAction,
        /// What is still held of it, locked or not.
        amount: Minor,
        /// The milestones that hold it, in the order of their ids.
        milestones: Vec<MilestoneId>,
    },
    /// The payee gives released money back. The payee account books it; here it is counted against what was released.
    ReleaseReturned {
        /// Which refund; its first part has the same id.
        refund_id: RefundId,
        /// The contract.
        contract_id: ContractId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// Who gives.
        payee_id: PartyId,
        /// Who gets.
        client_id: PartyId,
        /// Currency of the amounts.
        currency: Currency,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The part of the payee's fee that the platform returns.
        payee_fee: Minor,
        /// The part of the client's fee that the platform returns.
        client_fee: Minor,
        /// Tax on the payee's fee that is returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fee that is returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_tax: Option<TaxLine>,
        /// What the payee gives: the gross less fee and tax that are returned.
        from_payee: Minor,
        /// Which fundings it had come from.
        lots: Vec<Lot>,
        /// What goes back by which way.
        parts: Vec<RefundPart>,
    },
    /// The client is to pay the payee a bonus or a tip, which is never held.
    GratuityRequested {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// The funding.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// How much, and what becomes of it.
        #[serde(flatten)]
        gratuity: Gratuity,
        /// What is charged.
        charge: Minor,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// Nothing is held and nothing comes any more.
    Closed {
        /// The contract.
        contract_id: ContractId,
        /// Money that was still on its way, or had failed to come: it is called off.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        called_off: Vec<FundingId>,
        /// When. Absent in events from before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closed_at: Option<Timestamp>,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// The contract.
        contract_id: ContractId,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
    /// A client's bank disagrees with a payment: the milestones that it pays for rest. Or it only asks: they are named.
    ChargeDisputed {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// Whether the bank only asks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inquiry: bool,
        /// The milestones that hold money of it, in the order of their ids.
        milestones: Vec<MilestoneId>,
    },
    /// Held money was locked because a bank has taken it. Second half of J50, J98.
    ChargebackHeld {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What was locked now.
        parts: Vec<LockedPart>,
        /// What of refunds of that payment the client cannot spend for now, where that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contested: Option<ContestedRefunds>,
    },
    /// The bank gave it back: what was locked is held, or in dispute, as before. Second half of J51.
    ChargebackReleased {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What was let go now.
        parts: Vec<LockedPart>,
        /// What of refunds of that payment the client cannot spend for now, where that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contested: Option<ContestedRefunds>,
    },
    /// The bank keeps the money. What was held of it is gone: J52, first half of J56. The payee account books what the
    /// payee gives, the chargeback what the platform bears.
    ///
    /// `amount` = sum of `held` less `client_fee_earned`, `initiation_fee`, `tax`, sum of `clawed` and `platform_share`.
    ChargebackAbsorbed {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// Who paid.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// Currency of the amounts.
        currency: Currency,
        /// What the bank keeps.
        amount: Minor,
        /// What was held of it.
        held: Vec<LostPart>,
        /// The client's fee that the bank did not take with it; it is earned.
        #[serde(default, skip_serializing_if = "is_zero")]
        client_fee_earned: Minor,
        /// The initiation fee that is gone with it.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax of the fees that are gone with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// What the payee has to give of what was released of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        clawed: Vec<Clawback>,
        /// Tax on the payee's fees that are returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fees that are returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_tax: Option<TaxLine>,
        /// What was released of it and stays the payee's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        borne: Vec<Borne>,
        /// What the platform bears.
        #[serde(default, skip_serializing_if = "is_zero")]
        platform_share: Minor,
        /// What the client would have twice, since it was refunded, too. The wallet gives it as far as it is there; the rest
        /// is the platform's, until it comes back.
        #[serde(default, skip_serializing_if = "is_zero")]
        from_refunds: Minor,
        /// The refunds of that payment, where something is to be taken of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refunds: Vec<RefundId>,
    },
    /// The bank is done with a payment: its milestones go on.
    ChargeCleared {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// The milestones that rested because of it.
        milestones: Vec<MilestoneId>,
        /// The refunds of that payment, where nothing was lost: those that were refused because of it are asked for again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refunds: Vec<RefundId>,
    },
    /// A bank took a payment back without a dispute: what was held of it is gone. J94.
    FundingReturned {
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
        client_id: PartyId,
        /// The payment.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What was held of it.
        parts: Vec<LostPart>,
        /// The client's fee that the bank did not take with it; it is earned.
        #[serde(default, skip_serializing_if = "is_zero")]
        client_fee_earned: Minor,
        /// The initiation fee that is gone with it.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax of the fees that are gone with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// What the bank took beyond that: the client owes it. The funding books it.
        #[serde(default, skip_serializing_if = "is_zero")]
        receivable: Minor,
        /// What was released of it and stays the payee's: it cannot be given back to that charge any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        borne: Vec<Borne>,
        /// What of the receivable was refunded, too: the wallet gives it as far as it is there.
        #[serde(default, skip_serializing_if = "is_zero")]
        from_refunds: Minor,
        /// The refunds of that payment, where something is to be taken of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refunds: Vec<RefundId>,
        /// From where.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// Money of a payment that its bank had returned is held no more by a chargeback: it settles what the client owes for
    /// that return, as far as it goes. J94 against 1220, where J59 has put what could not be taken at once.
    LateReturnSettled {
        /// The contract.
        contract_id: ContractId,
        /// Who owes it.
        client_id: PartyId,
        /// The payment.
        funding_id: FundingId,
        /// Currency of the amounts.
        currency: Currency,
        /// What was held of it.
        parts: Vec<LostPart>,
        /// The client's fee that the bank did not take with it; it is earned.
        #[serde(default, skip_serializing_if = "is_zero")]
        client_fee_earned: Minor,
        /// The initiation fee that is gone with it.
        #[serde(default, skip_serializing_if = "is_zero")]
        initiation_fee: Minor,
        /// Tax of the fees that are gone with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tax: Option<FeeTax>,
        /// What is settled: the client owes that much less.
        amount: Minor,
    },
}
