//! Orders that were refused, and are carried out all the same: nothing that a provider says is for ever.
//!
//! # Invariants
//! - It happens once, after the refusal is in the engine's log, and only where there is enough money for it.

use chrono::TimeDelta;
use domain::ports::provider::{ProviderObject, ProviderOrder};
use domain::time::Timestamp;

use super::Provider;
use super::payment::PaymentStep;
use super::refund::Refund;
use crate::chance::Chance;

impl Provider {
    /// The engine has recorded that this was refused, and orders it no more.
    pub fn may_come_late(&mut self, order: &ProviderOrder, now: Timestamp, chance: &mut Chance) {
        let can = matches!(order, ProviderOrder::MoveToPayee { .. } | ProviderOrder::Refund { .. });
        if can && chance.per_mille(300) {
            self.late.push((now + TimeDelta::hours(chance.between(1, 240)), order.clone()));
        }
    }

    /// Carries out what has waited long enough.
    pub(super) fn late_ones(&mut self, now: Timestamp) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, order) in due {
            let done = match &order {
                ProviderOrder::MoveToPayee { payout_id, amount, currency, account, .. } => {
                    let enough =
                        self.platform(now).get(currency).is_some_and(|(_, available)| *available >= amount.get());
                    if enough {
                        self.transfer(*payout_id, (*amount, *currency), account, false);
                        self.happened.push("provider made a transfer that it had refused");
                    }
                    enough.then_some(amount)
                }
                ProviderOrder::Refund { amount, .. } => self.refund_late(&order, now).then_some(amount),
                _ => None,
            };
            if let Some(amount) = done {
                self.has_moved = true;
                self.moved.entry((order.action(), order.aggregate_id())).or_default().push(amount.get());
            }
        }
    }

    fn refund_late(&mut self, order: &ProviderOrder, now: Timestamp) -> bool {
        let ProviderOrder::Refund { refund_id, payment_ref, charge_ref, amount, currency, .. } = order else {
            return false;
        };
        let available = self.platform(now).get(currency).map_or(0, |(_, available)| *available);
        let contested = self.disputes.values().any(|known| known.charge_ref == *charge_ref);
        let known = self.payments.get_mut(payment_ref).filter(|payment| {
            let left = payment.captured.saturating_sub(payment.sent_back);
            let collected = matches!(payment.status, PaymentStep::Succeeded { .. }) && payment.returned.is_none();
            collected && payment.lies_in() == *currency && left >= amount.get()
        });
        let Some(payment) = known.filter(|_| !contested && available >= amount.get()) else { return false };
        payment.sent_back = payment.sent_back.saturating_add(amount.get());
        let name = self.name("re");
        let refund = Refund::arrived(*refund_id, payment_ref.clone(), (amount.get(), *currency));
        self.refunds.insert(name.clone(), refund);
        self.happened.push("provider made a refund that it had refused");
        self.tell(ProviderObject::Refund { refund_ref: name }, false);
        true
    }
}
