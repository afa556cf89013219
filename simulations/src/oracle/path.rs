//! The way of the money, followed through the events: who was offered what, what is held, released, cleared, paid.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::books::Books;
use super::contract::Contract;
use super::milestone::Milestone;
use super::{Raw, amount_of, text_of};
use crate::failure::Violation;

#[derive(Debug, Default)]
struct Funding {
    charge: i128,
    currency: String,
    captured: Option<(i128, String)>,
    held: bool,
    suspended: bool,
    net: Option<i128>,
    available: bool,
}

#[derive(Debug, Default)]
struct Release {
    milestone: String,
    net: i128,
    clears_at: Option<Timestamp>,
    credits: u32,
    clearances: u32,
}

#[derive(Debug, Default)]
struct Payout {
    currency: String,
    payee: String,
    amount: i128,
    transfer_amount: i128,
    reserved: bool,
    transfers: u32,
    ends: Vec<&'static str>,
    /// What the payee account was told of its ends.
    noted: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Account {
    pending: i128,
    available: i128,
    in_transit: i128,
}

/// Everything on its way.
#[derive(Debug, Default)]
pub(super) struct Path {
    contracts: BTreeMap<String, Contract>,
    milestones: BTreeMap<String, Milestone>,
    fundings: BTreeMap<String, Funding>,
    releases: BTreeMap<String, Release>,
    payouts: BTreeMap<String, Payout>,
    /// By payee and currency.
    accounts: BTreeMap<(String, String), Account>,
    /// What changed since the last append ended.
    touched_milestones: Vec<String>,
    touched_releases: Vec<String>,
    touched_payouts: Vec<String>,
    touched_fundings: Vec<String>,
    touched_accounts: Vec<(String, String)>,
}

impl Path {
    /// What the provider may move for an order on this aggregate; `None`, when nothing was ordered.
    pub(super) fn may_move(&self, action: &str, aggregate: &str) -> Option<i128> {
        match action {
            "collect_payment" => self.fundings.get(aggregate).map(|funding| funding.charge),
            "move_to_payee" => self.payouts.get(aggregate).map(|payout| payout.transfer_amount),
            "pay_to_bank" => self.payouts.get(aggregate).map(|payout| payout.amount),
            _ => None,
        }
    }

    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "contract.completed" => {
                let id = raw.text("contract_id")?;
                let of = |milestone: &&Milestone| milestone.contract == id;
                let total: i128 = self.milestones.values().filter(of).map(|milestone| milestone.released).sum();
                if total != raw.amount("released_total")? {
                    return Err(raw.breaks("I4", &format!("{total} was released in it")));
                }
            }
            "contract.cancelled" => {
                let id = raw.text("contract_id")?;
                self.contracts.entry(id.to_owned()).or_default().follow(raw)?;
                if self.milestones.values().any(|milestone| milestone.contract == id && milestone.funded != 0) {
                    return Err(raw.breaks("I4", "cancelled after money had come"));
                }
            }
            "escrow.closed" => {
                let contract = self.contracts.entry(raw.text("contract_id")?.to_owned()).or_default();
                contract.closed = true;
            }
            "contract.timer_blocked" | "milestone.timer_blocked" | "payee.timer_blocked" => {
                return Err(raw.breaks("W", &format!("no timer of this path can be refused: {}", raw.data)));
            }
            event_type => match event_type.split_once('.').map(|(kind, _)| kind) {
                Some("contract") => {
                    self.contracts.entry(raw.text("contract_id")?.to_owned()).or_default().follow(raw)?;
                }
                Some("milestone") => {
                    let contract = self.contracts.entry(raw.text("contract_id")?.to_owned()).or_default();
                    let id = raw.text("milestone_id")?.to_owned();
                    self.milestones.entry(id.clone()).or_default().follow(raw, contract)?;
                    self.touched_milestones.push(id);
                }
                Some("escrow") => self.follow_escrow(raw, books)?,
                Some("funding") => self.follow_funding(raw, books)?,
                Some("payee") => self.follow_payee(raw, books)?,
                Some("payout") => self.follow_payout(raw, books)?,
                _ => {}
            },
        }
        Ok(())
    }

    fn follow_escrow(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "escrow.funded" => {
                let funding_id = raw.text("funding_id")?.to_owned();
                let currency = raw.text("currency")?;
                let surplus = raw.amount("surplus_to_wallet")?;
                let mut total = surplus;
                for part in raw.list("allocations")? {
                    let id = text_of(part, "milestone_id").to_owned();
                    let (amount, client_fee) = (amount_of(part, "amount"), amount_of(part, "client_fee"));
                    total += amount + client_fee;
                    books.expect("2100", currency, -amount);
                    books.expect("2300", currency, -client_fee);
                    let milestone = self.milestones.entry(id.clone()).or_default();
                    let contract = self.contracts.get(&milestone.contract);
                    milestone.fund(raw, &funding_id, amount, client_fee, contract)?;
                    self.touched_milestones.push(id);
                }
                books.expect("2120", currency, -surplus);
                let funding = self.fundings.entry(funding_id.clone()).or_default();
                if funding.captured != Some((total, currency.to_owned())) || funding.held {
                    let found = format!("{total} {currency} is held, and {:?} was collected", funding.captured);
                    return Err(raw.breaks("I4", &found));
                }
                funding.held = true;
                self.touched_fundings.push(funding_id);
            }
            "escrow.released" => {
                let id = raw.text("milestone_id")?.to_owned();
                let currency = raw.text("currency")?;
                let (gross, net) = (raw.amount("gross")?, raw.amount("net")?);
                let (payee_fee, earned) = (raw.amount("payee_fee")?, raw.amount("client_fee_earned")?);
                books.expect("2100", currency, gross);
                books.expect("2300", currency, earned);
                books.expect("4100", currency, -payee_fee);
                books.expect("4110", currency, -earned);
                let milestone = self.milestones.entry(id.clone()).or_default();
                let contract = self.contracts.get(&milestone.contract);
                milestone.release(raw, contract)?;
                let days = contract.map_or(-1, |contract| contract.clearance_days);
                let clears_at = raw.instant("clears_at")?;
                if clears_at != raw.at + TimeDelta::days(days) {
                    return Err(raw.breaks("I5", "it clears at another instant than was agreed"));
                }
                let release_id = raw.text("release_id")?.to_owned();
                let release =
                    Release { milestone: id.clone(), net, clears_at: Some(clears_at), credits: 0, clearances: 0 };
                if self.releases.insert(release_id.clone(), release).is_some() {
                    return Err(raw.breaks("I5", "released before under the same id"));
                }
                self.touched_milestones.push(id);
                self.touched_releases.push(release_id);
            }
            _ => {}
        }
        Ok(())
    }

    fn follow_funding(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("funding_id")?.to_owned();
        let funding = self.fundings.entry(id.clone()).or_default();
        match raw.event_type.as_str() {
            "funding.created" => {
                funding.charge = raw.amount("charge")?;
                raw.text("currency")?.clone_into(&mut funding.currency);
            }
            "funding.succeeded" => {
                let (captured, currency) = (raw.amount("captured")?, raw.text("currency")?);
                if funding.captured.is_some() {
                    return Err(raw.breaks("I5", "collected twice"));
                }
                funding.captured = Some((captured, currency.to_owned()));
                books.expect("1110", currency, captured);
                self.touched_fundings.push(id);
            }
            "funding.receipt_suspended" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if funding.suspended || funding.captured != Some((amount, currency.to_owned())) {
                    return Err(raw.breaks("I4", "suspended is not what was collected"));
                }
                funding.suspended = true;
                books.expect("2900", currency, -amount);
                self.touched_fundings.push(id);
            }
            "funding.psp_fee_recorded" => {
                let (fee, net, currency) = (raw.amount("fee")?, raw.amount("net")?, raw.text("currency")?);
                if funding.net.is_some() || funding.captured != Some((fee + net, currency.to_owned())) {
                    return Err(raw.breaks("I4", "fee and rest are not what was collected"));
                }
                funding.net = Some(net);
                books.expect("1110", currency, -fee);
                books.expect("5100", currency, fee);
            }
            "funding.psp_funds_became_available" => {
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                if funding.available || funding.net != Some(amount) {
                    return Err(raw.breaks("I4", "what became available is not what was left"));
                }
                funding.available = true;
                books.expect("1110", currency, -amount);
                books.expect("1120", currency, amount);
            }
            _ => {}
        }
        Ok(())
    }

    fn follow_payee(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let payee = raw.text("payee_id")?.to_owned();
        let currency = if let Ok(currency) = raw.text("currency") {
            currency.to_owned()
        } else {
            let payout = self.payouts.get(raw.text("payout_id")?);
            payout.map(|payout| payout.currency.clone()).unwrap_or_default()
        };
        let amount = raw.amount("amount")?;
        let key = (payee, currency);
        let account = self.accounts.entry(key.clone()).or_default();
        let currency = key.1.as_str();
        match raw.event_type.as_str() {
            "payee.earnings_credited" => {
                let release = self.releases.entry(raw.text("release_id")?.to_owned()).or_default();
                release.credits += 1;
                if amount != release.net || release.clears_at != Some(raw.instant("clears_at")?) {
                    return Err(raw.breaks("I4", "credited is not what was released"));
                }
                account.pending += amount;
                books.expect("2200", currency, -amount);
                self.touched_releases.push(raw.text("release_id")?.to_owned());
            }
            "payee.earnings_cleared" => {
                let release = self.releases.entry(raw.text("release_id")?.to_owned()).or_default();
                release.clearances += 1;
                if release.clearances > 1 || amount != release.net {
                    return Err(raw.breaks("I4", "cleared twice, or not what was credited"));
                }
                if release.clears_at != Some(raw.at) {
                    return Err(raw.breaks("I5", "cleared at another instant than was told"));
                }
                account.pending -= amount;
                account.available += amount;
                books.expect("2200", currency, amount);
                books.expect("2210", currency, -amount);
            }
            "payee.payout_reserved" => {
                let payout = self.payouts.entry(raw.text("payout_id")?.to_owned()).or_default();
                if payout.reserved {
                    return Err(raw.breaks("I5", "reserved twice"));
                }
                payout.reserved = true;
                payout.amount = amount;
                payout.transfer_amount = raw.amount("transfer_amount")?;
                currency.clone_into(&mut payout.currency);
                key.0.clone_into(&mut payout.payee);
                account.available -= amount;
                account.in_transit += amount;
                books.expect("2210", currency, amount);
                books.expect("2250", currency, -amount);
            }
            "payee.payout_paid_noted" => {
                let payout = self.payouts.entry(raw.text("payout_id")?.to_owned()).or_default();
                payout.noted.push("paid");
                account.in_transit -= amount;
                books.expect("2250", currency, amount);
            }
            "payee.payout_failed_noted" => {
                let returned = raw.data.get("returned").and_then(Value::as_bool).unwrap_or(false);
                let payout = self.payouts.entry(raw.text("payout_id")?.to_owned()).or_default();
                payout.noted.push(if returned { "returned" } else { "failed" });
                account.available += amount;
                books.expect("2210", currency, -amount);
                if !returned {
                    account.in_transit -= amount;
                    books.expect("2250", currency, amount);
                }
            }
            _ => {}
        }
        if account.pending < 0 || account.available < 0 || account.in_transit < 0 {
            return Err(raw.breaks("I4", &format!("a payee's balance is below zero: {account:?}")));
        }
        self.touched_accounts.push(key);
        Ok(())
    }

    fn follow_payout(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("payout_id")?.to_owned();
        let payout = self.payouts.entry(id.clone()).or_default();
        let currency = raw.data.get("currency").and_then(Value::as_str).unwrap_or_default();
        match raw.event_type.as_str() {
            "payout.requested" => {
                if !payout.reserved || raw.amount("amount")? != payout.amount {
                    return Err(raw.breaks("I5", "requested without being reserved"));
                }
            }
            "payout.transfer_completed" => {
                payout.transfers += 1;
                let amount = raw.amount("amount")?;
                if payout.transfers > 1 || amount > payout.amount || amount != payout.transfer_amount {
                    return Err(raw.breaks("I8", "transferred twice, or more than was reserved"));
                }
                books.expect("1120", currency, -amount);
                books.expect("1130", currency, amount);
            }
            "payout.paid" => {
                payout.ends.push("paid");
                books.expect("1130", currency, -raw.amount("amount")?);
            }
            "payout.failed" => payout.ends.push("failed"),
            "payout.returned" => {
                payout.ends.push("returned");
                books.expect("1130", currency, raw.amount("amount")?);
            }
            _ => return Ok(()),
        }
        if !matches!(payout.ends.as_slice(), [] | ["paid" | "failed"] | ["paid", "returned"]) {
            return Err(raw.breaks("I5", &format!("a payout that ended {:?}", payout.ends)));
        }
        let amount = raw.amount("amount")?;
        if !payout.ends.is_empty() && amount != payout.amount {
            return Err(raw.breaks("I4", &format!("{amount} of {} was paid or came back", payout.amount)));
        }
        self.touched_payouts.push(id);
        Ok(())
    }

    /// An append has ended: what it touched is whole.
    pub(super) fn is_whole(&mut self, books: &Books, position: u64) -> Result<(), Violation> {
        let broken =
            |invariant, found: String| Err(Violation::new(invariant, format!("after event {position}: {found}")));
        for id in std::mem::take(&mut self.touched_milestones) {
            let Some(milestone) = self.milestones.get(&id) else { continue };
            let held = milestone.held();
            let booked = -books.of("2100", &milestone.currency, "milestone", &id);
            if held < 0 || held != booked {
                return broken("I4", format!("{id}: {held} is held by the events, {booked} by the journal"));
            }
            let (deferred, booked) =
                (milestone.deferred_fee(), -books.of("2300", &milestone.currency, "milestone", &id));
            if deferred < 0 || deferred != booked {
                return broken("I4", format!("{id}: {deferred} of fees is not earned, {booked} by the journal"));
            }
            if let Some(found) = milestone.is_left_with() {
                return broken("I5", format!("{id}: {found}"));
            }
            let closed = self.contracts.get(&milestone.contract).is_some_and(|contract| contract.closed);
            if closed && held != 0 {
                return broken("I4", format!("{id}: {held} is held in an escrow that is closed"));
            }
        }
        for id in std::mem::take(&mut self.touched_releases) {
            let Some(release) = self.releases.get(&id) else { continue };
            if release.credits != 1 {
                let found = format!("{id} of {}: credited {} times", release.milestone, release.credits);
                return broken("I5", found);
            }
        }
        for id in std::mem::take(&mut self.touched_fundings) {
            let Some(funding) = self.fundings.get(&id) else { continue };
            if funding.captured.is_some() && funding.held == funding.suspended {
                return broken("I11", format!("{id}: collected and neither held nor suspended, or both: {funding:?}"));
            }
            let as_asked = funding.captured == Some((funding.charge, funding.currency.clone()));
            if funding.held && !as_asked {
                return broken("I4", format!("{id}: held although it is not what was asked for: {funding:?}"));
            }
        }
        for id in std::mem::take(&mut self.touched_payouts) {
            let Some(payout) = self.payouts.get(&id) else { continue };
            if payout.ends != payout.noted {
                let found = format!("{id} ended {:?}, its payee was told {:?}", payout.ends, payout.noted);
                return broken("I5", found);
            }
            let rest = -books.of("2250", &payout.currency, "payout", &id);
            let expected = if payout.ends.is_empty() { payout.amount } else { 0 };
            if rest != expected {
                return broken("I4", format!("{id}: {rest} is on its way by the journal, {expected} by the events"));
            }
        }
        for key in std::mem::take(&mut self.touched_accounts) {
            let Some(account) = self.accounts.get(&key) else { continue };
            let (payee, currency) = &key;
            for (code, ours) in [("2200", account.pending), ("2210", account.available), ("2250", account.in_transit)] {
                let booked = -books.of(code, currency, "payee", payee);
                if booked != ours {
                    return broken("I4", format!("{payee}: {code} has {booked} {currency}, the events say {ours}"));
                }
            }
        }
        Ok(())
    }
}
