//! A payment provider with books of its own.
//!
//! # Invariants
//! - A key is carried out once and answered as it was answered first, also when the object has moved on since.
//! - It can move no more than it has: transfers draw on the available balance, bank payouts on the account's.
//! - It notes every key it was ever sent, also those that never arrived: a second key beside one whose outcome nobody
//!   can know is a violation (I8).
//!
//! # What is deliberately absent
//! Keys that are forgotten after a day, fees on payouts. A notice that nothing else would make up for (a late payment, a
//! refund that ends later, a return after payment, what a bank does last) is delayed for long, but not lost for ever.

mod account;
mod by_itself;
mod dispute;
mod late;
mod payment;
mod payout;
mod refund;
mod treasury;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::ports::provider::{
    OnboardingLinkReport, ProviderError, ProviderObject, ProviderOrder, ProviderReport, TransferReport,
    TransferReversalReport,
};
use domain::time::Timestamp;
use ledger::{Currency, Minor};

use crate::chance::Chance;
use crate::failure::Violation;
use account::Account;
use dispute::Dispute;
use payment::Payment;
use payout::{BankPayout, BankStep};
use refund::{Refund, RefundStep};
use treasury::{PlatformPayout, TopUp};

/// A word about something that happened, to be delivered to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id; a repeat has the same.
    pub notice_id: String,
    /// What it is about.
    pub object: ProviderObject,
    /// Whether the engine finds out by itself when it never arrives.
    pub may_be_lost: bool,
}

/// How a key was answered first.
#[derive(Debug, Clone)]
struct Answered {
    order: ProviderOrder,
    answer: Result<ProviderReport, String>,
}

/// The provider.
#[derive(Debug, Default)]
pub struct Provider {
    payments: BTreeMap<String, Payment>,
    refunds: BTreeMap<String, Refund>,
    transfers: BTreeMap<String, TransferReport>,
    bank_payouts: BTreeMap<String, BankPayout>,
    disputes: BTreeMap<String, Dispute>,
    /// Payments that a network has warned of.
    warnings: BTreeMap<String, String>,
    payees: BTreeMap<String, Account>,
    /// Money that came back from payees' accounts: which transfer, and for which order.
    reversals: BTreeMap<String, TransferReversalReport>,
    top_ups: BTreeMap<String, TopUp>,
    platform_payouts: BTreeMap<String, PlatformPayout>,
    /// Balance of each payee's account.
    accounts: BTreeMap<(String, Currency), i64>,
    moved_out: BTreeMap<Currency, i64>,
    keys: BTreeMap<String, Answered>,
    /// By what is ordered for what: every key sent, and whether its refusal has reached the engine.
    sent: BTreeMap<(&'static str, String), BTreeMap<String, bool>>,
    /// Whether something was moved since somebody looked.
    has_moved: bool,
    /// By what is ordered for what: the amounts that were moved.
    moved: BTreeMap<(&'static str, String), Vec<i64>>,
    /// Words not delivered yet.
    pub notices: Vec<Notice>,
    /// Words delivered: any of them can come again.
    pub delivered: Vec<Notice>,
    /// Orders that were refused, and are carried out all the same: when.
    late: Vec<(Timestamp, ProviderOrder)>,
    counter: u64,
    violations: Vec<Violation>,
    /// What went wrong or was unusual, for the coverage.
    pub happened: Vec<&'static str>,
}

fn minor(value: i64) -> Minor {
    Minor::new(value).unwrap_or_default()
}

impl Provider {
    /// Carries out an order, or fails to, or fails to say so.
    ///
    /// # Errors
    /// [`ProviderError`], as the port says.
    pub fn carry_out(
        &mut self,
        order: &ProviderOrder,
        key: &str,
        now: Timestamp,
        healthy: bool,
        chance: &mut Chance,
    ) -> Result<ProviderReport, ProviderError> {
        let slot = (order.action(), order.aggregate_id());
        if order.moves_money() {
            let keys = self.sent.entry(slot.clone()).or_default();
            if !keys.contains_key(key) {
                if let Some(open) = keys.iter().find(|(_, refused)| !**refused) {
                    let found = format!("{key} was sent while the outcome of {} is not known", open.0);
                    self.violations.push(Violation::new("I8", found));
                }
                keys.insert(key.to_owned(), false);
            }
        }
        if !healthy && chance.per_mille(30) {
            self.happened.push("fault provider rate limit");
            return Err(ProviderError::RateLimited { retry_after: None });
        }
        if !healthy && chance.per_mille(60) {
            self.happened.push("fault provider timeout before");
            return Err(ProviderError::Unknown("timed out, nothing was done".to_owned()));
        }
        let answer = match order {
            ProviderOrder::ReadReceipt { payment_ref, .. } => self.payment(payment_ref, now),
            ProviderOrder::ReadBankPayout { bank_payout_ref, .. } => self.bank_payout(bank_payout_ref, now),
            ProviderOrder::ReadRefund { refund_ref, .. } => self.refund(refund_ref),
            ProviderOrder::ReadAccount { account, .. } => self.account(account),
            ProviderOrder::CreateOnboardingLink { link_id, .. } => {
                let expires_at = now + TimeDelta::minutes(5);
                let url = format!("https://provider.example/{link_id}");
                Ok(ProviderReport::OnboardingLink(OnboardingLinkReport { link_id: *link_id, url, expires_at }))
            }
            ProviderOrder::CollectPayment { .. }
            | ProviderOrder::CancelPayment { .. }
            | ProviderOrder::Refund { .. }
            | ProviderOrder::MoveToPayee { .. }
            | ProviderOrder::PayToBank { .. }
            | ProviderOrder::SubmitEvidence { .. }
            | ProviderOrder::CloseDispute { .. }
            | ProviderOrder::CreateAccount { .. }
            | ProviderOrder::SetDestination { .. }
            | ProviderOrder::ReverseTransfer { .. }
            | ProviderOrder::TopUp { .. }
            | ProviderOrder::PayPlatform { .. } => self.once(order, key, now, healthy, chance),
        };
        if !healthy && chance.per_mille(60) {
            self.happened.push("fault provider timeout after");
            return Err(ProviderError::Unknown("timed out, it was done".to_owned()));
        }
        if matches!(answer, Err(ProviderError::Refused { .. }))
            && let Some(refused) = self.sent.get_mut(&slot).and_then(|keys| keys.get_mut(key))
        {
            *refused = true;
        }
        answer
    }

    /// Tells the present state of an object.
    ///
    /// # Errors
    /// [`ProviderError`], as the port says.
    pub fn look_up(
        &mut self,
        object: &ProviderObject,
        now: Timestamp,
        healthy: bool,
        chance: &mut Chance,
    ) -> Result<ProviderReport, ProviderError> {
        if !healthy && chance.per_mille(60) {
            self.happened.push("fault provider look-up");
            return Err(ProviderError::Unknown("timed out".to_owned()));
        }
        match object {
            ProviderObject::Payment { payment_ref } => self.payment(payment_ref, now),
            ProviderObject::Charge { charge_ref } => {
                let found = self.payments.iter().find(|(_, payment)| payment.charge_ref == *charge_ref);
                match found.map(|(name, _)| name.clone()) {
                    Some(name) => self.payment(&name, now),
                    None => Err(ProviderError::Unusable("no such charge".to_owned())),
                }
            }
            ProviderObject::Refund { refund_ref } => self.refund(refund_ref),
            ProviderObject::Transfer { transfer_ref } => self
                .transfers
                .get(transfer_ref)
                .map(|report| ProviderReport::Transfer(report.clone()))
                .ok_or_else(|| ProviderError::Unusable("no such transfer".to_owned())),
            ProviderObject::BankPayout { bank_payout_ref, .. } => self.bank_payout(bank_payout_ref, now),
            ProviderObject::Account { account, .. } => self.account(account),
            ProviderObject::Dispute { .. }
            | ProviderObject::FraudWarning { .. }
            | ProviderObject::TransferReversal { .. }
            | ProviderObject::TopUp { .. }
            | ProviderObject::PlatformPayout { .. } => {
                self.made_by_itself(object).ok_or_else(|| ProviderError::Unusable("no such object".to_owned()))
            }
        }
    }

    fn once(
        &mut self,
        order: &ProviderOrder,
        key: &str,
        now: Timestamp,
        healthy: bool,
        chance: &mut Chance,
    ) -> Result<ProviderReport, ProviderError> {
        if let Some(known) = self.keys.get(key) {
            if known.order != *order {
                let found = format!("{key} came with another body: {order:?} after {:?}", known.order);
                self.violations.push(Violation::new("I8", found));
            }
            self.happened.push("provider same key again");
            return known.answer.clone().map_err(|code| ProviderError::Refused { code });
        }
        let answer = self.first_time(order, now, healthy, chance);
        self.keys.insert(key.to_owned(), Answered { order: order.clone(), answer: answer.clone() });
        answer.map_err(|code| ProviderError::Refused { code })
    }

    fn first_time(
        &mut self,
        order: &ProviderOrder,
        now: Timestamp,
        healthy: bool,
        chance: &mut Chance,
    ) -> Result<ProviderReport, String> {
        let moved = |provider: &mut Self, amount: i64| {
            provider.has_moved = true;
            provider.moved.entry((order.action(), order.aggregate_id())).or_default().push(amount);
        };
        match order {
            ProviderOrder::CollectPayment { .. } => {
                let report = self.collect(order, now, healthy, chance)?;
                moved(self, amount_of(order));
                Ok(report)
            }
            ProviderOrder::MoveToPayee { payout_id, amount, currency, account, .. } => {
                if self.payees.get(account).is_some_and(|payee| !payee.can_receive()) {
                    self.happened.push("provider refused a transfer to an account that cannot receive");
                    return Err("insufficient_capabilities_for_transfer".to_owned());
                }
                if self.platform(now).get(currency).is_none_or(|(_, available)| *available < amount.get()) {
                    self.happened.push("provider refused a transfer");
                    return Err("balance_insufficient".to_owned());
                }
                let report = self.transfer(*payout_id, (*amount, *currency), account, true);
                moved(self, amount.get());
                Ok(ProviderReport::Transfer(report))
            }
            ProviderOrder::PayToBank { payout_id, amount, currency, account } => {
                if self.accounts.get(&(account.clone(), *currency)).is_none_or(|has| *has < amount.get()) {
                    self.happened.push("provider refused a bank payout for lack of money");
                    return Err("balance_insufficient".to_owned());
                }
                let cannot = self.payees.get(account).is_some_and(|payee| !payee.can_pay_out());
                if cannot || chance.per_mille(50) {
                    self.happened.push("provider refused a bank payout");
                    let closed = !cannot && chance.per_mille(500);
                    return Err(if closed { "account_closed" } else { "payouts_not_allowed" }.to_owned());
                }
                let name = self.name("po");
                let arrival_at = now + TimeDelta::hours(chance.between(4, 72));
                let fails = chance.per_mille(150);
                let returned_at =
                    (!fails && chance.per_mille(150)).then(|| arrival_at + TimeDelta::hours(chance.between(1, 96)));
                add(&mut self.accounts, (account.clone(), *currency), amount.get().saturating_neg());
                let payout = BankPayout {
                    payout_id: *payout_id,
                    account: account.clone(),
                    amount: amount.get(),
                    currency: *currency,
                    created_at: now,
                    arrival_at,
                    status: BankStep::OnItsWay,
                    fails,
                    returned_at,
                };
                self.bank_payouts.insert(name.clone(), payout);
                moved(self, amount.get());
                let object = ProviderObject::BankPayout { bank_payout_ref: name.clone(), account: account.clone() };
                self.tell(object, true);
                self.bank_payout(&name, now).map_err(|_| "internal".to_owned())
            }
            ProviderOrder::CancelPayment { payment_ref, .. } => {
                if self.payments.get_mut(payment_ref).is_some_and(Payment::cancel) {
                    self.happened.push("provider called a payment off");
                    return self.payment(payment_ref, now).map_err(|_| "internal".to_owned());
                }
                // What goes on at the bank goes on.
                self.happened.push("provider could not call a payment off");
                Err("payment_intent_unexpected_state".to_owned())
            }
            ProviderOrder::Refund { .. } => {
                let report = self.send_back(order, now, chance)?;
                moved(self, amount_of(order));
                Ok(report)
            }
            ProviderOrder::SubmitEvidence { .. }
            | ProviderOrder::CloseDispute { .. }
            | ProviderOrder::CreateAccount { .. }
            | ProviderOrder::SetDestination { .. }
            | ProviderOrder::ReverseTransfer { .. }
            | ProviderOrder::TopUp { .. }
            | ProviderOrder::PayPlatform { .. } => {
                let report = self.for_the_platform(order, now, chance)?;
                if order.moves_money() {
                    moved(self, amount_of(order));
                }
                Ok(report)
            }
            ProviderOrder::ReadReceipt { .. }
            | ProviderOrder::ReadRefund { .. }
            | ProviderOrder::ReadBankPayout { .. }
            | ProviderOrder::CreateOnboardingLink { .. }
            | ProviderOrder::ReadAccount { .. } => Err("internal".to_owned()),
        }
    }

    /// Lets happen what is due.
    pub fn tick(&mut self, now: Timestamp, chance: &mut Chance) {
        let mut changed = Vec::new();
        for (name, payment) in &mut self.payments {
            if payment.tick(now, chance) {
                // Nobody asks for a payment that was not decided when it was ordered.
                changed.push((ProviderObject::Payment { payment_ref: name.clone() }, false));
            }
        }
        for (name, refund) in &mut self.refunds {
            while let Some(before) = refund.tick(now) {
                if !refund.has_left()
                    && let Some(payment) = self.payments.get_mut(&refund.payment)
                {
                    payment.sent_back = payment.sent_back.saturating_sub(refund.amount);
                }
                self.happened.push(match (before, refund.status) {
                    (RefundStep::Succeeded, _) => "provider refund came back",
                    (_, RefundStep::Failed) => "provider refund failed later",
                    (_, RefundStep::Cancelled) => "provider refund called off",
                    _ => "provider refund succeeded later",
                });
                // Nobody asks for a refund that was ordered.
                changed.push((ProviderObject::Refund { refund_ref: name.clone() }, false));
            }
        }
        for (name, payout) in &mut self.bank_payouts {
            let object = ProviderObject::BankPayout { bank_payout_ref: name.clone(), account: payout.account.clone() };
            let back = (payout.account.clone(), payout.currency);
            if payout.status == BankStep::OnItsWay && payout.arrival_at <= now {
                payout.status = if payout.fails { BankStep::Failed } else { BankStep::Paid };
                if payout.fails {
                    self.happened.push("provider bank payout failed");
                    add(&mut self.accounts, back.clone(), payout.amount);
                }
                changed.push((object.clone(), true));
            }
            if payout.status == BankStep::Paid && payout.returned_at.is_some_and(|at| at <= now) {
                payout.status = BankStep::Failed;
                self.happened.push("provider bank payout returned");
                add(&mut self.accounts, back, payout.amount);
                // Nobody asks for a payout that was paid.
                changed.push((object, false));
            }
        }
        self.late_ones(now);
        changed.extend(self.others_go_on(now, chance));
        for (object, may_be_lost) in changed {
            self.tell(object, may_be_lost);
        }
    }

    /// Whether nothing is going to happen any more.
    pub fn is_at_rest(&self, now: Timestamp) -> bool {
        self.payments.values().all(|payment| payment.is_at_rest(now))
            && self.refunds.values().all(Refund::is_at_rest)
            && self.late.is_empty()
            && self.bank_payouts.values().all(|payout| match payout.status {
                BankStep::OnItsWay => false,
                BankStep::Paid => payout.returned_at.is_none(),
                BankStep::Failed => true,
            })
            && self.disputes.values().all(Dispute::is_at_rest)
            && self.top_ups.values().all(TopUp::is_at_rest)
            && self.platform_payouts.values().all(PlatformPayout::is_at_rest)
    }

    /// What the platform has by currency: pending, and available.
    pub fn platform(&self, now: Timestamp) -> BTreeMap<Currency, (i64, i64)> {
        let mut balances: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
        for payment in self.payments.values() {
            for (currency, pending, available) in payment.balance(now) {
                let balance = balances.entry(currency).or_default();
                balance.0 = balance.0.saturating_add(pending);
                balance.1 = balance.1.saturating_add(available);
            }
        }
        for refund in self.refunds.values().filter(|refund| refund.has_left()) {
            let (taken, currency) = refund.taken();
            let balance = balances.entry(currency).or_default();
            balance.1 = balance.1.saturating_sub(taken);
        }
        for (currency, moved) in &self.moved_out {
            let balance = balances.entry(*currency).or_default();
            balance.1 = balance.1.saturating_sub(*moved);
        }
        for (currency, change) in self.moved_by_itself() {
            let balance = balances.entry(currency).or_default();
            balance.1 = balance.1.saturating_add(change);
        }
        balances
    }

    /// What lies at the payees' accounts, what is on its way to a bank included.
    pub fn at_accounts(&self) -> BTreeMap<(String, Currency), i64> {
        let mut balances = self.accounts.clone();
        for payout in self.bank_payouts.values().filter(|payout| payout.status == BankStep::OnItsWay) {
            add(&mut balances, (payout.account.clone(), payout.currency), payout.amount);
        }
        balances
    }

    /// Whether it moved anything since this was asked last.
    pub fn take_has_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Everything it moved: what for, for what, and the amounts.
    pub fn moved(&self) -> &BTreeMap<(&'static str, String), Vec<i64>> {
        &self.moved
    }

    /// The violations that it was a witness of, once.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    fn payment(&self, name: &str, now: Timestamp) -> Result<ProviderReport, ProviderError> {
        let payment = self.payments.get(name).ok_or_else(|| ProviderError::Unusable("no such payment".to_owned()))?;
        Ok(payment.report(name, now))
    }

    fn refund(&self, name: &str) -> Result<ProviderReport, ProviderError> {
        let refund = self.refunds.get(name).ok_or_else(|| ProviderError::Unusable("no such refund".to_owned()))?;
        Ok(refund.report(name))
    }

    fn bank_payout(&self, name: &str, now: Timestamp) -> Result<ProviderReport, ProviderError> {
        let payout = self.bank_payouts.get(name).ok_or_else(|| ProviderError::Unusable("no such payout".to_owned()))?;
        Ok(payout.report(name, now))
    }

    fn name(&mut self, prefix: &str) -> String {
        self.counter = self.counter.saturating_add(1);
        format!("{prefix}_{:06}", self.counter)
    }

    fn tell(&mut self, object: ProviderObject, may_be_lost: bool) {
        let notice_id = self.name("evt");
        self.notices.push(Notice { notice_id, object, may_be_lost });
    }
}

fn amount_of(order: &ProviderOrder) -> i64 {
    match order {
        ProviderOrder::CollectPayment { amount, .. }
        | ProviderOrder::Refund { amount, .. }
        | ProviderOrder::ReverseTransfer { amount, .. }
        | ProviderOrder::TopUp { amount, .. }
        | ProviderOrder::PayPlatform { amount, .. } => amount.get(),
        _ => 0,
    }
}

fn add<K: Ord>(balances: &mut BTreeMap<K, i64>, key: K, amount: i64) {
    let balance = balances.entry(key).or_default();
    *balance = balance.saturating_add(amount);
}
