//! How connected accounts are onboarded, restricted and taken away: by the page that an account link leads to, and by the
//! sandbox's own controls.
//!
//! # Invariants
//! - A link is a key to one account: it is used once, and for five minutes.
//!
//! # What is deliberately absent
//! What Stripe asks a person for. One click gives everything that is due.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

use axum::http::StatusCode;

use super::accounts::{connected, shown, tell_updated};
use super::bank_accounts::{self, Details, GOOD_NUMBER};
use super::events::NewEvent;
use super::fee::Currency;
use super::form::Form;
use super::identifier;
use super::moves::Entry;
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// How long a link can be used. Stripe says "a few minutes".
const LINK_LASTS: TimeDelta = TimeDelta::minutes(5);

/// `POST /v1/account_links`.
#[derive(Debug)]
pub(super) struct MakeLink {
    account: String,
    return_url: String,
}

impl MakeLink {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        let kind = form.required("type")?;
        if !["account_onboarding", "account_update"].contains(&kind.as_str()) {
            return Err(Refusal::invalid("type", format!("Invalid type: {kind}")));
        }
        for name in ["refresh_url", "return_url"] {
            let url = form.required(name)?;
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(Refusal::invalid(name, "Not a valid URL"));
            }
        }
        Ok(Self { account: form.required("account")?, return_url: form.required("return_url")? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        connected(work, &self.account).await?;
        let (token, expires_at) = (identifier::secret(), work.now + LINK_LASTS);
        sqlx::query("INSERT INTO account_links (token, account_id, return_url, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(&token)
            .bind(&self.account)
            .bind(&self.return_url)
            .bind(expires_at)
            .execute(&mut *work.connection)
            .await?;
        Ok(Outcome::ok(json!({
            "object": "account_link", "created": work.now.timestamp(), "expires_at": expires_at.timestamp(),
            "url": format!("{}/_sandbox/onboarding/{token}", work.base_url),
        })))
    }
}

/// Where a link leads: the account, and where its owner goes afterwards. `None` for one that cannot be used (any more).
pub(super) async fn link(
    connection: &mut PgConnection,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT account_id, return_url FROM account_links WHERE token = $1 AND NOT used AND expires_at > $2")
        .bind(token)
        .bind(now)
        .fetch_optional(connection)
        .await
}

/// Everything that is due is given.
#[derive(Debug)]
pub(super) struct Onboard {
    by: By,
    account_number: Option<String>,
}

/// Who says so.
#[derive(Debug)]
enum By {
    /// The owner, on the page of a link.
    Link(String),
    /// A test.
    Account(String),
}

impl Onboard {
    pub(super) fn by_link(token: String, form: &Form) -> Self {
        Self { by: By::Link(token), account_number: form.text("account_number") }
    }

    pub(super) fn of_account(id: String, form: &Form) -> Self {
        Self { by: By::Account(id), account_number: form.text("account_number") }
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let (id, return_url) = match self.by {
            By::Account(id) => (id, None),
            By::Link(token) => {
                let gone = || Refusal::BadRequest {
                    status: StatusCode::GONE,
                    message: "This link was used, or has expired. Ask for another one.".to_owned(),
                };
                let (account, return_url) = link(work.connection, &token, work.now).await?.ok_or_else(gone)?;
                connected(work, &account).await?;
                let used = sqlx::query("UPDATE account_links SET used = true WHERE token = $1 AND NOT used")
                    .bind(&token)
                    .execute(&mut *work.connection)
                    .await?;
                if used.rows_affected() == 0 {
                    return Err(gone().into());
                }
                (account, Some(return_url))
            }
        };
        let account = connected(work, &id).await?;
        sqlx::query(
            "UPDATE accounts SET transfers = 'active', payouts_enabled = true, submitted = true, currently_due = '{}',
                past_due = '{}', due_by = null, disabled_reason = null
             WHERE id = $1",
        )
        .bind(&id)
        .execute(&mut *work.connection)
        .await?;
        if self.account_number.is_some() || account.bank_accounts.is_empty() {
            let number = self.account_number.as_deref().unwrap_or(GOOD_NUMBER);
            let details = Details::of(&account.country, &account.default_currency, number);
            bank_accounts::add(work, &id, details, true).await?;
        }
        tell_updated(work, &id).await?;
        let mut value = shown(work.connection, &id).await?;
        if let Some(url) = return_url {
            value = json!({ "return_url": url });
        }
        Ok(Outcome::ok(value))
    }
}

/// The provider wants something of the account, or does not want the account.
#[derive(Debug)]
pub(super) struct Restrict {
    id: String,
    currently_due: Vec<String>,
    past_due: Vec<String>,
    due_by: Option<DateTime<Utc>>,
    disabled_reason: Option<String>,
    transfers: bool,
    payouts: bool,
}

impl Restrict {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let due_by = match form.text("current_deadline") {
            None => None,
            Some(text) => {
                let instant = text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
                Some(instant.ok_or_else(|| Refusal::invalid("current_deadline", "Invalid timestamp"))?)
            }
        };
        Ok(Self {
            id,
            currently_due: form.texts("currently_due"),
            past_due: form.texts("past_due"),
            due_by,
            disabled_reason: form.text("disabled_reason"),
            transfers: form.boolean("transfers_enabled")?.unwrap_or(false),
            payouts: form.boolean("payouts_enabled")?.unwrap_or(false),
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        connected(work, &self.id).await?;
        sqlx::query(
            "UPDATE accounts SET transfers = $2, payouts_enabled = $3, currently_due = $4, past_due = $5, due_by = $6,
                disabled_reason = $7
             WHERE id = $1",
        )
        .bind(&self.id)
        .bind(if self.transfers { "active" } else { "inactive" })
        .bind(self.payouts)
        .bind(&self.currently_due)
        .bind(&self.past_due)
        .bind(self.due_by)
        .bind(&self.disabled_reason)
        .execute(&mut *work.connection)
        .await?;
        tell_updated(work, &self.id).await?;
        Ok(Outcome::ok(shown(work.connection, &self.id).await?))
    }
}

/// The owner takes the platform's access away. Objects of the account cannot be read any more; what was transferred to it
/// can be reversed, since transfers are the platform's.
#[derive(Debug)]
pub(super) struct Deauthorize(pub(super) String);

impl Deauthorize {
    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        connected(work, &self.0).await?;
        sqlx::query("UPDATE accounts SET deauthorized = true WHERE id = $1")
            .bind(&self.0)
            .execute(&mut *work.connection)
            .await?;
        let application = json!({ "id": "ca_sandbox", "object": "application", "name": "Sandbox platform" });
        let event = NewEvent::new("account.application.deauthorized", &self.0, work.now, application);
        work.happened.push(event.by_itself());
        Ok(Outcome::ok(json!({ "stripe_user_id": self.0 })))
    }
}

/// The provider closes the account. Its last word is that the account can do nothing; after it the platform has no access.
/// What was transferred to it can be reversed.
#[derive(Debug)]
pub(super) struct Close(pub(super) String);

impl Close {
    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        connected(work, &self.0).await?;
        sqlx::query(
            "UPDATE accounts SET transfers = 'inactive', payouts_enabled = false, disabled_reason = 'rejected.other'
             WHERE id = $1",
        )
        .bind(&self.0)
        .execute(&mut *work.connection)
        .await?;
        tell_updated(work, &self.0).await?;
        let value = shown(work.connection, &self.0).await?;
        sqlx::query("UPDATE accounts SET deauthorized = true WHERE id = $1")
            .bind(&self.0)
            .execute(&mut *work.connection)
            .await?;
        Ok(Outcome::ok(value))
    }
}

/// Something is taken from the balance of the account, or given to it: also below zero.
#[derive(Debug)]
pub(super) struct Adjust {
    id: String,
    amount: i64,
    currency: Currency,
}

impl Adjust {
    /// `amount` is signed.
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let amount = form.required("amount")?.parse::<i64>().ok().filter(|amount| *amount != 0);
        let amount = amount.filter(|amount| amount.abs() <= 999_999_999_999);
        let amount = amount.ok_or_else(|| Refusal::invalid("amount", "A signed integer other than zero"))?;
        Ok(Self { id, amount, currency: form.currency()? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        connected(work, &self.id).await?;
        sqlx::query(
            "INSERT INTO balances (account_id, currency, available, may_be_negative) VALUES ($1, $2, $3, true)
             ON CONFLICT (account_id, currency) DO UPDATE
                SET available = balances.available + excluded.available, may_be_negative = true",
        )
        .bind(&self.id)
        .bind(self.currency.code)
        .bind(self.amount)
        .execute(&mut *work.connection)
        .await?;
        let source = identifier::new("adj");
        let entry = Entry {
            account: &self.id,
            amount: self.amount,
            fee: 0,
            currency: self.currency.code,
            kind: "adjustment",
            source: &source,
            description: None,
            available_on: work.now,
        };
        entry.insert(work).await?;
        let balance = super::object::balance(work.connection, &self.id).await?;
        work.happened.push(NewEvent::new("balance.available", &self.id, work.now, balance.clone()).by_itself());
        Ok(Outcome::ok(balance))
    }
}
