//! When earnings are paid out without being asked for, and what a platform demands of a payout.

use chrono::{Datelike, Days, NaiveTime, Utc};
use ledger::Minor;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Two months: within them every day of the week and of the month comes.
const LOOK_AHEAD_DAYS: u64 = 62;

/// When earnings are paid out without being asked for: at midnight (UTC) with which the day begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "every", rename_all = "snake_case")]
pub enum PayoutSchedule {
    /// Never: the payee asks.
    #[default]
    Manual,
    /// Each day.
    Daily,
    /// Once a week.
    Weekly {
        /// On which day: 1 is Monday, 7 is Sunday (ISO 8601).
        day: u8,
    },
    /// Once a month.
    Monthly {
        /// On which day, from 1 to 31; the last of the month where it is shorter.
        day: u8,
    },
}

impl PayoutSchedule {
    /// Checks a schedule that somebody wrote.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when there is no such day.
    pub fn check(self) -> Result<(), Refusal> {
        let (day, last) = match self {
            Self::Manual | Self::Daily => return Ok(()),
            Self::Weekly { day } => (day, 7),
            Self::Monthly { day } => (day, 31),
        };
        if (1..=last).contains(&day) {
            Ok(())
        } else {
            Err(Refusal::invalid("/day", format!("must be from 1 to {last}")))
        }
    }

    /// The first instant after `now` at which it pays out; `None` when it never does.
    pub fn next_after(self, now: Timestamp) -> Option<Timestamp> {
        let days = (1..=LOOK_AHEAD_DAYS).filter_map(|days| now.date_naive().checked_add_days(Days::new(days)));
        let mut days = days.filter(|date| match self {
            Self::Manual => false,
            Self::Daily => true,
            Self::Weekly { day } => date.weekday().number_from_monday() == u32::from(day),
            Self::Monthly { day } => {
                let is_last = date.succ_opt().is_some_and(|next| next.day() == 1);
                date.day() == u32::from(day) || (is_last && date.day() < u32::from(day))
            }
        });
        days.next()
            .map(|date| date.and_time(NaiveTime::MIN).and_local_timezone(Utc))
            .and_then(chrono::LocalResult::single)
    }
}

/// What a platform demands of the payouts of one payee account; amounts are minor units of its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PayoutPolicy {
    /// Staff has to approve a payout of more than this. Absent: none needs approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_above: Option<Minor>,
    /// Less than this is not paid out.
    pub minimum: Minor,
    /// Whether somebody who owes the platform money is paid out all the same.
    pub pays_debtors: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_day_is_never_today() {
        let midnight = at("2026-12-07T00:00:00Z");
        assert_eq!(PayoutSchedule::Manual.next_after(midnight), None);
        assert_eq!(PayoutSchedule::Daily.next_after(midnight), Some(at("2026-12-08T00:00:00Z")));
        let monday = PayoutSchedule::Weekly { day: 1 };
        assert_eq!(monday.next_after(at("2026-12-06T23:59:59Z")), Some(midnight));
        assert_eq!(monday.next_after(midnight), Some(at("2026-12-14T00:00:00Z")));
    }

    #[test]
    fn a_short_month_pays_on_its_last_day() {
        let last = PayoutSchedule::Monthly { day: 31 };
        assert_eq!(last.next_after(at("2027-01-31T00:00:00Z")), Some(at("2027-02-28T00:00:00Z")));
        assert_eq!(last.next_after(at("2027-02-28T00:00:00Z")), Some(at("2027-03-31T00:00:00Z")));
        assert_eq!(last.next_after(at("2028-02-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
        let first = PayoutSchedule::Monthly { day: 1 };
        assert_eq!(first.next_after(at("2027-01-01T00:00:00Z")), Some(at("2027-02-01T00:00:00Z")));
    }

    #[test]
    fn a_day_that_never_comes_is_refused() {
        let refused = |schedule: PayoutSchedule| schedule.check().unwrap_err().code();
        for schedule in [
            PayoutSchedule::Weekly { day: 0 },
            PayoutSchedule::Weekly { day: 8 },
            PayoutSchedule::Monthly { day: 0 },
            PayoutSchedule::Monthly { day: 32 },
        ] {
            assert_eq!(refused(schedule), "validation_failed", "{schedule:?}");
        }
        assert_eq!(PayoutSchedule::Monthly { day: 31 }.check(), Ok(()));
    }
}
