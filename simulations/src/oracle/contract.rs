//! What two parties agree, followed through the events: who answers, until when, and who consented.

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::{Raw, text_of};
use crate::failure::Violation;

/// A fee in hundredths of a percent.
pub(super) type Rate = i128;

/// An amendment that waits.
#[derive(Debug)]
struct Proposal {
    id: String,
    by: String,
    expires_at: Timestamp,
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
    pub(super) client_rate: Rate,
    pub(super) payee_rate: Rate,
    pub(super) clearance_days: i64,
    pub(super) cancelled: bool,
    pub(super) closed: bool,
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
                let fees = raw.data.get("fee_schedule");
                self.client_rate = rate(raw, fees.and_then(|fees| fees.get("client_fee")))?;
                self.payee_rate = rate(raw, fees.and_then(|fees| fees.get("payee_fee")))?;
                let days = raw.data.get("policy").and_then(|policy| policy.get("clearance_days"));
                self.clearance_days = days.and_then(Value::as_i64).unwrap_or(-1);
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
            "contract.activated" => is_before(raw, self.funding_due_at.take())?,
            "contract.deadline_extended" => {
                is_the_timer_of(raw, self.funding_due_at)?;
                let due_at = raw.instant("due_at")?;
                if raw.text("key")? != "first_funding" || due_at != raw.at + TimeDelta::days(1) {
                    return Err(raw.breaks("I5", "another deadline than that of the first money is moved"));
                }
                self.funding_due_at = Some(due_at);
            }
            "contract.cancelled" => {
                let due_at = self.funding_due_at.take();
                match (due_at, raw.actor.as_str()) {
                    (Some(_), "system:timer") => is_the_timer_of(raw, due_at)?,
                    (Some(_), _) => {
                        self.is_of_a_party(raw)?;
                        is_before(raw, due_at)?;
                    }
                    // A draft.
                    (None, _) if self.answers.is_empty() => self.is_by(raw, "client")?,
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
                if self.proposal.is_some() || self.paused_by.is_some() {
                    return Err(raw.breaks("I5", "proposed while another waits, or during a pause"));
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
                if self.paused_by.replace(by).is_some() {
                    return Err(raw.breaks("I5", "paused twice"));
                }
            }
            "contract.resumed" => match self.paused_by.take() {
                Some(by) => self.is_by(raw, &by)?,
                None => return Err(raw.breaks("I5", "resumed without a pause")),
            },
            _ => {}
        }
        Ok(())
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

/// Reads `{"kind":"percent","percent":"12.5"}`.
fn rate(raw: &Raw, fee: Option<&Value>) -> Result<Rate, Violation> {
    let text = fee.map(|fee| text_of(fee, "percent")).unwrap_or_default();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let hundredths = format!("{part:0<2}");
    let unreadable = || raw.breaks("W", &format!("the fee {fee:?} cannot be read"));
    if hundredths.len() > 2 && hundredths.get(2..).is_some_and(|rest| rest.bytes().any(|digit| digit != b'0')) {
        return Err(unreadable());
    }
    let number = |digits: &str| digits.parse::<i128>().map_err(|_| unreadable());
    Ok(number(whole)? * 100 + number(hundredths.get(..2).unwrap_or("0"))?)
}
