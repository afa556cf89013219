//! What two parties agree, followed through the events: who answers, until when, and who consented.

mod freeze;

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::{Raw, usual};
use crate::failure::Violation;

/// An amendment that waits.
#[derive(Debug)]
struct Proposal {
    id: String,
    by: String,
    expires_at: Timestamp,
}

/// How far an end is.
#[derive(Debug)]
struct End {
    /// The payee cancels, which asks and agrees at once.
    cancels: bool,
    respond_by: Option<Timestamp>,
    /// When it was agreed.
    agreed_at: Option<Timestamp>,
}

/// What is known about silence.
#[derive(Debug, Default)]
struct Dormancy {
    /// When somebody looks next, or the next step is taken.
    due_at: Option<Timestamp>,
    /// Which day it is then.
    day: i64,
    /// From when on the days count at the earliest.
    since: Option<Timestamp>,
    stage: Stage,
    /// To whom the money went, and when.
    defaulted: Option<(String, Timestamp)>,
}

/// Whose turn it is in a dormant contract.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Awake,
    ClientAsked,
    PayeeAsked,
    ReleaseRequested,
}

/// A contract, as far as its events were read.
#[derive(Debug, Default)]
pub(super) struct Contract {
    client: String,
    payee: String,
    /// The side that answers the offer.
    answers: &'static str,
    offer_expires_at: Option<Timestamp>,
    /// Until when something has to be paid in, between acceptance and the first money.
    funding_due_at: Option<Timestamp>,
    proposal: Option<Proposal>,
    /// The side that paused it.
    paused_by: Option<String>,
    policy: Value,
    /// An end that was asked for: until when the payee answers, if it is not agreed yet.
    end: Option<End>,
    dormancy: Dormancy,
    /// The last thing that anybody did about it or a part of it.
    pub(super) last_done_at: Option<Timestamp>,
    /// The last date of delivery of its milestones.
    pub(super) last_due_at: Option<Timestamp>,
    pub(super) cancelled: bool,
    pub(super) closed: bool,
    /// While its escrow is frozen: since when.
    pub(super) frozen_since: Option<Timestamp>,
    /// Unfrozen in this append: since when it had been frozen, and when it was unfrozen.
    thaw: Option<(Timestamp, Timestamp)>,
    /// What stood still has gone on in this append.
    goes_on: bool,
}

impl Contract {
    /// An event of the contract. What depends on its milestones is judged elsewhere.
    pub(super) fn follow(&mut self, raw: &Raw) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "contract.drafted" => {
                raw.text("client_id")?.clone_into(&mut self.client);
                raw.text("payee_id")?.clone_into(&mut self.payee);
                self.is_by(raw, "client")?;
            }
            "contract.offered" => {
                self.is_by(raw, "client")?;
                self.answers = "payee";
                self.offer_expires_at = Some(raw.instant("offer_expires_at")?);
            }
            "contract.countered" => {
                self.is_by(raw, self.answers)?;
                is_before(raw, self.offer_expires_at)?;
                self.answers = if self.answers == "payee" { "client" } else { "payee" };
                self.offer_expires_at = Some(raw.instant("offer_expires_at")?);
            }
            "contract.accepted" => {
                self.is_by(raw, self.answers)?;
                is_before(raw, self.offer_expires_at.take())?;
                self.funding_due_at = Some(raw.instant("funding_due_at")?);
                self.policy = usual::policy(raw);
                if self.funding_due_at != Some(raw.at + self.days("first_funding_days")) {
                    return Err(raw.breaks("I5", "the first money is due at another instant than was agreed"));
                }
            }
            "contract.declined" => {
                self.is_by(raw, "payee")?;
                is_before(raw, self.offer_expires_at.take())?;
            }
            "contract.offer_withdrawn" => {
                self.is_by(raw, "client")?;
                is_before(raw, self.offer_expires_at.take())?;
            }
            "contract.offer_expired" => is_the_timer_of(raw, self.offer_expires_at)?,
            "contract.activated" => {
                // The first money can be lost in a freeze of nothing, but its deadline cannot.
                is_before(raw, self.funding_due_at.take())?;
                self.watch(raw, "dormancy_check_at")?;
            }
            "contract.deadline_extended" => {
                let due_at = raw.instant("due_at")?;
                if self.thaw.is_some() {
                    return self.go_on(raw, due_at);
                }
                if raw.text("key")? != "first_funding" {
                    self.stands_not_still(raw)?;
                }
                let deadline = match raw.text("key")? {
                    "first_funding" => &mut self.funding_due_at,
                    "end_request" => match &mut self.end {
                        Some(End { cancels: false, respond_by, agreed_at: None }) => respond_by,
                        _ => return Err(raw.breaks("I5", "nobody has asked for the end")),
                    },
                    _ => return Err(raw.breaks("I5", "no such deadline can be moved")),
                };
                is_the_timer_of(raw, deadline.replace(due_at))?;
                if due_at != raw.at + TimeDelta::hours(days_of(&self.policy, "funding_intent_hours")) {
                    return Err(raw.breaks("I5", "moved to another instant than was agreed"));
                }
            }
            "contract.cancelled" => {
                let due_at = self.funding_due_at.take();
                match (due_at, raw.actor.as_str()) {
                    (Some(_), "system:timer") => is_the_timer_of(raw, due_at)?,
                    (Some(_), "system:psp") => {}
                    (Some(_), _) => {
                        self.is_of_a_party(raw)?;
                        is_before(raw, due_at)?;
                    }
                    // A draft.
                    (None, _) if self.answers.is_empty() => self.is_by(raw, "client")?,
                    // Nothing of it was released, or its milestones were given up one by one.
                    (None, _) if raw.text("stage")? == "ended" && self.end.is_some() => {}
                    (None, _) if self.dormancy.defaulted.is_some() => {}
                    (None, _) => return Err(raw.breaks("I5", "cancelled after money had come, or before acceptance")),
                }
                self.cancelled = true;
            }
            _ => self.follow_a_running_one(raw)?,
        }
        Ok(())
    }

    fn follow_a_running_one(&mut self, raw: &Raw) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "contract.amendment_proposed" => {
                let by = raw.text("by")?.to_owned();
                self.is_by(raw, &by)?;
                if self.proposal.is_some() || self.paused_by.is_some() || self.end.is_some() {
                    return Err(raw.breaks("I5", "proposed while another waits, during a pause, or at the end"));
                }
                let (id, expires_at) = (raw.text("amendment_id")?.to_owned(), raw.instant("expires_at")?);
                self.proposal = Some(Proposal { id, by, expires_at });
            }
            "contract.amendment_accepted" => {
                let proposal = self.answered(raw)?;
                is_before(raw, Some(proposal.expires_at))?;
                // Consent is the other side's.
                self.is_by(raw, if proposal.by == "payee" { "client" } else { "payee" })?;
            }
            "contract.amendment_rejected" => {
                let proposal = self.answered(raw)?;
                match raw.text("reason")? {
                    "expired" => is_the_timer_of(raw, Some(proposal.expires_at))?,
                    reason => {
                        self.is_of_a_party(raw)?;
                        is_before(raw, Some(proposal.expires_at))?;
                        let withdrawn = self.is_by(raw, &proposal.by).is_ok();
                        if (reason == "withdrawn") != withdrawn {
                            return Err(raw.breaks("I5", "withdrawn by the other side, or rejected by the own"));
                        }
                    }
                }
            }
            "contract.paused" => {
                let by = raw.text("by")?.to_owned();
                self.is_by(raw, &by)?;
                self.dormancy.due_at = None;
                if self.paused_by.replace(by).is_some() {
                    return Err(raw.breaks("I5", "paused twice"));
                }
            }
            "contract.resumed" => {
                match self.paused_by.take() {
                    Some(by) => self.is_by(raw, &by)?,
                    None => return Err(raw.breaks("I5", "resumed without a pause")),
                }
                self.watch(raw, "dormancy_check_at")?;
            }
            _ => self.follow_the_end(raw)?,
        }
        Ok(())
    }

    fn follow_the_end(&mut self, raw: &Raw) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "contract.end_requested" => {
                let cancels = raw.text("by")? == "payee";
                self.is_by(raw, if cancels { "payee" } else { "client" })?;
                let respond_by = raw.instant("respond_by")?;
                let time = if cancels { TimeDelta::zero() } else { self.days("end_request_days") };
                if self.end.is_some() || respond_by != raw.at + time {
                    return Err(raw.breaks("I5", "asked for twice, or the payee has another time to answer"));
                }
                self.proposal = None;
                self.paused_by = None;
                self.dormancy.due_at = None;
                self.end = Some(End { cancels, respond_by: Some(respond_by), agreed_at: None });
            }
            "contract.end_agreed" => {
                let (cancels, due_at) = match &mut self.end {
                    Some(End { cancels, respond_by, agreed_at: agreed_at @ None }) => {
                        *agreed_at = Some(raw.at);
                        (*cancels, respond_by.take())
                    }
                    _ => return Err(raw.breaks("I5", "nobody has asked for the end")),
                };
                match raw.text("by") {
                    Ok("payee") if cancels && due_at == Some(raw.at) => self.is_by(raw, "payee")?,
                    _ if cancels => return Err(raw.breaks("I5", "the payee cancelled, and agreed at another instant")),
                    Ok("payee") => {
                        self.is_by(raw, "payee")?;
                        self.is_in_time(raw, due_at)?;
                    }
                    // Nothing was held.
                    Ok(_) => self.is_by(raw, "client")?,
                    Err(_) => {
                        self.stands_not_still(raw)?;
                        is_the_timer_of(raw, due_at)?;
                    }
                }
            }
            "contract.dormancy_warned" | "contract.dormancy_postponed" | "contract.marked_dormant" => {
                self.follow_silence(raw)?;
            }
            "contract.dormancy_escalated_to_payee" => {
                self.stands_not_still(raw)?;
                self.is_turn(raw, Stage::ClientAsked, Stage::PayeeAsked, ("payee_respond_by", "request_days"))?;
                is_the_timer_of(raw, self.dormancy.due_at.replace(raw.instant("payee_respond_by")?))?;
            }
            "contract.dormancy_release_requested" => {
                self.is_by(raw, "payee")?;
                self.is_turn(raw, Stage::PayeeAsked, Stage::ReleaseRequested, ("client_respond_by", "default_days"))?;
                let due_at = self.dormancy.due_at.replace(raw.instant("client_respond_by")?);
                self.is_in_time(raw, due_at)?;
            }
            "contract.dormancy_defaulted" => {
                self.stands_not_still(raw)?;
                is_the_timer_of(raw, self.dormancy.due_at.take())?;
                let to = if self.dormancy.stage == Stage::ReleaseRequested { "payee" } else { "client" };
                if raw.text("to")? != to || matches!(self.dormancy.stage, Stage::Awake | Stage::ClientAsked) {
                    return Err(raw.breaks("I5", &format!("silence is not yet the {to}'s")));
                }
                self.dormancy.defaulted = Some((to.to_owned(), raw.at));
            }
            "contract.reactivated" => {
                if self.dormancy.stage == Stage::Awake {
                    return Err(raw.breaks("I5", "was not dormant"));
                }
                self.watch(raw, "dormancy_check_at")?;
            }
            "contract.timer_blocked" => {
                return Err(raw.breaks("W", &format!("no timer of a contract can be refused: {}", raw.data)));
            }
            _ => {}
        }
        Ok(())
    }

    /// A step of a dormant contract, with the time that it leaves.
    fn is_turn(&mut self, raw: &Raw, from: Stage, to: Stage, (key, days): (&str, &str)) -> Result<(), Violation> {
        if std::mem::replace(&mut self.dormancy.stage, to) != from {
            return Err(raw.breaks("I5", "out of turn"));
        }
        if raw.instant(key)? != raw.at + TimeDelta::days(self.silence(days)) {
            return Err(raw.breaks("I5", "the answer has another time than was agreed"));
        }
        Ok(())
    }

    /// Somebody looks whether anything has happened.
    fn follow_silence(&mut self, raw: &Raw) -> Result<(), Violation> {
        if self.thaw.is_some() {
            return self.count_anew(raw);
        }
        self.stands_not_still(raw)?;
        is_the_timer_of(raw, self.dormancy.due_at)?;
        let silent_since = self.last_done_at.max(self.dormancy.since).max(self.last_due_at);
        let silent_for = silent_since.map_or(TimeDelta::MAX, |since| raw.at - since);
        let day = self.dormancy.day;
        match raw.event_type.as_str() {
            "contract.dormancy_postponed" => {
                let (from, next_at) = (raw.instant("counted_from")?, raw.instant("next_at")?);
                if silent_since.is_some_and(|since| from < since)
                    || next_at <= raw.at
                    || next_at != from + TimeDelta::days(self.silence("warn_days"))
                {
                    return Err(raw.breaks("I5", &format!("nothing was done since {silent_since:?}")));
                }
                (self.dormancy.due_at, self.dormancy.day) = (Some(next_at), self.silence("warn_days"));
                return Ok(());
            }
            "contract.dormancy_warned" => {
                let (first, again) = (self.silence("warn_days"), self.silence("warn_again_days"));
                let told = raw.amount("day")?;
                let next = if told == i128::from(first) { again } else { self.silence("dormant_days") };
                // An earlier day is told again where something has happened since, so that it is not yet the next one.
                let known = [first, again].into_iter().any(|of| told == i128::from(of));
                let next_at = raw.instant("next_at")?;
                if !known || told > i128::from(day) || next_at <= raw.at {
                    return Err(raw.breaks("I5", &format!("it is day {day}")));
                }
                if told < i128::from(day) && silent_for >= TimeDelta::days(day) && self.dormancy.due_at == Some(raw.at)
                {
                    // Open questions and payments under way are activity that no event tells of.
                    let counted_from = next_at - TimeDelta::days(next);
                    if silent_since.is_none_or(|since| counted_from <= since) {
                        return Err(raw.breaks("I5", &format!("it is day {day} already")));
                    }
                }
                let told = if told == i128::from(first) { first } else { again };
                (self.dormancy.due_at, self.dormancy.day) = (Some(next_at), next);
                if silent_for < TimeDelta::days(told) {
                    return Err(raw.breaks("I5", &format!("something was done at {silent_since:?}")));
                }
                return Ok(());
            }
            _ => {
                if day != self.silence("dormant_days") {
                    return Err(raw.breaks("I5", &format!("it is day {day} only")));
                }
                let respond_by = raw.instant("client_respond_by")?;
                if respond_by != raw.at + TimeDelta::days(self.silence("escalate_days")) {
                    return Err(raw.breaks("I5", "the client has another time to answer than was agreed"));
                }
                (self.dormancy.due_at, self.dormancy.stage) = (Some(respond_by), Stage::ClientAsked);
                self.proposal = None;
            }
        }
        if silent_for < TimeDelta::days(day) {
            return Err(raw.breaks("I5", &format!("something was done at {silent_since:?}")));
        }
        Ok(())
    }

    /// The clock of silence begins anew.
    fn watch(&mut self, raw: &Raw, key: &str) -> Result<(), Violation> {
        let day = self.silence("warn_days");
        let due_at = raw.instant(key)?;
        if due_at != self.last_due_at.max(Some(raw.at)).unwrap_or(raw.at) + TimeDelta::days(day) {
            return Err(raw.breaks("I5", "it is looked at at another instant than was agreed"));
        }
        self.dormancy = Dormancy { due_at: Some(due_at), day, since: Some(raw.at), ..Dormancy::default() };
        Ok(())
    }

    fn silence(&self, key: &str) -> i64 {
        self.policy.get("dormancy").map_or(-1, |days| days_of(days, key))
    }

    /// A period that was agreed.
    pub(super) fn days(&self, key: &str) -> TimeDelta {
        TimeDelta::days(days_of(&self.policy, key))
    }

    /// Its end was agreed in this append.
    pub(super) fn is_ended_now(&self, raw: &Raw) -> bool {
        self.end.as_ref().is_some_and(|end| end.agreed_at == Some(raw.at))
    }

    /// Silence gave what is held to the payee in this append.
    pub(super) fn goes_to_payee(&self, raw: &Raw) -> bool {
        self.defaulted_to(raw, "payee")
    }

    /// Silence gave what is held to the client in this append.
    pub(super) fn goes_to_client(&self, raw: &Raw) -> bool {
        self.defaulted_to(raw, "client")
    }

    fn defaulted_to(&self, raw: &Raw, side: &str) -> bool {
        self.dormancy.defaulted.as_ref().is_some_and(|(to, at)| to == side && *at == raw.at)
    }

    /// Work and payments begin only where nobody has paused them.
    pub(super) fn lets_begin(&self, raw: &Raw) -> Result<(), Violation> {
        if self.paused_by.is_some() || self.cancelled || self.closed {
            return Err(raw.breaks("I5", "begun in a contract that is paused or over"));
        }
        Ok(())
    }

    fn answered(&mut self, raw: &Raw) -> Result<Proposal, Violation> {
        let id = raw.text("amendment_id")?;
        let proposal = self.proposal.take().filter(|proposal| proposal.id == id);
        proposal.ok_or_else(|| raw.breaks("I5", "no such amendment waits"))
    }

    /// It was done by this side, acting as such.
    pub(super) fn is_by(&self, raw: &Raw, side: &str) -> Result<(), Violation> {
        let party = if side == "client" { &self.client } else { &self.payee };
        if raw.actor == format!("{side}:{party}") {
            return Ok(());
        }
        Err(raw.breaks("I5", &format!("done by {}, which is for the {side} to do", raw.actor)))
    }

    /// It was done by one side or the other.
    pub(super) fn is_of_a_party(&self, raw: &Raw) -> Result<(), Violation> {
        self.is_by(raw, "client").or_else(|_| self.is_by(raw, "payee"))
    }
}

fn days_of(policy: &Value, key: &str) -> i64 {
    policy.get(key).and_then(Value::as_i64).unwrap_or(-1)
}

fn is_before(raw: &Raw, deadline: Option<Timestamp>) -> Result<(), Violation> {
    if deadline.is_some_and(|deadline| raw.at < deadline) {
        return Ok(());
    }
    Err(raw.breaks("I5", &format!("happened at {}, the deadline was {deadline:?}", raw.at)))
}

fn is_the_timer_of(raw: &Raw, deadline: Option<Timestamp>) -> Result<(), Violation> {
    if deadline == Some(raw.at) && raw.actor == "system:timer" {
        return Ok(());
    }
    Err(raw.breaks("I5", &format!("by {} at {}, the deadline was {deadline:?}", raw.actor, raw.at)))
}
