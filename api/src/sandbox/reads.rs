//! One object by its id, and the account that asks.
//!
//! # Invariants
//! - An account sees its own objects only; for anything else the answer is that there is no such object.

use serde_json::Value;
use sqlx::PgConnection;

use super::clock;
use super::object::{self, Shown};
use super::refusal::{Failure, Refusal};

/// What can be fetched by its id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    PaymentIntent,
    Charge,
    Refund,
    Dispute,
    FraudWarning,
    BalanceTransaction,
    Transfer,
    Payout,
    Account,
    Event,
    TopUp,
}

impl Resource {
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::PaymentIntent => &["pi_"],
            Self::Charge => &["ch_", "py_"],
            Self::Refund => &["re_"],
            Self::Dispute => &["dp_"],
            Self::FraudWarning => &["issfr_"],
            Self::BalanceTransaction => &["txn_"],
            Self::Transfer => &["tr_"],
            Self::Payout => &["po_"],
            Self::Account => &["acct_"],
            Self::Event => &["evt_"],
            Self::TopUp => &["tu_"],
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::PaymentIntent => "payment_intent",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::FraudWarning => "early fraud warning",
            Self::BalanceTransaction => "balance transaction",
            Self::Transfer => "transfer",
            Self::Payout => "payout",
            Self::Account => "account",
            Self::Event => "event",
            Self::TopUp => "topup",
        }
    }
}

/// The account that a request acts on: the one named, or the platform.
pub(super) async fn acting_account(
    connection: &mut PgConnection,
    named: Option<&str>,
) -> Result<(String, bool), Failure> {
    let platform = clock::state(connection).await?.platform_account;
    match named {
        None => Ok((platform, true)),
        Some(id) if id == platform => Ok((platform, true)),
        Some(id) => match object::account(connection, id).await? {
            Some(account) if !account.deauthorized => Ok((account.id, false)),
            _ => Err(Refusal::NoAccess { account: id.to_owned() }.into()),
        },
    }
}

/// One object of `account`.
pub(super) async fn one(
    connection: &mut PgConnection,
    (account, platform): (&str, bool),
    resource: Resource,
    id: &str,
) -> Result<Value, Failure> {
    let not_found = || Refusal::NotFound { noun: resource.noun(), id: id.to_owned() };
    if !resource.prefixes().iter().any(|prefix| id.starts_with(prefix)) || id.contains('\0') {
        return Err(not_found().into());
    }
    if matches!(resource, Resource::Account)
        && object::account(connection, id).await?.is_some_and(|account| account.deauthorized)
    {
        return Err(Refusal::NoAccess { account: id.to_owned() }.into());
    }
    match object::load(connection, id).await? {
        Some(Shown { account: owner, value })
            if owner == account || (platform && matches!(resource, Resource::Account)) =>
        {
            Ok(value)
        }
        _ => Err(not_found().into()),
    }
}
