//! Whether a policy is sensible, for whoever writes one. What is stored in a contract is not judged again.

use std::collections::BTreeSet;

use super::Policy;
use crate::refusal::Refusal;

/// Ten years: longer than any contract that a deadline helps.
const MAX_DAYS: u16 = 3650;
/// A week: a payment that takes longer is asked for again.
const MAX_INTENT_HOURS: u16 = 168;
/// Longest name; a report column holds it.
const MAX_ID_LENGTH: usize = 64;

impl Policy {
    /// Checks a policy that somebody wrote.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with a pointer to the first thing that is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let plain = self.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if self.id.is_empty() || self.id.len() > MAX_ID_LENGTH || !plain {
            return Err(Refusal::invalid("/id", format!("must be 1 to {MAX_ID_LENGTH} characters out of a-z 0-9 _")));
        }
        if self.version == 0 {
            return Err(Refusal::invalid("/version", "must be at least 1"));
        }
        let from_one = [
            ("/offer_expiry_days", self.offer_expiry_days),
            ("/first_funding_days", self.first_funding_days),
            ("/review_days", self.review_days),
            ("/end_request_days", self.end_request_days),
            ("/refund_request_days", self.refund_request_days),
        ];
        for (pointer, days) in from_one {
            between(pointer, days, 1, MAX_DAYS)?;
        }
        between("/funding_intent_hours", self.funding_intent_hours, 1, MAX_INTENT_HOURS)?;
        let from_nothing = [
            ("/clearance_days", self.clearance_days),
            ("/payee_refund_window_days", self.payee_refund_window_days),
            ("/bonus_window_days", self.bonus_window_days),
        ];
        for (pointer, days) in from_nothing {
            between(pointer, days, 0, MAX_DAYS)?;
        }
        self.check_dormancy()?;
        self.check_psp_hold()
    }

    fn check_dormancy(&self) -> Result<(), Refusal> {
        let days = &self.dormancy;
        between("/dormancy/warn_days", days.warn_days, 1, MAX_DAYS)?;
        between("/dormancy/warn_again_days", days.warn_again_days, 1, MAX_DAYS)?;
        between("/dormancy/dormant_days", days.dormant_days, 1, MAX_DAYS)?;
        if days.warn_again_days <= days.warn_days {
            return Err(Refusal::invalid("/dormancy/warn_again_days", "must be later than warn_days"));
        }
        if days.dormant_days <= days.warn_again_days {
            return Err(Refusal::invalid("/dormancy/dormant_days", "must be later than warn_again_days"));
        }
        between("/dormancy/escalate_days", days.escalate_days, 1, MAX_DAYS)?;
        between("/dormancy/request_days", days.request_days, 1, MAX_DAYS)?;
        between("/dormancy/default_days", days.default_days, 1, MAX_DAYS)
    }

    fn check_psp_hold(&self) -> Result<(), Refusal> {
        let hold = &self.psp_hold;
        let mut seen = BTreeSet::new();
        for (index, limit) in hold.limits.iter().enumerate() {
            let at = format!("/psp_hold/limits/{index}");
            if limit.country.code() != limit.country.country() {
                return Err(Refusal::invalid(format!("{at}/country"), "must be a country, two letters"));
            }
            if !seen.insert(&limit.country) {
                return Err(Refusal::invalid(format!("{at}/country"), "appears twice"));
            }
            between(&format!("{at}/days"), limit.days, 1, MAX_DAYS)?;
        }
        between("/psp_hold/other_days", hold.other_days, 1, MAX_DAYS)?;
        let mut before = None;
        for (index, days) in hold.warn_days.iter().enumerate() {
            let pointer = format!("/psp_hold/warn_days/{index}");
            between(&pointer, *days, 1, MAX_DAYS)?;
            if before.is_some_and(|before| *days >= before) {
                return Err(Refusal::invalid(pointer, "must be less than the one before"));
            }
            before = Some(*days);
        }
        Ok(())
    }
}

fn between(pointer: &str, value: u16, least: u16, most: u16) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Refusal::invalid(pointer, format!("must be from {least} to {most}")))
    }
}
