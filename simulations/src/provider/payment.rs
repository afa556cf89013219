//! A client's payment at the provider.
//!
//! # Invariants
//! - Of a payment goes back no more than was collected.
//! - A payment that was called off does not succeed, and one that succeeded is not called off.

use chrono::TimeDelta;
use domain::exchange::Settled;
use domain::id::FundingId;
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderObject, ProviderOrder, ProviderReport, Receipt};
use domain::time::Timestamp;
use ledger::Currency;

use super::{Provider, minor};
use crate::chance::Chance;

/// What a payment does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    Fails,
    /// The client tries again with another card after a failure.
    FailsThenSucceeds,
    /// Under way at the bank, then it succeeds or not.
    Processes,
    /// The client has to do something, and never does.
    Waits,
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) funding_id: FundingId,
    pub(super) currency: Currency,
    pub(super) captured: i64,
    pub(super) charge_ref: String,
    pub(super) status: PaymentStep,
    pub(super) next: Option<(Timestamp, Fate)>,
    /// What was sent back of it, or is on its way.
    pub(super) sent_back: i64,
    /// A bank can return it long after it has succeeded.
    pub(super) is_debit: bool,
    /// Collected in another currency than was asked for.
    pub(super) is_foreign: bool,
    /// What it is in the balance, where that is of another currency.
    pub(super) settled: Option<(i64, Currency)>,
    /// When a bank has returned it, and what that took from the balance.
    pub(super) returned: Option<(Timestamp, i64)>,
}

#[derive(Debug, Clone)]
pub(super) enum PaymentStep {
    ActionRequired,
    Processing,
    Failed,
    Cancelled,
    Succeeded { collected_at: Timestamp, booked_at: Timestamp, available_on: Timestamp, fee: i64 },
}

/// Three hundred thousandths and the fixed part: 2.9 % + 30.
fn fee_on(captured: i64) -> i64 {
    captured.saturating_mul(29).saturating_add(500) / 1000 + 30
}

/// What an amount is in another currency today.
pub(super) fn exchanged(amount: i64, chance: &mut Chance) -> i64 {
    (amount.saturating_mul(chance.between(900, 1100)) / 1000).max(1)
}

impl Payment {
    /// What was collected, as it is in the balance.
    fn there(&self) -> i64 {
        self.settled.map_or(self.captured, |(amount, _)| amount)
    }

    /// The currency of the balance that it is in.
    pub(super) fn lies_in(&self) -> Currency {
        self.settled.map_or(self.currency, |(_, currency)| currency)
    }

    /// What an amount of it is in the balance when it goes back, or comes again.
    pub(super) fn in_balance(&self, amount: i64, chance: &mut Chance) -> i64 {
        if self.settled.is_some() { exchanged(amount, chance) } else { amount }
    }

    /// What it has left in the balance: in which currency, how much is pending, and how much is available.
    pub(super) fn balance(&self, now: Timestamp) -> Vec<(Currency, i64, i64)> {
        let PaymentStep::Succeeded { booked_at, available_on, fee, .. } = self.status else { return Vec::new() };
        // Until it is booked it counts as what was collected.
        let kept = if booked_at <= now { self.there().saturating_sub(fee) } else { self.captured };
        let currency = if booked_at <= now { self.lies_in() } else { self.currency };
        let back = self.returned.map_or(0, |(_, taken)| taken.saturating_neg());
        let (pending, available) = if available_on <= now { (0, kept) } else { (kept, 0) };
        vec![(currency, pending, available), (self.lies_in(), 0, back)]
    }

    pub(super) fn succeed(&mut self, now: Timestamp, chance: &mut Chance) {
        self.status = PaymentStep::Succeeded {
            collected_at: now,
            booked_at: now + TimeDelta::minutes(if chance.per_mille(500) { 0 } else { chance.between(1, 600) }),
            available_on: now + TimeDelta::days(2),
            fee: fee_on(self.there()).min(self.there()),
        };
    }

    /// Goes on, if it is time. Returns whether it did.
    pub(super) fn tick(&mut self, now: Timestamp, chance: &mut Chance) -> bool {
        let Some((_, fate)) = self.next.filter(|(at, _)| *at <= now) else {
            return false;
        };
        self.next = None;
        match fate {
            Fate::Succeeds | Fate::FailsThenSucceeds => self.succeed(now, chance),
            Fate::Fails => self.status = PaymentStep::Failed,
            Fate::Processes => {
                self.status = PaymentStep::Processing;
                self.next = Some((now + TimeDelta::minutes(chance.between(1, 3000)), Fate::Succeeds));
            }
            Fate::Waits => {}
        }
        true
    }

    /// Calls it off. What is at the bank or collected is past that.
    pub(super) fn cancel(&mut self) -> bool {
        let possible =
            matches!(self.status, PaymentStep::ActionRequired | PaymentStep::Failed | PaymentStep::Cancelled);
        if possible {
            (self.status, self.next) = (PaymentStep::Cancelled, None);
        }
        possible
    }

    /// Whether nothing is going to happen to it any more.
    pub(super) fn is_at_rest(&self, now: Timestamp) -> bool {
        self.next.is_none()
            && match self.status {
                PaymentStep::Succeeded { booked_at, available_on, .. } => booked_at <= now && available_on <= now,
                PaymentStep::Processing => false,
                PaymentStep::ActionRequired | PaymentStep::Failed | PaymentStep::Cancelled => true,
            }
    }

    pub(super) fn report(&self, name: &str, now: Timestamp) -> ProviderReport {
        let status = match self.status {
            PaymentStep::ActionRequired => PaymentStatus::ActionRequired,
            PaymentStep::Processing => PaymentStatus::Processing,
            PaymentStep::Failed => PaymentStatus::Failed { code: "card_declined".to_owned() },
            PaymentStep::Cancelled => PaymentStatus::Cancelled,
            PaymentStep::Succeeded { collected_at, booked_at, available_on, fee } => PaymentStatus::Succeeded {
                charge_ref: self.charge_ref.clone(),
                captured: minor(self.captured),
                currency: self.currency,
                collected_at,
                receipt: (booked_at <= now).then(|| Receipt {
                    balance_transaction_ref: format!("txn_{name}"),
                    fee: minor(fee),
                    net: minor(self.there().saturating_sub(fee)),
                    currency: self.lies_in(),
                    booked_on: booked_at.date_naive(),
                    available_on,
                    available: available_on <= now,
                }),
            },
        };
        let status = match self.returned {
            None => status,
            Some((returned_at, taken)) => PaymentStatus::Returned {
                amount: minor(self.captured),
                currency: self.currency,
                balance_transaction_ref: format!("txn_{name}_returned"),
                booked_on: returned_at.date_naive(),
                code: "insufficient_funds".to_owned(),
                settled: self.settled.map(|(_, currency)| Settled { amount: minor(taken), currency }),
                collected: Some(Box::new(status)),
            },
        };
        let funding_id = Some(self.funding_id);
        ProviderReport::Payment(PaymentReport { payment_ref: name.to_owned(), funding_id, status })
    }
}

impl Provider {
    /// Collects a payment; or begins to, or fails.
    pub(super) fn collect(
        &mut self,
        order: &ProviderOrder,
        now: Timestamp,
        healthy: bool,
        chance: &mut Chance,
    ) -> Result<ProviderReport, String> {
        let ProviderOrder::CollectPayment { funding_id, amount, currency, payment_method, .. } = order else {
            return Err("internal".to_owned());
        };
        if payment_method == "pm_unknown" {
            return Err("resource_missing".to_owned());
        }
        let name = self.name("pi");
        let charge_ref = self.name("ch");
        let (asked, mut captured, mut currency) = (*currency, amount.get(), *currency);
        if !healthy && chance.per_mille(25) {
            self.happened.push("provider captured another amount");
            captured = captured.saturating_add(chance.between(-captured / 2, captured / 2)).max(1);
        } else if !healthy && chance.per_mille(10) {
            self.happened.push("provider captured another currency");
            currency = if currency == Currency::USD { Currency::EUR } else { Currency::USD };
        }
        let soon = |chance: &mut Chance| now + TimeDelta::minutes(chance.between(1, 3000));
        let (fate, next) = match payment_method.as_str() {
            "pm_declined" => (Fate::Fails, None),
            "pm_retried" => (Fate::Fails, Some((soon(chance), Fate::FailsThenSucceeds))),
            "pm_debit" => {
                let end = if chance.per_mille(750) { Fate::Succeeds } else { Fate::Fails };
                (Fate::Processes, Some((soon(chance), end)))
            }
            "pm_authenticate" => {
                let ends = [Fate::Succeeds, Fate::Succeeds, Fate::Processes, Fate::Fails];
                let end = chance.pick(&ends).copied().unwrap_or(Fate::Succeeds);
                (Fate::Waits, Some((soon(chance), end)))
            }
            "pm_forgotten" => (Fate::Waits, None),
            _ => (Fate::Succeeds, None),
        };
        let elsewhere = currency == asked && currency != Currency::USD && chance.per_mille(100);
        let settled = elsewhere.then(|| (exchanged(captured, chance), Currency::USD));
        if elsewhere {
            self.happened.push("provider settles in another currency");
        }
        let mut payment = Payment {
            funding_id: *funding_id,
            currency,
            captured,
            charge_ref,
            status: PaymentStep::ActionRequired,
            next,
            sent_back: 0,
            is_debit: payment_method == "pm_debit",
            is_foreign: currency != asked,
            settled,
            returned: None,
        };
        match fate {
            Fate::Succeeds => payment.succeed(now, chance),
            Fate::Fails => payment.status = PaymentStep::Failed,
            Fate::Processes => payment.status = PaymentStep::Processing,
            Fate::FailsThenSucceeds | Fate::Waits => {}
        }
        self.payments.insert(name.clone(), payment);
        self.tell(ProviderObject::Payment { payment_ref: name.clone() }, true);
        self.payment(&name, now).map_err(|_| "internal".to_owned())
    }
}
