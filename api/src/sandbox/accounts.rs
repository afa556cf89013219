//! Connected accounts. In the sandbox they are ready at once: no onboarding, a bank account from the start.
//!
//! # What is deliberately absent
//! Onboarding, requirements, capabilities that change, several bank accounts.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::object::Account;
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// `POST /v1/accounts`.
#[derive(Debug)]
pub(super) struct CreateAccount {
    account_type: &'static str,
    country: String,
    default_currency: &'static str,
    email: Option<String>,
    business_type: Option<String>,
    metadata: Metadata,
}

impl CreateAccount {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        let account_type = match (form.text("type").as_deref(), form.has("controller")) {
            (Some("standard") | None, false) => "standard",
            (Some("express"), false) => "express",
            (Some("custom"), false) => "custom",
            // With `controller` the type says nothing any more (https://docs.stripe.com/connect/accounts).
            (None | Some("none"), _) => "none",
            (Some(_), true) => {
                return Err(Refusal::invalid("type", "You may not provide the `type` parameter with `controller`."));
            }
            (Some(other), false) => return Err(Refusal::invalid("type", format!("Invalid type: {other}"))),
        };
        let country = form.text("country").unwrap_or_else(|| "US".to_owned());
        if country.len() != 2 || !country.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(Refusal::invalid(
                "country",
                format!("Country '{country}' is unknown. Try two capital letters."),
            ));
        }
        let default_currency = match form.text("default_currency") {
            Some(_) => form.named_currency("default_currency")?.code,
            None => currency_of(&country),
        };
        let business_type = form.text("business_type");
        if let Some(other) = &business_type
            && !["company", "government_entity", "individual", "non_profit"].contains(&other.as_str())
        {
            return Err(Refusal::invalid("business_type", format!("Invalid business_type: {other}")));
        }
        let email = form.text("email");
        Ok(Self { account_type, country, default_currency, email, business_type, metadata: form.metadata()? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        if work.account != work.platform_account {
            return Err(Refusal::NoAccess { account: work.account.clone() }.into());
        }
        let account = Account {
            id: identifier::new("acct"),
            platform: false,
            account_type: self.account_type.to_owned(),
            country: self.country,
            default_currency: self.default_currency.to_owned(),
            email: self.email,
            business_type: self.business_type,
            bank_account: identifier::new("ba"),
            metadata: Json(self.metadata),
            created_at: work.now,
        };
        insert(work.connection, &account).await?;
        Ok(Outcome::ok(account.show()))
    }
}

/// The platform's own account, made once when the schema is new.
pub(super) fn platform(created_at: DateTime<Utc>) -> Account {
    Account {
        id: identifier::new("acct"),
        platform: true,
        account_type: "standard".to_owned(),
        country: "US".to_owned(),
        default_currency: "usd".to_owned(),
        email: None,
        business_type: None,
        bank_account: identifier::new("ba"),
        metadata: Json(Metadata::new()),
        created_at,
    }
}

/// Stores an account.
pub(super) async fn insert(connection: &mut PgConnection, account: &Account) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO accounts (id, platform, account_type, country, default_currency, email, business_type, bank_account,
            metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&account.id)
    .bind(account.platform)
    .bind(&account.account_type)
    .bind(&account.country)
    .bind(&account.default_currency)
    .bind(&account.email)
    .bind(&account.business_type)
    .bind(&account.bank_account)
    .bind(&account.metadata)
    .bind(account.created_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// The currency that a new account has in a country; US dollars where we do not know better.
fn currency_of(country: &str) -> &'static str {
    const EURO: &[&str] = &[
        "AT", "BE", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PT",
        "SI", "SK",
    ];
    let code = match country {
        "AE" => "aed",
        "AU" => "aud",
        "BR" => "brl",
        "CA" => "cad",
        "CH" | "LI" => "chf",
        "CZ" => "czk",
        "DK" => "dkk",
        "GB" => "gbp",
        "HK" => "hkd",
        "HU" => "huf",
        "IN" => "inr",
        "JP" => "jpy",
        "KW" => "kwd",
        "MX" => "mxn",
        "MY" => "myr",
        "NO" => "nok",
        "NZ" => "nzd",
        "PL" => "pln",
        "RO" => "ron",
        "SE" => "sek",
        "SG" => "sgd",
        "TH" => "thb",
        country if EURO.contains(&country) => "eur",
        _ => "usd",
    };
    debug_assert!(Currency::get(code).is_some(), "the table names currencies that the sandbox takes");
    code
}
