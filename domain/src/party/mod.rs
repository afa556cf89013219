//! Party: a person or organisation that takes part in contracts.
//!
//! ```text
//! unknown ── Register ──▶ registered ── LinkPayoutAccount ──▶ registered (with an account at the provider)
//! ```
//!
//! # What is deliberately absent
//! Names, addresses, logins: a party is an identifier here. KYC, destinations and sanctions come with onboarding.

mod decide;

use serde::{Deserialize, Serialize};

use crate::id::PartyId;
use crate::log::StreamId;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};

/// Name of the aggregate.
pub const TYPE: &str = "party";

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

/// A request about a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartyCommand {
    /// Make the party known.
    Register {
        /// The party.
        party_id: PartyId,
    },
    /// Say where the party's earnings are to be paid.
    LinkPayoutAccount {
        /// The party.
        party_id: PartyId,
        /// The account.
        account: PayoutAccount,
    },
}

/// A fact about a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PartyEvent {
    /// The party is known.
    Registered {
        /// The party.
        party_id: PartyId,
    },
    /// Earnings of the party are paid to this account from now on.
    PspAccountLinked {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// The account there.
        psp_account: String,
    },
}

impl Rules for Party {
    const TYPE: &'static str = TYPE;
    type Command = PartyCommand;
    type Event = PartyEvent;

    fn decide(&self, command: &PartyCommand, context: &Context) -> Result<Vec<PartyEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &PartyEvent) {
        match event {
            PartyEvent::Registered { party_id } => {
                *self = Self::Registered { party_id: *party_id, payout_account: None };
            }
            PartyEvent::PspAccountLinked { party_id, psp, psp_account } => {
                let account = PayoutAccount { psp: psp.clone(), psp_account: psp_account.clone() };
                *self = Self::Registered { party_id: *party_id, payout_account: Some(account) };
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
