//! Party: a person or organisation that takes part in contracts.
//!
//! ```text
//! unknown ── Register ──▶ registered ──┬─ LinkPayoutAccount ─────────────────────┬─▶ registered, with an account
//!                                      └─ RequestPspAccount ─▶ (RecordAccount) ──┘      at the provider
//! ```
//!
//! Beside that runs its [`Standing`]: what the provider demands, why it is not paid, where it is paid to.
//!
//! # Invariants
//! - What the provider tells is taken in any order: what is older than what is known changes nothing.
//! - A changed bank account, or account at the provider, is used only after [`COOLING_HOURS`]; the first one at once. A bank
//!   account that is asked for shuts the gate at once, and not when the provider has answered; one that the provider does
//!   not take opens it again.
//! - Whom the provider does not want is not paid through another account, either, until staff says so.
//! - The platform's own account is nobody's.
//! - A suspicion about sanctions is dropped by two different members of staff.
//!
//! # What is deliberately absent
//! Names, addresses, logins, and what the provider knows of the person: a party is an identifier here. Links to the
//! provider's pages. Screening itself: it is done outside, and told.

mod account;
mod command;
mod decide;
mod event;
mod standing;

use serde::{Deserialize, Serialize};

pub use account::is_destination_error;
pub use command::{AccountStatus, BankDestination, PartyCommand, Shortfall};
pub use decide::is_plain as is_account_id;
pub use event::PartyEvent;
pub use standing::{
    AccountEnd, AskedDestination, Destination, PayeeStanding, Requirements, Restriction, SanctionsHit, Standing,
};

use crate::id::PartyId;
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "party";

/// Hours after which a changed destination is used (B.12): long enough for the owner of a stolen login to notice.
pub const COOLING_HOURS: u16 = 72;

/// The stream of a party.
pub fn stream(id: PartyId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// State of a party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Party {
    /// Nobody by this id.
    #[default]
    Unknown,
    /// Takes part.
    Registered {
        /// The party.
        party_id: PartyId,
        /// Its account at the payment provider, once linked.
        payout_account: Option<PayoutAccount>,
        /// Whether it may be paid.
        #[serde(default)]
        standing: Box<Standing>,
    },
}

/// An account of a payee at the payment provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutAccount {
    /// Which provider, such as `stripe`.
    pub psp: String,
    /// The provider's id of the account, such as `acct_…`.
    pub psp_account: String,
}

impl Party {
    /// What its payee accounts have to know of it.
    pub fn payee_standing(&self) -> PayeeStanding {
        match self {
            Self::Unknown => PayeeStanding::default(),
            Self::Registered { payout_account, standing, .. } => {
                PayeeStanding { account: payout_account.clone(), standing: standing.as_ref().clone() }
            }
        }
    }
}

impl Rules for Party {
    const TYPE: &'static str = TYPE;
    type Command = PartyCommand;
    type Event = PartyEvent;

    fn decide(&self, command: &PartyCommand, context: &Context) -> Result<Vec<PartyEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &PartyEvent) {
        use PartyEvent as E;
        if let E::Registered { party_id } = event {
            *self = Self::Registered { party_id: *party_id, payout_account: None, standing: Box::default() };
            return;
        }
        let Self::Registered { payout_account, standing, .. } = self else { return };
        match event {
            E::Registered { .. } | E::OnboardingLinkRequested { .. } => {}
            E::PayoutDestinationRequested { currency, request, cooling_until, .. } => {
                let asked = standing.asked.entry(*currency).or_default();
                (asked.request, asked.refused) = (*request, None);
                asked.cooling.extend(cooling_until.map(|until| (*request, until)));
            }
            E::PayoutDestinationRefused { currency, request, code, .. } => {
                let asked = standing.asked.entry(*currency).or_default();
                // Nothing has changed because of it.
                asked.cooling.retain(|(known, _)| known != request);
                if asked.request <= *request {
                    (asked.request, asked.refused) = (*request, Some(code.clone()));
                }
            }
            E::PspAccountLinked { psp, psp_account, cooling_until, .. } => {
                *payout_account = Some(PayoutAccount { psp: psp.clone(), psp_account: psp_account.clone() });
                (standing.requested_at_psp, standing.account_refused) = (None, None);
                standing.relinked_until = *cooling_until;
                standing.had_account = true;
                standing.left_in.clear();
                // What was told of the account before says nothing of this one.
                standing.told_at = None;
                standing.requirements = None;
                // Not so where the provider does not want the party: it does not get around that by another account.
                standing.restrictions.remove(&Restriction::Requirements);
                standing.destinations.clear();
                for asked in standing.asked.values_mut() {
                    asked.refused = None;
                    // The account itself is not used for as long.
                    asked.cooling.clear();
                }
                standing.blocked.clear();
                standing.shortfalls.clear();
            }
            E::PspAccountRequested { psp, request, .. } => {
                standing.account_requests = request.saturating_add(1);
                (standing.requested_at_psp, standing.account_refused) = (Some(psp.clone()), None);
            }
            E::PspAccountRefused { code, .. } => {
                (standing.requested_at_psp, standing.account_refused) = (None, Some(code.clone()));
            }
            E::PspRequirementsChanged { told_at, requirements, .. } => {
                standing.told_at = Some(*told_at);
                standing.requirements = Some(requirements.clone());
            }
            E::Restricted { reason, .. } => {
                standing.restrictions.insert(*reason);
            }
            E::RestrictionLifted { reason, .. } => {
                standing.restrictions.remove(reason);
                standing.let_go_of_what_is_not_held();
            }
            E::PayoutDestinationChanged { currency, fingerprint, cooling_until, .. } => {
                let destination = Destination { fingerprint: fingerprint.clone(), cooling_until: *cooling_until };
                standing.destinations.insert(*currency, destination);
                if let Some(asked) = standing.asked.get_mut(currency) {
                    asked.refused = None;
                    // What was asked for before ends no later than what is told now.
                    if cooling_until.is_some() {
                        asked.cooling.clear();
                    }
                }
                standing.blocked.remove(currency);
            }
            E::PayoutDestinationBlocked { currency, code, .. } => {
                standing.blocked.insert(*currency, code.clone());
            }
            E::FundsLeftNoted { currency, .. } => {
                standing.left_in.insert(*currency);
            }
            E::PspAccountEnded { .. } => {
                *payout_account = None;
                standing.left_in.clear();
            }
            E::PspBalanceNegative { currency, shortfall, .. } => {
                standing.shortfalls.insert(*currency, *shortfall);
            }
            E::PspBalanceRestored { currency, .. } => {
                standing.shortfalls.remove(currency);
            }
            E::HoldNoted { currency, reason, .. } => {
                standing.held_in.insert((*reason, *currency));
            }
            E::SanctionsHitRecorded { screening_ref, .. } => {
                let screening_ref = screening_ref.clone();
                standing.sanctions = Some(SanctionsHit { screening_ref, clearance_proposed_by: None });
            }
            E::SanctionsClearanceProposed { proposed_by, .. } => {
                if let Some(hit) = &mut standing.sanctions {
                    hit.clearance_proposed_by = Some(*proposed_by);
                }
            }
            E::SanctionsCleared { .. } => {
                standing.sanctions = None;
                standing.let_go_of_what_is_not_held();
            }
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Registered { .. } => "registered",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored of a party whose bank account is asked for is read again.
    #[test]
    fn a_request_for_a_bank_account_is_stored_and_read() {
        let until: crate::time::Timestamp = "2026-12-09T10:00:00Z".parse().unwrap();
        let mut standing = Standing::default();
        let asked = AskedDestination { request: 1, refused: None, cooling: vec![(0, until), (1, until)] };
        standing.asked.insert(ledger::Currency::USD, asked);
        let party_id = "pty_00000000000000000000000002".parse().unwrap();
        let party = Party::Registered { party_id, payout_account: None, standing: Box::new(standing) };
        let text = serde_json::to_string(&party).unwrap();
        assert_eq!(serde_json::from_str::<Party>(&text).unwrap(), party);
    }

    /// A state stored before a party had a standing is read.
    #[test]
    fn a_party_of_before_has_a_clean_standing() {
        let text = r#"{"state":"registered","party_id":"pty_00000000000000000000000002","payout_account":null}"#;
        let party: Party = serde_json::from_str(text).unwrap();
        assert_eq!(party.payee_standing(), PayeeStanding::default());
    }
}
