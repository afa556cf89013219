//! Rules of a party.

use ledger::Currency;

use super::{
    COOLING_HOURS, Party, PartyCommand, PartyEvent, PayoutAccount, Requirements, Restriction, Standing, account,
};
use crate::actor::Actor;
use crate::approval;
use crate::escrow::PLATFORM_ACCOUNT;
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
            | C::RecordPspAccountRefused { .. }
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
            let (psp, country, request) = (psp.clone(), country.clone(), standing.account_requests);
            Ok(vec![E::PspAccountRequested { party_id, psp, country, request }])
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
            let cooling_until = standing.has_destination(currency).then(|| hours_after(context.now, COOLING_HOURS));
            Ok(vec![E::PayoutDestinationRequested {
                party_id,
                currency,
                psp,
                psp_account,
                token,
                request,
                cooling_until,
            }])
        }
        C::RecordPspAccountRefused { psp, request, code, .. } => {
            let waits = standing.requested_at_psp.as_ref() == Some(psp);
            // There is one meanwhile, it was told before, or another one was asked for since.
            if !waits || request.saturating_add(1) < standing.account_requests {
                return Ok(Vec::new());
            }
            Ok(vec![E::PspAccountRefused { party_id, psp: psp.clone(), request: *request, code: code.clone() }])
        }
        C::RecordDestinationRefused { currency, psp_account, request, code, .. } => {
            let (currency, request) = (*currency, *request);
            let linked = payout_account.as_ref().is_some_and(|account| account.psp_account == *psp_account);
            let asked = standing.asked.get(&currency);
            // What is shown is what became of the last request; of one before it only its gate is opened.
            let is_news = asked.is_some_and(|asked| {
                asked.cooling.iter().any(|(known, _)| *known == request)
                    || (asked.request == request && asked.refused.is_none())
            });
            // An account that is not used any more says nothing.
            if !linked || !is_news {
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
            let told = standing.requirements.as_ref().and_then(Requirements::restriction);
            // What the provider says of the account in use is the provider's to lift.
            let of_before = (told != Some(Restriction::Rejected)).then_some(Restriction::Rejected);
            let mut liftable = [Some(Restriction::Staff), of_before].into_iter().flatten();
            let reason =
                liftable.find(|reason| standing.restrictions.contains(reason)).ok_or(Refusal::NotRestricted)?;
            Ok(vec![lift(party_id, standing, reason)])
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
            approval::by_another(proposed_by, approved_by)?;
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
    if account.psp_account == PLATFORM_ACCOUNT {
        return Err(Refusal::invalid("/psp_account", "is the platform's own"));
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
