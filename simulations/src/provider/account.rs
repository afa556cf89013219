//! Accounts of payees at the provider: what it demands of them, which banks they pay to, and how they end.
//!
//! # Invariants
//! - An account that cannot receive refuses transfers, and one that cannot pay out refuses payouts.

use chrono::TimeDelta;
use domain::id::PartyId;
use domain::party::{AccountEnd, AccountStatus, BankDestination, Requirements, Shortfall};
use domain::ports::provider::{AccountReport, ProviderReport};
use domain::time::Timestamp;
use ledger::Currency;

use super::minor;
use crate::chance::Chance;

/// An account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) party_id: PartyId,
    requirements: Requirements,
    destinations: Vec<BankDestination>,
    shortfalls: Vec<Shortfall>,
    pub(super) end: Option<AccountEnd>,
    changed_at: Timestamp,
}

impl Account {
    /// In order, as far as the provider has asked by now.
    pub(super) fn new(party_id: PartyId, now: Timestamp) -> Self {
        let requirements = Requirements { transfers_enabled: true, payouts_enabled: true, ..Requirements::default() };
        let (destinations, shortfalls) = (Vec::new(), Vec::new());
        Self { party_id, requirements, destinations, shortfalls, end: None, changed_at: now }
    }

    pub(super) fn can_receive(&self) -> bool {
        self.end.is_none() && self.requirements.transfers_enabled
    }

    pub(super) fn can_pay_out(&self) -> bool {
        self.end.is_none() && self.requirements.payouts_enabled
    }

    /// The payee gives another bank account.
    pub(super) fn set_destination(&mut self, currency: Currency, token: &str, now: Timestamp) {
        self.destinations.retain(|known| known.currency != currency);
        self.destinations.push(BankDestination { currency, fingerprint: format!("fp_{token}") });
        self.changed_at = now;
    }

    /// The provider, or its owner, changes something about it.
    pub(super) fn change(&mut self, now: Timestamp, chance: &mut Chance) -> &'static str {
        if self.end.is_some() {
            return "provider account stays ended";
        }
        self.changed_at = now;
        match chance.between(0, 19) {
            0..=5 if self.can_receive() && self.can_pay_out() => {
                let name = "individual.verification.document".to_owned();
                self.requirements = Requirements {
                    currently_due: vec![name],
                    due_by: Some(now + TimeDelta::days(chance.between(1, 14))),
                    transfers_enabled: chance.per_mille(500),
                    payouts_enabled: false,
                    disabled_reason: Some("requirements.past_due".to_owned()),
                    ..Requirements::default()
                };
                "provider account restricted"
            }
            6 => {
                self.requirements.disabled_reason = Some("rejected.other".to_owned());
                (self.requirements.transfers_enabled, self.requirements.payouts_enabled) = (false, false);
                "provider account rejected"
            }
            7..=10 => {
                let currency = [Currency::USD, Currency::EUR, Currency::JPY];
                let currency = chance.pick(&currency).copied().unwrap_or(Currency::USD);
                let token = format!("btok_{}", chance.between(1, 9));
                self.set_destination(currency, &token, now);
                "provider account has another bank"
            }
            11 | 12 => {
                self.shortfalls = if self.shortfalls.is_empty() {
                    vec![Shortfall { currency: Currency::USD, amount: minor(chance.between(1, 5_000)) }]
                } else {
                    Vec::new()
                };
                "provider account balance told"
            }
            13..=15 => {
                let ends = [AccountEnd::Closed, AccountEnd::Deauthorized];
                self.end = chance.pick(&ends).copied();
                "provider account ended"
            }
            _ => {
                self.requirements = Self::new(self.party_id, now).requirements;
                "provider account in order"
            }
        }
    }

    pub(super) fn report(&self, name: &str) -> ProviderReport {
        ProviderReport::Account(AccountReport {
            psp: "stripe".to_owned(),
            party_id: Some(self.party_id),
            status: AccountStatus {
                psp_account: name.to_owned(),
                told_at: self.changed_at,
                requirements: self.requirements.clone(),
                destinations: self.destinations.clone(),
                shortfalls: self.shortfalls.clone(),
                end: self.end,
            },
        })
    }
}
