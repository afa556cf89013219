//! Accounts of payees at Stripe: made, onboarded, read.
//!
//! # Invariants
//! - An account is made with manual payouts: the engine decides when money goes to a bank.
//! - A status that is not known is no report: the notice is parked.
//! - Names of what is demanded are read, never values; and of a bank account its fingerprint.
//! - An account has ended only where Stripe says that our key has no access to it *and* either that its owner has taken the
//!   access away, or that the key is good for the platform itself. A key that is not taken ends nobody's account.
//!
//! # What is deliberately absent
//! Persons, documents: a payee gives them on Stripe's own pages. The terms of Stripe's second API for accounts.

use std::collections::HashMap;

use ::stripe::StripeRequest;
use chrono::{DateTime, Utc};
use domain::id::{OnboardingLinkId, PartyId};
use domain::jurisdiction::Jurisdiction;
use domain::party::{AccountEnd, AccountStatus, BankDestination, Requirements, Shortfall};
use domain::ports::provider::{AccountReport, OnboardingLinkReport, ProviderError, ProviderReport};
use ledger::Currency;
use miniserde::json;
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_connect::account::{
    CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers, CreateAccountController,
    CreateAccountControllerFees, CreateAccountControllerFeesPayer, CreateAccountControllerLosses,
    CreateAccountControllerLossesPayments, CreateAccountControllerRequirementCollection,
    CreateAccountControllerStripeDashboard, CreateAccountControllerStripeDashboardType, CreateAccountSettings,
    CreateAccountSettingsPayouts, CreateAccountSettingsPayoutsSchedule, CreateAccountSettingsPayoutsScheduleInterval,
    RetrieveAccount, RetrieveForMyAccountAccount,
};
use stripe_connect::account_link::{CreateAccountLink, CreateAccountLinkType};
use stripe_connect::external_account::CreateAccountExternalAccount;
use stripe_shared::{Account, AccountCapabilitiesStatus, ApiErrorsCode, ExternalAccount};

use super::failure;
use super::provider::{account_id, from_stripe, instant, minor, once};
use super::transport::{Client, StripeError};

/// Our name of this provider.
const PSP: &str = "stripe";

/// Makes an account that Stripe lets the platform transfer to, and onboards on its own pages. The platform answers for its
/// losses and says where it is paid to (<https://docs.stripe.com/connect/migrate-to-controller-properties>).
pub(super) async fn create(
    client: &Client,
    party_id: PartyId,
    country: &Jurisdiction,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let asked_at = now();
    let controller = CreateAccountController {
        fees: Some(CreateAccountControllerFees { payer: Some(CreateAccountControllerFeesPayer::Application) }),
        losses: Some(CreateAccountControllerLosses {
            payments: Some(CreateAccountControllerLossesPayments::Application),
        }),
        requirement_collection: Some(CreateAccountControllerRequirementCollection::Application),
        stripe_dashboard: Some(CreateAccountControllerStripeDashboard {
            type_: Some(CreateAccountControllerStripeDashboardType::None),
        }),
    };
    let mut capabilities = CreateAccountCapabilities::new();
    capabilities.transfers = Some(CreateAccountCapabilitiesTransfers { requested: Some(true) });
    let mut schedule = CreateAccountSettingsPayoutsSchedule::new();
    schedule.interval = Some(CreateAccountSettingsPayoutsScheduleInterval::Manual);
    let mut payouts = CreateAccountSettingsPayouts::new();
    (payouts.schedule, payouts.debit_negative_balances) = (Some(schedule), Some(false));
    let mut settings = CreateAccountSettings::new();
    settings.payouts = Some(payouts);
    let account = CreateAccount::new()
        .controller(controller)
        .capabilities(capabilities)
        .country(country.country())
        .settings(settings)
        .metadata(HashMap::from([("party_id".to_owned(), party_id.to_string())]))
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    // It is new: there is nothing in its balance.
    report(&account, Some(party_id), Vec::new(), asked_at)
}

/// Makes a link to Stripe's pages; its owner comes back to `return_url`, also from a link that has expired.
pub(super) async fn link(
    client: &Client,
    (link_id, account): (OnboardingLinkId, &str),
    return_url: &str,
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let link = CreateAccountLink::new(account, CreateAccountLinkType::AccountOnboarding)
        .refresh_url(return_url)
        .return_url(return_url)
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    let expires_at = instant(link.expires_at)?;
    Ok(ProviderReport::OnboardingLink(OnboardingLinkReport { link_id, url: link.url, expires_at }))
}

/// Makes a bank account the default of its currency, and tells of the account as it is then.
pub(super) async fn set_destination(
    client: &Client,
    (party_id, account): (PartyId, &str),
    (currency, token): (Currency, &str),
    idempotency_key: &str,
) -> Result<ProviderReport, ProviderError> {
    let added = CreateAccountExternalAccount::new(account_id(account)?, token)
        .default_for_currency(true)
        .customize()
        .request_strategy(once(idempotency_key)?)
        .send(client)
        .await
        .map_err(|error| failure::of(&error))?;
    if let ExternalAccount::BankAccount(bank) = &added
        && from_stripe(&bank.currency)? != currency
    {
        tracing::warn!(account, %currency, "the bank account takes another currency than was named");
    }
    Box::pin(read(client, Some(party_id), account)).await
}

/// What is so of an account.
pub(super) async fn read(
    client: &Client,
    party_id: Option<PartyId>,
    account: &str,
) -> Result<ProviderReport, ProviderError> {
    let asked_at = now();
    let found = RetrieveAccount::new(account_id(account)?).send(client).await;
    let found = found.map_err(|error| failure::of(&error))?;
    let shortfalls = shortfalls(client, account).await?;
    report(&found, party_id, shortfalls, asked_at)
}

/// What is so of an account of which a notice told. One that the platform has no access to any more has ended.
/// `deauthorized`: Stripe has told that its owner has taken the access away, which proves it together with the refusal.
pub(super) async fn look_up(
    client: &Client,
    account: &str,
    deauthorized: bool,
) -> Result<ProviderReport, ProviderError> {
    let asked_at = now();
    let error = match RetrieveAccount::new(account_id(account)?).send(client).await {
        Ok(found) => {
            let shortfalls = shortfalls(client, account).await?;
            return report(&found, None, shortfalls, asked_at);
        }
        Err(error) => error,
    };
    if !is_gone(&error) {
        return Err(failure::of(&error));
    }
    if !deauthorized {
        // It may be the key that has no access to anything.
        platform(client).await?;
    }
    let end = if deauthorized { AccountEnd::Deauthorized } else { AccountEnd::Closed };
    Ok(ProviderReport::Account(AccountReport {
        psp: PSP.to_owned(),
        party_id: None,
        status: AccountStatus {
            psp_account: account.to_owned(),
            told_at: asked_at,
            requirements: Requirements::default(),
            destinations: Vec::new(),
            shortfalls: Vec::new(),
            end: Some(end),
        },
    }))
}

/// The id of the account that the key belongs to.
pub(super) async fn platform(client: &Client) -> Result<String, ProviderError> {
    let own = RetrieveForMyAccountAccount::new().send(client).await.map_err(|error| failure::of(&error))?;
    Ok(own.id.to_string())
}

/// Stripe does not tell when an object was changed; what is asked for later is newer.
fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "the provider's answers are ordered by when they were asked for")]
    Utc::now()
}

/// Whether Stripe says that the key has no access to the account, or that there is none: status 403. A key that is wrong
/// or has expired is 401 (<https://docs.stripe.com/api/errors>).
fn is_gone(error: &StripeError) -> bool {
    matches!(error, StripeError::Stripe(error, 403, _) if error.code == Some(ApiErrorsCode::AccountInvalid))
}

/// The currencies in which the account's available balance is below zero.
async fn shortfalls(client: &Client, account: &str) -> Result<Vec<Shortfall>, ProviderError> {
    let request = RequestBuilder::new(StripeMethod::Get, "/balance").customize::<json::Value>();
    let balance = request.account_id(account_id(account)?).send(client).await.map_err(|error| failure::of(&error))?;
    read_shortfalls(&balance).ok_or_else(|| ProviderError::Unusable("a balance that cannot be read".to_owned()))?
}

/// `None` when it is no balance.
fn read_shortfalls(balance: &json::Value) -> Option<Result<Vec<Shortfall>, ProviderError>> {
    let json::Value::Object(balance) = balance else { return None };
    let Some(json::Value::Array(available)) = balance.get("available") else { return None };
    let mut found = Vec::new();
    for entry in available {
        let json::Value::Object(entry) = entry else { return None };
        let Some(json::Value::String(code)) = entry.get("currency") else { return None };
        let Some(json::Value::Number(json::Number::I64(amount))) = entry.get("amount") else { continue };
        let Ok(currency) = code.to_ascii_uppercase().parse::<Currency>() else {
            return Some(Err(ProviderError::Unusable(format!("unknown currency {code}"))));
        };
        match minor(amount.saturating_neg(), currency) {
            Ok(amount) => found.push(Shortfall { currency, amount }),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(found))
}

fn report(
    account: &Account,
    party_id: Option<PartyId>,
    shortfalls: Vec<Shortfall>,
    told_at: DateTime<Utc>,
) -> Result<ProviderReport, ProviderError> {
    let named = account.metadata.as_ref().and_then(|metadata| metadata.get("party_id")?.parse().ok());
    let status = AccountStatus {
        psp_account: account.id.to_string(),
        told_at,
        requirements: requirements(account)?,
        destinations: destinations(account)?,
        shortfalls,
        end: None,
    };
    Ok(ProviderReport::Account(AccountReport { psp: PSP.to_owned(), party_id: party_id.or(named), status }))
}

fn requirements(account: &Account) -> Result<Requirements, ProviderError> {
    let transfers = account.capabilities.as_ref().and_then(|capabilities| capabilities.transfers.as_ref());
    let transfers_enabled = match transfers {
        Some(AccountCapabilitiesStatus::Active) => true,
        Some(AccountCapabilitiesStatus::Inactive | AccountCapabilitiesStatus::Pending) | None => false,
        Some(other) => return Err(ProviderError::Unusable(format!("unknown status {}", other.as_str()))),
    };
    let payouts_enabled = account.payouts_enabled.unwrap_or(false);
    let country = account.country.clone();
    let default_currency = account.default_currency.as_ref().and_then(|currency| from_stripe(currency).ok());
    let Some(told) = &account.requirements else {
        let nothing = Requirements::default();
        return Ok(Requirements { transfers_enabled, payouts_enabled, country, default_currency, ..nothing });
    };
    let sorted = |names: &Option<Vec<String>>| {
        let mut names = names.clone().unwrap_or_default();
        names.sort_unstable();
        names
    };
    Ok(Requirements {
        currently_due: sorted(&told.currently_due),
        past_due: sorted(&told.past_due),
        due_by: told.current_deadline.map(instant).transpose()?,
        transfers_enabled,
        payouts_enabled,
        disabled_reason: told.disabled_reason.as_ref().map(|reason| reason.as_str().to_owned()),
        country,
        default_currency,
    })
}

/// The bank account that each currency is paid to. Debit cards are paid by instant payouts, which we do not make.
fn destinations(account: &Account) -> Result<Vec<BankDestination>, ProviderError> {
    let listed = account.external_accounts.as_ref().map(|list| list.data.as_slice()).unwrap_or_default();
    let mut found = Vec::new();
    for external in listed {
        let ExternalAccount::BankAccount(bank) = external else { continue };
        if bank.default_for_currency.unwrap_or(false) {
            let fingerprint = bank.fingerprint.clone().unwrap_or_else(|| bank.id.to_string());
            found.push(BankDestination { currency: from_stripe(&bank.currency)?, fingerprint });
        }
    }
    found.sort_unstable_by_key(|destination| destination.currency);
    Ok(found)
}
