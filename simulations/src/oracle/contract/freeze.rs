//! Clocks that stand still while the escrow is frozen.
//!
//! # Invariants
//! - What decides about held money by time does not happen in a freeze. Afterwards each deadline has what was left of it
//!   when the freeze began, and all of its time where it began later.

use chrono::TimeDelta;
use domain::time::Timestamp;

use super::{Contract, End, Stage, days_of};
use crate::failure::Violation;
use crate::oracle::Raw;

impl Contract {
    /// Its escrow is frozen, or is not any more.
    pub(in crate::oracle) fn freeze(&mut self, raw: &Raw, frozen: bool) {
        if frozen {
            self.frozen_since = Some(raw.at);
        } else {
            self.thaw = self.frozen_since.take().map(|since| (since, raw.at));
            self.goes_on = false;
        }
    }

    /// When a deadline is due whose clock stood still: with what was left of it, and with all of it where it began since.
    pub(in crate::oracle) fn after_freeze(&self, due_at: Timestamp, days: i64) -> Option<Timestamp> {
        let (since, until) = self.thaw?;
        Some(until + (due_at - since).clamp(TimeDelta::zero(), TimeDelta::days(days)))
    }

    /// The deadline of the contract that stood still, and the days that it has.
    fn stopped(&self) -> Option<(&'static str, Timestamp, i64)> {
        if self.closed || self.cancelled {
            return None;
        }
        if let Some(End { respond_by: Some(respond_by), agreed_at: None, .. }) = self.end {
            return Some(("end_request", respond_by, days_of(&self.policy, "end_request_days")));
        }
        let days = match self.dormancy.stage {
            Stage::Awake => return None,
            Stage::ClientAsked => "escalate_days",
            Stage::PayeeAsked => "request_days",
            Stage::ReleaseRequested => "default_days",
        };
        Some(("dormancy", self.dormancy.due_at?, self.silence(days)))
    }

    /// A clock that stood still goes on.
    pub(super) fn go_on(&mut self, raw: &Raw, due_at: Timestamp) -> Result<(), Violation> {
        let stopped = self.stopped();
        let expected = stopped.and_then(|(key, before, days)| Some((key, self.after_freeze(before, days)?)));
        if expected != Some((raw.text("key")?, due_at)) || std::mem::replace(&mut self.goes_on, true) {
            return Err(raw.breaks("I5", &format!("{stopped:?} stood still, {expected:?} is to go on, once")));
        }
        match &mut self.end {
            Some(End { respond_by: Some(respond_by), agreed_at: None, .. }) => *respond_by = due_at,
            _ => self.dormancy.due_at = Some(due_at),
        }
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(in crate::oracle) fn is_left_with(&mut self) -> Option<String> {
        let (_, until) = self.thaw.take()?;
        let stopped = self.stopped().filter(|_| !self.goes_on);
        let awake = self.dormancy.stage == Stage::Awake && !self.closed && !self.cancelled;
        let missed = self.dormancy.due_at.filter(|due_at| awake && *due_at <= until);
        if stopped.is_none() && missed.is_none() {
            return None;
        }
        Some(format!("unfrozen, and {stopped:?} stands still, or {missed:?} is past"))
    }

    /// Nothing that decides about held money happens by time while it is frozen.
    pub(in crate::oracle) fn stands_not_still(&self, raw: &Raw) -> Result<(), Violation> {
        match (self.frozen_since, raw.is_by_timer()) {
            (Some(since), true) => Err(raw.breaks("I5", &format!("by time, and it stands still since {since}"))),
            _ => Ok(()),
        }
    }

    /// It happened before its deadline, whose clock stands still while the escrow is frozen.
    pub(in crate::oracle) fn is_in_time(&self, raw: &Raw, deadline: Option<Timestamp>) -> Result<(), Violation> {
        let clock = self.frozen_since.map_or(raw.at, |since| since.min(raw.at));
        if deadline.is_some_and(|deadline| clock < deadline) {
            return Ok(());
        }
        Err(raw.breaks("I5", &format!("happened at {}, the deadline was {deadline:?}", raw.at)))
    }

    /// Somebody should have looked while it was frozen: the days of silence count anew.
    pub(super) fn count_anew(&mut self, raw: &Raw) -> Result<(), Violation> {
        let Some((_, until)) = self.thaw else { return Ok(()) };
        let next_at = self.last_due_at.max(Some(until)).unwrap_or(until) + TimeDelta::days(self.silence("warn_days"));
        let missed = self.dormancy.due_at.is_some_and(|due_at| due_at <= until);
        if !missed || raw.event_type != "contract.dormancy_postponed" || raw.instant("next_at")? != next_at {
            return Err(raw.breaks("I5", &format!("the days count from {until} on where a look was missed")));
        }
        (self.dormancy.due_at, self.dormancy.day) = (Some(next_at), self.silence("warn_days"));
        Ok(())
    }
}
