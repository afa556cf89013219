//! Bank accounts that connected accounts are paid out to, and what becomes of payouts to them.
//!
//! # Invariants
//! - An account has at most one default bank account per currency; payouts go there.
//!
//! # Assumptions
//! Stripe's test numbers fail as its testing page says (<https://docs.stripe.com/connect/testing#account-numbers>). Every
//! other number of 4 to 34 letters and digits takes payouts; Stripe itself refuses those in test mode.
//!
//! # What is deliberately absent
//! Debit cards, verification, changes of a bank account's holder.

use sqlx::PgConnection;
use sqlx::types::Json;

use super::accounts;
use super::events::NewEvent;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::object::{Account, BankAccount};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// The number that takes everything.
pub(super) const GOOD_NUMBER: &str = "000123456789";

/// How test numbers end, and the code with which payouts to them fail. An IBAN of any country will do.
const FAILING: &[(&str, &str)] = &[
    ("11111116", "no_account"),
    ("11111113", "account_closed"),
    ("22222227", "insufficient_funds"),
    ("33333335", "debit_not_authorized"),
    ("44444440", "invalid_currency"),
    ("0532013001", "no_account"),
    ("0532013002", "account_closed"),
    ("0532013003", "insufficient_funds"),
    ("0532013004", "debit_not_authorized"),
    ("0532013005", "invalid_currency"),
];

/// Tokens that need not be made first, and their numbers (<https://docs.stripe.com/connect/testing#payouts>).
const TEST_TOKENS: &[(&str, &str)] = &[
    ("btok_us", GOOD_NUMBER),
    ("btok_us_verified", GOOD_NUMBER),
    ("btok_us_verified_noAccount", "000111111116"),
    ("btok_us_verified_accountClosed", "000111111113"),
    ("btok_us_verified_insufficientFunds", "000222222227"),
    ("btok_us_verified_debitNotAuthorized", "000333333335"),
    ("btok_us_verified_invalidCurrency", "000444444440"),
];

/// The code with which the bank refuses payouts to this number; `None` when it takes them.
pub(super) fn fails_with(number: &str) -> Option<&'static str> {
    FAILING.iter().find(|(end, _)| number.ends_with(end)).map(|(_, code)| *code)
}

/// A bank account that is named in a request: itself, or by its token.
#[derive(Debug, Clone)]
pub(super) enum External {
    Token(String),
    Details(Details),
}

/// What is told of a bank account.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Details {
    country: String,
    currency: String,
    account_number: String,
    routing_number: Option<String>,
    account_holder_name: Option<String>,
}

impl Details {
    /// A number for payouts in a currency.
    pub(super) fn of(country: &str, currency: &str, account_number: &str) -> Self {
        Self {
            country: country.to_owned(),
            currency: currency.to_owned(),
            account_number: account_number.to_owned(),
            routing_number: Some("110000000".to_owned()),
            account_holder_name: None,
        }
    }

    fn read(form: &Form, at: &'static str) -> Result<Self, Refusal> {
        let needed = |name: &str| {
            form.inner_text(at, name).ok_or_else(|| Refusal::Invalid {
                param: format!("{at}[{name}]"),
                code: Some("parameter_missing"),
                message: format!("Missing required param: {at}[{name}]."),
            })
        };
        let currency = needed("currency")?;
        if Currency::get(&currency).is_none() {
            return Err(Refusal::invalid(format!("{at}[currency]"), format!("Invalid currency: {currency}")));
        }
        let account_number = needed("account_number")?;
        let plain = account_number.bytes().all(|letter| letter.is_ascii_alphanumeric());
        if !(4..=34).contains(&account_number.len()) || !plain {
            return Err(Refusal::Invalid {
                param: format!("{at}[account_number]"),
                code: Some("account_number_invalid"),
                message: "A bank account number has 4 to 34 letters and digits.".to_owned(),
            });
        }
        Ok(Self {
            country: needed("country")?,
            currency,
            account_number,
            routing_number: form.inner_text(at, "routing_number"),
            account_holder_name: form.inner_text(at, "account_holder_name"),
        })
    }
}

impl External {
    /// The `external_account`; `None` when there is none.
    pub(super) fn read(form: &Form) -> Result<Option<Self>, Refusal> {
        match form.text("external_account") {
            Some(token) => Ok(Some(Self::Token(token))),
            None if form.has("external_account") => Ok(Some(Self::Details(Details::read(form, "external_account")?))),
            None => Ok(None),
        }
    }

    /// The details. A token that was made is used up.
    pub(super) async fn resolve(&self, connection: &mut PgConnection) -> Result<Details, Failure> {
        let token = match self {
            Self::Details(details) => return Ok(details.clone()),
            Self::Token(token) => token,
        };
        if let Some((_, number)) = TEST_TOKENS.iter().find(|(known, _)| known == token) {
            return Ok(Details::of("US", "usd", number));
        }
        let details = sqlx::query_as(
            "UPDATE bank_tokens SET used = true WHERE id = $1 AND NOT used
             RETURNING country, currency, account_number, routing_number, account_holder_name",
        )
        .bind(token)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(details) = details {
            return Ok(details);
        }
        let used: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM bank_tokens WHERE id = $1)")
            .bind(token)
            .fetch_one(&mut *connection)
            .await?;
        if used {
            return Err(Refusal::Invalid {
                param: "external_account".to_owned(),
                code: Some("token_already_used"),
                message: "You cannot use a Stripe token more than once.".to_owned(),
            }
            .into());
        }
        Err(Refusal::NoSuch { noun: "token", id: token.clone(), param: "external_account" }.into())
    }
}

/// Adds a bank account and tells of it. The first one for a currency is its default.
pub(super) async fn add(
    work: &mut Work<'_>,
    account_id: &str,
    details: Details,
    default: bool,
) -> Result<BankAccount, sqlx::Error> {
    let bank = store(work.connection, account_id, details, default, work.now).await?;
    work.happened.push(NewEvent::new("account.external_account.created", account_id, work.now, bank.show()));
    Ok(bank)
}

/// Adds the bank account that an account has which is ready at once.
pub(super) async fn add_first(connection: &mut PgConnection, account: &Account) -> Result<(), sqlx::Error> {
    let details = Details::of(&account.country, &account.default_currency, GOOD_NUMBER);
    store(connection, &account.id, details, true, account.created_at).await.map(|_| ())
}

async fn store(
    connection: &mut PgConnection,
    account_id: &str,
    details: Details,
    default: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<BankAccount, sqlx::Error> {
    let known: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM bank_accounts WHERE account_id = $1 AND currency = $2 AND default_for_currency)",
    )
    .bind(account_id)
    .bind(&details.currency)
    .fetch_one(&mut *connection)
    .await?;
    let default = default || !known;
    if default && known {
        // The provider replaces the bank account for a currency; the old one is not kept.
        sqlx::query("DELETE FROM bank_accounts WHERE account_id = $1 AND currency = $2 AND default_for_currency")
            .bind(account_id)
            .bind(&details.currency)
            .execute(&mut *connection)
            .await?;
    }
    let bank = BankAccount {
        id: identifier::new("ba"),
        account_id: account_id.to_owned(),
        country: details.country,
        currency: details.currency,
        account_number: details.account_number,
        routing_number: details.routing_number,
        account_holder_name: details.account_holder_name,
        default_for_currency: default,
        status: "new".to_owned(),
        metadata: Json(Metadata::new()),
        created_at: now,
    };
    sqlx::query(
        "INSERT INTO bank_accounts (id, account_id, country, currency, account_number, routing_number,
            account_holder_name, default_for_currency, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&bank.id)
    .bind(&bank.account_id)
    .bind(&bank.country)
    .bind(&bank.currency)
    .bind(&bank.account_number)
    .bind(&bank.routing_number)
    .bind(&bank.account_holder_name)
    .bind(bank.default_for_currency)
    .bind(&bank.metadata)
    .bind(bank.created_at)
    .execute(connection)
    .await?;
    Ok(bank)
}

/// `POST /v1/accounts/{id}/external_accounts`.
#[derive(Debug)]
pub(super) struct AddBankAccount {
    account_id: String,
    external: External,
    default_for_currency: bool,
}

impl AddBankAccount {
    pub(super) fn parse(account_id: String, form: &Form) -> Result<Self, Refusal> {
        let external = External::read(form)?.ok_or(Refusal::Missing { param: "external_account" })?;
        Ok(Self { account_id, external, default_for_currency: form.boolean("default_for_currency")?.unwrap_or(false) })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        accounts::connected(work, &self.account_id).await?;
        let details = self.external.resolve(work.connection).await?;
        let bank = add(work, &self.account_id, details, self.default_for_currency).await?;
        accounts::tell_updated(work, &self.account_id).await?;
        Ok(Outcome::ok(bank.show()))
    }
}

/// `POST /v1/tokens`, of a bank account.
#[derive(Debug)]
pub(super) struct MakeToken(Details);

impl MakeToken {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        if !form.has("bank_account") {
            return Err(Refusal::Missing { param: "bank_account" });
        }
        Ok(Self(Details::read(form, "bank_account")?))
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let Self(details) = self;
        let id = identifier::new("btok");
        sqlx::query(
            "INSERT INTO bank_tokens (id, country, currency, account_number, routing_number, account_holder_name)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&id)
        .bind(&details.country)
        .bind(&details.currency)
        .bind(&details.account_number)
        .bind(&details.routing_number)
        .bind(&details.account_holder_name)
        .execute(&mut *work.connection)
        .await?;
        let bank = BankAccount {
            id: identifier::new("ba"),
            account_id: String::new(),
            country: details.country,
            currency: details.currency,
            account_number: details.account_number,
            routing_number: details.routing_number,
            account_holder_name: details.account_holder_name,
            default_for_currency: false,
            status: "new".to_owned(),
            metadata: Json(Metadata::new()),
            created_at: work.now,
        };
        let mut shown = bank.show();
        if let Some(members) = shown.as_object_mut() {
            // A bank account that is nobody's yet does not say whose it is.
            for name in ["account", "available_payout_methods", "default_for_currency", "metadata"] {
                members.remove(name);
            }
        }
        Ok(Outcome::ok(serde_json::json!({
            "id": id, "object": "token", "bank_account": shown, "client_ip": null, "created": work.now.timestamp(),
            "livemode": false, "type": "bank_account", "used": false,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_numbers_of_all_countries_say_how_payouts_end() {
        for number in ["000123456789", "00012345", "DE89370400440532013000", "FR1420041010050500013M02606"] {
            assert_eq!(fails_with(number), None, "{number}");
        }
        for (number, code) in [
            ("000111111116", "no_account"),
            ("000111111113", "account_closed"),
            ("11111113", "account_closed"),
            ("DE89370400440532013002", "account_closed"),
            ("000222222227", "insufficient_funds"),
            ("000333333335", "debit_not_authorized"),
            ("000444444440", "invalid_currency"),
        ] {
            assert_eq!(fails_with(number), Some(code), "{number}");
        }
    }
}
