//! Requests about a party, and what the provider tells of its account.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{AccountEnd, PayoutAccount, Requirements};
use crate::id::{OnboardingLinkId, PartyId};
use crate::jurisdiction::Jurisdiction;
use crate::payee::HoldReason;
use crate::time::Timestamp;

/// A bank account as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankDestination {
    /// The currency that is paid to it.
    pub currency: Currency,
    /// The provider's fingerprint of it.
    pub fingerprint: String,
}

/// What is missing in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// In which currency.
    pub currency: Currency,
    /// How much, positive.
    pub amount: Minor,
}

/// Everything that the provider holds to be true of a payee's account at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// The account.
    pub psp_account: String,
    /// When it was so, by the provider's clock. What is older than what is known is no news.
    pub told_at: Timestamp,
    /// What is demanded, and what it can do.
    pub requirements: Requirements,
    /// Its bank accounts, all of them.
    pub destinations: Vec<BankDestination>,
    /// The currencies in which its balance is below zero, all of them.
    pub shortfalls: Vec<Shortfall>,
    /// Whether it is of no use any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<AccountEnd>,
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
    /// Have an account made at the provider. The party itself, or staff.
    RequestPspAccount {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// Where the party lives.
        country: Jurisdiction,
    },
    /// Have a link to the provider's own pages made, where the party gives what is demanded. The party itself, or staff.
    RequestOnboardingLink {
        /// The party.
        party_id: PartyId,
        /// The link to be made.
        link_id: OnboardingLinkId,
    },
    /// Have earnings in a currency paid to another bank account. The party itself.
    RequestDestination {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The provider's token of the bank account. Never its number.
        token: String,
    },
    /// The provider tells of the account. A fact: never refused.
    RecordAccount {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// What is so.
        status: AccountStatus,
    },
    /// The provider does not make the account that was asked for. A fact: never refused.
    RecordPspAccountRefused {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// Which request it answers.
        request: u32,
        /// The provider's code.
        code: String,
    },
    /// The provider does not take a bank account that was asked for. A fact: never refused.
    RecordDestinationRefused {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The account at the provider that it was for.
        psp_account: String,
        /// Which request it answers.
        request: u32,
        /// The provider's code.
        code: String,
    },
    /// A payout did not arrive, or came back.
    NotePayoutFailure {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The provider's code.
        code: String,
        /// Whether money lies at the party's account at the provider because of it.
        leaves_money: bool,
    },
    /// Earnings were held back because of the party's standing.
    NoteHold {
        /// The party.
        party_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// Why.
        reason: HoldReason,
    },
    /// Not pay the party. Staff that may hold money.
    Restrict {
        /// The party.
        party_id: PartyId,
    },
    /// Pay it again: lifts what staff has stopped, or else a rejection that was of an account used before. Staff that may
    /// hold money.
    LiftRestriction {
        /// The party.
        party_id: PartyId,
    },
    /// The party may be on a list of sanctions. Staff that may hold money, or the engine.
    RecordSanctionsHit {
        /// The party.
        party_id: PartyId,
        /// The screening's own reference.
        screening_ref: String,
        /// Currencies in which it has earnings: what is available is held at once. Others are held when they clear.
        currencies: Vec<Currency>,
    },
    /// Propose to drop that suspicion. Staff that may hold money.
    ProposeSanctionsClearance {
        /// The party.
        party_id: PartyId,
    },
    /// Drop it. Staff that may hold money, and not who has proposed it.
    ApproveSanctionsClearance {
        /// The party.
        party_id: PartyId,
    },
}
