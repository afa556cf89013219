//! Faults on demand: what networks and providers do, done when a test asks for it.
//!
//! # Invariants
//! - A rule acts `times` times, then it is gone. A delivery suffers at most one fault.
//! - Whoever waits because of a rule stops waiting when the rules are cleared or the sandbox shuts down.
//!
//! # What is deliberately absent
//! Durability: rules are kept in memory and end with the process. What a fault left behind (a lost delivery) is stored.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;
use tokio::sync::watch;

use super::fee::Currency;
use super::settlement::Twist;

/// A rule as it is sent to `POST /_sandbox/faults`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// `POST /v1/payment_intents`, `POST /v1/payment_intents/{id}/confirm` (a segment in braces stands for any), or
    /// `webhook payment_intent.succeeded`, `webhook *`.
    on: String,
    action: Action,
    /// Milliseconds of `hold_response`, `hold_execution` and `delay`, in wall time.
    #[serde(default)]
    ms: u64,
    /// Seconds of `delay` and `late_receipt` by the sandbox's clock, or of `Retry-After` with `rate_limited`.
    #[serde(default)]
    seconds: Option<u32>,
    /// The amount of `capture_other`, in Stripe's units.
    #[serde(default)]
    amount: Option<i64>,
    /// The currency of `capture_other`.
    #[serde(default)]
    currency: Option<String>,
    /// Parallel deliveries of `duplicate`.
    #[serde(default = "two")]
    copies: u32,
    /// How often it acts.
    #[serde(default = "one")]
    times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    TimeoutAfterSuccess,
    #[serde(rename = "error_500")]
    Error500,
    RateLimited,
    KeyRefused,
    BalanceInsufficient,
    HoldResponse,
    HoldExecution,
    CaptureOther,
    LateReceipt,
    Duplicate,
    Delay,
    Drop,
    Reorder,
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

/// Copies of one event in flight at once; more tells a test nothing new and would starve the other deliveries.
const COPIES_MAX: u32 = 64;

/// What is to happen to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFault {
    /// Carry it out, commit, and close the connection without an answer.
    TimeoutAfterSuccess,
    /// Answer 500 and do nothing.
    Error500,
    /// Answer 429 and do nothing, with these seconds as `Retry-After`.
    RateLimited(Option<u32>),
    /// Answer 401, as to a key that has expired, and do nothing.
    KeyRefused,
    /// Answer that our balance is too low, and do nothing.
    BalanceInsufficient,
    /// Carry it out, commit, and answer later.
    HoldResponse(Duration),
    /// Wait with the idempotency key taken, then carry it out.
    HoldExecution(Duration),
    /// Carry it out, but differently.
    Twist(Twist),
}

/// What is to happen to one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryFault {
    /// Send this many copies in parallel.
    Duplicate(u32),
    /// Send it later, by wall time.
    Delay(Duration),
    /// Send it later, by the sandbox's clock.
    DelayByClock(TimeDelta),
    /// Lose it, until deliveries are flushed.
    Drop,
    /// Send it only after a later event was delivered to the same endpoint.
    Reorder,
}

/// A rule that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum RuleError {
    #[error("`on` is `METHOD /path` or `webhook event.type`, not `{0}`")]
    Target(String),
    #[error("`{action}` does not apply to `{on}`")]
    NotThere { action: String, on: String },
    #[error("`copies` is 1 to {COPIES_MAX}, not {0}")]
    Copies(u32),
    #[error("`capture_other` takes `amount` of at least 1, `currency`, or both")]
    Capture,
    #[error("`late_receipt` takes `seconds` of at least 1")]
    Receipt,
}

/// The rules in force.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Mutex<Vec<Rule>>,
    /// Counts how often the rules were cleared; who waits, waits for a change.
    cleared: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), cleared: watch::Sender::new(0) }
    }
}

impl Faults {
    /// Adds rules, all or none.
    pub(super) fn add(&self, rules: Vec<Rule>) -> Result<(), RuleError> {
        for rule in &rules {
            rule.check()?;
        }
        self.rules().extend(rules.into_iter().filter(|rule| rule.times > 0));
        Ok(())
    }

    /// Removes all rules and lets everyone go who waits because of one.
    pub(super) fn clear(&self) {
        self.rules().clear();
        self.cleared.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes the first rule for a request.
    pub(super) fn take_request(&self, method: &str, path: &str) -> Option<RequestFault> {
        let rule = self.take(|rule| rule.matches_request(method, path))?;
        let wait = Duration::from_millis(rule.ms);
        match rule.action {
            Action::TimeoutAfterSuccess => Some(RequestFault::TimeoutAfterSuccess),
            Action::Error500 => Some(RequestFault::Error500),
            Action::RateLimited => Some(RequestFault::RateLimited(rule.seconds)),
            Action::KeyRefused => Some(RequestFault::KeyRefused),
            Action::BalanceInsufficient => Some(RequestFault::BalanceInsufficient),
            Action::HoldResponse => Some(RequestFault::HoldResponse(wait)),
            Action::HoldExecution => Some(RequestFault::HoldExecution(wait)),
            Action::CaptureOther => {
                let currency = rule.currency.as_deref().and_then(Currency::get).map(|currency| currency.code);
                Some(RequestFault::Twist(Twist { amount: rule.amount, currency, ..Twist::default() }))
            }
            Action::LateReceipt => {
                let booked_after_seconds = i64::from(rule.seconds.unwrap_or_default());
                Some(RequestFault::Twist(Twist { booked_after_seconds, ..Twist::default() }))
            }
            Action::Duplicate | Action::Delay | Action::Drop | Action::Reorder => None,
        }
    }

    /// Takes the first rule for a delivery.
    pub(super) fn take_delivery(&self, event_type: &str) -> Option<DeliveryFault> {
        let rule = self.take(|rule| rule.matches_delivery(event_type))?;
        match rule.action {
            Action::Duplicate => Some(DeliveryFault::Duplicate(rule.copies)),
            Action::Delay => Some(match rule.seconds {
                Some(seconds) => DeliveryFault::DelayByClock(TimeDelta::seconds(i64::from(seconds))),
                None => DeliveryFault::Delay(Duration::from_millis(rule.ms)),
            }),
            Action::Drop => Some(DeliveryFault::Drop),
            Action::Reorder => Some(DeliveryFault::Reorder),
            Action::TimeoutAfterSuccess
            | Action::Error500
            | Action::RateLimited
            | Action::KeyRefused
            | Action::BalanceInsufficient
            | Action::HoldResponse
            | Action::HoldExecution
            | Action::CaptureOther
            | Action::LateReceipt => None,
        }
    }

    /// Waits, at most until the rules are cleared.
    pub(super) async fn wait(&self, time: Duration) {
        let mut cleared = self.cleared.subscribe();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = cleared.changed() => {}
        }
    }

    fn take(&self, matches: impl Fn(&Rule) -> bool) -> Option<Rule> {
        let mut rules = self.rules();
        let index = rules.iter().position(matches)?;
        let rule = rules.get_mut(index)?;
        rule.times = rule.times.saturating_sub(1);
        let taken = rule.clone();
        if taken.times == 0 {
            rules.remove(index);
        }
        Some(taken)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        // A list of rules is whole after every statement, so a panic elsewhere leaves nothing half done.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn check(&self) -> Result<(), RuleError> {
        let (left, right) = self.on.split_once(' ').ok_or_else(|| RuleError::Target(self.on.clone()))?;
        let webhook = left == "webhook";
        if right.is_empty() || (!webhook && !right.starts_with('/')) {
            return Err(RuleError::Target(self.on.clone()));
        }
        let for_webhook = matches!(self.action, Action::Duplicate | Action::Delay | Action::Drop | Action::Reorder);
        if webhook != for_webhook {
            return Err(RuleError::NotThere { action: format!("{:?}", self.action), on: self.on.clone() });
        }
        if self.copies == 0 || self.copies > COPIES_MAX {
            return Err(RuleError::Copies(self.copies));
        }
        let known = self.currency.as_deref().is_none_or(|code| Currency::get(code).is_some());
        let something = self.amount.is_some() || self.currency.is_some();
        if self.action == Action::CaptureOther && (!something || !known || self.amount.is_some_and(|amount| amount < 1))
        {
            return Err(RuleError::Capture);
        }
        if self.action == Action::LateReceipt && self.seconds.is_none_or(|seconds| seconds == 0) {
            return Err(RuleError::Receipt);
        }
        Ok(())
    }

    fn matches_request(&self, method: &str, path: &str) -> bool {
        let Some((wanted_method, wanted_path)) = self.on.split_once(' ') else {
            return false;
        };
        wanted_method == method
            && wanted_path.split('/').count() == path.split('/').count()
            && wanted_path
                .split('/')
                .zip(path.split('/'))
                .all(|(wanted, given)| wanted == given || (wanted.starts_with('{') && wanted.ends_with('}')))
    }

    fn matches_delivery(&self, event_type: &str) -> bool {
        match self.on.split_once(' ') {
            Some(("webhook", wanted)) => wanted == "*" || wanted == event_type,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(rules: &str) -> Result<Faults, RuleError> {
        let faults = Faults::default();
        faults.add(serde_json::from_str(rules).unwrap())?;
        Ok(faults)
    }

    #[test]
    fn a_rule_acts_as_often_as_it_says_and_only_where_it_says() {
        let faults = faults(
            r#"[{"on":"POST /v1/payment_intents/{id}/confirm","action":"error_500","times":2},
                {"on":"webhook payout.paid","action":"duplicate","copies":5},
                {"on":"webhook *","action":"drop"}]"#,
        )
        .unwrap();
        assert_eq!(faults.take_request("POST", "/v1/payment_intents"), None);
        assert_eq!(faults.take_request("GET", "/v1/payment_intents/pi_1/confirm"), None);
        for _ in 0..2 {
            assert_eq!(faults.take_request("POST", "/v1/payment_intents/pi_1/confirm"), Some(RequestFault::Error500));
        }
        assert_eq!(faults.take_request("POST", "/v1/payment_intents/pi_1/confirm"), None);
        assert_eq!(faults.take_delivery("payout.paid"), Some(DeliveryFault::Duplicate(5)));
        assert_eq!(faults.take_delivery("payout.paid"), Some(DeliveryFault::Drop));
        assert_eq!(faults.take_delivery("payout.paid"), None);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        assert!(matches!(faults(r#"[{"on":"/v1/payouts","action":"error_500"}]"#), Err(RuleError::Target(_))));
        assert!(matches!(faults(r#"[{"on":"webhook *","action":"error_500"}]"#), Err(RuleError::NotThere { .. })));
        assert!(matches!(faults(r#"[{"on":"POST /v1/payouts","action":"drop"}]"#), Err(RuleError::NotThere { .. })));
        assert!(matches!(
            faults(r#"[{"on":"webhook *","action":"duplicate","copies":65}]"#),
            Err(RuleError::Copies(65))
        ));
        assert!(serde_json::from_str::<Vec<Rule>>(r#"[{"on":"webhook *","action":"explode"}]"#).is_err());
        let on_payment = |rest: &str| faults(&format!(r#"[{{"on":"POST /v1/payment_intents",{rest}}}]"#)).err();
        for wrong in ["", r#","amount":0"#, r#","currency":"xxx""#] {
            assert_eq!(on_payment(&format!(r#""action":"capture_other"{wrong}"#)), Some(RuleError::Capture), "{wrong}");
        }
        assert_eq!(on_payment(r#""action":"late_receipt""#), Some(RuleError::Receipt));
    }
}
