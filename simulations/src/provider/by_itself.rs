//! What happens at the provider without an order, and orders beside payments: banks, networks, payees and the platform's
//! own people.

use std::collections::BTreeMap;

use domain::ports::provider::{ProviderError, ProviderObject, ProviderOrder, ProviderReport, TransferReversalReport};
use domain::time::Timestamp;
use ledger::Currency;

use super::account::Account;
use super::dispute::{self, Dispute, Step};
use super::payment::PaymentStep;
use super::treasury::{PlatformPayout, TopUp};
use super::{Provider, add};
use crate::chance::Chance;

impl Provider {
    /// Somebody does something that nobody here has asked for.
    pub fn surprise(&mut self, now: Timestamp, chance: &mut Chance) {
        match chance.between(0, 99) {
            0..=34 => self.a_bank_disagrees(now, chance),
            35..=39 => self.a_network_warns(chance),
            40..=59 => self.a_bank_returns(now, chance),
            60..=89 => self.an_account_changes(now, chance),
            90..=94 => {
                let currency = *chance.pick(&[Currency::USD, Currency::EUR]).unwrap_or(&Currency::USD);
                let name = self.name("tu");
                let top_up = TopUp::new(None, (chance.between(1, 500_000), currency), now, chance);
                self.top_ups.insert(name.clone(), top_up);
                self.happened.push("provider topped up elsewhere");
                self.tell(ProviderObject::TopUp { top_up_ref: name }, true);
            }
            _ => self.a_payout_that_nobody_ordered(now, chance),
        }
    }

    /// The payee of an account that was linked, and not made here.
    pub fn know(&mut self, account: &str, party_id: domain::id::PartyId, now: Timestamp) {
        self.payees.entry(account.to_owned()).or_insert_with(|| Account::new(party_id, now));
    }

    /// Payments that are with us, the newest more often; into contracts and into wallets.
    fn a_payment(&self, chance: &mut Chance, fits: impl Fn(&super::Payment) -> bool) -> Option<String> {
        let collected = |payment: &super::Payment| {
            matches!(payment.status, PaymentStep::Succeeded { .. })
                && payment.returned.is_none()
                && payment.sent_back < payment.captured
        };
        let names: Vec<&String> = self
            .payments
            .iter()
            .filter(|(_, payment)| collected(payment) && fits(payment))
            .map(|(name, _)| name)
            .collect();
        let recent = names.get(names.len().saturating_sub(8)..).unwrap_or_default();
        let among = if chance.per_mille(700) { recent } else { names.as_slice() };
        chance.pick(among).map(|name| (*name).clone())
    }

    fn a_bank_disagrees(&mut self, now: Timestamp, chance: &mut Chance) {
        // What was collected in another currency is an operator's to settle.
        let own = |payment: &super::Payment| !payment.is_foreign;
        let of_debit = |payment: &super::Payment| own(payment) && payment.is_debit;
        // Debits are fewer than cards, and a bank that disagrees with one may return it, too.
        let debit = if chance.per_mille(700) { self.a_payment(chance, of_debit) } else { None };
        let name = debit.or_else(|| self.a_payment(chance, own));
        let Some(payment) = name.and_then(|name| self.payments.get(&name)).cloned() else { return };
        // One bank, one disagreement at a time; another may follow.
        let open = |known: &&Dispute| known.charge_ref == payment.charge_ref;
        if self.disputes.values().filter(open).any(|known| !known.is_at_rest() || known.blocks_refunds()) {
            return;
        }
        let left = payment.captured.saturating_sub(payment.sent_back);
        let name = self.name("dp");
        let about = (payment.funding_id, payment.charge_ref);
        let lies_in = payment.settled.map(|(_, currency)| currency);
        let dispute = Dispute::begin(about, (left, payment.currency), lies_in, now, chance);
        self.disputes.insert(name, dispute);
        self.happened.push("provider a bank disagrees");
    }

    fn a_network_warns(&mut self, chance: &mut Chance) {
        let Some(payment) = self.a_payment(chance, |_| true) else { return };
        let name = self.name("issfr");
        self.warnings.insert(name.clone(), payment);
        self.happened.push("provider a network warns");
        self.tell(ProviderObject::FraudWarning { warning_ref: name }, false);
    }

    fn a_bank_returns(&mut self, now: Timestamp, chance: &mut Chance) {
        let Some(name) = self.a_payment(chance, |payment| payment.is_debit) else { return };
        let Some(payment) = self.payments.get_mut(&name) else { return };
        payment.returned = Some((now, payment.in_balance(payment.captured, chance)));
        self.happened.push("provider a bank returned a debit");
        self.tell(ProviderObject::Payment { payment_ref: name }, false);
    }

    fn an_account_changes(&mut self, now: Timestamp, chance: &mut Chance) {
        // Often one at which money lies: what ends then has to be settled.
        let lies = |name: &String| self.accounts.iter().any(|((account, _), amount)| account == name && *amount > 0);
        let with_money: Vec<String> = self.payees.keys().filter(|name| lies(name)).cloned().collect();
        let any = with_money.is_empty() || chance.per_mille(200);
        let names = if any { self.payees.keys().cloned().collect() } else { with_money };
        let Some(name) = chance.pick(&names).cloned() else { return };
        let Some(payee) = self.payees.get_mut(&name) else { return };
        let happened = payee.change(now, chance);
        let ended = payee.end.is_some();
        self.happened.push(happened);
        // The next one tells all of it, too; after the end there is none.
        self.tell(ProviderObject::Account { account: name, deauthorized: ended }, !ended);
    }

    fn a_payout_that_nobody_ordered(&mut self, now: Timestamp, chance: &mut Chance) {
        let balances: Vec<(Currency, i64)> =
            self.platform(now).into_iter().map(|(currency, (_, available))| (currency, available)).collect();
        let Some((currency, available)) = chance.pick(&balances).copied().filter(|(_, available)| *available > 1)
        else {
            return;
        };
        let name = self.name("po");
        let amount = chance.between(1, (available / 10).max(1));
        self.platform_payouts.insert(name.clone(), PlatformPayout::new(None, (amount, currency), now, chance));
        self.happened.push("provider paid out by itself");
        self.tell(ProviderObject::PlatformPayout { bank_payout_ref: name }, true);
    }

    /// Carries an order out that is not about a payment.
    pub(super) fn for_the_platform(
        &mut self,
        order: &ProviderOrder,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Result<ProviderReport, String> {
        let internal = || "internal".to_owned();
        match order {
            ProviderOrder::SubmitEvidence { dispute_ref, .. } => {
                let dispute = self.disputes.get_mut(dispute_ref).ok_or_else(|| "resource_missing".to_owned())?;
                if !dispute.answer() {
                    self.happened.push("provider took no evidence any more");
                    return Err("dispute_closed".to_owned());
                }
                self.happened.push("provider took evidence");
                Ok(dispute.report(dispute_ref))
            }
            ProviderOrder::CloseDispute { dispute_ref, .. } => {
                let dispute = self.disputes.get_mut(dispute_ref).ok_or_else(|| "resource_missing".to_owned())?;
                if !dispute.concede() {
                    self.happened.push("provider took no concession any more");
                    return Err("dispute_closed".to_owned());
                }
                self.happened.push("provider took a concession");
                Ok(dispute.report(dispute_ref))
            }
            ProviderOrder::CreateAccount { party_id, .. } => {
                let name = self.name("acct");
                self.payees.insert(name.clone(), Account::new(*party_id, now));
                self.account(&name).map_err(|_| internal())
            }
            ProviderOrder::SetDestination { account, currency, token, .. } => {
                let payee = self.payees.get_mut(account).ok_or_else(internal)?;
                if chance.per_mille(200) {
                    self.happened.push("provider refused a bank account");
                    return Err("bank_account_unusable".to_owned());
                }
                payee.set_destination(*currency, token, now);
                self.account(account).map_err(|_| internal())
            }
            ProviderOrder::ReverseTransfer { reversal_id, payout_id, transfer_ref, amount, currency, account } => {
                let has = self.accounts.get(&(account.clone(), *currency)).copied().unwrap_or_default();
                if has < amount.get() || chance.per_mille(400) {
                    self.happened.push("provider refused to take a transfer back");
                    return Err("insufficient_funds_at_destination".to_owned());
                }
                let name = self.name("trr");
                add(&mut self.accounts, (account.clone(), *currency), amount.get().saturating_neg());
                add(&mut self.moved_out, *currency, amount.get().saturating_neg());
                let report = TransferReversalReport {
                    reversal_ref: name.clone(),
                    reversal_id: Some(*reversal_id),
                    payout_id: Some(*payout_id),
                    amount: *amount,
                    currency: *currency,
                };
                self.reversals.insert(name.clone(), report.clone());
                let transfer_ref = transfer_ref.clone();
                self.tell(ProviderObject::TransferReversal { transfer_ref, reversal_ref: name }, true);
                Ok(ProviderReport::TransferReversal(report))
            }
            ProviderOrder::TopUp { top_up_id, amount, currency } => {
                if chance.per_mille(100) {
                    return Err("bank_account_unusable".to_owned());
                }
                let name = self.name("tu");
                let top_up = TopUp::new(Some(*top_up_id), (amount.get(), *currency), now, chance);
                let report = top_up.report(&name);
                self.top_ups.insert(name.clone(), top_up);
                self.tell(ProviderObject::TopUp { top_up_ref: name }, true);
                Ok(report)
            }
            ProviderOrder::PayPlatform { sweep_id, amount, currency } => {
                let has = self.platform(now).get(currency).map_or(0, |(_, available)| *available);
                if has < amount.get() {
                    return Err("balance_insufficient".to_owned());
                }
                let name = self.name("po");
                let payout = PlatformPayout::new(Some(*sweep_id), (amount.get(), *currency), now, chance);
                let report = payout.report(&name);
                self.platform_payouts.insert(name.clone(), payout);
                self.tell(ProviderObject::PlatformPayout { bank_payout_ref: name }, true);
                Ok(report)
            }
            _ => Err(internal()),
        }
    }

    /// Lets happen what is due here. Returns what changed, and whether the notice of it may be lost.
    pub(super) fn others_go_on(&mut self, now: Timestamp, chance: &mut Chance) -> Vec<(ProviderObject, bool)> {
        let (mut changed, mut taken) = (Vec::new(), Vec::new());
        for (name, dispute) in &mut self.disputes {
            while let Some(step) = dispute.tick(now, name, chance) {
                self.happened.push(match step {
                    Step::Is(_) => "provider a bank says how far it is",
                    Step::Withdraw(_) => "provider a bank took money",
                    Step::Reinstate(_) => "provider a bank gave money back",
                    Step::FeeBack(_) => "provider gave a fee back",
                });
                if matches!(step, Step::Withdraw(_)) {
                    taken.push(dispute.charge_ref.clone());
                }
                // The next report tells all of it, too.
                changed.push((ProviderObject::Dispute { dispute_ref: name.clone() }, !dispute.is_at_rest()));
            }
        }
        // Of what one bank has taken, another may return all, since the client has no money.
        for charge_ref in taken {
            let of_debit =
                |(_, payment): &(&String, &mut super::Payment)| payment.charge_ref == charge_ref && payment.is_debit;
            if let Some((name, payment)) = self.payments.iter_mut().find(of_debit)
                && payment.returned.is_none()
                && chance.per_mille(900)
            {
                payment.returned = Some((now, payment.in_balance(payment.captured, chance)));
                self.happened.push("provider a bank returned what another has");
                changed.push((ProviderObject::Payment { payment_ref: name.clone() }, false));
            }
        }
        for (name, top_up) in &mut self.top_ups {
            while top_up.tick(now) {
                changed.push((ProviderObject::TopUp { top_up_ref: name.clone() }, !top_up.is_at_rest()));
            }
        }
        for (name, payout) in &mut self.platform_payouts {
            while payout.tick(now) {
                let object = ProviderObject::PlatformPayout { bank_payout_ref: name.clone() };
                changed.push((object, !payout.is_at_rest()));
            }
        }
        changed
    }

    /// What changed the platform's available balance without a payment or a transfer.
    pub(super) fn moved_by_itself(&self) -> BTreeMap<Currency, i64> {
        let mut moved = BTreeMap::new();
        for dispute in self.disputes.values() {
            add(&mut moved, dispute.moves_in(), dispute.moved());
        }
        for top_up in self.top_ups.values().filter(|top_up| top_up.is_there()) {
            add(&mut moved, top_up.currency, top_up.amount);
        }
        for payout in self.platform_payouts.values().filter(|payout| payout.has_left()) {
            add(&mut moved, payout.currency, payout.amount.saturating_neg());
        }
        moved
    }

    pub(super) fn account(&self, name: &str) -> Result<ProviderReport, ProviderError> {
        let payee = self.payees.get(name).ok_or_else(|| ProviderError::Unusable("no such account".to_owned()))?;
        Ok(payee.report(name))
    }

    /// The present state of such an object.
    pub(super) fn made_by_itself(&self, object: &ProviderObject) -> Option<ProviderReport> {
        match object {
            ProviderObject::Dispute { dispute_ref } => {
                self.disputes.get(dispute_ref).map(|dispute| dispute.report(dispute_ref))
            }
            ProviderObject::FraudWarning { warning_ref } => {
                let payment = self.payments.get(self.warnings.get(warning_ref)?)?;
                Some(dispute::warning(warning_ref, payment.funding_id, &payment.charge_ref))
            }
            ProviderObject::TransferReversal { reversal_ref, .. } => {
                self.reversals.get(reversal_ref).cloned().map(ProviderReport::TransferReversal)
            }
            ProviderObject::TopUp { top_up_ref } => {
                self.top_ups.get(top_up_ref).map(|top_up| top_up.report(top_up_ref))
            }
            ProviderObject::PlatformPayout { bank_payout_ref } => {
                self.platform_payouts.get(bank_payout_ref).map(|payout| payout.report(bank_payout_ref))
            }
            _ => None,
        }
    }
}
