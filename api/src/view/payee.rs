//! A party and its earnings as the API shows them.

use domain::id::PartyId;
use domain::party::Party;
use domain::payee::{PayeeAccount, PayeeAccountId};
use domain::view::document::PayeeBalance;
use ledger::Currency;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartyView {
    /// Its id.
    #[schema(example = "pty_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `party`.
    #[schema(example = "party")]
    pub object: String,
    /// Its account at the payment provider, once linked.
    #[schema(example = "acct_1PgafTB7WZ01zgkW")]
    pub psp_account: Option<String>,
}

impl PartyView {
    /// The view of a party; `None` for one that is not registered.
    pub fn of(party: &Party) -> Option<Self> {
        match party {
            Party::Unknown => None,
            Party::Registered { party_id, payout_account, .. } => Some(Self {
                id: party_id.to_string(),
                object: "party".to_owned(),
                psp_account: payout_account.as_ref().map(|account| account.psp_account.clone()),
            }),
        }
    }
}

/// Earnings of a party in one currency, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BalanceView {
    /// Always `balance`.
    #[schema(example = "balance")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Released, in its security period.
    pub pending: i64,
    /// Can be withdrawn.
    #[schema(example = 90_000)]
    pub available: i64,
    /// On its way to the bank.
    pub in_transit: i64,
    /// Paid out so far.
    pub paid_out: i64,
    /// Held back by the platform.
    pub held: i64,
    /// Owed to the platform: earnings pay it off first.
    pub debt: i64,
}

/// What staff holds back of a party's earnings in one currency, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EarningsHoldView {
    /// Always `earnings_hold`.
    #[schema(example = "earnings_hold")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Held back, by reason.
    pub held: Vec<HeldEarningsView>,
    /// What can still be withdrawn.
    #[schema(example = 90_000)]
    pub available: i64,
}

/// What is held back for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeldEarningsView {
    /// `kyc`, `fraud`, `sanctions` or `chargeback_reserve`.
    #[schema(example = "kyc")]
    pub reason: String,
    /// How much, minor units.
    #[schema(example = 90_000)]
    pub amount: i64,
}

/// What a party owes the platform for one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DebtView {
    /// Always `debt`.
    #[schema(example = "debt")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What it arose from.
    #[schema(example = "cbk_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub cause: String,
    /// What is still owed for it, minor units.
    #[schema(example = 0)]
    pub owed: i64,
    /// What is owed in this currency in all, minor units.
    #[schema(example = 0)]
    pub owed_in_all: i64,
}

impl DebtView {
    /// The view of one debt of a payee account.
    pub fn of(id: PayeeAccountId, account: &PayeeAccount, cause: &str) -> Self {
        Self {
            object: "debt".to_owned(),
            party_id: id.party_id.to_string(),
            currency: id.currency.code().to_owned(),
            cause: cause.to_owned(),
            owed: account.debts.get(cause).map_or(0, |owed| owed.get()),
            owed_in_all: account.debt_total().get(),
        }
    }
}

impl EarningsHoldView {
    /// The view of a payee account.
    pub fn of(id: PayeeAccountId, account: &PayeeAccount) -> Self {
        let held = account.held.iter().filter(|(_, amount)| !amount.is_zero());
        Self {
            object: "earnings_hold".to_owned(),
            party_id: id.party_id.to_string(),
            currency: id.currency.code().to_owned(),
            held: held
                .map(|(reason, amount)| HeldEarningsView { reason: reason.word().to_owned(), amount: amount.get() })
                .collect(),
            available: account.available.get(),
        }
    }
}

impl BalanceView {
    /// The view of a payee account.
    pub fn of(party_id: PartyId, currency: Currency, balance: &PayeeBalance) -> Self {
        Self {
            object: "balance".to_owned(),
            party_id: party_id.to_string(),
            currency: currency.code().to_owned(),
            pending: balance.pending.get(),
            available: balance.available.get(),
            in_transit: balance.in_transit.get(),
            paid_out: balance.paid_out.get(),
            held: balance.held.get(),
            debt: balance.debt.get(),
        }
    }
}
