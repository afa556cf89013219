//! Rules of a party.

use super::{Party, PartyCommand, PartyEvent};
use crate::actor::Actor;
use crate::refusal::Refusal;
use crate::rules::Context;

/// Longest id of an account that a provider gives; Stripe's have about 21 characters.
const MAX_ACCOUNT_LENGTH: usize = 64;

pub(super) fn decide(party: &Party, command: &PartyCommand, context: &Context) -> Result<Vec<PartyEvent>, Refusal> {
    match (party, command) {
        (Party::Unknown, PartyCommand::Register { party_id }) => {
            Ok(vec![PartyEvent::Registered { party_id: *party_id }])
        }
        // A party that is told to exist, exists: a repeat of the operator's command is no news.
        (Party::Registered { .. }, PartyCommand::Register { .. }) => Ok(Vec::new()),
        (Party::Unknown, PartyCommand::LinkPayoutAccount { .. }) => Err(Refusal::NotFound { what: "party" }),
        (Party::Registered { payout_account, .. }, PartyCommand::LinkPayoutAccount { party_id, account }) => {
            match context.actor {
                Actor::Payee(caller) if caller == *party_id => {}
                Actor::Client(caller) if caller == *party_id => {
                    return Err(Refusal::Forbidden { who: "payee", action: "link a payout account" });
                }
                _ => return Err(Refusal::NotAParty),
            }
            let id = &account.psp_account;
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if id.is_empty() || id.len() > MAX_ACCOUNT_LENGTH || !plain {
                return Err(Refusal::invalid(
                    "/psp_account",
                    "must be an account id of the payment provider, like acct_1A2b",
                ));
            }
            if payout_account.as_ref() == Some(account) {
                return Ok(Vec::new());
            }
            Ok(vec![PartyEvent::PspAccountLinked {
                party_id: *party_id,
                psp: account.psp.clone(),
                psp_account: account.psp_account.clone(),
            }])
        }
    }
}
