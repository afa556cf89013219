//! Facts about a funding.

use chrono::NaiveDate;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::Order;
use crate::escrow::{Allocation, PspPlace};
use crate::id::{BreakId, ContractId, FundingId};
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

/// A fact about a funding. Every variant has the ids of funding and contract.
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
        /// Its contract.
        contract_id: ContractId,
        /// The provider's payment.
        payment_ref: String,
    },
    /// The client has to do something.
    ActionRequired {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
    },
    /// Under way at the bank.
    Processing {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
    },
    /// Refused by bank or provider.
    Failed {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
        /// What it was for.
        allocations: Vec<Allocation>,
        /// The provider's code.
        code: String,
    },
    /// The provider has the money. What it means for the books follows from the escrow's answer.
    Succeeded {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
        /// The provider's payment.
        payment_ref: String,
        /// The provider's charge.
        charge_ref: String,
        /// What was collected.
        captured: Minor,
        /// In which currency.
        currency: Currency,
        /// Whether that is what was asked for.
        as_requested: bool,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
        /// When the provider says so.
        collected_at: Timestamp,
    },
    /// The money is booked as unallocated, for somebody to work on.
    ReceiptSuspended {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
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
    },
    /// What the provider kept. J02.
    PspFeeRecorded {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
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
    /// The rest can be used. J03.
    PspFundsBecameAvailable {
        /// The funding.
        funding_id: FundingId,
        /// Its contract.
        contract_id: ContractId,
        /// How much.
        amount: Minor,
        /// In which currency.
        currency: Currency,
        /// Where it lies.
        #[serde(flatten)]
        place: PspPlace,
    },
}
