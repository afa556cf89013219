//! Rules of a party.

use ledger::Currency;

use super::{COOLING_HOURS, Party, PartyCommand, PartyEvent, PayoutAccount, Restriction, Standing, account};
use crate::actor::Actor;
use crate::id::PartyId;
use crate::payee::HoldReason;
use crate::policy::hours_after;
use crate::refusal::Refusal;
use crate::rules::Context;
use crate::time::Timestamp;

/// Longest id of an account, or token, that a provider gives; Stripe's have about 21 and 30 characters.
const MAX_ACCOUNT_LENGTH: usize = 64;

pub(super) fn decide(party: &Party, command: &PartyCommand, context: &Context) -> Result<Vec<PartyEvent>, Refusal> {
    use {PartyCommand as C, PartyEvent as E};
    let (party_id, payout_account, standing) = match (party, command) {
        (Party::Unknown, C::Register { party_id }) => return Ok(vec![E::Registered { party_id: *party_id }]),
        // A party that is told to exist, exists: a repeat of the operator's command is no news.
        (Party::Registered { .. }, C::Register { .. })
        // A fact about somebody who is not known here changes nothing here.
        | (
            Party::Unknown,
            C::RecordAccount { .. }
            | C::RecordDestinationRefused { .. }
            | C::NotePayoutFailure { .. }
            | C::NoteHold { .. },
        ) => return Ok(Vec::new()),
        (Party::Unknown, _) => return Err(Refusal::NotFound { what: "party" }),
        (Party::Registered { party_id, payout_account, standing }, _) => (*party_id, payout_account, standing.as_ref()),
    };
    match command {
        C::Register { .. } => Ok(Vec::new()),
        C::LinkPayoutAccount { party_id, account } => {
            link(*party_id, payout_account.as_ref(), standing, account, context)
        }
        C::RequestPspAccount { psp, country, .. } => {
            only_self_or_staff(party_id, context, "ask for an account at the provider")?;
            if payout_account.is_some() || standing.requested_at_psp.is_some() {
                return Err(Refusal::PayoutAccountExists);
            }
            Ok(vec![E::PspAccountRequested { party_id, psp: psp.clone(), country: country.clone() }])
        }
        C::RequestOnboardingLink { link_id, .. } => {
            only_self_or_staff(party_id, context, "ask for a link to the provider")?;
            let PayoutAccount { psp, psp_account } = payout_account.clone().ok_or(Refusal::PayoutAccountRequired)?;
            Ok(vec![E::OnboardingLinkRequested { party_id, link_id: *link_id, psp, psp_account }])
        }
        C::RequestDestination { currency, token, .. } => {
            only_self(party_id, context, "choose a bank account")?;
            let PayoutAccount { psp, psp_account } = payout_account.clone().ok_or(Refusal::PayoutAccountRequired)?;
            if !is_plain(token) {
                return Err(Refusal::invalid(
                    "/bank_account_token",
                    "must be a token of the payment provider, like btok_1A2b",
                ));
            }
            let (currency, token) = (*currency, token.clone());
            let last = standing.asked.values().map(|asked| asked.request).max();
            let request = last.map_or(0, |last| last.saturating_add(1));
            Ok(vec![E::PayoutDestinationRequested { party_id, currency, psp, psp_account, token, request }])
        }
        C::RecordDestinationRefused { currency, psp_account, request, code, .. } => {
            let (currency, request) = (*currency, *request);
            let linked = payout_account.as_ref().is_some_and(|account| account.psp_account == *psp_account);
            // A later request decides, and an account that is not used any more says nothing.
            let waits = standing.asked.get(&currency).is_some_and(|asked| asked.request == request);
            let told = standing.asked.get(&currency).is_some_and(|asked| asked.refused.is_some());
            if !linked || !waits || told {
                return Ok(Vec::new());
            }
            let (psp_account, code) = (psp_account.clone(), code.clone());
            Ok(vec![E::PayoutDestinationRefused { party_id, currency, psp_account, request, code }])
        }
        C::RecordAccount { psp, status, .. } => {
            Ok(account::record(party_id, payout_account.as_ref(), standing, psp, status, context.now))
        }
        C::NotePayoutFailure { currency, code, leaves_money, .. } => {
            let blocks = account::is_destination_error(code) && !standing.blocked.contains_key(currency);
            let (currency, code) = (*currency, code.clone());
            let blocked = blocks.then_some(E::PayoutDestinationBlocked { party_id, currency, code });
            let leaves = *leaves_money && !standing.left_in.contains(&currency);
            let left = leaves.then_some(E::FundsLeftNoted { party_id, currency });
            Ok(blocked.into_iter().chain(left).collect())
        }
        C::NoteHold { currency, reason, .. } => {
            let known = standing.held_in.contains(&(*reason, *currency));
            let noted = E::HoldNoted { party_id, currency: *currency, reason: *reason };
            Ok(if known { Vec::new() } else { vec![noted] })
        }
        C::Restrict { .. } => {
            only_staff(context, "restrict a party")?;
            if standing.restrictions.contains(&Restriction::Staff) {
                return Err(Refusal::PartyRestricted { reason: Restriction::Staff.word() });
            }
            Ok(vec![E::Restricted { party_id, reason: Restriction::Staff }])
        }
        C::LiftRestriction { .. } => {
            only_staff(context, "lift the restriction of a party")?;
            if !standing.restrictions.contains(&Restriction::Staff) {
                return Err(Refusal::NotRestricted);
            }
            Ok(vec![lift(party_id, standing, Restriction::Staff)])
        }
        C::RecordSanctionsHit { screening_ref, currencies, .. } => {
            if !matches!(context.actor, Actor::System(_)) {
                only_staff(context, "record a hit on a list of sanctions")?;
            }
            // Told again.
            if standing.sanctions.as_ref().is_some_and(|hit| hit.screening_ref == *screening_ref) {
                return Ok(Vec::new());
            }
            let (screening_ref, currencies) = (screening_ref.clone(), currencies.clone());
            Ok(vec![E::SanctionsHitRecorded { party_id, screening_ref, currencies }])
        }
        C::ProposeSanctionsClearance { .. } => {
            let proposed_by = only_staff(context, "drop a hit on a list of sanctions")?;
            match &standing.sanctions {
                None => Err(Refusal::NotRestricted),
                Some(hit) if hit.clearance_proposed_by == Some(proposed_by) => Ok(Vec::new()),
                Some(_) => Ok(vec![E::SanctionsClearanceProposed { party_id, proposed_by }]),
            }
        }
        C::ApproveSanctionsClearance { .. } => {
            let approved_by = only_staff(context, "drop a hit on a list of sanctions")?;
            let hit = standing.sanctions.as_ref().ok_or(Refusal::NotRestricted)?;
            let proposed_by = hit.clearance_proposed_by.ok_or(Refusal::NotFound { what: "proposal" })?;
            if approved_by == proposed_by {
                return Err(Refusal::FourEyesViolation);
            }
            let let_go_in = standing.held_for(HoldReason::Sanctions);
            Ok(vec![E::SanctionsCleared { party_id, proposed_by, approved_by, let_go_in }])
        }
    }
}

fn link(
    party_id: PartyId,
    known: Option<&PayoutAccount>,
    standing: &Standing,
    account: &PayoutAccount,
    context: &Context,
) -> Result<Vec<PartyEvent>, Refusal> {
    only_self(party_id, context, "link a payout account")?;
    if !is_plain(&account.psp_account) {
        return Err(Refusal::invalid("/psp_account", "must be an account id of the payment provider, like acct_1A2b"));
    }
    if known == Some(account) {
        return Ok(Vec::new());
    }
    Ok(vec![linked(party_id, known, standing, account, context.now)])
}

/// Another account is linked: not used for a while where it is not the first, and what lies at the former one comes back.
pub(super) fn linked(
    party_id: PartyId,
    known: Option<&PayoutAccount>,
    standing: &Standing,
    account: &PayoutAccount,
    now: Timestamp,
) -> PartyEvent {
    PartyEvent::PspAccountLinked {
        party_id,
        psp: account.psp.clone(),
        psp_account: account.psp_account.clone(),
        cooling_until: standing.had_account.then(|| hours_after(now, COOLING_HOURS)),
        replaces: known.map(|known| known.psp_account.clone()),
        call_back_in: if known.is_some() { standing.left_in.iter().copied().collect() } else { Vec::new() },
    }
}

/// The restriction is lifted; earnings are let go where no other one is left.
pub(super) fn lift(party_id: PartyId, standing: &Standing, reason: Restriction) -> PartyEvent {
    let last = standing.restrictions.iter().all(|other| *other == reason);
    let let_go_in: Vec<Currency> = if last { standing.held_for(HoldReason::Kyc) } else { Vec::new() };
    PartyEvent::RestrictionLifted { party_id, reason, let_go_in }
}

/// Whether it can be an id, or a token, of a provider: 1 to 64 letters, digits and underscores.
pub fn is_plain(id: &str) -> bool {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !id.is_empty() && id.len() <= MAX_ACCOUNT_LENGTH && plain
}

fn only_self(party_id: PartyId, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(caller) if caller == party_id => Ok(()),
        Actor::Client(caller) if caller == party_id => Err(Refusal::Forbidden { who: "payee", action }),
        _ => Err(Refusal::NotAParty),
    }
}

fn only_self_or_staff(party_id: PartyId, context: &Context, action: &'static str) -> Result<(), Refusal> {
    match context.actor {
        Actor::Payee(caller) if caller == party_id => Ok(()),
        Actor::Client(caller) if caller == party_id => Err(Refusal::Forbidden { who: "payee", action }),
        Actor::Client(_) | Actor::Payee(_) => Err(Refusal::NotAParty),
        Actor::System(_) => Ok(()),
        actor if actor.may_hold_money() => Ok(()),
        Actor::Staff(..) => Err(Refusal::Forbidden { who: "staff", action }),
    }
}

/// The member of staff that may hold money.
fn only_staff(context: &Context, action: &'static str) -> Result<PartyId, Refusal> {
    match context.actor {
        Actor::Staff(_, id) if context.actor.may_hold_money() => Ok(id),
        Actor::Client(_) | Actor::Payee(_) => Err(Refusal::NotAParty),
        Actor::Staff(..) | Actor::System(_) => Err(Refusal::Forbidden { who: "staff", action }),
    }
}
