//! What the provider tells of a party's account, and what follows from it for the party's standing.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use uuid::Uuid;

use super::{
    AccountStatus, COOLING_HOURS, PartyEvent, PayoutAccount, Requirements, Restriction, Standing,
    decide::{lift, linked},
};
use crate::id::{BreakId, PartyId};
use crate::payee::HoldReason;
use crate::policy::hours_after;
use crate::time::Timestamp;

/// Namespace of the ids of breaks about a payee's balance.
const BREAKS: Uuid = Uuid::from_u128(0x9c1e_4b7a_20d3_5f68_8e15_6a0b_d4c7_39f2);

/// Codes of the provider that say that the bank account is the reason
/// (<https://docs.stripe.com/api/payouts/failures>).
const DESTINATION_ERRORS: [&str; 11] = [
    "account_closed",
    "account_frozen",
    "bank_account_restricted",
    "bank_ownership_changed",
    "debit_not_authorized",
    "incorrect_account_holder_name",
    "incorrect_account_holder_tax_id",
    "invalid_account_number",
    "invalid_account_number_length",
    "invalid_currency",
    "no_account",
];

/// Whether the bank account has to be another one before a payout can arrive, where a payout failed with this code.
pub fn is_destination_error(code: &str) -> bool {
    DESTINATION_ERRORS.contains(&code)
}

/// What is new in what the provider tells.
pub(super) fn record(
    party_id: PartyId,
    account: Option<&PayoutAccount>,
    standing: &Standing,
    psp: &str,
    status: &AccountStatus,
    now: Timestamp,
) -> Vec<PartyEvent> {
    let psp_account = &status.psp_account;
    let linked = match account {
        Some(known) if known.psp == psp && known.psp_account == *psp_account => None,
        // Of an account that is not used.
        Some(_) => return Vec::new(),
        None if standing.requested_at_psp.as_deref() == Some(psp) && status.end.is_none() => {
            let account = PayoutAccount { psp: psp.to_owned(), psp_account: psp_account.clone() };
            Some(linked(party_id, None, standing, &account, now))
        }
        None => return Vec::new(),
    };
    if standing.told_at.is_some_and(|known| known > status.told_at) {
        return Vec::new();
    }
    let mut events: Vec<_> = linked.into_iter().collect();
    if let Some(end) = status.end {
        let (psp, psp_account) = (psp.to_owned(), psp_account.clone());
        let call_back_in = standing.left_in.iter().copied().collect();
        events.push(PartyEvent::PspAccountEnded { party_id, psp, psp_account, end, call_back_in });
        return events;
    }
    events.extend(requirements(party_id, standing, status));
    events.extend(destinations(party_id, standing, status, now));
    events.extend(shortfalls(party_id, standing, status));
    events
}

fn requirements(party_id: PartyId, standing: &Standing, status: &AccountStatus) -> Vec<PartyEvent> {
    let after = status.requirements.restriction();
    // What was held because of an account that was used before is let go with the word that this one is in order.
    let left_held =
        after.is_none() && standing.restrictions.is_empty() && !standing.held_for(HoldReason::Kyc).is_empty();
    let let_go = left_held.then(|| lift(party_id, standing, Restriction::Requirements));
    if standing.requirements.as_ref() == Some(&status.requirements) {
        return let_go.into_iter().collect();
    }
    let mut events = vec![PartyEvent::PspRequirementsChanged {
        party_id,
        psp_account: status.psp_account.clone(),
        told_at: status.told_at,
        requirements: status.requirements.clone(),
    }];
    let before = standing.requirements.as_ref().and_then(Requirements::restriction);
    events.extend(let_go);
    if before == after {
        return events;
    }
    // The new reason first, so that nothing is let go in between.
    let new = after.filter(|reason| !standing.restrictions.contains(reason));
    events.extend(new.map(|reason| PartyEvent::Restricted { party_id, reason }));
    if let Some(reason) = before.filter(|reason| standing.restrictions.contains(reason)) {
        let mut then = standing.clone();
        then.restrictions.extend(after);
        events.push(lift(party_id, &then, reason));
    }
    events
}

fn destinations(party_id: PartyId, standing: &Standing, status: &AccountStatus, now: Timestamp) -> Vec<PartyEvent> {
    let changed = status.destinations.iter().filter_map(|told| {
        let known = standing.destinations.get(&told.currency);
        if known.is_some_and(|known| known.fingerprint == told.fingerprint) {
            return None;
        }
        // After a bank account that did not take payouts a new one is a change, too.
        let changes = standing.has_destination(told.currency);
        Some(PartyEvent::PayoutDestinationChanged {
            party_id,
            currency: told.currency,
            fingerprint: told.fingerprint.clone(),
            cooling_until: changes.then(|| hours_after(now, COOLING_HOURS)),
        })
    });
    changed.collect()
}

fn shortfalls(party_id: PartyId, standing: &Standing, status: &AccountStatus) -> Vec<PartyEvent> {
    let told: BTreeMap<Currency, Minor> = status
        .shortfalls
        .iter()
        .filter(|shortfall| !shortfall.amount.is_zero())
        .map(|shortfall| (shortfall.currency, shortfall.amount))
        .collect();
    let currencies: BTreeSet<Currency> = told.keys().chain(standing.shortfalls.keys()).copied().collect();
    let psp_account = &status.psp_account;
    let changed =
        currencies.into_iter().filter_map(|currency| match (standing.shortfalls.get(&currency), told.get(&currency)) {
            (before, Some(now)) if before != Some(now) => Some(PartyEvent::PspBalanceNegative {
                party_id,
                psp_account: psp_account.clone(),
                currency,
                shortfall: *now,
                break_id: BreakId::derived(BREAKS, &format!("{psp_account}/{currency}/{}", status.told_at)),
            }),
            (Some(_), None) => {
                Some(PartyEvent::PspBalanceRestored { party_id, psp_account: psp_account.clone(), currency })
            }
            _ => None,
        });
    changed.collect()
}
