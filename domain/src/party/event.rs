//! Facts about a party.

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};

use super::{AccountEnd, Requirements, Restriction};
use crate::id::{BreakId, OnboardingLinkId, PartyId};
use crate::jurisdiction::Jurisdiction;
use crate::payee::HoldReason;
use crate::time::Timestamp;

/// A fact about a party; amounts are minor units of the currency beside them.
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
        /// Not used before then, where another account was linked before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cooling_until: Option<Timestamp>,
        /// The account that was used until now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
        /// Currencies in which money may lie at that one: it is called back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        call_back_in: Vec<Currency>,
    },
    /// An account at the provider is to be made.
    PspAccountRequested {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// Where the party lives.
        country: Jurisdiction,
        /// How many such requests of the party's came before.
        #[serde(default, skip_serializing_if = "is_zero")]
        request: u32,
    },
    /// A link to the provider's own pages is to be made. The link itself is never kept: whoever has it is the party.
    OnboardingLinkRequested {
        /// The party.
        party_id: PartyId,
        /// The link to be made.
        link_id: OnboardingLinkId,
        /// Which provider.
        psp: String,
        /// The account there.
        psp_account: String,
    },
    /// The provider does not make the account that was asked for. Another one can be asked for.
    PspAccountRefused {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// Which request it answers.
        request: u32,
        /// The provider's code.
        code: String,
    },
    /// Another bank account is to be made known to the provider. It is used once the provider tells of it.
    PayoutDestinationRequested {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// Which provider.
        psp: String,
        /// The account there.
        psp_account: String,
        /// The provider's token of the bank account, of use once and to the platform only.
        token: String,
        /// How many requests of the party's came before.
        #[serde(default, skip_serializing_if = "is_zero")]
        request: u32,
        /// Nothing is paid out in that currency before then, unless the provider does not take the bank account; absent for
        /// the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cooling_until: Option<Timestamp>,
    },
    /// The provider does not take a bank account that was asked for. The one that was used before stays in use, and at once
    /// where nothing else keeps it from that: nothing has changed.
    PayoutDestinationRefused {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The account at the provider.
        psp_account: String,
        /// Which request it answers.
        request: u32,
        /// The provider's code.
        code: String,
    },
    /// The provider demands something else than before, or lets the account do something else.
    PspRequirementsChanged {
        /// The party.
        party_id: PartyId,
        /// The account.
        psp_account: String,
        /// When it was so, by the provider's clock.
        told_at: Timestamp,
        /// What is so now.
        #[serde(flatten)]
        requirements: Requirements,
    },
    /// The party is not paid: what clears is held back.
    Restricted {
        /// The party.
        party_id: PartyId,
        /// Why.
        reason: Restriction,
    },
    /// One reason less not to pay it.
    RestrictionLifted {
        /// The party.
        party_id: PartyId,
        /// Which.
        reason: Restriction,
        /// Currencies in which earnings were held back, where this was the last reason: they are let go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        let_go_in: Vec<Currency>,
    },
    /// The provider pays to another bank account.
    PayoutDestinationChanged {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The provider's fingerprint of it.
        fingerprint: String,
        /// Not used before then; absent for the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cooling_until: Option<Timestamp>,
    },
    /// A bank account does not take payouts: the party has to give another one.
    PayoutDestinationBlocked {
        /// The party.
        party_id: PartyId,
        /// Its currency.
        currency: Currency,
        /// The provider's code.
        code: String,
    },
    /// A payout left money at the party's account at the provider.
    FundsLeftNoted {
        /// The party.
        party_id: PartyId,
        /// In which currency.
        currency: Currency,
    },
    /// The account at the provider is of no use any more.
    PspAccountEnded {
        /// The party.
        party_id: PartyId,
        /// Which provider.
        psp: String,
        /// The account.
        psp_account: String,
        /// Why.
        end: AccountEnd,
        /// Currencies in which money may lie there: it is called back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        call_back_in: Vec<Currency>,
    },
    /// The balance of the account at the provider is below zero: nothing is paid out, and somebody has to explain it.
    PspBalanceNegative {
        /// The party.
        party_id: PartyId,
        /// The account.
        psp_account: String,
        /// In which currency.
        currency: Currency,
        /// How much is missing.
        shortfall: Minor,
        /// What is to be explained.
        break_id: BreakId,
    },
    /// It is not below zero any more.
    PspBalanceRestored {
        /// The party.
        party_id: PartyId,
        /// The account.
        psp_account: String,
        /// In which currency.
        currency: Currency,
    },
    /// Earnings are held back because of the party's standing. Their own event books it.
    HoldNoted {
        /// The party.
        party_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// Why.
        reason: HoldReason,
    },
    /// The party may be on a list of sanctions: it is not paid.
    SanctionsHitRecorded {
        /// The party.
        party_id: PartyId,
        /// The screening's own reference.
        screening_ref: String,
        /// Currencies in which what is available is held at once.
        currencies: Vec<Currency>,
    },
    /// A member of staff proposes to drop that suspicion.
    SanctionsClearanceProposed {
        /// The party.
        party_id: PartyId,
        /// Who.
        proposed_by: PartyId,
    },
    /// It is dropped.
    SanctionsCleared {
        /// The party.
        party_id: PartyId,
        /// Who has proposed it.
        proposed_by: PartyId,
        /// Who has agreed: somebody else.
        approved_by: PartyId,
        /// Currencies in which earnings were held back: they are let go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        let_go_in: Vec<Currency>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
