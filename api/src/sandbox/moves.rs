//! Money that moves between balances: transfers to connected accounts, payouts to banks, and the entries of both.
//!
//! # Invariants
//! - Nothing leaves a balance that is not available in it: the check and the debit are one statement.
//! - Every change of a balance has its balance transaction in the same database transaction.
//! - Balances are locked platform first, then connected account; the clock locks them while nobody else does.
//!
//! # What is deliberately absent
//! `source_transaction`, instant payouts, conversion of currencies. A payout in a currency for which there is no bank
//! account goes to the first one. What becomes of payouts is in `payouts`, what comes back in `reversals`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::bank_accounts;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::object::{self, Charge, Payout, Transfer};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};
use super::rows::write_charge;

/// `POST /v1/transfers`.
#[derive(Debug)]
pub(super) struct CreateTransfer {
    amount: i64,
    currency: Currency,
    destination: String,
    description: Option<String>,
    transfer_group: Option<String>,
    metadata: Metadata,
}

/// `POST /v1/payouts`.
#[derive(Debug)]
pub(super) struct CreatePayout {
    amount: i64,
    currency: Currency,
    destination: Option<String>,
    description: Option<String>,
    statement_descriptor: Option<String>,
    metadata: Metadata,
}

/// A balance transaction to be written.
pub(super) struct Entry<'a> {
    pub(super) account: &'a str,
    /// Signed: what comes in, or goes out.
    pub(super) amount: i64,
    pub(super) fee: i64,
    pub(super) currency: &'a str,
    pub(super) kind: &'static str,
    pub(super) source: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) available_on: DateTime<Utc>,
}

impl Entry<'_> {
    /// Writes it and returns its id. The balance itself is changed by [`credit`] or [`debit`].
    pub(super) async fn insert(&self, work: &mut Work<'_>) -> Result<String, sqlx::Error> {
        self.insert_at(work.connection, work.now).await
    }

    /// The same outside of an order.
    pub(super) async fn insert_at(
        &self,
        connection: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> Result<String, sqlx::Error> {
        let id = identifier::new("txn");
        sqlx::query(
            "INSERT INTO balance_transactions (id, account_id, amount, fee, net, currency, type, source, description,
                status, available_on, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&id)
        .bind(self.account)
        .bind(self.amount)
        .bind(self.fee)
        .bind(self.amount - self.fee)
        .bind(self.currency)
        .bind(self.kind)
        .bind(self.source)
        .bind(self.description)
        .bind(if self.available_on > now { "pending" } else { "available" })
        .bind(self.available_on)
        .bind(now)
        .execute(connection)
        .await?;
        Ok(id)
    }
}

/// Adds to a balance. What a bank takes is below zero, and is taken even where it is not there.
pub(super) async fn credit(
    connection: &mut PgConnection,
    account: &str,
    currency: &str,
    pending: i64,
    available: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO balances (account_id, currency, pending, available) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id, currency) DO UPDATE
            SET pending = balances.pending + excluded.pending, available = balances.available + excluded.available",
    )
    .bind(account)
    .bind(currency)
    .bind(pending)
    .bind(available)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes from what is available, or changes nothing and tells `false`.
pub(super) async fn take(
    connection: &mut PgConnection,
    account: &str,
    currency: &str,
    amount: i64,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query(
        "UPDATE balances SET available = available - $3
         WHERE account_id = $1 AND currency = $2 AND available >= $3",
    )
    .bind(account)
    .bind(currency)
    .bind(amount)
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Takes from what is available, or changes nothing and refuses.
async fn debit(work: &mut Work<'_>, amount: i64, currency: Currency, noun: &'static str) -> Result<(), Failure> {
    if take(work.connection, &work.account, currency.code, amount).await? {
        return Ok(());
    }
    Err(Refusal::BalanceInsufficient { currency: currency.code.to_owned(), noun }.into())
}

impl CreateTransfer {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        form.refuse(&["source_transaction", "source_type"])?;
        Ok(Self {
            amount: form.amount()?,
            currency: form.currency()?,
            destination: form.required("destination")?,
            description: form.text("description"),
            transfer_group: form.text("transfer_group"),
            metadata: form.metadata()?,
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        if work.account != work.platform_account {
            return Err(Refusal::invalid("destination", "Only the platform can make transfers in the sandbox.").into());
        }
        let destination = object::account(work.connection, &self.destination).await?;
        let destination = destination.filter(|account| !account.platform && !account.deauthorized);
        let Some(destination) = destination else {
            return Err(Refusal::NoSuch { noun: "destination", id: self.destination, param: "destination" }.into());
        };
        if destination.transfers != "active" {
            return Err(Refusal::Invalid {
                param: "destination".to_owned(),
                code: Some("insufficient_capabilities_for_transfer"),
                message: "Your destination account needs to have at least one of the following capabilities enabled: transfers."
                    .to_owned(),
            }
            .into());
        }
        debit(work, self.amount, self.currency, "transfer").await?;
        credit(work.connection, &destination.id, self.currency.code, 0, self.amount).await?;
        let transfer_id = identifier::new("tr");
        let payment_id = identifier::new("py");
        let leaving = Entry {
            account: &work.account.clone(),
            amount: -self.amount,
            fee: 0,
            currency: self.currency.code,
            kind: "transfer",
            source: &transfer_id,
            description: self.description.as_deref(),
            available_on: work.now,
        };
        let balance_transaction = leaving.insert(work).await?;
        let arriving =
            Entry { account: &destination.id, amount: self.amount, kind: "payment", source: &payment_id, ..leaving };
        let destination_transaction = arriving.insert(work).await?;
        let payment = Charge {
            id: payment_id.clone(),
            account_id: destination.id.clone(),
            payment_intent: None,
            source_transfer: Some(transfer_id.clone()),
            amount: self.amount,
            amount_refunded: 0,
            currency: self.currency.code.to_owned(),
            status: "succeeded".to_owned(),
            payment_method: None,
            payment_method_token: None,
            balance_transaction: Some(destination_transaction),
            description: self.description.clone(),
            receipt_email: None,
            statement_descriptor: None,
            transfer_group: self.transfer_group.clone(),
            failure_code: None,
            failure_message: None,
            decline_code: None,
            disputed: false,
            failure_balance_transaction: None,
            metadata: Json(Metadata::new()),
            created_at: work.now,
            fee: 0,
            available_after_seconds: 0,
            booked_after_seconds: 0,
            books_at: None,
        };
        write_charge(work.connection, &payment).await?;
        let transfer = Transfer {
            id: transfer_id,
            account_id: work.account.clone(),
            amount: self.amount,
            currency: self.currency.code.to_owned(),
            destination: destination.id,
            destination_payment: payment_id,
            balance_transaction,
            description: self.description,
            transfer_group: self.transfer_group,
            metadata: Json(self.metadata),
            created_at: work.now,
            amount_reversed: 0,
            reversals: Vec::new(),
        };
        sqlx::query(
            "INSERT INTO transfers (id, account_id, amount, currency, destination, destination_payment,
                balance_transaction, description, transfer_group, metadata, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&transfer.id)
        .bind(&transfer.account_id)
        .bind(transfer.amount)
        .bind(&transfer.currency)
        .bind(&transfer.destination)
        .bind(&transfer.destination_payment)
        .bind(&transfer.balance_transaction)
        .bind(&transfer.description)
        .bind(&transfer.transfer_group)
        .bind(&transfer.metadata)
        .bind(transfer.created_at)
        .execute(&mut *work.connection)
        .await?;
        work.happened("transfer.created", transfer.show());
        Ok(Outcome::ok(transfer.show()))
    }
}

/// Currencies that banks take whole, though they are counted in hundredths
/// (<https://docs.stripe.com/currencies#special-cases>).
const WHOLE_ONLY: &[&str] = &["huf", "isk", "twd", "ugx"];

impl CreatePayout {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        form.refuse(&["source_type", "payout_method"])?;
        if let Some(method) = form.text("method").filter(|method| method != "standard") {
            return Err(Refusal::invalid("method", format!("The sandbox has no {method} payouts.")));
        }
        let (amount, currency) = (form.amount()?, form.currency()?);
        if WHOLE_ONLY.contains(&currency.code) && amount % 100 != 0 {
            let code = currency.code.to_ascii_uppercase();
            return Err(Refusal::invalid("amount", format!("Payouts in {code} need an amount divisible by 100.")));
        }
        Ok(Self {
            amount,
            currency,
            destination: form.text("destination"),
            description: form.text("description"),
            statement_descriptor: form.text("statement_descriptor"),
            metadata: form.metadata()?,
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let account = object::account(work.connection, &work.account).await?;
        let refused = |message: &str| Refusal::Invalid {
            param: "destination".to_owned(),
            code: Some("payouts_not_allowed"),
            message: message.to_owned(),
        };
        let Some(account) = account.filter(|account| account.payouts_enabled) else {
            return Err(refused("Payouts are not enabled for this account. See its requirements.").into());
        };
        let bank = match &self.destination {
            Some(id) => {
                let bank = account.bank_accounts.iter().find(|bank| bank.id == *id);
                let no_such = || Refusal::NoSuch { noun: "external account", id: id.clone(), param: "destination" };
                bank.ok_or_else(no_such)?
            }
            None => account.bank_account_for(self.currency.code).ok_or_else(|| {
                let code = self.currency.code;
                let message = format!("Sorry, you don't have any external accounts in that currency ({code}).");
                Refusal::invalid("currency", message)
            })?,
        };
        let fails_with = bank_accounts::fails_with(&bank.account_number).map(str::to_owned);
        let bank_account = bank.id.clone();
        debit(work, self.amount, self.currency, "payout").await?;
        let id = identifier::new("po");
        let leaving = Entry {
            account: &work.account.clone(),
            amount: -self.amount,
            fee: 0,
            currency: self.currency.code,
            kind: "payout",
            source: &id,
            description: self.description.as_deref(),
            available_on: work.now,
        };
        let balance_transaction = leaving.insert(work).await?;
        let delay = TimeDelta::from_std(work.rules.arrival_delay).unwrap_or_default();
        let payout = Payout {
            id,
            account_id: work.account.clone(),
            amount: self.amount,
            currency: self.currency.code.to_owned(),
            destination: bank_account,
            balance_transaction,
            description: self.description,
            statement_descriptor: self.statement_descriptor,
            status: "pending".to_owned(),
            metadata: Json(self.metadata),
            created_at: work.now,
            // When the bank gets to know of it is our assumption: half-way. Stripe does not say.
            submit_at: work.now + TimeDelta::seconds(delay.num_seconds() / 2),
            arrival_at: work.now + delay,
            fails_with,
            failure_code: None,
            failure_balance_transaction: None,
        };
        sqlx::query(
            "INSERT INTO payouts (id, account_id, amount, currency, destination, balance_transaction, description,
                statement_descriptor, status, metadata, created_at, submit_at, arrival_at, fails_with)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&payout.id)
        .bind(&payout.account_id)
        .bind(payout.amount)
        .bind(&payout.currency)
        .bind(&payout.destination)
        .bind(&payout.balance_transaction)
        .bind(&payout.description)
        .bind(&payout.statement_descriptor)
        .bind(&payout.status)
        .bind(&payout.metadata)
        .bind(payout.created_at)
        .bind(payout.submit_at)
        .bind(payout.arrival_at)
        .bind(&payout.fails_with)
        .execute(&mut *work.connection)
        .await?;
        work.happened("payout.created", payout.show());
        Ok(Outcome::ok(payout.show()))
    }
}
