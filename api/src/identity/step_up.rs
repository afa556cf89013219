//! Step-up (RFC 9470): who moves much money has shown who it is a short while ago.
//!
//! A route asks with one line: `step_up::for_release(&app, &caller, milestone_id, amount).await?`, or with an amount that
//! it knows, `app.identity.require_recent(&caller, amount, currency).await?`. What is refused was not begun: the same
//! `Idempotency-Key` is good again afterwards.
//!
//! # What is deliberately absent
//! Tokens made by the operator are machines' and cannot be asked: whoever makes one decides for how much it is good. A
//! machine's key cannot be asked either, and is refused unless its maker has exempted it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use adapters::postgres::document::{self, Visible};
use adapters::postgres::identity::step_up;
use axum::http::header;
use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::id::{MilestoneId, PayoutId};
use domain::view::Document;
use domain::{milestone, payout};
use ledger::{Currency, Minor};

use super::Identity;
use super::access_token::{ACR_PASSWORD, ACR_SECOND_FACTOR, SKEW};
use crate::app::App;
use crate::caller::{Authentication, Caller};
use crate::code::ErrorCode;
use crate::problem::Problem;

/// How long the tenant's policy is believed without looking.
const KNOWN: Duration = Duration::from_secs(5);

/// From which amount on how much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepUpPolicy {
    /// Whole units of any currency; nothing is asked below.
    pub threshold_units: u32,
    /// How long ago the person may have shown who it is.
    pub max_age: TimeDelta,
    /// Whether a second factor is asked for, too.
    pub second_factor: bool,
}

impl Default for StepUpPolicy {
    /// 1,000.00, five minutes, and a second factor of those who have one: they cannot sign in without (scenario D-44).
    fn default() -> Self {
        Self { threshold_units: 1000, max_age: TimeDelta::minutes(5), second_factor: false }
    }
}

impl StepUpPolicy {
    /// Whether this amount asks for it. What is too large to be counted does.
    pub fn asks(&self, amount: Minor, currency: Currency) -> bool {
        let unit = 10_i64.checked_pow(currency.exponent());
        let threshold = unit.and_then(|unit| unit.checked_mul(i64::from(self.threshold_units)));
        threshold.is_none_or(|threshold| amount.get() >= threshold)
    }
}

impl Identity {
    /// Refuses a caller who moves at least the policy's threshold, and has not shown lately who it is.
    ///
    /// # Errors
    /// `insufficient_user_authentication`, 401, with what is asked for.
    pub async fn require_recent(&self, caller: &Caller, amount: Minor, currency: Currency) -> Result<(), Problem> {
        let policy = self.step_up_policy().await?;
        if policy.asks(amount, currency) { self.recent(caller, policy) } else { Ok(()) }
    }

    /// Refuses a caller who has not shown lately who it is, whatever it is about.
    ///
    /// # Errors
    /// `insufficient_user_authentication`, 401, with what is asked for.
    pub async fn require_recent_always(&self, caller: &Caller) -> Result<(), Problem> {
        self.recent(caller, self.step_up_policy().await?)
    }

    /// The tenant's policy, or the server's where it has none.
    async fn step_up_policy(&self) -> Result<StepUpPolicy, Problem> {
        let known = *self.step_up_known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, policy)) = known
            && seen.elapsed() < KNOWN
        {
            return Ok(policy);
        }
        let policy = step_up::find(&self.pool).await?.map_or(self.step_up, |stored| StepUpPolicy {
            threshold_units: u32::try_from(stored.threshold_units).unwrap_or(0),
            max_age: TimeDelta::seconds(stored.max_age_seconds),
            second_factor: stored.second_factor,
        });
        *self.step_up_known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), policy));
        Ok(policy)
    }

    fn recent(&self, caller: &Caller, policy: StepUpPolicy) -> Result<(), Problem> {
        let (auth_time, second_factor) = match caller.authentication {
            Authentication::OperatorToken | Authentication::ApiKey { step_up_exempt: true } => return Ok(()),
            Authentication::ApiKey { step_up_exempt: false } => (None, false),
            Authentication::Signed { auth_time, second_factor } => (auth_time, second_factor),
        };
        let oldest = (self.now() - policy.max_age - SKEW).timestamp();
        let recent = auth_time.is_some_and(|at| at >= oldest);
        if recent && (second_factor || !policy.second_factor) {
            return Ok(());
        }
        let max_age = policy.max_age.num_seconds();
        let acr = if policy.second_factor { ACR_SECOND_FACTOR } else { ACR_PASSWORD };
        let acr = if second_factor { ACR_SECOND_FACTOR } else { acr };
        let challenge = format!(
            "Bearer realm=\"earnest\", error=\"insufficient_user_authentication\", \
             error_description=\"show again who you are\", acr_values=\"{acr}\", max_age=\"{max_age}\""
        );
        Err(Problem::new(ErrorCode::InsufficientUserAuthentication, "show again who you are, and repeat the request")
            .with("max_age", max_age)
            .with("acr_values", acr)
            .with_header(header::WWW_AUTHENTICATE, challenge))
    }
}

/// Step-up for releasing `amount` of a milestone, or all that is held for it. A milestone that the caller has no part in
/// asks for nothing: it is not found afterwards.
///
/// # Errors
/// `insufficient_user_authentication`; the store's.
pub async fn for_release(
    app: &App,
    caller: &Caller,
    milestone_id: MilestoneId,
    amount: Option<i64>,
) -> Result<(), Problem> {
    if app.identity.require_recent_always(caller).await.is_ok() {
        return Ok(());
    }
    app.catch_up().await?;
    let visible = Visible::To(caller.party_id);
    let Some(stored) = document::one(app.pool(), &milestone::stream(milestone_id), visible).await? else {
        return Ok(());
    };
    let Document::Aggregate(AggregateState::Milestone(state)) = &stored.document else { return Ok(()) };
    let Some(plan) = state.plan() else { return Ok(()) };
    // No more than was agreed, or asked for, can be held.
    let most = amount.and_then(|amount| Minor::new(amount).ok()).unwrap_or(plan.amount);
    app.identity.require_recent(caller, most, plan.currency).await
}

/// Step-up for letting a payout go that waits for staff. One that is not there asks for nothing: it is not found afterwards.
///
/// # Errors
/// `insufficient_user_authentication`; the store's.
pub async fn for_payout(app: &App, caller: &Caller, payout_id: PayoutId) -> Result<(), Problem> {
    if app.identity.require_recent_always(caller).await.is_ok() {
        return Ok(());
    }
    app.catch_up().await?;
    let stored = document::one(app.pool(), &payout::stream(payout_id), Visible::ToStaff).await?;
    let Some(Document::Aggregate(AggregateState::Payout(state))) = stored.map(|stored| stored.document) else {
        return Ok(());
    };
    let Some(withdrawal) = state.withdrawal() else { return Ok(()) };
    app.identity.require_recent(caller, withdrawal.amount, withdrawal.currency).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-44: the threshold is in whole units, whatever a currency's exponent is.
    #[test]
    fn the_threshold_is_in_whole_units() {
        let policy = StepUpPolicy::default();
        let asks = |amount, currency: &str| policy.asks(Minor::new(amount).unwrap(), currency.parse().unwrap());
        assert!(asks(100_000, "USD") && !asks(99_999, "USD"));
        assert!(asks(1000, "JPY") && !asks(999, "JPY"));
        assert!(asks(1_000_000, "KWD") && !asks(999_999, "KWD"));
    }
}
