//! How long the provider lets money lie: warnings and the limit, each at its instant.

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::{Vault, days};
use crate::failure::Violation;
use crate::oracle::{Raw, text_of};

impl Vault {
    /// When the provider wants it gone, and the warnings before that.
    pub(super) fn limit(&self, raw: &Raw) -> Result<(Timestamp, Vec<i64>), Violation> {
        let limit = raw.data.get("hold_limit").cloned().unwrap_or_default();
        let hold = self.policy.get("psp_hold").cloned().unwrap_or_default();
        let country = text_of(&hold, "platform_country");
        let of_country = hold.get("limits").and_then(Value::as_array).into_iter().flatten();
        let mut of_country = of_country.filter(|limit| !country.is_empty() && text_of(limit, "country") == country);
        let allowed = of_country.next().map_or_else(|| days(&hold, "other_days"), |limit| days(limit, "days"));
        let limit_at = raw.at + TimeDelta::days(allowed);
        if text_of(&limit, "limit_at").parse::<Timestamp>().ok() != Some(limit_at) {
            return Err(raw.breaks("I5", "the provider's limit is at another instant than was agreed"));
        }
        let numbers = |list: Option<&Value>| -> Vec<i64> {
            list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
        };
        let wanted: Vec<i64> = numbers(hold.get("warn_days")).into_iter().filter(|left| *left < allowed).collect();
        if numbers(limit.get("warn_days")) != wanted {
            return Err(raw.breaks("I5", "other warnings than were agreed"));
        }
        Ok((limit_at, wanted))
    }

    /// The provider's limit comes near, or is reached: at its instant, and once.
    pub(in crate::oracle) fn follow_limit(&mut self, raw: &Raw) -> Result<(), Violation> {
        let funding = raw.text("funding_id")?.to_owned();
        let limit = self.paid.get_mut(&funding).and_then(|paid| paid.limit.take());
        let Some((limit_at, mut warnings)) = limit else {
            return Err(raw.breaks("I5", "a payment that has no limit any more"));
        };
        if raw.event_type == "escrow.hold_limit_warned" {
            let left = days(&raw.data, "days_left");
            if warnings.first() != Some(&left) || raw.at != limit_at - TimeDelta::days(left) {
                return Err(raw.breaks("I5", &format!("the limit is at {limit_at}, warnings are {warnings:?}")));
            }
            warnings.remove(0);
            if let Some(paid) = self.paid.get_mut(&funding) {
                paid.limit = Some((limit_at, warnings));
            }
            return is_by_timer(raw);
        }
        if !warnings.is_empty() || raw.at != limit_at {
            return Err(raw.breaks("I5", &format!("the limit is at {limit_at}, warnings are left: {warnings:?}")));
        }
        let held: i128 = self.accounts.values().map(|account| account.purse.here_of(&funding)).sum();
        Self::is(raw, "what is held of it", raw.amount("amount")?, held + self.deposit.here_of(&funding))?;
        let agreed = self.policy.get("psp_hold").map_or("", |hold| text_of(hold, "action"));
        let action = if self.frozen { "operator" } else { agreed };
        if raw.text("action")? != action {
            return Err(raw.breaks("I5", &format!("{action} was agreed")));
        }
        if action != "operator" {
            self.at_limit = Some(funding);
        }
        is_by_timer(raw)
    }
}

fn is_by_timer(raw: &Raw) -> Result<(), Violation> {
    if raw.is_by_timer() { Ok(()) } else { Err(raw.breaks("I5", "not by time")) }
}
