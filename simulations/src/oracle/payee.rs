//! Payees' money: earned, cleared, held back, owed, given back, paid out.
//!
//! # Invariants
//! - A release, a bonus or a tip is credited once and clears once, at its instant.
//! - What is given back is taken of what is pending of that contract, latest first, then of what is available; only the
//!   rest is owed, and earnings that clear pay it off before anything else. What a bank took is taken of what is held, too,
//!   before it is owed.
//! - What clears is held where the payee is not paid, and nothing is paid out then.
//! - No balance is below zero.

mod loss;
mod payouts;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::time::Timestamp;
use serde_json::Value;

use super::books::Books;
use super::party::Parties;
use super::vault::Clawed;
use super::{Raw, amount_of, text_of};
use crate::failure::Violation;

#[derive(Debug, Default)]
pub(super) struct Release {
    pub(super) milestone: String,
    pub(super) contract: String,
    pub(super) account: (String, String),
    pub(super) net: i128,
    /// What of it is not given back.
    pub(super) pending: i128,
    pub(super) clears_at: Option<Timestamp>,
    pub(super) credits: u32,
    pub(super) clearances: u32,
}

#[derive(Debug, Default)]
struct Account {
    pending: i128,
    available: i128,
    in_transit: i128,
    held: BTreeMap<String, i128>,
    debts: BTreeMap<String, i128>,
    /// Debts that have to be told of in the same append, made (above zero) or paid off (below).
    told: Vec<(String, i128)>,
    /// What arrived since the last decision on the account: credits conflict with nobody, so that a decision made at the
    /// same time may not have seen them.
    unseen: Vec<Credit>,
    /// What the platform demands of payouts, and when the next one comes by itself.
    policy: payouts::Policy,
    next_at: Option<Timestamp>,
}

/// Money that arrived without anybody being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credit {
    Pending { release: String },
    Available { amount: i128 },
}

/// What a payee is to give back, as the escrow has it.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) refund: String,
    pub(super) gross: i128,
    pub(super) from_payee: i128,
    pub(super) payee_fee: i128,
    pub(super) client_fee: i128,
    pub(super) taxes: i128,
}

/// Every payee.
#[derive(Debug, Default)]
pub(super) struct Payees {
    pub(super) releases: BTreeMap<String, Release>,
    payouts: BTreeMap<String, payouts::Payout>,
    /// Money that is to come back from payees' accounts.
    reversals: BTreeMap<String, payouts::Reversal>,
    /// What of their accounts at the provider belongs to no payout, by account and currency.
    left: BTreeMap<(String, String), i128>,
    /// Pending earnings that are to be held when they clear, and why.
    marked: BTreeMap<String, String>,
    /// What has cleared and is to be held in the same append.
    to_hold: Option<((String, String), i128, String)>,
    /// What has to be charged in the same append: for which chargeback, and what.
    charging: Option<(String, Clawed)>,
    /// By payee and currency.
    accounts: BTreeMap<(String, String), Account>,
    /// What has to be granted in the same append.
    pub(super) granting: Option<GivenBack>,
    touched_releases: Vec<String>,
    touched_payouts: Vec<String>,
    touched_accounts: Vec<(String, String)>,
}

impl Payees {
    /// What may be moved for a payout.
    pub(super) fn may_move(&self, action: &str, id: &str) -> Option<i128> {
        if action == "reverse_transfer" {
            return self.reversals.get(id).map(|reversal| reversal.amount);
        }
        let payout = self.payouts.get(id)?;
        Some(if action == "move_to_payee" { payout.transfer_amount } else { payout.amount })
    }

    /// A payee bears what a bank took, in the same append.
    pub(super) fn charge(&mut self, chargeback: &str, clawed: Clawed) {
        if clawed != Clawed::default() {
            self.charging = Some((chargeback.to_owned(), clawed));
        }
    }

    /// A release that has to be credited in the same append.
    pub(super) fn release(&mut self, raw: &Raw, id: &str, release: Release) -> Result<(), Violation> {
        self.touched_releases.push(id.to_owned());
        match self.releases.insert(id.to_owned(), release) {
            Some(_) => Err(raw.breaks("I5", "released before under the same id")),
            None => Ok(()),
        }
    }

    pub(super) fn follow(&mut self, raw: &Raw, parties: &Parties, books: &mut Books) -> Result<(), Violation> {
        if raw.event_type == "payee.timer_blocked" {
            return Err(raw.breaks("W", "no timer of a payee can be refused"));
        }
        let payee = raw.text("payee_id")?.to_owned();
        let currency = if let Ok(currency) = raw.text("currency") {
            currency.to_owned()
        } else {
            let payout = self.payouts.get(raw.text("payout_id")?);
            payout.map(|payout| payout.currency.clone()).unwrap_or_default()
        };
        let key = (payee, currency);
        self.accounts.entry(key.clone()).or_default();
        match raw.event_type.as_str() {
            "payee.earnings_credited" | "payee.earnings_cleared" | "payee.bonus_paid" | "payee.tip_paid" => {
                self.follow_earnings(raw, &key, books)?;
                if raw.event_type == "payee.earnings_cleared" {
                    self.is_to_be_held(raw, &key, parties)?;
                }
            }
            "payee.earnings_held" | "payee.earnings_hold_released" => self.follow_hold(raw, &key, parties, books)?,
            "payee.clearance_hold_placed" => self.mark(raw, &key)?,
            "payee.chargeback_loss_charged" => self.follow_loss(raw, &key, books)?,
            "payee.payee_refund_granted" => self.follow_grant(raw, &key, books)?,
            "payee.debt_recorded" | "payee.debt_recovered" => self.follow_debt(raw, &key, books)?,
            _ => self.follow_reservation(raw, &key, parties, books)?,
        }
        let account = self.accounts.entry(key.clone()).or_default();
        let parts = account.held.values().chain(account.debts.values());
        if account.pending < 0
            || account.available < 0
            || account.in_transit < 0
            || parts.into_iter().any(|part| *part < 0)
        {
            return Err(raw.breaks("I4", &format!("a payee's balance is below zero: {account:?}")));
        }
        self.touched_accounts.push(key);
        Ok(())
    }

    fn follow_earnings(&mut self, raw: &Raw, key: &(String, String), books: &mut Books) -> Result<(), Violation> {
        let currency = key.1.as_str();
        let id = raw.text("release_id")?.to_owned();
        let account = self.accounts.entry(key.clone()).or_default();
        if matches!(raw.event_type.as_str(), "payee.bonus_paid" | "payee.tip_paid") {
            let net = raw.amount("net")?;
            account.pending += net;
            account.unseen.clear();
            books.expect("2200", currency, -net);
            let clears_at = raw.instant("clears_at")?;
            let days = raw.data.get("clearance_days").and_then(Value::as_i64).unwrap_or(-1);
            if clears_at != raw.at + TimeDelta::days(days) {
                return Err(raw.breaks("I5", "it clears at another instant than was agreed"));
            }
            let (contract, account) = (raw.text("contract_id")?.to_owned(), key.clone());
            let (milestone, pending) = (String::new(), net);
            let release = Release {
                milestone,
                contract,
                account,
                net,
                pending,
                clears_at: Some(clears_at),
                credits: 1,
                clearances: 0,
            };
            return self.release(raw, &id, release);
        }
        let amount = raw.amount("amount")?;
        let release = self.releases.entry(id.clone()).or_default();
        self.touched_releases.push(id.clone());
        if raw.event_type == "payee.earnings_credited" {
            release.credits += 1;
            if amount != release.net || release.clears_at != Some(raw.instant("clears_at")?) || release.account != *key
            {
                return Err(raw.breaks("I4", "credited is not what was released"));
            }
            account.pending += amount;
            account.unseen.push(Credit::Pending { release: id });
            books.expect("2200", currency, -amount);
            return Ok(());
        }
        account.unseen.clear();
        release.clearances += 1;
        if release.clearances > 1 || amount != release.pending {
            return Err(raw.breaks("I4", "cleared twice, or not what was credited and not given back"));
        }
        if release.clears_at != Some(raw.at) {
            return Err(raw.breaks("I5", "cleared at another instant than was told"));
        }
        release.pending = 0;
        let mut rest = amount;
        for part in raw.data.get("debt_recovered").and_then(Value::as_array).into_iter().flatten() {
            let (cause, paid) = (text_of(part, "cause").to_owned(), amount_of(part, "amount"));
            rest -= paid;
            *account.debts.entry(cause.clone()).or_default() -= paid;
            account.told.push((cause, -paid));
            books.expect("1210", currency, -paid);
        }
        if rest < 0 || (rest > 0 && account.debts.values().any(|debt| *debt != 0)) {
            return Err(raw.breaks("I4", &format!("earnings are cleared before what is owed: {account:?}")));
        }
        account.pending -= amount;
        account.available += rest;
        books.expect("2200", currency, amount);
        books.expect("2210", currency, -rest);
        Ok(())
    }

    /// Earnings of a contract that a network has warned of.
    fn mark(&mut self, raw: &Raw, key: &(String, String)) -> Result<(), Violation> {
        let contract = raw.text("contract_id")?;
        for id in raw.list("releases")?.iter().filter_map(Value::as_str) {
            let fits = self.releases.get(id).is_some_and(|release| {
                release.contract == contract && release.account == *key && release.clearances == 0
            });
            if !fits || self.marked.insert(id.to_owned(), raw.text("reason")?.to_owned()).is_some() {
                return Err(raw.breaks("I5", &format!("{id} is not pending, or is marked")));
            }
        }
        Ok(())
    }

    /// What has cleared is held where it is suspicious, or where its payee is not paid.
    fn is_to_be_held(&mut self, raw: &Raw, key: &(String, String), parties: &Parties) -> Result<(), Violation> {
        let recovered = raw.data.get("debt_recovered").and_then(Value::as_array).into_iter().flatten();
        let rest = raw.amount("amount")? - recovered.map(|part| amount_of(part, "amount")).sum::<i128>();
        let marked = self.marked.remove(raw.text("release_id")?);
        let reason = marked.or_else(|| parties.holds(&key.0).map(str::to_owned));
        self.to_hold = reason.filter(|_| rest > 0).map(|reason| (key.clone(), rest, reason));
        Ok(())
    }

    fn follow_hold(
        &mut self,
        raw: &Raw,
        key: &(String, String),
        parties: &Parties,
        books: &mut Books,
    ) -> Result<(), Violation> {
        let decides = ["staff.moderator:", "staff.finance:", "staff.admin:"];
        let by_staff = decides.iter().any(|staff| raw.actor.starts_with(staff));
        let holds = raw.event_type == "payee.earnings_held";
        let (told, reason) = (raw.amount("amount")?, raw.text("reason")?);
        let due = (key.clone(), told, reason.to_owned());
        if holds && self.to_hold.as_ref() == Some(&due) {
            self.to_hold = None;
        } else if holds && raw.data.get("automatic").is_some() {
            if parties.holds(&key.0) != Some(reason) {
                return Err(raw.breaks("I5", "the payee is paid"));
            }
        } else if !by_staff && (holds || parties.holds(&key.0) == Some(reason)) {
            return Err(raw.breaks("I5", &format!("by {}, and the payee is not paid", raw.actor)));
        }
        let amount = if holds { told } else { -told };
        let account = self.accounts.entry(key.clone()).or_default();
        account.unseen.clear();
        account.available -= amount;
        *account.held.entry(reason.to_owned()).or_default() += amount;
        books.expect("2210", &key.1, amount);
        books.expect("2220", &key.1, -amount);
        Ok(())
    }

    /// The payee pays for a refund: first of what is pending of the contract.
    fn follow_grant(&mut self, raw: &Raw, key: &(String, String), books: &mut Books) -> Result<(), Violation> {
        let currency = key.1.as_str();
        let Some(agreed) = self.granting.take() else {
            return Err(raw.breaks("I5", "nothing is given back"));
        };
        let contract = raw.text("contract_id")?;
        let (available, debt) = (raw.amount("from_available")?, raw.amount("as_debt")?);
        let told = raw.list("from_pending")?.iter();
        let told: Vec<_> =
            told.map(|part| (text_of(part, "release_id").to_owned(), amount_of(part, "amount"))).collect();
        let credits = self.accounts.get(key).map_or_else(Vec::new, |account| account.unseen.clone());
        let told = (told, available, debt);
        let mut possible = (0..=credits.len())
            .map(|seen| self.paid_from(key, contract, agreed.from_payee, credits.get(seen..).unwrap_or_default()));
        if possible.all(|possible| possible != told) {
            let found = format!("it should be {:?}", self.paid_from(key, contract, agreed.from_payee, &[]));
            return Err(raw.breaks("I4", &found));
        }
        let pending: i128 = told.0.iter().map(|(_, part)| part).sum();
        for (id, part) in told.0 {
            self.releases.entry(id).or_default().pending -= part;
        }
        let account = self.accounts.entry(key.clone()).or_default();
        account.unseen.clear();
        let fees = (raw.amount("payee_fee")?, raw.amount("client_fee")?);
        if (raw.amount("gross")?, raw.text("refund_id")?) != (agreed.gross, agreed.refund.as_str())
            || fees != (agreed.payee_fee, agreed.client_fee)
        {
            return Err(raw.breaks("I4", &format!("agreed was {agreed:?}")));
        }
        account.pending -= pending;
        account.available -= available;
        if debt != 0 {
            *account.debts.entry(agreed.refund.clone()).or_default() += debt;
            account.told.push((agreed.refund, debt));
        }
        books.expect("2200", currency, pending);
        books.expect("2210", currency, available);
        books.expect("1210", currency, debt);
        books.expect("4100", currency, agreed.payee_fee);
        books.expect("4110", currency, agreed.client_fee);
        books.expect("2400", currency, agreed.taxes);
        let whole = agreed.from_payee + agreed.payee_fee + agreed.client_fee + agreed.taxes;
        books.expect("2260", currency, -whole);
        Ok(())
    }

    /// What a payee pays so much from, these credits not being seen: of pending earnings, of available ones, as debt.
    fn paid_from(
        &self,
        key: &(String, String),
        contract: &str,
        amount: i128,
        unseen: &[Credit],
    ) -> (Vec<(String, i128)>, i128, i128) {
        let is_seen =
            |id: &str| !unseen.iter().any(|credit| matches!(credit, Credit::Pending { release } if release == id));
        let mut waiting: Vec<(&String, &Release)> = self
            .releases
            .iter()
            .filter(|(_, release)| release.contract == contract && release.account == *key && release.clearances == 0)
            .filter(|(id, release)| release.pending > 0 && is_seen(id))
            .collect();
        waiting.sort_by(|(a, first), (b, second)| second.clears_at.cmp(&first.clears_at).then(a.cmp(b)));
        let mut rest = amount;
        let mut pending = Vec::new();
        for (id, release) in waiting {
            let part = release.pending.min(rest);
            if part > 0 {
                pending.push((id.clone(), part));
                rest -= part;
            }
        }
        let hidden = unseen.iter().map(|credit| if let Credit::Available { amount } = credit { *amount } else { 0 });
        let available = self.accounts.get(key).map_or(0, |account| account.available) - hidden.sum::<i128>();
        let available = rest.min(available.max(0));
        (pending, available, rest - available)
    }

    fn follow_debt(&mut self, raw: &Raw, key: &(String, String), books: &mut Books) -> Result<(), Violation> {
        // What became available otherwise than by clearance pays debts off, too.
        if raw.data.get("from_available").is_some() {
            let (cause, amount) = (raw.text("cause")?.to_owned(), raw.amount("amount")?);
            let account = self.accounts.entry(key.clone()).or_default();
            account.unseen.clear();
            account.available -= amount;
            *account.debts.entry(cause).or_default() -= amount;
            books.expect("2210", &key.1, amount);
            books.expect("1210", &key.1, -amount);
            return Ok(());
        }
        let sign = if raw.event_type == "payee.debt_recorded" { 1 } else { -1 };
        let told = (raw.text("cause")?.to_owned(), raw.amount("amount")? * sign);
        let account = self.accounts.entry(key.clone()).or_default();
        match account.told.iter().position(|due| *due == told) {
            Some(index) => {
                account.told.remove(index);
                Ok(())
            }
            None => Err(raw.breaks("I4", &format!("that debt was not made, or not paid off: {:?}", account.told))),
        }
    }

    /// What does not hold where an append has ended.
    pub(super) fn are_left_with(&mut self, books: &Books) -> Option<String> {
        if let Some(granting) = self.granting.take() {
            return Some(format!("given back, and by nobody: {granting:?}"));
        }
        if let Some(charging) = self.charging.take() {
            return Some(format!("lost, and borne by nobody: {charging:?}"));
        }
        if let Some(hold) = self.to_hold.take() {
            return Some(format!("cleared, and not held: {hold:?}"));
        }
        for id in std::mem::take(&mut self.touched_releases) {
            let Some(release) = self.releases.get(&id) else { continue };
            if release.credits != 1 {
                return Some(format!("{id} of {}: credited {} times", release.milestone, release.credits));
            }
        }
        for id in std::mem::take(&mut self.touched_payouts) {
            let Some(payout) = self.payouts.get(&id) else { continue };
            if payout.waits_for_reaction() {
                return Some(format!("{id}: {payout:?}"));
            }
            if payout.ends != payout.noted || payout.late_transfers != 0 {
                return Some(format!("{id} ended {:?}, its payee was told {:?}", payout.ends, payout.noted));
            }
            let rest = -books.of("2250", &payout.currency, "payout", &id);
            let expected = if payout.ends.is_empty() { payout.amount } else { 0 };
            if rest != expected {
                return Some(format!("{id}: {rest} is on its way by the journal, {expected} by the events"));
            }
        }
        for key in std::mem::take(&mut self.touched_accounts) {
            let Some(account) = self.accounts.get(&key) else { continue };
            let (payee, currency) = &key;
            if !account.told.is_empty() {
                return Some(format!("{payee}: nobody was told of {:?}", account.told));
            }
            let (held, debt) = (account.held.values().sum(), account.debts.values().map(|debt| -debt).sum());
            for (code, ours) in [
                ("1210", debt),
                ("2200", account.pending),
                ("2210", account.available),
                ("2220", held),
                ("2250", account.in_transit),
            ] {
                let booked = -books.of(code, currency, "payee", payee);
                if booked != ours {
                    return Some(format!("{payee}: {code} has {booked} {currency}, the events say {ours}"));
                }
            }
        }
        None
    }
}
