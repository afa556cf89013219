//! Whether a party is paid, and where to, as the API shows it.

use chrono::{DateTime, Utc};
use domain::party::{Party, Restriction, Standing, is_destination_error};
use domain::payee::{PayeeAccount, PayeeAccountId};
use domain::payout::{PayoutPolicy, PayoutSchedule};
use ledger::Currency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What the provider and the platform demand of a party before it is paid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequirementsView {
    /// Always `requirements`.
    #[schema(example = "requirements")]
    pub object: String,
    /// Of whom.
    pub party_id: String,
    /// Its account at the payment provider, once there is one.
    #[schema(example = "acct_1PgafTB7WZ01zgkW")]
    pub psp_account: Option<String>,
    /// `no_account`, `requested` (it is being made), `unknown` (the provider has not told yet), `incomplete`, `rejected`,
    /// `in_order`.
    #[schema(example = "in_order")]
    pub status: String,
    /// The provider's names of what is to be given.
    #[schema(example = json!(["individual.verification.document"]))]
    pub currently_due: Vec<String>,
    /// What of it is late.
    pub past_due: Vec<String>,
    /// Until when it is to be given.
    pub due_by: Option<DateTime<Utc>>,
    /// The provider's code, where it has disabled something.
    pub disabled_reason: Option<String>,
    /// Whether the account can receive from the platform; absent until the provider has told.
    pub transfers_enabled: Option<bool>,
    /// Whether it can pay to a bank; absent until the provider has told.
    pub payouts_enabled: Option<bool>,
    /// The provider's code, where it did not make the account that was asked for last: ask for another one.
    #[schema(example = "country_unsupported")]
    pub account_refused: Option<String>,
    /// The account's country, ISO 3166-1; absent until the provider has told.
    #[schema(example = "US")]
    pub country: Option<String>,
    /// The currency that the account is kept in, ISO 4217; absent until the provider has told.
    #[schema(example = "USD")]
    pub default_currency: Option<String>,
    /// Why the party is not paid: `requirements`, `rejected`, `staff`. What clears meanwhile is held.
    pub restrictions: Vec<String>,
    /// Where each currency goes.
    pub destinations: Vec<DestinationView>,
    /// A suspicion of sanctions. Shown to staff only.
    pub sanctions: Option<SanctionsView>,
}

/// Where earnings in one currency go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DestinationView {
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// Says whether it is another bank account, and not which.
    pub fingerprint: Option<String>,
    /// Not used before then, because it is new, or because another one was asked for.
    pub available_at: Option<DateTime<Utc>>,
    /// The provider's code, where the bank account does not take payouts.
    #[schema(example = "account_closed")]
    pub blocked: Option<String>,
    /// The provider's code, where it did not take the bank account that was asked for last. The one before stays in use.
    #[schema(example = "resource_missing")]
    pub refused: Option<String>,
    /// What the party has to do: `add_bank_account`.
    #[schema(example = "add_bank_account")]
    pub next_action: Option<String>,
    /// What is missing in the account at the provider, minor units; nothing is paid out meanwhile.
    pub shortfall: Option<i64>,
}

/// A suspicion that a party is on a list of sanctions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SanctionsView {
    /// The screening's own reference.
    #[schema(example = "scr_4711")]
    pub screening_ref: String,
    /// Who has proposed to drop it; somebody else has to agree.
    pub clearance_proposed_by: Option<String>,
}

impl RequirementsView {
    /// The view of a party; `None` for one that is not registered.
    pub fn of(party: &Party, to_staff: bool) -> Option<Self> {
        let Party::Registered { party_id, payout_account, standing } = party else { return None };
        let told = standing.requirements.clone();
        let status = match (payout_account, &told) {
            (None, _) if standing.requested_at_psp.is_some() => "requested",
            (None, _) => "no_account",
            (Some(_), None) => "unknown",
            (Some(_), Some(told)) => match told.restriction() {
                Some(Restriction::Rejected) => "rejected",
                Some(_) => "incomplete",
                None => "in_order",
            },
        };
        let (transfers, payouts) =
            (told.as_ref().map(|told| told.transfers_enabled), told.as_ref().map(|told| told.payouts_enabled));
        let told = told.unwrap_or_default();
        Some(Self {
            object: "requirements".to_owned(),
            party_id: party_id.to_string(),
            psp_account: payout_account.as_ref().map(|account| account.psp_account.clone()),
            status: status.to_owned(),
            currently_due: told.currently_due,
            past_due: told.past_due,
            due_by: told.due_by,
            disabled_reason: told.disabled_reason,
            transfers_enabled: transfers,
            payouts_enabled: payouts,
            account_refused: standing.account_refused.clone(),
            country: told.country,
            default_currency: told.default_currency.map(|currency| currency.code().to_owned()),
            restrictions: standing.restrictions.iter().map(|reason| reason.word().to_owned()).collect(),
            destinations: destinations(standing),
            sanctions: standing.sanctions.as_ref().filter(|_| to_staff).map(|hit| SanctionsView {
                screening_ref: hit.screening_ref.clone(),
                clearance_proposed_by: hit.clearance_proposed_by.map(|id| id.to_string()),
            }),
        })
    }
}

fn destinations(standing: &Standing) -> Vec<DestinationView> {
    let refused_in = standing.asked.iter().filter(|(_, asked)| asked.refused.is_some()).map(|(currency, _)| currency);
    let named = standing.destinations.keys().chain(standing.blocked.keys()).chain(standing.shortfalls.keys());
    let currencies: BTreeSet<Currency> = named.chain(refused_in).copied().collect();
    let view = |currency: Currency| {
        let known = standing.destinations.get(&currency);
        let blocked = standing.blocked.get(&currency);
        let refused = standing.asked.get(&currency).and_then(|asked| asked.refused.clone());
        DestinationView {
            currency: currency.code().to_owned(),
            fingerprint: known.map(|known| known.fingerprint.clone()),
            available_at: standing.cooling_until(currency),
            blocked: blocked.cloned(),
            next_action: blocked.or(refused.as_ref()).map(|_| ADD_BANK_ACCOUNT.to_owned()),
            refused,
            shortfall: standing.shortfalls.get(&currency).map(|amount| amount.get()),
        }
    };
    currencies.into_iter().map(view).collect()
}

const ADD_BANK_ACCOUNT: &str = "add_bank_account";

/// What a payee has to do after a payout failed with this code: of the provider, or of a gate.
pub fn next_action(code: &str) -> &'static str {
    if is_destination_error(code) || matches!(code, "destination_blocked" | "destination_required") {
        ADD_BANK_ACCOUNT
    } else {
        "retry"
    }
}

/// A link to the provider's own pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OnboardingLinkView {
    /// Its id.
    #[schema(example = "onb_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `onboarding_link`.
    #[schema(example = "onboarding_link")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// Its address: a key to the account, shown this once. Absent in a repeated answer, and where the provider did not make
    /// it in time: ask for another one.
    #[schema(example = "https://connect.stripe.com/setup/e/acct_1PgafTB7WZ01zgkW/Xk1")]
    pub url: Option<String>,
    /// Until when it can be used.
    pub expires_at: Option<DateTime<Utc>>,
}

/// When a party's earnings in one currency are paid out without being asked for, and what the platform demands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PayoutTermsView {
    /// Always `payout_terms`.
    #[schema(example = "payout_terms")]
    pub object: String,
    /// Whose.
    pub party_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// How often: `manual`, `daily`, `weekly` or `monthly`.
    #[schema(example = "weekly")]
    pub every: String,
    /// On which day of the week (1 is Monday) or month.
    #[schema(example = 1)]
    pub day: Option<u8>,
    /// Not less than this is paid out by the schedule, minor units.
    pub minimum: i64,
    /// The next time, at midnight UTC; absent when never.
    pub next_at: Option<DateTime<Utc>>,
    /// Staff has to approve a payout of more than this, minor units.
    pub approval_above: Option<i64>,
    /// Less than this is not paid out at all, minor units.
    pub least: i64,
    /// Whether somebody who owes the platform money is paid out all the same.
    pub pays_debtors: bool,
}

impl PayoutTermsView {
    /// The view of a payee account.
    pub fn of(id: PayeeAccountId, account: &PayeeAccount) -> Self {
        let scheduled = account.payouts.scheduled;
        let (every, day) = match scheduled.map(|scheduled| scheduled.schedule).unwrap_or_default() {
            PayoutSchedule::Manual => ("manual", None),
            PayoutSchedule::Daily => ("daily", None),
            PayoutSchedule::Weekly { day } => ("weekly", Some(day)),
            PayoutSchedule::Monthly { day } => ("monthly", Some(day)),
        };
        let PayoutPolicy { approval_above, minimum, pays_debtors } = account.payouts.policy;
        Self {
            object: "payout_terms".to_owned(),
            party_id: id.party_id.to_string(),
            currency: id.currency.code().to_owned(),
            every: every.to_owned(),
            day,
            minimum: scheduled.map_or(0, |scheduled| scheduled.minimum.get()),
            next_at: scheduled.and_then(|scheduled| scheduled.next_at),
            approval_above: approval_above.map(ledger::Minor::get),
            least: minimum.get(),
            pays_debtors,
        }
    }
}
