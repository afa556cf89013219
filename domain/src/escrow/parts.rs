//! What an escrow's events are made of: shares of fundings, and the words for causes.

use chrono::TimeDelta;
use ledger::{Minor, is_zero};
use serde::{Deserialize, Serialize};

use crate::fee::{GivenBack, TaxLine};
use crate::id::{DisputeId, FundingId, MilestoneId, PartyId, RefundId};
use crate::jurisdiction::Jurisdiction;
use crate::time::Timestamp;

/// Where money lies at a payment provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PspPlace {
    /// Which provider, such as `stripe`.
    pub psp: String,
    /// Which account there: `platform`, or the id of a payee's account.
    pub psp_account: String,
}

/// The name of our own account at a provider.
pub const PLATFORM_ACCOUNT: &str = "platform";

/// The part of a funding that is for one milestone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Which milestone.
    pub milestone_id: MilestoneId,
    /// What is held for it.
    pub amount: Minor,
    /// The client's fee on that, on top.
    pub client_fee: Minor,
}

/// The part of held money that came from one funding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Which funding.
    pub funding_id: FundingId,
    /// How much of it.
    pub amount: Minor,
}

/// A deposit for no milestone yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// What is held.
    pub amount: Minor,
    /// The client's fee on that, on top.
    pub client_fee: Minor,
}

impl Deposit {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.amount.is_zero() && self.client_fee.is_zero()
    }
}

/// Tax on fees that the client paid on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTax {
    /// Where, at which rate, how much.
    #[serde(flatten)]
    pub line: TaxLine,
    /// Whether it is deferred until the fee is earned (2305), or payable since it was paid (2400).
    pub deferred: bool,
}

/// Income tax withheld of what is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// For which tax office.
    pub jurisdiction: Jurisdiction,
    /// How much.
    pub amount: Minor,
}

/// Where the client pays from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaidFrom {
    /// A card or bank account, through the payment provider.
    #[default]
    Provider,
    /// The client's wallet.
    Wallet,
}

impl PaidFrom {
    /// Whether it is the usual way, which events leave out.
    pub fn is_provider(&self) -> bool {
        *self == Self::Provider
    }
}

/// The charge that a funding was collected by: where its money can be sent back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRef {
    /// The provider's payment.
    pub payment_ref: String,
    /// The provider's charge.
    pub charge_ref: String,
    /// Where it lies.
    #[serde(flatten)]
    pub place: PspPlace,
}

/// How long the provider lets money of a funding lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldLimit {
    /// The instant at which it has to be gone.
    pub limit_at: Timestamp,
    /// Days before the limit at which to warn, farthest first; those that had passed when the money came are left out.
    pub warn_days: Vec<u16>,
}

impl HoldLimit {
    /// When something is to be done first: the next warning, or the limit itself.
    pub fn first_at(&self) -> Timestamp {
        self.warn_days.first().map_or(self.limit_at, |days| self.warned_at(*days))
    }

    /// That many days before the limit.
    pub(super) fn warned_at(&self, days: u16) -> Timestamp {
        self.limit_at.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(Timestamp::MIN_UTC)
    }
}

/// What goes back to the client by one way; each part is a refund of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPart {
    /// The refund.
    pub refund_id: RefundId,
    /// The funding that it came with.
    pub funding_id: FundingId,
    /// What goes back, fees included.
    pub amount: Minor,
    /// The charge that it goes back to; `None` when it came from the client's wallet, or when the charge is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<ChargeRef>,
    /// Where the client had paid from.
    #[serde(default, skip_serializing_if = "PaidFrom::is_provider")]
    pub paid_from: PaidFrom,
}

/// A part of held money that a chargeback locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPart {
    /// Of which milestone; absent for a deposit for none, which has no account for locked money: its lock is not booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone_id: Option<MilestoneId>,
    /// How much, without the client's fee.
    pub amount: Minor,
    /// The dispute that had locked some of it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute_id: Option<DisputeId>,
    /// How much of it that dispute had locked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disputed: Minor,
}

/// What of a payment's refunds the client cannot spend while a bank contests that payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContestedRefunds {
    /// The client.
    pub client_id: PartyId,
    /// How much in all, minor units of the contract's currency; nothing when it is over.
    pub amount: Minor,
}

/// A part of held money that a bank took for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostPart {
    /// Of which milestone; absent for a deposit for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone_id: Option<MilestoneId>,
    /// How much, without the client's fee.
    pub amount: Minor,
    /// The client's fee that is deferred no more.
    pub client_fee: Minor,
    /// The dispute that had locked some of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute_id: Option<DisputeId>,
    /// How much of it that dispute had locked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disputed: Minor,
}

/// What a payee has to give of what was released, because a bank took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clawback {
    /// Of which milestone.
    pub milestone_id: MilestoneId,
    /// What it comes to.
    #[serde(flatten)]
    pub back: GivenBack,
}

/// What a payee keeps of what was released although a bank took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borne {
    /// Of which milestone.
    pub milestone_id: MilestoneId,
    /// How much, before fees.
    pub gross: Minor,
}

/// Why held money was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The client approved.
    Approved,
    /// The review window closed.
    Auto,
    /// The client approved a part.
    Partial,
    /// The contract was dormant.
    Dormancy,
    /// An hourly week's review ended.
    Hourly,
}

/// Why money goes back to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The parties agreed, or the payee let the time to object pass.
    Agreed,
    /// The contract is over.
    ContractOver,
    /// The provider does not let the money lie any longer.
    HoldLimit,
    /// It came when its milestone was over.
    TooLate,
}

/// Why money that arrived could not be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// The escrow is closed.
    EscrowClosed,
    /// The milestone waits for other money, or has it.
    Superseded,
}

/// What a payee is given beside the agreed amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GratuityKind {
    /// A bonus, with the fees of the contract.
    Bonus,
    /// A tip, free of fees.
    Tip,
}

/// A bonus or a tip: `gross + client_fee + client_tax + surplus_to_wallet` is charged,
/// `gross = net + payee_fee + payee_tax + withheld`. Minor units of the contract's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gratuity {
    /// Which of the two.
    pub kind: GratuityKind,
    /// What the client gives.
    pub gross: Minor,
    /// What the platform keeps of it.
    pub payee_fee: Minor,
    /// What the payee gets.
    pub net: Minor,
    /// The client's fee on top.
    pub client_fee: Minor,
    /// Income tax withheld of the gross.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
    /// Tax on both fees, payable at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxLine>,
    /// What is charged beyond that, because the provider cannot charge every amount.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub surplus_to_wallet: Minor,
    /// Days that it stays pending before it can be withdrawn.
    pub clearance_days: u16,
}
