//! Connected accounts: how they are made and changed. How they are onboarded and restricted is in `onboarding`.
//!
//! # Assumptions
//! Who asks for `capabilities` when making an account gets one that has to be onboarded first, as at Stripe. Who asks for
//! none gets one that is ready at once, with a bank account that takes everything: so a test needs one call.
//!
//! # What is deliberately absent
//! Persons, documents, single capabilities: `transfers` and `card_payments` go together.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::bank_accounts::{self, External};
use super::events::NewEvent;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::object::{self, Account};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal};

/// What a payee has to give before it is paid, by Stripe's names.
pub(super) const DUE_AT_FIRST: &[&str] = &[
    "external_account",
    "individual.dob.day",
    "individual.dob.month",
    "individual.dob.year",
    "individual.first_name",
    "individual.last_name",
    "tos_acceptance.date",
    "tos_acceptance.ip",
];

/// Stripe's words for how often it pays out by itself.
const INTERVALS: &[&str] = &["manual", "daily", "weekly", "monthly"];

/// `POST /v1/accounts`.
#[derive(Debug)]
pub(super) struct CreateAccount {
    account_type: &'static str,
    country: String,
    default_currency: &'static str,
    email: Option<String>,
    business_type: Option<String>,
    metadata: Metadata,
    payout_interval: Option<String>,
    external: Option<External>,
    ready: bool,
}

/// `POST /v1/accounts/{id}`.
#[derive(Debug)]
pub(super) struct UpdateAccount {
    id: String,
    metadata: Metadata,
    payout_interval: Option<String>,
    external: Option<External>,
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
        let (metadata, payout_interval) = (form.metadata()?, payout_interval(form)?);
        let external = External::read(form)?;
        let ready = !form.has("capabilities");
        Ok(Self {
            account_type,
            country,
            default_currency,
            email,
            business_type,
            metadata,
            payout_interval,
            external,
            ready,
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        if work.account != work.platform_account {
            return Err(Refusal::NoAccess { account: work.account.clone() }.into());
        }
        let account = Account {
            account_type: self.account_type.to_owned(),
            country: self.country,
            default_currency: self.default_currency.to_owned(),
            email: self.email,
            business_type: self.business_type,
            metadata: Json(self.metadata),
            // Stripe's own default is daily; an account that was ready at once has always been the platform's to pay.
            payout_interval: self
                .payout_interval
                .unwrap_or_else(|| if self.ready { "manual" } else { "daily" }.to_owned()),
            ..blank(work.now)
        };
        let account = if self.ready {
            account
        } else {
            let due: Vec<_> = DUE_AT_FIRST.iter().map(|name| (*name).to_owned()).collect();
            Account {
                transfers: "inactive".to_owned(),
                payouts_enabled: false,
                submitted: false,
                past_due: due.clone(),
                currently_due: due,
                disabled_reason: Some("requirements.past_due".to_owned()),
                ..account
            }
        };
        let bank = match &self.external {
            Some(external) => Some(external.resolve(work.connection).await?),
            None => None,
        };
        insert(work.connection, &account).await?;
        if let Some(bank) = bank {
            bank_accounts::add(work, &account.id, bank, true).await?;
        } else if self.ready {
            bank_accounts::add_first(work.connection, &account).await?;
        }
        Ok(Outcome::ok(shown(work.connection, &account.id).await?))
    }
}

impl UpdateAccount {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        form.refuse(&["capabilities", "country"])?;
        let (metadata, payout_interval) = (form.metadata()?, payout_interval(form)?);
        Ok(Self { id, metadata, payout_interval, external: External::read(form)? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let account = connected(work, &self.id).await?;
        let bank = match &self.external {
            Some(external) => Some(external.resolve(work.connection).await?),
            None => None,
        };
        let mut metadata = account.metadata.0;
        metadata.extend(self.metadata);
        sqlx::query("UPDATE accounts SET metadata = $2, payout_interval = $3 WHERE id = $1")
            .bind(&self.id)
            .bind(Json(metadata))
            .bind(self.payout_interval.unwrap_or(account.payout_interval))
            .execute(&mut *work.connection)
            .await?;
        if let Some(bank) = bank {
            bank_accounts::add(work, &self.id, bank, true).await?;
        }
        tell_updated(work, &self.id).await?;
        Ok(Outcome::ok(shown(work.connection, &self.id).await?))
    }
}

fn payout_interval(form: &Form) -> Result<Option<String>, Refusal> {
    let path = ["settings", "payouts", "schedule", "interval"];
    match form.deep_text(&path) {
        Some(interval) if !INTERVALS.contains(&interval.as_str()) => {
            Err(Refusal::invalid("settings[payouts][schedule][interval]", format!("Invalid interval: {interval}")))
        }
        interval => Ok(interval),
    }
}

/// A connected account that the platform has access to, locked until the transaction ends.
pub(super) async fn connected(work: &mut Work<'_>, id: &str) -> Result<Account, Failure> {
    if work.account != work.platform_account {
        return Err(Refusal::NoAccess { account: work.account.clone() }.into());
    }
    sqlx::query("SELECT FROM accounts WHERE id = $1 FOR UPDATE").bind(id).execute(&mut *work.connection).await?;
    let account = object::account(work.connection, id).await?;
    let account = account.filter(|account| !account.platform && !account.deauthorized);
    account.ok_or_else(|| Refusal::NoAccess { account: id.to_owned() }.into())
}

/// The account as it stands now.
pub(super) async fn shown(connection: &mut PgConnection, id: &str) -> Result<serde_json::Value, sqlx::Error> {
    Ok(object::account(connection, id).await?.map(|account| account.show()).unwrap_or_default())
}

/// Tells the platform that an account has changed.
pub(super) async fn tell_updated(work: &mut Work<'_>, id: &str) -> Result<(), sqlx::Error> {
    let now = shown(work.connection, id).await?;
    work.happened.push(NewEvent::new("account.updated", id, work.now, now));
    Ok(())
}

/// The platform's own account, made once when the schema is new.
pub(super) fn platform(created_at: DateTime<Utc>) -> Account {
    Account { platform: true, ..blank(created_at) }
}

/// A new account that is ready.
fn blank(created_at: DateTime<Utc>) -> Account {
    Account {
        id: identifier::new("acct"),
        platform: false,
        account_type: "standard".to_owned(),
        country: "US".to_owned(),
        default_currency: "usd".to_owned(),
        email: None,
        business_type: None,
        metadata: Json(Metadata::new()),
        created_at,
        transfers: "active".to_owned(),
        payouts_enabled: true,
        submitted: true,
        currently_due: Vec::new(),
        past_due: Vec::new(),
        due_by: None,
        disabled_reason: None,
        payout_interval: "manual".to_owned(),
        deauthorized: false,
        bank_accounts: Vec::new(),
    }
}

/// Stores an account.
pub(super) async fn insert(connection: &mut PgConnection, account: &Account) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO accounts (id, platform, account_type, country, default_currency, email, business_type, metadata,
            created_at, transfers, payouts_enabled, submitted, currently_due, past_due, disabled_reason, payout_interval)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(&account.id)
    .bind(account.platform)
    .bind(&account.account_type)
    .bind(&account.country)
    .bind(&account.default_currency)
    .bind(&account.email)
    .bind(&account.business_type)
    .bind(&account.metadata)
    .bind(account.created_at)
    .bind(&account.transfers)
    .bind(account.payouts_enabled)
    .bind(account.submitted)
    .bind(&account.currently_due)
    .bind(&account.past_due)
    .bind(&account.disabled_reason)
    .bind(&account.payout_interval)
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
