//! Facts about a funding.

use chrono::NaiveDate;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{Order, Purpose};
use crate::escrow::{Allocation, PspPlace};
use crate::exchange::{FxResult, Settled};
use crate::id::{BreakId, ChargebackId, ContractId, FundingId, PartyId, RefundId};
use crate::time::Timestamp;

/// Why money that arrived is booked as unallocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspenseReason {
    /// It is not the amount that was asked for.
    AmountMismatch,
    /// It is not the currency that was asked for.
    CurrencyMismatch,
    /// The escrow could not hold it any more.
    NotHoldable,
}

impl SuspenseReason {
    /// The word for it, as events have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::AmountMismatch => "amount_mismatch",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::NotHoldable => "not_holdable",
        }
    }
}

/// A fact about a funding. Every variant has the id of the funding, and of its contract if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FundingEvent {
    /// The client is to pay.
    Created {
        /// What it is about.
        #[serde(flatten)]
        order: Order,
    },
    /// The provider knows it under this name.
    PspIntentLinked {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The provider's payment.
        payment_ref: String,
        /// Whether the attempt had been given up before: the provider is to call it off.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        given_up: bool,
    },
    /// The client has to do something.
    ActionRequired {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
    },
    /// Under way at the bank.
    Processing {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
    },
    /// Refused by bank or provider.
    Failed {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What it was for.
        allocations: Vec<Allocation>,
        /// The provider's code.
        code: String,
    },
    /// Given up: the client does not want it any more, or the contract is over.
    Cancelled {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What it was for.
        allocations: Vec<Allocation>,
        /// The provider's payment, to be called off there; absent when it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_ref: Option<String>,
    },
    /// Given up: the client did not complete it in time.
    Expired {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What it was for.
        allocations: Vec<Allocation>,
        /// The provider's payment, to be called off there; absent when it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_ref: Option<String>,
    },
    /// A timer fired and was refused; it does not fire again, an operator has to look.
    TimerBlocked {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
    /// The provider has the money. What it means for the books follows from the answer of escrow, payee or wallet.
    Succeeded {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        captured: Minor,
        /// In which currency.
        currency: Currency,
        /// Whether that is what was asked for, and is still wanted.
        as_requested: bool,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
        /// When the provider says so.
        collected_at: Timestamp,
        /// What becomes of it.
        #[serde(default, skip_serializing_if = "Purpose::is_escrow")]
        purpose: Purpose,
        /// Who paid. Absent in events from before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<PartyId>,
        /// What the provider has for it, where it settles in another currency and the escrow's event books it so (J70).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Settled>,
    },
    /// The provider settles in another currency what was booked in the one that was paid in. With J01 it is J70.
    Exchanged {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What was collected.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// What the provider has for it.
        settled: Settled,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// A refund of it went out of, or came back to, a balance in another currency. The refund books it (J71).
    RefundExchanged {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The refund.
        refund_id: RefundId,
        /// How much the client got, or did not get after all.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// What moved in the provider's balance.
        settled: Settled,
        /// Whether it came back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        came_back: bool,
    },
    /// A bank took of it from, or gave back to, a balance in another currency. The chargeback books it.
    ChargebackExchanged {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The chargeback.
        chargeback_id: ChargebackId,
        /// How much of it.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// What moved in the provider's balance.
        settled: Settled,
        /// Whether it came back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        came_back: bool,
    },
    /// All that was paid in has gone back: what the exchange has cost or brought is known. J72, J73.
    FxResultRealised {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// In which currency it was paid in.
        paid_currency: Currency,
        /// Cost or gain.
        result: FxResult,
        /// How much.
        #[serde(flatten)]
        left: Settled,
    },
    /// The money came after it had been given up, or after the contract: it goes back. J93.
    SucceededAfterCancel {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// Who paid.
        client_id: PartyId,
        /// The refund.
        refund_id: RefundId,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// The money is booked as unallocated, for somebody to work on.
    ReceiptSuspended {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The difference to be explained.
        break_id: BreakId,
        /// What was collected.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// What was asked for.
        expected: Minor,
        /// Why.
        reason: SuspenseReason,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
        /// What it was to be for: nothing of that is funded by it. Absent in events from before it was kept.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        allocations: Vec<Allocation>,
    },
    /// What the provider kept. J02.
    PspFeeRecorded {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// What it kept.
        fee: Minor,
        /// What it left.
        net: Minor,
        /// Currency of both.
        currency: Currency,
        /// Date of the booking: the value date.
        booked_on: NaiveDate,
        /// When the rest can be used.
        available_on: Timestamp,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// A bank took it back without a dispute, such as a debit that was returned. What it means follows from the answer of
    /// escrow or wallet (J94, J59). Where another currency left the provider's balance, this books the exchange: what J94 and
    /// J59 take comes out of the FX position, as in J71.
    Returned {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// What was taken back.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// The provider's booking.
        balance_transaction_ref: String,
        /// The provider's code.
        code: String,
        /// From where.
        #[serde(flatten)]
        place: PspPlace,
        /// Whether the escrow holds it, or held it.
        escrowed: bool,
        /// Whose wallet was credited with it, for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wallet_of: Option<PartyId>,
        /// What left the provider's balance, where that is of another currency than `currency`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<Settled>,
    },
    /// What a bank took back and nobody holds any more: the client owes it. J59.
    LateReturnRecorded {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// Who owes it.
        client_id: PartyId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// From where it was taken.
        #[serde(flatten)]
        place: PspPlace,
    },
    /// The rest can be used. J03.
    PspFundsBecameAvailable {
        /// The funding.
        funding_id: FundingId,
        /// Its contract; none for a top-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
}
