//! What is known of those who are paid: whether they may be, and by which account.
//!
//! # Invariants
//! - A restriction is lifted once, and only one that there is; a suspicion is dropped by two.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::time::Timestamp;

use super::{Raw, amount_of};
use crate::failure::Violation;

/// How long another bank account, or account at the provider, is not used.
const COOLING: TimeDelta = TimeDelta::hours(72);

#[derive(Debug, Default)]
struct Party {
    account: Option<String>,
    had_account: bool,
    not_before: Option<Timestamp>,
    restrictions: BTreeSet<String>,
    /// Reasons that went with the account that was used before: what was held for them may be let go.
    forgotten: BTreeSet<String>,
    suspected: bool,
    proposed_by: Option<String>,
    /// By currency: until when the bank account is not used.
    cooling: BTreeMap<String, Option<Timestamp>>,
    blocked: BTreeSet<String>,
    shortfalls: BTreeSet<String>,
    /// By currency: the last request for another bank account, and whether it was refused.
    asked: BTreeMap<String, (i128, bool)>,
}

/// Every party.
#[derive(Debug, Default)]
pub(super) struct Parties {
    all: BTreeMap<String, Party>,
}

impl Parties {
    pub(super) fn follow(&mut self, raw: &Raw) -> Result<(), Violation> {
        let party = self.all.entry(raw.text("party_id")?.to_owned()).or_default();
        let currency = || raw.text("currency").map(str::to_owned);
        match raw.event_type.as_str() {
            "party.psp_account_linked" => {
                let until = party.had_account.then(|| raw.at + COOLING);
                if raw.instant("cooling_until").ok() != until {
                    return Err(raw.breaks("I5", &format!("it is not used until {until:?}")));
                }
                (party.account, party.had_account) = (Some(raw.text("psp_account")?.to_owned()), true);
                party.not_before = until;
                party.cooling.clear();
                party.blocked.clear();
                party.shortfalls.clear();
                let (kept, forgotten): (_, BTreeSet<_>) =
                    std::mem::take(&mut party.restrictions).into_iter().partition(|reason| reason != "requirements");
                party.restrictions = kept;
                party.forgotten.extend(forgotten);
            }
            "party.psp_account_ended" => party.account = None,
            "party.restricted" => {
                let is_new = party.restrictions.insert(raw.text("reason")?.to_owned());
                if !is_new {
                    return Err(raw.breaks("I5", "restricted for that already"));
                }
            }
            "party.restriction_lifted" => {
                let reason = raw.text("reason")?;
                if !party.restrictions.remove(reason) && !party.forgotten.remove(reason) {
                    return Err(raw.breaks("I5", "not restricted for that"));
                }
            }
            "party.payout_destination_requested" => {
                party.asked.insert(currency()?, (amount_of(&raw.data, "request"), false));
            }
            "party.payout_destination_refused" => {
                let asked = party.asked.insert(currency()?, (raw.amount("request")?, true));
                let linked = party.account.as_deref() == Some(raw.text("psp_account")?);
                if !linked || asked != Some((raw.amount("request")?, false)) {
                    return Err(raw.breaks("I5", &format!("asked for was {asked:?} at {:?}", party.account)));
                }
            }
            "party.payout_destination_changed" => {
                let first = !party.cooling.contains_key(&currency()?) && !party.blocked.contains(&currency()?);
                let until = (!first).then(|| raw.at + COOLING);
                if raw.instant("cooling_until").ok() != until {
                    return Err(raw.breaks("I5", &format!("it is not used until {until:?}")));
                }
                party.cooling.insert(currency()?, until);
                party.blocked.remove(&currency()?);
            }
            "party.payout_destination_blocked" => {
                party.blocked.insert(currency()?);
            }
            "party.psp_balance_negative" => {
                party.shortfalls.insert(currency()?);
            }
            "party.psp_balance_restored" => {
                party.shortfalls.remove(&currency()?);
            }
            "party.sanctions_hit_recorded" => (party.suspected, party.proposed_by) = (true, None),
            "party.sanctions_clearance_proposed" => {
                party.proposed_by = Some(raw.text("proposed_by")?.to_owned());
            }
            "party.sanctions_cleared" => {
                let (proposed, approved) = (raw.text("proposed_by")?, raw.text("approved_by")?);
                if !party.suspected || party.proposed_by.as_deref() != Some(proposed) || proposed == approved {
                    return Err(raw.breaks("I5", "a suspicion is dropped by two members of staff"));
                }
                (party.suspected, party.proposed_by) = (false, None);
            }
            _ => {}
        }
        Ok(())
    }

    /// Why what clears is held back.
    pub(super) fn holds(&self, id: &str) -> Option<&'static str> {
        let party = self.all.get(id)?;
        match (party.suspected, party.restrictions.is_empty()) {
            (true, _) => Some("sanctions"),
            (false, false) => Some("kyc"),
            (false, true) => None,
        }
    }

    /// Why the party is not paid now; nothing, when it is.
    pub(super) fn stops(&self, id: &str, currency: &str, account: &str, now: Timestamp) -> Option<String> {
        let party = self.all.get(id)?;
        if party.account.as_deref() != Some(account) {
            return Some(format!("{:?} is linked", party.account));
        }
        if party.suspected || !party.restrictions.is_empty() {
            return Some(format!("the party is restricted: {:?}", party.restrictions));
        }
        if party.blocked.contains(currency) || party.shortfalls.contains(currency) {
            return Some("the account cannot be used".to_owned());
        }
        let until = party.cooling.get(currency).copied().flatten().max(party.not_before);
        until.filter(|until| now < *until).map(|until| format!("the account is not used until {until}"))
    }
}
