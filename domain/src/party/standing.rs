//! What the platform and the provider hold of a party: whether it may be paid, and how.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::PayoutAccount;
use crate::id::PartyId;
use crate::payee::HoldReason;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What the provider demands of a payee, what it lets the account do, and where the account is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// The provider's names of what is to be given, such as `individual.verification.document`. Names, never values.
    #[serde(default)]
    pub currently_due: Vec<String>,
    /// What of it is late.
    #[serde(default)]
    pub past_due: Vec<String>,
    /// Until when it is to be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<Timestamp>,
    /// Whether the account can receive from the platform.
    pub transfers_enabled: bool,
    /// Whether it can pay to a bank.
    pub payouts_enabled: bool,
    /// The provider's code, where it has disabled something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// The account's country, ISO 3166-1; absent where the provider does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The currency that the account is kept in; absent where the provider does not tell, or it is none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_currency: Option<Currency>,
}

impl Requirements {
    /// What they keep the party from; `None` when it can be paid.
    pub fn restriction(&self) -> Option<Restriction> {
        let rejected = self.disabled_reason.as_deref().is_some_and(|reason| reason.starts_with("rejected"));
        match (rejected, self.transfers_enabled && self.payouts_enabled) {
            (true, _) => Some(Restriction::Rejected),
            (false, false) => Some(Restriction::Requirements),
            (false, true) => None,
        }
    }
}

/// Why a party is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restriction {
    /// The provider waits for something.
    Requirements,
    /// The provider does not want the party.
    Rejected,
    /// Staff has stopped it.
    Staff,
}

impl Restriction {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requirements => "requirements",
            Self::Rejected => "rejected",
            Self::Staff => "staff",
        }
    }
}

/// Why an account at the provider is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountEnd {
    /// It was closed.
    Closed,
    /// Its owner has taken the platform's access away.
    Deauthorized,
}

/// A bank account that the provider pays to, as far as we may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The provider's fingerprint of it: says whether it is another one, and not which.
    pub fingerprint: String,
    /// Not used before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling_until: Option<Timestamp>,
}

/// A bank account that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedDestination {
    /// Which request it was.
    pub request: u32,
    /// The provider's code, where it does not take the bank account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Requests that may change the bank account, or have, and until when nothing is paid out because of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cooling: Vec<(u32, Timestamp)>,
}

/// A suspicion that the party is on a list of sanctions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SanctionsHit {
    /// The screening's own reference.
    pub screening_ref: String,
    /// Who has proposed to drop it; somebody else has to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearance_proposed_by: Option<PartyId>,
}

/// Whether a party may be paid. Nothing is held against somebody of whom nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The provider at which an account was asked for.
    pub requested_at_psp: Option<String>,
    /// How often an account was asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub account_requests: u32,
    /// The provider's code, where it did not make the account that was asked for last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_refused: Option<String>,
    /// The newest word of the provider on the account.
    pub told_at: Option<Timestamp>,
    /// What it demands.
    pub requirements: Option<Requirements>,
    /// Why the party is not paid.
    pub restrictions: BTreeSet<Restriction>,
    /// Whether it may be on a list of sanctions.
    pub sanctions: Option<SanctionsHit>,
    /// Bank accounts by currency.
    pub destinations: BTreeMap<Currency, Destination>,
    /// Currencies whose bank account does not take payouts, and the provider's code.
    pub blocked: BTreeMap<Currency, String>,
    /// The last request for another bank account by currency, and the provider's code where it was refused.
    pub asked: BTreeMap<Currency, AskedDestination>,
    /// Whether an account at the provider was ever linked: another one is a change.
    pub had_account: bool,
    /// Another account at the provider was linked, and is not used before then.
    pub relinked_until: Option<Timestamp>,
    /// What is missing in the account at the provider, by currency.
    pub shortfalls: BTreeMap<Currency, Minor>,
    /// What is held back because of this standing.
    pub held_in: BTreeSet<(HoldReason, Currency)>,
    /// Currencies in which money may lie at the account at the provider that belongs to no payout.
    pub left_in: BTreeSet<Currency>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Standing {
    /// Why earnings that clear are held back; `None` when they become available.
    pub fn holds(&self) -> Option<HoldReason> {
        if self.sanctions.is_some() {
            Some(HoldReason::Sanctions)
        } else if self.restrictions.is_empty() {
            None
        } else {
            Some(HoldReason::Kyc)
        }
    }

    /// Whether a payout in this currency may be made at `now`: the gates of PM5 that are about the payee.
    ///
    /// # Errors
    /// The [`Refusal`] that names the gate.
    pub fn may_be_paid(&self, currency: Currency, now: Timestamp) -> Result<(), Refusal> {
        if self.sanctions.is_some() {
            return Err(Refusal::PartyRestricted { reason: HoldReason::Sanctions.word() });
        }
        // The gravest, where there are several.
        if let Some(restriction) = self.restrictions.last() {
            return Err(Refusal::PartyRestricted { reason: restriction.word() });
        }
        if let Some(code) = self.blocked.get(&currency) {
            return Err(Refusal::DestinationBlocked { code: code.clone() });
        }
        // Of an account of which nothing is known the provider has the last word.
        if !self.destinations.is_empty() && !self.destinations.contains_key(&currency) {
            return Err(Refusal::DestinationRequired { currency });
        }
        if let Some(available_at) = self.cooling_until(currency).filter(|until| now < *until) {
            return Err(Refusal::DestinationCooling { available_at });
        }
        match self.shortfalls.get(&currency) {
            Some(shortfall) => Err(Refusal::NegativePspBalance { shortfall: *shortfall }),
            None => Ok(()),
        }
    }
}

impl Standing {
    /// Until when nothing is paid out in this currency because of a change of where it goes: one that was asked for, one
    /// that the provider has told of, another account. `None` where nothing has changed; it may be past.
    pub fn cooling_until(&self, currency: Currency) -> Option<Timestamp> {
        let told = self.destinations.get(&currency).and_then(|destination| destination.cooling_until);
        let asked = self.asked.get(&currency).and_then(|asked| asked.cooling.iter().map(|(_, until)| *until).max());
        told.max(asked).max(self.relinked_until)
    }

    /// Whether another bank account for this currency is a change: there is one, or there was one that took no payouts.
    pub(super) fn has_destination(&self, currency: Currency) -> bool {
        self.destinations.contains_key(&currency) || self.blocked.contains_key(&currency)
    }

    /// Why the party is not paid has changed: reasons that do not hold it any more hold no earnings, either.
    pub(super) fn let_go_of_what_is_not_held(&mut self) {
        let (restricted, suspected) = (!self.restrictions.is_empty(), self.sanctions.is_some());
        self.held_in.retain(|(reason, _)| match reason {
            HoldReason::Kyc => restricted,
            HoldReason::Sanctions => suspected,
            HoldReason::Fraud | HoldReason::ChargebackReserve => true,
        });
    }

    /// The currencies in which earnings are held back for that reason.
    pub(super) fn held_for(&self, reason: HoldReason) -> Vec<Currency> {
        self.held_in.iter().filter(|(held_for, _)| *held_for == reason).map(|(_, currency)| *currency).collect()
    }
}

/// A party as its payee accounts have to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayeeStanding {
    /// Where it is paid.
    pub account: Option<PayoutAccount>,
    /// Whether it may be.
    pub standing: Standing,
}

impl PayeeStanding {
    /// Whether a payout in this currency through that account at the provider may be begun, or go on, at `now`.
    ///
    /// # Errors
    /// The [`Refusal`] that names the gate.
    pub fn may_be_paid_through(&self, psp_account: &str, currency: Currency, now: Timestamp) -> Result<(), Refusal> {
        self.standing.may_be_paid(currency, now)?;
        match &self.account {
            None => Err(Refusal::PayoutAccountRequired),
            Some(account) if account.psp_account != psp_account => Err(Refusal::PayoutAccountChanged),
            Some(_) => Ok(()),
        }
    }
}
