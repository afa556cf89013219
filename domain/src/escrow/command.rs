//! Requests about an escrow.

use ledger::{Currency, Minor};

use super::parts::{
    Allocation, ChargeRef, Deposit, FeeTax, GratuityKind, PaidFrom, PspPlace, RefundReason, ReleaseReason,
};
use crate::exchange::Settled;
use crate::fee::FeeSchedule;
use crate::id::{
    ChargebackId, ContractId, DisputeId, EventId, FundingId, MilestoneId, PartyId, ReallocationId, RefundId, ReleaseId,
};
use crate::policy::Policy;

/// A request about an escrow. Repeated, each changes nothing: what has an id of its own is known by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscrowCommand {
    /// Make it, for a contract that was accepted.
    Open {
        /// The contract.
        contract_id: ContractId,
        /// Who pays.
        client_id: PartyId,
        /// Who is paid.
        payee_id: PartyId,
        /// Currency of everything in it.
        currency: Currency,
        /// The fees agreed.
        fee_schedule: FeeSchedule,
        /// The periods agreed.
        policy: Policy,
    },
    /// The client wants to pay in.
    RequestFunding {
        /// The funding to be made.
        funding_id: FundingId,
        /// For which milestones, how much.
        allocations: Vec<(MilestoneId, Minor)>,
        /// How much for no milestone yet.
        deposit: Minor,
        /// Currency of the request.
        currency: Currency,
        /// Where the client pays from.
        paid_from: PaidFrom,
        /// The provider's token of card or account; empty when the wallet pays.
        payment_method: String,
    },
    /// Money has arrived at the provider. A fact: never refused.
    RecordFunding {
        /// Which.
        funding_id: FundingId,
        /// Which provider has it, and in which account of ours.
        place: PspPlace,
        /// The charge that it was collected by; `None` when it is not known.
        charge: Option<ChargeRef>,
        /// What the provider has for it, where it settles in another currency and has told so.
        settled: Option<Settled>,
    },
    /// The client's wallet has paid.
    RecordWalletFunding {
        /// Which.
        funding_id: FundingId,
        /// What is held, by milestone.
        allocations: Vec<Allocation>,
        /// What is held for no milestone yet.
        deposit: Deposit,
        /// The contract's initiation fee, when it comes with this.
        initiation_fee: Minor,
        /// Tax on the fees.
        tax: Option<FeeTax>,
        /// The event of the wallet.
        source_event_id: EventId,
    },
    /// Held money becomes the payee's.
    Release {
        /// Which release.
        release_id: ReleaseId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// How much, before fees.
        gross: Minor,
        /// Why.
        reason: ReleaseReason,
    },
    /// Held money goes back to the client. Who may ask for it is the milestone's and the contract's to say.
    InitiateRefund {
        /// Which refund.
        refund_id: RefundId,
        /// Of which milestone; `None` for a deposit for none.
        milestone_id: Option<MilestoneId>,
        /// How much, without the client's fee.
        amount: Minor,
        /// Why.
        reason: RefundReason,
    },
    /// Held money is moved to another milestone.
    Reallocate {
        /// Which movement.
        reallocation_id: ReallocationId,
        /// From which milestone; `None` for a deposit for none.
        from: Option<MilestoneId>,
        /// To which milestone.
        to: MilestoneId,
        /// How much, without the client's fee.
        amount: Minor,
        /// Who agreed: both parties; for a deposit the client is enough.
        consent: Vec<PartyId>,
    },
    /// A dispute locks held money.
    PlaceDisputeHold {
        /// The dispute.
        dispute_id: DisputeId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// How much.
        amount: Minor,
    },
    /// A dispute was withdrawn.
    LiftDisputeHold {
        /// The dispute.
        dispute_id: DisputeId,
    },
    /// Stop everything: nothing leaves. Staff only.
    Freeze {
        /// Why: a code, such as `court_order`.
        reason: String,
        /// The reference of the order that demands it, opaque.
        legal_ref: Option<String>,
    },
    /// Let money leave again. Staff only.
    Unfreeze,
    /// Some days before the provider's limit.
    WarnOfHoldLimit {
        /// Whose money.
        funding_id: FundingId,
        /// How many.
        days_left: u16,
    },
    /// The provider's limit is reached.
    ReachHoldLimit {
        /// Whose money.
        funding_id: FundingId,
    },
    /// The provider's limit is reached, and no work is under review: what is held of that funding goes back.
    RefundAtHoldLimit {
        /// Whose money.
        funding_id: FundingId,
        /// Of which milestone.
        milestone_id: MilestoneId,
    },
    /// The payee gives released money back.
    ReturnRelease {
        /// Which refund.
        refund_id: RefundId,
        /// Of which milestone.
        milestone_id: MilestoneId,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The currency that the caller thinks it is in.
        currency: Option<Currency>,
    },
    /// The client wants to pay a bonus or a tip.
    RequestGratuity {
        /// The funding to be made.
        funding_id: FundingId,
        /// What it is.
        kind: GratuityKind,
        /// How much, before fees.
        amount: Minor,
        /// Currency of the request.
        currency: Currency,
        /// The provider's token of card or account.
        payment_method: String,
    },
    /// A client's bank disagrees with a payment, or asks about it.
    NoteChargeback {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The payment.
        funding_id: FundingId,
        /// Whether it only asks.
        inquiry: bool,
    },
    /// The bank has taken money, or given some back: as much as it has is to be locked.
    HoldForChargeback {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// What the bank has now, fees included.
        amount: Minor,
    },
    /// The bank keeps the money.
    AbsorbChargeback {
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// The payment.
        funding_id: FundingId,
        /// What it keeps, fees included.
        amount: Minor,
    },
    /// The bank disagrees no more, and has nothing.
    ClearChargeback {
        /// The chargeback.
        chargeback_id: ChargebackId,
    },
    /// A bank took a payment back without a dispute. A fact: never refused.
    RecordFundingReturn {
        /// The payment.
        funding_id: FundingId,
        /// What it took, fees included.
        amount: Minor,
        /// From where.
        place: PspPlace,
    },
    /// A request whose fees go by what the pair has billed in all its contracts, with that.
    OfPair {
        /// What the pair has billed so far, gross, minor units.
        billed: Minor,
        /// The request.
        command: Box<Self>,
    },
    /// A request that depends on what became of payments asked for before, with those that brought nothing. The unit of
    /// work says so; nobody else gives it.
    AfterFailed {
        /// Payments that failed, ran out or were cancelled, of those that the escrow has asked for.
        failed: Vec<FundingId>,
        /// The request.
        command: Box<Self>,
    },
    /// The contract is over. What was deposited for no milestone goes back to the client.
    Close,
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl EscrowCommand {
    /// Whether fees that go by what was billed are judged with it.
    pub(crate) fn needs_billing(&self) -> bool {
        matches!(self, Self::RequestFunding { .. } | Self::Release { .. } | Self::RequestGratuity { .. })
    }
}
