//! Whether the cash covers what is owed to clients and payees (B.11): a pure function of the balances of all accounts.
//!
//! # What is deliberately absent
//! Reading balances: a projection has them. Receivables (1210, 1220) and money under contest (1200) never count as cash.
//!
//! What was paid in one currency and lies in another covers what is owed in the first: the FX position (1300) counts like
//! cash in the currency that was paid in, and against cash in that of the settlement, where the money is not the
//! platform's to take. It counts at what came in; positions are not revalued.

use ledger::{Account, Currency, Minor, TrialBalance};
use serde::{Deserialize, Serialize};

/// Cash: at banks, at the provider, at the payees' accounts there, in its reserve.
const CASH: [Account; 5] = [
    Account::BankClientMoney,
    Account::PspPending,
    Account::PspAvailable,
    Account::FundsAtConnectedAccount,
    Account::PspReserve,
];

/// What is owed to clients and payees, or may be.
const LIABILITIES: [Account; 15] = [
    Account::EscrowHeld,
    Account::EscrowUnallocated,
    Account::EscrowDisputed,
    Account::ClientWallet,
    Account::PayeePending,
    Account::PayeeAvailable,
    Account::PayeeHeld,
    Account::PayoutsInTransit,
    Account::RefundsInTransit,
    Account::DeferredClientFee,
    Account::DeferredClientFeeTax,
    Account::DeferredInitiationFee,
    Account::ArbitrationFeesHeld,
    Account::UnclaimedFunds,
    Account::SuspenseReceipts,
];

/// What belongs to tax offices, and is not the platform's to take.
const TAXES: [Account; 2] = [Account::OutputTax, Account::WithholdingTax];

/// Cash against what is owed in one currency; signed minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The currency.
    pub currency: Currency,
    /// Accounts 1000, 1110, 1120, 1130 and 1140.
    pub cash: i64,
    /// Account 1200: shown, not counted.
    pub contingent: i64,
    /// Client money: accounts 21xx to 23xx, 2500 and 2900.
    pub liabilities: i64,
    /// Accounts 2400 and 2410.
    pub taxes: i64,
    /// Account 1300: covered by money in another currency, or below zero where money here covers another currency.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exchanged: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl Coverage {
    /// The coverage in one currency.
    pub fn of(books: &TrialBalance, currency: Currency) -> Self {
        let net = |accounts: &[Account]| {
            accounts.iter().fold(0_i128, |sum, account| sum.saturating_add(books.net(*account, currency)))
        };
        Self {
            currency,
            cash: clamp(net(&CASH)),
            contingent: clamp(net(&[Account::ChargebacksUnderContest])),
            liabilities: clamp(net(&LIABILITIES).saturating_neg()),
            taxes: clamp(net(&TAXES).saturating_neg()),
            exchanged: clamp(net(&[Account::FxPosition])),
        }
    }

    /// Cash and what is exchanged, less what is owed: the platform's own money in the pool, or what is missing in it.
    pub fn surplus(&self) -> i64 {
        self.cash.saturating_add(self.exchanged).saturating_sub(self.liabilities)
    }

    /// What the platform has to add so that everything owed is covered.
    pub fn required_float(&self) -> Minor {
        positive(self.surplus().saturating_neg())
    }

    /// What the platform may take: the surplus less taxes, a buffer, and what is on its way out already.
    pub fn may_be_taken(&self, buffer: Minor, on_its_way: Minor) -> Minor {
        let kept = self.taxes.saturating_add(buffer.get()).saturating_add(on_its_way.get());
        positive(self.surplus().saturating_sub(kept))
    }
}

fn positive(value: i64) -> Minor {
    Minor::new(value.max(0)).unwrap_or_default()
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
